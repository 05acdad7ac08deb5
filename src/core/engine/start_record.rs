//! When each process was asked to start, what it waited for, when it was executed and when it was ready: a few moments
//! for each, written down as they pass.

use serde::{Deserialize, Serialize};

use super::Engine;
use crate::api::{Announcement, ProcId};
use crate::process::{Cause, Moment, ProcessState, Verb};

/// What has let a process start that had to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum StartDelay {
    Process(ProcId),
    /// `start_limit` others were starting.
    StartSlot,
}

/// The first start of a process that came about; until one has, the one that was asked for last. What follows later, by
/// whomever, is not recorded: the record describes the boot, whenever somebody asks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StartRecord {
    pub(super) asked: Option<Moment>,
    /// It was asked for because the daemon began.
    #[serde(default)]
    pub(super) of_boot: bool,
    /// The last time before it was ready.
    pub(super) spawned: Option<Moment>,
    pub(super) ready: Option<Moment>,
    pub(super) attempts: u32,
    /// What it waited for last.
    pub(super) waited_for: Option<StartDelay>,
}

impl StartRecord {
    /// It is executed.
    pub(super) fn spawned(&mut self, now: Moment) {
        if self.ready.is_none() {
            self.spawned = Some(now);
            self.attempts = self.attempts.saturating_add(1);
        }
    }

    /// It is not executed after all.
    pub(super) fn taken_back(&mut self) {
        if self.ready.is_none() {
            self.spawned = None;
            self.attempts = self.attempts.saturating_sub(1);
        }
    }

    /// This was the last thing that it had to wait for.
    pub(super) fn passed(&mut self, delay: StartDelay) {
        if self.ready.is_none() {
            self.waited_for = Some(delay);
        }
    }
}

impl Engine {
    /// A subscriber: a start begins, or has come about.
    pub(super) fn record_start(&mut self, id: Option<ProcId>, announcement: &Announcement) {
        let (Some(id), Announcement::Transition { transition, .. }) = (id, announcement) else { return };
        let now = self.now;
        let Some(entry) = self.registry.get_mut(id) else { return };
        let record = &mut entry.start_record;
        match transition.to {
            ProcessState::Starting => {
                let request = entry.machine.last_request();
                let Some((_, by, at)) = request.filter(|(verb, ..)| matches!(verb, Verb::Start | Verb::Restart)) else {
                    return;
                };
                let is_first = record.asked.is_none() || record.ready.is_none() && !by.is_automatic();
                if is_first && record.asked != Some(*at) {
                    *record = StartRecord { asked: Some(*at), of_boot: by.is_boot(), ..StartRecord::default() };
                }
            }
            ProcessState::Running => record.ready = record.ready.or(Some(now)),
            ProcessState::Exited if matches!(transition.cause, Cause::Completed { .. }) => {
                record.ready = record.ready.or(Some(now));
            }
            ProcessState::Exited
            | ProcessState::Stopped
            | ProcessState::Backoff
            | ProcessState::Stopping
            | ProcessState::Fatal
            | ProcessState::Unhealthy => {}
        }
    }
}
