//! Nothing of what programs write is lost: numbered lines through rotations, restarts, crashes and clients that come and go.
//!
//! `SUPERVICE_LOSSLESS=10GB cargo test --release --test daemon lossless` is the full size; as much is needed in `TMPDIR`.

use std::fs::{self, File};
use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};

use supervice::client::{Amount, Controller, Follow};

use crate::harness::{Daemon, wait_until};

/// A line: twelve digits and a newline. All are of one length, so that what stands at an offset is known.
const LINE: u64 = 13;
const FIRST: u64 = 100_000_000_000;
/// The program's lines come in so many portions; a stop takes effect between two of them.
const PORTIONS: u64 = 64;

/// How many lines each portion has: 8 MB in all, if nothing else is asked for.
fn portion() -> u64 {
    let wanted = std::env::var("SUPERVICE_LOSSLESS").unwrap_or_else(|_| "8MB".to_owned());
    let (number, unit) = wanted.split_at(wanted.find(|c: char| !c.is_ascii_digit()).unwrap_or(wanted.len()));
    let unit = match unit {
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => panic!("SUPERVICE_LOSSLESS={wanted}: write a number with MB or GB"),
    };
    let bytes = unit * number.parse::<u64>().expect("a number of MB or GB");
    bytes / LINE / PORTIONS
}

/// Compares with the numbered lines from the beginning.
struct Expected {
    offset: u64,
    line: [u8; LINE as usize],
}

impl Expected {
    fn new() -> Expected {
        Expected::at(0)
    }

    fn at(offset: u64) -> Expected {
        let text = format!("{}\n", FIRST + offset / LINE);
        Expected { offset, line: text.as_bytes().try_into().expect("twelve digits") }
    }

    /// These bytes come next.
    fn check(&mut self, mut bytes: &[u8], whose: &str) {
        while !bytes.is_empty() {
            let within = usize::try_from(self.offset % LINE).expect("small");
            let count = bytes.len().min(self.line.len() - within);
            let (head, rest) = bytes.split_at(count);
            if head != &self.line[within..within + count] {
                let (got, wanted) = (String::from_utf8_lossy(&bytes[..bytes.len().min(60)]), &self.line[within..]);
                panic!("{whose}: {got:?} instead of {:?} at {}", String::from_utf8_lossy(wanted), self.offset);
            }
            self.offset += count as u64;
            if self.offset.is_multiple_of(LINE) {
                self.next_line();
            }
            bytes = rest;
        }
    }

    /// Counting in the digits themselves: gigabytes are compared.
    fn next_line(&mut self) {
        for digit in self.line.iter_mut().rev().skip(1) {
            if *digit < b'9' {
                *digit += 1;
                return;
            }
            *digit = b'0';
        }
    }

    /// So many bytes are not there.
    fn skip(&mut self, lost: u64) {
        if lost > 0 {
            *self = Expected::at(self.offset + lost);
        }
    }
}

/// Checks all that a follower gets, up to the byte `end`; how much of it was lost.
fn follow_to(pieces: Follow, end: u64, whose: &str) -> u64 {
    let (mut expected, mut lost) = (Expected::new(), 0);
    for piece in pieces {
        let piece = piece.expect("a piece");
        lost += piece.lost;
        expected.skip(piece.lost);
        expected.check(&piece.bytes, whose);
        if expected.offset >= end {
            break;
        }
    }
    assert_eq!(expected.offset, end, "{whose}: not all bytes, and no word of the others");
    lost
}

/// Clients that follow for a moment and leave in the middle of it.
fn come_and_go(controller: &Controller, over: &AtomicBool) {
    while !over.load(Ordering::SeqCst) {
        let mut pieces = controller.follow("n", false, Amount::Lines(3)).expect("followed");
        // The first piece comes at once, even when there is no output.
        pieces.next().expect("a piece").expect("a piece");
    }
}

/// It ends between two portions when it is asked to, and crashes twice: the daemon starts it again in both cases, and it goes
/// on with the next number.
fn script(portion: u64) -> String {
    format!(
        "stop=\ntrap 'stop=1' TERM\na=$(cat DIR/next)\n\
         while [ -z \"$stop\" ] && [ \"$a\" -lt {last} ]; do\n\
         b=$((a+{portion}))\n\
         if (trap '' TERM; seq \"$a\" $((b-1)) && echo \"$b\" > DIR/next.new && mv DIR/next.new DIR/next); then a=$b; fi\n\
         case $a in {crash_1}|{crash_2}) exit 1;; esac\n\
         done\nexit 0\n",
        last = FIRST + PORTIONS * portion,
        crash_1 = FIRST + 20 * portion,
        crash_2 = FIRST + 40 * portion,
    )
}

#[test]
fn lossless_through_rotations_restarts_crashes_and_clients() {
    let portion = portion();
    let total = portion * PORTIONS * LINE;
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().display().to_string();
    fs::write(dir.path().join("next"), format!("{FIRST}\n")).expect("a file");
    fs::write(dir.path().join("script"), script(portion).replace("DIR", &path)).expect("a file");
    let section = format!(
        "[program:n]\ncommand = sh DIR/script\nautostart = false\nautorestart = unexpected\nstartsecs = 0\n\
         stopwaitsecs = 600\nstdout_logfile = DIR/n.log\nstdout_logfile_maxbytes = {}\nstdout_logfile_backups = 60\n",
        total / 40
    );
    let daemon = Daemon::start_in(dir, &section, &[]);
    let controller = daemon.controller();
    let follow = || controller.follow("n", false, Amount::Lines(0)).expect("followed");
    let (reader, stalled) = (follow(), follow());
    let over = AtomicBool::new(false);
    let next = || daemon.read("next").trim().parse::<u64>().expect("a number") - FIRST;
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| follow_to(reader, total, "the follower that reads"));
        scope.spawn(|| come_and_go(&controller, &over));
        controller.start_process("n").expect("started");
        for round in 1..=6 {
            // Waits as long as it gets on.
            while next() < round * 10 * portion {
                let before = next();
                wait_until("it gets on", || next() > before);
            }
            controller.restart_process("n", false).expect("restarted");
        }
        while next() < PORTIONS * portion {
            let before = next();
            wait_until("it gets on", || next() > before);
        }
        daemon.wait_state("n", "EXITED");
        over.store(true, Ordering::SeqCst);
        let lost = reader.join().expect("the follower that reads");
        eprintln!("{total} bytes; the follower that reads missed {lost}, which it was told");
    });
    let lost = follow_to(stalled, total, "the stalled follower");
    assert!(lost > 0, "a stalled follower was waited for");
    wait_until("all is in the files", || files_length(&daemon) >= total);
    files_hold(&daemon, total);
    daemon.terminate();
}

fn files_length(daemon: &Daemon) -> u64 {
    let names = (1..=60).map(|number| format!("n.log.{number}")).chain(["n.log".to_owned()]);
    names.filter_map(|name| Some(fs::metadata(daemon.path(&name)).ok()?.len())).sum()
}

/// The rotated files, oldest first, and the present one are the lines, every byte of them.
fn files_hold(daemon: &Daemon, total: u64) {
    let rotated = (1..=60).rev().map(|number| daemon.path(&format!("n.log.{number}"))).filter(|path| path.exists());
    let files: Vec<_> = rotated.chain([daemon.path("n.log")]).collect();
    assert!(files.len() > 30, "it was rotated: {files:?}");
    let mut expected = Expected::new();
    let mut block = vec![0; 1 << 20];
    for path in &files {
        let mut file = File::open(path).expect("a log file");
        assert!(file.metadata().expect("a size").len() <= total / 40, "{} is too big", path.display());
        loop {
            let count = file.read(&mut block).expect("readable");
            if count == 0 {
                break;
            }
            expected.check(&block[..count], &path.display().to_string());
        }
    }
    assert_eq!(expected.offset, total, "bytes are missing at the end");
}

/// More than a pipe holds, after SIGTERM and just before the exit.
#[test]
fn lossless_between_sigterm_and_the_exit() {
    let dir = tempfile::tempdir().expect("a directory");
    let script =
        "trap 'seq 100000000000 100000199999; echo farewell; exit 0' TERM\necho up\nwhile :; do sleep 0.02; done\n";
    fs::write(dir.path().join("script"), script).expect("a file");
    let daemon = Daemon::start_in(dir, "[program:n]\ncommand = sh DIR/script\nstdout_logfile = DIR/n.log\n", &[]);
    wait_until("it is up", || daemon.read("n.log") == "up\n");
    daemon.controller().stop_process("n").expect("stopped");
    // The answer tells of processes; a disk may be slower.
    wait_until("all is written", || daemon.read("n.log").ends_with("farewell\n"));
    let text = daemon.read("n.log");
    let lines =
        text.strip_prefix("up\n").and_then(|text| text.strip_suffix("farewell\n")).expect("first and last line");
    let mut expected = Expected::new();
    expected.check(lines.as_bytes(), "after SIGTERM");
    assert_eq!(expected.offset, 200_000 * LINE);
    daemon.terminate();
}
