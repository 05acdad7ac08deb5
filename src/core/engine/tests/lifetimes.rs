//! `max_lifetime`.

use super::dependencies::{ask, list, states, told};
use super::sim::random::Random;
use super::*;

/// An instance that is `RUNNING` a second after it was spawned.
fn instance(name: &str, of: u32, max_lifetime: u32) -> ProgramConfig {
    let mut program = ProgramConfig { startsecs: 1, numprocs: of, ..program(name) };
    program.restart.max_lifetime = max_lifetime;
    program
}

fn instances(of: u32, max_lifetime: u32) -> Vec<ProgramConfig> {
    (0..of).map(|number| instance(&format!("web:{number:02}"), of, max_lifetime)).collect()
}

fn started(programs: &[ProgramConfig]) -> Bench {
    let mut bench = Bench::new(programs);
    for program in programs {
        ask(&mut bench, 1, Act::Start, &program.name);
    }
    bench.pass(1);
    bench
}

/// Those that are not `RUNNING`.
fn away(bench: &Bench) -> usize {
    let rows = bench.engine.rows(None, 0, &bench.engine.visibility(&Initiator::Embedder)).expect("rows");
    rows.iter().filter(|row| row.state != ProcessState::Running).count()
}

#[test]
fn a_run_lives_for_so_long_a_tenth_more_or_less_and_is_restarted() {
    let mut ends = Vec::new();
    for seed in 0..20 {
        let mut bench = Bench::new(&[instance("web", 1, 1_000)]);
        bench.engine.seed(seed);
        ask(&mut bench, 1, Act::Start, "web");
        let begin = bench.now;
        bench.pass(899);
        assert_eq!(bench.state("web"), ProcessState::Running);
        while bench.state("web") == ProcessState::Running {
            bench.pass(1);
        }
        ends.push(bench.now.saturating_duration_since(begin).as_secs());
        bench.end(0, Exit::Signal(15));
        bench.pass(1);
        assert_eq!((bench.state("web"), bench.row("web").restarts), (ProcessState::Running, 1));
        let causes = bench.causes("web").join(", ");
        assert!(causes.contains("restart requested by max_lifetime = 1000"), "{causes}");
    }
    assert!(ends.iter().all(|end| (900..=1_102).contains(end)), "{ends:?}");
    assert!(ends.iter().any(|end| *end < 980) && ends.iter().any(|end| *end > 1_020), "they spread: {ends:?}");
}

#[test]
fn instances_go_one_after_the_other_each_when_the_one_before_is_running() {
    let mut bench = started(&instances(5, 100));
    let mut gone = Vec::new();
    bench.pass(120);
    for _ in 0..5 {
        assert_eq!(away(&bench), 1, "{}", states(&bench));
        let id = *told(&bench).last().expect("one was told to end");
        bench.pass(500);
        assert_eq!((away(&bench), told(&bench).last()), (1, Some(&id)), "it takes long to end: the others wait");
        bench.end(id, Exit::Signal(15));
        assert_eq!((away(&bench), told(&bench).last()), (1, Some(&id)), "it is only STARTING");
        gone.push(id);
        bench.pass(1);
    }
    gone.sort_unstable();
    assert_eq!(gone, [0, 1, 2, 3, 4]);
}

#[test]
fn who_cannot_come_back_keeps_the_others_alive_and_who_was_stopped_by_a_person_does_not() {
    let mut bench = started(&instances(3, 100));
    ask(&mut bench, 2, Act::Stop, "web:02");
    bench.end(2, Exit::Signal(15));
    bench.pass(120);
    let first = *told(&bench).last().expect("one was told to end");
    assert!(first < 2, "{}", states(&bench));
    bench.system.refuse_spawns = Some(SpawnError::system(crate::process::SpawnStage::Exec, "/bin/web", 13));
    bench.end(first, Exit::Signal(15));
    bench.pass(10_000);
    assert_eq!((bench.entry(first).machine.state(), bench.system.signals.len()), (ProcessState::Fatal, 2));
    assert_eq!(bench.entry(1 - first).machine.state(), ProcessState::Running, "it is the last one");
    bench.system.refuse_spawns = None;
    ask(&mut bench, 3, Act::Start, if first == 0 { "web:00" } else { "web:01" });
    bench.pass(1);
    assert_eq!(told(&bench).last(), Some(&(1 - first)));
}

#[test]
fn those_that_need_it_go_with_it() {
    let mut shop = instance("shop", 1, 0);
    shop.requires = list("db");
    let mut bench = started(&[instance("db", 1, 100), shop]);
    bench.pass(111);
    assert_eq!((told(&bench), states(&bench).as_str()), (vec![1], "db RUNNING, shop STOPPING"));
    bench.end(1, Exit::Signal(15));
    bench.end(0, Exit::Signal(15));
    bench.pass(2);
    assert_eq!(states(&bench), "db RUNNING, shop RUNNING");
}

#[test]
fn a_lifetime_ends_with_its_run_and_begins_with_the_next_one() {
    let mut bench = started(&instances(2, 100));
    bench.pass(60);
    ask(&mut bench, 2, Act::Restart { force: false }, "web:00");
    bench.end(0, Exit::Signal(15));
    ask(&mut bench, 3, Act::Stop, "web:01");
    bench.end(1, Exit::Signal(15));
    bench.pass(60);
    assert_eq!((told(&bench), states(&bench).as_str()), (vec![0, 1], "web:00 RUNNING, web:01 STOPPED"));
}

/// A limit is for what goes wrong, and a restart that the configuration asks for is no sign of that.
#[test]
fn a_restart_for_its_age_does_not_count_for_the_limit_of_restarts() {
    let mut program = instance("web", 1, 10);
    program.restart.limit = Some(crate::models::RestartLimit { restarts: 2, seconds: 600 });
    let mut bench = started(&[program]);
    for restarts in 1..=5 {
        bench.pass(11);
        bench.end(0, Exit::Signal(15));
        bench.pass(1);
        assert_eq!((bench.state("web"), bench.row("web").restarts), (ProcessState::Running, restarts));
    }
    for _ in 0..2 {
        bench.end(0, Exit::Code(1));
        bench.pass(2);
        assert_eq!(bench.state("web"), ProcessState::Running);
    }
    // The limit is used up by crashes: its age may restart it still.
    bench.pass(11);
    bench.end(0, Exit::Signal(15));
    bench.pass(1);
    assert_eq!(bench.state("web"), ProcessState::Running);
    bench.end(0, Exit::Code(1));
    assert_eq!(bench.state("web"), ProcessState::Fatal);
    ask(&mut bench, 2, Act::Start, "web");
    bench.pass(1);
    bench.end(0, Exit::Code(1));
    assert_eq!(bench.state("web"), ProcessState::Starting, "an operator's start begins a new count");
}

#[test]
fn those_that_go_with_one_for_its_age_are_not_counted_either() {
    let mut shop = instance("shop", 1, 0);
    shop.requires = list("db");
    shop.restart.limit = Some(crate::models::RestartLimit { restarts: 0, seconds: 600 });
    let mut bench = started(&[instance("db", 1, 100), shop]);
    bench.pass(111);
    bench.end(1, Exit::Signal(15));
    bench.end(0, Exit::Signal(15));
    bench.pass(2);
    assert_eq!(states(&bench), "db RUNNING, shop RUNNING");
}

#[test]
fn one_that_leaves_the_configuration_keeps_nobody_waiting() {
    let programs = instances(2, 100);
    let mut bench = started(&programs);
    bench.pass(120);
    let first = *told(&bench).last().expect("one was told to end");
    let stays = programs[usize::try_from(1 - first).expect("small")].clone();
    bench.ask(2, reload());
    bench.load(&[stays]);
    bench.end(first, Exit::Signal(15));
    assert_eq!(told(&bench).last(), Some(&(1 - first)));
}

/// Goes through all that was announced: whenever one is restarted for its age, no other is away but by somebody's wish.
/// Returns how many were.
fn judge(bench: &Bench) -> usize {
    let mut away: SortedMap<String, ProcessState> = SortedMap::default();
    let mut renewed = 0;
    for announcement in &bench.system.announced {
        let Announcement::Transition { program, transition, .. } = &**announcement else { continue };
        let by_age = matches!(
            &transition.cause,
            process::Cause::Requested { verb: process::Verb::Restart, by: Initiator::Policy(_), .. }
        );
        if by_age {
            renewed += 1;
            assert!(away.keys().all(|name| *name == program.name), "{}: {away:?} are away", program.name);
        }
        match transition.to {
            ProcessState::Running | ProcessState::Stopped => drop(away.remove(&program.name)),
            state => drop(away.insert(program.name.clone(), state)),
        }
    }
    renewed
}

/// Hundreds of lives of some instances that end by themselves, are stopped, restarted and removed in between.
#[test]
fn at_most_one_is_away_for_its_age_whatever_happens() {
    let mut renewed = 0;
    for seed in 0..400 {
        let mut random = Random::new(seed);
        let of = 2 + random.small(4);
        let programs = instances(of, 1 + random.small(40));
        let mut bench = started(&programs);
        bench.engine.seed(random.small(u32::MAX));
        for _ in 0..60 {
            let id = ProcId::from(random.small(of));
            match random.below(10) {
                0 => ask(&mut bench, 2, Act::Stop, &programs[id as usize].name),
                1 => ask(&mut bench, 2, Act::Start, &programs[id as usize].name),
                2 => ask(&mut bench, 2, Act::Restart { force: false }, &programs[id as usize].name),
                3 if bench.entry(id).machine.pid().is_some() => bench.end(id, Exit::Code(random.small(2) as u8)),
                4..7 => {
                    for id in 0..of {
                        let machine = &bench.entry(id).machine;
                        if machine.pid().is_some() && machine.state() == ProcessState::Stopping {
                            bench.end(id, Exit::Signal(15));
                        }
                    }
                }
                _ => bench.pass(u64::from(random.small(30))),
            }
        }
        renewed += judge(&bench);
    }
    assert!(renewed > 400, "{renewed}");
}
