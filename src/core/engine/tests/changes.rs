//! `restart_on_change`.

use super::dependencies::{ask, states, told};
use super::*;
use crate::models::{ChangeAction, ChangePath};

fn watched(name: &str, of: u32) -> ProgramConfig {
    let mut program = ProgramConfig { startsecs: 1, numprocs: of, ..program(name) };
    program.restart.on_change = vec![ChangePath::Command];
    program
}

impl Bench {
    fn change(&mut self, id: ProcId) {
        let generation = self.entry(id).machine.generation();
        self.handle(Input::PathChanged { id, generation, path: "/bin/web".into() });
    }
}

fn started(programs: &[ProgramConfig]) -> Bench {
    let mut bench = Bench::new(programs);
    for program in programs {
        ask(&mut bench, 1, Act::Start, &program.name);
    }
    bench.pass(1);
    bench
}

#[test]
fn a_run_is_watched_from_its_spawn_to_its_end_and_restarted_for_a_change() {
    let mut bench = started(&[watched("web", 1), program("other")]);
    assert_eq!(bench.system.watched.keys().copied().collect::<Vec<_>>(), [0]);
    bench.change(0);
    assert_eq!((told(&bench), bench.state("web")), (vec![0], ProcessState::Stopping));
    bench.change(0);
    bench.end(0, Exit::Signal(15));
    bench.pass(1);
    assert_eq!(
        (bench.state("web"), bench.system.signals.len(), bench.system.watched.len()),
        (ProcessState::Running, 1, 1)
    );
    let causes = bench.causes("web").join(", ");
    assert!(causes.contains("restart requested by a change of /bin/web (restart_on_change)"), "{causes}");
    ask(&mut bench, 2, Act::Stop, "web");
    bench.end(0, Exit::Signal(15));
    assert!(bench.system.watched.is_empty());
}

#[test]
fn news_of_a_former_run_and_of_one_that_is_to_end_change_nothing() {
    let mut bench = started(&[watched("web", 1)]);
    bench.handle(Input::PathChanged { id: 0, generation: 0, path: "/bin/web".into() });
    assert!(told(&bench).is_empty());
    ask(&mut bench, 2, Act::Stop, "web");
    bench.change(0);
    bench.end(0, Exit::Signal(15));
    bench.pass(10);
    assert_eq!(bench.state("web"), ProcessState::Stopped);
}

#[test]
fn instances_of_one_program_get_the_new_version_one_after_the_other() {
    let mut bench = started(&[watched("web:00", 2), watched("web:01", 2)]);
    bench.change(0);
    bench.change(1);
    assert_eq!((told(&bench), states(&bench).as_str()), (vec![0], "web:00 STOPPING, web:01 RUNNING"));
    bench.end(0, Exit::Signal(15));
    assert_eq!(told(&bench), [0]);
    bench.pass(1);
    assert_eq!((told(&bench), states(&bench).as_str()), (vec![0, 1], "web:00 RUNNING, web:01 STOPPING"));
}

#[test]
fn it_may_be_told_to_read_its_configuration_again_instead() {
    let mut program = watched("web", 1);
    program.restart.on_change_action = ChangeAction::Reload;
    program.hooks.reload_signal = Some("HUP".to_owned());
    program.hooks.reload_command = vec!["check it".parse().expect("a command")];
    let mut bench = started(&[program]);
    bench.change(0);
    assert_eq!((bench.system.tasks.len(), bench.system.signals.len()), (1, 0));
    bench.handle(Input::TaskExited { task: 0, exit: Exit::Code(0) });
    bench.handle(Input::Output(Note::TaskOutput { task: 0, tail: Vec::new() }));
    assert_eq!((bench.system.signals.as_slice(), bench.state("web")), ([(0, 1)].as_slice(), ProcessState::Running));
}
