//! What the names on a command line stand for.

use super::call::Call;
use super::names::{Known, Unmatched, choose, has_group, is_pattern};
use crate::client::{ClientError, Controller, ProcessStatus};

/// How the daemon refuses the name of what somebody wants no instance of.
const SCALED_TO_0: &str = "scaled_to_0";

/// What is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Processes,
    Groups,
}

/// The names that the words select, and an error for each word that selects none. Without a pattern among them the
/// words are names: the daemon knows best which exist.
pub(super) fn targets(
    call: &Call<'_>,
    kind: Kind,
    words: &[String],
) -> Result<(Vec<String>, Vec<String>), ClientError> {
    let needs_list = |word: &String| is_pattern(word) || (kind == Kind::Processes && has_group(word));
    if !words.iter().any(needs_list) {
        return Ok((words.to_vec(), Vec::new()));
    }
    let all = call.controller.status()?;
    let (mut names, mut unmatched) = match kind {
        Kind::Groups => groups(&all, words),
        Kind::Processes => processes(&all, words),
    };
    if !words.iter().any(|word| is_pattern(word)) {
        // What the list does not have the daemon may: an instance that comes with its start.
        names.extend(std::mem::take(&mut unmatched).into_iter().map(|unmatched| unmatched.word));
    }
    Ok((names, unmatched_messages(call.controller, unmatched)))
}

/// The messages for words that select nothing. Only the daemon knows that somebody has scaled a program to 0.
pub(super) fn unmatched_messages(controller: &Controller, unmatched: Vec<Unmatched>) -> Vec<String> {
    let tell = |Unmatched { word, message }| match reason(controller, &word) {
        Some(ClientError::Failed { message, .. }) => message,
        Some(_) | None => message,
    };
    unmatched.into_iter().map(tell).collect()
}

fn reason(controller: &Controller, word: &str) -> Option<ClientError> {
    if word == "all" || word.starts_with("state:") {
        return None;
    }
    let name = word.strip_prefix("group:").unwrap_or(word);
    let refused = controller.status_of::<ProcessStatus>(Some(name)).err()?;
    (refused.refusal() == Some(SCALED_TO_0)).then_some(refused)
}

fn processes(all: &[ProcessStatus], words: &[String]) -> (Vec<String>, Vec<Unmatched>) {
    let known: Vec<Known<'_>> = all.iter().map(Known::from).collect();
    let (chosen, unknown) = choose(&known, words);
    let names = chosen.into_iter().filter_map(|number| all.get(number)).map(|process| process.name.clone());
    (names.collect(), unknown)
}

fn groups(all: &[ProcessStatus], words: &[String]) -> (Vec<String>, Vec<Unmatched>) {
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
