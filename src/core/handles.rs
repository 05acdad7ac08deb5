//! All processes by name, and the daemon's settings, as other threads see them.

use std::sync::{Arc, PoisonError, RwLock};

use crate::api::ProcId;
use crate::models::{ProgramConfig, SupervisorConfig};
use crate::process::{ProcessShared, ProcessView};
use crate::util::sort::sort_by;
use crate::util::sorted::SortedMap;

type ByName = SortedMap<Arc<str>, (ProcId, Arc<ProcessShared>)>;

/// Written by the dispatcher alone; readers hold the lock for a moment only.
#[derive(Debug, Default)]
pub(crate) struct Handles {
    by_name: RwLock<ByName>,
    /// In force; without the programs.
    settings: RwLock<Arc<SupervisorConfig>>,
}

impl Handles {
    pub(crate) fn clear(&self) {
        *self.by_name.write().unwrap_or_else(PoisonError::into_inner) = ByName::default();
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
        let mut by_name = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        match by_name.get_mut(config.name.as_str()) {
            Some((present, _)) => *present = id,
            None => {
                let shared = Arc::new(ProcessShared::new(Arc::clone(config)));
                by_name.insert(Arc::from(config.name.as_str()), (id, shared));
            }
        }
    }

    /// Whether any process that counts is of this group.
    pub(crate) fn group_has(&self, group: &str, counts: impl Fn(ProcId) -> bool) -> bool {
        let by_name = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        by_name.iter().any(|(_, (id, shared))| counts(*id) && shared.config().group_name() == group)
    }

    /// Shows the state of a process to those who hold a handle.
    pub(crate) fn show(&self, id: ProcId, view: ProcessView) {
        let by_name = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((present, shared)) = by_name.get(view.config.name.as_str())
            && *present == id
        {
            shared.show(view);
        }
    }

    /// Removes a process, unless the name has meanwhile gone to another one.
    pub(crate) fn remove(&self, id: ProcId, name: &str) {
        let mut by_name = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        if by_name.get(name).is_some_and(|(present, _)| *present == id) {
            by_name.remove(name);
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<(Arc<str>, Arc<ProcessShared>)> {
        let by_name = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        by_name.get_key_value(name).map(|(name, (_, shared))| (Arc::clone(name), Arc::clone(shared)))
    }

    /// Every process with its name, in the order in which they came.
    pub(crate) fn all(&self) -> Vec<(Arc<str>, Arc<ProcessShared>)> {
        let by_name = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = by_name.iter().map(|(name, (id, shared))| (*id, name, shared)).collect();
        sort_by(&mut all, |one, other| one.0.cmp(&other.0));
        all.into_iter().map(|(_, name, shared)| (Arc::clone(name), Arc::clone(shared))).collect()
    }

    /// The settings of every process, in the order in which they came.
    pub(crate) fn configs(&self) -> Vec<Arc<ProgramConfig>> {
        self.all().into_iter().map(|(_, shared)| shared.config()).collect()
    }
}
