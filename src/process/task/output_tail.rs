//! [`OutputTail`]: the last lines that a task has written, in bounded memory.

use serde::{Deserialize, Serialize};

/// The longest part of a line that is kept, in bytes.
const LINE_LIMIT: usize = 256;

/// The most that is held, in bytes. When it is reached, the older half is dropped, so that a chatty task does not make
/// every line move all others.
const HELD_LIMIT: usize = 4096;

/// The last lines of a stream that are not blank, each cut to 256 bytes; 4 KiB at most. Nothing is allocated before
/// there is output.
///
/// What one tail holds can be pushed into another, which then shows the same lines: the output thread may condense what
/// it reads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputTail(Option<Box<Lines>>);

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Lines {
    /// Finished lines, each with its line feed, then the unfinished one.
    bytes: Vec<u8>,
    /// Where the unfinished line begins.
    unfinished: usize,
}

impl OutputTail {
    /// Takes in what was written next.
    pub fn push(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.0.get_or_insert_default().push(bytes);
        }
    }

    /// The bytes that are held, to be pushed into another tail.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0.map(|lines| lines.bytes).unwrap_or_default()
    }

    /// The lines as printable text, with a line feed between each two.
    pub(super) fn text(&self) -> Box<str> {
        let bytes = self.0.as_ref().map_or(&[][..], |lines| &lines.bytes);
        let lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
        let mut text = String::new();
        for line in lines {
            if !text.is_empty() {
                text.push('\n');
            }
            text.extend(String::from_utf8_lossy(line).chars().map(|c| if c.is_control() { ' ' } else { c }));
        }
        text.into_boxed_str()
    }
}

impl Lines {
    fn push(&mut self, mut bytes: &[u8]) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = bytes.split_at(end);
            self.extend(line);
            self.finish_line();
            bytes = rest.get(1..).unwrap_or_default();
        }
        self.extend(bytes);
    }

    /// Adds to the unfinished line what has room in it.
    fn extend(&mut self, part: &[u8]) {
        let room = LINE_LIMIT.saturating_sub(self.bytes.len().saturating_sub(self.unfinished));
        self.bytes.extend(part.iter().take(room));
    }

    fn finish_line(&mut self) {
        if self.bytes.get(self.unfinished..).unwrap_or_default().trim_ascii().is_empty() {
            self.bytes.truncate(self.unfinished);
            return;
        }
        self.bytes.push(b'\n');
        if self.bytes.len() > HELD_LIMIT - LINE_LIMIT {
            self.drop_older_half();
        }
        self.unfinished = self.bytes.len();
    }

    /// Only called between two lines, so that whole lines are dropped.
    fn drop_older_half(&mut self) {
        let half = self.bytes.len() / 2;
        let rest = self.bytes.get(half..).unwrap_or_default();
        let cut = rest.iter().position(|byte| *byte == b'\n').map_or(self.bytes.len(), |end| half + end + 1);
        self.bytes.drain(..cut);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail(parts: &[&[u8]]) -> OutputTail {
        let mut tail = OutputTail::default();
        parts.iter().for_each(|part| tail.push(part));
        tail
    }

    #[test]
    fn lines_are_cut_printable_and_not_blank() {
        let long = [b'a'; 1000];
        assert_eq!(&*tail(&[&long, b"\n \t\nx\xffy\x1b[1m\n"]).text(), format!("{}\nx\u{fffd}y [1m", "a".repeat(256)));
        assert_eq!(&*tail(&[b"one\ntw", b"o\nthree", b"\n \n"]).text(), "one\ntwo\nthree");
        assert_eq!(&*tail(&[b"unfinished"]).text(), "unfinished");
    }

    #[test]
    fn nothing_is_held_before_there_is_output_and_never_more_than_the_limit() {
        assert_eq!(tail(&[b""]), OutputTail(None));
        let mut tail = OutputTail::default();
        for number in 0..2_000 {
            tail.push(format!("{number} {}", "x".repeat(number % 400)).as_bytes());
            let held = &tail.0.as_ref().expect("there is output").bytes;
            assert!((1..=HELD_LIMIT).contains(&held.len()), "{} after {number}", held.len());
            assert_ne!(held.first(), Some(&b'\n'), "a line was cut in two at {number}");
            let text = tail.text();
            let last = text.rsplit('\n').next().unwrap();
            assert!(last.starts_with(&format!("{number}")), "{last}");
            tail.push(b"\n\n\n");
            assert!(tail.text().ends_with(last), "blank lines replace nothing at {number}");
        }
    }

    #[test]
    fn pushing_a_tail_into_another_shows_the_same_lines() {
        let first = tail(&[b"first\n\nsecond\n", &[b'x'; 2000], b"\nunfini"]);
        let mut second = OutputTail::default();
        second.push(&first.clone().into_bytes());
        assert_eq!(second.text(), first.text());
        second.push(b"shed\n");
        assert!(second.text().ends_with("\nunfinished"));
    }
}
