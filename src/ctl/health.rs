//! `health`: one answer for a probe: of a container's runtime, of Kubernetes, of a load balancer.

use std::time::Duration;

use super::call::Call;
use super::exit::{DONE, FAILED};
use super::names::{Known, choose, is_pattern};
use super::print::{print, print_error};
use super::verb::Opt;
use crate::client::ProcessStatus;
use crate::util::plural::counted;

/// Probes are asked often, and whoever asks has a time-out too: a daemon that is well answers in a millisecond.
const TIMEOUT: Duration = Duration::from_secs(2);

/// How many of those that are not well are named.
const NAMED: usize = 5;

/// Tells whether the named processes (none named: all that start with the daemon) are up and healthy; with
/// `ready`, none may be `STARTING` either. The exit code is 0 or 1, nothing else: runtimes know no more.
pub(super) fn health(call: &Call<'_>) -> u8 {
    let controller = match call.args.timeout {
        Some(_) => call.controller.clone(),
        None => call.controller.clone().with_timeout(TIMEOUT),
    };
    let verdict = match controller.status() {
        Ok(all) => evaluate(&all, &call.args.names, call.args.has(Opt::Ready)),
        Err(error) => Err(error.to_string()),
    };
    match verdict {
        Ok(count) => {
            // Whether anybody reads it or not: it is well.
            print(&format!("healthy: {}\n", counted(count, "process")));
            DONE
        }
        Err(reason) => {
            print_error(&reason);
            FAILED
        }
    }
}

/// How many were checked and found healthy, or what is wrong.
fn evaluate(all: &[ProcessStatus], names: &[String], ready: bool) -> Result<usize, String> {
    let chosen = match names {
        // As /readyz. An older daemon does not tell which start with it.
        [] => all.iter().filter(|one| one.autostart != Some(false) && one.disabled != Some(true)).collect(),
        names => named(all, names)?,
    };
    let ailing: Vec<String> = chosen.iter().filter_map(|process| problem(process, ready)).collect();
    if ailing.is_empty() {
        return Ok(chosen.len());
    }
    let more = ailing.len().saturating_sub(NAMED);
    let mut text: Vec<String> = ailing.into_iter().take(NAMED).collect();
    if more > 0 {
        text.push(format!("and {more} more"));
    }
    Err(text.join("; "))
}

/// Those that the words select; a group also by its name alone.
fn named<'a>(all: &'a [ProcessStatus], words: &[String]) -> Result<Vec<&'a ProcessStatus>, String> {
    let is_group = |word: &String| {
        let has_name = all.iter().any(|process| process.name == *word);
        !has_name && !is_pattern(word) && all.iter().any(|process| process.group.as_deref() == Some(word))
    };
    let words: Vec<String> =
        words.iter().map(|word| if is_group(word) { format!("group:{word}") } else { word.clone() }).collect();
    let known: Vec<Known<'_>> = all.iter().map(Known::from).collect();
    let (chosen, unknown) = choose(&known, &words);
    match unknown.into_iter().next() {
        Some(unknown) => Err(unknown.message),
        None => Ok(chosen.into_iter().filter_map(|number| all.get(number)).collect()),
    }
}

/// What is wrong with it, as its status says.
fn problem(process: &ProcessStatus, ready: bool) -> Option<String> {
    let well = match process.state.as_str() {
        "RUNNING" => process.healthy != Some(false) && !(ready && process.ready == Some(false)),
        "STARTING" => !ready,
        "EXITED" => process.completed == Some(true),
        _ => false,
    };
    if well {
        return None;
    }
    let why = process.description.as_deref().unwrap_or(if process.healthy == Some(false) {
        "its health check fails"
    } else {
        ""
    });
    // One line, whatever a program's last words were.
    let why: String = why.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let separator = if why.is_empty() { "" } else { ", " };
    Some(format!("{} is {}{separator}{why}", process.name, process.state))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(name: &str, state: &str) -> ProcessStatus {
        let text = format!(r#"{{"name": "{name}", "state": "{state}", "pid": null, "group": "all"}}"#);
        serde_json::from_str(&text).expect("a status")
    }

    fn verdict(all: &[ProcessStatus], names: &[&str], ready: bool) -> Result<usize, String> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        evaluate(all, &names, ready)
    }

    #[test]
    fn a_oneshot_that_has_completed_is_well() {
        let done = ProcessStatus { completed: Some(true), ..process("a", "EXITED") };
        assert_eq!(verdict(&[done], &[], true), Ok(1));
    }

    #[test]
    fn only_running_and_healthy_is_well() {
        for state in ["STOPPED", "STARTING", "BACKOFF", "STOPPING", "EXITED", "FATAL", "UNHEALTHY", "RUNNING"] {
            let all = [process("a", "RUNNING"), process("b", state)];
            assert_eq!(verdict(&all, &[], false).is_ok(), ["RUNNING", "STARTING"].contains(&state), "{state}");
            assert_eq!(verdict(&all, &[], true).is_ok(), state == "RUNNING", "{state}");
            assert_eq!(verdict(&all, &["a"], true), Ok(1));
            assert_eq!(verdict(&all, &["all"], true).is_ok(), state == "RUNNING", "{state}");
        }
        let failing = ProcessStatus { healthy: Some(false), ..process("a", "RUNNING") };
        assert_eq!(verdict(&[failing], &[], false), Err("a is RUNNING, its health check fails".to_owned()));
    }

    #[test]
    fn what_does_not_start_with_the_daemon_counts_only_if_it_is_named() {
        for stopped in [
            ProcessStatus { autostart: Some(false), ..process("a", "STOPPED") },
            ProcessStatus { autostart: Some(true), disabled: Some(true), ..process("a", "STOPPED") },
        ] {
            let all = [stopped, process("b", "RUNNING")];
            assert_eq!(verdict(&all, &[], true), Ok(1));
            assert_eq!(verdict(&all, &["a"], true), Err("a is STOPPED".to_owned()));
        }
        let all = [process("a", "STOPPED"), process("b", "RUNNING")];
        for words in [["*"], ["all"], ["group:all"], ["state:stopped"]] {
            assert_eq!(verdict(&all, &words, true), Err("a is STOPPED".to_owned()), "{words:?}");
        }
        assert_eq!(verdict(&all, &["state:running", "b*"], true), Ok(1));
        assert_eq!(verdict(&all, &["x*"], true), Err("no process matches 'x*'".to_owned()));
        assert_eq!(verdict(&all, &["bb"], true), Err("no process 'bb'; did you mean 'b'?".to_owned()));
    }

    #[test]
    fn it_is_one_line() {
        let many: Vec<_> = (0..9).map(|n| process(&format!("p{n}"), "FATAL")).collect();
        let reason = verdict(&many, &[], false).expect_err("all are down");
        assert!(reason.starts_with("p0 is FATAL; p1") && reason.ends_with("; and 4 more"), "{reason}");
        let loud = ProcessStatus { description: Some("a\nb\u{1b}".to_owned()), ..process("a", "EXITED") };
        assert_eq!(verdict(&[loud], &[], false), Err("a is EXITED, a b ".to_owned()));
    }
}
