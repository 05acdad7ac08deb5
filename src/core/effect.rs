//! What the engine is told ([`Input`]) and what it wants done ([`Effect`]): plain data in both directions. The engine calls
//! nothing; the dispatcher performs the effects in the order of the list and feeds back what came of them.

use std::sync::Arc;

use crossbeam_channel::Sender;

use super::engine::adoption;
use crate::api::{Amount, Announcement, Answer, EventKinds, HistoryRow, LogLevel, ProcId, Request, RequestId, Why};
use crate::config::{ConfigError, Loaded};
use crate::control::server::{ConnId, IncomingRequest};
use crate::health::HealthCheckResult;
use crate::models::{Power, ProgramConfig, StreamKind, SupervisorConfig};
use crate::output;
use crate::process::{Exit, Generation, Initiator, ProcessView, ReadyReport, SignalTarget, SpawnError};

/// Names a health script, hook or the like for as long as the daemon lives.
pub(crate) type TaskId = u64;

/// A signal that the daemon handles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Notice {
    /// SIGCHLD: some child may have ended.
    Child,
    /// SIGTERM, SIGINT, SIGQUIT, SIGPWR or [`Supervisor::shutdown`](super::Supervisor::shutdown): end in order; the second
    /// time: now.
    Terminate,
    /// SIGHUP: reload.
    Reload,
    /// SIGUSR2: open all log files anew.
    Reopen,
    /// As the kernel's init: end in order, and then this becomes of the machine; the second time: now.
    Power(Power),
}

/// What is left of the run of a leader that has ended: of its process group, and of what has left that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GroupLeft {
    /// Nothing.
    Empty,
    /// Something.
    Lingers,
}

/// What the other threads tell the dispatcher.
pub(crate) enum External {
    /// What the engine is told as it is.
    Input(Input),
    /// A client asks.
    Request(Box<IncomingRequest>),
    /// A client has gone, whatever it still waits for.
    Disconnected(ConnId),
    /// A thread of this program asks; without `reply` it does not wait.
    Local { request: Request, reply: Option<Sender<Answer>> },
}

/// Everything that the engine is told.
#[derive(Debug)]
pub(crate) enum Input {
    /// A signal arrived.
    Notice(Notice),
    /// Somebody asks. `id` is answered once, unless he goes away.
    Request { id: RequestId, by: Initiator, request: Request },
    /// Nobody waits for this answer any more.
    Gone { id: RequestId },
    /// A spawn has succeeded; `pending`: the program is not executed yet, its file system hangs.
    Spawned { id: ProcId, generation: Generation, pid: i32, pending: bool },
    /// A spawn has failed.
    SpawnFailed { id: ProcId, generation: Generation, error: SpawnError },
    /// A leader has ended and was reaped. `late`: why it never executed its program; `descendant`: something that it has
    /// forked and that lives, where it has ended with 0.
    Exited {
        id: ProcId,
        generation: Generation,
        exit: Exit,
        late: Option<Box<SpawnError>>,
        group: GroupLeft,
        descendant: Option<i32>,
    },
    /// Every child that had ended was reaped.
    Swept,
    /// What was asked for by [`Effect::ProbeGroup`].
    GroupProbed { id: ProcId, generation: Generation, group: GroupLeft },
    /// A health check has its answer.
    Health { id: ProcId, generation: Generation, result: HealthCheckResult },
    /// A run tells of its readiness.
    Readiness { id: ProcId, generation: Generation, report: ReadyReport },
    /// The process of a task was spawned.
    TaskSpawned { task: TaskId, pid: i32 },
    /// It could not be spawned.
    TaskSpawnFailed { task: TaskId, error: Box<SpawnError> },
    /// The leader of a task has ended and was reaped.
    TaskExited { task: TaskId, exit: Exit },
    /// What came of an [`Effect::Adoption`].
    Adoption(adoption::Input),
    /// How many orphans of programs this process has inherited; they were just signalled, or only counted.
    OrphansCounted { count: usize, signalled: bool },
    /// Children that have not executed their program in time were looked at; `left`: some still have not.
    PendingExecsProbed { left: bool },
    /// The output thread has something to say.
    Output(output::Note),
    /// The configuration file was read.
    ConfigLoaded { load: u64, result: Box<Result<Loaded, ConfigError>> },
}

/// A signal to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Signal {
    /// Its number.
    pub number: u8,
    /// To its leader alone, or to all of it.
    pub target: SignalTarget,
    /// SIGCONT follows: what somebody has paused would not see it.
    pub resume: bool,
}

/// What the output thread is to answer in the engine's place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum OutputJob {
    /// The newest output of a process, and with `follow` what comes.
    Tail { id: ProcId, stream: StreamKind, amount: Amount, follow: bool },
    /// Empty its log files.
    Clear { id: ProcId, name: String },
    /// Add the last lines of this stream.
    Why { id: ProcId, stream: StreamKind, why: Box<Why> },
}

/// The input that follows an effect at once. The engine sets no timer for it: without it a process would be in its state
/// for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OwedResult {
    /// Of [`Effect::StartTask`].
    Task { task: TaskId },
    /// Of [`Effect::Spawn`].
    Spawn { id: ProcId, generation: Generation },
    /// Of [`Effect::ProbeGroup`].
    Group { id: ProcId, generation: Generation },
    /// Of [`Effect::CheckHealth`].
    Health { id: ProcId, generation: Generation },
    /// Of [`Effect::SignalOrphans`].
    Orphans { signalled: bool },
    /// Of [`Effect::ProbePendingExecs`].
    PendingExecs,
}

impl Effect {
    /// The input that has to follow at once. (Reading the configuration has a time limit, and what is done to orphans of an
    /// earlier daemon answers for itself; another signal is another sweep.)
    pub(crate) fn owed_result(&self) -> Option<OwedResult> {
        match self {
            Effect::Spawn { id, generation, config: _ } => Some(OwedResult::Spawn { id: *id, generation: *generation }),
            Effect::ProbeGroup { id, generation, thorough: _ } => {
                Some(OwedResult::Group { id: *id, generation: *generation })
            }
            Effect::CheckHealth { id, generation, config: _ } => {
                Some(OwedResult::Health { id: *id, generation: *generation })
            }
            Effect::SignalOrphans { signal } => Some(OwedResult::Orphans { signalled: signal.is_some() }),
            Effect::ProbePendingExecs => Some(OwedResult::PendingExecs),
            Effect::RefuseCheck { id, generation, reason: _ } => {
                Some(OwedResult::Health { id: *id, generation: *generation })
            }
            Effect::StartTask { task, .. } => Some(OwedResult::Task { task: *task }),
            Effect::Signal { .. }
            | Effect::SignalTask { .. }
            | Effect::ForgetTask { .. }
            | Effect::Reap
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
            | Effect::Unfollow { .. }
            | Effect::Announce(_)
            | Effect::Adoption(_)
            | Effect::ReopenLogs
            | Effect::SetOutput { .. }
            | Effect::SetLogLevel { .. }
            | Effect::SetLogLimits { .. }
            | Effect::TrimMemory => None,
        }
    }
}

/// What the engine wants done, in this order. Nothing here may block on a client, a disk or a name server.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Effect {
    /// Spawn the program; [`Input::Spawned`] or [`Input::SpawnFailed`] follows at once.
    Spawn { id: ProcId, generation: Generation, config: Arc<ProgramConfig> },
    /// Signal this run.
    Signal { id: ProcId, generation: Generation, signal: Signal },
    /// Reap every child that has ended; an [`Input::Exited`] or [`Input::TaskExited`] for each leader among them follows, then
    /// [`Input::Swept`].
    Reap,
    /// Is nothing left of the group of this run? [`Input::GroupProbed`] follows at once. `thorough`: zombies that nobody
    /// reaps count as nothing.
    ProbeGroup { id: ProcId, generation: Generation, thorough: bool },
    /// The leader has ended: its output so far is to be read.
    LeaderExited { id: ProcId, generation: Generation },
    /// The group is gone: its output ends here.
    RunEnded { id: ProcId, generation: Generation },
    /// Begin a health check that no script makes; [`Input::Health`] follows.
    CheckHealth { id: ProcId, generation: Generation, config: Arc<ProgramConfig> },
    /// A health check cannot begin; [`Input::Health`] follows at once, as if it had failed: it is told by an input of its own, not
    /// in the middle of what has asked for it.
    RefuseCheck { id: ProcId, generation: Generation, reason: &'static str },
    /// Run a shell command with the user, environment and directory of a program; [`Input::TaskSpawned`] or
    /// [`Input::TaskSpawnFailed`] follows at once. What it writes to its standard error follows as one
    /// [`output::Note::TaskOutput`].
    StartTask { task: TaskId, config: Arc<ProgramConfig>, command: Box<str> },
    /// Signal everything in the group of a task.
    SignalTask { task: TaskId, signal: u8 },
    /// A task has ended; nothing of it is needed any more.
    ForgetTask { task: TaskId },
    /// A process is there, or has new settings: where its output goes.
    Configure { id: ProcId, config: Arc<ProgramConfig> },
    /// A process is there: other threads may see it.
    Register { id: ProcId, config: Arc<ProgramConfig> },
    /// The process will never be heard of again.
    Forget { id: ProcId, config: Arc<ProgramConfig> },
    /// What other threads see of a process.
    Show { id: ProcId, view: ProcessView },
    /// What other threads see of the daemon's settings.
    ShowSettings { settings: Arc<SupervisorConfig> },
    /// Begin to read the configuration file; [`Input::ConfigLoaded`] follows.
    LoadConfig { load: u64 },
    /// Answer a request.
    Reply { request: RequestId, answer: Box<Answer> },
    /// Have a request answered by the output thread.
    Delegate { request: RequestId, job: Box<OutputJob> },
    /// Whoever asked follows the events from now on; these of the past come first.
    Follow { request: RequestId, kinds: EventKinds, past: Vec<HistoryRow> },
    /// Whoever asked follows no more.
    Unfollow { request: RequestId },
    /// Something has happened: for the log, the event bus, the followers.
    Announce(Arc<Announcement>),
    /// Look at, hold or signal processes that an earlier daemon has left behind; [`Input::Adoption`] follows where it tells
    /// something.
    Adoption(Box<adoption::Output>),
    /// Signal (or, with `None`, only count) the orphans that this process has inherited from its programs;
    /// [`Input::OrphansCounted`] follows at once.
    SignalOrphans { signal: Option<u8> },
    /// Free what children no longer need that have executed their program by now; [`Input::PendingExecsProbed`] follows.
    ProbePendingExecs,
    /// Open all log files anew.
    ReopenLogs,
    /// What has changed of where all programs' output goes.
    SetOutput { settings: Arc<SupervisorConfig> },
    /// Set the level of the daemon's own log.
    SetLogLevel { level: LogLevel },
    /// Rotate the daemon's own log at this size, and keep so many old ones.
    SetLogLimits { maxbytes: u64, backups: u32 },
    /// The start is over: give back the memory that it alone has needed.
    TrimMemory,
}
