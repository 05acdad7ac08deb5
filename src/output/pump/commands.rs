//! What the daemon asks of the reading thread.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Instant;

use mio::unix::SourceFd;
use mio::{Interest, Token};
use nix::fcntl::{FcntlArg, OFlag, fcntl};

use super::super::file::Rules;
use super::super::follow::last_lines;
use super::super::handle::TellAtEnd;
use super::super::look::Source;
use super::super::sink::{Dest, Lines};
use super::super::target::Target;
use super::super::{Amount, Follower, Note};
use super::*;

impl Pump {
    pub(super) fn obey(&mut self, now: Instant, command: Command) {
        match command {
            Command::Configure { program, config } => self.configure(now, program, config),
            Command::Attach { program, generation, pid, stdout, stderr } => {
                self.attach(now, program, generation, pid, StreamKind::Stdout, stdout);
                self.attach(now, program, generation, pid, StreamKind::Stderr, stderr);
            }
            Command::LeaderExited { program, generation } => self.leader_exited(now, program, generation),
            Command::RunEnded { program, generation } => self.run_ended(now, program, generation),
            Command::Remove { program } => self.remove(now, program),
            Command::SetDefault { settings } => self.set_default(now, settings),
            Command::Reopen => self.reopen(now),
            Command::Tail { program, stream, bytes, reply } => {
                reply(self.tail(now, program, stream, bytes.min(MAX_TAIL)))
            }
            Command::Follow { program, stream, amount, go_on, follower } => {
                self.follow(now, program, stream, amount, go_on, follower);
            }
            Command::Clear { program, reply } => reply(self.clear(now, program)),
            Command::Shutdown { deadline, done } => self.finish = Some((deadline, done)),
        }
    }

    fn configure(&mut self, now: Instant, id: ProgramId, config: Arc<ProgramConfig>) {
        match self.programs.get_mut(&id) {
            Some(program) => {
                program.config = config;
                self.prepare_sinks_of_run(now, id);
            }
            None => {
                let followers = Followers::default();
                let program = Program { config, pid: 0, out: Sink::default(), err: Sink::default(), followers };
                self.programs.insert(id, program);
            }
        }
    }

    /// What has changed acts at once on a program that runs.
    fn prepare_sinks_of_run(&mut self, now: Instant, id: ProgramId) {
        for kind in [StreamKind::Stdout, StreamKind::Stderr] {
            if self.pipes.values().any(|pipe| pipe.program == id && pipe.kind == kind) {
                self.prepare_sink(now, id, kind);
            }
        }
    }

    fn set_default(&mut self, now: Instant, settings: Settings) {
        self.settings = settings;
        let programs: Vec<ProgramId> = self.programs.keys().copied().collect();
        for program in programs {
            // What stands before a line is made when the target is.
            let Pump { programs, desk, .. } = self;
            let Some(entry) = programs.get_mut(&program) else { continue };
            for stream in [StreamKind::Stdout, StreamKind::Stderr] {
                let origin = Origin { program, stream };
                let sink = entry.sink(stream);
                if let Dest::Lines(_) = sink.dest() {
                    sink.set_dest(now, Dest::Nothing, &mut |report| desk.notify(origin.note(report)));
                }
            }
            self.prepare_sinks_of_run(now, program);
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
            self.configure(now, id, Arc::new(ProgramConfig::new(format!("program {id}"), "")));
        }
        if let Some(program) = self.programs.get_mut(&id) {
            program.pid = pid;
            program.sink(kind).begin_run();
        }
        self.prepare_sink(now, id, kind);
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
        let pipe = Pipe {
            file,
            program,
            generation,
            kind,
            hung_up: false,
            queued: false,
            full_reads: 0,
            size: BLOCK,
            may_grow: true,
        };
        self.pipes.insert(token, pipe);
        Ok(())
    }

    /// Opens what the present settings ask for, unless it is open.
    fn prepare_sink(&mut self, now: Instant, id: ProgramId, kind: StreamKind) {
        let Some(program) = self.programs.get(&id) else { return };
        let (config, pid) = (Arc::clone(&program.config), program.pid);
        let target = Target::of(&config, kind, self.settings.default_output);
        let rules = Rules::of(&config, kind);
        let dest = match &target {
            Target::Nothing => Dest::Nothing,
            Target::File(path) => Dest::File(self.shared_file(now, path, rules)),
            Target::Console { .. } | Target::Syslog => {
                let syslog = self.syslog(now);
                Dest::lines(&target, Source { config: &config, kind, pid }, &self.settings, &syslog)
            }
        };
        let also = match kind {
            StreamKind::Stdout => config.stdout_syslog,
            StreamKind::Stderr => config.stderr_syslog,
        };
        let also = (also && target != Target::Syslog).then(|| self.syslog(now)).and_then(|syslog| {
            Lines::new(&Target::Syslog, Source { config: &config, kind, pid }, &self.settings, &syslog)
        });
        let Pump { programs, desk, .. } = self;
        let Some(program) = programs.get_mut(&id) else { return };
        let origin = Origin { program: id, stream: kind };
        let mut report = |report| desk.notify(origin.note(report));
        let sink = program.sink(kind);
        sink.set_also(now, also, &mut report);
        if !sink.dest().is(&target) {
            sink.set_dest(now, dest, &mut report);
        }
        if let Dest::File(file) = sink.dest() {
            file.prepare(now, origin, rules);
        }
    }

    fn syslog(&mut self, now: Instant) -> Rc<RefCell<Syslog>> {
        let registry = self.poll.registry();
        let new = || Rc::new(RefCell::new(Syslog::new("/dev/log", registry.try_clone().ok(), now)));
        Rc::clone(self.syslog.get_or_insert_with(new))
    }

    fn shared_file(&mut self, now: Instant, path: &Path, rules: Rules) -> Arc<Handle> {
        if let Some(file) = self.files.get(path).and_then(Weak::upgrade) {
            return file;
        }
        self.files.retain(|_, file| file.strong_count() > 0);
        let path: Arc<Path> = Arc::from(path);
        let file = Arc::new(Handle::new(&self.desk, Arc::clone(&path), rules, now));
        self.files.insert(path, Arc::downgrade(&file));
        file
    }

    fn tokens(&self, of: impl Fn(&Pipe) -> bool) -> Vec<usize> {
        self.pipes.iter().filter(|(_, pipe)| of(pipe)).map(|(token, _)| *token).collect()
    }

    /// Reads what is in the pipes now. Bounded by twice a pipe's size: somebody may still be writing.
    fn drain(&mut self, now: Instant, tokens: &[usize]) {
        for token in tokens {
            for _ in 0..2 {
                match self.read(now, *token, false) {
                    Outcome::More => {}
                    Outcome::Empty | Outcome::Paused => break,
                    Outcome::Closed => {
                        self.close(*token);
                        break;
                    }
                }
            }
        }
    }

    fn leader_exited(&mut self, now: Instant, program: ProgramId, generation: Generation) {
        let tokens = self.tokens(|pipe| pipe.program == program && pipe.generation == generation);
        self.drain(now, &tokens);
        let sinks = self.programs.get(&program);
        let last_line = sinks.and_then(|program| program.err.last_line().or_else(|| program.out.last_line()));
        let note = TellAtEnd::new(Note::Drained { program, generation, last_line }, self.desk.notifier());
        for sink in sinks.iter().flat_map(|program| [&program.out, &program.err]) {
            if let Dest::File(file) = sink.dest() {
                file.when_written(now, Arc::clone(&note));
            }
        }
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
    pub(super) fn end_lines(&mut self, now: Instant, id: ProgramId) {
        let Pump { programs, desk, .. } = self;
        if let Some(program) = programs.get_mut(&id) {
            for kind in [StreamKind::Stdout, StreamKind::Stderr] {
                let origin = Origin { program: id, stream: kind };
                program.sink(kind).flush_partial(now, &mut |report| desk.notify(origin.note(report)));
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
        for (id, program) in &mut self.programs {
            for stream in [StreamKind::Stdout, StreamKind::Stderr] {
                if let Dest::File(file) = program.sink(stream).dest() {
                    file.reopen(now, Origin { program: *id, stream });
                }
            }
        }
    }

    /// The file has more than the ring, but not just after a rotation or while it can't be written.
    fn tail(&mut self, now: Instant, id: ProgramId, kind: StreamKind, bytes: usize) -> Vec<u8> {
        let Some(program) = self.programs.get_mut(&id) else { return Vec::new() };
        let kept = usize::try_from(program.config.log_buffer).unwrap_or(usize::MAX);
        let sink = program.sink(kind);
        let memory = sink.newest(bytes.min(kept));
        let Dest::File(file) = sink.dest() else { return memory };
        let read = file.call(now, move |file| file.is_regular().then(|| newest_of_files(file.path(), bytes)));
        match read.flatten() {
            Some(Ok(disk)) if disk.len() >= memory.len() => disk,
            Some(Ok(_) | Err(_)) | None => memory,
        }
    }

    fn follow(
        &mut self,
        now: Instant,
        id: ProgramId,
        kind: StreamKind,
        amount: Amount,
        go_on: bool,
        follower: Box<dyn Follower>,
    ) {
        let newest = match amount {
            Amount::Bytes(bytes) => self.tail(now, id, kind, bytes.min(MAX_TAIL)),
            Amount::Lines(lines) => last_lines(self.tail(now, id, kind, MAX_TAIL), lines),
        };
        follower.push(&newest);
        match self.programs.get_mut(&id) {
            Some(program) if go_on => program.followers.add(kind, follower),
            Some(_) | None => follower.finish(),
        }
    }

    fn clear(&mut self, now: Instant, id: ProgramId) -> Result<(), String> {
        let Some(program) = self.programs.get_mut(&id) else { return Ok(()) };
        program.out.clear(now)?;
        program.err.clear(now)
    }
}

/// The end of a log file, and of the one before it where it alone does not hold that much.
fn newest_of_files(path: &Path, bytes: usize) -> io::Result<Vec<u8>> {
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

fn end_of_file(path: &Path, bytes: usize) -> io::Result<Vec<u8>> {
    // O_NONBLOCK: the path may have become a FIFO in this moment.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let length = file.metadata()?.len();
    let count = length.min(bytes as u64);
    let mut buffer = vec![0; usize::try_from(count).unwrap_or(bytes)];
    file.read_exact_at(&mut buffer, length - count)?;
    Ok(buffer)
}
