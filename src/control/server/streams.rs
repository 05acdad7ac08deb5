//! Answers that come bit by bit: news to those who follow what happens, and output.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{ConnId, Server};
use crate::control::connection::PIECES_A_TURN;
use crate::control::event_feed::MAX_EVENTS;
use crate::control::feed::Source;

/// What happens is gathered for so long before those who follow are told. A start or a stop is several events, and each
/// client costs a call of the system and a wake-up of its reader: with one for all of them a crowd of readers takes no
/// CPU from the programs just when they start.
const GATHERED_FOR: Duration = Duration::from_millis(20);

impl Server {
    /// Something has happened: it is handed out with what follows it closely.
    pub(super) fn hand_out_soon(&mut self, now: Instant) {
        if self.hand_out_at.is_none() {
            self.hand_out_at = now.checked_add(GATHERED_FOR);
        }
    }

    /// Hands out what has happened.
    pub(super) fn hand_out(&mut self) {
        self.hand_out_at = None;
        // However many they are, an answer to a command does not wait for all of them.
        for (conn, feed) in self.followers.hand_out(&self.report.news) {
            if let Some(client) = self.clients.get_mut(&conn) {
                client.feed(feed);
                self.serve_later(conn);
            }
        }
    }

    /// There is something in the feed of this client.
    pub(super) fn feed(&mut self, conn: ConnId, feed: Arc<dyn Source>, now: Instant) {
        if let Some(client) = self.clients.get_mut(&conn) {
            client.feed(feed);
            self.serve(now, conn);
        }
    }

    /// Nothing comes into any feed any more: what lies there, with its end, is sent as far as the client takes it at
    /// once.
    pub(super) fn end_feeds(&mut self, now: Instant) {
        const MAX_TURNS: usize = 2 * MAX_EVENTS / PIECES_A_TURN;
        let streams = self.clients.iter().filter(|(_, client)| client.is_streaming()).map(|(conn, _)| *conn);
        for conn in streams.collect::<Vec<ConnId>>() {
            for _ in 0..MAX_TURNS {
                self.serve(now, conn);
                if !self.unfinished.contains(&conn) {
                    break;
                }
            }
        }
    }

    pub(super) fn end_streams(&mut self) {
        let streams = self.clients.iter().filter(|(_, client)| client.is_streaming() && !client.is_own_user());
        for conn in streams.map(|(conn, _)| *conn).collect::<Vec<ConnId>>() {
            self.close(conn);
        }
    }
}
