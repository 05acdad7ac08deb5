//! Programs that need others, in the real daemon. Rows are those of the list of what went wrong elsewhere.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{Daemon, wait_until};

/// A program that writes its start and its end, which takes a moment, into the file `order`.
fn writes(name: &str, keys: &str) -> String {
    format!(
        "[program:{name}]\ncommand = sh -c 'trap \"sleep 0.2; echo stop {name} >> order; exit 0\" TERM; \
         echo start {name} >> order; while :; do sleep 0.05; done'\nstartsecs = 1\n{keys}\n"
    )
}

fn stack() -> String {
    let sections = [writes("web", "requires = api"), writes("api", "requires = db"), writes("db", "")];
    sections.concat()
}

fn lines(daemon: &Daemon) -> Vec<String> {
    daemon.read("order").lines().map(str::to_owned).collect()
}

#[test]
fn row_53_a_stack_starts_and_ends_in_order_by_its_own_account() {
    let daemon = Daemon::start(&stack());
    daemon.wait_state("web", "RUNNING");
    wait_until("the last one has written", || lines(&daemon).len() == 3);
    let path = daemon.path("order");
    let copy = tempfile::NamedTempFile::new().expect("a file");
    assert_eq!(lines(&daemon), ["start db", "start api", "start web"]);
    // The directory goes with the daemon: its last words are kept elsewhere.
    std::fs::hard_link(&path, copy.path().with_extension("order")).expect("the same file system");
    let kept = copy.path().with_extension("order");
    daemon.terminate();
    let told = std::fs::read_to_string(&kept).expect("the order");
    std::fs::remove_file(&kept).expect("it is there");
    let told: Vec<&str> = told.lines().skip(3).collect();
    assert_eq!(told, ["stop web", "stop api", "stop db"]);
}

#[test]
fn a_stop_names_its_dependants_and_only_leaves_them_alone() {
    let daemon = Daemon::start(&stack());
    daemon.wait_state("web", "RUNNING");
    wait_until("the last one has written", || lines(&daemon).len() == 3);
    let (code, out, _) = daemon.ctl(&["stop", "db"]);
    assert_eq!((code, out.as_str()), (0, "Stopped db, and what needs it: web, api\n"));
    assert_eq!(lines(&daemon)[3..], ["stop web", "stop api", "stop db"]);
    let (code, out, _) = daemon.ctl(&["start", "web"]);
    assert_eq!((code, out.as_str()), (0, "Started web\n"));
    assert_eq!(daemon.status("db").state, "RUNNING");
    let (code, out, _) = daemon.ctl(&["restart", "db"]);
    assert_eq!((code, out.as_str()), (0, "Restarted db, and what needs it: web, api\n"));
    let before = daemon.status("web").pid;
    let (code, out, _) = daemon.ctl(&["restart", "--only", "db"]);
    assert_eq!((code, out.as_str()), (0, "Restarted db\n"));
    assert_eq!(daemon.status("web").pid, before);
}

#[test]
fn row_40_while_one_waits_for_the_other_the_daemon_answers_at_once() {
    let sections = "[program:a]\ncommand = sleep 1000\nstartsecs = 60\n\
                    [program:b]\ncommand = sleep 1000\nrequires = a\n";
    let daemon = Daemon::start(sections);
    let waiting = daemon.wait_state("b", "STARTING");
    assert_eq!(waiting.description.as_deref(), Some("waiting for a (STARTING)"));
    assert_eq!(waiting.pid, None);
    // The tests beside it may keep the machine busy: the best of a few counts.
    let taken = (0..20).map(|_| {
        let begun = Instant::now();
        daemon.all();
        begun.elapsed()
    });
    let best = taken.min().expect("some");
    assert!(best < Duration::from_millis(50), "{best:?}");
    let (_, why, _) = daemon.ctl(&["why", "b"]);
    assert!(why.contains("waiting for a (STARTING)"), "{why}");
    assert!(why.contains("Next: it starts as soon as that holds."), "{why}");
}

#[test]
fn a_start_says_at_once_that_what_it_needs_has_failed_and_comes_up_when_that_is_there() {
    let sections = "[program:web]\ncommand = sleep 1000\nrequires = db\nautostart = false\nstartsecs = 0\n\
                    [program:db]\ncommand = sh -c 'test -e there || exit 3; exec sleep 1000'\nautostart = false\n";
    let daemon = Daemon::start(sections);
    let (code, _, err) = daemon.ctl(&["start", "web"]);
    assert_ne!(code, 0);
    assert!(err.contains("it waits for db, which is BACKOFF: exit code 3"), "{err}");
    assert_eq!(daemon.status("web").state, "STARTING");
    std::fs::write(daemon.path("there"), "").expect("written");
    daemon.wait_state("web", "RUNNING");
}

#[test]
fn why_tells_that_a_program_starts_by_itself_when_what_it_needs_is_back() {
    let sections = "[program:web]\ncommand = sleep 1000\nrequires = db\nstartsecs = 0\n\
                    [program:db]\ncommand = sh -c 'test -e there || exit 3; exec sleep 1000'\nstartretries = 0\n";
    let daemon = Daemon::start(sections);
    daemon.wait_state("web", "FATAL");
    let (_, why, _) = daemon.ctl(&["why", "web"]);
    assert!(why.contains("it needs db, which is FATAL"), "{why}");
    assert!(why.contains("Next: it starts by itself when db gets there."), "{why}");
    std::fs::write(daemon.path("there"), "").expect("written");
    daemon.controller().start_process("db").expect("it is mended");
    daemon.wait_state("web", "RUNNING");
}

#[test]
fn row_42_what_is_bound_comes_back_with_what_it_is_bound_to() {
    let sections = "[program:db]\ncommand = sleep 1000\nstartsecs = 0\n\
                    [program:api]\ncommand = sleep 1000\nstartsecs = 0\nbinds = db\n\
                    [program:web]\ncommand = sleep 1000\nstartsecs = 0\nbinds = api\n";
    let daemon = Daemon::start(sections);
    daemon.wait_state("web", "RUNNING");
    for _ in 0..3 {
        let before = ["db", "api", "web"].map(|name| daemon.wait_state(name, "RUNNING").pid);
        kill(Pid::from_raw(before[0].expect("a process")), Signal::SIGKILL).expect("kill");
        wait_until("all of them are up again, anew", || {
            let now = ["db", "api", "web"].map(|name| daemon.status(name).pid);
            now.iter().zip(before).all(|(now, before)| now.is_some() && *now != before)
        });
    }
}

#[test]
fn row_50_and_39_a_reload_with_a_circle_changes_nothing_and_says_which() {
    let daemon = Daemon::start("[program:a]\ncommand = sleep 1000\n[program:b]\ncommand = sleep 1000\nrequires = a\n");
    daemon.wait_state("b", "RUNNING");
    let before = daemon.status("a").pid;
    daemon.write_config(
        "[program:a]\ncommand = sleep 1000\nrequires = b\n[program:b]\ncommand = sleep 1000\nrequires = a\n",
        &[],
    );
    let (code, _, err) = daemon.ctl(&["reload"]);
    assert_ne!(code, 0);
    assert!(err.contains("each waits for the next: a -> b"), "{err}");
    daemon.write_config("[program:b]\ncommand = sleep 1000\nrequires = a\n", &[]);
    let (code, _, err) = daemon.ctl(&["update"]);
    assert_ne!(code, 0);
    assert!(err.contains("no such program: a"), "{err}");
    assert_eq!(daemon.status("a").pid, before);
}

#[test]
fn a_check_prints_the_stages() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("x.conf");
    std::fs::write(&path, stack() + "[program:alone]\ncommand = sleep 1000\n").expect("written");
    let mut check = std::process::Command::new(env!("CARGO_BIN_EXE_supervice"));
    let output = check.args(["--check", "--graph", "-c"]).arg(&path).output().expect("it runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "1: db, alone\n2: api\n3: web\n");
    assert_eq!(output.status.code(), Some(0));
}
