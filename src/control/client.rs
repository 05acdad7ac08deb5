//! One client, whatever it speaks. The first byte tells: a frame begins with a zero, because none is as long as 16 MiB,
//! and a request of HTTP with a letter.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::connection::{Connection, Served};
use super::feed::Source;
use super::link::{CHUNK, Link, Stream};
use super::peer::Who;
use super::server_socket::Terms;
#[cfg(feature = "http")]
use super::web::{Step, WebConnection, WebWork, Work};
use crate::api::{Answer, Request, WallClock};
use crate::codec::frames::{self, ErrorCode};
use crate::process::Initiator;

/// What a client wants of somebody else.
pub(super) enum ClientWork {
    /// An answer of the dispatcher.
    Answer(Initiator, Request),
    /// A thread of its own.
    #[cfg(feature = "http")]
    Work(Work),
}

/// What a client of HTTP is told by a program that does not speak it.
#[cfg(not(feature = "http"))]
const NO_HTTP: &[u8] = b"HTTP/1.1 501 Not Implemented\r\nContent-Type: text/plain\r\n\
    Connection: close\r\n\r\nThis supervice was built without HTTP (the feature http of its crate).\n";

enum Protocol {
    /// It has not said anything yet.
    Undecided,
    Frames(Connection),
    #[cfg(feature = "http")]
    Web(Box<WebConnection>),
    /// It gets the reason, and that is all.
    Refused,
}

pub(super) struct Client {
    pub(super) link: Link,
    who: Who,
    terms: Terms,
    protocol: Protocol,
}

impl Client {
    pub(super) fn new(stream: Stream, who: Who, terms: Terms, now: Instant) -> Client {
        #[cfg(feature = "http")]
        let protocol = match &stream {
            Stream::Unix(_) => Protocol::Undecided,
            Stream::Tcp(_) => Protocol::Web(Box::new(WebConnection::new(Arc::clone(&terms.gate), who.clone(), now))),
        };
        #[cfg(not(feature = "http"))]
        let protocol = Protocol::Undecided;
        Client { link: Link::new(stream, now), who, terms, protocol }
    }

    pub(super) fn who(&self) -> &Who {
        &self.who
    }

    /// It has come over the network.
    pub(super) fn is_remote(&self) -> bool {
        self.who.is_remote()
    }

    /// It is root, or the daemon's own user, on this machine.
    pub(super) fn is_own_user(&self) -> bool {
        self.who.is_own_user()
    }

    /// It is answered bit by bit.
    pub(super) fn is_streaming(&self) -> bool {
        match &self.protocol {
            Protocol::Undecided | Protocol::Refused => false,
            Protocol::Frames(frames) => frames.is_streaming(),
            #[cfg(feature = "http")]
            Protocol::Web(web) => web.is_streaming(),
        }
    }

    /// Nothing is in work, half read or half written, and it has asked before: it may be closed to make room.
    pub(super) fn is_idle(&self) -> bool {
        match &self.protocol {
            Protocol::Undecided | Protocol::Refused => false,
            Protocol::Frames(frames) => frames.is_idle(&self.link),
            #[cfg(feature = "http")]
            Protocol::Web(web) => web.is_idle(&self.link),
        }
    }

    /// It has not come to its first request yet; since when it keeps us waiting for that.
    pub(super) fn silent_since(&self) -> Option<Instant> {
        let has_asked = match &self.protocol {
            Protocol::Undecided | Protocol::Refused => false,
            Protocol::Frames(frames) => frames.has_asked,
            #[cfg(feature = "http")]
            Protocol::Web(web) => web.has_asked(),
        };
        (!has_asked).then_some(self.link.stuck_since.unwrap_or(self.link.last_active))
    }

    /// Until when its answer, which is a refusal, is held back.
    pub(super) fn put_off_until(&self) -> Option<Instant> {
        match &self.protocol {
            Protocol::Undecided | Protocol::Refused | Protocol::Frames(_) => None,
            #[cfg(feature = "http")]
            Protocol::Web(web) => web.put_off_until(),
        }
    }

    /// The rules by which it speaks HTTP, if it does.
    #[cfg(feature = "http")]
    pub(super) fn gate(&self) -> Option<&Arc<super::web::AccessGate>> {
        match &self.protocol {
            Protocol::Undecided | Protocol::Web(_) => Some(&self.terms.gate),
            Protocol::Frames(_) | Protocol::Refused => None,
        }
    }

    /// It has come in by rules that are in force no more: whether it has an answer to get before it is closed.
    #[cfg(feature = "http")]
    pub(super) fn drain(&mut self) -> bool {
        match &mut self.protocol {
            Protocol::Undecided | Protocol::Frames(_) | Protocol::Refused => false,
            Protocol::Web(web) => web.drain(&self.link),
        }
    }

    /// Takes no more requests: what is answered is still written, but for what the client does not take.
    pub(super) fn finish(&mut self) {
        match &mut self.protocol {
            Protocol::Undecided => self.protocol = Protocol::Refused,
            Protocol::Refused => {}
            Protocol::Frames(frames) => frames.finish(&mut self.link),
            #[cfg(feature = "http")]
            Protocol::Web(web) => web.finish(&mut self.link),
        }
    }

    /// Takes the feed that answers the request in work, or learns that there is more in it.
    pub(super) fn feed(&mut self, feed: Arc<dyn Source>) {
        match &mut self.protocol {
            Protocol::Undecided | Protocol::Refused => {}
            Protocol::Frames(frames) => frames.feed(feed),
            #[cfg(feature = "http")]
            Protocol::Web(web) => web.feed(feed),
        }
    }

    /// Takes the answer to the request in work.
    pub(super) fn answer(&mut self, answer: Answer, clock: WallClock) {
        match &mut self.protocol {
            Protocol::Undecided | Protocol::Refused => {}
            Protocol::Frames(frames) => frames.answer(&mut self.link, frames::answer(&answer, clock)),
            #[cfg(feature = "http")]
            Protocol::Web(web) => web.answer(answer),
        }
    }

    /// Takes what a thread has come to.
    #[cfg(feature = "http")]
    pub(super) fn work_done(&mut self, step: Step) {
        if let Protocol::Web(web) = &mut self.protocol {
            web.work_done(step);
        }
    }

    #[cfg(test)]
    pub(super) fn answer_frame(&mut self, frame: Vec<u8>) {
        match &mut self.protocol {
            Protocol::Frames(frames) => frames.answer(&mut self.link, frame),
            Protocol::Undecided | Protocol::Refused => {}
            #[cfg(feature = "http")]
            Protocol::Web(_) => {}
        }
    }

    /// When it is to be looked at again although nothing comes from it.
    pub(super) fn deadline(&self, stall_timeout: Duration) -> Option<Instant> {
        match &self.protocol {
            Protocol::Undecided | Protocol::Refused | Protocol::Frames(_) => {
                self.link.stuck_since.and_then(|since| since.checked_add(stall_timeout))
            }
            #[cfg(feature = "http")]
            Protocol::Web(web) => web.deadline(&self.link),
        }
    }

    /// Its time is up. Whether it still has something to do; else it is to be closed.
    pub(super) fn time_is_up(&mut self, now: Instant, clock: WallClock) -> bool {
        // What only HTTP asks for.
        #[cfg(not(feature = "http"))]
        let _ = (now, clock);
        match &mut self.protocol {
            Protocol::Undecided | Protocol::Refused | Protocol::Frames(_) => false,
            #[cfg(feature = "http")]
            Protocol::Web(web) => web.time_is_up(&mut self.link, now, clock),
        }
    }

    /// Reads, takes in requests (each is handed to `take`), and writes, as far as it goes.
    pub(super) fn serve(&mut self, now: Instant, clock: WallClock, take: &mut dyn FnMut(ClientWork)) -> Served {
        // What only HTTP asks for.
        #[cfg(not(feature = "http"))]
        let _ = clock;
        if matches!(self.protocol, Protocol::Undecided)
            && let Some(fate) = self.decide()
        {
            return fate;
        }
        let who = &self.who;
        match &mut self.protocol {
            Protocol::Frames(frames) => frames.serve(&mut self.link, now, &mut |request| {
                take(ClientWork::Answer(who.initiator(&request, None), request));
            }),
            #[cfg(feature = "http")]
            Protocol::Web(web) => web.serve(&mut self.link, now, clock, &mut |asks, user| {
                take(match asks {
                    WebWork::Dispatcher(request) => ClientWork::Answer(who.initiator(&request, user), request),
                    WebWork::Thread(work) => ClientWork::Work(work),
                });
            }),
            Protocol::Undecided => Served::Lives,
            Protocol::Refused => match self.link.flush() {
                Ok(_) if self.link.wants_write() => {
                    self.link.stuck_since = self.link.stuck_since.or(Some(now));
                    Served::Lives
                }
                Ok(_) | Err(_) => Served::Over,
            },
        }
    }

    /// What it speaks, if it has said anything; else what is to become of it.
    fn decide(&mut self) -> Option<Served> {
        if self.link.fill(|_| CHUNK).is_err() {
            return Some(Served::Over);
        }
        let first = match self.link.input.first() {
            Some(first) => *first,
            None if self.link.read_closed => return Some(Served::Over),
            None => return Some(Served::Lives),
        };
        self.protocol = match first {
            b'A'..=b'Z' | b'a'..=b'z' | b'\r' | b'\n' => self.web(),
            _ if self.terms.frames_for_own_user && !self.who.is_own_user() => {
                let message = "this socket asks for a password, and only HTTP carries one: here supervicectl is for root and \
                               the daemon's own user, whatever the socket's mode; others can use supervisorctl, or HTTP on a port";
                self.link.send(frames::error(ErrorCode::Failed, message));
                Protocol::Refused
            }
            _ => Protocol::Frames(Connection::default()),
        };
        None
    }

    #[cfg(feature = "http")]
    fn web(&mut self) -> Protocol {
        Protocol::Web(Box::new(WebConnection::new(
            Arc::clone(&self.terms.gate),
            self.who.clone(),
            self.link.last_active,
        )))
    }

    #[cfg(not(feature = "http"))]
    fn web(&mut self) -> Protocol {
        self.link.send(NO_HTTP.to_vec());
        Protocol::Refused
    }
}
