//! The guesses.

use super::*;

#[test]
fn misspelt_keys_are_recognised() {
    for (text, key) in [
        ("comand", Some("command")),
        ("autostrat", Some("autostart")),
        ("auto_restart", Some("autorestart")),
        ("stdout_log_file", Some("stdout_logfile")),
        ("cwd", Some("directory")),
        ("env", Some("environment")),
        ("healthcheck_intervall", Some("healthcheck_interval")),
        ("colour", None),
        ("x", None),
        ("", None),
    ] {
        assert_eq!(guess(text, PROGRAM_KEYS), key, "{text}");
    }
    assert_eq!(guess(&"x".repeat(100_000), PROGRAM_KEYS), None);
}

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
        assert!(matches!(section_kind(name), SectionKind::Foreign(_)), "{name}");
    }
    assert!(matches!(section_kind("nginx"), SectionKind::Unknown(hint) if hint.starts_with("sections are")));
}

#[test]
fn no_key_is_both_known_and_foreign() {
    for (known, foreign) in [(PROGRAM_KEYS, FOREIGN_PROGRAM), (DAEMON_KEYS, FOREIGN_DAEMON)] {
        assert!(foreign.iter().all(|foreign| !known.contains(&foreign.key)));
    }
}
