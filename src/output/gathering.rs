//! How the output thread naps between the ends of many pipes, as they come when the daemon ends: woken for each, it
//! would take the processor from those that are about to end, and from the dispatcher.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

/// How long ends are gathered: a program that writes meanwhile has room for it in its pipe.
const NAP: Duration = Duration::from_micros(500);

/// Whether there is anything to be gathered, and who naps meanwhile.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    has_begun: AtomicBool,
    napper: OnceLock<Thread>,
}

impl Gathering {
    /// From now on ends are gathered.
    pub fn begin(&self) {
        self.has_begun.store(true, Ordering::Relaxed);
    }

    /// Naps, if ends are gathered, until the time is over or [`end_nap`](Self::end_nap) is called; which may have been
    /// before. By one thread only.
    pub fn nap(&self) {
        if self.has_begun.load(Ordering::Relaxed) {
            self.napper.get_or_init(thread::current);
            thread::park_timeout(NAP);
        }
    }

    /// There is something else to do. An atomic, and one system call if the thread naps.
    pub fn end_nap(&self) {
        if let Some(napper) = self.napper.get() {
            napper.unpark();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_nap_is_only_taken_where_ends_are_gathered_and_is_ended_by_other_work() {
        let gathering = Gathering::default();
        gathering.end_nap();
        let begun = Instant::now();
        (0..1000).for_each(|_| gathering.nap());
        assert!(begun.elapsed() < NAP * 1000, "nothing is gathered yet");
        gathering.begin();
        let begun = Instant::now();
        // A park may end for no reason.
        (0..50).for_each(|_| gathering.nap());
        assert!(begun.elapsed() >= NAP, "took {:?}", begun.elapsed());
        let begun = Instant::now();
        for _ in 0..1000 {
            gathering.end_nap();
            gathering.nap();
        }
        assert!(begun.elapsed() < NAP * 1000, "the work had come before the nap");
    }
}
