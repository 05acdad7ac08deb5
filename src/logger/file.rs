//! The daemon's own log file, behind a guard.
//!
//! `file-rotate` panics when somebody touches its backups, says `Ok` to bytes that it has dropped
//! after a failed rotation, and renames device nodes. So it rotates regular files alone, a panic of
//! its costs nothing but a new start, and a line that may have been dropped is written to the plain file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use file_rotate::compression::Compression;
use file_rotate::suffix::AppendCount;
use file_rotate::{ContentLimit, FileRotate};

enum Writer {
    /// Closed; the next write opens it.
    Closed,
    /// Not rotated: no limit, or not a regular file.
    Plain(File),
    Rotating(Box<FileRotate<AppendCount>>),
}

/// A file that takes whole lines and never lets the daemon down.
pub(super) struct LogFile {
    path: PathBuf,
    maxbytes: u64,
    backups: u32,
    writer: Writer,
}

impl LogFile {
    /// Opens the file.
    ///
    /// # Errors
    /// Those of opening it for appending.
    pub fn open(path: &Path, maxbytes: u64, backups: u32) -> io::Result<LogFile> {
        // The rotation needs a directory in the path.
        let path = std::path::absolute(path)?;
        let mut file = LogFile { path, maxbytes, backups, writer: Writer::Closed };
        file.reopen()?;
        Ok(file)
    }

    /// Rotates at other sizes from the next [`reopen`](Self::reopen) on.
    pub fn set_limits(&mut self, maxbytes: u64, backups: u32) {
        self.maxbytes = maxbytes;
        self.backups = backups;
    }

    /// Opens the path anew.
    ///
    /// # Errors
    /// Those of opening it for appending; the next write tries again.
    pub fn reopen(&mut self) -> io::Result<()> {
        self.writer = Writer::Closed;
        let plain = open_plain(&self.path)?;
        self.writer = if self.maxbytes == 0 || !plain.metadata()?.is_file() {
            Writer::Plain(plain)
        } else {
            self.rotating().map_or(Writer::Plain(plain), Writer::Rotating)
        };
        Ok(())
    }

    /// Writes whole lines.
    ///
    /// # Errors
    /// When they could not be written although the path was opened anew.
    pub fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.has_moved() || matches!(self.writer, Writer::Closed) {
            self.reopen()?;
        }
        let written = match &mut self.writer {
            Writer::Closed => Err(io::Error::from(io::ErrorKind::NotConnected)),
            Writer::Plain(file) => return file.write_all(lines),
            Writer::Rotating(file) => {
                let result = catch_unwind(AssertUnwindSafe(|| file.write_all(lines).and_then(|()| file.flush())));
                result.unwrap_or_else(|_| Err(io::Error::other("the rotation has failed")))
            }
        };
        if written.is_ok() && fs::metadata(&self.path).is_ok_and(|found| found.len() > 0) {
            return Ok(());
        }
        // Rather a line twice than a line lost.
        self.writer = Writer::Closed;
        open_plain(&self.path)?.write_all(lines)
    }

    fn rotating(&self) -> Option<Box<FileRotate<AppendCount>>> {
        let limit = ContentLimit::BytesSurpassed(usize::try_from(self.maxbytes).unwrap_or(usize::MAX));
        let backups = self.backups as usize;
        catch_unwind(|| {
            Box::new(FileRotate::new(&self.path, AppendCount::new(backups), limit, Compression::None, None))
        })
        .ok()
    }

    /// The path no longer means the file that we write to (which only a plain one can tell).
    fn has_moved(&self) -> bool {
        match &self.writer {
            Writer::Closed => false,
            Writer::Rotating(_) => !self.path.exists(),
            Writer::Plain(file) => match (file.metadata(), fs::metadata(&self.path)) {
                (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) != (there.dev(), there.ino()),
                (_, Err(_)) | (Err(_), _) => true,
            },
        }
    }
}

fn open_plain(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o644)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC)
        .open(path)
}
