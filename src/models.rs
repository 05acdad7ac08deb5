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

mod dependency;
mod written;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use dependency::{Dependency, DependencyCondition, DependencyKind, DependencyTarget, NoName};

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

/// How a program's health is found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthCheckType {
    /// Not at all: a program that runs is taken for healthy.
    #[default]
    None,
    /// A TCP connection to `host:port` must be accepted within the time-out.
    Tcp,
    /// `/bin/sh -c command` must exit with 0 within the time-out.
    Script,
}

/// The health check of one program. All durations are whole seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheckConfig {
    /// How health is found out.
    #[serde(rename = "type")]
    pub check_type: HealthCheckType,
    /// Seconds from one check to the next; at least 1.
    pub interval: u32,
    /// Seconds that one check may take; at least 1.
    pub timeout: u32,
    /// Failures in a row that make the program `UNHEALTHY`; at least 1.
    pub retries: u32,
    /// Seconds from `RUNNING` to the first check.
    pub start_period: u32,
    /// The port of a tcp check.
    pub port: Option<u16>,
    /// The host of a tcp check: an IPv4 or IPv6 address or a name.
    pub host: String,
    /// The command of a script check, run by `/bin/sh -c`.
    pub command: Option<String>,
}

impl Default for HealthCheckConfig {
    fn default() -> Self {
        HealthCheckConfig {
            check_type: HealthCheckType::None,
            interval: 30,
            timeout: 10,
            retries: 3,
            start_period: 10,
            port: None,
            host: "127.0.0.1".to_owned(),
            command: None,
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
    /// It does something once (a migration, an interface that is set up) and ends. It is `STARTING` as long as it runs, and
    /// `EXITED` when it has completed.
    Oneshot,
}

/// When a program counts as `RUNNING`.
///
/// Serialized as it is written in a configuration file: `"startsecs"`, `"fd:3"`, `"fd:NAME"`, `"health"`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Readiness {
    /// When it has lived for `startsecs`.
    #[default]
    Startsecs,
    /// When it has written a line feed to this descriptor, which it gets for that.
    Fd(u16),
    /// The same; the number of the descriptor is in this variable of its environment.
    FdVariable(String),
    /// When a health check passes.
    Health,
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

/// When the disk is told to keep what was written to a log file (`fdatasync`). Otherwise the system writes it out when it
/// sees fit, mostly within half a minute: what a program wrote is safe from its death, not from a power failure.
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
    /// Seconds within which its start has to come about, else it is a failed attempt; 0: it may take as long as it takes. It
    /// bounds a oneshot, and a program that tells by itself that it is ready.
    pub start_timeout: u32,
    /// Further attempts after a failed start before it becomes `FATAL`.
    pub startretries: u32,
    /// Name of the signal that asks it to stop, without `SIG`; or several, each with the seconds until the next one, at last
    /// SIGKILL: `QUIT:30,TERM:10`.
    pub stopsignal: String,
    /// Seconds from the stop signal to SIGKILL, where it has none of its own.
    pub stopwaitsecs: u32,
    /// The stop signal goes to its whole process group; `false`: to its main process alone, which ends its workers itself.
    pub stopasgroup: bool,
    /// SIGKILL goes to its whole process group; `false`: to its main process alone.
    pub killasgroup: bool,
    /// Where its standard output goes: a path, `/dev/stdout`, `/dev/stderr`, `syslog`, or `None` (see `log_buffer`).
    pub stdout_logfile: Option<String>,
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
    /// What happens to processes that an earlier daemon has left of it.
    pub reconcile: Reconcile,
    /// How its health is found out.
    pub healthcheck: HealthCheckConfig,
    /// What supervisord calls the process: the name within its group. `None` in supervice's dialect. Where it is set, the
    /// process has the variables `SUPERVISOR_ENABLED`, `SUPERVISOR_PROCESS_NAME` and `SUPERVISOR_GROUP_NAME`.
    pub process_name: Option<String>,
    /// The number of its section's first instance, in supervisord's dialect.
    pub numprocs_start: i32,
    /// Lower ones start first and stop last, in supervisord's dialect. The list of programs has that order already.
    pub priority: i32,
    /// The process's `SUPERVISOR_SERVER_URL`, in supervisord's dialect; `None`: it has none.
    pub serverurl: Option<String>,
}

impl ProgramConfig {
    /// Whether its standard output goes anywhere by its own settings. Without that, and without
    /// [`DefaultOutput::Console`], it runs with `/dev/null` there.
    pub fn captures_stdout(&self) -> bool {
        self.log_buffer > 0 || self.stdout_logfile.is_some() || self.stdout_syslog
    }

    /// As [`captures_stdout`](Self::captures_stdout), of its standard error.
    pub fn captures_stderr(&self) -> bool {
        self.log_buffer > 0 || self.stderr_logfile.is_some() || self.stderr_syslog
    }

    /// A program with the given name and command and the default of every other setting.
    pub fn new(name: impl Into<String>, command: impl Into<String>) -> Self {
        ProgramConfig {
            name: name.into(),
            command: command.into(),
            program_type: ProgramType::Simple,
            numprocs: 1,
            autostart: true,
            autorestart: AutoRestart::Always,
            exitcodes: vec![0],
            exit_on: ExitOn::Never,
            exit_code: ExitCode::Program,
            startsecs: 1,
            ready: Readiness::Startsecs,
            start_timeout: 60,
            startretries: 3,
            stopsignal: "TERM".to_owned(),
            stopwaitsecs: 10,
            stopasgroup: true,
            killasgroup: true,
            stdout_logfile: None,
            stdout_logfile_maxbytes: DEFAULT_LOG_MAXBYTES,
            stdout_logfile_backups: DEFAULT_LOG_BACKUPS,
            stdout_logfile_compress: false,
            stdout_syslog: false,
            stderr_logfile: None,
            stderr_logfile_maxbytes: DEFAULT_LOG_MAXBYTES,
            stderr_logfile_backups: DEFAULT_LOG_BACKUPS,
            stderr_logfile_compress: false,
            stderr_syslog: false,
            log_sync: LogSync::Never,
            redirect_stderr: false,
            log_buffer: DEFAULT_LOG_BUFFER,
            environment: BTreeMap::new(),
            env_file: Vec::new(),
            directory: None,
            user: None,
            umask: None,
            group: None,
            pdeathsig: true,
            requires: Vec::new(),
            binds: Vec::new(),
            wants: Vec::new(),
            after: Vec::new(),
            reconcile: Reconcile::Auto,
            healthcheck: HealthCheckConfig::default(),
            process_name: None,
            numprocs_start: 0,
            priority: 999,
            serverurl: None,
        }
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

/// The whole configuration of a daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupervisorConfig {
    /// The daemon's own log file; `None`: none.
    pub logfile: Option<String>,
    /// The file that holds the daemon's pid and lock; `None`: none.
    pub pidfile: Option<String>,
    /// `DEBUG`, `INFO`, `WARNING`, `ERROR` or `CRITICAL`.
    pub loglevel: String,
    /// The control socket; `None`: none.
    pub socket_path: Option<String>,
    /// Permission bits of the control socket.
    pub socket_mode: u32,
    /// `user`, `user:group` or `:group` that owns the control socket; `None`: the daemon's own.
    pub socket_owner: Option<String>,
    /// Seconds for an orderly shutdown, then SIGKILL.
    pub shutdown_timeout: u32,
    /// End when every program has ended and none is to be started again.
    pub exit_when_idle: bool,
    /// Where the reason of the end is written, if the file exists: a path; `auto`: `/dev/termination-log` as PID 1;
    /// `None`: nowhere.
    pub termination_log: Option<String>,
    /// Rotate the daemon's log when it reaches this many bytes; 0: never.
    pub log_maxbytes: u64,
    /// How many rotated logs of the daemon are kept.
    pub log_backups: u32,
    /// Where the output of programs without a log file goes.
    pub default_output: DefaultOutput,
    /// What stands before each line of a program on the console, with `%(process_name)s` and the like;
    /// `None`: `NAME | ` for programs without a log file, nothing for `/dev/stdout` and `/dev/stderr`.
    pub log_prefix: Option<String>,
    /// What a line on the console looks like.
    pub log_format: LogFormat,
    /// The programs in the order of the file; in supervisord's dialect in that in which they start.
    pub programs: Vec<ProgramConfig>,
    /// The rules by which the file was read.
    pub dialect: Dialect,
    /// Stay in the foreground, in supervisord's dialect.
    pub nodaemon: bool,
    /// In the foreground the log does not go to standard output, in supervisord's dialect.
    pub silent: bool,
    /// The user that the daemon becomes before all else, in supervisord's dialect; `None`: it stays who started it.
    pub user: Option<String>,
    /// Where a daemon that has detached runs, in supervisord's dialect; `None`: where it was started.
    pub directory: Option<String>,
    /// The file mode creation mask of a daemon that has detached, in supervisord's dialect; `None`: that of its start.
    pub umask: Option<u32>,
    /// The least number of open files that it must be allowed, in supervisord's dialect; 0: any.
    pub minfds: u32,
    /// The least number of processes that its user must be allowed, in supervisord's dialect; 0: any.
    pub minprocs: u32,
    /// What it calls itself to clients of supervisord.
    pub identifier: String,
}

impl Default for SupervisorConfig {
    fn default() -> Self {
        SupervisorConfig {
            logfile: Some("supervice.log".to_owned()),
            pidfile: Some("supervice.pid".to_owned()),
            loglevel: "INFO".to_owned(),
            socket_path: Some(DEFAULT_SOCKET_PATH.to_owned()),
            socket_mode: 0o600,
            socket_owner: None,
            shutdown_timeout: 30,
            exit_when_idle: false,
            termination_log: Some("auto".to_owned()),
            log_maxbytes: DEFAULT_LOG_MAXBYTES,
            log_backups: DEFAULT_LOG_BACKUPS,
            default_output: DefaultOutput::None,
            log_prefix: None,
            log_format: LogFormat::Text,
            programs: Vec::new(),
            dialect: Dialect::Supervice,
            nodaemon: false,
            silent: false,
            user: None,
            directory: None,
            umask: None,
            minfds: 0,
            minprocs: 0,
            identifier: "supervisor".to_owned(),
        }
    }
}

/// What becomes of the machine when everything has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Power {
    /// Turned off.
    Off,
    /// Started anew.
    Reboot,
    /// Stopped, with the power on.
    Halt,
}

impl Power {
    /// The command that asks for it: `poweroff`, `reboot` or `halt`.
    pub fn command(self) -> &'static str {
        match self {
            Power::Off => "poweroff",
            Power::Reboot => "reboot",
            Power::Halt => "halt",
        }
    }
}

/// One of the two streams of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamKind {
    /// Standard output; with `redirect_stderr` also standard error.
    Stdout,
    /// Standard error.
    Stderr,
}

impl StreamKind {
    /// `stdout` or `stderr`.
    pub fn as_str(self) -> &'static str {
        match self {
            StreamKind::Stdout => "stdout",
            StreamKind::Stderr => "stderr",
        }
    }
}
