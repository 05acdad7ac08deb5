//! The time in which a target can't be written: reported once at its begin and once at its end, with what was lost.

use std::time::{Duration, Instant};

use crate::models::{OutputRecovery, OutputTroubleKind, RecoveryCause};

/// An outage that is younger goes on even if a write succeeds, so that a target that comes and goes
/// is not announced each time.
const MIN_DURATION: Duration = Duration::from_secs(1);

/// What became of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Report {
    /// Something fails (said once, until it has recovered).
    Trouble { kind: OutputTroubleKind, reason: String },
    /// That is over.
    Recovered(OutputRecovery),
}

/// Takes the reports.
pub(super) type Reporter<'a> = &'a mut dyn FnMut(Report);

#[derive(Debug)]
struct Open {
    since: Instant,
    next_try: Instant,
    lost_bytes: u64,
}

impl Open {
    fn recovered(&self, cause: RecoveryCause) -> Report {
        Report::Recovered(OutputRecovery { kind: OutputTroubleKind::Write, cause, lost_bytes: self.lost_bytes })
    }
}

/// The time in which one target can't be written, if it is now. Costs a pointer while it can.
#[derive(Debug, Default)]
pub(super) struct WriteOutage(Option<Box<Open>>);

impl WriteOutage {
    /// A write failed and lost so many bytes; try again after `retry` at the earliest.
    pub fn fail(
        &mut self,
        now: Instant,
        lost: usize,
        retry: Duration,
        report: Reporter<'_>,
        reason: impl FnOnce() -> String,
    ) {
        if self.0.is_none() {
            report(Report::Trouble { kind: OutputTroubleKind::Write, reason: reason() });
        }
        let open = self.0.get_or_insert_with(|| Box::new(Open { since: now, next_try: now, lost_bytes: 0 }));
        open.lost_bytes += lost as u64;
        open.next_try = now + retry;
    }

    /// Bytes that were lost since then, and that somebody else has reported.
    pub fn add_lost(&mut self, since: Instant, bytes: u64) {
        let open = self.0.get_or_insert_with(|| Box::new(Open { since, next_try: since, lost_bytes: 0 }));
        open.lost_bytes += bytes;
    }

    /// Whether it has not ended yet.
    pub fn is_open(&self) -> bool {
        self.0.is_some()
    }

    /// A write succeeded.
    pub fn succeed(&mut self, now: Instant, report: Reporter<'_>) {
        if let Some(open) = self.0.take_if(|open| now.duration_since(open.since) >= MIN_DURATION) {
            report(open.recovered(RecoveryCause::Works));
        }
    }

    /// The target is left: what was lost is told now.
    pub fn end(&mut self, report: Reporter<'_>) {
        if let Some(open) = self.0.take() {
            report(open.recovered(RecoveryCause::Moved));
        }
    }

    /// `true` while the next try is not due; then `lost` bytes are counted.
    pub fn waits(&mut self, now: Instant, lost: usize) -> bool {
        match &mut self.0 {
            Some(open) if now < open.next_try => {
                open.lost_bytes += lost as u64;
                true
            }
            Some(_) | None => false,
        }
    }

    /// Makes the next try due now.
    pub fn hurry(&mut self, now: Instant) {
        if let Some(open) = &mut self.0 {
            open.next_try = now;
        }
    }
}
