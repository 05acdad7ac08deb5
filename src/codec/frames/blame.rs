//! How long starts have taken, on the wire. Times are seconds since 1970, with three decimals.

use serde::{Deserialize, Serialize};

use super::page::page;
use super::report;
use crate::api::{self, BlameRow, WallClock};

/// The first start of a process since the daemon began; until that has come about, the one that was asked for last.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BlameItem {
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: String,
    /// When somebody asked for it.
    pub asked: f64,
    /// When it was executed, the last time before it was ready; absent: not yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spawned: Option<f64>,
    /// When it was `RUNNING`, or had completed, for the first time; absent: not yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready: Option<f64>,
    /// How often it was executed until then.
    pub attempts: u32,
    /// For how long it has waited, in seconds; absent: it does not wait at present.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<f64>,
    /// What it waited for last before it was executed, or waits for now; absent: for nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waited_for: Option<WaitedFor>,
}

/// What a start has waited for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WaitedFor {
    /// What it is: `process`, or `start_slot`: others were starting.
    pub kind: String,
    /// Of a process: its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// How long starts have taken.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Blame {
    /// When the daemon began.
    pub began: f64,
    /// The starts, in the order of the configuration.
    pub processes: Vec<BlameItem>,
    /// The way to the one that was ready last of those that began with the daemon, or that are named: that one, what it
    /// waited for, what that waited for, and so on.
    pub critical_path: Vec<String>,
    /// There are more starts than a frame holds: the `offset` of the request that gets the rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<usize>,
}

impl BlameItem {
    fn new(row: &BlameRow, clock: WallClock) -> BlameItem {
        BlameItem {
            name: row.program.name.clone(),
            state: row.state.as_str().to_owned(),
            asked: clock.stamp(row.asked),
            spawned: row.spawned.map(|at| clock.stamp(at)),
            ready: row.ready.map(|at| clock.stamp(at)),
            attempts: row.attempts,
            waiting: row.waiting.map(|waiting| (waiting.as_secs_f64() * 1000.0).round() / 1000.0),
            waited_for: row.waited_for.as_ref().map(|waited_for| match waited_for {
                api::WaitedFor::Process(program) => {
                    WaitedFor { kind: "process".to_owned(), name: Some(program.name.clone()) }
                }
                api::WaitedFor::StartSlot => WaitedFor { kind: "start_slot".to_owned(), name: None },
            }),
        }
    }
}

pub(super) fn blame(blame: &api::Blame, clock: WallClock) -> Vec<u8> {
    let path: Vec<&str> = blame.critical_path.iter().map(|program| program.name.as_str()).collect();
    // Strings and numbers always serialize.
    let path = serde_json::to_string(&path).unwrap_or_default();
    let head = format!("\"began\":{},\"critical_path\":{path},", clock.stamp(blame.began));
    let items = blame.rows.iter().map(|row| BlameItem::new(row, clock));
    report::ok_with(&page(head, items, blame.offset))
}
