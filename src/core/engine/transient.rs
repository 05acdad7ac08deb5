//! What is known of one program that somebody runs by hand.

use serde::{Deserialize, Serialize};

/// See the [module](self).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Transient {
    /// Somebody was told that its present run has ended.
    pub(super) seen: bool,
}
