//! `[group:NAME]`: which programs are started and stopped together.

use std::collections::HashMap;

use super::diagnostic::{Fault, Report};
use super::document::{Document, Entry, SectionView};
use super::expand::Scope;
use super::fields::{Fields, section_diagnostic};
use super::keys::Section;
use super::names::{name_fault, same_name};
use super::program::Names;
use super::sections::{SectionKind, section_kind};
use super::unknown_keys::check_keys;
use crate::util::did_you_mean::closest;
use crate::util::quick_hash::QuickState;

/// The key that names the members.
const PROGRAMS: &str = "programs";

/// The group of each program that is in one, by the name of its section.
pub(crate) type Groups<'d> = HashMap<&'d str, &'d str, QuickState>;

/// One `[group:NAME]`, with the text of its members.
pub(crate) struct Group<'d> {
    pub name: &'d str,
    pub view: SectionView<'d>,
    /// The names of its members, in their order.
    pub members: Vec<String>,
}

/// Reads the group sections; what is wrong with them by themselves is reported.
pub(crate) fn sections<'d>(document: &'d Document, scope: Scope<'_>, report: &mut Report) -> Vec<Group<'d>> {
    let mut groups = Vec::new();
    let mut seen = HashMap::new();
    for view in document.other_sections() {
        let SectionKind::Group(name) = section_kind(view.name, document.dialect) else { continue };
        check_keys(&view, Section::Group, document.dialect, report);
        if let Some(fault) = name_fault(name, "group", document.dialect) {
            report.error(section_diagnostic(&view, fault));
        } else if let Some(first) = seen.insert(name, view.header()) {
            report.error(section_diagnostic(&view, same_name(name, "group", first)));
        }
        let mut members = Vec::new();
        let mut fields = Fields { view, scope, report };
        match fields.entry(PROGRAMS) {
            // Both originals ignore a group without members.
            None => {
                fields.warn_missing(PROGRAMS, Fault::new("missing: a group without members", "write programs = a,b"))
            }
            Some(entry) => match scope.expand(entry.value, entry.place) {
                Err(fault) => fields.error(&entry, fault),
                Ok(text) => {
                    let names = text.split([',', '\n']).map(str::trim).filter(|member| !member.is_empty());
                    members.extend(names.map(str::to_owned));
                    if members.is_empty() {
                        fields.warn(&entry, Fault::new("a group without members", "write programs = a,b"));
                    }
                }
            },
        }
        groups.push(Group { name, view, members });
    }
    groups
}

/// Which program is in which group, in supervice's dialect: of two groups the last counts.
pub(crate) fn assign<'d>(
    sections: &[Group<'d>],
    programs: &Names<'d>,
    scope: Scope<'_>,
    report: &mut Report,
) -> Groups<'d> {
    let mut groups = Groups::default();
    for group in sections {
        let mut fields = Fields { view: group.view, scope, report };
        let Some(entry) = fields.entry(PROGRAMS) else { continue };
        for member in &group.members {
            let Some((program, _)) = programs.get_key_value(member.as_str()) else {
                fields.error(&entry, unknown_member(member, programs));
                continue;
            };
            if let Some(other) = groups.insert(program, group.name).filter(|other| *other != group.name) {
                fields.warn(
                    &entry,
                    Fault::new(
                        format!("{member} is in the group {other} already: this group, the last, counts"),
                        "a program is in one group: remove it from the others",
                    ),
                );
            }
        }
        if !group.members.is_empty() {
            check_clash(&mut fields, &entry, group, programs);
        }
    }
    groups
}

pub(crate) fn unknown_member(member: &str, programs: &Names<'_>) -> Fault {
    let section = member.split(':').next().unwrap_or(member);
    let hint = if section != member && programs.contains_key(section) {
        format!("all instances of {section} are in its group: write {section}")
    } else {
        match closest(member, programs.keys().copied()) {
            Some(name) => format!("did you mean {name}?"),
            None => format!("name programs that are configured, or add [program:{section}]"),
        }
    };
    Fault::new(format!("no such program: {member}"), hint)
}

/// A program outside every group is a group of its own name: another group of that name could not be told from it.
fn check_clash(fields: &mut Fields<'_, '_>, entry: &Entry<'_>, group: &Group<'_>, programs: &Names<'_>) {
    let name = group.name;
    let Some(place) = programs.get(name) else { return };
    if !group.members.iter().any(|member| member == name) {
        let fault = Fault::new(
            format!("the program {name} ({}:{}) is not in this group of its name", place.file.display(), place.line),
            format!("rename the group, or write {name} among its programs"),
        );
        fields.error(entry, fault);
    }
}
