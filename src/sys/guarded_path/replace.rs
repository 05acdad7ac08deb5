//! A small file that is replaced as a whole: whoever reads it, also after a loss of power, finds what it held before or
//! what it holds now.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{UnlinkatFlags, fsync, unlinkat};

use super::{Access, Last, Place, walk};

/// What this daemon knows is its own affair.
const MODE: Mode = Mode::from_bits_truncate(0o600);

/// Puts this in the place of what the file holds, and returns when that is on the disk. Where it fails, the file is as
/// it was.
///
/// # Errors
/// As [`open`](super::open).
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let place = walk(path, Access::Replace, Last::Entry)?;
    // To be synchronised it has to be opened to be read.
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let directory = openat(&place.directory, ".", flags, Mode::empty())?;
    let mut new = place.name.clone();
    new.push(".new");
    let written = write_new(&directory, &new, content)
        .and_then(|()| Ok(renameat(&directory, new.as_os_str(), &directory, place.name.as_os_str())?))
        .and_then(|()| Ok(fsync(&directory)?));
    if written.is_err() {
        let _ = unlinkat(&directory, new.as_os_str(), UnlinkatFlags::NoRemoveDir);
    }
    written
}

/// Makes a directory of this mode, less the umask; nothing where it is there.
///
/// # Errors
/// As [`open`](super::open).
pub fn make_directory(path: &Path, mode: u32) -> io::Result<()> {
    let Place { directory, name, .. } = walk(path, Access::Replace, Last::Entry)?;
    match mkdirat(directory.as_fd(), name.as_os_str(), Mode::from_bits_truncate(mode)) {
        Ok(()) | Err(Errno::EEXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn write_new(directory: &OwnedFd, name: &OsString, content: &[u8]) -> io::Result<()> {
    // One that a daemon has left which was killed, or that somebody has put there.
    match unlinkat(directory, name.as_os_str(), UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut file = File::from(openat(directory, name.as_os_str(), flags, MODE)?);
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("times");
        replace(&path, b"one\n").expect("written");
        let first = File::open(&path).expect("there");
        replace(&path, b"two\n").expect("written");
        assert_eq!(io::read_to_string(first).expect("read"), "one\n", "who reads it finds the whole of the old one");
        assert_eq!(fs::read_to_string(&path).expect("read"), "two\n");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).expect("a directory").count(), 1);
    }

    #[test]
    fn what_lies_in_the_way_is_not_followed() {
        let dir = tempfile::tempdir().expect("a directory");
        let (path, other) = (dir.path().join("times"), dir.path().join("other"));
        fs::write(&other, "precious").expect("written");
        for name in ["times", "times.new"] {
            symlink(&other, dir.path().join(name)).expect("a link");
            replace(&path, b"one\n").expect("written");
            assert_eq!(fs::read_to_string(&other).expect("read"), "precious");
            assert!(!path.is_symlink());
            fs::remove_file(&path).expect("removed");
        }
    }

    #[test]
    fn where_it_fails_nothing_is_left() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("times");
        fs::create_dir_all(path.join("in the way")).expect("a directory");
        assert!(replace(&path, b"one\n").is_err());
        assert_eq!(fs::read_dir(dir.path()).expect("a directory").count(), 1, "no half file");
        assert!(replace(&dir.path().join("missing/times"), b"").is_err());
    }

    #[test]
    fn a_directory_is_made_once() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("state");
        for _ in 0..2 {
            make_directory(&path, 0o700).expect("made");
        }
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o700);
        assert!(make_directory(&dir.path().join("missing/state"), 0o700).is_err());
    }
}
