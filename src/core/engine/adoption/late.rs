//! Programs that come while the daemon runs: what their pid files name.
//!
//! What an earlier daemon has left of them was found with everything else, by its tag. What has no tag is found by the
//! pid file alone, and that is known only now. It is read before anything of the program is executed.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::classify::untagged_mains;
use super::{Adoption, Note, Output, ProcId, Program};
use crate::models::Reconcile;
use crate::process::{ProcessId, ScanFacts};
use crate::util::sorted::{SortedMap, SortedSet};

/// What is asked of the pid files of such programs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LateFiles {
    /// Each until it is known whether its file names a stranger that lives.
    programs: SortedMap<ProcId, LateFile>,
    /// Whose answers are to come, in the order of the effects: those to [`Output::ReadPidFiles`] and
    /// [`Output::Examine`].
    asked: VecDeque<ProcId>,
}

/// A pid file that is looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct LateFile {
    program: String,
    path: String,
    /// The process that it names, once it is read.
    named: Option<i32>,
    /// The same once it is known.
    process: Option<ProcessId>,
}

impl LateFiles {
    pub(super) fn forget(&mut self, id: ProcId) {
        self.programs.remove(&id);
    }
}

impl Adoption {
    /// Has the pid file read of a program that was added.
    pub(super) fn read_late(&mut self, program: &Program) -> Option<Output> {
        let path = program.pid_file.clone().filter(|_| program.reconcile != Reconcile::Off && self.can_be_left())?;
        let (id, name) = (program.id, program.name.clone());
        let file = LateFile { program: name.clone(), path: path.clone(), named: None, process: None };
        self.late.programs.insert(id, file);
        self.late.asked.push_back(id);
        Some(Output::ReadPidFiles { files: vec![(name, path)] })
    }

    /// It is read: the process that it names is looked at, unless its number was another's when that was written.
    pub(super) fn late_read(&mut self, named: &SortedMap<String, i32>, since: &SortedSet<String>) -> Option<Output> {
        let id = self.late.asked.pop_front()?;
        let file = self.late.programs.get_mut(&id)?;
        file.named = named.get(&file.program).copied().filter(|_| since.contains(&file.program));
        let Some(pid) = file.named else {
            self.late.programs.remove(&id);
            return None;
        };
        self.late.asked.push_back(id);
        Some(Output::Examine { pids: vec![pid] })
    }

    /// It is looked at: what has no tag is taken hold of, and told of if it still lives then.
    pub(super) fn late_examined(&mut self, facts: &ScanFacts) -> Option<Output> {
        let (id, identity) = (self.late.asked.pop_front()?, self.identity.as_ref()?);
        let file = self.late.programs.get_mut(&id)?;
        let named = file.named.map(|pid| (file.program.clone(), pid)).into_iter().collect();
        let mut mains = untagged_mains(identity, facts, &SortedMap::default(), &named);
        file.process = mains.remove(&file.program);
        let Some(process) = file.process else {
            self.late.programs.remove(&id);
            return None;
        };
        self.untagged.insert(id, process);
        Some(Output::Probe { processes: vec![process] })
    }

    /// Tells of those that are held, and forgets those that have ended before.
    pub(super) fn late_probed(&mut self, living: &SortedSet<ProcessId>, ended: &SortedSet<ProcessId>) -> Vec<Output> {
        let mut out = Vec::new();
        self.late.programs.retain(|_, LateFile { program, path, named: _, process }| {
            let Some(process) = process else { return true };
            if living.contains(process) {
                let (program, path) = (program.clone(), path.clone());
                out.push(Output::Log(Note::Untagged { program, pid: process.pid, path }));
            }
            !living.contains(process) && !ended.contains(process)
        });
        out
    }
}
