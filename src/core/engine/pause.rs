//! `pause` and `resume`.

use super::Engine;
use super::ledger::ReplyToken;
use crate::api::{Refusal, Reply};
use crate::core::effect::Signal;
use crate::process::{self, Cause, Initiator, ProcessState, SignalTarget};

const SIGCONT: u8 = 18;

impl Engine {
    /// Stops a present run in its place.
    pub(super) fn pause(&mut self, token: ReplyToken, name: &str, by: Initiator) {
        let id = match self.registry.find_or_refuse(name) {
            Ok(id) => id,
            Err(refusal) => return self.refuse(token, refusal),
        };
        let Some(entry) = self.registry.get(id) else { return self.refuse(token, Refusal::Internal) };
        let name = name.to_owned();
        match entry.machine.state() {
            ProcessState::Running | ProcessState::Unhealthy => {}
            ProcessState::Stopped
            | ProcessState::Starting
            | ProcessState::Backoff
            | ProcessState::Stopping
            | ProcessState::Exited
            | ProcessState::Fatal => {
                let reached = entry.reached(self.now);
                return self.refuse(token, Refusal::NotRunning { name, reached });
            }
        }
        if !entry.machine.is_paused() {
            self.note(id, Cause::PauseRequested { by });
            self.handle_event(id, process::Event::PauseRequested);
            self.forget_silence(id);
        }
        self.reply(token, Reply::Paused { name });
    }

    /// Lets it go on, whoever has stopped it.
    pub(super) fn resume(&mut self, token: ReplyToken, name: &str, by: Initiator) {
        let id = match self.registry.find_or_refuse(name) {
            Ok(id) => id,
            Err(refusal) => return self.refuse(token, refusal),
        };
        let Some(entry) = self.registry.get(id) else { return self.refuse(token, Refusal::Internal) };
        let name = name.to_owned();
        if entry.machine.pid().is_none() {
            let reached = entry.reached(self.now);
            return self.refuse(token, Refusal::NotRunning { name, reached });
        }
        let (generation, is_paused) = (entry.machine.generation(), entry.machine.is_paused());
        self.note(id, Cause::ResumeRequested { by });
        if is_paused {
            self.handle_event(id, process::Event::ResumeRequested);
            self.count_silence(id);
            // What was to be renewed meanwhile.
            self.review_lifetimes(id);
        } else {
            let signal = Signal { number: SIGCONT, target: SignalTarget::Group, resume: false };
            self.send_signal(id, generation, signal);
        }
        self.reply(token, Reply::Resumed { name });
    }
}
