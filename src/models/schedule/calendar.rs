//! [`Calendar`]: which times of the calendar match, as cron(8) has it.

use std::fmt;

/// The times of a calendar that match, to the second: those of the fields of a line of cron.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    /// As it is written.
    pub(super) text: Box<str>,
    /// A bit for each second of a minute.
    pub(super) seconds: u64,
    /// A bit for each minute of an hour.
    pub(super) minutes: u64,
    /// A bit for each hour of a day.
    pub(super) hours: u32,
    /// A bit for each day of a month, from bit 1 on.
    pub(super) days: u32,
    /// A bit for each month, from bit 1 on.
    pub(super) months: u16,
    /// A bit for each day of the week, from Sunday on.
    pub(super) weekdays: u8,
    /// Both fields of days name some: a day that matches one of them matches.
    pub(super) either_day: bool,
    /// The minute or the hour is any, or every so many: it follows elapsed time, and not the clock on the wall, where
    /// that is set back or forward for daylight saving.
    pub(super) follows_elapsed: bool,
}

impl Calendar {
    /// The seconds of a minute, as bits.
    pub(crate) fn seconds(&self) -> u64 {
        self.seconds
    }

    /// The minutes of an hour, as bits.
    pub(crate) fn minutes(&self) -> u64 {
        self.minutes
    }

    /// The hours of a day, as bits.
    pub(crate) fn hours(&self) -> u32 {
        self.hours
    }

    /// It goes by elapsed time where clocks are changed for daylight saving.
    pub(crate) fn follows_elapsed(&self) -> bool {
        self.follows_elapsed
    }

    /// Whether this month matches, from 1.
    pub(crate) fn has_month(&self, month: u32) -> bool {
        self.months & 1_u16.checked_shl(month).unwrap_or(0) != 0
    }

    /// Whether this day of a month, from 1, and of the week, from 0 for Sunday, matches.
    pub(crate) fn has_day(&self, day: u32, weekday: u32) -> bool {
        let of_month = self.days & 1_u32.checked_shl(day).unwrap_or(0) != 0;
        let of_week = self.weekdays & 1_u8.checked_shl(weekday).unwrap_or(0) != 0;
        if self.either_day { of_month || of_week } else { of_month && of_week }
    }
}

impl fmt::Display for Calendar {
    /// As it is written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
