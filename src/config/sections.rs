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
    /// `[http]` or `[http:NAME]`
    Http,
    /// `[unix_http_server]`, with or without a name.
    UnixServer,
    /// `[inet_http_server]`, with or without a name.
    InetServer,
    /// `[access:NAME]`
    Access(&'n str),
    /// `[include]`
    Include,
    /// `[program:NAME]`, `[eventlistener:NAME]`, `[fcgi-program:NAME]`
    Program(ProgramKind, &'n str),
    /// `[group:NAME]`
    Group(&'n str),
    /// `[template:NAME]`, with the keys of a program: those of its instances `[program:NAME@INSTANCE]`.
    Template(&'n str),
    /// `[defaults]`, with keys of all programs below it.
    Defaults,
    /// A section of supervisord that has no counterpart, and what to do instead.
    Unsupported(&'static str),
    /// A section that each file of supervisord has, and that asks for nothing else than what happens.
    Harmless,
    /// None that is known, and the remedy.
    Unknown(&'static str),
}

/// What kind of program a section describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProgramKind {
    Plain,
    /// It is told of events.
    EventListener,
    /// Its standard input is a listening socket.
    Fcgi,
}

/// The name that a header tells behind its colon. supervisord takes white space around it away; to the Python package
/// it is part of the name.
pub(crate) fn name_in(rest: &str, dialect: Dialect) -> &str {
    match dialect {
        Dialect::Supervice => rest,
        Dialect::Supervisord => rest.trim(),
    }
}

impl ProgramKind {
    /// Whether a `[group:NAME]` may name it.
    pub(crate) fn may_be_in_a_group(self) -> bool {
        match self {
            ProgramKind::Plain | ProgramKind::Fcgi => true,
            ProgramKind::EventListener => false,
        }
    }
}

/// What the section called `name` is.
pub(crate) fn section_kind(name: &str, dialect: Dialect) -> SectionKind<'_> {
    // Mostly it is a program's, and all sections are asked several times.
    if let Some(rest) = name.strip_prefix("program:") {
        return SectionKind::Program(ProgramKind::Plain, name_in(rest, dialect));
    }
    let (kind, rest) = match name.split_once(':') {
        Some((kind, rest)) => (kind, Some(name_in(rest, dialect))),
        None => (name, None),
    };
    let supervisord = dialect == Dialect::Supervisord;
    match (kind, rest) {
        ("supervice", None) if supervisord => {
            SectionKind::Unsupported("the file is read in supervisord's dialect: write its keys in [supervisord]")
        }
        ("supervice", None) => SectionKind::Daemon,
        ("supervisord", None) if supervisord => SectionKind::Supervisord,
        ("unix_http_server", _) if supervisord => SectionKind::UnixServer,
        ("inet_http_server", _) if supervisord => SectionKind::InetServer,
        ("http", _) if supervisord => SectionKind::Unsupported(
            "the file is read in supervisord's dialect: write [inet_http_server] or [unix_http_server]",
        ),
        ("http", _) => SectionKind::Http,
        ("supervisord" | "unix_http_server", _) => SectionKind::Unsupported(
            "the file is read in supervice's dialect: write socket and the like in [supervice]",
        ),
        ("inet_http_server", _) => {
            SectionKind::Unsupported("the file is read in supervice's dialect: write [http] with listen = ADDRESS:PORT")
        }
        ("supervisorctl", None) | ("rpcinterface", Some("supervisor")) if supervisord => SectionKind::Harmless,
        ("access", Some(name)) => SectionKind::Access(name),
        ("include", None) => SectionKind::Include,
        ("eventlistener", Some(name)) => SectionKind::Program(ProgramKind::EventListener, name),
        ("fcgi-program", Some(name)) => SectionKind::Program(ProgramKind::Fcgi, name),
        ("group", Some(name)) => SectionKind::Group(name),
        ("template", Some(name)) => SectionKind::Template(name),
        ("defaults", None) => SectionKind::Defaults,
        ("supervisorctl", None) => SectionKind::Unsupported("supervicectl takes the socket with -s"),
        ("rpcinterface" | "ctlplugin", Some(_)) => SectionKind::Unsupported("there are no plug-ins; remove it"),
        _ => SectionKind::Unknown(section_guess(kind, rest.is_some())),
    }
}

fn section_guess(kind: &str, named: bool) -> &'static str {
    let kinds = [
        "supervice",
        "supervisord",
        "unix_http_server",
        "inet_http_server",
        "http",
        "access",
        "include",
        "program",
        "eventlistener",
        "fcgi-program",
        "group",
        "template",
        "defaults",
    ];
    let text = kind.trim().to_ascii_lowercase();
    match (closest(&text, kinds.into_iter()), named) {
        (Some("program"), _) => "did you mean [program:NAME]?",
        (Some("eventlistener"), _) => "did you mean [eventlistener:NAME]?",
        (Some("fcgi-program"), _) => "did you mean [fcgi-program:NAME]?",
        (Some("group"), _) => "did you mean [group:NAME]?",
        (Some("include"), _) => "did you mean [include]?",
        (Some("template"), _) => "did you mean [template:NAME]?",
        (Some("defaults"), false) => "did you mean [defaults]?",
        (Some("supervice"), _) => "did you mean [supervice]?",
        (Some("supervisord"), _) => "did you mean [supervice]?",
        (Some("unix_http_server"), _) => "did you mean [unix_http_server]?",
        (Some("inet_http_server"), _) => "did you mean [inet_http_server]?",
        (Some("access"), _) => "did you mean [access:NAME]?",
        (Some("http"), _) => "did you mean [http]?",
        _ => {
            "sections are [supervice], [http], [access:NAME], [program:NAME], [template:NAME], [defaults], [eventlistener:NAME], [fcgi-program:NAME], [group:NAME] and [include]"
        }
    }
}

#[cfg(test)]
mod tests;
