//! Runs with a watchdog: what follows when it times out, and when a message comes.

use std::time::Duration;

use super::super::cause::Cause;
use super::super::failure::Failure;
use super::super::moment::Moment;
use super::super::notification::{WatchdogMiss, WatchdogReport};
use super::super::state::ProcessState;
use super::Machine;
use super::action::Action;
use super::checks::Checks;
use super::phase::{Phase, Run};
use super::watchdog::Watchdog;

/// How late a timer of ours may be before the machine must have slept, or this process not have run.
const MAX_TIMER_DELAY: Duration = Duration::from_secs(1);
/// How long it may take to read what is there.
const MAX_READ_TIME: Duration = Duration::from_secs(10);

impl Machine {
    /// The watchdog of a run has waited long enough. What is on its way is read first. If our own timer is late, then
    /// the machine slept or this process did not run, and the program may not have run either: it gets its time anew.
    pub(super) fn watchdog_fired(&mut self, now: Moment, run: &mut Run) {
        let is_late = |until: Moment| now.saturating_duration_since(until) > MAX_TIMER_DELAY;
        match run.watchdog.as_deref() {
            Some(Watchdog::Waiting { until: Some(until) }) if !is_late(*until) => {
                self.actions.push_back(Action::AskNotifications { generation: self.generation });
                run.watchdog = Some(Box::new(Watchdog::Asking { until: now.checked_add(MAX_READ_TIME) }));
            }
            Some(Watchdog::Waiting { .. } | Watchdog::Asking { .. }) => run.watchdog = Watchdog::of(&run.config, now),
            Some(Watchdog::Missed { .. }) | None => {}
        }
    }

    /// Every message was read that was there when the watchdog had waited long enough.
    pub(super) fn notifications_read(&mut self, now: Moment, phase: Phase) -> Phase {
        match phase {
            Phase::Running { run, checks } if matches!(run.watchdog.as_deref(), Some(Watchdog::Asking { .. })) => {
                let miss = WatchdogMiss::Silent(run.config.watchdog);
                self.fail_watchdog(now, run, checks, miss)
            }
            Phase::Unhealthy { mut run, checks, fault }
                if matches!(run.watchdog.as_deref(), Some(Watchdog::Asking { .. })) =>
            {
                let miss = WatchdogMiss::Silent(run.config.watchdog);
                run.watchdog = Some(Box::new(Watchdog::Missed { miss, stops: false }));
                Phase::Unhealthy { run, checks, fault }
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

    /// A run tells its watchdog something.
    pub(super) fn watchdog_reported(&mut self, now: Moment, phase: Phase, report: WatchdogReport) -> Phase {
        // What it had said before it was paused.
        if phase.live_run().is_some_and(|run| run.is_paused) {
            return phase;
        }
        match (phase, report) {
            (Phase::Running { run, checks }, WatchdogReport::Trigger) if run.watchdog.is_some() => {
                self.fail_watchdog(now, run, checks, WatchdogMiss::Triggered)
            }
            (Phase::Running { mut run, checks }, WatchdogReport::Alive) => {
                self.alive_again(checks.as_deref());
                run.watchdog = Watchdog::of(&run.config, now);
                Phase::Running { run, checks }
            }
            (Phase::Unhealthy { mut run, checks, fault }, WatchdogReport::Alive) => {
                let was_missed = run.watchdog_miss().is_some();
                self.alive_again(checks.as_deref());
                run.watchdog = Watchdog::of(&run.config, now);
                let retries = run.config.healthcheck.retries;
                let checks_fail = checks.as_ref().is_some_and(|checks| checks.failures >= retries);
                match was_missed && !checks_fail && fault.is_none() {
                    true => {
                        let pid = Some(run.pid);
                        self.enter(ProcessState::Unhealthy, Phase::Running { run, checks }, pid, Cause::AliveAgain)
                    }
                    false => Phase::Unhealthy { run, checks, fault },
                }
            }
            (
                other @ (Phase::Stopped
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
                | Phase::Stopping { .. }),
                WatchdogReport::Alive | WatchdogReport::Trigger,
            ) => other,
        }
    }

    /// Where nothing else tells of its health, this ends the row of its restarts.
    fn alive_again(&mut self, checks: Option<&Checks>) {
        if checks.is_none() {
            self.tally.health_restarts = 0;
        }
    }

    fn fail_watchdog(&mut self, now: Moment, mut run: Run, checks: Option<Box<Checks>>, miss: WatchdogMiss) -> Phase {
        run.watchdog = Some(Box::new(Watchdog::Missed { miss, stops: false }));
        let cause = Cause::WatchdogMissed { miss };
        self.announce(ProcessState::Running, ProcessState::Unhealthy, Some(run.pid), cause);
        self.act_for_health(&run);
        self.stay_unhealthy(now, run, checks, None, Failure::Watchdog { miss })
    }
}
