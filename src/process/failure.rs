//! [`Failure`]: why an attempt to have a process running failed, as data.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::hook::HookFailure;
use super::main_process::NoMain;
use super::notification::WatchdogMiss;
use super::output_fault::OutputFault;
use super::readiness::ReadySign;
use super::restart_reason::RestartReason;
use super::span::span;
use super::state::{Exit, ProcessState, SpawnError};

/// Bytes of a text from outside that are kept.
pub(super) const MAX_TEXT_BYTES: usize = 200;

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
    /// It ended with exit code 0 before it counted as running, and left a process of it behind: it has put itself into
    /// the background.
    Backgrounded {
        /// How long it had lived, in milliseconds.
        age_ms: u64,
        /// What it has left behind.
        pid: i32,
    },
    /// A oneshot that did not come to its end in time.
    NotCompleted {
        /// Within so many seconds (`start_timeout`).
        seconds: u32,
    },
    /// It was to put itself into the background, and has not done so in time.
    NotForked {
        /// Within so many seconds (`start_timeout`).
        seconds: u32,
    },
    /// It has put itself into the background, but its main process is not known.
    NoMain {
        /// The file that was to name it (`pidfile`).
        path: Box<str>,
        /// What is wrong with that.
        found: NoMain,
        /// So it was within so many seconds (`start_timeout`); `None`: waiting would not have helped.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seconds: Option<u32>,
    },
    /// It has ended with 0, as if it had put itself into the background, but nothing of it was left.
    LeftNothing {
        /// How long that took, in milliseconds.
        age_ms: u64,
        /// What was wrong with its pid file by then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        found: Option<NoMain>,
    },
    /// A oneshot that ran for longer than it may.
    RanTooLong {
        /// For so many seconds (`max_runtime`).
        seconds: u32,
    },
    /// It has not told in time that it is ready.
    NotReady {
        /// Within so many seconds (`start_timeout`).
        seconds: u32,
        /// What was waited for.
        sign: ReadySign,
        /// What was found last, or what was looked at, where that is told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<Arc<str>>,
    },
    /// It has closed its readiness descriptor without a line feed: it can't tell any more that it is ready.
    NeverReady,
    /// It could not be spawned.
    SpawnFailed(SpawnError),
    /// A command that is run around it has failed.
    HookFailed(HookFailure),
    /// Its health checks failed.
    Unhealthy {
        /// How many in a row.
        failures: u32,
        /// What the last one found.
        message: Arc<str>,
    },
    /// Its watchdog has taken it for unwell.
    Watchdog {
        /// Why.
        miss: WatchdogMiss,
    },
    /// What its output has shown (`output_watch`).
    Output {
        /// What that is.
        fault: Arc<OutputFault>,
    },
    /// One of its settings has asked for its restart, which would have been one too many.
    Policy {
        /// Which, and why.
        reason: Arc<RestartReason>,
    },
    /// What has to hold outside before it is started has not come in time.
    StartWhen {
        /// Within so many seconds (`start_when_timeout`).
        seconds: u32,
        /// What has not held.
        on: Box<str>,
    },
    /// Something that it requires can't get there any more.
    DependencyLost {
        /// What.
        on: Box<str>,
        /// The state that it came to; `None`: it is not in the configuration in force.
        state: Option<ProcessState>,
    },
    /// A panic of the daemon itself.
    InternalError,
}

impl Failure {
    /// It is made good when a dependency gets there after all.
    pub(super) fn is_of_dependency(&self) -> bool {
        matches!(self, Failure::DependencyLost { .. })
    }

    /// What a hook came to, where that is why.
    pub fn of_hook(&self) -> Option<&HookFailure> {
        match self {
            Failure::HookFailed(failure) => Some(failure),
            Failure::Exited { .. }
            | Failure::Backgrounded { .. }
            | Failure::NotForked { .. }
            | Failure::NoMain { .. }
            | Failure::LeftNothing { .. }
            | Failure::NotCompleted { .. }
            | Failure::StartWhen { .. }
            | Failure::RanTooLong { .. }
            | Failure::NotReady { .. }
            | Failure::NeverReady
            | Failure::SpawnFailed(_)
            | Failure::Unhealthy { .. }
            | Failure::Watchdog { .. }
            | Failure::Output { .. }
            | Failure::Policy { .. }
            | Failure::DependencyLost { .. }
            | Failure::InternalError => None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Exited { exit, age_ms } => write!(f, "{exit} after {}", span(Duration::from_millis(*age_ms))),
            Failure::Backgrounded { age_ms, pid } => write!(
                f,
                "exit code 0 after {}: it has put itself into the background as pid {pid}, which cannot be supervised; \
                 use its option to stay in the foreground, or type = forking",
                span(Duration::from_millis(*age_ms))
            ),
            Failure::NotForked { seconds } => write!(
                f,
                "still in the foreground after {seconds} s (start_timeout), though it was to put itself into the background \
                 (type = forking)"
            ),
            Failure::NoMain { path, found, seconds } => {
                let what = found.of_file(path);
                match seconds {
                    Some(seconds) => write!(f, "no main process within {seconds} s (start_timeout): {what}"),
                    None => write!(f, "no main process: {what}"),
                }
            }
            Failure::LeftNothing { age_ms, found } => {
                let age = span(Duration::from_millis(*age_ms));
                write!(f, "exit code 0 after {age}, but nothing of it is left in the background")?;
                match found {
                    Some(found) => write!(f, " (its pidfile: {found})"),
                    None => Ok(()),
                }
            }
            Failure::NotCompleted { seconds } => write!(f, "not completed within {seconds} s (start_timeout)"),
            Failure::RanTooLong { seconds } => write!(f, "not completed within {seconds} s (max_runtime)"),
            Failure::NotReady { seconds, sign, detail } => {
                let sign = sign.with(detail.as_deref());
                write!(f, "not ready within {seconds} s (start_timeout): it waited for {sign}")
            }
            Failure::NeverReady => {
                f.write_str("it will never be ready: it has closed its readiness descriptor without a line feed")
            }
            Failure::SpawnFailed(error) => error.fmt(f),
            Failure::HookFailed(failure) => failure.fmt(f),
            Failure::Unhealthy { failures, message } => failed_checks(f, *failures, message),
            Failure::Watchdog { miss } => miss.fmt(f),
            Failure::Output { fault } => write!(f, "{fault} (output_watch)"),
            Failure::Policy { reason } => reason.fmt(f),
            Failure::StartWhen { seconds, on } => {
                write!(f, "it waited in vain for {on}, {seconds} s (start_when_timeout)")
            }
            Failure::DependencyLost { on, state: Some(state) } => write!(f, "it needs {on}, which is {state}"),
            Failure::DependencyLost { on, state: None } => {
                write!(f, "it needs {on}, which is not in the configuration in force")
            }
            Failure::InternalError => {
                f.write_str("an internal error of supervice (a panic), please report it; its processes are killed")
            }
        }
    }
}

/// The end of a oneshot that has done what it is for.
pub(super) fn completed(exit: Exit, age_ms: u64) -> String {
    let age = span(Duration::from_millis(age_ms));
    match exit {
        Exit::Code(0) => format!("completed after {age}"),
        Exit::Code(_) | Exit::Signal(_) => format!("completed after {age} with {exit}"),
    }
}

/// The sentence about health checks that failed.
pub(super) fn failed_checks(f: &mut fmt::Formatter<'_>, failures: u32, message: &str) -> fmt::Result {
    match failures {
        1 => write!(f, "health check failed once: {message}"),
        times => write!(f, "health check failed {times} times: {message}"),
    }
}

/// Whether an error has texts that are too long to be kept.
pub(super) fn is_long(error: &SpawnError) -> bool {
    error.subject.len() > MAX_TEXT_BYTES || error.detail.len() > MAX_TEXT_BYTES
}

/// Cuts its texts, which are to be kept. (The machine has cut what health checks said.)
pub(super) fn shorten_failure(failure: &mut Arc<Failure>) {
    match &**failure {
        Failure::SpawnFailed(error) if is_long(error) => {
            *failure = Arc::new(Failure::SpawnFailed(error.shortened(MAX_TEXT_BYTES)));
        }
        Failure::HookFailed(hook) => *failure = Arc::new(Failure::HookFailed(hook.shortened(MAX_TEXT_BYTES))),
        Failure::SpawnFailed(_)
        | Failure::Exited { .. }
        | Failure::Backgrounded { .. }
        | Failure::NotForked { .. }
        | Failure::NoMain { .. }
        | Failure::LeftNothing { .. }
        | Failure::NotCompleted { .. }
        | Failure::StartWhen { .. }
        | Failure::RanTooLong { .. }
        | Failure::NotReady { .. }
        | Failure::NeverReady
        | Failure::Unhealthy { .. }
        | Failure::Watchdog { .. }
        | Failure::Output { .. }
        | Failure::Policy { .. }
        | Failure::DependencyLost { .. }
        | Failure::InternalError => {}
    }
}
