use nix::sys::stat::Mode;

use super::*;
use crate::models::{OutputRecovery, OutputTroubleKind, RecoveryCause};

#[test]
fn a_full_disk_never_stops_the_child_nor_other_logs() {
    let rig = Rig::new();
    let log = rig.path("fine.log");
    rig.configure(1, Some(Path::new("/dev/full")), |_| {});
    rig.configure(2, Some(&log), |_| {});
    let (mut full, mut fine) = (rig.attach(1, 1), rig.attach(2, 1));
    for _ in 0..100_000 {
        full.write_all(b"into the void\n").unwrap();
    }
    assert!(rig.trouble().contains("/dev/full: No space left on device"));
    fine.write_all(b"fine\n").unwrap();
    wait_until("the other log", || read(&log) == b"fine\n");
    assert!(rig.notes.try_recv().is_err(), "said once");
}

/// Whoever is told of the trouble would be in it for ever.
#[test]
fn trouble_with_a_log_is_over_when_the_stream_goes_elsewhere() {
    let rig = Rig::new();
    let log = rig.path("x.log");
    rig.configure(1, Some(Path::new("/dev/full")), |_| {});
    let mut child = rig.attach(1, 1);
    child.write_all(b"lost\n").unwrap();
    assert!(rig.trouble().contains("/dev/full: No space left on device"));
    rig.configure(1, Some(&log), |_| {});
    let (kind, cause) = (OutputTroubleKind::Write, RecoveryCause::Moved);
    let recovery = OutputRecovery { kind, cause, lost_bytes: 5 };
    assert_eq!(rig.note(), Note::Recovered { program: 1, stream: StreamKind::Stdout, recovery });
    child.write_all(b"kept\n").unwrap();
    wait_until("the new log", || read(&log) == b"kept\n");
}

#[test]
fn the_end_of_trouble_with_a_shared_log_is_told_to_whom_it_was_told() {
    let rig = Rig::new();
    let dir = rig.path("logs");
    let log = dir.join("x.log");
    rig.configure(1, Some(&log), |_| {});
    rig.configure(2, Some(&log), |_| {});
    let mut first = rig.attach(1, 1);
    assert!(rig.trouble().contains("x.log"), "there is no directory");
    let mut second = rig.attach(2, 1);
    first.write_all(b"lost\n").unwrap();
    let _ = rig.drain_to_file(1, 1);
    fs::create_dir(&dir).unwrap();
    let end = Instant::now() + TEST_TIMEOUT;
    let told = loop {
        assert!(Instant::now() < end, "no recovery in time");
        second.write_all(b"still here\n").unwrap();
        if let Ok(note) = rig.notes.recv_timeout(Duration::from_millis(20)) {
            break note;
        }
    };
    let Note::Recovered { program: 1, recovery: OutputRecovery { lost_bytes: 5.., .. }, .. } = told else {
        panic!("{told:?}")
    };
}

#[test]
fn a_rotation_that_fails_is_told_once_and_so_is_its_end() {
    let rig = Rig::new();
    let (log, backup) = (rig.path("x.log"), rig.path("x.log.1"));
    fs::create_dir_all(backup.join("occupied")).unwrap();
    rig.configure(1, Some(&log), |config| {
        (config.stdout_logfile_maxbytes, config.stdout_logfile_backups) = (100, 1);
    });
    let mut child = rig.attach(1, 1);
    let write = |child: &mut PipeWriter| (0..100).for_each(|_| child.write_all(b"a line\n").unwrap());
    write(&mut child);
    let Note::Trouble { kind: OutputTroubleKind::Rotation, reason, .. } = rig.note() else { panic!("no trouble") };
    assert!(reason.starts_with("cannot rotate "), "{reason}");
    write(&mut child);
    rig.output.leader_exited(1, 1);
    rig.output.wake();
    assert!(matches!(rig.note(), Note::Drained { .. }), "it is told once");
    rig.await_writer(1);
    assert!(read(&log).len() <= 200);
    assert!(rig.notes.try_recv().is_err());
    fs::remove_dir_all(&backup).unwrap();
    write(&mut child);
    let (kind, cause) = (OutputTroubleKind::Rotation, RecoveryCause::Works);
    let recovery = OutputRecovery { kind, cause, lost_bytes: 0 };
    assert_eq!(rig.note(), Note::Recovered { program: 1, stream: StreamKind::Stdout, recovery });
    assert!(backup.is_file());
}

#[test]
fn an_unlinked_log_comes_back() {
    let rig = Rig::new();
    let log = rig.path("x.log");
    rig.configure(1, Some(&log), |_| {});
    let mut child = rig.attach(1, 1);
    child.write_all(b"one\n").unwrap();
    let _ = rig.drain_to_file(1, 1);
    fs::remove_file(&log).unwrap();
    wait_until("a new file", || {
        child.write_all(b"two\n").unwrap();
        log.exists()
    });
    child.write_all(b"three\n").unwrap();
    let _ = rig.drain_to_file(1, 1);
    assert!(read(&log).ends_with(b"three\n"));
    assert!(rig.notes.try_recv().is_err(), "nothing to be told");
}

#[test]
fn a_removed_directory_is_said_once_and_mended_by_itself() {
    let rig = Rig::new();
    let (dir, other) = (rig.path("logs"), rig.path("other.log"));
    fs::create_dir(&dir).unwrap();
    let log = dir.join("x.log");
    rig.configure(1, Some(&log), |_| {});
    rig.configure(2, Some(&other), |_| {});
    let (mut child, mut neighbour) = (rig.attach(1, 1), rig.attach(2, 1));
    child.write_all(b"one\n").unwrap();
    wait_until("the first line", || read(&log) == b"one\n");
    fs::remove_dir_all(&dir).unwrap();
    let end = Instant::now() + TEST_TIMEOUT;
    while rig.notes.is_empty() && Instant::now() < end {
        child.write_all(b"lost\n").unwrap();
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(rig.trouble().contains("x.log"));
    neighbour.write_all(b"untouched\n").unwrap();
    wait_until("the neighbour's line", || read(&other) == b"untouched\n");
    fs::create_dir(&dir).unwrap();
    assert!(rig.write_until_recovered(&mut child) > 0);
    assert!(read(&log).ends_with(b"still here\n"));
}

#[test]
fn a_file_that_became_a_directory_is_trouble_only_for_itself() {
    let rig = Rig::new();
    let log = rig.path("x.log");
    fs::create_dir(&log).unwrap();
    rig.configure(1, Some(&log), |_| {});
    let mut child = rig.attach(1, 1);
    assert!(rig.trouble().contains("Is a directory"));
    child.write_all(b"lost\n").unwrap();
    let _ = rig.drain_to_file(1, 1);
    fs::remove_dir(&log).unwrap();
    assert!(rig.write_until_recovered(&mut child) >= 5);
}

#[test]
fn a_fifo_without_a_reader_keeps_nobody_waiting() {
    let rig = Rig::new();
    let fifo = rig.path("fifo");
    nix::unistd::mkfifo(&fifo, Mode::from_bits_truncate(0o600)).unwrap();
    rig.configure(1, Some(&fifo), |config| config.stdout_logfile_maxbytes = 10);
    let mut child = rig.attach(1, 1);
    assert!(rig.trouble().contains("FIFO"));
    for _ in 0..20_000 {
        child.write_all(b"nobody reads this line\n").unwrap();
    }
    let reader = std::thread::spawn({
        let fifo = fifo.clone();
        move || fs::read(fifo).unwrap()
    });
    assert!(rig.write_until_recovered(&mut child) > 0);
    rig.output.shutdown(TEST_TIMEOUT);
    assert!(reader.join().unwrap().ends_with(b"still here\n"));
    assert!(!rig.path("fifo.1").exists(), "a FIFO is never rotated");
}

#[test]
fn bytes_are_bytes() {
    let rig = Rig::new();
    let log = rig.path("x.log");
    rig.configure(1, Some(&log), |_| {});
    let mut child = rig.attach(1, 1);
    let mut all = vec![0xff, 0, b'\r', 0xc3];
    all.resize(10_000_000, b'x');
    child.write_all(&all).unwrap();
    let last = rig.drain_to_file(1, 1).unwrap();
    assert!(last.len() <= 512);
    assert!(read(&log) == all);
}
