//! The daemon's own log, and the console that it shares with its children.
//!
//! A record is formatted where it is made, once for the file and once for the console, and handed over as one whole
//! line (see `record`); threads of their own write the lines. So neither a stalled disk nor a stopped terminal delays
//! whoever logs: above a megabyte of waiting lines further ones are dropped, counted, and said later.
//!
//! ```
//! use supervice::logger;
//!
//! log::info!("harmless before the log is set up");
//! logger::setup_logger("INFO", None, 0, 0).unwrap();
//! log::info!(logger: logger::get_logger(), "web: RUNNING (pid 4242)");
//! ```

mod console;
mod file;
mod format;
mod queue;
mod record;
mod stamp;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use log::{Level, LevelFilter, Log};

pub use console::{ConsoleStream, write_line};
pub(crate) use console::{
    flush as flush_console, is_busy as console_is_busy, is_stalled as console_is_stalled, wants_colour,
};

pub(crate) use format::{JsonHead, json_line};

use crate::models::LogFormat;
use crate::util::plural::{choose, counted};
use crate::util::thread;
use crate::util::{errno, log_level};
use file::LogFile;
use format::Line;
use queue::LineQueue;
use record::{DaemonLog, Lines};
pub(crate) use stamp::local_stamp;

/// Why the log could not be set up.
#[derive(Debug)]
pub enum LoggerError {
    /// No level has this name.
    Level(String),
    /// The log file can't be opened.
    File {
        /// Its path.
        path: PathBuf,
        /// The system's reason.
        error: io::Error,
    },
    /// The system gives no thread.
    Thread(io::Error),
    /// The program that uses this library has set up a logger of its own.
    Taken,
}

impl fmt::Display for LoggerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoggerError::Level(name) => {
                write!(f, "unknown log level {name:?}; use DEBUG, INFO, WARNING, ERROR or CRITICAL")
            }
            LoggerError::File { path, error } => {
                write!(f, "cannot open the log file {}: {}", path.display(), errno::reason_with_remedy(error))?;
                match error.raw_os_error().and_then(errno::shortage) {
                    Some(_) => Ok(()),
                    None => f.write_str("; check its directory and permissions, or set logfile = none"),
                }
            }
            LoggerError::Thread(error) => {
                write!(f, "cannot start the log thread: {}", errno::reason_with_remedy(error))
            }
            LoggerError::Taken => f.write_str("another logger was set up in this process before"),
        }
    }
}

impl std::error::Error for LoggerError {}

/// Receives the lines of the log file as they are written. It must not block.
#[cfg(feature = "xmlrpc")]
pub(crate) trait LogFollower: Send {
    /// Takes whole lines; `false`: nobody wants more.
    fn push(&self, lines: &[u8]) -> bool;

    /// Whether somebody wants more.
    fn is_there(&self) -> bool;
}

/// Where the log goes and what goes there.
#[derive(Debug, Clone)]
pub struct Options {
    /// The lowest level that is logged.
    pub level: LevelFilter,
    /// The file, if any.
    pub logfile: Option<PathBuf>,
    /// Rotate the file when it has this many bytes; 0: never.
    pub maxbytes: u64,
    /// How many rotated files are kept.
    pub backups: u32,
    /// Log to standard output as well (in the foreground).
    pub stdout: bool,
}

/// The level of a name, in any case: `DEBUG`, `INFO`, `WARNING` (`WARN`), `ERROR`, `CRITICAL` (which is `ERROR` here).
///
/// # Errors
/// [`LoggerError::Level`] for any other name.
pub fn parse_level(name: &str) -> Result<LevelFilter, LoggerError> {
    match log_level::parse(name) {
        Some((_, level)) => Ok(level),
        None => Err(LoggerError::Level(name.to_owned())),
    }
}

/// Sets up the log as in the Python package: into `logfile` with rotation at `maxbytes` bytes (0: never),
/// or to standard output where there is no file. May be called again to change any of it.
///
/// # Errors
/// An unknown level, a file that can't be opened, no thread, or a foreign logger in this process.
pub fn setup_logger(
    level: &str,
    logfile: Option<&Path>,
    maxbytes: u64,
    backups: u32,
) -> Result<&'static dyn Log, LoggerError> {
    let level = parse_level(level)?;
    let stdout = logfile.is_none();
    setup(&Options { level, logfile: logfile.map(Path::to_owned), maxbytes, backups, stdout })
}

/// Sets up the log. May be called again to change any of it. Not before the daemon has detached:
/// threads do not survive a fork.
///
/// # Errors
/// A file that can't be opened, no thread, or a foreign logger in this process.
pub fn setup(options: &Options) -> Result<&'static dyn Log, LoggerError> {
    install()?;
    let sink = shared();
    let file = match &options.logfile {
        Some(path) => {
            let file = LogFile::open(path, options.maxbytes, options.backups);
            let file = file.map_err(|error| LoggerError::File { path: path.clone(), error })?;
            // Each line is wanted once.
            Some(file).filter(|file| !(options.stdout && file.is_stdout()))
        }
        None => None,
    };
    sink.set_limits(options.maxbytes, options.backups);
    *sink.path.lock().unwrap_or_else(PoisonError::into_inner) = file.as_ref().map(|file| file.path().to_owned());
    sink.set_file(file)?;
    sink.stdout.store(options.stdout && !console::is_discarded(), Ordering::Relaxed);
    sink.dated.store(console::is_file(), Ordering::Relaxed);
    set_level(options.level);
    Ok(get_logger())
}

/// Before anything is opened: a program with a logger of its own must not get a log file of ours. Nothing is logged
/// until there is a level.
fn install() -> Result<(), LoggerError> {
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if !*installed {
        log::set_boxed_logger(Box::new(DaemonLog::new(shared()))).map_err(|_| LoggerError::Taken)?;
        *installed = true;
    }
    Ok(())
}

/// The logger; one that drops everything before [`setup_logger`].
pub fn get_logger() -> &'static dyn Log {
    log::logger()
}

/// Changes the lowest level that is logged; that of another logger than ours stays as it is.
pub fn set_level(level: LevelFilter) {
    if *INSTALLED.lock().unwrap_or_else(PoisonError::into_inner) {
        log::set_max_level(level);
    }
}

/// Opens the log file anew (SIGUSR2), so that logrotate may move it away. Does not wait.
pub fn reopen() {
    if let Some(sink) = SHARED.get() {
        sink.queue.request_reopen();
    }
}

/// The file that the log goes to, if there is one.
pub(crate) fn logfile() -> Option<PathBuf> {
    SHARED.get().and_then(|sink| sink.path.lock().unwrap_or_else(PoisonError::into_inner).clone())
}

/// Sends what `end` reads of the file, and then every line that is written to it: no line twice, and none is missing,
/// because nothing is written meanwhile. May wait for the disk.
///
/// # Errors
/// Those of `end`.
#[cfg(feature = "xmlrpc")]
pub(crate) fn follow(end: impl FnOnce() -> io::Result<Vec<u8>>, follower: Box<dyn LogFollower>) -> io::Result<()> {
    let sink = shared();
    // What was logged before is to be there.
    sink.queue.flush(Instant::now() + FOLLOW_FLUSH_TIMEOUT);
    let _nothing_is_written = sink.file.lock().unwrap_or_else(PoisonError::into_inner);
    follower.push(&end()?);
    let mut followers = sink.followers.lock().unwrap_or_else(PoisonError::into_inner);
    followers.retain(|other| other.is_there());
    followers.push(follower);
    Ok(())
}

/// Changes the size at which the log file is rotated. Does not wait.
pub(crate) fn set_limits(maxbytes: u64, backups: u32) {
    if let Some(sink) = SHARED.get() {
        sink.set_limits(maxbytes, backups);
        sink.queue.request_reopen();
    }
}

/// Writes a warning to the file alone: who watches the console was told of it before there was a log.
pub(crate) fn warn_in_file(warning: fmt::Arguments<'_>) {
    let Some(sink) = SHARED.get().filter(|sink| sink.wants_file() && log::max_level() >= Level::Warn) else { return };
    sink.file_line(Line::new(SystemTime::now(), Level::Warn, warning).text().as_bytes());
}

/// Waits until everything logged so far has been written, at most for `deadline`, and not for a console that nobody has
/// read for a second. Returns whether it was written.
pub fn flush(deadline: Duration) -> bool {
    let begin = Instant::now();
    let end = begin + deadline;
    let file = SHARED.get().is_none_or(|sink| sink.queue.flush(end));
    console::flush(begin, end) && file
}

/// While it lives, what this thread logs wakes nobody: whoever writes it would be given the processor of a thread that
/// has more urgent work.
#[derive(Debug)]
pub(crate) struct DeferredWakes(());

impl DeferredWakes {
    pub(crate) fn new() -> DeferredWakes {
        queue::defer_wakes();
        DeferredWakes(())
    }
}

impl Drop for DeferredWakes {
    fn drop(&mut self) {
        if queue::resume_wakes() {
            SHARED.get().into_iter().for_each(|sink| sink.queue.wake_deferred());
            console::wake_deferred();
        }
    }
}

/// Changes the format of the daemon's own lines on the console; the file is always text for people.
pub fn set_format(format: LogFormat) {
    shared().json.store(format == LogFormat::Json, Ordering::Relaxed);
}

/// Whether the daemon's own lines go to standard output, and are for machines there.
pub(crate) fn tells_machines() -> bool {
    SHARED.get().is_some_and(|sink| sink.stdout.load(Ordering::Relaxed)) && is_json()
}

/// What is logged from now on goes to the file alone, if there is one.
pub(crate) fn leave_stdout() {
    if let Some(sink) = SHARED.get() {
        sink.stdout.store(false, Ordering::Relaxed);
    }
}

/// Whether lines on the console are JSON objects.
fn is_json() -> bool {
    shared().json.load(Ordering::Relaxed)
}

/// How long [`Log::flush`], which has no deadline, waits at most.
const RECORD_FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a new follower waits for lines that are on their way to the file.
#[cfg(feature = "xmlrpc")]
const FOLLOW_FLUSH_TIMEOUT: Duration = Duration::from_millis(100);
/// Whether the logger of this process is ours.
static INSTALLED: Mutex<bool> = Mutex::new(false);
static SHARED: OnceLock<Shared> = OnceLock::new();

fn shared() -> &'static Shared {
    SHARED.get_or_init(Shared::default)
}

/// What the producers of lines share with the thread that writes them.
#[derive(Default)]
struct Shared {
    queue: LineQueue,
    /// Taken by the log thread for as long as it writes, and by nobody who logs.
    file: Mutex<Option<LogFile>>,
    /// The followers of what is written there.
    #[cfg(feature = "xmlrpc")]
    followers: Mutex<Vec<Box<dyn LogFollower>>>,
    /// Where that is.
    path: Mutex<Option<PathBuf>>,
    /// The limits that the log thread takes over when it reopens the file. They are kept apart because it holds `file`
    /// for as long as a disk hangs.
    maxbytes: AtomicU64,
    backups: AtomicU32,
    to_file: AtomicBool,
    stdout: AtomicBool,
    /// Standard output is a file, which is read later than today.
    dated: AtomicBool,
    json: AtomicBool,
    started: Mutex<bool>,
}

impl Shared {
    fn set_file(&'static self, file: Option<LogFile>) -> Result<(), LoggerError> {
        let to_file = file.is_some();
        *self.file.lock().unwrap_or_else(PoisonError::into_inner) = file;
        self.to_file.store(to_file, Ordering::Relaxed);
        let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        if to_file && !*started {
            thread::spawn("log", 128 * 1024, move || self.write_file()).map_err(LoggerError::Thread)?;
            *started = true;
        }
        Ok(())
    }

    fn set_limits(&self, maxbytes: u64, backups: u32) {
        self.maxbytes.store(maxbytes, Ordering::Relaxed);
        self.backups.store(backups, Ordering::Relaxed);
    }

    /// The log thread: writes batches of whole lines.
    fn write_file(&self) {
        crate::sys::signals::leave_to_others();
        let mut bytes = Vec::new();
        let mut lost = 0;
        loop {
            let batch = self.queue.next(bytes);
            let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(file) = file.as_mut() {
                if batch.reopen {
                    file.set_limits(self.maxbytes.load(Ordering::Relaxed), self.backups.load(Ordering::Relaxed));
                    // If that fails the next write tries again.
                    let _ = file.reopen();
                }
                lost += batch.lost;
                lost = write_batch(file, &batch.bytes, lost);
                #[cfg(feature = "xmlrpc")]
                {
                    let mut followers = self.followers.lock().unwrap_or_else(PoisonError::into_inner);
                    followers.retain(|follower| follower.push(&batch.bytes));
                }
            }
            bytes = batch.bytes;
        }
    }
}

/// The length of the longest run of whole lines within `room` bytes, but of one line at least.
fn whole_lines(bytes: &[u8], room: usize) -> usize {
    let is_end = |byte: &u8| *byte == b'\n';
    let fits = bytes.get(..room).unwrap_or(bytes).iter().rposition(is_end);
    fits.or_else(|| bytes.iter().position(is_end)).map_or(bytes.len(), |at| at + 1)
}

impl Lines for Shared {
    fn wants_file(&self) -> bool {
        self.to_file.load(Ordering::Relaxed)
    }

    fn file_line(&self, line: &[u8]) {
        self.queue.push(&[line]);
    }

    fn console_format(&self) -> Option<LogFormat> {
        let json = self.json.load(Ordering::Relaxed);
        self.stdout.load(Ordering::Relaxed).then_some(if json { LogFormat::Json } else { LogFormat::Text })
    }

    fn console_is_dated(&self) -> bool {
        self.dated.load(Ordering::Relaxed)
    }

    fn flush(&self) {
        flush(RECORD_FLUSH_TIMEOUT);
    }
}

/// Writes whole lines, as many at once as the rotation allows; returns how many were lost and not yet reported.
fn write_batch(file: &mut LogFile, mut bytes: &[u8], mut lost: u64) -> u64 {
    while !bytes.is_empty() {
        let (piece, rest) = bytes.split_at(whole_lines(bytes, file.room()));
        if file.write(piece).is_err() {
            // Some of them may be there by now. Rather a line twice than a line lost.
            let lines = piece.split_inclusive(|byte| *byte == b'\n');
            lost += lines.filter(|line| line.len() == piece.len() || file.write(line).is_err()).count() as u64;
        }
        bytes = rest;
    }
    if lost > 0 {
        let (lines, were) = (counted(lost, "line"), choose(lost, "was", "were"));
        let message = format_args!("{lines} of this log {were} lost");
        let line = Line::new(SystemTime::now(), Level::Warn, message);
        if file.write(format!("{}\n", line.text()).as_bytes()).is_ok() {
            return 0;
        }
    }
    lost
}
