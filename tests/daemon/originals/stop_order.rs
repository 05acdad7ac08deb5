//! In which order programs are told to stop when the daemon ends, in supervisord's dialect.

use std::fs;
use std::path::Path;

use super::{Running, SITE, Site};
use crate::harness::wait_until;
use crate::interop::python;

/// Writes down when it is told to stop, and when it ends a while later.
const TRAP: &str = "trap 'echo told $SUPERVISOR_GROUP_NAME >> DIR/order; sleep 0.3
echo ends $SUPERVISOR_GROUP_NAME >> DIR/order; exit 0' TERM
echo > DIR/facts/$$; while :; do sleep 0.05; done\n";

const ORDER: Site = Site {
    programs: 5,
    text: "[supervisord]\npidfile=DIR/daemon.pid\n\
           [program:last]\ncommand=sh DIR/trap\npriority=1\n\
           [program:middle-b]\ncommand=sh DIR/trap\npriority=50\n\
           [program:middle-a]\ncommand=sh DIR/trap\npriority=50\n\
           [program:x]\ncommand=sh DIR/trap\n[program:y]\ncommand=sh DIR/trap\npriority=1\n\
           [group:first]\nprograms=x,y\npriority=100\n",
    files: &[("trap", TRAP)],
    ..SITE
};

/// The same, until it is as expected: on a busy machine one member of a group may have ended before another one writes.
fn order_of_some(dir: &Path, daemon: &Path, expected: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for _ in 0..5 {
        found = order(dir, daemon);
        if found == expected {
            break;
        }
    }
    found
}

/// The lines of `order`, where members of one group that are told at the same time count once.
fn order(dir: &Path, daemon: &Path) -> Vec<String> {
    let file = dir.join("order");
    let _ = fs::remove_file(&file);
    let facts = dir.join("facts");
    fs::remove_dir_all(&facts).expect("removed");
    fs::create_dir(&facts).expect("a directory");
    let mut running = Running::start(&ORDER, dir, daemon);
    wait_until("all programs listen", || fs::read_dir(&facts).expect("facts").count() == ORDER.programs);
    running.end();
    let mut lines: Vec<String> = fs::read_to_string(file).expect("the order").lines().map(str::to_owned).collect();
    lines.dedup();
    lines
}

/// Groups by priority, the highest first, names backwards; each group is gone before the next one is told.
#[test]
fn originals_supervisord_shutdown_is_the_reverse_of_the_start() {
    let Some(python) = python() else { return };
    let dir = tempfile::tempdir().expect("a directory");
    ORDER.write(dir.path());
    let groups = ["first", "middle-b", "middle-a", "last"];
    let expected: Vec<String> =
        groups.iter().flat_map(|name| [format!("told {name}"), format!("ends {name}")]).collect();
    assert_eq!(order_of_some(dir.path(), &python.with_file_name("supervisord"), &expected), expected);
    assert_eq!(order_of_some(dir.path(), Path::new(env!("CARGO_BIN_EXE_supervice")), &expected), expected);
}
