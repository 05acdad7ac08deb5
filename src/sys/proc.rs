//! What `/proc` says of processes. For diagnosis and for what no system call can tell; nothing that is
//! done often depends on it.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::num::NonZeroU64;
use std::os::fd::BorrowedFd;
use std::time::Duration;

#[cfg(feature = "http")]
use nix::fcntl::{AtFlags, OFlag};
#[cfg(feature = "http")]
use nix::sys::stat::Mode;

#[cfg(feature = "http")]
use super::time::cpu_time;

/// The fields of `/proc/<pid>/stat` that we use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// The process.
    pub pid: i32,
    /// One letter: `R`, `S`, `D`, `T`, `Z` (zombie), `X` (dead), …
    pub state: char,
    /// Its parent.
    pub ppid: i32,
    /// Its process group.
    pub pgrp: i32,
    /// Its session.
    pub session: i32,
    /// When it was started, in clock ticks since boot: together with the pid its identity.
    pub start_time: u64,
}

impl Stat {
    /// It has ended and only waits to be reaped.
    pub fn is_dead(&self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x')
    }
}

/// Parses a line of `/proc/<pid>/stat`. The name in parentheses may itself contain spaces,
/// parentheses and newlines: the fields begin after the *last* `)`.
pub fn parse_stat(line: &str) -> Option<Stat> {
    let pid = line.split_once(' ')?.0.parse().ok()?;
    let mut fields = line.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let mut number = |skip: usize| fields.nth(skip)?.parse::<i64>().ok();
    let ppid = i32::try_from(number(0)?).ok()?;
    let pgrp = i32::try_from(number(0)?).ok()?;
    let session = i32::try_from(number(0)?).ok()?;
    // Fields 7 to 21 (tty_nr … itrealvalue) lie between session (6) and starttime (22).
    let start_time = fields.nth(15)?.parse().ok()?;
    Some(Stat { pid, state, ppid, pgrp, session, start_time })
}

/// Bytes in a page of memory.
pub fn page_size() -> u64 {
    // SAFETY: sysconf takes a number and touches nothing of ours.
    u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

/// The command name of a process, at most 15 bytes; `None` where there is none (any more).
pub fn command_name(pid: i32) -> Option<String> {
    // 0 is a process of another pid namespace.
    let bytes = if pid > 0 { fs::read(format!("/proc/{pid}/comm")).ok()? } else { return None };
    Some(String::from_utf8_lossy(&bytes).trim_end_matches('\n').to_owned())
}

/// The present facts about a process; `None` where it does not exist or `/proc` is not mounted.
pub fn stat(pid: i32) -> Option<Stat> {
    read_stat(pid).ok().flatten()
}

/// Whether a process has executed a program since it was made; also of one that has ended and was not reaped. `None`:
/// unknown.
pub fn has_executed(pid: i32) -> Option<bool> {
    /// `PF_FORKNOEXEC`: the kernel takes it away at an exec.
    const NOT_EXECUTED: u64 = 0x40;
    let bytes = fs::read(format!("/proc/{pid}/stat")).ok()?;
    // Field 9; the first one here is field 3.
    let flags: u64 =
        String::from_utf8_lossy(&bytes).rsplit_once(')')?.1.split_ascii_whitespace().nth(6)?.parse().ok()?;
    Some(flags & NOT_EXECUTED == 0)
}

/// How long ago a process was made.
pub fn age(pid: i32) -> Option<Duration> {
    let ticks = stat(pid)?.start_time;
    let made = Duration::from_secs(ticks / TICKS) + Duration::from_millis(ticks % TICKS * (1000 / TICKS));
    Some(super::time::since_boot().saturating_sub(made))
}

/// The pipes that a process writes to as its standard output and error, by their inodes. (The link is read, not
/// followed: what is no pipe may be a file on a disk that hangs.)
pub fn output_pipes(pid: i32) -> impl Iterator<Item = NonZeroU64> {
    [1, 2].into_iter().filter_map(move |number| {
        let link = fs::read_link(format!("/proc/{pid}/fd/{number}")).ok()?;
        link.to_str()?.strip_prefix("pipe:[")?.strip_suffix(']')?.parse().ok()
    })
}

/// The inode of a pipe of our own.
pub fn pipe_inode(pipe: BorrowedFd<'_>) -> Option<NonZeroU64> {
    nix::sys::stat::fstat(pipe).ok().and_then(|found| NonZeroU64::new(found.st_ino))
}

/// What a process uses.
#[cfg(feature = "http")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessUsage {
    /// CPU time so far.
    pub cpu: Duration,
    /// Resident memory, in bytes.
    pub resident: u64,
    /// Open files, where we may look at them.
    pub open_files: Option<u64>,
}

/// Ticks of `/proc/PID/stat` in a second: a constant of the interface on every machine that Rust and we run on.
const TICKS: u64 = 100;

/// `/proc`, opened: a path below it is found in half the time that one from the root takes.
#[cfg(feature = "http")]
#[derive(Debug)]
pub struct ProcDirectory(File);

#[cfg(feature = "http")]
impl ProcDirectory {
    /// `None` where it is not mounted.
    pub fn open() -> Option<ProcDirectory> {
        File::open("/proc").ok().map(ProcDirectory)
    }

    /// What a process uses; `None` where it does not exist.
    ///
    /// A thousand of them are asked about at a time, so each question is the cheapest that there is: all of
    /// `/proc/PID/stat` takes the kernel longer than these three together.
    pub fn usage(&self, pid: i32) -> Option<ProcessUsage> {
        let mut bytes = [0; 128];
        let open = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let statm = nix::fcntl::openat(&self.0, format!("{pid}/statm").as_str(), open, Mode::empty()).ok()?;
        let count = nix::unistd::read(&statm, &mut bytes).ok()?;
        let line = str::from_utf8(bytes.get(..count)?).ok()?;
        let pages: u64 = line.split_ascii_whitespace().nth(1)?.parse().ok()?;
        // Its size is their number since Linux 6.2; before, it is 0.
        let told = nix::sys::stat::fstatat(&self.0, format!("{pid}/fd").as_str(), AtFlags::empty());
        let open_files = match told.ok().and_then(|found| u64::try_from(found.st_size).ok()) {
            Some(0) => fs::read_dir(format!("/proc/{pid}/fd")).ok().map(|files| files.count() as u64),
            told => told,
        };
        let cpu = cpu_time(pid)?;
        Some(ProcessUsage { cpu, resident: pages.saturating_mul(page_size()), open_files })
    }
}

/// How many processes the kernel has killed since the machine's start because memory was short, of all or of a cgroup.
/// `None` where it does not tell (before Linux 4.13).
#[cfg(feature = "http")]
pub fn oom_kills() -> Option<u64> {
    let text = fs::read_to_string("/proc/vmstat").ok()?;
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.parse().ok())
}

/// What a process, with what it has reaped, uses; and whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// The process.
    pub pid: i32,
    /// Its parent.
    pub ppid: i32,
    /// Its process group.
    pub pgrp: i32,
    /// Its session.
    pub session: i32,
    /// Resident memory, in bytes.
    pub rss: u64,
    /// CPU time of it and of its children that have ended, in milliseconds.
    pub cpu_ms: u64,
}

/// What every process of the system uses; empty where `/proc` is not mounted.
pub fn usages() -> Vec<Usage> {
    let page = page_size();
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter_map(|pid| {
        let bytes = fs::read(format!("/proc/{pid}/stat")).ok()?;
        parse_usage(&String::from_utf8_lossy(&bytes), page)
    })
    .collect()
}

fn parse_usage(line: &str, page: u64) -> Option<Usage> {
    let Stat { pid, ppid, pgrp, session, .. } = parse_stat(line)?;
    // The first one here is field 3.
    let mut fields = line.rsplit_once(')')?.1.split_ascii_whitespace();
    let mut number = |skip: usize| fields.nth(skip)?.parse::<u64>().ok();
    // Fields 14 to 17: utime, stime, cutime, cstime.
    let mut ticks = number(11)?;
    for _ in 0..3 {
        ticks = ticks.saturating_add(number(0)?);
    }
    // Field 24.
    let rss = number(6)?.saturating_mul(page);
    Some(Usage { pid, ppid, pgrp, session, rss, cpu_ms: ticks.saturating_mul(1000 / TICKS) })
}

/// `Ok(None)` where there is no such process.
fn read_stat(pid: i32) -> io::Result<Option<Stat>> {
    match fs::read(format!("/proc/{pid}/stat")) {
        // Lossy: a process may put any bytes in its name.
        Ok(bytes) => Ok(parse_stat(&String::from_utf8_lossy(&bytes))),
        Err(error) if error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Tells by an exceptional condition (POLLPRI) that something was mounted or unmounted; `None` without `/proc`.
pub fn mounts() -> Option<fs::File> {
    fs::File::open("/proc/self/mountinfo").ok()
}

/// Every process whose group is `pgid`, zombies included. Reads one file for each process of the system: for
/// diagnosis, not for every turn.
///
/// # Errors
///
/// Where `/proc` is not mounted or hides processes, or no descriptor is left to read it: then nobody knows who is
/// in the group, which is not the same as nobody.
pub fn group_members(pgid: i32) -> io::Result<Vec<Stat>> {
    let mut members = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        members.extend(read_stat(pid)?.filter(|member| member.pgrp == pgid));
    }
    Ok(members)
}

/// The groups of all processes, each with the session of those of its members that live; `None`: none of them does.
///
/// # Errors
///
/// As [`group_members`].
pub fn living_groups() -> io::Result<HashMap<i32, Option<i32>>> {
    let mut groups = HashMap::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if let Some(stat) = read_stat(pid)? {
            let living: &mut Option<i32> = groups.entry(stat.pgrp).or_default();
            *living = living.or((!stat.is_dead()).then_some(stat.session));
        }
    }
    Ok(groups)
}

/// The children of this process's main thread, which inherits what becomes an orphan, but for those that `is_known`
/// knows; zombies are among them. Reads one file; where the kernel does not offer it, one for each process of the
/// system.
pub fn other_children(is_known: impl Fn(i32) -> bool) -> Vec<i32> {
    match list_of_children().and_then(read_list) {
        Ok(list) => pids_in(&list).filter(|pid| !is_known(*pid)).collect(),
        Err(_) => children().into_iter().filter(|pid| !is_known(*pid)).collect(),
    }
}

/// The numbers of a list of children.
pub(super) fn pids_in(list: &[u8]) -> impl Iterator<Item = i32> {
    list.split(|byte| *byte == b' ').filter_map(|pid| std::str::from_utf8(pid).ok()?.trim().parse().ok())
}

/// The list of the main thread's children, which the kernel makes as it is read.
pub(super) fn list_of_children() -> io::Result<File> {
    let own = std::process::id();
    File::open(format!("/proc/{own}/task/{own}/children"))
}

/// Reads all of it. For each read the kernel walks to the place again: in few steps, the size of its own buffer.
fn read_list(mut file: File) -> io::Result<Vec<u8>> {
    const STEP: usize = 4096;
    let mut list = Vec::new();
    let mut piece = [0; STEP];
    loop {
        match file.read(&mut piece) {
            Ok(0) => return Ok(list),
            Ok(count) => list.extend_from_slice(piece.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Every living child of this process, zombies left out; those that can be found out, where `/proc` is not all
/// there. Reads one file for each process of the system.
pub fn children() -> Vec<i32> {
    if super::reap::has_no_child() {
        return Vec::new(); // The usual answer, without a look at every process of the system.
    }
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let children = pids.filter_map(stat).filter(|stat| stat.ppid == own && !stat.is_dead());
    children.map(|stat| stat.pid).collect()
}

const OOM_SCORE_ADJ: &str = "/proc/self/oom_score_adj";

/// Sets how readily the kernel kills this process when memory is used up, and returns what that was before.
///
/// # Errors
///
/// Where `/proc` is not mounted, and where it is to be lowered without the right to do so (`CAP_SYS_RESOURCE`).
pub fn set_oom_score_adj(score: i16) -> io::Result<i16> {
    let before = fs::read_to_string(OOM_SCORE_ADJ)?;
    fs::write(OOM_SCORE_ADJ, score.to_string())?;
    before.trim().parse().map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_spaces_and_newlines_is_skipped() {
        let line = "77 (a) S 1 (\nb) Z 5 77 76 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 1 2 3";
        let want = Stat { pid: 77, state: 'Z', ppid: 5, pgrp: 77, session: 76, start_time: 98765 };
        assert_eq!(parse_stat(line), Some(want));
    }

    #[test]
    fn broken_lines_are_none() {
        for line in ["", "1", "1 (x", "1 (x)", "1 (x) S", "1 (x) S 1 2 3", "x (x) S 1 2 3 4 5", "1 (x) S a b c"] {
            assert_eq!(parse_stat(line), None, "{line:?}");
        }
    }

    #[cfg(feature = "http")]
    #[test]
    fn what_we_use_is_what_the_kernel_tells_elsewhere() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let proc = ProcDirectory::open().unwrap();
        let ticks = || parse_usage(&fs::read_to_string("/proc/self/stat").unwrap(), page_size()).unwrap();
        // A tick at least: other tests of this process may add to it.
        while ticks().cpu_ms < 100 {
            std::hint::black_box((0..10_000).sum::<u64>());
        }
        let (before, found, after) = (ticks(), proc.usage(pid).unwrap(), ticks());
        let cpu_ms = u64::try_from(found.cpu.as_millis()).unwrap();
        // The ticks of children that have ended come next; they do not count.
        assert!(cpu_ms <= after.cpu_ms + 20 && cpu_ms >= 50, "{before:?} {found:?} {after:?}");
        assert!(found.resident > 1 << 20 && found.open_files.is_some_and(|files| files >= 3), "{found:?}");
        assert_eq!(proc.usage(i32::MAX), None);
    }

    /// Whether it lives, or was killed and waits to be reaped.
    #[test]
    fn it_is_known_whether_a_process_has_executed_a_program() {
        let mut program = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let executed = i32::try_from(program.id()).unwrap();
        // SAFETY: the child calls nothing but this.
        let forked = match unsafe { libc::fork() } {
            0 => loop {
                // SAFETY: it has no preconditions.
                unsafe { libc::pause() };
            },
            pid => pid,
        };
        let both = || (has_executed(executed), has_executed(forked));
        assert_eq!(both(), (Some(true), Some(false)));
        for pid in [executed, forked] {
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
            while !stat(pid).unwrap().is_dead() {
                std::thread::yield_now();
            }
        }
        assert_eq!(both(), (Some(true), Some(false)));
        program.wait().unwrap();
        nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(forked), None).unwrap();
        assert_eq!(both(), (None, None));
    }

    #[test]
    fn we_find_ourselves() {
        let me = stat(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(group_members(me.pgrp).unwrap().iter().any(|member| member.pid == me.pid));
        assert!(me.start_time > 0);
        assert!(!me.is_dead());
        let age = age(me.pid).unwrap();
        assert!(age < super::super::time::since_boot() && age < Duration::from_secs(24 * 3600), "{age:?}");
    }
}
