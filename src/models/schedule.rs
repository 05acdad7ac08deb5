//! When a program is started by the clock.

mod calendar;
mod parse;

use std::fmt;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use calendar::Calendar;
pub use parse::NoSchedule;

use super::rare::Defaults;

/// When, and how, a program is started by the clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ScheduleConfig {
    /// Its schedules: any of them starts it; none: it has none.
    pub times: Vec<Schedule>,
    /// The time zone by which they are read, such as `Europe/Berlin`; `None`: the system's.
    pub timezone: Option<String>,
    /// What happens at a time at which the last run is still there.
    pub overlap: Overlap,
    /// Seconds up to which its runs are put off, by an offset that is always the same for this program on this machine.
    pub jitter: u32,
    /// What becomes of times that were missed.
    pub catchup: Catchup,
}

impl Defaults for ScheduleConfig {
    fn defaults() -> &'static ScheduleConfig {
        static DEFAULTS: ScheduleConfig = ScheduleConfig {
            times: Vec::new(),
            timezone: None,
            overlap: Overlap::Skip,
            jitter: 0,
            catchup: Catchup::Never,
        };
        &DEFAULTS
    }
}

impl Default for ScheduleConfig {
    fn default() -> ScheduleConfig {
        ScheduleConfig::defaults().clone()
    }
}

impl ScheduleConfig {
    /// Those that go by the calendar.
    pub(crate) fn calendars(&self) -> impl Iterator<Item = &Calendar> {
        self.times.iter().filter_map(|schedule| match schedule {
            Schedule::Calendar(calendar) => Some(&**calendar),
            Schedule::Interval { .. } | Schedule::Reboot => None,
        })
    }
}

/// One schedule.
///
/// Serialized as it is written in a configuration file: `"0 3 * * *"`, `"every 15m"`, `"every 90s after end"`,
/// `"@reboot"`.
///
/// ```
/// use supervice::models::Schedule;
///
/// assert_eq!("every 15m".parse(), Ok(Schedule::Interval { seconds: 900, after_end: false }));
/// assert!("0 3 * * *".parse::<Schedule>().is_ok() && "0 25 * * *".parse::<Schedule>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schedule {
    /// At the times of the calendar that match.
    Calendar(Box<Calendar>),
    /// Again and again after so many seconds.
    Interval {
        /// At least 1.
        seconds: u32,
        /// From the end of a run to the next one, not from one start to the next.
        after_end: bool,
    },
    /// Once, when the daemon starts.
    Reboot,
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Schedule::Calendar(calendar) => calendar.fmt(f),
            Schedule::Interval { seconds, after_end } => {
                let (number, unit) = match *seconds {
                    days if days % 86_400 == 0 => (days / 86_400, "d"),
                    hours if hours % 3600 == 0 => (hours / 3600, "h"),
                    minutes if minutes % 60 == 0 => (minutes / 60, "m"),
                    seconds => (seconds, "s"),
                };
                write!(f, "every {number}{unit}")?;
                f.write_str(if *after_end { " after end" } else { "" })
            }
            Schedule::Reboot => f.write_str("@reboot"),
        }
    }
}

impl Serialize for Schedule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Schedule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(|no: NoSchedule| D::Error::custom(no.message))
    }
}

/// What happens at a time at which the last run is still there.
///
/// Serialized in lower case, as it is written in a configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Overlap {
    /// Nothing; that is told.
    #[default]
    Skip,
    /// One more run begins when the present one has ended.
    Queue,
    /// The present run is stopped, and the next one begins.
    Restart,
}

/// What becomes of times that were missed: the daemon did not run, or the machine was off or asleep.
///
/// Serialized as `"false"` and `"once"`, as it is written in a configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Catchup {
    /// Nothing.
    #[default]
    #[serde(rename = "false")]
    Never,
    /// One run, however many were missed, when it is known.
    #[serde(rename = "once")]
    Once,
}

#[cfg(all(test, feature = "schedules"))]
mod tests;
