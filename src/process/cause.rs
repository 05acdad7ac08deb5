//! [`Cause`]: why a process is in its state, as data; [`Failure`]: why an attempt failed.

use std::fmt;
use std::num::NonZeroI32;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::initiator::Initiator;
use super::machine::SignalTarget;
use super::readiness::ReadySign;
use super::span::span;
use super::state::{Exit, ProcessState, SpawnError, signal_text};
use crate::util::truncate::to_bytes;

/// Bytes of a text from outside that [`Cause::shortened`] keeps.
const LONGEST_TEXT: usize = 200;

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
    /// It has not told in time that it is ready.
    NotReady {
        /// Within so many seconds (`start_timeout`).
        seconds: u32,
        /// What was waited for.
        sign: ReadySign,
    },
    /// It has closed its readiness descriptor without a line feed: it can't tell any more that it is ready.
    NeverReady,
    /// It could not be spawned.
    SpawnFailed(SpawnError),
    /// Its health checks failed.
    Unhealthy {
        /// So many in a row.
        failures: u32,
        /// What the last one found.
        message: Arc<str>,
    },
    /// Something that it requires can't get there any more.
    DependencyLost {
        /// What.
        on: Box<str>,
        /// The state that it came to.
        state: ProcessState,
    },
    /// A panic of the daemon itself.
    InternalError,
}

impl Failure {
    /// It is made good when a dependency gets there after all.
    pub(super) fn is_of_dependency(&self) -> bool {
        matches!(self, Failure::DependencyLost { .. })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Exited { exit, age_ms } => write!(f, "{exit} after {}", span(Duration::from_millis(*age_ms))),
            Failure::Backgrounded { age_ms, pid } => write!(
                f,
                "exit code 0 after {}: it has put itself into the background as pid {pid}, which can not be supervised; \
                 use its option to stay in the foreground",
                span(Duration::from_millis(*age_ms))
            ),
            Failure::NotCompleted { seconds } => write!(f, "not completed within {seconds} s (start_timeout)"),
            Failure::NotReady { seconds, sign } => {
                write!(f, "not ready within {seconds} s (start_timeout): it waited for {sign}")
            }
            Failure::NeverReady => {
                f.write_str("it will never be ready: it has closed its readiness descriptor without a line feed")
            }
            Failure::SpawnFailed(error) => error.fmt(f),
            Failure::Unhealthy { failures, message } => failed_checks(f, *failures, message),
            Failure::DependencyLost { on, state } => write!(f, "it needs {on}, which is {state}"),
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
///
/// It takes 24 bytes, because thousands of processes remember several. What is larger is shared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Cause {
    /// Somebody asked for it.
    Requested {
        /// For what.
        verb: Verb,
        /// Who.
        by: Initiator,
        /// Its leader has ended, and what this process left of its group has to end first.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        remains_of: Option<NonZeroI32>,
    },
    /// Somebody asked for its end while it was being spawned.
    RequestedDuringSpawn {
        /// For a stop or a kill.
        verb: Verb,
        /// Who.
        by: Initiator,
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
    /// It has told that it is ready.
    Ready {
        /// By this.
        sign: ReadySign,
    },
    /// It ended by itself.
    Exited {
        /// How.
        #[serde(flatten)]
        exit: Exit,
        /// How long it had lived, in milliseconds.
        age_ms: u64,
    },
    /// It has done what it is for, and ended: it is a oneshot.
    Completed {
        /// How.
        #[serde(flatten)]
        exit: Exit,
        /// How long it had lived, in milliseconds.
        age_ms: u64,
    },
    /// Its start has not come about, and what there is of it has to end.
    StartFailed {
        /// Why not.
        failure: Arc<Failure>,
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
        message: Arc<str>,
    },
    /// A health check passed after all.
    HealthyAgain {
        /// What it found.
        message: Arc<str>,
    },
    /// It is restarted because it is unhealthy.
    RestartUnhealthy,
    /// An attempt failed; another one follows.
    BackedOff {
        /// Why it failed.
        failure: Arc<Failure>,
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
    /// A dependency that was lost is as it has to be.
    DependencyBack {
        /// Which; `None`: another configuration asks for less.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        on: Option<Arc<str>>,
    },
    /// No further attempt follows.
    GaveUp {
        /// Why the last one failed.
        failure: Arc<Failure>,
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
    /// A note: it outlived a step of its stop, and gets the next signal.
    StopStepOver {
        /// That signal.
        signal: u8,
        /// The signal of the step.
        after: u8,
        /// How long the step took, in seconds.
        seconds: u32,
    },
    /// A note: somebody had this signal sent.
    SignalRequested {
        /// Its number.
        signal: u8,
        /// To its leader alone, or to all of it.
        #[serde(default, skip_serializing_if = "SignalTarget::is_leader")]
        target: SignalTarget,
        /// Who.
        by: Initiator,
    },
}

impl Cause {
    /// The same request, which has to wait for what this process has left of its group.
    pub(super) fn waiting_for(self, pid: i32) -> Cause {
        match self {
            Cause::Requested { verb, by, remains_of: _ } => {
                Cause::Requested { verb, by, remains_of: NonZeroI32::new(pid) }
            }
            other => other,
        }
    }

    /// The same with texts of a bounded length, to be kept. (The machine has cut what health checks said.)
    pub(crate) fn shortened(self) -> Cause {
        match self {
            Cause::SpawnFailed { error } if is_long(&error) => Cause::SpawnFailed { error: Box::new(shorter(&error)) },
            Cause::BackedOff { failure, number, of, delay } => {
                Cause::BackedOff { failure: shorter_failure(failure), number, of, delay }
            }
            Cause::GaveUp { failure, after } => Cause::GaveUp { failure: shorter_failure(failure), after },
            Cause::StartFailed { failure } => Cause::StartFailed { failure: shorter_failure(failure) },
            other => other,
        }
    }

    /// What somebody asked for, and who, where that is the cause.
    pub fn request(&self) -> Option<(Verb, &Initiator)> {
        match self {
            Cause::Requested { verb, by, remains_of: _ } | Cause::RequestedDuringSpawn { verb, by } => {
                Some((*verb, by))
            }
            Cause::EarlierDaemonDied { .. }
            | Cause::Executed
            | Cause::Up { .. }
            | Cause::Ready { .. }
            | Cause::Exited { .. }
            | Cause::Completed { .. }
            | Cause::StartFailed { .. }
            | Cause::SpawnFailed { .. }
            | Cause::Unhealthy { .. }
            | Cause::HealthyAgain { .. }
            | Cause::RestartUnhealthy
            | Cause::BackedOff { .. }
            | Cause::Retry { .. }
            | Cause::Restart
            | Cause::DependencyBack { .. }
            | Cause::GaveUp { .. }
            | Cause::Ended { .. }
            | Cause::StopTimedOut { .. }
            | Cause::StopStepOver { .. }
            | Cause::SignalRequested { .. } => None,
        }
    }
}

fn is_long(error: &SpawnError) -> bool {
    error.subject.len() > LONGEST_TEXT || error.detail.len() > LONGEST_TEXT
}

fn shorter(error: &SpawnError) -> SpawnError {
    SpawnError {
        stage: error.stage,
        subject: to_bytes(&error.subject, LONGEST_TEXT).to_owned(),
        errno: error.errno,
        detail: to_bytes(&error.detail, LONGEST_TEXT).to_owned(),
    }
}

fn shorter_failure(failure: Arc<Failure>) -> Arc<Failure> {
    match &*failure {
        Failure::SpawnFailed(error) if is_long(error) => Arc::new(Failure::SpawnFailed(shorter(error))),
        Failure::SpawnFailed(_)
        | Failure::Exited { .. }
        | Failure::Backgrounded { .. }
        | Failure::NotCompleted { .. }
        | Failure::NotReady { .. }
        | Failure::NeverReady
        | Failure::Unhealthy { .. }
        | Failure::DependencyLost { .. }
        | Failure::InternalError => failure,
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Requested { verb, by, remains_of: None } => write!(f, "{verb} requested {by}"),
            Cause::Requested { verb, by, remains_of: Some(pid) } => {
                write!(f, "{verb} requested {by}; waits for what pid {pid} left of its process group")
            }
            Cause::RequestedDuringSpawn { verb, by } => write!(f, "{verb} requested {by} while it was started"),
            Cause::EarlierDaemonDied { pid } => {
                write!(f, "an earlier daemon died; waits for what pid {pid} left of its process group")
            }
            Cause::Executed => f.write_str("executed"),
            Cause::Up { seconds } => write!(f, "up for {seconds} s"),
            Cause::Ready { sign } => write!(f, "ready: {sign}"),
            Cause::Exited { exit, age_ms } => write!(f, "{exit} after {}", span(Duration::from_millis(*age_ms))),
            Cause::Completed { exit, age_ms } => f.write_str(&completed(*exit, *age_ms)),
            Cause::StartFailed { failure } => failure.fmt(f),
            Cause::SpawnFailed { error } => error.fmt(f),
            Cause::Unhealthy { failures, message } => failed_checks(f, *failures, message),
            Cause::HealthyAgain { message } => write!(f, "healthy again: {message}"),
            Cause::RestartUnhealthy => f.write_str("restart because it is unhealthy"),
            Cause::BackedOff { failure, number, of, delay } => {
                write!(f, "{failure}, retry {number} of {of} in {delay} s")
            }
            Cause::Retry { number, of } => write!(f, "retry {number} of {of}"),
            Cause::Restart => f.write_str("restart after its end"),
            Cause::DependencyBack { on: Some(on) } => write!(f, "{on}, which it needs, is there after all"),
            Cause::DependencyBack { on: None } => f.write_str("it needs something else by now"),
            Cause::GaveUp { failure, after: None } => failure.fmt(f),
            Cause::GaveUp { failure, after: Some(after) } => write!(f, "{failure}, gave up after {after}"),
            Cause::Ended { exit: Some(exit) } => exit.fmt(f),
            Cause::Ended { exit: None } => f.write_str("it has gone"),
            Cause::StopTimedOut { seconds } => {
                write!(f, "SIGKILL: still there {seconds} s after its stop signal (stopwaitsecs)")
            }
            Cause::StopStepOver { signal, after, seconds } => {
                let (signal, after) = (signal_text(*signal), signal_text(*after));
                write!(f, "{signal}: still there {seconds} s after {after} (stopsignal)")
            }
            Cause::SignalRequested { signal, target, by } => {
                f.write_str(&signal_text(*signal))?;
                match target {
                    SignalTarget::Leader => write!(f, " requested {by}"),
                    SignalTarget::Group => write!(f, " to its process group requested {by}"),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::initiator::Caller;
    use super::super::state::SpawnStage;
    use super::*;

    fn client() -> Initiator {
        Initiator::Client(Arc::new(Caller { uid: 0, pid: 12, command: Some("supervicectl".into()) }))
    }

    fn spawn_error() -> SpawnError {
        SpawnError::system(SpawnStage::Exec, "/x", 2)
    }

    /// Every cause with its text and its serialised form.
    fn all() -> Vec<(Cause, &'static str, &'static str)> {
        let exited = Arc::new(Failure::Exited { exit: Exit::Code(3), age_ms: 250 });
        let unhealthy = Failure::Unhealthy { failures: 2, message: "refused".into() };
        vec![
            (
                Cause::Requested { verb: Verb::Start, by: client(), remains_of: None },
                "start requested by uid 0, pid 12 (supervicectl)",
                r#"{"kind":"requested","verb":"start","by":{"kind":"client","uid":0,"pid":12,"command":"supervicectl"}}"#,
            ),
            (
                Cause::Requested { verb: Verb::Kill, by: Initiator::Shutdown, remains_of: NonZeroI32::new(9) },
                "kill requested by the daemon's shutdown; waits for what pid 9 left of its process group",
                r#"{"kind":"requested","verb":"kill","by":{"kind":"shutdown"},"remains_of":9}"#,
            ),
            (
                Cause::RequestedDuringSpawn { verb: Verb::Stop, by: Initiator::Embedder },
                "stop requested by the embedding program while it was started",
                r#"{"kind":"requested_during_spawn","verb":"stop","by":{"kind":"embedder"}}"#,
            ),
            (
                Cause::EarlierDaemonDied { pid: 7 },
                "an earlier daemon died; waits for what pid 7 left of its process group",
                r#"{"kind":"earlier_daemon_died","pid":7}"#,
            ),
            (Cause::Executed, "executed", r#"{"kind":"executed"}"#),
            (Cause::Up { seconds: 1 }, "up for 1 s", r#"{"kind":"up","seconds":1}"#),
            (
                Cause::Exited { exit: Exit::Signal(9), age_ms: 61_000 },
                "killed by SIGKILL after 1:01",
                r#"{"kind":"exited","signal":9,"age_ms":61000}"#,
            ),
            (
                Cause::Ready { sign: ReadySign::Fd },
                "ready: a line feed on its readiness descriptor",
                r#"{"kind":"ready","sign":"fd"}"#,
            ),
            (
                Cause::StartFailed { failure: Failure::NotReady { seconds: 60, sign: ReadySign::Fd }.into() },
                "not ready within 60 s (start_timeout): it waited for a line feed on its readiness descriptor",
                r#"{"kind":"start_failed","failure":{"kind":"not_ready","seconds":60,"sign":"fd"}}"#,
            ),
            (
                Cause::StartFailed { failure: Failure::NeverReady.into() },
                "it will never be ready: it has closed its readiness descriptor without a line feed",
                r#"{"kind":"start_failed","failure":{"kind":"never_ready"}}"#,
            ),
            (
                Cause::Completed { exit: Exit::Code(0), age_ms: 250 },
                "completed after 0.2 s",
                r#"{"kind":"completed","code":0,"age_ms":250}"#,
            ),
            (
                Cause::Completed { exit: Exit::Code(3), age_ms: 61_000 },
                "completed after 1:01 with exit code 3",
                r#"{"kind":"completed","code":3,"age_ms":61000}"#,
            ),
            (
                Cause::StartFailed { failure: Failure::NotCompleted { seconds: 30 }.into() },
                "not completed within 30 s (start_timeout)",
                r#"{"kind":"start_failed","failure":{"kind":"not_completed","seconds":30}}"#,
            ),
            (
                Cause::SpawnFailed { error: Box::new(spawn_error()) },
                "cannot execute /x: No such file or directory",
                r#"{"kind":"spawn_failed","error":{"stage":"exec","subject":"/x","errno":2,"detail":""}}"#,
            ),
            (
                Cause::Unhealthy { failures: 1, message: "refused".into() },
                "health check failed once: refused",
                r#"{"kind":"unhealthy","failures":1,"message":"refused"}"#,
            ),
            (
                Cause::HealthyAgain { message: "connected".into() },
                "healthy again: connected",
                r#"{"kind":"healthy_again","message":"connected"}"#,
            ),
            (Cause::RestartUnhealthy, "restart because it is unhealthy", r#"{"kind":"restart_unhealthy"}"#),
            (
                Cause::BackedOff { failure: exited, number: 2, of: 3, delay: 2 },
                "exit code 3 after 0.2 s, retry 2 of 3 in 2 s",
                r#"{"kind":"backed_off","failure":{"kind":"exited","code":3,"age_ms":250},"number":2,"of":3,"delay":2}"#,
            ),
            (Cause::Retry { number: 2, of: 3 }, "retry 2 of 3", r#"{"kind":"retry","number":2,"of":3}"#),
            (Cause::Restart, "restart after its end", r#"{"kind":"restart"}"#),
            (
                Cause::DependencyBack { on: Some("db".into()) },
                "db, which it needs, is there after all",
                r#"{"kind":"dependency_back","on":"db"}"#,
            ),
            (Cause::DependencyBack { on: None }, "it needs something else by now", r#"{"kind":"dependency_back"}"#),
            (
                Cause::GaveUp {
                    failure: Arc::new(Failure::DependencyLost { on: "db".into(), state: ProcessState::Fatal }),
                    after: None,
                },
                "it needs db, which is FATAL",
                r#"{"kind":"gave_up","failure":{"kind":"dependency_lost","on":"db","state":"FATAL"}}"#,
            ),
            (
                Cause::GaveUp { failure: Arc::new(unhealthy), after: Some(Tries::Restarts(3)) },
                "health check failed 2 times: refused, gave up after 3 restarts",
                r#"{"kind":"gave_up","failure":{"kind":"unhealthy","failures":2,"message":"refused"},"after":{"restarts":3}}"#,
            ),
            (
                Cause::GaveUp { failure: Arc::new(Failure::SpawnFailed(spawn_error())), after: None },
                "cannot execute /x: No such file or directory",
                r#"{"kind":"gave_up","failure":{"kind":"spawn_failed","stage":"exec","subject":"/x","errno":2,"detail":""}}"#,
            ),
            (
                Cause::GaveUp { failure: Arc::new(Failure::InternalError), after: None },
                "an internal error of supervice (a panic), please report it; its processes are killed",
                r#"{"kind":"gave_up","failure":{"kind":"internal_error"}}"#,
            ),
            (Cause::Ended { exit: Some(Exit::Code(0)) }, "exit code 0", r#"{"kind":"ended","exit":{"code":0}}"#),
            (Cause::Ended { exit: None }, "it has gone", r#"{"kind":"ended","exit":null}"#),
            (
                Cause::StopTimedOut { seconds: 10 },
                "SIGKILL: still there 10 s after its stop signal (stopwaitsecs)",
                r#"{"kind":"stop_timed_out","seconds":10}"#,
            ),
            (
                Cause::StopStepOver { signal: 15, after: 3, seconds: 30 },
                "SIGTERM: still there 30 s after SIGQUIT (stopsignal)",
                r#"{"kind":"stop_step_over","signal":15,"after":3,"seconds":30}"#,
            ),
            (
                Cause::SignalRequested { signal: 40, target: SignalTarget::Group, by: Initiator::Autostart },
                "signal 40 to its process group requested by autostart",
                r#"{"kind":"signal_requested","signal":40,"target":"group","by":{"kind":"autostart"}}"#,
            ),
            (
                Cause::SignalRequested {
                    signal: 1,
                    target: SignalTarget::Leader,
                    by: Initiator::Reload { by: Arc::new(Initiator::Signal { signal: 1 }) },
                },
                "SIGHUP requested by a reload (SIGHUP)",
                r#"{"kind":"signal_requested","signal":1,"by":{"kind":"reload","by":{"kind":"signal","signal":1}}}"#,
            ),
        ]
    }

    #[test]
    fn every_cause_has_its_sentence_and_comes_back_from_its_code() {
        for (cause, text, code) in all() {
            assert_eq!(cause.to_string(), text);
            assert_eq!(serde_json::to_string(&cause).expect("plain data"), code);
            assert_eq!(serde_json::from_str::<Cause>(code).expect("what was written"), cause);
        }
    }

    #[test]
    fn a_cause_takes_24_bytes() {
        assert_eq!(size_of::<Cause>(), 24);
    }

    #[test]
    fn a_request_is_found_in_its_causes_alone() {
        for (cause, text, _) in all() {
            let asked = text.contains(" requested by") && !text.to_lowercase().starts_with("sig");
            assert_eq!(cause.request().is_some(), asked, "{text}");
        }
        let cause = Cause::Requested { verb: Verb::Stop, by: Initiator::Shutdown, remains_of: None };
        assert_eq!(cause.request(), Some((Verb::Stop, &Initiator::Shutdown)));
    }

    #[test]
    fn long_texts_are_cut_and_short_ones_are_shared() {
        for (cause, ..) in all() {
            assert_eq!(cause.clone().shortened(), cause);
        }
        let failure = Arc::new(Failure::SpawnFailed(spawn_error()));
        let Cause::GaveUp { failure: kept, .. } =
            (Cause::GaveUp { failure: Arc::clone(&failure), after: None }).shortened()
        else {
            panic!("another cause")
        };
        assert!(Arc::ptr_eq(&kept, &failure));
        let long = SpawnError::other(SpawnStage::Prepare, "p".repeat(201), "ü".repeat(101));
        let cut = SpawnError::other(SpawnStage::Prepare, "p".repeat(200), "ü".repeat(100));
        let failed = |error: &SpawnError| Arc::new(Failure::SpawnFailed(error.clone()));
        for (before, after) in [
            (Cause::SpawnFailed { error: Box::new(long.clone()) }, Cause::SpawnFailed { error: Box::new(cut.clone()) }),
            (
                Cause::BackedOff { failure: failed(&long), number: 1, of: 2, delay: 3 },
                Cause::BackedOff { failure: failed(&cut), number: 1, of: 2, delay: 3 },
            ),
            (
                Cause::GaveUp { failure: failed(&long), after: Some(Tries::Attempts(4)) },
                Cause::GaveUp { failure: failed(&cut), after: Some(Tries::Attempts(4)) },
            ),
        ] {
            assert_eq!(before.shortened(), after);
        }
    }
}
