//! Values of one kind each: text in, a value or a fault with its remedy out.

mod confinement;
mod restart;
mod schedule;

pub(crate) use confinement::*;
pub(crate) use restart::*;
pub(crate) use schedule::*;

use super::diagnostic::Fault;
use crate::models::{
    AutoRestart, DefaultOutput, ExitCode, ExitOn, HealthAction, HealthCheckType, LogFormat, LogSync, NotifyAccess,
    ProgramType, Readiness, Reconcile, StartCondition, Statuses, Stdin, StopScope,
};
use crate::process::{bare_signal, signal_name, signal_number};
use crate::util::did_you_mean::closest;
use crate::util::line_pattern::LinePattern;
use crate::util::log_level;

/// How many rotated files may be kept at most.
pub(crate) const MAX_BACKUPS: u32 = 1000;
/// The newest output that may be kept in memory for one stream, in bytes.
const MAX_LOG_BUFFER_BYTES: u64 = 16 * 1024 * 1024;

/// `yes true on 1` and `no false off 0`, in any case.
pub(crate) fn boolean(text: &str) -> Result<bool, Fault> {
    let is_one_of = |words: [&str; 4]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is_one_of(["true", "yes", "on", "1"]) {
        Ok(true)
    } else if is_one_of(["false", "no", "off", "0"]) {
        Ok(false)
    } else {
        Err(Fault::new("neither true nor false", "write true or false"))
    }
}

/// A whole number from `min` to `max`.
pub(crate) fn number(text: &str, min: u32, max: u32) -> Result<u32, Fault> {
    let right = || {
        if max == u32::MAX {
            format!("write a whole number, at least {min}")
        } else {
            format!("write a whole number from {min} to {max}")
        }
    };
    let digits = text.strip_prefix('+').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        let negative = text.strip_prefix('-').is_some_and(|t| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit()));
        return Err(Fault::new(if negative { "below zero" } else { "not a whole number" }, right()));
    }
    match digits.parse() {
        Ok(value) if value < min => Err(Fault::new("too small", right())),
        Ok(value) if value <= max => Ok(value),
        _ => Err(Fault::new("too large", right())),
    }
}

/// A whole number with or without a sign.
pub(crate) fn integer(text: &str) -> Result<i32, Fault> {
    text.parse().map_err(|_| Fault::new("not a whole number", "write a whole number"))
}

/// Seconds, in whole ones.
pub(crate) fn seconds(text: &str, min: u32) -> Result<u32, Fault> {
    number(text, min, u32::MAX).map_err(|fault| {
        let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
        if !text.is_empty() && unit.len() < text.len() && unit.chars().all(char::is_alphabetic) && !unit.is_empty() {
            return Fault::new("a number with a unit", "durations are in seconds: write the number alone");
        }
        fault
    })
}

/// Bytes: a plain number, or one with KB, MB or GB (of 1024), in any case.
pub(crate) fn size(text: &str) -> Result<u64, Fault> {
    let right = "write bytes, or a number with KB, MB or GB, such as 50MB; 0: no limit";
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim().to_ascii_uppercase().as_str() {
        "" => 1,
        "KB" => 1 << 10,
        "MB" => 1 << 20,
        "GB" => 1 << 30,
        _ if number.is_empty() => return Err(Fault::new("not a size", right)),
        unit => return Err(Fault::new(format!("`{unit}` is not a unit"), right)),
    };
    if number.is_empty() {
        return Err(Fault::new("not a size", right));
    }
    let value = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
    value.ok_or_else(|| Fault::new("too large", right))
}

/// The newest output that is kept in memory: a size that the daemon can afford.
pub(crate) fn log_buffer(text: &str) -> Result<u64, Fault> {
    match size(text)? {
        size if size <= MAX_LOG_BUFFER_BYTES => Ok(size),
        _ => Err(Fault::new("too large: it is memory of the daemon", "write at most 16MB")),
    }
}

/// A TCP port, or nothing.
pub(crate) fn port(text: &str) -> Result<Option<u16>, Fault> {
    if text.is_empty() {
        return Ok(None);
    }
    number(text, 1, u32::from(u16::MAX)).map(|port| u16::try_from(port).ok())
}

/// Permission bits in octal: `0660`, `660` or `0o660`.
pub(crate) fn mode(text: &str) -> Result<u32, Fault> {
    permission_bits(text, 0o7777, "write permission bits in octal, such as 0660")
}

/// A file mode creation mask in octal: `027`, `27` or `0o027`; or nothing.
pub(crate) fn umask(text: &str) -> Result<Option<u32>, Fault> {
    if text.is_empty() {
        return Ok(None);
    }
    permission_bits(text, 0o777, "write the bits that new files do not get, in octal, such as 022").map(Some)
}

fn permission_bits(text: &str, most: u32, right: &str) -> Result<u32, Fault> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    match u32::from_str_radix(digits, 8) {
        Ok(mode) if mode <= most && !digits.starts_with('+') => Ok(mode),
        Ok(_) => Err(Fault::new("more than permission bits", right)),
        Err(_) => Err(Fault::new("not an octal number", right)),
    }
}

/// `true`, `false` (as [`boolean`]) or `unexpected`.
pub(crate) fn auto_restart(text: &str) -> Result<AutoRestart, Fault> {
    if text.eq_ignore_ascii_case("unexpected") {
        return Ok(AutoRestart::Unexpected);
    }
    match boolean(text) {
        Ok(true) => Ok(AutoRestart::Always),
        Ok(false) => Ok(AutoRestart::Never),
        Err(_) => Err(Fault::new("not one of the choices", "write true, false or unexpected")),
    }
}

pub(crate) fn reconcile(text: &str) -> Result<Reconcile, Fault> {
    match text.to_ascii_lowercase().as_str() {
        "auto" => Ok(Reconcile::Auto),
        "kill" => Ok(Reconcile::Kill),
        "warn" => Ok(Reconcile::Warn),
        "off" => Ok(Reconcile::Off),
        _ => Err(Fault::new("not one of the choices", "write auto, kill, warn or off")),
    }
}

/// Exit codes in a comma list.
pub(crate) fn exit_codes(text: &str) -> Result<Vec<u8>, Fault> {
    let codes = text.split(',').map(|code| code.trim().parse::<u8>());
    codes
        .collect::<Result<_, _>>()
        .map_err(|_| Fault::new("not a list of exit codes", "write numbers from 0 to 255 with commas, such as 0,2"))
}

/// `never`, `failure`, `exit` or `fatal`.
pub(crate) fn exit_on(text: &str) -> Result<ExitOn, Fault> {
    match text.to_ascii_lowercase().as_str() {
        "never" | "" => Ok(ExitOn::Never),
        "failure" => Ok(ExitOn::Failure),
        "exit" => Ok(ExitOn::Exit),
        "fatal" => Ok(ExitOn::Fatal),
        _ => Err(Fault::new("not an end to exit on", "write never, failure, exit or fatal")),
    }
}

/// `simple` or `oneshot`.
pub(crate) fn program_type(text: &str) -> Result<ProgramType, Fault> {
    match text.to_ascii_lowercase().as_str() {
        "simple" | "" => Ok(ProgramType::Simple),
        "oneshot" => Ok(ProgramType::Oneshot),
        "forking" => Ok(ProgramType::Forking),
        _ => Err(Fault::new("not a type of program", "write simple, oneshot or forking")),
    }
}

/// `startsecs`, or what the program tells by.
pub(crate) fn readiness(text: &str) -> Result<Readiness, Fault> {
    let (what, right) = match (Readiness::parse(text), text.split(':').next().unwrap_or_default()) {
        (Some(Readiness::Log(regex)), _) => return line_pattern(&regex).map(|()| Readiness::Log(regex)),
        (Some(ready), _) => return Ok(ready),
        (None, _) if text.is_empty() => return Ok(Readiness::Startsecs),
        (None, "fd") => (
            "neither a descriptor nor a variable",
            "write fd:NUMBER, from 3 to 1023, or fd:NAME of an environment variable",
        ),
        (None, "path") => ("not an absolute path", "write path:/PATH"),
        (None, "tcp") => ("not a host and port", "write tcp:HOST:PORT, an IPv6 address in brackets: tcp:[::1]:80"),
        (None, "unix") => ("not the path of a socket", "write unix:/PATH, or unix:@NAME in the abstract namespace"),
        (None, "http") => ("not a URL", HTTP_HINT),
        (None, "https") => ("TLS is not spoken", "write command:curl -fs URL"),
        (None, "log") => ("empty", "write log:REGEX, which a line of its output has to match"),
        (None, "command") => ("empty", "write command:COMMAND"),
        (None, _) => (
            "not a way to be ready",
            "write startsecs, notify, health, or one of fd:, path:, tcp:, unix:, http:, log: and command: with what it needs",
        ),
    };
    Err(Fault::new(what, right))
}

/// A condition for a start; nothing where the text is empty.
pub(crate) fn start_condition(text: &str) -> Result<Option<StartCondition>, Fault> {
    let (what, right) = match (StartCondition::parse(text), text.split(':').next().unwrap_or_default()) {
        (Some(condition), _) => return Ok(Some(condition)),
        (None, _) if text.is_empty() => return Ok(None),
        (None, "path") => ("not an absolute path", "write path:/PATH"),
        (None, "tcp") => ("not a host and port", "write tcp:HOST:PORT, an IPv6 address in brackets: tcp:[::1]:80"),
        (None, "unix") => ("not the path of a socket", "write unix:/PATH, or unix:@NAME in the abstract namespace"),
        (None, "link") => ("not the name of a network interface", "write link:NAME, for instance link:eth0"),
        (None, "flag") => ("not the name of a flag", FLAG_HINT),
        (None, "command") => ("empty", "write command:COMMAND"),
        (None, _) => (
            "not a condition",
            "write path:/PATH, tcp:HOST:PORT, unix:/PATH, link:NAME, route, flag:NAME or command:COMMAND",
        ),
    };
    Err(Fault::new(format!("{text}: {what}"), right))
}

/// How a flag is written.
const FLAG_HINT: &str = "write flag:NAME, of at most 64 letters, digits, -, _ and .";

/// How a URL is written.
pub(crate) const HTTP_HINT: &str = "write http://HOST:PORT/PATH, or http://unix:/SOCKET:/PATH";

/// A regular expression that the lines of a program are held against.
fn line_pattern(regex: &str) -> Result<(), Fault> {
    LinePattern::new(regex).map(drop).map_err(|reason| Fault::new(reason, "write a regular expression, or plain text"))
}

/// Whose messages are a program's.
pub(crate) fn notify_access(text: &str) -> Result<NotifyAccess, Fault> {
    match text.to_ascii_lowercase().as_str() {
        "run" | "" => Ok(NotifyAccess::Run),
        "main" => Ok(NotifyAccess::Main),
        _ => Err(Fault::new("neither run nor main", "write run (every process of the program) or main")),
    }
}

/// `null`, `pipe` or `file:PATH`.
pub(crate) fn stdin(text: &str) -> Result<Stdin, Fault> {
    match Stdin::parse(text) {
        Some(stdin) => Ok(stdin),
        None if text.is_empty() => Ok(Stdin::Null),
        None => Err(Fault::new("not a standard input", "write null, pipe or file:PATH")),
    }
}

/// `program` or a number.
pub(crate) fn exit_code(text: &str) -> Result<ExitCode, Fault> {
    match text.to_ascii_lowercase().as_str() {
        "program" | "" => Ok(ExitCode::Program),
        number => number
            .parse()
            .map(ExitCode::Fixed)
            .map_err(|_| Fault::new("not an exit code", "write program, or a number from 0 to 255")),
    }
}

/// The level of the daemon's log, by its full name. `blather` and `trace` are supervisord's.
pub(crate) fn log_level(text: &str) -> Result<String, Fault> {
    if ["trace", "blather"].iter().any(|name| text.eq_ignore_ascii_case(name)) {
        return Ok("DEBUG".to_owned());
    }
    match log_level::parse(text) {
        Some((name, _)) => Ok(name.to_owned()),
        None => Err(Fault::new("not a log level", "write DEBUG, INFO, WARNING, ERROR or CRITICAL")),
    }
}

/// `200-399`, `200,301`
pub(crate) fn statuses(text: &str) -> Result<Statuses, Fault> {
    Statuses::parse(text).ok_or_else(|| Fault::new("not statuses of HTTP", "write such as 200-399, or 200,301"))
}

/// `restart`, `none`, `signal:NAME` or `command:CMD`.
pub(crate) fn health_action(text: &str) -> Result<HealthAction, Fault> {
    match HealthAction::parse(text) {
        Some(HealthAction::Signal(name)) => signal(&name).map(HealthAction::Signal),
        Some(action) => Ok(action),
        None if text.is_empty() => Ok(HealthAction::Restart),
        None => Err(Fault::new("not an action", "write restart, none, signal:NAME or command:COMMAND")),
    }
}

/// `none`, `tcp`, `unix`, `http` or `script`.
pub(crate) fn health_check_type(text: &str) -> Result<HealthCheckType, Fault> {
    match text.to_ascii_lowercase().as_str() {
        "none" | "" => Ok(HealthCheckType::None),
        "tcp" => Ok(HealthCheckType::Tcp),
        "unix" => Ok(HealthCheckType::Unix),
        "http" => Ok(HealthCheckType::Http),
        "script" => Ok(HealthCheckType::Script),
        _ => Err(Fault::new("not a kind of health check", "write none, tcp, unix, http or script")),
    }
}

/// A path, or `None` for `none` (any case) and nothing.
pub(crate) fn path_or_none(text: &str) -> Option<String> {
    (!text.is_empty() && !text.eq_ignore_ascii_case("none")).then(|| text.to_owned())
}

/// A child's log: as [`path_or_none`]; supervisord's `AUTO` (a file in a directory of its choice) is none
/// too, since the newest output is kept in memory anyway.
pub(crate) fn child_log(text: &str) -> Option<String> {
    if text.eq_ignore_ascii_case("auto") { None } else { path_or_none(text) }
}

/// `none` or `console`.
pub(crate) fn default_output(text: &str) -> Result<DefaultOutput, Fault> {
    match text.to_ascii_lowercase().as_str() {
        "none" | "" => Ok(DefaultOutput::None),
        "console" => Ok(DefaultOutput::Console),
        _ => Err(Fault::new("not a place for output", "write none or console")),
    }
}

/// `text` or `json`.
pub(crate) fn log_format(text: &str) -> Result<LogFormat, Fault> {
    match text.to_ascii_lowercase().as_str() {
        "text" | "" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(Fault::new("not a format of lines", "write text or json")),
    }
}

/// `never`, `rotate` or `line`.
pub(crate) fn log_sync(text: &str) -> Result<LogSync, Fault> {
    match text.to_ascii_lowercase().as_str() {
        "never" | "" => Ok(LogSync::Never),
        "rotate" => Ok(LogSync::Rotate),
        "line" => Ok(LogSync::Line),
        _ => Err(Fault::new("not a time to sync a log", "write never, rotate or line")),
    }
}

/// `run` or `group`.
pub(crate) fn stop_scope(text: &str) -> Result<StopScope, Fault> {
    match text.to_ascii_lowercase().as_str() {
        "run" | "" => Ok(StopScope::Run),
        "group" => Ok(StopScope::Group),
        _ => Err(Fault::new("not what a stop can reach", "write run or group")),
    }
}

/// What `%(…)s` may name in a `log_prefix`.
const PREFIX_NAMES: [&str; 7] =
    ["process_name", "program_name", "group_name", "process_num", "pid", "stream", "asctime"];

/// The text before each line on the console. Values lose their blanks at the end, so one is put
/// between the prefix and the line.
pub(crate) fn log_prefix(text: &str) -> Result<String, Fault> {
    for form in text.split("%(").skip(1) {
        let name = form.split_once(")s").map_or(form, |(name, _)| name);
        if !form.contains(")s") || !PREFIX_NAMES.contains(&name) {
            let hint = match closest(name, PREFIX_NAMES.into_iter()) {
                Some(known) => format!("did you mean %({known})s?"),
                None => format!("write %(NAME)s with one of {}", PREFIX_NAMES.join(", ")),
            };
            let what = match form.contains(")s") {
                true => format!("unknown variable %({name})s"),
                false => format!("`)s` is missing behind %({name}"),
            };
            return Err(Fault::new(what, hint));
        }
    }
    Ok(if text.is_empty() { String::new() } else { format!("{text} ") })
}

/// The usual name of a signal, without `SIG`; a real-time one as `RTMIN+n`.
pub(crate) fn signal(text: &str) -> Result<String, Fault> {
    let Some(number) = signal_number(text) else {
        let upper = text.to_ascii_uppercase();
        let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
        let hint = match closest(bare, (1..=31).filter_map(signal_name)) {
            Some(name) => format!("did you mean {name}?"),
            None => "write a name such as TERM, INT, QUIT, HUP, USR1, USR2 or KILL".to_owned(),
        };
        return Err(Fault::new("not a signal", hint));
    };
    Ok(bare_signal(number))
}

/// How many signals a stop may consist of.
const MAX_STOP_STEPS: usize = 8;

/// The signal of a stop, or several: `QUIT:30, TERM:10`, each with the seconds until the next. The last one needs none.
pub(crate) fn stop_signals(text: &str) -> Result<String, Fault> {
    let mut steps = Vec::new();
    let mut open = None;
    for step in text.split(',').map(str::trim) {
        let (name, seconds) = match step.split_once(':') {
            Some((name, seconds)) => (name.trim(), Some(self::seconds(seconds.trim(), 1)?)),
            None => (step, None),
        };
        if let Some(open) = open {
            let hint = format!("write {open}:SECONDS");
            return Err(Fault::new(format!("{open} is followed by another signal, but not said when"), hint));
        }
        let name = signal(name)?;
        if name == "KILL" && (seconds.is_some() || !steps.is_empty()) {
            return Err(Fault::new("SIGKILL follows the last signal by itself", "remove KILL"));
        }
        steps.push(match seconds {
            Some(seconds) => format!("{name}:{seconds}"),
            None => name.clone(),
        });
        open = seconds.is_none().then_some(name);
    }
    if steps.len() > MAX_STOP_STEPS {
        return Err(Fault::new("too many signals", format!("write at most {MAX_STOP_STEPS}")));
    }
    Ok(steps.join(","))
}

#[cfg(test)]
mod tests;
