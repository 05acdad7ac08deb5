//! Groups that supervisord's clients take into force and out of it, and the order of their members.

use super::bench::{quick, update};
use super::dependencies::{ask, list};
use super::*;
use crate::api::Changes;
use crate::process::Transition;

fn member(of: &str, program: &str) -> ProgramConfig {
    ProgramConfig { group: Some(name(of)), ..quick(program) }
}

fn add_group(group: &str) -> Request {
    Request::Command(Command::AddGroup { name: name(group) })
}

fn remove_group(group: &str) -> Request {
    Request::Command(Command::RemoveGroup { name: name(group) })
}

impl Bench {
    /// What `supervisorctl update` asks first: which groups this file would change.
    fn read(&mut self, programs: &[ProgramConfig]) -> Changes {
        self.ask(1, Request::Command(Command::ReadConfiguration));
        self.load(programs);
        match self.reply() {
            Reply::ConfigurationRead(changes) => changes.clone(),
            other => panic!("{other:?}"),
        }
    }

    /// Who has come into this state, in order.
    pub(super) fn came_to(&self, state: ProcessState) -> Vec<&str> {
        let came = self.system.announced.iter().filter_map(|announcement| match &**announcement {
            Announcement::Transition { program, transition: Transition { to, .. }, .. } if *to == state => {
                Some(program.name.as_str())
            }
            _ => None,
        });
        came.collect()
    }

    fn in_force(&self) -> Vec<String> {
        self.engine.effective().programs.iter().map(|program| program.name.clone()).collect()
    }
}

#[test]
fn a_group_that_is_added_has_its_members_in_the_order_of_the_file_and_differs_from_nothing_then() {
    let file = [quick("first"), member("g", "g:c"), member("g", "g:a"), member("g", "g:b"), quick("last")];
    let mut bench = Bench::new(&[quick("first"), quick("last")]);
    assert_eq!(bench.read(&file).added, ["g"]);
    bench.ask(1, add_group("g"));
    assert_eq!(bench.came_to(ProcessState::Starting), ["g:c", "g:a", "g:b"]);
    assert_eq!(bench.in_force(), ["first", "g:c", "g:a", "g:b", "last"]);
    assert_eq!(bench.read(&file), Changes::default());
    let on = Selector::Group(name("g"));
    bench.ask(1, Request::Command(Command::Act { act: Act::Stop, on, terms: Terms::default() }));
    assert_eq!(bench.came_to(ProcessState::Stopping), ["g:c", "g:a", "g:b"]);
}

#[test]
fn an_update_brings_members_in_the_order_of_the_file() {
    let file = [member("g", "g:b"), member("g", "g:a")];
    let mut bench = Bench::new(&[]);
    bench.ask(1, update(None));
    bench.load(&file);
    assert_eq!(bench.came_to(ProcessState::Starting), ["g:b", "g:a"]);
    assert_eq!(bench.read(&file), Changes::default());
}

#[test]
fn another_order_of_the_members_changes_a_group() {
    let (file, turned) = ([member("g", "g:b"), member("g", "g:a")], [member("g", "g:a"), member("g", "g:b")]);
    let mut bench = Bench::new(&file);
    assert_eq!(bench.read(&turned).changed, ["g"]);
    bench.ask(1, remove_group("g"));
    bench.ask(1, add_group("g"));
    assert_eq!((bench.in_force(), bench.read(&turned)), (vec![name("g:a"), name("g:b")], Changes::default()));
    // Our own clients see no setting that differs; the order is that of the file for all that.
    bench.ask(1, update(None));
    bench.load(&file);
    assert_eq!((bench.in_force(), bench.read(&file)), (vec![name("g:b"), name("g:a")], Changes::default()));
}

#[test]
fn a_group_that_was_given_up_can_be_removed_though_it_is_to_be_tried_again() {
    let mut web = ProgramConfig { startretries: 0, ..program("web") };
    web.restart.fatal_retry = 60;
    let mut bench = Bench::new(&[web, quick("other")]);
    ask(&mut bench, 1, Act::Start, "web");
    bench.end(0, Exit::Code(1));
    let retry = bench.entry(0).machine.poll_timeout();
    assert_eq!((bench.state("web"), retry.is_some()), (ProcessState::Fatal, true));
    bench.ask(2, remove_group("web"));
    assert!(matches!(bench.reply(), Reply::GroupRemoved { .. }));
    assert_eq!(bench.in_force(), ["other"]);
    let spawned = bench.system.pids;
    bench.pass(3_600);
    assert_eq!(bench.system.pids, spawned, "it is not tried again");
}

/// What somebody needs may be taken out of force, and put into it later.
#[test]
fn nothing_starts_without_a_group_that_it_requires_and_that_is_not_in_force() {
    let file = [quick("db"), ProgramConfig { requires: list("db"), ..quick("web") }];
    let mut bench = Bench::new(&file);
    bench.ask(1, remove_group("db"));
    bench.start(2, "web");
    assert_eq!((bench.state("web"), bench.system.pids), (ProcessState::Fatal, 0));
    assert_eq!(bench.describe("web"), "it needs db, which is not in the configuration in force");
    bench.ask(1, add_group("db"));
    assert_eq!((bench.state("db"), bench.state("web")), (ProcessState::Running, ProcessState::Running));

    let mut bench = Bench::new(&[quick("x")]);
    bench.read(&[quick("x"), file[0].clone(), file[1].clone()]);
    bench.ask(1, add_group("web"));
    assert_eq!((bench.state("web"), bench.system.pids), (ProcessState::Fatal, 0));
    bench.ask(1, add_group("db"));
    assert_eq!((bench.state("db"), bench.state("web")), (ProcessState::Running, ProcessState::Running));
}

/// Of two readings of the file, neither of which runs in circles.
#[test]
fn a_group_with_which_what_is_in_force_would_run_in_circles_is_refused() {
    let mut bench = Bench::new(&[ProgramConfig { requires: list("b"), ..quick("a") }, quick("b")]);
    bench.start(1, "a");
    bench.read(&[ProgramConfig { requires: list("a"), ..quick("b") }, quick("a")]);
    let on = Selector::Group(name("b"));
    bench.ask(1, Request::Command(Command::Act { act: Act::Stop, on, terms: Terms::default() }));
    bench.end(0, Exit::Signal(15));
    bench.end(1, Exit::Signal(15));
    bench.ask(2, remove_group("b"));
    bench.ask(3, add_group("b"));
    let message = bench.message();
    assert!(message.contains("each waits for the next: b -> a -> b"), "{message}");
    assert_eq!(bench.in_force(), ["a"]);
    // The other one is as in the file then.
    bench.ask(4, remove_group("a"));
    bench.ask(5, add_group("a"));
    bench.ask(6, add_group("b"));
    assert_eq!((bench.state("a"), bench.state("b")), (ProcessState::Running, ProcessState::Running));
}
