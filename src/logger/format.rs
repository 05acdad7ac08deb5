//! What a line of the daemon's log looks like.

use std::borrow::Cow;
use std::time::{SystemTime, UNIX_EPOCH};

use log::Level;

use crate::sys::time::{LocalTime, local};

/// `INFO `, all of the same width.
fn level_name(level: Level) -> &'static str {
    match level {
        Level::Error => "ERROR",
        Level::Warn => "WARN ",
        Level::Info => "INFO ",
        Level::Debug => "DEBUG",
        Level::Trace => "TRACE",
    }
}

fn level_colour(level: Level) -> &'static str {
    match level {
        Level::Error => "\x1b[1;31m",
        Level::Warn => "\x1b[33m",
        Level::Info => "\x1b[32m",
        Level::Debug => "\x1b[36m",
        Level::Trace => "\x1b[2m",
    }
}

/// For the file: `2026-11-22 22:50:01.123 INFO  web: RUNNING`.
pub(super) fn file_head(time: SystemTime, level: Level) -> String {
    let mut head = local_stamp(time);
    head.push(' ');
    head.push_str(level_name(level));
    head.push(' ');
    head
}

/// `2026-11-22 22:50:01.123`, local time.
pub(crate) fn local_stamp(time: SystemTime) -> String {
    let t = local(time);
    let mut stamp = String::with_capacity(HEAD_BYTES);
    push_number(&mut stamp, t.year, 4, "-");
    push_number(&mut stamp, t.month, 2, "-");
    push_number(&mut stamp, t.day, 2, " ");
    push_clock(&mut stamp, &t);
    stamp
}

/// Room for the longest head of a line.
const HEAD_BYTES: usize = 48;

/// `22:50:01.123`
fn push_clock(text: &mut String, t: &LocalTime) {
    push_number(text, t.hour, 2, ":");
    push_number(text, t.minute, 2, ":");
    push_number(text, t.second, 2, ".");
    push_number(text, t.millisecond, 3, "");
}

/// At least so many digits, and what comes behind them: the time is in each line, and `format!` takes ten times as long.
fn push_number(text: &mut String, number: impl TryInto<u32>, digits: u32, behind: &str) {
    let number = number.try_into().unwrap_or(0);
    let mut place = 10_u32.pow(digits - 1).max(10_u32.pow(number.checked_ilog10().unwrap_or(0)));
    while place > 0 {
        text.extend(char::from_digit(number / place % 10, 10));
        place /= 10;
    }
    text.push_str(behind);
}

/// What a JSON line says besides its time and text.
#[derive(Clone, Copy)]
pub(crate) struct JsonHead<'a> {
    pub program: &'a str,
    pub stream: &'a str,
    pub pid: i32,
    pub level: Option<Level>,
}

/// One line as a JSON object, without a newline. Bytes that are no UTF-8 become U+FFFD: JSON has no others.
pub(crate) fn json_line(time: SystemTime, head: JsonHead<'_>, line: &[u8], out: &mut Vec<u8>) {
    let text = String::from_utf8_lossy(line);
    let string = |text: &str, out: &mut Vec<u8>| {
        // Strings always serialize, and a vector takes everything.
        let _ = serde_json::to_writer(out, text);
    };
    out.extend_from_slice(format!("{{\"time\":\"{}\",\"program\":", utc_stamp(time)).as_bytes());
    string(head.program, out);
    out.extend_from_slice(format!(",\"stream\":\"{}\",\"pid\":{}", head.stream, head.pid).as_bytes());
    if let Some(level) = head.level {
        out.extend_from_slice(format!(",\"level\":\"{level}\"").as_bytes());
    }
    out.extend_from_slice(b",\"line\":");
    string(&text, out);
    out.push(b'}');
}

/// `2026-11-22T21:50:01.123Z`: collectors merge lines of several time zones.
fn utc_stamp(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    // Years that begin in March have their leap day at their end: months then follow a formula.
    let era_day = days + 719_468;
    let (era, day_of_era) = (era_day / 146_097, era_day % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", since.subsec_millis())
}

/// For people who watch: `22:50:01.123 INFO  web: RUNNING`.
pub(super) fn console_head(time: SystemTime, level: Level, colour: bool) -> String {
    let t = local(time);
    let mut head = String::with_capacity(HEAD_BYTES);
    if colour {
        head.push_str("\x1b[2m");
        push_clock(&mut head, &t);
        for piece in ["\x1b[0m ", level_colour(level), level_name(level), "\x1b[0m "] {
            head.push_str(piece);
        }
    } else {
        push_clock(&mut head, &t);
        for piece in [" ", level_name(level), " "] {
            head.push_str(piece);
        }
    }
    head
}

/// One record is one line: what would break it or play with a terminal is shown escaped.
pub(super) fn escape(message: &str) -> Cow<'_, str> {
    let message = message.trim_end();
    if !message.bytes().any(|byte| byte.is_ascii_control() || !byte.is_ascii()) {
        return Cow::Borrowed(message);
    }
    let mut line = String::with_capacity(message.len());
    for c in message.chars() {
        match c {
            '\n' => line.push_str("\\n"),
            '\t' => line.push(' '),
            c if c.is_control() => line.extend(c.escape_default()),
            c => line.push(c),
        }
    }
    Cow::Owned(line)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn numbers_have_at_least_so_many_digits() {
        let pushed = |number: i32, digits| {
            let mut text = String::new();
            push_number(&mut text, number, digits, ":");
            text
        };
        for number in [0, 1, 9, 10, 59, 100, 999, 1000, 2026, 12_345, i32::MAX] {
            for digits in 1..=4 {
                let width = usize::try_from(digits).unwrap();
                assert_eq!(pushed(number, digits), format!("{number:0width$}:"));
            }
        }
    }

    #[test]
    fn json_stays_valid_whatever_the_line_holds() {
        let mut out = Vec::new();
        let head = JsonHead { program: "a\"b", stream: "stdout", pid: 7, level: None };
        json_line(UNIX_EPOCH + Duration::from_millis(951_782_400_007), head, b"\xff\0 \"x\"\r", &mut out);
        let value: serde_json::Value = serde_json::from_slice(&out).expect("JSON");
        let wanted = serde_json::json!({
            "time": "2000-02-29T00:00:00.007Z", "program": "a\"b", "stream": "stdout", "pid": 7,
            "line": "\u{fffd}\0 \"x\"\r",
        });
        assert_eq!(value, wanted);
    }
}
