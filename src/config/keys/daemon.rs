//! The keys of the daemon, in the order of the manual.

use super::row::{KeyRow, Reload, Scope, Section, key, other_than, set};
use crate::config::diagnostic::Fault;
use crate::config::fields::Given;
use crate::config::values::{
    MAX_BACKUPS, boolean, child_log, default_output, log_format, log_level, log_prefix, mode, number, path_or_none,
    seconds, size,
};
use crate::models::SupervisorConfig;

/// How supervisord spells the key of the control socket.
pub(crate) const SOCKET_ALSO: (Section, &str) = (Section::UnixServer, "file");

/// Every key of `[supervice]`.
pub(crate) static DAEMON: &[KeyRow<SupervisorConfig>] = &[
    key!(Supervice "logfile" => logfile by logfile; Section Restart; "supervice.log";
        "the daemon's own log; `none`: none. In the foreground (`-n`) the log goes to standard output, and to the file as well if one is named"),
    key!(Supervice "loglevel" => loglevel = log_level; Section Live; "INFO"; "`DEBUG` `INFO` `WARNING` `ERROR` `CRITICAL`"),
    key!(Supervice "log_maxbytes" [(Section::Supervisord, "logfile_maxbytes")] => log_maxbytes = size; Section Restart; "50MB";
        "the size at which the daemon's log is rotated; 0: never"),
    key!(Supervice "log_backups" [(Section::Supervisord, "logfile_backups")] => log_backups = |text| number(text, 0, MAX_BACKUPS); Section Restart; "10";
        "how many rotated logs are kept"),
    key!(Supervice "pidfile" => pidfile by pidfile; Section Restart; "supervice.pid";
        "locked while the daemon runs: a second instance refuses to start; `none`: none"),
    key!(Supervice "socket" [SOCKET_ALSO] => socket_path by socket; Section Restart; "/tmp/supervice.sock";
        "the control socket; `@name`: in the abstract namespace; `none`: none"),
    key!(Supervice "socket_mode" [(Section::UnixServer, "chmod")] => socket_mode = mode; Section Restart; "0600";
        "permission bits of the socket: whoever may write to it may command"),
    key!(Supervice "socket_owner" [(Section::UnixServer, "chown")] => socket_owner by socket_owner; Section Restart; "";
        "`user`, `user:group` or `:group` that the socket belongs to; else the daemon's own"),
    key!(Supervice "shutdown_timeout" => shutdown_timeout = |text| seconds(text, 1); Section Live; "30";
        "seconds for an orderly shutdown, then SIGKILL"),
    key!(Supervice "exit_when_idle" => exit_when_idle = boolean; Section Live; "false";
        "end when every program that was started has ended for good: 0 if all succeeded"),
    key!(Supervice "termination_log" => termination_log = |text| Ok(path_or_none(text)); Section Restart; "auto";
        "where the reason of the end is written, if the file exists; `auto`: `/dev/termination-log`, as PID 1; `none`"),
    key!(Supervice "default_output" => default_output = default_output; Section Live; "none";
        "of programs without a log file: `console` (the daemon's standard output and error) or `none` (only `log_buffer`)"),
    key!(Supervice "log_prefix" => log_prefix = |text| log_prefix(text).map(Some); Section Live; "";
        "before each line on the console: text with `%(process_name)s`, `%(program_name)s`, `%(process_num)s`, `%(group_name)s`, `%(pid)s`, `%(stream)s`, `%(asctime)s`; else `%(process_name)s \\|`"),
    key!(Supervice "log_format" => log_format = log_format; Section Restart; "text";
        "of lines on the console: `text`, or `json` (time, program, stream, pid, line)"),
];

fn logfile(config: &mut SupervisorConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    config.logfile = child_log(given.text());
    config.logfile.as_deref().map_or(Ok(()), |path| given.checks.log_file(path))
}

fn pidfile(config: &mut SupervisorConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    config.pidfile = path_or_none(given.text());
    config.pidfile.as_deref().map_or(Ok(()), |path| given.checks.pid_file(path))
}

fn socket(config: &mut SupervisorConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    config.socket_path = path_or_none(given.text());
    config.socket_path.as_deref().map_or(Ok(()), |path| given.checks.socket(path))
}

fn socket_owner(config: &mut SupervisorConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    config.socket_owner = given.filled().map(str::to_owned);
    config.socket_owner.as_deref().map_or(Ok(()), |owner| given.checks.owner(owner))
}
