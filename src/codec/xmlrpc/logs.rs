//! Parts of logs, as clients of supervisord are told them.

use super::calls::One;
use super::fault::{Fault, FaultCode};
use super::value::Value;
use crate::api::{Answer, Reply};
use crate::models::{LogPlace, ProgramConfig, StreamKind};

/// To clients of supervisord there is no such log: none is wanted, or it goes into the other one.
pub fn has_no_log(program: &ProgramConfig, stream: StreamKind) -> bool {
    match stream {
        StreamKind::Stdout => program.stdout_log_off,
        StreamKind::Stderr => program.stderr_log_off || program.redirect_stderr,
    }
}

/// The log that has been read is not there although there should be one: of a run that has written nothing, nobody
/// misses it.
pub fn is_missing(file: LogPlace, size: u64, has_run: bool) -> bool {
    file == LogPlace::Missing && !(has_run && size == 0)
}

/// Where the log of a stream is.
pub(super) fn log_of(program: &ProgramConfig, stream: StreamKind) -> Option<&String> {
    match stream {
        StreamKind::Stdout => program.stdout_logfile.as_ref(),
        StreamKind::Stderr => program.stderr_logfile.as_ref(),
    }
}

/// A part of a log, in the form that was asked for.
pub(super) fn log_part(what: &One, path: Option<String>, has_run: bool, answer: Answer) -> Result<Value, Fault> {
    match (what, answer) {
        (_, Err(refusal)) => Err(Fault::of(&refusal, "")),
        (One::Tail { .. }, Ok(Reply::LogRead { size, file, .. })) if is_missing(file, size, has_run) => Ok(no_tail()),
        (_, Ok(Reply::LogRead { size, file, .. })) if is_missing(file, size, has_run) => {
            Err(path.map_or(FaultCode::NoFile.bare(), |path| FaultCode::NoFile.about(path)))
        }
        (One::Tail { offset, length, .. }, Ok(Reply::LogRead { bytes, size, .. })) => {
            Ok(tail(*offset, *length, &bytes, size))
        }
        (_, Ok(Reply::LogRead { bytes, .. })) => Ok(lossy(&bytes)),
        (_, Ok(_)) => Err(FaultCode::Failed.bare()),
    }
}

/// What a client is told that follows a log that is not there.
pub(super) fn no_tail() -> Value {
    Value::Array(vec![Value::text(""), Value::Int(0), Value::Boolean(false)])
}

/// What a client that follows a log by its size is told.
fn tail(offset: i64, length: i64, bytes: &[u8], size: u64) -> Value {
    let size = i64::try_from(size).unwrap_or(i64::MAX);
    let text = if offset >= size || length <= 0 { Value::text("") } else { lossy(bytes) };
    let overflow = size > offset.saturating_add(length);
    Value::Array(vec![text, Value::Int(size), Value::Boolean(overflow)])
}

pub(super) fn lossy(bytes: &[u8]) -> Value {
    Value::text(String::from_utf8_lossy(bytes).into_owned())
}
