//! What has happened to each process since the daemon began, in numbers: for those who watch many of them for long.

use super::Engine;
use crate::api::{Announcement, ProcId, PublicEvent};
#[cfg(feature = "http")]
use crate::core::effect::MetricsJob;
#[cfg(feature = "http")]
use crate::process::Initiator;
use crate::process::{Exit, ProcessState};

const SIGKILL: u8 = 9;

impl Engine {
    /// Something was announced: it is counted, if it is one of the things that are.
    pub(super) fn count(&mut self, id: Option<ProcId>, announcement: &Announcement) {
        let Some(entry) = id.and_then(|id| self.registry.get_mut(id)) else { return };
        match announcement.event() {
            Some(PublicEvent::Health { healthy: false, .. }) => entry.counts.failed_checks += 1,
            Some(PublicEvent::Transition { .. }) => {
                // The machine counts from the last time that somebody asked for a start.
                let now = entry.machine.restarts();
                let new = now.checked_sub(entry.counted_restarts).unwrap_or(now);
                entry.counts.restarts += new;
                entry.counted_restarts = now;
            }
            Some(PublicEvent::Health { healthy: true, .. } | PublicEvent::Readiness { .. }) | None => {}
        }
    }

    /// What is to be told of what was counted.
    #[cfg(feature = "http")]
    pub(super) fn metrics_job(&self, by: &Initiator) -> MetricsJob {
        let visibility = self.visibility(by);
        let seen: Vec<ProcId> =
            self.registry.iter().filter(|(_, entry)| visibility.can_see(entry)).map(|(id, _)| id).collect();
        let rows = self.rows(None, 0, &visibility).unwrap_or_default();
        MetricsJob {
            rows: seen.into_iter().zip(rows).collect(),
            killed: self.killed(),
            began: self.began,
            now: self.now,
        }
    }

    /// How often SIGKILL has ended each program that it has ended.
    #[cfg(feature = "http")]
    fn killed(&self) -> Vec<(String, u64)> {
        let killed = self.registry.iter().filter(|(_, entry)| entry.counts.killed > 0);
        killed.map(|(_, entry)| (entry.config().name.clone(), entry.counts.killed)).collect()
    }

    /// Output that was lost is lost for ever.
    pub(super) fn count_lost_output(&mut self, id: ProcId, bytes: u64) {
        if let Some(entry) = self.registry.get_mut(id) {
            entry.counts.lost_output += bytes;
        }
    }

    /// A run has ended.
    pub(super) fn count_exit(&mut self, id: ProcId, exit: Exit) {
        let Some(entry) = self.registry.get_mut(id) else { return };
        match exit {
            Exit::Code(_) => entry.counts.exits += 1,
            Exit::Signal(signal) => {
                entry.counts.deaths += 1;
                let is_stopped = entry.machine.state() == ProcessState::Stopping;
                entry.counts.killed += u64::from(signal == SIGKILL && !is_stopped);
            }
        }
    }
}
