//! A whole stack of real servers, as `packaging/examples/stack.sh` sets it up: started in order, crashed at random, stopped in
//! the reverse order. Its name has it begin first, because it lasts longest: tests begin in the order of their names.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{Daemon, TEST_TIMEOUT, wait_until};
use crate::servers::free_port;

const SERVERS: [&str; 4] = ["db", "cache", "app", "web"];

/// The servers that the stack consists of are there; with a word about it where they are not.
fn is_installed() -> bool {
    let postgres = fs::read_dir("/usr/lib/postgresql").is_ok_and(|mut versions| versions.next().is_some());
    let missing: Vec<&str> =
        [("/usr/sbin/nginx", "nginx"), ("/usr/bin/redis-server", "redis-server"), ("/usr/bin/python3", "python3")]
            .iter()
            .filter(|(path, _)| !Path::new(path).exists())
            .map(|(_, name)| *name)
            .chain((!postgres).then_some("postgresql"))
            .collect();
    if !missing.is_empty() {
        assert!(std::env::var_os("SUPERVICE_TEST_REQUIRE").is_none(), "{missing:?} are not installed");
        println!("SKIPPED: {missing:?} are not installed");
    }
    missing.is_empty()
}

fn ports() -> [u16; 4] {
    [(); 4].map(|()| free_port())
}

/// What the proxy answers to a visit.
fn visit(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(TEST_TIMEOUT)).ok()?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer.rsplit("\r\n").next()?.trim().to_owned())
}

/// Seconds since midnight of the last line with this text: `2026-11-29 12:16:02.558 …`, `2026/11/29 12:16:02 …`, or with the day
/// and month in words as Redis writes them.
fn time_of(log: &str, text: &str) -> f64 {
    let line = log.lines().rev().find(|line| line.contains(text)).unwrap_or_else(|| panic!("no '{text}' in\n{log}"));
    let clock = line.split([' ', 'T']).find(|word| word.matches(':').count() == 2).expect("a time of day");
    clock.split(':').fold(0.0, |sum, part| sum * 60.0 + part.parse::<f64>().expect("a number"))
}

/// Where the day has ended between two of them, what is early belongs to the next one.
fn over_midnight(times: &mut [f64]) {
    const DAY: f64 = 86_400.0;
    if times.iter().any(|time| *time > DAY * 0.75) {
        times.iter_mut().filter(|time| **time < DAY * 0.25).for_each(|time| *time += DAY);
    }
}

#[test]
fn a_stack_of_real_servers_starts_in_order_survives_crashes_and_stops_in_reverse() {
    if !is_installed() {
        return;
    }
    let mut daemon = Daemon::unstarted(tempfile::tempdir().expect("a directory"));
    let [db, cache, app, web] = ports().map(|port| port.to_string());
    let mut command = Command::new("bash");
    command
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/examples/stack.sh"))
        .env("SUPERVICE", env!("CARGO_BIN_EXE_supervice"))
        .env("STACK_DIR", daemon.dir.path())
        .env("STACK_SOCKET", daemon.path("ctl.sock"))
        .envs([("STACK_DB", &db), ("STACK_CACHE", &cache), ("STACK_APP", &app), ("STACK_WEB", &web)]);
    daemon.launch(command);
    wait_until("it answers", || daemon.controller().status().is_ok());
    let port: u16 = web.parse().expect("a port");
    let all_run = || SERVERS.iter().all(|name| daemon.status(name).state == "RUNNING");
    wait_until("all of it runs", all_run);
    assert_eq!(visit(port).as_deref(), Some("visit 1"));
    assert_eq!(daemon.ctl(&["start", "nightly"]).0, 0);
    assert!(daemon.read("data/nightly.sql").contains("CREATE TABLE public.visits"));
    let migration = daemon.status("migration").restarts;

    // Two hundred where all that can be tested is; a few are enough to see that it works.
    let wanted = if std::env::var_os("SUPERVICE_TEST_REQUIRE").is_some() { 200 } else { 10 };
    let (mut seed, mut crashes) = (u64::from(std::process::id()) | 1, 0);
    while crashes < wanted {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Two to four of them.
        let mut victims: BTreeSet<&str> = BTreeSet::new();
        victims.extend((0..4).filter(|place| (seed >> (33 + place)) & 1 == 1).map(|place: usize| SERVERS[place]));
        let first = (seed >> 40) as usize;
        victims.extend([SERVERS[first % 4], SERVERS[(first + 1) % 4]]);
        // A crash within a second is a failed attempt, of which there may be few.
        wait_until("they have lived for a second", || victims.iter().all(|name| daemon.status(name).uptime >= Some(1)));
        let before: Vec<_> = victims.iter().map(|name| (*name, daemon.status(name).pid)).collect();
        for pid in before.iter().filter_map(|(_, pid)| *pid) {
            // The death of one of them may have ended the next one.
            crashes += usize::from(kill(Pid::from_raw(pid), Signal::SIGKILL).is_ok());
        }
        wait_until(&format!("{before:?} are back"), || {
            all_run() && before.iter().all(|(name, pid)| daemon.status(name).pid.is_some_and(|now| Some(now) != *pid))
        });
    }
    wait_until("visits are counted", || visit(port).is_some_and(|answer| answer.starts_with("visit ")));
    assert_eq!(daemon.status("migration").restarts, migration, "a crash of its database runs no migration again");

    daemon.signal(Signal::SIGTERM);
    assert!(daemon.wait().success(), "{}", daemon.log());
    let mut ends = [
        time_of(&daemon.read("web.log"), "exit"),
        // nginx writes whole seconds.
        time_of(&daemon.read("app.log"), "app ends").max(time_of(&daemon.read("web.log"), "exit")),
        time_of(&daemon.read("db.log"), "received fast shutdown request"),
    ];
    let mut others = [time_of(&daemon.read("app.log"), "app ends"), time_of(&daemon.read("cache.log"), "bye bye")];
    [&mut ends[..], &mut others].into_iter().for_each(over_midnight);
    assert!(ends.is_sorted(), "web, app and db end at {ends:?}");
    assert!(others.is_sorted(), "app and the cache end at {others:?}");
    assert!(daemon.read("db.log").contains("database system is shut down"));
}
