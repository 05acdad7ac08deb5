//! What is reported to the machine: spawns, ends, empty groups, health, and time that has passed.

use std::sync::Arc;
use std::time::Duration;

use super::super::cause::{Cause, Failure, Tries, Verb};
use super::super::initiator::Initiator;
use super::super::moment::Moment;
use super::super::state::{Exit, ProcessState, SpawnError};
use super::action::{Action, Desired, KillWhy, LastRun, SignalTarget};
use super::checks::{Checks, Turn};
use super::commands::StopOrder;
use super::due::{after, is_due};
use super::phase::{Group, Leader, Phase, Retry, Run, StopStage, Then};
use super::startup::Startup;
use super::{LONGEST_DELAY, Machine, PACE};
use crate::models::{AutoRestart, ExitOn};

impl Machine {
    /// A new run. Only to be called when nothing of the run before is left.
    pub(super) fn start(&mut self, from: ProcessState, cause: Cause) -> Phase {
        self.generation = self.generation.saturating_add(1);
        let phase = self.enter(from, Phase::Spawning { kill: false }, None, cause);
        self.actions.push_back(Action::Spawn { generation: self.generation });
        phase
    }

    /// A new run that no operator has asked for.
    pub(super) fn start_again(&mut self, from: ProcessState, cause: Cause) -> Phase {
        self.tally.restarts = self.tally.restarts.saturating_add(1);
        self.start(from, cause)
    }

    /// What a daemon that has died left of this program.
    pub(super) fn orphans_found(&mut self, now: Moment, phase: Phase, pid: i32) -> Phase {
        match phase {
            Phase::Stopped if self.generation == 0 => {
                let run = Run { pid, started: now, config: self.config.clone() };
                self.clear_away(
                    now,
                    ProcessState::Stopped,
                    Group::left_by(run),
                    false,
                    Cause::EarlierDaemonDied { pid },
                )
            }
            Phase::Stopped
            | Phase::Exited { .. }
            | Phase::Fatal { .. }
            | Phase::Backoff { .. }
            | Phase::Waiting
            | Phase::Spawning { .. }
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Unhealthy { .. }
            | Phase::Stopping { .. } => phase,
        }
    }

    pub(super) fn spawned(&mut self, now: Moment, phase: Phase, pid: i32) -> Phase {
        let kill = match phase {
            Phase::Spawning { kill } => kill,
            other @ (Phase::Stopped
            | Phase::Exited { .. }
            | Phase::Fatal { .. }
            | Phase::Backoff { .. }
            | Phase::Waiting
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Unhealthy { .. }
            | Phase::Stopping { .. }) => return other,
        };
        self.spawn_error = None;
        let run = Run { pid, started: now, config: self.config.clone() };
        match self.desired {
            Desired::Down => {
                let (verb, by) = self.last_asked();
                let cause = Cause::RequestedDuringSpawn { verb, by };
                let order = StopOrder { force: kill, then: Then::AsDesired, why: KillWhy::Requested };
                self.stop(now, ProcessState::Starting, run, order, cause)
            }
            Desired::Up => self.begin_startup(now, run),
        }
    }

    pub(super) fn spawn_failed(&mut self, now: Moment, phase: Phase, error: SpawnError) -> Phase {
        match phase {
            Phase::Spawning { .. } => {}
            other @ (Phase::Stopped
            | Phase::Exited { .. }
            | Phase::Fatal { .. }
            | Phase::Backoff { .. }
            | Phase::Waiting
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Unhealthy { .. }
            | Phase::Stopping { .. }) => return other,
        }
        let permanent = error.is_permanent();
        self.spawn_error = Some(Box::new(error.clone()));
        match self.desired {
            Desired::Down => {
                let cause = Cause::SpawnFailed { error: Box::new(error) };
                self.enter(ProcessState::Starting, Phase::Stopped, None, cause)
            }
            Desired::Up if permanent => {
                self.give_up(ProcessState::Starting, Failure::SpawnFailed(error).into(), None, None)
            }
            Desired::Up => self.failed_attempt(now, ProcessState::Starting, Failure::SpawnFailed(error).into(), None),
        }
    }

    pub(super) fn running(&mut self, now: Moment, run: Run, cause: Cause) -> Phase {
        let pid = Some(run.pid);
        let checks = Checks::new(&run.config.healthcheck, now);
        self.enter(ProcessState::Starting, Phase::Running { run, checks }, pid, cause)
    }

    pub(super) fn exited(&mut self, now: Moment, phase: Phase, exit: Exit, descendant: Option<i32>) -> Phase {
        match phase {
            Phase::Starting { run, startup } => self.ended_in_startup(now, run, startup, exit, descendant),
            Phase::Running { run, .. } => self.ended(now, ProcessState::Running, run, exit),
            Phase::Unhealthy { run, .. } => self.ended(now, ProcessState::Unhealthy, run, exit),
            Phase::Stopping { leader: Leader::Alive, group, then } => {
                self.note_end(now, &group.run, exit);
                Phase::Stopping { leader: Leader::Gone, group, then }
            }
            Phase::Stopped
            | Phase::Exited { .. }
            | Phase::Fatal { .. }
            | Phase::Backoff { .. }
            | Phase::Waiting
            | Phase::Spawning { .. }
            | Phase::Stopping { leader: Leader::Gone, .. } => phase,
        }
    }

    pub(super) fn is_success(&self, exit: Exit) -> bool {
        matches!(exit, Exit::Code(code) if self.config.exitcodes.contains(&code))
    }

    /// An end that nobody has asked for, after `RUNNING` was reached.
    pub(super) fn ended(&mut self, now: Moment, from: ProcessState, run: Run, exit: Exit) -> Phase {
        let failure = self.note_end(now, &run, exit);
        self.announce_exit(from, &run, exit, now);
        let expected = self.is_success(exit);
        let ends_all = match self.config.exit_on {
            ExitOn::Never | ExitOn::Fatal => false,
            ExitOn::Failure => !expected,
            ExitOn::Exit => true,
        };
        let again = match self.config.autorestart {
            // The daemon ends with it: a start in the same moment would be one too many.
            _ if ends_all => false,
            AutoRestart::Never => false,
            AutoRestart::Unexpected => !expected,
            AutoRestart::Always => true,
        };
        let quick = run.age(now) < PACE;
        if again && quick && !expected && run.config.startsecs == 0 {
            return self.failed_attempt(now, ProcessState::Exited, failure.into(), Some(Group::left_by(run)));
        }
        // Only now: with startsecs = 0, being RUNNING has proved nothing.
        self.tally.attempts = 0;
        let restart_at = again.then(|| run.started.checked_add(PACE).map_or(now, |paced| paced.max(now)));
        Phase::Exited { restart_at, remains: Some(Group::left_by(run)) }
    }

    /// Remembers how a run ended, which may have been a failed attempt.
    pub(super) fn note_end(&mut self, now: Moment, run: &Run, exit: Exit) -> Failure {
        self.last_run = Some(LastRun { pid: run.pid, exit, started: run.started, ended: now, completed: false });
        Failure::Exited { exit, age_ms: millis(run.age(now)) }
    }

    pub(super) fn announce_exit(&mut self, from: ProcessState, run: &Run, exit: Exit, now: Moment) {
        let cause = Cause::Exited { exit, age_ms: millis(run.age(now)) };
        self.announce(from, ProcessState::Exited, Some(run.pid), cause);
    }

    /// A start that did not succeed: `BACKOFF`, or `FATAL` after the last retry.
    pub(super) fn failed_attempt(
        &mut self,
        now: Moment,
        from: ProcessState,
        failure: Arc<Failure>,
        remains: Option<Group>,
    ) -> Phase {
        self.tally.attempts = self.tally.attempts.saturating_add(1);
        match self.tally.attempts {
            number if number <= self.config.startretries => self.back_off(now, from, number, failure, remains),
            1 => self.give_up(from, failure, None, remains),
            attempts => self.give_up(from, failure, Some(Tries::Attempts(attempts)), remains),
        }
    }

    /// A run that was stopped for its health has gone.
    fn health_restart(&mut self, now: Moment, failure: Arc<Failure>) -> Phase {
        self.tally.health_restarts = self.tally.health_restarts.saturating_add(1);
        match self.tally.health_restarts {
            number if number <= self.config.startretries => {
                self.back_off(now, ProcessState::Stopping, number, failure, None)
            }
            1 => self.give_up(ProcessState::Stopping, failure, None, None),
            number => self.give_up(ProcessState::Stopping, failure, Some(Tries::Restarts(number - 1)), None),
        }
    }

    fn back_off(
        &mut self,
        now: Moment,
        from: ProcessState,
        number: u32,
        failure: Arc<Failure>,
        remains: Option<Group>,
    ) -> Phase {
        let delay = number.min(LONGEST_DELAY);
        let cause = Cause::BackedOff { failure: failure.clone(), number, of: self.config.startretries, delay };
        // The clock has room for half a minute; if not, a retry at once is better than none.
        let retry = Retry { number, at: after(now, delay).unwrap_or(now), failure };
        self.enter(from, Phase::Backoff { retry, remains }, None, cause)
    }

    /// `FATAL`: only an operator's start tries again, so it is no longer wanted up.
    fn give_up(
        &mut self,
        from: ProcessState,
        failure: Arc<Failure>,
        after: Option<Tries>,
        remains: Option<Group>,
    ) -> Phase {
        self.desired = Desired::Down;
        self.announce(from, ProcessState::Fatal, None, Cause::GaveUp { failure: failure.clone(), after });
        Phase::Fatal { failure, after, remains }
    }

    /// A step has panicked: what it was about to do is unknown. `FATAL`, and what there is of a run is killed.
    pub(super) fn broken(&mut self, now: Moment, from: ProcessState, run: Option<(i32, Moment)>) {
        self.actions.clear();
        let config = self.config.clone();
        let remains = run.map(|(pid, started)| {
            self.kill(now, Leader::Gone, Group::left_by(Run { pid, started, config }), KillWhy::InternalError)
        });
        self.phase = self.give_up(from, Failure::InternalError.into(), None, remains);
    }

    pub(super) fn group_lingers(&mut self, now: Moment, phase: Phase) -> Phase {
        self.with_remains(phase, |machine, leader, group| match group.stage {
            StopStage::Unsignalled => machine.terminate(now, leader, group, KillWhy::Remains),
            // Only the leader was told so far. Nobody else is left who would end the others.
            StopStage::Stopping { target: SignalTarget::Leader, step, over_at } => {
                machine.tell_rest(group, step, over_at)
            }
            StopStage::Killing { target: SignalTarget::Leader, .. } => {
                machine.terminate(now, leader, group, KillWhy::Remains)
            }
            StopStage::Stopping { target: SignalTarget::Group, .. }
            | StopStage::Killing { target: SignalTarget::Group, .. } => group,
        })
    }

    pub(super) fn group_empty(&mut self, now: Moment, phase: Phase) -> Phase {
        match phase {
            Phase::Exited { restart_at, remains: Some(_) } => {
                self.wait_or_start(now, Phase::Exited { restart_at, remains: None })
            }
            Phase::Backoff { retry, remains: Some(_) } => {
                self.wait_or_start(now, Phase::Backoff { retry, remains: None })
            }
            Phase::Fatal { failure, after, remains: Some(_) } => Phase::Fatal { failure, after, remains: None },
            Phase::Stopping { leader: Leader::Gone, group, then } => self.stopped(now, &group.run, then),
            Phase::Stopped
            | Phase::Exited { remains: None, .. }
            | Phase::Fatal { remains: None, .. }
            | Phase::Backoff { remains: None, .. }
            | Phase::Waiting
            | Phase::Spawning { .. }
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Unhealthy { .. }
            | Phase::Stopping { leader: Leader::Alive, .. } => phase,
        }
    }

    /// Nothing is left of a run that was told to stop.
    fn stopped(&mut self, now: Moment, run: &Run, then: Then) -> Phase {
        match (then, self.desired) {
            (Then::HealthRestart { failures, message }, Desired::Up) => {
                self.health_restart(now, Failure::Unhealthy { failures, message }.into())
            }
            (Then::StartFailed { failure }, Desired::Up) => {
                self.failed_attempt(now, ProcessState::Stopping, failure, None)
            }
            (Then::AsDesired | Then::HealthRestart { .. } | Then::StartFailed { .. }, desired) => {
                let cause = Cause::Ended { exit: self.last_run.as_ref().map(|last| last.exit) };
                let phase = self.enter(ProcessState::Stopping, Phase::Stopped, Some(run.pid), cause);
                match desired {
                    Desired::Up => {
                        let (_, by) = self.last_asked();
                        let cause = Cause::Requested { verb: Verb::Start, by, remains_of: None };
                        self.start(ProcessState::Stopped, cause)
                    }
                    Desired::Down => phase,
                }
            }
        }
    }

    /// The start that an empty-handed phase waits for, if its time has come.
    fn wait_or_start(&mut self, now: Moment, phase: Phase) -> Phase {
        if !is_due(phase.timer(), now) {
            return phase;
        }
        match phase {
            Phase::Exited { restart_at: Some(_), remains: None } => {
                self.start_again(ProcessState::Exited, Cause::Restart)
            }
            Phase::Backoff { retry, remains: None } => {
                let cause = Cause::Retry { number: retry.number, of: self.config.startretries };
                self.start_again(ProcessState::Backoff, cause)
            }
            Phase::Exited { .. }
            | Phase::Backoff { .. }
            | Phase::Stopped
            | Phase::Fatal { .. }
            | Phase::Waiting
            | Phase::Spawning { .. }
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Unhealthy { .. }
            | Phase::Stopping { .. } => phase,
        }
    }

    pub(super) fn health_reported(&mut self, now: Moment, phase: Phase, healthy: bool, message: &str) -> Phase {
        match phase {
            Phase::Running { run, checks: Some(mut checks) } => {
                if !checks.answer(healthy, message) {
                    return Phase::Running { run, checks: Some(checks) };
                }
                if healthy {
                    self.tally.health_restarts = 0;
                } else if checks.failures >= run.config.healthcheck.retries {
                    return self.unhealthy(now, run, checks);
                }
                Phase::Running { run, checks: Some(checks) }
            }
            Phase::Unhealthy { run, mut checks } => {
                if !checks.answer(healthy, message) {
                    return Phase::Unhealthy { run, checks };
                }
                if !healthy {
                    return self.stay_unhealthy(now, run, checks);
                }
                self.tally.health_restarts = 0;
                let (pid, cause) = (Some(run.pid), Cause::HealthyAgain { message: checks.message.clone() });
                self.enter(ProcessState::Unhealthy, Phase::Running { run, checks: Some(checks) }, pid, cause)
            }
            Phase::Starting { run, startup: Startup::Healthy { checks, give_up_at } } => {
                self.first_check_answered(now, run, checks, give_up_at, (healthy, message))
            }
            Phase::Stopped
            | Phase::Exited { .. }
            | Phase::Fatal { .. }
            | Phase::Backoff { .. }
            | Phase::Waiting
            | Phase::Spawning { .. }
            | Phase::Starting { .. }
            | Phase::Running { checks: None, .. }
            | Phase::Stopping { .. } => phase,
        }
    }

    fn unhealthy(&mut self, now: Moment, run: Run, checks: Box<Checks>) -> Phase {
        let cause = Cause::Unhealthy { failures: checks.failures, message: checks.message.clone() };
        self.announce(ProcessState::Running, ProcessState::Unhealthy, Some(run.pid), cause);
        self.stay_unhealthy(now, run, checks)
    }

    /// Goes on checking, or restarts it where that is configured (by now).
    fn stay_unhealthy(&mut self, now: Moment, run: Run, checks: Box<Checks>) -> Phase {
        match self.config.autorestart {
            AutoRestart::Never => Phase::Unhealthy { run, checks },
            AutoRestart::Unexpected | AutoRestart::Always => {
                let then = Then::HealthRestart { failures: checks.failures, message: checks.message };
                if run.age(now) >= PACE {
                    self.tally.attempts = 0;
                }
                let order = StopOrder { force: false, then, why: KillWhy::Unhealthy };
                self.stop(now, ProcessState::Unhealthy, run, order, Cause::RestartUnhealthy)
            }
        }
    }

    /// Lets the phase's timer fire, which is due at `now`.
    pub(super) fn timer_fired(&mut self, now: Moment, phase: Phase) -> Phase {
        match phase {
            Phase::Exited { remains: None, .. } | Phase::Backoff { remains: None, .. } => {
                self.wait_or_start(now, phase)
            }
            Phase::Exited { remains: Some(_), .. }
            | Phase::Fatal { remains: Some(_), .. }
            | Phase::Backoff { remains: Some(_), .. }
            | Phase::Stopping { .. } => self.escalate(now, phase),
            Phase::Starting { run, startup } => self.startup_timer_fired(now, run, startup),
            Phase::Running { run, checks: Some(mut checks) } => {
                let turn = checks.take_turn(&run.config.healthcheck, now);
                self.take_turn(now, Phase::Running { run, checks: Some(checks) }, &turn)
            }
            Phase::Unhealthy { run, mut checks } => {
                let turn = checks.take_turn(&run.config.healthcheck, now);
                self.take_turn(now, Phase::Unhealthy { run, checks }, &turn)
            }
            Phase::Stopped
            | Phase::Fatal { remains: None, .. }
            | Phase::Waiting
            | Phase::Spawning { .. }
            | Phase::Running { checks: None, .. } => phase,
        }
    }

    /// The last request, and who is behind what the machine does by itself to fulfil it.
    fn last_asked(&self) -> (Verb, Initiator) {
        match self.last_request.as_deref() {
            Some((verb, by, _)) => (*verb, by.clone()),
            None => (Verb::Start, Initiator::Autostart),
        }
    }

    /// The next step for what is still there: another stop signal, at last SIGKILL.
    fn escalate(&mut self, now: Moment, phase: Phase) -> Phase {
        let is_stopping = phase.state() == ProcessState::Stopping;
        self.with_remains(phase, |machine, leader, group| match group.stage {
            StopStage::Unsignalled => machine.kill(now, leader, group, KillWhy::Remains),
            StopStage::Stopping { step, .. } => {
                let why = if is_stopping { group.run.why_next(step) } else { KillWhy::Remains };
                machine.begin_step(now, leader, group, step + 1, why)
            }
            StopStage::Killing { .. } => machine.kill(now, leader, group, KillWhy::Again),
        })
    }

    pub(super) fn take_turn(&mut self, now: Moment, phase: Phase, turn: &Turn) -> Phase {
        match turn {
            Turn::Rest => phase,
            Turn::Check => {
                self.actions.push_back(Action::CheckHealth { generation: self.generation });
                phase
            }
            Turn::GiveUp => self.health_reported(now, phase, false, "the check gave no answer"),
        }
    }

    /// Does something to the group that is on its way out, where there is one.
    fn with_remains(&mut self, phase: Phase, act: impl FnOnce(&mut Self, Leader, Group) -> Group) -> Phase {
        match phase {
            Phase::Exited { restart_at, remains: Some(group) } => {
                Phase::Exited { restart_at, remains: Some(act(self, Leader::Gone, group)) }
            }
            Phase::Fatal { failure, after, remains: Some(group) } => {
                Phase::Fatal { failure, after, remains: Some(act(self, Leader::Gone, group)) }
            }
            Phase::Backoff { retry, remains: Some(group) } => {
                Phase::Backoff { retry, remains: Some(act(self, Leader::Gone, group)) }
            }
            Phase::Stopping { leader, group, then } => {
                Phase::Stopping { leader, group: act(self, leader, group), then }
            }
            Phase::Stopped
            | Phase::Exited { remains: None, .. }
            | Phase::Fatal { remains: None, .. }
            | Phase::Backoff { remains: None, .. }
            | Phase::Waiting
            | Phase::Spawning { .. }
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Unhealthy { .. } => phase,
        }
    }
}

pub(super) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
