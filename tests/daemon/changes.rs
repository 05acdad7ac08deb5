//! `restart_on_change`, with the ways by which new versions of files come.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::harness::{Daemon, copy_executable, open_fds, wait_until, write_executable};

/// A directory with two releases of a deployment.
fn deploy(dir: &Path) {
    for release in ["1", "2"] {
        fs::create_dir_all(dir.join(release)).expect("a directory");
        fs::write(dir.join(release).join("app.conf"), release).expect("a file");
    }
    symlink("1", dir.join("current")).expect("a link");
}

/// A program that is watched for these, in such a directory.
fn deployed(watched: &str, keys: &str) -> Daemon {
    let dir = tempfile::tempdir().expect("a directory");
    deploy(dir.path());
    let program = format!("[program:app]\ncommand = sleep 300\nstartsecs = 0\nrestart_on_change = {watched}\n{keys}\n");
    let daemon = Daemon::start_in(dir, &program, &[]);
    daemon.wait_state("app", "RUNNING");
    wait_until("it is watched", || inotify_watches(daemon.pid()) > 0);
    daemon
}

/// What is watched by inotify descriptors of a process that watch for content.
fn inotify_watches(pid: i32) -> usize {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fdinfo")) else { return 0 };
    let texts = entries.flatten().filter_map(|entry| fs::read_to_string(entry.path()).ok());
    // IN_MODIFY and IN_CLOSE_WRITE.
    let masks = |text: &str| -> usize {
        let lines = text.lines().filter(|line| line.starts_with("inotify"));
        let mask = |line: &str| {
            let word = line.split(' ').find_map(|word| word.strip_prefix("mask:")).unwrap_or("0");
            u32::from_str_radix(word, 16).unwrap_or(0)
        };
        lines.filter(|line| mask(line) & 0xa == 0xa).count()
    };
    texts.map(|text| masks(&text)).sum()
}

/// Does this and waits until another run is there.
fn restarts(daemon: &Daemon, what: &str, change: impl FnOnce(&Path)) {
    let before = daemon.wait_state("app", "RUNNING").pid;
    change(daemon.dir.path());
    wait_until(&format!("{what} is followed by a restart"), || {
        let status = daemon.status("app");
        status.state == "RUNNING" && status.pid != before
    });
    wait_until("the new run is watched", || inotify_watches(daemon.pid()) > 0);
}

/// What is done in a directory with two releases.
type Change = fn(&Path);

/// Ways by which a new version comes.
const WAYS: [(&str, Change); 7] = [
    ("a file that is written", |dir| fs::write(dir.join("current/app.conf"), "written").expect("written")),
    ("a rename over it", |dir| {
        fs::write(dir.join("1/app.conf~"), "renamed").expect("written");
        fs::rename(dir.join("1/app.conf~"), dir.join("current/app.conf")).expect("renamed");
    }),
    ("a file that was away", |dir| {
        fs::remove_file(dir.join("current/app.conf")).expect("removed");
        std::thread::sleep(Duration::from_millis(50));
        fs::write(dir.join("current/app.conf"), "back").expect("written");
    }),
    ("a link that leads elsewhere", |dir| {
        symlink("2", dir.join("new")).expect("a link");
        fs::rename(dir.join("new"), dir.join("current")).expect("renamed");
    }),
    ("a directory that was exchanged", |dir| {
        fs::rename(dir.join("1"), dir.join("old")).expect("renamed");
        fs::rename(dir.join("2"), dir.join("1")).expect("renamed");
    }),
    ("an editor", |dir| {
        if Path::new("/usr/bin/vim").exists() {
            let edit = ["-es", "-c", "normal Gosaved", "-c", "wq"];
            let status = Command::new("vim").args(edit).arg(dir.join("current/app.conf")).status().expect("vim");
            assert!(status.success());
        } else {
            fs::write(dir.join("current/app.conf"), "saved").expect("written");
        }
    }),
    ("sed -i", |dir| {
        let edit = ["-i", "s/^/x/"];
        let status = Command::new("sed").args(edit).arg(dir.join("current/app.conf")).status().expect("sed");
        assert!(status.success());
    }),
];

#[test]
fn each_way_by_which_a_new_version_comes_is_followed_by_one_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut sections = String::new();
    for number in 0..WAYS.len() {
        deploy(&dir.path().join(number.to_string()));
        sections += &format!(
            "[program:app{number}]\ncommand = sleep 300\nstartsecs = 0\nrestart_on_change = DIR/{number}/current/app.conf\n"
        );
    }
    let daemon = Daemon::start_in(dir, &sections, &[]);
    let name = |number: usize| format!("app{number}");
    let pids = || (0..WAYS.len()).map(|number| daemon.wait_state(&name(number), "RUNNING").pid).collect::<Vec<_>>();
    let is_another = |number: usize, before: Option<i32>| {
        let status = daemon.status(&name(number));
        status.state == "RUNNING" && status.pid != before
    };
    let before = pids();
    wait_until("all are watched", || inotify_watches(daemon.pid()) >= WAYS.len());
    for (number, (_, change)) in WAYS.iter().enumerate() {
        change(&daemon.path(&number.to_string()));
    }
    for ((number, (what, _)), before) in WAYS.iter().enumerate().zip(before) {
        wait_until(&format!("{what} is followed by a restart"), || is_another(number, before));
    }
    // The new runs are watched, too: what is written before they are is what they begin with.
    let before = pids();
    let mut writes = 0;
    let mut write = |number: usize| {
        writes += 1;
        let path = daemon.path(&format!("{number}/current/app.conf"));
        fs::write(path, format!("once more {writes}")).expect("written");
        Instant::now()
    };
    let written: Vec<Instant> = (0..WAYS.len()).map(&mut write).collect();
    for ((number, before), mut written) in before.into_iter().enumerate().zip(written) {
        wait_until(&format!("so is a change after {}", WAYS[number].0), || {
            if written.elapsed() > Duration::from_secs(6) {
                written = write(number);
            }
            is_another(number, before)
        });
    }
    for number in 0..WAYS.len() {
        let (_, history, _) = daemon.ctl(&["history", &name(number)]);
        assert!(
            history.contains("restart requested by a change of ") && history.contains("(restart_on_change)"),
            "{history}"
        );
    }
    daemon.terminate();
}

#[test]
fn the_same_content_and_what_is_away_are_no_change_and_the_end_of_a_run_ends_the_watch() {
    let daemon = deployed("DIR/current/app.conf, DIR/current", "");
    let before = daemon.status("app").pid;
    let conf = daemon.path("current/app.conf");
    let fds = open_fds(daemon.pid());
    // The one that is written last is a change: by then the others would have been followed by a restart of their own.
    let other = daemon.path("1/app.conf~");
    fs::write(&other, "1").expect("written");
    fs::rename(&other, &conf).expect("renamed");
    fs::remove_file(&conf).expect("removed");
    std::thread::sleep(std::time::Duration::from_secs(5));
    fs::write(&conf, "1").expect("written");
    let (code, _, _) = daemon.ctl(&["stop", "app"]);
    assert_eq!(code, 0);
    wait_until("nothing is watched", || inotify_watches(daemon.pid()) == 0);
    let (_, history, _) = daemon.ctl(&["history", "app"]);
    let restarts = history.matches("restart requested by").count();
    // The directory is another one after that, which is one restart at most.
    assert!(restarts <= 1 && before.is_some(), "{history}");
    wait_until("its descriptor is closed", || open_fds(daemon.pid()) < fds);
    daemon.terminate();
}

#[test]
fn what_is_executed_may_be_exchanged_and_a_reload_may_do_in_place_of_a_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    copy_executable("/bin/sleep", &dir.path().join("server"));
    let keys = "reload_signal = HUP\nrestart_on_change_action = reload\nrestart_on_change = DIR/conf";
    let script = "trap \"echo x >> DIR/reloads\" HUP; while :; do sleep 0.1; done";
    let programs = format!(
        "[program:app]\ncommand = DIR/server 300\nstartsecs = 0\nrestart_on_change = command\n\
         [program:reads]\ncommand = sh -c '{script}'\nstartsecs = 0\n{keys}\n"
    );
    fs::write(dir.path().join("conf"), "1").expect("a file");
    let daemon = Daemon::start_in(dir, &programs, &[]);
    daemon.wait_state("app", "RUNNING");
    let before = daemon.wait_state("reads", "RUNNING").pid;
    wait_until("both are watched", || inotify_watches(daemon.pid()) >= 2);
    fs::write(daemon.path("conf"), "2").expect("a file");
    // Twice where a busy machine has let it be seen between its truncation and its new content.
    wait_until("it has reloaded", || daemon.read("reloads").starts_with("x\n"));
    assert_eq!(daemon.status("reads").pid, before);
    restarts(&daemon, "a new binary", |dir| {
        let build = fs::read("/bin/sleep").expect("a program");
        write_executable(&dir.join("server~"), [&build[..], b"another build"].concat());
        fs::rename(dir.join("server~"), dir.join("server")).expect("renamed");
    });
    daemon.terminate();
}
