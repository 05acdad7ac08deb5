//! All processes by name, and the daemon's settings, as other threads see them.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::api::ProcId;
use crate::models::{ProgramConfig, SupervisorConfig};
use crate::process::{ProcessShared, ProcessView};
use crate::util::sort::sort_by;
use crate::util::sorted::SortedMap;

/// Names by the text, views by the number: a state is shown twice in each stop, and texts are slow to compare.
#[derive(Debug, Default)]
struct Table {
    by_name: SortedMap<Arc<str>, ProcId>,
    by_id: SortedMap<ProcId, Arc<ProcessShared>>,
}

impl Table {
    fn get(&self, name: &str) -> Option<(&Arc<str>, &Arc<ProcessShared>)> {
        let (name, id) = self.by_name.get_key_value(name)?;
        Some((name, self.by_id.get(id)?))
    }
}

/// Written by the dispatcher alone; readers hold the lock for a moment only.
#[derive(Debug, Default)]
pub(crate) struct Handles {
    processes: RwLock<Table>,
    /// In force; without the programs.
    settings: RwLock<Arc<SupervisorConfig>>,
}

impl Handles {
    pub(crate) fn clear(&self) {
        *self.write() = Table::default();
    }

    /// Shows these settings of the daemon from now on.
    pub(crate) fn show_settings(&self, settings: Arc<SupervisorConfig>) {
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = settings;
    }

    /// The settings of the daemon that are in force, without the programs.
    pub(crate) fn settings(&self) -> Arc<SupervisorConfig> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Files a process under its name. Handles that were given out before the daemon ran stay good.
    pub(crate) fn insert(&self, id: ProcId, config: &Arc<ProgramConfig>) {
        let mut processes = self.write();
        let present = processes.by_name.insert(Arc::from(config.name.as_str()), id);
        let shared = present.and_then(|present| processes.by_id.remove(&present));
        let shared = shared.unwrap_or_else(|| Arc::new(ProcessShared::new(Arc::clone(config))));
        processes.by_id.insert(id, shared);
    }

    /// Shows the state of a process to those who hold a handle, unless its name has gone to another one.
    pub(crate) fn show(&self, id: ProcId, view: ProcessView) {
        if let Some(shared) = self.read().by_id.get(&id) {
            shared.show(view);
        }
    }

    /// Removes a process, unless the name has meanwhile gone to another one.
    pub(crate) fn remove(&self, id: ProcId, name: &str) {
        let mut processes = self.write();
        if processes.by_id.remove(&id).is_some() {
            processes.by_name.remove(name);
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<(Arc<str>, Arc<ProcessShared>)> {
        self.read().get(name).map(|(name, shared)| (Arc::clone(name), Arc::clone(shared)))
    }

    /// Every process with its name, in the order in which they came.
    pub(crate) fn all(&self) -> Vec<(Arc<str>, Arc<ProcessShared>)> {
        let processes = self.read();
        let mut names: Vec<_> = processes.by_name.iter().map(|(name, id)| (*id, name)).collect();
        sort_by(&mut names, |one, other| one.0.cmp(&other.0));
        // Both lists are in the order of the ids, and hold the same.
        let all = names.into_iter().zip(processes.by_id.values());
        all.map(|((_, name), shared)| (Arc::clone(name), Arc::clone(shared))).collect()
    }

    /// The settings of every process, in the order in which they came.
    pub(crate) fn configs(&self) -> Vec<Arc<ProgramConfig>> {
        self.read().by_id.values().map(|shared| shared.config()).collect()
    }

    /// The settings of every process with its number, in the order in which they came.
    pub(crate) fn numbered_configs(&self) -> Vec<(ProcId, Arc<ProgramConfig>)> {
        self.read().by_id.iter().map(|(id, shared)| (*id, shared.config())).collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.processes.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.processes.write().unwrap_or_else(PoisonError::into_inner)
    }
}
