//! Which end of a program ends the daemon, and with which code.

use super::*;
use crate::models::{AutoRestart, ExitCode, ExitOn};
use crate::process::{SpawnError, SpawnStage};

fn main_program(exit_on: ExitOn) -> ProgramConfig {
    ProgramConfig { exit_on, startsecs: 1, startretries: 1, ..program("main") }
}

fn idle() -> SupervisorConfig {
    SupervisorConfig { exit_when_idle: true, ..SupervisorConfig::default() }
}

fn main_alone(settings: SupervisorConfig, exit_on: ExitOn) -> Bench {
    Bench::begun(settings, &[main_program(exit_on)])
}

impl Bench {
    /// With what is to start with the daemon started.
    fn begun(settings: SupervisorConfig, programs: &[ProgramConfig]) -> Bench {
        let mut bench = Bench::unbegun(settings, programs);
        bench.begin();
        bench
    }

    /// The program ends, and its output with it.
    fn end_and_drain(&mut self, id: ProcId, exit: Exit, last_line: &str) {
        let generation = self.entry(id).machine.generation();
        self.end(id, exit);
        self.drained(id, generation, Some(last_line).filter(|line| !line.is_empty()));
    }

    /// `None`: it goes on.
    fn code(&self) -> Option<u8> {
        assert_eq!(self.engine.exit_decision().is_some(), self.engine.is_ending());
        self.engine.exit_decision().map(|decision| decision.code)
    }

    fn reason(&self) -> String {
        self.engine.exit_decision().expect("a decision").to_string()
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
                let mut bench = main_alone(SupervisorConfig::default(), exit_on);
                bench.pass(seconds);
                bench.end_and_drain(0, end, "");
                assert_eq!(bench.code(), wanted, "{exit_on:?} {end} after {seconds} s");
                let spawned_again = if wanted.is_none() && seconds > 1 { 2 } else { 1 };
                assert_eq!(bench.system.pids, spawned_again, "{exit_on:?} {end} after {seconds} s");
            }
        }
    }
}

#[test]
fn what_is_in_exitcodes_is_no_failure() {
    let config = ProgramConfig { exitcodes: vec![0, 2], ..main_program(ExitOn::Failure) };
    let mut bench = Bench::begun(SupervisorConfig::default(), &[config]);
    bench.pass(5);
    bench.end_and_drain(0, Exit::Code(2), "");
    assert_eq!(bench.code(), None);
}

#[test]
fn the_rest_is_stopped_and_the_reason_names_the_last_words() {
    let mut bench = Bench::begun(SupervisorConfig::default(), &[main_program(ExitOn::Failure), program("other")]);
    bench.pass(20);
    bench.end_and_drain(0, Exit::Code(3), "no such table");
    assert_eq!((bench.code(), bench.engine.finished()), (Some(3), None));
    assert_eq!(bench.state("other"), ProcessState::Stopping);
    bench.end_and_drain(1, Exit::Code(7), "");
    assert_eq!((bench.code(), bench.engine.finished()), (Some(3), Some(true)), "the first end is the reason");
    assert_eq!(bench.reason(), "main (EXITED, exit_on = failure): exit code 3 after 20 s: no such table");
}

#[test]
fn the_first_end_decides_and_a_good_one_needs_no_explanation() {
    let mut bench = Bench::begun(
        SupervisorConfig::default(),
        &[main_program(ExitOn::Exit), ProgramConfig { exit_on: ExitOn::Exit, ..program("other") }],
    );
    bench.pass(20);
    bench.end(0, Exit::Code(3));
    bench.end(1, Exit::Code(5));
    bench.pass(1);
    assert_eq!(bench.code(), Some(3));
    for (code, line, wanted) in [
        (0, "bye", "main (EXITED, exit_on = exit): exit code 0 after 20 s"),
        (3, "", "main (EXITED, exit_on = exit): exit code 3 after 20 s"),
    ] {
        let mut bench = main_alone(SupervisorConfig::default(), ExitOn::Exit);
        bench.pass(20);
        let generation = bench.entry(0).machine.generation();
        bench.end(0, Exit::Code(code));
        bench.drained(0, generation, Some(line));
        assert_eq!(bench.reason(), wanted);
    }
}

#[test]
fn idle_is_not_before_the_rest_of_a_group_has_gone_and_tells_the_last_failure() {
    let once = |name: &str| ProgramConfig { autorestart: AutoRestart::Never, ..program(name) };
    let mut bench = Bench::begun(idle(), &[once("a"), once("b")]);
    bench.pass(20);
    bench.system.lingers_of = Some(0);
    bench.end_and_drain(0, Exit::Code(0), "");
    bench.end_and_drain(1, Exit::Code(5), "");
    bench.pass(5);
    assert_eq!(bench.code(), None, "something of a is left");
    bench.system.lingers_of = None;
    bench.pass(5);
    assert!(bench.reason().ends_with("but b failed: EXITED, exit code 5"), "{}", bench.reason());

    let mut bench = main_alone(idle(), ExitOn::Never);
    bench.system.refuse_spawns = Some(SpawnError::system(SpawnStage::Exec, "/x", 2));
    bench.end_and_drain(0, Exit::Code(4), "");
    bench.pass(5);
    assert!(
        bench.reason().ends_with("but main failed: FATAL, cannot execute /x: No such file or directory"),
        "{}",
        bench.reason()
    );
}

#[test]
fn last_words_are_not_waited_for_longer_than_they_may_take() {
    let mut bench = main_alone(SupervisorConfig::default(), ExitOn::Exit);
    bench.pass(5);
    bench.end(0, Exit::Code(3));
    assert!(!bench.engine.is_ending());
    bench.pass(1);
    assert_eq!(bench.code(), Some(3));
}

#[test]
fn what_somebody_asks_for_is_no_exit() {
    let group = Command::Act { act: Act::Stop, on: Selector::Group(name("main")), terms: Terms::default() };
    for request in [
        act(Act::Stop, "main"),
        act(Act::Restart { force: false }, "main"),
        act(Act::Restart { force: true }, "main"),
        Request::Command(group),
    ] {
        let mut bench = main_alone(idle(), ExitOn::Exit);
        bench.pass(5);
        bench.ask(1, request.clone());
        bench.end_and_drain(0, Exit::Code(3), "");
        assert_eq!(bench.code(), None, "{request:?}");
    }
    let mut bench = Bench::begun(idle(), &[main_program(ExitOn::Exit), program("other")]);
    bench.pass(5);
    bench.load(&[program("other")]);
    bench.ask(1, reload());
    bench.load(&[program("other")]);
    bench.end_and_drain(0, Exit::Code(3), "");
    assert_eq!(bench.code(), None, "removed by a reload");
}

#[test]
fn a_shutdown_that_was_asked_for_stays_one() {
    let mut bench = main_alone(idle(), ExitOn::Exit);
    bench.pass(5);
    bench.handle(Input::Notice(Notice::Terminate(None)));
    bench.end_and_drain(0, Exit::Code(3), "");
    assert_eq!((bench.engine.exit_decision(), bench.engine.finished()), (None, Some(true)));
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
        let mut bench = Bench::begun(SupervisorConfig::default(), &[config]);
        bench.end_and_drain(0, exit, "");
        assert_eq!(bench.code(), None, "one retry is left");
        bench.pass(1);
        bench.end_and_drain(0, exit, "");
        assert_eq!(bench.code(), Some(wanted), "{exit_code:?} {exit}");
    }
}

#[test]
fn what_cannot_be_executed_is_told_as_a_shell_does() {
    for (stage, errno, wanted) in [
        (SpawnStage::Exec, 2, 127),
        (SpawnStage::Interpreter, 2, 127),
        (SpawnStage::Exec, 13, 126),
        (SpawnStage::Session, 1, 1),
    ] {
        let mut bench = Bench::unbegun(idle(), &[main_program(ExitOn::Never)]);
        bench.system.refuse_spawns = Some(SpawnError::system(stage, "/x", errno));
        bench.begin();
        bench.pass(5);
        bench.pass(5);
        assert_eq!(bench.code(), Some(wanted), "{stage:?} {errno}");
    }
}

#[test]
fn a_fixed_code_is_taken() {
    let config = ProgramConfig { exit_code: ExitCode::Fixed(42), ..main_program(ExitOn::Exit) };
    let mut bench = Bench::begun(SupervisorConfig::default(), &[config]);
    bench.end_and_drain(0, Exit::Code(0), "");
    assert_eq!(bench.code(), Some(42));
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
        let mut bench = Bench::begun(idle(), &[once("a"), once("b"), asleep.clone()]);
        bench.pass(20);
        bench.end_and_drain(1, exits[1], "");
        assert_eq!(bench.code(), None, "a runs");
        bench.end_and_drain(0, exits[0], "");
        assert_eq!(bench.code(), Some(wanted), "{exits:?}");
    }
    let mut bench = Bench::begun(idle(), &[once("a"), program("b")]);
    bench.pass(20);
    bench.end_and_drain(0, Exit::Code(0), "");
    bench.end_and_drain(1, Exit::Code(0), "");
    assert_eq!(bench.code(), None, "b is started again");
    bench.stop(1, "b");
    bench.end_and_drain(1, Exit::Code(0), "");
    assert_eq!((bench.state("b"), bench.code()), (ProcessState::Stopped, None), "somebody may start it again");
    let bench = Bench::begun(idle(), std::slice::from_ref(&asleep));
    assert_eq!(bench.code(), None, "nothing was ever started");
    // Nor does the end of one that a reload has removed count.
    let mut bench = Bench::begun(idle(), &[program("a"), asleep.clone()]);
    bench.handle(Input::Notice(Notice::Reload));
    bench.load_settings(SupervisorConfig { programs: vec![asleep], ..idle() });
    bench.end_and_drain(0, Exit::Signal(15), "");
    assert_eq!((bench.system.names(), bench.code()), (vec![name("asleep")], None));
}
