//! What a process is to become for somebody who waits, and whether it has, or can't any more: pure.

use serde::{Deserialize, Serialize};

use super::registry::Entry;
use crate::api::{Act, Unreached, WaitFor};
use crate::models::{AutoRestart, HealthCheckType};
use crate::process::{Desired, Moment, ProcessState};

/// The state that a member is to reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Goal {
    Up,
    Down,
    /// Whatever brings it there, and however long that takes.
    Reach(WaitFor),
}

impl Goal {
    /// What a command brings its processes to.
    pub(super) fn of(act: Act) -> Goal {
        match act {
            Act::Start | Act::Restart { .. } => Goal::Up,
            Act::Stop | Act::Kill => Goal::Down,
        }
    }
}

/// Whether a process that has just entered this state has reached the goal.
pub(super) fn is_reached_by(goal: Goal, state: ProcessState) -> bool {
    match goal {
        Goal::Up | Goal::Reach(WaitFor::Healthy) => false,
        Goal::Down | Goal::Reach(WaitFor::Stopped) => state == ProcessState::Stopped,
        Goal::Reach(WaitFor::Running) => state == ProcessState::Running,
        Goal::Reach(WaitFor::Exited) => match state {
            ProcessState::Stopped | ProcessState::Exited | ProcessState::Backoff | ProcessState::Fatal => true,
            ProcessState::Starting | ProcessState::Running | ProcessState::Stopping | ProcessState::Unhealthy => false,
        },
    }
}

/// Whether the goal is that it is up. Then a oneshot that completes reaches it, too.
pub(super) fn is_up(goal: Goal) -> bool {
    match goal {
        Goal::Up | Goal::Reach(WaitFor::Running | WaitFor::Healthy) => true,
        Goal::Down | Goal::Reach(WaitFor::Stopped | WaitFor::Exited) => false,
    }
}

/// Somebody has stopped a process while it was waited for that it comes up, and nobody wants it up any more.
pub(super) fn stopped_meanwhile(goal: Goal, state: ProcessState, desired: Desired) -> Option<Unreached> {
    match goal {
        Goal::Reach(WaitFor::Running | WaitFor::Healthy) => {
            (state == ProcessState::Stopped && desired == Desired::Down).then_some(Unreached::StoppedMeanwhile(state))
        }
        // What a command waits for is looked at when the machine has done all that it is about to do.
        Goal::Up | Goal::Down | Goal::Reach(WaitFor::Stopped | WaitFor::Exited) => None,
    }
}

/// Has a process that is to come up done so, or failed to? `None`: not yet known.
pub(super) fn up_outcome(now: Moment, entry: &Entry) -> Option<Result<(), Unreached>> {
    match entry.machine.state() {
        ProcessState::Running | ProcessState::Unhealthy => Some(Ok(())),
        ProcessState::Exited if entry.machine.has_completed() => Some(Ok(())),
        ProcessState::Starting => None,
        ProcessState::Stopping if entry.machine.desired() == Desired::Up => None,
        // The reason is better with the last line of output, which is on its way.
        ProcessState::Backoff | ProcessState::Exited | ProcessState::Fatal if entry.draining => None,
        ProcessState::Backoff | ProcessState::Exited | ProcessState::Fatal => {
            Some(Err(Unreached::Reached(entry.reached(now))))
        }
        state @ (ProcessState::Stopped | ProcessState::Stopping) => Some(Err(Unreached::StoppedMeanwhile(state))),
    }
}

/// Has a process that is to go down done so? `None`: not yet.
pub(super) fn down_outcome(entry: &Entry) -> Option<Result<(), Unreached>> {
    entry.is_settled_down().then_some(Ok(()))
}

/// Is it as it is waited for, or can't it become so? `None`: not yet.
pub(super) fn reach_outcome(
    now: Moment,
    entry: &Entry,
    until: WaitFor,
    may_be_taken_back: bool,
) -> Option<Result<(), Unreached>> {
    let state = entry.machine.state();
    let is_so = match until {
        WaitFor::Running | WaitFor::Healthy if entry.machine.has_completed() => true,
        WaitFor::Running => matches!(state, ProcessState::Running | ProcessState::Unhealthy),
        WaitFor::Healthy => {
            let config = entry.machine.run_config().unwrap_or(entry.config());
            let unchecked = config.healthcheck.check_type == HealthCheckType::None;
            state == ProcessState::Running && (unchecked || entry.machine.healthy() == Some(true))
        }
        WaitFor::Stopped => return down_outcome(entry),
        WaitFor::Exited => return is_reached_by(Goal::Reach(until), state).then_some(Ok(())),
    };
    if is_so {
        return Some(Ok(()));
    }
    if entry.disabled && entry.is_settled_down() && !entry.draining {
        return Some(Err(Unreached::Disabled));
    }
    let is_lost = match state {
        // The reason is better with the last line of output, which is on its way.
        ProcessState::Fatal => !entry.draining,
        ProcessState::Exited => !may_be_taken_back && !entry.draining && entry.is_settled_down(),
        // A check may pass again one day, but nothing is done for it.
        ProcessState::Unhealthy => !may_be_taken_back && entry.config().autorestart == AutoRestart::Never,
        // One that is down was stopped before somebody began to wait for it: for whoever starts it, then.
        ProcessState::Stopped
        | ProcessState::Starting
        | ProcessState::Running
        | ProcessState::Backoff
        | ProcessState::Stopping => false,
    };
    is_lost.then(|| Err(Unreached::Reached(entry.reached(now))))
}
