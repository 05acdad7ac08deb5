//! Processes: the pure state machine of one, and [`Process`], the handle that users of the crate hold.

mod handle;
mod machine;
mod moment;
mod state;

pub(crate) use handle::{Command, Control, ProcessShared};
pub use handle::{Process, ProcessError};
pub(crate) use machine::span;
pub use machine::{Action, Desired, Event, Generation, LastRun, Machine, Transition};
pub use moment::Moment;
pub use state::{Exit, ProcessState, SpawnError, SpawnStage, signal_name, signal_number};
