//! `on_fatal`.

use super::dependencies::{ask, list};
use super::*;
use crate::models::{FatalAction, Power};

/// A program that is given up when it ends in its first second.
fn hopeless(on_fatal: &str) -> ProgramConfig {
    let mut program = ProgramConfig { startsecs: 1, startretries: 0, ..program("web") };
    program.restart.on_fatal = FatalAction::parse(on_fatal).expect("an action");
    program
}

fn given_up(programs: &[ProgramConfig], is_init: bool) -> Bench {
    let mut bench = Bench::new(programs);
    bench.engine.commands_machine(is_init);
    ask(&mut bench, 1, Act::Start, "web");
    bench.end(0, Exit::Code(1));
    bench.drained(0, 1, None);
    bench
}

fn commands(bench: &Bench) -> Vec<&str> {
    bench.system.tasks.values().map(String::as_str).collect()
}

#[test]
fn a_command_is_run_once_it_is_given_up_and_told_why() {
    let bench = given_up(&[hopeless("command:-+/bin/page me")], false);
    assert_eq!(commands(&bench), ["-+/bin/page me"]);
    let told = &bench.system.told_to_hooks;
    for wanted in [("SUPERVICE_HOOK", "on_fatal"), ("SUPERVICE_STATE", "FATAL"), ("SUPERVICE_EXIT_CODE", "1")] {
        assert!(told.contains(&(wanted.0, wanted.1.to_owned())), "{told:?}");
    }
}

#[test]
fn the_machine_s_init_turns_it_off_itself_and_another_daemon_asks_for_it() {
    for (word, power) in [("reboot", Power::Reboot), ("poweroff", Power::Off)] {
        let bench = given_up(&[hopeless(word)], true);
        assert_eq!((bench.engine.power(), commands(&bench)), (Some(power), Vec::new()));
        let bench = given_up(&[hopeless(word)], false);
        assert_eq!((bench.engine.is_ending(), commands(&bench)), (false, vec![format!("+{word}").as_str()]));
    }
}

#[test]
fn a_container_s_init_ends_it_itself_and_no_client_may_ask_for_that() {
    let mut bench = Bench::new(&[hopeless("reboot")]);
    bench.engine.ends_container(true);
    bench.ask(1, Request::Command(Command::Power(Power::Off)));
    assert!(matches!(bench.refusal(), Refusal::NotInit));
    assert!(!bench.engine.is_ending());
    ask(&mut bench, 2, Act::Start, "web");
    bench.end(0, Exit::Code(1));
    bench.drained(0, 1, None);
    assert_eq!(
        (bench.engine.power(), bench.engine.is_ending(), commands(&bench)),
        (Some(Power::Reboot), true, Vec::new())
    );
}

#[test]
fn the_daemon_ends_with_it() {
    let bench = given_up(&[hopeless("exit")], false);
    let decision = bench.engine.exit_decision().expect("it ends");
    assert_eq!(decision.code, 1);
    assert!(decision.to_string().starts_with("web (FATAL, on_fatal = exit): "), "{decision}");
}

#[test]
fn where_it_is_tried_again_so_many_attempts_have_to_fail_before_and_it_follows_once() {
    let mut program = hopeless("command:/bin/page");
    (program.restart.fatal_retry, program.restart.on_fatal_after) = (1, 2);
    let mut bench = Bench::new(&[program]);
    bench.system.refuse_spawns = Some(SpawnError::system(crate::process::SpawnStage::Exec, "/bin/web", 2));
    ask(&mut bench, 1, Act::Start, "web");
    // The first attempt comes after 0.8 to 1.2 s, the second one after 1.6 to 2.4 s more.
    bench.pass(2);
    assert_eq!(commands(&bench), [""; 0]);
    bench.pass(2);
    assert_eq!(commands(&bench), ["/bin/page"]);
    bench.handle(Input::TaskExited { task: 0, exit: Exit::Code(0) });
    bench.handle(Input::Output(Note::TaskOutput { task: 0, tail: Vec::new() }));
    assert_eq!(commands(&bench), [""; 0]);
    bench.pass(20_000);
    assert_eq!((bench.state("web"), commands(&bench)), (ProcessState::Fatal, Vec::new()));
}

#[test]
fn one_that_lacks_only_another_program_is_not_given_up() {
    let mut web = hopeless("exit");
    web.requires = list("db");
    let mut bench = Bench::new(&[web, ProgramConfig { startretries: 0, ..program("db") }]);
    ask(&mut bench, 1, Act::Start, "web");
    bench.end(1, Exit::Code(1));
    bench.pass(1);
    assert_eq!((bench.state("web"), bench.engine.is_ending()), (ProcessState::Fatal, false));
}
