//! What is up after an update was taken back: what was up before, and nothing else; but what somebody has said since
//! counts.

use super::bench::{other, quick, update};
use super::dependencies::list;
use super::*;

/// An update to these programs that nobody confirms within a minute.
fn update_to(bench: &mut Bench, programs: &[ProgramConfig]) {
    bench.ask(2, update(Some(60)));
    bench.load(programs);
}

#[test]
fn what_had_failed_and_runs_by_the_update_is_stopped() {
    let bad = ProgramConfig { startretries: 0, startsecs: 5, ..quick("p") };
    let mut bench = Bench::new(std::slice::from_ref(&bad));
    bench.start(1, "p");
    bench.end(0, Exit::Code(1));
    assert_eq!(bench.state("p"), ProcessState::Fatal);
    update_to(&mut bench, &[other(&bad)]);
    bench.pass(10);
    assert_eq!(bench.state("p"), ProcessState::Running);
    bench.pass(100);
    assert_eq!(bench.entry(0).config().command, "sleep 1000");
    assert_eq!(bench.state("p"), ProcessState::Stopping, "it would go on with settings that are not in force");
    bench.end(0, Exit::Signal(15));
    assert_eq!(bench.state("p"), ProcessState::Stopped);
}

#[test]
fn what_was_started_for_what_the_update_has_added_is_stopped_after_that() {
    let mut bench = Bench::new(&[quick("db")]);
    update_to(&mut bench, &[quick("db"), ProgramConfig { requires: list("db"), ..quick("web") }]);
    assert_eq!((bench.state("db"), bench.state("web")), (ProcessState::Running, ProcessState::Running));
    bench.pass(100);
    let web = bench.entry(1).machine.state();
    assert_eq!((bench.state("db"), web), (ProcessState::Running, ProcessState::Stopping));
    bench.end(1, Exit::Signal(15));
    assert_eq!(bench.state("db"), ProcessState::Stopping);
}

#[test]
fn what_somebody_has_started_since_stays_up_with_what_it_needs() {
    let web = |name| ProgramConfig { requires: list("db"), ..quick(name) };
    let mut bench = Bench::new(&[quick("db"), web("report")]);
    update_to(&mut bench, &[quick("db"), web("report"), web("web")]);
    bench.start(3, "report");
    bench.pass(100);
    bench.end(2, Exit::Signal(15));
    assert_eq!((bench.state("db"), bench.state("report")), (ProcessState::Running, ProcessState::Running));
}

#[test]
fn what_somebody_has_stopped_since_stays_down_with_what_needed_it() {
    let web = ProgramConfig { requires: list("p"), ..quick("web") };
    let mut bench = Bench::new(&[quick("p"), web.clone()]);
    bench.start(1, "web");
    update_to(&mut bench, &[other(&quick("p")), web]);
    bench.end(1, Exit::Signal(15));
    bench.end(0, Exit::Signal(15));
    assert_eq!((bench.state("p"), bench.state("web")), (ProcessState::Running, ProcessState::Running));
    bench.stop(4, "p");
    bench.end(1, Exit::Signal(15));
    bench.end(0, Exit::Signal(15));
    bench.pass(100);
    assert_eq!(bench.entry(0).config().command, "sleep 1000");
    assert_eq!((bench.state("p"), bench.state("web")), (ProcessState::Stopped, ProcessState::Stopped));
}

#[test]
fn what_somebody_has_stopped_and_started_again_comes_back_as_it_was() {
    let mut bench = Bench::new(&[quick("p")]);
    bench.start(1, "p");
    update_to(&mut bench, &[other(&quick("p"))]);
    bench.end(0, Exit::Signal(15));
    bench.stop(3, "p");
    bench.end(0, Exit::Signal(15));
    bench.start(3, "p");
    bench.pass(100);
    bench.end(0, Exit::Signal(15));
    assert_eq!((bench.state("p"), &*bench.entry(0).config().command), (ProcessState::Running, "sleep 1000"));
}
