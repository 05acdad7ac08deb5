//! Frames and messages, as pure code: what is on the wire, without a socket.
//!
//! A frame is a big-endian `u32` length and so many bytes of UTF-8 JSON, at most [`MAX_FRAME`].

use std::fmt;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::sys::machine::Power;

/// The largest body of a frame, in bytes.
pub const MAX_FRAME: usize = 1024 * 1024;

/// Bytes of the length before the body.
pub const HEADER: usize = 4;

/// A status answer ends before this many bytes: room for the closing brackets and `next`.
const STATUS_LIMIT: usize = MAX_FRAME - 1024;

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

/// What a client may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// The state of one process, or of all from `offset` on.
    Status {
        /// The one.
        name: Option<String>,
        /// How many to skip: the `next` of the answer before.
        offset: Option<usize>,
    },
    /// Start a process.
    Start {
        /// Which.
        name: String,
    },
    /// Stop a process.
    Stop {
        /// Which.
        name: String,
    },
    /// Stop a process and start it again.
    Restart {
        /// Which.
        name: String,
        /// By SIGKILL.
        force: bool,
    },
    /// Start all members of a group.
    StartGroup {
        /// Which group.
        name: String,
    },
    /// Stop all members of a group.
    StopGroup {
        /// Which group.
        name: String,
    },
    /// Read the configuration again.
    Reload,
    /// The newest output of a process, and what follows; see [`super::stream`] for the answer.
    Tail {
        /// Which.
        name: String,
        /// Its standard error instead of its standard output.
        stderr: bool,
        /// How much.
        amount: Amount,
        /// Go on with what it writes from now on, until the client closes the connection.
        follow: bool,
    },
    /// Empty the log files of a process.
    Clear {
        /// Which.
        name: String,
    },
    /// Open all log files anew.
    Reopen,
    /// Ends everything, and then turns the machine off: for the kernel's init alone.
    Power(Power),
}

/// How much of the newest output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// So many lines.
    Lines(usize),
    /// So many bytes.
    Bytes(usize),
}

/// Lines that `tail` shows unless it is asked for another number.
pub const DEFAULT_LINES: usize = 10;

impl Request {
    /// Reads the body of a frame.
    ///
    /// # Errors
    /// What the client is to be answered instead.
    pub fn parse(body: &[u8]) -> Result<Request, RequestError> {
        let invalid = |message: String| RequestError { code: ErrorCode::InvalidRequest, message };
        if body.is_empty() {
            return Err(RequestError { code: ErrorCode::EmptyRequest, message: "Empty request".to_owned() });
        }
        let Shallow(value) = serde_json::from_slice(body).map_err(|error| RequestError {
            code: ErrorCode::InvalidJson,
            message: format!("Invalid JSON: {error}"),
        })?;
        let Value::Object(fields) = value else {
            return Err(invalid("Request must be a JSON object".to_owned()));
        };
        let command = match fields.get("command") {
            Some(Value::String(command)) => command.as_str(),
            Some(_) => return Err(invalid("\"command\" must be a string".to_owned())),
            None => return Err(invalid("\"command\" is missing".to_owned())),
        };
        let name = || text(&fields, "name").and_then(|name| name.ok_or("\"name\" is missing".to_owned()));
        let request = match command {
            "status" => {
                let offset = match fields.get("offset") {
                    None | Some(Value::Null) => Ok(None),
                    Some(value) => match value.as_u64().and_then(|number| usize::try_from(number).ok()) {
                        Some(number) => Ok(Some(number)),
                        None => Err("\"offset\" must be a whole number".to_owned()),
                    },
                };
                text(&fields, "name").and_then(|name| Ok(Request::Status { name, offset: offset? }))
            }
            "start" => name().map(|name| Request::Start { name }),
            "stop" => name().map(|name| Request::Stop { name }),
            "restart" => {
                let force = match fields.get("force") {
                    None | Some(Value::Null) => Ok(false),
                    Some(Value::Bool(force)) => Ok(*force),
                    Some(_) => Err("\"force\" must be true or false".to_owned()),
                };
                name().and_then(|name| Ok(Request::Restart { name, force: force? }))
            }
            "startgroup" => name().map(|name| Request::StartGroup { name }),
            "stopgroup" => name().map(|name| Request::StopGroup { name }),
            "reload" => Ok(Request::Reload),
            "tail" => tail(&fields),
            "clear" => name().map(|name| Request::Clear { name }),
            "reopen" => Ok(Request::Reopen),
            "poweroff" => Ok(Request::Power(Power::Off)),
            "reboot" => Ok(Request::Power(Power::Reboot)),
            "halt" => Ok(Request::Power(Power::Halt)),
            other => {
                let message = format!("Unknown command: {}", other.chars().take(100).collect::<String>());
                return Err(RequestError { code: ErrorCode::UnknownCommand, message });
            }
        };
        request.map_err(|message| invalid(format!("{command}: {message}")))
    }
}

/// Parameters of a request that are looked at; more than any command has.
const MOST_PARAMETERS: usize = 32;

/// A request as read: an object keeps its first [`MOST_PARAMETERS`] members, and arrays and objects inside it are
/// left empty. A megabyte of `[0,0,…` would otherwise take sixteen times its size here.
struct Shallow(Value);

impl<'de> Deserialize<'de> for Shallow {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ShallowVisitor { inside: false }).map(Shallow)
    }
}

struct ShallowVisitor {
    /// Inside the request's object.
    inside: bool,
}

impl<'de> DeserializeSeed<'de> for ShallowVisitor {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ShallowVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Array(Vec::new()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while !self.inside && fields.len() < MOST_PARAMETERS {
            let Some(key) = members.next_key::<String>()? else { return Ok(Value::Object(fields)) };
            fields.insert(key, members.next_value_seed(ShallowVisitor { inside: true })?);
        }
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::Object(fields))
    }
}

fn tail(fields: &Map<String, Value>) -> Result<Request, String> {
    let name = text(fields, "name")?.ok_or("\"name\" is missing")?;
    let stderr = match text(fields, "stream")?.as_deref() {
        None | Some("stdout") => false,
        Some("stderr") => true,
        Some(_) => return Err("\"stream\" must be stdout or stderr".to_owned()),
    };
    let follow = match fields.get("follow") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(follow)) => *follow,
        Some(_) => return Err("\"follow\" must be true or false".to_owned()),
    };
    let number = |key: &str| match fields.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64() {
            Some(number) => Ok(Some(usize::try_from(number).unwrap_or(usize::MAX))),
            None => Err(format!("\"{key}\" must be a whole number")),
        },
    };
    let amount = match (number("lines")?, number("bytes")?) {
        (Some(lines), None) => Amount::Lines(lines),
        (None, Some(bytes)) => Amount::Bytes(bytes),
        (None, None) => Amount::Lines(DEFAULT_LINES),
        (Some(_), Some(_)) => return Err("either \"lines\" or \"bytes\"".to_owned()),
    };
    Ok(Request::Tail { name, stderr, amount, follow })
}

/// A parameter that is a string, if it is there.
fn text(fields: &Map<String, Value>, key: &str) -> Result<Option<String>, String> {
    match fields.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(format!("\"{key}\" must be a string")),
    }
}

/// One process in the answer to `status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Whether it starts with the daemon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autostart: Option<bool>,
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
    // Far below the limit of a frame, whatever the message quotes.
    let end = message.char_indices().map(|(at, _)| at).find(|at| *at > 64 * 1024).unwrap_or(message.len());
    encode(&Failed { status: "error", code: code.as_str(), message: message.get(..end).unwrap_or_default() })
}

/// What a reload has changed.
pub fn reload(added: &[String], removed: &[String], changed: &[String]) -> Vec<u8> {
    #[derive(Serialize)]
    struct Reloaded<'a> {
        status: &'static str,
        added: &'a [String],
        removed: &'a [String],
        changed: &'a [String],
    }
    encode(&Reloaded { status: "ok", added, removed, changed })
}

/// The states of the processes from `offset` on: as many as one frame holds. If there are more, `next` is
/// the `offset` of the request that gets them.
pub fn status(processes: &[ProcessStatus], offset: usize) -> Vec<u8> {
    let mut body = br#"{"status":"ok","processes":["#.to_vec();
    let mut next = None;
    for (number, process) in processes.iter().enumerate() {
        let before = body.len();
        if number > 0 {
            body.push(b',');
        }
        let written = serde_json::to_writer(&mut body, process).is_ok();
        if !written || body.len() > STATUS_LIMIT {
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
    frame(&body)
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
