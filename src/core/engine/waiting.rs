//! Who waits for whom. A start is held while something that it depends on may still get there, and released by what happens
//! to that; it is given up, until further notice, where something that it requires can't get there any more.
//!
//! What follows from a change of one process for others is done at the end of the turn, one after the other: a chain of ten
//! thousand takes no stack.

use std::sync::Arc;

use super::graph::Link;
use super::{Engine, Entry};
use crate::api::{ProcId, Reached, Unreached};
use crate::models::{DependencyCondition, DependencyKind};
use crate::process::{self, Awaited, Condition, Exit, Generation, Initiator, Machine, ProcessState, Related, Relation};
use crate::util::sorted::SortedSet;

/// So many of those that are waited for are named.
const MOST_NAMED: usize = 3;

/// Whether a process may start.
enum Gate {
    Open,
    /// Something may still get there.
    Waits,
    /// This one is required and can't get there.
    Lost(ProcId),
}

/// How things stand with one dependency.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Holds,
    /// It may still get there by itself.
    Coming,
    /// It can't, unless somebody does something.
    Lost,
}

/// Whether the condition holds of this process.
pub(super) fn holds(entry: &Entry, condition: DependencyCondition) -> bool {
    let machine = &entry.machine;
    match condition {
        DependencyCondition::Ready => machine.state() == ProcessState::Running || has_completed(machine),
        DependencyCondition::Started => is_alive(machine),
        DependencyCondition::Healthy => machine.state() == ProcessState::Running && machine.healthy() == Some(true),
        DependencyCondition::Completed => {
            let exit = machine.last_run().map(|run| run.exit);
            let succeeded = matches!(exit, Some(Exit::Code(code)) if entry.config().exitcodes.contains(&code));
            has_completed(machine) || (machine.state() == ProcessState::Exited && !machine.comes_up() && succeeded)
        }
    }
}

/// It is a oneshot that has done what it is for.
fn has_completed(machine: &Machine) -> bool {
    machine.state() == ProcessState::Exited && machine.last_run().is_some_and(|run| run.completed)
}

/// Its process runs, and is not on its way out.
fn is_alive(machine: &Machine) -> bool {
    match machine.state() {
        ProcessState::Starting | ProcessState::Running | ProcessState::Unhealthy => machine.pid().is_some(),
        ProcessState::Stopped
        | ProcessState::Backoff
        | ProcessState::Stopping
        | ProcessState::Exited
        | ProcessState::Fatal => false,
    }
}

impl Engine {
    fn standing(&self, link: &Link) -> Standing {
        let Some(entry) = self.registry.get(link.on) else { return Standing::Lost };
        match self.held.get(&link.on) {
            Some(held) if held.comes_up() => Standing::Coming,
            Some(_) => Standing::Lost,
            None if holds(entry, link.condition) => Standing::Holds,
            None if entry.machine.comes_up() => Standing::Coming,
            None => Standing::Lost,
        }
    }

    /// Whether this dependency is as it has to be, and stays so.
    pub(super) fn is_met(&self, link: &Link) -> bool {
        self.standing(link) == Standing::Holds
    }

    fn gate(&self, id: ProcId) -> Gate {
        let mut gate = Gate::Open;
        for link in self.graph.needs(id) {
            match self.standing(link) {
                Standing::Holds => {}
                Standing::Coming => gate = Gate::Waits,
                Standing::Lost if link.kind.is_hard() => return Gate::Lost(link.on),
                Standing::Lost => {}
            }
        }
        gate
    }

    /// A machine wants its program executed.
    pub(super) fn spawn_or_hold(&mut self, id: ProcId, generation: Generation) {
        // What is still up while others are stopped may end by itself; nothing starts any more.
        if self.is_ending() {
            return self.feed(id, process::Event::Held { generation });
        }
        match self.gate(id) {
            Gate::Open => self.spawn(id, generation),
            Gate::Waits => self.feed(id, process::Event::Held { generation }),
            Gate::Lost(on) => {
                self.feed(id, process::Event::Held { generation });
                if let Some(event) = self.lost(on, generation) {
                    self.feed(id, event);
                }
            }
        }
    }

    /// Tells a machine something while what it wants done is being done.
    fn feed(&mut self, id: ProcId, event: process::Event) {
        if let Some(entry) = self.registry.get_mut(id) {
            entry.machine.handle_event(self.now, event);
        }
    }

    fn lost(&self, on: ProcId, generation: Generation) -> Option<process::Event> {
        let entry = self.registry.get(on)?;
        let state = entry.machine.state();
        Some(process::Event::DependencyLost { generation, on: entry.name().into(), state })
    }

    /// Something has happened to this process.
    pub(super) fn has_moved(&mut self, id: ProcId) {
        if !self.graph.is_empty() && self.moved.last() != Some(&id) {
            self.moved.push(id);
        }
    }

    /// Does what follows for others from what has happened to processes in this turn.
    pub(super) fn review_moved(&mut self) {
        let mut next = 0;
        while let Some(id) = self.moved.get(next).copied() {
            next += 1;
            for link in self.graph.needed_by(id).to_vec() {
                self.review_dependant(&link);
            }
            for link in self.graph.needs(id).to_vec() {
                self.perform_held(link.on);
            }
            self.tell_of_failure(id);
            if next >= MOST_MOVED_KEPT {
                self.moved.drain(..next);
                next = 0;
            }
        }
        self.moved.clear();
    }

    /// Something that this process depends on has changed.
    fn review_dependant(&mut self, link: &Link) {
        let Some(entry) = self.registry.get(link.from) else { return };
        let machine = &entry.machine;
        let (generation, id) = (machine.generation(), link.from);
        if self.is_ending() {
            return;
        }
        if machine.is_waiting() || machine.awaits_dependency() {
            match self.gate(id) {
                Gate::Open => {
                    let on = Some(self.name_of(link.on));
                    self.tell(id, process::Event::Released { generation, on });
                }
                Gate::Lost(on) => self.give_up_waiting(id, on),
                Gate::Waits => {}
            }
        } else if link.kind == DependencyKind::Binds && is_alive(machine) && !self.held.contains_key(&id) {
            let is_gone = self.registry.get(link.on).is_none_or(|on| !is_alive(&on.machine));
            if is_gone && !self.is_met(link) && !self.held.contains_key(&link.on) {
                let name = self.name_of(link.on).as_ref().into();
                let by = Initiator::Related(Arc::new(Related { name, relation: Relation::BoundTo, by: None }));
                self.tell(id, process::Event::RestartRequested { force: false, by });
            }
        }
    }

    /// After a change of the configuration: whoever waits may do so for something else now.
    pub(super) fn review_waiting(&mut self) {
        let waiting = |entry: &Entry| entry.machine.is_waiting() || entry.machine.awaits_dependency();
        let ids: Vec<ProcId> = self.registry.iter().filter(|(_, entry)| waiting(entry)).map(|(id, _)| id).collect();
        for id in ids {
            let Some(entry) = self.registry.get(id) else { continue };
            let generation = entry.machine.generation();
            match self.gate(id) {
                Gate::Open => {
                    self.tell(id, process::Event::Released { generation, on: None });
                }
                Gate::Lost(on) => self.give_up_waiting(id, on),
                Gate::Waits => {}
            }
        }
    }

    /// One that waits does so in vain. (One that has been told so already is told nothing: others would be told again of it.)
    fn give_up_waiting(&mut self, id: ProcId, on: ProcId) {
        let Some(machine) = self.registry.get(id).map(|entry| &entry.machine).filter(|machine| machine.is_waiting())
        else {
            return;
        };
        if let Some(event) = self.lost(on, machine.generation()) {
            self.tell(id, event);
        }
    }

    fn name_of(&self, id: ProcId) -> Arc<str> {
        self.registry.get(id).map_or("", Entry::name).into()
    }

    /// Whoever waits, directly or not, for something that has failed: those who asked for its start are told.
    fn tell_of_failure(&mut self, id: ProcId) {
        let has_failed = self.registry.get(id).is_some_and(|entry| match entry.machine.state() {
            ProcessState::Backoff | ProcessState::Exited | ProcessState::Fatal | ProcessState::Stopped => true,
            ProcessState::Starting | ProcessState::Running | ProcessState::Stopping | ProcessState::Unhealthy => false,
        });
        if !has_failed || self.waiters.is_empty() {
            return;
        }
        let mut seen = SortedSet::default();
        let mut open = vec![id];
        while let Some(id) = open.pop() {
            for link in self.graph.needed_by(id).to_vec() {
                let waits = self.registry.get(link.from).is_some_and(|entry| entry.machine.is_waiting());
                if waits && seen.insert(link.from) {
                    self.review_waiters(link.from);
                    open.push(link.from);
                }
            }
        }
    }

    /// What a process that waits is told to wait for, where that has failed: the first such thing on the way.
    pub(super) fn blocker(&self, id: ProcId) -> Option<Unreached> {
        let mut seen = SortedSet::default();
        let mut open = vec![id];
        while let Some(id) = open.pop() {
            for link in self.graph.needs(id).iter().filter(|link| link.kind.is_hard() && !self.is_met(link)) {
                let Some(entry) = self.registry.get(link.on).filter(|_| seen.insert(link.on)) else { continue };
                match entry.machine.state() {
                    // The reason is better with the last line of output, which is on its way.
                    ProcessState::Backoff | ProcessState::Exited | ProcessState::Fatal if entry.draining => {}
                    ProcessState::Backoff | ProcessState::Exited | ProcessState::Fatal => {
                        let reached: Box<Reached> = entry.reached(self.now);
                        return Some(Unreached::WaitsFor { on: entry.name().to_owned(), reached });
                    }
                    ProcessState::Starting => open.push(link.on),
                    ProcessState::Stopped
                    | ProcessState::Running
                    | ProcessState::Stopping
                    | ProcessState::Unhealthy => {}
                }
            }
        }
        None
    }

    /// What there is to tell about a process; of one that waits, for what.
    pub(super) fn condition_of(&self, id: ProcId, entry: &Entry) -> Condition {
        if !entry.machine.is_waiting() {
            return entry.machine.condition();
        }
        let mut on = Vec::new();
        let mut more = 0;
        for link in self.graph.needs(id).iter().filter(|link| self.standing(link) == Standing::Coming) {
            let Some(entry) = self.registry.get(link.on) else { continue };
            if on.len() == MOST_NAMED {
                more += 1;
                continue;
            }
            let name = match link.condition {
                DependencyCondition::Ready => entry.name().into(),
                condition => format!("{}:{}", entry.name(), condition.as_str()).into(),
            };
            on.push(Awaited { on: name, state: entry.machine.state(), retry: entry.machine.retry() });
        }
        Condition::Waiting { on, more }
    }
}

/// Processes that have changed, of which the list forgets those that are done.
const MOST_MOVED_KEPT: usize = 1024;
