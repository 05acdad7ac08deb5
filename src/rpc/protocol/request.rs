//! Requests: what a client may ask for, and how the body of a frame is read.

use std::time::Duration;

use serde::Deserialize;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::{ErrorCode, RequestError};
use crate::sys::machine::Power;

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
        /// How long the answer may wait.
        terms: Terms,
    },
    /// Stop a process.
    Stop {
        /// Which.
        name: String,
        /// How long the answer may wait.
        terms: Terms,
    },
    /// Stop a process and start it again.
    Restart {
        /// Which.
        name: String,
        /// By SIGKILL.
        force: bool,
        /// How long the answer may wait.
        terms: Terms,
    },
    /// Start all members of a group.
    StartGroup {
        /// Which group.
        name: String,
        /// How long the answer may wait.
        terms: Terms,
    },
    /// Stop all members of a group.
    StopGroup {
        /// Which group.
        name: String,
        /// How long the answer may wait.
        terms: Terms,
    },
    /// Stop a process by SIGKILL, at once, also one that is being stopped already.
    Kill {
        /// Which.
        name: String,
        /// How long the answer may wait.
        terms: Terms,
    },
    /// Send a signal to the process group of a present run.
    Signal {
        /// Which.
        name: String,
        /// The signal's name, with or without `SIG`, or its number.
        signal: String,
    },
    /// Wait until a process is what the client waits for.
    Wait {
        /// Which.
        name: String,
        /// For what.
        until: WaitFor,
        /// How long at most; `None`: for as long as it takes.
        timeout: Option<Duration>,
    },
    /// Read the configuration again, apply it, and restart what has changed.
    Update {
        /// Go back to the configuration before, unless `Confirm` comes in this time.
        confirm: Option<Duration>,
    },
    /// Keep what an `Update` has changed.
    Confirm,
    /// Read the configuration again and tell what it would change.
    Reread,
    /// Read the configuration again.
    Reload,
    /// Every transition and health result from now on; see [`super::super::events`] for the answer.
    Events {
        /// Which.
        selection: EventSelection,
        /// So many transitions of the past before them.
        history: usize,
    },
    /// The last transitions of one process, or of all.
    History {
        /// The one.
        name: Option<String>,
    },
    /// How a process came to its state, and what comes next.
    Why {
        /// Which.
        name: String,
    },
    /// End the daemon in order, as SIGTERM does.
    Shutdown,
    /// The process id of a process, or of the daemon.
    Pid {
        /// Which.
        name: Option<String>,
    },
    /// Whether the daemon is there.
    Ping,
    /// Which version the daemon is.
    Version,
    /// The level of the daemon's own log.
    LogLevel {
        /// The new one; `None`: only tell.
        level: Option<String>,
    },
    /// The newest output of a process, and what follows; see [`super::super::stream`] for the answer.
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

/// How long the answer to a command may wait for its effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// `false`: answer at once that the command was taken.
    pub wait: bool,
    /// The most that the answer may take; then it has the code `TIMEOUT`, and the command goes on.
    pub timeout: Option<Duration>,
}

impl Default for Terms {
    /// As long as the settings of the process allow.
    fn default() -> Self {
        Terms { wait: true, timeout: None }
    }
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitFor {
    /// It is `RUNNING` (or `UNHEALTHY`).
    Running,
    /// It is `RUNNING` and its last health check passed; without checks: it is `RUNNING`.
    Healthy,
    /// Nothing of it is left, and nothing will start by itself.
    Stopped,
    /// Its present run has ended, whatever follows.
    Exited,
}

impl WaitFor {
    /// The word in a request.
    pub fn as_str(self) -> &'static str {
        match self {
            WaitFor::Running => "running",
            WaitFor::Healthy => "healthy",
            WaitFor::Stopped => "stopped",
            WaitFor::Exited => "exited",
        }
    }

    /// What a word means.
    pub fn from_name(word: &str) -> Option<WaitFor> {
        [WaitFor::Running, WaitFor::Healthy, WaitFor::Stopped, WaitFor::Exited]
            .into_iter()
            .find(|goal| goal.as_str() == word)
    }
}

/// Which events a client wants: names of types, in any case, whole or in part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventSelection(pub Vec<String>);

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

/// The longest time that a request can name: longer than any wait, and no clock overflows by it.
const LONGEST_SECONDS: f64 = 365.0 * 24.0 * 3600.0;

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
        match read(command, &Fields(&fields)) {
            Ok(Some(request)) => Ok(request),
            Ok(None) => {
                let message = format!("Unknown command: {}", command.chars().take(100).collect::<String>());
                Err(RequestError { code: ErrorCode::UnknownCommand, message })
            }
            Err(message) => Err(invalid(format!("{command}: {message}"))),
        }
    }
}

/// `None`: there is no such command.
fn read(command: &str, fields: &Fields<'_>) -> Result<Option<Request>, String> {
    let name = || fields.needed("name");
    let request = match command {
        "status" => Request::Status { name: fields.text("name")?, offset: fields.number("offset")? },
        "start" => Request::Start { name: name()?, terms: fields.terms()? },
        "stop" => Request::Stop { name: name()?, terms: fields.terms()? },
        "restart" => Request::Restart { name: name()?, force: fields.flag("force", false)?, terms: fields.terms()? },
        "startgroup" => Request::StartGroup { name: name()?, terms: fields.terms()? },
        "stopgroup" => Request::StopGroup { name: name()?, terms: fields.terms()? },
        "kill" => Request::Kill { name: name()?, terms: fields.terms()? },
        "signal" => Request::Signal { name: name()?, signal: fields.needed("signal")? },
        "wait" => wait(fields)?,
        "update" => Request::Update { confirm: fields.seconds("confirm")? },
        "confirm" => Request::Confirm,
        "reread" => Request::Reread,
        "reload" => Request::Reload,
        "events" => Request::Events {
            selection: EventSelection(fields.texts("types")?),
            history: fields.number("history")?.unwrap_or(0),
        },
        "history" => Request::History { name: fields.text("name")? },
        "why" => Request::Why { name: name()? },
        "shutdown" => Request::Shutdown,
        "pid" => Request::Pid { name: fields.text("name")? },
        "ping" => Request::Ping,
        "version" => Request::Version,
        "loglevel" => Request::LogLevel { level: fields.text("level")? },
        "tail" => tail(fields)?,
        "clear" => Request::Clear { name: name()? },
        "reopen" => Request::Reopen,
        "poweroff" => Request::Power(Power::Off),
        "reboot" => Request::Power(Power::Reboot),
        "halt" => Request::Power(Power::Halt),
        _ => return Ok(None),
    };
    Ok(Some(request))
}

fn wait(fields: &Fields<'_>) -> Result<Request, String> {
    let name = fields.needed("name")?;
    let word = fields.needed("for")?;
    let until = WaitFor::from_name(&word).ok_or("\"for\" must be running, healthy, stopped or exited")?;
    Ok(Request::Wait { name, until, timeout: fields.seconds("timeout")? })
}

fn tail(fields: &Fields<'_>) -> Result<Request, String> {
    let name = fields.needed("name")?;
    let stderr = match fields.text("stream")?.as_deref() {
        None | Some("stdout") => false,
        Some("stderr") => true,
        Some(_) => return Err("\"stream\" must be stdout or stderr".to_owned()),
    };
    let follow = fields.flag("follow", false)?;
    let amount = match (fields.number("lines")?, fields.number("bytes")?) {
        (Some(lines), None) => Amount::Lines(lines),
        (None, Some(bytes)) => Amount::Bytes(bytes),
        (None, None) => Amount::Lines(DEFAULT_LINES),
        (Some(_), Some(_)) => return Err("either \"lines\" or \"bytes\"".to_owned()),
    };
    Ok(Request::Tail { name, stderr, amount, follow })
}

/// The parameters of a request. One that is null is one that is not there.
struct Fields<'a>(&'a Map<String, Value>);

impl Fields<'_> {
    fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    fn text(&self, key: &str) -> Result<Option<String>, String> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(format!("\"{key}\" must be a string")),
        }
    }

    fn needed(&self, key: &str) -> Result<String, String> {
        self.text(key)?.ok_or_else(|| format!("\"{key}\" is missing"))
    }

    fn texts(&self, key: &str) -> Result<Vec<String>, String> {
        match self.get(key) {
            None => Ok(Vec::new()),
            Some(Value::String(text)) => Ok(vec![text.clone()]),
            Some(Value::Array(items)) => Ok(items.iter().filter_map(Value::as_str).map(str::to_owned).collect()),
            Some(_) => Err(format!("\"{key}\" must be an array of strings")),
        }
    }

    fn flag(&self, key: &str, default: bool) -> Result<bool, String> {
        match self.get(key) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(format!("\"{key}\" must be true or false")),
        }
    }

    fn number(&self, key: &str) -> Result<Option<usize>, String> {
        match self.get(key) {
            None => Ok(None),
            Some(value) => match value.as_u64() {
                Some(number) => Ok(Some(usize::try_from(number).unwrap_or(usize::MAX))),
                None => Err(format!("\"{key}\" must be a whole number")),
            },
        }
    }

    fn seconds(&self, key: &str) -> Result<Option<Duration>, String> {
        match self.get(key) {
            None => Ok(None),
            Some(value) => match value.as_f64().filter(|seconds| *seconds >= 0.0) {
                Some(seconds) => Ok(Some(Duration::from_secs_f64(seconds.min(LONGEST_SECONDS)))),
                None => Err(format!("\"{key}\" must be a number of seconds")),
            },
        }
    }

    fn terms(&self) -> Result<Terms, String> {
        Ok(Terms { wait: self.flag("wait", true)?, timeout: self.seconds("timeout")? })
    }
}

/// Parameters of a request that are looked at; more than any command has.
pub(super) const MOST_PARAMETERS: usize = 32;

/// A request as read: an object keeps its first [`MOST_PARAMETERS`] members, an array in it as many strings, and
/// all else inside it is left empty. A megabyte of `[0,0,…` would otherwise take sixteen times its size here.
pub(super) struct Shallow(pub(super) Value);

impl<'de> Deserialize<'de> for Shallow {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ShallowVisitor { depth: 0 }).map(Shallow)
    }
}

#[derive(Clone, Copy)]
struct ShallowVisitor {
    /// 0: the request itself; 1: a parameter; 2: an item of a parameter.
    depth: u8,
}

impl<'de> DeserializeSeed<'de> for ShallowVisitor {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ShallowVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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
        let mut kept = Vec::new();
        while self.depth == 1 && kept.len() < MOST_PARAMETERS {
            let Some(item) = items.next_element_seed(ShallowVisitor { depth: 2 })? else {
                return Ok(Value::Array(kept));
            };
            kept.extend(Some(item).filter(Value::is_string));
        }
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Array(kept))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while self.depth == 0 && fields.len() < MOST_PARAMETERS {
            let Some(key) = members.next_key::<String>()? else { return Ok(Value::Object(fields)) };
            fields.insert(key, members.next_value_seed(ShallowVisitor { depth: 1 })?);
        }
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::Object(fields))
    }
}
