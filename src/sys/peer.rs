//! Who is at the other end of a local socket.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;

/// Who is at the other end of a local connection, as the kernel knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The process that has connected; 0 if it lives in another pid namespace.
    pub pid: i32,
    /// Its user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
}

/// Asks the kernel who has connected (or listens).
///
/// # Errors
///
/// What is not a local socket.
pub fn peer_credentials(socket: BorrowedFd<'_>) -> io::Result<Peer> {
    let found = nix::sys::socket::getsockopt(&socket, nix::sys::socket::sockopt::PeerCredentials)?;
    Ok(Peer { pid: found.pid(), uid: found.uid(), gid: found.gid() })
}

/// The groups of whoever has connected: its own one, and the others that it was in when it connected. An old kernel
/// (before
/// 4.13) tells its own one alone.
pub fn peer_groups(socket: BorrowedFd<'_>, peer: Peer) -> Box<[u32]> {
    let mut groups: Vec<libc::gid_t> = vec![0; 32];
    for _ in 0..2 {
        let mut bytes = libc::socklen_t::try_from(groups.len() * size_of::<libc::gid_t>()).unwrap_or(0);
        // SAFETY: the kernel writes at most `bytes` bytes there, which is the size of the buffer.
        let result = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut bytes,
            )
        };
        let count = bytes as usize / size_of::<libc::gid_t>();
        match Errno::result(result) {
            Ok(_) => {
                groups.truncate(count);
                groups.push(peer.gid);
                return groups.into();
            }
            // It has told how much room it needs.
            Err(Errno::ERANGE) => groups.resize(count, 0),
            Err(_) => break,
        }
    }
    Box::new([peer.gid])
}
