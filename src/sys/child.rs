//! What happens in the child between `clone` and `exec`, in this order:
//!
//! 1. a session of its own; its pid is written into the env tag;
//! 2. the command name of a child that has not executed yet;
//! 3. the descriptors of its list, and no others; where they are a terminal, that becomes the terminal of its session;
//! 4. resource limits, and what else takes the daemon's rights: the OOM score, the nice value, the share of the disks, the
//!    processors, the scheduler, the root directory, the bounding set of capabilities;
//! 5. default dispositions of all signals;
//! 6. groups and user, then the capabilities, which a change of user would take away;
//! 7. the working directory, with the user's rights (this, and the root directory, may have to wait for a disk);
//! 8. standard input from a file, if that is asked for, by the same rights and from there;
//! 9. the umask;
//! 10. the parent-death signal, which a change of user would clear, and the check that the parent still lives;
//! 11. an empty signal mask, now that no handler of the daemon can run here;
//! 12. `no_new_privs`, and exec.
//!
//! The child shares the daemon's memory (`CLONE_VM`), and everything in the daemon goes on meanwhile: the thread that
//! made it waits for a bounded time only. So in here:
//!
//! - nothing is allocated, freed or locked, and nothing can panic: everything was prepared before, and stays where it is
//!   until the child is done (see [`prepared`](super::prepared));
//! - only raw system calls are made. The C library's `setuid`, `setgid` and `setgroups` would send
//!   signals to the *daemon's* threads to change them too, and its `errno` would be that of the thread that made the child;
//! - a failure is reported through memory, not through a close-on-exec pipe: the parent reads it after the
//!   kernel has said that the child has executed its program or ended. That is as
//!   reliable as a pipe, needs no descriptor that could run out, and cannot be inherited.

use std::ffi::{c_char, c_int, c_long, c_void};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::confine::Confined;
use super::fd_moves::FdMove;
use super::limits::Rlimit;
use super::raw;
use crate::process::SpawnStage;

mod confine;

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
const LAST_SIGNAL: usize = 64;
const CLOSE_RANGE_UNSHARE: usize = 1 << 1;

/// The command name of a child that has not executed its program yet.
pub(super) const PRE_EXEC_NAME: &std::ffi::CStr = c"supervice:exec";

/// The user to become.
pub(super) struct Ids {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) groups: *const u32,
    pub(super) groups_count: usize,
}

/// The digits of the pid in an env tag; leading ones are 0.
pub(super) const ENV_TAG_DIGITS: usize = 10;

/// How the descriptors that are no target are closed.
pub(super) enum CloseRest {
    /// The table of descriptors is the daemon's own, shared (CLONE_FILES). One `close_range` makes a copy that
    /// ends with `last`, the highest source, so that the cost does not grow with the number that the daemon holds. In
    /// that copy these ranges are closed.
    Unshare { last: c_int, gaps: *const (c_int, c_int), count: usize },
    /// One by one: those that were open in the daemon just before (kernels before 5.9).
    List { open: *const c_int, count: usize },
}

/// Everything that the child needs, made ready by the parent. What it points to lives in
/// [`super::prepared::PreparedExec`].
pub(super) struct Plan {
    /// In an order in which no step overwrites a source that is still needed.
    pub(super) moves: *const FdMove,
    pub(super) moves_count: usize,
    pub(super) close: CloseRest,
    pub(super) rlimits: *const Rlimit,
    pub(super) rlimits_count: usize,
    /// Null: it may what the daemon may.
    pub(super) confined: *const Confined,
    pub(super) ids: Option<Ids>,
    /// Null: stay in the daemon's.
    pub(super) directory: *const c_char,
    /// The file that takes the place of standard input; null: none.
    pub(super) stdin_file: *const c_char,
    pub(super) umask: Option<u32>,
    /// Its standard streams are a terminal, which is to be that of its session.
    #[cfg(feature = "attach")]
    pub(super) has_terminal: bool,
    /// The daemon's pid.
    pub(super) parent: c_int,
    /// The child dies with the thread that has made it.
    pub(super) die_with_parent: bool,
    /// Paths to try in this order; ends with null.
    pub(super) candidates: *const *const c_char,
    pub(super) argv: *mut *const c_char,
    /// The child puts the path that it tries in the first place of `argv`.
    pub(super) argv_0_is_path: bool,
    pub(super) envp: *const *const c_char,
    /// Where the child writes its own pid, as [`ENV_TAG_DIGITS`] digits: in its environment. Null: nowhere.
    pub(super) env_tag: *mut u8,
    /// Where the child is made by a [`proxy`].
    pub(super) proxied: Option<Proxied>,
    /// Where it writes its own pid as anybody would, with the end of a text behind it. Null: nowhere.
    pub(super) own_pid: *mut u8,
    pub(super) failure: Failure,
    pub(super) progress: Progress,
}

impl Plan {
    fn confined(&self) -> Option<&Confined> {
        // SAFETY: null, or what the owner of this plan keeps where it is.
        unsafe { self.confined.as_ref() }
    }
}

/// What a [`proxy`] needs.
pub(super) struct Proxied {
    /// The upper end of the child's stack.
    stack: *mut c_void,
    flags: c_int,
    /// The child; 0: not made yet.
    pub(super) pid: AtomicI32,
}

impl Proxied {
    /// With this stack for the child, and the daemon's descriptors or a copy of them.
    pub(super) fn new(stack: *mut c_void, shares_fds: bool) -> Proxied {
        let share = if shares_fds { libc::CLONE_FILES } else { 0 };
        let words = libc::CLONE_PARENT_SETTID | libc::CLONE_CHILD_CLEARTID;
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PARENT | libc::SIGCHLD | words | share;
        Proxied { stack, flags, pid: AtomicI32::new(0) }
    }
}

/// How far the child has come.
pub(super) struct Progress {
    /// Cleared by the kernel when the child no longer uses our memory: it has executed its program, or ended
    /// (`CLONE_CHILD_CLEARTID`).
    pub(super) uses_memory: AtomicU32,
    /// The same of the [`proxy`] that has made it.
    pub(super) proxy_uses_memory: AtomicU32,
    /// The child has its descriptors, in a table of its own.
    has_fds: AtomicBool,
}

impl Progress {
    pub(super) const fn new(has_proxy: bool) -> Progress {
        Progress {
            uses_memory: AtomicU32::new(1),
            proxy_uses_memory: AtomicU32::new(if has_proxy { 1 } else { 0 }),
            has_fds: AtomicBool::new(false),
        }
    }

    pub(super) fn is_done(&self) -> bool {
        [&self.uses_memory, &self.proxy_uses_memory].iter().all(|word| word.load(Ordering::Acquire) == 0)
    }

    pub(super) fn has_fds(&self) -> bool {
        self.has_fds.load(Ordering::Acquire)
    }

    /// Waits until the child is done; `false`: it was not within `limit`.
    pub(super) fn wait(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while !self.is_done() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let left = libc::timespec {
                tv_sec: left.as_secs().try_into().unwrap_or(i32::MAX.into()),
                tv_nsec: left.subsec_nanos() as _,
            };
            let is_own = self.uses_memory.load(Ordering::Acquire) != 0;
            let word = if is_own { &self.uses_memory } else { &self.proxy_uses_memory };
            // The kernel wakes without FUTEX_PRIVATE_FLAG.
            // SAFETY: the word and the time-out live until the call returns, whose result the loop looks at itself.
            unsafe {
                libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, 1, &raw const left);
            }
        }
        true
    }
}

/// What went wrong in the child.
pub(super) struct Failure {
    /// 0: nothing. Else the [`SpawnStage`], see [`STAGES`].
    stage: AtomicI32,
    errno: AtomicI32,
    candidate: AtomicUsize,
}

const STAGES: [SpawnStage; 18] = [
    SpawnStage::Session,
    SpawnStage::Stdio,
    SpawnStage::Limits,
    SpawnStage::Credentials,
    SpawnStage::ParentDeath,
    SpawnStage::Directory,
    SpawnStage::Exec,
    SpawnStage::Stdin,
    SpawnStage::OomScore,
    SpawnStage::Nice,
    SpawnStage::IoPriority,
    SpawnStage::Affinity,
    SpawnStage::Scheduler,
    SpawnStage::Chroot,
    SpawnStage::Capabilities,
    SpawnStage::NoNewPrivs,
    SpawnStage::Fork,
    SpawnStage::Terminal,
];
const SESSION: c_int = 1;
const STDIO: c_int = 2;
const LIMITS: c_int = 3;
const CREDENTIALS: c_int = 4;
const PARENT_DEATH: c_int = 5;
const DIRECTORY: c_int = 6;
const EXEC: c_int = 7;
const STDIN: c_int = 8;
const OOM_SCORE: c_int = 9;
const NICE: c_int = 10;
const IO_PRIORITY: c_int = 11;
const AFFINITY: c_int = 12;
const SCHEDULER: c_int = 13;
const CHROOT: c_int = 14;
const CAPABILITIES: c_int = 15;
const NO_NEW_PRIVS: c_int = 16;
const FORK: c_int = 17;
#[cfg(feature = "attach")]
const TERMINAL: c_int = 18;

impl Failure {
    pub(super) const fn none() -> Failure {
        Failure { stage: AtomicI32::new(0), errno: AtomicI32::new(0), candidate: AtomicUsize::new(0) }
    }

    /// The step, the error number and the index of the candidate (or limit) that decided, if the child has failed.
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
    // SAFETY: the parent passes a Plan and keeps it until this process has executed or ended.
    let plan = unsafe { &*plan.cast::<Plan>() };
    let Failed { stage, errno, candidate } = match become_program(plan) {
        Ok(never) => match never {},
        Err(failed) => failed,
    };
    plan.failure.set(stage, errno, candidate);
    // As a shell says it. Seen only where the spawn has not waited for it.
    let code = if stage == EXEC && errno != libc::ENOENT { 126 } else { 127 };
    // SAFETY: ends this process without touching what belongs to the daemon (atexit handlers, buffers).
    let _ = unsafe { raw::call(libc::SYS_exit_group, [code, 0, 0, 0, 0]) };
    127
}

/// Entry point of a process that makes the child, is suspended until that has executed its program or has failed, and
/// ends.
///
/// What a child writes into its `oom_score_adj` the kernel writes into that of every process that shares its memory,
/// the daemon too, unless the child's parent-by-clone is suspended (`CLONE_VFORK`). The daemon must not be: a disk may
/// not answer. So this one is in its place. The child is the daemon's own (`CLONE_PARENT`), and the signals stay
/// blocked in here.
pub(super) extern "C" fn proxy(argument: *mut c_void) -> c_int {
    // SAFETY: the parent passes a Plan and keeps it until this process has ended.
    let plan = unsafe { &*argument.cast::<Plan>() };
    let _ = call(libc::SYS_prctl, [number(libc::PR_SET_NAME), PRE_EXEC_NAME.as_ptr().addr(), 0, 0, 0]);
    if let Some(proxied) = &plan.proxied {
        let (pid, word) = (proxied.pid.as_ptr(), plan.progress.uses_memory.as_ptr());
        let no_tls = std::ptr::null_mut::<c_void>();
        // SAFETY: the stack is the child's alone, and both words live as long as the plan. Only where it fails, which
        // is before there is a child, does the C library write into the `errno` of the thread that made this process,
        // which waits and looks at none.
        let cloned = unsafe { libc::clone(main, proxied.stack, proxied.flags, argument, pid, no_tls, word) };
        if cloned < 0 {
            plan.failure.set(FORK, super::errno(), 0);
            plan.progress.uses_memory.store(0, Ordering::Release);
        }
    }
    // SAFETY: as in `main`.
    let _ = unsafe { raw::call(libc::SYS_exit_group, [0; 5]) };
    0
}

enum Never {}

/// The steps of the list at the head of this file.
fn become_program(plan: &Plan) -> Result<Never, Failed> {
    let session = call(libc::SYS_setsid, [0; 5]);
    write_env_tag(plan.env_tag, session.unwrap_or(0));
    write_own_pid(plan.own_pid, session.unwrap_or(0));
    check(SESSION, session)?;
    // Before the daemon's locks are released: whoever takes them finds no child of a dead daemon without this name.
    let _ = call(libc::SYS_prctl, [number(libc::PR_SET_NAME), PRE_EXEC_NAME.as_ptr().addr(), 0, 0, 0]);
    if let CloseRest::Unshare { last, .. } = plan.close {
        let first = number(last).wrapping_add(1);
        // The daemon's table stays as it is.
        check(STDIO, call(libc::SYS_close_range, [first, LAST_DESCRIPTOR, CLOSE_RANGE_UNSHARE, 0, 0]))?;
    }
    place_fds(plan)?;
    close_rest(&plan.close);
    #[cfg(feature = "attach")]
    if plan.has_terminal {
        // The leader of a new session has none yet: the keys that make signals reach its foreground from now on.
        check(TERMINAL, call(libc::SYS_ioctl, [0, libc::TIOCSCTTY as usize, 0, 0, 0]))?;
    }
    plan.progress.has_fds.store(true, Ordering::Release);
    set_rlimits(plan)?;
    if let Some(confined) = plan.confined() {
        confine::before_user(confined)?;
    }
    default_dispositions();
    if let Some(ids) = &plan.ids {
        set_ids(ids)?;
    }
    if let Some(confined) = plan.confined() {
        confine::after_user(confined)?;
    }
    if !plan.directory.is_null() {
        check(DIRECTORY, call(libc::SYS_chdir, [plan.directory.addr(), 0, 0, 0, 0]))?;
    }
    open_stdin(plan.stdin_file)?;
    if let Some(mask) = plan.umask {
        // Changes this process alone (no CLONE_FS).
        let _ = call(libc::SYS_umask, [mask as usize, 0, 0, 0, 0]);
    }
    if plan.die_with_parent {
        let kill = number(libc::SIGKILL);
        check(PARENT_DEATH, call(libc::SYS_prctl, [number(libc::PR_SET_PDEATHSIG), kill, 0, 0, 0]))?;
    }
    // If the daemon died before the prctl, no signal would ever come. Nor may a program begin that the next
    // daemon does not know of.
    if call(libc::SYS_getppid, [0; 5]) != Ok(number(plan.parent)) {
        return Err(Failed { stage: PARENT_DEATH, errno: libc::ESRCH, candidate: 0 });
    }
    let empty: u64 = 0;
    let _ = call(libc::SYS_rt_sigprocmask, [number(libc::SIG_SETMASK), address(&empty), 0, SIGSET_SIZE, 0]);
    if let Some(confined) = plan.confined() {
        confine::before_exec(confined)?;
    }
    Err(execute(plan))
}

/// The id of the new session is the pid, as this process and its relatives see it.
fn write_env_tag(digits: *mut u8, pid: usize) {
    if digits.is_null() {
        return;
    }
    let mut rest = pid;
    for place in (0..ENV_TAG_DIGITS).rev() {
        // rest % 10 lies between 0 and 9.
        let digit = b'0'.wrapping_add((rest % 10) as u8);
        rest /= 10;
        // SAFETY: the parent gives room for that many digits, which nobody else reads or writes before exec.
        unsafe { digits.wrapping_add(place).write_volatile(digit) };
    }
}

/// Without leading zeros: there are readers who would take it for an octal number.
fn write_own_pid(digits: *mut u8, pid: usize) {
    if digits.is_null() {
        return;
    }
    let mut count = 1;
    let mut rest = pid / 10;
    while rest > 0 && count < ENV_TAG_DIGITS {
        count += 1;
        rest /= 10;
    }
    let mut rest = pid;
    for place in (0..count).rev() {
        let digit = b'0'.wrapping_add((rest % 10) as u8);
        rest /= 10;
        // SAFETY: as above; what lies behind is zero, and ends the text.
        unsafe { digits.wrapping_add(place).write_volatile(digit) };
    }
}

/// The highest number that `close_range` knows.
const LAST_DESCRIPTOR: usize = u32::MAX as usize;

/// A system call of this process: it gets plain numbers, and addresses of what the plan holds or this function's stack.
fn call(number: c_long, arguments: [usize; 5]) -> Result<usize, c_int> {
    // SAFETY: every address given in this module is that of a living value of the size that the kernel expects, and
    // nothing in here changes what belongs to the daemon: this process has its own descriptors, handlers and
    // credentials.
    unsafe { raw::call(number, arguments) }
}

fn address<T>(value: &T) -> usize {
    std::ptr::from_ref(value).addr()
}

fn number(value: c_int) -> usize {
    value as usize
}

fn check(stage: c_int, result: Result<usize, c_int>) -> Result<(), Failed> {
    match result {
        Ok(_) => Ok(()),
        Err(errno) => Err(Failed { stage, errno, candidate: 0 }),
    }
}

fn place_fds(plan: &Plan) -> Result<(), Failed> {
    for index in 0..plan.moves_count {
        // SAFETY: the list has so many members.
        let FdMove { from, to, is_temporary } = unsafe { *plan.moves.wrapping_add(index) };
        let placed = if from == to {
            // `dup3` refuses this, and `dup2` would leave the flag.
            call(libc::SYS_fcntl, [number(from), number(libc::F_SETFD), 0, 0, 0])
        } else {
            // Without the flag the copy has no close-on-exec.
            let flags = if is_temporary { number(libc::O_CLOEXEC) } else { 0 };
            call(libc::SYS_dup3, [number(from), number(to), flags, 0, 0])
        };
        check(STDIO, placed)?;
    }
    Ok(())
}

/// Opens the file in the place of descriptor 0 without waiting for anybody: what waits before exec can't be told from
/// what runs. A FIFO is opened for writing too, so that it needs no writer, and does not end when a writer goes.
fn open_stdin(path: *const c_char) -> Result<(), Failed> {
    if path.is_null() {
        return Ok(());
    }
    let read_only = open_at_once(path, libc::O_RDONLY)?;
    // Answered for pipes and FIFOs alone.
    let is_fifo = call(libc::SYS_fcntl, [read_only, number(libc::F_GETPIPE_SZ), 0, 0, 0]).is_ok();
    let fd = if is_fifo { open_at_once(path, libc::O_RDWR)? } else { read_only };
    // The program reads as ever: it waits for what is not there yet.
    check(STDIN, call(libc::SYS_fcntl, [fd, number(libc::F_SETFL), 0, 0, 0]))?;
    if fd != 0 {
        check(STDIN, call(libc::SYS_dup3, [fd, 0, 0, 0, 0]))?;
    }
    for opened in [read_only, fd] {
        if opened != 0 {
            let _ = call(libc::SYS_close, [opened, 0, 0, 0, 0]);
        }
    }
    Ok(())
}

fn open_at_once(path: *const c_char, access: c_int) -> Result<usize, Failed> {
    // A terminal must not become that of the new session.
    let flags = number(access | libc::O_NONBLOCK | libc::O_NOCTTY);
    let opened = call(libc::SYS_openat, [number(libc::AT_FDCWD), path.addr(), flags, 0, 0]);
    opened.map_err(|errno| Failed { stage: STDIN, errno, candidate: 0 })
}

/// Can't fail in a way that matters: the daemon's own descriptors are close-on-exec as well.
fn close_rest(close: &CloseRest) {
    match close {
        CloseRest::Unshare { gaps, count, .. } => {
            for index in 0..*count {
                // SAFETY: the list has so many members.
                let (first, last) = unsafe { *gaps.wrapping_add(index) };
                let _ = call(libc::SYS_close_range, [number(first), number(last), 0, 0, 0]);
            }
        }
        CloseRest::List { open, count } => {
            for index in 0..*count {
                // SAFETY: the list has so many members.
                let fd = unsafe { *open.wrapping_add(index) };
                let _ = call(libc::SYS_close, [number(fd), 0, 0, 0, 0]);
            }
        }
    }
}

fn set_rlimits(plan: &Plan) -> Result<(), Failed> {
    for index in 0..plan.rlimits_count {
        // SAFETY: the list has so many members, which live as long as the plan.
        let rlimit = unsafe { &*plan.rlimits.wrapping_add(index) };
        // Limit has the kernel's layout; the old value is not asked for.
        let set = call(libc::SYS_prlimit64, [0, rlimit.resource as usize, address(&rlimit.limit), 0, 0]);
        set.map_err(|errno| Failed { stage: LIMITS, errno, candidate: index })?;
    }
    Ok(())
}

/// Handlers would vanish by exec, ignored signals would not; and as long as handlers of the daemon are
/// in place, a signal must not be let in. This table of handlers is the child's own (no CLONE_SIGHAND).
fn default_dispositions() {
    // All zero is SIG_DFL, no flags, an empty mask, whatever the order of the fields on this architecture; and it is
    // larger than the kernel's struct sigaction everywhere.
    let default = [0u64; 8];
    for signal in 1..=LAST_SIGNAL {
        // KILL and STOP are refused, which is as it should be.
        let _ = call(libc::SYS_rt_sigaction, [signal, address(&default), 0, SIGSET_SIZE, 0]);
    }
}

fn set_ids(ids: &Ids) -> Result<(), Failed> {
    check(CREDENTIALS, call(ids::SETGROUPS, [ids.groups_count, ids.groups.addr(), 0, 0, 0]))?;
    // Real, effective and saved ids at once, of this process alone.
    let gid = ids.gid as usize;
    check(CREDENTIALS, call(ids::SETRESGID, [gid, gid, gid, 0, 0]))?;
    let uid = ids.uid as usize;
    check(CREDENTIALS, call(ids::SETRESUID, [uid, uid, uid, 0, 0]))
}

/// Tries the candidates as `execvp` does: a missing one leads to the next, a forbidden one is
/// remembered, anything else decides.
fn execute(plan: &Plan) -> Failed {
    let mut answer = Failed { stage: EXEC, errno: libc::ENOENT, candidate: 0 };
    let mut index = 0;
    loop {
        // SAFETY: the list ends with null, which is where we stop.
        let path = unsafe { *plan.candidates.wrapping_add(index) };
        if path.is_null() {
            return answer;
        }
        if plan.argv_0_is_path {
            // SAFETY: the list holds the program's name at least, and the parent does not look at it.
            unsafe { *plan.argv = path };
        }
        // A path and two lists that end with null, all kept alive by the parent. It returns only when it has failed.
        match call(libc::SYS_execve, [path.addr(), plan.argv.addr(), plan.envp.addr(), 0, 0]).err().unwrap_or(0) {
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
