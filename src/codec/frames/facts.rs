//! Answers that tell facts of the daemon: what it is, what it has read, what its logs say.

use serde::Serialize;

use crate::api::{ConfigRow, DaemonFacts};
use crate::util::base64;

/// What the daemon is.
#[derive(Serialize)]
pub(super) struct Daemon<'a> {
    pid: i32,
    identifier: &'a str,
    ending: bool,
}

impl<'a> From<&'a DaemonFacts> for Daemon<'a> {
    fn from(facts: &'a DaemonFacts) -> Self {
        Daemon { pid: facts.pid, identifier: &facts.identifier, ending: facts.ending }
    }
}

/// The programs of the configuration that was read last.
#[derive(Serialize)]
pub(super) struct Configuration<'a> {
    programs: Vec<Configured<'a>>,
}

#[derive(Serialize)]
struct Configured<'a> {
    name: &'a str,
    group: &'a str,
    autostart: bool,
    in_use: bool,
}

impl<'a> Configuration<'a> {
    pub(super) fn of(rows: &'a [ConfigRow]) -> Self {
        let row = |ConfigRow { program, in_use }: &'a ConfigRow| Configured {
            name: &program.name,
            group: program.group_name(),
            autostart: program.autostart,
            in_use: *in_use,
        };
        Configuration { programs: rows.iter().map(row).collect() }
    }
}

/// A part of a log.
#[derive(Serialize)]
pub(super) struct LogText<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
    size: u64,
}

impl<'a> LogText<'a> {
    pub(super) fn new(bytes: &'a [u8], size: u64) -> Self {
        let text = std::str::from_utf8(bytes).ok();
        LogText { text, base64: text.is_none().then(|| base64::encode(bytes)), size }
    }
}
