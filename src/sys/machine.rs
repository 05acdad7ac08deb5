//! What only the kernel's init does: mounting, ending every process, turning the machine off.
//!
//! Nothing here looks whether it may: [`is_kernels_init`] is to be asked before.

use std::ffi::{CString, c_int};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

pub use crate::models::Power;

/// The inode of the first pid namespace: a constant of the kernel's interface.
const FIRST_PID_NAMESPACE: u64 = 0xEFFF_FFFC;

/// Whether this process is the one that the kernel has started: PID 1 of the first pid namespace.
/// Needs `/proc`; `Err` where that can't be read.
///
/// # Errors
///
/// `/proc` is not mounted or hides us.
pub fn is_kernels_init() -> io::Result<bool> {
    if std::process::id() != 1 {
        return Ok(false);
    }
    Ok(std::fs::metadata("/proc/self/ns/pid")?.ino() == FIRST_PID_NAMESPACE)
}

/// Whether this process is PID 1 of a container: of a pid namespace below the first one.
pub fn is_containers_init() -> bool {
    std::process::id() == 1 && matches!(is_kernels_init(), Ok(false))
}

fn path_of(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(io::Error::from)
}

fn done(result: c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Mounts a file system of the kernel's own (`proc`, `tmpfs`, …) with `MS_NOSUID` and, but for devices, `MS_NODEV`.
///
/// # Errors
///
/// The system's, as a directory that is missing.
pub fn mount(kind: &str, target: &Path, devices: bool, options: &str) -> io::Result<()> {
    let (kind, target, options) = (CString::new(kind)?, path_of(target)?, CString::new(options)?);
    let flags = libc::MS_NOSUID | if devices { libc::MS_NOEXEC } else { libc::MS_NODEV };
    // SAFETY: all strings end with a NUL and live until the call returns.
    done(unsafe { libc::mount(kind.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, options.as_ptr().cast()) })
}

/// Unmounts the file system at this place.
///
/// # Errors
///
/// The system's: it is in use.
pub fn unmount(target: &Path) -> io::Result<()> {
    let target = path_of(target)?;
    // SAFETY: the string ends with a NUL and lives until the call returns.
    done(unsafe { libc::umount2(target.as_ptr(), libc::UMOUNT_NOFOLLOW) })
}

/// Makes the file system at this place read-only.
///
/// # Errors
///
/// The system's: a file is open for writing.
pub fn remount_read_only(target: &Path) -> io::Result<()> {
    let target = path_of(target)?;
    let flags = libc::MS_REMOUNT | libc::MS_RDONLY;
    let none = std::ptr::null();
    // SAFETY: the string ends with a NUL and lives until the call returns; the rest may be null with MS_REMOUNT.
    done(unsafe { libc::mount(none, target.as_ptr(), none, flags, none.cast()) })
}

/// Writes everything that is in memory to the disks; returns when that is done.
pub fn sync() {
    // SAFETY: no arguments.
    unsafe { libc::sync() };
}

/// Signals every process but this one. Threads of the kernel are among them and take no notice, so that it tells
/// nothing of who is left.
pub fn signal_everybody(signal: c_int) {
    // SAFETY: plain numbers. PID 1 itself is never hit by -1.
    unsafe { libc::kill(-1, signal) };
}

/// Makes Ctrl-Alt-Del send SIGINT to the init, in place of a reboot without a warning.
///
/// # Errors
///
/// EPERM for who is not the init.
pub fn catch_ctrl_alt_del() -> io::Result<()> {
    // SAFETY: a plain number.
    done(unsafe { libc::reboot(libc::RB_DISABLE_CAD) })
}

/// Turns the machine off, now: no sync, nothing is stopped. Returns only if it failed. In a pid namespace of a
/// container the kernel ends that one alone: its PID 1 seems to have been killed by SIGHUP (anew) or SIGINT (off).
pub fn power(power: Power) -> io::Error {
    let how = match power {
        Power::Off => libc::RB_POWER_OFF,
        Power::Reboot => libc::RB_AUTOBOOT,
        Power::Halt => libc::RB_HALT_SYSTEM,
    };
    // SAFETY: a plain number.
    unsafe { libc::reboot(how) };
    io::Error::last_os_error()
}

/// Leads standard input, output and error to the console.
///
/// # Errors
///
/// There is no console.
pub fn take_console() -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let console = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NOCTTY).open("/dev/console")?;
    for fd in 0..=2 {
        // SAFETY: both are plain numbers; what lies at fd is meant to be replaced.
        if unsafe { libc::dup2(console.as_raw_fd(), fd) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    if console.as_raw_fd() <= 2 {
        // It lies where it belongs already, and must stay open.
        let _ = std::os::fd::IntoRawFd::into_raw_fd(console);
    }
    Ok(())
}

/// The usual mask, whatever the kernel has left: files are not writable by all.
pub fn set_umask() {
    // SAFETY: a plain number.
    unsafe { libc::umask(0o022) };
}

/// Gives a variable of our environment a value where it has none. The kernel's init has none but HOME and TERM.
pub fn default_variable(name: &str, value: &str) {
    if std::env::var_os(name).is_none() {
        // SAFETY: the caller is an init that has not started any thread yet.
        unsafe { std::env::set_var(name, value) };
    }
}

/// A line in the kernel's log, which is read when the console has gone by.
pub fn write_kernel_log(line: &str) {
    let _ = File::options().write(true).open("/dev/kmsg").and_then(|mut log| writeln!(log, "supervice: {line}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_is_not_the_kernels_init() {
        assert!(matches!(is_kernels_init(), Ok(false)));
    }
}
