//! What could come next on a command line: for the prompt, and for shells by `supervicectl complete -- WORD...`.

use std::time::Duration;

use super::verbs::{self, Call, Names, OPTIONS, Opt, Spelling, Verb};
use super::{DONE, print, table};
use crate::client::Controller;
use crate::process::ProcessState;

/// Whoever presses Tab waits no longer than this for the daemon.
const PATIENCE: Duration = Duration::from_secs(1);

const SIGNALS: [&str; 10] = ["HUP", "INT", "TERM", "KILL", "QUIT", "USR1", "USR2", "STOP", "CONT", "WINCH"];
const GOALS: [&str; 4] = ["running", "healthy", "stopped", "exited"];

/// Something that could come next, and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub word: String,
    pub about: String,
}

fn candidate(word: impl Into<String>, about: impl Into<String>) -> Candidate {
    Candidate { word: word.into(), about: about.into() }
}

/// Prints a line for each: the word, a tab, what it is. The last of the words is the one that is being typed.
pub(super) fn complete(call: &Call<'_>) -> u8 {
    let words = &call.args.names;
    let line = Line::read(words);
    // The socket is that of the command line that is being typed.
    let named = line.socket.is_some() || line.config.is_some();
    let controller = match super::socket(line.socket.as_deref(), line.config.as_deref()) {
        Ok(socket) if named => Controller::new(socket),
        Ok(_) => call.controller.clone(),
        // Nothing to offer, and no place to say why.
        Err(_) => return DONE,
    };
    let lines = candidates(words, &controller).into_iter();
    let lines: String =
        lines.map(|one| format!("{}\t{}\n", table::printable(&one.word), table::printable(&one.about))).collect();
    print(&lines)
}

/// The words before the last one, taken apart as far as that goes.
#[derive(Default)]
struct Line {
    verb: Option<&'static Verb>,
    names: Vec<String>,
    socket: Option<String>,
    config: Option<String>,
    /// The option whose value comes next.
    open: Option<&'static Spelling>,
}

impl Line {
    fn read(words: &[String]) -> Line {
        let mut line = Line::default();
        let before = words.split_last().map_or(&[][..], |(_, before)| before);
        for word in before {
            if let Some(spelling) = line.open.take() {
                line.set(spelling, word);
            } else if let Some((spelling, value)) = option(word, line.verb) {
                match value {
                    Some(value) => line.set(spelling, value),
                    None if !spelling.value.is_empty() => line.open = Some(spelling),
                    None => {}
                }
            } else if line.verb.is_none() {
                line.verb = verbs::find(word);
            } else {
                line.names.push(word.clone());
            }
        }
        line
    }

    fn set(&mut self, spelling: &Spelling, value: &str) {
        match spelling.opt {
            Opt::Socket => self.socket = Some(value.to_owned()),
            Opt::Config => self.config = Some(value.to_owned()),
            _ => {}
        }
    }
}

/// The option that a word is, and the value behind its `=`.
fn option<'w>(word: &'w str, verb: Option<&Verb>) -> Option<(&'static Spelling, Option<&'w str>)> {
    if let Some(long) = word.strip_prefix("--") {
        let (name, value) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
        return OPTIONS.iter().find(|spelling| spelling.long == name).map(|found| (found, value));
    }
    let letter = word.strip_prefix('-')?.chars().next()?;
    super::args::by_letter(letter, verb).map(|found| (found, None))
}

/// All that could stand in the place of the last word, and begins as it does.
pub(super) fn candidates(words: &[String], controller: &Controller) -> Vec<Candidate> {
    let typed = words.last().map_or("", String::as_str);
    let line = Line::read(words);
    let mut all = match (line.open, line.verb) {
        (Some(spelling), _) if spelling.opt == Opt::For => GOALS.map(|goal| candidate(goal, "")).to_vec(),
        (Some(_), _) => Vec::new(),
        (None, _) if typed.starts_with("--for=") => GOALS.map(|goal| candidate(format!("--for={goal}"), "")).to_vec(),
        (None, verb) if typed.starts_with('-') => options(verb),
        (None, None) => verbs::told().iter().map(|verb| candidate(verb.name, verb.help)).collect(),
        (None, Some(verb)) => arguments(verb, &line.names, typed, controller),
    };
    all.retain(|one| one.word.starts_with(typed) && !line.names.contains(&one.word));
    all
}

fn options(verb: Option<&Verb>) -> Vec<Candidate> {
    let own = verb.map_or(&[][..], |verb| verb.options);
    let common = OPTIONS.iter().take(verbs::COMMON).map(|spelling| spelling.opt);
    let spelt = own.iter().copied().chain(common).map(verbs::spell);
    spelt.map(|spelling| candidate(format!("--{}", spelling.long), spelling.help)).collect()
}

fn arguments(verb: &Verb, names: &[String], typed: &str, controller: &Controller) -> Vec<Candidate> {
    let fixed = |words: &[&str]| words.iter().map(|word| candidate(*word, "")).collect::<Vec<_>>();
    let full = verb.names == Names::None || (verb.names == Names::MaybeOne && !names.is_empty());
    match verb.name {
        _ if full => Vec::new(),
        "help" => verbs::told().iter().map(|verb| candidate(verb.name, verb.help)).collect(),
        "signal" if names.is_empty() => fixed(&SIGNALS),
        "loglevel" => fixed(&crate::util::log_level::NAMES),
        "events" => {
            let states = ProcessState::ALL.map(|state| state.as_str());
            [fixed(&states), fixed(&["HEALTHCHECK"])].concat()
        }
        "startgroup" | "stopgroup" => groups(controller).into_iter().map(|group| candidate(group, "group")).collect(),
        _ => processes(verb, names, typed, controller),
    }
}

fn processes(verb: &Verb, names: &[String], typed: &str, controller: &Controller) -> Vec<Candidate> {
    let all = controller.clone().with_timeout(PATIENCE).status().unwrap_or_default();
    let mut found: Vec<Candidate> = all.iter().map(|one| candidate(one.name.clone(), one.state.clone())).collect();
    if verb.name == "tail" && !names.is_empty() {
        found.extend([candidate("stdout", "its output"), candidate("stderr", "its errors")]);
    }
    if matches!(verb.name, "history" | "pid" | "health") {
        return found;
    }
    found.push(candidate("all", "all processes"));
    // Only for who has begun to type it: they would bury the names.
    if typed.starts_with("group:") || (!typed.is_empty() && "group:".starts_with(typed)) {
        found.extend(groups_of(&all).into_iter().map(|group| candidate(format!("group:{group}"), "all of this group")));
    }
    if typed.starts_with("state:") || (!typed.is_empty() && "state:".starts_with(typed)) {
        let states = ProcessState::ALL.map(|state| candidate(format!("state:{state}"), "all in this state"));
        found.extend(states);
    }
    found
}

fn groups(controller: &Controller) -> Vec<String> {
    groups_of(&controller.clone().with_timeout(PATIENCE).status().unwrap_or_default())
}

fn groups_of(all: &[crate::rpc::protocol::ProcessStatus]) -> Vec<String> {
    let mut groups: Vec<String> = Vec::new();
    for group in all.iter().filter_map(|process| process.group.as_ref()) {
        if !groups.contains(group) {
            groups.push(group.clone());
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(words: &[&str]) -> Vec<String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let nobody = Controller::new("/nonexistent/socket");
        candidates(&words, &nobody).into_iter().map(|one| one.word).collect()
    }

    #[test]
    fn what_could_come_next() {
        assert_eq!(offered(&["sta"]), ["status", "start", "startgroup"]);
        assert_eq!(offered(&["-s", "/x", "rest"]), ["restart"]);
        assert_eq!(offered(&["restart", "--r"]), ["--rolling"]);
        assert_eq!(offered(&["wait", "--for", "h"]), ["healthy"]);
        assert_eq!(offered(&["wait", "--for=h"]), ["--for=healthy"]);
        assert_eq!(offered(&["-s", ""]), [""; 0]);
        assert_eq!(offered(&["signal", "U"]), ["USR1", "USR2"]);
        assert_eq!(offered(&["loglevel", "D"]), ["DEBUG"]);
        assert_eq!(offered(&["loglevel", "DEBUG", ""]), [""; 0]);
        assert_eq!(offered(&["stop", "state:F"]), ["state:FATAL"]);
        assert_eq!(offered(&["stop", "a"]), ["all"]);
        assert!(offered(&[""]).len() > 20 && !offered(&[""]).contains(&"complete".to_owned()));
    }
}
