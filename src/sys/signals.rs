//! The signals that the daemon listens to, each as a descriptor that becomes readable.
//!
//! The handlers only write a byte into a pipe: they may run on any thread. One pipe a signal, because
//! the byte doesn't say which signal it was.

use std::io::{self, PipeReader, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use signal_hook::SigId;
use signal_hook::low_level::{pipe, unregister};

/// What the daemon listens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM, SIGINT or SIGQUIT: shut down; the second one: now.
    Terminate,
    /// SIGHUP: reload the configuration.
    Reload,
    /// SIGUSR2: reopen all log files.
    Reopen,
    /// SIGCHLD: sweep.
    Child,
}

const LISTENED: [(i32, Signal); 6] = [
    (libc::SIGTERM, Signal::Terminate),
    (libc::SIGINT, Signal::Terminate),
    (libc::SIGQUIT, Signal::Terminate),
    (libc::SIGHUP, Signal::Reload),
    (libc::SIGUSR2, Signal::Reopen),
    (libc::SIGCHLD, Signal::Child),
];

struct Listener {
    number: i32,
    signal: Signal,
    reader: PipeReader,
    id: SigId,
}

/// How many [`SignalPipes`] exist, and the switch that gives the signals their default effect
/// while there are none. Handlers stay installed for good (taking them out would race with other users of
/// `signal-hook`), and without the switch a program could not be ended by SIGTERM after `run` has returned.
struct Idle {
    active: usize,
    flag: Option<Arc<AtomicBool>>,
}

static IDLE: Mutex<Idle> = Mutex::new(Idle { active: 0, flag: None });

/// The registered signals; unregisters them when dropped, after which they have the effect again that
/// they had before. Several may exist at a time: each hears every signal.
pub struct SignalPipes {
    listeners: Vec<Listener>,
}

impl std::fmt::Debug for SignalPipes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.listeners.iter().map(|listener| (listener.number, listener.signal))).finish()
    }
}

impl SignalPipes {
    /// Begins to listen, and ignores SIGPIPE.
    ///
    /// # Errors
    ///
    /// Where no pipe can be made or a handler can't be installed.
    pub fn install() -> io::Result<SignalPipes> {
        let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: ignoring a signal runs no code of ours. A client that goes away shall be an error of write.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
        restore_defaults_when_idle(&mut idle)?;
        let mut pipes = SignalPipes { listeners: Vec::with_capacity(LISTENED.len()) };
        idle.active += 1;
        set_idle(&idle, false);
        drop(idle);
        for (number, signal) in LISTENED {
            let (reader, writer) = io::pipe()?;
            set_nonblocking(reader.as_fd())?;
            let id = pipe::register(number, writer)?;
            pipes.listeners.push(Listener { number, signal, reader, id });
        }
        Ok(pipes)
    }

    /// Each signal with the descriptor that becomes readable when it has come.
    pub fn iter(&self) -> impl Iterator<Item = (Signal, BorrowedFd<'_>)> {
        self.listeners.iter().map(|listener| (listener.signal, listener.reader.as_fd()))
    }

    /// Empties the pipe with the given descriptor and returns how many times its signal has come at least:
    /// the kernel merges signals of one kind that are pending at the same time. Unknown descriptors: 0.
    pub fn drain(&self, fd: i32) -> usize {
        let Some(listener) = self.listeners.iter().find(|listener| listener.reader.as_raw_fd() == fd) else { return 0 };
        let mut total = 0;
        let mut buffer = [0; 64];
        // A pipe holds 64 KiB, and writing goes on only as fast as signals come: this ends.
        loop {
            match (&listener.reader).read(&mut buffer) {
                Ok(0) => return total,
                Ok(count) => total += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return total,
            }
        }
    }
}

impl Drop for SignalPipes {
    fn drop(&mut self) {
        for listener in &self.listeners {
            unregister(listener.id);
        }
        let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
        idle.active = idle.active.saturating_sub(1);
        set_idle(&idle, idle.active == 0);
    }
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
    for (number, signal) in LISTENED {
        if signal != Signal::Child && is_default(number) {
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
    use crate::sys::testing::in_own_process;

    fn wait_readable(fd: BorrowedFd<'_>) {
        let mut poll = [nix::poll::PollFd::new(fd, nix::poll::PollFlags::POLLIN)];
        assert_eq!(nix::poll::poll(&mut poll, 10_000u16), Ok(1));
    }

    #[test]
    fn every_signal_arrives_at_its_own_pipe_and_install_can_be_repeated() {
        in_own_process("sys::signals::tests::every_signal_arrives_at_its_own_pipe_and_install_can_be_repeated", || {
            for _ in 0..3 {
                let pipes = SignalPipes::install().unwrap();
                for ((number, _), (signal, fd)) in LISTENED.iter().zip(pipes.iter()) {
                    signal_hook::low_level::raise(*number).unwrap();
                    wait_readable(fd);
                    let heard: Vec<_> = pipes.iter().filter(|(_, fd)| pipes.drain(fd.as_raw_fd()) == 1).collect();
                    assert_eq!(heard.len(), 1);
                    assert_eq!(heard.first().map(|(signal, _)| *signal), Some(signal));
                }
            }
        });
    }

    #[test]
    fn after_the_last_drop_sigterm_ends_the_program_again() {
        use std::os::unix::process::ExitStatusExt;
        const NAME: &str = "sys::signals::tests::after_the_last_drop_sigterm_ends_the_program_again";
        if std::env::var("SUPERVICE_TEST_DIES").is_ok() {
            drop(SignalPipes::install().unwrap());
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
