//! [`Reply`]: what a request came to.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::access::AccessTable;
use super::blame::Blame;
use super::command::{Act, Selector, list_of};
use super::flag::FlagRow;
use super::graph::GraphRow;
#[cfg(feature = "http")]
use super::metrics::Metrics;
use super::persistence::Persistence;
use super::refusal::Refusal;
use super::request::WaitFor;
use super::settings::ProgramSettings;
use super::status::{ConfigRow, DaemonFacts, HistoryRow, StatusRow};
use super::why::Why;
use crate::models::{LogPlace, Power};
#[cfg(feature = "attach")]
use crate::process::Exit;
use crate::process::{Moment, SignalTarget, signal_text};
use crate::util::plural::counted;
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
    /// Those that were restarted, and those that were because they need these, sorted; the others take their settings
    /// without, or at their next start.
    pub restarted: Vec<String>,
    /// Jobs with a schedule whose run goes on with settings of before; the next one has the new ones. Sorted.
    pub from_next_run: Vec<String>,
    /// When the daemon goes back to the configuration before, unless it is confirmed.
    pub confirm_until: Option<Moment>,
    /// The daemon's own settings.
    pub daemon: DaemonChanges,
    /// What came of keeping it over a restart of the daemon, where somebody wants that.
    pub saved: Option<Persistence>,
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
        /// Those that were stopped, and that somebody has had started again by now.
        again: Vec<String>,
        /// Those that were to be stopped and did not run: they had been given up, and are `FATAL` still.
        fatal: Vec<String>,
    },
    /// What a command on several processes came to, for each.
    Each {
        /// In the order in which they were named.
        results: Vec<(String, Result<Reply, Refusal>)>,
        /// Those that went down, or were restarted, because they need these, sorted as they are in the configuration.
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
        /// It is down because it has never run.
        never_ran: bool,
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
    /// The process is stopped in its place.
    Paused {
        /// Which.
        name: String,
    },
    /// It goes on.
    Resumed {
        /// Which.
        name: String,
    },
    /// The process was told to read its configuration again.
    ProcessReloaded {
        /// Which.
        name: String,
        /// The signal that it was sent, where it has one for that.
        signal: Option<u8>,
    },
    /// The update is confirmed.
    Confirmed,
    /// The update that was to be confirmed has changed nothing, so that nothing would have been taken back either.
    NothingChanged,
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
    /// It was written to the standard input of a process, or waits for it to read.
    StdinTaken {
        /// Which.
        name: String,
        /// How many bytes.
        bytes: usize,
    },
    /// A program runs that is not in the configuration.
    #[cfg(feature = "attach")]
    RunBegun {
        /// Its name.
        name: String,
    },
    /// The run has ended to which whoever has asked was attached.
    #[cfg(feature = "attach")]
    RunEnded {
        /// Which process.
        name: String,
        /// How.
        exit: Exit,
    },
    /// Rows of the registry.
    Status {
        /// From `offset` on.
        rows: Vec<StatusRow>,
        /// How many were skipped.
        offset: usize,
        /// When that was so.
        now: Moment,
        /// The daemon ends.
        ending: bool,
    },
    /// Rows of the registry, each with whether that may be done to it for which it is asked.
    #[cfg(feature = "xmlrpc")]
    Found {
        /// What may neither be read nor have that done to it is not among them.
        rows: Vec<(StatusRow, bool)>,
        /// When that was so.
        now: Moment,
        /// The daemon ends.
        ending: bool,
    },
    /// What whoever has asked may do.
    Access(Box<AccessTable>),
    /// Those that start with the daemon and are not up and well.
    #[cfg(feature = "http")]
    Readiness {
        /// Those that may be told of.
        rows: Vec<StatusRow>,
        /// How many more there are.
        hidden: usize,
        /// When that was so.
        now: Moment,
    },
    /// All that is counted.
    #[cfg(feature = "http")]
    Metrics(Box<Metrics>),
    /// What the daemon is.
    Daemon(Box<DaemonFacts>),
    /// The programs of the configuration that was read last.
    Configuration(Vec<ConfigRow>),
    /// A part of a log.
    LogRead {
        /// What it says there.
        bytes: Vec<u8>,
        /// Where in the log that begins.
        begin: u64,
        /// How long the log is, with what of it is no longer there.
        size: u64,
        /// Where it was read.
        file: LogPlace,
    },
    /// The daemon's own log is empty.
    DaemonLogCleared,
    /// The configuration was read; which groups it has that are not in force, that are in force otherwise, and lacks.
    ConfigurationRead(Changes),
    /// A group is in force.
    GroupAdded {
        /// Which.
        name: String,
    },
    /// A group is not in force any more.
    GroupRemoved {
        /// Which.
        name: String,
    },
    /// The event is on its way to whoever wants it.
    EventSent,
    /// The daemon ends and begins anew.
    Restarting,
    /// Transitions, oldest first.
    History(Vec<HistoryRow>),
    /// How a process came to its state.
    Why(Box<Why>),
    /// Who needs whom.
    Graph {
        /// From `offset` on, in the order of the configuration.
        rows: Vec<GraphRow>,
        /// How many were skipped.
        offset: usize,
        /// When that was so.
        now: Moment,
    },
    /// How long starts have taken.
    Blame(Box<Blame>),
    /// A process id.
    Pid(i32),
    /// The daemon's process id, with its version.
    Version(i32),
    /// The level of the daemon's own log.
    LogLevel(String),
    /// What a program is.
    Settings(Box<ProgramSettings>),
    /// A flag is set, or cleared.
    FlagSet {
        /// Which.
        name: String,
        /// Which of both.
        is_set: bool,
        /// It was otherwise before.
        has_changed: bool,
        /// Some program names it in `start_when`.
        is_awaited: bool,
    },
    /// Whether the daemon itself starts a process.
    EnabledSet {
        /// Which.
        name: String,
        /// It does.
        enabled: bool,
        /// Whether that outlives the daemon; `None`: it is not known yet.
        kept: Option<Persistence>,
    },
    /// The flags that are set, and those that programs name.
    Flags(Vec<FlagRow>),
    /// What the file would change.
    Reread(Box<Reread>),
    /// What a reload has changed.
    Reloaded {
        /// Which programs.
        changes: Changes,
        /// The daemon's own settings.
        daemon: DaemonChanges,
        /// Those that have changed and run with settings of before, which only a restart replaces; sorted.
        outdated: Vec<String>,
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
            Selector::Processes(names) => f.write_str(&list_of(names)),
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

impl Reply {
    /// The same once it is known whether it outlives the daemon.
    pub fn kept(mut self, keeping: Persistence) -> Reply {
        match &mut self {
            Reply::EnabledSet { kept, .. } => *kept = Some(keeping),
            Reply::Updated(updated) if updated.saved.is_some() => updated.saved = Some(keeping),
            _ => {}
        }
        self
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reply::Reached { act, on, also, again, fatal } => {
                match (fatal.as_slice(), on) {
                    ([_, ..], Selector::Process(name)) => write!(f, "{name} was not running, and is still FATAL")?,
                    ([], _) => write!(f, "{} {on}", act.done())?,
                    (fatal, _) => write!(f, "{} {on}; still FATAL: {}", act.done(), fatal.join(", "))?,
                }
                if !also.is_empty() {
                    write!(f, ", and what needs it: {}", also.join(", "))?;
                }
                match again.as_slice() {
                    [] => Ok(()),
                    [_] if matches!(on, Selector::Process(_)) => f.write_str("; it was started again meanwhile"),
                    again => write!(f, "; started again meanwhile: {}", again.join(", ")),
                }
            }
            Reply::Each { results, .. } => write!(f, "{} results", results.len()),
            Reply::AlreadyThere { act: Act::Stop | Act::Kill, name } => write!(f, "{name} is not running"),
            Reply::AlreadyThere { act: Act::Start | Act::Restart { .. }, name } => {
                write!(f, "{name} is already running")
            }
            Reply::Begun { act, on } => write!(f, "{} {on}", act.begun()),
            Reply::WaitOver { name, until: WaitFor::Exited, never_ran: true } => write!(f, "{name} has not run yet"),
            Reply::WaitOver { name, until: WaitFor::Exited, .. } => write!(f, "{name} has exited"),
            Reply::WaitOver { name, until, .. } => write!(f, "{name} is {until}"),
            Reply::SignalSent { name, signal, target } => {
                let whom = match target {
                    SignalTarget::Leader => "",
                    SignalTarget::Group => "the process group of ",
                };
                write!(f, "Sent {} to {whom}{name}", signal_text(*signal))
            }
            Reply::Paused { name } => write!(f, "Paused {name}"),
            Reply::Resumed { name } => write!(f, "Resumed {name}"),
            Reply::ProcessReloaded { name, signal: None } => write!(f, "Reloaded {name}"),
            Reply::ProcessReloaded { name, signal: Some(signal) } => {
                write!(f, "Reloaded {name} ({})", signal_text(*signal))
            }
            Reply::Confirmed => f.write_str("The update is confirmed"),
            Reply::NothingChanged => f.write_str("Nothing to confirm: the update has changed nothing"),
            Reply::ShuttingDown => f.write_str("The daemon is shutting down"),
            Reply::PowerBegun(power) => write!(f, "{}: everything is stopped", power.command()),
            Reply::LogsReopened => f.write_str("all log files are opened anew"),
            Reply::LogsCleared { name } => write!(f, "{name}: its logs are empty"),
            Reply::StdinTaken { name, bytes } => write!(f, "{name}: {} to its standard input", counted(*bytes, "byte")),
            #[cfg(feature = "attach")]
            Reply::RunBegun { name } => write!(f, "Started {name}"),
            #[cfg(feature = "attach")]
            Reply::RunEnded { name, exit } => write!(f, "{name}: {exit}"),
            Reply::Status { rows, .. } => counted(rows.len(), "process").fmt(f),
            #[cfg(feature = "xmlrpc")]
            Reply::Found { rows, .. } => counted(rows.len(), "process").fmt(f),
            Reply::Access(table) => counted(table.programs.len(), "program").fmt(f),
            #[cfg(feature = "http")]
            Reply::Readiness { rows, hidden, .. } => {
                let count = rows.len() + hidden;
                let are = crate::util::plural::choose(count, "is", "are");
                write!(f, "{count} {are} not ready")
            }
            #[cfg(feature = "http")]
            Reply::Metrics(metrics) => counted(metrics.rows.len(), "program").fmt(f),
            Reply::Blame(blame) => counted(blame.rows.len(), "start").fmt(f),
            Reply::Graph { rows, .. } => counted(rows.len(), "process").fmt(f),
            Reply::Daemon(facts) => facts.pid.fmt(f),
            Reply::Configuration(rows) => counted(rows.len(), "program").fmt(f),
            Reply::LogRead { bytes, .. } => counted(bytes.len(), "byte").fmt(f),
            Reply::DaemonLogCleared => f.write_str("the daemon's log is empty"),
            Reply::ConfigurationRead(_) => f.write_str("The configuration was read"),
            Reply::GroupAdded { name } => write!(f, "Added group {name}"),
            Reply::GroupRemoved { name } => write!(f, "Removed group {name}"),
            Reply::EventSent => f.write_str("The event is sent"),
            Reply::Restarting => f.write_str("The daemon begins anew"),
            Reply::History(rows) => write!(f, "{} records", rows.len()),
            Reply::Why(why) => f.write_str(&why.lines().join("\n")),
            Reply::Pid(pid) | Reply::Version(pid) => pid.fmt(f),
            Reply::LogLevel(level) => f.write_str(level),
            Reply::Settings(found) => write!(f, "{} settings", found.settings.len()),
            Reply::FlagSet { name, is_set, has_changed, is_awaited } => {
                f.write_str(match (is_set, has_changed) {
                    (true, true) => "Set",
                    (true, false) => "Already set:",
                    (false, true) => "Cleared",
                    (false, false) => "Not set:",
                })?;
                write!(f, " {name}")?;
                if *is_awaited { Ok(()) } else { f.write_str("; no program waits for it (start_when)") }
            }
            Reply::EnabledSet { name, enabled, kept } => {
                write!(f, "{} {name}", if *enabled { "Enabled" } else { "Disabled" })?;
                kept.as_ref().map_or(Ok(()), |kept| kept.fmt(f))
            }
            Reply::Flags(rows) => write!(f, "{} flags", rows.len()),
            Reply::Reread(_) => f.write_str("The file was read"),
            Reply::Reloaded { .. } => f.write_str("Reloaded"),
            Reply::Updated(_) => f.write_str("Updated"),
        }
    }
}
