use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::mpsc;

use super::*;
use crate::api::{Act, Announcement, Command, EventKinds, RequestId, Selector};
use crate::codec::frames;
use crate::codec::frames::{HEADER, Head, MAX_FRAME};
use crate::control::announcements::Follower;
use crate::control::connection::PIECES_A_TURN;
use crate::models::ProgramConfig;
use crate::process::{Cause, Moment, ProcessState, Transition};

const TEST_TIMEOUT: Duration = Duration::from_secs(60);

/// A server whose requests are answered at once with their name, but for those that are called `hold`.
struct Fixture {
    dir: tempfile::TempDir,
    handle: ServerHandle,
    held: mpsc::Receiver<ConnId>,
    gone: mpsc::Receiver<ConnId>,
    /// Of the io thread, as gettid tells.
    thread: i32,
}

impl Fixture {
    fn new(limits: Limits) -> Fixture {
        let dir = tempfile::tempdir().expect("a directory");
        let listener = UnixListener::bind(dir.path().join("s")).expect("a socket");
        listener.set_nonblocking(true).expect("non-blocking");
        let (requests, asked) = mpsc::channel::<IncomingRequest>();
        let (tell_gone, gone) = mpsc::channel();
        let (tell_thread, thread) = mpsc::channel();
        let sink: Sink = Arc::new(move |event| match event {
            ServerEvent::Request(request) => {
                let _ = tell_thread.send(nix::unistd::gettid().as_raw());
                let _ = requests.send(request);
            }
            ServerEvent::Disconnected(conn) => drop(tell_gone.send(conn)),
            ServerEvent::Readiness(..)
            | ServerEvent::ConditionSeen { .. }
            | ServerEvent::Changed(..)
            | ServerEvent::Notified(_)
            | ServerEvent::Barrier(_)
            | ServerEvent::ClockSet
            | ServerEvent::NotificationsRead(_)
            | ServerEvent::ReadBeforeEnds => {}
        });
        let handle =
            start_with(Some(ServerSocket::control(listener)), Names::default(), sink, limits).expect("a server");
        let (hold, held) = mpsc::channel();
        let answering = handle.clone();
        std::thread::spawn(move || {
            for IncomingRequest { conn, request, .. } in asked {
                let text = match request {
                    Request::Command(Command::Act { act: Act::Start, on: Selector::Process(name), .. }) => name,
                    Request::Command(Command::Act { act: Act::Stop, on: Selector::Process(name), .. }) => {
                        name.repeat(900 * 1024 / name.len())
                    }
                    other => format!("{other:?}"),
                };
                match text.as_str() {
                    "hold" => drop(hold.send(conn)),
                    text => answering.reply_frame(conn, frames::ok(text)),
                }
            }
        });
        let mut fixture = Fixture { dir, handle, held, gone, thread: 0 };
        ask(&mut fixture.connect(), "first");
        fixture.thread = thread.recv().expect("it was asked");
        fixture.gone.recv_timeout(TEST_TIMEOUT).expect("the first client has gone");
        fixture
    }

    fn patient() -> Fixture {
        Fixture::new(Limits {
            connections: 512,
            per_user: 64,
            remote: 128,
            stall_timeout: TEST_TIMEOUT,
            grace: TEST_TIMEOUT,
        })
    }

    fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(self.dir.path().join("s")).expect("it listens");
        stream.set_read_timeout(Some(TEST_TIMEOUT)).expect("a time-out");
        stream
    }

    /// Ticks of CPU time that the io thread has used.
    fn cpu(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/self/task/{}/stat", self.thread)).expect("it lives");
        let fields: Vec<&str> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
        fields[11].parse::<u64>().expect("utime") + fields[12].parse::<u64>().expect("stime")
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.handle.shutdown(Duration::from_secs(1));
    }
}

fn request(command: &str, name: &str) -> Vec<u8> {
    frames::frame(serde_json::json!({ "command": command, "name": name }).to_string().as_bytes())
}

/// The next answer; `None` when the connection was closed instead.
fn answer(stream: &mut UnixStream) -> Option<serde_json::Value> {
    let mut header = [0; HEADER];
    stream.read_exact(&mut header).ok()?;
    let mut body = vec![0; u32::from_be_bytes(header) as usize];
    stream.read_exact(&mut body).ok()?;
    Some(serde_json::from_slice(&body).expect("JSON"))
}

fn ask(stream: &mut UnixStream, name: &str) {
    stream.write_all(&request("start", name)).expect("it reads");
    assert_eq!(answer(stream).expect("an answer")["message"], name);
}

fn is_closed(stream: &mut UnixStream) -> bool {
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => true,
        Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
    }
}

#[test]
fn requests_may_come_byte_by_byte_and_many_at_a_time_and_are_answered_in_order() {
    let fixture = Fixture::patient();
    let mut stream = fixture.connect();
    for byte in request("start", "slow") {
        stream.write_all(&[byte]).expect("it reads");
    }
    assert_eq!(answer(&mut stream).expect("an answer")["message"], "slow");
    let mut sender = stream.try_clone().expect("a descriptor");
    let all: Vec<u8> = (0..5000).flat_map(|number| request("start", &number.to_string())).collect();
    let writer = std::thread::spawn(move || sender.write_all(&all));
    for number in 0..5000 {
        assert_eq!(answer(&mut stream).expect("an answer")["message"], number.to_string());
    }
    writer.join().expect("no panic").expect("all was read");
}

/// The first piece of a bad frame is as long as the good frame that comes with the second piece: sums of
/// bytes before and after agree.
#[test]
fn a_frame_behind_a_refused_one_is_not_forgotten() {
    let fixture = Fixture::patient();
    let good = request("start", "good");
    let bad = frames::frame(&vec![b'x'; good.len() * 2]);
    for _ in 0..50 {
        let mut stream = fixture.connect();
        let (begin, rest) = bad.split_at(good.len());
        stream.write_all(begin).expect("it reads");
        ask(&mut fixture.connect(), "in between, so that the piece has been read");
        stream.write_all(&[rest, &good].concat()).expect("it reads");
        assert_eq!(answer(&mut stream).expect("an answer")["code"], "INVALID_JSON");
        assert_eq!(answer(&mut stream).expect("the good frame's answer")["message"], "good");
    }
}

#[test]
fn a_client_that_has_closed_its_half_gets_all_its_answers() {
    let fixture = Fixture::patient();
    let mut stream = fixture.connect();
    stream.write_all(&[request("start", "a"), request("start", "b"), vec![0, 0]].concat()).expect("it reads");
    stream.shutdown(Shutdown::Write).expect("open");
    assert_eq!(answer(&mut stream).expect("an answer")["message"], "a");
    assert_eq!(answer(&mut stream).expect("an answer")["message"], "b");
    assert!(is_closed(&mut stream));
}

#[test]
fn refusals_leave_the_connection_usable_but_for_a_frame_that_is_too_large() {
    let fixture = Fixture::patient();
    let mut stream = fixture.connect();
    for (body, code) in [(&b""[..], "EMPTY_REQUEST"), (b"\xff", "INVALID_JSON"), (b"[]", "INVALID_REQUEST")] {
        stream.write_all(&frames::frame(body)).expect("it reads");
        assert_eq!(answer(&mut stream).expect("an answer")["code"], code);
    }
    let mut largest = br#"{"command":"start","name":"x"}"#.to_vec();
    largest.resize(MAX_FRAME, b' ');
    stream.write_all(&frames::frame(&largest)).expect("it reads");
    assert_eq!(answer(&mut stream).expect("an answer")["message"], "x");
    stream.write_all(&(MAX_FRAME as u32 + 1).to_be_bytes()).expect("it reads");
    assert_eq!(answer(&mut stream).expect("an answer")["code"], "TOO_LARGE");
    assert!(is_closed(&mut stream));
}

#[test]
fn deadlines_end_half_frames_and_untaken_answers_but_nobody_who_waits_for_his_answer() {
    let fixture = Fixture::new(Limits {
        connections: 512,
        per_user: 64,
        remote: 128,
        stall_timeout: Duration::from_millis(300),
        grace: TEST_TIMEOUT,
    });
    let mut waits = fixture.connect();
    waits.write_all(&[request("start", "hold"), vec![0]].concat()).expect("it reads");
    let held = fixture.held.recv_timeout(TEST_TIMEOUT).expect("it was asked");
    let mut idle = fixture.connect();
    ask(&mut idle, "idle");
    let mut half = fixture.connect();
    half.write_all(&[0, 0]).expect("it reads");
    let mut greedy = fixture.connect();
    greedy.write_all(&request("stop", "big")).expect("it reads");
    let mut trickle = fixture.connect();
    trickle.write_all(&[0, 0, 1, 0]).expect("it reads");
    let begin = Instant::now();
    while trickle.write_all(b"x").is_ok() {
        assert!(begin.elapsed() < TEST_TIMEOUT, "single bytes make half a frame younger");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(is_closed(&mut half));
    for _ in ["half", "trickle", "greedy"] {
        fixture.gone.recv_timeout(TEST_TIMEOUT).expect("it is given up");
    }
    let mut rest = Vec::new();
    let _ = greedy.read_to_end(&mut rest);
    assert!(frames::head(&rest) == Head::Partial, "an answer that nobody takes is given up");
    fixture.handle.reply_frame(held, frames::ok("held"));
    assert_eq!(answer(&mut waits).expect("an answer")["message"], "held");
    ask(&mut idle, "still idle");
}

/// A client that always has half a frame on its way, but finishes each, is not stuck.
#[test]
fn a_busy_client_is_not_taken_for_a_stuck_one() {
    // On a busy machine it may keep the server waiting for longer than it means to.
    let mut stall_timeout = Duration::from_millis(200);
    while !stays_busy(stall_timeout) {
        stall_timeout *= 4;
    }
}

/// Whether the client was as quick as it has to be, and was served for four times as long as the server's
/// stall_timeout.
fn stays_busy(stall_timeout: Duration) -> bool {
    let limits = Limits { connections: 512, per_user: 64, remote: 128, stall_timeout, grace: TEST_TIMEOUT };
    let fixture = Fixture::new(limits);
    let mut stream = fixture.connect();
    let frame = request("start", "a");
    let (begin, rest) = frame.split_at(5);
    let start = Instant::now();
    let mut last = start;
    stream.write_all(begin).expect("it reads");
    while start.elapsed() < stall_timeout * 4 {
        let is_served = stream.write_all(&[rest, begin].concat()).is_ok()
            && answer(&mut stream).is_some_and(|answer| answer["message"] == "a");
        if last.elapsed() >= stall_timeout {
            return false;
        }
        assert!(is_served, "it was closed after {:?}", last.elapsed());
        last = Instant::now();
    }
    true
}

#[test]
fn two_hundred_clients_at_once_get_their_own_answers() {
    let fixture = Fixture::patient();
    let clients: Vec<_> = (0..200).map(|number| (number, fixture.connect())).collect();
    std::thread::scope(|scope| {
        for (number, mut stream) in clients {
            scope.spawn(move || (0..20).for_each(|turn| ask(&mut stream, &format!("{number} {turn}"))));
        }
    });
}

#[test]
fn a_client_that_never_pauses_starves_nobody() {
    let fixture = Fixture::patient();
    let flood = fixture.connect();
    let (mut writes, mut reads) = (flood.try_clone().expect("a descriptor"), flood.try_clone().expect("a descriptor"));
    std::thread::scope(|scope| {
        let empty = vec![0; 64 * 1024];
        scope.spawn(move || while writes.write_all(&empty).is_ok() {});
        scope.spawn(move || while reads.read(&mut [0; 64 * 1024]).is_ok_and(|count| count > 0) {});
        for number in 0..100 {
            ask(&mut fixture.connect(), &number.to_string());
        }
        flood.shutdown(Shutdown::Both).expect("open");
    });
}

#[test]
fn room_is_made_by_closing_idle_then_stuck_connections_and_busy_ones_are_kept() {
    let fixture = Fixture::new(Limits {
        connections: 3,
        per_user: 3,
        remote: 1,
        stall_timeout: TEST_TIMEOUT,
        grace: Duration::ZERO,
    });
    let mut busy = fixture.connect();
    busy.write_all(&request("start", "hold")).expect("it reads");
    let held = fixture.held.recv_timeout(TEST_TIMEOUT).expect("it was asked");
    let mut idle = fixture.connect();
    ask(&mut idle, "idle");
    let mut half = fixture.connect();
    half.write_all(&[0, 0]).expect("it reads");
    let mut third = fixture.connect();
    ask(&mut third, "third");
    assert!(is_closed(&mut idle));
    third.write_all(&request("start", "hold")).expect("it reads");
    fixture.held.recv_timeout(TEST_TIMEOUT).expect("it was asked");
    let mut fourth = fixture.connect();
    ask(&mut fourth, "fourth");
    assert!(is_closed(&mut half));
    fourth.write_all(&request("start", "hold")).expect("it reads");
    fixture.held.recv_timeout(TEST_TIMEOUT).expect("it was asked");
    let mut refused = fixture.connect();
    assert_eq!(answer(&mut refused).expect("a reason")["message"], "more than 3 clients at a time; try again later");
    fixture.handle.reply_frame(held, frames::ok("held"));
    assert_eq!(answer(&mut busy).expect("an answer")["message"], "held");
}

#[test]
fn whoever_has_just_come_is_not_taken_for_idle() {
    // On a busy machine their time may be over before they come to their requests.
    let mut grace = Duration::from_secs(3);
    while !who_comes_late_waits(grace) {
        grace *= 4;
    }
}

/// Whether all of it was done while those who have just come had this time.
fn who_comes_late_waits(grace: Duration) -> bool {
    let fixture = Fixture::new(Limits { connections: 3, per_user: 3, remote: 1, stall_timeout: TEST_TIMEOUT, grace });
    let mut answered = fixture.connect();
    ask(&mut answered, "answered");
    // Older than the answer, but neither has come to its first request.
    let came = Instant::now();
    let mut new = fixture.connect();
    let mut half = fixture.connect();
    let whole = request("start", "half");
    half.write_all(&whole[..9]).expect("it reads");
    ask(&mut answered, "younger than both");
    let mut fourth = fixture.connect();
    ask(&mut fourth, "fourth");
    assert!(is_closed(&mut answered));
    let mut fifth = fixture.connect();
    ask(&mut fifth, "fifth");
    assert!(is_closed(&mut fourth));
    fifth.write_all(&request("start", "hold")).expect("it reads");
    fixture.held.recv_timeout(TEST_TIMEOUT).expect("it was asked");
    // There is no room before one of those who came last is answered, or has had its time.
    let mut sixth = fixture.connect();
    sixth.write_all(&request("start", "sixth")).expect("it will read");
    let later = [(&mut new, request("start", "new")), (&mut half, whole[9..].to_vec())];
    let told = later.map(|(stream, rest)| stream.write_all(&rest).ok().and_then(|()| answer(stream)));
    if came.elapsed() >= grace {
        return false;
    }
    assert_eq!(told.map(|told| told.expect("an answer")["message"].clone()), ["new", "half"]);
    sixth.set_read_timeout(Some(grace + TEST_TIMEOUT)).expect("a time-out");
    assert_eq!(answer(&mut sixth).expect("an answer")["message"], "sixth");
    true
}

#[test]
fn clients_that_go_are_forgotten_at_once_and_cost_nothing() {
    let fixture = Fixture::patient();
    let mut waits = fixture.connect();
    waits.write_all(&request("start", "hold")).expect("it reads");
    let held = fixture.held.recv_timeout(TEST_TIMEOUT).expect("it was asked");
    drop(waits);
    assert_eq!(fixture.gone.recv_timeout(TEST_TIMEOUT), Ok(held), "it took a connection until its command was done");
    for _ in 0..20 {
        let mut stream = fixture.connect();
        stream.write_all(&request("stop", "big")).expect("it reads");
        stream.read_exact(&mut [0; 100]).expect("the answer begins");
        drop(stream);
        fixture.gone.recv_timeout(TEST_TIMEOUT).expect("it is noticed");
    }
    let mut waits = fixture.connect();
    waits.write_all(&[request("start", "hold"), vec![0; 100_000]].concat()).expect("it reads ahead");
    fixture.held.recv_timeout(TEST_TIMEOUT).expect("it was asked");
    let is_at_rest = |_| {
        let before = fixture.cpu();
        // Not a synchronisation: this is how long it must be at rest.
        std::thread::sleep(Duration::from_secs(1));
        fixture.cpu() - before <= 1
    };
    // It may still read what has just come.
    assert!((0..10).any(is_at_rest), "the io thread works although nothing is to be done");
}

#[test]
fn a_client_that_closes_at_once_is_served_all_the_same() {
    let fixture = Fixture::patient();
    let mut stream = fixture.connect();
    stream.write_all(&[request("start", "a"), request("start", "hold")].concat()).expect("it reads");
    drop(stream);
    fixture.held.recv_timeout(TEST_TIMEOUT).expect("the second request came through");
}

#[test]
fn a_shutdown_writes_what_was_answered_and_takes_nothing_more() {
    let fixture = Fixture::patient();
    let mut slow = fixture.connect();
    slow.write_all(&[request("stop", "big"), request("start", "hold")].concat()).expect("it reads");
    slow.read_exact(&mut [0; 100]).expect("the answer begins");
    let mut idle = fixture.connect();
    ask(&mut idle, "idle");
    let handle = fixture.handle.clone();
    let begin = Instant::now();
    let ends = std::thread::spawn(move || handle.shutdown(TEST_TIMEOUT));
    assert!(is_closed(&mut idle));
    let mut rest = Vec::new();
    slow.read_to_end(&mut rest).expect("the answer's rest");
    assert!(rest.len() > 800 * 1024 && rest.ends_with(b"\"}"));
    ends.join().expect("no panic");
    assert!(begin.elapsed() < TEST_TIMEOUT / 2);
    assert!(fixture.held.try_recv().is_err());
}

/// Both come to the io thread in one turn, with more than it hands out in one.
#[test]
fn a_shutdown_behind_the_end_of_a_stream_does_not_swallow_it() {
    for _ in 0..10 {
        let fixture = Fixture::patient();
        let mut client = fixture.connect();
        client.write_all(&request("start", "hold")).expect("it reads");
        let conn = fixture.held.recv_timeout(TEST_TIMEOUT).expect("it was asked");
        fixture.handle.follow(Follower::new((RequestId(1), conn), EventKinds::ALL, Vec::new(), None));
        let count = 3 * PIECES_A_TURN;
        (0..count).for_each(|_| fixture.handle.happened(&happened()));
        fixture.handle.end_news();
        fixture.handle.shutdown(TEST_TIMEOUT);
        let frames: Vec<serde_json::Value> = std::iter::from_fn(|| answer(&mut client)).collect();
        let more: Vec<bool> = frames.iter().map(|frame| frame["more"] == true).collect();
        // The first frame has no event.
        assert_eq!((more.len(), more.last()), (count + 2, Some(&false)), "{:?}", frames.last());
    }
}

fn happened() -> Arc<Announcement> {
    let (from, to) = (ProcessState::Starting, ProcessState::Running);
    Arc::new(Announcement::Transition {
        program: Arc::new(ProgramConfig::new("p", "true")),
        at: Moment::from_nanos(1),
        transition: Transition { from, to, pid: None, cause: Cause::Executed },
    })
}

/// Else the dispatcher would wait for its answer before it reaps anybody.
#[test]
fn ends_are_reaped_also_where_the_io_thread_dies_of_the_order_to_read_before_them() {
    let (tell, told) = mpsc::channel();
    let is_first = std::sync::atomic::AtomicBool::new(true);
    let sink: Sink = Arc::new(move |event| {
        assert!(!is_first.swap(false, std::sync::atomic::Ordering::Relaxed), "a test");
        let _ = tell.send(matches!(event, ServerEvent::ReadBeforeEnds));
    });
    let handle = start_with(None, Names::default(), sink, Limits::default()).expect("a server");
    assert!(handle.read_before_ends());
    assert_eq!(told.recv_timeout(TEST_TIMEOUT), Ok(true), "it is told that they may be reaped");
    assert!(!handle.read_before_ends(), "nobody is there any more");
}

#[test]
fn garbage_does_no_harm() {
    let fixture = Fixture::patient();
    let mut runner = proptest::test_runner::TestRunner::new(proptest::test_runner::Config::with_cases(64));
    let pieces = proptest::collection::vec(proptest::collection::vec(proptest::num::u8::ANY, 0..300), 0..8);
    let result = runner.run(&pieces, |pieces| {
        let mut stream = fixture.connect();
        for piece in pieces {
            let _ = stream.write_all(&piece);
        }
        drop(stream);
        ask(&mut fixture.connect(), "well");
        Ok(())
    });
    result.expect("it answers whatever came before");
}

#[test]
fn clients_get_a_quarter_of_the_open_files() {
    for (files, connections) in [(0, 8), (40, 10), (1024, 256), (2048, 512), (1 << 20, 512), (u64::MAX, 512)] {
        assert_eq!(share_of(files), connections, "{files}");
    }
}
