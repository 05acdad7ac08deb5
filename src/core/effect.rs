//! What the engine is told ([`Input`]) and what it wants done ([`Effect`]): plain data in both directions. The engine
//! calls nothing; the dispatcher performs the effects in the order of the list and feeds back what came of them.

mod results;

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Sender;
use serde::{Deserialize, Serialize};

use super::engine::adoption;
#[cfg(feature = "attach")]
use crate::api::Run;
#[cfg(feature = "http")]
use crate::api::StatusRow;
use crate::api::{
    Amount, Announcement, Answer, ConditionId, EventKinds, HistoryRow, LogLevel, ProcId, Reader, Reply, Request,
    RequestId, Why,
};
use crate::config::{Additions, ConfigError, LoadResult};
use crate::control::server::{ConnId, IncomingRequest, Received};
use crate::health::HealthCheckResult;
#[cfg(feature = "attach")]
use crate::models::WindowSize;
use crate::models::{
    Hook, HookCommand, LogStart, NetworkCondition, Power, ProgramConfig, StreamKind, SupervisorConfig,
};
use crate::output;
use crate::process::{
    Exit, Generation, Initiator, Moment, NoMain, Notification, ProcessView, ReadyReport, SignalTarget, SpawnError,
};

pub(crate) use results::OwedResult;

/// Names a health script, hook or the like for as long as the daemon lives.
pub(crate) type TaskId = u64;

/// A file of what outlives the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StateFile {
    /// Which programs are disabled.
    Disabled,
    /// Which instances of templates were enabled.
    Instances,
    /// How many instances somebody has asked for.
    Scales,
    /// Until when schedules were followed.
    Times,
}

impl StateFile {
    pub(crate) const ALL: [StateFile; 4] =
        [StateFile::Disabled, StateFile::Instances, StateFile::Scales, StateFile::Times];

    /// What it is called in its directory, and in its first line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            StateFile::Disabled => "disabled",
            StateFile::Instances => "instances",
            StateFile::Scales => "scales",
            StateFile::Times => "times",
        }
    }

    /// What it holds, for the log.
    pub(crate) fn what(self) -> &'static str {
        match self {
            StateFile::Disabled => "what was disabled",
            StateFile::Instances => "what was made of templates",
            StateFile::Scales => "what was scaled",
            StateFile::Times => "when schedules were due last",
        }
    }
}

/// What the clocks show at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClockReading {
    /// By the monotonic clock.
    pub at: Moment,
    /// By the wall clock, in microseconds since 1970.
    pub wall: i64,
    /// How long the machine has slept since it was started.
    pub asleep: Duration,
}

impl ClockReading {
    /// By the wall clock, in whole seconds since 1970.
    pub(crate) fn seconds(&self) -> i64 {
        self.wall.div_euclid(1_000_000)
    }
}

/// From where a time of a schedule is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SearchFrom {
    /// From now on.
    Now,
    /// After this time, in seconds since 1970.
    After(i64),
}

/// The next time of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FoundTime {
    /// What the calendar says, in seconds since 1970.
    pub nominal: i64,
    /// The same, put off by `schedule_jitter`.
    pub due: i64,
    /// How many seconds its zone is ahead of UTC then.
    pub offset: i32,
}

/// What a check of a run is to find out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CheckPurpose {
    /// Whether it is healthy.
    Health,
    /// Whether it is ready.
    Readiness,
    /// Nothing: it is unhealthy, and this is done for that.
    HealthAction,
    /// Nothing: its output shows that it is not well, and this rule of `output_watch` has a command for that.
    OutputAction { rule: u8 },
    /// Whether it may start: this condition.
    StartCondition(ConditionId),
}

/// A signal that the daemon handles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Notice {
    /// SIGCHLD: some child may have ended.
    Child,
    /// SIGTERM, SIGINT, SIGQUIT, SIGPWR or [`Supervisor::shutdown`](super::Supervisor::shutdown): end in order; the
    /// second time: now. The number of the signal, where it was one.
    Terminate(Option<u8>),
    /// SIGHUP: reload.
    Reload,
    /// SIGUSR2: open all log files anew.
    Reopen,
    /// As the kernel's init: end in order, and then this becomes of the machine; the second time: now.
    Power(Power),
    /// The wall clock was set, or the machine has slept.
    ClockSet,
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
    /// A message on `$NOTIFY_SOCKET`, from any process.
    Notified(Box<Received>),
    /// Somebody wants this descriptor closed when everything before it was handled.
    Barrier(OwnedFd),
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
    /// A leader has ended and was reaped. `late`: why it never executed its program; `descendant`: something that it
    /// has forked and that lives, where it has ended with 0.
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
    /// A check of health could not be made, for want of something that the daemon needs.
    CheckMissed {
        /// The process.
        id: ProcId,
        /// The run that was to be checked.
        generation: Generation,
        /// What the daemon is short of.
        error: Box<SpawnError>,
    },
    /// What was asked for by [`Effect::ProbeGroup`].
    GroupProbed { id: ProcId, generation: Generation, group: GroupLeft },
    /// A check of a run has its answer.
    Checked { id: ProcId, generation: Generation, purpose: CheckPurpose, result: HealthCheckResult },
    /// What is waited for by [`Effect::AwaitPath`] or [`Effect::AwaitNetwork`] is there, or has gone.
    ConditionSeen { id: ProcId, generation: Generation, condition: ConditionId, is_there: bool },
    /// What a path of a run leads to is another thing than at its start ([`Effect::WatchChanges`]).
    PathChanged { id: ProcId, generation: Generation, path: Arc<str> },
    /// What was asked for by [`Effect::SampleUsage`], of those that are there.
    UsageSampled { samples: Vec<UsageSample> },
    /// A run tells of its readiness.
    Readiness { id: ProcId, generation: Generation, report: ReadyReport },
    /// A process of a run tells of it on `$NOTIFY_SOCKET`; `is_main`: it is its leader.
    Notified { id: ProcId, generation: Generation, pid: i32, is_main: bool, message: Box<Notification> },
    /// A message there is of no run that has the socket. `is_gone`: nobody could look any more whose process that was.
    NotifiedByStranger { pid: i32, uid: u32, is_gone: bool },
    /// A process is the main one of a run from now on: its end is told as that of a leader.
    MainFound { id: ProcId, generation: Generation, pid: i32 },
    /// The pid file of a run names none.
    NoMain { id: ProcId, generation: Generation, found: NoMain },
    /// What a run has named as its main process is not taken for that, or not yet.
    MainRefused { id: ProcId, generation: Generation, found: NoMain },
    /// Every message was read and told that was there when [`Effect::ReadNotifications`] was done.
    NotificationsRead { id: ProcId, generation: Generation },
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
    /// A child that had not executed its program in time has done so.
    Executed { id: ProcId, generation: Generation },
    /// Children that have not executed their program in time were looked at; `left`: some still have not.
    PendingExecsProbed { left: bool },
    /// What the clocks show, for a program that may be due; `None`: nobody could tell.
    ClockRead { id: Option<ProcId>, clock: Option<ClockReading> },
    /// The next time of the calendar at which a program is to be started, and what the clocks show now (`None`: nobody
    /// could tell).
    TimeFound { id: ProcId, clock: Option<ClockReading>, found: Option<FoundTime> },
    /// The output thread has something to say.
    Output(output::Note),
    /// The settings of a program that somebody wants to run were read, or are no good.
    #[cfg(feature = "attach")]
    RunRead { request: RequestId, result: Result<Box<ProgramConfig>, String> },
    /// The configuration file was read.
    ConfigLoaded { load: u64, result: Box<Result<LoadResult, ConfigError>> },
}

/// What all that a run has started uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UsageSample {
    pub id: ProcId,
    pub generation: Generation,
    /// Resident memory, in bytes.
    pub rss: u64,
    /// CPU time so far, in milliseconds.
    pub cpu_ms: u64,
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

/// What a task runs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum TaskCommand {
    /// A shell command; what it writes to its standard error is told at its end.
    Script(Box<str>),
    /// As a script, of what follows from a check or from output: it may start something that is to stay.
    Action(Box<str>),
    /// A command of a hook; what it writes goes to the program's log, and is told at its end.
    Hook(Box<HookLaunch>),
}

/// One command of a hook.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct HookLaunch {
    /// To whose log its output goes.
    pub program: ProcId,
    pub hook: Hook,
    pub command: HookCommand,
    /// What it is told.
    pub variables: Vec<(&'static str, String)>,
}

/// How the configuration file is to be read.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct LoadJob {
    /// Another one is read in its place.
    pub file: Option<String>,
    /// What is added to it.
    pub additions: Additions,
    /// Where the settings of these programs come from is told.
    pub origins_of: Vec<String>,
    /// The programs that are in force: what is read is compared with them, so that nobody else has to.
    pub in_force: Vec<Arc<ProgramConfig>>,
}

/// What the engine knows of all that is counted.
#[cfg(feature = "http")]
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MetricsJob {
    pub rows: Vec<(ProcId, StatusRow)>,
    /// As in [`Metrics`](crate::api::Metrics).
    pub killed: Vec<(String, u64)>,
    /// When the daemon began.
    pub began: Moment,
    pub now: Moment,
}

/// What a client is attached to.
#[cfg(feature = "attach")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attached {
    /// The program.
    pub name: String,
    pub has_terminal: bool,
    /// How large the client's window is.
    pub size: Option<WindowSize>,
}

/// What other threads, mostly that of the output, are to answer in the engine's place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum OutputJob {
    /// The newest output of a process, and with `follow` what comes.
    Tail { id: ProcId, stream: StreamKind, amount: Amount, follow: bool },
    /// A part of the log of a process.
    Read { id: ProcId, stream: StreamKind, from: LogStart, length: Option<usize> },
    /// A part of the daemon's own log.
    ReadDaemonLog { from: LogStart, length: Option<usize> },
    /// The end of the daemon's own log, and what comes.
    #[cfg(feature = "xmlrpc")]
    FollowDaemonLog { bytes: usize },
    /// Empty the daemon's own log.
    ClearDaemonLog,
    /// Empty its log files.
    Clear { id: ProcId, name: String },
    /// Give this answer behind all that was written by now.
    #[cfg(feature = "attach")]
    AfterOutput { answer: Box<Answer> },
    /// Write to its standard input.
    Stdin { id: ProcId, name: String, bytes: Arc<[u8]> },
    /// Answer when everything is on the disk that was to be kept before.
    Keep { file: StateFile, reply: Box<Reply> },
    /// Add what the programs have written.
    #[cfg(feature = "http")]
    Metrics(Box<MetricsJob>),
    /// Add the last lines of this stream.
    Why { id: ProcId, stream: StreamKind, why: Box<Why> },
}

/// What the engine wants done, in this order. Nothing here may block on a client, a disk or a name server.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Effect {
    /// Spawn the program; [`Input::Spawned`] or [`Input::SpawnFailed`] follows, at the latest at the end of the turn.
    Spawn { id: ProcId, generation: Generation, config: Arc<ProgramConfig> },
    /// Signal this run.
    Signal { id: ProcId, generation: Generation, signal: Signal },
    /// Reap every child that has ended; an [`Input::Exited`] or [`Input::TaskExited`] for each leader among them
    /// follows, then [`Input::Swept`]. Or only one of them, and then a [`Notice::Child`] follows, which leads here
    /// again.
    Reap,
    /// Is nothing left of the group of this run? [`Input::GroupProbed`] follows at once. `thorough`: zombies that
    /// nobody reaps count as nothing.
    ProbeGroup { id: ProcId, generation: Generation, thorough: bool },
    /// The leader has ended: its output so far is to be read.
    LeaderExited { id: ProcId, generation: Generation },
    /// The group is gone: its output ends here.
    RunEnded { id: ProcId, generation: Generation },
    /// Begin a check that no command makes; [`Input::Checked`] follows.
    Check { id: ProcId, generation: Generation, purpose: CheckPurpose, config: Arc<ProgramConfig> },
    /// Find the process that the pid file of a run names, and make it its main one; [`Input::MainFound`] or
    /// [`Input::NoMain`] follows at once.
    FindMain { id: ProcId, generation: Generation, config: Arc<ProgramConfig> },
    /// Make this the main process of a run; [`Input::MainFound`] or [`Input::MainRefused`] follows at once. Where it
    /// has a parent that is not ours, [`Input::MainFound`] follows in place of [`Input::Exited`] when the present one
    /// has ended.
    HandOver { id: ProcId, generation: Generation, pid: i32 },
    /// Have every message on `$NOTIFY_SOCKET` read that is there; [`Input::NotificationsRead`] follows behind them.
    /// (The machine bounds how long it waits for that.)
    ReadNotifications { id: ProcId, generation: Generation },
    /// A check cannot begin; [`Input::Checked`] follows at once, as if it had failed: it is told by an input of its
    /// own, not in the middle of what has asked for it.
    RefuseCheck { id: ProcId, generation: Generation, purpose: CheckPurpose, reason: &'static str },
    /// Run a command with the user, environment and directory of a program; [`Input::TaskSpawned`] or
    /// [`Input::TaskSpawnFailed`] follows at once. What it writes follows as one [`output::Note::TaskOutput`].
    StartTask { task: TaskId, config: Arc<ProgramConfig>, command: TaskCommand },
    /// Watch a path for a start that waits for it; [`Input::ConditionSeen`] follows when it is there, and at each
    /// change of that.
    AwaitPath { id: ProcId, generation: Generation, condition: ConditionId, path: Arc<str> },
    /// The same of the network.
    AwaitNetwork { id: ProcId, generation: Generation, condition: ConditionId, what: NetworkCondition },
    /// That start waits for no path any more, and for nothing of the network.
    ForgetConditions { id: ProcId, generation: Generation },
    /// Watch the paths of `restart_on_change` for a run; [`Input::PathChanged`] follows at each change.
    WatchChanges { id: ProcId, generation: Generation, config: Arc<ProgramConfig> },
    /// Look what these runs use; [`Input::UsageSampled`] follows, unless the look before has not ended.
    SampleUsage { runs: Vec<(ProcId, Generation)> },
    /// Ask for how long this run has written nothing; [`output::Note::Silent`] follows, and if it is that long
    /// [`output::Note::OutputResumed`] when it writes again.
    AskSilence { id: ProcId, generation: Generation, long: Duration },
    /// The run has ended: these are watched no longer.
    ForgetChanges { id: ProcId, generation: Generation },
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
    /// Begin to read the configuration file; [`Input::ConfigLoaded`] follows, with where the settings of these programs
    /// come from.
    LoadConfig { load: u64, job: Box<LoadJob> },
    /// Begin to read the settings of a program that somebody wants to run by this name; [`Input::RunRead`] follows.
    #[cfg(feature = "attach")]
    ReadRun { request: RequestId, name: String, run: Arc<Run> },
    /// Whoever has asked is sent what this process writes from now on, until the request is answered.
    #[cfg(feature = "attach")]
    Attach { request: RequestId, id: ProcId, attached: Box<Attached> },
    /// Answer a request.
    Reply { request: RequestId, answer: Box<Answer> },
    /// Have a request answered by the output thread.
    Delegate { request: RequestId, job: Box<OutputJob> },
    /// Whoever asked follows the events from now on; these of the past come first.
    Follow { request: RequestId, kinds: EventKinds, past: Vec<HistoryRow>, reader: Option<Box<Reader>> },
    /// The sockets of HTTP are to be those of these settings.
    ChangeSockets { settings: Arc<SupervisorConfig> },
    /// Streams of those whom rules of access limit end: they are begun anew by other rules.
    EndStreams,
    /// Whoever asked follows no more.
    Unfollow { request: RequestId },
    /// Something has happened: for the log, the event bus, the followers.
    Announce(Arc<Announcement>),
    /// Look at, hold or signal processes that an earlier daemon has left behind; [`Input::Adoption`] follows where it
    /// tells something.
    Adoption(Box<adoption::Output>),
    /// Signal (or, with `None`, only count) the orphans that this process has inherited from its programs;
    /// [`Input::OrphansCounted`] follows at once.
    SignalOrphans { signal: Option<u8> },
    /// Free what children no longer need that have executed their program by now; [`Input::Executed`] follows for each
    /// of these, then [`Input::PendingExecsProbed`].
    ProbePendingExecs,
    /// Open all log files anew.
    ReopenLogs,
    /// What has changed of where all programs' output goes.
    SetOutput { settings: Arc<SupervisorConfig> },
    /// Set the level of the daemon's own log.
    SetLogLevel { level: LogLevel },
    /// Rotate the daemon's own log at this size, and keep so many old ones.
    SetLogLimits { maxbytes: u64, backups: u32 },
    /// Whether [`Notice::ClockSet`] is to come.
    WatchClock { watch: bool },
    /// Look at the clocks; [`Input::ClockRead`] follows at once.
    ReadClock { id: Option<ProcId> },
    /// Find the next time of the calendar at which a program is to be started; [`Input::TimeFound`] follows at once.
    FindTime { id: ProcId, config: Arc<ProgramConfig>, from: SearchFrom },
    /// Write this to a file of `state_dir`.
    Keep { file: StateFile, text: Box<str> },
    /// The start is over: give back the memory that it alone has needed.
    TrimMemory,
}
