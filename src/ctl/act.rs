//! Verbs that do something to several processes, side by side.

mod board;

use std::time::Duration;

use serde_json::{Value, json};

use super::names::{Known, choose, is_pattern};
use super::verbs::{Call, Opt};
use super::{DONE, FAILED, answer_code, code_of, complain, describe, fail_at, print, table};
use crate::client::{ClientError, Controller, Terms, WaitFor};
use crate::codec::frames::ProcessStatus;
use board::{Board, Outcome};

/// Commands under way at a time. Each has a connection of its own, of which the daemon takes a few hundred.
const AT_A_TIME: usize = 32;

/// How much longer than the daemon the client waits: the daemon's answer tells more.
const GRACE: Duration = Duration::from_millis(500);

/// `start`, `stop` and the others that do one thing to each name.
pub(super) fn act(call: &Call<'_>) -> u8 {
    let terms = Terms { wait: !call.args.has(Opt::NoWait), timeout: call.args.timeout };
    // An answer within the time-out is the daemon's, which says how far it has come; the client's is for a silent one.
    let controller = match call.args.timeout {
        Some(timeout) => call.controller.clone().with_timeout(timeout.saturating_add(GRACE)),
        None => call.controller.clone(),
    };
    let verb = call.args.verb.map_or("", |verb| verb.name);
    let (force, until) = (call.args.has(Opt::Force), call.args.until.unwrap_or(WaitFor::Running));
    if verb == "restart" && call.args.has(Opt::Rolling) {
        return on_each(call, 1, terms.wait, |name| roll(&controller, name, force, terms));
    }
    on_each(call, AT_A_TIME, terms.wait, |name| match verb {
        "start" => controller.start_process_with(name, terms),
        "stop" => controller.stop_process_with(name, terms),
        "restart" => controller.restart_process_with(name, force, terms),
        "kill" => controller.kill_process(name, terms),
        "wait" => controller.wait_for(name, until, terms.timeout),
        "startgroup" => controller.start_group_with(name, terms),
        "stopgroup" => controller.stop_group_with(name, terms),
        _ => controller.clear(name),
    })
}

/// One of several: the next one's turn comes when this one is `RUNNING` and healthy.
fn roll(controller: &Controller, name: &str, force: bool, terms: Terms) -> Result<String, ClientError> {
    let restarted = controller.restart_process_with(name, force, terms)?;
    match controller.wait_for(name, WaitFor::Healthy, terms.timeout) {
        Ok(_) => Ok(restarted),
        Err(ClientError::Failed { code, message }) if code.as_deref() == Some("UNKNOWN_COMMAND") => {
            let message = format!("{restarted}, but this daemon can't tell when it is healthy ({message})");
            Err(ClientError::Failed { code: None, message })
        }
        Err(error) => Err(error),
    }
}

/// `signal SIGNAL NAME...`
pub(super) fn signal(call: &Call<'_>) -> u8 {
    let (signal, names) = match call.args.names.split_first() {
        Some(split) => split,
        None => return FAILED,
    };
    on(call, names, AT_A_TIME, false, |name| call.controller.signal_process(name, signal))
}

fn on_each(
    call: &Call<'_>,
    at_a_time: usize,
    waits: bool,
    act: impl Fn(&str) -> Result<String, ClientError> + Sync,
) -> u8 {
    on(call, &call.args.names, at_a_time, waits, act)
}

/// Does the same to everything that the words mean, several at a time (one at a time: up to the first failure), and
/// tells the results in the order of the words. The exit code is that of the first failure.
fn on(
    call: &Call<'_>,
    words: &[String],
    at_a_time: usize,
    waits: bool,
    act: impl Fn(&str) -> Result<String, ClientError> + Sync,
) -> u8 {
    let (targets, unknown) = match targets(call, words) {
        Ok(found) => found,
        Err(error) => return fail_at(call, error),
    };
    let board = Board::new(call, targets, at_a_time == 1);
    let work = || board.work(&act);
    let everything = || {
        std::thread::scope(|scope| {
            for _ in 1..board.len().min(at_a_time) {
                // Fewer threads do the same work in a longer time.
                if std::thread::Builder::new().stack_size(128 * 1024).spawn_scoped(scope, work).is_err() {
                    break;
                }
            }
            work();
        });
    };
    if waits {
        board.watched(everything)
    } else {
        everything()
    }
    report(call, board.into_outcomes(), unknown)
}

/// What the words mean, and what is to be said of those that mean nothing. Plain names are the daemon's to judge.
pub(super) fn targets(call: &Call<'_>, words: &[String]) -> Result<(Vec<String>, Vec<String>), ClientError> {
    if !words.iter().any(|word| is_pattern(word)) {
        return Ok((words.to_vec(), Vec::new()));
    }
    let all = call.controller.status()?;
    if call.args.verb.is_some_and(|verb| verb.name.ends_with("group")) {
        return Ok(groups(&all, words));
    }
    let known: Vec<Known<'_>> = all.iter().map(Known::from).collect();
    let (chosen, unknown) = choose(&known, words);
    let names = chosen.into_iter().filter_map(|number| all.get(number)).map(|process| process.name.clone());
    Ok((names.collect(), unknown))
}

/// The same for words that mean groups.
fn groups(all: &[ProcessStatus], words: &[String]) -> (Vec<String>, Vec<String>) {
    let mut groups: Vec<Known<'_>> = Vec::new();
    for name in all.iter().filter_map(|process| process.group.as_deref()) {
        if !groups.iter().any(|known| known.name == name) {
            groups.push(Known { name, group: Some(name), state: "" });
        }
    }
    let (chosen, unknown) = choose(&groups, words);
    let names = chosen.into_iter().filter_map(|number| groups.get(number)).map(|group| group.name.to_owned());
    (names.collect(), unknown)
}

fn report(call: &Call<'_>, outcomes: Vec<(String, Outcome)>, unknown: Vec<String>) -> u8 {
    let mut code = DONE;
    let mut told = Vec::new();
    let mut not_done = Vec::new();
    for (name, outcome) in outcomes {
        let (result, answer) = match outcome {
            Outcome::Done(Ok(message)) if call.args.json() => {
                (DONE, json!({"name": name, "status": "ok", "message": message}))
            }
            Outcome::Done(Ok(message)) => (print(&format!("{}\n", table::lines(&message))), Value::Null),
            Outcome::Done(Err(error)) => {
                let message = describe(call, &error);
                if !call.args.json() {
                    complain(&message);
                }
                (code_of(&error), failure(&name, &error, &message))
            }
            Outcome::Waiting | Outcome::UnderWay => {
                not_done.push(name.clone());
                (FAILED, json!({"name": name, "status": "error", "message": "not done"}))
            }
        };
        told.push(answer);
        code = if code == DONE { result } else { code };
    }
    if !not_done.is_empty() && !call.args.json() {
        complain(&format!("not done: {}", not_done.join(", ")));
    }
    for message in &unknown {
        match call.args.json() {
            true => told.push(json!({"status": "error", "code": "NOT_FOUND", "message": message})),
            false => complain(message),
        }
    }
    code = if code == DONE && !unknown.is_empty() { FAILED } else { code };
    if call.args.json() {
        let status = if code == DONE { "ok" } else { "error" };
        let printed = print(&format!("{}\n", json!({"status": status, "results": told})));
        return if code == DONE { printed } else { code };
    }
    code
}

fn failure(name: &str, error: &ClientError, message: &str) -> Value {
    json!({"name": name, "status": "error", "code": answer_code(error), "message": message})
}

/// Does something that may take long and concerns no name, and says on Ctrl-C that it goes on.
pub(super) fn waited_for<T: Send>(call: &Call<'_>, work: impl FnOnce() -> T + Send) -> T {
    Board::new(call, Vec::new(), false).watched(work)
}
