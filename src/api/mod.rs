//! What can be asked of a supervisor and what it answers, as plain data: the language between the engine and everything
//! around it. No text, no bytes, no thread. Each type has one `Display` (or one function) that words it; the codecs turn it
//! into frames.
//!
//! - [`Query`] changes nothing and is answered within the turn; [`Watch`] changes nothing and is answered later, or as a
//!   stream; [`Command`] changes something, is logged with its initiator.
//! - [`Reply`] says what a request came to, [`Refusal`] why it came to nothing.
//! - [`Announcement`] is what happened, for everybody who listens.

mod announcement;
mod command;
mod event_type;
mod exit_decision;
mod orphan_note;
mod refusal;
mod reply;
mod request;
mod status;
mod wall_clock;
mod why;

pub use announcement::{Announcement, OutputChange, PublicEvent, ReloadChange, ShutdownProgress};
pub use command::{Act, Command, LogLevel, Selector, Terms};
pub use event_type::{EventKinds, EventType};
pub use exit_decision::{ExitDecision, ExitReason};
pub use orphan_note::{Bystanders, OrphanNote};
pub use refusal::{NameHint, Reached, Refusal, ReloadFailure, RollbackReason, Unreached};
pub use reply::{Changes, DaemonChanges, KeyChange, Reply, Reread, Updated};
pub use request::{Amount, Query, Request, RequestId, WaitFor, Watch};
pub use status::{HistoryRow, StatusRow};
pub use wall_clock::WallClock;
pub use why::{LastRequest, NextStep, Why};

/// What a request came to.
pub type Answer = Result<Reply, Refusal>;

/// Names a process for as long as the daemon lives; never used again for another one.
pub type ProcId = u32;
