//! Bounded for ever: restarts, reloads, rotations and clients leave nothing behind in the daemon.
//!
//! Five hundred rounds; `SUPERVICE_SOAK=100000 cargo test --release --test daemon soak -- --nocapture` for the full length.

use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use supervice::client::Amount;

use crate::harness::{Daemon, alive, open_fds, wait_until};

const PROGRAMS: usize = 4;
/// A log with two backups each, and the configuration, the socket, the pid file and the daemon's output.
const FILES: usize = 3 * PROGRAMS + 4;
/// What a heap may keep beside what it had, in KiB, however long it takes: 5 bytes a round at full length. Strings of
/// many lengths come and go in it and leave holes.
const SLACK_KIB: u64 = 512;
/// Descriptors that may be there besides: those through which children get theirs are made anew by the next spawn where a child
/// that was late has taken them along, and some are opened when they are needed first. What leaks does so at least once in fifty
/// rounds.
const SLACK_FDS: usize = 8;

fn sections(extra: bool) -> String {
    let mut text = String::new();
    for number in 0..PROGRAMS {
        // More than one file's worth at each start: every restart rotates.
        text.push_str(
            &format!(
                "[program:p{number}]\ncommand = sh -c 'echo {}; echo error >&2; exec sleep 1000'\nstartsecs = 0\n\
             stdout_logfile = DIR/p{number}.log\nstdout_logfile_maxbytes = 1000\nstdout_logfile_backups = 2\n",
                "x".repeat(1200)
            )
            .replace("; ", ";"),
        );
    }
    text.push_str(
        "[program:checked]\ncommand = sleep 1000\nstartsecs = 0\nhealthcheck_type = script\nhealthcheck_command = true\n\
         healthcheck_interval = 1\nhealthcheck_start_period = 0\n",
    );
    if extra {
        text.push_str("[program:extra]\ncommand = sleep 1000\nstartsecs = 0\n");
    }
    text
}

/// What must not grow.
#[derive(Debug, Clone, Copy)]
struct Footprint {
    fds: usize,
    threads: usize,
    history: usize,
    files: usize,
    /// Not PSS: that changes with whoever else runs the same binary.
    anonymous_kib: u64,
    dirty_kib: u64,
}

impl Footprint {
    fn of(daemon: &Daemon) -> Footprint {
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", daemon.pid())).expect("smaps_rollup");
        let kib = |key: &str| {
            let line = rollup.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
            line.trim_end_matches("kB").trim().parse().unwrap_or_else(|_| panic!("{key} in {rollup}"))
        };
        let count = |path: &std::path::Path| fs::read_dir(path).map(Iterator::count).unwrap_or(0);
        Footprint {
            fds: open_fds(daemon.pid()),
            threads: count(format!("/proc/{}/task", daemon.pid()).as_ref()),
            history: daemon.controller().history(None).expect("history").len(),
            files: count(daemon.dir.path()),
            anonymous_kib: kib("Anonymous:"),
            dirty_kib: kib("Private_Dirty:"),
        }
    }

    fn has_grown_since(&self, before: &Footprint) -> bool {
        self.fds > before.fds + SLACK_FDS
            || self.threads > before.threads
            || self.files > FILES
            || self.anonymous_kib > before.anonymous_kib + SLACK_KIB
            || self.dirty_kib > before.dirty_kib + SLACK_KIB
    }
}

fn round(daemon: &Daemon, number: usize) {
    let controller = daemon.controller();
    let name = format!("p{}", number % PROGRAMS);
    controller.restart_process(&name, number.is_multiple_of(3)).expect("it restarts");
    // A client that asks, one that leaves in the middle of its request, one that leaves before its answer.
    let mut rude = UnixStream::connect(daemon.path("ctl.sock")).expect("connect");
    match number % 3 {
        0 => drop(rude.write_all(&[0, 0, 1])),
        1 => drop(rude.write_all(b"\0\0\0\x14{\"command\":\"status\"}")),
        _ => drop(rude.write_all(b"\0\0\0\x04nope")),
    }
    drop(rude);
    assert!(controller.start_process("unknown").is_err());
    if number.is_multiple_of(5) {
        let extra = number.is_multiple_of(10);
        daemon.write_config(&sections(extra), &[]);
        let changes = controller.reload().expect("it reloads");
        assert_eq!((changes.added.len(), changes.removed.len()), (usize::from(extra), usize::from(!extra)));
    }
    if number.is_multiple_of(7) {
        let stream = controller.events(&[], 5).expect("events");
        let follow = controller.follow(&name, false, Amount::Lines(1)).expect("follow");
        controller.restart_process(&name, false).expect("it restarts");
        drop((stream, follow));
    }
    if number.is_multiple_of(50) {
        controller.clear(&name).expect("clear");
        controller.reopen().expect("reopen");
        controller.why(&name).expect("why");
    }
}

/// At rest, with the extra program gone: the smallest that is seen within some seconds.
fn settled(daemon: &Daemon, bound: Option<&Footprint>) -> Footprint {
    daemon.write_config(&sections(false), &[]);
    daemon.controller().reload().expect("it reloads");
    wait_until("all run", || daemon.all().iter().all(|process| process.state == "RUNNING"));
    let begin = Instant::now();
    let mut least = Footprint::of(daemon);
    let enough = |least: &Footprint| match bound {
        Some(before) => !least.has_grown_since(before) || begin.elapsed() > Duration::from_secs(20),
        None => begin.elapsed() > Duration::from_secs(2),
    };
    while !enough(&least) {
        std::thread::sleep(Duration::from_millis(50));
        let now = Footprint::of(daemon);
        least.fds = least.fds.min(now.fds);
        least.threads = least.threads.min(now.threads);
        least.files = least.files.min(now.files);
        least.anonymous_kib = least.anonymous_kib.min(now.anonymous_kib);
        least.dirty_kib = least.dirty_kib.min(now.dirty_kib);
    }
    least
}

/// What its descriptors are open to.
fn descriptors(pid: i32) -> Vec<String> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let target = |entry: fs::DirEntry| fs::read_link(entry.path()).map(|target| target.display().to_string());
    entries.filter_map(|entry| target(entry).ok()).collect()
}

#[test]
fn soak_leaves_nothing_behind() {
    let rounds =
        std::env::var("SUPERVICE_SOAK").ok().map_or(500, |text| text.parse().expect("SUPERVICE_SOAK: a number"));
    // The log of the test's daemon is a file of its own, which DEBUG would fill.
    let dir = tempfile::tempdir().expect("a directory");
    let daemon = Daemon::start_in(dir, &sections(false), &["loglevel = ERROR"]);
    let warm_up = 200.max(rounds / 50) / 10 * 10;
    for number in 0..warm_up {
        round(&daemon, number);
    }
    let before = settled(&daemon, None);
    let begin = Instant::now();
    for number in 0..rounds {
        round(&daemon, number);
    }
    let took = begin.elapsed();
    let after = settled(&daemon, Some(&before));
    println!("{rounds} rounds in {took:?}\nbefore {before:?}\nafter  {after:?}");
    assert!(
        !after.has_grown_since(&before),
        "after {rounds} rounds:\nbefore {before:?}\nafter  {after:?}\n{:#?}",
        descriptors(daemon.pid())
    );
    assert!(after.history <= 8 * (PROGRAMS + 2), "the history is bounded: {}", after.history);
    for number in 0..PROGRAMS {
        assert!(daemon.path(&format!("p{number}.log.2")).exists(), "p{number} has rotated its log");
    }
    let children: Vec<i32> = daemon.descendants().into_iter().filter(|pid| alive(*pid)).collect();
    assert!(children.len() <= PROGRAMS + 1 + 2, "children, and a health check or two: {children:?}");
    daemon.terminate();
}
