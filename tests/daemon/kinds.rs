//! Programs that stop by several signals, end on purpose, or tell themselves when they are ready.

use crate::harness::{Daemon, word_in};

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
