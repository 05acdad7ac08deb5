//! Pauses.

use super::*;
use crate::models::HealthCheckType;

const SIGCONT: u8 = 18;
const SIGSTOP: u8 = 19;

/// A program with health checks and a watchdog, up for two seconds.
fn checked() -> Bench {
    let mut bench = Bench::started(|config| {
        config.healthcheck.check_type = HealthCheckType::Tcp;
        config.healthcheck.start_period = 0;
        config.healthcheck.interval = 1;
        config.healthcheck.retries = 1;
        config.watchdog = 5;
    });
    bench.wait(2_000);
    bench
}

#[test]
fn nothing_asks_after_what_is_paused_and_all_begins_anew_when_it_goes_on() {
    let mut bench = checked();
    bench.feed(Event::PauseRequested);
    assert!(bench.machine.is_paused());
    assert_eq!((bench.machine.state(), bench.machine.poll_timeout()), (Running, None));
    bench.feed(Event::PauseRequested);
    bench.wait(3_600_000);
    assert_eq!(bench.machine.state(), Running);
    bench.feed(Event::ResumeRequested);
    assert!(!bench.machine.is_paused() && bench.machine.poll_timeout().is_some());
    assert_eq!(bench.signals(), [SIGSTOP, SIGCONT]);
}

#[test]
fn a_stop_lets_it_go_on_first_and_an_end_ends_the_pause() {
    let mut bench = checked();
    bench.feed(Event::PauseRequested);
    bench.feed(stop());
    assert_eq!(bench.signals(), [SIGSTOP, SIGCONT, 15]);
    let mut bench = checked();
    bench.feed(Event::PauseRequested);
    bench.end(Exit::Signal(9));
    assert!(!bench.machine.is_paused());
}

#[test]
fn what_does_not_run_is_not_paused_and_what_is_not_paused_does_not_go_on() {
    let mut bench = Bench::new(|_| ());
    bench.feed(Event::PauseRequested);
    assert_eq!(bench.machine.state(), Stopped);
    let mut bench = checked();
    bench.feed(Event::ResumeRequested);
    assert!(bench.signals().is_empty());
}
