//! The life of one process as a pure state machine.
//!
//! It knows no system call, no clock, no thread and no log: it is told what happened and when
//! ([`Machine::handle_event`], [`Machine::handle_timeout`]) and answers with what is to be done
//! ([`Machine::poll_action`]) and when it wants to be woken ([`Machine::poll_timeout`]).

use std::sync::Arc;
use std::time::Instant;

use super::state::{Exit, ProcessState, SpawnError};
use crate::models::ProgramConfig;

/// Counts the runs of a process; an answer that carries an older generation changes nothing.
pub type Generation = u64;

/// What happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// An operator (or the daemon, for `autostart`) wants it up; retry counters are reset.
    StartRequested,
    /// An operator (or the shutdown) wants it down.
    StopRequested,
    /// SIGKILL its group now and keep it down.
    KillRequested,
    /// Stop, then start; with `force` by SIGKILL at once.
    RestartRequested {
        /// Skip the stop signal.
        force: bool,
    },
    /// The `Spawn` action has succeeded.
    Spawned {
        /// The run that it was for.
        generation: Generation,
        /// The new process, leader of its own group.
        pid: i32,
    },
    /// The `Spawn` action has failed.
    SpawnFailed {
        /// The run that it was for.
        generation: Generation,
        /// Why.
        error: SpawnError,
    },
    /// The leader has ended and was reaped.
    Exited {
        /// The run that ended.
        generation: Generation,
        /// How.
        exit: Exit,
    },
    /// After the leader's end: nothing is left of its process group.
    GroupEmpty {
        /// The run that it was.
        generation: Generation,
    },
    /// The answer to a `CheckHealth` action.
    HealthReported {
        /// The run that was checked.
        generation: Generation,
        /// Whether the check passed.
        healthy: bool,
        /// What the check found, for people.
        message: String,
    },
    /// New settings; they take effect at the next start.
    ConfigChanged(Arc<ProgramConfig>),
}

/// What is to be done by the shell around the machine, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Spawn the program and feed `Spawned` or `SpawnFailed` back in the same turn.
    Spawn {
        /// The new run.
        generation: Generation,
    },
    /// Send a signal to everything in the run's process group.
    SignalGroup {
        /// The run that is meant.
        generation: Generation,
        /// The signal's number.
        signal: u8,
    },
    /// Check the health and feed `HealthReported` back when the answer is there.
    CheckHealth {
        /// The run to be checked.
        generation: Generation,
    },
    /// The public state has changed.
    Announce(Transition),
}

/// A change of the public state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// The state before.
    pub from: ProcessState,
    /// The state now.
    pub to: ProcessState,
    /// The run's process, where one exists or has just ended.
    pub pid: Option<i32>,
    /// Why, in words that a person can act on.
    pub cause: String,
}

/// What the operator wants, apart from what is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Desired {
    /// It shall run.
    Up,
    /// It shall not run.
    Down,
}

/// How the last run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastRun {
    /// The process.
    pub pid: i32,
    /// How it ended.
    pub exit: Exit,
    /// When it was spawned.
    pub started: Instant,
    /// When it ended.
    pub ended: Instant,
}

/// The state machine of one process.
#[derive(Debug)]
pub struct Machine {
    config: Arc<ProgramConfig>,
}

impl Machine {
    /// A machine in `STOPPED` that is wanted down.
    pub fn new(config: Arc<ProgramConfig>) -> Self {
        Machine { config }
    }

    /// Takes in what happened at `now`.
    pub fn handle_event(&mut self, _now: Instant, _event: Event) {}

    /// Lets every timer that is due at `now` fire.
    pub fn handle_timeout(&mut self, _now: Instant) {}

    /// When `handle_timeout` wants to be called next; `None`: never, unless something happens.
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// The next thing to be done; call until `None`.
    pub fn poll_action(&mut self) -> Option<Action> {
        None
    }

    /// The configuration that the next start will use.
    pub fn config(&self) -> &Arc<ProgramConfig> {
        &self.config
    }

    /// The configuration that the present run was started with, if there is a run.
    pub fn run_config(&self) -> Option<&Arc<ProgramConfig>> {
        None
    }

    /// The public state.
    pub fn state(&self) -> ProcessState {
        ProcessState::Stopped
    }

    /// What is wanted.
    pub fn desired(&self) -> Desired {
        Desired::Down
    }

    /// The number of the present or last run; 0 before the first.
    pub fn generation(&self) -> Generation {
        0
    }

    /// The leader of the present run, as long as it lives.
    pub fn pid(&self) -> Option<i32> {
        None
    }

    /// `true` while a leader lives or something of its group is left.
    pub fn has_run(&self) -> bool {
        false
    }

    /// When the present run was spawned, as long as its leader lives.
    pub fn started_at(&self) -> Option<Instant> {
        None
    }

    /// What the health checks say of the present run; `None` before the first answer.
    pub fn healthy(&self) -> Option<bool> {
        None
    }

    /// What the last health check of the present run found.
    pub fn health_message(&self) -> Option<&str> {
        None
    }

    /// How the last finished run ended.
    pub fn last_run(&self) -> Option<&LastRun> {
        None
    }

    /// The failure of the last spawn, if the last attempt did not get to a process.
    pub fn spawn_error(&self) -> Option<&SpawnError> {
        None
    }

    /// Starts without an operator since the last operator's start.
    pub fn restarts(&self) -> u64 {
        0
    }

    /// In `BACKOFF`: the number of this retry, how many there may be, and when it comes.
    pub fn retry(&self) -> Option<(u32, u32, Instant)> {
        None
    }

    /// In `STOPPING`: when SIGKILL follows; `None` once it was sent, or in another state.
    pub fn kill_at(&self) -> Option<Instant> {
        None
    }
}
