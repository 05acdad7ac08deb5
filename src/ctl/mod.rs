//! The command `supervicectl`: from its arguments to its exit code.
//!
//! `verb` is the table of verbs; `args`, `help` and `complete` read it; one handler for each verb asks the daemon through
//! the client; this file alone knows which handler belongs to which verb.

mod args;
mod call;
mod clock;
mod command;
mod complete;
mod exit;
mod follow_events;
mod health;
mod help;
mod keys;
mod names;
mod print;
mod progress;
mod prompt;
mod query;
mod socket;
mod status;
mod table;
mod tail;
mod targets;
mod text;
mod top;
mod tty;
mod usage;
mod verb;

use std::ffi::OsString;
use std::process::ExitCode;

use crate::client::{Controller, Power};
use args::Args;
use call::Call;
use exit::{DONE, USAGE};
use print::{VERSION, complain, print};
use verb::{Opt, Verb};

/// Whether a command line would be understood; what is wrong with it otherwise. For the fuzzer.
#[cfg(feature = "internals")]
pub fn check_arguments(args: impl Iterator<Item = OsString>) -> Result<(), String> {
    args::parse(args).map(|_| ())
}

/// Runs the command with these arguments (the first is its own name) and returns its exit code: 0 done, 1 failed,
/// 2 wrong usage, 3 no daemon, 4 time-out, 130 interrupted.
pub fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    let code = match args::parse(args) {
        Ok(args) => run(&args),
        Err(message) => {
            complain(&format!("{message}\nTry 'supervicectl --help'."));
            USAGE
        }
    };
    ExitCode::from(code)
}

fn run(args: &Args) -> u8 {
    if args.has(Opt::Help) {
        return print(&args.verb.map_or_else(help::summary, help::about));
    }
    if args.has(Opt::Version) {
        return print(&format!("supervicectl {VERSION}\n"));
    }
    let socket = match socket::socket(args.socket.as_deref(), args.config.as_deref()) {
        Ok(socket) => socket,
        Err(message) => {
            complain(&message);
            return USAGE;
        }
    };
    let controller = Controller::new(socket);
    let controller = match args.timeout {
        Some(timeout) => controller.with_timeout(timeout),
        None => controller,
    };
    match args.verb {
        Some(verb) => handle(&Call { controller: &controller, verb, args }),
        None if tty::is_interactive() => prompt::prompt(&controller),
        None => {
            complain(&format!("which command?\n\n{}", help::summary().trim_end()));
            USAGE
        }
    }
}

/// The handler of each verb.
fn handle(call: &Call<'_>) -> u8 {
    match call.verb {
        Verb::Status => status::status(call),
        Verb::Top => top::top(call),
        Verb::Why => query::why(call),
        Verb::History => query::history(call),
        Verb::Events => follow_events::follow_events(call),
        Verb::Tail => tail::tail(call),
        Verb::Health => health::health(call),
        Verb::Start => command::start(call),
        Verb::Stop => command::stop(call),
        Verb::Restart => command::restart(call),
        Verb::Kill => command::kill(call),
        Verb::Signal => command::signal(call),
        Verb::Wait => command::wait(call),
        Verb::StartGroup => command::start_group(call),
        Verb::StopGroup => command::stop_group(call),
        Verb::Clear => command::clear(call),
        Verb::Reopen => query::message(call, Controller::reopen),
        Verb::Reread => query::reread(call),
        Verb::Update => query::update(call),
        Verb::Confirm => query::message(call, Controller::confirm),
        Verb::Reload => query::reload(call),
        Verb::LogLevel => query::log_level(call),
        Verb::Pid => query::pid(call),
        Verb::Ping => query::ping(call),
        Verb::Shutdown => query::message(call, Controller::shutdown),
        Verb::PowerOff => query::message(call, |controller| controller.power(Power::Off)),
        Verb::Reboot => query::message(call, |controller| controller.power(Power::Reboot)),
        Verb::Halt => query::message(call, |controller| controller.power(Power::Halt)),
        Verb::Version => query::version(call),
        Verb::Help => help::help(call),
        // Outside the prompt there is nothing to leave.
        Verb::Quit | Verb::Exit => DONE,
        Verb::Complete => complete::complete(call),
    }
}
