//! Why a file that is there cannot be executed, in words that say what to do.
//!
//! The kernel has few numbers for many reasons: ENOENT where the interpreter or the dynamic loader is missing, EACCES
//! for a directory, a mode or a mount, ENOEXEC for whatever it does not know.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::{self, File, Metadata, OpenOptions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::sys::statvfs::{FsFlags, statvfs};

use super::acl::has_acl;
use super::users::Credentials;

/// As much of a file as the kernel looks at.
const HEADER_BYTES: usize = 256;
/// Interpreters that are scripts themselves: as many as the kernel follows.
const MAX_INTERPRETERS: usize = 5;
/// Program headers that are looked through for the dynamic loader's name.
const MAX_PROGRAM_HEADERS: u64 = 64;

/// What keeps a file from being executed by this user, where the kernel has answered `errno`; `None`: nothing that
/// could be seen.
pub fn explain(path: &Path, errno: i32, user: Option<&Credentials>) -> Option<String> {
    explain_to(path, errno, user, MAX_INTERPRETERS)
}

fn explain_to(path: &Path, errno: i32, user: Option<&Credentials>, depth: usize) -> Option<String> {
    let at = path.display();
    match errno {
        libc::ENOENT | libc::ENOTDIR => missing(path, user, depth),
        libc::EACCES => forbidden(path, user, depth),
        libc::ENOEXEC => Some(unknown_format(path)),
        libc::ELOOP if interpreter(path).is_some() => Some(
            "its interpreter is a script, whose interpreter is a script, and so on; correct its first line".to_owned(),
        ),
        libc::ELOOP => Some(format!("its links lead in a circle; see ls -l {at}")),
        libc::ETXTBSY => {
            Some("somebody has it open for writing; wait until it is written, and replace a program by mv".to_owned())
        }
        libc::ELIBBAD | libc::EISDIR => loader(path)
            .map(|loader| format!("its dynamic loader {} is damaged or none; install it anew", loader.display())),
        _ => None,
    }
}

/// What is missing where the kernel says that a file is.
fn missing(path: &Path, user: Option<&Credentials>, depth: usize) -> Option<String> {
    if !path.is_file() {
        return missing_part(path);
    }
    if let Some(missing_interpreter) = missing_interpreter(path) {
        return Some(missing_interpreter);
    }
    let name = interpreter(path).filter(|name| name.exists());
    Some(name.map_or_else(
        || "it was not there a moment ago, and is now: replace a program by mv".to_owned(),
        |name| of_its("interpreter", &name, libc::ENOENT, user, depth),
    ))
}

/// Which interpreter or dynamic loader a file asks for that is not there.
pub fn missing_interpreter(path: &Path) -> Option<String> {
    if let Some(name) = interpreter(path) {
        if name.exists() {
            return None;
        }
        let Some(name) = name.as_os_str().as_bytes().strip_suffix(b"\r") else {
            let shown = name.display();
            return Some(format!("its interpreter {shown} does not exist; correct its first line or install it"));
        };
        return Some(format!(
            "its first line ends with a carriage return, which the kernel takes for a part of its interpreter's name ({}\\r); \
             save it with Unix line ends: sed -i 's/\\r$//' {}",
            OsStr::from_bytes(name).display(),
            path.display()
        ));
    }
    let name = loader(path).filter(|name| !name.exists())?;
    let shown = name.display();
    Some(format!(
        "its dynamic loader {shown} does not exist: it was built for another system; install that loader, or a build for this \
         one"
    ))
}

/// The trouble with what a file needs to be executed.
fn of_its(what: &str, name: &Path, errno: i32, user: Option<&Credentials>, depth: usize) -> String {
    let trouble = depth.checked_sub(1).and_then(|depth| explain_to(name, errno, user, depth));
    let mut text = format!("its {what} {} cannot be executed", name.display());
    if let Some(trouble) = trouble {
        let _ = write!(text, ": {trouble}");
    }
    text
}

/// The first part of a path that is not there or leads nowhere; `None`: its last one, as the kernel says.
fn missing_part(path: &Path) -> Option<String> {
    let mut seen = PathBuf::new();
    for part in path.components() {
        seen.push(part);
        let shown = seen.display();
        if let Ok(target) = fs::read_link(&seen)
            && !seen.exists()
        {
            return Some(format!("{shown} is a link to {}, which does not exist", target.display()));
        }
        if seen == path {
            return None;
        }
        match fs::metadata(&seen) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Some(format!("{shown} is no directory; correct the path")),
            Err(_) => return Some(format!("the directory {shown} does not exist; create it, or correct the path")),
        }
    }
    None
}

/// What forbids it: a directory on the way, the file's kind or mode, its mount, or the same of its interpreter.
fn forbidden(path: &Path, user: Option<&Credentials>, depth: usize) -> Option<String> {
    if let Some(trouble) = forbidden_by_mode(path, user) {
        return Some(trouble);
    }
    if statvfs(path).is_ok_and(|mount| mount.flags().contains(FsFlags::ST_NOEXEC)) {
        return Some("its file system is mounted noexec; put it on another one, or remount that with exec".to_owned());
    }
    let (what, name) = match interpreter(path) {
        Some(name) => ("interpreter", name),
        None => ("dynamic loader", loader(path)?),
    };
    Some(of_its(what, &name, libc::EACCES, user, depth))
}

/// What in the modes of a file, and of the directories on the way to it, forbids this user (or us) to execute it.
pub fn forbidden_by_mode(path: &Path, user: Option<&Credentials>) -> Option<String> {
    let who = || match user {
        Some(user) => format!("user {}", user.label()),
        None => format!("uid {}", nix::unistd::geteuid()),
    };
    let real = path.canonicalize().unwrap_or_default();
    for directory in [path, &real].into_iter().flat_map(|path| path.ancestors().skip(1)) {
        if let Ok(found) = fs::metadata(directory)
            && !may_execute(directory, &found, user)
        {
            let shown = directory.display();
            return Some(format!(
                "{} may not search the directory {shown}; chmod +x {shown}, or put it elsewhere",
                who()
            ));
        }
    }
    let found = fs::metadata(path).ok()?;
    let shown = path.display();
    if found.is_dir() {
        return Some("it is a directory; name a program in it".to_owned());
    }
    if !found.is_file() {
        return Some("it is no regular file".to_owned());
    }
    let mode = found.mode() & 0o7777;
    if mode & 0o111 == 0 {
        return Some(format!("it has no x bit (mode {mode:04o}); chmod +x {shown}"));
    }
    if !may_execute(path, &found, user) {
        let (uid, gid) = (found.uid(), found.gid());
        return Some(format!("{} may not execute it (mode {mode:04o}, of {uid}:{gid}); chmod or chown it", who()));
    }
    None
}

/// Whether the mode lets this user (or us) execute a file or search a directory, or an access control list may.
fn may_execute(path: &Path, found: &Metadata, user: Option<&Credentials>) -> bool {
    mode_allows(found, user) || has_acl(path)
}

fn mode_allows(found: &Metadata, user: Option<&Credentials>) -> bool {
    let (uid, groups) = match user {
        Some(user) => (user.uid, user.groups.clone()),
        None => {
            let groups = nix::unistd::getgroups().unwrap_or_default().into_iter().chain([nix::unistd::getegid()]);
            (nix::unistd::geteuid().as_raw(), groups.map(nix::unistd::Gid::as_raw).collect())
        }
    };
    let mode = found.mode();
    if uid == 0 {
        return found.is_dir() || mode & 0o111 != 0;
    }
    let shift = match (found.uid() == uid, groups.contains(&found.gid())) {
        (true, _) => 6,
        (false, true) => 3,
        (false, false) => 0,
    };
    mode >> shift & 1 != 0
}

/// What a file is that the kernel does not know how to execute.
fn unknown_format(path: &Path) -> String {
    let shown = path.display();
    let Some(header) = header(path) else { return "it cannot be read".to_owned() };
    match header.as_slice() {
        [] => "the file is empty; install it anew".to_owned(),
        [0x7f, b'E', b'L', b'F', ..] => match (Elf::machine_of(&header), own_machine()) {
            (Some(theirs), Some(ours)) if theirs != ours => format!(
                "it is a program for {}, and this machine is {}; install the build for that",
                machine_name(theirs),
                machine_name(ours)
            ),
            _ => "it is a damaged program, a library or an object file; install it anew".to_owned(),
        },
        [b'#', b'!', ..] => "its first line names no interpreter; write one such as #!/bin/sh".to_owned(),
        [0xef, 0xbb, 0xbf, b'#', b'!', ..] => {
            "it begins with a byte order mark, which hides its #!; save it as UTF-8 without one".to_owned()
        }
        [b'M', b'Z', ..] => "it is a program for Windows; install the build for Linux".to_owned(),
        [0xcf | 0xce, 0xfa, 0xed, 0xfe, ..] => "it is a program for macOS; install the build for Linux".to_owned(),
        bytes if bytes.contains(&0) => "it is neither a program nor a script; is it the right file?".to_owned(),
        _ => {
            format!("it is a script without #!: begin it with a line such as #!/bin/sh, or write command = sh {shown}")
        }
    }
}

/// Opened without waiting for the other side of a FIFO, should it be one by now.
fn open(path: &Path) -> Option<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path).ok()
}

fn header(path: &Path) -> Option<Vec<u8>> {
    read(&open(path)?, 0, HEADER_BYTES)
}

/// Up to `length` bytes at a place of a file.
fn read(file: &File, at: u64, length: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; length];
    let count = file.read_at(&mut bytes, at).ok()?;
    bytes.truncate(count);
    Some(bytes)
}

/// What a script's first line names, as the kernel reads it: a carriage return is part of the name.
fn interpreter(script: &Path) -> Option<PathBuf> {
    let header = header(script)?;
    let line = header.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let name = line.split(|byte| matches!(byte, b' ' | b'\t' | 0)).find(|word| !word.is_empty())?;
    Some(PathBuf::from(OsStr::from_bytes(name)))
}

/// The dynamic loader that a program asks for.
fn loader(program: &Path) -> Option<PathBuf> {
    Elf::open(program)?.loader()
}

/// The headers of an ELF file, of either word size and byte order.
struct Elf {
    file: File,
    is_64: bool,
    is_big_endian: bool,
}

impl Elf {
    fn open(path: &Path) -> Option<Elf> {
        let file = open(path)?;
        match read(&file, 0, 6)?.as_slice() {
            [0x7f, b'E', b'L', b'F', class, order] => {
                Some(Elf { file, is_64: *class == 2, is_big_endian: *order == 2 })
            }
            _ => None,
        }
    }

    /// The machine that a file is for, from its first bytes: its number, and whether it has 64 bits.
    fn machine_of(header: &[u8]) -> Option<(u16, bool)> {
        let bytes = [*header.get(18)?, *header.get(19)?];
        let number = if *header.get(5)? == 2 { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) };
        Some((number, *header.get(4)? == 2))
    }

    fn number(&self, at: u64, length: usize) -> Option<u64> {
        let mut bytes = read(&self.file, at, length).filter(|bytes| bytes.len() == length)?;
        if !self.is_big_endian {
            bytes.reverse();
        }
        Some(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn loader(&self) -> Option<PathBuf> {
        const PT_INTERP: u64 = 3;
        // Where the table begins, the size and the count of its entries; where an entry has its offset and size.
        let [table, size, count] = if self.is_64 { [32, 54, 56] } else { [28, 42, 44] };
        let (word, [offset, length]) = if self.is_64 { (8, [8, 32]) } else { (4, [4, 16]) };
        let (table, size) = (self.number(table, word)?, self.number(size, 2)?);
        let entries = 0..self.number(count, 2)?.min(MAX_PROGRAM_HEADERS);
        let mut entries = entries.map(|index| table.saturating_add(index * size));
        let entry = entries.find(|entry| self.number(*entry, 4) == Some(PT_INTERP))?;
        let at = |field: u64| self.number(entry.saturating_add(field), word);
        let name = read(&self.file, at(offset)?, usize::try_from(at(length)?).ok()?.min(libc::PATH_MAX as usize))?;
        let name = name.split(|byte| *byte == 0).next()?;
        Some(PathBuf::from(OsStr::from_bytes(name)))
    }
}

fn own_machine() -> Option<(u16, bool)> {
    Elf::machine_of(&header(Path::new("/proc/self/exe"))?)
}

fn machine_name((number, is_64): (u16, bool)) -> String {
    let name = match (number, is_64) {
        (3, _) => "x86 (32 bits)",
        (62, true) => "x86_64",
        (62, false) => "x32",
        (40, _) => "ARM (32 bits)",
        (183, _) => "aarch64 (ARM, 64 bits)",
        (8, _) => "MIPS",
        (20 | 21, _) => "PowerPC",
        (22, _) => "s390",
        (243, _) => "RISC-V",
        (258, _) => "LoongArch",
        (other, _) => return format!("another architecture (ELF machine {other})"),
    };
    name.to_owned()
}
