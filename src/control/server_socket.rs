//! The sockets that clients connect to, and who may use each of them.

use std::io;
#[cfg(feature = "http")]
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
#[cfg(feature = "http")]
use std::sync::Arc;

use mio::event::Source;

use super::link::Stream;
use super::peer::Who;
#[cfg(feature = "http")]
use super::web::AccessGate;
#[cfg(feature = "http")]
use crate::models::HttpAddress;
use crate::sys::net::SocketGuard;

/// A listening socket, non-blocking.
#[derive(Debug)]
pub enum Socket {
    /// A local one.
    Unix(UnixListener),
    /// One of the network.
    #[cfg(feature = "http")]
    Tcp(TcpListener),
}

/// A socket that clients may connect to.
#[derive(Debug)]
pub struct ServerSocket {
    /// The socket.
    pub socket: Socket,
    /// Removes the file of the socket when it is closed; that of the control socket is among the daemon's names.
    pub guard: Option<SocketGuard>,
    /// Where it is; `None`: it is the control socket, which is made anew when its file has vanished.
    #[cfg(feature = "http")]
    pub at: Option<HttpAddress>,
    /// Who gets in by HTTP.
    #[cfg(feature = "http")]
    pub gate: Arc<AccessGate>,
}

impl ServerSocket {
    /// The control socket: whoever its mode lets in may do all.
    pub fn control(socket: UnixListener) -> ServerSocket {
        ServerSocket {
            socket: Socket::Unix(socket),
            guard: None,
            #[cfg(feature = "http")]
            at: None,
            #[cfg(feature = "http")]
            gate: Arc::default(),
        }
    }
}

enum Listener {
    Unix(mio::net::UnixListener),
    #[cfg(feature = "http")]
    Tcp(mio::net::TcpListener),
}

/// What holds for everybody who comes in by one socket.
#[derive(Debug, Clone)]
pub(super) struct Terms {
    /// Frames are spoken by root and the daemon's own user alone: a frame has no place for a password.
    pub(super) frames_for_own_user: bool,
    #[cfg(feature = "http")]
    pub(super) gate: Arc<AccessGate>,
}

/// A socket that is watched.
pub(super) struct OpenSocket {
    listener: Listener,
    /// Removes the file of the socket.
    pub(super) guard: Option<SocketGuard>,
    /// Where it is; `None`: it is the control socket.
    #[cfg(feature = "http")]
    pub(super) at: Option<HttpAddress>,
    pub(super) terms: Terms,
    /// A socket without a path has no mode that could tell who may use it.
    own_user_only: bool,
}

impl OpenSocket {
    pub(super) fn new(server_socket: ServerSocket) -> OpenSocket {
        let own_user_only = match &server_socket.socket {
            Socket::Unix(listener) => !listener.local_addr().is_ok_and(|at| at.as_pathname().is_some()),
            #[cfg(feature = "http")]
            Socket::Tcp(_) => false,
        };
        let listener = match server_socket.socket {
            Socket::Unix(listener) => Listener::Unix(mio::net::UnixListener::from_std(listener)),
            #[cfg(feature = "http")]
            Socket::Tcp(listener) => Listener::Tcp(mio::net::TcpListener::from_std(listener)),
        };
        let terms = Terms {
            #[cfg(feature = "http")]
            frames_for_own_user: server_socket.gate.asks_for_a_password(),
            #[cfg(not(feature = "http"))]
            frames_for_own_user: false,
            #[cfg(feature = "http")]
            gate: server_socket.gate,
        };
        OpenSocket {
            listener,
            guard: server_socket.guard,
            #[cfg(feature = "http")]
            at: server_socket.at,
            terms,
            own_user_only,
        }
    }

    /// What the poll watches.
    pub(super) fn source(&mut self) -> &mut dyn Source {
        match &mut self.listener {
            Listener::Unix(listener) => listener,
            #[cfg(feature = "http")]
            Listener::Tcp(listener) => listener,
        }
    }

    /// It is the control socket.
    pub(super) fn is_control(&self) -> bool {
        #[cfg(feature = "http")]
        return self.at.is_none();
        #[cfg(not(feature = "http"))]
        true
    }

    /// Replaces the rules for who may connect.
    #[cfg(feature = "http")]
    pub(super) fn set_gate(&mut self, gate: Arc<AccessGate>) {
        self.terms = Terms { frames_for_own_user: gate.asks_for_a_password(), gate };
    }

    /// Another socket in the place of one that has vanished.
    pub(super) fn replace(&mut self, listener: UnixListener) {
        self.listener = Listener::Unix(mio::net::UnixListener::from_std(listener));
    }

    /// The next client that waits. One of whom the kernel knows nothing is an error of its own.
    pub(super) fn accept(&self) -> io::Result<(Stream, io::Result<Who>)> {
        match &self.listener {
            Listener::Unix(listener) => {
                let (stream, _) = listener.accept()?;
                let who = Who::at(stream.as_fd());
                Ok((Stream::Unix(stream), who))
            }
            #[cfg(feature = "http")]
            Listener::Tcp(listener) => {
                let (stream, address) = listener.accept()?;
                // An answer is written whole: nothing is won by waiting for more.
                let _ = stream.set_nodelay(true);
                Ok((Stream::Tcp(stream), Ok(Who::Remote(address))))
            }
        }
    }

    /// Why this client is rejected.
    pub(super) fn refuses(&self, who: &Who) -> Option<&'static str> {
        (self.own_user_only && !who.is_own_user())
            .then_some("only root and the daemon's own user may use a socket in the abstract namespace")
    }
}
