//! Waiting for others before the start. Whom, and until when, the shell knows: it refuses the `Spawn` action, and tells later
//! that the start may come, or that it can't.

use std::sync::Arc;

use super::super::cause::{Cause, Failure};
use super::super::state::ProcessState;
use super::Machine;
use super::action::{Action, Desired};
use super::phase::{Phase, Then};

impl Machine {
    /// The `Spawn` action was refused.
    pub(super) fn held(phase: Phase) -> Phase {
        match phase {
            Phase::Spawning { kill: _ } => Phase::Waiting,
            Phase::Stopped
            | Phase::Exited { .. }
            | Phase::Fatal { .. }
            | Phase::Backoff { .. }
            | Phase::Waiting
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Unhealthy { .. }
            | Phase::Stopping { .. } => phase,
        }
    }

    /// The start may come.
    pub(super) fn released(&mut self, phase: Phase, on: Option<Arc<str>>) -> Phase {
        match phase {
            Phase::Waiting => {
                self.actions.push_back(Action::Spawn { generation: self.generation });
                Phase::Spawning { kill: false }
            }
            Phase::Fatal { ref failure, remains: None, .. }
                if self.desired == Desired::Up && failure.is_of_dependency() =>
            {
                self.start_again(ProcessState::Fatal, Cause::DependencyBack { on })
            }
            Phase::Stopped
            | Phase::Exited { .. }
            | Phase::Fatal { .. }
            | Phase::Backoff { .. }
            | Phase::Spawning { .. }
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Unhealthy { .. }
            | Phase::Stopping { .. } => phase,
        }
    }

    /// `FATAL`, although it stays wanted up: it starts by itself when the dependency gets there after all.
    pub(super) fn dependency_lost(&mut self, phase: Phase, on: Box<str>, state: ProcessState) -> Phase {
        match phase {
            Phase::Waiting => {
                let failure = Arc::new(Failure::DependencyLost { on, state });
                let cause = Cause::GaveUp { failure: Arc::clone(&failure), after: None };
                self.enter(ProcessState::Starting, Phase::Fatal { failure, after: None, remains: None }, None, cause)
            }
            Phase::Stopped
            | Phase::Exited { .. }
            | Phase::Fatal { .. }
            | Phase::Backoff { .. }
            | Phase::Spawning { .. }
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Unhealthy { .. }
            | Phase::Stopping { .. } => phase,
        }
    }

    /// It is `STARTING` and waits for others.
    pub fn is_waiting(&self) -> bool {
        matches!(self.phase, Phase::Waiting)
    }

    /// It is `FATAL` because of a dependency, and starts by itself when that is made good.
    pub fn awaits_dependency(&self) -> bool {
        match &self.phase {
            Phase::Fatal { failure, remains: None, .. } => self.desired == Desired::Up && failure.is_of_dependency(),
            Phase::Stopped
            | Phase::Exited { .. }
            | Phase::Fatal { remains: Some(_), .. }
            | Phase::Backoff { .. }
            | Phase::Waiting
            | Phase::Spawning { .. }
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Unhealthy { .. }
            | Phase::Stopping { .. } => false,
        }
    }

    /// It is up, or will come up by itself: nobody has to ask for it.
    pub fn comes_up(&self) -> bool {
        match &self.phase {
            Phase::Stopped | Phase::Fatal { .. } => false,
            Phase::Exited { restart_at, .. } => restart_at.is_some(),
            Phase::Stopping {
                then: Then::AsDesired | Then::HealthRestart { .. } | Then::StartFailed { .. }, ..
            } => self.desired == Desired::Up,
            Phase::Backoff { .. }
            | Phase::Waiting
            | Phase::Spawning { .. }
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Unhealthy { .. } => true,
        }
    }
}
