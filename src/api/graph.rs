//! The answer to `graph`: who needs whom.

use std::sync::Arc;

use crate::models::{DependencyCondition, DependencyKind, ProgramConfig};
use crate::process::{Condition, LastWords, ProcessState};

/// A process and what it needs.
#[derive(Debug, Clone, PartialEq)]
pub struct GraphRow {
    /// Its settings.
    pub program: Arc<ProgramConfig>,
    /// Its state.
    pub state: ProcessState,
    /// What a person is told of it.
    pub condition: Condition,
    /// What the run that has just ended said last.
    pub last_words: Option<LastWords>,
    /// What it needs, as it is configured.
    pub needs: Vec<GraphEdge>,
}

/// One process needs another.
#[derive(Debug, Clone, PartialEq)]
pub struct GraphEdge {
    /// Which.
    pub on: Arc<ProgramConfig>,
    /// By which key.
    pub kind: DependencyKind,
    /// What has to hold of it.
    pub condition: DependencyCondition,
    /// Whether that holds at present.
    pub holds: bool,
}
