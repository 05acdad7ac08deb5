//! How failed attempts are paced and counted.

use super::*;

#[test]
fn an_exit_after_a_second_is_followed_by_a_start_at_once() {
    let mut bench = Bench::running(|_| {});
    bench.end(Exit::Signal(KILL));
    assert_eq!(bench.seen(), [Exited, Starting]);
    assert_eq!(bench.machine.restarts(), 1);
}

/// A restart is counted when its process is there: one that failed before or was called off has restarted nothing.
#[test]
fn a_restart_that_comes_to_no_process_is_not_counted() {
    let mut bench = Bench::running(|config| config.startretries = 9);
    bench.spawn_error = Some(SpawnError::system(SpawnStage::Exec, "/bin/web", ENOENT));
    bench.end(Exit::Code(1));
    bench.wait(1_000 + 2_000);
    assert_eq!((bench.machine.state(), bench.spawns, bench.machine.restarts()), (Backoff, 4, 0));
    bench.spawn_error = None;
    bench.wait(3_000);
    assert_eq!((bench.machine.state(), bench.machine.restarts()), (Starting, 1));
}

/// What looks like success and is tried again needs a reason.
#[test]
fn a_good_end_that_comes_too_early_says_so() {
    let mut bench = Bench::started(|config| (config.startsecs, config.startretries) = (2, 1));
    bench.wait(500);
    bench.end(Exit::Code(0));
    assert_eq!(bench.describe(), "exit code 0 after 0.5 s, too early (startsecs = 2), retry 1 of 1 in 1 s");
    bench.wait(1_000);
    bench.end(Exit::Code(0));
    assert_eq!(bench.describe(), "exit code 0 after 0.0 s, too early (startsecs = 2), gave up after 2 attempts");
}

#[test]
fn a_quick_expected_exit_is_restarted_once_a_second_for_ever() {
    let mut bench = Bench::started(|config| config.startsecs = 0);
    for _ in 0..100 {
        bench.end(Exit::Code(0));
        assert_eq!(bench.machine.poll_timeout(), Some(bench.now + Duration::from_millis(1_000)));
        assert_eq!(bench.describe(), "exit code 0 after 0.0 s, restart in 1 s");
        bench.wait(1_000);
    }
    assert_eq!(bench.spawns, 101);
}

#[test]
fn instant_failures_become_fatal_with_startsecs_0_and_1() {
    for startsecs in [0, 1] {
        let mut bench = Bench::started(|config| config.startsecs = startsecs);
        let mut waits = Vec::new();
        loop {
            bench.end(Exit::Code(1));
            let Some((number, of, at)) = bench.machine.retry() else { break };
            assert_eq!((usize::try_from(number).unwrap(), of), (waits.len() + 1, 3));
            waits.push(at.saturating_duration_since(bench.now));
            bench.now = at;
            bench.wait(0);
        }
        assert_eq!(waits, [1, 2, 3].map(Duration::from_secs));
        assert_eq!(bench.machine.state(), Fatal);
        assert_eq!(bench.describe(), "exit code 1 after 0.0 s, gave up after 4 attempts");
        assert_eq!(
            bench.machine.condition().describe(bench.now, Some(&LastWords::Line("no port".into()))),
            format!("{}: no port", bench.describe())
        );
        assert_eq!(bench.machine.poll_timeout(), None);
    }
}

#[test]
fn a_retry_waits_at_most_thirty_seconds() {
    let mut bench = Bench::new(|config| config.startretries = 40);
    bench.spawn_error = Some(SpawnError::system(SpawnStage::Exec, "/bin/web", ENOENT));
    bench.feed(start());
    bench.wait((1..=30).sum::<u64>() * 1_000 + 9 * 30_000);
    assert_eq!(bench.machine.retry().map(|(number, ..)| number), Some(40));
    assert_eq!(bench.describe(), "cannot execute /bin/web: No such file or directory, retry 40 of 40 in 30 s");
    bench.wait(30_000);
    assert_eq!(bench.machine.state(), Fatal);
    assert_eq!(bench.spawns, 41);
}

#[test]
fn what_the_daemon_is_short_of_uses_up_no_retry() {
    let mut bench = Bench::new(|config| (config.startretries, config.startsecs) = (1, 0));
    bench.spawn_error = Some(SpawnError::system(SpawnStage::Pipe, "a pipe", 24));
    bench.feed(start());
    assert_eq!(bench.describe(), "cannot open a pipe: Too many open files; the daemon tries again in 1 s");
    bench.wait((1..=40_u64).map(|number| number.min(30) * 1_000).sum());
    assert_eq!((bench.machine.state(), bench.machine.retry()), (Backoff, None));
    assert_eq!(bench.machine.restarts(), 0);
    // All its retries are left.
    bench.spawn_error = Some(SpawnError::system(SpawnStage::Exec, "/bin/web", ENOENT));
    bench.wait(30_000);
    assert_eq!(bench.machine.retry().map(|(number, of, _)| (number, of)), Some((1, 1)));
    bench.spawn_error = None;
    bench.wait(1_000);
    assert_eq!(bench.machine.state(), Running);
}

#[test]
fn a_reason_that_cannot_pass_is_fatal_at_once() {
    let mut bench = Bench::new(|_| {});
    bench.spawn_error = Some(SpawnError::system(SpawnStage::Exec, "/bin/web", EACCES));
    bench.feed(start());
    assert_eq!(bench.seen(), [Starting, Fatal]);
    assert_eq!(bench.describe(), "cannot execute /bin/web: Permission denied");
}
