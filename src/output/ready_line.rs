//! The line of its output by which a program tells that it is ready.

use super::messages::StreamKind;
use crate::models::{ProgramConfig, Readiness};
use crate::process::Generation;
use crate::util::line_pattern::LinePattern;

/// What is looked at of a line, in bytes.
const LONGEST_LINE: usize = 4096;

/// What is waited for, of one run.
pub(super) struct ReadyLine {
    pub(super) generation: Generation,
    pattern: LinePattern,
    /// The beginnings of lines whose end has not come yet.
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl ReadyLine {
    /// `None`: the program does not tell it like this.
    pub(super) fn of(config: &ProgramConfig, generation: Generation) -> Option<Box<ReadyLine>> {
        let Readiness::Log(regex) = &config.ready else { return None };
        // The configuration was refused where it is none.
        let pattern = LinePattern::new(regex).ok()?;
        Some(Box::new(ReadyLine { generation, pattern, stdout: Vec::new(), stderr: Vec::new() }))
    }

    /// Takes in output; `true`: there was the line.
    pub(super) fn push(&mut self, kind: StreamKind, data: &[u8]) -> bool {
        let partial = match kind {
            StreamKind::Stdout => &mut self.stdout,
            StreamKind::Stderr => &mut self.stderr,
        };
        for piece in data.split_inclusive(|byte| *byte == b'\n') {
            let line = piece.strip_suffix(b"\n");
            let text = line.unwrap_or(piece);
            let room = LONGEST_LINE.saturating_sub(partial.len()).min(text.len());
            partial.extend_from_slice(text.get(..room).unwrap_or_default());
            if line.is_some() {
                if self.pattern.matches(partial.strip_suffix(b"\r").unwrap_or(partial)) {
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

    fn awaited(regex: &str) -> Box<ReadyLine> {
        let mut config = ProgramConfig::new("p", "run");
        config.ready = Readiness::Log(regex.to_owned());
        ReadyLine::of(&config, 1).expect("it tells by a line")
    }

    #[test]
    fn a_line_counts_when_it_has_ended_however_it_came() {
        // Without regular expressions all of it is plain text.
        let (pattern, other) = if cfg!(feature = "regex") { ("^ready$", "not ready") } else { ("ready", "not yet") };
        let mut line = awaited(pattern);
        assert!(!line.push(Stdout, format!("starting\n{other}\nrea").as_bytes()));
        assert!(!line.push(Stderr, b"dy\n"), "another stream");
        assert!(!line.push(Stdout, b"dy"));
        assert!(line.push(Stdout, b"\r\nand on\n"));
        assert!(awaited("ready").push(Stderr, b"a\nb\nready\nc\n"));
    }

    #[test]
    fn of_a_line_without_end_the_beginning_is_kept() {
        let mut line = awaited("needle");
        assert!(!line.push(Stdout, b"needle "));
        for _ in 0..100 {
            assert!(!line.push(Stdout, &[b'x'; 4096]));
        }
        assert!(line.stdout.len() <= LONGEST_LINE && line.stdout.capacity() <= 2 * LONGEST_LINE);
        assert!(line.push(Stdout, b"\n"), "it began with it");
        let mut line = awaited("needle");
        assert!(!line.push(Stdout, &[b'x'; LONGEST_LINE]));
        assert!(!line.push(Stdout, b"needle\n"), "too far behind");
        assert!(line.push(Stdout, b"needle\n"));
    }
}
