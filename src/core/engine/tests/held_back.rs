//! A stop that waits until those have gone that need the program, and what is asked for meanwhile.

use super::bench::act_on_terms;
use super::dependencies::{DB, ONLY, ask, end_all, quick, states};
use super::*;

/// `db`, which is to be stopped when `slow` has gone; `web` requires it as well, and is down.
fn held_back() -> Bench {
    let mut bench = Bench::new(&[quick("web", "db"), quick("db", ""), quick("slow", "db")]);
    ask(&mut bench, 1, Act::Start, "slow");
    ask(&mut bench, 2, Act::Stop, "db");
    assert_eq!(states(&bench), "web STOPPED, db RUNNING, slow STOPPING");
    bench
}

#[test]
fn a_restart_of_who_needs_what_is_about_to_be_stopped_brings_that_up_again_as_a_start_does() {
    for act in [Act::Start, Act::Restart { force: false }] {
        let mut bench = held_back();
        ask(&mut bench, 3, act, "web");
        assert_eq!(states(&bench), "web STARTING, db RUNNING, slow STOPPING");
        end_all(&mut bench);
        assert_eq!(states(&bench), "web RUNNING, db RUNNING, slow STOPPED", "{act:?}");
        assert_eq!(bench.answers(), [(1, "ok"), (2, "ok"), (3, "ok")]);
    }
}

#[test]
fn a_start_of_what_is_about_to_be_stopped_is_answered_when_it_is_up_again() {
    let mut bench = held_back();
    ask(&mut bench, 3, Act::Start, "db");
    assert_eq!(bench.answers(), [(1, "ok")], "it is not already there");
    let names = crate::api::Selector::Processes(vec!["db".to_owned()]);
    let start = Command::Act { act: Act::Start, on: names, terms: Terms::default() };
    bench.ask(4, Request::Command(start));
    assert_eq!(bench.answers(), [(1, "ok")]);
    end_all(&mut bench);
    assert_eq!(states(&bench), "web STOPPED, db RUNNING, slow STOPPED");
    let mut answers = bench.answers();
    answers.sort_unstable();
    assert_eq!(answers, [(1, "ok"), (2, "ok"), (3, "ok"), (4, "ok")]);
}

#[test]
fn with_only_nobody_is_waited_for() {
    for act in [Act::Stop, Act::Restart { force: false }] {
        let mut bench = held_back();
        bench.ask(3, act_on_terms(act, "db", ONLY));
        assert_eq!(states(&bench), "web STOPPED, db STOPPING, slow STOPPING", "{act:?}");
        bench.end(DB, Exit::Signal(15));
        assert!(bench.answers().contains(&(3, "ok")), "{:?}", bench.answers());
        end_all(&mut bench);
        assert!(bench.engine.held.len() == 0 && bench.engine.owed() == 0);
    }
}

#[test]
fn what_waits_to_be_stopped_says_so() {
    let mut bench = held_back();
    assert_eq!(bench.describe("db"), "pid 1001, uptime 0:00; to be stopped when slow has gone");
    let last = |bench: &mut Bench| bench.why("db").lines().pop();
    assert_eq!(last(&mut bench).as_deref(), Some("Next: it is stopped as soon as these have gone."));
    end_all(&mut bench);
    assert_eq!(bench.describe("db"), "stopped by request");
    // In the shutdown as well.
    ask(&mut bench, 3, Act::Start, "slow");
    bench.handle(Input::Notice(Notice::Terminate(None)));
    assert_eq!(states(&bench), "web STOPPED, db RUNNING, slow STOPPING");
    assert_eq!(bench.describe("db"), "pid 1003, uptime 0:00; to be stopped when slow has gone");
    let lines = bench.why("db").lines();
    assert!(
        lines
            .iter()
            .any(|line| line
                .starts_with("To be stopped (by the daemon's shutdown) when these have gone: slow (STOPPING")),
        "{lines:?}"
    );
    end_all(&mut bench);
    assert_eq!(bench.describe("db"), "stopped by request");
}
