//! [`Initiator`]: who asked for what happens to a process.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::restart_reason::RestartReason;
use super::state::signal_text;

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
    /// The name that it has logged in with, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Box<str>>,
    /// Its groups, by which rules of access know it. Nobody is told of them.
    #[serde(skip)]
    pub groups: Box<[u32]>,
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "uid {}, pid {}", self.uid, self.pid)?;
        if let Some(command) = &self.command {
            write!(f, " ({command})")?;
        }
        match &self.user {
            Some(user) => write!(f, " as {user}"),
            None => Ok(()),
        }
    }
}

/// A client that has come over the network: all that is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteCaller {
    /// Its address and port.
    pub address: Box<str>,
    /// The name that it has logged in with, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Box<str>>,
}

impl fmt::Display for RemoteCaller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.user {
            Some(user) => write!(f, "{user} at {}", self.address),
            None => f.write_str(&self.address),
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
    /// A client that has come over the network.
    Remote(Arc<RemoteCaller>),
    /// A reload of the configuration.
    Reload {
        /// Who asked for the reload.
        by: Arc<Initiator>,
    },
    /// An update that nobody confirmed, or whose programs failed, is taken back.
    Rollback,
    /// The daemon's shutdown.
    Shutdown,
    /// Its health checks, which fail (`healthcheck_action`).
    HealthCheck,
    /// A setting of its own, which asks for a restart from time to time.
    Policy(Arc<RestartReason>),
    /// Its schedule.
    Schedule,
    /// It was asked on account of another program.
    Related(Arc<Related>),
}

impl Initiator {
    /// Whether it is a client: somebody outside of the daemon's own process, who may be asked what he did.
    pub fn is_client(&self) -> bool {
        match self {
            Initiator::Client(_) | Initiator::Remote(_) => true,
            Initiator::Autostart
            | Initiator::Embedder
            | Initiator::Signal { .. }
            | Initiator::Reload { .. }
            | Initiator::Rollback
            | Initiator::Shutdown
            | Initiator::HealthCheck
            | Initiator::Policy(_)
            | Initiator::Schedule
            | Initiator::Related(_) => false,
        }
    }

    /// Whether nobody is behind it but a setting of a program: what is counted for the limits of restarts goes on.
    pub(super) fn is_policy(&self) -> bool {
        match self {
            Initiator::Policy(_) => true,
            Initiator::Related(related) => related.by.as_ref().is_some_and(Initiator::is_policy),
            Initiator::Autostart
            | Initiator::Embedder
            | Initiator::Signal { .. }
            | Initiator::Client(_)
            | Initiator::Remote(_)
            | Initiator::Reload { .. }
            | Initiator::Rollback
            | Initiator::Shutdown
            | Initiator::HealthCheck
            | Initiator::Schedule => false,
        }
    }

    /// Whether it is the daemon's start, for the program itself or for one that needs it.
    pub(crate) fn is_boot(&self) -> bool {
        match self {
            Initiator::Autostart => true,
            Initiator::Related(related) => related.by.as_ref().is_some_and(Initiator::is_boot),
            Initiator::Embedder
            | Initiator::Signal { .. }
            | Initiator::Client(_)
            | Initiator::Remote(_)
            | Initiator::Reload { .. }
            | Initiator::Rollback
            | Initiator::Shutdown
            | Initiator::HealthCheck
            | Initiator::Policy(_)
            | Initiator::Schedule => false,
        }
    }

    /// Whether nobody has asked, for this program or for one that it has to do with.
    pub(crate) fn is_automatic(&self) -> bool {
        matches!(self, Initiator::Related(related) if related.by.is_none()) || self.is_policy()
    }

    /// Whether it is `max_lifetime`, which asks for a restart of what is well: that is no sign of anything wrong.
    pub(super) fn is_lifetime(&self) -> bool {
        match self {
            Initiator::Policy(reason) => matches!(**reason, RestartReason::MaxLifetime { .. }),
            Initiator::Related(related) => related.by.as_ref().is_some_and(Initiator::is_lifetime),
            Initiator::Autostart
            | Initiator::Embedder
            | Initiator::Signal { .. }
            | Initiator::Client(_)
            | Initiator::Remote(_)
            | Initiator::Reload { .. }
            | Initiator::Rollback
            | Initiator::Shutdown
            | Initiator::HealthCheck
            | Initiator::Schedule => false,
        }
    }
}

impl Initiator {
    /// Who it is, without the word that its text begins with in causes.
    pub(crate) fn who(&self) -> Who<'_> {
        Who(self)
    }
}

/// See [`Initiator::who`].
pub(crate) struct Who<'a>(&'a Initiator);

impl fmt::Display for Who<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Initiator::Autostart => f.write_str("autostart"),
            Initiator::Embedder => f.write_str("the embedding program"),
            Initiator::Signal { signal } => f.write_str(&signal_text(*signal)),
            Initiator::Client(caller) => caller.fmt(f),
            Initiator::Remote(caller) => caller.fmt(f),
            Initiator::Reload { by } => match &**by {
                Initiator::Client(caller) => caller.fmt(f),
                Initiator::Remote(caller) => caller.fmt(f),
                Initiator::Embedder => f.write_str("a reload (the embedding program)"),
                Initiator::Signal { signal } => write!(f, "a reload ({})", signal_text(*signal)),
                Initiator::Autostart
                | Initiator::Reload { .. }
                | Initiator::Rollback
                | Initiator::Shutdown
                | Initiator::HealthCheck
                | Initiator::Policy(_)
                | Initiator::Schedule
                | Initiator::Related(_) => f.write_str("a reload"),
            },
            Initiator::Rollback => f.write_str("the rollback of an update"),
            Initiator::Shutdown => f.write_str("the daemon's shutdown"),
            Initiator::HealthCheck => f.write_str("its health checks"),
            Initiator::Policy(reason) => reason.fmt(f),
            Initiator::Schedule => f.write_str("its schedule"),
            Initiator::Related(related) => related.fmt(f),
        }
    }
}

impl fmt::Display for Initiator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is done because of others says why itself.
        if !matches!(self, Initiator::Related(_)) {
            f.write_str("by ")?;
        }
        self.who().fmt(f)
    }
}
