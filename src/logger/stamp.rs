//! The time of a line, as text. Each line has one, and most are of the same second as the line before: what the lines
//! of a second have in common is kept, by thread.

use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::sys::time::{LocalTime, local};

/// `2026-11-22 22:50:01.123`, local time.
pub(crate) fn local_stamp(time: SystemTime) -> Stamp {
    stamp(time, &LOCAL, |time| {
        let LocalTime { year, month, day, hour, minute, second, .. } = local(time);
        filled(*b"0000-00-00 00:00:00.", [year, month, day, hour, minute, second].map(i64::from))
    })
}

/// `2026-11-22T21:50:01.123`, UTC: collectors merge lines of several time zones.
pub(super) fn utc_stamp(time: SystemTime) -> Stamp {
    stamp(time, &UTC, |time| filled(*b"0000-00-00T00:00:00.", utc(time)))
}

/// A time to the millisecond.
pub(crate) struct Stamp([u8; 23]);

impl Stamp {
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub fn as_str(&self) -> &str {
        // Digits and what stands between them.
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// What the lines of one second have in common.
#[derive(Clone, Copy)]
struct Second {
    /// Seconds since 1970.
    number: u64,
    text: [u8; 20],
}

impl Second {
    /// Before the first line: no line is of this second.
    const NONE: Second = Second { number: u64::MAX, text: [0; 20] };
}

thread_local! {
    static LOCAL: Cell<Second> = const { Cell::new(Second::NONE) };
    static UTC: Cell<Second> = const { Cell::new(Second::NONE) };
}

fn stamp(
    time: SystemTime,
    last: &'static std::thread::LocalKey<Cell<Second>>,
    make: impl FnOnce(SystemTime) -> [u8; 20],
) -> Stamp {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut second = last.get();
    if second.number != since.as_secs() {
        second = Second { number: since.as_secs(), text: make(time) };
        last.set(second);
    }
    let mut text = [b'0'; 23];
    let (start, end) = text.split_at_mut(second.text.len());
    start.copy_from_slice(&second.text);
    fill(end, i64::from(since.subsec_millis()));
    Stamp(text)
}

/// The zeros of each field replaced by the last digits of its number: `format!` takes ten times as long.
fn filled<const FIELDS: usize>(mut text: [u8; 20], numbers: [i64; FIELDS]) -> [u8; 20] {
    for (field, number) in text.split_mut(|byte| *byte != b'0').zip(numbers) {
        fill(field, number);
    }
    text
}

fn fill(field: &mut [u8], number: i64) {
    let mut left = number.unsigned_abs();
    for digit in field.iter_mut().rev() {
        *digit = b'0' + u8::try_from(left % 10).unwrap_or(0);
        left /= 10;
    }
}

/// Year, month, day, hour, minute and second.
fn utc(time: SystemTime) -> [i64; 6] {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (days, second) = (since / 86_400, since % 86_400);
    // Years that begin in March have their leap day at their end: months then follow a formula.
    let era_day = days + 719_468;
    let (era, day_of_era) = (era_day / 146_097, era_day % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    [year, month, day, second / 3600, second / 60 % 60, second % 60].map(|number| i64::try_from(number).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn utc_text(seconds: u64, millis: u64) -> String {
        utc_stamp(UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_millis(millis)).as_str().to_owned()
    }

    #[test]
    fn a_second_is_the_same_for_all_of_its_lines_and_another_one_for_the_next() {
        assert_eq!(utc_text(951_782_400, 7), "2000-02-29T00:00:00.007");
        assert_eq!(utc_text(951_782_400, 999), "2000-02-29T00:00:00.999");
        assert_eq!(utc_text(951_782_399, 0), "2000-02-28T23:59:59.000", "the clock was set back");
        assert_eq!(utc_text(0, 0), "1970-01-01T00:00:00.000");
        assert_eq!(utc_text(4_102_444_799, 10), "2099-12-31T23:59:59.010");
    }

    #[test]
    fn the_local_time_is_what_the_system_says() {
        for seconds in [0, 951_782_400, 1_700_000_000, 1_700_000_001, 1_700_003_600] {
            let time = UNIX_EPOCH + Duration::from_millis(seconds * 1000 + 45);
            let LocalTime { year, month, day, hour, minute, second, .. } = local(time);
            let wanted = format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.045");
            assert_eq!(local_stamp(time).as_str(), wanted);
        }
    }

    #[test]
    fn a_number_that_is_too_long_loses_its_first_digits() {
        assert_eq!(&filled(*b"0000-00-00 00:00:00.", [12_026, 1, 123, 4]), b"2026-01-23 04:00:00.");
    }
}
