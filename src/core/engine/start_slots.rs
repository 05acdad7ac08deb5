//! `start_limit`: at most so many processes are `STARTING` at one time; the others wait for a slot, in the order in which they came.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::start_record::Hurdle;
use super::{Engine, Entry};
use crate::api::ProcId;
use crate::process::{self, Generation, ProcessState};
use crate::util::sorted::SortedSet;

/// Who is being started, and who waits for that. Empty where there is no limit.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct StartSlots {
    /// Those that are executed, or about to be, and not ready yet.
    taken: SortedSet<ProcId>,
    /// Those that wait for a slot, the first one first.
    waiting: VecDeque<ProcId>,
}

/// It is on its way from its execution to `RUNNING`.
fn needs_slot(entry: &Entry) -> bool {
    // What waits for a disk keeps nobody from starting.
    entry.machine.state() == ProcessState::Starting && !entry.machine.is_waiting() && !entry.machine.is_exec_pending()
}

impl Engine {
    fn has_free_slot(&self) -> bool {
        let limit = self.settings.start_limit as usize;
        limit == 0 || self.slots.taken.len() < limit
    }

    /// Nothing that the process needs is in the way of its start. `false`: it has to wait for a slot, and its machine is told so.
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
        let starts = |entry: &Entry| needs_slot(entry);
        if self.slots.taken.contains(&id) && !self.registry.get(id).is_some_and(starts) {
            self.slots.taken.remove(&id);
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
                self.release(id, None, Hurdle::StartSlot);
            }
        }
        filled
    }
}
