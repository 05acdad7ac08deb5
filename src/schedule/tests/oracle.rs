//! Random calendars in zones of the database, compared with a slow implementation that shares nothing with ours: it
//! reads the fields as the sets that the text was made from, and watches the clock minute by minute.
//!
//! `SUPERVICE_SCHEDULE_CASES=1000000 cargo test --release --features internals --lib oracle` is the long run;
//! `tests/schedule_oracle.py` does the same with Python's zones.

#![cfg(feature = "timezones")]

use std::fmt::Write as _;

use super::super::{DAY, first_change, next};
use crate::models::ScheduleConfig;
use crate::sys::zones::TimeZone;
use crate::util::civil::{Date, date, weekday};

const MINUTE: i64 = 60;

/// Changes by half an hour, at odd times, by a whole day, twice around Ramadan, none.
const ZONES: [&str; 14] = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Africa/Casablanca",
    "Pacific/Apia",
    "America/St_Johns",
    "Asia/Tehran",
    "Antarctica/Troll",
    "America/Sao_Paulo",
    "Pacific/Chatham",
    "Asia/Gaza",
    "Europe/Dublin",
    "UTC",
];

/// 2000 and 2040.
const DATES: std::ops::Range<i64> = 946_684_800..2_208_988_800;

/// So far the slow one looks ahead.
const WINDOW: i64 = 12 * DAY;

/// xorshift64*
struct Random(u64);

impl Random {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % most
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// A field as a text, and as what it means.
struct Field {
    text: String,
    values: Vec<u32>,
}

fn field(random: &mut Random, least: u32, most: u32, any: u64) -> Field {
    if random.chance(any) {
        let step = if random.chance(30) { 1 + random.below(most.into()) as u32 } else { 1 };
        let text = if step == 1 { "*".to_owned() } else { format!("*/{step}") };
        return Field { text, values: (least..=most).step_by(step as usize).collect() };
    }
    let mut pick = || least + random.below((most - least + 1).into()) as u32;
    let (mut text, mut values) = (String::new(), Vec::new());
    let items = [pick(), pick(), pick(), pick()];
    let kind = pick() % 4;
    match kind {
        0 => {
            let (from, to) = (items[0].min(items[1]), items[0].max(items[1]));
            let _ = write!(text, "{from}-{to}");
            values.extend(from..=to);
        }
        1 => {
            let (from, to, step) = (items[0].min(items[1]), items[0].max(items[1]), 1 + items[2] % 7);
            let _ = write!(text, "{from}-{to}/{step}");
            values.extend((from..=to).step_by(step as usize));
        }
        count => {
            let items = &items[..count as usize - 1];
            text = items.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
            values.extend(items);
        }
    }
    Field { text, values }
}

/// The five fields, and whether time is followed as it elapses.
struct Line {
    text: String,
    fields: [Field; 5],
}

impl Line {
    fn new(random: &mut Random) -> Line {
        let fields = [
            field(random, 0, 59, 25),
            field(random, 0, 23, 30),
            field(random, 1, 31, 85),
            field(random, 1, 12, 95),
            field(random, 0, 6, 80),
        ];
        let text = fields.iter().map(|field| field.text.as_str()).collect::<Vec<_>>().join(" ");
        Line { text, fields }
    }

    fn is_elapsed(&self) -> bool {
        self.fields[..2].iter().any(|field| field.text.starts_with('*'))
    }

    /// Whether it is due when a clock shows this.
    fn matches(&self, local: i64) -> bool {
        let [minute, hour, day, month, of_week] = &self.fields;
        let (days, second) = (local.div_euclid(DAY), local.rem_euclid(DAY));
        let has = |field: &Field, value: u32| field.values.contains(&value);
        if !has(minute, (second / 60 % 60) as u32) || !has(hour, (second / 3600) as u32) {
            return false;
        }
        let Date { month: this_month, day: this_day, .. } = date(days);
        let (by_day, by_week) = (has(day, this_day), has(of_week, weekday(days)));
        let names_both = !day.text.starts_with('*') && !of_week.text.starts_with('*');
        has(month, this_month) && if names_both { by_day || by_week } else { by_day && by_week }
    }

    /// The next time after this one, if it comes soon.
    fn next(&self, zone: &TimeZone, after: i64) -> Option<i64> {
        let shown = |at: i64| at + i64::from(zone.offset(at));
        let first = after.div_euclid(MINUTE) * MINUTE + MINUTE;
        let mut minutes = (first..=after + WINDOW).step_by(MINUTE as usize);
        if self.is_elapsed() {
            return minutes.find(|at| self.matches(shown(*at)));
        }
        // Whatever the clock has not shown before is due when it shows it or something later.
        let seen = (first - 2 * DAY..first).step_by(MINUTE as usize).map(shown).max();
        let mut seen = seen.expect("two days");
        minutes.find(|at| {
            let now = shown(*at);
            let is_due = (seen + MINUTE..=now).step_by(MINUTE as usize).any(|local| self.matches(local));
            seen = seen.max(now);
            is_due
        })
    }
}

/// Half of them lie near a change of the clock.
fn moment(random: &mut Random, zone: &TimeZone) -> i64 {
    let at = DATES.start + random.below((DATES.end - DATES.start) as u64) as i64;
    let near = random.chance(50).then(|| first_change(&|at| zone.offset(at), at, at + 366 * DAY)).flatten();
    near.map_or(at, |change| change - 2 * DAY + random.below(3 * DAY as u64) as i64)
}

#[test]
fn the_next_time_is_that_of_a_slow_implementation() {
    let cases = std::env::var("SUPERVICE_SCHEDULE_CASES").map_or(750, |text| text.parse().expect("a number"));
    let zones: Vec<_> = ZONES.map(|name| (name, TimeZone::find(Some(name)).expect(name))).into();
    let mut random = Random(0x5eed);
    for number in 0..cases {
        let (name, zone) = &zones[number % zones.len()];
        let line = Line::new(&mut random);
        // Those that never come are refused.
        let Ok(schedule) = line.text.parse() else { continue };
        let config = ScheduleConfig { times: vec![schedule], ..ScheduleConfig::default() };
        let after = moment(&mut random, zone);
        let found = next(&config, &|at| zone.offset(at), after);
        let expected = line.next(zone, after);
        let soon = found.filter(|at| *at <= after + WINDOW);
        assert_eq!(soon, expected, "case {number}: '{}' in {name} after {after}", line.text);
    }
}

/// Row 90: all zones, ten years.
#[test]
fn a_daily_job_runs_once_on_each_local_day() {
    for name in ZONES {
        let zone = TimeZone::find(Some(name)).expect(name);
        for time in ["30 2 * * *", "0 0 * * *", "59 23 * * *", "30 1 * * *"] {
            let times = vec![time.parse().expect(time)];
            let config = ScheduleConfig { times, ..ScheduleConfig::default() };
            let shown_day = |at: i64| (at + i64::from(zone.offset(at))).div_euclid(DAY);
            let from = 1_262_304_000; // 2010
            let mut at = next(&config, &|at| zone.offset(at), from).expect("a daily job");
            let mut last = shown_day(at);
            while at < from + 3653 * DAY {
                at = next(&config, &|at| zone.offset(at), at).expect("a daily job");
                let day = shown_day(at);
                // Apia had no 30 December 2011: that day's run is due when it is over, and is the next day's as well or
                // apart from it.
                let lost = name == "Pacific/Apia" && (15_337..=15_339).contains(&day);
                assert!(day == last + 1 || lost, "{name}: {time} on day {day} at {at}, after day {last}");
                last = day;
            }
        }
    }
}

/// Row 91: through both changes of the clock.
#[test]
fn a_job_of_every_five_minutes_runs_every_five_minutes() {
    for name in ZONES {
        let zone = TimeZone::find(Some(name)).expect(name);
        let times = vec!["*/5 * * * *".parse().expect("a line")];
        let config = ScheduleConfig { times, ..ScheduleConfig::default() };
        let mut at = 1_767_225_600; // 2026
        while at < 1_767_225_600 + 366 * DAY {
            let found = next(&config, &|at| zone.offset(at), at).expect("every five minutes");
            assert_eq!(found - at, 300, "{name} after {at}");
            at = found;
        }
    }
}

/// Cron's names for numbers, as people write them.
fn spelled(random: &mut Random, field: &Field, first: u32, names: &[&str]) -> String {
    let mut text = String::new();
    for (number, part) in field.text.split_inclusive([',', '-', '/']).enumerate() {
        let (digits, separator) = part.split_at(part.trim_end_matches([',', '-', '/']).len());
        // What follows a slash is a step, which has no name.
        let is_step = number > 0 && text.ends_with('/');
        let place = digits.parse::<u32>().ok().filter(|_| !is_step && random.chance(40));
        let name = place.and_then(|value| names.get((value - first) as usize)).map_or(digits, |name| name);
        let _ = write!(text, "{name}{separator}");
    }
    text
}

/// The text of a line with what minutes do not need: a field of seconds before the others, and names.
fn rich_text(random: &mut Random, line: &Line) -> String {
    const MONTHS: [&str; 12] = ["jan", "Feb", "mar", "apr", "may", "jun", "JUL", "aug", "sep", "oct", "nov", "dec"];
    const WEEKDAYS: [&str; 7] = ["sun", "mon", "Tue", "wed", "thu", "fri", "SAT"];
    let [minute, hour, day, month, weekday] = &line.fields;
    let month = spelled(random, month, 1, &MONTHS);
    let weekday = spelled(random, weekday, 0, &WEEKDAYS);
    let second = if random.chance(20) { field(random, 0, 59, 20).text + " " } else { String::new() };
    format!("{second}{} {} {} {month} {weekday}", minute.text, hour.text, day.text)
}

/// What `tests/schedule_oracle.py` compares: a line for each case.
#[test]
#[ignore = "prints cases for tests/schedule_oracle.py"]
fn print_cases() {
    let cases = std::env::var("SUPERVICE_SCHEDULE_CASES").map_or(1000, |text| text.parse().expect("a number"));
    let seed: u64 = std::env::var("SUPERVICE_SCHEDULE_SEED").map_or(1, |text| text.parse().expect("a number"));
    let zones: Vec<_> = ZONES.map(|name| (name, TimeZone::find(Some(name)).expect(name))).into();
    // Neighbouring seeds are to have nothing in common.
    let mut random = Random(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut number = 0;
    while number < cases {
        let (name, zone) = &zones[number % zones.len()];
        let line = Line::new(&mut random);
        let text = rich_text(&mut random, &line);
        // Those that never come are refused.
        let Ok(schedule) = text.parse() else { continue };
        let config = ScheduleConfig { times: vec![schedule], ..ScheduleConfig::default() };
        let after = moment(&mut random, zone);
        let found = next(&config, &|at| zone.offset(at), after).map_or("never".to_owned(), |at| at.to_string());
        println!("case\t{text}\t{name}\t{after}\t{found}");
        number += 1;
    }
}
