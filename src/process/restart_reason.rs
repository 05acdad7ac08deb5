//! [`RestartReason`]: why a setting of a program asks for its restart, or for a signal.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::output_fault::OutputFault;

/// Why a setting of a program asks for its restart, or for a signal. Its text reads on after `restart requested by`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "policy", rename_all = "snake_case")]
pub enum RestartReason {
    /// It has lived for as long as it may.
    MaxLifetime {
        /// In seconds, a tenth more or less.
        seconds: u32,
    },
    /// What this path leads to has changed.
    RestartOnChange {
        /// Which.
        path: Box<str>,
    },
    /// Its output shows that it is not well.
    OutputWatch {
        /// What that is.
        fault: OutputFault,
    },
    /// All that it has started uses more memory than it may.
    MaxRss {
        /// Bytes.
        used: u64,
        /// Bytes that it may use.
        limit: u64,
    },
    /// It uses more of the processors than it may.
    MaxCpu {
        /// In percent of one processor.
        percent: u64,
        /// What it may use.
        limit: u32,
        /// On an average of so many seconds.
        seconds: u32,
    },
}

/// `212 MB`
struct Megabytes(u64);

impl fmt::Display for Megabytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MB", self.0.div_ceil(1 << 20))
    }
}

impl RestartReason {
    /// Bytes that it holds beside itself.
    pub(crate) fn payload(&self) -> usize {
        match self {
            RestartReason::MaxLifetime { .. } | RestartReason::MaxRss { .. } | RestartReason::MaxCpu { .. } => 0,
            RestartReason::RestartOnChange { path } => path.len(),
            RestartReason::OutputWatch { fault } => fault.payload(),
        }
    }
}

impl fmt::Display for RestartReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RestartReason::MaxLifetime { seconds } => write!(f, "max_lifetime = {seconds}"),
            RestartReason::RestartOnChange { path } => write!(f, "a change of {path} (restart_on_change)"),
            RestartReason::OutputWatch { fault } => write!(f, "output_watch: {fault}"),
            RestartReason::MaxRss { used, limit } => {
                write!(f, "max_rss: it uses {} of {}", Megabytes(*used), Megabytes(*limit))
            }
            RestartReason::MaxCpu { percent, limit, seconds } => {
                write!(f, "max_cpu: {percent} % in the last {seconds} s, {limit} % are allowed")
            }
        }
    }
}
