use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

/// Bytes that look random, the same each time.
fn noise(count: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..count).map(|_| next()).collect()
}

/// The backups from the oldest on, then the file.
fn joined(log: &Path, backups: u32) -> Vec<u8> {
    let rotated = (1..=backups).rev().map(|n| PathBuf::from(format!("{}.{n}", log.display())));
    rotated.chain([log.to_owned()]).flat_map(|path| read(&path)).collect()
}

#[test]
fn rotation_keeps_every_byte_in_order() {
    let rig = Rig::new();
    let log = rig.path("x.log");
    let all = noise(3_000_000);
    rig.configure(1, Some(&log), |config| {
        config.stdout_logfile_maxbytes = 100_000;
        config.stdout_logfile_backups = 40;
    });
    let mut child = rig.attach(1, 1);
    for piece in all.chunks(77_777) {
        child.write_all(piece).unwrap();
    }
    let _ = rig.drain_to_file(1, 1);
    assert!(joined(&log, 40) == all, "the files differ from what was written");
}

#[test]
fn lines_stay_whole_across_rotation() {
    let rig = Rig::new();
    let log = rig.path("x.log");
    rig.configure(1, Some(&log), |config| {
        config.stdout_logfile_maxbytes = 1000;
        config.stdout_logfile_backups = 5;
    });
    let mut child = rig.attach(1, 1);
    for n in 0..200 {
        child.write_all(format!("line number {n}\n").as_bytes()).unwrap();
    }
    let _ = rig.drain_to_file(1, 1);
    for n in 1..=3 {
        let rotated = read(&rig.path(&format!("x.log.{n}")));
        assert!(rotated.starts_with(b"line") && rotated.ends_with(b"\n") && rotated.len() <= 1000);
    }
}

#[test]
fn the_bound_holds_at_every_moment() {
    let rig = Rig::new();
    let log = rig.path("x.log");
    let (maxbytes, backups) = (50_000_u64, 3_u32);
    rig.configure(1, Some(&log), |config| {
        config.stdout_logfile_maxbytes = maxbytes;
        config.stdout_logfile_backups = backups;
    });
    let dir = rig.dir.path().to_owned();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut most = 0;
            loop {
                let is_last = done.load(Ordering::Relaxed);
                let sizes = fs::read_dir(&dir).unwrap().flatten().filter_map(|entry| {
                    use std::os::unix::fs::MetadataExt;
                    let found = entry.metadata().ok()?;
                    assert!(found.len() <= maxbytes, "{:?} has {} bytes", entry.path(), found.len());
                    Some((found.ino(), found.len()))
                });
                // A file that is renamed while we look may be seen under both names.
                let sizes: std::collections::HashMap<u64, u64> = sizes.collect();
                most = most.max(sizes.values().sum());
                if is_last {
                    return most;
                }
            }
        });
        let mut child = rig.attach(1, 1);
        let line = [b"x".repeat(99), b"\n".to_vec()].concat();
        for _ in 0..100_000 {
            child.write_all(&line).unwrap();
        }
        let _ = rig.drain_to_file(1, 1);
        done.store(true, Ordering::Relaxed);
        let most: u64 = watcher.join().unwrap();
        assert!(most <= (u64::from(backups) + 1) * maxbytes, "{most} bytes");
        assert!(most > maxbytes, "the watcher has seen rotation");
    });
    assert!(!rig.path("x.log.4").exists());
}

#[test]
fn without_backups_the_file_is_emptied() {
    let rig = Rig::new();
    let log = rig.path("x.log");
    rig.configure(1, Some(&log), |config| {
        config.stdout_logfile_maxbytes = 100;
        config.stdout_logfile_backups = 0;
    });
    let mut child = rig.attach(1, 1);
    for n in 0..100 {
        child.write_all(format!("{n:09}\n").as_bytes()).unwrap();
    }
    let _ = rig.drain_to_file(1, 1);
    let text = read(&log);
    assert!(text.len() <= 100 && text.ends_with(b"000000099\n"));
    assert_eq!(fs::read_dir(rig.dir.path()).unwrap().count(), 1);
}

#[test]
fn two_streams_into_one_file_rotate_it_once() {
    let rig = Rig::new();
    let log = rig.path("both.log");
    for id in [1, 2] {
        rig.configure(id, Some(&log), |config| {
            config.stdout_logfile_maxbytes = 10_000;
            config.stdout_logfile_backups = 20;
        });
    }
    let (mut one, mut two) = (rig.attach(1, 1), rig.attach(2, 1));
    for _ in 0..1000 {
        one.write_all(b"one......\n").unwrap();
        two.write_all(b"two......\n").unwrap();
    }
    let (_, _) = (rig.drain_to_file(1, 1), rig.drain_to_file(2, 1));
    let all = joined(&log, 20);
    assert_eq!(all.len(), 20_000);
    assert_eq!(all.chunks(10).filter(|line| *line == b"one......\n").count(), 1000);
}

#[test]
fn a_rename_that_fails_loses_nothing_within_the_bound() {
    let rig = Rig::new();
    let log = rig.path("x.log");
    // A directory that is not empty stands where the backup should go.
    fs::create_dir_all(rig.path("x.log.1/in the way")).unwrap();
    fs::create_dir_all(rig.path("x.log.2/in the way")).unwrap();
    rig.configure(1, Some(&log), |config| {
        config.stdout_logfile_maxbytes = 50_000;
        config.stdout_logfile_backups = 2;
    });
    let mut child = rig.attach(1, 1);
    let line = b"0123456789012345678901234567890123456789012345678\n";
    for _ in 0..2000 {
        child.write_all(line).unwrap();
    }
    let _ = rig.drain_to_file(1, 1);
    assert_eq!(read(&log).len(), 100_000);
    for _ in 0..5000 {
        child.write_all(line).unwrap();
    }
    let _ = rig.drain_to_file(1, 1);
    assert!(read(&log).len() <= 150_000 && read(&log).ends_with(line));
}

#[test]
fn reopen_follows_logrotate() {
    let rig = Rig::new();
    let log = rig.path("x.log");
    rig.configure(1, Some(&log), |_| {});
    let mut child = rig.attach(1, 1);
    child.write_all(b"old\n").unwrap();
    let _ = rig.drain_to_file(1, 1);
    fs::rename(&log, rig.path("moved")).unwrap();
    rig.output.reopen();
    child.write_all(b"new\n").unwrap();
    let _ = rig.drain_to_file(1, 1);
    assert_eq!((read(&rig.path("moved")), read(&log)), (b"old\n".to_vec(), b"new\n".to_vec()));
}

#[test]
fn a_log_that_is_a_link_stays_one_and_its_target_is_rotated() {
    let rig = Rig::new();
    fs::create_dir(rig.path("real")).unwrap();
    std::os::unix::fs::symlink("real/x.log", rig.path("x.log")).unwrap();
    rig.configure(0, Some(&rig.path("x.log")), |config| {
        config.stdout_logfile_maxbytes = 100;
        config.stdout_logfile_backups = 2;
    });
    let mut child = rig.attach(0, 1);
    for number in 0..20 {
        child.write_all(format!("line {number:03} {}\n", "x".repeat(30)).as_bytes()).unwrap();
    }
    drop(child);
    rig.drain_to_file(0, 1);
    assert!(rig.path("x.log").is_symlink());
    let names = |dir: PathBuf| {
        let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names(rig.path("real")), ["x.log", "x.log.1", "x.log.2"]);
    assert_eq!(names(rig.dir.path().to_owned()), ["real", "x.log"], "nothing beside the link");
    assert!(read(&rig.path("real/x.log")).ends_with(format!("line 019 {}\n", "x".repeat(30)).as_bytes()));
}
