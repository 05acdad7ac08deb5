//! Programs that are run beside those of the configuration.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::models::WindowSize;

/// A program that is to be run, and is gone when it has ended and that was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its name; `None`: the next one that is free.
    pub name: Option<String>,
    /// The program and its arguments; no shell is involved.
    pub command: Vec<String>,
    /// Keys of a program with their values, as they would stand in a file.
    pub settings: Vec<(String, String)>,
    /// It has a terminal.
    pub tty: bool,
    /// The type of the terminal that whoever asks sits at.
    pub term: Option<String>,
    /// And its size.
    pub size: Option<WindowSize>,
    /// Whoever asks is sent what it writes, and then how it has ended; else only told that it runs.
    pub attached: bool,
    /// The most that the answer to one who is not attached may wait; the run goes on.
    #[serde(default)]
    pub timeout: Option<Duration>,
}

/// How many bytes of a command are shown.
const MAX_SHOWN_BYTES: usize = 200;

impl fmt::Display for Run {
    /// As it is typed, without the settings, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.as_ref().map(|name| format!("--name {name} ")).unwrap_or_default();
        let command = self.command.join(" ");
        write!(f, "run {name}-- {}", crate::util::truncate::to_bytes(&command, MAX_SHOWN_BYTES))
    }
}

/// Why a program is not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RunRefusal {
    /// The configuration has a program or a group of this name.
    Configured,
    /// Another one of this name runs.
    InUse,
    /// Its settings are no good, one line for each fault.
    Settings(String),
    /// Too many wait for a name server or a disk that does not answer.
    TooMany,
}

impl fmt::Display for RunRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunRefusal::Configured => f.write_str("the configuration has this name; choose another one (--name)"),
            RunRefusal::InUse => f.write_str("one of this name is there; stop it, or choose another one (--name)"),
            RunRefusal::Settings(faults) => f.write_str(faults),
            RunRefusal::TooMany => {
                f.write_str("others wait to have their settings read; does a file system or name server hang?")
            }
        }
    }
}
