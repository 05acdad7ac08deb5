//! The line of its output by which a program tells that it is ready.

use super::messages::StreamKind;
use super::partial_lines::PartialLines;
use crate::models::{ProgramConfig, Readiness};
use crate::process::Generation;
use crate::util::line_pattern::LinePattern;

/// What is waited for, of one run.
pub(super) struct ReadyLine {
    pub(super) generation: Generation,
    pattern: LinePattern,
    lines: PartialLines,
}

impl ReadyLine {
    /// `None`: the program does not tell it like this.
    pub(super) fn of(config: &ProgramConfig, generation: Generation) -> Option<Box<ReadyLine>> {
        let Readiness::Log(regex) = &config.ready else { return None };
        // The configuration was refused where it is none.
        let pattern = LinePattern::new(regex).ok()?;
        Some(Box::new(ReadyLine { generation, pattern, lines: PartialLines::default() }))
    }

    /// Takes in output; `true`: there was the line.
    pub(super) fn push(&mut self, kind: StreamKind, data: &[u8]) -> bool {
        let ReadyLine { pattern, lines, .. } = self;
        lines.push(kind, data, &mut |line| pattern.matches(line))
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
    fn a_line_counts_when_it_has_ended_on_whichever_stream() {
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
    fn of_a_line_without_end_the_beginning_is_looked_at() {
        let mut line = awaited("needle");
        assert!(!line.push(Stdout, b"needle "));
        assert!(!line.push(Stdout, &[b'x'; 8192]));
        assert!(line.push(Stdout, b"\n"), "it began with it");
        let mut line = awaited("needle");
        assert!(!line.push(Stdout, &[b'x'; 4096]));
        assert!(!line.push(Stdout, b"needle\n"), "too far behind");
        assert!(line.push(Stdout, b"needle\n"));
    }
}
