//! `start_limit`: at most so many processes are `STARTING` at one time; the others wait for a slot, in the order in which they came.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::start_record::StartDelay;
use super::{Engine, Entry};
use crate::api::ProcId;
use crate::process::{self, Generation, Moment, ProcessState};
use crate::util::sorted::SortedSet;

/// A program that is not executed for so long waits for a disk, and keeps nobody from starting. Before, the machine may
/// only be busy: with more starts it would be busier.
const DISK_IS_SILENT: Duration = Duration::from_secs(1);

/// Who is being started, and who waits for that. Empty where there is no limit.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct StartSlots {
    /// Those that are executed, or about to be, and not ready yet.
    taken: SortedSet<ProcId>,
    /// Those that wait for a slot, the first one first.
    waiting: VecDeque<ProcId>,
}

/// It is on its way from its spawn to `RUNNING`.
fn needs_slot(entry: &Entry, now: Moment) -> bool {
    let machine = &entry.machine;
    let is_silent = |since| now.saturating_duration_since(since) >= DISK_IS_SILENT;
    let waits_for_disk = machine.is_exec_pending() && machine.started_at().is_some_and(is_silent);
    machine.state() == ProcessState::Starting && !machine.is_waiting() && !waits_for_disk
}

impl Engine {
    fn has_free_slot(&self) -> bool {
        let limit = self.settings.start_limit as usize;
        limit == 0 || self.slots.taken.len() < limit
    }

    /// Nothing that the process needs is in the way of its start. `false`: it has to wait for a slot, and its machine
    /// is told so.
    pub(super) fn take_slot(&mut self, id: ProcId, generation: Generation) -> bool {
        // Where something is run before the program, it has its slot already when that has ended.
        if self.settings.start_limit == 0 || self.slots.taken.contains(&id) {
            return true;
        }
        if self.has_free_slot() {
            return self.slots.taken.insert(id);
        }
        self.feed(id, process::Event::Held { generation });
        if let Some(entry) = self.registry.get_mut(id).filter(|entry| !entry.queued) {
            entry.queued = true;
            self.slots.waiting.push_back(id);
        }
        false
    }

    /// The slot of a process that is no longer starting is free.
    pub(super) fn review_slot(&mut self, id: ProcId) {
        let needs_slot = |entry: &Entry| needs_slot(entry, self.now);
        if self.slots.taken.contains(&id) && !self.registry.get(id).is_some_and(needs_slot) {
            self.slots.taken.remove(&id);
        }
    }

    /// A process that waits for a disk gives its slot back.
    pub(super) fn review_slots(&mut self) {
        let taken: Vec<ProcId> = self.slots.taken.iter().copied().collect();
        taken.into_iter().for_each(|id| self.review_slot(id));
    }

    /// The disk has answered: it starts now, whether there is a slot for it or not, and the next ones wait for that.
    pub(super) fn take_slot_back(&mut self, id: ProcId) {
        let needs_slot = |entry: &Entry| needs_slot(entry, self.now);
        if self.settings.start_limit > 0 && self.registry.get(id).is_some_and(needs_slot) {
            self.slots.taken.insert(id);
        }
    }

    /// Gives free slots to those that have waited longest; `false`: there is nothing to give, or nobody waits.
    pub(super) fn fill_slots(&mut self) -> bool {
        let mut filled = false;
        while !self.slots.waiting.is_empty() && self.has_free_slot() && !self.is_ending() {
            let Some(id) = self.slots.waiting.pop_front() else { break };
            let Some(entry) = self.registry.get_mut(id) else { continue };
            entry.queued = false;
            // It may have been stopped, or something that it needs may have gone meanwhile.
            if entry.machine.is_waiting() && self.may_start(id) {
                filled = true;
                self.release(id, None, StartDelay::StartSlot);
            }
        }
        filled
    }
}
