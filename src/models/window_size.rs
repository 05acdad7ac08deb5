//! The size of a terminal.

use serde::{Deserialize, Serialize};

/// The size of a terminal, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowSize {
    /// Lines.
    pub rows: u16,
    /// Characters in a line.
    pub columns: u16,
}

impl Default for WindowSize {
    /// That of a terminal that says nothing of its size.
    fn default() -> Self {
        WindowSize { rows: 24, columns: 80 }
    }
}
