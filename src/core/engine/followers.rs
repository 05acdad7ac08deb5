//! Clients that follow what happens. What they are told of the past is told here; what happens from now on reaches them as
//! announcements.

use super::Engine;
use super::access::Eyes;
use crate::api::{EventKinds, EventType, HistoryRow};

impl Engine {
    /// The last `most` transitions of these kinds that are remembered, oldest first.
    pub(super) fn past_events(&self, kinds: EventKinds, most: usize, eyes: &Eyes<'_>) -> Vec<HistoryRow> {
        if most == 0 {
            return Vec::new();
        }
        let rows = self.whole_past(eyes).into_iter();
        let mut rows: Vec<HistoryRow> =
            rows.filter(|row| row.from != row.to && kinds.has(EventType::of_state(row.to))).collect();
        rows.drain(..rows.len().saturating_sub(most));
        rows
    }
}
