//! Making a child: `clone(CLONE_VM | CLONE_PIDFD)`, with everything prepared before it.
//!
//! The cost depends neither on the size of the daemon nor on its threads, because no page table is
//! copied and no fork handler runs. The thread that spawns waits until the child has executed
//! its program, so that the answer is final: a [`Child`] has executed, a [`SpawnError`] says at which
//! step and why it has not. But it waits no longer than a tenth of a second: a directory or program on a file system that
//! hangs (NFS, FUSE) holds up nobody else, as it would with `vfork` or `posix_spawn`. Such a child is handed over as
//! it is, see [`Child::is_late`].
//!
//! The child has a session of its own, the descriptors 0 to 2 and no others, default dispositions
//! for all signals and an empty mask, and the limits, user, directory and environment of the [`Command`].
//!
//! With [`Command::pdeathsig`] the child dies when the *thread* that spawned it ends: use one thread
//! that lives as long as the daemon.

use std::ffi::{CStr, CString, OsStr, c_int, c_ulong};
use std::fs;
use std::io::{self, BufRead, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::child::{self, CloseRest, SIGSET_SIZE};
use super::limits::Limit;
use super::raw;
use super::ready::{Descriptors, Late, Ready, Words};
use super::signal::Leader;
use super::stack::Stack;
use super::users::Credentials;
use crate::process::{SpawnError, SpawnStage};

/// Where programs are looked up if the child's environment has no PATH.
const DEFAULT_PATH: &[u8] = b"/usr/local/bin:/bin:/usr/bin";
/// The beginning of the variable that tells whose child this is; see [`Command::env`].
pub const STAMP: &[u8] = b"SUPERVICE_ID=0000000000/";
/// Where its digits begin.
pub(super) const STAMP_OFFSET: usize = b"SUPERVICE_ID=".len();
const _: () = assert!(STAMP.len() == STAMP_OFFSET + child::STAMP_DIGITS + 1);

/// How many descriptors are closed one by one on a kernel without `close_range` and without `/proc`.
const BLIND_CLOSE: c_int = 4096;
/// With fewer open files permitted than this, none are held in store.
const SCARCE: u64 = 64;
/// How long a spawn waits for the child to execute its program.
const PATIENCE: Duration = Duration::from_millis(100);
/// The same while file systems are known not to answer: a hundred programs on a dead disk must not add up.
const IMPATIENCE: Duration = Duration::from_millis(5);
/// For so long after the last time.
const MEMORY: Duration = Duration::from_secs(10);

/// What is to be executed, and how.
#[derive(Debug, Clone)]
pub struct Command<'fd> {
    /// The program and its arguments. The program is looked up in the PATH of `env` unless it contains a `/`.
    pub argv: Vec<CString>,
    /// The whole environment, as `KEY=value`. In an entry that begins with [`STAMP`] the child puts its own pid in
    /// the place of the zeros.
    pub env: Vec<CString>,
    /// The working directory, entered with the rights of the child's user; `None`: the daemon's.
    pub directory: Option<CString>,
    /// The user to become; `None`: the daemon's.
    pub credentials: Option<Credentials>,
    /// The kernel kills the child (SIGKILL) when the thread that spawned it ends.
    pub pdeathsig: bool,
    /// The child's standard input. Blocking, because the child shares the description.
    pub stdin: BorrowedFd<'fd>,
    /// The child's standard output.
    pub stdout: BorrowedFd<'fd>,
    /// The child's standard error; may be the same as `stdout`.
    pub stderr: BorrowedFd<'fd>,
    /// The limit on open files that the child gets; `None`: the daemon's.
    pub nofile: Option<Limit>,
    /// The child's umask; `None`: the daemon's.
    pub umask: Option<u32>,
}

/// A process that has executed its program, or [has not yet](Child::is_late).
#[derive(Debug)]
pub struct Child {
    /// Its pid, which is the id of its process group and session as well.
    pub pid: i32,
    /// Its pidfd, close-on-exec; `None` on kernels before 5.2.
    pub pidfd: Option<OwnedFd>,
    /// Boxed: hardly any child has one.
    late: Option<Box<Late>>,
}

impl Child {
    /// How long the spawn has waited if the program was not executed by then: its directory or its file lies on a
    /// file system that does not answer, or the machine is busy. Keep the `Child` until the process was reaped, and give
    /// it to [`Spawner::settle`] now and then.
    pub fn is_late(&self) -> Option<Duration> {
        self.late.as_ref().map(|late| late.waited)
    }

    /// Once a late child was reaped: why it has not executed its program, if it has not. Its exit code is 127 then, or 126
    /// where the file was there and could not be executed.
    pub fn late_failure(&self) -> Option<SpawnError> {
        self.late.as_ref().and_then(|late| late.failure())
    }

    /// What the functions of [`signal`](super::signal) want to know of it; `reaped`: its end was collected.
    pub fn leader(&self, reaped: bool) -> Leader<'_> {
        Leader { pid: self.pid, pidfd: self.pidfd.as_ref().map(AsFd::as_fd), reaped }
    }
}

/// Text for the kernel; `what` names it in the error.
///
/// # Errors
///
/// A NUL byte inside, with the stage [`SpawnStage::Prepare`].
pub fn c_string(what: &str, text: impl AsRef<OsStr>) -> Result<CString, SpawnError> {
    CString::new(text.as_ref().as_bytes()).map_err(|error| {
        let detail = format!("it contains a NUL byte at position {}", error.nul_position());
        SpawnError::other(SpawnStage::Prepare, what, detail)
    })
}

/// Makes children. Holds the stack on which they run until exec, which is used again and again.
///
/// ```
/// use std::os::fd::AsFd;
/// use supervice::process::Exit;
/// use supervice::sys::spawn::{Command, Spawner, c_string};
/// use supervice::sys::{reap, stdio};
///
/// let null = stdio::open_null()?;
/// let command = Command {
///     argv: vec![c_string("command", "sh")?, c_string("command", "-c")?, c_string("command", "exit 3")?],
///     env: vec![c_string("environment", "PATH=/usr/bin:/bin")?],
///     directory: Some(c_string("directory", "/")?),
///     credentials: None,
///     pdeathsig: true,
///     stdin: null.as_fd(),
///     stdout: null.as_fd(),
///     stderr: null.as_fd(),
///     nofile: None,
///     umask: None,
/// };
/// let child = Spawner::new()?.spawn(command)?;
/// let exit = loop {
///     // A daemon sleeps until SIGCHLD comes.
///     match reap::reap(child.pid) {
///         Some(exit) => break exit,
///         None => std::thread::yield_now(),
///     }
/// };
/// assert_eq!(exit, Exit::Code(3));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Spawner {
    null: Arc<OwnedFd>,
    /// `None` while a late child runs on it.
    stack: Option<Stack>,
    /// `None` on kernels before 5.9, which have no `close_range`.
    slots: Option<Slots>,
    /// When a child was late for the last time.
    last_late: Option<Instant>,
    /// How long a spawn waits as a rule.
    patience: Duration,
}

/// Three low descriptors, through which a child gets its standard streams: it keeps the table of
/// descriptors up to the highest of them and no more. Copying and closing all that a daemon with a thousand
/// programs holds would be dearer than everything else in a spawn. Between spawns they lead to the null device.
#[derive(Debug)]
pub(super) struct Slots {
    null: Arc<OwnedFd>,
    fds: [OwnedFd; 3],
}

impl Slots {
    fn new(null: &Arc<OwnedFd>) -> io::Result<Slots> {
        // try_clone takes the lowest free number from 3 on, and closes on exec.
        let fds = [null.try_clone()?, null.try_clone()?, null.try_clone()?];
        Ok(Slots { null: Arc::clone(null), fds })
    }

    fn numbers(&self) -> [c_int; 3] {
        self.fds.each_ref().map(AsRawFd::as_raw_fd)
    }

    fn last(&self) -> c_int {
        self.numbers().into_iter().max().unwrap_or(2)
    }

    /// Leads the slots to these streams.
    fn load(&self, streams: [BorrowedFd<'_>; 3]) -> Result<(), SpawnError> {
        for (stream, slot) in streams.iter().zip(self.numbers()) {
            // SAFETY: the stream is open; what lies at the slot is ours and meant to be replaced.
            if unsafe { libc::dup3(stream.as_raw_fd(), slot, libc::O_CLOEXEC) } < 0 {
                return Err(SpawnError::system(SpawnStage::Stdio, "", super::errno()));
            }
        }
        Ok(())
    }

    /// Leads the slots back to the null device: a pipe that stayed open here would never end.
    fn unload(&self) {
        let null = self.null.as_fd();
        // Can't fail: all of these are open. If it did, the next load would replace them.
        let _ = self.load([null, null, null]);
    }
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
        let scarce = super::limits::nofile().is_ok_and(|limit| limit.soft < SCARCE);
        let slots = if probe == 0 && !scarce { Slots::new(&null).ok() } else { None };
        Ok(Spawner { null, stack: Some(Stack::new()?), slots, last_late: None, patience: PATIENCE })
    }

    /// The null device, for standard streams.
    pub fn null(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.null)
    }

    /// Spawns `command`. After an error no process is left, not even a zombie.
    ///
    /// # Errors
    ///
    /// The step that failed, on what, and the system's reason.
    pub fn spawn(&mut self, command: Command<'_>) -> Result<Child, SpawnError> {
        let program =
            command.argv.first().ok_or_else(|| SpawnError::other(SpawnStage::Prepare, "the command", "it is empty"))?;
        let candidates = candidates(program, &command.env);
        let stack = self.stack.take().map_or_else(Stack::new, Ok).map_err(no_memory)?;
        let streams = [command.stdin, command.stdout, command.stderr];
        let moved;
        let descriptors = match &self.slots {
            Some(slots) => {
                slots.load(streams)?;
                Descriptors::Shared { stdio: slots.numbers(), last: slots.last() }
            }
            None => {
                moved = [above_two(command.stdin)?, above_two(command.stdout)?, above_two(command.stderr)?];
                let number = |(own, copy): (&BorrowedFd<'_>, &Option<OwnedFd>)| {
                    copy.as_ref().map_or(own.as_raw_fd(), AsRawFd::as_raw_fd)
                };
                let mut stdio = [0; 3];
                stdio.iter_mut().zip(streams.iter().zip(&moved).map(number)).for_each(|(slot, fd)| *slot = fd);
                Descriptors::Copied { stdio, open: open_descriptors() }
            }
        };
        self.start(Ready::new(command, candidates, descriptors, stack))
    }

    /// Takes back from a late child what it no longer needs once it has executed its program: memory, and descriptors
    /// that keep its pipes open here. `true` while it may still do so.
    pub fn settle(&mut self, child: &mut Child) -> bool {
        let Some(late) = &child.late else { return false };
        if !late.is_done() {
            return true;
        }
        // Else why it has failed is asked for when it was reaped.
        if late.failure().is_none() {
            let slots = child.late.take().and_then(|mut late| late.slots.take());
            // The lower they are, the less has to be copied for a child.
            if let Some(slots) = slots.filter(|slots| self.slots.as_ref().is_none_or(|own| slots.last() < own.last())) {
                slots.unload();
                self.slots = Some(slots);
            }
        }
        false
    }

    fn start(&mut self, ready: Box<Ready>) -> Result<Child, SpawnError> {
        // A change of user clears the "dumpable" mark of the memory, which the child shares with us. Until
        // exec that is as it must be (the user must not be able to trace a process that has our memory), but
        // afterwards the daemon would go without core dumps and with a /proc/self that is not its own.
        let dumpable = Dumpable::keep(ready.plan.ids.is_some());
        let patience = match self.last_late {
            Some(last) if last.elapsed() < MEMORY => IMPATIENCE.min(self.patience),
            Some(_) | None => self.patience,
        };
        let cloned = clone_child(&ready);
        let is_done = cloned.is_err() || ready.plan.progress.wait(patience);
        let mut needed = None;
        if is_done || ready.plan.progress.has_streams() {
            self.slots.iter().for_each(Slots::unload);
        } else {
            needed = std::mem::replace(&mut self.slots, Slots::new(&self.null).ok());
        }
        let (pid, pidfd) = match cloned {
            Ok(child) => child,
            Err(error) => {
                self.stack = Some(ready.stack);
                return Err(error);
            }
        };
        if !is_done {
            self.last_late = Some(Instant::now());
            return Ok(Child { pid, pidfd, late: Some(Box::new(Late::new(ready, dumpable, needed, patience))) });
        }
        drop(dumpable);
        let Ready { plan, stack, words, .. } = *ready;
        self.stack = Some(stack);
        match plan.failure.get() {
            None => Ok(Child { pid, pidfd, late: None }),
            Some((stage, errno, index)) => {
                bury(pid);
                Err(explain(&words, stage, errno, index))
            }
        }
    }
}

fn no_memory(error: io::Error) -> SpawnError {
    SpawnError::system(SpawnStage::Fork, "", error.raw_os_error().unwrap_or(libc::ENOMEM))
}

/// The system call itself, with every signal blocked around it: a signal that came to the child
/// before its dispositions are reset would run the daemon's handler in the daemon's memory. The pid and pidfd.
fn clone_child(ready: &Ready) -> Result<(i32, Option<OwnedFd>), SpawnError> {
    let plan = &ready.plan;
    let share = if matches!(plan.close, CloseRest::Unshare(_)) { libc::CLONE_FILES } else { 0 };
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
    let pid = unsafe { libc::clone(child::main, ready.stack.top(), flags, argument, &raw mut pidfd, no_tls, word) };
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

/// Puts the mark back that says whether this process may dump core and be traced by its own user.
#[derive(Debug)]
pub(super) struct Dumpable {
    is_kept: bool,
}

/// How many children of another user have our memory, and whether this process was dumpable before the first of them.
static KEPT: Mutex<(usize, bool)> = Mutex::new((0, false));

impl Dumpable {
    /// Two more system calls, and only for a child that changes its user.
    fn keep(changes_user: bool) -> Dumpable {
        if changes_user {
            let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.0 == 0 {
                // SAFETY: only asks.
                kept.1 = unsafe { libc::prctl(libc::PR_GET_DUMPABLE) } == 1;
            }
            kept.0 += 1;
        }
        Dumpable { is_kept: changes_user }
    }
}

impl Drop for Dumpable {
    fn drop(&mut self) {
        if !self.is_kept {
            return;
        }
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        kept.0 = kept.0.saturating_sub(1);
        // Not while a late one of them still has it: its user could read it.
        if *kept == (0, true) {
            // SAFETY: a plain number; the children have memory of their own by now or have ended.
            unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 1 as c_ulong, 0, 0, 0) };
        }
    }
}

/// Reaps a child that has failed before exec; nobody else knows its pid.
fn bury(pid: i32) {
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

/// A copy with a number above 2 if the descriptor lies below: the child puts 0, 1 and 2 in place one
/// after the other, and must not overwrite what it still needs.
fn above_two(fd: BorrowedFd<'_>) -> Result<Option<OwnedFd>, SpawnError> {
    if fd.as_raw_fd() > 2 {
        return Ok(None);
    }
    fd.try_clone_to_owned()
        .map(Some)
        .map_err(|error| SpawnError::system(SpawnStage::Stdio, "", error.raw_os_error().unwrap_or(0)))
}

/// The paths that `execvp` would try for `program` in the PATH that the child will have.
fn candidates(program: &CStr, env: &[CString]) -> Vec<CString> {
    let name = program.to_bytes();
    if name.is_empty() || name.contains(&b'/') {
        return vec![program.to_owned()];
    }
    let path = env.iter().find_map(|variable| variable.to_bytes().strip_prefix(b"PATH=")).unwrap_or(DEFAULT_PATH);
    path.split(|byte| *byte == b':')
        .filter_map(|directory| {
            // An empty element is the working directory.
            let prefix: &[u8] = if directory.is_empty() { b"." } else { directory };
            CString::new([prefix, b"/", name].concat()).ok()
        })
        .collect()
}

/// Only for kernels without `close_range`. Descriptors that other threads open from here on are
/// close-on-exec, as all of ours are.
fn open_descriptors() -> Vec<c_int> {
    match fs::read_dir("/proc/self/fd") {
        Ok(entries) => {
            let numbers = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
            numbers.filter(|fd| *fd > 2).collect()
        }
        Err(_) => (3..BLIND_CLOSE).collect(),
    }
}

pub(super) fn explain(words: &Words, stage: SpawnStage, errno: i32, index: usize) -> SpawnError {
    let program = words.argv.first().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let tried = words.candidates.get(index).map_or(program.clone(), |path| path.to_string_lossy().into_owned());
    match stage {
        SpawnStage::Credentials => {
            let who = words.credentials.as_ref().map_or_else(String::new, Credentials::label);
            SpawnError::system(stage, who, errno)
        }
        SpawnStage::Directory => {
            let directory = words.directory.as_ref().map_or_else(String::new, |d| d.to_string_lossy().into_owned());
            SpawnError::system(stage, directory, errno)
        }
        SpawnStage::Exec if errno == libc::ENOENT => explain_missing(words, program),
        SpawnStage::Exec => SpawnError::system(stage, tried, errno),
        _ => SpawnError::system(stage, "", errno),
    }
}

/// "No such file or directory" for a file that is there puzzles everybody: what is missing is its
/// interpreter or dynamic loader.
fn explain_missing(words: &Words, program: String) -> SpawnError {
    let directory = words.directory.as_ref().map_or(PathBuf::new(), |path| to_path(path));
    let found = words.candidates.iter().map(|path| directory.join(to_path(path))).find(|path| path.is_file());
    let mut error = SpawnError::system(SpawnStage::Exec, program.clone(), libc::ENOENT);
    if let Some(path) = found {
        error.subject = path.display().to_string();
        error.detail = why_missing(&path).unwrap_or_default();
    } else if !program.contains('/') {
        error.detail = "not found in the program's PATH; give the full path or set PATH in environment".to_owned();
    }
    error
}

/// What else is missing where a program is there and the kernel says that it is not.
pub(super) fn why_missing(path: &Path) -> Option<String> {
    path.is_file().then(|| match interpreter(path) {
        Some(name) => format!("its interpreter {name} does not exist; correct its first line or install it"),
        None => "the file is there, but its dynamic loader is not: it was built for another system".to_owned(),
    })
}

fn to_path(text: &CStr) -> PathBuf {
    PathBuf::from(std::ffi::OsString::from_vec(text.to_bytes().to_vec()))
}

/// What a script's first line names.
fn interpreter(script: &Path) -> Option<String> {
    let mut line = Vec::new();
    let file = fs::File::open(script).ok()?;
    io::BufReader::with_capacity(256, file.take(256)).read_until(b'\n', &mut line).ok()?;
    let text = String::from_utf8_lossy(line.strip_prefix(b"#!")?).into_owned();
    text.split_whitespace().next().map(str::to_owned)
}

#[cfg(test)]
mod tests;
