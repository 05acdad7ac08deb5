//! Which forms are replaced, and that all else stays.

use std::path::Path;
use std::sync::Arc;

use super::*;

fn expand(text: &str) -> String {
    let place = Place { file: Arc::from(Path::new("/etc/x/demo.ini")), line: 1 };
    let program = Some(ProgramScope { name: "web", group: "site", numprocs: 12 });
    Scope { host: "board", program, process_num: Some(7) }.expand(text, &place).into_owned()
}

#[test]
fn known_forms() {
    for (text, expanded) in [
        ("%(process_num)s", "7"),
        ("%(process_num)02d", "07"),
        ("%(process_num)2d|", " 7|"),
        ("%(process_num)-3d|", "7  |"),
        ("%(process_num)d%(process_num)i", "77"),
        ("80%(process_num)02d", "8007"),
        ("%(program_name)s_%(process_num)02d.log", "web_07.log"),
        ("%(group_name)s/%(numprocs)d/%(host_node_name)s/%(here)s", "site/12/board//etc/x"),
    ] {
        assert_eq!(expand(text), expanded);
    }
    let path = std::env::var("PATH").expect("PATH");
    assert_eq!(expand("%(ENV_PATH)s"), path);
}

#[test]
fn all_else_is_literal() {
    for text in [
        "date +%s",
        "%2B",
        "%t_%p",
        "100%",
        "%%",
        "%(",
        "%()s",
        "%(x)s",
        "%(process_num)",
        "%(process_num)x",
        "%(process_num)999d",
        "%(program_name)d",
        "%(process_num",
        "%(ENV_)s",
        "%(ENV_SUPERVICE_NOT_SET)s",
        "%(here )s",
    ] {
        assert_eq!(expand(text), text);
    }
    assert_eq!(expand("%(%(process_num)d"), "%(7");
}

#[test]
fn unset_variables_are_found() {
    assert_eq!(unset_variable("a %(ENV_PATH)s %(ENV_SUPERVICE_NOT_SET)s"), Some("SUPERVICE_NOT_SET"));
    assert_eq!(unset_variable("%(ENV_PATH)s %(ENV_X)q %(ENV_Y"), None);
    assert_eq!(unset_variable("%(ENV_)s %(ENV_A=B)s"), None, "no variable has such a name");
}
