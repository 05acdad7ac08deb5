//! Programs that tell by themselves that they are ready.

use super::*;
use crate::models::{Endpoint, Readiness};
use crate::process::ReadyReport;

fn tells(config: &mut ProgramConfig) {
    config.ready = Readiness::Fd(3);
    config.startsecs = 0;
    config.start_timeout = 30;
    config.startretries = 1;
}

fn tell(bench: &mut Bench, report: ReadyReport) {
    let generation = bench.machine.generation();
    bench.feed(Event::ReadyReported { generation, report });
}

#[test]
fn it_is_running_when_it_says_so_and_not_before() {
    let mut bench = Bench::started(tells);
    bench.wait(29_000);
    assert_eq!((bench.seen(), bench.machine.ready()), (vec![Starting], Some(false)));
    let waits = "pid 11, uptime 0:29, waits for a line feed on its readiness descriptor, 1 s more at most";
    assert_eq!(bench.describe(), waits);
    tell(&mut bench, ReadyReport::Ready);
    assert_eq!((bench.seen(), bench.machine.ready()), (vec![Running], Some(true)));
    assert_eq!(bench.causes().last().map(String::as_str), Some("ready: a line feed on its readiness descriptor"));
    tell(&mut bench, ReadyReport::Never);
    bench.wait(600_000);
    assert_eq!(bench.machine.state(), Running, "it has closed its descriptor, as it should");
}

#[test]
fn startsecs_is_a_lower_bound() {
    let mut bench = Bench::started(|config| {
        tells(config);
        config.startsecs = 5;
    });
    tell(&mut bench, ReadyReport::Ready);
    bench.wait(4_999);
    assert_eq!(bench.seen(), [Starting]);
    bench.wait(1);
    assert_eq!(bench.seen(), [Running]);
}

#[test]
fn what_is_not_ready_in_time_is_stopped_and_tried_again() {
    let mut bench = Bench::started(tells);
    bench.wait(30_000);
    assert_eq!((bench.seen(), bench.signals()), (vec![Starting, Stopping], vec![TERM]));
    bench.end(Exit::Signal(TERM));
    let told = "not ready within 30 s (start_timeout): it waited for a line feed on its readiness descriptor, retry 1 of 1 in 1 s";
    assert_eq!(bench.describe(), told);
    bench.wait(1_000);
    tell(&mut bench, ReadyReport::Ready);
    assert_eq!(bench.seen(), [Backoff, Starting, Running]);
}

#[test]
fn without_a_limit_it_is_waited_for_as_long_as_it_lives() {
    let mut bench = Bench::started(|config| {
        tells(config);
        config.start_timeout = 0;
    });
    bench.wait(86_400_000);
    assert_eq!((bench.machine.state(), bench.machine.poll_timeout()), (Starting, None));
}

/// Row 61: closed without a byte: `never ready` at once, not at the time-out.
#[test]
fn what_cannot_tell_any_more_is_stopped_at_once() {
    let mut bench = Bench::started(tells);
    bench.wait(100);
    tell(&mut bench, ReadyReport::Never);
    bench.wait(249);
    assert_eq!(bench.seen(), [Starting]);
    bench.wait(1);
    assert_eq!((bench.seen(), bench.whys()), (vec![Stopping], vec![KillWhy::StartFailed]));
    bench.end(Exit::Code(0));
    let told =
        "it will never be ready: it has closed its readiness descriptor without a line feed, retry 1 of 1 in 1 s";
    assert_eq!(bench.describe(), told);
}

/// Its descriptor ends before it does.
#[test]
fn what_ends_is_told_by_its_end_not_by_that_of_its_descriptor() {
    let mut bench = Bench::started(tells);
    tell(&mut bench, ReadyReport::Never);
    bench.wait(5);
    bench.end(Exit::Code(4));
    assert_eq!(bench.describe(), "exit code 4 after 0.0 s, retry 1 of 1 in 1 s");
}

/// Row 63: an end before it was ready ends the wait with that cause.
#[test]
fn an_end_before_it_was_ready_is_a_failed_attempt() {
    let mut bench = Bench::started(tells);
    bench.wait(10_000);
    bench.end(Exit::Code(1));
    assert_eq!(bench.seen(), [Starting, Exited, Backoff]);
    assert_eq!(bench.describe(), "exit code 1 after 10 s, retry 1 of 1 in 1 s");
}

#[test]
fn what_a_former_run_tells_late_is_not_of_this_one() {
    let mut bench = Bench::started(tells);
    bench.end(Exit::Code(1));
    bench.wait(1_000);
    bench.feed(Event::ReadyReported { generation: 1, report: ReadyReport::Ready });
    assert_eq!(bench.machine.state(), Starting);
}

fn checked_first(config: &mut ProgramConfig) {
    tells(config);
    config.ready = Readiness::Health;
    config.healthcheck.check_type = HealthCheckType::Tcp;
    config.healthcheck.interval = 30;
}

#[test]
fn it_is_checked_at_once_and_every_second_until_a_check_passes() {
    let mut bench = Bench::started(checked_first);
    bench.wait(0);
    assert_eq!(bench.checks, 1);
    bench.health(false);
    bench.wait(2_500);
    assert_eq!(bench.checks, 2, "none while one is under way");
    bench.health(false);
    bench.wait(500);
    assert_eq!((bench.checks, bench.machine.ready(), bench.machine.healthy()), (3, Some(false), Some(false)));
    bench.health(true);
    assert_eq!((bench.seen(), bench.machine.healthy()), (vec![Starting, Running], Some(true)));
    assert_eq!(bench.causes().last().map(String::as_str), Some("ready: a health check that passes"));
    bench.wait(29_999);
    assert_eq!(bench.checks, 3);
    bench.wait(1);
    assert_eq!(bench.checks, 4);
    for _ in 0..3 {
        bench.health(false);
        bench.wait(30_000);
    }
    assert_eq!(bench.seen(), [Unhealthy, Stopping]);
}

#[test]
fn failing_checks_are_no_failure_before_start_timeout() {
    let mut bench = Bench::started(checked_first);
    for _ in 0..29 {
        bench.wait(1_000);
        bench.health(false);
    }
    assert_eq!((bench.seen(), bench.machine.gives_up()), (vec![Starting], false));
    bench.wait(1_000);
    assert_eq!(bench.seen(), [Stopping]);
    bench.end(Exit::Signal(TERM));
    let told = "not ready within 30 s (start_timeout): it waited for a health check that passes (connection refused), retry 1 of 1 in 1 s";
    assert_eq!(bench.describe(), told);
}

#[test]
fn a_check_that_passes_before_startsecs_does_not_shorten_them() {
    let mut bench = Bench::started(|config| {
        checked_first(config);
        config.startsecs = 5;
    });
    bench.wait(0);
    bench.health(true);
    bench.wait(4_999);
    assert_eq!(bench.seen(), [Starting]);
    bench.wait(1);
    assert_eq!(bench.seen(), [Running]);
}

#[test]
fn a_check_that_answers_after_the_start_was_given_up_changes_nothing() {
    let mut bench = Bench::started(checked_first);
    bench.wait(30_000);
    assert_eq!(bench.machine.state(), Stopping);
    bench.health(true);
    assert_eq!(bench.machine.state(), Stopping);
}

fn tried(config: &mut ProgramConfig) {
    tells(config);
    config.ready = Readiness::Accepts(Box::new(Endpoint::Tcp { host: "db".to_owned(), port: 5432 }));
}

/// What a repeated try finds is told when it changes, and changes nothing else.
#[test]
fn readiness_is_tried_again_while_it_runs_and_restarts_nothing() {
    let mut bench = Bench::started(|config| {
        tried(config);
        config.ready_interval = 5;
    });
    bench.wait(1);
    bench.probed(true);
    assert_eq!((bench.seen(), bench.machine.ready()), (vec![Starting, Running], Some(true)));
    bench.causes();
    let tries = bench.probes;
    bench.wait(4_999);
    assert_eq!(bench.probes, tries);
    bench.wait(1);
    assert_eq!(bench.probes, tries + 1);
    bench.probed(false);
    assert_eq!(
        (bench.causes(), bench.machine.ready()),
        (vec![r#"Some("connection refused")"#.to_owned()], Some(false))
    );
    assert_eq!(bench.describe(), "pid 11, uptime 0:05; not ready: connection refused");
    bench.wait(5_000);
    bench.probed(false);
    assert_eq!(bench.causes(), Vec::<String>::new(), "it is told once");
    bench.wait(5_000);
    bench.probed(true);
    assert_eq!((bench.causes(), bench.machine.ready()), (vec!["None".to_owned()], Some(true)));
    assert_eq!((bench.seen(), bench.signals.len()), (vec![], 0));
    // One that gives no answer has failed, and the next one comes all the same.
    bench.wait(20_000);
    assert_eq!(bench.machine.ready(), Some(false));
    bench.wait(5_000);
    bench.probed(true);
    assert_eq!(bench.machine.ready(), Some(true));
}

#[test]
fn a_connection_is_tried_at_once_and_then_more_and_more_seldom() {
    let mut bench = Bench::started(tried);
    let waits = "pid 11, uptime 0:00, waits for a connection that is accepted (tcp:db:5432), 30 s more at most";
    assert_eq!(bench.describe(), waits);
    let mut pauses = Vec::new();
    for _ in 0..9 {
        let begin = bench.now;
        let probes = bench.probes;
        while bench.probes == probes {
            bench.wait(1);
        }
        pauses.push(bench.now.saturating_duration_since(begin).as_millis());
        bench.probed(false);
    }
    assert_eq!(pauses, [1, 20, 40, 80, 160, 320, 640, 1000, 1000]);
    assert_eq!((bench.machine.ready(), bench.machine.gives_up()), (Some(false), false));
    let waits = "pid 11, uptime 0:03, waits for a connection that is accepted (connection refused), 27 s more at most";
    assert_eq!(bench.describe(), waits);
    bench.wait(1_000);
    bench.probed(true);
    assert_eq!((bench.seen(), bench.machine.ready()), (vec![Starting, Running], Some(true)));
    assert_eq!(bench.causes().last().map(String::as_str), Some("ready: a connection that is accepted"));
    assert_eq!(bench.machine.poll_timeout(), None, "what is ready is not looked at any more");
}

#[test]
fn a_command_is_tried_when_startsecs_have_passed_and_then_every_second() {
    let mut bench = Bench::started(|config| {
        tried(config);
        config.ready = Readiness::Command("test -e x".to_owned());
        config.startsecs = 3;
    });
    bench.wait(2_999);
    assert_eq!(bench.probes, 0);
    bench.wait(1);
    assert_eq!(bench.probes, 1);
    bench.wait(500);
    bench.probed(false);
    bench.wait(999);
    assert_eq!(bench.probes, 1, "the second counts from its end");
    bench.wait(1);
    assert_eq!(bench.probes, 2);
    bench.probed(true);
    assert_eq!(bench.seen(), [Starting, Running]);
}

/// Row 34: it fails with that cause, in bounded time.
#[test]
fn what_is_tried_in_vain_fails_with_what_was_found_last() {
    let mut bench = Bench::started(tried);
    while bench.machine.state() == Starting {
        bench.wait(500);
        bench.probed(false);
    }
    assert_eq!((bench.seen(), bench.signals()), (vec![Starting, Stopping], vec![TERM]));
    bench.end(Exit::Signal(TERM));
    let told = "not ready within 30 s (start_timeout): it waited for a connection that is accepted (connection refused), \
                retry 1 of 1 in 1 s";
    assert_eq!(bench.describe(), told);
}

#[test]
fn a_try_without_an_answer_is_given_up_and_one_follows() {
    let mut bench = Bench::started(|config| {
        tried(config);
        config.start_timeout = 0;
    });
    bench.wait(14_999);
    assert_eq!((bench.probes, bench.machine.next_is_probe()), (1, Some(true)));
    bench.wait(1 + 20);
    assert_eq!(bench.probes, 2);
    assert!(bench.describe().ends_with("waits for a connection that is accepted (there was no answer)"));
}

/// Row 63 for what is tried: its end is told by itself, and answers that come later change nothing.
#[test]
fn answers_of_a_run_that_has_ended_change_nothing() {
    let mut bench = Bench::started(tried);
    bench.wait(0);
    bench.exit(Exit::Code(1));
    bench.probed(true);
    bench.empty();
    assert_eq!(bench.seen(), [Starting, Exited, Backoff]);
    bench.wait(1_000);
    bench.feed(Event::Probed { generation: 1, ready: true, message: String::new() });
    assert_eq!(bench.machine.state(), Starting);
}

#[test]
fn a_path_and_a_line_are_told_like_a_line_feed_and_named_where_they_do_not_come() {
    for (ready, named) in [
        (Readiness::Path("/run/x.pid".to_owned()), "a path that is made or changed (path:/run/x.pid)"),
        (Readiness::Log("^up$".to_owned()), "a line of its output (log:^up$)"),
    ] {
        let mut bench = Bench::started(|config| {
            tells(config);
            config.ready = ready;
        });
        assert!(bench.describe().contains(named), "{}", bench.describe());
        assert!(bench.machine.gives_up());
        tell(&mut bench, ReadyReport::Ready);
        assert_eq!((bench.seen(), bench.probes), (vec![Starting, Running], 0));
    }
}
