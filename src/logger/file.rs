//! The daemon's own log file, behind a guard.
//!
//! `file-rotate` panics when somebody touches its backups, says `Ok` to bytes that it has dropped
//! after a failed rotation, and renames device nodes. So it rotates regular files alone, a panic of its costs nothing
//! but a new start, and a line that may have been dropped is written to the plain file. It opens its files as everybody
//! does; so where others could put a link in their place, the file is rotated here, by guarded paths.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use file_rotate::compression::Compression;
use file_rotate::suffix::AppendCount;
use file_rotate::{ContentLimit, FileRotate};

use super::console::{ConsoleStream, write_line};
use crate::sys::guarded_path::{self, Log, StandardStream};

/// So much is written at once, in bytes: whoever reads the file meanwhile sees it grow.
const MAX_PIECE_BYTES: usize = 16 * 1024;

enum Writer {
    /// Closed; the next write opens it.
    Closed,
    /// Not rotated: no limit, or not a regular file.
    Plain(File),
    /// Standard output or error by another name.
    Console(ConsoleStream),
    /// Rotated by guarded paths.
    Guarded(File),
    Rotating(Box<FileRotate<AppendCount>>),
}

/// A file that takes whole lines and never lets the daemon down.
pub(super) struct LogFile {
    path: PathBuf,
    /// Where the file is that the path leads to by links, and which is rotated.
    real: PathBuf,
    maxbytes: u64,
    backups: u32,
    writer: Writer,
    /// The bytes of the file when it was looked at last.
    size: u64,
}

impl LogFile {
    /// Opens the file.
    ///
    /// # Errors
    /// Those of opening it for appending.
    pub fn open(path: &Path, maxbytes: u64, backups: u32) -> io::Result<LogFile> {
        // The rotation needs a directory in the path.
        let path = std::path::absolute(path)?;
        let mut file = LogFile { real: path.clone(), path, maxbytes, backups, writer: Writer::Closed, size: 0 };
        file.reopen()?;
        Ok(file)
    }

    /// Where it is, as an absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether its lines go where those of the console go.
    pub fn is_stdout(&self) -> bool {
        matches!(self.writer, Writer::Console(ConsoleStream::Stdout))
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
        self.writer = match guarded_path::open_log(&self.path)? {
            Log::Standard(StandardStream::Output) => Writer::Console(ConsoleStream::Stdout),
            Log::Standard(StandardStream::Error) => Writer::Console(ConsoleStream::Stderr),
            Log::File { file, path, is_shared } => {
                self.real = path;
                let found = file.metadata()?;
                self.size = found.len();
                if self.maxbytes == 0 || !found.is_file() {
                    Writer::Plain(file)
                } else if is_shared {
                    Writer::Guarded(file)
                } else {
                    self.rotating().map_or(Writer::Plain(file), Writer::Rotating)
                }
            }
        };
        Ok(())
    }

    /// So many bytes of whole lines may be written at once; a line that is longer is written alone. The line that is
    /// too much for a file is the last one in it.
    pub fn room(&self) -> usize {
        match &self.writer {
            Writer::Closed => 0,
            Writer::Plain(_) | Writer::Console(_) => MAX_PIECE_BYTES,
            Writer::Guarded(_) | Writer::Rotating(_) => {
                let left = usize::try_from(self.maxbytes.saturating_sub(self.size)).unwrap_or(usize::MAX);
                left.min(MAX_PIECE_BYTES)
            }
        }
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
            Writer::Console(stream) => {
                lines.split_inclusive(|byte| *byte == b'\n').for_each(|line| {
                    write_line(*stream, &[line.strip_suffix(b"\n").unwrap_or(line)]);
                });
                return Ok(());
            }
            Writer::Guarded(file) => {
                self.size += lines.len() as u64;
                file.write_all(lines)?;
                if self.size > self.maxbytes && self.rotate().is_err() {
                    // The bound holds, and the newest lines come before the oldest.
                    self.reopen()?;
                    if let Writer::Guarded(file) = &mut self.writer {
                        file.set_len(0)?;
                        self.size = 0;
                    }
                }
                return Ok(());
            }
            Writer::Rotating(file) => {
                let result = catch_unwind(AssertUnwindSafe(|| file.write_all(lines).and_then(|()| file.flush())));
                result.unwrap_or_else(|_| Err(io::Error::other("the rotation has failed")))
            }
        };
        if let (Ok(()), Ok(found)) = (written, fs::metadata(&self.path))
            && found.len() > 0
        {
            self.size = found.len();
            return Ok(());
        }
        // Rather a line twice than a line lost.
        self.writer = Writer::Closed;
        match guarded_path::open_log(&self.path)? {
            Log::File { mut file, .. } => file.write_all(lines),
            // The next write goes there.
            Log::Standard(_) => self.reopen(),
        }
    }

    /// `x` becomes `x.1`, `x.1` becomes `x.2` …; the last one is replaced.
    fn rotate(&mut self) -> io::Result<()> {
        let backup = |number: u32| {
            let mut name = self.real.as_os_str().to_owned();
            name.push(format!(".{number}"));
            PathBuf::from(name)
        };
        if self.backups == 0 {
            guarded_path::remove(&self.real)?;
        } else {
            for number in (1..self.backups).rev() {
                match guarded_path::rename(&backup(number), &backup(number + 1)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    Ok(()) | Err(_) => {}
                }
            }
            guarded_path::rename(&self.real, &backup(1))?;
        }
        self.reopen()
    }

    fn rotating(&self) -> Option<Box<FileRotate<AppendCount>>> {
        let limit = ContentLimit::BytesSurpassed(usize::try_from(self.maxbytes).unwrap_or(usize::MAX));
        let backups = self.backups as usize;
        catch_unwind(|| {
            Box::new(FileRotate::new(&self.real, AppendCount::new(backups), limit, Compression::None, None))
        })
        .ok()
    }

    /// The path no longer means the file that we write to (which one that the crate has opened can't tell).
    fn has_moved(&self) -> bool {
        match &self.writer {
            Writer::Closed | Writer::Console(_) => false,
            Writer::Rotating(_) => !self.path.exists(),
            Writer::Plain(file) | Writer::Guarded(file) => match (file.metadata(), fs::metadata(&self.path)) {
                (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) != (there.dev(), there.ino()),
                (_, Err(_)) | (Err(_), _) => true,
            },
        }
    }
}
