//! Milestones: oneshots that have completed, and have no process. `sync` requires the milestone `online`, which
//! requires
//! `network`: a stop of `network` stops `sync` first, a start of `sync` starts `network`, and `sync` waits while `network` comes up.

use super::graph::Link;
use super::waiting::holds;
use super::{Engine, Entry};
use crate::api::ProcId;
use crate::util::sorted::SortedSet;

impl Engine {
    /// It is a oneshot that has completed and has no process.
    pub(super) fn is_milestone(&self, id: ProcId) -> bool {
        self.registry.get(id).is_some_and(|entry| entry.is_inactive_oneshot() && entry.machine.has_completed())
    }

    fn is_inactive_oneshot(&self, id: ProcId) -> bool {
        self.registry.get(id).is_some_and(Entry::is_inactive_oneshot)
    }

    /// Those that depend on this process, directly or through oneshots that have no process.
    pub(super) fn dependants_beyond(&self, id: ProcId) -> Vec<ProcId> {
        self.walk(id, |at| self.graph.needed_by(at).iter().map(|link| link.from))
    }

    /// What this process depends on, directly or through oneshots that have no process.
    pub(super) fn needs_beyond(&self, id: ProcId) -> Vec<ProcId> {
        self.walk(id, |at| self.graph.needs(at).iter().map(|link| link.on))
    }

    fn walk<I: Iterator<Item = ProcId>>(&self, from: ProcId, next: impl Fn(ProcId) -> I) -> Vec<ProcId> {
        let mut found = Vec::new();
        let mut passed: SortedSet<ProcId> = SortedSet::default();
        let mut open = vec![from];
        while let Some(at) = open.pop() {
            for id in next(at) {
                found.push(id);
                if self.is_inactive_oneshot(id) && passed.insert(id) {
                    open.push(id);
                }
            }
        }
        found
    }

    /// The link to show for one that is not met: a milestone is met itself, so what it needs is shown.
    pub(super) fn what_is_in_the_way(&self, link: &Link) -> Link {
        let holds = self.registry.get(link.on).is_some_and(|entry| holds(entry, link.condition));
        self.awaited_beyond(link.on).filter(|_| holds).unwrap_or(*link)
    }

    /// What a milestone needs and that is coming up now, because a command restarts it or because it is retried.
    pub(super) fn awaited_beyond(&self, milestone: ProcId) -> Option<Link> {
        let mut passed: SortedSet<ProcId> = SortedSet::default();
        let mut open: Vec<ProcId> = Some(milestone).filter(|id| self.is_milestone(*id)).into_iter().collect();
        while let Some(at) = open.pop() {
            for link in self.graph.needs(at).iter().filter(|link| link.kind.is_hard()) {
                let Some(entry) = self.registry.get(link.on).filter(|entry| !entry.leaving) else { continue };
                let comes = match self.held_command(link.on) {
                    Some(_) => self.held_comes_up(link.on),
                    None => entry.machine.is_up_or_starting() && !holds(entry, link.condition),
                };
                if comes {
                    return Some(*link);
                }
                if self.is_milestone(link.on) && passed.insert(link.on) {
                    open.push(link.on);
                }
            }
        }
        None
    }
}
