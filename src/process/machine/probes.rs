//! The tries whether a run is ready that does not tell it by itself.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::moment::Moment;
use super::super::readiness::ReadySign;
use super::checks::{CheckAction, PendingCheck};
use super::due::{Due, after, is_due};
use crate::util::truncate::to_bytes;

/// What a try may take until it has failed, in seconds.
pub const PROBE_TIMEOUT_SECS: u32 = 10;
/// What its answer may take beyond that until it is given up, in seconds.
const MARGIN_SECS: u32 = 5;
/// The pause after the first try that cost nothing but a connection; then twice as much, …
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// … up to this one, which lies between two commands from the beginning.
const MAX_PAUSE: Duration = Duration::from_secs(1);
/// Bytes of a message that are kept: it comes from outside.
const MAX_MESSAGE_BYTES: usize = 200;

/// The tries of one run. At most one is outstanding.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Probes {
    next: Due,
    /// The try that is out.
    awaited: Option<PendingCheck>,
    /// The pause after the next answer.
    pause: Duration,
    /// The run has been ready: the pause does not grow any more.
    is_settled: bool,
    /// What the last try found, where it has failed.
    pub(super) message: Option<Arc<str>>,
}

impl Probes {
    /// The tries of a run that was spawned at `now`, the first of them after `startsecs`. `None`: it tells by itself
    /// when it is ready, or health checks tell.
    pub(super) fn of(sign: ReadySign, startsecs: u32, now: Moment) -> Option<Box<Probes>> {
        let pause = match sign {
            ReadySign::Connection | ReadySign::Http => FIRST_PAUSE,
            ReadySign::Command => MAX_PAUSE,
            ReadySign::Notify | ReadySign::Fd | ReadySign::Path | ReadySign::Log | ReadySign::Health => return None,
        };
        Some(Box::new(Probes { next: after(now, startsecs), awaited: None, pause, is_settled: false, message: None }))
    }

    /// The tries of a run that has been ready at `now`, every so many seconds; `None`: it is not tried any more.
    pub(super) fn repeated(sign: ReadySign, interval: u32, now: Moment) -> Option<Box<Probes>> {
        match sign {
            ReadySign::Connection | ReadySign::Http | ReadySign::Command if interval > 0 => Some(Box::new(Probes {
                next: after(now, interval),
                awaited: None,
                pause: Duration::from_secs(u64::from(interval)),
                is_settled: true,
                message: None,
            })),
            ReadySign::Connection
            | ReadySign::Http
            | ReadySign::Command
            | ReadySign::Notify
            | ReadySign::Fd
            | ReadySign::Path
            | ReadySign::Log
            | ReadySign::Health => None,
        }
    }

    /// When [`poll`](Self::poll) is to be called.
    pub(super) fn timer(&self) -> Due {
        match self.awaited {
            Some(awaited) => awaited.given_up_at,
            None => self.next,
        }
    }

    /// A try is out.
    pub(super) fn is_under_way(&self) -> bool {
        self.awaited.is_some()
    }

    /// What is due at `now`; takes note of it.
    pub(super) fn poll(&mut self, now: Moment) -> CheckAction {
        match self.awaited {
            Some(awaited) if is_due(awaited.given_up_at, now) => CheckAction::GiveUp,
            None if is_due(self.next, now) => {
                self.awaited = Some(PendingCheck { given_up_at: after(now, PROBE_TIMEOUT_SECS + MARGIN_SECS) });
                CheckAction::Check
            }
            Some(_) | None => CheckAction::Nothing,
        }
    }

    /// Takes an answer in; `false` if none was awaited: then it is of a try that was given up.
    pub(super) fn answer(&mut self, now: Moment, ready: bool, message: &str) -> bool {
        if self.awaited.take().is_none() {
            return false;
        }
        self.message = (!ready).then(|| to_bytes(message, MAX_MESSAGE_BYTES).into());
        self.next = now.checked_add(self.pause);
        if !self.is_settled {
            self.pause = (self.pause * 2).min(MAX_PAUSE);
        }
        true
    }
}
