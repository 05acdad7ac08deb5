//! The daemon's own settings: `[supervice]`; in supervisord's dialect `[supervisord]` and `[unix_http_server]`.

use super::checks::Checks;
use super::diagnostic::{Fault, Report};
use super::document::{Document, SectionView};
use super::environment::{lost_in_supervisord_environment, parse_supervisord_environment};
use super::expand::Scope;
use super::fields::Fields;
use super::http::SUPERVISORD_SOCKET_MODE;
use super::keys::{self, KeyRow, Section};
use super::unknown_keys::check_keys;
use crate::models::{Dialect, SupervisorConfig};

/// The daemon's settings, and what it has to know about how they were given.
pub(crate) struct Daemon {
    /// The settings, without programs.
    pub config: SupervisorConfig,
    /// The file names the log: it is not the default's.
    pub logfile_given: bool,
    /// A file says `pidfile`.
    pub pidfile_given: bool,
    /// `[supervisord] environment`: for every program.
    pub environment: Vec<(String, String)>,
    /// What supervisord would tell its programs as the address of its server.
    pub serverurl: Option<String>,
}

/// Reads the settings and checks them.
pub(crate) fn read(document: &Document, scope: Scope<'_>, checks: &mut Checks, report: &mut Report) -> Daemon {
    let dialect = document.dialect;
    for section in [Section::Supervice, Section::Supervisord, Section::Include] {
        if let Some(view) = document.section(section.name()).filter(|_| section.is_in(dialect)) {
            check_keys(&view, section, dialect, report);
        }
    }
    let mut config = SupervisorConfig { dialect, ..SupervisorConfig::default() };
    for row in keys::DAEMON {
        let Some(read) = row.read else { continue };
        if let Some((view, key)) = find(document, row) {
            Fields { view, scope, report }.parse(key, checks, &mut |given| read(&mut config, given));
        } else if let Some(default) = row.default_in(dialect)
            && let Some(view) = document.section(Section::Supervisord.name())
        {
            let mut fields = Fields { view, scope, report };
            fields.parse_default(row.name, default, checks, &mut |given| read(&mut config, given));
        }
    }
    if let Some(view) = document.section(Section::UnixServer.name()).filter(|_| dialect == Dialect::Supervisord)
        && view.get("chmod").is_none()
    {
        config.socket_mode = SUPERVISORD_SOCKET_MODE;
    }
    let given = |name| keys::DAEMON.iter().any(|row| row.name == name && find(document, row).is_some());
    let (logfile_given, pidfile_given) = (given("logfile"), given("pidfile"));
    let environment = environment(document, scope, report);
    let serverurl = serverurl(document, scope, &config);
    Daemon { config, logfile_given, pidfile_given, environment, serverurl }
}

/// The section and the spelling in which a key of the daemon is given.
fn find<'d>(document: &'d Document, row: &KeyRow<SupervisorConfig>) -> Option<(SectionView<'d>, &'static str)> {
    row.sources(document.dialect).find_map(|(section, key)| {
        let view = document.section(section.name())?;
        view.get(key).map(|_| (view, key))
    })
}

/// The control socket as it stands in the file.
pub(crate) fn socket_of(document: &Document) -> Option<&str> {
    let row = keys::DAEMON.iter().find(|row| row.name == "socket")?;
    let (view, key) = find(document, row)?;
    Some(view.get(key)?.value)
}

/// The variables that supervisord gives every program.
fn environment(document: &Document, scope: Scope<'_>, report: &mut Report) -> Vec<(String, String)> {
    let Some(view) = document.section(Section::Supervisord.name()).filter(|_| document.dialect == Dialect::Supervisord)
    else {
        return Vec::new();
    };
    let mut fields = Fields { view, scope, report };
    let Some(entry) = fields.entry("environment") else { return Vec::new() };
    // supervisord expands it twice, and knows the machine's name the second time alone.
    let once = Scope { host: None, ..scope }.expand(entry.value, entry.place);
    let twice = once.and_then(|text| Ok(scope.expand(&text, entry.place)?.into_owned()));
    let hint = "write KEY=value,KEY2=\"with, comma\"";
    let parsed = twice.and_then(|text| {
        if let Some(lost) = lost_in_supervisord_environment(&text) {
            fields.warn(&entry, Fault::new(lost, hint));
        }
        parse_supervisord_environment(&text).map_err(|error| Fault::new(error.to_string(), hint))
    });
    parsed.unwrap_or_else(|fault| {
        fields.error(&entry, fault);
        Vec::new()
    })
}

/// The address of the first server: that of the socket, else that of the TCP port.
fn serverurl(document: &Document, scope: Scope<'_>, config: &SupervisorConfig) -> Option<String> {
    if document.dialect == Dialect::Supervice {
        return None;
    }
    if let (Some(_), Some(socket)) = (document.section(Section::UnixServer.name()), &config.socket_path) {
        let path = std::path::absolute(socket).ok()?;
        return Some(format!("unix://{}", normal(&path.to_string_lossy())));
    }
    let port = document.section("inet_http_server")?.get("port")?;
    let port = scope.expand(port.value, port.place).ok()?.into_owned();
    let (host, port) = port.rsplit_once(':').unwrap_or(("", &port));
    let host = if matches!(host, "" | "*") { "localhost".to_owned() } else { host.to_lowercase() };
    Some(format!("http://{host}:{port}"))
}

/// A path without `.` and `..`, as Python's `normpath` writes it.
fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}
