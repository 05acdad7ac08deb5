//! Waiting for one thing to be over.
//!
//! A channel would do, but its receiver spins and gives the processor away before it sleeps: each time may last a whole
//! time slice where others are busy, as they are in a shutdown.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

#[derive(Debug, Default)]
struct Latch {
    is_over: Mutex<bool>,
    changed: Condvar,
}

impl Latch {
    fn lock(&self) -> MutexGuard<'_, bool> {
        self.is_over.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// It is over when this is dropped, however that comes about.
#[derive(Debug)]
pub(crate) struct Pending(Arc<Latch>);

impl Drop for Pending {
    fn drop(&mut self) {
        *self.0.lock() = true;
        self.0.changed.notify_all();
    }
}

/// Waits for the end.
#[derive(Debug)]
pub(crate) struct End(Arc<Latch>);

impl End {
    /// Waits until it is over, at most until `deadline`; whether it is.
    pub(crate) fn wait_until(&self, deadline: Instant) -> bool {
        let mut is_over = self.0.lock();
        while !*is_over {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            is_over = self.0.changed.wait_timeout(is_over, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

/// What is dropped at the end, and what waits for it.
pub(crate) fn latch() -> (Pending, End) {
    let latch = Arc::new(Latch::default());
    (Pending(Arc::clone(&latch)), End(latch))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_is_waited_for_until_it_is_over_or_the_time_is_up() {
        let (pending, end) = latch();
        assert!(!end.wait_until(Instant::now()));
        assert!(!end.wait_until(Instant::now() + Duration::from_millis(1)));
        let thread = std::thread::spawn(move || end.wait_until(Instant::now() + Duration::from_secs(60)));
        drop(pending);
        assert!(thread.join().unwrap());
    }

    #[test]
    fn a_panic_ends_it_too() {
        let (pending, end) = latch();
        let thread = std::thread::spawn(move || {
            let _pending = pending;
            panic!("on purpose");
        });
        assert!(thread.join().is_err());
        assert!(end.wait_until(Instant::now()));
    }
}
