//! The command `supervicectl`: from its arguments to its exit code.
//!
//! `verb` is the table of verbs; `args`, `help` and `complete` read it; one handler for each verb asks the daemon through
//! the client; this file alone knows which handler belongs to which verb.

mod access;
mod args;
#[cfg(feature = "attach")]
mod attach;
mod blame;
mod call;
mod cat;
mod clock;
mod command;
mod complete;
#[cfg(feature = "http")]
mod credentials;
mod exit;
mod flag;
mod follow_events;
mod foreground;
mod graph;
mod health;
mod help;
mod keys;
mod names;
mod print;
mod progress;
mod prompt;
mod query;
mod rolling;
mod socket;
mod status;
mod stdin;
mod table;
mod tail;
mod targets;
mod text;
mod token;
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
use print::{VERSION, print, print_error};
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
            print_error(&format!("{message}\nTry 'supervicectl --help'."));
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
            print_error(&message);
            return USAGE;
        }
    };
    #[cfg(feature = "http")]
    let found = if socket.starts_with("http://") { credentials::credentials(&socket) } else { Ok(None) };
    let controller = Controller::new(socket);
    #[cfg(feature = "http")]
    let controller = match found {
        Ok(Some((user, password))) => controller.with_credentials(user, password),
        Ok(None) => controller,
        Err(message) => {
            print_error(&message);
            return USAGE;
        }
    };
    let controller = match args.timeout {
        Some(timeout) => controller.with_timeout(timeout),
        None => controller,
    };
    match args.verb {
        Some(verb) => handle(&Call { controller: &controller, verb, args }),
        None if tty::is_interactive() => prompt::prompt(&controller),
        None => {
            print_error(&format!("which command?\n\n{}", help::summary().trim_end()));
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
        Verb::Cat => cat::cat(call),
        Verb::Graph => graph::graph(call),
        Verb::Blame => blame::blame(call),
        Verb::History => query::history(call),
        Verb::Events => follow_events::follow_events(call),
        Verb::Tail => tail::tail(call),
        Verb::Foreground => foreground::foreground(call),
        Verb::Stdin => stdin::stdin(call),
        #[cfg(feature = "attach")]
        Verb::Attach => attach::attach(call),
        #[cfg(feature = "attach")]
        Verb::Run => attach::run(call),
        #[cfg(not(feature = "attach"))]
        Verb::Attach | Verb::Run => {
            print_error("this supervicectl was built without terminals (the feature attach of its crate)");
            exit::FAILED
        }
        Verb::Health => health::health(call),
        Verb::Start => command::start(call),
        Verb::Stop => command::stop(call),
        Verb::Restart => command::restart(call),
        Verb::Kill => command::kill(call),
        Verb::Signal => command::signal(call),
        Verb::Wait => command::wait(call),
        Verb::StartGroup => command::start_group(call),
        Verb::StopGroup => command::stop_group(call),
        Verb::Pause => command::pause(call),
        Verb::Resume => command::resume(call),
        Verb::Disable => command::disable(call),
        Verb::Enable => command::enable(call),
        Verb::Clear => command::clear(call),
        Verb::Reopen => query::message(call, Controller::reopen),
        Verb::Scale => query::scale(call),
        Verb::Reread => query::reread(call),
        Verb::Update => query::update(call),
        Verb::Confirm => query::message(call, Controller::confirm),
        Verb::Reload if call.args.names.is_empty() => query::reload(call),
        Verb::Reload => command::reload(call),
        Verb::Flag => flag::flag(call),
        Verb::LogLevel => query::log_level(call),
        Verb::Pid => query::pid(call),
        Verb::Access => access::access(call),
        Verb::Ping => query::ping(call),
        Verb::Shutdown => query::message(call, Controller::shutdown),
        Verb::PowerOff => query::message(call, |controller| controller.power(Power::Off)),
        Verb::Reboot => query::message(call, |controller| controller.power(Power::Reboot)),
        Verb::Halt => query::message(call, |controller| controller.power(Power::Halt)),
        Verb::Token => token::token(call),
        Verb::Version => query::version(call),
        Verb::Help => help::help(call),
        // Outside the prompt there is nothing to leave.
        Verb::Quit | Verb::Exit => DONE,
        Verb::Complete => complete::complete(call),
    }
}
