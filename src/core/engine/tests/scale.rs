//! `scale`: what is refused before the file is read for it.

use super::*;
use crate::api::ScaleFault;

fn scale(bench: &mut Bench, instances: u32, save: bool) {
    bench.ask(1, Request::Command(Command::Scale { program: name("web"), instances, save, timeout: None }));
}

fn fault(bench: &Bench) -> ScaleFault {
    let Refusal::NotScalable { name, why } = bench.refusal() else { panic!("{:?}", bench.refusal()) };
    assert_eq!(name, "web");
    why.clone()
}

#[test]
fn only_what_is_to_be_kept_needs_a_state_dir() {
    let mut bench = Bench::new(&[program("web")]);
    scale(&mut bench, 3, false);
    assert_eq!((bench.answers().len(), bench.system.loads), (0, 1), "the file is read for it");
    let mut bench = Bench::new(&[program("web")]);
    scale(&mut bench, 3, true);
    assert_eq!((fault(&bench), bench.system.loads), (ScaleFault::NoStateDir, 0));
    let settings = SupervisorConfig { state_dir: Some("/state".to_owned()), ..SupervisorConfig::default() };
    let mut bench = Bench::with(settings, &[program("web")]);
    scale(&mut bench, 3, true);
    assert_eq!((bench.answers().len(), bench.system.loads), (0, 1));
}

#[test]
fn there_are_not_more_instances_than_the_file_may_ask_for() {
    let mut bench = Bench::new(&[program("web")]);
    scale(&mut bench, 10_001, false);
    assert_eq!((fault(&bench), bench.system.loads), (ScaleFault::TooMany { most: 10_000 }, 0));
    scale(&mut bench, 10_000, false);
    assert_eq!((bench.answers().len(), bench.system.loads), (1, 1));
}

#[test]
fn what_was_asked_last_counts_though_whoever_asked_first_has_gone() {
    let mut bench = Bench::new(&[program("web")]);
    bench.ask(1, Request::Command(Command::ReadConfiguration));
    let scale =
        |instances| Request::Command(Command::Scale { program: name("web"), instances, save: false, timeout: None });
    bench.ask(2, scale(5));
    bench.ask(3, scale(2));
    bench.gone(2);
    assert_eq!(bench.engine.reload.scales_in_order(), [5, 2]);
    bench.gone(3);
    bench.ask(4, scale(5));
    bench.gone(4);
    assert_eq!(bench.engine.reload.scales_in_order(), [2, 5], "what nobody waits for is done once");
}
