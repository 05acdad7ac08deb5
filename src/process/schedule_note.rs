//! [`ScheduleNote`]: what became of a time of a schedule, where it was not simply a start.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What became of a time of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "scheduled", rename_all = "snake_case")]
pub enum ScheduleNote {
    /// Nothing, because the last run was still there.
    Skipped {
        /// How many times during that run, this one included.
        times: u32,
        /// One more run waits already (`schedule_overlap = queue`).
        queue_full: bool,
    },
    /// A run that begins when the present one has ended.
    Queued,
    /// A run for which the present one is stopped.
    Replaces,
    /// Nothing, because the clock has passed over it.
    Missed {
        /// While the machine was asleep.
        asleep: bool,
    },
    /// A run that makes up for what was missed.
    CaughtUp,
}

impl fmt::Display for ScheduleNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ScheduleNote::Skipped { times, queue_full } => {
                let why = match queue_full {
                    false => "the last run is still there (schedule_overlap = skip)",
                    true => "one more run waits already (schedule_overlap = queue)",
                };
                match times {
                    1 => write!(f, "a time of its schedule is skipped: {why}"),
                    times => write!(f, "a time of its schedule is skipped ({times} during this run): {why}"),
                }
            }
            ScheduleNote::Queued => {
                f.write_str("a time of its schedule waits for the end of the last run (schedule_overlap = queue)")
            }
            ScheduleNote::Replaces => {
                f.write_str("a time of its schedule ends the last run (schedule_overlap = restart)")
            }
            ScheduleNote::Missed { asleep: true } => {
                f.write_str("times of its schedule were missed while the machine was asleep")
            }
            ScheduleNote::Missed { asleep: false } => {
                f.write_str("times of its schedule were passed over when the clock was set")
            }
            ScheduleNote::CaughtUp => f.write_str("a time of its schedule was missed, and is made up for"),
        }
    }
}
