//! What the daemon and the output thread tell each other.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::responder::InternalError;
#[cfg(feature = "attach")]
use crate::models::WindowSize;
use crate::models::{DefaultOutput, LogFormat, LogPlace, OutputRecovery, SupervisorConfig};
pub use crate::models::{LogStart, OutputTroubleKind, StreamKind};
use crate::process::Generation;

/// Names a program towards the output thread; given by the dispatcher, never reused while in use.
pub type ProgramId = u32;

/// Names a task (a health check script, a command of a hook) towards the output thread; given by the dispatcher, never
/// reused.
pub type TaskId = u64;

/// What holds for all programs.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Where the output of programs without a log file goes.
    pub default_output: DefaultOutput,
    /// What stands before each line on the console; see
    /// [`SupervisorConfig::log_prefix`](crate::models::SupervisorConfig::log_prefix).
    pub log_prefix: Option<String>,
    /// What a line on the console looks like.
    pub log_format: LogFormat,
    /// What the daemon calls itself to event listeners.
    pub identifier: String,
    /// The escape sequences of terminals are kept and written nowhere.
    pub strip_ansi: bool,
}

impl Settings {
    /// What the configuration says.
    pub fn of(config: &SupervisorConfig) -> Settings {
        Settings {
            default_output: config.default_output,
            log_prefix: config.log_prefix.clone(),
            log_format: config.log_format,
            identifier: config.identifier.clone(),
            strip_ansi: config.strip_ansi,
        }
    }
}

/// What the output thread tells the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// The answer to [`Output::leader_exited`](super::Output::leader_exited): what was in the pipes has been written.
    Drained {
        /// The program.
        program: ProgramId,
        /// The run.
        generation: Generation,
        /// The last line of its standard error that is not empty, else of its standard output, as text of at most 512
        /// bytes.
        last_line: Option<String>,
    },
    /// Output can't be kept as it should from now on; said once, until it has recovered.
    Trouble {
        /// The program.
        program: ProgramId,
        /// Which of its streams.
        stream: StreamKind,
        /// What can't be done.
        kind: OutputTroubleKind,
        /// What failed, on what, and why.
        reason: String,
    },
    /// That is over.
    Recovered {
        /// The program.
        program: ProgramId,
        /// Which of its streams.
        stream: StreamKind,
        /// What is over, why, and what was lost.
        recovery: OutputRecovery,
    },
    /// The line has come by which the run tells that it is ready.
    ReadyLine {
        /// The program.
        program: ProgramId,
        /// The run.
        generation: Generation,
    },
    /// There was a line that the output of the run is watched for. Told at most once a second for each pattern.
    WatchedLine {
        /// The program.
        program: ProgramId,
        /// The run.
        generation: Generation,
        /// What it was held against.
        pattern: Arc<str>,
        /// The line, or its beginning.
        line: Box<str>,
    },
    /// The answer to [`Output::ask_silence`](super::Output::ask_silence).
    Silent {
        /// The program.
        program: ProgramId,
        /// The run.
        generation: Generation,
        /// For how long it has written nothing.
        silence: Duration,
    },
    /// A run of which too long a silence was told writes again.
    OutputResumed {
        /// The program.
        program: ProgramId,
        /// The run.
        generation: Generation,
    },
    /// An event listener has said what nobody understands, and gets no more events.
    ListenerLost {
        /// Which.
        program: ProgramId,
        /// The run.
        generation: Generation,
        /// What it has said.
        said: String,
    },
    /// What a task has written. Told once for each, when its pipe has ended or its leader has, whichever comes first.
    TaskOutput {
        /// The task.
        task: TaskId,
        /// What an [`OutputTail`](crate::process::OutputTail) holds of it.
        tail: Vec<u8>,
    },
}

/// How much of the newest output is wanted; never more than a megabyte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// This many lines.
    Lines(usize),
    /// This many bytes.
    Bytes(usize),
}

/// A part of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogPart {
    /// What it says there.
    pub bytes: Vec<u8>,
    /// Where in the log that begins.
    pub begin: u64,
    /// How long the log is. A log in memory counts all that was written since it began or was cleared; only the newest
    /// part is there.
    pub size: u64,
    /// Where it was read.
    pub file: LogPlace,
}

/// The most of a log that is read at once, in bytes.
const MAX_PART_BYTES: u64 = 16 * 1024 * 1024;

impl LogPart {
    /// Where in a log of this size it begins, and how long it is.
    fn range(size: u64, from: LogStart, length: Option<usize>) -> (u64, u64) {
        let begin = match from {
            LogStart::At(offset) => offset.min(size),
            LogStart::BeforeEnd(count) => size.saturating_sub(count),
        };
        let wanted = length.map_or(u64::MAX, |length| length as u64);
        (begin, wanted.min(size - begin).min(MAX_PART_BYTES))
    }

    /// Of a file.
    pub fn of_file(file: &File, from: LogStart, length: Option<usize>) -> io::Result<LogPart> {
        let found = file.metadata()?;
        let size = found.len();
        let (begin, count) = LogPart::range(size, from, length);
        let mut bytes = Vec::new();
        let mut reader = file;
        reader.seek(SeekFrom::Start(begin))?;
        reader.take(count).read_to_end(&mut bytes)?;
        let modified = u64::try_from(found.mtime()).unwrap_or(0);
        Ok(LogPart { bytes, begin, size, file: LogPlace::There { modified } })
    }

    /// Of a log that is kept in memory: `memory` is the end of `size` bytes in all. An offset counts them all, so that
    /// one who reads on from where he was gets what is new; of what is no longer there the oldest that is stands for
    /// it.
    pub(super) fn of_memory(memory: &[u8], size: u64, from: LogStart, length: Option<usize>) -> LogPart {
        let size = size.max(memory.len() as u64);
        let oldest = size - memory.len() as u64;
        let from = match from {
            LogStart::At(offset) => LogStart::At(offset.max(oldest)),
            LogStart::BeforeEnd(count) => LogStart::BeforeEnd(count.min(memory.len() as u64)),
        };
        let (begin, count) = LogPart::range(size, from, length);
        // Both lie within the memory.
        let first = usize::try_from(begin - oldest).unwrap_or(usize::MAX);
        let count = usize::try_from(count).unwrap_or(0);
        let bytes = memory.get(first..first.saturating_add(count)).unwrap_or_default().to_vec();
        LogPart { bytes, begin, size, file: LogPlace::Memory }
    }
}

/// Somebody who takes a stream's output as it comes. None of the methods may wait. Exactly one of
/// [`finish`](Self::finish) and [`fail`](Self::fail) is called, and it is the last call, whatever happens.
pub trait Follower: Send {
    /// Takes output; `false`: nobody is there any more.
    fn push(&self, bytes: &[u8]) -> bool;
    /// Whether somebody still wants it; asked now and then.
    fn is_there(&self) -> bool;
    /// Whether the program is to wait for whoever reads. That has a bound of its own.
    fn holds_up(&self, now: Instant) -> bool {
        let _ = now;
        false
    }
    /// Nothing follows: the tail was all that was wanted, the program was removed, or the daemon ends.
    fn finish(&self);
    /// The request was dropped before anything was pushed, because of an internal error.
    fn fail(&self, error: InternalError);
}

/// Somebody who types into the terminal of a program. None of the methods may wait.
#[cfg(feature = "attach")]
pub trait TerminalInput: Send + Sync {
    /// What was typed and not taken yet, so many bytes at most. Once this has given nothing, the thread is to be told
    /// of what is typed next.
    fn take(&self, most: usize) -> Vec<u8>;
    /// The size that the terminal is to have from now on, if it is another one than before. Once it is taken, the
    /// thread is to be told of the next one.
    fn take_size(&self) -> Option<WindowSize>;
    /// Whether the client is still there.
    fn is_there(&self) -> bool;
}

/// Followers of one program at most.
pub const MAX_FOLLOWERS: usize = 64;
