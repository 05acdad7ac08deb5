//! Reaping. One wake-up by SIGCHLD may stand for any number of exits, so that every wake-up sweeps
//! until nothing is left.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::process::Exit;

/// Whose statuses may be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReapScope {
    /// Every child of this process: what a daemon does, and has to do as PID 1 or subreaper, where it
    /// inherits orphans. What is not known is reaped and forgotten.
    All,
    /// Only known children: for a library in somebody else's program, which waits for its own.
    Known,
}

/// How many strangers one sweep reaps at most.
const MAX_UNKNOWN_CHILDREN: usize = 10_000;

/// What `waitid` tells.
enum Waited {
    Ended(i32, Exit),
    NothingEnded,
    /// There is no such child, or it can't be waited for.
    NoChild,
}

/// Asks `waitid`; `None`: nothing has ended (or there is no such child).
fn wait(kind: libc::idtype_t, id: u32, flags: i32) -> Option<(i32, Exit)> {
    match ask_ended(kind, id, flags) {
        Waited::Ended(pid, exit) => Some((pid, exit)),
        Waited::NothingEnded | Waited::NoChild => None,
    }
}

fn ask_ended(kind: libc::idtype_t, id: u32, flags: i32) -> Waited {
    loop {
        let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
        // SAFETY: info is writable and of the right size.
        let result = unsafe { libc::waitid(kind, id, info.as_mut_ptr(), libc::WEXITED | libc::WNOHANG | flags) };
        if result != 0 {
            if super::errno() == libc::EINTR {
                continue;
            }
            return Waited::NoChild;
        }
        // SAFETY: zeroed before, filled by the kernel or left as it was; si_pid and si_status are
        // the fields that waitid fills.
        let (info, pid, status) = unsafe {
            let info = info.assume_init();
            (info, info.si_pid(), info.si_status())
        };
        if pid == 0 {
            return Waited::NothingEnded;
        }
        // si_status holds the code or the signal itself, whatever its number (real-time ones too).
        let number = u8::try_from(status & 0xff).unwrap_or(0);
        let exit = if info.si_code == libc::CLD_EXITED { Exit::Code(number) } else { Exit::Signal(number & 0x7f) };
        return Waited::Ended(pid, exit);
    }
}

/// Reaps one child if it has ended.
pub fn reap(pid: i32) -> Option<Exit> {
    wait(libc::P_PID, u32::try_from(pid).ok()?, 0).map(|(_, exit)| exit)
}

/// Reaps a child that ends at once, unless that was done.
pub(super) fn reap_by_pidfd(pidfd: BorrowedFd<'_>) {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let id = pidfd.as_raw_fd().unsigned_abs();
    // SAFETY: info is writable and of the right size; the descriptor is open.
    while unsafe { libc::waitid(libc::P_PIDFD, id, info.as_mut_ptr(), libc::WEXITED) } != 0 {
        if super::errno() != libc::EINTR {
            return;
        }
    }
}

/// A child that has ended, whichever it is, without reaping it: until that is done its pid and the id of its
/// group are nobody else's.
pub fn peek() -> Option<(i32, Exit)> {
    wait(libc::P_ALL, 0, libc::WNOWAIT)
}

/// The signal that has stopped this child since the last time it was asked for.
pub fn stopped(pid: i32) -> Option<u8> {
    stopped_by(pid, 0)
}

/// The signal that this child is stopped by now, however often it was asked for: one system call.
pub fn stopped_now(pid: i32) -> Option<u8> {
    stopped_by(pid, libc::WNOWAIT)
}

/// Whether any child is stopped by a signal: one system call in place of one for each.
pub fn any_stopped() -> bool {
    ask_stopped(libc::P_ALL, 0, libc::WNOWAIT).is_some()
}

fn stopped_by(pid: i32, flags: i32) -> Option<u8> {
    let (found, signal) = ask_stopped(libc::P_PID, u32::try_from(pid).ok()?, flags)?;
    if found == pid { u8::try_from(signal).ok() } else { None }
}

/// A child that is stopped, and the signal that has stopped it.
fn ask_stopped(kind: libc::idtype_t, id: u32, flags: i32) -> Option<(i32, i32)> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    // SAFETY: info is writable and of the right size.
    let result = unsafe { libc::waitid(kind, id, info.as_mut_ptr(), libc::WSTOPPED | libc::WNOHANG | flags) };
    // SAFETY: zeroed before, and filled by the kernel or left as it was.
    let (found, signal) = unsafe {
        let info = info.assume_init();
        (info.si_pid(), info.si_status())
    };
    (result == 0 && found != 0).then_some((found, signal))
}

/// What a sweep has found.
#[derive(Debug, Default)]
pub struct Swept {
    /// The exits of known children.
    pub exits: Vec<(i32, Exit)>,
    /// No child is left, neither a known one nor a stranger.
    pub is_childless: bool,
    /// The strangers that were reaped: their numbers are free.
    pub strangers: Vec<i32>,
}

/// Reaps this child if it is `known` and has ended: by its pid, for which the kernel need not look at all others, as it
/// does in a [`sweep`]. `before_reaping` as there.
pub fn reap_known<T, S: BuildHasher>(
    pid: i32,
    known: &HashMap<i32, T, S>,
    before_reaping: impl FnOnce(&T),
) -> Option<(i32, Exit)> {
    let owner = known.get(&pid)?;
    wait(libc::P_PID, u32::try_from(pid).ok()?, libc::WNOWAIT)?;
    before_reaping(owner);
    Some((pid, reap(pid)?))
}

/// Reaps what has ended and returns the exits of the `known` children, keyed by pid. At most as many
/// as are known; strangers are treated as `scope` says.
///
/// `before_reaping` is called for each known child that has ended, while its pid is still its own.
///
/// With [`ReapScope::Known`] one unreaped stranger hides those behind it from a look at "any child", so that
/// then each known child is asked: one system call each, in that sweep only. The same is done after ten thousand
/// strangers in one sweep, so that a storm of orphans can't hold up the caller; the rest of them waits for the
/// next SIGCHLD.
pub fn sweep<T, S: BuildHasher>(
    scope: ReapScope,
    known: &HashMap<i32, T, S>,
    mut before_reaping: impl FnMut(&T),
) -> Swept {
    let (mut exits, mut strangers) = (Vec::new(), Vec::new());
    loop {
        let pid = match ask_ended(libc::P_ALL, 0, libc::WNOWAIT) {
            Waited::Ended(pid, _) => pid,
            Waited::NothingEnded => return Swept { exits, is_childless: false, strangers },
            Waited::NoChild => return Swept { exits, is_childless: true, strangers },
        };
        let owner = known.get(&pid);
        let ours = owner.is_some();
        if !ours && (scope == ReapScope::Known || strangers.len() >= MAX_UNKNOWN_CHILDREN) {
            exits.extend(known.keys().filter_map(|pid| reap_known(*pid, known, &mut before_reaping)));
            return Swept { exits, is_childless: false, strangers };
        }
        if let Some(owner) = owner {
            before_reaping(owner);
        }
        match reap(pid) {
            Some(exit) if ours => exits.push((pid, exit)),
            Some(_) => strangers.push(pid),
            // Somebody else took it between the look and the reaping.
            None => continue,
        }
    }
}

/// Whether what outlives its parent, among our descendants, becomes our child.
pub fn inherits_orphans() -> bool {
    let mut is_subreaper: libc::c_int = 0;
    // SAFETY: the kernel writes one int.
    let answer = unsafe { libc::prctl(libc::PR_GET_CHILD_SUBREAPER, &raw mut is_subreaper, 0, 0, 0) };
    std::process::id() == 1 || (answer == 0 && is_subreaper != 0)
}

/// Whether this process has no child at all, not even one that has ended and was not reaped.
pub(super) fn has_no_child() -> bool {
    !has_child(libc::P_ALL, 0)
}

/// Whether any child, also one that has ended and was not reaped, is in this process group.
pub fn has_child_in(group: i32) -> bool {
    u32::try_from(group).is_ok_and(|group| has_child(libc::P_PGID, group))
}

fn has_child(kind: libc::idtype_t, id: u32) -> bool {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: info is writable and of the right size; nothing is reaped.
    let result = unsafe { libc::waitid(kind, id, info.as_mut_ptr(), flags) };
    result == 0 || super::errno() != libc::ECHILD
}

/// Makes this process inherit the orphans among its descendants, as PID 1 does.
///
/// # Errors
///
/// Kernels before 3.4.
pub fn set_subreaper() -> io::Result<()> {
    // SAFETY: plain numbers.
    if unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1 as libc::c_ulong, 0, 0, 0) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests;
