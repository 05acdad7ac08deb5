//! How starts that no operator has asked for are paced, and what bounds them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::cause::Tries;
use super::super::initiator::Initiator;
use super::super::moment::Moment;
use super::super::state::Exit;
use super::phase::Phase;
use super::{MIN_RESTART_INTERVAL, Machine};
use crate::models::RestartLimit;

/// The longest pause before another attempt after `FATAL`, unless the configuration asks for a longer one.
const MAX_FATAL_DELAY: u32 = 3600;
/// By how much, in thousandths, such a pause may differ from what it is meant to be.
const FATAL_SPREAD: u64 = 200;
/// The same of a lifetime: instances must not all go at once.
const LIFETIME_SPREAD: u64 = 100;

/// What only programs need that have a limit of restarts, or are tried again after `FATAL`.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Bounds {
    /// The restarts of the last time, as long as they may count.
    recent: Vec<Moment>,
    /// How often in a row it was given up.
    given_up: u32,
    /// The present attempt is one after `FATAL`.
    is_fatal_retry: bool,
}

/// Pseudo-random numbers that are part of the state, so that a life can be lived again: a counter, and the finish of
/// MurmurHash3.
#[derive(Debug, Default, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Random(u32);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9);
        let mixed = (self.0 ^ (self.0 >> 16)).wrapping_mul(0x85eb_ca6b);
        let mixed = (mixed ^ (mixed >> 13)).wrapping_mul(0xc2b2_ae35);
        mixed ^ (mixed >> 16)
    }

    /// From 0 to `most`, both included.
    fn up_to(&mut self, most: u64) -> u64 {
        // The part of a whole that 2^32 stands for.
        let product = u128::from(self.next()) * (u128::from(most) + 1);
        u64::try_from(product >> 32).unwrap_or(most)
    }

    /// This many seconds, plus or minus a random share of up to so many thousandths.
    fn around(&mut self, seconds: u32, spread: u64) -> Duration {
        let millis = u64::from(seconds).saturating_mul(1000);
        let spread = millis.saturating_mul(spread) / 1000;
        Duration::from_millis(millis - spread + self.up_to(spread * 2))
    }
}

impl Machine {
    /// Where the random part of its delays comes from: programs, and machines, of the same settings must not go in
    /// step.
    pub fn seed(&mut self, seed: u32) {
        self.tally.random = Random(seed);
    }

    /// How long a retry waits: the n-th one in a row.
    pub(super) fn retry_delay(&mut self, number: u32) -> Duration {
        let policy = &self.config.restart;
        let delay = policy.delay_growth.delay(policy.delay, number).min(policy.delay_max);
        let whole = u64::from(delay).saturating_mul(1000);
        let loose = whole.saturating_mul(policy.jitter.thousandths().into()) / 1000;
        let millis = whole - loose + if loose > 0 { self.tally.random.up_to(loose) } else { 0 };
        Duration::from_millis(millis).max(MIN_RESTART_INTERVAL)
    }

    /// A start that this has asked for, and no operator.
    pub(super) fn count_restart_by(&mut self, now: Moment, by: &Initiator) {
        if by.is_lifetime() {
            self.tally.restarts_now = true;
        } else {
            self.count_restart(now);
        }
    }

    /// A start that no operator has asked for. It counts for the limit at once, and as a restart when there is a
    /// process.
    pub(super) fn count_restart(&mut self, now: Moment) {
        self.tally.restarts_now = true;
        let Some(RestartLimit { restarts, seconds }) = self.config.restart.limit else { return };
        let recent = &mut self.tally.bounds.get_or_insert_default().recent;
        recent.retain(|at| is_within(*at, now, seconds));
        // Where the limit was lowered meanwhile.
        let room = usize::try_from(restarts).unwrap_or(usize::MAX);
        recent.push(now);
        recent.drain(..recent.len().saturating_sub(room));
    }

    /// Whether a restart at this moment is one too many (`restart_limit`).
    pub(super) fn exceeds_limit(&self, at: Moment) -> Option<Tries> {
        let RestartLimit { restarts, seconds } = self.config.restart.limit?;
        let recent = self.tally.bounds.as_ref().map_or(&[][..], |bounds| &bounds.recent);
        let count = recent.iter().filter(|before| is_within(**before, at, seconds)).count();
        (count >= usize::try_from(restarts).unwrap_or(usize::MAX)).then_some(Tries::Limit { restarts, seconds })
    }

    /// Whether a restart that this asks for is one too many.
    pub(super) fn exceeds_limit_by(&self, at: Moment, by: &Initiator) -> Option<Tries> {
        if by.is_lifetime() { None } else { self.exceeds_limit(at) }
    }

    /// A start has come to a process.
    pub(super) fn note_process(&mut self) {
        if std::mem::take(&mut self.tally.restarts_now) {
            self.tally.restarts = self.tally.restarts.saturating_add(1);
        }
    }

    /// Nobody has asked for this start, or whom it is for: it counts as a restart.
    pub(super) fn is_automatic(by: &Initiator) -> bool {
        by.is_automatic()
    }

    /// Whether this end is one that no start follows (`norestart_exitcodes`).
    pub(super) fn never_restarts(&self, exit: Exit) -> bool {
        self.config.restart.never_after.contains(&exit.into())
    }

    /// It is given up: when it is tried again all the same (`fatal_retry`).
    pub(super) fn fatal_retry_at(&mut self, now: Moment) -> Option<Moment> {
        let first = self.config.restart.fatal_retry;
        if first == 0 {
            return None;
        }
        let bounds = self.tally.bounds.get_or_insert_default();
        bounds.is_fatal_retry = false;
        bounds.given_up = bounds.given_up.saturating_add(1);
        let factor = 1_u32.checked_shl(bounds.given_up - 1).unwrap_or(u32::MAX);
        let delay = first.saturating_mul(factor).min(MAX_FATAL_DELAY.max(first));
        now.checked_add(self.tally.random.around(delay, FATAL_SPREAD).max(MIN_RESTART_INTERVAL))
    }

    /// When the present run has lived for as long as it may (`max_lifetime`).
    pub(crate) fn draw_lifetime(&mut self) -> Option<Moment> {
        let run = self.phase.live_run()?;
        let (started, seconds) = (run.started, run.config.restart.max_lifetime);
        if seconds == 0 {
            return None;
        }
        started.checked_add(self.tally.random.around(seconds, LIFETIME_SPREAD).max(MIN_RESTART_INTERVAL))
    }

    /// Whether `on_fatal` follows the `FATAL` that it is in: at once where that is the end, else when so many attempts
    /// after it have failed, once.
    pub(crate) fn acts_on_fatal(&self) -> bool {
        match &self.phase {
            Phase::Fatal { retry_at: Some(_), .. } => self.failed_fatal_retries() == self.config.restart.on_fatal_after,
            Phase::Fatal { retry_at: None, failure, .. } => !failure.is_of_dependency(),
            Phase::Stopped
            | Phase::Exited { .. }
            | Phase::Backoff { .. }
            | Phase::PreStart { .. }
            | Phase::Waiting { .. }
            | Phase::Spawning { .. }
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Unhealthy { .. }
            | Phase::Stopping { .. }
            | Phase::Up { .. }
            | Phase::Ending { .. } => false,
        }
    }

    /// The number of the attempt after `FATAL` that begins now.
    pub(super) fn begin_fatal_retry(&mut self) -> u32 {
        let bounds = self.tally.bounds.get_or_insert_default();
        bounds.is_fatal_retry = true;
        bounds.given_up
    }

    /// The present attempt is one after `FATAL`: it has no retries.
    pub(super) fn is_fatal_retry(&self) -> bool {
        self.tally.bounds.as_ref().is_some_and(|bounds| bounds.is_fatal_retry)
    }

    /// It has run as it should: the next failure counts as the first one.
    pub(super) fn reset_failures(&mut self) {
        self.tally.attempts = 0;
        if let Some(bounds) = &mut self.tally.bounds {
            (bounds.is_fatal_retry, bounds.given_up) = (false, 0);
        }
    }

    /// How many attempts after `FATAL` have failed in a row.
    pub(super) fn failed_fatal_retries(&self) -> u32 {
        self.tally.bounds.as_ref().map_or(0, |bounds| bounds.given_up.saturating_sub(1))
    }
}

/// Whether less than so many seconds lie between both.
fn is_within(before: Moment, now: Moment, seconds: u32) -> bool {
    now.saturating_duration_since(before) < Duration::from_secs(seconds.into())
}
