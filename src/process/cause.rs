//! [`Cause`]: why a process is in its state, as data.

mod part;
mod tries;

use std::fmt;
use std::num::NonZeroI32;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::failure::{Failure, MAX_TEXT_BYTES, completed, failed_checks, is_long, shorten_failure};
use super::initiator::Initiator;
use super::main_process::NoMain;
use super::notification::WatchdogMiss;
use super::output_fault::OutputFault;
use super::readiness::ReadySign;
use super::schedule_note::ScheduleNote;
use super::signal_target::SignalTarget;
use super::span::span;
use super::state::{Exit, SpawnError, signal_text};
pub(super) use part::Part;
pub(crate) use tries::RetryNumber;
pub use tries::Tries;

/// What an operator, the daemon or an embedding program can ask of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// It is to run.
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

/// Why a process entered its state, or (in notes) what happened to it without a change of state. Its text is the
/// sentence that logs, `why` and `history` show; its serialised form is the machine-readable one of the control
/// protocol.
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
    /// A daemon that died has left a process of it behind.
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
    /// It has reported that it is ready.
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
    /// It is a oneshot, and has completed.
    Completed {
        /// How.
        #[serde(flatten)]
        exit: Exit,
        /// How long it had lived, in milliseconds.
        age_ms: u64,
    },
    /// Its start has failed, and what there is of it has to end.
    StartFailed {
        /// Why not.
        failure: Arc<Failure>,
    },
    /// It could not be spawned, and is to be down by now.
    SpawnFailed {
        /// Why.
        error: Box<SpawnError>,
    },
    /// Its health checks fail.
    Unhealthy {
        /// How many in a row.
        failures: u32,
        /// What the last one found.
        message: Arc<str>,
    },
    /// A health check passed after all.
    HealthyAgain {
        /// What it found.
        message: Arc<str>,
    },
    /// Its watchdog has timed out.
    WatchdogMissed {
        /// Why.
        miss: WatchdogMiss,
    },
    /// Its output shows that it is unhealthy (`output_watch`).
    OutputFault {
        /// What that is.
        fault: Arc<OutputFault>,
    },
    /// It writes output again.
    HeardAgain,
    /// A note: the command of an `output_watch` rule has ended.
    OutputCommandEnded {
        /// With exit code 0.
        success: bool,
        /// How, and what it has written.
        message: Arc<str>,
    },
    /// It has told its watchdog that it is alive again.
    AliveAgain,
    /// It is restarted because it is unhealthy.
    RestartUnhealthy,
    /// A note: the command of `healthcheck_action` has ended.
    HealthCommandEnded {
        /// With exit code 0.
        success: bool,
        /// How, and what it has written.
        message: Arc<str>,
    },
    /// An attempt failed; another one follows.
    BackedOff {
        /// Why it failed.
        failure: Arc<Failure>,
        /// The number of the retry, from 1.
        number: u32,
        /// How many may follow one another.
        of: u32,
        /// Seconds until the retry.
        delay: u32,
    },
    /// The daemon was short of something (descriptors, memory, processes): the program is tried again, which does not
    /// count as an attempt.
    WaitsForRoom {
        /// Of what.
        error: Box<SpawnError>,
        /// Seconds until then.
        delay: u32,
    },
    /// Another attempt after the daemon was short of something.
    RetryForRoom,
    /// The time of a retry has come.
    Retry {
        /// Its number, from 1.
        number: u32,
        /// How many may follow one another.
        of: u32,
    },
    /// Another attempt, long after it was given up (`fatal_retry`).
    FatalRetry {
        /// Its number since it ran as it should, from 1.
        number: u32,
    },
    /// It ended and is started again (`autorestart`).
    Restart,
    /// A dependency that was lost is met again.
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
    /// A note: it outlived its `stop_command`, which has succeeded, and gets its stop signal.
    OutlivedStopCommand {
        /// That signal.
        signal: u8,
        /// By so many seconds.
        seconds: u32,
    },
    /// A note: its `stop_command` has not ended by half of `stopwaitsecs`, and it gets its stop signal.
    StopCommandHangs {
        /// That signal.
        signal: u8,
        /// The command has run for so many seconds.
        seconds: u32,
    },
    /// A note: it is killed, because its `stop_command` has not ended.
    StopCommandTimedOut {
        /// Within so many seconds (`stopwaitsecs`).
        seconds: u32,
    },
    /// A note: what became of a time of its schedule.
    Schedule {
        /// What.
        #[serde(flatten)]
        note: ScheduleNote,
    },
    /// A note: a command that is run around it has failed, which changes nothing.
    HookFailed {
        /// How.
        failure: Arc<Failure>,
    },
    /// A note: somebody asked it to read its configuration again.
    ReloadRequested {
        /// Who.
        by: Initiator,
    },
    /// A note: somebody has paused it.
    PauseRequested {
        /// Who.
        by: Initiator,
    },
    /// A note: somebody lets it go on.
    ResumeRequested {
        /// Who.
        by: Initiator,
    },
    /// A note: somebody has said whether the daemon itself starts it.
    EnabledSet {
        /// Whether it does.
        enabled: bool,
        /// Who.
        by: Initiator,
    },
    /// A note: a message on `$NOTIFY_SOCKET` is not taken, because another process than the main one has sent it
    /// (`notify_access = main`). It is noted once in a run.
    NotifyRefused {
        /// Who has sent it.
        pid: i32,
    },
    /// It has put itself into the background.
    InBackground,
    /// A note: it has ended by itself, and what it has left is told to end, too.
    LeftBehind {
        /// A process of that.
        left: i32,
    },
    /// A note: another process than before is its main one.
    MainProcess {
        /// The one that it was before.
        was: i32,
    },
    /// A note: a process that was named as its main one is not taken for that (`MAINPID=`).
    MainRefused {
        /// Why not.
        found: NoMain,
    },
    /// A note: it is not ready any more (`ready_interval`).
    ReadinessLost {
        /// What the try has found that has failed.
        message: Arc<str>,
    },
    /// A note: it is ready again.
    ReadinessBack,
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
    pub(super) fn waiting_for(mut self, pid: i32) -> Cause {
        if let Cause::Requested { remains_of, .. } = &mut self {
            *remains_of = NonZeroI32::new(pid);
        }
        self
    }

    /// The same with texts of a bounded length, to be kept. (The machine has cut what health checks said.)
    pub(crate) fn shortened(mut self) -> Cause {
        match self.part_mut() {
            Part::SpawnError(error) if is_long(error) => *error = error.shortened(MAX_TEXT_BYTES),
            Part::Failure(failure) => shorten_failure(failure),
            Part::SpawnError(_) | Part::By(_) | Part::Program(_) | Part::Plain => {}
        }
        self
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
            | Cause::WatchdogMissed { .. }
            | Cause::AliveAgain
            | Cause::OutputFault { .. }
            | Cause::HeardAgain
            | Cause::OutputCommandEnded { .. }
            | Cause::NotifyRefused { .. }
            | Cause::InBackground
            | Cause::LeftBehind { .. }
            | Cause::MainProcess { .. }
            | Cause::MainRefused { .. }
            | Cause::RestartUnhealthy
            | Cause::HealthCommandEnded { .. }
            | Cause::BackedOff { .. }
            | Cause::Retry { .. }
            | Cause::WaitsForRoom { .. }
            | Cause::RetryForRoom
            | Cause::FatalRetry { .. }
            | Cause::Restart
            | Cause::DependencyBack { .. }
            | Cause::GaveUp { .. }
            | Cause::Ended { .. }
            | Cause::StopTimedOut { .. }
            | Cause::StopStepOver { .. }
            | Cause::OutlivedStopCommand { .. }
            | Cause::StopCommandHangs { .. }
            | Cause::StopCommandTimedOut { .. }
            | Cause::Schedule { .. }
            | Cause::HookFailed { .. }
            | Cause::ReloadRequested { .. }
            | Cause::PauseRequested { .. }
            | Cause::ResumeRequested { .. }
            | Cause::EnabledSet { .. }
            | Cause::ReadinessLost { .. }
            | Cause::ReadinessBack
            | Cause::SignalRequested { .. } => None,
        }
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
            Cause::WatchdogMissed { miss } => miss.fmt(f),
            Cause::InBackground => f.write_str("it has put itself into the background"),
            Cause::LeftBehind { left } => write!(
                f,
                "it has left pid {left} behind, which is told to end; what puts itself into the background needs \
                 type = forking"
            ),
            Cause::MainProcess { was } => write!(f, "its main process is another one now, no longer pid {was}"),
            Cause::MainRefused { found } => write!(f, "MAINPID names {found}"),
            Cause::OutputFault { fault } => write!(f, "{fault} (output_watch)"),
            Cause::HeardAgain => f.write_str("it writes again"),
            Cause::OutputCommandEnded { success: _, message } => {
                write!(f, "the command for its output (output_watch): {message}")
            }
            Cause::AliveAgain => f.write_str("it has told its watchdog that it is alive"),
            Cause::NotifyRefused { pid } => write!(
                f,
                "a message on $NOTIFY_SOCKET is refused: pid {pid} is not its main process (notify_access = main)"
            ),
            Cause::RestartUnhealthy => f.write_str("restart because it is unhealthy"),
            Cause::HealthCommandEnded { success: _, message } => {
                write!(f, "the command for its bad health (healthcheck_action): {message}")
            }
            Cause::BackedOff { failure, number, of, delay } => {
                write!(f, "{failure}, {} in {delay} s", RetryNumber { number: *number, of: *of })
            }
            Cause::WaitsForRoom { error, delay } => write!(f, "{error}; the daemon tries again in {delay} s"),
            Cause::RetryForRoom => f.write_str("another attempt, now that there may be room"),
            Cause::Retry { number, of } => RetryNumber { number: *number, of: *of }.fmt(f),
            Cause::FatalRetry { number } => write!(f, "attempt {number} after FATAL (fatal_retry)"),
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
            Cause::OutlivedStopCommand { signal, seconds } => {
                write!(f, "{}: still there {seconds} s after its stop_command", signal_text(*signal))
            }
            Cause::StopCommandHangs { signal, seconds } => {
                write!(
                    f,
                    "{}: its stop_command has not ended within {seconds} s, half of its time",
                    signal_text(*signal)
                )
            }
            Cause::StopCommandTimedOut { seconds } => {
                write!(f, "SIGKILL: its stop_command has not ended within {seconds} s (stopwaitsecs)")
            }
            Cause::Schedule { note } => note.fmt(f),
            Cause::HookFailed { failure } => failure.fmt(f),
            Cause::ReadinessLost { message } => write!(f, "not ready any more: {message}"),
            Cause::ReadinessBack => f.write_str("ready again"),
            Cause::ReloadRequested { by } => write!(f, "reload requested {by}"),
            Cause::PauseRequested { by } => write!(f, "pause requested {by}"),
            Cause::ResumeRequested { by } => write!(f, "resume requested {by}"),
            Cause::EnabledSet { enabled: true, by } => write!(f, "enabled {by}"),
            Cause::EnabledSet { enabled: false, by } => write!(f, "disabled {by}"),
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
mod tests;
