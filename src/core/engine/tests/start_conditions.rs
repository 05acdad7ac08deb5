//! Starts that wait for something outside.

use super::bench::{Bench, quick, reload};
use super::*;
use crate::api::{ConditionId, FlagRow, Query};
use crate::core::effect::CheckPurpose;
use crate::health::HealthCheckResult;
use crate::models::StartCondition;
use crate::process::Exit;

fn waiting(conditions: &[&str]) -> ProgramConfig {
    let mut config = quick("p");
    config.start_when = conditions.iter().filter_map(|text| StartCondition::parse(text)).collect();
    assert_eq!(config.start_when.len(), conditions.len());
    config
}

impl Bench {
    fn seen(&mut self, place: u8, is_there: bool) {
        self.seen_of(0, place, is_there);
    }

    fn seen_of(&mut self, watch: u8, place: u8, is_there: bool) {
        let condition = ConditionId { watch, place };
        let generation = self.entry(0).machine.generation();
        self.handle(Input::ConditionSeen { id: 0, generation, condition, is_there });
    }

    fn tried(&mut self, place: u8, healthy: bool) {
        let condition = ConditionId { watch: 0, place };
        let generation = self.entry(0).machine.generation();
        let result = HealthCheckResult { healthy, message: "Connection refused".to_owned() };
        self.handle(Input::Checked { id: 0, generation, purpose: CheckPurpose::StartCondition(condition), result });
    }

    fn told(&self) -> String {
        let entry = self.entry(0);
        self.engine.condition_of(0, entry).describe(self.now, None)
    }

    fn is_up(&self) -> bool {
        self.entry(0).machine.pid().is_some()
    }
}

#[test]
fn a_start_comes_when_all_of_it_holds_at_the_same_time() {
    let mut bench = Bench::new(&[waiting(&["path:/dev/x", "tcp:db:5432"])]);
    bench.start(1, "p");
    assert_eq!(bench.told(), "waiting for path:/dev/x, tcp:db:5432");
    bench.tried(1, false);
    assert_eq!(bench.told(), "waiting for path:/dev/x, tcp:db:5432 (Connection refused)");
    bench.seen(0, true);
    bench.seen(0, false);
    bench.pass(1);
    bench.tried(1, true);
    assert_eq!((bench.told().as_str(), bench.is_up()), ("waiting for path:/dev/x", false));
    bench.seen(0, true);
    assert!(bench.is_up());
    assert_eq!(bench.engine.outside.len(), 1, "only that it was let through");
}

#[test]
fn each_start_waits_anew() {
    let mut bench = Bench::new(&[waiting(&["path:/dev/x"])]);
    bench.start(1, "p");
    bench.seen(0, true);
    bench.pass(2);
    bench.end(0, Exit::Code(0));
    bench.pass(1);
    assert_eq!((bench.told().as_str(), bench.is_up()), ("waiting for path:/dev/x", false));
    let generation = bench.entry(0).machine.generation();
    bench.handle(Input::ConditionSeen {
        id: 0,
        generation: generation - 1,
        condition: ConditionId { watch: 0, place: 0 },
        is_there: true,
    });
    assert!(!bench.is_up(), "news of the start before");
    bench.seen(0, true);
    assert!(bench.is_up());
}

/// Row 36: a stop of what waits ends the waiting, and a late answer starts nothing.
#[test]
fn what_is_stopped_while_it_waits_is_not_started_by_what_comes_later() {
    let mut bench = Bench::new(&[waiting(&["path:/dev/x", "command:true"])]);
    bench.start(1, "p");
    assert_eq!(bench.system.tasks.len(), 1, "the command is tried");
    bench.stop(2, "p");
    assert_eq!((bench.entry(0).machine.state(), bench.engine.outside.len()), (ProcessState::Stopped, 0));
    bench.seen(0, true);
    bench.tried(1, true);
    assert!(!bench.is_up());
}

#[test]
fn tries_come_less_and_less_often() {
    let mut config = waiting(&["unix:/run/x"]);
    config.start_when_timeout = 0;
    let mut bench = Bench::new(&[config]);
    bench.start(1, "p");
    let mut pauses = Vec::new();
    for _ in 0..6 {
        bench.tried(0, false);
        let next = bench.engine.timers.get(TimerKey::StartWhen(0)).expect("another try");
        let pause = next.saturating_duration_since(bench.now).as_secs();
        pauses.push(pause);
        bench.pass(pause);
        let next = bench.engine.timers.get(TimerKey::StartWhen(0)).expect("an answer may be lost");
        assert_eq!(next.saturating_duration_since(bench.now).as_secs(), 20);
    }
    assert_eq!(pauses, [1, 2, 4, 8, 10, 10]);
}

/// Row 34: it fails with that cause, in bounded time.
#[test]
fn what_does_not_come_in_time_is_a_failed_attempt() {
    let mut config = waiting(&["path:/dev/x"]);
    (config.start_when_timeout, config.startretries) = (5, 1);
    let mut bench = Bench::new(&[config]);
    bench.start(1, "p");
    bench.pass(5);
    assert_eq!(bench.entry(0).machine.state(), ProcessState::Backoff);
    assert_eq!(bench.told(), "it waited in vain for path:/dev/x, 5 s (start_when_timeout), retry 1 of 1 in 1 s");
    bench.pass(1);
    assert_eq!(bench.told(), "waiting for path:/dev/x");
    bench.pass(5);
    assert_eq!(bench.entry(0).machine.state(), ProcessState::Fatal);
    assert!(bench.engine.outside.len() == 0);
}

#[test]
fn dependencies_come_first_and_what_is_lost_of_them_ends_the_waiting() {
    let mut config = waiting(&["path:/dev/x"]);
    config.requires = vec!["db".parse().expect("a name")];
    let mut bench = Bench::new(&[config, quick("db")]);
    bench.start(1, "p");
    assert_eq!(bench.told(), "waiting for path:/dev/x");
    bench.stop(2, "db");
    assert_eq!((bench.is_up(), bench.engine.outside.len()), (false, 0));
    bench.seen(0, true);
    assert!(!bench.is_up());
}

/// Row 51: an edited rule frees those who wait now.
#[test]
fn a_reload_that_asks_for_less_starts_what_waits() {
    let mut bench = Bench::new(&[waiting(&["path:/dev/x"])]);
    bench.start(1, "p");
    bench.ask(2, reload());
    bench.load(&[quick("p")]);
    assert!(bench.is_up());
    assert!(bench.engine.outside.len() == 0, "nobody watches any more");
}

/// What was asked for before may be told when something else is asked for.
#[test]
fn news_of_what_a_reload_has_replaced_start_nothing() {
    let mut bench = Bench::new(&[waiting(&["path:/dev/x"])]);
    bench.start(1, "p");
    bench.ask(2, reload());
    bench.load(&[waiting(&["path:/dev/y"])]);
    bench.seen(0, true);
    assert_eq!((bench.told().as_str(), bench.is_up()), ("waiting for path:/dev/y", false));
    bench.seen_of(1, 0, true);
    assert!(bench.is_up());
}

fn flag(name: &str, is_set: bool) -> Request {
    Request::Command(Command::SetFlag { name: name.to_owned(), is_set })
}

fn flag_set(is_set: bool, has_changed: bool, is_awaited: bool) -> Reply {
    Reply::FlagSet { name: "go".to_owned(), is_set, has_changed, is_awaited }
}

#[test]
fn a_flag_frees_who_waits_for_it_and_holds_for_the_next_start() {
    let mut bench = Bench::new(&[waiting(&["flag:go", "path:/dev/x"])]);
    bench.start(1, "p");
    assert_eq!(bench.told(), "waiting for flag:go, path:/dev/x");
    bench.ask(2, flag("go", true));
    assert_eq!(*bench.reply(), flag_set(true, true, true));
    assert_eq!(bench.told(), "waiting for path:/dev/x");
    bench.ask(3, flag("go", false));
    bench.seen(1, true);
    assert_eq!((bench.told().as_str(), bench.is_up()), ("waiting for flag:go", false), "both at the same time");
    bench.ask(4, flag("go", true));
    assert!(bench.is_up());
    bench.ask(5, flag("go", true));
    assert_eq!(*bench.reply(), flag_set(true, false, true));
}

#[test]
fn a_flag_that_is_set_holds_no_start_and_one_that_is_cleared_stops_nothing() {
    let mut bench = Bench::new(&[waiting(&["flag:go"])]);
    bench.ask(1, flag("go", true));
    bench.start(2, "p");
    assert!(bench.is_up());
    assert!(bench.engine.timers.get(TimerKey::StartWhen(0)).is_none(), "nothing is watched");
    bench.ask(3, flag("go", false));
    bench.pass(100);
    assert!(bench.is_up());
    bench.end(0, Exit::Code(0));
    bench.pass(1);
    assert_eq!(bench.told(), "waiting for flag:go");
}

#[test]
fn flags_are_listed_with_who_waits_for_them_and_bounded() {
    let mut bench = Bench::new(&[waiting(&["flag:go", "flag:on"])]);
    bench.ask(1, flag("other", true));
    assert_eq!(
        *bench.reply(),
        Reply::FlagSet { name: "other".to_owned(), is_set: true, has_changed: true, is_awaited: false }
    );
    bench.ask(2, flag("on", true));
    bench.ask(3, Request::Query(Query::Flags));
    let row = |name: &str, is_set, programs: &[&str]| FlagRow {
        name: name.to_owned(),
        is_set,
        programs: programs.iter().map(|name| (*name).to_owned()).collect(),
        more: 0,
    };
    let rows = vec![row("go", false, &["p"]), row("on", true, &["p"]), row("other", true, &[])];
    assert_eq!(*bench.reply(), Reply::Flags(rows));
    for number in 0..1022 {
        bench.ask(4, flag(&format!("f{number}"), true));
    }
    bench.ask(5, flag("go", true));
    assert_eq!(*bench.refusal(), Refusal::TooManyFlags { most: 1024 });
    bench.ask(6, flag("on", true));
    assert_eq!(
        *bench.reply(),
        Reply::FlagSet { name: "on".to_owned(), is_set: true, has_changed: false, is_awaited: true }
    );
}

#[test]
fn the_network_is_watched_until_the_start_and_no_longer() {
    let mut bench = Bench::new(&[waiting(&["link:eth0", "route"])]);
    bench.start(1, "p");
    assert_eq!(bench.told(), "waiting for link:eth0, route");
    bench.seen(0, true);
    bench.seen(1, true);
    assert!(bench.is_up());
    assert_eq!(bench.engine.outside.len(), 1, "only that it was let through");
}
