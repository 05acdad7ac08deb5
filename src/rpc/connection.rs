//! One client: bytes in, requests out; answers in, bytes out. Without a poll and without a clock.

use std::io::{self, Read, Write};
use std::time::Instant;

use mio::net::UnixStream;

use super::protocol::{self, ErrorCode, HEADER, Head, Request};
use crate::sys::net::Peer;

/// Bytes of requests that may wait behind the one in work: one whole frame more.
const BUFFER_LIMIT: usize = protocol::MAX_FRAME + HEADER;

/// Read at a time.
const CHUNK: usize = 4096;

/// What a connection comes to after it was served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Lives,
    Over,
}

pub(super) struct Connection {
    pub(super) stream: UnixStream,
    pub(super) peer: Peer,
    input: Vec<u8>,
    output: Vec<u8>,
    written: usize,
    /// A request is in work: the next one waits for its answer.
    in_work: bool,
    /// The client will send nothing more.
    read_closed: bool,
    /// Nothing more is read from it: it broke the protocol. It gets its answer, then it is closed.
    closing: bool,
    /// Something is there to be read that was left for later.
    unread: bool,
    /// When the half frame began, or the answer that is not taken.
    pub(super) stuck_since: Option<Instant>,
    pub(super) last_active: Instant,
}

impl Connection {
    pub(super) fn new(stream: UnixStream, peer: Peer, now: Instant) -> Self {
        Connection {
            stream,
            peer,
            input: Vec::new(),
            output: Vec::new(),
            written: 0,
            in_work: false,
            read_closed: false,
            closing: false,
            unread: true,
            stuck_since: None,
            last_active: now,
        }
    }

    /// Nothing is in work, half read or half written: it may be closed to make room.
    pub(super) fn is_idle(&self) -> bool {
        !self.in_work && self.input.is_empty() && self.output.is_empty()
    }

    /// Everything that was answered has been written.
    pub(super) fn output_done(&self) -> bool {
        self.output.is_empty()
    }

    pub(super) fn readable(&mut self) {
        self.unread = true;
    }

    /// Takes the answer to the request in work.
    pub(super) fn answer(&mut self, frame: Vec<u8>) {
        self.in_work = false;
        if self.output.is_empty() {
            self.output = frame;
            self.written = 0;
        } else {
            self.output.extend_from_slice(&frame);
        }
    }

    /// Reads, takes in requests (each is handed to `take`), and writes, as far as it goes.
    pub(super) fn serve(&mut self, now: Instant, mut take: impl FnMut(Request)) -> Fate {
        loop {
            let before = (self.input.len(), self.output.len(), self.written, self.in_work);
            if self.fill().is_err() {
                return Fate::Over;
            }
            self.take_frames(&mut take);
            if self.flush().is_err() {
                return Fate::Over;
            }
            if before == (self.input.len(), self.output.len(), self.written, self.in_work) {
                break;
            }
            self.last_active = now;
        }
        let done = !self.in_work && self.output.is_empty();
        if done && (self.closing || self.read_closed) {
            return Fate::Over;
        }
        let waits = !self.output.is_empty() || (!self.in_work && !self.input.is_empty());
        self.stuck_since = if waits { self.stuck_since.or(Some(now)) } else { None };
        Fate::Lives
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut chunk = [0; CHUNK];
        while self.unread && !self.read_closed && !self.closing && self.input.len() < BUFFER_LIMIT {
            match self.stream.read(&mut chunk) {
                Ok(0) => self.read_closed = true,
                Ok(count) => self.input.extend_from_slice(chunk.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.unread = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn take_frames(&mut self, take: &mut impl FnMut(Request)) {
        while !self.in_work && !self.closing && self.output.is_empty() {
            match protocol::head(&self.input) {
                Head::Partial => break,
                Head::TooLarge(length) => {
                    let message = format!("a frame of {length} bytes; at most {} are taken", protocol::MAX_FRAME);
                    self.closing = true;
                    self.input = Vec::new();
                    self.answer(protocol::error(ErrorCode::TooLarge, &message));
                }
                Head::Frame(length) => {
                    let end = HEADER + length;
                    let request = Request::parse(self.input.get(HEADER..end).unwrap_or_default());
                    self.input.drain(..end);
                    match request {
                        Ok(request) => {
                            self.in_work = true;
                            take(request);
                        }
                        Err(error) => self.answer(protocol::error(error.code, &error.message)),
                    }
                }
            }
        }
        if self.input.is_empty() {
            self.input = Vec::new();
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        while let Some(rest) = self.output.get(self.written..).filter(|rest| !rest.is_empty()) {
            match self.stream.write(rest) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.output = Vec::new();
        self.written = 0;
        Ok(())
    }
}
