//! Taking clients in: whose turn it is, and who makes room for whom.

use std::io;
use std::time::{Duration, Instant};

use mio::{Interest, Token};

use super::Server;
#[cfg(feature = "http")]
use super::clock;
use crate::codec::frames::{self, ErrorCode};
#[cfg(feature = "http")]
use crate::codec::http::{Delivery, Response, Status};
use crate::control::client::Client;
use crate::control::link::Stream;
use crate::control::peer::Who;

/// After running out of descriptors, accepting is tried again after this time.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Clients that are accepted at one socket in one turn.
const ACCEPTS_PER_TURN: usize = 32;

/// For a client whose place another one has taken that is still being served.
const OUT_OF_DESCRIPTORS: &str =
    "the daemon is out of file descriptors; try again later, or raise its limit (`ulimit -n`, `LimitNOFILE=`)";

/// The limit that a new connection has run into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quota {
    Everybody,
    /// Who has come over the network.
    Network,
    /// A user of this machine.
    User(u32),
}

impl Quota {
    fn has(self, client: &Client) -> bool {
        match self {
            Quota::Everybody => true,
            Quota::Network => client.is_remote(),
            Quota::User(uid) => client.who().limited_uid() == Some(uid),
        }
    }
}

impl Server {
    /// Takes in who waits at the sockets.
    pub(super) fn accept(&mut self, now: Instant) {
        if self.accept_again.is_some() {
            return;
        }
        self.spare.refill();
        if let Some((stream, who, socket)) = self.waits_for_room.take() {
            let has_last = self.spare.is_empty();
            self.admit(stream, who, socket, has_last, now);
        }
        for number in 0..self.sockets.len() {
            self.accept_at(number, now);
        }
    }

    /// Takes in who waits at this socket.
    fn accept_at(&mut self, number: usize, now: Instant) {
        // Who comes next has the last descriptor.
        let mut has_last = false;
        for _ in 0..ACCEPTS_PER_TURN {
            let Some(socket) = self.sockets.get(number).filter(|_| self.accept_again.is_none()) else { return };
            match socket.accept() {
                Ok((stream, Ok(who))) => self.admit(stream, who, number, std::mem::take(&mut has_last), now),
                // Nobody knows who that is.
                Ok((_, Err(_))) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.spare.refill();
                    self.accept_fails &= !self.spare.is_full();
                    return;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                // The kernel says so also where nobody waits: it takes the descriptor first.
                Err(error) if is_out_of_descriptors(&error) && self.spare.give() => has_last = self.spare.is_empty(),
                // An idle client's descriptor serves a busy one; so does that of a client that keeps us waiting.
                Err(error) if is_out_of_descriptors(&error) && self.make_room(now, Quota::Everybody) => {}
                Err(error) => {
                    if is_out_of_descriptors(&error)
                        && let Some(end) = self.grace_ends()
                    {
                        self.accept_again = Some(end);
                        return;
                    }
                    self.log_accept_failure(&crate::util::errno::reason(&error), "tried again every second");
                    self.accept_again = Some(now + ACCEPT_PAUSE);
                    return;
                }
            }
        }
        // Without a new event: those who wait have been announced already.
        self.accept_again = Some(now);
    }

    /// Takes in a client; `has_last`: it has the last descriptor, which the next one needs to be told that there is
    /// none.
    fn admit(&mut self, mut stream: Stream, who: Who, socket: usize, has_last: bool, now: Instant) {
        if !has_last || self.make_room(now, Quota::Everybody) {
            return self.add_client(stream, who, socket, now);
        }
        if let Some(end) = self.grace_ends() {
            self.waits_for_room = Some((stream, who, socket));
            self.accept_again = Some(end);
            return;
        }
        turn_away(&mut stream, OUT_OF_DESCRIPTORS);
        drop(stream);
        self.spare.refill();
        self.log_accept_failure("too few open files are allowed", "it was told so");
    }

    /// Once, until all is well again.
    fn log_accept_failure(&mut self, reason: &str, then: &str) {
        if !std::mem::replace(&mut self.accept_fails, true) {
            log::warn!("cannot accept a client: {reason}; {then}");
        }
    }

    fn add_client(&mut self, mut stream: Stream, who: Who, socket: usize, now: Instant) {
        let Some(open) = self.sockets.get(socket).filter(|_| self.ending.is_none()) else { return };
        if let Some(message) = open.refuses(&who) {
            return turn_away(&mut stream, message);
        }
        let terms = open.terms.clone();
        if let Some(quota) = self.exhausted_quota(&who)
            && !self.make_room(now, quota)
        {
            // Whoever floods the network, or comes too often himself, waits for nobody's grace.
            if let Some(end) = self.grace_ends().filter(|_| quota == Quota::Everybody) {
                self.waits_for_room = Some((stream, who, socket));
                self.accept_again = Some(end);
                return;
            }
            let most = match quota {
                Quota::Everybody => self.limits.connections,
                Quota::Network => self.limits.remote,
                Quota::User(_) => self.limits.per_user,
            };
            let whose = if matches!(quota, Quota::User(_)) { " of one user" } else { "" };
            return turn_away(&mut stream, &format!("more than {most} clients{whose} at a time; try again later"));
        }
        let conn = self.next;
        self.next += 1;
        let Ok(token) = usize::try_from(conn) else { return };
        // Room to write is of interest only while an answer waits for it: it would wake us at every answer.
        if self.poll.registry().register(&mut stream, Token(token), Interest::READABLE).is_err() {
            return;
        }
        self.clients.insert(conn, Client::new(stream, who, terms, now));
        self.count_clients();
        self.serve(now, conn);
    }

    /// The limit that a further client would exceed.
    fn exhausted_quota(&self, who: &Who) -> Option<Quota> {
        let count = |quota: Quota| self.clients.values().filter(|client| quota.has(client)).count();
        let user = who.limited_uid().map(Quota::User).filter(|user| count(*user) >= self.limits.per_user);
        let network = Some(Quota::Network).filter(|network| who.is_remote() && count(*network) >= self.limits.remote);
        let all = Some(Quota::Everybody).filter(|_| self.clients.len() >= self.limits.connections);
        user.or(network).or(all)
    }

    /// When the first of those who have only just come may be closed: until then, others wait. Nobody is turned away
    /// for the sake of clients that say nothing.
    fn grace_ends(&self) -> Option<Instant> {
        let came = self.clients.values().filter_map(Client::silent_since).min();
        came.map(|came| came + self.limits.grace)
    }

    /// Closes a connection: the one that was answered and is idle for the longest; else the one that has kept half a
    /// request or an answer, or has said nothing at all, for the longest; else one whose answer is held back. `false`
    /// if all are busy, or have only just come. Of the crowd alone: who comes over the network takes the place of one
    /// who came so as well.
    ///
    /// Over the network there is no grace: strangers who say nothing come faster than it passes, and a probe that is
    /// turned away for them has the whole container killed. Whoever asks at once is served before as many others have
    /// come.
    fn make_room(&mut self, now: Instant, quota: Quota) -> bool {
        let all = || self.clients.iter().filter(|(_, client)| quota.has(client));
        let idle = all().filter(|(_, client)| client.is_idle());
        let idle = idle.map(|(conn, client)| (client.link.last_active, *conn)).min();
        let keeps_waiting = |client: &Client| match client.silent_since() {
            Some(since) => {
                let has_grace = quota != Quota::Network;
                Some(since).filter(|since| !has_grace || now.saturating_duration_since(*since) >= self.limits.grace)
            }
            None => client.link.stuck_since,
        };
        let waiting = all().filter_map(|(conn, client)| Some((keeps_waiting(client)?, *conn)));
        let put_off = all().filter_map(|(conn, client)| Some((client.put_off_until()?, *conn)));
        let Some((_, conn)) = idle.or_else(|| waiting.min()).or_else(|| put_off.min()) else { return false };
        self.close(conn);
        true
    }
}

/// Tells a client why it is not served. What it speaks is known of the network alone.
fn turn_away(stream: &mut Stream, message: &str) {
    let bytes = match stream {
        Stream::Unix(_) => frames::error(ErrorCode::Failed, message),
        #[cfg(feature = "http")]
        Stream::Tcp(_) => {
            let delivery = Delivery { minor: 1, keep_alive: false, head_only: false, now: clock().wall.as_secs() };
            Response::error(Status::Unavailable, message, false).write(delivery)
        }
    };
    let _ = io::Write::write(stream, &bytes);
}

fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}
