//! [`Startup`]: what a run waits for from its spawn to `RUNNING`.

use serde::{Deserialize, Serialize};

use super::super::moment::Moment;
use super::super::readiness::ReadySign;
use super::checks::Checks;
use super::due::{Due, after};
use crate::models::{ProgramConfig, ProgramType};

/// What a run in `STARTING` waits for.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Startup {
    /// This moment, when it has lived for `startsecs`.
    Alive { until: Due },
    /// Its end: it is a oneshot. At this moment it is given up.
    Completion { give_up_at: Due },
    /// That it tells that it is ready. At this moment it is given up.
    Ready { sign: ReadySign, give_up_at: Due },
    /// It has closed its readiness descriptor and can't tell that any more. Mostly it has ended, of which we hear in a moment; else
    /// it is given up then.
    Lost { give_up_at: Due },
    /// A health check that passes: it is checked at once, and then every second. At this moment it is given up.
    Healthy { checks: Box<Checks>, give_up_at: Due },
}

impl Startup {
    /// What a run waits for that was spawned at `now`.
    pub(super) fn of(config: &ProgramConfig, now: Moment) -> Startup {
        let give_up_at = if config.start_timeout > 0 { after(now, config.start_timeout) } else { None };
        match (config.program_type, ReadySign::of(&config.ready)) {
            (ProgramType::Oneshot, _) => Startup::Completion { give_up_at },
            (ProgramType::Simple, Some(ReadySign::Health)) => match Checks::at_once(&config.healthcheck, now) {
                Some(checks) => Startup::Healthy { checks, give_up_at },
                None => Startup::Alive { until: after(now, config.startsecs) },
            },
            (ProgramType::Simple, Some(sign @ ReadySign::Fd)) => Startup::Ready { sign, give_up_at },
            (ProgramType::Simple, None) => Startup::Alive { until: after(now, config.startsecs) },
        }
    }

    pub(super) fn timer(&self) -> Due {
        match self {
            Startup::Alive { until } => *until,
            Startup::Completion { give_up_at }
            | Startup::Ready { give_up_at, .. }
            | Startup::Lost { give_up_at, .. } => *give_up_at,
            Startup::Healthy { checks, give_up_at } => [checks.timer(), *give_up_at].into_iter().flatten().min(),
        }
    }
}
