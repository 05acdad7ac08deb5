//! What the daemon asks of the reading thread.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Instant;

use mio::unix::SourceFd;
use mio::{Interest, Token};
use nix::fcntl::{FcntlArg, OFlag, fcntl};

use super::super::file::Rules;
use super::super::file_queue::TellAtEnd;
use super::super::follow::{Subscription, last_lines};
use super::super::line_format::Source;
use super::super::messages::{Amount, LogPart};
use super::super::request::{Clear, Follow, MAX_TAIL_BYTES, Read, Request, Tail};
use super::super::responder::Responder;
use super::super::sink::{Dest, Lines};
use super::super::target::Target;
use super::reading::escapes_of;
use super::*;

/// One pipe that waits would stop all others: make sure, instead of trusting the caller.
pub(super) fn set_nonblocking(fd: &OwnedFd) -> io::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    fcntl(fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}

impl Pump {
    pub(super) fn handle_command(&mut self, now: Instant, command: Command) {
        match command {
            Command::Configure { program, config } => self.configure(now, program, config),
            Command::Attach { program, generation, pid, stdout, stderr } => {
                if let Some(program) = self.programs.get_mut(&program) {
                    program.ready_line = ReadyLine::of(&program.config, generation);
                }
                self.begin_watch(now, program, generation);
                self.attach(now, program, generation, pid, StreamKind::Stdout, stdout);
                self.attach(now, program, generation, pid, StreamKind::Stderr, stderr);
            }
            Command::AttachStdin { program, generation, fd } => self.attach_stdin(program, generation, fd),
            #[cfg(feature = "attach")]
            Command::AttachTerminal { program, generation, pid, terminal } => {
                self.begin_watch(now, program, generation);
                self.attach_terminal(now, program, generation, pid, terminal);
            }
            #[cfg(feature = "attach")]
            Command::Watch { program, stream, subscription } => self.watch_stream(program, stream, subscription),
            #[cfg(feature = "attach")]
            Command::TypeIn { program, keyboard } => self.write_input(program, keyboard),
            #[cfg(feature = "attach")]
            Command::Barrier { responder } => responder.respond(()),
            Command::TellSilence { program, generation, long } => self.report_silence(now, program, generation, long),
            Command::WriteStdin { program, bytes, responder } => {
                responder.respond(self.write_stdin(program, &bytes));
            }
            Command::TellListeners { kind, payload } => self.notify_listeners(now, kind, &payload),
            Command::SetListenerRunning { program, is_running } => {
                let acts = self.listeners.set_running(now, program, is_running);
                self.do_for_listeners(acts);
            }
            Command::LeaderExited { program, generation } => self.leader_exited(now, program, generation),
            Command::RunEnded { program, generation } => self.run_ended(now, program, generation),
            Command::Remove { program } => self.remove(now, program),
            Command::AttachTask { task, program, output } => self.attach_task(now, task, program, output),
            Command::TaskExited { task } => self.task_exited(now, task),
            Command::SetDefault { settings } => self.set_default(now, settings),
            Command::Reopen => self.reopen(now),
            Command::Tail { program, stream, bytes, responder } => {
                self.tail(now, program, stream, bytes.min(MAX_TAIL_BYTES), responder);
            }
            Command::Read { program, stream, from, length, responder } => {
                let size = self.programs.get_mut(&program).map_or(0, |program| program.sink(stream).all_bytes());
                let memory = self.memory(program, stream, usize::MAX);
                let memory = LogPart::of_memory(&memory, size, from, length);
                let file = self.file_of(now, program, stream);
                let request = Request::Read(Read::new(from, length, memory, responder));
                self.ask_writers(now, file.as_slice(), request);
            }
            #[cfg(feature = "http")]
            Command::Written { programs, responder } => {
                let written = |id: &ProgramId| self.programs.get(id).map_or([0, 0], |program| program.written);
                responder.respond(programs.iter().map(written).collect());
            }
            Command::Follow { program, stream, amount, go_on, subscription } => {
                self.follow(now, program, stream, amount, go_on, subscription);
            }
            Command::Clear { program, responder } => self.clear(now, program, responder),
            Command::Shutdown { deadline, done } => self.finish = Some((deadline, done)),
        }
    }

    fn configure(&mut self, now: Instant, id: ProgramId, config: Arc<ProgramConfig>) {
        self.listeners.configure(id, &config, crate::sys::time::wall_clock().1);
        match self.programs.get_mut(&id) {
            Some(program) => {
                program.config = config;
                self.prepare_sinks_of_run(now, id);
            }
            None => {
                let followers = Followers::default();
                let (out, err) = (Sink::default(), Sink::default());
                let program = Program {
                    config,
                    pid: 0,
                    out,
                    err,
                    followers,
                    communications: None,
                    stdin: None,
                    ready_line: None,
                    output_watch: None,
                    pipes: Vec::new(),
                    escapes: Default::default(),
                    #[cfg(feature = "http")]
                    written: [0, 0],
                };
                self.programs.insert(id, Box::new(program));
            }
        }
    }

    /// What has changed acts at once on a program that runs.
    fn prepare_sinks_of_run(&mut self, now: Instant, id: ProgramId) {
        for kind in [StreamKind::Stdout, StreamKind::Stderr] {
            if !self.tokens(id, |pipe| pipe.kind == kind).is_empty() {
                self.prepare_sink(now, id, kind);
            }
        }
    }

    fn set_default(&mut self, now: Instant, settings: Settings) {
        self.listeners.identifier.clone_from(&settings.identifier);
        self.settings = settings;
        let programs: Vec<ProgramId> = self.programs.keys().copied().collect();
        for program in programs {
            // What stands before a line is made when the target is.
            let Pump { programs, pool, .. } = self;
            let Some(entry) = programs.get_mut(&program) else { continue };
            for stream in [StreamKind::Stdout, StreamKind::Stderr] {
                let origin = Origin { program, stream };
                let sink = entry.sink(stream);
                if let Dest::Lines(_) = sink.dest() {
                    sink.set_dest(now, origin, Dest::Nothing, &mut |report| pool.notify(origin.note(report)));
                }
            }
            self.prepare_sinks_of_run(now, program);
        }
    }

    pub(super) fn attach(
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
            *escapes_of(&mut program.escapes, kind) = Escapes::default();
        }
        self.prepare_sink(now, id, kind);
        if let Err(error) = self.register(id, generation, kind, fd) {
            log::error!(
                "output: cannot watch the {} of program {id}: {}; its output is lost",
                kind.as_str(),
                crate::util::errno::reason(&error)
            );
        }
    }

    fn register(
        &mut self,
        program: ProgramId,
        generation: Generation,
        kind: StreamKind,
        fd: OwnedFd,
    ) -> io::Result<()> {
        let (token, file) = self.watch(fd)?;
        let pipe = Pipe {
            file,
            program,
            generation,
            kind,
            hung_up: false,
            is_at_end: false,
            queued: false,
            full_reads: 0,
            size: BLOCK_BYTES,
            may_grow: true,
            #[cfg(feature = "attach")]
            is_terminal: false,
        };
        self.pipes.insert(token, Box::new(pipe));
        if let Some(program) = self.programs.get_mut(&program) {
            program.pipes.push(token);
        }
        Ok(())
    }

    /// Is told from now on when there is something to read; by which token.
    pub(super) fn watch(&mut self, fd: OwnedFd) -> io::Result<(usize, File)> {
        set_nonblocking(&fd)?;
        let token = self.next_token;
        self.next_token = self.next_token.checked_add(1).unwrap_or(WAKER.0 + 1);
        let file = File::from(fd);
        self.poll.registry().register(&mut SourceFd(&file.as_raw_fd()), Token(token), Interest::READABLE)?;
        Ok((token, file))
    }

    /// Opens what the present settings ask for, unless it is open.
    pub(super) fn prepare_sink(&mut self, now: Instant, id: ProgramId, kind: StreamKind) {
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
        let Pump { programs, pool, .. } = self;
        let Some(program) = programs.get_mut(&id) else { return };
        let origin = Origin { program: id, stream: kind };
        let mut report = |report| pool.notify(origin.note(report));
        let sink = program.sink(kind);
        sink.set_also(now, also, &mut report);
        if !sink.dest().is(&target) {
            sink.set_dest(now, origin, dest, &mut report);
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

    fn shared_file(&mut self, now: Instant, path: &Path, rules: Rules) -> Arc<FileQueue> {
        if let Some(file) = self.files.get(path).and_then(Weak::upgrade) {
            return file;
        }
        self.forget_closed_files();
        let path: Arc<Path> = Arc::from(path);
        let file = Arc::new(FileQueue::new(&self.pool, Arc::clone(&path), rules, now));
        self.files.insert(path, Arc::downgrade(&file));
        file
    }

    /// The pipes of a program that are such.
    pub(super) fn tokens(&self, program: ProgramId, such: impl Fn(&Pipe) -> bool) -> Vec<usize> {
        let Some(program) = self.programs.get(&program) else { return Vec::new() };
        let is_such = |token: &usize| self.pipes.get(token).is_some_and(|pipe| such(pipe));
        program.pipes.iter().copied().filter(is_such).collect()
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
        self.close_stdin(program, Some(generation));
        let tokens = self.tokens(program, |pipe| pipe.generation == generation);
        self.drain(now, &tokens);
        let acts = self.listeners.end_run(now, program);
        self.do_for_listeners(acts);
        let sinks = self.programs.get(&program);
        let last_line = sinks.and_then(|program| program.err.last_line().or_else(|| program.out.last_line()));
        let note = TellAtEnd::new(Note::Drained { program, generation, last_line }, self.pool.notifier());
        for sink in sinks.iter().flat_map(|program| [&program.out, &program.err]) {
            if let Dest::File(file) = sink.dest() {
                file.when_written(now, Arc::clone(&note));
            }
        }
    }

    fn run_ended(&mut self, now: Instant, program: ProgramId, generation: Generation) {
        let tokens = self.tokens(program, |pipe| pipe.generation == generation);
        self.drain(now, &tokens);
        for token in tokens {
            self.close(token);
        }
        self.end_lines(now, program);
    }

    /// Passes on what a program's streams hold of a line.
    pub(super) fn end_lines(&mut self, now: Instant, id: ProgramId) {
        let Pump { programs, pool, .. } = self;
        if let Some(program) = programs.get_mut(&id) {
            for kind in [StreamKind::Stdout, StreamKind::Stderr] {
                let origin = Origin { program: id, stream: kind };
                let mut rest = program.rest_of_communication(kind);
                if !rest.is_empty() {
                    let (length, kept) = (rest.len(), program.ring_limit());
                    let mut report = |report| pool.notify(origin.note(report));
                    program.sink(kind).write(now, origin, &mut rest, length, kept, &mut report);
                }
                program.sink(kind).flush_partial(now, true, &mut |report| pool.notify(origin.note(report)));
            }
        }
    }

    fn remove(&mut self, now: Instant, program: ProgramId) {
        self.listeners.remove(program, crate::sys::time::wall_clock().1);
        self.close_stdin(program, None);
        let tokens = self.tokens(program, |_| true);
        self.drain(now, &tokens);
        for token in tokens {
            self.close(token);
        }
        self.end_lines(now, program);
        #[cfg(feature = "attach")]
        self.forget_keyboards(program);
        self.programs.remove(&program);
        self.forget_closed_files();
    }

    /// Forgets the files that nobody writes to any more, once there may be as many of them as of others.
    fn forget_closed_files(&mut self) {
        if self.files.len() >= self.most_files {
            self.files.retain(|_, file| file.strong_count() > 0);
            self.most_files = (2 * self.files.len()).max(MIN_FILES_SEARCHED);
        }
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

    /// The newest output in memory, at most `bytes`; nothing for a program that is not known.
    fn memory(&mut self, id: ProgramId, kind: StreamKind, bytes: usize) -> Vec<u8> {
        let Some(program) = self.programs.get_mut(&id) else { return Vec::new() };
        let kept = usize::try_from(program.config.log_buffer).unwrap_or(usize::MAX);
        program.sink(kind).newest(bytes.min(kept))
    }

    fn file_of(&mut self, now: Instant, id: ProgramId, kind: StreamKind) -> Option<Arc<FileQueue>> {
        let program = self.programs.get_mut(&id)?;
        match program.sink(kind).dest() {
            Dest::File(file) => return Some(Arc::clone(file)),
            Dest::Lines(_) => return None,
            Dest::Nothing => {}
        }
        // It has not run yet: an earlier daemon may have left a log.
        let config = Arc::clone(&program.config);
        match Target::of(&config, kind, self.settings.default_output) {
            Target::File(path) => Some(self.shared_file(now, &path, Rules::of(&config, kind))),
            Target::Nothing | Target::Console { .. } | Target::Syslog => None,
        }
    }

    /// Has the writers of the files answer; without files, or where the disk does not answer, it is answered at once.
    fn ask_writers(&mut self, now: Instant, files: &[Arc<FileQueue>], request: Request) {
        let is_taken = !files.is_empty() && files.iter().all(|file| file.request(now, request.clone()));
        if is_taken {
            self.requests.push((now + WRITER_ANSWERS_WITHIN, request));
        } else {
            request.expire();
        }
    }

    fn tail(&mut self, now: Instant, id: ProgramId, kind: StreamKind, bytes: usize, responder: Responder<Vec<u8>>) {
        let memory = self.memory(id, kind, bytes);
        let file = self.file_of(now, id, kind);
        self.ask_writers(now, file.as_slice(), Request::Tail(Tail::new(bytes, memory, responder)));
    }

    fn follow(
        &mut self,
        now: Instant,
        id: ProgramId,
        kind: StreamKind,
        amount: Amount,
        go_on: bool,
        subscription: Arc<Subscription>,
    ) {
        let memory = match amount {
            Amount::Bytes(bytes) => self.memory(id, kind, bytes.min(MAX_TAIL_BYTES)),
            Amount::Lines(lines) => last_lines(self.memory(id, kind, MAX_TAIL_BYTES), lines),
        };
        let go_on = go_on && self.programs.contains_key(&id);
        subscription.begin_here(memory, go_on);
        let file = self.file_of(now, id, kind);
        let request = Request::Follow(Follow::new(Arc::clone(&subscription), amount));
        self.ask_writers(now, file.as_slice(), request);
        if let Some(program) = self.programs.get_mut(&id).filter(|_| go_on) {
            program.followers.add(kind, subscription);
        }
    }

    fn clear(&mut self, now: Instant, id: ProgramId, responder: Responder<Result<(), String>>) {
        let mut files: Vec<Arc<FileQueue>> = Vec::new();
        for kind in [StreamKind::Stdout, StreamKind::Stderr] {
            if let Some(program) = self.programs.get_mut(&id) {
                program.sink(kind).clear_memory();
            }
            // Both streams may be in one file.
            files
                .extend(self.file_of(now, id, kind).filter(|file| files.iter().all(|known| !Arc::ptr_eq(known, file))));
        }
        let paths: Vec<PathBuf> = files.iter().map(|file| file.path().to_owned()).collect();
        self.ask_writers(now, &files, Request::Clear(Clear::new(paths, responder)));
    }
}
