//! Values of one kind each: text in, a value or a fault with its remedy out.

use super::diagnostic::Fault;
use crate::models::{AutoRestart, HealthCheckType};

/// `yes true on 1` and `no false off 0`, in any case.
pub(crate) fn boolean(text: &str) -> Result<bool, Fault> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => Err(Fault::new("neither true nor false", "write true or false")),
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

/// Permission bits in octal: `0660`, `660` or `0o660`.
pub(crate) fn mode(text: &str) -> Result<u32, Fault> {
    let right = "write permission bits in octal, such as 0660";
    let digits = text.strip_prefix("0o").unwrap_or(text);
    match u32::from_str_radix(digits, 8) {
        Ok(mode) if mode <= 0o777 && !digits.starts_with('+') => Ok(mode),
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

/// Exit codes in a comma list.
pub(crate) fn exit_codes(text: &str) -> Result<Vec<u8>, Fault> {
    let codes = text.split(',').map(|code| code.trim().parse::<u8>());
    codes
        .collect::<Result<_, _>>()
        .map_err(|_| Fault::new("not a list of exit codes", "write numbers from 0 to 255 with commas, such as 0,2"))
}

/// The level of the daemon's log, by its full name. `blather` and `trace` are supervisord's.
pub(crate) fn log_level(text: &str) -> Result<String, Fault> {
    let level = text.to_ascii_uppercase();
    match level.as_str() {
        "DEBUG" | "INFO" | "WARNING" | "ERROR" | "CRITICAL" => Ok(level),
        "WARN" => Ok("WARNING".to_owned()),
        "TRACE" | "BLATHER" => Ok("DEBUG".to_owned()),
        _ => Err(Fault::new("not a log level", "write DEBUG, INFO, WARNING, ERROR or CRITICAL")),
    }
}

/// `none`, `tcp` or `script`.
pub(crate) fn health_check_type(text: &str) -> Result<HealthCheckType, Fault> {
    match text.to_ascii_lowercase().as_str() {
        "none" | "" => Ok(HealthCheckType::None),
        "tcp" => Ok(HealthCheckType::Tcp),
        "script" => Ok(HealthCheckType::Script),
        _ => Err(Fault::new("not a kind of health check", "write none, tcp or script")),
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

/// The signals that have names, without `SIG`. Aliases come after the usual name.
const SIGNALS: &[(&str, i32)] = &[
    ("HUP", libc::SIGHUP),
    ("INT", libc::SIGINT),
    ("QUIT", libc::SIGQUIT),
    ("ILL", libc::SIGILL),
    ("TRAP", libc::SIGTRAP),
    ("ABRT", libc::SIGABRT),
    ("BUS", libc::SIGBUS),
    ("FPE", libc::SIGFPE),
    ("KILL", libc::SIGKILL),
    ("USR1", libc::SIGUSR1),
    ("SEGV", libc::SIGSEGV),
    ("USR2", libc::SIGUSR2),
    ("PIPE", libc::SIGPIPE),
    ("ALRM", libc::SIGALRM),
    ("TERM", libc::SIGTERM),
    #[cfg(not(any(target_arch = "mips", target_arch = "mips64", target_arch = "sparc64")))]
    ("STKFLT", libc::SIGSTKFLT),
    ("CHLD", libc::SIGCHLD),
    ("CONT", libc::SIGCONT),
    ("STOP", libc::SIGSTOP),
    ("TSTP", libc::SIGTSTP),
    ("TTIN", libc::SIGTTIN),
    ("TTOU", libc::SIGTTOU),
    ("URG", libc::SIGURG),
    ("XCPU", libc::SIGXCPU),
    ("XFSZ", libc::SIGXFSZ),
    ("VTALRM", libc::SIGVTALRM),
    ("PROF", libc::SIGPROF),
    ("WINCH", libc::SIGWINCH),
    ("IO", libc::SIGIO),
    ("PWR", libc::SIGPWR),
    ("SYS", libc::SIGSYS),
    ("IOT", libc::SIGABRT),
    ("CLD", libc::SIGCHLD),
    ("POLL", libc::SIGIO),
];

/// The number of a signal that is named as in `ProgramConfig::stopsignal`: with or without `SIG`, in any case, by
/// number, or `RTMIN+n` and `RTMAX-n`.
///
/// ```
/// use supervice::config::signal_number;
///
/// assert_eq!(signal_number("TERM"), Some(15));
/// assert_eq!(signal_number("sigterm"), Some(15));
/// assert_eq!(signal_number("15"), Some(15));
/// assert_eq!(signal_number("BREAK"), None);
/// ```
pub fn signal_number(name: &str) -> Option<i32> {
    if name.bytes().all(|b| b.is_ascii_digit()) {
        let number = name.parse::<i32>().ok()?;
        let known = SIGNALS.iter().any(|(_, signal)| *signal == number);
        return (known || (libc::SIGRTMIN()..=libc::SIGRTMAX()).contains(&number)).then_some(number);
    }
    let upper = name.to_ascii_uppercase();
    let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some((_, number)) = SIGNALS.iter().find(|(known, _)| *known == bare) {
        return Some(*number);
    }
    let offset = |rest: &str, sign: char| match rest.strip_prefix(sign) {
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse::<i32>().ok(),
        Some(_) => None,
        None => rest.is_empty().then_some(0),
    };
    let number = match (bare.strip_prefix("RTMIN"), bare.strip_prefix("RTMAX")) {
        (Some(rest), _) => libc::SIGRTMIN().checked_add(offset(rest, '+')?)?,
        (None, Some(rest)) => libc::SIGRTMAX().checked_sub(offset(rest, '-')?)?,
        (None, None) => return None,
    };
    (libc::SIGRTMIN()..=libc::SIGRTMAX()).contains(&number).then_some(number)
}

/// The usual name of a signal, without `SIG`.
pub(crate) fn signal(text: &str) -> Result<String, Fault> {
    let Some(number) = signal_number(text) else {
        let hint = match super::keys::closest(
            text.to_ascii_uppercase().trim_start_matches("SIG"),
            SIGNALS.iter().map(|(name, _)| *name),
        ) {
            Some(name) => format!("did you mean {name}?"),
            None => "write a name such as TERM, INT, QUIT, HUP, USR1, USR2 or KILL".to_owned(),
        };
        return Err(Fault::new("not a signal", hint));
    };
    Ok(match SIGNALS.iter().find(|(_, known)| *known == number) {
        Some((name, _)) => (*name).to_owned(),
        None => format!("RTMIN+{}", number - libc::SIGRTMIN()),
    })
}

#[cfg(test)]
mod tests;
