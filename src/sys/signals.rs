//! The signals that the daemon listens to.
//!
//! The handlers only count, and ring: they may run on any thread. What has come, the counts tell.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use nix::sys::signal::SigSet;
use signal_hook::SigId;
use signal_hook::low_level::{register, unregister};
use signal_hook_registry::register_sigaction;

use super::doorbell::Doorbell;
use super::machine::Power;

/// What the daemon listens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM, SIGINT, SIGQUIT or SIGPWR, by its number: shut down; the second one: now.
    Terminate(u8),
    /// SIGHUP: reload the configuration.
    Reload,
    /// SIGUSR2: reopen all log files.
    Reopen,
    /// SIGCHLD: sweep.
    Child,
    /// As the kernel's init: everything is to end, and then this.
    Power(Power),
    /// One that would have ended the daemon and has no meaning to it. Each number is reported once.
    Meaningless(u8),
}

/// Who listens: the same signals mean other things to a machine's init.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Listener {
    /// A daemon, or the init of a container.
    #[default]
    Daemon,
    /// The kernel's init; its signals are those of busybox's.
    Machine,
}

type Table = &'static [(i32, Signal)];

const DAEMON: Table = &[
    (libc::SIGTERM, Signal::Terminate(15)),
    (libc::SIGINT, Signal::Terminate(2)),
    (libc::SIGQUIT, Signal::Terminate(3)),
    // The power fails; a container's manager may mean no more than a stop.
    (libc::SIGPWR, Signal::Terminate(30)),
    (libc::SIGHUP, Signal::Reload),
    (libc::SIGUSR2, Signal::Reopen),
    (libc::SIGCHLD, Signal::Child),
    // These would end the daemon: it must not die by a mistyped number. Its own faults and limits keep their effect.
    (libc::SIGUSR1, Signal::Meaningless(10)),
    (libc::SIGALRM, Signal::Meaningless(14)),
    (libc::SIGVTALRM, Signal::Meaningless(26)),
    (libc::SIGPROF, Signal::Meaningless(27)),
    (libc::SIGIO, Signal::Meaningless(29)),
];

const MACHINE: Table = &[
    (libc::SIGTERM, Signal::Power(Power::Reboot)),
    // Ctrl-Alt-Del.
    (libc::SIGINT, Signal::Power(Power::Reboot)),
    (libc::SIGUSR1, Signal::Power(Power::Halt)),
    (libc::SIGUSR2, Signal::Power(Power::Off)),
    (libc::SIGPWR, Signal::Power(Power::Off)),
    (libc::SIGHUP, Signal::Reload),
    (libc::SIGCHLD, Signal::Child),
];

impl Listener {
    fn table(self) -> Table {
        match self {
            Listener::Daemon => DAEMON,
            Listener::Machine => MACHINE,
        }
    }
}

/// What the signal handlers share with the thread that reads the signals.
struct SignalState {
    /// How many times each signal of the table has come since it was last asked.
    counts: Box<[AtomicUsize]>,
    children: AtomicU8,
    /// A child that a signal has named since the last sweep: as a rule it is the only one that has ended. 0: none.
    named_child: AtomicI32,
    bell: Arc<Doorbell>,
}

/// What is known of the ends of children: nothing, …
const NONE_ENDED: u8 = 0;
/// … that one has ended, …
const ENDED: u8 = 1;
/// … or that whoever reaps was told so, and has not begun yet. A storm of ends is so one wake-up, whatever it takes to
/// reap.
const REPORTED: u8 = 2;

impl SignalState {
    /// In a signal handler, as the next one: atomics and at most one system call, nothing else.
    fn note(&self, index: usize) {
        if self.counts.get(index).is_some_and(|count| count.fetch_add(1, Ordering::SeqCst) == 0) {
            self.bell.ring();
        }
    }

    fn note_child(&self, pid: i32) {
        // The first pid is kept: it has waited longest.
        let _ = self.named_child.compare_exchange(0, pid, Ordering::SeqCst, Ordering::SeqCst);
        if self.children.compare_exchange(NONE_ENDED, ENDED, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            self.bell.ring();
        }
    }
}

/// To be told when the children are about to be reaped: until then no further end of one wakes anybody up.
#[derive(Clone)]
pub struct ChildSignals(Arc<SignalState>);

impl ChildSignals {
    /// One that has ended, as far as its signal told: a hint, since the kernel merges the signals of several, and a
    /// stop or anybody else may send one. Each is told once.
    pub fn take_named(&self) -> Option<i32> {
        Some(self.0.named_child.swap(0, Ordering::SeqCst)).filter(|pid| *pid > 0)
    }

    /// Who ends from now on is told of again.
    pub fn expect_more(&self) {
        self.0.children.store(NONE_ENDED, Ordering::SeqCst);
    }
}

/// How many [`Signals`] exist, and the switch that gives the signals their default effect
/// while there are none. Handlers stay installed for good (taking them out would race with other users of
/// `signal-hook`), and without the switch a program could not be ended by SIGTERM after `run` has returned.
struct Idle {
    active: usize,
    flag: Option<Arc<AtomicBool>>,
    /// Signals without a meaning to us that somebody else in this program handles or ignores.
    foreign: Vec<i32>,
}

static IDLE: Mutex<Idle> = Mutex::new(Idle { active: 0, flag: None, foreign: Vec::new() });

/// The registered signals; unregisters them when dropped, after which they have the effect again that
/// they had before. Several may exist at a time: each hears every signal.
pub struct Signals {
    table: Table,
    ids: Vec<SigId>,
    state: Arc<SignalState>,
    /// A bit for each signal without a meaning that has been reported.
    reported: AtomicU64,
}

impl std::fmt::Debug for Signals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signals").field("table", &self.table).finish_non_exhaustive()
    }
}

impl Signals {
    /// Begins to listen, and ignores SIGPIPE. Each signal rings `bell`.
    ///
    /// # Errors
    ///
    /// Where a handler can't be installed.
    pub fn install(listener: Listener, bell: Arc<Doorbell>) -> io::Result<Signals> {
        let table = listener.table();
        let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: ignoring a signal runs no code of ours. A client that goes away shall be an error of write.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
        restore_defaults_when_idle(&mut idle)?;
        let counts = table.iter().map(|_| AtomicUsize::new(0)).collect();
        let (children, named_child) = (AtomicU8::new(NONE_ENDED), AtomicI32::new(0));
        let state = Arc::new(SignalState { counts, children, named_child, bell });
        idle.active += 1;
        set_idle(&idle, false);
        let foreign = idle.foreign.clone();
        drop(idle);
        let ids = Vec::with_capacity(table.len());
        let mut signals = Signals { table, ids, state, reported: AtomicU64::new(0) };
        for (index, (number, signal)) in table.iter().enumerate() {
            if matches!(signal, Signal::Meaningless(_)) && foreign.contains(number) {
                continue;
            }
            let state = Arc::clone(&signals.state);
            // SAFETY: see `SignalState::note`; it allocates nothing, locks nothing and can't panic. Whoever sends
            // SIGCHLD, the kernel or a process, the field of the pid is set.
            let id = unsafe {
                match signal {
                    Signal::Child => register_sigaction(*number, move |info| state.note_child(info.si_pid())),
                    Signal::Terminate(_)
                    | Signal::Reload
                    | Signal::Reopen
                    | Signal::Power(_)
                    | Signal::Meaningless(_) => register(*number, move || state.note(index)),
                }
            };
            signals.ids.push(id?);
        }
        Ok(signals)
    }

    /// For whoever reaps.
    pub fn child_signals(&self) -> ChildSignals {
        ChildSignals(Arc::clone(&self.state))
    }

    /// Each signal that has come since the last call, and how many times it did at least: the kernel merges signals of
    /// one number that are pending at the same time. [`Signal::Child`] comes once until [`ChildSignals`] expects more.
    pub fn take(&self) -> impl Iterator<Item = (Signal, usize)> {
        let state = &self.state;
        let count = |signal: Signal, count: &AtomicUsize| match signal {
            Signal::Child => {
                state.children.compare_exchange(ENDED, REPORTED, Ordering::SeqCst, Ordering::SeqCst).map_or(0, |_| 1)
            }
            Signal::Terminate(_) | Signal::Reload | Signal::Reopen | Signal::Power(_) | Signal::Meaningless(_) => {
                count.swap(0, Ordering::SeqCst)
            }
        };
        let signals = self.table.iter().map(|(_, signal)| *signal);
        let came = signals.zip(&state.counts).map(move |(signal, counted)| (signal, count(signal, counted)));
        came.filter(|(_, count)| *count > 0).filter(|(signal, _)| self.is_to_be_reported(*signal))
    }

    fn is_to_be_reported(&self, signal: Signal) -> bool {
        let Signal::Meaningless(number) = signal else { return true };
        let bit = 1u64.checked_shl(u32::from(number)).unwrap_or(0);
        self.reported.fetch_or(bit, Ordering::Relaxed) & bit == 0
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for id in &self.ids {
            unregister(*id);
        }
        let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
        idle.active = idle.active.saturating_sub(1);
        set_idle(&idle, idle.active == 0);
    }
}

/// What a thread brings upon itself by a fault: blocked, it would end the process without a word.
const FAULTS: [nix::sys::signal::Signal; 5] = {
    use nix::sys::signal::Signal::{SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP};
    [SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP]
};

/// This thread takes no signals, for good: each would cost it a wake-up, and another one for who acts on it.
pub fn leave_to_others() {
    let mut all = SigSet::all();
    FAULTS.iter().for_each(|fault| all.remove(*fault));
    // Fails for no valid set.
    let _ = all.thread_block();
}

/// Has this thread, and those that it makes, go on with its work whatever signal comes, until this is dropped: another
/// thread takes it, the one that acts on it, which has to be awake then anyway.
#[derive(Debug)]
pub struct LeftToOthers {
    before: Option<SigSet>,
}

impl LeftToOthers {
    /// From now on.
    pub fn begin(listener: Listener) -> LeftToOthers {
        let before = SigSet::thread_get_mask().ok();
        // What has no meaning to us may have one to a program that we are in, on this very thread.
        let all = listener.table().iter().filter(|(_, signal)| !matches!(signal, Signal::Meaningless(_)));
        let all = all.filter_map(|(number, _)| nix::sys::signal::Signal::try_from(*number).ok());
        // Fails for no valid set.
        let _ = all.collect::<SigSet>().thread_block();
        LeftToOthers { before }
    }

    /// For the thread that takes the signals, and that this one has made.
    pub fn take_back(&self) {
        if let Some(before) = &self.before {
            let _ = before.thread_set_mask();
        }
    }
}

impl Drop for LeftToOthers {
    fn drop(&mut self) {
        self.take_back();
    }
}

/// From now on these signals do nothing while nobody listens: for a program that ends when its supervisor has ended,
/// and whose exit code a second SIGTERM must not change.
pub fn ignore_hangups() {
    let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
    idle.active += 1;
    set_idle(&idle, false);
}

fn set_idle(idle: &Idle, value: bool) {
    if let Some(flag) = &idle.flag {
        flag.store(value, Ordering::SeqCst);
    }
}

/// Once a program: for each signal that would have ended the program, an action that still does while
/// nobody listens. Signals that were handled or ignored before keep that (signal-hook calls
/// the earlier handler).
fn restore_defaults_when_idle(idle: &mut Idle) -> io::Result<()> {
    if idle.flag.is_some() {
        return Ok(());
    }
    let flag = Arc::new(AtomicBool::new(false));
    for &(number, signal) in DAEMON {
        if matches!(signal, Signal::Meaningless(_)) && !is_default(number) {
            idle.foreign.push(number);
        }
        // signal-hook does not know what SIGPWR would have done.
        if signal != Signal::Child && number != libc::SIGPWR && is_default(number) {
            signal_hook::flag::register_conditional_default(number, Arc::clone(&flag))?;
        }
    }
    idle.flag = Some(flag);
    Ok(())
}

fn is_default(number: i32) -> bool {
    let mut now = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: only asks; `now` is writable, of the right size, and valid when zeroed.
    let now = unsafe {
        libc::sigaction(number, std::ptr::null(), now.as_mut_ptr());
        now.assume_init()
    };
    now.sa_sigaction == libc::SIG_DFL
}

/// Makes a descriptor non-blocking. The flag belongs to the open description, which copies and
/// children share: never for what a child is given.
///
/// # Errors
///
/// A descriptor that is not open.
pub fn set_nonblocking(fd: BorrowedFd<'_>) -> io::Result<()> {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    fcntl(fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::doorbell::Sleeper;
    use crate::sys::testing::in_own_process;

    fn install() -> (Signals, Sleeper) {
        let bell = Arc::new(Doorbell::default());
        let sleeper = Arc::clone(&bell).sleeper().unwrap();
        (Signals::install(Listener::Daemon, bell).unwrap(), sleeper)
    }

    #[test]
    fn every_signal_is_told_apart_and_counted_and_install_can_be_repeated() {
        in_own_process(
            "sys::signals::tests::every_signal_is_told_apart_and_counted_and_install_can_be_repeated",
            || {
                for _ in 0..3 {
                    let (signals, mut sleeper) = install();
                    for &(number, signal) in DAEMON {
                        signal_hook::low_level::raise(number).unwrap();
                        sleeper.wait(None);
                        assert_eq!(signals.take().collect::<Vec<_>>(), [(signal, 1)]);
                        assert_eq!(signals.take().count(), 0);
                        signals.child_signals().expect_more();
                        let sender = (signal == Signal::Child).then_some(std::process::id().cast_signed());
                        assert_eq!(signals.child_signals().take_named(), sender);
                        assert_eq!(signals.child_signals().take_named(), None, "once");
                    }
                    signal_hook::low_level::raise(libc::SIGUSR1).unwrap();
                    sleeper.wait(None);
                    assert_eq!(signals.take().count(), 0, "what has no meaning is reported once");
                    // Whoever has been told of one end is told of no other one until he reaps.
                    signal_hook::low_level::raise(libc::SIGCHLD).unwrap();
                    assert_eq!(signals.take().collect::<Vec<_>>(), [(Signal::Child, 1)]);
                    signal_hook::low_level::raise(libc::SIGCHLD).unwrap();
                    assert_eq!(signals.take().count(), 0);
                    signals.child_signals().expect_more();
                    signal_hook::low_level::raise(libc::SIGCHLD).unwrap();
                    assert_eq!(signals.take().collect::<Vec<_>>(), [(Signal::Child, 1)]);
                    // Nobody has looked meanwhile: each is counted all the same.
                    for _ in 0..70_000 {
                        signal_hook::low_level::raise(libc::SIGHUP).unwrap();
                    }
                    signal_hook::low_level::raise(libc::SIGTERM).unwrap();
                    assert_eq!(
                        signals.take().collect::<Vec<_>>(),
                        [(Signal::Terminate(15), 1), (Signal::Reload, 70_000)]
                    );
                }
            },
        );
    }

    #[test]
    fn after_the_last_drop_sigterm_ends_the_program_again() {
        use std::os::unix::process::ExitStatusExt;
        const NAME: &str = "sys::signals::tests::after_the_last_drop_sigterm_ends_the_program_again";
        if std::env::var("SUPERVICE_TEST_DIES").is_ok() {
            drop(install());
            signal_hook::low_level::raise(libc::SIGTERM).unwrap();
            unreachable!("SIGTERM had no effect");
        }
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args([NAME, "--exact"])
            .env("SUPERVICE_TEST_DIES", "1")
            .output()
            .unwrap();
        assert_eq!(output.status.signal(), Some(libc::SIGTERM));
    }
}
