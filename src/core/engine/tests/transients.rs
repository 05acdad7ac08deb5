//! Programs that somebody runs by hand, beside those of the configuration.

use std::sync::Arc;

use super::bench::update;
use super::*;
use crate::api::{Announcement, Query, ReloadChange, Run};
use crate::process::SpawnStage;

/// A request to run something.
pub(super) fn run(name: Option<&str>, attached: bool) -> Arc<Run> {
    Arc::new(Run {
        name: name.map(str::to_owned),
        command: vec!["job".to_owned()],
        settings: Vec::new(),
        tty: false,
        term: None,
        size: None,
        attached,
        timeout: None,
    })
}

fn asked(name: Option<&str>, attached: bool) -> Request {
    Request::Command(Command::Run(run(name, attached)))
}

/// The first one that is run by hand, behind the program of the configuration.
const JOB: ProcId = 1;

fn bench() -> Bench {
    Bench::new(&[ProgramConfig { autostart: false, ..ProgramConfig::new("p", "p") }])
}

fn names(bench: &Bench) -> String {
    bench.system.names().join(" ")
}

fn refusal(bench: &Bench) -> String {
    let (_, answer, _) = bench.system.answers.last().expect("an answer");
    let refusal = answer.as_ref().expect_err("it is refused");
    format!("{}: {refusal}", refusal.kind())
}

#[test]
fn whoever_waits_is_told_the_end_and_then_it_is_gone() {
    let mut bench = bench();
    bench.ask(1, asked(None, true));
    assert_eq!((names(&bench).as_str(), bench.system.attached.as_slice()), ("p run-1", &[JOB][..]));
    assert!(bench.system.answers.is_empty(), "it runs");
    bench.end(JOB, Exit::Code(3));
    assert_eq!(bench.reply(), &Reply::RunEnded { name: "run-1".to_owned(), exit: Exit::Code(3) });
    assert_eq!(names(&bench), "p");
    bench.ask(1, asked(None, false));
    assert_eq!(bench.reply(), &Reply::RunBegun { name: "run-2".to_owned() });
}

#[test]
fn whoever_goes_leaves_it_behind_and_its_end_is_kept_until_somebody_asks() {
    let mut bench = bench();
    bench.ask(1, asked(Some("job"), true));
    bench.gone(1);
    bench.end(JOB, Exit::Code(0));
    assert_eq!(names(&bench), "p job");
    bench.ask(2, Request::Query(Query::Status { name: None, offset: 0 }));
    assert_eq!(names(&bench), "p job", "a list is looked at by machines");
    bench.ask(2, Request::Query(Query::Status { name: Some("job".to_owned()), offset: 0 }));
    let Reply::Status { rows, .. } = bench.reply() else { panic!("{:?}", bench.reply()) };
    assert_eq!((rows[0].state, names(&bench).as_str()), (ProcessState::Exited, "p"));
}

#[test]
fn what_could_not_be_executed_is_told_and_gone() {
    let mut bench = bench();
    bench.system.refuse_spawns = Some(SpawnError::system(SpawnStage::Exec, "job", 2));
    for attached in [true, false] {
        bench.ask(1, asked(Some("job"), attached));
        assert!(refusal(&bench).contains("FATAL"), "{}", refusal(&bench));
        assert_eq!(names(&bench), "p");
    }
    bench.system.refuse_runs = Some("nice = x: no".to_owned());
    bench.ask(1, asked(Some("job"), true));
    assert_eq!(refusal(&bench), "run_settings: job is not run: nice = x: no");
}

#[test]
fn names_of_the_configuration_are_refused_and_of_those_that_run() {
    let mut bench = bench();
    bench.ask(1, asked(Some("p"), false));
    assert!(refusal(&bench).starts_with("run_configured: "), "{}", refusal(&bench));
    bench.ask(1, asked(Some("job"), false));
    bench.ask(1, asked(Some("job"), false));
    assert!(refusal(&bench).starts_with("run_in_use: "), "{}", refusal(&bench));
    bench.end(JOB, Exit::Code(0));
    bench.ask(1, asked(Some("job"), false));
    assert_eq!(bench.reply(), &Reply::RunBegun { name: "job".to_owned() }, "that one has ended");
    assert_eq!(names(&bench), "p job");
}

#[test]
fn an_update_neither_removes_it_nor_takes_its_name() {
    let mut bench = bench();
    bench.ask(1, asked(Some("job"), true));
    let p = ProgramConfig { autostart: false, ..ProgramConfig::new("p", "p") };
    bench.ask(2, update(None));
    bench.load(std::slice::from_ref(&p));
    let Reply::Updated(updated) = bench.reply() else { panic!("{:?}", bench.reply()) };
    assert_eq!(updated.changes, crate::api::Changes::default());
    assert_eq!((names(&bench).as_str(), bench.entry(JOB).machine.state()), ("p job", ProcessState::Running));
    let job = ProgramConfig { autostart: true, ..ProgramConfig::new("job", "job") };
    bench.ask(2, update(None));
    bench.load(&[p.clone(), job.clone()]);
    assert!(refusal(&bench).contains("'job' was started by supervicectl run"), "{}", refusal(&bench));
    bench.gone(1);
    bench.end(JOB, Exit::Code(0));
    bench.ask(2, update(None));
    bench.load(&[p, job]);
    assert_eq!(names(&bench), "p job");
    assert!(bench.entry(JOB + 1).is_configured());
}

#[test]
fn an_update_that_is_taken_back_finds_its_names_free() {
    let mut bench = bench();
    bench.ask(1, update(Some(60)));
    bench.load(&[]);
    assert_eq!(names(&bench), "");
    bench.ask(1, asked(Some("p"), false));
    assert!(refusal(&bench).starts_with("run_configured: "), "{}", refusal(&bench));
    bench.ask(1, asked(Some("job"), false));
    bench.pass(60);
    assert_eq!(names(&bench), "job p");
    let is_taken_back = |told: &Arc<Announcement>| matches!(&**told, Announcement::Reload(ReloadChange::RolledBack(_)));
    assert!(bench.system.announced.iter().any(is_taken_back));
}

#[test]
fn no_more_than_some_that_nobody_asks_for_are_kept() {
    let mut bench = bench();
    for number in 0..40 {
        bench.ask(1, asked(None, false));
        bench.end(JOB + number, Exit::Code(0));
    }
    assert_eq!(bench.system.names().len(), 1 + 32);
    assert!(names(&bench).starts_with("p run-9 ") && names(&bench).ends_with(" run-40"), "{}", names(&bench));
}

#[test]
fn at_the_end_of_the_daemon_it_is_stopped_and_nothing_is_run() {
    let mut bench = bench();
    bench.ask(1, asked(Some("job"), true));
    bench.ask(2, Request::Command(Command::Shutdown));
    bench.ask(3, asked(None, true));
    assert!(refusal(&bench).starts_with("shutting_down"), "{}", refusal(&bench));
    bench.end(JOB, Exit::Signal(15));
    let ended = Reply::RunEnded { name: "job".to_owned(), exit: Exit::Signal(15) };
    assert!(bench.system.answers.iter().any(|(client, answer, _)| (*client, answer) == (1, &Ok(ended.clone()))));
}

#[test]
fn a_terminal_is_sat_at_until_its_run_has_ended() {
    let tty = ProgramConfig { tty: true, ..ProgramConfig::new("t", "t") };
    let mut bench = Bench::new(&[ProgramConfig::new("p", "p"), tty]);
    let attach = |name: &str| Request::Command(Command::Attach { name: name.to_owned(), size: None });
    bench.ask(1, attach("t"));
    assert!(refusal(&bench).starts_with("not_running: "), "{}", refusal(&bench));
    bench.start(1, "p");
    bench.start(1, "t");
    bench.ask(1, attach("p"));
    assert!(refusal(&bench).starts_with("no_terminal: "), "{}", refusal(&bench));
    bench.ask(1, attach("t"));
    bench.ask(2, attach("t"));
    let before = bench.system.answers.len();
    assert_eq!(bench.system.attached, [1, 1]);
    bench.end(1, Exit::Code(5));
    let ended = Reply::RunEnded { name: "t".to_owned(), exit: Exit::Code(5) };
    let told: Vec<_> = bench.system.answers[before..].iter().map(|(_, answer, _)| answer.clone()).collect();
    assert_eq!(told, [Ok(ended.clone()), Ok(ended)]);
    assert_eq!(names(&bench), "p t", "it is in the configuration");
}
