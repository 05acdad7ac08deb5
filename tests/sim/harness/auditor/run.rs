//! The run as the auditor sees it.

use std::sync::Arc;

use super::super::super::subject::models::{ProgramConfig, ProgramType, Readiness};
use super::super::super::subject::signal_number;
use super::super::Millis;
use super::seconds;

/// The run that the daemon knows of: from `Spawned` to `GroupEmpty`.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) generation: u64,
    pub(super) pid: i32,
    pub(super) spawned: Millis,
    pub(super) config: Arc<ProgramConfig>,
    pub(super) leader: bool,
    /// The signals of its stop, how long each may take, and whether that stands with the signal.
    pub(super) steps: Vec<(u8, Millis, bool)>,
    /// The present one.
    pub(super) step: usize,
    /// When the next signal has to follow at the latest, at last SIGKILL.
    pub(super) next_by: Option<Millis>,
    pub(super) killed: Option<Millis>,
    /// The last signal went to the leader alone.
    pub(super) alone: bool,
    /// It has told that it is ready.
    pub(super) ready: bool,
    /// When it lost the means to tell it.
    pub(super) lost: Option<Millis>,
    /// An operator has allowed SIGKILL before its time.
    pub(super) forced: bool,
    pub(super) checks: Option<Checks>,
    /// Since when the answer of a try whether it is ready is awaited.
    pub(super) probed: Option<Millis>,
}

impl Run {
    /// Whether it is ready is tried.
    pub(super) fn is_tried(&self) -> bool {
        matches!(self.config.ready, Readiness::Accepts(_) | Readiness::Command(_)) && self.is_awaited()
    }

    /// It has to tell that it is ready, and has not.
    pub(super) fn is_awaited(&self) -> bool {
        let tells = self.config.ready != Readiness::Startsecs && self.config.program_type == ProgramType::Simple;
        tells && !self.ready
    }

    /// Only time is between it and `RUNNING`.
    pub(super) fn is_bounded_by_time(&self) -> bool {
        self.config.program_type == ProgramType::Simple && !self.is_awaited()
    }

    /// When its start is given up.
    pub(super) fn start_by(&self) -> Option<Millis> {
        if let Some(lost) = self.lost {
            return Some(lost + 250);
        }
        let limited = !self.is_bounded_by_time() && self.config.start_timeout > 0;
        limited.then(|| self.spawned + seconds(self.config.start_timeout))
    }

    /// Nothing bounds its start.
    pub(super) fn takes_its_time(&self) -> bool {
        !self.is_bounded_by_time() && self.start_by().is_none() && self.checks.is_none() && !self.is_tried()
    }
}

/// The steps of a stop, read anew.
pub(super) fn stop_steps(config: &ProgramConfig) -> Vec<(u8, Millis, bool)> {
    let step = |text: &str| {
        let (name, own) = text.split_once(':').map_or((text, None), |(name, own)| (name, own.parse().ok()));
        (signal_number(name).unwrap_or(15), seconds(own.unwrap_or(config.stopwaitsecs)), own.is_some())
    };
    config.stopsignal.split(',').map(step).collect()
}

#[derive(Debug)]
pub(super) struct Checks {
    /// The next moment of the row.
    pub(super) due: Millis,
    pub(super) awaited_since: Option<Millis>,
    pub(super) failures: u32,
}
