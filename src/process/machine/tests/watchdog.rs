//! Programs with a watchdog.

use super::*;
use crate::process::{Notification, WatchdogReport};

const ABRT: u8 = 6;

/// `RUNNING`, with a watchdog of 10 seconds.
fn watched(change: impl FnOnce(&mut ProgramConfig)) -> Bench {
    let mut bench = Bench::started(|config| {
        config.startsecs = 0;
        config.watchdog = 10;
        config.startretries = 1;
        change(config);
    });
    assert_eq!(bench.seen(), [Starting, Running]);
    bench.causes();
    bench
}

fn tell(bench: &mut Bench, report: WatchdogReport) {
    let generation = bench.machine.generation();
    let message = Box::new(Notification { watchdog: Some(report), ..Notification::default() });
    bench.feed(Event::Notified { generation, message });
}

fn read(bench: &mut Bench) {
    bench.reads -= 1;
    let generation = bench.machine.generation();
    bench.feed(Event::NotificationsRead { generation });
}

#[test]
fn what_tells_in_time_that_it_is_alive_runs_on() {
    let mut bench = watched(|_| {});
    for _ in 0..50 {
        bench.wait(9_999);
        tell(&mut bench, WatchdogReport::Alive);
    }
    assert_eq!((bench.seen(), bench.reads, bench.machine.is_watched()), (vec![], 0, true));
}

#[test]
fn what_does_not_is_stopped_by_the_watchdog_s_signal_and_started_again() {
    let mut bench = watched(|config| config.stopsignal = "QUIT:3,TERM:4".to_owned());
    bench.wait(10_000);
    assert_eq!((bench.seen(), bench.reads), (vec![], 1));
    read(&mut bench);
    assert_eq!(
        (bench.seen(), bench.signals(), bench.whys()),
        (vec![Unhealthy, Stopping], vec![ABRT], vec![KillWhy::Unhealthy])
    );
    assert_eq!(bench.causes(), ["no WATCHDOG=1 within 10 s (watchdog)", "restart because it is unhealthy"]);
    assert_eq!(bench.describe(), "stopping, SIGKILL in 10 s");
    bench.wait(10_000);
    assert_eq!(bench.signals(), [KILL]);
    bench.end(Exit::Signal(KILL));
    assert_eq!(bench.describe(), "no WATCHDOG=1 within 10 s (watchdog), retry 1 of 1 in 1 s");
    bench.wait(1_000);
    assert_eq!(bench.seen(), [Backoff, Starting, Running]);
    bench.wait(10_000);
    read(&mut bench);
    bench.end(Exit::Signal(ABRT));
    assert_eq!(bench.seen(), [Unhealthy, Stopping, Fatal]);
    assert_eq!(bench.describe(), "no WATCHDOG=1 within 10 s (watchdog), gave up after 1 restart");
}

#[test]
fn a_message_ends_the_row_of_its_restarts() {
    let mut bench = watched(|_| {});
    for _ in 0..3 {
        bench.wait(5_000);
        tell(&mut bench, WatchdogReport::Alive);
        bench.wait(10_000);
        read(&mut bench);
        bench.end(Exit::Signal(ABRT));
        bench.wait(1_000);
        assert_eq!(bench.seen(), [Unhealthy, Stopping, Backoff, Starting, Running]);
    }
}

/// Row 65: what has been sent by then is read before it counts as missed.
#[test]
fn what_was_sent_in_time_and_not_read_yet_counts() {
    let mut bench = watched(|_| {});
    bench.wait(10_000);
    assert_eq!(bench.reads, 1);
    tell(&mut bench, WatchdogReport::Alive);
    read(&mut bench);
    bench.wait(9_000);
    assert_eq!(bench.seen(), []);
}

/// Row 65: that nobody reads them is our own fault.
#[test]
fn while_its_messages_cannot_be_read_it_is_not_missed() {
    let mut bench = watched(|_| {});
    bench.wait(19_999);
    assert_eq!(bench.reads, 1);
    bench.wait(3 * 3_600_000);
    assert_eq!(bench.seen(), []);
}

/// Row 64: a gap in our own clock kills nobody.
#[test]
fn a_gap_in_our_own_clock_is_not_counted_against_it() {
    let mut bench = watched(|_| {});
    bench.now += Duration::from_secs(3600);
    bench.machine.handle_timeout(bench.now);
    bench.act();
    bench.wait(9_999);
    assert_eq!((bench.seen(), bench.reads), (vec![], 0));
    bench.wait(1);
    read(&mut bench);
    assert_eq!(bench.seen(), [Unhealthy, Stopping]);
}

#[test]
fn it_can_say_itself_that_it_is_not_well() {
    let mut bench = watched(|config| config.watchdog_signal = "INT".to_owned());
    tell(&mut bench, WatchdogReport::Trigger);
    assert_eq!((bench.seen(), bench.signals()), (vec![Unhealthy, Stopping], vec![2]));
    assert_eq!(
        bench.causes().first().map(String::as_str),
        Some("it has told its watchdog that it is not well (WATCHDOG=trigger)")
    );
}

#[test]
fn what_is_not_to_be_restarted_stays_unhealthy_until_it_tells() {
    let mut bench = watched(|config| config.autorestart = AutoRestart::Never);
    bench.wait(10_000);
    read(&mut bench);
    assert_eq!((bench.seen(), bench.machine.healthy()), (vec![Unhealthy], Some(false)));
    assert_eq!(bench.describe(), "pid 11, unhealthy: no WATCHDOG=1 within 10 s (watchdog)");
    bench.wait(86_400_000);
    assert_eq!(bench.machine.poll_timeout(), None, "nothing is due");
    tell(&mut bench, WatchdogReport::Alive);
    assert_eq!((bench.seen(), bench.machine.healthy()), (vec![Running], None));
    bench.wait(10_000);
    read(&mut bench);
    assert_eq!(bench.seen(), [Unhealthy]);
}

#[test]
fn it_is_well_again_only_when_its_checks_pass_and_it_tells() {
    let mut bench = watched(|config| {
        config.autorestart = AutoRestart::Never;
        config.healthcheck.check_type = HealthCheckType::Tcp;
        config.healthcheck.interval = 4;
        config.healthcheck.timeout = 1;
        config.healthcheck.retries = 1;
        config.healthcheck.start_period = 4;
    });
    bench.wait(4_000);
    bench.health(false);
    assert_eq!(bench.seen(), [Unhealthy]);
    bench.wait(4_000);
    bench.health(false);
    bench.wait(2_000);
    read(&mut bench);
    tell(&mut bench, WatchdogReport::Alive);
    assert_eq!(bench.seen(), [], "its checks still fail");
    bench.wait(2_000);
    bench.health(true);
    assert_eq!(bench.seen(), [Running]);
    bench.wait(8_000);
    read(&mut bench);
    bench.health(true);
    assert_eq!(bench.seen(), [Unhealthy], "its watchdog still misses it");
    tell(&mut bench, WatchdogReport::Alive);
    assert_eq!(bench.seen(), [Running]);
}

#[test]
fn what_ends_while_it_is_asked_for_has_ended() {
    let mut bench = watched(|_| {});
    bench.wait(10_000);
    bench.exit(Exit::Code(3));
    read(&mut bench);
    assert_eq!(bench.seen(), [Exited]);
}
