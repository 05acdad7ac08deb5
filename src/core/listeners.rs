//! The clients that follow events: each has a bounded queue, which the io thread empties.

use std::sync::Arc;

use crate::rpc::events::EventFeed;
use crate::rpc::server::{ConnId, ServerHandle};
use crate::rpc::stream::Source;

/// What is on its way to those who listen. When it is dropped, they are told that nothing follows.
#[derive(Default)]
pub(super) struct Listeners(Vec<Listener>);

struct Listener {
    conn: ConnId,
    feed: Arc<EventFeed>,
    server: ServerHandle,
}

impl Listener {
    /// Tells the io thread that there is something.
    fn announce(&self) {
        self.server.feed(self.conn, Arc::clone(&self.feed) as Arc<dyn Source>);
    }
}

impl Listeners {
    pub(super) fn add(&mut self, conn: ConnId, past: Vec<String>, server: &ServerHandle) {
        let feed = Arc::new(EventFeed::default());
        for event in past {
            feed.push(&event);
        }
        // The first frame, which has no event, is to be sent in any case.
        let listener = Listener { conn, feed, server: server.clone() };
        listener.announce();
        self.0.push(listener);
    }

    pub(super) fn tell(&self, conn: ConnId, event: &str) {
        let its = self.0.iter().filter(|listener| listener.conn == conn);
        its.filter(|listener| listener.feed.push(event)).for_each(Listener::announce);
    }

    pub(super) fn forget(&mut self, conn: ConnId) {
        self.0.retain(|listener| listener.conn != conn);
        self.0.shrink_to_fit();
    }
}

impl Drop for Listeners {
    fn drop(&mut self) {
        self.0.iter().filter(|listener| listener.feed.finish()).for_each(Listener::announce);
    }
}
