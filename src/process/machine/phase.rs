//! Where a process is in its life, and what exactly each phase has to remember.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::cause::{Failure, Tries};
use super::super::moment::Moment;
use super::super::state::ProcessState;
use super::super::stop_signals::{StopStep, seconds_behind};
use super::action::{KillWhy, SignalTarget};
use super::checks::Checks;
use super::due::{Due, after};
use super::startup::Startup;
use crate::models::ProgramConfig;

/// One child, from its spawn until nothing is left of its process group.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) pid: i32,
    pub(super) started: Moment,
    /// The settings that it was started with.
    pub(super) config: Arc<ProgramConfig>,
}

impl Run {
    /// How long it has lived; zero if the clock stands before its start.
    pub(super) fn age(&self, now: Moment) -> Duration {
        now.saturating_duration_since(self.started)
    }

    /// The step of its stop with this number; `None`: SIGKILL.
    pub(super) fn stop_step(&self, number: usize) -> Option<StopStep> {
        StopStep::of(&self.config, number)
    }

    /// Why the signal is sent that follows this step of its stop.
    pub(super) fn why_next(&self, number: usize) -> KillWhy {
        match self.stop_step(number) {
            Some(StopStep { signal, seconds: Some(seconds) }) => KillWhy::NextStep { after: signal, seconds },
            Some(StopStep { seconds: None, .. }) | None => KillWhy::StopTimeout { seconds: self.config.stopwaitsecs },
        }
    }
}

/// How far the end of a process group has got.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) enum StopStage {
    /// The leader has just ended; the shell is about to say whether it left anybody behind.
    Unsignalled,
    /// It was sent the stop signal, or that of a later step; the next step follows at `over_at`, at last SIGKILL.
    Stopping { target: SignalTarget, step: usize, over_at: Due },
    /// It was sent SIGKILL. It gets it again: a member that was being forked may have been missed.
    Killing { target: SignalTarget, again_at: Due },
}

/// A process group that has to end, with or without its leader.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Group {
    pub(super) run: Run,
    pub(super) stage: StopStage,
}

impl Group {
    /// What a leader that has just ended may have left behind.
    pub(super) fn left_by(run: Run) -> Self {
        Group { run, stage: StopStage::Unsignalled }
    }

    /// When SIGKILL follows; `None` once it was sent.
    pub(super) fn kill_at(&self) -> Due {
        match self.stage {
            StopStage::Stopping { step, over_at, .. } => after(over_at?, seconds_behind(&self.run.config, step + 1)),
            StopStage::Unsignalled | StopStage::Killing { .. } => None,
        }
    }

    /// The next signal, where that is not SIGKILL yet, and when it follows.
    pub(super) fn next_signal(&self) -> Option<(u8, Moment)> {
        match self.stage {
            StopStage::Stopping { step, over_at, .. } => Some((self.run.stop_step(step + 1)?.signal, over_at?)),
            StopStage::Unsignalled | StopStage::Killing { .. } => None,
        }
    }

    fn timer(&self) -> Due {
        match self.stage {
            StopStage::Unsignalled => None,
            StopStage::Stopping { over_at, .. } => over_at,
            StopStage::Killing { again_at, .. } => again_at,
        }
    }
}

/// Whether the leader of a group that is being stopped still lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Leader {
    Alive,
    Gone,
}

impl Leader {
    /// Whom a signal is for. What a leader has left behind has nobody else who would end it.
    pub(super) fn target(self, as_group: bool) -> SignalTarget {
        match self {
            Leader::Alive if !as_group => SignalTarget::Leader,
            Leader::Alive | Leader::Gone => SignalTarget::Group,
        }
    }
}

/// What follows when a stopping group has gone.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Then {
    /// `STOPPED`, and a start at once if that is desired by then.
    AsDesired,
    /// `BACKOFF` or `FATAL`: it was stopped because its health checks failed.
    HealthRestart { failures: u32, message: Arc<str> },
    /// `BACKOFF` or `FATAL`: its start did not come about.
    StartFailed { failure: Arc<Failure> },
}

/// The next attempt of a program that could not be started or kept healthy.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Retry {
    /// 1 for the first retry; also its delay in seconds, up to the longest.
    pub(super) number: u32,
    pub(super) at: Moment,
    /// Why the attempt before failed.
    pub(super) failure: Arc<Failure>,
}

/// The actual, in contrast to the desired.
///
/// `remains` is what an ended leader may have left of its group. While it is there nothing is
/// spawned; a moment of restart that passes meanwhile is made up for when the group is empty.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Phase {
    Stopped,
    /// Ended by itself; `restart_at` where it is to be started again.
    Exited {
        restart_at: Option<Moment>,
        remains: Option<Group>,
    },
    Fatal {
        failure: Arc<Failure>,
        /// What was tried, where that was more than once.
        after: Option<Tries>,
        remains: Option<Group>,
    },
    Backoff {
        retry: Retry,
        remains: Option<Group>,
    },
    /// It is to start and may not yet: the shell has refused the `Spawn` action, and says when it may.
    Waiting,
    /// The `Spawn` action is out. `kill`: a kill was asked for meanwhile.
    Spawning {
        kill: bool,
    },
    Starting {
        run: Run,
        startup: Startup,
    },
    /// `checks` where a health check is configured.
    Running {
        run: Run,
        checks: Option<Box<Checks>>,
    },
    Unhealthy {
        run: Run,
        checks: Box<Checks>,
    },
    Stopping {
        leader: Leader,
        group: Group,
        then: Then,
    },
}

impl Phase {
    /// The name under which the public knows it.
    pub(super) fn state(&self) -> ProcessState {
        match self {
            Phase::Stopped => ProcessState::Stopped,
            Phase::Exited { .. } => ProcessState::Exited,
            Phase::Fatal { .. } => ProcessState::Fatal,
            Phase::Backoff { .. } => ProcessState::Backoff,
            Phase::Waiting | Phase::Spawning { .. } | Phase::Starting { .. } => ProcessState::Starting,
            Phase::Running { .. } => ProcessState::Running,
            Phase::Unhealthy { .. } => ProcessState::Unhealthy,
            Phase::Stopping { .. } => ProcessState::Stopping,
        }
    }

    /// The run of which something is left: a leader or members of its group.
    pub(super) fn run(&self) -> Option<&Run> {
        match self {
            Phase::Stopped | Phase::Waiting | Phase::Spawning { .. } => None,
            Phase::Exited { remains, .. } | Phase::Fatal { remains, .. } | Phase::Backoff { remains, .. } => {
                remains.as_ref().map(|group| &group.run)
            }
            Phase::Starting { run, .. } | Phase::Running { run, .. } | Phase::Unhealthy { run, .. } => Some(run),
            Phase::Stopping { group, .. } => Some(&group.run),
        }
    }

    /// The run whose leader lives.
    pub(super) fn led_run(&self) -> Option<&Run> {
        match self {
            Phase::Stopped
            | Phase::Exited { .. }
            | Phase::Fatal { .. }
            | Phase::Backoff { .. }
            | Phase::Waiting
            | Phase::Spawning { .. }
            | Phase::Stopping { leader: Leader::Gone, .. } => None,
            Phase::Starting { run, .. } | Phase::Running { run, .. } | Phase::Unhealthy { run, .. } => Some(run),
            Phase::Stopping { leader: Leader::Alive, group, .. } => Some(&group.run),
        }
    }

    /// The health checks, while they go on.
    pub(super) fn checks(&self) -> Option<&Checks> {
        match self {
            Phase::Running { checks, .. } => checks.as_deref(),
            Phase::Unhealthy { checks, .. } | Phase::Starting { startup: Startup::Healthy { checks, .. }, .. } => {
                Some(checks)
            }
            Phase::Stopped
            | Phase::Exited { .. }
            | Phase::Fatal { .. }
            | Phase::Backoff { .. }
            | Phase::Waiting
            | Phase::Spawning { .. }
            | Phase::Starting { .. }
            | Phase::Stopping { .. } => None,
        }
    }

    /// The one timer that runs in this phase.
    pub(super) fn timer(&self) -> Due {
        match self {
            Phase::Exited { remains: Some(group), .. }
            | Phase::Fatal { remains: Some(group), .. }
            | Phase::Backoff { remains: Some(group), .. }
            | Phase::Stopping { group, .. } => group.timer(),
            Phase::Exited { restart_at, remains: None } => *restart_at,
            Phase::Backoff { retry, remains: None } => Some(retry.at),
            Phase::Starting { startup, .. } => startup.timer(),
            Phase::Running { checks, .. } => checks.as_ref().and_then(|checks| checks.timer()),
            Phase::Unhealthy { checks, .. } => checks.timer(),
            Phase::Stopped | Phase::Fatal { remains: None, .. } | Phase::Waiting | Phase::Spawning { .. } => None,
        }
    }
}
