//! Whether something outlives the daemon.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// What has come of keeping something over a restart of the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Persistence {
    /// It is on the disk.
    Stored,
    /// There is no `state_dir`.
    NoDirectory,
    /// It is of a program that somebody runs by hand, and goes with that.
    Transient,
    /// It could not be written: this is why.
    Failed(Arc<str>),
}

impl fmt::Display for Persistence {
    /// Behind what was done: ` until the daemon ends (no state_dir)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Persistence::Stored => Ok(()),
            Persistence::NoDirectory => f.write_str(" until the daemon ends (no state_dir)"),
            Persistence::Transient => f.write_str(" until it is gone (it is in no file)"),
            Persistence::Failed(why) => write!(f, " until the daemon ends: {why}"),
        }
    }
}
