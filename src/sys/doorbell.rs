//! Wakes one thread that sleeps in a mio loop: for other threads, and for signal handlers, which may run on any thread,
//! and may neither lock nor allocate. A self-pipe, as mio makes it: one descriptor, written to only while somebody
//! sleeps.

use std::io;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use mio::{Events, Poll, Token, Waker};

use super::time;
use crate::process::Moment;

/// Nobody has rung since the thread has looked.
const QUIET: u8 = 0;
/// Somebody has: there is something to be looked at.
const RUNG: u8 = 1;
/// Nobody has, and the thread sleeps.
const ASLEEP: u8 = 2;

/// See the [module](self).
#[derive(Debug, Default)]
pub struct Doorbell {
    state: AtomicU8,
    /// There as soon as somebody can sleep.
    waker: OnceLock<Waker>,
}

impl Doorbell {
    /// To be called behind what there is to be looked at. An atomic, and one system call if the thread sleeps.
    pub fn ring(&self) {
        if self.state.swap(RUNG, Ordering::SeqCst) == ASLEEP
            && let Some(waker) = self.waker.get()
        {
            // SAFETY: errno is this thread's own; whom a handler interrupts must not find another one afterwards.
            let errno = unsafe { *libc::__errno_location() };
            // A write, which fails for no descriptor that is open.
            let _ = waker.wake();
            // SAFETY: as above.
            unsafe { *libc::__errno_location() = errno };
        }
    }

    /// The one place to sleep until somebody rings.
    ///
    /// # Errors
    /// The system's, when it refuses a descriptor; and where somebody has it already.
    pub fn sleeper(self: Arc<Self>) -> io::Result<Sleeper> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), Token(0))?;
        self.waker.set(waker).map_err(|_| io::Error::from(io::ErrorKind::AlreadyExists))?;
        Ok(Sleeper { bell: self, poll, events: Events::with_capacity(1) })
    }
}

/// Where a thread sleeps until somebody rings.
#[derive(Debug)]
pub struct Sleeper {
    bell: Arc<Doorbell>,
    poll: Poll,
    events: Events,
}

impl Sleeper {
    /// Sleeps until somebody rings, or until this moment, rounded up to a millisecond; returns at once if somebody has
    /// rung since the last call. The caller is to look at everything afterwards: it may return for nothing.
    pub fn wait(&mut self, until: Option<Moment>) {
        let state = &self.bell.state;
        if state.compare_exchange(QUIET, ASLEEP, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            let pause = until.map(|until| until.saturating_duration_since(time::now()));
            // Whoever rings before the sleep has begun writes all the same. A handler on this very thread ends it.
            let _ = self.poll.poll(&mut self.events, pause);
        }
        state.store(QUIET, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_wakes_whoever_sleeps_and_is_not_missed_by_who_does_not_yet() {
        let bell = Arc::new(Doorbell::default());
        bell.ring();
        let mut sleeper = Arc::clone(&bell).sleeper().unwrap();
        assert!(Arc::clone(&bell).sleeper().is_err(), "there is one");
        let began = time::now();
        bell.ring();
        sleeper.wait(None);
        sleeper.wait(began.checked_add(Duration::from_millis(20)));
        assert!(time::now() >= began + Duration::from_millis(20), "twice is once");
        // However the two come to meet.
        for _ in 0..2_000 {
            let ring = Arc::clone(&bell);
            let thread = std::thread::spawn(move || ring.ring());
            sleeper.wait(None);
            thread.join().unwrap();
        }
    }

    #[test]
    fn a_handler_on_the_thread_that_sleeps_wakes_it() {
        crate::sys::testing::in_own_process(
            "sys::doorbell::tests::a_handler_on_the_thread_that_sleeps_wakes_it",
            || {
                let bell = Arc::new(Doorbell::default());
                let ring = Arc::clone(&bell);
                let mut sleeper = bell.sleeper().unwrap();
                // SAFETY: see `Doorbell::ring`.
                unsafe { signal_hook::low_level::register(libc::SIGUSR1, move || ring.ring()) }.unwrap();
                // SAFETY: this thread lives for as long as the others signal it.
                let this = unsafe { libc::pthread_self() };
                for _ in 0..500 {
                    let thread = std::thread::spawn(move || unsafe { libc::pthread_kill(this, libc::SIGUSR1) });
                    sleeper.wait(None);
                    thread.join().unwrap();
                }
            },
        );
    }
}
