//! Programs that tell of themselves on `$NOTIFY_SOCKET`.

use super::*;
use crate::models::Readiness;
use crate::process::Notification;

fn tells(config: &mut ProgramConfig) {
    config.ready = Readiness::Notify;
    config.startsecs = 0;
    config.start_timeout = 30;
    config.startretries = 1;
}

fn say(bench: &mut Bench, message: Notification) {
    let generation = bench.machine.generation();
    bench.feed(Event::Notified { generation, message: Box::new(message) });
}

fn ready() -> Notification {
    Notification { ready: true, ..Notification::default() }
}

fn extend(seconds: u64) -> Notification {
    Notification { extend: Some(Duration::from_secs(seconds)), ..Notification::default() }
}

#[test]
fn it_is_running_when_it_says_that_it_is_ready() {
    let mut bench = Bench::started(tells);
    bench.wait(5_000);
    say(&mut bench, Notification { status: Some("warming up".into()), ..Notification::default() });
    assert_eq!((bench.seen(), bench.machine.ready()), (vec![Starting], Some(false)));
    assert_eq!(bench.describe(), "pid 11, uptime 0:05, waits for READY=1 on its $NOTIFY_SOCKET, 25 s more at most");
    say(&mut bench, ready());
    assert_eq!((bench.seen(), bench.machine.ready()), (vec![Running], Some(true)));
    assert_eq!(bench.causes().last().map(String::as_str), Some("ready: READY=1 on its $NOTIFY_SOCKET"));
    assert_eq!(bench.machine.notify_state().and_then(|told| told.status.as_deref()), Some("warming up"));
}

/// The same socket serves a program's watchdog: what is ready by another sign is not by this one.
#[test]
fn what_is_ready_by_another_sign_is_not_by_a_message() {
    let mut bench = Bench::started(|config| {
        tells(config);
        config.ready = Readiness::Fd(3);
        config.watchdog = 5;
    });
    say(&mut bench, ready());
    assert_eq!(bench.seen(), [Starting]);
}

#[test]
fn while_it_reloads_or_ends_it_is_not_ready() {
    let mut bench = Bench::started(tells);
    say(&mut bench, ready());
    let since = Some(bench.now);
    say(&mut bench, Notification { reloading: true, since, ..Notification::default() });
    bench.wait(3_000);
    assert_eq!((bench.machine.ready(), bench.machine.state()), (Some(false), Running));
    assert_eq!(
        bench.machine.notify_state().map(|told| told.describe(bench.now)).as_deref(),
        Some(", reloading for 3 s")
    );
    say(&mut bench, ready());
    assert_eq!(bench.machine.ready(), Some(true));
    say(&mut bench, Notification { stopping: true, errno: Some(98), ..Notification::default() });
    assert_eq!(bench.machine.ready(), Some(false));
    bench.exit(Exit::Code(1));
    let told = bench.machine.notify_state().expect("kept with the run that has ended");
    let line = ", it says that it ends; it says that it failed: Address already in use (errno 98)";
    assert_eq!(told.describe(bench.now), line);
}

#[test]
fn a_start_takes_as_long_as_it_asks_for() {
    let mut bench = Bench::started(tells);
    bench.wait(20_000);
    say(&mut bench, extend(5));
    bench.wait(9_999);
    assert_eq!(bench.seen(), [Starting], "never shorter than start_timeout");
    say(&mut bench, extend(40));
    bench.wait(39_999);
    assert_eq!(bench.seen(), []);
    bench.wait(1);
    assert_eq!(bench.seen(), [Stopping]);
}

#[test]
fn a_stop_takes_as_long_as_it_asks_for() {
    let mut bench = Bench::started(tells);
    say(&mut bench, ready());
    bench.feed(stop());
    bench.wait(9_000);
    say(&mut bench, extend(60));
    bench.wait(59_999);
    assert_eq!(bench.signals(), [TERM]);
    bench.wait(1);
    assert_eq!(bench.signals(), [KILL]);
    say(&mut bench, extend(60));
    bench.wait(5_000);
    assert_eq!(bench.signals(), [KILL], "nothing is put off any more");
}

/// systemd's "for ever" is the largest number.
#[test]
fn one_message_does_not_put_off_an_end_for_ever() {
    let for_ever = || Notification { extend: Some(Duration::from_micros(u64::MAX)), ..Notification::default() };
    const DAY: u64 = 24 * 3600 * 1000;
    let mut bench = Bench::started(tells);
    say(&mut bench, for_ever());
    bench.wait(DAY - 1);
    assert_eq!(bench.seen(), [Starting]);
    say(&mut bench, ready());
    bench.feed(stop());
    say(&mut bench, for_ever());
    bench.wait(DAY - 1);
    assert_eq!(bench.signals(), [TERM]);
    bench.wait(1);
    assert_eq!(bench.signals(), [KILL]);
}

/// Row 60: what is refused is counted and told.
#[test]
fn a_refused_message_is_told_once_and_counted() {
    let mut bench = Bench::started(tells);
    for pid in [70, 71] {
        let generation = bench.machine.generation();
        bench.feed(Event::NotifyRefused { generation, pid });
    }
    assert_eq!(std::mem::take(&mut bench.refused), [70]);
    let told = bench.machine.notify_state().and_then(crate::process::NotifyState::refusals).expect("a sentence");
    assert!(told.starts_with("2 messages") && told.contains("pid 71"), "{told}");
    assert_eq!(bench.machine.state(), Starting);
}

#[test]
fn what_a_former_run_says_late_is_not_of_this_one() {
    let mut bench = Bench::started(tells);
    bench.end(Exit::Code(1));
    bench.wait(1_000);
    bench.feed(Event::Notified { generation: 1, message: Box::new(ready()) });
    assert_eq!((bench.machine.state(), bench.machine.notify_state()), (Starting, None));
}
