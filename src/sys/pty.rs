//! A pseudo-terminal: what a program takes for the terminal that somebody sits at.
//!
//! Our end is both: what is read there the program has written, what is written there was typed. It says EIO while
//! nobody has the program's end open, which is no end: a program may open its terminal again by `/dev/tty`.

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::fchown;
use std::path::Path;

use crate::models::WindowSize;

/// Both ends, close-on-exec.
#[derive(Debug)]
pub struct Pty {
    /// Our end.
    pub ours: OwnedFd,
    /// What becomes the program's standard streams, and the terminal of its session.
    pub childs: OwnedFd,
}

/// Makes a terminal of this size. It belongs to this user: what opens `/dev/stdout` anew needs that.
///
/// # Errors
///
/// Where the system has no pseudo-terminals (no `/dev/ptmx`), or none left.
pub fn open(size: WindowSize, owner: Option<u32>) -> io::Result<Pty> {
    // SAFETY: flags alone; O_NOCTTY: it must not become the terminal of the daemon.
    let ours = owned(unsafe { libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC) })?;
    // SAFETY: a descriptor of a pseudo-terminal that is ours.
    check(unsafe { libc::unlockpt(ours.as_raw_fd()) })?;
    let childs = other_end(&ours)?;
    if owner.is_some() {
        // Without it the program still has the descriptors.
        let _ = fchown(&childs, owner, None);
    }
    set_size(&ours, size)?;
    Ok(Pty { ours, childs })
}

/// By the descriptor: the path may lead elsewhere, or nowhere where `/dev/pts` is not mounted. By the path before Linux
/// 4.13.
fn other_end(ours: &OwnedFd) -> io::Result<OwnedFd> {
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: a descriptor that is ours, and flags.
    if let Ok(childs) = owned(unsafe { libc::ioctl(ours.as_raw_fd(), libc::TIOCGPTPEER, flags) }) {
        return Ok(childs);
    }
    let mut number: libc::c_uint = 0;
    // SAFETY: the number is writable and of the type that the kernel expects.
    check(unsafe { libc::ioctl(ours.as_raw_fd(), libc::TIOCGPTN, &raw mut number) })?;
    let path = Path::new("/dev/pts").join(number.to_string());
    let flags = nix::fcntl::OFlag::from_bits_truncate(flags);
    Ok(nix::fcntl::open(&path, flags, nix::sys::stat::Mode::empty())?)
}

/// Tells the terminal its size. What runs in the foreground there is told by SIGWINCH, if it is another one.
///
/// # Errors
///
/// Where the descriptor is no terminal.
pub fn set_size(terminal: impl AsFd, size: WindowSize) -> io::Result<()> {
    let size = libc::winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the descriptor is borrowed for the call; the structure is the kernel's.
    check(unsafe { libc::ioctl(terminal.as_fd().as_raw_fd(), libc::TIOCSWINSZ, &raw const size) })
}

/// The same; what runs in the foreground is told in any case, so that it draws its screen anew.
///
/// # Errors
///
/// Where the descriptor is no terminal.
pub fn announce_size(terminal: impl AsFd, size: WindowSize) -> io::Result<()> {
    let WindowSize { rows, columns } = size;
    if super::terminal::size(&terminal) == Some((usize::from(columns), usize::from(rows))) {
        set_size(&terminal, WindowSize { rows: rows.saturating_add(1), columns })?;
    }
    set_size(terminal, size)
}

fn owned(fd: libc::c_int) -> io::Result<OwnedFd> {
    check(fd)?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{IsTerminal, Read, Write};

    use super::*;
    use crate::sys::terminal;

    #[test]
    fn what_is_typed_at_one_end_is_read_at_the_other_and_the_size_is_known_there() {
        let Pty { ours, childs } = open(WindowSize { rows: 7, columns: 33 }, None).expect("a terminal");
        assert!(childs.is_terminal());
        assert_eq!(terminal::size(&childs), Some((33, 7)));
        set_size(&ours, WindowSize { rows: 9, columns: 40 }).expect("a size");
        assert_eq!(terminal::size(&childs), Some((40, 9)));
        let (mut ours, mut childs) = (File::from(ours), File::from(childs));
        ours.write_all(b"typed\n").expect("written");
        let mut read = [0; 16];
        let count = childs.read(&mut read).expect("read");
        assert_eq!(&read[..count], b"typed\n");
        childs.write_all(b"said").expect("written");
        // The echo of what was typed stands before it.
        let mut all = [0; b"typed\r\nsaid".len()];
        ours.read_exact(&mut all).expect("read");
        assert_eq!(&all, b"typed\r\nsaid");
        drop(childs);
        while let Ok(count) = ours.read(&mut read) {
            assert!(count > 0, "an end of file, which a terminal does not have");
        }
    }
}
