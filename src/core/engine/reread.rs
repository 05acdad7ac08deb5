//! What a new configuration would change.

use std::sync::Arc;

use super::Engine;
use super::apply::daemon_changes;
use crate::api::{KeyChange, Reread};
use crate::config::{
    Configuration, KeyDiff, LoadResult, changed_keys, changed_settings, diff_shared, differ_in_number_alone,
    needs_restart,
};

/// The name under which changes of `[supervice]` are told.
const DAEMON_SECTION: &str = "[supervice]";

impl Engine {
    /// What this file would change; values that may be secret only where they are asked for.
    pub(super) fn reread(&self, loaded: &LoadResult, secrets: bool) -> Reread {
        let (old, new) = (self.running(), &loaded.config);
        let plan = diff_shared(&old.settings, &old.programs, new);
        let mut reread = Reread {
            daemon: daemon_changes(&plan),
            added: plan.added,
            removed: plan.removed,
            warnings: loaded.warnings.iter().map(ToString::to_string).collect(),
            ..Reread::default()
        };
        #[cfg(feature = "attach")]
        let obstacle = self.obstacle_by_transient(new);
        #[cfg(feature = "attach")]
        reread.warnings.extend(obstacle.map(|why| format!("an update would fail: {why}")));
        let tell = |keys: Vec<KeyDiff>| {
            let shown = |diff: KeyDiff| if secrets { diff } else { diff.without_secrets() };
            let keys = keys.into_iter().map(shown);
            keys.map(|KeyDiff { key, old, new }| KeyChange { key, old, new }).collect()
        };
        for name in plan.changed {
            if let (Some(old), Some(new)) = (old.program(&name), new.program(&name))
                && !differ_in_number_alone(old, new)
            {
                let keys = tell(changed_keys(old, new));
                reread.changed.insert(name, keys);
            }
        }
        if !plan.daemon_settings_changed.is_empty() {
            reread.changed.insert(DAEMON_SECTION.to_owned(), tell(changed_settings(&old.settings, &new.settings)));
        }
        reread
    }

    /// The settings that the programs run with: those of their present runs, and of their next ones where they are
    /// down.
    fn running(&self) -> Configuration {
        let mut config = self.effective();
        for program in &mut config.programs {
            let entry = self.registry.find(&program.name).and_then(|id| self.registry.get(id));
            if let Some(run) = entry.and_then(|entry| entry.machine.run_config())
                && !Arc::ptr_eq(run, program)
                && needs_restart(run, program)
            {
                *program = Arc::clone(run);
            }
        }
        config
    }
}
