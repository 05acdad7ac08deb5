//! Which end of a program ends the daemon, and with which code.

use super::*;
use crate::models::{AutoRestart, ExitCode, ExitOn};
use crate::process::{Exit, SpawnStage};

fn main_program(exit_on: ExitOn) -> ProgramConfig {
    ProgramConfig { exit_on, startsecs: 1, startretries: 1, ..program("main") }
}

fn idle() -> SupervisorConfig {
    SupervisorConfig { exit_when_idle: true, ..SupervisorConfig::default() }
}

impl House {
    fn begin(settings: SupervisorConfig, programs: &[ProgramConfig]) -> House {
        let mut house = House::with(settings, programs);
        house.engine.autostart(house.now, &mut house.world);
        house.pass(0);
        house
    }

    /// The program ends, and its output with it.
    fn end_and_drain(&mut self, id: ProcId, exit: Exit, last_line: &str) {
        let generation = self.engine.entries[&id].machine.generation();
        self.end(id, exit);
        let last_line = (!last_line.is_empty()).then(|| last_line.to_owned());
        self.handle(Input::Output(Note::Drained { program: id, generation, last_line }));
    }

    /// `None`: it goes on.
    fn code(&self) -> Option<u8> {
        assert_eq!(self.engine.verdict().is_some(), self.engine.is_ending());
        self.engine.verdict().map(|verdict| verdict.code)
    }
}

#[test]
fn each_exit_on_takes_the_ends_that_it_names() {
    let ends = [Exit::Code(0), Exit::Code(3), Exit::Signal(9)];
    for (exit_on, wanted) in [
        (ExitOn::Never, [None, None, None]),
        (ExitOn::Failure, [None, Some(3), Some(137)]),
        (ExitOn::Exit, [Some(0), Some(3), Some(137)]),
        (ExitOn::Fatal, [None, None, None]),
    ] {
        for (end, wanted) in ends.into_iter().zip(wanted) {
            for seconds in [0, 5] {
                let mut house = House::begin(SupervisorConfig::default(), &[main_program(exit_on)]);
                house.pass(seconds);
                house.end_and_drain(0, end, "");
                assert_eq!(house.code(), wanted, "{exit_on:?} {end} after {seconds} s");
                let spawned_again = if wanted.is_none() && seconds > 1 { 2 } else { 1 };
                assert_eq!(house.world.pids, spawned_again, "{exit_on:?} {end} after {seconds} s");
            }
        }
    }
}

#[test]
fn what_is_in_exitcodes_is_no_failure() {
    let config = ProgramConfig { exitcodes: vec![0, 2], ..main_program(ExitOn::Failure) };
    let mut house = House::begin(SupervisorConfig::default(), &[config]);
    house.pass(5);
    house.end_and_drain(0, Exit::Code(2), "");
    assert_eq!(house.code(), None);
}

#[test]
fn the_rest_is_stopped_and_the_reason_names_the_last_words() {
    let mut house = House::begin(SupervisorConfig::default(), &[main_program(ExitOn::Failure), program("other")]);
    house.pass(20);
    house.end_and_drain(0, Exit::Code(3), "no such table");
    assert_eq!((house.code(), house.engine.finished()), (Some(3), None));
    assert_eq!(house.status("other").state, "STOPPING");
    house.end_and_drain(1, Exit::Code(7), "");
    assert_eq!((house.code(), house.engine.finished()), (Some(3), Some(true)), "the first end is the reason");
    let reason = &house.engine.verdict().expect("a verdict").reason;
    assert_eq!(reason, "main (EXITED, exit_on = failure): exit code 3 after 20 s: no such table");
}

#[test]
fn the_first_end_decides_and_a_good_one_needs_no_explanation() {
    let mut house = House::begin(
        SupervisorConfig::default(),
        &[main_program(ExitOn::Exit), ProgramConfig { exit_on: ExitOn::Exit, ..program("other") }],
    );
    house.pass(20);
    house.end(0, Exit::Code(3));
    house.end(1, Exit::Code(5));
    house.pass(1);
    assert_eq!(house.code(), Some(3));
    for (code, line, wanted) in [
        (0, "bye", "main (EXITED, exit_on = exit): exit code 0 after 20 s"),
        (3, "", "main (EXITED, exit_on = exit): exit code 3 after 20 s"),
    ] {
        let mut house = House::begin(SupervisorConfig::default(), &[main_program(ExitOn::Exit)]);
        house.pass(20);
        let generation = house.engine.entries[&0].machine.generation();
        house.end(0, Exit::Code(code));
        house.handle(Input::Output(Note::Drained { program: 0, generation, last_line: Some(line.to_owned()) }));
        assert_eq!(house.engine.verdict().map(|verdict| verdict.reason.as_str()), Some(wanted));
    }
}

#[test]
fn idle_is_not_before_the_rest_of_a_group_has_gone_and_tells_the_last_failure() {
    let once = |name: &str| ProgramConfig { autorestart: AutoRestart::Never, ..program(name) };
    let mut house = House::begin(idle(), &[once("a"), once("b")]);
    house.pass(20);
    house.world.lingers_of = Some(0);
    house.end_and_drain(0, Exit::Code(0), "");
    house.end_and_drain(1, Exit::Code(5), "");
    house.pass(5);
    assert_eq!(house.code(), None, "something of a is left");
    house.world.lingers_of = None;
    house.pass(5);
    let reason = |house: &House| house.engine.verdict().expect("a verdict").reason.clone();
    assert!(reason(&house).ends_with("but b failed: EXITED, exit code 5"), "{}", reason(&house));

    let mut house = House::begin(idle(), &[main_program(ExitOn::Never)]);
    house.world.refuse_spawns = Some(SpawnError::system(SpawnStage::Exec, "/x", 2));
    house.end_and_drain(0, Exit::Code(4), "");
    house.pass(5);
    assert!(
        reason(&house).ends_with("but main failed: FATAL, cannot execute /x: No such file or directory"),
        "{}",
        reason(&house)
    );
}

#[test]
fn last_words_are_not_waited_for_longer_than_they_may_take() {
    let mut house = House::begin(SupervisorConfig::default(), &[main_program(ExitOn::Exit)]);
    house.pass(5);
    house.end(0, Exit::Code(3));
    assert!(!house.engine.is_ending());
    house.pass(1);
    assert_eq!(house.code(), Some(3));
}

#[test]
fn what_somebody_asks_for_is_no_exit() {
    for request in [
        Request::Stop { name: name("main"), terms: Terms::default() },
        Request::Restart { name: name("main"), force: false, terms: Terms::default() },
        Request::Restart { name: name("main"), force: true, terms: Terms::default() },
        Request::StopGroup { name: name("main"), terms: Terms::default() },
    ] {
        let mut house = House::begin(idle(), &[main_program(ExitOn::Exit)]);
        house.pass(5);
        house.ask(1, request.clone());
        house.end_and_drain(0, Exit::Code(3), "");
        assert_eq!(house.code(), None, "{request:?}");
    }
    let mut house = House::begin(idle(), &[main_program(ExitOn::Exit), program("other")]);
    house.pass(5);
    house.load(&[program("other")]);
    house.ask(1, Request::Reload);
    house.load(&[program("other")]);
    house.end_and_drain(0, Exit::Code(3), "");
    assert_eq!(house.code(), None, "removed by a reload");
}

#[test]
fn a_shutdown_that_was_asked_for_stays_one() {
    let mut house = House::begin(idle(), &[main_program(ExitOn::Exit)]);
    house.pass(5);
    house.handle(Input::Notice(Notice::Terminate));
    house.end_and_drain(0, Exit::Code(3), "");
    assert_eq!((house.engine.verdict(), house.engine.finished()), (None, Some(true)));
}

#[test]
fn fatal_is_never_zero() {
    for (exit_code, exit, wanted) in [
        (ExitCode::Program, Exit::Code(0), 1),
        (ExitCode::Program, Exit::Code(4), 4),
        (ExitCode::Program, Exit::Signal(6), 134),
        (ExitCode::Fixed(0), Exit::Code(4), 1),
        (ExitCode::Fixed(9), Exit::Code(4), 9),
    ] {
        let config = ProgramConfig { exit_code, ..main_program(ExitOn::Fatal) };
        let mut house = House::begin(SupervisorConfig::default(), &[config]);
        house.end_and_drain(0, exit, "");
        assert_eq!(house.code(), None, "one retry is left");
        house.pass(1);
        house.end_and_drain(0, exit, "");
        assert_eq!(house.code(), Some(wanted), "{exit_code:?} {exit}");
    }
}

#[test]
fn what_can_not_be_executed_is_told_as_a_shell_does() {
    for (stage, errno, wanted) in [(SpawnStage::Exec, 2, 127), (SpawnStage::Exec, 13, 126), (SpawnStage::Fork, 11, 1)] {
        let mut house = House::with(idle(), &[main_program(ExitOn::Never)]);
        house.world.refuse_spawns = Some(SpawnError::system(stage, "/x", errno));
        house.engine.autostart(house.now, &mut house.world);
        house.pass(5);
        house.pass(5);
        assert_eq!(house.code(), Some(wanted), "{stage:?} {errno}");
    }
}

#[test]
fn a_fixed_code_is_taken() {
    let config = ProgramConfig { exit_code: ExitCode::Fixed(42), ..main_program(ExitOn::Exit) };
    let mut house = House::begin(SupervisorConfig::default(), &[config]);
    house.end_and_drain(0, Exit::Code(0), "");
    assert_eq!(house.code(), Some(42));
}

#[test]
fn idle_is_when_all_that_was_started_has_ended_for_good() {
    let once = |name: &str| ProgramConfig { autorestart: AutoRestart::Never, ..program(name) };
    let asleep = ProgramConfig { autostart: false, ..program("asleep") };
    for (exits, wanted) in [
        ([Exit::Code(0), Exit::Code(0)], 0),
        ([Exit::Code(0), Exit::Code(5)], 5),
        ([Exit::Signal(11), Exit::Code(5)], 139),
    ] {
        let mut house = House::begin(idle(), &[once("a"), once("b"), asleep.clone()]);
        house.pass(20);
        house.end_and_drain(1, exits[1], "");
        assert_eq!(house.code(), None, "a runs");
        house.end_and_drain(0, exits[0], "");
        assert_eq!(house.code(), Some(wanted), "{exits:?}");
    }
    let mut house = House::begin(idle(), &[once("a"), program("b")]);
    house.pass(20);
    house.end_and_drain(0, Exit::Code(0), "");
    house.end_and_drain(1, Exit::Code(0), "");
    assert_eq!(house.code(), None, "b is started again");
    house.ask(1, Request::Stop { name: name("b"), terms: Terms::default() });
    house.end_and_drain(1, Exit::Code(0), "");
    assert_eq!((house.status("b").state.as_str(), house.code()), ("STOPPED", None), "somebody may start it again");
    let house = House::begin(idle(), std::slice::from_ref(&asleep));
    assert_eq!(house.code(), None, "nothing was ever started");
    // Nor does the end of one that a reload has removed count.
    let mut house = House::begin(idle(), &[program("a"), asleep.clone()]);
    house.handle(Input::Notice(Notice::Reload));
    let config = SupervisorConfig { programs: vec![asleep], ..idle() };
    let loaded = Loaded { config, warnings: Vec::new(), logfile_given: false, files: Vec::new() };
    house.handle(Input::ConfigLoaded(Box::new(Ok(loaded))));
    house.end_and_drain(0, Exit::Signal(15), "");
    assert_eq!((house.world.names(), house.code()), (vec![name("asleep")], None));
}
