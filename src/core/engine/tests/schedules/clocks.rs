//! Clocks that are set, machines that sleep, and what was missed while the daemon was off.

use super::*;

const HOURS: i64 = HOUR as i64;

impl Bench {
    /// Somebody sets the clock, and the kernel tells.
    fn set_clock(&mut self, by: i64) {
        self.system.wall += by * MICROS;
        self.handle(Input::Notice(Notice::ClockSet));
    }

    fn sleep(&mut self, seconds: u64) {
        self.system.asleep += Duration::from_secs(seconds);
        self.set_clock(seconds as i64);
    }
}

#[test]
fn a_clock_that_is_set_forward_passes_over_times() {
    let mut bench = begun(&[scheduled("p", &["0 * * * *"]), scheduled("each", &["every 1h"])]);
    bench.pass(600);
    bench.set_clock(5 * HOUR as i64);
    assert_eq!(bench.runs(), 0);
    assert_eq!(bench.notes(0), [ScheduleNote::Missed { asleep: false }]);
    assert_eq!(bench.describe("p"), "not started; next 06:00:00 (in 50 min)");
    bench.pass(3000);
    assert_eq!(bench.runs(), 2, "both: an interval does not go by the clock");
    // Less than a minute is made up for.
    bench.end(0, Exit::Code(0));
    bench.pass(HOUR - 50);
    bench.set_clock(55);
    assert_eq!(bench.runs(), 3);
    assert_eq!(bench.describe("p"), "pid 1003, uptime 0:00; next 08:00:00 (in 59 min)");
}

#[test]
fn a_clock_that_is_set_back_runs_nothing_twice() {
    let mut bench = begun(&[scheduled("p", &["0 * * * *"])]);
    assert_eq!(bench.pass_with_short_runs(3 * HOUR + 600), [3600, 7200, 10_800]);
    bench.set_clock(-2 * HOUR as i64);
    assert_eq!(bench.describe("p"), "completed after 0.0 s; next 04:00:00 (in 2 h 50 min)");
    assert_eq!(bench.pass_with_short_runs(3 * HOUR), [14_400]);
    // Before the daemon has begun no time has ever come.
    bench.set_clock(-10 * DAY as i64);
    assert_eq!(bench.pass_with_short_runs(3 * HOUR).len(), 3);
}

#[test]
fn a_clock_that_is_set_back_by_more_than_a_day_silences_nobody_later_on() {
    let mut bench = begun(&[scheduled("p", &["0 * * * *"])]);
    assert_eq!(bench.pass_with_short_runs(3 * DAY + 600).len(), 72);
    bench.set_clock(-25 * HOURS);
    assert_eq!(bench.pass_with_short_runs(30 * HOUR).len(), 30);
}

/// Row 92.
#[test]
fn row_92_after_steps_of_seventy_years_it_is_due_within_a_period() {
    let years = 70 * 365 * DAY as i64;
    for first in [years, -40 * 365 * DAY as i64] {
        let mut bench = begun(&[scheduled("p", &["0 3 * * *"])]);
        bench.pass(DAY);
        for step in [first, -first, first, -first] {
            bench.set_clock(step);
            assert_eq!(bench.pass_with_short_runs(DAY).len(), 1, "after a step of {step} s");
        }
    }
}

/// Row 93.
#[test]
fn row_93_what_was_missed_in_sleep_is_caught_up_with_where_that_is_asked_for() {
    let mut catches_up = scheduled("catches", &["0 3 * * *"]);
    catches_up.schedule.catchup = Catchup::Once;
    let mut interval = scheduled("interval", &["every 6h"]);
    interval.schedule.catchup = Catchup::Once;
    let mut bench = begun(&[catches_up, scheduled("misses", &["0 3 * * *"]), interval]);
    bench.pass(HOUR);
    bench.sleep(3 * DAY);
    assert_eq!(bench.state("catches"), ProcessState::Starting);
    assert_eq!(bench.notes(0), [ScheduleNote::CaughtUp]);
    assert_eq!(
        (bench.state("misses"), bench.notes(1)),
        (ProcessState::Stopped, vec![ScheduleNote::Missed { asleep: true }])
    );
    assert_eq!((bench.state("interval"), bench.runs()), (ProcessState::Starting, 2));
    assert_eq!(bench.describe("misses"), "not started; next 03:00:00 (in 2 h)");
    // A sleep in which nothing was due.
    bench.end(0, Exit::Code(0));
    bench.sleep(HOUR);
    assert_eq!(bench.runs(), 2);
    bench.pass(HOUR);
    assert_eq!(bench.runs(), 4);
}

#[test]
fn a_daemon_that_was_itself_stopped_does_not_make_up_for_hours() {
    let mut bench = begun(&[scheduled("p", &["* * * * *"]), scheduled("q", &["every 1m"])]);
    bench.now += Duration::from_secs(3 * HOUR);
    bench.pass(0);
    assert_eq!(bench.runs(), 2);
    assert!(bench.describe("p").ends_with("next 03:01:00 (in 1 min)"), "{}", bench.describe("p"));
    assert!(bench.describe("q").ends_with("next in 1 min"), "{}", bench.describe("q"));
}

/// Every jump, at every moment: what holds whatever happens to the clock.
#[test]
fn whatever_happens_to_the_clock_no_time_comes_twice_and_the_next_one_is_near() {
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move |most: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % most
    };
    for life in 0..200 {
        let mut config = scheduled("p", &["0 */2 * * *"]);
        config.schedule.catchup = if life % 2 == 0 { Catchup::Once } else { Catchup::Never };
        let mut bench = begun(&[config]);
        let mut seen = std::collections::BTreeSet::new();
        let mut latest = 0;
        for _ in 0..50 {
            let starts = bench.pass_with_short_runs(random(6 * HOUR));
            for at in starts {
                let hour = at.div_euclid(7200);
                assert!(at.rem_euclid(7200) < 60, "life {life}: a run at {at}");
                assert!(seen.insert(hour), "life {life}: {at} comes twice");
            }
            latest = latest.max(bench.time());
            let sizes = [1, 30, 59, 61, 600, 3 * HOUR, 30 * HOUR, 400 * DAY, 25_000 * DAY];
            let size = sizes[random(9) as usize];
            let by = 1 + random(size) as i64;
            let before = bench.runs();
            match random(3) {
                0 => bench.set_clock(by),
                1 => bench.set_clock(-by.min(bench.time() + MIDNIGHT - 86_400)),
                _ => bench.sleep(by.unsigned_abs()),
            }
            assert!(bench.runs() - before <= 1, "life {life}: at most one run makes up for all");
            if latest - bench.time() > DAY as i64 {
                // So far back times count anew.
                seen.clear();
                latest = bench.time();
            }
            if bench.entry(0).machine.pid().is_some() {
                bench.end(0, Exit::Code(0));
                // What was made up for counts as the time that it stands for.
                seen.insert((bench.time()).div_euclid(7200));
            }
            let next = bench.engine.next_run(0).and_then(|next| next.at).expect("a time");
            let left = next.saturating_duration_since(bench.now);
            assert!(left <= Duration::from_secs(DAY + 2 * HOUR), "life {life}: due in {left:?}");
        }
    }
}

fn catching_up(lines: &[&str]) -> ProgramConfig {
    let mut job = scheduled("job", lines);
    job.schedule = ScheduleConfig { catchup: Catchup::Once, ..ScheduleConfig::clone(&job.schedule) }.into();
    job
}

/// A daemon that begins so many seconds after midnight with what the one before has kept.
fn begun_later(before: &Bench, at: i64, job: ProgramConfig) -> Bench {
    let settings = SupervisorConfig { state_dir: Some("/state".to_owned()), ..SupervisorConfig::default() };
    let mut bench = Bench::unbegun(settings, &[job]);
    let mut kept = stored_state::StoredState::default();
    for (file, text) in &before.system.kept {
        assert_eq!(kept.read(*file, text), Ok(()));
    }
    bench.engine.restore(kept);
    bench.system.wall = (MIDNIGHT - DAY as i64 + at) * MICROS;
    bench.begin();
    bench
}

#[test]
fn what_was_missed_while_the_daemon_was_off_is_made_up_for_once() {
    let job = || catching_up(&["0 3 * * *"]);
    let nobody = begun(&[]);
    let mut bench = begun_later(&nobody, 0, job());
    assert_eq!(bench.runs(), 0, "what was due before it was there is not missed");
    assert_eq!(bench.pass_with_short_runs(3 * HOUR), [3 * HOURS]);
    assert_eq!(bench.system.kept.len(), 2, "written when it comes, and when it runs");
    // Off over nothing.
    let mut bench = begun_later(&bench, 4 * HOURS, job());
    assert_eq!(bench.pass_with_short_runs(HOUR), [0; 0]);
    assert_eq!(bench.system.kept.len(), 0, "a quiet day writes nothing");
    let bench = begun_later(&nobody, 0, job());
    // Off for three nights.
    let mut bench = begun_later(&bench, 3 * DAY as i64 + 4 * HOURS, job());
    assert_eq!((bench.runs(), bench.time()), (1, 3 * DAY as i64 + 4 * HOURS));
    assert_eq!(bench.pass_with_short_runs(DAY), [3 * DAY as i64 + 27 * HOURS]);
    assert_eq!(bench.notes(0), [ScheduleNote::CaughtUp]);
    // Off again, at once.
    let mut bench = begun_later(&bench, 4 * DAY as i64 + 5 * HOURS, job());
    assert_eq!(bench.pass_with_short_runs(HOUR), [0; 0], "never twice");
}

#[test]
fn a_daemon_that_was_killed_makes_up_for_no_time_that_it_has_followed() {
    let job = || catching_up(&["*/10 * * * *"]);
    let mut bench = begun_later(&begun(&[]), 0, job());
    // Each life ends at another moment, without notice: all of them together run at each time once.
    let (mut at, mut runs) = (0, Vec::new());
    for life in 1..200 {
        let length = life * 37 % 1500;
        runs.extend(bench.pass_with_short_runs(length));
        at += length as i64;
        let mut kept: Vec<(StateFile, String)> = bench.system.kept.clone();
        bench = {
            let mut before = begun(&[]);
            before.system.kept.append(&mut kept);
            begun_later(&before, at, job())
        };
        // What this one begins with counts as its own.
        let kept = bench.engine.stored.times.get("job").copied().expect("it is kept");
        bench.system.kept.push((StateFile::Times, format!("supervice state 1 times\n{kept} job\nend 1\n")));
    }
    assert!(runs.windows(2).all(|pair| pair[0] < pair[1]), "{runs:?}");
    let all: Vec<i64> = (1..=at / 600).map(|number| number * 600).collect();
    let missing: Vec<&i64> = all.iter().filter(|time| !runs.iter().any(|run| run / 600 == *time / 600)).collect();
    assert!(missing.is_empty() || missing == [all.last().expect("some")], "{missing:?} of {runs:?}");
    assert!(runs.len() <= all.len(), "{} runs, {} times", runs.len(), all.len());
}

#[test]
fn a_clock_that_begins_long_ago_catches_up_when_it_is_set() {
    let job = || catching_up(&["0 3 * * *"]);
    let bench = begun_later(&begun(&[]), 0, job());
    // No battery: 1970.
    let mut bench = begun_later(&bench, -MIDNIGHT, job());
    assert_eq!(bench.pass_with_short_runs(3 * HOUR + 10).len(), 1, "by the clock that there is");
    let runs = bench.runs();
    bench.set_clock(2 * DAY as i64 - bench.time());
    assert_eq!((bench.runs(), bench.time()), (runs + 1, 2 * DAY as i64), "two nights were missed");
    assert_eq!(bench.pass_with_short_runs(4 * HOUR), [2 * DAY as i64 + 3 * HOURS]);
}

#[test]
fn what_is_disabled_follows_no_schedule_and_makes_up_for_nothing() {
    let job = || catching_up(&["0 3 * * *", "every 1h"]);
    let mut bench = begun_later(&begun(&[]), 0, job());
    let set = |enabled| Request::Command(Command::SetEnabled { name: "job".to_owned(), enabled });
    bench.ask(1, set(false));
    assert_eq!(bench.pass_with_short_runs(2 * DAY), [0; 0]);
    assert_eq!(bench.describe("job"), "not started; disabled");
    assert!(bench.engine.poll_timeout().is_none(), "nothing is due");
    bench.ask(2, set(true));
    let next = bench.pass_with_short_runs(4 * HOUR);
    assert_eq!(next, [1, 2, 3, 4].map(|hour| 2 * DAY as i64 + hour * HOURS).as_slice());
    let kept = bench.engine.stored.times.get("job").copied();
    assert_eq!(kept, Some(MIDNIGHT + 2 * DAY as i64 + 3 * HOURS), "for the next daemon, too");
}

/// Each text has all of them: ten thousand jobs of one minute would be written ten thousand times.
#[test]
fn the_times_of_all_that_come_at_once_are_written_once() {
    let jobs: Vec<ProgramConfig> =
        (0..50).map(|number| ProgramConfig { name: format!("job{number}"), ..catching_up(&["0 3 * * *"]) }).collect();
    let settings = SupervisorConfig { state_dir: Some("/state".to_owned()), ..SupervisorConfig::default() };
    let mut bench = begun_with(settings, &jobs);
    bench.pass(1);
    assert_eq!(bench.system.kept.len(), 1, "when they come");
    bench.pass(3 * HOUR);
    assert_eq!((bench.runs(), bench.system.kept.len()), (50, 2), "when they run");
    let text = &bench.system.kept[1].1;
    assert_eq!(text.matches(&format!("{} job", MIDNIGHT + 3 * HOURS)).count(), 50, "{text}");
}
