//! The wall clock, which somebody sets and a sleep of the machine moves on; and which times of the job it has shown.

use std::collections::BTreeSet;

use super::*;
use crate::core::effect::ClockReading;

const MICROS: i64 = 1_000_000;
/// What it passes over by so much is made up for.
const MADE_UP: i64 = 60 * MICROS;
/// Where it is set back by more seconds, times count anew.
const DAY: i64 = 86_400;
/// So many stretches of time are remembered at least.
const REMEMBERED: u32 = 4;

#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    /// What it is ahead of the monotonic clock, in microseconds.
    ahead: i64,
    asleep: Duration,
}

impl Default for Clock {
    fn default() -> Clock {
        Clock { ahead: 1_800_000_000 * MICROS, asleep: Duration::ZERO }
    }
}

impl Clock {
    fn micros(self, now: Moment) -> i64 {
        self.ahead + i64::try_from(now.as_nanos() / 1_000).expect("a few years")
    }

    /// In seconds since 1970.
    pub(super) fn wall(self, now: Moment) -> i64 {
        self.micros(now).div_euclid(MICROS)
    }

    pub(super) fn reading(self, now: Moment) -> ClockReading {
        ClockReading { at: now, wall: self.micros(now), asleep: self.asleep }
    }
}

/// The times of the job, one in each minute.
#[derive(Debug, Default)]
pub(super) struct Minutes {
    /// Those at which it was started since it has its schedule.
    begun: BTreeSet<i64>,
    /// The latest one that the clock has shown.
    latest: i64,
    /// The clock has passed over one of them in this turn, by little.
    made_up: bool,
    /// How often the clock was set by much since the daemon began.
    jumps: u32,
}

impl Minutes {
    /// It begins anew: for the job, or for all of a daemon.
    pub(super) fn begin(&mut self, with_daemon: bool) {
        self.begun.clear();
        if with_daemon {
            *self = Minutes::default();
        }
    }

    pub(super) fn is_due(&self, wall: i64) -> bool {
        wall % 60 == 0 || self.made_up
    }

    /// The clock has started the job.
    pub(super) fn start(&mut self, wall: i64) -> Result<(), String> {
        let minute = wall.div_euclid(60);
        if !self.begun.insert(minute) && self.jumps <= REMEMBERED {
            return Err(format!("the job is started twice at {minute} min"));
        }
        Ok(())
    }
}

impl Sim {
    /// The turn is over.
    pub(super) fn look_at_clock(&mut self) {
        self.minutes.made_up = false;
        self.minutes.latest = self.minutes.latest.max(self.system.clock.wall(self.now));
    }

    /// Somebody sets the clock, or the machine has slept.
    pub(super) fn move_clock(&mut self) -> Result<(), String> {
        let most = self.random.pick(&[20_000, MICROS, 59 * MICROS, 62 * MICROS, 3_600 * MICROS, 100_000 * MICROS]);
        let by = i64::try_from(self.random.below(most.unsigned_abs())).expect("a day or so") + 1;
        let (by, asleep) = match self.random.below(3) {
            0 => (by, 0),
            1 => (-by, 0),
            _ => (by, by.unsigned_abs()),
        };
        self.jump(by, Duration::from_micros(asleep))
    }

    fn jump(&mut self, by: i64, asleep: Duration) -> Result<(), String> {
        let before = self.system.clock.wall(self.now);
        self.system.clock.ahead += by;
        self.system.clock.asleep += asleep;
        let wall = self.system.clock.wall(self.now);
        self.note(format!("the clock goes from {before} to {wall}, after a sleep of {asleep:?}"));
        let minutes = &mut self.minutes;
        minutes.latest = minutes.latest.max(before);
        // One that it has shown a moment ago may not have been noticed yet.
        let begins = (before - 1).div_euclid(60);
        minutes.made_up = (1..=MADE_UP + MICROS).contains(&by) && begins < wall.div_euclid(60);
        minutes.jumps += u32::from(!(0..=MADE_UP).contains(&by));
        if minutes.latest - wall >= DAY {
            minutes.begun.clear();
            minutes.latest = wall;
        }
        self.count(match (by > 0, asleep.is_zero()) {
            (_, false) => "slept",
            (true, true) => "set forward",
            (false, true) => "set back",
        });
        self.turn(|engine, now| engine.handle(now, Input::Notice(Notice::ClockSet)))
    }

    /// It shows no time any more that it has shown already.
    pub(super) fn put_clock_right(&mut self) -> Result<(), String> {
        let behind = self.minutes.latest - self.system.clock.wall(self.now);
        if behind > 0 { self.jump((behind + 1) * MICROS, Duration::ZERO) } else { Ok(()) }
    }
}
