//! Which processes are meant: names, shell patterns, `group:NAME`, `state:STATE`, `all`.

use crate::process::ProcessState;
use crate::rpc::protocol::ProcessStatus;
use crate::util::did_you_mean::closest;

/// What is known of a process that can be named.
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

/// Does a word need the daemon's list of processes to be understood?
pub(super) fn is_pattern(word: &str) -> bool {
    word == "all" || word.starts_with("group:") || word.starts_with("state:") || word.contains(['*', '?', '['])
}

/// The numbers of the processes that the words mean, each once, in the order of the words; and what is to be
/// said of words that mean none. A name that exists counts before what it would mean as a pattern.
pub(super) fn choose(all: &[Known<'_>], words: &[String]) -> (Vec<usize>, Vec<String>) {
    let mut chosen = Vec::new();
    let mut errors = Vec::new();
    for word in words {
        let before = chosen.len();
        let mut is_known = false;
        for (number, process) in all.iter().enumerate() {
            if means(all, word, process) {
                is_known = true;
                if !chosen.contains(&number) {
                    chosen.push(number);
                }
            }
        }
        if !is_known && chosen.len() == before {
            errors.push(nothing(all, word));
        }
    }
    (chosen, errors)
}

fn means(all: &[Known<'_>], word: &str, process: &Known<'_>) -> bool {
    if process.name == word {
        return true;
    }
    if !is_pattern(word) || all.iter().any(|other| other.name == word) {
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

/// The error for a word that means no process.
fn nothing(all: &[Known<'_>], word: &str) -> String {
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

/// Does a shell pattern (`*`, `?`, `[a-z]`, `[!a-z]`) match the whole text?
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut seen) = (0, 0);
    // Where to go on if what follows the last `*` does not fit: that star takes one character more. One star is
    // enough to come back to, so that no pattern takes longer than its length times the text's.
    let mut star = None;
    while seen < text.len() {
        let fits = one(pattern.get(at..).unwrap_or_default(), text.get(seen).copied());
        match (pattern.get(at), fits) {
            (Some('*'), _) => {
                star = Some((at, seen));
                at += 1;
            }
            (_, Some(length)) => {
                at += length;
                seen += 1;
            }
            (_, None) => match &mut star {
                Some((back, taken)) => {
                    *taken += 1;
                    (at, seen) = (*back + 1, *taken);
                }
                None => return false,
            },
        }
    }
    pattern.get(at..).unwrap_or_default().iter().all(|c| *c == '*')
}

/// How many characters of the pattern stand for this one; `None`: they do not.
fn one(pattern: &[char], c: Option<char>) -> Option<usize> {
    let c = c?;
    match *pattern.first()? {
        '?' => Some(1),
        '[' => match pattern.iter().skip(2).position(|c| *c == ']') {
            Some(end) => {
                let set = pattern.get(1..end + 2).unwrap_or_default();
                let (negated, set) = match set {
                    ['!' | '^', rest @ ..] if !rest.is_empty() => (true, rest),
                    set => (false, set),
                };
                (in_set(set, c) != negated).then_some(end + 3)
            }
            // No set without an end.
            None => (c == '[').then_some(1),
        },
        own => (own == c).then_some(1),
    }
}

fn in_set(mut set: &[char], c: char) -> bool {
    loop {
        set = match set {
            [] => return false,
            [from, '-', to, rest @ ..] => {
                if (*from..=*to).contains(&c) {
                    return true;
                }
                rest
            }
            [own, rest @ ..] => {
                if *own == c {
                    return true;
                }
                rest
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_a_shells() {
        for (pattern, text, wanted) in [
            ("web*", "web", true),
            ("web*", "web2", true),
            ("web*", "aweb", false),
            ("*b*b", "abab", true),
            ("*b*c", "abab", false),
            ("w?b", "wüb", true),
            ("w?b", "wb", false),
            ("[a-c]1", "b1", true),
            ("[!a-c]1", "b1", false),
            ("[!a-c]1", "x1", true),
            ("[]]", "]", true),
            ("a[", "a[", true),
            ("*", "", true),
            ("", "a", false),
            ("worker:*", "worker:00", true),
        ] {
            assert_eq!(matches(pattern, text), wanted, "{pattern} {text}");
        }
        assert!(!matches(&"*a".repeat(40), &"a".repeat(39)));
    }

    #[test]
    fn words_mean_processes() {
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
            (numbers, errors.join("|"))
        };
        let found = |numbers: &[usize]| (numbers.to_vec(), String::new());
        assert_eq!(chosen("all"), found(&[0, 1, 2, 3]));
        assert_eq!(chosen("worker:*,w*"), found(&[1, 2, 0]));
        assert_eq!(chosen("group:worker,worker:00"), found(&[1, 2]));
        assert_eq!(chosen("state:fatal,my job"), found(&[2, 3]));
        for (word, error) in [
            ("wbe", "no process 'wbe'; did you mean 'web'?"),
            ("worker", "no process 'worker'; all of them are 'worker:*'"),
            ("front", "no process 'front'; it is a group: 'group:front'"),
            ("group:frnt", "no group 'frnt'; did you mean 'front'?"),
            ("state:EXITED", "no process is EXITED"),
            ("state:FATLA", "no state 'FATLA'; did you mean 'FATAL'?"),
            ("x*", "no process matches 'x*'"),
        ] {
            assert_eq!(chosen(word), (vec![], error.to_owned()));
        }
        let odd = [known("all", "all", "STOPPED"), known("b", "b", "STOPPED")];
        assert_eq!(choose(&odd, &["all".to_owned()]).0, [0], "a name counts before a pattern");
    }
}
