//! A client that speaks frames: bytes in, requests out; answers in, bytes out. Without a poll and without a clock.

use std::io;
use std::sync::Arc;
use std::time::Instant;

#[cfg(feature = "attach")]
use super::feed::Inbox;
use super::feed::{Next, Source};
use super::link::{CHUNK, Link};
use crate::api::Request;
use crate::codec::frames::{self, ErrorCode, HEADER, Head};
#[cfg(feature = "attach")]
use crate::codec::frames::{AttachedInput, MAX_TYPED, RequestError};

/// Requests that are taken in one visit: a client that never pauses must not keep the thread from the others.
pub(super) const REQUESTS_PER_VISIT: usize = 16;

/// Pieces of output for one client before it is the next one's turn.
pub(super) const PIECES_A_TURN: usize = 16;

/// The state of a connection after it was served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Served {
    Lives,
    /// There is more to do at once, after the others have had their turn: no event will tell.
    Unfinished,
    Over,
}

#[derive(Default)]
pub(super) struct Connection {
    /// A request is in work: the next one waits for its answer.
    in_work: bool,
    /// It has sent a whole request at some time.
    pub(super) has_asked: bool,
    /// What the request in work is answered with, piece by piece.
    feed: Option<Arc<dyn Source>>,
    /// The answer to the request in work, which follows what is in the feed.
    #[cfg(feature = "attach")]
    last: Option<Vec<u8>>,
    /// Nothing more is read from it: it broke the protocol. It gets its answer, then it is closed.
    closing: bool,
}

impl Connection {
    /// Nothing is in work, half read or half written, and it has asked before: it may be closed to make room.
    pub(super) fn is_idle(&self, link: &Link) -> bool {
        self.has_asked && !self.in_work && link.input.is_empty() && !link.wants_write()
    }

    /// It is answered bit by bit.
    pub(super) fn is_streaming(&self) -> bool {
        self.feed.is_some()
    }

    /// Takes no more requests: what is answered is still written, but for output that the client does not take.
    pub(super) fn finish(&mut self, link: &mut Link) {
        self.closing = true;
        self.in_work = false;
        link.input = Vec::new();
        if self.feed.take().is_some() {
            link.drop_output();
        }
    }

    /// Takes the feed that answers the request in work, or learns that there is more in it.
    pub(super) fn feed(&mut self, feed: Arc<dyn Source>) {
        // One that was answered may be told of once more.
        #[cfg(feature = "attach")]
        if feed.inbox().is_some_and(Inbox::is_over) {
            return;
        }
        if !self.closing {
            self.feed = Some(feed);
        }
    }

    /// Takes the answer to the request in work.
    pub(super) fn answer(&mut self, link: &mut Link, frame: Vec<u8>) {
        #[cfg(feature = "attach")]
        if self.is_attached() {
            self.last = Some(frame);
            return;
        }
        self.in_work = false;
        link.send(frame);
    }

    /// Reads, takes in requests (each is handed to `take`), and writes, as far as it goes.
    pub(super) fn serve(&mut self, link: &mut Link, now: Instant, take: &mut dyn FnMut(Request)) -> Served {
        let mut requests = 0;
        loop {
            let Ok(read) = link.fill(|input| self.limit(input)) else { return Served::Over };
            let (taken, had_output) = (self.take_frame(link, take), link.wants_write());
            let Ok(answered) = link.flush() else { return Served::Over };
            if taken || answered {
                link.stuck_since = None;
            }
            let Ok(pieces) = self.pump_feed(link) else { return Served::Over };
            // Who follows and says that nothing more will come from it has gone; else it would stay
            // until the program writes something.
            if link.read_closed && self.feed.is_some() && !self.is_typing(link) {
                return Served::Over;
            }
            // Asked of each step: sums of bytes can agree before and after although all of them have changed.
            if !(read || taken || (answered && had_output) || pieces > 0) {
                return self.wait_for_more(link, now);
            }
            link.last_active = now;
            requests += usize::from(taken);
            if requests == REQUESTS_PER_VISIT || pieces == PIECES_A_TURN {
                return Served::Unfinished;
            }
        }
    }

    /// Nothing more can be done now: what is the connection waiting for?
    fn wait_for_more(&self, link: &mut Link, now: Instant) -> Served {
        let done = !self.in_work && !link.wants_write();
        if done && (self.closing || link.read_closed) {
            return Served::Over;
        }
        // The command goes on; only its answer has nobody to go to. Requests behind it are still wanted.
        if self.in_work && link.hung_up && link.read_closed && frames::head(&link.input) == Head::Partial {
            return Served::Over;
        }
        let waits = (link.wants_write() && self.feed.is_none()) || (!self.in_work && !link.input.is_empty());
        link.stuck_since = if waits { link.stuck_since.or(Some(now)) } else { None };
        Served::Lives
    }

    /// Bytes that may lie in the input: the frame that is being read, or a little ahead of the one in work.
    fn limit(&self, input: &[u8]) -> usize {
        if self.closing {
            return 0;
        }
        #[cfg(feature = "attach")]
        if self.inbox().is_some_and(|inbox| !inbox.has_room()) {
            return CHUNK;
        }
        if self.in_work && !self.is_attached() {
            return CHUNK;
        }
        let length = input.first_chunk::<HEADER>().map_or(0, |length| u32::from_be_bytes(*length) as usize);
        (HEADER + length.min(frames::MAX_FRAME)).max(CHUNK)
    }

    /// It sends while it is answered.
    fn is_attached(&self) -> bool {
        #[cfg(feature = "attach")]
        return self.inbox().is_some();
        #[cfg(not(feature = "attach"))]
        return false;
    }

    #[cfg(feature = "attach")]
    fn inbox(&self) -> Option<&dyn Inbox> {
        self.feed.as_deref()?.inbox()
    }

    /// It has nothing more to type, and waits until what it has typed was taken.
    #[cfg(feature = "attach")]
    fn is_typing(&self, link: &Link) -> bool {
        let has_more = frames::head(&link.input) != Head::Partial;
        !link.hung_up && self.inbox().is_some_and(|inbox| has_more || !inbox.is_delivered())
    }

    #[cfg(not(feature = "attach"))]
    fn is_typing(&self, _: &Link) -> bool {
        false
    }

    /// Has it taken something that was typed?
    #[cfg(feature = "attach")]
    fn take_typed(&mut self, link: &mut Link) -> bool {
        let Some(inbox) = self.inbox().filter(|inbox| inbox.has_room()) else { return false };
        let refused = match frames::head(&link.input) {
            Head::Partial => return false,
            Head::TooLarge(_) => RequestError { code: ErrorCode::TooLarge, message: "too much at once".to_owned() },
            Head::Frame(length) if length > MAX_TYPED => {
                let message = format!("a frame of {length} bytes; at most {MAX_TYPED} are taken while attached");
                RequestError { code: ErrorCode::TooLarge, message }
            }
            Head::Frame(length) => {
                let end = HEADER + length;
                let typed = AttachedInput::parse(link.input.get(HEADER..end).unwrap_or_default());
                link.input.drain(..end);
                match typed {
                    Ok(typed) => {
                        inbox.take(typed);
                        return true;
                    }
                    Err(error) => error,
                }
            }
        };
        self.finish(link);
        link.send(frames::error(refused.code, &refused.message));
        true
    }

    /// Has it taken a request, or refused one?
    fn take_frame(&mut self, link: &mut Link, take: &mut dyn FnMut(Request)) -> bool {
        #[cfg(feature = "attach")]
        if self.is_attached() {
            return self.take_typed(link);
        }
        if self.in_work || self.closing || link.wants_write() {
            return false;
        }
        match frames::head(&link.input) {
            Head::Partial => return false,
            Head::TooLarge(length) => {
                let message = format!("a frame of {length} bytes; at most {} are taken", frames::MAX_FRAME);
                self.finish(link);
                self.answer(link, frames::error(ErrorCode::TooLarge, &message));
            }
            Head::Frame(length) => {
                let end = HEADER + length;
                let request = frames::parse(link.input.get(HEADER..end).unwrap_or_default());
                link.input.drain(..end);
                self.has_asked = true;
                if link.input.is_empty() {
                    link.input = Vec::new();
                }
                match request {
                    Ok(request) => {
                        self.in_work = true;
                        take(request);
                    }
                    Err(error) => self.answer(link, frames::error(error.code, &error.message)),
                }
            }
        }
        true
    }

    /// Sends what the feed has, as long as the client takes it; how many pieces. Somebody may be filling it at
    /// the same time: after some pieces it is the next connection's turn.
    fn pump_feed(&mut self, link: &mut Link) -> io::Result<usize> {
        let mut pieces = 0;
        while !link.wants_write() && pieces < PIECES_A_TURN && self.gather(link, &mut pieces) {
            link.flush()?;
        }
        Ok(pieces)
    }

    /// Takes from the feed what can be written at once; whether there was anything.
    fn gather(&mut self, link: &mut Link, pieces: &mut usize) -> bool {
        let before = *pieces;
        while let Some(feed) = self.feed.as_ref().filter(|_| *pieces < PIECES_A_TURN && link.gathers()) {
            match feed.next() {
                Next::Item(item) => link.send(item.frame(true)),
                Next::Last(item) => {
                    link.send(item.frame(false));
                    self.feed = None;
                    self.in_work = false;
                }
                Next::Nothing => {
                    #[cfg(feature = "attach")]
                    if let Some(frame) = self.last.take() {
                        feed.inbox().into_iter().for_each(Inbox::end);
                        link.send(frame);
                        (self.feed, self.in_work) = (None, false);
                        *pieces += 1;
                    }
                    break;
                }
            }
            *pieces += 1;
        }
        *pieces > before
    }
}
