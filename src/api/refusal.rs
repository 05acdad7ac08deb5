//! [`Refusal`]: why a request came to nothing, or to something else than what was asked for.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::command::{Act, Selector};
use super::request::WaitFor;
use crate::process::{Cause, Condition, LastWords, Moment, ProcessState};

/// The state that was reached instead.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reached {
    /// The state.
    pub state: ProcessState,
    /// What a person is told of it.
    pub condition: Condition,
    /// What the run that has just ended said last.
    pub last_words: Option<LastWords>,
    /// Why it is in this state; `None` where it never changed it.
    pub cause: Option<Cause>,
    /// When that was so.
    pub at: Moment,
}

impl fmt::Display for Reached {
    /// The state and why, in one line: `BACKOFF: exit code 3 after 0.2 s, retry 2 of 3 in 2 s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.state, self.condition.describe(self.at, self.last_words.as_ref()))
    }
}

/// Why a process did not get where it was to get.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Unreached {
    /// It is in another state.
    Reached(Box<Reached>),
    /// It waits for this one, which has failed; it starts when that gets there.
    WaitsFor {
        /// Which.
        on: String,
        /// What that is instead.
        reached: Box<Reached>,
    },
    /// Somebody has stopped it meanwhile.
    StoppedMeanwhile(ProcessState),
    /// It is no longer there.
    Removed,
    /// The configuration has lost it, and what was waited for will not come.
    RemovedFromConfiguration,
    /// The daemon ends, and what was waited for will not come.
    ShuttingDown,
}

impl fmt::Display for Unreached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unreached::Reached(reached) => reached.fmt(f),
            Unreached::WaitsFor { on, reached } => {
                write!(f, "it waits for {on}, which is {reached}; it starts when {on} is as it has to be")
            }
            Unreached::StoppedMeanwhile(state) => write!(f, "{state}: it was stopped meanwhile"),
            Unreached::Removed => f.write_str("removed"),
            Unreached::RemovedFromConfiguration => f.write_str("removed from the configuration"),
            Unreached::ShuttingDown => f.write_str("the daemon is shutting down"),
        }
    }
}

/// What somebody may have meant by a name that is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameHint {
    /// Nothing comes near.
    None,
    /// This one is spelled alike.
    Nearest(String),
    /// It is a group; one of its members.
    Group(String),
    /// It is a program of several processes; the first of them.
    Instances(String),
    /// It was removed from the configuration and is still stopping.
    Leaving,
}

/// Why a configuration was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReloadFailure {
    /// The daemon ends.
    ShuttingDown,
    /// The file can't be used; the text of all its errors.
    Config(Arc<str>),
    /// The update before waits to be confirmed.
    PendingCommit {
        /// Seconds until it is taken back.
        seconds: u64,
    },
    /// The file could not be read in time.
    TimedOut {
        /// Seconds that it was waited for.
        seconds: u64,
    },
}

impl fmt::Display for ReloadFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReloadFailure::ShuttingDown => f.write_str("the daemon is shutting down"),
            ReloadFailure::Config(text) => f.write_str(text),
            ReloadFailure::PendingCommit { seconds } => write!(
                f,
                "the update before waits to be confirmed (supervicectl confirm), or is taken back in {seconds} s"
            ),
            ReloadFailure::TimedOut { seconds } => {
                write!(f, "the configuration was not read within {seconds} s; does its file system answer?")
            }
        }
    }
}

/// Why an update was taken back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum RollbackReason {
    /// Nobody has confirmed it in time.
    Unconfirmed,
    /// A program that it started or restarted has failed.
    Failed {
        /// Which.
        name: String,
        /// The state that it came to.
        state: ProcessState,
        /// Why.
        cause: Cause,
    },
}

impl fmt::Display for RollbackReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RollbackReason::Unconfirmed => f.write_str("nobody has confirmed it in time"),
            RollbackReason::Failed { name, state, cause } => write!(f, "{name} is {state}: {cause}"),
        }
    }
}

/// Why a request came to nothing, or to something else than what was asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Refusal {
    /// There is no such process.
    NoSuchProcess {
        /// The name that was given.
        name: String,
        /// What may have been meant.
        hint: NameHint,
    },
    /// There is no such group.
    NoSuchGroup {
        /// The name that was given.
        name: String,
        /// One that is spelled alike.
        nearest: Option<String>,
    },
    /// The daemon ends; nothing is started any more.
    ShuttingDown,
    /// This daemon is not the machine's init.
    NotInit,
    /// The process does not run.
    NotRunning {
        /// Which.
        name: String,
        /// What it does instead.
        reached: Box<Reached>,
    },
    /// The processes did not come to the state that was asked for.
    NotReached {
        /// What was asked for.
        act: Act,
        /// Of whom.
        on: Selector,
        /// Those that did not, and why.
        members: Vec<(String, Unreached)>,
        /// The time was up: it may still come.
        timed_out: bool,
    },
    /// What was waited for did not come.
    WaitFailed {
        /// Of which process.
        name: String,
        /// What.
        until: WaitFor,
        /// Why.
        why: Unreached,
        /// The time was up: it may still come.
        timed_out: bool,
    },
    /// The file can't be used.
    RereadFailed(ReloadFailure),
    /// The configuration was not reloaded; nothing was changed.
    ReloadFailed(ReloadFailure),
    /// The configuration was not updated; nothing was changed.
    UpdateFailed(ReloadFailure),
    /// The configuration was reloaded, but these removed programs did not stop.
    ReloadIncomplete {
        /// Which, and why.
        members: Vec<(String, Unreached)>,
        /// The time was up: it may still come.
        timed_out: bool,
    },
    /// The configuration was updated, but these programs did not do what it asks for.
    UpdateIncomplete {
        /// Which, and why.
        members: Vec<(String, Unreached)>,
        /// It is taken back unless it is confirmed.
        confirm_pending: bool,
        /// The time was up: it may still come.
        timed_out: bool,
    },
    /// No update waits to be confirmed.
    NothingToConfirm {
        /// Why the last one was taken back.
        taken_back: Option<Box<RollbackReason>>,
    },
    /// The output thread could not do it.
    Output {
        /// Of which process.
        name: String,
        /// Why, as the system says it.
        message: String,
    },
    /// The daemon is at fault.
    Internal,
}

impl Refusal {
    /// The stable, machine-readable name of its kind, for instance `no_such_process`.
    pub fn kind(&self) -> &'static str {
        match self {
            Refusal::NoSuchProcess { .. } => "no_such_process",
            Refusal::NoSuchGroup { .. } => "no_such_group",
            Refusal::ShuttingDown => "shutting_down",
            Refusal::NotInit => "not_init",
            Refusal::NotRunning { .. } => "not_running",
            Refusal::NotReached { timed_out: true, .. }
            | Refusal::WaitFailed { timed_out: true, .. }
            | Refusal::ReloadIncomplete { timed_out: true, .. }
            | Refusal::UpdateIncomplete { timed_out: true, .. } => "timed_out",
            Refusal::NotReached { .. } => "not_reached",
            Refusal::WaitFailed { .. } => "wait_failed",
            Refusal::RereadFailed(failure) | Refusal::ReloadFailed(failure) | Refusal::UpdateFailed(failure) => {
                failure.kind()
            }
            Refusal::ReloadIncomplete { .. } => "reload_incomplete",
            Refusal::UpdateIncomplete { .. } => "update_incomplete",
            Refusal::NothingToConfirm { .. } => "nothing_to_confirm",
            Refusal::Output { .. } => "output_failed",
            Refusal::Internal => "internal_error",
        }
    }

    /// Why the process is in the state that it is in instead, where one process is to blame and that is known.
    pub fn cause(&self) -> Option<&Cause> {
        match self {
            Refusal::NotRunning { reached, .. } => reached.cause.as_ref(),
            Refusal::WaitFailed { why, .. } => cause_of(why),
            Refusal::NotReached { members, .. }
            | Refusal::ReloadIncomplete { members, .. }
            | Refusal::UpdateIncomplete { members, .. } => members.first().and_then(|(_, why)| cause_of(why)),
            Refusal::NoSuchProcess { .. }
            | Refusal::NoSuchGroup { .. }
            | Refusal::ShuttingDown
            | Refusal::NotInit
            | Refusal::RereadFailed(_)
            | Refusal::ReloadFailed(_)
            | Refusal::UpdateFailed(_)
            | Refusal::NothingToConfirm { .. }
            | Refusal::Output { .. }
            | Refusal::Internal => None,
        }
    }
}

fn cause_of(unreached: &Unreached) -> Option<&Cause> {
    match unreached {
        Unreached::Reached(reached) | Unreached::WaitsFor { reached, .. } => reached.cause.as_ref(),
        Unreached::StoppedMeanwhile(_)
        | Unreached::Removed
        | Unreached::RemovedFromConfiguration
        | Unreached::ShuttingDown => None,
    }
}

impl ReloadFailure {
    fn kind(&self) -> &'static str {
        match self {
            ReloadFailure::ShuttingDown => "shutting_down",
            ReloadFailure::Config(_) => "invalid_configuration",
            ReloadFailure::PendingCommit { .. } => "commit_pending",
            ReloadFailure::TimedOut { .. } => "timed_out",
        }
    }
}

fn did_you_mean(f: &mut fmt::Formatter<'_>, nearest: Option<&str>) -> fmt::Result {
    match nearest {
        Some(name) => write!(f, "; did you mean '{name}'?"),
        None => Ok(()),
    }
}

fn list(members: &[(String, Unreached)]) -> String {
    let each: Vec<String> = members.iter().map(|(name, why)| format!("{name} ({why})")).collect();
    each.join(", ")
}

fn not_reached(f: &mut fmt::Formatter<'_>, act: Act, on: &Selector, members: &[(String, Unreached)]) -> fmt::Result {
    match (act, on) {
        (Act::Start, Selector::Process(name)) => write!(f, "{name} did not start: ")?,
        (Act::Stop, Selector::Process(name)) => write!(f, "{name} did not stop: ")?,
        (Act::Restart { .. }, Selector::Process(name)) => write!(f, "{name} did not restart: ")?,
        (Act::Kill, Selector::Process(name)) => write!(f, "{name} is not gone: ")?,
        (act, Selector::Group(_)) => return write!(f, "{} {on}, but failed for: {}", act.done(), list(members)),
    }
    match members.first() {
        Some((_, why)) => fmt::Display::fmt(why, f),
        None => Ok(()),
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::NoSuchProcess { name, hint } => match hint {
                NameHint::None => write!(f, "no process '{name}'"),
                NameHint::Nearest(nearest) => {
                    write!(f, "no process '{name}'")?;
                    did_you_mean(f, Some(nearest))
                }
                NameHint::Group(first) => {
                    write!(f, "'{name}' is a group; name its members ('{first}' ...), or use startgroup or stopgroup")
                }
                NameHint::Instances(first) => write!(f, "no process '{name}'; its processes are '{first}' ..."),
                NameHint::Leaving => {
                    write!(f, "'{name}' was removed from the configuration and is still stopping")
                }
            },
            Refusal::NoSuchGroup { name, nearest } => {
                write!(f, "no group '{name}'")?;
                did_you_mean(f, nearest.as_deref())
            }
            Refusal::ShuttingDown => f.write_str("the daemon is shutting down; nothing is started any more"),
            Refusal::NotInit => {
                f.write_str("this daemon is not the init of the machine (supervice --system-init); nothing was done")
            }
            Refusal::NotRunning { name, reached } => write!(f, "{name} has no process; it is {reached}"),
            Refusal::NotReached { act, on, members, timed_out: _ } => not_reached(f, *act, on, members),
            Refusal::WaitFailed { name, until, why, timed_out: true } => write!(f, "{name} is not {until} yet: {why}"),
            Refusal::WaitFailed { name, until, why, timed_out: false } => {
                write!(f, "{name} will not be {until}: {why}")
            }
            Refusal::RereadFailed(why) => write!(f, "The configuration can not be used: {why}"),
            Refusal::ReloadFailed(why) => write!(f, "Reload failed, nothing was changed: {why}"),
            Refusal::UpdateFailed(why) => write!(f, "Update failed, nothing was changed: {why}"),
            Refusal::ReloadIncomplete { members, .. } => {
                write!(f, "Reloaded, but these removed programs did not stop: {}", list(members))
            }
            Refusal::UpdateIncomplete { members, confirm_pending, .. } => {
                write!(f, "Updated, but failed for: {}", list(members))?;
                match confirm_pending {
                    true => f.write_str("; without a confirm the configuration before comes back"),
                    false => Ok(()),
                }
            }
            Refusal::NothingToConfirm { taken_back: Some(reason) } => {
                write!(f, "Nothing to confirm: the update was taken back, because {reason}")
            }
            Refusal::NothingToConfirm { taken_back: None } => f.write_str("Nothing to confirm: no update waits for it"),
            Refusal::Output { name, message } => write!(f, "{name}: {message}"),
            Refusal::Internal => f.write_str("an internal error of supervice, please report it"),
        }
    }
}

#[cfg(test)]
mod tests;
