//! `[program:NAME]`: one section to one [`ProgramConfig`] for each of its instances.

use std::cell::RefCell;
use std::collections::HashMap;

use super::additions::{Additions, Scaled};
use super::checks::Checks;
use super::diagnostic::{Diagnostic, Fault, Place, Report};
use super::document::{Document, SectionView};
use super::expand::{ProcessScope, ProgramScope, Scope};
use super::fields::{Fields, Given, section_diagnostic};
use super::keys::{self, COMMAND_HINT};
use super::names::{name_fault, process_name_fault, same_name};
use super::program_keys::{GivenKey, ProgramKeys, section_of};
use super::sections::{ProgramKind, SectionKind, section_kind};
use super::terminal;
use super::unknown_keys::check_keys;
use crate::models::{
    AutoRestart, ChangeAction, Dialect, HealthCheckType, ProgramConfig, ProgramType, Readiness, RestartLimit, Stdin,
};
use crate::util::quick_hash::QuickState;

/// The names of programs, with the places of their sections.
pub(crate) type Names<'d> = HashMap<&'d str, &'d Place, QuickState>;

/// The names of all programs; a name that can't be used is reported.
pub(crate) fn names<'d>(document: &'d Document, report: &mut Report) -> Names<'d> {
    let mut names = Names::default();
    for view in document.sections() {
        let SectionKind::Program(_, name) = section_kind(view.name, document.dialect) else { continue };
        if let Some(fault) = name_fault(name, "program", document.dialect) {
            report.error(section_diagnostic(&view, fault));
        } else if let Some(first) = names.get(name) {
            report.error(section_diagnostic(&view, same_name(name, "program", first)));
            continue;
        } else if name.contains(char::is_whitespace) && name.trim().contains(char::is_whitespace) {
            let fault = Fault::new("white space in a program's name", "scripts that read the status expect one word");
            report.warn(section_diagnostic(&view, fault));
        }
        if document.instance(name) == Some("") {
            let fault = Fault::new("the instance of the template has no name", format!("write [program:{name}NAME]"));
            report.error(section_diagnostic(&view, fault));
        }
        names.insert(name, view.header());
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
    /// What the keys of the files are to programs.
    pub keys: ProgramKeys,
    /// What was added at run time.
    pub additions: &'c Additions,
    /// What the file says of programs that are scaled.
    pub scaled: RefCell<Vec<Scaled>>,
}

/// Which program it is.
#[derive(Clone, Copy)]
pub(crate) struct ProgramIdentity<'w> {
    /// What kind of a section it has.
    pub kind: ProgramKind,
    pub name: &'w str,
    /// Which one it is of its template.
    pub instance: Option<&'w str>,
    /// The group that names it.
    pub group: Option<&'w str>,
}

/// Reads the section of a program: its instances, in order.
pub(crate) fn read(
    view: SectionView<'_>,
    ProgramIdentity { kind, name, instance, group }: ProgramIdentity<'_>,
    context: &Context<'_>,
    checks: &mut Checks,
    report: &mut Report,
) -> Vec<ProgramConfig> {
    let mut scope = context.scope;
    if !context.keys.knows_all(&view, kind) {
        check_keys(&view, section_of(kind), scope.dialect, report);
    }
    scope.program = Some(ProgramScope { name, group: group.unwrap_or(name), instance });
    let mut base = ProgramConfig::new(name, "");
    base.group = group.map(str::to_owned);
    base.serverurl = context.serverurl.map(str::to_owned);
    let given = context.keys.given(view, kind);
    for when in [keys::Scope::First, keys::Scope::Section] {
        read_keys(&mut Fields { view, scope, report }, &given, when, &mut base, checks);
    }
    match kind {
        ProgramKind::Plain => {}
        ProgramKind::EventListener => check_listener(&mut Fields { view, scope, report }, group, &mut base),
        ProgramKind::Fcgi => check_fcgi(&mut Fields { view, scope, report }),
    }
    set_defaults_of_type(&Fields { view, scope, report }, &mut base);
    if scope.dialect == Dialect::Supervisord {
        base.ignores_early_exits = true;
        check_stop(&mut Fields { view, scope, report }, &mut base);
    }
    let (count, first) = (base.numprocs, i64::from(base.numprocs_start));
    let scale = context.additions.of(name, count);
    let (wanted, named) = scale.unwrap_or((count, count));
    let mut instances = vec![base; named as usize];
    let mut found = Report::default();
    for (number, instance) in (0..).zip(&mut instances) {
        if count > 1 {
            instance.name = format!("{name}:{number:02}");
        }
        scope.process = Some(ProcessScope { number: i64::from(number) + first, count });
        let mut own = Report::default();
        let mut fields = Fields { view, scope, report: &mut own };
        read_keys(&mut fields, &given, keys::Scope::Variables, instance, checks);
        let variables = std::mem::take(&mut instance.environment);
        let mut fields = Fields { view, scope: Scope { own: Some(&variables), ..scope }, report: &mut own };
        read_keys(&mut fields, &given, keys::Scope::Instance, instance, checks);
        match kind {
            ProgramKind::Plain => {}
            ProgramKind::EventListener => instance.stdin = Stdin::Pipe,
            // It is the socket.
            ProgramKind::Fcgi => instance.stdin = Stdin::Null,
        }
        terminal::check(&mut fields, kind, instance);
        check_together(&mut fields, instance);
        instance.environment.extend(context.environment.iter().cloned());
        instance.environment.extend(variables);
        // What is wrong with one instance is mostly wrong with all: each key is reported once.
        merge_new(&mut found.problems, own.problems);
        merge_new(&mut found.warnings, own.warnings);
    }
    report.problems.append(&mut found.problems);
    report.warnings.append(&mut found.warnings);
    if scale.is_some() {
        let names = instances.iter().map(|instance| instance.name.clone()).collect();
        let (program, group) = (name.to_owned(), group.unwrap_or(name).to_owned());
        context.scaled.borrow_mut().push(Scaled { program, group, in_file: count, wanted, names });
        instances.truncate(wanted as usize);
    }
    instances
}

/// Unless it is said otherwise, what has a schedule is a oneshot that does not start with the daemon, a oneshot may
/// take as long as it takes and is not tried again, and what tells by itself that it is ready does not have to live for
/// a while as well.
fn set_defaults_of_type(fields: &Fields<'_, '_>, program: &mut ProgramConfig) {
    let default_to_0 = |key, field: &mut u32| {
        if fields.entry(key).is_none() {
            *field = 0;
        }
    };
    if !program.schedule.times.is_empty() {
        if fields.entry("type").is_none() {
            program.program_type = ProgramType::Oneshot;
        }
        if fields.entry("autostart").is_none() {
            program.autostart = false;
        }
    }
    if program.program_type == ProgramType::Oneshot {
        default_to_0("start_timeout", &mut program.start_timeout);
        default_to_0("startretries", &mut program.startretries);
    }
    if program.ready != Readiness::Startsecs || program.program_type == ProgramType::Forking {
        default_to_0("startsecs", &mut program.startsecs);
    }
}

/// A name is wrong whether an instance has it or not; `killasgroup` is what `stopasgroup` is where it is not set; the
/// one without the other is refused, as supervisord does it.
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

/// What is told of events has to be told of some, and its standard streams carry what it is told and answers.
fn check_listener(fields: &mut Fields<'_, '_>, group: Option<&str>, program: &mut ProgramConfig) {
    if fields.entry("events").is_none() {
        fields.missing("events", Fault::new("missing", "write events = PROCESS_STATE and the like"));
    }
    if program.redirect_stderr
        && let Some(entry) = fields.entry("redirect_stderr")
    {
        let fault = Fault::new("its standard output is what it answers events by", "remove the key");
        fields.error(&entry, fault);
    }
    if let Some(entry) = fields.entry("stdin").filter(|entry| entry.value != "pipe") {
        fields.error(&entry, Fault::new("its standard input is what it is told events by", "remove the key"));
    }
    if let Some(group) = group {
        let fault = Fault::new(
            format!("an event listener in the group {group}"),
            "it is a group of its own, a pool of its instances: remove it from the other one",
        );
        fields.report.error(section_diagnostic(&fields.view, fault));
    }
}

/// An fcgi-program has a socket, and the file of one alone has an owner and a mode.
fn check_fcgi(fields: &mut Fields<'_, '_>) {
    let Some(socket) = fields.entry("socket") else {
        return fields.missing("socket", Fault::new("missing", "write socket = tcp://HOST:PORT or unix:///PATH"));
    };
    if socket.value.trim_start().starts_with("tcp:") {
        for key in ["socket_owner", "socket_mode"] {
            if let Some(entry) = fields.entry(key) {
                let fault = Fault::new("a port has no file", "remove the key, or write socket = unix:///PATH");
                fields.error(&entry, fault);
            }
        }
    }
    if let Some(entry) = fields.entry("stdin") {
        fields.warn(&entry, Fault::new("its standard input is its socket", "remove the key"));
    }
}

/// Reads those of them that are of one scope.
fn read_keys(
    fields: &mut Fields<'_, '_>,
    given: &[GivenKey<'_>],
    scope: keys::Scope,
    program: &mut ProgramConfig,
    checks: &mut Checks,
) {
    for GivenKey { row, entry } in given.iter().filter(|given| given.row.scope == scope) {
        let Some(read) = row.read else { continue };
        let mut read = |given: &mut Given<'_>| read(program, given);
        match (entry, row.default_in(fields.scope.dialect)) {
            (Some(entry), _) => fields.parse_entry(entry, true, checks, &mut read),
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
    match program.program_type {
        ProgramType::Oneshot => warn_oneshot(fields),
        ProgramType::Simple | ProgramType::Forking => warn_simple(fields),
    }
    check_pidfile(fields, program);
    warn_idle_notifications(fields, program);
    warn_idle_policies(fields, program);
    check_changes(fields, program);
    check_restarts(fields, program);
    warn_idle_schedule(fields, program);
    if program.ready == Readiness::Health
        && program.healthcheck.check_type == HealthCheckType::None
        && let Some(entry) = fields.entry("ready")
    {
        fields.error(
            &entry,
            Fault::new("no health is checked", "write healthcheck_type = tcp, unix, http or script as well"),
        );
    }
    match program.healthcheck.check_type {
        HealthCheckType::None => warn_idle_check(fields),
        HealthCheckType::Tcp => {
            let fault = Fault::new("missing: a tcp check needs a port", "write healthcheck_port = 1 to 65535");
            need(fields, "healthcheck_port", fault);
        }
        HealthCheckType::Unix => {
            let fault = Fault::new("missing: a unix check needs a socket", "write healthcheck_path = /PATH");
            need(fields, "healthcheck_path", fault);
        }
        HealthCheckType::Http => {
            let fault =
                Fault::new("missing: an http check needs a URL", "write healthcheck_url = http://HOST:PORT/PATH");
            need(fields, "healthcheck_url", fault);
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
        ("post_start", "it is never run: a oneshot is never RUNNING"),
        ("watchdog", "a oneshot is never RUNNING, and its watchdog never begins"),
    ];
    for (key, why) in idle {
        if let Some(entry) = fields.entry(key) {
            fields.warn(&entry, Fault::new(why, "remove the key, or write type = simple"));
        }
    }
}

/// A program that puts itself into the background has to name its main process, and no other one has to.
fn check_pidfile(fields: &mut Fields<'_, '_>, program: &ProgramConfig) {
    if program.program_type == ProgramType::Forking {
        let fault = Fault::new(
            "missing: without it nobody knows the main process",
            "write pidfile = /PATH, the file that the program itself writes",
        );
        need(fields, "pidfile", fault);
    } else if let Some(entry) = fields.entry("pidfile").filter(|entry| !entry.value.is_empty()) {
        fields.warn(&entry, Fault::new("nobody looks at it", "write type = forking as well, or remove the key"));
    }
}

/// Warns of settings of a socket for messages, a watchdog, or tries, that it does not have.
fn warn_idle_notifications(fields: &mut Fields<'_, '_>, program: &ProgramConfig) {
    let is_tried = matches!(program.ready, Readiness::Accepts(_) | Readiness::Http(_) | Readiness::Command(_));
    let tries = "write ready = tcp:HOST:PORT, unix:/PATH, http://… or command:CMD as well";
    let idle = [
        ("ready_interval", is_tried || program.ready_interval == 0, "nobody tries whether it is ready", tries),
        ("notify_access", program.can_notify(), "it has no $NOTIFY_SOCKET", "write ready = notify or watchdog as well"),
        ("watchdog_signal", program.watchdog > 0, "it has no watchdog", "write watchdog = SECONDS as well"),
    ];
    for (key, is_used, why, remedy) in idle {
        if let Some(entry) = fields.entry(key).filter(|_| !is_used) {
            fields.warn(&entry, Fault::new(why, remedy));
        }
    }
}

/// Warns of what means nothing to a program that is to live.
fn warn_simple(fields: &mut Fields<'_, '_>) {
    if let Some(entry) = fields.entry("max_runtime").filter(|entry| entry.value != "0") {
        let fault = Fault::new("only a oneshot is to come to its end", "write type = oneshot, or remove the key");
        fields.warn(&entry, fault);
    }
}

/// Warns of what means nothing to a program that comes to its end, and of what waits for nothing.
fn warn_idle_policies(fields: &mut Fields<'_, '_>, program: &ProgramConfig) {
    let policy = &program.restart;
    let ends = program.program_type == ProgramType::Oneshot && policy.max_lifetime > 0;
    let counts = policy.on_fatal_after == 1 || policy.fatal_retry > 0;
    let idle = [
        ("max_lifetime", ends, "a oneshot comes to its end by itself", "write max_runtime, or remove the key"),
        ("on_fatal_after", !counts, "nothing is tried after FATAL", "write fatal_retry = SECONDS as well"),
    ];
    for (key, is_idle, why, remedy) in idle {
        if let Some(entry) = fields.entry(key).filter(|_| is_idle) {
            fields.warn(&entry, Fault::new(why, remedy));
        }
    }
}

/// What is to be reloaded has to know how.
fn check_changes(fields: &mut Fields<'_, '_>, program: &ProgramConfig) {
    let Some(entry) = fields.entry("restart_on_change_action") else { return };
    if program.restart.on_change.is_empty() {
        fields.warn(&entry, Fault::new("nothing is watched", "write restart_on_change = PATH as well"));
    }
    let hooks = &program.hooks;
    if program.restart.on_change_action == ChangeAction::Reload
        && hooks.reload_signal.is_none()
        && hooks.reload_command.is_empty()
    {
        let fault = Fault::new("nothing says how it is reloaded", "write reload_signal or reload_command as well");
        fields.error(&entry, fault);
    }
}

/// Warns of settings of a schedule where there is none, and of one that never rests.
fn warn_idle_schedule(fields: &mut Fields<'_, '_>, program: &ProgramConfig) {
    if program.schedule.times.is_empty() {
        for key in ["schedule_timezone", "schedule_overlap", "schedule_jitter", "schedule_catchup"] {
            if let Some(entry) = fields.entry(key) {
                fields.warn(&entry, Fault::new("it has no schedule", "write schedule = 0 3 * * * or the like as well"));
            }
        }
        return;
    }
    if program.program_type == ProgramType::Simple
        && program.autorestart == AutoRestart::Always
        && let Some(entry) = fields.entry("type")
    {
        let fault = Fault::new(
            "each run is followed by the next one at once (autorestart), whatever the schedule says",
            "write type = oneshot, or autorestart = false or unexpected",
        );
        fields.warn(&entry, fault);
    }
}

/// What delays and limits of restarts have wrong together.
fn check_restarts(fields: &mut Fields<'_, '_>, program: &ProgramConfig) {
    let policy = &program.restart;
    if policy.delay > policy.delay_max
        && let Some(entry) = fields.entry("restart_delay").or_else(|| fields.entry("restart_delay_max"))
    {
        let (delay, most) = (policy.delay, policy.delay_max);
        let fault = Fault::new(
            format!("restart_delay = {delay} is above restart_delay_max = {most}"),
            format!("write restart_delay_max = {delay} or more"),
        );
        fields.error(&entry, fault);
    }
    if let Some(RestartLimit { restarts, seconds }) = policy.limit
        && let Some(entry) = fields.entry("restart_limit")
    {
        // From the first restart to the one that is too many.
        let delays = (2..=restarts.saturating_add(1))
            .map(|number| u64::from(policy.delay_growth.delay(policy.delay, number).min(policy.delay_max)));
        let least: u64 = delays.sum();
        if least >= u64::from(seconds) {
            let (count, delay) = (restarts.saturating_add(1), policy.delay);
            let message = format!(
                "failed starts never reach it: {count} restarts of them, with restart_delay = {delay}, take {least} s at \
                 least, and {seconds} s are looked at"
            );
            fields.warn(&entry, Fault::new(message, format!("write {restarts}/{} or more", least.saturating_add(1))));
        }
    }
}

/// Warns of settings of a health check where no type switches it on.
fn warn_idle_check(fields: &mut Fields<'_, '_>) {
    if fields.view.get("healthcheck_type").is_some() {
        return;
    }
    let kinds = [
        ("healthcheck_port", "tcp"),
        ("healthcheck_path", "unix"),
        ("healthcheck_url", "http"),
        ("healthcheck_command", "script"),
    ];
    for (key, kind) in kinds {
        if let Some(entry) = fields.entry(key).filter(|entry| !entry.value.is_empty()) {
            let fault = Fault::new("no health is checked", format!("write healthcheck_type = {kind} as well"));
            fields.warn(&entry, fault);
        }
    }
}
