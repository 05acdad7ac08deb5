//! [`Cause`]: why a process is in its state, as data; [`Failure`]: why an attempt failed.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::initiator::Initiator;
use super::span::span;
use super::state::{Exit, SpawnError, signal_name};

/// What an operator, the daemon or an embedding program can ask of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// It shall run.
    Start,
    /// The stop signal, SIGKILL after `stopwaitsecs`.
    Stop,
    /// SIGKILL now, and down.
    Kill,
    /// Down, then up.
    Restart,
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verb::Start => "start",
            Verb::Stop => "stop",
            Verb::Kill => "kill",
            Verb::Restart => "restart",
        })
    }
}

/// The process id of a leader. Unaligned, so that a [`Cause`] has 24 bytes: every process keeps several.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "i32", into = "i32")]
pub struct LeaderPid([u8; 4]);

impl From<i32> for LeaderPid {
    fn from(pid: i32) -> LeaderPid {
        LeaderPid(pid.to_ne_bytes())
    }
}

impl From<LeaderPid> for i32 {
    fn from(LeaderPid(bytes): LeaderPid) -> i32 {
        i32::from_ne_bytes(bytes)
    }
}

impl fmt::Debug for LeaderPid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&i32::from(*self), f)
    }
}

impl fmt::Display for LeaderPid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&i32::from(*self), f)
    }
}

/// Under which circumstances a request was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Circumstance {
    /// None that matter.
    #[default]
    Ordinary,
    /// Its leader has ended; what this process left of its group has to end first.
    Remains(LeaderPid),
    /// It was about to be executed.
    DuringSpawn,
}

impl Circumstance {
    fn is_ordinary(&self) -> bool {
        *self == Circumstance::Ordinary
    }
}

/// Why an attempt to have it running failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Failure {
    /// It ended by itself.
    Exited {
        /// How.
        #[serde(flatten)]
        exit: Exit,
        /// How long it had lived, in milliseconds.
        age_ms: u64,
    },
    /// It could not be spawned.
    SpawnFailed(SpawnError),
    /// Its health checks failed.
    Unhealthy {
        /// So many in a row.
        failures: u32,
        /// What the last one found.
        message: Box<str>,
    },
    /// A panic of the daemon itself.
    InternalError,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Exited { exit, age_ms } => write!(f, "{exit} after {}", span(Duration::from_millis(*age_ms))),
            Failure::SpawnFailed(error) => error.fmt(f),
            Failure::Unhealthy { failures, message } => failed_checks(f, *failures, message),
            Failure::InternalError => {
                f.write_str("an internal error of supervice (a panic), please report it; its processes are killed")
            }
        }
    }
}

fn failed_checks(f: &mut fmt::Formatter<'_>, failures: u32, message: &str) -> fmt::Result {
    match failures {
        1 => write!(f, "health check failed once: {message}"),
        times => write!(f, "health check failed {times} times: {message}"),
    }
}

/// What is counted before it is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tries {
    /// Attempts to start it.
    Attempts(u32),
    /// Restarts because its health checks failed.
    Restarts(u32),
}

impl fmt::Display for Tries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Tries::Attempts(count) => write!(f, "{count} attempts"),
            Tries::Restarts(count) => write!(f, "{count} restarts"),
        }
    }
}

/// Why a process entered its state, or (in notes) what happened to it without a change of state. Its text is the sentence
/// that logs, `why` and `history` show; its serialised form is the machine-readable one of the control protocol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Cause {
    /// Somebody asked for it.
    Requested {
        /// For what.
        verb: Verb,
        /// Who.
        by: Initiator,
        /// Under which circumstances.
        #[serde(default, skip_serializing_if = "Circumstance::is_ordinary")]
        circumstance: Circumstance,
    },
    /// A daemon that died has left this process of it behind.
    EarlierDaemonDied {
        /// One of what is left.
        pid: i32,
    },
    /// It was executed, and `startsecs` is 0.
    Executed,
    /// It has lived for `startsecs`.
    Up {
        /// In seconds.
        seconds: u32,
    },
    /// It ended by itself.
    Exited {
        /// How.
        #[serde(flatten)]
        exit: Exit,
        /// How long it had lived, in milliseconds.
        age_ms: u64,
    },
    /// It could not be spawned, and is wanted down by now.
    SpawnFailed {
        /// Why.
        error: Box<SpawnError>,
    },
    /// Its health checks fail.
    Unhealthy {
        /// So many in a row.
        failures: u32,
        /// What the last one found.
        message: Box<str>,
    },
    /// A health check passed after all.
    HealthyAgain {
        /// What it found.
        message: Box<str>,
    },
    /// It is restarted because it is unhealthy.
    RestartUnhealthy,
    /// An attempt failed; another one follows.
    BackedOff {
        /// Why it failed.
        failure: Box<Failure>,
        /// The number of the retry, from 1.
        number: u32,
        /// So many may follow one another.
        of: u32,
        /// Seconds until the retry.
        delay: u32,
    },
    /// The time of a retry has come.
    Retry {
        /// Its number, from 1.
        number: u32,
        /// So many may follow one another.
        of: u32,
    },
    /// It ended and is started again (`autorestart`).
    Restart,
    /// No further attempt follows.
    GaveUp {
        /// Why the last one failed.
        failure: Box<Failure>,
        /// What was tried, where that was more than once.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<Tries>,
    },
    /// What had to end has ended.
    Ended {
        /// How its leader did; `None` where that is not known.
        exit: Option<Exit>,
    },
    /// A note: it outlived its stop signal.
    StopTimedOut {
        /// By so many seconds (`stopwaitsecs`).
        seconds: u32,
    },
    /// A note: somebody had this signal sent.
    SignalRequested {
        /// Its number.
        signal: u8,
        /// Who.
        by: Initiator,
    },
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Requested { verb, by, circumstance } => {
                write!(f, "{verb} requested {by}")?;
                match circumstance {
                    Circumstance::Ordinary => Ok(()),
                    Circumstance::Remains(pid) => write!(f, "; waits for what pid {pid} left of its process group"),
                    Circumstance::DuringSpawn => f.write_str(" while it was started"),
                }
            }
            Cause::EarlierDaemonDied { pid } => {
                write!(f, "an earlier daemon died; waits for what pid {pid} left of its process group")
            }
            Cause::Executed => f.write_str("executed"),
            Cause::Up { seconds } => write!(f, "up for {seconds} s"),
            Cause::Exited { exit, age_ms } => write!(f, "{exit} after {}", span(Duration::from_millis(*age_ms))),
            Cause::SpawnFailed { error } => error.fmt(f),
            Cause::Unhealthy { failures, message } => failed_checks(f, *failures, message),
            Cause::HealthyAgain { message } => write!(f, "healthy again: {message}"),
            Cause::RestartUnhealthy => f.write_str("restart because it is unhealthy"),
            Cause::BackedOff { failure, number, of, delay } => {
                write!(f, "{failure}, retry {number} of {of} in {delay} s")
            }
            Cause::Retry { number, of } => write!(f, "retry {number} of {of}"),
            Cause::Restart => f.write_str("restart after its end"),
            Cause::GaveUp { failure, after: None } => failure.fmt(f),
            Cause::GaveUp { failure, after: Some(after) } => write!(f, "{failure}, gave up after {after}"),
            Cause::Ended { exit: Some(exit) } => exit.fmt(f),
            Cause::Ended { exit: None } => f.write_str("it has gone"),
            Cause::StopTimedOut { seconds } => {
                write!(f, "SIGKILL: still there {seconds} s after its stop signal (stopwaitsecs)")
            }
            Cause::SignalRequested { signal, by } => match signal_name(*signal) {
                Some(name) => write!(f, "SIG{name} requested {by}"),
                None => write!(f, "signal {signal} requested {by}"),
            },
        }
    }
}

#[cfg(test)]
mod tests;
