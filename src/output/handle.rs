//! A log file as the reading thread sees it: a queue that never waits.
//!
//! The bounds: [`QUEUE`] bytes wait for a file. Where they are reached, the reader leaves the pipe alone, so that
//! a child that is faster than the disk is slowed and nothing is lost. When the disk has not got on with anything
//! for [`STALLED`], the child matters more: its pipe is read again, the oldest of what waits is dropped,
//! counted and said once, and the newest is written when the disk answers.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;

use super::desk::{Desk, Notify, Place};
use super::file::{LogFile, Rules};
use super::incident::Report;
use super::{Note, ProgramId, StreamKind};

/// What waits for a file at most, in bytes: enough that reading and writing need not take turns. Nothing is allocated
/// before it is needed, nor kept.
pub(super) const QUEUE: usize = 1024 * 1024;
/// What waits for all files together, in bytes, before each of them gets no more than [`SMALL`]: a disk with the logs of a
/// thousand programs may hang.
const BUDGET: usize = 16 * 1024 * 1024;
/// A disk that got on with nothing for so long does not hold up a child any more.
const STALLED: Duration = Duration::from_secs(2);
/// A file that got on with nothing for so long is not asked for its end, nor emptied: that would keep others waiting.
const SLOW: Duration = Duration::from_millis(250);
/// Less than this is copied behind what waits already, in bytes; more changes hands without a copy.
const SMALL: usize = 16 * 1024;

/// Whose output it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Origin {
    pub program: ProgramId,
    pub stream: StreamKind,
}

impl Origin {
    /// What the daemon is told.
    pub fn note(self, report: Report) -> Note {
        let Origin { program, stream } = self;
        match report {
            Report::Trouble(text) => Note::Trouble { program, stream, text },
            Report::Recovered(lost_bytes) => Note::Recovered { program, stream, lost_bytes },
        }
    }
}

enum Job {
    Write { origin: Origin, bytes: Vec<u8>, length: usize },
    Call(Box<dyn FnOnce(&mut LogFile) + Send>),
}

/// A log file, its queue, and what was asked for meanwhile.
pub(super) struct Handle {
    path: Arc<Path>,
    desk: Arc<Desk>,
    slot: Mutex<Slot>,
}

struct Slot {
    /// `None` while a writer works on it.
    file: Option<LogFile>,
    jobs: VecDeque<Job>,
    /// Bytes in the jobs, and in the one that is being done.
    pending: usize,
    /// It waits for a writer or has one.
    queued: bool,
    /// When the last job was done, or the first one came.
    progress: Instant,
    /// Bytes dropped since this stall began.
    dropped: u64,
    /// The reader wants to be woken when there is room.
    reader_waits: bool,
    /// For whom to open the file even if there is nothing to write, and whether to do so anew.
    open_for: Option<Origin>,
    reopen: bool,
    rules: Option<Rules>,
    device: Option<u64>,
}

impl Handle {
    /// A file that nothing was asked of yet.
    pub fn new(desk: &Arc<Desk>, path: Arc<Path>, rules: Rules, now: Instant) -> Handle {
        let file = LogFile::new(Arc::clone(&path), rules, now);
        let slot = Slot {
            file: Some(file),
            jobs: VecDeque::new(),
            pending: 0,
            queued: false,
            progress: now,
            dropped: 0,
            reader_waits: false,
            open_for: None,
            reopen: false,
            rules: None,
            device: None,
        };
        Handle { path, desk: Arc::clone(desk), slot: Mutex::new(slot) }
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the file under these rules unless it is open, so that a wrong path is known before there is output.
    pub fn prepare(self: &Arc<Self>, now: Instant, origin: Origin, rules: Rules) {
        let mut slot = self.lock();
        slot.rules = Some(rules);
        slot.open_for = Some(origin);
        self.call_writer(now, slot);
    }

    /// Closes the file and opens its path anew.
    pub fn reopen(self: &Arc<Self>, now: Instant, origin: Origin) {
        let mut slot = self.lock();
        slot.reopen = true;
        slot.open_for = Some(origin);
        self.call_writer(now, slot);
    }

    /// Queues the first `count` bytes of `buffer`. The buffer may be another one afterwards, of the same size.
    pub fn append(self: &Arc<Self>, now: Instant, origin: Origin, buffer: &mut Vec<u8>, count: usize) {
        let mut slot = self.lock();
        let limit = self.limit();
        if slot.pending + count > limit && slot.is_without_progress(now, STALLED) {
            let first = slot.dropped == 0;
            self.desk.add_waiting(-signed(slot.drop_oldest(limit.saturating_sub(count))));
            if first && slot.dropped > 0 {
                let seconds = now.duration_since(slot.progress).as_secs();
                let text = format!(
                    "{} does not answer since {seconds} seconds; what does not fit into {} KB is lost until it does",
                    self.path.display(),
                    limit / 1024
                );
                self.desk.notify(origin.note(Report::Trouble(text)));
            }
        }
        slot.pending += count;
        self.desk.add_waiting(signed(count));
        let data = buffer.get(..count).unwrap_or_default();
        match slot.jobs.back_mut() {
            Some(Job::Write { origin: last, bytes, length })
                if count < SMALL && *last == origin && *length + count <= 4 * SMALL =>
            {
                bytes.truncate(*length);
                bytes.extend_from_slice(data);
                *length += count;
            }
            Some(_) | None if count < SMALL => {
                slot.jobs.push_back(Job::Write { origin, bytes: data.to_vec(), length: count });
            }
            Some(_) | None => {
                let bytes = std::mem::replace(buffer, self.desk.block());
                slot.jobs.push_back(Job::Write { origin, bytes, length: count });
            }
        }
        self.call_writer(now, slot);
    }

    /// `true` while the reader should leave the pipes alone: the queue is full, but moves. It is woken up when there is
    /// room.
    pub fn should_pause(&self, now: Instant) -> bool {
        let mut slot = self.lock();
        slot.reader_waits = slot.pending >= self.limit() && !slot.is_without_progress(now, STALLED);
        slot.reader_waits
    }

    /// Drops `done` when all that is queued now has been written, at once if the disk does not answer. Never waits.
    pub fn when_written<T: Send + 'static>(&self, now: Instant, done: T) {
        let mut slot = self.lock();
        if slot.queued && !slot.is_without_progress(now, SLOW) {
            slot.jobs.push_back(Job::Call(Box::new(move |_| drop(done))));
        }
    }

    /// Does something with the file after all that is queued and waits for the answer; `None` where the disk is too
    /// slow for that. Waits at most a quarter of a second, and not at all for a disk that is known not to answer.
    pub fn call<T: Send + 'static>(
        self: &Arc<Self>,
        now: Instant,
        work: impl FnOnce(&mut LogFile) -> T + Send + 'static,
    ) -> Option<T> {
        let mut slot = self.lock();
        if slot.queued && slot.is_without_progress(now, SLOW) {
            return None;
        }
        let (reply, answer) = bounded(1);
        slot.jobs.push_back(Job::Call(Box::new(move |file| drop(reply.send(work(file))))));
        self.call_writer(now, slot);
        answer.recv_timeout(SLOW).ok()
    }

    fn call_writer(self: &Arc<Self>, now: Instant, mut slot: MutexGuard<'_, Slot>) {
        if !slot.queued {
            slot.queued = true;
            slot.progress = now;
            let place = self.place(&slot);
            drop(slot);
            self.desk.submit(place, Arc::clone(self));
        }
    }

    fn place(&self, slot: &Slot) -> Place {
        match slot.device {
            Some(device) => Place::Device(device),
            None => Place::Directory(self.path.parent().unwrap_or(&self.path).to_owned()),
        }
    }

    /// Does the next job, on a writer. Where to go on if there are more.
    pub fn work_once(&self) -> Option<Place> {
        let mut slot = self.lock();
        let file = slot.file.take();
        let (rules, reopen, open_for) = (slot.rules.take(), std::mem::take(&mut slot.reopen), slot.open_for.take());
        let job = slot.jobs.pop_front();
        drop(slot);
        let mut done = 0;
        let file = file.map(|mut file| {
            if let Some(rules) = rules {
                file.set_rules(rules);
            }
            if let Some(origin) = open_for {
                let report = &mut |report| self.desk.notify(origin.note(report));
                if reopen {
                    file.reopen(Instant::now(), report);
                } else {
                    file.open(Instant::now(), report);
                }
            }
            match job {
                Some(Job::Write { origin, bytes, length }) => {
                    let data = bytes.get(..length).unwrap_or(&bytes);
                    file.write(Instant::now(), data, &mut |report| self.desk.notify(origin.note(report)));
                    done = length;
                    self.desk.give_back(bytes);
                }
                Some(Job::Call(work)) => work(&mut file),
                None if self.desk.is_closed() => file.stop_packing(),
                None => {
                    let _ = file.pack();
                }
            }
            file
        });
        self.put_back(file, done)
    }

    fn put_back(&self, mut file: Option<LogFile>, done: usize) -> Option<Place> {
        let mut slot = self.lock();
        slot.pending -= done;
        self.desk.add_waiting(-signed(done));
        let dropped = std::mem::take(&mut slot.dropped);
        if dropped > 0
            && let Some(file) = &mut file
        {
            // What waited for the end of the stall is written next, and tells that it is over.
            file.add_lost(slot.progress, dropped);
        }
        slot.progress = Instant::now();
        slot.device = file.as_ref().and_then(LogFile::device).or(slot.device);
        let wants_to_pack = file.as_ref().is_some_and(LogFile::wants_to_pack) && !self.desk.is_closed();
        slot.file = file;
        slot.queued = !slot.jobs.is_empty() || slot.reopen || slot.open_for.is_some() || wants_to_pack;
        let wake = slot.reader_waits && slot.pending <= self.limit() / 2;
        slot.reader_waits &= !wake;
        let more = slot.queued.then(|| self.place(&slot));
        drop(slot);
        if wake {
            self.desk.wake_reader();
        }
        more
    }

    /// What may wait for this file now, in bytes.
    fn limit(&self) -> usize {
        if self.desk.waiting() < BUDGET { QUEUE } else { SMALL }
    }

    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    fn is_without_progress(&self, now: Instant, time: Duration) -> bool {
        self.queued && now.saturating_duration_since(self.progress) >= time
    }

    /// Leaves at most `rest` bytes, as far as what waits can make room; returns how much went.
    fn drop_oldest(&mut self, rest: usize) -> usize {
        let before = self.pending;
        while self.pending > rest {
            let Some(at) = self.jobs.iter().position(|job| matches!(job, Job::Write { .. })) else { break };
            if let Some(Job::Write { length, .. }) = self.jobs.remove(at) {
                self.pending -= length;
                self.dropped += length as u64;
            }
        }
        before - self.pending
    }
}

fn signed(bytes: usize) -> isize {
    isize::try_from(bytes).unwrap_or(isize::MAX)
}

/// Tells a note when the last copy of it is dropped.
pub(super) struct TellAtEnd {
    note: Option<Note>,
    notify: Notify,
}

impl TellAtEnd {
    /// For all whose end is waited for.
    pub fn new(note: Note, notify: Notify) -> Arc<TellAtEnd> {
        Arc::new(TellAtEnd { note: Some(note), notify })
    }
}

impl Drop for TellAtEnd {
    fn drop(&mut self) {
        if let Some(note) = self.note.take() {
            (self.notify)(note);
        }
    }
}
