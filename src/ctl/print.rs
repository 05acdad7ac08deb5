//! Standard output and standard error.

use std::io::{self, Write};

use super::exit::{DONE, FAILED};
use super::text::printable_lines;
use crate::util::errno;

/// The version of this program.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Writes to standard error what failed.
pub(super) fn complain(message: &str) {
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
            complain(&format!("cannot write to standard output: {}", errno::reason(&error)));
            FAILED
        }
    }
}

/// Writes one of many parts. A reader that has ended ends this program too, as it does others.
pub(super) fn print_part(text: &[u8]) -> u8 {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text).and_then(|()| stdout.flush()) {
        Ok(()) => DONE,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(i32::from(DONE)),
        Err(error) => {
            complain(&format!("cannot write to standard output: {}", errno::reason(&error)));
            FAILED
        }
    }
}
