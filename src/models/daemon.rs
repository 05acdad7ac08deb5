//! The daemon's own settings, and all programs.

use serde::{Deserialize, Serialize};

use super::{
    AccessRule, DEFAULT_LOG_BACKUPS, DEFAULT_LOG_MAXBYTES, DEFAULT_SOCKET_PATH, DefaultOutput, Dialect, HttpConfig,
    LogFormat, ProgramConfig,
};

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
    /// At most so many processes are in `STARTING` at one time; 0: as many as there are.
    pub start_limit: u32,
    /// End when every program has ended and none is to be started again.
    pub exit_when_idle: bool,
    /// Where the reason of the end is written, if the file exists: a path; `auto`: `/dev/termination-log` as PID 1;
    /// `None`: nowhere.
    pub termination_log: Option<String>,
    /// Where is kept what outlives the daemon; `None`: nothing does.
    pub state_dir: Option<String>,
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
    /// What programs write is kept and logged without the escape sequences of terminals.
    pub strip_ansi: bool,
    /// The sockets on which HTTP is spoken, besides the control socket. One with the path of the control socket says
    /// who may come in there.
    pub http: Vec<HttpConfig>,
    /// Who may do what; no rule: whoever gets in may do all.
    pub access: Vec<AccessRule>,
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
    /// How readily the kernel kills the daemon itself when memory is used up: from -1000, which is never, to 1000;
    /// `None`: as it was started. Programs keep what the daemon was started with.
    pub oom_score_adj: Option<i16>,
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
            start_limit: 0,
            exit_when_idle: false,
            termination_log: Some("auto".to_owned()),
            state_dir: None,
            log_maxbytes: DEFAULT_LOG_MAXBYTES,
            log_backups: DEFAULT_LOG_BACKUPS,
            default_output: DefaultOutput::None,
            log_prefix: None,
            log_format: LogFormat::Text,
            strip_ansi: false,
            http: Vec::new(),
            access: Vec::new(),
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
            oom_score_adj: None,
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
