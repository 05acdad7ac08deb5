//! Rows of the registry: what there is to tell of a process, unworded.

use std::sync::Arc;

use super::orphan_note::Bystanders;
use crate::models::ProgramConfig;
use crate::process::{Cause, Condition, Exit, LastWords, Moment, ProcessState, signal_text};

/// One process in the answer to `status`.
#[derive(Debug, Clone, PartialEq)]
pub struct StatusRow {
    /// Its settings.
    pub program: Arc<ProgramConfig>,
    /// Its state.
    pub state: ProcessState,
    /// What a person is told of it.
    pub condition: Condition,
    /// What the run that has just ended said last.
    pub last_words: Option<LastWords>,
    /// Why its output is being lost, while it is.
    pub output_trouble: Option<Arc<str>>,
    /// Processes of an earlier daemon that are left alone.
    pub bystanders: Option<Bystanders>,
    /// The process; `None` where there is none.
    pub pid: Option<i32>,
    /// Somebody has paused it by this signal. Looked up when somebody asks; the engine does not know it.
    pub paused: Option<u8>,
    /// When it was spawned.
    pub started_at: Option<Moment>,
    /// What its health checks say.
    pub healthy: Option<bool>,
    /// How the last run ended.
    pub last_exit: Option<Exit>,
    /// Whether it has told that it is ready; `None` where nothing tells.
    pub ready: Option<bool>,
    /// It is a oneshot, and has done what it is for.
    pub completed: bool,
    /// Starts without an operator since the last operator's start.
    pub restarts: u64,
    /// When it came into its state.
    pub since: Option<Moment>,
    /// In `STOPPING`: when SIGKILL follows.
    pub kill_at: Option<Moment>,
    /// In `BACKOFF`: when the next attempt comes.
    pub retry_at: Option<Moment>,
}

impl StatusRow {
    /// One line that a person can act on.
    pub fn describe(&self, now: Moment) -> String {
        let mut line = self.condition.describe(now, self.last_words.as_ref());
        if let Some(signal) = self.paused {
            line.push_str(&format!(", paused ({})", signal_text(signal)));
        }
        if let Some(trouble) = &self.output_trouble {
            line.push_str("; output is lost: ");
            line.push_str(trouble);
        }
        if let Some(bystanders) = &self.bystanders {
            line.push_str(&format!("; {bystanders}"));
        }
        line
    }
}

/// A transition of the past, or a note about something that did not change the state (`from` and `to` are the same then).
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryRow {
    /// Whose.
    pub program: Arc<ProgramConfig>,
    /// When.
    pub at: Moment,
    /// The state before.
    pub from: ProcessState,
    /// The state after.
    pub to: ProcessState,
    /// The process, where there was one.
    pub pid: Option<i32>,
    /// Why.
    pub cause: Cause,
}
