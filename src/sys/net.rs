//! The control socket as a file.

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::fcntl::AtFlags;
use nix::unistd::{Gid, Uid, fchownat};

use super::guarded_path;
use super::lock_holder::{self, ForeignHolder};
use super::peer::peer_credentials;
use super::pidfile::HolderGrace;
use crate::util::errno;

/// How long another daemon may take between its look at the path and its bind.
const LOCK_WAIT: Duration = Duration::from_secs(2);
const LOCK_PAUSE: Duration = Duration::from_millis(10);
/// Connections that may wait to be accepted.
const BACKLOG: i32 = 128;

/// Removes the socket's file when dropped, if it is still the one that we have made.
#[derive(Debug)]
pub struct SocketGuard {
    /// The path and a handle on the file itself, which keeps its inode number from being used again
    /// for somebody else's socket; `None` for a socket without a file.
    file: Option<(PathBuf, File)>,
    was_there: bool,
}

impl SocketGuard {
    /// That of a daemon which has not ended in order was there.
    pub fn was_there(&self) -> bool {
        self.was_there
    }

    /// Leaves the file where it is, for the next daemon.
    pub fn leave(mut self) {
        self.file = None;
    }

    /// Whether the path leads to the socket; always so for one without a file.
    pub fn is_there(&self) -> bool {
        let Some((path, ours)) = &self.file else { return true };
        let (Ok(there), Ok(ours)) = (path.symlink_metadata(), ours.metadata()) else { return false };
        (there.dev(), there.ino()) == (ours.dev(), ours.ino())
    }
}

impl Drop for SocketGuard {
    fn drop(&mut self) {
        let Some((path, _)) = &self.file else { return };
        if self.is_there() {
            // Nothing sensible can be done about a failure: the next daemon recognises it as stale.
            let _ = guarded_path::remove(path);
        }
    }
}

/// Makes the control socket: non-blocking, close-on-exec, with at no moment a wider mode than `mode`.
///
/// What a dead daemon has left at the path is replaced; a living one, or anything that is not a
/// socket, is left alone. Of several daemons that start at the same time one wins. A path that
/// begins with `@` names a socket in the abstract namespace, which has no file and no mode.
///
/// # Errors
///
/// `AddrInUse` where another daemon listens, `AlreadyExists` where something else lies at the path, or the
/// system's reason; the text names the path.
pub fn bind_control_socket(
    path: &Path,
    mode: u32,
    owner: (Option<u32>, Option<u32>),
) -> io::Result<(UnixListener, SocketGuard)> {
    bind(path, mode, owner).map_err(|error| {
        let text = format!("cannot listen on {}: {}", path.display(), errno::reason_with_remedy(&error));
        io::Error::new(error.kind(), text)
    })
}

fn bind(path: &Path, mode: u32, owner: (Option<u32>, Option<u32>)) -> io::Result<(UnixListener, SocketGuard)> {
    if let Some(name) = path.as_os_str().as_bytes().strip_prefix(b"@") {
        let listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(name)?)?;
        listener.set_nonblocking(true)?;
        return Ok((listener, SocketGuard { file: None, was_there: false }));
    }
    let _lock = lock_directory(path)?;
    let was_there = clear_stale(path)?;
    let socket = new_socket()?;
    // A socket's file gets the mode of the socket itself, less the umask. Unlike a change of the umask
    // this concerns no other thread.
    // SAFETY: the descriptor is open.
    check(unsafe { libc::fchmod(socket.as_raw_fd(), 0o600 & mode) })?;
    bind_to(&socket, path)?;
    let made = match OpenOptions::new().read(true).custom_flags(libc::O_PATH | libc::O_NOFOLLOW).open(path) {
        Ok(made) => made,
        Err(error) => {
            // Without a descriptor nobody guards it: it goes while nobody else can have made another one.
            let _ = guarded_path::remove(path);
            return Err(error);
        }
    };
    let guard = SocketGuard { file: Some((path.to_owned(), made)), was_there };
    if let Some((_, made)) = &guard.file {
        hand_over(made, path, mode, owner)?;
    }
    // Only now: until it listens, connections are refused, whatever the mode.
    // SAFETY: the descriptor is open.
    check(unsafe { libc::listen(socket.as_raw_fd(), BACKLOG) })?;
    Ok((UnixListener::from(socket), guard))
}

/// Gives the socket's file its owner and mode: the file that we hold, because in a directory that others can write to
/// its name may mean something else by now.
pub(super) fn hand_over(made: &File, path: &Path, mode: u32, owner: (Option<u32>, Option<u32>)) -> io::Result<()> {
    let found = made.metadata()?;
    if !found.file_type().is_socket() || found.nlink() > 1 {
        return Err(io::Error::other(
            "somebody has put something else there; use a directory that others can't write to",
        ));
    }
    if owner != (None, None) {
        let (uid, gid) = (owner.0.map(Uid::from_raw), owner.1.map(Gid::from_raw));
        fchownat(made, "", uid, gid, AtFlags::AT_EMPTY_PATH)?;
    }
    let permissions = || Permissions::from_mode(mode);
    match std::fs::set_permissions(format!("/proc/self/fd/{}", made.as_raw_fd()), permissions()) {
        // There is no /proc.
        Err(error) if error.kind() == io::ErrorKind::NotFound => std::fs::set_permissions(path, permissions()),
        changed => changed,
    }
}

pub(super) fn check(result: i32) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

pub(super) fn new_socket() -> io::Result<OwnedFd> {
    // SAFETY: plain numbers.
    let fd = unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

pub(super) fn bind_to(socket: &OwnedFd, path: &Path) -> io::Result<()> {
    let address = nix::sys::socket::UnixAddr::new(path)?;
    Ok(nix::sys::socket::bind(socket.as_raw_fd(), &address)?)
}

/// Keeps two daemons from judging and replacing the same stale socket at the same time, each
/// removing what the other has just bound. The lock is on the directory, so that no lock file is left behind.
/// `None` where the directory can't be read by us, or another user has locked it: then the pid file has to do.
fn lock_directory(path: &Path) -> io::Result<Option<File>> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let directory = match OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY).open(parent) {
        Ok(directory) => directory,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(None),
        Err(error) => return Err(error),
    };
    let give_up = Instant::now() + LOCK_WAIT;
    loop {
        // SAFETY: the descriptor is open.
        let result = check(unsafe { libc::flock(directory.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) });
        match result {
            Ok(()) => return Ok(Some(directory)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && Instant::now() < give_up => {
                std::thread::sleep(LOCK_PAUSE);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                // Any user who can read the directory can lock it: that keeps no daemon from starting.
                if let Some(ForeignHolder { pid, uid }) = lock_holder::foreign(&directory) {
                    log::warn!("pid {pid} of uid {uid} keeps {} locked: goes on without the lock", parent.display());
                    return Ok(None);
                }
                let text =
                    format!("another program has locked {} for seconds; use another directory", parent.display());
                return Err(io::Error::new(io::ErrorKind::WouldBlock, text));
            }
            // A file system without locks.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOLCK | libc::EOPNOTSUPP | libc::EBADF)) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        }
    }
}

/// Removes a socket on which nobody listens; whether there was one.
fn clear_stale(path: &Path) -> io::Result<bool> {
    let there = match path.symlink_metadata() {
        Ok(there) => there,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    if !there.file_type().is_socket() {
        let text = "something that is not a socket lies there; remove it or set another socket";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
    }
    let mut grace = HolderGrace::default();
    let probed = loop {
        match probe(path) {
            Ok(Some(pid)) if grace.wait_for_holder(pid) => {}
            probed => break probed,
        }
    };
    match probed {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => guarded_path::remove(path).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        // Connected, or its queue is full, or it is of another type: somebody has it open.
        Ok(listener) => {
            let who = listener.map_or(String::new(), |pid| format!(" (pid {pid})"));
            let text = format!("another daemon{who} is listening there; stop it or set another socket");
            Err(io::Error::new(io::ErrorKind::AddrInUse, text))
        }
        Err(error) => Err(error),
    }
}

/// Connects without waiting; the listener's pid, where the kernel tells it.
fn probe(path: &Path) -> io::Result<Option<i32>> {
    let socket = new_socket()?;
    let address = nix::sys::socket::UnixAddr::new(path)?;
    match nix::sys::socket::connect(socket.as_raw_fd(), &address) {
        Ok(()) => {
            let stream = UnixStream::from(socket);
            let peer = peer_credentials(std::os::fd::AsFd::as_fd(&stream)).ok();
            Ok(peer.map(|peer| peer.pid).filter(|pid| *pid > 0))
        }
        Err(nix::Error::EAGAIN | nix::Error::EPROTOTYPE) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
