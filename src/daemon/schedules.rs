//! When schedules are due: what `--check` tells against mistakes in them.

use crate::api::time_of;
use crate::models::{ProgramConfig, Schedule, SupervisorConfig};
use crate::schedule;
use crate::sys::time::all_clocks;
use crate::sys::zones::TimeZone;

/// How many times of each program are printed.
const SHOWN_TIMES: usize = 3;

/// A line for each program that has a schedule.
pub(super) fn next_times(config: &SupervisorConfig) -> String {
    let (_, now, _) = all_clocks();
    let scheduled = config.programs.iter().filter(|program| !program.schedule.times.is_empty());
    scheduled.map(|program| format!("{}: {}\n", program.name, times(program, now.div_euclid(1_000_000)))).collect()
}

/// `next 2026-12-01 03:00:00, 2026-12-02 03:00:00, 2026-12-03 03:00:00 Europe/Berlin; every 15m`
fn times(program: &ProgramConfig, now: i64) -> String {
    let config = &program.schedule;
    let mut parts = Vec::new();
    if config.calendars().next().is_some() {
        let name = config.timezone.as_deref();
        parts.push(match TimeZone::find(name) {
            Err(error) => error.to_string(),
            Ok(zone) => {
                let offset = |at: i64| zone.offset(at);
                let next = |at: &i64| schedule::next(config, &offset, *at);
                let times = std::iter::successors(schedule::next(config, &offset, now), next).take(SHOWN_TIMES);
                let times: Vec<String> = times.map(|at| time_of(at, offset(at), true)).collect();
                let zone = name.map_or_else(String::new, |name| format!(" {name}"));
                match times.is_empty() {
                    true => "never".to_owned(),
                    false => format!("next {}{zone}", times.join(", ")),
                }
            }
        });
    }
    let others = config.times.iter().filter(|time| !matches!(time, Schedule::Calendar(_)));
    parts.extend(others.map(Schedule::to_string));
    parts.join("; ")
}
