//! The inputs of the machine.

use std::sync::Arc;

use super::super::hook::HookFailure;
use super::super::initiator::Initiator;
use super::super::main_process::NoMain;
use super::super::notification::Notification;
use super::super::output_fault::OutputFault;
use super::super::readiness::ReadyReport;
use super::super::state::{Exit, ProcessState, SpawnError};
use crate::models::{Hook, ProgramConfig};

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
    /// What runs is to stop in its place, and to be left alone.
    PauseRequested,
    /// What was paused is to go on.
    ResumeRequested,
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
        /// The state that it came to; `None`: it is not in the configuration in force.
        state: Option<ProcessState>,
    },
    /// What it waits for outside has not come in time (`start_when_timeout`).
    StartWhenTimedOut {
        /// The run that was held.
        generation: Generation,
        /// The time, in seconds.
        seconds: u32,
        /// What has not held.
        on: Box<str>,
    },
    /// The `Spawn` action has succeeded.
    Spawned {
        /// The run that it was for.
        generation: Generation,
        /// The new process, leader of its own group.
        pid: i32,
    },
    /// The `Spawn` action has made a process that has not executed the program yet: the file system of one of both does
    /// not answer.
    /// `Executed` follows, or `Exited`.
    SpawnPending {
        /// The run that it was for.
        generation: Generation,
        /// The new process, leader of its own group.
        pid: i32,
    },
    /// After `SpawnPending`: the program is executed.
    Executed {
        /// The run that it was for.
        generation: Generation,
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
    /// The hook of a `RunHook` action has ended.
    HookEnded {
        /// The run that it was for.
        generation: Generation,
        /// Which.
        hook: Hook,
        /// What it came to, if it has failed.
        failure: Option<HookFailure>,
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
    /// A `CheckHealth` action could not be done, for want of something that the daemon needs.
    HealthMissed {
        /// The run that was to be checked.
        generation: Generation,
    },
    /// The run tells of its readiness.
    ReadyReported {
        /// The run that tells.
        generation: Generation,
        /// What.
        report: ReadyReport,
    },
    /// The answer to a `ProbeReadiness` action.
    Probed {
        /// The run that was tried.
        generation: Generation,
        /// Whether it is ready.
        ready: bool,
        /// What was found, for people.
        message: String,
    },
    /// A process of the run tells of it on `$NOTIFY_SOCKET`.
    Notified {
        /// The run that it is of.
        generation: Generation,
        /// What.
        message: Box<Notification>,
    },
    /// A message of a process of the run was not taken.
    NotifyRefused {
        /// The run that it is of.
        generation: Generation,
        /// The process.
        pid: i32,
    },
    /// The answer to an `AskNotifications` action.
    NotificationsRead {
        /// The run that it was for.
        generation: Generation,
    },
    /// The output of the run shows that it is not well.
    OutputWatched {
        /// The run.
        generation: Generation,
        /// What is wrong.
        fault: Arc<OutputFault>,
        /// It is to be restarted for that; else it is unhealthy.
        is_restart: bool,
    },
    /// It has written something, after it was told that it does not.
    OutputResumed {
        /// The run.
        generation: Generation,
    },
    /// Another process of the run is its main one from now on.
    MainFound {
        /// The run.
        generation: Generation,
        /// The process.
        pid: i32,
    },
    /// The answer to a `FindMain` action where no process was found.
    NoMain {
        /// The run that it was for.
        generation: Generation,
        /// Why not.
        found: NoMain,
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
            Event::PauseRequested => "pause",
            Event::ResumeRequested => "resume",
            Event::OrphansFound { .. } => "orphans",
            Event::Held { .. } => "held",
            Event::Released { .. } => "released",
            Event::DependencyLost { .. } => "lost",
            Event::StartWhenTimedOut { .. } => "timed out",
            Event::Spawned { .. } => "spawned",
            Event::SpawnPending { .. } => "pending",
            Event::Executed { .. } => "executed",
            Event::SpawnFailed { .. } => "failed",
            Event::Exited { .. } => "exited",
            Event::GroupEmpty { .. } => "empty",
            Event::GroupLingers { .. } => "lingers",
            Event::HookEnded { .. } => "hook",
            Event::HealthReported { .. } => "health",
            Event::HealthMissed { .. } => "no check",
            Event::ReadyReported { .. } => "ready",
            Event::Probed { .. } => "probed",
            Event::Notified { .. } => "notified",
            Event::NotifyRefused { .. } => "refused",
            Event::NotificationsRead { .. } => "read",
            Event::OutputWatched { .. } => "output",
            Event::OutputResumed { .. } => "heard",
            Event::MainFound { .. } => "main",
            Event::NoMain { .. } => "no main",
            Event::ConfigChanged(_) => "config",
        }
    }

    /// The run that the event speaks of; `None` for what comes from an operator.
    pub(super) fn generation(&self) -> Option<Generation> {
        match self {
            Event::Held { generation }
            | Event::Released { generation, .. }
            | Event::DependencyLost { generation, .. }
            | Event::StartWhenTimedOut { generation, .. }
            | Event::Spawned { generation, .. }
            | Event::SpawnPending { generation, .. }
            | Event::Executed { generation }
            | Event::SpawnFailed { generation, .. }
            | Event::Exited { generation, .. }
            | Event::GroupEmpty { generation }
            | Event::GroupLingers { generation }
            | Event::HookEnded { generation, .. }
            | Event::HealthReported { generation, .. }
            | Event::HealthMissed { generation }
            | Event::Probed { generation, .. }
            | Event::ReadyReported { generation, .. }
            | Event::Notified { generation, .. }
            | Event::NotifyRefused { generation, .. }
            | Event::NotificationsRead { generation }
            | Event::OutputWatched { generation, .. }
            | Event::OutputResumed { generation }
            | Event::MainFound { generation, .. }
            | Event::NoMain { generation, .. } => Some(*generation),
            Event::StartRequested { .. }
            | Event::PauseRequested
            | Event::ResumeRequested
            | Event::OrphansFound { .. }
            | Event::StopRequested { .. }
            | Event::KillRequested { .. }
            | Event::RestartRequested { .. }
            | Event::ConfigChanged(_) => None,
        }
    }
}
