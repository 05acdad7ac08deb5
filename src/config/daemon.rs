//! The daemon's own settings: `[supervice]`, and what `[supervisord]` and `[unix_http_server]` say where it is silent.

use super::checks::Checks;
use super::diagnostic::{Fault, Report};
use super::environment::parse_environment;
use super::expand::Scope;
use super::fields::Fields;
use super::keys::{self, Section};
use super::reader::{Document, SectionView};
use super::unknown_keys::check_keys;
use crate::models::SupervisorConfig;

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
    for section in [Section::Supervice, Section::Supervisord, Section::UnixServer, Section::Include] {
        if let Some(view) = document.section(section.name()) {
            check_keys(&view, section, report);
        }
    }
    let mut config = SupervisorConfig::default();
    for row in keys::DAEMON {
        if let (Some(read), Some((view, key))) = (row.read, find(document, row.name, row.also)) {
            Fields { view, scope, report }.parse(key, checks, &mut |given| read(&mut config, given));
        }
    }
    let logfile_given = find(document, "logfile", &[]).is_some();
    let environment = environment(document, scope, report);
    Daemon { config, logfile_given, environment }
}

/// The section and the spelling in which a key of `[supervice]` is given.
fn find<'d>(
    document: &'d Document,
    name: &'static str,
    also: &[(Section, &'static str)],
) -> Option<(SectionView<'d>, &'static str)> {
    let own = [(Section::Supervice, name), (Section::Supervisord, name)];
    own.iter().chain(also).find_map(|(section, key)| {
        let view = document.section(section.name())?;
        view.get(key).map(|_| (view, *key))
    })
}

/// The control socket as it stands in the file.
pub(crate) fn socket_of(document: &Document) -> Option<&str> {
    let (view, key) = find(document, "socket", &[keys::SOCKET_ALSO])?;
    Some(view.get(key)?.value)
}

/// The variables that supervisord would give every program.
fn environment(document: &Document, scope: Scope<'_>, report: &mut Report) -> Vec<(String, String)> {
    let Some(view) = document.section(Section::Supervisord.name()) else { return Vec::new() };
    let mut fields = Fields { view, scope, report };
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
