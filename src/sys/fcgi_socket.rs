//! The listening sockets of fcgi-programs. They block: the programs that accept connections on them expect it.

use std::fs::OpenOptions;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::sys::socket::{SockaddrIn, bind, setsockopt, sockopt};

use super::guarded_path;
use super::net::{bind_to, check, hand_over};

/// Which file a socket has: device and inode. No other file gets these numbers while the socket is open.
pub type SocketFile = (u64, u64);

/// Whether the path leads to the file of a socket that is open.
pub fn is_at_path(path: &Path, file: SocketFile) -> bool {
    path.symlink_metadata().is_ok_and(|found| (found.dev(), found.ino()) == file)
}

/// A socket with a file, in the place of a socket that lies there already, whosever it is.
///
/// # Errors
///
/// What lies there is no socket, or the system's reason.
pub fn listen_at_path(
    path: &Path,
    mode: u32,
    owner: (Option<u32>, Option<u32>),
    backlog: Option<u16>,
) -> io::Result<(OwnedFd, SocketFile)> {
    if path.symlink_metadata().is_ok_and(|found| !found.file_type().is_socket()) {
        let text = "something that is not a socket lies there; remove it or set another path";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
    }
    match guarded_path::remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let socket = new_socket(libc::AF_UNIX)?;
    // Its file never has a wider mode, as that of the control socket.
    // SAFETY: the descriptor is open.
    check(unsafe { libc::fchmod(socket.as_raw_fd(), 0o600 & mode) })?;
    bind_to(&socket, path)?;
    let made = OpenOptions::new().read(true).custom_flags(libc::O_PATH | libc::O_NOFOLLOW).open(path);
    let handed = made.and_then(|made| {
        hand_over(&made, path, mode, owner)?;
        listen(&socket, backlog)?;
        made.metadata()
    });
    match handed {
        Ok(file) => Ok((socket, (file.dev(), file.ino()))),
        Err(error) => {
            // Nobody will ever accept a connection there.
            let _ = guarded_path::remove(path);
            Err(error)
        }
    }
}

/// A port of the first IPv4 address of the host.
///
/// # Errors
///
/// The host has none, or the system's reason.
pub fn listen_at_port(host: &str, port: u16, backlog: Option<u16>) -> io::Result<OwnedFd> {
    let address = (host, port).to_socket_addrs()?.find_map(|address| match address {
        SocketAddr::V4(address) => Some(SockaddrIn::from(address)),
        SocketAddr::V6(_) => None,
    });
    let address = address.ok_or_else(|| io::Error::other("the host has no IPv4 address"))?;
    let socket = new_socket(libc::AF_INET)?;
    setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    bind(socket.as_raw_fd(), &address)?;
    listen(&socket, backlog)?;
    Ok(socket)
}

/// Makes it listen, or changes how many connections may wait.
///
/// # Errors
///
/// The system's reason.
pub fn listen(socket: &OwnedFd, backlog: Option<u16>) -> io::Result<()> {
    let backlog = backlog.map_or(libc::SOMAXCONN, i32::from);
    // SAFETY: the descriptor is open.
    check(unsafe { libc::listen(socket.as_raw_fd(), backlog) })
}

fn new_socket(family: i32) -> io::Result<OwnedFd> {
    // SAFETY: plain numbers.
    let fd = unsafe { libc::socket(family, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_socket_replaces_another_one_and_nothing_else() {
        crate::sys::testing::in_own_process(
            "sys::fcgi_socket::tests::a_socket_replaces_another_one_and_nothing_else",
            || {
                let dir = tempfile::tempdir().expect("a directory");
                let path = dir.path().join("x.sock");
                let (first, first_file) = listen_at_path(&path, 0o660, (None, None), Some(1)).expect("it listens");
                let inode = || path.symlink_metadata().expect("there").ino();
                let before = inode();
                let (second, second_file) =
                    listen_at_path(&path, 0o640, (None, None), None).expect("the first is replaced");
                assert_ne!(inode(), before);
                assert!(is_at_path(&path, second_file) && !is_at_path(&path, first_file));
                assert_eq!(path.symlink_metadata().expect("there").permissions().mode() & 0o7777, 0o640);
                drop(first);
                UnixStream::connect(&path).expect("the second listens");
                drop(second);
                assert!(path.exists() && UnixStream::connect(&path).is_err(), "its file stays");
                std::fs::remove_file(&path).expect("removed");
                assert!(!is_at_path(&path, second_file));
                std::fs::write(&path, "precious").expect("written");
                let error = listen_at_path(&path, 0o600, (None, None), None).expect_err("no socket");
                assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
                assert_eq!(std::fs::read_to_string(&path).expect("there"), "precious");
            },
        );
    }

    #[test]
    fn a_port_blocks_and_takes_another_backlog() {
        let socket = listen_at_port("localhost", 0, Some(3)).expect("any port");
        let flags = nix::fcntl::fcntl(&socket, nix::fcntl::FcntlArg::F_GETFL).expect("open");
        assert_eq!(flags & libc::O_NONBLOCK, 0);
        listen(&socket, None).expect("it listens already");
        assert!(listen_at_port("host.invalid", 0, None).is_err());
    }
}
