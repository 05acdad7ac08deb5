//! From the spawn to `RUNNING`: what ends the waiting.

use std::sync::Arc;
use std::time::Duration;

use super::super::cause::{Cause, Failure};
use super::super::moment::Moment;
use super::super::readiness::{ReadyReport, ReadySign};
use super::super::state::{Exit, ProcessState};
use super::Machine;
use super::action::KillWhy;
use super::checks::Checks;
use super::commands::StopOrder;
use super::due::{Due, after, is_due};
use super::life::millis;
use super::phase::{Group, Phase, Run, Then};
use super::startup::Startup;

/// Seconds between the checks of a run that is ready when one passes.
const FIRST_CHECKS_SECS: u32 = 1;

/// How long it may take from the end of a program's last descriptor to the news of its own end.
const END_IS_NEAR: Duration = Duration::from_millis(100);

impl Machine {
    /// What follows a spawn.
    pub(super) fn begin_startup(&mut self, now: Moment, run: Run) -> Phase {
        match Startup::of(&run.config, now) {
            Startup::Alive { .. } if run.config.startsecs == 0 => self.running(now, run, Cause::Executed),
            startup @ (Startup::Alive { .. }
            | Startup::Completion { .. }
            | Startup::Ready { .. }
            | Startup::Lost { .. }
            | Startup::Healthy { .. }) => Phase::Starting { run, startup },
        }
    }

    pub(super) fn startup_timer_fired(&mut self, now: Moment, run: Run, startup: Startup) -> Phase {
        let seconds = run.config.start_timeout;
        match startup {
            Startup::Alive { .. } => {
                let cause = up_for(&run);
                self.running(now, run, cause)
            }
            Startup::Completion { .. } => self.start_failed(now, run, Failure::NotCompleted { seconds }),
            Startup::Ready { sign, .. } => self.start_failed(now, run, Failure::NotReady { seconds, sign }),
            Startup::Lost { .. } => self.start_failed(now, run, Failure::NeverReady),
            Startup::Healthy { give_up_at, .. } if is_due(give_up_at, now) => {
                self.start_failed(now, run, Failure::NotReady { seconds, sign: ReadySign::Health })
            }
            Startup::Healthy { mut checks, give_up_at } => {
                let turn = checks.take_turn_every(FIRST_CHECKS_SECS, &run.config.healthcheck, now);
                self.take_turn(now, Phase::Starting { run, startup: Startup::Healthy { checks, give_up_at } }, &turn)
            }
        }
    }

    /// It tells that it is ready, or that it never will be.
    pub(super) fn ready_reported(&mut self, now: Moment, phase: Phase, report: ReadyReport) -> Phase {
        match (phase, report) {
            (Phase::Starting { run, startup: Startup::Ready { sign, .. } }, ReadyReport::Ready) => {
                let until = after(run.started, run.config.startsecs);
                match is_due(until, now) {
                    true => self.running(now, run, Cause::Ready { sign }),
                    false => Phase::Starting { run, startup: Startup::Alive { until } },
                }
            }
            (Phase::Starting { run, startup: Startup::Ready { .. } }, ReadyReport::Never) => {
                Phase::Starting { run, startup: Startup::Lost { give_up_at: now.checked_add(END_IS_NEAR) } }
            }
            (
                other @ (Phase::Starting {
                    startup:
                        Startup::Alive { .. } | Startup::Completion { .. } | Startup::Lost { .. } | Startup::Healthy { .. },
                    ..
                }
                | Phase::Stopped
                | Phase::Exited { .. }
                | Phase::Fatal { .. }
                | Phase::Backoff { .. }
                | Phase::Waiting
                | Phase::Spawning { .. }
                | Phase::Running { .. }
                | Phase::Unhealthy { .. }
                | Phase::Stopping { .. }),
                ReadyReport::Ready | ReadyReport::Never,
            ) => other,
        }
    }

    /// A health check of a run that is ready when one passes.
    pub(super) fn first_check_answered(
        &mut self,
        now: Moment,
        run: Run,
        mut checks: Box<Checks>,
        give_up_at: Due,
        (healthy, message): (bool, &str),
    ) -> Phase {
        if !checks.answer(healthy, message) || !healthy {
            return Phase::Starting { run, startup: Startup::Healthy { checks, give_up_at } };
        }
        self.tally.health_restarts = 0;
        let until = after(run.started, run.config.startsecs);
        if !is_due(until, now) {
            return Phase::Starting { run, startup: Startup::Alive { until } };
        }
        checks.go_on(&run.config.healthcheck, now);
        let (pid, cause) = (Some(run.pid), Cause::Ready { sign: ReadySign::Health });
        self.enter(ProcessState::Starting, Phase::Running { run, checks: Some(checks) }, pid, cause)
    }

    /// The leader has ended in `STARTING`.
    pub(super) fn ended_in_startup(
        &mut self,
        now: Moment,
        run: Run,
        startup: Startup,
        exit: Exit,
        descendant: Option<i32>,
    ) -> Phase {
        match startup {
            Startup::Alive { until } if is_due(until, now) => {
                // It has lived long enough; only our timer was slower than its end.
                let cause = up_for(&run);
                match self.running(now, run, cause) {
                    Phase::Running { run, .. } => self.ended(now, ProcessState::Running, run, exit),
                    other => other,
                }
            }
            Startup::Completion { .. } if self.is_success(exit) => self.completed(now, run, exit),
            Startup::Completion { .. } => self.start_ended(now, run, exit, None),
            Startup::Alive { .. } | Startup::Ready { .. } | Startup::Lost { .. } | Startup::Healthy { .. } => {
                self.start_ended(now, run, exit, descendant)
            }
        }
    }

    /// Its end has come before its start was over; it may have put itself into the background.
    fn start_ended(&mut self, now: Moment, run: Run, exit: Exit, descendant: Option<i32>) -> Phase {
        let failure = match (self.note_end(now, &run, exit), descendant) {
            (Failure::Exited { exit: Exit::Code(0), age_ms }, Some(pid)) => Failure::Backgrounded { age_ms, pid },
            (failure, _) => failure,
        };
        self.announce_exit(ProcessState::Starting, &run, exit, now);
        self.failed_attempt(now, ProcessState::Exited, failure.into(), Some(Group::left_by(run)))
    }

    /// A oneshot has done what it is for.
    fn completed(&mut self, now: Moment, run: Run, exit: Exit) -> Phase {
        self.note_end(now, &run, exit);
        if let Some(last) = &mut self.last_run {
            last.completed = true;
        }
        self.tally.attempts = 0;
        let cause = Cause::Completed { exit, age_ms: millis(run.age(now)) };
        self.announce(ProcessState::Starting, ProcessState::Exited, Some(run.pid), cause);
        Phase::Exited { restart_at: None, remains: Some(Group::left_by(run)) }
    }

    /// Its start has not come about.
    fn start_failed(&mut self, now: Moment, run: Run, failure: Failure) -> Phase {
        let failure = Arc::new(failure);
        let then = Then::StartFailed { failure: Arc::clone(&failure) };
        let order = StopOrder { force: false, then, why: KillWhy::StartFailed };
        self.stop(now, ProcessState::Starting, run, order, Cause::StartFailed { failure })
    }
}

fn up_for(run: &Run) -> Cause {
    Cause::Up { seconds: run.config.startsecs }
}
