//! A part of the log of a program, as `Range` asks for it.

use super::command::answered;
use super::step::{Context, Step};
use crate::api::{LogSource, Reply, Request, Watch};
use crate::codec::http::{self, ByteRange, Response, Status};
use crate::models::{LogStart, StreamKind};

/// Bytes in one answer at most: a client asks for the next part itself.
const MAX_ANSWER_BYTES: u64 = 1024 * 1024;

/// Answers this part of the log of the stream that the query names.
pub(super) fn read(request: &http::Request, name: &str, range: ByteRange) -> Step {
    let stream = match request.head.target.parameter("stream") {
        None | Some("stdout") => StreamKind::Stdout,
        Some("stderr") => StreamKind::Stderr,
        Some(_) => {
            let message = "stream must be stdout or stderr";
            return Step::Respond(Response::error(Status::BadRequest, message, false));
        }
    };
    let (from, length) = match range {
        ByteRange::From(first, last) => {
            let length = last.map_or(MAX_ANSWER_BYTES, |last| (last - first).saturating_add(1).min(MAX_ANSWER_BYTES));
            (LogStart::At(first), length)
        }
        ByteRange::Last(count) => (LogStart::BeforeEnd(count), count.min(MAX_ANSWER_BYTES)),
    };
    let source = LogSource::Process { name: name.to_owned(), stream };
    let length = usize::try_from(length).ok();
    Step::ask(Request::Watch(Watch::ReadLog { source, from, length }), move |answer, context: Context| match answer {
        Ok(Reply::LogRead { bytes, begin, size, file: _ }) => Step::Respond(part(bytes, begin, size)),
        other => answered(other, context),
    })
}

fn part(bytes: Vec<u8>, first: u64, size: u64) -> Response {
    if bytes.is_empty() {
        let response = Response::error(Status::RangeNotSatisfiable, "the log has no such part", false);
        return response.with("Content-Range", format!("bytes */{size}"));
    }
    let last = first + bytes.len() as u64 - 1;
    let response = Response::new(Status::PartialContent, "application/octet-stream", bytes);
    response.with("Content-Range", format!("bytes {first}-{last}/{}", size.max(last + 1)))
}
