//! Verbs that command several processes: in one operation, so that those that need each other are done in order; what
//! has no such operation, and a daemon that does not know it, concurrently.

use serde_json::{Value, json};

use super::call::{Call, answer_code, code_of, explain, fail_at, is_of_old_daemon};
use super::exit::{DONE, FAILED};
use super::print::{print, print_error};
use super::progress::{Outcome, Progress, print_result};
use super::rolling::{Rolling, needed_first};
use super::targets::{Kind, targets};
use super::text::printable_lines;
use super::verb::Opt;
use crate::client::{ClientError, Controller, Results, Terms, WaitFor};

/// The number of commands under way at a time. Each has a connection of its own; the daemon takes a few hundred.
const AT_A_TIME: usize = 32;

/// How a command is sent to its targets.
struct Batch {
    kind: Kind,
    at_a_time: usize,
    /// What others of them need comes before these, in whatever order they are named.
    needed_first: bool,
    /// The answers come when the effect has been reached.
    waits: bool,
}

/// Commands one process.
type One<'a> = &'a (dyn Fn(&Controller, &str, Terms) -> Result<String, ClientError> + Sync);
/// Commands several in one operation.
type All<'a> = &'a dyn Fn(&Controller, &[String], Terms) -> Result<Results, ClientError>;
/// The same, of one daemon and on given terms.
type AtOnce<'a> = &'a dyn Fn(&[String]) -> Result<Results, ClientError>;

pub(super) fn start(call: &Call<'_>) -> u8 {
    in_order(call, &|controller, name, terms| controller.start_process_with(name, terms), &Controller::start_processes)
}

pub(super) fn stop(call: &Call<'_>) -> u8 {
    in_order(call, &|controller, name, terms| controller.stop_process_with(name, terms), &Controller::stop_processes)
}

pub(super) fn kill(call: &Call<'_>) -> u8 {
    in_order(call, &|controller, name, terms| controller.kill_process(name, terms), &Controller::kill_processes)
}

pub(super) fn start_group(call: &Call<'_>) -> u8 {
    on_terms(call, Kind::Groups, &|controller, name, terms| controller.start_group_with(name, terms))
}

pub(super) fn stop_group(call: &Call<'_>) -> u8 {
    on_terms(call, Kind::Groups, &|controller, name, terms| controller.stop_group_with(name, terms))
}

/// Of programs: without a name it is the daemon that reads its configuration again.
pub(super) fn reload(call: &Call<'_>) -> u8 {
    on_terms(call, Kind::Processes, &|controller, name, _| controller.reload_process(name))
}

pub(super) fn pause(call: &Call<'_>) -> u8 {
    on_terms(call, Kind::Processes, &|controller, name, _| controller.pause(name))
}

pub(super) fn resume(call: &Call<'_>) -> u8 {
    on_terms(call, Kind::Processes, &|controller, name, _| controller.resume(name))
}

/// `disable [--now] NAME...`: what is told of a name is what was done last.
pub(super) fn disable(call: &Call<'_>) -> u8 {
    set_enabled(call, false, &|controller, name, terms| controller.stop_process_with(name, terms))
}

/// `enable [--now] NAME...`
pub(super) fn enable(call: &Call<'_>) -> u8 {
    set_enabled(call, true, &|controller, name, terms| controller.start_process_with(name, terms))
}

/// With `--now` what follows from it is done, too. What could not be written ends with the daemon: that is a failure,
/// and no reason to leave the rest undone.
fn set_enabled(call: &Call<'_>, enabled: bool, follow: One<'_>) -> u8 {
    let now = call.args.has(Opt::Now);
    on_terms(call, Kind::Processes, &|controller, name, terms| {
        let set = controller.set_enabled(name, enabled)?;
        let message = match now {
            true => format!("{}\n{}", set.message, follow(controller, name, terms)?),
            false => set.message,
        };
        match set.unsaved {
            None => Ok(message),
            Some(_) => Err(ClientError::Failed { code: None, refusal: None, message, cause_data: None }),
        }
    })
}

pub(super) fn clear(call: &Call<'_>) -> u8 {
    on_terms(call, Kind::Processes, &|controller, name, _| controller.clear(name))
}

pub(super) fn wait(call: &Call<'_>) -> u8 {
    let until = call.args.until.unwrap_or(WaitFor::Running);
    on_terms(call, Kind::Processes, &|controller, name, terms| controller.wait_for(name, until, terms.timeout))
}

pub(super) fn restart(call: &Call<'_>) -> u8 {
    let force = call.args.has(Opt::Force);
    if !call.args.has(Opt::Rolling) {
        return in_order(
            call,
            &|controller, name, terms| controller.restart_process_with(name, force, terms),
            &|controller, names, terms| controller.restart_processes(names, force, terms),
        );
    }
    let (controller, terms) = (call.outlasting_daemon(), terms(call));
    let batch = Batch { kind: Kind::Processes, at_a_time: 1, needed_first: true, waits: terms.wait };
    let rolling = Rolling::new(&controller, force, terms);
    on_each(call, &call.args.names, &batch, None, &|name| rolling.roll(name))
}

/// `signal [--group] SIGNAL NAME...`
pub(super) fn signal(call: &Call<'_>) -> u8 {
    let (signal, names) = match call.args.names.split_first() {
        Some(split) => split,
        None => return FAILED,
    };
    let batch = Batch { kind: Kind::Processes, at_a_time: AT_A_TIME, needed_first: false, waits: false };
    let as_group = call.args.has(Opt::Group);
    on_each(call, names, &batch, None, &|name| match as_group {
        true => call.controller.signal_group(name, signal),
        false => call.controller.signal_process(name, signal),
    })
}

fn terms(call: &Call<'_>) -> Terms {
    Terms { wait: !call.args.has(Opt::NoWait), timeout: call.args.timeout, only: call.args.has(Opt::Only) }
}

fn on_terms(call: &Call<'_>, kind: Kind, one: One<'_>) -> u8 {
    let (controller, terms) = (call.outlasting_daemon(), terms(call));
    let batch = Batch { kind, at_a_time: AT_A_TIME, needed_first: false, waits: terms.wait };
    on_each(call, &call.args.names, &batch, None, &|name| one(&controller, name, terms))
}

/// Several are one operation.
fn in_order(call: &Call<'_>, one: One<'_>, all: All<'_>) -> u8 {
    let (controller, terms) = (call.outlasting_daemon(), terms(call));
    let batch = Batch { kind: Kind::Processes, at_a_time: AT_A_TIME, needed_first: false, waits: terms.wait };
    let all = |names: &[String]| all(&controller, names, terms);
    on_each(call, &call.args.names, &batch, Some(&all), &|name| one(&controller, name, terms))
}

/// Commands everything that the words select: in one operation where there is one, else several at a time (one at a
/// time: up to the first failure). Reports the results in the order of the words, or in that of the dependencies where
/// what is needed comes first: each as soon as those before it are known, or those of one operation together. The exit
/// code is that of the first failure.
fn on_each(
    call: &Call<'_>,
    words: &[String],
    batch: &Batch,
    all: Option<AtOnce<'_>>,
    act: &(dyn Fn(&str) -> Result<String, ClientError> + Sync),
) -> u8 {
    let (targets, unknown) = match targets(call, batch.kind, words) {
        Ok(found) => found,
        Err(error) => return fail_at(call, error),
    };
    let targets = if batch.needed_first { needed_first(call.controller, targets) } else { targets };
    let progress = Progress::new(call, targets, batch.at_a_time == 1);
    let work = || progress.work(act);
    let everything = || {
        if let Some(results) = all.filter(|_| progress.len() > 1).and_then(|all| all_at_once(&progress, all)) {
            return Some(results);
        }
        std::thread::scope(|scope| {
            for _ in 1..progress.len().min(batch.at_a_time) {
                // Fewer threads do the same work in a longer time.
                if std::thread::Builder::new().stack_size(128 * 1024).spawn_scoped(scope, work).is_err() {
                    break;
                }
            }
            work();
        });
        None
    };
    match if batch.waits { progress.watched(everything) } else { everything() } {
        None => report(call, progress.into_outcomes(), unknown, &[]),
        Some(Ok(Results { results, also })) => {
            let outcomes = results.into_iter().map(|(name, result)| (name, Outcome::Done(result)));
            report(call, outcomes.collect(), unknown, &also)
        }
        Some(Err(error)) => fail_at(call, error),
    }
}

/// `None`: the daemon takes one name only.
fn all_at_once(progress: &Progress<'_>, all: AtOnce<'_>) -> Option<Result<Results, ClientError>> {
    let result = all(&progress.begin_all());
    if result.as_ref().is_err_and(is_of_old_daemon) {
        progress.begin_one_by_one();
        return None;
    }
    Some(result)
}

fn report(call: &Call<'_>, outcomes: Vec<(String, Outcome)>, unknown: Vec<String>, also: &[String]) -> u8 {
    let mut code = DONE;
    let mut told = Vec::new();
    let mut not_done = Vec::new();
    for (name, outcome) in outcomes {
        let (result, answer) = match outcome {
            Outcome::Told(code) => (code, Value::Null),
            Outcome::Done(result) if !call.args.json() => (print_result(call, &result), Value::Null),
            Outcome::Done(Ok(message)) => (DONE, json!({"name": name, "status": "ok", "message": message})),
            Outcome::Done(Err(error)) => (code_of(&error), failure(&name, &error, &explain(call, &error))),
            Outcome::Waiting | Outcome::UnderWay => {
                not_done.push(name.clone());
                (FAILED, json!({"name": name, "status": "error", "message": "not done"}))
            }
        };
        told.push(answer);
        code = if code == DONE { result } else { code };
    }
    if !also.is_empty() && !call.args.json() {
        print(&format!("And what needs them: {}\n", printable_lines(&also.join(", "))));
    }
    if !not_done.is_empty() && !call.args.json() {
        print_error(&format!("not done: {}", not_done.join(", ")));
    }
    for message in &unknown {
        match call.args.json() {
            true => told.push(json!({"status": "error", "code": "NOT_FOUND", "message": message})),
            false => print_error(message),
        }
    }
    code = if code == DONE && !unknown.is_empty() { FAILED } else { code };
    if call.args.json() {
        let status = if code == DONE { "ok" } else { "error" };
        let mut answer = json!({"status": status, "results": told});
        if !also.is_empty() {
            answer["also"] = also.into();
        }
        let printed = print(&format!("{answer}\n"));
        return if code == DONE { printed } else { code };
    }
    code
}

fn failure(name: &str, error: &ClientError, message: &str) -> Value {
    json!({"name": name, "status": "error", "code": answer_code(error), "message": message})
}
