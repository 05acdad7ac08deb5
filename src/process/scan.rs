//! What a look at all processes of the machine tells: plain data that `sys` gathers and the engine judges.

use serde::{Deserialize, Serialize};

/// A process, however often its number is used again: the pid together with the start time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct ProcessId {
    /// The pid.
    pub pid: i32,
    /// When it was started, in clock ticks since boot.
    pub start_time: u64,
}

/// One living process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessFacts {
    /// Which one.
    pub id: ProcessId,
    /// Its parent; 0 where that is outside of our pid namespace.
    pub ppid: i32,
    /// Its session; 0 where the leader is outside of our pid namespace.
    pub session: i32,
}

/// A living process that has the variable in its environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TaggedProcess {
    /// Which one.
    pub id: ProcessId,
    /// The variable's value, whatever bytes it has.
    pub tag: Vec<u8>,
    /// It sees the same processes under the same numbers, and the same files under the same names, as this process:
    /// the pid and the mount namespace are the same.
    pub sees_same_namespaces: bool,
}

/// What one look has found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ScanFacts {
    /// Every living process that was looked at, this one included, zombies left out.
    pub living: Vec<ProcessFacts>,
    /// Those among them that have the variable.
    pub tagged: Vec<TaggedProcess>,
    /// Children of a daemon between `clone` and `exec`: nobody can tell yet what tag they will have.
    pub pre_exec: Vec<i32>,
    /// Those that were executing a program: for a moment they show no environment.
    pub in_exec: Vec<i32>,
}

impl ScanFacts {
    /// Replaces the facts about the processes `pids` with those of a second scan.
    pub(crate) fn update(&mut self, pids: &[i32], newer: ScanFacts) {
        let stays = |pid: &i32| !pids.contains(pid);
        self.living.retain(|process| stays(&process.id.pid));
        self.tagged.retain(|process| stays(&process.id.pid));
        self.pre_exec.retain(stays);
        self.in_exec.retain(stays);
        self.living.extend(newer.living);
        self.tagged.extend(newer.tagged);
        self.pre_exec.extend(newer.pre_exec);
        self.in_exec.extend(newer.in_exec);
    }
}
