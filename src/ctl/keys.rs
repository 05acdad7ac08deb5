//! Single keys of a terminal, and what else an interactive program waits for.

use std::io::{self, PipeReader, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::sys::terminal::{RawMode, signals};

/// A key, as far as we tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Char(char),
    /// With Control; the letter is a small one.
    Ctrl(char),
    Enter,
    Tab,
    Backspace,
    Delete,
    Left,
    Right,
    Up,
    Down,
    Home,
    End,
    PageUp,
    PageDown,
    Escape,
    /// One that we do not know.
    Other,
}

/// Why a wait has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wake {
    Key(Key),
    /// The terminal has another size.
    Resized,
    /// SIGINT, SIGTERM or SIGHUP: it is to end.
    Terminated,
    /// The descriptor of this number among those that were given has something.
    Ready(usize),
    Timeout,
    /// The terminal is gone.
    Closed,
}

/// After an escape character the rest of a key's sequence comes at once, or it was the key Escape.
const SEQUENCE: Duration = Duration::from_millis(40);

/// The keyboard in raw mode; the terminal is as before when this is dropped or pauses.
pub(super) struct Keyboard {
    raw: Option<RawMode>,
    /// What was typed and not taken yet: of several lines that are pasted at once, all but the first.
    buffer: Vec<u8>,
}

/// The signals that an interactive program takes; to be asked for once.
pub(super) struct Ends {
    ending: PipeReader,
    resized: PipeReader,
}

impl Ends {
    pub fn install() -> io::Result<Ends> {
        let ending = signals(&[libc::SIGINT, libc::SIGTERM, libc::SIGHUP])?;
        Ok(Ends { ending, resized: signals(&[libc::SIGWINCH])? })
    }

    /// Forgets those that have come: they were meant for the command that was running.
    pub fn forget(&mut self) {
        let is_readable = |pipe: &PipeReader| {
            let mut fds = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
            poll(&mut fds, PollTimeout::ZERO) == Ok(1)
        };
        for pipe in [&mut self.ending, &mut self.resized] {
            if is_readable(pipe) {
                let _ = pipe.read(&mut [0; 64]);
            }
        }
    }
}

impl Keyboard {
    pub fn open() -> io::Result<Keyboard> {
        Ok(Keyboard { raw: Some(RawMode::enter(io::stdin())?), buffer: Vec::new() })
    }

    /// Leaves the terminal to somebody else for a while.
    pub fn pause(&mut self) {
        self.raw = None;
    }

    pub fn resume(&mut self) -> io::Result<()> {
        if self.raw.is_none() {
            self.raw = Some(RawMode::enter(io::stdin())?);
        }
        Ok(())
    }

    /// Waits for a key, a signal, one of the descriptors, or the end of the time.
    pub fn next(&mut self, ends: &mut Ends, others: &[BorrowedFd<'_>], timeout: Option<Duration>) -> Wake {
        let until = timeout.map(|timeout| Instant::now() + timeout);
        let mut half = false;
        loop {
            if let Some((key, length)) = decode(&self.buffer, half) {
                self.buffer.drain(..length);
                return Wake::Key(key);
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let wait = if self.buffer.is_empty() { left } else { Some(SEQUENCE) };
            let wait = wait.map_or(PollTimeout::NONE, |wait| {
                PollTimeout::try_from(milliseconds(wait).saturating_add(1)).unwrap_or(PollTimeout::MAX)
            });
            let stdin = io::stdin();
            let own = [stdin.as_fd(), ends.ending.as_fd(), ends.resized.as_fd()];
            let mut fds: Vec<PollFd<'_>> =
                own.iter().chain(others).map(|fd| PollFd::new(*fd, PollFlags::POLLIN)).collect();
            let ready = match poll(&mut fds, wait) {
                Ok(0) if self.buffer.is_empty() => return Wake::Timeout,
                Ok(0) => {
                    half = true;
                    continue;
                }
                Ok(_) => fds.iter().position(|fd| fd.any() == Some(true)),
                Err(nix::Error::EINTR) => continue,
                Err(_) => return Wake::Closed,
            };
            match ready {
                Some(0) => {
                    let mut bytes = [0; 256];
                    match nix::unistd::read(stdin.as_fd(), &mut bytes) {
                        Ok(count) if count > 0 => self.buffer.extend_from_slice(bytes.get(..count).unwrap_or_default()),
                        Err(nix::Error::EINTR) => {}
                        Ok(_) | Err(_) => return Wake::Closed,
                    }
                }
                Some(1) => {
                    ends.forget();
                    return Wake::Terminated;
                }
                Some(2) => {
                    let _ = ends.resized.read(&mut [0; 64]);
                    return Wake::Resized;
                }
                Some(number) => return Wake::Ready(number - own.len()),
                None => {}
            }
        }
    }
}

/// The milliseconds from now until a deadline of `poll`.
pub(super) fn milliseconds(time: Duration) -> i32 {
    i32::try_from(time.as_millis()).unwrap_or(i32::MAX)
}

/// The key at the beginning, and how many bytes it has; `None`: more must come. With `whole` nothing more does.
fn decode(bytes: &[u8], whole: bool) -> Option<(Key, usize)> {
    let first = *bytes.first()?;
    match first {
        b'\r' | b'\n' => Some((Key::Enter, 1)),
        b'\t' => Some((Key::Tab, 1)),
        0x7f | 0x08 => Some((Key::Backspace, 1)),
        0x1b => sequence(bytes).or_else(|| whole.then_some((Key::Escape, 1))),
        1..=26 => Some((Key::Ctrl(char::from(first + b'a' - 1)), 1)),
        0 | 0x1c..=0x1f => Some((Key::Other, 1)),
        _ => character(bytes).or_else(|| whole.then_some((Key::Other, 1))),
    }
}

fn character(bytes: &[u8]) -> Option<(Key, usize)> {
    let length = match bytes.first()? {
        0..=0x7f => 1,
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf7 => 4,
        _ => return Some((Key::Other, 1)),
    };
    match std::str::from_utf8(bytes.get(..length)?) {
        Ok(text) => text.chars().next().map(|c| (Key::Char(c), length)),
        Err(_) => Some((Key::Other, 1)),
    }
}

/// `ESC [ … letter`, `ESC [ number ~` and `ESC O letter`.
fn sequence(bytes: &[u8]) -> Option<(Key, usize)> {
    match bytes.get(1)? {
        b'[' | b'O' => {}
        _ => return Some((Key::Escape, 1)),
    }
    let end = bytes.iter().skip(2).position(|byte| (0x40..=0x7e).contains(byte))? + 2;
    let number = bytes.get(2..end)?;
    let key = match (bytes.get(end)?, number) {
        (b'A', _) => Key::Up,
        (b'B', _) => Key::Down,
        (b'C', _) => Key::Right,
        (b'D', _) => Key::Left,
        (b'H', _) | (b'~', b"1" | b"7") => Key::Home,
        (b'F', _) | (b'~', b"4" | b"8") => Key::End,
        (b'~', b"3") => Key::Delete,
        (b'~', b"5") => Key::PageUp,
        (b'~', b"6") => Key::PageDown,
        _ => Key::Other,
    };
    Some((key, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_apart() {
        for (bytes, key) in [
            (&b"a"[..], Key::Char('a')),
            ("ü".as_bytes(), Key::Char('ü')),
            ("データ".as_bytes(), Key::Char('デ')),
            (b"\x1b[A", Key::Up),
            (b"\x1bOB", Key::Down),
            (b"\x1b[3~", Key::Delete),
            (b"\x1b[1;5C", Key::Right),
            (b"\x1b[99~", Key::Other),
            (b"\r", Key::Enter),
            (b"\x03", Key::Ctrl('c')),
            (b"\x7f", Key::Backspace),
            (b"\xff", Key::Other),
        ] {
            assert_eq!(decode(bytes, false).map(|(key, _)| key), Some(key), "{bytes:?}");
        }
        for half in [&b"\x1b"[..], b"\x1b[", b"\x1b[3", b"\xc3", b""] {
            assert_eq!(decode(half, false), None, "{half:?}");
        }
        assert_eq!(decode(b"\x1b", true), Some((Key::Escape, 1)));
        assert_eq!(decode(b"\xc3", true), Some((Key::Other, 1)));
    }
}
