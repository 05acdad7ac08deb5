//! Who is at the other end of a connection.

use std::io;
#[cfg(feature = "http")]
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use crate::api::Request;
use crate::process::{Caller, Initiator};
use crate::sys;
use crate::sys::peer::{Peer, peer_credentials, peer_groups};

/// Connections of one user at a time: of this machine, or by his name of HTTP.
pub(super) const CONNECTIONS_PER_USER: usize = 64;

/// Letters of a client's command name that are kept.
const MAX_NAME_CHARS: usize = 32;

/// Who has connected.
#[derive(Debug, Clone)]
pub(super) enum Who {
    /// A process of this machine, as the kernel knows it, and its groups; root and the daemon's own user may do all
    /// without.
    Local(Peer, Box<[u32]>),
    /// Somebody at this address.
    #[cfg(feature = "http")]
    Remote(SocketAddr),
}

impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Who::Local(peer, _) => write!(f, "uid {}, pid {}", peer.uid, peer.pid),
            #[cfg(feature = "http")]
            Who::Remote(address) => address.fmt(f),
        }
    }
}

impl Who {
    /// Who is at the other end of this socket.
    ///
    /// # Errors
    /// What is not a local socket.
    pub(super) fn at(socket: BorrowedFd<'_>) -> io::Result<Who> {
        let peer = peer_credentials(socket)?;
        let groups = if is_own_user(peer) { Box::default() } else { peer_groups(socket, peer) };
        Ok(Who::Local(peer, groups))
    }

    /// Root, or the user of this process: whom no rule keeps out.
    pub(super) fn is_own_user(&self) -> bool {
        match self {
            Who::Local(peer, _) => is_own_user(*peer),
            #[cfg(feature = "http")]
            Who::Remote(_) => false,
        }
    }

    /// The user of this machine that it is, unless it is root or the daemon's own.
    pub(super) fn limited_uid(&self) -> Option<u32> {
        match self {
            Who::Local(peer, _) => Some(peer.uid).filter(|_| !is_own_user(*peer)),
            #[cfg(feature = "http")]
            Who::Remote(_) => None,
        }
    }

    /// It has come over the network.
    pub(super) fn is_remote(&self) -> bool {
        match self {
            Who::Local(..) => false,
            #[cfg(feature = "http")]
            Who::Remote(_) => true,
        }
    }

    /// Who asks for this, having logged in as `user`. The name of his command is asked for now, and only where it will
    /// be told: he may be gone when somebody wants to know.
    pub(super) fn initiator(&self, request: &Request, user: Option<&str>) -> Initiator {
        let user = user.map(Into::into);
        match self {
            Who::Local(peer, groups) => Initiator::Client(Arc::new(local_caller(*peer, groups, request, user))),
            #[cfg(feature = "http")]
            Who::Remote(address) => {
                let address = address.to_string().into();
                Initiator::Remote(Arc::new(crate::process::RemoteCaller { address, user }))
            }
        }
    }
}

fn is_own_user(peer: Peer) -> bool {
    peer.uid == 0 || peer.uid == nix::unistd::geteuid().as_raw()
}

fn local_caller(peer: Peer, groups: &[u32], request: &Request, user: Option<Box<str>>) -> Caller {
    let command = match request {
        Request::Command(_) => sys::proc::command_name(peer.pid),
        Request::Query(_) | Request::Watch(_) => None,
    };
    let command = command.as_deref().map(str::trim).filter(|name| !name.is_empty()).map(|name| {
        let plain = |letter: char| if letter.is_control() { '?' } else { letter };
        name.chars().take(MAX_NAME_CHARS).map(plain).collect::<String>().into()
    });
    Caller { uid: peer.uid, pid: peer.pid, command, user, groups: groups.into() }
}
