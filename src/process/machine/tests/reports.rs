//! What the machine tells: who asked, why a signal is sent, what a person reads.

use super::*;

#[test]
fn whoever_asked_is_named_in_what_follows() {
    let mut bench = Bench::started(|_| {});
    bench.wait(2_000);
    bench.feed(stop());
    bench.feed(restart(false));
    bench.end(Exit::Signal(TERM));
    assert_eq!(
        bench.causes(),
        [
            "start requested by autostart",
            "up for 1 s",
            "stop requested by uid 0, pid 1 (supervicectl)",
            "killed by SIGTERM",
            "start requested by uid 0, pid 3 (supervicectl)",
        ]
    );
    bench.exit(Exit::Code(1));
    bench.lingers();
    bench.causes();
    bench.feed(kill());
    assert_eq!(
        bench.causes(),
        ["kill requested by uid 0, pid 2 (supervicectl); waits for what pid 12 left of its process group"]
    );
    let last = bench.machine.last_request().expect("somebody asked");
    assert_eq!((last.0, &last.1, last.2), (Verb::Kill, &client(2), bench.now));
}

#[test]
fn a_request_that_changes_nothing_is_remembered_too() {
    let mut bench = Bench::new(|_| {});
    assert_eq!(bench.machine.last_request(), None);
    bench.feed(stop());
    assert_eq!(bench.causes(), Vec::<String>::new());
    assert_eq!(bench.machine.last_request(), Some(&(Verb::Stop, client(1), bench.now)));
}

#[test]
fn every_signal_says_why_it_is_sent() {
    let mut bench = Bench::running(|config| config.stopwaitsecs = 7);
    bench.feed(stop());
    bench.wait(7_000 + 5_000);
    let timeout = KillWhy::StopTimeout { seconds: 7 };
    assert_eq!(bench.whys(), [KillWhy::Requested, timeout, KillWhy::Again]);

    let mut bench = Bench::running(|config| config.autorestart = AutoRestart::Never);
    bench.exit(Exit::Code(0));
    bench.lingers();
    bench.wait(10_000 + 5_000);
    assert_eq!(bench.whys(), [KillWhy::Remains, KillWhy::Remains, KillWhy::Again]);

    let mut bench = Bench::running(|_| {});
    bench.feed(stop());
    bench.feed(kill());
    bench.wait(5_000);
    assert_eq!(bench.whys(), [KillWhy::Requested, KillWhy::Requested, KillWhy::Again]);

    let mut bench = Bench::started(|config| {
        checked(config);
        config.healthcheck.retries = 1;
    });
    bench.wait(11_000);
    bench.health(false);
    bench.wait(10_000);
    assert_eq!(bench.whys(), [KillWhy::Unhealthy, KillWhy::StopTimeout { seconds: 10 }]);
}

#[test]
fn what_a_check_says_is_cut_at_a_character() {
    let mut bench = Bench::started(checked);
    bench.wait(11_000);
    let message = format!("{}{}", "x".repeat(199), "ü".repeat(100));
    bench.feed(Event::HealthReported { generation: 1, healthy: true, message });
    assert_eq!(bench.machine.health_message(), Some("x".repeat(199).as_str()));
}

#[test]
fn a_condition_shares_its_texts_with_the_machine() {
    let mut bench = Bench::started(|_| {});
    bench.end(Exit::Code(1));
    let (Condition::Backoff { failure: one, .. }, Condition::Backoff { failure: other, .. }) =
        (bench.machine.condition(), bench.machine.condition())
    else {
        panic!("no backoff: {}", bench.describe())
    };
    assert!(Arc::ptr_eq(&one, &other));
}

#[test]
fn the_last_line_is_told_where_it_explains_something() {
    let mut bench = Bench::running(|_| {});
    let told =
        |bench: &Bench, line: &str| bench.machine.condition().describe(bench.now, Some(&LastWords::Line(line.into())));
    bench.feed(stop());
    bench.end(Exit::Signal(TERM));
    assert!(!told(&bench, "bye").contains("bye"), "{}", told(&bench, "bye"));
    bench.feed(start());
    bench.wait(20_000);
    bench.end(Exit::Code(1));
    assert!(!told(&bench, "oops").contains("oops"), "it runs again: {}", told(&bench, "oops"));
    bench.end(Exit::Code(1));
    assert_eq!(bench.machine.state(), Backoff);
    assert!(told(&bench, "oops").ends_with(": oops"), "{}", told(&bench, "oops"));
    assert_eq!(told(&bench, ""), bench.describe());
    bench.spawn_error = Some(SpawnError::system(SpawnStage::Exec, "/x", EACCES));
    bench.wait(20_000);
    assert_eq!((bench.machine.state(), told(&bench, "oops")), (Fatal, bench.describe()), "it was not even executed");
}
