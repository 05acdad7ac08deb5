//! From bytes to lines: for consoles and syslog, and the last line for people.

use std::time::{Duration, Instant};

use super::escapes::strip;
use crate::util::escapes::Escapes;

/// A partial line that is longer is passed on in pieces, in bytes.
pub(super) const MAX_PARTIAL: usize = 8 * 1024;
/// A partial line that is older is passed on without its end.
pub(super) const MAX_PARTIAL_AGE: Duration = Duration::from_secs(1);
/// A last line is cut to this many bytes.
pub(super) const MAX_LAST_LINE: usize = 512;

/// A line, or what is passed on of one that is too long or too old.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece<'a> {
    /// Without the newline.
    pub bytes: &'a [u8],
    /// The rest of the line is still to come.
    pub is_partial: bool,
}

/// Puts lines together from pieces.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    partial: Vec<u8>,
    /// When the partial line must be passed on.
    due: Option<Instant>,
}

impl Assembler {
    /// Takes the next bytes of the stream and hands every complete line, without its newline, to `line`.
    pub fn push(&mut self, now: Instant, mut data: &[u8], line: &mut dyn FnMut(Piece<'_>)) {
        while let Some(end) = data.iter().position(|byte| *byte == b'\n') {
            let (head, rest) = data.split_at(end);
            self.append(head, line);
            line(Piece { bytes: &self.partial, is_partial: false });
            self.partial.clear();
            self.due = None;
            data = rest.get(1..).unwrap_or_default();
        }
        self.append(data, line);
        if self.partial.is_empty() {
            self.partial = Vec::new();
            self.due = None;
        } else if self.due.is_none() {
            self.due = Some(now + MAX_PARTIAL_AGE);
        }
    }

    /// Passes the partial line on, if there is one. `is_over`: nothing more comes.
    pub fn flush(&mut self, is_over: bool, line: &mut dyn FnMut(Piece<'_>)) {
        if !self.partial.is_empty() {
            line(Piece { bytes: &self.partial, is_partial: !is_over });
        }
        *self = Assembler::default();
    }

    /// When [`flush`](Self::flush) is due; `None` while no partial line is held.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    fn append(&mut self, mut data: &[u8], line: &mut dyn FnMut(Piece<'_>)) {
        while self.partial.len() + data.len() > MAX_PARTIAL {
            let (head, rest) = data.split_at((MAX_PARTIAL - self.partial.len()).min(data.len()));
            self.partial.extend_from_slice(head);
            line(Piece { bytes: &self.partial, is_partial: true });
            self.partial.clear();
            data = rest;
        }
        self.partial.extend_from_slice(data);
    }
}

/// A line without its escape sequences; `None`: nothing is left to be seen.
fn shown(line: &[u8]) -> Option<Vec<u8>> {
    let mut line = line.to_vec();
    let kept = strip(&mut Escapes::default(), &mut line);
    line.truncate(kept);
    Some(line).filter(|line| !line.trim_ascii().is_empty())
}

/// The last non-empty line of `bytes` as text: without escape sequences (many lines end with one more line that only
/// ends their colour), invalid bytes replaced, control characters shown as spaces, at most [`MAX_LAST_LINE`] bytes.
pub(super) fn last_line(bytes: &[u8]) -> Option<String> {
    let line = bytes.split(|byte| *byte == b'\n').rev().find_map(shown)?;
    let line = line.trim_ascii();
    // A piece of memory may begin inside of a character.
    let skip = line.iter().take(3).take_while(|byte| **byte & 0xC0 == 0x80).count();
    let mut text: String = String::from_utf8_lossy(line.get(skip..).unwrap_or_default())
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if text.len() > MAX_LAST_LINE {
        let mut end = MAX_LAST_LINE;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
    }
    Some(text)
}
