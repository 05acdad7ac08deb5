//! supervisord's interface: `POST /RPC2`, `GET /logtail/NAME` and `GET /mainlogtail`.

use std::time::{Duration, UNIX_EPOCH};

use super::executable::inspect;
use super::step::{Context, Step, Stream};
use crate::api::{Amount, Answer, LogSource, Refusal, Reply, Request, Watch};
use crate::codec::http::{self, Response, Status, StreamHead};
use crate::codec::xmlrpc::{self, Exchange, FaultCode, LocalClock, Lookup, Step as RpcStep, has_no_log, is_missing};
use crate::control::feed::Item;
use crate::models::{LogPlace, LogStart, Right, StreamKind};
use crate::sys::time::local;
use crate::sys::users::lookup_user;

/// Bytes of a log that a client which follows it begins with.
const BEGIN: usize = 1024;

/// `POST /RPC2`: one call. Whoever sends what is none is told so in text: clients of supervisord expect a page.
pub(super) fn call(request: &http::Request, _: Context) -> Step {
    if request.head.field("content-length").is_none() {
        let message = "a call needs a Content-Length";
        return Step::Respond(Response::error(Status::LengthRequired, message, true));
    }
    match xmlrpc::parse(&request.body) {
        Ok(call) => {
            let (exchange, step) = Exchange::begin(call);
            advance(exchange, step)
        }
        Err(malformed) => Step::Respond(Response::error(Status::BadRequest, &malformed.to_string(), true)),
    }
}

/// `GET /ok.html`: that somebody answers, for whoever watches supervisord by it.
pub(super) fn ok_page(_: &http::Request, _: Context) -> Step {
    Step::Respond(Response::text(Status::Ok, "OK"))
}

/// Asks what has to be asked until there is a result.
fn advance(mut exchange: Exchange, step: RpcStep) -> Step {
    match step {
        // supervisorctl has no words for a fault of that kind, but for this status.
        RpcStep::Done(Err(fault)) if fault.code == FaultCode::Forbidden => {
            Step::Respond(Response::error(Status::Forbidden, &fault.text(), true))
        }
        RpcStep::Done(result) => Step::Respond(Response::new(Status::Ok, "text/xml", xmlrpc::response(&result))),
        // A disk may hang.
        RpcStep::Inspect(programs) => Step::Work(Box::new(move || {
            let faults = programs.iter().map(|program| inspect(program)).collect();
            let step = exchange.inspected(faults);
            advance(exchange, step)
        })),
        // A name service may hang.
        RpcStep::FindUsers(names) => Step::Work(Box::new(move || {
            let uids = names.iter().map(|name| lookup_user(name).ok().map(|user| user.uid)).collect();
            let step = exchange.users_found(uids);
            advance(exchange, step)
        })),
        RpcStep::Ask(request) => Step::ask(request, move |answer, context: Context| {
            let clock = LocalClock { clock: context.clock, local: stamp };
            let step = exchange.answered(answer, clock);
            advance(exchange, step)
        }),
    }
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A time as supervisord tells it: `Nov 28 11:02 PM`.
fn stamp(seconds: u64) -> String {
    let time = local(UNIX_EPOCH + Duration::from_secs(seconds));
    let month = usize::try_from(time.month - 1).ok().and_then(|month| MONTHS.get(month)).unwrap_or(&"");
    let (hour, half) = match time.hour {
        0 => (12, "AM"),
        hour @ 1..=11 => (hour, "AM"),
        12 => (12, "PM"),
        hour => (hour - 12, "PM"),
    };
    format!("{month} {:02} {hour:02}:{:02} {half}", time.day, time.minute)
}

/// `GET /logtail/NAME/STREAM`: the end of a log, and what comes.
pub(super) fn follow_log(request: &http::Request, _: Context) -> Step {
    let segments = &request.head.target.segments;
    let name = segments.get(1).map(String::as_str).unwrap_or_default();
    let stream = match segments.get(2).map(String::as_str) {
        Some("stderr") => StreamKind::Stderr,
        Some(_) | None => StreamKind::Stdout,
    };
    let lookup = Lookup::new(name);
    let Some(request) = lookup.ask(Right::Logs) else { return no_such_log() };
    Step::ask(request, move |answer, context| match lookup.found_in(answer) {
        Ok(Some(row)) if !has_no_log(&row.program, stream) => {
            let (name, amount) = (row.program.name.clone(), Amount::Bytes(BEGIN));
            let source = LogSource::Process { name: name.clone(), stream };
            let follow = Request::Watch(Watch::Tail { name, stream, amount, follow: true });
            follow_log_from(source, row.last_started.is_some(), follow)
        }
        Ok(_) => no_such_log(),
        Err(refusal) => refused(Err(refusal), context),
    })
}

/// `GET /mainlogtail`: the end of the daemon's own log, and what comes.
pub(super) fn follow_main_log(_: &http::Request, _: Context) -> Step {
    follow_log_from(LogSource::Daemon, true, Request::Watch(Watch::FollowDaemonLog { bytes: BEGIN }))
}

/// Follows a log, if it is there; whoever follows is told when it was written last.
fn follow_log_from(source: LogSource, has_run: bool, follow: Request) -> Step {
    let read = Watch::ReadLog { source, from: LogStart::BeforeEnd(0), length: Some(0) };
    Step::ask(Request::Watch(read), move |answer, context| match answer {
        Ok(Reply::LogRead { size, file, .. }) if is_missing(file, size, has_run) => no_such_log(),
        Ok(Reply::LogRead { file, .. }) => Step::Stream(follow, as_it_is(file)),
        answer => refused(answer, context),
    })
}

fn no_such_log() -> Step {
    Step::Respond(Response::text(Status::NotFound, "no such log\n"))
}

/// The bytes of a log as they were written.
fn as_it_is(file: LogPlace) -> Stream {
    let mut head =
        StreamHead { content_type: "text/plain;charset=utf-8", fields: vec![("X-Accel-Buffering", "no".into())] };
    if let LogPlace::There { modified } = file {
        head = head.with("Last-Modified", http::http_date(modified));
    }
    Stream {
        head,
        encode: Box::new(|item, _| match item {
            Item::Output { bytes, lost: _ } => bytes.clone(),
            Item::Begun | Item::Event { .. } | Item::End { .. } => Vec::new(),
            // Never sent to who speaks HTTP.
            #[cfg(feature = "attach")]
            Item::Attached { .. } | Item::Written { .. } => Vec::new(),
        }),
        is_endless: true,
        keep_alive: None,
        refused: Box::new(refused),
    }
}

/// A log that can't be followed.
fn refused(answer: Answer, _: Context) -> Step {
    let status = match &answer {
        Err(Refusal::Forbidden { .. }) => Status::Forbidden,
        Ok(_) | Err(_) => Status::NotFound,
    };
    let text = answer.map_or_else(|refusal| refusal.to_string(), |reply| reply.to_string());
    Step::Respond(Response::text(status, format!("{text}\n")))
}
