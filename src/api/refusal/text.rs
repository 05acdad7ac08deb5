//! What a refusal says.

use std::fmt;

use super::{NameHint, Refusal, Unreached};
use crate::api::command::{Act, Selector};
use crate::models::Right;
use crate::process::ProcessState;

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
    // Where the one that was asked for has done what it should, it is those that need it that have not.
    let own = match (on, members.first()) {
        (Selector::Process(name), Some((first, why))) if name == first => Some((name, why)),
        (Selector::Process(_) | Selector::Group(_) | Selector::Processes(_), _) => None,
    };
    let Some((name, why)) = own else { return write!(f, "{} {on}, but failed for: {}", act.done(), list(members)) };
    match act {
        Act::Start => write!(f, "{name} did not start: {why}"),
        Act::Stop => {
            write!(f, "{name} did not stop: {why}")?;
            match members.get(1..).filter(|others| !others.is_empty()) {
                Some(others) => write!(f, "; those that need it did not stop either: {}", list(others)),
                None => Ok(()),
            }
        }
        Act::Restart { .. } => write!(f, "{name} did not restart: {why}"),
        Act::Kill => write!(f, "{name} is not gone: {why}"),
    }
}

/// What a right would allow: `restart web`, `apply another configuration`.
pub(in crate::api) struct RightText<'a>(pub(in crate::api) Right, pub(in crate::api) Option<&'a str>);

impl fmt::Display for RightText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0, self.1) {
            (Right::Read, Some(name)) => write!(f, "see {name}"),
            (Right::Read, None) => f.write_str("see anything"),
            (Right::Stdin, Some(name)) => write!(f, "write to the standard input of {name}"),
            (Right::Logs, Some(name)) => write!(f, "read the output of {name}"),
            (Right::Logs, None) => f.write_str("read the daemon's log"),
            (Right::Reload, None) => f.write_str("have the daemon read its configuration"),
            (Right::Admin, Some(name)) => write!(f, "empty the logs of {name}, or see its secrets"),
            (Right::Admin, None) => f.write_str("do this to the daemon"),
            (right @ (Right::Start | Right::Stop | Right::Restart | Right::Signal | Right::Reload), Some(name)) => {
                write!(f, "{} {name}", right.as_str())
            }
            (right @ (Right::Start | Right::Stop | Right::Restart | Right::Signal | Right::Stdin), None) => {
                write!(f, "{} these", right.as_str())
            }
        }
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
                NameHint::ScaledAway(program) => {
                    write!(
                        f,
                        "no process '{name}': {program} is scaled to 0; supervicectl scale {program} N has N of it"
                    )
                }
                NameHint::Leaving => {
                    write!(f, "'{name}' was removed from the configuration and is still stopping")
                }
            },
            Refusal::NoSuchGroup { name, nearest } => {
                write!(f, "no group '{name}'")?;
                did_you_mean(f, nearest.as_deref())
            }
            Refusal::Forbidden { right, on } => {
                write!(f, "no rule of access allows you to {}", RightText(*right, on.as_deref()))
            }
            Refusal::ShuttingDown => f.write_str("the daemon is shutting down; nothing is started any more"),
            Refusal::NotInit => {
                f.write_str("this daemon is not the init of the machine (supervice --system-init); nothing was done")
            }
            Refusal::NotRunning { name, reached } => match reached.state {
                // It may have a process, for which it is too early or too late.
                ProcessState::Starting | ProcessState::Stopping | ProcessState::Running | ProcessState::Unhealthy => {
                    write!(f, "{name}: this is not possible while it is {reached}")
                }
                ProcessState::Stopped | ProcessState::Backoff | ProcessState::Exited | ProcessState::Fatal => {
                    write!(f, "{name} has no process; it is {reached}")
                }
            },
            Refusal::NoReload { name } => {
                write!(f, "{name} can't be told to read its configuration again: set reload_signal or reload_command")
            }
            Refusal::HookFailed { name, failure } => write!(f, "{name}: {failure}"),
            Refusal::NotReached { act, on, members, timed_out: _ } => not_reached(f, *act, on, members),
            Refusal::WaitFailed { name, until, why, timed_out: true } => write!(f, "{name} is not {until} yet: {why}"),
            Refusal::WaitFailed { name, until, why, timed_out: false } => {
                write!(f, "{name} will not be {until}: {why}")
            }
            Refusal::RereadFailed(why) => write!(f, "The configuration cannot be used: {why}"),
            Refusal::ReloadFailed(why) => write!(f, "Reload failed, nothing was changed: {why}"),
            Refusal::UpdateFailed(why) => write!(f, "Update failed, nothing was changed: {why}"),
            Refusal::ReloadIncomplete { members, timed_out: true } => {
                write!(f, "Reloaded, but these removed programs have not stopped yet: {}", list(members))
            }
            Refusal::ReloadIncomplete { members, timed_out: false } => {
                write!(f, "Reloaded, but these removed programs did not stop: {}", list(members))
            }
            Refusal::UpdateIncomplete { members, confirm_pending, timed_out } => {
                let how = if *timed_out { "not done yet" } else { "failed" };
                write!(f, "Updated, but {how} for: {}", list(members))?;
                match confirm_pending {
                    true => f.write_str("; without a confirm the configuration before comes back"),
                    false => Ok(()),
                }
            }
            Refusal::UpdateTakenBack { reason } => write!(f, "The update was taken back: {reason}"),
            Refusal::NothingToConfirm { taken_back: Some(reason) } => {
                write!(f, "Nothing to confirm: the update was taken back, because {reason}")
            }
            Refusal::NothingToConfirm { taken_back: None } => f.write_str("Nothing to confirm: no update waits for it"),
            Refusal::Output { name, message } => write!(f, "{name}: {message}"),
            Refusal::Stdin { name, why } => write!(f, "{name}: {why}"),
            #[cfg(feature = "attach")]
            Refusal::NoTerminal { name } => {
                write!(f, "{name} has no terminal: set tty = true, and restart it")
            }
            #[cfg(feature = "attach")]
            Refusal::Run { name: Some(name), why } => write!(f, "{name} is not run: {why}"),
            #[cfg(feature = "attach")]
            Refusal::Run { name: None, why } => write!(f, "nothing is run: {why}"),
            Refusal::GroupThere { name } => write!(f, "the group '{name}' is in force already"),
            Refusal::GroupRunning { name } => write!(f, "something of the group '{name}' runs; stop it first"),
            Refusal::TooManyFlags { most } => {
                write!(f, "{most} flags are set; clear some first (supervicectl flag list)")
            }
            Refusal::NotScalable { name, why } => write!(f, "{name}: {why}"),
            Refusal::NoLog { path: Some(path) } => write!(f, "there is no log at {path}"),
            Refusal::NoLog { path: None } => f.write_str("there is no log"),
            Refusal::CannotRestart => {
                f.write_str("this daemon is part of another program, which alone could begin it anew")
            }
            Refusal::Internal => f.write_str("an internal error of supervice, please report it"),
        }
    }
}
