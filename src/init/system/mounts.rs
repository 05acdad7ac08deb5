//! The file systems that every program takes for granted.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::sys::machine;
use crate::util::errno;

/// Where, of which kind, whether it holds devices, and with which options.
const KNOWN: [(&str, &str, bool, &str); 6] = [
    ("/proc", "proc", false, ""),
    ("/sys", "sysfs", false, ""),
    ("/dev", "devtmpfs", true, "mode=0755"),
    ("/dev/pts", "devpts", true, "mode=0620,ptmxmode=0666"),
    ("/dev/shm", "tmpfs", false, "mode=1777"),
    ("/run", "tmpfs", false, "mode=0755"),
];

/// Mounts what belongs at this place, unless something is there.
pub(super) fn provide(place: &Path) -> Result<(), String> {
    let Some((_, kind, devices, options)) = KNOWN.iter().find(|(known, ..)| Path::new(known) == place) else {
        return Err(format!("it is not known what to mount at {}", place.display()));
    };
    if is_mounted(place) {
        return Ok(());
    }
    // On a read-only root it must be there already; the mount tells.
    let _ = fs::create_dir_all(place);
    match machine::mount(kind, place, *devices, options) {
        Ok(()) => Ok(()),
        // The kernel had mounted it itself.
        Err(error) if error.raw_os_error() == Some(EBUSY) => Ok(()),
        Err(error) => Err(format!("cannot mount {kind} at {}: {}", place.display(), errno::reason(&error))),
    }
}

const EBUSY: i32 = 16;

/// Whether another file system begins here than the one above.
fn is_mounted(place: &Path) -> bool {
    let device = |path: &Path| fs::metadata(path).map(|there| there.dev());
    let above = place.parent().unwrap_or(Path::new("/"));
    matches!((device(place), device(above)), (Ok(here), Ok(there)) if here != there)
}

/// Unmounts everything, the newest first; what is in use becomes read-only. What could not be done either.
pub(super) fn release_all() -> Vec<String> {
    let places = match fs::read_to_string("/proc/self/mounts") {
        Ok(text) => disks_first(&text),
        Err(error) => return vec![format!("it is not known what is mounted: {}", errno::reason(&error))],
    };
    let mut complaints = Vec::new();
    for (place, kind) in places {
        let released =
            if place == Path::new("/") { Err(io::ErrorKind::ResourceBusy.into()) } else { machine::unmount(&place) };
        // Memory needs no care.
        if released.is_err()
            && !IN_MEMORY.contains(&kind.as_str())
            && let Err(error) = machine::remount_read_only(&place)
        {
            complaints.push(format!("cannot make {} ({kind}) read-only: {}", place.display(), errno::reason(&error)));
        }
    }
    complaints
}

const IN_MEMORY: [&str; 11] =
    ["proc", "sysfs", "devtmpfs", "devpts", "tmpfs", "ramfs", "rootfs", "cgroup", "cgroup2", "securityfs", "debugfs"];

/// The places and kinds of a table of mounts, the newest first.
fn disks_first(table: &str) -> Vec<(PathBuf, String)> {
    let line = |line: &str| {
        let mut words = line.split(' ').skip(1);
        Some((PathBuf::from(unescape(words.next()?)), words.next()?.to_owned()))
    };
    let mut places: Vec<_> = table.lines().filter_map(line).collect();
    places.reverse();
    places
}

/// The kernel writes blanks and backslashes as `\040`.
fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, behind) = rest.split_at(at);
        plain.push_str(before);
        match behind.get(1..4).and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                plain.push(char::from(byte));
                rest = behind.get(4..).unwrap_or_default();
            }
            None => {
                plain.push('\\');
                rest = behind.get(1..).unwrap_or_default();
            }
        }
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_mount_goes_first_and_names_are_read_as_they_are() {
        let table = "rootfs / rootfs rw 0 0\nproc /proc proc rw 0 0\n/dev/sda1 /mnt/a\\040b\\134 ext4 rw 0 0\n";
        let found = disks_first(table);
        let wanted = [("/mnt/a b\\", "ext4"), ("/proc", "proc"), ("/", "rootfs")];
        assert_eq!(found, wanted.map(|(place, kind)| (PathBuf::from(place), kind.to_owned())));
    }

    #[test]
    fn what_is_mounted_is_seen() {
        assert!(is_mounted(Path::new("/proc")) && !is_mounted(Path::new("/proc/self")));
        assert!(provide(Path::new("/home")).is_err());
    }
}
