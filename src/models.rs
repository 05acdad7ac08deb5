//! Plain configuration data and its defaults: what a configuration file says, after it has been
//! read, expanded and checked. No behaviour lives here.
//!
//! ```
//! use supervice::models::ProgramConfig;
//!
//! let mut web = ProgramConfig::new("web", "/usr/bin/python3 -m http.server");
//! web.startsecs = 2;
//! assert!(web.autostart);
//! ```

mod access;
mod confinement;
mod daemon;
mod dependency;
mod endpoint;
mod fatal_action;
mod fcgi;
mod health_check;
mod hook;
mod http;
mod listener;
mod output_watch;
mod rare;
mod restart;
mod schedule;
mod start_condition;
mod streams;
mod window_size;
mod written;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use access::{AccessRule, Principal, ProgramPattern, Right, Rights};
pub(crate) use confinement::CAPABILITY_NAMES;
pub use confinement::{Capabilities, Confinement, CpuLimit, IoPriority, ResourceLimit, Scheduler};
pub use daemon::{Power, SupervisorConfig};
pub use dependency::{Dependency, DependencyCondition, DependencyKind, DependencyTarget, NoName};
pub use endpoint::{Endpoint, HttpUrl};
pub use fatal_action::FatalAction;
pub use fcgi::{FcgiAddress, FcgiSocket};
pub use health_check::{HealthAction, HealthCheckConfig, HealthCheckType, Statuses};
pub use hook::{Hook, HookCommand, Hooks, NoCommand};
pub use http::{DEFAULT_HTTP_PORT, HttpAddress, HttpConfig};
pub use listener::{ListenerEvent, ListenerEvents};
pub(crate) use output_watch::NoOutputRule;
pub use output_watch::{OutputAction, OutputRule, OutputSign};
pub use rare::{Defaults, Rare};
pub use restart::{
    ChangeAction, ChangePath, DelayGrowth, EndedBy, RestartLimit, RestartPolicy, Share, UNLIMITED_RETRIES,
};
pub use schedule::{Calendar, Catchup, NoSchedule, Overlap, Schedule, ScheduleConfig};
pub(crate) use start_condition::is_flag_name;
pub use start_condition::{NetworkCondition, StartCondition};
pub use streams::{
    LogPlace, LogStart, OutputRecovery, OutputTrouble, OutputTroubleKind, RecoveryCause, Stdin, StreamKind,
};
pub use window_size::WindowSize;

/// 50 MB: the size at which logs are rotated unless the configuration says otherwise, in bytes.
pub const DEFAULT_LOG_MAXBYTES: u64 = 50 * 1024 * 1024;
/// How many rotated files are kept unless the configuration says otherwise.
pub const DEFAULT_LOG_BACKUPS: u32 = 10;
/// The newest output of a stream that is kept in memory unless the configuration says otherwise, in bytes.
pub const DEFAULT_LOG_BUFFER: u64 = 16 * 1024;
/// The control socket where the configuration and the command line name none.
pub const DEFAULT_SOCKET_PATH: &str = "/tmp/supervice.sock";

/// The rules by which a configuration file is read.
///
/// Serialized as `"supervice"` and `"supervisord"`, as it is written behind `--dialect`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// Those of the Python package of the same name.
    #[default]
    Supervice,
    /// Those of supervisord 4: a file with a `[supervisord]` section.
    Supervisord,
}

impl Dialect {
    /// `supervice` or `supervisord`.
    pub fn as_str(self) -> &'static str {
        match self {
            Dialect::Supervice => "supervice",
            Dialect::Supervisord => "supervisord",
        }
    }
}

/// What kind of program it is: one that is to live, or one that is to come to its end.
///
/// Serialized in lower case, as it is written in a configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProgramType {
    /// It runs until it is stopped.
    #[default]
    Simple,
    /// It does something once (a migration, an interface that is set up) and ends. It is `STARTING` as long as it runs,
    /// and
    /// `EXITED` when it has completed.
    Oneshot,
    /// It puts itself into the background: the process that is spawned ends with 0, and the one that its pid file names
    /// is its main process.
    Forking,
}

/// When a program counts as `RUNNING`.
///
/// Serialized as it is written in a configuration file: `"startsecs"`, `"fd:3"`, `"fd:NAME"`, `"path:/run/x.pid"`,
/// `"tcp:localhost:80"`, `"unix:/run/x.sock"`, `"http://localhost/"`, `"log:ready"`, `"command:test -e x"`, `"health"`.
/// Serialized as it is written in a configuration file: `"startsecs"`, `"notify"`, `"fd:3"`, `"fd:NAME"`, `"health"`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Readiness {
    /// When it has lived for `startsecs`.
    #[default]
    Startsecs,
    /// When it says so on the socket that `$NOTIFY_SOCKET` names, as sd_notify(3) has it.
    Notify,
    /// When it has written a line feed to this descriptor, which it gets for that.
    Fd(u16),
    /// The same; the number of the descriptor is in this variable of its environment.
    FdVariable(String),
    /// When this path exists and was made or changed since the start.
    Path(String),
    /// When a connection is accepted there.
    Accepts(Box<Endpoint>),
    /// When a request is answered with a status from 200 to 399.
    Http(Box<HttpUrl>),
    /// When a line of its output matches this regular expression.
    Log(String),
    /// When this shell command exits with 0.
    Command(String),
    /// When a health check passes.
    Health,
}

/// Whose messages on `$NOTIFY_SOCKET` are taken for a program's.
///
/// Serialized in lower case, as it is written in a configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NotifyAccess {
    /// Those of every process of its run.
    #[default]
    Run,
    /// Those of its main process alone.
    Main,
}

/// Which exits are followed by a new start.
///
/// Serialized as `false`, `true` and `"unexpected"`, as it is written in a configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AutoRestart {
    /// None: the program stays `EXITED`.
    Never,
    /// Every exit whose code is not in [`ProgramConfig::exitcodes`], and every death by a signal.
    Unexpected,
    /// Every exit.
    #[default]
    Always,
}

/// Which end of a program ends the daemon, and with it the container. A stop or restart that somebody asks for is
/// never one.
///
/// Serialized in lower case, as it is written in a configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExitOn {
    /// None.
    #[default]
    Never,
    /// A death by a signal, an exit code that is not in [`ProgramConfig::exitcodes`], and `FATAL`.
    Failure,
    /// Every end, and `FATAL`.
    Exit,
    /// `FATAL` alone: when its retries are used up.
    Fatal,
}

impl ExitOn {
    /// The word in a configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            ExitOn::Never => "never",
            ExitOn::Failure => "failure",
            ExitOn::Exit => "exit",
            ExitOn::Fatal => "fatal",
        }
    }
}

/// What the daemon exits with when a program's end ends it.
///
/// Serialized as `"program"` or the number, as it is written in a configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExitCode {
    /// The program's own code; 128 and the signal's number for a death by a signal.
    #[default]
    Program,
    /// This code, whatever the program's was.
    Fixed(u8),
}

/// When the disk is told to keep what was written to a log file (`fdatasync`). Otherwise the system writes it out when
/// it sees fit, mostly within half a minute: what a program wrote is safe from its death, not from a power failure.
///
/// Serialized in lower case, as it is written in a configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogSync {
    /// Never: the least writes on flash memory.
    #[default]
    Never,
    /// Before a file is rotated.
    Rotate,
    /// After each write: no line is lost, and flash memory wears out sooner.
    Line,
}

/// What of a run its stop and its end reach.
///
/// Serialized in lower case, as it is written in a configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StopScope {
    /// All that it has started, what has left its process group included.
    #[default]
    Run,
    /// Its process group alone: what has left that is let be, as the logins of an sshd.
    Group,
}

impl StopScope {
    fn is_run(&self) -> bool {
        *self == StopScope::Run
    }
}

/// Where the output of programs without a log file goes (besides the memory ring of `log_buffer`).
///
/// Serialized as `"none"` and `"console"`, as it is written in a configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DefaultOutput {
    /// Nowhere else.
    #[default]
    None,
    /// To the daemon's own standard output and error, each line whole and prefixed with the program's name.
    Console,
}

/// What a line on the console looks like.
///
/// Serialized as `"text"` and `"json"`, as it is written in a configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// The line as it was written, behind its prefix.
    #[default]
    Text,
    /// A JSON object with `time`, `program`, `stream`, `pid` and `line`.
    Json,
}

/// What happens at the daemon's start to processes that an earlier daemon, which died, has left of a program.
///
/// Serialized as `"auto"`, `"kill"`, `"warn"` and `"off"`, as it is written in a configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reconcile {
    /// What is certainly the program's is stopped before it is started; of others there is a warning.
    #[default]
    Auto,
    /// Everything that carries the program's mark is stopped.
    Kill,
    /// They are left alone, with a warning.
    Warn,
    /// Nobody looks, and the program gets no mark.
    Off,
}

/// One program as configured. A program with `numprocs` above 1 is one `ProgramConfig` for each
/// instance, named `NAME:00`, `NAME:01`, ….
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramConfig {
    /// The unique name by which the program is addressed.
    pub name: String,
    /// The command line, split as a POSIX shell splits words; no shell is run.
    pub command: String,
    /// What kind of program it is.
    #[serde(rename = "type")]
    pub program_type: ProgramType,
    /// The file that names its main process, where it is of the type `forking`.
    pub pidfile: Option<String>,
    /// How many instances the section asked for.
    pub numprocs: u32,
    /// Start it together with the daemon, and when a reload adds it.
    pub autostart: bool,
    /// Start it again after an exit.
    pub autorestart: AutoRestart,
    /// Exit codes that `autorestart = unexpected` takes for success.
    pub exitcodes: Vec<u8>,
    /// Which end of it ends the daemon.
    pub exit_on: ExitOn,
    /// What the daemon exits with then.
    pub exit_code: ExitCode,
    /// Seconds that it must live to count as `RUNNING`; 0: as soon as exec has succeeded.
    pub startsecs: u32,
    /// When it counts as `RUNNING`.
    pub ready: Readiness,
    /// Whose messages on `$NOTIFY_SOCKET` are taken for its own.
    pub notify_access: NotifyAccess,
    /// Seconds within which it has to tell again and again that it is alive (`WATCHDOG=1`), else it is unhealthy; 0: it
    /// need not.
    pub watchdog: u32,
    /// Name of the signal that stops it then, without `SIG`, in place of `stopsignal`.
    pub watchdog_signal: String,
    /// Seconds within which its start has to come about, else it is a failed attempt; 0: it may take as long as it
    /// takes. It bounds a oneshot, and a program that tells by itself that it is ready.
    pub start_timeout: u32,
    /// Seconds between further tries whether it is ready, while it runs, by `ready` = `tcp`, `unix`, `http` or
    /// `command`; 0: none.
    pub ready_interval: u32,
    /// Further attempts after a failed start before it becomes `FATAL`; [`UNLIMITED_RETRIES`]: it never does for that.
    pub startretries: u32,
    /// How, how often and how long it is started again. Absent where it is serialized, unless something of it is set.
    #[serde(default, skip_serializing_if = "Rare::is_unset")]
    pub restart: Rare<RestartPolicy>,
    /// When it is started by the clock. Absent where it is serialized, unless something of it is set.
    #[serde(default, skip_serializing_if = "Rare::is_unset")]
    pub schedule: Rare<ScheduleConfig>,
    /// With `startsecs = 0` every exit is one from RUNNING, however soon, and `autorestart` alone decides what follows;
    /// else an unexpected one within the first second is a failed start. So in supervisord's dialect.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ignores_early_exits: bool,
    /// Name of the signal that asks it to stop, without `SIG`; or several, each with the seconds until the next one, at
    /// last SIGKILL: `QUIT:30,TERM:10`.
    pub stopsignal: String,
    /// Seconds from the stop signal to SIGKILL, where it has none of its own.
    pub stopwaitsecs: u32,
    /// The stop signal goes to its whole process group; `false`: to its main process alone, which ends its workers
    /// itself.
    pub stopasgroup: bool,
    /// SIGKILL goes to its whole process group; `false`: to its main process alone.
    pub killasgroup: bool,
    /// Whether its stop and its end reach what has left its process group. Absent where it is serialized, unless they
    /// do not.
    #[serde(default, skip_serializing_if = "StopScope::is_run")]
    pub stop_scope: StopScope,
    /// What it has as its standard input.
    pub stdin: Stdin,
    /// Its standard streams are a terminal, to which clients may attach theirs.
    pub tty: bool,
    /// Where its standard output goes: a path, `/dev/stdout`, `/dev/stderr`, `syslog`, or `None` (see `log_buffer`).
    pub stdout_logfile: Option<String>,
    /// It is written nowhere by request (`NONE` in supervisord's dialect): supervisord's clients are told that there is
    /// no log.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stdout_log_off: bool,
    /// Rotate the file when it reaches this many bytes; 0: never.
    pub stdout_logfile_maxbytes: u64,
    /// How many rotated files are kept.
    pub stdout_logfile_backups: u32,
    /// Whether its rotated standard output files are compressed with gzip.
    pub stdout_logfile_compress: bool,
    /// Whether its standard output goes to the local syslog as well.
    pub stdout_syslog: bool,
    /// Where its standard error goes; values as for `stdout_logfile`.
    pub stderr_logfile: Option<String>,
    /// As `stdout_log_off`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stderr_log_off: bool,
    /// Rotate the file when it reaches this many bytes; 0: never.
    pub stderr_logfile_maxbytes: u64,
    /// How many rotated files are kept.
    pub stderr_logfile_backups: u32,
    /// Whether its rotated standard error files are compressed with gzip.
    pub stderr_logfile_compress: bool,
    /// Whether its standard error goes to the local syslog as well.
    pub stderr_syslog: bool,
    /// When the disk is told to keep what was written to its log files.
    pub log_sync: LogSync,
    /// Give standard error the same pipe as standard output, so that both keep their order.
    pub redirect_stderr: bool,
    /// Bytes of the newest output of each stream that are kept in memory; 0: none.
    pub log_buffer: u64,
    /// What it says between the marks of a communication on standard output is told as an event and not logged, the
    /// last so many bytes of it; 0: there are no such marks.
    pub stdout_capture_maxbytes: u64,
    /// What it writes to standard output is told as events.
    pub stdout_events_enabled: bool,
    /// As `stdout_capture_maxbytes`, of standard error.
    pub stderr_capture_maxbytes: u64,
    /// As `stdout_events_enabled`, of standard error.
    pub stderr_events_enabled: bool,
    /// The events that it is told of: it is an event listener, if there are any.
    pub events: ListenerEvents,
    /// The most events that may wait for its pool.
    pub buffer_size: u32,
    /// The listening socket that it has as its standard input, if it is an fcgi-program. Absent where it is serialized,
    /// unless it is one.
    #[serde(default, skip_serializing_if = "Rare::is_unset")]
    pub fcgi: Rare<FcgiSocket>,
    /// Variables on top of the daemon's own environment and of `env_file`.
    pub environment: BTreeMap<String, String>,
    /// Files of `KEY=VALUE` lines, read at every spawn; later ones win.
    pub env_file: Vec<String>,
    /// Working directory; `None`: the daemon's.
    pub directory: Option<String>,
    /// Run as this user (name or numeric id); `None`: as the daemon's.
    pub user: Option<String>,
    /// Permission bits that files which it creates do not get; `None`: as the daemon's.
    pub umask: Option<u32>,
    /// The `[group:…]` that the program belongs to; `None`: a group of its own.
    pub group: Option<String>,
    /// What it may use and do. Absent where it is serialized, unless something of it is set.
    #[serde(default, skip_serializing_if = "Rare::is_unset")]
    pub confinement: Rare<Confinement>,
    /// Let the kernel kill the program (SIGKILL) if the daemon dies.
    pub pdeathsig: bool,
    /// What is started with it and has to get there before it starts; a stop of one of these stops it first.
    pub requires: Vec<Dependency>,
    /// As `requires`; it is also stopped when one of these ends, and started again when that is back.
    pub binds: Vec<Dependency>,
    /// What is started with it and waited for as long as it may get there.
    pub wants: Vec<Dependency>,
    /// What it starts after and stops before, where both are to be started or stopped.
    pub after: Vec<Dependency>,
    /// Commands that are run around it.
    #[serde(default, skip_serializing_if = "Rare::is_unset")]
    pub hooks: Rare<Hooks>,
    /// What has to hold outside before each start.
    pub start_when: Vec<StartCondition>,
    /// Seconds within which all of that has to hold, else that was a failed attempt; 0: it is waited for as long as it
    /// takes.
    pub start_when_timeout: u32,
    /// What happens to processes that an earlier daemon has left of it.
    pub reconcile: Reconcile,
    /// How its health is found out.
    pub healthcheck: Rare<HealthCheckConfig>,
    /// What supervisord calls the process: the name within its group. `None` in supervice's dialect. Where it is set,
    /// the process has the variables `SUPERVISOR_ENABLED`, `SUPERVISOR_PROCESS_NAME` and `SUPERVISOR_GROUP_NAME`.
    pub process_name: Option<String>,
    /// The number of its section's first instance, in supervisord's dialect.
    pub numprocs_start: i32,
    /// Lower ones start first and stop last, in supervisord's dialect. The list of programs has that order already.
    pub priority: i32,
    /// The same of its group, which comes first.
    pub group_priority: i32,
    /// The process's `SUPERVISOR_SERVER_URL`, in supervisord's dialect; `None`: it has none.
    pub serverurl: Option<String>,
    /// Its section sets it; else it is that of the daemon: supervisord's clients are told that the program has none of
    /// its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub serverurl_given: bool,
}

impl ProgramConfig {
    /// Whether its standard output goes anywhere by its own settings. Without that, and without
    /// [`DefaultOutput::Console`], it runs with `/dev/null` there.
    pub fn captures_stdout(&self) -> bool {
        self.log_buffer > 0
            || self.stdout_logfile.is_some()
            || self.stdout_syslog
            || self.is_listener()
            || self.stdout_events_enabled
            || self.stdout_capture_maxbytes > 0
            || self.is_heard()
    }

    /// As [`captures_stdout`](Self::captures_stdout), of its standard error.
    pub fn captures_stderr(&self) -> bool {
        self.log_buffer > 0
            || self.stderr_logfile.is_some()
            || self.stderr_syslog
            || self.stderr_events_enabled
            || self.stderr_capture_maxbytes > 0
            || self.is_heard()
    }

    /// Something depends on what it writes.
    fn is_heard(&self) -> bool {
        matches!(self.ready, Readiness::Log(_)) || !self.restart.output_watch.is_empty()
    }

    /// A program with the given name and command and the default of every other setting.
    pub fn new(name: impl Into<String>, command: impl Into<String>) -> Self {
        ProgramConfig {
            name: name.into(),
            command: command.into(),
            program_type: ProgramType::Simple,
            pidfile: None,
            numprocs: 1,
            autostart: true,
            autorestart: AutoRestart::Always,
            exitcodes: vec![0],
            exit_on: ExitOn::Never,
            exit_code: ExitCode::Program,
            startsecs: 1,
            ready: Readiness::Startsecs,
            notify_access: NotifyAccess::Run,
            watchdog: 0,
            watchdog_signal: "ABRT".to_owned(),
            start_timeout: 60,
            ready_interval: 0,
            startretries: 3,
            restart: Rare::default(),
            schedule: Rare::default(),
            ignores_early_exits: false,
            stopsignal: "TERM".to_owned(),
            stopwaitsecs: 10,
            stopasgroup: true,
            killasgroup: true,
            stop_scope: StopScope::Run,
            stdin: Stdin::Null,
            tty: false,
            stdout_logfile: None,
            stdout_log_off: false,
            stdout_logfile_maxbytes: DEFAULT_LOG_MAXBYTES,
            stdout_logfile_backups: DEFAULT_LOG_BACKUPS,
            stdout_logfile_compress: false,
            stdout_syslog: false,
            stderr_logfile: None,
            stderr_log_off: false,
            stderr_logfile_maxbytes: DEFAULT_LOG_MAXBYTES,
            stderr_logfile_backups: DEFAULT_LOG_BACKUPS,
            stderr_logfile_compress: false,
            stderr_syslog: false,
            log_sync: LogSync::Never,
            redirect_stderr: false,
            log_buffer: DEFAULT_LOG_BUFFER,
            stdout_capture_maxbytes: 0,
            stdout_events_enabled: false,
            stderr_capture_maxbytes: 0,
            stderr_events_enabled: false,
            events: ListenerEvents::NONE,
            buffer_size: 10,
            fcgi: Rare::default(),
            environment: BTreeMap::new(),
            env_file: Vec::new(),
            directory: None,
            user: None,
            umask: None,
            group: None,
            confinement: Rare::default(),
            pdeathsig: true,
            requires: Vec::new(),
            binds: Vec::new(),
            wants: Vec::new(),
            after: Vec::new(),
            start_when: Vec::new(),
            start_when_timeout: 0,
            hooks: Rare::default(),
            reconcile: Reconcile::Auto,
            healthcheck: Rare::default(),
            process_name: None,
            numprocs_start: 0,
            priority: 999,
            group_priority: 999,
            serverurl: None,
            serverurl_given: false,
        }
    }

    /// Whether it is an event listener.
    pub fn is_listener(&self) -> bool {
        !self.events.is_empty()
    }

    /// What supervisord's clients call its group and the process within it. In supervice's dialect an instance `web:00`
    /// is the process `00` of the group `web`, unless it is in a group that is configured.
    pub(crate) fn group_and_process(&self) -> (&str, &str) {
        let process = match (&self.process_name, &self.group) {
            (Some(process), _) => process,
            (None, Some(_)) => &*self.name,
            (None, None) => self.name.split_once(':').map_or(&*self.name, |(_, instance)| instance),
        };
        (self.group_name(), process)
    }

    /// It has the socket for messages about itself: `$NOTIFY_SOCKET`.
    pub fn can_notify(&self) -> bool {
        self.ready == Readiness::Notify || self.watchdog > 0
    }

    /// By whose rules it was read: only supervisord's give a process a name within its group.
    pub(crate) fn dialect(&self) -> Dialect {
        if self.process_name.is_some() { Dialect::Supervisord } else { Dialect::Supervice }
    }

    /// The group that it is started and stopped with: the configured one, else the section's name
    /// (which all instances of one section share).
    pub fn group_name(&self) -> &str {
        match &self.group {
            Some(group) => group,
            None => self.name.split(':').next().unwrap_or(&self.name),
        }
    }
}
