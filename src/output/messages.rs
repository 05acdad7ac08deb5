//! What the daemon and the output thread tell each other.

use super::responder::InternalError;
pub use crate::models::StreamKind;
use crate::models::{DefaultOutput, LogFormat, SupervisorConfig};
use crate::process::Generation;

/// Names a program towards the output thread; given by the dispatcher, never reused while in use.
pub type ProgramId = u32;

/// Names a task (a health check script) towards the output thread; given by the dispatcher, never reused.
pub type TaskId = u64;

/// What holds for all programs.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Where the output of programs without a log file goes.
    pub default_output: DefaultOutput,
    /// What stands before each line on the console; see [`SupervisorConfig::log_prefix`](crate::models::SupervisorConfig::log_prefix).
    pub log_prefix: Option<String>,
    /// What a line on the console looks like.
    pub log_format: LogFormat,
}

impl Settings {
    /// What the configuration says.
    pub fn of(config: &SupervisorConfig) -> Settings {
        Settings {
            default_output: config.default_output,
            log_prefix: config.log_prefix.clone(),
            log_format: config.log_format,
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
        /// The last line of its standard error that is not empty, else of its standard output, as text of at most 512 bytes.
        last_line: Option<String>,
    },
    /// Output can't be written and is lost from now on; said once an outage.
    Trouble {
        /// The program.
        program: ProgramId,
        /// Which of its streams.
        stream: StreamKind,
        /// What failed, on what, and why.
        text: String,
    },
    /// Output can be written again.
    Recovered {
        /// The program.
        program: ProgramId,
        /// Which of its streams.
        stream: StreamKind,
        /// Bytes of output that were not written.
        lost_bytes: u64,
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
    /// So many lines.
    Lines(usize),
    /// So many bytes.
    Bytes(usize),
}

/// Somebody who takes a stream's output as it comes. None of the methods may wait. Exactly one of
/// [`finish`](Self::finish) and [`fail`](Self::fail) is called, and it is the last call, whatever happens.
pub trait Follower: Send {
    /// Takes output; `false`: nobody is there any more.
    fn push(&self, bytes: &[u8]) -> bool;
    /// Whether somebody still wants it; asked now and then.
    fn is_there(&self) -> bool;
    /// Nothing follows: the tail was all that was wanted, the program was removed, or the daemon ends.
    fn finish(&self);
    /// The request was dropped before anything was pushed, because of an internal error.
    fn fail(&self, error: InternalError);
}

/// Followers of one program at most.
pub const MAX_FOLLOWERS: usize = 64;
