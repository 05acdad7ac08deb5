//! Which processes are meant: names, shell patterns, `group:NAME`, `state:STATE`, `all`; and as supervisorctl has it,
//! `GROUP:NAME`, `GROUP:*` and `GROUP:`, also of what is called by its name alone because its group has the same.

use crate::client::ProcessStatus;
use crate::process::ProcessState;
use crate::util::did_you_mean::closest;
use crate::util::glob::{has_wildcard, matches};

/// What selects a process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    pub name: &'a str,
    pub group: Option<&'a str>,
    pub state: &'a str,
}

impl<'a> From<&'a ProcessStatus> for Known<'a> {
    fn from(process: &'a ProcessStatus) -> Self {
        Known { name: &process.name, group: process.group.as_deref(), state: &process.state }
    }
}

/// Whether a word can only be resolved with the list of all processes.
pub(super) fn is_pattern(word: &str) -> bool {
    word == "all" || word.starts_with("group:") || word.starts_with("state:") || has_wildcard(word)
}

/// Whether a word may say a process by its group, or stand for all of a group, although no process has that name: what
/// is called otherwise than its group has both in its name.
pub(super) fn has_group(word: &str) -> bool {
    word.split_once(':').is_some_and(|(group, name)| name.is_empty() || name == group)
}

/// Whether the word is a group, a colon, and a pattern of a name within it or nothing for all.
fn is_in_group(word: &str, process: &Known<'_>) -> bool {
    let Some((group, pattern)) = word.split_once(':').filter(|(group, _)| process.group == Some(*group)) else {
        return false;
    };
    let within = process.name.strip_prefix(group).and_then(|rest| rest.strip_prefix(':')).unwrap_or(process.name);
    pattern.is_empty() || matches(pattern, within)
}

/// A word that selects nothing, and how that is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unmatched {
    pub word: String,
    pub message: String,
}

/// The indices of the processes that the words select, each once, in the order of the words; and each word that selects
/// none. A name that exists takes precedence over the same word as a pattern.
pub(super) fn choose(all: &[Known<'_>], words: &[String]) -> (Vec<usize>, Vec<Unmatched>) {
    let mut chosen = Vec::new();
    let mut errors = Vec::new();
    for word in words {
        let before = chosen.len();
        let mut is_known = false;
        for (number, process) in all.iter().enumerate() {
            if selects(all, word, process) {
                is_known = true;
                if !chosen.contains(&number) {
                    chosen.push(number);
                }
            }
        }
        if !is_known && chosen.len() == before {
            errors.push(Unmatched { word: word.clone(), message: no_match(all, word) });
        }
    }
    (chosen, errors)
}

fn selects(all: &[Known<'_>], word: &str, process: &Known<'_>) -> bool {
    if process.name == word {
        return true;
    }
    if all.iter().any(|other| other.name == word) {
        return false;
    }
    if is_in_group(word, process) {
        return true;
    }
    if !is_pattern(word) {
        return false;
    }
    if word == "all" {
        true
    } else if let Some(group) = word.strip_prefix("group:") {
        process.group.is_some_and(|own| matches(group, own))
    } else if let Some(state) = word.strip_prefix("state:") {
        process.state.eq_ignore_ascii_case(state)
    } else {
        matches(word, process.name)
    }
}

/// The error for a word that selects no process.
fn no_match(all: &[Known<'_>], word: &str) -> String {
    let names = || all.iter().map(|process| process.name);
    if word == "all" {
        return "the daemon has no processes".to_owned();
    }
    if let Some(group) = word.strip_prefix("group:") {
        let mut groups = all.iter().filter_map(|process| process.group).peekable();
        if groups.peek().is_none() && !all.is_empty() {
            return format!("this daemon does not tell who is in which group; use startgroup or stopgroup {group}");
        }
        return format!("no group '{group}'{}", did_you_mean(closest(group, groups)));
    }
    if let Some(state) = word.strip_prefix("state:") {
        let state = state.to_ascii_uppercase();
        let known = ProcessState::ALL.map(ProcessState::as_str);
        if known.contains(&state.as_str()) {
            return format!("no process is {state}");
        }
        return format!("no state '{state}'{}", did_you_mean(closest(&state, known.into_iter())));
    }
    if is_pattern(word) {
        return format!("no process matches '{word}'");
    }
    let instances = format!("{word}:");
    if names().any(|name| name.starts_with(&instances)) {
        return format!("no process '{word}'; all of them are '{word}:*'");
    }
    if all.iter().any(|process| process.group == Some(word)) {
        return format!("no process '{word}'; it is a group: 'group:{word}'");
    }
    format!("no process '{word}'{}", did_you_mean(closest(word, names())))
}

pub(super) fn did_you_mean(known: Option<&str>) -> String {
    known.map_or_else(String::new, |known| format!("; did you mean '{known}'?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_select_processes() {
        let known = |name, group, state| Known { name, group: Some(group), state };
        let all = [
            known("web", "front", "RUNNING"),
            known("worker:00", "worker", "RUNNING"),
            known("worker:01", "worker", "FATAL"),
            known("my job", "my job", "STOPPED"),
        ];
        let chosen = |words: &str| {
            let words: Vec<String> = words.split(',').map(str::to_owned).collect();
            let (numbers, errors) = choose(&all, &words);
            (numbers, errors.into_iter().map(|error| error.message).collect::<Vec<_>>().join("|"))
        };
        let found = |numbers: &[usize]| (numbers.to_vec(), String::new());
        assert_eq!(chosen("all"), found(&[0, 1, 2, 3]));
        assert_eq!(chosen("worker:*,w*"), found(&[1, 2, 0]));
        assert_eq!(chosen("group:worker,worker:00"), found(&[1, 2]));
        assert_eq!(chosen("state:fatal,my job"), found(&[2, 3]));
        assert_eq!(chosen("my job:*"), found(&[3]));
        assert_eq!(chosen("my job:my job,front:,worker:"), found(&[3, 0, 1, 2]));
        assert_eq!(chosen("front:w*"), found(&[0]));
        for (word, error) in [
            ("wbe", "no process 'wbe'; did you mean 'web'?"),
            ("worker", "no process 'worker'; all of them are 'worker:*'"),
            ("front", "no process 'front'; it is a group: 'group:front'"),
            ("group:frnt", "no group 'frnt'; did you mean 'front'?"),
            ("state:EXITED", "no process is EXITED"),
            ("state:FATLA", "no state 'FATLA'; did you mean 'FATAL'?"),
            ("x*", "no process matches 'x*'"),
            ("front:x", "no process 'front:x'"),
        ] {
            assert_eq!(chosen(word), (vec![], error.to_owned()));
        }
        let odd = [known("all", "all", "STOPPED"), known("b", "b", "STOPPED")];
        assert_eq!(choose(&odd, &["all".to_owned()]).0, [0], "a name counts before a pattern");
    }
}
