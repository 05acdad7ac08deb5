//! Making a child: `clone(CLONE_VM)`, with everything prepared before it.
//!
//! The cost depends neither on the size of the daemon nor on its threads, because no page table is copied and no fork
//! handler runs. The thread that spawns waits until the child has executed its program, so that the answer is final: a
//! [`Child`] has executed, a [`SpawnError`] says at which step and why it has not. But it waits no longer than a tenth
//! of a second: a directory or program on a file system that hangs (NFS, FUSE) holds up nobody else, as it would with
//! `vfork` or `posix_spawn`. Such a child is handed over as it is, see [`Child::is_late`].
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
use super::confine::Confined;
use super::dumpable::Dumpable;
use super::fd_slots::FdSlots;
use super::launch::Launch;
use super::prepared::{self, Descriptors, PendingExec, PreparedExec};
use super::raw;
use super::signal::GroupLeader;
use super::stack::Stack;
use crate::process::{SpawnError, SpawnStage};

/// How many descriptors are closed one by one on a kernel without `close_range` and without `/proc`.
const CLOSED_BLINDLY_FDS: c_int = 4096;
/// With fewer open files permitted than this, no slots are kept open.
const MIN_NOFILE_FOR_SLOTS: u64 = 64;
/// So many children may be under way. On a machine that is busy each waits for its turn on a processor: who waited for
/// one before beginning the next would wait as often as there are programs. A thousand programs beside two busy loops
/// start in 2,570 ms one by one, in 1,280 with four under way, 1,000 with sixteen, 720 with these (dinit: 620).
const MAX_SPAWNS_UNDER_WAY: u64 = 32;
/// One of them for so many open files that are permitted: each needs a few.
const FILES_PER_BEGUN: u64 = 64;
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
    /// Its pidfd, close-on-exec; `None` on kernels before 5.2, and before [`hold`](Self::hold) where the [`Spawner`]
    /// takes none.
    pub pidfd: Option<OwnedFd>,
    /// Boxed: hardly any child has one.
    pending: Option<Box<PendingExec>>,
}

impl Child {
    /// How long the spawn has waited if the program was not executed by then: its directory or its file lies on a file
    /// system that does not answer, or the machine is busy. Keep the `Child` until the process was reaped, and give it
    /// to [`Spawner::reclaim_late`] now and then.
    pub fn is_late(&self) -> Option<Duration> {
        self.pending.as_ref().map(|pending| pending.waited)
    }

    /// Once a late child was reaped: why it has not executed its program, if it has not. Its exit code is 127 then, or
    /// 126 where the file was there and could not be executed.
    pub fn late_failure(&self) -> Option<SpawnError> {
        self.pending.as_ref().and_then(|pending| pending.failure())
    }

    /// A process that somebody else has made, and that this one has inherited.
    pub fn inherited(pid: i32) -> Child {
        Child { pid, pidfd: None, pending: None }
    }

    /// Takes a pidfd, if there is none yet: to be called before it is reaped. What is left of its group can then be
    /// signalled without hitting a stranger. Where no descriptor is left, the group is told by its number, as on old
    /// kernels.
    pub fn hold(&mut self) {
        if self.pidfd.is_none() {
            self.pidfd = super::signal::open_pidfd(self.pid);
        }
    }

    /// What the functions of [`signal`](super::signal) need to know of it; `reaped`: its exit was collected.
    pub fn leader(&self, reaped: bool) -> GroupLeader<'_> {
        GroupLeader { pid: self.pid, pidfd: self.pidfd.as_ref().map(AsFd::as_fd), reaped, session: self.pid }
    }
}

/// A child that is on its way to exec; to be given to [`Spawner::finish`].
#[derive(Debug)]
pub struct BegunChild {
    pending: PendingExec,
    made: Made,
}

impl BegunChild {
    /// It has executed its program or has failed: [`Spawner::finish`] does not wait.
    pub fn is_done(&self) -> bool {
        self.pending.is_done()
    }
}

/// Makes children. Holds the stack on which they run until exec, which is used again and again.
#[derive(Debug)]
pub struct Spawner {
    null: Arc<OwnedFd>,
    /// Those that no child runs on: one, and more while children are under way.
    stacks: Vec<Stack>,
    /// Those that no child needs: likewise.
    slots: Vec<FdSlots>,
    /// How many children are under way, and how many at most.
    begun: usize,
    most_begun: usize,
    /// A child copies no more of the table of descriptors than it needs: not on kernels before 5.9, which have no
    /// `close_range`, nor where few descriptors are permitted.
    shares_table: bool,
    /// When a child was late for the last time.
    last_late: Option<Instant>,
    /// How long a spawn waits as a rule.
    exec_wait: Duration,
    /// Each child has a pidfd from its beginning.
    takes_pidfds: bool,
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
        let nofile = super::limits::nofile().map_or(u64::MAX, |limit| limit.soft);
        let scarce = nofile < MIN_NOFILE_FOR_SLOTS;
        let slots: Vec<FdSlots> =
            if probe == 0 && !scarce { FdSlots::new(&null).into_iter().collect() } else { Vec::new() };
        Ok(Spawner {
            null,
            stacks: vec![Stack::new()?],
            shares_table: !slots.is_empty(),
            slots,
            begun: 0,
            most_begun: (nofile / FILES_PER_BEGUN).clamp(1, MAX_SPAWNS_UNDER_WAY) as usize,
            last_late: None,
            exec_wait: EXEC_WAIT,
            takes_pidfds: true,
        })
    }

    /// The same for one who alone reaps his children: until then a pid is nobody else's, and a child costs one
    /// descriptor less. See [`Child::hold`].
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn for_sole_reaper() -> io::Result<Spawner> {
        Ok(Spawner { takes_pidfds: false, ..Spawner::new()? })
    }

    /// How many children may be under way at one time.
    pub fn most_begun(&self) -> usize {
        self.most_begun
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
        let begun = self.begin(launch)?;
        self.finish(begun)
    }

    /// The first half of a [`spawn`](Self::spawn): the child is there, and on its way to exec. The caller may begin
    /// others meanwhile; each has to be finished before anything is reaped.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn), of the steps until then.
    pub fn begin(&mut self, launch: Launch<'_>) -> Result<BegunChild, SpawnError> {
        if launch.argv.is_empty() {
            return Err(SpawnError::other(SpawnStage::Prepare, "the command", "it is empty"));
        }
        let stack = self.stacks.pop().map_or_else(Stack::new, Ok).map_err(no_memory)?;
        let mut slots = match self.take_lowest_slots() {
            None if self.shares_table => FdSlots::new(&self.null).ok(),
            slots => slots,
        };
        let begun = self.clone_with(launch, stack, slots.as_mut());
        match begun {
            Ok((prepared, dumpable, made)) => {
                self.begun += 1;
                Ok(BegunChild { pending: PendingExec::new(prepared, dumpable, slots), made })
            }
            Err(error) => {
                self.take_back(slots);
                self.keep_what_one_needs();
                Err(error)
            }
        }
    }

    /// Takes back the slots of a child that has its descriptors by now: the next one can do with them.
    pub fn reclaim(&mut self, begun: &mut BegunChild) {
        if begun.pending.has_fds() {
            self.take_back(begun.pending.slots.take());
        }
    }

    fn clone_with(
        &mut self,
        launch: Launch<'_>,
        stack: Stack,
        slots: Option<&mut FdSlots>,
    ) -> Result<(Box<PreparedExec>, Dumpable, Made), SpawnError> {
        let descriptors = match slots {
            Some(slots) => Descriptors::Shared(slots.load(&launch.fds)?),
            None => {
                let pairs = launch.fds.iter().map(|(target, source)| (*target, source.as_raw_fd())).collect();
                Descriptors::Copied { pairs, open: open_descriptors() }
            }
        };
        let moves = prepared::fd_moves(&descriptors)?;
        let confined = Confined::new(&launch.confinement)?;
        let prepared = PreparedExec::new(launch, descriptors, moves, confined, stack);
        // A change of user clears the "dumpable" mark of the memory, which the child shares with us. Until
        // exec that is as it must be (the user must not be able to trace a process that has our memory), but
        // afterwards the daemon would go without core dumps and with a /proc/self that is not its own.
        let dumpable = Dumpable::keep(prepared.plan.ids.is_some());
        match clone_child(&prepared, self.takes_pidfds) {
            Ok(child) => Ok((prepared, dumpable, child)),
            Err(error) => {
                self.stacks.push(prepared.stack);
                Err(error)
            }
        }
    }

    /// The second half of a [`spawn`](Self::spawn): waits until the child has executed its program.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn), of the steps of the child.
    pub fn finish(&mut self, begun: BegunChild) -> Result<Child, SpawnError> {
        self.begun = self.begun.saturating_sub(1);
        let finished = self.wait_for(begun);
        self.keep_what_one_needs();
        finished
    }

    fn wait_for(&mut self, begun: BegunChild) -> Result<Child, SpawnError> {
        let BegunChild { mut pending, mut made } = begun;
        let wait = match self.last_late {
            Some(last) if last.elapsed() < LATE_IS_RECENT => EXEC_WAIT_AFTER_LATE.min(self.exec_wait),
            Some(_) | None => self.exec_wait,
        };
        let is_done = pending.wait(wait);
        if is_done || pending.has_fds() {
            self.take_back(pending.slots.take());
        }
        let proxy = pending.wait_for_proxy().map(|pid| {
            let pidfd = self.takes_pidfds.then(|| super::signal::open_pidfd(pid)).flatten();
            std::mem::replace(&mut made, Made { pid, pidfd })
        });
        let Made { pid, pidfd } = made;
        let Some((stack, failure)) = pending.take_result() else {
            self.last_late = Some(Instant::now());
            pending.keep_proxy(proxy.and_then(|proxy| proxy.pidfd));
            return Ok(Child { pid, pidfd, pending: Some(Box::new(pending)) });
        };
        self.stacks.push(stack);
        proxy.into_iter().for_each(|proxy| reap_ended(proxy.pid));
        match failure {
            None => Ok(Child { pid, pidfd, pending: None }),
            Some(error) => {
                reap_ended(pid);
                Err(error)
            }
        }
    }

    /// The lower they are, the less has to be copied for a child.
    fn take_lowest_slots(&mut self) -> Option<FdSlots> {
        let lowest = (0..self.slots.len()).min_by_key(|index| self.slots.get(*index).map(FdSlots::last))?;
        Some(self.slots.swap_remove(lowest))
    }

    /// Slots that a child no longer needs.
    fn take_back(&mut self, slots: Option<FdSlots>) {
        if let Some(mut slots) = slots {
            slots.unload();
            self.slots.push(slots);
        }
    }

    /// Where none is under way: memory and descriptors for one, the lowest of them.
    fn keep_what_one_needs(&mut self) {
        if self.begun == 0 {
            self.stacks.truncate(1);
            self.stacks.shrink_to_fit();
            self.slots = self.take_lowest_slots().into_iter().collect();
        }
    }

    /// Gives back the pages that children have used, at a rest.
    pub fn release_stacks(&mut self) {
        self.stacks.iter_mut().for_each(Stack::release);
    }

    /// Takes back from a late child what it no longer needs once it has executed its program: memory, and descriptors
    /// that keep its pipes open here. `true` while it may still do so.
    pub fn reclaim_late(&mut self, child: &mut Child) -> bool {
        let Some(pending) = &child.pending else { return false };
        if !pending.is_done() {
            return true;
        }
        // A failed one is kept until it was reaped, when somebody asks why it failed.
        if pending.failure().is_none() {
            self.take_back(child.pending.take().and_then(|mut pending| pending.slots.take()));
            self.keep_what_one_needs();
        }
        false
    }
}

/// A process that was cloned: the child, or its proxy.
#[derive(Debug)]
struct Made {
    pid: i32,
    pidfd: Option<OwnedFd>,
}

fn no_memory(error: io::Error) -> SpawnError {
    SpawnError::system(SpawnStage::Fork, "", error.raw_os_error().unwrap_or(libc::ENOMEM))
}

/// The system call itself, with every signal blocked around it: a signal that came to the child
/// before its dispositions are reset would run the daemon's handler in the daemon's memory.
fn clone_child(prepared: &PreparedExec, takes_pidfd: bool) -> Result<Made, SpawnError> {
    let plan = &prepared.plan;
    let share = if matches!(plan.close, CloseRest::Unshare { .. }) { libc::CLONE_FILES } else { 0 };
    // Where the child would write into our `errno`, it must not run at the same time.
    let suspend = if raw::ALONE { 0 } else { libc::CLONE_VFORK };
    let tell = if takes_pidfd { libc::CLONE_PIDFD } else { 0 };
    let flags = libc::CLONE_VM | tell | libc::CLONE_CHILD_CLEARTID | libc::SIGCHLD | share | suspend;
    let mut pidfd: c_int = -1;
    let argument = ptr::from_ref(plan).cast_mut().cast();
    let (entry, word): (extern "C" fn(*mut libc::c_void) -> c_int, _) = match plan.proxied {
        None => (child::main, plan.progress.uses_memory.as_ptr()),
        Some(_) => (child::proxy, plan.progress.proxy_uses_memory.as_ptr()),
    };
    let no_tls = ptr::null_mut::<libc::c_void>();
    let blocked = BlockedSignals::new();
    // SAFETY: the stack is ours, large enough and used by this child alone; whoever calls keeps the stack and the plan
    // until the child is done with them, which the kernel tells in the word; child::main keeps the rules of a process
    // that shares our memory.
    let pid = unsafe { libc::clone(entry, prepared.stack.top(), flags, argument, &raw mut pidfd, no_tls, word) };
    let errno = super::errno();
    drop(blocked);
    if pid < 0 {
        return Err(SpawnError::system(SpawnStage::Fork, "", errno));
    }
    // SAFETY: the kernel has just made this descriptor for us (a kernel before 5.2 leaves -1).
    let pidfd = (pidfd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(pidfd) });
    Ok(Made { pid, pidfd })
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

/// Reaps a child that has failed before exec, or a proxy; nobody else knows its pid. 0: there is none.
fn reap_ended(pid: i32) {
    if pid == 0 {
        return;
    }
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
