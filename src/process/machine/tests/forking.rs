//! Programs that put themselves into the background, or name their main process.

use super::*;
use crate::models::{ProgramType, Readiness};
use crate::process::{NoMain, Notification};

const STRANGER: NoMain = NoMain::Stranger { pid: 77 };

fn forks(config: &mut ProgramConfig) {
    config.program_type = ProgramType::Forking;
    config.pidfile = Some("/run/web.pid".to_owned());
    config.startsecs = 0;
    config.start_timeout = 30;
    config.startretries = 1;
}

fn no_main(bench: &mut Bench, found: NoMain) {
    let generation = bench.machine.generation();
    bench.feed(Event::NoMain { generation, found });
}

fn main_found(bench: &mut Bench, pid: i32) {
    let generation = bench.machine.generation();
    bench.feed(Event::MainFound { generation, pid });
}

fn group_empty(bench: &mut Bench) {
    let generation = bench.machine.generation();
    bench.feed(Event::GroupEmpty { generation });
}

/// Its leader has ended with 0.
fn detached(change: impl FnOnce(&mut ProgramConfig)) -> Bench {
    let mut bench = Bench::started(|config| {
        forks(config);
        change(config);
    });
    assert_eq!(bench.describe(), "pid 11, uptime 0:00, is to put itself into the background, 30 s more at most");
    bench.wait(1_000);
    bench.exit(Exit::Code(0));
    assert_eq!((bench.seen(), bench.machine.pid(), bench.looks), (vec![Starting], None, 1));
    bench
}

#[test]
fn it_is_running_as_the_process_that_its_pid_file_names() {
    let mut bench = detached(|_| {});
    no_main(&mut bench, NoMain::NoFile);
    let told = "in the background, waits for its pidfile (no pid file), 29 s more at most";
    assert_eq!(bench.describe(), told);
    bench.wait(1_000);
    assert!(bench.looks > 1, "it is looked at again and again");
    main_found(&mut bench, 55);
    assert_eq!((bench.seen(), bench.machine.pid()), (vec![Running], Some(55)));
    assert_eq!(bench.causes().last().map(String::as_str), Some("it has put itself into the background"));
    assert_eq!(bench.describe(), "pid 55, uptime 0:02");
    bench.exit(Exit::Code(9));
    assert_eq!(bench.seen(), [Exited]);
    assert_eq!(bench.machine.last_run().map(|last| (last.pid, last.exit)), Some((55, Exit::Code(9))));
}

#[test]
fn startsecs_that_are_set_and_ready_ask_for_more() {
    let mut bench = detached(|config| config.startsecs = 5);
    main_found(&mut bench, 55);
    bench.wait(3_999);
    assert_eq!((bench.seen(), bench.machine.pid()), (vec![], Some(55)));
    bench.wait(1);
    assert_eq!(bench.seen(), [Running]);
    let mut bench = detached(|config| config.ready = Readiness::Notify);
    main_found(&mut bench, 55);
    assert_eq!((bench.seen(), bench.machine.ready()), (vec![], Some(false)));
    bench.wait(29_000);
    assert_eq!(bench.seen(), [Stopping], "start_timeout counts from the spawn");
}

#[test]
fn what_has_said_that_it_is_ready_before_its_pid_file_was_read_is() {
    let mut bench = detached(|config| config.ready = Readiness::Notify);
    let generation = bench.machine.generation();
    bench.feed(Event::Notified {
        generation,
        message: Box::new(Notification { ready: true, ..Notification::default() }),
    });
    assert_eq!(bench.seen(), []);
    main_found(&mut bench, 55);
    assert_eq!(bench.seen(), [Running]);
}

/// Row 82: the reason is told at once.
#[test]
fn what_is_wrong_for_good_is_a_failed_attempt_when_it_is_found_twice() {
    let mut bench = detached(|_| {});
    no_main(&mut bench, STRANGER);
    assert_eq!(bench.seen(), [], "somebody may be just writing it");
    bench.wait(5);
    no_main(&mut bench, STRANGER);
    assert_eq!((bench.seen(), bench.targets.clone()), (vec![Stopping], vec![SignalTarget::Group]));
    group_empty(&mut bench);
    let told = "no main process: /run/web.pid names pid 77, which is no process of this run, retry 1 of 1 in 1 s";
    assert_eq!((bench.seen(), bench.describe().as_str()), (vec![Backoff], told));
}

#[test]
fn a_pid_file_from_before_the_start_is_waited_for_until_start_timeout() {
    let mut bench = detached(|_| {});
    for _ in 0..1_000 {
        no_main(&mut bench, NoMain::Stale);
        bench.wait(29);
    }
    assert_eq!(bench.seen(), [Stopping]);
    group_empty(&mut bench);
    let told =
        "no main process within 30 s (start_timeout): /run/web.pid is from before this start, retry 1 of 1 in 1 s";
    assert_eq!(bench.describe(), told);
}

#[test]
fn what_leaves_nothing_behind_is_a_failed_attempt() {
    let mut bench = detached(|_| {});
    no_main(&mut bench, NoMain::NoFile);
    group_empty(&mut bench);
    assert_eq!(bench.seen(), [Exited, Backoff]);
    let told = "exit code 0 after 1.0 s, but nothing of it is left in the background (its pidfile: no pid file), \
                retry 1 of 1 in 1 s";
    assert_eq!(bench.describe(), told);
}

#[test]
fn what_stays_in_the_foreground_or_fails_is_a_failed_attempt() {
    let mut bench = Bench::started(forks);
    bench.wait(30_000);
    assert_eq!(bench.seen(), [Starting, Stopping]);
    bench.end(Exit::Signal(TERM));
    assert!(bench.describe().starts_with("still in the foreground after 30 s (start_timeout)"), "{}", bench.describe());
    bench.wait(1_000);
    bench.end(Exit::Code(2));
    assert_eq!(bench.seen(), [Backoff, Starting, Exited, Fatal]);
    assert!(bench.describe().starts_with("exit code 2"), "{}", bench.describe());
}

#[test]
fn a_stop_while_it_is_looked_for_reaches_the_whole_group_and_ends_when_that_is_gone() {
    let mut bench = detached(|config| config.stopasgroup = false);
    bench.feed(stop());
    assert_eq!((bench.signals(), bench.targets.clone()), (vec![TERM], vec![SignalTarget::Group]));
    no_main(&mut bench, NoMain::NoFile);
    bench.wait(1_000);
    assert_eq!(bench.looks, 1, "nobody looks any more");
    group_empty(&mut bench);
    assert_eq!((bench.seen(), bench.machine.desired()), (vec![Stopping, Stopped], Desired::Down));
}

#[test]
fn a_process_that_is_named_takes_the_place_of_the_leader() {
    let mut bench = Bench::running(|config| config.ready = Readiness::Startsecs);
    let generation = bench.machine.generation();
    let name = |pid| Event::Notified {
        generation,
        message: Box::new(Notification { main_pid: Some(Ok(pid)), ..Notification::default() }),
    };
    bench.feed(name(11));
    assert!(bench.named.is_empty(), "it is already");
    bench.feed(name(55));
    assert_eq!((std::mem::take(&mut bench.named), bench.machine.pid()), (vec![55], Some(11)));
    main_found(&mut bench, 55);
    assert_eq!((bench.seen(), bench.machine.pid()), (vec![], Some(55)));
    bench.feed(stop());
    bench.end(Exit::Code(0));
    assert_eq!(bench.seen(), [Stopping, Stopped]);
}

/// The one before was told to end, and this one was not.
#[test]
fn a_process_that_takes_over_during_the_stop_is_told_too() {
    let mut bench = Bench::running(|config| config.stopasgroup = false);
    bench.feed(stop());
    main_found(&mut bench, 55);
    assert_eq!(bench.signals(), [TERM, TERM]);
    bench.wait(10_000);
    assert_eq!(bench.signals(), [KILL]);
}
