//! Files of a privileged daemon in places that others can write to.
//!
//! Whoever owns a directory decides what the names in it mean. A daemon that opened `/srv/app/logs/app.log` as
//! everybody does would write wherever the program's user makes that a link to. So a path is walked here one component
//! after the other:
//!
//! - a link is followed only if it is root's or the daemon's own; to read, also one that leads to a file of its owner, who
//!   can read that anyway;
//! - where others can write to the directory, a file with a second name (a hard link) is refused, and so is, where
//!   everybody can, one of another owner than the directory's, root's or the daemon's;
//! - what is renamed or removed lies in the directory that was walked to.
//!
//! Each component is held by a descriptor while it is looked at, so that nobody can exchange it in between.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat, readlinkat, renameat};
use nix::sys::stat::Mode;
use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};
use nix::unistd::{UnlinkatFlags, geteuid, linkat, unlinkat};

pub use replace::{make_directory, replace};

/// As many links as the kernel follows.
const MAX_LINKS: usize = 40;

/// `/dev/null` (1, 3).
const NULL_DEVICE: u64 = 0x103;

/// How often an entry that was exchanged while it was opened is looked at again.
const MAX_ATTEMPTS: usize = 8;

/// Of a new file, less the daemon's umask: its group may write to it if that allows it, others never.
const NEW_FILE_MODE: u32 = 0o664;

/// What a file is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// To be read.
    Read,
    /// To be appended to; made where it is missing.
    Append,
    /// To be written anew; made where it is missing, emptied where it is not.
    Replace,
    /// To be read and written; made where it is missing.
    Update,
    /// To be written anew where it is there.
    Overwrite,
}

/// One of the two streams that were inherited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StandardStream {
    /// Descriptor 1.
    Output,
    /// Descriptor 2.
    Error,
}

impl StandardStream {
    /// A descriptor of our own for it.
    ///
    /// # Errors
    /// Where it is closed.
    pub fn file(self) -> io::Result<File> {
        let copy = match self {
            StandardStream::Output => io::stdout().as_fd().try_clone_to_owned(),
            StandardStream::Error => io::stderr().as_fd().try_clone_to_owned(),
        };
        copy.map(File::from)
    }
}

/// What a path of a log means.
#[derive(Debug)]
pub enum Log {
    /// Standard output (1) or error (2): they are recognised by what they are, not by their names: opened by its path,
    /// a file would be written at two places at once, and a terminal or socket of another user would refuse it.
    Standard(StandardStream),
    /// A file.
    File {
        /// Opened to be appended to.
        file: File,
        /// Where it is, without links.
        path: PathBuf,
        /// Others can put something else there.
        is_shared: bool,
    },
}

/// Opens a log to be appended to; made where it is missing.
///
/// # Errors
/// As [`open`].
pub fn open_log(path: &Path) -> io::Result<Log> {
    for _ in 0..MAX_ATTEMPTS {
        let place = walk(path, Access::Append, Last::Followed)?;
        if let Some(standard) = place.standard() {
            return Ok(Log::Standard(standard));
        }
        if let Some(file) = place.open(path, Access::Append)? {
            return Ok(Log::File { file, path: place.real(), is_shared: place.is_shared });
        }
    }
    Err(Errno::ELOOP.into())
}

/// Opens a file. Never waits for the other side of a FIFO.
///
/// # Errors
/// As the system says it, or which link or file is not trusted, whose it is, and what to do.
pub fn open(path: &Path, access: Access) -> io::Result<File> {
    for _ in 0..MAX_ATTEMPTS {
        if let Some(file) = walk(path, access, Last::Followed)?.open(path, access)? {
            return Ok(file);
        }
    }
    Err(Errno::ELOOP.into())
}

/// Renames an entry of a directory; a link itself, not what it leads to.
///
/// # Errors
/// As [`open`].
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    let (from, to) = (walk(from, Access::Replace, Last::Entry)?, walk(to, Access::Replace, Last::Entry)?);
    Ok(renameat(&from.directory, from.name.as_os_str(), &to.directory, to.name.as_os_str())?)
}

/// Gives an entry of a directory a second name, where there is nothing yet; a link itself, not what it leads to.
///
/// # Errors
/// As [`open`].
pub fn link(from: &Path, to: &Path) -> io::Result<()> {
    let (from, to) = (walk(from, Access::Replace, Last::Entry)?, walk(to, Access::Replace, Last::Entry)?);
    Ok(linkat(&from.directory, from.name.as_os_str(), &to.directory, to.name.as_os_str(), AtFlags::empty())?)
}

/// Whether the path leads to the null device, by whatever name.
pub fn is_null_device(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| found.file_type().is_char_device() && found.rdev() == NULL_DEVICE)
}

/// Removes an entry of a directory that is no directory itself; a link itself, not what it leads to.
///
/// # Errors
/// As [`open`].
pub fn remove(path: &Path) -> io::Result<()> {
    match walk(path, Access::Replace, Last::Entry) {
        Ok(place) => Ok(unlinkat(&place.directory, place.name.as_os_str(), UnlinkatFlags::NoRemoveDir)?),
        // The daemon's own files must not stay for the want of a descriptor.
        Err(error) if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) && is_way_ours(path) => {
            Ok(unlinkat(AT_FDCWD, path, UnlinkatFlags::NoRemoveDir)?)
        }
        Err(error) => Err(error),
    }
}

/// Whether nobody else can exchange a directory on the way, as their names tell it, without a descriptor.
fn is_way_ours(path: &Path) -> bool {
    let Ok(path) = std::path::absolute(path) else { return false };
    let is_ours = |directory: &Path| {
        directory.symlink_metadata().is_ok_and(|found| {
            let is_kept = found.mode() & 0o022 == 0 || found.mode() & 0o1000 != 0;
            found.is_dir() && is_trusted(found.uid()) && is_kept
        })
    };
    path.ancestors().skip(1).all(is_ours)
}

/// Whether the last component is to be followed if it is a link.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Followed,
    Entry,
}

/// An entry of a directory, which may not be there yet.
struct Place {
    directory: OwnedFd,
    /// The path of the directory, without links.
    seen: PathBuf,
    name: OsString,
    /// A link of `/proc`, which leads where the kernel knows, not where its text says.
    is_magic: bool,
    /// Others can put something else there, or in the place of a directory on the way.
    is_shared: bool,
    /// A link of another user on the way, and whose it is: followed if the file is that user's.
    foreign_link: Option<(PathBuf, u32)>,
}

impl Place {
    /// `None`: somebody has put a link there since.
    fn open(&self, path: &Path, access: Access) -> io::Result<Option<File>> {
        let flags = match access {
            Access::Read => OFlag::O_RDONLY,
            Access::Append => OFlag::O_WRONLY | OFlag::O_APPEND | OFlag::O_CREAT,
            // Emptied only when it is known to be ours.
            Access::Replace => OFlag::O_WRONLY | OFlag::O_CREAT,
            Access::Overwrite => OFlag::O_WRONLY,
            Access::Update => OFlag::O_RDWR | OFlag::O_CREAT,
        };
        let follow = if self.is_magic { OFlag::empty() } else { OFlag::O_NOFOLLOW };
        let flags = flags | follow | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let mode = match access {
            // A pid file: who may write to it decides who is signalled.
            Access::Update => 0o644,
            Access::Read | Access::Append | Access::Replace | Access::Overwrite => NEW_FILE_MODE,
        };
        match openat(&self.directory, self.name.as_os_str(), flags, Mode::from_bits_truncate(mode)) {
            Ok(file) => {
                let file = File::from(file);
                self.trust(path, access, &file)?;
                match access {
                    Access::Replace | Access::Overwrite if file.metadata()?.is_file() => file.set_len(0)?,
                    Access::Replace | Access::Overwrite | Access::Read | Access::Append | Access::Update => {}
                }
                Ok(Some(file))
            }
            Err(Errno::ELOOP) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn real(&self) -> PathBuf {
        self.seen.join(&self.name)
    }

    /// The standard stream that this is. The null device is itself whoever opens it.
    fn standard(&self) -> Option<StandardStream> {
        let follow = if self.is_magic { OFlag::empty() } else { OFlag::O_NOFOLLOW };
        let flags = OFlag::O_PATH | OFlag::O_CLOEXEC | follow;
        let found = metadata(&openat(&self.directory, self.name.as_os_str(), flags, Mode::empty()).ok()?).ok()?;
        if found.rdev() == NULL_DEVICE && found.file_type().is_char_device() {
            return None;
        }
        [StandardStream::Output, StandardStream::Error].into_iter().find(|stream| {
            let ours = stream.file().and_then(|file| file.metadata());
            ours.is_ok_and(|ours| (ours.dev(), ours.ino()) == (found.dev(), found.ino()))
        })
    }

    /// Whether the file that was opened there is what the configuration means.
    fn trust(&self, path: &Path, access: Access, file: &File) -> io::Result<()> {
        let found = file.metadata()?;
        if let Some((link, uid)) = &self.foreign_link
            && !(found.is_file() && found.uid() == *uid)
        {
            return Err(foreign_link(path, link, *uid));
        }
        if !found.is_file() || self.is_magic {
            return Ok(());
        }
        let directory = metadata(&self.directory)?;
        let is_others = !is_trusted(directory.uid());
        // What everybody may read tells nobody anything new (package managers make hard links, too).
        let is_public = access == Access::Read && found.mode() & 0o004 != 0;
        if (is_others || directory.mode() & 0o022 != 0) && found.nlink() > 1 && !is_public {
            return Err(refused("it has a second name (a hard link)", found.uid(), "remove it and start again"));
        }
        let is_open_to_all = is_others || directory.mode() & 0o002 != 0;
        if is_open_to_all && !is_trusted(found.uid()) && found.uid() != directory.uid() {
            return Err(refused("it is another user's", found.uid(), "remove it, or use another directory"));
        }
        Ok(())
    }
}

/// Walks to the entry that a path names.
fn walk(path: &Path, access: Access, last: Last) -> io::Result<Place> {
    let mut walk = Walk::begin(path, access)?;
    while let Some(name) = walk.rest.pop_front() {
        let is_last = walk.rest.is_empty();
        if is_last {
            walk.name_entry(&name);
            if last == Last::Entry {
                return Ok(walk.place);
            }
        }
        let entry = match walk.open(&name, OFlag::O_NOFOLLOW) {
            Ok(entry) => entry,
            Err(Errno::ENOENT) if is_last => return Ok(walk.place),
            Err(error) => return Err(error.into()),
        };
        let found = metadata(&entry)?;
        walk.note_who_can_exchange(&found);
        if !found.is_symlink() {
            if is_last {
                return Ok(walk.place);
            }
            walk.enter(&name, entry, found);
            continue;
        }
        walk.trust_link(&name, &found)?;
        if fstatfs(&entry)?.filesystem_type() != PROC_SUPER_MAGIC {
            walk.follow(&entry)?;
        } else if is_last {
            walk.place.is_magic = true;
            return Ok(walk.place);
        } else {
            let directory = walk.open(&name, OFlag::empty())?;
            let around = metadata(&directory)?;
            walk.enter(&name, directory, around);
        }
    }
    // The root directory.
    walk.place.name.push(".");
    Ok(walk.place)
}

/// How far a path has been walked.
struct Walk<'p> {
    path: &'p Path,
    access: Access,
    /// The directory that was walked to, and what is known of the way there.
    place: Place,
    /// What that directory is.
    around: Metadata,
    /// The components that are still to come.
    rest: VecDeque<OsString>,
    /// How many links were followed.
    links: usize,
}

impl Walk<'_> {
    fn begin(path: &Path, access: Access) -> io::Result<Walk<'_>> {
        let directory = start(path)?;
        let around = metadata(&directory)?;
        let seen = PathBuf::from(if path.is_absolute() { "/" } else { "" });
        let place =
            Place { directory, seen, name: OsString::new(), is_magic: false, is_shared: false, foreign_link: None };
        Ok(Walk { path, access, place, around, rest: components(path), links: 0 })
    }

    fn open(&self, name: &OsStr, follow: OFlag) -> nix::Result<OwnedFd> {
        openat(&self.place.directory, name, OFlag::O_PATH | OFlag::O_CLOEXEC | follow, Mode::empty())
    }

    /// Only this component is left.
    fn name_entry(&mut self, name: &OsStr) {
        // New names can be put there, whoever owns the present one.
        self.place.is_shared |= !is_trusted(self.around.uid()) || self.around.mode() & 0o022 != 0;
        name.clone_into(&mut self.place.name);
    }

    /// Others may be able to put something else in the place of what was found.
    fn note_who_can_exchange(&mut self, found: &Metadata) {
        // In a directory with the sticky bit others can't exchange what is not theirs.
        let is_kept = self.around.mode() & 0o1000 != 0 && is_trusted(found.uid());
        self.place.is_shared |= !is_trusted(self.around.uid()) || (self.around.mode() & 0o022 != 0 && !is_kept);
    }

    fn enter(&mut self, name: &OsStr, directory: OwnedFd, around: Metadata) {
        self.place.seen.push(name);
        self.place.directory = directory;
        self.around = around;
    }

    /// Whether this link may be followed: there are not too many, and it is trusted or, to read, leads to a file of its
    /// owner.
    fn trust_link(&mut self, name: &OsStr, found: &Metadata) -> io::Result<()> {
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err(Errno::ELOOP.into());
        }
        if is_trusted(found.uid()) {
            return Ok(());
        }
        let link = self.place.seen.join(name);
        match &self.place.foreign_link {
            None if self.access == Access::Read => self.place.foreign_link = Some((link, found.uid())),
            Some((_, uid)) if self.access == Access::Read && *uid == found.uid() => {}
            Some(_) | None => return Err(foreign_link(self.path, &link, found.uid())),
        }
        Ok(())
    }

    /// Goes on where the text of a link leads.
    fn follow(&mut self, link: &OwnedFd) -> io::Result<()> {
        let target = PathBuf::from(readlinkat(link, "")?);
        if target.is_absolute() {
            self.place.seen = PathBuf::from("/");
            self.place.directory = start(&target)?;
            self.around = metadata(&self.place.directory)?;
        }
        let mut inner = components(&target);
        inner.append(&mut self.rest);
        self.rest = inner;
        Ok(())
    }
}

/// The names in a path, without those that lead nowhere else.
fn components(path: &Path) -> VecDeque<OsString> {
    let name = |component: Component<'_>| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsStr::new("..").to_owned()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    };
    path.components().filter_map(name).collect()
}

/// Where a path begins.
fn start(path: &Path) -> io::Result<OwnedFd> {
    let root = if path.is_absolute() { "/" } else { "." };
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    Ok(openat(AT_FDCWD, root, flags, Mode::empty())?)
}

fn metadata(fd: &OwnedFd) -> io::Result<Metadata> {
    // SAFETY: the descriptor is open, and is not closed with what is never dropped.
    ManuallyDrop::new(unsafe { File::from_raw_fd(fd.as_raw_fd()) }).metadata()
}

fn is_trusted(uid: u32) -> bool {
    uid == 0 || uid == geteuid().as_raw()
}

/// The path that the caller names anyway is "it".
fn foreign_link(path: &Path, link: &Path, uid: u32) -> io::Error {
    let hint = "write the path that it leads to, or give the link to root (chown -h root)";
    match path == link {
        true => refused("it is a link of another user", uid, hint),
        false => refused(&format!("{} is a link of another user", link.display()), uid, hint),
    }
}

fn refused(what: &str, uid: u32, hint: &str) -> io::Error {
    let message = format!("{what} (uid {uid}), who may have put it there to misuse this daemon; {hint}");
    io::Error::new(io::ErrorKind::PermissionDenied, message)
}

mod replace;
#[cfg(test)]
mod tests;
