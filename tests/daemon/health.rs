//! `supervicectl health`: what a probe of a container's runtime asks.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::harness::{Daemon, alive, wait_for, word_in};

const PROGRAMS: &str = "[program:web]\ncommand = sleep 1000\nstartsecs = 0\n\
    [program:slow]\ncommand = sleep 1000\nstartsecs = 1000\n\
    [program:asleep]\ncommand = sleep 1000\nautostart = false\n\
    [program:broken]\ncommand = /missing/program\nautostart = false\nstartretries = 0\n";

#[test]
fn health_tells_which_and_why_in_one_line() {
    let daemon = Daemon::start(PROGRAMS);
    daemon.wait_state("web", "RUNNING");
    for (args, wanted, said) in [
        (&["health"][..], 0, "healthy: 2 processes\n"),
        (&["health", "--ready"], 1, "supervicectl: slow is STARTING, pid "),
        (&["health", "--ready", "web"], 0, "healthy: 1 process\n"),
        (&["health", "web", "asleep"], 1, "supervicectl: asleep is STOPPED, not started\n"),
        (&["health", "wbe"], 1, "supervicectl: no process 'wbe'; did you mean 'web'?\n"),
    ] {
        let (code, out, errors) = daemon.ctl(args);
        assert_eq!(code, wanted, "{args:?} {out}{errors}");
        let text = out + &errors;
        assert!(text.starts_with(said) && text.lines().count() == 1, "{args:?} {text}");
    }
    daemon.ctl(&["start", "broken"]);
    daemon.wait_state("broken", "FATAL");
    let (code, _, errors) = daemon.ctl(&["health", "broken"]);
    assert!(code == 1 && errors.contains("broken is FATAL, cannot execute /missing/program: No such file"), "{errors}");
    daemon.ctl(&["stop", "web"]);
    assert_eq!(daemon.ctl(&["health"]).2, "supervicectl: web is STOPPED, stopped by request\n");
    daemon.terminate();
}

#[test]
fn health_follows_the_health_check() {
    let daemon = Daemon::start(
        "[program:web]\ncommand = sleep 1000\nstartsecs = 0\nautorestart = false\nhealthcheck_type = script\n\
         healthcheck_command = test -e DIR/well\nhealthcheck_interval = 1\nhealthcheck_retries = 1\n\
         healthcheck_start_period = 0\n",
    );
    daemon.wait_state("web", "UNHEALTHY");
    let (code, _, errors) = daemon.ctl(&["health"]);
    assert!(code == 1 && errors.contains("web is UNHEALTHY"), "{errors}");
    std::fs::write(daemon.path("well"), "").expect("a file");
    daemon.wait_state("web", "RUNNING");
    assert_eq!(daemon.ctl(&["health", "--ready"]).0, 0);
    daemon.terminate();
}

#[test]
fn health_never_hangs() {
    let mut daemon = Daemon::start("[program:web]\ncommand = sleep 1000\nstartsecs = 0\n");
    daemon.wait_state("web", "RUNNING");
    daemon.signal(Signal::SIGSTOP);
    let begin = Instant::now();
    let (code, out, errors) = daemon.ctl(&["health"]);
    assert!(code == 1 && errors.contains("no answer"), "{out}{errors}");
    assert!(begin.elapsed() > Duration::from_millis(1900) && begin.elapsed() < Duration::from_secs(10));
    let begin = Instant::now();
    assert_eq!(daemon.ctl(&["--timeout", "0.2", "health"]).0, 1);
    assert!(begin.elapsed() < Duration::from_secs(8));
    daemon.signal(Signal::SIGCONT);
    wait_for("it is well again", || (daemon.ctl(&["health"]).0 == 0).then_some(()));
    daemon.signal(Signal::SIGTERM);
    daemon.wait();
    let (code, _, errors) = daemon.ctl(&["health"]);
    assert!(code == 1 && errors.contains("no daemon"), "{code} {errors}");
}

/// Checks by script, each a second after the other, that are answered by one.
fn checked(name: &str, script: &str, timeout: u32) -> String {
    format!(
        "[program:{name}]\ncommand = sleep 1000\nstartsecs = 0\nautorestart = false\nhealthcheck_type = script\n\
         healthcheck_command = {script}\nhealthcheck_interval = 1\nhealthcheck_retries = 1\n\
         healthcheck_start_period = 0\nhealthcheck_timeout = {timeout}\n"
    )
}

fn pid_in(daemon: &Daemon, file: &str) -> i32 {
    word_in(&daemon.path(file)).parse().expect("a pid")
}

/// Two checks under way at once are not taken for each other, and hold up nobody else's stop.
#[test]
fn each_script_answers_for_its_own_program() {
    let sections = checked("well", "sleep 0.3;exit 0", 100)
        + &checked("ill", "sleep 0.3;exit 1", 100)
        + &checked("slow", "echo $$ >DIR/slow;exec sleep 1000", 100)
        + "[program:other]\ncommand = sleep 1000\nstartsecs = 0\n";
    let daemon = Daemon::start(&sections);
    daemon.wait_state("ill", "UNHEALTHY");
    wait_for("the good answer", || (daemon.status("well").healthy == Some(true)).then_some(()));
    assert_eq!(daemon.status("well").state, "RUNNING");
    let script = pid_in(&daemon, "slow");
    assert_eq!(daemon.ctl(&["--timeout", "20", "stop", "other"]).0, 0);
    assert!(alive(script), "another one's");
    assert_eq!(daemon.ctl(&["--timeout", "20", "stop", "slow"]).0, 0);
    assert!(!alive(script), "it ends with its program");
    daemon.terminate();
}

#[test]
fn a_script_that_takes_too_long_is_ended() {
    let daemon = Daemon::start(&checked("web", "echo $$ >DIR/script;exec sleep 1000", 1));
    let script = pid_in(&daemon, "script");
    let status = daemon.wait_state("web", "UNHEALTHY");
    assert!(status.description.as_deref().unwrap_or_default().contains("within 1 s"), "{status:?}");
    wait_for("the script is gone", || (!alive(script)).then_some(()));
    daemon.terminate();
}

#[test]
fn a_program_that_is_removed_takes_the_thread_of_its_checks_with_it() {
    let daemon = Daemon::start(
        "[program:web]\ncommand = sleep 1000\nstartsecs = 0\nautorestart = false\nhealthcheck_type = tcp\n\
         healthcheck_port = 1\nhealthcheck_interval = 1\nhealthcheck_start_period = 0\n",
    );
    wait_for("the first answer", || daemon.status("web").healthy);
    let threads = || std::fs::read_dir(format!("/proc/{}/task", daemon.pid())).map_or(0, Iterator::count);
    let before = threads();
    daemon.write_config("", &[]);
    daemon.controller().reload().expect("it reloads");
    wait_for("the thread has ended", || (threads() < before).then_some(()));
    daemon.terminate();
}
