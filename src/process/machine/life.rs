//! What is reported to the machine: spawns, ends, empty groups, and time that has passed.

use std::sync::Arc;
use std::time::Duration;

use super::super::cause::{Cause, Tries, Verb};
use super::super::failure::Failure;
use super::super::initiator::Initiator;
use super::super::moment::Moment;
use super::super::readiness::ReadySign;
use super::super::signal_target::SignalTarget;
use super::super::state::{Exit, ProcessState, SpawnError};
use super::action::{Action, Desired, KillWhy, LastRun};
use super::checks::{CheckAction, Checks};
use super::commands::StopRequest;
use super::due::{is_due, whole_seconds};
use super::phase::{AfterStop, Group, LeaderState, Phase, Remains, Run, StopProgress};
use super::probes::Probes;
use super::startup::Startup;
use super::watchdog::Watchdog;
use super::{MIN_RESTART_INTERVAL, Machine};
use crate::models::{AutoRestart, ExitOn, Hook};

/// What follows a spawn where the program is still wanted up.
type Begin = fn(&mut Machine, Moment, Run) -> Phase;

impl Machine {
    /// A new run. Only to be called when nothing of the run before is left.
    pub(super) fn start(&mut self, from: ProcessState, cause: Cause) -> Phase {
        self.generation = self.generation.saturating_add(1);
        self.announce(from, ProcessState::Starting, None, cause);
        self.begin_attempt()
    }

    /// A new run that no operator has asked for.
    pub(super) fn start_again(&mut self, now: Moment, from: ProcessState, cause: Cause) -> Phase {
        self.count_restart(now);
        self.start(from, cause)
    }

    /// What a daemon that has died left of this program.
    pub(super) fn orphans_found(&mut self, now: Moment, phase: Phase, pid: i32) -> Phase {
        match phase {
            Phase::Stopped if self.generation == 0 => {
                let run = Run::new(pid, now, self.config.clone());
                self.stop_remains(now, ProcessState::Stopped, Remains::of(run), false, Cause::EarlierDaemonDied { pid })
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

    pub(super) fn spawned(&mut self, now: Moment, phase: Phase, pid: i32, begin: Begin) -> Phase {
        let (kill, prepared) = match phase {
            Phase::Spawning { kill, prepared } => (kill, prepared),
            other @ (Phase::Stopped
            | Phase::Exited { .. }
            | Phase::Fatal { .. }
            | Phase::Backoff { .. }
            | Phase::Waiting { .. }
            | Phase::PreStart { .. }
            | Phase::Up { .. }
            | Phase::Ending { .. }
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Unhealthy { .. }
            | Phase::Stopping { .. }) => return other,
        };
        self.spawn_error = None;
        self.tally.shortages = 0;
        self.note_process();
        let run = Run::new(pid, now, prepared.unwrap_or_else(|| self.config.clone()));
        match self.desired {
            Desired::Down => {
                let (verb, by) = self.last_asked();
                let cause = Cause::RequestedDuringSpawn { verb, by };
                let request = StopRequest { force: kill, then: AfterStop::AsDesired, why: KillWhy::Requested };
                self.stop(now, ProcessState::Starting, run, request, cause)
            }
            Desired::Up => begin(self, now, run),
        }
    }

    pub(super) fn spawn_failed(&mut self, now: Moment, phase: Phase, error: SpawnError) -> Phase {
        let prepared = match phase {
            Phase::Spawning { kill: _, prepared } => prepared,
            other @ (Phase::Stopped
            | Phase::Exited { .. }
            | Phase::Fatal { .. }
            | Phase::Backoff { .. }
            | Phase::Waiting { .. }
            | Phase::PreStart { .. }
            | Phase::Up { .. }
            | Phase::Ending { .. }
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Unhealthy { .. }
            | Phase::Stopping { .. }) => return other,
        };
        self.spawn_error = Some(Box::new(error.clone()));
        match self.desired {
            Desired::Down => self.stop_prepared(prepared.as_ref(), Cause::SpawnFailed { error: Box::new(error) }),
            Desired::Up => {
                let remains = prepared.and_then(|config| self.clean_up_of(&config));
                let failure = Arc::new(Failure::SpawnFailed(error.clone()));
                self.not_spawned(now, &error, failure, remains)
            }
        }
    }

    pub(super) fn running(&mut self, now: Moment, run: Run, cause: Cause) -> Phase {
        let checks = Checks::new(&run.config, now);
        self.running_with(now, run, checks, cause)
    }

    /// `RUNNING` with these health checks.
    pub(super) fn running_with(&mut self, now: Moment, run: Run, checks: Option<Box<Checks>>, cause: Cause) -> Phase {
        Phase::Running { run: self.announce_running(now, run, cause), checks }
    }

    /// The run is up: it is announced, and what follows from that begins.
    pub(super) fn announce_running(&mut self, now: Moment, mut run: Run, cause: Cause) -> Run {
        run.watchdog = Watchdog::of(&run.config, now);
        let sign = ReadySign::of(&run.config.ready);
        run.probes = sign.and_then(|sign| Probes::repeated(sign, run.config.ready_interval, now));
        self.announce(ProcessState::Starting, ProcessState::Running, Some(run.pid), cause);
        if !run.config.hooks.post_start.is_empty() {
            self.run_hook(Hook::PostStart, &run.config);
        }
        run
    }

    pub(super) fn exited(&mut self, now: Moment, phase: Phase, exit: Exit, descendant: Option<i32>) -> Phase {
        match phase {
            Phase::Starting { run, startup } => self.ended_in_startup(now, run, startup, exit, descendant),
            Phase::Running { run, .. } => self.ended(now, ProcessState::Running, run, exit),
            Phase::Unhealthy { run, .. } => self.ended(now, ProcessState::Unhealthy, run, exit),
            Phase::Stopping { leader: LeaderState::Alive, group, then } => {
                self.note_end(now, &group.run, exit);
                Phase::Stopping { leader: LeaderState::Gone, group, then }
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
            | Phase::Stopping { leader: LeaderState::Gone, .. } => phase,
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
            _ if self.never_restarts(exit) => false,
            AutoRestart::Never => false,
            AutoRestart::Unexpected => !expected,
            AutoRestart::Always => true,
        };
        let quick = run.age(now) < MIN_RESTART_INTERVAL;
        let may_be_a_failed_start = run.config.startsecs == 0 && !run.config.ignores_early_exits;
        if again && quick && !expected && may_be_a_failed_start {
            return self.failed_attempt(now, ProcessState::Exited, failure.into(), Some(Remains::of(run)));
        }
        // Only now: with startsecs = 0, being RUNNING has proved nothing.
        self.reset_failures();
        let restart_at =
            again.then(|| run.started.checked_add(MIN_RESTART_INTERVAL).map_or(now, |paced| paced.max(now)));
        if let Some(limit) = restart_at.and_then(|at| self.exceeds_limit(at)) {
            return self.give_up(now, ProcessState::Exited, failure.into(), Some(limit), Some(Remains::of(run)));
        }
        Phase::Exited { restart_at, remains: Some(Remains::of(run)) }
    }

    /// Remembers how a run ended, which may have been a failed attempt.
    pub(super) fn note_end(&mut self, now: Moment, run: &Run, exit: Exit) -> Failure {
        let (generation, pid, started) = (self.generation, run.pid, run.started);
        let (completed, notify_state) = (false, run.notify_state.clone());
        self.last_run = Some(LastRun { generation, pid, exit, started, ended: now, completed, notify_state });
        Failure::Exited { exit, age_ms: millis(run.age(now)) }
    }

    pub(super) fn announce_exit(&mut self, from: ProcessState, run: &Run, exit: Exit, now: Moment) {
        let cause = Cause::Exited { exit, age_ms: millis(run.age(now)) };
        self.announce(from, ProcessState::Exited, Some(run.pid), cause);
    }

    pub(super) fn group_lingers(&mut self, now: Moment, phase: Phase) -> Phase {
        self.with_remains(phase, |machine, leader, group| match group.progress {
            StopProgress::Unsignalled => machine.terminate(now, leader, group, KillWhy::Remains),
            // Only the leader was told so far. Nobody else is left who would end the others.
            StopProgress::Stopping { target: SignalTarget::Leader, step, over_at, .. } => {
                machine.signal_rest_of_group(group, step, over_at)
            }
            // Its stop_command is at work on it, or is all that is there.
            StopProgress::Commanding { .. } => group,
            StopProgress::Commanded { .. } | StopProgress::Killing { target: SignalTarget::Leader, .. } => {
                machine.terminate(now, leader, group, KillWhy::Remains)
            }
            StopProgress::Stopping { target: SignalTarget::Group, .. }
            | StopProgress::Killing { target: SignalTarget::Group, .. } => group,
        })
    }

    pub(super) fn group_empty(&mut self, now: Moment, phase: Phase) -> Phase {
        match phase {
            Phase::Exited { remains: Some(Remains::Group(group)), .. } if self.is_up_after(&group.run) => {
                Phase::Up { config: group.run.config }
            }
            Phase::Exited { restart_at, remains: Some(Remains::Group(group)) } => {
                let remains = self.remains_after(&group);
                self.wait_or_start(now, Phase::Exited { restart_at, remains })
            }
            Phase::Backoff { retry, remains: Some(Remains::Group(group)) } => {
                let remains = self.remains_after(&group);
                self.wait_or_start(now, Phase::Backoff { retry, remains })
            }
            Phase::Fatal { failure, after, retry_at, remains: Some(Remains::Group(group)) } => {
                let remains = self.remains_after(&group);
                self.wait_or_start(now, Phase::Fatal { failure, after, retry_at, remains })
            }
            Phase::Starting { run, startup: Startup::Detached { search } } => self.nothing_detached(now, run, &search),
            Phase::Stopping { leader: LeaderState::Gone, group, then } => self.stopped_group(now, group.run, then),
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
            | Phase::Stopping { leader: LeaderState::Alive, .. } => phase,
        }
    }

    /// Nothing is left of a run that was told to stop.
    pub(super) fn stopped(&mut self, now: Moment, pid: Option<i32>, then: AfterStop) -> Phase {
        match (then, self.desired) {
            (AfterStop::HealthRestart { failure }, Desired::Up) => self.health_restart(now, failure),
            (AfterStop::StartFailed { failure }, Desired::Up) => {
                self.failed_attempt(now, ProcessState::Stopping, failure, None)
            }
            (AfterStop::AsDesired | AfterStop::HealthRestart { .. } | AfterStop::StartFailed { .. }, desired) => {
                if let Some((failure, limit)) = self.exceeded_limit_after_stop(now, pid) {
                    return self.give_up(now, ProcessState::Stopping, failure.into(), Some(limit), None);
                }
                // The last run may not have been this one, which did not get to a process.
                let exit = pid.and(self.last_run.as_ref()).map(|last| last.exit);
                let phase = self.enter(ProcessState::Stopping, Phase::Stopped, pid, Cause::Ended { exit });
                match desired {
                    Desired::Up => {
                        let (_, by) = self.last_asked();
                        if Machine::is_automatic(&by) {
                            self.count_restart_by(now, &by);
                        }
                        let cause = Cause::Requested { verb: Verb::Start, by, remains_of: None };
                        self.start(ProcessState::Stopped, cause)
                    }
                    Desired::Down => phase,
                }
            }
        }
    }

    /// It was restarted because something that it is bound to has ended, or by one of its settings: one such restart
    /// too many is only a stop.
    fn exceeded_limit_after_stop(&self, now: Moment, pid: Option<i32>) -> Option<(Failure, Tries)> {
        let (_, by) = self.last_asked();
        if self.desired == Desired::Down || !Machine::is_automatic(&by) {
            return None;
        }
        let last = pid.and(self.last_run.as_ref())?;
        let limit = self.exceeds_limit_by(now, &by)?;
        let failure = match by {
            // The signal that has ended it was ours.
            Initiator::Policy(reason) => Failure::Policy { reason },
            Initiator::Embedder
            | Initiator::Client(_)
            | Initiator::Remote(_)
            | Initiator::Autostart
            | Initiator::Signal { .. }
            | Initiator::Reload { .. }
            | Initiator::Rollback
            | Initiator::Shutdown
            | Initiator::HealthCheck
            | Initiator::Schedule
            | Initiator::Related(_) => Failure::Exited { exit: last.exit, age_ms: last.age_ms() },
        };
        Some((failure, limit))
    }

    /// The start that an empty-handed phase waits for, if its time has come.
    pub(super) fn wait_or_start(&mut self, now: Moment, phase: Phase) -> Phase {
        if !is_due(phase.timer(), now) {
            return phase;
        }
        match phase {
            Phase::Exited { restart_at: Some(_), remains: None } => {
                self.start_again(now, ProcessState::Exited, Cause::Restart)
            }
            Phase::Backoff { retry, remains: None } => {
                let Some(number) = retry.number else {
                    // What the daemon is short of says nothing of the program, and counts for no limit.
                    self.tally.restarts_now = true;
                    return self.start(ProcessState::Backoff, Cause::RetryForRoom);
                };
                let cause = Cause::Retry { number, of: self.config.startretries };
                self.start_again(now, ProcessState::Backoff, cause)
            }
            Phase::Fatal { remains: None, .. } => {
                let number = self.begin_fatal_retry();
                self.start_again(now, ProcessState::Fatal, Cause::FatalRetry { number })
            }
            Phase::Exited { .. }
            | Phase::Backoff { .. }
            | Phase::Stopped
            | Phase::Fatal { .. }
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

    /// Lets the phase's timer fire, which is due at `now`.
    pub(super) fn timer_fired(&mut self, now: Moment, phase: Phase) -> Phase {
        match phase {
            Phase::Exited { remains: None, .. }
            | Phase::Backoff { remains: None, .. }
            | Phase::Fatal { remains: None, .. } => self.wait_or_start(now, phase),
            Phase::Exited { remains: Some(_), .. }
            | Phase::Fatal { remains: Some(_), .. }
            | Phase::Backoff { remains: Some(_), .. }
            | Phase::Stopping { .. } => self.escalate(now, phase),
            Phase::Ending { hook, config, pid, until: _, then } => self.ending_timed_out(hook, config, pid, then),
            Phase::Starting { run, startup } => self.startup_timer_fired(now, run, startup),
            Phase::Running { ref run, .. } | Phase::Unhealthy { ref run, .. } if is_due(run.probes_timer(), now) => {
                self.probe(now, phase)
            }
            Phase::Running { mut run, checks } if run.watchdog_is_due(now) => {
                self.watchdog_fired(now, &mut run);
                Phase::Running { run, checks }
            }
            Phase::Unhealthy { mut run, checks, fault } if run.watchdog_is_due(now) => {
                self.watchdog_fired(now, &mut run);
                Phase::Unhealthy { run, checks, fault }
            }
            Phase::Running { run, checks: Some(mut checks) } => {
                let action = checks.poll(&run.config.healthcheck, now);
                self.perform_check_action(now, Phase::Running { run, checks: Some(checks) }, &action)
            }
            Phase::Unhealthy { run, checks: Some(mut checks), fault } => {
                let action = checks.poll(&run.config.healthcheck, now);
                self.perform_check_action(now, Phase::Unhealthy { run, checks: Some(checks), fault }, &action)
            }
            Phase::Stopped
            | Phase::Waiting { .. }
            | Phase::PreStart { .. }
            | Phase::Up { .. }
            | Phase::Spawning { .. }
            | Phase::Running { checks: None, .. }
            | Phase::Unhealthy { checks: None, .. } => phase,
        }
    }

    /// The last request, and who is behind what the machine does by itself to fulfil it.
    pub(super) fn last_asked(&self) -> (Verb, Initiator) {
        match self.last_request.as_deref() {
            Some((verb, by, _)) => (*verb, by.clone()),
            None => (Verb::Start, Initiator::Autostart),
        }
    }

    /// The next step for what is still there: another stop signal, at last SIGKILL.
    fn escalate(&mut self, now: Moment, phase: Phase) -> Phase {
        let is_stopping = phase.state() == ProcessState::Stopping;
        self.with_remains(phase, |machine, leader, group| match group.progress {
            StopProgress::Unsignalled => machine.kill(now, leader, group, KillWhy::Remains),
            StopProgress::Commanding { .. } | StopProgress::Stopping { .. } if is_due(group.kill_by, now) => {
                machine.stop_timed_out(now, leader, group)
            }
            StopProgress::Commanding { since, .. } => machine.command_hangs(now, leader, group, since),
            StopProgress::Commanded { since, .. } => {
                let seconds = whole_seconds(now, since);
                machine.terminate(now, leader, group, KillWhy::OutlivedCommand { seconds })
            }
            StopProgress::Stopping { step, .. } => {
                let why = if is_stopping { group.run.why_next(step) } else { KillWhy::Remains };
                machine.begin_step(now, leader, group, step + 1, why)
            }
            StopProgress::Killing { .. } => machine.kill(now, leader, group, KillWhy::Again),
        })
    }

    pub(super) fn perform_check_action(&mut self, now: Moment, phase: Phase, action: &CheckAction) -> Phase {
        match action {
            CheckAction::Nothing => phase,
            CheckAction::Check => {
                self.actions.push_back(Action::CheckHealth { generation: self.generation });
                phase
            }
            CheckAction::GiveUp => self.health_reported(now, phase, false, "the check gave no answer"),
        }
    }

    /// Does something to the group that is on its way out, where there is one.
    fn with_remains(&mut self, phase: Phase, act: impl FnOnce(&mut Self, LeaderState, Group) -> Group) -> Phase {
        match phase {
            Phase::Exited { restart_at, remains: Some(Remains::Group(group)) } => {
                let remains = Some(Remains::Group(act(self, LeaderState::Gone, group)));
                Phase::Exited { restart_at, remains }
            }
            Phase::Fatal { failure, after, retry_at, remains: Some(Remains::Group(group)) } => {
                let remains = Some(Remains::Group(act(self, LeaderState::Gone, group)));
                Phase::Fatal { failure, after, retry_at, remains }
            }
            Phase::Backoff { retry, remains: Some(Remains::Group(group)) } => {
                let remains = Some(Remains::Group(act(self, LeaderState::Gone, group)));
                Phase::Backoff { retry, remains }
            }
            Phase::Stopping { leader, group, then } => {
                Phase::Stopping { leader, group: act(self, leader, group), then }
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
            | Phase::Unhealthy { .. } => phase,
        }
    }
}

pub(super) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
