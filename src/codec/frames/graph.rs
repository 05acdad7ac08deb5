//! Who needs whom, on the wire.

use serde::{Deserialize, Serialize};

use super::page::page;
use super::report;
use crate::api::{GraphEdge, GraphRow};
use crate::process::Moment;

/// A process and what it needs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GraphItem {
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: String,
    /// One line about it for people.
    pub description: String,
    /// What it needs, as it is configured.
    pub needs: Vec<GraphNeed>,
}

/// Something that a process needs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GraphNeed {
    /// The other process.
    pub on: String,
    /// By which key: `requires`, `binds`, `wants` or `after`.
    pub kind: String,
    /// What has to hold of the other: `ready`, `started`, `healthy` or `completed`.
    pub condition: String,
    /// Whether that holds at present.
    pub holds: bool,
}

impl GraphItem {
    fn new(row: &GraphRow, now: Moment) -> GraphItem {
        GraphItem {
            name: row.program.name.clone(),
            state: row.state.as_str().to_owned(),
            description: row.condition.describe(now, row.last_words.as_ref()),
            needs: row.needs.iter().map(GraphNeed::new).collect(),
        }
    }
}

impl GraphNeed {
    fn new(edge: &GraphEdge) -> GraphNeed {
        GraphNeed {
            on: edge.on.name.clone(),
            kind: edge.kind.as_str().to_owned(),
            condition: edge.condition.as_str().to_owned(),
            holds: edge.holds,
        }
    }
}

pub(super) fn graph(rows: &[GraphRow], offset: usize, now: Moment) -> Vec<u8> {
    report::ok_with(&page(String::new(), rows.iter().map(|row| GraphItem::new(row, now)), offset))
}
