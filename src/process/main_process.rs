//! Which process is a program's main one, where that is not the one that was spawned.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::util::errno;

/// Why no process can be taken for the main one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum NoMain {
    /// There is no pid file.
    NoFile,
    /// The pid file is as it was before the start.
    Stale,
    /// It can't be read, or is not trusted.
    Unreadable {
        /// The system's reason.
        errno: i32,
    },
    /// It holds no pid.
    NoPid,
    /// It holds a number that is no pid of a program: that of init, or of nobody.
    Impossible {
        /// That number.
        number: i64,
    },
    /// There is no such process.
    Gone {
        /// What was named.
        pid: i32,
    },
    /// It is of another run, or of none.
    Stranger {
        /// What was named.
        pid: i32,
    },
    /// It is of the run, but not our child as long as its parent lives: nobody else would be told how it ends.
    HasParent {
        /// What was named.
        pid: i32,
        /// Its parent.
        parent: i32,
    },
}

impl NoMain {
    /// It won't become better by waiting, if it is found twice: nobody is just writing the file.
    pub(super) fn is_final(self) -> bool {
        match self {
            NoMain::Unreadable { .. } | NoMain::Impossible { .. } | NoMain::Stranger { .. } => true,
            NoMain::NoFile | NoMain::Stale | NoMain::NoPid | NoMain::Gone { .. } | NoMain::HasParent { .. } => false,
        }
    }

    /// What is wrong with this pid file.
    pub(crate) fn of_file(self, path: &str) -> String {
        match self {
            NoMain::NoFile => format!("there is no {path}"),
            NoMain::Stale => format!("{path} is from before this start"),
            NoMain::Unreadable { errno } => format!("{path} cannot be read: {}", errno::text(errno)),
            NoMain::NoPid => format!("{path} holds no pid"),
            NoMain::Impossible { .. } | NoMain::Gone { .. } | NoMain::Stranger { .. } | NoMain::HasParent { .. } => {
                format!("{path} names {self}")
            }
        }
    }
}

impl fmt::Display for NoMain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoMain::NoFile => f.write_str("no pid file"),
            NoMain::Stale => f.write_str("a pid file from before this start"),
            NoMain::Unreadable { errno } => write!(f, "a pid file that cannot be read: {}", errno::text(*errno)),
            NoMain::NoPid => f.write_str("no pid"),
            NoMain::Impossible { number: 1 } => {
                f.write_str("pid 1, which is the init of this machine or container and never a program")
            }
            NoMain::Impossible { number } => write!(f, "{number}, which cannot be the pid of a process"),
            NoMain::Gone { pid } => write!(f, "pid {pid}, which does not exist"),
            NoMain::Stranger { pid } => write!(f, "pid {pid}, which is no process of this run"),
            NoMain::HasParent { pid, parent } => {
                write!(f, "pid {pid}, which is not taken over before its parent, pid {parent}, has ended")
            }
        }
    }
}
