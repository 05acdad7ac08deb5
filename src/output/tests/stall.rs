//! Disks that hang: a job that does not end stands for a call that does not return.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::ThreadId;

use crossbeam_channel::Sender;
use mio::{Poll, Waker};

use super::*;
use crate::models::{LogSync, OutputRecovery, OutputTroubleKind, RecoveryCause};
use crate::output::file::Rules;
use crate::output::file_queue::{FileQueue, Origin, QUEUE_BYTES, TellAtEnd};
use crate::output::request::{Request, Tail};
use crate::output::writer_pool::{BLOCK_BYTES, Place, Work, WriterPool};

const ORIGIN: Origin = Origin { program: 7, stream: StreamKind::Stdout };
const RULES: Rules = Rules { maxbytes: 0, backups: 0, compress: false, sync: LogSync::Never };

struct Bench {
    pool: Arc<WriterPool>,
    notes: Receiver<Note>,
    dir: TempDir,
    _poll: Poll,
}

impl Bench {
    fn new() -> Bench {
        let poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), mio::Token(0)).unwrap());
        let (sender, notes) = unbounded();
        let pool = WriterPool::new(waker, Arc::new(move |note| drop(sender.send(note))));
        Bench { pool, notes, dir: tempfile::tempdir().unwrap(), _poll: poll }
    }

    fn file(&self, name: &str) -> Arc<FileQueue> {
        let path = self.dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        Arc::new(FileQueue::new(&self.pool, Arc::from(path), RULES, Instant::now()))
    }
}

fn append(file: &Arc<FileQueue>, now: Instant, text: &str) {
    let mut buffer = text.as_bytes().to_vec();
    let count = buffer.len();
    buffer.resize(buffer.len().max(BLOCK_BYTES), 0);
    file.append(now, ORIGIN, &mut buffer, count);
}

/// From now on nothing that is done with the file ends, until the sender is dropped.
fn hang(file: &Arc<FileQueue>, now: Instant) -> Sender<()> {
    let (sender, end) = bounded::<()>(0);
    let (started, has_started) = bounded(1);
    let responder = Responder::new(move |_| {
        let _ = started.send(());
        let _ = end.recv();
    });
    assert!(file.request(now, Request::Tail(Tail::new(0, Vec::new(), responder))));
    has_started.recv_timeout(TEST_TIMEOUT).expect("a writer begins");
    sender
}

/// Whether the file's writer comes to what is queued now, in time; `None`: the disk is known not to answer.
fn answers(file: &Arc<FileQueue>, now: Instant) -> Option<()> {
    let (sender, answer) = bounded(1);
    let responder = Responder::new(move |_| sender.send(()).expect("a channel"));
    let taken = file.request(now, Request::Tail(Tail::new(0, Vec::new(), responder)));
    taken.then(|| answer.recv_timeout(TEST_TIMEOUT).expect("an answer in time"))
}

#[test]
fn what_hangs_holds_up_only_its_own_directory() {
    let bench = Bench::new();
    let hanging = bench.file("a/x");
    let end = hang(&hanging, Instant::now());
    let (neighbour, other) = (bench.file("a/y"), bench.file("b/z"));
    append(&neighbour, Instant::now(), "neighbour\n");
    append(&other, Instant::now(), "other\n");
    wait_until("the other file", || read(other.path()) == b"other\n");
    assert!(!neighbour.path().exists(), "one writer a place");
    drop(end);
    wait_until("the neighbour", || read(neighbour.path()) == b"neighbour\n");
}

/// A file with so much work, of which the first piece opens it.
struct Piecework {
    left: AtomicUsize,
    workers: Arc<Mutex<HashSet<ThreadId>>>,
}

impl Work for Piecework {
    fn work_once(&self) -> Option<Place> {
        self.workers.lock().unwrap().insert(std::thread::current().id());
        (self.left.fetch_sub(1, Ordering::Relaxed) > 1).then_some(Place::Device(1))
    }
}

#[test]
fn many_files_of_one_disk_have_one_writer_and_one_that_opens_them() {
    let bench = Bench::new();
    let workers = Arc::new(Mutex::new(HashSet::new()));
    let files: Vec<_> = (0..200)
        .map(|number| Arc::new(Piecework { left: AtomicUsize::new(1 + number % 3), workers: Arc::clone(&workers) }))
        .collect();
    for file in &files {
        bench.pool.submit(Place::Directory("/var/log".into()), Arc::clone(file) as Arc<dyn Work>);
    }
    wait_until("all is written", || files.iter().all(|file| file.left.load(Ordering::Relaxed) == 0));
    let count = workers.lock().unwrap().len();
    assert!(count <= 2, "{count} writers");
}

/// A program that writes little would be told of after hours.
#[test]
fn a_disk_that_does_not_answer_is_told_before_anything_is_lost() {
    let bench = Bench::new();
    let file = bench.file("x");
    let begin = Instant::now();
    let end = hang(&file, begin);
    append(&file, begin, "one\n");
    append(&file, begin + Duration::from_secs(3), "two\n");
    assert!(bench.notes.try_recv().is_err(), "we ourselves may have been stopped all the time");
    for text in ["three\n", "four\n"] {
        append(&file, begin + Duration::from_secs(4), text);
    }
    let Ok(Note::Trouble { kind: OutputTroubleKind::Stall, reason, .. }) = bench.notes.try_recv() else {
        panic!("no trouble")
    };
    assert!(reason.contains("has not answered for 4 seconds; up to 1024 KB of it are kept"), "{reason}");
    assert!(bench.notes.try_recv().is_err(), "once");
    assert_eq!(file.unwritten(), 19);
    drop(end);
    let note = bench.notes.recv_timeout(TEST_TIMEOUT).expect("a note in time");
    let (kind, cause) = (OutputTroubleKind::Stall, RecoveryCause::Works);
    let recovery = OutputRecovery { kind, cause, lost_bytes: 0 };
    assert_eq!(note, Note::Recovered { program: 7, stream: StreamKind::Stdout, recovery });
    wait_until("all is written", || file.unwritten() == 0);
    assert_eq!(read(file.path()), b"one\ntwo\nthree\nfour\n");
}

/// The stream goes to another file while its disk hangs: nobody would tell it of the end.
#[test]
fn a_stall_is_over_for_a_stream_that_goes_elsewhere() {
    let bench = Bench::new();
    let file = bench.file("x");
    let begin = Instant::now();
    let end = hang(&file, begin);
    let line = "x".repeat(99) + "\n";
    while !file.should_pause(begin) {
        append(&file, begin, &line.repeat(100));
    }
    let first = begin + Duration::from_secs(3);
    assert!(file.should_pause(first), "we ourselves may have been stopped all the time");
    let later = first + Duration::from_millis(500);
    assert!(!file.should_pause(later));
    append(&file, later, &line.repeat(100));
    assert!(matches!(bench.notes.try_recv(), Ok(Note::Trouble { program: 7, .. })));
    file.leave(later, ORIGIN);
    drop(end);
    let note = bench.notes.recv_timeout(TEST_TIMEOUT).expect("a note in time");
    let Note::Recovered { program: 7, recovery, .. } = note else { panic!("{note:?}") };
    assert_eq!(recovery.kind, OutputTroubleKind::Write);
    assert!(recovery.lost_bytes >= 10_000, "{recovery:?}");
    let _ = answers(&file, later);
    assert!(bench.notes.try_recv().is_err(), "once");
}

#[test]
fn the_newest_of_a_stall_is_written_after_it_and_the_rest_is_counted_and_said_once() {
    let bench = Bench::new();
    let file = bench.file("x");
    let begin = Instant::now();
    let end = hang(&file, begin);
    let line = |number: usize| format!("{number:099}\n").repeat(100);
    let mut number = 0;
    while !file.should_pause(begin) {
        append(&file, begin, &line(number));
        number += 1;
    }
    assert!(number * 10_000 >= QUEUE_BYTES && number * 10_000 < QUEUE_BYTES + 10_000);
    let first = begin + Duration::from_secs(3);
    assert!(file.should_pause(first), "we ourselves may have been stopped all the time");
    let later = first + Duration::from_millis(500);
    assert!(!file.should_pause(later), "the child goes on");
    for _ in 0..200 {
        append(&file, later, &line(number));
        number += 1;
    }
    let Ok(Note::Trouble { program: 7, reason: text, .. }) = bench.notes.try_recv() else { panic!("no trouble") };
    assert!(text.contains("has not answered for 3 seconds"), "{text}");
    assert!(bench.notes.try_recv().is_err(), "said once");
    assert_eq!(answers(&file, later), None, "nobody waits for it");
    drop(end);
    // A short outage is not over with the first write.
    let mut told = None;
    wait_until("it is said that it is over", || {
        // By its time nothing is dropped, however busy the machine is.
        append(&file, begin, &line(number));
        number += 1;
        told = bench.notes.try_recv().ok();
        told.is_some()
    });
    let Some(Note::Recovered { recovery: OutputRecovery { lost_bytes, .. }, .. }) = told else { panic!("{told:?}") };
    assert!(answers(&file, begin).is_some());
    let text = String::from_utf8(read(file.path())).unwrap();
    assert_eq!(text.len() as u64 + lost_bytes, number as u64 * 10_000, "all is accounted for");
    assert!(text.ends_with(&line(number - 1)) && lost_bytes > 0);
}

#[test]
fn who_waits_for_the_end_of_a_hanging_write_is_told_at_once() {
    let bench = Bench::new();
    let file = bench.file("x");
    let end = hang(&file, Instant::now());
    let note = Note::Drained { program: 7, generation: 1, last_line: None };
    let later = Instant::now() + Duration::from_secs(1);
    file.when_written(later, TellAtEnd::new(note.clone(), bench.pool.notifier()));
    assert_eq!(bench.notes.try_recv().as_ref(), Ok(&note));
    drop(end);
    wait_until("it answers", || answers(&file, Instant::now()).is_some());
    append(&file, Instant::now(), "x\n");
    file.when_written(Instant::now(), TellAtEnd::new(note.clone(), bench.pool.notifier()));
    assert_eq!(bench.notes.recv_timeout(TEST_TIMEOUT), Ok(note));
    // At once where the writer is late.
    wait_until("it is written", || read(file.path()) == b"x\n");
}

#[test]
fn closing_waits_for_the_writers_but_not_for_ever() {
    let bench = Bench::new();
    let file = bench.file("x");
    append(&file, Instant::now(), "x\n");
    bench.pool.close(Instant::now() + TEST_TIMEOUT);
    assert_eq!(read(file.path()), b"x\n");

    let bench = Bench::new();
    let end = hang(&bench.file("x"), Instant::now());
    let begin = Instant::now();
    bench.pool.close(begin + Duration::from_millis(20));
    assert!(begin.elapsed() < TEST_TIMEOUT);
    drop(end);
}

#[test]
fn rotated_files_are_compressed_although_there_is_always_something_to_write() {
    let bench = Bench::new();
    let rules = Rules { maxbytes: 20_000, backups: 100, compress: true, sync: LogSync::Never };
    let path = bench.dir.path().join("x");
    let file = Arc::new(FileQueue::new(&bench.pool, Arc::from(path.as_path()), rules, Instant::now()));
    let begin = Instant::now();
    let end = hang(&file, begin);
    let mut all = String::new();
    while !file.should_pause(begin) {
        let lines = format!("{:09}\n", all.len()).repeat(1640);
        append(&file, begin, &lines);
        all.push_str(&lines);
    }
    // Looked at by the writer, when it has written the last of what waits and before it comes to rest.
    let (sender, answer) = bounded(1);
    let dir = bench.dir.path().to_owned();
    let compressed =
        move || fs::read_dir(&dir).unwrap().filter(|entry| is_compressed(&entry.as_ref().unwrap().path())).count();
    let responder = Responder::new(move |_| sender.send(compressed()).expect("a channel"));
    assert!(file.request(begin, Request::Tail(Tail::new(0, Vec::new(), responder))));
    drop(end);
    let count = answer.recv_timeout(TEST_TIMEOUT).expect("an answer");
    assert!(count > 0, "nothing was compressed while there was something to write");
    bench.pool.close(Instant::now() + TEST_TIMEOUT);
    let mut found = Vec::new();
    for number in (1..=100).rev() {
        let plain = PathBuf::from(format!("{}.{number}", path.display()));
        let gz = PathBuf::from(format!("{}.gz", plain.display()));
        if gz.exists() {
            found.extend(std::process::Command::new("gzip").arg("-dc").arg(&gz).output().unwrap().stdout);
        }
        found.extend(read(&plain));
    }
    found.extend(read(&path));
    assert!(found == all.as_bytes(), "the files differ from what was written");
}

fn is_compressed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "gz")
}
