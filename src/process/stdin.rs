//! Why input for a program was not taken.

use std::fmt;

use crate::util::plural::{choose, counted};
use serde::{Deserialize, Serialize};

/// Why nothing was written to the standard input of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StdinRefusal {
    /// It is no pipe.
    NoPipe,
    /// The program has closed it.
    Closed,
    /// The program does not read it.
    Full {
        /// How many bytes wait already.
        waiting: usize,
    },
}

impl fmt::Display for StdinRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StdinRefusal::NoPipe => {
                f.write_str("its standard input is no pipe; with stdin = pipe it is one from its next start on")
            }
            StdinRefusal::Closed => f.write_str("it has closed its standard input"),
            StdinRefusal::Full { waiting } => {
                let (bytes, wait) = (counted(*waiting, "byte"), choose(*waiting, "waits", "wait"));
                write!(f, "it does not read its standard input: {bytes} {wait} already, and these were not taken")
            }
        }
    }
}
