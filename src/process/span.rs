//! Spans of time as people read them.

use std::time::Duration;

/// A span of time: `0.2 s`, `12 s`, and from a minute on `1:05` or `2:00:00`.
pub(crate) fn span(duration: Duration) -> String {
    match duration.as_secs() {
        0..10 => format!("{}.{} s", duration.as_secs(), duration.subsec_millis() / 100),
        seconds @ 10..60 => format!("{seconds} s"),
        _ => clock(duration),
    }
}

/// `M:SS`, or `H:MM:SS` from an hour on.
pub(super) fn clock(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}
