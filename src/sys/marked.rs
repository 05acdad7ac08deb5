//! Finding processes by a variable in their environment, and holding them so that no other process is ever
//! mistaken for them.
//!
//! An environment is what a process was executed with, and what it hands on to those that it forks: the one mark
//! that a daemon can put on all of them without a file, and that ends with them. It is no proof by itself (a login
//! shell or a daemon somewhere below inherits it too), so that whoever looks for marks has more to compare:
//! the session, and the namespaces.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

use super::proc::{self, Stat};

/// What is read of one environment, in bytes: what lies behind is not looked at. Real ones have a few thousand.
const LONGEST_ENVIRONMENT: u64 = 256 * 1024;

/// A process with the variable.
#[derive(Debug)]
pub struct Marked {
    /// The process.
    pub stat: Stat,
    /// The variable's value.
    pub value: Vec<u8>,
    /// It sees the same processes under the same numbers, and the same files under the same names, as this process:
    /// the pid and the mount namespace are the same.
    pub sees_what_we_see: bool,
}

/// Every living process in whose environment `variable` is set, this one left out. Reads one file for each process
/// of the system (about 10 ms for 1,000), and more only for those that are found. Processes whose environment this
/// one may not read, and those that have overwritten theirs (with a title for `ps`), are not found.
///
/// # Errors
///
/// Where `/proc` is not mounted.
pub fn marked(variable: &str) -> io::Result<Vec<Marked>> {
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let prefix = format!("{variable}=");
    let mut buffer = Vec::with_capacity(16 * 1024);
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if pid == own {
            continue;
        }
        let Some(value) = value_of(pid, prefix.as_bytes(), &mut buffer) else { continue };
        let Some(stat) = proc::stat(pid).filter(|stat| !stat.is_dead()) else { continue };
        let same =
            |kind: &str| namespace(&pid.to_string(), kind).is_some_and(|one| Some(one) == namespace("self", kind));
        found.push(Marked { stat, value, sees_what_we_see: same("pid") && same("mnt") });
    }
    Ok(found)
}

fn value_of(pid: i32, prefix: &[u8], buffer: &mut Vec<u8>) -> Option<Vec<u8>> {
    buffer.clear();
    let file = File::open(format!("/proc/{pid}/environ")).ok()?;
    file.take(LONGEST_ENVIRONMENT).read_to_end(buffer).ok()?;
    buffer.split(|byte| *byte == 0).find_map(|entry| entry.strip_prefix(prefix)).map(<[u8]>::to_vec)
}

fn namespace(pid: &str, kind: &str) -> Option<std::path::PathBuf> {
    fs::read_link(format!("/proc/{pid}/ns/{kind}")).ok()
}

/// The living members of these sessions.
///
/// # Errors
///
/// As [`marked`].
pub fn session_members(sessions: &[i32]) -> io::Result<Vec<Stat>> {
    let mut members = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        members.extend(proc::stat(pid).filter(|stat| sessions.contains(&stat.session) && !stat.is_dead()));
    }
    Ok(members)
}

/// A process that is no child of ours, by its identity: never another one that has got its number.
#[derive(Debug)]
pub struct Stranger {
    /// Its pid.
    pub pid: i32,
    start_time: u64,
    /// `None` on kernels before 5.3, and where no descriptor is left.
    pidfd: Option<OwnedFd>,
}

impl Stranger {
    /// Takes hold of the process that `stat` tells of; `None` if it has ended meanwhile.
    pub fn hold(stat: &Stat) -> Option<Stranger> {
        // SAFETY: plain numbers.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, stat.pid, 0) };
        let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0);
        // SAFETY: the kernel has just made this descriptor for us (close-on-exec).
        let pidfd = fd.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
        let held = Stranger { pid: stat.pid, start_time: stat.start_time, pidfd };
        // Only now: before, the number could have gone to another process.
        held.is_named_by_its_pid().then_some(held)
    }

    fn is_named_by_its_pid(&self) -> bool {
        proc::stat(self.pid).is_some_and(|now| now.start_time == self.start_time && !now.is_dead())
    }

    /// Whether it has ended, be it reaped or not.
    pub fn has_ended(&self) -> bool {
        match &self.pidfd {
            Some(pidfd) => wait_readable(pidfd, Duration::ZERO),
            None => !self.is_named_by_its_pid(),
        }
    }

    /// Waits for its end; whether it has ended. Without pidfds there is no waiting, only a look.
    pub fn wait(&self, at_most: Duration) -> bool {
        match &self.pidfd {
            Some(pidfd) => wait_readable(pidfd, at_most),
            None => self.has_ended(),
        }
    }

    /// Signals it. Without a pidfd its identity is compared once more right before.
    ///
    /// # Errors
    ///
    /// It may not be signalled by us (EPERM). That it has ended is no error.
    pub fn signal(&self, signal: u8) -> io::Result<()> {
        let result = match &self.pidfd {
            Some(pidfd) => {
                let none = std::ptr::null::<libc::siginfo_t>();
                let (fd, signal) = (pidfd.as_raw_fd(), i32::from(signal));
                // SAFETY: no siginfo is passed; the rest are plain numbers.
                unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, signal, none, 0) }
            }
            None if self.pid <= 1 || !self.is_named_by_its_pid() => 0,
            // SAFETY: plain numbers.
            None => unsafe { libc::kill(self.pid, i32::from(signal)) }.into(),
        };
        let error = io::Error::last_os_error();
        if result == 0 || error.raw_os_error() == Some(libc::ESRCH) { Ok(()) } else { Err(error) }
    }
}

fn wait_readable(fd: &OwnedFd, at_most: Duration) -> bool {
    let mut poll = [nix::poll::PollFd::new(fd.as_fd(), nix::poll::PollFlags::POLLIN)];
    let limit = u16::try_from(at_most.as_millis()).unwrap_or(u16::MAX);
    nix::poll::poll(&mut poll, limit).is_ok_and(|ready| ready > 0)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_process_is_found_by_its_variable_held_and_signalled_until_it_has_ended() {
        let variable = format!("SUPERVICE_TEST_MARK_{}", std::process::id());
        let mut child = Command::new("sleep").arg("1000").env(&variable, "a=b").stdin(Stdio::null()).spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        // The child may not have executed yet.
        let found = loop {
            let mut found = marked(&variable).unwrap();
            if let Some(found) = found.pop() {
                break found;
            }
        };
        assert_eq!((found.stat.pid, found.value.as_slice()), (pid, b"a=b".as_slice()));
        assert!(found.sees_what_we_see);
        let held = Stranger::hold(&found.stat).unwrap();
        assert!(!held.has_ended());
        assert!(session_members(&[found.stat.session]).unwrap().iter().any(|stat| stat.pid == pid));
        held.signal(15).unwrap();
        assert!(held.wait(Duration::from_secs(60)));
        assert!(held.has_ended(), "not reaped yet");
        child.wait().unwrap();
        assert!(held.has_ended());
        held.signal(9).unwrap();
        assert!(marked(&variable).unwrap().is_empty());
        assert!(Stranger::hold(&found.stat).is_none(), "the number is free, or another's");
    }
}
