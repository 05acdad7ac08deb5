//! The connection to the local syslog daemon, shared by all programs.
//!
//! Its socket takes a handful of lines (`net.unix.max_dgram_qlen`, often ten), so a daemon in perfect health refuses
//! some whenever a program writes more at once. These wait here and go when the kernel says that there is room. Sources
//! pause meanwhile, but not for a daemon that has taken nothing for [`STALLED_AFTER`]: then [`QUEUE_BYTES`] bytes are
//! kept, and what does not fit is lost and counted by who wrote it.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};

use crate::util::progress::Progress;

/// The socket's token; pipes have small numbers.
pub(super) const TOKEN: Token = Token(usize::MAX - 1);
/// What waits at most, in bytes: more than the lines of a full pipe.
const QUEUE_BYTES: usize = 256 * 1024;
/// After taking nothing for this long, a syslog daemon no longer holds up its sources.
const STALLED_AFTER: Duration = Duration::from_secs(1);

/// See the module's head.
#[derive(Debug)]
pub(super) struct Syslog {
    path: PathBuf,
    /// Where the socket is watched for room; `None`: nowhere, the next line tries.
    registry: Option<Registry>,
    socket: Option<UnixDatagram>,
    watched: bool,
    waiting: VecDeque<Box<[u8]>>,
    /// Of the lines that wait.
    bytes: usize,
    /// When a line was taken last, or refused first.
    progress: Progress,
}

impl Syslog {
    /// Connected when there is a line.
    pub fn new(path: impl Into<PathBuf>, registry: Option<Registry>, now: Instant) -> Syslog {
        Syslog {
            path: path.into(),
            registry,
            socket: None,
            watched: false,
            waiting: VecDeque::new(),
            bytes: 0,
            progress: Progress::begin(now),
        }
    }

    /// Sends a line or keeps it for later; never waits.
    ///
    /// # Errors
    /// `WouldBlock` when as much as possible waits already, and what the system says where there is no daemon: the line is
    /// lost.
    pub fn send(&mut self, now: Instant, line: &[u8]) -> io::Result<()> {
        self.flush(now)?;
        if self.waiting.is_empty() {
            if self.try_send(line)? {
                return Ok(());
            }
            self.progress = Progress::begin(now);
        }
        if self.bytes + line.len() > QUEUE_BYTES {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.bytes += line.len();
        self.waiting.push_back(line.into());
        Ok(())
    }

    /// Sends what waits, as far as there is room.
    ///
    /// # Errors
    /// What the system says where there is no daemon; the lines wait for it.
    pub fn flush(&mut self, now: Instant) -> io::Result<()> {
        while let Some(line) = self.waiting.pop_front() {
            match self.try_send(&line) {
                Ok(true) => {
                    self.bytes -= line.len();
                    self.progress.note(now);
                }
                refused => {
                    self.waiting.push_front(line);
                    return refused.map(drop);
                }
            }
        }
        self.waiting = VecDeque::new();
        self.watch(false);
        Ok(())
    }

    /// `true` while its sources should pause: lines wait, and it takes some now and then.
    pub fn is_busy(&mut self, now: Instant) -> bool {
        !self.waiting.is_empty() && !self.progress.has_stalled(now, STALLED_AFTER)
    }

    /// Before the end: waits until everything has gone, as long as some of it goes, at most until `deadline`.
    pub fn finish(&mut self, deadline: Instant) {
        loop {
            let now = Instant::now();
            if self.flush(now).is_err() || !self.is_busy(now) || now >= deadline {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// `false`: there is no room now.
    fn try_send(&mut self, line: &[u8]) -> io::Result<bool> {
        match self.connected()?.send(line) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.watch(true);
                Ok(false)
            }
            Err(error) => {
                // The daemon was restarted: its new socket needs a new connection.
                self.watch(false);
                self.socket = None;
                Err(error)
            }
        }
    }

    fn connected(&mut self) -> io::Result<&UnixDatagram> {
        if self.socket.is_none() {
            let socket = UnixDatagram::unbound()?;
            socket.set_nonblocking(true)?;
            socket.connect(&self.path)?;
            self.socket = Some(socket);
        }
        self.socket.as_ref().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Only while something waits: else each line that the daemon takes would wake us up.
    fn watch(&mut self, wanted: bool) {
        let (Some(registry), Some(socket)) = (&self.registry, &self.socket) else { return };
        if wanted != self.watched {
            let fd = socket.as_raw_fd();
            let done = match wanted {
                true => registry.register(&mut SourceFd(&fd), TOKEN, Interest::WRITABLE),
                false => registry.deregister(&mut SourceFd(&fd)),
            };
            // Where it can't be watched, the next line or a paused source tries.
            self.watched = wanted && done.is_ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_find_no_room_wait_in_order_and_a_stalled_daemon_holds_up_nobody() {
        crate::sys::testing::in_own_process(
            "output::syslog::tests::lines_that_find_no_room_wait_in_order_and_a_stalled_daemon_holds_up_nobody",
            || {
                let dir = tempfile::tempdir().expect("a directory");
                let path = dir.path().join("log");
                let now = Instant::now();
                let mut syslog = Syslog::new(&path, None, now);
                assert!(syslog.send(now, b"lost").is_err(), "nobody is there");
                let daemon = UnixDatagram::bind(&path).expect("a socket");
                let line = |n: u32| format!("line {n}");
                for n in 0..1000 {
                    syslog.send(now, line(n).as_bytes()).expect("taken or kept");
                }
                let later = now + STALLED_AFTER;
                assert!(
                    syslog.is_busy(now) && syslog.is_busy(later),
                    "we ourselves may have been stopped all the time"
                );
                assert!(!syslog.is_busy(later + STALLED_AFTER));
                let mut buffer = [0; 100];
                for n in 0..1000 {
                    syslog.flush(now).expect("it is there");
                    let count = daemon.recv(&mut buffer).expect("a line");
                    assert_eq!(&buffer[..count], line(n).as_bytes());
                }
                syslog.flush(now).expect("it is there");
                assert!(!syslog.is_busy(now));
                let full = (0..100_000).find_map(|_| syslog.send(now, &[b'x'; 100]).err()).expect("a bound");
                assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
                assert!(syslog.bytes <= QUEUE_BYTES);
                // The daemon is restarted: what waits goes to the new one.
                drop(daemon);
                std::fs::remove_file(&path).expect("removed");
                let daemon = UnixDatagram::bind(&path).expect("a socket");
                assert!(syslog.flush(now).is_err(), "the old one has gone");
                syslog.flush(now).expect("the new one takes them");
                assert_eq!(daemon.recv(&mut buffer).expect("a line"), 100);
            },
        );
    }
}
