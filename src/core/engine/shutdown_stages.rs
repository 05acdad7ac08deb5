//! The order of the shutdown: which processes have to end before which, and how long a stage may take.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Engine;
use super::graph::Graph;
use crate::api::ProcId;
use crate::models::{Dialect, Hook, ProgramConfig};
use crate::process::{Moment, hook_seconds, stop_seconds};
use crate::util::sort::sort_by;
use crate::util::sorted::{SortedMap, SortedSet};
use crate::util::topology::Topology;

/// Processes that are stopped at the same time, when those of the stage before have gone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ShutdownStage {
    pub(super) ids: Vec<ProcId>,
    /// The most seconds that one of them may take by its own settings.
    longest: u32,
}

/// Who is to end before whom in the shutdown, of those that are there when it begins.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StopOrder {
    /// How many of those that depend on it are still there; [`STOP_REQUESTED`]: none, and so it was told to stop;
    /// [`ENDED`]: it is not there itself.
    before: SortedMap<ProcId, u32>,
    /// Those that nobody needs any more, and that were not told to stop for that.
    free: Vec<ProcId>,
    /// Oneshots that have no process, but may connect two programs that have one.
    inactive_oneshots: SortedSet<ProcId>,
}

const ENDED: u32 = u32::MAX;
const STOP_REQUESTED: u32 = ENDED - 1;

impl StopOrder {
    /// An inactive oneshot counts as gone as soon as everything that needs it has gone.
    fn new(graph: &Graph, alive: &[ProcId], inactive_oneshots: SortedSet<ProcId>) -> StopOrder {
        let all = || alive.iter().chain(inactive_oneshots.iter());
        let mut before: SortedMap<ProcId, u32> = all().map(|id| (*id, 0)).collect();
        for link in all().flat_map(|id| graph.needs(*id)) {
            if let Some(count) = before.get_mut(&link.on) {
                *count += 1;
            }
        }
        let mut order = StopOrder { before, free: Vec::new(), inactive_oneshots };
        let unneeded = |id: &&ProcId| order.before.get(*id) == Some(&0);
        let unneeded: Vec<ProcId> = order.inactive_oneshots.iter().filter(unneeded).copied().collect();
        unneeded.into_iter().for_each(|id| order.mark_ended(graph, id));
        // What became free by this was never waited for: its stage stops it.
        order.free.clear();
        order
    }

    /// Nothing is left of this process.
    pub(super) fn note_ended(&mut self, graph: &Graph, id: ProcId) {
        // These have no process; they go with those that need them.
        if !self.inactive_oneshots.contains(&id) {
            self.mark_ended(graph, id);
        }
    }

    fn mark_ended(&mut self, graph: &Graph, id: ProcId) {
        let mut gone = vec![id];
        while let Some(id) = gone.pop() {
            let Some(count) = self.before.get_mut(&id).filter(|count| **count != ENDED) else { continue };
            *count = ENDED;
            for link in graph.needs(id) {
                if let Some(count) = self.before.get_mut(&link.on).filter(|count| (1..STOP_REQUESTED).contains(*count))
                {
                    *count -= 1;
                    match (*count, self.inactive_oneshots.contains(&link.on)) {
                        (0, true) => gone.push(link.on),
                        (0, false) => self.free.push(link.on),
                        (_, _) => {}
                    }
                }
            }
        }
    }

    /// An inactive oneshot that a living program needs.
    fn is_between(&self, id: ProcId) -> bool {
        self.inactive_oneshots.contains(&id) && self.before.get(&id).is_some_and(|count| *count != ENDED)
    }

    /// A process that nobody needs any more, and that is to be stopped.
    pub(super) fn next_free(&mut self) -> Option<ProcId> {
        let id = self.free.pop()?;
        if let Some(count) = self.before.get_mut(&id).filter(|count| **count != ENDED) {
            *count = STOP_REQUESTED;
        }
        Some(id)
    }

    /// Whether its stop was requested already, before its stage.
    pub(super) fn is_stop_requested(&self, id: ProcId) -> bool {
        self.before.get(&id) == Some(&STOP_REQUESTED)
    }
}

impl Engine {
    /// The order of the shutdown that begins now. Nobody waits for more than those that need it, so that all of it
    /// takes no longer than the longest way through the graph. In supervisord's dialect a group waits for the whole
    /// group before it.
    pub(super) fn stop_order(&self) -> StopOrder {
        if self.graph.is_empty() || self.settings.dialect == Dialect::Supervisord {
            return StopOrder::default();
        }
        self.order_of_ends(&self.alive())
    }

    fn alive(&self) -> Vec<ProcId> {
        self.registry.iter().filter(|(_, entry)| entry.machine.is_engaged()).map(|(id, _)| id).collect()
    }

    fn order_of_ends(&self, alive: &[ProcId]) -> StopOrder {
        let inactive_oneshots = self.registry.iter().filter(|(_, entry)| entry.is_inactive_oneshot()).map(|(id, _)| id);
        StopOrder::new(&self.graph, alive, inactive_oneshots.collect())
    }

    /// The stages in which what is there now is to be stopped, the last one first: dependants come first; in
    /// supervisord's dialect one group after the other within that, the last to start first.
    pub(super) fn shutdown_stages(&self) -> Vec<ShutdownStage> {
        let alive = self.alive();
        let is_supervisord = self.settings.dialect == Dialect::Supervisord;
        if self.graph.is_empty() && !is_supervisord {
            return vec![self.stage(alive)];
        }
        let depths = self.depths_of_stop(&alive);
        let groups = if is_supervisord { self.groups_of(&alive) } else { vec![0; alive.len()] };
        let keys = depths.into_iter().zip(groups.into_iter().map(std::cmp::Reverse));
        let mut keyed: Vec<_> = keys.zip(alive).collect();
        sort_by(&mut keyed, |(one, _), (other, _)| one.cmp(other));
        let mut stages: Vec<Vec<ProcId>> = Vec::new();
        let mut last = None;
        for (key, id) in keyed {
            match stages.last_mut().filter(|_| last == Some(key)) {
                Some(stage) => stage.push(id),
                None => stages.push(vec![id]),
            }
            last = Some(key);
        }
        stages.into_iter().rev().map(|ids| self.stage(ids)).collect()
    }

    /// For each of these how many others have to end before it, one after the other.
    fn depths_of_stop(&self, alive: &[ProcId]) -> Vec<u32> {
        let order = self.order_of_ends(alive);
        let is_part = |id: &ProcId| alive.binary_search(id).is_ok() || order.is_between(*id);
        let parts: Vec<ProcId> = self.registry.ids().into_iter().filter(is_part).collect();
        let mut pairs = Vec::new();
        for (dependant, id) in (0..).zip(&parts) {
            let on = self.graph.needs(*id).iter().filter_map(|link| parts.binary_search(&link.on).ok());
            pairs.extend(on.map(|on| (on as u32, dependant)));
        }
        let depths = Topology::new(parts.len(), &pairs).depths().unwrap_or_else(|| vec![0; parts.len()]);
        let there = parts.iter().zip(depths).filter(|(id, _)| alive.binary_search(id).is_ok());
        there.map(|(_, depth)| depth).collect()
    }

    /// The number of the group of each of these, in the order in which groups start.
    fn groups_of(&self, alive: &[ProcId]) -> Vec<u32> {
        // The place of its first process: groups that a reload has brought stand where the file puts them.
        let mut firsts: SortedMap<&str, u32> = SortedMap::default();
        for (_, entry) in self.registry.iter() {
            let group = entry.config().group_name();
            let first = firsts.get(group).map_or(entry.place, |first| (*first).min(entry.place));
            firsts.insert(group, first);
        }
        let group = |id: &ProcId| self.registry.get(*id).map_or("", |entry| entry.config().group_name());
        alive.iter().map(|id| firsts.get(group(id)).copied().unwrap_or_default()).collect()
    }

    /// Until when a stage may take where all have to be over at `end`. Each later stage keeps a share: the least of its
    /// longest
    /// `stopwaitsecs` and an equal part of the time that is left.
    pub(super) fn stage_limit(&self, end: Moment, later: &[ShutdownStage]) -> Moment {
        let left = end.saturating_duration_since(self.now);
        let stages = u32::try_from(later.len()).unwrap_or(u32::MAX).saturating_add(1);
        let part = left / stages;
        let kept: Duration = later.iter().map(|stage| Duration::from_secs(u64::from(stage.longest)).min(part)).sum();
        self.now + left.saturating_sub(kept)
    }

    fn stage(&self, ids: Vec<ProcId>) -> ShutdownStage {
        let entries = ids.iter().filter_map(|id| self.registry.get(*id));
        let seconds = |run: &Arc<ProgramConfig>| stop_seconds(run).saturating_add(hook_seconds(run, Hook::PostStop));
        let longest = entries.filter_map(|entry| entry.machine.run_config()).map(seconds).max();
        ShutdownStage { ids, longest: longest.unwrap_or(0) }
    }
}
