//! Files of a privileged daemon in places that others can write to.
//!
//! Whoever owns a directory decides what the names in it mean. A daemon that opened `/srv/app/logs/app.log` as everybody does
//! would write wherever the program's user makes that a link to. So a path is walked here one component after the other:
//!
//! - a link is followed only if it is root's or the daemon's own;
//! - where others can write to the directory, a file with a second name (a hard link) is refused, and so is, where
//!   everybody can, one of another owner than the directory's, root's or the daemon's;
//! - what is renamed or removed lies in the directory that was walked to.
//!
//! Each component is held by a descriptor while it is looked at, so that nobody can exchange it in between.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat, readlinkat, renameat};
use nix::sys::stat::Mode;
use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};
use nix::unistd::{UnlinkatFlags, geteuid, unlinkat};

/// As many links as the kernel follows.
const MAX_LINKS: usize = 40;

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
}

/// Opens a file. Never waits for the other side of a FIFO.
///
/// # Errors
/// As the system says it, or which link or file is not trusted, whose it is, and what to do.
pub fn open(path: &Path, access: Access) -> io::Result<File> {
    let flags = match access {
        Access::Read => OFlag::O_RDONLY,
        Access::Append => OFlag::O_WRONLY | OFlag::O_APPEND | OFlag::O_CREAT,
        // Emptied only when it is known to be ours.
        Access::Replace => OFlag::O_WRONLY | OFlag::O_CREAT,
    };
    let flags = flags | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    for _ in 0..MAX_ATTEMPTS {
        let place = walk(path, Last::Followed)?;
        let follow = if place.is_magic { OFlag::empty() } else { OFlag::O_NOFOLLOW };
        match openat(&place.directory, place.name.as_os_str(), flags | follow, Mode::from_bits_truncate(NEW_FILE_MODE))
        {
            Ok(file) => {
                let file = File::from(file);
                place.trust(path, &file)?;
                if access == Access::Replace {
                    file.set_len(0)?;
                }
                return Ok(file);
            }
            // Somebody has put a link there since.
            Err(Errno::ELOOP) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Errno::ELOOP.into())
}

/// Renames an entry of a directory; a link itself, not what it leads to.
///
/// # Errors
/// As [`open`].
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    let (from, to) = (walk(from, Last::Entry)?, walk(to, Last::Entry)?);
    Ok(renameat(&from.directory, from.name.as_os_str(), &to.directory, to.name.as_os_str())?)
}

/// Removes an entry of a directory that is no directory itself; a link itself, not what it leads to.
///
/// # Errors
/// As [`open`].
pub fn remove(path: &Path) -> io::Result<()> {
    let place = walk(path, Last::Entry)?;
    Ok(unlinkat(&place.directory, place.name.as_os_str(), UnlinkatFlags::NoRemoveDir)?)
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
    name: OsString,
    /// A link of `/proc`, which leads where the kernel knows, not where its text says.
    is_magic: bool,
}

impl Place {
    /// Whether the file that was opened there is what the configuration means.
    fn trust(&self, path: &Path, file: &File) -> io::Result<()> {
        let found = file.metadata()?;
        if !found.is_file() || self.is_magic {
            return Ok(());
        }
        let directory = metadata(&self.directory)?;
        let is_others = !is_trusted(directory.uid());
        if (is_others || directory.mode() & 0o022 != 0) && found.nlink() > 1 {
            return Err(refused(path, "has a second name (a hard link)", found.uid(), "remove it and start again"));
        }
        let is_open_to_all = is_others || directory.mode() & 0o002 != 0;
        if is_open_to_all && !is_trusted(found.uid()) && found.uid() != directory.uid() {
            return Err(refused(path, "is another user's", found.uid(), "remove it, or use another directory"));
        }
        Ok(())
    }
}

fn walk(path: &Path, last: Last) -> io::Result<Place> {
    let mut rest: VecDeque<OsString> = components(path);
    let mut seen = PathBuf::from(if path.is_absolute() { "/" } else { "" });
    let mut directory = start(path)?;
    let mut links = 0;
    while let Some(name) = rest.pop_front() {
        let is_last = rest.is_empty();
        if is_last && last == Last::Entry {
            return Ok(Place { directory, name, is_magic: false });
        }
        let entry = match openat(
            &directory,
            name.as_os_str(),
            OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC,
            Mode::empty(),
        ) {
            Ok(entry) => entry,
            Err(Errno::ENOENT) if is_last => return Ok(Place { directory, name, is_magic: false }),
            Err(error) => return Err(error.into()),
        };
        let found = metadata(&entry)?;
        if !found.is_symlink() {
            if is_last {
                return Ok(Place { directory, name, is_magic: false });
            }
            seen.push(&name);
            directory = entry;
            continue;
        }
        links += 1;
        if links > MAX_LINKS {
            return Err(Errno::ELOOP.into());
        }
        if !is_trusted(found.uid()) {
            let hint = "write the path that it leads to, or give the link to root (chown -h root)";
            return Err(refused(&seen.join(&name), "is a link of another user", found.uid(), hint));
        }
        if fstatfs(&entry)?.filesystem_type() == PROC_SUPER_MAGIC {
            if is_last {
                return Ok(Place { directory, name, is_magic: true });
            }
            directory = openat(&directory, name.as_os_str(), OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?;
            continue;
        }
        let target = PathBuf::from(readlinkat(&entry, "")?);
        if target.is_absolute() {
            seen = PathBuf::from("/");
            directory = start(&target)?;
        }
        let mut inner = components(&target);
        inner.append(&mut rest);
        rest = inner;
    }
    Err(Errno::EISDIR.into())
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
    File::from(fd.as_fd().try_clone_to_owned()?).metadata()
}

fn is_trusted(uid: u32) -> bool {
    uid == 0 || uid == geteuid().as_raw()
}

fn refused(path: &Path, what: &str, uid: u32, hint: &str) -> io::Error {
    let message =
        format!("{} {what} (uid {uid}), who may have put it there to misuse this daemon; {hint}", path.display());
    io::Error::new(io::ErrorKind::PermissionDenied, message)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{Read, Write};
    use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};

    use super::*;

    const NOBODY: u32 = 65534;

    /// A directory of another user with a file of root beside it; `None` where we may not give files away.
    fn foreign() -> Option<(tempfile::TempDir, PathBuf)> {
        if !geteuid().is_root() {
            eprintln!("SKIPPED: only root can give a file to another user");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("target"), "secret\n").unwrap();
        let logs = dir.path().join("logs");
        fs::create_dir(&logs).unwrap();
        chown(&logs, Some(NOBODY), Some(NOBODY)).unwrap();
        Some((dir, logs))
    }

    fn refusal(path: &Path) -> String {
        [Access::Append, Access::Replace, Access::Read]
            .map(|access| open(path, access).expect_err("it is not trusted").to_string())
            .into_iter()
            .next()
            .unwrap_or_default()
    }

    #[test]
    fn a_file_is_appended_to_replaced_and_read_by_whatever_path() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/../a/./log");
        fs::create_dir(dir.path().join("a")).unwrap();
        open(&path, Access::Append).unwrap().write_all(b"one").unwrap();
        open(&path, Access::Append).unwrap().write_all(b"two").unwrap();
        symlink("a/log", dir.path().join("link")).unwrap();
        symlink(dir.path().join("link"), dir.path().join("links")).unwrap();
        let mut text = String::new();
        open(&dir.path().join("links"), Access::Read).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "onetwo", "our own links are followed");
        open(&path, Access::Replace).unwrap();
        assert_eq!(fs::read(dir.path().join("a/log")).unwrap(), b"");
        symlink("nowhere", dir.path().join("dangling")).unwrap();
        open(&dir.path().join("dangling"), Access::Append).unwrap();
        assert!(dir.path().join("nowhere").is_file());
        symlink("loop", dir.path().join("loop")).unwrap();
        assert_eq!(open(&dir.path().join("loop"), Access::Read).unwrap_err().raw_os_error(), Some(libc::ELOOP));
        open(Path::new("/proc/self/fd/2"), Access::Append).unwrap();
        rename(&path, &dir.path().join("b")).unwrap();
        remove(&dir.path().join("link")).unwrap();
        assert!(dir.path().join("b").exists() && !dir.path().join("link").is_symlink());
    }

    #[test]
    fn case_23_a_link_of_another_user_is_not_followed() {
        let Some((dir, logs)) = foreign() else { return };
        symlink(dir.path().join("target"), logs.join("app.log")).unwrap();
        lchown(logs.join("app.log"), Some(NOBODY), None).unwrap();
        let told = refusal(&logs.join("app.log"));
        let link = logs.join("app.log");
        assert!(told.starts_with(&format!("{} is a link of another user (uid 65534)", link.display())), "{told}");
        // A directory in between is no better.
        symlink(dir.path(), logs.join("away")).unwrap();
        lchown(logs.join("away"), Some(NOBODY), None).unwrap();
        refusal(&logs.join("away/target"));
        for result in [rename(&logs.join("away/target"), &logs.join("x")), remove(&logs.join("away/target"))] {
            assert_eq!(result.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        }
        assert_eq!(fs::read(dir.path().join("target")).unwrap(), b"secret\n");
        // Root's own is followed, wherever it lies.
        lchown(logs.join("app.log"), Some(0), None).unwrap();
        open(&link, Access::Append).unwrap();
    }

    #[test]
    fn case_23_a_second_name_of_a_file_is_refused_where_others_can_write() {
        let Some((dir, logs)) = foreign() else { return };
        fs::hard_link(dir.path().join("target"), logs.join("app.log")).unwrap();
        assert!(refusal(&logs.join("app.log")).contains("has a second name"));
        assert_eq!(fs::read(dir.path().join("target")).unwrap(), b"secret\n", "not even emptied");
        fs::hard_link(dir.path().join("target"), dir.path().join("second")).unwrap();
        open(&dir.path().join("second"), Access::Append).unwrap();
    }

    #[test]
    fn case_23_a_file_of_a_third_user_is_refused_and_that_of_the_directorys_owner_is_not() {
        let Some((_dir, logs)) = foreign() else { return };
        let path = logs.join("app.log");
        fs::write(&path, "").unwrap();
        for (owner, is_fine) in [(0, true), (NOBODY, true), (4711, false)] {
            chown(&path, Some(owner), None).unwrap();
            assert_eq!(open(&path, Access::Append).is_ok(), is_fine, "uid {owner}");
        }
        chown(&logs, Some(0), None).unwrap();
        open(&path, Access::Append).unwrap();
        fs::set_permissions(&logs, fs::Permissions::from_mode(0o777)).unwrap();
        refusal(&path);
    }
}
