//! [`Initiator`]: who asked for what happens to a process.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::state::signal_name;

/// A client of a control socket, as the kernel knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// Its user.
    pub uid: u32,
    /// Its process.
    pub pid: i32,
    /// The name of its command when it asked; `None` where nobody could tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Box<str>>,
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "uid {}, pid {}", self.uid, self.pid)?;
        match &self.command {
            Some(command) => write!(f, " ({command})"),
            None => Ok(()),
        }
    }
}

/// What a program has to do with another one, because of which something is asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    /// The other one needs it, and is to start.
    NeededBy,
    /// It needs the other one, which is to stop or restart.
    Needs,
    /// It is bound to the other one, which has ended.
    BoundTo,
}

/// Another program, on whose account something is asked of a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Related {
    /// The other one.
    pub name: Box<str>,
    /// What that has to do with it.
    pub relation: Relation,
    /// Who asked it of the other one, where anybody did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Initiator>,
}

impl fmt::Display for Related {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(by) = &self.by {
            write!(f, "{by} ")?;
        }
        match self.relation {
            Relation::NeededBy => write!(f, "for {}", self.name),
            Relation::Needs => write!(f, "with {}", self.name),
            Relation::BoundTo => write!(f, "by the end of {}", self.name),
        }
    }
}

/// Who asked. Its text reads on after `start requested`: `by uid 0, pid 12 (supervicectl)`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Initiator {
    /// The daemon's start, for programs with `autostart`.
    Autostart,
    /// The program that embeds the supervisor.
    Embedder,
    /// A signal to the daemon.
    Signal {
        /// Its number.
        signal: u8,
    },
    /// A client of a control socket.
    Client(Arc<Caller>),
    /// A reload of the configuration.
    Reload {
        /// Who asked for the reload.
        by: Arc<Initiator>,
    },
    /// An update that nobody confirmed, or whose programs failed, is taken back.
    Rollback,
    /// The daemon's shutdown.
    Shutdown,
    /// It was asked on account of another program.
    Related(Arc<Related>),
}

impl fmt::Display for Initiator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Initiator::Autostart => f.write_str("by autostart"),
            Initiator::Embedder => f.write_str("by the embedding program"),
            Initiator::Signal { signal } => match signal_name(*signal) {
                Some(name) => write!(f, "by SIG{name}"),
                None => write!(f, "by signal {signal}"),
            },
            Initiator::Client(caller) => write!(f, "by {caller}"),
            Initiator::Reload { by } => match &**by {
                Initiator::Client(caller) => write!(f, "by {caller}"),
                Initiator::Embedder => f.write_str("by a reload (the embedding program)"),
                Initiator::Signal { signal } => match signal_name(*signal) {
                    Some(name) => write!(f, "by a reload (SIG{name})"),
                    None => write!(f, "by a reload (signal {signal})"),
                },
                Initiator::Autostart
                | Initiator::Reload { .. }
                | Initiator::Rollback
                | Initiator::Shutdown
                | Initiator::Related(_) => f.write_str("by a reload"),
            },
            Initiator::Rollback => f.write_str("by the way back from an update"),
            Initiator::Shutdown => f.write_str("by the daemon's shutdown"),
            Initiator::Related(related) => related.fmt(f),
        }
    }
}
