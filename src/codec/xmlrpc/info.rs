//! What clients of supervisord are told of processes and of their configuration, field by field.

use std::borrow::Cow;

use super::fault::spawn_error;
use super::logs::{has_no_log, log_of};
use super::value::Value;
use crate::api::{ConfigRow, StatusRow, ToStop, WallClock};
use crate::models::{ProgramConfig, StreamKind};
use crate::process::{Condition, Exit, Failure, Moment, ProcessState, first_stop_signal};

/// What the present moment is by the wall clock, and how a time is told in the local zone.
#[derive(Debug, Clone, Copy)]
pub struct LocalClock {
    /// The present moment.
    pub clock: WallClock,
    /// Seconds since 1970 as supervisord tells them: `Nov 28 11:02 PM`.
    pub local: fn(u64) -> String,
}

/// The number and the name of a state, as supervisord has them. What is unhealthy runs.
pub(super) fn state(state: ProcessState) -> (i64, &'static str) {
    match state {
        ProcessState::Stopped => (0, "STOPPED"),
        ProcessState::Starting => (10, "STARTING"),
        ProcessState::Running | ProcessState::Unhealthy => (20, "RUNNING"),
        ProcessState::Backoff => (30, "BACKOFF"),
        ProcessState::Stopping => (40, "STOPPING"),
        ProcessState::Exited => (100, "EXITED"),
        ProcessState::Fatal => (200, "FATAL"),
    }
}

/// Where a stop does something.
pub(super) fn can_stop(row: &StatusRow) -> bool {
    match row.state {
        // A retry is called off; `stop_command` of a oneshot runs.
        ProcessState::Exited | ProcessState::Fatal => row.to_stop != ToStop::Nothing,
        state => is_running(state),
    }
}

/// Where a start has come before.
pub(super) fn is_running(state: ProcessState) -> bool {
    match state {
        ProcessState::Running | ProcessState::Unhealthy | ProcessState::Starting | ProcessState::Backoff => true,
        ProcessState::Stopped | ProcessState::Stopping | ProcessState::Exited | ProcessState::Fatal => false,
    }
}

/// Where a signal finds somebody.
pub(super) fn is_signallable(state: ProcessState) -> bool {
    match state {
        ProcessState::Running | ProcessState::Unhealthy | ProcessState::Starting | ProcessState::Stopping => true,
        ProcessState::Stopped | ProcessState::Backoff | ProcessState::Exited | ProcessState::Fatal => false,
    }
}

/// A row as `getProcessInfo` tells it.
pub(super) fn process_info(row: &StatusRow, now: Moment, clock: LocalClock) -> Value {
    let program = &row.program;
    let (group, name) = program.group_and_process();
    let (number, word) = state(row.state);
    let time = |at: Option<Moment>| Value::Int(at.map_or(0, |at| seconds(clock, at)));
    let stdout = text(program.stdout_logfile.clone().unwrap_or_default());
    let pid = match row.state {
        ProcessState::Starting | ProcessState::Running | ProcessState::Unhealthy | ProcessState::Stopping => row.pid,
        ProcessState::Stopped | ProcessState::Backoff | ProcessState::Exited | ProcessState::Fatal => None,
    };
    let spawnerr = spawnerr(row);
    let description = description(row, now, clock, &spawnerr);
    structure([
        ("name", text(name.to_owned())),
        ("group", text(group.to_owned())),
        ("start", time(row.last_started)),
        ("stop", time(row.last_ended)),
        ("now", Value::Int(seconds(clock, now))),
        ("state", Value::Int(number)),
        ("statename", Value::text(word)),
        ("spawnerr", text(spawnerr)),
        ("exitstatus", Value::Int(exit_status(row))),
        ("logfile", stdout.clone()),
        ("stdout_logfile", stdout),
        ("stderr_logfile", text(program.stderr_logfile.clone().unwrap_or_default())),
        ("pid", Value::Int(pid.map_or(0, i64::from))),
        ("description", text(description)),
    ])
}

fn text(text: String) -> Value {
    Value::String(Cow::Owned(text))
}

fn structure<const N: usize>(members: [(&'static str, Value); N]) -> Value {
    Value::Struct(members.into_iter().map(|(name, value)| (Cow::Borrowed(name), value)).collect())
}

fn seconds(clock: LocalClock, at: Moment) -> i64 {
    i64::try_from(clock.clock.seconds(at)).unwrap_or(i64::MAX)
}

/// Of the last run, where it is over: -1 for a death by a signal.
fn exit_status(row: &StatusRow) -> i64 {
    match row.state {
        ProcessState::Starting
        | ProcessState::Running
        | ProcessState::Unhealthy
        | ProcessState::Stopping
        | ProcessState::Backoff
        | ProcessState::Fatal => 0,
        ProcessState::Stopped if row.abandoned.is_some() => 0,
        ProcessState::Stopped | ProcessState::Exited => match row.last_exit {
            Some(Exit::Code(code)) => i64::from(code),
            Some(Exit::Signal(_)) => -1,
            None => 0,
        },
    }
}

/// Why the last attempt failed, in the words that clients of supervisord look for.
fn spawnerr(row: &StatusRow) -> String {
    let failure = if let Condition::Backoff { failure, .. } | Condition::Fatal { failure, .. } = &row.condition {
        Some(failure)
    } else {
        // It stays until the next start.
        row.abandoned.as_ref()
    };
    if let Some(failure) = failure {
        return match &**failure {
            Failure::Exited { .. } => "Exited too quickly (process log may have details)".to_owned(),
            Failure::SpawnFailed(error) => spawn_error(error),
            failure => failure.to_string(),
        };
    }
    match (row.state, row.last_exit) {
        (ProcessState::Exited, Some(exit)) if !is_expected(&row.program, exit) => match exit {
            Exit::Code(code) => format!("Bad exit code {code}"),
            Exit::Signal(_) => "Bad exit code -1".to_owned(),
        },
        (_, Some(_) | None) => String::new(),
    }
}

/// Whether an exit counts as a success.
fn is_expected(program: &ProgramConfig, exit: Exit) -> bool {
    match exit {
        Exit::Code(code) => program.exitcodes.contains(&code),
        Exit::Signal(_) => false,
    }
}

/// What `supervisorctl status` prints behind the state. Other programs parse it where the process runs.
fn description(row: &StatusRow, now: Moment, clock: LocalClock, spawnerr: &str) -> String {
    match row.state {
        ProcessState::Running | ProcessState::Unhealthy => {
            // Whole seconds apart as `start` and `now` are: some clients reckon it themselves.
            let told = |at| clock.clock.seconds(at);
            let age = row.started_at.map_or(0, |start| told(now).saturating_sub(told(start)));
            let line = format!("pid {}, uptime {}", row.pid.unwrap_or(0), uptime(age));
            if let Condition::Unhealthy { message, .. } = &row.condition {
                return format!("{line}, unhealthy: {message}");
            }
            line
        }
        ProcessState::Fatal | ProcessState::Backoff if spawnerr.is_empty() => {
            format!("unknown error (try \"tail {}\")", row.program.group_and_process().1)
        }
        ProcessState::Fatal | ProcessState::Backoff => spawnerr.to_owned(),
        ProcessState::Stopped | ProcessState::Exited => match (row.last_started, row.last_ended) {
            (Some(_), Some(end)) => (clock.local)(clock.clock.seconds(end)),
            (Some(_), None) | (None, _) => "Not started".to_owned(),
        },
        ProcessState::Starting if row.pid.is_none() => row.describe(now),
        ProcessState::Starting | ProcessState::Stopping => String::new(),
    }
}

/// As Python writes a duration: `0:01:02`, `1 day, 0:01:02`.
fn uptime(age: u64) -> String {
    let (days, rest) = (age / 86_400, age % 86_400);
    let clock = format!("{}:{:02}:{:02}", rest / 3600, rest % 3600 / 60, rest % 60);
    match days {
        0 => clock,
        1 => format!("1 day, {clock}"),
        days => format!("{days} days, {clock}"),
    }
}

/// A program as `getAllConfigInfo` tells it; with the numbers of users that have names.
pub(super) fn config_info(row: &ConfigRow, users: &[(String, u32)]) -> Value {
    let program = &row.program;
    let (group, name) = program.group_and_process();
    let number = |number: u64| Value::Int(i64::try_from(number).unwrap_or(i64::MAX));
    let file = |path: &Option<String>| text(path.clone().unwrap_or_else(|| "none".to_owned()));
    structure([
        ("autostart", Value::Boolean(program.autostart)),
        ("directory", file(&program.directory)),
        ("uid", user(program, users)),
        ("command", text(program.command.clone())),
        ("exitcodes", Value::Array(program.exitcodes.iter().map(|code| Value::Int(i64::from(*code))).collect())),
        ("group", text(group.to_owned())),
        ("group_prio", Value::Int(i64::from(program.group_priority))),
        ("inuse", Value::Boolean(row.in_use)),
        ("killasgroup", Value::Boolean(program.killasgroup)),
        ("name", text(name.to_owned())),
        ("process_prio", Value::Int(i64::from(program.priority))),
        ("redirect_stderr", Value::Boolean(program.redirect_stderr)),
        ("startretries", number(program.startretries.into())),
        ("startsecs", number(program.startsecs.into())),
        ("stdout_capture_maxbytes", number(program.stdout_capture_maxbytes)),
        ("stdout_events_enabled", Value::Boolean(program.stdout_events_enabled)),
        ("stdout_logfile", log(program, StreamKind::Stdout)),
        ("stdout_logfile_backups", number(program.stdout_logfile_backups.into())),
        ("stdout_logfile_maxbytes", number(program.stdout_logfile_maxbytes)),
        ("stdout_syslog", Value::Boolean(program.stdout_syslog)),
        ("stopsignal", Value::Int(i64::from(first_stop_signal(program)))),
        ("stopwaitsecs", number(program.stopwaitsecs.into())),
        ("stderr_capture_maxbytes", number(program.stderr_capture_maxbytes)),
        ("stderr_events_enabled", Value::Boolean(program.stderr_events_enabled)),
        ("stderr_logfile", log(program, StreamKind::Stderr)),
        ("stderr_logfile_backups", number(program.stderr_logfile_backups.into())),
        ("stderr_logfile_maxbytes", number(program.stderr_logfile_maxbytes)),
        ("stderr_syslog", Value::Boolean(program.stderr_syslog)),
        ("serverurl", if program.serverurl_given { file(&program.serverurl) } else { Value::text("none") }),
    ])
}

/// The log of a stream; `auto` for one that is in memory, which supervisord would have in a file of its own choice.
fn log(program: &ProgramConfig, stream: StreamKind) -> Value {
    match log_of(program, stream) {
        _ if stream == StreamKind::Stderr && program.redirect_stderr => Value::text("none"),
        Some(path) => text(path.clone()),
        None if has_no_log(program, stream) => Value::text("none"),
        None => Value::text("auto"),
    }
}

/// As whom it runs: a number, or a name that nobody has.
fn user(program: &ProgramConfig, users: &[(String, u32)]) -> Value {
    let Some(user) = &program.user else { return Value::text("none") };
    let found = users.iter().find(|(name, _)| name == user).map(|(_, uid)| *uid);
    match found.or_else(|| user.parse().ok()) {
        Some(uid) => Value::Int(i64::from(uid)),
        None => text(user.clone()),
    }
}
