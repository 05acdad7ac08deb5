//! Restart policies: delays, limits, what is tried again after it was given up. The numbers are those of the page of
//! failures that others have had.

use super::*;
use crate::models::{DelayGrowth, EndedBy, RestartLimit, Share};

fn limited(restarts: u32, seconds: u32) -> impl FnOnce(&mut ProgramConfig) {
    move |config| config.restart.limit = Some(RestartLimit { restarts, seconds })
}

fn broken(bench: &mut Bench) {
    bench.spawn_error = Some(SpawnError::system(SpawnStage::Exec, "/bin/web", ENOENT));
}

#[test]
fn failure_84_a_limit_of_n_allows_exactly_n_restarts() {
    for limit in [0, 1, 2, 10] {
        // Each run lasts for two seconds: RUNNING is reached, and the restart comes at once.
        let mut bench = Bench::started(limited(limit, 60));
        for _ in 0..limit {
            bench.wait(2_000);
            bench.end(Exit::Code(1));
            assert_eq!(bench.machine.state(), Starting);
        }
        bench.wait(2_000);
        bench.end(Exit::Code(1));
        assert_eq!((bench.machine.state(), bench.spawns), (Fatal, limit + 1));
        let times = if limit == 1 { "a restart".to_owned() } else { format!("{limit} restarts") };
        assert_eq!(
            bench.describe(),
            format!("exit code 1 after 2.0 s, gave up after {times} within 60 s (restart_limit)")
        );
        assert_eq!(bench.machine.desired(), Desired::Down);
    }
}

#[test]
fn failure_84_failed_starts_count_as_restarts_of_another_kind_do() {
    let mut bench = Bench::new(|config| {
        limited(2, 60)(config);
        config.startretries = 9;
    });
    broken(&mut bench);
    bench.feed(start());
    bench.wait(60_000);
    assert_eq!((bench.machine.state(), bench.spawns), (Fatal, 3));
}

#[test]
fn failure_84_what_lies_longer_back_than_the_time_does_not_count() {
    let mut bench = Bench::started(limited(2, 10));
    for _ in 0..50 {
        bench.wait(5_000);
        bench.end(Exit::Code(1));
        assert_eq!(bench.machine.state(), Starting);
    }
}

#[test]
fn failure_85_the_gaps_are_as_long_as_the_delays() {
    for (growth, wanted) in [
        (DelayGrowth::None, [2, 2, 2, 2, 2, 2]),
        (DelayGrowth::Linear, [2, 4, 6, 8, 9, 9]),
        (DelayGrowth::Double, [2, 4, 8, 9, 9, 9]),
    ] {
        let mut bench = Bench::new(|config| {
            (config.restart.delay, config.restart.delay_max) = (2, 9);
            config.restart.delay_growth = growth;
            config.startretries = 6;
        });
        broken(&mut bench);
        bench.feed(start());
        let mut gaps = Vec::new();
        while let Some((_, _, at)) = bench.machine.retry() {
            gaps.push(at.saturating_duration_since(bench.now).as_secs());
            bench.wait(u64::try_from(at.saturating_duration_since(bench.now).as_millis()).unwrap());
        }
        assert_eq!((gaps.as_slice(), bench.machine.state()), (wanted.as_slice(), Fatal));
    }
}

#[test]
fn failure_85_a_random_delay_stays_within_its_share_and_never_below_a_second() {
    let delays = |seed| {
        let mut bench = Bench::new(|config| {
            (config.restart.delay, config.restart.delay_max) = (8, 8);
            config.restart.jitter = Share::new(0.5).unwrap();
            config.startretries = crate::models::UNLIMITED_RETRIES;
        });
        bench.machine.seed(seed);
        broken(&mut bench);
        bench.feed(start());
        let mut delays = Vec::new();
        for _ in 0..200 {
            let (_, _, at) = bench.machine.retry().expect("there is no end of them");
            let gap = at.saturating_duration_since(bench.now);
            assert!((4_000..=8_000).contains(&gap.as_millis()), "{gap:?}");
            delays.push(gap);
            bench.now = at;
            bench.wait(0);
        }
        delays
    };
    assert_eq!(delays(1), delays(1), "the same life again");
    let (one, other) = (delays(1), delays(2));
    assert_ne!(one, other, "two machines do not go in step");
    let mean = one.iter().sum::<Duration>().as_millis() / 200;
    assert!((5_700..6_300).contains(&mean), "{mean}");
    let mut bench = Bench::new(|config| {
        (config.restart.delay, config.restart.jitter) = (1, Share::new(1.0).unwrap());
    });
    broken(&mut bench);
    bench.feed(start());
    assert_eq!(bench.machine.retry_at(), Some(bench.now + Duration::from_secs(1)));
}

#[test]
fn failure_86_a_start_by_hand_is_never_refused_and_counting_begins_anew() {
    let mut bench = Bench::started(limited(1, 1_000_000));
    for _ in 0..20 {
        for _ in 0..2 {
            bench.wait(2_000);
            bench.end(Exit::Code(1));
        }
        assert_eq!(bench.machine.state(), Fatal);
        bench.feed(start());
        assert_eq!(bench.machine.state(), Starting);
    }
    bench.feed(Event::RestartRequested { force: false, by: Initiator::Embedder });
    bench.end(Exit::Signal(TERM));
    bench.wait(2_000);
    assert_eq!(bench.machine.state(), Running);
}

#[test]
fn failure_88_what_was_given_up_comes_back_by_itself_and_says_when() {
    let mut bench = Bench::new(|config| {
        config.restart.fatal_retry = 60;
        config.startretries = 0;
    });
    broken(&mut bench);
    bench.feed(start());
    let mut pauses = Vec::new();
    for number in 0..9 {
        assert_eq!((bench.machine.state(), bench.machine.failed_fatal_retries()), (Fatal, number));
        let at = bench.machine.poll_timeout().expect("another attempt");
        let pause = at.saturating_duration_since(bench.now);
        let left = pause.as_secs() + u64::from(pause.subsec_nanos() > 0);
        let wanted = format!("cannot execute /bin/web: No such file or directory, another attempt in {left} s");
        assert_eq!(bench.describe(), wanted);
        pauses.push(pause.as_secs());
        bench.seen.clear();
        bench.causes.clear();
        bench.now = at;
        bench.wait(0);
        assert_eq!(bench.seen, [Starting, Fatal], "one attempt, without retries");
        assert_eq!(bench.causes[0], format!("attempt {} after FATAL (fatal_retry)", number + 1));
    }
    for (pause, meant) in pauses.iter().zip([60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]) {
        assert!((meant * 8 / 10 - 1..=meant * 12 / 10).contains(pause), "{pauses:?}");
    }
    // The outage is over.
    bench.spawn_error = None;
    bench.wait(2 * 3_600_000);
    assert_eq!((bench.machine.state(), bench.machine.desired()), (Running, Desired::Up));
    bench.end(Exit::Code(1));
    assert_eq!(
        (bench.machine.state(), bench.machine.failed_fatal_retries()),
        (Starting, 0),
        "all is as it was at first"
    );
}

#[test]
fn failure_88_an_attempt_that_does_not_get_to_running_has_failed() {
    let mut bench = Bench::started(|config| {
        config.restart.fatal_retry = 60;
        config.startretries = 0;
    });
    bench.end(Exit::Code(1));
    assert_eq!(bench.machine.state(), Fatal);
    let at = bench.machine.poll_timeout().expect("another attempt");
    bench.now = at;
    bench.wait(0);
    assert_eq!(bench.machine.state(), Starting);
    bench.end(Exit::Code(1));
    assert_eq!((bench.machine.state(), bench.machine.failed_fatal_retries()), (Fatal, 1));
}

#[test]
fn a_stop_calls_the_attempt_after_fatal_off() {
    let mut bench = Bench::new(|config| {
        config.restart.fatal_retry = 60;
        config.startretries = 0;
    });
    broken(&mut bench);
    bench.feed(start());
    bench.feed(Event::StopRequested { by: Initiator::Embedder });
    assert_eq!((bench.machine.state(), bench.machine.poll_timeout()), (Fatal, None));
    assert_eq!(bench.describe(), "cannot execute /bin/web: No such file or directory");
}

#[test]
fn failure_89_of_a_hundred_restarts_at_once_one_child_comes() {
    let mut bench = Bench::running(limited(5, 60));
    for number in 0..100 {
        bench.feed(Event::RestartRequested { force: number % 3 == 0, by: Initiator::Embedder });
    }
    bench.end(Exit::Signal(TERM));
    for _ in 0..100 {
        bench.feed(Event::RestartRequested { force: false, by: Initiator::Embedder });
    }
    assert_eq!(bench.spawns, 2, "the one before, and one");
}

#[test]
fn an_end_that_no_start_follows_stays_what_it_is() {
    let never = |config: &mut ProgramConfig| {
        config.restart.never_after = vec![EndedBy::Code(78), EndedBy::Signal(10)];
        config.restart.fatal_retry = 60;
    };
    for exit in [Exit::Code(78), Exit::Signal(10)] {
        let mut bench = Bench::running(never);
        bench.end(exit);
        assert_eq!((bench.machine.state(), bench.machine.poll_timeout()), (Exited, None), "{exit}");
        let mut bench = Bench::started(never);
        bench.end(exit);
        assert_eq!((bench.machine.state(), bench.machine.poll_timeout()), (Fatal, None), "{exit}");
    }
    let mut bench = Bench::running(never);
    bench.end(Exit::Code(77));
    assert_eq!(bench.machine.state(), Starting);
}

#[test]
fn a_oneshot_may_not_run_for_longer_than_its_key_says() {
    for (start_timeout, max_runtime, told) in [
        (0, 5, "not completed within 5 s (max_runtime)"),
        (9, 5, "not completed within 5 s (max_runtime)"),
        (4, 5, "not completed within 4 s (start_timeout)"),
    ] {
        let mut bench = Bench::started(|config| {
            config.program_type = crate::models::ProgramType::Oneshot;
            (config.start_timeout, config.restart.max_runtime, config.startretries) = (start_timeout, max_runtime, 0);
        });
        bench.wait(5_000);
        assert_eq!(bench.machine.state(), Stopping);
        bench.end(Exit::Signal(TERM));
        assert_eq!((bench.machine.state(), bench.describe().as_str()), (Fatal, told));
    }
}

#[test]
fn retries_without_end_are_told_without_one() {
    let mut bench = Bench::new(|config| config.startretries = crate::models::UNLIMITED_RETRIES);
    broken(&mut bench);
    bench.feed(start());
    bench.wait(20_000_000);
    assert_eq!(bench.machine.state(), Backoff);
    let (number, _, _) = bench.machine.retry().expect("a retry");
    assert!(number > 600);
    assert!(bench.describe().contains(&format!(", retry {number} in ")), "{}", bench.describe());
}
