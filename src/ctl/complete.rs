//! What could come next on a command line: for the prompt, and for shells by `supervicectl complete -- WORD...`.

use std::time::Duration;

use super::call::Call;
use super::exit::DONE;
use super::flag::ACTIONS;
use super::print::print;
use super::socket::socket;
use super::text::printable;
use super::verb::{Completion, Names, Opt, Spelling, Verb, by_letter, by_name, common_options, spell};
use crate::client::{Controller, ProcessStatus};
use crate::process::ProcessState;

/// How long Tab may wait for the daemon.
const TIMEOUT: Duration = Duration::from_secs(1);

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
    let controller = match socket(line.socket.as_deref(), line.config.as_deref()) {
        Ok(socket) if named => Controller::new(socket),
        Ok(_) => call.controller.clone(),
        // Nothing to offer, and no place to say why.
        Err(_) => return DONE,
    };
    let lines = candidates(words, &controller).into_iter();
    let lines: String = lines.map(|one| format!("{}\t{}\n", printable(&one.word), printable(&one.about))).collect();
    print(&lines)
}

/// The words before the last one, taken apart as far as that goes.
#[derive(Default)]
struct Line {
    verb: Option<Verb>,
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
                line.verb = Verb::find(word);
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
fn option(word: &str, verb: Option<Verb>) -> Option<(&'static Spelling, Option<&str>)> {
    if let Some(long) = word.strip_prefix("--") {
        let (name, value) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
        return by_name(name).map(|found| (found, value));
    }
    let letter = word.strip_prefix('-')?.chars().next()?;
    by_letter(letter, verb).map(|found| (found, None))
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
        (None, None) => all_verbs(),
        (None, Some(verb)) => arguments(verb, &line.names, typed, controller),
    };
    all.retain(|one| one.word.starts_with(typed) && !line.names.contains(&one.word));
    all
}

fn options(verb: Option<Verb>) -> Vec<Candidate> {
    let own = verb.map_or(&[][..], |verb| verb.spec().options);
    let all = own.iter().map(|opt| spell(*opt)).chain(common_options());
    all.map(|spelling| candidate(format!("--{}", spelling.long), spelling.help)).collect()
}

fn all_verbs() -> Vec<Candidate> {
    Verb::listed().map(|verb| candidate(verb.name(), verb.spec().help)).collect()
}

fn arguments(verb: Verb, names: &[String], typed: &str, controller: &Controller) -> Vec<Candidate> {
    let fixed = |words: &[&str]| words.iter().map(|word| candidate(*word, "")).collect::<Vec<_>>();
    let all = || controller.clone().with_timeout(TIMEOUT).status().unwrap_or_default();
    let spec = verb.spec();
    if spec.names == Names::AtMostOne && !names.is_empty() {
        return Vec::new();
    }
    match spec.completion {
        Completion::None => Vec::new(),
        Completion::Verbs => all_verbs(),
        Completion::SignalThenProcesses if names.is_empty() => fixed(&SIGNALS),
        Completion::Levels => fixed(&crate::util::log_level::NAMES),
        Completion::EventTypes => {
            let states = ProcessState::ALL.map(|state| state.as_str());
            [fixed(&states), fixed(&["HEALTHCHECK"])].concat()
        }
        Completion::Groups => groups_of(&all()).into_iter().map(|group| candidate(group, "group")).collect(),
        Completion::FlagAction => match names.first().map(String::as_str) {
            None => fixed(&ACTIONS),
            Some("set" | "clear") => {
                let flags = controller.clone().with_timeout(TIMEOUT).flags().unwrap_or_default().into_iter();
                flags.map(|flag| candidate(flag.name, if flag.set { "set" } else { "clear" })).collect()
            }
            Some(_) => Vec::new(),
        },
        Completion::PlainProcesses => processes(&all()),
        Completion::Processes | Completion::SignalThenProcesses => {
            let all = all();
            [processes(&all), selectors(&all, typed)].concat()
        }
        Completion::ProcessesThenStream => {
            let all = all();
            let streams = [candidate("stdout", "its output"), candidate("stderr", "its errors")];
            let streams = if names.is_empty() { &[][..] } else { &streams };
            [processes(&all), streams.to_vec(), selectors(&all, typed)].concat()
        }
    }
}

fn processes(all: &[ProcessStatus]) -> Vec<Candidate> {
    all.iter().map(|one| candidate(one.name.clone(), one.state.clone())).collect()
}

/// `all`; groups and states only once their prefix is being typed: there are so many that they would hide the names.
fn selectors(all: &[ProcessStatus], typed: &str) -> Vec<Candidate> {
    let mut found = vec![candidate("all", "all processes")];
    let is_begun = |prefix: &str| typed.starts_with(prefix) || (!typed.is_empty() && prefix.starts_with(typed));
    if is_begun("group:") {
        found.extend(groups_of(all).into_iter().map(|group| candidate(format!("group:{group}"), "all of this group")));
    }
    if is_begun("state:") {
        found.extend(ProcessState::ALL.map(|state| candidate(format!("state:{state}"), "all in this state")));
    }
    found
}

fn groups_of(all: &[ProcessStatus]) -> Vec<String> {
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
        assert_eq!(offered(&["flag", ""]), ["set", "clear", "list"]);
        assert_eq!(offered(&["flag", "list", ""]), [""; 0]);
        assert_eq!(offered(&["stop", "state:F"]), ["state:FATAL"]);
        assert_eq!(offered(&["stop", "a"]), ["all"]);
        assert!(offered(&[""]).len() > 20 && !offered(&[""]).contains(&"complete".to_owned()));
    }
}
