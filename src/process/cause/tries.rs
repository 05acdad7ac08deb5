//! How often something was tried, and how often it is tried again.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::models::UNLIMITED_RETRIES;
use crate::util::plural::counted;

/// What is counted before it is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tries {
    /// Attempts to start it.
    Attempts(u32),
    /// Restarts because its health checks failed.
    Restarts(u32),
    /// Restarts of whatever kind within a time (`restart_limit`).
    Limit {
        /// How many.
        restarts: u32,
        /// Within so many seconds.
        seconds: u32,
    },
}

impl fmt::Display for Tries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Tries::Attempts(count) => counted(*count, "attempt").fmt(f),
            Tries::Restarts(count) => counted(*count, "restart").fmt(f),
            Tries::Limit { restarts: 1, seconds } => write!(f, "a restart within {seconds} s (restart_limit)"),
            Tries::Limit { restarts, seconds } => write!(f, "{restarts} restarts within {seconds} s (restart_limit)"),
        }
    }
}

/// `retry 2 of 3`; `retry 2` where there is no end of them.
pub(crate) struct RetryNumber {
    pub(crate) number: u32,
    pub(crate) of: u32,
}

impl fmt::Display for RetryNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            RetryNumber { number, of: UNLIMITED_RETRIES } => write!(f, "retry {number}"),
            RetryNumber { number, of } => write!(f, "retry {number} of {of}"),
        }
    }
}
