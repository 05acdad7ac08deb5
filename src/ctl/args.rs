//! The arguments of `supervicectl`.

use std::ffi::OsString;
use std::time::Duration;

use lexopt::{Arg, Parser, ValueExt};

use super::tail::Tail;
use crate::rpc::protocol::{Amount, DEFAULT_LINES};
use crate::sys::machine::Power;

pub(super) const HELP: &str = "\
Usage: supervicectl [OPTION]... COMMAND [NAME]...
Look at and command the processes of a supervice daemon.

  status [NAME]...            the state of all processes, or of these
  start NAME...               start, and wait until they are RUNNING
  stop NAME...                stop, and wait until nothing of them is left
  restart [--force] NAME...   stop (with --force by SIGKILL) and start
  startgroup GROUP...         start all members of a group
  stopgroup GROUP...          stop all members of a group
  reload                      read the configuration again
  tail [-f] [-n LINES | -c BYTES] NAME... [stdout|stderr]
                              the newest output (10 lines), and with -f what
                              comes, across rotations and restarts
  clear NAME...               empty the log files of these
  reopen                      open all log files anew
  health [--ready] [NAME]...  exit with 0 if all that start with the daemon (or
                              these) are up and healthy, with --ready RUNNING
  poweroff                    turn the machine off, where the daemon is its init
  reboot                      start the machine anew
  halt                        stop the machine and leave the power on
  version                     print the version

  -s, --socket SOCKET         the daemon's socket (default: $SUPERVICE_SOCKET,
                              else /tmp/supervice.sock)
      --timeout SECONDS       give up waiting for an answer after this time
      --json                  with status and reload: print the answer as JSON
      --version               print the version
  -h, --help                  print this

Exit code: 0 done, 1 failed, 2 wrong usage, 3 no daemon, 4 time-out.
See supervicectl(1).
";

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    Status,
    Start,
    Stop,
    Restart { force: bool },
    StartGroup,
    StopGroup,
    Reload,
    Tail(Tail),
    Clear,
    Reopen,
    Health { ready: bool },
    Power(Power),
    Help,
    Version,
}

/// The command line, taken apart.
#[derive(Debug)]
pub(super) struct Args {
    pub action: Action,
    pub names: Vec<String>,
    pub socket: Option<String>,
    pub timeout: Option<Duration>,
    pub json: bool,
}

pub(super) fn parse(args: impl Iterator<Item = OsString>) -> Result<Args, String> {
    let mut words = Vec::new();
    let (mut socket, mut timeout, mut json, mut force) = (None, None, false, false);
    let (mut help, mut version, mut ready) = (false, false, false);
    let (mut follow, mut amount) = (false, None);
    let mut parser = Parser::from_iter(args);
    let plain = |error: lexopt::Error| error.to_string();
    while let Some(arg) = parser.next().map_err(plain)? {
        match arg {
            Arg::Short('s') | Arg::Long("socket") => {
                socket = Some(parser.value().and_then(|value| value.string()).map_err(plain)?);
            }
            Arg::Long("timeout") => {
                timeout = Some(seconds(&parser.value().and_then(|value| value.string()).map_err(plain)?)?);
            }
            Arg::Long("json") => json = true,
            Arg::Long("force") => force = true,
            Arg::Long("ready") => ready = true,
            Arg::Short('f') | Arg::Long("follow") => follow = true,
            Arg::Short('n') | Arg::Long("lines") => {
                amount = Some(Amount::Lines(parser.value().and_then(|value| value.parse()).map_err(plain)?));
            }
            Arg::Short('c') | Arg::Long("bytes") => {
                amount = Some(Amount::Bytes(parser.value().and_then(|value| value.parse()).map_err(plain)?));
            }
            Arg::Short('h') | Arg::Long("help") => help = true,
            Arg::Short('V') | Arg::Long("version") => version = true,
            Arg::Value(word) => words.push(word.string().map_err(plain)?),
            Arg::Short(_) | Arg::Long(_) => return Err(plain(arg.unexpected())),
        }
    }
    let mut words = words.into_iter();
    let command = words.next();
    let names: Vec<String> = words.collect();
    let is_tail = command.as_deref() == Some("tail");
    if (follow || amount.is_some()) && !is_tail && !help && !version {
        return Err("-f, -n and -c go with tail".to_owned());
    }
    let tail = Tail { follow, amount: amount.unwrap_or(Amount::Lines(DEFAULT_LINES)) };
    let action = match (help, version) {
        (true, _) => Action::Help,
        (false, true) => Action::Version,
        (false, false) if is_tail => Action::Tail(tail),
        (false, false) if command.as_deref() == Some("health") => Action::Health { ready },
        (false, false) if ready => return Err("--ready goes with health".to_owned()),
        (false, false) => action(command.as_deref(), force)?,
    };
    check(&action, command.as_deref().unwrap_or_default(), &names, force, json)?;
    Ok(Args { action, names, socket, timeout, json })
}

const COMMANDS: [&str; 16] = [
    "status",
    "start",
    "stop",
    "restart",
    "startgroup",
    "stopgroup",
    "reload",
    "tail",
    "clear",
    "reopen",
    "health",
    "poweroff",
    "reboot",
    "halt",
    "version",
    "help",
];

fn action(command: Option<&str>, force: bool) -> Result<Action, String> {
    match command {
        Some("status") => Ok(Action::Status),
        Some("start") => Ok(Action::Start),
        Some("stop") => Ok(Action::Stop),
        Some("restart") => Ok(Action::Restart { force }),
        Some("startgroup") => Ok(Action::StartGroup),
        Some("stopgroup") => Ok(Action::StopGroup),
        Some("reload") => Ok(Action::Reload),
        Some("clear") => Ok(Action::Clear),
        Some("reopen") => Ok(Action::Reopen),
        Some("poweroff") => Ok(Action::Power(Power::Off)),
        Some("reboot") => Ok(Action::Power(Power::Reboot)),
        Some("halt") => Ok(Action::Power(Power::Halt)),
        Some("version") => Ok(Action::Version),
        Some("help") => Ok(Action::Help),
        Some(other) => Err(match crate::suggest::closest(other, COMMANDS.into_iter()) {
            Some(known) => format!("unknown command '{other}'; did you mean '{known}'?"),
            None => format!("unknown command '{other}'"),
        }),
        None => Err("which command?".to_owned()),
    }
}

fn check(action: &Action, command: &str, names: &[String], force: bool, json: bool) -> Result<(), String> {
    let needs_names = match action {
        Action::Start | Action::Stop | Action::Restart { .. } | Action::StartGroup | Action::StopGroup => true,
        Action::Tail(_) | Action::Clear => true,
        Action::Status
        | Action::Reload
        | Action::Reopen
        | Action::Health { .. }
        | Action::Power(_)
        | Action::Help
        | Action::Version => false,
    };
    if needs_names && names.is_empty() {
        return Err(format!("{command} needs a name"));
    }
    if matches!(action, Action::Reload | Action::Reopen | Action::Power(_)) && !names.is_empty() {
        return Err(format!("{command} takes no name"));
    }
    if force && !matches!(action, Action::Restart { .. } | Action::Help | Action::Version) {
        return Err("--force goes with restart".to_owned());
    }
    if json && needs_names {
        return Err("--json goes with status and reload".to_owned());
    }
    Ok(())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number = text.parse::<f64>().ok().filter(|number| *number > 0.0);
    number
        .and_then(|number| Duration::try_from_secs_f64(number).ok())
        .ok_or_else(|| format!("--timeout {text}: not a number of seconds above 0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Result<Args, String> {
        parse(std::iter::once("supervicectl").chain(text.split_whitespace()).map(OsString::from))
    }

    #[test]
    fn options_stand_before_or_behind_the_command() {
        for text in ["-s /x --timeout 1.5 restart --force a b", "restart a b --force --timeout=1.5 --socket=/x"] {
            let args = words(text).expect(text);
            assert_eq!(args.action, Action::Restart { force: true });
            assert_eq!(args.names, ["a", "b"]);
            assert_eq!((args.socket.as_deref(), args.timeout), (Some("/x"), Some(Duration::from_millis(1500))));
        }
    }

    #[test]
    fn nonsense_is_refused_with_a_remedy() {
        for (text, wanted) in [
            ("", "which command?"),
            ("strat a", "unknown command 'strat'; did you mean 'start'?"),
            ("start", "start needs a name"),
            ("reload x", "reload takes no name"),
            ("tail", "tail needs a name"),
            ("reopen x", "reopen takes no name"),
            ("start -f a", "-f, -n and -c go with tail"),
            ("stop --force a", "--force goes with restart"),
            ("--timeout -1 status", "--timeout -1: not a number of seconds above 0"),
            ("--timeout NaN status", "--timeout NaN: not a number of seconds above 0"),
            ("--nonsense status", "invalid option '--nonsense'"),
        ] {
            assert_eq!(words(text).map(|args| args.action), Err(wanted.to_owned()), "{text}");
        }
    }
}
