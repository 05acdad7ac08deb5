//! Rows of the registry: what there is to tell of a process, unworded.

use std::sync::Arc;

use crate::models::ProgramConfig;
use crate::process::{Cause, Condition, Exit, Moment, ProcessState};

/// One process in the answer to `status`.
#[derive(Debug, Clone, PartialEq)]
pub struct StatusRow {
    /// Its settings.
    pub program: Arc<ProgramConfig>,
    /// Its state.
    pub state: ProcessState,
    /// What a person is told of it.
    pub condition: Condition,
    /// The last line that the run which has just ended wrote.
    pub last_line: Option<Arc<str>>,
    /// Why its output is being lost, while it is.
    pub output_trouble: Option<Arc<str>>,
    /// Processes of an earlier daemon that are left alone.
    pub left_alone: Vec<i32>,
    /// The process; `None` where there is none.
    pub pid: Option<i32>,
    /// When it was spawned.
    pub started_at: Option<Moment>,
    /// What its health checks say.
    pub healthy: Option<bool>,
    /// How the last run ended.
    pub last_exit: Option<Exit>,
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
        let mut line = self.condition.describe(now, self.last_line.as_deref());
        if let Some(trouble) = &self.output_trouble {
            line.push_str("; output is lost: ");
            line.push_str(trouble);
        }
        if !self.left_alone.is_empty() {
            line.push_str("; an earlier daemon left ");
            line.push_str(&pids(&self.left_alone));
            line.push_str(" running");
        }
        line
    }
}

/// Pids that a sentence names.
const MOST_PIDS: usize = 8;

/// `pid 4, 5`, and after eight of them `and 2 more`.
pub(crate) fn pids(pids: &[i32]) -> String {
    let text = |pids: &[i32]| pids.iter().map(i32::to_string).collect::<Vec<_>>().join(", ");
    match pids.get(..MOST_PIDS) {
        Some(first) if pids.len() > MOST_PIDS => format!("pid {} and {} more", text(first), pids.len() - MOST_PIDS),
        Some(_) | None => format!("pid {}", text(pids)),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_of_pids_are_cut() {
        let up_to = |last: i32| (1..=last).collect::<Vec<_>>();
        assert_eq!(pids(&[4]), "pid 4");
        assert_eq!(pids(&up_to(8)), "pid 1, 2, 3, 4, 5, 6, 7, 8");
        assert_eq!(pids(&up_to(10)), "pid 1, 2, 3, 4, 5, 6, 7, 8 and 2 more");
    }
}
