//! Programs whose main process is another one than that which was spawned.

use std::sync::Arc;

use super::Engine;
use super::lifecycle::FIRST_PROBE;
use super::timers::TimerKey;
use crate::api::ProcId;
use crate::core::effect::{Effect, GroupLeft};
use crate::process::{self, Cause, Exit, Generation, NoMain};

impl Engine {
    pub(super) fn find_main(&mut self, id: ProcId, generation: Generation) {
        let Some(entry) = self.registry.get(id) else { return };
        let config = Arc::clone(entry.machine.run_config().unwrap_or(entry.machine.config()));
        self.effects.push_back(Effect::FindMain { id, generation, config });
    }

    /// The process that was spawned has ended with 0, as it should: it has put itself into the background. Its output
    /// goes on.
    pub(super) fn detached(&mut self, id: ProcId, generation: Generation, group: GroupLeft) {
        let Some(entry) = self.registry.get_mut(id) else { return };
        entry.detached = true;
        entry.probes = 0;
        let exit = Exit::Code(0);
        entry.machine.handle_event(self.now, process::Event::Exited { generation, exit, descendant: None });
        entry.probe_pause = Some(FIRST_PROBE);
        self.group_probed(id, generation, group);
        self.pump(id);
    }

    /// A process is the main one from now on, and its end is told.
    pub(super) fn main_found(&mut self, id: ProcId, generation: Generation, pid: i32) {
        let Some(entry) = self.registry.get_mut(id) else { return };
        if entry.machine.generation() != generation {
            return;
        }
        entry.detached = false;
        entry.probe_pause = None;
        self.timers.set(TimerKey::GroupProbe(id), None);
        self.handle_event(id, process::Event::MainFound { generation, pid });
    }

    pub(super) fn main_refused(&mut self, id: ProcId, generation: Generation, found: NoMain) {
        let entry = self.registry.get_mut(id).filter(|entry| entry.machine.generation() == generation);
        if entry.is_some_and(|entry| entry.machine.refuse_main(found)) {
            self.note(id, Cause::MainRefused { found });
        }
    }

    /// Its main process is no longer looked for, because it is to end.
    pub(super) fn leave_search(&mut self, id: ProcId) {
        let Some(entry) = self.registry.get(id) else { return };
        if entry.detached && !entry.machine.is_detached() {
            self.end_search(id, entry.machine.generation());
        }
    }

    /// No main process was found: the run is that of a leader that has ended.
    pub(super) fn end_search(&mut self, id: ProcId, generation: Generation) {
        if let Some(entry) = self.registry.get_mut(id)
            && std::mem::take(&mut entry.detached)
        {
            self.leader_ended(id, generation);
        }
    }
}
