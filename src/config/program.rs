//! `[program:NAME]`: one section to one [`ProgramConfig`] for each of its instances.

use std::collections::HashMap;

use super::checks::Checks;
use super::diagnostic::{Diagnostic, Fault, Place, Report};
use super::expand::{ProgramScope, Scope};
use super::fields::{Fields, section_diagnostic};
use super::groups::Groups;
use super::keys::{self, COMMAND_HINT, Section};
use super::names::{name_fault, same_name};
use super::reader::{Document, SectionView};
use super::sections::{SectionKind, section_kind};
use super::unknown_keys::check_keys;
use crate::models::{HealthCheckType, ProgramConfig};

/// The names of all programs with the places of their sections; a name that can't be used is reported.
pub(crate) fn names<'d>(document: &'d Document, report: &mut Report) -> HashMap<&'d str, Place> {
    let mut names: HashMap<&str, Place> = HashMap::new();
    for view in document.sections() {
        let SectionKind::Program(name) = section_kind(view.name) else { continue };
        if let Some(fault) = name_fault(name, "program") {
            report.error(section_diagnostic(&view, fault));
        } else if let Some(first) = names.get(name) {
            report.error(section_diagnostic(&view, same_name(name, "program", first)));
            continue;
        } else if name.contains(char::is_whitespace) {
            let fault = Fault::new("white space in a program's name", "scripts that read the status expect one word");
            report.warn(section_diagnostic(&view, fault));
        }
        names.insert(name, view.header().clone());
    }
    names
}

/// What the programs of one load have in common.
pub(crate) struct Context<'c> {
    pub scope: Scope<'c>,
    pub groups: &'c Groups<'c>,
    /// Variables that every program gets.
    pub environment: &'c [(String, String)],
}

/// Reads the section of the program `name`: its instances, in order.
pub(crate) fn read(
    view: SectionView<'_>,
    name: &str,
    context: &Context<'_>,
    checks: &mut Checks,
    report: &mut Report,
) -> Vec<ProgramConfig> {
    check_keys(&view, Section::Program, report);
    let group = context.groups.get(name).copied();
    let mut scope = context.scope;
    let program = ProgramScope { name, group: group.unwrap_or(name), numprocs: 1 };
    scope.program = Some(program);
    let mut base = ProgramConfig::new(name, "");
    base.group = group.map(str::to_owned);
    base.environment.extend(context.environment.iter().cloned());
    read_keys(&mut Fields { view, scope, report }, keys::Scope::First, &mut base, checks);
    scope.program = Some(ProgramScope { numprocs: base.numprocs, ..program });
    read_keys(&mut Fields { view, scope, report }, keys::Scope::Section, &mut base, checks);

    let mut instances = Vec::with_capacity(base.numprocs as usize);
    let mut found = Report::default();
    for number in 0..base.numprocs {
        let mut instance = base.clone();
        if base.numprocs > 1 {
            instance.name = format!("{name}:{number:02}");
        }
        scope.process_num = Some(number);
        let mut own = Report::default();
        let mut fields = Fields { view, scope, report: &mut own };
        read_keys(&mut fields, keys::Scope::Instance, &mut instance, checks);
        check_together(&mut fields, &instance);
        // What is wrong with one instance is mostly wrong with all: each key is reported once.
        merge_new(&mut found.problems, own.problems);
        merge_new(&mut found.warnings, own.warnings);
        instances.push(instance);
    }
    report.problems.append(&mut found.problems);
    report.warnings.append(&mut found.warnings);
    instances
}

/// Reads the keys of one scope.
fn read_keys(fields: &mut Fields<'_, '_>, scope: keys::Scope, program: &mut ProgramConfig, checks: &mut Checks) {
    for row in keys::PROGRAM.iter().filter(|row| row.scope == scope) {
        if let Some(read) = row.read {
            fields.parse(row.name, checks, &mut |given| read(program, given));
        }
    }
}

/// Adds the diagnostics about keys that have none from an earlier instance.
fn merge_new(found: &mut Vec<Diagnostic>, own: Vec<Diagnostic>) {
    let before = found.len();
    for diagnostic in own {
        let known = found.iter().take(before).any(|d| d.key == diagnostic.key);
        if !known {
            found.push(diagnostic);
        }
    }
}

/// What only several keys together can have wrong.
fn check_together(fields: &mut Fields<'_, '_>, program: &ProgramConfig) {
    if fields.view.get("command").is_none() {
        fields.missing("command", Fault::new("missing", COMMAND_HINT));
    }
    if program.redirect_stderr
        && program.stderr_logfile.is_some()
        && let Some(text) = fields.text("stderr_logfile")
    {
        let fault = Fault::new(
            "it stays empty: redirect_stderr sends standard error where standard output goes",
            "remove one of the two",
        );
        fields.warn(&text, fault);
    }
    match program.healthcheck.check_type {
        HealthCheckType::None => warn_idle_check(fields),
        HealthCheckType::Tcp => {
            let fault = Fault::new("missing: a tcp check needs a port", "write healthcheck_port = 1 to 65535");
            need(fields, "healthcheck_port", fault);
        }
        HealthCheckType::Script => {
            let fault = Fault::new("missing: a script check needs a command", "write healthcheck_command = COMMAND");
            need(fields, "healthcheck_command", fault);
        }
    }
}

/// Reports a key that another one needs, where it is absent or empty. A value that is wrong has been reported already.
fn need(fields: &mut Fields<'_, '_>, key: &str, fault: Fault) {
    match fields.text(key) {
        Some(text) if text.value.is_empty() => fields.error(&text, fault),
        Some(_) => {}
        None => fields.missing(key, fault),
    }
}

/// Warns of settings of a health check where no type switches it on.
fn warn_idle_check(fields: &mut Fields<'_, '_>) {
    if fields.view.get("healthcheck_type").is_some() {
        return;
    }
    for (key, kind) in [("healthcheck_port", "tcp"), ("healthcheck_command", "script")] {
        if let Some(text) = fields.filled(key) {
            let fault = Fault::new("no health is checked", format!("write healthcheck_type = {kind} as well"));
            fields.warn(&text, fault);
        }
    }
}
