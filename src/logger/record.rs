//! From a record of the `log` crate to a line of the file and a line of the console.
//!
//! Each of the two has a simplelog writer, which puts a record together, piece by piece, in a [`LineBuffer`] that is
//! flushed once a record. Time and level are part of the text that it is given: simplelog knows the time in UTC or
//! at a fixed offset only, and the level in brackets only.

use std::fmt;
use std::io::{self, Write};
use std::time::SystemTime;

use log::{LevelFilter, Log, Metadata, Record};
use simplelog::{Config, ConfigBuilder, WriteLogger};

use super::console::{self, ConsoleStream, wants_colour};
use super::format::{self, JsonHead, json_line};
use crate::models::LogFormat;

/// Most messages are shorter, in bytes.
const MESSAGE_BYTES: usize = 128;

/// Where the lines go, as it is set up at the moment.
pub(super) trait Lines: Sync {
    /// Whether there is a file.
    fn wants_file(&self) -> bool;
    /// Takes a line for the file, without its newline.
    fn file_line(&self, line: &[u8]);
    /// What a line on the console looks like; `None`: there are none.
    fn console_format(&self) -> Option<LogFormat>;
    /// Waits for a bounded time until what was logged has been written.
    fn flush(&self);
}

/// The logger that the `log` macros talk to.
pub(super) struct DaemonLog {
    lines: &'static dyn Lines,
    file: Box<WriteLogger<LineBuffer>>,
    console: Box<WriteLogger<LineBuffer>>,
}

impl DaemonLog {
    pub fn new(lines: &'static dyn Lines) -> DaemonLog {
        let file = LineBuffer::new(move |line| lines.file_line(line));
        // The console counts what it loses and says so itself.
        let console = LineBuffer::new(|line| {
            let _ = console::write_line(ConsoleStream::Stdout, &[line]);
        });
        DaemonLog {
            lines,
            file: WriteLogger::new(LevelFilter::Trace, message_alone(), file),
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
        let mut message = String::with_capacity(MESSAGE_BYTES);
        // It fails where a Display of the record does, behind what it has written.
        let _ = fmt::Write::write_fmt(&mut message, *record.args());
        let message = format::escape(&message);
        if self.lines.wants_file() {
            write(&*self.file, record, format_args!("{}{message}", format::file_head(time, level)));
        }
        match self.lines.console_format() {
            None => {}
            Some(LogFormat::Text) => {
                let head = format::console_head(time, level, wants_colour(ConsoleStream::Stdout));
                write(&*self.console, record, format_args!("{head}{message}"));
            }
            Some(LogFormat::Json) => {
                let (mut line, pid) = (Vec::new(), i32::try_from(std::process::id()).unwrap_or_default());
                let head = JsonHead { program: "supervice", stream: "log", pid, level: Some(level) };
                json_line(time, head, message.as_bytes(), &mut line);
                write(&*self.console, record, format_args!("{}", String::from_utf8_lossy(&line)));
            }
        }
    }

    fn flush(&self) {
        self.lines.flush();
    }
}

/// Writes the record with this text in place of its own.
fn write(writer: &dyn Log, record: &Record<'_>, text: fmt::Arguments<'_>) {
    writer.log(&Record::builder().metadata(record.metadata().clone()).args(text).build());
    writer.flush();
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

/// Gathers the pieces in which simplelog writes a record, and passes on whole lines when it is flushed.
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
        Ok(piece.len())
    }

    /// Another thread's record may have come between a record and its flush: there may be several lines, or none.
    fn flush(&mut self) -> io::Result<()> {
        for line in self.bytes.split_inclusive(|byte| *byte == b'\n') {
            (self.deliver)(line.strip_suffix(b"\n").unwrap_or(line));
        }
        self.bytes.clear();
        Ok(())
    }
}
