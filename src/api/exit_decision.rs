//! [`ExitDecision`]: the daemon ends because a program has.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::models::ExitOn;
use crate::process::{Cause, Exit, LastWords, ProcessState, SpawnError};

/// The setting of a program by which its end ends the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExitSetting {
    /// `exit_on`.
    ExitOn(ExitOn),
    /// `on_fatal = exit`.
    OnFatal,
}

impl fmt::Display for ExitSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExitSetting::ExitOn(exit_on) => write!(f, "exit_on = {}", exit_on.as_str()),
            ExitSetting::OnFatal => f.write_str("on_fatal = exit"),
        }
    }
}

/// Whose end it was, and how that came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ExitReason {
    /// A program's end that ends the daemon.
    Program {
        /// Which.
        name: String,
        /// The state that it has come to.
        state: ProcessState,
        /// Its setting that asks for it.
        setting: ExitSetting,
        /// Why it has come to that state.
        cause: Cause,
    },
    /// Everything has ended as it should.
    AllEnded,
    /// Everything has ended, and this program has failed.
    AllEndedButFailed {
        /// Which; the first of them.
        name: String,
        /// The state that it has come to.
        state: ProcessState,
        /// How its last run ended.
        exit: Option<Exit>,
        /// Why it could not be started.
        error: Option<SpawnError>,
    },
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExitReason::Program { name, state, setting, cause } => write!(f, "{name} ({state}, {setting}): {cause}"),
            ExitReason::AllEnded => f.write_str("all programs have ended (exit_when_idle)"),
            ExitReason::AllEndedButFailed { name, state, exit, error } => {
                write!(f, "all programs have ended (exit_when_idle), but {name} failed: {state}, ")?;
                match (error, exit) {
                    (Some(error), _) => error.fmt(f),
                    (None, Some(exit)) => exit.fmt(f),
                    (None, None) => Ok(()),
                }
            }
        }
    }
}

/// Why the daemon ends by itself, and with which code.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExitDecision {
    /// What the daemon exits with.
    pub code: u8,
    /// Whose end it was, and how that came.
    pub reason: ExitReason,
    /// What the program has said last, where that may explain its failure.
    pub last_words: Option<LastWords>,
}

impl fmt::Display for ExitDecision {
    /// Which program's end it was and how that came, in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)?;
        match &self.last_words {
            Some(words) => write!(f, ": {words}"),
            None => Ok(()),
        }
    }
}
