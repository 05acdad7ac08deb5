//! What operators ask for. The last command wins.

use super::super::moment::Moment;
use super::super::state::ProcessState;
use super::phase::{Group, Hunt, Leader, Phase, Run, Then, after};
use super::vocabulary::{Action, Desired};
use super::{KILL_AGAIN, Machine, Tally};

const SIGKILL: u8 = 9;

impl Machine {
    pub(super) fn start_requested(&mut self, now: Moment, phase: Phase) -> Phase {
        self.desired = Desired::Up;
        self.tally = Tally::default();
        self.go_up(now, phase, false, "start requested")
    }

    pub(super) fn stop_requested(&mut self, now: Moment, phase: Phase, force: bool) -> Phase {
        self.desired = Desired::Down;
        let cause = if force { "kill requested" } else { "stop requested" };
        let from = phase.state();
        match phase {
            // How it ended is worth more than that it was stopped afterwards.
            Phase::Stopped | Phase::Fatal { remains: None, .. } | Phase::Exited { restart_at: None, remains: None } => {
                phase
            }
            Phase::Exited { restart_at: Some(_), remains: None } | Phase::Backoff { remains: None, .. } => {
                self.enter(from, Phase::Stopped, None, cause)
            }
            Phase::Exited { remains: Some(group), .. }
            | Phase::Fatal { remains: Some(group), .. }
            | Phase::Backoff { remains: Some(group), .. } => self.clear_away(now, from, group, force, cause),
            // The answer comes in the same turn, and the stop follows it.
            Phase::Spawning { kill } => Phase::Spawning { kill: kill || force },
            Phase::Starting { run, .. } | Phase::Running { run, .. } | Phase::Unhealthy { run, .. } => {
                self.stop(now, from, run, force, Then::AsDesired, cause)
            }
            Phase::Stopping { leader, group, then: _ } => {
                let group = self.press(now, group, force);
                Phase::Stopping { leader, group, then: Then::AsDesired }
            }
        }
    }

    pub(super) fn restart_requested(&mut self, now: Moment, phase: Phase, force: bool) -> Phase {
        self.desired = Desired::Up;
        self.tally = Tally::default();
        let cause = "restart requested";
        let from = phase.state();
        match phase {
            Phase::Starting { run, .. } | Phase::Running { run, .. } | Phase::Unhealthy { run, .. } => {
                self.stop(now, from, run, force, Then::AsDesired, cause)
            }
            Phase::Stopped
            | Phase::Exited { .. }
            | Phase::Fatal { .. }
            | Phase::Backoff { .. }
            | Phase::Spawning { .. }
            | Phase::Stopping { .. } => self.go_up(now, phase, force, cause),
        }
    }

    /// Starts what is down, at once or when the group of the run before has gone.
    fn go_up(&mut self, now: Moment, phase: Phase, force: bool, cause: &str) -> Phase {
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
            Phase::Starting { .. } | Phase::Running { .. } | Phase::Unhealthy { .. } => phase,
            Phase::Stopping { leader, group, then: _ } => {
                let group = self.press(now, group, force);
                Phase::Stopping { leader, group, then: Then::AsDesired }
            }
        }
    }

    /// `STOPPING` of a run whose leader lives; `force`: by SIGKILL.
    pub(super) fn stop(
        &mut self,
        now: Moment,
        from: ProcessState,
        run: Run,
        force: bool,
        then: Then,
        cause: &str,
    ) -> Phase {
        let pid = run.pid;
        let group = Group { run, hunt: Hunt::Unseen };
        self.announce(from, ProcessState::Stopping, Some(pid), cause);
        let group = if force { self.kill(now, group) } else { self.tell(now, group) };
        Phase::Stopping { leader: Leader::Alive, group, then }
    }

    /// `STOPPING` of what a leader has left behind, so that an operator's wish is done after it.
    pub(super) fn clear_away(
        &mut self,
        now: Moment,
        from: ProcessState,
        group: Group,
        force: bool,
        cause: &str,
    ) -> Phase {
        let cause = format!("{cause}; waits for what pid {} left of its process group", group.run.pid);
        self.announce(from, ProcessState::Stopping, None, &cause);
        let group = self.press(now, group, force);
        Phase::Stopping { leader: Leader::Gone, group, then: Then::AsDesired }
    }

    /// Sees to it that the group has been sent its stop signal at least, or SIGKILL by `force`.
    fn press(&mut self, now: Moment, group: Group, force: bool) -> Group {
        match group.hunt {
            Hunt::Killed { .. } => group,
            Hunt::Unseen | Hunt::Told { .. } if force => self.kill(now, group),
            Hunt::Unseen => self.tell(now, group),
            Hunt::Told { .. } => group,
        }
    }

    /// Sends the stop signal; SIGKILL follows after `stopwaitsecs`.
    pub(super) fn tell(&mut self, now: Moment, group: Group) -> Group {
        let signal = group.run.stop_signal();
        if signal == SIGKILL {
            return self.kill(now, group);
        }
        self.signal(signal);
        let kill_at = after(now, group.run.config.stopwaitsecs);
        Group { hunt: Hunt::Told { kill_at }, ..group }
    }

    /// Sends SIGKILL, and again after a while if something is still there then.
    pub(super) fn kill(&mut self, now: Moment, group: Group) -> Group {
        self.signal(SIGKILL);
        Group { hunt: Hunt::Killed { again_at: now.checked_add(KILL_AGAIN) }, ..group }
    }

    fn signal(&mut self, signal: u8) {
        self.actions.push_back(Action::SignalGroup { generation: self.generation, signal });
    }
}
