//! The few system calls of an init that has one program: [`crate::sys::spawn`] serves a daemon, which hides its
//! descriptors, limits and signals from its children; an init passes on all that it was given.
//!
//! For a process with a single thread: the child of the fork goes on in Rust.

use std::ffi::{CString, OsString, c_int};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::child::SIGSET_SIZE;

/// Where the program stands towards the terminal and towards us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In a process group of its own, in the foreground of our terminal if that was our place.
    OwnGroup,
    /// In a session of its own, which takes the terminal with it.
    OwnSession,
    /// Where we are.
    WithUs,
}

/// All 64 signals, blocked: each one waits here until it is asked for, even if it would have been ignored. A
/// blocked signal reaches PID 1 too, to which the kernel gives no signal that has its default action.
#[derive(Debug)]
pub struct Signals {
    before: u64,
    awaited: u64,
    /// Those that were ignored when we were started and are not any more.
    ignored: u64,
}

/// Whether SIGPIPE was ignored when this program was executed. Rust's start ignores it in any case, before `main`.
static SIGPIPE_WAS_IGNORED: AtomicBool = AtomicBool::new(false);

/// Run by the C library before Rust's start.
#[used]
#[unsafe(link_section = ".init_array")]
static LOOK_AT_SIGPIPE: extern "C" fn() = look_at_sigpipe;

extern "C" fn look_at_sigpipe() {
    let mut now = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: only asks; `now` is writable, of the right size, and valid when zeroed.
    let now = unsafe {
        libc::sigaction(libc::SIGPIPE, ptr::null(), now.as_mut_ptr());
        now.assume_init()
    };
    SIGPIPE_WAS_IGNORED.store(now.sa_sigaction == libc::SIG_IGN, Ordering::Relaxed);
}

fn bit(signal: u8) -> u64 {
    1u64.checked_shl(u32::from(signal).wrapping_sub(1)).unwrap_or(0)
}

/// By the raw call: the C library's would leave out the signals that it uses itself.
fn set_mask(mask: u64) -> u64 {
    let mut before = 0u64;
    let old = &raw mut before;
    // SAFETY: both sets have the size that is said.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const mask, old, SIGSET_SIZE) };
    before
}

impl Signals {
    /// Blocks them. SIGCHLD gets its default action: where it was ignored, the kernel would throw exit codes away.
    pub fn hold() -> Signals {
        let mut signals = Signals { before: set_mask(u64::MAX), awaited: u64::MAX, ignored: 0 };
        signals.set_default(CHLD);
        if SIGPIPE_WAS_IGNORED.load(Ordering::Relaxed) {
            signals.ignored |= bit(PIPE);
        }
        signals
    }

    fn set_default(&mut self, signal: u8) {
        if set_default(c_int::from(signal)) {
            self.ignored |= bit(signal);
        }
    }

    /// Gives these signals their default action on us again, in place of waiting for them.
    pub fn release(&mut self, signals: &[u8]) {
        for signal in signals {
            self.set_default(*signal);
            self.awaited &= !bit(*signal);
        }
        set_mask(self.awaited);
    }

    /// Gives the program the mask and the ignored signals that we were started with.
    fn pass_on(&self) {
        // Rust's start has ignored it.
        set_default(libc::SIGPIPE);
        for signal in (1..=64u8).filter(|signal| self.ignored & bit(*signal) != 0) {
            // SAFETY: ignoring a signal runs no code.
            unsafe { libc::signal(c_int::from(signal), libc::SIG_IGN) };
        }
        set_mask(self.before);
    }

    /// The next signal. Sleeps until there is one, or with `now` says `None` if none has come.
    pub fn next(&self, now: bool) -> Option<u8> {
        self.wait(now.then_some(Duration::ZERO))
    }

    /// The next signal; `None`: there was none within this time.
    pub fn next_within(&self, limit: Duration) -> Option<u8> {
        self.wait(Some(limit))
    }

    fn wait(&self, limit: Option<Duration>) -> Option<u8> {
        // The timespec of the raw call, whatever the C library calls by that name.
        let limit = limit.map(|limit| {
            [
                libc::c_long::try_from(limit.as_secs()).unwrap_or(libc::c_long::MAX),
                libc::c_long::from(limit.subsec_nanos() as i32),
            ]
        });
        let timeout = limit.as_ref().map_or(ptr::null(), |limit| limit.as_ptr());
        let info = ptr::null_mut::<libc::siginfo_t>();
        loop {
            let set = &raw const self.awaited;
            // SAFETY: the set has the size that is said; the timeout is null or seconds and
            // nanoseconds; the details are not asked for.
            let number = unsafe { libc::syscall(libc::SYS_rt_sigtimedwait, set, info, timeout, SIGSET_SIZE) };
            if number > 0 {
                return u8::try_from(number).ok();
            }
            // EAGAIN: nothing within the time-out. EINTR: stopped and continued.
            if limit.is_some() && super::errno() != libc::EINTR {
                return None;
            }
        }
    }
}

const PIPE: u8 = 13;
const CHLD: u8 = 17;

/// `true`: it was ignored.
fn set_default(signal: c_int) -> bool {
    // SAFETY: the default action runs no code of ours.
    unsafe { libc::signal(signal, libc::SIG_DFL) == libc::SIG_IGN }
}

/// Forks and executes `program`, which is looked up in PATH and may be a script without a first line that
/// names its interpreter. Descriptors, environment, limits and directory are ours; LISTEN_PID, where it named us, names
/// the program. `clean`: no signal is blocked or ignored; else these are as they were when we were started.
///
/// Where it can't be executed, `failed` is told why, in the child, and gives its exit code.
///
/// # Errors
///
/// No process could be made, or an argument contains a NUL byte.
pub fn spawn(
    program: &[OsString],
    place: Place,
    signals: &Signals,
    clean: bool,
    failed: impl FnOnce(io::Error) -> u8,
) -> io::Result<i32> {
    let argv: Vec<CString> =
        program.iter().map(|word| CString::new(word.as_bytes())).collect::<Result<_, _>>().map_err(io::Error::other)?;
    let pointers: Vec<_> = argv.iter().map(|word| word.as_ptr()).chain([ptr::null()]).collect();
    // Asked before there is a child, which either of us may move out of our group first.
    let foreground = we_are_foreground();
    // SAFETY: this process has one thread (see the module's head), so that the child may do everything.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            take_place(place, foreground);
            pass_on_listen_pid();
            if clean {
                for signal in 1..=64 {
                    set_default(signal);
                }
                set_mask(0);
            } else {
                signals.pass_on();
            }
            // SAFETY: strings and a list that end with NUL and null, all of them alive.
            unsafe { libc::execvp(pointers.first().copied().unwrap_or(ptr::null()), pointers.as_ptr()) };
            let code = failed(io::Error::last_os_error());
            // SAFETY: ends the child without what belongs to the parent (buffers, handlers at exit).
            unsafe { libc::_exit(c_int::from(code)) }
        }
        pid => {
            if place == Place::OwnGroup {
                // The child does it too: whoever comes first. EACCES: it has executed already.
                // SAFETY: plain numbers.
                unsafe { libc::setpgid(pid, pid) };
            }
            Ok(pid)
        }
    }
}

/// What fails here has failed for want of a terminal, which is no reason not to run the program.
fn take_place(place: Place, foreground: bool) {
    match place {
        Place::OwnGroup => {
            // SAFETY: plain numbers. SIGTTOU is blocked, so that the terminal may be taken from behind.
            unsafe {
                libc::setpgid(0, 0);
                if foreground {
                    libc::tcsetpgrp(0, libc::getpgrp());
                }
            }
        }
        // SAFETY: no memory is involved. The terminal must be nobody's by now, see `give_up_terminal`.
        Place::OwnSession => unsafe {
            libc::setsid();
            libc::ioctl(0, libc::TIOCSCTTY, 0);
        },
        Place::WithUs => {}
    }
}

/// Sockets that systemd or podman hand over are meant for the process that LISTEN_PID names.
fn pass_on_listen_pid() {
    let named = std::env::var("LISTEN_PID").ok().and_then(|text| text.parse::<u32>().ok());
    if named == Some(std::os::unix::process::parent_id()) {
        // SAFETY: this process has one thread.
        unsafe { std::env::set_var("LISTEN_PID", std::process::id().to_string()) };
    }
}

/// Whether standard input is our terminal and we have its foreground.
fn we_are_foreground() -> bool {
    // SAFETY: only asks.
    unsafe { libc::tcgetpgrp(0) == libc::getpgrp() }
}

/// Whether a shell has started us as one of its jobs: only then will somebody continue us after a stop.
pub fn is_job() -> bool {
    // SAFETY: only asks. tcgetpgrp fails unless standard input is our controlling terminal.
    unsafe { libc::getpid() != 1 && libc::getsid(0) != libc::getpid() && libc::tcgetpgrp(0) >= 0 }
}

/// Lends the foreground of the terminal to the program's group, if it is ours.
pub fn lend_terminal(pid: i32) {
    if we_are_foreground() {
        // SAFETY: plain numbers; failing, the program reads as a background job does.
        unsafe { libc::tcsetpgrp(0, pid) };
    }
}

/// Takes the foreground back from the program's group, so that whoever runs after us in a script finds
/// the terminal as it was.
pub fn reclaim_terminal(pid: i32) {
    // SAFETY: plain numbers; SIGTTOU is blocked.
    unsafe {
        if libc::tcgetpgrp(0) == pid {
            libc::tcsetpgrp(0, libc::getpgrp());
        }
    }
}

/// Gives up our terminal, so that the program's session can have it. `true`: we led its session, to which the kernel
/// now sends SIGHUP and SIGCONT.
pub fn give_up_terminal() -> bool {
    // SAFETY: no memory is involved.
    unsafe { libc::ioctl(0, libc::TIOCNOTTY) == 0 && libc::getsid(0) == libc::getpid() }
}

/// Sends a signal to the program, which must not have been reaped yet, or to its group.
///
/// # Errors
///
/// The system's reason, such as EPERM where the program has become another user.
pub fn send(pid: i32, group: bool, signal: u8) -> io::Result<()> {
    let signal = c_int::from(signal);
    // SAFETY: plain numbers.
    let kill =
        |target| if unsafe { libc::kill(target, signal) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) };
    match kill(if group { -pid } else { pid }) {
        // It was forked but leads no group yet: the signal waits for it all the same.
        Err(error) if group && error.raw_os_error() == Some(libc::ESRCH) => kill(pid),
        result => result,
    }
}

/// Sends a signal to what is left of the group of the program, which was reaped.
///
/// # Errors
///
/// The system's reason, such as ESRCH where nothing is left.
pub fn send_to_rest(group: i32, signal: u8) -> io::Result<()> {
    // SAFETY: plain numbers.
    if unsafe { libc::kill(-group, c_int::from(signal)) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Takes back the SIGPIPE that a write of ours has just brought upon us: it is not for the program.
pub fn forget_sigpipe() {
    let (set, zero, info) = (bit(13), [0u64; 2], ptr::null_mut::<libc::siginfo_t>());
    // SAFETY: as in `Signals::next`.
    unsafe { libc::syscall(libc::SYS_rt_sigtimedwait, &raw const set, info, zero.as_ptr(), SIGSET_SIZE) };
}

/// Stops us; returns when somebody has continued us. No effect on PID 1. `job`: all of our group, as
/// Ctrl-Z would have done.
pub fn stop_ourselves(job: bool) {
    // SAFETY: plain numbers; 0 is our own group.
    unsafe { libc::kill(if job { 0 } else { libc::getpid() }, libc::SIGSTOP) };
}

/// Has the kernel send us this signal when the thread that started us ends.
///
/// # Errors
///
/// No signal of this number.
pub fn set_parent_death_signal(signal: u8) -> io::Result<()> {
    // SAFETY: plain numbers.
    let result = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::c_ulong::from(signal), 0, 0, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::testing::in_own_process;

    #[test]
    fn every_signal_up_to_64_waits_until_it_is_asked_for() {
        in_own_process("sys::init::tests::every_signal_up_to_64_waits_until_it_is_asked_for", || {
            let signals = Signals::hold();
            // The kernel delivers to any thread; the test's own is the only one that waits.
            for number in (1..=64u8).filter(|number| ![9, 19].contains(number)) {
                // SAFETY: the signal is blocked in this thread, to which it is sent.
                unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), libc::gettid(), c_int::from(number)) };
                assert_eq!(signals.next(true), Some(number));
            }
            assert_eq!(signals.next(true), None);
        });
    }
}
