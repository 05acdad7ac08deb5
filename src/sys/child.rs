//! What happens in the child between `clone` and `exec`.
//!
//! The child shares the daemon's memory (`CLONE_VM`) while the thread that made it is suspended
//! (`CLONE_VFORK`); the daemon's other threads go on. So in here:
//!
//! - nothing is allocated, freed or locked, and nothing can panic: everything was prepared before;
//! - only raw system calls are made. The C library's `setuid`, `setgid` and `setgroups` would send
//!   signals to the *daemon's* threads to change them too. `libc::syscall` itself writes nothing but
//!   `errno`, which belongs to the suspended thread, and that thread doesn't look at it;
//! - a failure is told through memory, not through a close-on-exec pipe: the parent reads it after the
//!   kernel has resumed it, which is when the child has executed its program or ended. That is as
//!   truthful as a pipe, needs no descriptor that could run out, and cannot be inherited.

use std::ffi::{c_char, c_int, c_long, c_ulong, c_void};
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use super::limits::{Limit, NOFILE};
use crate::process::SpawnStage;

#[cfg(any(target_arch = "arm", target_arch = "x86"))]
mod ids {
    pub use libc::{SYS_setgroups32 as SETGROUPS, SYS_setresgid32 as SETRESGID, SYS_setresuid32 as SETRESUID};
}
#[cfg(not(any(target_arch = "arm", target_arch = "x86")))]
mod ids {
    pub use libc::{SYS_setgroups as SETGROUPS, SYS_setresgid as SETRESGID, SYS_setresuid as SETRESUID};
}

/// The kernel's signal set has 64 bits on every architecture that we build for.
pub(super) const SIGSET_SIZE: usize = 8;
const LAST_SIGNAL: c_int = 64;
const CLOSE_RANGE_UNSHARE: u32 = 1 << 1;

/// The user to become.
pub(super) struct Ids<'a> {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) groups: &'a [u32],
}

/// The digits of a stamp; leading ones are 0.
pub(super) const STAMP_DIGITS: usize = 10;

/// How the descriptors above 2 are closed.
pub(super) enum CloseRest<'a> {
    /// The table of descriptors is the daemon's own, shared (CLONE_FILES). One `close_range` makes a copy that
    /// ends with this descriptor, so that the cost does not grow with the number that the daemon holds.
    Unshare(c_int),
    /// One by one: those that were open in the daemon just before (kernels before 5.9).
    List(&'a [c_int]),
}

/// Everything that the child needs, made ready by the parent.
pub(super) struct Plan<'a> {
    /// For 0, 1 and 2; each at least 3, so that no `dup3` overwrites a later source.
    pub(super) stdio: [c_int; 3],
    pub(super) close: CloseRest<'a>,
    pub(super) nofile: Option<Limit>,
    pub(super) ids: Option<Ids<'a>>,
    /// Null: stay in the daemon's.
    pub(super) directory: *const c_char,
    pub(super) umask: Option<u32>,
    /// The daemon's pid, if the child is to die with it.
    pub(super) die_with: Option<c_int>,
    /// Paths to try in this order; ends with null.
    pub(super) candidates: *const *const c_char,
    pub(super) argv: *const *const c_char,
    pub(super) envp: *const *const c_char,
    /// Where the child writes its own pid, as [`STAMP_DIGITS`] digits: in its environment. Null: nowhere.
    pub(super) stamp: *mut u8,
    pub(super) failure: Failure,
}

/// Where the child leaves word of what went wrong.
pub(super) struct Failure {
    /// 0: nothing. Else the [`SpawnStage`], see [`STAGES`].
    stage: AtomicI32,
    errno: AtomicI32,
    candidate: AtomicUsize,
}

const STAGES: [SpawnStage; 7] = [
    SpawnStage::Session,
    SpawnStage::Stdio,
    SpawnStage::Limits,
    SpawnStage::Credentials,
    SpawnStage::ParentDeath,
    SpawnStage::Directory,
    SpawnStage::Exec,
];
const SESSION: c_int = 1;
const STDIO: c_int = 2;
const LIMITS: c_int = 3;
const CREDENTIALS: c_int = 4;
const PARENT_DEATH: c_int = 5;
const DIRECTORY: c_int = 6;
const EXEC: c_int = 7;

impl Failure {
    pub(super) const fn none() -> Failure {
        Failure { stage: AtomicI32::new(0), errno: AtomicI32::new(0), candidate: AtomicUsize::new(0) }
    }

    /// The step, the error number and the index of the candidate that decided, if the child has failed.
    pub(super) fn get(&self) -> Option<(SpawnStage, i32, usize)> {
        let index = usize::try_from(self.stage.load(Ordering::Relaxed)).ok()?.checked_sub(1)?;
        let stage = STAGES.get(index).copied()?;
        Some((stage, self.errno.load(Ordering::Relaxed), self.candidate.load(Ordering::Relaxed)))
    }

    fn set(&self, stage: c_int, errno: c_int, candidate: usize) {
        self.errno.store(errno, Ordering::Relaxed);
        self.candidate.store(candidate, Ordering::Relaxed);
        self.stage.store(stage, Ordering::Relaxed);
    }
}

/// A system call failed in this step.
struct Failed {
    stage: c_int,
    errno: c_int,
    candidate: usize,
}

/// Entry point of the child for `clone`.
pub(super) extern "C" fn main(plan: *mut c_void) -> c_int {
    // SAFETY: the parent passes a Plan and is suspended until this process has executed or ended.
    let plan = unsafe { &*plan.cast::<Plan<'_>>() };
    let Failed { stage, errno, candidate } = match become_program(plan) {
        Ok(never) => match never {},
        Err(failed) => failed,
    };
    plan.failure.set(stage, errno, candidate);
    // SAFETY: ends this process without touching what belongs to the daemon (atexit handlers, buffers).
    unsafe { libc::syscall(libc::SYS_exit_group, 127 as c_long) };
    127
}

enum Never {}

/// The order matters: limits and signals need no privilege, the directory is entered with the rights of
/// the user, the parent-death signal is cleared by a change of user, and the mask stays full until
/// nothing of the daemon can run here any more.
fn become_program(plan: &Plan<'_>) -> Result<Never, Failed> {
    // SAFETY: setsid has no arguments; it returns the new session's id.
    let pid = unsafe { libc::syscall(libc::SYS_setsid) };
    check(SESSION, pid)?;
    stamp(plan.stamp, pid);
    if let CloseRest::Unshare(last) = plan.close {
        let (first, flags) = (last.wrapping_add(1), CLOSE_RANGE_UNSHARE);
        // SAFETY: plain numbers; the daemon's table stays as it is.
        check(STDIO, unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, flags) })?;
    }
    standard_streams(plan)?;
    close_rest(&plan.close);
    if let Some(limit) = &plan.nofile {
        let none = std::ptr::null_mut::<Limit>();
        // SAFETY: limit has the kernel's layout; the old value is not asked for.
        check(LIMITS, unsafe { libc::syscall(libc::SYS_prlimit64, 0, NOFILE, std::ptr::from_ref(limit), none) })?;
    }
    default_dispositions();
    if let Some(ids) = &plan.ids {
        take_on(ids)?;
    }
    if !plan.directory.is_null() {
        // SAFETY: a string that ends with NUL, kept alive by the parent.
        check(DIRECTORY, unsafe { libc::syscall(libc::SYS_chdir, plan.directory) })?;
    }
    if let Some(mask) = plan.umask {
        // SAFETY: umask changes this process alone (no CLONE_FS).
        unsafe { libc::syscall(libc::SYS_umask, mask) };
    }
    if let Some(parent) = plan.die_with {
        die_with(parent)?;
    }
    let empty: u64 = 0;
    let none = std::ptr::null_mut::<u64>();
    // SAFETY: the set has the size that is said.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const empty, none, SIGSET_SIZE) };
    Err(execute(plan))
}

/// The id of the new session is the pid, as this process and its relatives see it.
fn stamp(digits: *mut u8, pid: c_long) {
    if digits.is_null() {
        return;
    }
    let mut rest = pid;
    for place in (0..STAMP_DIGITS).rev() {
        // rest % 10 lies between 0 and 9.
        let digit = b'0'.wrapping_add((rest % 10) as u8);
        rest /= 10;
        // SAFETY: the parent gives room for that many digits, which nobody else reads or writes before exec.
        unsafe { digits.wrapping_add(place).write_volatile(digit) };
    }
}

fn check(stage: c_int, result: c_long) -> Result<(), Failed> {
    if result < 0 { Err(Failed { stage, errno: last_errno(), candidate: 0 }) } else { Ok(()) }
}

/// `errno` of the suspended thread, which the system call has just written.
fn last_errno() -> c_int {
    super::errno()
}

fn standard_streams(plan: &Plan<'_>) -> Result<(), Failed> {
    let [input, output, error] = plan.stdio;
    for (source, target) in [(input, 0), (output, 1), (error, 2)] {
        // SAFETY: plain numbers; the copy has no close-on-exec flag.
        check(STDIO, unsafe { libc::syscall(libc::SYS_dup3, source, target as c_int, 0 as c_int) })?;
    }
    Ok(())
}

/// Can't fail in a way that matters: our own descriptors are close-on-exec as well.
fn close_rest(close: &CloseRest<'_>) {
    match close {
        CloseRest::Unshare(last) => {
            // SAFETY: by now this process has its own table of descriptors.
            unsafe { libc::syscall(libc::SYS_close_range, 3 as c_int, *last, 0u32) };
        }
        CloseRest::List(open) => {
            for fd in *open {
                // SAFETY: as above.
                unsafe { libc::syscall(libc::SYS_close, *fd) };
            }
        }
    }
}

/// Handlers would vanish by exec, ignored signals would not; and as long as handlers of the daemon are
/// in place, a signal must not be let in. This table of handlers is the child's own (no CLONE_SIGHAND).
fn default_dispositions() {
    // All zero is SIG_DFL, no flags, an empty mask, whatever the order of the fields on this architecture.
    let default = [0u64; 8];
    let none = std::ptr::null_mut::<u64>();
    for signal in 1..=LAST_SIGNAL {
        // KILL and STOP are refused, which is as it should be.
        // SAFETY: larger than the kernel's struct sigaction everywhere.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), none, SIGSET_SIZE) };
    }
}

fn take_on(ids: &Ids<'_>) -> Result<(), Failed> {
    // SAFETY: count and array belong together.
    check(CREDENTIALS, unsafe { libc::syscall(ids::SETGROUPS, ids.groups.len(), ids.groups.as_ptr()) })?;
    // SAFETY: plain numbers; real, effective and saved ids at once, of this process alone.
    check(CREDENTIALS, unsafe { libc::syscall(ids::SETRESGID, ids.gid, ids.gid, ids.gid) })?;
    // SAFETY: as above.
    check(CREDENTIALS, unsafe { libc::syscall(ids::SETRESUID, ids.uid, ids.uid, ids.uid) })
}

/// If the daemon has died before the prctl, no signal would ever come.
fn die_with(parent: c_int) -> Result<(), Failed> {
    let kill = libc::SIGKILL as c_ulong;
    // SAFETY: plain numbers.
    check(PARENT_DEATH, unsafe { libc::syscall(libc::SYS_prctl, libc::PR_SET_PDEATHSIG, kill, 0, 0, 0) })?;
    // SAFETY: no arguments.
    if unsafe { libc::syscall(libc::SYS_getppid) } != c_long::from(parent) {
        return Err(Failed { stage: PARENT_DEATH, errno: libc::ESRCH, candidate: 0 });
    }
    Ok(())
}

/// Tries the candidates as `execvp` does: a missing one leads to the next, a forbidden one is
/// remembered, anything else decides.
fn execute(plan: &Plan<'_>) -> Failed {
    let mut answer = Failed { stage: EXEC, errno: libc::ENOENT, candidate: 0 };
    let mut index = 0;
    loop {
        // SAFETY: the list ends with null, which is where we stop.
        let path = unsafe { *plan.candidates.wrapping_add(index) };
        if path.is_null() {
            return answer;
        }
        // SAFETY: a path and two lists that end with null, all kept alive by the parent.
        unsafe { libc::syscall(libc::SYS_execve, path, plan.argv, plan.envp) };
        match last_errno() {
            libc::ENOENT | libc::ENOTDIR | libc::ESTALE | libc::ENODEV | libc::ETIMEDOUT => {}
            libc::EACCES => {
                if answer.errno != libc::EACCES {
                    answer = Failed { stage: EXEC, errno: libc::EACCES, candidate: index };
                }
            }
            errno => return Failed { stage: EXEC, errno, candidate: index },
        }
        index = index.wrapping_add(1);
    }
}
