//! Rows of the registry: what there is to tell of a process, unworded.

use std::fmt;
use std::sync::Arc;

use super::counts::Counts;
use super::held_back::HeldBack;
use super::next_run::NextRun;
use super::orphan_note::Bystanders;
use crate::models::{Hook, OutputTrouble, ProgramConfig};
#[cfg(feature = "xmlrpc")]
use crate::process::Failure;
use crate::process::{
    Cause, Condition, Exit, HookFailure, LastWords, Moment, NotifyState, ProcessState, SpawnError, signal_text,
};

/// A hook that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunningHook {
    /// Which.
    pub hook: Hook,
    /// The process of its present command.
    pub pid: Option<i32>,
}

impl fmt::Display for RunningHook {
    /// `pre_start runs (pid 12)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} runs", self.hook)?;
        match self.pid {
            Some(pid) => write!(f, " (pid {pid})"),
            None => Ok(()),
        }
    }
}

/// What is added to the description of a process: the hook that runs, or else the one that has failed, unless that is
/// told already.
pub(super) fn of_hooks(
    condition: &Condition,
    running: Option<RunningHook>,
    failure: Option<&HookFailure>,
) -> Option<String> {
    let notify_state = match condition {
        Condition::Fatal { failure, .. } | Condition::Backoff { failure, .. } => failure.of_hook(),
        Condition::NotStarted
        | Condition::Stopped
        | Condition::Exited { .. }
        | Condition::Waiting { .. }
        | Condition::Preparing
        | Condition::Spawning
        | Condition::Up { .. }
        | Condition::Completed { .. }
        | Condition::Completing { .. }
        | Condition::Forking { .. }
        | Condition::Detached { .. }
        | Condition::Unready { .. }
        | Condition::ExecPending { .. }
        | Condition::Alive { .. }
        | Condition::Unhealthy { .. }
        | Condition::Missed { .. }
        | Condition::Stopping { .. } => None,
    };
    let failed = failure.filter(|failure| notify_state.is_none_or(|notify_state| notify_state.hook != failure.hook));
    running.map(|hook| hook.to_string()).or_else(|| failed.map(HookFailure::to_string))
}

/// What a stop finds to do.
#[cfg(feature = "xmlrpc")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToStop {
    /// Nothing: it is down, and does not come up by itself.
    Nothing,
    /// A start that would come by itself.
    Start,
    /// A process, what it has left behind, or what a oneshot has set up.
    Run,
}

/// One process in the answer to `status`.
#[derive(Debug, Clone, PartialEq)]
pub struct StatusRow {
    /// Its settings.
    pub program: Arc<ProgramConfig>,
    /// Its state.
    pub state: ProcessState,
    /// What a person is told of it.
    pub condition: Condition,
    /// What a stop finds to do: `EXITED` and `FATAL` may be an end, or not.
    #[cfg(feature = "xmlrpc")]
    pub to_stop: ToStop,
    /// The hook of it that runs.
    pub hook: Option<RunningHook>,
    /// The hook of its present run that has failed last.
    pub hook_failure: Option<Arc<HookFailure>>,
    /// What the run that has just ended said last.
    pub last_words: Option<LastWords>,
    /// The worst that is wrong with its output, while something is.
    pub output_trouble: Option<OutputTrouble>,
    /// An event listener that gets no more events: what it has said in place of an answer.
    pub listener_said: Option<Arc<str>>,
    /// Why the daemon could not make its last health check, for the want of something of its own.
    pub check_missed: Option<Box<SpawnError>>,
    /// Processes of an earlier daemon that are left alone.
    pub bystanders: Option<Bystanders>,
    /// The process; `None` where there is none.
    pub pid: Option<i32>,
    /// Its main process is stopped by this signal (SIGSTOP and the like). Looked up when somebody asks; the engine does
    /// not know it.
    pub paused: Option<u8>,
    /// It is paused by request.
    pub pause_requested: bool,
    /// The daemon itself does not start it.
    pub disabled: bool,
    /// A command that waits until others have gone.
    pub held: Option<Box<HeldBack>>,
    /// When it was spawned.
    pub started_at: Option<Moment>,
    /// What its health checks say.
    pub healthy: Option<bool>,
    /// How the last run ended.
    pub last_exit: Option<Exit>,
    /// Why its last attempt failed, where it was stopped while it waited for the next one.
    #[cfg(feature = "xmlrpc")]
    pub abandoned: Option<Arc<Failure>>,
    /// When the present or last run was spawned.
    pub last_started: Option<Moment>,
    /// When the last run ended.
    pub last_ended: Option<Moment>,
    /// Whether it has told that it is ready; `None` where nothing tells.
    pub ready: Option<bool>,
    /// It is a oneshot, and has done what it is for.
    pub completed: bool,
    /// What it has told of itself.
    pub notify_state: Option<Box<NotifyState>>,
    /// Starts without an operator since the last operator's start.
    pub restarts: u64,
    /// What has happened to it since the daemon began.
    pub counts: Counts,
    /// When it came into its state.
    pub since: Option<Moment>,
    /// In `STOPPING`: when SIGKILL follows.
    pub kill_at: Option<Moment>,
    /// In `BACKOFF`: when the next attempt comes.
    pub retry_at: Option<Moment>,
    /// When its schedule starts it; `None`: it has none.
    pub next_run: Option<NextRun>,
}

impl StatusRow {
    /// It is to run since the daemon began, and is not up and well.
    #[cfg(feature = "http")]
    pub fn is_obstacle(&self) -> bool {
        let is_well = match self.state {
            ProcessState::Running => self.healthy != Some(false) && self.ready != Some(false),
            ProcessState::Exited => self.completed,
            ProcessState::Stopped
            | ProcessState::Starting
            | ProcessState::Backoff
            | ProcessState::Stopping
            | ProcessState::Fatal
            | ProcessState::Unhealthy => false,
        };
        self.program.autostart && !self.disabled && !is_well
    }

    /// One line that a person can act on.
    pub fn describe(&self, now: Moment) -> String {
        let mut line = self.condition.describe(now, self.last_words.as_ref());
        if let Some(hook) = of_hooks(&self.condition, self.hook, self.hook_failure.as_deref()) {
            line.push_str("; ");
            line.push_str(&hook);
        }
        if let Some(signal) = self.paused {
            line.push_str(&paused_text(signal, self.pause_requested));
        }
        if let Some(held) = &self.held {
            line.push_str(&format!("; {held}"));
        }
        if let Some(notify_state) = &self.notify_state {
            line.push_str(&notify_state.describe(now));
        }
        if let Some(next) = &self.next_run {
            line.push_str("; ");
            line.push_str(&next.describe(now, self.program.schedule.timezone.as_deref()));
        }
        if self.disabled {
            line.push_str("; disabled");
        }
        if let Some(trouble) = &self.output_trouble {
            line.push_str("; ");
            line.push_str(&trouble.describe("output"));
        }
        if let Some(said) = &self.listener_said {
            line.push_str(&format!("; it gets no more events, because it has said '{said}'"));
        }
        if let Some(error) = &self.check_missed {
            line.push_str(&format!("; its health cannot be checked: {error}"));
        }
        if let Some(bystanders) = &self.bystanders {
            line.push_str(&format!("; {bystanders}"));
        }
        line
    }
}

/// `, paused (SIGSTOP)`, where that was asked for; else somebody has stopped it, or it has done so itself: `, stopped by SIGSTOP`.
pub(super) fn paused_text(signal: u8, is_requested: bool) -> String {
    let signal = signal_text(signal);
    if is_requested { format!(", paused ({signal})") } else { format!(", stopped by {signal}") }
}

/// A transition of the past, or a note about something that did not change the state (`from` and `to` are the same
/// then).
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryRow {
    /// Whose.
    pub program: Arc<ProgramConfig>,
    /// When.
    pub at: Moment,
    /// The state before.
    pub from: ProcessState,
    /// The state after.
    pub to: ProcessState,
    /// The process, where there was one.
    pub pid: Option<i32>,
    /// Why.
    pub cause: Cause,
}

/// What the daemon is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DaemonFacts {
    /// Its process.
    pub pid: i32,
    /// What it calls itself to clients of supervisord.
    pub identifier: String,
    /// It ends.
    pub ending: bool,
}

/// A program of the configuration that was read last.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigRow {
    /// Its settings.
    pub program: Arc<ProgramConfig>,
    /// Its group is in force.
    pub in_use: bool,
}
