//! The timing and the score of one run's health checks.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::moment::Moment;
use super::due::{Due, after, is_due};
use crate::models::{HealthCheckConfig, HealthCheckType, ProgramConfig};
use crate::util::truncate::to_bytes;

/// What an answer may take beyond the check's own time-out and one interval before it is given up, in seconds.
const MARGIN: u64 = 5;

/// Checks of one run. At most one is outstanding.
///
/// The moments at which they are due form a row (`first`, `first + interval`, …) that answers do
/// not shift. Moments that pass while an answer is awaited are made up for by one check right after it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Checks {
    next: Due,
    /// The check that is out.
    pending: Option<PendingCheck>,
    /// Failures in a row.
    pub(super) failures: u32,
    /// What the last answer said.
    pub(super) healthy: Option<bool>,
    /// What the last check found.
    pub(super) message: Arc<str>,
}

/// An answer that is awaited. (A struct, because an `Option` in an `Option` does not come back from JSON.)
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct PendingCheck {
    pub(super) given_up_at: Due,
}

/// What a timer of the checks asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum CheckAction {
    /// Nothing is due.
    Nothing,
    /// A check is to be sent out.
    Check,
    /// The outstanding check's answer is given up.
    GiveUp,
}

impl Checks {
    /// The checks of a run of this program that became `RUNNING` at `now`; `None` where none are configured.
    pub(super) fn new(program: &ProgramConfig, now: Moment) -> Option<Box<Self>> {
        let config = &*program.healthcheck;
        let first = now.checked_add(Duration::from_secs(config.start_period.into()) + stagger(program));
        match config.check_type {
            HealthCheckType::None => None,
            HealthCheckType::Tcp | HealthCheckType::Unix | HealthCheckType::Http | HealthCheckType::Script => {
                Some(Box::new(Checks {
                    next: first,
                    pending: None,
                    failures: 0,
                    healthy: None,
                    message: Arc::default(),
                }))
            }
        }
    }

    /// The checks of a run that is ready when one passes: the first is due at once.
    pub(super) fn at_once(program: &ProgramConfig, now: Moment) -> Option<Box<Self>> {
        let mut checks = Checks::new(program, now)?;
        checks.next = Some(now);
        Some(checks)
    }

    /// One has passed, and the run is `RUNNING` at `now`: the next one comes after an interval.
    pub(super) fn schedule_next(&mut self, config: &HealthCheckConfig, now: Moment) {
        self.next = after(now, config.interval);
    }

    /// A check is out.
    pub(super) fn is_under_way(&self) -> bool {
        self.pending.is_some()
    }

    /// When [`poll`](Self::poll) is to be called.
    pub(super) fn timer(&self) -> Due {
        match self.pending {
            Some(pending) => pending.given_up_at,
            None => self.next,
        }
    }

    /// What is due at `now`; takes note of it.
    pub(super) fn poll(&mut self, config: &HealthCheckConfig, now: Moment) -> CheckAction {
        self.poll_every(config.interval, config, now)
    }

    /// The same, with another interval (in seconds) than that of the configuration.
    pub(super) fn poll_every(&mut self, interval: u32, config: &HealthCheckConfig, now: Moment) -> CheckAction {
        if let Some(pending) = self.pending {
            return if is_due(pending.given_up_at, now) { CheckAction::GiveUp } else { CheckAction::Nothing };
        }
        if !is_due(self.next, now) {
            return CheckAction::Nothing;
        }
        let answer_limit = u64::from(config.timeout) + u64::from(config.interval) + MARGIN;
        self.pending = Some(PendingCheck { given_up_at: now.checked_add(Duration::from_secs(answer_limit)) });
        self.next = self.next.and_then(|due| following(due, interval, now));
        CheckAction::Check
    }

    /// The check could not be made: that says nothing of the run, and the next one comes in its time.
    pub(super) fn skip(&mut self) {
        self.pending = None;
    }

    /// Takes an answer in; `false` if none was awaited: then it is of a check that was given up.
    pub(super) fn answer(&mut self, healthy: bool, message: &str) -> bool {
        if self.pending.take().is_none() {
            return false;
        }
        self.failures = if healthy { 0 } else { self.failures.saturating_add(1) };
        self.healthy = Some(healthy);
        self.message = to_bytes(message, MAX_MESSAGE_BYTES).into();
        true
    }
}

/// How much later than its `start_period` a program's first check is due: by its name up to an interval, and up to a
/// `start_period` where that is shorter. A thousand programs that have started together would else be checked together ever
/// after. Who wants the first check at once (0) gets it.
fn stagger(program: &ProgramConfig) -> Duration {
    let most = program.healthcheck.interval.min(program.healthcheck.start_period);
    // FNV-1a, whose upper bits a multiplication mixes: names differ in their last digits.
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let hash = program.name.bytes().fold(0xcbf2_9ce4_8422_2325, step).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    // Twenty bits: the product fits whatever is configured.
    Duration::from_millis(((hash >> 44) * u64::from(most) * 1000) >> 20)
}

/// The first moment after `now` in the row `due`, `due + interval`, …; `interval` in seconds.
fn following(due: Moment, interval: u32, now: Moment) -> Due {
    let interval = u64::from(interval.max(1));
    let passed = now.saturating_duration_since(due).as_secs() / interval;
    let seconds = passed.saturating_add(1).checked_mul(interval)?;
    due.checked_add(Duration::from_secs(seconds))
}

/// Bytes of a message that are kept: it comes from outside.
const MAX_MESSAGE_BYTES: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    fn first_check_ms(name: &str, start_period: u32, interval: u32) -> u64 {
        let mut program = ProgramConfig::new(name, "true");
        program.healthcheck.check_type = HealthCheckType::Tcp;
        program.healthcheck.start_period = start_period;
        program.healthcheck.interval = interval;
        let now = Moment::from_nanos(7);
        let first = Checks::new(&program, now).unwrap().timer().unwrap();
        u64::try_from(first.saturating_duration_since(now).as_millis()).unwrap()
    }

    #[test]
    fn first_checks_of_many_programs_are_spread() {
        let mut of_second = [0u32; 10];
        for number in 0..1000 {
            let after = first_check_ms(&format!("worker:{number:02}"), 10, 10);
            assert!((10_000..20_000).contains(&after), "{after}");
            of_second[usize::try_from(after / 1000).unwrap() - 10] += 1;
        }
        assert!(of_second.iter().all(|count| (50..150).contains(count)), "{of_second:?}");
    }

    #[test]
    fn no_first_check_is_staggered_by_more_than_its_own_times() {
        assert_eq!(first_check_ms("web", 0, 30), 0, "at once is at once");
        assert!((5_000..6_000).contains(&first_check_ms("web", 5, 1)));
        assert!((2_000..4_000).contains(&first_check_ms("web", 2, 3600)));
        assert!(first_check_ms("web", u32::MAX, u32::MAX) >= u64::from(u32::MAX) * 1000, "nothing overflows");
    }
}
