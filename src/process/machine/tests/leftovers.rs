//! What is left of a run, or of an earlier daemon, and whom signals reach.

use super::*;

#[test]
fn what_an_earlier_daemon_has_left_is_cleared_away_before_the_first_start() {
    let mut bench = Bench::new(|config| config.stopwaitsecs = 7);
    bench.feed(Event::OrphansFound { pid: 77 });
    assert_eq!((bench.machine.state(), bench.signals.as_slice()), (Stopping, &[TERM][..]));
    assert_eq!(bench.describe(), "stopping what pid 77 left of its process group, SIGKILL in 7 s");
    bench.feed(start());
    assert_eq!((bench.machine.state(), bench.spawns), (Stopping, 0));
    bench.feed(Event::GroupEmpty { generation: 0 });
    assert_eq!((bench.machine.state(), bench.spawns), (Starting, 1));
}

#[test]
fn what_is_left_of_an_earlier_daemon_is_no_business_of_one_that_has_run_here() {
    let mut bench = Bench::running(|_| ());
    bench.feed(Event::OrphansFound { pid: 77 });
    assert_eq!((bench.machine.state(), bench.signals.len()), (Running, 0));
    bench.feed(stop());
    bench.end(Exit::Signal(TERM));
    assert_eq!(bench.machine.state(), Stopped);
    bench.signals.clear();
    bench.feed(Event::OrphansFound { pid: 77 });
    assert_eq!((bench.machine.state(), bench.signals.len()), (Stopped, 0));
}

fn alone(config: &mut ProgramConfig) {
    (config.stopasgroup, config.killasgroup) = (false, false);
}

#[test]
fn a_stop_for_the_leader_alone_reaches_what_it_leaves_behind_when_it_has_gone() {
    let mut bench = Bench::running(alone);
    bench.feed(stop());
    assert_eq!(bench.targets, [SignalTarget::Leader]);
    bench.wait(4_000);
    bench.exit(Exit::Code(0));
    bench.lingers();
    assert_eq!((bench.signals.as_slice(), bench.targets.last()), (&[TERM, TERM][..], Some(&SignalTarget::Group)));
    assert_eq!(bench.describe(), "stopping what pid 11 left of its process group, SIGKILL in 6 s");
    bench.wait(6_000);
    assert_eq!((bench.signals.last(), bench.targets.last()), (Some(&KILL), Some(&SignalTarget::Group)));
    bench.empty();
    assert_eq!(bench.machine.state(), Stopped);
}

#[test]
fn what_a_leader_leaves_behind_that_alone_was_killed_is_told_to_stop_first() {
    let mut bench = Bench::running(alone);
    bench.feed(kill());
    bench.exit(Exit::Signal(KILL));
    bench.lingers();
    assert_eq!(bench.signals, [KILL, TERM]);
    assert_eq!(bench.targets, [SignalTarget::Leader, SignalTarget::Group]);
    bench.wait(10_000);
    assert_eq!(bench.signals, [KILL, TERM, KILL]);
}

#[test]
fn the_stop_signal_may_be_for_the_leader_and_sigkill_for_the_group() {
    let mut bench = Bench::running(|config| config.stopasgroup = false);
    bench.feed(stop());
    bench.wait(10_000);
    assert_eq!(bench.signals, [TERM, KILL]);
    assert_eq!(bench.targets, [SignalTarget::Leader, SignalTarget::Group]);
}

#[test]
fn a_program_that_puts_itself_into_the_background_is_told_so_and_never_started_beside_its_copy() {
    let mut bench = Bench::started(|_| {});
    let exit = Exit::Code(0);
    bench.feed(Event::Exited { generation: 1, exit, descendant: Some(77) });
    bench.lingers();
    assert_eq!(bench.seen(), [Starting, Exited, Backoff]);
    let told = "exit code 0 after 0.0 s: it has put itself into the background as pid 77, which cannot be supervised; use its \
                option to stay in the foreground, or type = forking, retry 1 of 3 in 1 s";
    assert_eq!(bench.describe(), told);
    bench.wait(5_000);
    assert_eq!(bench.spawns, 1);
    bench.empty();
    assert_eq!(bench.spawns, 2);
    bench.wait(2_000);
    bench.feed(Event::Exited { generation: 2, exit, descendant: Some(78) });
    assert_eq!(bench.machine.state(), Exited, "it was RUNNING");
}
