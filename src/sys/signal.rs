//! Sending signals to a child and to its process group without hitting a stranger.
//!
//! A pid and a group's id may be used again once the kernel has no use for them. A pidfd never
//! refers to another process, and since Linux 6.9 it can address the group as well, even after the leader
//! was reaped. On older kernels the group is addressed by its id: safe as long as the leader is
//! not reaped (a zombie keeps its id); after that only if `/proc` still shows a member whose group *and*
//! session have that id, which leaves a window of microseconds.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use super::proc::{self, Stat};

/// `PIDFD_SIGNAL_PROCESS_GROUP`
const TO_GROUP: u32 = 1 << 2;

/// Set once the kernel has said that it can't address groups by pidfd.
static NO_GROUP_FLAG: AtomicBool = AtomicBool::new(false);

/// A child that leads its own session and process group.
#[derive(Debug, Clone, Copy)]
pub struct Leader<'fd> {
    /// Its pid.
    pub pid: i32,
    /// Its pidfd, where the kernel gave one.
    pub pidfd: Option<BorrowedFd<'fd>>,
    /// Whether it was reaped already.
    pub reaped: bool,
}

/// What became of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupSignal {
    /// At least one process was signalled.
    Delivered,
    /// There is nobody left.
    Gone,
    /// There is somebody, but we may signal none of them: they changed their user.
    Denied,
}

fn outcome(result: libc::c_long) -> io::Result<GroupSignal> {
    if result == 0 {
        return Ok(GroupSignal::Delivered);
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::ESRCH) => Ok(GroupSignal::Gone),
        Some(libc::EPERM) => Ok(GroupSignal::Denied),
        _ => Err(error),
    }
}

fn send_by_pidfd(pidfd: BorrowedFd<'_>, signal: u8, flags: u32) -> io::Result<GroupSignal> {
    let none = std::ptr::null::<libc::siginfo_t>();
    let (fd, signal) = (pidfd.as_raw_fd(), i32::from(signal));
    // SAFETY: no siginfo is passed; the rest are plain numbers.
    outcome(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, signal, none, flags) })
}

/// Signals the leader alone; never a stranger. Signal 0 only asks.
///
/// # Errors
///
/// An invalid signal number.
pub fn signal_leader(leader: Leader<'_>, signal: u8) -> io::Result<GroupSignal> {
    if leader.reaped {
        return Ok(GroupSignal::Gone);
    }
    if let Some(pidfd) = leader.pidfd {
        match send_by_pidfd(pidfd, signal, 0) {
            // Linux 5.2 has pidfds from clone, but a seccomp filter may forbid this call.
            Err(error) if error.raw_os_error() == Some(libc::ENOSYS) => {}
            answer => return answer,
        }
    }
    // SAFETY: the child is not reaped, so that the pid is still its own.
    outcome(unsafe { libc::kill(leader.pid, i32::from(signal)) }.into())
}

/// Signals everything in the leader's process group. Signal 0 only asks.
///
/// # Errors
///
/// An invalid signal number.
pub fn signal_group(leader: Leader<'_>, signal: u8) -> io::Result<GroupSignal> {
    if signal > 64 {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    if let Some(pidfd) = leader.pidfd
        && !NO_GROUP_FLAG.load(Ordering::Relaxed)
    {
        match send_by_pidfd(pidfd, signal, TO_GROUP) {
            Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS)) => {
                NO_GROUP_FLAG.store(true, Ordering::Relaxed);
            }
            answer => return answer,
        }
    }
    signal_group_by_id(leader, signal)
}

/// The way of kernels before 6.9.
fn signal_group_by_id(leader: Leader<'_>, signal: u8) -> io::Result<GroupSignal> {
    // 0 and 1 would address ourselves and everybody.
    if leader.pid <= 1 {
        return Ok(GroupSignal::Gone);
    }
    // SAFETY: a plain number; signal 0 only asks.
    let nobody = || outcome(unsafe { libc::killpg(leader.pid, 0) }.into()).is_ok_and(|who| who == GroupSignal::Gone);
    if leader.reaped {
        match proc::group_members(leader.pid) {
            Ok(members) if members.iter().any(|member| member.session == leader.pid) => {}
            Ok(_) => return Ok(GroupSignal::Gone),
            Err(_) if nobody() => return Ok(GroupSignal::Gone),
            // Whose number it is by now can't be told.
            Err(error) => return Err(error),
        }
    }
    // SAFETY: a plain number; see above for why it is still the right group.
    outcome(unsafe { libc::killpg(leader.pid, i32::from(signal)) }.into())
}

/// Signals a child of this process that it has not reaped: the number is that child's for sure. One that has
/// changed its user may not be ours to signal; whoever calls this sees that it stays.
pub fn signal_child(pid: i32, signal: u8) {
    if pid > 1 {
        // SAFETY: plain numbers.
        unsafe { libc::kill(pid, i32::from(signal)) };
    }
}

/// Whether nothing is left of the group, zombies included: one system call. Those of the zombies
/// that are our children go away by the next sweep; for others see [`group_is_dead`].
pub fn group_is_empty(leader: Leader<'_>) -> bool {
    matches!(signal_group(leader, 0), Ok(GroupSignal::Gone))
}

/// Whether nothing that lives is left of the group. Zombies whose parent doesn't reap them (a container
/// without an init that does) can't be signalled away and hold no resources, so a stop must not wait for them.
/// Reads all of `/proc`: to be asked when [`group_is_empty`] has said no for a while.
pub fn group_is_dead(leader: Leader<'_>) -> bool {
    if group_is_empty(leader) {
        return true;
    }
    // Unknown is not dead. None at all: /proc hides them (hidepid), or they have gone this moment.
    proc::group_members(leader.pid).is_ok_and(|members| !members.is_empty() && members.iter().all(Stat::is_dead))
}

#[cfg(test)]
mod tests;
