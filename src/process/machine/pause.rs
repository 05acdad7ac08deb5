//! Pauses: a run that somebody has stopped in its place, until it is to go on. Nobody asks after its health meanwhile.

use super::super::moment::Moment;
use super::super::signal_target::SignalTarget;
use super::Machine;
use super::action::{Action, KillWhy};
use super::checks::Checks;
use super::phase::{Phase, Run};
use super::watchdog::Watchdog;

const SIGCONT: u8 = 18;
const SIGSTOP: u8 = 19;

impl Machine {
    /// The present run is paused by request.
    pub fn is_paused(&self) -> bool {
        self.phase.live_run().is_some_and(|run| run.is_paused)
    }

    /// Stops what runs in its place: its checks rest, and so does its watchdog.
    pub(super) fn pause(&mut self, phase: Phase) -> Phase {
        match phase {
            Phase::Running { run, checks: _ } if !run.is_paused => {
                Phase::Running { run: self.paused(run), checks: None }
            }
            Phase::Unhealthy { run, checks: _, fault } if !run.is_paused => {
                Phase::Unhealthy { run: self.paused(run), checks: None, fault }
            }
            Phase::Running { .. }
            | Phase::Unhealthy { .. }
            | Phase::Stopped
            | Phase::Exited { .. }
            | Phase::Fatal { .. }
            | Phase::Backoff { .. }
            | Phase::Waiting { .. }
            | Phase::PreStart { .. }
            | Phase::Up { .. }
            | Phase::Ending { .. }
            | Phase::Spawning { .. }
            | Phase::Starting { .. }
            | Phase::Stopping { .. } => phase,
        }
    }

    /// Lets it go on: its checks begin anew, and its watchdog.
    pub(super) fn resume(&mut self, now: Moment, phase: Phase) -> Phase {
        match phase {
            Phase::Running { run, checks: _ } if run.is_paused => {
                let checks = Checks::new(&run.config, now);
                Phase::Running { run: self.resumed(now, run), checks }
            }
            Phase::Unhealthy { run, checks: _, fault } if run.is_paused => {
                let checks = Checks::new(&run.config, now);
                Phase::Unhealthy { run: self.resumed(now, run), checks, fault }
            }
            Phase::Running { .. }
            | Phase::Unhealthy { .. }
            | Phase::Stopped
            | Phase::Exited { .. }
            | Phase::Fatal { .. }
            | Phase::Backoff { .. }
            | Phase::Waiting { .. }
            | Phase::PreStart { .. }
            | Phase::Up { .. }
            | Phase::Ending { .. }
            | Phase::Spawning { .. }
            | Phase::Starting { .. }
            | Phase::Stopping { .. } => phase,
        }
    }

    fn paused(&mut self, mut run: Run) -> Run {
        run.is_paused = true;
        run.watchdog = run.watchdog.filter(|watchdog| watchdog.miss().is_some());
        self.signal_in_place(SIGSTOP);
        run
    }

    fn resumed(&mut self, now: Moment, mut run: Run) -> Run {
        run.is_paused = false;
        run.watchdog = run.watchdog.or_else(|| Watchdog::of(&run.config, now));
        self.signal_in_place(SIGCONT);
        run
    }

    /// What is to end has to run for that: its `stop_command` may ask it something.
    pub(super) fn go_on_to_stop(&mut self, run: &mut Run) {
        if std::mem::take(&mut run.is_paused) {
            self.signal_in_place(SIGCONT);
        }
    }

    fn signal_in_place(&mut self, signal: u8) {
        let (generation, target, why) = (self.generation, SignalTarget::Group, KillWhy::Requested);
        self.actions.push_back(Action::Signal { generation, signal, target, resume: false, why });
    }
}
