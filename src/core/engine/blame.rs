//! The facts behind the answer to `blame`.

use std::sync::Arc;

use super::access::Visibility;
use super::start_record::{StartDelay, StartRecord};
use super::{Engine, Entry};
use crate::api::{Blame, BlameRow, ProcId, Refusal, WaitedFor};
use crate::util::sorted::SortedSet;

impl Engine {
    /// How long the starts have taken: of all, or of these and what they waited for.
    pub(super) fn blame(&self, names: &[String], offset: usize, visibility: &Visibility<'_>) -> Result<Blame, Refusal> {
        let ids = names.iter().map(|name| self.registry.find_or_refuse(name)).collect::<Result<Vec<ProcId>, _>>()?;
        let mut wanted = SortedSet::default();
        ids.iter().for_each(|id| wanted.extend(self.start_path(*id)));
        let chosen = |id: ProcId| (ids.is_empty() || wanted.contains(&id)) && visibility.can_see_id(id);
        let rows = self
            .registry
            .iter()
            .filter(|(id, _)| chosen(*id))
            .filter_map(|(id, entry)| self.blame_row(id, entry, visibility));
        let path = self.last_ready(&ids, chosen).map(|id| self.start_path(id)).unwrap_or_default();
        let program = |id: ProcId| self.registry.get(id).map(|entry| Arc::clone(entry.config()));
        Ok(Blame {
            began: self.began,
            rows: rows.skip(offset).collect(),
            offset,
            critical_path: path.into_iter().filter(|id| visibility.can_see_id(*id)).filter_map(program).collect(),
        })
    }

    /// The one that was ready last: of those that are named, else of what began with the daemon. Where nothing did, of
    /// all.
    fn last_ready(&self, named: &[ProcId], chosen: impl Fn(ProcId) -> bool) -> Option<ProcId> {
        let is_meant = |id: ProcId| chosen(id) && (named.is_empty() || named.contains(&id));
        let ready = self.registry.iter().filter(|(id, _)| is_meant(*id)).filter_map(|(id, entry)| {
            let record = &entry.start_record;
            Some((named.is_empty() && record.of_boot, record.ready?, id))
        });
        ready.max().map(|(.., id)| id)
    }

    fn blame_row(&self, id: ProcId, entry: &Entry, visibility: &Visibility<'_>) -> Option<BlameRow> {
        let StartRecord { asked, spawned, ready, attempts, of_boot: _, waited_for: _ } = entry.start_record;
        let waiting = asked.filter(|_| is_waiting(entry)).map(|asked| self.now.saturating_duration_since(asked));
        let waited_for = self.start_delay(id, entry);
        let waited_for = waited_for.and_then(|hurdle| match hurdle {
            StartDelay::Process(id) => {
                let entry = self.registry.get(id).filter(|entry| visibility.can_see(entry));
                entry.map(|entry| WaitedFor::Process(Arc::clone(entry.config())))
            }
            StartDelay::StartSlot => Some(WaitedFor::StartSlot),
        });
        let (program, state) = (Arc::clone(entry.config()), entry.machine.state());
        Some(BlameRow { program, state, asked: asked?, spawned, ready, attempts, waiting, waited_for })
    }

    /// What its start waits for, or waited for last.
    fn start_delay(&self, id: ProcId, entry: &Entry) -> Option<StartDelay> {
        if !is_waiting(entry) {
            return entry.start_record.waited_for;
        }
        let process = self.obstacles(id, &entry.machine).next().map(|link| StartDelay::Process(link.on));
        process.or(entry.queued.then_some(StartDelay::StartSlot))
    }

    /// The process, what its start waited for, what that waited for, and so on.
    fn start_path(&self, id: ProcId) -> Vec<ProcId> {
        let mut path = Vec::new();
        let mut seen = SortedSet::default();
        let mut next = Some(id);
        // A reload may have turned an edge round since: each is on the way once.
        while let Some(id) = next.filter(|id| seen.insert(*id)) {
            path.push(id);
            next = self.registry.get(id).and_then(|entry| match self.start_delay(id, entry)? {
                StartDelay::Process(on) => Some(on),
                StartDelay::StartSlot => None,
            });
        }
        path
    }
}

/// The start that was last asked for has not come about, because it waits.
fn is_waiting(entry: &Entry) -> bool {
    entry.start_record.ready.is_none() && entry.machine.is_waiting()
}
