//! Guesses, and the lists of keys.

use super::*;

#[test]
fn misspelt_keys_are_recognised() {
    let keys = known_in(Section::Program, Dialect::Supervice);
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
        assert_eq!(guess(text, &keys), key, "{text}");
    }
    assert_eq!(guess(&"x".repeat(100_000), &keys), None);
}

#[test]
fn no_key_is_both_known_and_unsupported() {
    for dialect in [Dialect::Supervice, Dialect::Supervisord] {
        for section in [
            Section::Supervice,
            Section::Supervisord,
            Section::UnixServer,
            Section::Include,
            Section::Program,
            Section::EventListener,
            Section::FcgiProgram,
            Section::Group,
        ] {
            let known = known_in(section, dialect);
            assert!(known.is_empty() != section.is_in(dialect), "{section:?}");
            assert!(unsupported_in(section, dialect).iter().all(|other| !known.contains(&other.key)), "{section:?}");
        }
    }
}
