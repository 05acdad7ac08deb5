//! What outlives the daemon, on the disk: read when it begins, and written by a thread that lives as long as there is
//! something to write, because a disk may hang. Of each file the newest content is kept until it is its turn.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::super::effect::StateFile;
use super::super::engine::stored_state::StoredState;
use super::replies::Responder;
use crate::api::{Persistence, Reply};
use crate::sys::guarded_path::{self, Access};
use crate::util::errno;
use crate::util::thread;

/// More than ten thousand programs need: a larger file was not written by us.
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;
/// Room for what the writing of a file needs.
const STACK_BYTES: usize = 64 * 1024;
/// The pause before a failed write is tried again; each one is twice as long, …
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// … up to this.
const MAX_PAUSE: Duration = Duration::from_secs(300);

/// Reads what an earlier daemon has kept. What can't be used is told in the log; the daemon begins without.
pub(in crate::core) fn read(directory: &str) -> StoredState {
    let mut kept = StoredState::default();
    for file in StateFile::ALL {
        let path = Path::new(directory).join(file.name());
        let used = match read_file(&path) {
            Ok(text) => kept.read(file, &text).map_err(str::to_owned),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(errno::reason(&error).to_string()),
        };
        if let Err(why) = used {
            log::warn!("{}: {why}; begins without {}", path.display(), file.what());
        }
    }
    kept
}

fn read_file(path: &Path) -> io::Result<String> {
    let file = guarded_path::open(path, Access::Read)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// See the [module](self).
pub(in crate::core) struct StateWriter {
    shared: Arc<Shared>,
}

struct Shared {
    directory: PathBuf,
    open: Mutex<Open>,
    /// The thread has ended.
    is_idle: Condvar,
    /// There is something to do for a thread that waits to try again.
    is_wanted: Condvar,
}

#[derive(Default)]
struct Open {
    /// What is to be written.
    texts: Vec<(StateFile, Box<str>)>,
    /// Who waits for it.
    waiting: Vec<(StateFile, Responder, Reply)>,
    /// A thread writes, or waits to try again.
    is_writing: bool,
    /// The daemon ends: what can't be written now is lost.
    is_last: bool,
    /// What could not be written, and why.
    failed: Vec<(StateFile, Arc<str>)>,
}

impl StateWriter {
    pub(in crate::core) fn new(directory: &str) -> StateWriter {
        let shared = Shared {
            directory: PathBuf::from(directory),
            open: Mutex::default(),
            is_idle: Condvar::new(),
            is_wanted: Condvar::new(),
        };
        StateWriter { shared: Arc::new(shared) }
    }

    /// Has this written, in the place of what was to be written to that file before.
    pub(super) fn keep(&self, file: StateFile, text: Box<str>) {
        let mut open = self.shared.open();
        open.texts.retain(|(other, _)| *other != file);
        open.texts.push((file, text));
        self.begin(open);
    }

    /// Answers when everything is written that was to be kept before.
    pub(super) fn answer_when_kept(&self, file: StateFile, responder: Responder, reply: Reply) {
        let mut open = self.shared.open();
        open.waiting.push((file, responder, reply));
        self.begin(open);
    }

    fn begin(&self, mut open: MutexGuard<'_, Open>) {
        self.shared.is_wanted.notify_all();
        if std::mem::replace(&mut open.is_writing, true) {
            return;
        }
        let shared = Arc::clone(&self.shared);
        if let Err(error) = thread::spawn("state", STACK_BYTES, move || shared.write_all()) {
            // It is tried again with the next change, and at the end.
            open.is_writing = false;
            let why: Arc<str> = format!("no thread: {}", errno::reason(&error)).into();
            log::error!("{}: can't be written: {why}", self.shared.directory.display());
            for (_, responder, reply) in std::mem::take(&mut open.waiting) {
                responder.answer(Ok(reply.kept(Persistence::Failed(Arc::clone(&why)))));
            }
        }
    }

    /// Waits, but not for ever, until everything is written; what could not be is tried once more.
    pub(super) fn finish(&self, limit: Duration) {
        let mut open = self.shared.open();
        open.is_last = true;
        if !open.texts.is_empty() {
            self.begin(open);
            open = self.shared.open();
        }
        let waited = self.shared.is_idle.wait_timeout_while(open, limit, |open| open.is_writing);
        let (_open, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() {
            log::error!(
                "{}: its disk does not answer; the daemon exits without waiting",
                self.shared.directory.display()
            );
        }
    }
}

impl Shared {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes until nothing is left to be written. What can't be is tried again after a pause, which grows, and
    /// whenever there is something else to do.
    fn write_all(&self) {
        let mut pause = FIRST_PAUSE;
        loop {
            let mut open = self.open();
            let (texts, waiting) = (std::mem::take(&mut open.texts), std::mem::take(&mut open.waiting));
            let is_last = open.is_last;
            drop(open);
            let failed: Vec<_> = texts.into_iter().filter(|(file, text)| !self.try_to_write(*file, text)).collect();
            for (file, responder, reply) in waiting {
                let failed =
                    self.open().failed.iter().find(|(other, _)| *other == file).map(|(_, why)| Arc::clone(why));
                responder.answer(Ok(reply.kept(failed.map_or(Persistence::Stored, Persistence::Failed))));
            }
            let mut open = self.open();
            let is_news = !open.texts.is_empty() || !open.waiting.is_empty() || open.is_last != is_last;
            for (file, text) in failed {
                if open.texts.iter().all(|(other, _)| *other != file) {
                    open.texts.push((file, text));
                }
            }
            if is_news {
                continue;
            }
            if open.texts.is_empty() || is_last {
                open.is_writing = false;
                self.is_idle.notify_all();
                return;
            }
            // Nobody but this thread takes a lock for long: what is wanted meanwhile is seen.
            let waited = self.is_wanted.wait_timeout(open, pause);
            drop(waited.unwrap_or_else(PoisonError::into_inner));
            pause = pause.saturating_mul(2).min(MAX_PAUSE);
        }
    }

    /// `false`: it has failed, which is told.
    fn try_to_write(&self, file: StateFile, text: &str) -> bool {
        let result = self.write(file, text);
        let is_written = result.is_ok();
        self.note(file, result.err());
        is_written
    }

    fn write(&self, file: StateFile, text: &str) -> io::Result<()> {
        let path = self.directory.join(file.name());
        match guarded_path::replace(&path, text.as_bytes()) {
            // It may have been removed since the start.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                guarded_path::make_directory(&self.directory, 0o700)?;
                guarded_path::replace(&path, text.as_bytes())
            }
            result => result,
        }
    }

    /// Trouble with a file is told once, and that it is over as well.
    fn note(&self, file: StateFile, error: Option<io::Error>) {
        let path = self.directory.join(file.name());
        let mut open = self.open();
        let before = open.failed.iter().position(|(other, _)| *other == file).map(|place| open.failed.remove(place).1);
        let Some(error) = error else {
            if before.is_some() {
                log::info!("{}: written again", path.display());
            }
            return;
        };
        let why: Arc<str> = format!("{}: {}", path.display(), errno::reason(&error)).into();
        if before.as_ref() != Some(&why) {
            log::error!("{why}; {} is lost when the daemon ends, unless it can be written until then", file.what());
        }
        open.failed.push((file, why));
    }
}
