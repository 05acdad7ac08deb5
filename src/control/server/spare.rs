//! Descriptors that are kept for clients: where programs have taken all others, somebody has to be able to ask why.

use std::os::fd::OwnedFd;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

/// One for a client that is served, and one to tell the next client that there is none for it.
const SPARES: usize = 2;

/// See the [module](self). Each is a socket that leads nowhere: to make one, nothing has to be there.
#[derive(Debug, Default)]
pub(super) struct Spare(Vec<OwnedFd>);

impl Spare {
    /// Takes those that are missing, as far as there are any.
    pub(super) fn refill(&mut self) {
        while self.0.len() < SPARES {
            let made = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None);
            let Ok(spare) = made else { return };
            self.0.push(spare);
        }
    }

    /// None is in use.
    pub(super) fn is_full(&self) -> bool {
        self.0.len() == SPARES
    }

    /// All are in use.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Gives up one for the client that comes next; `false`: there is none.
    pub(super) fn give(&mut self) -> bool {
        self.0.pop().is_some()
    }
}
