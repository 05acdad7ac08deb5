//! The answer to `blame`: how long each start has taken, and what it waited for.

use std::sync::Arc;
use std::time::Duration;

use crate::models::ProgramConfig;
use crate::process::{Moment, ProcessState};

/// The first start of a process since the daemon began; until that has come about, the one that was asked for last.
#[derive(Debug, Clone, PartialEq)]
pub struct BlameRow {
    /// Its settings.
    pub program: Arc<ProgramConfig>,
    /// Its state.
    pub state: ProcessState,
    /// When somebody asked for it.
    pub asked: Moment,
    /// When it was executed, the last time before it was ready; `None`: not yet.
    pub spawned: Option<Moment>,
    /// When it was `RUNNING`, or had completed, for the first time; `None`: not yet.
    pub ready: Option<Moment>,
    /// How often it was executed until then.
    pub attempts: u32,
    /// For how long it has waited, while it waits.
    pub waiting: Option<Duration>,
    /// What it waited for last before it was executed, or waits for now; `None`: for nothing.
    pub waited_for: Option<WaitedFor>,
}

/// What lets a process start that has to wait.
#[derive(Debug, Clone, PartialEq)]
pub enum WaitedFor {
    /// Another process.
    Process(Arc<ProgramConfig>),
    /// Others were starting (`start_limit`).
    StartSlot,
}

/// How long starts have taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Blame {
    /// When the daemon began.
    pub began: Moment,
    /// The starts, in the order of the configuration.
    pub rows: Vec<BlameRow>,
    /// How many were skipped.
    pub offset: usize,
    /// The way to the one that was ready last of those that began with the daemon, or that are named: that one, what it
    /// waited for, what that waited for, and so on.
    pub critical_path: Vec<Arc<ProgramConfig>>,
}
