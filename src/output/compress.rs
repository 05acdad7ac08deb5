//! The compression of one rotated file, slice by slice, so that whoever does it can do something else in between.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::sys::guarded_path::{self, Access};
use crate::util::gzip::Encoder;

/// What one step reads, in bytes: a millisecond or two of work.
const SLICE_BYTES: usize = 32 * 1024;

/// A rotated file on its way to `….gz`. What is written so far goes when this is dropped.
pub(super) struct Compressor {
    source: File,
    from: PathBuf,
    target: File,
    unfinished: PathBuf,
    encoder: Encoder,
    is_at_end: bool,
    /// Bytes written so far.
    pub written: u64,
}

impl std::fmt::Debug for Compressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compressor").field("from", &self.from).finish_non_exhaustive()
    }
}

impl Compressor {
    /// Begins with `from`. One name for what is unfinished: what a crash leaves is overwritten by the next one and
    /// never taken for a whole file.
    pub fn begin(from: PathBuf, unfinished: PathBuf) -> io::Result<Compressor> {
        let source = guarded_path::open(&from, Access::Read)?;
        let target = guarded_path::open(&unfinished, Access::Replace)?;
        Ok(Compressor { source, from, target, unfinished, encoder: Encoder::new(), is_at_end: false, written: 0 })
    }

    /// The file was renamed by a rotation.
    pub fn renamed(&mut self, to: PathBuf) {
        self.from = to;
    }

    /// Compresses a slice in memory; returns the size that the compressed file will have with it.
    pub fn compress_slice(&mut self) -> io::Result<u64> {
        let mut slice = vec![0; SLICE_BYTES];
        let count = self.source.read(&mut slice)?;
        match slice.get(..count) {
            Some(data) if count > 0 => self.encoder.push(data),
            Some(_) | None => self.encoder.finish(),
        }
        self.is_at_end = count == 0;
        Ok(self.written + self.encoder.out.len() as u64)
    }

    /// Writes what was compressed; `true` when the file is done: it has its name and the plain one is gone.
    pub fn store(&mut self) -> io::Result<bool> {
        self.target.write_all(&self.encoder.out)?;
        self.written += self.encoder.out.len() as u64;
        self.encoder.out.clear();
        if !self.is_at_end {
            return Ok(false);
        }
        // On the disk before it has its name: a crash must not leave half of it under that, with the plain one gone.
        self.target.sync_all()?;
        guarded_path::rename(&self.unfinished, &compressed(&self.from))?;
        guarded_path::remove(&self.from)?;
        Ok(true)
    }
}

impl Drop for Compressor {
    fn drop(&mut self) {
        // Fails where it was finished: it has another name then.
        let _ = guarded_path::remove(&self.unfinished);
    }
}

/// The name of the compressed file.
pub(super) fn compressed(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".gz");
    PathBuf::from(name)
}
