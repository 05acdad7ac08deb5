//! `start_limit`.

use super::dependencies::{ask, list, quick, states, timed};
use super::*;
use crate::api::{Query, WaitedFor};

fn bench_with(start_limit: u32, programs: &[ProgramConfig]) -> Bench {
    Bench::with(SupervisorConfig { start_limit, ..SupervisorConfig::default() }, programs)
}

fn start_all(bench: &mut Bench, names: &[&str]) {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    let terms = Terms { wait: false, ..Terms::default() };
    bench.ask(1, Request::Command(Command::Act { act: Act::Start, on: Selector::Processes(names), terms }));
}

#[test]
fn so_many_start_at_one_time_and_the_others_wait_for_a_slot_in_their_order() {
    let mut bench = bench_with(2, &["a", "b", "c", "d", "e"].map(timed));
    start_all(&mut bench, &["a", "b", "c", "d", "e"]);
    assert_eq!(bench.system.pids, 2);
    assert_eq!((bench.describe("c"), bench.row("c").pid), ("waiting for a start slot".to_owned(), None));
    assert_eq!(bench.row("c").condition.awaited(), (&[crate::process::Prerequisite::StartSlot][..], 0));
    assert!(bench.why("c").chain.steps.is_empty());
    let blame_of_e = |bench: &mut Bench| {
        bench.ask(9, Request::Query(Query::Blame { names: vec![name("e")], offset: 0 }));
        let Reply::Blame(blame) = bench.reply() else { panic!("a blame") };
        (blame.rows[0].waiting.map(|waiting| waiting.as_secs()), blame.rows[0].waited_for.clone())
    };
    assert_eq!(blame_of_e(&mut bench), (Some(0), Some(WaitedFor::StartSlot)));
    bench.pass(1);
    assert_eq!(blame_of_e(&mut bench), (Some(1), Some(WaitedFor::StartSlot)));
    assert_eq!(states(&bench), "a RUNNING, b RUNNING, c STARTING, d STARTING, e STARTING");
    assert_eq!((bench.system.pids, bench.describe("e")), (4, "waiting for a start slot".to_owned()));
    bench.pass(1);
    assert_eq!(states(&bench), "a RUNNING, b RUNNING, c RUNNING, d RUNNING, e STARTING");
    bench.pass(1);
    assert_eq!(blame_of_e(&mut bench), (None, Some(WaitedFor::StartSlot)));
    assert_eq!(bench.state("e"), ProcessState::Running);
}

#[test]
fn one_that_fails_or_is_stopped_gives_its_slot_back_and_one_that_is_stopped_while_it_waits_takes_none() {
    let mut bench = bench_with(1, &["a", "b", "c", "d"].map(timed));
    start_all(&mut bench, &["a", "b", "c", "d"]);
    assert_eq!(bench.system.pids, 1);
    bench.end(0, Exit::Code(3));
    assert_eq!((bench.state("a"), bench.system.pids), (ProcessState::Backoff, 2));
    ask(&mut bench, 2, Act::Stop, "c");
    assert_eq!(bench.state("c"), ProcessState::Stopped);
    ask(&mut bench, 3, Act::Stop, "b");
    assert_eq!((states(&bench), bench.system.pids), ("a BACKOFF, b STOPPING, c STOPPED, d STARTING".to_owned(), 3));
    // Its retry is due, and waits behind d.
    bench.end(1, Exit::Signal(15));
    bench.pass(1);
    assert_eq!(states(&bench), "a STARTING, b STOPPED, c STOPPED, d RUNNING");
    bench.pass(2);
    assert_eq!(states(&bench), "a RUNNING, b STOPPED, c STOPPED, d RUNNING");
}

#[test]
fn what_is_executed_late_keeps_its_slot_and_gives_it_back_only_while_its_disk_does_not_answer() {
    let mut bench = bench_with(1, &["a", "b", "c"].map(timed));
    bench.system.exec_hangs = true;
    start_all(&mut bench, &["a", "b", "c"]);
    bench.pass_millis(200);
    assert_eq!(states(&bench), "a STARTING, b STARTING, c STARTING");
    assert_eq!((bench.system.pids, bench.describe("b")), (1, "waiting for a start slot".to_owned()), "it is only busy");
    bench.pass_millis(1800);
    assert_eq!((bench.system.pids, bench.describe("c")), (2, "waiting for a start slot".to_owned()));
    // The disk answers: both start now, and the third one waits for both.
    bench.system.exec_hangs = false;
    bench.pass_millis(1000);
    assert_eq!((states(&bench).as_str(), bench.system.pids), ("a STARTING, b STARTING, c STARTING", 2));
    bench.pass(1);
    assert_eq!((states(&bench).as_str(), bench.system.pids), ("a RUNNING, b RUNNING, c STARTING", 3));
}

#[test]
fn who_waits_for_others_takes_no_slot_from_them() {
    let programs = [quick("web", "db"), timed("db"), timed("other")];
    let mut bench = bench_with(1, &programs);
    start_all(&mut bench, &["web", "db", "other"]);
    assert_eq!(bench.describe("web"), "waiting for db (STARTING)");
    assert_eq!(bench.describe("other"), "waiting for a start slot");
    bench.pass(1);
    assert_eq!(bench.state("db"), ProcessState::Running);
    bench.pass(1);
    assert_eq!(states(&bench), "web RUNNING, db RUNNING, other RUNNING");
}

#[test]
fn what_waits_for_one_without_a_slot_is_told_so() {
    let mut programs = [timed("first"), timed("db"), quick("web", "")];
    programs[2].requires = list("db");
    let mut bench = bench_with(1, &programs);
    start_all(&mut bench, &["first", "db", "web"]);
    let lines = bench.why("web").lines();
    assert_eq!(lines[1], "web waits for db, which is STARTING: waiting for a start slot.");
}

#[test]
fn a_reload_changes_the_limit_at_once() {
    let programs = ["a", "b", "c", "d"].map(timed);
    let mut bench = bench_with(1, &programs);
    start_all(&mut bench, &["a", "b", "c", "d"]);
    bench.ask(2, reload());
    bench.load_settings(SupervisorConfig {
        start_limit: 3,
        programs: programs.to_vec(),
        ..SupervisorConfig::default()
    });
    assert_eq!(bench.system.pids, 3);
    bench.ask(3, reload());
    bench.load_settings(SupervisorConfig { programs: programs.to_vec(), ..SupervisorConfig::default() });
    assert_eq!((bench.system.pids, bench.engine.settings.start_limit), (4, 0));
}

#[test]
fn without_a_limit_nothing_is_noted() {
    let mut bench = bench_with(0, &["a", "b"].map(timed));
    start_all(&mut bench, &["a", "b"]);
    assert_eq!(format!("{:?}", bench.engine.slots), format!("{:?}", StartSlots::default()));
}
