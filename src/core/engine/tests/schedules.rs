//! Schedules: runs by the calendar and by intervals, runs that overlap, reloads.

mod clocks;

use super::bench::{self, Bench};
use super::*;
use crate::models::{Catchup, Overlap, ProgramType, ScheduleConfig};
use crate::process::{Cause, ScheduleNote};

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;
const MICROS: i64 = 1_000_000;

/// 2026-11-29 00:00:00 UTC is when a bench begins.
const MIDNIGHT: i64 = 1_795_910_400;

fn scheduled(name: &str, lines: &[&str]) -> ProgramConfig {
    let times = lines.iter().map(|line| line.parse().expect(line)).collect();
    ProgramConfig {
        program_type: ProgramType::Oneshot,
        autostart: false,
        startretries: 0,
        start_timeout: 0,
        schedule: ScheduleConfig { times, ..ScheduleConfig::default() }.into(),
        ..program(name)
    }
}

/// A daemon that has begun at midnight with these.
fn begun(programs: &[ProgramConfig]) -> Bench {
    begun_with(SupervisorConfig::default(), programs)
}

fn begun_with(settings: SupervisorConfig, programs: &[ProgramConfig]) -> Bench {
    let mut bench = Bench::unbegun(settings, programs);
    // The bench begins when the monotonic clock shows a day.
    bench.system.wall = (MIDNIGHT - DAY as i64) * MICROS;
    bench.begin();
    bench
}

impl Bench {
    fn runs(&self) -> i32 {
        self.system.pids
    }

    /// What the wall clock shows, in seconds since midnight.
    fn time(&self) -> i64 {
        self.system.reading(self.now).seconds() - MIDNIGHT
    }

    fn notes(&self, id: ProcId) -> Vec<ScheduleNote> {
        let rows = self.entry(id).history.rows(self.entry(id).config());
        let note = |cause: &Cause| if let Cause::Schedule { note } = cause { Some(*note) } else { None };
        rows.iter().filter_map(|row| note(&row.cause)).collect()
    }

    /// So long, in which each run that is there ends at once with success; when runs began, in seconds since midnight.
    fn pass_with_short_runs(&mut self, seconds: u64) -> Vec<i64> {
        let end = self.now + Duration::from_secs(seconds);
        let mut starts = Vec::new();
        loop {
            let before = self.runs();
            self.run_timers();
            if self.runs() > before {
                starts.push(self.time());
            }
            let ids: Vec<ProcId> = self.engine.registry.ids();
            for id in ids {
                if self.entry(id).machine.pid().is_some() {
                    self.end(id, Exit::Code(0));
                }
            }
            match self.engine.poll_timeout().filter(|at| *at <= end) {
                Some(at) => self.now = self.now.max(at),
                None => break,
            }
        }
        self.now = end;
        starts
    }
}

#[test]
fn a_daily_job_runs_each_day_at_its_time() {
    let mut bench = begun(&[scheduled("nightly", &["0 3 * * *"])]);
    assert_eq!(bench.describe("nightly"), "not started; next 03:00:00 (in 3 h)");
    assert!(bench.system.watches_clock);
    bench.pass(3 * HOUR - 1);
    assert_eq!((bench.runs(), bench.state("nightly")), (0, ProcessState::Stopped));
    bench.pass(1);
    assert_eq!((bench.runs(), bench.state("nightly")), (1, ProcessState::Starting));
    assert_eq!(bench.describe("nightly"), "pid 1001, uptime 0:00; next 2026-11-30 03:00:00 (in 1 d)");
    bench.pass(10);
    bench.end(0, Exit::Code(0));
    assert_eq!(bench.describe("nightly"), "completed after 10 s; next 03:00:00 (in 23 h 59 min)");
    let day = 3 * HOUR as i64;
    assert_eq!(bench.pass_with_short_runs(3 * DAY), [1, 2, 3].map(|number| number * DAY as i64 + day));
    assert_eq!(bench.system.clock_reads, 4, "once for each run");
}

#[test]
fn a_run_that_fails_is_fatal_until_the_next_time() {
    let mut bench = begun(&[scheduled("p", &["0 * * * *"])]);
    bench.pass(HOUR);
    bench.end(0, Exit::Code(1));
    assert_eq!(bench.state("p"), ProcessState::Fatal);
    assert_eq!(bench.describe("p"), "exit code 1 after 0.0 s; next 02:00:00 (in 1 h)");
    bench.pass(HOUR);
    assert_eq!((bench.runs(), bench.state("p")), (2, ProcessState::Starting));
    let cause = bench.entry(0).history.rows(bench.entry(0).config()).pop().map(|row| row.cause.to_string());
    assert_eq!(cause.as_deref(), Some("start requested by its schedule"));
}

#[test]
fn start_runs_it_now_and_stop_ends_that_run_alone() {
    let mut bench = begun(&[scheduled("p", &["0 3 * * *"])]);
    bench.start(1, "p");
    assert_eq!(bench.runs(), 1);
    bench.ask(2, act(Act::Stop, "p"));
    bench.end(0, Exit::Signal(15));
    assert_eq!(bench.describe("p"), "stopped by request; next 03:00:00 (in 3 h)");
    bench.pass(3 * HOUR);
    assert_eq!(bench.runs(), 2);
}

#[test]
fn intervals_run_from_start_to_start_or_from_the_end() {
    let mut bench = begun(&[scheduled("p", &["every 90s"])]);
    assert!(!bench.system.watches_clock, "it needs no clock");
    assert_eq!(bench.describe("p"), "not started; next in 1 min");
    assert_eq!(bench.pass_with_short_runs(600), [90, 180, 270, 360, 450, 540]);
    let mut bench = begun(&[scheduled("p", &["every 90s after end"])]);
    bench.pass(90);
    assert_eq!((bench.runs(), bench.describe("p").as_str()), (1, "pid 1001, uptime 0:00; next after its end"));
    bench.pass(500);
    bench.end(0, Exit::Code(0));
    bench.pass(89);
    assert_eq!((bench.runs(), bench.describe("p").as_str()), (1, "completed after 8:20; next in 1 s"));
    bench.pass(1);
    assert_eq!(bench.runs(), 2);
    assert_eq!(bench.system.clock_reads, 0);
}

#[test]
fn at_the_daemons_start_and_never_again() {
    let mut bench = begun(&[scheduled("once", &["@reboot"]), scheduled("p", &["0 3 * * *"])]);
    assert_eq!(bench.runs(), 1);
    bench.end(0, Exit::Code(0));
    assert_eq!(bench.describe("once"), "completed after 0.0 s");
    bench.ask(1, reload());
    bench.load(&[scheduled("once", &["@reboot"]), scheduled("new", &["@reboot"])]);
    bench.pass(DAY);
    assert_eq!(bench.runs(), 1, "a reload is no start");
}

/// Row 94.
#[test]
fn row_94_start_and_reload_run_nothing_early() {
    let mut bench = begun(&[scheduled("p", &["0 0 * * *", "every 1h"])]);
    assert_eq!(bench.runs(), 0, "midnight is over");
    bench.pass(HOUR / 2);
    for client in 0..10 {
        bench.ask(client, reload());
        bench.load(&[scheduled("p", &["0 0 * * *", "every 1h"]), scheduled("q", &["30 0 * * *"])]);
    }
    assert_eq!(bench.runs(), 0);
    bench.pass(HOUR / 2);
    assert_eq!(bench.runs(), 1, "an unchanged interval goes on");
}

#[test]
fn a_changed_schedule_is_live() {
    let mut bench = begun(&[scheduled("p", &["0 3 * * *"])]);
    bench.ask(1, reload());
    bench.load(&[scheduled("p", &["0 1 * * *"])]);
    assert_eq!(bench.describe("p"), "not started; next 01:00:00 (in 1 h)");
    bench.pass(HOUR);
    assert_eq!(bench.runs(), 1);
    bench.end(0, Exit::Code(0));
    bench.ask(2, reload());
    bench.load(&[ProgramConfig { schedule: Default::default(), ..scheduled("p", &[]) }]);
    assert_eq!(bench.describe("p"), "completed after 0.0 s");
    assert!(!bench.system.watches_clock);
    bench.pass(2 * DAY);
    assert_eq!((bench.runs(), bench.engine.timers.next()), (1, None));
    bench.ask(3, reload());
    bench.load(&[scheduled("p", &["every 10s"])]);
    bench.pass(10);
    assert_eq!(bench.runs(), 2);
}

/// Nobody wants half a backup because the next one is to be made otherwise.
#[test]
fn an_update_lets_a_run_end_that_is_under_way_and_the_next_one_has_the_new_settings() {
    let with = |command: &str| ProgramConfig { command: command.to_owned(), ..scheduled("p", &["every 1h"]) };
    let mut bench = begun(&[with("old")]);
    bench.pass(HOUR);
    assert_eq!((bench.runs(), bench.state("p")), (1, ProcessState::Starting));
    bench.ask(1, bench::update(None));
    bench.load(&[with("new")]);
    let Reply::Updated(updated) = bench.reply() else { panic!("it is answered at once: {:?}", bench.reply()) };
    assert_eq!((updated.restarted.len(), updated.from_next_run.as_slice()), (0, ["p".to_owned()].as_slice()));
    bench.pass(60);
    assert_eq!((bench.runs(), bench.state("p")), (1, ProcessState::Starting), "it goes on");
    assert_eq!(bench.entry(0).machine.run_config().map(|run| run.command.as_str()), Some("old"));
    bench.end(0, Exit::Code(1));
    assert_eq!(bench.state("p"), ProcessState::Fatal);
    bench.ask(2, bench::update(None));
    bench.load(&[with("newer")]);
    assert!(matches!(bench.reply(), Reply::Updated(updated) if updated.from_next_run.is_empty()), "nothing runs");
    bench.pass(60);
    assert_eq!((bench.runs(), bench.state("p")), (1, ProcessState::Fatal), "what has failed waits for its time");
    bench.pass(HOUR);
    assert_eq!(bench.entry(0).machine.run_config().map(|run| run.command.as_str()), Some("newer"));
}

/// There is no next run that could have the new settings.
#[test]
fn an_update_that_takes_the_schedule_away_restarts_the_run() {
    let job = |command: &str, schedule: &[&str]| {
        let plain = ProgramConfig { autostart: true, ..scheduled("p", schedule) };
        ProgramConfig { command: command.to_owned(), ..plain }
    };
    let mut bench = begun(&[job("old", &["every 1h"])]);
    bench.pass(HOUR);
    assert_eq!(bench.state("p"), ProcessState::Starting);
    let before = bench.runs();
    bench.ask(1, bench::update(None));
    bench.load(&[job("new", &[])]);
    bench.end(0, Exit::Signal(15));
    bench.pass(1);
    assert_eq!(bench.runs(), before + 1);
    assert_eq!(bench.entry(0).machine.run_config().map(|run| run.command.as_str()), Some("new"));
}

#[test]
fn what_is_removed_is_forgotten_and_comes_back_anew() {
    let mut bench = begun(&[scheduled("p", &["0 3 * * *"])]);
    bench.start(1, "p");
    bench.ask(2, reload());
    bench.load(&[]);
    assert_eq!(bench.engine.next_run(0), None, "it is stopping");
    bench.ask(3, reload());
    bench.load(&[scheduled("p", &["0 3 * * *"])]);
    bench.end(0, Exit::Signal(15));
    assert!(bench.engine.next_run(0).is_some());
    bench.ask(4, reload());
    bench.load(&[]);
    bench.pass(2 * DAY);
    assert_eq!((bench.engine.timers.next(), bench.system.watches_clock), (None, false));
}

/// Row 96.
#[test]
fn row_96_each_skip_queue_and_replacement_is_told() {
    let overlapping = |name: &str, overlap| {
        let mut config = scheduled(name, &["every 10s"]);
        config.schedule.overlap = overlap;
        config
    };
    let mut bench = begun(&[
        overlapping("skips", Overlap::Skip),
        overlapping("queues", Overlap::Queue),
        overlapping("restarts", Overlap::Restart),
    ]);
    bench.pass(30);
    assert_eq!(bench.runs(), 3);
    let skipped = |times, queue_full| ScheduleNote::Skipped { times, queue_full };
    assert_eq!(bench.notes(0), [skipped(1, false), skipped(2, false)]);
    assert_eq!(bench.notes(1), [ScheduleNote::Queued, skipped(1, true)]);
    assert_eq!(bench.notes(2), [ScheduleNote::Replaces, ScheduleNote::Replaces]);
    assert_eq!(bench.state("restarts"), ProcessState::Stopping);
    assert_eq!(bench.describe("queues"), "pid 1002, uptime 0:20; one more run waits; next in 10 s");
    let lines: Vec<String> =
        bench.system.announced.iter().filter(|one| one.level().is_some()).map(|one| one.to_string()).collect();
    let told =
        |name: &str| lines.iter().filter(|line| line.starts_with(name) && line.contains("of its schedule")).count();
    assert_eq!((told("skips"), told("queues"), told("restarts")), (2, 2, 2), "{lines:?}");
    bench.end(1, Exit::Code(0));
    assert_eq!((bench.runs(), bench.state("queues")), (4, ProcessState::Starting));
    bench.end(2, Exit::Signal(15));
    assert_eq!((bench.runs(), bench.state("restarts")), (5, ProcessState::Starting));
    // A stop is meant for what waits as well.
    bench.pass(10);
    assert!(bench.engine.next_run(1).is_some_and(|next| next.queued));
    bench.ask(1, act(Act::Stop, "queues"));
    bench.end(1, Exit::Signal(15));
    assert_eq!((bench.runs(), bench.state("queues")), (5, ProcessState::Stopped));
}

#[test]
fn nobody_runs_twice_at_once_and_none_is_lost_in_a_queue() {
    let mut config = scheduled("p", &["every 1s"]);
    config.schedule.overlap = Overlap::Queue;
    let mut bench = begun(&[config]);
    for second in 0..5000_u64 {
        bench.pass(1);
        // Every other run takes longer than a second, and the one after it is short.
        if bench.entry(0).machine.pid().is_some() && second % 3 != 0 {
            bench.end(0, Exit::Code(0));
        }
        if bench.entry(0).machine.pid().is_some() && second % 3 == 2 {
            bench.end(0, Exit::Code(0));
        }
    }
    let waits = i32::from(bench.engine.next_run(0).is_some_and(|next| next.queued));
    assert_eq!(bench.runs() + waits, 5000);
}

#[test]
fn what_waits_in_a_queue_follows_a_run_that_has_failed_as_well() {
    let mut config = scheduled("p", &["every 10s"]);
    config.schedule.overlap = Overlap::Queue;
    let mut bench = begun(&[config]);
    bench.pass(20);
    assert_eq!((bench.runs(), bench.notes(0)), (1, vec![ScheduleNote::Queued]));
    bench.end(0, Exit::Code(1));
    assert_eq!((bench.runs(), bench.state("p")), (2, ProcessState::Starting));
    assert!(bench.causes("p").join(", ").contains("exit code 1"));
}

#[test]
fn what_it_needs_is_started_first() {
    let requires = |on: &str| vec![on.parse().expect("a name")];
    let job = ProgramConfig { requires: requires("db"), ..scheduled("job", &["0 3 * * *"]) };
    let mut bench = begun(&[ProgramConfig { autostart: false, ..program("db") }, job]);
    bench.pass(3 * HOUR);
    assert_eq!(bench.state("db"), ProcessState::Starting);
    assert!(bench.entry(1).machine.is_waiting());
    bench.pass(10);
    assert_eq!((bench.state("db"), bench.state("job")), (ProcessState::Running, ProcessState::Starting));
    bench.end(1, Exit::Code(0));
    bench.pass(DAY);
    assert_eq!(bench.runs(), 3, "db stays up");
}

#[test]
fn a_daemon_with_a_schedule_is_not_idle_and_one_that_ends_starts_nothing() {
    let settings = SupervisorConfig { exit_when_idle: true, ..SupervisorConfig::default() };
    let once = ProgramConfig { program_type: ProgramType::Oneshot, ..program("once") };
    let mut bench = begun_with(settings, &[once, scheduled("p", &["every 1h"])]);
    bench.end(0, Exit::Code(0));
    bench.pass(10);
    assert_eq!(bench.engine.finished(), None);
    bench.pass(HOUR);
    assert_eq!(bench.runs(), 2);
    bench.handle(Input::Notice(Notice::Terminate(None)));
    bench.end(1, Exit::Signal(15));
    assert_eq!(bench.engine.finished(), Some(true));
    assert_eq!(bench.engine.next_run(1), None);
}

/// Row 98.
#[test]
fn row_98_jitter_spreads_and_is_always_the_same() {
    let names: Vec<String> = (0..60).map(|number| format!("job{number}")).collect();
    let programs: Vec<ProgramConfig> = names
        .iter()
        .map(|name| {
            let mut config = scheduled(name, &["0 * * * *"]);
            config.schedule.jitter = 1800;
            config
        })
        .collect();
    let due = |bench: &Bench| -> Vec<i64> {
        let clock = |id| bench.engine.next_run(id).and_then(|next| next.clock).map(|(at, _)| at - MIDNIGHT);
        (0..60).map(|id| clock(id).expect("a time")).collect()
    };
    let mut bench = begun(&programs);
    let first = due(&bench);
    assert!(first.iter().all(|at| (3600..=5400).contains(at)));
    let mut different = first.clone();
    different.sort_unstable();
    different.dedup();
    assert!(different.len() > 50, "{first:?}");
    assert_eq!(due(&begun(&programs)), first, "another daemon");
    let starts = bench.pass_with_short_runs(2 * HOUR);
    assert!(starts.len() > 50, "{starts:?}");
    assert_eq!(
        due(&bench),
        first.iter().map(|at| at + 7200 - if *at + 3600 > 7200 { 3600 } else { 0 }).collect::<Vec<_>>()
    );
    // More than there is to the next time is cut.
    let mut every_minute = scheduled("p", &["* * * * *"]);
    every_minute.schedule.jitter = 86_400;
    assert_eq!(begun(&[every_minute]).pass_with_short_runs(HOUR + 60).len(), 60);
}

#[test]
fn a_search_that_fails_is_made_again() {
    let mut bench = Bench::unbegun(SupervisorConfig::default(), &[scheduled("p", &["0 3 * * *"])]);
    bench.system.wall = (MIDNIGHT - DAY as i64) * MICROS;
    bench.system.has_no_clock = true;
    bench.begin();
    bench.pass(10);
    bench.system.has_no_clock = false;
    bench.pass(1);
    assert_eq!(bench.describe("p"), "not started; next 03:00:00 (in 2 h 59 min)");
    bench.system.has_no_clock = true;
    bench.pass(3 * HOUR);
    assert_eq!(bench.runs(), 0);
    bench.system.has_no_clock = false;
    bench.pass(1);
    assert_eq!(bench.runs(), 1);
}

#[test]
fn the_whole_plan_can_be_written_down() {
    let mut bench = begun(&[scheduled("p", &["0 3 * * *", "every 1h after end"])]);
    bench.pass(2 * HOUR);
    let written = serde_json::to_string(&bench.engine).expect("the state");
    bench.engine = serde_json::from_str(&written).expect("the state");
    assert_eq!(serde_json::to_string(&bench.engine).expect("the state"), written);
    bench.end(0, Exit::Code(0));
    bench.pass(HOUR);
    assert_eq!(bench.runs(), 2);
}
