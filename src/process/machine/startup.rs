//! [`Startup`]: what a run waits for from its spawn to `RUNNING`.

use serde::{Deserialize, Serialize};

use super::super::moment::Moment;
use super::super::readiness::ReadySign;
use super::checks::Checks;
use super::due::{Due, after, earlier};
use super::main_search::MainSearch;
use crate::models::{ProgramConfig, ProgramType};

/// What a run in `STARTING` waits for.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Startup {
    /// That its process executes the program: a file system does not answer. As long as that takes.
    Exec,
    /// This moment, when it has lived for `startsecs`.
    Alive { until: Due },
    /// Its end: it is a oneshot. At this moment it is given up.
    Completion { give_up_at: Due },
    /// That it tells that it is ready, or that a try finds it so ([`Run::probes`](super::phase::Run::probes)). At this
    /// moment it is given up.
    Ready { sign: ReadySign, give_up_at: Due },
    /// It has closed its readiness descriptor and can't tell that any more. Mostly it has ended, of which we hear in a
    /// moment; else it is given up then.
    Lost { give_up_at: Due },
    /// That it puts itself into the background: that its leader ends with 0. At this moment it is given up.
    Forking { give_up_at: Due },
    /// Its leader has ended with 0, and its main process is looked for.
    Detached { search: Box<MainSearch> },
    /// A health check that passes: it is checked at once, and then every second. At this moment it is given up.
    Healthy { checks: Box<Checks>, give_up_at: Due },
}

/// The key that bounds how long a oneshot may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LimitKey {
    StartTimeout,
    MaxRuntime,
}

/// How many seconds a oneshot may run, and the key that says so; `None`: as long as it takes.
pub(super) fn completion_limit(config: &ProgramConfig) -> Option<(u32, LimitKey)> {
    let limits = [(config.start_timeout, LimitKey::StartTimeout), (config.restart.max_runtime, LimitKey::MaxRuntime)];
    limits.into_iter().filter(|(seconds, _)| *seconds > 0).min_by_key(|(seconds, _)| *seconds)
}

impl Startup {
    /// What a run waits for that was spawned at `now`.
    pub(super) fn of(config: &ProgramConfig, now: Moment) -> Startup {
        match config.program_type {
            ProgramType::Oneshot => {
                let limit = completion_limit(config);
                Startup::Completion { give_up_at: limit.and_then(|(seconds, _)| after(now, seconds)) }
            }
            ProgramType::Forking => Startup::Forking { give_up_at: give_up_at(config, now) },
            ProgramType::Simple => Startup::until_ready(config, now, now),
        }
    }

    /// What a run waits for at `now` that was spawned at `started`, until it is ready.
    pub(super) fn until_ready(config: &ProgramConfig, started: Moment, now: Moment) -> Startup {
        let give_up_at = give_up_at(config, started);
        match ReadySign::of(&config.ready) {
            Some(ReadySign::Health) => match Checks::at_once(config, now) {
                Some(checks) => Startup::Healthy { checks, give_up_at },
                None => Startup::Alive { until: after(started, config.startsecs) },
            },
            Some(
                sign @ (ReadySign::Notify
                | ReadySign::Fd
                | ReadySign::Path
                | ReadySign::Log
                | ReadySign::Connection
                | ReadySign::Http
                | ReadySign::Command),
            ) => Startup::Ready { sign, give_up_at },
            None => Startup::Alive { until: after(started, config.startsecs) },
        }
    }

    /// It is given up only then, if that is later.
    pub(super) fn extend(&mut self, until: Moment) {
        match self {
            Startup::Completion { give_up_at }
            | Startup::Ready { give_up_at, .. }
            | Startup::Forking { give_up_at }
            | Startup::Healthy { give_up_at, .. } => *give_up_at = give_up_at.map(|at| at.max(until)),
            Startup::Detached { search } => search.give_up_at = search.give_up_at.map(|at| at.max(until)),
            Startup::Exec | Startup::Alive { .. } | Startup::Lost { .. } => {}
        }
    }

    pub(super) fn timer(&self) -> Due {
        match self {
            Startup::Exec => None,
            Startup::Alive { until } => *until,
            Startup::Detached { search } => earlier(search.look_at, search.give_up_at),
            Startup::Completion { give_up_at }
            | Startup::Forking { give_up_at }
            | Startup::Ready { give_up_at, .. }
            | Startup::Lost { give_up_at, .. } => *give_up_at,
            Startup::Healthy { checks, give_up_at } => earlier(checks.timer(), *give_up_at),
        }
    }
}

/// When a run is given up that was spawned at `started`; `None`: it may take as long as it takes.
fn give_up_at(config: &ProgramConfig, started: Moment) -> Due {
    if config.start_timeout > 0 { after(started, config.start_timeout) } else { None }
}
