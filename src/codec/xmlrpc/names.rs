//! Names of processes: `group:process`, as supervisord writes them, and as we do.

use std::collections::VecDeque;

use crate::api::{Answer, Query, Reply, Request, StatusRow};
use crate::models::ProgramConfig;

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

    /// The names that we may have for this process, each to be tried in turn.
    pub(super) fn candidates(&self) -> Vec<String> {
        match &self.process {
            None => Vec::new(),
            Some(process) if *process == self.group => vec![process.clone()],
            Some(process) => vec![format!("{}:{process}", self.group), process.clone()],
        }
    }

    /// Whether this is the process that is meant.
    pub(super) fn is(&self, program: &ProgramConfig) -> bool {
        let (group, process) = program.group_and_process();
        group == self.group && self.process.as_deref() == Some(process)
    }
}

/// Finds out which process is meant, name by name that we may have for it.
#[derive(Debug)]
pub struct Lookup {
    spec: Namespec,
    left: VecDeque<String>,
}

impl Lookup {
    /// Of the process that a client has written so.
    pub fn new(written: &str) -> Lookup {
        let spec = Namespec::new(written.to_owned());
        let left = spec.candidates().into();
        Lookup { spec, left }
    }

    /// What is to be asked next; `None`: there is no such process.
    pub fn ask(&mut self) -> Option<Request> {
        let name = self.left.pop_front()?;
        Some(Request::Query(Query::Status { name: Some(name), offset: 0 }))
    }

    /// The process, if the answer tells of it.
    pub fn found_in<'a>(&self, answer: &'a Answer) -> Option<&'a StatusRow> {
        let Ok(Reply::Status { rows, .. }) = answer else { return None };
        rows.iter().find(|row| self.spec.is(&row.program))
    }
}
