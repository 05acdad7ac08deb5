//! Times for people.

use std::time::{Duration, UNIX_EPOCH};

use crate::sys::time::local;

/// Time of day in the local zone with milliseconds, with the day before it where that is asked for.
pub(super) fn time_of_day(seconds: f64, day: bool) -> String {
    let since = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    let time = local(UNIX_EPOCH + since);
    let clock = format!("{:02}:{:02}:{:02}.{:03}", time.hour, time.minute, time.second, time.millisecond);
    if day { format!("{}-{:02}-{:02} {clock}", time.year, time.month, time.day) } else { clock }
}
