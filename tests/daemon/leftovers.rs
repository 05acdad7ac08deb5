//! What checks and hooks leave behind outside their process groups.

use std::fs;

use crate::harness::{Daemon, alive, wait_until, write_executable};

/// Leaves a process in a session of its own, whose pid it adds to the file `left`, and goes on when that is there.
const LEAVES: &str = "cd $(dirname $0)\nbefore=$(wc -l < left)\n\
    setsid sh -c 'echo $$ >> left; exec sleep 1000' &\nwhile test $(wc -l < left) = $before; do sleep 0.01; done\n";

fn begun(keys: &str) -> Daemon {
    let dir = tempfile::tempdir().expect("a directory");
    for name in ["left", "own"] {
        fs::write(dir.path().join(name), "").expect("a file");
    }
    let script = |name: &str, text: &str| write_executable(&dir.path().join(name), format!("#!/bin/sh\n{text}"));
    script("ends", LEAVES);
    script("hangs", &format!("{LEAVES}exec sleep 1000\n"));
    script(
        "program",
        &LEAVES.replace("left", "own").replace("sleep 0.01; done\n", "sleep 0.01; done\nexec sleep 1000\n"),
    );
    Daemon::start_in(dir, &format!("[program:p]\ncommand = DIR/program\nstartsecs = 0\n{keys}"), &[])
}

fn pids(daemon: &Daemon, name: &str) -> Vec<i32> {
    daemon.read(name).lines().filter_map(|line| line.parse().ok()).collect()
}

#[test]
fn what_a_check_leaves_outside_its_process_group_ends_with_it_and_nothing_else_does() {
    let daemon = begun(
        "healthcheck_type = script\nhealthcheck_command = DIR/ends\nhealthcheck_interval = 1\nhealthcheck_start_period = 0\n",
    );
    wait_until("two checks have left something", || pids(&daemon, "left").len() == 2);
    wait_until("it has gone", || pids(&daemon, "left").iter().take(2).all(|pid| !alive(*pid)));
    let own = pids(&daemon, "own");
    assert!(own.len() == 1 && alive(own[0]), "what the program has left is part of its run");
    assert_eq!((daemon.status("p").state.as_str(), daemon.status("p").restarts), ("RUNNING", Some(0)));
    daemon.terminate();
}

#[test]
fn a_hook_that_is_ended_leaves_nothing_and_one_that_ends_by_itself_may() {
    let daemon = begun("post_start = DIR/hangs\nhook_timeout = 1\n");
    wait_until("it has left something", || pids(&daemon, "left").len() == 1);
    wait_until("its time is up, and all of it is gone", || !alive(pids(&daemon, "left")[0]));
    assert!(alive(pids(&daemon, "own")[0]));
    daemon.terminate();
    // It may have started a service of the machine.
    let daemon = begun("pre_start = DIR/ends\n");
    daemon.wait_state("p", "RUNNING");
    assert_eq!(daemon.ctl(&["restart", "p"]).0, 0);
    let left = pids(&daemon, "left");
    assert_eq!(left.iter().map(|pid| alive(*pid)).collect::<Vec<_>>(), [true, true]);
    daemon.terminate();
    assert!(left.iter().all(|pid| !alive(*pid)), "it ends with the daemon");
}
