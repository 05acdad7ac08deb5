//! The one reaper, and what is left of a run after its leader.

use super::super::effect::{GroupLeft, Input, Notice};
use super::signals::SIGKILL;
use super::tasks::TaskChild;
use super::{Effects, Owner};
use crate::api::ProcId;
use crate::control::server::ReadyRun;
use crate::process::{Exit, Generation};
use crate::sys;
use crate::sys::proc::Stat;
use crate::sys::reap::{ReapScope, Swept};
use crate::util::quick_hash::QuickMap;

impl Effects {
    /// Reaps the child that a signal has named, and asks to be called again for the others: who has ended is started
    /// again before the kernel looks at all children, which with ten thousand takes a millisecond. Or reaps every child
    /// that has ended.
    pub(super) fn reap(&mut self, results: &mut Vec<Input>) {
        // First, so that whatever happens here, the next end wakes somebody up.
        self.parts.child_signals.expect_more();
        let sweep_is_due = std::mem::take(&mut self.sweep_is_due);
        let named = self.parts.child_signals.take_named();
        if let Some(pid) = named.filter(|_| !sweep_is_due) {
            let swept = self.reap_with(|children, before| Swept {
                exits: sys::reap::reap_known(pid, children, before).into_iter().collect(),
                ..Swept::default()
            });
            let found = !swept.exits.is_empty();
            self.report_exits(swept, results);
            if found {
                self.sweep_is_due = true;
                results.push(Input::Notice(Notice::Child));
                return;
            }
        }
        let scope = self.parts.scope;
        let swept = self.reap_with(|children, before| sys::reap::sweep(scope, children, before));
        self.report_exits(swept, results);
        self.end_leftovers();
        results.push(Input::Swept);
    }

    /// Has `reap` reap children; it calls what it is given for each that has ended, while its pid is still its own.
    fn reap_with(&mut self, reap: impl FnOnce(&QuickMap<i32, Owner>, &mut dyn FnMut(&Owner)) -> Swept) -> Swept {
        self.inherited.forget_list();
        let Effects { runs, tasks, inherited, children, foreign_children, inherits_orphans, .. } = self;
        reap(children, &mut |owner| match owner {
            Owner::Process(id) => {
                let Some(run) = runs.get_mut(id) else { return };
                // It may have made a session of its own after its pid was known.
                run.refresh_main();
                let is_known = |pid| children.contains_key(&pid) || foreign_children.contains(&pid);
                // What it has left behind was inherited before it could be seen that it has ended.
                run.left_no_orphan = *inherits_orphans && inherited.is_nothing(is_known);
                if !run.left_no_orphan {
                    // Whether that is its own is asked afterwards: then there has to be a hold on its group.
                    run.hold_main();
                }
            }
            Owner::Former => {}
            Owner::Task(task) => tasks.get_mut(task).into_iter().for_each(TaskChild::note_end),
        })
    }

    fn report_exits(&mut self, swept: Swept, results: &mut Vec<Input>) {
        let Swept { exits, is_childless, strangers } = swept;
        // Their numbers may be those of what a program leaves behind one day.
        self.foreign_children.retain(|pid| !strangers.contains(pid));
        let is_childless = is_childless && self.inherits_orphans;
        if is_childless {
            self.inherited.mark_empty();
        }
        // All of them first: what is left of a run is told by who else is a child.
        let ended: Vec<_> = exits.into_iter().map(|(pid, exit)| (exit, self.children.remove(&pid))).collect();
        for (exit, owner) in ended {
            match owner {
                Some(Owner::Process(id)) => {
                    results.extend(self.executed_unseen(id, exit));
                    results.extend(self.leader_reaped(id, exit, is_childless));
                }
                Some(Owner::Task(task)) => results.push(self.task_reaped(task, exit)),
                Some(Owner::Former) | None => {}
            }
        }
        self.inherited.forget_list();
    }

    /// A child that was late has executed its program and ended between two looks at those that are late: that it was
    /// executed is told first. One that was ended by a signal may not have got there.
    fn executed_unseen(&self, id: ProcId, exit: Exit) -> Option<Input> {
        let run = self.runs.get(&id).filter(|_| matches!(exit, Exit::Code(_)))?;
        let is_executed = run.child.is_late().is_some() && run.child.late_failure().is_none();
        is_executed.then_some(Input::Executed { id, generation: run.generation })
    }

    /// `is_childless`: this process inherits all orphans, and has no child left.
    fn leader_reaped(&mut self, id: ProcId, exit: Exit, is_childless: bool) -> Option<Input> {
        let run = self.runs.get_mut(&id)?;
        run.reaped = Some(sys::time::now());
        let generation = run.generation;
        let late = run.child.late_failure().map(Box::new);
        let (is_to_fork, left_no_orphan) = (run.forking.is_some(), run.left_no_orphan);
        if let Some(found) = self.next_main(id) {
            return Some(found);
        }
        let group = match (is_childless, left_no_orphan) {
            (true, _) => GroupLeft::Empty,
            (false, true) => self.group_left(id),
            (false, false) => self.probe_group(id, false),
        };
        // Only whether it has put itself into the background is asked, which ends with 0.
        let descendant = match (exit, group) {
            (Exit::Code(0), GroupLeft::Lingers) if !is_to_fork => self.one_descendant(id),
            (Exit::Code(_) | Exit::Signal(_), GroupLeft::Empty | GroupLeft::Lingers) => None,
        };
        Some(Input::Exited { id, generation, exit, late, group, descendant })
    }

    /// What is left of the groups of a run that has left no orphan: as a rule nothing, but who was made as a sibling
    /// (`CLONE_PARENT`) is none.
    fn group_left(&self, id: ProcId) -> GroupLeft {
        let groups = self.runs.get(&id).into_iter().flat_map(|run| run.groups());
        left(!groups.into_iter().all(sys::signal::group_is_empty))
    }

    /// What is left of the group of a leader that has ended. `thorough`: zombies that nobody reaps count as nothing.
    pub(super) fn probe_group(&mut self, id: ProcId, thorough: bool) -> GroupLeft {
        let Some(run) = self.runs.get(&id) else { return GroupLeft::Empty };
        let Some(reaped) = run.reaped else { return GroupLeft::Lingers };
        let dead_groups = &mut self.dead_groups;
        let is_empty = run.groups().all(|group| {
            sys::signal::group_is_empty(group) || (thorough && dead_groups.contains(group, reaped, sys::time::now()))
        });
        left(!is_empty || self.has_left_group(id, thorough))
    }

    /// The leader has ended: what it has written so far is to be read.
    pub(super) fn leader_exited(&mut self, id: ProcId, generation: Generation) {
        if self.runs.get(&id).is_some_and(|run| run.tells_ready) {
            self.parts.server.forget_ready(ReadyRun { id, generation });
        }
        self.parts.output.leader_exited(id, generation);
        self.note_run();
    }

    pub(super) fn run_ended(&mut self, id: ProcId, generation: Generation) {
        self.runs.remove(&id);
        self.parts.output.run_ended(id, generation);
        self.note_run();
    }

    /// Signals (or, with `None`, only counts) the orphans that this process has inherited from its programs; 0 where
    /// other children than the programs may be somebody else's.
    pub(super) fn signal_inherited(&self, signal: Option<u8>) -> usize {
        if self.parts.scope == ReapScope::Known {
            return 0;
        }
        // Ours to reap, so that no number among them can be used again meanwhile.
        let orphans = sys::proc::children().into_iter();
        let orphans = orphans.filter(|pid| !self.children.contains_key(pid) && !self.foreign_children.contains(pid));
        let orphans: Vec<Stat> = orphans.filter_map(sys::proc::stat).collect();
        match signal {
            Some(SIGKILL) => sys::signal::signal_children_and_groups(&orphans, SIGKILL),
            // Whoever is asked to end tells its own helpers: a shell whose helper is killed writes that into a pipe
            // that may be closed by now, and would die of that before its trap runs.
            Some(signal) => orphans.iter().for_each(|orphan| sys::signal::signal_child(orphan.pid, signal)),
            None => {}
        }
        orphans.len()
    }
}

fn left(anything: bool) -> GroupLeft {
    if anything { GroupLeft::Lingers } else { GroupLeft::Empty }
}
