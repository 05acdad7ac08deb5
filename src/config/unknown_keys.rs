//! Keys that a section does not know: those of supervisord without a counterpart, and misspelt ones.

use super::diagnostic::{Fault, Report};
use super::document::{Document, SectionView};
use super::fields::entry_diagnostic;
use super::keys::{Section, is_known_in, known_in};
use super::program_keys::section_of;
use super::sections::{SectionKind, section_kind};
use crate::models::Dialect;
use crate::util::did_you_mean::closest;

/// A key of another format that has no counterpart here: its name, the values that ask for what happens anyway (no
/// warning then), and what to do instead.
struct Unsupported {
    key: &'static str,
    harmless: &'static [&'static str],
    instead: &'static str,
}

const fn unsupported(key: &'static str, harmless: &'static [&'static str], instead: &'static str) -> Unsupported {
    Unsupported { key, harmless, instead }
}

const NO: &[&str] = &["false", "no", "off", "0"];
/// Whatever the value, nothing is missed.
const ANY: &[&str] = &["*"];

/// Keys of supervisord's `[supervisord]` and of the Python package that mean nothing in `[supervice]`.
const DAEMON: &[Unsupported] = &[
    unsupported("nodaemon", NO, "run supervice with -n to keep it in the foreground"),
    unsupported("silent", NO, "set loglevel = ERROR, or redirect the output of supervice -n"),
    unsupported("umask", &["022", "22"], "set the umask before supervice is started"),
    unsupported("user", &["root", "0"], "start supervice as that user; programs have their own user key"),
    unsupported("directory", &[], "start supervice in that directory, or write absolute paths"),
    unsupported("identifier", &[], "there is no name to set"),
    unsupported("minfds", &[], "set the limit before supervice is started (ulimit -n)"),
    unsupported("minprocs", &[], "set the limit before supervice is started (ulimit -u)"),
    unsupported(
        "childlogdir",
        &[],
        "name a stdout_logfile in each program; the newest output is kept in memory anyway",
    ),
    unsupported("nocleanup", &[], "there are no automatic log files to clean up"),
    unsupported("state_file", &[], "what is to outlive the daemon is kept in state_dir"),
];

/// Keys of supervisord's `[program:x]` that mean nothing in supervice's dialect.
const PROGRAM: &[Unsupported] = &[
    unsupported(
        "process_name",
        &["%(program_name)s"],
        "a program has its section's name, instances are named NAME:00, NAME:01 and so on",
    ),
    unsupported("numprocs_start", &["0"], "instances are counted from 0"),
    unsupported("priority", &["999"], "all programs are started and stopped at the same time"),
    unsupported("serverurl", &[], "the control socket is set in [supervice]"),
];

/// Keys of supervisord's `[group:x]` that mean nothing in supervice's dialect.
const GROUP: &[Unsupported] =
    &[unsupported("priority", &["999"], "all programs are started and stopped at the same time")];

/// Keys of `[supervisord]` without a counterpart. There are no log files of its choice, so nothing is missed where they
/// are placed and cleaned up.
const SUPERVISORD: &[Unsupported] = &[unsupported("childlogdir", ANY, ""), unsupported("nocleanup", ANY, "")];

/// Keys of supervisord's `[eventlistener:x]` without a counterpart.
const EVENT_LISTENER: &[Unsupported] = &[unsupported(
    "result_handler",
    &["supervisor.dispatchers:default_handler"],
    "there is no Python here: OK accepts an event, everything else rejects it",
)];

/// Other names under which a key is looked for, by those who know other supervisors.
const ALIASES: &[(&str, &str)] = &[
    ("socket_path", "socket"),
    ("sock", "socket"),
    ("log_level", "loglevel"),
    ("log_file", "logfile"),
    ("logfile_maxbytes", "log_maxbytes"),
    ("logfile_backups", "log_backups"),
    ("cmd", "command"),
    ("exec", "command"),
    ("execstart", "command"),
    ("env", "environment"),
    ("environmentfile", "env_file"),
    ("cwd", "directory"),
    ("chdir", "directory"),
    ("working_directory", "directory"),
    ("workingdirectory", "directory"),
    ("restart", "autorestart"),
    ("stdout", "stdout_logfile"),
    ("stderr", "stderr_logfile"),
    ("stop_signal", "stopsignal"),
    ("killsignal", "stopsignal"),
    ("stoptimeout", "stopwaitsecs"),
    ("instances", "numprocs"),
    ("healthcheck", "healthcheck_type"),
    ("program", "programs"),
    ("members", "programs"),
    ("file", "files"),
];

/// The key of `known` that was probably meant by `unknown`.
fn guess<'k>(unknown: &str, known: &[&'k str]) -> Option<&'k str> {
    let alias = ALIASES.iter().find(|(alias, _)| *alias == unknown);
    if let Some(key) = alias.and_then(|(_, key)| known.iter().find(|known| *known == key)) {
        return Some(key);
    }
    closest(unknown, known.iter().copied())
}

/// The keys of supervisord that may stand in a section and have no counterpart.
fn unsupported_in(section: Section, dialect: Dialect) -> &'static [Unsupported] {
    match (section, dialect) {
        (Section::Supervice, _) => DAEMON,
        (Section::Supervisord, _) => SUPERVISORD,
        (Section::Program | Section::FcgiProgram, Dialect::Supervice) => PROGRAM,
        (Section::EventListener, _) => EVENT_LISTENER,
        (Section::Program | Section::FcgiProgram, Dialect::Supervisord) => &[],
        (Section::Group, Dialect::Supervice) => GROUP,
        (Section::Group, Dialect::Supervisord)
        | (Section::Access | Section::Include | Section::Http | Section::UnixServer | Section::InetServer, _) => &[],
    }
}

/// Reports every key of a section that has no effect there: a warning for those of supervisord that have no
/// counterpart, and a guess what was meant for those that nobody knows.
pub(crate) fn check_keys(view: &SectionView<'_>, section: Section, dialect: Dialect, report: &mut Report) {
    check(view, &[section], dialect, unsupported_in(section, dialect), report);
}

/// As [`check_keys`], for `[DEFAULT]`: its keys may be of any section that sets something.
pub(crate) fn check_default_keys(view: &SectionView<'_>, dialect: Dialect, report: &mut Report) {
    let sections = [
        Section::EventListener,
        Section::FcgiProgram,
        Section::Supervice,
        Section::Supervisord,
        Section::Group,
        Section::Access,
        Section::Http,
        Section::UnixServer,
        Section::InetServer,
    ];
    check(view, &sections, dialect, unsupported_in(Section::Program, dialect), report);
}

/// Checks keys that may be of any of these sections.
fn check(
    view: &SectionView<'_>,
    sections: &[Section],
    dialect: Dialect,
    unsupported: &[Unsupported],
    report: &mut Report,
) {
    for entry in view.own_entries() {
        if sections.iter().any(|section| is_known_in(*section, dialect, entry.key)) {
            continue;
        }
        if let Some(other) = unsupported.iter().find(|unsupported| unsupported.key == entry.key) {
            if other.harmless != ANY && !other.harmless.contains(&entry.value.to_ascii_lowercase().as_str()) {
                let fault = Fault::new("this key has no effect here", other.instead);
                report.warn(entry_diagnostic(&entry, entry.value, fault));
            }
            continue;
        }
        let known: Vec<&str> = sections.iter().flat_map(|section| known_in(*section, dialect)).collect();
        let hint = match guess(entry.key, &known) {
            Some(key) => format!("did you mean {key}?"),
            None if ["program", "group"].contains(&entry.key) => format!("a section's header is [{}:NAME]", entry.key),
            None => "it has no effect: remove it, or see supervice.conf(5) for the keys of this section".to_owned(),
        };
        // Its value may be a secret of a misspelt key.
        let mut diagnostic = entry_diagnostic(&entry, entry.value, Fault::new("unknown key", hint));
        diagnostic.value = None;
        report.unknown(diagnostic);
    }
}

/// Warns of continuation lines that begin with a key of their section: they have probably been indented by mistake.
pub(crate) fn check_swallowed_keys(document: &Document, report: &mut Report) {
    for line in &document.swallowed {
        let section = match section_kind(&line.section, document.dialect) {
            SectionKind::Daemon => Section::Supervice,
            SectionKind::Supervisord => Section::Supervisord,
            SectionKind::Http => Section::Http,
            SectionKind::Access(_) => Section::Access,
            SectionKind::UnixServer => Section::UnixServer,
            SectionKind::InetServer => Section::InetServer,
            SectionKind::Include => Section::Include,
            SectionKind::Program(kind, _) => section_of(kind),
            SectionKind::Template(_) | SectionKind::Defaults => Section::Program,
            SectionKind::Group(_) => Section::Group,
            SectionKind::Unsupported(_) | SectionKind::Harmless | SectionKind::Unknown(_) => continue,
        };
        if !is_known_in(section, document.dialect, &line.key) {
            continue;
        }
        let (open, first) = &line.open;
        let fault = Fault::new(
            format!("this indented line does not set {}: it continues the value of line {first}", line.key),
            "begin it at the margin if the key is meant",
        );
        let mut diagnostic = line.place.diagnostic(fault);
        diagnostic.section = Some(line.section.clone());
        diagnostic.key = Some(open.clone());
        report.warn(diagnostic);
    }
}

#[cfg(test)]
mod tests;
