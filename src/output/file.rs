//! One log file: rotation, and survival of everything that a disk and an operator may do to it.
//!
//! Invariants:
//!
//! - a regular file never has more than `maxbytes` bytes, and the file and its backups together never
//!   more than `(backups + 1) * maxbytes` (as far as we wrote them);
//! - what can't be written is counted as lost and reported once; the file is tried again at most once a second while
//!   there is output; no caller waits for it;
//! - where backups can't be renamed, the current file may use the room of the backups that do not
//!   exist; when that is used up too it is emptied: the bound and the newest output win over the oldest.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::compress::{self, Compressor};
use super::console_lines::Console;
use super::messages::StreamKind;
use super::outage::{Report, Reporter, WriteOutage};
use crate::models::{LogSync, OutputRecovery, OutputTroubleKind, ProgramConfig, RecoveryCause};
use crate::sys::guarded_path::{self, Access, Log};

/// How long after a failure the file is opened again at the earliest.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How long a FIFO whose reader is slow is left alone.
const RETRY_FULL_FIFO_AFTER: Duration = Duration::from_millis(10);
/// How often a file that is written to is compared with its path.
const COMPARE_PATH_EVERY: Duration = Duration::from_secs(1);

/// What the configuration says about a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rules {
    /// Where to rotate, in bytes; 0: never.
    pub maxbytes: u64,
    /// How many rotated files are kept.
    pub backups: u32,
    /// Whether these are compressed when there is time.
    pub compress: bool,
    /// When the disk is told to keep what was written.
    pub sync: LogSync,
}

impl Rules {
    /// What holds for the file of one stream.
    pub fn of(config: &ProgramConfig, kind: StreamKind) -> Rules {
        let (maxbytes, backups, compress) = match kind {
            StreamKind::Stdout => {
                (config.stdout_logfile_maxbytes, config.stdout_logfile_backups, config.stdout_logfile_compress)
            }
            StreamKind::Stderr => {
                (config.stderr_logfile_maxbytes, config.stderr_logfile_backups, config.stderr_logfile_compress)
            }
        };
        Rules { maxbytes, backups, compress, sync: config.log_sync }
    }
}

/// A log file with its backups.
#[derive(Debug)]
pub(super) struct LogFile {
    path: Arc<Path>,
    /// Where the file is that the path leads to by links. That is what is rotated: a log that is a link stays one.
    real: PathBuf,
    rules: Rules,
    file: Option<File>,
    /// The path means standard output or error; then there is no file.
    console: Option<Console>,
    regular: bool,
    inode: (u64, u64),
    size: u64,
    /// The size at which to rotate: `maxbytes`, or more while backups can't be renamed.
    limit: u64,
    /// The last rotation failed, which was told.
    rotation_fails: bool,
    /// The last byte written was a newline.
    line_start: bool,
    check_at: Instant,
    outage: WriteOutage,
    /// There may be something to compress.
    compress_due: bool,
    compression: Option<Box<Compression>>,
}

#[derive(Debug)]
struct Compression {
    compressor: Compressor,
    /// Which backup it is of. A rotation renames it, which does not disturb this.
    number: u32,
    /// The bytes of all backups, which only a rotation changes.
    backup_bytes: u64,
}

impl LogFile {
    /// A file that is opened by the first [`write`](Self::write) or [`open`](Self::open).
    pub fn new(path: Arc<Path>, rules: Rules, now: Instant) -> Self {
        LogFile {
            real: path.to_path_buf(),
            path,
            rules,
            file: None,
            console: None,
            regular: false,
            inode: (0, 0),
            size: 0,
            limit: rules.maxbytes,
            rotation_fails: false,
            line_start: true,
            check_at: now,
            outage: WriteOutage::default(),
            compress_due: true,
            compression: None,
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the file is that the path leads to.
    pub fn real_path(&self) -> &Path {
        &self.real
    }

    /// It is standard output or error by another name.
    pub fn is_console(&self) -> bool {
        self.console.is_some()
    }

    /// Nothing follows what was written so far of a line.
    pub fn end_line(&mut self) {
        if let Some(console) = &mut self.console {
            console.end_line();
        }
    }

    fn is_open(&self) -> bool {
        self.file.is_some() || self.console.is_some()
    }

    fn close(&mut self) {
        self.end_line();
        (self.file, self.console) = (None, None);
    }

    /// Whether it is open and an ordinary file.
    pub fn is_regular(&self) -> bool {
        self.file.is_some() && self.regular
    }

    /// Whether there may be something to be read at its path: it is an ordinary file, or nothing was done with it yet.
    pub fn is_readable(&self) -> bool {
        self.is_regular() || !(self.is_open() || self.has_outage())
    }

    /// The device that it is on, once it was opened.
    pub fn device(&self) -> Option<u64> {
        self.is_open().then_some(self.inode.0)
    }

    /// The same file, closed, as if nothing had been done with it yet; what was counted stays counted.
    pub fn renewed(&mut self, now: Instant) -> LogFile {
        let outage = std::mem::take(&mut self.outage);
        LogFile { outage, ..LogFile::new(Arc::clone(&self.path), self.rules, now) }
    }

    /// Whether something of the newest output may be missing in it.
    pub fn has_outage(&self) -> bool {
        self.outage.is_open()
    }

    /// New rules; they act at the next write.
    pub fn set_rules(&mut self, rules: Rules) {
        if rules != self.rules {
            self.rules = rules;
            self.limit = rules.maxbytes;
            self.stop_compression();
        }
    }

    /// Counts what was lost while nobody could ask the file itself; the next write tells how it ends.
    pub fn add_lost(&mut self, since: Instant, bytes: u64) {
        self.outage.add_lost(since, bytes);
    }

    /// Opens what the path means now, so that a wrong path is known before there is output, and the first words of a
    /// run do not go into a file that somebody has deleted since.
    pub fn open(&mut self, now: Instant, report: Reporter<'_>) {
        self.check_at = now;
        if let Err(error) = self.make_ready(now) {
            self.fail(now, 0, RETRY_AFTER, &error, report);
        }
    }

    /// Closes the file; the path is opened anew (logrotate has moved the file away).
    pub fn reopen(&mut self, now: Instant, report: Reporter<'_>) {
        self.close();
        self.outage.hurry(now);
        self.open(now, report);
    }

    /// Empties the file; its backups stay.
    ///
    /// # Errors
    /// What failed, on what, and why.
    pub fn clear(&mut self) -> Result<(), String> {
        if !self.is_readable() {
            return Ok(());
        }
        self.line_start = true;
        let emptied = match (self.is_open(), exists(&self.real)) {
            // Not the one that is open.
            (_, true) if self.real.is_dir() => Err(io::Error::from_raw_os_error(libc::EISDIR)),
            (true, true) => self.truncate(),
            // It was deleted: as after any clear, an empty one is there.
            (true, false) => {
                self.close();
                self.try_open(Instant::now())
            }
            (false, true) if self.real.is_file() => guarded_path::open(&self.path, Access::Overwrite).map(drop),
            (false, _) => Ok(()),
        };
        emptied.map_err(|error| format!("cannot empty {}: {}", self.path.display(), reason(&error)))
    }

    /// Appends `data`, rotating where needed. Never waits and never fails: see the module's head.
    pub fn write(&mut self, now: Instant, mut data: &[u8], report: Reporter<'_>) {
        if self.outage.waits(now, data.len()) {
            return;
        }
        if let Err(error) = self.make_ready(now) {
            return self.fail(now, data.len(), RETRY_AFTER, &error, report);
        }
        if let Some(console) = &mut self.console {
            console.write(data);
            return self.outage.succeed(now, report);
        }
        self.leave_room_for(data.len());
        while !data.is_empty() {
            let count = self.next_chunk(now, data, report);
            let chunk = data.get(..count).unwrap_or(data);
            let Some(file) = &mut self.file else {
                let error = io::Error::from_raw_os_error(libc::EBADF);
                return self.fail(now, data.len(), RETRY_AFTER, &error, report);
            };
            match file.write(chunk) {
                Ok(0) => {
                    return self.fail(now, data.len(), RETRY_AFTER, &io::Error::from(io::ErrorKind::WriteZero), report);
                }
                Ok(written) => {
                    self.size += written as u64;
                    self.line_start = chunk.get(written.wrapping_sub(1)) == Some(&b'\n');
                    data = data.get(written..).unwrap_or_default();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return self.fail(now, data.len(), RETRY_FULL_FIFO_AFTER, &error, report);
                }
                Err(error) => {
                    self.file = None;
                    return self.fail(now, data.len(), RETRY_AFTER, &error, report);
                }
            }
        }
        if self.rules.sync == LogSync::Line
            && let Err(error) = self.sync()
        {
            return self.fail(now, 0, RETRY_AFTER, &error, report);
        }
        self.outage.succeed(now, report);
    }

    fn sync(&self) -> io::Result<()> {
        match &self.file {
            Some(file) if self.regular => file.sync_data(),
            Some(_) | None => Ok(()),
        }
    }

    /// Compresses a bit of the backups; `true` if there is more to do.
    pub fn compress_step(&mut self) -> bool {
        if !self.rules.compress || !self.compress_due {
            return false;
        }
        let step = match self.compression {
            None => self.begin_compression(),
            Some(_) => self.continue_compression(),
        };
        match step {
            Ok(true) => {}
            Ok(false) => self.compression = None,
            Err(error) => {
                log::warn!("cannot compress {}.*: {}; they stay as they are", self.path.display(), reason(&error));
                self.stop_compression();
                self.compress_due = false;
            }
        }
        self.compress_due
    }

    /// Leaves what is not compressed yet as it is.
    pub fn stop_compression(&mut self) {
        self.compression = None;
        self.compress_due = true;
    }

    /// Whether [`compress_step`](Self::compress_step) has something to do.
    pub fn wants_to_compress(&self) -> bool {
        self.rules.compress && self.compress_due && self.rules.maxbytes > 0 && self.is_regular()
    }

    /// Begins with the newest backup that is not compressed: under load, it has the longest time before it is removed.
    /// `false`: there is none.
    fn begin_compression(&mut self) -> io::Result<bool> {
        let mut numbered = (1..=self.rules.backups).map(|number| (number, self.backup(number)));
        let Some((number, from)) = numbered.find(|(_, path)| path.is_file()) else {
            self.compress_due = false;
            return Ok(false);
        };
        let mut unfinished = self.real.as_os_str().to_owned();
        unfinished.push(".gz.unfinished");
        let backup_bytes = self.backup_bytes();
        let compressor = Compressor::begin(from, unfinished.into())?;
        self.compression = Some(Box::new(Compression { compressor, number, backup_bytes }));
        Ok(true)
    }

    /// Does a slice; `false`: it is done, or given up.
    fn continue_compression(&mut self) -> io::Result<bool> {
        let Some(compression) = &mut self.compression else { return Ok(false) };
        let size = compression.compressor.compress_slice()?;
        if !self.has_room_for(size) {
            self.compress_due = false;
            return Ok(false);
        }
        match &mut self.compression {
            Some(compression) => compression.compressor.store().map(|done| !done),
            None => Ok(false),
        }
    }

    /// Gives the compression up where these bytes would not fit beside it.
    fn leave_room_for(&mut self, bytes: usize) {
        let Some(compression) = &self.compression else { return };
        if !self.has_room_for(compression.compressor.written + bytes as u64) {
            self.compression = None;
            self.compress_due = false;
        }
    }

    /// The bound on the whole holds while a file is compressed, too: where both forms do not fit, it stays plain, until
    /// the next rotation makes another try of it.
    fn has_room_for(&self, bytes: u64) -> bool {
        let whole = self.rules.maxbytes.saturating_mul(u64::from(self.rules.backups) + 1);
        let backup_bytes = self.compression.as_ref().map_or(0, |compression| compression.backup_bytes);
        backup_bytes + self.size + bytes <= whole
    }

    /// After a rotation, which has renamed the backups up to `top`.
    fn follow_rotation(&mut self, top: u32) {
        self.compress_due = true;
        let Some(mut compression) = self.compression.take() else { return };
        if compression.number < top {
            compression.number += 1;
        } else if compression.number == top {
            // Another one has its name.
            return;
        }
        compression.compressor.renamed(self.backup(compression.number));
        compression.backup_bytes = self.backup_bytes();
        self.compression = Some(compression);
        self.leave_room_for(0);
    }

    /// How many of the bytes go into the file in one write; rotates first where none may.
    fn next_chunk(&mut self, now: Instant, data: &[u8], report: Reporter<'_>) -> usize {
        if !self.regular || self.rules.maxbytes == 0 {
            return data.len();
        }
        let mut room = usize::try_from(self.limit.saturating_sub(self.size)).unwrap_or(usize::MAX);
        if room >= data.len() {
            return data.len();
        }
        // Lines stay whole as long as they fit into a file.
        let line_end = |room: usize| data.get(..room)?.iter().rposition(|byte| *byte == b'\n').map(|at| at + 1);
        match line_end(room) {
            Some(end) => return end,
            None if room > 0 && !self.line_start => return room,
            None => {}
        }
        self.rotate(now, report);
        room = usize::try_from(self.limit.saturating_sub(self.size)).unwrap_or(usize::MAX).max(1);
        if room >= data.len() { data.len() } else { line_end(room).unwrap_or(room) }
    }

    /// Opens the file if it is closed, and once a second makes sure that the path still means this file.
    fn make_ready(&mut self, now: Instant) -> io::Result<()> {
        if self.is_open() {
            if now < self.check_at {
                return Ok(());
            }
            self.check_at = now + COMPARE_PATH_EVERY;
            match fs::metadata(&self.path) {
                Ok(seen) if (seen.dev(), seen.ino()) == self.inode => {
                    // Somebody may have emptied it in place (logrotate's copytruncate).
                    self.size = seen.len();
                    return Ok(());
                }
                Ok(_) | Err(_) => self.close(),
            }
        }
        self.try_open(now)
    }

    fn try_open(&mut self, now: Instant) -> io::Result<()> {
        // The open of a FIFO without a reader fails (ENXIO) instead of waiting for one.
        let file = match guarded_path::open_log(&self.path)? {
            Log::File { file, path, is_shared: _ } => {
                self.real = path;
                file
            }
            Log::Standard(stream) => {
                let metadata = stream.file()?.metadata()?;
                (self.regular, self.inode) = (false, (metadata.dev(), metadata.ino()));
                self.check_at = now + COMPARE_PATH_EVERY;
                self.console = Some(Console::new(stream));
                return Ok(());
            }
        };
        let metadata = file.metadata()?;
        let kind = metadata.file_type();
        self.regular = kind.is_file();
        self.inode = (metadata.dev(), metadata.ino());
        self.size = if self.regular { metadata.len() } else { 0 };
        self.line_start = !kind.is_fifo();
        self.limit = self.rules.maxbytes;
        self.check_at = now + COMPARE_PATH_EVERY;
        self.file = Some(file);
        Ok(())
    }

    /// Makes room: see the module's head for what happens where it can't.
    fn rotate(&mut self, now: Instant, report: Reporter<'_>) {
        if self.size == 0 {
            return;
        }
        if self.rules.sync != LogSync::Never
            && let Err(error) = self.sync()
        {
            log::warn!("cannot sync {}: {}", self.path.display(), reason(&error));
        }
        let renamed = if self.rules.backups == 0 {
            self.truncate()
        } else {
            self.shift_backups().and_then(|top| self.try_open(now).map(|()| self.follow_rotation(top)))
        };
        let Err(error) = renamed else { return self.rotation_recovers(RecoveryCause::Works, report) };
        self.stop_compression();
        if !self.rotation_fails && self.rules.backups > 0 {
            self.rotation_fails = true;
            let (path, why) = (self.path.display(), reason(&error));
            let reason = format!(
                "cannot rotate {path}: {why}; it grows to the size of all its backups and is emptied then, until this is fixed"
            );
            report(Report::Trouble { kind: OutputTroubleKind::Rotation, reason });
        }
        let whole = self.rules.maxbytes.saturating_mul(u64::from(self.rules.backups) + 1);
        let budget = whole.saturating_sub(self.backup_bytes()).max(self.rules.maxbytes);
        if self.size < budget {
            self.limit = (self.size + self.rules.maxbytes).min(budget);
        } else if self.truncate().is_err() {
            // Neither renamed nor emptied: what comes now is lost, and the retry opens it again.
            self.file = None;
        }
    }

    fn rotation_recovers(&mut self, cause: RecoveryCause, report: Reporter<'_>) {
        if std::mem::take(&mut self.rotation_fails) {
            let kind = OutputTroubleKind::Rotation;
            report(Report::Recovered(OutputRecovery { kind, cause, lost_bytes: 0 }));
        }
    }

    /// A stream goes elsewhere that may have been told of troubles here. Others that stay are told of them anew.
    pub fn leave(&mut self, report: Reporter<'_>) {
        self.outage.end(report);
        self.rotation_recovers(RecoveryCause::Moved, report);
    }

    fn truncate(&mut self) -> io::Result<()> {
        if let Some(file) = &self.file {
            file.set_len(0)?;
        }
        self.size = 0;
        Ok(())
    }

    /// `x` becomes `x.1`, `x.1` becomes `x.2` …; the last one is removed. Only the nearest gap has to be filled: returns
    /// its number, or that of the last one.
    fn shift_backups(&self) -> io::Result<u32> {
        let gap = (1..=self.rules.backups).find(|number| self.forms(*number).iter().all(|form| !exists(form)));
        let top = gap.unwrap_or(self.rules.backups);
        for number in (2..=top).rev() {
            let ([plain, compressed], [to_plain, to_compressed]) = (self.forms(number - 1), self.forms(number));
            if exists(&compressed) {
                // Its plain form is what a crash has left behind, if there is one.
                let _ = guarded_path::remove(&plain);
                guarded_path::rename(&compressed, &to_compressed)?;
                let _ = guarded_path::remove(&to_plain);
            } else {
                guarded_path::rename(&plain, &to_plain)?;
                let _ = guarded_path::remove(&to_compressed);
            }
        }
        let [plain, compressed] = self.forms(1);
        guarded_path::rename(&self.real, &plain)?;
        let _ = guarded_path::remove(&compressed);
        // Left over from a configuration with more backups.
        let mut number = self.rules.backups.saturating_add(1);
        while self.forms(number).map(|form| guarded_path::remove(&form).is_ok()).contains(&true) {
            number = number.saturating_add(1);
        }
        Ok(top)
    }

    fn backup_bytes(&self) -> u64 {
        let bytes = |number| self.forms(number).iter().filter_map(|form| Some(fs::metadata(form).ok()?.len())).sum();
        (1..=self.rules.backups).map(bytes).take_while(|bytes: &u64| *bytes > 0).sum()
    }

    /// The names that a backup may have: plain and compressed.
    fn forms(&self, number: u32) -> [PathBuf; 2] {
        let plain = self.backup(number);
        let compressed = compress::compressed(&plain);
        [plain, compressed]
    }

    fn backup(&self, number: u32) -> PathBuf {
        let mut name = self.real.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    }

    fn fail(&mut self, now: Instant, lost: usize, retry: Duration, error: &io::Error, report: Reporter<'_>) {
        let path = &self.path;
        self.outage.fail(now, lost, retry, report, || {
            format!("cannot write {}: {}; its output is lost until this is fixed", path.display(), reason(error))
        });
    }
}

fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// The system's error text without the number.
pub(super) fn reason(error: &io::Error) -> String {
    if error.raw_os_error() == Some(libc::ENXIO) {
        return "it is a FIFO that nobody reads, or a socket".to_owned();
    }
    crate::util::errno::reason(error)
}
