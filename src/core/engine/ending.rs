//! The end that programs decide about: `exit_on`, `exit_code` and `exit_when_idle`.
//!
//! A container ends when its main program does, with a code that tells the truth. What somebody has asked for (a
//! stop, a restart, a removal by a reload, SIGTERM to the daemon) is no such end.

use super::super::world::{ProcId, World};
use super::{Engine, Entry};
use crate::models::{ExitCode, ExitOn};
use crate::process::Moment;
use crate::process::{Exit, ProcessState, SpawnError, SpawnStage, Transition};

const FAILURE: u8 = 1;
/// As a shell says it.
const NOT_EXECUTABLE: u8 = 126;
const NOT_FOUND: u8 = 127;
const BY_SIGNAL: u8 = 128;
const ENOENT: i32 = 2;

/// Why the daemon ends by itself, and with which code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// What the daemon exits with.
    pub code: u8,
    /// Which program's end it was and how that came, in one line.
    pub reason: String,
}

/// What has been found out so far.
#[derive(Debug, Default)]
pub(super) struct Ending {
    verdict: Option<Verdict>,
    /// The program whose last line of output the reason waits for.
    last_words: Option<ProcId>,
    /// A process has gone down for good: are they all?
    look: bool,
}

impl Engine {
    /// Why the daemon ends by itself; `None`: it was told to.
    pub(crate) fn verdict(&self) -> Option<&Verdict> {
        self.ending.verdict.as_ref()
    }

    /// A process has changed its state: is that the end of everything?
    pub(super) fn weigh(&mut self, id: ProcId, transition: &Transition) {
        if self.is_ending() || self.ending.verdict.is_some() {
            return;
        }
        let Some(entry) = self.entries.get(&id).filter(|entry| !entry.leaving) else { return };
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
        let (ends, word) = match entry.config().exit_on {
            ExitOn::Never => return,
            ExitOn::Failure => (failed, "failure"),
            ExitOn::Exit => (true, "exit"),
            ExitOn::Fatal => (transition.to == ProcessState::Fatal, "fatal"),
        };
        if !ends {
            return;
        }
        let code = code_of(entry, transition.to);
        let reason = format!("{} ({}, exit_on = {word}): {}", entry.name(), transition.to, transition.cause);
        self.ending.verdict = Some(Verdict { code, reason });
        self.ending.last_words = Some(id);
    }

    /// A process may have gone down for good.
    pub(super) fn note_settled(&mut self, id: ProcId) {
        if self.settings.exit_when_idle && self.entries.get(&id).is_some_and(|entry| entry.is_settled_down()) {
            self.ending.look = true;
        }
    }

    /// Begins the shutdown if a program's end asks for it.
    pub(super) fn review_ending(&mut self, now: Moment, world: &mut dyn World) {
        if self.is_ending() {
            return;
        }
        if std::mem::take(&mut self.ending.look) && self.ending.verdict.is_none() {
            self.weigh_idleness();
        }
        // Its last line is on its way, for a tenth of a second at most.
        let speaking = self.ending.last_words.and_then(|id| self.entries.get(&id));
        if speaking.is_some_and(|entry| entry.drain_until.is_some()) {
            return;
        }
        let line = speaking.and_then(|entry| entry.last_line.clone());
        let Some(verdict) = &mut self.ending.verdict else { return };
        if let Some(line) = line.filter(|line| !line.is_empty() && verdict.code != 0) {
            verdict.reason = format!("{}: {line}", verdict.reason);
        }
        log::warn!("{}: ending with exit code {}", verdict.reason, verdict.code);
        self.terminate(now, world);
    }

    /// `exit_when_idle`: has everything that was started ended by itself, for good?
    fn weigh_idleness(&mut self) {
        let mut ended = 0usize;
        let mut failed = None;
        for entry in self.entries.values().filter(|entry| !entry.leaving) {
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
                | ProcessState::Unhealthy => return,
                ProcessState::Exited | ProcessState::Fatal if !entry.is_settled_down() => return,
                ProcessState::Exited | ProcessState::Fatal => ended += 1,
            }
            if failed.is_none() && !(state == ProcessState::Exited && succeeded(entry)) {
                failed = Some((entry, state));
            }
        }
        let verdict = match failed {
            None if ended == 0 => return,
            None => Verdict { code: 0, reason: "all programs have ended (exit_when_idle)".to_owned() },
            Some((entry, state)) => {
                let how = match entry.machine.last_run() {
                    Some(run) if entry.machine.spawn_error().is_none() => run.exit.to_string(),
                    Some(_) | None => entry.machine.spawn_error().map_or_else(String::new, ToString::to_string),
                };
                let name = entry.name();
                let reason = format!("all programs have ended (exit_when_idle), but {name} failed: {state}, {how}");
                Verdict { code: code_of(entry, state).max(FAILURE), reason }
            }
        };
        self.ending.verdict = Some(verdict);
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
        (SpawnStage::Exec, ENOENT) => NOT_FOUND,
        (SpawnStage::Exec, _) => NOT_EXECUTABLE,
        (
            SpawnStage::Prepare
            | SpawnStage::Pipe
            | SpawnStage::Fork
            | SpawnStage::Session
            | SpawnStage::Stdio
            | SpawnStage::Limits
            | SpawnStage::Credentials
            | SpawnStage::ParentDeath
            | SpawnStage::Directory,
            _,
        ) => FAILURE,
    }
}
