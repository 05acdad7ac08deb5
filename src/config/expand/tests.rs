//! Which forms are replaced in which dialect, and what is said of the others.

use std::path::Path;
use std::sync::Arc;

use super::*;

fn expand(dialect: Dialect, text: &str) -> Result<String, Fault> {
    let place = Place { file: Arc::from(Path::new("/etc/x/demo.ini")), line: 1 };
    let program = Some(ProgramScope { name: "web", group: "site", instance: None });
    let process = Some(ProcessScope { number: 7, count: 12 });
    let globals = [("REGION".to_owned(), "eu".to_owned()), ("REGION".to_owned(), "us".to_owned())];
    let own = BTreeMap::from([("PORT".to_owned(), "80".to_owned())]);
    let scope = Scope { dialect, host: Some("board"), program, process, globals: &globals, own: Some(&own) };
    scope.expand(text, &place).map(Cow::into_owned)
}

#[test]
fn known_forms() {
    for (text, expanded) in [
        ("%(process_num)s", "7"),
        ("%(process_num)02d", "07"),
        ("%(process_num)2d|", " 7|"),
        ("%(process_num)-3d|", "7  |"),
        ("%(process_num)+03d %(process_num).2d %(program_name).2s", "+07 07 we"),
        ("%(process_num)d%(process_num)i%(numprocs)x", "77c"),
        ("80%(process_num)02d", "8007"),
        ("%(program_name)s_%(process_num)02d.log", "web_07.log"),
        ("%(group_name)s/%(numprocs)d/%(host_node_name)s/%(here)s", "site/12/board//etc/x"),
        ("%(ENV_REGION)s %(ENV_PORT)s", "us 80"),
        ("date +%%s 100%% %%(x)s", "date +%s 100% %(x)s"),
    ] {
        assert_eq!(expand(Dialect::Supervisord, text).as_deref(), Ok(expanded));
    }
    let path = std::env::var("PATH").expect("PATH");
    assert_eq!(expand(Dialect::Supervisord, "%(ENV_PATH)s"), Ok(path));
}

#[test]
fn all_else_is_an_error_there() {
    for text in [
        "date +%s",
        "%2B",
        "100%",
        "%(",
        "%()s",
        "%(x)s",
        "%(process_num)",
        "%(process_num)q",
        "%(process_num)9999d",
        "%(program_name)d",
        "%(ENV_)s",
        "%(ENV_SUPERVICE_NOT_SET)s",
        "%(here )s",
    ] {
        assert!(expand(Dialect::Supervisord, text).is_err(), "{text}");
    }
}

#[test]
fn one_literal_text_is_replaced_in_supervice_s_dialect() {
    assert_eq!(expand(Dialect::Supervice, "%(process_num)s").as_deref(), Ok("07"));
    for text in ["date +%s", "%%", "%(here)s", "%(process_num)d", "%(process_num)02s", "%(ENV_PATH)s", "100%"] {
        assert_eq!(expand(Dialect::Supervice, text).as_deref(), Ok(text));
    }
}

#[test]
fn forms_that_stay_are_found() {
    assert_eq!(stays_literal("a %(ENV_PATH)s %(process_num)s"), Some("%(ENV_PATH)s"));
    assert_eq!(stays_literal("%(process_num)02d"), Some("%(process_num)02d"));
    assert_eq!(stays_literal("%(process_num)s %(unknown)s %(asctime)s %("), None);
}
