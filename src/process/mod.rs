//! Processes: the pure state machine of one, and [`Process`], the handle that users of the crate hold.

mod cause;
mod failure;
mod handle;
mod hidden_names;
mod hook;
mod initiator;
mod last_words;
pub(crate) mod machine;
mod main_process;
pub(crate) mod moment;
pub(crate) mod notification;
mod output_fault;
pub(crate) mod readiness;
mod restart_reason;
mod scan;
mod schedule_note;
mod signal_target;
mod span;
mod state;
mod stdin;
pub(crate) mod stop_signals;
pub(crate) mod task;

pub(crate) use cause::RetryNumber;
pub use cause::{Cause, Tries, Verb};
pub use failure::Failure;
pub(crate) use handle::{Control, ProcessShared, ProcessView};
pub use handle::{Process, ProcessError};
pub use hidden_names::HIDDEN;
pub use hook::HookFailure;
pub(crate) use hook::{HOOK_GRACE_SECS, hook_seconds};
pub use initiator::{Caller, Initiator, Related, Relation, RemoteCaller};
pub use last_words::LastWords;
pub(crate) use machine::{
    Action, Condition, Desired, Event, Generation, KillWhy, Machine, PROBE_TIMEOUT_SECS, Prerequisite, Transition,
};
pub use main_process::NoMain;
pub(crate) use moment::Moment;
pub use notification::WatchdogMiss;
pub(crate) use notification::{Notification, NotifyState, WatchdogReport};
pub use output_fault::OutputFault;
pub(crate) use readiness::ReadyReport;
pub use readiness::ReadySign;
pub use restart_reason::RestartReason;
pub(crate) use scan::{ProcessFacts, ProcessId, ScanFacts, TaggedProcess};
pub use schedule_note::ScheduleNote;
pub use signal_target::SignalTarget;
pub(crate) use span::span;
pub use state::{Exit, ProcessState, SpawnError, SpawnStage, signal_name, signal_number};
pub(crate) use state::{bare_signal, signal_text};
pub use stdin::StdinRefusal;
#[cfg(feature = "xmlrpc")]
pub(crate) use stop_signals::first_stop_signal;
pub(crate) use stop_signals::stop_seconds;
pub use task::TaskEnd;
pub(crate) use task::{OutputTail, SignalReason, Task, TaskAction, TaskEvent, TaskKind, TaskSpec};
