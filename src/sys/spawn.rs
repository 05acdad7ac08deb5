//! Making a child: `clone(CLONE_VM | CLONE_PIDFD)`, with everything prepared before it.
//!
//! The cost depends neither on the size of the daemon nor on its threads, because no page table is
//! copied and no fork handler runs. The thread that spawns waits until the child has executed
//! its program, so that the answer is final: a [`Child`] has executed, a [`SpawnError`] says at which
//! step and why it has not. But it waits no longer than a tenth of a second: a directory or program on a file system that
//! hangs (NFS, FUSE) holds up nobody else, as it would with `vfork` or `posix_spawn`. Such a child is handed over as
//! it is, see [`Child::is_late`].
//!
//! The child has a session of its own, the descriptors of the [`Launch`] and no others, default dispositions
//! for all signals and an empty mask, and the limits, user, directory, umask and environment of the [`Launch`].
//!
//! With [`Launch::pdeathsig`] the child dies when the *thread* that spawned it ends: use one thread
//! that lives as long as the daemon.

use std::ffi::c_int;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::ptr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::child::{self, CloseRest, SIGSET_SIZE};
use super::dumpable::Dumpable;
use super::fd_slots::FdSlots;
use super::launch::Launch;
use super::prepared::{self, Descriptors, PendingExec, PreparedExec};
use super::raw;
use super::signal::Leader;
use super::stack::Stack;
use crate::process::{SpawnError, SpawnStage};

/// How many descriptors are closed one by one on a kernel without `close_range` and without `/proc`.
const CLOSED_BLINDLY_FDS: c_int = 4096;
/// With fewer open files permitted than this, no slots are kept open.
const MIN_NOFILE_FOR_SLOTS: u64 = 64;
/// How long a spawn waits for the child to execute its program.
const EXEC_WAIT: Duration = Duration::from_millis(100);
/// The same after a child was late: a hundred programs on a dead disk must not add up.
const EXEC_WAIT_AFTER_LATE: Duration = Duration::from_millis(5);
/// For how long after the last late child the shorter wait applies.
const LATE_IS_RECENT: Duration = Duration::from_secs(10);

/// A process that has executed its program, or [has not yet](Child::is_late).
#[derive(Debug)]
pub struct Child {
    /// Its pid, which is the id of its process group and session as well.
    pub pid: i32,
    /// Its pidfd, close-on-exec; `None` on kernels before 5.2.
    pub pidfd: Option<OwnedFd>,
    /// Boxed: hardly any child has one.
    pending: Option<Box<PendingExec>>,
}

impl Child {
    /// How long the spawn has waited if the program was not executed by then: its directory or its file lies on a
    /// file system that does not answer, or the machine is busy. Keep the `Child` until the process was reaped, and give
    /// it to [`Spawner::settle`] now and then.
    pub fn is_late(&self) -> Option<Duration> {
        self.pending.as_ref().map(|pending| pending.waited)
    }

    /// Once a late child was reaped: why it has not executed its program, if it has not. Its exit code is 127 then, or 126
    /// where the file was there and could not be executed.
    pub fn late_failure(&self) -> Option<SpawnError> {
        self.pending.as_ref().and_then(|pending| pending.failure())
    }

    /// What the functions of [`signal`](super::signal) need to know of it; `reaped`: its exit was collected.
    pub fn leader(&self, reaped: bool) -> Leader<'_> {
        Leader { pid: self.pid, pidfd: self.pidfd.as_ref().map(AsFd::as_fd), reaped }
    }
}

/// Makes children. Holds the stack on which they run until exec, which is used again and again.
#[derive(Debug)]
pub struct Spawner {
    null: Arc<OwnedFd>,
    /// `None` while a late child runs on it.
    stack: Option<Stack>,
    /// `None` on kernels before 5.9, which have no `close_range`, and where few descriptors are permitted.
    slots: Option<FdSlots>,
    /// When a child was late for the last time.
    last_late: Option<Instant>,
    /// How long a spawn waits as a rule.
    exec_wait: Duration,
}

impl Spawner {
    /// Allocates the stack (64 KiB of address space, of which a page or two are touched).
    ///
    /// # Errors
    ///
    /// Where the kernel has no memory to give.
    pub fn new() -> io::Result<Spawner> {
        // An empty range at the far end: succeeds without closing anything, or says ENOSYS.
        // SAFETY: no descriptor can have the highest number.
        let probe = unsafe { libc::syscall(libc::SYS_close_range, u32::MAX, u32::MAX, 0) };
        let null = Arc::new(super::stdio::open_null()?);
        // Where descriptors are that scarce, a slower spawn is better than one less for a client.
        let scarce = super::limits::nofile().is_ok_and(|limit| limit.soft < MIN_NOFILE_FOR_SLOTS);
        let slots = if probe == 0 && !scarce { FdSlots::new(&null).ok() } else { None };
        Ok(Spawner { null, stack: Some(Stack::new()?), slots, last_late: None, exec_wait: EXEC_WAIT })
    }

    /// The null device, for standard streams.
    pub fn null(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.null)
    }

    /// Spawns a child. After an error no process is left, not even a zombie.
    ///
    /// # Errors
    ///
    /// The step that failed, on what, and the system's reason.
    pub fn spawn(&mut self, launch: Launch<'_>) -> Result<Child, SpawnError> {
        if launch.argv.is_empty() {
            return Err(SpawnError::other(SpawnStage::Prepare, "the command", "it is empty"));
        }
        let stack = self.stack.take().map_or_else(Stack::new, Ok).map_err(no_memory)?;
        let descriptors = match &mut self.slots {
            Some(slots) => Descriptors::Shared(slots.load(&launch.fds)?),
            None => {
                let pairs = launch.fds.iter().map(|(target, source)| (*target, source.as_raw_fd())).collect();
                Descriptors::Copied { pairs, open: open_descriptors() }
            }
        };
        let moves = prepared::fd_moves(&descriptors).inspect_err(|_| self.unload())?;
        self.start(PreparedExec::new(launch, descriptors, moves, stack))
    }

    /// Takes back from a late child what it no longer needs once it has executed its program: memory, and descriptors
    /// that keep its pipes open here. `true` while it may still do so.
    pub fn settle(&mut self, child: &mut Child) -> bool {
        let Some(pending) = &child.pending else { return false };
        if !pending.is_done() {
            return true;
        }
        // A failed one is kept until it was reaped, when somebody asks why it failed.
        if pending.failure().is_none() {
            let slots = child.pending.take().and_then(|mut pending| pending.slots.take());
            // The lower they are, the less has to be copied for a child.
            if let Some(mut slots) =
                slots.filter(|slots| self.slots.as_ref().is_none_or(|own| slots.last() < own.last()))
            {
                slots.unload();
                self.slots = Some(slots);
            }
        }
        false
    }

    fn unload(&mut self) {
        self.slots.iter_mut().for_each(FdSlots::unload);
    }

    fn start(&mut self, prepared: Box<PreparedExec>) -> Result<Child, SpawnError> {
        // A change of user clears the "dumpable" mark of the memory, which the child shares with us. Until
        // exec that is as it must be (the user must not be able to trace a process that has our memory), but
        // afterwards the daemon would go without core dumps and with a /proc/self that is not its own.
        let dumpable = Dumpable::keep(prepared.plan.ids.is_some());
        let wait = match self.last_late {
            Some(last) if last.elapsed() < LATE_IS_RECENT => EXEC_WAIT_AFTER_LATE.min(self.exec_wait),
            Some(_) | None => self.exec_wait,
        };
        let cloned = clone_child(&prepared);
        let is_done = cloned.is_err() || prepared.plan.progress.wait(wait);
        let mut needed = None;
        if is_done || prepared.plan.progress.has_fds() {
            self.unload();
        } else {
            needed = std::mem::replace(&mut self.slots, FdSlots::new(&self.null).ok());
        }
        let (pid, pidfd) = match cloned {
            Ok(child) => child,
            Err(error) => {
                self.stack = Some(prepared.stack);
                return Err(error);
            }
        };
        if !is_done {
            self.last_late = Some(Instant::now());
            let pending = PendingExec::new(prepared, dumpable, needed, wait);
            return Ok(Child { pid, pidfd, pending: Some(Box::new(pending)) });
        }
        drop(dumpable);
        let PreparedExec { plan, stack, strings, .. } = *prepared;
        self.stack = Some(stack);
        match plan.failure.get() {
            None => Ok(Child { pid, pidfd, pending: None }),
            Some((stage, errno, index)) => {
                reap_failed(pid);
                Err(strings.explain(stage, errno, index))
            }
        }
    }
}

fn no_memory(error: io::Error) -> SpawnError {
    SpawnError::system(SpawnStage::Fork, "", error.raw_os_error().unwrap_or(libc::ENOMEM))
}

/// The system call itself, with every signal blocked around it: a signal that came to the child
/// before its dispositions are reset would run the daemon's handler in the daemon's memory. The pid and pidfd.
fn clone_child(prepared: &PreparedExec) -> Result<(i32, Option<OwnedFd>), SpawnError> {
    let plan = &prepared.plan;
    let share = if matches!(plan.close, CloseRest::Unshare { .. }) { libc::CLONE_FILES } else { 0 };
    // Where the child would write into our `errno`, it must not run at the same time.
    let suspend = if raw::ALONE { 0 } else { libc::CLONE_VFORK };
    let flags = libc::CLONE_VM | libc::CLONE_PIDFD | libc::CLONE_CHILD_CLEARTID | libc::SIGCHLD | share | suspend;
    let mut pidfd: c_int = -1;
    let argument = ptr::from_ref(plan).cast_mut().cast();
    let word = plan.progress.uses_memory.as_ptr();
    let no_tls = ptr::null_mut::<libc::c_void>();
    let blocked = BlockedSignals::new();
    // SAFETY: the stack is ours, large enough and used by this child alone; whoever calls keeps the stack and the plan
    // until the child is done with them, which the kernel tells in the word; child::main keeps the rules of a process that
    // shares our memory.
    let pid = unsafe { libc::clone(child::main, prepared.stack.top(), flags, argument, &raw mut pidfd, no_tls, word) };
    let errno = super::errno();
    drop(blocked);
    if pid < 0 {
        return Err(SpawnError::system(SpawnStage::Fork, "", errno));
    }
    // SAFETY: the kernel has just made this descriptor for us (a kernel before 5.2 leaves -1).
    let pidfd = (pidfd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(pidfd) });
    Ok((pid, pidfd))
}

/// Blocks all 64 signals of this thread until dropped. By the raw call: the C library's leaves out the
/// signals that it uses itself.
struct BlockedSignals {
    before: u64,
}

impl BlockedSignals {
    fn new() -> BlockedSignals {
        let all = u64::MAX;
        let mut before = 0u64;
        let old = &raw mut before;
        // SAFETY: both sets have the size that is said.
        unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const all, old, SIGSET_SIZE) };
        BlockedSignals { before }
    }
}

impl Drop for BlockedSignals {
    fn drop(&mut self) {
        let none = ptr::null_mut::<u64>();
        let before = &raw const self.before;
        // SAFETY: as above.
        unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, before, none, SIGSET_SIZE) };
    }
}

/// Reaps a child that has failed before exec; nobody else knows its pid.
fn reap_failed(pid: i32) {
    loop {
        let mut info = std::mem::MaybeUninit::<libc::siginfo_t>::zeroed();
        // SAFETY: info is writable and of the right size.
        let result = unsafe { libc::waitid(libc::P_PID, pid.unsigned_abs(), info.as_mut_ptr(), libc::WEXITED) };
        // ECHILD: SIGCHLD is ignored in this program, and the kernel has reaped it.
        if result == 0 || super::errno() != libc::EINTR {
            return;
        }
    }
}

/// Only for kernels without `close_range`. Descriptors that other threads open from here on are
/// close-on-exec, as all of ours are.
fn open_descriptors() -> Vec<c_int> {
    match fs::read_dir("/proc/self/fd") {
        Ok(entries) => entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect(),
        Err(_) => (0..CLOSED_BLINDLY_FDS).collect(),
    }
}

#[cfg(test)]
mod tests;
