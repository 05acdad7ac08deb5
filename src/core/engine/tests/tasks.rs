//! Health check scripts: what their ends say to whom, and what waits for them.

use std::sync::Arc;

use super::bench::{Bench, checked};
use super::*;
use crate::process::{SignalReason, SpawnStage};

const SIGKILL: u8 = 9;

/// A program whose first check, which may take a second, has begun as task 0.
fn begun() -> Bench {
    let mut config = checked("p");
    config.healthcheck.check_type = HealthCheckType::Script;
    config.healthcheck.command = Some("test -e well".to_owned());
    config.healthcheck.timeout = 1;
    config.healthcheck.interval = 1;
    config.healthcheck.retries = 100;
    let mut bench = Bench::new(&[config]);
    bench.start(1, "p");
    assert_eq!(bench.system.tasks.get(&0).map(String::as_str), Some("test -e well"));
    bench
}

/// What the checks have said so far.
fn told(bench: &Bench) -> Vec<String> {
    let health = bench.system.announced.iter().filter(|told| matches!(***told, Announcement::Health { .. }));
    health.map(ToString::to_string).collect()
}

fn write(bench: &mut Bench, task: u64, tail: &[u8]) {
    bench.handle(Input::Output(Note::TaskOutput { task, tail: tail.to_vec() }));
}

#[test]
fn the_end_and_the_last_line_of_a_script_are_told_once_and_then_it_is_forgotten() {
    let mut bench = begun();
    bench.handle(Input::TaskExited { task: 0, exit: Exit::Code(3) });
    assert_eq!(bench.system.task_signals, [(0, SIGKILL)], "what it has left behind ends with it");
    assert_eq!(told(&bench), [""; 0], "its output is being read");
    write(&mut bench, 0, b"first\nno space left\n");
    assert_eq!(told(&bench), ["p: health check failed: exit code 3: no space left"]);
    assert!(bench.system.tasks.is_empty());
    write(&mut bench, 0, b"nobody's\n");
    bench.handle(Input::TaskExited { task: 0, exit: Exit::Code(0) });
    assert_eq!(told(&bench).len(), 1);
}

#[test]
fn a_check_that_the_daemon_cannot_make_says_nothing_of_the_program() {
    let mut config = ProgramConfig { startretries: 0, ..checked("p") };
    config.healthcheck.check_type = HealthCheckType::Script;
    config.healthcheck.command = Some("test -e well".to_owned());
    (config.healthcheck.interval, config.healthcheck.retries) = (1, 1);
    let mut bench = Bench::new(&[config]);
    let error = |number| SpawnError::system(SpawnStage::Fork, "/bin/sh", number);
    bench.system.refuse_tasks = Some(error(11)); // EAGAIN
    bench.start(1, "p");
    bench.pass(60);
    assert_eq!((bench.state("p"), told(&bench)), (ProcessState::Running, Vec::new()));
    let shortages = bench.system.announced.iter().filter(|told| matches!(***told, Announcement::Shortage { .. }));
    assert_eq!(shortages.count(), 1, "said once");
    // There is room again: the next check is made, and counts.
    bench.system.refuse_tasks = Some(error(13)); // EACCES
    bench.pass(1);
    assert_eq!(told(&bench).len(), 1);
    assert_eq!(bench.state("p"), ProcessState::Stopping, "unhealthy, and restarted");
}

#[test]
fn a_script_that_survives_sigkill_is_told_and_the_checks_after_it_fail_until_it_ends() {
    let mut bench = begun();
    bench.pass(5);
    assert_eq!(bench.system.task_signals, [(0, SIGKILL)]);
    assert_eq!(told(&bench), [""; 0]);
    bench.pass(2);
    let survived = Announcement::TaskSignalled {
        program: Arc::clone(bench.entry(0).config()),
        hook: None,
        pid: Some(1002),
        reason: SignalReason::SurvivedKill { kills: 1 },
    };
    assert!(bench.announced(&survived), "{:?}", bench.system.announced);
    bench.pass(2);
    let told = told(&bench);
    assert_eq!(told.first().map(String::as_str), Some("p: health check failed: no answer within 1 s"));
    let rest = told.get(1..).unwrap_or_default();
    assert!(
        !rest.is_empty() && rest.iter().all(|told| told.ends_with("the check before has not ended yet")),
        "{rest:?}"
    );
    assert_eq!(bench.system.tasks.len(), 1, "no second one beside it");
    bench.handle(Input::TaskExited { task: 0, exit: Exit::Signal(SIGKILL) });
    write(&mut bench, 0, b"");
    bench.pass(1);
    assert_eq!(bench.system.tasks.keys().copied().collect::<Vec<_>>(), [1], "the next check");
}

#[test]
fn a_run_is_over_when_its_script_is_and_nobody_hears_of_that() {
    let mut bench = begun();
    bench.stop(2, "p");
    bench.end(0, Exit::Signal(15));
    assert_eq!(bench.system.task_signals, [(0, SIGKILL)]);
    bench.pass(1);
    assert_eq!((bench.state("p"), bench.answers().len()), (ProcessState::Stopping, 1), "the start alone is answered");
    bench.handle(Input::TaskExited { task: 0, exit: Exit::Signal(SIGKILL) });
    bench.pass(1);
    assert_eq!((bench.state("p"), bench.answers().len()), (ProcessState::Stopped, 2));
    assert_eq!(told(&bench), [""; 0]);
    assert!(bench.system.tasks.is_empty(), "its output is waited for no longer");
}

#[test]
fn a_script_that_cannot_be_spawned_is_a_failed_check() {
    let mut bench = begun();
    bench.handle(Input::TaskExited { task: 0, exit: Exit::Code(0) });
    write(&mut bench, 0, b"");
    bench.system.refuse_tasks = Some(SpawnError::system(SpawnStage::Exec, "/bin/sh", 13));
    bench.pass(1);
    let told = told(&bench);
    assert_eq!(told.first().map(String::as_str), Some("p: health check passed: exit code 0"));
    assert!(told.get(1).is_some_and(|told| told.contains("Permission denied")), "{told:?}");
    assert!(bench.system.tasks.is_empty());
}
