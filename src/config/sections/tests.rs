//! Sections and the guesses what an unknown one was meant to be.

use super::*;

fn ours(name: &str) -> SectionKind<'_> {
    section_kind(name, Dialect::Supervice)
}

#[test]
fn sections_and_their_guesses() {
    assert_eq!(ours("program: web "), SectionKind::Program(ProgramKind::Plain, " web "));
    assert_eq!(
        section_kind("program: web ", Dialect::Supervisord),
        SectionKind::Program(ProgramKind::Plain, "web"),
        "as each original reads it"
    );
    assert_eq!(ours("eventlistener:x"), SectionKind::Program(ProgramKind::EventListener, "x"));
    assert_eq!(ours("fcgi-program:x"), SectionKind::Program(ProgramKind::Fcgi, "x"));
    assert_eq!(ours("fgci-program:x"), SectionKind::Unknown("did you mean [fcgi-program:NAME]?"));
    assert_eq!(ours("eventlistner:x"), SectionKind::Unknown("did you mean [eventlistener:NAME]?"));
    assert_eq!(ours("group:a"), SectionKind::Group("a"));
    assert_eq!(ours("programm:web"), SectionKind::Unknown("did you mean [program:NAME]?"));
    assert_eq!(ours("program"), SectionKind::Unknown("did you mean [program:NAME]?"));
    assert_eq!(ours("Supervice"), SectionKind::Unknown("did you mean [supervice]?"));
    for (name, known) in [
        ("gruop:a", "did you mean [group:NAME]?"),
        ("includes", "did you mean [include]?"),
        ("unix_http_serv", "did you mean [unix_http_server]?"),
        ("supervisor", "did you mean [supervice]?"),
    ] {
        assert_eq!(ours(name), SectionKind::Unknown(known), "{name}");
    }
    for name in ["inet_http_server", "supervisorctl", "rpcinterface:x", "ctlplugin:x"] {
        assert!(matches!(ours(name), SectionKind::Unsupported(_)), "{name}");
    }
    assert!(matches!(ours("nginx"), SectionKind::Unknown(hint) if hint.starts_with("sections are")));
}

#[test]
fn what_each_file_of_supervisord_has_is_harmless_there_alone() {
    for name in ["rpcinterface:supervisor", "supervisorctl"] {
        assert_eq!(section_kind(name, Dialect::Supervisord), SectionKind::Harmless, "{name}");
        assert!(matches!(ours(name), SectionKind::Unsupported(_)), "{name}");
    }
    assert!(matches!(section_kind("supervice", Dialect::Supervisord), SectionKind::Unsupported(_)));
    assert!(matches!(ours("unix_http_server"), SectionKind::Unsupported(_)));
}
