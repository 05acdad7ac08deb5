//! Rotated files that are compressed.

use std::os::unix::fs::MetadataExt;
use std::process::Command;

use super::*;

/// What is in the backups from the oldest on and in the file, whichever form they have. Nothing may be written
/// meanwhile.
fn joined(log: &Path, backups: u32) -> Vec<u8> {
    let mut all = Vec::new();
    for number in (1..=backups).rev() {
        let plain = PathBuf::from(format!("{}.{number}", log.display()));
        let compressed = PathBuf::from(format!("{}.gz", plain.display()));
        assert!(!(plain.exists() && compressed.exists()), "both forms of {number}");
        if compressed.exists() {
            let output = Command::new("gzip").arg("-dc").arg(&compressed).output().unwrap();
            assert!(output.status.success(), "{output:?}");
            all.extend_from_slice(&output.stdout);
        }
        all.extend_from_slice(&read(&plain));
    }
    all.extend_from_slice(&read(log));
    all
}

/// What the files take up; `None` where one was made, renamed or removed while they were looked at.
fn used(dir: &Path) -> Option<u64> {
    let look = || {
        let file = |entry: std::io::Result<fs::DirEntry>| {
            let (entry, name) = entry.and_then(|entry| Ok((entry.metadata()?, entry.file_name()))).ok()?;
            Some((name, entry))
        };
        fs::read_dir(dir).unwrap().map(file).collect::<Option<Vec<_>>>()
    };
    // A rename changes the time of the inode, as does what is written to the newest file.
    let identity = |(name, found): &(std::ffi::OsString, fs::Metadata)| {
        let is_written = name == "x.log" || name.to_string_lossy().ends_with(".unfinished");
        (name.clone(), found.ino(), (!is_written).then(|| (found.ctime(), found.ctime_nsec())))
    };
    let (before, after) = (look()?, look()?);
    let is_same = before.iter().map(identity).eq(after.iter().map(identity));
    is_same.then(|| before.iter().map(|(_, found)| found.len()).sum())
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn rotated_files_are_compressed_when_there_is_time_and_every_byte_is_there() {
    let rig = Rig::new();
    let log = rig.path("x.log");
    rig.configure(1, Some(&log), |config| {
        config.stdout_logfile_maxbytes = 100_000;
        config.stdout_logfile_backups = 8;
        config.stdout_logfile_compress = true;
    });
    let mut child = rig.attach(1, 1);
    let mut all = Vec::new();
    for round in 0..10 {
        let lines: Vec<u8> = (0..2000).flat_map(|n| format!("{round} {n} a line of the log\n").into_bytes()).collect();
        child.write_all(&lines).unwrap();
        all.extend_from_slice(&lines);
        let _ = rig.drain_to_file(1, 1);
        let plain = |name: &String| !name.ends_with(".gz") && name != "x.log";
        wait_until("all that is rotated is compressed", || !names(rig.dir.path()).iter().any(plain));
        assert!(used(rig.dir.path()).expect("it is at rest") <= 900_000);
    }
    assert!(joined(&log, 8) == all);
    assert!(rig.path("x.log.3.gz").exists() && used(rig.dir.path()).expect("it is at rest") < all.len() as u64);
}

#[test]
fn the_bound_holds_at_every_moment_while_files_are_compressed() {
    use std::sync::atomic::AtomicBool;
    let rig = Rig::new();
    let log = rig.path("x.log");
    rig.configure(1, Some(&log), |config| {
        config.stdout_logfile_maxbytes = 200_000;
        config.stdout_logfile_backups = 2;
        config.stdout_logfile_compress = true;
    });
    let mut child = rig.attach(1, 1);
    let done = AtomicBool::new(false);
    let most = std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut most = 0;
            while !done.load(Ordering::Acquire) {
                most = most.max(used(rig.dir.path()).unwrap_or(0));
            }
            most
        });
        for n in 0..40_000 {
            child
                .write_all(
                    format!("{n} {:x} a line that is not compressed to nothing\n", n * 2_654_435_761_u64).as_bytes(),
                )
                .unwrap();
        }
        let _ = rig.drain(1, 1);
        done.store(true, Ordering::Release);
        watch.join().unwrap()
    });
    assert!(most <= 600_000, "{most}");
}

#[test]
fn what_a_crash_has_left_behind_is_neither_believed_nor_kept() {
    let rig = Rig::new();
    let log = rig.path("x.log");
    fs::write(rig.path("x.log.gz.unfinished"), b"half").unwrap();
    fs::write(rig.path("x.log.1"), b"old\n".repeat(1000)).unwrap();
    rig.configure(1, Some(&log), |config| {
        config.stdout_logfile_maxbytes = 100_000;
        config.stdout_logfile_compress = true;
    });
    let mut child = rig.attach(1, 1);
    child.write_all(b"new\n").unwrap();
    wait_until("it is compressed", || names(rig.dir.path()) == ["x.log", "x.log.1.gz"]);
    wait_until("the line", || joined(&log, 1) == [b"old\n".repeat(1000), b"new\n".to_vec()].concat());
}

/// The room that is left beside full backups is less than a slice of the compression may need at worst.
#[test]
fn small_files_are_compressed_too() {
    let rig = Rig::new();
    let log = rig.path("x.log");
    rig.configure(1, Some(&log), |config| {
        config.stdout_logfile_maxbytes = 20_000;
        config.stdout_logfile_backups = 3;
        config.stdout_logfile_compress = true;
    });
    let mut child = rig.attach(1, 1);
    let all: Vec<u8> = (0..3250).flat_map(|n| format!("{n:06} a small log\n").into_bytes()).collect();
    child.write_all(&all).unwrap();
    let _ = rig.drain_to_file(1, 1);
    let wanted = ["x.log", "x.log.1.gz", "x.log.2.gz", "x.log.3.gz"];
    wait_until("all that is rotated is compressed", || names(rig.dir.path()) == wanted);
    assert!(joined(&log, 3) == all);
}
