//! The command `supervicectl`: from its arguments to its exit code.

mod act;
mod args;
mod ask;
mod complete;
mod events;
mod health;
mod keys;
mod names;
mod prompt;
mod screen;
mod status;
mod table;
mod tail;
mod top;
mod usage;
mod verbs;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use serde_json::json;

use crate::client::{ClientError, Controller};
use crate::config::reader::Document;
use crate::models::DEFAULT_SOCKET_PATH;
use args::Args;
use verbs::{Call, Opt, Verb};

const DONE: u8 = 0;
const FAILED: u8 = 1;
const USAGE: u8 = 2;
const NO_DAEMON: u8 = 3;
const TIME_OUT: u8 = 4;
/// What a shell makes of a command that Ctrl-C has ended.
const INTERRUPTED: u8 = 130;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Whether a command line would be understood; what is wrong with it otherwise. For the fuzzer.
#[doc(hidden)]
pub fn check_arguments(args: impl Iterator<Item = OsString>) -> Result<(), String> {
    args::parse(args).map(|_| ())
}

/// Runs the command with these arguments (the first is its own name) and tells its exit code: 0 done, 1 failed,
/// 2 wrong usage, 3 no daemon, 4 time-out, 130 interrupted.
pub fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    let code = match args::parse(args) {
        Ok(args) => run(&args),
        Err(message) => usage_error(&message),
    };
    ExitCode::from(code)
}

fn usage_error(message: &str) -> u8 {
    complain(&format!("{message}\nTry 'supervicectl --help'."));
    USAGE
}

fn run(args: &Args) -> u8 {
    if args.has(Opt::Help) {
        return print(&args.verb.map_or_else(verbs::summary, verbs::about));
    }
    if args.has(Opt::Version) {
        return print(&format!("supervicectl {VERSION}\n"));
    }
    let socket = match socket(args.socket.as_deref(), args.config.as_deref()) {
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
        Some(verb) => (verb.run)(&Call { controller: &controller, args }),
        None if screen::is_interactive() => prompt::prompt(&controller),
        None => {
            complain(&format!("which command?\n\n{}", verbs::summary().trim_end()));
            USAGE
        }
    }
}

/// The first that is given: `-s`, the configuration's of `-c`, the environment's; else the usual one.
fn socket(socket: Option<&str>, configuration: Option<&str>) -> Result<String, String> {
    if let Some(socket) = socket {
        return Ok(socket.to_owned());
    }
    if let Some(file) = configuration {
        return configured_socket(Path::new(file));
    }
    let environment = std::env::var("SUPERVICE_SOCKET").ok().filter(|socket| !socket.is_empty());
    Ok(environment.unwrap_or_else(|| DEFAULT_SOCKET_PATH.to_owned()))
}

/// What this configuration names as its socket. Nothing else of it is looked at: it may be wrong, or of another machine.
fn configured_socket(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read {shown}: {}; name a socket with -s", without_number(&error)))?;
    let document = Document::from_text(&text).map_err(|error| format!("{shown}: {error}"))?;
    let found = crate::config::socket_of(&document);
    let directory = path.canonicalize().ok().and_then(|path| path.parent().map(Path::to_owned));
    let here = directory.map_or_else(String::new, |directory| directory.display().to_string());
    match found.map(|value| value.trim().replace("%(here)s", &here)) {
        None => Ok(DEFAULT_SOCKET_PATH.to_owned()),
        Some(value) if value.is_empty() || value.eq_ignore_ascii_case("none") => {
            Err(format!("{shown} says that the daemon has no socket; name one with -s"))
        }
        Some(value) => Ok(value),
    }
}

fn without_number(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

/// Says on standard error what failed.
fn complain(message: &str) {
    let _ = writeln!(io::stderr(), "supervicectl: {}", table::lines(message));
}

fn print(text: &str) -> u8 {
    let mut stdout = io::stdout();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => DONE,
        // The reader (`| head`) has enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => DONE,
        Err(error) => {
            complain(&format!("cannot write to standard output: {}", without_number(&error)));
            FAILED
        }
    }
}

/// The same for one of many parts: a reader that has gone ends the program, as it ends others.
fn print_part(text: &[u8]) -> u8 {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text).and_then(|()| stdout.flush()) {
        Ok(()) => DONE,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(i32::from(DONE)),
        Err(error) => {
            complain(&format!("cannot write to standard output: {}", without_number(&error)));
            FAILED
        }
    }
}

fn code_of(error: &ClientError) -> u8 {
    match error {
        ClientError::NoDaemon { .. } | ClientError::Ended { .. } => NO_DAEMON,
        ClientError::Timeout { .. } => TIME_OUT,
        ClientError::Failed { code, .. } if code.as_deref() == Some("TIMEOUT") => TIME_OUT,
        ClientError::Denied { .. }
        | ClientError::NotTrusted { .. }
        | ClientError::Protocol { .. }
        | ClientError::Failed { .. } => FAILED,
    }
}

/// Says what failed; the exit code for it.
fn fail_at(call: &Call<'_>, error: ClientError) -> u8 {
    let code = code_of(&error);
    let message = describe(call, &error);
    if call.args.json() {
        // For the script that asked for JSON a failure is an answer too.
        print(&format!("{}\n", json!({"status": "error", "code": answer_code(&error), "message": message})));
    } else {
        complain(&message);
    }
    code
}

/// The protocol's code for this, where it has one.
fn answer_code(error: &ClientError) -> Option<&str> {
    match error {
        ClientError::Failed { code, .. } => code.as_deref(),
        ClientError::Timeout { .. } => Some("TIMEOUT"),
        ClientError::NoDaemon { .. }
        | ClientError::Ended { .. }
        | ClientError::Denied { .. }
        | ClientError::NotTrusted { .. }
        | ClientError::Protocol { .. } => None,
    }
}

/// The error; for a command that the daemon does not know why it does not, and what may have become of one in time-out.
fn describe(call: &Call<'_>, error: &ClientError) -> String {
    let verb = call.args.verb.map_or("", |verb| verb.name);
    match error {
        ClientError::Failed { code: Some(code), .. } if code == "UNKNOWN_COMMAND" => {
            // What a verb asks for is not always called as the verb is.
            let needed = match verb {
                "status" | "top" => format!("'events', without which there is no {verb} that follows"),
                _ => format!("'{verb}'"),
            };
            let other = match call.controller.version() {
                Ok(daemon) => format!("the daemon (version {})", daemon.version),
                Err(_) => "the daemon (of an unknown version)".to_owned(),
            };
            format!("{other} does not know {needed}; this is supervicectl {VERSION}")
        }
        ClientError::Timeout { .. } | ClientError::Ended { .. } if call.args.verb.is_some_and(Verb::changes) => {
            format!("{error}; {verb} may be done all the same (see status)")
        }
        error => error.to_string(),
    }
}

/// The milliseconds from now until a deadline of `poll`.
fn milliseconds(time: std::time::Duration) -> i32 {
    i32::try_from(time.as_millis()).unwrap_or(i32::MAX)
}
