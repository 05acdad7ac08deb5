//! Disks that are full, read-only, gone or hanging under a program's log: the program goes on, the daemon goes on, the logs
//! on other disks go on, what is lost is counted and said once, and logging resumes by itself.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::harness::{Daemon, wait_until};

/// A program that writes to the disk under test and, to show that it goes on, elsewhere; another one beside it.
const PROGRAMS: &str = "[program:hit]\nstdout_logfile = DIR/disk/hit.log\n\
     command = sh -c 'i=0; while :; do i=$((i+1)); echo line $i of those that matter; echo $i > DIR/progress; sleep 0.002; done'\n\
     [program:other]\nstdout_logfile = DIR/other.log\ncommand = sh -c 'while :; do echo z; sleep 0.01; done'\n";

/// How to get a mount namespace here, if there is a way.
fn namespace() -> Option<Vec<&'static str>> {
    let ways = [vec!["unshare", "-m"], vec!["unshare", "-Urm"]];
    let found = ways.into_iter().find(|way| {
        let (program, args) = way.split_first().expect("not empty");
        let mut command = Command::new(program);
        command.args(args).args(["sh", "-c", "mount -t tmpfs none /tmp"]).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    });
    if found.is_none() {
        eprintln!("SKIPPED: no mount namespaces here");
    }
    found
}

/// A daemon that sees a small disk of its own at DIR/disk.
struct OnDisk {
    daemon: Daemon,
    user: bool,
}

impl OnDisk {
    fn start(sections: &str, mount: &str) -> Option<OnDisk> {
        let way = namespace()?;
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir(dir.path().join("disk")).expect("a directory");
        let mount = mount.replace("DIR", &dir.path().display().to_string());
        let mut daemon = Daemon::unstarted(dir);
        daemon.write_config(sections, &[]);
        let (program, args) = way.split_first().expect("not empty");
        let mut command = Command::new(program);
        command.args(args).args(["sh", "-c", &format!("{mount} && exec \"$0\" \"$@\"")]);
        command.arg(env!("CARGO_BIN_EXE_supervice"));
        daemon.launch(command);
        daemon.wait_ready();
        Some(OnDisk { daemon, user: args.contains(&"-Urm") })
    }

    /// A path as the daemon sees it.
    fn seen(&self, name: &str) -> PathBuf {
        let inside = self.daemon.path(name);
        PathBuf::from(format!("/proc/{}/root{}", self.daemon.pid(), inside.display()))
    }

    fn read(&self, name: &str) -> String {
        fs::read(self.seen(name)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Runs a command in the daemon's namespace.
    fn inside(&self, command: &str) {
        let command = command.replace("DIR", &self.daemon.dir.path().display().to_string());
        let mut enter = Command::new("nsenter");
        enter.args(["-t", &self.daemon.pid().to_string(), "-m"]);
        if self.user {
            enter.args(["-U", "--preserve-credentials"]);
        }
        let status = enter.args(["sh", "-c", &command]).status().expect("nsenter");
        assert!(status.success(), "{command}");
    }

    fn description(&self, name: &str) -> String {
        self.daemon.status(name).description.unwrap_or_default()
    }

    /// Both programs go on, and the log of the other one.
    fn all_go_on(&self) {
        let (progress, other) = (self.daemon.read("progress"), self.daemon.read("other.log").len());
        wait_until("the program goes on", || {
            let now = self.daemon.read("progress");
            !now.is_empty() && now != progress
        });
        wait_until("the other log goes on", || self.daemon.read("other.log").len() > other + 10);
        self.daemon.wait_state("other", "RUNNING");
    }

    /// It is said once what is lost, in the log and in `status`, and all go on.
    fn trouble(&self, reason: &str) {
        wait_until("status tells", || self.description("hit").contains(reason));
        self.all_go_on();
        self.daemon.wait_log(reason);
        assert_eq!(self.daemon.log().matches(reason).count(), 1, "{}", self.daemon.log());
    }

    /// It is said that it is over, and new lines are in the file.
    fn recovery(&self) {
        wait_until("the end is said", || self.daemon.log().contains("stdout is written again"));
        wait_until("status is as before", || !self.description("hit").contains("lost"));
        let before = self.read("disk/hit.log").len();
        wait_until("new lines are in the file", || self.read("disk/hit.log").len() > before);
        assert!(self.daemon.log().contains("bytes were lost"), "{}", self.daemon.log());
        self.all_go_on();
    }
}

const TMPFS: &str = "mount -t tmpfs -o size=256k none DIR/disk";

#[test]
fn a_full_disk_is_said_once_and_mended_by_itself() {
    let fill = format!("{TMPFS} && head -c 258000 /dev/zero > DIR/disk/filler");
    let Some(disk) = OnDisk::start(PROGRAMS, &fill) else { return };
    disk.trouble("No space left on device");
    disk.inside("rm DIR/disk/filler");
    disk.recovery();
    disk.daemon.terminate();
}

/// A remount would be refused while a file is open for writing: another file system comes over it instead, as after an
/// operator's mistake.
#[test]
fn a_disk_that_becomes_read_only_is_said_once_and_mended_by_itself() {
    let Some(disk) = OnDisk::start(PROGRAMS, "mount -t tmpfs -o size=100m none DIR/disk") else { return };
    wait_until("it is written", || disk.read("disk/hit.log").contains("line 1 "));
    disk.inside("mount -t tmpfs -o ro none DIR/disk");
    disk.trouble("Read-only file system");
    disk.inside("umount DIR/disk");
    disk.recovery();
    disk.daemon.terminate();
}

#[test]
fn a_removed_directory_is_said_once_and_mended_by_itself() {
    let Some(disk) = OnDisk::start(PROGRAMS, "true") else { return };
    wait_until("it is written", || disk.read("disk/hit.log").contains("line 1 "));
    fs::remove_dir_all(disk.daemon.path("disk")).expect("it is there");
    disk.trouble("No such file or directory");
    disk.inside("mkdir DIR/disk");
    disk.recovery();
    disk.daemon.terminate();
}

#[test]
fn a_file_that_becomes_a_directory_is_said_once_and_mended_by_itself() {
    let Some(disk) = OnDisk::start(PROGRAMS, TMPFS) else { return };
    wait_until("it is written", || disk.read("disk/hit.log").contains("line 1 "));
    disk.inside("rm DIR/disk/hit.log && mkdir DIR/disk/hit.log");
    disk.trouble("Is a directory");
    disk.inside("rmdir DIR/disk/hit.log");
    disk.recovery();
    disk.daemon.terminate();
}

#[test]
fn a_fifo_whose_reader_is_slow_or_gone_holds_up_nobody() {
    let fifo = "mount -t tmpfs none DIR/disk && mkfifo DIR/disk/hit.log";
    let Some(disk) = OnDisk::start(PROGRAMS, fifo) else { return };
    disk.trouble("FIFO");
    // A reader that reads nothing, then all.
    let reader = fs::OpenOptions::new().read(true).write(true).open(disk.seen("disk/hit.log")).expect("the FIFO");
    // Full after less than the usual sixteen pages.
    nix::fcntl::fcntl(&reader, nix::fcntl::FcntlArg::F_SETPIPE_SZ(4096)).expect("a smaller one");
    wait_until("the end is said", || disk.daemon.log().contains("stdout is written again"));
    wait_until("the FIFO is full, which is said", || disk.daemon.log().matches("is lost").count() == 2);
    disk.all_go_on();
    drop(reader);
    disk.daemon.terminate();
}

/// The lock of the pid file is what it is for; the number is written when there is room.
#[test]
fn a_full_disk_under_the_pid_file_keeps_nobody_from_starting() {
    let Some(way) = namespace() else { return };
    let dir = tempfile::tempdir().expect("a directory");
    fs::create_dir(dir.path().join("disk")).expect("a directory");
    let path = dir.path().display().to_string();
    let mut daemon = Daemon::unstarted(dir);
    daemon.write_config("[program:p]\ncommand = sleep 1000\nstartsecs = 0", &[]);
    let config = daemon.read("supervice.conf").replace("/daemon.pid", "/disk/daemon.pid");
    fs::write(daemon.path("supervice.conf"), config).expect("the configuration");
    let (program, args) = way.split_first().expect("not empty");
    let mut command = Command::new(program);
    let full = format!("{TMPFS}; cat /dev/zero > DIR/disk/filler 2> /dev/null; exec \"$0\" \"$@\"");
    command.args(args).args(["sh", "-c", &full.replace("DIR", &path)]).arg(env!("CARGO_BIN_EXE_supervice"));
    daemon.launch(command);
    daemon.wait_ready();
    let disk = OnDisk { daemon, user: args.contains(&"-Urm") };
    disk.daemon.wait_state("p", "RUNNING");
    disk.daemon.wait_log("disk/daemon.pid: No space left on device; it is empty, but locked");
    assert_eq!(disk.read("disk/daemon.pid"), "");
    disk.inside("! flock -n DIR/disk/daemon.pid true");
    disk.inside("rm DIR/disk/filler");
    disk.daemon.signal(nix::sys::signal::Signal::SIGHUP);
    wait_until("the pid is there", || disk.read("disk/daemon.pid") == format!("{}\n", disk.daemon.pid()));
    disk.daemon.wait_log("there is room for the pid file");
    disk.daemon.terminate();
}
