//! A copy of the engine, written down and read back in the middle of a life: what goes on beside the original has to
//! want the same.

use std::sync::Arc;

use super::super::super::Engine;
use super::{ALL, COPY_TURNS, Sim};
use crate::api::ProcId;
use crate::config::ConfigError;
use crate::core::effect::{Effect, Input, Notice};
use crate::models::ProgramConfig;
use crate::process::ProcessView;

impl Sim {
    /// The state is written down and read back; what comes of it goes on beside the original.
    pub(super) fn write_and_read(&mut self) -> Result<(), String> {
        let write =
            |engine: &Engine| serde_json::to_string(engine).map_err(|error| format!("cannot be written: {error}"));
        let written = write(&self.engine)?;
        let copy: Engine = serde_json::from_str(&written).map_err(|error| format!("cannot be read back: {error}"))?;
        // Once in such a life what is not written is compared as well, which takes four times as long.
        let turns = self.system.oracle.counts.turns;
        let (one, other) = match self.copied_at == Some(turns) {
            true => (format!("{:?}", self.engine), format!("{copy:?}")),
            false => (written, write(&copy)?),
        };
        if one != other {
            return Err(format!("{one}\nis read back as\n{other}"));
        }
        self.copy = Some(copy);
        self.same.clear();
        self.copy_until = turns + COPY_TURNS;
        self.system.oracle.counts.copies += 1;
        Ok(())
    }

    /// Whether the copy wants the same. What it shows has settings of its own, which are compared once.
    pub(super) fn is_same(&mut self, effect: &Effect, other: &Effect) -> bool {
        let (Effect::Show { id, view }, Effect::Show { id: other_id, view: other }) = (effect, other) else {
            return effect == other;
        };
        let is_known = |(one, two): &(Arc<ProgramConfig>, Arc<ProgramConfig>)| {
            Arc::ptr_eq(one, &view.config) && Arc::ptr_eq(two, &other.config)
        };
        if !self.same.iter().any(is_known) {
            if view.config != other.config {
                return false;
            }
            self.same.push((Arc::clone(&view.config), Arc::clone(&other.config)));
        }
        id == other_id && *view == ProcessView { config: Arc::clone(&view.config), ..other.clone() }
    }
}

/// The bit that stands for a process.
pub(super) fn bit(id: ProcId) -> u64 {
    1 << (id % 64)
}

/// The processes that an input is about. What it changes of others is told by the effects: whoever changes is shown.
pub(super) fn touched_by(input: &Input) -> u64 {
    match input {
        Input::Spawned { id, .. }
        | Input::Executed { id, .. }
        | Input::SpawnFailed { id, .. }
        | Input::Exited { id, .. }
        | Input::ConditionSeen { id, .. }
        | Input::PathChanged { id, .. }
        | Input::GroupProbed { id, .. }
        | Input::Checked { id, .. }
        | Input::Readiness { id, .. }
        | Input::Notified { id, .. }
        | Input::NotificationsRead { id, .. }
        | Input::MainFound { id, .. }
        | Input::NoMain { id, .. }
        | Input::CheckMissed { id, .. }
        | Input::MainRefused { id, .. } => bit(*id),
        Input::Notice(Notice::Child)
        | Input::Swept
        | Input::Gone { .. }
        | Input::TaskSpawned { .. }
        | Input::TaskSpawnFailed { .. }
        | Input::TaskExited { .. }
        | Input::PendingExecsProbed { .. }
        | Input::OrphansCounted { .. }
        | Input::UsageSampled { .. }
        | Input::NotifiedByStranger { .. } => 0,
        Input::Notice(Notice::Terminate(_) | Notice::Power(_) | Notice::Reload | Notice::Reopen | Notice::ClockSet)
        | Input::Request { .. }
        | Input::ClockRead { .. }
        | Input::TimeFound { .. }
        | Input::Adoption(_)
        | Input::Output(_)
        | Input::ConfigLoaded { .. } => ALL,
        #[cfg(feature = "attach")]
        Input::RunRead { .. } => ALL,
    }
}

/// The same once more, for the copy.
pub(super) fn duplicate(input: &Input) -> Input {
    match input {
        Input::Notice(notice) => Input::Notice(*notice),
        Input::Request { id, by, request } => Input::Request { id: *id, by: by.clone(), request: request.clone() },
        Input::Gone { id } => Input::Gone { id: *id },
        &Input::Spawned { id, generation, pid, pending } => Input::Spawned { id, generation, pid, pending },
        Input::SpawnFailed { id, generation, error } => {
            Input::SpawnFailed { id: *id, generation: *generation, error: error.clone() }
        }
        Input::Exited { id, generation, exit, late, group, descendant } => Input::Exited {
            id: *id,
            generation: *generation,
            exit: *exit,
            late: late.clone(),
            group: *group,
            descendant: *descendant,
        },
        Input::Swept => Input::Swept,
        #[cfg(feature = "attach")]
        Input::RunRead { request, result } => Input::RunRead { request: *request, result: result.clone() },
        &Input::ConditionSeen { id, generation, condition, is_there } => {
            Input::ConditionSeen { id, generation, condition, is_there }
        }
        Input::UsageSampled { samples } => Input::UsageSampled { samples: samples.clone() },
        Input::PathChanged { id, generation, path } => {
            Input::PathChanged { id: *id, generation: *generation, path: Arc::clone(path) }
        }
        &Input::GroupProbed { id, generation, group } => Input::GroupProbed { id, generation, group },
        Input::Checked { id, generation, purpose, result } => {
            Input::Checked { id: *id, generation: *generation, purpose: *purpose, result: result.clone() }
        }
        &Input::Readiness { id, generation, report } => Input::Readiness { id, generation, report },
        Input::Notified { id, generation, pid, is_main, message } => {
            Input::Notified { id: *id, generation: *generation, pid: *pid, is_main: *is_main, message: message.clone() }
        }
        &Input::NotifiedByStranger { pid, uid, is_gone } => Input::NotifiedByStranger { pid, uid, is_gone },
        Input::CheckMissed { id, generation, error } => {
            Input::CheckMissed { id: *id, generation: *generation, error: error.clone() }
        }
        &Input::NotificationsRead { id, generation } => Input::NotificationsRead { id, generation },
        &Input::MainFound { id, generation, pid } => Input::MainFound { id, generation, pid },
        &Input::NoMain { id, generation, found } => Input::NoMain { id, generation, found },
        &Input::MainRefused { id, generation, found } => Input::MainRefused { id, generation, found },
        &Input::TaskSpawned { task, pid } => Input::TaskSpawned { task, pid },
        Input::TaskSpawnFailed { task, error } => Input::TaskSpawnFailed { task: *task, error: error.clone() },
        &Input::TaskExited { task, exit } => Input::TaskExited { task, exit },
        Input::Adoption(input) => Input::Adoption(input.clone()),
        &Input::OrphansCounted { count, signalled } => Input::OrphansCounted { count, signalled },
        &Input::Executed { id, generation } => Input::Executed { id, generation },
        &Input::PendingExecsProbed { left } => Input::PendingExecsProbed { left },
        &Input::ClockRead { id, clock } => Input::ClockRead { id, clock },
        &Input::TimeFound { id, clock, found } => Input::TimeFound { id, clock, found },
        Input::Output(note) => Input::Output(note.clone()),
        Input::ConfigLoaded { load, result } => {
            let result = match &**result {
                Ok(loaded) => Ok(loaded.clone()),
                Err(error) => Err(ConfigError::NotFound { path: lost_file(error) }),
            };
            Input::ConfigLoaded { load: *load, result: Box::new(result) }
        }
    }
}

/// The file of the one error that the fake system tells of.
fn lost_file(error: &ConfigError) -> std::path::PathBuf {
    match error {
        ConfigError::NotFound { path } | ConfigError::Read { path, .. } => path.clone(),
        ConfigError::Validation(error) => error.to_string().into(),
        ConfigError::Log(error) => error.to_string().into(),
    }
}
