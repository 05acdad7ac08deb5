//! Names in the file system that vanish while the daemon runs: its control socket, its pid file, their directory.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Output};

use nix::sys::signal::Signal;

use crate::harness::{Daemon, marked, open_fds, wait_until};

const PROGRAM: &str = "[program:p]\ncommand = sleep 1000\nstartsecs = 0\nenvironment = MARK=OWN-TEST";

/// A daemon whose socket and pid file lie in a directory of their own, `run`.
fn daemon(settings: &[&str]) -> Daemon {
    let dir = tempfile::tempdir().expect("a directory");
    fs::create_dir(dir.path().join("run")).expect("a directory");
    started(dir, settings, Command::new(env!("CARGO_BIN_EXE_supervice")))
}

fn started(dir: tempfile::TempDir, settings: &[&str], command: Command) -> Daemon {
    let mut daemon = Daemon::unstarted(dir);
    configure(&daemon, settings);
    daemon.launch(command);
    wait_until("it is up", || daemon.log().contains("is up"));
    daemon
}

fn configure(daemon: &Daemon, settings: &[&str]) {
    let dir = daemon.dir.path().display().to_string();
    let program = PROGRAM.replace("OWN-TEST", &format!("{}-{}", mark(daemon), std::process::id()));
    let text = format!(
        "[supervice]\nlogfile = none\nsocket = DIR/run/s\npidfile = DIR/run/pid\n{}\n{program}\n",
        settings.join("\n")
    );
    fs::write(daemon.path("supervice.conf"), text.replace("DIR", &dir)).expect("the configuration");
}

/// What its program is known by.
fn mark(daemon: &Daemon) -> String {
    daemon.dir.path().file_name().expect("a name").to_string_lossy().replace('.', "")
}

fn answers(daemon: &Daemon) -> bool {
    let mut status = Command::new(env!("CARGO_BIN_EXE_supervicectl"));
    let output = status.arg("-s").arg(daemon.path("run/s")).arg("status").output().expect("supervicectl");
    output.status.success()
}

fn pid_file_is_right(daemon: &Daemon) -> bool {
    daemon.read("run/pid") == format!("{}\n", daemon.pid())
}

fn wait_whole(daemon: &Daemon) {
    wait_until("both files are there again", || pid_file_is_right(daemon) && answers(daemon));
}

/// A second daemon of the same configuration, which is refused.
fn second(daemon: &Daemon) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_supervice"));
    command.args(["-n", "-c"]).arg(daemon.path("supervice.conf")).output().expect("the daemon can be executed")
}

fn end(mut daemon: Daemon) -> String {
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait().code(), Some(0), "{}", daemon.log());
    daemon.log()
}

fn count(daemon: &Daemon, text: &str) -> usize {
    daemon.log().matches(text).count()
}

fn ask(client: &mut UnixStream) -> bool {
    let body = br#"{"command":"status"}"#;
    let frame = [&u32::try_from(body.len()).expect("short").to_be_bytes(), &body[..]].concat();
    let mut length = [0; 4];
    client.write_all(&frame).and_then(|()| client.read_exact(&mut length)).is_ok_and(|()| {
        let mut answer = vec![0; u32::from_be_bytes(length) as usize];
        client.read_exact(&mut answer).is_ok()
    })
}

#[test]
fn case_03_a_socket_and_a_pid_file_that_are_removed_are_there_again_and_clients_are_kept() {
    let daemon = daemon(&["socket_mode = 0640"]);
    let mut fds = None;
    let mut client = UnixStream::connect(daemon.path("run/s")).expect("it listens");
    assert!(ask(&mut client));
    for removals in 1..=3 {
        fs::remove_file(daemon.path("run/s")).expect("it is there");
        fs::remove_file(daemon.path("run/pid")).expect("it is there");
        wait_whole(&daemon);
        let found = daemon.path("run/s").symlink_metadata().expect("it is there");
        assert!(found.file_type().is_socket() && found.mode() & 0o7777 == 0o640);
        wait_until("it was said", || count(&daemon, "run/s had vanished") == removals);
        wait_until("it was said of both", || count(&daemon, "run/pid had vanished") == removals);
        let most = *fds.get_or_insert_with(|| open_fds(daemon.pid()));
        wait_until("no descriptor is lost", || open_fds(daemon.pid()) <= most);
    }
    assert!(ask(&mut client), "the connection from before lives on");
    fs::rename(daemon.path("run/s"), daemon.path("run/other")).expect("it is there");
    wait_whole(&daemon);
    let (pid, socket) = (daemon.path("run/pid"), daemon.path("run/s"));
    let dir = end(daemon);
    assert!(!pid.exists() && !socket.exists(), "{dir}");
}

/// At once, though the directory of the first is gone as well.
#[test]
fn case_03_a_second_daemon_is_refused_though_nothing_of_the_first_is_there() {
    let daemon = daemon(&[]);
    for _ in 0..3 {
        // Nothing but an empty directory, at least for a moment.
        fs::rename(daemon.path("run"), daemon.path("old")).expect("it is there");
        fs::create_dir(daemon.path("run")).expect("a directory");
        let output = second(&daemon);
        assert_eq!(output.status.code(), Some(1));
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        let expected = format!("another daemon (pid {}) of this configuration runs", daemon.pid());
        assert!(told.contains(&expected), "{told}");
        fs::remove_dir_all(daemon.path("old")).expect("it is there");
        wait_whole(&daemon);
    }
    assert_eq!(second(&daemon).status.code(), Some(1));
    assert!(answers(&daemon) && pid_file_is_right(&daemon), "the second has not touched them");
    // The programs of a daemon that is refused would have the same mark.
    assert_eq!(marked(&mark(&daemon)).len(), 1);
    end(daemon);
}

#[test]
fn without_a_socket_the_pid_file_is_what_tells_one_daemon_from_another() {
    let daemon = daemon(&["socket = none"]);
    fs::remove_file(daemon.path("run/pid")).expect("it is there");
    assert_eq!(second(&daemon).status.code(), Some(1));
    wait_until("it is there again", || pid_file_is_right(&daemon));
    end(daemon);
}

#[test]
fn case_03_a_directory_that_is_replaced_is_followed() {
    let daemon = daemon(&[]);
    // Away, and there again.
    fs::remove_dir_all(daemon.path("run")).expect("it is there");
    daemon.wait_log("run/s has vanished, and is not to be had again: ");
    fs::create_dir(daemon.path("run")).expect("a directory");
    wait_whole(&daemon);
    // Another one in its place.
    fs::rename(daemon.path("run"), daemon.path("old")).expect("it is there");
    fs::create_dir(daemon.path("run")).expect("a directory");
    wait_whole(&daemon);
    // A link in its place, and then another one.
    fs::create_dir(daemon.path("a")).expect("a directory");
    fs::rename(daemon.path("run"), daemon.path("older")).expect("it is there");
    symlink("a", daemon.path("run")).expect("a link");
    wait_whole(&daemon);
    assert!(daemon.path("a/s").exists());
    fs::create_dir(daemon.path("b")).expect("a directory");
    symlink("b", daemon.path("new")).expect("a link");
    fs::rename(daemon.path("new"), daemon.path("run")).expect("a link");
    wait_whole(&daemon);
    assert!(daemon.path("b/s").exists());
    end(daemon);
}

#[test]
fn what_somebody_else_has_put_there_is_left_alone_until_it_goes() {
    let daemon = daemon(&[]);
    fs::write(daemon.path("run/new"), "precious").expect("a file");
    fs::rename(daemon.path("run/new"), daemon.path("run/s")).expect("over the socket");
    daemon.wait_log("something that is not a socket lies there");
    for signal in [Signal::SIGHUP, Signal::SIGUSR2] {
        daemon.signal(signal);
        daemon.wait_log(if signal == Signal::SIGHUP { "reload: no changes" } else { "opened anew" });
    }
    assert_eq!(daemon.read("run/s"), "precious");
    fs::remove_file(daemon.path("run/s")).expect("it is there");
    wait_whole(&daemon);

    let theirs = UnixListener::bind(daemon.path("run/new")).expect("a socket");
    fs::rename(daemon.path("run/new"), daemon.path("run/s")).expect("over the socket");
    daemon.wait_log(&format!("another daemon (pid {}) is listening there", std::process::id()));
    let (_, _) = theirs.accept().expect("the daemon has looked who that is");
    fs::write(daemon.path("run/new"), format!("{}\n", std::process::id())).expect("a file");
    fs::rename(daemon.path("run/new"), daemon.path("run/pid")).expect("over the pid file");
    daemon.wait_log("run/pid has vanished, and is not to be had again: ");
    UnixStream::connect(daemon.path("run/s")).expect("it is still theirs");
    assert_eq!(daemon.read("run/pid"), format!("{}\n", std::process::id()));
    fs::remove_file(daemon.path("run/s")).expect("it is there");
    fs::remove_file(daemon.path("run/pid")).expect("it is there");
    wait_whole(&daemon);
    end(daemon);
}

/// Whoever removes it at once, again and again, does not keep the daemon busy; in the end it is there.
#[test]
fn a_name_that_vanishes_again_and_again_is_made_anew_at_longer_intervals() {
    let daemon = daemon(&[]);
    let begin = std::time::Instant::now();
    let mut removed = 0;
    wait_until("a few seconds are over", || {
        removed += usize::from(fs::remove_file(daemon.path("run/s")).is_ok());
        begin.elapsed().as_secs() >= 4
    });
    wait_until("it was said", || count(&daemon, "had vanished") > 0);
    let said = count(&daemon, "had vanished");
    assert!((1..=6).contains(&said) && removed >= said, "{said} of {removed}\n{}", daemon.log());
    daemon.signal(Signal::SIGUSR2);
    wait_whole(&daemon);
    end(daemon);
}

/// A command that runs `supervice` (with the arguments that follow) behind this script; `None` where that is not allowed.
fn behind(unshare: &[&str], script: &str) -> Option<Command> {
    let mut probe = Command::new("unshare");
    if !probe.args(unshare).args(["sh", "-c", script]).output().is_ok_and(|output| output.status.success()) {
        println!("SKIPPED: unshare {unshare:?} is not allowed");
        return None;
    }
    let mut command = Command::new("unshare");
    let script = format!("{script} && exec {} \"$@\"", env!("CARGO_BIN_EXE_supervice"));
    command.args(unshare).args(["sh", "-c", &script, "sh"]);
    Some(command)
}

#[test]
fn without_inotify_signals_bring_the_names_back() {
    let Some(command) = behind(&["-U", "-r"], "echo 0 > /proc/sys/user/max_inotify_instances") else { return };
    let dir = tempfile::tempdir().expect("a directory");
    fs::create_dir(dir.path().join("run")).expect("a directory");
    let daemon = started(dir, &[], command);
    daemon.wait_log("cannot watch the control socket and the pid file: ");
    for signal in [Signal::SIGHUP, Signal::SIGUSR2] {
        fs::remove_file(daemon.path("run/s")).expect("it is there");
        fs::remove_file(daemon.path("run/pid")).expect("it is there");
        daemon.signal(signal);
        wait_whole(&daemon);
    }
    // So does a second daemon that is refused.
    fs::remove_file(daemon.path("run/s")).expect("it is there");
    let script = format!(
        "nsenter -t {} -U -m {} -n -c {}",
        daemon.pid(),
        env!("CARGO_BIN_EXE_supervice"),
        daemon.path("supervice.conf").display()
    );
    let output = Command::new("sh").args(["-c", &script]).output().expect("a shell");
    assert_eq!(output.status.code(), Some(1));
    wait_whole(&daemon);
    assert_eq!(count(&daemon, "cannot watch"), 1, "{}", daemon.log());
    end(daemon);
}

#[test]
fn case_03_a_file_system_that_is_mounted_over_the_directory_is_noticed() {
    let Some(command) = behind(&["-m"], "true") else { return };
    let dir = tempfile::tempdir().expect("a directory");
    fs::create_dir(dir.path().join("run")).expect("a directory");
    let daemon = started(dir, &[], command);
    let inside = |script: &str| {
        let mut command = Command::new("nsenter");
        let script = script.replace("DIR", &daemon.path("run").display().to_string());
        command.args(["-t", &daemon.pid().to_string(), "-m", "sh", "-c", &script]);
        command.output().expect("nsenter").status.success()
    };
    let status = format!("{} -s DIR/s status", env!("CARGO_BIN_EXE_supervicectl"));
    assert!(inside(&status));
    assert!(inside("mount -t tmpfs none DIR"), "root may mount");
    wait_until("it answers in the new place", || inside(&status));
    wait_until("the pid file too", || inside("test -s DIR/pid"));
    assert!(inside("umount -l DIR"));
    wait_until("it answers in the old place", || inside(&status));
    // Nothing can be made where all is read-only; as soon as it can be, it is there.
    assert!(inside("mount -t tmpfs -o ro none DIR"));
    daemon.wait_log("Read-only file system");
    assert!(inside("umount -l DIR"));
    wait_until("it answers in the old place again", || inside(&status));
    end(daemon);
}

#[test]
fn a_directory_where_the_daemon_may_not_write_is_tried_again_when_it_may() {
    if !nix::unistd::geteuid().is_root() {
        println!("SKIPPED: only root can run a daemon of another user");
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).expect("ours");
    fs::create_dir(dir.path().join("run")).expect("a directory");
    fs::set_permissions(dir.path().join("run"), fs::Permissions::from_mode(0o777)).expect("ours");
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", env!("CARGO_BIN_EXE_supervice")]);
    let daemon = started(dir, &[], command);
    fs::set_permissions(daemon.path("run"), fs::Permissions::from_mode(0o755)).expect("ours");
    fs::remove_file(daemon.path("run/s")).expect("it is there");
    daemon.wait_log("run/s has vanished, and is not to be had again: ");
    fs::set_permissions(daemon.path("run"), fs::Permissions::from_mode(0o777)).expect("ours");
    wait_until("it is there again", || daemon.path("run/s").exists());
    // The client trusts root's daemons and its own user's.
    assert_eq!(daemon.path("run/s").symlink_metadata().expect("it is there").uid(), 65534);
    end(daemon);
}
