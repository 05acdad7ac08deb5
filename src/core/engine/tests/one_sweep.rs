//! Several processes that are found to have ended at one look.

use super::bench::quick;
use super::dependencies::list;
use super::*;
use crate::api::ProcId;
use crate::models::AutoRestart;

const DB: ProcId = 0;
const WEB: ProcId = 1;

/// `web`, which is restarted at once, depends on `db`, which is not; both are up.
fn both_up(depend: impl FnOnce(ProgramConfig) -> ProgramConfig) -> Bench {
    let db = ProgramConfig { autorestart: AutoRestart::Never, ..quick("db") };
    let web = depend(ProgramConfig { autorestart: AutoRestart::Always, ..quick("web") });
    let mut bench = Bench::new(&[db, web]);
    bench.tick = Duration::from_micros(10);
    bench.start(1, "web");
    bench.pass(100);
    assert_eq!((bench.state("db"), bench.state("web")), (ProcessState::Running, ProcessState::Running));
    bench
}

fn end_together(bench: &mut Bench, ends: [(ProcId, Exit); 2]) {
    for (id, exit) in ends {
        let generation = bench.entry(id).machine.generation();
        bench.system.ended.push((id, generation, exit));
    }
    bench.handle(Input::Notice(Notice::Child));
}

#[test]
fn a_program_is_not_executed_if_what_it_needs_has_ended_with_it_whoever_is_told_of_first() {
    let requires = |web| ProgramConfig { requires: list("db"), ..web };
    let binds = |web| ProgramConfig { binds: list("db"), ..web };
    for depend in [requires as fn(ProgramConfig) -> ProgramConfig, binds] {
        for ends in [[(WEB, Exit::Code(0)), (DB, Exit::Signal(9))], [(DB, Exit::Signal(9)), (WEB, Exit::Code(0))]] {
            let mut bench = both_up(depend);
            end_together(&mut bench, ends);
            assert_eq!(
                (bench.state("db"), bench.state("web")),
                (ProcessState::Exited, ProcessState::Fatal),
                "{ends:?}"
            );
            assert_eq!(bench.describe("web"), "it needs db, which is EXITED");
            assert_eq!(bench.system.pids, 2, "web was executed once");
            bench.start(1, "db");
            assert_eq!((bench.state("db"), bench.state("web")), (ProcessState::Running, ProcessState::Running));
        }
    }
}

#[test]
fn what_is_not_executed_after_all_gives_its_start_slot_back() {
    let settings = SupervisorConfig { start_limit: 1, ..SupervisorConfig::default() };
    let db = ProgramConfig { autorestart: AutoRestart::Never, ..quick("db") };
    let web = ProgramConfig { autorestart: AutoRestart::Always, requires: list("db"), ..quick("web") };
    let mut bench = Bench::with(settings, &[db, web, program("other")]);
    bench.tick = Duration::from_micros(10);
    bench.start(1, "web");
    bench.pass(100);
    end_together(&mut bench, [(WEB, Exit::Code(0)), (DB, Exit::Signal(9))]);
    assert_eq!(bench.state("web"), ProcessState::Fatal);
    bench.start(1, "other");
    assert_eq!(bench.entry(2).machine.pid(), Some(bench.row("other").pid.unwrap()));
}
