//! All processes by name, and the daemon's settings, as other threads see them.

use std::collections::BTreeSet;
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
    /// Each with its group, in their order: a listener is told of the first and the last program of each, and a reload may
    /// bring ten thousand programs.
    by_group: BTreeSet<(Arc<str>, ProcId)>,
    groups: SortedMap<ProcId, Arc<str>>,
}

impl Table {
    fn join(&mut self, id: ProcId, group: &str) {
        self.leave(id);
        let group: Arc<str> = Arc::from(group);
        self.by_group.insert((Arc::clone(&group), id));
        self.groups.insert(id, group);
    }

    fn leave(&mut self, id: ProcId) {
        if let Some(group) = self.groups.remove(&id) {
            self.by_group.remove(&(group, id));
        }
    }

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
        let shared = present.and_then(|present| {
            processes.leave(present);
            processes.by_id.remove(&present)
        });
        let shared = shared.unwrap_or_else(|| Arc::new(ProcessShared::new(Arc::clone(config))));
        processes.by_id.insert(id, shared);
        processes.join(id, config.group_name());
    }

    /// Whether any process that counts is of this group.
    pub(crate) fn group_has(&self, group: &str, counts: impl Fn(ProcId) -> bool) -> bool {
        let first = (Arc::from(group), ProcId::MIN);
        self.read().by_group.range(first..).take_while(|(other, _)| **other == *group).any(|(_, id)| counts(*id))
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
        processes.leave(id);
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

    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.processes.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.processes.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn program(name: &str, group: &str) -> Arc<ProgramConfig> {
        let group = Some(group.to_owned()).filter(|group| !group.is_empty());
        Arc::new(ProgramConfig { group, ..ProgramConfig::new(name, "true") })
    }

    #[test]
    fn a_group_is_there_as_long_as_one_of_its_programs_that_counts() {
        let handles = Handles::default();
        handles.insert(1, &program("a", "g"));
        handles.insert(2, &program("b", "g"));
        handles.insert(3, &program("alone", ""));
        assert!(handles.group_has("g", |id| id < 2) && !handles.group_has("g", |id| id < 1));
        assert!(handles.group_has("alone", |_| true) && !handles.group_has("b", |_| true));
        handles.remove(1, "a");
        assert!(!handles.group_has("g", |id| id < 2) && handles.group_has("g", |_| true));
        // Another one of the name.
        handles.insert(4, &program("b", "h"));
        assert!(!handles.group_has("g", |_| true) && handles.group_has("h", |_| true));
        handles.clear();
        assert!(!handles.group_has("h", |_| true));
    }

    /// It is asked for each of ten thousand programs that come by one reload.
    #[test]
    fn only_the_programs_of_the_group_are_looked_at() {
        let handles = Handles::default();
        for id in 0..1000 {
            handles.insert(id, &program(&format!("p{id}"), &format!("g{}", id % 100)));
        }
        let looks = Cell::new(0);
        let count = |_: ProcId| {
            looks.set(looks.get() + 1);
            false
        };
        assert!(!handles.group_has("g7", count));
        assert_eq!(looks.get(), 10);
    }
}
