//! What the machine is told.

use std::sync::Arc;

use super::super::initiator::Initiator;
use super::super::readiness::ReadyReport;
use super::super::state::{Exit, ProcessState, SpawnError};
use crate::models::ProgramConfig;

/// Counts the runs of a process; an answer that carries an older generation changes nothing.
pub type Generation = u64;

/// What happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// Somebody wants it up; retry counters are reset.
    StartRequested {
        /// Who.
        by: Initiator,
    },
    /// Somebody wants it down.
    StopRequested {
        /// Who.
        by: Initiator,
    },
    /// SIGKILL its group now and keep it down.
    KillRequested {
        /// Who asks.
        by: Initiator,
    },
    /// Stop, then start; with `force` by SIGKILL at once.
    RestartRequested {
        /// Skip the stop signal.
        force: bool,
        /// Who asks.
        by: Initiator,
    },
    /// Before the first start: an earlier daemon has left processes of this program behind. They are ended as what the
    /// leader of a run leaves behind. `GroupEmpty` (of generation 0) follows.
    OrphansFound {
        /// One of them.
        pid: i32,
    },
    /// The `Spawn` action was not performed: it may not start yet. `Released` or `DependencyLost` follows.
    Held {
        /// The run that it was for.
        generation: Generation,
    },
    /// It may start now: after `Held`, or after `DependencyLost` where that is made good.
    Released {
        /// The run that was held, or lost.
        generation: Generation,
        /// What it has waited for last; `None`: its settings have changed.
        on: Option<Arc<str>>,
    },
    /// What it waits for will not come.
    DependencyLost {
        /// The run that was held.
        generation: Generation,
        /// What that is.
        on: Box<str>,
        /// The state that it came to.
        state: ProcessState,
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
        /// Something that it has forked and left behind, where that is known.
        descendant: Option<i32>,
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
    /// The run tells of its readiness.
    ReadyReported {
        /// The run that tells.
        generation: Generation,
        /// What.
        report: ReadyReport,
    },
    /// New settings; they take effect at the next start.
    ConfigChanged(Arc<ProgramConfig>),
}

impl Event {
    /// What a failpoint calls it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Event::StartRequested { .. } => "start",
            Event::StopRequested { .. } => "stop",
            Event::KillRequested { .. } => "kill",
            Event::RestartRequested { .. } => "restart",
            Event::OrphansFound { .. } => "orphans",
            Event::Held { .. } => "held",
            Event::Released { .. } => "released",
            Event::DependencyLost { .. } => "lost",
            Event::Spawned { .. } => "spawned",
            Event::SpawnFailed { .. } => "failed",
            Event::Exited { .. } => "exited",
            Event::GroupEmpty { .. } => "empty",
            Event::GroupLingers { .. } => "lingers",
            Event::HealthReported { .. } => "health",
            Event::ReadyReported { .. } => "ready",
            Event::ConfigChanged(_) => "config",
        }
    }

    /// The run that the event speaks of; `None` for what comes from an operator.
    pub(super) fn generation(&self) -> Option<Generation> {
        match self {
            Event::Held { generation }
            | Event::Released { generation, .. }
            | Event::DependencyLost { generation, .. }
            | Event::Spawned { generation, .. }
            | Event::SpawnFailed { generation, .. }
            | Event::Exited { generation, .. }
            | Event::GroupEmpty { generation }
            | Event::GroupLingers { generation }
            | Event::HealthReported { generation, .. }
            | Event::ReadyReported { generation, .. } => Some(*generation),
            Event::StartRequested { .. }
            | Event::OrphansFound { .. }
            | Event::StopRequested { .. }
            | Event::KillRequested { .. }
            | Event::RestartRequested { .. }
            | Event::ConfigChanged(_) => None,
        }
    }
}
