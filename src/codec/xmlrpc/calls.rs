//! Calls as data: what each asks for.

use super::fault::{Fault, FaultCode};
use super::names::Namespec;
use super::value::Value;
use crate::api::{Act, right_to};
use crate::models::{LogStart, Right, StreamKind};

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Call {
    /// Known without asking, whatever the daemon does.
    Constant(Value),
    ApiVersion,
    SupervisorVersion,
    Identification,
    State,
    Pid,
    ReadLog(Result<LogRange, Fault>),
    ClearLog,
    Shutdown,
    Restart,
    ReloadConfig,
    AddGroup(String),
    RemoveGroup(String),
    AllConfigInfo,
    RemoteEvent {
        kind: String,
        data: String,
    },
    /// Something of one process.
    One {
        spec: Namespec,
        what: One,
    },
    /// Something of all processes, or of those of a group.
    Many {
        group: Option<Namespec>,
        what: Many,
    },
    Multi(Vec<Value>),
}

/// What can be asked of one process.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum One {
    Info,
    Why,
    Start { wait: bool },
    Stop { wait: bool },
    Signal(String),
    Read { stream: StreamKind, range: Result<LogRange, Fault> },
    Tail { stream: StreamKind, offset: i64, length: i64 },
    Clear,
    Stdin(Vec<u8>),
}

impl One {
    /// What it needs.
    pub(super) fn right(&self) -> Right {
        match self {
            One::Info | One::Why => Right::Read,
            One::Start { .. } => right_to(Act::Start),
            One::Stop { .. } => right_to(Act::Stop),
            One::Signal(_) => Right::Signal,
            One::Read { .. } | One::Tail { .. } => Right::Logs,
            One::Clear => Right::Admin,
            One::Stdin(_) => Right::Stdin,
        }
    }
}

/// What can be asked of several.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Many {
    Info,
    Start { wait: bool },
    Stop { wait: bool },
    Signal(String),
    Clear,
}

impl Many {
    /// What it needs.
    pub(super) fn right(&self) -> Right {
        match self {
            Many::Info => Right::Read,
            Many::Start { .. } => right_to(Act::Start),
            Many::Stop { .. } => right_to(Act::Stop),
            Many::Signal(_) => Right::Signal,
            Many::Clear => Right::Admin,
        }
    }
}

/// A part of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LogRange {
    pub(super) from: LogStart,
    pub(super) length: Option<usize>,
}

/// Bytes of a log in one answer at most: a client that wants more asks for the next part. supervisord's clients expect
/// a whole log, and can't be told that there is more of it.
const MAX_LOG_BYTES: u32 = 16 * 1024 * 1024;

impl LogRange {
    /// As supervisord reads an offset and a length.
    pub(super) fn new(offset: i64, length: i64) -> Result<LogRange, Fault> {
        match (u64::try_from(offset), usize::try_from(length)) {
            (Ok(offset), Ok(length)) => {
                let length = if length == 0 { MAX_LOG_BYTES as usize } else { length.min(MAX_LOG_BYTES as usize) };
                Ok(LogRange { from: LogStart::At(offset), length: Some(length) })
            }
            (Err(_), Ok(0)) => Ok(LogRange::end(offset.unsigned_abs())),
            (Ok(_) | Err(_), _) => Err(FaultCode::BadArguments.bare()),
        }
    }

    /// The last bytes, this many.
    pub(super) fn end(bytes: u64) -> LogRange {
        LogRange {
            from: LogStart::BeforeEnd(bytes.min(u64::from(MAX_LOG_BYTES))),
            length: Some(MAX_LOG_BYTES as usize),
        }
    }
}
