//! What `blame` tells of starts.

use super::dependencies::{DB, WEB, ask, chain, end_all, list, timed};
use super::*;
use crate::api::{Blame, BlameRow, Query, WaitedFor};
use crate::models::{ProgramType, SupervisorConfig};

fn blame(bench: &mut Bench, names: &[&str]) -> Blame {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    bench.ask(9, Request::Query(Query::Blame { names, offset: 0 }));
    match bench.reply() {
        Reply::Blame(blame) => Blame::clone(blame),
        other => panic!("{other:?}"),
    }
}

/// `api 0+2=3 after db`: asked for at 0, executed 2 seconds later, ready at 3, and released by `db`; `0+2..=?`: waits for 2 seconds.
fn told(bench: &mut Bench, names: &[&str]) -> (Vec<String>, Vec<String>) {
    let Blame { began, rows, critical_path, .. } = blame(bench, names);
    let row = |row: &BlameRow| {
        let asked = row.asked.saturating_duration_since(began).as_secs();
        let waited = row.spawned.map(|at| at.saturating_duration_since(row.asked).as_secs().to_string());
        let waited = row.waiting.map(|waiting| format!("{}..", waiting.as_secs())).or(waited);
        let ready = row.ready.map(|at| at.saturating_duration_since(began).as_secs().to_string());
        let open = || "?".to_owned();
        let mut text =
            format!("{} {asked}+{}={}", row.program.name, waited.unwrap_or_else(open), ready.unwrap_or_else(open));
        if let Some(WaitedFor::Process(on)) = &row.waited_for {
            text.push_str(&format!(" after {}", on.name));
        }
        if row.attempts != 1 {
            text.push_str(&format!(" in {}", row.attempts));
        }
        text
    };
    (rows.iter().map(row).collect(), critical_path.iter().map(|program| program.name.clone()).collect())
}

#[test]
fn each_start_has_its_moments_and_the_critical_path_leads_to_the_last_one() {
    let mut programs = chain().into_iter().map(|program| ProgramConfig { startsecs: 1, ..program }).collect::<Vec<_>>();
    programs[DB as usize].startsecs = 3;
    programs[WEB as usize].wants = list("quick");
    programs.push(timed("quick"));
    programs.push(timed("alone"));
    let mut bench = Bench::new(&programs);
    assert_eq!(told(&mut bench, &[]), (vec![], vec![]), "nothing was asked for");
    bench.pass(1);
    ask(&mut bench, 1, Act::Start, "web");
    let (rows, path) = told(&mut bench, &[]);
    assert_eq!(rows, ["web 1+0..=? after api in 0", "db 1+0=?", "api 1+0..=? after db in 0", "quick 1+0=?"]);
    assert!(path.is_empty(), "nothing is ready");
    bench.pass(2);
    assert_eq!(told(&mut bench, &["api"]).0[1], "api 1+2..=? after db in 0");
    bench.pass(8);
    let (rows, path) = told(&mut bench, &[]);
    assert_eq!(rows, ["web 1+4=6 after api", "db 1+0=4", "api 1+3=5 after db", "quick 1+0=2"]);
    assert_eq!(path, ["web", "api", "db"]);
    let (rows, path) = told(&mut bench, &["api"]);
    assert_eq!((rows.len(), path), (2, vec![name("api"), name("db")]));
    bench.ask(9, Request::Query(Query::Blame { names: vec![name("wbe")], offset: 0 }));
    assert_eq!(bench.message(), "NOT_FOUND no process 'wbe'; did you mean 'web'?");
}

#[test]
fn retries_belong_to_a_start_and_what_the_daemon_restarts_later_does_not() {
    let mut programs = chain();
    programs[DB as usize] = ProgramConfig { startretries: 3, ..timed("db") };
    let mut bench = Bench::new(&programs);
    ask(&mut bench, 1, Act::Start, "db");
    bench.end(DB, Exit::Code(1));
    bench.pass(1);
    assert_eq!(told(&mut bench, &["db"]).0, ["db 0+1=? in 2"]);
    bench.pass(1);
    let ready = vec!["db 0+1=2 in 2".to_owned()];
    assert_eq!(told(&mut bench, &["db"]).0, ready);
    bench.end(DB, Exit::Code(1));
    bench.pass(5);
    assert_eq!(bench.state("db"), ProcessState::Running);
    assert_eq!(told(&mut bench, &["db"]).0, ready);
    ask(&mut bench, 2, Act::Restart { force: false }, "db");
    end_all(&mut bench);
    bench.pass(1);
    assert_eq!(told(&mut bench, &["db"]).0, ready);
}

/// A daemon that starts these as it begins.
fn booted(programs: &[ProgramConfig]) -> Bench {
    let mut bench = Bench::unbegun(SupervisorConfig::default(), programs);
    bench.begin();
    bench
}

/// What the boot took its time for can still be asked after months.
#[test]
fn the_boot_is_told_of_whatever_is_restarted_or_started_later() {
    let programs = chain().into_iter().map(|program| ProgramConfig { autostart: true, startsecs: 1, ..program });
    let mut programs: Vec<ProgramConfig> = programs.collect();
    programs[DB as usize].startsecs = 3;
    let mut old = ProgramConfig { autostart: true, ..timed("old") };
    old.restart.max_lifetime = 100;
    programs.push(old);
    programs.push(ProgramConfig { autostart: false, ..timed("tool") });
    let mut bench = booted(&programs);
    bench.pass(10);
    let boot = told(&mut bench, &[]);
    assert_eq!(boot.0, ["web 0+4=5 after api", "db 0+0=3", "api 0+3=4 after db", "old 0+0=1"]);
    assert_eq!(boot.1, ["web", "api", "db"]);
    bench.pass(110);
    assert_eq!(bench.state("old"), ProcessState::Stopping, "it has lived for long enough");
    bench.end(3, Exit::Signal(15));
    bench.pass(2);
    ask(&mut bench, 2, Act::Restart { force: false }, "api");
    end_all(&mut bench);
    bench.pass(9);
    ask(&mut bench, 3, Act::Start, "tool");
    bench.pass(1);
    let (rows, path) = told(&mut bench, &[]);
    assert_eq!((&rows[..4], &path), (&boot.0[..], &boot.1));
    assert!(rows[4].starts_with("tool "), "{rows:?}");
    assert_eq!(told(&mut bench, &["tool"]).1, ["tool"], "but of whom is named");
}

/// One that has not come about is told of as it was asked for last.
#[test]
fn a_start_that_was_given_up_gives_way_to_the_next_one() {
    let mut bench = booted(&[ProgramConfig { autostart: true, startretries: 0, ..timed("db") }]);
    bench.end(0, Exit::Code(1));
    assert_eq!((bench.state("db"), told(&mut bench, &[]).0), (ProcessState::Fatal, vec![name("db 0+0=?")]));
    bench.pass(5);
    ask(&mut bench, 1, Act::Start, "db");
    bench.pass(1);
    assert_eq!(told(&mut bench, &[]).0, ["db 5+0=6"]);
}

#[test]
fn a_oneshot_is_ready_when_it_has_completed() {
    let mut programs = chain();
    programs[DB as usize] = ProgramConfig { program_type: ProgramType::Oneshot, start_timeout: 0, ..timed("db") };
    let mut bench = Bench::new(&programs);
    ask(&mut bench, 1, Act::Start, "api");
    bench.pass(7);
    bench.end(DB, Exit::Code(0));
    bench.pass(1);
    assert_eq!(told(&mut bench, &[]).0, ["db 0+0=7", "api 0+7=7 after db"]);
    assert_eq!(bench.state("api"), ProcessState::Running);
}
