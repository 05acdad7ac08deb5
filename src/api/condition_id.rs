//! [`ConditionId`]: names one of the conditions that a start waits for.

use serde::{Deserialize, Serialize};

/// Names one of the conditions of a start. Another configuration may ask for others while it waits: what is told of
/// those before is not told of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ConditionId {
    /// How often this start has asked for others before.
    pub watch: u8,
    /// Its place among the conditions of the configuration.
    pub place: u8,
}
