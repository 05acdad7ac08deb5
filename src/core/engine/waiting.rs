//! Who waits for whom. A start is held while something that it depends on may still get there, and released by what
//! happens to that; it is given up, until further notice, where something that it requires can't get there any more.
//!
//! What follows from a change of one process for others is done at the end of the turn, one after the other: a chain of
//! ten thousand takes no stack.

use std::sync::Arc;

use super::graph::Link;
use super::start_record::StartDelay;
use super::{Engine, Entry};
use crate::api::{ProcId, Reached, Unreached};
use crate::models::{DependencyCondition, DependencyKind};
use crate::process::{
    self, Condition, Desired, Exit, Generation, Initiator, Machine, Moment, Prerequisite, ProcessState, Related,
    Relation,
};
use crate::util::sorted::SortedSet;

/// How many of those that are waited for are named.
const MAX_NAMED: usize = 3;

/// Whether a process may start.
enum Gate {
    Open,
    /// Something may still get there.
    Waits,
    /// This one is required and can't get there; `None`: something is required that is not in the configuration in
    /// force.
    Lost(Option<ProcId>),
}

/// Whether one dependency is met.
#[derive(Clone, Copy, PartialEq, Eq)]
enum DependencyStatus {
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
        DependencyCondition::Started => is_alive(machine) || machine.is_up(),
        DependencyCondition::Healthy => machine.state() == ProcessState::Running && machine.healthy() == Some(true),
        DependencyCondition::Completed => {
            let exit = machine.last_run().map(|run| run.exit);
            let succeeded = matches!(exit, Some(Exit::Code(code)) if entry.config().exitcodes.contains(&code));
            has_completed(machine)
                || (machine.state() == ProcessState::Exited && !machine.is_up_or_starting() && succeeded)
        }
    }
}

/// It is a oneshot that has done what it is for.
fn has_completed(machine: &Machine) -> bool {
    machine.state() == ProcessState::Exited && machine.last_run().is_some_and(|run| run.completed)
}

/// It has ended since then, or is about to. One that is new, and has not run since then, has not.
fn has_ended(machine: &Machine, since: Option<Moment>) -> bool {
    let has_run = machine.pid().is_some() || machine.last_run().is_some_and(|run| Some(run.ended) >= since);
    !is_alive(machine) && has_run
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
    fn dependency_status(&self, link: &Link) -> DependencyStatus {
        // One that has left the configuration was a member of a group, or may be absent: nobody needs it any more.
        let Some(entry) = self.registry.get(link.on).filter(|entry| !entry.leaving) else {
            return DependencyStatus::Holds;
        };
        match self.held.get(&link.on) {
            Some(held) if held.is_up_or_starting() => DependencyStatus::Coming,
            Some(_) => DependencyStatus::Lost,
            None if holds(entry, link.condition) => match self.awaited_beyond(link.on).is_some() {
                true => DependencyStatus::Coming,
                false => DependencyStatus::Holds,
            },
            None if entry.machine.is_up_or_starting() => DependencyStatus::Coming,
            None => DependencyStatus::Lost,
        }
    }

    /// What keeps this process from starting, at present: what it waits for, or what it has been given up for.
    pub(super) fn obstacles<'a>(&'a self, id: ProcId, machine: &Machine) -> impl Iterator<Item = &'a Link> {
        let (waits, lost) = (machine.is_waiting(), machine.awaits_dependency());
        self.graph.needs(id).iter().filter(move |link| match self.dependency_status(link) {
            DependencyStatus::Holds => false,
            DependencyStatus::Coming => waits || (lost && link.kind.is_hard()),
            DependencyStatus::Lost => lost && link.kind.is_hard(),
        })
    }

    /// Whether this dependency is as it has to be, and stays so.
    pub(super) fn is_met(&self, link: &Link) -> bool {
        self.dependency_status(link) == DependencyStatus::Holds
    }

    fn gate(&self, id: ProcId) -> Gate {
        // What it needs may have left the configuration with it, and is in nobody's way then; but it is about to be
        // stopped itself.
        if self.registry.get(id).is_some_and(|entry| entry.leaving) {
            return Gate::Waits;
        }
        let mut gate = Gate::Open;
        for link in self.graph.needs(id) {
            match self.dependency_status(link) {
                DependencyStatus::Holds => {}
                DependencyStatus::Coming => gate = Gate::Waits,
                DependencyStatus::Lost if link.kind.is_hard() => return Gate::Lost(Some(link.on)),
                DependencyStatus::Lost => {}
            }
        }
        match self.graph.absent(id) {
            Some(_) => Gate::Lost(None),
            None => gate,
        }
    }

    /// A machine wants its program executed.
    pub(super) fn spawn_or_hold(&mut self, id: ProcId, generation: Generation) {
        if self.may_begin(id, generation) {
            self.spawn(id, generation);
        }
    }

    /// Whether a start may go on; if not, the machine is told.
    pub(super) fn may_begin(&mut self, id: ProcId, generation: Generation) -> bool {
        // What is still up while others are stopped may end by itself; nothing starts any more.
        if self.is_ending() {
            self.feed(id, process::Event::Held { generation });
            return false;
        }
        match self.gate(id) {
            Gate::Open if !self.is_held_outside(id, generation) => return self.take_slot(id, generation),
            Gate::Open => self.feed(id, process::Event::Held { generation }),
            Gate::Waits => {
                self.end_watch(id);
                self.feed(id, process::Event::Held { generation });
            }
            Gate::Lost(on) => {
                self.end_watch(id);
                self.feed(id, process::Event::Held { generation });
                if let Some(event) = self.lost(id, on, generation) {
                    self.feed(id, event);
                }
            }
        }
        false
    }

    /// Whether a program that is about to be executed is not, because something that it needs has ended since that was
    /// decided: the ends of several processes are told one after the other.
    pub(super) fn take_spawn_back(&mut self, id: ProcId, generation: Generation) -> bool {
        let is_wanted = |machine: &Machine| machine.generation() == generation && machine.desired() == Desired::Up;
        let is_about_to_start = self.registry.get(id).is_some_and(|entry| is_wanted(&entry.machine));
        if !is_about_to_start || self.graph.needs(id).is_empty() || matches!(self.gate(id), Gate::Open) {
            return false;
        }
        if let Some(entry) = self.registry.get_mut(id) {
            entry.start_record.taken_back();
        }
        // It finds the gate closed and is held, or given up.
        self.may_begin(id, generation);
        self.pump(id);
        true
    }

    /// Tells a machine something while what it wants done is being done.
    pub(super) fn feed(&mut self, id: ProcId, event: process::Event) {
        if let Some(entry) = self.registry.get_mut(id) {
            entry.machine.handle_event(self.now, event);
        }
    }

    /// What a machine is told that waits in vain for this one.
    fn lost(&self, id: ProcId, on: Option<ProcId>, generation: Generation) -> Option<process::Event> {
        let (on, state) = match on {
            Some(on) => {
                let entry = self.registry.get(on)?;
                (entry.name().into(), Some(entry.machine.state()))
            }
            None => (self.graph.absent(id)?.into(), None),
        };
        Some(process::Event::DependencyLost { generation, on, state })
    }

    /// Something has happened to this process.
    pub(super) fn has_moved(&mut self, id: ProcId) {
        let matters = !self.graph.is_empty() || self.is_held(id);
        if matters && self.moved.last() != Some(&id) {
            self.moved.push(id);
        }
    }

    /// Does what follows for others from what has happened to processes in this turn.
    pub(super) fn review_moved(&mut self) {
        let mut next = 0;
        while let Some(id) = self.moved.get(next).copied() {
            next += 1;
            // First: what follows from that for others is looked at here, too.
            self.perform_held(id);
            self.review_dependants(id);
            self.perform_held_needs(id);
            self.report_lost_dependency(id);
            if next >= MAX_MOVED_KEPT {
                self.moved.drain(..next);
                next = 0;
            }
        }
        self.moved.clear();
    }

    /// Something has happened to this process: those that depend on it may go on, or have to follow.
    fn review_dependants(&mut self, id: ProcId) {
        if self.is_ending() {
            return;
        }
        let mut passed: SortedSet<ProcId> = SortedSet::default();
        let mut open = vec![id];
        while let Some(id) = open.pop() {
            for place in self.graph.dependant_places(id) {
                let Some(link) = self.graph.dependant_at(place) else { continue };
                self.review_dependant(&link);
                if self.is_milestone(link.from) && passed.insert(link.from) {
                    open.push(link.from);
                }
            }
        }
    }

    /// What this process needs may have waited for its end.
    fn perform_held_needs(&mut self, id: ProcId) {
        if self.held.len() == 0 {
            return;
        }
        for on in self.needs_beyond(id) {
            self.perform_held(on);
        }
    }

    /// Something that this process depends on has changed.
    fn review_dependant(&mut self, link: &Link) {
        let Some(entry) = self.registry.get(link.from) else { return };
        let machine = &entry.machine;
        let id = link.from;
        if machine.is_waiting() || machine.awaits_dependency() {
            // As long as this one is on its way, nothing that the others do makes a difference.
            if self.dependency_status(link) == DependencyStatus::Coming {
                return;
            }
            match self.gate(id) {
                Gate::Open => {
                    let on = Some(self.name_of(link.on));
                    self.release(id, on, StartDelay::Process(link.on));
                }
                Gate::Lost(on) => self.give_up_waiting(id, on),
                Gate::Waits => {}
            }
        } else if link.kind == DependencyKind::Binds && is_alive(machine) && !self.held.contains_key(&id) {
            let is_gone = self.registry.get(link.on).is_none_or(|on| has_ended(&on.machine, machine.started_at()));
            if is_gone && !self.is_met(link) && !self.held.contains_key(&link.on) {
                let name = self.name_of(link.on).as_ref().into();
                let by = Initiator::Related(Arc::new(Related { name, relation: Relation::BoundTo, by: None }));
                self.start_cut_short(id, link.on);
                self.handle_event(id, process::Event::RestartRequested { force: false, by });
            }
        }
    }

    /// Nothing that it needs is in the way.
    pub(super) fn may_start(&self, id: ProcId) -> bool {
        matches!(self.gate(id), Gate::Open)
    }

    /// What a process has waited for is so: it starts.
    pub(super) fn release(&mut self, id: ProcId, on: Option<Arc<str>>, hurdle: StartDelay) {
        let Some(entry) = self.registry.get_mut(id) else { return };
        entry.start_record.passed(hurdle);
        let generation = entry.machine.generation();
        self.handle_event(id, process::Event::Released { generation, on });
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
                    self.handle_event(id, process::Event::Released { generation, on: None });
                }
                Gate::Lost(on) => self.give_up_waiting(id, on),
                Gate::Waits => {}
            }
        }
    }

    /// One that waits does so in vain. One that knows that already is told nothing: those that need it would be told of
    /// it again, and those that need them, once for each way there.
    fn give_up_waiting(&mut self, id: ProcId, on: Option<ProcId>) {
        let is_concerned = |machine: &&Machine| machine.is_waiting() || machine.awaits_dependency();
        let Some(machine) = self.registry.get(id).map(|entry| &entry.machine).filter(is_concerned) else { return };
        let Some(event) = self.lost(id, on, machine.generation()) else { return };
        if let process::Event::DependencyLost { on, state, .. } = &event
            && machine.lost_dependency() == Some((on, *state))
        {
            return;
        }
        self.handle_event(id, event);
    }

    fn name_of(&self, id: ProcId) -> Arc<str> {
        self.registry.get(id).map_or("", Entry::name).into()
    }

    /// Whoever waits, directly or not, for something that has failed: those who asked for its start are told.
    fn report_lost_dependency(&mut self, id: ProcId) {
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
            for place in self.graph.dependant_places(id) {
                let Some(link) = self.graph.dependant_at(place) else { continue };
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
                let link = self.what_is_in_the_way(link);
                let Some(entry) = self.registry.get(link.on).filter(|_| seen.insert(link.on)) else { continue };
                match entry.machine.state() {
                    // The reason is better with the last line of output, which is on its way.
                    ProcessState::Backoff | ProcessState::Exited | ProcessState::Fatal if entry.draining => {}
                    // It has not failed: it is about to be restarted, a completed oneshot as well, when those that need
                    // it have gone.
                    ProcessState::Backoff | ProcessState::Exited | ProcessState::Fatal if self.is_held(link.on) => {}
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
        for link in self.graph.needs(id).iter().filter(|link| self.dependency_status(link) == DependencyStatus::Coming)
        {
            let link = self.what_is_in_the_way(link);
            let Some(entry) = self.registry.get(link.on) else { continue };
            if on.len() == MAX_NAMED {
                more += 1;
                continue;
            }
            on.push(Prerequisite::Process {
                name: entry.name().into(),
                condition: link.condition,
                state: entry.machine.state(),
                retry: entry.machine.retry(),
            });
        }
        for awaited in self.awaited_outside(id) {
            if on.len() == MAX_NAMED {
                more += 1;
            } else {
                on.push(awaited);
            }
        }
        if on.is_empty() && self.may_start(id) {
            on.push(Prerequisite::StartSlot);
        }
        Condition::Waiting { on, more }
    }
}

/// How many processed entries the list of changed processes may keep.
const MAX_MOVED_KEPT: usize = 1024;
