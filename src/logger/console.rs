//! The daemon's inherited standard output and error: the only place that writes to them.
//!
//! The lines of the children and of the daemon itself all pass here, so that no line is ever mixed
//! into another. Each of the two descriptors has a queue and a thread of its own (started by the first
//! line), because either may be a pipe or terminal that nobody reads: then its queue fills up, further
//! lines are counted as lost, and nobody waits. Descriptors that mean the same file share one queue.

use std::fs::{self, File};
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

use log::Level;
use nix::poll::{PollFd, PollFlags, PollTimeout};

use super::format::{JsonHead, json_line};
use super::queue::LineQueue;
use crate::util::errno;
use crate::util::plural::{choose, counted};
use crate::util::thread;

/// One of the two inherited descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConsoleStream {
    /// Descriptor 1.
    Stdout,
    /// Descriptor 2.
    Stderr,
}

impl ConsoleStream {
    fn description(self) -> &'static str {
        match self {
            ConsoleStream::Stdout => "standard output",
            ConsoleStream::Stderr => "standard error",
        }
    }
}

/// The most that is written at once, in bytes: what a pipe takes in one piece, so that lines stay
/// whole even beside other processes that write to it.
const PIECE_BYTES: usize = 4096;
/// A console that has not taken anything for so long counts as stalled.
const STALLED_AFTER: Duration = Duration::from_secs(1);

/// Hands one line (without its newline) made of `parts` to the console; never waits. `false`: dropped,
/// because more than a megabyte waits already.
pub fn write_line(stream: ConsoleStream, parts: &[&[u8]]) -> bool {
    lane(stream).push(parts)
}

/// `true` while so much waits for the console that a source of lines should pause.
pub(crate) fn is_busy(stream: ConsoleStream) -> bool {
    lane(stream).is_busy()
}

/// `true` when the console takes nothing for a second although something waits. To be asked again and again for as long as it is
/// busy.
pub(crate) fn is_stalled(stream: ConsoleStream) -> bool {
    lane(stream).has_stalled(Instant::now(), STALLED_AFTER)
}

/// Waits until everything has been written, at most until `deadline`, and not for a console that has taken nothing for
/// a second since `begin`; whether all was written.
pub(crate) fn flush(begin: Instant, deadline: Instant) -> bool {
    let lanes = LANES.iter().filter_map(OnceLock::get);
    // One that hangs keeps the other one from nothing.
    lanes.filter(|lane| !lane.flush_while_it_moves(begin, STALLED_AFTER, deadline)).count() == 0
}

/// Whether lines for people should be coloured: a terminal, and the user has not asked otherwise. That stays as it is
/// found first: each line asks for it.
pub(crate) fn wants_colour(stream: ConsoleStream) -> bool {
    static STDOUT: OnceLock<bool> = OnceLock::new();
    static STDERR: OnceLock<bool> = OnceLock::new();
    match stream {
        ConsoleStream::Stdout => *STDOUT.get_or_init(|| takes_colour(io::stdout().is_terminal())),
        ConsoleStream::Stderr => *STDERR.get_or_init(|| takes_colour(io::stderr().is_terminal())),
    }
}

fn takes_colour(terminal: bool) -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    terminal && !refused && !dumb
}

static LANES: [OnceLock<&'static LineQueue>; 2] = [OnceLock::new(), OnceLock::new()];
static SAME: OnceLock<bool> = OnceLock::new();

fn lane(stream: ConsoleStream) -> &'static LineQueue {
    let stream = if *SAME.get_or_init(same_file) { ConsoleStream::Stdout } else { stream };
    let [out, err] = &LANES;
    let lane = match stream {
        ConsoleStream::Stdout => out,
        ConsoleStream::Stderr => err,
    };
    // A queue lives as long as the process; its thread ends with it.
    lane.get_or_init(|| {
        let queue: &'static LineQueue = Box::leak(Box::default());
        let name = match stream {
            ConsoleStream::Stdout => "console:out",
            ConsoleStream::Stderr => "console:err",
        };
        if thread::spawn(name, 32 * 1024, move || run(stream, queue)).is_err() {
            // Its lines are lost: nothing better can be done.
            queue.abandon();
        }
        queue
    })
}

/// Wakes those who were to be woken later.
pub(super) fn wake_deferred() {
    LANES.iter().filter_map(OnceLock::get).for_each(|queue| queue.wake_deferred());
}

/// Whether what is written to standard output goes to `/dev/null`: then no line is made for it.
pub(super) fn is_discarded() -> bool {
    let null = || fs::metadata("/dev/null").ok().filter(|null| null.file_type().is_char_device());
    let out = io::stdout().as_fd().try_clone_to_owned().and_then(|fd| File::from(fd).metadata());
    let device = out.ok().filter(|out| out.file_type().is_char_device()).map(|out| out.rdev());
    device.is_some_and(|device| null().is_some_and(|null| null.rdev() == device))
}

/// Whether standard output is a file.
pub(super) fn is_file() -> bool {
    let out = io::stdout().as_fd().try_clone_to_owned().and_then(|fd| File::from(fd).metadata());
    out.is_ok_and(|out| out.is_file())
}

/// Whether both descriptors mean the same file, as after `2>&1`.
fn same_file() -> bool {
    let identity = |fd: io::Result<std::os::fd::OwnedFd>| {
        let metadata = File::from(fd.ok()?).metadata().ok()?;
        Some((metadata.dev(), metadata.ino()))
    };
    let out = identity(io::stdout().as_fd().try_clone_to_owned());
    out.is_some() && out == identity(io::stderr().as_fd().try_clone_to_owned())
}

fn run(stream: ConsoleStream, queue: &LineQueue) {
    crate::sys::signals::leave_to_others();
    let (mut bytes, mut was_broken) = (Vec::new(), false);
    loop {
        let batch = queue.next(bytes);
        let (mut lost, broken) = write_whole_lines(stream, &batch.bytes, queue);
        if let Some(error) = broken.filter(|_| !was_broken) {
            // For the log file; the line that comes here is lost as well.
            log::error!("{}: {}; what is shown there is lost", stream.description(), errno::text(error as i32));
        }
        was_broken = broken.is_some();
        lost += batch.lost;
        if lost > 0 {
            let _ = write_all(stream, &loss(lost, super::is_json()), queue);
        }
        bytes = batch.bytes;
    }
}

/// The line that stands where so many were lost, in the format of all others.
fn loss(lost: u64, is_json: bool) -> Vec<u8> {
    let (lines, were) = (counted(lost, "line"), choose(lost, "was", "were"));
    let text = format!("{lines} {were} lost here, because this output was not read in time");
    let mut note = Vec::new();
    if is_json {
        json_line(SystemTime::now(), JsonHead::own(Level::Warn), text.as_bytes(), &mut note);
    } else {
        note.extend_from_slice(format!("supervice: {text}").as_bytes());
    }
    note.push(b'\n');
    note
}

/// Writes the lines in pieces that end with a line's end where they can; returns how many lines a
/// broken descriptor has refused, and why.
fn write_whole_lines(stream: ConsoleStream, mut bytes: &[u8], queue: &LineQueue) -> (u64, Option<nix::Error>) {
    let (mut lost, mut broken) = (0, None);
    while !bytes.is_empty() {
        let most = bytes.len().min(PIECE_BYTES);
        let window = bytes.get(..most).unwrap_or(bytes);
        let count = window.iter().rposition(|byte| *byte == b'\n').map_or(most, |at| at + 1);
        let (piece, rest) = bytes.split_at(count);
        if let Err(error) = write_all(stream, piece, queue) {
            lost += piece.iter().filter(|byte| **byte == b'\n').count() as u64;
            broken = Some(error);
        }
        bytes = rest;
    }
    (lost, broken)
}

/// Fails where the descriptor is broken (no reader, disk full, closed). Never spins: what failed is given
/// up, and the next line tries again.
fn write_all(stream: ConsoleStream, mut bytes: &[u8], queue: &LineQueue) -> nix::Result<()> {
    while !bytes.is_empty() {
        match write_some(stream, bytes) {
            Ok(0) => return Err(nix::Error::EIO),
            Ok(written) => {
                bytes = bytes.get(written..).unwrap_or_default();
                queue.progressed();
            }
            Err(nix::Error::EINTR) => {}
            Err(nix::Error::EAGAIN) => wait_writable(stream),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Straight to the descriptor: std's own buffers would hold a lock and split lines.
fn write_some(stream: ConsoleStream, bytes: &[u8]) -> nix::Result<usize> {
    match stream {
        ConsoleStream::Stdout => nix::unistd::write(io::stdout().as_fd(), bytes),
        ConsoleStream::Stderr => nix::unistd::write(io::stderr().as_fd(), bytes),
    }
}

/// For a descriptor that somebody else has made non-blocking.
fn wait_writable(stream: ConsoleStream) {
    let (out, err) = (io::stdout(), io::stderr());
    let fd = match stream {
        ConsoleStream::Stdout => out.as_fd(),
        ConsoleStream::Stderr => err.as_fd(),
    };
    let _ = nix::poll::poll(&mut [PollFd::new(fd, PollFlags::POLLOUT)], PollTimeout::NONE);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_lost_is_told_in_the_format_of_the_other_lines() {
        let text = |lost| String::from_utf8(loss(lost, false)).expect("UTF-8");
        assert_eq!(text(1), "supervice: 1 line was lost here, because this output was not read in time\n");
        assert!(text(2).starts_with("supervice: 2 lines were lost here, "));
        let note: serde_json::Value = serde_json::from_slice(&loss(7, true)).expect("a JSON object");
        assert_eq!(
            (&note["program"], &note["level"], &note["stream"]),
            (&"supervice".into(), &"WARN".into(), &"log".into())
        );
        assert!(note["line"].as_str().is_some_and(|line| line.starts_with("7 lines were lost here")));
    }
}
