//! Programs that need others, in the real daemon. Rows are those of the list of what went wrong elsewhere.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{Daemon, wait_until};

/// A program that writes its start and its end, which takes a moment, into the file `order`; it says when it has begun.
fn writes(name: &str, keys: &str) -> String {
    format!(
        "[program:{name}]\ncommand = sh -c 'trap \"sleep 0.2; echo stop {name} >> order; exit 0\" TERM; \
         echo start {name} >> order; echo up; while :; do sleep 0.05; done'\nready = log:up\nstopwaitsecs = 60\n{keys}\n"
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
    let on: Vec<_> = waiting.waiting_for.iter().map(|on| (on.kind.as_str(), on.name.as_deref())).collect();
    assert_eq!(on, [("process", Some("a"))]);
    let (_, json, _) = daemon.ctl(&["status", "--json", "b"]);
    let typed = r#""waiting_for":[{"condition":"ready","kind":"process","name":"a","state":"STARTING"}]"#;
    assert!(json.contains(typed), "{json}");
    // The tests beside it may keep the machine busy: the best of a few counts.
    let taken = (0..20).map(|_| {
        let begun = Instant::now();
        daemon.all();
        begun.elapsed()
    });
    let best = taken.min().expect("some");
    assert!(best < Duration::from_secs(1), "{best:?}");
    let (_, why, _) = daemon.ctl(&["why", "b"]);
    assert!(why.contains("waiting for a (STARTING)"), "{why}");
    assert!(why.contains("b waits for a, which is STARTING: pid "), "{why}");
    assert!(why.contains("Next: it starts as soon as that holds."), "{why}");
}

#[test]
fn a_start_says_at_once_that_what_it_needs_has_failed_and_comes_up_when_that_is_there() {
    let sections = "[program:web]\ncommand = sleep 1000\nrequires = db\nautostart = false\nstartsecs = 0\n\
                    [program:db]\ncommand = sh -c 'test -e there || exit 3; echo up; exec sleep 1000'\nautostart = false\nready = log:up\n";
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
                    [program:db]\ncommand = sh -c 'test -e there || exit 3; echo up; exec sleep 1000'\nstartretries = 0\nready = log:up\n";
    let daemon = Daemon::start(sections);
    daemon.wait_state("web", "FATAL");
    let (_, why, _) = daemon.ctl(&["why", "web"]);
    assert!(why.contains("it needs db, which is FATAL"), "{why}");
    assert!(why.contains("Next: it starts by itself as soon as db is as required."), "{why}");
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

#[test]
fn graph_shows_who_needs_whom() {
    let sections = "[program:web]\ncommand = sleep 1000\nrequires = api\nstartsecs = 0\n\
                    [program:api]\ncommand = sleep 1000\nbinds = db:started\nstartsecs = 0\n\
                    [program:db]\ncommand = sleep 1000\nstartsecs = 0\n";
    let daemon = Daemon::start(sections);
    daemon.wait_state("web", "RUNNING");
    let (code, out, err) = daemon.ctl(&["graph"]);
    let tree = "web  RUNNING\n└─ requires api  RUNNING\n   └─ binds db:started  RUNNING\n";
    assert_eq!((code, out.as_str(), err.as_str()), (0, tree, ""));
    let (code, out, _) = daemon.ctl(&["graph", "--reverse", "db"]);
    let tree = "db  RUNNING\n└─ binds it to be started: api  RUNNING\n   └─ requires it: web  RUNNING\n";
    assert_eq!((code, out.as_str()), (0, tree));
    let graph = daemon.controller().graph(&["web".to_owned()]).expect("an answer");
    let names: Vec<&str> = graph.iter().map(|item| item.name.as_str()).collect();
    assert_eq!(names, ["web", "api", "db"]);
}

#[test]
fn a_stop_of_all_is_one_operation_in_the_order_of_what_is_wanted_and_what_comes_after() {
    let sections = [writes("db", ""), writes("api", "after = db"), writes("web", "wants = api")].concat();
    let daemon = Daemon::start(&sections);
    daemon.wait_state("web", "RUNNING");
    wait_until("the last one has written", || lines(&daemon).len() == 3);
    let (code, out, err) = daemon.ctl(&["stop", "all"]);
    assert_eq!((code, out.as_str(), err.as_str()), (0, "Stopped db\nStopped api\nStopped web\n", ""));
    assert_eq!(lines(&daemon)[3..], ["stop web", "stop api", "stop db"]);
    let (code, out, err) = daemon.ctl(&["restart", "web", "api", "db", "bd"]);
    assert_eq!((code, out.as_str()), (1, "Restarted web\nRestarted api\nRestarted db\n"));
    assert_eq!(err, "supervicectl: no process 'bd'; did you mean 'db'?\n");
    wait_until("the last one has written", || lines(&daemon).len() == 9);
    assert_eq!(lines(&daemon)[6..], ["start db", "start api", "start web"]);
}

/// The one that needs the other is named first: it was restarted in its own turn, and then with the other.
#[test]
fn a_rolling_restart_goes_by_the_dependencies_whatever_is_named_first() {
    let daemon = Daemon::start(&[writes("db", ""), writes("web", "requires = db")].concat());
    daemon.wait_state("web", "RUNNING");
    wait_until("both have written", || lines(&daemon).len() == 2);
    let (code, out, err) = daemon.ctl(&["restart", "--rolling", "web", "db"]);
    let told = "Restarted db, and what needs it: web\nRestarted web with db\n";
    assert_eq!((code, out.as_str(), err.as_str()), (0, told, ""));
    wait_until("both have written", || lines(&daemon).len() == 6);
    assert_eq!(lines(&daemon)[2..], ["stop web", "stop db", "start db", "start web"]);
}

/// A program that needs it was said not to have restarted, and nothing of why.
#[test]
fn a_rolling_restart_that_fails_tells_why_of_the_one_that_has_failed() {
    let sections = "[program:w]\ncommand = sh -c 'test ! -e DIR/bad && exec sleep 1000'\nstartsecs = 1\nstartretries = 0\n\
                    numprocs = 2\n[program:t]\ncommand = sleep 1000\nstartsecs = 0\nrequires = w\n";
    let daemon = Daemon::start(sections);
    daemon.wait_state("t", "RUNNING");
    std::fs::write(daemon.path("bad"), "").expect("a file");
    let (code, out, err) = daemon.ctl(&["restart", "--rolling", "w:*"]);
    assert_eq!((code, out.as_str()), (1, ""), "{err}");
    assert!(err.starts_with("supervicectl: w:00 did not restart: FATAL: exit code 1"), "{err}");
    assert!(err.contains("not done: w:01"), "{err}");
    // The same of one alone, with those that need it behind.
    std::fs::remove_file(daemon.path("bad")).expect("it is there");
    assert_eq!(daemon.ctl(&["start", "w:00", "w:01", "t"]).0, 0);
    std::fs::write(daemon.path("bad"), "").expect("a file");
    let (code, out, err) = daemon.ctl(&["restart", "w:00", "w:01"]);
    assert_eq!((code, out.as_str()), (1, ""), "{err}");
    for name in ["w:00", "w:01", "t"] {
        assert!(err.contains(&format!("supervicectl: {name} did not restart: ")), "{name}: {err}");
    }
}

#[test]
fn what_was_scaled_away_comes_back_to_its_place() {
    let daemon = Daemon::start(
        "[program:w]\ncommand = sleep 1000\nnumprocs = 3\nstartsecs = 0\n[program:t]\ncommand = sleep 1000\nstartsecs = 0\n",
    );
    let names = || daemon.all().into_iter().map(|process| process.name).collect::<Vec<_>>();
    daemon.wait_state("t", "RUNNING");
    let before = names();
    assert_eq!(before, ["w:00", "w:01", "w:02", "t"]);
    assert_eq!(daemon.ctl(&["scale", "w", "1"]).0, 0);
    assert_eq!(daemon.ctl(&["scale", "w", "3"]).0, 0);
    assert_eq!(names(), before);
}

#[test]
fn a_stop_that_takes_too_long_names_those_that_hold_it() {
    let daemon = Daemon::start(
        "[program:p]\ncommand = sleep 1000\nstartsecs = 0\n[program:dep]\nstartsecs = 0\nrequires = p\nstopwaitsecs = 60\n\
         command = sh -c 'trap \"\" TERM; touch DIR/deaf; while :; do sleep 0.1; done'\n",
    );
    daemon.wait_state("dep", "RUNNING");
    wait_until("it is deaf", || daemon.path("deaf").exists());
    let (code, _, err) = daemon.ctl(&["--timeout", "0.2", "stop", "p"]);
    assert_eq!(code, 4, "{err}");
    assert!(err.contains("those that need it did not stop either: dep (STOPPING: "), "{err}");
    daemon.ctl(&["kill", "dep"]);
}

#[test]
fn blame_tells_what_the_start_took_its_time_for() {
    let sections = "[program:web]\ncommand = sleep 1000\nrequires = db\nstartsecs = 0\n\
                    [program:db]\ncommand = sleep 1000\nstartsecs = 1\n";
    let daemon = Daemon::start(sections);
    daemon.wait_state("web", "RUNNING");
    let blame = daemon.controller().blame(&[]).expect("an answer");
    assert_eq!(blame.critical_path, ["web", "db"]);
    let (web, db) = (&blame.processes[0], &blame.processes[1]);
    assert_eq!(web.waited_for.as_ref().and_then(|on| on.name.as_deref()), Some("db"));
    let (ready, spawned) = (db.ready.expect("it is ready"), web.spawned.expect("it was executed"));
    assert!(blame.began <= db.asked && db.asked + 1.0 <= ready && ready <= spawned + 0.0015, "{blame:?}");
    let (code, out, _) = daemon.ctl(&["blame"]);
    let path: Vec<&str> = out.lines().skip_while(|line| !line.starts_with("The critical path took ")).collect();
    assert_eq!((code, path.len()), (0, 3), "{out}");
    assert!(path[1].contains("  db was ready, ") && path[2].contains("  web was ready, "), "{out}");
}

#[test]
fn start_limit_lets_so_many_start_at_one_time() {
    let command = "sh -c 'until [ -e go ]; do sleep 0.05; done; echo up; exec sleep 1000'";
    let program = |name: &str| format!("[program:{name}]\ncommand = {command}\nready = log:up\n");
    let sections = ["a", "b", "c"].map(program).concat();
    let daemon = Daemon::start_in(tempfile::tempdir().expect("a directory"), &sections, &["start_limit = 1"]);
    let last = daemon.wait_state("c", "STARTING");
    assert_eq!(last.description.as_deref(), Some("waiting for a start slot"));
    assert_eq!((last.pid, last.waiting_for[0].kind.as_str()), (None, "start_slot"));
    std::fs::write(daemon.path("go"), "").expect("written");
    daemon.wait_state("c", "RUNNING");
    let blame = daemon.controller().blame(&[]).expect("an answer").processes;
    let moments: Vec<(f64, f64)> = blame.iter().filter_map(|start| start.spawned.zip(start.ready)).collect();
    assert!(moments.windows(2).all(|pair| pair[0].1 <= pair[1].0 + 0.0015), "{moments:?}");
}

/// The budget of the shutdown is for all stages: one that does not end is killed in time for those behind it, which end in order.
#[test]
fn a_stage_of_the_shutdown_that_does_not_end_leaves_the_later_ones_their_share() {
    let deaf = "[program:web]\ncommand = sh -c 'trap \"\" TERM; echo start web >> order; while :; do sleep 0.05; done'\n\
                startsecs = 1\nstopwaitsecs = 1000\nrequires = api\n";
    let sections =
        [deaf, &writes("api", "stopwaitsecs = 8\nrequires = db"), &writes("db", "stopwaitsecs = 8")].concat();
    let mut daemon = Daemon::start_in(tempfile::tempdir().expect("a directory"), &sections, &["shutdown_timeout = 24"]);
    daemon.wait_state("web", "RUNNING");
    wait_until("the last one has written", || lines(&daemon).len() == 3);
    let begun = Instant::now();
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait().code(), Some(0), "{}", daemon.log());
    assert!(begun.elapsed() > Duration::from_secs(2), "nobody is killed as long as there is time: {}", daemon.log());
    assert_eq!(lines(&daemon)[3..], ["stop api", "stop db"], "{}", daemon.log());
    let log = daemon.log();
    let killed: Vec<&str> = log.lines().filter(|line| line.contains("killed by SIGKILL")).collect();
    assert!(killed.len() == 1 && killed[0].contains("web:"), "{log}");
}

/// Nothing is killed early: whoever takes long gets the time that the others do not need.
#[test]
fn a_stage_of_the_shutdown_may_use_what_the_others_do_not_need() {
    let slow = "[program:web]\ncommand = sh -c 'trap \"sleep 3; echo stop web >> order; exit 0\" TERM; \
                echo start web >> order; while :; do sleep 0.05; done'\nstartsecs = 1\nstopwaitsecs = 1000\nrequires = db\n";
    let sections = [slow, &writes("db", "stopwaitsecs = 30")].concat();
    let mut daemon = Daemon::start_in(tempfile::tempdir().expect("a directory"), &sections, &["shutdown_timeout = 60"]);
    daemon.wait_state("web", "RUNNING");
    wait_until("the last one has written", || lines(&daemon).len() == 2);
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait().code(), Some(0), "{}", daemon.log());
    assert_eq!(lines(&daemon)[2..], ["stop web", "stop db"], "{}", daemon.log());
    // That it may come to that is a warning.
    let killed = daemon.log().lines().any(|line| line.contains("SIGKILL") && !line.contains("warning"));
    assert!(!killed, "{}", daemon.log());
}

#[test]
fn a_completed_oneshot_with_a_stop_command_is_restarted_and_all_of_it_comes_up() {
    let with = |undo: &str| {
        format!(
            "[program:m]\ntype = oneshot\ncommand = true\nstop_command = {undo}\n\
             [program:w]\ncommand = sleep 1000\nstartsecs = 0\nrequires = m\n"
        )
    };
    let daemon = Daemon::start(&with("true"));
    daemon.wait_state("w", "RUNNING");
    for act in [&["restart", "m"][..], &["restart", "all"], &["update"]] {
        let before = daemon.status("w").pid;
        daemon.write_config(&with(if act == ["update"] { "sleep 0" } else { "true" }), &[]);
        let (code, said, err) = daemon.ctl(act);
        assert!(code == 0 && err.is_empty(), "{act:?}: {code} {said}{err}");
        let w = daemon.status("w");
        assert!(w.state == "RUNNING" && w.pid != before, "{act:?}: {w:?}");
    }
    daemon.terminate();
}

#[test]
fn what_is_bound_to_what_keeps_failing_is_told_of_and_given_up() {
    let daemon = Daemon::start(
        "[program:flap]\ncommand = sh -c 'sleep 1.3; exit 1'\nstartsecs = 0\n\
         [program:slow]\ncommand = sleep 1000\nstartsecs = 60\nbinds = flap\nautostart = false\n\
         [program:quick]\ncommand = sleep 1000\nstartsecs = 0\nbinds = flap\nrestart_limit = 2/600\n",
    );
    let (code, said, err) = daemon.ctl(&["start", "slow"]);
    let wanted = "slow did not start: flap, to which it is bound, has ended (exit code 1); it starts when";
    assert!(code == 1 && err.contains(wanted), "{code} {said}{err}");
    let quick = daemon.wait_state("quick", "FATAL");
    let why = quick.description.unwrap_or_default();
    assert!(why.contains("gave up after 2 restarts within 600 s (restart_limit)"), "{why}");
    assert_eq!(quick.restarts, Some(2));
    daemon.terminate();
}
