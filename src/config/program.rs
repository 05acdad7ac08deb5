//! `[program:NAME]`: one section to one [`ProgramConfig`] for each of its instances.

use std::collections::{BTreeMap, HashMap};

use super::checks::Checks;
use super::daemon::MAX_BACKUPS;
use super::diagnostic::{Diagnostic, Fault, Place, Report, is_invisible};
use super::environment::parse_environment;
use super::expand::{ProgramScope, Scope};
use super::fields::{Fields, check_keys, section_diagnostic};
use super::groups::{Groups, same_name};
use super::keys::{self, SectionKind, section_kind};
use super::reader::{Document, SectionView};
use super::values;
use super::words::split_command;
use crate::models::{HealthCheckConfig, HealthCheckType, ProgramConfig};

/// Instances that one section may ask for.
const MAX_NUMPROCS: u32 = 10_000;
/// The newest output that may be kept in memory for one stream, in bytes.
const MAX_LOG_BUFFER_BYTES: u64 = 16 * 1024 * 1024;
/// Bytes that a program's name may have.
const MAX_NAME_BYTES: usize = 128;

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

/// Why a program or group can't have this name.
pub(crate) fn name_fault(name: &str, what: &str) -> Option<Fault> {
    let message = if name.is_empty() {
        format!("the {what} has no name")
    } else if name.len() > MAX_NAME_BYTES {
        format!("a name of more than {MAX_NAME_BYTES} bytes")
    } else if name.contains(|c: char| c.is_control() || is_invisible(c)) {
        "characters in the name that can't be printed".to_owned()
    } else if let Some(c) = name.chars().find(|c| matches!(c, '/' | ':')) {
        format!("`{c}` in the name")
    } else {
        return None;
    };
    Some(Fault::new(message, format!("write [{what}:NAME] with letters, digits, - _ and .")))
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
    check_keys(&view, &[keys::PROGRAM_KEYS], keys::FOREIGN_PROGRAM, report);
    let group = context.groups.get(name).copied();
    let mut scope = context.scope;
    let program = ProgramScope { name, group: group.unwrap_or(name), numprocs: 1 };
    scope.program = Some(program);
    let mut base = ProgramConfig::new(name, "");
    base.group = group.map(str::to_owned);
    base.numprocs = Fields { view, scope, report }.parse("numprocs", 1, |text| values::number(text, 1, MAX_NUMPROCS));
    scope.program = Some(ProgramScope { numprocs: base.numprocs, ..program });
    common(&mut Fields { view, scope, report }, &mut base, checks);

    let mut instances = Vec::with_capacity(base.numprocs as usize);
    let mut found = Report::default();
    for number in 0..base.numprocs {
        let mut instance = base.clone();
        if base.numprocs > 1 {
            instance.name = format!("{name}:{number:02}");
        }
        scope.process_num = Some(number);
        let mut own = Report::default();
        own_settings(&mut Fields { view, scope, report: &mut own }, &mut instance, context, checks);
        // What is wrong with one instance is mostly wrong with all: each key is reported once.
        merge_new(&mut found.problems, own.problems);
        merge_new(&mut found.warnings, own.warnings);
        instances.push(instance);
    }
    report.problems.append(&mut found.problems);
    report.warnings.append(&mut found.warnings);
    instances
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

/// The settings that all instances share.
fn common(fields: &mut Fields<'_, '_>, program: &mut ProgramConfig, checks: &mut Checks) {
    let backups = |text: &str| values::number(text, 0, MAX_BACKUPS);
    program.autostart = fields.parse("autostart", program.autostart, values::boolean);
    program.autorestart = fields.parse("autorestart", program.autorestart, values::auto_restart);
    program.exitcodes = fields.parse("exitcodes", std::mem::take(&mut program.exitcodes), values::exit_codes);
    program.exit_on = fields.parse("exit_on", program.exit_on, values::exit_on);
    program.exit_code = fields.parse("exit_code", program.exit_code, values::exit_code);
    program.startsecs = fields.parse("startsecs", program.startsecs, |text| values::seconds(text, 0));
    program.startretries = fields.parse("startretries", program.startretries, |text| values::number(text, 0, u32::MAX));
    program.stopsignal = fields.parse("stopsignal", std::mem::take(&mut program.stopsignal), values::signal);
    program.stopwaitsecs = fields.parse("stopwaitsecs", program.stopwaitsecs, |text| values::seconds(text, 0));
    program.stdout_logfile_maxbytes =
        fields.parse("stdout_logfile_maxbytes", program.stdout_logfile_maxbytes, values::size);
    program.stdout_logfile_backups = fields.parse("stdout_logfile_backups", program.stdout_logfile_backups, backups);
    program.stderr_logfile_maxbytes =
        fields.parse("stderr_logfile_maxbytes", program.stderr_logfile_maxbytes, values::size);
    program.stderr_logfile_backups = fields.parse("stderr_logfile_backups", program.stderr_logfile_backups, backups);
    program.stdout_logfile_compress =
        fields.parse("stdout_logfile_compress", program.stdout_logfile_compress, values::boolean);
    program.stderr_logfile_compress =
        fields.parse("stderr_logfile_compress", program.stderr_logfile_compress, values::boolean);
    program.stdout_syslog = fields.parse("stdout_syslog", program.stdout_syslog, values::boolean);
    program.stderr_syslog = fields.parse("stderr_syslog", program.stderr_syslog, values::boolean);
    program.log_sync = fields.parse("log_sync", program.log_sync, values::log_sync);
    program.redirect_stderr = fields.parse("redirect_stderr", program.redirect_stderr, values::boolean);
    program.log_buffer = fields.parse("log_buffer", program.log_buffer, |text| match values::size(text)? {
        size if size <= MAX_LOG_BUFFER_BYTES => Ok(size),
        _ => Err(Fault::new("too large: it is memory of the daemon", "write at most 16MB")),
    });
    program.pdeathsig = fields.parse("pdeathsig", program.pdeathsig, values::boolean);
    program.reconcile = fields.parse("reconcile", program.reconcile, values::reconcile);
    env_files(fields, program, checks);
    user(fields, program, checks);
}

fn env_files(fields: &mut Fields<'_, '_>, program: &mut ProgramConfig, checks: &mut Checks) {
    let Some(text) = fields.filled("env_file") else { return };
    let paths = text.value.split([',', '\n']).map(str::trim).filter(|path| !path.is_empty());
    for path in paths {
        if let Err(fault) = checks.env_file(path) {
            fields.error(&text, fault);
        }
        program.env_file.push(path.to_owned());
    }
}

fn user(fields: &mut Fields<'_, '_>, program: &mut ProgramConfig, checks: &mut Checks) {
    let Some(text) = fields.filled("user") else { return };
    match checks.user(&text.value) {
        Err(fault) => fields.error(&text, fault),
        Ok(uid) => {
            let own = nix::unistd::geteuid();
            if !own.is_root() && own.as_raw() != uid {
                let fault = Fault::new(
                    "only root can start programs as another user",
                    "start supervice as root, or remove the key",
                );
                fields.warn(&text, fault);
            }
        }
    }
    program.user = Some(text.value.into_owned());
}

/// The settings that may differ from instance to instance.
fn own_settings(fields: &mut Fields<'_, '_>, program: &mut ProgramConfig, context: &Context<'_>, checks: &mut Checks) {
    command(fields, program, checks);
    environment(fields, program, context);
    if let Some(text) = fields.filled("directory") {
        if let Err(fault) = checks.directory(&text.value) {
            fields.error(&text, fault);
        }
        program.directory = Some(text.value.into_owned());
    }
    program.stdout_logfile = log_file(fields, "stdout_logfile", checks);
    program.stderr_logfile = log_file(fields, "stderr_logfile", checks);
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
    program.healthcheck = health_check(fields);
}

fn command(fields: &mut Fields<'_, '_>, program: &mut ProgramConfig, checks: &mut Checks) {
    let hint = "write command = /path/to/program arguments";
    let Some(text) = fields.text("command") else {
        fields.missing("command", Fault::new("missing", hint));
        return;
    };
    match split_command(&text.value) {
        Err(error) => fields.error(
            &text,
            Fault::new(error.to_string(), "close it (a ; after white space begins a comment, in quotes too)"),
        ),
        Ok(words) => match words.first() {
            None => fields.error(&text, Fault::new("empty", hint)),
            Some(program) if program.is_empty() => {
                fields.error(&text, Fault::new("the program's name is empty", hint));
            }
            Some(program) if program.starts_with('/') => {
                if let Err(fault) = checks.program(program) {
                    fields.warn(&text, fault);
                }
            }
            Some(_) => {}
        },
    }
    program.command = text.value.into_owned();
}

fn environment(fields: &mut Fields<'_, '_>, program: &mut ProgramConfig, context: &Context<'_>) {
    program.environment.clear();
    program.environment.extend(context.environment.iter().cloned());
    let Some(text) = fields.filled("environment") else { return };
    // Split first: a comma or quote that comes from %(ENV_X)s must not end a value.
    match parse_environment(text.entry.value) {
        Ok(pairs) => {
            let expand = |part: &str| fields.scope.expand(part, text.entry.place).into_owned();
            program.environment.extend(pairs.iter().map(|(name, value)| (expand(name), expand(value))));
        }
        Err(error) => fields.error(&text, Fault::new(error.to_string(), "write KEY=value,KEY2=\"with, comma\"")),
    }
    report_bad_names(fields, &text, &program.environment);
}

/// A name that only became impossible through what was put into it.
fn report_bad_names(fields: &mut Fields<'_, '_>, text: &super::fields::Text<'_>, all: &BTreeMap<String, String>) {
    if all.keys().any(|name| name.is_empty() || name.contains('=')) {
        fields.error(text, Fault::new("a variable's name is empty or holds a =", "write KEY=value"));
    }
}

fn log_file(fields: &mut Fields<'_, '_>, key: &str, checks: &mut Checks) -> Option<String> {
    let text = fields.text(key)?;
    let path = values::child_log(&text.value)?;
    if let Err(fault) = checks.log_file(&path) {
        fields.error(&text, fault);
    }
    Some(path)
}

fn health_check(fields: &mut Fields<'_, '_>) -> HealthCheckConfig {
    let default = HealthCheckConfig::default();
    let mut check = HealthCheckConfig {
        check_type: fields.parse("healthcheck_type", default.check_type, values::health_check_type),
        interval: fields.parse("healthcheck_interval", default.interval, |text| values::seconds(text, 1)),
        timeout: fields.parse("healthcheck_timeout", default.timeout, |text| values::seconds(text, 1)),
        retries: fields.parse("healthcheck_retries", default.retries, |text| values::number(text, 1, u32::MAX)),
        start_period: fields.parse("healthcheck_start_period", default.start_period, |text| values::seconds(text, 0)),
        port: fields.parse("healthcheck_port", None, |text| match text {
            "" => Ok(None),
            text => values::number(text, 1, u32::from(u16::MAX)).map(|port| u16::try_from(port).ok()),
        }),
        host: default.host,
        command: fields.filled("healthcheck_command").map(|text| text.value.into_owned()),
    };
    if let Some(text) = fields.filled("healthcheck_host") {
        check.host = text.value.into_owned();
    }
    let needs = |key: &str, fields: &mut Fields<'_, '_>, fault: Fault| match fields.text(key) {
        // A value that is there and wrong has been reported already.
        Some(text) if text.value.is_empty() => fields.error(&text, fault),
        Some(_) => {}
        None => fields.missing(key, fault),
    };
    match check.check_type {
        HealthCheckType::None => warn_idle_check(fields),
        HealthCheckType::Tcp => {
            let fault = Fault::new("missing: a tcp check needs a port", "write healthcheck_port = 1 to 65535");
            needs("healthcheck_port", fields, fault);
        }
        HealthCheckType::Script => {
            let fault = Fault::new("missing: a script check needs a command", "write healthcheck_command = COMMAND");
            needs("healthcheck_command", fields, fault);
        }
    }
    check
}

/// Settings of a check that no type switches on.
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
