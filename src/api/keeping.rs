//! Whether something outlives the daemon.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// What has come of keeping something over a restart of the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Keeping {
    /// It is on the disk.
    Kept,
    /// There is no `state_dir`.
    NoDirectory,
    /// It is of a program that somebody runs by hand, and goes with that.
    Transient,
    /// It could not be written: this is why.
    Failed(Arc<str>),
}

impl fmt::Display for Keeping {
    /// Behind what was done: ` until the daemon ends (no state_dir)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Keeping::Kept => Ok(()),
            Keeping::NoDirectory => f.write_str(" until the daemon ends (no state_dir)"),
            Keeping::Transient => f.write_str(" until it is gone (it is in no file)"),
            Keeping::Failed(why) => write!(f, " until the daemon ends: {why}"),
        }
    }
}
