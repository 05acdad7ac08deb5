//! What follows a start that has failed: another attempt after a while, or `FATAL`.

use std::sync::Arc;

use super::super::cause::{Cause, Tries};
use super::super::failure::Failure;
use super::super::moment::Moment;
use super::super::state::{ProcessState, SpawnError};
use super::action::{Desired, KillWhy};
use super::due::after;
use super::phase::{Group, LeaderState, Phase, Remains, Retry, Run};
use super::{MAX_RETRY_DELAY, Machine};

impl Machine {
    /// A start that did not succeed: `BACKOFF`, or `FATAL` after the last retry.
    pub(super) fn failed_attempt(
        &mut self,
        now: Moment,
        from: ProcessState,
        failure: Arc<Failure>,
        remains: Option<Remains>,
    ) -> Phase {
        if self.is_fatal_retry() {
            return self.give_up(now, from, failure, None, remains);
        }
        self.tally.attempts = self.tally.attempts.saturating_add(1);
        match self.tally.attempts {
            number if number <= self.config.startretries => self.back_off(now, from, number, failure, remains),
            1 => self.give_up(now, from, failure, None, remains),
            attempts => self.give_up(now, from, failure, Some(Tries::Attempts(attempts)), remains),
        }
    }

    /// A run that was stopped for its health has gone.
    pub(super) fn health_restart(&mut self, now: Moment, failure: Arc<Failure>) -> Phase {
        self.tally.health_restarts = self.tally.health_restarts.saturating_add(1);
        match self.tally.health_restarts {
            number if number <= self.config.startretries => {
                self.back_off(now, ProcessState::Stopping, number, failure, None)
            }
            1 => self.give_up(now, ProcessState::Stopping, failure, None, None),
            number => self.give_up(now, ProcessState::Stopping, failure, Some(Tries::Restarts(number - 1)), None),
        }
    }

    /// The daemon could not spawn it, for want of something: that is no failure of the program, and it is tried until
    /// there is room.
    fn wait_for_room(
        &mut self,
        now: Moment,
        error: &SpawnError,
        failure: Arc<Failure>,
        remains: Option<Remains>,
    ) -> Phase {
        self.tally.shortages = self.tally.shortages.saturating_add(1);
        let delay = self.tally.shortages.min(MAX_RETRY_DELAY);
        let cause = Cause::WaitsForRoom { error: Box::new(error.clone()), delay };
        let retry = Retry { number: None, at: retry_at(now, delay), failure };
        self.announce(ProcessState::Starting, ProcessState::Backoff, None, cause);
        self.begin_remains(remains.as_ref());
        Phase::Backoff { retry, remains }
    }

    /// Its program, or a hook that comes before it, could not be executed.
    pub(super) fn not_spawned(
        &mut self,
        now: Moment,
        error: &SpawnError,
        failure: Arc<Failure>,
        remains: Option<Remains>,
    ) -> Phase {
        let from = ProcessState::Starting;
        match (error.is_shortage(), error.is_permanent()) {
            (true, _) => self.wait_for_room(now, error, failure, remains),
            (false, true) => self.give_up(now, from, failure, None, remains),
            (false, false) => self.failed_attempt(now, from, failure, remains),
        }
    }

    fn back_off(
        &mut self,
        now: Moment,
        from: ProcessState,
        number: u32,
        failure: Arc<Failure>,
        remains: Option<Remains>,
    ) -> Phase {
        let delay = self.retry_delay(number);
        // Where the clock has no room for the delay, a retry at once is better than none.
        let at = now.checked_add(delay).unwrap_or(now);
        if let Some(limit) = self.exceeds_limit(at) {
            return self.give_up(now, from, failure, Some(limit), remains);
        }
        let delay = u32::try_from(delay.as_millis().div_ceil(1000)).unwrap_or(u32::MAX);
        let cause = Cause::BackedOff { failure: failure.clone(), number, of: self.config.startretries, delay };
        let retry = Retry { number: Some(number), at, failure };
        self.announce(from, ProcessState::Backoff, None, cause);
        self.begin_remains(remains.as_ref());
        Phase::Backoff { retry, remains }
    }

    /// `FATAL`: only an operator's start tries again, so it is no longer wanted up; or it is tried again after a long while.
    pub(super) fn give_up(
        &mut self,
        now: Moment,
        from: ProcessState,
        failure: Arc<Failure>,
        after: Option<Tries>,
        remains: Option<Remains>,
    ) -> Phase {
        let retry_at = self.fatal_retry_at(now);
        self.desired = if retry_at.is_some() { Desired::Up } else { Desired::Down };
        self.announce(from, ProcessState::Fatal, None, Cause::GaveUp { failure: failure.clone(), after });
        self.begin_remains(remains.as_ref());
        Phase::Fatal { failure, after, retry_at, remains }
    }

    /// `FATAL` for good: another attempt would end as this one has.
    pub(super) fn give_up_for_good(
        &mut self,
        from: ProcessState,
        failure: Arc<Failure>,
        remains: Option<Remains>,
    ) -> Phase {
        self.desired = Desired::Down;
        self.announce(from, ProcessState::Fatal, None, Cause::GaveUp { failure: failure.clone(), after: None });
        self.begin_remains(remains.as_ref());
        Phase::Fatal { failure, after: None, retry_at: None, remains }
    }

    /// A step has panicked: what it was about to do is unknown. `FATAL`, and what there is of a run is killed.
    pub(super) fn fail_after_panic(&mut self, now: Moment, from: ProcessState, run: Option<(i32, Moment)>) {
        self.actions.clear();
        self.abandon_hooks();
        let config = self.config.clone();
        let remains = run.map(|(pid, started)| {
            let group = Group::left_by(Run::new(pid, started, config));
            Remains::Group(self.kill(now, LeaderState::Gone, group, KillWhy::InternalError))
        });
        self.phase = self.give_up_for_good(from, Failure::InternalError.into(), remains);
    }
}

/// When the retry with this number comes. The clock has room for half a minute; if not, a retry at once is better than
/// none.
pub(super) fn retry_at(now: Moment, number: u32) -> Moment {
    after(now, number.min(MAX_RETRY_DELAY)).unwrap_or(now)
}
