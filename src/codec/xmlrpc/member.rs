//! One process of several that a call is about.

use super::fault::{Fault, FaultCode};
use super::value::Value;
use crate::api::StatusRow;

/// One process of several.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Member {
    pub(super) group: String,
    pub(super) process: String,
    /// Our name of it.
    pub(super) name: String,
    /// No rule of access forbids what is to be done to it.
    pub(super) permitted: bool,
}

impl Member {
    pub(super) fn of((row, permitted): &(StatusRow, bool)) -> Member {
        let (group, process) = row.program.group_and_process();
        let (group, process, name) = (group.to_owned(), process.to_owned(), row.program.name.clone());
        Member { group, process, name, permitted: *permitted }
    }

    /// As clients write it.
    pub(super) fn written(&self) -> String {
        if self.group == self.process { self.process.clone() } else { format!("{}:{}", self.group, self.process) }
    }

    /// One of several results.
    pub(super) fn result(&self, fault: Option<&Fault>) -> Value {
        let (code, text) = match fault {
            Some(fault) => (fault.code, fault.text()),
            None => (FaultCode::Success, "OK".to_owned()),
        };
        Value::Struct(vec![
            ("name".into(), Value::text(self.process.clone())),
            ("group".into(), Value::text(self.group.clone())),
            ("status".into(), Value::Int(code.number())),
            ("description".into(), Value::text(text)),
        ])
    }
}
