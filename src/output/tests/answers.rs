//! Every request is answered, and none of them holds up the thread that reads.

use std::sync::Mutex;

use crossbeam_channel::Sender;

use super::super::messages::MAX_FOLLOWERS;
use super::*;

/// From now on the writer of the program's log does not come back, until the sender is dropped.
fn hang(rig: &Rig, id: ProgramId) -> Sender<()> {
    loop {
        let (sender, end) = bounded::<()>(0);
        let (started, has_started) = bounded(1);
        let responder = Responder::new(move |_| {
            let _ = started.send(is_writer());
            if is_writer() {
                let _ = end.recv();
            }
        });
        rig.output.tail(id, StreamKind::Stdout, 1, responder);
        if has_started.recv_timeout(TEST_TIMEOUT).expect("an answer in time") {
            return sender;
        }
    }
}

/// A responder that puts its answer, with a name, into the channel.
fn named<T: Send + 'static>(name: &'static str, to: &Sender<(&'static str, Result<T, InternalError>)>) -> Responder<T> {
    let to = to.clone();
    Responder::new(move |answer| drop(to.send((name, answer))))
}

/// What a follower was told.
#[derive(Default)]
struct Told {
    bytes: Vec<u8>,
    finished: bool,
    failed: bool,
}

#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Told>>);

impl Recorder {
    fn has(&self, reached: impl Fn(&Told) -> bool) -> bool {
        reached(&self.0.lock().unwrap())
    }
}

impl Follower for Recorder {
    fn push(&self, bytes: &[u8]) -> bool {
        self.0.lock().unwrap().bytes.extend_from_slice(bytes);
        true
    }
    fn is_there(&self) -> bool {
        true
    }
    fn finish(&self) {
        self.0.lock().unwrap().finished = true;
    }
    fn fail(&self, _: InternalError) {
        self.0.lock().unwrap().failed = true;
    }
}

/// One try; on a busy machine the disk may be known to hang before the tail is asked for, and is then not waited for.
fn others_are_read_while_a_tail_waits() -> bool {
    let rig = Rig::new();
    let log = rig.path("x.log");
    rig.configure(1, Some(&log), |_| {});
    rig.configure(2, None, |_| {});
    let (mut hanging, mut other) = (rig.attach(1, 1), rig.attach(2, 1));
    hanging.write_all(b"known\n").unwrap();
    let _ = rig.drain_to_file(1, 1);
    let end = hang(&rig, 1);
    let (sender, answers) = unbounded();
    // If the reader waited a quarter of a second for each, they would be answered before the other program.
    for _ in 0..5 {
        rig.output.tail(1, StreamKind::Stdout, 100, named("hanging", &sender));
    }
    other.write_all(b"goes on\n").unwrap();
    let _ = rig.drain(2, 1);
    rig.output.tail(2, StreamKind::Stdout, 100, named("other", &sender));
    let mut all = [(); 6].map(|()| answers.recv_timeout(TEST_TIMEOUT).expect("an answer"));
    drop(end);
    let other_first = all[0].0 == "other";
    all.sort_by_key(|(name, _)| *name);
    assert_eq!(all[5], ("other", Ok(b"goes on\n".to_vec())));
    assert!(all[..5].iter().all(|answer| *answer == ("hanging", Ok(b"known\n".to_vec()))));
    other_first
}

#[test]
fn a_tail_of_a_disk_that_hangs_is_answered_from_memory_and_holds_up_no_other_program() {
    let unhindered = (0..50).filter(|_| others_are_read_while_a_tail_waits()).take(3).count();
    assert_eq!(unhindered, 3, "the other program's output waited for the tail, but for {unhindered} times of fifty");
}

#[test]
fn a_log_on_a_disk_that_hangs_is_not_emptied_after_it_was_said_that_it_is_not() {
    let rig = Rig::new();
    let log = rig.path("x.log");
    rig.configure(1, Some(&log), |_| {});
    let mut child = rig.attach(1, 1);
    child.write_all(b"kept\n").unwrap();
    let _ = rig.drain_to_file(1, 1);
    let end = hang(&rig, 1);
    let (sender, answers) = unbounded();
    rig.output.clear(1, named("clear", &sender));
    let (_, answer) = answers.recv_timeout(TEST_TIMEOUT).expect("an answer");
    let message = answer.expect("no internal error").expect_err("it can't be emptied");
    assert!(message.contains("x.log: its disk does not answer"), "{message}");
    drop(end);
    child.write_all(b"more\n").unwrap();
    wait_until("what was written later", || read(&log) == b"kept\nmore\n");
    wait_until("it is emptied", || {
        rig.output.clear(1, named("clear", &sender));
        answers.recv_timeout(TEST_TIMEOUT).expect("an answer") == ("clear", Ok(Ok(())))
    });
    assert_eq!(read(&log), b"");
}

#[test]
fn a_follower_of_a_disk_that_hangs_gets_all_that_comes_meanwhile() {
    let rig = Rig::new();
    let log = rig.path("x.log");
    rig.configure(1, Some(&log), |_| {});
    let mut child = rig.attach(1, 1);
    child.write_all(b"one\ntwo\n").unwrap();
    let _ = rig.drain_to_file(1, 1);
    let end = hang(&rig, 1);
    let recorder = Recorder::default();
    rig.output.follow(1, StreamKind::Stdout, Amount::Lines(1), true, Box::new(recorder.clone()));
    child.write_all(b"three\n").unwrap();
    wait_until("the tail from memory and the line", || recorder.has(|told| told.bytes == b"two\nthree\n"));
    drop(end);
    child.write_all(b"four\n").unwrap();
    rig.output.remove(1);
    wait_until("the end", || recorder.has(|told| told.finished));
    assert!(recorder.has(|told| told.bytes == b"two\nthree\nfour\n"));
}

#[test]
fn followers_that_come_while_a_program_writes_and_its_log_is_rotated_miss_nothing_and_get_nothing_twice() {
    const LINES: usize = 60_000;
    let rig = Rig::new();
    let log = rig.path("x.log");
    rig.configure(1, Some(&log), |config| {
        config.stdout_logfile_maxbytes = 20_000;
        config.stdout_logfile_backups = 3;
    });
    let mut child = rig.attach(1, 1);
    let writer = std::thread::spawn(move || {
        for number in 0..LINES {
            child.write_all(format!("{number}\n").as_bytes()).unwrap();
        }
    });
    let mut followers = Vec::new();
    while !writer.is_finished() && followers.len() < MAX_FOLLOWERS {
        let recorder = Recorder::default();
        let amount = Amount::Lines(followers.len() * 7);
        rig.output.follow(1, StreamKind::Stdout, amount, true, Box::new(recorder.clone()));
        wait_until("a tail and more", || recorder.has(|told| !told.bytes.is_empty()) || writer.is_finished());
        followers.push(recorder);
    }
    writer.join().unwrap();
    rig.output.remove(1);
    for recorder in followers {
        wait_until("the end", || recorder.has(|told| told.finished));
        let text = String::from_utf8(std::mem::take(&mut recorder.0.lock().unwrap().bytes)).unwrap();
        let numbers: Vec<usize> = text.lines().map(|line| line.parse().expect("a whole line")).collect();
        let first = numbers.first().copied().unwrap_or(LINES);
        assert!(numbers.iter().copied().eq(first..LINES), "a gap or a repetition after {first}");
    }
}

#[test]
fn a_writer_that_panics_answers_the_next_request_and_writes_the_next_line() {
    let rig = Rig::new();
    let log = rig.path("x.log");
    rig.configure(1, Some(&log), |_| {});
    let mut child = rig.attach(1, 1);
    child.write_all(b"one\n").unwrap();
    let _ = rig.drain_to_file(1, 1);
    wait_until("a writer has panicked", || {
        let (sender, has_panicked) = bounded(1);
        let bug = Responder::new(move |_| {
            let _ = sender.send(is_writer());
            if is_writer() {
                std::panic::resume_unwind(Box::new("planted"));
            }
        });
        rig.output.tail(1, StreamKind::Stdout, 100, bug);
        has_panicked.recv_timeout(TEST_TIMEOUT).expect("an answer in time")
    });
    child.write_all(b"two\n").unwrap();
    let _ = rig.drain_to_file(1, 1);
    assert_eq!(rig.tail(1, 100), b"one\ntwo\n");
    wait_until("the second line", || read(&log) == b"one\ntwo\n");
}

#[test]
fn requests_for_what_is_not_there_are_answered() {
    let rig = Rig::new();
    let (sender, answers) = unbounded();
    rig.output.tail(9, StreamKind::Stdout, 100, named("tail", &sender));
    assert_eq!(answers.recv_timeout(TEST_TIMEOUT), Ok(("tail", Ok(Vec::new()))));
    let (sender, answers) = unbounded();
    rig.output.clear(9, named("clear", &sender));
    assert_eq!(answers.recv_timeout(TEST_TIMEOUT), Ok(("clear", Ok(Ok(())))));
    let recorder = Recorder::default();
    rig.output.follow(9, StreamKind::Stdout, Amount::Lines(1), true, Box::new(recorder.clone()));
    wait_until("the end", || recorder.has(|told| told.finished && !told.failed));
}

#[test]
fn after_the_end_of_the_thread_requests_are_answered_with_an_internal_error() {
    let rig = Rig::new();
    rig.output.shutdown(TEST_TIMEOUT);
    let (sender, answers) = unbounded();
    rig.output.tail(1, StreamKind::Stdout, 100, named("tail", &sender));
    assert_eq!(answers.recv_timeout(TEST_TIMEOUT), Ok(("tail", Err(InternalError))));
    let (sender, answers) = unbounded();
    rig.output.clear(1, named("clear", &sender));
    assert_eq!(answers.recv_timeout(TEST_TIMEOUT), Ok(("clear", Err(InternalError))));
    let recorder = Recorder::default();
    rig.output.follow(1, StreamKind::Stdout, Amount::Lines(1), true, Box::new(recorder.clone()));
    wait_until("the failure", || recorder.has(|told| told.failed && !told.finished));
}

#[test]
fn requests_that_wait_for_a_disk_when_the_daemon_ends_are_answered() {
    let rig = Rig::new();
    let log = rig.path("x.log");
    rig.configure(1, Some(&log), |_| {});
    let mut child = rig.attach(1, 1);
    child.write_all(b"known\n").unwrap();
    let _ = rig.drain_to_file(1, 1);
    let end = hang(&rig, 1);
    let (sender, answers) = unbounded();
    rig.output.tail(1, StreamKind::Stdout, 100, named("tail", &sender));
    let recorder = Recorder::default();
    rig.output.follow(1, StreamKind::Stdout, Amount::Lines(1), true, Box::new(recorder.clone()));
    rig.output.shutdown(Duration::from_millis(10));
    assert_eq!(answers.recv_timeout(TEST_TIMEOUT), Ok(("tail", Ok(b"known\n".to_vec()))));
    wait_until("the end", || recorder.has(|told| told.finished && told.bytes == b"known\n"));
    drop(end);
}
