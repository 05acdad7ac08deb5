//! [`NextRun`]: when a schedule starts a program the next time.

use std::time::Duration;

use super::wall_clock::WallClock;
use crate::process::Moment;
use crate::util::civil::{Date, date};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// When a program is started by its schedule the next time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NextRun {
    /// At this moment; `None`: after the end of a run.
    pub at: Option<Moment>,
    /// What the clock shows then: seconds since 1970, and how many its zone is ahead of UTC. `None`: it goes by an
    /// interval.
    pub clock: Option<(i64, i32)>,
    /// One more run begins when the present one has ended.
    pub queued: bool,
}

impl NextRun {
    /// The same in seconds since 1970; `None`: after the end of a run. What goes by a clock has exactly its time: a
    /// moment is some microseconds off, which can be a second.
    pub fn seconds(&self, clock: WallClock) -> Option<u64> {
        match self.clock {
            Some((seconds, _)) => u64::try_from(seconds).ok(),
            None => self.at.map(|at| clock.seconds(at)),
        }
    }

    /// `next 03:00:00 (in 5 h 12 min)`; `zone` is the one that its times are of, where that is not the system's.
    pub fn describe(&self, now: Moment, zone: Option<&str>) -> String {
        let queued = if self.queued { "one more run waits; " } else { "" };
        let Some(at) = self.at else { return format!("{queued}next after its end") };
        let left = at.saturating_duration_since(now);
        match self.clock {
            None => format!("{queued}next in {}", remaining(left)),
            Some((seconds, offset)) => {
                let time = time_of(seconds, offset, left >= Duration::from_secs(DAY));
                let zone = zone.map_or_else(String::new, |zone| format!(" {zone}"));
                format!("{queued}next {time}{zone} (in {})", remaining(left))
            }
        }
    }
}

/// `03:00:00`, or `2026-12-01 03:00:00`: what a clock shows at this time, that is so many seconds ahead of UTC.
pub fn time_of(seconds: i64, offset: i32, with_date: bool) -> String {
    let local = seconds.saturating_add(i64::from(offset));
    let (days, second) = (local.div_euclid(DAY as i64), local.rem_euclid(DAY as i64));
    let time = format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60);
    if !with_date {
        return time;
    }
    let Date { year, month, day } = date(days);
    format!("{year}-{month:02}-{day:02} {time}")
}

/// `42 s`, `12 min`, `5 h 12 min`, `2 d 5 h`
fn remaining(left: Duration) -> String {
    let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
    let two = |number: u64, unit: &str, rest: u64, smaller: &str| match rest {
        0 => format!("{number} {unit}"),
        rest => format!("{number} {unit} {rest} {smaller}"),
    };
    match seconds {
        0..MINUTE => format!("{seconds} s"),
        MINUTE..HOUR => format!("{} min", seconds / MINUTE),
        HOUR..DAY => two(seconds / HOUR, "h", seconds % HOUR / MINUTE, "min"),
        DAY.. => two(seconds / DAY, "d", seconds % DAY / HOUR, "h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_by_the_clock_and_by_what_is_left() {
        let now = Moment::from_nanos(1);
        let next = |left: u64, clock| NextRun { at: Some(now + Duration::from_secs(left)), clock, queued: false };
        let at = Some((1_796_785_200, 3600)); // 2026-12-09 03:00:00 in Berlin
        assert_eq!(next(18_720, at).describe(now, None), "next 04:00:00 (in 5 h 12 min)");
        assert_eq!(next(18_000, at).describe(now, Some("Europe/Berlin")), "next 04:00:00 Europe/Berlin (in 5 h)");
        assert_eq!(next(3 * DAY + 7200, at).describe(now, None), "next 2026-12-09 04:00:00 (in 3 d 2 h)");
        assert_eq!(next(59, None).describe(now, None), "next in 59 s");
        assert_eq!(next(600, None).describe(now, None), "next in 10 min");
        // The two clocks were not read at quite the same time.
        let clock = WallClock { now, wall: Duration::from_micros(1_796_785_200_000_000 - 60_000_001) };
        assert_eq!(next(60, at).seconds(clock), Some(1_796_785_200));
        assert_eq!(next(60, None).seconds(clock), Some(1_796_785_199));
        let waits = NextRun { at: None, clock: None, queued: true };
        assert_eq!(waits.describe(now, None), "one more run waits; next after its end");
    }
}
