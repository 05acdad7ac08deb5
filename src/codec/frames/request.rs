//! Requests: how the body of a frame is read.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::{ErrorCode, RequestError};
#[cfg(feature = "attach")]
use crate::api::Run;
use crate::api::{
    Act, Amount, Command, EventKinds, EventType, LogLevel, LogSource, Query, Request, Selector, Terms, WaitFor, Watch,
};
#[cfg(feature = "attach")]
use crate::models::WindowSize;
use crate::models::{LogStart, Power, StreamKind, is_flag_name};
use crate::process::{SignalTarget, signal_number};
use crate::util::base64;
use crate::util::did_you_mean::closest;

/// Lines that `tail` shows unless it is asked for another number.
pub const DEFAULT_LINES: usize = 10;

/// Bytes of a log in one answer at most: six times as many in the worst of JSON still fit.
const MAX_READ_BYTES: usize = 128 * 1024;

/// The longest time that a request can name: longer than any wait, and no clock overflows by it.
const MAX_SECONDS: f64 = 365.0 * 24.0 * 3600.0;

/// Reads the body of a frame.
///
/// # Errors
/// What the client is to be answered instead.
pub fn parse(body: &[u8]) -> Result<Request, RequestError> {
    if body.is_empty() {
        return Err(RequestError { code: ErrorCode::EmptyRequest, message: "Empty request".to_owned() });
    }
    of_object(&object(body)?)
}

/// As [`parse`], of a body whose members are added to: these win. An empty body has none.
///
/// # Errors
/// As [`parse`].
#[cfg(feature = "http")]
pub fn parse_with(body: &[u8], members: Vec<(&'static str, Value)>) -> Result<Request, RequestError> {
    let mut fields = if body.is_empty() { Map::new() } else { object(body)? };
    fields.extend(members.into_iter().map(|(key, value)| (key.to_owned(), value)));
    of_object(&fields)
}

fn invalid(message: String) -> RequestError {
    RequestError { code: ErrorCode::InvalidRequest, message }
}

fn object(body: &[u8]) -> Result<Map<String, Value>, RequestError> {
    let Shallow(value) = serde_json::from_slice(body)
        .map_err(|error| RequestError { code: ErrorCode::InvalidJson, message: format!("Invalid JSON: {error}") })?;
    match value {
        Value::Object(fields) => Ok(fields),
        _ => Err(invalid("Request must be a JSON object".to_owned())),
    }
}

fn of_object(fields: &Map<String, Value>) -> Result<Request, RequestError> {
    let command = match fields.get("command") {
        Some(Value::String(command)) => command.as_str(),
        Some(_) => return Err(invalid("\"command\" must be a string".to_owned())),
        None => return Err(invalid("\"command\" is missing".to_owned())),
    };
    match read(command, &Fields(fields)) {
        Ok(Some(request)) => Ok(request),
        Ok(None) => {
            let message = format!("Unknown command: {}", command.chars().take(100).collect::<String>());
            Err(RequestError { code: ErrorCode::UnknownCommand, message })
        }
        Err(message) => Err(invalid(format!("{command}: {message}"))),
    }
}

/// `None`: there is no such command.
fn read(command: &str, fields: &Fields<'_>) -> Result<Option<Request>, String> {
    if let Some(query) = query(command, fields)? {
        return Ok(Some(Request::Query(query)));
    }
    if let Some(watch) = watch(command, fields)? {
        return Ok(Some(Request::Watch(watch)));
    }
    if let Some(act) = act(command, fields)? {
        return Ok(Some(Request::Command(act)));
    }
    Ok(change(command, fields)?.map(Request::Command))
}

/// What the engine answers at once.
fn query(command: &str, fields: &Fields<'_>) -> Result<Option<Query>, String> {
    let offset = || Ok::<_, String>(fields.number("offset")?.unwrap_or(0));
    Ok(Some(match command {
        "status" => Query::Status { name: fields.text("name")?, offset: offset()? },
        "history" => Query::History { name: fields.text("name")? },
        "graph" => Query::Graph { names: fields.texts("names")?, offset: offset()? },
        "blame" => Query::Blame { names: fields.texts("names")?, offset: offset()? },
        "pid" => Query::Pid { name: fields.text("name")? },
        "ping" => Query::Ping,
        "version" => Query::Version,
        "loglevel" if fields.text("level")?.is_none() => Query::LogLevel,
        "flags" => Query::Flags,
        "access" => Query::Access,
        "daemon" => Query::Daemon,
        "configuration" => Query::Configuration,
        _ => return Ok(None),
    }))
}

/// What is answered later, or bit by bit.
fn watch(command: &str, fields: &Fields<'_>) -> Result<Option<Watch>, String> {
    Ok(Some(match command {
        "wait" => wait(fields)?,
        "reread" => Watch::Reread { secrets: fields.flag("secrets", false)?, file: fields.text("file")? },
        "cat" => Watch::Settings { name: fields.needed("name")?, secrets: fields.flag("secrets", false)? },
        "events" => Watch::Events {
            kinds: event_kinds(&fields.texts("types")?)?,
            history: fields.number("history")?.unwrap_or(0),
        },
        "why" => Watch::Why { name: fields.needed("name")? },
        "tail" => tail(fields)?,
        "readlog" => read_log(fields)?,
        _ => return Ok(None),
    }))
}

/// What starts or stops processes.
fn act(command: &str, fields: &Fields<'_>) -> Result<Option<Command>, String> {
    let (act, on) = match command {
        "start" => (Act::Start, processes(fields)?),
        "stop" => (Act::Stop, processes(fields)?),
        "restart" => (Act::Restart { force: fields.flag("force", false)? }, processes(fields)?),
        "kill" => (Act::Kill, processes(fields)?),
        "startgroup" => (Act::Start, Selector::Group(fields.needed("name")?)),
        "stopgroup" => (Act::Stop, Selector::Group(fields.needed("name")?)),
        _ => return Ok(None),
    };
    Ok(Some(Command::Act { act, on, terms: fields.terms()? }))
}

/// The processes that `name` or `names` select.
fn processes(fields: &Fields<'_>) -> Result<Selector, String> {
    match fields.get("names") {
        Some(_) if fields.get("name").is_some() => Err("either \"name\" or \"names\"".to_owned()),
        Some(_) => Ok(Selector::Processes(fields.texts("names")?)),
        None => Ok(Selector::Process(fields.needed("name")?)),
    }
}

/// Every other command.
fn change(command: &str, fields: &Fields<'_>) -> Result<Option<Command>, String> {
    let name = || fields.needed("name");
    Ok(Some(match command {
        "signal" => {
            let target = if fields.flag("group", false)? { SignalTarget::Group } else { SignalTarget::Leader };
            Command::Signal { name: name()?, signal: signal(fields)?, target }
        }
        "update" => Command::Update { confirm: fields.seconds("confirm")?, timeout: fields.seconds("timeout")? },
        "confirm" => Command::Confirm,
        "scale" => Command::Scale {
            program: name()?,
            instances: u32::try_from(fields.number("instances")?.ok_or("\"instances\" is missing")?)
                .unwrap_or(u32::MAX),
            save: fields.flag("save", false)?,
            timeout: fields.seconds("timeout")?,
        },
        "reload" => Command::Reload { timeout: fields.seconds("timeout")? },
        "pause" => Command::Pause { name: name()? },
        "resume" => Command::Resume { name: name()? },
        "enable" => Command::SetEnabled { name: name()?, enabled: true },
        "disable" => Command::SetEnabled { name: name()?, enabled: false },
        // A word of its own: a daemon that does not know it must not read its configuration instead.
        "reloadprocess" => Command::ReloadProcess { name: name()? },
        "shutdown" => Command::Shutdown,
        "loglevel" => Command::SetLogLevel { level: log_level(&fields.needed("level")?)? },
        "setflag" => set_flag(fields, true)?,
        "clearflag" => set_flag(fields, false)?,
        "clear" => Command::ClearLogs { name: name()? },
        "stdin" => Command::Stdin { name: name()?, bytes: stdin(fields)? },
        #[cfg(feature = "attach")]
        "run" => Command::Run(Arc::new(run(fields)?)),
        #[cfg(feature = "attach")]
        "attach" => Command::Attach { name: name()?, size: window_size(fields)? },
        "reopen" => Command::ReopenLogs,
        "clearlog" => Command::ClearDaemonLog,
        "readconfig" => Command::ReadConfiguration,
        "addgroup" => Command::AddGroup { name: name()? },
        "removegroup" => Command::RemoveGroup { name: name()? },
        "sendevent" => Command::RemoteEvent { kind: fields.needed("type")?, data: fields.needed("data")? },
        "restartdaemon" => Command::RestartDaemon,
        "poweroff" => Command::Power(Power::Off),
        "reboot" => Command::Power(Power::Reboot),
        "halt" => Command::Power(Power::Halt),
        _ => return Ok(None),
    }))
}

fn signal(fields: &Fields<'_>) -> Result<u8, String> {
    let word = fields.needed("signal")?;
    signal_number(&word).ok_or_else(|| format!("'{word}' is no signal; use HUP, USR1, TERM and the like, or a number"))
}

fn log_level(word: &str) -> Result<LogLevel, String> {
    LogLevel::from_name(word).ok_or_else(|| {
        let word = word.trim().to_ascii_uppercase();
        format!("there is no level '{word}'; use DEBUG, INFO, WARNING, ERROR or CRITICAL")
    })
}

fn set_flag(fields: &Fields<'_>, is_set: bool) -> Result<Command, String> {
    let name = fields.needed("name")?;
    if !is_flag_name(&name) {
        return Err("the name of a flag has at most 64 letters, digits, -, _ and .".to_owned());
    }
    Ok(Command::SetFlag { name, is_set })
}

/// All types with one of these names, in any case, whole or a part of it between underscores; every type without a
/// name.
fn event_kinds(words: &[String]) -> Result<EventKinds, String> {
    if words.is_empty() {
        return Ok(EventKinds::ALL);
    }
    let mut kinds = EventKinds::NONE;
    for word in words {
        let wanted = word.trim().to_ascii_uppercase();
        let fits = |kind: EventType| {
            let name = kind.as_str();
            name == wanted || name.ends_with(&format!("_{wanted}")) || name.starts_with(&format!("{wanted}_"))
        };
        if !kinds.add(fits) {
            let hint = match closest(&wanted, EventType::ALL.iter().map(|kind| kind.as_str())) {
                Some(name) => format!("did you mean {name}?"),
                None => "use RUNNING, FATAL, HEALTHCHECK and the like".to_owned(),
            };
            return Err(format!("there is no event type '{word}'; {hint}"));
        }
    }
    Ok(kinds)
}

fn wait(fields: &Fields<'_>) -> Result<Watch, String> {
    let name = fields.needed("name")?;
    let word = fields.needed("for")?;
    let until = WaitFor::from_name(&word).ok_or("\"for\" must be running, healthy, stopped or exited")?;
    Ok(Watch::Wait { name, until, timeout: fields.seconds("timeout")? })
}

fn stream(fields: &Fields<'_>) -> Result<StreamKind, String> {
    match fields.text("stream")?.as_deref() {
        None | Some("stdout") => Ok(StreamKind::Stdout),
        Some("stderr") => Ok(StreamKind::Stderr),
        Some(_) => Err("\"stream\" must be stdout or stderr".to_owned()),
    }
}

/// A part of a log: what a frame holds of it at most.
fn read_log(fields: &Fields<'_>) -> Result<Watch, String> {
    let source = match fields.text("name")? {
        Some(name) => LogSource::Process { name, stream: stream(fields)? },
        None => LogSource::Daemon,
    };
    let length = fields.number("bytes")?.unwrap_or(MAX_READ_BYTES).min(MAX_READ_BYTES);
    let from = match fields.number("offset")? {
        Some(offset) => LogStart::At(offset as u64),
        None => LogStart::BeforeEnd(length as u64),
    };
    Ok(Watch::ReadLog { source, from, length: Some(length) })
}

fn tail(fields: &Fields<'_>) -> Result<Watch, String> {
    let name = fields.needed("name")?;
    let stream = stream(fields)?;
    let follow = fields.flag("follow", false)?;
    let amount = match (fields.number("lines")?, fields.number("bytes")?) {
        (Some(lines), None) => Amount::Lines(lines),
        (None, Some(bytes)) => Amount::Bytes(bytes),
        (None, None) => Amount::Lines(DEFAULT_LINES),
        (Some(_), Some(_)) => return Err("either \"lines\" or \"bytes\"".to_owned()),
    };
    Ok(Watch::Tail { name, stream, amount, follow })
}

fn stdin(fields: &Fields<'_>) -> Result<Arc<[u8]>, String> {
    match (fields.text("text")?, fields.text("base64")?) {
        (Some(text), None) => Ok(text.into_bytes().into()),
        (None, Some(coded)) => base64::decode(&coded).map(Arc::from).ok_or_else(|| "\"base64\" is none".to_owned()),
        (Some(_), Some(_)) | (None, None) => Err("either \"text\" or \"base64\"".to_owned()),
    }
}

/// A program that is to be run.
#[cfg(feature = "attach")]
fn run(fields: &Fields<'_>) -> Result<Run, String> {
    let command = fields.texts("argv")?;
    if command.is_empty() {
        return Err("\"argv\" is missing".to_owned());
    }
    let setting = |text: String| match text.split_once('=') {
        Some((key, value)) => Ok((key.trim().to_owned(), value.trim().to_owned())),
        None => Err(format!("'{text}' is no setting; write KEY=VALUE")),
    };
    let settings = fields.texts("settings")?.into_iter().map(setting).collect::<Result<_, _>>()?;
    Ok(Run {
        name: fields.text("name")?,
        command,
        settings,
        tty: fields.flag("tty", false)?,
        term: fields.text("term")?,
        size: window_size(fields)?,
        attached: fields.flag("attach", false)?,
        timeout: fields.seconds("timeout")?,
    })
}

/// The size of the window that the client sits at.
#[cfg(feature = "attach")]
fn window_size(fields: &Fields<'_>) -> Result<Option<WindowSize>, String> {
    let side = |key: &str| match fields.number(key)? {
        None => Ok(None),
        Some(number) => u16::try_from(number).map(Some).map_err(|_| format!("\"{key}\" is above {}", u16::MAX)),
    };
    let sides = side("rows")?.zip(side("columns")?);
    Ok(sides.map(|(rows, columns)| WindowSize { rows, columns }))
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
        let no_strings = || format!("\"{key}\" must be an array of strings");
        match self.get(key) {
            None => Ok(Vec::new()),
            Some(Value::String(text)) => Ok(vec![text.clone()]),
            Some(Value::Array(items)) if items.len() > MAX_ITEMS => {
                Err(format!("\"{key}\" has more than {MAX_ITEMS} strings"))
            }
            Some(Value::Array(items)) => {
                let texts: Option<Vec<String>> = items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
                texts.ok_or_else(no_strings)
            }
            Some(_) => Err(no_strings()),
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
                Some(seconds) => Ok(Some(Duration::from_secs_f64(seconds.min(MAX_SECONDS)))),
                None => Err(format!("\"{key}\" must be a number of seconds")),
            },
        }
    }

    fn terms(&self) -> Result<Terms, String> {
        let only = self.flag("only", false)?;
        Ok(Terms { wait: self.flag("wait", true)?, timeout: self.seconds("timeout")?, only })
    }
}

/// Parameters of a request that are looked at; more than any command has.
pub(super) const MAX_PARAMETERS: usize = 32;

/// Strings in an array of a request: enough to name every process.
pub(super) const MAX_ITEMS: usize = 16 * 1024;

/// A request as read: an object keeps its first [`MAX_PARAMETERS`] members, an array of strings in it its first items,
/// one more than [`MAX_ITEMS`] at most. Of another array only a null is kept, which shows that it is another one, and
/// all else inside the request is left empty. A megabyte of `[0,0,…` would otherwise take sixteen times its size here.
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
        while self.depth == 1 && kept.len() <= MAX_ITEMS {
            let Some(item) = items.next_element_seed(ShallowVisitor { depth: 2 })? else {
                return Ok(Value::Array(kept));
            };
            if !item.is_string() {
                // Refused as a whole where strings are wanted: without this item it would say something else.
                kept = vec![Value::Null];
                break;
            }
            kept.push(item);
        }
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Array(kept))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while self.depth == 0 && fields.len() < MAX_PARAMETERS {
            let Some(key) = members.next_key::<String>()? else { return Ok(Value::Object(fields)) };
            fields.insert(key, members.next_value_seed(ShallowVisitor { depth: 1 })?);
        }
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::Object(fields))
    }
}
