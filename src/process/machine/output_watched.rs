//! Runs whose output is watched: what follows when the output shows that they are unhealthy.

use std::sync::Arc;
use std::time::Duration;

use super::super::cause::Cause;
use super::super::failure::Failure;
use super::super::moment::Moment;
use super::super::output_fault::OutputFault;
use super::super::state::ProcessState;
use super::action::{Desired, KillWhy};
use super::checks::Checks;
use super::commands::StopRequest;
use super::phase::{AfterStop, Phase, Run};
use super::{MIN_RESTART_INTERVAL, Machine};

/// A run that has lived so long ends a row of restarts for what the output has shown: whatever hangs once a month must
/// not be
/// `FATAL` in the end.
const ROW_OVER: Duration = Duration::from_secs(60);

impl Machine {
    /// The output of the run shows that it is not well. What is not up yet has failed to start, whatever was to follow.
    pub(super) fn output_watched(
        &mut self,
        now: Moment,
        phase: Phase,
        fault: Arc<OutputFault>,
        is_restart: bool,
    ) -> Phase {
        let is_wanted = self.desired == Desired::Up && !phase.live_run().is_some_and(|run| run.is_paused);
        match phase {
            Phase::Starting { run, .. } if is_wanted => self.start_failed(now, run, Failure::Output { fault }),
            Phase::Running { run, .. } if is_wanted && is_restart => {
                self.restart_for_output(now, ProcessState::Running, run, fault)
            }
            Phase::Unhealthy { run, .. } if is_wanted && is_restart => {
                self.restart_for_output(now, ProcessState::Unhealthy, run, fault)
            }
            Phase::Running { run, checks } if is_wanted => self.become_unhealthy_by_output(now, run, checks, fault),
            Phase::Unhealthy { run, checks, fault: _ } if is_wanted => {
                Phase::Unhealthy { run, checks, fault: Some(fault) }
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
            | Phase::Running { .. }
            | Phase::Unhealthy { .. }
            | Phase::Stopping { .. } => phase,
        }
    }

    fn restart_for_output(&mut self, now: Moment, from: ProcessState, run: Run, fault: Arc<OutputFault>) -> Phase {
        let age = run.age(now);
        if age >= MIN_RESTART_INTERVAL {
            self.reset_failures();
        }
        if age >= ROW_OVER {
            self.tally.health_restarts = 0;
        }
        let failure = Failure::Output { fault: Arc::clone(&fault) };
        let then = AfterStop::HealthRestart { failure: failure.into() };
        let request = StopRequest { force: false, then, why: KillWhy::Unhealthy };
        self.stop(now, from, run, request, Cause::OutputFault { fault })
    }

    fn become_unhealthy_by_output(
        &mut self,
        now: Moment,
        run: Run,
        checks: Option<Box<Checks>>,
        fault: Arc<OutputFault>,
    ) -> Phase {
        if run.age(now) >= ROW_OVER {
            self.tally.health_restarts = 0;
        }
        let cause = Cause::OutputFault { fault: Arc::clone(&fault) };
        self.announce(ProcessState::Running, ProcessState::Unhealthy, Some(run.pid), cause);
        self.act_for_health(&run);
        self.stay_unhealthy(now, run, checks, Some(Arc::clone(&fault)), Failure::Output { fault })
    }

    /// It has written something. Where only that was missing, it is healthy again.
    pub(super) fn output_resumed(&mut self, phase: Phase) -> Phase {
        match phase {
            Phase::Unhealthy { run, checks, fault: Some(fault) } if fault.is_silence() => {
                let retries = run.config.healthcheck.retries;
                let checks_fail = checks.as_ref().is_some_and(|checks| checks.failures >= retries);
                if checks_fail || run.watchdog_miss().is_some() {
                    return Phase::Unhealthy { run, checks, fault: None };
                }
                let pid = Some(run.pid);
                self.enter(ProcessState::Unhealthy, Phase::Running { run, checks }, pid, Cause::HeardAgain)
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
            | Phase::Running { .. }
            | Phase::Unhealthy { .. }
            | Phase::Stopping { .. } => phase,
        }
    }
}
