//! The life of one process as a pure state machine.
//!
//! It knows no system call, no clock, no thread and no log: it is told what happened and when
//! ([`Machine::handle_event`], [`Machine::handle_timeout`]) and answers with what is to be done
//! ([`Machine::poll_action`]) and when it wants to be woken ([`Machine::poll_timeout`]).
//!
//! What must never happen
//!
//! - Two children for one process: nothing is spawned before `GroupEmpty` of the run before.
//! - A child after `STOPPED`: it is announced when the group is empty, not when the leader has ended.
//! - Starts that nothing bounds: see below.
//! - An answer of an older generation that changes anything.
//!
//! # What bounds the starts that no operator has asked for
//!
//! - An end in `STARTING`, and a spawn that fails, is a failed attempt: the n-th one in a row waits n
//!   seconds in `BACKOFF`, at most 30; after `startretries` retries comes `FATAL`. `RUNNING` ends the row.
//! - With `startsecs = 0`, where every program that can be executed is `RUNNING` at once, an unexpected
//!   end within the first second counts as a failed attempt too; a run of a second or an expected end ends the row.
//! - A restart after any other end comes at once if the run has lasted a second, else after the
//!   rest of that second.
//! - The n-th restart in a row for bad health waits like the n-th failed attempt; a passed check ends the row.
//! - An operator's start or restart ends both rows.
//!
//! # Readiness
//!
//! What tells by itself that it is ready (`ready`) is `RUNNING` when it has done so, and has lived for `startsecs`. If it
//! can't tell any more, or has not within `start_timeout`, it is stopped, and that was a failed attempt.
//!
//! # What is to end by itself
//!
//! A oneshot is in `STARTING` as long as it runs. Its success is its end: `EXITED`, which lasts until it is started or stopped by
//! request. Any other end, and none within `start_timeout`, is a failed attempt.
//!
//! # What is left of a run
//!
//! The leader's end ends the run. The shell looks at its process group at once and feeds `GroupEmpty`, or
//! `GroupLingers` and `GroupEmpty` later. What lingers gets the stop signal, SIGKILL after `stopwaitsecs`, and SIGKILL
//! again every five seconds for as long as something is there: for members that were being forked when it was sent,
//! and to end at last what hung in the kernel. Meanwhile the public state may be
//! `EXITED`, `BACKOFF` or `FATAL`; an operator's command makes it `STOPPING` until the group has gone.
//!
//! Stop signal, `stopwaitsecs`, `startsecs` and the health check are those that the run was started with;
//! `autorestart`, `exitcodes` and `startretries` are always the newest.

mod action;
mod checks;
mod commands;
mod condition;
mod due;
mod event;
mod life;
mod phase;
mod starting;
mod startup;
#[cfg(test)]
mod tests;
mod waiting;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::cause::{Cause, Verb};
use super::initiator::Initiator;
use super::moment::Moment;
use super::readiness::ReadySign;
use super::state::{ProcessState, SpawnError};
use crate::failpoint;
use crate::models::ProgramConfig;
pub use action::{Action, Desired, KillWhy, LastRun, SignalTarget, Transition};
#[cfg(test)]
pub(crate) use condition::Upcoming;
pub use condition::{Awaited, Condition};
use due::is_due;
pub use event::{Event, Generation};
use phase::Phase;
use startup::Startup;

/// No two starts lie closer together than this, unless an operator asks for one.
const PACE: Duration = Duration::from_secs(1);
/// The longest delay of a retry, in seconds.
const LONGEST_DELAY: u32 = 30;
/// What SIGKILL has not ended after this long gets it again.
const KILL_AGAIN: Duration = Duration::from_secs(5);
/// Timers that may be due one after the other at one moment: `RUNNING`, its first check, and one to spare.
const TIMERS_AT_ONCE: usize = 3;

/// What is counted between two commands of an operator.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Tally {
    /// Failed attempts in a row.
    attempts: u32,
    /// Restarts for bad health in a row.
    health_restarts: u32,
    /// Starts that no operator has asked for.
    restarts: u64,
}

/// The state machine of one process.
#[derive(Debug, Serialize, Deserialize)]
pub struct Machine {
    config: Arc<ProgramConfig>,
    phase: Phase,
    desired: Desired,
    generation: Generation,
    tally: Tally,
    last_run: Option<LastRun>,
    spawn_error: Option<Box<SpawnError>>,
    /// What was last asked for, by whom, and when.
    last_request: Option<Box<(Verb, Initiator, Moment)>>,
    #[serde(skip)]
    actions: VecDeque<Action>,
}

impl Machine {
    /// A machine in `STOPPED` that is wanted down.
    pub fn new(config: Arc<ProgramConfig>) -> Self {
        Machine {
            config,
            phase: Phase::Stopped,
            desired: Desired::Down,
            generation: 0,
            tally: Tally::default(),
            last_run: None,
            spawn_error: None,
            last_request: None,
            actions: VecDeque::new(),
        }
    }

    /// Takes in what happened at `now`.
    pub fn handle_event(&mut self, now: Moment, event: Event) {
        if event.generation().is_some_and(|generation| generation != self.generation) {
            return;
        }
        let run = if let Event::Spawned { pid, .. } = &event { Some((*pid, now)) } else { None };
        self.guarded(now, run, |machine| machine.step(now, event));
    }

    /// Contains a panic in a step: only this process becomes `FATAL`, the others go on.
    fn guarded(&mut self, now: Moment, spawned: Option<(i32, Moment)>, step: impl FnOnce(&mut Machine)) {
        let from = self.phase.state();
        let run = self.phase.run().map(|run| (run.pid, run.started)).or(spawned);
        if catch_unwind(AssertUnwindSafe(|| step(self))).is_err() {
            self.broken(now, from, run);
        }
    }

    fn step(&mut self, now: Moment, event: Event) {
        failpoint::hit("machine", || format!("{} {}", self.config.name, event.name()));
        let phase = std::mem::replace(&mut self.phase, Phase::Stopped);
        self.phase = match event {
            Event::StartRequested { by } => self.start_requested(now, phase, by),
            Event::StopRequested { by } => self.stop_requested(now, phase, false, by),
            Event::KillRequested { by } => self.stop_requested(now, phase, true, by),
            Event::RestartRequested { force, by } => self.restart_requested(now, phase, force, by),
            Event::OrphansFound { pid } => self.orphans_found(now, phase, pid),
            Event::Held { generation: _ } => Machine::held(phase),
            Event::Released { generation: _, on } => self.released(phase, on),
            Event::DependencyLost { generation: _, on, state } => self.dependency_lost(phase, on, state),
            Event::Spawned { generation: _, pid } => self.spawned(now, phase, pid),
            Event::SpawnFailed { generation: _, error } => self.spawn_failed(now, phase, error),
            Event::Exited { generation: _, exit, descendant } => self.exited(now, phase, exit, descendant),
            Event::GroupEmpty { generation: _ } => self.group_empty(now, phase),
            Event::GroupLingers { generation: _ } => self.group_lingers(now, phase),
            Event::HealthReported { generation: _, healthy, message } => {
                self.health_reported(now, phase, healthy, &message)
            }
            Event::ReadyReported { generation: _, report } => self.ready_reported(now, phase, report),
            Event::ConfigChanged(config) => {
                self.config = config;
                phase
            }
        };
    }

    /// Lets every timer that is due at `now` fire.
    pub fn handle_timeout(&mut self, now: Moment) {
        if is_due(self.phase.timer(), now) {
            self.guarded(now, None, |machine| machine.fire_timers(now));
        }
    }

    fn fire_timers(&mut self, now: Moment) {
        for _ in 0..TIMERS_AT_ONCE {
            if !is_due(self.phase.timer(), now) {
                return;
            }
            let phase = std::mem::replace(&mut self.phase, Phase::Stopped);
            self.phase = self.timer_fired(now, phase);
        }
    }

    /// When `handle_timeout` wants to be called next; `None`: never, unless something happens.
    pub fn poll_timeout(&self) -> Option<Moment> {
        self.phase.timer()
    }

    /// The next thing to be done; call until `None`.
    pub fn poll_action(&mut self) -> Option<Action> {
        let action = self.actions.pop_front();
        if action.is_none() && self.actions.capacity() > 0 {
            // Thousands of idle programs must not hold a queue each.
            self.actions = VecDeque::new();
        }
        action
    }

    fn announce(&mut self, from: ProcessState, to: ProcessState, pid: Option<i32>, cause: Cause) {
        self.actions.push_back(Action::Announce(Transition { from, to, pid, cause }));
    }

    /// Announces the phase and hands it back.
    fn enter(&mut self, from: ProcessState, phase: Phase, pid: Option<i32>, cause: Cause) -> Phase {
        self.announce(from, phase.state(), pid, cause);
        phase
    }

    /// The configuration that the next start will use.
    pub fn config(&self) -> &Arc<ProgramConfig> {
        &self.config
    }

    /// The configuration of the run of which a leader lives or something of its group is left.
    pub fn run_config(&self) -> Option<&Arc<ProgramConfig>> {
        self.phase.run().map(|run| &run.config)
    }

    /// The public state.
    pub fn state(&self) -> ProcessState {
        self.phase.state()
    }

    /// What is wanted. `FATAL` makes it [`Desired::Down`]: only an operator's start tries again; where a dependency is lost
    /// it stays up, and the start comes when that is made good.
    pub fn desired(&self) -> Desired {
        self.desired
    }

    /// The number of the present or last run; 0 before the first.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// The leader of the present run, as long as it lives.
    pub fn pid(&self) -> Option<i32> {
        self.phase.led_run().map(|run| run.pid)
    }

    /// `true` while a leader lives, something of its group is left, or a spawn is under way.
    pub fn has_run(&self) -> bool {
        self.phase.run().is_some() || matches!(self.phase, Phase::Spawning { .. })
    }

    /// When the present run was spawned, as long as its leader lives.
    pub fn started_at(&self) -> Option<Moment> {
        self.phase.led_run().map(|run| run.started)
    }

    /// What the health checks say of the present run; `None` before the first answer and without checks.
    pub fn healthy(&self) -> Option<bool> {
        self.phase.checks().and_then(|checks| checks.healthy)
    }

    /// A health check is under way: [`poll_timeout`](Self::poll_timeout) tells when its answer is given up.
    pub fn is_checking(&self) -> bool {
        self.phase.checks().is_some_and(|checks| checks.is_under_way())
    }

    /// What the last health check of the present run found; `None` as for [`healthy`](Self::healthy).
    pub fn health_message(&self) -> Option<&str> {
        self.phase.checks().filter(|checks| checks.healthy.is_some()).map(|checks| &*checks.message)
    }

    /// Whether the present run has told that it is ready; `None` where nothing tells.
    pub fn ready(&self) -> Option<bool> {
        let run = self.phase.led_run()?;
        ReadySign::of(&run.config.ready)?;
        match self.phase {
            Phase::Starting {
                startup: Startup::Ready { .. } | Startup::Lost { .. } | Startup::Healthy { .. }, ..
            } => Some(false),
            Phase::Starting { startup: Startup::Alive { .. }, .. }
            | Phase::Running { .. }
            | Phase::Unhealthy { .. } => Some(true),
            Phase::Starting { startup: Startup::Completion { .. }, .. }
            | Phase::Stopped
            | Phase::Exited { .. }
            | Phase::Fatal { .. }
            | Phase::Backoff { .. }
            | Phase::Waiting
            | Phase::Spawning { .. }
            | Phase::Stopping { .. } => None,
        }
    }

    /// It is a oneshot that has done what it is for, and was not stopped or started since.
    pub fn has_completed(&self) -> bool {
        self.state() == ProcessState::Exited && self.last_run_completed()
    }

    fn last_run_completed(&self) -> bool {
        self.last_run.as_ref().is_some_and(|last| last.completed)
    }

    /// How the last finished run ended.
    pub fn last_run(&self) -> Option<&LastRun> {
        self.last_run.as_ref()
    }

    /// The failure of the last spawn, if the last attempt did not get to a process.
    pub fn spawn_error(&self) -> Option<&SpawnError> {
        self.spawn_error.as_deref()
    }

    /// What was last asked for, by whom, and when.
    pub fn last_request(&self) -> Option<&(Verb, Initiator, Moment)> {
        self.last_request.as_deref()
    }

    /// Starts without an operator since the last operator's start.
    pub fn restarts(&self) -> u64 {
        self.tally.restarts
    }

    /// In `STARTING`: [`poll_timeout`](Self::poll_timeout) tells when the start is given up, not when it has come about.
    pub fn gives_up(&self) -> bool {
        match &self.phase {
            Phase::Starting { startup: Startup::Healthy { checks, give_up_at }, .. } => {
                give_up_at.is_some_and(|at| checks.timer().is_none_or(|check| at <= check))
            }
            Phase::Starting { startup, .. } => !matches!(startup, Startup::Alive { .. }),
            Phase::Stopped
            | Phase::Exited { .. }
            | Phase::Fatal { .. }
            | Phase::Backoff { .. }
            | Phase::Waiting
            | Phase::Spawning { .. }
            | Phase::Running { .. }
            | Phase::Unhealthy { .. }
            | Phase::Stopping { .. } => false,
        }
    }

    /// In `BACKOFF`: the number of this retry, how many there may be, and when it comes.
    pub fn retry(&self) -> Option<(u32, u32, Moment)> {
        match &self.phase {
            Phase::Backoff { retry, .. } => Some((retry.number, self.config.startretries, retry.at)),
            Phase::Stopped
            | Phase::Exited { .. }
            | Phase::Fatal { .. }
            | Phase::Waiting
            | Phase::Spawning { .. }
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Unhealthy { .. }
            | Phase::Stopping { .. } => None,
        }
    }

    /// In `STOPPING`: the next signal, where that is not SIGKILL yet.
    pub fn next_stop_signal(&self) -> Option<u8> {
        match &self.phase {
            Phase::Stopping { group, .. } => group.next_signal().map(|(signal, _)| signal),
            Phase::Stopped
            | Phase::Exited { .. }
            | Phase::Fatal { .. }
            | Phase::Backoff { .. }
            | Phase::Waiting
            | Phase::Spawning { .. }
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Unhealthy { .. } => None,
        }
    }

    /// In `STOPPING`: when SIGKILL follows; `None` once it was sent, or in another state.
    pub fn kill_at(&self) -> Option<Moment> {
        match &self.phase {
            Phase::Stopping { group, .. } => group.kill_at(),
            Phase::Stopped
            | Phase::Exited { .. }
            | Phase::Fatal { .. }
            | Phase::Backoff { .. }
            | Phase::Waiting
            | Phase::Spawning { .. }
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Unhealthy { .. } => None,
        }
    }
}
