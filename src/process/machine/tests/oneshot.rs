//! Programs that do something once.

use super::*;
use crate::models::ProgramType;

fn oneshot(config: &mut ProgramConfig) {
    config.program_type = ProgramType::Oneshot;
    config.start_timeout = 0;
    config.startretries = 0;
}

fn limited(config: &mut ProgramConfig) {
    oneshot(config);
    config.start_timeout = 30;
    config.startretries = 1;
}

/// Row 80: no limit unless one is set; when one fires, its key is named.
#[test]
fn a_oneshot_takes_as_long_as_it_takes() {
    let mut bench = Bench::started(oneshot);
    bench.wait(86_400_000);
    assert_eq!((bench.machine.state(), bench.machine.poll_timeout()), (Starting, None));
    bench.end(Exit::Code(0));
    assert_eq!(bench.seen(), [Starting, Exited]);
    assert_eq!(bench.causes().last().map(String::as_str), Some("completed after 24:00:00"));
    assert_eq!(bench.describe(), "completed after 24:00:00");
}

/// Row 79: an exit with 0 after 10 ms is a success.
#[test]
fn a_quick_end_is_a_success_whatever_startsecs_and_autorestart_say() {
    let mut bench = Bench::started(oneshot);
    bench.wait(10);
    bench.end(Exit::Code(0));
    bench.wait(60_000);
    assert_eq!((bench.machine.state(), bench.spawns), (Exited, 1));
    assert!(bench.machine.has_completed());
}

#[test]
fn what_success_is_exitcodes_says() {
    let mut bench = Bench::started(|config| {
        oneshot(config);
        config.exitcodes = vec![3];
    });
    bench.end(Exit::Code(3));
    assert_eq!(bench.describe(), "completed after 0.0 s with exit code 3");
    bench.feed(start());
    bench.end(Exit::Code(0));
    assert_eq!(bench.describe(), "exit code 0 after 0.0 s");
    assert_eq!(bench.machine.state(), Fatal);
}

/// Row 78: no second run without a policy that says so.
#[test]
fn a_failure_is_final_unless_startretries_says_otherwise() {
    let mut bench = Bench::started(oneshot);
    bench.end(Exit::Code(1));
    bench.wait(600_000);
    assert_eq!(bench.seen(), [Starting, Exited, Fatal]);
    assert_eq!(bench.spawns, 1);
    let mut bench = Bench::started(limited);
    bench.end(Exit::Signal(11));
    bench.wait(600_000);
    assert_eq!(bench.spawns, 2);
}

#[test]
fn what_has_completed_stays_so_until_somebody_starts_or_stops_it() {
    let mut bench = Bench::started(oneshot);
    bench.end(Exit::Code(0));
    bench.feed(Event::ConfigChanged(Arc::new(config(|config| config.startsecs = 5))));
    bench.wait(600_000);
    assert!(bench.machine.has_completed(), "a reload changes nothing");
    bench.feed(stop());
    assert_eq!(bench.machine.state(), Stopped);
    assert!(!bench.machine.has_completed());
    bench.feed(Event::ConfigChanged(Arc::new(config(oneshot))));
    bench.feed(start());
    bench.end(Exit::Code(0));
    bench.feed(start());
    assert_eq!((bench.machine.state(), bench.spawns), (Starting, 3));
    assert!(!bench.machine.has_completed());
}

#[test]
fn what_takes_too_long_is_stopped_and_tried_again() {
    let mut bench = Bench::started(limited);
    bench.wait(10_000);
    assert_eq!(bench.describe(), "pid 11, uptime 0:10, has to complete within 20 s");
    bench.wait(20_000);
    assert_eq!((bench.seen(), bench.signals()), (vec![Starting, Stopping], vec![TERM]));
    assert_eq!(bench.whys(), [KillWhy::StartFailed]);
    bench.end(Exit::Signal(TERM));
    assert_eq!(bench.describe(), "not completed within 30 s (start_timeout), retry 1 of 1 in 1 s");
    bench.wait(31_000);
    bench.end(Exit::Code(0));
    assert_eq!(bench.seen(), [Backoff, Starting, Stopping, Fatal]);
    assert_eq!(bench.describe(), "not completed within 30 s (start_timeout), gave up after 2 attempts");
}

#[test]
fn a_stop_of_one_that_took_too_long_wins() {
    let mut bench = Bench::started(limited);
    bench.wait(30_000);
    bench.feed(stop());
    bench.end(Exit::Signal(TERM));
    bench.wait(600_000);
    assert_eq!((bench.machine.state(), bench.spawns), (Stopped, 1));
}

#[test]
fn a_oneshot_that_leaves_something_behind_has_completed_and_the_rest_is_ended() {
    let mut bench = Bench::started(oneshot);
    bench.feed(Event::Exited { generation: 1, exit: Exit::Code(0), descendant: Some(77) });
    bench.lingers();
    assert!(bench.machine.has_completed());
    assert_eq!(bench.signals(), [TERM]);
    bench.empty();
    assert!(bench.machine.has_completed());
}
