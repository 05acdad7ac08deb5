//! Programs that are restarted, or told to read their configuration again, when files change (`restart_on_change`).

use std::sync::Arc;

use super::Engine;
use crate::api::ProcId;
use crate::core::effect::Effect;
use crate::models::ChangeAction;
use crate::process::{Desired, Generation, Initiator, RestartReason};

impl Engine {
    /// A run has begun: its paths are watched.
    pub(super) fn watch_changes(&mut self, id: ProcId, generation: Generation) {
        let Some(config) = self.registry.get(id).and_then(|entry| entry.machine.run_config()) else { return };
        if !config.restart.on_change.is_empty() {
            self.effects.push_back(Effect::WatchChanges { id, generation, config: Arc::clone(config) });
        }
    }

    /// Its leader has ended.
    pub(super) fn forget_changes(&mut self, id: ProcId, generation: Generation) {
        let config = self.registry.get(id).and_then(|entry| entry.machine.run_config());
        if config.is_some_and(|config| !config.restart.on_change.is_empty()) {
            self.effects.push_back(Effect::ForgetChanges { id, generation });
        }
    }

    /// What a path leads to is another thing than before.
    pub(super) fn path_changed(&mut self, id: ProcId, generation: Generation, path: &str) {
        let Some(entry) = self.registry.get(id).filter(|entry| entry.machine.generation() == generation) else {
            return;
        };
        if entry.machine.pid().is_none() || entry.machine.desired() == Desired::Down {
            return;
        }
        let reason = Arc::new(RestartReason::RestartOnChange { path: path.into() });
        match entry.config().restart.on_change_action {
            ChangeAction::Restart => self.renew(id, &reason),
            ChangeAction::Reload => self.reload_unasked(id, Initiator::Policy(reason)),
        }
    }
}
