//! [`OutputFault`]: what the output of a run has shown to be wrong.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What the output of a run has shown to be wrong with it (`output_watch`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "sign", rename_all = "snake_case")]
pub enum OutputFault {
    /// There was none.
    Silence {
        /// For so many seconds.
        seconds: u32,
    },
    /// There was this line.
    Line {
        /// Its beginning.
        line: Box<str>,
    },
}

impl OutputFault {
    /// Bytes that it holds beside itself.
    pub(crate) fn payload(&self) -> usize {
        match self {
            OutputFault::Silence { .. } => 0,
            OutputFault::Line { line } => line.len(),
        }
    }

    /// It is over as soon as there is output.
    pub(super) fn is_silence(&self) -> bool {
        match self {
            OutputFault::Silence { .. } => true,
            OutputFault::Line { .. } => false,
        }
    }
}

impl fmt::Display for OutputFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OutputFault::Silence { seconds } => write!(f, "no output for {seconds} s"),
            OutputFault::Line { line } => write!(f, "its output says '{line}'"),
        }
    }
}
