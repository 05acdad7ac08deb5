//! Programs and groups of supervisord's dialect, in the order in which supervisord starts them: groups by priority and
//! name; in a `[group:NAME]` the programs in the order in which it names them. A program that two groups name is in
//! both.

use std::collections::{HashMap, HashSet};

use super::checks::Checks;
use super::dependencies::Origin;
use super::diagnostic::{Fault, Report};
use super::document::{Document, SectionView};
use super::fields::{Fields, section_diagnostic};
use super::groups::{Group, unknown_member};
use super::program::{self, Context};
use super::sections::{ProgramKind, SectionKind, section_kind};
use super::values::integer;
use crate::models::ProgramConfig;
use crate::util::quick_hash::QuickState;
use crate::util::sort;

/// The priority of an event listener that names none: it is there before the others.
const LISTENER_PRIORITY: i32 = -1;

/// The priority of a group that names none.
const DEFAULT_PRIORITY: i32 = 999;

/// A group with its processes.
struct Started<'d> {
    priority: i32,
    name: &'d str,
    view: SectionView<'d>,
    programs: Vec<ProgramConfig>,
    /// Their sections.
    origins: Vec<Origin<'d>>,
}

/// Reads all programs, and adds the section of each to `origins`.
pub(crate) fn read<'d>(
    document: &'d Document,
    groups: &[Group<'d>],
    context: &Context<'_>,
    checks: &mut Checks,
    origins: &mut Vec<Origin<'d>>,
    report: &mut Report,
) -> Vec<ProgramConfig> {
    let mut sections: HashMap<&str, (ProgramKind, SectionView<'_>), QuickState> = HashMap::default();
    for view in document.sections() {
        if let Some((kind, name)) = possible_member(view, document) {
            sections.entry(name).or_insert((kind, view));
        }
    }
    let mut grouped: HashSet<&str, QuickState> = HashSet::default();
    let mut started = Vec::new();
    for group in groups {
        let mut programs = Vec::new();
        let mut from = Vec::new();
        for member in &group.members {
            let Some((name, (kind, view))) = sections.get_key_value(member.as_str()) else {
                warn_member(document, group, member, context, report);
                continue;
            };
            // What is wrong with a program is said once, whatever the number of its groups.
            let mut again = Report::default();
            let found = if grouped.insert(name) { &mut *report } else { &mut again };
            programs.extend(by_name({
                let instance = document.instance(name);
                let whose = program::ProgramIdentity { kind: *kind, name, instance, group: Some(group.name) };
                program::read(*view, whose, context, checks, found)
            }));
            from.resize(programs.len(), Origin { name, view: *view });
        }
        let priority = priority(group, context, report);
        started.push(Started { priority, name: group.name, view: group.view, programs, origins: from });
    }
    for view in document.sections() {
        let SectionKind::Program(kind, name) = section_kind(view.name, document.dialect) else { continue };
        if !grouped.contains(name) {
            let whose = program::ProgramIdentity { kind, name, instance: document.instance(name), group: None };
            let programs = by_name(program::read(view, whose, context, checks, report));
            let names_none = Fields { view, scope: context.scope, report }.entry("priority").is_none();
            let priority = match programs.first() {
                Some(listener) if listener.is_listener() && names_none => LISTENER_PRIORITY,
                Some(program) => program.priority,
                None => DEFAULT_PRIORITY,
            };
            let origins = vec![Origin { name, view }; programs.len()];
            started.push(Started { priority, name, view, programs, origins });
        }
    }
    refuse_twins(&started, report);
    sort::sort_by(&mut started, |one, other| (one.priority, one.name).cmp(&(other.priority, other.name)));
    let mut programs = Vec::new();
    for mut group in started {
        group.programs.iter_mut().for_each(|program| program.group_priority = group.priority);
        programs.append(&mut group.programs);
        origins.append(&mut group.origins);
    }
    programs
}

/// What a group may name.
fn possible_member<'d>(view: SectionView<'d>, document: &Document) -> Option<(ProgramKind, &'d str)> {
    let SectionKind::Program(kind, name) = section_kind(view.name, document.dialect) else { return None };
    kind.may_be_in_a_group().then_some((kind, name))
}

/// The instances of one section: they have one priority, so their names decide.
fn by_name(mut programs: Vec<ProgramConfig>) -> Vec<ProgramConfig> {
    sort::sort_by(&mut programs, |one, other| one.process_name.cmp(&other.process_name));
    programs
}

fn priority(group: &Group<'_>, context: &Context<'_>, report: &mut Report) -> i32 {
    let mut fields = Fields { view: group.view, scope: context.scope, report };
    let Some(entry) = fields.entry("priority") else { return DEFAULT_PRIORITY };
    let parsed = context.scope.expand(entry.value, entry.place).and_then(|text| integer(&text));
    parsed.unwrap_or_else(|fault| {
        fields.error(&entry, fault);
        DEFAULT_PRIORITY
    })
}

/// A member that can't be started costs itself alone.
fn warn_member(document: &Document, group: &Group<'_>, member: &str, context: &Context<'_>, report: &mut Report) {
    let mut fields = Fields { view: group.view, scope: context.scope, report };
    let Some(entry) = fields.entry("programs") else { return };
    let is_a = |kind: &str| document.section(&format!("{kind}:{member}")).is_some();
    let fault = if is_a("eventlistener") {
        Fault::new(
            format!("{member} is an event listener, which is a group of its own: the group has its other members"),
            "remove it",
        )
    } else {
        let names = document
            .sections()
            .filter_map(|view| possible_member(view, document).map(|(_, name)| (name, view.header())));
        let mut fault = unknown_member(member, &names.collect());
        fault.message.push_str(": the group has its other members");
        fault
    };
    fields.warn(&entry, fault);
}

/// Of two processes of one name in a group, or two groups of one name, supervisord would lose one.
fn refuse_twins(started: &[Started<'_>], report: &mut Report) {
    let mut groups: HashMap<&str, &Started<'_>, QuickState> = HashMap::default();
    for group in started {
        if let Some(first) = groups.insert(group.name, group) {
            let place = first.view.header();
            let fault = Fault::new(
                format!(
                    "a second group called {}: the first is in {}:{}",
                    group.name,
                    place.file.display(),
                    place.line
                ),
                "a program outside of all groups is a group of its own name: give one of them another",
            );
            report.error(section_diagnostic(&group.view, fault));
        }
        let mut names: HashSet<&str, QuickState> = HashSet::default();
        for program in &group.programs {
            if !names.insert(program.name.as_str()) {
                let fault = Fault::new(
                    format!("two processes of this group are called {}", program.name),
                    "give each a process_name of its own",
                );
                report.error(section_diagnostic(&group.view, fault));
            }
        }
    }
}
