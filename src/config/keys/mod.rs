//! The table of all keys. The reader, the plan of a reload and the checks for unknown keys go through it; tests hold
//! the README, the man page and the defaults of the models against it.
//!
//! A new key is one field with its default in [`crate::models`], one row here, and the code that uses the field.

mod access;
mod daemon;
mod fcgi;
mod hooks;
mod http;
mod program;
mod readers;
mod row;
mod schedule;
mod terminal;

pub(crate) use access::ACCESS;
pub(crate) use daemon::DAEMON;
pub(crate) use http::HTTP;
pub(crate) use program::PROGRAM;
pub(crate) use readers::COMMAND_HINT;
pub(crate) use row::{KeyRow, Reload, Scope, Section, Setting};

use super::document::INCLUDE_FILES;
use super::marks::mark_of;
use crate::models::Dialect;

/// The keys that a dialect understands in a section.
pub(crate) fn known_in(section: Section, dialect: Dialect) -> Vec<&'static str> {
    if section == Section::Include {
        return vec![INCLUDE_FILES];
    }
    let daemon = DAEMON.iter().flat_map(|row| row.sources(dialect));
    let http = HTTP.iter().flat_map(|row| row.sources(dialect));
    let access = ACCESS.iter().flat_map(|row| row.sources(dialect));
    let sources = daemon.chain(http).chain(access).chain(PROGRAM.iter().flat_map(|row| row.sources(dialect)));
    let is_program = matches!(section, Section::EventListener | Section::FcgiProgram);
    let has = |other| other == section || is_program && other == Section::Program;
    sources.filter(|(other, _)| has(*other)).map(|(_, key)| key).collect()
}

/// Whether a dialect understands a key in a section: as [`known_in`], without a list.
pub(crate) fn is_known_in(section: Section, dialect: Dialect, key: &str) -> bool {
    match section {
        Section::Include => key == INCLUDE_FILES,
        Section::EventListener | Section::FcgiProgram => {
            has_key(PROGRAM, section, dialect, key) || has_key(PROGRAM, Section::Program, dialect, key)
        }
        Section::Program
        | Section::Supervice
        | Section::Supervisord
        | Section::Group
        | Section::Access
        | Section::Http
        | Section::UnixServer
        | Section::InetServer => {
            has_key(PROGRAM, section, dialect, key)
                || has_key(DAEMON, section, dialect, key)
                || has_key(HTTP, section, dialect, key)
                || has_key(ACCESS, section, dialect, key)
        }
    }
}

fn has_key<C>(rows: &[KeyRow<C>], section: Section, dialect: Dialect, key: &str) -> bool {
    // The name tells first, without a look at sections, and its mark before that.
    let mark = mark_of(key);
    let is_called =
        |row: &&KeyRow<C>| row.mark == mark && row.name == key || row.also().iter().any(|(_, name)| *name == key);
    rows.iter().filter(is_called).any(|row| row.sources(dialect).any(|source| source == (section, key)))
}

#[cfg(test)]
mod tests;
