//! The facts by which the orphans of an earlier daemon are found, and holding processes so that no other process
//! is ever mistaken for them. Nothing is decided here.
//!
//! An environment is what a process was executed with, and what it hands on to those that it forks: the one tag
//! that a daemon can put on all of them without a file, and that ends with them. It is no proof by itself (a login
//! shell or a daemon somewhere below inherits it too), so the facts tell more: parents, sessions and namespaces.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;

use super::child::PRE_EXEC_NAME;
use super::proc::{self, Stat};
use super::signal;
use crate::process::{ProcessFacts, ProcessId, ScanFacts, TaggedProcess};

/// What is read of one environment, in bytes: what lies behind is not looked at. Real ones have a few thousand.
const MAX_ENVIRONMENT: u64 = 256 * 1024;

impl Stat {
    /// Which process it is.
    pub(crate) fn id(&self) -> ProcessId {
        ProcessId { pid: self.pid, start_time: self.start_time }
    }
}

/// Looks at every process of the system; tagged are those in whose environment `variable` is set, this one left out.
/// Reads two files for each process (about 15 ms for 1,000), and more only for those that are tagged. Processes whose
/// environment this one may not read, and those that have overwritten theirs (with a title for `ps`), show no tag.
///
/// # Errors
///
/// Where `/proc` is not mounted.
pub(crate) fn scan(variable: &str) -> io::Result<ScanFacts> {
    let mut look = Scanner::for_variable(variable);
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        look.at(pid);
    }
    Ok(look.facts)
}

/// Looks at these processes alone; those that have ended are not in the facts.
pub(crate) fn examine(variable: &str, pids: &[i32]) -> ScanFacts {
    let mut look = Scanner::for_variable(variable);
    pids.iter().for_each(|pid| look.at(*pid));
    look.facts
}

/// One look, with what is needed for each process.
struct Scanner {
    own: i32,
    prefix: Vec<u8>,
    environment: Vec<u8>,
    facts: ScanFacts,
}

impl Scanner {
    fn for_variable(variable: &str) -> Scanner {
        Scanner {
            own: i32::try_from(std::process::id()).unwrap_or(0),
            prefix: format!("{variable}=").into_bytes(),
            environment: Vec::with_capacity(16 * 1024),
            facts: ScanFacts::default(),
        }
    }

    fn at(&mut self, pid: i32) {
        // Before the environment: a process that has one of its own by then does not lose it.
        let Ok(line) = fs::read(format!("/proc/{pid}/stat")) else { return };
        let line = String::from_utf8_lossy(&line);
        let Some(stat) = proc::parse_stat(&line).filter(|stat| !stat.is_dead()) else { return };
        self.facts.living.push(ProcessFacts { id: stat.id(), ppid: stat.ppid, session: stat.session });
        if pid == self.own {
            return;
        }
        if is_pre_exec(&line) {
            return self.facts.pre_exec.push(pid);
        }
        if read_environment(pid, &mut self.environment).is_none() {
            return;
        }
        // The line may be older than the look at the environment: what has begun to end meanwhile has lost its memory,
        // too.
        if self.environment.is_empty() && (is_in_exec(&line) || is_without_memory(pid)) {
            return self.facts.in_exec.push(pid);
        }
        let mut entries = self.environment.split(|byte| *byte == 0);
        if let Some(tag) = entries.find_map(|entry| entry.strip_prefix(self.prefix.as_slice())) {
            let sees_same_namespaces = is_same_namespace(pid, "pid") && is_same_namespace(pid, "mnt");
            self.facts.tagged.push(TaggedProcess { id: stat.id(), tag: tag.to_vec(), sees_same_namespaces });
        }
    }
}

/// `None` where it may not be read. It is empty where there is none at the moment, which newer kernels call ESRCH.
fn read_environment(pid: i32, buffer: &mut Vec<u8>) -> Option<()> {
    buffer.clear();
    let file = File::open(format!("/proc/{pid}/environ"));
    match file.and_then(|file| file.take(MAX_ENVIRONMENT).read_to_end(buffer)) {
        Ok(_) => Some(()),
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Some(()),
        Err(_) => None,
    }
}

/// It has begun to end or to execute, or has ended: nothing can be told from its having no environment.
fn is_without_memory(pid: i32) -> bool {
    match fs::read(format!("/proc/{pid}/stat")) {
        Ok(line) => is_in_exec(&String::from_utf8_lossy(&line)),
        Err(_) => true,
    }
}

/// A child between `clone` and `exec`: it still shows the environment of the daemon that has made it.
fn is_pre_exec(stat: &str) -> bool {
    let name = stat.split_once('(').and_then(|(_, rest)| rest.rsplit_once(')'));
    name.is_some_and(|(name, _)| name.as_bytes() == PRE_EXEC_NAME.to_bytes())
}

/// The kernel has taken away the old memory and not yet written down where the new environment is; a process that ends
/// looks the same until it is a zombie. (To be asked of one whose environment could be read: what one may not read is
/// always 0.)
fn is_in_exec(stat: &str) -> bool {
    const KERNEL_THREAD: u64 = 0x0020_0000;
    let Some((_, fields)) = stat.rsplit_once(')') else { return false };
    // Numbered as in proc(5), where the state behind the name is the third.
    let field = |number: usize| fields.split_ascii_whitespace().nth(number - 3)?.parse::<u64>().ok();
    let (flags, env_start) = (field(9), field(50));
    env_start == Some(0) && flags.is_some_and(|flags| flags & KERNEL_THREAD == 0)
}

fn is_same_namespace(pid: i32, kind: &str) -> bool {
    let namespace = |pid: &str| -> Option<PathBuf> { fs::read_link(format!("/proc/{pid}/ns/{kind}")).ok() };
    namespace(&pid.to_string()).is_some_and(|one| Some(one) == namespace("self"))
}

/// A hold on a process that is no child of ours: never on another one that has got its number.
#[derive(Debug)]
pub(crate) struct ProcessRef {
    id: ProcessId,
    /// `None` on kernels before 5.3, and where no descriptor is left.
    pidfd: Option<OwnedFd>,
}

impl ProcessRef {
    /// Takes hold of a process; `None` if it has ended.
    pub(crate) fn hold(id: ProcessId) -> Option<ProcessRef> {
        let held = ProcessRef { id, pidfd: signal::open_pidfd(id.pid) };
        // Only now: before, the number could have gone to another process.
        held.is_named_by_its_pid().then_some(held)
    }

    fn is_named_by_its_pid(&self) -> bool {
        proc::stat(self.id.pid).is_some_and(|now| now.id() == self.id && !now.is_dead())
    }

    /// Whether it has ended, be it reaped or not.
    pub(crate) fn has_ended(&self) -> bool {
        match &self.pidfd {
            Some(pidfd) => is_readable(pidfd),
            None => !self.is_named_by_its_pid(),
        }
    }

    /// Signals it. Without a pidfd its identity is compared once more right before.
    ///
    /// # Errors
    ///
    /// We may not signal it (EPERM). A process that has ended is no error.
    pub(crate) fn signal(&self, signal: u8) -> io::Result<()> {
        let result = match &self.pidfd {
            Some(pidfd) => {
                let none = std::ptr::null::<libc::siginfo_t>();
                let (fd, signal) = (pidfd.as_raw_fd(), i32::from(signal));
                // SAFETY: no siginfo is passed; the rest are plain numbers.
                unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, signal, none, 0) }
            }
            None if self.id.pid <= 1 || !self.is_named_by_its_pid() => 0,
            // SAFETY: plain numbers.
            None => unsafe { libc::kill(self.id.pid, i32::from(signal)) }.into(),
        };
        let error = io::Error::last_os_error();
        if result == 0 || error.raw_os_error() == Some(libc::ESRCH) { Ok(()) } else { Err(error) }
    }
}

fn is_readable(fd: &OwnedFd) -> bool {
    let mut poll = [nix::poll::PollFd::new(fd.as_fd(), nix::poll::PollFlags::POLLIN)];
    nix::poll::poll(&mut poll, nix::poll::PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    fn only(variable: &str) -> TaggedProcess {
        let mut tagged = scan(variable).unwrap().tagged;
        assert_eq!(tagged.len(), 1, "{tagged:?}");
        tagged.remove(0)
    }

    #[test]
    fn a_process_is_found_by_its_variable_held_and_signalled_until_it_has_ended() {
        let variable = format!("SUPERVICE_TEST_TAG_{}", std::process::id());
        let mut child = Command::new("sleep").arg("1000").env(&variable, "a=b").stdin(Stdio::null()).spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        // `spawn` returns a moment before the kernel has written down where the new environment is.
        while examine(&variable, &[pid]).tagged.is_empty() {
            std::thread::yield_now();
        }
        let found = only(&variable);
        assert_eq!((found.id.pid, found.tag.as_slice()), (pid, b"a=b".as_slice()));
        assert!(found.sees_same_namespaces);
        let facts = examine(&variable, &[pid]);
        let own = proc::stat(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert_eq!(facts.living, [ProcessFacts { id: found.id, ppid: own.pid, session: own.session }]);
        assert_eq!(facts.tagged, std::slice::from_ref(&found));
        let held = ProcessRef::hold(found.id).unwrap();
        assert!(!held.has_ended());
        held.signal(15).unwrap();
        while !held.has_ended() {
            std::thread::yield_now();
        }
        assert_eq!(examine(&variable, &[pid]), ScanFacts::default(), "not reaped yet, but dead");
        child.wait().unwrap();
        assert!(held.has_ended());
        held.signal(9).unwrap();
        assert!(scan(&variable).unwrap().tagged.is_empty());
        assert!(ProcessRef::hold(found.id).is_none(), "the number is free, or another's");
    }

    #[test]
    fn a_number_that_has_gone_to_another_process_is_not_held() {
        let own = proc::stat(i32::try_from(std::process::id()).unwrap()).unwrap().id();
        assert!(ProcessRef::hold(own).is_some());
        assert!(ProcessRef::hold(ProcessId { start_time: own.start_time + 1, ..own }).is_none());
        assert!(scan("SUPERVICE_TEST_NONE").unwrap().living.iter().any(|process| process.id == own));
    }

    #[test]
    fn what_is_about_to_be_executed_is_told_apart_from_what_has_been() {
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
        let facts = scan(&variable).unwrap();
        assert!(facts.tagged.is_empty() && facts.pre_exec.contains(&pid), "{facts:?}");
        drop(child.stdin.take());
        while examine(&variable, &[pid]).tagged.is_empty() {
            std::thread::yield_now();
        }
        assert_eq!(only(&variable).id.pid, pid);
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
        assert!(is_pre_exec("7 (supervice:exec) S 1") && !is_pre_exec("7 (supervice) S 1"));
        let own = std::fs::read_to_string("/proc/self/stat").unwrap();
        assert!(!is_in_exec(&own));
    }
}
