//! [`Watchdog`]: expects a message from a run again and again.

use serde::{Deserialize, Serialize};

use super::super::moment::Moment;
use super::super::notification::WatchdogMiss;
use super::due::{Due, after};
use crate::models::ProgramConfig;

/// What a watchdog waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Watchdog {
    /// A message until then.
    Waiting { until: Due },
    /// The answer whether a message has come that was not read yet. Where none comes until then, that is our own fault.
    Asking { until: Due },
    /// It has missed the run. `stops`: which is stopped by its signal.
    Missed { miss: WatchdogMiss, stops: bool },
}

impl Watchdog {
    /// That of a run that is heard of at `now`; `None` where it has none.
    pub(super) fn of(config: &ProgramConfig, now: Moment) -> Option<Box<Watchdog>> {
        (config.watchdog > 0).then(|| Box::new(Watchdog::Waiting { until: after(now, config.watchdog) }))
    }

    pub(super) fn timer(self) -> Due {
        match self {
            Watchdog::Waiting { until } | Watchdog::Asking { until } => until,
            Watchdog::Missed { .. } => None,
        }
    }

    /// Why it has timed out, if it has.
    pub(super) fn miss(self) -> Option<WatchdogMiss> {
        match self {
            Watchdog::Missed { miss, .. } => Some(miss),
            Watchdog::Waiting { .. } | Watchdog::Asking { .. } => None,
        }
    }
}
