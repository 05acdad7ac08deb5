//! The engine in a small system: what comes in, what it wants done, and what is answered.

mod bench;
mod bound;
mod changes;
#[cfg(feature = "schedules")]
mod control;
#[cfg(feature = "http")]
mod counts;
mod dependencies;
mod disabled;
mod each;
mod early_end;
mod exit_policy;
mod followers;
mod forking;
mod graphs;
mod groups;
mod held_back;
mod history;
mod ledger;
mod lifetimes;
mod milestones;
mod obstacles;
mod on_fatal;
mod one_sweep;
mod operate;
mod output_watch;
mod scale;
#[cfg(feature = "schedules")]
mod schedules;
mod shutdown_order;
mod sim;
mod start_conditions;
mod start_record;
mod start_slots;
#[cfg(feature = "xmlrpc")]
mod supervisord;
mod tasks;
#[cfg(feature = "attach")]
mod transients;
mod update;
mod usage;
mod way_back;

use self::bench::{Bench, act, name, program, reload};
use super::*;
use crate::api::{
    Act, Command, EventType, NameHint, Refusal, ReloadFailure, Reply, Request, Selector, Terms, WaitFor, WallClock,
};
use crate::config::{ConfigError, LoadResult, Loaded};
use crate::core::effect::StateFile;
use crate::health::HealthCheckResult;
use crate::models::{HealthCheckType, OutputRecovery, OutputTroubleKind, RecoveryCause, StreamKind};
use crate::output::Note;
use crate::process::{Desired, Exit, ProcessState};

#[test]
fn nothing_is_kept_for_a_client_that_has_gone_but_its_commands_are_done() {
    let mut bench = Bench::new(&[program("p")]);
    for client in 0..100 {
        bench.start(client, "p");
        bench.gone(client);
    }
    bench.start(100, "p");
    assert_eq!((bench.engine.waiters.len(), bench.entry(0).waiters.len()), (1, 1));
    bench.pass(10);
    assert_eq!(bench.state("p"), ProcessState::Running);
    assert_eq!(bench.answers(), [(100, "ok")]);
    assert_eq!((bench.engine.waiters.len(), bench.entry(0).waiters.len()), (0, 0));
}

#[test]
fn starts_that_nobody_waits_for_leave_nothing_behind() {
    let mut bench = Bench::new(&[program("p")]);
    for _ in 0..100 {
        let terms = Terms { wait: false, ..Terms::default() };
        bench.ask_locally(1, bench::act_on_terms(Act::Start, "p", terms));
    }
    assert_eq!((bench.system.pids, bench.engine.waiters.len(), bench.engine.owed()), (1, 0, 0));
}

#[test]
fn a_storm_of_reloads_while_the_file_is_read_is_one_more_look() {
    let mut bench = Bench::new(&[program("p")]);
    for client in 0..100 {
        bench.handle(Input::Notice(Notice::Reload));
        bench.ask(client, reload());
        bench.gone(client);
    }
    bench.ask(100, reload());
    assert_eq!(
        (bench.system.loads, bench.engine.reload.waiting()),
        (1, 3),
        "one is being read, nobody and one client wait for the next"
    );
    bench.load(&[program("p"), program("q")]);
    assert_eq!(bench.system.loads, 2, "the file may have changed since");
    bench.load(&[program("p"), program("q")]);
    assert_eq!(bench.answers(), [(100, "ok")]);
    assert!(matches!(bench.reply(), Reply::Reloaded { .. }), "{:?}", bench.reply());
    assert_eq!((bench.system.loads, bench.engine.reload.waiting()), (2, 0));
}

#[test]
fn nobody_waits_for_a_file_that_is_read_for_ever_when_the_daemon_ends() {
    let mut bench = Bench::new(&[program("p")]);
    bench.ask(1, reload());
    bench.ask(2, reload());
    bench.handle(Input::Notice(Notice::Terminate(None)));
    assert_eq!(bench.answers(), [(1, "shutting_down"), (2, "shutting_down")]);
    assert_eq!(bench.refusal(), &Refusal::ReloadFailed(ReloadFailure::ShuttingDown));
    assert_eq!(bench.engine.finished(), Some(true));
}

#[test]
fn what_a_reload_removes_is_gone_when_it_is_answered() {
    let mut bench = Bench::new(&[program("down"), program("up"), program("stays")]);
    bench.start(1, "up");
    bench.ask(2, reload());
    bench.load(&[program("stays")]);
    assert!(!bench.answers().contains(&(2, "ok")), "one is still stopping");
    bench.start(4, "up");
    assert_eq!(bench.refusal(), &Refusal::NoSuchProcess { name: name("up"), hint: NameHint::Leaving });
    assert_eq!(bench.message(), "NOT_FOUND 'up' was removed from the configuration and is still stopping");
    bench.end(1, Exit::Signal(15));
    assert_eq!(bench.last_client(), 2);
    assert!(matches!(bench.reply(), Reply::Reloaded { .. }), "{:?}", bench.reply());
    let (_, _, names) = bench.system.answers.last().expect("an answer");
    assert_eq!(names, &["stays"], "gone for every thread when the answer is sent");
    // The same for one that was down already.
    bench.ask(3, reload());
    bench.load(&[]);
    let (client, _, names) = bench.system.answers.last().expect("an answer");
    assert_eq!((*client, names.len()), (3, 0));
}

#[test]
fn a_removed_program_that_comes_back_while_it_stops_settles_both_reloads() {
    let mut bench = Bench::new(&[program("p")]);
    bench.start(1, "p");
    bench.pass(10);
    bench.ask(2, reload());
    bench.load(&[]);
    bench.ask(3, reload());
    bench.load(&[program("p")]);
    assert_eq!(bench.answers(), [(1, "ok"), (3, "ok")]);
    bench.end(0, Exit::Signal(15));
    assert_eq!(bench.answers(), [(1, "ok"), (3, "ok"), (2, "ok")]);
    assert_eq!((bench.system.pids, bench.state("p")), (2, ProcessState::Starting));
}

#[test]
fn a_stop_is_answered_although_a_start_follows_it_at_once() {
    let mut bench = Bench::new(&[program("p")]);
    bench.start(1, "p");
    bench.pass(10);
    bench.ask_locally(2, act(Act::Stop, "p"));
    bench.ask_locally(3, act(Act::Start, "p"));
    bench.end(0, Exit::Signal(15));
    assert_eq!(bench.answers(), [(1, "ok"), (2, "ok")], "it is only STARTING");
    let on = Selector::Process(name("p"));
    assert_eq!(
        bench.reply(),
        &Reply::Reached { act: Act::Stop, on, also: Vec::new(), again: vec![name("p")], fatal: Vec::new() }
    );
    bench.pass(10);
    assert_eq!(bench.answers(), [(1, "ok"), (2, "ok"), (3, "ok")]);
}

#[test]
fn a_check_that_cannot_begin_is_told_like_one_that_failed() {
    let mut config = ProgramConfig { startsecs: 10, ..bench::checked("p") };
    config.healthcheck.retries = 1;
    let mut bench = Bench::new(&[config]);
    bench.system.refuse_checks = true;
    bench.start(1, "p");
    bench.pass(10);
    let events = bench.events();
    let begin = events.iter().position(|kind| *kind == EventType::HealthcheckFailed);
    let then = events.iter().position(|kind| *kind == EventType::ProcessStateUnhealthy);
    assert!(begin.is_some() && begin < then, "{events:?}");
    assert_eq!(bench.entry(0).machine.desired(), Desired::Up);
}

fn recovery(kind: OutputTroubleKind, lost_bytes: u64) -> OutputRecovery {
    OutputRecovery { kind, cause: RecoveryCause::Works, lost_bytes }
}

#[test]
fn trouble_with_one_stream_is_not_over_when_the_other_is_well_again() {
    let mut bench = Bench::new(&[program("p")]);
    for stream in [StreamKind::Stdout, StreamKind::Stderr] {
        let (kind, reason) = (OutputTroubleKind::Write, format!("{} full", stream.as_str()));
        bench.handle(Input::Output(Note::Trouble { program: 0, stream, kind, reason }));
    }
    let recovered =
        |stream| Input::Output(Note::Recovered { program: 0, stream, recovery: recovery(OutputTroubleKind::Write, 1) });
    bench.handle(recovered(StreamKind::Stderr));
    assert_eq!(bench.row("p").output_trouble.map(|trouble| trouble.reason).as_deref(), Some("stdout full"));
    assert_eq!(bench.describe("p"), "not started; output is lost: stdout full");
    bench.handle(recovered(StreamKind::Stdout));
    assert_eq!(bench.describe("p"), "not started");
}

#[test]
fn each_trouble_with_output_ends_by_itself_and_the_worst_is_told() {
    let mut bench = Bench::new(&[program("p")]);
    let stream = StreamKind::Stdout;
    let recovered = |kind| Input::Output(Note::Recovered { program: 0, stream, recovery: recovery(kind, 9) });
    let trouble = |kind, reason: &str| Note::Trouble { program: 0, stream, kind, reason: reason.to_owned() };
    bench.handle(Input::Output(trouble(OutputTroubleKind::Rotation, "cannot rotate")));
    assert_eq!(bench.describe("p"), "not started; output: cannot rotate");
    bench.handle(Input::Output(trouble(OutputTroubleKind::SyslogCopy, "gone")));
    bench.handle(Input::Output(trouble(OutputTroubleKind::Write, "full")));
    bench.handle(Input::Output(trouble(OutputTroubleKind::Write, "still full")));
    assert_eq!(bench.describe("p"), "not started; output is lost: still full");
    bench.handle(recovered(OutputTroubleKind::Write));
    assert_eq!(bench.describe("p"), "not started; output: the copy for syslog is lost: gone");
    assert_eq!(bench.entry(0).counts.lost_output, 9);
    bench.handle(recovered(OutputTroubleKind::SyslogCopy));
    assert_eq!(bench.entry(0).counts.lost_output, 9, "the log has it");
    bench.handle(recovered(OutputTroubleKind::Rotation));
    assert_eq!(bench.describe("p"), "not started");
}

#[test]
fn an_unreadable_file_changes_nothing() {
    let mut bench = Bench::new(&[program("p")]);
    bench.ask(1, reload());
    let error = std::io::Error::other("unreadable");
    bench.loaded(1, Err(ConfigError::Read { path: "x".into(), error }));
    assert_eq!((bench.answers(), bench.system.names()), (vec![(1, "invalid_configuration")], vec![name("p")]));
}
