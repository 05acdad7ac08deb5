//! Lines of a program that are looked at while they pass: of each, no more than its beginning is kept.

use super::messages::StreamKind;

/// What is looked at of a line, in bytes.
const MAX_LINE_BYTES: usize = 4096;

/// The beginnings of lines whose end has not come yet.
#[derive(Default)]
pub(super) struct PartialLines {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl PartialLines {
    /// Takes in output, and shows each line that has ended, until one is the last that is wanted: `true`.
    pub(super) fn push(&mut self, kind: StreamKind, data: &[u8], is_last: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        let partial = match kind {
            StreamKind::Stdout => &mut self.stdout,
            StreamKind::Stderr => &mut self.stderr,
        };
        for piece in data.split_inclusive(|byte| *byte == b'\n') {
            let line = piece.strip_suffix(b"\n");
            let text = line.unwrap_or(piece);
            let room = MAX_LINE_BYTES.saturating_sub(partial.len()).min(text.len());
            partial.extend_from_slice(text.get(..room).unwrap_or_default());
            if line.is_some() {
                if is_last(partial.strip_suffix(b"\r").unwrap_or(partial)) {
                    return true;
                }
                partial.clear();
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use StreamKind::{Stderr, Stdout};

    fn lines(lines: &mut PartialLines, kind: StreamKind, data: &[u8]) -> Vec<String> {
        let mut seen = Vec::new();
        lines.push(kind, data, &mut |line| {
            seen.push(String::from_utf8_lossy(line).into_owned());
            false
        });
        seen
    }

    #[test]
    fn a_line_counts_when_it_has_ended_however_it_came() {
        let mut partial = PartialLines::default();
        assert_eq!(lines(&mut partial, Stdout, b"a\nb\r\nc"), ["a", "b"]);
        assert_eq!(lines(&mut partial, Stderr, b"d\n"), ["d"], "another stream");
        assert_eq!(lines(&mut partial, Stdout, b"e"), Vec::<String>::new());
        assert_eq!(lines(&mut partial, Stdout, b"f\n\n"), ["cef", ""]);
        assert!(partial.push(Stdout, b"a\nb\nc\n", &mut |line| line == b"b"));
    }

    #[test]
    fn of_a_line_without_end_the_beginning_is_kept() {
        let mut partial = PartialLines::default();
        for _ in 0..100 {
            assert!(lines(&mut partial, Stdout, &[b'x'; 4000]).is_empty());
        }
        assert!(partial.stdout.capacity() <= 2 * MAX_LINE_BYTES);
        assert_eq!(lines(&mut partial, Stdout, b"y\nz\n"), ["x".repeat(MAX_LINE_BYTES), "z".to_owned()]);
    }
}
