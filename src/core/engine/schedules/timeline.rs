//! [`Timeline`]: the wall clock as it was seen, and what times it has passed already. It can be set by any amount in
//! either direction. No time is to come twice for that; but a clock that was years ahead and is put right must not
//! silence a schedule until the same years have gone by, so what lies more than a day back counts anew.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::core::effect::ClockReading;
use crate::process::Moment;

/// Both clocks are not read in one step: a difference up to this is none, in microseconds.
const JITTER: i64 = 50_000;

/// What is passed over by so many seconds is made up for.
pub(super) const CLOCK_STEP_TOLERANCE_SECS: i64 = 60;

/// How many past stretches of time are remembered.
const MAX_PASSED: usize = 4;

/// Where the clock is set back by more seconds than this, times count anew.
const RECOMPUTE_AFTER_SECS: i64 = 86_400;

const MICROS: i64 = 1_000_000;

/// Times that have come already, by a clock that was set to something else since: both ends included, in seconds since
/// 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Passed {
    from: i64,
    until: i64,
    /// When the clock was set.
    left_at: Moment,
}

/// The clock was set, or went on while the machine was asleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Jump {
    /// Microseconds; forward above 0.
    pub(super) by: i64,
    /// How long the machine has slept.
    pub(super) asleep: Duration,
    /// What the clock would show without it, in seconds since 1970.
    pub(super) before: i64,
    /// It was set back so far that times count anew.
    pub(super) counts_anew: bool,
}

impl Jump {
    /// What it has passed over is made up for, as if it had not happened.
    pub(super) fn is_small(&self) -> bool {
        self.by <= CLOCK_STEP_TOLERANCE_SECS * MICROS
    }
}

/// See the [module](self).
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Timeline {
    reading: ClockReading,
    /// The times from here to there have come, in seconds since 1970.
    from: i64,
    until: i64,
    passed: Vec<Passed>,
}

impl Timeline {
    pub(super) fn new(reading: ClockReading) -> Timeline {
        let now = reading.seconds();
        Timeline { reading, from: now, until: now, passed: Vec::new() }
    }

    /// What the clock shows, in seconds since 1970.
    pub(super) fn seconds(&self) -> i64 {
        self.reading.seconds()
    }

    /// When the clock will show this, if nobody sets it.
    pub(super) fn moment_of(&self, seconds: i64) -> Moment {
        let ahead = seconds.saturating_mul(MICROS).saturating_sub(self.reading.wall);
        self.reading.at + Duration::from_micros(u64::try_from(ahead).unwrap_or(0))
    }

    /// Whether the clock shows this time or a later one.
    pub(super) fn has_reached(&self, seconds: i64) -> bool {
        self.reading.wall >= seconds.saturating_mul(MICROS)
    }

    /// The clock was looked at.
    pub(super) fn read(&mut self, reading: ClockReading) -> Option<Jump> {
        let last = std::mem::replace(&mut self.reading, reading);
        let elapsed = reading.at.saturating_duration_since(last.at);
        let expected = last.wall.saturating_add(i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX));
        let by = reading.wall.saturating_sub(expected);
        let asleep = reading.asleep.saturating_sub(last.asleep);
        if by.abs() <= JITTER {
            self.until = self.until.max(reading.seconds());
            return None;
        }
        let (before, now) = (expected.div_euclid(MICROS), reading.seconds());
        let asleep = if asleep > Duration::from_secs(1) { asleep } else { Duration::ZERO };
        self.until = self.until.max(before);
        let counts_anew = now < self.from || self.until - now > RECOMPUTE_AFTER_SECS;
        let jump = Jump { by, asleep, before, counts_anew };
        // What was passed over in sleep is caught up with, or was missed; what a setting has passed over never came.
        if counts_anew || (!jump.is_small() && asleep.is_zero()) {
            self.passed.push(Passed { from: self.from, until: self.until, left_at: reading.at });
            if counts_anew {
                // Also once the clock has come closer to them again: else it would silence a schedule for a day after
                // all.
                self.passed.retain(|passed| passed.until - now <= RECOMPUTE_AFTER_SECS);
            }
            if self.passed.len() > MAX_PASSED {
                self.passed.remove(0);
            }
            (self.from, self.until) = (now, now);
        }
        self.until = self.until.max(now);
        Some(jump)
    }

    /// The end of the stretch in which this time has come already, not long ago, for somebody who has waited since
    /// `since`.
    pub(super) fn passed_until(&self, seconds: i64, since: Moment) -> Option<i64> {
        let now = self.seconds();
        let has_it = |passed: &&Passed| {
            passed.left_at > since
                && passed.until - now <= RECOMPUTE_AFTER_SECS
                && (passed.from..=passed.until).contains(&seconds)
        };
        self.passed.iter().find(has_it).map(|passed| passed.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: i64 = 1_800_000_000;

    fn reading(monotonic: u64, wall: i64, asleep: u64) -> ClockReading {
        let at = Moment::from_nanos(monotonic * 1_000_000_000);
        ClockReading { at, wall: wall * MICROS, asleep: Duration::from_secs(asleep) }
    }

    #[test]
    fn a_clock_that_goes_on_does_not_jump() {
        let mut timeline = Timeline::new(reading(100, NOON, 5));
        let mut late = reading(200, NOON + 100, 5);
        late.wall += JITTER;
        assert_eq!(timeline.read(late), None);
        assert_eq!(timeline.seconds(), NOON + 100);
        assert!(timeline.has_reached(NOON + 100) && !timeline.has_reached(NOON + 101));
        let ahead = timeline.moment_of(NOON + 200).saturating_duration_since(late.at);
        assert_eq!(ahead, Duration::from_millis(99_950));
        assert_eq!(timeline.moment_of(0), late.at, "long past");
    }

    #[test]
    fn jumps_are_told_with_what_was_expected() {
        let mut timeline = Timeline::new(reading(100, NOON, 0));
        let jump = timeline.read(reading(110, NOON + 3610, 0)).expect("an hour ahead");
        assert_eq!((jump.by, jump.before, jump.is_small()), (3600 * MICROS, NOON + 10, false));
        let jump = timeline.read(reading(120, NOON + 3680, 0)).expect("a minute");
        assert!(jump.is_small());
        let jump = timeline.read(reading(130, NOON + 3640, 0)).expect("back");
        assert!(jump.by < 0 && !jump.counts_anew && jump.is_small());
        let jump = timeline.read(reading(140, NOON + 8000, 4300)).expect("asleep");
        assert_eq!(jump.asleep, Duration::from_secs(4300));
    }

    #[test]
    fn times_before_the_clock_was_ever_right_are_new_and_those_of_before_are_not() {
        let mut timeline = Timeline::new(reading(100, NOON, 0));
        let since = Moment::from_nanos(1);
        let far = NOON + 70 * 365 * 86_400;
        assert!(timeline.read(reading(200, far, 0)).is_some_and(|jump| !jump.counts_anew));
        assert_eq!(timeline.passed_until(NOON + 50, since), Some(NOON + 100));
        assert_eq!(timeline.passed_until(NOON + 101, since), None);
        let back = timeline.read(reading(300, NOON + 60, 0)).expect("back");
        assert!(back.counts_anew);
        assert_eq!(timeline.passed_until(NOON + 90, since), Some(NOON + 100), "has come before the first jump");
        assert_eq!(timeline.passed_until(far + 50, since), None, "long until then");
        assert_eq!(timeline.passed_until(NOON + 90, Moment::from_nanos(400 * 1_000_000_000)), None, "somebody new");
    }

    #[test]
    fn within_a_day_no_time_comes_twice_and_beyond_it_counts_anew() {
        let mut timeline = Timeline::new(reading(0, NOON, 0));
        assert_eq!(timeline.read(reading(200_000, NOON + 200_000, 0)), None);
        let back = timeline.read(reading(200_001, NOON + 200_001 - 80_000, 0)).expect("back");
        assert!(!back.counts_anew);
        let back = timeline.read(reading(200_002, NOON + 200_002 - 90_000, 0)).expect("back");
        assert!(back.counts_anew, "more than a day behind the latest");
        assert_eq!(timeline.passed_until(NOON + 150_000, Moment::from_nanos(1)), None);
        // The time of before comes closer again, hour by hour.
        assert_eq!(timeline.read(reading(205_602, NOON + 200_002 - 90_000 + 5_600, 0)), None);
        assert_eq!(timeline.passed_until(NOON + 120_000, Moment::from_nanos(1)), None);
    }

    #[test]
    fn few_stretches_are_remembered() {
        let mut timeline = Timeline::new(reading(0, NOON, 0));
        for number in 1..100 {
            let _ = timeline.read(reading(number, NOON + 10_000 * i64::try_from(number).unwrap(), 0));
        }
        assert_eq!(timeline.passed.len(), MAX_PASSED);
    }
}
