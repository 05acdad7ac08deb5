//! When health is checked, and what follows from the answers.

use super::*;
use crate::models::HealthAction;

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

fn unhealthy(action: HealthAction) -> Bench {
    let mut bench = Bench::started(|config| {
        checked(config);
        config.healthcheck.action = action;
    });
    bench.wait(11_000);
    for _ in 0..4 {
        bench.health(false);
        bench.wait(30_000);
    }
    assert_eq!(bench.seen(), [Starting, Running, Unhealthy], "it goes on");
    bench
}

#[test]
fn none_leads_to_nothing() {
    let mut bench = unhealthy(HealthAction::None);
    assert_eq!((bench.signals(), bench.commands), (vec![], 0));
    bench.health(true);
    assert_eq!(bench.seen(), [Running]);
}

#[test]
fn a_signal_is_sent_once_each_time_it_becomes_unhealthy() {
    let mut bench = unhealthy(HealthAction::Signal("HUP".to_owned()));
    assert_eq!((bench.signals(), bench.targets.as_slice()), (vec![1], &[SignalTarget::Leader][..]));
    assert_eq!(bench.whys(), [KillWhy::HealthAction]);
    bench.health(true);
    for _ in 0..2 {
        bench.wait(30_000);
        bench.health(false);
    }
    assert_eq!((bench.seen(), bench.signals()), (vec![Running, Unhealthy], vec![1]));
    bench.feed(stop());
    assert_eq!(bench.signals(), [TERM], "a stop is none the worse for it");
}

#[test]
fn a_command_is_run_once_each_time_it_becomes_unhealthy() {
    let mut bench = unhealthy(HealthAction::Command("page somebody".to_owned()));
    assert_eq!((bench.signals(), bench.commands), (vec![], 1));
}

#[test]
fn row_110_each_run_begins_unknown_and_what_was_found_of_the_one_before_counts_for_nothing() {
    let mut bench = Bench::started(checked);
    bench.wait(11_000);
    bench.health(false);
    let before = bench.machine.generation();
    bench.feed(restart(false));
    bench.end(Exit::Signal(TERM));
    bench.wait(1_000);
    assert_eq!((bench.machine.healthy(), bench.machine.health_message()), (None, None));
    for _ in 0..5 {
        let message = "late".to_owned();
        bench.feed(Event::HealthReported { generation: before, healthy: false, message });
    }
    assert_eq!((bench.machine.state(), bench.machine.healthy()), (Running, None));
    bench.wait(10_000);
    bench.health(false);
    assert_eq!(bench.machine.state(), Running, "of two failures in a row this is the first");
}
