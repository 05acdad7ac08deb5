//! Calls as data: what each asks for.

use super::fault::{Fault, FaultCode};
use super::names::Namespec;
use super::value::Value;
use crate::models::{LogStart, StreamKind};

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

/// What can be asked of several.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Many {
    Info,
    Start { wait: bool },
    Stop { wait: bool },
    Signal(String),
    Clear,
}

/// A part of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LogRange {
    pub(super) from: LogStart,
    pub(super) length: Option<usize>,
}

impl LogRange {
    /// As supervisord reads an offset and a length.
    pub(super) fn new(offset: i64, length: i64) -> Result<LogRange, Fault> {
        match (u64::try_from(offset), usize::try_from(length)) {
            (Ok(offset), Ok(length)) => {
                Ok(LogRange { from: LogStart::At(offset), length: (length > 0).then_some(length) })
            }
            (Err(_), Ok(0)) => Ok(LogRange { from: LogStart::BeforeEnd(offset.unsigned_abs()), length: None }),
            (Ok(_) | Err(_), _) => Err(FaultCode::BadArguments.bare()),
        }
    }
}
