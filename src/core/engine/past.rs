//! What is remembered, as it is told: to those who ask for it, and to clients that begin to follow what happens. (What
//! happens from then on reaches them as announcements.)

use super::access::Visibility;
use super::{Engine, Entry};
use crate::api::{EventKinds, EventType, HistoryRow, Refusal};
use crate::util::sort::sort_by;

impl Engine {
    /// The records of all processes, in the order in which they came: causes before their effects, also at one moment.
    fn full_history(&self, visibility: &Visibility<'_>) -> Vec<HistoryRow> {
        let seen = self.registry.iter().filter(|(_, entry)| visibility.can_see(entry));
        let mut placed: Vec<_> = seen.flat_map(|(_, entry)| entry.history.placed_rows(entry.config())).collect();
        sort_by(&mut placed, |(one, _), (other, _)| one.cmp(other));
        let mut rows: Vec<HistoryRow> = placed.into_iter().map(|(_, row)| row).collect();
        visibility.redact_history(&mut rows);
        rows
    }

    /// The records of one process, or of all, oldest first.
    pub(super) fn history(&self, name: Option<&str>, visibility: &Visibility<'_>) -> Result<Vec<HistoryRow>, Refusal> {
        let Some(name) = name else { return Ok(self.full_history(visibility)) };
        let id = self.registry.find_or_refuse(name)?;
        let rows = |entry: &Entry| entry.history.rows(entry.config());
        let mut rows = self.registry.get(id).map(rows).unwrap_or_default();
        visibility.redact_history(&mut rows);
        Ok(rows)
    }

    /// The last `most` transitions of these kinds that are remembered, oldest first.
    pub(super) fn past_events(&self, kinds: EventKinds, most: usize, visibility: &Visibility<'_>) -> Vec<HistoryRow> {
        if most == 0 {
            return Vec::new();
        }
        let rows = self.full_history(visibility).into_iter();
        let mut rows: Vec<HistoryRow> =
            rows.filter(|row| row.from != row.to && kinds.has(EventType::of_state(row.to))).collect();
        rows.drain(..rows.len().saturating_sub(most));
        rows
    }
}
