//! [`Reply`]: what a request came to.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::command::{Act, Selector};
use super::request::WaitFor;
use super::status::{HistoryRow, StatusRow};
use super::why::Why;
use crate::models::Power;
use crate::process::{Moment, SignalTarget, signal_text};
use crate::util::sorted::SortedMap;

/// Names that a reload has changed, each list sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// Programs that are new.
    pub added: Vec<String>,
    /// Programs that have gone.
    pub removed: Vec<String>,
    /// Programs with new settings.
    pub changed: Vec<String>,
}

/// Keys of `[supervice]` whose value is another than the one in force, in the order of the manual.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DaemonChanges {
    /// Those that take effect at once.
    pub live: Vec<String>,
    /// Those that take effect when the daemon is started anew.
    pub restart: Vec<String>,
}

/// A key whose value a new configuration changes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KeyChange {
    /// The key, for instance `command`, `healthcheck_port` or `environment.PATH`.
    pub key: String,
    /// The value in force; null: none. Of a variable `(hidden)`.
    pub old: Value,
    /// The value in the file; null: none. Of a variable `(hidden)`.
    pub new: Value,
}

/// What an update would change.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Reread {
    /// Programs that would be added, sorted.
    pub added: Vec<String>,
    /// Programs that would be stopped and removed, sorted.
    pub removed: Vec<String>,
    /// Programs with new settings, and which. `[supervice]` stands for the daemon itself.
    #[serde(serialize_with = "SortedMap::serialize_map")]
    pub changed: SortedMap<String, Vec<KeyChange>>,
    /// What is odd about the file, though no error.
    pub warnings: Vec<String>,
    /// What becomes of the keys of `[supervice]`.
    pub daemon: DaemonChanges,
}

/// What an update has changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Updated {
    /// Which programs.
    pub changes: Changes,
    /// Those that were restarted, sorted; the others take their settings without, or at their next start.
    pub restarted: Vec<String>,
    /// When the daemon goes back to the configuration before, unless it is confirmed.
    pub confirm_until: Option<Moment>,
    /// The daemon's own settings.
    pub daemon: DaemonChanges,
}

/// What a request came to. [`Display`](fmt::Display) words those that are one sentence; the others are data, worded by
/// whoever shows them.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// The state that was asked for is reached.
    Reached {
        /// What was done.
        act: Act,
        /// To whom.
        on: Selector,
        /// And to those that need these, sorted as they are in the configuration.
        also: Vec<String>,
    },
    /// It was so already.
    AlreadyThere {
        /// What was asked for.
        act: Act,
        /// The process.
        name: String,
    },
    /// It is begun; nobody waits for its end.
    Begun {
        /// What is being done.
        act: Act,
        /// To whom.
        on: Selector,
    },
    /// The process is as it was waited for.
    WaitOver {
        /// Which.
        name: String,
        /// For what.
        until: WaitFor,
    },
    /// The signal was sent.
    SignalSent {
        /// To whom.
        name: String,
        /// Its number.
        signal: u8,
        /// To its main process alone, or to all of it.
        target: SignalTarget,
    },
    /// The update is confirmed.
    Confirmed,
    /// The daemon ends.
    ShuttingDown,
    /// Everything is stopped, and then the machine.
    PowerBegun(Power),
    /// All log files are opened anew.
    LogsReopened,
    /// The logs of a process are empty.
    LogsCleared {
        /// Which.
        name: String,
    },
    /// Rows of the registry.
    Status {
        /// From `offset` on.
        rows: Vec<StatusRow>,
        /// How many were skipped.
        offset: usize,
        /// When that was so.
        now: Moment,
    },
    /// Transitions, oldest first.
    History(Vec<HistoryRow>),
    /// How a process came to its state.
    Why(Box<Why>),
    /// A process id.
    Pid(i32),
    /// The daemon's process id, with its version.
    Version(i32),
    /// The level of the daemon's own log.
    LogLevel(String),
    /// What the file would change.
    Reread(Box<Reread>),
    /// What a reload has changed.
    Reloaded {
        /// Which programs.
        changes: Changes,
        /// The daemon's own settings.
        daemon: DaemonChanges,
    },
    /// What an update has changed.
    Updated(Box<Updated>),
}

impl fmt::Display for Selector {
    /// `web`, or `group red`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Selector::Process(name) => f.write_str(name),
            Selector::Group(name) => write!(f, "group {name}"),
        }
    }
}

impl Act {
    /// What was done: `Started`.
    pub(crate) fn done(self) -> &'static str {
        match self {
            Act::Start => "Started",
            Act::Stop => "Stopped",
            Act::Kill => "Killed",
            Act::Restart { .. } => "Restarted",
        }
    }

    /// What is being done: `Starting`.
    fn begun(self) -> &'static str {
        match self {
            Act::Start => "Starting",
            Act::Stop => "Stopping",
            Act::Kill => "Killing",
            Act::Restart { .. } => "Restarting",
        }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reply::Reached { act, on, also } => match also.as_slice() {
                [] => write!(f, "{} {on}", act.done()),
                also => write!(f, "{} {on}, and what needs it: {}", act.done(), also.join(", ")),
            },
            Reply::AlreadyThere { act: Act::Stop | Act::Kill, name } => write!(f, "{name} is not running"),
            Reply::AlreadyThere { act: Act::Start | Act::Restart { .. }, name } => {
                write!(f, "{name} is already running")
            }
            Reply::Begun { act, on } => write!(f, "{} {on}", act.begun()),
            Reply::WaitOver { name, until: WaitFor::Exited } => write!(f, "{name} has exited"),
            Reply::WaitOver { name, until } => write!(f, "{name} is {until}"),
            Reply::SignalSent { name, signal, target } => {
                let whom = match target {
                    SignalTarget::Leader => "",
                    SignalTarget::Group => "the process group of ",
                };
                write!(f, "Sent {} to {whom}{name}", signal_text(*signal))
            }
            Reply::Confirmed => f.write_str("The update is confirmed"),
            Reply::ShuttingDown => f.write_str("The daemon is shutting down"),
            Reply::PowerBegun(power) => write!(f, "{}: everything is stopped", power.command()),
            Reply::LogsReopened => f.write_str("all log files are opened anew"),
            Reply::LogsCleared { name } => write!(f, "{name}: its logs are empty"),
            Reply::Status { rows, .. } => write!(f, "{} processes", rows.len()),
            Reply::History(rows) => write!(f, "{} records", rows.len()),
            Reply::Why(why) => f.write_str(&why.lines().join("\n")),
            Reply::Pid(pid) | Reply::Version(pid) => pid.fmt(f),
            Reply::LogLevel(level) => f.write_str(level),
            Reply::Reread(_) => f.write_str("The file was read"),
            Reply::Reloaded { .. } => f.write_str("Reloaded"),
            Reply::Updated(_) => f.write_str("Updated"),
        }
    }
}
