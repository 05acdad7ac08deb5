//! What keeps a process from going where it is sent: programs that have to come or go first, each with what is told of
//! it.

use std::fmt;
use std::sync::Arc;

use super::command::Act;
use crate::models::{DependencyCondition, ProgramConfig};
use crate::process::{Condition, Initiator, LastWords, Moment, ProcessState, Verb};

/// What was last asked for, and by whom.
#[derive(Debug, Clone, PartialEq)]
pub struct LastRequest {
    /// What.
    pub verb: Verb,
    /// Who.
    pub by: Initiator,
    /// When.
    pub at: Moment,
}

/// A program on the way from one that can't start to what is to blame for that.
#[derive(Debug, Clone, PartialEq)]
pub struct ChainStep {
    /// Which.
    pub program: Arc<ProgramConfig>,
    /// What has to hold of it.
    pub condition: DependencyCondition,
    /// Its state.
    pub state: ProcessState,
    /// What a person is told of it.
    pub told: Condition,
    /// What the run that has just ended said last.
    pub last_words: Option<LastWords>,
    /// What was last asked for.
    pub last_request: Option<LastRequest>,
    /// The daemon itself does not start it, for nobody.
    pub disabled: bool,
}

impl ChainStep {
    /// One line about it: who has stopped it, where somebody has, and whether it is disabled.
    pub fn describe(&self, now: Moment) -> String {
        let text = match (&self.told, &self.last_request) {
            (Condition::Stopped, Some(LastRequest { verb, by, .. })) => format!("{verb} requested {by}"),
            (told, _) => told.describe(now, self.last_words.as_ref()),
        };
        if self.disabled { format!("disabled; {text}") } else { text }
    }
}

/// A command that waits until others have gone.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldBack {
    /// What is to be done.
    pub act: Act,
    /// Who has asked for it.
    pub by: Initiator,
    /// The first of those that have to go before.
    pub behind: Vec<ChainStep>,
    /// How many more there are.
    pub more: usize,
}

impl HeldBack {
    /// `To be stopped (by uid 0, pid 1) when these have gone: web (STOPPING: stopping, SIGKILL in 7 s)`
    pub(super) fn text(&self, now: Moment) -> String {
        let each =
            self.behind.iter().map(|step| format!("{} ({}: {})", step.program.name, step.state, step.describe(now)));
        let mut names = each.collect::<Vec<String>>().join(", ");
        if self.more > 0 {
            names.push_str(&format!(" and {} more", self.more));
        }
        format!("To be {} ({}) when these have gone: {names}.", self.act.done().to_lowercase(), self.by)
    }
}

impl fmt::Display for HeldBack {
    /// `to be stopped when web, api have gone`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.behind.iter().map(|step| step.program.name.as_str()).collect();
        write!(f, "to be {} when {}", self.act.done().to_lowercase(), names.join(", "))?;
        match (names.len(), self.more) {
            (0, 1) => f.write_str("1 other has gone"),
            (0, more) => write!(f, "{more} others have gone"),
            (1, 0) => f.write_str(" has gone"),
            (_, 0) => f.write_str(" have gone"),
            (_, more) => write!(f, " and {more} more have gone"),
        }
    }
}
