//! What has happened to each process: its last transitions, typed, in few bytes.
//!
//! A process keeps at most [`MAX_RECORDS`] in about [`MAX_BYTES`], in memory that it takes with its first transition.
//! When all of them together have [`MAX_TOTAL_BYTES`], each that changes its state keeps only its last [`FEW_RECORDS`].

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Engine;
use crate::api::{Announcement, HistoryRow, ProcId};
use crate::models::ProgramConfig;
use crate::process::{Cause, Failure, Initiator, Moment, ProcessState, SpawnError, TaskEnd};

/// Records that a process keeps.
pub(super) const MAX_RECORDS: usize = 8;
/// Bytes that the records of a process may take.
pub(super) const MAX_BYTES: usize = 1000;
/// Bytes that the records of all processes may take before they keep fewer.
pub(super) const MAX_TOTAL_BYTES: usize = 1024 * 1024;
/// Records that a process keeps then.
pub(super) const FEW_RECORDS: usize = 2;

/// One record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct HistoryRecord {
    pub(super) at: Moment,
    pub(super) cause: Cause,
    pub(super) pid: Option<std::num::NonZeroI32>,
    pub(super) from: ProcessState,
    /// The same as `from` for a note about something that did not change the state.
    pub(super) to: ProcessState,
    /// Its place among all that happened at this moment, as far as that can be counted: one turn may be a whole chain
    /// of programs. It has room where the others leave some.
    #[serde(default)]
    number: u16,
}

impl HistoryRecord {
    /// Bytes that it takes, boxes and all.
    fn weight(&self) -> usize {
        size_of::<HistoryRecord>() + payload(&self.cause)
    }
}

/// Bytes that a cause has outside of itself, those that it shares included.
fn payload(cause: &Cause) -> usize {
    let of_error = |error: &SpawnError| error.subject.len() + error.detail.len();
    let of_failure = |failure: &Failure| {
        size_of::<Failure>()
            + match failure {
                Failure::Unhealthy { message, .. } => message.len(),
                Failure::SpawnFailed(error) => of_error(error),
                Failure::DependencyLost { on, .. } | Failure::StartWhen { on, .. } => on.len(),
                Failure::NoMain { path, .. } => path.len(),
                Failure::HookFailed(hook) => {
                    let of_spawn = match &hook.end {
                        TaskEnd::SpawnFailed(error) => size_of::<SpawnError>() + of_error(error),
                        TaskEnd::Exited { .. } | TaskEnd::TimedOut { .. } | TaskEnd::Cancelled => 0,
                    };
                    hook.command.len() + hook.end.lines().map(str::len).sum::<usize>() + of_spawn
                }
                Failure::NotReady { detail, .. } => detail.as_ref().map_or(0, |detail| detail.len()),
                Failure::Output { fault } => size_of_val(&**fault) + fault.payload(),
                Failure::Policy { reason } => size_of_val(&**reason) + reason.payload(),
                Failure::Exited { .. }
                | Failure::Backgrounded { .. }
                | Failure::NotForked { .. }
                | Failure::LeftNothing { .. }
                | Failure::NotCompleted { .. }
                | Failure::RanTooLong { .. }
                | Failure::NeverReady
                | Failure::Watchdog { .. }
                | Failure::InternalError => 0,
            }
    };
    match cause {
        Cause::Unhealthy { message, .. }
        | Cause::HealthyAgain { message }
        | Cause::HealthCommandEnded { message, .. }
        | Cause::OutputCommandEnded { message, .. }
        | Cause::ReadinessLost { message } => message.len(),
        Cause::OutputFault { fault } => size_of_val(&**fault) + fault.payload(),
        Cause::DependencyBack { on } => on.as_ref().map_or(0, |on| on.len()),
        Cause::BackedOff { failure, .. }
        | Cause::GaveUp { failure, .. }
        | Cause::StartFailed { failure }
        | Cause::HookFailed { failure } => of_failure(failure),
        Cause::SpawnFailed { error } | Cause::WaitsForRoom { error, .. } => size_of::<SpawnError>() + of_error(error),
        Cause::Requested { by, .. }
        | Cause::RequestedDuringSpawn { by, .. }
        | Cause::SignalRequested { by, .. }
        | Cause::PauseRequested { by }
        | Cause::ResumeRequested { by }
        | Cause::EnabledSet { by, .. }
        | Cause::ReloadRequested { by } => payload_of_initiator(by),
        Cause::EarlierDaemonDied { .. }
        | Cause::Executed
        | Cause::Up { .. }
        | Cause::Ready { .. }
        | Cause::Exited { .. }
        | Cause::Completed { .. }
        | Cause::WatchdogMissed { .. }
        | Cause::AliveAgain
        | Cause::HeardAgain
        | Cause::NotifyRefused { .. }
        | Cause::ReadinessBack
        | Cause::InBackground
        | Cause::LeftBehind { .. }
        | Cause::MainProcess { .. }
        | Cause::MainRefused { .. }
        | Cause::RestartUnhealthy
        | Cause::Retry { .. }
        | Cause::RetryForRoom
        | Cause::FatalRetry { .. }
        | Cause::Restart
        | Cause::Ended { .. }
        | Cause::Schedule { .. }
        | Cause::StopTimedOut { .. }
        | Cause::StopStepOver { .. }
        | Cause::OutlivedStopCommand { .. }
        | Cause::StopCommandHangs { .. }
        | Cause::StopCommandTimedOut { .. } => 0,
    }
}

fn payload_of_initiator(by: &Initiator) -> usize {
    match by {
        Initiator::Client(caller) => {
            let texts = [&caller.command, &caller.user].into_iter().flatten();
            size_of_val(&**caller) + texts.map(|text| text.len()).sum::<usize>()
        }
        Initiator::Remote(caller) => {
            size_of_val(&**caller) + caller.address.len() + caller.user.as_ref().map_or(0, |user| user.len())
        }
        Initiator::Related(related) => {
            size_of_val(&**related) + related.name.len() + related.by.as_ref().map_or(0, payload_of_initiator)
        }
        Initiator::Policy(reason) => size_of_val(&**reason) + reason.payload(),
        Initiator::Reload { by } => size_of_val(&**by) + payload_of_initiator(by),
        Initiator::Autostart
        | Initiator::Embedder
        | Initiator::Signal { .. }
        | Initiator::Rollback
        | Initiator::HealthCheck
        | Initiator::Schedule
        | Initiator::Shutdown => 0,
    }
}

/// The last records of one process, oldest first.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct History {
    records: Vec<HistoryRecord>,
}

impl History {
    /// Bytes that the records take.
    pub(super) fn weight(&self) -> usize {
        self.records.iter().map(HistoryRecord::weight).sum()
    }

    /// Adds a record; the oldest make room. At most `most` are there then. The bytes that they took, and those that
    /// they take.
    fn push(&mut self, past: HistoryRecord, most: usize) -> (usize, usize) {
        let before = self.weight();
        let mut weight = before + past.weight();
        let mut go = 0;
        while self.records.len() - go >= most || (weight > MAX_BYTES && go < self.records.len()) {
            weight -= self.records.get(go).map_or(0, HistoryRecord::weight);
            go += 1;
        }
        self.records.drain(..go);
        if self.records.len() == self.records.capacity() {
            // A start has two of them, and so has a stop.
            self.records.reserve_exact(2);
        }
        self.records.push(past);
        (before, weight)
    }

    pub(super) fn last(&self) -> Option<&HistoryRecord> {
        self.records.last()
    }

    /// The last change of state.
    pub(super) fn last_transition(&self) -> Option<&HistoryRecord> {
        self.records.iter().rev().find(|past| past.from != past.to)
    }

    /// Why the last attempt failed, where it was stopped while it waited for the next one.
    #[cfg(feature = "xmlrpc")]
    pub(super) fn abandoned(&self) -> Option<Arc<Failure>> {
        let mut back = self.records.iter().rev().filter(|past| past.from != past.to);
        let stopped = back.next()?;
        if (stopped.from, stopped.to) != (ProcessState::Backoff, ProcessState::Stopped) {
            return None;
        }
        let failed = back.next()?;
        if let Cause::BackedOff { failure, .. } = &failed.cause { Some(Arc::clone(failure)) } else { None }
    }

    /// The records as they are told, each with its place among all of them.
    pub(super) fn placed_rows(
        &self,
        program: &Arc<ProgramConfig>,
    ) -> impl Iterator<Item = ((Moment, u16), HistoryRow)> {
        self.records.iter().map(|past| (past.at, past.number)).zip(self.rows(program))
    }

    /// The records as they are told.
    pub(super) fn rows(&self, program: &Arc<ProgramConfig>) -> Vec<HistoryRow> {
        let row = |past: &HistoryRecord| HistoryRow {
            program: Arc::clone(program),
            at: past.at,
            from: past.from,
            to: past.to,
            pid: past.pid.map(Into::into),
            cause: past.cause.clone(),
        };
        self.records.iter().map(row).collect()
    }
}

/// What all histories together take.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Histories {
    pub(super) bytes: usize,
    /// The moment of the last record, and how many there were of it before.
    #[serde(default)]
    last: Option<(Moment, u16)>,
}

impl Histories {
    /// The number of the next record of this moment.
    fn number(&mut self, at: Moment) -> u16 {
        let number = match self.last {
            Some((last, number)) if last == at => number.saturating_add(1),
            Some(_) | None => 0,
        };
        self.last = Some((at, number));
        number
    }

    /// The process that had it is no longer there.
    pub(super) fn forget(&mut self, history: &History) {
        self.bytes = self.bytes.saturating_sub(history.weight());
    }
}

impl Engine {
    /// A subscriber: remembers what happens to a process.
    pub(super) fn remember(&mut self, id: Option<ProcId>, announcement: &Announcement) {
        let Some(id) = id else { return };
        let (at, from, to, pid, cause) = match announcement {
            Announcement::Transition { at, transition, .. } => {
                (*at, transition.from, transition.to, transition.pid, transition.cause.clone())
            }
            Announcement::Noted { at, state, pid, cause, .. } => (*at, *state, *state, *pid, cause.clone()),
            Announcement::Health { .. }
            | Announcement::Spawned { .. }
            | Announcement::Output { .. }
            | Announcement::ExecFailedLate { .. }
            | Announcement::Shortage { .. }
            | Announcement::UnknownSenderNotified { .. }
            | Announcement::TaskSignalled { .. }
            | Announcement::HookFailed { .. }
            | Announcement::NoticeLost { .. }
            | Announcement::Asked { .. }
            | Announcement::Denied { .. }
            | Announcement::Begun
            | Announcement::RemoteEvent { .. }
            | Announcement::LogsReopened
            | Announcement::ClockSet { .. }
            | Announcement::Orphans(_)
            | Announcement::Failed(_)
            | Announcement::Reload(_)
            | Announcement::Shutdown(_) => return,
        };
        let most = if self.histories.bytes > MAX_TOTAL_BYTES { FEW_RECORDS } else { MAX_RECORDS };
        let number = self.histories.number(at);
        let Some(entry) = self.registry.get_mut(id) else { return };
        let pid = pid.and_then(std::num::NonZeroI32::new);
        let (before, after) =
            entry.history.push(HistoryRecord { at, cause: cause.shortened(), pid, from, to, number }, most);
        self.histories.bytes = (self.histories.bytes + after).saturating_sub(before);
    }

    /// Something happened that does not change the state; the same thing again is not worth a record.
    pub(super) fn note(&mut self, id: ProcId, cause: Cause) {
        let Some(entry) = self.registry.get(id) else { return };
        if entry.history.last().is_some_and(|last| last.cause == cause) {
            return;
        }
        let program = Arc::clone(entry.config());
        let (state, pid) = (entry.machine.state(), entry.machine.pid());
        self.announce(Some(id), Announcement::Noted { program, at: self.now, state, pid, cause });
        self.deliver_announcements();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn past(at: u64, message: &str) -> HistoryRecord {
        let cause = Cause::Unhealthy { failures: 1, message: message.into() };
        let (from, to) = (ProcessState::Running, ProcessState::Unhealthy);
        HistoryRecord { at: Moment::from_nanos(at), from, to, pid: std::num::NonZeroI32::new(7), cause, number: 0 }
    }

    #[test]
    fn records_are_small() {
        assert!(size_of::<Cause>() <= 24, "{}", size_of::<Cause>());
        assert!(size_of::<HistoryRecord>() <= 40, "{}", size_of::<HistoryRecord>());
    }

    #[test]
    fn the_bytes_of_one_process_end_exactly_at_the_limit() {
        let filled = |last: usize| {
            let mut history = History::default();
            for weight in [200, 200, 200, 200, last] {
                history.push(past(1, &"x".repeat(weight - size_of::<HistoryRecord>())), MAX_RECORDS);
            }
            history.weight()
        };
        assert_eq!((filled(200), filled(201)), (MAX_BYTES, 801));
    }

    #[test]
    fn ten_thousand_transitions_take_a_kilobyte() {
        let mut history = History::default();
        let long = "ü".repeat(100);
        for at in 1..=10_000 {
            history.push(past(at, if at % 3 == 0 { &long } else { "short" }), MAX_RECORDS);
            assert!(history.weight() <= MAX_BYTES, "{}", history.weight());
        }
        let times: Vec<u64> = history.records.iter().map(|past| past.at.as_nanos()).collect();
        assert!(times.len() >= 4 && times.ends_with(&[9_999, 10_000]), "{times:?}");
        history.push(past(10_001, "few"), FEW_RECORDS);
        assert_eq!(history.records.len(), FEW_RECORDS);
        let huge = "x".repeat(5_000);
        history.push(past(10_002, &huge), MAX_RECORDS);
        assert_eq!(history.records.len(), 1, "one is kept, however large");
    }
}
