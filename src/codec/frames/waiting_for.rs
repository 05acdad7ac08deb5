//! What a process waits for before it is executed, on the wire.

use serde::{Deserialize, Serialize};

use crate::api::WallClock;
use crate::process::Prerequisite;

/// Something that a process waits for before it is executed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WaitingFor {
    /// What it is: `process`; `condition`, something outside (`start_when`); or `start_slot`: others are starting.
    pub kind: String,
    /// Of a process: its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Of a process: what has to hold of it: `ready`, `started`, `healthy` or `completed`. Of a condition: itself, as
    /// it is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// Of a process: its state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Of a process in `BACKOFF`: the number of the next retry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<u32>,
    /// Of a process in `BACKOFF`: how many retries may follow one another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    /// Of a process in `BACKOFF`: when the next attempt comes, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<u64>,
    /// Of a condition: what the last try has found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl WaitingFor {
    pub(super) fn new(awaited: &Prerequisite, clock: WallClock) -> WaitingFor {
        match awaited {
            Prerequisite::StartSlot => WaitingFor { kind: "start_slot".to_owned(), ..WaitingFor::default() },
            Prerequisite::Process { name, condition, state, retry } => WaitingFor {
                kind: "process".to_owned(),
                name: Some(name.to_string()),
                condition: Some(condition.as_str().to_owned()),
                state: Some(state.as_str().to_owned()),
                retry: retry.map(|(number, _, _)| number),
                retries: retry.map(|(_, of, _)| of),
                retry_at: retry.map(|(_, _, at)| clock.seconds(at)),
                detail: None,
            },
            Prerequisite::Outside { condition, detail } => WaitingFor {
                kind: "condition".to_owned(),
                condition: Some(condition.to_string()),
                detail: detail.as_deref().map(str::to_owned),
                ..WaitingFor::default()
            },
        }
    }
}
