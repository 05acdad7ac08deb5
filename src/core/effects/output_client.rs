//! A client that is sent output as it comes: of a program, or the daemon's own log.

use std::sync::Arc;

use crate::api::Refusal;
use crate::control::feed::Source;
use crate::control::output_feed::Feed;
use crate::control::server::{ConnId, ServerHandle};
#[cfg(feature = "xmlrpc")]
use crate::logger::LogFollower;
use crate::output::{Follower, InternalError};

/// A client that takes output.
pub(super) struct Client {
    server: ServerHandle,
    conn: ConnId,
    feed: Arc<Feed>,
}

impl Client {
    pub(super) fn new(server: ServerHandle, conn: ConnId) -> Client {
        Client { server, conn, feed: Arc::default() }
    }
}

impl Follower for Client {
    fn push(&self, bytes: &[u8]) -> bool {
        let first = self.feed.push(bytes);
        if first {
            self.server.feed(self.conn, Arc::clone(&self.feed) as Arc<dyn Source>);
        }
        first || Follower::is_there(self)
    }

    fn is_there(&self) -> bool {
        // The connection, or the message on its way to it, holds the other one.
        Arc::strong_count(&self.feed) > 1
    }

    fn finish(&self) {
        if self.feed.finish() {
            self.server.feed(self.conn, Arc::clone(&self.feed) as Arc<dyn Source>);
        }
    }

    fn fail(&self, _: InternalError) {
        self.server.reply(self.conn, Box::new(Err(Refusal::Internal)));
    }
}

#[cfg(feature = "xmlrpc")]
impl LogFollower for Client {
    fn push(&self, lines: &[u8]) -> bool {
        Follower::push(self, lines)
    }

    fn is_there(&self) -> bool {
        Follower::is_there(self)
    }
}
