//! Oneshots that have completed, between others: `sync` requires `online`, which requires `network`.

use super::dependencies::{ask, end_all, quick, states, told};
use super::*;
use crate::api::ProcId;
use crate::models::ProgramType;

const NETWORK: ProcId = 0;
const ONLINE: ProcId = 1;
const SYNC: ProcId = 2;

/// All of it is up, and nothing was told to end.
fn up() -> Bench {
    let online = ProgramConfig { program_type: ProgramType::Oneshot, ..quick("online", "network") };
    let network = ProgramConfig { startsecs: 1, ..quick("network", "") };
    let mut bench = Bench::new(&[network, online, quick("sync", "online")]);
    ask(&mut bench, 1, Act::Start, "sync");
    bench.pass(1);
    bench.end(ONLINE, Exit::Code(0));
    assert_eq!(states(&bench), "network RUNNING, online EXITED, sync RUNNING");
    bench
}

#[test]
fn a_stop_ends_those_beyond_a_milestone_first() {
    let mut bench = up();
    ask(&mut bench, 2, Act::Stop, "network");
    assert_eq!(told(&bench), [SYNC]);
    end_all(&mut bench);
    assert_eq!(told(&bench), [SYNC, NETWORK]);
    assert_eq!(states(&bench), "network STOPPED, online EXITED, sync STOPPED");
    let causes = bench.causes("sync").join("; ");
    assert!(causes.contains("network"), "{causes}");
}

#[test]
fn a_stop_of_all_keeps_the_order_though_the_milestone_is_stopped_at_once() {
    let mut bench = up();
    let all = ["network", "online", "sync"].map(str::to_owned).to_vec();
    let terms = Terms::default();
    bench.ask(2, Request::Command(Command::Act { act: Act::Stop, on: Selector::Processes(all), terms }));
    assert_eq!(told(&bench), [SYNC]);
    end_all(&mut bench);
    assert_eq!(told(&bench), [SYNC, NETWORK]);
}

#[test]
fn the_shutdown_ends_what_is_beyond_a_milestone_first() {
    let mut bench = up();
    bench.handle(Input::Notice(Notice::Terminate(None)));
    assert_eq!(told(&bench), [SYNC]);
    end_all(&mut bench);
    assert_eq!(told(&bench), [SYNC, NETWORK]);
}

#[test]
fn a_shutdown_waits_for_nobody_that_a_milestone_without_dependants_needs() {
    let mut bench = up();
    ask(&mut bench, 2, Act::Stop, "sync");
    end_all(&mut bench);
    bench.handle(Input::Notice(Notice::Terminate(None)));
    assert_eq!(told(&bench), [SYNC, NETWORK]);
}

#[test]
fn a_start_starts_what_a_milestone_has_needed_and_the_milestone_is_not_run_again() {
    let mut bench = up();
    ask(&mut bench, 2, Act::Stop, "network");
    end_all(&mut bench);
    ask(&mut bench, 3, Act::Start, "sync");
    assert_eq!(states(&bench), "network STARTING, online EXITED, sync STARTING");
    assert_eq!(bench.describe("sync"), "waiting for network (STARTING)");
    assert_eq!(bench.last_client(), 2, "it may still come up");
    let why = bench.why("sync").lines().join(" ");
    assert!(why.contains("sync waits for network, which is STARTING"), "{why}");
    bench.pass(1);
    assert_eq!(states(&bench), "network RUNNING, online EXITED, sync RUNNING");
    assert_eq!((bench.last_client(), bench.answers().last()), (3, Some(&(3, "ok"))));
    assert_eq!(bench.entry(ONLINE).machine.generation(), 1);
}

#[test]
fn a_restart_brings_those_beyond_a_milestone_back_behind_what_they_need() {
    let mut bench = up();
    ask(&mut bench, 2, Act::Restart { force: false }, "network");
    assert_eq!(told(&bench), [SYNC]);
    bench.end(SYNC, Exit::Signal(15));
    assert_eq!(told(&bench), [SYNC, NETWORK]);
    assert_eq!(bench.describe("sync"), "waiting for network (STOPPING)");
    bench.end(NETWORK, Exit::Signal(15));
    assert_eq!(states(&bench), "network STARTING, online EXITED, sync STARTING");
    bench.pass(1);
    assert_eq!(states(&bench), "network RUNNING, online EXITED, sync RUNNING");
    assert_eq!((bench.last_client(), bench.entry(ONLINE).machine.generation()), (2, 1));
}
