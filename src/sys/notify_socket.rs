//! The socket on which programs tell of themselves (`sd_notify`): datagrams, each with the credentials of its sender.

use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::UnixDatagram;

use nix::sys::socket::{UnixAddr, bind, setsockopt, sockopt};

use super::peer::Peer;

/// The longest message: what libsystemd never exceeds either, because it is what goes through a pipe in one piece.
pub const MAX_MESSAGE_BYTES: usize = 4096;

/// Descriptors that one message may carry; the kernel closes those behind. A barrier has one.
const MAX_FDS: usize = 8;

/// The two parts of what the kernel tells besides the message.
const CREDENTIALS: u32 = size_of::<libc::ucred>() as u32;
const RIGHTS: u32 = (MAX_FDS * size_of::<RawFd>()) as u32;
// SAFETY: it computes from plain numbers.
const CONTROL: usize = unsafe { (libc::CMSG_SPACE(CREDENTIALS) + libc::CMSG_SPACE(RIGHTS)) as usize };

/// The socket. It has no file: its name is in the abstract namespace, chosen by the kernel so that nobody else has it.
#[derive(Debug)]
pub struct NotifySocket {
    socket: UnixDatagram,
    name: String,
}

/// One message.
#[derive(Debug)]
pub struct Datagram<'b> {
    /// What it says; `None`: it was longer than a message may be.
    pub text: Option<&'b [u8]>,
    /// Who has sent it; `None` where the kernel does not tell. The pid may be that of a process that has gone since.
    pub sender: Option<Peer>,
    /// The descriptors that came with it.
    pub fds: Vec<OwnedFd>,
}

impl NotifySocket {
    /// Makes the socket, non-blocking.
    ///
    /// # Errors
    ///
    /// Where the kernel has no descriptor left.
    pub fn new() -> io::Result<NotifySocket> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        // Before it has a name that anybody could write to.
        setsockopt(&socket, sockopt::PassCred, &true)?;
        bind(socket.as_raw_fd(), &UnixAddr::new_unnamed())?;
        let address = socket.local_addr()?;
        let name = address.as_abstract_name().ok_or_else(|| io::Error::other("the kernel gave it no name"))?;
        let name = format!("@{}", String::from_utf8_lossy(name));
        Ok(NotifySocket { socket, name })
    }

    /// As it stands in `$NOTIFY_SOCKET`: the name behind an `@`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The next message, if there is one.
    ///
    /// # Errors
    ///
    /// `WouldBlock` where there is none.
    pub fn receive<'b>(&self, buffer: &'b mut [u8; MAX_MESSAGE_BYTES]) -> io::Result<Datagram<'b>> {
        // A union of its own would align it; 64-bit words do as well.
        let mut control = [0u64; CONTROL.div_ceil(size_of::<u64>())];
        let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        // SAFETY: all zero is a valid value of this plain structure.
        let mut header: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
        header.msg_iov = &raw mut part;
        header.msg_iovlen = 1;
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = CONTROL as _;
        let flags = libc::MSG_CMSG_CLOEXEC | libc::MSG_DONTWAIT;
        // SAFETY: the header leads to buffers of the given lengths, which live until the call returns.
        let received = unsafe { libc::recvmsg(self.socket.as_raw_fd(), &raw mut header, flags) };
        let Ok(length) = usize::try_from(received) else { return Err(io::Error::last_os_error()) };
        // SAFETY: the kernel has filled the header and the buffer for control messages behind it.
        let (sender, fds) = unsafe { control_messages(&header) };
        let is_whole = header.msg_flags & libc::MSG_TRUNC == 0;
        Ok(Datagram { text: buffer.get(..length).filter(|_| is_whole), sender, fds })
    }
}

impl AsFd for NotifySocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Who has sent a message, and the descriptors that came with it, which are ours from now on.
///
/// # Safety
///
/// The header must be as `recvmsg` has left it, with its buffer for control messages behind it, and must not have been
/// given here before.
unsafe fn control_messages(header: &libc::msghdr) -> (Option<Peer>, Vec<OwnedFd>) {
    let (mut sender, mut fds) = (None, Vec::new());
    // SAFETY: the macros walk along what the kernel has written into the buffer; each message is as long as it says,
    // and its data is read without regard to its alignment. Each descriptor was made for us just now.
    unsafe {
        let mut message = libc::CMSG_FIRSTHDR(header);
        while let Some(head) = message.as_ref() {
            let data = libc::CMSG_DATA(message);
            // Its type is another one in each C library.
            let length: usize = head.cmsg_len as _;
            let length = length.saturating_sub(libc::CMSG_LEN(0) as usize);
            match (head.cmsg_level, head.cmsg_type) {
                (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) if length >= size_of::<libc::ucred>() => {
                    let libc::ucred { pid, uid, gid } = data.cast::<libc::ucred>().read_unaligned();
                    sender = Some(Peer { pid, uid, gid });
                }
                (libc::SOL_SOCKET, libc::SCM_RIGHTS) => {
                    let first = data.cast::<RawFd>();
                    let count = length / size_of::<RawFd>();
                    fds.extend((0..count).map(|at| OwnedFd::from_raw_fd(first.add(at).read_unaligned())));
                }
                // The kernel tells nothing else that was not asked for.
                (_, _) => {}
            }
            message = libc::CMSG_NXTHDR(header, message);
        }
    }
    (sender, fds)
}

#[cfg(test)]
mod tests {
    use std::io::{IoSlice, Read};
    use std::os::unix::net::SocketAddr;

    use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

    use super::*;

    fn sender(socket: &NotifySocket) -> UnixDatagram {
        let name = socket.name().strip_prefix('@').expect("an abstract name");
        let sender = UnixDatagram::unbound().unwrap();
        sender.connect_addr(&SocketAddr::from_abstract_name(name).unwrap()).unwrap();
        sender
    }

    #[test]
    fn a_message_comes_with_the_credentials_of_its_sender() {
        let socket = NotifySocket::new().unwrap();
        let mut buffer = [0; MAX_MESSAGE_BYTES];
        let empty = socket.receive(&mut buffer).expect_err("nothing was sent");
        assert_eq!(empty.kind(), io::ErrorKind::WouldBlock);
        sender(&socket).send(b"READY=1").unwrap();
        let message = socket.receive(&mut buffer).unwrap();
        assert_eq!(message.text, Some(b"READY=1".as_slice()));
        let own = i32::try_from(std::process::id()).unwrap();
        assert_eq!(message.sender.map(|sender| sender.pid), Some(own));
        assert!(message.fds.is_empty());
    }

    #[test]
    fn what_is_too_long_is_no_message_and_an_empty_one_is_one() {
        let socket = NotifySocket::new().unwrap();
        let mut buffer = [0; MAX_MESSAGE_BYTES];
        let sender = sender(&socket);
        sender.send(&[b'x'; MAX_MESSAGE_BYTES + 1]).unwrap();
        sender.send(&[b'x'; MAX_MESSAGE_BYTES]).unwrap();
        sender.send(b"").unwrap();
        let texts = [(); 3].map(|()| socket.receive(&mut buffer).unwrap().text.map(<[u8]>::len));
        assert_eq!(texts, [None, Some(MAX_MESSAGE_BYTES), Some(0)]);
    }

    #[test]
    fn descriptors_are_ours_and_closed_with_the_message_however_many_there_are() {
        let socket = NotifySocket::new().unwrap();
        let (mut reader, writer) = io::pipe().unwrap();
        let fds = [writer.as_raw_fd(); MAX_FDS + 3];
        let rights = [ControlMessage::ScmRights(&fds)];
        let sender = sender(&socket);
        let part = [IoSlice::new(b"BARRIER=1")];
        sendmsg::<UnixAddr>(sender.as_raw_fd(), &part, &rights, MsgFlags::empty(), None).unwrap();
        drop(writer);
        let mut buffer = [0; MAX_MESSAGE_BYTES];
        let message = socket.receive(&mut buffer).unwrap();
        assert_eq!(message.fds.len(), MAX_FDS, "the kernel has closed the others");
        assert!(message.sender.is_some());
        drop(message);
        assert_eq!(reader.read(&mut [0]).unwrap(), 0, "nobody holds the writing end any more");
    }
}
