//! Programs by group, for listeners that ask when a group comes and goes.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::api::ProcId;
use crate::models::ProgramConfig;
use crate::util::quick_hash::QuickMap;

/// Kept only while a listener asks for it: of ten thousand programs it takes more than a megabyte.
#[derive(Debug, Default)]
pub(super) struct GroupIndex {
    members: BTreeSet<(Arc<str>, ProcId)>,
    group_of: QuickMap<ProcId, Arc<str>>,
}

impl GroupIndex {
    pub(super) fn of<'a>(programs: impl IntoIterator<Item = (ProcId, &'a ProgramConfig)>) -> GroupIndex {
        let mut index = GroupIndex::default();
        for (id, config) in programs {
            index.put(id, config);
        }
        index
    }

    /// The process is of this group from now on. Returns the one that it leaves for it.
    pub(super) fn put(&mut self, id: ProcId, config: &ProgramConfig) -> Option<Arc<str>> {
        let group: Arc<str> = Arc::from(config.group_name());
        let former = self.group_of.insert(id, Arc::clone(&group)).filter(|former| *former != group);
        if let Some(former) = &former {
            self.members.remove(&(Arc::clone(former), id));
        }
        self.members.insert((group, id));
        former
    }

    pub(super) fn remove(&mut self, id: ProcId) {
        if let Some(group) = self.group_of.remove(&id) {
            self.members.remove(&(group, id));
        }
    }

    /// Whether any process of this group counts. Looks at those of the group alone, since a reload may bring ten
    /// thousand programs.
    pub(super) fn has(&self, group: &str, counts: impl Fn(ProcId) -> bool) -> bool {
        let first = (Arc::from(group), ProcId::MIN);
        self.members.range(first..).take_while(|(other, _)| **other == *group).any(|(_, id)| counts(*id))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn program(name: &str, group: &str) -> ProgramConfig {
        let group = Some(group.to_owned()).filter(|group| !group.is_empty());
        ProgramConfig { group, ..ProgramConfig::new(name, "true") }
    }

    #[test]
    fn a_group_is_there_as_long_as_one_of_its_programs_that_counts() {
        let [a, b, alone] = [program("a", "g"), program("b", "g"), program("alone", "")];
        let mut groups = GroupIndex::of([(1, &a), (2, &b)]);
        groups.put(3, &alone);
        assert!(groups.has("g", |id| id < 2) && !groups.has("g", |id| id < 1));
        assert!(groups.has("alone", |_| true) && !groups.has("b", |_| true));
        groups.remove(1);
        assert!(!groups.has("g", |id| id < 2) && groups.has("g", |_| true));
        // Another one of the name, which is there before the first one has left.
        groups.put(4, &program("b", "h"));
        groups.remove(2);
        assert!(!groups.has("g", |_| true) && groups.has("h", |_| true));
        // New settings: the same group, another one.
        assert_eq!(groups.put(4, &program("b", "h")), None);
        assert_eq!(groups.put(4, &program("b", "i")).as_deref(), Some("h"));
        assert!(!groups.has("h", |_| true) && groups.has("i", |_| true));
    }

    #[test]
    fn only_the_programs_of_the_group_are_looked_at() {
        let programs: Vec<_> =
            (0..1000).map(|id| (id, program(&format!("p{id}"), &format!("g{}", id % 100)))).collect();
        let groups = GroupIndex::of(programs.iter().map(|(id, config)| (*id, config)));
        let looks = Cell::new(0);
        let count = |_: ProcId| {
            looks.set(looks.get() + 1);
            false
        };
        assert!(!groups.has("g7", count));
        assert_eq!(looks.get(), 10);
    }
}
