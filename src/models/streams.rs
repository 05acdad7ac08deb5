//! The streams of a program and the logs that are made of them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// What a program has as its standard input.
///
/// Serialized as it is written in a configuration file: `"null"`, `"pipe"`, `"file:PATH"`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Stdin {
    /// The null device: whoever reads sees an end.
    #[default]
    Null,
    /// A pipe, into which clients write.
    Pipe,
    /// A file, which is opened at every start, as the program's user and from its directory.
    File(String),
}

/// What can go wrong where output of a program is kept, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputTroubleKind {
    /// It can't be written, and is lost.
    Write,
    /// Its disk does not answer: it is kept in memory, as far as it fits.
    Stall,
    /// The copy for syslog is lost; the log beside it has all of it.
    SyslogCopy,
    /// Its file can't be rotated, and grows.
    Rotation,
}

/// What has gone wrong with output of a program, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputTrouble {
    /// What.
    pub kind: OutputTroubleKind,
    /// What failed, on what, and the system's reason.
    pub reason: Arc<str>,
}

/// Why trouble with output is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecoveryCause {
    /// What failed works again.
    Works,
    /// The stream goes elsewhere.
    Moved,
}

/// The end of a trouble with output of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputRecovery {
    /// Of which trouble.
    pub kind: OutputTroubleKind,
    /// Why.
    pub cause: RecoveryCause,
    /// Bytes of output that were lost, or are missing in the copy.
    pub lost_bytes: u64,
}

/// Where reading a log begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogStart {
    /// At this byte.
    At(u64),
    /// This many bytes before the end.
    BeforeEnd(u64),
}

/// Where a part of a log was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogPlace {
    /// In memory: there is no file for it, or its disk does not answer.
    #[default]
    Memory,
    /// In memory, because its file is not there.
    Missing,
    /// In its file.
    There {
        /// When that was written last, in seconds since 1970.
        modified: u64,
    },
}

/// One of the two streams of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamKind {
    /// Standard output; with `redirect_stderr` also standard error.
    Stdout,
    /// Standard error.
    Stderr,
}

impl StreamKind {
    /// `stdout` or `stderr`.
    pub fn as_str(self) -> &'static str {
        match self {
            StreamKind::Stdout => "stdout",
            StreamKind::Stderr => "stderr",
        }
    }
}
