//! The keys of programs.

use super::readers::{
    after, binds, command, directory, env_file, environment, exitcodes, host, numprocs, process_name, requires, script,
    serverurl, stderr_logfile, stdout_logfile, user, wants,
};
use super::row::{KeyRow, Reload, Scope, Section, key, other_than, set, there};
use crate::config::values::{
    MAX_BACKUPS, auto_restart, boolean, exit_code, exit_on, health_check_type, integer, log_buffer, log_sync, number,
    port, program_type, readiness, reconcile, seconds, size, stop_signals, umask,
};
use crate::models::{Dialect, ProgramConfig};

/// Every key that sets something of a program.
pub(crate) static PROGRAM: &[KeyRow<ProgramConfig>] = &[
    key!(Program "command" => command by command; Instance Restart; ""; "split as a shell splits words; no shell is run"),
    KeyRow {
        field: Some("type"),
        ..key!(Program "type" => program_type = program_type; Section Restart; "simple";
            "`simple`, or `oneshot`: what does something once and ends")
    },
    key!(Program "numprocs" => numprocs by numprocs; First Live; "1";
        "above 1: instances `NAME:00`, `NAME:01`, …; `%(process_num)s` is the number"),
    key!(Program "autostart" => autostart = boolean; Section Live; "true"; "start it with the daemon"),
    key!(Program "autorestart" => autorestart = auto_restart; Section Live; "true" there "unexpected";
        "`true`, `false`, or `unexpected` (see `exitcodes`)"),
    key!(Program "exitcodes" => exitcodes by exitcodes; Section Live; "0";
        "what `autorestart = unexpected` takes for success"),
    key!(Program "exit_on" => exit_on = exit_on; Section Live; "never";
        "which end of it ends the daemon: `never`, `failure`, `exit` or `fatal`; a stop or restart by hand is none"),
    key!(Program "exit_code" => exit_code = exit_code; Section Live; "program";
        "what the daemon exits with then: `program` (128 and the signal), or a number"),
    key!(Program "startsecs" => startsecs = |text| seconds(text, 0); Section Restart; "1";
        "seconds that it must live to be `RUNNING`"),
    key!(Program "ready" => ready = readiness; Section Restart; "startsecs";
        "when it is `RUNNING`: after `startsecs`; `fd:3` (or `fd:NAME`, a variable with the number): when it writes a line feed to this descriptor; `health`: when a health check passes"),
    key!(Program "start_timeout" => start_timeout = |text| seconds(text, 0); Section Restart; "60";
        "seconds within which it must be ready by `ready`, or a oneshot have completed; else that was a failed attempt; 0: no limit"),
    key!(Program "startretries" => startretries = |text| number(text, 0, u32::MAX); Section Live; "3";
        "further attempts after a failed start, then `FATAL`; of a oneshot: 0"),
    key!(Program "stopsignal" => stopsignal = stop_signals; Section Restart; "TERM";
        "the signal that asks it to stop; `QUIT:30, TERM:10`: one after the other, each with its seconds, then SIGKILL"),
    key!(Program "stopwaitsecs" => stopwaitsecs = |text| seconds(text, 0); Section Restart; "10";
        "seconds from this signal to SIGKILL, where it has none of its own"),
    key!(Program "stopasgroup" => stopasgroup = boolean; Section Restart; "true" there "false";
        "the stop signal goes to the whole process group; `false`: to the program's main process alone, which ends its workers itself"),
    key!(Program "killasgroup" => killasgroup = boolean; Section Restart; "true" there "false";
        "SIGKILL goes to the whole process group; `false`: to the main process alone"),
    key!(Program "stdout_logfile" => stdout_logfile by stdout_logfile; Instance IfStdoutCaptured; "none";
        "a file, `/dev/stdout`, `/dev/stderr`, `syslog`; `none`: only `log_buffer`"),
    key!(Program "stdout_logfile_maxbytes" => stdout_logfile_maxbytes = size; Instance Live; "50MB";
        "the size at which the file is rotated; 0: never"),
    key!(Program "stdout_logfile_backups" => stdout_logfile_backups = |text| number(text, 0, MAX_BACKUPS);
        Instance Live; "10"; "how many rotated files are kept"),
    key!(Program "stdout_logfile_compress" => stdout_logfile_compress = boolean; Section Live; "false";
        "gzip of the rotated files, while nothing is to be written"),
    key!(Program "stdout_syslog" => stdout_syslog = boolean; Instance IfStdoutCaptured; "false";
        "to the local syslog (`/dev/log`) as well; `stdout_logfile = syslog`: only there"),
    key!(Program "stderr_logfile" => stderr_logfile by stderr_logfile; Instance IfStderrCaptured; "none";
        "a file, `/dev/stdout`, `/dev/stderr`, `syslog`; `none`: only `log_buffer`"),
    key!(Program "stderr_logfile_maxbytes" => stderr_logfile_maxbytes = size; Instance Live; "50MB";
        "the size at which the file is rotated; 0: never"),
    key!(Program "stderr_logfile_backups" => stderr_logfile_backups = |text| number(text, 0, MAX_BACKUPS);
        Instance Live; "10"; "how many rotated files are kept"),
    key!(Program "stderr_logfile_compress" => stderr_logfile_compress = boolean; Section Live; "false";
        "gzip of the rotated files, while nothing is to be written"),
    key!(Program "stderr_syslog" => stderr_syslog = boolean; Instance IfStderrCaptured; "false";
        "to the local syslog (`/dev/log`) as well; `stdout_logfile = syslog`: only there"),
    key!(Program "redirect_stderr" => redirect_stderr = boolean; Section Restart; "false";
        "standard error into standard output, in the order of writing"),
    key!(Program "log_buffer" => log_buffer = log_buffer; Section Live; "16KB";
        "the newest output kept in memory, for each stream"),
    key!(Program "log_sync" => log_sync = log_sync; Section Live; "never";
        "when the disk is told to keep the log: `never`, `rotate` or `line`"),
    // supervisord has variables for all programs in its own section; they are set before those of the program.
    key!(Program "environment" [(Section::Supervisord, "environment")] => environment by environment; Variables Restart; "";
        "`KEY=value,KEY2=\"with, comma\"`, on top of the daemon's own environment"),
    key!(Program "env_file" => env_file by env_file; Instance Restart; ""; "files of `KEY=VALUE` lines, read at every spawn"),
    key!(Program "directory" => directory by directory; Instance Restart; ""; "where it runs; else the daemon's directory"),
    key!(Program "user" => user by user; Section Restart; "";
        "as whom it runs, else as the daemon's user; HOME, USER, LOGNAME and SHELL follow"),
    key!(Program "umask" => umask = umask; Section Restart; "";
        "permission bits that files which it creates do not get, in octal, such as `022`; else the daemon's"),
    key!(Program "pdeathsig" => pdeathsig = boolean; Section Restart; "true"; "SIGKILL the program if the daemon dies"),
    key!(Program "requires" => requires by requires; Instance Live; "";
        "programs, instances or `group:NAME` that are started with it and that it waits for: until they are `RUNNING`, or as `:started`, `:healthy`, `:completed` say; a `?` behind a name: it may be absent; a stop of one stops it first"),
    key!(Program "binds" => binds by binds; Instance Live; "";
        "as `requires`, and it is stopped when one of these ends and started again when that is back"),
    key!(Program "wants" => wants by wants; Instance Live; "";
        "started with it, and waited for as long as they may get there: a failure is no obstacle"),
    key!(Program "after" => after by after; Instance Live; "";
        "what it starts after and stops before where both are to be started or stopped; starts nothing"),
    key!(Program "reconcile" => reconcile = reconcile; Section Restart; "auto";
        "what a daemon that was killed left of it: `auto` (what is certainly its own is stopped before it starts), `kill` (what has left its session, too), `warn`, `off`"),
    KeyRow {
        field: Some("healthcheck.type"),
        ..key!(Program "healthcheck_type" => healthcheck.check_type = health_check_type; Instance Restart; "none";
            "`none`, `tcp` (a connection is accepted) or `script` (a command exits with 0)")
    },
    key!(Program "healthcheck_interval" => healthcheck.interval = |text| seconds(text, 1); Instance Restart; "30";
        "seconds from one check to the next"),
    key!(Program "healthcheck_timeout" => healthcheck.timeout = |text| seconds(text, 1); Instance Restart; "10";
        "seconds that one check may take"),
    key!(Program "healthcheck_retries" => healthcheck.retries = |text| number(text, 1, u32::MAX); Instance Restart; "3";
        "failures in a row that make it `UNHEALTHY`"),
    key!(Program "healthcheck_start_period" => healthcheck.start_period = |text| seconds(text, 0); Instance Restart; "10";
        "seconds from `RUNNING` to the first check"),
    key!(Program "healthcheck_port" => healthcheck.port = port; Instance Restart; ""; "the port of a tcp check"),
    key!(Program "healthcheck_host" => healthcheck.host by host; Instance Restart; "127.0.0.1"; "the host of a tcp check"),
    key!(Program "healthcheck_command" => healthcheck.command by script; Instance Restart; "";
        "the command of a script check, run by `/bin/sh -c`"),
    key!(Group "group" [(Section::Group, "programs")] => group elsewhere; Elsewhere Live; ""; "names of programs that are started and stopped together"),
    // Those of supervisord's dialect alone.
    KeyRow {
        only: Some(Dialect::Supervisord),
        ..key!(Program "numprocs_start" => numprocs_start = integer; First Live; "0";
            "in supervisord's dialect: the number of the first instance")
    },
    KeyRow {
        only: Some(Dialect::Supervisord),
        ..key!(Program "process_name" => process_name by process_name; Instance Restart; "" there "%(program_name)s";
            "in supervisord's dialect: the name within the group, `%(program_name)s` where it is not set")
    },
    KeyRow {
        only: Some(Dialect::Supervisord),
        ..key!(Program "priority" [(Section::Group, "priority")] => priority = integer; Section Live; "999";
            "in supervisord's dialect: lower ones are started first")
    },
    KeyRow {
        only: Some(Dialect::Supervisord),
        ..key!(Program "serverurl" => serverurl by serverurl; Section Restart; "" there "AUTO";
            "in supervisord's dialect: its `SUPERVISOR_SERVER_URL`; `AUTO`: that of the server in the file")
    },
];
