//! What operators ask for. The last command wins.

use super::super::cause::{Cause, Verb};
use super::super::initiator::Initiator;
use super::super::moment::Moment;
use super::super::state::ProcessState;
use super::action::{Action, Desired, KillWhy, SignalTarget};
use super::due::{Due, after};
use super::phase::{Group, Leader, Phase, Run, StopStage, Then};
use super::{KILL_AGAIN, Machine, Tally};

const SIGKILL: u8 = 9;

/// How a run is stopped, and what follows.
pub(super) struct StopOrder {
    /// By SIGKILL at once.
    pub(super) force: bool,
    pub(super) then: Then,
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
        self.tally = Tally::default();
        let cause = self.note_request(now, Verb::Start, by);
        self.go_up(now, phase, false, cause)
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
            Phase::Stopped | Phase::Fatal { remains: None, .. } | Phase::Exited { restart_at: None, remains: None } => {
                phase
            }
            Phase::Exited { restart_at: Some(_), remains: None }
            | Phase::Backoff { remains: None, .. }
            | Phase::Waiting => self.enter(from, Phase::Stopped, None, cause),
            Phase::Exited { remains: Some(group), .. }
            | Phase::Fatal { remains: Some(group), .. }
            | Phase::Backoff { remains: Some(group), .. } => self.clear_away(now, from, group, force, cause),
            // The answer comes in the same turn, and the stop follows it.
            Phase::Spawning { kill } => Phase::Spawning { kill: kill || force },
            Phase::Starting { run, .. } | Phase::Running { run, .. } | Phase::Unhealthy { run, .. } => {
                let order = StopOrder { force, then: Then::AsDesired, why: KillWhy::Requested };
                self.stop(now, from, run, order, cause)
            }
            Phase::Stopping { leader, group, then: _ } => {
                let group = self.press(now, leader, group, force);
                Phase::Stopping { leader, group, then: Then::AsDesired }
            }
        }
    }

    pub(super) fn restart_requested(&mut self, now: Moment, phase: Phase, force: bool, by: Initiator) -> Phase {
        self.desired = Desired::Up;
        self.tally = Tally::default();
        let cause = self.note_request(now, Verb::Restart, by);
        let from = phase.state();
        match phase {
            Phase::Starting { run, .. } | Phase::Running { run, .. } | Phase::Unhealthy { run, .. } => {
                let order = StopOrder { force, then: Then::AsDesired, why: KillWhy::Requested };
                self.stop(now, from, run, order, cause)
            }
            Phase::Stopped
            | Phase::Exited { .. }
            | Phase::Fatal { .. }
            | Phase::Backoff { .. }
            | Phase::Waiting
            | Phase::Spawning { .. }
            | Phase::Stopping { .. } => self.go_up(now, phase, force, cause),
        }
    }

    /// Starts what is down: at once, or when the group of the run before is empty.
    fn go_up(&mut self, now: Moment, phase: Phase, force: bool, cause: Cause) -> Phase {
        let from = phase.state();
        match phase {
            Phase::Stopped
            | Phase::Exited { remains: None, .. }
            | Phase::Fatal { remains: None, .. }
            | Phase::Backoff { remains: None, .. } => self.start(from, cause),
            Phase::Exited { remains: Some(group), .. }
            | Phase::Fatal { remains: Some(group), .. }
            | Phase::Backoff { remains: Some(group), .. } => self.clear_away(now, from, group, force, cause),
            Phase::Spawning { kill: _ } => Phase::Spawning { kill: false },
            Phase::Waiting | Phase::Starting { .. } | Phase::Running { .. } | Phase::Unhealthy { .. } => phase,
            Phase::Stopping { leader, group, then: _ } => {
                let group = self.press(now, leader, group, force);
                Phase::Stopping { leader, group, then: Then::AsDesired }
            }
        }
    }

    /// `STOPPING` of a run whose leader lives.
    pub(super) fn stop(&mut self, now: Moment, from: ProcessState, run: Run, order: StopOrder, cause: Cause) -> Phase {
        let StopOrder { force, then, why } = order;
        let pid = run.pid;
        let group = Group { run, stage: StopStage::Unsignalled };
        self.announce(from, ProcessState::Stopping, Some(pid), cause);
        let leader = Leader::Alive;
        let group = if force { self.kill(now, leader, group, why) } else { self.terminate(now, leader, group, why) };
        Phase::Stopping { leader, group, then }
    }

    /// `STOPPING` of what a leader has left behind; what an operator asked for is done after that.
    pub(super) fn clear_away(
        &mut self,
        now: Moment,
        from: ProcessState,
        group: Group,
        force: bool,
        cause: Cause,
    ) -> Phase {
        self.announce(from, ProcessState::Stopping, None, cause.waiting_for(group.run.pid));
        let leader = Leader::Gone;
        let group = self.press(now, leader, group, force);
        Phase::Stopping { leader, group, then: Then::AsDesired }
    }

    /// Sends the group its stop signal if it has not had it yet; with `force` SIGKILL.
    fn press(&mut self, now: Moment, leader: Leader, group: Group, force: bool) -> Group {
        match group.stage {
            StopStage::Killing { .. } => group,
            StopStage::Unsignalled | StopStage::Stopping { .. } if force => {
                self.kill(now, leader, group, KillWhy::Requested)
            }
            StopStage::Unsignalled => self.terminate(now, leader, group, KillWhy::Requested),
            StopStage::Stopping { .. } => group,
        }
    }

    /// Sends the stop signal; SIGKILL follows after `stopwaitsecs`, or after all steps of the stop.
    pub(super) fn terminate(&mut self, now: Moment, leader: Leader, group: Group, why: KillWhy) -> Group {
        self.begin_step(now, leader, group, 0, why)
    }

    /// Sends the signal of a step of the stop: SIGKILL behind the last one.
    pub(super) fn begin_step(&mut self, now: Moment, leader: Leader, group: Group, step: usize, why: KillWhy) -> Group {
        let Some(next) = group.run.stop_step(step).filter(|next| next.signal != SIGKILL) else {
            return self.kill(now, leader, group, why);
        };
        let target = leader.target(group.run.config.stopasgroup);
        self.signal(next.signal, target, why);
        let over_at = after(now, next.wait(&group.run.config));
        Group { stage: StopStage::Stopping { target, step, over_at }, ..group }
    }

    /// Sends the signal of the present step to the whole group, of which the leader alone was told so far.
    pub(super) fn tell_rest(&mut self, group: Group, step: usize, over_at: Due) -> Group {
        let target = SignalTarget::Group;
        if let Some(present) = group.run.stop_step(step) {
            self.signal(present.signal, target, KillWhy::Remains);
        }
        Group { stage: StopStage::Stopping { target, step, over_at }, ..group }
    }

    /// Sends SIGKILL, and again after a while if something is still there then.
    pub(super) fn kill(&mut self, now: Moment, leader: Leader, group: Group, why: KillWhy) -> Group {
        let target = leader.target(group.run.config.killasgroup);
        self.signal(SIGKILL, target, why);
        Group { stage: StopStage::Killing { target, again_at: now.checked_add(KILL_AGAIN) }, ..group }
    }

    fn signal(&mut self, signal: u8, target: SignalTarget, why: KillWhy) {
        let resume = signal != SIGKILL;
        self.actions.push_back(Action::Signal { generation: self.generation, signal, target, resume, why });
    }
}
