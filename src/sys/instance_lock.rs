//! That a daemon runs, known whatever becomes of its files.
//!
//! The control socket and the pid file are names that anybody with the rights may remove, or hide under a mount; a
//! second daemon would find the place free. So the daemon also holds a name in the abstract namespace of sockets, which
//! nothing but its end gives back. There is no file to be removed, no directory that must be writable, and no inode
//! that an editor or a deployment replaces, as a lock on the configuration or its directory would need.
//!
//! - The name is made of the path of the control socket (or of the pid file, where there is none), as the configuration
//!   spells it: one configuration may serve several daemons, each with a socket of its own.
//! - It is also made of the mount namespace: two containers that share a network namespace may each have a socket of this
//!   path. So a daemon in another mount or network namespace is not refused by this lock, only by the files.
//! - Anybody may take any such name. Who is neither root nor our own user does not keep us from starting.
//!
//! The holder takes in and drops whoever connects ([`InstanceLock::drain`]): a queue that stays full would hide who it
//! is.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;
use std::time::Duration;

use super::lock_holder::is_trusted;
use super::net::new_socket;
use super::peer::{Peer, peer_credentials};
use super::pidfile::HolderGrace;
use crate::util::errno;

/// How often the holder may come and go, or be too busy to answer, before we give up.
const MAX_ATTEMPTS: usize = 20;
const PAUSE: Duration = Duration::from_millis(10);

/// Taken in at a time, when somebody has connected.
const DRAINED_AT_ONCE: usize = 32;

/// Held until it is dropped, or the process ends in whatever way.
#[derive(Debug)]
pub struct InstanceLock(UnixListener);

/// What came of asking for the lock.
#[derive(Debug)]
pub enum Claim {
    /// It is ours.
    Acquired(InstanceLock),
    /// It can't be had, which keeps nobody from running: the files alone keep a second daemon away.
    Unavailable(String),
}

impl InstanceLock {
    /// Takes the lock of the daemon whose control socket (or pid file) has this path.
    ///
    /// # Errors
    /// `AddrInUse`: another daemon holds it; the text names its pid and what to do.
    pub fn claim(path: &Path) -> io::Result<Claim> {
        let address = address(path)?;
        let mut grace = HolderGrace::default();
        let mut attempts = 0;
        while attempts < MAX_ATTEMPTS {
            let error = match UnixListener::bind_addr(&address) {
                Ok(listener) => {
                    listener.set_nonblocking(true)?;
                    return Ok(Claim::Acquired(InstanceLock(listener)));
                }
                Err(error) => error,
            };
            if error.kind() != io::ErrorKind::AddrInUse {
                return Ok(Claim::Unavailable(errno::reason(&error)));
            }
            match holder(&address) {
                Some(peer) if !is_trusted(peer.uid) => {
                    return Ok(Claim::Unavailable(format!("uid {} (pid {}) holds its name", peer.uid, peer.pid)));
                }
                Some(peer) if grace.wait_for_holder(peer.pid) => {}
                Some(peer) => return Err(refusal(path, peer.pid)),
                // It has just gone, is about to listen, or has more callers than it can take in.
                None => {
                    attempts += 1;
                    std::thread::sleep(PAUSE);
                }
            }
        }
        Ok(Claim::Unavailable("somebody keeps its name busy".to_owned()))
    }

    /// Readable when somebody has tried to take the lock.
    pub fn raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Takes in and drops whoever has connected.
    pub fn drain(&self) {
        for _ in 0..DRAINED_AT_ONCE {
            if self.0.accept().is_err() {
                return;
            }
        }
    }
}

impl AsFd for InstanceLock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn refusal(path: &Path, pid: i32) -> io::Error {
    let path = path.display();
    let (who, stop) = if pid > 0 { (format!(" (pid {pid})"), format!(" (kill {pid})")) } else { Default::default() };
    let text = format!(
        "another daemon{who} of this configuration runs, whether or not its file {path} is there; stop it{stop}, or write another path"
    );
    io::Error::new(io::ErrorKind::AddrInUse, text)
}

/// Who listens there; `None` where nobody does, or can be asked now.
fn holder(address: &SocketAddr) -> Option<Peer> {
    let socket = new_socket().ok()?;
    let name = address.as_abstract_name()?;
    let address = nix::sys::socket::UnixAddr::new_abstract(name).ok()?;
    nix::sys::socket::connect(socket.as_raw_fd(), &address).ok()?;
    peer_credentials(socket.as_fd()).ok()
}

fn address(path: &Path) -> io::Result<SocketAddr> {
    let path = std::path::absolute(path)?;
    // Without /proc, all mount namespaces are one: a daemon more is refused, none too few.
    let namespace = std::fs::metadata("/proc/self/ns/mnt").map_or(0, |found| found.ino());
    let path = fnv_1a(std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()));
    SocketAddr::from_abstract_name(format!("supervice/{namespace}/{path:016x}"))
}

/// A path may be longer than the name of a socket. Not std's hash: every version of this program must come to the same.
fn fnv_1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(path: &Path) -> InstanceLock {
        match InstanceLock::claim(path) {
            Ok(Claim::Acquired(lock)) => lock,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_second_is_told_the_pid_of_the_first_and_another_path_is_another_daemon() {
        crate::sys::testing::in_own_process(
            "sys::instance_lock::tests::the_second_is_told_the_pid_of_the_first_and_another_path_is_another_daemon",
            || {
                let dir = tempfile::tempdir().unwrap();
                let path = dir.path().join("s");
                let lock = held(&path);
                for _ in 0..3 {
                    let told = InstanceLock::claim(&path).expect_err("it is held").to_string();
                    assert!(told.contains(&format!("another daemon (pid {})", std::process::id())), "{told}");
                    lock.drain();
                }
                held(&dir.path().join("t"));
                drop(lock);
                held(&path);
            },
        );
    }

    #[test]
    fn of_many_that_race_exactly_one_holds_it() {
        crate::sys::testing::in_own_process(
            "sys::instance_lock::tests::of_many_that_race_exactly_one_holds_it",
            || {
                let dir = tempfile::tempdir().unwrap();
                let path = dir.path().join("s");
                let start = std::sync::Barrier::new(8);
                let held = std::thread::scope(|scope| {
                    let race = || {
                        start.wait();
                        InstanceLock::claim(&path).ok()
                    };
                    let racers: Vec<_> = (0..8).map(|_| scope.spawn(race)).collect();
                    racers.into_iter().filter_map(|racer| racer.join().unwrap()).collect::<Vec<_>>()
                });
                assert!(matches!(held.as_slice(), [Claim::Acquired(_)]), "{held:?}");
            },
        );
    }

    /// A process that has taken the name first and accepts no connection keeps nobody from starting.
    #[test]
    fn a_name_that_is_kept_busy_is_no_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        let address = address(path).unwrap();
        let squatter = UnixListener::bind_addr(&address).unwrap();
        nix::sys::socket::listen(&squatter, nix::sys::socket::Backlog::new(1).unwrap()).unwrap();
        let mut callers = Vec::new();
        while let Some(caller) = call(&address) {
            callers.push(caller);
        }
        assert!(matches!(InstanceLock::claim(path), Ok(Claim::Unavailable(_))));
    }

    fn call(address: &SocketAddr) -> Option<std::os::fd::OwnedFd> {
        let socket = new_socket().ok()?;
        let name = nix::sys::socket::UnixAddr::new_abstract(address.as_abstract_name()?).ok()?;
        nix::sys::socket::connect(socket.as_raw_fd(), &name).ok().map(|()| socket)
    }
}
