//! What programs have as their standard input, and what clients write to it.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};

use crate::harness::{Daemon, wait_until, word_in};

/// `supervicectl` with this on its standard input.
fn ctl_with(daemon: &Daemon, args: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_supervicectl"))
        .arg("-s")
        .arg(daemon.path("ctl.sock"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("supervicectl can be executed");
    let mut stdin = child.stdin.take().expect("piped");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().expect("it ends");
    // A program that refuses has not read all of it.
    let _ = writer.join().expect("no panic");
    output
}

fn refusal(daemon: &Daemon, name: &str, bytes: &[u8]) -> String {
    let error = daemon.controller().write_stdin(name, bytes).expect_err("nothing was taken");
    error.refusal().unwrap_or_default().to_owned()
}

#[test]
fn a_program_reads_nothing_a_file_or_what_clients_write() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("words"), "from a file\n").expect("written");
    let daemon = Daemon::start_in(
        dir,
        "[program:null]\ncommand = sh -c 'cat > DIR/null.read; echo end >> DIR/null.read; exec sleep 1000'\n\
         [program:file]\ncommand = sh -c 'cat > DIR/file.read; exec sleep 1000'\nstdin = file:words\ndirectory = DIR\n\
         [program:pipe]\ncommand = sh -c 'read word; echo $word > DIR/pipe.read; exec cat > DIR/bytes.read'\nstdin = pipe\n\
         [program:lost]\ncommand = cat\nstdin = file:/no/such/file\nstartretries = 0\n",
        &[],
    );
    assert_eq!(word_in(&daemon.path("null.read")), "end");
    assert_eq!(word_in(&daemon.path("file.read")), "from a file");
    let lost = daemon.wait_state("lost", "FATAL").description.unwrap_or_default();
    assert!(lost.contains("cannot open standard input /no/such/file: No such file or directory"), "{lost}");
    daemon.wait_state("pipe", "RUNNING");
    assert_eq!(
        daemon.controller().write_stdin("pipe", b"secret\n").expect("it reads"),
        "pipe: 7 bytes to its standard input"
    );
    assert_eq!(word_in(&daemon.path("pipe.read")), "secret");
    // Bytes are bytes, however many.
    let bytes: Vec<u8> = (0..=255).cycle().take(700_000).collect();
    let output = ctl_with(&daemon, &["stdin", "pipe"], &bytes);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    wait_until("cat has copied all", || fs::read(daemon.path("bytes.read")).is_ok_and(|read| read == bytes));
    assert_eq!(refusal(&daemon, "null", b"x"), "stdin_no_pipe");
    assert_eq!(refusal(&daemon, "lost", b"x"), "not_running");
    let log = daemon.terminate();
    assert!(log.contains("stdin pipe (7 bytes)") && !log.contains("secret"), "{log}");
}

/// A child that waited for a writer before exec was taken for a program that runs.
#[test]
fn a_fifo_needs_no_writer_and_does_not_end_with_one() {
    let dir = tempfile::tempdir().expect("a directory");
    let fifo = dir.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    let daemon = Daemon::start_in(
        dir,
        "[program:reader]\ncommand = sh -c 'echo >DIR/begun; exec cat'\nstdin = file:DIR/fifo\nstartsecs = 0\n\
         stdout_logfile = DIR/reader.log\n",
        &[],
    );
    wait_until("it was executed", || daemon.path("begun").exists());
    let pid = daemon.wait_state("reader", "RUNNING").pid;
    for (word, all) in [("one\n", "one\n"), ("two\n", "one\ntwo\n")] {
        fs::write(&fifo, word).expect("somebody reads");
        wait_until("it has read that", || daemon.read("reader.log") == all);
    }
    assert_eq!(daemon.status("reader").pid, pid, "the first writer's end was none of its input\n{}", daemon.log());
    let log = daemon.terminate();
    assert!(!log.contains("has not executed its program"), "{log}");
}

/// Run as root, which alone can become another user.
#[test]
fn a_fifo_that_may_only_be_read_is_denied_with_the_reason() {
    if !nix::unistd::geteuid().is_root() {
        println!("SKIPPED: needs root");
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
    let fifo = dir.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    fs::set_permissions(&fifo, fs::Permissions::from_mode(0o644)).expect("chmod");
    let daemon = Daemon::start_in(
        dir,
        "[program:reader]\ncommand = cat\nuser = 1234\ndirectory = DIR\nstdin = file:fifo\n",
        &[],
    );
    let why = daemon.wait_state("reader", "FATAL").description.unwrap_or_default();
    let wanted = "cannot open standard input fifo: Permission denied: a FIFO is opened for reading and writing; give the program's \
                  user both rights";
    assert!(why.contains(wanted), "{why}");
    daemon.terminate();
}

#[test]
fn a_program_that_does_not_read_is_said_to_and_delays_nobody() {
    let daemon = Daemon::start(
        "[program:deaf]\ncommand = sh -c 'read line; exec cat > DIR/deaf.read'\nstdin = pipe\n\
         [program:closed]\ncommand = sh -c 'exec 0<&-; echo > DIR/closed.ready; exec sleep 1000'\nstdin = pipe\n\
         [program:other]\ncommand = cat\nstdin = pipe\nstdout_logfile = DIR/other.log\n",
    );
    for name in ["deaf", "closed", "other"] {
        daemon.wait_state(name, "RUNNING");
    }
    wait_until("it has closed it", || daemon.path("closed.ready").exists());
    assert_eq!(refusal(&daemon, "closed", b"x"), "stdin_closed");
    assert_eq!(refusal(&daemon, "closed", b"x"), "stdin_closed");
    // The shell waits for the end of its line: the pipe fills, then the daemon's buffer.
    daemon.signal_to("deaf", nix::sys::signal::Signal::SIGSTOP);
    let block = vec![b'x'; 60_000];
    let mut taken = 0;
    let full = loop {
        match daemon.controller().write_stdin("deaf", &block) {
            Ok(_) => taken += block.len(),
            Err(error) => break error,
        }
        assert!(taken < 1_000_000, "the buffer has a bound");
    };
    assert_eq!(full.refusal(), Some("stdin_full"), "{full}");
    daemon.controller().write_stdin("other", b"still there\n").expect("others are written to");
    assert_eq!(word_in(&daemon.path("other.log")), "still there");
    // What was taken comes, once it reads; what was refused does not.
    daemon.signal_to("deaf", nix::sys::signal::Signal::SIGCONT);
    let output = ctl_with(&daemon, &["stdin", "deaf"], b"\nrest");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    wait_until("the rest has come", || daemon.read("deaf.read") == "rest");
    // What waits for a run goes with it.
    daemon.controller().restart_process("deaf", false).expect("it restarts");
    daemon.terminate();
}

#[test]
fn fg_shows_both_streams_takes_input_and_ends_with_the_process() {
    let daemon = Daemon::start(
        "[program:talk]\ncommand = sh -c 'while read word; do case $word in bye) exit 0;; esac; echo out $word; echo err $word >&2; done'\n\
         stdin = pipe\nautorestart = false\n",
    );
    daemon.wait_state("talk", "RUNNING");
    // The answers to what is typed come before the end: it reads one line after the other.
    let mut child = Command::new(env!("CARGO_BIN_EXE_supervicectl"))
        .arg("-s")
        .arg(daemon.path("ctl.sock"))
        .args(["fg", "talk"])
        .stdin(Stdio::piped())
        .stdout(fs::File::create(daemon.path("fg.out")).expect("a file"))
        .stderr(fs::File::create(daemon.path("fg.err")).expect("a file"))
        .spawn()
        .expect("supervicectl can be executed");
    let mut stdin = child.stdin.take().expect("piped");
    // Its own output is followed from some moment on: say it until it is heard.
    wait_until("both streams are shown", || {
        stdin.write_all(b"hello\n").expect("written");
        let shown = daemon.read("fg.out");
        shown.contains("out hello\n") && shown.contains("err hello\n")
    });
    stdin.write_all(b"bye\n").expect("written");
    assert!(child.wait().expect("it ends").success());
    assert_eq!(daemon.read("fg.err"), "supervicectl: talk has exited\n");
    let (code, _, error) = daemon.ctl(&["fg", "talk"]);
    assert_eq!(code, 1, "{error}");
    assert!(error.contains("talk has no process"), "{error}");
    daemon.terminate();
}
