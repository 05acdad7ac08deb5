//! The pid file: a lock that ends with its holder, and a number for people.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::guarded_path::{self, Access};
use super::late_close::LateClose;
use super::lock_holder::{self, ForeignHolder};
use crate::util::errno;

/// How often the path may change under us before we give up.
const ATTEMPTS: usize = 16;

/// Why the pid file could not be taken.
#[derive(Debug)]
pub enum PidFileError {
    /// Another daemon holds it.
    Held {
        /// The file.
        path: PathBuf,
        /// The other daemon's pid, if the file tells it.
        pid: Option<i32>,
    },
    /// Something lies there that is no pid file; it is left as it is.
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// The system refused.
    System {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        error: io::Error,
    },
}

impl fmt::Display for PidFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PidFileError::Held { path, pid: Some(pid) } => {
                write!(f, "another daemon (pid {pid}) holds {}; stop it or set another pidfile", path.display())
            }
            PidFileError::Held { path, pid: None } => {
                write!(f, "another daemon holds {}; stop it or set another pidfile", path.display())
            }
            PidFileError::Foreign { path, what } => {
                write!(f, "{} is {what}, not a pid file; remove it or set another pidfile", path.display())
            }
            PidFileError::System { path, error } => {
                write!(f, "cannot write pid file {}: {}", path.display(), errno::reason_with_remedy(error))
            }
        }
    }
}

impl std::error::Error for PidFileError {}

/// Waiting for what a killed daemon still holds: a child that it was making has copies of its descriptors until it
/// executes its program, and the daemon itself lives for a moment after SIGKILL was sent.
#[derive(Debug, Default)]
pub(super) struct HolderGrace {
    since: Option<Instant>,
}

impl HolderGrace {
    /// What a holder that is dead may still take.
    const DEAD_HOLDER_GRACE: Duration = Duration::from_secs(2);
    /// What one that seems to live may take to die, if it is about to.
    const LIVE_HOLDER_GRACE: Duration = Duration::from_millis(100);
    const POLL_INTERVAL: Duration = Duration::from_millis(10);

    /// Sleeps for a moment and returns `true`, unless `holder` lives or that has gone on for too long.
    pub(super) fn wait_for_holder(&mut self, holder: i32) -> bool {
        let lives = super::proc::stat(holder).is_some_and(|stat| !stat.is_dead());
        let limit = if lives { Self::LIVE_HOLDER_GRACE } else { Self::DEAD_HOLDER_GRACE };
        let now = Instant::now();
        if now >= *self.since.get_or_insert(now) + limit {
            return false;
        }
        std::thread::sleep(Self::POLL_INTERVAL);
        true
    }
}

/// A pid file that is locked and holds our pid. Removed when dropped, if it is still ours.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    file: File,
    pid: u32,
    was_there: bool,
    /// Why our pid is not in it.
    unwritten: Option<io::Error>,
    /// To give back a file that has lost its last name takes as long as the disk takes.
    late_close: Option<LateClose>,
}

impl PidFile {
    /// Creates or takes over the file and writes our pid. What an earlier daemon left behind is
    /// recognised by its lock being free, whatever number is in it. To be called in the process that is to
    /// hold it (after detaching).
    ///
    /// A full disk is no error: the lock is on the file, whatever is in it, and programs must not be down for a few
    /// bytes. See [`unwritten`](Self::unwritten).
    ///
    /// # Errors
    ///
    /// [`PidFileError`]; then nothing was changed.
    pub fn acquire(path: &Path) -> Result<PidFile, PidFileError> {
        let system = |error| PidFileError::System { path: path.to_owned(), error };
        let mut grace = HolderGrace::default();
        let mut attempts = 0;
        while attempts < ATTEMPTS {
            let was_there = path.symlink_metadata().is_ok();
            let mut file = open(path)?;
            // SAFETY: the descriptor is open.
            if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } != 0 {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::WouldBlock {
                    return Err(system(error));
                }
                let pid = read_pid(&mut file).ok().flatten();
                if pid.is_some_and(|pid| grace.wait_for_holder(pid)) {
                    continue;
                }
                // Any user who can read the file can lock it: that keeps no daemon from starting. A holder that the
                // file names is a daemon, which may have become another user (`user` in supervisord's dialect).
                if let Some(holder) = lock_holder::foreign(&file).filter(|holder| pid != Some(holder.pid))
                    && is_at(&file, path)
                {
                    let ForeignHolder { pid, uid } = holder;
                    log::warn!(
                        "pid {pid} of uid {uid}, which is no daemon, keeps the pid file {} locked: it is made anew",
                        path.display()
                    );
                    take_away(path, &file).map_err(system)?;
                    attempts += 1;
                    continue;
                }
                return Err(PidFileError::Held { path: path.to_owned(), pid });
            }
            attempts += 1;
            // The last holder may have removed the file between our open and our lock: then our lock
            // is on a file that nobody will ever see again.
            if !is_at(&file, path) {
                continue;
            }
            let length = file.metadata().map_err(system)?.len();
            if read_pid(&mut file).map_err(system)?.is_none() && length > 0 {
                return Err(PidFileError::Foreign { path: path.to_owned(), what: "a file with other content" });
            }
            let pid = std::process::id();
            let unwritten = match write_pid(&mut file, pid) {
                Err(error) if !is_full(&error) => return Err(system(error)),
                written => written.err(),
            };
            return Ok(PidFile { path: path.to_owned(), file, pid, was_there, unwritten, late_close: None });
        }
        Err(system(io::Error::other("the file is replaced again and again")))
    }

    /// It was there: the daemon before has not ended in order.
    pub fn was_there(&self) -> bool {
        self.was_there
    }

    /// Why our pid is not in it: the disk is full. [`renew`](Self::renew) tries again.
    pub fn unwritten(&self) -> Option<&io::Error> {
        self.unwritten.as_ref()
    }

    /// Leaves the file where it is, for the next daemon.
    pub fn leave(mut self) {
        self.pid = 0;
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn holds_our_pid(&mut self) -> bool {
        read_pid(&mut self.file).is_ok_and(|pid| pid.and_then(|pid| u32::try_from(pid).ok()) == Some(self.pid))
    }

    /// Whether the path leads to it.
    pub fn is_there(&self) -> bool {
        is_at(&self.file, &self.path)
    }

    /// Writes the file again where the path no longer leads to it, or our pid could not be written; whether it was
    /// written. The pid file of another program that lives is left alone, though it is not locked.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire); what there was before is kept.
    pub fn renew(&mut self) -> Result<bool, PidFileError> {
        if self.is_there() {
            let was_unwritten = self.unwritten.is_some();
            if was_unwritten {
                self.unwritten = write_pid(&mut self.file, self.pid).err();
            }
            return Ok(was_unwritten && self.unwritten.is_none());
        }
        let lives = |pid: &i32| pid.unsigned_abs() != self.pid && super::proc::stat(*pid).is_some();
        if let Some(pid) = pid_at(&self.path).filter(lives) {
            return Err(PidFileError::Held { path: self.path.clone(), pid: Some(pid) });
        }
        *self = PidFile::acquire(&self.path)?;
        Ok(true)
    }
}

impl Drop for PidFile {
    /// First removed, then unlocked (by the closing of the file): in the other order we could remove the
    /// file of a daemon that has just taken it over.
    fn drop(&mut self) {
        // A forked copy of us does not own it, nor do we own what somebody else has written.
        let still_ours = self.pid == std::process::id()
            && is_at(&self.file, &self.path)
            && (self.unwritten.is_some() || self.holds_our_pid());
        if still_ours {
            // Nothing sensible can be done about a failure: the lock goes in any case.
            if guarded_path::remove(&self.path).is_ok() {
                self.late_close = LateClose::of(self.file.as_fd());
            }
        }
    }
}

/// Opens without following a symbolic link at the last step, nor one of another user before it, and without waiting at
/// a FIFO.
fn open(path: &Path) -> Result<File, PidFileError> {
    let foreign = |what| PidFileError::Foreign { path: path.to_owned(), what };
    let system = |error| PidFileError::System { path: path.to_owned(), error };
    match path.symlink_metadata() {
        Ok(found) if found.is_symlink() => return Err(foreign("a symbolic link")),
        Ok(found) if found.is_dir() => return Err(foreign("a directory")),
        // Opening a device may already do something.
        Ok(found) if !found.is_file() => return Err(foreign("a special file")),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(system(error)),
    }
    let file = guarded_path::open(path, Access::Update).map_err(system)?;
    // Again, for what has come between the look and the opening.
    if file.metadata().map_err(system)?.is_file() { Ok(file) } else { Err(foreign("a special file")) }
}

/// Removes this file from its path, and no other: another daemon that has found the same may have made its own there
/// since. What lies there is moved aside, looked at, and put back if it is another one.
fn take_away(path: &Path, file: &File) -> io::Result<()> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".{}", std::process::id()));
    let aside = PathBuf::from(aside);
    match guarded_path::rename(path, &aside) {
        // The other daemon has been faster.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        moved => moved?,
    }
    if !is_at(file, &aside) {
        // Not over what a third one may have made meanwhile.
        let _ = guarded_path::link(&aside, path);
    }
    guarded_path::remove(&aside)
}

fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), path.symlink_metadata()) {
        (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

/// `None`: it does not hold a pid.
fn read_pid(file: &mut File) -> io::Result<Option<i32>> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.take(32).read_to_end(&mut bytes)?;
    Ok(std::str::from_utf8(&bytes).ok().and_then(|text| text.trim().parse().ok()).filter(|pid| *pid > 0))
}

/// The pid in the file that is there, if there is one.
fn pid_at(path: &Path) -> Option<i32> {
    let there = path.symlink_metadata().ok()?;
    let mut file = there.is_file().then(|| guarded_path::open(path, Access::Read).ok())??;
    read_pid(&mut file).ok()?
}

/// Only room is missing, not a right.
fn is_full(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT))
}

fn write_pid(file: &mut File, pid: u32) -> io::Result<()> {
    let text = format!("{pid}\n");
    file.rewind()?;
    // First, and cut off what is left of a longer one then: where the disk is full, what was there stays.
    file.write_all(text.as_bytes())?;
    file.set_len(text.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_told_the_pid_of_the_first_and_harms_nothing() {
        crate::sys::testing::in_own_process(
            "sys::pidfile::tests::a_second_holder_is_told_the_pid_of_the_first_and_harms_nothing",
            || {
                let dir = tempfile::tempdir().unwrap();
                let path = dir.path().join("pid");
                let first = PidFile::acquire(&path).unwrap();
                let error = PidFile::acquire(&path).unwrap_err();
                assert!(
                    matches!(error, PidFileError::Held { pid: Some(pid), .. } if pid.unsigned_abs() == std::process::id())
                );
                assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
                assert!(!first.was_there());
                drop(first);
                assert!(!path.exists());
                PidFile::acquire(&path).unwrap().leave();
                assert!(PidFile::acquire(&path).unwrap().was_there());
            },
        );
    }

    #[test]
    fn a_stale_file_is_taken_over_and_a_replaced_one_is_not_removed() {
        crate::sys::testing::in_own_process(
            "sys::pidfile::tests::a_stale_file_is_taken_over_and_a_replaced_one_is_not_removed",
            || {
                let dir = tempfile::tempdir().unwrap();
                let path = dir.path().join("pid");
                std::fs::write(&path, "1\n").unwrap();
                let held = PidFile::acquire(&path).unwrap();
                assert!(held.was_there());
                std::fs::rename(&path, dir.path().join("old")).unwrap();
                std::fs::write(&path, "4711\n").unwrap();
                drop(held);
                assert_eq!(std::fs::read_to_string(&path).unwrap(), "4711\n");
            },
        );
    }

    #[test]
    fn a_file_that_has_gone_is_written_again_and_that_of_another_program_is_left_alone() {
        crate::sys::testing::in_own_process(
            "sys::pidfile::tests::a_file_that_has_gone_is_written_again_and_that_of_another_program_is_left_alone",
            || {
                let dir = tempfile::tempdir().unwrap();
                let path = dir.path().join("pid");
                let mut held = PidFile::acquire(&path).unwrap();
                assert!(!held.renew().unwrap());
                std::fs::remove_file(&path).unwrap();
                assert!(held.renew().unwrap() && !held.renew().unwrap());
                let own = format!("{}\n", std::process::id());
                assert_eq!(std::fs::read_to_string(&path).unwrap(), own);
                for foreign in ["1\n", "precious"] {
                    std::fs::remove_file(&path).unwrap();
                    std::fs::write(&path, foreign).unwrap();
                    assert!(held.renew().is_err());
                    assert_eq!(std::fs::read_to_string(&path).unwrap(), foreign);
                }
                // What a dead one has left.
                std::fs::write(&path, "2147483647\n").unwrap();
                assert!(held.renew().unwrap());
                drop(held);
                assert!(!path.exists());
            },
        );
    }

    #[test]
    fn a_file_that_cannot_be_written_keeps_what_it_says() {
        crate::sys::testing::in_own_process(
            "sys::pidfile::tests::a_file_that_cannot_be_written_keeps_what_it_says",
            || {
                let dir = tempfile::tempdir().unwrap();
                let path = dir.path().join("pid");
                std::fs::write(&path, "2147483647\n").unwrap();
                // A disk on which there is no room. Without a handler the signal would end the process.
                // SAFETY: nobody else has a handler for it.
                unsafe { nix::sys::signal::signal(nix::sys::signal::SIGXFSZ, nix::sys::signal::SigHandler::SigIgn) }
                    .unwrap();
                nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_FSIZE, 0, 0).unwrap();
                assert!(matches!(PidFile::acquire(&path), Err(PidFileError::System { .. })));
                assert_eq!(std::fs::read_to_string(&path).unwrap(), "2147483647\n");
            },
        );
    }

    #[test]
    fn foreign_things_at_the_path_are_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::from_bits_retain(0o600)).unwrap();
        let text = dir.path().join("text");
        std::fs::write(&text, "precious").unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&text, &link).unwrap();
        for path in [&fifo, &text, &link, &dir.path().to_owned()] {
            let error = PidFile::acquire(path).unwrap_err();
            assert!(matches!(error, PidFileError::Foreign { .. }), "{error}");
            assert!(path.symlink_metadata().is_ok());
        }
        assert_eq!(std::fs::read_to_string(&text).unwrap(), "precious");
    }

    /// Whoever may write to the directory cannot have the daemon overwrite another file.
    #[test]
    fn what_another_user_has_planted_is_left_alone() {
        use std::os::unix::fs::{chown, lchown, symlink};
        if !crate::sys::testing::is_root("what_another_user_has_planted_is_left_alone") {
            return;
        }
        let nobody = Some(65534);
        let dir = tempfile::tempdir().unwrap();
        let theirs = dir.path().join("theirs");
        std::fs::create_dir(&theirs).unwrap();
        chown(&theirs, nobody, nobody).unwrap();
        let target = dir.path().join("target");
        std::fs::write(&target, "").unwrap();
        symlink(dir.path(), theirs.join("away")).unwrap();
        lchown(theirs.join("away"), nobody, nobody).unwrap();
        std::fs::hard_link(&target, theirs.join("hard")).unwrap();
        for (name, told) in
            [("away/target", "is a link of another user"), ("hard", "it has a second name (a hard link)")]
        {
            let error = PidFile::acquire(&theirs.join(name)).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "");
        drop(PidFile::acquire(&theirs.join("pid")).unwrap());
        assert!(!theirs.join("pid").exists());
    }

    /// Two daemons find the file locked by a stranger: the second one must not remove what the first has made.
    #[test]
    fn only_the_file_that_was_looked_at_is_taken_away() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pid");
        std::fs::write(&path, "1\n").unwrap();
        let strangers = File::open(&path).unwrap();
        take_away(&path, &strangers).unwrap();
        assert!(!path.exists());
        take_away(&path, &strangers).unwrap();
        std::fs::write(&path, "4711\n").unwrap();
        let others = File::open(&path).unwrap();
        take_away(&path, &strangers).unwrap();
        assert!(is_at(&others, &path));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn of_many_that_race_exactly_one_holds_it() {
        crate::sys::testing::in_own_process("sys::pidfile::tests::of_many_that_race_exactly_one_holds_it", || {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("pid");
            let start = std::sync::Barrier::new(8);
            let held = std::thread::scope(|scope| {
                let race = || {
                    start.wait();
                    PidFile::acquire(&path).ok()
                };
                let racers: Vec<_> = (0..8).map(|_| scope.spawn(race)).collect();
                racers.into_iter().filter_map(|racer| racer.join().unwrap()).collect::<Vec<_>>()
            });
            assert_eq!(held.len(), 1);
        });
    }
}
