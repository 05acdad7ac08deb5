//! What causes are made of, asked of every one: whoever bounds texts or hides names meets each new cause here.

use std::sync::Arc;

use super::{Cause, Failure, Initiator, SpawnError};

/// What a cause holds that has parts of its own.
pub enum Part<'a> {
    /// Who has asked for it.
    By(&'a mut Initiator),
    /// What has gone wrong.
    Failure(&'a mut Arc<Failure>),
    /// Why nothing was spawned.
    SpawnError(&'a mut SpawnError),
    /// Another program.
    Program(&'a mut Arc<str>),
    /// Numbers, and texts that were cut when they came in.
    Plain,
}

impl Cause {
    pub(in super::super) fn part_mut(&mut self) -> Part<'_> {
        match self {
            Cause::Requested { by, .. }
            | Cause::RequestedDuringSpawn { by, .. }
            | Cause::ReloadRequested { by }
            | Cause::PauseRequested { by }
            | Cause::ResumeRequested { by }
            | Cause::EnabledSet { by, .. }
            | Cause::SignalRequested { by, .. } => Part::By(by),
            Cause::StartFailed { failure }
            | Cause::BackedOff { failure, .. }
            | Cause::GaveUp { failure, .. }
            | Cause::HookFailed { failure } => Part::Failure(failure),
            Cause::SpawnFailed { error } | Cause::WaitsForRoom { error, .. } => Part::SpawnError(error),
            Cause::DependencyBack { on: Some(on) } => Part::Program(on),
            Cause::DependencyBack { on: None }
            | Cause::EarlierDaemonDied { .. }
            | Cause::Executed
            | Cause::Up { .. }
            | Cause::Ready { .. }
            | Cause::Exited { .. }
            | Cause::Completed { .. }
            | Cause::Unhealthy { .. }
            | Cause::HealthyAgain { .. }
            | Cause::WatchdogMissed { .. }
            | Cause::AliveAgain
            | Cause::OutputFault { .. }
            | Cause::HeardAgain
            | Cause::OutputCommandEnded { .. }
            | Cause::RestartUnhealthy
            | Cause::HealthCommandEnded { .. }
            | Cause::RetryForRoom
            | Cause::Retry { .. }
            | Cause::FatalRetry { .. }
            | Cause::Restart
            | Cause::Ended { .. }
            | Cause::StopTimedOut { .. }
            | Cause::StopStepOver { .. }
            | Cause::OutlivedStopCommand { .. }
            | Cause::StopCommandHangs { .. }
            | Cause::StopCommandTimedOut { .. }
            | Cause::Schedule { .. }
            | Cause::NotifyRefused { .. }
            | Cause::InBackground
            | Cause::LeftBehind { .. }
            | Cause::MainProcess { .. }
            | Cause::MainRefused { .. }
            | Cause::ReadinessLost { .. }
            | Cause::ReadinessBack => Part::Plain,
        }
    }
}
