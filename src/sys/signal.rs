//! Sending signals to a child and to its process group without hitting a stranger.
//!
//! A pid and a group's id may be used again once the kernel has no use for them. A pidfd never
//! refers to another process, and since Linux 6.9 it can address the group as well, even after the leader
//! was reaped. On older kernels the group is addressed by its id: safe as long as the leader is
//! not reaped (a zombie keeps its id); after that only if `/proc` still shows a member of the group in the
//! session that it was in, which leaves a window of microseconds.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{proc, time};
use crate::process::Moment;

/// `PIDFD_SIGNAL_PROCESS_GROUP`
const TO_GROUP: u32 = 1 << 2;

/// Set once the kernel has said that it can't address groups by pidfd.
static NO_GROUP_FLAG: AtomicBool = AtomicBool::new(false);

/// A child that leads its own process group, and as a rule its own session.
#[derive(Debug, Clone, Copy)]
pub struct GroupLeader<'fd> {
    /// Its pid.
    pub pid: i32,
    /// Its pidfd, where the kernel gave one.
    pub pidfd: Option<BorrowedFd<'fd>>,
    /// Whether it was reaped already.
    pub reaped: bool,
    /// The session of the group, by which its members are told once the number may be another group's.
    pub session: i32,
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

/// A pidfd, close-on-exec, of whoever has this number now; `None` on kernels before 5.3, and where no descriptor is
/// left.
pub(super) fn open_pidfd(pid: i32) -> Option<OwnedFd> {
    // SAFETY: plain numbers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0)?;
    // SAFETY: the kernel has just made this descriptor for us.
    Some(unsafe { OwnedFd::from_raw_fd(fd) })
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
pub fn signal_leader(leader: GroupLeader<'_>, signal: u8) -> io::Result<GroupSignal> {
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
/// A child that has not made its group yet is signalled alone: on a busy machine it may be told to end before it has
/// run at all.
///
/// # Errors
///
/// An invalid signal number.
pub fn signal_group(leader: GroupLeader<'_>, signal: u8) -> io::Result<GroupSignal> {
    match signal_whole_group(leader, signal)? {
        GroupSignal::Gone if !leader.reaped && leader.pid > 1 => signal_leader(leader, signal),
        answer => Ok(answer),
    }
}

fn signal_whole_group(leader: GroupLeader<'_>, signal: u8) -> io::Result<GroupSignal> {
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
fn signal_group_by_id(leader: GroupLeader<'_>, signal: u8) -> io::Result<GroupSignal> {
    // 0 and 1 would address ourselves and everybody.
    if leader.pid <= 1 {
        return Ok(GroupSignal::Gone);
    }
    if leader.reaped {
        // SAFETY: a plain number; signal 0 only asks.
        let there = outcome(unsafe { libc::killpg(leader.pid, 0) }.into())?;
        // Who only asks harms no stranger, and must not have to read all of /proc for every answer.
        if signal == 0 || there == GroupSignal::Gone {
            return Ok(there);
        }
        // Whose number it is by now can't be told where this fails.
        if !proc::group_members(leader.pid)?.iter().any(|member| member.session == leader.session) {
            return Ok(GroupSignal::Gone);
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

/// As [`signal_child`], and everything else in their process groups, each once; its number stays taken for as long as
/// the child is in it. In our own session the children alone: there others than their relatives may be in a group.
pub fn signal_children_and_groups(children: &[proc::Stat], signal: u8) {
    // SAFETY: a plain number.
    let own_session = unsafe { libc::getsid(0) };
    let mut told = HashSet::new();
    for child in children {
        if child.pgrp <= 1 || child.session == own_session {
            signal_child(child.pid, signal);
        } else if told.insert(child.pgrp) {
            // SAFETY: plain numbers.
            unsafe { libc::killpg(child.pgrp, i32::from(signal)) };
        }
    }
}

/// Whether nothing is left of the group, zombies included: one system call. Those of the zombies
/// that are our children go away by the next sweep; for others see [`DeadGroups`].
pub fn group_is_empty(leader: GroupLeader<'_>) -> bool {
    matches!(signal_group(leader, 0), Ok(GroupSignal::Gone))
}

/// Tells groups that live from groups of which only zombies are left. Zombies whose parent doesn't reap them (a
/// container without an init that does) can't be signalled away and hold no resources, so a stop must not wait
/// for them: to be asked when [`group_is_empty`] has said no for a while.
///
/// It reads all of `/proc`, for all groups at once and at most once a second; and less often than that where
/// reading takes long, so that it never costs more than a twentieth of a core, however many groups are waited for.
#[derive(Debug, Default)]
pub struct DeadGroups {
    /// The session of those that live in a group with members, if any do; not of groups whose session has the same
    /// number.
    seen: HashMap<i32, Option<i32>>,
    /// When the look began that `seen` comes from.
    looked: Option<Moment>,
    /// When to look again.
    again: Option<Moment>,
}

/// The youngest that the second look at the same group is.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// … or so many times as long as the look took.
const LOOK_SHARE: u32 = 20;

impl DeadGroups {
    /// Whether the group of a leader that was reaped at `reaped` has members, none of which lives. Unknown is not
    /// dead: where `/proc` is not mounted or hides them, or no descriptor is left to read it, or it is not yet time
    /// to look again.
    pub fn contains(&mut self, leader: GroupLeader<'_>, reaped: Moment, now: Moment) -> bool {
        if self.again.is_none_or(|again| again <= now) {
            let groups = proc::living_groups().unwrap_or_default();
            self.seen = groups.into_iter().filter(|(group, living)| *living != Some(*group)).collect();
            self.looked = Some(now);
            let pause = LOOK_AGAIN.max(time::now().saturating_duration_since(now) * LOOK_SHARE);
            self.again = now.checked_add(pause);
        }
        // A look from before the leader was reaped may have seen an earlier group of the same number. One that was dead
        // since is so now: nobody is left who could have joined it.
        self.looked.is_some_and(|looked| looked >= reaped)
            && self.seen.get(&leader.pid).is_some_and(|living| *living != Some(leader.session))
    }
}

#[cfg(test)]
mod tests;
