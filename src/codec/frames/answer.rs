//! Answers and events as frames: what the io thread writes.

use serde::Serialize;

use super::access::Access;
use super::facts::{Configuration, Daemon, LogText};
use super::report::{self, ChainItem, Event, Explanation, NextStep, PastItem, Updated};
use super::{ErrorCode, ProcessStatus, STATUS_LIMIT, WaitingFor, blame, flag, frame, graph, ok, reload, status};
use crate::api::Persistence;
use crate::api::{
    self, Answer, ChainStep, EventType, HistoryRow, PublicEvent, Refusal, ReloadFailure, Reply, StatusRow, WallClock,
};
use crate::models::ProgramConfig;
use crate::process::{Cause, Exit, Moment, ProcessState};

/// The frame of an answer.
pub fn answer(answer: &Answer, clock: WallClock) -> Vec<u8> {
    match answer {
        Ok(reply) => reply_frame(reply, clock),
        Err(refusal) => refusal_frame(refusal),
    }
}

fn reply_frame(reply: &Reply, clock: WallClock) -> Vec<u8> {
    match reply {
        Reply::Reached { .. }
        | Reply::AlreadyThere { .. }
        | Reply::Begun { .. }
        | Reply::WaitOver { .. }
        | Reply::SignalSent { .. }
        | Reply::Paused { .. }
        | Reply::Resumed { .. }
        | Reply::ProcessReloaded { .. }
        | Reply::Confirmed
        | Reply::NothingChanged
        | Reply::ShuttingDown
        | Reply::PowerBegun(_)
        | Reply::LogsReopened
        | Reply::StdinTaken { .. }
        | Reply::DaemonLogCleared
        | Reply::GroupAdded { .. }
        | Reply::GroupRemoved { .. }
        | Reply::EventSent
        | Reply::FlagSet { .. }
        | Reply::Restarting
        | Reply::LogsCleared { .. } => ok(&reply.to_string()),
        Reply::EnabledSet { kept, .. } => match kept.as_ref().and_then(unsaved) {
            None => ok(&reply.to_string()),
            Some(why) => {
                let texts = [reply.to_string(), why].map(serde_json::Value::from);
                report::ok_with(&format!(r#""message":{},"unsaved":{}"#, texts[0], texts[1]))
            }
        },
        #[cfg(feature = "attach")]
        Reply::RunBegun { name } => {
            let texts = [reply.to_string(), name.clone()].map(serde_json::Value::from);
            report::ok_with(&format!(r#""message":{},"name":{}"#, texts[0], texts[1]))
        }
        #[cfg(feature = "attach")]
        Reply::RunEnded { name, exit } => super::Attached::ended(name, *exit, reply.to_string()).frame(),
        Reply::Each { results, also } => each_frame(results, also),
        Reply::Daemon(facts) => report::with_status(&Daemon::from(facts.as_ref())),
        Reply::Configuration(rows) => report::with_status(&Configuration::of(rows)),
        Reply::LogRead { bytes, size, begin: _, file: _ } => report::with_status(&LogText::new(bytes, *size)),
        Reply::ConfigurationRead(changes) => report::with_status(changes),
        Reply::Status { rows, offset, now, ending: _ } => {
            let rows: Vec<ProcessStatus> = rows.iter().map(|row| process_status(row, *now, clock)).collect();
            status(&rows, *offset)
        }
        Reply::Access(table) => report::with_status(&Access::of(table)),
        // Told by HTTP alone, in its words.
        #[cfg(feature = "http")]
        Reply::Readiness { .. } | Reply::Metrics(_) => ok(&reply.to_string()),
        // Asked by XML-RPC alone.
        #[cfg(feature = "xmlrpc")]
        Reply::Found { .. } => ok(&reply.to_string()),
        Reply::Blame(facts) => blame::blame(facts, clock),
        Reply::Graph { rows, offset, now } => graph::graph(rows, *offset, *now),
        Reply::History(rows) => report::history(rows.iter().rev().map(|row| past(row, clock))),
        Reply::Why(facts) => report::with_status(&why(facts, clock)),
        Reply::Pid(pid) => report::ok_with(&format!(r#""pid":{pid}"#)),
        Reply::Version(pid) => report::ok_with(&format!(r#""version":"{}","pid":{pid}"#, env!("CARGO_PKG_VERSION"))),
        Reply::LogLevel(level) => report::ok_with(&format!(r#""level":{}"#, serde_json::Value::from(level.as_str()))),
        Reply::Settings(found) => report::with_status(found),
        Reply::Flags(rows) => flag::flags(rows),
        Reply::Reread(found) => report::with_status(found),
        Reply::Reloaded { changes, daemon, outdated } => reload(changes, outdated, daemon),
        Reply::Updated(updated) => report::with_status(&Updated {
            added: updated.changes.added.clone(),
            removed: updated.changes.removed.clone(),
            changed: updated.changes.changed.clone(),
            restarted: updated.restarted.clone(),
            from_next_run: updated.from_next_run.clone(),
            confirm_until: updated.confirm_until.map(|at| clock.stamp(at)),
            daemon: updated.daemon.clone(),
            unsaved: updated.saved.as_ref().and_then(unsaved),
        }),
    }
}

/// Why what was to outlive the daemon does not.
fn unsaved(keeping: &Persistence) -> Option<String> {
    match keeping {
        Persistence::Failed(why) => Some(why.to_string()),
        Persistence::Stored | Persistence::NoDirectory | Persistence::Transient => None,
    }
}

/// The states of processes as one document, however large it becomes: for who does not read frames.
#[cfg(feature = "http")]
pub fn status_document(rows: &[StatusRow], now: Moment, clock: WallClock) -> Vec<u8> {
    let mut body = br#"{"status":"ok","processes":["#.to_vec();
    for (number, row) in rows.iter().enumerate() {
        if number > 0 {
            body.push(b',');
        }
        super::status_line::write(&mut body, &process_status(row, now, clock));
    }
    body.extend_from_slice(b"]}");
    body
}

/// An error answer: its sentence, and behind it the same for programs.
#[derive(Serialize)]
struct Refused<'a> {
    status: &'static str,
    code: &'static str,
    message: &'a str,
    refusal: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'a Cause>,
}

impl<'a> Refused<'a> {
    fn new(refusal: &'a Refusal, message: &'a str) -> Refused<'a> {
        Refused {
            status: "error",
            code: code_of(refusal).as_str(),
            message: super::bounded(message),
            refusal: refusal.kind(),
            cause: refusal.cause(),
        }
    }
}

fn refusal_frame(refusal: &Refusal) -> Vec<u8> {
    super::encode(&Refused::new(refusal, &refusal.to_string()))
}

/// What a command on several processes came to, for each. Where that is more than a frame holds, without sentences.
fn each_frame(results: &[(String, Answer)], also: &[String]) -> Vec<u8> {
    #[derive(Serialize)]
    struct Named<'a, T> {
        name: &'a str,
        #[serde(flatten)]
        result: T,
    }
    #[derive(Serialize)]
    struct Done<'a> {
        status: &'static str,
        message: &'a str,
    }
    let mut text = String::from("\"results\":[");
    for (number, (name, result)) in results.iter().enumerate() {
        if number > 0 {
            text.push(',');
        }
        let message = match result {
            _ if text.len() > STATUS_LIMIT / 2 => String::new(),
            Ok(reply) => reply.to_string(),
            Err(refusal) => refusal.to_string(),
        };
        // Strings and causes always serialize.
        let written = match result {
            Ok(_) => serde_json::to_string(&Named { name, result: Done { status: "ok", message: &message } }),
            Err(refusal) => serde_json::to_string(&Named { name, result: Refused::new(refusal, &message) }),
        };
        text.push_str(&written.unwrap_or_default());
    }
    let also = serde_json::to_string(also).unwrap_or_default();
    report::ok_with(&format!("{text}],\"also\":{also}"))
}

/// The code that the protocol has had for it from the beginning.
fn code_of(refusal: &Refusal) -> ErrorCode {
    match refusal {
        Refusal::NoSuchProcess { .. } | Refusal::NoSuchGroup { .. } => ErrorCode::NotFound,
        Refusal::Forbidden { .. } => ErrorCode::Forbidden,
        Refusal::NotReached { timed_out: true, .. }
        | Refusal::WaitFailed { timed_out: true, .. }
        | Refusal::ReloadIncomplete { timed_out: true, .. }
        | Refusal::UpdateIncomplete { timed_out: true, .. }
        | Refusal::RereadFailed(ReloadFailure::TimedOut { .. })
        | Refusal::ReloadFailed(ReloadFailure::TimedOut { .. })
        | Refusal::UpdateFailed(ReloadFailure::TimedOut { .. }) => ErrorCode::Timeout,
        Refusal::NotReached { .. }
        | Refusal::WaitFailed { .. }
        | Refusal::ReloadIncomplete { .. }
        | Refusal::UpdateIncomplete { .. }
        | Refusal::UpdateTakenBack { .. }
        | Refusal::RereadFailed(_)
        | Refusal::ReloadFailed(_)
        | Refusal::UpdateFailed(_)
        | Refusal::ShuttingDown
        | Refusal::NotInit
        | Refusal::NotRunning { .. }
        | Refusal::NoReload { .. }
        | Refusal::HookFailed { .. }
        | Refusal::NothingToConfirm { .. }
        | Refusal::Output { .. }
        | Refusal::Stdin { .. }
        | Refusal::GroupThere { .. }
        | Refusal::GroupRunning { .. }
        | Refusal::TooManyFlags { .. }
        | Refusal::NotScalable { .. }
        | Refusal::NoLog { .. }
        | Refusal::CannotRestart => ErrorCode::Failed,
        #[cfg(feature = "attach")]
        Refusal::NoTerminal { .. } | Refusal::Run { .. } => ErrorCode::Failed,
        Refusal::Internal => ErrorCode::InternalError,
    }
}

fn process_status(row: &StatusRow, now: Moment, clock: WallClock) -> ProcessStatus {
    let program = &row.program;
    let (awaited, more) = row.condition.awaited();
    ProcessStatus {
        name: program.name.clone(),
        state: row.state.as_str().to_owned(),
        pid: row.pid,
        uptime: row.started_at.map(|start| now.saturating_duration_since(start).as_secs()),
        healthy: row.healthy,
        group: Some(program.group_name().to_owned()),
        description: Some(row.describe(now)),
        exit_code: match row.last_exit {
            Some(Exit::Code(code)) => Some(code),
            Some(Exit::Signal(_)) | None => None,
        },
        exit_signal: match row.last_exit {
            Some(Exit::Signal(signal)) => Some(signal),
            Some(Exit::Code(_)) | None => None,
        },
        restarts: Some(row.restarts),
        since: row.since.map(|at| clock.seconds(at)),
        autostart: Some(program.autostart),
        kill_at: row.kill_at.map(|at| clock.seconds(at)),
        retry_at: row.retry_at.map(|at| clock.seconds(at)),
        next_run: row.next_run.and_then(|next| next.seconds(clock)),
        paused: row.paused,
        pause_requested: (row.pause_requested && row.paused.is_some()).then_some(true),
        disabled: row.disabled.then_some(true),
        ready: row.ready,
        completed: row.completed.then_some(true),
        waiting_for: awaited.iter().map(|awaited| WaitingFor::new(awaited, clock)).collect(),
        waiting_for_more: more,
        hook: row.hook.map(|hook| hook.hook.as_str().to_owned()),
        status_text: row.notify_state.as_ref().and_then(|told| told.status.as_deref()).map(str::to_owned),
    }
}

fn past(row: &HistoryRow, clock: WallClock) -> PastItem<'_> {
    PastItem {
        time: clock.stamp(row.at),
        name: &row.program.name,
        from_state: row.from.as_str(),
        to_state: row.to.as_str(),
        pid: row.pid,
        cause: row.cause.to_string(),
        cause_data: &row.cause,
    }
}

fn why(facts: &api::Why, clock: WallClock) -> Explanation<'_> {
    Explanation {
        name: &facts.program.name,
        state: facts.state.as_str(),
        lines: facts.lines(),
        history: facts.history.iter().map(|row| past(row, clock)).collect(),
        stderr: &facts.last_output,
        chain: facts.chain.steps.iter().map(|step| chain_item(step, facts.now)).collect(),
        chain_left_out: facts.chain.left_out,
        next: facts.next.map(|(step, at)| NextStep { what: step.to_string(), at: clock.stamp(at) }),
    }
}

fn chain_item(step: &ChainStep, now: Moment) -> ChainItem {
    ChainItem {
        name: step.program.name.clone(),
        condition: step.condition.as_str().to_owned(),
        state: step.state.as_str().to_owned(),
        description: step.describe(now),
    }
}

/// A transition of the past as the event that it was.
pub fn past_event(row: &HistoryRow, clock: WallClock) -> Event<'_> {
    let HistoryRow { program, at, from, to, pid, cause } = row;
    transition_event(program, (*from, *to), *pid, cause, clock.stamp(*at))
}

fn transition_event<'a>(
    program: &'a ProgramConfig,
    (from, to): (ProcessState, ProcessState),
    pid: Option<i32>,
    cause: &'a Cause,
    time: f64,
) -> Event<'a> {
    Event {
        event_type: EventType::of_state(to).as_str(),
        time,
        processname: &program.name,
        groupname: program.group_name(),
        from_state: Some(from.as_str()),
        to_state: Some(to.as_str()),
        pid,
        cause: Some(cause.to_string()),
        cause_data: Some(cause),
        message: None,
    }
}

/// What has just happened as an event.
pub fn event<'a>(event: &PublicEvent<'a>, clock: WallClock) -> Event<'a> {
    match *event {
        PublicEvent::Transition { program, at, transition } => {
            let states = (transition.from, transition.to);
            transition_event(program, states, transition.pid, &transition.cause, clock.stamp(at))
        }
        PublicEvent::Health { program, at, pid, healthy: _, message } => Event {
            event_type: event.event_type().as_str(),
            time: clock.stamp(at),
            processname: &program.name,
            groupname: program.group_name(),
            pid,
            message: Some(message),
            ..Event::default()
        },
        PublicEvent::Readiness { program, at, pid, lost } => Event {
            event_type: event.event_type().as_str(),
            time: clock.stamp(at),
            processname: &program.name,
            groupname: program.group_name(),
            pid,
            message: lost.map(|message| &**message),
            ..Event::default()
        },
    }
}

/// The JSON of one event.
pub fn event_text(event: &Event<'_>) -> String {
    // Strings and numbers always serialize.
    serde_json::to_string(event).unwrap_or_default()
}

/// The frame of one event, by its JSON; `lost` were dropped just before it.
pub fn event_frame(event: &str, lost: u64) -> Vec<u8> {
    frame(format!(r#"{{"status":"ok","event":{event},"lost":{lost},"more":true}}"#).as_bytes())
}
