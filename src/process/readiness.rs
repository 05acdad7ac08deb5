//! By what a program tells that it is ready, and what it tells.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::models::Readiness;

/// By what a program tells that it is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadySign {
    /// `READY=1` on `$NOTIFY_SOCKET`.
    Notify,
    /// A line feed on a descriptor that it gets for that.
    Fd,
    /// A path that is made or changed.
    Path,
    /// A line of its output.
    Log,
    /// A connection that is accepted.
    Connection,
    /// An answer by HTTP.
    Http,
    /// A command that succeeds.
    Command,
    /// A health check that passes.
    Health,
}

impl ReadySign {
    /// What there is to wait for; `None`: time alone.
    pub fn of(ready: &Readiness) -> Option<ReadySign> {
        match ready {
            Readiness::Startsecs => None,
            Readiness::Notify => Some(ReadySign::Notify),
            Readiness::Fd(_) | Readiness::FdVariable(_) => Some(ReadySign::Fd),
            Readiness::Path(_) => Some(ReadySign::Path),
            Readiness::Log(_) => Some(ReadySign::Log),
            Readiness::Accepts(_) => Some(ReadySign::Connection),
            Readiness::Http(_) => Some(ReadySign::Http),
            Readiness::Command(_) => Some(ReadySign::Command),
            Readiness::Health => Some(ReadySign::Health),
        }
    }
}

impl ReadySign {
    /// Its text, with what there is to tell of it.
    pub(super) fn with(self, detail: Option<&str>) -> String {
        match detail {
            Some(detail) => format!("{self} ({detail})"),
            None => self.to_string(),
        }
    }
}

impl fmt::Display for ReadySign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ReadySign::Notify => "READY=1 on its $NOTIFY_SOCKET",
            ReadySign::Fd => "a line feed on its readiness descriptor",
            ReadySign::Path => "a path that is made or changed",
            ReadySign::Log => "a line of its output",
            ReadySign::Connection => "a connection that is accepted",
            ReadySign::Http => "an answer by HTTP",
            ReadySign::Command => "a command that succeeds",
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
