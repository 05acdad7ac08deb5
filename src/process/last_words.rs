//! [`LastWords`]: what a run has said last, which probably explains its failure.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::SpawnError;

/// What a run that has ended said last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LastWords {
    /// The last line that it wrote to its standard error.
    Line(Arc<str>),
    /// Its program was never executed; that was found out only after the spawn.
    ExecFailed(Arc<SpawnError>),
}

impl LastWords {
    /// An empty line explains nothing.
    pub fn is_empty(&self) -> bool {
        match self {
            LastWords::Line(line) => line.is_empty(),
            LastWords::ExecFailed(_) => false,
        }
    }
}

impl fmt::Display for LastWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LastWords::Line(line) => f.write_str(line),
            LastWords::ExecFailed(error) => error.fmt(f),
        }
    }
}
