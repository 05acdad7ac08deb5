//! Tells when something is made, changed or removed at a path: one inotify for all paths.
//!
//! Beside [`path_watch`](super::path_watch), which tells when a path leads elsewhere and is not interested in what is
//! written.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};

use super::late_close::LateClose;

/// How often a directory that is made while the one above it begins to be watched is looked for again.
const MAX_ROUNDS: usize = 8;

/// Of a directory in which something is to be made.
const ENTRIES: AddWatchFlags = AddWatchFlags::IN_CREATE
    .union(AddWatchFlags::IN_MOVED_TO)
    .union(AddWatchFlags::IN_DELETE)
    .union(AddWatchFlags::IN_MOVED_FROM)
    .union(AddWatchFlags::IN_DELETE_SELF)
    .union(AddWatchFlags::IN_MOVE_SELF);
/// For what is there.
const CHANGES: AddWatchFlags = AddWatchFlags::IN_MODIFY
    .union(AddWatchFlags::IN_ATTRIB)
    .union(AddWatchFlags::IN_CREATE)
    .union(AddWatchFlags::IN_DELETE_SELF)
    .union(AddWatchFlags::IN_MOVE_SELF);

/// What is there at a path: another one of these where it was made anew or changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileState {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    /// Set by the kernel at each change, whatever a program does to the other times.
    changed: (i64, i64),
}

impl FileState {
    /// `None`: there is nothing, or it can't be seen. Waits for the disk.
    pub fn of(path: &Path) -> Option<FileState> {
        let found = fs::metadata(path).ok()?;
        Some(FileState {
            device: found.dev(),
            inode: found.ino(),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        })
    }
}

/// Something that is watched for a path: a directory, and what is to happen to which entry of it; or what is there
/// itself.
pub type Watch = (WatchDescriptor, Option<OsString>);

/// What is watched for a path.
#[derive(Debug, Default)]
pub struct Watched {
    /// What tells.
    pub watches: Vec<Watch>,
    /// All that may happen is told; else somebody has to look again by himself.
    pub is_complete: bool,
}

/// Becomes readable when something has happened at one of the paths.
#[derive(Debug)]
pub struct PathEvents {
    inotify: Inotify,
    late_close: Option<LateClose>,
}

impl PathEvents {
    /// # Errors
    /// Where the user has too many of these.
    pub fn new() -> io::Result<PathEvents> {
        Ok(PathEvents { inotify: Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?, late_close: None })
    }

    /// See [`PathEvents`].
    pub fn raw_fd(&self) -> RawFd {
        self.inotify.as_fd().as_raw_fd()
    }

    /// What has happened since the last time. `None`: so much that the kernel has forgotten what.
    pub fn read(&self) -> Option<Vec<Watch>> {
        let mut happened = Vec::new();
        loop {
            match self.inotify.read_events() {
                Ok(events) if events.iter().any(|event| event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW)) => {
                    return None;
                }
                Ok(events) if events.is_empty() => return Some(happened),
                Ok(events) => happened.extend(events.into_iter().map(|event| (event.wd, event.name))),
                Err(Errno::EINTR) => {}
                Err(_) => return Some(happened),
            }
        }
    }

    /// Begins to watch a path, or goes on with that. Look at it afterwards, so that nothing is missed. Waits for the
    /// disk.
    pub fn watch(&self, path: &Path) -> Watched {
        let mut watched = Watched { watches: Vec::new(), is_complete: true };
        let mut last = None;
        for _ in 0..MAX_ROUNDS {
            let nearest = path.ancestors().skip(1).find(|directory| directory.is_dir());
            if nearest.is_none() || nearest == last {
                break;
            }
            last = nearest;
            watched.add(&self.inotify, nearest, path);
        }
        // What comes later is told by its directory.
        if let Ok(watch) = self.inotify.add_watch(path, CHANGES | ADDED) {
            watched.watches.push((watch, None));
        }
        watched
    }

    /// Watches no more.
    pub fn forget(&self, watch: WatchDescriptor) {
        // It may have gone by itself, with what was watched.
        let _ = self.inotify.rm_watch(watch);
    }
}

impl Drop for PathEvents {
    fn drop(&mut self) {
        self.late_close = LateClose::of(self.inotify.as_fd());
    }
}

/// Several paths may have the same directory.
const ADDED: AddWatchFlags = AddWatchFlags::from_bits_retain(libc::IN_MASK_ADD);

impl Watched {
    fn add(&mut self, inotify: &Inotify, directory: Option<&Path>, path: &Path) {
        let Some(directory) = directory else { return };
        let Some(entry) = path.strip_prefix(directory).ok().and_then(|rest| rest.iter().next()) else { return };
        // What a link leads to is made elsewhere.
        let next = directory.join(entry);
        if next.is_symlink() && !next.exists() {
            self.is_complete = false;
        }
        match inotify.add_watch(directory, ENTRIES | ADDED) {
            Ok(watch) => self.watches.push((watch, Some(entry.to_owned()))),
            Err(_) => self.is_complete = false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// Whether something that is watched for this path is told.
    fn tells(path: &Path, change: impl FnOnce()) -> bool {
        let events = PathEvents::new().unwrap();
        let watched = events.watch(path);
        assert!(watched.is_complete);
        change();
        let happened = events.read().expect("not too much");
        happened.iter().any(|(at, name)| {
            watched.watches.iter().any(|(watch, entry)| watch == at && (entry.is_none() || entry == name))
        })
    }

    #[test]
    fn what_is_made_changed_or_removed_is_told_and_what_lies_beside_it_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let path = at("a/b/file");
        assert!(tells(&path, || fs::create_dir(at("a")).unwrap()));
        assert!(tells(&path, || fs::create_dir(at("a/b")).unwrap()));
        assert!(tells(&path, || fs::write(&path, "").unwrap()));
        assert!(tells(&path, || fs::write(&path, "more").unwrap()));
        assert!(tells(&path, || fs::rename(&path, at("a/b/other")).unwrap()));
        assert!(tells(&path, || fs::rename(at("a/b/other"), &path).unwrap()));
        assert!(tells(&path, || fs::remove_file(&path).unwrap()));
        assert!(!tells(&path, || fs::write(at("a/b/beside"), "").unwrap()));
        assert!(!tells(&at("c/file"), || fs::write(at("d"), "").unwrap()));
    }

    #[test]
    fn what_a_link_that_leads_nowhere_may_lead_to_is_to_be_looked_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("link");
        symlink("elsewhere/file", &path).unwrap();
        assert!(!PathEvents::new().unwrap().watch(&path).is_complete);
    }

    #[test]
    fn what_is_made_anew_or_written_is_another_state() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        assert_eq!(FileState::of(&path), None);
        fs::write(&path, "1").unwrap();
        let first = FileState::of(&path);
        assert_eq!((first.is_some(), FileState::of(&path)), (true, first));
        fs::write(&path, "12").unwrap();
        assert_ne!(FileState::of(&path), first);
    }
}
