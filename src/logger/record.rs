//! From a record of the `log` crate to a line of the file and a line of the console.
//!
//! A simplelog writer puts a record together, piece by piece, in a [`LineBuffer`]: one for the file and a console that
//! shows the same, and one for a console with colours or JSON. Time and level are part of the text that it is given:
//! simplelog knows the time in UTC or at a fixed offset only, and the level in brackets only.

use std::io::{self, Write};
use std::time::SystemTime;

use log::{LevelFilter, Log, Metadata, Record};
use simplelog::{Config, ConfigBuilder, WriteLogger};

use super::console::{self, ConsoleStream, wants_colour};
use super::format::{DATE_BYTES, JsonHead, Line, json_line};
use crate::models::LogFormat;

/// Where the lines go, as it is set up at the moment.
pub(super) trait Lines: Sync {
    /// Whether there is a file.
    fn wants_file(&self) -> bool;
    /// Takes a line for the file, without its newline.
    fn file_line(&self, line: &[u8]);
    /// What a line on the console looks like; `None`: there are none.
    fn console_format(&self) -> Option<LogFormat>;
    /// Whether lines on the console have the date, as those of the file do.
    fn console_is_dated(&self) -> bool;
    /// Waits for a bounded time until what was logged has been written.
    fn flush(&self);
}

/// The logger that the `log` macros talk to.
pub(super) struct DaemonLog {
    lines: &'static dyn Lines,
    plain: Box<WriteLogger<LineBuffer>>,
    console: Box<WriteLogger<LineBuffer>>,
}

impl DaemonLog {
    pub fn new(lines: &'static dyn Lines) -> DaemonLog {
        let plain = LineBuffer::new(move |line| {
            if lines.wants_file() {
                lines.file_line(line);
            }
            if console_is_plain(lines) {
                let begin = if lines.console_is_dated() { 0 } else { DATE_BYTES };
                let _ = console::write_line(ConsoleStream::Stdout, &[line.get(begin..).unwrap_or_default()]);
            }
        });
        // The console counts what it loses and says so itself.
        let console = LineBuffer::new(|line| {
            let _ = console::write_line(ConsoleStream::Stdout, &[line]);
        });
        DaemonLog {
            lines,
            plain: WriteLogger::new(LevelFilter::Trace, message_alone(), plain),
            console: WriteLogger::new(LevelFilter::Trace, message_alone(), console),
        }
    }
}

impl Log for DaemonLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let (time, level) = (SystemTime::now(), record.level());
        // Made into text outside of simplelog's lock, so that a panic in somebody's Display does not poison it.
        let line = Line::new(time, level, *record.args());
        if self.lines.wants_file() || console_is_plain(self.lines) {
            write(&*self.plain, record, line.text());
        }
        match self.lines.console_format() {
            None => {}
            Some(LogFormat::Text) if console_is_plain(self.lines) => {}
            Some(LogFormat::Text) => write(&*self.console, record, &line.coloured(level)),
            Some(LogFormat::Json) => {
                let mut json = Vec::new();
                json_line(time, JsonHead::own(level), line.message().as_bytes(), &mut json);
                write(&*self.console, record, &String::from_utf8_lossy(&json));
            }
        }
    }

    fn flush(&self) {
        self.lines.flush();
    }
}

/// Whether the console shows what is in the file, but for the date.
fn console_is_plain(lines: &dyn Lines) -> bool {
    lines.console_format() == Some(LogFormat::Text) && !wants_colour(ConsoleStream::Stdout)
}

/// Writes the record with this text in place of its own.
fn write(writer: &dyn Log, record: &Record<'_>, text: &str) {
    writer.log(&Record::builder().metadata(record.metadata().clone()).args(format_args!("{text}")).build());
}

/// The text of a record and nothing else.
fn message_alone() -> Config {
    ConfigBuilder::new()
        .set_time_level(LevelFilter::Off)
        .set_max_level(LevelFilter::Off)
        .set_thread_level(LevelFilter::Off)
        .set_target_level(LevelFilter::Off)
        .set_location_level(LevelFilter::Off)
        .build()
}

/// Takes a whole line, without its newline.
type Deliver = Box<dyn Fn(&[u8]) + Send>;

/// Gathers the pieces in which simplelog writes a record, under a lock of its own, and passes the line on at its end.
struct LineBuffer {
    bytes: Vec<u8>,
    deliver: Deliver,
}

impl LineBuffer {
    fn new(deliver: impl Fn(&[u8]) + Send + 'static) -> LineBuffer {
        LineBuffer { bytes: Vec::new(), deliver: Box::new(deliver) }
    }
}

impl Write for LineBuffer {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(piece);
        if let Some(line) = self.bytes.strip_suffix(b"\n") {
            (self.deliver)(line);
            self.bytes.clear();
        }
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
