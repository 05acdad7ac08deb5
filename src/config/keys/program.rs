//! The keys of programs.

use super::fcgi::{fcgi_address, fcgi_backlog, fcgi_owner};
use super::hooks::{on_fatal, on_state, post_start, post_stop, pre_start, reload_command, reload_signal, stop_command};
use super::readers::{
    after, binds, chroot, command, directory, env_file, environment, events, exitcodes, headers, host, numprocs,
    process_name, program_pidfile, requires, restart_on_change, script, serverurl, socket_path, start_when,
    stderr_logfile, stdout_logfile, unix_group, unix_groups, url, user, wants,
};
use super::row::{KeyRow, Rare, Reload, Scope, Section, field, key, other_than, set, there};
use super::schedule::{schedule, schedule_jitter, schedule_timezone};
use super::terminal::tty;
use crate::config::values::{
    MAX_BACKUPS, auto_restart, boolean, capabilities, catchup, change_action, count_limit, cpus, delay_growth, ends,
    exit_code, exit_on, health_action, health_check_type, integer, io_priority, log_buffer, log_sync, max_cpu, max_rss,
    mode, nice, nice_limit, notify_access, number, oom_score_adj, output_rules, overlap, port, program_type, readiness,
    reconcile, restart_limit, retries, rtprio_limit, scheduler, seconds, share, signal, size, size_limit, statuses,
    stdin, stop_scope, stop_signals, time_limit, umask,
};
use crate::models::{Dialect, ProgramConfig};

/// Every key that sets something of a program.
pub(crate) static PROGRAM: &[KeyRow<ProgramConfig>] = &[
    key!(Program "command" => command by command; Instance Restart; ""; "split as a shell splits words; no shell is run"),
    key!(Program "type" as "type" => program_type = program_type; Section Restart; "simple";
        "`simple`; `oneshot`: what does something once and ends; `forking`: what puts itself into the background (see `pidfile`)"),
    key!(Program "pidfile" => pidfile by program_pidfile; Instance Restart; "";
        "with `type = forking`: the file in which it names its main process"),
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
        "when it is `RUNNING`: after `startsecs`; `notify`: when it says `READY=1` on `$NOTIFY_SOCKET` (sd_notify); `fd:3` (or `fd:NAME`, a variable with the number): when it writes a line feed to this descriptor; `path:/run/x.pid`: when that is made or changed; `tcp:HOST:PORT`, `unix:/PATH`: when a connection is accepted; `http://HOST:PORT/PATH`: when the answer is 200 to 399; `log:REGEX`: when a line of its output matches; `command:CMD`: when that succeeds; `health`: when a health check passes"),
    key!(Program "ready_interval" => ready_interval = |text| seconds(text, 0); Section Restart; "0";
        "seconds between further tries by `tcp:`, `unix:`, `http:` and `command:` while it runs: they tell its readiness (`ready`) and restart nothing; 0: none"),
    key!(Program "notify_access" => notify_access = notify_access; Section Restart; "run";
        "whose messages on `$NOTIFY_SOCKET` are taken: of every process of its `run`, or of the `main` one alone"),
    key!(Program "watchdog" => watchdog = |text| seconds(text, 0); Section Restart; "0";
        "seconds within which it must tell again and again that it is alive (`WATCHDOG=1` on `$NOTIFY_SOCKET`), else it is `UNHEALTHY`; 0: no watchdog"),
    key!(Program "watchdog_signal" => watchdog_signal = signal; Section Restart; "ABRT";
        "the signal that stops it then, in place of `stopsignal`"),
    key!(Program "start_timeout" => start_timeout = |text| seconds(text, 0); Section Restart; "60";
        "seconds within which it must be ready by `ready`, or a oneshot have completed; else that was a failed attempt; 0: no limit"),
    key!(Program "startretries" => startretries = retries; Section Live; "3";
        "further attempts after a failed start, then `FATAL`; of a oneshot: 0; `unlimited`"),
    key!(Program "restart_delay" => restart.delay = |text| seconds(text, 1); Section Live; "1";
        "seconds before the first retry of a failed start"),
    key!(Program "restart_delay_max" => restart.delay_max = |text| seconds(text, 1); Section Live; "30";
        "the most seconds before a retry"),
    key!(Program "restart_delay_growth" => restart.delay_growth = delay_growth; Section Live; "linear";
        "how this delay grows from one failed start to the next: `none`, `linear` (1, 2, 3 …) or `double` (1, 2, 4 …)"),
    key!(Program "restart_jitter" => restart.jitter = share; Section Live; "0";
        "how much of it is random, 0 to 1: many machines must not call their server in step"),
    key!(Program "restart_limit" => restart.limit = restart_limit; Section Live; "";
        "`5/60`: more than 5 restarts within 60 seconds, but those of `max_lifetime`, are `FATAL`"),
    key!(Program "norestart_exitcodes" => restart.never_after = ends; Section Live; "";
        "exit codes and signals that no start follows, whatever `autorestart` and `startretries` say: `78, SIGUSR1`"),
    key!(Program "fatal_retry" => restart.fatal_retry = |text| seconds(text, 0); Section Live; "0";
        "seconds from `FATAL` to another attempt, doubled after each that fails up to an hour, a fifth more or less; 0: none"),
    key!(Program "on_fatal" => restart.on_fatal by on_fatal; Section Live; "none";
        "what follows `FATAL`: `exit` (the daemon ends), `reboot`, `poweroff` (of the machine), `command:CMD`"),
    key!(Program "on_fatal_after" => restart.on_fatal_after = |text| number(text, 1, u32::MAX); Section Live; "1";
        "with `fatal_retry`: so many attempts after `FATAL` have to fail before that"),
    key!(Program "max_runtime" => restart.max_runtime = |text| seconds(text, 0); Section Restart; "0";
        "seconds that a oneshot may run: then it is stopped, and has failed; 0: no limit"),
    key!(Program "restart_on_change" => restart.on_change by restart_on_change; Instance Restart; "";
        "files and directories, with commas: it is restarted in order when what is there has changed and settled; `command`: what it executes"),
    key!(Program "restart_on_change_action" => restart.on_change_action = change_action; Section Live; "restart";
        "`restart`, or `reload`: as `supervicectl reload NAME` does"),
    key!(Program "output_watch" => restart.output_watch = output_rules; Instance Restart; "";
        "what its output is watched for, one on a line: `silence:SECONDS` or `pattern:REGEX`, then ` -> ` and `restart` (the default), `unhealthy`, `signal:NAME` or `command:CMD`"),
    key!(Program "max_lifetime" => restart.max_lifetime = |text| seconds(text, 0); Section Restart; "0";
        "seconds after which it is restarted in order, a tenth more or less; instances one after the other, each when the one before is `RUNNING`; 0: never"),
    key!(Program "schedule" => schedule.times by schedule; Section Live; "";
        "when it is started by the clock, one on a line: the five fields of cron(8) (`0 3 * * *`; six: the first is the second), `@daily` and the like, `every 15m` from the daemon's start on, `every 90s after end`; then `type` is `oneshot` and `autostart` is `false`, unless they are set"),
    key!(Program "schedule_timezone" => schedule.timezone by schedule_timezone; Section Live; "";
        "the time zone of these times: a name such as `Europe/Berlin`, or `UTC`; else the system's"),
    key!(Program "schedule_overlap" => schedule.overlap = overlap; Section Live; "skip";
        "at a time at which the last run is still there: `skip`, `queue` (one more run follows) or `restart`"),
    key!(Program "schedule_jitter" => schedule.jitter by schedule_jitter; Section Live; "0";
        "seconds up to which its times are put off, always by the same for a program on a machine"),
    key!(Program "schedule_catchup" => schedule.catchup = catchup; Section Live; "false";
        "`once`: a run makes up for times that were missed while the machine was asleep"),
    key!(Program "stopsignal" => stopsignal = stop_signals; Section Restart; "TERM";
        "the signal that asks it to stop; `QUIT:30, TERM:10`: one after the other, each with its seconds, then SIGKILL"),
    key!(Program "stopwaitsecs" => stopwaitsecs = |text| seconds(text, 0); Section Restart; "10";
        "seconds from this signal to SIGKILL, where it has none of its own"),
    key!(Program "stopasgroup" => stopasgroup = boolean; Section Restart; "true" there "false";
        "the stop signal goes to the whole process group; `false`: to the program's main process alone, which ends its workers itself"),
    key!(Program "killasgroup" => killasgroup = boolean; Section Restart; "true" there "false";
        "SIGKILL goes to the whole process group; `false`: to the main process alone"),
    key!(Program "stop_scope" => stop_scope = stop_scope; Section Restart; "run" there "group";
        "what a stop, a restart and its end reach: `run`, all that it has started; `group`, its process group alone: what has left that (`setsid`) is let be"),
    key!(Program "stdin" => stdin = stdin; Instance Restart; "null" there "pipe";
        "standard input: `null` (an end at once), `pipe` (see `supervicectl stdin`), or `file:PATH`"),
    key!(Program "tty" => tty by tty; Instance Restart; "false";
        "its standard streams are a terminal: `supervicectl attach NAME` sits down at it; what it writes there is its standard output"),
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
    key!(Program "stdout_capture_maxbytes" => stdout_capture_maxbytes = size; Section Restart; "0";
        "above 0: what stands between `<!--XSUPERVISOR:BEGIN-->` and `<!--XSUPERVISOR:END-->` is an event for listeners and not in the log, its last so many bytes"),
    key!(Program "stdout_events_enabled" => stdout_events_enabled = boolean; Section Restart; "false";
        "what it writes is told to event listeners (`PROCESS_LOG`)"),
    key!(Program "stderr_capture_maxbytes" => stderr_capture_maxbytes = size; Section Restart; "0";
        "above 0: what stands between `<!--XSUPERVISOR:BEGIN-->` and `<!--XSUPERVISOR:END-->` is an event for listeners and not in the log, its last so many bytes"),
    key!(Program "stderr_events_enabled" => stderr_events_enabled = boolean; Section Restart; "false";
        "what it writes is told to event listeners (`PROCESS_LOG`)"),
    key!(EventListener "events" => events by events; Section Restart; "";
        "what it is told of, with commas: names of supervisord's events such as `PROCESS_STATE_EXITED`, of families such as `PROCESS_STATE`, or `EVENT`"),
    key!(EventListener "buffer_size" => buffer_size = |text| number(text, 1, u32::MAX); Section Restart; "10";
        "so many events wait for it; then the oldest is dropped, and the log tells"),
    key!(FcgiProgram "socket" => fcgi.address by fcgi_address; Section Restart; "";
        "where its processes accept connections: `tcp://HOST:PORT`, or `unix:///PATH`; they have it as standard input"),
    key!(FcgiProgram "socket_backlog" => fcgi.backlog by fcgi_backlog; Section Restart; "";
        "connections that may wait to be accepted, 1 to 65535; else as many as the system allows (`SOMAXCONN`)"),
    key!(FcgiProgram "socket_owner" => fcgi.owner by fcgi_owner; Section Restart; "";
        "`user`, `user:group` or `:group` that owns the file of `unix:///PATH`; else the program's user"),
    key!(FcgiProgram "socket_mode" => fcgi.mode = mode; Section Restart; "0700";
        "the permission bits of that file, in octal"),
    // supervisord has variables for all programs in its own section; they are set before those of the program.
    key!(Program "environment" [(Section::Supervisord, "environment")] => environment by environment; Variables Restart; "";
        "`KEY=value,KEY2=\"with, comma\"`, on top of the daemon's own environment"),
    key!(Program "env_file" => env_file by env_file; Instance Restart; ""; "files of `KEY=VALUE` lines, read at every spawn"),
    key!(Program "directory" => directory by directory; Instance Restart; ""; "where it runs; else the daemon's directory"),
    key!(Program "user" => user by user; Section Restart; "";
        "as whom it runs, else as the daemon's user; HOME, USER, LOGNAME and SHELL follow"),
    key!(Program "umask" => umask = umask; Section Restart; "";
        "permission bits that files which it creates do not get, in octal, such as `022`; else the daemon's"),
    key!(Program "group" => confinement.group by unix_group; Section Restart; "";
        "the group that it runs as, in place of its user's own"),
    key!(Program "groups" => confinement.groups by unix_groups; Section Restart; "";
        "its supplementary groups, in place of its user's; empty: none"),
    key!(Program "chroot" => confinement.chroot by chroot; Section Restart; "";
        "its root directory; `directory` and the program are looked up inside"),
    key!(Program "rlimit_nofile" => confinement.rlimit_nofile = count_limit; Section Restart; "";
        "open files that it may have: `SOFT`, `SOFT:HARD`, `infinity`; else the daemon's limit, as of all of these"),
    key!(Program "rlimit_nproc" => confinement.rlimit_nproc = count_limit; Section Restart; ""; "processes and threads of its user"),
    key!(Program "rlimit_core" => confinement.rlimit_core = size_limit; Section Restart; ""; "bytes of a core dump"),
    key!(Program "rlimit_as" => confinement.rlimit_as = size_limit; Section Restart; ""; "bytes of its address space"),
    key!(Program "rlimit_data" => confinement.rlimit_data = size_limit; Section Restart; ""; "bytes of its data segment"),
    key!(Program "rlimit_stack" => confinement.rlimit_stack = size_limit; Section Restart; ""; "bytes of its main thread's stack"),
    key!(Program "rlimit_fsize" => confinement.rlimit_fsize = size_limit; Section Restart; ""; "bytes of a file that it writes"),
    key!(Program "rlimit_memlock" => confinement.rlimit_memlock = size_limit; Section Restart; ""; "bytes that it may lock into memory"),
    key!(Program "rlimit_cpu" => confinement.rlimit_cpu = time_limit; Section Restart; ""; "seconds of CPU time, then SIGXCPU"),
    key!(Program "rlimit_rtprio" => confinement.rlimit_rtprio = rtprio_limit; Section Restart; "";
        "the real-time priority that it may give itself, 0 to 99"),
    key!(Program "rlimit_nice" => confinement.rlimit_nice = nice_limit; Section Restart; "";
        "how far it may lower its nice value: to 20 minus this, 0 to 40"),
    key!(Program "rlimit_sigpending" => confinement.rlimit_sigpending = count_limit; Section Restart; ""; "signals that may be queued for its user"),
    key!(Program "rlimit_msgqueue" => confinement.rlimit_msgqueue = size_limit; Section Restart; ""; "bytes in POSIX message queues of its user"),
    key!(Program "nice" => confinement.nice = nice; Section Restart; "";
        "its share of the processor: from -20 (the most) to 19; else the daemon's"),
    key!(Program "ionice" => confinement.ionice = io_priority; Section Restart; "";
        "its share of the disks: `idle`, `best-effort:0` (the most) to `7`, `realtime:0` to `7`"),
    key!(Program "cpu_affinity" => confinement.cpu_affinity = cpus; Section Restart; "";
        "the processors that it may run on, such as `0,2-3`"),
    key!(Program "scheduler" => confinement.scheduler = scheduler; Section Restart; "";
        "`other`, `batch`, `idle`, and in real time `fifo:1` to `99`, `rr:1` to `99`"),
    key!(Program "max_rss" => confinement.max_rss = max_rss; Section Restart; "";
        "memory that all that it has started may use, such as `200MB`; more, and it is restarted in order"),
    key!(Program "max_cpu" => confinement.max_cpu = max_cpu; Section Restart; "";
        "how much of a processor all of it may use, on an average of so many seconds: `150%/60s`; more, and it is restarted in order"),
    key!(Program "usage_interval" => confinement.usage_interval = |text| seconds(text, 1); Section Restart; "15";
        "seconds from one look at these two to the next; nobody looks where neither is set"),
    key!(Program "oom_score_adj" => confinement.oom_score_adj = oom_score_adj; Section Restart; "";
        "how readily the kernel kills it when memory is used up: from -1000 (never) to 1000"),
    key!(Program "no_new_privs" => confinement.no_new_privs = boolean; Section Restart; "false";
        "neither it nor what it starts gains rights by setuid programs or file capabilities: no `sudo`"),
    key!(Program "capabilities" => confinement.capabilities = capabilities; Section Restart; "";
        "all that it has, as an unprivileged `user` too, and the most that anything it executes can get: names such as `net_bind_service, sys_nice`; empty: none; without the key as its user has them"),
    key!(Program "pdeathsig" => pdeathsig = boolean; Section Restart; "true"; "SIGKILL the program if the daemon dies"),
    key!(Program "requires" => requires by requires; Instance Live; "";
        "programs, instances or `group:NAME` that are started with it and that it waits for: until they are `RUNNING`, or as `:started`, `:healthy`, `:completed` say; a `?` behind a name: it may be absent; a stop of one stops it first"),
    key!(Program "binds" => binds by binds; Instance Live; "";
        "as `requires`, and it is stopped when one of these ends and started again when that is back"),
    key!(Program "wants" => wants by wants; Instance Live; "";
        "started with it, and waited for as long as they may still succeed: a failure is no obstacle"),
    key!(Program "after" => after by after; Instance Live; "";
        "what it starts after and stops before where both are to be started or stopped; starts nothing"),
    key!(Program "pre_start" => hooks.pre_start by pre_start; Instance Live; "";
        "commands, one a line, run before each start; a failure is a failed start. In front of a command: `-`: it may fail; `+`: as the daemon's user"),
    key!(Program "post_start" => hooks.post_start by post_start; Instance Live; "";
        "commands that are run when it has become `RUNNING`; a failure is a warning"),
    key!(Program "stop_command" => hooks.stop_command by stop_command; Instance Restart; "";
        "commands that are run in place of the stop signal, which follows if they fail; a oneshot that has completed is up until a stop has run them"),
    key!(Program "post_stop" => hooks.post_stop by post_stop; Instance Restart; "";
        "commands that are run after each end, when nothing of it is left, and after a failed `pre_start`"),
    key!(Program "reload_signal" => hooks.reload_signal by reload_signal; Section Live; "";
        "the signal that `supervicectl reload NAME` sends"),
    key!(Program "reload_command" => hooks.reload_command by reload_command; Instance Live; "";
        "commands that `supervicectl reload NAME` runs, before the signal where both are set"),
    key!(Program "on_state" => hooks.on_state by on_state; Instance Live; "";
        "commands that are run at each change of its state; nobody waits for them"),
    key!(Program "hook_timeout" => hooks.timeout = |text| seconds(text, 1); Section Live; "60";
        "seconds that one command of a hook may take before its process group is ended"),
    key!(Program "start_when" => start_when by start_when; Instance Live; "";
        "what has to hold outside before each start: `path:/PATH` exists, `tcp:HOST:PORT` or `unix:/PATH` accepts a connection, `link:NAME` is up, `route`: there is a default route, `flag:NAME` is set (`supervicectl flag`), `command:CMD` succeeds (to the end of its line); with commas or one on a line"),
    key!(Program "start_when_timeout" => start_when_timeout = |text| seconds(text, 0); Section Live; "0";
        "seconds within which that has to hold, else it was a failed attempt; 0: no limit"),
    key!(Program "reconcile" => reconcile = reconcile; Section Restart; "auto";
        "what happens at the start with processes that a daemon which was killed has left of it: `auto` (what is certainly its own is stopped before it starts), `kill` (what has left its session, too), `warn`, `off`"),
    key!(Program "healthcheck_type" as "healthcheck.type" => healthcheck.check_type = health_check_type; Instance Restart; "none";
        "`none`, `tcp` or `unix` (a connection is accepted), `http` (an answer with a good status) or `script` (a command exits with 0)"),
    key!(Program "healthcheck_interval" => healthcheck.interval = |text| seconds(text, 1); Instance Restart; "30";
        "seconds from one check to the next"),
    key!(Program "healthcheck_timeout" => healthcheck.timeout = |text| seconds(text, 1); Instance Restart; "10";
        "seconds that one check may take"),
    key!(Program "healthcheck_retries" => healthcheck.retries = |text| number(text, 1, u32::MAX); Instance Restart; "3";
        "failures in a row that make it `UNHEALTHY`"),
    key!(Program "healthcheck_start_period" => healthcheck.start_period = |text| seconds(text, 0); Instance Restart; "10";
        "seconds from `RUNNING` to the first check, and, to spread many, up to as many more (an interval at most)"),
    key!(Program "healthcheck_port" => healthcheck.port = port; Instance Restart; ""; "the port of a tcp check"),
    key!(Program "healthcheck_host" => healthcheck.host by host; Instance Restart; "127.0.0.1"; "the host of a tcp check"),
    key!(Program "healthcheck_command" => healthcheck.command by script; Instance Restart; "";
        "the command of a script check, run by `/bin/sh -c`"),
    key!(Program "healthcheck_path" => healthcheck.path by socket_path; Instance Restart; ""; "the socket of a unix check; `@NAME`: in the abstract namespace"),
    key!(Program "healthcheck_url" => healthcheck.url by url; Instance Restart; "";
        "what an http check asks for: `http://HOST:PORT/PATH`, or `http://unix:/SOCKET:/PATH`; no TLS"),
    key!(Program "healthcheck_status" => healthcheck.status = statuses; Section Restart; "200-399";
        "the statuses with which an http check passes, such as `200-299,401`; redirects are not followed"),
    key!(Program "healthcheck_header" => healthcheck.header by headers; Instance Restart; "";
        "what an http check sends along: `Name: value`, one on a line"),
    key!(Program "healthcheck_action" => healthcheck.action = health_action; Section Restart; "restart";
        "what `UNHEALTHY` leads to: `restart` (where `autorestart` is not `false`), `none`, `signal:NAME` to its main process, or `command:CMD`, run as the program's user"),
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
