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
use std::time::{Duration, Instant};

use super::child::PRE_EXEC_NAME;
use super::proc::{self, Stat};

/// How long those that are being executed are left to it between two looks.
const LOOK_PAUSE: Duration = Duration::from_millis(2);
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

/// What [`marked`] has found.
#[derive(Debug, Default)]
pub struct Search {
    /// Those with the variable.
    pub found: Vec<Marked>,
    /// Children of a daemon that have not executed their program yet: nobody can tell what they will carry.
    pub unborn: Vec<i32>,
    /// Those that were executing a program: nobody can tell yet what they carry.
    pub in_exec: Vec<i32>,
}

/// Every living process in whose environment `variable` is set, this one left out. Reads two files for each process
/// of the system (about 15 ms for 1,000), and more only for those that are found. Processes whose environment this
/// one may not read, and those that have overwritten theirs (with a title for `ps`), are not found.
///
/// Those that are being executed (a moment, unless the machine is busy or the disk hangs) are looked at again until
/// they have an environment of their own, for as long as `patience` lasts.
///
/// # Errors
///
/// Where `/proc` is not mounted.
pub fn marked(variable: &str, patience: Duration) -> io::Result<Search> {
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let deadline = Instant::now() + patience;
    let prefix = format!("{variable}=");
    let mut buffer = Vec::with_capacity(16 * 1024);
    let mut search = Search::default();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if pid != own {
            look_at(pid, prefix.as_bytes(), &mut buffer, &mut search);
        }
    }
    while !(search.unborn.is_empty() && search.in_exec.is_empty()) && Instant::now() < deadline {
        std::thread::sleep(LOOK_PAUSE);
        for pid in std::mem::take(&mut search.unborn).into_iter().chain(std::mem::take(&mut search.in_exec)) {
            look_at(pid, prefix.as_bytes(), &mut buffer, &mut search);
        }
    }
    Ok(search)
}

fn look_at(pid: i32, prefix: &[u8], buffer: &mut Vec<u8>, search: &mut Search) {
    // Before the environment: what has one of its own by then does not lose it.
    let Ok(line) = fs::read(format!("/proc/{pid}/stat")) else { return };
    let line = String::from_utf8_lossy(&line);
    let Some(stat) = proc::parse_stat(&line).filter(|stat| !stat.is_dead()) else { return };
    if is_unborn(&line) {
        return search.unborn.push(pid);
    }
    if read_environment(pid, buffer).is_none() {
        return;
    }
    if buffer.is_empty() && is_in_exec(&line) {
        return search.in_exec.push(pid);
    }
    let value = buffer.split(|byte| *byte == 0).find_map(|entry| entry.strip_prefix(prefix)).map(<[u8]>::to_vec);
    if let Some(value) = value {
        let same =
            |kind: &str| namespace(&pid.to_string(), kind).is_some_and(|one| Some(one) == namespace("self", kind));
        search.found.push(Marked { stat, value, sees_what_we_see: same("pid") && same("mnt") });
    }
}

fn read_environment(pid: i32, buffer: &mut Vec<u8>) -> Option<()> {
    buffer.clear();
    let file = File::open(format!("/proc/{pid}/environ")).ok()?;
    file.take(LONGEST_ENVIRONMENT).read_to_end(buffer).ok().map(drop)
}

/// A child between `clone` and `exec`: it still shows the environment of the daemon that has made it.
fn is_unborn(stat: &str) -> bool {
    let name = stat.split_once('(').and_then(|(_, rest)| rest.rsplit_once(')'));
    name.is_some_and(|(name, _)| name.as_bytes() == PRE_EXEC_NAME.to_bytes())
}

/// The kernel has taken away the old memory and not yet written down where the new environment is. (To be asked of one
/// whose environment could be read: what one may not read is always 0.)
fn is_in_exec(stat: &str) -> bool {
    const KERNEL_THREAD: u64 = 0x0020_0000;
    let Some((_, fields)) = stat.rsplit_once(')') else { return false };
    // Numbered as in proc(5), where the state behind the name is the third.
    let field = |number: usize| fields.split_ascii_whitespace().nth(number - 3)?.parse::<u64>().ok();
    let (flags, env_start) = (field(9), field(50));
    env_start == Some(0) && flags.is_some_and(|flags| flags & KERNEL_THREAD == 0)
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
        let found = marked(&variable, Duration::from_secs(60)).unwrap().found.pop().unwrap();
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
        assert!(marked(&variable, Duration::ZERO).unwrap().found.is_empty());
        assert!(Stranger::hold(&found.stat).is_none(), "the number is free, or another's");
    }

    #[test]
    fn what_is_about_to_be_executed_is_waited_for() {
        let variable = format!("SUPERVICE_TEST_BORN_{}", std::process::id());
        // It has the name, and executes a program with the variable when it is told to.
        let mut child = Command::new("sh")
            .args([
                "-c",
                "printf supervice:exec > /proc/$$/comm; echo; read line; export \"$0=x\"; exec sleep 1000",
                &variable,
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        child.stdout.take().unwrap().read_exact(&mut [0]).unwrap();
        let search = marked(&variable, Duration::ZERO).unwrap();
        assert!(search.found.is_empty() && search.unborn.contains(&pid), "{search:?}");
        let stdin = child.stdin.take().unwrap();
        let search = std::thread::scope(|scope| {
            let search = scope.spawn(|| marked(&variable, Duration::from_secs(60)).unwrap());
            drop(stdin);
            search.join().unwrap()
        });
        assert_eq!(search.found.iter().map(|one| one.stat.pid).collect::<Vec<_>>(), [pid]);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_process_without_memory_of_its_own_is_in_exec() {
        let line = |flags, env_start| {
            let middle = "0 ".repeat(40);
            format!("7 (a) b) S 1 7 7 0 -1 {flags} {middle}{env_start} 0 0")
        };
        assert!(is_in_exec(&line(0x40_0000, 0)));
        assert!(!is_in_exec(&line(0x20_8040, 0)), "a kernel thread has none");
        assert!(!is_in_exec(&line(0x40_0000, 140_000)));
        assert!(!is_in_exec("7 (a) S 1"), "an old kernel does not tell");
        assert!(is_unborn("7 (supervice:exec) S 1") && !is_unborn("7 (supervice) S 1"));
        let own = std::fs::read_to_string("/proc/self/stat").unwrap();
        assert!(!is_in_exec(&own));
    }
}
