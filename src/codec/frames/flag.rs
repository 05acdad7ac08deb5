//! Flags, on the wire.

use serde::{Deserialize, Serialize};

use super::{is_zero, report};
use crate::api::FlagRow;

/// A flag, for which starts may wait.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Flag {
    /// Its name.
    pub name: String,
    /// Somebody has set it.
    pub set: bool,
    /// Programs that name it in `start_when`; the first few.
    pub programs: Vec<String>,
    /// How many more there are.
    #[serde(skip_serializing_if = "is_zero")]
    pub more: usize,
}

impl Flag {
    fn of(row: &FlagRow) -> Flag {
        let FlagRow { name, is_set, programs, more } = row.clone();
        Flag { name, set: is_set, programs, more }
    }
}

pub(super) fn flags(rows: &[FlagRow]) -> Vec<u8> {
    #[derive(Serialize)]
    struct Answer {
        flags: Vec<Flag>,
    }
    report::with_status(&Answer { flags: rows.iter().map(Flag::of).collect() })
}
