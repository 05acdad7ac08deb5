//! Interleavings and crowds that once made the daemon slow, late or wrong.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::harness::{Daemon, alive, wait_until};

#[test]
fn many_groups_that_outlive_their_leaders_delay_nobody() {
    // The sleeps in the background ignore TERM; each has to be waited for until SIGKILL ends it.
    let daemon = Daemon::start(
        "[program:p]\nnumprocs = 100\ncommand = sh -c 'trap \"\" TERM; sleep 1000 & trap - TERM; echo up; exec sleep 1000'\n\
         startsecs = 0\nstopwaitsecs = 5\nstdout_logfile = DIR/%(process_num)s.out\n[group:g]\nprograms = p",
    );
    wait_until("all have set their traps", || {
        (0..100).all(|number| daemon.read(&format!("{number:02}.out")) == "up\n")
    });
    let mut slowest = Duration::ZERO;
    std::thread::scope(|scope| {
        let stop = scope.spawn(|| daemon.controller().stop_group("g"));
        while !stop.is_finished() {
            let begin = Instant::now();
            assert_eq!(daemon.all().len(), 100);
            slowest = slowest.max(begin.elapsed());
        }
        stop.join().expect("no panic").expect("all have gone in time");
    });
    assert!(slowest < Duration::from_secs(60), "a status took {slowest:?}");
    daemon.terminate();
}

/// Somebody presses Ctrl-C again and again: the end is an orderly one, and is told as one.
#[test]
fn signals_at_the_end_change_no_exit_code() {
    for _ in 0..10 {
        let mut daemon = Daemon::start("[program:p]\ncommand = sleep 1000\nstartsecs = 0");
        daemon.wait_state("p", "RUNNING");
        while alive(daemon.pid()) {
            daemon.signal(Signal::SIGTERM);
            daemon.signal(Signal::SIGINT);
        }
        assert_eq!(daemon.wait().code(), Some(0), "{}", daemon.log());
    }
}
