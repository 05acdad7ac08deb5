//! Programs that tell of themselves on `$NOTIFY_SOCKET`: when they are ready, and again and again that they are alive;
//! or too late, or not at all, or by somebody else.

use super::super::{Millis, SECOND};
use super::{FakeSystem, Pending};
use crate::api::ProcId;
use crate::core::effect::Input;
use crate::models::{ProgramConfig, Readiness};
use crate::process::{Generation, Notification, WatchdogReport};

impl FakeSystem {
    /// What a program will say that has just been spawned.
    pub(super) fn notify(&mut self, id: ProcId, generation: Generation, config: &ProgramConfig) {
        if config.ready == Readiness::Notify && (self.calm || self.random.chance(90)) {
            let pause = self.random.pick(&[0, 1, 500, SECOND, 4 * SECOND]);
            let pause = if self.calm { pause.min(500) } else { pause };
            let main_pid = self.random.chance(20).then_some(Ok(98));
            let message = Box::new(Notification {
                ready: true,
                status: Some("serving".into()),
                main_pid,
                ..Notification::default()
            });
            self.later(pause, Pending::Notified { id, generation, message });
        }
        if config.watchdog > 0 {
            self.say_alive(id, generation, config.watchdog);
        }
    }

    /// The next message to its watchdog, at least as often as libsystemd's manual asks for.
    fn say_alive(&mut self, id: ProcId, generation: Generation, watchdog: u32) {
        let half = Millis::from(watchdog) * SECOND / 2;
        let late = self.random.chance(4) && !self.calm;
        let pause = if late { self.random.below(6 * half) } else { 1 + self.random.below(half) };
        let trigger = self.random.chance(1) && !self.calm;
        let report = if trigger { WatchdogReport::Trigger } else { WatchdogReport::Alive };
        let message = Box::new(Notification { watchdog: Some(report), ..Notification::default() });
        self.later(pause, Pending::Notified { id, generation, message });
    }

    /// A message is on its way, if its sender still lives; the next one will be.
    pub(in super::super) fn notified(
        &mut self,
        id: ProcId,
        generation: Generation,
        message: Box<Notification>,
    ) -> Option<Input> {
        // One that has put itself into the background has no leader for a while.
        let run = self.runs.get(&id).filter(|run| run.generation == generation)?;
        let pid = run.pid;
        let config = self.oracle.procs.get(&id)?.run_config.clone()?;
        if message.watchdog.is_some() {
            self.say_alive(id, generation, config.watchdog);
        }
        let is_main = self.calm || self.random.chance(98);
        let is_taken = is_main || config.notify_access == crate::models::NotifyAccess::Run;
        if is_taken && message.watchdog == Some(WatchdogReport::Alive) {
            self.oracle.alive(id);
        }
        Some(Input::Notified { id, generation, pid, is_main, message })
    }

    pub(super) fn read_notifications(&mut self, id: ProcId, generation: Generation) {
        if self.calm || !self.random.chance(self.profile.unanswered) {
            let pause = self.random.pick(&[0, 0, 0, 1, 40]);
            self.later(pause, Pending::NotificationsRead { id, generation });
        }
    }
}
