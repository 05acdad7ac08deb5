//! Wakes one thread that sleeps: for other threads, and for signal handlers, which may run on any thread, and may neither lock
//! nor allocate. No pipe lies between them, and no other thread that has to be awake first.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::process::Moment;

/// Nobody has rung since the thread has looked.
const QUIET: u32 = 0;
/// Somebody has: there is something to be looked at.
const RUNG: u32 = 1;
/// Nobody has, and the thread sleeps.
const ASLEEP: u32 = 2;

/// See the [module](self).
#[derive(Debug, Default)]
pub struct Doorbell(AtomicU32);

impl Doorbell {
    /// To be called behind what there is to be looked at. An atomic, and one system call if the thread sleeps.
    pub fn ring(&self) {
        if self.0.swap(RUNG, Ordering::SeqCst) == ASLEEP {
            // SAFETY: errno is this thread's own; whom a handler interrupts must not find another one afterwards.
            let errno = unsafe { *libc::__errno_location() };
            let (wake, one) = (libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG, 1);
            // SAFETY: the address is that of a living atomic; the call neither keeps it nor writes to it.
            unsafe {
                libc::syscall(libc::SYS_futex, self.0.as_ptr(), wake, one);
                *libc::__errno_location() = errno;
            }
        }
    }

    /// Sleeps until somebody rings, or until this moment; returns at once if somebody has rung since the last call. For the
    /// one thread alone, which is to look at everything afterwards. May return for nothing.
    pub fn wait(&self, until: Option<Moment>) {
        if self.0.compare_exchange(QUIET, ASLEEP, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            self.sleep(until);
        }
        self.0.store(QUIET, Ordering::SeqCst);
    }

    fn sleep(&self, until: Option<Moment>) {
        // The kernel's structure for this call has two longs, whatever the C library takes for a time.
        let until = until.map(|until| {
            let nanos = until.as_nanos();
            [nanos / 1_000_000_000, nanos % 1_000_000_000]
                .map(|part| libc::c_long::try_from(part).unwrap_or(libc::c_long::MAX))
        });
        let until = until.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        // This kind takes a moment of the monotonic clock, in place of a pause.
        let wait = libc::FUTEX_WAIT_BITSET | libc::FUTEX_PRIVATE_FLAG;
        let (none, everybody) = (std::ptr::null::<u32>(), u32::MAX);
        // SAFETY: both pointers are valid for the call. It looks at the atomic and goes to sleep in one step: whoever has rung
        // before is not missed. A handler on this very thread ends the sleep, or finds another value when it is gone on with.
        unsafe {
            libc::syscall(libc::SYS_futex, self.0.as_ptr(), wait, ASLEEP, until, none, everybody);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::sys::time;

    #[test]
    fn it_wakes_whoever_sleeps_and_is_not_missed_by_who_does_not_yet() {
        let bell = Arc::new(Doorbell::default());
        let (ring, began) = (Arc::clone(&bell), time::now());
        bell.ring();
        bell.ring();
        bell.wait(None);
        bell.wait(began.checked_add(Duration::from_millis(20)));
        assert!(time::now() >= began + Duration::from_millis(20), "twice is once");
        // However the two come to meet.
        for _ in 0..2_000 {
            let ring = Arc::clone(&ring);
            let thread = std::thread::spawn(move || ring.ring());
            bell.wait(None);
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
                // SAFETY: see `Doorbell::ring`.
                unsafe { signal_hook::low_level::register(libc::SIGUSR1, move || ring.ring()) }.unwrap();
                // SAFETY: this thread lives for as long as the others signal it.
                let sleeper = unsafe { libc::pthread_self() };
                for _ in 0..500 {
                    let thread = std::thread::spawn(move || unsafe { libc::pthread_kill(sleeper, libc::SIGUSR1) });
                    bell.wait(None);
                    thread.join().unwrap();
                }
            },
        );
    }
}
