//! A stop by several signals.

use super::*;

const HUP: u8 = 1;
const QUIT: u8 = 3;

fn three_steps(config: &mut ProgramConfig) {
    config.stopsignal = "QUIT:30,HUP:5,TERM".to_owned();
}

#[test]
fn each_signal_has_its_seconds_and_the_last_one_stopwaitsecs() {
    let mut bench = Bench::running(three_steps);
    bench.feed(stop());
    assert_eq!(bench.describe(), "stopping, SIGHUP in 30 s, SIGKILL in 45 s");
    assert_eq!((bench.machine.next_stop_signal(), bench.signals()), (Some(HUP), vec![QUIT]));
    bench.wait(29_999);
    assert!(bench.signals().is_empty());
    bench.wait(1);
    assert_eq!(bench.signals(), [HUP]);
    bench.wait(5_000);
    assert_eq!(bench.describe(), "stopping, SIGKILL in 10 s");
    bench.wait(10_000);
    assert_eq!(bench.signals(), [TERM, KILL]);
    let whys = [
        KillWhy::Requested,
        KillWhy::NextStep { after: QUIT, seconds: 30 },
        KillWhy::NextStep { after: HUP, seconds: 5 },
        KillWhy::StopTimeout { seconds: 10 },
    ];
    assert_eq!(bench.whys, whys);
}

#[test]
fn what_ends_by_one_signal_gets_no_other() {
    let mut bench = Bench::running(three_steps);
    bench.feed(stop());
    bench.exit(Exit::Code(0));
    bench.empty();
    bench.wait(100_000);
    assert_eq!(bench.signals(), [QUIT]);
    assert_eq!(bench.machine.state(), Stopped);
}

#[test]
fn a_kill_skips_what_is_left_of_the_row() {
    let mut bench = Bench::running(three_steps);
    bench.feed(stop());
    bench.wait(30_000);
    bench.feed(kill());
    assert_eq!(bench.signals(), [QUIT, HUP, KILL]);
}

#[test]
fn what_a_leader_leaves_behind_goes_through_all_of_them() {
    let mut bench = Bench::running(three_steps);
    bench.exit(Exit::Code(1));
    bench.lingers();
    bench.wait(45_000);
    assert_eq!(bench.signals(), [QUIT, HUP, TERM, KILL]);
    assert!(bench.whys.iter().all(|why| *why == KillWhy::Remains), "{:?}", bench.whys);
}

#[test]
fn workers_that_hear_of_it_late_get_the_present_signal() {
    let mut bench = Bench::running(|config| {
        three_steps(config);
        config.stopasgroup = false;
    });
    bench.feed(stop());
    bench.wait(32_000);
    bench.exit(Exit::Code(0));
    bench.lingers();
    assert_eq!(bench.signals(), [QUIT, HUP, HUP]);
    bench.wait(3_000);
    assert_eq!(bench.signals(), [TERM]);
    assert_eq!(bench.targets[2..], [SignalTarget::Group; 2]);
}
