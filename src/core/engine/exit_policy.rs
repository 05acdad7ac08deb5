//! The end that programs decide about: `exit_on`, `on_fatal = exit`, `exit_code` and `exit_when_idle`.
//!
//! A container ends when its main program does, with a code that tells the truth. What somebody has asked for (a stop,
//! a restart, a removal by a reload, SIGTERM to the daemon) is no such end.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::timers::TimerKey;
use super::{Engine, Entry};
use crate::api::{Announcement, ExitDecision, ExitReason, ExitSetting, ProcId, ShutdownProgress};
use crate::models::{ExitCode, ExitOn, FatalAction};
use crate::process::{Exit, ProcessState, SpawnError, SpawnStage};

const FAILURE: u8 = 1;
/// As a shell says it.
const NOT_EXECUTABLE: u8 = 126;
const NOT_FOUND: u8 = 127;
const BY_SIGNAL: u8 = 128;
const ENOENT: i32 = 2;

/// What has been found out so far.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct ExitPolicy {
    decision: Option<ExitDecision>,
    /// The program whose last line of output the reason waits for.
    awaited_output: Option<ProcId>,
}

impl Engine {
    /// Why the daemon ends by itself; `None`: it was told to.
    pub(crate) fn exit_decision(&self) -> Option<&ExitDecision> {
        self.exit_policy.decision.as_ref()
    }

    /// A subscriber: is the end of this process the end of everything?
    pub(super) fn watch_exits(&mut self, id: Option<ProcId>, announcement: &Announcement) {
        let (Some(id), Announcement::Transition { transition, .. }) = (id, announcement) else { return };
        if self.is_ending() || self.exit_policy.decision.is_some() {
            return;
        }
        let Some(entry) = self.registry.get(id).filter(|entry| !entry.leaving) else { return };
        let failed = match transition.to {
            ProcessState::Exited => !succeeded(entry),
            ProcessState::Fatal => true,
            ProcessState::Stopped
            | ProcessState::Starting
            | ProcessState::Running
            | ProcessState::Backoff
            | ProcessState::Stopping
            | ProcessState::Unhealthy => return,
        };
        let exit_on = entry.config().exit_on;
        let by_exit_on = match exit_on {
            ExitOn::Never => false,
            ExitOn::Failure => failed,
            ExitOn::Exit => true,
            ExitOn::Fatal => transition.to == ProcessState::Fatal,
        };
        let by_on_fatal = transition.to == ProcessState::Fatal
            && entry.config().restart.on_fatal == FatalAction::Exit
            && entry.machine.acts_on_fatal();
        let setting = match (by_exit_on, by_on_fatal) {
            (true, _) => ExitSetting::ExitOn(exit_on),
            (false, true) => ExitSetting::OnFatal,
            (false, false) => return,
        };
        let (name, state, cause) = (entry.name().to_owned(), transition.to, transition.cause.clone());
        let reason = ExitReason::Program { name, state, setting, cause };
        let code = code_of(entry, transition.to);
        self.exit_policy.decision = Some(ExitDecision { code, reason, last_words: None });
        self.exit_policy.awaited_output = Some(id);
        self.timers.set(TimerKey::ExitPolicy, Some(self.now));
    }

    /// A process may have gone down for good.
    pub(super) fn note_settled(&mut self, id: ProcId) {
        if self.is_ending() {
            return self.note_run_over(id);
        }
        if self.settings.exit_when_idle
            && self.registry.get(id).is_some_and(|entry| entry.is_settled_down() || entry.machine.is_up())
        {
            // At the end of all that follows from this moment: others are about to be started.
            self.timers.set(TimerKey::ExitPolicy, Some(self.now));
        }
    }

    /// The last line of a program has come, or will not come any more.
    pub(super) fn last_line_received(&mut self, id: ProcId) {
        if self.exit_policy.awaited_output == Some(id) && !self.is_ending() {
            self.timers.set(TimerKey::ExitPolicy, Some(self.now));
        }
    }

    /// Begins the shutdown if a program's end asks for it.
    pub(super) fn evaluate_exit(&mut self) {
        if self.is_ending() {
            return;
        }
        if self.exit_policy.decision.is_none() {
            self.exit_policy.decision = self.evaluate_idleness();
        }
        // Its last line is on its way, for a tenth of a second at most.
        let awaited_output = self.exit_policy.awaited_output.and_then(|id| self.registry.get(id));
        if awaited_output.is_some_and(|entry| entry.draining) {
            return;
        }
        let line = awaited_output.and_then(|entry| entry.last_words.as_deref().cloned());
        let Some(decision) = &mut self.exit_policy.decision else { return };
        if let Some(line) = line.filter(|line| !line.is_empty() && decision.code != 0) {
            decision.last_words = Some(line);
        }
        let decision = Arc::new(decision.clone());
        self.announce(None, Announcement::Shutdown(ShutdownProgress::ExitDecided(decision)));
        self.terminate();
    }

    /// `exit_when_idle`: has everything that was started ended by itself, for good?
    fn evaluate_idleness(&self) -> Option<ExitDecision> {
        // Who has a schedule has not ended for good.
        if !self.settings.exit_when_idle || self.has_schedules() {
            return None;
        }
        let mut ended = 0usize;
        let mut failed = None;
        for (_, entry) in self.registry.present() {
            let state = entry.machine.state();
            match state {
                // Never started: nothing to wait for.
                ProcessState::Stopped if entry.machine.generation() == 0 => continue,
                // Somebody has stopped it and may start it again; the others have not ended.
                ProcessState::Stopped
                | ProcessState::Starting
                | ProcessState::Running
                | ProcessState::Backoff
                | ProcessState::Stopping
                | ProcessState::Unhealthy => return None,
                ProcessState::Exited if entry.machine.is_up() => ended += 1,
                ProcessState::Exited | ProcessState::Fatal if !entry.is_settled_down() => return None,
                ProcessState::Exited | ProcessState::Fatal => ended += 1,
            }
            if failed.is_none() && !(state == ProcessState::Exited && succeeded(entry)) {
                failed = Some((entry, state));
            }
        }
        match failed {
            None if ended == 0 => None,
            None => Some(ExitDecision { code: 0, reason: ExitReason::AllEnded, last_words: None }),
            Some((entry, state)) => {
                let exit = entry.machine.last_run().map(|run| run.exit);
                let error = entry.machine.spawn_error().cloned();
                let reason = ExitReason::AllEndedButFailed { name: entry.name().to_owned(), state, exit, error };
                Some(ExitDecision { code: code_of(entry, state).max(FAILURE), reason, last_words: None })
            }
        }
    }
}

/// Whether the last run has ended as it should.
fn succeeded(entry: &Entry) -> bool {
    let exit = entry.machine.last_run().map(|run| run.exit);
    matches!(exit, Some(Exit::Code(code)) if entry.config().exitcodes.contains(&code))
}

/// What the daemon exits with when this process has ended in this state.
fn code_of(entry: &Entry, state: ProcessState) -> u8 {
    let own = match (entry.machine.spawn_error(), entry.machine.last_run()) {
        (Some(error), _) => code_of_spawn(error),
        (None, Some(run)) => match run.exit {
            Exit::Code(code) => code,
            Exit::Signal(signal) => BY_SIGNAL.saturating_add(signal),
        },
        (None, None) => FAILURE,
    };
    let code = match entry.config().exit_code {
        ExitCode::Program => own,
        ExitCode::Fixed(code) => code,
    };
    // A program that could not be kept running is no success, whatever its last run said.
    if state == ProcessState::Fatal { code.max(FAILURE) } else { code }
}

fn code_of_spawn(error: &SpawnError) -> u8 {
    match (error.stage, error.errno) {
        (SpawnStage::Exec, ENOENT) | (SpawnStage::Interpreter, _) => NOT_FOUND,
        (SpawnStage::Exec, _) => NOT_EXECUTABLE,
        (
            SpawnStage::Prepare
            | SpawnStage::Pipe
            | SpawnStage::Fork
            | SpawnStage::Session
            | SpawnStage::Stdio
            | SpawnStage::Terminal
            | SpawnStage::Limits
            | SpawnStage::OomScore
            | SpawnStage::Nice
            | SpawnStage::IoPriority
            | SpawnStage::Affinity
            | SpawnStage::Scheduler
            | SpawnStage::Chroot
            | SpawnStage::Capabilities
            | SpawnStage::NoNewPrivs
            | SpawnStage::Credentials
            | SpawnStage::Groups
            | SpawnStage::ParentDeath
            | SpawnStage::Directory
            | SpawnStage::Stdin,
            _,
        ) => FAILURE,
    }
}
