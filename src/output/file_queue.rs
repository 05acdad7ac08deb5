//! A log file as the reading thread sees it: a queue that never waits.
//!
//! At most [`QUEUE_BYTES`] wait for a file. At this bound the reader leaves the pipe alone, so that a child that is
//! faster than the disk is slowed down and nothing is lost. When the disk has not finished anything for
//! [`STALLED_AFTER`] (see [`Progress`]), the child matters more: its pipe is read again, the oldest
//! waiting output is dropped, counted and reported once, and the newest is written when the disk answers.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::file::{LogFile, Rules};
use super::messages::{Note, OutputTroubleKind, ProgramId, StreamKind};
use super::outage::Report;
use super::request::Request;
use super::writer_pool::{Notify, Place, Work, WriterPool};
use crate::models::{OutputRecovery, RecoveryCause};
use crate::util::plural::counted;
use crate::util::progress::Progress;

/// What waits for one file at most: enough that reading and writing need not alternate. Nothing is allocated before it
/// is needed, nor kept.
pub(super) const QUEUE_BYTES: usize = 1024 * 1024;
/// What waits for all files together before each of them gets no more than [`SMALL_BYTES`]: a disk with the logs of a
/// thousand programs may hang.
const ALL_QUEUES_BYTES: usize = 16 * 1024 * 1024;
/// A disk that has finished nothing for so long does not hold up a child any more.
const STALLED_AFTER: Duration = Duration::from_secs(2);
/// A disk that has finished nothing for so long is given no more requests: they are answered without it.
const SLOW_AFTER: Duration = Duration::from_millis(250);
/// Less than this is copied behind what waits already; more changes hands without a copy.
const SMALL_BYTES: usize = 16 * 1024;

/// After so many jobs a slice of a rotated file is compressed even if more jobs wait: a program that always has
/// something to write would otherwise never have its files compressed.
const COMPRESS_EVERY_JOBS: u32 = 8;

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
            Report::Trouble { kind, reason } => Note::Trouble { program, stream, kind, reason },
            Report::Recovered(recovery) => Note::Recovered { program, stream, recovery },
        }
    }
}

enum Job {
    Write {
        origin: Origin,
        bytes: Vec<u8>,
        length: usize,
    },
    Perform(Request),
    /// A stream goes elsewhere from now on.
    Leave {
        origin: Origin,
    },
    /// The note is told when this is dropped.
    Tell {
        _note: Arc<TellAtEnd>,
    },
}

/// A log file, its queue, and what was asked for meanwhile.
pub(super) struct FileQueue {
    path: Arc<Path>,
    pool: Arc<WriterPool>,
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
    progress: Progress,
    /// Bytes dropped since this stall began.
    dropped: u64,
    /// That it has stalled was told.
    is_late: bool,
    /// The reader wants to be woken when there is room.
    reader_waits: bool,
    /// For whom to open the file even if there is nothing to write, and whether to do so anew.
    open_for: Option<Origin>,
    reopen: bool,
    rules: Option<Rules>,
    device: Option<u64>,
    /// Who was told of which trouble, and not yet that it is over: others may write when it is.
    told: Vec<(Origin, OutputTroubleKind)>,
    /// It is the console, which is told where a line has no end.
    is_console: bool,
    /// Jobs that were done since something was compressed.
    jobs_since_compression: u32,
    wants_to_compress: bool,
}

impl FileQueue {
    /// A file that nothing was asked of yet.
    pub fn new(pool: &Arc<WriterPool>, path: Arc<Path>, rules: Rules, now: Instant) -> FileQueue {
        let file = LogFile::new(Arc::clone(&path), rules, now);
        let slot = Slot {
            file: Some(file),
            jobs: VecDeque::new(),
            pending: 0,
            queued: false,
            progress: Progress::begin(now),
            dropped: 0,
            is_late: false,
            reader_waits: false,
            open_for: None,
            reopen: false,
            rules: None,
            device: None,
            told: Vec::new(),
            is_console: false,
            jobs_since_compression: 0,
            wants_to_compress: false,
        };
        FileQueue { path, pool: Arc::clone(pool), slot: Mutex::new(slot) }
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens what the path means now, under these rules: see [`LogFile::open`].
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
        if slot.pending + count > limit && slot.is_stalled(now) {
            let first = slot.dropped == 0;
            self.pool.add_waiting(-signed(slot.drop_oldest(limit.saturating_sub(count))));
            if first && slot.dropped > 0 {
                let seconds = counted(slot.progress.idle_for(now).as_secs(), "second");
                let reason = format!(
                    "{} has not answered for {seconds}; what does not fit into {} KB is lost until it does",
                    self.path.display(),
                    limit / 1024
                );
                slot.report(&self.pool, origin, Report::Trouble { kind: OutputTroubleKind::Write, reason });
            }
        } else if !slot.is_late && slot.dropped == 0 && slot.is_stalled(now) {
            slot.is_late = true;
            let seconds = counted(slot.progress.idle_for(now).as_secs(), "second");
            let path = self.path.display();
            let reason = format!("{path} has not answered for {seconds}; up to {} KB of it are kept", limit / 1024);
            slot.report(&self.pool, origin, Report::Trouble { kind: OutputTroubleKind::Stall, reason });
        }
        slot.pending += count;
        self.pool.add_waiting(signed(count));
        let data = buffer.get(..count).unwrap_or_default();
        match slot.jobs.back_mut() {
            Some(Job::Write { origin: last, bytes, length })
                if count < SMALL_BYTES && *last == origin && *length + count <= 4 * SMALL_BYTES =>
            {
                bytes.truncate(*length);
                bytes.extend_from_slice(data);
                *length += count;
            }
            Some(_) | None if count < SMALL_BYTES => {
                slot.jobs.push_back(Job::Write { origin, bytes: data.to_vec(), length: count });
            }
            Some(_) | None => {
                let bytes = std::mem::replace(buffer, self.pool.block());
                slot.jobs.push_back(Job::Write { origin, bytes, length: count });
            }
        }
        self.call_writer(now, slot);
    }

    /// `true` while the reader should leave the pipes alone: the queue is full, but moves. It is woken up when there is
    /// room.
    pub fn should_pause(&self, now: Instant) -> bool {
        let mut slot = self.lock();
        slot.reader_waits = slot.pending >= self.limit() && !slot.is_stalled(now);
        slot.reader_waits
    }

    /// What the end of the process takes with it: bytes that wait, or that had to be dropped and were not told yet.
    pub fn unwritten(&self) -> u64 {
        let slot = self.lock();
        slot.dropped + slot.pending as u64
    }

    /// Tells the note when all that is queued now has been written, at once if the disk does not answer. Never waits.
    pub fn when_written(self: &Arc<Self>, now: Instant, note: Arc<TellAtEnd>) {
        let mut slot = self.lock();
        if (slot.queued || slot.is_console) && !slot.is_without_progress(now, SLOW_AFTER) {
            slot.jobs.push_back(Job::Tell { _note: note });
            self.call_writer(now, slot);
        }
    }

    /// The stream goes elsewhere from now on: what troubles it here is over for it once all that is queued is done.
    pub fn leave(self: &Arc<Self>, now: Instant, origin: Origin) {
        let mut slot = self.lock();
        slot.jobs.push_back(Job::Leave { origin });
        self.call_writer(now, slot);
    }

    /// Has a writer perform the request after all that is queued; `false` where the disk is known not to answer. Never
    /// waits: the caller gives the request up when its time is up.
    pub fn request(self: &Arc<Self>, now: Instant, request: Request) -> bool {
        let mut slot = self.lock();
        if slot.is_without_progress(now, SLOW_AFTER) {
            return false;
        }
        slot.jobs.push_back(Job::Perform(request));
        self.call_writer(now, slot);
        true
    }

    fn call_writer(self: &Arc<Self>, now: Instant, mut slot: MutexGuard<'_, Slot>) {
        if !slot.queued {
            slot.queued = true;
            slot.progress.note(now);
            let place = self.place(&slot);
            drop(slot);
            self.pool.submit(place, Arc::clone(self) as Arc<dyn Work>);
        }
    }

    fn place(&self, slot: &Slot) -> Place {
        match slot.device {
            Some(device) => Place::Device(device),
            None => Place::Directory(self.path.parent().unwrap_or(&self.path).to_owned()),
        }
    }

    fn open_if_asked(&self, file: &mut LogFile, open_for: Option<Origin>, reopen: bool) {
        let Some(origin) = open_for else { return };
        let report = &mut |report| self.report(origin, report);
        if reopen {
            file.reopen(Instant::now(), report);
        } else {
            file.open(Instant::now(), report);
        }
    }

    fn perform(&self, file: &mut LogFile, job: Option<Job>) {
        match job {
            Some(Job::Write { origin, bytes, length }) => {
                let data = bytes.get(..length).unwrap_or(&bytes);
                file.write(Instant::now(), data, &mut |report| self.report(origin, report));
                self.pool.give_back(bytes);
            }
            Some(Job::Perform(request)) => request.perform(file),
            Some(Job::Leave { origin }) => self.leave_file(file, origin),
            Some(Job::Tell { .. }) => file.end_line(),
            None if self.pool.is_closed() => file.stop_compression(),
            None => {
                let _ = file.compress_step();
            }
        }
    }

    /// Others that stay are told of what troubles the file when they write.
    fn leave_file(&self, file: &mut LogFile, origin: Origin) {
        let was_told = |told: &(Origin, OutputTroubleKind)| told.0 == origin;
        if !self.lock().told.iter().any(was_told) {
            return;
        }
        file.leave(&mut |report| self.report(origin, report));
        // Of a disk that did not answer the file knows nothing.
        let mut slot = self.lock();
        for (_, kind) in slot.told.extract_if(.., |told| was_told(told)) {
            let recovery = OutputRecovery { kind, cause: RecoveryCause::Moved, lost_bytes: 0 };
            self.pool.notify(origin.note(Report::Recovered(recovery)));
        }
    }

    fn report(&self, origin: Origin, report: Report) {
        self.lock().report(&self.pool, origin, report);
    }

    fn put_back(&self, mut file: Option<LogFile>, done: usize) -> Option<Place> {
        let mut slot = self.lock();
        slot.pending -= done;
        self.pool.add_waiting(-signed(done));
        let dropped = std::mem::take(&mut slot.dropped);
        if dropped > 0
            && let Some(file) = &mut file
        {
            // What waited for the end of the stall is written next, and tells that it is over.
            file.add_lost(slot.progress.at(), dropped);
        }
        slot.end_stall(&self.pool);
        slot.progress.note(Instant::now());
        slot.is_console = file.as_ref().is_some_and(LogFile::is_console);
        slot.device = file.as_ref().and_then(LogFile::device).or(slot.device);
        let wants_to_compress = file.as_ref().is_some_and(LogFile::wants_to_compress) && !self.pool.is_closed();
        slot.wants_to_compress = wants_to_compress;
        slot.file = file;
        slot.queued = !slot.jobs.is_empty() || slot.reopen || slot.open_for.is_some() || wants_to_compress;
        let wake = slot.reader_waits && slot.pending <= self.limit() / 2;
        slot.reader_waits &= !wake;
        let more = slot.queued.then(|| self.place(&slot));
        drop(slot);
        if wake {
            self.pool.wake_reader();
        }
        more
    }

    /// What may wait for this file now, in bytes.
    fn limit(&self) -> usize {
        if self.pool.waiting() < ALL_QUEUES_BYTES { QUEUE_BYTES } else { SMALL_BYTES }
    }

    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Work for FileQueue {
    fn work_once(&self) -> Option<Place> {
        let mut slot = self.lock();
        let file = slot.file.take();
        let (rules, reopen, open_for) = (slot.rules.take(), std::mem::take(&mut slot.reopen), slot.open_for.take());
        let job = if slot.is_turn_of_compression() { None } else { slot.jobs.pop_front() };
        drop(slot);
        let done = match &job {
            Some(Job::Write { length, .. }) => *length,
            Some(Job::Perform(_) | Job::Leave { .. } | Job::Tell { .. }) | None => 0,
        };
        let file = file.map(|mut file| {
            let work = || {
                if let Some(rules) = rules {
                    file.set_rules(rules);
                }
                self.open_if_asked(&mut file, open_for, reopen);
                self.perform(&mut file, job);
            };
            if catch_unwind(AssertUnwindSafe(work)).is_err() {
                log::error!(
                    "{}: an internal error of supervice (a panic), please report it; some of this log is lost",
                    self.path.display()
                );
                // Whatever it was in the middle of: the next job opens it anew.
                file = file.renewed(Instant::now());
                file.add_lost(Instant::now(), done as u64);
            }
            file
        });
        self.put_back(file, done)
    }
}

impl Slot {
    /// Tells of a trouble whoever met it, and of its end whoever was told of it.
    fn report(&mut self, pool: &WriterPool, origin: Origin, report: Report) {
        match report {
            Report::Trouble { kind, .. } => {
                self.told.retain(|told| *told != (origin, kind));
                self.told.push((origin, kind));
                pool.notify(origin.note(report));
            }
            Report::Recovered(recovery) => {
                let told: Vec<_> = self.told.extract_if(.., |(_, kind)| *kind == recovery.kind).collect();
                let first = told.first().map_or(origin, |(told, _)| *told);
                pool.notify(first.note(report));
                for (told, _) in told.into_iter().skip(1) {
                    pool.notify(told.note(Report::Recovered(OutputRecovery { lost_bytes: 0, ..recovery })));
                }
            }
        }
    }

    /// Something is done: whoever was told of a stall is told that it is over.
    fn end_stall(&mut self, pool: &WriterPool) {
        if !std::mem::take(&mut self.is_late) {
            return;
        }
        let kind = OutputTroubleKind::Stall;
        if let Some((origin, _)) = self.told.iter().find(|(_, told)| *told == kind).copied() {
            let recovery = OutputRecovery { kind, cause: RecoveryCause::Works, lost_bytes: 0 };
            self.report(pool, origin, Report::Recovered(recovery));
        }
    }

    fn is_turn_of_compression(&mut self) -> bool {
        self.jobs_since_compression = self.jobs_since_compression.saturating_add(1);
        let is_turn = self.wants_to_compress && self.jobs_since_compression > COMPRESS_EVERY_JOBS;
        if is_turn || self.jobs.is_empty() {
            self.jobs_since_compression = 0;
        }
        is_turn
    }

    fn is_without_progress(&self, now: Instant, time: Duration) -> bool {
        self.queued && self.progress.idle_for(now) >= time
    }

    /// The child matters more than what waits. Asked as often as the reader looks at a full queue.
    fn is_stalled(&mut self, now: Instant) -> bool {
        self.queued && self.progress.has_stalled(now, STALLED_AFTER)
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
