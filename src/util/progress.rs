//! Whether somebody who has something to do gets on with it.

use std::time::{Duration, Instant};

/// For how long it is to be seen that nothing is done, beside how long nothing was. After a stop of this process itself
/// (SIGSTOP), or of the machine, nothing had been done for long either, by nobody's fault.
const SEEN_FOR: Duration = Duration::from_millis(500);

/// When something was done last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Progress {
    last: Instant,
    /// When it was first seen that nothing had been done for too long.
    stall_seen: Option<Instant>,
}

impl Progress {
    /// There is something to do from now on.
    pub fn begin(now: Instant) -> Progress {
        Progress { last: now, stall_seen: None }
    }

    /// Something was done.
    pub fn note(&mut self, now: Instant) {
        *self = Progress::begin(now);
    }

    /// When something was done last.
    pub fn at(&self) -> Instant {
        self.last
    }

    /// For how long nothing was done.
    pub fn idle_for(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.last)
    }

    /// Nothing was done for `limit`, and was seen not to for half a second. To be asked again and again for as long as
    /// it matters.
    pub fn has_stalled(&mut self, now: Instant, limit: Duration) -> bool {
        self.idle_for(now) >= limit && now.saturating_duration_since(*self.stall_seen.get_or_insert(now)) >= SEEN_FOR
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_is_one_that_was_seen() {
        const LIMIT: Duration = Duration::from_secs(2);
        let begin = Instant::now();
        let mut progress = Progress::begin(begin);
        assert!(!progress.has_stalled(begin + LIMIT / 2, LIMIT));
        // Whoever asks may have been stopped until now.
        let late = begin + 100 * LIMIT;
        assert!(!progress.has_stalled(late, LIMIT));
        assert!(!progress.has_stalled(late + SEEN_FOR / 2, LIMIT));
        assert!(progress.has_stalled(late + SEEN_FOR, LIMIT));
        progress.note(late + SEEN_FOR);
        assert_eq!(progress.idle_for(late + SEEN_FOR + LIMIT), LIMIT);
        assert!(!progress.has_stalled(late + SEEN_FOR + LIMIT, LIMIT), "a new one");
    }
}
