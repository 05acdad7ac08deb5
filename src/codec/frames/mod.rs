//! Frames and messages, as pure code: what is on the wire, without a socket.
//!
//! A frame is a big-endian `u32` length and so many bytes of UTF-8 JSON, at most [`MAX_FRAME`].

use std::fmt;

use serde::{Deserialize, Serialize};

mod access;
mod answer;
#[cfg(feature = "attach")]
mod attach;
mod blame;
mod facts;
mod flag;
mod graph;
mod page;
mod piece;
mod report;
mod request;
mod status_line;
mod waiting_for;

use crate::api::Changes;
pub use crate::api::{DaemonChanges, ProgramSettings, Setting, SettingSource};
pub use access::{Access, ProgramRights};
#[cfg(feature = "http")]
pub use answer::status_document;
pub use answer::{answer, event, event_frame, event_text, past_event};
#[cfg(feature = "attach")]
pub use attach::{Attached, AttachedInput, MAX_TYPED};
pub use blame::{Blame, BlameItem, WaitedFor};
pub use flag::Flag;
pub use graph::{GraphItem, GraphNeed};
pub use piece::Piece;
pub use report::{ChainItem, Event, EventFrame, EventItem, HistoryItem, KeyChange, NextStep, Reread, Updated, Why};
#[cfg(feature = "http")]
pub use request::parse_with;
pub use request::{DEFAULT_LINES, parse};
pub use waiting_for::WaitingFor;

pub use crate::api::{Amount, Terms, WaitFor};

/// The largest body of a frame, in bytes.
pub const MAX_FRAME: usize = 1024 * 1024;

/// Bytes of the length before the body.
pub const HEADER: usize = 4;

/// A status answer ends before this many bytes: room for the closing brackets and `next`.
const STATUS_LIMIT: usize = MAX_FRAME - 1024;

/// What one process takes of it, more or less, in bytes.
const ROOM: usize = 256;

/// The `code` of an error answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorCode {
    /// The body is not JSON.
    InvalidJson,
    /// The body is JSON, but not a request: no object, or a parameter is missing or of the wrong type.
    InvalidRequest,
    /// The body is empty.
    EmptyRequest,
    /// There is no such command.
    UnknownCommand,
    /// There is no such process or group.
    NotFound,
    /// No rule of access allows it.
    Forbidden,
    /// The frame is larger than [`MAX_FRAME`].
    TooLarge,
    /// The command was not done.
    Failed,
    /// The command is not done yet; it goes on.
    Timeout,
    /// The daemon is at fault.
    InternalError,
}

impl ErrorCode {
    /// The name on the wire, for instance `NOT_FOUND`.
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorCode::InvalidJson => "INVALID_JSON",
            ErrorCode::InvalidRequest => "INVALID_REQUEST",
            ErrorCode::EmptyRequest => "EMPTY_REQUEST",
            ErrorCode::UnknownCommand => "UNKNOWN_COMMAND",
            ErrorCode::NotFound => "NOT_FOUND",
            ErrorCode::Forbidden => "FORBIDDEN",
            ErrorCode::TooLarge => "TOO_LARGE",
            ErrorCode::Failed => "FAILED",
            ErrorCode::Timeout => "TIMEOUT",
            ErrorCode::InternalError => "INTERNAL_ERROR",
        }
    }
}

/// Why the body of a frame is no request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestError {
    /// The code of the answer.
    pub code: ErrorCode,
    /// The message of the answer.
    pub message: String,
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.message)
    }
}

impl std::error::Error for RequestError {}

/// One process in the answer to `status`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessStatus {
    /// The unique name.
    pub name: String,
    /// The state, for instance `RUNNING`.
    pub state: String,
    /// The process; null where there is none.
    pub pid: Option<i32>,
    /// Whole seconds since the process was spawned; only where one runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uptime: Option<u64>,
    /// What its health checks say; only where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthy: Option<bool>,
    /// The group that it is started and stopped with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// One line for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The exit code of the last run, if it ended with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<u8>,
    /// The signal that killed the last run, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_signal: Option<u8>,
    /// Starts without an operator since the last operator's start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restarts: Option<u64>,
    /// When it came into this state, in seconds since 1970; only once it has changed its state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// It starts with the daemon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autostart: Option<bool>,
    /// In `STOPPING`: when SIGKILL follows, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kill_at: Option<u64>,
    /// In `BACKOFF`: when the next attempt comes, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<u64>,
    /// When its schedule starts it the next time, in seconds since 1970; only where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_run: Option<u64>,
    /// Its main process is stopped by this signal (SIGSTOP and the like), whoever has sent it; only where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<u8>,
    /// That is so because somebody has asked for a pause; only where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause_requested: Option<bool>,
    /// The daemon itself does not start it; only where that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
    /// Whether it has told that it is ready; only where something tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<bool>,
    /// It is a oneshot, and has done what it is for; only where that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed: Option<bool>,
    /// The first few of what it waits for before it is executed; only where it waits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting_for: Vec<WaitingFor>,
    /// How many more there are.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub waiting_for_more: usize,
    /// The hook of it that runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook: Option<String>,
    /// What it says of itself (`STATUS=` on `$NOTIFY_SOCKET`), as plain text; only where it says something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_text: Option<String>,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// Puts the length before a body. A body that is too large becomes an error answer.
pub fn frame(body: &[u8]) -> Vec<u8> {
    match u32::try_from(body.len()) {
        Ok(length) if body.len() <= MAX_FRAME => {
            let mut frame = Vec::with_capacity(HEADER + body.len());
            frame.extend_from_slice(&length.to_be_bytes());
            frame.extend_from_slice(body);
            frame
        }
        _ => error(ErrorCode::TooLarge, "the answer is larger than a frame may be"),
    }
}

/// The answer that a command was done.
pub fn ok(message: &str) -> Vec<u8> {
    #[derive(Serialize)]
    struct Done<'a> {
        status: &'static str,
        message: &'a str,
    }
    encode(&Done { status: "ok", message })
}

/// The answer that a command was not done.
pub fn error(code: ErrorCode, message: &str) -> Vec<u8> {
    #[derive(Serialize)]
    struct Failed<'a> {
        status: &'static str,
        code: &'static str,
        message: &'a str,
    }
    encode(&Failed { status: "error", code: code.as_str(), message: bounded(message) })
}

/// Far below the limit of a frame, whatever the message quotes.
fn bounded(message: &str) -> &str {
    let end = message.char_indices().map(|(at, _)| at).find(|at| *at > 64 * 1024).unwrap_or(message.len());
    message.get(..end).unwrap_or_default()
}

/// What a reload has changed, and what needs a restart for it.
pub fn reload(changes: &Changes, needs_restart: &[String], daemon: &DaemonChanges) -> Vec<u8> {
    #[derive(Serialize)]
    struct Reloaded<'a> {
        status: &'static str,
        added: &'a [String],
        removed: &'a [String],
        changed: &'a [String],
        needs_restart: &'a [String],
        daemon: &'a DaemonChanges,
    }
    let Changes { added, removed, changed } = changes;
    encode(&Reloaded { status: "ok", added, removed, changed, needs_restart, daemon })
}

/// The states of the processes from `offset` on: as many as one frame holds. If there are more, `next` is
/// the `offset` of the request that gets them.
pub fn status(processes: &[ProcessStatus], offset: usize) -> Vec<u8> {
    // The length comes last, into the place that is kept for it: the answer is not copied once more.
    let mut body = Vec::with_capacity(ROOM.saturating_mul(processes.len().min(STATUS_LIMIT / ROOM) + 1));
    body.extend_from_slice(&[0; HEADER]);
    body.extend_from_slice(br#"{"status":"ok","processes":["#);
    let mut next = None;
    for (number, process) in processes.iter().enumerate() {
        let before = body.len();
        if number > 0 {
            body.push(b',');
        }
        status_line::write(&mut body, process);
        if body.len() > STATUS_LIMIT {
            body.truncate(before);
            next = Some(offset + number);
            break;
        }
    }
    body.push(b']');
    if let Some(next) = next {
        body.extend_from_slice(format!(",\"next\":{next}").as_bytes());
    }
    body.push(b'}');
    // Far below 4 GiB: STATUS_LIMIT.
    let length = u32::try_from(body.len() - HEADER).unwrap_or(u32::MAX);
    if let Some(place) = body.first_chunk_mut::<HEADER>() {
        *place = length.to_be_bytes();
    }
    body
}

fn encode(answer: &impl Serialize) -> Vec<u8> {
    match serde_json::to_vec(answer) {
        Ok(body) => frame(&body),
        // Strings and lists of strings always serialize; said all the same, never a panic.
        Err(_) => frame(br#"{"status":"error","code":"INTERNAL_ERROR","message":"the answer could not be written"}"#),
    }
}

/// What the head of a buffer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Head {
    /// Less than a frame.
    Partial,
    /// A whole frame with a body of so many bytes.
    Frame(usize),
    /// A length that no frame may have.
    TooLarge(usize),
}

/// Looks at the beginning of what was read.
pub fn head(buffer: &[u8]) -> Head {
    let Some(length) = buffer.first_chunk::<HEADER>() else { return Head::Partial };
    let length = u32::from_be_bytes(*length) as usize;
    if length > MAX_FRAME {
        Head::TooLarge(length)
    } else if buffer.len() < HEADER + length {
        Head::Partial
    } else {
        Head::Frame(length)
    }
}

#[cfg(test)]
mod tests;
