//! Commands: what changes something.

use std::fmt;
use std::time::Duration;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

use crate::models::Power;
use crate::process::{SignalTarget, signal_name};
use crate::util::log_level;

/// What can be done to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// Start it.
    Start,
    /// The stop signal, SIGKILL after `stopwaitsecs`.
    Stop,
    /// SIGKILL at once, also to one that is being stopped already.
    Kill,
    /// Stop it, then start it.
    Restart {
        /// By SIGKILL.
        force: bool,
    },
}

/// Which processes are meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selector {
    /// The process of this name.
    Process(String),
    /// All members of the group of this name.
    Group(String),
}

/// How long the answer to a command may wait for its effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// `false`: answer at once that the command was taken.
    pub wait: bool,
    /// The most that the answer may take; then it is a time-out, and the command goes on.
    pub timeout: Option<Duration>,
    /// Of a stop or restart: of those that were named alone, not of those that need them.
    pub only: bool,
}

impl Default for Terms {
    /// As long as the settings of the process allow.
    fn default() -> Self {
        Terms { wait: true, timeout: None, only: false }
    }
}

/// A level of the daemon's own log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LogLevel(&'static str);

impl<'de> Deserialize<'de> for LogLevel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        LogLevel::from_name(&name).ok_or_else(|| D::Error::custom("no level"))
    }
}

impl LogLevel {
    /// The level of a name, in any case.
    pub fn from_name(name: &str) -> Option<LogLevel> {
        log_level::parse(name).map(|(name, _)| LogLevel(name))
    }

    /// Its name, in capitals and in full.
    pub fn as_str(self) -> &'static str {
        self.0
    }
}

/// What changes something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Starts, stops, kills or restarts processes.
    Act {
        /// What is done.
        act: Act,
        /// To whom.
        on: Selector,
        /// How long the answer may wait.
        terms: Terms,
    },
    /// Ends the present run of a process as a stop does; whether it is meant to run stays as it is, so that supervision
    /// begins the next run if it is. Only a program that embeds the supervisor can ask for it.
    EndRun {
        /// Whose.
        name: String,
    },
    /// Sends a signal to a present run.
    Signal {
        /// Which.
        name: String,
        /// The signal's number.
        signal: u8,
        /// To its main process alone, or to all of it.
        target: SignalTarget,
    },
    /// Reads the configuration again and applies it; what has changed takes its settings at its next start.
    Reload,
    /// Reads the configuration again, applies it, and restarts what has changed.
    Update {
        /// Go back to the configuration before, unless `Confirm` comes in this time.
        confirm: Option<Duration>,
    },
    /// Keeps what an `Update` has changed.
    Confirm,
    /// Sets the level of the daemon's own log.
    SetLogLevel {
        /// The new one.
        level: LogLevel,
    },
    /// Empties the log files of a process.
    ClearLogs {
        /// Which.
        name: String,
    },
    /// Opens all log files anew.
    ReopenLogs,
    /// Ends the daemon in order, as SIGTERM does.
    Shutdown,
    /// Ends everything, and then turns the machine off: for the kernel's init alone.
    Power(Power),
}

impl fmt::Display for Command {
    /// As it is typed: `restart --force web`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Command::Act { act, on, terms: _ } => match (act, on) {
                (Act::Start, Selector::Process(name)) => write!(f, "start {name}"),
                (Act::Stop, Selector::Process(name)) => write!(f, "stop {name}"),
                (Act::Kill, Selector::Process(name)) => write!(f, "kill {name}"),
                (Act::Restart { force: false }, Selector::Process(name)) => write!(f, "restart {name}"),
                (Act::Restart { force: true }, Selector::Process(name)) => write!(f, "restart --force {name}"),
                (Act::Start, Selector::Group(name)) => write!(f, "startgroup {name}"),
                (Act::Stop, Selector::Group(name)) => write!(f, "stopgroup {name}"),
                (Act::Kill, Selector::Group(name)) => write!(f, "killgroup {name}"),
                (Act::Restart { .. }, Selector::Group(name)) => write!(f, "restartgroup {name}"),
            },
            Command::EndRun { name } => write!(f, "end the run of {name}"),
            Command::Signal { name, signal, target } => {
                let group = match target {
                    SignalTarget::Leader => "",
                    SignalTarget::Group => "--group ",
                };
                match signal_name(*signal) {
                    Some(signal) => write!(f, "signal {group}{signal} {name}"),
                    None => write!(f, "signal {group}{signal} {name}"),
                }
            }
            Command::Reload => f.write_str("reload"),
            Command::Update { confirm: None } => f.write_str("update"),
            Command::Update { confirm: Some(time) } => write!(f, "update --confirm {}", time.as_secs()),
            Command::Confirm => f.write_str("confirm"),
            Command::SetLogLevel { level } => write!(f, "loglevel {}", level.as_str()),
            Command::ClearLogs { name } => write!(f, "clear {name}"),
            Command::ReopenLogs => f.write_str("reopen"),
            Command::Shutdown => f.write_str("shutdown"),
            Command::Power(power) => f.write_str(power.command()),
        }
    }
}
