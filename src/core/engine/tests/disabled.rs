//! Programs that only a client starts, and what of that outlives the daemon.

use super::bench::{Bench, quick, update, wait};
use super::*;
use crate::api::Unreached;
use crate::core::engine::stored_state::StoredState;

fn set(name: &str, enabled: bool) -> Request {
    Request::Command(Command::SetEnabled { name: name.to_owned(), enabled })
}

fn with_state() -> SupervisorConfig {
    SupervisorConfig { state_dir: Some("/state".to_owned()), ..SupervisorConfig::default() }
}

fn kept(bench: &Bench) -> StoredState {
    let mut kept = StoredState::default();
    for (file, text) in &bench.system.kept {
        assert_eq!(kept.read(*file, text), Ok(()));
    }
    kept
}

/// A daemon that begins with what the one before has kept.
fn begun_again(before: &Bench, programs: &[ProgramConfig]) -> Bench {
    let mut bench = Bench::unbegun(with_state(), programs);
    bench.engine.restore(kept(before));
    bench.begin();
    bench
}

fn begun(programs: &[ProgramConfig]) -> Bench {
    let mut bench = Bench::unbegun(with_state(), programs);
    bench.begin();
    bench
}

fn needing(name: &str, on: &str) -> ProgramConfig {
    ProgramConfig { requires: vec![on.parse().expect("a dependency")], ..quick(name) }
}

#[test]
fn what_is_disabled_starts_neither_with_the_next_daemon_nor_by_need_but_by_hand() {
    let programs = [quick("db"), needing("web", "db"), quick("other")];
    let mut bench = begun(&programs);
    bench.ask(1, set("db", false));
    assert_eq!((bench.state("db"), bench.message().as_str()), (ProcessState::Running, "Disabled db"), "it runs on");
    assert!(bench.describe("db").ends_with("; disabled"), "{}", bench.describe("db"));
    let mut bench = begun_again(&bench, &programs);
    let states = ["db", "web", "other"].map(|name| bench.state(name));
    assert_eq!(states, [ProcessState::Stopped, ProcessState::Fatal, ProcessState::Running]);
    bench.start(2, "web");
    assert_eq!(bench.state("db"), ProcessState::Stopped, "nor because somebody starts what needs it");
    bench.start(3, "db");
    assert_eq!(["db", "web"].map(|name| bench.state(name)), [ProcessState::Running; 2]);
    // As any other: it is supervised.
    bench.end(0, Exit::Code(1));
    bench.pass(5);
    assert_eq!(bench.state("db"), ProcessState::Running);
    bench.ask(4, set("db", true));
    assert_eq!(bench.message(), "Enabled db");
    let bench = begun_again(&bench, &programs);
    assert_eq!(["db", "web"].map(|name| bench.state(name)), [ProcessState::Running; 2]);
}

#[test]
fn it_is_said_once_and_written_once() {
    let mut bench = begun(&[quick("p")]);
    for client in 0..3 {
        bench.ask(client, set("p", false));
    }
    assert_eq!((bench.system.kept.len(), bench.answers().len()), (1, 3));
    assert_eq!(bench.causes("p").iter().filter(|cause| cause.starts_with("disabled")).count(), 1);
    let mut bench = Bench::with(SupervisorConfig::default(), &[quick("p")]);
    bench.ask(1, set("p", false));
    assert_eq!(bench.message(), "Disabled p until the daemon ends (no state_dir)");
    assert!(bench.system.kept.is_empty());
    bench.ask(2, set("nobody", false));
    assert!(matches!(bench.refusal(), Refusal::NoSuchProcess { .. }));
}

#[test]
fn who_waits_for_it_is_told_that_it_does_not_come() {
    let mut bench = begun(&[quick("p")]);
    bench.stop(1, "p");
    bench.end(0, Exit::Signal(15));
    bench.pass(1);
    bench.ask(2, wait("p", WaitFor::Running, None));
    bench.ask(3, set("p", false));
    let told = bench.system.answers.iter().find(|(client, ..)| *client == 2).map(|(_, answer, _)| answer.clone());
    assert!(matches!(&told, Some(Err(Refusal::WaitFailed { why: Unreached::Disabled, .. }))), "{told:?}");
    bench.ask(4, wait("p", WaitFor::Stopped, None));
    assert_eq!(bench.answers().last(), Some(&(4, "ok")));
}

#[test]
fn an_update_leaves_down_what_is_disabled_and_its_way_back_brings_up_what_was_up() {
    let programs = [quick("a"), quick("b")];
    let mut bench = begun(&programs);
    bench.stop(1, "b");
    bench.end(1, Exit::Signal(15));
    bench.ask(2, set("b", false));
    bench.ask(3, set("a", false));
    // Out of the file and in again.
    bench.ask(4, update(None));
    bench.load(&programs[..1]);
    bench.ask(5, update(None));
    bench.load(&programs);
    assert_eq!([bench.state("a"), bench.state("b")], [ProcessState::Running, ProcessState::Stopped]);
    assert!(bench.describe("b").ends_with("; disabled"), "{}", bench.describe("b"));
    // An update takes out what was started by hand; nobody confirms it.
    bench.ask(6, update(Some(10)));
    bench.load(&programs[1..]);
    bench.end(0, Exit::Signal(15));
    bench.pass(11);
    assert_eq!([bench.state("a"), bench.state("b")], [ProcessState::Running, ProcessState::Stopped]);
}

#[test]
fn what_has_left_the_file_can_be_enabled_all_the_same() {
    let programs = [quick("a"), quick("b")];
    let mut bench = begun(&programs);
    bench.stop(1, "b");
    bench.end(1, Exit::Signal(15));
    bench.ask(2, set("b", false));
    bench.ask(3, update(None));
    bench.load(&programs[..1]);
    bench.ask(4, set("b", true));
    assert_eq!(bench.message(), "Enabled b");
    assert_eq!(kept(&bench), StoredState::default());
    bench.ask(5, set("b", true));
    assert!(matches!(bench.refusal(), Refusal::NoSuchProcess { .. }));
}

#[test]
fn what_is_about_to_leave_the_file_is_enabled_for_good() {
    let mut bench = begun(&[quick("web"), quick("other")]);
    bench.ask(1, set("web", false));
    bench.ask(2, update(None));
    bench.load_settings(SupervisorConfig { programs: vec![quick("other")], ..with_state() });
    assert_eq!(bench.engine.registry.id_of("web").map(|id| bench.entry(id).leaving), Some(true));
    bench.ask(3, set("web", true));
    assert!(!kept(&bench).disabled.contains("web"), "it may come back");
    bench.end(0, Exit::Signal(15));
    assert!(matches!(bench.reply(), Reply::Updated(_)));
}

#[test]
fn what_was_enabled_on_its_way_out_of_the_file_comes_back_enabled() {
    let mut bench = begun(&[quick("web"), quick("other")]);
    bench.ask(1, set("web", false));
    bench.ask(2, update(Some(10)));
    bench.load_settings(SupervisorConfig { programs: vec![quick("other")], ..with_state() });
    bench.ask(3, set("web", true));
    // Nobody confirms it, and it has not ended yet.
    bench.pass(11);
    assert!(!bench.entry(0).leaving && !bench.entry(0).disabled, "{}", bench.describe("web"));
    bench.end(0, Exit::Signal(15));
    assert_eq!(bench.state("web"), ProcessState::Running);
}
