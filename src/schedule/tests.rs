//! The next time against a slow reading of the documentation: a clock on the wall that is watched minute by minute.

use super::*;
use crate::models::{Rare, Schedule};

mod oracle;

const HOUR: i64 = 3600;

fn config(lines: &[&str]) -> ScheduleConfig {
    let times = lines.iter().map(|line| line.parse::<Schedule>().expect(line)).collect();
    ScheduleConfig { times, ..ScheduleConfig::default() }
}

/// Half an hour ahead, from the first day of 1970 on an hour and a half, and from the third on as before.
fn odd(at: i64) -> i32 {
    if (DAY + 2 * HOUR..3 * DAY).contains(&at) { 5400 } else { 1800 }
}

fn all(lines: &[&str], offset: Offset<'_>, from: i64, to: i64) -> Vec<i64> {
    let config = config(lines);
    let mut found = Vec::new();
    let mut at = from;
    while let Some(time) = next(&config, offset, at).filter(|time| *time < to) {
        found.push(time);
        at = time;
    }
    found
}

#[test]
fn without_changes_of_the_clock_the_calendar_is_followed() {
    let utc = |_: i64| 0;
    assert_eq!(all(&["30 0 * * *"], &utc, 0, 2 * DAY), [1800, DAY + 1800]);
    assert_eq!(all(&["0 */8 * * *", "@daily"], &utc, -1, DAY), [0, 8 * HOUR, 16 * HOUR], "what falls together is one");
    assert_eq!(all(&["15 30 0 1 1 *"], &utc, 0, 366 * DAY), [1815, 365 * DAY + 1815]);
    // 1972 and 1976 were leap years, 2100 is none.
    assert_eq!(next(&config(&["0 0 29 2 *"]), &utc, 0), Some(789 * DAY));
    assert_eq!(next(&config(&["0 0 29 2 *"]), &utc, 3_981_312_000), Some(4_233_686_400), "from 2096 to 2104");
    // 29 February is a Sunday in 2088, and then only in 2128.
    let sunday = config(&["0 0 29 2 */7"]);
    assert_eq!(next(&sunday, &utc, 2_845_238_400), Some(3_728_851_200));
    assert_eq!(next(&sunday, &utc, 3_728_851_200), Some(4_991_068_800));
}

#[test]
fn a_time_in_the_gap_comes_right_after_it_and_one_that_comes_twice_comes_once() {
    // The clock goes from 2:30 on the second day to 3:30, and back from 1:30 on the fourth to 0:30.
    let day = DAY - 1800;
    assert_eq!(all(&["0 3 * * *"], &odd, DAY, 2 * DAY), [DAY + 2 * HOUR], "there is no three o'clock");
    assert_eq!(all(&["0,15 3 * * *", "30 3 * * *"], &odd, DAY, 2 * DAY), [DAY + 2 * HOUR], "all of them at once");
    assert_eq!(all(&["0 1 * * *"], &odd, 3 * DAY - 2 * HOUR, 4 * DAY - HOUR), [3 * DAY - 1800], "the first time");
    assert_eq!(all(&["0 2 * * *"], &odd, day, 4 * DAY).len(), 3);
}

#[test]
fn steps_follow_elapsed_time() {
    let every_20 = all(&["*/20 * * * *"], &odd, DAY, 4 * DAY);
    assert!(every_20.windows(2).all(|pair| pair[1] - pair[0] == 1200), "{every_20:?}");
    let hourly = all(&["10 * * * *"], &odd, DAY, 4 * DAY);
    assert!(hourly.windows(2).all(|pair| pair[1] - pair[0] == HOUR), "{hourly:?}");
    // What names its hour has none in the gap, and all of them twice.
    assert_eq!(all(&["*/30 3 * * *"], &odd, DAY, 2 * DAY), [DAY + 2 * HOUR]);
    assert_eq!(all(&["*/30 1 * * *"], &odd, 3 * DAY - 2 * HOUR, 4 * DAY - HOUR).len(), 3);
}

#[test]
fn programs_without_a_schedule_have_no_time() {
    let config: Rare<ScheduleConfig> = Rare::default();
    assert_eq!(next(&config, &|_| 0, 0), None);
    assert_eq!(next(&self::config(&["every 5m", "@reboot"]), &|_| 0, 0), None);
    assert_eq!(next(&self::config(&["0 0 * * *"]), &|_| 0, i64::MAX), None);
}
