//! The keys of hooks: each line is a command.

use super::readers::join_lines;
use crate::config::diagnostic::Fault;
use crate::config::fields::Given;
use crate::config::shell::only_a_shell_does;
use crate::config::values::signal;
use crate::models::{FatalAction, HookCommand, NoCommand, ProgramConfig};
use crate::util::command_line::split_command;

/// What to write where a line holds no command.
const HINT: &str = "write a command on each line; `-` in front: it may fail; `+`: it runs as the daemon's user";

/// Commands that one hook may have: each has a time limit of its own, and their sum has to be a bound.
const MAX_COMMANDS: usize = 100;

pub(super) fn pre_start(program: &mut ProgramConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    program.hooks.pre_start = commands(program, given)?;
    Ok(())
}

pub(super) fn post_start(program: &mut ProgramConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    program.hooks.post_start = commands(program, given)?;
    Ok(())
}

pub(super) fn stop_command(program: &mut ProgramConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    program.hooks.stop_command = commands(program, given)?;
    Ok(())
}

pub(super) fn post_stop(program: &mut ProgramConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    program.hooks.post_stop = commands(program, given)?;
    Ok(())
}

pub(super) fn reload_command(program: &mut ProgramConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    program.hooks.reload_command = commands(program, given)?;
    Ok(())
}

pub(super) fn on_state(program: &mut ProgramConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    program.hooks.on_state = commands(program, given)?;
    Ok(())
}

/// What helps where a hook is written as for a shell: another key of its program does not.
const NO_SHELL: &str = "no shell is run here: write sh -c 'COMMAND' if one is meant";

/// `none`, `exit`, `reboot`, `poweroff` or `command:CMD`.
pub(super) fn on_fatal(program: &mut ProgramConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    let text = given.text()?;
    program.restart.on_fatal = match text.trim() {
        "" => FatalAction::None,
        text => match text.strip_prefix("command:") {
            Some(line) => FatalAction::Command(command(line.trim(), program, given)?),
            None => {
                let right = "write none, exit, reboot, poweroff or command:COMMAND";
                FatalAction::parse(text).ok_or_else(|| Fault::new("not an action", right))?
            }
        },
    };
    if program.restart.on_fatal.power().is_some() && !given.checks.is_root() {
        let remedy = "start the daemon as root, or as PID 1, or write command:COMMAND";
        given.warn(Fault::new("only root may turn the machine off", remedy));
    }
    Ok(())
}

pub(super) fn reload_signal(program: &mut ProgramConfig, given: &mut Given<'_>) -> Result<(), Fault> {
    program.hooks.reload_signal = given.filled()?.map(|name| signal(name.trim())).transpose()?;
    Ok(())
}

fn commands(program: &ProgramConfig, given: &mut Given<'_>) -> Result<Vec<HookCommand>, Fault> {
    let text = join_lines(given.text()?);
    let lines = text.split('\n').map(str::trim).filter(|line| !line.is_empty());
    let commands = lines.map(|line| command(line, program, given)).collect::<Result<Vec<HookCommand>, Fault>>()?;
    match commands.len() > MAX_COMMANDS {
        true => Err(Fault::new("too many commands", format!("write at most {MAX_COMMANDS}, or one that runs them"))),
        false => Ok(commands),
    }
}

fn command(line: &str, program: &ProgramConfig, given: &mut Given<'_>) -> Result<HookCommand, Fault> {
    let command: HookCommand = line.parse().map_err(|error: NoCommand| Fault::new(error.to_string(), HINT))?;
    let words = split_command(&command.command).map_err(|error| Fault::new(format!("{error}: {line}"), "close it"))?;
    match words.first() {
        None => Err(Fault::new(NoCommand.to_string(), HINT)),
        Some(name) if name.is_empty() => Err(Fault::new("the program's name is empty", HINT)),
        Some(name) => {
            if let Some(fault) = only_a_shell_does(&command.command, name) {
                given.warn(Fault::new(fault.message, NO_SHELL));
            } else if name.starts_with('/')
                && (command.as_daemon || program.confinement.chroot.is_none())
                && let Err(fault) = match command.as_daemon {
                    true => given.checks.program(name),
                    false => given.checks.program_of(name, program),
                }
            {
                given.warn(fault);
            }
            Ok(command)
        }
    }
}
