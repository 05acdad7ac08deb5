//! A disk that does not answer holds up nobody but the programs that lie on it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use supervice::client::Terms;

use crate::harness::{Daemon, TEST_TIMEOUT, alive, wait_until, write_executable};

/// A file system whose server never says a word.
struct HungDisk {
    at: PathBuf,
    server: Option<fs::File>,
}

impl HungDisk {
    /// Hides what is in the directory `at`. `None` where mounting is not permitted: the test is skipped visibly.
    fn over(at: &Path) -> Option<HungDisk> {
        let skipped = |why: &str| {
            assert!(std::env::var_os("SUPERVICE_TEST_REQUIRE").is_none() || !nix::unistd::geteuid().is_root(), "{why}");
            println!("SKIPPED: {why}");
        };
        let server = match fs::File::options().read(true).write(true).open("/dev/fuse") {
            Ok(server) => server,
            Err(error) => {
                skipped(&format!("no hanging file system can be made: /dev/fuse: {error}"));
                return None;
            }
        };
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0,allow_other", server.as_raw_fd());
        if let Err(error) = mount(Some("fuse"), at, Some("fuse"), MsFlags::empty(), Some(options.as_str())) {
            skipped(&format!("no hanging file system can be made: mount: {error}"));
            return None;
        }
        Some(HungDisk { at: at.to_owned(), server: Some(server) })
    }

    /// Whoever waits for it gets an error at last.
    fn give_up(&mut self) {
        self.server = None;
    }
}

impl Drop for HungDisk {
    fn drop(&mut self) {
        self.give_up();
        let _ = umount2(&self.at, MntFlags::MNT_DETACH);
    }
}

/// Whoever opens the file waits until standard input ends, or for `/proc/sys/fs/lease-break-time`.
const LEASE: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>
int main(int count, char **words) {
  char byte;
  signal(SIGIO, SIG_IGN);
  if (count != 2 || fcntl(open(words[1], O_RDONLY), F_SETLEASE, F_WRLCK) != 0) return 1;
  if (write(1, "held\n", 5) != 5) return 1;
  while (read(0, &byte, 1) > 0) {}
  return 0;
}
"#;

/// Somebody who holds such a file. `None` where the file system has no leases: the test is skipped visibly.
fn lease_of(file: &Path) -> Option<Child> {
    let holder = file.with_extension("lease");
    let mut cc = Command::new("cc");
    cc.args(["-xc", "-o"]).arg(&holder).arg("-").stdin(Stdio::piped());
    let mut cc = cc.spawn().expect("the C compiler that links Rust, too");
    cc.stdin.take().expect("piped").write_all(LEASE.as_bytes()).expect("the source");
    assert!(cc.wait().expect("cc").success());
    let mut holder =
        Command::new(holder).arg(file).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("spawn");
    let mut line = String::new();
    BufReader::new(holder.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
    if line != "held\n" {
        println!("SKIPPED: no lease of {}", file.display());
        let _ = holder.wait();
        return None;
    }
    Some(holder)
}

/// A daemon with a program that is well, and with `settings` for a program `stuck` on the disk that hangs later.
fn daemon_beside_the_disk(settings: &str) -> Option<(Daemon, HungDisk)> {
    let dir = tempfile::tempdir().expect("a directory");
    let disk = dir.path().join("disk");
    fs::create_dir(&disk).expect("a directory");
    fs::write(disk.join("program"), "#!/bin/sh\nexec sleep 1000\n").expect("a program");
    fs::write(disk.join("variables"), "A=1\n").expect("a file");
    fs::set_permissions(disk.join("program"), fs::Permissions::from_mode(0o755)).expect("chmod");
    let sections =
        format!("[program:fine]\ncommand = sleep 1000\nstartsecs = 0\n[program:stuck]\n{settings}\nautostart = false");
    let daemon = Daemon::start_in(dir, &sections, &[]);
    daemon.wait_state("fine", "RUNNING");
    let disk = HungDisk::over(&disk)?;
    Some((daemon, disk))
}

/// Others are restarted, and commands are answered, in no time.
fn assert_nobody_waits(daemon: &Daemon) {
    for _ in 0..3 {
        let pid = daemon.status("fine").pid.expect("it runs");
        // The pause between two starts is a second and has nothing to do with the disk.
        wait_until("it has run for a second", || daemon.status("fine").uptime >= Some(1));
        let killed = Instant::now();
        kill(Pid::from_raw(pid), Signal::SIGKILL).expect("it can be killed");
        wait_until("it is back", || daemon.status("fine").pid.is_some_and(|new| new != pid));
        assert!(killed.elapsed() < TEST_TIMEOUT, "{:?}", killed.elapsed());
    }
}

#[test]
fn a_program_on_a_disk_that_hangs_delays_nobody() {
    let Some((daemon, mut disk)) =
        daemon_beside_the_disk("command = DIR/disk/program\nstartsecs = 1000\nstartretries = 0")
    else {
        return;
    };
    let controller = daemon.controller();
    let starter = std::thread::spawn(move || controller.start_process("stuck"));
    daemon.wait_log("has not executed its program within");
    let pid = daemon.status("stuck").pid.expect("there is a process");
    assert_nobody_waits(&daemon);
    disk.give_up();
    let refused = starter.join().expect("no panic").expect_err("it was never executed");
    assert!(!alive(pid));
    let status = daemon.wait_state("stuck", "FATAL");
    daemon.wait_log("cannot execute");
    for text in [refused.to_string(), status.description.unwrap_or_default(), daemon.log()] {
        assert!(text.contains("cannot execute") && text.contains("disk/program"), "{text}");
    }
    assert_eq!(status.exit_code, Some(126), "the file is there");
    drop(disk);
    daemon.terminate();
}

/// 20 short lines a second would fill the queue after an hour and a half, and the end took what was in it without a word.
#[test]
fn output_for_a_disk_that_hangs_is_told_of_at_once_and_what_the_end_takes_is_counted() {
    let settings =
        "command = sh -c 'while :; do echo x; sleep 0.05; done'\nstdout_logfile = DIR/disk/stuck.log\nstartsecs = 0";
    let Some((mut daemon, disk)) = daemon_beside_the_disk(settings) else { return };
    daemon.controller().start_process("stuck").expect("it starts");
    let told = "output waits for its disk: ";
    wait_until("status tells", || daemon.status("stuck").description.is_some_and(|text| text.contains(told)));
    daemon.wait_log("WARN  stuck: stdout waits for its disk: ");
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait().code(), Some(0), "{}", daemon.log());
    let log = daemon.log();
    let line = log.lines().find(|line| line.contains("/disk/stuck.log: its disk does not answer; the last "));
    assert!(line.is_some_and(|line| line.contains(" bytes for it are lost")), "{log}");
    drop(disk);
}

#[test]
fn a_directory_on_a_disk_that_hangs_delays_nobody_and_the_process_can_be_stopped() {
    let Some((daemon, disk)) = daemon_beside_the_disk("command = sleep 1000\ndirectory = DIR/disk\nstartsecs = 0")
    else {
        return;
    };
    let no_wait = Terms { wait: false, ..Terms::default() };
    daemon.controller().start_process_with("stuck", no_wait).expect("it is on its way");
    daemon.wait_log("has not executed its program within");
    let pid = daemon.status("stuck").pid.expect("there is a process");
    assert_nobody_waits(&daemon);
    let status = daemon.status("stuck");
    let told = status.description.unwrap_or_default();
    assert!(status.state == "STARTING" && told.contains("has not executed the program for"), "{} {told}", status.state);
    daemon.controller().restart_process_with("stuck", true, no_wait).expect("SIGKILL reaches it");
    wait_until("it has ended", || !alive(pid));
    // The next one is executed as soon as the disk is there.
    drop(disk);
    daemon.wait_state("stuck", "RUNNING");
    daemon.terminate();
}

#[test]
fn an_env_file_on_a_disk_that_hangs_delays_nobody() {
    let Some((daemon, mut disk)) =
        daemon_beside_the_disk("command = sleep 1000\nenv_file = DIR/disk/variables\nstartsecs = 0")
    else {
        return;
    };
    let error = daemon.controller().start_process("stuck").expect_err("its variables can't be read").to_string();
    assert!(error.contains("disk/variables") && error.contains("hangs"), "{error}");
    assert_nobody_waits(&daemon);
    disk.give_up();
    drop(disk);
    daemon.wait_state("stuck", "RUNNING");
    daemon.terminate();
}

/// The daemon looks once a second by then, and the program takes milliseconds.
#[test]
fn one_that_is_late_and_has_ended_before_anybody_looked_has_run() {
    let daemon =
        Daemon::start("[program:late]\ncommand = DIR/late\nstartsecs = 0\nautorestart = false\nautostart = false\n");
    let program = daemon.path("late");
    write_executable(&program, "#!/bin/sh\necho >> \"$0.runs\"\n");
    let Some(mut holder) = lease_of(&program) else { return };
    let no_wait = Terms { wait: false, ..Terms::default() };
    daemon.controller().start_process_with("late", no_wait).expect("it is on its way");
    wait_until("looks are far between", || daemon.status("late").uptime >= Some(2));
    let told = daemon.status("late").description.unwrap_or_default();
    assert!(told.contains("has not executed the program"), "{told}");
    drop(holder.stdin.take());
    assert!(holder.wait().expect("it ends").success());
    let status = daemon.wait_state("late", "EXITED");
    assert_eq!((status.exit_code, status.restarts), (Some(0), Some(0)), "{}", daemon.log());
    assert_eq!(daemon.read("late.runs"), "\n");
    daemon.terminate();
}
