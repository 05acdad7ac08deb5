//! What will come in.

use super::*;
use crate::output::Note;

/// News of what the system has done, or of what has happened to it.
pub enum Pending {
    Child,
    Checked {
        id: ProcId,
        generation: Generation,
        purpose: CheckPurpose,
        healthy: bool,
    },
    PathChanged {
        id: ProcId,
        generation: Generation,
    },
    ConditionSeen {
        id: ProcId,
        generation: Generation,
        condition: ConditionId,
        is_there: bool,
    },
    Readiness {
        id: ProcId,
        generation: Generation,
        report: ReadyReport,
    },
    /// A program tells of itself on `$NOTIFY_SOCKET`.
    Notified {
        id: ProcId,
        generation: Generation,
        message: Box<Notification>,
    },
    /// Its messages so far were read.
    NotificationsRead {
        id: ProcId,
        generation: Generation,
    },
    Drained {
        id: ProcId,
        generation: Generation,
    },
    /// The output thread has something to say.
    Output(Note),
    TaskOutput {
        task: TaskId,
    },
    Config {
        load: u64,
        in_force: Vec<Arc<ProgramConfig>>,
    },
    /// The output thread answers.
    Delegated {
        request: RequestId,
        answer: Box<Answer>,
    },
}
