//! What operators ask for. The last command wins.

use super::super::cause::{Cause, Tries, Verb};
use super::super::failure::Failure;
use super::super::initiator::Initiator;
use super::super::moment::Moment;
use super::super::signal_target::SignalTarget;
use super::super::state::ProcessState;
use super::action::{Action, Desired, KillWhy};
use super::due::{Due, after, earlier};
use super::phase::{AfterStop, Group, LeaderState, Phase, Remains, Run, StopProgress};
use super::{KILL_AGAIN, Machine, Tally};

const SIGKILL: u8 = 9;

/// How a run is stopped, and what follows.
pub(super) struct StopRequest {
    /// By SIGKILL at once.
    pub(super) force: bool,
    pub(super) then: AfterStop,
    pub(super) why: KillWhy,
}

impl Machine {
    /// Remembers what was asked for, and by whom, and returns it as the cause of what follows at once.
    fn note_request(&mut self, now: Moment, verb: Verb, by: Initiator) -> Cause {
        self.last_request = Some(Box::new((verb, by.clone(), now)));
        Cause::Requested { verb, by, remains_of: None }
    }

    pub(super) fn start_requested(&mut self, now: Moment, phase: Phase, by: Initiator) -> Phase {
        self.desired = Desired::Up;
        let bounds = self.tally.bounds.take().filter(|_| Machine::is_automatic(&by));
        self.tally = Tally { bounds, ..self.tally.begin() };
        let is_down = phase.state().is_down() && !matches!(phase, Phase::Up { .. });
        if is_down && Machine::is_automatic(&by) {
            if let (Some(limit), Some(last)) = (self.exceeds_limit_by(now, &by), &self.last_run) {
                let failure = Failure::Exited { exit: last.exit, age_ms: last.age_ms() };
                return self.exceeded(now, phase, failure, limit);
            }
            self.count_restart_by(now, &by);
        }
        let cause = self.note_request(now, Verb::Start, by);
        self.bring_up(now, phase, false, cause)
    }

    /// A start that nobody has asked for would be one too many.
    fn exceeded(&mut self, now: Moment, phase: Phase, failure: Failure, limit: Tries) -> Phase {
        let from = phase.state();
        let remains = match phase {
            Phase::Exited { remains, .. } | Phase::Fatal { remains, .. } => remains,
            Phase::Stopped
            | Phase::Backoff { .. }
            | Phase::PreStart { .. }
            | Phase::Waiting { .. }
            | Phase::Spawning { .. }
            | Phase::Starting { .. }
            | Phase::Up { .. }
            | Phase::Running { .. }
            | Phase::Unhealthy { .. }
            | Phase::Ending { .. }
            | Phase::Stopping { .. } => None,
        };
        self.give_up(now, from, failure.into(), Some(limit), remains)
    }

    pub(super) fn stop_requested(&mut self, now: Moment, phase: Phase, force: bool, by: Initiator) -> Phase {
        self.desired = Desired::Down;
        let cause = self.note_request(now, if force { Verb::Kill } else { Verb::Stop }, by);
        let from = phase.state();
        match phase {
            // It stays completed only until somebody stops it: whoever needs it has to have it done again.
            Phase::Exited { restart_at: None, remains: None } if self.last_run_completed() => {
                self.enter(from, Phase::Stopped, None, cause)
            }
            // How it ended is worth more than that it was stopped afterwards.
            Phase::Fatal { failure, after, retry_at: _, remains: None } => {
                Phase::Fatal { failure, after, retry_at: None, remains: None }
            }
            Phase::Stopped | Phase::Exited { restart_at: None, remains: None } => phase,
            Phase::Exited { restart_at: Some(_), remains: None } | Phase::Backoff { remains: None, .. } => {
                self.enter(from, Phase::Stopped, None, cause)
            }
            Phase::Exited { remains: Some(remains), .. }
            | Phase::Fatal { remains: Some(remains), .. }
            | Phase::Backoff { remains: Some(remains), .. } => self.stop_remains(now, from, remains, force, cause),
            Phase::PreStart { config } => self.stop_pre_start(config, force, cause),
            Phase::Waiting { prepared } => self.stop_prepared(prepared.as_ref(), cause),
            // The answer comes in the same turn, and the stop follows it.
            Phase::Spawning { kill, prepared } => Phase::Spawning { kill: kill || force, prepared },
            Phase::Up { config } => self.stop_active_oneshot(now, config, force, cause),
            Phase::Starting { run, .. } | Phase::Running { run, .. } | Phase::Unhealthy { run, .. } => {
                let request = StopRequest { force, then: AfterStop::AsDesired, why: KillWhy::Requested };
                self.stop(now, from, run, request, cause)
            }
            Phase::Stopping { leader, group, then: _ } => {
                let group = self.ensure_stop_signal(now, leader, group, force);
                Phase::Stopping { leader, group, then: AfterStop::AsDesired }
            }
            Phase::Ending { hook, config, pid, until, then: _ } => {
                self.kill_hook_if_forced(force);
                Phase::Ending { hook, config, pid, until, then: AfterStop::AsDesired }
            }
        }
    }

    pub(super) fn restart_requested(&mut self, now: Moment, phase: Phase, force: bool, by: Initiator) -> Phase {
        self.desired = Desired::Up;
        if !Machine::is_automatic(&by) {
            self.tally = self.tally.begin();
        }
        let cause = self.note_request(now, Verb::Restart, by);
        let from = phase.state();
        match phase {
            Phase::Starting { run, .. } | Phase::Running { run, .. } | Phase::Unhealthy { run, .. } => {
                let request = StopRequest { force, then: AfterStop::AsDesired, why: KillWhy::Requested };
                self.stop(now, from, run, request, cause)
            }
            Phase::PreStart { config } => self.stop_pre_start(config, force, cause),
            Phase::Waiting { prepared: Some(config) } => self.prepare_again(config, cause),
            Phase::Up { config } => self.stop_active_oneshot(now, config, force, cause),
            Phase::Stopped
            | Phase::Exited { .. }
            | Phase::Fatal { .. }
            | Phase::Backoff { .. }
            | Phase::Waiting { prepared: None }
            | Phase::Spawning { .. }
            | Phase::Stopping { .. }
            | Phase::Ending { .. } => self.bring_up(now, phase, force, cause),
        }
    }

    /// Starts what is down: at once, or when the group of the run before is empty.
    fn bring_up(&mut self, now: Moment, phase: Phase, force: bool, cause: Cause) -> Phase {
        let from = phase.state();
        match phase {
            Phase::Stopped
            | Phase::Exited { remains: None, .. }
            | Phase::Fatal { remains: None, .. }
            | Phase::Backoff { remains: None, .. } => self.start(from, cause),
            Phase::Exited { remains: Some(remains), .. }
            | Phase::Fatal { remains: Some(remains), .. }
            | Phase::Backoff { remains: Some(remains), .. } => self.stop_remains(now, from, remains, force, cause),
            Phase::Spawning { kill: _, prepared } => Phase::Spawning { kill: false, prepared },
            Phase::PreStart { .. }
            | Phase::Waiting { .. }
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Unhealthy { .. }
            | Phase::Up { .. } => phase,
            Phase::Stopping { leader, group, then: _ } => {
                let group = self.ensure_stop_signal(now, leader, group, force);
                Phase::Stopping { leader, group, then: AfterStop::AsDesired }
            }
            Phase::Ending { hook, config, pid, until, then: _ } => {
                self.kill_hook_if_forced(force);
                Phase::Ending { hook, config, pid, until, then: AfterStop::AsDesired }
            }
        }
    }

    /// `STOPPING` of a run.
    pub(super) fn stop(
        &mut self,
        now: Moment,
        from: ProcessState,
        mut run: Run,
        request: StopRequest,
        cause: Cause,
    ) -> Phase {
        let StopRequest { force, then, why } = request;
        self.go_on_to_stop(&mut run);
        let pid = (run.leader == LeaderState::Alive).then_some(run.pid);
        self.announce(from, ProcessState::Stopping, pid, cause);
        self.end_hooks_of(&run, force);
        let leader = run.leader;
        let group = Group::left_by(run);
        // A watchdog wants a core dump, not an orderly end.
        let by_signal = group.run.config.hooks.stop_command.is_empty() || group.run.watchdog_signal().is_some();
        let group = match (force, by_signal) {
            (true, _) => self.kill(now, leader, group, why),
            (false, true) => self.terminate(now, leader, group, why),
            (false, false) => self.begin_stop_by_command(now, group),
        };
        Phase::Stopping { leader, group, then }
    }

    /// `STOPPING` of what a leader has left behind, or of the hook that follows it; what an operator asked for is done after that.
    pub(super) fn stop_remains(
        &mut self,
        now: Moment,
        from: ProcessState,
        remains: Remains,
        force: bool,
        cause: Cause,
    ) -> Phase {
        let group = match remains {
            Remains::Group(group) => group,
            Remains::PostStop { config } => return self.stop_post_stop(from, config, force, cause),
        };
        self.announce(from, ProcessState::Stopping, None, cause.waiting_for(group.run.pid));
        let leader = LeaderState::Gone;
        let group = self.ensure_stop_signal(now, leader, group, force);
        Phase::Stopping { leader, group, then: AfterStop::AsDesired }
    }

    /// Sends the group its stop signal unless it has got it already; with `force`, SIGKILL.
    fn ensure_stop_signal(&mut self, now: Moment, leader: LeaderState, group: Group, force: bool) -> Group {
        match group.progress {
            StopProgress::Killing { .. } => group,
            StopProgress::Unsignalled
            | StopProgress::Commanding { .. }
            | StopProgress::Commanded { .. }
            | StopProgress::Stopping { .. }
                if force =>
            {
                self.cancel_stop_command(&group);
                self.kill(now, leader, group, KillWhy::Requested)
            }
            StopProgress::Unsignalled => self.terminate(now, leader, group, KillWhy::Requested),
            StopProgress::Commanding { .. } | StopProgress::Commanded { .. } | StopProgress::Stopping { .. } => group,
        }
    }

    /// Sends the stop signal; SIGKILL follows after `stopwaitsecs`, or after all steps of the stop.
    pub(super) fn terminate(&mut self, now: Moment, leader: LeaderState, group: Group, why: KillWhy) -> Group {
        self.begin_step(now, leader, group, 0, why)
    }

    /// Sends the signal of a step of the stop: SIGKILL behind the last one.
    pub(super) fn begin_step(
        &mut self,
        now: Moment,
        leader: LeaderState,
        group: Group,
        step: usize,
        why: KillWhy,
    ) -> Group {
        let Some(next) = group.run.stop_step(step).filter(|next| next.signal != SIGKILL) else {
            return self.kill(now, leader, group, why);
        };
        let target = leader.target(group.run.config.stopasgroup);
        self.signal(next.signal, target, why);
        let over_at = earlier(after(now, next.wait(&group.run.config)), group.kill_by);
        let command_runs = group.command_runs();
        Group { progress: StopProgress::Stopping { target, step, over_at, command_runs }, ..group }
    }

    /// Sends the signal of the present step to the whole group: so far only the leader has got it.
    pub(super) fn signal_rest_of_group(&mut self, group: Group, step: usize, over_at: Due) -> Group {
        let target = SignalTarget::Group;
        if let Some(present) = group.run.stop_step(step) {
            self.signal(present.signal, target, KillWhy::Remains);
        }
        let command_runs = group.command_runs();
        Group { progress: StopProgress::Stopping { target, step, over_at, command_runs }, ..group }
    }

    /// Sends SIGKILL, and again after a while if something is still there then.
    pub(super) fn kill(&mut self, now: Moment, leader: LeaderState, group: Group, why: KillWhy) -> Group {
        let target = leader.target(group.run.config.killasgroup);
        self.signal(SIGKILL, target, why);
        Group { progress: StopProgress::Killing { target, again_at: now.checked_add(KILL_AGAIN) }, ..group }
    }

    pub(super) fn signal(&mut self, signal: u8, target: SignalTarget, why: KillWhy) {
        let resume = signal != SIGKILL;
        self.actions.push_back(Action::Signal { generation: self.generation, signal, target, resume, why });
    }
}
