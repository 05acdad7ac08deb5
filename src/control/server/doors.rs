//! Doors that are opened, changed and closed while the daemon runs.

use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::Sender;
use mio::{Interest, Token};

use super::{ConnId, FIRST_DOOR, MOST_DOORS, Server};
use crate::control::door::{Door, OpenDoor};
use crate::control::web::Gate;
use crate::models::HttpAddress;
use crate::sys::net::SocketGuard;

/// Which door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The control socket.
    Control,
    /// The one there.
    At(HttpAddress),
}

/// What becomes of the doors.
pub(super) struct DoorChange {
    /// Those that are closed, first of all.
    pub(super) close: Vec<HttpAddress>,
    /// New ones.
    pub(super) open: Vec<Door>,
    /// Other rules for who comes in.
    pub(super) gates: Vec<(Place, Arc<Gate>)>,
    /// Is told when it is done.
    pub(super) done: Sender<Vec<SocketGuard>>,
}

impl Server {
    pub(super) fn change_doors(&mut self, change: DoorChange, now: Instant) {
        // It waits at a door of before.
        self.waits_for_room = None;
        let DoorChange { close, open, gates, done } = change;
        let mut closed = Vec::new();
        let mut retired = Vec::new();
        if self.ending.is_none() {
            for mut door in self.doors.extract_if(.., |door| door.at.as_ref().is_some_and(|at| close.contains(at))) {
                let _ = self.poll.registry().deregister(door.source());
                closed.extend(door.guard.take());
                retired.push(Arc::clone(&door.terms.gate));
            }
            open.into_iter().for_each(|door| self.open_door(door));
            for (place, gate) in gates {
                let is_there = |door: &&mut OpenDoor| match &place {
                    Place::Control => door.at.is_none(),
                    Place::At(at) => door.at.as_ref() == Some(at),
                };
                // Who has come in by the same rules stays.
                if let Some(door) = self.doors.iter_mut().find(is_there)
                    && !door.terms.gate.is_same(&gate)
                {
                    retired.push(Arc::clone(&door.terms.gate));
                    door.take_gate(gate);
                }
            }
        }
        self.retire(&retired, now);
        let _ = done.send(closed);
    }

    fn open_door(&mut self, door: Door) {
        let (at, number) = (door.at.clone(), self.doors.len());
        let mut door = OpenDoor::new(door);
        if number >= MOST_DOORS {
            return log::error!("HTTP is not spoken at {}: there are too many sockets", told(at.as_ref()));
        }
        match self.poll.registry().register(door.source(), Token(FIRST_DOOR + number), Interest::READABLE) {
            Ok(()) => self.doors.push(door),
            Err(error) => {
                let reason = crate::util::errno::reason(&error);
                log::error!("HTTP is not spoken at {}: it can't be watched: {reason}", told(at.as_ref()));
            }
        }
    }

    /// Who has come in by one of these gets the answer that is on its way, and is closed then.
    fn retire(&mut self, gates: &[Arc<Gate>], now: Instant) {
        let is_retired = |gate: &Arc<Gate>| gates.iter().any(|retired| Arc::ptr_eq(retired, gate));
        let clients = self.clients.iter_mut().filter(|(_, client)| client.gate().is_some_and(is_retired));
        let retired: Vec<(ConnId, bool)> = clients.map(|(conn, client)| (*conn, client.retire())).collect();
        for (conn, has_work) in retired {
            if has_work {
                self.serve(now, conn);
            } else {
                self.close(conn);
            }
        }
    }
}

fn told(at: Option<&HttpAddress>) -> String {
    at.map(ToString::to_string).unwrap_or_default()
}
