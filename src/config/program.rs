//! `[program:NAME]`: one section to one [`ProgramConfig`] for each of its instances.

use std::collections::HashMap;

use super::checks::Checks;
use super::diagnostic::{Diagnostic, Fault, Place, Report};
use super::expand::{ProcessScope, ProgramScope, Scope};
use super::fields::{Fields, Given, section_diagnostic};
use super::keys::{self, COMMAND_HINT, Section};
use super::names::{name_fault, process_name_fault, same_name};
use super::reader::{Document, SectionView};
use super::sections::{SectionKind, section_kind};
use super::unknown_keys::check_keys;
use crate::models::{Dialect, HealthCheckType, ProgramConfig, ProgramType, Readiness};

/// The names of all programs with the places of their sections; a name that can't be used is reported.
pub(crate) fn names<'d>(document: &'d Document, report: &mut Report) -> HashMap<&'d str, Place> {
    let mut names: HashMap<&str, Place> = HashMap::new();
    for view in document.sections() {
        let SectionKind::Program(name) = section_kind(view.name, document.dialect) else { continue };
        if let Some(fault) = name_fault(name, "program", document.dialect) {
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
    /// Variables that every program gets.
    pub environment: &'c [(String, String)],
    /// The address of the daemon's server, for programs.
    pub serverurl: Option<&'c str>,
}

/// Reads the section of the program `name`: its instances, in order. `group`: the one that names it.
pub(crate) fn read(
    view: SectionView<'_>,
    name: &str,
    group: Option<&str>,
    context: &Context<'_>,
    checks: &mut Checks,
    report: &mut Report,
) -> Vec<ProgramConfig> {
    let mut scope = context.scope;
    check_keys(&view, Section::Program, scope.dialect, report);
    scope.program = Some(ProgramScope { name, group: group.unwrap_or(name) });
    let mut base = ProgramConfig::new(name, "");
    base.group = group.map(str::to_owned);
    base.serverurl = context.serverurl.map(str::to_owned);
    for when in [keys::Scope::First, keys::Scope::Section] {
        read_keys(&mut Fields { view, scope, report }, when, &mut base, checks);
    }
    set_defaults_of_type(&Fields { view, scope, report }, &mut base);
    if scope.dialect == Dialect::Supervisord {
        check_stop(&mut Fields { view, scope, report }, &mut base);
    }
    let mut instances = Vec::with_capacity(base.numprocs as usize);
    let mut found = Report::default();
    for number in 0..base.numprocs {
        let mut instance = base.clone();
        if base.numprocs > 1 {
            instance.name = format!("{name}:{number:02}");
        }
        scope.process =
            Some(ProcessScope { number: i64::from(number) + i64::from(base.numprocs_start), count: base.numprocs });
        let mut own = Report::default();
        read_keys(&mut Fields { view, scope, report: &mut own }, keys::Scope::Variables, &mut instance, checks);
        let variables = std::mem::take(&mut instance.environment);
        let mut fields = Fields { view, scope: Scope { own: Some(&variables), ..scope }, report: &mut own };
        read_keys(&mut fields, keys::Scope::Instance, &mut instance, checks);
        check_together(&mut fields, &mut instance);
        instance.environment.extend(context.environment.iter().cloned());
        instance.environment.extend(variables);
        // What is wrong with one instance is mostly wrong with all: each key is reported once.
        merge_new(&mut found.problems, own.problems);
        merge_new(&mut found.warnings, own.warnings);
        instances.push(instance);
    }
    report.problems.append(&mut found.problems);
    report.warnings.append(&mut found.warnings);
    instances
}

/// Unless it is said otherwise, a oneshot may take as long as it takes and is not tried again, and what tells by itself
/// that it is ready does not have to live for a while as well.
fn set_defaults_of_type(fields: &Fields<'_, '_>, program: &mut ProgramConfig) {
    let default_to_0 = |key, field: &mut u32| {
        if fields.entry(key).is_none() {
            *field = 0;
        }
    };
    if program.program_type == ProgramType::Oneshot {
        default_to_0("start_timeout", &mut program.start_timeout);
        default_to_0("startretries", &mut program.startretries);
    }
    if program.ready != Readiness::Startsecs {
        default_to_0("startsecs", &mut program.startsecs);
    }
}

/// A name is wrong whether an instance has it or not; `killasgroup` is what `stopasgroup` is where it is not set; the one without the other is refused, as supervisord does it.
fn check_stop(fields: &mut Fields<'_, '_>, program: &mut ProgramConfig) {
    if program.numprocs == 0
        && let Some(entry) = fields.entry("process_name")
        && let Some(fault) = process_name_fault(entry.value)
    {
        fields.error(&entry, fault);
    }
    match fields.entry("killasgroup") {
        None => program.killasgroup = program.stopasgroup,
        Some(entry) if program.stopasgroup && !program.killasgroup => {
            let fault = Fault::new(
                "with stopasgroup = true the workers would be told to stop and not be killed",
                "write true, or remove the key",
            );
            fields.error(&entry, fault);
        }
        Some(_) => {}
    }
}

/// Reads the keys of one scope.
fn read_keys(fields: &mut Fields<'_, '_>, scope: keys::Scope, program: &mut ProgramConfig, checks: &mut Checks) {
    let dialect = fields.scope.dialect;
    for row in keys::PROGRAM.iter().filter(|row| row.scope == scope) {
        let Some(read) = row.read.filter(|_| row.only.is_none_or(|only| only == dialect)) else { continue };
        let mut read = |given: &mut Given<'_>| read(program, given);
        match (fields.entry(row.name), row.default_in(dialect)) {
            (Some(_), _) => fields.parse(row.name, checks, &mut read),
            (None, Some(default)) => fields.parse_default(row.name, default, checks, &mut read),
            (None, None) => {}
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
fn check_together(fields: &mut Fields<'_, '_>, program: &mut ProgramConfig) {
    if fields.view.get("command").is_none() {
        fields.missing("command", Fault::new("missing", COMMAND_HINT));
    }
    if program.redirect_stderr
        && program.stderr_logfile.is_some()
        && let Some(entry) = fields.entry("stderr_logfile")
    {
        let fault = Fault::new(
            "it stays empty: redirect_stderr sends standard error where standard output goes",
            "remove one of the two",
        );
        fields.warn(&entry, fault);
        if fields.scope.dialect == Dialect::Supervisord {
            program.stderr_syslog |= program.stderr_logfile.as_deref() == Some("syslog");
            program.stderr_logfile = None;
        }
    }
    if program.program_type == ProgramType::Oneshot {
        warn_oneshot(fields);
    }
    if program.ready == Readiness::Health
        && program.healthcheck.check_type == HealthCheckType::None
        && let Some(entry) = fields.entry("ready")
    {
        fields.error(&entry, Fault::new("no health is checked", "write healthcheck_type = tcp or script as well"));
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
    match fields.entry(key) {
        Some(entry) if entry.value.is_empty() => fields.error(&entry, fault),
        Some(_) => {}
        None => fields.missing(key, fault),
    }
}

/// Warns of settings that mean nothing to a oneshot.
fn warn_oneshot(fields: &mut Fields<'_, '_>) {
    let idle = [
        ("autorestart", "a oneshot is started again only after a failure (startretries)"),
        ("ready", "a oneshot is ready when it has completed"),
        ("healthcheck_type", "no health is checked: a oneshot is never RUNNING"),
    ];
    for (key, why) in idle {
        if let Some(entry) = fields.entry(key) {
            fields.warn(&entry, Fault::new(why, "remove the key, or write type = simple"));
        }
    }
}

/// Warns of settings of a health check where no type switches it on.
fn warn_idle_check(fields: &mut Fields<'_, '_>) {
    if fields.view.get("healthcheck_type").is_some() {
        return;
    }
    for (key, kind) in [("healthcheck_port", "tcp"), ("healthcheck_command", "script")] {
        if let Some(entry) = fields.entry(key).filter(|entry| !entry.value.is_empty()) {
            let fault = Fault::new("no health is checked", format!("write healthcheck_type = {kind} as well"));
            fields.warn(&entry, fault);
        }
    }
}
