//! The wall clock in the local time zone, for printing only.

use std::mem::MaybeUninit;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::process::Moment;

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

/// The monotonic clock, now.
pub fn now() -> Moment {
    clock(libc::CLOCK_MONOTONIC)
}

fn clock(clock: libc::clockid_t) -> Moment {
    let mut time = MaybeUninit::<libc::timespec>::zeroed();
    // SAFETY: the pointer is valid for the call. Zero is a valid value of every field of `timespec`, so `time` is
    // initialised even if the call fails, which it can't for a clock that every Linux has.
    let time = unsafe {
        libc::clock_gettime(clock, time.as_mut_ptr());
        time.assume_init()
    };
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    Moment::from_nanos(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
}

/// How long the machine has been up, asleep or not.
pub fn since_boot() -> Duration {
    clock(libc::CLOCK_BOOTTIME).saturating_duration_since(Moment::from_nanos(0))
}

/// The CPU time that a process has used, with all of its threads; `None` where it does not exist.
#[cfg(feature = "http")]
pub fn cpu_time(pid: i32) -> Option<Duration> {
    // What `clock_getcpuclockid` comes to (CPUCLOCK_SCHED is 2), without its question whether there is such a process.
    let clock = (!pid << 3) | 2;
    let mut time = MaybeUninit::<libc::timespec>::zeroed();
    // SAFETY: the pointer is valid for the call, and zero is a valid value of every field of `timespec`.
    let (result, time) = unsafe {
        let result = libc::clock_gettime(clock, time.as_mut_ptr());
        (result, time.assume_init())
    };
    let (seconds, nanos) = (u64::try_from(time.tv_sec).ok()?, u32::try_from(time.tv_nsec).ok()?);
    (result == 0).then(|| Duration::new(seconds, nanos))
}

/// Both clocks, now.
pub fn wall_clock() -> (Moment, Duration) {
    (now(), SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// The monotonic clock, the wall clock in microseconds since 1970, and how long the machine has slept: read at one
/// moment, as far as that can be had.
pub fn all_clocks() -> (Moment, i64, Duration) {
    let mut best: Option<(Duration, Moment, i64, Duration)> = None;
    for _ in 0..CLOCK_READS {
        let before = now();
        let wall = SystemTime::now();
        let awake_and_asleep = clock(libc::CLOCK_BOOTTIME);
        let after = now();
        let took = after.saturating_duration_since(before);
        if best.is_none_or(|(least, ..)| took < least) {
            let wall = match wall.duration_since(UNIX_EPOCH) {
                Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
                Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |micros| -micros),
            };
            let asleep = awake_and_asleep.saturating_duration_since(after);
            best = Some((took, before, wall, asleep));
        }
        if took < CLOSE_ENOUGH {
            break;
        }
    }
    best.map_or((now(), 0, Duration::ZERO), |(_, at, wall, asleep)| (at, wall, asleep))
}

/// So often clocks are read at most, to find a moment without an interruption.
const CLOCK_READS: usize = 5;
/// Nothing has come between.
const CLOSE_ENOUGH: Duration = Duration::from_micros(50);

/// The same point as std tells it.
pub fn instant_of(moment: Moment) -> Instant {
    let (now, instant) = (now(), Instant::now());
    let past = instant.checked_sub(now.saturating_duration_since(moment)).unwrap_or(instant);
    past.checked_add(moment.saturating_duration_since(now)).unwrap_or(past)
}
