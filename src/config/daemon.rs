//! The daemon's own settings: `[supervice]`, and what `[supervisord]` and `[unix_http_server]` say where it is silent.

use super::checks::Checks;
use super::diagnostic::{Fault, Report};
use super::environment::parse_environment;
use super::expand::Scope;
use super::fields::{Fields, check_keys};
use super::keys;
use super::reader::Document;
use super::values;
use crate::models::SupervisorConfig;

/// How many rotated files may be kept at most.
pub(crate) const MAX_BACKUPS: u32 = 1000;

/// Where each setting is looked for; the first that is there counts.
type Sources = &'static [(&'static str, &'static str)];

const LOGFILE: Sources = &[("supervice", "logfile"), ("supervisord", "logfile")];
const LOGLEVEL: Sources = &[("supervice", "loglevel"), ("supervisord", "loglevel")];
const LOG_MAXBYTES: Sources =
    &[("supervice", "log_maxbytes"), ("supervisord", "log_maxbytes"), ("supervisord", "logfile_maxbytes")];
const LOG_BACKUPS: Sources =
    &[("supervice", "log_backups"), ("supervisord", "log_backups"), ("supervisord", "logfile_backups")];
const PIDFILE: Sources = &[("supervice", "pidfile"), ("supervisord", "pidfile")];
const SOCKET: Sources = &[("supervice", "socket"), ("supervisord", "socket"), ("unix_http_server", "file")];
const SOCKET_MODE: Sources =
    &[("supervice", "socket_mode"), ("supervisord", "socket_mode"), ("unix_http_server", "chmod")];
const SOCKET_OWNER: Sources =
    &[("supervice", "socket_owner"), ("supervisord", "socket_owner"), ("unix_http_server", "chown")];
const SHUTDOWN_TIMEOUT: Sources = &[("supervice", "shutdown_timeout"), ("supervisord", "shutdown_timeout")];
const EXIT_WHEN_IDLE: Sources = &[("supervice", "exit_when_idle"), ("supervisord", "exit_when_idle")];
const TERMINATION_LOG: Sources = &[("supervice", "termination_log"), ("supervisord", "termination_log")];
const LOG_PREFIX: Sources = &[("supervice", "log_prefix"), ("supervisord", "log_prefix")];
const LOG_FORMAT: Sources = &[("supervice", "log_format"), ("supervisord", "log_format")];
const DEFAULT_OUTPUT: Sources = &[("supervice", "default_output"), ("supervisord", "default_output")];

/// The daemon's settings, and what it has to know about how they were given.
pub(crate) struct Daemon {
    /// The settings, without programs.
    pub config: SupervisorConfig,
    /// The file names the log: it is not the default's.
    pub logfile_given: bool,
    /// `[supervisord] environment`: for every program.
    pub environment: Vec<(String, String)>,
}

/// Reads the settings and checks them.
pub(crate) fn read(document: &Document, scope: Scope<'_>, checks: &mut Checks, report: &mut Report) -> Daemon {
    check_sections(document, report);
    let mut source = Source { document, scope, report };
    let mut config = SupervisorConfig::default();
    let checked = |result: Result<(), Fault>, path: Option<String>| result.map(|()| path);

    let logfile_given = source.first(LOGFILE).is_some();
    config.logfile = source.parse(LOGFILE, config.logfile, |text| match values::child_log(text) {
        Some(path) => checked(checks.log_file(&path), Some(path)),
        None => Ok(None),
    });
    config.loglevel = source.parse(LOGLEVEL, config.loglevel, values::log_level);
    config.log_maxbytes = source.parse(LOG_MAXBYTES, config.log_maxbytes, values::size);
    config.log_backups = source.parse(LOG_BACKUPS, config.log_backups, |text| values::number(text, 0, MAX_BACKUPS));
    config.pidfile = source.parse(PIDFILE, config.pidfile, |text| match values::path_or_none(text) {
        Some(path) => checked(checks.pid_file(&path), Some(path)),
        None => Ok(None),
    });
    config.socket_path = source.parse(SOCKET, config.socket_path, |text| match values::path_or_none(text) {
        Some(path) => checked(checks.socket(&path), Some(path)),
        None => Ok(None),
    });
    config.socket_mode = source.parse(SOCKET_MODE, config.socket_mode, values::mode);
    config.socket_owner = source.parse(SOCKET_OWNER, config.socket_owner, |text| match text {
        "" => Ok(None),
        owner => checked(checks.owner(owner), Some(owner.to_owned())),
    });
    config.shutdown_timeout = source.parse(SHUTDOWN_TIMEOUT, config.shutdown_timeout, |text| values::seconds(text, 1));
    config.exit_when_idle = source.parse(EXIT_WHEN_IDLE, config.exit_when_idle, values::boolean);
    config.termination_log =
        source.parse(TERMINATION_LOG, config.termination_log, |text| Ok(values::path_or_none(text)));
    config.default_output = source.parse(DEFAULT_OUTPUT, config.default_output, values::default_output);
    config.log_prefix = source.parse(LOG_PREFIX, config.log_prefix, |text| values::log_prefix(text).map(Some));
    config.log_format = source.parse(LOG_FORMAT, config.log_format, values::log_format);
    let environment = source.environment();
    Daemon { config, logfile_given, environment }
}

/// A section, the keys that it knows, and those of other formats.
type KeyTable = (&'static str, &'static [&'static [&'static str]], &'static [keys::Foreign]);

fn check_sections(document: &Document, report: &mut Report) {
    let tables: [KeyTable; 4] = [
        ("supervice", &[keys::DAEMON_KEYS], keys::FOREIGN_DAEMON),
        ("supervisord", &[keys::DAEMON_KEYS, keys::SUPERVISORD_KEYS], keys::FOREIGN_DAEMON),
        ("unix_http_server", &[keys::UNIX_SERVER_KEYS], keys::FOREIGN_UNIX_SERVER),
        ("include", &[keys::INCLUDE_KEYS], &[]),
    ];
    for (name, known, foreign) in tables {
        if let Some(view) = document.section(name) {
            check_keys(&view, known, foreign, report);
        }
    }
}

/// Settings that may stand in several sections.
struct Source<'r, 'd> {
    document: &'d Document,
    scope: Scope<'r>,
    report: &'r mut Report,
}

impl<'d> Source<'_, 'd> {
    /// The section and key that give the setting.
    fn first(&self, sources: Sources) -> Option<(super::reader::SectionView<'d>, &'static str)> {
        sources.iter().find_map(|(section, key)| {
            let view = self.document.section(section)?;
            view.get(key).map(|_| (view, *key))
        })
    }

    fn parse<T>(&mut self, sources: Sources, default: T, parse: impl FnOnce(&str) -> Result<T, Fault>) -> T {
        let Some((view, key)) = self.first(sources) else { return default };
        Fields { view, scope: self.scope, report: self.report }.parse(key, default, parse)
    }

    /// The variables that supervisord would give every program.
    fn environment(&mut self) -> Vec<(String, String)> {
        let Some(view) = self.document.section("supervisord") else { return Vec::new() };
        let scope = self.scope;
        let mut fields = Fields { view, scope, report: self.report };
        let Some(text) = fields.text("environment") else { return Vec::new() };
        match parse_environment(text.entry.value) {
            Ok(pairs) => {
                let expand = |text: &str, place| scope.expand(text, place).into_owned();
                pairs.iter().map(|(name, value)| (name.clone(), expand(value, text.entry.place))).collect()
            }
            Err(error) => {
                fields.error(&text, Fault::new(error.to_string(), "write KEY=value,KEY2=\"with, comma\""));
                Vec::new()
            }
        }
    }
}
