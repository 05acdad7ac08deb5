//! What only passing time brings about. The time is handed in.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::connection::WebConnection;
use super::gate::AccessGate;
use crate::api::WallClock;
use crate::control::connection::Served;
use crate::control::event_feed::EventFeed;
use crate::control::link::{Link, Stream};
use crate::control::peer::Who;

struct Fixture {
    web: WebConnection,
    link: Link,
    client: UnixStream,
    begin: Instant,
}

impl Fixture {
    fn new() -> Fixture {
        let (client, server) = UnixStream::pair().expect("a pair");
        server.set_nonblocking(true).expect("non-blocking");
        client.set_nonblocking(true).expect("non-blocking");
        let begin = Instant::now();
        let who = Who::at(std::os::fd::AsFd::as_fd(&server)).expect("somebody");
        let link = Link::new(Stream::Unix(mio::net::UnixStream::from_std(server)), begin);
        Fixture { web: WebConnection::new(Arc::new(AccessGate::default()), who, begin), link, client, begin }
    }

    fn at(&mut self, seconds: u64) -> Served {
        self.link.readable();
        let now = self.begin + Duration::from_secs(seconds);
        if self.web.deadline(&self.link).is_some_and(|deadline| deadline <= now)
            && !self.web.time_is_up(&mut self.link, now, clock())
        {
            return Served::Over;
        }
        self.web.serve(&mut self.link, now, clock(), &mut |_, _| {})
    }

    fn read(&mut self) -> String {
        let mut bytes = Vec::new();
        drop(self.client.read_to_end(&mut bytes));
        String::from_utf8(bytes).expect("text")
    }

    fn due_in(&self) -> Option<u64> {
        self.web.deadline(&self.link).map(|at| at.saturating_duration_since(self.begin).as_secs())
    }
}

fn clock() -> WallClock {
    WallClock::from(crate::sys::time::wall_clock())
}

#[test]
fn a_request_has_thirty_seconds_however_slowly_it_comes_and_is_told_so() {
    for accept in ["*/*", "text/html"] {
        let mut fixture = Fixture::new();
        let begin = format!("GET /livez HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\nX: ");
        fixture.client.write_all(begin.as_bytes()).expect("it reads");
        assert_eq!(fixture.at(0), Served::Lives);
        for second in 1..30 {
            fixture.client.write_all(b"x").expect("it reads");
            assert_eq!(fixture.at(second), Served::Lives);
        }
        assert_eq!((fixture.due_in(), fixture.read().as_str()), (Some(30), ""));
        fixture.at(30);
        let told = fixture.read();
        assert!(told.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{told}");
        let is_json = told
            .ends_with(r#"{"status":"error","code":"TIMEOUT","message":"the request did not come whole within 30 s"}"#);
        assert_eq!(is_json, accept == "*/*", "{told}");
        assert!(
            is_json || told.ends_with("408 Request Timeout: the request did not come whole within 30 s\n"),
            "{told}"
        );
    }
}

#[test]
fn server_sent_events_say_that_the_connection_lives_and_other_streams_do_not() {
    let mut fixture = Fixture::new();
    fixture.client.write_all(b"GET /api/v1/events HTTP/1.1\r\nHost: x\r\n\r\n").expect("it reads");
    fixture.at(0);
    assert_eq!(fixture.due_in(), None, "the dispatcher answers in its own time");
    let feed = Arc::new(EventFeed::default());
    fixture.web.feed(feed);
    fixture.at(5);
    assert!(fixture.read().ends_with("\r\n\r\nd\r\n: supervice\n\n\r\n"));
    assert_eq!(fixture.due_in(), Some(25));
    fixture.at(24);
    assert_eq!(fixture.read(), "");
    fixture.at(25);
    assert_eq!((fixture.read().as_str(), fixture.due_in()), ("3\r\n:\n\n\r\n", Some(45)));
    let mut fixture = Fixture::new();
    fixture.client.write_all(b"GET /logtail/web HTTP/1.1\r\nHost: x\r\n\r\n").expect("it reads");
    fixture.at(0);
    assert_eq!(fixture.due_in(), None);
}

#[test]
fn a_client_that_does_not_take_its_events_is_given_up() {
    let mut fixture = Fixture::new();
    fixture
        .client
        .write_all(b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n".repeat(100).as_slice())
        .expect("it reads");
    while fixture.at(0) == Served::Unfinished {}
    assert_eq!(fixture.due_in(), Some(30), "more is to be written than the socket takes");
    assert_eq!(fixture.at(30), Served::Over);
}
