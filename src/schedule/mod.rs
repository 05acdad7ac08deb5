//! When a schedule is due: pure, from a moment to the next one. A zone is told by its offsets alone; who knows them is
//! left to the caller.
//!
//! Where clocks are changed for daylight saving, one of two rules holds, both of which are cron's:
//!
//! - Fixed times: one that a day does not have is due at the first moment after the gap, and one that it has twice is due the
//!   first time. So a daily job runs once on each local day that exists.
//! - Where the minute or the hour begins with `*`, elapsed time is followed: each moment counts whose local time matches. A job of
//!   every five minutes runs every five minutes, whatever the clocks do.

mod local;

use crate::models::{Calendar, ScheduleConfig};
use crate::util::fnv;
use local::next_local;

/// Seconds of a day.
const DAY: i64 = 86_400;

/// The changes of the offset that are looked at on the way to the next time: those of a hundred years.
const MAX_CHANGES: usize = 200;

/// Seconds that a zone is ahead of UTC at a moment, in seconds since 1970.
pub(crate) type Offset<'z> = &'z dyn Fn(i64) -> i32;

/// The first moment after this one at which one of its calendars is due; `None`: none within forty years.
pub(crate) fn next(config: &ScheduleConfig, offset: Offset<'_>, after: i64) -> Option<i64> {
    config.calendars().filter_map(|calendar| next_of(calendar, offset, after)).min()
}

/// Seconds by which its runs are put off (`schedule_jitter`): always the same for a program on a machine, which is what
/// `host` tells, and less than there are to the following one.
pub(crate) fn jitter(config: &ScheduleConfig, host: impl FnOnce() -> u64, name: &str, following: Option<i64>) -> i64 {
    if config.jitter == 0 {
        return 0;
    }
    // The last bits of such a hash are those that spread best.
    let hash = fnv::hash([&host().to_le_bytes()[..], name.as_bytes()]);
    let offset = i64::try_from(hash % (u64::from(config.jitter) + 1)).unwrap_or(0);
    offset % following.unwrap_or(i64::MAX).max(1)
}

/// As [`next`], of one calendar.
fn next_of(calendar: &Calendar, offset: Offset<'_>, after: i64) -> Option<i64> {
    match calendar.follows_elapsed() {
        true => next_elapsed(calendar, offset, after),
        false => next_fixed(calendar, offset, after),
    }
}

/// The first moment whose local time matches.
fn next_elapsed(calendar: &Calendar, offset: Offset<'_>, after: i64) -> Option<i64> {
    let mut from = after.checked_add(1)?;
    for _ in 0..MAX_CHANGES {
        // As if the offset never changed.
        let ahead = i64::from(offset(from));
        let at = next_local(calendar, from + ahead - 1)? - ahead;
        match first_change(offset, from, at) {
            None => return Some(at),
            Some(change) => from = change,
        }
    }
    None
}

/// The first moment that a matching local time stands for.
fn next_fixed(calendar: &Calendar, offset: Offset<'_>, after: i64) -> Option<i64> {
    let mut local = after.checked_add(i64::from(offset(after)))?;
    loop {
        // Where a time comes for the second time, those that match have come already.
        local = next_local(calendar, local)?;
        let at = moment_of(local, offset);
        if at > after {
            return Some(at);
        }
    }
}

/// The first moment at which clocks show this time; where none does, the first one after the gap.
fn moment_of(local: i64, offset: Offset<'_>) -> i64 {
    // No zone is a day away from UTC.
    let (before, behind) = (i64::from(offset(local - DAY)), i64::from(offset(local + DAY)));
    let (first, last) = (local - before.max(behind), local - before.min(behind));
    let shows_it = |at: &i64| at + i64::from(offset(*at)) == local;
    let found = [first, last].into_iter().find(shows_it);
    found.or_else(|| first_change(offset, first, last)).unwrap_or(last)
}

/// The first moment behind `from`, and not behind `to`, with another offset than that of `from`.
fn first_change(offset: Offset<'_>, from: i64, to: i64) -> Option<i64> {
    let present = offset(from);
    let mut same = from;
    while same < to {
        let mut other = to.min(same + DAY);
        if offset(other) == present {
            same = other;
            continue;
        }
        while other - same > 1 {
            let middle = same + (other - same) / 2;
            if offset(middle) == present { same = middle } else { other = middle }
        }
        return Some(other);
    }
    None
}

#[cfg(all(test, feature = "schedules"))]
mod tests;
