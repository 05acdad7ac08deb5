//! What has left the process group of its run (by `setsid` or `setpgid`) but is part of it all the same: jobs of a
//! cron, helpers of a database, daemons that put themselves into the background.
//!
//! The kernel tells nobody of it. But whatever outlives its parent becomes a child of this process, which is PID 1 or a
//! subreaper, and of its main thread, which makes no programs: so the list of that thread's children shows, before a
//! leader is reaped, whether anything is left (see [`InheritedList`]), and as a rule it is empty. Only a child that
//! nobody knows yet is looked at closer, once: the env tag of its run tells whose it is. What has overwritten its
//! environment is known by its session, and one that has left that, too (each process of PostgreSQL does both), by the
//! pipe that it writes its output to. What is known by none of the three stays unknown until the end of the daemon,
//! which ends all that it has inherited.

use std::collections::{HashMap, HashSet};
use std::thread;
use std::time::Duration;

use super::signals::signal_apart;
use super::{Effects, Run};
use crate::api::ProcId;
use crate::core::effect::Signal;
use crate::core::engine::adoption::{Identity, VARIABLE};
use crate::process::ScanFacts;
use crate::sys::inherited_list::InheritedList;
use crate::sys::proc::Stat;
use crate::sys::reap::{self, ReapScope};
use crate::sys::{orphan_scan, proc};
use crate::util::quick_hash::QuickMap;

/// How many scans in a row may find that something has ended meanwhile.
const MAX_LOOKS: usize = 16;

/// How long, at most, a look for a descendant waits for what is just ending or being executed, in steps of [`STEP`].
/// The kernel needs microseconds for that; only where it is out of processors does it take longer.
pub(super) const MAX_STEPS: usize = 20;
pub(super) const STEP: Duration = Duration::from_millis(1);

/// Children that this process has inherited, each with the leader of the run that it is of.
#[derive(Default)]
pub(super) struct Inherited {
    known: HashMap<i32, i32>,
    /// The children, as long as nobody else was reaped: then one list serves for all that a sweep has reaped.
    listed: Option<Vec<i32>>,
    list: InheritedList,
}

/// What is left of a run among the children of this process.
#[derive(Default)]
pub(super) struct Left {
    pub(super) living: Vec<Stat>,
    /// Something is just being executed or ending, which shows no tag for a moment: it may be of the run, or about to
    /// leave us a child that is.
    pub(super) is_unsure: bool,
}

/// Whose the processes are that nothing identifies.
struct Ownership {
    /// The leader of the one run that has just put itself into the background; `None`: there is none, or there are
    /// several.
    detached: Option<i32>,
    /// Those of all runs, and the sessions of their main processes.
    leaders: HashSet<i32>,
}

impl Ownership {
    fn of(runs: &QuickMap<ProcId, Box<Run>>) -> Ownership {
        let mut detached = runs.values().filter(|run| run.is_detached()).map(|run| run.child.pid);
        let only = detached.next().filter(|_| detached.next().is_none());
        // Only then anybody asks for the others.
        let others = runs.values().filter(|_| only.is_some());
        Ownership { detached: only, leaders: others.flat_map(|run| run.leaders()).collect() }
    }
}

/// One look.
#[derive(Default)]
pub(super) struct ChildScan {
    pub(super) left: Left,
    /// Children that had ended by then. What they have left behind may not have been on the list yet.
    pub(super) ended: HashSet<i32>,
}

impl Inherited {
    /// Somebody is about to be reaped, or was: what he leaves behind is not on an old list.
    pub(super) fn forget_list(&mut self) {
        self.listed = None;
    }

    /// Nobody is there to be looked at: known for sure, and until somebody else is reaped.
    pub(super) fn mark_empty(&mut self) {
        self.listed = Some(Vec::new());
    }

    /// Whether nothing was inherited but what `is_known` knows: known for sure, and until somebody else is reaped.
    pub(super) fn is_nothing(&mut self, is_known: impl Fn(i32) -> bool) -> bool {
        self.list.has_other(is_known) == Some(false)
    }

    /// Children that this process has inherited from this run, as far as that is known.
    pub(super) fn of(&self, run: &Run) -> impl Iterator<Item = i32> {
        self.known.iter().filter(|(_, of)| run.is_led_by(**of)).map(|(pid, _)| *pid)
    }

    /// The leader by which this child is known.
    pub(super) fn leader_of(&self, pid: i32) -> Option<i32> {
        self.known.get(&pid).copied()
    }

    /// Looks for what is left of those whose leaders are meant among these children. What nobody knows and has ended is
    /// reaped and taken from the list: in a storm of orphans it would take longer to read about thousands of zombies
    /// than to make them.
    pub(super) fn scan(
        &mut self,
        identity: &Identity,
        runs: &QuickMap<ProcId, Box<Run>>,
        children: &mut Vec<i32>,
        is_meant: impl Fn(i32) -> bool,
    ) -> ChildScan {
        let mut look = ChildScan::default();
        children.retain(|pid| {
            let has_ended = !self.known.contains_key(pid) && reap::reap(*pid).is_some();
            if has_ended {
                look.ended.insert(*pid);
            }
            !has_ended
        });
        let listed: HashSet<i32> = children.iter().copied().collect();
        self.known.retain(|pid, _| listed.contains(pid));
        let fresh: Vec<i32> = children.iter().copied().filter(|pid| !self.known.contains_key(pid)).collect();
        let facts = if fresh.is_empty() { ScanFacts::default() } else { orphan_scan::examine(VARIABLE, &fresh) };
        look.left.is_unsure = !facts.in_exec.is_empty();
        self.learn(identity, runs, &facts);
        if !fresh.is_empty() {
            self.claim(&fresh, Ownership::of(runs));
        }
        let living: HashSet<i32> = facts.living.iter().map(|process| process.id.pid).collect();
        look.ended.extend(fresh.into_iter().filter(|pid| !living.contains(pid)));
        for (pid, _) in self.known.iter().filter(|(_, of)| is_meant(**of)) {
            match proc::stat(*pid).filter(|stat| !stat.is_dead()) {
                Some(stat) => look.left.living.push(stat),
                None => drop(look.ended.insert(*pid)),
            }
        }
        look
    }

    /// Those of nobody else are of the one run that has just put itself into the background: they may have overwritten
    /// their environment (with a title for `ps`) and made a session.
    fn claim(&mut self, fresh: &[i32], claim: Ownership) {
        let Some(detached) = claim.detached else { return };
        for pid in fresh {
            if let Some(of) = self.known.get_mut(pid).filter(|of| !claim.leaders.contains(of)) {
                *of = detached;
            }
        }
    }

    /// The run that each of them belongs to, by its tag, its session, or the pipe of its output.
    fn learn(&mut self, identity: &Identity, runs: &QuickMap<ProcId, Box<Run>>, facts: &ScanFacts) {
        let in_exec: HashSet<i32> = facts.in_exec.iter().copied().collect();
        let sure = facts.living.iter().filter(|process| !in_exec.contains(&process.id.pid));
        self.known.extend(sure.map(|process| (process.id.pid, process.session)));
        for tagged in facts.tagged.iter().filter(|tagged| !in_exec.contains(&tagged.id.pid)) {
            if let (Some(leader), Some(of)) = (identity.leader_in_tag(&tagged.tag), self.known.get_mut(&tagged.id.pid))
            {
                *of = leader;
            }
        }
        let is_leader = |pid: i32| runs.values().any(|run| run.child.pid == pid);
        for pid in facts.living.iter().map(|process| process.id.pid) {
            if let Some(of) = self.known.get_mut(&pid).filter(|of| !is_leader(**of))
                && let Some(leader) = leader_by_output(runs, pid)
            {
                *of = leader;
            }
        }
    }
}

/// The leader of the run whose output this process writes to.
fn leader_by_output(runs: &QuickMap<ProcId, Box<Run>>, pid: i32) -> Option<i32> {
    proc::output_pipes(pid).find_map(|inode| {
        let run = runs.values().find(|run| run.outputs.contains(&Some(inode)))?;
        Some(run.child.pid)
    })
}

impl Effects {
    /// What is left of a run, whose leader was reaped, among the children of this process.
    fn descendants(&mut self, id: ProcId) -> Left {
        // Elsewhere what this process inherits may be somebody else's.
        let (ReapScope::All, Some(identity)) = (self.parts.scope, &self.parts.identity) else { return Left::default() };
        let Some(run) = self.runs.get(&id) else { return Left::default() };
        let mut ended = HashSet::new();
        let mut left = Left::default();
        for _ in 0..MAX_LOOKS {
            let mut inherited = self.inherited.listed.take().unwrap_or_else(|| {
                proc::other_children(|pid| self.children.contains_key(&pid) || self.foreign_children.contains(&pid))
            });
            let look = self.inherited.scan(identity, &self.runs, &mut inherited, |of| run.is_led_by(of));
            left = look.left;
            if look.ended.is_subset(&ended) && !left.is_unsure {
                self.inherited.listed = Some(inherited);
            }
            if !left.living.is_empty() || look.ended.is_subset(&ended) {
                break;
            }
            ended.extend(look.ended);
        }
        left
    }

    /// One of those that live, whether they have left the process group or not. A daemon forks twice: the one between
    /// may be ending right now, and hands over the other only then, so that is waited for, but not for long.
    pub(super) fn one_descendant(&mut self, id: ProcId) -> Option<i32> {
        for _ in 0..MAX_STEPS {
            let left = self.descendants(id);
            if !left.living.is_empty() || !left.is_unsure {
                return left.living.iter().find(|left| self.is_reached(id, left)).map(|left| left.pid);
            }
            thread::sleep(STEP);
        }
        None
    }

    /// Whether what the end of this run reaches has this process.
    fn is_reached(&self, id: ProcId, descendant: &Stat) -> bool {
        self.runs.get(&id).is_some_and(|run| !run.is_group_alone || run.has_group(descendant.pgrp))
    }

    /// Whether something lives that has left the process group of this run, whose leader was reaped, and that its end
    /// is to reach (`stop_scope`). A group that has not been told what the others were told is told so now: until a
    /// moment ago it may have been below another one. `thorough`: what cannot be told for long is none of it.
    pub(super) fn has_left_group(&mut self, id: ProcId, thorough: bool) -> bool {
        let Some(run) = self.runs.get(&id) else { return false };
        if run.is_group_alone {
            return false;
        }
        let leader = run.child.pid;
        let Left { mut living, is_unsure } = self.descendants(id);
        let Some(run) = self.runs.get_mut(&id) else { return false };
        living.retain(|descendant| !run.has_group(descendant.pgrp));
        if let Some(signal) = run.last_signal {
            for descendant in &living {
                if !run.signalled_groups.contains(&descendant.pgrp) {
                    run.signalled_groups.push(descendant.pgrp);
                    signal_apart(&run.config.name, descendant, signal, leader);
                }
            }
        }
        !living.is_empty() || (is_unsure && !thorough)
    }

    /// The run was sent this signal, all of it: so is what has left its process group.
    pub(super) fn signal_outside(&mut self, id: ProcId, signal: Signal) {
        let Some(run) = self.runs.get_mut(&id) else { return };
        run.last_signal = Some(signal);
        run.signalled_groups = run.groups().map(|group| group.pid).collect();
        // While the leader lives, what it has started is its own, and still its child or its children's.
        if run.reaped.is_some() {
            self.inherited.forget_list();
            self.has_left_group(id, true);
        }
    }
}
