//! What the daemon asks of the output thread.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::follow::Subscription;
#[cfg(feature = "attach")]
use super::messages::TerminalInput;
use super::messages::{Amount, LogPart, LogStart, ProgramId, Settings, StreamKind, TaskId};
use super::responder::Responder;
use crate::models::{ListenerEvent, ProgramConfig};
use crate::process::{Generation, StdinRefusal};
use crate::util::latch::Pending;

/// One message to the thread. Dropping one that owes an answer answers "internal error".
pub(super) enum Command {
    Configure {
        program: ProgramId,
        config: Arc<ProgramConfig>,
    },
    Attach {
        program: ProgramId,
        generation: Generation,
        pid: i32,
        stdout: Option<OwnedFd>,
        stderr: Option<OwnedFd>,
    },
    AttachStdin {
        program: ProgramId,
        generation: Generation,
        fd: OwnedFd,
    },
    WriteStdin {
        program: ProgramId,
        bytes: Arc<[u8]>,
        responder: Responder<Result<(), StdinRefusal>>,
    },
    /// The terminal of a new run.
    #[cfg(feature = "attach")]
    AttachTerminal {
        program: ProgramId,
        generation: Generation,
        pid: i32,
        terminal: OwnedFd,
    },
    /// From here on.
    #[cfg(feature = "attach")]
    Watch {
        program: ProgramId,
        stream: StreamKind,
        subscription: Arc<Subscription>,
    },
    #[cfg(feature = "attach")]
    TypeIn {
        program: ProgramId,
        keyboard: Arc<dyn TerminalInput>,
    },
    /// Everything before was done.
    #[cfg(feature = "attach")]
    Barrier {
        responder: Responder<()>,
    },
    TellListeners {
        kind: ListenerEvent,
        payload: Arc<str>,
    },
    SetListenerRunning {
        program: ProgramId,
        is_running: bool,
    },
    TellSilence {
        program: ProgramId,
        generation: Generation,
        long: Duration,
    },
    LeaderExited {
        program: ProgramId,
        generation: Generation,
    },
    RunEnded {
        program: ProgramId,
        generation: Generation,
    },
    Remove {
        program: ProgramId,
    },
    AttachTask {
        task: TaskId,
        program: Option<ProgramId>,
        output: OwnedFd,
    },
    TaskExited {
        task: TaskId,
    },
    SetDefault {
        settings: Settings,
    },
    Reopen,
    Tail {
        program: ProgramId,
        stream: StreamKind,
        bytes: usize,
        responder: Responder<Vec<u8>>,
    },
    /// How much these have written to each stream.
    #[cfg(feature = "http")]
    Written {
        programs: Vec<ProgramId>,
        responder: Responder<Vec<[u64; 2]>>,
    },
    Read {
        program: ProgramId,
        stream: StreamKind,
        from: LogStart,
        length: Option<usize>,
        responder: Responder<LogPart>,
    },
    Follow {
        program: ProgramId,
        stream: StreamKind,
        amount: Amount,
        go_on: bool,
        subscription: Arc<Subscription>,
    },
    Clear {
        program: ProgramId,
        responder: Responder<Result<(), String>>,
    },
    Shutdown {
        deadline: Instant,
        /// Dropped when all was written.
        done: Pending,
    },
}
