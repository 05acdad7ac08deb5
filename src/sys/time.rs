//! The wall clock in the local time zone, for printing only.

use std::mem::MaybeUninit;
use std::time::{SystemTime, UNIX_EPOCH};

/// A moment of the wall clock in the local time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalTime {
    /// The year, for instance 2026.
    pub year: i32,
    /// 1 to 12.
    pub month: i32,
    /// 1 to 31.
    pub day: i32,
    /// 0 to 23.
    pub hour: i32,
    /// 0 to 59.
    pub minute: i32,
    /// 0 to 60 (a leap second).
    pub second: i32,
    /// 0 to 999.
    pub millisecond: u32,
}

/// The moment in the local time zone; a clock before 1970 counts as 1970.
pub fn local(time: SystemTime) -> LocalTime {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    // Never `libc::time_t` by name: for musl that name is deprecated.
    let seconds = since.as_secs().try_into().unwrap_or_default();
    let mut parts = MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: both pointers are valid for the call, and localtime_r keeps neither. Zero is a valid
    // value of every field of `tm`, so `parts` is initialised even if the call fails.
    let parts = unsafe {
        libc::localtime_r(&raw const seconds, parts.as_mut_ptr());
        parts.assume_init()
    };
    LocalTime {
        year: parts.tm_year + 1900,
        month: parts.tm_mon + 1,
        day: parts.tm_mday,
        hour: parts.tm_hour,
        minute: parts.tm_min,
        second: parts.tm_sec,
        millisecond: since.subsec_millis(),
    }
}
