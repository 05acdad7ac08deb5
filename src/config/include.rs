//! `[include] files`: patterns for further files, relative to the file that names them.

use crate::util::sort;
use std::fs;
use std::path::{Path, PathBuf};

/// Files that all patterns of one configuration may name together.
const MAX_FILES: usize = 4096;

/// The files that a pattern names, sorted; `*`, `?` and `[…]` match within one part of a path, as in a shell. A
/// pattern without any of these names its file whether it is there or not.
pub(crate) fn expand(directory: &Path, pattern: &str) -> Vec<PathBuf> {
    let start = if pattern.starts_with('/') { PathBuf::from("/") } else { directory.to_owned() };
    let mut found = vec![start];
    for part in pattern.split('/').filter(|part| !part.is_empty() && *part != ".") {
        found = if part.contains(['*', '?', '[']) {
            found.iter().flat_map(|directory| matching(directory, part)).take(MAX_FILES).collect()
        } else {
            found.into_iter().map(|directory| directory.join(part)).collect()
        };
    }
    if has_wildcard(pattern) {
        found.retain(|path| path.exists());
    }
    sort::sort(&mut found);
    found
}

pub(crate) fn has_wildcard(pattern: &str) -> bool {
    pattern.contains(['*', '?', '['])
}

/// The entries of a directory whose names match; hidden ones only where the pattern begins with a dot.
fn matching(directory: &Path, pattern: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let pattern: Vec<char> = pattern.chars().collect();
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let visible = names.filter(|name| !name.starts_with('.') || pattern.first() == Some(&'.'));
    let mut matches: Vec<_> = visible.filter(|name| glob(&pattern, name)).map(|name| directory.join(name)).collect();
    sort::sort(&mut matches);
    matches
}

/// Does the whole of `name` match? One retreat to the last `*` is enough, so the time is bounded by
/// the product of the lengths.
fn glob(pattern: &[char], name: &str) -> bool {
    let name: Vec<char> = name.chars().collect();
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(&c) = name.get(n) {
        if pattern.get(p) == Some(&'*') {
            star = Some((p, n));
            p += 1;
        } else if let Some(length) = pattern.get(p..).and_then(|rest| match_one(rest, c)) {
            p += length;
            n += 1;
        } else if let Some((at, from)) = star {
            star = Some((at, from + 1));
            p = at + 1;
            n = from + 1;
        } else {
            return false;
        }
    }
    pattern.iter().skip(p).all(|c| *c == '*')
}

/// Matches one character; the length of the part of the pattern that did it.
fn match_one(pattern: &[char], c: char) -> Option<usize> {
    match pattern.first()? {
        '?' => Some(1),
        '[' => match bracket(pattern) {
            Some((set, length)) => in_set(set, c).then_some(length),
            None => (c == '[').then_some(1),
        },
        literal => (*literal == c).then_some(1),
    }
}

/// The inside of a leading `[…]` and the length of the whole; `]` is literal when it comes first.
fn bracket(pattern: &[char]) -> Option<(&[char], usize)> {
    let negated = usize::from(matches!(pattern.get(1), Some('!' | '^')));
    let from = 2 + negated;
    let end = from + pattern.get(from..)?.iter().position(|c| *c == ']')?;
    Some((pattern.get(1..end)?, end + 1))
}

fn in_set(set: &[char], c: char) -> bool {
    let (negated, mut set) = match set {
        ['!' | '^', rest @ ..] => (true, rest),
        all => (false, all),
    };
    let mut found = false;
    loop {
        set = match set {
            [low, '-', high, rest @ ..] => {
                found |= (*low..=*high).contains(&c);
                rest
            }
            [one, rest @ ..] => {
                found |= *one == c;
                rest
            }
            [] => return found != negated,
        };
    }
}

#[cfg(test)]
mod tests;
