//! The terminal that an operator sits at: its size, single keys, and the signals that concern it.

use std::io::{self, PipeReader};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

#[cfg(feature = "attach")]
use nix::sys::termios::cfmakeraw;
use nix::sys::termios::{LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr};

/// Columns and rows of the terminal that `output` is; `None` where it is none, or does not say.
pub fn size(output: impl AsFd) -> Option<(usize, usize)> {
    let mut size = std::mem::MaybeUninit::<libc::winsize>::zeroed();
    let fd = output.as_fd().as_raw_fd();
    // SAFETY: the descriptor is borrowed for the call; the structure is writable and of the right size.
    let result = unsafe { libc::ioctl(fd, libc::TIOCGWINSZ, size.as_mut_ptr()) };
    // SAFETY: zeroed before, and plain numbers whatever the kernel wrote.
    let size = unsafe { size.assume_init() };
    (result == 0 && size.ws_col > 0 && size.ws_row > 0).then_some((usize::from(size.ws_col), usize::from(size.ws_row)))
}

/// A pipe that becomes readable when one of these signals comes, for the rest of the program's life. What they did
/// before they do no more.
///
/// # Errors
///
/// Where no pipe can be made or a handler can't be installed.
pub fn signals(numbers: &[i32]) -> io::Result<PipeReader> {
    let (reader, writer) = io::pipe()?;
    for number in numbers {
        signal_hook::low_level::pipe::register(*number, OwnedFd::from(writer.try_clone()?))?;
    }
    Ok(reader)
}

/// Single keys without an echo, as long as this lives; then the terminal is as before.
#[derive(Debug)]
pub struct RawMode {
    before: Termios,
    terminal: OwnedFd,
}

impl RawMode {
    /// Turns off lines, echo, and the keys that make signals. Output is as before: `\n` begins a new line.
    ///
    /// # Errors
    ///
    /// Where `terminal` is none.
    pub fn enter(terminal: impl AsFd) -> io::Result<RawMode> {
        let terminal = terminal.as_fd().try_clone_to_owned()?;
        let before = tcgetattr(&terminal)?;
        let mut raw = before.clone();
        raw.local_flags &= !(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG | LocalFlags::IEXTEN);
        // One byte is enough to return from a read.
        for (index, value) in [(SpecialCharacterIndices::VMIN, 1), (SpecialCharacterIndices::VTIME, 0)] {
            if let Some(slot) = raw.control_chars.get_mut(index as usize) {
                *slot = value;
            }
        }
        tcsetattr(&terminal, SetArg::TCSADRAIN, &raw)?;
        Ok(RawMode { before, terminal })
    }

    /// Passes every byte on as it is, in both directions: another terminal does the rest.
    ///
    /// # Errors
    ///
    /// Where `terminal` is none.
    #[cfg(feature = "attach")]
    pub fn pass_through(terminal: impl AsFd) -> io::Result<RawMode> {
        let terminal = terminal.as_fd().try_clone_to_owned()?;
        let before = tcgetattr(&terminal)?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(&terminal, SetArg::TCSADRAIN, &raw)?;
        Ok(RawMode { before, terminal })
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // Nothing sensible can be done about a failure: the terminal has gone.
        let _ = tcsetattr(&self.terminal, SetArg::TCSADRAIN, &self.before);
    }
}
