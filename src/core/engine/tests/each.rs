//! A command on several processes: one operation in the order of the graph, and an answer for each.

use super::bench::{Client, update};
use super::dependencies::{API, DB, WEB, ask, chain, end_all, list, quick, states, timed, told};
use super::*;
use crate::api::ProcId;

fn on(act: Act, names: &[&str], terms: Terms) -> Request {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    Request::Command(Command::Act { act, on: Selector::Processes(names), terms })
}

fn ask_all(bench: &mut Bench, client: Client, act: Act, names: &[&str]) {
    bench.ask(client, on(act, names, Terms::default()));
}

/// The last answer: the sentence for each name, and the names of the others.
fn results(bench: &Bench) -> Vec<String> {
    let Reply::Each { results, also } = bench.reply() else { panic!("{:?}", bench.reply()) };
    let text = |(name, result): &(String, crate::api::Answer)| match result {
        Ok(reply) => format!("{name}: {reply}"),
        Err(refusal) => format!("{name}: {} {refusal}", refusal.kind()),
    };
    results.iter().map(text).chain(also.iter().map(|name| format!("also {name}"))).collect()
}

#[test]
fn a_stop_of_all_keeps_the_order_of_what_is_wanted_and_what_comes_after() {
    let mut programs = chain();
    programs[WEB as usize].requires = list("");
    programs[WEB as usize].wants = list("api");
    programs[API as usize].requires = list("");
    programs[API as usize].after = list("db");
    let mut bench = Bench::new(&programs);
    ask_all(&mut bench, 1, Act::Start, &["db", "api", "web"]);
    assert_eq!(results(&bench), ["db: Started db", "api: Started api", "web: Started web"]);
    ask_all(&mut bench, 2, Act::Stop, &["db", "api", "web"]);
    assert_eq!(told(&bench), [WEB]);
    bench.end(WEB, Exit::Signal(15));
    assert_eq!(told(&bench), [WEB, API]);
    bench.end(API, Exit::Signal(15));
    assert_eq!((told(&bench), bench.answers().len()), (vec![WEB, API, DB], 1));
    bench.end(DB, Exit::Signal(15));
    assert_eq!(results(&bench), ["db: Stopped db", "api: Stopped api", "web: Stopped web"]);
}

#[test]
fn a_restart_of_all_stops_and_starts_each_once_in_order() {
    let mut bench = Bench::new(&chain());
    ask_all(&mut bench, 1, Act::Start, &["web", "db", "api"]);
    ask_all(&mut bench, 2, Act::Restart { force: false }, &["db", "api", "web"]);
    end_all(&mut bench);
    assert_eq!(told(&bench), [WEB, API, DB]);
    assert_eq!(states(&bench), "web RUNNING, db RUNNING, api RUNNING");
    assert_eq!([WEB, DB, API].map(|id| bench.entry(id).machine.generation()), [2, 2, 2]);
    assert_eq!(results(&bench), ["db: Restarted db", "api: Restarted api", "web: Restarted web"]);
}

#[test]
fn each_name_has_a_result_of_its_own() {
    let mut programs = chain();
    programs[DB as usize] = ProgramConfig { startretries: 0, ..timed("db") };
    programs.push(quick("up", ""));
    programs.push(quick("alone", ""));
    let mut bench = Bench::new(&programs);
    ask(&mut bench, 1, Act::Start, "up");
    ask_all(&mut bench, 2, Act::Start, &["up", "dbb", "db", "alone", "db"]);
    bench.end(DB, Exit::Code(3));
    bench.drained(DB, 1, Some("no disk"));
    let failed = "db: not_reached db did not start: FATAL: exit code 3 after 0.0 s: no disk";
    let unknown = "dbb: no_such_process no process 'dbb'; did you mean 'db'?";
    assert_eq!(results(&bench), ["up: up is already running", unknown, failed, "alone: Started alone"]);
    let told = bench.system.announced.iter().filter(|one| matches!(***one, Announcement::Failed(_))).count();
    assert_eq!(told, 1, "the log is told what has failed");
    ask_all(&mut bench, 3, Act::Stop, &["dbb"]);
    assert_eq!(results(&bench), [unknown]);
    ask_all(&mut bench, 4, Act::Stop, &[]);
    assert_eq!(results(&bench), [""; 0]);
}

#[test]
fn those_that_need_them_are_told_beside_and_who_does_not_wait_is_told_at_once() {
    let mut programs = chain();
    programs.push(quick("alone", ""));
    let mut bench = Bench::new(&programs);
    ask_all(&mut bench, 1, Act::Start, &["web", "alone"]);
    bench.ask(2, on(Act::Stop, &["api", "alone"], Terms { wait: false, ..Terms::default() }));
    assert_eq!(results(&bench), ["api: Stopping api", "alone: Stopping alone", "also web"]);
    bench.ask(3, on(Act::Stop, &["api", "alone"], Terms { timeout: Some(Duration::from_secs(1)), ..Terms::default() }));
    bench.pass(1);
    let late = |name: &str| format!("{name}: timed_out {name} did not stop: ");
    let told = results(&bench);
    assert!(told[0].starts_with(&late("api")) && told[1].starts_with(&late("alone")), "{told:?}");
    end_all(&mut bench);
    assert_eq!(states(&bench), "web STOPPED, db RUNNING, api STOPPED, alone STOPPED");
}

/// How long the daemon would wait for this stop.
fn patience(programs: &[ProgramConfig], names: &[&str]) -> Duration {
    let mut bench = Bench::new(programs);
    let all: Vec<&str> = programs.iter().map(|program| program.name.as_str()).collect();
    ask_all(&mut bench, 1, Act::Start, &all);
    ask_all(&mut bench, 2, Act::Stop, names);
    let waiter = bench.engine.timers.keys().find(|key| matches!(key, TimerKey::Waiter(_))).expect("it waits");
    let at = bench.engine.timers.get(waiter).expect("it is set");
    at.saturating_duration_since(bench.now)
}

#[test]
fn the_time_of_a_stop_is_that_of_the_longest_way_along_the_graph() {
    let stops = |program: ProgramConfig, seconds: u32| ProgramConfig { stopwaitsecs: seconds, ..program };
    let mut programs = vec![stops(quick("db", ""), 10), stops(quick("slow", "a"), 50)];
    programs.extend(["a", "b", "c", "d"].map(|name| stops(quick(name, "db"), 10)));
    let margin = 5;
    assert_eq!(patience(&programs, &["b"]), Duration::from_secs(10 + margin));
    assert_eq!(patience(&programs, &["b", "c", "d"]), Duration::from_secs(10 + margin), "at the same time");
    assert_eq!(patience(&programs, &["b", "c", "slow"]), Duration::from_secs(50 + margin));
    let longest = Duration::from_secs((50 + margin) + (10 + margin) + (10 + margin));
    assert_eq!(patience(&programs, &["db"]), longest, "slow, a, db");
}

#[test]
fn an_update_names_those_that_it_restarts_because_they_need_what_has_changed() {
    let mut programs = chain();
    let mut bench = Bench::new(&programs);
    ask_all(&mut bench, 1, Act::Start, &["web"]);
    programs[DB as usize].command = name("other");
    bench.ask(2, update(None));
    bench.load(&programs);
    end_all(&mut bench);
    let Reply::Updated(updated) = bench.reply() else { panic!("{:?}", bench.reply()) };
    assert_eq!(
        (&updated.changes.changed[..], &updated.restarted[..]),
        (&[name("db")][..], &["api", "db", "web"].map(name)[..])
    );
    assert_eq!([WEB, DB, API].map(|id| bench.entry(id).machine.generation()), [2, 2, 2]);
}

#[test]
fn a_group_that_a_reload_has_brought_is_stopped_in_the_place_that_it_has_in_the_file() {
    let of = |name: &str, group: &str| ProgramConfig { group: Some(group.to_owned()), ..quick(name, "") };
    let settings = SupervisorConfig { dialect: crate::models::Dialect::Supervisord, ..SupervisorConfig::default() };
    let mut bench = Bench::with(settings, &[of("a:1", "a"), of("c:1", "c")]);
    bench.ask(1, reload());
    let programs = [of("first:1", "first"), of("a:1", "a"), of("b:1", "b"), of("c:1", "c")];
    bench.load(&programs);
    for (client, program) in (2..).zip(&programs) {
        ask(&mut bench, client, Act::Start, &program.name);
    }
    let id = |bench: &Bench, name: &str| bench.engine.registry.find(name).expect("it is there");
    let order: Vec<ProcId> = ["c:1", "b:1", "a:1", "first:1"].map(|name| id(&bench, name)).to_vec();
    bench.handle(Input::Notice(Notice::Terminate(None)));
    for (number, id) in order.iter().enumerate() {
        assert_eq!(told(&bench), order[..=number], "one group after the other");
        bench.end(*id, Exit::Signal(15));
    }
}

#[test]
fn row_55_a_stop_of_all_and_the_shutdown_have_one_order() {
    let programs = || {
        let mut programs = chain();
        programs.push(ProgramConfig { wants: list("web"), ..quick("front", "") });
        programs.push(ProgramConfig { after: list("front"), ..quick("last", "") });
        programs
    };
    let trace = |stop: fn(&mut Bench)| {
        let mut bench = Bench::new(&programs());
        ask_all(&mut bench, 1, Act::Start, &["front", "last", "web", "db", "api"]);
        stop(&mut bench);
        end_all(&mut bench);
        told(&bench)
    };
    let by_stop = trace(|bench| ask_all(bench, 2, Act::Stop, &["db", "front", "api", "last", "web"]));
    let by_shutdown = trace(|bench| bench.handle(Input::Notice(Notice::Terminate(None))));
    assert_eq!(by_stop, by_shutdown);
    assert_eq!(by_stop, [4, 3, WEB, API, DB]);
}

fn begin_restart_of_db(bench: &mut Bench) {
    ask(bench, 1, Act::Start, "web");
    bench.pass(5);
    assert_eq!(states(bench), "web RUNNING, db RUNNING, api RUNNING");
    ask(bench, 2, Act::Restart { force: false }, "db");
    bench.end(WEB, Exit::Signal(15));
}

/// It was told that `db` had been stopped.
#[test]
fn who_is_stopped_while_it_goes_with_others_is_left_out_of_their_restart() {
    let mut bench = Bench::new(&chain());
    begin_restart_of_db(&mut bench);
    ask(&mut bench, 3, Act::Stop, "web");
    end_all(&mut bench);
    bench.pass(1);
    assert_eq!(states(&bench), "web STOPPED, db RUNNING, api RUNNING");
    assert_eq!((bench.last_client(), bench.message().as_str()), (2, "Restarted db, and what needs it: api"));
    // Started again, it is one of them.
    let mut bench = Bench::new(&chain());
    begin_restart_of_db(&mut bench);
    ask(&mut bench, 3, Act::Stop, "web");
    ask(&mut bench, 4, Act::Start, "web");
    end_all(&mut bench);
    bench.pass(1);
    assert_eq!(states(&bench), "web RUNNING, db RUNNING, api RUNNING");
    assert_eq!(bench.answers().len(), 4);
    assert!(bench.answers().iter().all(|(_, kind)| *kind == "ok"), "{:?}", bench.answers());
}

#[test]
fn who_fails_while_it_goes_with_others_is_the_one_that_is_named() {
    let mut programs = chain();
    programs[API as usize].startsecs = 5;
    let mut bench = Bench::new(&programs);
    begin_restart_of_db(&mut bench);
    end_all(&mut bench);
    bench.pass(1);
    assert_eq!(states(&bench), "web STARTING, db RUNNING, api STARTING");
    bench.end(API, Exit::Code(1));
    bench.pass(2);
    let message = bench.message();
    assert!(message.starts_with("FAILED Restarted db, but failed for: web (it waits for api, "), "{message}");
    assert!(message.contains("), api (BACKOFF: exit code 1 after "), "{message}");
}
