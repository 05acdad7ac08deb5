//! Programs that stop by several signals, end on purpose, or tell themselves when they are ready.

use crate::harness::{Daemon, wait_until, word_in};

#[test]
fn a_stop_by_several_signals_goes_from_one_to_the_next() {
    let daemon = Daemon::start(
        "[program:p]\ncommand = sh -c 'trap : QUIT; trap \"exit 7\" TERM; echo up > DIR/up; while :; do sleep 0.02; done'\n\
         startsecs = 0\nstopsignal = QUIT:1, TERM:600\nstopasgroup = false",
    );
    word_in(&daemon.path("up"));
    daemon.controller().stop_process("p").expect("stop");
    assert_eq!(daemon.status("p").exit_code, Some(7));
    daemon.wait_log("SIGTERM: still there 1 s after SIGQUIT (stopsignal)");
    daemon.terminate();
}

/// Row 77: one run, whatever reloads there are.
#[test]
fn a_oneshot_runs_once_and_a_reload_does_not_run_it_again() {
    let sections = "[program:migrate]\ntype = oneshot\ncommand = sh -c 'echo run >> DIR/runs'\n\
                    [program:beside]\ncommand = sleep 1000\nstartsecs = 0";
    let daemon = Daemon::start(sections);
    let status = daemon.wait_state("migrate", "EXITED");
    assert_eq!(status.completed, Some(true));
    assert!(status.description.as_deref().is_some_and(|text| text.starts_with("completed after ")), "{status:?}");
    let controller = daemon.controller();
    daemon.write_config(&format!("{sections}\n[program:more]\ncommand = sleep 1000"), &[]);
    controller.reload().expect("reload");
    controller.update(None).expect("update");
    assert_eq!(daemon.read("runs"), "run\n");
    // What is asked for is told when it has completed, and so is what failed.
    controller.start_process("migrate").expect("start");
    assert_eq!(daemon.read("runs"), "run\nrun\n");
    daemon.terminate();
}

#[test]
fn a_oneshot_that_fails_is_fatal_at_once_and_says_why() {
    let daemon = Daemon::start(
        "[program:migrate]\ntype = oneshot\ncommand = sh -c 'echo no such table >&2; exit 3'\nautostart = false\n\
         [program:slow]\ntype = oneshot\ncommand = sleep 1000\nstart_timeout = 1\nautostart = false",
    );
    let controller = daemon.controller();
    let error = controller.start_process("migrate").expect_err("it fails").to_string();
    assert!(error.contains("exit code 3") && error.contains("no such table"), "{error}");
    assert_eq!(daemon.status("migrate").state, "FATAL");
    let error = controller.start_process("slow").expect_err("it takes too long").to_string();
    assert!(error.contains("not completed within 1 s (start_timeout)"), "{error}");
    daemon.terminate();
}

/// Whoever needs it, and whatever reloads there are, it does not run again by itself; `startretries` is such a policy.
#[test]
fn row_78_a_oneshot_that_has_failed_runs_again_only_where_a_policy_says_so() {
    let needs = |name: &str| format!("[program:{name}]\ncommand = sleep 1000\nstartsecs = 0\nrequires = once\n");
    let sections = "[program:once]\ntype = oneshot\ncommand = sh -c 'echo run >> DIR/once; exit 1'\n\
                    [program:thrice]\ntype = oneshot\ncommand = sh -c 'echo run >> DIR/thrice; exit 1'\nstartretries = 2\n\
                    restart_delay = 1\n"
        .to_owned()
        + &needs("one")
        + &needs("other");
    let daemon = Daemon::start(&sections);
    daemon.wait_state("one", "FATAL");
    daemon.wait_state("other", "FATAL");
    daemon.wait_state("thrice", "FATAL");
    daemon.write_config(&sections.replace("restart_delay = 1", "restart_delay = 2"), &[]);
    daemon.controller().reload().expect("reload");
    assert_eq!(daemon.status("other").state, "FATAL");
    assert_eq!((daemon.read("once").as_str(), daemon.read("thrice").as_str()), ("run\n", "run\nrun\nrun\n"));
    daemon.terminate();
}

#[test]
fn row_79_an_end_after_no_time_is_completed_and_a_good_state() {
    let daemon = Daemon::start("[program:quick]\ntype = oneshot\ncommand = true\nstartsecs = 5");
    daemon.wait_state("quick", "EXITED");
    let (code, out, _) = daemon.ctl(&["status", "quick"]);
    assert!(code == 0 && out.contains("completed"), "{code}: {out}");
    daemon.terminate();
}

/// The descriptors of a process, but for those that it opens itself to list them.
fn fds(pid: Option<i32>) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", pid.expect("it runs"))).expect("its descriptors").count()
}

/// The pipes of the daemon. Connections and files come and go with what it does beside.
fn pipes(daemon: &Daemon) -> usize {
    let fds = std::fs::read_dir(format!("/proc/{}/fd", daemon.pid())).expect("its descriptors");
    let target = |fd: std::io::Result<std::fs::DirEntry>| std::fs::read_link(fd.ok()?.path()).ok();
    fds.filter_map(target).filter(|target| target.to_string_lossy().starts_with("pipe:")).count()
}

#[test]
fn a_program_is_running_when_it_writes_a_line_feed_to_its_descriptor() {
    let script = |fd: &str| {
        format!("echo up > DIR/up-{fd}; read line < DIR/go-{fd}; echo >&{fd}; exec {fd}>&-; exec sleep 1000")
    };
    let dir = tempfile::tempdir().expect("a directory");
    for fd in ["3", "9"] {
        let path = dir.path().join(format!("go-{fd}"));
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("a fifo");
    }
    let daemon = Daemon::start_in(
        dir,
        &format!(
            "[program:number]\nready = fd:9\ncommand = bash -c '{}'\n\
             [program:name]\nready = fd:READY_FD\ncommand = bash -c 'test $READY_FD = 3; {}'\n\
             [program:other]\ncommand = sleep 1000\nstartsecs = 0",
            script("9"),
            script("3")
        ),
        &[],
    );
    for (name, fd) in [("number", "9"), ("name", "3")] {
        word_in(&daemon.path(&format!("up-{fd}")));
        let status = daemon.status(name);
        assert_eq!((status.state.as_str(), status.ready), ("STARTING", Some(false)), "{status:?}");
        let why = daemon.controller().why(name).expect("why").lines.join("\n");
        assert!(why.contains("waits for a line feed on its readiness descriptor"), "{why}");
        std::fs::write(daemon.path(&format!("go-{fd}")), "go\n").expect("it is read");
        let status = daemon.wait_state(name, "RUNNING");
        assert_eq!(status.ready, Some(true));
        wait_until("nothing of the pipe is left in it", || fds(status.pid) == 3);
    }
    let other = daemon.status("other");
    assert_eq!(other.ready, None);
    wait_until("what asks for none has none", || fds(other.pid) == 3);
    daemon.terminate();
}

/// Row 61.
#[test]
fn a_program_that_closes_its_descriptor_without_a_line_feed_is_told_so_at_once() {
    let daemon = Daemon::start(
        "[program:mute]\nready = fd:3\nstartretries = 0\nautostart = false\ncommand = bash -c 'exec 3>&-; exec sleep 1000'\n\
         [program:slow]\nready = fd:3\nstart_timeout = 1\nstartretries = 0\nautostart = false\ncommand = sleep 1000\n\
         [program:gone]\nready = fd:3\nstartretries = 0\nautostart = false\ncommand = bash -c 'exit 4'",
    );
    let before = pipes(&daemon);
    for (name, told) in [
        ("mute", "it will never be ready: it has closed its readiness descriptor without a line feed"),
        ("slow", "not ready within 1 s (start_timeout): it waited for a line feed on its readiness descriptor"),
        ("gone", "exit code 4"),
    ] {
        let error = daemon.controller().start_process(name).expect_err("it is not ready").to_string();
        assert!(error.contains(told), "{error}");
        assert_eq!(daemon.status(name).state, "FATAL");
    }
    wait_until("nothing is left open", || pipes(&daemon) == before);
    daemon.terminate();
}

#[test]
fn a_program_is_running_when_a_health_check_passes() {
    let check = "healthcheck_type = script\nhealthcheck_command = test -e DIR/well || { echo not yet >&2; exit 1; }";
    let daemon = Daemon::start(&format!("[program:p]\nready = health\ncommand = sleep 1000\n{check}"));
    wait_until("a check has failed", || daemon.status("p").healthy == Some(false));
    let status = daemon.status("p");
    assert_eq!((status.state.as_str(), status.ready), ("STARTING", Some(false)), "{status:?}");
    let why = daemon.controller().why("p").expect("why").lines.join("\n");
    assert!(why.contains("waits for a health check that passes") && why.contains("not yet"), "{why}");
    std::fs::write(daemon.path("well"), "").expect("a file");
    let status = daemon.wait_state("p", "RUNNING");
    assert_eq!((status.ready, status.healthy), (Some(true), Some(true)));
    daemon.terminate();
}
