//! The life of one process as a pure state machine.
//!
//! It knows no system call, no clock, no thread and no log: it is told what happened and when
//! ([`Machine::handle_event`], [`Machine::handle_timeout`]) and answers with what is to be done
//! ([`Machine::poll_action`]) and when it wants to be woken ([`Machine::poll_timeout`]).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::state::{Exit, ProcessState, SpawnError, signal_number};
use crate::models::{AutoRestart, HealthCheckType, ProgramConfig};

/// Counts the runs of a process; an answer that carries an older generation changes nothing.
pub type Generation = u64;

/// What happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// An operator (or the daemon, for `autostart`) wants it up; retry counters are reset.
    StartRequested,
    /// An operator (or the shutdown) wants it down.
    StopRequested,
    /// SIGKILL its group now and keep it down.
    KillRequested,
    /// Stop, then start; with `force` by SIGKILL at once.
    RestartRequested {
        /// Skip the stop signal.
        force: bool,
    },
    /// The `Spawn` action has succeeded.
    Spawned {
        /// The run that it was for.
        generation: Generation,
        /// The new process, leader of its own group.
        pid: i32,
    },
    /// The `Spawn` action has failed.
    SpawnFailed {
        /// The run that it was for.
        generation: Generation,
        /// Why.
        error: SpawnError,
    },
    /// The leader has ended and was reaped.
    Exited {
        /// The run that ended.
        generation: Generation,
        /// How.
        exit: Exit,
    },
    /// After the leader's end: nothing is left of its process group.
    GroupEmpty {
        /// The run that it was.
        generation: Generation,
    },
    /// After the leader's end: something of its process group is still there.
    GroupLingers {
        /// The run that it was.
        generation: Generation,
    },
    /// The answer to a `CheckHealth` action.
    HealthReported {
        /// The run that was checked.
        generation: Generation,
        /// Whether the check passed.
        healthy: bool,
        /// What the check found, for people.
        message: String,
    },
    /// New settings; they take effect at the next start.
    ConfigChanged(Arc<ProgramConfig>),
}

/// What is to be done by the shell around the machine, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Spawn the program and feed `Spawned` or `SpawnFailed` back in the same turn.
    Spawn {
        /// The new run.
        generation: Generation,
    },
    /// Send a signal to everything in the run's process group.
    SignalGroup {
        /// The run that is meant.
        generation: Generation,
        /// The signal's number.
        signal: u8,
    },
    /// Check the health and feed `HealthReported` back when the answer is there.
    CheckHealth {
        /// The run to be checked.
        generation: Generation,
    },
    /// The public state has changed.
    Announce(Transition),
}

/// A change of the public state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// The state before.
    pub from: ProcessState,
    /// The state now.
    pub to: ProcessState,
    /// The run's process, where one exists or has just ended.
    pub pid: Option<i32>,
    /// Why, in words that a person can act on.
    pub cause: String,
}

/// What the operator wants, apart from what is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Desired {
    /// It shall run.
    Up,
    /// It shall not run.
    Down,
}

/// How the last run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastRun {
    /// The process.
    pub pid: i32,
    /// How it ended.
    pub exit: Exit,
    /// When it was spawned.
    pub started: Instant,
    /// When it ended.
    pub ended: Instant,
}

const SIGKILL: u8 = 9;
const SIGTERM: u8 = 15;

/// No more than one start without an operator in this time.
const PACE: Duration = Duration::from_secs(1);
/// The longest pause before a retry.
const LONGEST_DELAY: u32 = 30;
/// What SIGKILL has not ended is killed again after this time: members may have been forked meanwhile.
const KILL_AGAIN: Duration = Duration::from_secs(5);
/// What a check may take beyond its time-out before its answer is given up.
const CHECK_MARGIN: Duration = Duration::from_secs(5);

/// A run whose leader lives.
#[derive(Debug, Clone)]
struct Run {
    pid: i32,
    started: Instant,
    config: Arc<ProgramConfig>,
}

/// The health checks of a run.
#[derive(Debug, Clone, Copy, Default)]
struct Checks {
    /// When the next one is due; `None` where there are none, or time has no room for it.
    due: Option<Instant>,
    /// One is out: when its answer is given up.
    expires: Option<Instant>,
    /// Failures in a row.
    failures: u32,
}

/// What is to follow when a stopping run has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// `STOPPED`, and a new start if that is desired by then.
    AsDesired,
    /// `BACKOFF` or `FATAL`: the run was stopped because its health checks failed.
    HealthRestart,
}

#[derive(Debug)]
enum Phase {
    Stopped,
    /// Ended by itself; `restart_at` where it is to be started again.
    Exited {
        restart_at: Option<Instant>,
    },
    Fatal,
    Backoff {
        retry_at: Option<Instant>,
        attempt: u32,
    },
    /// The `Spawn` action is out.
    Spawning,
    Starting {
        run: Run,
        running_at: Option<Instant>,
    },
    Running {
        run: Run,
        checks: Checks,
    },
    Unhealthy {
        run: Run,
        checks: Checks,
    },
    /// `run`: the leader still lives; else its group is on its way out.
    Stopping {
        run: Option<Run>,
        kill_at: Option<Instant>,
        next: Next,
    },
}

/// What is left of the group of an ended run, while the state is one of the down ones or `BACKOFF`.
#[derive(Debug, Clone, Copy)]
struct Rest {
    /// Told to stop: when it is killed (again).
    kill_at: Option<Instant>,
    killed: bool,
    stopsignal: u8,
    wait: Duration,
}

/// The state machine of one process. See the [module](self).
#[derive(Debug)]
pub struct Machine {
    config: Arc<ProgramConfig>,
    phase: Phase,
    desired: Desired,
    generation: Generation,
    rest: Option<Rest>,
    /// A start is due, and waits until nothing is left of the run before.
    start_pending: bool,
    /// In `STOPPING`: SIGKILL was sent.
    killed: bool,
    /// Failed attempts since the last `RUNNING` (or operator's start).
    attempts: u32,
    /// Restarts for bad health since the last passed check (or operator's start).
    health_restarts: u32,
    restarts: u64,
    healthy: Option<bool>,
    health_message: Option<Box<str>>,
    last_run: Option<LastRun>,
    spawn_error: Option<Box<SpawnError>>,
    /// Why the last start failed or the run was given up, for `describe`.
    reason: Option<Box<str>>,
    /// When the last spawn was, for pacing.
    last_spawn: Option<Instant>,
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
            rest: None,
            start_pending: false,
            killed: false,
            attempts: 0,
            health_restarts: 0,
            restarts: 0,
            healthy: None,
            health_message: None,
            last_run: None,
            spawn_error: None,
            reason: None,
            last_spawn: None,
            actions: VecDeque::new(),
        }
    }

    /// Takes in what happened at `now`.
    pub fn handle_event(&mut self, now: Instant, event: Event) {
        match event {
            Event::StartRequested => self.start_requested(now),
            Event::StopRequested => self.stop_requested(now, false),
            Event::KillRequested => self.stop_requested(now, true),
            Event::RestartRequested { force } => self.restart_requested(now, force),
            Event::Spawned { generation, pid } if generation == self.generation => self.spawned(now, pid),
            Event::SpawnFailed { generation, error } if generation == self.generation => self.spawn_failed(now, error),
            Event::Exited { generation, exit } if generation == self.generation => self.exited(now, exit),
            Event::GroupEmpty { generation } if generation == self.generation => self.group_empty(now),
            Event::GroupLingers { generation } if generation == self.generation => self.group_lingers(now),
            Event::HealthReported { generation, healthy, message } if generation == self.generation => {
                self.health_reported(now, healthy, message);
            }
            // Yesterday's answers change nothing.
            Event::Spawned { .. }
            | Event::SpawnFailed { .. }
            | Event::Exited { .. }
            | Event::GroupEmpty { .. }
            | Event::GroupLingers { .. }
            | Event::HealthReported { .. } => {}
            Event::ConfigChanged(config) => self.config = config,
        }
    }

    fn start_requested(&mut self, now: Instant) {
        self.desired = Desired::Up;
        self.attempts = 0;
        self.health_restarts = 0;
        self.restarts = 0;
        match self.phase {
            Phase::Stopped | Phase::Exited { .. } | Phase::Fatal | Phase::Backoff { .. } => {
                self.start(now, "start requested");
            }
            Phase::Stopping { ref mut next, .. } => *next = Next::AsDesired,
            Phase::Spawning | Phase::Starting { .. } | Phase::Running { .. } | Phase::Unhealthy { .. } => {}
        }
    }

    fn stop_requested(&mut self, now: Instant, kill: bool) {
        self.desired = Desired::Down;
        self.start_pending = false;
        let cause = if kill { "kill requested" } else { "stop requested" };
        match &mut self.phase {
            Phase::Stopped | Phase::Fatal | Phase::Exited { restart_at: None } if self.rest.is_none() => {}
            Phase::Stopped => self.clear_rest(now, kill, cause),
            Phase::Fatal | Phase::Exited { .. } | Phase::Backoff { .. } => {
                if self.rest.is_some() {
                    self.clear_rest(now, kill, cause);
                } else {
                    self.reason = None;
                    self.become_(ProcessState::Stopped, Phase::Stopped, None, cause);
                }
            }
            // The answer to the spawn comes in the same turn.
            Phase::Spawning => {}
            Phase::Starting { .. } | Phase::Running { .. } | Phase::Unhealthy { .. } => {
                self.stop(now, kill, Next::AsDesired, cause);
            }
            Phase::Stopping { next, .. } => {
                *next = Next::AsDesired;
                if kill && !self.killed {
                    self.kill_now(now);
                }
            }
        }
    }

    fn restart_requested(&mut self, now: Instant, force: bool) {
        match self.phase {
            Phase::Starting { .. } | Phase::Running { .. } | Phase::Unhealthy { .. } => {
                self.stop(now, force, Next::AsDesired, "restart requested");
            }
            Phase::Stopping { .. } if force && !self.killed => self.kill_now(now),
            Phase::Stopping { .. }
            | Phase::Stopped
            | Phase::Exited { .. }
            | Phase::Fatal
            | Phase::Backoff { .. }
            | Phase::Spawning => {}
        }
        self.start_requested(now);
    }

    /// `STARTING`, or, while something is left of the run before, as soon as that has gone.
    fn start(&mut self, now: Instant, cause: &str) {
        if self.rest.is_some() {
            self.start_pending = true;
            return;
        }
        self.start_pending = false;
        self.generation += 1;
        self.healthy = None;
        self.health_message = None;
        self.killed = false;
        self.last_spawn = Some(now);
        self.become_(ProcessState::Starting, Phase::Spawning, None, cause);
        self.actions.push_back(Action::Spawn { generation: self.generation });
    }

    fn start_again(&mut self, now: Instant, cause: &str) {
        self.restarts += 1;
        self.start(now, cause);
    }

    fn spawned(&mut self, now: Instant, pid: i32) {
        if !matches!(self.phase, Phase::Spawning) {
            return;
        }
        self.spawn_error = None;
        let config = Arc::clone(&self.config);
        let startsecs = config.startsecs;
        let run = Run { pid, started: now, config };
        if startsecs == 0 {
            self.running(now, run, "executed");
        } else {
            self.phase = Phase::Starting { run, running_at: after(now, startsecs) };
        }
        if self.desired == Desired::Down {
            self.stop(now, false, Next::AsDesired, "stop requested");
        }
    }

    fn spawn_failed(&mut self, now: Instant, error: SpawnError) {
        if !matches!(self.phase, Phase::Spawning) {
            return;
        }
        let reason = error.to_string();
        let permanent = error.is_permanent();
        self.spawn_error = Some(Box::new(error));
        if self.desired == Desired::Down {
            self.become_(ProcessState::Stopped, Phase::Stopped, None, &reason);
        } else if permanent {
            self.fatal(reason);
        } else {
            self.failed_attempt(now, reason);
        }
    }

    fn running(&mut self, now: Instant, run: Run, cause: &str) {
        if run.config.startsecs > 0 {
            self.attempts = 0;
        }
        let check = &run.config.healthcheck;
        let wanted = check.check_type != HealthCheckType::None;
        let due = if wanted { after(now, check.start_period) } else { None };
        let pid = Some(run.pid);
        let checks = Checks { due, ..Checks::default() };
        self.become_(ProcessState::Running, Phase::Running { run, checks }, pid, cause);
    }

    fn exited(&mut self, now: Instant, exit: Exit) {
        match std::mem::replace(&mut self.phase, Phase::Stopped) {
            Phase::Starting { run, .. } => {
                let reason = self.note_end(now, &run, exit);
                self.leave_rest(&run);
                self.arrive(ProcessState::Exited, ProcessState::Starting, Some(run.pid), &reason);
                self.phase = Phase::Exited { restart_at: None };
                self.failed_attempt(now, reason);
            }
            Phase::Running { run, .. } => self.ended(now, run, exit, ProcessState::Running),
            Phase::Unhealthy { run, .. } => self.ended(now, run, exit, ProcessState::Unhealthy),
            Phase::Stopping { run: Some(run), kill_at, next } => {
                self.note_end(now, &run, exit);
                self.phase = Phase::Stopping { run: None, kill_at, next };
            }
            other @ (Phase::Stopped
            | Phase::Exited { .. }
            | Phase::Fatal
            | Phase::Backoff { .. }
            | Phase::Spawning
            | Phase::Stopping { run: None, .. }) => self.phase = other,
        }
    }

    /// An exit from `RUNNING` or `UNHEALTHY`.
    fn ended(&mut self, now: Instant, run: Run, exit: Exit, from: ProcessState) {
        let reason = self.note_end(now, &run, exit);
        self.leave_rest(&run);
        self.phase = Phase::Exited { restart_at: None };
        self.arrive(ProcessState::Exited, from, Some(run.pid), &reason);
        let expected = matches!(exit, Exit::Code(code) if self.config.exitcodes.contains(&code));
        let again = match self.config.autorestart {
            AutoRestart::Never => false,
            AutoRestart::Unexpected => !expected,
            AutoRestart::Always => true,
        };
        let quick = now.saturating_duration_since(run.started) < PACE;
        if !again || self.desired == Desired::Down {
            return;
        }
        if quick && !expected && run.config.startsecs == 0 {
            // RUNNING at once means little: such an end is a failed start, else nothing would bound it.
            self.failed_attempt(now, reason);
        } else {
            if !quick {
                self.attempts = 0;
            }
            self.phase = Phase::Exited { restart_at: Some(self.paced(now)) };
            self.fire_due(now);
        }
    }

    /// The next moment at which a start without an operator is allowed.
    fn paced(&self, now: Instant) -> Instant {
        self.last_spawn.and_then(|last| last.checked_add(PACE)).map_or(now, |earliest| earliest.max(now))
    }

    fn note_end(&mut self, now: Instant, run: &Run, exit: Exit) -> String {
        self.last_run = Some(LastRun { pid: run.pid, exit, started: run.started, ended: now });
        let lived = now.saturating_duration_since(run.started);
        format!("{exit} after {}", span(lived))
    }

    fn leave_rest(&mut self, run: &Run) {
        self.rest = Some(Rest {
            kill_at: None,
            killed: false,
            stopsignal: stopsignal(&run.config),
            wait: Duration::from_secs(u64::from(run.config.stopwaitsecs)),
        });
    }

    fn failed_attempt(&mut self, now: Instant, reason: String) {
        self.attempts += 1;
        let retries = self.config.startretries;
        if self.attempts > retries {
            let times = if retries == 0 { String::new() } else { format!(" ({} attempts)", self.attempts) };
            return self.fatal(format!("{reason}{times}"));
        }
        self.back_off(now, self.attempts, retries, reason);
    }

    fn back_off(&mut self, now: Instant, attempt: u32, of: u32, reason: String) {
        let delay = attempt.min(LONGEST_DELAY);
        let cause = format!("{reason}; retry {attempt} of {of} in {delay} s");
        self.reason = Some(reason.into_boxed_str());
        let phase = Phase::Backoff { retry_at: after(now, delay), attempt };
        self.become_(ProcessState::Backoff, phase, None, &cause);
    }

    fn fatal(&mut self, reason: String) {
        self.desired = Desired::Down;
        self.become_(ProcessState::Fatal, Phase::Fatal, None, &reason);
        self.reason = Some(reason.into_boxed_str());
    }

    fn group_lingers(&mut self, now: Instant) {
        if let Some(rest) = &mut self.rest
            && rest.kill_at.is_none()
        {
            rest.kill_at = now.checked_add(rest.wait);
            let signal = rest.stopsignal;
            self.signal(signal);
        }
    }

    fn group_empty(&mut self, now: Instant) {
        self.rest = None;
        match self.phase {
            Phase::Stopping { run: None, next, .. } => self.gone(now, next),
            Phase::Stopped | Phase::Exited { .. } | Phase::Fatal | Phase::Backoff { .. } => {
                if std::mem::take(&mut self.start_pending) {
                    self.start(now, "start requested");
                }
                self.fire_due(now);
            }
            Phase::Spawning
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Unhealthy { .. }
            | Phase::Stopping { run: Some(_), .. } => {}
        }
    }

    /// A stop is complete.
    fn gone(&mut self, now: Instant, next: Next) {
        let pid = self.last_run.as_ref().map(|run| run.pid);
        if next == Next::HealthRestart && self.desired == Desired::Up {
            let message = self.health_message.as_deref().unwrap_or_default();
            let reason = format!("unhealthy: {message}");
            self.health_restarts += 1;
            if self.health_restarts > self.config.startretries {
                return self.fatal(reason);
            }
            return self.back_off(now, self.health_restarts, self.config.startretries, reason);
        }
        self.reason = None;
        let exit = self.last_run.as_ref().map_or(String::new(), |run| run.exit.to_string());
        self.become_(ProcessState::Stopped, Phase::Stopped, pid, &exit);
        if self.desired == Desired::Up {
            self.start(now, "start requested");
        }
    }

    /// Tells a live run to stop.
    fn stop(&mut self, now: Instant, kill: bool, next: Next, cause: &str) {
        let from = self.state();
        let run = match std::mem::replace(&mut self.phase, Phase::Stopped) {
            Phase::Starting { run, .. } | Phase::Running { run, .. } | Phase::Unhealthy { run, .. } => run,
            other @ (Phase::Stopped
            | Phase::Exited { .. }
            | Phase::Fatal
            | Phase::Backoff { .. }
            | Phase::Spawning
            | Phase::Stopping { .. }) => {
                self.phase = other;
                return;
            }
        };
        let (pid, signal, wait) = (run.pid, stopsignal(&run.config), run.config.stopwaitsecs);
        self.killed = false;
        self.phase = Phase::Stopping { run: Some(run), kill_at: after(now, wait), next };
        self.arrive(ProcessState::Stopping, from, Some(pid), cause);
        if kill {
            self.kill_now(now);
        } else {
            self.signal(signal);
        }
    }

    /// A stop while only the rest of an ended run is left.
    fn clear_rest(&mut self, now: Instant, kill: bool, cause: &str) {
        let from = self.state();
        let kill_at = self.rest.take().and_then(|rest| rest.kill_at);
        self.killed = false;
        self.phase = Phase::Stopping { run: None, kill_at, next: Next::AsDesired };
        self.arrive(ProcessState::Stopping, from, None, cause);
        if kill {
            self.kill_now(now);
        }
    }

    fn kill_now(&mut self, now: Instant) {
        self.killed = true;
        if let Phase::Stopping { kill_at, .. } = &mut self.phase {
            *kill_at = now.checked_add(KILL_AGAIN);
        }
        self.signal(SIGKILL);
    }

    fn signal(&mut self, signal: u8) {
        self.actions.push_back(Action::SignalGroup { generation: self.generation, signal });
    }

    fn health_reported(&mut self, now: Instant, healthy: bool, message: String) {
        let (Phase::Running { run, checks } | Phase::Unhealthy { run, checks }) = &mut self.phase else { return };
        if checks.expires.take().is_none() {
            return;
        }
        checks.failures = if healthy { 0 } else { checks.failures.saturating_add(1) };
        let (failures, retries, pid) = (checks.failures, run.config.healthcheck.retries, run.pid);
        self.healthy = Some(healthy);
        self.health_message = Some(message.into_boxed_str());
        if healthy {
            self.health_restarts = 0;
            if matches!(self.phase, Phase::Unhealthy { .. }) {
                self.recover(pid);
            }
        } else if failures >= retries && matches!(self.phase, Phase::Running { .. }) {
            self.become_unhealthy(now, failures, pid);
        }
        self.fire_due(now);
    }

    fn recover(&mut self, pid: i32) {
        if let Phase::Unhealthy { run, checks } = std::mem::replace(&mut self.phase, Phase::Stopped) {
            self.phase = Phase::Running { run, checks };
            self.arrive(ProcessState::Running, ProcessState::Unhealthy, Some(pid), "healthy again");
        }
    }

    fn become_unhealthy(&mut self, now: Instant, failures: u32, pid: i32) {
        let times = if failures == 1 { "once".to_owned() } else { format!("{failures} times") };
        let message = self.health_message.as_deref().unwrap_or_default();
        let cause = format!("health check failed {times}: {message}");
        if let Phase::Running { run, checks } = std::mem::replace(&mut self.phase, Phase::Stopped) {
            self.phase = Phase::Unhealthy { run, checks };
            self.arrive(ProcessState::Unhealthy, ProcessState::Running, Some(pid), &cause);
        }
        if self.config.autorestart != AutoRestart::Never {
            self.stop(now, false, Next::HealthRestart, "stopped because it is unhealthy");
        }
    }

    /// Lets every timer that is due at `now` fire.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Some(rest) = &mut self.rest
            && rest.kill_at.is_some_and(|at| at <= now)
        {
            rest.killed = true;
            rest.kill_at = now.checked_add(KILL_AGAIN);
            self.signal(SIGKILL);
        }
        self.fire_due(now);
    }

    fn fire_due(&mut self, now: Instant) {
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        match &mut self.phase {
            Phase::Exited { restart_at } if due(*restart_at) => {
                *restart_at = None;
                self.start_again(now, "restarted");
            }
            Phase::Backoff { retry_at, .. } if due(*retry_at) => {
                *retry_at = None;
                self.start_again(now, "retry");
            }
            Phase::Starting { run, running_at } if due(*running_at) => {
                let (run, cause) = (run.clone(), format!("up for {} s", run.config.startsecs));
                self.running(now, run, &cause);
            }
            Phase::Running { run, checks } | Phase::Unhealthy { run, checks } => {
                let timeout = u64::from(run.config.healthcheck.timeout);
                if due(checks.expires) {
                    return self.health_reported(now, false, "the check gave no answer".to_owned());
                }
                if due(checks.due) && checks.expires.is_none() {
                    checks.expires = now.checked_add(Duration::from_secs(timeout) + CHECK_MARGIN);
                    checks.due = next_check(checks.due, now, run.config.healthcheck.interval);
                    self.actions.push_back(Action::CheckHealth { generation: self.generation });
                }
            }
            Phase::Stopping { kill_at, .. } if due(*kill_at) => self.kill_now(now),
            Phase::Stopped
            | Phase::Exited { .. }
            | Phase::Fatal
            | Phase::Backoff { .. }
            | Phase::Spawning
            | Phase::Starting { .. }
            | Phase::Stopping { .. } => {}
        }
    }

    /// When `handle_timeout` wants to be called next; `None`: never, unless something happens.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let own = match &self.phase {
            Phase::Stopped | Phase::Fatal | Phase::Spawning => None,
            Phase::Exited { restart_at } => *restart_at,
            Phase::Backoff { retry_at, .. } => *retry_at,
            Phase::Starting { running_at, .. } => *running_at,
            // A check that is due while another is out follows that one's answer.
            Phase::Running { checks, .. } | Phase::Unhealthy { checks, .. } => checks.expires.or(checks.due),
            Phase::Stopping { kill_at, .. } => *kill_at,
        };
        [own, self.rest.and_then(|rest| rest.kill_at)].into_iter().flatten().min()
    }

    /// The next thing to be done; call until `None`.
    pub fn poll_action(&mut self) -> Option<Action> {
        let action = self.actions.pop_front();
        if action.is_none() && self.actions.capacity() > 0 {
            self.actions = VecDeque::new();
        }
        action
    }

    fn become_(&mut self, to: ProcessState, phase: Phase, pid: Option<i32>, cause: &str) {
        let from = self.state();
        self.phase = phase;
        self.arrive(to, from, pid, cause);
    }

    fn arrive(&mut self, to: ProcessState, from: ProcessState, pid: Option<i32>, cause: &str) {
        self.actions.push_back(Action::Announce(Transition { from, to, pid, cause: cause.to_owned() }));
    }

    /// The configuration that the next start will use.
    pub fn config(&self) -> &Arc<ProgramConfig> {
        &self.config
    }

    /// The run whose leader lives.
    fn run(&self) -> Option<&Run> {
        match &self.phase {
            Phase::Starting { run, .. } | Phase::Running { run, .. } | Phase::Unhealthy { run, .. } => Some(run),
            Phase::Stopping { run, .. } => run.as_ref(),
            Phase::Stopped | Phase::Exited { .. } | Phase::Fatal | Phase::Backoff { .. } | Phase::Spawning => None,
        }
    }

    /// The configuration that the present run was started with, as long as its leader lives.
    pub fn run_config(&self) -> Option<&Arc<ProgramConfig>> {
        self.run().map(|run| &run.config)
    }

    /// The public state.
    pub fn state(&self) -> ProcessState {
        match &self.phase {
            Phase::Stopped => ProcessState::Stopped,
            Phase::Exited { .. } => ProcessState::Exited,
            Phase::Fatal => ProcessState::Fatal,
            Phase::Backoff { .. } => ProcessState::Backoff,
            Phase::Spawning | Phase::Starting { .. } => ProcessState::Starting,
            Phase::Running { .. } => ProcessState::Running,
            Phase::Unhealthy { .. } => ProcessState::Unhealthy,
            Phase::Stopping { .. } => ProcessState::Stopping,
        }
    }

    /// What is wanted.
    pub fn desired(&self) -> Desired {
        self.desired
    }

    /// The number of the present or last run; 0 before the first.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// The leader of the present run, as long as it lives.
    pub fn pid(&self) -> Option<i32> {
        self.run().map(|run| run.pid)
    }

    /// `true` while a leader lives or something of its group is left.
    pub fn has_run(&self) -> bool {
        self.rest.is_some()
            || matches!(
                self.phase,
                Phase::Spawning
                    | Phase::Starting { .. }
                    | Phase::Running { .. }
                    | Phase::Unhealthy { .. }
                    | Phase::Stopping { .. }
            )
    }

    /// When the present run was spawned, as long as its leader lives.
    pub fn started_at(&self) -> Option<Instant> {
        self.run().map(|run| run.started)
    }

    /// What the health checks say of the present run; `None` before the first answer.
    pub fn healthy(&self) -> Option<bool> {
        self.run().and(self.healthy)
    }

    /// What the last health check of the present run found.
    pub fn health_message(&self) -> Option<&str> {
        self.health_message.as_deref()
    }

    /// How the last finished run ended.
    pub fn last_run(&self) -> Option<&LastRun> {
        self.last_run.as_ref()
    }

    /// The failure of the last spawn, if the last attempt did not get to a process.
    pub fn spawn_error(&self) -> Option<&SpawnError> {
        self.spawn_error.as_deref()
    }

    /// Starts without an operator since the last operator's start.
    pub fn restarts(&self) -> u64 {
        self.restarts
    }

    /// In `BACKOFF`: the number of this retry, how many there may be, and when it comes.
    pub fn retry(&self) -> Option<(u32, u32, Instant)> {
        match self.phase {
            Phase::Backoff { retry_at: Some(at), attempt } => Some((attempt, self.config.startretries, at)),
            _ => None,
        }
    }

    /// In `STOPPING`: when SIGKILL follows; `None` once it was sent, or in another state.
    pub fn kill_at(&self) -> Option<Instant> {
        match self.phase {
            Phase::Stopping { kill_at, .. } if !self.killed => kill_at,
            _ => None,
        }
    }

    /// One line that a person can act on; `last_line` is the end of the last run's output.
    pub fn describe(&self, now: Instant, last_line: Option<&str>) -> String {
        let said = last_line.map_or(String::new(), |line| format!(": {line}"));
        let reason = self.reason.as_deref().unwrap_or_default();
        match &self.phase {
            Phase::Stopped if self.last_run.is_none() => "not started".to_owned(),
            Phase::Stopped => "stopped by request".to_owned(),
            Phase::Exited { .. } => match &self.last_run {
                Some(run) => format!("{} after {}{said}", run.exit, span(run.ended - run.started)),
                None => String::new(),
            },
            Phase::Fatal => format!("{reason}{said}"),
            Phase::Backoff { retry_at, attempt } => {
                let left = retry_at.map_or(0, |at| at.saturating_duration_since(now).as_secs_f64().ceil() as u64);
                format!("{reason}, retry {attempt} of {} in {left} s{said}", self.config.startretries)
            }
            Phase::Spawning => "starting".to_owned(),
            Phase::Starting { run, .. } | Phase::Running { run, .. } => {
                format!("pid {}, uptime {}", run.pid, uptime(now.saturating_duration_since(run.started)))
            }
            Phase::Unhealthy { run, .. } => {
                format!("pid {}, unhealthy: {}", run.pid, self.health_message.as_deref().unwrap_or_default())
            }
            Phase::Stopping { kill_at: Some(at), .. } if !self.killed => {
                format!("stopping, SIGKILL in {} s", at.saturating_duration_since(now).as_secs_f64().ceil() as u64)
            }
            Phase::Stopping { .. } if self.killed => "SIGKILL was sent, but it has not ended".to_owned(),
            Phase::Stopping { .. } => "stopping".to_owned(),
        }
    }
}

fn stopsignal(config: &ProgramConfig) -> u8 {
    signal_number(&config.stopsignal).unwrap_or(SIGTERM)
}

/// `now` and so many seconds; `None` (never) where time has no room for it.
fn after(now: Instant, seconds: u32) -> Option<Instant> {
    now.checked_add(Duration::from_secs(u64::from(seconds)))
}

/// The first time of the row `due`, `due + interval`, … that lies after `now`.
fn next_check(due: Option<Instant>, now: Instant, interval: u32) -> Option<Instant> {
    let interval = Duration::from_secs(u64::from(interval.max(1)));
    let next = due?.checked_add(interval)?;
    if next > now { Some(next) } else { now.checked_add(interval) }
}

/// A time span for people: `0.2 s`, `12 s`, `1:02:03`.
fn span(duration: Duration) -> String {
    if duration < Duration::from_secs(10) {
        format!("{:.1} s", duration.as_secs_f64())
    } else if duration < Duration::from_secs(60) {
        format!("{} s", duration.as_secs())
    } else {
        uptime(duration)
    }
}

/// `M:SS`, or `H:MM:SS`.
fn uptime(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}
