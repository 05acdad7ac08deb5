//! The facts behind the answers to `status` and `graph`.

use std::sync::Arc;

use super::access::Visibility;
use super::graph::Link;
use super::registry::in_order;
use super::{Engine, Entry};
use crate::api::{GraphEdge, GraphRow, ProcId, Refusal, StatusRow};
#[cfg(feature = "xmlrpc")]
use crate::models::Right;
use crate::util::sorted::SortedSet;

impl Engine {
    /// What the state of every process is, or of one.
    pub(super) fn rows(
        &self,
        name: Option<&str>,
        offset: usize,
        visibility: &Visibility<'_>,
    ) -> Result<Vec<StatusRow>, Refusal> {
        let row = |(id, entry)| self.row(id, entry, visibility);
        match name {
            None => {
                let all = in_order(self.registry.iter()).into_iter();
                Ok(all.filter(|(_, entry)| visibility.can_see(entry)).skip(offset).map(row).collect())
            }
            Some(name) => {
                let id = self.registry.find_or_refuse(name)?;
                Ok(self.registry.get(id).map(|entry| row((id, entry))).into_iter().collect())
            }
        }
    }

    /// The rows of these processes that there are, or of all, as far as they may be read or be treated so; and whether
    /// they may be treated so.
    #[cfg(feature = "xmlrpc")]
    pub(super) fn rows_found(
        &self,
        names: &[String],
        right: Right,
        visibility: &Visibility<'_>,
    ) -> Vec<(StatusRow, bool)> {
        let row = |(id, entry): (ProcId, &Entry)| {
            let may = visibility.may(right, entry);
            (may || visibility.can_see(entry)).then(|| (self.row(id, entry, visibility), may))
        };
        if names.is_empty() {
            return in_order(self.registry.iter()).into_iter().filter_map(row).collect();
        }
        let ids = names.iter().filter_map(|name| self.registry.find(name));
        ids.filter_map(|id| row((id, self.registry.get(id)?))).collect()
    }

    fn row(&self, id: ProcId, entry: &Entry, visibility: &Visibility<'_>) -> StatusRow {
        let (condition, hook) = (self.condition_of(id, entry), self.running_hook(id));
        let mut row = entry.status(condition, hook, self.adoption.bystanders(id), self.next_run(id));
        row.held = self.held_back(id).map(Box::new);
        row.kill_at = row.kill_at.map(|at| self.kill_at(at));
        visibility.redact_row(row)
    }

    /// Who needs whom: all, or these with what they need and with those that need them, directly or not.
    pub(super) fn graph_rows(
        &self,
        names: &[String],
        offset: usize,
        visibility: &Visibility<'_>,
    ) -> Result<Vec<GraphRow>, Refusal> {
        if names.is_empty() {
            let all = self.registry.iter().filter(|(_, entry)| visibility.can_see(entry)).skip(offset);
            return Ok(all.map(|(id, entry)| self.graph_row(id, entry, visibility, |_| true)).collect());
        }
        let ids = names.iter().map(|name| self.registry.find_or_refuse(name)).collect::<Result<Vec<ProcId>, _>>()?;
        let needed = self.reachable(&ids, |id| self.graph.needs(id), |link| link.on);
        let dependants = self.reachable(&ids, |id| self.graph.needed_by(id), |link| link.from);
        let is_part = |id: ProcId| needed.contains(&id) || dependants.contains(&id);
        let part = self.registry.iter().filter(|(id, entry)| is_part(*id) && visibility.can_see(entry)).skip(offset);
        Ok(part.map(|(id, entry)| self.graph_row(id, entry, visibility, |link| is_part(link.on))).collect())
    }

    /// These, and all that the links lead to.
    fn reachable<'a>(
        &'a self,
        ids: &[ProcId],
        links: impl Fn(ProcId) -> &'a [Link],
        end: impl Fn(&Link) -> ProcId,
    ) -> SortedSet<ProcId> {
        let mut found = SortedSet::default();
        found.extend(ids.iter().copied());
        let mut open = ids.to_vec();
        while let Some(id) = open.pop() {
            open.extend(links(id).iter().map(&end).filter(|id| found.insert(*id)));
        }
        found
    }

    fn graph_row(
        &self,
        id: ProcId,
        entry: &Entry,
        visibility: &Visibility<'_>,
        is_told: impl Fn(&Link) -> bool,
    ) -> GraphRow {
        let mut condition = self.condition_of(id, entry);
        visibility.redact_condition(&mut condition);
        let edge = |link: &Link| {
            Some(GraphEdge {
                on: Arc::clone(self.registry.get(link.on)?.config()),
                kind: link.kind,
                condition: link.condition,
                holds: self.is_met(link),
            })
        };
        GraphRow {
            program: Arc::clone(entry.config()),
            state: entry.machine.state(),
            condition,
            last_words: entry.last_words.as_deref().cloned().filter(|_| visibility.can_read_output(entry)),
            needs: self
                .graph
                .needs(id)
                .iter()
                .filter(|link| is_told(link) && visibility.can_see_id(link.on))
                .filter_map(edge)
                .collect(),
        }
    }
}
