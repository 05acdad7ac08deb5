//! Tells when a path may lead elsewhere than before, without looking at it again and again.
//!
//! What is watched are the file and the directories on its path themselves, not what lies in them: in `/tmp`, files
//! come and go all the time. Only where the file is missing is the nearest directory that exists watched for what is
//! made in it.

use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use super::late_close::LateClose;

/// How often an entry that comes while its place begins to be watched is looked for again.
const MAX_ROUNDS: usize = 8;

/// Of a directory on the path: it is renamed, or removed. (Its attributes would be those of all that lies in it, too.)
const DIRECTORY: AddWatchFlags = AddWatchFlags::IN_MOVE_SELF.union(AddWatchFlags::IN_DELETE_SELF);
/// Of the file, and of a link: it has lost a name.
const FILE: AddWatchFlags = DIRECTORY.union(AddWatchFlags::IN_ATTRIB);
/// Of a directory where something is missing, or is there and can't be watched itself.
const ENTRIES: AddWatchFlags = DIRECTORY
    .union(AddWatchFlags::IN_ATTRIB)
    .union(AddWatchFlags::IN_CREATE)
    .union(AddWatchFlags::IN_MOVED_TO)
    .union(AddWatchFlags::IN_DELETE)
    .union(AddWatchFlags::IN_MOVED_FROM);

/// Becomes readable when one of the paths may lead elsewhere; [`drain`](Self::drain) it then, and make a new one.
#[derive(Debug)]
pub struct PathWatch {
    inotify: Inotify,
    late_close: Option<LateClose>,
}

impl PathWatch {
    /// Begins to watch what is there now. Look at the paths afterwards, so that nothing is missed.
    ///
    /// # Errors
    /// Where the system has no watches left.
    pub fn new<'a>(paths: impl Iterator<Item = &'a Path>) -> io::Result<PathWatch> {
        let watch =
            PathWatch { inotify: Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?, late_close: None };
        for path in paths {
            watch.watch(&std::path::absolute(path)?)?;
        }
        Ok(watch)
    }

    /// See [`PathWatch`].
    pub fn raw_fd(&self) -> RawFd {
        self.inotify.as_fd().as_raw_fd()
    }

    /// Forgets what has come.
    pub fn drain(&self) {
        while self.inotify.read_events().is_ok_and(|events| !events.is_empty()) {}
    }

    fn watch(&self, path: &Path) -> io::Result<()> {
        let parent = path.parent().unwrap_or(path);
        for directory in parent.ancestors() {
            if directory.is_symlink() {
                self.add(directory, FILE | AddWatchFlags::IN_DONT_FOLLOW)?;
            }
        }
        let real = parent.canonicalize().unwrap_or_else(|_| PathBuf::new());
        for directory in real.ancestors().filter(|directory| directory.parent().is_some()) {
            self.add(directory, DIRECTORY)?;
        }
        if self.add(path, FILE | AddWatchFlags::IN_DONT_FOLLOW)? { Ok(()) } else { self.watch_for(path) }
    }

    /// Watches the nearest directory where something of the path may be made.
    fn watch_for(&self, path: &Path) -> io::Result<()> {
        let nearest = || path.ancestors().skip(1).find(|directory| directory.is_dir());
        let mut place = nearest();
        for _ in 0..MAX_ROUNDS {
            let Some(directory) = place else { return Ok(()) };
            self.add(directory, ENTRIES)?;
            place = nearest();
            if place == Some(directory) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// `false`: it is not there, or we may not watch it.
    fn add(&self, path: &Path, events: AddWatchFlags) -> io::Result<bool> {
        // A directory may be on more than one path.
        let events = events | AddWatchFlags::from_bits_retain(libc::IN_MASK_ADD);
        match self.inotify.add_watch(path, events) {
            Ok(_) => Ok(true),
            Err(error @ (Errno::ENOSPC | Errno::ENOMEM)) => Err(error.into()),
            Err(_) => Ok(false),
        }
    }
}

impl Drop for PathWatch {
    fn drop(&mut self) {
        self.late_close = LateClose::of(self.inotify.as_fd());
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// Whether something of this is told.
    fn tells(path: &Path, change: impl FnOnce()) -> bool {
        let watch = PathWatch::new([path].into_iter()).unwrap();
        change();
        watch.inotify.read_events().is_ok_and(|events| !events.is_empty())
    }

    #[test]
    fn it_tells_when_a_file_or_its_directory_is_no_longer_what_the_path_leads_to() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("a/b")).unwrap();
        symlink("a", at("link")).unwrap();
        let path = at("link/b/file");
        let make = || fs::write(&path, "").unwrap();
        make();
        // A second holder keeps the inode: the name alone is gone.
        let _held = fs::File::open(&path).unwrap();
        assert!(tells(&path, || fs::remove_file(&path).unwrap()));
        assert!(tells(&path, make), "it is there again");
        assert!(tells(&path, || fs::rename(&path, at("a/b/other")).unwrap()));
        make();
        assert!(tells(&path, || fs::rename(at("a/b/other"), &path).unwrap()), "another one has taken its place");
        assert!(tells(&path, || fs::rename(at("a"), at("c")).unwrap()));
        assert!(tells(&path, || fs::create_dir(at("a")).unwrap()), "the nearest that is there");
        assert!(tells(&path, || fs::create_dir(at("a/b")).unwrap()));
        make();
        assert!(tells(&path, || {
            symlink("c", at("new")).unwrap();
            fs::rename(at("new"), at("link")).unwrap();
        }));
        assert!(tells(&path, || fs::remove_dir_all(at("c")).unwrap()));
    }

    #[test]
    fn what_others_do_in_the_directory_is_not_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "").unwrap();
        assert!(!tells(&path, || {
            let other = dir.path().join("other");
            fs::write(&other, "").unwrap();
            fs::set_permissions(&other, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
            fs::remove_file(&other).unwrap();
            fs::create_dir(&other).unwrap();
            fs::remove_dir(&other).unwrap();
        }));
    }
}
