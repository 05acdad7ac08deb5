//! Where the settings of a program come from.

use std::path::Path;
use std::sync::Arc;

use super::document::{Document, Entry, SectionView};
use super::keys::{self, Section};
use super::sections::{SectionKind, section_kind};
use crate::models::ProgramConfig;

/// The field of the variables; the daemon's section sets some of them for all programs.
const VARIABLES: &str = "environment";

/// A key of a program, and the place that sets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyOrigin {
    /// Its field in the output of `--check --json`: a name may be that of two keys.
    pub field: &'static str,
    /// The section that it stands in.
    pub section: String,
    pub file: Arc<Path>,
    pub line: u32,
}

/// The keys of a program that the files set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProgramOrigins {
    /// The program.
    pub name: String,
    pub keys: Vec<KeyOrigin>,
}

impl ProgramOrigins {
    /// Of a program that comes from the section of this view.
    pub(super) fn of(document: &Document, view: SectionView<'_>, program: &ProgramConfig) -> ProgramOrigins {
        let keys = keys::PROGRAM.iter().filter_map(|row| {
            let mut sources = row.sources(document.dialect);
            let own = sources.find_map(|(section, spelling)| match section {
                Section::Program | Section::EventListener | Section::FcgiProgram => view.get(spelling),
                Section::Supervice | Section::Supervisord | Section::Http | Section::UnixServer => None,
                Section::InetServer | Section::Include | Section::Group | Section::Access => None,
            });
            match (own, row.section, &program.group) {
                (Some(entry), ..) => Some(origin(row.field(), &entry)),
                (None, Section::Group, Some(group)) => group_header(document, group),
                (None, ..) if row.field() == VARIABLES && !program.environment.is_empty() => {
                    daemon_environment(document).map(|entry| origin(VARIABLES, &entry))
                }
                (None, ..) => None,
            }
        });
        ProgramOrigins { name: program.name.clone(), keys: keys.collect() }
    }
}

fn origin(field: &'static str, entry: &Entry<'_>) -> KeyOrigin {
    let (section, file) = (entry.section.to_owned(), Arc::clone(&entry.place.file));
    KeyOrigin { field, section, file, line: entry.place.line }
}

/// The variables that all programs have.
fn daemon_environment(document: &Document) -> Option<Entry<'_>> {
    let sections = [Section::Supervice, Section::Supervisord];
    sections.iter().find_map(|section| document.section(section.name())?.get("environment"))
}

/// The section of a group tells its members.
fn group_header(document: &Document, group: &str) -> Option<KeyOrigin> {
    let is_it = |view: &SectionView<'_>| section_kind(view.name, document.dialect) == SectionKind::Group(group);
    let view = document.sections().find(is_it)?;
    let place = view.header();
    Some(KeyOrigin { field: "group", section: view.name.to_owned(), file: Arc::clone(&place.file), line: place.line })
}
