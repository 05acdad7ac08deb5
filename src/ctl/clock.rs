//! Times for people.

use std::time::{Duration, UNIX_EPOCH};

use crate::sys::time::local;

/// Half of a hundredth of a millisecond: more than a time of this century is off in a float, and nothing to anybody.
const INEXACT_MS: f64 = 0.005;

/// Time of day in the local zone with milliseconds, cut off and not rounded, as everywhere; with the day before it
/// where that is asked for.
pub(super) fn time_of_day(seconds: f64, day: bool) -> String {
    let time = local(UNIX_EPOCH + Duration::from_millis(seconds_to_ms(seconds)));
    let clock = format!("{:02}:{:02}:{:02}.{:03}", time.hour, time.minute, time.second, time.millisecond);
    if day { format!("{}-{:02}-{:02} {clock}", time.year, time.month, time.day) } else { clock }
}

/// What has three decimals is often a little less in a float: cut off as it is, it would be told a millisecond too
/// early.
fn seconds_to_ms(seconds: f64) -> u64 {
    (seconds * 1000.0 + INEXACT_MS).floor() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_to_the_millisecond_that_was_sent() {
        for ms in (0..2_000_000_000_000).step_by(7_919_000_317).chain(1_796_078_648_000..1_796_078_650_000) {
            assert_eq!(seconds_to_ms(ms as f64 / 1000.0), ms);
            assert!(time_of_day(ms as f64 / 1000.0, true).ends_with(&format!(".{:03}", ms % 1000)), "{ms}");
        }
        assert_eq!((seconds_to_ms(1.9999), seconds_to_ms(-1.0), seconds_to_ms(f64::NAN)), (1999, 0, 0));
    }
}
