//! Answers and events as frames: what the io thread writes.

use serde::Serialize;

use super::report::{self, Event, Explanation, NextStep, Past, Updated};
use super::{ErrorCode, ProcessStatus, frame, ok, reload, status};
use crate::api::{
    self, Answer, EventType, HistoryRow, PublicEvent, Refusal, ReloadFailure, Reply, StatusRow, WallClock,
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
        | Reply::Confirmed
        | Reply::ShuttingDown
        | Reply::PowerBegun(_)
        | Reply::LogsReopened
        | Reply::LogsCleared { .. } => ok(&reply.to_string()),
        Reply::Status { rows, offset, now } => {
            let rows: Vec<ProcessStatus> = rows.iter().map(|row| process_status(row, *now, clock)).collect();
            status(&rows, *offset)
        }
        Reply::History(rows) => report::history(rows.iter().rev().map(|row| past(row, clock))),
        Reply::Why(facts) => report::with_status(&why(facts, clock)),
        Reply::Pid(pid) => report::ok_with(&format!(r#""pid":{pid}"#)),
        Reply::Version(pid) => report::ok_with(&format!(r#""version":"{}","pid":{pid}"#, env!("CARGO_PKG_VERSION"))),
        Reply::LogLevel(level) => report::ok_with(&format!(r#""level":{}"#, serde_json::Value::from(level.as_str()))),
        Reply::Reread(found) => report::with_status(found),
        Reply::Reloaded { changes, daemon } => reload(&changes.added, &changes.removed, &changes.changed, daemon),
        Reply::Updated(updated) => report::with_status(&Updated {
            added: updated.changes.added.clone(),
            removed: updated.changes.removed.clone(),
            changed: updated.changes.changed.clone(),
            restarted: updated.restarted.clone(),
            confirm_until: updated.confirm_until.map(|at| clock.stamp(at)),
            daemon: updated.daemon.clone(),
        }),
    }
}

/// The error answer: its sentence, and behind it the same for programs.
fn refusal_frame(refusal: &Refusal) -> Vec<u8> {
    #[derive(Serialize)]
    struct Refused<'a> {
        status: &'static str,
        code: &'static str,
        message: &'a str,
        refusal: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        cause: Option<&'a Cause>,
    }
    let message = refusal.to_string();
    super::encode(&Refused {
        status: "error",
        code: code_of(refusal).as_str(),
        message: super::bounded(&message),
        refusal: refusal.kind(),
        cause: refusal.cause(),
    })
}

/// The code that the protocol has had for it from the beginning.
fn code_of(refusal: &Refusal) -> ErrorCode {
    match refusal {
        Refusal::NoSuchProcess { .. } | Refusal::NoSuchGroup { .. } => ErrorCode::NotFound,
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
        | Refusal::RereadFailed(_)
        | Refusal::ReloadFailed(_)
        | Refusal::UpdateFailed(_)
        | Refusal::ShuttingDown
        | Refusal::NotInit
        | Refusal::NotRunning { .. }
        | Refusal::NothingToConfirm { .. }
        | Refusal::Output { .. } => ErrorCode::Failed,
        Refusal::Internal => ErrorCode::InternalError,
    }
}

fn process_status(row: &StatusRow, now: Moment, clock: WallClock) -> ProcessStatus {
    let program = &row.program;
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
        paused: row.paused,
        ready: row.ready,
        completed: row.completed.then_some(true),
    }
}

fn past(row: &HistoryRow, clock: WallClock) -> Past<'_> {
    Past {
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
        next: facts.next.map(|(step, at)| NextStep { what: step.to_string(), at: clock.stamp(at) }),
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
    }
}

/// The frame of one event; `lost` were dropped just before it.
pub fn event_frame(event: &Event<'_>, lost: u64) -> Vec<u8> {
    // Strings and numbers always serialize.
    let event = serde_json::to_string(event).unwrap_or_default();
    frame(format!(r#"{{"status":"ok","event":{event},"lost":{lost},"more":true}}"#).as_bytes())
}
