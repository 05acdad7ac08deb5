//! Which processes of a run get a signal.

use serde::{Deserialize, Serialize};

/// Which processes of a run get a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignalTarget {
    /// Its leader alone, as long as it lives; what it has forked is its own business.
    #[default]
    Leader,
    /// All that is left of the run.
    Group,
}

impl SignalTarget {
    /// See [`SignalTarget::Leader`].
    pub fn is_leader(&self) -> bool {
        *self == SignalTarget::Leader
    }
}
