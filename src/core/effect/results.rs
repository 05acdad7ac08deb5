//! What has to come of an effect, and what has to be over before it.

use super::{CheckPurpose, Effect, TaskId};
use crate::api::ProcId;
use crate::process::Generation;

/// The input that follows an effect at once. The engine sets no timer for it: without it a process would be in its
/// state for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OwedResult {
    /// Of [`Effect::StartTask`].
    Task { task: TaskId },
    /// Of [`Effect::Spawn`].
    Spawn { id: ProcId, generation: Generation },
    /// Of [`Effect::ProbeGroup`].
    Group { id: ProcId, generation: Generation },
    /// Of [`Effect::Check`] and [`Effect::RefuseCheck`].
    Check { id: ProcId, generation: Generation, purpose: CheckPurpose },
    /// Of [`Effect::FindMain`].
    Main { id: ProcId, generation: Generation },
    /// Of [`Effect::SignalOrphans`].
    Orphans { signalled: bool },
    /// Of [`Effect::ProbePendingExecs`].
    PendingExecs,
    /// Of [`Effect::ReadClock`].
    Clock { id: Option<ProcId> },
    /// Of [`Effect::FindTime`].
    Time { id: ProcId },
}

impl Effect {
    /// The input that has to follow at once. (Reading the configuration has a time limit, and what is done to orphans
    /// of an earlier daemon answers for itself; another signal is another sweep.)
    pub(crate) fn owed_result(&self) -> Option<OwedResult> {
        match self {
            Effect::Spawn { id, generation, config: _ } => Some(OwedResult::Spawn { id: *id, generation: *generation }),
            Effect::ProbeGroup { id, generation, thorough: _ } => {
                Some(OwedResult::Group { id: *id, generation: *generation })
            }
            Effect::Check { id, generation, purpose, .. } | Effect::RefuseCheck { id, generation, purpose, .. } => {
                Some(OwedResult::Check { id: *id, generation: *generation, purpose: *purpose })
            }
            Effect::FindMain { id, generation, config: _ } => {
                Some(OwedResult::Main { id: *id, generation: *generation })
            }
            Effect::SignalOrphans { signal } => Some(OwedResult::Orphans { signalled: signal.is_some() }),
            Effect::ProbePendingExecs => Some(OwedResult::PendingExecs),
            Effect::StartTask { task, .. } => Some(OwedResult::Task { task: *task }),
            Effect::ReadClock { id } => Some(OwedResult::Clock { id: *id }),
            Effect::FindTime { id, .. } => Some(OwedResult::Time { id: *id }),
            Effect::Signal { .. }
            | Effect::ReadNotifications { .. }
            | Effect::HandOver { .. }
            | Effect::SignalTask { .. }
            | Effect::ForgetTask { .. }
            | Effect::Reap
            | Effect::AwaitPath { .. }
            | Effect::AwaitNetwork { .. }
            | Effect::ForgetConditions { .. }
            | Effect::WatchChanges { .. }
            | Effect::ForgetChanges { .. }
            | Effect::SampleUsage { .. }
            | Effect::AskSilence { .. }
            | Effect::LeaderExited { .. }
            | Effect::RunEnded { .. }
            | Effect::Configure { .. }
            | Effect::Register { .. }
            | Effect::Forget { .. }
            | Effect::Show { .. }
            | Effect::ShowSettings { .. }
            | Effect::LoadConfig { .. }
            | Effect::Reply { .. }
            | Effect::Delegate { .. }
            | Effect::Follow { .. }
            | Effect::ChangeSockets { .. }
            | Effect::EndStreams
            | Effect::Unfollow { .. }
            | Effect::Announce(_)
            | Effect::Adoption(_)
            | Effect::ReopenLogs
            | Effect::SetOutput { .. }
            | Effect::SetLogLevel { .. }
            | Effect::SetLogLimits { .. }
            | Effect::WatchClock { .. }
            | Effect::Keep { .. }
            | Effect::TrimMemory => None,
            #[cfg(feature = "attach")]
            Effect::ReadRun { .. } | Effect::Attach { .. } => None,
        }
    }

    /// Whether spawns that are under way have to be over before this is done: it is about children, or about what
    /// belongs to a run.
    pub(crate) fn needs_finished_spawns(&self) -> bool {
        match self {
            Effect::Signal { .. }
            | Effect::Reap
            | Effect::ProbeGroup { .. }
            | Effect::ReadNotifications { .. }
            | Effect::FindMain { .. }
            | Effect::HandOver { .. }
            | Effect::LeaderExited { .. }
            | Effect::RunEnded { .. }
            | Effect::Check { .. }
            | Effect::StartTask { .. }
            | Effect::SignalTask { .. }
            | Effect::ForgetTask { .. }
            | Effect::Forget { .. }
            | Effect::Delegate { .. }
            | Effect::SignalOrphans { .. }
            | Effect::Adoption(_)
            | Effect::ProbePendingExecs => true,
            Effect::Spawn { .. }
            | Effect::RefuseCheck { .. }
            | Effect::AwaitPath { .. }
            | Effect::AwaitNetwork { .. }
            | Effect::ForgetConditions { .. }
            | Effect::WatchChanges { .. }
            | Effect::ForgetChanges { .. }
            | Effect::SampleUsage { .. }
            | Effect::AskSilence { .. }
            | Effect::Configure { .. }
            | Effect::Register { .. }
            | Effect::Show { .. }
            | Effect::ShowSettings { .. }
            | Effect::LoadConfig { .. }
            | Effect::Reply { .. }
            | Effect::Follow { .. }
            | Effect::ChangeSockets { .. }
            | Effect::EndStreams
            | Effect::Unfollow { .. }
            | Effect::Announce(_)
            | Effect::ReopenLogs
            | Effect::SetOutput { .. }
            | Effect::SetLogLevel { .. }
            | Effect::SetLogLimits { .. }
            | Effect::WatchClock { .. }
            | Effect::ReadClock { .. }
            | Effect::FindTime { .. }
            | Effect::Keep { .. }
            | Effect::TrimMemory => false,
            #[cfg(feature = "attach")]
            Effect::ReadRun { .. } | Effect::Attach { .. } => false,
        }
    }
}
