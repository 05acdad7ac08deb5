//! The steps of a child that bound what it may use and do. The rules of [`child`](super) apply.

use std::ffi::c_ulong;

use super::{AFFINITY, CAPABILITIES, CHROOT, IO_PRIORITY, NICE, NO_NEW_PRIVS, OOM_SCORE, SCHEDULER};
use super::{Failed, address, call, check, number};
use crate::sys::confine::Confined;

const OOM_SCORE_ADJ: &std::ffi::CStr = c"/proc/self/oom_score_adj";
const ROOT: &std::ffi::CStr = c"/";
/// `ioprio_set` is about one process.
const IOPRIO_WHO_PROCESS: usize = 1;
/// Capabilities have numbers below this.
const MAX_CAPABILITIES: u32 = 64;
/// `_LINUX_CAPABILITY_VERSION_3`.
const CAPABILITY_VERSION: u32 = 0x2008_0522;

/// What needs the daemon's rights.
pub(super) fn before_user(confined: &Confined) -> Result<(), Failed> {
    if let Some(score) = &confined.oom_score_adj {
        check(OOM_SCORE, write_oom_score(score))?;
    }
    if let Some(nice) = confined.nice {
        check(NICE, call(libc::SYS_setpriority, [libc::PRIO_PROCESS as usize, 0, number(nice), 0, 0]))?;
    }
    if let Some(priority) = confined.io_priority {
        check(IO_PRIORITY, call(libc::SYS_ioprio_set, [IOPRIO_WHO_PROCESS, 0, priority, 0, 0]))?;
    }
    if !confined.cpus.is_empty() {
        let bytes = confined.cpus.len().wrapping_mul(size_of::<c_ulong>());
        check(AFFINITY, call(libc::SYS_sched_setaffinity, [0, bytes, confined.cpus.as_ptr().addr(), 0, 0]))?;
    }
    if let Some((policy, priority)) = &confined.scheduler {
        // The kernel's struct is the priority alone.
        check(SCHEDULER, call(libc::SYS_sched_setscheduler, [0, number(*policy), address(priority), 0, 0]))?;
    }
    if let Some(root) = &confined.chroot {
        check(CHROOT, call(libc::SYS_chroot, [root.as_ptr().addr(), 0, 0, 0, 0]))?;
        // The daemon's working directory is outside.
        check(CHROOT, call(libc::SYS_chdir, [ROOT.as_ptr().addr(), 0, 0, 0, 0]))?;
    }
    if let Some(kept) = confined.capabilities {
        // While the right to do so is still there. A change of user takes the rest unless it is told not to.
        drop_from_bounding_set(kept)?;
        check(CAPABILITIES, prctl(libc::PR_SET_KEEPCAPS, 1, 0))?;
    }
    Ok(())
}

/// What a change of user would undo.
pub(super) fn after_user(confined: &Confined) -> Result<(), Failed> {
    let Some(kept) = confined.capabilities else { return Ok(()) };
    let header = [CAPABILITY_VERSION, 0];
    let (low, high) = (kept as u32, (kept >> 32) as u32);
    // Effective, permitted and inheritable, the lower halves first.
    let sets = [low, low, low, high, high, high];
    check(CAPABILITIES, call(libc::SYS_capset, [address(&header), address(&sets), 0, 0, 0]))?;
    for capability in (0..MAX_CAPABILITIES).filter(|number| kept >> number & 1 == 1) {
        // Of a user who is not root only what is ambient survives exec.
        let raise = libc::PR_CAP_AMBIENT_RAISE as usize;
        check(CAPABILITIES, prctl(libc::PR_CAP_AMBIENT, raise, capability as usize))?;
    }
    Ok(())
}

/// The last of all: from here on exec gives no rights.
pub(super) fn before_exec(confined: &Confined) -> Result<(), Failed> {
    if confined.no_new_privs {
        check(NO_NEW_PRIVS, prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0))?;
    }
    Ok(())
}

fn prctl(option: i32, value: usize, other: usize) -> Result<usize, i32> {
    call(libc::SYS_prctl, [number(option), value, other, 0, 0])
}

/// The kernel gives the score to all that share this process's memory, the daemon too, unless its parent is suspended
/// until it executes: see [`proxy`](super::proxy).
fn write_oom_score(score: &[u8]) -> Result<usize, i32> {
    let flags = number(libc::O_WRONLY | libc::O_CLOEXEC);
    let file = call(libc::SYS_openat, [number(libc::AT_FDCWD), OOM_SCORE_ADJ.as_ptr().addr(), flags, 0, 0])?;
    let written = call(libc::SYS_write, [file, score.as_ptr().addr(), score.len(), 0, 0]);
    let _ = call(libc::SYS_close, [file, 0, 0, 0, 0]);
    written
}

fn drop_from_bounding_set(kept: u64) -> Result<(), Failed> {
    for capability in (0..MAX_CAPABILITIES).filter(|number| kept >> number & 1 == 0) {
        match prctl(libc::PR_CAPBSET_READ, capability as usize, 0) {
            Ok(1) => check(CAPABILITIES, prctl(libc::PR_CAPBSET_DROP, capability as usize, 0))?,
            Ok(_) => {}
            // The kernel knows no further ones.
            Err(_) => return Ok(()),
        }
    }
    Ok(())
}
