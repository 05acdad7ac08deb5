//! The bytes of one client in both directions, whatever it speaks. Without a poll and without a clock.

use std::io::{self, Read, Write};
#[cfg(feature = "http")]
use std::net::Shutdown;
use std::time::Instant;

#[cfg(feature = "http")]
use mio::net::TcpStream;
use mio::net::UnixStream;
use mio::{Interest, Registry, Token, event};

/// Read at a time, and read ahead of the request in work.
pub(super) const CHUNK: usize = 4096;

/// Pieces of an answer are gathered to so much before they are written: one call of the system for all of them.
const GATHERED: usize = 16 * 1024;

/// A connected socket.
pub(super) enum Stream {
    Unix(UnixStream),
    #[cfg(feature = "http")]
    Tcp(TcpStream),
}

impl Stream {
    fn source(&mut self) -> &mut dyn event::Source {
        match self {
            Stream::Unix(stream) => stream,
            #[cfg(feature = "http")]
            Stream::Tcp(stream) => stream,
        }
    }
}

impl event::Source for Stream {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.source().register(registry, token, interests)
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.source().reregister(registry, token, interests)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        self.source().deregister(registry)
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Unix(stream) => stream.read(buffer),
            #[cfg(feature = "http")]
            Stream::Tcp(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Unix(stream) => stream.write(bytes),
            #[cfg(feature = "http")]
            Stream::Tcp(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A connection and what is on its way through it.
pub(super) struct Link {
    pub(super) stream: Stream,
    /// What was read and is not understood yet.
    pub(super) input: Vec<u8>,
    output: Vec<u8>,
    written: usize,
    /// The client will send nothing more.
    pub(super) read_closed: bool,
    /// Nobody is there any more to take an answer.
    pub(super) hung_up: bool,
    /// Something is there to be read that was left for later.
    unread: bool,
    /// The poll reports when there is room to write, too.
    pub(super) watches_write: bool,
    /// When the half request began, or the answer that is not taken. Single bytes don't make it younger.
    pub(super) stuck_since: Option<Instant>,
    pub(super) last_active: Instant,
}

impl Link {
    pub(super) fn new(stream: Stream, now: Instant) -> Link {
        Link {
            stream,
            input: Vec::new(),
            output: Vec::new(),
            written: 0,
            read_closed: false,
            hung_up: false,
            unread: true,
            watches_write: false,
            stuck_since: None,
            last_active: now,
        }
    }

    pub(super) fn readable(&mut self) {
        self.unread = true;
    }

    pub(super) fn hang_up(&mut self) {
        self.unread = true;
        self.hung_up = true;
    }

    /// An answer, or a piece of it, waits for room in the socket.
    pub(super) fn wants_write(&self) -> bool {
        !self.output.is_empty()
    }

    /// What is to be sent next can be written together with what waits.
    pub(super) fn gathers(&self) -> bool {
        self.output.len() < GATHERED
    }

    /// Sends this behind what still waits.
    pub(super) fn send(&mut self, bytes: Vec<u8>) {
        if self.output.is_empty() {
            self.output = bytes;
            self.written = 0;
        } else {
            self.output.extend_from_slice(&bytes);
        }
    }

    /// What still waits is not sent any more.
    pub(super) fn drop_output(&mut self) {
        self.output = Vec::new();
        self.written = 0;
    }

    /// Nothing more will be sent: the client learns that its answer is there whole.
    #[cfg(feature = "http")]
    pub(super) fn end_output(&mut self) {
        let _ = match &self.stream {
            Stream::Unix(stream) => stream.shutdown(Shutdown::Write),
            Stream::Tcp(stream) => stream.shutdown(Shutdown::Write),
        };
    }

    /// Takes so many bytes from the beginning of the input.
    #[cfg(feature = "http")]
    pub(super) fn take_input(&mut self, count: usize) -> Vec<u8> {
        let rest = self.input.split_off(count.min(self.input.len()));
        std::mem::replace(&mut self.input, rest)
    }

    /// Has it read anything, or seen the end? `limit` says how many bytes may lie in the input. The rest stays in the
    /// kernel, where it slows down its sender.
    pub(super) fn fill(&mut self, limit: impl Fn(&[u8]) -> usize) -> io::Result<bool> {
        let mut chunk = [0; CHUNK];
        let mut progress = false;
        while self.unread && !self.read_closed {
            let room = limit(&self.input).saturating_sub(self.input.len()).min(CHUNK);
            let Some(room) = chunk.get_mut(..room).filter(|room| !room.is_empty()) else { break };
            match self.stream.read(room) {
                Ok(0) => self.read_closed = true,
                Ok(count) => self.input.extend_from_slice(chunk.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.unread = false;
                    break;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // It has gone and left an answer unread; what it had sent has been read before this.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    (self.read_closed, self.hung_up) = (true, true);
                }
                Err(error) => return Err(error),
            }
            progress = true;
        }
        Ok(progress)
    }

    /// Has it written the last of an answer?
    pub(super) fn flush(&mut self) -> io::Result<bool> {
        let answered = !self.output.is_empty();
        while let Some(rest) = self.output.get(self.written..).filter(|rest| !rest.is_empty()) {
            match self.stream.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Nobody takes the answer. The requests behind it were sent to be done all the same.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => break,
                Err(error) => return Err(error),
            }
        }
        self.drop_output();
        Ok(answered)
    }
}
