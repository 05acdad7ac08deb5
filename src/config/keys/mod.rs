//! The table of all keys. The reader, the plan of a reload and the checks for unknown keys go through it; tests hold the
//! README, the man page and the defaults of the models against it.
//!
//! A new key is one field with its default in [`crate::models`], one row here, and the code that uses the field.

mod daemon;
mod program;
mod readers;
mod row;

pub(crate) use daemon::DAEMON;
pub(crate) use program::PROGRAM;
pub(crate) use readers::COMMAND_HINT;
pub(crate) use row::{KeyRow, Reload, Scope, Section};

use crate::models::Dialect;

/// The key of `[include]`, which sets nothing: it names further files.
pub(crate) const INCLUDE_FILES: &str = "files";

/// The keys that a dialect understands in a section.
pub(crate) fn known_in(section: Section, dialect: Dialect) -> Vec<&'static str> {
    if section == Section::Include {
        return vec![INCLUDE_FILES];
    }
    let daemon = DAEMON.iter().flat_map(|row| row.sources(dialect));
    let sources = daemon.chain(PROGRAM.iter().flat_map(|row| row.sources(dialect)));
    sources.filter(|(other, _)| *other == section).map(|(_, key)| key).collect()
}

#[cfg(test)]
mod tests;
