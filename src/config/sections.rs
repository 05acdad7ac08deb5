//! What the name of a section says.

use crate::models::Dialect;
use crate::util::did_you_mean::closest;

/// The section that makes a configuration one of supervisord.
pub(crate) const SUPERVISORD_SECTION: &str = "supervisord";

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
    Unsupported(&'static str),
    /// A section that each file of supervisord has, and that asks for nothing else than what happens.
    Harmless,
    /// None that is known, and the remedy.
    Unknown(&'static str),
}

/// What the section called `name` is.
pub(crate) fn section_kind(name: &str, dialect: Dialect) -> SectionKind<'_> {
    let (kind, rest) = match name.split_once(':') {
        Some((kind, rest)) => (kind, Some(rest.trim())),
        None => (name, None),
    };
    let supervisord = dialect == Dialect::Supervisord;
    match (kind, rest) {
        ("supervice", None) if supervisord => {
            SectionKind::Unsupported("the file is read in supervisord's dialect: write its keys in [supervisord]")
        }
        ("supervice", None) => SectionKind::Daemon,
        ("supervisord", None) if supervisord => SectionKind::Supervisord,
        ("unix_http_server", None) if supervisord => SectionKind::UnixServer,
        ("supervisord" | "unix_http_server", None) => SectionKind::Unsupported(
            "the file is read in supervice's dialect: write socket and the like in [supervice]",
        ),
        ("supervisorctl", None) | ("rpcinterface", Some("supervisor")) if supervisord => SectionKind::Harmless,
        ("include", None) => SectionKind::Include,
        ("program", Some(name)) => SectionKind::Program(name),
        ("group", Some(name)) => SectionKind::Group(name),
        ("supervisorctl", None) => SectionKind::Unsupported("supervicectl takes the socket with -s"),
        ("inet_http_server", None) => {
            SectionKind::Unsupported("the daemon is commanded through its socket: see socket in [supervice]")
        }
        ("rpcinterface" | "ctlplugin", Some(_)) => SectionKind::Unsupported("there are no plug-ins; remove it"),
        ("eventlistener", Some(_)) => {
            SectionKind::Unsupported("this program is not started: there are no event listeners")
        }
        ("fcgi-program", Some(_)) => {
            SectionKind::Unsupported("this program is not started; use [program:NAME] if it can open its own socket")
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
