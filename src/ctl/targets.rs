//! What the names on a command line stand for.

use super::call::Call;
use super::names::{Known, choose, is_pattern};
use crate::client::{ClientError, ProcessStatus};

/// What is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Processes,
    Groups,
}

/// The names that the words select, and an error for each word that selects none. Without a pattern among them the words
/// are names: the daemon knows best which exist.
pub(super) fn targets(
    call: &Call<'_>,
    kind: Kind,
    words: &[String],
) -> Result<(Vec<String>, Vec<String>), ClientError> {
    if !words.iter().any(|word| is_pattern(word)) {
        return Ok((words.to_vec(), Vec::new()));
    }
    let all = call.controller.status()?;
    Ok(match kind {
        Kind::Groups => groups(&all, words),
        Kind::Processes => processes(&all, words),
    })
}

fn processes(all: &[ProcessStatus], words: &[String]) -> (Vec<String>, Vec<String>) {
    let known: Vec<Known<'_>> = all.iter().map(Known::from).collect();
    let (chosen, unknown) = choose(&known, words);
    let names = chosen.into_iter().filter_map(|number| all.get(number)).map(|process| process.name.clone());
    (names.collect(), unknown)
}

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
