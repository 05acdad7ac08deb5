//! Sockets that are opened, changed and closed while the daemon runs.

use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::Sender;
use mio::{Interest, Token};

use super::{ConnId, FIRST_SOCKET, MAX_SOCKETS, Server};
use crate::control::server_socket::{OpenSocket, ServerSocket};
use crate::control::web::AccessGate;
use crate::models::HttpAddress;
use crate::sys::net::SocketGuard;

/// Which socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The control socket.
    Control,
    /// The one there.
    At(HttpAddress),
}

/// What becomes of the sockets.
pub(super) struct SocketChange {
    /// Those that are closed, first of all.
    pub(super) close: Vec<HttpAddress>,
    /// New ones.
    pub(super) open: Vec<ServerSocket>,
    /// Other rules for who comes in.
    pub(super) gates: Vec<(Place, Arc<AccessGate>)>,
    /// Is told when it is done.
    pub(super) done: Sender<Vec<SocketGuard>>,
}

impl Server {
    pub(super) fn change_sockets(&mut self, change: SocketChange, now: Instant) {
        // It waits at a socket of before.
        self.waits_for_room = None;
        let SocketChange { close, open, gates, done } = change;
        let mut closed = Vec::new();
        let mut retired = Vec::new();
        if self.ending.is_none() {
            for mut socket in
                self.sockets.extract_if(.., |socket| socket.at.as_ref().is_some_and(|at| close.contains(at)))
            {
                let _ = self.poll.registry().deregister(socket.source());
                closed.extend(socket.guard.take());
                retired.push(Arc::clone(&socket.terms.gate));
            }
            open.into_iter().for_each(|socket| self.open_socket(socket));
            for (place, gate) in gates {
                let is_there = |socket: &&mut OpenSocket| match &place {
                    Place::Control => socket.at.is_none(),
                    Place::At(at) => socket.at.as_ref() == Some(at),
                };
                // Who has come in by the same rules stays.
                if let Some(socket) = self.sockets.iter_mut().find(is_there)
                    && !socket.terms.gate.is_same(&gate)
                {
                    retired.push(Arc::clone(&socket.terms.gate));
                    socket.set_gate(gate);
                }
            }
        }
        self.drain_clients(&retired, now);
        let _ = done.send(closed);
    }

    fn open_socket(&mut self, socket: ServerSocket) {
        let (at, number) = (socket.at.clone(), self.sockets.len());
        let mut socket = OpenSocket::new(socket);
        if number >= MAX_SOCKETS {
            return log::error!("HTTP is not spoken at {}: there are too many sockets", address_of(at.as_ref()));
        }
        match self.poll.registry().register(socket.source(), Token(FIRST_SOCKET + number), Interest::READABLE) {
            Ok(()) => self.sockets.push(socket),
            Err(error) => {
                let reason = crate::util::errno::reason(&error);
                log::error!("HTTP is not spoken at {}: it can't be watched: {reason}", address_of(at.as_ref()));
            }
        }
    }

    /// Who has come in by one of these gets the answer that is on its way, and is closed then.
    fn drain_clients(&mut self, gates: &[Arc<AccessGate>], now: Instant) {
        let is_retired = |gate: &Arc<AccessGate>| gates.iter().any(|retired| Arc::ptr_eq(retired, gate));
        let clients = self.clients.iter_mut().filter(|(_, client)| client.gate().is_some_and(is_retired));
        let retired: Vec<(ConnId, bool)> = clients.map(|(conn, client)| (*conn, client.drain())).collect();
        for (conn, has_work) in retired {
            if has_work {
                self.serve(now, conn);
            } else {
                self.close(conn);
            }
        }
    }
}

fn address_of(at: Option<&HttpAddress>) -> String {
    at.map(ToString::to_string).unwrap_or_default()
}
