//! [`Refusal`]: why a request came to nothing, or to something else than what was asked for.

mod text;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::command::{Act, Selector};
use super::request::WaitFor;
#[cfg(feature = "attach")]
use super::run::RunRefusal;
use crate::models::Right;
use crate::process::{Cause, Condition, Exit, HookFailure, LastWords, Moment, ProcessState, StdinRefusal};
use crate::util::plural::counted;

pub(super) use text::RightText;

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
    /// Its start was cut short by the end of this one, to which it is bound; it starts when that gets there.
    CutShort {
        /// Which.
        on: String,
        /// How that has ended, where it is known by now.
        exit: Option<Exit>,
    },
    /// Somebody has stopped it meanwhile.
    StoppedMeanwhile(ProcessState),
    /// It is down, and the daemon itself does not start it.
    Disabled,
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
            Unreached::CutShort { on, exit } => {
                write!(f, "{on}, to which it is bound, has ended")?;
                if let Some(exit) = exit {
                    write!(f, " ({exit})")?;
                }
                write!(f, "; it starts when {on} is as it has to be")
            }
            Unreached::StoppedMeanwhile(state) => write!(f, "{state}: it was stopped meanwhile"),
            Unreached::Disabled => f.write_str("it is disabled, and only 'start' starts it"),
            Unreached::Removed => f.write_str("removed"),
            Unreached::RemovedFromConfiguration => f.write_str("removed from the configuration"),
            Unreached::ShuttingDown => f.write_str("the daemon is shutting down"),
        }
    }
}

/// Why a program can't have another number of instances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScaleFault {
    /// The file has no such section.
    NoProgram,
    /// It has one instance by the file.
    One,
    /// Its settings in the file are others than those in force.
    FileChanged,
    /// It is to be kept, and there is no `state_dir`.
    NoStateDir,
    /// More than so many are wanted.
    TooMany {
        /// How many there may be.
        most: u32,
    },
}

impl fmt::Display for ScaleFault {
    /// Behind its name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ScaleFault::NoProgram => {
                f.write_str("the file has no such program (name that of its section: web, not web:00)")
            }
            ScaleFault::One => f.write_str("it has one instance by the file; write numprocs = 2 or more there"),
            ScaleFault::FileChanged => {
                f.write_str("the file says something else of it than what is in force; run supervicectl update first")
            }
            ScaleFault::NoStateDir => f.write_str("nothing is kept without state_dir ([supervice])"),
            ScaleFault::TooMany { most } => write!(f, "at most {}", counted(*most, "instance")),
        }
    }
}

/// What somebody may have meant by a name that is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum NameHint {
    /// Nothing comes near.
    None,
    /// This one is spelled alike.
    Nearest(String),
    /// It is a group; one of its members.
    Group(String),
    /// It is a program of several processes; the first of them.
    Instances(String),
    /// It is this program, or an instance of it, and somebody has scaled it to none.
    ScaledAway(String),
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

impl RollbackReason {
    /// Why a program has failed, where that is the reason.
    fn cause(&self) -> Option<&Cause> {
        match self {
            RollbackReason::Unconfirmed => None,
            RollbackReason::Failed { cause, .. } => Some(cause),
        }
    }
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
    /// No rule of access allows it. Whether there is what it was asked of, is not told.
    Forbidden {
        /// Which right is missing.
        right: Right,
        /// To whom, as it was asked for; `None`: to the daemon, or to everything.
        on: Option<String>,
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
    /// The process has neither `reload_signal` nor `reload_command`.
    NoReload {
        /// Which.
        name: String,
    },
    /// A hook that was asked for has failed.
    HookFailed {
        /// Which process.
        name: String,
        /// How.
        failure: Arc<HookFailure>,
    },
    /// The processes did not come to the state that was asked for.
    NotReached {
        /// What was asked for.
        act: Act,
        /// Whose.
        on: Selector,
        /// Those that did not, and why.
        members: Vec<(String, Unreached)>,
        /// The time was up: it may still come.
        timed_out: bool,
    },
    /// What was waited for did not come.
    WaitFailed {
        /// Which process.
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
    /// The update was taken back before what it asks for had come about.
    UpdateTakenBack {
        /// Why.
        reason: Box<RollbackReason>,
    },
    /// No update waits to be confirmed.
    NothingToConfirm {
        /// Why the last one was taken back.
        taken_back: Option<Box<RollbackReason>>,
    },
    /// The output thread could not do it.
    Output {
        /// Which process.
        name: String,
        /// Why, as the system says it.
        message: String,
    },
    /// Nothing was written to the standard input of a process.
    Stdin {
        /// Which.
        name: String,
        /// Why.
        why: StdinRefusal,
    },
    /// The process has no terminal.
    #[cfg(feature = "attach")]
    NoTerminal {
        /// Which.
        name: String,
    },
    /// A program is not run.
    #[cfg(feature = "attach")]
    Run {
        /// The name that it would have had, if that is known.
        name: Option<String>,
        /// Why.
        why: RunRefusal,
    },
    /// The group is in force already.
    GroupThere {
        /// Which.
        name: String,
    },
    /// Something of the group runs, or is to run.
    GroupRunning {
        /// Which.
        name: String,
    },
    /// No further flag can be set: there are too many.
    TooManyFlags {
        /// How many.
        most: usize,
    },
    /// A program can't have another number of instances.
    NotScalable {
        /// Which.
        name: String,
        /// Why.
        why: ScaleFault,
    },
    /// There is no such log.
    NoLog {
        /// Where it would be, if it were written to a file.
        path: Option<String>,
    },
    /// This daemon can't begin anew: it is part of another program.
    CannotRestart,
    /// The daemon is at fault.
    Internal,
}

impl Refusal {
    /// The stable, machine-readable name of its kind, for instance `no_such_process`.
    pub fn kind(&self) -> &'static str {
        match self {
            Refusal::NoSuchProcess { hint: NameHint::ScaledAway(_), .. } => "scaled_to_0",
            Refusal::NoSuchProcess { .. } => "no_such_process",
            Refusal::NoSuchGroup { .. } => "no_such_group",
            Refusal::Forbidden { .. } => "forbidden",
            Refusal::ShuttingDown => "shutting_down",
            Refusal::NotInit => "not_init",
            Refusal::NotRunning { .. } => "not_running",
            Refusal::NotReached { timed_out: true, .. }
            | Refusal::WaitFailed { timed_out: true, .. }
            | Refusal::ReloadIncomplete { timed_out: true, .. }
            | Refusal::UpdateIncomplete { timed_out: true, .. } => "timed_out",
            Refusal::NoReload { .. } => "no_reload",
            Refusal::HookFailed { .. } => "hook_failed",
            Refusal::NotReached { .. } => "not_reached",
            Refusal::WaitFailed { .. } => "wait_failed",
            Refusal::RereadFailed(failure) | Refusal::ReloadFailed(failure) | Refusal::UpdateFailed(failure) => {
                failure.kind()
            }
            Refusal::ReloadIncomplete { .. } => "reload_incomplete",
            Refusal::UpdateIncomplete { .. } => "update_incomplete",
            Refusal::UpdateTakenBack { .. } => "update_taken_back",
            Refusal::NothingToConfirm { .. } => "nothing_to_confirm",
            Refusal::Output { .. } => "output_failed",
            Refusal::Stdin { why: StdinRefusal::NoPipe, .. } => "stdin_no_pipe",
            Refusal::Stdin { why: StdinRefusal::Closed, .. } => "stdin_closed",
            Refusal::Stdin { why: StdinRefusal::Full { .. }, .. } => "stdin_full",
            #[cfg(feature = "attach")]
            Refusal::NoTerminal { .. } => "no_terminal",
            #[cfg(feature = "attach")]
            Refusal::Run { why: RunRefusal::Configured, .. } => "run_configured",
            #[cfg(feature = "attach")]
            Refusal::Run { why: RunRefusal::InUse, .. } => "run_in_use",
            #[cfg(feature = "attach")]
            Refusal::Run { why: RunRefusal::Settings(_), .. } => "run_settings",
            #[cfg(feature = "attach")]
            Refusal::Run { why: RunRefusal::TooMany, .. } => "run_too_many",
            Refusal::GroupThere { .. } => "group_there",
            Refusal::GroupRunning { .. } => "group_running",
            Refusal::TooManyFlags { .. } => "too_many_flags",
            Refusal::NotScalable { .. } => "not_scalable",
            Refusal::NoLog { .. } => "no_log",
            Refusal::CannotRestart => "cannot_restart",
            Refusal::Internal => "internal_error",
        }
    }

    /// Why the process is in the state that it is in instead, where one process is to blame and that is known.
    pub fn cause(&self) -> Option<&Cause> {
        match self {
            Refusal::NotRunning { reached, .. } => reached.cause.as_ref(),
            Refusal::WaitFailed { why, .. } => cause_of(why),
            Refusal::UpdateTakenBack { reason } => reason.cause(),
            Refusal::NotReached { members, .. }
            | Refusal::ReloadIncomplete { members, .. }
            | Refusal::UpdateIncomplete { members, .. } => members.first().and_then(|(_, why)| cause_of(why)),
            Refusal::NoSuchProcess { .. }
            | Refusal::NoSuchGroup { .. }
            | Refusal::Forbidden { .. }
            | Refusal::ShuttingDown
            | Refusal::NotInit
            | Refusal::NoReload { .. }
            | Refusal::HookFailed { .. }
            | Refusal::RereadFailed(_)
            | Refusal::ReloadFailed(_)
            | Refusal::UpdateFailed(_)
            | Refusal::NothingToConfirm { .. }
            | Refusal::Output { .. }
            | Refusal::Stdin { .. }
            | Refusal::GroupThere { .. }
            | Refusal::GroupRunning { .. }
            | Refusal::TooManyFlags { .. }
            | Refusal::NotScalable { .. }
            | Refusal::NoLog { .. }
            | Refusal::CannotRestart
            | Refusal::Internal => None,
            #[cfg(feature = "attach")]
            Refusal::NoTerminal { .. } | Refusal::Run { .. } => None,
        }
    }
}

fn cause_of(unreached: &Unreached) -> Option<&Cause> {
    match unreached {
        Unreached::Reached(reached) | Unreached::WaitsFor { reached, .. } => reached.cause.as_ref(),
        Unreached::CutShort { .. }
        | Unreached::StoppedMeanwhile(_)
        | Unreached::Disabled
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

#[cfg(test)]
mod tests;
