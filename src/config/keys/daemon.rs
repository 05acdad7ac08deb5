//! The keys of the daemon, in the order of the manual.

use std::path::Path;

use super::readers::home;
use super::row::{KeyRow, Rare, Reload, Scope, Section, field, key, other_than, set, there};
use crate::config::checks::Checks;
use crate::config::diagnostic::Fault;
use crate::config::fields::Given;
use crate::config::values::{
    MAX_BACKUPS, boolean, child_log, default_output, log_format, log_level, log_prefix as prefix, mode, number,
    oom_score_adj, path_or_none, seconds, size, umask,
};
use crate::models::{Dialect, SupervisorConfig};
use crate::sys::guarded_path::is_null_device;

/// Every key of `[supervice]`.
pub(crate) static DAEMON: &[KeyRow<SupervisorConfig>] = &[
    key!(Supervice "logfile" => logfile by logfile; Section Restart; "supervice.log" there "supervisord.log";
        "the daemon's own log; `none`: none. In the foreground (`-n`) the log goes to standard output, and to the file as well if one is named"),
    key!(Supervice "loglevel" => loglevel = log_level; Section Live; "INFO"; "`DEBUG` `INFO` `WARNING` `ERROR` `CRITICAL`"),
    key!(Supervice "log_maxbytes" [(Section::Supervisord, "logfile_maxbytes")] => log_maxbytes = size; Section Live; "50MB";
        "the size at which the daemon's log is rotated; 0: never"),
    key!(Supervice "log_backups" [(Section::Supervisord, "logfile_backups")] => log_backups = |text| number(text, 0, MAX_BACKUPS); Section Live; "10";
        "how many rotated logs are kept"),
    key!(Supervice "pidfile" => pidfile by pidfile; Section Restart; "supervice.pid" there "supervisord.pid";
        "locked while the daemon runs: a second instance refuses to start; `none`: none"),
    key!(Supervice "socket" [(Section::UnixServer, "file")] => socket_path by socket; Section Restart; "/tmp/supervice.sock";
        "the control socket; `@name`: in the abstract namespace; `none`: none"),
    key!(Supervice "socket_mode" [(Section::UnixServer, "chmod")] => socket_mode = mode; Section Restart; "0600";
        "permission bits of the socket: whoever may write to it may command"),
    key!(Supervice "socket_owner" [(Section::UnixServer, "chown")] => socket_owner by socket_owner; Section Restart; "";
        "`user`, `user:group` or `:group` that the socket belongs to; else the daemon's own"),
    key!(Supervice "shutdown_timeout" => shutdown_timeout = |text| seconds(text, 1); Section Live; "30";
        "seconds for an orderly shutdown, then SIGKILL; where it is not written, in supervisord's dialect no less than all groups may take one behind the other (`stopwaitsecs`)"),
    key!(Supervice "start_limit" => start_limit = |text| number(text, 0, u32::MAX); Section Live; "0";
        "at most so many processes are STARTING at one time, the others wait for a start slot; 0: as many as there are"),
    key!(Supervice "exit_when_idle" => exit_when_idle = boolean; Section Live; "false";
        "end when every program that was started has ended for good: 0 if all succeeded"),
    key!(Supervice "state_dir" => state_dir by state_dir; Section Restart; "none";
        "the directory in which is kept what outlives the daemon: `disable`, `enable worker@us`, `scale --save`, and until when schedules with `schedule_catchup` were followed; made if only the last part of the path is missing"),
    key!(Supervice "termination_log" => termination_log = |text| Ok(path_or_none(text)); Section Restart; "auto";
        "where the reason of the end is written, if the file exists; `auto`: `/dev/termination-log`, as PID 1; `none`"),
    key!(Supervice "default_output" => default_output = default_output; Section Live; "none";
        "of programs without a log file: `console` (the daemon's standard output and error) or `none` (only `log_buffer`)"),
    key!(Supervice "log_prefix" => log_prefix by log_prefix; Section Live; "";
        "before each line on the console: text with `%(process_name)s`, `%(program_name)s`, `%(process_num)s`, `%(group_name)s`, `%(pid)s`, `%(stream)s`, `%(asctime)s`; else `%(process_name)s \\|`"),
    key!(Supervice "log_format" => log_format = log_format; Section Restart; "text";
        "of lines on the console: `text`, or `json` (time, program, stream, pid, line)"),
    key!(Supervice "strip_ansi" => strip_ansi = boolean; Section Live; "false";
        "programs' output is kept and logged without the escape sequences of terminals: colours, titles, moves of the cursor"),
    key!(Supervice "oom_score_adj" => oom_score_adj = oom_score_adj; Section Restart; "";
        "how readily the kernel kills the daemon when memory is used up: from -1000 (never) to 1000; programs get what it was started with"),
    // Those of supervisord's dialect alone.
    KeyRow {
        only: Some(Dialect::Supervisord),
        ..key!(Supervice "nodaemon" => nodaemon = boolean; Section Restart; "false";
            "in supervisord's dialect: stay in the foreground, as with `-n`")
    },
    KeyRow {
        only: Some(Dialect::Supervisord),
        ..key!(Supervice "silent" => silent = boolean; Section Restart; "false";
            "in supervisord's dialect: in the foreground, no log on standard output")
    },
    KeyRow {
        only: Some(Dialect::Supervisord),
        ..key!(Supervice "user" => user by user; Section Restart; "";
            "in supervisord's dialect: the user that the daemon becomes")
    },
    KeyRow {
        only: Some(Dialect::Supervisord),
        ..key!(Supervice "directory" => directory by directory; Section Restart; "";
            "in supervisord's dialect: where a daemon that has detached runs")
    },
    KeyRow {
        only: Some(Dialect::Supervisord),
        ..key!(Supervice "umask" => umask = umask; Section Restart; "" there "022";
            "in supervisord's dialect: that of a daemon that has detached, in octal")
    },
    KeyRow {
        only: Some(Dialect::Supervisord),
        ..key!(Supervice "minfds" => minfds = |text| number(text, 0, u32::MAX); Section Restart; "0" there "1024";
            "in supervisord's dialect: open files that it must be allowed; the limit is raised, or the start fails")
    },
    KeyRow {
        only: Some(Dialect::Supervisord),
        ..key!(Supervice "minprocs" => minprocs = |text| number(text, 0, u32::MAX); Section Restart; "0" there "200";
            "in supervisord's dialect: the same of processes")
    },
    KeyRow {
        only: Some(Dialect::Supervisord),
        ..key!(Supervice "identifier" => identifier = |text| Ok(text.to_owned()); Section Restart; "supervisor";
            "in supervisord's dialect: what it calls itself to clients")
    },
];

fn logfile(config: &mut SupervisorConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    config.logfile = child_log(&home(given)?);
    match config.logfile.as_deref() {
        Some(path) if given.is_in_file() => own_fact(given, |checks| checks.log_file(path)),
        Some(_) | None => Ok(()),
    }
}

fn pidfile(config: &mut SupervisorConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    // Images write `/dev/null` where they want none.
    config.pidfile = path_or_none(&home(given)?).filter(|path| !is_null_device(Path::new(path)));
    match config.pidfile.as_deref() {
        Some(path) if given.is_in_file() => own_fact(given, |checks| checks.pid_file(path)),
        Some(_) | None => Ok(()),
    }
}

fn socket(config: &mut SupervisorConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    config.socket_path = path_or_none(&home(given)?);
    let path = config.socket_path.as_deref();
    path.map_or(Ok(()), |path| own_fact(given, |checks| checks.socket(path)))
}

/// What the start of the daemon needs of the system; a warning where it runs already.
fn own_fact(given: &mut Given<'_>, check: impl FnOnce(&mut Checks) -> Result<(), Fault>) -> Result<(), Fault> {
    match check(given.checks) {
        Err(fault) if given.checks.reload => {
            given.warn(fault);
            Ok(())
        }
        result => result,
    }
}

fn socket_owner(config: &mut SupervisorConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    config.socket_owner = given.filled()?;
    let owner = config.socket_owner.as_deref();
    owner.map_or(Ok(()), |owner| own_fact(given, |checks| checks.owner(owner)))
}

fn state_dir(config: &mut SupervisorConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    config.state_dir = path_or_none(&home(given)?);
    if let Some(path) = config.state_dir.as_deref()
        && let Err(fault) = given.checks.state_dir(path)
    {
        // Programs run without it, and it may be there when something is to be kept.
        given.warn(Fault::new(format!("nothing can be kept: {}", fault.message), fault.hint));
    }
    Ok(())
}

/// Its `%` stand for what is known when a line is written.
fn log_prefix(config: &mut SupervisorConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    config.log_prefix = Some(prefix(given.raw())?);
    Ok(())
}

/// An unknown user is an error: the daemon must not keep more rights than the file grants.
fn user(config: &mut SupervisorConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    let user = given.text()?;
    own_fact(given, |checks| checks.user(&user).map(drop))?;
    config.user = Some(user);
    Ok(())
}

fn directory(config: &mut SupervisorConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    let path = home(given)?;
    own_fact(given, |checks| checks.directory(&path))?;
    config.directory = Some(path);
    Ok(())
}
