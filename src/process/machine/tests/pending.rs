//! Programs on a disk that does not answer.

use super::*;

/// Spawned, and not executed.
fn pending(startsecs: u32) -> Bench {
    let mut bench = Bench::new(|config| config.startsecs = startsecs);
    bench.exec_hangs = true;
    bench.feed(start());
    bench
}

fn execute(bench: &mut Bench) {
    let generation = bench.machine.generation();
    bench.feed(Event::Executed { generation });
}

#[test]
fn what_is_not_executed_yet_is_not_running_however_long_it_takes() {
    for startsecs in [0, 3] {
        let mut bench = pending(startsecs);
        bench.wait(86_400_000);
        assert_eq!(bench.seen(), [Starting], "{startsecs}");
        assert!(bench.machine.pid().is_some() && !bench.machine.gives_up());
        assert!(
            bench.describe().starts_with("pid 11 has not executed the program for 24:00:00: "),
            "{}",
            bench.describe()
        );
        execute(&mut bench);
        bench.wait(u64::from(startsecs) * 1000);
        assert_eq!(bench.seen(), [Running], "{startsecs}");
        execute(&mut bench);
        assert_eq!(bench.seen(), [], "told twice");
    }
}

#[test]
fn startsecs_count_from_the_execution() {
    let mut bench = pending(3);
    bench.wait(10_000);
    execute(&mut bench);
    bench.wait(2_999);
    assert_eq!(bench.seen(), [Starting]);
    bench.wait(1);
    assert_eq!(bench.seen(), [Running]);
}

#[test]
fn one_that_ends_before_was_a_failed_attempt_and_one_that_is_stopped_is_stopped() {
    let mut bench = pending(0);
    bench.wait(10_000);
    bench.end(Exit::Code(127));
    assert_eq!(bench.seen(), [Starting, Exited, Backoff]);
    let mut bench = pending(0);
    bench.feed(stop());
    assert_eq!((bench.seen(), bench.signals()), (vec![Starting, Stopping], vec![TERM]));
    execute(&mut bench);
    bench.end(Exit::Signal(TERM));
    assert_eq!(bench.seen(), [Stopped]);
}
