//! `max_rss` and `max_cpu`.

use super::dependencies::{ask, list, told};
use super::*;
use crate::core::effect::UsageSample;
use crate::models::CpuLimit;

const MB: u64 = 1 << 20;

fn limited(name: &str, max_rss: Option<u64>, max_cpu: Option<(u32, u32)>) -> ProgramConfig {
    let mut program = ProgramConfig { startsecs: 1, ..program(name) };
    program.confinement.max_rss = max_rss;
    program.confinement.max_cpu = max_cpu.map(|(percent, seconds)| CpuLimit { percent, seconds });
    program.confinement.usage_interval = 10;
    program
}

fn started(programs: &[ProgramConfig]) -> Bench {
    let mut bench = Bench::new(programs);
    for program in programs {
        ask(&mut bench, 1, Act::Start, &program.name);
    }
    bench
}

#[test]
fn who_uses_too_much_memory_is_restarted_and_told_why() {
    let mut bench = started(&[limited("web", Some(200 * MB), None)]);
    bench.system.usage.insert(0, (200 * MB, 0));
    bench.pass(25);
    assert_eq!((bench.system.samples, told(&bench).len()), (2, 0));
    bench.system.usage.insert(0, (212 * MB, 0));
    bench.pass(10);
    assert_eq!((bench.state("web"), told(&bench)), (ProcessState::Stopping, vec![0]));
    bench.end(0, Exit::Signal(15));
    bench.system.usage.clear();
    bench.pass(25);
    assert_eq!((bench.state("web"), bench.system.signals.len(), bench.system.samples), (ProcessState::Running, 1, 5));
    let causes = bench.causes("web").join(", ");
    assert!(causes.contains("restart requested by max_rss: it uses 212 MB of 200 MB"), "{causes}");
}

#[test]
fn the_processor_is_looked_at_over_the_whole_time() {
    let mut bench = started(&[limited("web", None, Some((150, 30)))]);
    let mut cpu = 0;
    // A peak of 10 seconds is no trouble.
    for share in [100, 400, 100, 100, 100, 100] {
        cpu += share * 100;
        bench.system.usage.insert(0, (0, cpu));
        bench.pass(10);
        assert_eq!(told(&bench).len(), usize::from(bench.state("web") == ProcessState::Stopping));
    }
    assert_eq!(told(&bench).len(), 1, "200 % on an average of 30 s: 400 + 100 + 100");
    let causes = bench.causes("web").join(", ");
    assert!(causes.contains("max_cpu: 200 % in the last 30 s, 150 % are allowed"), "{causes}");
}

#[test]
fn nobody_looks_where_there_is_no_limit_or_no_run_and_all_are_looked_at_together() {
    let mut bench = started(&[program("web"), program("db")]);
    bench.pass(1_000);
    assert_eq!(bench.system.samples, 0);
    let mut bench = started(&[limited("a", Some(MB), None), limited("b", Some(MB), None), program("c")]);
    bench.pass(10);
    assert_eq!(bench.system.samples, 1);
    for (id, name) in [(0, "a"), (1, "b")] {
        ask(&mut bench, 2, Act::Stop, name);
        bench.end(id, Exit::Signal(15));
    }
    bench.pass(1_000);
    assert!(bench.system.samples <= 2, "{}", bench.system.samples);
}

#[test]
fn the_end_of_the_daemon_and_a_stop_that_waits_come_before_a_restart() {
    let programs = || {
        let web = ProgramConfig { requires: list("db"), ..program("web") };
        [limited("db", Some(MB), None), web]
    };
    let too_much = |bench: &mut Bench| {
        let generation = bench.entry(0).machine.generation();
        bench.handle(Input::UsageSampled { samples: vec![UsageSample { id: 0, generation, rss: 2 * MB, cpu_ms: 0 }] });
    };
    let ending: fn(&mut Bench) = |bench| bench.handle(Input::Notice(Notice::Terminate(None)));
    let stopped: fn(&mut Bench) = |bench| ask(bench, 2, Act::Stop, "db");
    for (step, told_to_end) in [(ending, vec![1]), (stopped, vec![1])] {
        let mut bench = started(&programs());
        bench.pass(2);
        step(&mut bench);
        too_much(&mut bench);
        assert_eq!((bench.state("db"), told(&bench)), (ProcessState::Running, told_to_end));
        let causes = bench.causes("db").join(", ");
        assert!(!causes.contains("max_rss"), "{causes}");
        bench.end(1, Exit::Signal(15));
        assert_eq!(told(&bench), [1, 0]);
        bench.end(0, Exit::Signal(15));
        assert_eq!(bench.system.pids, 2, "nothing is started again");
    }
}
