//! Sections and the guesses what an unknown one was meant to be.

use super::*;

#[test]
fn sections_and_their_guesses() {
    assert_eq!(section_kind("program: web "), SectionKind::Program("web"));
    assert_eq!(section_kind("group:a"), SectionKind::Group("a"));
    assert_eq!(section_kind("programm:web"), SectionKind::Unknown("did you mean [program:NAME]?"));
    assert_eq!(section_kind("program"), SectionKind::Unknown("did you mean [program:NAME]?"));
    assert_eq!(section_kind("Supervice"), SectionKind::Unknown("did you mean [supervice]?"));
    for (name, known) in [
        ("gruop:a", "did you mean [group:NAME]?"),
        ("includes", "did you mean [include]?"),
        ("unix_http_serv", "did you mean [unix_http_server]?"),
        ("supervisor", "did you mean [supervice]?"),
    ] {
        assert_eq!(section_kind(name), SectionKind::Unknown(known), "{name}");
    }
    for name in
        ["inet_http_server", "supervisorctl", "rpcinterface:x", "ctlplugin:x", "eventlistener:x", "fcgi-program:x"]
    {
        assert!(matches!(section_kind(name), SectionKind::Unsupported(_)), "{name}");
    }
    assert!(matches!(section_kind("nginx"), SectionKind::Unknown(hint) if hint.starts_with("sections are")));
}
