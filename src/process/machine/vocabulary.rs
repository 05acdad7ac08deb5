//! The words that the machine and the shell around it speak: events in, actions out.

use std::sync::Arc;

use super::super::moment::Moment;
use super::super::state::{Exit, ProcessState, SpawnError};
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
    /// Before the first start: an earlier daemon has left processes of this program behind, which shall go as what
    /// the leader of a run leaves behind does. `GroupEmpty` (of generation 0) follows.
    OrphansFound {
        /// One of them.
        pid: i32,
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
    /// After the leader's end: something of its process group is still there. Fed right after `Exited`.
    GroupLingers {
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

impl Event {
    /// What a test calls it that plants a fault.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Event::StartRequested => "start",
            Event::StopRequested => "stop",
            Event::KillRequested => "kill",
            Event::RestartRequested { .. } => "restart",
            Event::OrphansFound { .. } => "orphans",
            Event::Spawned { .. } => "spawned",
            Event::SpawnFailed { .. } => "failed",
            Event::Exited { .. } => "exited",
            Event::GroupEmpty { .. } => "empty",
            Event::GroupLingers { .. } => "lingers",
            Event::HealthReported { .. } => "health",
            Event::ConfigChanged(_) => "config",
        }
    }

    /// The run that the event speaks of; `None` for what comes from an operator.
    pub(super) fn generation(&self) -> Option<Generation> {
        match self {
            Event::Spawned { generation, .. }
            | Event::SpawnFailed { generation, .. }
            | Event::Exited { generation, .. }
            | Event::GroupEmpty { generation }
            | Event::GroupLingers { generation }
            | Event::HealthReported { generation, .. } => Some(*generation),
            Event::StartRequested
            | Event::OrphansFound { .. }
            | Event::StopRequested
            | Event::KillRequested
            | Event::RestartRequested { .. }
            | Event::ConfigChanged(_) => None,
        }
    }
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
    pub started: Moment,
    /// When it ended.
    pub ended: Moment,
}
