//! What can be asked of a supervisor and what it answers, as plain data: the language between the engine and everything
//! around it. No text, no bytes, no thread. Each type has one `Display` (or one function) that words it; the codecs
//! turn it into frames.
//!
//! - [`Query`] changes nothing and is answered within the turn; [`Watch`] changes nothing and is answered later, or as a
//!   stream; [`Command`] changes something, is logged with its initiator.
//! - [`Reply`] says what a request came to, [`Refusal`] why it came to nothing.
//! - [`Announcement`] is what happened, for everybody who listens.

mod access;
mod announcement;
mod blame;
mod command;
mod condition_id;
mod counts;
mod event_type;
mod exit_decision;
mod flag;
mod graph;
mod held_back;
#[cfg(feature = "http")]
mod metrics;
mod next_run;
mod orphan_note;
mod output_change;
mod persistence;
mod refusal;
mod reply;
mod request;
#[cfg(feature = "attach")]
mod run;
mod settings;
mod status;
mod wall_clock;
mod why;

pub use access::{Access, AccessTable, Needs, Object, Reader, Unlimited, needs, right_to};
pub use announcement::{Announcement, PublicEvent, ReloadChange, ShutdownProgress};
pub use blame::{Blame, BlameRow, WaitedFor};
pub use command::{Act, Command, LogLevel, Selector, Terms};
pub use condition_id::ConditionId;
pub use counts::Counts;
pub use event_type::{EventKinds, EventType};
pub use exit_decision::{ExitDecision, ExitReason, ExitSetting};
pub use flag::FlagRow;
pub use graph::{GraphEdge, GraphRow};
pub use held_back::{ChainStep, HeldBack, LastRequest};
#[cfg(feature = "http")]
pub use metrics::{DaemonFigures, Metrics, SpawnLatency};
pub use next_run::{NextRun, time_of};
pub use orphan_note::{Bystanders, OrphanNote};
pub use output_change::OutputChange;
pub use persistence::Persistence;
pub use refusal::{NameHint, Reached, Refusal, ReloadFailure, RollbackReason, ScaleFault, Unreached};
pub use reply::{Changes, DaemonChanges, KeyChange, Reply, Reread, Updated};
pub use request::{Amount, LogSource, Query, Request, RequestId, WaitFor, Watch};
#[cfg(feature = "attach")]
pub use run::{Run, RunRefusal};
pub use settings::{ProgramSettings, Setting, SettingSource};
#[cfg(feature = "xmlrpc")]
pub use status::ToStop;
pub use status::{ConfigRow, DaemonFacts, HistoryRow, RunningHook, StatusRow};
pub use wall_clock::WallClock;
pub use why::{NextStep, ObstacleChain, Why};

/// What a request came to.
pub type Answer = Result<Reply, Refusal>;

/// Names a process for as long as the daemon lives; never used again for another one.
pub type ProcId = u32;
