//! [`Task`]: the life of one short command that the daemon runs for a program: a health check script, later a hook.
//!
//! # Design
//!
//! What must never happen, and what prevents it:
//!
//! - *Done twice, or an event of an ended task that changes anything*: `Ended` is a phase without data and without a way out.
//! - *Done while the leader lives*: `Done` is only made from `Spawning` (there is no process) and from `Draining`, which only
//!   [`TaskEvent::Exited`] enters. A process that even SIGKILL does not end keeps its task in `Killing`.
//! - *A signal to a pid that belongs to somebody else by now*: the group is cleared by one SIGKILL in the turn that reports the
//!   leader's end, while the shell still holds its pidfd. No later phase sends a signal.
//! - *A timer that stays due*: each phase has at most one timer, and each timer leads to a phase whose timer lies in the future.
//! - *A task that waits for nothing*: `Spawning` waits for the outcome of the spawn, `Draining` for a timer. The other phases wait
//!   for the leader's end, and after the time limit they send signals until it comes.
//!
//! ```text
//!            Spawned              time limit, cancel           grace over
//! Spawning ──────────► Running ───────────────────► Terminating ─────────► Killing ──┐ SIGKILL again
//!    │                    │      (hooks: SIGTERM)        │                  │  ▲   ◄─┘ every 5 s
//!    │ SpawnFailed        │ Exited                       │ Exited    Exited │  └─ health checks: at once
//!    ▼                    ▼                              ▼                  │
//!  Ended ◄──────────── Draining ◄───────────────────────────────────────────┘
//!        Drained, or 100 ms
//! ```
//!
//! The first reason to end decides what the end is called: a task that was cancelled and then reaches its time limit
//! was cancelled. An exit that is reported before the time limit's timer has fired is an ordinary end, even in the same
//! moment.
//!
//! The end of the leader is known from the reaper, never from the end of its output: a grandchild may hold the pipe
//! open. So
//! `Draining` waits for what was in the pipe, and not for longer than `DRAIN_LIMIT`.

mod end;
mod output_tail;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use end::TaskEnd;
pub use output_tail::OutputTail;

use super::moment::Moment;
use super::state::{Exit, SpawnError};

const SIGKILL: u8 = 9;
const SIGTERM: u8 = 15;

/// How long after the leader's end its last output is waited for.
const DRAIN_LIMIT: Duration = Duration::from_millis(100);

/// SIGKILL is repeated after this long: a process that was being forked may have been missed.
const KILL_AGAIN: Duration = Duration::from_secs(5);

/// What a task is for, which decides how it is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskKind {
    /// A health check script: stopped by SIGKILL at once, because it has nothing to tidy up.
    HealthCheck,
    /// A hook: stopped by SIGTERM first.
    Hook {
        /// How long after SIGTERM its group is sent SIGKILL. Zero: SIGKILL at once.
        term_grace: Duration,
    },
}

/// What holds for a task during its whole life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskSpec {
    /// What it is for.
    pub kind: TaskKind,
    /// How long it may run, counted from its spawn.
    pub timeout: Duration,
}

impl TaskSpec {
    /// The time between SIGTERM and SIGKILL; `None`: SIGKILL at once.
    fn term_grace(&self) -> Option<Duration> {
        match self.kind {
            TaskKind::HealthCheck => None,
            TaskKind::Hook { term_grace } => Some(term_grace).filter(|grace| !grace.is_zero()),
        }
    }
}

/// What happened to a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskEvent {
    /// The `Spawn` action has succeeded.
    Spawned {
        /// The new process, leader of its own group.
        pid: i32,
    },
    /// The `Spawn` action has failed.
    SpawnFailed(Box<SpawnError>),
    /// The leader has ended and was reaped.
    Exited(Exit),
    /// Bytes that it has written: all of them in order, or what an [`OutputTail`] kept of them.
    Output(Vec<u8>),
    /// Nothing more of its output follows: its pipe has ended, what was in it when the leader ended was read, or there
    /// is none.
    Drained,
    /// Nobody wants its result any more.
    CancelRequested {
        /// SIGKILL without SIGTERM.
        force: bool,
    },
}

/// What is to be done for a task by the shell around it, in this order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskAction {
    /// Spawn its command as the leader of a new process group, and feed `Spawned` or `SpawnFailed` back.
    Spawn,
    /// Send a signal to its process group.
    SignalGroup {
        /// The signal's number.
        signal: u8,
        /// Why it is sent.
        reason: SignalReason,
    },
    /// It has ended; nothing of it is expected or wanted any more.
    Done(TaskEnd),
}

/// Why a task's process group is sent a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignalReason {
    /// Its time is up.
    TimedOut,
    /// Nobody wants its result any more.
    Cancelled,
    /// SIGTERM has not ended it within its grace.
    GraceOver,
    /// SIGKILL has not ended it, for instance because it waits for a disk that does not answer.
    SurvivedKill {
        /// How often it was sent SIGKILL before.
        kills: u32,
    },
    /// Its leader has ended; what that has left behind in its group ends with it.
    LeaderExited,
}

impl fmt::Display for SignalReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SignalReason::TimedOut => f.write_str("its time is up"),
            SignalReason::Cancelled => f.write_str("it was cancelled"),
            SignalReason::GraceOver => f.write_str("it has not ended after SIGTERM"),
            SignalReason::SurvivedKill { kills: 1 } => f.write_str("it has not ended after SIGKILL"),
            SignalReason::SurvivedKill { kills } => write!(f, "it has not ended after SIGKILL was sent {kills} times"),
            SignalReason::LeaderExited => f.write_str("its leader has ended"),
        }
    }
}

/// Why a task is made to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Interruption {
    TimedOut,
    Cancelled,
}

impl Interruption {
    fn signal_reason(self) -> SignalReason {
        match self {
            Interruption::TimedOut => SignalReason::TimedOut,
            Interruption::Cancelled => SignalReason::Cancelled,
        }
    }
}

/// A request to cancel that waits for the outcome of the spawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum EarlyCancel {
    None,
    Gentle,
    Forced,
}

/// Timers are `None` where the clock has no room for them, in some hundred years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Phase {
    /// The `Spawn` action is out.
    Spawning { cancel: EarlyCancel },
    /// The leader lives, and has time.
    Running { pid: i32, deadline: Option<Moment> },
    /// The group was sent SIGTERM.
    Terminating { pid: i32, kill_at: Option<Moment>, why: Interruption },
    /// The group was sent SIGKILL.
    Killing { pid: i32, again_at: Option<Moment>, kills: u32, why: Interruption },
    /// The leader was reaped and its group cleared; only its last output is missing.
    Draining { until: Moment, exit: Exit, why: Option<Interruption> },
    /// `Done` was said.
    Ended,
}

/// The machine of one short command that the daemon runs for a program: a health check script, or a hook.
///
/// It is pure: events and the time go in, actions come out. It is done when its leader was reaped and its last output
/// was read or has not come within 100 ms, and then nothing changes it any more.
///
/// ```
/// use std::time::Duration;
/// use supervice::internals::{Moment, Task, TaskAction, TaskEvent, TaskKind, TaskSpec};
/// use supervice::process::Exit;
///
/// let (now, mut actions) = (Moment::from_nanos(1), Vec::new());
/// let mut task = Task::start(TaskSpec { kind: TaskKind::HealthCheck, timeout: Duration::from_secs(5) }, &mut actions);
/// assert_eq!(actions, [TaskAction::Spawn]);
///
/// task.handle_event(now, TaskEvent::Spawned { pid: 42 }, &mut actions);
/// assert_eq!(task.poll_timeout(), Some(now + Duration::from_secs(5)));
/// task.handle_event(now, TaskEvent::Output(b"no space left\n".to_vec()), &mut actions);
/// task.handle_event(now, TaskEvent::Drained, &mut actions);
/// task.handle_event(now, TaskEvent::Exited(Exit::Code(3)), &mut actions);
/// let Some(TaskAction::Done(end)) = actions.pop() else { panic!("it has not ended") };
/// assert_eq!(end.to_string(), "exit code 3: no space left");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    spec: TaskSpec,
    phase: Phase,
    /// No more output follows.
    drained: bool,
    output: OutputTail,
}

impl Task {
    /// A new task. Like the methods below it adds to `actions` what is to be done.
    pub fn start(spec: TaskSpec, actions: &mut Vec<TaskAction>) -> Task {
        actions.push(TaskAction::Spawn);
        let phase = Phase::Spawning { cancel: EarlyCancel::None };
        Task { spec, phase, drained: false, output: OutputTail::default() }
    }

    /// Takes in what happened.
    pub fn handle_event(&mut self, now: Moment, event: TaskEvent, actions: &mut Vec<TaskAction>) {
        match event {
            TaskEvent::Spawned { pid } => self.spawned(now, pid, actions),
            TaskEvent::SpawnFailed(error) => self.spawn_failed(error, actions),
            TaskEvent::Exited(exit) => self.exited(now, exit, actions),
            TaskEvent::Output(bytes) => self.take_output(&bytes),
            TaskEvent::Drained => self.note_drained(actions),
            TaskEvent::CancelRequested { force } => self.cancel(now, force, actions),
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called; `None`: not before something happens.
    pub fn poll_timeout(&self) -> Option<Moment> {
        match self.phase {
            Phase::Running { deadline, .. } => deadline,
            Phase::Terminating { kill_at, .. } => kill_at,
            Phase::Killing { again_at, .. } => again_at,
            Phase::Draining { until, .. } => Some(until),
            Phase::Spawning { .. } | Phase::Ended => None,
        }
    }

    /// Lets the timer fire if it is due at `now`.
    pub fn handle_timeout(&mut self, now: Moment, actions: &mut Vec<TaskAction>) {
        if self.poll_timeout().is_none_or(|due| due > now) {
            return;
        }
        match self.phase {
            Phase::Running { pid, .. } => self.interrupt(now, pid, Interruption::TimedOut, false, actions),
            Phase::Terminating { pid, why, .. } => self.kill(now, pid, 0, why, SignalReason::GraceOver, actions),
            Phase::Killing { pid, kills, why, .. } => {
                self.kill(now, pid, kills, why, SignalReason::SurvivedKill { kills }, actions);
            }
            Phase::Draining { exit, why, .. } => self.finish(exit, why, actions),
            Phase::Spawning { .. } | Phase::Ended => {}
        }
    }

    /// The leader, as long as it lives.
    pub fn pid(&self) -> Option<i32> {
        match self.phase {
            Phase::Running { pid, .. } | Phase::Terminating { pid, .. } | Phase::Killing { pid, .. } => Some(pid),
            Phase::Spawning { .. } | Phase::Draining { .. } | Phase::Ended => None,
        }
    }

    /// Its leader lives, or the outcome of its spawn is not known yet.
    pub fn may_live(&self) -> bool {
        match self.phase {
            Phase::Spawning { .. } | Phase::Running { .. } | Phase::Terminating { .. } | Phase::Killing { .. } => true,
            Phase::Draining { .. } | Phase::Ended => false,
        }
    }

    /// `Done` was said.
    #[cfg(test)]
    pub fn has_ended(&self) -> bool {
        self.phase == Phase::Ended
    }

    /// What it was started with.
    pub fn spec(&self) -> &TaskSpec {
        &self.spec
    }

    fn spawned(&mut self, now: Moment, pid: i32, actions: &mut Vec<TaskAction>) {
        match self.phase {
            Phase::Spawning { cancel: EarlyCancel::None } => {
                self.phase = Phase::Running { pid, deadline: now.checked_add(self.spec.timeout) };
            }
            Phase::Spawning { cancel: EarlyCancel::Gentle } => {
                self.interrupt(now, pid, Interruption::Cancelled, false, actions);
            }
            Phase::Spawning { cancel: EarlyCancel::Forced } => {
                self.interrupt(now, pid, Interruption::Cancelled, true, actions);
            }
            Phase::Running { .. }
            | Phase::Terminating { .. }
            | Phase::Killing { .. }
            | Phase::Draining { .. }
            | Phase::Ended => {}
        }
    }

    fn spawn_failed(&mut self, error: Box<SpawnError>, actions: &mut Vec<TaskAction>) {
        let end = match self.phase {
            Phase::Spawning { cancel: EarlyCancel::None } => TaskEnd::SpawnFailed(error),
            Phase::Spawning { cancel: EarlyCancel::Gentle | EarlyCancel::Forced } => TaskEnd::Cancelled,
            Phase::Running { .. }
            | Phase::Terminating { .. }
            | Phase::Killing { .. }
            | Phase::Draining { .. }
            | Phase::Ended => return,
        };
        self.end(end, actions);
    }

    fn exited(&mut self, now: Moment, exit: Exit, actions: &mut Vec<TaskAction>) {
        let why = match self.phase {
            Phase::Running { .. } => None,
            Phase::Terminating { why, .. } | Phase::Killing { why, .. } => Some(why),
            // The shell reports a spawn before it reaps.
            Phase::Spawning { .. } | Phase::Draining { .. } | Phase::Ended => return,
        };
        actions.push(TaskAction::SignalGroup { signal: SIGKILL, reason: SignalReason::LeaderExited });
        match now.checked_add(DRAIN_LIMIT).filter(|_| !self.drained) {
            Some(until) => self.phase = Phase::Draining { until, exit, why },
            None => self.finish(exit, why, actions),
        }
    }

    fn take_output(&mut self, bytes: &[u8]) {
        match self.phase {
            Phase::Spawning { .. }
            | Phase::Running { .. }
            | Phase::Terminating { .. }
            | Phase::Killing { .. }
            | Phase::Draining { .. } => self.output.push(bytes),
            Phase::Ended => {}
        }
    }

    fn note_drained(&mut self, actions: &mut Vec<TaskAction>) {
        match self.phase {
            Phase::Spawning { .. } | Phase::Running { .. } | Phase::Terminating { .. } | Phase::Killing { .. } => {
                self.drained = true;
            }
            Phase::Draining { exit, why, .. } => self.finish(exit, why, actions),
            Phase::Ended => {}
        }
    }

    fn cancel(&mut self, now: Moment, force: bool, actions: &mut Vec<TaskAction>) {
        match self.phase {
            Phase::Spawning { cancel } => {
                let forced = force || cancel == EarlyCancel::Forced;
                let cancel = if forced { EarlyCancel::Forced } else { EarlyCancel::Gentle };
                self.phase = Phase::Spawning { cancel };
            }
            Phase::Running { pid, .. } => self.interrupt(now, pid, Interruption::Cancelled, force, actions),
            Phase::Terminating { pid, why, .. } if force => {
                self.kill(now, pid, 0, why, SignalReason::Cancelled, actions);
            }
            Phase::Terminating { .. } | Phase::Killing { .. } | Phase::Draining { .. } | Phase::Ended => {}
        }
    }

    /// Makes a living leader end: by SIGTERM where there is a grace, else by SIGKILL.
    fn interrupt(&mut self, now: Moment, pid: i32, why: Interruption, force: bool, actions: &mut Vec<TaskAction>) {
        let reason = why.signal_reason();
        match self.spec.term_grace().filter(|_| !force) {
            Some(grace) => {
                self.phase = Phase::Terminating { pid, kill_at: now.checked_add(grace), why };
                actions.push(TaskAction::SignalGroup { signal: SIGTERM, reason });
            }
            None => self.kill(now, pid, 0, why, reason, actions),
        }
    }

    fn kill(
        &mut self,
        now: Moment,
        pid: i32,
        kills: u32,
        why: Interruption,
        reason: SignalReason,
        actions: &mut Vec<TaskAction>,
    ) {
        let again_at = now.checked_add(KILL_AGAIN);
        self.phase = Phase::Killing { pid, again_at, kills: kills.saturating_add(1), why };
        actions.push(TaskAction::SignalGroup { signal: SIGKILL, reason });
    }

    /// The end of a task whose leader was reaped.
    fn finish(&mut self, exit: Exit, why: Option<Interruption>, actions: &mut Vec<TaskAction>) {
        let output = self.output.text();
        let end = match why {
            None => TaskEnd::Exited { exit, output },
            Some(Interruption::TimedOut) => TaskEnd::TimedOut { limit: self.spec.timeout, exit, output },
            Some(Interruption::Cancelled) => TaskEnd::Cancelled,
        };
        self.end(end, actions);
    }

    fn end(&mut self, end: TaskEnd, actions: &mut Vec<TaskAction>) {
        self.phase = Phase::Ended;
        self.output = OutputTail::default();
        actions.push(TaskAction::Done(end));
    }
}
