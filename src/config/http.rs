//! Sockets on which HTTP is spoken: `[http]` and `[http:NAME]`; in supervisord's dialect `[unix_http_server]` and
//! `[inet_http_server]`.

use super::checks::Checks;
use super::diagnostic::{Fault, Report};
use super::document::{Document, SectionView};
use super::expand::Scope;
use super::fields::{Fields, section_diagnostic};
use super::keys::{self, Section};
use super::sections::{SectionKind, section_kind};
use super::unknown_keys::check_keys;
use crate::models::{Dialect, HttpAddress, HttpConfig};

/// The mode of a socket that a `[unix_http_server]` asks for without one.
pub(crate) const SUPERVISORD_SOCKET_MODE: u32 = 0o700;

/// Sockets that may be asked for, besides the control socket.
const MAX_SOCKETS: usize = 32;

/// Reads the sections, and checks what their keys say together.
pub(crate) fn read(document: &Document, scope: Scope<'_>, checks: &mut Checks, report: &mut Report) -> Vec<HttpConfig> {
    let mut all: Vec<HttpConfig> = Vec::new();
    // Where a place is wrong or missing, the default stands for it: it says nothing of the others.
    let mut unplaced: Vec<usize> = Vec::new();
    for view in document.other_sections() {
        let section = match section_kind(view.name, document.dialect) {
            SectionKind::Http => Section::Http,
            SectionKind::UnixServer => Section::UnixServer,
            SectionKind::InetServer => Section::InetServer,
            SectionKind::Daemon
            | SectionKind::Supervisord
            | SectionKind::Access(_)
            | SectionKind::Include
            | SectionKind::Program(..)
            | SectionKind::Group(_)
            | SectionKind::Unsupported(_)
            | SectionKind::Harmless
            | SectionKind::Template(_)
            | SectionKind::Defaults
            | SectionKind::Unknown(_) => continue,
        };
        check_keys(&view, section, document.dialect, report);
        let (http, is_placed) = read_section(view, section, scope, checks, report);
        if all.len() == MAX_SOCKETS {
            let fault = Fault::new(format!("more than {MAX_SOCKETS} sockets"), "remove some of these sections");
            report.error(section_diagnostic(&view, fault));
            break;
        }
        if !is_placed {
            unplaced.push(all.len());
        }
        let mut placed = all.iter().enumerate().filter(|(number, _)| is_placed && !unplaced.contains(number));
        if let Some((_, other)) = placed.find(|(_, other)| other.listen == http.listen) {
            let fault =
                Fault::new(format!("[{}] listens at {} already", other.name, http.listen), "write another place");
            report.error(section_diagnostic(&view, fault));
        }
        all.push(http);
    }
    all
}

/// The socket, and whether the section says where it is.
fn read_section(
    view: SectionView<'_>,
    section: Section,
    scope: Scope<'_>,
    checks: &mut Checks,
    report: &mut Report,
) -> (HttpConfig, bool) {
    let mut http = HttpConfig::new(view.name);
    // `[http]` alone has a default.
    let mut is_placed = section == Section::Http;
    if section == Section::UnixServer {
        http.mode = SUPERVISORD_SOCKET_MODE;
    }
    let mut fields = Fields { view, scope, report };
    for row in keys::HTTP {
        let Some(read) = row.read else { continue };
        let mut names = row.sources(scope.dialect).filter(|(other, _)| *other == section);
        if let Some((_, key)) = names.find(|(_, key)| view.get(key).is_some()) {
            fields.parse(key, checks, &mut |given| {
                let parsed = read(&mut http, given);
                if ["listen", "file", "port"].contains(&key) {
                    is_placed = parsed.is_ok();
                }
                parsed
            });
        }
    }
    if section == Section::InetServer && view.get("port").is_none() {
        fields.missing("port", Fault::new("missing", "write port = 127.0.0.1:9001"));
    }
    if section == Section::UnixServer && view.get("file").is_none() {
        fields.missing("file", Fault::new("missing", "write file = /path/to/socket"));
    }
    check_together(&mut fields, &mut http);
    (http, is_placed)
}

fn check_together(fields: &mut Fields<'_, '_>, http: &mut HttpConfig) {
    match (&http.username, &http.password) {
        (Some(_), None) => {
            fields.missing("password", Fault::new("missing", "write a password, or remove username"));
        }
        (None, Some(_)) => {
            fields.missing("username", Fault::new("missing", "write a username, or remove password"));
        }
        (Some(_), Some(_)) | (None, None) => {}
    }
    if !cfg!(feature = "http") {
        let asks = http.asks_for_a_password() || !matches!(http.listen, HttpAddress::Unix(_));
        if asks || fields.scope.dialect == Dialect::Supervice {
            let fault = Fault::new(
                "this supervice was built without HTTP: nobody listens here",
                "build it with the feature http, or remove the section",
            );
            fields.report.warn(section_diagnostic(&fields.view, fault));
        }
    }
    if http.insecure || http.asks_for_a_password() || http.listen.is_of_this_machine() {
        return;
    }
    let message = "everybody who can reach this port may do everything, as the daemon's user";
    let hint = "ask for a password, listen at 127.0.0.1 or a unix: socket, or write insecure = true";
    match fields.scope.dialect {
        Dialect::Supervice => fields.report.error(section_diagnostic(&fields.view, Fault::new(message, hint))),
        Dialect::Supervisord => {
            let hint = "set username and password, or listen at 127.0.0.1";
            fields.report.warn(section_diagnostic(&fields.view, Fault::new(message, hint)));
        }
    }
}
