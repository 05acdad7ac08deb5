//! Tells when what a path leads to may be another thing than before, and says whether it is: one inotify for all paths.
//!
//! Beside [`path_events`](super::path_events), which waits for a path to be made, this one expects everything that a
//! new version of a file may come by: it is written, renamed over, removed and made again, a link on its way leads
//! elsewhere (`current` of a deployment), or a directory on its way is exchanged.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::linux::fs::MetadataExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};

use super::path_events::FileState;
use crate::util::sort::sort;

/// Bytes of a file that are read at a time.
const CHUNK: usize = 64 * 1024;
/// Of a longer file its length and time are compared, in bytes.
const MAX_READ_BYTES: u64 = 256 * 1024 * 1024;
/// Entries of a directory that are compared.
const MAX_ENTRIES: usize = 10_000;
/// Links that lead to other links.
const MAX_LINKS: usize = 40;

/// For what lies on the way: it is renamed or removed, or has lost a name.
const ITSELF: AddWatchFlags =
    AddWatchFlags::IN_MOVE_SELF.union(AddWatchFlags::IN_DELETE_SELF).union(AddWatchFlags::IN_ATTRIB);
/// Of a directory: what is made, renamed or removed in it.
const ENTRIES: AddWatchFlags = AddWatchFlags::IN_CREATE
    .union(AddWatchFlags::IN_MOVED_TO)
    .union(AddWatchFlags::IN_DELETE)
    .union(AddWatchFlags::IN_MOVED_FROM);
/// Of a file: it is written, or whoever has written it has finished.
const CONTENT: AddWatchFlags = AddWatchFlags::IN_MODIFY.union(AddWatchFlags::IN_CLOSE_WRITE);
/// Several paths may have the same directory.
const ADDED: AddWatchFlags = AddWatchFlags::from_bits_retain(libc::IN_MASK_ADD);

/// What of a watched thing is of interest.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Interest {
    /// What happens to itself.
    Itself,
    /// What happens to the entry of this name.
    Entry(OsString),
    /// Whatever happens in it.
    All,
}

/// Something that is watched for a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeWatch {
    at: WatchDescriptor,
    interest: Interest,
}

impl ChangeWatch {
    /// Whether this event is of interest.
    pub fn is_about(&self, event: &ChangeEvent) -> bool {
        self.at == event.at
            && match (&self.interest, &event.name) {
                (Interest::Itself, name) => name.is_none(),
                (Interest::Entry(entry), name) => name.as_ref() == Some(entry),
                (Interest::All, _) => true,
            }
    }
}

/// Something that has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeEvent {
    at: WatchDescriptor,
    name: Option<OsString>,
}

/// What a path led to, by its content; a directory by its place and the names, sizes and times of what lies in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint {
    state: FileState,
    content: u64,
}

impl Fingerprint {
    /// `None`: there is nothing, or it can't be read. A file that is as it was `before` is not read again. Waits for the disk.
    pub fn of(path: &Path, before: Option<Fingerprint>) -> Option<Fingerprint> {
        let state = FileState::of(path)?;
        if let Some(before) = before.filter(|before| before.state == state)
            && !path.is_dir()
        {
            return Some(before);
        }
        let content = if path.is_dir() { hash_of_directory(path) } else { hash_of_file(path) };
        content.ok().map(|content| Fingerprint { state, content })
    }

    /// Whether there is something else than before.
    pub fn differs(self, before: Option<Fingerprint>) -> bool {
        before.is_none_or(|before| before.content != self.content)
    }
}

fn hash_of_file(path: &Path) -> io::Result<u64> {
    // The program's user may have linked to any file. Nothing but a number comes of it; a FIFO or device is not waited
    // for.
    let mut file = fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let mut hasher = DefaultHasher::new();
    // Files of /proc say that they are empty, or endless; and to read some of them takes from them (/proc/kmsg).
    if found.len() > MAX_READ_BYTES {
        hasher.write_u64(found.len());
        hasher.write_i64(found.st_mtime());
        hasher.write_i64(found.st_mtime_nsec());
        return Ok(hasher.finish());
    }
    let mut left = found.len();
    let mut chunk = vec![0; CHUNK];
    while left > 0 {
        match file.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => {
                hasher.write(chunk.get(..count).unwrap_or_default());
                left = left.saturating_sub(count as u64);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(hasher.finish())
}

fn hash_of_directory(path: &Path) -> io::Result<u64> {
    let mut hasher = DefaultHasher::new();
    hasher.write(path.canonicalize()?.as_os_str().as_bytes());
    let entries = fs::read_dir(path)?.take(MAX_ENTRIES).collect::<io::Result<Vec<fs::DirEntry>>>()?;
    let mut names: Vec<OsString> = entries.iter().map(fs::DirEntry::file_name).collect();
    sort(&mut names);
    for name in names {
        hasher.write(name.as_bytes());
        // What lies in a directory of it is not looked at.
        if let Ok(found) = fs::symlink_metadata(path.join(&name)).and_then(|found| Ok((found.len(), found.modified()?)))
        {
            hasher.write_u64(found.0);
            let since = found.1.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            hasher.write_u128(since.as_nanos());
        }
    }
    Ok(hasher.finish())
}

/// Becomes readable when something has happened at one of the paths.
#[derive(Debug)]
pub struct PathChanges(Inotify);

impl PathChanges {
    /// # Errors
    /// Where the user has too many of these.
    pub fn new() -> io::Result<PathChanges> {
        Ok(PathChanges(Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?))
    }

    /// See [`PathChanges`].
    pub fn raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }

    /// What has happened since the last time. `None`: so much that the kernel has forgotten what.
    pub fn read(&self) -> Option<Vec<ChangeEvent>> {
        let mut happened = Vec::new();
        loop {
            match self.0.read_events() {
                Ok(events) if events.iter().any(|event| event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW)) => {
                    return None;
                }
                Ok(events) if events.is_empty() => return Some(happened),
                Ok(events) => {
                    happened.extend(events.into_iter().map(|event| ChangeEvent { at: event.wd, name: event.name }));
                }
                Err(Errno::EINTR) => {}
                Err(_) => return Some(happened),
            }
        }
    }

    /// Begins to watch a path as it leads now. Look at it afterwards, so that nothing is missed. Waits for the disk.
    ///
    /// # Errors
    /// Where the system has no watches left.
    pub fn watch(&self, path: &Path) -> io::Result<Vec<ChangeWatch>> {
        let mut watches = Vec::new();
        let mut paths = VecDeque::from([std::path::absolute(path)?]);
        let mut links = 0;
        // Each link leads to a way of its own.
        while let Some(path) = paths.pop_front() {
            for part in path.ancestors() {
                if part.is_symlink() && links < MAX_LINKS {
                    links += 1;
                    self.watch_entry(part, &mut watches)?;
                    let target = fs::read_link(part)?;
                    let rest = path.strip_prefix(part).unwrap_or(Path::new(""));
                    paths.push_back(part.parent().unwrap_or(part).join(target).join(rest));
                } else if part.parent().is_some() && part != path && part.is_dir() {
                    self.add(part, ITSELF | AddWatchFlags::IN_DONT_FOLLOW, Interest::Itself, &mut watches)?;
                }
            }
            self.watch_entry(&path, &mut watches)?;
            if path.is_dir() {
                self.add(&path, ENTRIES | CONTENT, Interest::All, &mut watches)?;
            } else {
                self.add(&path, ITSELF | CONTENT, Interest::Itself, &mut watches)?;
            }
        }
        Ok(watches)
    }

    /// Watches the nearest directory that is there for what is made on the way to this path.
    fn watch_entry(&self, path: &Path, watches: &mut Vec<ChangeWatch>) -> io::Result<()> {
        let Some(directory) = path.ancestors().skip(1).find(|directory| directory.is_dir()) else { return Ok(()) };
        let rest = path.strip_prefix(directory).unwrap_or(path);
        let Some(entry) = rest.iter().next() else { return Ok(()) };
        self.add(directory, ENTRIES, Interest::Entry(entry.to_owned()), watches)
    }

    /// What is not there, or may not be watched, is told of by its directory.
    fn add(
        &self,
        path: &Path,
        events: AddWatchFlags,
        interest: Interest,
        watches: &mut Vec<ChangeWatch>,
    ) -> io::Result<()> {
        match self.0.add_watch(path, events | ADDED) {
            Ok(at) => {
                let watch = ChangeWatch { at, interest };
                if !watches.contains(&watch) {
                    watches.push(watch);
                }
                Ok(())
            }
            Err(error @ (Errno::ENOSPC | Errno::ENOMEM)) => Err(error.into()),
            Err(_) => Ok(()),
        }
    }

    /// Watches no more.
    pub fn forget(&self, watch: &ChangeWatch) {
        // It may have gone by itself, with what was watched.
        let _ = self.0.rm_watch(watch.at);
    }

    /// Whether both are told of by one watch of the kernel.
    pub fn is_shared(one: &ChangeWatch, other: &ChangeWatch) -> bool {
        one.at == other.at
    }
}

/// The first of these that is there: where a program is looked up. Waits for the disk.
pub fn first_file(candidates: &[PathBuf]) -> Option<&PathBuf> {
    candidates.iter().find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// Whether something that is watched for this path is told.
    fn tells(path: &Path, change: impl FnOnce()) -> bool {
        let changes = PathChanges::new().unwrap();
        let watches = changes.watch(path).unwrap();
        change();
        let happened = changes.read().expect("not too much");
        happened.iter().any(|event| watches.iter().any(|watch| watch.is_about(event)))
    }

    fn differs(path: &Path, change: impl FnOnce()) -> bool {
        let before = Fingerprint::of(path, None);
        change();
        Fingerprint::of(path, before).is_some_and(|now| now.differs(before))
    }

    #[test]
    fn every_way_by_which_a_new_version_comes_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for release in ["1", "2"] {
            fs::create_dir_all(at(release)).unwrap();
            fs::write(at(release).join("app"), release).unwrap();
        }
        symlink("1", at("current")).unwrap();
        let app = at("current/app");
        assert!(tells(&app, || fs::write(&app, "written").unwrap()));
        assert!(tells(&app, || {
            fs::write(at("1/app~"), "renamed").unwrap();
            fs::rename(at("1/app~"), &app).unwrap();
        }));
        assert!(tells(&app, || fs::remove_file(&app).unwrap()));
        assert!(tells(&app, || fs::write(&app, "back").unwrap()));
        let switch = || {
            symlink("2", at("new")).unwrap();
            fs::rename(at("new"), at("current")).unwrap();
        };
        assert!(tells(&app, switch), "the link on its way leads elsewhere");
        assert!(tells(&app, || fs::write(at("2/app"), "x").unwrap()), "behind the link");
        assert!(tells(&at("2/app"), || {
            fs::rename(at("2"), at("old")).unwrap();
            fs::rename(at("1"), at("2")).unwrap();
        }));
        assert!(tells(&at("no/such/file"), || fs::create_dir(at("no")).unwrap()));
        assert!(tells(&at("2"), || fs::write(at("2/app"), "in a directory").unwrap()));
        assert!(!tells(&at("2/app"), || fs::write(at("2/beside"), "").unwrap()));
        assert!(!tells(&at("2/app"), || fs::write(at("elsewhere"), "").unwrap()));
    }

    /// Files of /proc say that they are empty and are not read; one without end is not read either.
    #[test]
    fn what_a_link_to_a_special_file_shows_is_not_read() {
        let of = |path: &Path| Fingerprint::of(path, None).expect("it is there").content;
        let dir = tempfile::tempdir().unwrap();
        let empty = dir.path().join("empty");
        fs::write(&empty, "").unwrap();
        assert_eq!(of(Path::new("/proc/self/status")), of(&empty));
        let endless = dir.path().join("endless");
        fs::File::create(&endless).unwrap().set_len(1 << 40).unwrap();
        assert!(differs(&endless, || fs::File::options()
            .write(true)
            .open(&endless)
            .unwrap()
            .set_len(1 << 41)
            .unwrap()));
    }

    #[test]
    fn only_another_content_is_another_version() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("app"), "same").unwrap();
        assert!(!differs(&at("app"), || fs::write(at("app"), "same").unwrap()));
        assert!(!differs(&at("app"), || {
            fs::write(at("app~"), "same").unwrap();
            fs::rename(at("app~"), at("app")).unwrap();
        }));
        assert!(
            !differs(&at("app"), || fs::remove_file(at("app")).unwrap()),
            "it is no other one as long as it is away"
        );
        assert!(differs(&at("app"), || fs::write(at("app"), "it is there").unwrap()));
        assert!(differs(&at("app"), || fs::write(at("app"), "other").unwrap()));
        fs::create_dir_all(at("1/d")).unwrap();
        fs::create_dir_all(at("2/d")).unwrap();
        symlink("1", at("current")).unwrap();
        assert!(!differs(&at("current"), || ()));
        assert!(differs(&at("current"), || {
            fs::remove_file(at("current")).unwrap();
            symlink("2", at("current")).unwrap();
        }));
        assert!(differs(&at("current"), || fs::write(at("2/new"), "").unwrap()));
    }
}
