//! `output_watch`, with programs that really hang.

use crate::harness::{Daemon, wait_until};

#[test]
fn what_hangs_is_restarted_and_what_writes_is_left_alone() {
    let daemon = Daemon::start(
        "[program:hung]\ncommand = sh -c 'echo up; exec sleep 300'\nstartsecs = 0\nstartretries = unlimited\n\
         output_watch = silence:1\n\n\
         [program:busy]\ncommand = sh -c 'while :; do echo tick >&2; sleep 0.05; done'\nstartsecs = 0\n\
         output_watch = silence:9\n\n\
         [program:stopped]\ncommand = sh -c 'while :; do echo tick; sleep 0.05; done'\nstartsecs = 0\n\
         stopasgroup = true\noutput_watch = silence:3\n",
    );
    let busy = daemon.wait_state("busy", "RUNNING").pid;
    let stopped = daemon.wait_state("stopped", "RUNNING").pid.expect("a pid");
    assert!(std::process::Command::new("kill").args(["-STOP", &stopped.to_string()]).status().expect("kill").success());
    let restarts = |program: &str| {
        let (_, history, _) = daemon.ctl(&["history", program]);
        history.matches("BACKOFF").count()
    };
    wait_until("the hung one is restarted again and again", || restarts("hung") >= 4);
    wait_until("so is one that somebody has stopped", || restarts("stopped") >= 1);
    let (_, history, _) = daemon.ctl(&["history", "hung"]);
    assert!(history.contains("no output for 1 s (output_watch)"), "{history}");
    assert_eq!(daemon.wait_state("busy", "RUNNING").pid, busy);
    assert_eq!(restarts("busy"), 0);
    daemon.terminate();
}

#[test]
fn a_silent_one_is_unhealthy_until_it_writes_again_and_lines_are_acted_on() {
    let daemon = Daemon::start(
        "[program:app]\n\
         command = sh -c 'trap \"echo all is lost\" USR1; echo up; while :; do sleep 0.05; done'\nstartsecs = 0\n\
         healthcheck_action = none\n\
         output_watch =\n    silence:1 -> unhealthy\n    pattern:all is lost -> command:echo seen > DIR/seen\n",
    );
    wait_until("its trap is set", || daemon.ctl(&["tail", "app"]).1.contains("up"));
    daemon.wait_state("app", "UNHEALTHY");
    let (_, status, _) = daemon.ctl(&["status", "app"]);
    assert!(status.contains("no output for 1 s"), "{status}");
    daemon.ctl(&["signal", "USR1", "app"]);
    wait_until("the command is run", || daemon.path("seen").exists());
    wait_until("its end is noted, and that it was heard", || {
        let (_, history, _) = daemon.ctl(&["history", "app"]);
        history.contains("the command for its output (output_watch): exit code 0")
            && history.contains("it writes again")
    });
    daemon.terminate();
}
