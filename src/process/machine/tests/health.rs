//! When health is checked, and what follows from the answers.

use super::*;

#[test]
fn the_first_check_comes_after_start_period_and_answers_do_not_shift_the_row() {
    let mut bench = Bench::started(checked);
    bench.wait(1_000 + 9_999);
    assert_eq!(bench.checks, 0);
    bench.wait(1);
    assert_eq!(bench.checks, 1);
    bench.wait(7_000);
    bench.health(true);
    assert_eq!(bench.machine.poll_timeout(), Some(bench.start + Duration::from_secs(1 + 10 + 30)));
    assert_eq!(bench.machine.healthy(), Some(true));
}

#[test]
fn a_late_answer_is_followed_by_one_check_and_the_old_row() {
    let mut bench = Bench::started(|config| {
        checked(config);
        config.healthcheck.timeout = 100;
    });
    bench.wait(11_000 + 70_000);
    assert_eq!(bench.checks, 1);
    bench.health(true);
    bench.wait(0);
    assert_eq!(bench.checks, 2);
    bench.health(true);
    assert_eq!(bench.machine.poll_timeout(), Some(bench.start + Duration::from_secs(11 + 90)));
}

#[test]
fn a_check_without_an_answer_counts_as_failed() {
    let mut bench = Bench::started(checked);
    bench.wait(11_000 + 45_000);
    assert_eq!(bench.machine.healthy(), Some(false));
    assert_eq!(bench.machine.health_message(), Some("the check gave no answer"));
}

#[test]
fn failing_checks_restart_with_growing_delays_until_fatal() {
    let mut bench = Bench::started(checked);
    for restart in 1..=4 {
        bench.wait(11_000);
        bench.health(false);
        bench.wait(30_000);
        bench.health(false);
        bench.end(Exit::Signal(TERM));
        if restart < 4 {
            assert_eq!(bench.seen(), [Starting, Running, Unhealthy, Stopping, Backoff]);
            assert_eq!(bench.machine.retry().map(|(number, of, _)| (number, of)), Some((restart, 3)));
            bench.wait(u64::from(restart) * 1_000);
        }
    }
    assert_eq!(bench.seen(), [Starting, Running, Unhealthy, Stopping, Fatal]);
    assert_eq!(bench.describe(), "health check failed 2 times: connection refused, gave up after 3 restarts");
}

#[test]
fn without_autorestart_it_stays_unhealthy_until_a_check_passes() {
    let mut bench = Bench::started(|config| {
        checked(config);
        config.autorestart = AutoRestart::Never;
    });
    bench.wait(11_000);
    for _ in 0..5 {
        bench.health(false);
        bench.wait(30_000);
    }
    assert_eq!(bench.describe(), "pid 11, unhealthy: connection refused");
    bench.health(true);
    assert_eq!(bench.seen(), [Starting, Running, Unhealthy, Running]);
}

#[test]
fn a_start_during_a_health_restart_comes_without_its_delay() {
    let mut bench = Bench::started(|config| {
        checked(config);
        config.healthcheck.retries = 1;
    });
    bench.wait(11_000);
    bench.health(false);
    bench.feed(start());
    bench.end(Exit::Signal(TERM));
    assert_eq!(bench.seen(), [Starting, Running, Unhealthy, Stopping, Stopped, Starting]);
}
