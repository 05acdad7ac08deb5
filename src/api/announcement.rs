//! [`Announcement`]: what happened. It is made once and handed, in order, to everybody who listens.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::command::Command;
use super::event_type::EventType;
use super::exit_decision::ExitDecision;
use super::orphan_note::OrphanNote;
use super::output_change::OutputChange;
use super::refusal::{Refusal, ReloadFailure, RightText, RollbackReason};
use super::reply::Changes;
use crate::config::Diagnostic;
use crate::models::{Hook, Power, ProgramConfig, Right, StreamKind};
use crate::process::{
    Cause, HookFailure, Initiator, Moment, NoMain, ProcessState, ScheduleNote, SignalReason, Transition, span,
};
use crate::util::plural::counted;

/// What became of a reload.
#[derive(Debug, Clone, PartialEq)]
pub enum ReloadChange {
    /// A warning about the file.
    Warning(Arc<Diagnostic>),
    /// It was applied.
    Applied(Changes),
    /// A key of `[supervice]` has changed that takes effect when the daemon is started anew.
    NeedsDaemonRestart {
        /// The key.
        key: String,
    },
    /// Nothing was changed.
    Failed(ReloadFailure),
    /// It is taken back unless it is confirmed.
    CommitPending {
        /// Within so many seconds.
        seconds: u64,
    },
    /// It is taken back.
    RolledBack(Arc<RollbackReason>),
    /// A process has left the configuration and everything else.
    Removed {
        /// Which.
        name: String,
    },
}

/// How far the daemon's end has got.
#[derive(Debug, Clone, PartialEq)]
pub enum ShutdownProgress {
    /// A program's end asks for it.
    ExitDecided(Arc<ExitDecision>),
    /// The machine is to be turned off.
    Power(Power),
    /// Everything is told to stop.
    Begun {
        /// At most so many seconds.
        seconds: u64,
    },
    /// Asked again: what is left is killed.
    Forced,
    /// It was to begin anew, and is now told to end.
    ForGood,
    /// The time is up: these are killed.
    Killing(Vec<String>),
    /// The share of a stage is up: these are killed, and the rest of the time is for what is stopped after them.
    KillingStage {
        /// Which.
        names: Vec<String>,
        /// What is left of the time.
        left: Duration,
    },
    /// Not even SIGKILL has ended these.
    LeftBehind(Vec<String>),
    /// How many orphans of programs get the stop signal.
    OrphansTold(usize),
    /// SIGKILL was sent to every orphan, but some are still there.
    OrphansLeft,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Announcement {
    /// A process has changed its state.
    Transition {
        /// Its settings.
        program: Arc<ProgramConfig>,
        /// When.
        at: Moment,
        /// From where to where, and why.
        transition: Transition,
    },
    /// A program is executed, and is to be `RUNNING` later.
    Spawned {
        /// Its settings.
        program: Arc<ProgramConfig>,
        /// The process.
        pid: i32,
    },
    /// Something happened to a process that did not change its state.
    Noted {
        /// Its settings.
        program: Arc<ProgramConfig>,
        /// When.
        at: Moment,
        /// The state that it is in.
        state: ProcessState,
        /// The process, where there is one.
        pid: Option<i32>,
        /// What.
        cause: Cause,
    },
    /// A health check has its answer.
    Health {
        /// The settings of the process.
        program: Arc<ProgramConfig>,
        /// When.
        at: Moment,
        /// The process.
        pid: Option<i32>,
        /// Whether the check passed.
        healthy: bool,
        /// What it found.
        message: Arc<str>,
    },
    /// Output of a process is lost, or written again.
    Output {
        /// The settings of the process.
        program: Arc<ProgramConfig>,
        /// Which stream.
        stream: StreamKind,
        /// What became of it.
        change: OutputChange,
    },
    /// A program could not be executed, which was known only after it counted as started.
    ExecFailedLate {
        /// The settings of the process.
        program: Arc<ProgramConfig>,
        /// Why.
        error: Arc<crate::process::SpawnError>,
    },
    /// Programs can't be started because the daemon itself is short of something; told once for as long as it goes on.
    Shortage {
        /// What the first of them came to.
        error: Arc<crate::process::SpawnError>,
    },
    /// A process that is of no program with a `$NOTIFY_SOCKET` has sent a message there.
    UnknownSenderNotified {
        /// The process.
        pid: i32,
        /// Its user.
        uid: u32,
        /// It was gone before anybody could look whose process it was.
        is_gone: bool,
        /// How many such messages there were since the last report, this one included.
        count: u64,
    },
    /// A task of a process is sent a signal for a reason that matters.
    TaskSignalled {
        /// The settings of the process.
        program: Arc<ProgramConfig>,
        /// The hook that it is a command of; `None`: it is a health check script.
        hook: Option<Hook>,
        /// The task's process.
        pid: Option<i32>,
        /// Why.
        reason: SignalReason,
    },
    /// A command of `on_state` has failed.
    HookFailed {
        /// The settings of the process.
        program: Arc<ProgramConfig>,
        /// How.
        failure: Arc<HookFailure>,
    },
    /// A change of state is not told to `on_state`, because many others wait to be told.
    NoticeLost {
        /// The settings of the process.
        program: Arc<ProgramConfig>,
        /// The new state.
        state: ProcessState,
    },
    /// A client asked for something that changes something.
    Asked {
        /// For what.
        command: Arc<Command>,
        /// Who.
        by: Initiator,
    },
    /// A client asked for something that no rule of access allows it.
    Denied {
        /// The command; `None`: a question, or a part of a command.
        command: Option<Arc<Command>>,
        /// The right that it lacks.
        right: Right,
        /// To whom, as it was asked for; `None`: to the daemon, or to everything.
        on: Option<Box<str>>,
        /// Who.
        by: Initiator,
    },
    /// What is done with processes that an earlier daemon has left behind.
    Orphans(OrphanNote),
    /// Everything is set up, and nothing is started yet.
    Begun,
    /// A client sends an event to event listeners.
    RemoteEvent {
        /// What it calls it.
        kind: Arc<str>,
        /// What it says.
        data: Arc<str>,
    },
    /// All log files are opened anew because a signal asked for it.
    LogsReopened,
    /// The wall clock does not show what it would by the time that has passed.
    ClockSet {
        /// By how many microseconds; negative: backwards.
        by: i64,
        /// How long the machine has slept.
        asleep: Duration,
    },
    /// Something that was asked for did not come about.
    Failed(Arc<Refusal>),
    /// The configuration.
    Reload(ReloadChange),
    /// The daemon ends.
    Shutdown(ShutdownProgress),
}

/// What the event bus and clients that follow events are told of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PublicEvent<'a> {
    /// A process has changed its state.
    Transition {
        /// Its settings.
        program: &'a Arc<ProgramConfig>,
        /// When.
        at: Moment,
        /// From where to where, and why.
        transition: &'a Transition,
    },
    /// A health check has its answer.
    Health {
        /// The settings of the process.
        program: &'a Arc<ProgramConfig>,
        /// When.
        at: Moment,
        /// The process.
        pid: Option<i32>,
        /// Whether the check passed.
        healthy: bool,
        /// What it found.
        message: &'a Arc<str>,
    },
    /// A process is not ready any more, or is ready again.
    Readiness {
        /// Its settings.
        program: &'a Arc<ProgramConfig>,
        /// When.
        at: Moment,
        /// The process.
        pid: Option<i32>,
        /// What the try has found that has failed; `None`: it is ready again.
        lost: Option<&'a Arc<str>>,
    },
}

impl<'a> PublicEvent<'a> {
    /// The settings of the process.
    pub fn program(&self) -> &'a ProgramConfig {
        match self {
            PublicEvent::Transition { program, .. }
            | PublicEvent::Health { program, .. }
            | PublicEvent::Readiness { program, .. } => program,
        }
    }

    /// Its type.
    pub fn event_type(&self) -> EventType {
        match self {
            PublicEvent::Transition { transition, .. } => EventType::of_state(transition.to),
            PublicEvent::Health { healthy: true, .. } => EventType::HealthcheckPassed,
            PublicEvent::Health { healthy: false, .. } => EventType::HealthcheckFailed,
            PublicEvent::Readiness { lost: Some(_), .. } => EventType::ReadinessLost,
            PublicEvent::Readiness { lost: None, .. } => EventType::ReadinessBack,
        }
    }
}

impl Announcement {
    /// The public event that it is; `None` where it is none.
    pub fn event(&self) -> Option<PublicEvent<'_>> {
        match self {
            Announcement::Transition { program, at, transition } => {
                Some(PublicEvent::Transition { program, at: *at, transition })
            }
            Announcement::Health { program, at, pid, healthy, message } => {
                Some(PublicEvent::Health { program, at: *at, pid: *pid, healthy: *healthy, message })
            }
            Announcement::Noted { program, at, pid, cause: Cause::ReadinessLost { message }, .. } => {
                Some(PublicEvent::Readiness { program, at: *at, pid: *pid, lost: Some(message) })
            }
            Announcement::Noted { program, at, pid, cause: Cause::ReadinessBack, .. } => {
                Some(PublicEvent::Readiness { program, at: *at, pid: *pid, lost: None })
            }
            Announcement::Noted { .. }
            | Announcement::Spawned { .. }
            | Announcement::Output { .. }
            | Announcement::ExecFailedLate { .. }
            | Announcement::Shortage { .. }
            | Announcement::UnknownSenderNotified { .. }
            | Announcement::TaskSignalled { .. }
            | Announcement::HookFailed { .. }
            | Announcement::NoticeLost { .. }
            | Announcement::Asked { .. }
            | Announcement::Denied { .. }
            | Announcement::Begun
            | Announcement::RemoteEvent { .. }
            | Announcement::LogsReopened
            | Announcement::ClockSet { .. }
            | Announcement::Orphans(_)
            | Announcement::Failed(_)
            | Announcement::Reload(_)
            | Announcement::Shutdown(_) => None,
        }
    }

    /// How much it matters in a log; `None` where it is worth no line, because what follows tells of it.
    pub fn level(&self) -> Option<log::Level> {
        Some(match self {
            // The daemon's own trouble is told once, not for each program.
            Announcement::Transition { transition: Transition { cause: Cause::WaitsForRoom { .. }, .. }, .. } => {
                log::Level::Debug
            }
            Announcement::Shortage { .. } => log::Level::Error,
            Announcement::Transition { transition, .. } => match transition.to {
                ProcessState::Fatal => log::Level::Error,
                ProcessState::Backoff | ProcessState::Unhealthy => log::Level::Warn,
                ProcessState::Starting => log::Level::Debug,
                ProcessState::Stopped | ProcessState::Running | ProcessState::Stopping | ProcessState::Exited => {
                    log::Level::Info
                }
            },
            Announcement::Noted {
                cause:
                    Cause::StopTimedOut { .. }
                    | Cause::StopStepOver { .. }
                    | Cause::OutlivedStopCommand { .. }
                    | Cause::StopCommandHangs { .. }
                    | Cause::StopCommandTimedOut { .. }
                    | Cause::HookFailed { .. }
                    | Cause::NotifyRefused { .. },
                ..
            }
            | Announcement::UnknownSenderNotified { .. } => log::Level::Warn,
            Announcement::Noted {
                cause:
                    Cause::HealthCommandEnded { success: false, .. }
                    | Cause::OutputCommandEnded { success: false, .. }
                    | Cause::ReadinessLost { .. },
                ..
            } => log::Level::Warn,
            // It takes over later.
            Announcement::Noted { cause: Cause::MainRefused { found: NoMain::HasParent { .. } }, .. } => {
                log::Level::Info
            }
            Announcement::Noted { cause: Cause::MainRefused { .. }, .. } => log::Level::Warn,
            Announcement::Noted { cause: Cause::Schedule { note }, .. } => match note {
                ScheduleNote::Skipped { .. } | ScheduleNote::Missed { .. } => log::Level::Warn,
                ScheduleNote::Queued | ScheduleNote::Replaces | ScheduleNote::CaughtUp => log::Level::Info,
            },
            Announcement::Noted {
                cause:
                    Cause::LeftBehind { .. }
                    | Cause::HealthCommandEnded { success: true, .. }
                    | Cause::OutputCommandEnded { success: true, .. }
                    | Cause::ReadinessBack
                    | Cause::SignalRequested { by: Initiator::HealthCheck | Initiator::Policy(_), .. },
                ..
            } => log::Level::Info,
            Announcement::Noted { .. } | Announcement::Begun | Announcement::RemoteEvent { .. } => return None,
            Announcement::Health { healthy: true, .. } => log::Level::Debug,
            Announcement::Health { healthy: false, .. } => log::Level::Warn,
            Announcement::Output { change, .. } if change.is_loss() => log::Level::Error,
            Announcement::Output { .. } => log::Level::Warn,
            Announcement::TaskSignalled { .. } | Announcement::HookFailed { .. } | Announcement::NoticeLost { .. } => {
                log::Level::Warn
            }
            Announcement::ExecFailedLate { .. } => log::Level::Error,
            Announcement::Spawned { .. }
            | Announcement::Asked { .. }
            | Announcement::LogsReopened
            | Announcement::ClockSet { .. } => log::Level::Info,
            Announcement::Orphans(note) if note.is_error() => log::Level::Error,
            Announcement::Denied { right: Right::Read | Right::Logs, .. } => log::Level::Info,
            Announcement::Denied { .. } | Announcement::Failed(_) | Announcement::Orphans(_) => log::Level::Warn,
            Announcement::Reload(change) => match change {
                ReloadChange::Applied(_) | ReloadChange::CommitPending { .. } | ReloadChange::Removed { .. } => {
                    log::Level::Info
                }
                ReloadChange::Warning(_)
                | ReloadChange::NeedsDaemonRestart { .. }
                | ReloadChange::RolledBack(_)
                | ReloadChange::Failed(ReloadFailure::PendingCommit { .. }) => log::Level::Warn,
                ReloadChange::Failed(
                    ReloadFailure::ShuttingDown | ReloadFailure::Config(_) | ReloadFailure::TimedOut { .. },
                ) => log::Level::Error,
            },
            Announcement::Shutdown(progress) => match progress {
                ShutdownProgress::Begun { .. } | ShutdownProgress::ForGood | ShutdownProgress::OrphansTold(_) => {
                    log::Level::Info
                }
                ShutdownProgress::ExitDecided(_)
                | ShutdownProgress::Power(_)
                | ShutdownProgress::Forced
                | ShutdownProgress::Killing(_)
                | ShutdownProgress::KillingStage { .. } => log::Level::Warn,
                ShutdownProgress::LeftBehind(_) | ShutdownProgress::OrphansLeft => log::Level::Error,
            },
        })
    }
}

impl fmt::Display for ReloadChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReloadChange::Warning(warning) => warning.fmt(f),
            ReloadChange::Applied(Changes { added, removed, changed }) => {
                let parts: Vec<String> = [("added", added), ("removed", removed), ("changed", changed)]
                    .into_iter()
                    .filter(|(_, names)| !names.is_empty())
                    .map(|(what, names)| format!("{what} {}", names.join(", ")))
                    .collect();
                match parts.is_empty() {
                    true => f.write_str("reload: no changes"),
                    false => write!(f, "reload: {}", parts.join("; ")),
                }
            }
            ReloadChange::NeedsDaemonRestart { key } => {
                write!(f, "[supervice] {key} has changed; it takes effect when the daemon is started anew")
            }
            ReloadChange::Failed(why) => write!(f, "reload failed, nothing was changed: {why}"),
            ReloadChange::CommitPending { seconds } => {
                write!(f, "the update is taken back unless it is confirmed within {seconds} s")
            }
            ReloadChange::RolledBack(reason) => write!(f, "the update is taken back: {reason}"),
            ReloadChange::Removed { name } => write!(f, "{name}: removed"),
        }
    }
}

impl fmt::Display for ShutdownProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ShutdownProgress::ExitDecided(decision) => {
                write!(f, "{decision}: ending with exit code {}", decision.code)
            }
            ShutdownProgress::Power(power) => write!(f, "{}: everything is stopped", power.command()),
            ShutdownProgress::Begun { seconds } => write!(f, "shutting down, at most {seconds} s"),
            ShutdownProgress::Forced => f.write_str("a second signal to terminate: killing what still runs"),
            ShutdownProgress::ForGood => f.write_str("a signal to terminate: the daemon ends instead of restarting"),
            ShutdownProgress::Killing(names) => {
                write!(f, "shutdown_timeout is over: killing {}", names.join(", "))
            }
            ShutdownProgress::KillingStage { names, left } => {
                let (left, names) = (left.as_secs_f64(), names.join(", "));
                write!(
                    f,
                    "its share of shutdown_timeout is over ({left:.1} s are left for the others): killing {names}"
                )
            }
            ShutdownProgress::LeftBehind(names) => {
                write!(f, "not even SIGKILL has ended {}; the daemon exits without them", names.join(", "))
            }
            ShutdownProgress::OrphansTold(count) => write!(f, "terminating {} of the programs", counted(*count, "orphan")),
            ShutdownProgress::OrphansLeft => f.write_str(
                "SIGKILL was sent to every orphan of the programs, but some have not ended; the daemon exits without them",
            ),
        }
    }
}

impl fmt::Display for Announcement {
    /// A line of the daemon's log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Announcement::Transition { program, transition: Transition { from, to, pid, cause }, at: _ } => match pid {
                Some(pid) => write!(f, "{}: {from} -> {to} (pid {pid}): {cause}", program.name),
                None => write!(f, "{}: {from} -> {to}: {cause}", program.name),
            },
            Announcement::Spawned { program, pid } => write!(f, "{}: spawned (pid {pid})", program.name),
            Announcement::Begun => f.write_str("everything is set up"),
            Announcement::ClockSet { asleep, .. } if !asleep.is_zero() => {
                write!(f, "the machine was asleep for {}", span(*asleep))
            }
            Announcement::ClockSet { by, .. } => {
                let direction = if *by < 0 { "back" } else { "forward" };
                write!(f, "the clock was set {direction} by {}", span(Duration::from_micros(by.unsigned_abs())))
            }
            Announcement::RemoteEvent { kind, data } => write!(f, "event {kind} ({})", counted(data.len(), "byte")),
            Announcement::Noted { program, cause, .. } => write!(f, "{}: {cause}", program.name),
            Announcement::Health { program, healthy: true, message, .. } => {
                write!(f, "{}: health check passed: {message}", program.name)
            }
            Announcement::Health { program, healthy: false, message, .. } => {
                write!(f, "{}: health check failed: {message}", program.name)
            }
            Announcement::Output { program, stream, change } => {
                write!(f, "{}: {}", program.name, change.describe(*stream))
            }
            Announcement::ExecFailedLate { program, error } => write!(f, "{}: {error}", program.name),
            Announcement::Shortage { error } => write!(
                f,
                "programs and checks cannot be started, and wait until there is room: {error}. The daemon is short of {}",
                error.shortage_remedy()
            ),
            Announcement::TaskSignalled { program, hook, pid, reason } => {
                let task = hook.map_or("health check script", Hook::as_str);
                match pid {
                    Some(pid) => write!(f, "{}: the {task}, pid {pid}: {reason}", program.name),
                    None => write!(f, "{}: the {task}: {reason}", program.name),
                }
            }
            Announcement::UnknownSenderNotified { pid, uid, is_gone, count } => {
                write!(f, "a message on $NOTIFY_SOCKET is refused: ")?;
                match is_gone {
                    true => write!(
                        f,
                        "its sender (pid {pid}, uid {uid}) had ended before it was known whose process it was"
                    )?,
                    false => write!(f, "its sender (pid {pid}, uid {uid}) is of no program that has this socket")?,
                }
                match count {
                    1 => Ok(()),
                    count => write!(f, "; the last of {count}"),
                }
            }
            Announcement::HookFailed { program, failure } => write!(f, "{}: {failure}", program.name),
            Announcement::NoticeLost { program, state } => {
                write!(f, "{}: on_state does not keep up and is not told that it is {state}", program.name)
            }
            Announcement::Asked { command, by } => write!(f, "{command}: asked {by}"),
            Announcement::Denied { command: Some(command), by, .. } => {
                write!(f, "{command}: refused, no rule of access allows it; asked {by}")
            }
            Announcement::Denied { command: None, right, on, by } => {
                write!(f, "{}: refused, no rule of access allows it; asked {by}", RightText(*right, on.as_deref()))
            }
            Announcement::LogsReopened => f.write_str("log files are opened anew (SIGUSR2)"),
            Announcement::Failed(refusal) => refusal.fmt(f),
            Announcement::Orphans(note) => note.fmt(f),
            Announcement::Reload(change) => change.fmt(f),
            Announcement::Shutdown(progress) => progress.fmt(f),
        }
    }
}
