//! Dates of a simulation: by which clock it begins, and what that shows when something happens.

use std::time::Duration;

use crate::sys::zones::TimeZone;
use crate::util::civil::{Date, date, days, days_of_month};

const DAY: i64 = 86_400;
/// Years that a simulation may begin in.
const YEARS: std::ops::RangeInclusive<i64> = 1970..=9_000;

/// What a date stands for by the system's clock, or with a `Z` behind it in UTC: seconds since 1970.
pub(super) fn moment(text: &str) -> Result<i64, String> {
    let (local, is_utc) = text.strip_suffix('Z').map_or((text, false), |local| (local, true));
    let local = parse(local).ok_or("write such as 2026-03-29, 2026-03-29T01:30 or 2026-03-29T01:30:00Z (UTC)")?;
    Ok(if is_utc { local } else { moment_of(local, &|at| i64::from(TimeZone::System.offset(at))) })
}

/// When a clock shows this: what it shows twice, the first time; what it does not show, when the same time has passed.
fn moment_of(local: i64, offset: &dyn Fn(i64) -> i64) -> i64 {
    let before = local - offset(local - DAY);
    let after = local - offset(local + DAY);
    [before, after].into_iter().find(|at| at + offset(*at) == local).unwrap_or(before)
}

/// `2026-03-29`, `2026-03-29T01:30` or `2026-03-29T01:30:05`, with a blank for the `T` as well: seconds since 1970 as if it were
/// UTC.
fn parse(text: &str) -> Option<i64> {
    let (day, time) = text.split_once(['T', ' ']).unwrap_or((text, "00:00"));
    let number = |text: &str, digits: usize| {
        let is_number = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u32>().ok().filter(|_| is_number)
    };
    let mut parts = day.split('-');
    let (year, month, day) = (number(parts.next()?, 4)?, number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    let year = i64::from(year);
    let is_date = parts.next().is_none()
        && YEARS.contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_of_month(year, month)).contains(&day);
    let mut parts = time.split(':');
    let (hour, minute) = (number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    let second = parts.next().map_or(Some(0), |second| number(second, 2))?;
    let is_time = parts.next().is_none() && hour < 24 && minute < 60 && second < 60;
    let seconds = i64::from(hour * 3600 + minute * 60 + second);
    (is_date && is_time).then(|| days(Date { year, month, day }) * DAY + seconds)
}

/// What the system's clock shows so long after the beginning, and how far it is ahead of UTC: `2026-03-29 03:00:00.000
/// +02:00`.
pub(super) fn shown(began: i64, at: Duration) -> String {
    let seconds = began.saturating_add(i64::try_from(at.as_secs()).unwrap_or(i64::MAX));
    let offset = i64::from(TimeZone::System.offset(seconds));
    let local = seconds.saturating_add(offset);
    let Date { year, month, day } = date(local.div_euclid(DAY));
    let of_day = local.rem_euclid(DAY);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    let (sign, ahead) = if offset < 0 { ('-', -offset) } else { ('+', offset) };
    format!(
        "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{:03} {sign}{:02}:{:02}",
        at.subsec_millis(),
        ahead / 3600,
        ahead / 60 % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_they_are_written() {
        for (text, seconds) in [
            ("1970-01-01Z", 0),
            ("2026-03-29Z", 1_774_742_400),
            ("2026-03-29T01:30Z", 1_774_747_800),
            ("2026-03-29 01:30:05Z", 1_774_747_805),
            ("2024-02-29T23:59:59Z", 1_709_251_199),
        ] {
            assert_eq!(moment(text), Ok(seconds), "{text}");
        }
        for text in [
            "",
            "Z",
            "2026",
            "2026-3-29",
            "2026-13-01",
            "2026-02-29",
            "2026-03-29T24:00",
            "2026-03-29T1:30",
            "1969-12-31",
            "2026-03-29T01:30:00:00",
            "2026-03-29T",
            "26-03-29",
            "2026-03-29T01:30+02:00",
            "9001-01-01",
            "2026-00-10",
        ] {
            assert!(moment(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_a_clock_does_not_show_is_when_the_same_time_has_passed_and_what_it_shows_twice_is_the_first() {
        // As in Berlin: from 3600 to 7200 ahead at 100 h, and back at 10,000 h.
        let offset = |at: i64| if (360_000..36_000_000).contains(&at) { 7_200 } else { 3_600 };
        assert_eq!(moment_of(360_000 + 3_600 - 1, &offset), 359_999);
        assert_eq!(moment_of(360_000 + 3_600 + 1_800, &offset), 361_800, "half past, which there is not");
        assert_eq!(moment_of(360_000 + 7_200, &offset), 360_000);
        assert_eq!(moment_of(36_000_000 + 5_400, &offset), 35_998_200, "the first time");
    }
}
