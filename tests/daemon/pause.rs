//! `pause` and `resume`.

use nix::sys::signal::Signal;

use crate::harness::{Daemon, stat, wait_until, word_in};

fn state_of(pid: i32) -> Option<char> {
    stat(pid).map(|(_, _, state)| state)
}

#[test]
fn all_of_a_paused_program_rests_with_its_checks_until_it_goes_on() {
    let daemon = Daemon::start(
        "[program:web]\ncommand = sh -c 'sleep 300 & echo $! > DIR/worker; wait'\nstartsecs = 0\n\
         healthcheck_type = script\nhealthcheck_command = test -s DIR/worker || exit 0; echo x >> DIR/checks; kill -0 $(cat DIR/worker)\n\
         healthcheck_timeout = 100\n\
         healthcheck_interval = 1\nhealthcheck_start_period = 0\nhealthcheck_retries = 1\n",
    );
    let pid = daemon.wait_state("web", "RUNNING").pid.expect("a pid");
    wait_until("it is checked", || daemon.read("checks").lines().count() >= 1);
    let worker: i32 = daemon.read("worker").trim().parse().expect("a pid");
    assert_eq!(daemon.ctl(&["pause", "web"]), (0, "Paused web\n".to_owned(), String::new()));
    wait_until("all of it is stopped", || state_of(pid) == Some('T') && state_of(worker) == Some('T'));
    let (_, status, _) = daemon.ctl(&["status", "web"]);
    assert!(status.contains("RUNNING") && status.contains("paused (SIGSTOP)"), "{status}");
    let checks = daemon.read("checks").lines().count();
    std::thread::sleep(std::time::Duration::from_millis(2_500));
    // One may have been under way.
    assert!(daemon.read("checks").lines().count() <= checks + 1);
    assert_eq!(daemon.ctl(&["resume", "web"]).0, 0);
    wait_until("all of it goes on", || state_of(pid) == Some('S') && state_of(worker) == Some('S'));
    wait_until("it is checked again", || daemon.read("checks").lines().count() > checks + 1);
    let (_, history, _) = daemon.ctl(&["history", "web"]);
    assert!(history.contains("pause requested by") && history.contains("resume requested by"), "{history}");
    daemon.terminate();
}

#[test]
fn a_stop_lets_it_go_on_first_and_what_another_has_stopped_goes_on_too() {
    // No loop of short-lived commands: a shell that waits for one to be executed (vfork) while that one is stopped stays `D`.
    let daemon = Daemon::start(
        "[program:web]\ncommand = sh -c 'sleep 300 & trap \"echo ended >> DIR/said; exit\" TERM; echo up > DIR/up; wait'\nstartsecs = 0\n\
         stop_command = sh -c 'grep -q ^State:.S /proc/$MAINPID/status && echo alive >> DIR/said'\n\
         [program:down]\ncommand = sleep 300\nautostart = false\n",
    );
    let pid = daemon.wait_state("web", "RUNNING").pid.expect("a pid");
    word_in(&daemon.path("up"));
    daemon.signal_to("web", Signal::SIGSTOP);
    wait_until("somebody has stopped it", || state_of(pid) == Some('T'));
    assert_eq!(daemon.ctl(&["resume", "web"]).0, 0);
    wait_until("it goes on", || state_of(pid) != Some('T'));
    assert_eq!(daemon.ctl(&["pause", "web"]).0, 0);
    wait_until("it is stopped", || state_of(pid) == Some('T'));
    assert_eq!(daemon.ctl(&["stop", "web"]).0, 0);
    assert!(daemon.read("said").ends_with("ended\n"), "{}", daemon.read("said"));
    let (code, _, error) = daemon.ctl(&["pause", "down"]);
    assert!(code != 0 && error.contains("down has no process"), "{error}");
    daemon.terminate();
}
