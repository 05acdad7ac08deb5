//! The auditor: sees what goes into the machine and what comes out, keeps books of its own, and
//! compares. It shares no code with the machine and never looks inside it.

mod actions;
mod run;

use std::sync::Arc;
use std::time::Duration;

use super::super::subject::models::{AutoRestart, HealthAction, ProgramConfig, ProgramType, Readiness};
use super::super::subject::{Desired, Event, Exit, Initiator, Moment, ProcessState, ReadyReport};
use super::Millis;
use super::distortion::Distorted;
use super::system::System;
use ProcessState::{Backoff, Exited, Fatal, Running, Starting, Stopped, Stopping, Unhealthy};
use run::{Checks, Run, stop_steps};

const SECOND: Millis = 1_000;
const KILL_AGAIN: Millis = 5 * SECOND;

fn ensure(holds: bool, rule: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(rule()) }
}

fn seconds(count: u32) -> Millis {
    Millis::from(count) * SECOND
}

/// Why the next start may come without an operator, and when.
#[derive(Debug, PartialEq, Eq)]
enum Reason {
    Restart { at: Millis },
    Retry { at: Millis },
}

#[derive(Debug)]
pub struct Auditor {
    config: Arc<ProgramConfig>,
    shown: ProcessState,
    up: bool,
    /// An operator's start that was not done yet.
    wish: bool,
    run: Option<Run>,
    spawning: Option<u64>,
    last_generation: u64,
    last_spawn: Option<Millis>,
    reason: Option<Reason>,
    attempts: u32,
    health_restarts: u32,
    /// Attempts in a row that the daemon was short of something for.
    shortages: u32,
    /// Processes that no operator has asked for, and whether the next one is.
    auto_starts: u64,
    automatic: bool,
    health_stop: bool,
    /// It is being stopped because its start took too long.
    start_failed: bool,
    /// It has become unhealthy, for which something is to be done.
    action_due: bool,
    /// Who made the last request.
    asker: Option<Initiator>,
    /// The states that have to be announced by the event that is under way, in this order.
    expected: Vec<ProcessState>,
    pub entered: [u64; 8],
    pub checks_sent: u64,
}

impl Auditor {
    pub fn new(config: Arc<ProgramConfig>) -> Self {
        Auditor {
            config,
            shown: Stopped,
            up: false,
            wish: false,
            run: None,
            spawning: None,
            last_generation: 0,
            last_spawn: None,
            reason: None,
            attempts: 0,
            health_restarts: 0,
            shortages: 0,
            auto_starts: 0,
            automatic: false,
            health_stop: false,
            start_failed: false,
            action_due: false,
            asker: None,
            expected: Vec::new(),
            entered: [0; 8],
            checks_sent: 0,
        }
    }

    // What goes in.
    /// An event is about to be fed.
    pub fn before(&mut self, event: &Event, now: Millis) {
        match event {
            Event::StartRequested { by } => {
                self.asker = Some(by.clone());
                self.asked_up(self.shown_is(&[Starting, Running, Unhealthy]));
            }
            Event::RestartRequested { force, by } => {
                self.asker = Some(by.clone());
                self.asked_up(false);
                self.asked_to_stop(*force);
                (self.health_stop, self.start_failed) = (false, false);
            }
            Event::StopRequested { by } => {
                self.asker = Some(by.clone());
                self.asked_down(false);
            }
            Event::KillRequested { by } => {
                self.asker = Some(by.clone());
                self.asked_down(true);
            }
            Event::Spawned { generation, pid } => self.spawned(*generation, *pid, now),
            Event::SpawnFailed { error, .. } => {
                self.spawning = None;
                if error.is_shortage() {
                    self.shortages += 1;
                    self.expected.push(Backoff);
                    self.reason = Some(Reason::Retry { at: now + seconds(self.shortages.min(30)) });
                } else if error.is_permanent() {
                    self.expected.push(Fatal);
                } else {
                    self.failed_attempt(now);
                }
            }
            Event::Exited { generation, exit, .. } if self.is_run(*generation) => self.exited(*exit, now),
            Event::GroupEmpty { generation } if self.is_run(*generation) => self.emptied(now),
            Event::GroupLingers { generation } if self.is_run(*generation) => self.must_go(now),
            Event::HealthReported { generation, healthy, .. } if self.is_run(*generation) => {
                self.answered(*healthy, now)
            }
            Event::Probed { generation, ready, .. } if self.is_run(*generation) => self.tried(*ready, now),
            Event::ReadyReported { generation, report } if self.is_run(*generation) => self.told(*report, now),
            Event::ConfigChanged(config) => self.config = Arc::clone(config),
            // The simulation of the engine holds starts; here nothing is held.
            Event::Held { .. }
            | Event::Released { .. }
            | Event::DependencyLost { .. }
            | Event::StartWhenTimedOut { .. }
            | Event::OrphansFound { .. }
            | Event::PauseRequested
            | Event::ResumeRequested
            | Event::Exited { .. }
            | Event::GroupEmpty { .. }
            | Event::GroupLingers { .. }
            | Event::HookEnded { .. }
            | Event::HealthReported { .. }
            | Event::HealthMissed { .. }
            | Event::Probed { .. }
            | Event::ReadyReported { .. }
            | Event::Notified { .. }
            | Event::NotifyRefused { .. }
            | Event::NotificationsRead { .. }
            | Event::OutputWatched { .. }
            | Event::OutputResumed { .. }
            | Event::SpawnPending { .. }
            | Event::Executed { .. }
            | Event::MainFound { .. }
            | Event::NoMain { .. } => {}
        }
    }

    fn shown_is(&self, states: &[ProcessState]) -> bool {
        states.contains(&self.shown)
    }

    fn is_run(&self, generation: u64) -> bool {
        self.run.as_ref().is_some_and(|run| run.generation == generation)
    }

    fn asked_up(&mut self, already: bool) {
        self.up = true;
        self.attempts = 0;
        self.health_restarts = 0;
        self.shortages = 0;
        (self.auto_starts, self.automatic) = (0, false);
        if !already {
            self.wish = true;
            self.reason = None;
            (self.health_stop, self.start_failed) = (false, false);
        }
    }

    fn asked_down(&mut self, force: bool) {
        self.up = false;
        self.wish = false;
        self.reason = None;
        (self.health_stop, self.start_failed) = (false, false);
        self.asked_to_stop(force);
    }

    fn asked_to_stop(&mut self, force: bool) {
        if let Some(run) = &mut self.run {
            run.forced |= force;
        }
    }

    fn spawned(&mut self, generation: u64, pid: i32, now: Millis) {
        self.spawning = None;
        self.auto_starts += u64::from(std::mem::take(&mut self.automatic));
        self.shortages = 0;
        let config = Arc::clone(&self.config);
        let by_time = config.ready == Readiness::Startsecs && config.program_type == ProgramType::Simple;
        let checked = config.ready == Readiness::Health && config.program_type == ProgramType::Simple;
        let checks = checked.then_some(Checks { due: now, awaited_since: None, failures: 0 });
        if config.startsecs == 0 && by_time {
            self.expected.push(Running);
        }
        self.run = Some(Run {
            steps: stop_steps(&config),
            step: 0,
            generation,
            pid,
            spawned: now,
            config,
            leader: true,
            next_by: None,
            killed: None,
            alone: false,
            ready: false,
            lost: None,
            forced: false,
            checks,
            probed: None,
        });
    }

    fn exited(&mut self, exit: Exit, now: Millis) {
        let Some(run) = &mut self.run else { return };
        run.leader = false;
        run.checks = None;
        let lived = now - run.spawned;
        let (startsecs, spawned) = (run.config.startsecs, run.spawned);
        let ignores_early_exits = run.config.ignores_early_exits;
        let success = matches!(exit, Exit::Code(code) if self.config.exitcodes.contains(&code));
        match self.shown {
            Stopping => return,
            Starting if run.config.program_type == ProgramType::Oneshot => {
                self.expected.push(Exited);
                if success {
                    self.attempts = 0;
                    return;
                }
                return self.failed_attempt(now);
            }
            Starting if lived < seconds(startsecs) || run.is_awaited() => {
                self.expected.push(Exited);
                return self.failed_attempt(now);
            }
            Starting => self.expected.extend([Running, Exited]),
            Stopped | Running | Backoff | Exited | Fatal | Unhealthy => self.expected.push(Exited),
        }
        let again = match self.config.autorestart {
            AutoRestart::Never => false,
            AutoRestart::Unexpected => !success,
            AutoRestart::Always => true,
        };
        if again && startsecs == 0 && !ignores_early_exits && lived < SECOND && !success {
            return self.failed_attempt(now);
        }
        self.attempts = 0;
        self.reason = again.then(|| Reason::Restart { at: now.max(spawned + SECOND) });
    }

    fn failed_attempt(&mut self, now: Millis) {
        self.attempts += 1;
        self.back_off(self.attempts, now);
    }

    fn back_off(&mut self, number: u32, now: Millis) {
        if number > self.config.startretries {
            self.expected.push(Fatal);
        } else {
            self.expected.push(Backoff);
            self.reason = Some(Reason::Retry { at: now + seconds(number.min(30)) });
        }
    }

    fn emptied(&mut self, now: Millis) {
        let was_stopping = self.shown == Stopping;
        self.run = None;
        if was_stopping && self.health_stop {
            self.health_stop = false;
            self.health_restarts += 1;
            self.back_off(self.health_restarts, now);
        } else if was_stopping && self.start_failed {
            self.start_failed = false;
            self.failed_attempt(now);
        } else if was_stopping {
            self.expected.push(Stopped);
        }
    }

    /// The run has been told to go: the next signal follows when the time of this one is over.
    fn must_go(&mut self, now: Millis) {
        if let Some(run) = &mut self.run {
            run.next_by.get_or_insert(now + run.steps[run.step].1);
        }
    }

    /// The run tells that it is ready, or that it never will be.
    fn told(&mut self, report: ReadyReport, now: Millis) {
        let Some(run) = self.run.as_mut().filter(|run| {
            run.leader && self.shown == Starting && run.is_awaited() && run.lost.is_none() && run.checks.is_none()
        }) else {
            return;
        };
        match report {
            ReadyReport::Ready => {
                run.ready = true;
                if now >= run.spawned + seconds(run.config.startsecs) {
                    self.expected.push(Running);
                }
            }
            ReadyReport::Never => run.lost = Some(now),
        }
    }

    /// A try whether it is ready has its answer.
    fn tried(&mut self, ready: bool, now: Millis) {
        let Some(run) = self.run.as_mut().filter(|run| run.leader && self.shown == Starting && run.is_tried()) else {
            return;
        };
        if run.probed.take().is_some() && ready {
            self.told(ReadyReport::Ready, now);
        }
    }

    fn answered(&mut self, healthy: bool, now: Millis) {
        let Some(run) = &mut self.run else { return };
        let Some(checks) = &mut run.checks else { return };
        if checks.awaited_since.take().is_none() {
            return;
        }
        if self.shown == Starting {
            if healthy {
                (run.ready, self.health_restarts) = (true, 0);
                run.checks = None;
                if now >= run.spawned + seconds(run.config.startsecs) {
                    let due = now + seconds(run.config.healthcheck.interval);
                    run.checks = Some(Checks { due, awaited_since: None, failures: 0 });
                    self.expected.push(Running);
                }
            }
            return;
        }
        if healthy {
            checks.failures = 0;
            self.health_restarts = 0;
            if self.shown == Unhealthy {
                self.expected.push(Running);
            }
            return;
        }
        checks.failures += 1;
        let failing = checks.failures >= run.config.healthcheck.retries;
        let action = &run.config.healthcheck.action;
        if self.shown == Running && failing {
            self.expected.push(Unhealthy);
            self.action_due = matches!(action, HealthAction::Signal(_) | HealthAction::Command(_));
        }
        if failing && *action == HealthAction::Restart && self.config.autorestart != AutoRestart::Never {
            self.expected.push(Stopping);
            self.health_stop = true;
            if now >= run.spawned + SECOND {
                self.attempts = 0;
            }
        }
    }

    /// Timers are about to fire.
    pub fn before_timeout(&mut self, now: Millis) {
        let start_by = self.run.as_ref().and_then(Run::start_by);
        if self.shown == Starting && start_by.is_some_and(|by| by <= now) {
            self.expected.push(Stopping);
            self.start_failed = true;
            return;
        }
        if let Some(run) = self.run.as_mut().filter(|run| run.probed.is_some_and(|since| since + 15 * SECOND <= now)) {
            run.probed = None;
        }
        let awaited = self.run.as_ref().and_then(|run| {
            let health = &run.config.healthcheck;
            let since = run.checks.as_ref()?.awaited_since?;
            Some(since + seconds(health.timeout) + seconds(health.interval) + 5 * SECOND)
        });
        if awaited.is_some_and(|given_up| given_up <= now) {
            self.answered(false, now);
        }
    }

    // What has to hold afterwards.
    /// An event has been fed and what it led to has been done.
    pub fn after(&mut self) -> Result<(), String> {
        ensure(!self.action_due, || "healthcheck_action was not done".to_owned())?;
        let missing = std::mem::take(&mut self.expected);
        ensure(missing.is_empty(), || format!("{missing:?} was not announced"))
    }

    /// A turn of the daemon's loop is over: no timer is due, nothing is left to be done.
    pub fn turn_ended(&self, machine: &Distorted, system: &System, base: Moment, now: Millis) -> Result<(), String> {
        self.compare(machine, base, now)?;
        self.nothing_is_late(now)?;
        self.nothing_is_stuck(machine, now)?;
        self.group_is_on_its_way(system, now)
    }

    fn compare(&self, machine: &Distorted, base: Moment, now: Millis) -> Result<(), String> {
        let instant = base + Duration::from_millis(now);
        ensure(machine.state() == self.shown, || format!("{} was not announced", machine.state()))?;
        ensure((machine.desired() == Desired::Up) == self.up, || format!("desired is {:?}", machine.desired()))?;
        ensure(machine.poll_timeout().is_none_or(|at| at > instant), || "a timer stays due".to_owned())?;
        ensure(machine.restarts() == self.auto_starts, || format!("restarts: {}", machine.restarts()))?;
        ensure(machine.has_run() == self.run.is_some(), || "has_run is wrong".to_owned())?;
        let led = self.run.as_ref().filter(|run| run.leader);
        ensure(machine.pid() == led.map(|run| run.pid), || format!("pid is {:?}", machine.pid()))?;
        let started = led.map(|run| base + Duration::from_millis(run.spawned));
        ensure(machine.started_at() == started, || "started_at is wrong".to_owned())?;
        ensure(machine.started_at().is_none_or(|at| at <= instant), || "negative uptime".to_owned())?;
        ensure(machine.retry_at().is_some() == (self.shown == Backoff), || "retry is wrong".to_owned())?;
        ensure(machine.kill_at().is_none_or(|at| at > instant), || "SIGKILL is overdue".to_owned())
    }

    fn nothing_is_late(&self, now: Millis) -> Result<(), String> {
        ensure(!(self.wish && self.run.is_none()), || "an operator's start was not done".to_owned())?;
        let due = |(Reason::Restart { at } | Reason::Retry { at }): &Reason| *at <= now;
        let late = self.run.is_none() && self.reason.as_ref().is_some_and(due);
        ensure(!late, || format!("{:?} was missed", self.reason))?;
        let Some(run) = &self.run else { return Ok(()) };
        if self.shown == Starting {
            let over = match run.is_bounded_by_time() {
                true => now >= run.spawned + seconds(run.config.startsecs),
                false => run.start_by().is_some_and(|by| by <= now),
            };
            ensure(!over, || "STARTING after its time".to_owned())?;
        }
        if let Some(checks) = &run.checks {
            let missed = checks.awaited_since.is_none() && checks.due <= now;
            ensure(!missed, || "a health check was missed".to_owned())?;
        }
        Ok(())
    }

    /// There is a child, a timer, or a state in which nothing is to come.
    fn nothing_is_stuck(&self, machine: &Distorted, now: Millis) -> Result<(), String> {
        let leader = self.run.as_ref().is_some_and(|run| run.leader);
        let timer = machine.poll_timeout().is_some();
        let fine = match self.shown {
            Starting => leader && timer != self.run.as_ref().is_some_and(Run::takes_its_time),
            Running => leader && (timer || self.run.as_ref().is_some_and(|run| run.checks.is_none())),
            Unhealthy => leader && timer,
            Stopping => self.run.is_some() && timer,
            Backoff => self.up && timer && self.reason.is_some(),
            Exited => self.run.is_some() || (timer == self.reason.is_some()),
            Stopped => self.run.is_none() && !timer && !self.up,
            Fatal => self.run.is_some() || !timer,
        };
        ensure(fine, || format!("stuck in {} at {now} ms", self.shown))?;
        let active = self.shown_is(&[Starting, Running, Unhealthy, Backoff]);
        ensure(self.up || !active, || format!("{} although it is wanted down", self.shown))
    }

    /// Whatever shall go has been told so, is killed in time, and killed again if that has missed somebody.
    fn group_is_on_its_way(&self, system: &System, now: Millis) -> Result<(), String> {
        let Some(run) = &self.run else { return Ok(()) };
        if self.shown_is(&[Starting, Running, Unhealthy]) {
            return Ok(());
        }
        let Some(next_by) = run.next_by else { return Err("what is to go was not told".to_owned()) };
        ensure(run.killed.is_some() || now < next_by, || "SIGKILL did not come in time".to_owned())?;
        let missed = run.killed.is_some_and(|at| now >= at + KILL_AGAIN) && system.needs_signal(run.generation);
        ensure(!missed, || "what SIGKILL has missed was not killed again".to_owned())
    }
}
