//! Keys of programs whose value is more than its text parsed: it is checked against the system, or it keeps a default.

use crate::config::checks::Missing;
use crate::config::diagnostic::Fault;
use crate::config::environment::{lost_in_supervisord_environment, parse_environment, parse_supervisord_environment};
use crate::config::fields::Given;
use crate::config::names::process_name_fault;
use crate::config::shell::only_a_shell_does;
use crate::config::values::{HTTP_HINT, child_log, exit_codes, names, number, start_condition};
use crate::models::{
    ChangePath, Dependency, Dialect, Endpoint, HealthCheckType, HttpUrl, ListenerEvents, NoName, ProgramConfig,
};
use crate::sys::users::lookup_user;
use crate::util::command_line::{SplitError, split_command};
use crate::util::did_you_mean::closest;

/// What to write where a program has no command.
pub(crate) const COMMAND_HINT: &str = "write command = /path/to/program arguments";
/// Instances that one section may ask for.
const MAX_NUMPROCS: u32 = 10_000;

/// A path of supervisord's dialect, in which a `~` at the beginning is the home directory of the user.
pub(super) fn home(given: &mut Given<'_>) -> Result<String, Fault> {
    let text = given.text()?;
    Ok(expand_home(given.dialect(), text))
}

pub(super) fn expand_home(dialect: Dialect, text: String) -> String {
    let Some(rest) = text.strip_prefix('~').filter(|_| dialect == Dialect::Supervisord) else { return text };
    let (user, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    match home_of(user) {
        Some(home) => format!("{}{path}", home.trim_end_matches('/')),
        // Python leaves the path of an unknown user as it is.
        None => text,
    }
}

/// The home directory of a user; of the daemon's own where the name is empty.
fn home_of(user: &str) -> Option<String> {
    match user {
        "" => std::env::var("HOME").ok().or_else(|| lookup_user(&nix::unistd::getuid().to_string()).ok()?.home),
        name => lookup_user(name).ok()?.home,
    }
}

pub(crate) fn command(program: &mut ProgramConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    program.command = join_lines(given.text()?);
    let comment = match given.dialect() {
        Dialect::Supervice => "close it",
        Dialect::Supervisord => "close it (a ; or # after white space begins a comment, in quotes too)",
    };
    let words = match first_words(&program.command).map_err(|error| Fault::new(error.to_string(), comment)) {
        Ok(words) => words,
        // supervisord runs, and tells it when this one program is to be started: a file that it takes is taken here.
        Err(fault) if given.dialect() == Dialect::Supervisord => {
            given.warn(fault);
            return Ok(());
        }
        Err(fault) => return Err(fault),
    };
    match words.first() {
        None => Err(Fault::new("empty", COMMAND_HINT)),
        Some(name) if name.is_empty() => Err(Fault::new("the program's name is empty", COMMAND_HINT)),
        Some(name) => {
            if let Some(fault) = only_a_shell_does(&program.command, name) {
                given.warn(fault);
            } else if name.starts_with('/')
                && program.confinement.chroot.is_none()
                && let Err(fault) = given.checks.program_of(name, program)
            {
                given.warn(fault);
            }
            Ok(())
        }
    }
}

/// The words of a command; of one that quotes nothing the first alone, which is what is looked at: to split it needs no
/// memory for the others.
fn first_words(command: &str) -> Result<Vec<String>, SplitError> {
    if command.bytes().any(|byte| matches!(byte, b'"' | b'\'' | b'\\')) {
        return split_command(command);
    }
    // By bytes, which takes a fifth of the time of a search for characters.
    let mut words = command.as_bytes().split(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
    let first = words.find(|word| !word.is_empty()).and_then(|word| str::from_utf8(word).ok());
    Ok(first.map(str::to_owned).into_iter().collect())
}

/// A backslash at the end of a line joins it with the next one, as in a shell; within single quotes, too.
pub(super) fn join_lines(command: String) -> String {
    // Mostly there is none, which a look at the bytes tells sooner than a search for both.
    if !command.as_bytes().contains(&b'\\') || !command.contains("\\\n") {
        return command;
    }
    let mut joined = String::with_capacity(command.len());
    let mut lines = command.split('\n').peekable();
    while let Some(line) = lines.next() {
        let backslashes = line.bytes().rev().take_while(|b| *b == b'\\').count();
        match (lines.peek(), line.strip_suffix('\\')) {
            (Some(_), Some(line)) if backslashes % 2 == 1 => joined.extend([line, " "]),
            (Some(_), _) => joined.extend([line, "\n"]),
            (None, _) => joined.push_str(line),
        }
    }
    joined
}

pub(crate) fn environment(program: &mut ProgramConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    let hint = "write KEY=value,KEY2=\"with, comma\"";
    let fault = |error: &dyn std::fmt::Display| Fault::new(error.to_string(), hint);
    let pairs = match given.dialect() {
        Dialect::Supervisord => {
            let text = given.text()?;
            let pairs = parse_supervisord_environment(&text).map_err(|error| fault(&error))?;
            if let Some(lost) = lost_in_supervisord_environment(&text) {
                given.warn(Fault::new(lost, hint));
            }
            pairs
        }
        Dialect::Supervice => {
            let mut pairs = parse_environment(given.raw()).map_err(|error| fault(&error))?;
            for (_, value) in &mut pairs {
                *value = given.expand(value)?;
            }
            pairs
        }
    };
    if let Some((name, _)) = pairs.iter().find(|(_, value)| value.contains('\n'))
        && given.dialect() == Dialect::Supervice
    {
        given.warn(Fault::new(format!("the value of {name} holds a line end"), "is a comma missing?"));
    }
    program.environment.extend(pairs);
    Ok(())
}

pub(crate) fn env_file(program: &mut ProgramConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    let text = given.text()?;
    let paths = text.split([',', '\n']).map(str::trim).filter(|path| !path.is_empty());
    program.env_file = paths.map(str::to_owned).collect();
    for path in &program.env_file {
        match given.checks.env_file(path) {
            Ok(()) => {}
            Err(Missing::Passing(fault)) => given.warn(fault),
            Err(Missing::Wrong(fault)) => given.error(fault),
        }
    }
    Ok(())
}

pub(crate) fn directory(program: &mut ProgramConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    program.directory = given.filled()?;
    if let Some(path) = &program.directory
        && program.confinement.chroot.is_none()
        && let Err(fault) = given.checks.directory(path)
    {
        // It may be there when the program is started.
        given.warn(fault);
    }
    Ok(())
}

pub(crate) fn user(program: &mut ProgramConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    program.user = given.filled()?;
    let Some(user) = &program.user else {
        return match given.dialect() {
            Dialect::Supervice => Ok(()),
            Dialect::Supervisord => Err(Fault::new("empty", "write the name of a user, or remove the key")),
        };
    };
    let uid = match given.checks.user(user) {
        Ok(uid) => uid,
        Err(fault) => {
            given.warn(fault);
            return Ok(());
        }
    };
    let own = nix::unistd::geteuid();
    if !own.is_root() && own.as_raw() != uid {
        given.warn(Fault::new(
            "only root can start programs as another user",
            "start supervice as root, or remove the key",
        ));
    }
    Ok(())
}

pub(crate) fn unix_group(program: &mut ProgramConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    program.confinement.group = given.filled()?;
    if let Some(group) = &program.confinement.group
        && let Err(fault) = given.checks.group(group)
    {
        given.warn(fault);
    }
    Ok(())
}

pub(crate) fn unix_groups(program: &mut ProgramConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    program.confinement.groups = names(&given.text()?);
    for group in program.confinement.groups.iter().flatten() {
        if let Err(fault) = given.checks.group(group) {
            given.warn(fault);
        }
    }
    Ok(())
}

pub(crate) fn chroot(program: &mut ProgramConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    program.confinement.chroot = given.filled()?;
    let Some(path) = &program.confinement.chroot else { return Ok(()) };
    if !path.starts_with('/') {
        return Err(Fault::new("not an absolute path", "write the path of a directory, from / on"));
    }
    if let Err(fault) = given.checks.directory(path) {
        given.warn(fault);
    }
    Ok(())
}

pub(crate) fn stdout_logfile(program: &mut ProgramConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    (program.stdout_logfile, program.stdout_log_off) = program_log(given)?;
    Ok(())
}

pub(crate) fn stderr_logfile(program: &mut ProgramConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    (program.stderr_logfile, program.stderr_log_off) = program_log(given)?;
    Ok(())
}

/// The log of a program; whether it is to have none, by supervisord's rules.
fn program_log(given: &mut Given<'_>) -> Result<(Option<String>, bool), Fault> {
    let mut text = given.text()?;
    if given.dialect() == Dialect::Supervisord {
        // supervisord expands it twice.
        text = expand_home(Dialect::Supervisord, given.expand(&text)?);
        if text.eq_ignore_ascii_case("off") || text.eq_ignore_ascii_case("none") {
            return Ok((None, true));
        }
    }
    let path = child_log(&text);
    if let Some(path) = &path
        && let Err(fault) = given.checks.log_file(path)
    {
        given.warn(fault);
    }
    Ok((path, false))
}

pub(crate) fn numprocs(program: &mut ProgramConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    let text = given.text()?;
    let negative = text.strip_prefix('-').is_some_and(|digits| digits.parse::<u32>().is_ok());
    program.numprocs = match given.dialect() {
        Dialect::Supervice => number(&text, 1, MAX_NUMPROCS)?,
        Dialect::Supervisord if negative => 0,
        Dialect::Supervisord => number(&text, 0, MAX_NUMPROCS)?,
    };
    if program.numprocs == 0 {
        given.warn(Fault::new("no process is started", "write 1, or remove the key"));
    }
    Ok(())
}

pub(crate) fn exitcodes(program: &mut ProgramConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    program.exitcodes = match given.filled()? {
        None if given.dialect() == Dialect::Supervisord => Vec::new(),
        text => exit_codes(&text.unwrap_or_default())?,
    };
    Ok(())
}

/// The name within the group, and with it that of the process.
pub(crate) fn process_name(program: &mut ProgramConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    if given.scope.process.is_some_and(|process| process.count > 1) && !given.raw().contains("%(process_num)") {
        return Err(Fault::new(
            "all instances would have this name",
            "write a name with the number in it, such as %(program_name)s_%(process_num)02d",
        ));
    }
    process_name_fault(given.raw()).map_or(Ok(()), Err)?;
    let name = given.text()?.trim().to_owned();
    let group = given.scope.program.map_or("", |program| program.group);
    program.name = if name == group { name.clone() } else { format!("{group}:{name}") };
    program.process_name = Some(name);
    Ok(())
}

/// The file that names the main process of a program that puts itself into the background.
pub(crate) fn program_pidfile(program: &mut ProgramConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    program.pidfile = given.filled()?;
    match &program.pidfile {
        Some(path) if !path.starts_with('/') => {
            Err(Fault::new("not an absolute path", "write the whole path of the file"))
        }
        Some(_) | None => Ok(()),
    }
}

/// `AUTO` is what the servers of the file say, which the program has already.
pub(crate) fn serverurl(program: &mut ProgramConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    let text = given.text()?;
    if !text.trim().eq_ignore_ascii_case("auto") {
        program.serverurl = Some(text).filter(|url| !url.is_empty());
        program.serverurl_given = true;
    }
    Ok(())
}

pub(crate) fn requires(program: &mut ProgramConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    program.requires = dependencies(given)?;
    Ok(())
}

pub(crate) fn binds(program: &mut ProgramConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    program.binds = dependencies(given)?;
    Ok(())
}

pub(crate) fn wants(program: &mut ProgramConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    program.wants = dependencies(given)?;
    Ok(())
}

pub(crate) fn after(program: &mut ProgramConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    program.after = dependencies(given)?;
    Ok(())
}

/// A list of dependencies; whether their names are known is seen when all programs are read.
fn dependencies(given: &mut Given<'_>) -> Result<Vec<Dependency>, Fault> {
    let text = given.text()?;
    let names = text.split([',', '\n']).map(str::trim).filter(|name| !name.is_empty());
    let no_name = |_: NoName| Fault::new("a name is missing", "write the name of a program, or group:NAME");
    names.map(|name| name.parse().map_err(no_name)).collect()
}

/// The events that a listener is told of.
pub(crate) fn events(program: &mut ProgramConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    let text = given.text()?;
    let mut events = ListenerEvents::NONE;
    for name in text.split([',', '\n']).map(str::trim).filter(|name| !name.is_empty()) {
        if !events.add(name) {
            let hint = match closest(&name.to_ascii_uppercase(), ListenerEvents::names()) {
                Some(known) => format!("did you mean {known}?"),
                None => "write PROCESS_STATE, TICK_60 and the like, or EVENT for all".to_owned(),
            };
            return Err(Fault::new(format!("no such event: {name}"), hint));
        }
    }
    if events.is_empty() {
        return Err(Fault::new("no event", "write PROCESS_STATE, TICK_60 and the like, or EVENT for all"));
    }
    program.events = events;
    Ok(())
}

/// The host of a health check.
pub(crate) fn host(program: &mut ProgramConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    if let Some(host) = given.filled()? {
        program.healthcheck.host = host;
    }
    Ok(())
}

/// The command of a health check.
pub(crate) fn script(program: &mut ProgramConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    program.healthcheck.command = given.filled()?;
    if let Some(name) = program.healthcheck.command.as_deref().and_then(program_of_script)
        && program.healthcheck.check_type == HealthCheckType::Script
        && program.confinement.chroot.is_none()
        && let Err(fault) = given.checks.program_of(name, program)
    {
        given.warn(fault.with_remedy("each check fails until it is there and can be executed"));
    }
    Ok(())
}

/// The program that a shell executes first, where it is plain: an absolute path.
fn program_of_script(script: &str) -> Option<&str> {
    let script = script.trim_start();
    let name = script.strip_prefix("exec ").unwrap_or(script).split_whitespace().next()?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+@%,:".contains(&byte);
    (name.starts_with('/') && name.bytes().all(is_plain)).then_some(name)
}

/// The socket of a health check.
pub(crate) fn socket_path(program: &mut ProgramConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    program.healthcheck.path = given.filled()?;
    let is_path = |path: &String| Endpoint::parse(&format!("unix:{path}")).is_some();
    match program.healthcheck.path.as_ref().is_none_or(is_path) {
        true => Ok(()),
        false => Err(Fault::new("not the path of a socket", "write /PATH, or @NAME in the abstract namespace")),
    }
}

/// What a health check asks for.
pub(crate) fn url(program: &mut ProgramConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    let Some(text) = given.filled()? else { return Ok(()) };
    program.healthcheck.url = HttpUrl::parse(&text);
    match program.healthcheck.url {
        Some(_) => Ok(()),
        None if text.starts_with("https:") => {
            Err(Fault::new("TLS is not spoken", "write healthcheck_type = script with curl -fs URL"))
        }
        None => Err(Fault::new("not a URL", HTTP_HINT)),
    }
}

/// What a health check sends along.
pub(crate) fn headers(program: &mut ProgramConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    let text = given.text()?;
    program.healthcheck.header =
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let is_header = |line: &String| {
        let (name, value) = line.split_once(':').unwrap_or_default();
        !name.is_empty() && name.bytes().all(is_token) && !value.chars().any(char::is_control)
    };
    match program.healthcheck.header.iter().all(is_header) {
        true => Ok(()),
        false => Err(Fault::new("a line is no header", "write Name: value, one on a line")),
    }
}

/// What has to hold outside before a start: with commas, or one on a line; a command goes on to the end of its line.
pub(crate) fn start_when(program: &mut ProgramConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    let text = given.text()?;
    program.start_when = Vec::new();
    for line in text.lines() {
        let mut rest = line.trim();
        while !rest.is_empty() {
            let end = if rest.starts_with("command:") { None } else { rest.find(',') };
            let (one, behind) = end.map_or((rest, ""), |end| rest.split_at(end));
            let behind = behind.strip_prefix(',').unwrap_or(behind);
            program.start_when.extend(start_condition(one.trim())?);
            rest = behind.trim();
        }
    }
    match u8::try_from(program.start_when.len()) {
        Ok(_) => Ok(()),
        Err(_) => Err(Fault::new("too many conditions", "write at most 255")),
    }
}

/// Paths with commas between them, or one on each line; `command`.
pub(crate) fn restart_on_change(program: &mut ProgramConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    let text = given.text()?;
    program.restart.on_change = Vec::new();
    for word in text.split([',', '\n']).map(str::trim).filter(|word| !word.is_empty()) {
        program.restart.on_change.push(match word {
            "command" => ChangePath::Command,
            path if path.starts_with('/') => ChangePath::Path(path.to_owned()),
            _ => {
                let fault =
                    Fault::new("not an absolute path", "write whole paths with commas between them, or command");
                return Err(fault);
            }
        });
    }
    Ok(())
}
