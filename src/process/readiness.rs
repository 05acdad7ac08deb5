//! By what a program tells that it is ready, and what it tells.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::models::Readiness;

/// By what a program tells that it is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadySign {
    /// A line feed on a descriptor that it gets for that.
    Fd,
    /// A health check that passes.
    Health,
}

impl ReadySign {
    /// What there is to wait for; `None`: time alone.
    pub fn of(ready: &Readiness) -> Option<ReadySign> {
        match ready {
            Readiness::Startsecs => None,
            Readiness::Fd(_) | Readiness::FdVariable(_) => Some(ReadySign::Fd),
            Readiness::Health => Some(ReadySign::Health),
        }
    }
}

impl fmt::Display for ReadySign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ReadySign::Fd => "a line feed on its readiness descriptor",
            ReadySign::Health => "a health check that passes",
        })
    }
}

/// What a program tells of its readiness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadyReport {
    /// It is ready.
    Ready,
    /// It is not, and can't tell it any more.
    Never,
}
