//! Answers that are more than a message: what the daemon writes and the client reads. Times are seconds since
//! 1970, with three decimals.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{STATUS_LIMIT, frame, is_zero};
use crate::api::DaemonChanges;
use crate::process::Cause;

/// One transition of a process, or a note about something that did not change its state
/// (`from_state` and `to_state` are the same then): a signal, a kill.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HistoryItem {
    /// When.
    pub time: f64,
    /// The process's name.
    pub name: String,
    /// The state before.
    pub from_state: String,
    /// The state after.
    pub to_state: String,
    /// The process, where there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// Why, for people; who asked, where somebody did.
    pub cause: String,
    /// The same for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause_data: Option<Value>,
}

impl HistoryItem {
    /// Why, for programs; `None` of a daemon that does not tell, or tells what this version does not know.
    pub fn cause(&self) -> Option<Cause> {
        serde_json::from_value(self.cause_data.clone()?).ok()
    }
}

/// A key whose value a new configuration changes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeyChange {
    /// The key, for instance `command`, `healthcheck_port` or `environment.PATH`.
    pub key: String,
    /// The value in force; null: none. Of a variable `(hidden)`.
    pub old: Value,
    /// The value in the file; null: none. Of a variable `(hidden)`.
    pub new: Value,
}

/// What an `update` would change.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Reread {
    /// Programs that would be added, sorted.
    pub added: Vec<String>,
    /// Programs that would be stopped and removed, sorted.
    pub removed: Vec<String>,
    /// Programs with new settings, and which. `[supervice]` stands for the daemon itself.
    pub changed: BTreeMap<String, Vec<KeyChange>>,
    /// What is odd about the file, though no error.
    pub warnings: Vec<String>,
    /// What becomes of the keys of `[supervice]`.
    pub daemon: DaemonChanges,
}

/// What an `update` has changed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Updated {
    /// Programs that were added, sorted.
    pub added: Vec<String>,
    /// Programs that were stopped and removed, sorted.
    pub removed: Vec<String>,
    /// Programs with new settings, sorted.
    pub changed: Vec<String>,
    /// Those among them that were restarted, and those that were because they need these; the others take their
    /// settings without, or at their next start.
    pub restarted: Vec<String>,
    /// Those among them with a schedule whose run goes on with settings of before: the next one has the new ones.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub from_next_run: Vec<String>,
    /// With `confirm`: when the daemon goes back to the configuration before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirm_until: Option<f64>,
    /// The daemon's own settings.
    pub daemon: DaemonChanges,
    /// With `save`: why it could not be written, and ends with the daemon.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unsaved: Option<String>,
}

/// What comes next for a process.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct NextStep {
    /// For people, for instance `retry 2 of 3` or `SIGKILL`.
    pub what: String,
    /// When.
    pub at: f64,
}

/// A program on the way from one that can't start to what is to blame for that.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChainItem {
    /// Its name.
    pub name: String,
    /// What has to hold of it: `ready`, `started`, `healthy` or `completed`.
    pub condition: String,
    /// Its state.
    pub state: String,
    /// One line for people.
    pub description: String,
}

/// How a process came to its state.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Why {
    /// The process's name.
    pub name: String,
    /// Its state.
    pub state: String,
    /// Sentences for people, in the order in which they are to be read.
    pub lines: Vec<String>,
    /// Its last transitions, oldest first.
    pub history: Vec<HistoryItem>,
    /// The last lines of its standard error (its standard output where both are one).
    pub stderr: Vec<String>,
    /// Where it can't start yet: what it needs, what that needs, and so on, to the one that is to blame.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<ChainItem>,
    /// How many are left out before the last of them.
    #[serde(skip_serializing_if = "is_zero")]
    pub chain_left_out: usize,
    /// What happens next by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<NextStep>,
}

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EventItem {
    /// For instance `PROCESS_STATE_RUNNING` or `HEALTHCHECK_FAILED`.
    #[serde(rename = "type")]
    pub event_type: String,
    /// When.
    pub time: f64,
    /// The process.
    pub processname: String,
    /// Its group.
    pub groupname: String,
    /// The state before; absent in health events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_state: Option<String>,
    /// The state after; absent in health events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_state: Option<String>,
    /// The process, where there is one.
    pub pid: Option<i32>,
    /// Why; absent in health events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// What the health check found; absent in state events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The cause, for programs; absent in health events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause_data: Option<Value>,
}

impl EventItem {
    /// Why, for programs; `None` in health events, and of a daemon that does not tell.
    pub fn cause(&self) -> Option<Cause> {
        serde_json::from_value(self.cause_data.clone()?).ok()
    }
}

/// One frame of the answer to `events`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct EventFrame {
    /// The event; absent in the first frame, which comes at once.
    pub event: Option<EventItem>,
    /// Events that were dropped just before this one, because the client did not keep up.
    pub lost: u64,
    /// Further frames follow.
    pub more: bool,
}

pub(super) fn with_status(rest: &impl Serialize) -> Vec<u8> {
    // Strings, numbers, and maps with string keys always serialize.
    let text = serde_json::to_string(rest).unwrap_or_default();
    ok_with(text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or_default())
}

pub(super) fn ok_with(members: &str) -> Vec<u8> {
    frame(format!(r#"{{"status":"ok",{members}}}"#).as_bytes())
}

/// [`HistoryItem`] as the daemon writes it: the cause by its own form, not by way of a tree of values.
#[derive(Serialize)]
pub(super) struct PastItem<'a> {
    pub time: f64,
    pub name: &'a str,
    pub from_state: &'static str,
    pub to_state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    pub cause: String,
    pub cause_data: &'a Cause,
}

/// [`Why`] as the daemon writes it.
#[derive(Serialize)]
pub(super) struct Explanation<'a> {
    pub name: &'a str,
    pub state: &'static str,
    pub lines: Vec<String>,
    pub history: Vec<PastItem<'a>>,
    pub stderr: &'a [String],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<ChainItem>,
    #[serde(skip_serializing_if = "is_zero")]
    pub chain_left_out: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<NextStep>,
}

/// [`EventItem`] as the daemon writes it.
#[derive(Debug, Default, Serialize)]
pub struct Event<'a> {
    #[serde(rename = "type")]
    pub(super) event_type: &'static str,
    pub(super) time: f64,
    pub(super) processname: &'a str,
    pub(super) groupname: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) from_state: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) to_state: Option<&'static str>,
    pub(super) pid: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cause: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cause_data: Option<&'a Cause>,
}

#[cfg(feature = "http")]
impl Event<'_> {
    /// Its type, for instance `PROCESS_STATE_RUNNING`.
    pub fn kind(&self) -> &'static str {
        self.event_type
    }
}

#[cfg(test)]
impl From<Event<'_>> for EventItem {
    /// As a client reads it.
    fn from(event: Event<'_>) -> EventItem {
        let text = serde_json::to_string(&event).expect("strings and numbers");
        serde_json::from_str(&text).expect("an event")
    }
}

/// As many of the newest items as one frame holds; they come newest first.
pub(super) fn history<'a>(items: impl Iterator<Item = PastItem<'a>>) -> Vec<u8> {
    let mut size = 0;
    let mut written: Vec<String> = Vec::new();
    for item in items {
        // Strings and numbers always serialize.
        let text = serde_json::to_string(&item).unwrap_or_default();
        size += text.len() + 1;
        if size > STATUS_LIMIT {
            break;
        }
        written.push(text);
    }
    written.reverse();
    ok_with(&format!(r#""history":[{}]"#, written.join(",")))
}
