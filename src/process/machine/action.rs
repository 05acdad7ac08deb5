//! What the machine wants done, and what it tells of itself.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::super::cause::Cause;
use super::super::moment::Moment;
use super::super::notification::NotifyState;
use super::super::signal_target::SignalTarget;
use super::super::state::{Exit, ProcessState};
use super::event::Generation;
use crate::models::{Hook, ProgramConfig};

/// What is to be done by the shell around the machine, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Spawn the program and feed `Spawned` or `SpawnFailed` back in the same turn.
    Spawn {
        /// The new run.
        generation: Generation,
    },
    /// Send a signal to the run.
    Signal {
        /// The run that is meant.
        generation: Generation,
        /// The signal's number.
        signal: u8,
        /// To its leader alone, or to all of it.
        target: SignalTarget,
        /// SIGCONT follows to the same target: what somebody has paused would not see the signal.
        resume: bool,
        /// Why.
        why: KillWhy,
    },
    /// Run the commands of a hook with these settings and feed `HookEnded` back when they have ended. `pre_start` may
    /// be refused as a spawn may. What comes of `post_start` is told to nobody but the log.
    RunHook {
        /// The run that it is for.
        generation: Generation,
        /// Which.
        hook: Hook,
        /// Those that the run was started with.
        config: Arc<ProgramConfig>,
    },
    /// End the hooks of this run that are under way; `HookEnded` follows where it would have followed.
    CancelHooks {
        /// Which run's.
        generation: Generation,
        /// By SIGKILL at once.
        force: bool,
    },
    /// Check the health and feed `HealthReported` back when the answer is there.
    CheckHealth {
        /// The run to be checked.
        generation: Generation,
    },
    /// It is unhealthy: run the command that is configured for that.
    RunHealthCommand {
        /// The run that is meant.
        generation: Generation,
    },
    /// Try whether it is ready and feed `Probed` back when the answer is there.
    ProbeReadiness {
        /// The run that is meant.
        generation: Generation,
    },
    /// Have every message on `$NOTIFY_SOCKET` read that is there, and feed `NotificationsRead` back behind them.
    AskNotifications {
        /// The run whose message is awaited.
        generation: Generation,
    },
    /// The first message of the run was refused.
    NoteRefused {
        /// Who has sent it.
        pid: i32,
    },
    /// Find the process that the pid file names, and feed `MainFound` or `NoMain` back in the same turn.
    FindMain {
        /// The run whose main process is looked for.
        generation: Generation,
    },
    /// A process of the run names this one as its main process: feed `MainFound` back when that can be.
    HandOver {
        /// The run.
        generation: Generation,
        /// The process that is named.
        pid: i32,
    },
    /// A run is not ready any more, for this reason, or is ready again.
    NoteReadiness {
        /// What the try has found that has failed.
        lost: Option<Arc<str>>,
    },
    /// The run has another main process.
    NoteMain {
        /// The one that it was before.
        was: i32,
    },
    /// The public state has changed.
    Announce(Transition),
}

/// Why a run gets a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum KillWhy {
    /// Somebody asked for its end, or for a restart.
    Requested,
    /// It was to be stopped and outlived its stop signal.
    StopTimeout {
        /// By so many seconds (`stopwaitsecs`).
        seconds: u32,
    },
    /// It was to be stopped and outlived this step of its stop (`stopsignal`).
    NextStep {
        /// The signal of that step.
        after: u8,
        /// How long it took.
        seconds: u32,
    },
    /// Its `stop_command` has succeeded, and it has outlived that.
    OutlivedCommand {
        /// By so many seconds.
        seconds: u32,
    },
    /// Its `stop_command` has not ended by half of the time of the stop.
    CommandHangs {
        /// For so many seconds.
        seconds: u32,
    },
    /// Its `stop_command` has not ended in time.
    CommandTimeout {
        /// Within so many seconds (`stopwaitsecs`).
        seconds: u32,
    },
    /// It outlived SIGKILL, which may have missed a member that was being forked.
    Again,
    /// Its leader ended by itself: the rest has to end too, by the stop signal and then by SIGKILL.
    Remains,
    /// Its health checks fail, or its watchdog has not heard of it.
    Unhealthy,
    /// Its health checks fail: it is told so (`healthcheck_action`), and goes on.
    HealthAction,
    /// Its start has not come about in time (`start_timeout`).
    StartFailed,
    /// The daemon is at fault.
    InternalError,
}

/// A change of the public state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// The state before.
    pub from: ProcessState,
    /// The state now.
    pub to: ProcessState,
    /// The run's process, where one exists or has just ended.
    pub pid: Option<i32>,
    /// Why.
    pub cause: Cause,
}

/// What the operator wants, apart from what is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Desired {
    /// It is to run.
    Up,
    /// It is not to run.
    Down,
}

/// How the last run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastRun {
    /// Which run it was.
    pub generation: Generation,
    /// The process.
    pub pid: i32,
    /// How it ended.
    pub exit: Exit,
    /// When it was spawned.
    pub started: Moment,
    /// When it ended.
    pub ended: Moment,
    /// It was a oneshot, and has done what it is for.
    pub completed: bool,
    /// What it had told of itself.
    pub notify_state: Option<Box<NotifyState>>,
}

impl LastRun {
    /// How long it had lived, in milliseconds.
    pub fn age_ms(&self) -> u64 {
        let age = self.ended.saturating_duration_since(self.started);
        u64::try_from(age.as_millis()).unwrap_or(u64::MAX)
    }
}
