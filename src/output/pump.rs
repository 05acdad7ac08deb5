//! The output thread: one `Poll` for the pipes of all children.

mod commands;
mod listeners;
mod reading;
mod stdin;
mod tasks;
#[cfg(feature = "attach")]
mod terminal;
mod watch;

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use mio::unix::SourceFd;
use mio::{Events, Poll, Token};
use nix::fcntl::{FcntlArg, fcntl};

use super::command::Command;
use super::communication::Communications;
use super::file_queue::{FileQueue, Origin};
use super::follow::Followers;
use super::gathering::Gathering;
use super::listeners::Listeners;
#[cfg(feature = "attach")]
use super::messages::TerminalInput;
use super::messages::{Note, ProgramId, Settings, StreamKind};
use super::output_watch::OutputWatch;
use super::ready_line::ReadyLine;
use super::request::Request;
use super::sink::Sink;
use super::syslog::{self, Syslog};
use super::writer_pool::{BLOCK_BYTES, WriterPool};
use crate::failpoint;
use crate::models::ProgramConfig;
use crate::process::Generation;
use crate::util::escapes::Escapes;
use crate::util::latch::Pending;
use crate::util::plural::counted;
use crate::util::quick_hash::QuickMap;
use crate::util::sort::sort_by;
use reading::{Outcome, Pipe};
use stdin::StdinPipe;
use tasks::TaskPipe;

/// The waker's token; pipes count up from there.
pub(super) const WAKER: Token = Token(0);

/// The longest nap between two turns of a busy thread. A nap lets small writes gather in the pipes:
/// a third of the CPU, and a child that finds its reader asleep is not slowed by waking it up.
const MAX_NAP: Duration = Duration::from_millis(16);
const MIN_NAP: Duration = Duration::from_micros(200);
/// A thread that is woken up again within this time is busy.
const BUSY_WITHIN: Duration = Duration::from_millis(1);
/// How soon a paused source looks at its console again.
const PAUSED_RETRY: Duration = Duration::from_millis(10);
/// How long a log file's writer has to answer a request, before memory answers.
const WRITER_ANSWERS_WITHIN: Duration = Duration::from_secs(1);

/// Below so many, it is not worth it to look for files that were closed.
const MIN_FILES_SEARCHED: usize = 16;
/// Files whose disks do not answer at the end that are named in the log.
const MAX_NAMED: usize = 10;

struct Program {
    config: Arc<ProgramConfig>,
    /// Of the newest run.
    pid: i32,
    out: Sink,
    err: Sink,
    followers: Followers,
    /// What may be said between marks, on standard output and error; only where that is wanted.
    communications: Option<Box<[Communications; 2]>>,
    /// Where its standard input is a pipe.
    stdin: Option<Box<StdinPipe>>,
    /// The line that the newest run is ready by, until it has come.
    ready_line: Option<Box<ReadyLine>>,
    /// What the newest run is watched for.
    output_watch: Option<Box<OutputWatch>>,
    /// The tokens of its pipes: of the present run, and of earlier ones that something still writes to.
    pipes: Vec<usize>,
    /// Where in an escape sequence standard output and error are.
    escapes: [Escapes; 2],
    /// Bytes of standard output and error since the program is known.
    #[cfg(feature = "http")]
    written: [u64; 2],
}

impl Program {
    /// The newest output of a stream that is kept, in bytes.
    fn ring_limit(&self) -> usize {
        usize::try_from(self.config.log_buffer).unwrap_or(usize::MAX)
    }

    /// The run has ended: what may have been the beginning of a mark was none.
    fn rest_of_communication(&mut self, kind: StreamKind) -> Vec<u8> {
        let Some([of_stdout, of_stderr]) = self.communications.as_deref_mut() else { return Vec::new() };
        match kind {
            StreamKind::Stdout => of_stdout.end(),
            StreamKind::Stderr => of_stderr.end(),
        }
    }

    #[cfg(feature = "http")]
    fn count_written(&mut self, kind: StreamKind, bytes: usize) {
        let [of_stdout, of_stderr] = &mut self.written;
        match kind {
            StreamKind::Stdout => *of_stdout += bytes as u64,
            StreamKind::Stderr => *of_stderr += bytes as u64,
        }
    }

    fn sink(&mut self, kind: StreamKind) -> &mut Sink {
        match kind {
            StreamKind::Stdout => &mut self.out,
            StreamKind::Stderr => &mut self.err,
        }
    }
}

/// The state of the thread.
pub(super) struct Pump {
    poll: Poll,
    commands: Receiver<Command>,
    settings: Settings,
    pool: Arc<WriterPool>,
    listeners: Listeners,
    /// Boxed, as the pipes: up to half of the slots of a hash table are unused.
    programs: QuickMap<ProgramId, Box<Program>>,
    pipes: QuickMap<usize, Box<Pipe>>,
    /// The pipes of tasks, with tokens of the same row.
    task_pipes: QuickMap<usize, TaskPipe>,
    /// Programs whose standard input waits for room, with tokens of the same row.
    stdin_waits: Vec<(usize, ProgramId)>,
    /// Those who type into a terminal that is not there yet.
    #[cfg(feature = "attach")]
    early_keyboards: Vec<(ProgramId, Arc<dyn TerminalInput>)>,
    next_token: usize,
    ready: VecDeque<usize>,
    /// The pipe that is being read.
    reading: Option<usize>,
    /// Files by path: streams that name the same file share it, or each would rotate the other's away.
    files: HashMap<Arc<Path>, Weak<FileQueue>>,
    /// With so many of them, those that were closed are looked for.
    most_files: usize,
    syslog: Option<Rc<RefCell<Syslog>>>,
    /// Streams that hold a part of a line.
    partials: Vec<(ProgramId, StreamKind)>,
    buffer: Vec<u8>,
    nap: Duration,
    /// How full the fullest pipe was in this turn, in percent.
    busiest: usize,
    /// Listeners are told of something that was read in this turn, or have answered in it.
    is_told: bool,
    /// Requests that a writer has not answered yet, and when they are answered without it.
    requests: Vec<(Instant, Request)>,
    finish: Option<(Instant, Pending)>,
    gathering: Arc<Gathering>,
}

impl Pump {
    pub fn new(
        poll: Poll,
        commands: Receiver<Command>,
        settings: Settings,
        pool: Arc<WriterPool>,
        gathering: Arc<Gathering>,
    ) -> Pump {
        Pump {
            poll,
            commands,
            listeners: Listeners::new(settings.identifier.clone()),
            settings,
            pool,
            programs: QuickMap::default(),
            pipes: QuickMap::default(),
            task_pipes: QuickMap::default(),
            stdin_waits: Vec::new(),
            #[cfg(feature = "attach")]
            early_keyboards: Vec::new(),
            next_token: WAKER.0 + 1,
            ready: VecDeque::new(),
            reading: None,
            files: HashMap::new(),
            most_files: MIN_FILES_SEARCHED,
            syslog: None,
            partials: Vec::new(),
            buffer: Vec::new(),
            nap: Duration::ZERO,
            busiest: 0,
            is_told: false,
            requests: Vec::new(),
            finish: None,
            gathering,
        }
    }

    pub fn run(mut self) {
        let mut events = Events::with_capacity(256);
        let mut paused = false;
        while self.finish.is_none() {
            let asleep = Instant::now();
            let timeout = self.timeout(asleep, paused);
            if let Err(error) = self.poll.poll(&mut events, timeout) {
                if error.kind() != io::ErrorKind::Interrupted {
                    log::error!("output: cannot wait for output: {}; trying again", crate::util::errno::reason(&error));
                    std::thread::sleep(PAUSED_RETRY);
                }
                continue;
            }
            let now = Instant::now();
            for event in &events {
                match event.token() {
                    syslog::TOKEN => self.flush_syslog(now),
                    token => self.mark_ready(token, event.is_read_closed(), event.is_readable()),
                }
            }
            paused = match catch_unwind(AssertUnwindSafe(|| self.work(now))) {
                Ok(paused) => paused,
                Err(_) => self.recover(),
            };
            self.take_nap(now.duration_since(asleep));
        }
        self.end();
    }

    fn work(&mut self, now: Instant) -> bool {
        while let Ok(command) = self.commands.try_recv() {
            self.handle_command(now, command);
        }
        let paused = self.turn(now);
        self.flush_partials(now);
        self.expire_requests(now);
        self.elapse_for_listeners(now);
        paused
    }

    /// After a panic: what was at work has lost something, but goes on, and so does everything else. A pause, so that
    /// one that comes again and again does not take all the time.
    fn recover(&mut self) -> bool {
        log::error!("output: an internal error of supervice (a panic), please report it; some output is lost");
        // A pipe that is not read would hold up its child for ever.
        if let Some(token) = self.reading.take().filter(|token| !self.ready.contains(token)) {
            self.queue(token);
        }
        true
    }

    /// How long to sleep: without a limit when there is nothing to do.
    fn timeout(&self, now: Instant, paused: bool) -> Option<Duration> {
        if !self.ready.is_empty() {
            return Some(if paused { PAUSED_RETRY } else { Duration::ZERO });
        }
        let due = self.partials.iter().filter_map(|(program, kind)| self.partial_due(*program, *kind)).min();
        // What was due before waits for its console.
        let due = due.map(|due| if due <= now { now + PAUSED_RETRY } else { due });
        let expires = self.requests.iter().map(|(deadline, _)| *deadline).min();
        let listeners = self.listeners.due();
        due.into_iter().chain(expires).chain(listeners).min().map(|due| due.saturating_duration_since(now))
    }

    /// Forgets the requests that were answered and answers those whose time is up.
    fn expire_requests(&mut self, now: Instant) {
        if self.requests.is_empty() {
            return;
        }
        self.requests.retain(|(deadline, request)| {
            if *deadline <= now {
                request.expire();
            }
            !request.is_answered()
        });
        if self.requests.is_empty() {
            self.requests = Vec::new();
        }
    }

    fn flush_syslog(&mut self, now: Instant) {
        if let Some(syslog) = &self.syslog {
            // An error is met again by the next line, whose loss is told.
            let _ = syslog.borrow_mut().flush(now);
        }
    }

    fn mark_ready(&mut self, token: Token, hung_up: bool, has_data: bool) {
        if let Some(pipe) = self.pipes.get_mut(&token.0) {
            let hung_up = hung_up && !pipe.is_terminal();
            pipe.hung_up |= hung_up;
            // Nobody is left who could write: there is no need to read that nothing is there.
            pipe.is_at_end = hung_up && !has_data;
            if !pipe.queued {
                pipe.queued = true;
                self.ready.push_back(token.0);
            }
        } else if let Some(pipe) = self.task_pipes.get_mut(&token.0)
            && pipe.mark_ready(hung_up)
        {
            self.ready.push_back(token.0);
        } else if let Some((_, program)) = self.stdin_waits.iter().find(|(waits, _)| *waits == token.0) {
            self.flush_stdin(*program);
        }
    }

    /// Reads each readable pipe once; `true` when all that are left wait for their console.
    fn turn(&mut self, now: Instant) -> bool {
        (self.busiest, self.is_told) = (0, false);
        let mut all_paused = true;
        for _ in 0..self.ready.len() {
            let Some(token) = self.ready.pop_front() else { break };
            self.reading = Some(token);
            if let Some(pipe) = self.pipes.get_mut(&token) {
                pipe.queued = false;
            }
            let is_task = self.task_pipes.contains_key(&token);
            let outcome = if is_task { self.read_task(now, token) } else { self.read(now, token, true) };
            self.reading = None;
            match outcome {
                Outcome::Empty => {
                    if let Some(pipe) = self.task_pipes.get_mut(&token) {
                        pipe.mark_read();
                    }
                }
                Outcome::Closed if is_task => self.close_task(now, token),
                Outcome::Closed => self.close(token),
                Outcome::More => {
                    all_paused = false;
                    self.queue(token);
                }
                Outcome::Paused => self.queue(token),
            }
        }
        all_paused
    }

    /// It is to be read again in the next turn.
    fn queue(&mut self, token: usize) {
        if let Some(pipe) = self.pipes.get_mut(&token) {
            pipe.queued = true;
        }
        self.ready.push_back(token);
    }

    /// Under load a short sleep lets output gather; one line now and then is never held up by it. So do ends, where
    /// many are expected.
    fn take_nap(&mut self, waited: Duration) {
        if self.busiest == 0 && self.ready.is_empty() && self.finish.is_none() {
            self.gathering.nap();
        }
        if self.busiest == 0 || self.is_told || !self.ready.is_empty() || waited >= BUSY_WITHIN {
            self.nap = Duration::ZERO;
            return;
        }
        // Aim at half full pipes: a full one would keep its child waiting.
        let wanted = self.nap.max(MIN_NAP) * 50 / u32::try_from(self.busiest).unwrap_or(u32::MAX).max(1);
        self.nap = wanted.min(self.nap.max(MIN_NAP) * 2).min(MAX_NAP);
        if self.nap < MIN_NAP {
            self.nap = Duration::ZERO;
            return;
        }
        std::thread::sleep(self.nap);
    }

    fn partial_due(&self, program: ProgramId, kind: StreamKind) -> Option<Instant> {
        let program = self.programs.get(&program)?;
        match kind {
            StreamKind::Stdout => program.out.partial_due(),
            StreamKind::Stderr => program.err.partial_due(),
        }
    }

    fn flush_partials(&mut self, now: Instant) {
        let Pump { partials, programs, pool, .. } = self;
        partials.retain(|(id, kind)| {
            let Some(program) = programs.get_mut(id) else { return false };
            let sink = program.sink(*kind);
            match sink.partial_due() {
                // The rest of the line may be where it is not read for now.
                Some(due) if due <= now && !sink.should_pause(now) => {
                    let origin = Origin { program: *id, stream: *kind };
                    sink.flush_partial(now, false, &mut |report| pool.notify(origin.note(report)));
                    false
                }
                Some(_) => true,
                None => false,
            }
        });
    }

    /// The last words of files whose disks do not answer.
    fn report_unwritten(&self) {
        let files = self.files.values().filter_map(Weak::upgrade).map(|file| (file.unwritten(), file));
        let mut lost: Vec<_> = files.filter(|(bytes, _)| *bytes > 0).collect();
        sort_by(&mut lost, |(_, one), (_, other)| one.path().cmp(other.path()));
        for (bytes, file) in lost.iter().take(MAX_NAMED) {
            let (path, bytes) = (file.path().display(), counted(*bytes, "byte"));
            log::error!("{path}: its disk does not answer; the last {bytes} for it are lost");
        }
        if let Some(others) = lost.len().checked_sub(MAX_NAMED).filter(|others| *others > 0) {
            let bytes: u64 = lost.iter().skip(MAX_NAMED).map(|(bytes, _)| bytes).sum();
            log::error!("so are {} for {}", counted(bytes, "byte"), counted(others, "other log file"));
        }
    }

    /// Reads everything that is there and closes all.
    fn end(mut self) {
        let Some((deadline, done)) = self.finish.take() else { return };
        let begin = Instant::now();
        let mut tokens: VecDeque<usize> = self.pipes.keys().copied().collect();
        while let Some(token) = tokens.pop_front() {
            let now = Instant::now();
            if now >= deadline {
                break;
            }
            match self.read(now, token, true) {
                Outcome::More => tokens.push_back(token),
                Outcome::Paused => {
                    tokens.push_back(token);
                    std::thread::sleep(MIN_NAP);
                }
                Outcome::Empty | Outcome::Closed => self.close(token),
            }
        }
        let programs: Vec<ProgramId> = self.programs.keys().copied().collect();
        for program in programs {
            self.end_lines(Instant::now(), program);
        }
        if let Some(syslog) = &self.syslog {
            syslog.borrow_mut().finish(deadline);
        }
        self.pool.close(deadline);
        self.report_unwritten();
        self.requests.iter().for_each(|(_, request)| request.expire());
        if !crate::logger::flush_console(begin, deadline) {
            // For the log file.
            log::error!("nobody reads the daemon's standard output or error: the last lines for it are lost");
        }
        // Those who follow are told so before the connections are closed.
        self.programs.values_mut().for_each(|program| drop(std::mem::take(&mut program.followers)));
        // Only memory and pipes are left: nobody has to wait until they are given back.
        drop(done);
    }
}
