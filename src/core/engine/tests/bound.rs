//! Programs that go and come back with what they are bound to.

use super::dependencies::{ask, end_all, list, quick, states};
use super::*;

/// `web` is bound to `db`.
fn bound(limit: Option<u32>, startsecs: u32) -> Bench {
    let mut web = ProgramConfig { binds: list("db"), startsecs, ..quick("web", "") };
    web.restart.limit = limit.map(|restarts| crate::models::RestartLimit { restarts, seconds: 60 });
    Bench::new(&[web, quick("db", "")])
}

#[test]
fn what_is_bound_is_restarted_by_each_end_and_that_counts_for_its_limit() {
    let mut bench = bound(Some(2), 0);
    ask(&mut bench, 1, Act::Start, "web");
    for restarts in 1..=2 {
        bench.pass(2);
        bench.end(1, Exit::Code(1));
        end_all(&mut bench);
        bench.pass(2);
        assert_eq!((states(&bench).as_str(), bench.row("web").restarts), ("web RUNNING, db RUNNING", restarts));
    }
    bench.end(1, Exit::Code(1));
    assert_eq!(bench.state("web"), ProcessState::Stopping, "it does not run without it");
    end_all(&mut bench);
    bench.pass(100);
    assert_eq!(states(&bench), "web FATAL, db RUNNING");
    let wanted = "killed by SIGTERM after 2.0 s, gave up after 2 restarts within 60 s (restart_limit)";
    assert_eq!(bench.describe("web"), wanted);
    // A person begins anew.
    ask(&mut bench, 2, Act::Start, "web");
    assert_eq!((states(&bench).as_str(), bench.row("web").restarts), ("web RUNNING, db RUNNING", 0));
}

#[test]
fn an_outage_of_what_it_is_bound_to_is_one_restart_also_where_that_is_given_up_meanwhile() {
    let mut web = ProgramConfig { binds: list("db"), ..quick("web", "") };
    web.restart.limit = Some(crate::models::RestartLimit { restarts: 2, seconds: 600 });
    let db = ProgramConfig { autorestart: crate::models::AutoRestart::Never, ..quick("db", "") };
    let mut bench = Bench::new(&[web, db]);
    ask(&mut bench, 1, Act::Start, "web");
    for restarts in 1..=2 {
        bench.pass(2);
        bench.end(1, Exit::Code(1));
        end_all(&mut bench);
        assert_eq!(states(&bench), "web FATAL, db EXITED");
        ask(&mut bench, 2, Act::Start, "db");
        assert_eq!((states(&bench).as_str(), bench.row("web").restarts), ("web RUNNING, db RUNNING", restarts));
    }
}

#[test]
fn an_attempt_that_is_cut_short_by_an_end_is_answered_by_that() {
    let mut bench = bound(None, 3);
    ask(&mut bench, 1, Act::Start, "web");
    bench.pass(2);
    assert_eq!((states(&bench).as_str(), bench.answers().len()), ("web STARTING, db RUNNING", 0));
    bench.end(1, Exit::Code(1));
    assert_eq!(bench.answers(), [(1, "not_reached")]);
    let wanted = "FAILED web did not start: db, to which it is bound, has ended (exit code 1); it starts when db is as it has to be";
    assert_eq!(bench.message(), wanted);
    end_all(&mut bench);
    bench.pass(3);
    assert_eq!((states(&bench).as_str(), bench.answers().len()), ("web RUNNING, db RUNNING", 1));
}
