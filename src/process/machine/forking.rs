//! Programs whose main process is another one than that which was spawned: it has put itself into the background
//! (`type = forking`), or names another one (`MAINPID=`).

use super::super::cause::Cause;
use super::super::failure::Failure;
use super::super::main_process::NoMain;
use super::super::moment::Moment;
use super::super::signal_target::SignalTarget;
use super::super::state::{Exit, ProcessState};
use super::Machine;
use super::action::{Action, KillWhy};
use super::due::Due;
use super::main_search::MainSearch;
use super::phase::{LeaderState, Phase, Run, StopProgress};
use super::startup::Startup;

impl Machine {
    /// It is expected to put itself into the background: its leader's end with 0 is no end of the run.
    pub fn expects_to_fork(&self) -> bool {
        matches!(self.phase, Phase::Starting { startup: Startup::Forking { .. }, .. })
    }

    /// Its leader has ended, and its main process is looked for.
    pub fn is_detached(&self) -> bool {
        matches!(self.phase, Phase::Starting { startup: Startup::Detached { .. }, .. })
    }

    /// Nothing of it is seen, but it may be there all the same: what has made a session and overwritten its environment
    /// is known only by the pid file.
    pub fn may_be_hidden(&self) -> bool {
        if let Phase::Starting { startup: Startup::Detached { search }, .. } = &self.phase {
            return !search.is_slow();
        }
        false
    }

    /// The leader has ended with 0, as it should.
    pub(super) fn detach(&mut self, mut run: Run, give_up_at: Due) -> Phase {
        run.leader = LeaderState::Gone;
        let search = MainSearch::new(give_up_at);
        self.actions.push_back(Action::FindMain { generation: self.generation });
        Phase::Starting { run, startup: Startup::Detached { search: Box::new(search) } }
    }

    /// The time of the next look at the pid file has come.
    pub(super) fn look_for_main(&mut self, run: Run, mut search: Box<MainSearch>) -> Phase {
        search.look_at = None;
        self.actions.push_back(Action::FindMain { generation: self.generation });
        Phase::Starting { run, startup: Startup::Detached { search } }
    }

    /// The answer to a `FindMain` action: there is none, or none yet.
    pub(super) fn no_main(&mut self, now: Moment, phase: Phase, found: NoMain) -> Phase {
        match phase {
            Phase::Starting { run, startup: Startup::Detached { mut search } } => {
                if found.is_final() && search.found == Some(found) {
                    let failure = no_main(&run, found, None);
                    return self.start_failed(now, run, failure);
                }
                search.schedule_next(now, found);
                Phase::Starting { run, startup: Startup::Detached { search } }
            }
            Phase::Stopped
            | Phase::Exited { .. }
            | Phase::Fatal { .. }
            | Phase::Backoff { .. }
            | Phase::Waiting { .. }
            | Phase::PreStart { .. }
            | Phase::Up { .. }
            | Phase::Ending { .. }
            | Phase::Spawning { .. }
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Unhealthy { .. }
            | Phase::Stopping { .. } => phase,
        }
    }

    /// The search has taken too long.
    pub(super) fn give_up_search(&mut self, now: Moment, run: Run, search: &MainSearch) -> Phase {
        let seconds = Some(run.config.start_timeout);
        let failure = no_main(&run, search.found.unwrap_or(NoMain::NoFile), seconds);
        self.start_failed(now, run, failure)
    }

    /// Nothing is left of a run whose main process is looked for: it has ended as if it had never put itself into the
    /// background.
    pub(super) fn nothing_detached(&mut self, now: Moment, run: Run, search: &MainSearch) -> Phase {
        let failure = Failure::LeftNothing { age_ms: super::life::millis(run.age(now)), found: search.found };
        self.note_end(now, &run, Exit::Code(0));
        self.announce_exit(ProcessState::Starting, &run, Exit::Code(0), now);
        let remains = self.clean_up_of(&run.config);
        self.failed_attempt(now, ProcessState::Exited, failure.into(), remains)
    }

    /// Another process is the main one from now on.
    pub(super) fn main_found(&mut self, now: Moment, mut phase: Phase, pid: i32) -> Phase {
        let Some(run) = phase.run_mut() else { return phase };
        let was = std::mem::replace(&mut run.pid, pid);
        run.leader = LeaderState::Alive;
        self.actions.push_back(Action::NoteMain { was });
        match phase {
            Phase::Starting { run, startup: Startup::Forking { .. } | Startup::Detached { .. } } => {
                self.begin_after_fork(now, run)
            }
            // The one before was told to end, alone. What is sent to the whole run, whoever sends it passes on.
            Phase::Stopping { group, then, .. } => {
                if let StopProgress::Stopping { target: SignalTarget::Leader, step, .. } = group.progress
                    && let Some(present) = group.run.stop_step(step)
                {
                    self.signal(present.signal, SignalTarget::Leader, KillWhy::Requested);
                }
                Phase::Stopping { leader: LeaderState::Alive, group, then }
            }
            Phase::Stopped
            | Phase::Exited { .. }
            | Phase::Fatal { .. }
            | Phase::Backoff { .. }
            | Phase::Waiting { .. }
            | Phase::PreStart { .. }
            | Phase::Up { .. }
            | Phase::Ending { .. }
            | Phase::Spawning { .. }
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Unhealthy { .. } => phase,
        }
    }

    /// What follows when it is in the background: `RUNNING`, unless more is asked for.
    fn begin_after_fork(&mut self, now: Moment, run: Run) -> Phase {
        let is_ready = run.notify_state.as_ref().is_some_and(|told| told.ready);
        let startup = Startup::until_ready(&run.config, run.started, now);
        match startup {
            Startup::Ready { sign, .. } if is_ready => self.is_ready(now, run, sign),
            startup => self.begin(now, run, startup, Cause::InBackground),
        }
    }
}

fn no_main(run: &Run, found: NoMain, seconds: Option<u32>) -> Failure {
    let path = run.config.pidfile.as_deref().unwrap_or_default();
    let path = crate::util::truncate::to_bytes(path, MAX_PATH_BYTES).into();
    Failure::NoMain { path, found, seconds }
}

/// Bytes of a path that are told.
const MAX_PATH_BYTES: usize = 200;
