//! What keeps a program from starting, typed and told.

use super::bench::{BY, act_on_terms};
use super::dependencies::{API, DB, ONLY, WEB, ask, chain, list, quick, timed};
use super::*;
use crate::api::{GraphRow, Query};
use crate::models::DependencyCondition;
use crate::process::Prerequisite;

/// The sentence of `why` that tells what is to blame.
fn blamed(bench: &mut Bench, program: &str) -> String {
    let why = bench.why(program);
    assert!(!why.chain.steps.is_empty(), "{why:?}");
    why.lines().swap_remove(1)
}

#[test]
fn why_follows_what_is_waited_for_to_the_program_that_is_to_blame() {
    let mut programs = chain();
    programs[DB as usize] = ProgramConfig { startretries: 1, ..timed("db") };
    programs[WEB as usize].wants = list("slow");
    programs.push(timed("slow"));
    let mut bench = Bench::new(&programs);
    ask(&mut bench, 1, Act::Start, "web");
    assert_eq!(blamed(&mut bench, "api"), "api waits for db, which is STARTING: pid 1002, uptime 0:00.");
    bench.end(DB, Exit::Code(3));
    bench.drained(DB, 1, Some("no disk"));
    // What has failed is to blame, not what is nearer and still on its way.
    let line = blamed(&mut bench, "web");
    assert_eq!(
        line,
        "web waits for api, which waits for db, which is BACKOFF: exit code 3 after 0.0 s, retry 1 of 1 in 1 s: no disk."
    );
    bench.pass(1);
    bench.end(DB, Exit::Code(3));
    bench.drained(DB, 2, Some("no disk"));
    let line = blamed(&mut bench, "web");
    assert!(line.starts_with("web needs api, which needs db, which is FATAL: exit code 3"), "{line}");
    assert!(bench.why("db").chain.steps.is_empty(), "it is to blame itself");
}

#[test]
fn why_tells_who_has_stopped_what_is_waited_for_and_with_which_condition() {
    let mut programs = chain();
    programs[WEB as usize].requires = list("api:started");
    let mut bench = Bench::new(&programs);
    ask(&mut bench, 1, Act::Start, "web");
    bench.ask(2, act_on_terms(Act::Stop, "api", ONLY));
    bench.end(API, Exit::Signal(15));
    bench.end(WEB, Exit::Code(1));
    bench.pass(1);
    assert_eq!(bench.state("web"), ProcessState::Fatal);
    let line = blamed(&mut bench, "web");
    assert_eq!(line, format!("web needs api:started, which is STOPPED: stop requested {BY}."));
}

#[test]
fn what_was_given_up_for_one_that_stops_tells_what_has_become_of_that() {
    let mut programs = chain();
    programs.push(ProgramConfig { binds: list("db"), ..quick("bound", "") });
    let mut bench = Bench::new(&programs);
    ask(&mut bench, 1, Act::Start, "bound");
    bench.ask(2, act_on_terms(Act::Stop, "db", ONLY));
    bench.end(3, Exit::Signal(15));
    bench.pass(1);
    assert_eq!(bench.describe("bound"), "it needs db, which is STOPPING");
    bench.end(DB, Exit::Signal(15));
    assert_eq!(bench.describe("bound"), "it needs db, which is STOPPED");
    ask(&mut bench, 3, Act::Start, "db");
    assert_eq!(bench.state("bound"), ProcessState::Running, "it is back by itself");
}

#[test]
fn why_names_what_is_disabled_and_how_it_comes_back() {
    let mut bench = Bench::new(&chain());
    bench.ask(1, Request::Command(Command::SetEnabled { name: name("db"), enabled: false }));
    ask(&mut bench, 2, Act::Start, "web");
    let line = blamed(&mut bench, "web");
    assert!(line.contains("which needs db, which is STOPPED: disabled; "), "{line}");
    let next = bench.why("web").lines().pop().unwrap_or_default();
    assert!(next.contains("db is disabled: supervicectl enable db, or start db"), "{next}");
}

#[test]
fn why_tells_a_long_chain_in_a_bounded_line() {
    let mut programs: Vec<ProgramConfig> =
        (0..100).map(|number| quick(&format!("p{number}"), &format!("p{}", number + 1))).collect();
    programs.push(timed("p100"));
    let mut bench = Bench::new(&programs);
    ask(&mut bench, 1, Act::Start, "p0");
    let why = bench.why("p0");
    assert_eq!((why.chain.steps.len(), why.chain.left_out), (8, 92));
    let line = blamed(&mut bench, "p0");
    assert!(
        line.contains("p7, which waits for another, and so on through 92 more, to p100, which is STARTING"),
        "{line}"
    );
}

#[test]
fn what_waits_is_told_typed() {
    let mut programs = chain();
    programs[API as usize].requires = list("db:completed");
    programs[DB as usize] = ProgramConfig { startretries: 1, ..timed("db") };
    programs[WEB as usize].wants = list("a,b,c,d");
    programs.extend(["a", "b", "c", "d"].map(timed));
    let mut bench = Bench::new(&programs);
    ask(&mut bench, 1, Act::Start, "web");
    bench.end(DB, Exit::Code(3));
    let on_db = Prerequisite::Process {
        name: "db".into(),
        condition: DependencyCondition::Completed,
        state: ProcessState::Backoff,
        retry: Some((1, 1, bench.now + Duration::from_secs(1))),
    };
    assert_eq!(bench.row("api").condition.awaited(), (&[on_db][..], 0));
    let row = bench.row("web");
    let (named, more) = row.condition.awaited();
    assert_eq!((named.len(), more), (3, 2));
    assert_eq!(bench.row("db").condition.awaited(), (&[][..], 0));
}

/// What is answered to `graph`: each process with those that it needs.
fn graph(bench: &mut Bench, names: &[&str], offset: usize) -> String {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    bench.ask(9, Request::Query(Query::Graph { names, offset }));
    let Reply::Graph { rows, .. } = bench.reply() else { panic!("a graph") };
    let needs = |row: &GraphRow| {
        let each = row.needs.iter().map(|edge| {
            let mark = if edge.holds { "+" } else { "-" };
            format!("{mark}{}:{}:{}", edge.kind.as_str(), edge.on.name, edge.condition.as_str())
        });
        each.collect::<Vec<String>>().join(" ")
    };
    let rows = rows.iter().map(|row| format!("{} {} [{}]", row.program.name, row.state, needs(row)));
    rows.collect::<Vec<String>>().join("\n")
}

#[test]
fn graph_tells_who_needs_whom_and_what_holds() {
    let mut programs = chain();
    programs[WEB as usize].wants = list("extra:started");
    programs.push(quick("extra", ""));
    programs.push(quick("alone", ""));
    let mut bench = Bench::new(&programs);
    ask(&mut bench, 1, Act::Start, "db");
    let all = "web STOPPED [-requires:api:ready -wants:extra:started]\ndb RUNNING []\n\
               api STOPPED [+requires:db:ready]\nextra STOPPED []\nalone STOPPED []";
    assert_eq!(graph(&mut bench, &[], 0), all);
    assert_eq!(graph(&mut bench, &[], 4), "alone STOPPED []");
    // What it needs and who needs it, but not what these need else.
    let part = "web STOPPED [-requires:api:ready]\ndb RUNNING []\napi STOPPED [+requires:db:ready]";
    assert_eq!(graph(&mut bench, &["api"], 0), part);
    assert_eq!(graph(&mut bench, &["alone"], 0), "alone STOPPED []");
    bench.ask(9, Request::Query(Query::Graph { names: vec!["wbe".to_owned()], offset: 0 }));
    assert_eq!(bench.message(), "NOT_FOUND no process 'wbe'; did you mean 'web'?");
}

#[test]
fn row_32_why_names_what_each_waits_for_and_for_how_long() {
    let mut programs = chain();
    programs[DB as usize] = ProgramConfig { startsecs: 60, ..timed("db") };
    let mut bench = Bench::new(&programs);
    ask(&mut bench, 1, Act::Start, "web");
    bench.pass(5);
    let lines = bench.why("web").lines();
    assert_eq!(lines[0], "web has been STARTING for 5.0 s: waiting for api (STARTING).");
    assert_eq!(lines[1], "web waits for api, which waits for db, which is STARTING: pid 1001, uptime 0:05.");
    let lines = bench.why("db").lines();
    assert_eq!(lines[0], "db has been STARTING for 5.0 s: pid 1001, uptime 0:05.");
    assert_eq!(lines.last().map(String::as_str), Some("Next: RUNNING, if it is still there, in 55 s."));
}

#[test]
fn row_57_who_ignores_its_stop_signal_is_named_and_until_when_also_by_those_that_wait_for_its_end() {
    let mut programs = chain();
    programs[WEB as usize].stopwaitsecs = 10;
    let mut bench = Bench::new(&programs);
    ask(&mut bench, 1, Act::Start, "web");
    ask(&mut bench, 2, Act::Stop, "db");
    bench.pass(3);
    assert_eq!(bench.describe("web"), "stopping, SIGKILL in 7 s");
    let row = bench.row("web");
    assert_eq!((row.state, row.kill_at), (ProcessState::Stopping, Some(bench.now + Duration::from_secs(7))));
    let line = bench.why("db").lines().swap_remove(1);
    assert_eq!(line, format!("To be stopped ({BY}) when these have gone: api (RUNNING: pid 1002, uptime 0:03)."));
    let line = bench.why("api").lines().swap_remove(1);
    assert!(line.ends_with(") when these have gone: web (STOPPING: stopping, SIGKILL in 7 s)."), "{line}");
    bench.pass(7);
    assert_eq!(bench.describe("web"), "stopping, SIGKILL was sent but it has not ended yet");
    bench.end(WEB, Exit::Signal(9));
    assert!(bench.why("api").held.is_none());
}

#[test]
fn row_47_starts_for_dependants_count_as_its_own_and_each_of_them_names_it_when_it_is_given_up() {
    let mut programs = vec![ProgramConfig { startretries: 2, ..timed("db") }];
    programs.extend(["a", "b", "c"].map(|name| quick(name, "db")));
    let mut bench = Bench::new(&programs);
    for (client, name) in (1..).zip(["a", "b", "c"]) {
        ask(&mut bench, client, Act::Start, name);
    }
    for attempt in 1..=3 {
        assert_eq!(bench.system.pids, attempt);
        bench.end(0, Exit::Code(1));
        bench.pass(u64::try_from(attempt).expect("a few"));
    }
    bench.pass(3600);
    assert_eq!(bench.system.pids, 3, "one attempt and two retries, whoever needs it");
    for name in ["a", "b", "c"] {
        let told = (bench.state(name), bench.describe(name));
        assert_eq!(told, (ProcessState::Fatal, "it needs db, which is FATAL".to_owned()));
    }
}
