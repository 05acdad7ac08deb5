//! What a run tells of itself on `$NOTIFY_SOCKET`.

use std::time::Duration;

use super::super::main_process::NoMain;
use super::super::moment::Moment;
use super::super::notification::{Notification, NotifyState};
use super::super::readiness::ReadyReport;
use super::super::state::ProcessState;
use super::Machine;
use super::action::Action;
use super::due::Due;
use super::phase::{Phase, StopProgress};
use crate::models::Readiness;

/// By how much one message puts off a limit at most: one that says a number without meaning, or "for ever", would take
/// the limit away. A program that needs longer says so again.
const MAX_EXTENSION: Duration = Duration::from_secs(24 * 3600);

impl Machine {
    /// A process of the run has sent a message.
    pub(super) fn notified(&mut self, now: Moment, mut phase: Phase, message: &Notification) -> Phase {
        let Some(run) = phase.run_mut() else { return phase };
        let started = run.started;
        run.notify_state.get_or_insert_default().update(now, started, message);
        let tells_ready = message.ready && run.config.ready == Readiness::Notify;
        if let Some(duration) = message.extend {
            extend(&mut phase, now, duration);
        }
        if let Some(report) = message.watchdog {
            phase = self.watchdog_reported(now, phase, report);
        }
        if let Some(Ok(pid)) = message.main_pid {
            self.name_main(&phase, pid);
        }
        if tells_ready {
            phase = self.ready_reported(now, phase, ReadyReport::Ready);
        }
        phase
    }

    /// It names its main process.
    fn name_main(&mut self, phase: &Phase, pid: i32) {
        let is_known = phase.live_run().is_some_and(|run| run.pid == pid);
        if !is_known
            && matches!(phase.state(), ProcessState::Starting | ProcessState::Running | ProcessState::Unhealthy)
        {
            self.actions.push_back(Action::HandOver { generation: self.generation, pid });
        }
    }

    /// A process of the run has sent a message that is not taken.
    pub(super) fn notify_refused(&mut self, mut phase: Phase, pid: i32) -> Phase {
        if let Some(run) = phase.run_mut()
            && run.notify_state.get_or_insert_default().refuse(pid)
        {
            self.actions.push_back(Action::NoteRefused { pid });
        }
        phase
    }

    /// The process that the run has named as its main one is not taken for that; `true` where this was not told before.
    pub fn refuse_main(&mut self, found: NoMain) -> bool {
        self.phase.run_mut().is_some_and(|run| run.notify_state.get_or_insert_default().refuse_main(found))
    }

    /// What the present run has reported about itself, or else the last one.
    pub fn notify_state(&self) -> Option<&NotifyState> {
        match self.phase.run() {
            Some(run) => run.notify_state.as_deref(),
            None => self.last_run.as_ref()?.notify_state.as_deref(),
        }
    }
}

/// A start or a stop takes longer: its limit is so long from now, unless it was later before.
fn extend(phase: &mut Phase, now: Moment, duration: Duration) {
    let until = now + duration.min(MAX_EXTENSION);
    match phase {
        Phase::Starting { startup, .. } => startup.extend(until),
        Phase::Stopping { group, .. } => {
            let extended = |at: &mut Due| *at = at.map(|at| at.max(until));
            extended(&mut group.kill_by);
            match &mut group.progress {
                StopProgress::Stopping { over_at, .. } => extended(over_at),
                StopProgress::Unsignalled
                | StopProgress::Commanding { .. }
                | StopProgress::Commanded { .. }
                | StopProgress::Killing { .. } => {}
            }
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
        | Phase::Running { .. }
        | Phase::Unhealthy { .. } => {}
    }
}
