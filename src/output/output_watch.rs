//! What the output of a run is watched for (`output_watch`): lines, and silence.
//!
//! A line costs what it takes to hold it against the patterns; without patterns, a moment is noted for each read.
//! Nobody is woken for output that shows nothing: how long there was none is told when it is asked for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::messages::{Note, ProgramId, StreamKind};
use super::partial_lines::PartialLines;
use crate::models::{OutputSign, ProgramConfig};
use crate::process::Generation;
use crate::util::line_pattern::LinePattern;
use crate::util::truncate::to_bytes;

/// Each pattern is told of so often at most: a program that writes nothing else must not keep the daemon busy.
const MIN_ACTION_INTERVAL: Duration = Duration::from_secs(1);
/// What is told of a line, in bytes.
const MAX_SHOWN_BYTES: usize = 200;

/// One pattern that lines are held against.
struct Watched {
    text: Arc<str>,
    pattern: LinePattern,
    /// When it was told of for the last time.
    told: Option<Instant>,
}

/// What is watched of one run.
pub(super) struct OutputWatch {
    pub(super) generation: Generation,
    patterns: Vec<Watched>,
    lines: PartialLines,
    /// When there was output, or when the run began.
    heard: Instant,
    /// Somebody was told that there is none, and wants to know when there is.
    tell_next: bool,
}

impl OutputWatch {
    /// `None`: nothing is watched.
    pub(super) fn of(now: Instant, config: &ProgramConfig, generation: Generation) -> Option<Box<OutputWatch>> {
        let rules = &config.restart.output_watch;
        if rules.is_empty() {
            return None;
        }
        let patterns = rules.iter().filter_map(|rule| match &rule.sign {
            OutputSign::Silence(_) => None,
            // The configuration was refused where it is none.
            OutputSign::Pattern(text) => {
                Some(Watched { text: text.as_str().into(), pattern: LinePattern::new(text).ok()?, told: None })
            }
        });
        let patterns = patterns.collect();
        Some(Box::new(OutputWatch {
            generation,
            patterns,
            lines: PartialLines::default(),
            heard: now,
            tell_next: false,
        }))
    }

    /// Takes in output.
    pub(super) fn push(
        &mut self,
        now: Instant,
        program: ProgramId,
        kind: StreamKind,
        data: &[u8],
        tell: &mut dyn FnMut(Note),
    ) {
        let OutputWatch { generation, patterns, lines, heard, tell_next } = self;
        let generation = *generation;
        *heard = now;
        if std::mem::take(tell_next) {
            tell(Note::OutputResumed { program, generation });
        }
        if patterns.is_empty() {
            return;
        }
        lines.push(kind, data, &mut |line| {
            let may_be_told =
                |watched: &&mut Watched| watched.told.is_none_or(|told| now - told >= MIN_ACTION_INTERVAL);
            for watched in patterns.iter_mut().filter(may_be_told).filter(|watched| watched.pattern.matches(line)) {
                watched.told = Some(now);
                let line = to_bytes(&String::from_utf8_lossy(line), MAX_SHOWN_BYTES).into();
                tell(Note::WatchedLine { program, generation, pattern: Arc::clone(&watched.text), line });
            }
            false
        });
    }

    /// For how long there was no output.
    pub(super) fn silence(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.heard)
    }

    /// The next output is told of.
    pub(super) fn reset_silence(&mut self) {
        self.tell_next = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::OutputRule;
    use StreamKind::{Stderr, Stdout};

    fn watch(now: Instant, rules: &[&str]) -> Box<OutputWatch> {
        let mut config = ProgramConfig::new("p", "run");
        let rules = rules.iter().map(|rule| OutputRule::parse(rule).expect("a rule"));
        config.restart.output_watch = rules.collect();
        OutputWatch::of(now, &config, 3).expect("it is watched")
    }

    fn push(watch: &mut OutputWatch, now: Instant, kind: StreamKind, data: &[u8]) -> Vec<String> {
        let mut told = Vec::new();
        watch.push(now, 1, kind, data, &mut |note| {
            told.push(match note {
                Note::OutputResumed { generation: 3, .. } => "heard".to_owned(),
                Note::WatchedLine { pattern, line, .. } => format!("{pattern}: {line}"),
                other => format!("{other:?}"),
            });
        });
        told
    }

    #[test]
    fn lines_are_told_of_by_their_patterns_and_each_once_a_second_at_most() {
        let start = Instant::now();
        let mut watch = watch(start, &["pattern:panic", "pattern:lost", "silence:5"]);
        assert_eq!(push(&mut watch, start, Stdout, b"all is well\npan"), Vec::<String>::new());
        assert_eq!(push(&mut watch, start, Stderr, b"lost\n"), ["lost: lost"]);
        assert_eq!(push(&mut watch, start, Stdout, b"ic: lost\n"), ["panic: panic: lost"]);
        assert_eq!(push(&mut watch, start, Stdout, b"panic\n"), Vec::<String>::new(), "too soon");
        let later = start + MIN_ACTION_INTERVAL;
        let long = [b"panic".as_slice(), &[b'x'; 1000], b"\n"].concat();
        let told = push(&mut watch, later, Stdout, &[long.as_slice(), b"panic\n"].concat());
        assert_eq!((told.len(), told[0].len()), (1, "panic: ".len() + MAX_SHOWN_BYTES));
    }

    #[test]
    fn the_next_output_is_told_of_where_somebody_was_told_that_there_is_none() {
        let start = Instant::now();
        let mut watch = watch(start, &["silence:5"]);
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(watch.silence(at(4)), Duration::from_secs(4));
        assert!(push(&mut watch, at(4), Stdout, b"x").is_empty());
        assert_eq!(watch.silence(at(9)), Duration::from_secs(5));
        watch.reset_silence();
        assert_eq!(push(&mut watch, at(10), Stderr, b"y"), ["heard"]);
        assert!(push(&mut watch, at(11), Stdout, b"z").is_empty());
    }
}
