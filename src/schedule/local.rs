//! The next time of a calendar on a clock that is never changed.

use super::DAY;
use crate::models::Calendar;
use crate::util::civil::{self, Date, date, days_of_month};

/// 29 February may be as far away as this, where a day of the week is asked for as well: it is the same one again after
/// 28 years, or 40 where a century is no leap year.
const FARTHEST_DAYS: i64 = 41 * 366;

/// The first matching second after this one, both in seconds since 1970 as the clock shows them.
pub(super) fn next_local(calendar: &Calendar, after: i64) -> Option<i64> {
    let from = after.checked_add(1)?;
    let mut day = from.div_euclid(DAY);
    // Less than a day.
    let mut second = from.rem_euclid(DAY) as u32;
    let last = day + FARTHEST_DAYS;
    while day <= last {
        let Date { year, month, day: of_month } = date(day);
        if !calendar.has_month(month) {
            day += i64::from(days_of_month(year, month) - of_month + 1);
        } else {
            if calendar.has_day(of_month, civil::weekday(day))
                && let Some(time) = next_of_day(calendar, second)
            {
                return Some(day * DAY + i64::from(time));
            }
            day += 1;
        }
        second = 0;
    }
    None
}

/// The first matching second of a day that is not before this one.
fn next_of_day(calendar: &Calendar, from: u32) -> Option<u32> {
    let (mut hour, mut minute, mut second) = (from / 3600, from / 60 % 60, from % 60);
    loop {
        let matching = first(calendar.hours().into(), hour)?;
        if matching > hour {
            (hour, minute, second) = (matching, 0, 0);
        }
        match first(calendar.minutes(), minute) {
            None => (hour, minute, second) = (hour + 1, 0, 0),
            Some(matching) if matching > minute => (minute, second) = (matching, 0),
            Some(_) => match first(calendar.seconds(), second) {
                None => (minute, second) = (minute + 1, 0),
                Some(second) => return Some(hour * 3600 + minute * 60 + second),
            },
        }
    }
}

/// The first bit that is set, from this one on.
fn first(bits: u64, from: u32) -> Option<u32> {
    let left = bits.checked_shr(from).unwrap_or(0);
    (left != 0).then(|| from + left.trailing_zeros())
}
