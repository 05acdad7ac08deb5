//! The threads that read and write log files; they exist while there is work.
//!
//! The thread that reads the pipes never touches a disk, because a disk may stop answering (NFS, a dying
//! card, a frozen file system), and no timeout interrupts such a call. So each file has a queue
//! (see [`Work`]), and writers take the files whose queues are not empty. Two rules make a disk that hangs
//! harmless to others:
//!
//! - a file system has at most one writer at a time: what hangs holds one thread, not one for each file;
//! - a file that may be worked on never waits for a writer that is busy elsewhere: another one is started, one for each
//!   such file system, however many files have work there.
//!
//! In the ordinary case, all logs on one disk, this is one thread, which ends when nothing was written for
//! [`WRITER_IDLE_LIMIT`]. Nothing watches anybody, so nothing wakes up to watch.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mio::Waker;

use crate::util::thread;

use super::messages::Note;

/// How long a writer without work stays alive.
const WRITER_IDLE_LIMIT: Duration = Duration::from_secs(5);
/// Writers at most: so many file systems (or directories whose file system is not known yet) may hang before others
/// have to wait. What waits is bounded and counted like all that can't be written.
const MAX_WRITERS: usize = 64;

/// The size of the blocks that are read and written, in bytes; also the kernel's default size of a pipe.
pub(super) const BLOCK_BYTES: usize = 64 * 1024;
/// Blocks that are kept for the next read while there are writers; more than a file's queue holds would be of no use.
const MAX_SPARE_BLOCKS: usize = 16;

/// What a writer holds while it works: no other writer starts to work there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// A file system, by the device number that the file had when it was opened.
    Device(u64),
    /// The directory of a file that was never opened: to ask for its device may already hang.
    Directory(PathBuf),
}

/// A file that has work for a writer.
pub(super) trait Work: Send + Sync {
    /// Does the next job, on a writer. Where to go on if there are more. Must not panic.
    fn work_once(&self) -> Option<Place>;
}

/// Where notes go.
pub(super) type Notify = Arc<dyn Fn(Note) + Send + Sync>;

/// The writers and what waits for them.
pub(super) struct WriterPool {
    state: Mutex<State>,
    /// An idle writer was called, or all of them must end.
    called: Condvar,
    /// A writer has ended.
    ended: Condvar,
    /// Bytes that wait for all files together.
    waiting: AtomicIsize,
    waker: Arc<Waker>,
    notify: Notify,
}

#[derive(Default)]
struct State {
    ready: VecDeque<(Place, Arc<dyn Work>)>,
    busy: Vec<Place>,
    writers: usize,
    idle: usize,
    /// Calls that no idle writer has taken yet; who calls has taken it off `idle`.
    calls: usize,
    /// The last writer that was wanted could not be started.
    is_short: bool,
    closed: bool,
    spares: Vec<Vec<u8>>,
}

impl State {
    /// A writer works there, or is on its way to a file there.
    fn has_writer(&self, place: &Place) -> bool {
        self.busy.contains(place) || (!self.is_short && self.ready.iter().any(|(other, _)| other == place))
    }

    /// There are more places to work at than writers that are about to look for one: who was called or started, and who
    /// has just ended a job.
    fn lacks_writer(&self) -> bool {
        let coming = self.writers.saturating_sub(self.idle + self.busy.len());
        let mut places: Vec<&Place> = Vec::new();
        for (place, _) in &self.ready {
            if !self.busy.contains(place) && !places.contains(&place) {
                places.push(place);
                if places.len() > coming {
                    return true;
                }
            }
        }
        false
    }

    fn eligible(&self) -> Option<usize> {
        self.ready.iter().position(|(place, _)| !self.busy.contains(place))
    }
}

impl WriterPool {
    /// No writers yet. `waker` wakes the thread that reads.
    pub fn new(waker: Arc<Waker>, notify: Notify) -> Arc<WriterPool> {
        Arc::new(WriterPool {
            state: Mutex::default(),
            called: Condvar::new(),
            ended: Condvar::new(),
            waiting: AtomicIsize::new(0),
            waker,
            notify,
        })
    }

    /// Tells the daemon.
    pub fn notify(&self, note: Note) {
        (self.notify)(note);
    }

    /// Where notes go.
    pub fn notifier(&self) -> Notify {
        Arc::clone(&self.notify)
    }

    /// Bytes that wait for all files together.
    pub fn waiting(&self) -> usize {
        usize::try_from(self.waiting.load(Ordering::Relaxed)).unwrap_or(0)
    }

    /// By how many bytes the amount that waits has changed.
    pub fn add_waiting(&self, bytes: isize) {
        self.waiting.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Wakes the thread that reads.
    pub fn wake_reader(&self) {
        // Fails only after the reading thread has ended.
        let _ = self.waker.wake();
    }

    /// Has a file worked on that got its first job. Never waits.
    pub fn submit(self: &Arc<Self>, place: Place, file: Arc<dyn Work>) {
        let mut state = self.lock();
        let has_writer = state.has_writer(&place);
        state.ready.push_back((place, file));
        if !has_writer && state.lacks_writer() {
            self.call_writer(&mut state);
        }
    }

    /// Another writer is wanted.
    fn call_writer(self: &Arc<Self>, state: &mut State) {
        if state.idle > 0 {
            state.idle -= 1;
            state.calls += 1;
            self.called.notify_one();
        } else if state.writers < MAX_WRITERS {
            let pool = Arc::clone(self);
            // Without a thread the queues fill and what does not fit is counted; the next submit tries again.
            state.is_short = thread::spawn("log-writer", 128 * 1024, move || pool.work()).is_err();
            if !state.is_short {
                state.writers += 1;
            }
        }
    }

    /// Only what is queued is still written.
    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Lets the writers end what is queued and leave; waits for them at most until `deadline`.
    pub fn close(&self, deadline: Instant) {
        let mut state = self.lock();
        state.closed = true;
        self.called.notify_all();
        while state.writers > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self.ended.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// An empty block to read into: [`BLOCK_BYTES`] bytes.
    pub fn block(&self) -> Vec<u8> {
        let spare = self.lock().spares.pop();
        spare.unwrap_or_else(|| vec![0; BLOCK_BYTES])
    }

    /// Takes back what [`block`](Self::block) gave.
    pub fn give_back(&self, block: Vec<u8>) {
        let mut state = self.lock();
        if block.len() == BLOCK_BYTES && state.spares.len() < MAX_SPARE_BLOCKS {
            state.spares.push(block);
        }
    }

    fn work(self: Arc<Self>) {
        let mut state = self.lock();
        while let Some((place, file)) = self.next(state) {
            let more = file.work_once();
            // The lock is kept until the next job is there: nobody starts a writer for what this one is about to take.
            state = self.lock();
            state.busy.retain(|busy| *busy != place);
            if let Some(next) = more {
                // A file that was opened has another place than before. This writer takes one of the two.
                let is_new = next != place && !state.has_writer(&next);
                state.ready.push_back((next, file));
                if is_new && state.lacks_writer() {
                    self.call_writer(&mut state);
                }
            }
        }
        self.ended.notify_all();
    }

    /// What to work on next; `None`: leave.
    fn next(&self, mut state: MutexGuard<'_, State>) -> Option<(Place, Arc<dyn Work>)> {
        loop {
            if let Some((place, file)) = state.eligible().and_then(|at| state.ready.remove(at)) {
                state.busy.push(place.clone());
                return Some((place, file));
            }
            if state.closed {
                state.writers -= 1;
                return None;
            }
            state.idle += 1;
            let waited =
                self.called.wait_timeout_while(state, WRITER_IDLE_LIMIT, |state| state.calls == 0 && !state.closed);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            if state.calls > 0 {
                state.calls -= 1;
                continue;
            }
            state.idle -= 1;
            if !state.closed {
                state.spares = Vec::new();
                state.writers -= 1;
                return None;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
