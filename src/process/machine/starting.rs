//! From the spawn to `RUNNING`: what ends the waiting.

use std::sync::Arc;
use std::time::Duration;

use super::super::cause::Cause;
use super::super::failure::Failure;
use super::super::moment::Moment;
use super::super::readiness::{ReadyReport, ReadySign};
use super::super::state::{Exit, ProcessState};
use super::Machine;
use super::action::{Action, KillWhy};
use super::checks::{CheckAction, Checks};
use super::commands::StopRequest;
use super::due::{Due, after, is_due};
use super::life::millis;
use super::phase::{AfterStop, Phase, Remains, Run};
use super::probes::Probes;
use super::startup::{LimitKey, Startup, completion_limit};

/// Seconds between the checks of a run that is ready when one passes.
const FIRST_CHECKS_SECS: u32 = 1;

/// How long it may take from the end of a program's last descriptor to the news of its own end: the kernel closes the
/// one before it tells of the other, and where processors are scarce something else may run between.
const END_IS_NEAR: Duration = Duration::from_millis(250);

impl Machine {
    /// What follows a spawn.
    pub(super) fn begin_startup(&mut self, now: Moment, run: Run) -> Phase {
        let startup = Startup::of(&run.config, now);
        self.begin(now, run, startup, Cause::Executed)
    }

    /// What follows a spawn whose program is not executed yet. What tells by itself when it is ready needs no other
    /// care.
    pub(super) fn begin_pending(&mut self, now: Moment, run: Run) -> Phase {
        match Startup::of(&run.config, now) {
            Startup::Alive { .. } => Phase::Starting { run, startup: Startup::Exec },
            startup @ (Startup::Exec
            | Startup::Completion { .. }
            | Startup::Forking { .. }
            | Startup::Detached { .. }
            | Startup::Ready { .. }
            | Startup::Lost { .. }
            | Startup::Healthy { .. }) => self.begin(now, run, startup, Cause::Executed),
        }
    }

    /// The program is executed after all: `startsecs` count from now on.
    pub(super) fn executed(&mut self, now: Moment, phase: Phase) -> Phase {
        match phase {
            Phase::Starting { run, startup: Startup::Exec } => {
                let until = after(now, run.config.startsecs);
                self.begin(now, run, Startup::Alive { until }, Cause::Executed)
            }
            Phase::Starting { .. }
            | Phase::Stopped
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
            | Phase::Stopping { .. } => phase,
        }
    }

    /// It waits for this, or is `RUNNING` at once for that cause where it has lived long enough.
    pub(super) fn begin(&mut self, now: Moment, mut run: Run, startup: Startup, cause: Cause) -> Phase {
        if let Startup::Ready { sign, .. } = startup {
            run.probes = Probes::of(sign, run.config.startsecs, now);
        }
        match startup {
            Startup::Alive { until } if is_due(until, now) => self.running(now, run, cause),
            startup @ (Startup::Alive { .. }
            | Startup::Exec
            | Startup::Completion { .. }
            | Startup::Forking { .. }
            | Startup::Detached { .. }
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
            Startup::Completion { .. } => {
                let failure = match completion_limit(&run.config) {
                    Some((seconds, LimitKey::MaxRuntime)) => Failure::RanTooLong { seconds },
                    Some((_, LimitKey::StartTimeout)) | None => Failure::NotCompleted { seconds },
                };
                self.start_failed(now, run, failure)
            }
            Startup::Forking { .. } => self.start_failed(now, run, Failure::NotForked { seconds }),
            Startup::Detached { search } if is_due(search.give_up_at, now) => self.give_up_search(now, run, &search),
            Startup::Detached { search } => self.look_for_main(run, search),
            Startup::Ready { sign, give_up_at } if is_due(give_up_at, now) => {
                let detail = run.unready_detail(None);
                self.start_failed(now, run, Failure::NotReady { seconds, sign, detail })
            }
            // It has no timer.
            Startup::Exec => Phase::Starting { run, startup },
            Startup::Ready { .. } => self.probe(now, Phase::Starting { run, startup }),
            Startup::Lost { .. } => self.start_failed(now, run, Failure::NeverReady),
            Startup::Healthy { checks, give_up_at } if is_due(give_up_at, now) => {
                let detail = run.unready_detail(Some(&checks));
                self.start_failed(now, run, Failure::NotReady { seconds, sign: ReadySign::Health, detail })
            }
            Startup::Healthy { mut checks, give_up_at } => {
                let action = checks.poll_every(FIRST_CHECKS_SECS, &run.config.healthcheck, now);
                self.perform_check_action(
                    now,
                    Phase::Starting { run, startup: Startup::Healthy { checks, give_up_at } },
                    &action,
                )
            }
        }
    }

    /// It tells that it is ready, or that it never will be.
    pub(super) fn ready_reported(&mut self, now: Moment, phase: Phase, report: ReadyReport) -> Phase {
        match (phase, report) {
            (Phase::Starting { run, startup: Startup::Ready { sign, .. } }, ReadyReport::Ready) => {
                self.is_ready(now, run, sign)
            }
            (Phase::Starting { run, startup: Startup::Ready { .. } }, ReadyReport::Never) => {
                Phase::Starting { run, startup: Startup::Lost { give_up_at: now.checked_add(END_IS_NEAR) } }
            }
            (
                Phase::Starting { mut run, startup: startup @ (Startup::Forking { .. } | Startup::Detached { .. }) },
                ReadyReport::Ready,
            ) => {
                run.notify_state.get_or_insert_default().ready = true;
                Phase::Starting { run, startup }
            }
            (
                other @ (Phase::Starting {
                    startup:
                        Startup::Alive { .. }
                        | Startup::Exec
                        | Startup::Completion { .. }
                        | Startup::Forking { .. }
                        | Startup::Detached { .. }
                        | Startup::Lost { .. }
                        | Startup::Healthy { .. },
                    ..
                }
                | Phase::Stopped
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
                | Phase::Stopping { .. }),
                ReadyReport::Ready | ReadyReport::Never,
            ) => other,
        }
    }

    /// It is `RUNNING`, unless it has to have lived for a while as well.
    pub(super) fn is_ready(&mut self, now: Moment, run: Run, sign: ReadySign) -> Phase {
        let until = after(run.started, run.config.startsecs);
        match is_due(until, now) {
            true => self.running(now, run, Cause::Ready { sign }),
            false => Phase::Starting { run, startup: Startup::Alive { until } },
        }
    }

    /// A try whether it is ready is due, or its answer is.
    pub(super) fn probe(&mut self, now: Moment, mut phase: Phase) -> Phase {
        match phase.probes_mut().map_or(CheckAction::Nothing, |probes| probes.poll(now)) {
            CheckAction::Nothing => phase,
            CheckAction::Check => {
                self.actions.push_back(Action::ProbeReadiness { generation: self.generation });
                phase
            }
            CheckAction::GiveUp => self.probed(now, phase, false, "there was no answer"),
        }
    }

    /// A try whether it is ready has its answer.
    pub(super) fn probed(&mut self, now: Moment, mut phase: Phase, ready: bool, message: &str) -> Phase {
        let was_ready = phase.probes().is_none_or(|probes| probes.message.is_none());
        let is_news = phase.probes_mut().is_some_and(|probes| probes.answer(now, ready, message));
        match phase {
            Phase::Starting { mut run, startup: Startup::Ready { sign, .. } } if is_news && ready => {
                run.probes = None;
                self.is_ready(now, run, sign)
            }
            Phase::Running { ref run, .. } | Phase::Unhealthy { ref run, .. } if is_news && ready != was_ready => {
                let lost = run.unready().cloned();
                self.actions.push_back(Action::NoteReadiness { lost });
                phase
            }
            Phase::Starting { .. }
            | Phase::Stopped
            | Phase::Exited { .. }
            | Phase::Fatal { .. }
            | Phase::Backoff { .. }
            | Phase::PreStart { .. }
            | Phase::Waiting { .. }
            | Phase::Up { .. }
            | Phase::Ending { .. }
            | Phase::Spawning { .. }
            | Phase::Running { .. }
            | Phase::Unhealthy { .. }
            | Phase::Stopping { .. } => phase,
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
        checks.schedule_next(&run.config.healthcheck, now);
        self.running_with(now, run, Some(checks), Cause::Ready { sign: ReadySign::Health })
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
                let run = self.announce_running(now, run, cause);
                self.ended(now, ProcessState::Running, run, exit)
            }
            Startup::Completion { .. } if self.is_success(exit) => self.completed(now, run, exit),
            Startup::Completion { .. } => self.start_ended(now, run, exit, None),
            Startup::Forking { give_up_at } if exit == Exit::Code(0) => self.detach(run, give_up_at),
            Startup::Forking { .. } | Startup::Detached { .. } => self.start_ended(now, run, exit, None),
            Startup::Alive { .. }
            | Startup::Exec
            | Startup::Ready { .. }
            | Startup::Lost { .. }
            | Startup::Healthy { .. } => self.start_ended(now, run, exit, descendant),
        }
    }

    /// Its end has come before its start was over; it may have put itself into the background.
    fn start_ended(&mut self, now: Moment, run: Run, exit: Exit, descendant: Option<i32>) -> Phase {
        let failure = match (self.note_end(now, &run, exit), descendant) {
            (Failure::Exited { exit: Exit::Code(0), age_ms }, Some(pid)) => Failure::Backgrounded { age_ms, pid },
            (failure, _) => failure,
        };
        self.announce_exit(ProcessState::Starting, &run, exit, now);
        if self.never_restarts(exit) {
            return self.give_up_for_good(ProcessState::Exited, failure.into(), Some(Remains::of(run)));
        }
        self.failed_attempt(now, ProcessState::Exited, failure.into(), Some(Remains::of(run)))
    }

    /// A oneshot has done what it is for.
    fn completed(&mut self, now: Moment, run: Run, exit: Exit) -> Phase {
        self.note_end(now, &run, exit);
        if let Some(last) = &mut self.last_run {
            last.completed = true;
        }
        self.reset_failures();
        let cause = Cause::Completed { exit, age_ms: millis(run.age(now)) };
        self.announce(ProcessState::Starting, ProcessState::Exited, Some(run.pid), cause);
        Phase::Exited { restart_at: None, remains: Some(Remains::of(run)) }
    }

    /// Its start has not come about.
    pub(super) fn start_failed(&mut self, now: Moment, run: Run, failure: Failure) -> Phase {
        let failure = Arc::new(failure);
        let then = AfterStop::StartFailed { failure: Arc::clone(&failure) };
        let request = StopRequest { force: false, then, why: KillWhy::StartFailed };
        self.stop(now, ProcessState::Starting, run, request, Cause::StartFailed { failure })
    }
}

fn up_for(run: &Run) -> Cause {
    Cause::Up { seconds: run.config.startsecs }
}
