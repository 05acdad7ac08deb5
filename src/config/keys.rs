//! The keys and sections that we know, those of supervisord that have no counterpart here, and the
//! guess what an unknown one was meant to be.

use crate::util::did_you_mean::closest;

/// Keys of `[supervice]`.
pub(crate) const DAEMON_KEYS: &[&str] = &[
    "logfile",
    "loglevel",
    "log_maxbytes",
    "log_backups",
    "pidfile",
    "socket",
    "socket_mode",
    "socket_owner",
    "shutdown_timeout",
    "exit_when_idle",
    "termination_log",
    "default_output",
    "log_prefix",
    "log_format",
];

/// Further keys of `[supervisord]` that are understood there.
pub(crate) const SUPERVISORD_KEYS: &[&str] = &["logfile_maxbytes", "logfile_backups", "environment"];

/// Keys of `[unix_http_server]` that are understood there.
pub(crate) const UNIX_SERVER_KEYS: &[&str] = &["file", "chmod", "chown"];

/// Keys of `[group:NAME]`.
pub(crate) const GROUP_KEYS: &[&str] = &["programs"];

/// Keys of `[include]`.
pub(crate) const INCLUDE_KEYS: &[&str] = &["files"];

/// Keys of `[program:NAME]`.
pub(crate) const PROGRAM_KEYS: &[&str] = &[
    "command",
    "numprocs",
    "autostart",
    "autorestart",
    "exitcodes",
    "exit_on",
    "exit_code",
    "startsecs",
    "startretries",
    "stopsignal",
    "stopwaitsecs",
    "stdout_logfile",
    "stdout_logfile_maxbytes",
    "stdout_logfile_backups",
    "stdout_logfile_compress",
    "stdout_syslog",
    "stderr_logfile",
    "stderr_logfile_maxbytes",
    "stderr_logfile_backups",
    "stderr_logfile_compress",
    "stderr_syslog",
    "redirect_stderr",
    "log_buffer",
    "log_sync",
    "environment",
    "env_file",
    "directory",
    "user",
    "pdeathsig",
    "reconcile",
    "healthcheck_type",
    "healthcheck_interval",
    "healthcheck_timeout",
    "healthcheck_retries",
    "healthcheck_start_period",
    "healthcheck_port",
    "healthcheck_host",
    "healthcheck_command",
];

/// A key of a known format that means nothing here: its name, the value with which it asks for what we do anyway
/// (no warning then), and what to do instead.
pub(crate) struct Foreign {
    pub key: &'static str,
    pub harmless: &'static [&'static str],
    pub instead: &'static str,
}

const fn foreign(key: &'static str, harmless: &'static [&'static str], instead: &'static str) -> Foreign {
    Foreign { key, harmless, instead }
}

const YES: &[&str] = &["true", "yes", "on", "1"];
const NO: &[&str] = &["false", "no", "off", "0"];

/// Keys of supervisord's `[supervisord]` (and of earlier `[supervice]` sections) without a counterpart.
pub(crate) const FOREIGN_DAEMON: &[Foreign] = &[
    foreign("nodaemon", NO, "run supervice with -n to keep it in the foreground"),
    foreign("silent", NO, "set loglevel = ERROR, or redirect the output of supervice -n"),
    foreign("umask", &["022", "22"], "set the umask before supervice is started"),
    foreign("user", &["root", "0"], "start supervice as that user; programs have their own user key"),
    foreign("directory", &[], "start supervice in that directory, or write absolute paths"),
    foreign("identifier", &[], "there is no name to set"),
    foreign("minfds", &[], "set the limit before supervice is started (ulimit -n)"),
    foreign("minprocs", &[], "set the limit before supervice is started (ulimit -u)"),
    foreign("childlogdir", &[], "name a stdout_logfile in each program; the newest output is kept in memory anyway"),
    foreign("nocleanup", &[], "there are no automatic log files to clean up"),
    foreign("strip_ansi", NO, "logs hold the bytes that the program wrote"),
    foreign("state_file", &[], "no state is kept in a file"),
];

/// Keys of supervisord's `[program:x]` (and of earlier versions' programs) without a counterpart.
pub(crate) const FOREIGN_PROGRAM: &[Foreign] = &[
    foreign(
        "process_name",
        &["%(program_name)s"],
        "a program has its section's name, instances are named NAME:00, NAME:01 and so on",
    ),
    foreign("numprocs_start", &["0"], "instances are counted from 0"),
    foreign("priority", &["999"], "all programs are started and stopped at the same time"),
    foreign("stopasgroup", YES, "the stop signal always goes to the whole process group"),
    foreign("killasgroup", YES, "SIGKILL always goes to the whole process group"),
    foreign("umask", &[], "set it in the command: sh -c 'umask 027; exec PROGRAM'"),
    foreign("serverurl", &[], "the control socket is set in [supervice]"),
    foreign("stdout_capture_maxbytes", &["0"], "there is no capture mode"),
    foreign("stderr_capture_maxbytes", &["0"], "there is no capture mode"),
    foreign("stdout_events_enabled", NO, "output is not announced as events"),
    foreign("stderr_events_enabled", NO, "output is not announced as events"),
];

/// Keys of supervisord's `[unix_http_server]` without a counterpart.
pub(crate) const FOREIGN_UNIX_SERVER: &[Foreign] = &[
    foreign("username", &[], "the socket's mode and owner decide who may command"),
    foreign("password", &[], "the socket's mode and owner decide who may command"),
];

/// Keys of supervisord's `[group:x]` without a counterpart.
pub(crate) const FOREIGN_GROUP: &[Foreign] =
    &[foreign("priority", &["999"], "all programs are started and stopped at the same time")];

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
pub(crate) fn guess<'k>(unknown: &str, known: &[&'k str]) -> Option<&'k str> {
    let alias = ALIASES.iter().find(|(alias, _)| *alias == unknown);
    if let Some(key) = alias.and_then(|(_, key)| known.iter().find(|known| *known == key)) {
        return Some(key);
    }
    closest(unknown, known.iter().copied())
}

/// What a section is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SectionKind<'n> {
    /// `[supervice]`
    Daemon,
    /// `[supervisord]`
    Supervisord,
    /// `[unix_http_server]`
    UnixServer,
    /// `[include]`
    Include,
    /// `[program:NAME]`
    Program(&'n str),
    /// `[group:NAME]`
    Group(&'n str),
    /// A section of supervisord that has no counterpart, and what to do instead.
    Foreign(&'static str),
    /// None that is known, and the remedy.
    Unknown(&'static str),
}

/// What the section called `name` is.
pub(crate) fn section_kind(name: &str) -> SectionKind<'_> {
    let (kind, rest) = match name.split_once(':') {
        Some((kind, rest)) => (kind, Some(rest.trim())),
        None => (name, None),
    };
    match (kind, rest) {
        ("supervice", None) => SectionKind::Daemon,
        ("supervisord", None) => SectionKind::Supervisord,
        ("unix_http_server", None) => SectionKind::UnixServer,
        ("include", None) => SectionKind::Include,
        ("program", Some(name)) => SectionKind::Program(name),
        ("group", Some(name)) => SectionKind::Group(name),
        ("supervisorctl", None) => SectionKind::Foreign("supervicectl takes the socket with -s"),
        ("inet_http_server", None) => {
            SectionKind::Foreign("the daemon is commanded through its socket: see socket in [supervice]")
        }
        ("rpcinterface" | "ctlplugin", Some(_)) => SectionKind::Foreign("there are no plug-ins; remove it"),
        ("eventlistener", Some(_)) => SectionKind::Foreign("this program is not started: there are no event listeners"),
        ("fcgi-program", Some(_)) => {
            SectionKind::Foreign("this program is not started; use [program:NAME] if it can open its own socket")
        }
        _ => SectionKind::Unknown(section_guess(kind, rest.is_some())),
    }
}

fn section_guess(kind: &str, named: bool) -> &'static str {
    let kinds = ["supervice", "supervisord", "unix_http_server", "include", "program", "group"];
    let text = kind.trim().to_ascii_lowercase();
    match (closest(&text, kinds.into_iter()), named) {
        (Some("program"), _) => "did you mean [program:NAME]?",
        (Some("group"), _) => "did you mean [group:NAME]?",
        (Some("include"), _) => "did you mean [include]?",
        (Some("supervice"), _) => "did you mean [supervice]?",
        (Some("supervisord"), _) => "did you mean [supervice]?",
        (Some("unix_http_server"), _) => "did you mean [unix_http_server]?",
        _ => "sections are [supervice], [program:NAME], [group:NAME] and [include]",
    }
}

#[cfg(test)]
mod tests;
