//! Waiting for others before the start. Whom, and until when, the shell knows: it refuses the `Spawn` action, and tells
//! later that the start may come, or that it can't.

use std::sync::Arc;

use super::super::cause::Cause;
use super::super::failure::Failure;
use super::super::moment::Moment;
use super::super::state::ProcessState;
use super::Machine;
use super::action::Desired;
use super::phase::{AfterStop, Phase};

impl Machine {
    /// The `Spawn` action was refused.
    pub(super) fn held(phase: Phase) -> Phase {
        match phase {
            Phase::Spawning { kill: _, prepared } => Phase::Waiting { prepared },
            Phase::PreStart { config: _ } => Phase::Waiting { prepared: None },
            Phase::Stopped
            | Phase::Exited { .. }
            | Phase::Fatal { .. }
            | Phase::Backoff { .. }
            | Phase::Waiting { .. }
            | Phase::Up { .. }
            | Phase::Ending { .. }
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Unhealthy { .. }
            | Phase::Stopping { .. } => phase,
        }
    }

    /// The start may come.
    pub(super) fn released(&mut self, phase: Phase, on: Option<Arc<str>>) -> Phase {
        match phase {
            Phase::Waiting { prepared: None } => self.begin_attempt(),
            Phase::Waiting { prepared } => self.spawn(prepared),
            Phase::Fatal { ref failure, remains: None, .. }
                if self.desired == Desired::Up && failure.is_of_dependency() =>
            {
                // It goes on with a start that has got to no process, and that was counted if it counts.
                self.start(ProcessState::Fatal, Cause::DependencyBack { on })
            }
            Phase::Stopped
            | Phase::Exited { .. }
            | Phase::Fatal { .. }
            | Phase::Backoff { .. }
            | Phase::PreStart { .. }
            | Phase::Spawning { .. }
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Unhealthy { .. }
            | Phase::Stopping { .. }
            | Phase::Up { .. }
            | Phase::Ending { .. } => phase,
        }
    }

    /// `FATAL`, although it stays wanted up: it starts by itself when the dependency gets there after all. Until then it tells
    /// what has become of that by now.
    pub(super) fn dependency_lost(&mut self, phase: Phase, on: Box<str>, state: Option<ProcessState>) -> Phase {
        let lost = Arc::new(Failure::DependencyLost { on, state });
        match phase {
            Phase::Waiting { prepared } => self.discard_prepared(prepared, lost),
            Phase::Fatal { failure, after, retry_at, remains } if failure.is_of_dependency() => {
                Phase::Fatal { failure: lost, after, retry_at, remains }
            }
            Phase::Stopped
            | Phase::Exited { .. }
            | Phase::Fatal { .. }
            | Phase::Backoff { .. }
            | Phase::PreStart { .. }
            | Phase::Spawning { .. }
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Unhealthy { .. }
            | Phase::Stopping { .. }
            | Phase::Up { .. }
            | Phase::Ending { .. } => phase,
        }
    }

    /// What it waits for outside has not come in time: a failed attempt.
    pub(super) fn start_when_timed_out(&mut self, now: Moment, phase: Phase, seconds: u32, on: Box<str>) -> Phase {
        match phase {
            Phase::Waiting { prepared } => {
                let remains = prepared.and_then(|config| self.clean_up_of(&config));
                self.failed_attempt(now, ProcessState::Starting, Failure::StartWhen { seconds, on }.into(), remains)
            }
            Phase::Stopped
            | Phase::Exited { .. }
            | Phase::Fatal { .. }
            | Phase::Backoff { .. }
            | Phase::PreStart { .. }
            | Phase::Spawning { .. }
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Unhealthy { .. }
            | Phase::Stopping { .. }
            | Phase::Up { .. }
            | Phase::Ending { .. } => phase,
        }
    }

    /// It is `STARTING` and waits for others, or for something outside.
    pub fn is_waiting(&self) -> bool {
        matches!(self.phase, Phase::Waiting { .. })
    }

    /// It is `FATAL` because of a dependency, and starts by itself when that is made good.
    pub fn awaits_dependency(&self) -> bool {
        match &self.phase {
            Phase::Fatal { failure, remains: None, .. } => self.desired == Desired::Up && failure.is_of_dependency(),
            Phase::Stopped
            | Phase::Exited { .. }
            | Phase::Fatal { remains: Some(_), .. }
            | Phase::Backoff { .. }
            | Phase::PreStart { .. }
            | Phase::Waiting { .. }
            | Phase::Up { .. }
            | Phase::Ending { .. }
            | Phase::Spawning { .. }
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Unhealthy { .. }
            | Phase::Stopping { .. } => false,
        }
    }

    /// What it was given up for, and the state which that was in; `None`: it was not.
    pub fn lost_dependency(&self) -> Option<(&str, Option<ProcessState>)> {
        let Phase::Fatal { failure, .. } = &self.phase else { return None };
        let Failure::DependencyLost { on, state } = failure.as_ref() else { return None };
        self.awaits_dependency().then_some((on, *state))
    }

    /// It is up, or will come up by itself: nobody has to ask for it.
    pub fn is_up_or_starting(&self) -> bool {
        match &self.phase {
            Phase::Stopped | Phase::Fatal { .. } => false,
            Phase::Exited { restart_at, .. } => restart_at.is_some(),
            Phase::Stopping {
                then: AfterStop::AsDesired | AfterStop::HealthRestart { .. } | AfterStop::StartFailed { .. },
                ..
            }
            | Phase::Ending {
                then: AfterStop::AsDesired | AfterStop::HealthRestart { .. } | AfterStop::StartFailed { .. },
                ..
            } => self.desired == Desired::Up,
            Phase::Backoff { .. }
            | Phase::PreStart { .. }
            | Phase::Up { .. }
            | Phase::Waiting { .. }
            | Phase::Spawning { .. }
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Unhealthy { .. } => true,
        }
    }
}
