//! `POST /api/v1/command`: the request of a frame, and its answer.

use super::step::{Context, Step, Stream};
#[cfg(feature = "attach")]
use crate::api::Command;
use crate::api::{Answer, Refusal, ReloadFailure, Request, Watch};
use crate::codec::frames::{self, ErrorCode, RequestError};
use crate::codec::http::{self, Response, Status, StreamHead};

/// Everything that a frame can ask for.
pub(super) fn run(request: &http::Request, _: Context) -> Step {
    match frames::parse(&request.body) {
        #[cfg(feature = "attach")]
        Ok(Request::Command(Command::Attach { .. })) => Step::Respond(refused(&needs_socket())),
        #[cfg(feature = "attach")]
        Ok(Request::Command(Command::Run(run))) if run.attached => Step::Respond(refused(&needs_socket())),
        Ok(asked) if is_stream(&asked) => {
            let is_endless = !matches!(&asked, Request::Watch(Watch::Tail { follow: false, .. }));
            Step::Stream(asked, lines(is_endless))
        }
        Ok(asked) => Step::ask(asked, answered),
        Err(error) => Step::Respond(refused(&error)),
    }
}

/// Both sides send while a client is attached.
#[cfg(feature = "attach")]
fn needs_socket() -> RequestError {
    let message = "HTTP goes one way at a time: to be attached to a program, use the control socket".to_owned();
    RequestError { code: ErrorCode::InvalidRequest, message }
}

/// What is no request of a frame.
pub(super) fn refused(error: &RequestError) -> Response {
    let status = match error.code {
        ErrorCode::UnknownCommand => Status::NotFound,
        ErrorCode::TooLarge => Status::ContentTooLarge,
        ErrorCode::InvalidJson
        | ErrorCode::InvalidRequest
        | ErrorCode::EmptyRequest
        | ErrorCode::NotFound
        | ErrorCode::Forbidden
        | ErrorCode::Failed
        | ErrorCode::Timeout
        | ErrorCode::InternalError => Status::BadRequest,
    };
    json(status, frames::error(error.code, &error.message))
}

/// The answer of a frame with the status that fits it.
pub(super) fn answered(answer: Answer, context: Context) -> Step {
    let status = match &answer {
        Ok(_) => Status::Ok,
        Err(refusal) => status_of(refusal),
    };
    Step::Respond(json(status, frames::answer(&answer, context.clock)))
}

/// A frame without its length.
fn json(status: Status, frame: Vec<u8>) -> Response {
    Response::json(status, frame.get(frames::HEADER..).unwrap_or_default().to_vec())
}

/// Answered by more than one frame.
fn is_stream(request: &Request) -> bool {
    match request {
        Request::Watch(Watch::Events { .. } | Watch::Tail { .. }) => true,
        #[cfg(feature = "xmlrpc")]
        Request::Watch(Watch::FollowDaemonLog { .. }) => true,
        Request::Watch(
            Watch::Wait { .. }
            | Watch::ReadLog { .. }
            | Watch::Reread { .. }
            | Watch::Settings { .. }
            | Watch::Metrics
            | Watch::Why { .. },
        )
        | Request::Query(_)
        | Request::Command(_) => false,
    }
}

/// The frames of an answer, each a line of JSON.
fn lines(is_endless: bool) -> Stream {
    Stream {
        head: StreamHead { content_type: "application/x-ndjson", fields: Vec::new() },
        encode: Box::new(|item, more| {
            let mut line = item.frame(more).split_off(frames::HEADER);
            line.push(b'\n');
            line
        }),
        is_endless,
        keep_alive: None,
        refused: Box::new(answered),
    }
}

/// What a refusal is in the words of HTTP.
pub(super) fn status_of(refusal: &Refusal) -> Status {
    match refusal {
        Refusal::NoSuchProcess { .. } | Refusal::NoSuchGroup { .. } | Refusal::NoLog { .. } => Status::NotFound,
        Refusal::Forbidden { .. } => Status::Forbidden,
        Refusal::NotReached { timed_out: true, .. }
        | Refusal::WaitFailed { timed_out: true, .. }
        | Refusal::ReloadIncomplete { timed_out: true, .. }
        | Refusal::UpdateIncomplete { timed_out: true, .. }
        | Refusal::RereadFailed(ReloadFailure::TimedOut { .. })
        | Refusal::ReloadFailed(ReloadFailure::TimedOut { .. })
        | Refusal::UpdateFailed(ReloadFailure::TimedOut { .. }) => Status::Timeout,
        Refusal::ShuttingDown
        | Refusal::RereadFailed(ReloadFailure::ShuttingDown)
        | Refusal::ReloadFailed(ReloadFailure::ShuttingDown)
        | Refusal::UpdateFailed(ReloadFailure::ShuttingDown) => Status::Unavailable,
        Refusal::NotReached { .. }
        | Refusal::WaitFailed { .. }
        | Refusal::ReloadIncomplete { .. }
        | Refusal::UpdateIncomplete { .. }
        | Refusal::UpdateTakenBack { .. }
        | Refusal::RereadFailed(_)
        | Refusal::ReloadFailed(_)
        | Refusal::UpdateFailed(_)
        | Refusal::NotInit
        | Refusal::NoReload { .. }
        | Refusal::HookFailed { .. }
        | Refusal::NotRunning { .. }
        | Refusal::NothingToConfirm { .. }
        | Refusal::Stdin { .. }
        | Refusal::GroupThere { .. }
        | Refusal::GroupRunning { .. }
        | Refusal::TooManyFlags { .. }
        | Refusal::NotScalable { .. }
        | Refusal::CannotRestart
        | Refusal::Output { .. } => Status::Conflict,
        #[cfg(feature = "attach")]
        Refusal::NoTerminal { .. } | Refusal::Run { .. } => Status::Conflict,
        Refusal::Internal => Status::InternalError,
    }
}
