//! What a line of the daemon's log looks like.

use std::borrow::Cow;
use std::fmt;
use std::time::SystemTime;

use log::Level;

use super::stamp::{local_stamp, utc_stamp};

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

/// A line as it is in the file, `2026-11-22 22:50:01.123 INFO  web: RUNNING`, and where its parts begin.
pub(super) struct Line {
    text: String,
    head: usize,
}

/// Most lines are shorter, in bytes.
const LINE_BYTES: usize = 160;
/// The date and its space at the beginning of a stamp.
pub(super) const DATE_BYTES: usize = "2026-11-22 ".len();

impl Line {
    /// One record is one line: what would break it or play with a terminal is shown escaped.
    pub fn new(time: SystemTime, level: Level, message: fmt::Arguments<'_>) -> Line {
        let mut text = String::with_capacity(LINE_BYTES);
        for piece in [local_stamp(time).as_str(), " ", level_name(level), " "] {
            text.push_str(piece);
        }
        let head = text.len();
        // It fails where a Display of the record does, behind what it has written.
        let _ = fmt::Write::write_fmt(&mut text, message);
        let mut line = Line { text, head };
        match escape(line.message()) {
            Cow::Borrowed(message) => {
                let end = head + message.len();
                line.text.truncate(end);
            }
            Cow::Owned(message) => line.text.replace_range(head.., &message),
        }
        line
    }

    /// For the file.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What the record says.
    pub fn message(&self) -> &str {
        self.text.get(self.head..).unwrap_or_default()
    }

    /// For people who watch on a terminal: coloured, and without the date.
    pub fn coloured(&self, level: Level) -> String {
        let clock = self.text.get(DATE_BYTES..self.head).unwrap_or_default().split(' ').next().unwrap_or_default();
        let (colour, name) = (level_colour(level), level_name(level));
        format!("\x1b[2m{clock}\x1b[0m {colour}{name}\x1b[0m {}", self.message())
    }
}

/// What a JSON line says besides its time and text.
#[derive(Clone, Copy)]
pub(crate) struct JsonHead<'a> {
    pub program: &'a str,
    pub stream: &'a str,
    pub pid: i32,
    pub level: Option<Level>,
    /// The rest of the line comes in the next object of this stream.
    pub is_partial: bool,
}

impl JsonHead<'static> {
    /// Of a line of the daemon itself.
    pub fn own(level: Level) -> JsonHead<'static> {
        let pid = i32::try_from(std::process::id()).unwrap_or_default();
        JsonHead { program: "supervice", stream: "log", pid, level: Some(level), is_partial: false }
    }
}

/// One line as a JSON object, without a newline. Bytes that are no UTF-8 become U+FFFD: JSON has no others.
pub(crate) fn json_line(time: SystemTime, head: JsonHead<'_>, line: &[u8], out: &mut Vec<u8>) {
    let text = String::from_utf8_lossy(line);
    let string = |text: &str, out: &mut Vec<u8>| {
        // Strings always serialize, and a vector takes everything.
        let _ = serde_json::to_writer(out, text);
    };
    for piece in [b"{\"time\":\"", utc_stamp(time).as_bytes(), b"Z\",\"program\":"] {
        out.extend_from_slice(piece);
    }
    string(head.program, out);
    out.extend_from_slice(format!(",\"stream\":\"{}\",\"pid\":{}", head.stream, head.pid).as_bytes());
    if let Some(level) = head.level {
        out.extend_from_slice(format!(",\"level\":\"{level}\"").as_bytes());
    }
    if head.is_partial {
        out.extend_from_slice(b",\"partial\":true");
    }
    out.extend_from_slice(b",\"line\":");
    string(&text, out);
    out.push(b'}');
}

/// Without what would break a line or play with a terminal.
fn escape(message: &str) -> Cow<'_, str> {
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
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn a_record_is_one_line_whatever_it_contains() {
        let line = |message: &str| Line::new(UNIX_EPOCH, Level::Info, format_args!("{message}"));
        assert_eq!(line("a\nb\x1b[2J\tc\n").message(), "a\\nb\\u{1b}[2J c");
        assert_eq!(line("käse \u{85}! \n").message(), "käse \\u{85}!");
        assert_eq!(line("plain \n\n").message(), "plain");
        assert_eq!(line("").message(), "");
    }

    #[test]
    fn a_terminal_shows_the_same_in_colour() {
        let line = |level| Line::new(SystemTime::now(), level, format_args!("web: RUNNING"));
        for level in [Level::Error, Level::Warn, Level::Info, Level::Debug, Level::Trace] {
            let line = line(level);
            assert_eq!(line.text().len(), "2026-11-22 22:50:01.123 INFO  web: RUNNING".len());
            let (date, rest) = line.text().split_at(DATE_BYTES);
            assert!(date.ends_with(' '), "{date}");
            let coloured = line.coloured(level);
            let plain = ["\x1b[2m", "\x1b[0m", level_colour(level)];
            assert_eq!(plain.iter().fold(coloured, |text, code| text.replace(code, "")), rest);
        }
        assert!(line(Level::Warn).coloured(Level::Warn).contains("\x1b[33mWARN \x1b[0m web"));
    }

    #[test]
    fn json_stays_valid_whatever_the_line_holds() {
        let mut out = Vec::new();
        let head = JsonHead { program: "a\"b", stream: "stdout", pid: 7, level: None, is_partial: false };
        json_line(UNIX_EPOCH + Duration::from_millis(951_782_400_007), head, b"\xff\0 \"x\"\r", &mut out);
        let value: serde_json::Value = serde_json::from_slice(&out).expect("JSON");
        let wanted = serde_json::json!({
            "time": "2000-02-29T00:00:00.007Z", "program": "a\"b", "stream": "stdout", "pid": 7,
            "line": "\u{fffd}\0 \"x\"\r",
        });
        assert_eq!(value, wanted);
    }
}
