//! What follows when a program is given up (`on_fatal`), but for the daemon's own end: see
//! [`exit_policy`](super::exit_policy).

use std::sync::Arc;

use super::Engine;
use crate::api::{Announcement, ProcId};
use crate::models::Hook;
use crate::process::ProcessState;

impl Engine {
    /// A subscriber. A process that only lacks a dependency is not given up, and one that will be retried is not given
    /// up yet.
    pub(super) fn act_on_fatal(&mut self, id: Option<ProcId>, announcement: &Announcement) {
        let (Some(id), Announcement::Transition { transition, .. }) = (id, announcement) else { return };
        if transition.to != ProcessState::Fatal || self.is_ending() {
            return;
        }
        let Some(entry) = self.registry.get(id).filter(|entry| !entry.leaving && entry.machine.acts_on_fatal()) else {
            return;
        };
        let config = Arc::clone(entry.config());
        match config.restart.on_fatal.power().filter(|_| self.power_is_ours()) {
            Some(power) => self.turn_off(power),
            // One that runs still does what this one would.
            None if self.tasks.runs(id, Hook::OnFatal) => {}
            None if Hook::OnFatal.of(&config).is_empty() => {}
            None => self.run_hook(id, entry.machine.generation(), Hook::OnFatal, config),
        }
    }
}
