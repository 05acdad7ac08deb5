//! Processes: the pure state machine of one, and [`Process`], the handle that users of the crate hold.

mod cause;
mod handle;
mod initiator;
mod last_words;
pub(crate) mod machine;
pub(crate) mod moment;
pub(crate) mod readiness;
mod scan;
mod span;
mod state;
pub(crate) mod stop_signals;
pub(crate) mod task;

pub use cause::{Cause, Failure, Tries, Verb};
pub(crate) use handle::{Control, ProcessShared, ProcessView};
pub use handle::{Process, ProcessError};
pub use initiator::{Caller, Initiator, Related, Relation};
pub use last_words::LastWords;
pub use machine::SignalTarget;
pub(crate) use machine::{Action, Awaited, Condition, Desired, Event, Generation, KillWhy, Machine, Transition};
pub(crate) use moment::Moment;
pub(crate) use readiness::ReadyReport;
pub use readiness::ReadySign;
pub(crate) use scan::{ProcessFacts, ProcessId, ScanFacts, TaggedProcess};
pub(crate) use span::span;
pub(crate) use state::signal_text;
pub use state::{Exit, ProcessState, SpawnError, SpawnStage, signal_name, signal_number};
pub(crate) use stop_signals::stop_seconds;
pub(crate) use task::{OutputTail, SignalReason, Task, TaskAction, TaskEnd, TaskEvent, TaskKind, TaskSpec};
