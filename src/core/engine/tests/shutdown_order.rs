//! The order of the shutdown, and its bounds.

use super::dependencies::{API, DB, WEB, ask, chain, list, quick, states, timed, told};
use super::*;
use crate::api::{Announcement, ShutdownProgress};
use crate::core::effect::{Effect, GroupLeft};

fn shut_down(bench: &mut Bench) {
    bench.handle(Input::Notice(Notice::Terminate(None)));
}

#[test]
fn row_54_55_and_56_the_shutdown_is_the_reverse_of_the_start_and_nobody_waits_for_more_than_those_that_need_it() {
    let mut programs = chain();
    programs.push(quick("alone", ""));
    programs.push(ProgramConfig { after: list("web"), ..quick("last", "") });
    programs.push(ProgramConfig { wants: list("db"), ..quick("wants", "") });
    let mut bench = Bench::new(&programs);
    for (client, name) in [(1, "web"), (2, "alone"), (3, "last"), (4, "wants")] {
        ask(&mut bench, client, Act::Start, name);
    }
    shut_down(&mut bench);
    assert_eq!(told(&bench), [3, 4, 5], "at once: nothing needs these");
    bench.end(3, Exit::Signal(15));
    assert_eq!(told(&bench).len(), 3, "another one needs what comes next");
    // One that ends by itself is not started again.
    bench.end(API, Exit::Code(0));
    assert_eq!(bench.state("api"), ProcessState::Stopped);
    bench.end(4, Exit::Signal(15));
    assert_eq!(told(&bench)[3..], [WEB], "it does not wait for one that does not need it");
    bench.end(WEB, Exit::Signal(15));
    assert_eq!(told(&bench).len(), 4, "one that is there needs it");
    bench.end(5, Exit::Signal(15));
    assert_eq!(told(&bench)[4..], [DB]);
    bench.end(DB, Exit::Signal(15));
    bench.pass(5);
    assert_eq!((bench.engine.finished(), bench.system.pids), (Some(true), 6));
}

#[test]
fn the_next_one_of_a_shutdown_is_signalled_before_lines_are_made_of_the_end_of_the_last_one() {
    let mut bench = Bench::new(&[quick("web", "db"), quick("db", "")]);
    ask(&mut bench, 1, Act::Start, "web");
    shut_down(&mut bench);
    let generation = bench.entry(0).machine.generation();
    let (exit, group) = (Exit::Signal(15), GroupLeft::Empty);
    bench.engine.handle(bench.now, Input::Exited { id: 0, generation, exit, late: None, group, descendant: None });
    let effects: Vec<Effect> = std::iter::from_fn(|| bench.engine.poll_effect()).collect();
    let signal = effects.iter().position(|effect| matches!(effect, Effect::Signal { id: 1, .. }));
    let line = effects.iter().position(|effect| matches!(effect, Effect::Announce(_)));
    assert!(signal.is_some() && line.is_some() && signal < line, "{effects:?}");
}

#[test]
fn row_56_each_later_stage_keeps_its_share_of_the_time_and_nothing_is_killed_early() {
    let mut programs = chain();
    for program in &mut programs {
        program.stopwaitsecs = 100;
    }
    programs[DB as usize].stopwaitsecs = 4;
    let settings = SupervisorConfig { shutdown_timeout: 30, ..SupervisorConfig::default() };
    let mut bench = Bench::with(settings, &programs);
    ask(&mut bench, 1, Act::Start, "web");
    shut_down(&mut bench);
    // api keeps 10 s (a third), db 4 s.
    bench.pass(15);
    assert_eq!(bench.system.signals, [(WEB, 15)]);
    bench.pass(1);
    assert_eq!(bench.system.signals, [(WEB, 15), (WEB, 9)]);
    let killed = ShutdownProgress::KillingStage { names: vec!["web".to_owned()], left: Duration::from_secs(14) };
    let told = "its share of shutdown_timeout is over (14.0 s are left for the others): killing web";
    assert_eq!(killed.to_string(), told);
    assert!(bench.announced(&Announcement::Shutdown(killed)), "not the whole time is over");
    bench.end(WEB, Exit::Signal(9));
    assert_eq!(bench.system.signals[2..], [(API, 15)]);
    bench.pass(9);
    assert_eq!(bench.system.signals[2..], [(API, 15)], "26 s: db needs four of the thirty");
    bench.pass(1);
    assert_eq!(bench.system.signals[3..], [(API, 9)]);
    bench.end(API, Exit::Signal(9));
    bench.pass(5);
    assert_eq!(bench.system.signals[4..], [(DB, 15), (DB, 9)]);
    bench.end(DB, Exit::Signal(9));
    bench.pass(5);
    assert_eq!(bench.engine.finished(), Some(true));
}

#[test]
fn row_58_a_shutdown_in_every_mix_of_waiting_states_ends_within_its_bound() {
    for moment in 0..6 {
        let mut programs = chain();
        programs[DB as usize] = ProgramConfig { startretries: 1, ..timed("db") };
        let mut bench = Bench::new(&programs);
        ask(&mut bench, 1, Act::Start, "web");
        match moment {
            0 => {}
            1 => bench.end(DB, Exit::Code(1)),
            2 => bench.pass(2),
            3 => {
                bench.pass(2);
                ask(&mut bench, 2, Act::Stop, "db");
            }
            4 => {
                bench.pass(2);
                ask(&mut bench, 2, Act::Restart { force: false }, "db");
            }
            _ => {
                bench.end(DB, Exit::Code(1));
                bench.pass(1);
                bench.end(DB, Exit::Code(1));
            }
        }
        shut_down(&mut bench);
        bench.pass(31);
        // SIGKILL has ended what there was.
        for id in [WEB, API, DB] {
            if bench.entry(id).machine.pid().is_some() {
                bench.end(id, Exit::Signal(9));
            }
        }
        bench.pass(5);
        assert!(bench.engine.finished().is_some(), "{moment}: {}", states(&bench));
        assert_eq!(bench.engine.owed(), 0, "{moment}");
        assert!(bench.engine.registry.iter().all(|(_, entry)| entry.is_settled_down()), "{moment}: {}", states(&bench));
    }
}

#[test]
fn in_the_dialect_of_supervisord_groups_are_stopped_one_after_the_other_the_last_first() {
    let of = |name: &str, group: &str| ProgramConfig { group: Some(group.to_owned()), ..quick(name, "") };
    let programs = [of("a:1", "a"), of("a:2", "a"), of("b:1", "b"), of("c:1", "c")];
    let settings = SupervisorConfig { dialect: crate::models::Dialect::Supervisord, ..SupervisorConfig::default() };
    let mut bench = Bench::with(settings, &programs);
    for (client, program) in (1..).zip(&programs) {
        ask(&mut bench, client, Act::Start, &program.name);
    }
    shut_down(&mut bench);
    assert_eq!(told(&bench), [3]);
    bench.end(3, Exit::Signal(15));
    assert_eq!(told(&bench), [3, 2]);
    bench.end(2, Exit::Signal(15));
    assert_eq!(told(&bench), [3, 2, 0, 1]);
}
