//! The clock that the harness and the children share.

/// CLOCK_MONOTONIC in nanoseconds: the same clock, with the same zero, as in `child.c`. `Instant` reads
/// it too but keeps its zero to itself.
pub fn monotonic_ns() -> u64 {
    read(libc::CLOCK_MONOTONIC)
}

/// What a process has used of the processors, in nanoseconds: all of its threads, those that have ended too.
pub fn process_cpu_ns(pid: i32) -> u64 {
    // As clock_getcpuclockid(3) makes it.
    const SCHEDULER: libc::clockid_t = 2;
    read((!pid << 3) | SCHEDULER)
}

fn read(clock: libc::clockid_t) -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a valid timespec for the whole call, and the call keeps no pointer.
    unsafe { libc::clock_gettime(clock, &raw mut now) };
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

/// Milliseconds between two readings of [`monotonic_ns`].
pub fn milliseconds(from_ns: u64, to_ns: u64) -> f64 {
    to_ns.saturating_sub(from_ns) as f64 / 1e6
}
