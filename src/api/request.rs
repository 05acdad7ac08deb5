//! Requests: [`Query`], [`Watch`], and the sum of all three kinds.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::command::Command;
use super::event_type::EventKinds;
#[cfg(feature = "xmlrpc")]
use crate::models::Right;
use crate::models::{LogStart, StreamKind};

/// Names a request for as long as the daemon lives; never used again for another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RequestId(pub u64);

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Changes nothing; answered within the turn.
    Query(Query),
    /// Changes nothing; answered later, or as a stream.
    Watch(Watch),
    /// Changes something.
    Command(Command),
}

/// A question that the registry answers within the turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    /// The state of one process, or of all from `offset` on.
    Status {
        /// The one.
        name: Option<String>,
        /// How many to skip.
        offset: usize,
    },
    /// The rows of processes that something is about to be done to.
    #[cfg(feature = "xmlrpc")]
    Find {
        /// Each of these that there is; where none is named, all.
        names: Vec<String>,
        /// What doing it needs.
        right: Right,
    },
    /// The last transitions of one process, or of all.
    History {
        /// The one.
        name: Option<String>,
    },
    /// Who needs whom.
    Graph {
        /// These, what they need, and who needs them, directly or not; where none is named, all.
        names: Vec<String>,
        /// How many of them to skip.
        offset: usize,
    },
    /// How long starts have taken, and what they waited for.
    Blame {
        /// Of these, and of what they waited for; where none is named, of all.
        names: Vec<String>,
        /// How many of them to skip.
        offset: usize,
    },
    /// The process id of a process, or of the daemon.
    Pid {
        /// Which.
        name: Option<String>,
    },
    /// Whether the daemon is there.
    Ping,
    /// Which version the daemon is.
    Version,
    /// What whoever asks may do.
    Access,
    /// Whether all that starts with the daemon is up and well.
    #[cfg(feature = "http")]
    Readiness,
    /// The level of the daemon's own log.
    LogLevel,
    /// The flags for which starts may wait.
    Flags,
    /// What the daemon is.
    Daemon,
    /// The programs of the configuration that was read last, whether they are in force or not.
    Configuration,
}

/// A question whose answer comes later, or bit by bit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Watch {
    /// Until a process is as it is waited for.
    Wait {
        /// Which.
        name: String,
        /// For what.
        until: WaitFor,
        /// How long at most; `None`: for as long as it takes.
        timeout: Option<Duration>,
    },
    /// Everything that happens from now on.
    Events {
        /// Of these kinds.
        kinds: EventKinds,
        /// How many past transitions come first.
        history: usize,
    },
    /// The newest output of a process, and what follows.
    Tail {
        /// Which.
        name: String,
        /// Which stream.
        stream: StreamKind,
        /// How much.
        amount: Amount,
        /// Go on with what it writes from now on.
        follow: bool,
    },
    /// A part of a log.
    ReadLog {
        /// Which.
        source: LogSource,
        /// From where.
        from: LogStart,
        /// How many bytes at most; `None`: to its end.
        length: Option<usize>,
    },
    /// The end of the daemon's own log, so many bytes, and what follows.
    #[cfg(feature = "xmlrpc")]
    FollowDaemonLog {
        /// How many.
        bytes: usize,
    },
    /// All that is counted.
    #[cfg(feature = "http")]
    Metrics,
    /// What the configuration file would change.
    Reread {
        /// With the values of variables and the like, which are hidden otherwise.
        secrets: bool,
        /// Another file in its place.
        file: Option<String>,
    },
    /// What a program is: its settings, and where each comes from.
    Settings {
        /// Which.
        name: String,
        /// With the values of variables and the like, which are hidden otherwise.
        secrets: bool,
    },
    /// How a process came to its state, with the last lines of its output.
    Why {
        /// Which.
        name: String,
    },
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitFor {
    /// It is `RUNNING` (or `UNHEALTHY`).
    Running,
    /// It is `RUNNING` and its last health check passed; without checks: it is `RUNNING`.
    Healthy,
    /// Nothing of it is left, and nothing will start by itself.
    Stopped,
    /// Its present run has ended, whatever follows.
    Exited,
}

impl WaitFor {
    /// The word in a request.
    pub fn as_str(self) -> &'static str {
        match self {
            WaitFor::Running => "running",
            WaitFor::Healthy => "healthy",
            WaitFor::Stopped => "stopped",
            WaitFor::Exited => "exited",
        }
    }

    /// What a word means.
    pub fn from_name(word: &str) -> Option<WaitFor> {
        [WaitFor::Running, WaitFor::Healthy, WaitFor::Stopped, WaitFor::Exited]
            .into_iter()
            .find(|goal| goal.as_str() == word)
    }
}

impl fmt::Display for WaitFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How much of the newest output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// This many lines.
    Lines(usize),
    /// This many bytes.
    Bytes(usize),
}

/// Which log is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogSource {
    /// The daemon's own.
    Daemon,
    /// That of a process.
    Process {
        /// Which.
        name: String,
        /// Which stream.
        stream: StreamKind,
    },
}
