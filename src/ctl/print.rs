//! Standard output and standard error.

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::exit::{DONE, FAILED};
use super::text::printable_lines;
use crate::util::errno;

/// The version of this program.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Writes to standard error what failed.
pub(super) fn print_error(message: &str) {
    let _ = writeln!(io::stderr(), "supervicectl: {}", printable_lines(message));
}

/// Writes to standard output.
pub(super) fn print(text: &str) -> u8 {
    let mut stdout = io::stdout();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => DONE,
        // The reader (`| head`) has ended: no failure of ours.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => DONE,
        Err(error) => {
            print_error(&format!("cannot write to standard output: {}", errno::reason(&error)));
            FAILED
        }
    }
}

/// What comes, as it comes, for as long as somebody reads what is shown of it. `is_ready` tells whether the next item
/// needs no wait.
pub(super) fn while_read<S: Iterator + AsFd>(mut stream: S, is_ready: fn(&S) -> bool) -> impl Iterator<Item = S::Item> {
    std::iter::from_fn(move || {
        if !is_ready(&stream) {
            wait_readable(&[stream.as_fd()]);
        }
        stream.next()
    })
}

/// Waits until one of these has something to read; its place. `None`: a read tells more. When the reader of standard
/// output ends meanwhile, so does this program: else it would stay until there is something to write, perhaps for ever.
pub(super) fn wait_readable(inputs: &[BorrowedFd<'_>]) -> Option<usize> {
    let stdout = io::stdout();
    loop {
        let mut fds: Vec<PollFd<'_>> = inputs.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)).collect();
        // Without a flag: the kernel tells of errors and hang-ups alone. A pipe without a reader has the one, a socket
        // the other.
        fds.push(PollFd::new(stdout.as_fd(), PollFlags::empty()));
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) => {}
            Err(nix::Error::EINTR) => continue,
            Err(_) => return None,
        }
        let gone = fds.last().and_then(PollFd::revents);
        if gone.is_some_and(|events| events.intersects(PollFlags::POLLERR | PollFlags::POLLHUP)) {
            std::process::exit(i32::from(DONE));
        }
        return fds.iter().take(inputs.len()).position(|fd| fd.any() == Some(true));
    }
}

/// Writes one of many parts. A reader that has ended ends this program too, as it does others.
pub(super) fn print_part(text: &[u8]) -> u8 {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text).and_then(|()| stdout.flush()) {
        Ok(()) => DONE,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(i32::from(DONE)),
        Err(error) => {
            print_error(&format!("cannot write to standard output: {}", errno::reason(&error)));
            FAILED
        }
    }
}
