//! `[group:NAME]`: which programs are started and stopped together.

use std::collections::HashMap;

use super::diagnostic::{Fault, Place, Report};
use super::expand::Scope;
use super::fields::{Fields, Text, section_diagnostic};
use super::keys::Section;
use super::names::{name_fault, same_name};
use super::reader::{Document, SectionView};
use super::sections::{SectionKind, section_kind};
use super::unknown_keys::check_keys;
use crate::util::did_you_mean::closest;

/// The group of each program that is in one, by the name of its section.
pub(crate) type Groups<'d> = HashMap<&'d str, &'d str>;

/// Reads the groups of the programs that are named in `programs`.
pub(crate) fn read<'d>(
    document: &'d Document,
    programs: &HashMap<&'d str, Place>,
    scope: Scope<'_>,
    report: &mut Report,
) -> Groups<'d> {
    let mut groups = Groups::new();
    let mut seen = HashMap::new();
    for view in document.sections() {
        let SectionKind::Group(name) = section_kind(view.name) else { continue };
        check_keys(&view, Section::Group, report);
        if let Some(fault) = name_fault(name, "group") {
            report.error(section_diagnostic(&view, fault));
        } else if let Some(first) = seen.insert(name, view.header()) {
            report.error(section_diagnostic(&view, same_name(name, "group", first)));
        }
        read_group(view, name, programs, scope, &mut groups, report);
    }
    groups
}

fn read_group<'d>(
    view: SectionView<'d>,
    name: &'d str,
    programs: &HashMap<&'d str, Place>,
    scope: Scope<'_>,
    groups: &mut Groups<'d>,
    report: &mut Report,
) {
    let mut fields = Fields { view, scope, report };
    let Some(text) = fields.text("programs") else {
        fields.missing("programs", Fault::new("missing", "write programs = a,b"));
        return;
    };
    let value = text.value.clone();
    let members: Vec<&str> = value.split([',', '\n']).map(str::trim).filter(|member| !member.is_empty()).collect();
    if members.is_empty() {
        fields.warn(&text, Fault::new("a group without members", "write programs = a,b"));
    }
    for member in &members {
        let Some((program, _)) = programs.get_key_value::<str>(member) else {
            fields.error(&text, unknown_member(member, programs));
            continue;
        };
        match groups.insert(program, name) {
            Some(other) if other != name => fields.error(
                &text,
                Fault::new(
                    format!("{member} is in the group {other} already"),
                    "a program is in one group: remove it from the others",
                ),
            ),
            Some(_) | None => {}
        }
    }
    check_clash(&mut fields, &text, name, &members, programs);
}

fn unknown_member(member: &str, programs: &HashMap<&str, Place>) -> Fault {
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
fn check_clash(
    fields: &mut Fields<'_, '_>,
    text: &Text<'_>,
    name: &str,
    members: &[&str],
    programs: &HashMap<&str, Place>,
) {
    let Some(place) = programs.get(name) else { return };
    if !members.contains(&name) {
        let fault = Fault::new(
            format!("the program {name} ({}:{}) is not in this group of its name", place.file.display(), place.line),
            format!("rename the group, or write {name} among its programs"),
        );
        fields.error(text, fault);
    }
}
