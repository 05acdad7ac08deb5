//! Lines on their way to standard output or error under another name: a log whose path is `/dev/stdout` by a link, or
//! the very file that the daemon was given as its standard output.

use std::time::Duration;

use crate::logger::{self, ConsoleStream};
use crate::sys::guarded_path::StandardStream;

/// A line that is longer is passed on in pieces.
const MAX_LINE_BYTES: usize = 64 * 1024;
/// How often a console that has much to write is asked whether there is room.
const ROOM_PAUSE: Duration = Duration::from_millis(2);

/// Whole lines go to the console, as those of a log that is called `/dev/stdout`; what has no end yet is kept.
#[derive(Debug)]
pub(super) struct Console {
    stream: ConsoleStream,
    partial: Vec<u8>,
}

impl Console {
    pub fn new(stream: StandardStream) -> Console {
        let stream = match stream {
            StandardStream::Output => ConsoleStream::Stdout,
            StandardStream::Error => ConsoleStream::Stderr,
        };
        Console { stream, partial: Vec::new() }
    }

    /// Waits while the console has much to write, as a file's writer waits for its disk; but not for one that has
    /// stalled, which counts what it drops.
    pub fn write(&mut self, data: &[u8]) {
        for piece in data.split_inclusive(|byte| *byte == b'\n') {
            match piece.strip_suffix(b"\n") {
                Some(rest) => {
                    self.wait_for_room();
                    logger::write_line(self.stream, &[&self.partial, rest]);
                    self.partial.clear();
                }
                None => self.partial.extend_from_slice(piece),
            }
            if self.partial.len() >= MAX_LINE_BYTES {
                self.end_line();
            }
        }
    }

    /// Passes on what there is of a line.
    pub fn end_line(&mut self) {
        if !self.partial.is_empty() {
            self.wait_for_room();
            logger::write_line(self.stream, &[&self.partial]);
            self.partial = Vec::new();
        }
    }

    fn wait_for_room(&self) {
        while logger::console_is_busy(self.stream) && !logger::console_is_stalled(self.stream) {
            std::thread::sleep(ROOM_PAUSE);
        }
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        self.end_line();
    }
}
