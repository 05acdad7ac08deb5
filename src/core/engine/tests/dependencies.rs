//! Programs that need others. Rows are those of the list of what went wrong elsewhere.

use super::bench::{BY, Client, act_on_terms, update};
use super::*;
use crate::api::ProcId;
use crate::models::AutoRestart;
use crate::process::Generation;

pub(super) const ONLY: Terms = Terms { wait: true, timeout: None, only: true };

/// A program that is RUNNING after a second.
pub(super) fn timed(name: &str) -> ProgramConfig {
    ProgramConfig { startsecs: 1, ..program(name) }
}

/// A program that is RUNNING as soon as it is executed.
pub(super) fn quick(name: &str, requires: &str) -> ProgramConfig {
    let mut program = ProgramConfig { startsecs: 0, ..timed(name) };
    program.requires = list(requires);
    program
}

pub(super) fn list(text: &str) -> Vec<crate::models::Dependency> {
    text.split(',').filter(|text| !text.is_empty()).map(|text| text.parse().expect("a name")).collect()
}

/// `web` requires `api`, which requires `db`.
pub(super) fn chain() -> Vec<ProgramConfig> {
    vec![quick("web", "api"), quick("db", ""), quick("api", "db")]
}

pub(super) const WEB: ProcId = 0;
pub(super) const DB: ProcId = 1;
pub(super) const API: ProcId = 2;

pub(super) fn ask(bench: &mut Bench, client: Client, verb: Act, name: &str) {
    bench.ask(client, act(verb, name));
}

pub(super) fn states(bench: &Bench) -> String {
    let rows = bench.engine.rows(None, 0, &bench.engine.visibility(&Initiator::Embedder)).expect("rows");
    let each: Vec<String> = rows.iter().map(|row| format!("{} {}", row.program.name, row.state)).collect();
    each.join(", ")
}

/// The processes that were told to end, in this order.
pub(super) fn told(bench: &Bench) -> Vec<ProcId> {
    bench.system.signals.iter().map(|(id, _)| *id).collect()
}

/// Everything that was told to end ends.
pub(super) fn end_all(bench: &mut Bench) {
    let ends = |entry: &Entry| entry.machine.state() == ProcessState::Stopping && entry.machine.pid().is_some();
    let next = |bench: &Bench| bench.engine.registry.iter().find(|(_, entry)| ends(entry)).map(|(id, _)| id);
    while let Some(id) = next(bench) {
        bench.end(id, Exit::Signal(15));
    }
}

fn generations(bench: &Bench) -> [Generation; 3] {
    [WEB, DB, API].map(|id| bench.entry(id).machine.generation())
}

#[test]
fn row_37_a_start_begins_with_what_is_needed_and_starts_each_once() {
    let mut programs = chain();
    programs[WEB as usize].wants = list("db,extra");
    programs.push(quick("extra", "db"));
    programs[DB as usize].startsecs = 1;
    let mut bench = Bench::new(&programs);
    ask(&mut bench, 1, Act::Start, "web");
    assert_eq!(states(&bench), "web STARTING, db STARTING, api STARTING, extra STARTING");
    assert_eq!(bench.system.pids, 1, "only db has a process");
    assert_eq!(bench.describe("web"), "waiting for api (STARTING), db (STARTING), extra (STARTING)");
    assert_eq!(bench.row("web").pid, None);
    bench.pass(1);
    assert_eq!(states(&bench), "web RUNNING, db RUNNING, api RUNNING, extra RUNNING");
    assert_eq!(bench.answers(), [(1, "ok")]);
    assert_eq!(generations(&bench), [1, 1, 1]);
    let causes = bench.causes("db").join("; ");
    assert!(causes.contains(&format!("start requested {BY} for web")), "{causes}");
}

#[test]
fn row_33_and_34_what_ends_before_it_is_ready_starts_nobody_and_the_answer_says_so_at_once() {
    let mut programs = chain();
    programs[DB as usize] = ProgramConfig { startretries: 1, ..timed("db") };
    let mut bench = Bench::new(&programs);
    ask(&mut bench, 1, Act::Start, "web");
    bench.end(DB, Exit::Code(1));
    bench.drained(DB, 1, Some("no disk"));
    assert_eq!(bench.answers(), [(1, "not_reached")]);
    let message = bench.message();
    assert!(message.contains("waits for db, which is BACKOFF: exit code 1"), "{message}");
    assert!(message.contains("no disk"), "{message}");
    assert_eq!(states(&bench), "web STARTING, db BACKOFF, api STARTING", "the waiting goes on");
    assert_eq!(bench.describe("api"), "waiting for db (BACKOFF, retry 1 of 1 in 1 s)");
    bench.pass(1);
    bench.end(DB, Exit::Code(1));
    assert_eq!(states(&bench), "web FATAL, db FATAL, api FATAL");
    assert_eq!(bench.describe("api"), "it needs db, which is FATAL");
    bench.pass(10);
    assert_eq!((bench.system.pids, bench.engine.poll_timeout()), (2, None), "nothing more comes by itself");
    // A person starts it anew, and what needs it follows.
    ask(&mut bench, 2, Act::Start, "db");
    bench.pass(1);
    assert_eq!(states(&bench), "web RUNNING, db RUNNING, api RUNNING");
    let causes = bench.causes("api").join("; ");
    assert!(causes.contains("db, which it needs, is there after all"), "{causes}");
}

#[test]
fn a_start_starts_what_is_fatal_anew_and_the_daemon_itself_does_not() {
    let mut programs = chain();
    programs[DB as usize] = ProgramConfig { startretries: 0, ..timed("db") };
    let mut bench = Bench::new(&programs);
    ask(&mut bench, 1, Act::Start, "web");
    bench.end(DB, Exit::Code(1));
    assert_eq!(states(&bench), "web FATAL, db FATAL, api FATAL");
    bench.pass(3600);
    assert_eq!(bench.system.pids, 1);
    ask(&mut bench, 2, Act::Start, "web");
    assert_eq!(states(&bench), "web STARTING, db STARTING, api STARTING");
    bench.pass(1);
    assert_eq!(states(&bench), "web RUNNING, db RUNNING, api RUNNING");
    assert_eq!(bench.last_client(), 2);
}

#[test]
fn row_53_a_stop_ends_dependants_first_and_names_them() {
    let mut bench = Bench::new(&chain());
    ask(&mut bench, 1, Act::Start, "web");
    ask(&mut bench, 2, Act::Stop, "db");
    assert_eq!(told(&bench), [WEB], "the others wait for its end");
    bench.system.lingers_of = Some(WEB);
    bench.end(WEB, Exit::Signal(15));
    assert_eq!(told(&bench)[..], [WEB, WEB][..told(&bench).len()], "something of it is left");
    bench.system.lingers_of = None;
    bench.pass(1);
    assert_eq!(told(&bench).last(), Some(&API));
    bench.end(API, Exit::Signal(15));
    assert_eq!(told(&bench).last(), Some(&DB));
    bench.end(DB, Exit::Signal(15));
    assert_eq!(bench.message(), "Stopped db, and what needs it: web, api");
    assert_eq!(states(&bench), "web STOPPED, db STOPPED, api STOPPED");
    let causes = bench.causes("web").join("; ");
    assert!(causes.contains(&format!("stop requested {BY} with api")), "{causes}");
}

#[test]
fn a_stop_ends_the_waiting_of_those_that_need_it() {
    let mut programs = chain();
    programs[DB as usize].startsecs = 5;
    let mut bench = Bench::new(&programs);
    ask(&mut bench, 1, Act::Start, "web");
    ask(&mut bench, 2, Act::Stop, "db");
    assert_eq!(states(&bench), "web STOPPED, db STOPPING, api STOPPED");
    assert_eq!(bench.answers(), [(1, "not_reached")]);
    end_all(&mut bench);
    assert_eq!(states(&bench), "web STOPPED, db STOPPED, api STOPPED");
    bench.pass(100);
    assert_eq!(bench.system.pids, 1);
}

#[test]
fn only_leaves_alone_what_runs_and_what_is_bound_follows() {
    let mut programs = chain();
    programs.push(ProgramConfig { binds: list("db"), ..quick("bound", "") });
    let mut bench = Bench::new(&programs);
    ask(&mut bench, 1, Act::Start, "web");
    ask(&mut bench, 2, Act::Start, "bound");
    bench.ask(3, act_on_terms(Act::Stop, "db", ONLY));
    end_all(&mut bench);
    assert_eq!(states(&bench), "web RUNNING, db STOPPED, api RUNNING, bound FATAL");
    assert_eq!(bench.message(), "Stopped db");
    assert_eq!(bench.describe("bound"), "it needs db, which is STOPPED");
    ask(&mut bench, 4, Act::Start, "db");
    assert_eq!(states(&bench), "web RUNNING, db RUNNING, api RUNNING, bound RUNNING", "it is back by itself");
}

#[test]
fn row_42_and_48_what_is_bound_follows_each_end_and_comes_back_and_what_requires_runs_on() {
    let mut programs = chain();
    programs[API as usize].requires.clear();
    programs[API as usize].binds = list("db");
    let mut bench = Bench::new(&programs);
    ask(&mut bench, 1, Act::Start, "web");
    for round in 1..=100 {
        bench.pass(2);
        bench.end(DB, Exit::Signal(9));
        assert_eq!(bench.state("api"), ProcessState::Stopping, "round {round}");
        end_all(&mut bench);
        bench.pass(2);
        assert_eq!(states(&bench), "web RUNNING, db RUNNING, api RUNNING");
    }
    assert_eq!(generations(&bench), [1, 101, 101]);
    // What a person stopped does not come back.
    ask(&mut bench, 2, Act::Stop, "api");
    end_all(&mut bench);
    bench.end(DB, Exit::Signal(9));
    bench.pass(10);
    assert_eq!(states(&bench), "web STOPPED, db RUNNING, api STOPPED");
}

#[test]
fn row_43_a_restart_restarts_those_that_ran_in_order_and_waits_for_them() {
    let mut programs = chain();
    programs.push(quick("idle", "db"));
    programs[DB as usize].startsecs = 1;
    let mut bench = Bench::new(&programs);
    ask(&mut bench, 1, Act::Start, "web");
    bench.pass(1);
    ask(&mut bench, 2, Act::Restart { force: false }, "db");
    end_all(&mut bench);
    assert_eq!(told(&bench), [WEB, API, DB]);
    assert_eq!(states(&bench), "web STARTING, db STARTING, api STARTING, idle STOPPED");
    assert_eq!(bench.answers(), [(1, "ok")]);
    bench.pass(1);
    assert_eq!(states(&bench), "web RUNNING, db RUNNING, api RUNNING, idle STOPPED");
    assert_eq!((bench.answers(), generations(&bench)), (vec![(1, "ok"), (2, "ok")], [2, 2, 2]));
    bench.ask(3, act_on_terms(Act::Restart { force: false }, "db", ONLY));
    end_all(&mut bench);
    bench.pass(1);
    assert_eq!(generations(&bench), [2, 3, 2]);
}

#[test]
fn row_44_after_a_restart_that_failed_dependants_stay_down_and_name_it() {
    let mut bench = Bench::new(&chain());
    ask(&mut bench, 1, Act::Start, "web");
    ask(&mut bench, 2, Act::Restart { force: false }, "db");
    bench.system.refuse_spawns = Some(crate::process::SpawnError::system(crate::process::SpawnStage::Exec, "/x", 13));
    end_all(&mut bench);
    bench.pass(1);
    assert_eq!(states(&bench), "web FATAL, db FATAL, api FATAL");
    assert_eq!(bench.describe("api"), "it needs db, which is FATAL");
    assert_eq!(bench.answers(), [(1, "ok"), (2, "not_reached")]);
}

#[test]
fn a_start_that_comes_while_a_stop_waits_for_others_brings_all_up_again() {
    let mut bench = Bench::new(&chain());
    ask(&mut bench, 1, Act::Start, "web");
    ask(&mut bench, 2, Act::Stop, "db");
    ask(&mut bench, 3, Act::Start, "web");
    end_all(&mut bench);
    end_all(&mut bench);
    assert_eq!(states(&bench), "web RUNNING, db RUNNING, api RUNNING");
    let mut answers = bench.answers();
    answers.sort_unstable();
    assert_eq!(answers, [(1, "ok"), (2, "ok"), (3, "ok")]);
    assert!(bench.engine.held.len() == 0 && bench.engine.owed() == 0);
}

#[test]
fn a_kill_is_done_at_once_and_dependants_end_in_the_ordinary_way() {
    let mut bench = Bench::new(&chain());
    ask(&mut bench, 1, Act::Start, "web");
    ask(&mut bench, 2, Act::Kill, "db");
    assert_eq!(bench.system.signals, [(WEB, 15), (DB, 9)]);
    end_all(&mut bench);
    assert_eq!(states(&bench), "web STOPPED, db STOPPED, api STOPPED");
}

#[test]
fn what_is_wanted_is_no_obstacle_and_what_comes_before_is_only_waited_for() {
    let mut web = quick("web", "");
    web.wants = list("extra");
    web.after = list("net");
    let failing = ProgramConfig { startretries: 1, ..timed("extra") };
    let mut bench = Bench::new(&[web, failing, timed("net")]);
    ask(&mut bench, 1, Act::Start, "net");
    ask(&mut bench, 2, Act::Start, "web");
    bench.end(1, Exit::Code(1));
    assert_eq!(bench.answers(), [], "it may still get there");
    assert_eq!(bench.describe("web"), "waiting for extra (BACKOFF, retry 1 of 1 in 1 s), net (STARTING)");
    bench.pass(1);
    bench.end(1, Exit::Code(1));
    assert_eq!(states(&bench), "web RUNNING, extra FATAL, net RUNNING");
    // Nothing is started for its sake.
    ask(&mut bench, 3, Act::Stop, "net");
    end_all(&mut bench);
    assert_eq!(bench.state("net"), ProcessState::Stopped);
    ask(&mut bench, 4, Act::Restart { force: false }, "web");
    end_all(&mut bench);
    assert_eq!(states(&bench), "web STARTING, extra STARTING, net STOPPED", "what is wanted is started anew");
    bench.pass(1);
    assert_eq!(states(&bench), "web RUNNING, extra RUNNING, net STOPPED");
}

#[test]
fn each_condition_holds_when_it_says() {
    let job = ProgramConfig { autorestart: AutoRestart::Unexpected, startretries: 0, ..timed("job") };
    let programs = [
        quick("a", "db"),
        quick("b", "db:started"),
        quick("c", "db:healthy"),
        quick("d", "job:completed"),
        ProgramConfig { startsecs: 5, ..bench::checked("db") },
        job,
    ];
    let mut bench = Bench::new(&programs);
    for (client, name) in [(1, "a"), (2, "b"), (3, "c"), (4, "d")] {
        ask(&mut bench, client, Act::Start, name);
    }
    let up = |bench: &Bench| ["a", "b", "c", "d"].map(|name| bench.state(name) == ProcessState::Running);
    assert_eq!(up(&bench), [false, true, false, false]);
    assert_eq!(bench.describe("c"), "waiting for db:healthy (STARTING)");
    bench.pass(5);
    assert_eq!(up(&bench), [true, true, false, false]);
    bench.end(5, Exit::Code(0));
    assert_eq!((up(&bench), bench.state("job")), ([true, true, false, true], ProcessState::Exited));
    bench.pass(60);
    bench.health(4, 1, true);
    assert_eq!(up(&bench), [true; 4]);
    // What has completed is not run again for the next one that needs it.
    ask(&mut bench, 5, Act::Restart { force: false }, "d");
    end_all(&mut bench);
    assert_eq!((bench.state("d"), bench.entry(5).machine.generation()), (ProcessState::Running, 1));
}

#[test]
fn row_34_a_job_that_fails_for_good_is_waited_for_no_longer() {
    let job = ProgramConfig { autorestart: AutoRestart::Never, ..quick("job", "") };
    let mut bench = Bench::new(&[quick("d", "job:completed"), job]);
    ask(&mut bench, 1, Act::Start, "d");
    bench.pass(2);
    assert_eq!(bench.state("d"), ProcessState::Starting);
    bench.end(1, Exit::Code(3));
    bench.pass(1);
    assert_eq!((bench.state("d"), bench.state("job")), (ProcessState::Fatal, ProcessState::Exited));
    assert_eq!(bench.describe("d"), "it needs job, which is EXITED");
    assert_eq!(bench.answers(), [(1, "not_reached")]);
}

#[test]
fn row_49_and_51_a_reload_touches_nothing_that_runs_and_frees_those_that_wait_for_something_else_now() {
    let mut programs = chain();
    programs[DB as usize].startsecs = 100;
    let mut bench = Bench::new(&programs);
    ask(&mut bench, 1, Act::Start, "web");
    bench.ask(2, reload());
    bench.load(&programs);
    assert_eq!((bench.system.pids, states(&bench).matches("STARTING").count()), (1, 3));
    let mut edited = programs.clone();
    edited[API as usize].requires = list("db:started");
    bench.ask(3, reload());
    bench.load(&edited);
    assert_eq!(states(&bench), "web RUNNING, db STARTING, api RUNNING");
    edited[API as usize].requires = list("other");
    edited.push(quick("other", ""));
    bench.ask(4, reload());
    bench.load(&edited);
    assert_eq!((generations(&bench), bench.state("other")), ([1, 1, 1], ProcessState::Running));
}

#[test]
fn row_52_what_a_reload_removes_ends_in_order() {
    let mut bench = Bench::new(&chain());
    ask(&mut bench, 1, Act::Start, "web");
    bench.ask(2, reload());
    bench.load(&[quick("web", "")]);
    assert_eq!(told(&bench), [API]);
    end_all(&mut bench);
    assert_eq!((told(&bench), states(&bench)), (vec![API, DB], "web RUNNING".to_owned()));
    assert_eq!(bench.answers(), [(1, "ok"), (2, "ok")]);
}

/// What it waits for leaves with it: that is no reason to execute it for the moment until it is stopped.
#[test]
fn what_waits_for_something_that_is_removed_with_it_is_not_executed() {
    for kind in ["requires", "binds", "wants", "after"] {
        let mut programs = vec![quick("e", "c"), timed("b"), quick("c", ""), quick("z", "")];
        programs[1].startsecs = 100;
        let needs = match kind {
            "requires" => &mut programs[2].requires,
            "binds" => &mut programs[2].binds,
            "wants" => &mut programs[2].wants,
            _ => &mut programs[2].after,
        };
        *needs = list("b");
        let mut bench = Bench::new(&programs);
        ask(&mut bench, 1, Act::Start, "b");
        ask(&mut bench, 2, Act::Start, "e");
        assert_eq!((bench.system.pids, bench.state("c")), (1, ProcessState::Starting), "{kind}");
        bench.ask(3, update(None));
        bench.load(&[quick("z", "")]);
        end_all(&mut bench);
        assert_eq!((bench.system.pids, states(&bench)), (1, "z STOPPED".to_owned()), "{kind}");
    }
    // The same of those that have been given up.
    let mut programs = chain();
    programs[DB as usize].autorestart = AutoRestart::Never;
    programs[DB as usize].startretries = 0;
    programs[DB as usize].startsecs = 1;
    let mut bench = Bench::new(&programs);
    ask(&mut bench, 1, Act::Start, "web");
    bench.end(DB, Exit::Code(1));
    assert_eq!(states(&bench), "web FATAL, db FATAL, api FATAL");
    bench.ask(2, reload());
    bench.load(&[]);
    assert_eq!((bench.system.pids, states(&bench)), (1, String::new()));
}

#[test]
fn row_36_random_commands_while_it_waits_leave_one_child_and_answer_each() {
    let mut programs = chain();
    programs[DB as usize].startsecs = 3;
    let mut bench = Bench::new(&programs);
    let names = ["web", "db", "api"];
    let acts = [Act::Start, Act::Stop, Act::Restart { force: false }, Act::Kill];
    let mut seed = 7_u64;
    for client in 0..600 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (verb, name) = (acts[(seed >> 33) as usize % 4], names[(seed >> 40) as usize % 3]);
        ask(&mut bench, client, verb, name);
        match (seed >> 50) % 4 {
            0 => end_all(&mut bench),
            1 => bench.pass(1),
            _ => {}
        }
        assert!(bench.system.pids < 10_000, "starts are paced");
    }
    end_all(&mut bench);
    bench.pass(60);
    end_all(&mut bench);
    bench.pass(60);
    assert_eq!((bench.engine.owed(), bench.system.answers.len(), bench.engine.held.len()), (0, 600, 0));
}

#[test]
fn row_46_kill_minus_nine_in_a_chain_a_thousand_times_and_all_are_up_again() {
    let mut programs = chain();
    programs.iter_mut().for_each(|program| program.binds = std::mem::take(&mut program.requires));
    let mut bench = Bench::new(&programs);
    ask(&mut bench, 1, Act::Start, "web");
    for round in 0..1000_u32 {
        bench.pass(2);
        let victim = [WEB, DB, API][round as usize % 3];
        bench.end(victim, Exit::Signal(9));
        if round % 2 == 0 {
            end_all(&mut bench);
        }
        bench.pass(3);
        end_all(&mut bench);
        bench.pass(3);
        assert_eq!(states(&bench), "web RUNNING, db RUNNING, api RUNNING", "round {round}");
    }
}

#[test]
fn a_chain_of_ten_thousand_starts_and_stops_without_a_deep_stack() {
    let count = 10_000_u32;
    let name = |number: u32| format!("p{number}");
    let programs: Vec<ProgramConfig> =
        (0..count).map(|number| quick(&name(number), &number.checked_sub(1).map_or(String::new(), name))).collect();
    let mut bench = Bench::new(&programs);
    ask(&mut bench, 1, Act::Start, &name(count - 1));
    assert_eq!((bench.system.pids, bench.answers()), (count as i32, vec![(1, "ok")]));
    bench.ask(2, act(Act::Stop, "p0"));
    for number in (0..count).rev() {
        assert_eq!(bench.system.signals.last(), Some(&(number, 15)));
        bench.end(number, Exit::Signal(15));
    }
    assert_eq!(bench.answers(), [(1, "ok"), (2, "ok")]);
}

#[test]
fn row_77_a_oneshot_runs_once_for_all_that_need_it_and_not_again_for_a_restart_or_a_reload() {
    let kind = crate::models::ProgramType::Oneshot;
    let oneshot = ProgramConfig { program_type: kind, start_timeout: 0, ..timed("migrate") };
    let programs = [quick("a", "migrate"), quick("b", "migrate:completed"), oneshot];
    let mut bench = Bench::new(&programs);
    ask(&mut bench, 1, Act::Start, "a");
    ask(&mut bench, 2, Act::Start, "b");
    bench.pass(100);
    assert_eq!(states(&bench), "a STARTING, b STARTING, migrate STARTING");
    bench.end(2, Exit::Code(0));
    assert_eq!(states(&bench), "a RUNNING, b RUNNING, migrate EXITED");
    assert_eq!(bench.answers(), [(1, "ok"), (2, "ok")]);
    ask(&mut bench, 3, Act::Restart { force: false }, "a");
    end_all(&mut bench);
    bench.ask(4, reload());
    bench.load(&programs);
    assert_eq!(states(&bench), "a RUNNING, b RUNNING, migrate EXITED");
    assert_eq!(bench.entry(2).machine.generation(), 1);
}

#[test]
fn a_restart_has_come_about_though_who_went_with_it_was_removed_meanwhile() {
    let programs = [quick("b", ""), quick("c", "b"), quick("d", "c")];
    let names = |names: &[&str]| crate::api::Selector::Processes(names.iter().map(|name| (*name).to_owned()).collect());
    let restart = Act::Restart { force: false };
    for on in [crate::api::Selector::Process("b".to_owned()), names(&["b"])] {
        let mut bench = Bench::new(&programs);
        ask(&mut bench, 1, Act::Start, "d");
        bench.ask(2, Request::Command(Command::Act { act: restart, on, terms: Terms::default() }));
        bench.ask(3, reload());
        bench.load(&[quick("b", ""), quick("d", "b")]);
        end_all(&mut bench);
        assert_eq!(states(&bench), "b RUNNING, d RUNNING");
        let answers = bench.answers();
        assert!(answers.contains(&(2, "ok")) && answers.contains(&(3, "ok")), "{answers:?}");
    }
    // What was named itself did not come about.
    let mut bench = Bench::new(&programs);
    ask(&mut bench, 1, Act::Start, "d");
    bench.ask(2, Request::Command(Command::Act { act: restart, on: names(&["b", "c"]), terms: Terms::default() }));
    bench.ask(3, reload());
    bench.load(&[quick("b", ""), quick("d", "b")]);
    end_all(&mut bench);
    assert!(
        bench
            .system
            .answers
            .iter()
            .any(|(client, answer, _)| *client == 2 && format!("{answer:?}").contains("RemovedFromConfiguration")),
        "{:?}",
        bench.system.answers
    );
}

/// A completed oneshot that waits for its `stop_command`, and `w`, which requires it and runs.
fn completed_and_needed() -> Bench {
    let mut bench = Bench::new(&[once_undone_by("true"), quick("w", "m")]);
    ask(&mut bench, 1, Act::Start, "w");
    bench.end(0, Exit::Code(0));
    assert_eq!((states(&bench).as_str(), bench.answers()), ("m EXITED, w RUNNING", vec![(1, "ok")]));
    bench
}

fn once_undone_by(command: &str) -> ProgramConfig {
    let mut once = ProgramConfig { program_type: crate::models::ProgramType::Oneshot, ..timed("m") };
    once.hooks.stop_command =
        vec![crate::models::HookCommand { command: command.to_owned(), may_fail: false, as_daemon: false }];
    once
}

/// `w` goes first, and waits for `m`, which is still EXITED then: `m` is about to be restarted, and has not failed.
fn goes_and_comes_back(bench: &mut Bench) {
    assert_eq!(states(bench), "m EXITED, w STOPPING");
    bench.end(1, Exit::Signal(15));
    assert_eq!((states(bench).as_str(), bench.answers().len()), ("m STOPPING, w STARTING", 1));
    let task = *bench.system.tasks.keys().last().expect("the stop_command runs");
    bench.handle(Input::TaskExited { task, exit: Exit::Code(0) });
    bench.handle(Input::Output(Note::TaskOutput { task, tail: Vec::new() }));
    assert_eq!((states(bench).as_str(), bench.answers().len()), ("m STARTING, w STARTING", 1));
    bench.end(0, Exit::Code(0));
    assert_eq!(states(bench), "m EXITED, w RUNNING");
}

#[test]
fn a_completed_oneshot_with_a_stop_command_is_restarted_with_those_that_need_it() {
    let mut bench = completed_and_needed();
    ask(&mut bench, 2, Act::Restart { force: false }, "m");
    goes_and_comes_back(&mut bench);
    assert_eq!(bench.message(), "Restarted m, and what needs it: w");
    let mut bench = completed_and_needed();
    bench.ask(2, super::bench::update(None));
    bench.load(&[once_undone_by("false"), quick("w", "m")]);
    goes_and_comes_back(&mut bench);
    assert_eq!(bench.answers(), [(1, "ok"), (2, "ok")]);
}

/// Whoever requires a whole layer is told of its failure by each of its members: once, whatever stands below.
#[test]
fn a_failure_below_many_layers_is_told_once_to_each() {
    const LAYERS: usize = 8;
    const EACH: usize = 20;
    let root = ProgramConfig { group: Some(name("l0")), startretries: 0, ..timed("root") };
    let above = |layer: usize, number: usize| ProgramConfig {
        group: Some(format!("l{layer}")),
        ..quick(&format!("p{layer}-{number}"), &format!("group:l{}", layer - 1))
    };
    let layers = (1..=LAYERS).flat_map(|layer| (0..EACH).map(move |number| above(layer, number)));
    let programs: Vec<ProgramConfig> = [root].into_iter().chain(layers).collect();
    let names = programs.iter().map(|program| program.name.clone()).collect();
    let mut bench = Bench::new(&programs);
    let terms = Terms { wait: false, ..Terms::default() };
    bench.ask(1, Request::Command(Command::Act { act: Act::Start, on: Selector::Processes(names), terms }));
    // By the number of ways to the root that would take years.
    bench.end(0, Exit::Code(1));
    assert_eq!(bench.state(&format!("p{LAYERS}-0")), ProcessState::Fatal);
    assert_eq!(bench.came_to(ProcessState::Fatal).len(), programs.len());
}
