//! Clients that do what they can to hold up the daemon: no program notices.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::harness::{Daemon, wait_until};
use crate::http::{ask, free_port, get, local, remote};

/// Half requests, of which one more byte comes now and then.
const SLOW: usize = 500;
/// Clients that follow what happens, and take it.
const FOLLOWING: usize = 100;
const ROUNDS: usize = 20;
const RESTARTS: usize = 40;

/// Everything that a crowd holds open, and the threads that keep it busy.
struct Crowd {
    held: Vec<TcpStream>,
    silent: Vec<UnixStream>,
    threads: Vec<JoinHandle<()>>,
    is_over: Arc<AtomicBool>,
}

impl Crowd {
    fn new(daemon: &Daemon, port: u16) -> Crowd {
        let mut crowd = Crowd { held: Vec::new(), silent: Vec::new(), threads: Vec::new(), is_over: Arc::default() };
        let events = "GET /api/v1/events HTTP/1.1\r\nHost: x\r\n\r\n";
        for _ in 0..FOLLOWING {
            let mut stream = local(daemon);
            stream.write_all(events.as_bytes()).expect("it reads");
            stream.set_read_timeout(None).expect("no time-out");
            crowd.silent.push(stream.try_clone().expect("a descriptor"));
            let drain = move || while stream.read(&mut [0; 4096]).is_ok_and(|count| count > 0) {};
            crowd.threads.push(std::thread::Builder::new().stack_size(64 * 1024).spawn(drain).expect("a thread"));
        }
        // It asks for more than fits the socket, and takes nothing of it.
        for request in [events.to_owned(), "GET /api/v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n".repeat(200)] {
            let mut stream = local(daemon);
            stream.write_all(request.as_bytes()).expect("it reads");
            crowd.silent.push(stream);
        }
        for number in 0..SLOW {
            // Most are turned away, or make room for the next ones.
            let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { continue };
            let begin: &[u8] = match number % 3 {
                0 => b"GET /livez HTTP/1.1\r\nHost: loc",
                // The first record of TLS, and then nothing.
                1 => b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
                _ => b"POST /RPC2 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000\r\n\r\n<",
            };
            let _ = stream.write_all(begin);
            crowd.held.push(stream);
        }
        let is_over = Arc::clone(&crowd.is_over);
        crowd.threads.push(std::thread::spawn(move || {
            let body = vec![b'x'; 10 * 1024 * 1024];
            while !is_over.load(Ordering::Relaxed) {
                let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { continue };
                let head = "POST /RPC2 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10485760\r\n\r\n";
                let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
                if stream.write_all(head.as_bytes()).is_ok() {
                    let _ = stream.write_all(&body);
                    let _ = stream.read(&mut [0; 4096]);
                }
                // What it costs to make and send such a body is ours, not the daemon's.
                std::thread::sleep(Duration::from_millis(100));
            }
        }));
        crowd
    }

    /// One more byte of each request that is still open.
    fn drip(&mut self) {
        self.held.retain_mut(|stream| stream.write_all(b"x").is_ok());
    }

    fn end(mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.silent.iter().for_each(|stream| drop(stream.shutdown(std::net::Shutdown::Both)));
        self.threads.drain(..).for_each(|thread| thread.join().expect("no panic"));
    }
}

fn median(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(0.0, Duration::as_secs_f64)
}

#[test]
fn programs_crash_and_restart_as_fast_beside_a_crowd_as_without_one() {
    let port = free_port();
    let program = "[program:web]\ncommand = sleep 1000\nstartsecs = 0\n\
        [program:crash]\ncommand = sleep 1000\nstartsecs = 0\nautorestart = true\n";
    let with = Daemon::start(&format!("{program}[http]\nlisten = 127.0.0.1:{port}\n"));
    let without = Daemon::start(program);
    let mut crowd = Crowd::new(&with, port);
    let restart = |daemon: &Daemon| {
        let begun = Instant::now();
        daemon.controller().restart_process("web", true).expect("it is restarted");
        begun.elapsed()
    };
    // One after the other, so that both meet the same load; a round that a busy machine spoils is done again.
    let mut ratios = Vec::new();
    while ratios.len() < ROUNDS && ratios.last().is_none_or(|ratio| *ratio > 1.05) {
        crowd.drip();
        let (mut of_with, mut of_without): (Vec<Duration>, Vec<Duration>) =
            (0..RESTARTS).map(|_| (restart(&with), restart(&without))).unzip();
        ratios.push(median(&mut of_with) / median(&mut of_without));
    }
    println!("restart beside a crowd / without: {ratios:?}");
    // A debug build writes events ten times as slowly; what is held up is held up by far more than that.
    let most = if cfg!(debug_assertions) { 1.5 } else { 1.05 };
    assert!(ratios.iter().any(|ratio| *ratio <= most), "{ratios:?}");
    // One that crashes comes back, whoever is connected.
    let before = with.status("crash").pid.expect("it runs");
    with.signal_to("crash", Signal::SIGKILL);
    wait_until("it was started again", || with.status("crash").pid.is_some_and(|pid| pid != before));
    let (status, _) = ask(local(&with), "GET /livez HTTP/1.0\r\n\r\n");
    assert_eq!(status, 200, "on the local socket there is always room");
    crowd.end();
    wait_until("there is room again", || {
        let mut answer = String::new();
        let mut stream = remote(port);
        let _ = stream.write_all(b"GET /livez HTTP/1.0\r\n\r\n");
        stream.read_to_string(&mut answer).is_ok() && answer.starts_with("HTTP/1.1 200 ")
    });
    without.terminate();
    let log = with.terminate();
    assert!(!log.contains("a panic"), "{log}");
}

/// More than may be connected over the network at a time.
const STRANGERS: usize = 200;

/// An orchestrator that gets no answer kills the whole container.
#[test]
fn a_probe_is_answered_while_strangers_hold_all_places_of_the_network() {
    let port = free_port();
    let daemon = Daemon::start(&format!(
        "[program:web]\ncommand = sleep 1000\n\
         [http]\nlisten = 127.0.0.1:{port}\nusername = alice\npassword = word\nprobes = open\n"
    ));
    let wrong = "GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic YWxpY2U6eA==\r\n\r\n";
    for (who, said) in [("nothing", ""), ("half a head", "GET / HTT"), ("a wrong password", wrong)] {
        let strangers: Vec<TcpStream> = (0..STRANGERS)
            .map(|_| {
                let mut stream = remote(port);
                // Whose place another one has taken can't write any more.
                let _ = stream.write_all(said.as_bytes());
                stream
            })
            .collect();
        let (status, answer) = ask(remote(port), &get("/livez"));
        assert_eq!(status, 200, "strangers have said {who}: {answer}");
        drop(strangers);
    }
    daemon.terminate();
}
