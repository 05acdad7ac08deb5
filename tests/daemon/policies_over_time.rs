//! Restart policies and pauses where an update waits to be confirmed, and where the daemon is killed in between.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::harness::{Daemon, alive, wait_until};

fn tell(daemon: &Daemon, args: &[&str]) -> String {
    let (code, text, errors) = daemon.ctl(args);
    assert_eq!(code, 0, "{args:?}: {text}{errors}\n{}", daemon.log());
    text
}

fn pid(daemon: &Daemon, name: &str) -> i32 {
    daemon.wait_state(name, "RUNNING").pid.expect("it runs")
}

/// Kills it and begins another one in its place.
fn killed_and_begun_again(mut daemon: Daemon) -> Daemon {
    daemon.signal(Signal::SIGKILL);
    daemon.wait();
    daemon.launch(Command::new(env!("CARGO_BIN_EXE_supervice")));
    daemon.wait_ready();
    daemon
}

fn wait_taken_back(daemon: &Daemon) {
    daemon.wait_log("the update is taken back: ");
}

#[test]
fn a_pause_outlasts_an_update_of_others_and_its_way_back() {
    let with = |seconds: u32| {
        format!(
            "[program:p]\ncommand = sleep 300\nstartsecs = 0\n[program:q]\ncommand = sleep {seconds}\nstartsecs = 0\n"
        )
    };
    let daemon = Daemon::start(&with(300));
    let (p, q) = (pid(&daemon, "p"), pid(&daemon, "q"));
    tell(&daemon, &["pause", "p"]);
    daemon.write_config(&with(301), &[]);
    tell(&daemon, &["update", "--confirm", "1"]);
    assert_ne!(pid(&daemon, "q"), q);
    wait_taken_back(&daemon);
    assert_eq!((daemon.status("p").pid, daemon.status("p").paused), (Some(p), Some(19)));
    tell(&daemon, &["resume", "p"]);
    assert_eq!((daemon.status("p").pid, daemon.status("p").paused), (Some(p), None));
    daemon.terminate();
}

#[test]
fn what_is_paused_when_the_daemon_dies_does_not_outlive_it() {
    let daemon = Daemon::start("[program:p]\ncommand = sleep 300\nstartsecs = 0\n");
    let before = pid(&daemon, "p");
    tell(&daemon, &["pause", "p"]);
    let daemon = killed_and_begun_again(daemon);
    let after = pid(&daemon, "p");
    assert_ne!(after, before);
    wait_until("the old one has gone", || !alive(before));
    assert_eq!(daemon.status("p").paused, None);
    daemon.terminate();
}

#[test]
fn a_program_that_an_update_has_ruined_acts_once_and_comes_back_with_the_way_back() {
    let with = |command: &str| {
        format!(
            "[program:p]\ncommand = {command}\nstartsecs = 0\nautorestart = true\nrestart_limit = 1/60\n\
             on_fatal = command:sh -c 'echo x >> DIR/fatal'\n"
        )
    };
    let daemon = Daemon::start(&with("sleep 300"));
    pid(&daemon, "p");
    daemon.write_config(&with("false"), &[]);
    let _ = daemon.ctl(&["update", "--confirm", "300"]);
    wait_taken_back(&daemon);
    pid(&daemon, "p");
    wait_until("it was told of", || daemon.read("fatal") == "x\n");
    daemon.terminate();
}

/// What is written before the run is watched is what it begins with: once more, then.
fn change_until_restarted(daemon: &Daemon) {
    let (mut writes, mut written) = (0, Instant::now());
    wait_until("it is restarted for that", || {
        if writes == 0 || written.elapsed() > Duration::from_secs(6) {
            (writes, written) = (writes + 1, Instant::now());
            fs::write(daemon.path("watched"), format!("{} {writes}", daemon.pid())).expect("written");
        }
        let (_, why, _) = daemon.ctl(&["why", "p"]);
        why.contains("/watched")
    });
}

#[test]
fn a_file_is_watched_after_the_way_back_and_by_the_next_daemon() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("watched"), "one").expect("written");
    fs::write(dir.path().join("other"), "one").expect("written");
    let with =
        |path: &str| format!("[program:p]\ncommand = sleep 300\nstartsecs = 0\nrestart_on_change = DIR/{path}\n");
    let daemon = Daemon::start_in(dir, &with("watched"), &[]);
    pid(&daemon, "p");
    daemon.write_config(&with("other"), &[]);
    tell(&daemon, &["update", "--confirm", "1"]);
    wait_taken_back(&daemon);
    change_until_restarted(&daemon);
    // What has changed while no daemon was there is what the next one begins with.
    let mut daemon = daemon;
    daemon.signal(Signal::SIGKILL);
    daemon.wait();
    fs::write(daemon.path("watched"), "three").expect("written");
    daemon.write_config(&with("watched"), &[]);
    daemon.launch(Command::new(env!("CARGO_BIN_EXE_supervice")));
    daemon.wait_ready();
    let log = daemon.log();
    assert!(!log.contains("by a change of"), "{log}");
    change_until_restarted(&daemon);
    daemon.terminate();
}

#[test]
fn a_lifetime_goes_on_after_the_way_back_and_with_the_next_daemon() {
    let with = |seconds: u32| format!("[program:p]\ncommand = sleep 300\nstartsecs = 0\nmax_lifetime = {seconds}\n");
    let daemon = Daemon::start(&with(1));
    let renewed = |daemon: &Daemon| {
        let before = pid(daemon, "p");
        wait_until("it is renewed", || daemon.status("p").pid.is_some_and(|pid| pid != before));
    };
    renewed(&daemon);
    daemon.write_config(&with(0), &[]);
    tell(&daemon, &["update", "--confirm", "1"]);
    wait_taken_back(&daemon);
    renewed(&daemon);
    daemon.write_config(&with(1), &[]);
    let daemon = killed_and_begun_again(daemon);
    renewed(&daemon);
    daemon.terminate();
}
