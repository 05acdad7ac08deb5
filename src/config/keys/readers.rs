//! Keys of programs whose value is more than its text parsed: it is checked against the system, or it keeps a default.

use crate::config::command_line::split_command;
use crate::config::diagnostic::Fault;
use crate::config::environment::parse_environment;
use crate::config::fields::Given;
use crate::config::values::child_log;
use crate::models::ProgramConfig;

/// What to write where a program has no command.
pub(crate) const COMMAND_HINT: &str = "write command = /path/to/program arguments";

pub(crate) fn command(program: &mut ProgramConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    program.command = given.text().to_owned();
    let words = split_command(given.text()).map_err(|error| {
        Fault::new(error.to_string(), "close it (a ; after white space begins a comment, in quotes too)")
    })?;
    match words.first() {
        None => Err(Fault::new("empty", COMMAND_HINT)),
        Some(program) if program.is_empty() => Err(Fault::new("the program's name is empty", COMMAND_HINT)),
        Some(program) => {
            if program.starts_with('/')
                && let Err(fault) = given.checks.program(program)
            {
                given.warn(fault);
            }
            Ok(())
        }
    }
}

pub(crate) fn environment(program: &mut ProgramConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    if given.filled().is_none() {
        return Ok(());
    }
    // Split before the expansion: a comma or quote that comes from %(ENV_X)s must not end a value.
    match parse_environment(given.raw()) {
        Ok(pairs) => {
            program.environment.extend(pairs.iter().map(|(name, value)| (given.expand(name), given.expand(value))));
        }
        Err(error) => given.error(Fault::new(error.to_string(), "write KEY=value,KEY2=\"with, comma\"")),
    }
    // The expansion may have put something into a name that can't be in one.
    if program.environment.keys().any(|name| name.is_empty() || name.contains('=')) {
        return Err(Fault::new("a variable's name is empty or holds a =", "write KEY=value"));
    }
    Ok(())
}

pub(crate) fn env_file(program: &mut ProgramConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    let paths = given.text().split([',', '\n']).map(str::trim).filter(|path| !path.is_empty());
    program.env_file = paths.map(str::to_owned).collect();
    for path in &program.env_file {
        if let Err(fault) = given.checks.env_file(path) {
            given.error(fault);
        }
    }
    Ok(())
}

pub(crate) fn directory(program: &mut ProgramConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    program.directory = given.filled().map(str::to_owned);
    program.directory.as_deref().map_or(Ok(()), |path| given.checks.directory(path))
}

pub(crate) fn user(program: &mut ProgramConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    program.user = given.filled().map(str::to_owned);
    let Some(user) = &program.user else { return Ok(()) };
    let uid = given.checks.user(user)?;
    let own = nix::unistd::geteuid();
    if !own.is_root() && own.as_raw() != uid {
        given.warn(Fault::new(
            "only root can start programs as another user",
            "start supervice as root, or remove the key",
        ));
    }
    Ok(())
}

pub(crate) fn stdout_logfile(program: &mut ProgramConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    program.stdout_logfile = child_log(given.text());
    program.stdout_logfile.as_deref().map_or(Ok(()), |path| given.checks.log_file(path))
}

pub(crate) fn stderr_logfile(program: &mut ProgramConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    program.stderr_logfile = child_log(given.text());
    program.stderr_logfile.as_deref().map_or(Ok(()), |path| given.checks.log_file(path))
}

/// The host of a health check.
pub(crate) fn host(program: &mut ProgramConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    if let Some(host) = given.filled() {
        program.healthcheck.host = host.to_owned();
    }
    Ok(())
}

/// The command of a health check.
pub(crate) fn script(program: &mut ProgramConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    program.healthcheck.command = given.filled().map(str::to_owned);
    Ok(())
}
