//! Requests that the writer of a log file answers.
//!
//! The reading thread keeps each until it is answered or its time is up; whoever comes first answers, the other one
//! finds nothing left to do. If both are gone (a panic, the end of the threads), dropping it answers.

use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::file::LogFile;
use super::follow::{Subscription, last_lines};
use super::messages::{Amount, LogPart, LogStart};
use super::responder::Responder;
use crate::models;
use crate::sys::guarded_path::{self, Access};

/// The most that one tail request is answered with.
pub(super) const MAX_TAIL_BYTES: usize = 1024 * 1024;

/// One request, shared by the reading thread and the writers.
#[derive(Clone)]
pub(super) enum Request {
    Tail(Arc<Tail>),
    Read(Arc<Read>),
    Follow(Arc<Follow>),
    Clear(Arc<Clear>),
}

impl Request {
    /// Whether nothing is left to do.
    pub fn is_answered(&self) -> bool {
        match self {
            Request::Tail(tail) => tail.responder.is_taken(),
            Request::Read(read) => read.responder.is_taken(),
            Request::Follow(follow) => !follow.subscription.is_waiting(),
            Request::Clear(clear) => clear.responder.is_taken(),
        }
    }

    /// Answers without the disk, unless it is answered.
    pub fn expire(&self) {
        match self {
            Request::Tail(tail) => tail.answer_from_memory(),
            Request::Read(read) => read.responder.respond(read.memory.clone()),
            Request::Follow(follow) => follow.subscription.answer_from_memory(),
            Request::Clear(clear) => clear.expire(),
        }
    }

    /// Answers with the file, on its writer; everything that was written before the request is in it.
    pub fn perform(&self, file: &mut LogFile) {
        match self {
            Request::Tail(tail) => tail.perform(file),
            Request::Read(read) => read.perform(file),
            Request::Follow(follow) => follow.perform(file),
            Request::Clear(clear) => clear.perform(file),
        }
    }
}

/// A responder that the first one takes.
struct Shared<T>(Mutex<Option<Responder<T>>>);

impl<T> Shared<T> {
    fn new(responder: Responder<T>) -> Shared<T> {
        Shared(Mutex::new(Some(responder)))
    }

    fn is_taken(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    fn respond(&self, answer: T) {
        let responder = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(responder) = responder {
            responder.respond(answer);
        }
    }
}

/// The newest bytes of a stream, once.
pub(super) struct Tail {
    bytes: usize,
    memory: Vec<u8>,
    responder: Shared<Vec<u8>>,
}

impl Tail {
    /// `memory`: the newest output in memory now.
    pub fn new(bytes: usize, memory: Vec<u8>, responder: Responder<Vec<u8>>) -> Arc<Tail> {
        Arc::new(Tail { bytes, memory, responder: Shared::new(responder) })
    }

    /// Answers without a file.
    pub fn answer_from_memory(&self) {
        self.responder.respond(self.memory.clone());
    }

    fn perform(&self, file: &LogFile) {
        if !self.responder.is_taken() {
            let disk = better_than(&self.memory, file, self.bytes);
            self.responder.respond(disk.unwrap_or_else(|| self.memory.clone()));
        }
    }
}

/// A part of a stream's log, once.
pub(super) struct Read {
    from: LogStart,
    length: Option<usize>,
    memory: LogPart,
    responder: Shared<LogPart>,
}

impl Read {
    /// `memory`: that part of what is in memory now.
    pub fn new(from: LogStart, length: Option<usize>, memory: LogPart, responder: Responder<LogPart>) -> Arc<Read> {
        Arc::new(Read { from, length, memory, responder: Shared::new(responder) })
    }

    fn perform(&self, file: &LogFile) {
        if self.responder.is_taken() {
            return;
        }
        let read = || {
            let open = guarded_path::open(file.real_path(), Access::Read)?;
            LogPart::of_file(&open, self.from, self.length)
        };
        let memory = |file| LogPart { file, ..self.memory.clone() };
        self.responder.respond(match file.is_readable().then(read) {
            Some(Ok(part)) => part,
            Some(Err(error)) if error.kind() == io::ErrorKind::NotFound => memory(models::LogPlace::Missing),
            Some(Err(_)) | None => memory(models::LogPlace::Memory),
        });
    }
}

/// The newest output of a stream for a follower.
pub(super) struct Follow {
    pub subscription: Arc<Subscription>,
    amount: Amount,
}

impl Follow {
    /// So much for the follower that has subscribed.
    pub fn new(subscription: Arc<Subscription>, amount: Amount) -> Arc<Follow> {
        Arc::new(Follow { subscription, amount })
    }

    fn perform(&self, file: &LogFile) {
        let Some(memory) = self.subscription.memory() else { return };
        let disk = match self.amount {
            Amount::Bytes(bytes) => better_than(&memory, file, bytes.min(MAX_TAIL_BYTES)),
            Amount::Lines(lines) => better_than(&memory, file, MAX_TAIL_BYTES).map(|disk| last_lines(disk, lines)),
        };
        match disk {
            Some(disk) => self.subscription.answer(disk),
            None => self.subscription.answer_from_memory(),
        }
    }
}

/// Empties the files of a program.
pub(super) struct Clear {
    /// Files that were not emptied yet.
    left: Mutex<Vec<PathBuf>>,
    responder: Shared<Result<(), String>>,
}

impl Clear {
    /// Answers when each of the `files` was emptied, or with the first failure.
    pub fn new(files: Vec<PathBuf>, responder: Responder<Result<(), String>>) -> Arc<Clear> {
        let clear = Clear { left: Mutex::new(files), responder: Shared::new(responder) };
        if clear.lock().is_empty() {
            clear.responder.respond(Ok(()));
        }
        Arc::new(clear)
    }

    fn perform(&self, file: &mut LogFile) {
        // Whoever was told that it failed must not find the log empty later.
        if self.responder.is_taken() {
            return;
        }
        match file.clear() {
            Err(message) => self.responder.respond(Err(message)),
            Ok(()) => {
                let mut left = self.lock();
                left.retain(|path| path != file.path());
                let is_done = left.is_empty();
                drop(left);
                if is_done {
                    self.responder.respond(Ok(()));
                }
            }
        }
    }

    fn expire(&self) {
        let path = self.lock().first().map(|path| path.display().to_string()).unwrap_or_default();
        self.responder.respond(Err(format!("cannot empty {path}: its disk does not answer; try again later")));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<PathBuf>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end of the file where it has more than memory has. It does not just after a rotation, and it has gaps
/// while it can't be written.
fn better_than(memory: &[u8], file: &LogFile, bytes: usize) -> Option<Vec<u8>> {
    if !file.is_readable() || (file.has_outage() && !memory.is_empty()) {
        return None;
    }
    newest_of_files(file.real_path(), bytes).ok().filter(|disk| disk.len() >= memory.len().min(bytes))
}

/// The end of a log file, and of the one before it where it alone does not hold that much.
fn newest_of_files(path: &Path, bytes: usize) -> io::Result<Vec<u8>> {
    let newest = end_of_file(path, bytes)?;
    if newest.len() >= bytes {
        return Ok(newest);
    }
    let mut before = path.as_os_str().to_owned();
    before.push(".1");
    let mut both = end_of_file(before.as_ref(), bytes - newest.len()).unwrap_or_default();
    both.extend_from_slice(&newest);
    Ok(both)
}

fn end_of_file(path: &Path, bytes: usize) -> io::Result<Vec<u8>> {
    let file = guarded_path::open(path, Access::Read)?;
    let length = file.metadata()?.len();
    let count = length.min(bytes as u64);
    let mut buffer = vec![0; usize::try_from(count).unwrap_or(bytes)];
    file.read_exact_at(&mut buffer, length - count)?;
    Ok(buffer)
}
