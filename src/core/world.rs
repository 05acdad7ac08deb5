//! What the engine needs of the world, as messages in ([`Input`]) and effects out ([`World`]).
//!
//! The engine decides, the world acts: the real one ([`super::kernel`]) with system calls, a
//! simulated one in tests.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Sender;

use crate::config::{ConfigError, Loaded, ReloadPlan};
use crate::events::{Event, EventType};
use crate::health::HealthCheckResult;
use crate::models::{ProgramConfig, SupervisorConfig};
use crate::output::{self, StreamKind};
use crate::process::{Command, Exit, Generation, SpawnError};
use crate::rpc::protocol::{Amount, ErrorCode, ProcessStatus, Report, Why};
use crate::rpc::server::{ConnId, IncomingRequest};
use crate::sys::machine::Power;

/// Names a process for as long as the daemon lives; never used again for another one.
pub(crate) type ProcId = u32;

/// What a command came to.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// Done; a sentence that says what.
    Done(String),
    /// Not done, and why.
    Failed { code: ErrorCode, message: String },
    /// The processes from `offset` on.
    Status { processes: Vec<ProcessStatus>, offset: usize },
    /// What a reload has changed.
    Reloaded(ReloadPlan),
    /// Done; the particulars.
    Report(Box<Report>),
}

impl Answer {
    pub(crate) fn report(report: Report) -> Answer {
        Answer::Report(Box::new(report))
    }

    pub(crate) fn failed(message: impl Into<String>) -> Answer {
        Answer::Failed { code: ErrorCode::Failed, message: message.into() }
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Answer {
        Answer::Failed { code: ErrorCode::NotFound, message: message.into() }
    }
}

/// Who waits for an answer.
#[derive(Debug, Clone)]
pub(crate) enum ReplyTo {
    /// A connection to the control socket.
    Connection(ConnId),
    /// A thread of this program (see [`crate::process::Process`]); its channel has room for the one answer.
    Thread(Sender<Answer>),
    /// Nobody: a signal asked, or somebody who has gone or does not wait.
    Nobody,
}

/// A signal that the daemon handles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Notice {
    /// SIGCHLD: some child may have ended.
    Child,
    /// SIGTERM, SIGINT, SIGQUIT, SIGPWR or [`Supervisor::shutdown`](super::Supervisor::shutdown): end in order; the second time: now.
    Terminate,
    /// SIGHUP: reload.
    Reload,
    /// SIGUSR2: open all log files anew.
    Reopen,
    /// As the kernel's init: end in order, and then this becomes of the machine; the second time: now.
    Power(Power),
}

/// Everything that the dispatcher is told.
pub(crate) enum Input {
    /// A signal arrived.
    Notice(Notice),
    /// A client asks.
    Request(Box<IncomingRequest>),
    /// A client has gone whose request was not answered yet.
    Gone(ConnId),
    /// A thread of this program asks; without `reply` it does not wait.
    Local { name: String, command: Command, reply: Option<Sender<Answer>> },
    /// A thread of this program wants a reload.
    LocalReload { reply: Sender<Answer> },
    /// A health check has its answer.
    Health { id: ProcId, generation: Generation, result: HealthCheckResult },
    /// A health check script has used up its time.
    ScriptTimedOut { script: u64 },
    /// The output thread has something to say.
    Output(output::Note),
    /// The configuration file was read, for a reload.
    ConfigLoaded(Box<Result<Loaded, ConfigError>>),
}

/// A child that was reaped.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reaped {
    pub id: ProcId,
    pub generation: Generation,
    pub exit: Exit,
}

/// What the engine has done for it. Nothing here may block on a client, a disk or a name server.
pub(crate) trait World {
    /// Spawns the program; the pid of the new process, leader of its own group.
    fn spawn(&mut self, id: ProcId, generation: Generation, config: &Arc<ProgramConfig>) -> Result<i32, SpawnError>;
    /// Signals everything in the group of the process's present run.
    fn signal_group(&mut self, id: ProcId, signal: u8);
    /// Reaps every child that has ended.
    fn sweep(&mut self) -> Vec<Reaped>;
    /// After the leader was reaped: why it never executed its program, where the spawn was no longer waited for.
    fn late_failure(&mut self, _id: ProcId) -> Option<SpawnError> {
        None
    }
    /// After the leader was reaped: is nothing left of its group?
    fn group_is_empty(&mut self, id: ProcId) -> bool;
    /// Signals (or, with `None`, only counts) the orphans that this process has inherited from its programs; how
    /// many there are. 0 where other children than the programs may be somebody else's.
    fn signal_orphans(&mut self, signal: Option<u8>) -> usize;
    /// Looks for processes that an earlier daemon has left of these programs. Those that have to go before a start are
    /// signalled and asked for as the group of a run that has lost its leader; each such program comes with a pid.
    fn find_orphans(&mut self, _programs: &[(ProcId, Arc<ProgramConfig>)]) -> Vec<(ProcId, i32)> {
        Vec::new()
    }
    /// What is to be said about processes of an earlier daemon that are left alone.
    fn bystanders(&self, _id: ProcId) -> Option<String> {
        None
    }
    /// The leader has ended: its output so far is to be read.
    fn leader_exited(&mut self, id: ProcId, generation: Generation);
    /// The group is gone: its output ends here.
    fn run_ended(&mut self, id: ProcId, generation: Generation);
    /// Begins a health check; an error counts as a failed one.
    fn check_health(&mut self, id: ProcId, generation: Generation, config: &Arc<ProgramConfig>) -> Result<(), String>;
    /// Kills a health check script that has used up its time.
    fn kill_script(&mut self, script: u64);
    /// New or changed settings of a program's output.
    fn configure(&mut self, id: ProcId, config: &Arc<ProgramConfig>);
    /// The process will never be heard of again.
    fn forget(&mut self, id: ProcId);
    /// Begins to read the configuration file; [`Input::ConfigLoaded`] follows.
    fn load_config(&mut self);
    /// Sends an answer.
    fn reply(&mut self, to: &ReplyTo, answer: Answer);
    /// Whether an event of this type would reach anybody.
    fn wants(&self, event_type: EventType) -> bool;
    /// Publishes an event.
    fn publish(&mut self, event: Event);
    /// Answers with the newest output of a process, and with `follow` with what comes.
    fn tail(&mut self, id: ProcId, stream: StreamKind, amount: Amount, follow: bool, to: &ReplyTo);
    /// Empties the log files of a process, then answers.
    fn clear_logs(&mut self, id: ProcId, name: &str, to: &ReplyTo);
    /// Opens all log files anew.
    fn reopen_logs(&mut self);
    /// What has changed of where all programs' output goes.
    fn set_output(&mut self, settings: &SupervisorConfig);
    /// Changes the level of the daemon's own log; `false`: there is no such level.
    fn set_log_level(&mut self, level: &str) -> bool;
    /// The wall clock, since 1970. For telling times only.
    fn wall(&self) -> Duration;
    /// The command name of a process, if it is still there.
    fn command_name(&self, pid: i32) -> Option<String>;
    /// The client listens from now on; it gets these events (JSON objects) first.
    fn listen(&mut self, conn: ConnId, past: Vec<String>);
    /// An event (a JSON object) for a client that listens.
    fn tell_listener(&mut self, conn: ConnId, event: &str);
    /// The client listens no more.
    fn forget_listener(&mut self, conn: ConnId);
    /// Adds the last lines of what the process wrote to this stream, then answers.
    fn explain(&mut self, id: ProcId, stream: StreamKind, why: Why, to: &ReplyTo);
}
