//! Runs that have lived for as long as they may (`max_lifetime`), or whose files have changed: they are restarted in
//! order.
//!
//! What must never happen
//!
//! - Two instances of one program that are away at the same time because of this: the next one goes when the one before is
//!   `RUNNING` again.
//! - An instance that goes while another one can't come back: then it lives on, how old it may become. One that somebody has
//!   stopped keeps nobody waiting.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::timers::TimerKey;
use super::{Engine, Entry};
use crate::api::{Act, Announcement, ProcId};
use crate::process::{Initiator, ProcessState, RestartReason};

/// Runs that are to be renewed, and wait until another instance is back; who waits for the longest time is first.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Lifetimes {
    waiting: Vec<(ProcId, Arc<RestartReason>)>,
}

/// The section that it is an instance of, where that has several.
fn section_of(entry: &Entry) -> Option<&str> {
    let config = entry.config();
    (config.numprocs > 1).then(|| config.name.split(':').next().unwrap_or(&config.name))
}

/// It is as it has to be for another instance to go: it runs, or is down because somebody wants that.
fn is_settled(entry: &Entry) -> bool {
    match entry.machine.state() {
        ProcessState::Running => true,
        ProcessState::Stopped | ProcessState::Exited => !entry.machine.is_up_or_starting(),
        ProcessState::Starting
        | ProcessState::Backoff
        | ProcessState::Stopping
        | ProcessState::Fatal
        | ProcessState::Unhealthy => false,
    }
}

impl Engine {
    /// A subscriber: a lifetime begins with `RUNNING`, and ends with the run.
    pub(super) fn watch_lifetime(&mut self, id: Option<ProcId>, announcement: &Announcement) {
        let (Some(id), Announcement::Transition { transition, .. }) = (id, announcement) else { return };
        match transition.to {
            ProcessState::Running if transition.from == ProcessState::Starting => {
                let over = self.registry.get_mut(id).and_then(|entry| entry.machine.draw_lifetime());
                if over.is_some() {
                    self.timers.set(TimerKey::Lifetime(id), over);
                }
            }
            ProcessState::Running | ProcessState::Unhealthy => {}
            ProcessState::Stopped
            | ProcessState::Starting
            | ProcessState::Backoff
            | ProcessState::Stopping
            | ProcessState::Exited
            | ProcessState::Fatal => self.end_lifetime(id),
        }
        self.review_lifetimes(id);
    }

    fn end_lifetime(&mut self, id: ProcId) {
        self.timers.set(TimerKey::Lifetime(id), None);
        self.lifetimes.waiting.retain(|(waiting, _)| *waiting != id);
    }

    /// A process has left the configuration: nobody waits for it.
    pub(super) fn forget_lifetime(&mut self, id: ProcId) {
        self.end_lifetime(id);
        self.review_lifetimes(id);
    }

    /// Something has happened to this process: of its instances, the one that waits for the longest time may go by now.
    /// It is looked at when all of this turn is done.
    pub(super) fn review_lifetimes(&mut self, id: ProcId) {
        if self.lifetimes.waiting.is_empty() {
            return;
        }
        let Some(entry) = self.registry.get(id) else { return };
        let first = match section_of(entry) {
            Some(_) => self.first_waiting_of(entry),
            None => self.lifetimes.waiting.iter().map(|(waiting, _)| *waiting).find(|waiting| *waiting == id),
        };
        if let Some(first) = first {
            self.timers.set(TimerKey::Lifetime(first), Some(self.now));
        }
    }

    /// The instance of the same section that has waited for the longest time.
    fn first_waiting_of(&self, entry: &Entry) -> Option<ProcId> {
        let section = section_of(entry)?;
        let is_sibling = |id: &ProcId| self.registry.get(*id).and_then(|other| section_of(other)) == Some(section);
        self.lifetimes.waiting.iter().map(|(id, _)| *id).find(is_sibling)
    }

    /// A run has lived for as long as it may, or the turn may have come to it.
    pub(super) fn lifetime_over(&mut self, id: ProcId) {
        let known = self.lifetimes.waiting.iter().find(|(waiting, _)| *waiting == id);
        let reason = match known {
            Some((_, reason)) => Arc::clone(reason),
            None => {
                let run = self.registry.get(id).and_then(|entry| entry.machine.run_config());
                let seconds = run.map_or(0, |run| run.restart.max_lifetime);
                Arc::new(RestartReason::MaxLifetime { seconds })
            }
        };
        self.renew(id, &reason);
    }

    /// Restarts a run, dependants first, when its turn has come.
    pub(super) fn renew(&mut self, id: ProcId, reason: &Arc<RestartReason>) {
        let Some(entry) = self.registry.get(id).filter(|entry| entry.machine.pid().is_some()) else { return };
        if self.is_ending() || self.is_held(id) || entry.machine.state() == ProcessState::Stopping {
            return;
        }
        let others = || self.registry.present().filter(|(other, _)| *other != id);
        let may_go = match section_of(entry) {
            None => true,
            Some(section) => others()
                .filter(|(_, other)| section_of(other) == Some(section))
                .all(|(other, entry)| is_settled(entry) && !self.is_held(other)),
        };
        let is_first = self.first_waiting_of(entry).is_none_or(|first| first == id);
        // One that is paused is left alone until it goes on.
        if may_go && is_first && !entry.machine.is_paused() {
            let by = Initiator::Policy(Arc::clone(reason));
            self.act_in_order(Act::Restart { force: false }, &[id], &by, false);
        } else if !self.lifetimes.waiting.iter().any(|(waiting, _)| *waiting == id) {
            self.lifetimes.waiting.push((id, Arc::clone(reason)));
        }
    }
}
