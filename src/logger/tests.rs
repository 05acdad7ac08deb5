use std::fs;
use std::time::{Duration, Instant};

use super::file::LogFile;
use super::queue::{HARD_LIMIT_BYTES, LineQueue};
use super::*;
use crate::sys::testing::TEST_TIMEOUT;

#[test]
fn an_unknown_level_is_refused_with_those_that_are_known() {
    assert_eq!(parse_level("warn").unwrap(), LevelFilter::Warn);
    assert!(parse_level("loud").unwrap_err().to_string().contains("CRITICAL"));
}

#[test]
fn a_full_queue_drops_and_counts_and_never_waits() {
    let queue = LineQueue::default();
    let line = [b'x'; 1023];
    while queue.push(&[&line]) {}
    assert!(!queue.push(&[&line]));
    assert!(queue.is_busy());
    let batch = queue.next(Vec::new());
    assert_eq!(batch.bytes.len(), HARD_LIMIT_BYTES);
    assert_eq!(batch.lost, 2);
    assert!(queue.push(&[&line]));
    let (later, limit) = (Instant::now() + Duration::from_secs(2), Duration::from_secs(1));
    assert!(!queue.has_stalled(later, limit), "we ourselves may have been stopped all the time");
    assert!(queue.has_stalled(later + limit, limit));
    assert!(!queue.flush(Instant::now() + Duration::from_millis(1)));
}

/// A consumer on a thread of its own, which counts its batches.
fn consume(queue: &'static LineQueue, name: &str) -> std::sync::mpsc::Receiver<Vec<u8>> {
    let (taken, batches) = std::sync::mpsc::channel();
    let run = move || while taken.send(queue.next(Vec::new()).bytes).is_ok() {};
    crate::util::thread::spawn(name, 32 * 1024, run).unwrap();
    batches
}

#[test]
fn a_thread_that_defers_wakes_the_writer_at_the_end_and_a_large_batch_or_a_flush_does_at_once() {
    let queue: &'static LineQueue = Box::leak(Box::default());
    let batches = consume(queue, "deferred");
    let wait_asleep = || {
        let deadline = Instant::now() + TEST_TIMEOUT;
        while !queue.is_awaited() {
            assert!(Instant::now() < deadline, "it does not sleep");
            std::thread::yield_now();
        }
    };
    let next = || batches.recv_timeout(TEST_TIMEOUT).unwrap();
    wait_asleep();
    super::queue::defer_wakes();
    assert!(queue.push(&[b"one"]) && queue.push(&[b"two"]));
    assert!(batches.try_recv().is_err());
    assert!(super::queue::resume_wakes() && !super::queue::resume_wakes());
    queue.wake_deferred();
    assert_eq!(next(), b"one\ntwo\n");
    wait_asleep();
    super::queue::defer_wakes();
    assert!(queue.push(&[b"three"]) && queue.push(&[&[b'x'; 20_000]]));
    assert_eq!(next().len(), 6 + 20_001);
    wait_asleep();
    assert!(queue.push(&[b"four"]) && queue.flush(Instant::now() + TEST_TIMEOUT));
    assert_eq!(next(), b"four\n");
    wait_asleep();
    super::queue::defer_wakes();
    assert!(queue.push(&[b"five"]));
    let other = std::thread::spawn(|| queue.push(&[b"six"]));
    assert_eq!(next(), b"five\nsix\n", "who defers nothing wakes the writer for others");
    assert!(other.join().unwrap());
    wait_asleep();
    let deadline = Instant::now() + TEST_TIMEOUT;
    while batches.try_recv().is_err() {
        assert!(queue.push(&[b"seven"]) && Instant::now() < deadline, "a turn that takes long holds nothing back");
        std::thread::yield_now();
    }
    super::queue::resume_wakes();
}

/// Whoever waits for what is not written waits for it once.
#[test]
fn a_flush_that_has_given_up_is_not_tried_again_until_something_moves() {
    let begin = Instant::now();
    let far = begin + 10 * TEST_TIMEOUT;
    let (queue, abandoned) = (LineQueue::default(), LineQueue::default());
    assert!(queue.flush_while_it_moves(begin, 10 * TEST_TIMEOUT, far), "nothing is there");
    assert!(queue.push(&[b"line"]));
    assert!(!queue.flush_while_it_moves(begin, Duration::from_millis(1), far));
    assert!(!queue.flush_while_it_moves(begin, 10 * TEST_TIMEOUT, far));
    queue.progressed();
    assert!(!queue.flush_while_it_moves(begin, Duration::from_millis(1), far));
    assert!(abandoned.push(&[b"line"]));
    abandoned.abandon();
    assert!(!abandoned.push(&[b"line"]) && !abandoned.flush_while_it_moves(begin, 10 * TEST_TIMEOUT, far));
    assert!(begin.elapsed() < TEST_TIMEOUT);
}

#[test]
fn the_log_survives_what_happens_to_its_files() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("d.log");
    let mut file = LogFile::open(&path, 100, 2).unwrap();
    let line = |n: u32| format!("{n:03} {}\n", "x".repeat(40));
    let newest = |n: u32| fs::read_to_string(&path).unwrap_or_default().contains(&format!("{n:03} "));
    for n in 0..10 {
        file.write(line(n).as_bytes()).unwrap();
    }
    assert!(dir.path().join("d.log.1").exists());
    // Somebody removes a backup, creates another, removes the log itself.
    fs::remove_file(dir.path().join("d.log.1")).unwrap();
    for n in 10..20 {
        file.write(line(n).as_bytes()).unwrap();
    }
    fs::create_dir(dir.path().join("d.log.1")).or_else(|_| fs::remove_file(dir.path().join("d.log.1"))).unwrap();
    for n in 20..30 {
        file.write(line(n).as_bytes()).unwrap();
    }
    fs::remove_file(&path).unwrap();
    file.write(line(30).as_bytes()).unwrap();
    assert!(newest(30) || fs::read_to_string(dir.path().join("d.log.1")).is_ok_and(|text| text.contains("030 ")));
}

#[test]
fn many_lines_at_once_are_rotated_as_if_each_had_come_alone() {
    let batch: String = (0..40).map(|n| format!("{n} {}\n", "x".repeat(n * 7 % 61))).collect();
    for shared in [false, true] {
        let files = |by_line: bool| {
            let dir = tempfile::tempdir().unwrap();
            let mode = if shared { 0o777 } else { 0o755 };
            fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
            let path = dir.path().join("d.log");
            let mut file = LogFile::open(&path, 300, 20).unwrap();
            match by_line {
                true => batch.split_inclusive('\n').for_each(|line| file.write(line.as_bytes()).unwrap()),
                false => assert_eq!(write_batch(&mut file, batch.as_bytes(), 0), 0),
            }
            let numbered = (1..20).map(|number| dir.path().join(format!("d.log.{number}")));
            std::iter::once(path).chain(numbered).map_while(|path| fs::read_to_string(path).ok()).collect::<Vec<_>>()
        };
        let rotated = files(false);
        assert!(rotated.len() > 3 && rotated.iter().skip(1).all(|text| text.len() > 300), "{rotated:?}");
        assert_eq!(rotated, files(true));
        assert_eq!(rotated.iter().rev().map(String::as_str).collect::<String>(), batch, "shared: {shared}");
    }
}

#[test]
fn as_many_whole_lines_are_taken_as_there_is_room_for_and_one_at_least() {
    for (room, length) in [(0, 3), (2, 3), (3, 3), (5, 3), (6, 6), (9, 6), (100, 6)] {
        assert_eq!(whole_lines(b"ab\ncd\nefg", room), length, "{room}");
    }
    assert_eq!(whole_lines(b"abcdef", 2), 6, "without an end it is one line");
}

#[test]
fn a_log_that_is_a_link_stays_one_and_its_target_is_rotated() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("real")).unwrap();
    std::os::unix::fs::symlink("real/d.log", dir.path().join("d.log")).unwrap();
    let mut file = LogFile::open(&dir.path().join("d.log"), 100, 2).unwrap();
    for _ in 0..10 {
        file.write(&[b'x'; 60]).unwrap();
    }
    assert!(dir.path().join("d.log").is_symlink() && dir.path().join("real/d.log.2").exists());
    assert!(!dir.path().join("d.log.1").exists());
}

#[test]
fn where_others_can_write_it_is_rotated_too_and_no_link_of_theirs_is_followed() {
    use std::os::unix::fs::{chown, lchown, symlink};
    if !crate::sys::testing::is_root("where_others_can_write_it_is_rotated_too_and_no_link_of_theirs_is_followed") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let nobody = Some(65534);
    chown(dir.path(), nobody, nobody).unwrap();
    let (path, target) = (dir.path().join("d.log"), dir.path().join("target"));
    fs::write(&target, "precious").unwrap();
    let mut file = LogFile::open(&path, 100, 2).unwrap();
    let mut write = |number: u32| file.write(format!("{number:03} {}\n", "x".repeat(40)).as_bytes());
    for number in 0..10 {
        write(number).unwrap();
    }
    let size = |name: &str| fs::metadata(dir.path().join(name)).unwrap().len();
    assert!(["d.log.1", "d.log.2"].map(size).iter().all(|size| (100..200).contains(size)));
    assert!(!dir.path().join("d.log.3").exists());
    symlink(&target, dir.path().join("link")).unwrap();
    lchown(dir.path().join("link"), nobody, nobody).unwrap();
    fs::rename(dir.path().join("link"), &path).unwrap();
    assert!((10..20).any(|number| write(number).is_err()));
    assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
}

#[test]
fn a_device_is_never_renamed() {
    let mut file = LogFile::open(Path::new("/dev/null"), 10, 2).unwrap();
    for _ in 0..10 {
        file.write(b"0123456789\n").unwrap();
    }
    assert!(!Path::new("/dev/null.1").exists());
    let mut full = LogFile::open(Path::new("/dev/full"), 10, 2).unwrap();
    assert!(full.write(b"x\n").is_err());
}

#[test]
fn records_reach_the_file_whole_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("d.log");
    let logger = setup_logger("INFO", Some(&path), 0, 0).unwrap();
    for n in 0..1000 {
        log::info!(logger: logger, "record {n}\nwith a second line");
        log::debug!(logger: logger, "not this one");
    }
    assert!(flush(TEST_TIMEOUT));
    let text = fs::read_to_string(&path).unwrap();
    let mine: Vec<&str> = text.lines().filter(|line| line.contains("INFO  record")).collect();
    assert_eq!(mine.len(), 1000);
    assert!(mine.iter().enumerate().all(|(n, line)| line.ends_with(&format!("record {n}\\nwith a second line"))));
    assert!(!text.contains("not this one"));
    fs::rename(&path, dir.path().join("moved.log")).unwrap();
    reopen();
    log::info!(logger: logger, "after the move");
    assert!(flush(TEST_TIMEOUT));
    assert!(fs::read_to_string(&path).unwrap().contains("after the move"));
}

/// The console is the process's own: each of these runs in a process of its own, a copy of the test
/// program that is asked for `console_role` alone.
mod console {
    use std::io::{BufRead, BufReader, Read};
    use std::os::fd::OwnedFd;
    use std::process::{Child, Command, Stdio};
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use super::TEST_TIMEOUT;
    use crate::models::ProgramConfig;
    use crate::output::{Output, Settings};

    const ROLE: &str = "SUPERVICE_TEST_CONSOLE_ROLE";
    const LINES: usize = 300_000;
    const LOST: &str = "lines were lost here";

    fn start(role: &str) -> Child {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "logger::tests::console::console_role", "--nocapture", "--test-threads=1"])
            .env(ROLE, role)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// A program that writes `LINES` numbered lines to `/dev/stdout` while the daemon logs.
    #[test]
    fn console_role() {
        let Ok(role) = std::env::var(ROLE) else { return };
        crate::logger::setup_logger("INFO", None, 0, 0).unwrap();
        if role == "broken" {
            log::info!("the role begins");
            std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
            for n in 0..1000 {
                log::info!("record {n}");
            }
            assert!(crate::logger::flush(TEST_TIMEOUT));
            eprintln!("done");
            std::process::exit(0);
        }
        let (sender, notes) = crossbeam_channel::unbounded();
        let notify = Box::new(move |note| drop(sender.send(note)));
        let output = Output::start(Settings::default(), notify).unwrap();
        let mut config = ProgramConfig::new("p", "seq");
        config.stdout_logfile = Some("/dev/stdout".to_owned());
        output.configure(1, &Arc::new(config));
        let (reader, writer) = std::io::pipe().unwrap();
        let last = LINES.to_string();
        let mut child = Command::new("seq").arg(last).stdout(OwnedFd::from(writer)).spawn().unwrap();
        output.attach(1, 1, 1, Some(reader.into()), None);
        output.wake();
        while child.try_wait().unwrap().is_none() {
            log::info!("the daemon speaks");
            std::thread::sleep(Duration::from_millis(1));
        }
        output.leader_exited(1, 1);
        output.wake();
        notes.recv_timeout(TEST_TIMEOUT).unwrap();
        eprintln!("done");
        output.shutdown(TEST_TIMEOUT);
        std::process::exit(0);
    }

    /// Waits for `done` on the role's standard error.
    fn wait_done(child: &mut Child) {
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap() == "done"));
    }

    /// Numbers in order, whole lines only; returns how many numbers.
    fn check_lines(text: &str) -> usize {
        let mut last = 0;
        let mut count = 0;
        for line in text.lines() {
            if let Ok(number) = line.parse::<usize>() {
                assert!(number > last, "{number} after {last}");
                last = number;
                count += 1;
            } else {
                let known = ["INFO  the daemon speaks", LOST, "running 1 test", "test logger::tests"];
                assert!(line.is_empty() || known.iter().any(|part| line.contains(part)), "mixed line: {line:?}");
            }
        }
        count
    }

    #[test]
    fn a_console_that_is_read_loses_nothing_and_mixes_nothing() {
        let loses_nothing = |_| {
            let mut child = start("moves");
            let mut text = String::new();
            child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
            wait_done(&mut child);
            assert!(child.wait().unwrap().success());
            // The harness ends its last line with `...`, so that the first number may stand behind it.
            let is_whole = check_lines(&text) >= LINES - 1;
            assert!(is_whole || text.contains(LOST), "it does not say what was lost");
            is_whole
        };
        // Where we stand still for a second, the console is one that nobody reads.
        assert!((0..10).any(loses_nothing));
    }

    #[test]
    fn a_console_that_nobody_reads_holds_nobody_up() {
        let mut child = start("stalls");
        let begun = Instant::now();
        wait_done(&mut child);
        assert!(begun.elapsed() < 2 * TEST_TIMEOUT);
        let mut text = String::new();
        child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        assert!(child.wait().unwrap().success());
        assert!(check_lines(&text) < LINES);
        assert!(text.contains(LOST));
    }

    #[test]
    fn a_console_without_a_reader_is_survived() {
        let mut child = start("broken");
        // The harness has written its own lines by the time the role runs, and does not survive a broken pipe.
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains("the role begins")));
        drop(lines);
        drop(child.stdin.take());
        wait_done(&mut child);
        assert!(child.wait().unwrap().success());
    }
}
