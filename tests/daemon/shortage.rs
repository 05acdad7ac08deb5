//! What happens where the daemon itself is short of something.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::harness::{Daemon, TEST_TIMEOUT, wait_until};

/// What a process's descriptors lead to, the null device apart.
fn links(pid: i32) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    let links = entries.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok());
    links.map(|link| link.display().to_string()).filter(|link| link != "/dev/null").collect()
}

fn count(daemon: &Daemon, state: &str) -> usize {
    daemon.all().iter().filter(|process| process.state == state).count()
}

#[test]
fn programs_without_a_descriptor_wait_for_one_without_losing_a_retry() {
    let mut daemon = Daemon::unstarted(tempfile::tempdir().expect("a directory"));
    daemon.write_config("[program:p]\ncommand = sleep 1000\nstartsecs = 0\nstartretries = 0\nnumprocs = 60", &[]);
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 100; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_supervice")]);
    daemon.launch(command);
    daemon.wait_ready();
    wait_until("each runs or waits", || count(&daemon, "RUNNING") + count(&daemon, "BACKOFF") == 60);
    let running = count(&daemon, "RUNNING");
    // Those that are just being executed need some as well: not always the same number runs in the first moment.
    assert!((20..60).contains(&running), "{running} run with 100 descriptors");
    // The last of those that wait, for whom there is no room, has been tried a second time.
    let waiting = daemon.all().into_iter().rfind(|process| process.state == "BACKOFF").expect("some do");
    wait_until("further attempts", || {
        let (_, history, _) = daemon.ctl(&["history", &waiting.name]);
        history.matches("-> BACKOFF").count() > 1
    });
    assert_eq!(count(&daemon, "FATAL"), 0);
    daemon.wait_log("60 programs need about 152 file descriptors, and the limit is 100");
    daemon.wait_log("The daemon is short of file descriptors");
    let waiting = daemon.all().into_iter().find(|process| process.state == "BACKOFF").expect("some do");
    let said = waiting.description.unwrap_or_default();
    assert!(said.contains("Too many open files; the daemon tries again in"), "{said}");
    // Clients need descriptors, too: how many programs run is not the same in each moment.
    let waited = count(&daemon, "BACKOFF");
    for one in daemon.all().iter().filter(|process| process.state == "RUNNING").take(6) {
        assert_eq!(daemon.ctl(&["stop", &one.name]).0, 0);
    }
    wait_until("others have their room", || count(&daemon, "BACKOFF") + 4 <= waited);
    let log = daemon.terminate();
    assert_eq!(log.matches("short of file descriptors").count(), 1, "{log}");
}

#[test]
fn where_descriptors_are_scarce_the_end_of_a_program_leaves_room_for_its_next_start() {
    let mut daemon = Daemon::unstarted(tempfile::tempdir().expect("a directory"));
    daemon.write_config("[program:p]\ncommand = sleep 1000\nstartsecs = 0\nautostart = false", &[]);
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 40; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_supervice")]);
    daemon.launch(command);
    daemon.wait_ready();
    // Whoever is connected is of no interest.
    let held = || links(daemon.pid()).iter().filter(|link| !link.starts_with("socket:")).count();
    let before = held();
    assert_eq!(daemon.ctl(&["start", "p"]).0, 0);
    daemon.signal_to("p", Signal::SIGKILL);
    wait_until("it runs again", || daemon.status("p").state == "RUNNING" && daemon.status("p").restarts == Some(1));
    assert_eq!(daemon.ctl(&["stop", "p"]).0, 0);
    wait_until("it holds what it did before the first start", || held() == before);
    daemon.terminate();
}

#[test]
fn a_program_whose_streams_are_captured_costs_two_descriptors() {
    let daemon = Daemon::start(
        "[program:p]\ncommand = sleep 1000\nstartsecs = 0\nautostart = false\n\
         [program:q]\ncommand = sleep 1000\nstartsecs = 0\nautostart = false\nlog_buffer = 0\n\
         [program:r]\ncommand = sleep 1000\nstartsecs = 0\nautostart = false\nredirect_stderr = true",
    );
    // The first start makes what all of them share. Its pipes are closed some time after its end.
    assert_eq!(daemon.ctl(&["start", "p"]).0, 0);
    let pipes = links(daemon.status("p").pid.expect("a pid"));
    assert_eq!(daemon.ctl(&["stop", "p"]).0, 0);
    wait_until("its pipes are closed", || !links(daemon.pid()).iter().any(|link| pipes.contains(link)));
    // Whoever is connected is of no interest.
    let held = || links(daemon.pid()).iter().filter(|link| !link.starts_with("socket:")).count();
    let before = held();
    for (name, cost) in [("p", 2), ("q", 0), ("r", 1)] {
        assert_eq!(daemon.ctl(&["start", name]).0, 0);
        wait_until(&format!("{name} costs {cost}"), || held() == before + cost);
        assert_eq!(daemon.ctl(&["stop", name]).0, 0);
        wait_until(&format!("{name} costs nothing any more"), || held() == before);
    }
    daemon.terminate();
}

/// One client is served though programs have taken all descriptors, and those beside it are told why they are not.
#[test]
fn where_no_descriptor_is_left_each_client_is_answered_at_once() {
    let mut daemon = Daemon::unstarted(tempfile::tempdir().expect("a directory"));
    daemon.write_config("[program:p]\ncommand = sleep 1000\nstartsecs = 0\nnumprocs = 60", &[]);
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 30; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_supervice")]);
    daemon.launch(command);
    daemon.wait_ready();
    wait_until("some wait", || count(&daemon, "BACKOFF") > 40);
    let request = supervice::internals::frames::frame(br#"{"command":"events"}"#);
    let mut served = Vec::new();
    let refusal = loop {
        assert!(served.len() < 30, "{} are served", served.len());
        let mut client = UnixStream::connect(daemon.path("ctl.sock")).expect("it listens");
        client.set_read_timeout(Some(TEST_TIMEOUT)).expect("a time-out");
        // Who is turned away may be so before he has asked.
        let _ = client.write_all(&request);
        let mut answer = [0; 512];
        let length = client.read(&mut answer).expect("an answer");
        let text = String::from_utf8_lossy(&answer[..length]).into_owned();
        if text.contains("file descriptors") {
            break text;
        }
        assert!(text.contains("\"ok\""), "{text}");
        served.push(client);
    };
    assert!(!served.is_empty() && refusal.contains("raise its limit"), "{refusal}");
    drop(served);
    wait_until("there is room", || daemon.ctl(&["ping"]).0 == 0);
    let log = daemon.terminate();
    assert!(log.contains("cannot accept a client: too few open files are allowed; it was told so"), "{log}");
    assert!(!log.contains("tried again every second"), "{log}");
}

/// As a user with processes enough: the kernel counts all of one user.
#[test]
fn a_daemon_that_gets_no_threads_says_so_at_once() {
    if !nix::unistd::geteuid().is_root() {
        println!("SKIPPED: needs root to become another user");
        return;
    }
    let daemon = Daemon::unstarted(tempfile::tempdir().expect("a directory"));
    let user = 20_000 + std::process::id() % 40_000;
    std::os::unix::fs::chown(daemon.dir.path(), Some(user), Some(user)).expect("root may");
    daemon.write_config("[program:p]\ncommand = sleep 1000", &[]);
    for threads in 1..=3 {
        let script = format!(
            "exec 9<\"$0\"; exec timeout 60 setpriv --reuid={user} --regid={user} --clear-groups \
             bash -c 'ulimit -u {threads}; exec /proc/self/fd/9 -n -c \"$0\"' \"$1\""
        );
        let mut command = Command::new("bash");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_supervice")]).arg(daemon.path("supervice.conf"));
        let begin = Instant::now();
        let ended = command.output().expect("it ends");
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(said.contains("Resource temporarily unavailable"), "{threads}: {said}");
        // What it has to say would be waited for two or three times two seconds.
        assert!(begin.elapsed() < Duration::from_millis(1900), "{threads}: {:?}", begin.elapsed());
    }
}

/// A start that fails tells so once, with the remedy, and leaves none of its files behind, whatever it has come to.
#[test]
fn a_daemon_that_gets_no_descriptors_says_so_once_and_leaves_no_file() {
    let daemon = Daemon::unstarted(tempfile::tempdir().expect("a directory"));
    daemon.write_config("[program:p]\ncommand = sleep 1000", &[]);
    for files in 5..=12 {
        let mut command = Command::new("sh");
        let script = format!("ulimit -n {files}; exec \"$0\" \"$@\"");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_supervice"), "-n", "-c"]).arg(daemon.path("supervice.conf"));
        let ended = command.output().expect("it ends");
        let said = String::from_utf8_lossy(&[ended.stdout, ended.stderr].concat()).into_owned();
        assert_eq!(ended.status.code(), Some(1), "{files}: {said}");
        assert_eq!(said.matches("Too many open files").count(), 1, "{files}: {said}");
        assert!(said.contains("short of file descriptors; raise its limit (`ulimit -n`"), "{files}: {said}");
        for left in ["ctl.sock", "daemon.pid"] {
            assert!(!daemon.path(left).exists(), "{files}: {left} is left");
        }
    }
}
