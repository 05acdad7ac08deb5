//! `[include] files`: patterns for further files, relative to the file that names them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::util::glob::{has_wildcard, matches};
use crate::util::sort::sort;

/// Files that all patterns of one configuration may name together.
const MAX_FILES: usize = 4096;

/// The files that a pattern names, sorted; `*`, `?` and `[…]` match within one part of a path, as in a shell. A
/// pattern without any of these names its file whether it is there or not.
pub(crate) fn expand(directory: &Path, pattern: &str) -> Vec<PathBuf> {
    let start = if pattern.starts_with('/') { PathBuf::from("/") } else { directory.to_owned() };
    let mut found = vec![start];
    for part in pattern.split('/').filter(|part| !part.is_empty() && *part != ".") {
        found = if has_wildcard(part) {
            found.iter().flat_map(|directory| entries(directory, part)).take(MAX_FILES).collect()
        } else {
            found.into_iter().map(|directory| directory.join(part)).collect()
        };
    }
    if has_wildcard(pattern) {
        found.retain(|path| path.exists());
    }
    sort(&mut found);
    found
}

/// The entries of a directory whose names match; hidden ones only where the pattern begins with a dot.
fn entries(directory: &Path, pattern: &str) -> Vec<PathBuf> {
    let Ok(listing) = fs::read_dir(directory) else { return Vec::new() };
    let names = listing.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let visible = names.filter(|name| !name.starts_with('.') || pattern.starts_with('.'));
    let mut found: Vec<_> = visible.filter(|name| matches(pattern, name)).map(|name| directory.join(name)).collect();
    sort(&mut found);
    found
}

#[cfg(test)]
mod tests;
