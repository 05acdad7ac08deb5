//! Who holds a lock on a file that anybody may open, and so lock.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;

/// A process that holds a lock, and is neither root's nor our own user's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ForeignHolder {
    pub(super) pid: i32,
    pub(super) uid: u32,
}

/// Whether what a process of this user holds keeps us away.
pub(super) fn is_trusted(uid: u32) -> bool {
    uid == 0 || uid == nix::unistd::geteuid().as_raw()
}

/// Who holds the lock (of `flock`) on this file, if that is certainly another user. Where the kernel does not tell, as
/// of a process in another pid namespace, it may be another daemon.
pub(super) fn foreign(file: &File) -> Option<ForeignHolder> {
    let found = file.metadata().ok()?;
    let (device, inode) = (found.dev(), found.ino());
    let pid = holder(&fs::read_to_string("/proc/locks").ok()?, device, inode)?;
    let uid = fs::metadata(format!("/proc/{pid}")).ok()?.uid();
    (!is_trusted(uid)).then_some(ForeignHolder { pid, uid })
}

/// The holder of the lock on this file in the kernel's list.
fn holder(locks: &str, device: u64, inode: u64) -> Option<i32> {
    let file = format!("{:02x}:{:02x}:{inode}", nix::sys::stat::major(device), nix::sys::stat::minor(device));
    locks.lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace().skip(1);
        // A process that waits for the lock has an arrow here.
        let is_flock = words.next() == Some("FLOCK");
        let (pid, of) = (words.nth(2)?.parse().ok()?, words.next()?);
        (is_flock && of == file && pid > 0).then_some(pid)
    })
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    use std::path::Path;
    use std::process::{Child, Command};
    use std::time::{Duration, Instant};

    use super::*;
    use crate::sys::net::bind_control_socket;
    use crate::sys::pidfile::{PidFile, PidFileError};
    use crate::sys::testing::{TEST_TIMEOUT, is_root};

    #[test]
    fn the_holder_is_told_by_device_and_inode() {
        let locks = "1: POSIX  ADVISORY  WRITE 10 fe:00:77 0 EOF\n2: FLOCK  ADVISORY  WRITE 11 fe:01:77 0 EOF\n\
                     3: FLOCK  ADVISORY  WRITE 12 fe:00:77 0 EOF\n3: -> FLOCK  ADVISORY  WRITE 13 fe:00:78 0 EOF\n\
                     4: FLOCK  ADVISORY  READ 0 fe:00:79 0 EOF\nrubbish\n";
        let device = nix::sys::stat::makedev(0xfe, 0);
        for (inode, pid) in [(77, Some(12)), (78, None), (79, None), (80, None)] {
            assert_eq!(holder(locks, device, inode), pid, "{inode}");
        }
    }

    /// Another user locks this; ended when dropped.
    struct Locker(Child);

    impl Locker {
        fn of(path: &Path) -> Locker {
            let mut flock = Command::new("flock");
            flock.arg("-x").arg(path).args(["sleep", "1000"]).uid(12345).process_group(0);
            let locker = Locker(flock.spawn().unwrap());
            let (file, give_up) = (File::open(path).unwrap(), Instant::now() + TEST_TIMEOUT);
            while foreign(&file).is_none() {
                assert!(Instant::now() < give_up, "it is not locked");
                std::thread::sleep(Duration::from_millis(10));
            }
            locker
        }
    }

    impl Drop for Locker {
        fn drop(&mut self) {
            // SAFETY: plain numbers; the group's leader is not reaped yet.
            unsafe { libc::killpg(self.0.id().cast_signed(), libc::SIGKILL) };
            self.0.wait().unwrap();
        }
    }

    /// Anybody can open, and so lock, what anybody can read.
    #[test]
    fn a_stranger_with_a_lock_keeps_no_daemon_from_starting() {
        if !is_root("a_stranger_with_a_lock_keeps_no_daemon_from_starting") {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let path = dir.path().join("pid");
        fs::write(&path, "2147483647\n").unwrap();
        let _locks = [Locker::of(&path), Locker::of(dir.path())];
        let held = PidFile::acquire(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
        bind_control_socket(&dir.path().join("ctl"), 0o600, (None, None)).unwrap();
        drop(held);
        // The file names it: a daemon that has become another user.
        fs::write(&path, "").unwrap();
        let locker = Locker::of(&path);
        fs::write(&path, format!("{}\n", locker.0.id())).unwrap();
        assert!(matches!(PidFile::acquire(&path), Err(PidFileError::Held { .. })));
        drop(locker);
        // One of our own, or root's, may be a daemon.
        fs::write(&path, "2147483647\n").unwrap();
        let file = File::open(&path).unwrap();
        // At once, or as soon as what the locker has started has gone, too.
        // SAFETY: the descriptor is open.
        assert_eq!(unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX) }, 0);
        assert!(matches!(PidFile::acquire(&path), Err(PidFileError::Held { .. })));
    }

    #[test]
    fn what_we_hold_ourselves_is_no_strangers() {
        let file = tempfile::tempfile().unwrap();
        // SAFETY: the descriptor is open.
        assert_eq!(unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) }, 0);
        assert_eq!(foreign(&file), None);
    }
}
