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
//!   seconds in `BACKOFF`, at most 30, or as `restart_delay` and its kin say; after `startretries` retries comes `FATAL`.
//!   `RUNNING` ends the row.
//! - With `startsecs = 0`, where every program that can be executed is `RUNNING` at once, an unexpected
//!   end within the first second counts as a failed attempt too; a run of a second or an expected end ends the row. Not so in
//!   supervisord's dialect: there it is an end as any other, and the next rule alone paces the restarts.
//! - A restart after any other end comes at once if the run has lasted a second, else after the
//!   rest of that second.
//! - The n-th restart in a row for bad health waits like the n-th failed attempt; a passed check ends the row.
//! - With `restart_limit`, a restart of whatever kind that would be one too many within the time is `FATAL` in its place.
//! - With `fatal_retry`, one attempt is made so long after `FATAL`; if that fails, the next one waits for twice as long.
//! - An operator's start or restart ends both rows, and whatever was counted for the limits.
//!
//! # Readiness
//!
//! A program that reports its readiness (`ready`) is `RUNNING` when it has done so and has lived for `startsecs`. If it
//! can no longer report, or has not within `start_timeout`, it is stopped, and that was a failed attempt. Readiness
//! that is not reported is probed from `startsecs` on: a connection at growing intervals up to a second, a command
//! every second.
//!
//! # Oneshots
//!
//! A oneshot is in `STARTING` as long as it runs. Its success is its end: `EXITED`, which lasts until it is started or
//! stopped by request. Any other end, and none within `start_timeout`, is a failed attempt.
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
//! `autorestart`, `exitcodes`, `startretries` and the restart policy are always the newest.

mod action;
mod attempts;
mod checks;
mod commands;
mod condition;
mod due;
mod event;
mod forking;
mod health;
mod hooks;
mod life;
mod main_search;
mod notified;
mod output_watched;
mod pacing;
mod pause;
mod phase;
mod probes;
mod starting;
mod startup;
#[cfg(test)]
mod tests;
mod waiting;
mod watchdog;
mod watched;

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
pub use action::{Action, Desired, KillWhy, LastRun, Transition};
#[cfg(test)]
pub(crate) use condition::Upcoming;
pub use condition::{Condition, Prerequisite};
use due::is_due;
pub use event::{Event, Generation};
use pacing::{Bounds, Random};
use phase::{Phase, Run};
pub use probes::PROBE_TIMEOUT_SECS;
use startup::Startup;

/// No two starts lie closer together than this, unless an operator asks for one.
const MIN_RESTART_INTERVAL: Duration = Duration::from_secs(1);
/// The longest delay of a retry, in seconds.
const MAX_RETRY_DELAY: u32 = 30;
/// SIGKILL is sent again after this long if something is still there.
const KILL_AGAIN: Duration = Duration::from_secs(5);
/// Timers that may be due one after the other at one moment: `RUNNING`, its first check, a try whether it is ready, its
/// watchdog, and one to spare.
const TIMERS_AT_ONCE: usize = 5;

/// What is counted between two commands of an operator.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Tally {
    /// Failed attempts in a row.
    attempts: u32,
    /// Attempts in a row that came to nothing because the daemon was short of something.
    shortages: u32,
    /// Restarts for bad health in a row.
    health_restarts: u32,
    /// Processes that no operator has asked for.
    restarts: u32,
    /// No operator has asked for the start under way: its process will count.
    #[serde(default)]
    restarts_now: bool,
    bounds: Option<Box<Bounds>>,
    random: Random,
}

impl Tally {
    /// All counters at zero; the random numbers continue.
    fn begin(&self) -> Tally {
        Tally { random: self.random, ..Tally::default() }
    }
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
        let run = if let Event::Spawned { pid, .. } | Event::SpawnPending { pid, .. } = &event {
            Some((*pid, now))
        } else {
            None
        };
        self.guarded(now, run, |machine| machine.step(now, event));
    }

    /// Contains a panic in a step: only this process becomes `FATAL`, the others go on.
    fn guarded(&mut self, now: Moment, spawned: Option<(i32, Moment)>, step: impl FnOnce(&mut Machine)) {
        let from = self.phase.state();
        let run = self.phase.run().map(|run| (run.pid, run.started)).or(spawned);
        if catch_unwind(AssertUnwindSafe(|| step(self))).is_err() {
            self.fail_after_panic(now, from, run);
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
            Event::PauseRequested => self.pause(phase),
            Event::ResumeRequested => self.resume(now, phase),
            Event::OrphansFound { pid } => self.orphans_found(now, phase, pid),
            Event::Held { generation: _ } => Machine::held(phase),
            Event::Released { generation: _, on } => self.released(phase, on),
            Event::DependencyLost { generation: _, on, state } => self.dependency_lost(phase, on, state),
            Event::StartWhenTimedOut { generation: _, seconds, on } => {
                self.start_when_timed_out(now, phase, seconds, on)
            }
            Event::Spawned { generation: _, pid } => self.spawned(now, phase, pid, Machine::begin_startup),
            Event::SpawnPending { generation: _, pid } => self.spawned(now, phase, pid, Machine::begin_pending),
            Event::Executed { generation: _ } => self.executed(now, phase),
            Event::SpawnFailed { generation: _, error } => self.spawn_failed(now, phase, error),
            Event::Exited { generation: _, exit, descendant } => self.exited(now, phase, exit, descendant),
            Event::GroupEmpty { generation: _ } => self.group_empty(now, phase),
            Event::GroupLingers { generation: _ } => self.group_lingers(now, phase),
            Event::HookEnded { generation: _, hook, failure } => self.hook_ended(now, phase, hook, failure),
            Event::HealthReported { generation: _, healthy, message } => {
                self.health_reported(now, phase, healthy, &message)
            }
            Event::HealthMissed { generation: _ } => health::health_missed(phase),
            Event::ReadyReported { generation: _, report } => self.ready_reported(now, phase, report),
            Event::Probed { generation: _, ready, message } => self.probed(now, phase, ready, &message),
            Event::Notified { generation: _, message } => self.notified(now, phase, &message),
            Event::NotifyRefused { generation: _, pid } => self.notify_refused(phase, pid),
            Event::NotificationsRead { generation: _ } => self.notifications_read(now, phase),
            Event::OutputWatched { generation: _, fault, is_restart } => {
                self.output_watched(now, phase, fault, is_restart)
            }
            Event::OutputResumed { generation: _ } => self.output_resumed(phase),
            Event::MainFound { generation: _, pid } => self.main_found(now, phase, pid),
            Event::NoMain { generation: _, found } => self.no_main(now, phase, found),
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

    /// The configuration of the run of which a leader lives, something of its group is left, or a hook runs.
    pub fn run_config(&self) -> Option<&Arc<ProgramConfig>> {
        self.phase.run_config()
    }

    /// The public state.
    pub fn state(&self) -> ProcessState {
        self.phase.state()
    }

    /// What is wanted. `FATAL` makes it [`Desired::Down`]: only an operator's start tries again; where a dependency is
    /// lost it stays up, and the start comes when that is made good.
    pub fn desired(&self) -> Desired {
        self.desired
    }

    /// The number of the present or last run; 0 before the first.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// The leader of the present run, as long as it lives.
    pub fn pid(&self) -> Option<i32> {
        self.phase.live_run().map(|run| run.pid)
    }

    /// `true` while a leader lives, something of its group is left, or a spawn is under way.
    pub fn has_run(&self) -> bool {
        self.phase.run().is_some() || matches!(self.phase, Phase::Spawning { .. })
    }

    /// Its spawn is under way: what comes of it is not known yet.
    pub fn is_being_spawned(&self) -> bool {
        matches!(self.phase, Phase::Spawning { .. })
    }

    /// Its process has not executed the program yet, for a reason that it does not know: a file system does not answer.
    pub fn is_exec_pending(&self) -> bool {
        matches!(self.phase, Phase::Starting { startup: Startup::Exec, .. })
    }

    /// When the present run was spawned, as long as its leader lives.
    pub fn started_at(&self) -> Option<Moment> {
        self.phase.live_run().map(|run| run.started)
    }

    /// What the health checks say of the present run; `None` before the first answer and without checks. It is not
    /// healthy where its watchdog has missed it, or its output has shown that it is not well.
    pub fn healthy(&self) -> Option<bool> {
        let is_missed = self.phase.live_run().and_then(Run::watchdog_miss).is_some();
        match is_missed || self.phase.output_fault().is_some() {
            true => Some(false),
            false => self.phase.checks().and_then(|checks| checks.healthy),
        }
    }

    /// A timer of [`poll_timeout`](Self::poll_timeout) is that of its watchdog.
    pub fn is_watched(&self) -> bool {
        let timer = self.phase.live_run().and_then(Run::watchdog_timer);
        timer.is_some() && timer == self.phase.timer()
    }

    /// A health check is under way: [`poll_timeout`](Self::poll_timeout) tells when its answer is given up.
    pub fn is_checking(&self) -> bool {
        self.phase.checks().is_some_and(|checks| checks.is_under_way())
    }

    /// Whether it is ready is tried next; `true`: that is under way. [`poll_timeout`](Self::poll_timeout) tells when,
    /// or when its answer is given up.
    pub fn next_is_probe(&self) -> Option<bool> {
        let probes = self.phase.probes().filter(|probes| probes.timer() == self.phase.timer())?;
        probes.timer().map(|_| probes.is_under_way())
    }

    /// What the last health check of the present run found; `None` as for [`healthy`](Self::healthy).
    pub fn health_message(&self) -> Option<&str> {
        self.phase.checks().filter(|checks| checks.healthy.is_some()).map(|checks| &*checks.message)
    }

    /// Whether the present run has told that it is ready; `None` where nothing tells.
    pub fn ready(&self) -> Option<bool> {
        let run = self.phase.live_run()?;
        ReadySign::of(&run.config.ready)?;
        match self.phase {
            Phase::Starting {
                startup:
                    Startup::Exec
                    | Startup::Ready { .. }
                    | Startup::Lost { .. }
                    | Startup::Healthy { .. }
                    | Startup::Forking { .. }
                    | Startup::Detached { .. },
                ..
            } => Some(false),
            Phase::Starting { startup: Startup::Alive { .. }, .. }
            | Phase::Running { .. }
            | Phase::Unhealthy { .. } => {
                let has_time = run.notify_state.as_ref().is_none_or(|told| told.doing.is_none());
                Some(has_time && run.unready().is_none())
            }
            Phase::Starting { startup: Startup::Completion { .. }, .. }
            | Phase::Stopped
            | Phase::Exited { .. }
            | Phase::Fatal { .. }
            | Phase::Backoff { .. }
            | Phase::Waiting { .. }
            | Phase::PreStart { .. }
            | Phase::Up { .. }
            | Phase::Ending { .. }
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

    /// Starts without an operator since the last operator's start, as far as they came to a process.
    pub fn restarts(&self) -> u64 {
        self.tally.restarts.into()
    }

    /// In `STARTING`: [`poll_timeout`](Self::poll_timeout) tells when the start is given up, not when it has come
    /// about.
    pub fn gives_up(&self) -> bool {
        match &self.phase {
            Phase::Starting { startup: Startup::Healthy { checks, give_up_at }, .. } => {
                give_up_at.is_some_and(|at| checks.timer().is_none_or(|check| at <= check))
            }
            Phase::Starting { run, startup: Startup::Ready { give_up_at, .. } } => {
                give_up_at.is_some_and(|at| run.probes_timer().is_none_or(|probe| at <= probe))
            }
            Phase::Starting { startup, .. } => !matches!(startup, Startup::Alive { .. } | Startup::Exec),
            Phase::Stopped
            | Phase::Exited { .. }
            | Phase::Fatal { .. }
            | Phase::Backoff { .. }
            | Phase::Waiting { .. }
            | Phase::PreStart { .. }
            | Phase::Up { .. }
            | Phase::Ending { .. }
            | Phase::Spawning { .. }
            | Phase::Running { .. }
            | Phase::Unhealthy { .. }
            | Phase::Stopping { .. } => false,
        }
    }

    /// In `BACKOFF`: the number of this retry, how many there may be, and when it comes; `None` for one that does not
    /// count.
    pub fn retry(&self) -> Option<(u32, u32, Moment)> {
        match &self.phase {
            Phase::Backoff { retry: phase::Retry { number: Some(number), at, .. }, .. } => {
                Some((*number, self.config.startretries, *at))
            }
            Phase::Backoff { retry: phase::Retry { number: None, .. }, .. }
            | Phase::Stopped
            | Phase::Exited { .. }
            | Phase::Fatal { .. }
            | Phase::PreStart { .. }
            | Phase::Waiting { .. }
            | Phase::Up { .. }
            | Phase::Ending { .. }
            | Phase::Spawning { .. }
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Unhealthy { .. }
            | Phase::Stopping { .. } => None,
        }
    }

    /// In `BACKOFF`: when the next attempt comes.
    pub fn retry_at(&self) -> Option<Moment> {
        match &self.phase {
            Phase::Backoff { retry, .. } => Some(retry.at),
            Phase::Stopped
            | Phase::Exited { .. }
            | Phase::Fatal { .. }
            | Phase::Waiting { .. }
            | Phase::PreStart { .. }
            | Phase::Up { .. }
            | Phase::Ending { .. }
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
            | Phase::Waiting { .. }
            | Phase::PreStart { .. }
            | Phase::Up { .. }
            | Phase::Ending { .. }
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
            | Phase::Waiting { .. }
            | Phase::PreStart { .. }
            | Phase::Up { .. }
            | Phase::Ending { .. }
            | Phase::Spawning { .. }
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Unhealthy { .. } => None,
        }
    }
}
