//! What somebody has asked for at run time in addition to what the file says: other numbers of instances, and instances of
//! templates.

use serde::{Deserialize, Serialize};

use super::names::name_fault;
use super::reader::Document;
use crate::models::Dialect;

/// How many instances of a program somebody wants in place of those of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Scale {
    /// The program that has several.
    pub program: String,
    /// So many are wanted, as long as the file says what it said then; `None`: whatever it says.
    pub in_file: Option<u32>,
    /// So many are wanted.
    pub instances: u32,
    /// So many there may be: the names of these are told.
    pub at_most: u32,
}

/// See the [module](self).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Additions {
    /// One for each program at most.
    pub scales: Vec<Scale>,
    /// Programs of templates, `worker@us`.
    pub instances: Vec<String>,
}

/// What a file says of a program that is scaled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scaled {
    /// Which.
    pub program: String,
    /// Its `numprocs` there.
    pub in_file: u32,
    /// The names of its instances, of those as well that are not wanted.
    pub names: Vec<String>,
}

impl Additions {
    /// Nothing was.
    pub(crate) fn is_empty(&self) -> bool {
        self.scales.is_empty() && self.instances.is_empty()
    }

    /// How many instances of a program are wanted, and of how many the names are to be told.
    pub(crate) fn of(&self, program: &str, in_file: u32) -> Option<(u32, u32)> {
        let scale = self.scales.iter().find(|scale| scale.program == program)?;
        let counts = in_file > 1 && scale.in_file.is_none_or(|number| number == in_file);
        let wanted = if counts { scale.instances } else { in_file };
        Some((wanted, scale.at_most.max(in_file).max(wanted)))
    }

    /// The sections that are missing in a document, whose templates it has.
    pub(crate) fn sections(&self, document: &Document) -> String {
        let is_missing = |name: &&String| {
            let is_name = name_fault(name, "program", Dialect::Supervisord).is_none() && !name.contains([']', '\n']);
            let has_template = document.instance(name).is_some_and(|instance| !instance.is_empty());
            is_name && has_template && document.section(&format!("program:{name}")).is_none()
        };
        self.instances.iter().filter(is_missing).map(|name| format!("[program:{name}]\n")).collect()
    }
}
