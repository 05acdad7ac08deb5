//! What health checks have found, and what follows from it.

use std::sync::Arc;

use super::super::cause::Cause;
use super::super::failure::Failure;
use super::super::moment::Moment;
use super::super::output_fault::OutputFault;
use super::super::signal_target::SignalTarget;
use super::super::state::{ProcessState, signal_number};
use super::action::{Action, KillWhy};
use super::checks::Checks;
use super::commands::StopRequest;
use super::phase::{AfterStop, Phase, Run};
use super::startup::Startup;
use super::watchdog::Watchdog;
use super::{MIN_RESTART_INTERVAL, Machine};
use crate::models::{AutoRestart, HealthAction};

/// The check that is out brings no answer.
pub(super) fn health_missed(mut phase: Phase) -> Phase {
    match &mut phase {
        Phase::Running { checks: Some(checks), .. }
        | Phase::Unhealthy { checks: Some(checks), .. }
        | Phase::Starting { startup: Startup::Healthy { checks, .. }, .. } => checks.skip(),
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
        | Phase::Running { checks: None, .. }
        | Phase::Unhealthy { checks: None, .. }
        | Phase::Stopping { .. } => {}
    }
    phase
}

impl Machine {
    /// A health check of the run has come to its end.
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
            Phase::Unhealthy { run, checks: Some(mut checks), fault } => {
                if !checks.answer(healthy, message) {
                    return Phase::Unhealthy { run, checks: Some(checks), fault };
                }
                if !healthy {
                    let failure = failed_checks(&checks);
                    return self.stay_unhealthy(now, run, Some(checks), fault, failure);
                }
                self.tally.health_restarts = 0;
                let is_silent = fault.as_ref().is_some_and(|fault| fault.is_silence());
                if run.watchdog_miss().is_some() || is_silent {
                    return Phase::Unhealthy { run, checks: Some(checks), fault };
                }
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
            | Phase::Waiting { .. }
            | Phase::PreStart { .. }
            | Phase::Up { .. }
            | Phase::Ending { .. }
            | Phase::Spawning { .. }
            | Phase::Starting { .. }
            | Phase::Running { checks: None, .. }
            | Phase::Unhealthy { checks: None, .. }
            | Phase::Stopping { .. } => phase,
        }
    }

    fn unhealthy(&mut self, now: Moment, run: Run, checks: Box<Checks>) -> Phase {
        let cause = Cause::Unhealthy { failures: checks.failures, message: checks.message.clone() };
        self.announce(ProcessState::Running, ProcessState::Unhealthy, Some(run.pid), cause);
        self.act_for_health(&run);
        let failure = failed_checks(&checks);
        self.stay_unhealthy(now, run, Some(checks), None, failure)
    }

    /// Does once what `healthcheck_action` says, where that is no restart.
    pub(super) fn act_for_health(&mut self, run: &Run) {
        let generation = self.generation;
        match &run.config.healthcheck.action {
            HealthAction::Restart | HealthAction::None => {}
            HealthAction::Signal(name) => {
                let (target, why) = (SignalTarget::Leader, KillWhy::HealthAction);
                // The name was checked when it was read; a program may have set another.
                let signal =
                    signal_number(name).map(|signal| Action::Signal { generation, signal, target, resume: false, why });
                self.actions.extend(signal);
            }
            HealthAction::Command(_) => self.actions.push_back(Action::RunHealthCommand { generation }),
        }
    }

    /// Goes on checking, or restarts it where that is configured (by now).
    pub(super) fn stay_unhealthy(
        &mut self,
        now: Moment,
        mut run: Run,
        checks: Option<Box<Checks>>,
        fault: Option<Arc<OutputFault>>,
        failure: Failure,
    ) -> Phase {
        match (&run.config.healthcheck.action, self.config.autorestart) {
            (HealthAction::None | HealthAction::Signal(_) | HealthAction::Command(_), _)
            | (HealthAction::Restart, AutoRestart::Never) => Phase::Unhealthy { run, checks, fault },
            (HealthAction::Restart, AutoRestart::Unexpected | AutoRestart::Always) => {
                if let Some(miss) = run.watchdog_miss() {
                    run.watchdog = Some(Box::new(Watchdog::Missed { miss, stops: true }));
                }
                let then = AfterStop::HealthRestart { failure: failure.into() };
                if run.age(now) >= MIN_RESTART_INTERVAL {
                    self.reset_failures();
                }
                let request = StopRequest { force: false, then, why: KillWhy::Unhealthy };
                self.stop(now, ProcessState::Unhealthy, run, request, Cause::RestartUnhealthy)
            }
        }
    }
}

fn failed_checks(checks: &Checks) -> Failure {
    Failure::Unhealthy { failures: checks.failures, message: Arc::clone(&checks.message) }
}
