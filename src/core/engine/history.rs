//! What has happened to each process: its last transitions, in few bytes.
//!
//! A record takes 14 bytes and its cause. A process keeps at most [`MOST_RECORDS`] in [`MOST_BYTES`], in memory that
//! it takes with its first transition. When all of them together have [`MOST_IN_ALL`], each that changes its
//! state keeps only its last [`FEW_RECORDS`].
//!
//! Times are kept monotonic and told by the wall clock of the moment at which somebody asks: a board that starts in
//! 1970 tells the right times as soon as its clock is set.

use std::time::{Duration, Instant};

use super::super::world::{Answer, ProcId, World};
use super::{Engine, Entry};
use crate::order::sort_by;
use crate::process::{ProcessState, Transition};
use crate::rpc::protocol::{HistoryItem, Report};
use crate::util::truncate::to_bytes;

/// Records that a process keeps.
pub(super) const MOST_RECORDS: usize = 8;
/// Bytes that the records of a process may take.
pub(super) const MOST_BYTES: usize = 1000;
/// Bytes that the records of all processes may take before they keep fewer.
pub(super) const MOST_IN_ALL: usize = 1024 * 1024;
/// Records that a process keeps then.
pub(super) const FEW_RECORDS: usize = 2;
/// Bytes of a cause that are kept.
const LONGEST_CAUSE: usize = 200;
/// Time (8 bytes), both states (1), pid (4), length of the cause (1).
const HEAD: usize = 14;

/// One record as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Past<'a> {
    /// Since the engine's first record.
    pub at: Duration,
    pub from: ProcessState,
    /// The same as `from` for a note about something that did not change the state.
    pub to: ProcessState,
    pub pid: Option<i32>,
    pub cause: &'a str,
}

/// The last records of one process, oldest first.
#[derive(Debug, Default)]
pub(super) struct History {
    bytes: Vec<u8>,
}

impl History {
    /// Bytes that the records take.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Adds a record; the oldest make room. At most `most` are there then.
    pub(super) fn push(&mut self, past: Past<'_>, most: usize) {
        let cause = to_bytes(past.cause, LONGEST_CAUSE);
        while self.iter().count() >= most || (!self.bytes.is_empty() && self.len() + HEAD + cause.len() > MOST_BYTES) {
            let first = self.bytes.get(HEAD - 1).map_or(self.len(), |length| HEAD + usize::from(*length));
            self.bytes.drain(..first.min(self.len()));
        }
        let number = |state| ProcessState::ALL.iter().position(|known| *known == state).unwrap_or(0) as u8;
        let millis = u64::try_from(past.at.as_millis()).unwrap_or(u64::MAX);
        self.bytes.reserve(HEAD + cause.len());
        self.bytes.extend_from_slice(&millis.to_le_bytes());
        self.bytes.push(number(past.from) << 4 | number(past.to));
        self.bytes.extend_from_slice(&past.pid.unwrap_or(0).to_le_bytes());
        // At most `LONGEST_CAUSE`.
        self.bytes.push(u8::try_from(cause.len()).unwrap_or(u8::MAX));
        self.bytes.extend_from_slice(cause.as_bytes());
    }

    /// The records, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = Past<'_>> {
        let mut rest = self.bytes.as_slice();
        std::iter::from_fn(move || {
            let (past, after) = read(rest)?;
            rest = after;
            Some(past)
        })
    }
}

/// The first record, and what follows it.
fn read(bytes: &[u8]) -> Option<(Past<'_>, &[u8])> {
    let (millis, rest) = bytes.split_first_chunk::<8>()?;
    let (states, rest) = rest.split_first()?;
    let (pid, rest) = rest.split_first_chunk::<4>()?;
    let (length, rest) = rest.split_first()?;
    let (cause, rest) = rest.split_at_checked(usize::from(*length))?;
    let state = |number: u8| ProcessState::ALL.get(usize::from(number)).copied();
    let past = Past {
        at: Duration::from_millis(u64::from_le_bytes(*millis)),
        from: state(states >> 4)?,
        to: state(states & 15)?,
        pid: Some(i32::from_le_bytes(*pid)).filter(|pid| *pid != 0),
        cause: std::str::from_utf8(cause).ok()?,
    };
    Some((past, rest))
}

/// Tells monotonic moments by the wall clock of the present one.
#[derive(Debug, Clone, Copy)]
pub(super) struct WallClock {
    now: Instant,
    /// Since 1970.
    wall: Duration,
}

impl WallClock {
    pub(super) fn new(now: Instant, world: &dyn World) -> WallClock {
        WallClock { now, wall: world.wall() }
    }

    /// Since 1970.
    fn since_1970(self, at: Instant) -> Duration {
        match at.checked_duration_since(self.now) {
            Some(ahead) => self.wall.saturating_add(ahead),
            None => self.wall.saturating_sub(self.now.saturating_duration_since(at)),
        }
    }

    /// Whole seconds since 1970.
    pub(super) fn seconds(self, at: Instant) -> u64 {
        self.since_1970(at).as_secs()
    }

    /// Seconds since 1970 with three decimals.
    pub(super) fn stamp(self, at: Instant) -> f64 {
        self.since_1970(at).as_millis() as f64 / 1000.0
    }
}

impl Engine {
    /// Remembers a transition.
    pub(super) fn remember(&mut self, now: Instant, id: ProcId, transition: &Transition) {
        let Transition { from, to, pid, cause } = transition;
        self.remember_past(now, id, (*from, *to), *pid, cause);
    }

    /// Remembers something that does not change the state; the same thing again is not worth a record.
    pub(super) fn note(&mut self, now: Instant, id: ProcId, cause: &str) {
        let Some(entry) = self.entries.get(&id) else { return };
        let (state, pid) = (entry.machine.state(), entry.machine.pid());
        if entry.history.iter().last().is_some_and(|last| last.cause == cause) {
            return;
        }
        self.remember_past(now, id, (state, state), pid, cause);
    }

    fn remember_past(
        &mut self,
        now: Instant,
        id: ProcId,
        (from, to): (ProcessState, ProcessState),
        pid: Option<i32>,
        cause: &str,
    ) {
        let at = now.saturating_duration_since(*self.first_record.get_or_insert(now));
        let most = if self.history_bytes > MOST_IN_ALL { FEW_RECORDS } else { MOST_RECORDS };
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let before = entry.history.len();
        entry.history.push(Past { at, from, to, pid, cause }, most);
        self.history_bytes = (self.history_bytes + entry.history.len()).saturating_sub(before);
    }

    /// The process's records as they are told.
    pub(super) fn past_of(&self, clock: WallClock, entry: &Entry) -> Vec<HistoryItem> {
        let Some(first) = self.first_record else { return Vec::new() };
        let item = |past: Past<'_>| HistoryItem {
            time: clock.stamp(first + past.at),
            name: entry.name().to_owned(),
            from_state: past.from.as_str().to_owned(),
            to_state: past.to.as_str().to_owned(),
            pid: past.pid,
            cause: past.cause.to_owned(),
        };
        entry.history.iter().map(item).collect()
    }

    /// The records of all processes, oldest first.
    pub(super) fn whole_past(&self, clock: WallClock) -> Vec<HistoryItem> {
        let items = self.entries.values().flat_map(|entry| self.past_of(clock, entry));
        // Those of one moment stay in the order of their process.
        let mut keyed: Vec<(usize, HistoryItem)> = items.enumerate().collect();
        sort_by(&mut keyed, |a, b| a.1.time.total_cmp(&b.1.time).then(a.0.cmp(&b.0)));
        keyed.into_iter().map(|(_, item)| item).collect()
    }

    /// The answer to `history`.
    pub(super) fn history(&self, now: Instant, name: Option<&str>, world: &dyn World) -> Answer {
        let clock = WallClock::new(now, world);
        let items = match name {
            None => self.whole_past(clock),
            Some(name) => match self.find(name).and_then(|id| self.entries.get(&id)) {
                Some(entry) => self.past_of(clock, entry),
                None => return Answer::not_found(self.unknown_process(name)),
            },
        };
        Answer::report(Report::History(items))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn past(at: u64, cause: &str) -> Past<'_> {
        let (from, to) = (ProcessState::Running, ProcessState::Unhealthy);
        Past { at: Duration::from_millis(at), from, to, pid: Some(7), cause }
    }

    #[test]
    fn what_is_remembered_comes_back() {
        let mut history = History::default();
        history.push(past(1, "first"), MOST_RECORDS);
        history.push(Past { pid: None, ..past(2, "zweite, für später") }, MOST_RECORDS);
        let all: Vec<_> = history.iter().collect();
        assert_eq!(all, [past(1, "first"), Past { pid: None, ..past(2, "zweite, für später") }]);
    }

    #[test]
    fn ten_thousand_transitions_take_a_kilobyte() {
        let mut history = History::default();
        let long = "ü".repeat(300);
        for at in 0..10_000 {
            history.push(past(at, if at % 3 == 0 { &long } else { "short" }), MOST_RECORDS);
            assert!(history.len() <= MOST_BYTES && history.bytes.capacity() <= 1024 + 200, "{}", history.len());
        }
        let times: Vec<u64> = history.iter().map(|past| past.at.as_millis() as u64).collect();
        assert_eq!(times, (9_992..10_000).collect::<Vec<_>>(), "the last eight");
        history.push(past(10_000, "few"), FEW_RECORDS);
        assert_eq!(history.iter().count(), FEW_RECORDS);
    }
}
