//! Spawns, and signals to what was spawned.

use std::collections::VecDeque;
use std::io;
use std::num::NonZeroU64;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::super::effect::{Input, OwedResult, Signal};
use super::super::environment::{self, Prepared};
use super::main_process::ForkingRun;
use super::notify::NotifyRun;
use super::signals::{SIGCONT, send};
use super::{Effects, Owner, Run};
use crate::api::ProcId;
use crate::control::server::{AwaitedPath, ReadyRun, Until};
use crate::failpoint;
use crate::health::no_pipe;
use crate::models::{DefaultOutput, ProgramConfig, Readiness, Stdin, StopScope};
use crate::process::{Generation, Moment, SignalTarget, SpawnError};
use crate::sys;
use crate::sys::path_events::FileState;
use crate::sys::spawn::{BegunChild, Child};

/// The most begins and ends of runs that may wait until the output thread is woken.
const MAX_UNANNOUNCED_RUNS: usize = 16;
/// How long ends of runs are gathered while the daemon ends. Their pipes wake the output thread by themselves.
const GATHERING_AT_THE_END: Duration = Duration::from_millis(2);

impl Effects {
    /// Begins a spawn; [`finish_spawn`](Self::finish_spawn) ends it. What has failed by then is returned.
    pub(super) fn spawn(&mut self, id: ProcId, generation: Generation, config: Arc<ProgramConfig>) -> Option<Input> {
        #[cfg(feature = "http")]
        let begun_at = sys::time::now();
        match self.begin_spawn(id, &config) {
            Ok((child, pipes)) => {
                self.begun_spawns.push_back(BegunSpawn {
                    id,
                    generation,
                    config,
                    child,
                    pipes,
                    #[cfg(feature = "http")]
                    begun_at,
                });
                None
            }
            Err(error) => Some(Input::SpawnFailed { id, generation, error }),
        }
    }

    fn begin_spawn(&mut self, id: ProcId, config: &Arc<ProgramConfig>) -> Result<(BegunChild, OwnEnds), SpawnError> {
        failpoint::hit("spawn", || config.name.clone());
        let words = environment::words(config)?;
        let mut prepared = Prepared::new(config, &words, &self.parts.users, self.parts.identity.as_ref())?;
        let console = self.parts.default_output == DefaultOutput::Console;
        // The output thread makes its ends non-blocking.
        let open = |wanted: bool| wanted.then(|| io::pipe().map_err(no_pipe)).transpose();
        // Our end, and the child's.
        #[cfg(feature = "attach")]
        let terminal = self.open_terminal(id, config, &mut prepared)?;
        #[cfg(not(feature = "attach"))]
        let terminal: Option<(OwnedFd, OwnedFd)> = None;
        let piped = terminal.is_none();
        let stdout = open(piped && (console || config.captures_stdout()))?;
        let stderr = open(piped && !config.redirect_stderr && (console || config.captures_stderr()))?;
        let stdin = open(piped && config.stdin == Stdin::Pipe)?;
        if let owner @ (Some(_), _) = prepared.owner() {
            for (_, child_end) in stdout.iter().chain(&stderr) {
                chown_pipe(child_end, owner);
            }
        }
        if let Stdin::File(path) = &config.stdin {
            prepared.set_stdin_file(path)?;
        }
        let socket = self.fcgi_sockets.of(id, config, &prepared, &self.parts.users)?;
        let null = self.spawner.null();
        let null = null.as_fd();
        // All three, where it has one.
        let default = terminal.as_ref().map_or(null, |(_, childs)| childs.as_fd());
        let child_stdin = match (&stdin, &socket) {
            (Some((child_end, _)), _) => child_end.as_fd(),
            (None, Some(socket)) => socket.as_fd(),
            (None, None) => default,
        };
        let child_stdout = stdout.as_ref().map_or(default, |(_, child_end)| child_end.as_fd());
        let child_stderr = match &stderr {
            Some((_, child_end)) => child_end.as_fd(),
            None if config.redirect_stderr => child_stdout,
            None => default,
        };
        let ready = ready_pipe(&config.ready)?;
        if let Some(ReadyPipe { variable: Some(name), target, .. }) = &ready {
            prepared.set_variable(name, &target.to_string())?;
        }
        let path = self.path_before(&config.ready)?;
        let notify = self.prepare_notify(config, &mut prepared)?;
        let forking = self.prepare_forking(config)?;
        let mut command =
            prepared.command(child_stdin, child_stdout, child_stderr, self.parts.former, config.pdeathsig);
        command.fds.extend(ready.as_ref().map(|ready| (ready.target, ready.child_end.as_fd())));
        for begun in &mut self.begun_spawns {
            self.spawner.reclaim(&mut begun.child);
        }
        let child = self.spawner.begin(command)?;
        let read = |pipe: Option<(io::PipeReader, io::PipeWriter)>| pipe.map(|(reader, _)| OwnedFd::from(reader));
        let pipes = OwnEnds {
            stdin: stdin.map(|(_, writer)| OwnedFd::from(writer)),
            stdout: read(stdout),
            stderr: read(stderr),
            terminal: terminal.map(|(ours, _)| ours),
            ready: ready.map(|ready| ready.reader),
            path,
            notify,
            forking,
        };
        Ok((child, pipes))
    }

    /// How many spawns may be under way while something else is done.
    pub(in crate::core) fn most_begun_spawns(&self) -> usize {
        self.spawner.most_begun()
    }

    /// The result that is owed of the oldest spawn that is under way, if it has ended or there are more than `most`.
    pub(in crate::core) fn unfinished_spawn(&self, most: usize) -> Option<OwedResult> {
        let is_due = |oldest: &&BegunSpawn| self.begun_spawns.len() > most || oldest.child.is_done();
        let oldest = self.begun_spawns.front().filter(is_due)?;
        Some(OwedResult::Spawn { id: oldest.id, generation: oldest.generation })
    }

    /// Waits until the oldest spawn that is under way has executed its program.
    pub(in crate::core) fn finish_spawn(&mut self, results: &mut Vec<Input>) {
        let Some(begun) = self.begun_spawns.pop_front() else { return };
        if self.begun_spawns.is_empty() {
            // Room for all that were under way at one time, which hardly ever happens but at the start.
            self.begun_spawns = VecDeque::new();
        }
        let (id, generation) = (begun.id, begun.generation);
        #[cfg(feature = "http")]
        let begun_at = begun.begun_at;
        results.push(match self.end_spawn(begun) {
            Ok((pid, pending)) => {
                #[cfg(feature = "http")]
                self.figures.spawns.add(sys::time::now().saturating_duration_since(begun_at));
                Input::Spawned { id, generation, pid, pending }
            }
            Err(error) => Input::SpawnFailed { id, generation, error },
        });
    }

    fn end_spawn(&mut self, begun: BegunSpawn) -> Result<(i32, bool), SpawnError> {
        let BegunSpawn { id, generation, config, child, pipes, .. } = begun;
        let OwnEnds { stdin, stdout, stderr, terminal, ready, path, notify, forking } = pipes;
        let child = self.spawner.finish(child)?;
        let (pid, pending) = (child.pid, child.is_late().is_some());
        warn_if_pending(&config.name, &child);
        // Before all else: a child that nobody knows would never be signalled.
        self.children.insert(pid, Owner::Process(id));
        let tells_ready = ready.is_some() || path.is_some();
        let outputs = [&stdout, &stderr].map(|pipe| pipe.as_ref().and_then(|pipe| sys::proc::pipe_inode(pipe.as_fd())));
        let started = (notify.is_some() || forking.is_some()).then(|| sys::proc::stat(pid)).flatten();
        let run = Run {
            generation,
            config: Arc::clone(&config),
            child,
            outputs,
            tells_ready,
            main: None,
            next_main: None,
            is_group_alone: config.stop_scope == StopScope::Group,
            forking: forking.map(Box::new),
            started: started.and_then(|stat| NonZeroU64::new(stat.start_time)),
            notify,
            left_no_orphan: false,
            reaped: None,
            last_signal: None,
            signalled_groups: Vec::new(),
        };
        self.runs.insert(id, Box::new(run));
        if let Some(reader) = ready {
            self.had_ready_pipe = true;
            self.parts.server.await_ready(ReadyRun { id, generation }, reader);
        }
        if let Some((path, before)) = path {
            self.parts.server.await_path(AwaitedPath {
                run: ReadyRun { id, generation },
                path,
                until: Until::Changed { before },
            });
        }
        failpoint::hit("spawned", || config.name.clone());
        match terminal {
            #[cfg(feature = "attach")]
            Some(terminal) => self.attach_terminal(id, generation, pid, terminal),
            #[cfg(not(feature = "attach"))]
            Some(_) => {}
            None => self.parts.output.attach(id, generation, pid, stdout, stderr),
        }
        if let Some(writer) = stdin {
            self.parts.output.attach_stdin(id, generation, writer);
        }
        self.note_run();
        Ok((pid, pending))
    }

    /// The path that a program is ready by, and what is there now: it is to be another thing, not what an earlier run
    /// has left. The clock does not tell that: a board may have none that goes on while it is off.
    fn path_before(&self, ready: &Readiness) -> Result<Option<PathBefore>, SpawnError> {
        let Readiness::Path(path) = ready else { return Ok(None) };
        Ok(Some((Path::new(path).into(), self.parts.users.file_state(path)?)))
    }

    /// Wakes the output thread if runs have begun or ended. Where many do, a wake-up for each would take the processor
    /// from the programs: while the daemon ends they are gathered. When this is to be called again, if nothing happens
    /// before.
    pub(in crate::core) fn wake_output(&mut self) -> Option<Moment> {
        if self.unannounced_runs == 0 {
            return None;
        }
        if self.is_ending {
            let now = sys::time::now();
            let due = *self.unannounced_since.get_or_insert(now) + GATHERING_AT_THE_END;
            if now < due {
                return Some(due);
            }
        }
        self.announce_runs();
        None
    }

    fn announce_runs(&mut self) {
        self.unannounced_runs = 0;
        self.unannounced_since = None;
        self.parts.output.wake();
    }

    /// A run has begun or ended.
    pub(super) fn note_run(&mut self) {
        self.unannounced_runs += 1;
        if self.unannounced_runs >= MAX_UNANNOUNCED_RUNS {
            self.announce_runs();
        }
    }

    /// Frees what children no longer need that have executed their program by now; `true` if some still have not.
    /// (Nothing tells of an exec. A task's child is let go of at its end, which has a bound.)
    pub(super) fn probe_pending_execs(&mut self, results: &mut Vec<Input>) -> bool {
        let mut left = false;
        for (id, run) in self.runs.iter_mut().filter(|(_, run)| run.child.is_late().is_some()) {
            left |= self.spawner.reclaim_late(&mut run.child);
            // One that was killed before it was executed no longer uses our memory either.
            let was_executed = || run.reaped.is_none() && sys::proc::has_executed(run.child.pid) != Some(false);
            if run.child.is_late().is_none() && was_executed() {
                let (name, pid) = (&run.config.name, run.child.pid);
                log::info!("{name}: pid {pid} has executed its program in the meantime");
                results.push(Input::Executed { id: *id, generation: run.generation });
            }
        }
        left
    }

    pub(super) fn signal(&mut self, id: ProcId, generation: Generation, signal: Signal) {
        let Some(run) = self.runs.get_mut(&id) else { return };
        if run.generation != generation {
            return;
        }
        run.refresh_main();
        for number in [Some(signal.number), signal.resume.then_some(SIGCONT)].into_iter().flatten() {
            match signal.target {
                SignalTarget::Leader => send(&run.config.name, run.leader(), number, signal.target),
                SignalTarget::Group => {
                    run.groups().for_each(|group| send(&run.config.name, group, number, signal.target));
                }
            }
        }
        match signal.target {
            SignalTarget::Leader => {}
            SignalTarget::Group => self.signal_outside(id, signal),
        }
    }
}

/// A path, and what was there before a start.
type PathBefore = (Arc<Path>, Option<FileState>);

/// A spawn that is under way: while children execute their programs, the next is prepared.
pub(super) struct BegunSpawn {
    id: ProcId,
    generation: Generation,
    config: Arc<ProgramConfig>,
    child: BegunChild,
    pipes: OwnEnds,
    /// When it began.
    #[cfg(feature = "http")]
    begun_at: Moment,
}

/// The daemon's ends of what connects it with a child.
struct OwnEnds {
    stdin: Option<OwnedFd>,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
    /// In the place of these three.
    terminal: Option<OwnedFd>,
    ready: Option<io::PipeReader>,
    /// The path that tells that it is ready, and what was there before.
    path: Option<PathBefore>,
    /// Who may tell of it on the notification socket.
    notify: Option<NotifyRun>,
    /// What there was before it puts itself into the background.
    forking: Option<ForkingRun>,
}

/// The pipe on which a program tells that it is ready.
struct ReadyPipe {
    reader: io::PipeReader,
    child_end: io::PipeWriter,
    /// The number of its end in the child.
    target: RawFd,
    /// The variable that tells the number.
    variable: Option<String>,
}

/// The number of a readiness descriptor that a variable tells of: behind the standard streams.
const FIRST_FREE_FD: RawFd = 3;

/// Makes a pipe that of a program's user, who could not open `/dev/stdout` otherwise: its path leads to the pipe, which
/// has an owner and a mode as a file has.
fn chown_pipe(pipe: &io::PipeWriter, owner: (Option<u32>, Option<u32>)) {
    // Who may become another user but not do this can still write to what is inherited.
    let _ = std::os::unix::fs::fchown(pipe, owner.0, owner.1);
}

fn ready_pipe(ready: &Readiness) -> Result<Option<ReadyPipe>, SpawnError> {
    let (target, variable) = match ready {
        Readiness::Startsecs
        | Readiness::Notify
        | Readiness::Health
        | Readiness::Path(_)
        | Readiness::Accepts(_)
        | Readiness::Http(_)
        | Readiness::Log(_)
        | Readiness::Command(_) => return Ok(None),
        Readiness::Fd(number) => (RawFd::from(*number), None),
        Readiness::FdVariable(name) => (FIRST_FREE_FD, Some(name.clone())),
    };
    let (reader, child_end) = io::pipe().map_err(no_pipe)?;
    Ok(Some(ReadyPipe { reader, child_end, target, variable }))
}

pub(super) fn warn_if_pending(name: &str, child: &Child) {
    if let Some(waited) = child.is_late() {
        log::warn!(
            "{name}: pid {} has not executed its program within {} ms; does the file system of its directory, its program or \
             its interpreter answer?",
            child.pid,
            waited.as_millis()
        );
    }
}
