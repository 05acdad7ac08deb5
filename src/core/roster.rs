//! All processes by name, as other threads see them.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::world::ProcId;
use crate::models::ProgramConfig;
pub(crate) use crate::process::ProcessShared;
use crate::util::sort;

type ByName = BTreeMap<Arc<str>, (ProcId, Arc<ProcessShared>)>;

/// Written by the dispatcher alone; readers hold the lock for a moment only.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    by_name: RwLock<ByName>,
}

impl Roster {
    pub(crate) fn clear(&self) {
        self.by_name.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Files a process under its name; the view that is to be kept up to date. Handles that were given
    /// out before the daemon ran stay good.
    pub(crate) fn insert(&self, id: ProcId, config: &Arc<ProgramConfig>) -> Arc<ProcessShared> {
        let mut by_name = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        if let Some((present, shared)) = by_name.get_mut(config.name.as_str()) {
            *present = id;
            return Arc::clone(shared);
        }
        let shared = Arc::new(ProcessShared::new(Arc::clone(config)));
        by_name.insert(Arc::from(config.name.as_str()), (id, Arc::clone(&shared)));
        shared
    }

    /// Removes a process, unless the name has meanwhile gone to another one.
    pub(crate) fn remove(&self, id: ProcId, name: &str) {
        let mut by_name = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        if by_name.get(name).is_some_and(|(present, _)| *present == id) {
            by_name.remove(name);
        }
    }

    pub(crate) fn id_of(&self, name: &str) -> Option<ProcId> {
        self.by_name.read().unwrap_or_else(PoisonError::into_inner).get(name).map(|(id, _)| *id)
    }

    pub(crate) fn get(&self, name: &str) -> Option<(Arc<str>, Arc<ProcessShared>)> {
        let by_name = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        by_name.get_key_value(name).map(|(name, (_, shared))| (Arc::clone(name), Arc::clone(shared)))
    }

    /// Every process with its name, in the order in which they came.
    pub(crate) fn all(&self) -> Vec<(Arc<str>, Arc<ProcessShared>)> {
        let by_name = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = by_name.iter().map(|(name, (id, shared))| (*id, name, shared)).collect();
        sort::sort_by(&mut all, |one, other| one.0.cmp(&other.0));
        all.into_iter().map(|(_, name, shared)| (Arc::clone(name), Arc::clone(shared))).collect()
    }

    /// The settings of every process, in the order in which they came.
    pub(crate) fn configs(&self) -> Vec<Arc<ProgramConfig>> {
        self.all().into_iter().map(|(_, shared)| shared.config()).collect()
    }
}
