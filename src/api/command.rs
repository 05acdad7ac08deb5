//! Commands: what changes something.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

#[cfg(feature = "attach")]
use super::run::Run;
use crate::models::Power;
#[cfg(feature = "attach")]
use crate::models::WindowSize;
use crate::process::{SignalTarget, bare_signal};
use crate::util::log_level;
use crate::util::plural::counted;

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
    /// The processes of these names, in one operation: each is told of in the answer.
    Processes(Vec<String>),
}

/// How many names are listed in a sentence.
const MAX_NAMES: usize = 8;

/// `web, db and 3 more`
pub(super) fn list_of(names: &[String]) -> String {
    let told = names.get(..MAX_NAMES).unwrap_or(names);
    let more = names.len() - told.len();
    let list = told.join(", ");
    if more > 0 { format!("{list} and {more} more") } else { list }
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
    /// Stops a present run in its place.
    Pause {
        /// Which process.
        name: String,
    },
    /// Lets it go on.
    Resume {
        /// Which.
        name: String,
    },
    /// Says whether the daemon itself starts a process.
    SetEnabled {
        /// Which.
        name: String,
        /// `false`: only a client starts it.
        enabled: bool,
    },
    /// Has a process read its own configuration again, by its `reload_command` and `reload_signal`.
    ReloadProcess {
        /// Which.
        name: String,
    },
    /// Has so many instances of a program, whatever the file says.
    Scale {
        /// The program that has several.
        program: String,
        /// How many.
        instances: u32,
        /// Also after a restart of the daemon.
        save: bool,
        /// The most that the answer may wait; what was begun goes on.
        timeout: Option<Duration>,
    },
    /// Reads the configuration again and applies it; what has changed takes its settings at its next start.
    Reload {
        /// The most that the answer may wait for those that are removed; the reload goes on.
        timeout: Option<Duration>,
    },
    /// Reads the configuration again, applies it, and restarts what has changed.
    Update {
        /// Go back to the configuration before, unless `Confirm` comes in this time.
        confirm: Option<Duration>,
        /// The most that the answer may wait for what was changed; the update goes on.
        timeout: Option<Duration>,
    },
    /// Keeps what an `Update` has changed.
    Confirm,
    /// Sets the level of the daemon's own log.
    SetLogLevel {
        /// The new one.
        level: LogLevel,
    },
    /// Sets or clears a flag, for which starts may wait.
    SetFlag {
        /// Which.
        name: String,
        /// `false`: clears it.
        is_set: bool,
    },
    /// Empties the log files of a process.
    ClearLogs {
        /// Which.
        name: String,
    },
    /// Writes to the standard input of a present run.
    Stdin {
        /// Which process.
        name: String,
        /// What.
        bytes: Arc<[u8]>,
    },
    /// Runs a program beside those of the configuration.
    #[cfg(feature = "attach")]
    Run(Arc<Run>),
    /// Sits down at the terminal of a program, whose present run it is until.
    #[cfg(feature = "attach")]
    Attach {
        /// Which.
        name: String,
        /// How large its window is, if that is known.
        size: Option<WindowSize>,
    },
    /// Removes the file of the daemon's own log, and begins another.
    ClearDaemonLog,
    /// Reads the configuration again and keeps what was read: [`AddGroup`](Self::AddGroup) takes from it.
    ReadConfiguration,
    /// Takes a group into force as it stands in the configuration that was read last.
    AddGroup {
        /// Which.
        name: String,
    },
    /// Takes a group, nothing of which runs, out of force.
    RemoveGroup {
        /// Which.
        name: String,
    },
    /// Sends an event to those event listeners that want such.
    RemoteEvent {
        /// What the sender calls it.
        kind: String,
        /// What it says.
        data: String,
    },
    /// Stops everything and begins anew, with the configuration as it is in the file then.
    RestartDaemon,
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
                (Act::Start, Selector::Processes(names)) => write!(f, "start {}", list_of(names)),
                (Act::Stop, Selector::Processes(names)) => write!(f, "stop {}", list_of(names)),
                (Act::Kill, Selector::Processes(names)) => write!(f, "kill {}", list_of(names)),
                (Act::Restart { force: false }, Selector::Processes(names)) => {
                    write!(f, "restart {}", list_of(names))
                }
                (Act::Restart { force: true }, Selector::Processes(names)) => {
                    write!(f, "restart --force {}", list_of(names))
                }
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
                write!(f, "signal {group}{} {name}", bare_signal(*signal))
            }
            Command::Pause { name } => write!(f, "pause {name}"),
            Command::Resume { name } => write!(f, "resume {name}"),
            Command::SetEnabled { name, enabled: true } => write!(f, "enable {name}"),
            Command::SetEnabled { name, enabled: false } => write!(f, "disable {name}"),
            Command::ReloadProcess { name } => write!(f, "reload {name}"),
            Command::Scale { program, instances, save: false, timeout: _ } => write!(f, "scale {program} {instances}"),
            Command::Scale { program, instances, save: true, timeout: _ } => {
                write!(f, "scale --save {program} {instances}")
            }
            Command::Reload { .. } => f.write_str("reload"),
            Command::Update { confirm: None, .. } => f.write_str("update"),
            Command::Update { confirm: Some(time), .. } => write!(f, "update --confirm {}", time.as_secs()),
            Command::Confirm => f.write_str("confirm"),
            Command::SetLogLevel { level } => write!(f, "loglevel {}", level.as_str()),
            Command::SetFlag { name, is_set: true } => write!(f, "flag set {name}"),
            Command::SetFlag { name, is_set: false } => write!(f, "flag clear {name}"),
            Command::ClearLogs { name } => write!(f, "clear {name}"),
            // What it says may be a secret.
            Command::Stdin { name, bytes } => write!(f, "stdin {name} ({})", counted(bytes.len(), "byte")),
            #[cfg(feature = "attach")]
            Command::Run(run) => run.fmt(f),
            #[cfg(feature = "attach")]
            Command::Attach { name, size: _ } => write!(f, "attach {name}"),
            Command::ClearDaemonLog => f.write_str("clear the daemon's log"),
            Command::ReadConfiguration => f.write_str("read the configuration"),
            Command::AddGroup { name } => write!(f, "add {name}"),
            Command::RemoveGroup { name } => write!(f, "remove {name}"),
            Command::RemoteEvent { kind, data } => write!(f, "event {kind} ({})", counted(data.len(), "byte")),
            Command::RestartDaemon => f.write_str("restart the daemon"),
            Command::ReopenLogs => f.write_str("reopen"),
            Command::Shutdown => f.write_str("shutdown"),
            Command::Power(power) => f.write_str(power.command()),
        }
    }
}
