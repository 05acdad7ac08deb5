//! One client: bytes in, requests out; answers in, bytes out. Without a poll and without a clock.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Instant;

use mio::net::UnixStream;

use super::output_feed::{Next, Source};
use crate::api::Request;
use crate::codec::frames::{self, ErrorCode, HEADER, Head};
use crate::sys::net::Peer;

/// Read at a time, and read ahead of the request in work.
const CHUNK: usize = 4096;

/// Requests that are taken in one visit: a client that never pauses must not keep the thread from the others.
const REQUESTS_PER_VISIT: usize = 16;

/// Pieces of output for one client before it is the next one's turn.
const PIECES_A_TURN: usize = 16;

/// What a connection comes to after it was served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Lives,
    /// There is more to do at once, after the others have had their turn: no event will tell.
    Unfinished,
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
    /// It has sent a whole request at some time.
    has_asked: bool,
    /// What the request in work is answered with, piece by piece.
    feed: Option<Arc<dyn Source>>,
    /// The client will send nothing more.
    read_closed: bool,
    /// Nothing more is read from it: it broke the protocol. It gets its answer, then it is closed.
    closing: bool,
    /// Something is there to be read that was left for later.
    unread: bool,
    /// Nobody is there any more to take an answer.
    hung_up: bool,
    /// The poll reports when there is room to write, too.
    pub(super) watches_write: bool,
    /// When the half frame began, or the answer that is not taken. Single bytes don't make it younger.
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
            has_asked: false,
            feed: None,
            read_closed: false,
            closing: false,
            unread: true,
            hung_up: false,
            watches_write: false,
            stuck_since: None,
            last_active: now,
        }
    }

    /// Nothing is in work, half read or half written, and it has asked before: it may be closed to make room.
    pub(super) fn is_idle(&self) -> bool {
        self.has_asked && !self.in_work && self.input.is_empty() && self.output.is_empty()
    }

    /// It has not come to its first request yet; since when it keeps us waiting for that.
    pub(super) fn silent_since(&self) -> Option<Instant> {
        (!self.has_asked).then_some(self.stuck_since.unwrap_or(self.last_active))
    }

    /// An answer waits for room in the socket.
    pub(super) fn wants_write(&self) -> bool {
        !self.output.is_empty()
    }

    /// Takes no more requests: what is answered is still written, but for output that the client does not take.
    pub(super) fn finish(&mut self) {
        self.closing = true;
        self.in_work = false;
        self.input = Vec::new();
        if self.feed.take().is_some() {
            self.output = Vec::new();
            self.written = 0;
        }
    }

    /// Takes the feed that answers the request in work, or learns that there is more in it.
    pub(super) fn feed(&mut self, feed: Arc<dyn Source>) {
        if !self.closing {
            self.feed = Some(feed);
        }
    }

    pub(super) fn readable(&mut self) {
        self.unread = true;
    }

    pub(super) fn hang_up(&mut self) {
        self.unread = true;
        self.hung_up = true;
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
        let mut requests = 0;
        loop {
            let Ok(read) = self.fill() else { return Fate::Over };
            let taken = self.take_frame(&mut take);
            let Ok(answered) = self.flush() else { return Fate::Over };
            if taken || answered {
                self.stuck_since = None;
            }
            let Ok(pieces) = self.pump_feed() else { return Fate::Over };
            // Who follows and says that nothing more will come from it has gone; else it would stay
            // until the program writes something.
            if self.read_closed && self.feed.is_some() {
                return Fate::Over;
            }
            // Asked of each step: sums of bytes can agree before and after although all of them have changed.
            if !(read || taken || answered || pieces > 0) {
                return self.rest(now);
            }
            self.last_active = now;
            requests += usize::from(taken);
            if requests == REQUESTS_PER_VISIT || pieces == PIECES_A_TURN {
                return Fate::Unfinished;
            }
        }
    }

    /// Nothing more can be done now: what is the connection waiting for?
    fn rest(&mut self, now: Instant) -> Fate {
        let done = !self.in_work && self.output.is_empty();
        if done && (self.closing || self.read_closed) {
            return Fate::Over;
        }
        // The command goes on; only its answer has nobody to go to. Requests behind it are still wanted.
        if self.in_work && self.hung_up && self.read_closed && frames::head(&self.input) == Head::Partial {
            return Fate::Over;
        }
        let waits = (!self.output.is_empty() && self.feed.is_none()) || (!self.in_work && !self.input.is_empty());
        self.stuck_since = if waits { self.stuck_since.or(Some(now)) } else { None };
        Fate::Lives
    }

    /// Bytes that may lie in `input`: the frame that is being read, or a little ahead of the one in work. The rest
    /// stays in the kernel, where it slows down its sender.
    fn limit(&self) -> usize {
        if self.in_work || !self.output.is_empty() {
            return CHUNK;
        }
        let length = self.input.first_chunk::<HEADER>().map_or(0, |length| u32::from_be_bytes(*length) as usize);
        (HEADER + length.min(frames::MAX_FRAME)).max(CHUNK)
    }

    /// Has it read anything, or seen the end?
    fn fill(&mut self) -> io::Result<bool> {
        let mut chunk = [0; CHUNK];
        let mut progress = false;
        while self.unread && !self.read_closed && !self.closing {
            let room = self.limit().saturating_sub(self.input.len()).min(CHUNK);
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

    /// Has it taken a request, or refused one?
    fn take_frame(&mut self, take: &mut impl FnMut(Request)) -> bool {
        if self.in_work || self.closing || !self.output.is_empty() {
            return false;
        }
        match frames::head(&self.input) {
            Head::Partial => return false,
            Head::TooLarge(length) => {
                let message = format!("a frame of {length} bytes; at most {} are taken", frames::MAX_FRAME);
                self.finish();
                self.answer(frames::error(ErrorCode::TooLarge, &message));
            }
            Head::Frame(length) => {
                let end = HEADER + length;
                let request = frames::parse(self.input.get(HEADER..end).unwrap_or_default());
                self.input.drain(..end);
                self.has_asked = true;
                if self.input.is_empty() {
                    self.input = Vec::new();
                }
                match request {
                    Ok(request) => {
                        self.in_work = true;
                        take(request);
                    }
                    Err(error) => self.answer(frames::error(error.code, &error.message)),
                }
            }
        }
        true
    }

    /// Sends what the feed has, as long as the client takes it; how many pieces. Somebody may be filling it at
    /// the same time: after some pieces it is the next connection's turn.
    fn pump_feed(&mut self) -> io::Result<usize> {
        let mut pieces = 0;
        while let Some(feed) = self.feed.as_ref().filter(|_| self.output.is_empty() && pieces < PIECES_A_TURN) {
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
        }
        Ok(pieces)
    }

    /// Has it written the last of an answer?
    fn flush(&mut self) -> io::Result<bool> {
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
        self.output = Vec::new();
        self.written = 0;
        Ok(answered)
    }
}
