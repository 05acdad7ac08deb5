//! The output thread: one `Poll` for the pipes of all children.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use nix::fcntl::{FcntlArg, OFlag, fcntl};

use super::file::LogFile;
use super::follow::{Followers, last_lines};
use super::incident::Report;
use super::look::Source;
use super::sink::{Dest, Sink, Syslog};
use super::target::Target;
use super::{Amount, Command, Follower, Note, ProgramId, Settings, StreamKind};
use crate::models::ProgramConfig;
use crate::planted;
use crate::process::Generation;

/// The waker's token; pipes count up from there.
pub(super) const WAKER: Token = Token(0);

/// What is read at once, in bytes; also the kernel's default size of a pipe.
const READ_SIZE: usize = 64 * 1024;
/// Reads of one pipe before it is the next one's turn.
const READS_A_TURN: usize = 4;
/// What a nearly full pipe gives: small writes leave the ends of its pages empty.
const CHATTY_READ: usize = 48 * 1024;
/// A pipe that gives less does not belong to a chatty child.
const IDLE_READ: usize = 4 * 1024;
/// After so many turns with a nearly full pipe a child counts as chatty and gets a bigger one.
const CHATTY_AFTER: u8 = 4;
/// The pipe of a chatty child, in bytes. Not for all: users have 64 MiB of pipe memory in all.
const CHATTY_PIPE: usize = 256 * 1024;
/// The longest nap between two turns of a busy thread. A nap lets small writes gather in the pipes:
/// a third of the CPU, and a child that finds its reader asleep is not slowed by waking it up.
const LONGEST_NAP: Duration = Duration::from_millis(16);
const SHORTEST_NAP: Duration = Duration::from_micros(200);
/// A thread that is woken up again within this time is busy.
const BUSY_WITHIN: Duration = Duration::from_millis(1);
/// How soon a paused source looks at its console again.
const PAUSE: Duration = Duration::from_millis(10);
/// The most that one tail request is answered with, in bytes.
const MAX_TAIL: usize = 1024 * 1024;

struct Pipe {
    file: File,
    program: ProgramId,
    generation: Generation,
    kind: StreamKind,
    /// All writers have gone: read on to the end.
    hung_up: bool,
    /// It is in the queue of readable pipes.
    queued: bool,
    full_reads: u8,
    chatty: bool,
}

struct Program {
    config: Arc<ProgramConfig>,
    out: Sink,
    err: Sink,
    followers: Followers,
}

impl Program {
    fn sink(&mut self, kind: StreamKind) -> &mut Sink {
        match kind {
            StreamKind::Stdout => &mut self.out,
            StreamKind::Stderr => &mut self.err,
        }
    }
}

/// What reading a pipe came to.
#[derive(PartialEq, Eq)]
enum Outcome {
    Empty,
    More,
    Paused,
    Closed,
}

/// The state of the thread.
pub(super) struct Pump {
    poll: Poll,
    commands: Receiver<Command>,
    settings: Settings,
    notify: Box<dyn Fn(Note) + Send>,
    programs: HashMap<ProgramId, Program>,
    pipes: HashMap<usize, Pipe>,
    next_token: usize,
    ready: VecDeque<usize>,
    /// The pipe that is being read.
    reading: Option<usize>,
    /// Files by path: streams that name the same file share it, or each would rotate the other's away.
    files: HashMap<PathBuf, Weak<RefCell<LogFile>>>,
    syslog: Option<Rc<RefCell<Syslog>>>,
    /// Streams that hold a part of a line.
    partials: Vec<(ProgramId, StreamKind)>,
    buffer: Vec<u8>,
    nap: Duration,
    /// How full the fullest pipe was in this turn, in percent.
    busiest: usize,
    finish: Option<(Instant, Sender<()>)>,
}

impl Pump {
    pub fn new(poll: Poll, commands: Receiver<Command>, settings: Settings, notify: Box<dyn Fn(Note) + Send>) -> Pump {
        Pump {
            poll,
            commands,
            settings,
            notify,
            programs: HashMap::new(),
            pipes: HashMap::new(),
            next_token: WAKER.0 + 1,
            ready: VecDeque::new(),
            reading: None,
            files: HashMap::new(),
            syslog: None,
            partials: Vec::new(),
            buffer: Vec::new(),
            nap: Duration::ZERO,
            busiest: 0,
            finish: None,
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
                    log::error!("output: cannot wait for output: {error}; trying again");
                    std::thread::sleep(PAUSE);
                }
                continue;
            }
            let now = Instant::now();
            for event in &events {
                self.mark_ready(event.token(), event.is_read_closed());
            }
            paused = match catch_unwind(AssertUnwindSafe(|| self.work(now))) {
                Ok(paused) => paused,
                Err(_) => self.stumbled(),
            };
            self.take_nap(now.duration_since(asleep));
        }
        self.end();
    }

    fn work(&mut self, now: Instant) -> bool {
        while let Ok(command) = self.commands.try_recv() {
            self.obey(now, command);
        }
        let paused = self.turn(now);
        self.flush_partials(now);
        paused
    }

    /// After a panic: what was at work has lost something, but goes on, and so does everything else. A pause, so that
    /// one that comes again and again does not take all the time.
    fn stumbled(&mut self) -> bool {
        log::error!("output: an internal error of supervice (a panic), please report it; some output is lost");
        // A pipe that is not read would hold up its child for ever.
        if let Some(token) = self.reading.take().filter(|token| !self.ready.contains(token)) {
            self.ready.push_back(token);
        }
        true
    }

    /// How long to sleep: for ever when there is nothing to do.
    fn timeout(&self, now: Instant, paused: bool) -> Option<Duration> {
        if !self.ready.is_empty() {
            return Some(if paused { PAUSE } else { Duration::ZERO });
        }
        let due = self.partials.iter().filter_map(|(program, kind)| self.partial_due(*program, *kind)).min();
        due.map(|due| due.saturating_duration_since(now))
    }

    fn mark_ready(&mut self, token: Token, hung_up: bool) {
        if let Some(pipe) = self.pipes.get_mut(&token.0) {
            pipe.hung_up |= hung_up;
            if !pipe.queued {
                pipe.queued = true;
                self.ready.push_back(token.0);
            }
        }
    }

    /// Reads each readable pipe once; `true` when all that are left wait for their console.
    fn turn(&mut self, now: Instant) -> bool {
        self.busiest = 0;
        let mut all_paused = true;
        for _ in 0..self.ready.len() {
            let Some(token) = self.ready.pop_front() else { break };
            self.reading = Some(token);
            let outcome = self.read(now, token, READS_A_TURN, true);
            self.reading = None;
            match outcome {
                Outcome::Empty => {
                    if let Some(pipe) = self.pipes.get_mut(&token) {
                        pipe.queued = false;
                    }
                }
                Outcome::Closed => self.close(token),
                Outcome::More => {
                    all_paused = false;
                    self.ready.push_back(token);
                }
                Outcome::Paused => self.ready.push_back(token),
            }
        }
        all_paused
    }

    /// Under load a short sleep lets output gather; one line now and then is never held up by it.
    fn take_nap(&mut self, waited: Duration) {
        if self.busiest == 0 || !self.ready.is_empty() || waited >= BUSY_WITHIN {
            self.nap = Duration::ZERO;
            return;
        }
        // Aim at half full pipes: a full one would keep its child waiting.
        let wanted = self.nap.max(SHORTEST_NAP) * 50 / u32::try_from(self.busiest).unwrap_or(u32::MAX).max(1);
        self.nap = wanted.min(self.nap.max(SHORTEST_NAP) * 2).min(LONGEST_NAP);
        if self.nap < SHORTEST_NAP {
            self.nap = Duration::ZERO;
            return;
        }
        std::thread::sleep(self.nap);
    }

    fn read(&mut self, now: Instant, token: usize, reads: usize, may_pause: bool) -> Outcome {
        let Some(pipe) = self.pipes.get_mut(&token) else { return Outcome::Closed };
        let Some(program) = self.programs.get_mut(&pipe.program) else { return Outcome::Closed };
        let ring_limit = usize::try_from(program.config.log_buffer).unwrap_or(usize::MAX);
        if self.buffer.is_empty() {
            self.buffer = vec![0; READ_SIZE];
        }
        let (id, kind) = (pipe.program, pipe.kind);
        let Program { out, err, followers, .. } = program;
        let sink = match kind {
            StreamKind::Stdout => out,
            StreamKind::Stderr => err,
        };
        let notify = &self.notify;
        let mut report = |report| notify(note(id, kind, report));
        let size = sink.read_size(READ_SIZE);
        let Some(buffer) = self.buffer.get_mut(..size) else { return Outcome::Empty };
        let mut outcome = Outcome::More;
        let mut total = 0;
        for _ in 0..reads {
            if may_pause && sink.should_pause() {
                outcome = Outcome::Paused;
                break;
            }
            match pipe.file.read(buffer) {
                Ok(0) => {
                    outcome = Outcome::Closed;
                    break;
                }
                Ok(count) => {
                    total += count;
                    let data = buffer.get(..count).unwrap_or_default();
                    planted::fault("output", || String::from_utf8_lossy(data).into_owned());
                    sink.write(now, data, ring_limit, &mut report);
                    followers.push(kind, data);
                    if count < size && !pipe.hung_up {
                        // Empty: new data or the end come with a new event.
                        outcome = Outcome::Empty;
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    outcome = Outcome::Empty;
                    break;
                }
                Err(error) => {
                    log::error!("output: cannot read the {} of program {id}: {error}", kind.as_str());
                    outcome = Outcome::Closed;
                    break;
                }
            }
        }
        let capacity = if pipe.chatty { CHATTY_PIPE } else { READ_SIZE };
        self.busiest = self.busiest.max((total * 100).div_ceil(capacity));
        grow_if_chatty(pipe, total);
        if sink.partial_due().is_some() && !self.partials.contains(&(id, kind)) {
            self.partials.push((id, kind));
        }
        outcome
    }

    fn close(&mut self, token: usize) {
        if let Some(pipe) = self.pipes.remove(&token) {
            // Closing alone is not enough: a child between fork and exec may hold a copy for a moment.
            let _ = self.poll.registry().deregister(&mut SourceFd(&pipe.file.as_raw_fd()));
        }
        self.ready.retain(|queued| *queued != token);
    }

    fn partial_due(&self, program: ProgramId, kind: StreamKind) -> Option<Instant> {
        let program = self.programs.get(&program)?;
        match kind {
            StreamKind::Stdout => program.out.partial_due(),
            StreamKind::Stderr => program.err.partial_due(),
        }
    }

    fn flush_partials(&mut self, now: Instant) {
        let Pump { partials, programs, notify, .. } = self;
        partials.retain(|(id, kind)| {
            let Some(program) = programs.get_mut(id) else { return false };
            let sink = program.sink(*kind);
            match sink.partial_due() {
                Some(due) if due <= now => {
                    sink.flush_partial(now, &mut |report| notify(note(*id, *kind, report)));
                    false
                }
                Some(_) => true,
                None => false,
            }
        });
    }

    fn obey(&mut self, now: Instant, command: Command) {
        match command {
            Command::Configure { program, config } => self.configure(program, config),
            Command::Attach { program, generation, pid, stdout, stderr } => {
                self.attach(now, program, generation, pid, StreamKind::Stdout, stdout);
                self.attach(now, program, generation, pid, StreamKind::Stderr, stderr);
            }
            Command::LeaderExited { program, generation } => self.leader_exited(now, program, generation),
            Command::RunEnded { program, generation } => self.run_ended(now, program, generation),
            Command::Remove { program } => self.remove(now, program),
            Command::SetDefault { settings } => self.settings = settings,
            Command::Reopen => self.reopen(now),
            Command::Tail { program, stream, bytes, reply } => reply(self.tail(program, stream, bytes.min(MAX_TAIL))),
            Command::Follow { program, stream, amount, go_on, follower } => {
                self.follow(program, stream, amount, go_on, follower);
            }
            Command::Clear { program, reply } => reply(self.clear(program)),
            Command::Shutdown { deadline, done } => self.finish = Some((deadline, done)),
        }
    }

    fn configure(&mut self, id: ProgramId, config: Arc<ProgramConfig>) {
        match self.programs.get_mut(&id) {
            Some(program) => program.config = config,
            None => {
                self.programs.insert(
                    id,
                    Program { config, out: Sink::default(), err: Sink::default(), followers: Followers::default() },
                );
            }
        }
    }

    fn attach(
        &mut self,
        now: Instant,
        id: ProgramId,
        generation: Generation,
        pid: i32,
        kind: StreamKind,
        fd: Option<OwnedFd>,
    ) {
        let Some(fd) = fd else { return };
        if !self.programs.contains_key(&id) {
            // Closing the pipe would kill the child: its output goes to the ring alone.
            log::error!("output: program {id} was attached before it was configured");
            self.configure(id, Arc::new(ProgramConfig::new(format!("program {id}"), "")));
        }
        self.prepare_sink(now, id, kind, pid);
        if let Err(error) = self.register(id, generation, kind, fd) {
            log::error!("output: cannot watch the {} of program {id}: {error}; its output is lost", kind.as_str());
        }
    }

    fn register(
        &mut self,
        program: ProgramId,
        generation: Generation,
        kind: StreamKind,
        fd: OwnedFd,
    ) -> io::Result<()> {
        // One pipe that waits would stop all others: make sure, instead of trusting the caller.
        let flags = OFlag::from_bits_retain(fcntl(&fd, FcntlArg::F_GETFL)?);
        fcntl(&fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
        let token = self.next_token;
        self.next_token = self.next_token.checked_add(1).unwrap_or(WAKER.0 + 1);
        let file = File::from(fd);
        self.poll.registry().register(&mut SourceFd(&file.as_raw_fd()), Token(token), Interest::READABLE)?;
        let pipe =
            Pipe { file, program, generation, kind, hung_up: false, queued: false, full_reads: 0, chatty: false };
        self.pipes.insert(token, pipe);
        Ok(())
    }

    /// Opens what the present settings ask for, unless it is open.
    fn prepare_sink(&mut self, now: Instant, id: ProgramId, kind: StreamKind, pid: i32) {
        let Some(config) = self.programs.get(&id).map(|program| Arc::clone(&program.config)) else { return };
        let target = Target::of(&config, kind, self.settings.default_output);
        let (maxbytes, backups) = match kind {
            StreamKind::Stdout => (config.stdout_logfile_maxbytes, config.stdout_logfile_backups),
            StreamKind::Stderr => (config.stderr_logfile_maxbytes, config.stderr_logfile_backups),
        };
        let dest = match &target {
            Target::Nothing => Dest::Nothing,
            Target::File(path) => Dest::File(self.shared_file(now, path, maxbytes, backups)),
            Target::Console { .. } | Target::Syslog => {
                let syslog = self.syslog.get_or_insert_default();
                Dest::lines(&target, Source { config: &config, kind, pid }, &self.settings, syslog)
            }
        };
        let Pump { programs, notify, .. } = self;
        let Some(program) = programs.get_mut(&id) else { return };
        let mut report = |report| notify(note(id, kind, report));
        let sink = program.sink(kind);
        sink.begin_run();
        if !sink.dest().is(&target) {
            sink.set_dest(now, dest, &mut report);
        }
        if let Dest::File(file) = sink.dest() {
            let mut file = file.borrow_mut();
            file.set_bounds(maxbytes, backups);
            file.open(now, &mut report);
        }
    }

    fn shared_file(&mut self, now: Instant, path: &PathBuf, maxbytes: u64, backups: u32) -> Rc<RefCell<LogFile>> {
        if let Some(file) = self.files.get(path).and_then(Weak::upgrade) {
            return file;
        }
        self.files.retain(|_, file| file.strong_count() > 0);
        let file = Rc::new(RefCell::new(LogFile::new(path.clone(), maxbytes, backups, now)));
        self.files.insert(path.clone(), Rc::downgrade(&file));
        file
    }

    fn tokens(&self, of: impl Fn(&Pipe) -> bool) -> Vec<usize> {
        self.pipes.iter().filter(|(_, pipe)| of(pipe)).map(|(token, _)| *token).collect()
    }

    /// Reads what is in the pipes now. Bounded by twice a pipe's size: somebody may still be writing.
    fn drain(&mut self, now: Instant, tokens: &[usize]) {
        for token in tokens {
            // A line target reads in smaller pieces, hence the number of them.
            let reads = 2 * CHATTY_PIPE / (16 * 1024);
            if self.read(now, *token, reads, false) == Outcome::Closed {
                self.close(*token);
            }
        }
    }

    fn leader_exited(&mut self, now: Instant, program: ProgramId, generation: Generation) {
        let tokens = self.tokens(|pipe| pipe.program == program && pipe.generation == generation);
        self.drain(now, &tokens);
        let sinks = self.programs.get(&program);
        let last_line = sinks.and_then(|program| program.err.last_line().or_else(|| program.out.last_line()));
        (self.notify)(Note::Drained { program, generation, last_line });
    }

    fn run_ended(&mut self, now: Instant, program: ProgramId, generation: Generation) {
        let tokens = self.tokens(|pipe| pipe.program == program && pipe.generation == generation);
        self.drain(now, &tokens);
        for token in tokens {
            self.close(token);
        }
        self.end_lines(now, program);
    }

    /// Passes on what a program's streams hold of a line.
    fn end_lines(&mut self, now: Instant, id: ProgramId) {
        let Pump { programs, notify, .. } = self;
        if let Some(program) = programs.get_mut(&id) {
            for kind in [StreamKind::Stdout, StreamKind::Stderr] {
                program.sink(kind).flush_partial(now, &mut |report| notify(note(id, kind, report)));
            }
        }
    }

    fn remove(&mut self, now: Instant, program: ProgramId) {
        let tokens = self.tokens(|pipe| pipe.program == program);
        self.drain(now, &tokens);
        for token in tokens {
            self.close(token);
        }
        self.end_lines(now, program);
        self.programs.remove(&program);
        self.files.retain(|_, file| file.strong_count() > 0);
    }

    fn reopen(&mut self, now: Instant) {
        let Pump { programs, notify, .. } = self;
        for (id, program) in programs {
            for kind in [StreamKind::Stdout, StreamKind::Stderr] {
                if let Dest::File(file) = program.sink(kind).dest() {
                    file.borrow_mut().reopen(now, &mut |report| notify(note(*id, kind, report)));
                }
            }
        }
    }

    /// The file has more than the ring, but not just after a rotation or while it can't be written.
    fn tail(&mut self, id: ProgramId, kind: StreamKind, bytes: usize) -> Vec<u8> {
        let Some(program) = self.programs.get_mut(&id) else { return Vec::new() };
        let kept = usize::try_from(program.config.log_buffer).unwrap_or(usize::MAX);
        let sink = program.sink(kind);
        let memory = sink.newest(bytes.min(kept));
        let Dest::File(file) = sink.dest() else { return memory };
        match file.borrow().is_regular().then(|| newest_of_files(file.borrow().path(), bytes)) {
            Some(Ok(disk)) if disk.len() >= memory.len() => disk,
            Some(Ok(_) | Err(_)) | None => memory,
        }
    }

    fn follow(&mut self, id: ProgramId, kind: StreamKind, amount: Amount, go_on: bool, follower: Box<dyn Follower>) {
        let newest = match amount {
            Amount::Bytes(bytes) => self.tail(id, kind, bytes.min(MAX_TAIL)),
            Amount::Lines(lines) => last_lines(self.tail(id, kind, MAX_TAIL), lines),
        };
        follower.push(&newest);
        match self.programs.get_mut(&id) {
            Some(program) if go_on => program.followers.add(kind, follower),
            Some(_) | None => follower.finish(),
        }
    }

    fn clear(&mut self, id: ProgramId) -> Result<(), String> {
        let Some(program) = self.programs.get_mut(&id) else { return Ok(()) };
        program.out.clear()?;
        program.err.clear()
    }

    /// Reads everything that is there and closes all.
    fn end(mut self) {
        let Some((deadline, done)) = self.finish.take() else { return };
        let mut tokens: VecDeque<usize> = self.pipes.keys().copied().collect();
        while let Some(token) = tokens.pop_front() {
            let now = Instant::now();
            if now >= deadline {
                break;
            }
            match self.read(now, token, READS_A_TURN, false) {
                Outcome::More => tokens.push_back(token),
                Outcome::Empty | Outcome::Paused | Outcome::Closed => self.close(token),
            }
        }
        let programs: Vec<ProgramId> = self.programs.keys().copied().collect();
        for program in programs {
            self.end_lines(Instant::now(), program);
        }
        crate::logger::flush_console(deadline);
        drop(self);
        let _ = done.send(());
    }
}

fn note(program: ProgramId, stream: StreamKind, report: Report) -> Note {
    match report {
        Report::Trouble(text) => Note::Trouble { program, stream, text },
        Report::Recovered(lost_bytes) => Note::Recovered { program, stream, lost_bytes },
    }
}

fn grow_if_chatty(pipe: &mut Pipe, read: usize) {
    if pipe.chatty || read < CHATTY_READ {
        if read < IDLE_READ {
            pipe.full_reads = 0;
        }
        return;
    }
    pipe.full_reads += 1;
    if pipe.full_reads >= CHATTY_AFTER {
        // Refused to users who own much pipe memory already: it is an optimisation, no more.
        let size = i32::try_from(CHATTY_PIPE).unwrap_or(i32::MAX);
        let _ = fcntl(&pipe.file, FcntlArg::F_SETPIPE_SZ(size));
        pipe.chatty = true;
    }
}

/// The end of a log file, and of the one before it where it alone does not hold that much.
fn newest_of_files(path: &std::path::Path, bytes: usize) -> io::Result<Vec<u8>> {
    let newest = end_of_file(path, bytes)?;
    if newest.len() >= bytes {
        return Ok(newest);
    }
    let mut before = path.as_os_str().to_owned();
    before.push(".1");
    let mut both = end_of_file(before.as_ref(), bytes - newest.len()).unwrap_or_default();
    both.extend_from_slice(&newest);
    Ok(both)
}

fn end_of_file(path: &std::path::Path, bytes: usize) -> io::Result<Vec<u8>> {
    // O_NONBLOCK: the path may have become a FIFO in this moment.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let length = file.metadata()?.len();
    let count = length.min(bytes as u64);
    let mut buffer = vec![0; usize::try_from(count).unwrap_or(bytes)];
    file.read_exact_at(&mut buffer, length - count)?;
    Ok(buffer)
}
