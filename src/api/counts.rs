//! [`Counts`]: what has happened to a process since the daemon began, in numbers.

use serde::{Deserialize, Serialize};

/// None of them ever goes back, whatever is stopped, started or reloaded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Starts that nobody asked for.
    pub restarts: u64,
    /// Runs that have ended with an exit code.
    pub exits: u64,
    /// Runs that a signal has ended.
    pub deaths: u64,
    /// Those of them that SIGKILL has ended where no stop was under way.
    pub killed: u64,
    /// Bytes of output that could not be written.
    pub lost_output: u64,
    /// Health checks that have failed.
    pub failed_checks: u64,
}
