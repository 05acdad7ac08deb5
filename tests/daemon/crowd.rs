//! Many clients at once: each gets its own answers, in their order and in time.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use supervice::client::Terms;

use crate::harness::{Daemon, TEST_TIMEOUT, wait_until};

const CLIENTS: usize = 200;
const ROUNDS: usize = 20;
const PROGRAMS: usize = 20;

fn sections() -> String {
    let program = |number| format!("[program:p{number}]\ncommand = sleep 1000\nstartsecs = 0\n");
    (0..PROGRAMS).map(program).collect()
}

/// A connection that asks one thing after the other.
struct Client(UnixStream);

impl Client {
    fn connect(daemon: &Daemon) -> Client {
        let stream = UnixStream::connect(daemon.path("ctl.sock")).expect("it listens");
        stream.set_read_timeout(Some(TEST_TIMEOUT)).expect("a socket");
        Client(stream)
    }

    fn send(&mut self, request: &Value) {
        let body = request.to_string();
        let length = u32::try_from(body.len()).expect("short").to_be_bytes();
        self.0.write_all(&[&length[..], body.as_bytes()].concat()).expect("it reads");
    }

    fn receive(&mut self) -> Value {
        let mut header = [0; 4];
        self.0.read_exact(&mut header).expect("an answer in time");
        let mut body = vec![0; u32::from_be_bytes(header) as usize];
        self.0.read_exact(&mut body).expect("the rest of it");
        serde_json::from_slice(&body).expect("JSON")
    }
}

#[test]
fn two_hundred_clients_at_once_get_their_answers_and_none_starves() {
    let daemon = Daemon::start(&sections());
    wait_until("all run", || daemon.all().iter().all(|process| process.state == "RUNNING"));
    let pids: Vec<i32> = daemon.all().iter().filter_map(|process| process.pid).collect();
    let begin = Barrier::new(CLIENTS);
    let begun = Instant::now();
    let slowest = std::thread::scope(|scope| {
        let client = |number: usize| {
            let (daemon, pids, begin) = (&daemon, &pids, &begin);
            move || {
                let mut client = Client::connect(daemon);
                let own = number % PROGRAMS;
                let name = format!("p{own}");
                begin.wait();
                let mut slowest = Duration::ZERO;
                for round in 0..ROUNDS {
                    let asked = Instant::now();
                    // Sent without waiting, so that an answer to another's request would be noticed.
                    client.send(&json!({"command": "pid", "name": name}));
                    client.send(&json!({"command": "start", "name": name}));
                    client.send(&json!({"command": "start", "name": format!("nobody {number}-{round}")}));
                    client.send(&json!({"command": "status"}));
                    assert_eq!(client.receive()["pid"], pids[own]);
                    assert_eq!(client.receive()["message"], format!("{name} is already running"));
                    assert_eq!(client.receive()["message"], format!("no process 'nobody {number}-{round}'"));
                    let status = client.receive();
                    let all = status["processes"].as_array().expect("a list");
                    assert!((0..PROGRAMS).all(|n| all[n]["name"] == format!("p{n}") && all[n]["pid"] == pids[n]));
                    slowest = slowest.max(asked.elapsed());
                }
                slowest
            }
        };
        let threads: Vec<_> = (0..CLIENTS).map(|number| scope.spawn(client(number))).collect();
        threads.into_iter().map(|thread| thread.join().expect("the right answers")).max().unwrap_or_default()
    });
    // A round of everybody is 800 requests: what takes longer than this, and as long as half of all rounds, waited for more than
    // its turn.
    let all = begun.elapsed();
    assert!(slowest < (all / 2).max(Duration::from_secs(10)), "somebody waited for {slowest:?} of {all:?}");
    daemon.terminate();
}

/// Each of two hundred commands one process, while the others do the same: every answer is the state that was reached.
#[test]
fn two_hundred_clients_command_their_own_processes() {
    let daemon = Daemon::start(&format!(
        "[program:p]\ncommand = sleep 1000\nnumprocs = {CLIENTS}\nstartsecs = 0\nautostart = false\n"
    ));
    let names: Vec<String> = daemon.all().into_iter().map(|process| process.name).collect();
    std::thread::scope(|scope| {
        for name in &names {
            let controller = daemon.controller();
            scope.spawn(move || {
                let mine = || controller.pid(Some(name));
                assert_eq!(controller.start_process(name).expect("start"), format!("Started {name}"));
                let first = mine().expect("it runs");
                assert_eq!(controller.restart_process(name, false).expect("restart"), format!("Restarted {name}"));
                assert_ne!(mine().expect("it runs"), first);
                assert_eq!(controller.kill_process(name, Terms::default()).expect("kill"), format!("Killed {name}"));
                assert!(mine().is_err());
            });
        }
    });
    assert!(daemon.all().iter().all(|process| process.state == "STOPPED"));
    assert!(daemon.descendants().is_empty());
    daemon.terminate();
}
