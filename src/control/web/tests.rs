//! HTTP on a real io thread, over local sockets and over the network.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use super::{AccessGate, Secret, User};
use crate::api::{Act, Command, Query, Refusal, Reply, Request, Selector, Watch};
use crate::control::feed::Source;
use crate::control::output_feed::Feed;
use crate::control::server::{self, ConnId, Limits, ServerEvent, ServerHandle};
use crate::control::server_socket::{ServerSocket, Socket};
use crate::models::HttpAddress;
use crate::process::Initiator;

const TEST_TIMEOUT: Duration = Duration::from_secs(60);

/// An io thread behind a local socket and a port of the network. Pings are answered, starts of `hold` are not.
struct Fixture {
    dir: tempfile::TempDir,
    address: SocketAddr,
    handle: ServerHandle,
    asked: mpsc::Receiver<(ConnId, Initiator, Request)>,
}

impl Fixture {
    fn new(users: &[(&str, &str)]) -> Fixture {
        Fixture::with_limits(users, Limits::default())
    }

    fn with_limits(users: &[(&str, &str)], limits: Limits) -> Fixture {
        let dir = tempfile::tempdir().expect("a directory");
        let local = UnixListener::bind(dir.path().join("s")).expect("a socket");
        local.set_nonblocking(true).expect("non-blocking");
        let remote = TcpListener::bind("127.0.0.1:0").expect("a port");
        remote.set_nonblocking(true).expect("non-blocking");
        let address = remote.local_addr().expect("an address");
        let users = users.iter().map(|(name, secret)| User { name: (*name).into(), secret: Secret::parse(secret) });
        let gate = AccessGate { users: users.collect(), is_remote: true, open_probes: true, ..AccessGate::default() };
        let at = HttpAddress::Tcp { host: "127.0.0.1".to_owned(), port: address.port() };
        let sockets = [
            ServerSocket::control(local),
            ServerSocket { socket: Socket::Tcp(remote), guard: None, at: Some(at), gate: Arc::new(gate) },
        ];
        let (tell, requests) = mpsc::channel();
        let sink = Arc::new(move |event| {
            if let ServerEvent::Request(incoming) = event {
                drop(tell.send(incoming));
            }
        });
        let handle = server::start_with(sockets, Default::default(), sink, limits).expect("an io thread");
        let (show, asked) = mpsc::channel();
        let answering = handle.clone();
        std::thread::spawn(move || {
            for incoming in requests {
                let conn = incoming.conn;
                match &incoming.request {
                    Request::Query(Query::Ping) => answering.reply(conn, Box::new(Ok(Reply::Pid(7)))),
                    Request::Command(Command::Act { on: Selector::Process(name), .. }) if name == "none" => {
                        let hint = crate::api::NameHint::None;
                        let refusal = Refusal::NoSuchProcess { name: name.clone(), hint };
                        answering.reply(conn, Box::new(Err(refusal)));
                    }
                    Request::Command(Command::Act { act: Act::Stop, on, .. }) => {
                        let reply = Reply::Reached {
                            act: Act::Stop,
                            on: on.clone(),
                            also: Vec::new(),
                            again: Vec::new(),
                            fatal: Vec::new(),
                        };
                        answering.reply(conn, Box::new(Ok(reply)));
                    }
                    Request::Query(_) | Request::Watch(_) | Request::Command(_) => {}
                }
                drop(show.send((conn, incoming.by, incoming.request)));
            }
        });
        Fixture { dir, address, handle, asked }
    }

    fn local(&self) -> UnixStream {
        let stream = UnixStream::connect(self.dir.path().join("s")).expect("it listens");
        stream.set_read_timeout(Some(TEST_TIMEOUT)).expect("a time-out");
        stream
    }

    fn remote(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("it listens");
        stream.set_read_timeout(Some(TEST_TIMEOUT)).expect("a time-out");
        stream
    }

    fn next_asked(&self) -> (ConnId, Initiator, Request) {
        self.asked.recv_timeout(TEST_TIMEOUT).expect("it is asked")
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.handle.shutdown(Duration::from_secs(1));
    }
}

/// The next answer: its status, its fields, and its body by its length.
fn answer(stream: &mut impl Read) -> (u16, String, String) {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap_or_else(|error| panic!("{error} behind {}", head.escape_ascii()));
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).expect("text");
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().expect("a number"))];
    stream.read_exact(&mut body).expect("the body");
    let status = head.split(' ').nth(1).expect("a status").parse().expect("a number");
    (status, head, String::from_utf8(body).expect("text"))
}

fn is_closed(stream: &mut impl Read) -> bool {
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => rest.is_empty(),
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

const LIVE: &str = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn command(body: &str) -> String {
    format!(
        "POST /api/v1/command HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn a_socket_speaks_http_and_frames_by_the_first_byte() {
    let fixture = Fixture::new(&[]);
    for first in [LIVE, "\r\nGET /livez HTTP/1.0\r\n\r\n"] {
        let mut web = fixture.local();
        web.write_all(first.as_bytes()).expect("it reads");
        let (status, _, body) = answer(&mut web);
        assert_eq!((status, body.as_str()), (200, "ok\n"));
    }
    let mut frames = fixture.local();
    frames.write_all(&crate::codec::frames::frame(br#"{"command":"ping"}"#)).expect("it reads");
    let mut head = [0; 4];
    frames.read_exact(&mut head).expect("a frame");
    assert_eq!(head[..3], [0, 0, 0]);
    assert!(matches!(fixture.next_asked().1, Initiator::Client(_)));
}

#[test]
fn requests_may_come_byte_by_byte_and_many_at_a_time() {
    let fixture = Fixture::new(&[]);
    let mut slow = fixture.remote();
    for byte in command(r#"{"command":"ping"}"#).bytes() {
        slow.write_all(&[byte]).expect("it reads");
    }
    let (status, head, body) = answer(&mut slow);
    assert_eq!((status, body.as_str()), (200, r#"{"status":"ok","pid":7}"#), "{head}");
    slow.write_all([LIVE; 200].concat().as_bytes()).expect("it reads");
    for _ in 0..200 {
        assert_eq!(answer(&mut slow).0, 200);
    }
    let end = "HEAD /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    slow.write_all(end.as_bytes()).expect("it reads");
    let mut rest = String::new();
    slow.read_to_string(&mut rest).expect("text");
    assert!(rest.contains("Connection: close\r\n") && rest.ends_with("Content-Length: 3\r\n\r\n"), "{rest}");
    assert!(matches!(fixture.next_asked().1, Initiator::Remote(_)));
}

#[test]
fn a_client_that_waits_to_be_told_sends_its_body_then() {
    let fixture = Fixture::new(&[]);
    let mut client = fixture.remote();
    let text = command(r#"{"command":"ping"}"#).replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n");
    let (head, body) = text.split_at(text.find('{').expect("a body"));
    client.write_all(head.as_bytes()).expect("it reads");
    let mut told = [0; 25];
    client.read_exact(&mut told).expect("a word");
    assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
    client.write_all(body.as_bytes()).expect("it reads");
    assert_eq!(answer(&mut client).0, 200);
}

#[test]
fn what_is_refused_has_its_status_and_the_connection_is_closed_where_nothing_can_be_understood() {
    let fixture = Fixture::new(&[]);
    for (request, status, is_open) in [
        ("GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n", 404, true),
        ("POST /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}", 405, true),
        ("GET /livez HTTP/1.1\r\n\r\n", 400, true),
        ("GET /livez HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403, true),
        ("POST /api/v1/command HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}", 415, true),
        ("POST /api/v1/command HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900\r\n\r\n{}", 415, false),
        ("POST /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411, false),
        ("POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2000000\r\n\r\n", 413, false),
        ("BREW / HTTP/1.1\r\n\r\n", 501, false),
        ("GET / HTTP/3.0\r\n\r\n", 505, false),
        ("hello\r\n\r\n", 400, false),
    ] {
        let mut client = fixture.remote();
        client.write_all(request.as_bytes()).expect("it reads");
        let (told, head, body) = answer(&mut client);
        assert_eq!(told, status, "{request:?}: {head}{body}");
        assert!(body.starts_with(r#"{"status":"error","code":""#), "{body}");
        if is_open {
            client.write_all(LIVE.as_bytes()).expect("it reads");
            assert_eq!(answer(&mut client).0, 200, "behind {request:?}");
        } else {
            assert!(is_closed(&mut client), "behind {request:?}");
        }
    }
    let mut browser = fixture.remote();
    browser.write_all(b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\n\r\n").expect("it reads");
    assert_eq!(answer(&mut browser).2, "404 Not Found: there is no such page\n");
}

/// A reset would take the answer with it before the client has read it.
#[test]
fn an_answer_is_read_although_the_body_was_on_its_way() {
    let fixture = Fixture::new(&[]);
    for _ in 0..20 {
        let mut client = fixture.remote();
        let head = "POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3000000\r\n\r\n";
        client.write_all(head.as_bytes()).expect("it reads");
        for _ in 0..20 {
            if client.write_all(&[b'x'; 10_000]).is_err() {
                break;
            }
        }
        assert_eq!(answer(&mut client).0, 413);
    }
}

#[test]
fn what_a_command_came_to_is_told_by_the_status() {
    let fixture = Fixture::new(&[]);
    let mut client = fixture.local();
    for (body, status, part) in [
        (r#"{"command":"stop","name":"web"}"#, 200, r#""message":"Stopped web""#),
        (r#"{"command":"stop","name":"none"}"#, 404, r#""refusal":"no_such_process""#),
        (r#"{"command":"brew"}"#, 404, r#""code":"UNKNOWN_COMMAND""#),
        (r#"{"command":"stop"}"#, 400, r#""code":"INVALID_REQUEST""#),
        ("", 400, r#""code":"EMPTY_REQUEST""#),
        ("{", 400, r#""code":"INVALID_JSON""#),
    ] {
        client.write_all(command(body).as_bytes()).expect("it reads");
        let (told, _, answer) = answer(&mut client);
        assert!(told == status && answer.contains(part), "{body}: {told} {answer}");
    }
}

#[test]
fn whoever_has_to_log_in_does_so_and_wrong_passwords_are_slow() {
    let hash = "{SHA256}ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let fixture = Fixture::new(&[("alice", "word"), ("bot", hash)]);
    let ask = |authorization: &str| {
        let mut client = fixture.remote();
        let request = command(r#"{"command":"ping"}"#).replace("\r\n\r\n", &format!("\r\n{authorization}\r\n"));
        client.write_all(request.as_bytes()).expect("it reads");
        let (status, head, _) = answer(&mut client);
        (status, head)
    };
    assert_eq!(ask("Authorization: Basic YWxpY2U6d29yZA==\r\n").0, 200);
    let Initiator::Remote(caller) = fixture.next_asked().1 else { panic!("it came over the network") };
    assert_eq!(caller.user.as_deref(), Some("alice"));
    assert_eq!(ask("Authorization: Bearer abc\r\n").0, 200);
    let Initiator::Remote(caller) = fixture.next_asked().1 else { panic!("it came over the network") };
    assert_eq!(caller.user.as_deref(), Some("bot"));
    let (status, head) = ask("");
    assert!(status == 401 && head.contains("WWW-Authenticate: Basic realm=\"default\"\r\n"), "{head}");
    // Whoever waits would do so each time; on a busy machine anybody may.
    let is_quick = |authorization: &str, status: u16| {
        (0..20).any(|_| {
            let begin = Instant::now();
            assert_eq!(ask(authorization).0, status);
            begin.elapsed() < Duration::from_millis(900)
        })
    };
    for (authorization, status) in
        [("Authorization: Basic YWxpY2U6d29yZA==\r\n", 200), ("Authorization: Bearer abc\r\n", 200), ("", 401)]
    {
        assert!(is_quick(authorization, status), "who is right, or has not tried, does not wait");
    }
    let others_are_served = |_| {
        let mut wrong = fixture.remote();
        let request =
            "GET /api/v1/command HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic YWxpY2U6d29ybQ==\r\n\r\n";
        let begin = Instant::now();
        wrong.write_all(request.as_bytes()).expect("it reads");
        assert_eq!(ask("Authorization: Bearer abc\r\n").0, 200);
        let others = begin.elapsed();
        assert_eq!(answer(&mut wrong).0, 401);
        assert!(begin.elapsed() >= Duration::from_secs(1), "a guess is not slow");
        others < Duration::from_millis(900)
    };
    assert!((0..20).any(others_are_served), "others wait for whoever guesses");
    let mut probe = fixture.remote();
    probe.write_all(LIVE.as_bytes()).expect("it reads");
    assert_eq!(answer(&mut probe).0, 200, "the probes are open");
}

/// The pieces of an answer in chunks, until they say what is waited for.
fn chunks(stream: &mut impl Read, until: &str) -> String {
    let mut text = String::new();
    while !text.contains(until) {
        let mut buffer = [0; 4096];
        let count = stream.read(&mut buffer).expect("more");
        assert!(count > 0, "the end behind {text}");
        text.push_str(std::str::from_utf8(&buffer[..count]).expect("text"));
    }
    text
}

#[test]
fn a_stream_comes_in_chunks_and_the_next_request_follows_it() {
    let fixture = Fixture::new(&[]);
    let mut client = fixture.local();
    client.write_all((command(r#"{"command":"tail","name":"web"}"#) + LIVE).as_bytes()).expect("it reads");
    let (conn, _, request) = fixture.next_asked();
    assert!(matches!(request, Request::Watch(Watch::Tail { .. })));
    let feed = Arc::new(Feed::default());
    feed.push(b"hello\n");
    fixture.handle.feed(conn, Arc::clone(&feed) as Arc<dyn Source>);
    let text = chunks(&mut client, "hello");
    assert!(text.contains("Transfer-Encoding: chunked\r\n") && text.contains("application/x-ndjson"), "{text}");
    if feed.finish() {
        fixture.handle.feed(conn, feed);
    }
    let rest = chunks(&mut client, "\r\n\r\nok\n");
    assert!(rest.contains("\"more\":false}\n\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n"), "{rest}");
    let mut old = fixture.local();
    let request = command(r#"{"command":"tail","name":"web"}"#).replace("HTTP/1.1", "HTTP/1.0");
    old.write_all(request.as_bytes()).expect("it reads");
    // The pings of the livez came first.
    let (conn, ..) = std::iter::from_fn(|| Some(fixture.next_asked()))
        .find(|(_, _, request)| matches!(request, Request::Watch(_)))
        .expect("it is asked");
    let feed = Arc::new(Feed::default());
    feed.push(b"hello\n");
    feed.finish();
    fixture.handle.feed(conn, feed);
    let mut all = String::new();
    old.read_to_string(&mut all).expect("the end of the connection");
    assert!(!all.contains("chunked") && all.ends_with("\"more\":false}\n"), "{all}");
}

#[test]
fn a_client_that_has_closed_its_half_gets_its_answer_and_one_that_follows_has_gone() {
    let fixture = Fixture::new(&[]);
    let mut client = fixture.remote();
    client.write_all(LIVE.as_bytes()).expect("it reads");
    client.shutdown(Shutdown::Write).expect("open");
    assert_eq!(answer(&mut client).0, 200);
    assert!(is_closed(&mut client));
    let mut follows = fixture.local();
    follows.write_all(command(r#"{"command":"events"}"#).as_bytes()).expect("it reads");
    follows.shutdown(Shutdown::Write).expect("open");
    assert!(is_closed(&mut follows));
}

#[test]
fn a_flood_of_the_network_locks_nobody_of_this_machine_out() {
    let limits = Limits { connections: 64, per_user: 64, remote: 4, stall_timeout: TEST_TIMEOUT, grace: TEST_TIMEOUT };
    let fixture = Fixture::with_limits(&[], limits);
    // Each of them keeps half a request.
    let mut half: Vec<TcpStream> = (0..4).map(|_| fixture.remote()).collect();
    half.iter_mut().for_each(|client| client.write_all(b"GET /livez HT").expect("it reads"));
    let mut local = fixture.local();
    local.write_all(LIVE.as_bytes()).expect("it reads");
    assert_eq!(answer(&mut local).0, 200);
    // Whoever comes takes the place of the first of them, without waiting for its grace; the others are still served.
    let mut next = fixture.remote();
    next.write_all(LIVE.as_bytes()).expect("it reads");
    assert_eq!(answer(&mut next).0, 200);
    assert!(is_closed(&mut half.remove(0)));
    for client in &mut half {
        client.write_all(b"TP/1.1\r\nHost: localhost\r\n\r\n").expect("it reads");
        assert_eq!(answer(client).0, 200);
    }
    // They are idle now: one of them makes room.
    let mut next = fixture.remote();
    next.write_all(LIVE.as_bytes()).expect("it reads");
    assert_eq!(answer(&mut next).0, 200);
}

#[test]
fn a_shutdown_writes_what_was_answered_and_ends_streams() {
    let fixture = Fixture::new(&[]);
    let mut follows = fixture.local();
    follows.write_all(command(r#"{"command":"events"}"#).as_bytes()).expect("it reads");
    fixture.next_asked();
    let mut idle = fixture.remote();
    idle.write_all(LIVE.as_bytes()).expect("it reads");
    assert_eq!(answer(&mut idle).0, 200);
    let begin = Instant::now();
    fixture.handle.shutdown(TEST_TIMEOUT);
    assert!(is_closed(&mut idle) && is_closed(&mut follows));
    assert!(begin.elapsed() < TEST_TIMEOUT / 2);
}
