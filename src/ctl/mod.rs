//! The command `supervicectl`: from its arguments to its exit code.

mod args;
mod health;
mod table;
mod tail;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::PoisonError;

use crate::client::{ClientError, Controller};
use crate::models::DEFAULT_SOCKET_PATH;
use crate::rpc::protocol::ProcessStatus;
use crate::suggest::closest;
use args::{Action, Args};

const DONE: u8 = 0;
const FAILED: u8 = 1;
const USAGE: u8 = 2;
const NO_DAEMON: u8 = 3;
const TIME_OUT: u8 = 4;

/// Commands under way at a time, where several names are given.
const AT_A_TIME: usize = 16;

/// Runs the command with these arguments (the first is its own name) and tells its exit code: 0 done, 1 failed,
/// 2 wrong usage, 3 no daemon, 4 time-out.
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
    let environment = || std::env::var("SUPERVICE_SOCKET").ok().filter(|socket| !socket.is_empty());
    let socket = args.socket.clone().or_else(environment).unwrap_or_else(|| DEFAULT_SOCKET_PATH.to_owned());
    let controller = Controller::new(socket);
    let controller = match args.timeout {
        Some(timeout) => controller.with_timeout(timeout),
        None if matches!(args.action, Action::Health { .. }) => controller.with_timeout(health::TIMEOUT),
        None => controller,
    };
    match args.action {
        Action::Help => print(args::HELP),
        Action::Version => print(concat!("supervicectl ", env!("CARGO_PKG_VERSION"), "\n")),
        Action::Status => status(&controller, args),
        Action::Reload => reload(&controller, args.json),
        Action::Tail(what) => tail::tail(&controller, &args.names, what),
        Action::Power(power) => match controller.power(power) {
            Ok(message) => print(&format!("{message}\n")),
            Err(error) => fail(&error),
        },
        Action::Health { ready } => health::health(&controller, &args.names, ready),
        Action::Clear => each(args, |name| controller.clear(name)),
        Action::Reopen => match controller.reopen() {
            Ok(message) => print(&format!("{message}\n")),
            Err(error) => fail(&error),
        },
        Action::Start => each(args, |name| controller.start_process(name)),
        Action::Stop => each(args, |name| controller.stop_process(name)),
        Action::Restart { force } => each(args, |name| controller.restart_process(name, force)),
        Action::StartGroup => each(args, |name| controller.start_group(name)),
        Action::StopGroup => each(args, |name| controller.stop_group(name)),
    }
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
            complain(&format!("cannot write to standard output: {error}"));
            FAILED
        }
    }
}

fn code_of(error: &ClientError) -> u8 {
    match error {
        ClientError::NoDaemon { .. } => NO_DAEMON,
        ClientError::Timeout { .. } => TIME_OUT,
        ClientError::Failed { code, .. } if code.as_deref() == Some("TIMEOUT") => TIME_OUT,
        ClientError::Denied { .. }
        | ClientError::NotTrusted { .. }
        | ClientError::Protocol { .. }
        | ClientError::Failed { .. } => FAILED,
    }
}

fn fail(error: &ClientError) -> u8 {
    complain(&error.to_string());
    code_of(error)
}

fn status(controller: &Controller, args: &Args) -> u8 {
    let (text, unknown) = if args.json {
        // As it came, with what only a newer daemon knows.
        let all = match controller.status_values() {
            Ok(all) => all,
            Err(error) => return fail(&error),
        };
        let (chosen, unknown) = choose(all, &args.names, |process| process.get("name")?.as_str());
        (format!("{}\n", serde_json::json!({ "status": "ok", "processes": chosen })), unknown)
    } else {
        let all = match controller.status() {
            Ok(all) => all,
            Err(error) => return fail(&error),
        };
        let (chosen, unknown) = choose(all, &args.names, |process: &ProcessStatus| Some(process.name.as_str()));
        (table::render(&chosen, terminal_width()), unknown)
    };
    let shown = print(&text);
    unknown.iter().for_each(|message| complain(message));
    if unknown.is_empty() { shown } else { FAILED }
}

/// The named processes (all where none is named), and what is to be said of names that are none.
fn choose<T>(all: Vec<T>, names: &[String], name_of: impl Fn(&T) -> Option<&str>) -> (Vec<T>, Vec<String>) {
    if names.is_empty() {
        return (all, Vec::new());
    }
    let known: Vec<&str> = all.iter().filter_map(&name_of).collect();
    let unknown = names.iter().filter(|name| !known.contains(&name.as_str()));
    let unknown = unknown.map(|name| match closest(name, known.iter().copied()) {
        Some(known) => format!("no process '{name}'; did you mean '{known}'?"),
        None => format!("no process '{name}'"),
    });
    let unknown = unknown.collect();
    let is_chosen = |process: &T| name_of(process).is_some_and(|name| names.iter().any(|wanted| wanted == name));
    (all.into_iter().filter(is_chosen).collect(), unknown)
}

/// The terminal's columns; `None` where standard output is none.
fn terminal_width() -> Option<usize> {
    crate::sys::stdio::terminal_columns(io::stdout())
}

fn reload(controller: &Controller, as_json: bool) -> u8 {
    let plan = match controller.reload() {
        Ok(plan) => plan,
        Err(error) => return fail(&error),
    };
    if as_json {
        let answer = serde_json::json!({
            "status": "ok", "added": plan.added, "removed": plan.removed, "changed": plan.changed,
        });
        return print(&format!("{answer}\n"));
    }
    let mut text = String::new();
    for (what, names) in
        [("Added", &plan.added), ("Removed", &plan.removed), ("Changed (restart to apply)", &plan.changed)]
    {
        if !names.is_empty() {
            text.push_str(&format!("{what}: {}\n", names.join(", ")));
        }
    }
    print(if text.is_empty() { "No changes\n".to_owned() } else { table::lines(&text) }.as_str())
}

/// Does the same for every name, several at a time, and tells the results in the order of the names. The
/// exit code is that of the first failure.
fn each(args: &Args, act: impl Fn(&str) -> Result<String, ClientError> + Sync) -> u8 {
    let results: Vec<Mutex<Option<Result<String, ClientError>>>> =
        args.names.iter().map(|_| Mutex::new(None)).collect();
    let next = std::sync::atomic::AtomicUsize::new(0);
    let work = || {
        loop {
            let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let (Some(name), Some(slot)) = (args.names.get(number), results.get(number)) else { return };
            let result = act(name);
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..args.names.len().min(AT_A_TIME) {
            // Fewer threads do the same work in a longer time.
            if std::thread::Builder::new().spawn_scoped(scope, work).is_err() {
                break;
            }
        }
        work();
    });
    let mut code = DONE;
    for slot in results {
        let outcome = match slot.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(Ok(message)) => print(&format!("{}\n", table::lines(&message))),
            Some(Err(error)) => fail(&error),
            None => FAILED,
        };
        code = if code == DONE { outcome } else { code };
    }
    code
}
