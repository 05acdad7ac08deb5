//! [`TaskEnd`]: what came of a task.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::state::{Exit, SpawnError};
use crate::util::truncate::to_bytes;

/// What came of a task. Its leader is dead and was reaped, or never lived.
///
/// `output` holds the last lines that it wrote, as printable text with a line feed between each two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum TaskEnd {
    /// It ended by itself.
    Exited {
        /// How.
        exit: Exit,
        /// Its last lines.
        output: Box<str>,
    },
    /// Its time was up before it had ended.
    TimedOut {
        /// How long it had.
        limit: Duration,
        /// How it ended after it was sent a signal.
        exit: Exit,
        /// Its last lines.
        output: Box<str>,
    },
    /// It could not be spawned.
    SpawnFailed(Box<SpawnError>),
    /// Its result was no longer wanted.
    Cancelled,
}

impl TaskEnd {
    /// It ended by itself with exit code 0.
    pub fn is_success(&self) -> bool {
        match self {
            TaskEnd::Exited { exit, .. } => *exit == Exit::Code(0),
            TaskEnd::TimedOut { .. } | TaskEnd::SpawnFailed(_) | TaskEnd::Cancelled => false,
        }
    }

    /// All lines that are known of what it wrote.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        let output = match self {
            TaskEnd::Exited { output, .. } | TaskEnd::TimedOut { output, .. } => &**output,
            TaskEnd::SpawnFailed(_) | TaskEnd::Cancelled => "",
        };
        output.split('\n').filter(|line| !line.is_empty())
    }

    /// The same with the last line alone, cut to so many bytes.
    pub(crate) fn shortened(&self, longest: usize) -> TaskEnd {
        let line = || to_bytes(self.last_line().unwrap_or_default(), longest).into();
        match self {
            TaskEnd::Exited { exit, output: _ } => TaskEnd::Exited { exit: *exit, output: line() },
            TaskEnd::TimedOut { limit, exit, output: _ } => {
                TaskEnd::TimedOut { limit: *limit, exit: *exit, output: line() }
            }
            TaskEnd::SpawnFailed(error) => TaskEnd::SpawnFailed(Box::new(error.shortened(longest))),
            TaskEnd::Cancelled => TaskEnd::Cancelled,
        }
    }

    /// The last line that it wrote and that is not blank.
    pub fn last_line(&self) -> Option<&str> {
        match self {
            TaskEnd::Exited { output, .. } | TaskEnd::TimedOut { output, .. } => {
                output.rsplit('\n').next().filter(|line| !line.is_empty())
            }
            TaskEnd::SpawnFailed(_) | TaskEnd::Cancelled => None,
        }
    }
}

impl fmt::Display for TaskEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TaskEnd::Exited { exit, .. } => exit.fmt(f)?,
            TaskEnd::TimedOut { limit, exit, .. } => write!(f, "not finished within {} s, {exit}", limit.as_secs())?,
            TaskEnd::SpawnFailed(error) => error.fmt(f)?,
            TaskEnd::Cancelled => f.write_str("cancelled")?,
        }
        match self.last_line() {
            Some(line) => write!(f, ": {line}"),
            None => Ok(()),
        }
    }
}
