//! `supervice` as a command: detaching, a second instance, TERM, exit codes, `--check`.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{Daemon, alive, wait_until, word_in};

fn supervice(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_supervice")).args(args).current_dir(dir).output().expect("it can be executed")
}

fn config(dir: &Path, text: &str) {
    let text = format!(
        "[supervice]\nsocket = {0}/ctl.sock\npidfile = {0}/daemon.pid\nlogfile = {0}/daemon.log\n{text}\n",
        dir.display()
    );
    fs::write(dir.join("supervice.conf"), text).expect("the configuration");
}

fn pid_in(path: &Path) -> i32 {
    fs::read_to_string(path).expect("a pid file").trim().parse().expect("a pid")
}

#[test]
fn it_detaches_when_it_listens_and_leaves_nothing_at_the_end() {
    let dir = tempfile::tempdir().expect("a directory");
    config(dir.path(), "[program:p]\ncommand = sleep 1000\nstartsecs = 0");
    let started = supervice(dir.path(), &["-c", "supervice.conf"]);
    assert_eq!(started.status.code(), Some(0), "{started:?}");
    let pid = pid_in(&dir.path().join("daemon.pid"));
    let controller = supervice::client::Controller::new(dir.path().join("ctl.sock").to_str().expect("UTF-8"));
    let status = controller.status().expect("it listens when the command returns");
    let child = status[0].pid;

    let again = supervice(dir.path(), &["-c", "supervice.conf"]);
    assert_eq!(again.status.code(), Some(1), "a second instance refuses to start");
    let text = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(text.contains(&pid.to_string()), "the reason is on the terminal: {text}");

    kill(Pid::from_raw(pid), Signal::SIGTERM).expect("kill");
    wait_until("the daemon ends", || !alive(pid));
    assert!(child.is_none_or(|child| !alive(child)));
    assert!(!dir.path().join("ctl.sock").exists() && !dir.path().join("daemon.pid").exists());
    let log = fs::read_to_string(dir.path().join("daemon.log")).expect("a log");
    assert!(log.contains("is up") && log.contains("has ended"), "{log}");
}

/// Any other thread that the kernel chose for SIGCHLD would be woken to wake the one that reaps.
#[test]
fn signals_come_to_the_thread_that_acts_on_them() {
    let daemon = Daemon::start("[program:p]\ncommand = sleep 1000\nstartsecs = 0\n");
    daemon.wait_state("p", "RUNNING");
    let blocks_sigchld = |thread: &Path| {
        let status = fs::read_to_string(thread.join("status")).unwrap_or_default();
        let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).unwrap_or("0").trim();
        u64::from_str_radix(blocked, 16).expect("a mask") >> (Signal::SIGCHLD as u32 - 1) & 1 == 1
    };
    wait_until("all others leave it", || {
        let threads = fs::read_dir(format!("/proc/{}/task", daemon.pid())).expect("its threads");
        let others: Vec<_> = threads.map(|thread| thread.expect("a thread").path()).collect();
        let takes: Vec<_> = others.iter().filter(|thread| !blocks_sigchld(thread)).collect();
        others.len() > 3 && takes.len() == 1 && word_in(&takes[0].join("comm")) == "dispatcher"
    });
    daemon.terminate();
}

#[test]
fn a_start_that_fails_says_so_on_the_terminal() {
    let dir = tempfile::tempdir().expect("a directory");
    config(dir.path(), "[program:p]\ncommand = sleep 1000");
    fs::write(dir.path().join("ctl.sock"), "in the way").expect("a file");
    let output = supervice(dir.path(), &["-c", "supervice.conf"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("ctl.sock"), "{output:?}");
    let missing = supervice(dir.path(), &["-c", "nowhere.conf"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("nowhere.conf"), "{missing:?}");
    assert_eq!(supervice(dir.path(), &["--nonsense"]).status.code(), Some(2));
}

#[test]
fn check_tells_all_errors_or_the_effective_configuration() {
    let dir = tempfile::tempdir().expect("a directory");
    config(dir.path(), "[program:p]\ncommand = sleep 1000\nnumprocs = 2\nstatrsecs = 3");
    let output = supervice(dir.path(), &["--check", "-c", "supervice.conf"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("startsecs"), "a guess: {output:?}");
    assert_eq!(supervice(dir.path(), &["--check", "--strict", "-c", "supervice.conf"]).status.code(), Some(1));
    let output = supervice(dir.path(), &["--check", "--json", "-c", "supervice.conf"]);
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(value["programs"][1]["name"], "p:01");
    assert_eq!(value["programs"][0]["healthcheck"]["type"], "none");
    assert_eq!(value["log_maxbytes"], 52_428_800);
    config(dir.path(), "[program:p]\nnumprocs = none\n[program:q]\ncommand = sleep 1\nstopsignal = X");
    let output = supervice(dir.path(), &["--check", "-c", "supervice.conf"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(["command", "numprocs", "stopsignal"].iter().all(|key| text.contains(key)), "{text}");
}

#[test]
fn the_foreground_log_is_on_standard_output() {
    let daemon = Daemon::start("[program:p]\ncommand = sleep 1000\nstartsecs = 0");
    daemon.wait_state("p", "RUNNING");
    let log = daemon.terminate();
    assert!(log.contains("p: ") && log.contains("RUNNING") && log.contains("shutting down"), "{log}");
    assert!(!log.contains('\u{1b}'), "no colours off a terminal: {log}");
}

/// The mode of the control socket is that of the configuration, from its first moment.
#[test]
fn the_socket_has_its_mode() {
    use std::os::unix::fs::PermissionsExt;
    let daemon = Daemon::start("");
    let mode = |daemon: &Daemon| fs::metadata(daemon.path("ctl.sock")).expect("a socket").permissions().mode() & 0o777;
    assert_eq!(mode(&daemon), 0o600);
    daemon.terminate();
    let daemon = Daemon::start_in(tempfile::tempdir().expect("a directory"), "", &["socket_mode = 0660"]);
    assert_eq!(mode(&daemon), 0o660);
    daemon.terminate();
}

#[test]
fn a_socket_that_others_could_take_is_warned_of() {
    use std::os::unix::fs::PermissionsExt;
    let said = |mode: u32| {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(mode)).expect("chmod");
        let daemon = Daemon::start_in(dir, "[program:web]\ncommand = sleep 1000\n", &[]);
        daemon.wait_log("is up");
        let log = daemon.log();
        daemon.terminate();
        log
    };
    let warning = "others can write to the directory of the control socket";
    assert!(said(0o777).contains(warning));
    assert!(said(0o720).contains(warning));
    let log = said(0o755);
    assert!(!log.contains(warning), "{log}");
}

#[test]
fn what_the_start_alone_has_needed_is_given_back_at_the_first_rest() {
    let daemon = Daemon::start("[program:web]\ncommand = sleep 1000\n");
    let kib = |key: &str| -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).expect("/proc");
        let line = status.lines().find_map(|line| line.strip_prefix(key)).expect("a line");
        line.trim_end_matches("kB").trim().parse().expect("a number")
    };
    wait_until("less is resident than at most", || kib("VmRSS:") < kib("VmHWM:") * 7 / 8);
    daemon.terminate();
}

#[test]
fn many_starts_wake_the_output_thread_a_few_times() {
    // A busy machine may let that thread run between any two of them: the best of a few daemons counts.
    let fewest = (0..20).map(|_| sleeps_of_the_output_thread()).find(|sleeps| *sleeps < 100);
    assert!(fewest.is_some(), "the output thread has gone to sleep for each of 200 starts");
}

/// How often it has waited while a daemon has started 200 programs.
fn sleeps_of_the_output_thread() -> usize {
    let daemon = Daemon::start("[program:web]\ncommand = sleep 1000\nnumprocs = 200\nstartsecs = 0\n");
    wait_until("all run", || daemon.all().iter().all(|process| process.state == "RUNNING"));
    let tasks = std::fs::read_dir(format!("/proc/{}/task", daemon.pid())).expect("/proc");
    let mut names = tasks.flatten().map(|task| task.path());
    let thread = names.find(|task| word_in(&task.join("comm")) == "output").expect("a thread for output");
    let status = std::fs::read_to_string(thread.join("status")).expect("/proc");
    let sleeps = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).expect("a line");
    daemon.terminate();
    sleeps.trim().parse().expect("a number")
}

/// Says that it ends, and does so when it may.
const SLOW: &str = "[program:slow]\ncommand = sh -c 'trap \"echo > told; while ! test -e go; do sleep 0.02; done; echo > clean; exit\" TERM; \
    echo > up; while :; do sleep 0.02; done'\nstartsecs = 0\nstopwaitsecs = 1000\n";

/// `timeout` and the like signal their child, and then its process group; an operator repeats himself; a manager has a command
/// for the stop, and a signal behind it. None of them wants programs to be killed that are about to end.
#[test]
fn who_repeats_that_it_is_to_end_kills_nothing() {
    let begin: [fn(&mut Daemon); 3] = [
        |daemon| {
            daemon.signal(Signal::SIGTERM);
            daemon.signal(Signal::SIGTERM);
        },
        |daemon| {
            assert_eq!(daemon.ctl(&["shutdown"]).0, 0);
            assert_eq!(daemon.ctl(&["shutdown"]).0, 0);
        },
        |daemon| {
            assert_eq!(daemon.ctl(&["shutdown"]).0, 0);
            daemon.signal(Signal::SIGTERM);
            daemon.wait_log("another signal kills what still runs");
        },
    ];
    for begin in begin {
        let mut daemon =
            Daemon::start_in(tempfile::tempdir().expect("a directory"), SLOW, &["shutdown_timeout = 1000"]);
        wait_until("it runs", || daemon.path("up").exists());
        begin(&mut daemon);
        wait_until("it is told", || daemon.path("told").exists());
        fs::write(daemon.path("go"), "").expect("written");
        assert_eq!(daemon.wait().code(), Some(0), "{}", daemon.log());
        assert!(daemon.path("clean").exists(), "{}", daemon.log());
    }
}

/// `/run` is empty after each boot.
#[test]
fn the_directory_of_the_socket_is_made_where_its_last_part_is_missing() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().expect("a directory");
    let socket = dir.path().join("run/ctl.sock");
    let mut daemon = Daemon::unstarted(dir);
    let text = format!("[supervice]\nsocket = {}\npidfile = none\n", socket.display());
    fs::write(daemon.path("supervice.conf"), text).expect("written");
    daemon.launch(Command::new(env!("CARGO_BIN_EXE_supervice")));
    wait_until("it listens", || std::os::unix::net::UnixStream::connect(&socket).is_ok());
    let mode = fs::metadata(daemon.path("run")).expect("made").permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
    daemon.terminate();
}
