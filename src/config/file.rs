//! Reading a text file that somebody else wrote: never for ever, never without bound.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use super::diagnostic::Fault;
use crate::sys::guarded_path::{self, Access};

/// Why there is no text.
#[derive(Debug)]
pub(crate) enum ReadError {
    Io(io::Error),
    /// `line` is 0 where the whole file is meant.
    Content {
        line: u32,
        fault: Fault,
    },
}

/// The text of a regular file of at most `limit` bytes. A FIFO, a terminal or a directory is an error
/// and not a wait: the daemon reads such files while it runs.
pub(crate) fn read_text(path: &Path, limit: u64) -> Result<String, ReadError> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path);
    text_of(file.map_err(ReadError::Io)?, limit)
}

/// As [`read_text`], of a file that is read on behalf of a program: links of another user are followed to files of that
/// user alone, so that a program gets nothing to see that its user may not read.
pub(crate) fn read_guarded_text(path: &Path, limit: u64) -> Result<String, ReadError> {
    text_of(guarded_path::open(path, Access::Read).map_err(ReadError::Io)?, limit)
}

fn text_of(mut file: File, limit: u64) -> Result<String, ReadError> {
    let mut bytes = Vec::new();
    let metadata = file.metadata().map_err(ReadError::Io)?;
    let kind = metadata.file_type();
    if !kind.is_file() {
        let what = if kind.is_dir() {
            "it is a directory"
        } else if kind.is_fifo() {
            "it is a FIFO or pipe"
        } else {
            "it is no regular file"
        };
        return Err(ReadError::Io(io::Error::other(format!("{what}; a regular file is needed"))));
    }
    // Read to the bound and one further: files of /proc and files that grow have no true size.
    bytes.reserve(metadata.len().min(limit) as usize + 1);
    file.by_ref().take(limit + 1).read_to_end(&mut bytes).map_err(ReadError::Io)?;
    if bytes.len() as u64 > limit {
        let fault = Fault::new(format!("longer than {limit} bytes"), "is it the right file?");
        return Err(ReadError::Content { line: 0, fault });
    }
    if let Some(at) = bytes.iter().position(|byte| *byte == 0) {
        let fault = Fault::new("a NUL byte: not a text file", "remove it");
        return Err(ReadError::Content { line: line_of(&bytes, at), fault });
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let byte = error.as_bytes().get(at).copied().unwrap_or(0);
        let fault = Fault::new(format!("byte 0x{byte:02x} is not UTF-8"), "save the file as UTF-8");
        ReadError::Content { line: line_of(error.as_bytes(), at), fault }
    })
}

fn line_of(bytes: &[u8], at: usize) -> u32 {
    let newlines = bytes.iter().take(at).filter(|byte| **byte == b'\n').count();
    u32::try_from(newlines + 1).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_exactly_the_limit_is_read_and_one_byte_more_is_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("text");
        std::fs::write(&path, "12345678").expect("written");
        assert_eq!(read_text(&path, 8).expect("text"), "12345678");
        assert!(matches!(read_text(&path, 7), Err(ReadError::Content { line: 0, .. })));
    }

    #[test]
    fn the_line_is_told_where_it_is_no_text() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("text");
        for (bytes, wanted) in [(&b"a\n\0b"[..], 2), (b"\xff", 1), (b"a\nb\n\xc3", 3)] {
            std::fs::write(&path, bytes).expect("written");
            let Err(ReadError::Content { line, .. }) = read_text(&path, 100) else { panic!("{bytes:?} is no text") };
            assert_eq!(line, wanted, "{bytes:?}");
        }
    }
}
