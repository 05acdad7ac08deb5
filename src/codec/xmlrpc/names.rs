//! Names of processes: `group:process`, as supervisord writes them, and as we do.

use crate::api::{Answer, Query, Refusal, Reply, Request, StatusRow};
use crate::models::{ProgramConfig, Right};

/// What a client has written: `group:process`, `process`, `group:*` or `group:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Namespec {
    pub(super) group: String,
    /// `None`: the whole group.
    pub(super) process: Option<String>,
    /// As it was written.
    pub(super) written: String,
}

impl Namespec {
    pub(super) fn new(written: String) -> Namespec {
        let (group, process) = match written.split_once(':') {
            Some((group, "" | "*")) => (group, None),
            Some((group, process)) => (group, Some(process)),
            None => (written.as_str(), Some(written.as_str())),
        };
        Namespec { group: group.to_owned(), process: process.map(str::to_owned), written: written.clone() }
    }

    /// The whole group of this name.
    pub(super) fn group(written: String) -> Namespec {
        Namespec { group: written.clone(), process: None, written }
    }

    /// Asks which process is meant, to do with it what needs this right; `None`: it is the name of none. We may have
    /// more than one name for it.
    pub(super) fn find(&self, right: Right) -> Option<Request> {
        let names = match self.process.as_ref()? {
            process if *process == self.group => vec![process.clone()],
            process => vec![format!("{}:{process}", self.group), process.clone()],
        };
        Some(Request::Query(Query::Find { names, right }))
    }

    /// The process that is meant, if it is among these.
    pub(super) fn of(&self, rows: Vec<(StatusRow, bool)>) -> Option<StatusRow> {
        rows.into_iter().map(|(row, _)| row).find(|row| self.is(&row.program))
    }

    /// Whether this is the process that is meant.
    fn is(&self, program: &ProgramConfig) -> bool {
        let (group, process) = program.group_and_process();
        group == self.group && self.process.as_deref() == Some(process)
    }
}

/// Finds out which process is meant, to do with it what needs a right.
#[derive(Debug)]
pub struct Lookup(Namespec);

impl Lookup {
    /// Of the process that a client has written so.
    pub fn new(written: &str) -> Lookup {
        Lookup(Namespec::new(written.to_owned()))
    }

    /// What is to be asked; `None`: there is no such process.
    pub fn ask(&self, right: Right) -> Option<Request> {
        self.0.find(right)
    }

    /// What the answer tells: the process; `None`: there is no such.
    ///
    /// # Errors
    /// It was refused.
    pub fn found_in(&self, answer: Answer) -> Result<Option<StatusRow>, Refusal> {
        match answer? {
            Reply::Found { rows, .. } => Ok(self.0.of(rows)),
            _ => Ok(None),
        }
    }
}
