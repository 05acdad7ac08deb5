//! Whole lines on their way to a thread that writes them: bounded in bytes, never waited for.

use std::cell::Cell;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::util::progress::Progress;

/// Above this many waiting bytes a producer that can hold back its source should do so.
pub(crate) const SOFT_LIMIT_BYTES: usize = 256 * 1024;
/// Above this many waiting bytes lines are dropped and counted.
pub(crate) const HARD_LIMIT_BYTES: usize = 1024 * 1024;
/// A buffer that has grown beyond this is given back when it has been written.
const KEEP_CAPACITY_BYTES: usize = 16 * 1024;

/// So long after a batch the next one is gathered: in a burst neither the producer nor the consumer is to do something
/// for each line. A line that comes after a rest is written at once.
const GATHERING: Duration = Duration::from_millis(2);
/// A wake-up is deferred for no longer than this: the start of thousands of programs is one turn.
const MAX_DEFERRAL: Duration = Duration::from_millis(5);
/// With so many bytes a batch is large enough.
const LARGE_BATCH_BYTES: usize = 16 * 1024;

/// When a producer wakes the consumer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wakes {
    AtOnce,
    Later,
    /// A consumer waits for that.
    Owed,
}

thread_local! {
    static WAKES: Cell<Wakes> = const { Cell::new(Wakes::AtOnce) };
}

/// Consumers are not to be woken by this thread until [`resume_wakes`].
pub(super) fn defer_wakes() {
    WAKES.set(Wakes::Later);
}

/// Consumers are woken at once again; whether one was to be woken meanwhile.
pub(super) fn resume_wakes() -> bool {
    WAKES.replace(Wakes::AtOnce) == Wakes::Owed
}

/// Whether the consumer is to be woken later; it is then owed that.
fn is_deferred() -> bool {
    let is_deferred = WAKES.get() != Wakes::AtOnce;
    if is_deferred {
        WAKES.set(Wakes::Owed);
    }
    is_deferred
}

/// What waits to be written.
#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    /// Lines dropped at the limit since the last batch.
    lost: u64,
    /// Bytes of the batch that is being written.
    in_flight: usize,
    /// When the consumer last finished something (or was given its first bytes).
    progress: Option<Progress>,
    reopen: bool,
    /// When the last batch was taken.
    taken: Option<Instant>,
    /// Somebody waits for the end of what is there: nothing is gathered.
    hurries: bool,
    /// The consumer sleeps until there is a line. Otherwise it looks for itself, as soon as it has gathered or written.
    awaits_first: bool,
    /// Since then there is a first line that the consumer was not woken for yet.
    owes_wake: Option<Instant>,
    /// There is no consumer.
    is_abandoned: bool,
    /// Since then nothing has been written, and a flush has given up for that: the next one need not wait for it again.
    given_up: Option<Instant>,
}

impl Waiting {
    /// Whether this thread is to wake the consumer for a line that it has added. Who defers nothing wakes it for others, too.
    fn is_wake_due(&mut self, was_empty: bool) -> bool {
        let is_awaited = was_empty && self.awaits_first;
        match self.owes_wake {
            None if !is_awaited => false,
            Some(since) => !is_deferred() || since.elapsed() >= MAX_DEFERRAL,
            None if is_deferred() => {
                self.owes_wake = Some(Instant::now());
                false
            }
            None => true,
        }
    }

    /// How long the next batch is gathered at most.
    fn gathering(&self) -> Duration {
        if self.hurries || self.reopen || self.bytes.len() >= LARGE_BATCH_BYTES {
            return Duration::ZERO;
        }
        self.taken.map_or(Duration::ZERO, |taken| GATHERING.saturating_sub(taken.elapsed()))
    }
}

/// A queue of whole lines with any number of producers and one consumer. A producer holds its lock
/// only to copy a line, never while something is written.
#[derive(Default)]
pub(crate) struct LineQueue {
    waiting: Mutex<Waiting>,
    filled: Condvar,
    emptied: Condvar,
}

/// What a consumer is to write next.
pub(crate) struct Batch {
    /// Whole lines.
    pub bytes: Vec<u8>,
    /// How many lines were dropped after these.
    pub lost: u64,
    /// Open the file anew first.
    pub reopen: bool,
}

impl LineQueue {
    /// Adds one line made of `parts`, and a newline; drops and counts it at the limit.
    pub fn push(&self, parts: &[&[u8]]) -> bool {
        let length = parts.iter().map(|part| part.len()).sum::<usize>() + 1;
        let mut waiting = self.lock();
        if waiting.is_abandoned || waiting.bytes.len() + length > HARD_LIMIT_BYTES {
            waiting.lost += 1;
            return false;
        }
        let was_empty = waiting.bytes.is_empty();
        let was_large = waiting.bytes.len() >= LARGE_BATCH_BYTES;
        if was_empty && waiting.in_flight == 0 {
            waiting.progress = Some(Progress::begin(Instant::now()));
        }
        for part in parts {
            waiting.bytes.extend_from_slice(part);
        }
        waiting.bytes.push(b'\n');
        let is_large = !was_large && waiting.bytes.len() >= LARGE_BATCH_BYTES;
        let wakes = is_large || waiting.is_wake_due(was_empty);
        if wakes {
            waiting.owes_wake = None;
        }
        drop(waiting);
        if wakes {
            self.filled.notify_one();
        }
        true
    }

    /// Wakes the consumer, if that was deferred.
    pub fn wake_deferred(&self) {
        let owed = self.lock().owes_wake.take();
        if owed.is_some() {
            self.filled.notify_one();
        }
    }

    /// Has the consumer write what is there at once. It is woken without the lock, which it takes first.
    fn hurry(&self) {
        self.lock().hurries = true;
        self.filled.notify_one();
    }

    /// Whether the consumer sleeps until there is a line.
    #[cfg(test)]
    pub fn is_awaited(&self) -> bool {
        self.lock().awaits_first
    }

    /// Asks the consumer to open its file anew.
    pub fn request_reopen(&self) {
        self.lock().reopen = true;
        self.filled.notify_one();
    }

    /// `true` while more than [`SOFT_LIMIT_BYTES`] bytes wait.
    pub fn is_busy(&self) -> bool {
        self.lock().bytes.len() > SOFT_LIMIT_BYTES
    }

    /// Whether the consumer has written nothing for `limit` although something waits. To be asked again and again for
    /// as long as it matters.
    pub fn has_stalled(&self, now: Instant, limit: Duration) -> bool {
        let mut waiting = self.lock();
        let has_work = !waiting.bytes.is_empty() || waiting.in_flight > 0;
        has_work && waiting.progress.as_mut().is_some_and(|progress| progress.has_stalled(now, limit))
    }

    /// For the consumer: waits for the next lines. `done` is the buffer of the last batch, for reuse.
    pub fn next(&self, mut done: Vec<u8>) -> Batch {
        if done.capacity() > KEEP_CAPACITY_BYTES {
            done = Vec::new();
        }
        done.clear();
        let mut waiting = self.lock();
        waiting.in_flight = 0;
        waiting.progress = Some(Progress::begin(Instant::now()));
        if waiting.bytes.is_empty() {
            self.emptied.notify_all();
        }
        waiting.awaits_first = true;
        while waiting.bytes.is_empty() && waiting.lost == 0 && !waiting.reopen {
            waiting = self.filled.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        waiting.awaits_first = false;
        loop {
            let left = waiting.gathering();
            if left.is_zero() {
                break;
            }
            waiting = self.filled.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        waiting.taken = Some(Instant::now());
        waiting.in_flight = waiting.bytes.len();
        Batch {
            bytes: std::mem::replace(&mut waiting.bytes, done),
            lost: std::mem::take(&mut waiting.lost),
            reopen: std::mem::take(&mut waiting.reopen),
        }
    }

    /// For the consumer: some of the batch was written.
    pub fn progressed(&self) {
        self.lock().progress = Some(Progress::begin(Instant::now()));
    }

    /// Waits until everything has been written, at most until `deadline`; whether it was.
    pub fn flush(&self, deadline: Instant) -> bool {
        self.hurry();
        let mut waiting = self.lock();
        while !waiting.bytes.is_empty() || waiting.in_flight > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            waiting = self.emptied.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        waiting.hurries = false;
        waiting.bytes.is_empty() && waiting.in_flight == 0
    }

    /// The same for a consumer that may hang: gives up when it has written nothing for `patience` since `begin`.
    pub fn flush_while_it_moves(&self, begin: Instant, patience: Duration, deadline: Instant) -> bool {
        self.hurry();
        let mut waiting = self.lock();
        let is_written = loop {
            if waiting.bytes.is_empty() && waiting.in_flight == 0 {
                break true;
            }
            let written = waiting.progress.as_ref().map_or(begin, Progress::at);
            let end = deadline.min(written.max(begin) + patience);
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || waiting.is_abandoned || waiting.given_up == Some(written) {
                waiting.given_up = Some(written);
                break false;
            }
            waiting = self.emptied.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0;
        };
        waiting.hurries = false;
        is_written
    }

    /// Nobody will ever write what is there: nobody is to wait for it, and nothing is added.
    pub fn abandon(&self) {
        let mut waiting = self.lock();
        waiting.is_abandoned = true;
        self.emptied.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
