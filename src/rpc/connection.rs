//! One client: bytes in, requests out; answers in, bytes out. Without a poll and without a clock.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Instant;

use mio::net::UnixStream;

use super::protocol::{self, ErrorCode, HEADER, Head, Request};
use super::stream::{Feed, Next};
use crate::sys::net::Peer;

/// Bytes of requests that may wait behind the one in work: one whole frame more.
const BUFFER_LIMIT: usize = protocol::MAX_FRAME + HEADER;

/// Read at a time.
const CHUNK: usize = 4096;

/// Pieces of output for one client before it is the next one's turn.
const PIECES_A_TURN: u32 = 16;

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
    /// What the request in work is answered with, piece by piece.
    feed: Option<Arc<Feed>>,
    /// There may be more in the feed, and the client takes it.
    pub(super) wants_turn: bool,
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
            feed: None,
            wants_turn: false,
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

    /// At a shutdown: everything that was answered has been written, or is output that the client does not take.
    pub(super) fn may_close(&self) -> bool {
        self.output.is_empty() || self.feed.is_some()
    }

    /// Takes the feed that answers the request in work, or learns that there is more in it.
    pub(super) fn feed(&mut self, feed: Arc<Feed>) {
        self.feed = Some(feed);
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
            if self.flush().is_err() || self.pump_feed().is_err() {
                return Fate::Over;
            }
            // Who follows and says that nothing more will come from it has gone; else it would stay
            // until the program writes something.
            if self.read_closed && self.feed.is_some() {
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
        let waits = (!self.output.is_empty() && self.feed.is_none()) || (!self.in_work && !self.input.is_empty());
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

    /// Sends what the feed has, as long as the client takes it. Somebody may be filling it at the same
    /// time: after some pieces it is the next connection's turn.
    fn pump_feed(&mut self) -> io::Result<()> {
        self.wants_turn = false;
        let mut pieces = 0;
        while let Some(feed) = self.feed.as_ref().filter(|_| self.output.is_empty()) {
            match feed.next() {
                Next::Frame(frame) => self.output = frame,
                Next::Last(frame) => {
                    self.output = frame;
                    self.feed = None;
                    self.in_work = false;
                }
                Next::Nothing => break,
            }
            self.flush()?;
            pieces += 1;
            if pieces == PIECES_A_TURN {
                self.wants_turn = true;
                break;
            }
        }
        Ok(())
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
