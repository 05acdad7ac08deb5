//! Commands on processes and what goes with them: a start begins with what is needed, a stop or restart with those that
//! need what is stopped. A command that has to wait for the end of others is held, and done when they have gone.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Engine, Entry};
use crate::api::{Act, ProcId};
use crate::process::{self, Desired, Initiator, ProcessState, Related, Relation};
use crate::util::sort::{sort, sort_by};
use crate::util::sorted::SortedSet;

/// A stop or restart that waits for the end of dependants.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct HeldCommand {
    act: Act,
    by: Initiator,
    /// Those that need the process are left alone.
    only: bool,
}

impl HeldCommand {
    /// The process is up afterwards.
    pub(super) fn is_up_or_starting(&self) -> bool {
        match self.act {
            Act::Restart { .. } | Act::Start => true,
            Act::Stop | Act::Kill => false,
        }
    }
}

/// Whom a command reaches beside those that it names.
pub(super) type Dependants = Vec<ProcId>;

fn related(name: &str, relation: Relation, by: &Initiator) -> Initiator {
    Initiator::Related(Arc::new(Related { name: name.into(), relation, by: Some(by.clone()) }))
}

impl Engine {
    /// Starts these, and before them what they need, as far as that is down.
    pub(super) fn start_in_order(&mut self, ids: &[ProcId], by: &Initiator) {
        let mut starts: Vec<(ProcId, Initiator)> = Vec::new();
        let mut seen: SortedSet<ProcId> = SortedSet::default();
        seen.extend(ids.iter().copied());
        for &id in ids {
            starts.push((id, by.clone()));
            self.add_needs(id, by, &mut seen, &mut starts);
        }
        if !self.graph.is_empty() {
            sort_by(&mut starts, |(one, _), (other, _)| self.graph.depth(*one).cmp(&self.graph.depth(*other)));
        }
        for (id, by) in starts {
            match self.held.get_mut(&id) {
                // It is about to be stopped: it comes back after that.
                Some(held) => *held = HeldCommand { act: Act::Restart { force: false }, by, only: held.only },
                None => self.handle_event(id, process::Event::StartRequested { by }),
            }
        }
    }

    /// Adds what a process needs, directly or not, and what is not on its way by itself.
    fn add_needs(
        &self,
        id: ProcId,
        by: &Initiator,
        seen: &mut SortedSet<ProcId>,
        starts: &mut Vec<(ProcId, Initiator)>,
    ) {
        let mut passed: SortedSet<ProcId> = SortedSet::default();
        let mut open = vec![id];
        while let Some(id) = open.pop() {
            let Some(entry) = self.registry.get(id) else { continue };
            if entry.machine.pid().is_some() && entry.machine.desired() == Desired::Up && !self.held.contains_key(&id) {
                continue;
            }
            for link in self.graph.needs(id).iter().filter(|link| link.kind.starts()) {
                if self.is_milestone(link.on) && !self.held.contains_key(&link.on) {
                    if passed.insert(link.on) {
                        open.push(link.on);
                    }
                    continue;
                }
                if self.is_met(link) {
                    continue;
                }
                let Some(on) = self.registry.get(link.on) else { continue };
                let is_held = self.held.contains_key(&link.on);
                if !on.leaving && !on.disabled && (!on.machine.is_up_or_starting() || is_held) && seen.insert(link.on) {
                    starts.push((link.on, related(entry.name(), Relation::NeededBy, by)));
                    open.push(link.on);
                }
            }
        }
    }

    /// Stops, kills or restarts these; before them, unless `only` they are meant, those that need them and are up.
    /// Returns the latter.
    pub(super) fn act_in_order(&mut self, act: Act, ids: &[ProcId], by: &Initiator, only: bool) -> Dependants {
        let mut dependants = Vec::new();
        if !only {
            self.add_dependants(ids, &mut dependants);
        }
        let its = match act {
            Act::Restart { .. } => Act::Restart { force: false },
            Act::Stop | Act::Kill | Act::Start => Act::Stop,
        };
        let mut all: Vec<(ProcId, Act, Initiator)> = ids.iter().map(|id| (*id, act, by.clone())).collect();
        for (id, on) in &dependants {
            let name = self.registry.get(*on).map_or("", Entry::name);
            // One that has left the configuration does not come back.
            let leaves = self.registry.get(*id).is_some_and(|entry| entry.leaving);
            all.push((*id, if leaves { Act::Stop } else { its }, related(name, Relation::Needs, by)));
        }
        if !self.graph.is_empty() {
            sort_by(&mut all, |(one, ..), (other, ..)| self.graph.depth(*other).cmp(&self.graph.depth(*one)));
        }
        // All of them first: nothing is to start meanwhile because of what is still up.
        for (id, act, by) in &all {
            self.held.insert(*id, HeldCommand { act: *act, by: by.clone(), only });
            self.has_moved(*id);
        }
        // What these need comes up with them, after those that are about to stop.
        if let Act::Restart { .. } = act {
            // What an earlier stop only holds back comes up again; what is held to come up does so anyway.
            let mut seen: SortedSet<ProcId> = SortedSet::default();
            seen.extend(self.held.iter().filter(|(_, held)| held.is_up_or_starting()).map(|(id, _)| *id));
            let mut starts = Vec::new();
            ids.iter().for_each(|id| self.add_needs(*id, by, &mut seen, &mut starts));
            starts.into_iter().for_each(|(id, by)| self.start_in_order(&[id], &by));
        }
        for (id, act, by) in all {
            match act {
                Act::Kill => {
                    self.held.remove(&id);
                    self.do_act(act, id, &by);
                }
                Act::Start | Act::Stop | Act::Restart { .. } => self.perform_held(id),
            }
        }
        let mut dependants: Dependants = dependants.into_iter().map(|(id, _)| id).collect();
        sort(&mut dependants);
        dependants
    }

    /// Those that require these or are bound to them, directly or not, and are up or on their way; each with the one
    /// because of which it is found.
    fn add_dependants(&self, ids: &[ProcId], found: &mut Vec<(ProcId, ProcId)>) {
        let mut seen: SortedSet<ProcId> = SortedSet::default();
        seen.extend(ids.iter().copied());
        // Beside each, what is stopped because of which its dependants are found: not a milestone that lies between.
        let mut open: Vec<(ProcId, ProcId)> = ids.iter().map(|id| (*id, *id)).collect();
        while let Some((id, on)) = open.pop() {
            for link in self.graph.needed_by(id).iter().filter(|link| link.kind.is_hard()) {
                let is_up = self.registry.get(link.from).is_some_and(|entry| {
                    let machine = &entry.machine;
                    machine.is_up_or_starting()
                        && (machine.state() != ProcessState::Stopping || machine.desired() == Desired::Up)
                });
                if is_up && seen.insert(link.from) {
                    found.push((link.from, on));
                    open.push((link.from, link.from));
                } else if self.is_milestone(link.from) && seen.insert(link.from) {
                    open.push((link.from, on));
                }
            }
        }
    }

    fn is_being_spawned(&self, id: ProcId) -> bool {
        self.registry.get(id).is_some_and(|entry| entry.machine.is_being_spawned())
    }

    fn has_run(&self, id: ProcId) -> bool {
        self.registry.get(id).is_some_and(|entry| entry.machine.is_engaged())
    }

    /// Those that depend on it, are being stopped or cleaned up, and have not gone yet.
    pub(super) fn dependants_on_their_way(&self, id: ProcId) -> impl Iterator<Item = ProcId> {
        let on_their_way = |id: &ProcId| {
            let entry = self.registry.get(*id).filter(|entry| entry.machine.is_engaged());
            let stops = entry
                .is_some_and(|entry| entry.machine.state() == ProcessState::Stopping || entry.machine.is_cleaning_up());
            stops || (entry.is_some() && self.held.contains_key(id))
        };
        self.dependants_beyond(id).into_iter().filter(on_their_way)
    }

    /// Does the command that waits for the end of others, if they have gone. While a process is being spawned, its
    /// machine could only take note of a stop, and not of a restart: what it needs would be stopped beneath it. The
    /// command follows the spawn, which ends in this turn of the dispatcher.
    pub(super) fn perform_held(&mut self, id: ProcId) {
        if !self.held.contains_key(&id) {
            return;
        }
        let waits = self.dependants_on_their_way(id).next().is_some() || self.is_being_spawned(id);
        if waits && self.has_run(id) {
            return;
        }
        if let Some(HeldCommand { act, by, .. }) = self.held.remove(&id) {
            self.do_act(act, id, &by);
        }
    }

    /// Somebody wants these stopped or restarted alone: who needs them is not waited for, unless it is one of them.
    pub(super) fn perform_alone(&mut self, ids: &[ProcId]) {
        let mut named = SortedSet::default();
        named.extend(ids.iter().copied());
        for &id in ids {
            let waits = self.is_being_spawned(id) || self.dependants_on_their_way(id).any(|from| named.contains(&from));
            if !waits && let Some(HeldCommand { act, by, .. }) = self.held.remove(&id) {
                self.do_act(act, id, &by);
            }
        }
    }

    /// A program that was removed comes back before its stop has begun: others may need it by now.
    pub(super) fn include_dependants(&mut self, id: ProcId) {
        if let Some(held) = self.held.get_mut(&id) {
            held.only = false;
        }
    }

    /// Other programs may need these since the configuration has changed: what was held is asked for once more.
    pub(super) fn renew_held(&mut self) {
        for id in self.held.keys().copied().collect::<Vec<ProcId>>() {
            // The others stay held meanwhile: nothing is to start because of them.
            let Some(HeldCommand { act, by, only }) = self.held.get(&id).cloned() else { continue };
            self.act_in_order(act, &[id], &by, only);
        }
    }

    /// What waits for the end of others before it is done to this process, and who has asked for it.
    pub(super) fn held_command(&self, id: ProcId) -> Option<(Act, &Initiator)> {
        self.held.get(&id).map(|held| (held.act, &held.by))
    }

    /// The command that waits brings it up.
    pub(super) fn held_comes_up(&self, id: ProcId) -> bool {
        self.held.get(&id).is_some_and(HeldCommand::is_up_or_starting)
    }

    /// A command on this process waits for the end of others.
    pub(super) fn is_held(&self, id: ProcId) -> bool {
        self.held.contains_key(&id)
    }

    /// The names of these.
    pub(super) fn names_of(&self, ids: &[ProcId]) -> Vec<String> {
        ids.iter().filter_map(|id| self.registry.get(*id)).map(|entry| entry.name().to_owned()).collect()
    }
}
