//! Whether somebody sets the wall clock: a timer that is never due, which the kernel cancels then.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// Tells that the wall clock was set, or that the machine has slept: it becomes readable.
#[derive(Debug)]
pub struct ClockWatch(OwnedFd);

impl ClockWatch {
    /// Begins to watch.
    ///
    /// # Errors
    /// The system's, when it refuses a descriptor.
    pub fn new() -> io::Result<ClockWatch> {
        // SAFETY: it takes numbers and returns a descriptor or -1.
        let fd = unsafe { libc::timerfd_create(libc::CLOCK_REALTIME, libc::TFD_CLOEXEC | libc::TFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: it is new, and nobody else's.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let mut never = MaybeUninit::<libc::itimerspec>::zeroed();
        // SAFETY: zero is a valid value of every field.
        let never = unsafe {
            let never = never.assume_init_mut();
            // The kernel cuts it to the last moment that it knows.
            never.it_value.tv_sec = i64::MAX as _;
            *never
        };
        let flags = libc::TFD_TIMER_ABSTIME | libc::TFD_TIMER_CANCEL_ON_SET;
        // SAFETY: `never` is valid for the call, the old value is not asked for, and the descriptor is ours.
        let set = unsafe { libc::timerfd_settime(fd.as_raw_fd(), flags, &raw const never, std::ptr::null_mut()) };
        if set < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(ClockWatch(fd))
    }

    /// Whether the clock was set since it was last asked. It goes on watching.
    pub fn was_set(&self) -> bool {
        let mut count = [0_u8; 8];
        // SAFETY: the buffer is as long as is said, and the descriptor is ours.
        let read = unsafe { libc::read(self.0.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
        // The timer was cancelled; that it came due after all is as good.
        read > 0 || io::Error::last_os_error().raw_os_error() == Some(libc::ECANCELED)
    }

    /// The descriptor, to be waited for.
    pub fn raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_has_set_the_clock() {
        let watch = ClockWatch::new().expect("a timer");
        assert!(!watch.was_set());
    }
}
