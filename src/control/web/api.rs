//! `/api/v1`: what frames can ask for, as resources. Each request becomes the object of a frame and is read as one, so that
//! both know the same parameters and refuse the same nonsense.

use serde_json::{Value, json};

use super::command::{answered, refused};
use super::log_range;
use super::step::{Context, Step, Stream};
use super::stream;
use crate::api::{Answer, Reply, Request};
use crate::codec::frames;
use crate::codec::http::{self, Response, Status};
use crate::util;

/// What is described here, for programs that make clients of it.
const DESCRIPTION: &str = include_str!("openapi.json");

/// What a parameter of the query is.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Text,
    /// Texts with commas between them.
    Texts,
    Number,
    Seconds,
    Flag,
}

impl Kind {
    /// What a value must be that is none.
    fn wanted(self) -> &'static str {
        match self {
            Kind::Text | Kind::Texts => "must be a text",
            Kind::Number => "must be a number",
            Kind::Seconds => "must be a number of seconds",
            Kind::Flag => "must be true or false",
        }
    }
}

/// The parameters of what is done to a program.
const ACT: &[(&str, Kind)] = &[("wait", Kind::Flag), ("timeout", Kind::Seconds)];
const STOP: &[(&str, Kind)] = &[("wait", Kind::Flag), ("timeout", Kind::Seconds), ("only", Kind::Flag)];
const RESTART: &[(&str, Kind)] =
    &[("wait", Kind::Flag), ("timeout", Kind::Seconds), ("only", Kind::Flag), ("force", Kind::Flag)];
const SIGNAL: &[(&str, Kind)] = &[("signal", Kind::Text), ("group", Kind::Flag)];

/// The members of a frame's object.
type Members = Vec<(&'static str, Value)>;

/// `GET /api/v1/status`
pub(super) fn status(request: &http::Request, _: Context) -> Step {
    ask("status", Vec::new(), request, &[("name", Kind::Text)], rows)
}

/// `GET /api/v1/programs/NAME`
pub(super) fn program(request: &http::Request, _: Context) -> Step {
    ask("status", named(request), request, &[], rows)
}

/// `GET /api/v1/programs/NAME/why`
pub(super) fn why(request: &http::Request, _: Context) -> Step {
    ask("why", named(request), request, &[], answered)
}

/// `GET /api/v1/programs/NAME/history`
pub(super) fn history(request: &http::Request, _: Context) -> Step {
    ask("history", named(request), request, &[], answered)
}

/// `GET /api/v1/history`
pub(super) fn whole_history(request: &http::Request, _: Context) -> Step {
    ask("history", Vec::new(), request, &[], answered)
}

/// `GET /api/v1/programs/NAME/graph`
pub(super) fn graph(request: &http::Request, _: Context) -> Step {
    let names = name_of(request).map_or_else(Vec::new, |name| vec![("names", json!([name]))]);
    ask("graph", names, request, &[], answered)
}

/// `GET /api/v1/graph`
pub(super) fn whole_graph(request: &http::Request, _: Context) -> Step {
    ask("graph", Vec::new(), request, &[("names", Kind::Texts), ("offset", Kind::Number)], answered)
}

/// `GET /api/v1/access`
pub(super) fn access(request: &http::Request, _: Context) -> Step {
    ask("access", Vec::new(), request, &[], answered)
}

/// `GET /api/v1/version`
pub(super) fn version(request: &http::Request, _: Context) -> Step {
    ask("version", Vec::new(), request, &[], answered)
}

/// `GET /api/v1/programs/NAME/config`
pub(super) fn config(request: &http::Request, _: Context) -> Step {
    ask("status", named(request), request, &[], |answer, context| match answer {
        Ok(Reply::Status { rows, .. }) => {
            let config = rows.first().map(|row| util::json::value_of(&*row.program)).unwrap_or_default();
            let document = json!({"status": "ok", "config": without_secrets(config)});
            Step::Respond(Response::json(Status::Ok, document.to_string().into_bytes()))
        }
        other => answered(other, context),
    })
}

/// Values of variables may be secrets.
fn without_secrets(mut config: Value) -> Value {
    if let Some(variables) = config.get_mut("environment").and_then(Value::as_object_mut) {
        variables.values_mut().for_each(|value| *value = "(hidden)".into());
    }
    config
}

/// `POST /api/v1/programs/NAME/start`
pub(super) fn start(request: &http::Request, _: Context) -> Step {
    ask("start", named(request), request, ACT, answered)
}

/// `POST /api/v1/programs/NAME/stop`
pub(super) fn stop(request: &http::Request, _: Context) -> Step {
    ask("stop", named(request), request, STOP, answered)
}

/// `POST /api/v1/programs/NAME/restart`
pub(super) fn restart(request: &http::Request, _: Context) -> Step {
    ask("restart", named(request), request, RESTART, answered)
}

/// `POST /api/v1/programs/NAME/kill`
pub(super) fn kill(request: &http::Request, _: Context) -> Step {
    ask("kill", named(request), request, STOP, answered)
}

/// `POST /api/v1/programs/NAME/signal`
pub(super) fn signal(request: &http::Request, _: Context) -> Step {
    ask("signal", named(request), request, SIGNAL, answered)
}

/// `POST /api/v1/programs/NAME/pause`
pub(super) fn pause(request: &http::Request, _: Context) -> Step {
    ask("pause", named(request), request, &[], answered)
}

/// `POST /api/v1/programs/NAME/resume`
pub(super) fn resume(request: &http::Request, _: Context) -> Step {
    ask("resume", named(request), request, &[], answered)
}

/// `POST /api/v1/programs/NAME/disable`
pub(super) fn disable(request: &http::Request, _: Context) -> Step {
    ask("disable", named(request), request, &[], answered)
}

/// `POST /api/v1/programs/NAME/enable`
pub(super) fn enable(request: &http::Request, _: Context) -> Step {
    ask("enable", named(request), request, &[], answered)
}

/// `POST /api/v1/programs/NAME/scale`
pub(super) fn scale(request: &http::Request, _: Context) -> Step {
    ask("scale", named(request), request, &[("instances", Kind::Number), ("save", Kind::Flag)], answered)
}

/// `POST /api/v1/programs/NAME/reload`: it reads its own configuration again.
pub(super) fn reload_program(request: &http::Request, _: Context) -> Step {
    ask("reloadprocess", named(request), request, &[], answered)
}

/// `GET /api/v1/programs/NAME/settings`
pub(super) fn settings(request: &http::Request, _: Context) -> Step {
    ask("cat", named(request), request, &[], answered)
}

/// `GET /api/v1/flags`
pub(super) fn flags(request: &http::Request, _: Context) -> Step {
    ask("flags", Vec::new(), request, &[], answered)
}

/// `GET /api/v1/programs/NAME/log`
pub(super) fn log(request: &http::Request, _: Context) -> Step {
    if let Some(range) = request.head.range() {
        return log_range::read(request, name_of(request).map_or("", String::as_str), range);
    }
    let known = &[("stream", Kind::Text), ("lines", Kind::Number), ("bytes", Kind::Number), ("follow", Kind::Flag)];
    let follows = request.head.target.parameter("follow").is_some_and(|text| flag(text) == Some(true));
    stream("tail", named(request), request, known, stream::output(&request.head, follows))
}

/// `GET /api/v1/events`
pub(super) fn events(request: &http::Request, _: Context) -> Step {
    let resumed = stream::Resumed::of(&request.head);
    let mut members: Members = Vec::new();
    // What was missed is among what is remembered.
    members.extend(resumed.is_some().then_some(("history", stream::REPLAYED.into())));
    let known = &[("types", Kind::Texts), ("history", Kind::Number), ("names", Kind::Texts)];
    let names = request.head.target.parameter("names").map(texts).unwrap_or_default();
    stream("events", members, request, known, stream::events(names, resumed))
}

/// `GET /api/v1/openapi.json`
pub(super) fn description(_: &http::Request, _: Context) -> Step {
    let text = DESCRIPTION.replace("VERSION", env!("CARGO_PKG_VERSION"));
    Step::Respond(Response::json(Status::Ok, text.into_bytes()))
}

/// The name that stands behind `/api/v1/programs/`.
fn name_of(request: &http::Request) -> Option<&String> {
    request.head.target.segments.get(3)
}

fn named(request: &http::Request) -> Members {
    name_of(request).map(|name| ("name", name.as_str().into())).into_iter().collect()
}

fn ask(
    command: &'static str,
    members: Members,
    request: &http::Request,
    known: &[(&'static str, Kind)],
    next: fn(Answer, Context) -> Step,
) -> Step {
    match read(command, members, request, known) {
        Ok(asked) => Step::ask(asked, next),
        Err(response) => Step::Respond(*response),
    }
}

fn stream(
    command: &'static str,
    members: Members,
    request: &http::Request,
    known: &[(&'static str, Kind)],
    stream: Stream,
) -> Step {
    match read(command, members, request, known) {
        Ok(asked) => Step::Stream(asked, stream),
        Err(response) => Step::Respond(*response),
    }
}

/// The request of a frame: the members of the body, then those of the query, then these.
fn read(
    command: &'static str,
    members: Members,
    request: &http::Request,
    known: &[(&'static str, Kind)],
) -> Result<Request, Box<Response>> {
    let mut all = Members::new();
    for (key, text) in &request.head.target.query {
        let found = known.iter().find(|(name, _)| *name == key);
        let member = found.and_then(|(name, kind)| Some((*name, value(text, *kind)?)));
        let Some(member) = member else {
            let wrong = match found {
                Some((_, kind)) => kind.wanted(),
                None => "is no parameter here",
            };
            let message = format!("{}={}: {wrong}", shown(key), shown(text));
            return Err(Box::new(Response::error(Status::BadRequest, &message, false)));
        };
        all.push(member);
    }
    all.extend(members);
    all.push(("command", command.into()));
    frames::parse_with(&request.body, all).map_err(|error| Box::new(refused(&error)))
}

fn shown(text: &str) -> String {
    text.chars().take(100).collect()
}

fn value(text: &str, kind: Kind) -> Option<Value> {
    Some(match kind {
        Kind::Text => text.into(),
        Kind::Texts => texts(text).into(),
        Kind::Number => text.parse::<u64>().ok()?.into(),
        Kind::Seconds => text.parse::<f64>().ok().filter(|seconds| seconds.is_finite())?.into(),
        Kind::Flag => flag(text)?.into(),
    })
}

fn texts(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// One that is named without a value is set.
fn flag(text: &str) -> Option<bool> {
    match text {
        "" | "1" | "true" | "yes" => Some(true),
        "0" | "false" | "no" => Some(false),
        _ => None,
    }
}

/// All rows as one document, however many there are.
fn rows(answer: Answer, context: Context) -> Step {
    match answer {
        Ok(Reply::Status { rows, now, .. }) => {
            Step::Respond(Response::json(Status::Ok, frames::status_document(&rows, now, context.clock)))
        }
        other => answered(other, context),
    }
}
