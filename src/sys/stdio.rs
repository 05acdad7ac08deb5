//! Standard input, output and error of the daemon, and the null device.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// `/dev/null`; where that is missing (a minimal container), the read end of a pipe without a writer,
/// which reads as empty just the same. Close-on-exec. It is meant for reading.
///
/// # Errors
///
/// Where no descriptor is left.
pub fn open_null() -> io::Result<OwnedFd> {
    match OpenOptions::new().read(true).write(true).open("/dev/null") {
        Ok(file) => Ok(file.into()),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) => Err(error),
        Err(_) => Ok(io::pipe()?.0.into()),
    }
}

/// Makes sure that descriptors 0, 1 and 2 exist, so that no log file or socket can come to lie where
/// somebody prints to. To be called first in `main` (Rust's own start does it where `/dev/null` exists).
///
/// # Errors
///
/// Where nothing can be opened at all.
pub fn ensure_standard_fds() -> io::Result<()> {
    for fd in 0..=2 {
        // SAFETY: F_GETFD on any number is harmless.
        if unsafe { libc::fcntl(fd, libc::F_GETFD) } >= 0 {
            continue;
        }
        place(open_null()?, fd)?;
    }
    Ok(())
}

/// Puts `source` in the place of the standard descriptor `target`.
fn place(source: OwnedFd, target: i32) -> io::Result<()> {
    if source.as_raw_fd() == target {
        // It was opened just there: it only has to survive an exec, and our dropping it.
        let fd = std::os::fd::IntoRawFd::into_raw_fd(source);
        // SAFETY: fd is open and ours.
        return check(unsafe { libc::fcntl(fd, libc::F_SETFD, 0) });
    }
    // SAFETY: both are plain numbers; what lies at `target` is meant to be replaced.
    check(unsafe { libc::dup2(source.as_raw_fd(), target) })
}

fn check(result: i32) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Points 0, 1 and 2 to the null device: the last step of detaching from a terminal.
///
/// # Errors
///
/// Where no descriptor is left.
pub fn redirect_to_null() -> io::Result<()> {
    let null = open_null()?;
    for fd in 0..=2 {
        // SAFETY: both are plain numbers; 0 to 2 are meant to be replaced.
        check(unsafe { libc::dup2(null.as_raw_fd(), fd) })?;
    }
    if null.as_raw_fd() <= 2 {
        // It lies itself at one of the three numbers: dropping it would close that again.
        std::mem::forget(null);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::testing::in_own_process;

    #[test]
    fn closed_standard_descriptors_are_opened_and_others_left_alone() {
        in_own_process("sys::stdio::tests::closed_standard_descriptors_are_opened_and_others_left_alone", || {
            // SAFETY: this process is the test's own; the harness reads nothing from 0.
            unsafe { libc::close(0) };
            ensure_standard_fds().unwrap();
            assert_eq!(std::fs::read_link("/proc/self/fd/0").unwrap().to_str(), Some("/dev/null"));
            // SAFETY: as above.
            assert_eq!(unsafe { libc::fcntl(0, libc::F_GETFD) }, 0, "must survive an exec");
            assert_ne!(std::fs::read_link("/proc/self/fd/1").unwrap().to_str(), Some("/dev/null"));
        });
    }
}
