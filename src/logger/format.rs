//! What a line of the daemon's log looks like.

use std::time::SystemTime;

use log::Level;

use crate::sys::time::local;

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
    let t = local(time);
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:03} {} ",
        t.year,
        t.month,
        t.day,
        t.hour,
        t.minute,
        t.second,
        t.millisecond,
        level_name(level)
    )
}

/// For people who watch: `22:50:01.123 INFO  web: RUNNING`.
pub(super) fn console_head(time: SystemTime, level: Level, colour: bool) -> String {
    let t = local(time);
    let clock = format!("{:02}:{:02}:{:02}.{:03}", t.hour, t.minute, t.second, t.millisecond);
    if colour {
        format!("\x1b[2m{clock}\x1b[0m {}{}\x1b[0m ", level_colour(level), level_name(level))
    } else {
        format!("{clock} {} ", level_name(level))
    }
}

/// One record is one line: what would break it or play with a terminal is shown escaped.
pub(super) fn escape(message: &str) -> String {
    let mut line = String::with_capacity(message.len());
    for c in message.trim_end().chars() {
        match c {
            '\n' => line.push_str("\\n"),
            '\t' => line.push(' '),
            c if c.is_control() => line.extend(c.escape_default()),
            c => line.push(c),
        }
    }
    line
}
