//! Messages on `$NOTIFY_SOCKET`: one socket for all programs, made when the first one needs it.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};

use crate::codec::sd_notify;
use crate::process::Notification;
use crate::sys::ancestry::{self, Ancestry};
use crate::sys::notify_socket::{Datagram, MAX_MESSAGE_BYTES, NotifySocket};

/// Messages that are read in one turn: those who send without end delay nobody else.
const MAX_PER_TURN: usize = 32;

/// A message, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The process that has sent it.
    pub pid: i32,
    /// Its user.
    pub uid: u32,
    /// Its run; `None`: the process had ended before it could be identified.
    pub ancestry: Option<Ancestry>,
    /// What it says.
    pub message: Notification,
}

/// What was read.
#[derive(Debug)]
pub(super) enum Read {
    /// A message.
    Message(Box<Received>),
    /// A descriptor that somebody wants closed when everything before it was handled.
    Barrier(OwnedFd),
}

/// The socket, once there is one.
#[derive(Default)]
pub(super) struct Notifications {
    socket: Option<NotifySocket>,
    /// There may be more to be read than was read in the last turn.
    unread: bool,
}

impl Notifications {
    /// Listens on this socket from now on.
    pub(super) fn listen(&mut self, registry: &Registry, token: Token, socket: NotifySocket) -> io::Result<()> {
        registry.register(&mut SourceFd(&socket.as_fd().as_raw_fd()), token, Interest::READABLE)?;
        self.socket = Some(socket);
        Ok(())
    }

    /// The poll has said that there is something to be read.
    pub(super) fn readable(&mut self) {
        self.unread = true;
    }

    pub(super) fn has_unread(&self) -> bool {
        self.unread
    }

    /// Reads a share of what there is.
    pub(super) fn read_some(&mut self, tell: impl FnMut(Read)) {
        if self.unread {
            self.read(MAX_PER_TURN, tell);
        }
    }

    /// Reads what is there by now. (The kernel holds a few hundred messages at most; what comes meanwhile is not waited
    /// for.)
    pub(super) fn read_all(&mut self, tell: impl FnMut(Read)) {
        const MAX_QUEUED: usize = 1024;
        self.read(MAX_QUEUED, tell);
    }

    fn read(&mut self, most: usize, mut tell: impl FnMut(Read)) {
        let Some(socket) = &self.socket else { return };
        let mut buffer = [0; MAX_MESSAGE_BYTES];
        self.unread = true;
        for _ in 0..most {
            match socket.receive(&mut buffer) {
                Ok(datagram) => understand(datagram, &mut tell),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    if error.kind() != io::ErrorKind::WouldBlock {
                        log::error!("cannot read from $NOTIFY_SOCKET: {}", crate::util::errno::reason(&error));
                    }
                    self.unread = false;
                    return;
                }
            }
        }
    }
}

fn understand(datagram: Datagram<'_>, tell: &mut impl FnMut(Read)) {
    let Datagram { text, sender, fds } = datagram;
    let (Some(text), Some(sender)) = (text, sender) else {
        return log::debug!("a message on $NOTIFY_SOCKET is too long, or without a sender");
    };
    // What else programs hand over is closed at once: nobody asks for it.
    if let (true, Some(fd)) = (sd_notify::is_barrier(text), fds.into_iter().next()) {
        return tell(Read::Barrier(fd));
    }
    let message = sd_notify::parse(text);
    if message != Notification::default() {
        let (pid, uid) = (sender.pid, sender.uid);
        // At once: who only says something and ends may be gone in a moment.
        tell(Read::Message(Box::new(Received { pid, uid, ancestry: ancestry::of(pid), message })));
    }
}
