//! A panic in one place of the daemon harms nothing else. Debug builds have failpoints for it.

use std::process::Command;

use crate::harness::{Daemon, alive, marked, wait_until};

/// A daemon that will panic at this place, with the program `web` and a calm neighbour.
fn with_panic(place: &str, web: &str) -> Option<Daemon> {
    if !cfg!(debug_assertions) {
        eprintln!("SKIPPED: a release build has no failpoints");
        return None;
    }
    let mut daemon = Daemon::unstarted(tempfile::tempdir().expect("a directory"));
    daemon.write_config(
        &format!("[program:web]\nstartsecs = 0\n{web}\n[program:calm]\ncommand = sleep 1000\nstartsecs = 0"),
        &[],
    );
    let mut command = Command::new(env!("CARGO_BIN_EXE_supervice"));
    command.env("SUPERVICE_FAILPOINT", place);
    daemon.launch(command);
    daemon.wait_ready();
    daemon.wait_state("calm", "RUNNING");
    Some(daemon)
}

fn calm_is_well(daemon: Daemon) {
    assert_eq!(daemon.status("calm").state, "RUNNING");
    daemon.controller().restart_process("calm", false).expect("commands are done");
    daemon.terminate();
}

#[test]
fn a_panic_in_a_machine_ends_that_process_alone() {
    let Some(daemon) = with_panic("machine:web exited", "command = sleep 0.05") else { return };
    let status = daemon.wait_state("web", "FATAL");
    assert!(status.description.unwrap_or_default().contains("internal error"), "{}", daemon.log());
    daemon.controller().start_process("web").expect("an operator may try again");
    daemon.wait_state("web", "FATAL");
    calm_is_well(daemon);
}

#[test]
fn a_panic_in_a_turn_loses_no_answer() {
    let Some(daemon) = with_panic("command:ReopenLogs", "command = sleep 1000") else { return };
    let (code, _, error) = daemon.ctl(&["reopen"]);
    assert!(code == 1 && error.contains("internal error"), "{code}: {error}");
    daemon.wait_log("a request was lost");
    calm_is_well(daemon);
}

#[test]
fn a_panic_in_a_spawn_is_a_failed_spawn() {
    let Some(daemon) = with_panic("spawn:web", "command = sleep 1000\nstartretries = 0") else { return };
    let status = daemon.wait_state("web", "FATAL");
    assert!(status.description.unwrap_or_default().contains("internal error"), "{}", daemon.log());
    daemon.controller().start_process("web").expect_err("it panics again, and that is told");
    calm_is_well(daemon);
}

#[test]
fn a_panic_after_a_spawn_leaves_one_child_that_is_known() {
    let web = "command = sleep 1000\nenvironment = MARK=spawned-TEST";
    let Some(daemon) = with_panic("spawned:web", web) else { return };
    let pid = daemon.wait_state("web", "RUNNING").pid;
    wait_until("it has executed its program", || marked("spawned").len() == 1);
    assert!(pid.is_some_and(alive), "{}", daemon.log());
    daemon.controller().stop_process("web").expect("it can be stopped");
    wait_until("it is gone", || marked("spawned").is_empty());
    calm_is_well(daemon);
}

#[test]
fn what_runs_when_its_machine_panics_is_killed() {
    let web = "command = sh -c 'sleep 1000 & exec sleep 1000'\nenvironment = MARK=panic-TEST";
    for place in ["machine:web stop", "machine:web spawned"] {
        let Some(daemon) = with_panic(place, web) else { return };
        if place.ends_with("stop") {
            daemon.wait_state("web", "RUNNING");
            daemon.controller().stop_process("web").expect("nothing of it is left");
        }
        let status = daemon.wait_state("web", "FATAL");
        assert!(status.description.unwrap_or_default().contains("internal error"), "{}", daemon.log());
        wait_until("its processes are gone", || marked("panic").is_empty());
        calm_is_well(daemon);
    }
}

#[test]
fn a_panic_about_one_connection_closes_that_one() {
    let Some(daemon) = with_panic("connection:Command(ReopenLogs)", "command = sleep 1000") else { return };
    let (code, ..) = daemon.ctl(&["reopen"]);
    assert_ne!(code, 0);
    daemon.wait_log("closed after an internal error");
    calm_is_well(daemon);
}

#[test]
fn a_panic_about_output_loses_some_and_reads_on() {
    let web = "command = sh -c 'echo planted;sleep 0.3;echo after;exec sleep 1000'";
    let Some(daemon) = with_panic("output:planted\n", web) else { return };
    wait_until("what comes later is read", || daemon.ctl(&["tail", "web"]).1.contains("after"));
    daemon.wait_log("some output is lost");
    let pid = daemon.status("web").pid.expect("a pid");
    assert!(alive(pid), "its pipe was not closed");
    calm_is_well(daemon);
}

#[test]
fn a_panic_in_a_health_check_is_a_failed_check() {
    let web = "command = sleep 1000\nautorestart = false\nhealthcheck_type = tcp\nhealthcheck_port = 1\n\
               healthcheck_interval = 1\nhealthcheck_start_period = 0\nhealthcheck_retries = 2";
    let Some(daemon) = with_panic("health:", web) else { return };
    let status = daemon.wait_state("web", "UNHEALTHY");
    assert!(status.description.unwrap_or_default().contains("panicked"), "{}", daemon.log());
    calm_is_well(daemon);
}

#[test]
fn a_timer_whose_handling_panics_is_not_lost() {
    let Some(daemon) = with_panic("timer:Commit", "command = sleep 1000") else { return };
    daemon.write_config("[program:calm]\ncommand = sleep 1001\nstartsecs = 0", &[]);
    daemon.controller().update(Some(std::time::Duration::from_secs(1))).expect("an update");
    wait_until("it is tried again", || daemon.log().matches("a timer: an internal error").count() > 1);
    daemon.controller().confirm().expect("what the timer stands for is still there");
    calm_is_well(daemon);
}
