//! Spawns, and signals to what was spawned.

use std::io;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::sync::Arc;

use super::super::effect::{Input, Signal};
use super::super::environment::{self, Prepared};
use super::{Effects, Owner, Run};
use crate::api::ProcId;
use crate::control::server::ReadyRun;
use crate::failpoint;
use crate::health::no_pipe;
use crate::models::{DefaultOutput, Dialect, ProgramConfig, Readiness};
use crate::process::{Generation, SignalTarget, SpawnError};
use crate::sys;
use crate::sys::signal::{GroupSignal, Leader};
use crate::sys::spawn::Child;

/// So many begins and ends of runs at most wait for the output thread to be woken.
const MOST_UNANNOUNCED_RUNS: usize = 16;

impl Effects {
    pub(super) fn spawn(&mut self, id: ProcId, generation: Generation, config: &Arc<ProgramConfig>) -> Input {
        match self.try_spawn(id, generation, config) {
            Ok((pid, pending)) => Input::Spawned { id, generation, pid, pending },
            Err(error) => Input::SpawnFailed { id, generation, error },
        }
    }

    fn try_spawn(
        &mut self,
        id: ProcId,
        generation: Generation,
        config: &Arc<ProgramConfig>,
    ) -> Result<(i32, bool), SpawnError> {
        failpoint::hit("spawn", || config.name.clone());
        let words = environment::words(config)?;
        let mut prepared = Prepared::new(config, &words, &self.parts.users, self.parts.identity.as_ref())?;
        let console = self.parts.default_output == DefaultOutput::Console;
        // The output thread makes its ends non-blocking.
        let open = |wanted: bool| wanted.then(|| io::pipe().map_err(no_pipe)).transpose();
        let stdout = open(console || config.captures_stdout())?;
        let stderr = open(!config.redirect_stderr && (console || config.captures_stderr()))?;
        let stdin = match config.dialect() {
            Dialect::Supervice => None,
            // A program that reads waits, as under supervisord: at its end it would see none to wait for.
            Dialect::Supervisord => Some(io::pipe().map_err(no_pipe)?),
        };
        let null = self.spawner.null();
        let null = null.as_fd();
        let child_stdin = stdin.as_ref().map_or(null, |(child_end, _)| child_end.as_fd());
        let child_stdout = stdout.as_ref().map_or(null, |(_, child_end)| child_end.as_fd());
        let child_stderr = match &stderr {
            Some((_, child_end)) => child_end.as_fd(),
            None if config.redirect_stderr => child_stdout,
            None => null,
        };
        let ready = ready_pipe(&config.ready)?;
        if let Some(ReadyPipe { variable: Some(name), target, .. }) = &ready {
            prepared.set_variable(name, &target.to_string())?;
        }
        let mut command =
            prepared.command(child_stdin, child_stdout, child_stderr, self.parts.nofile, config.pdeathsig);
        command.fds.extend(ready.as_ref().map(|ready| (ready.target, ready.child_end.as_fd())));
        let child = self.spawner.spawn(command)?;
        let (pid, pending) = (child.pid, child.is_late().is_some());
        warn_if_pending(&config.name, &child);
        // Before all else: a child that nobody knows would never be signalled.
        self.children.insert(pid, Owner::Process(id));
        let stdin = stdin.map(|(_, ours)| ours);
        let tells_ready = ready.is_some();
        let run = Run { generation, child, stdin, tells_ready, reaped: None, told: None, told_outside: Vec::new() };
        self.runs.insert(id, run);
        if let Some(ReadyPipe { reader, .. }) = ready {
            self.parts.server.await_ready(ReadyRun { id, generation }, reader);
        }
        failpoint::hit("spawned", || config.name.clone());
        let ours = |pipe: Option<(io::PipeReader, io::PipeWriter)>| pipe.map(|(reader, _)| OwnedFd::from(reader));
        self.parts.output.attach(id, generation, pid, ours(stdout), ours(stderr));
        self.note_run();
        Ok((pid, pending))
    }

    /// Wakes the output thread if runs have begun or ended. Where many do, a wake-up for each would take the processor from
    /// the programs.
    pub(in crate::core) fn wake_output(&mut self) {
        if std::mem::take(&mut self.unannounced_runs) > 0 {
            self.parts.output.wake();
        }
    }

    /// A run has begun or ended.
    pub(super) fn note_run(&mut self) {
        self.unannounced_runs += 1;
        if self.unannounced_runs >= MOST_UNANNOUNCED_RUNS {
            self.wake_output();
        }
    }

    /// Frees what children no longer need that have executed their program by now; `true` if some still have not. (Nothing
    /// tells of an exec. A task's child is let go of at its end, which has a bound.)
    pub(super) fn probe_pending_execs(&mut self) -> bool {
        let mut left = false;
        for run in self.runs.values_mut().filter(|run| run.child.is_late().is_some()) {
            left |= self.spawner.settle(&mut run.child);
            if run.child.is_late().is_none() {
                log::info!("pid {} has executed its program in the meantime", run.child.pid);
            }
        }
        left
    }

    pub(super) fn signal(&mut self, id: ProcId, generation: Generation, signal: Signal) {
        let Some(run) = self.runs.get(&id) else { return };
        if run.generation != generation {
            return;
        }
        let leader = run.child.leader(run.reaped.is_some());
        send(leader, signal.number, signal.target);
        if signal.resume {
            send(leader, SIGCONT, signal.target);
        }
        match signal.target {
            SignalTarget::Leader => {}
            SignalTarget::Group => self.signal_outside(id, signal),
        }
    }
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

fn ready_pipe(ready: &Readiness) -> Result<Option<ReadyPipe>, SpawnError> {
    let (target, variable) = match ready {
        Readiness::Startsecs | Readiness::Health => return Ok(None),
        Readiness::Fd(number) => (RawFd::from(*number), None),
        Readiness::FdVariable(name) => (FIRST_FREE_FD, Some(name.clone())),
    };
    let (reader, child_end) = io::pipe().map_err(no_pipe)?;
    Ok(Some(ReadyPipe { reader, child_end, target, variable }))
}

/// `SIGCONT`, as the kernel numbers it on every architecture that we build for.
pub(super) const SIGCONT: u8 = 18;

fn send(leader: Leader<'_>, signal: u8, target: SignalTarget) {
    let (who, sent) = match target {
        SignalTarget::Leader => ("pid", sys::signal::signal_leader(leader, signal)),
        SignalTarget::Group => ("process group", sys::signal::signal_group(leader, signal)),
    };
    let pid = leader.pid;
    match sent {
        Ok(GroupSignal::Delivered | GroupSignal::Gone) => {}
        Ok(GroupSignal::Denied) => {
            log::error!("signal {signal} to {who} {pid} was denied: it runs as a user whom this daemon may not signal")
        }
        Err(error) => log::error!("signal {signal} to {who} {pid}: {}", crate::util::errno::reason(&error)),
    }
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
