//! What the engine is told when an effect has panicked that owes it a result.

use super::super::effect::{GroupLeft, Input, OwedResult};
use super::Effects;
use crate::health::HealthCheckResult;
use crate::process::{NoMain, SpawnError, SpawnStage};

const MESSAGE: &str = "an internal error of supervice (a panic), please report it";

impl Effects {
    /// The result that is owed all the same: without it the process would stay in its state for ever.
    pub(in crate::core) fn result_after_panic(&self, owed: OwedResult) -> Input {
        match owed {
            OwedResult::Spawn { id, generation } => match self.runs.get(&id).filter(|run| run.generation == generation)
            {
                // The panic came after the spawn: a retry would be a second child.
                Some(run) => {
                    Input::Spawned { id, generation, pid: run.child.pid, pending: run.child.is_late().is_some() }
                }
                None => {
                    let error = SpawnError::other(SpawnStage::Prepare, "", MESSAGE);
                    Input::SpawnFailed { id, generation, error }
                }
            },
            // It is asked again: what may still live must not be taken for gone.
            OwedResult::Group { id, generation } => Input::GroupProbed { id, generation, group: GroupLeft::Lingers },
            OwedResult::Check { id, generation, purpose } => {
                let result = HealthCheckResult { healthy: false, message: MESSAGE.to_owned() };
                Input::Checked { id, generation, purpose, result }
            }
            OwedResult::Task { task } => {
                let error = SpawnError::other(SpawnStage::Prepare, "", MESSAGE);
                Input::TaskSpawnFailed { task, error: Box::new(error) }
            }
            OwedResult::Main { id, generation } => Input::NoMain { id, generation, found: NoMain::NoFile },
            OwedResult::Orphans { signalled } => Input::OrphansCounted { count: 0, signalled },
            OwedResult::Clock { id } => Input::ClockRead { id, clock: None },
            OwedResult::Time { id } => Input::TimeFound { id, clock: None, found: None },
            OwedResult::PendingExecs => Input::PendingExecsProbed { left: true },
        }
    }
}
