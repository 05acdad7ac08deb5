//! What the daemon asks of the output thread.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::Sender;

use super::follow::Subscription;
use super::messages::{Amount, ProgramId, Settings, StreamKind, TaskId};
use super::responder::Responder;
use crate::models::ProgramConfig;
use crate::process::Generation;

/// One message to the thread. Dropping one that owes an answer answers "internal error".
pub(super) enum Command {
    Configure { program: ProgramId, config: Arc<ProgramConfig> },
    Attach { program: ProgramId, generation: Generation, pid: i32, stdout: Option<OwnedFd>, stderr: Option<OwnedFd> },
    LeaderExited { program: ProgramId, generation: Generation },
    RunEnded { program: ProgramId, generation: Generation },
    Remove { program: ProgramId },
    AttachTask { task: TaskId, output: OwnedFd },
    TaskExited { task: TaskId },
    SetDefault { settings: Settings },
    Reopen,
    Tail { program: ProgramId, stream: StreamKind, bytes: usize, responder: Responder<Vec<u8>> },
    Follow { program: ProgramId, stream: StreamKind, amount: Amount, go_on: bool, subscription: Arc<Subscription> },
    Clear { program: ProgramId, responder: Responder<Result<(), String>> },
    Shutdown { deadline: Instant, done: Sender<()> },
}
