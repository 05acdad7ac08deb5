//! What the log and the status say of orphans: typed, worded in one place.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Pids that one sentence names.
const NAMED_PIDS: usize = 8;

/// Something that a person should read in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum OrphanNote {
    /// `/proc` could not be read.
    CannotLook {
        /// The system's reason.
        reason: String,
    },
    /// Children that have not executed their program: they can't be told from those of another daemon.
    PreExec {
        /// Their pids.
        pids: Vec<i32>,
    },
    /// They run beside the program.
    LeftAlone {
        /// The program's name.
        program: String,
        /// Their pids.
        pids: Vec<i32>,
    },
    /// They are told to end before the program is started.
    ToldToEnd {
        /// The program's name.
        program: String,
        /// Their pids.
        pids: Vec<i32>,
    },
    /// The pid file of a program names it, and nothing shows who has started it.
    Untagged {
        /// The program's name.
        program: String,
        /// The pid.
        pid: i32,
        /// The pid file.
        path: String,
    },
    /// Nobody is there who would stop them, until a program of this name is.
    NotConfigured {
        /// The program's name.
        program: String,
        /// Their pids.
        pids: Vec<i32>,
    },
    /// The system does not let us signal it: it is left alone from now on.
    CannotSignal {
        /// The program's name.
        program: String,
        /// The pid.
        pid: i32,
        /// The system's reason.
        reason: String,
    },
}

impl OrphanNote {
    /// Whether it is logged as an error; everything else is a warning.
    pub fn is_error(&self) -> bool {
        match self {
            OrphanNote::CannotSignal { .. } => true,
            OrphanNote::CannotLook { .. }
            | OrphanNote::PreExec { .. }
            | OrphanNote::LeftAlone { .. }
            | OrphanNote::ToldToEnd { .. }
            | OrphanNote::Untagged { .. }
            | OrphanNote::NotConfigured { .. } => false,
        }
    }
}

impl fmt::Display for OrphanNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OrphanNote::CannotLook { reason } => {
                write!(f, "cannot look for what an earlier daemon may have left behind: /proc: {reason}")
            }
            OrphanNote::PreExec { pids } => write!(
                f,
                "{} may be of an earlier daemon, but has not executed its program yet: left alone",
                Pids(pids)
            ),
            OrphanNote::LeftAlone { program, pids } => {
                write!(f, "{program}: an earlier daemon left {} running: left alone (reconcile)", Pids(pids))
            }
            OrphanNote::ToldToEnd { program, pids } => {
                write!(f, "{program}: an earlier daemon left {} behind: told to end before it is started", Pids(pids))
            }
            OrphanNote::Untagged { program, pid, path } => write!(
                f,
                "{program}: pid {pid} in {path} runs already: an earlier daemon may have left it, but nothing in its environment \
                 proves that, so it is left alone; if it has, stop it (kill {pid}) and start {program} again"
            ),
            OrphanNote::NotConfigured { program, pids } => write!(
                f,
                "an earlier daemon left {} of {program}, which is not configured now: left alone until it is",
                Pids(pids)
            ),
            OrphanNote::CannotSignal { program, pid, reason } => {
                write!(f, "{program}: pid {pid}, which an earlier daemon left behind, can't be signalled: {reason}")
            }
        }
    }
}

/// What the status says of the orphans that are left alone beside a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bystanders {
    /// Their pids.
    pub pids: Vec<i32>,
    /// What its pid file named when the daemon began, if nothing shows who has started that.
    pub untagged: Option<i32>,
}

impl fmt::Display for Bystanders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.pids.is_empty() {
            write!(f, "an earlier daemon left {} running", Pids(&self.pids))?;
        }
        let Some(pid) = self.untagged else { return Ok(()) };
        let and = if self.pids.is_empty() { "" } else { "; " };
        write!(
            f,
            "{and}pid {pid} of its pid file was running before, perhaps left by an earlier daemon: stop it with kill {pid}"
        )
    }
}

/// `pid 1, 2 and 3 more`.
struct Pids<'a>(&'a [i32]);

impl fmt::Display for Pids<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, pid) in self.0.iter().take(NAMED_PIDS).enumerate() {
            write!(f, "{}{pid}", if place == 0 { "pid " } else { ", " })?;
        }
        match self.0.len().saturating_sub(NAMED_PIDS) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_of_pids_are_cut() {
        let text = |pids: Vec<i32>| Pids(&pids).to_string();
        assert_eq!(text(vec![4]), "pid 4");
        assert_eq!(text((1..=8).collect()), "pid 1, 2, 3, 4, 5, 6, 7, 8");
        assert_eq!(text((1..=10).collect()), "pid 1, 2, 3, 4, 5, 6, 7, 8 and 2 more");
    }

    #[test]
    fn each_note_is_one_sentence() {
        let (web, reason) = (|| "web".to_owned(), || "Operation not permitted (os error 1)".to_owned());
        let pids = vec![5, 6];
        let notes = [
            (
                OrphanNote::CannotLook { reason: "none".to_owned() },
                "cannot look for what an earlier daemon may have left behind: /proc: none",
            ),
            (
                OrphanNote::PreExec { pids: vec![5] },
                "pid 5 may be of an earlier daemon, but has not executed its program yet: left alone",
            ),
            (
                OrphanNote::LeftAlone { program: web(), pids: pids.clone() },
                "web: an earlier daemon left pid 5, 6 running: left alone (reconcile)",
            ),
            (
                OrphanNote::ToldToEnd { program: web(), pids: pids.clone() },
                "web: an earlier daemon left pid 5, 6 behind: told to end before it is started",
            ),
            (
                OrphanNote::Untagged { program: web(), pid: 5, path: "/run/web.pid".to_owned() },
                "web: pid 5 in /run/web.pid runs already: an earlier daemon may have left it, but nothing in its environment \
                 proves that, so it is left alone; if it has, stop it (kill 5) and start web again",
            ),
            (
                OrphanNote::NotConfigured { program: web(), pids },
                "an earlier daemon left pid 5, 6 of web, which is not configured now: left alone until it is",
            ),
            (
                OrphanNote::CannotSignal { program: web(), pid: 5, reason: reason() },
                "web: pid 5, which an earlier daemon left behind, can't be signalled: Operation not permitted (os error 1)",
            ),
        ];
        for (note, text) in notes {
            assert_eq!(note.to_string(), text);
        }
        let untagged =
            "pid 8 of its pid file was running before, perhaps left by an earlier daemon: stop it with kill 8";
        let left = "an earlier daemon left pid 7 running";
        let told = |pids, untagged| Bystanders { pids, untagged }.to_string();
        assert_eq!((told(vec![7], None), told(vec![], Some(8))), (left.to_owned(), untagged.to_owned()));
        assert_eq!(told(vec![7], Some(8)), format!("{left}; {untagged}"));
    }
}
