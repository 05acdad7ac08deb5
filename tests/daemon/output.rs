//! Where the children's output goes, end to end.

use std::fs;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

use crate::harness::{Daemon, TEST_TIMEOUT, executed, wait_until};

/// A daemon whose standard output is `stdout`.
struct Piped {
    child: Child,
    dir: tempfile::TempDir,
}

impl Piped {
    fn start(settings: &str, sections: &str, stdout: Stdio, mut command: Command) -> Piped {
        let dir = tempfile::tempdir().expect("a directory");
        let config = dir.path().join("supervice.conf");
        let path = dir.path().display().to_string();
        let text =
            format!("[supervice]\nsocket = DIR/ctl.sock\npidfile = none\nlogfile = none\n{settings}\n{sections}\n");
        fs::write(&config, text.replace("DIR", &path)).expect("the configuration");
        // For a daemon that is not root.
        fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("chmod");
        let child = command
            .args(["-n", "-c"])
            .arg(&config)
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(Stdio::null())
            .spawn()
            .expect("the daemon can be executed");
        Piped { child, dir }
    }

    fn daemon() -> Command {
        Command::new(env!("CARGO_BIN_EXE_supervice"))
    }
}

impl Drop for Piped {
    fn drop(&mut self) {
        use nix::sys::signal::{Signal, kill};
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).expect("a pid"));
        let _ = kill(pid, Signal::SIGTERM);
        let _ = self.child.wait();
    }
}

/// Reads until the text holds all of `wanted`.
fn read_until(mut from: impl Read, wanted: &[&str]) -> String {
    let mut seen = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&seen).into_owned();
        if wanted.iter().all(|wanted| text.contains(wanted)) {
            return text;
        }
        let count = from.read(&mut chunk).expect("readable");
        assert!(count > 0, "the output has ended before {wanted:?}: {text}");
        seen.extend_from_slice(&chunk[..count]);
    }
}

const TALKER: &str = "[program:talker]\ncommand = sh -c 'echo to-stdout; echo to-stderr >&2; exec sleep 1000'\n\
                      stdout_logfile = /dev/stdout\nstderr_logfile = /dev/stdout\n";

#[test]
fn dev_stdout_may_be_a_pipe() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let _daemon = Piped::start("", TALKER, writer.into(), Piped::daemon());
    let text = read_until(reader, &["\nto-stdout\n", "\nto-stderr\n"]);
    assert!(text.contains("is up (pid"), "the daemon's own lines are there as well: {text}");
}

#[test]
fn dev_stdout_may_be_a_socket() {
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    let _daemon = Piped::start("", TALKER, OwnedFd::from(theirs).into(), Piped::daemon());
    read_until(ours, &["\nto-stdout\n", "\nto-stderr\n"]);
}

#[test]
fn dev_stdout_may_be_a_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("out");
    let _daemon = Piped::start("", TALKER, fs::File::create(&path).expect("a file").into(), Piped::daemon());
    wait_until("both lines are in the file", || {
        let text = fs::read_to_string(&path).unwrap_or_default();
        text.contains("\nto-stdout\n") && text.contains("\nto-stderr\n")
    });
}

/// As in a container whose terminal belongs to somebody else: what was inherited is written to, not opened.
#[test]
fn dev_stdout_may_be_a_file_that_the_daemon_may_not_open() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("out");
    let file = fs::File::create(&path).expect("a file");
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("chmod");
    let mut command = Piped::daemon();
    if nix::unistd::geteuid().is_root() {
        // The binary may be in a directory that only root can look into: it is copied out of there.
        let copy = dir.path().join("supervice");
        // By cp: a descriptor of ours that is open for writing might be inherited by another test's child.
        let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_supervice")).arg(&copy).status();
        assert!(copied.expect("cp").success());
        fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("chmod");
        command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(copy);
    }
    let _daemon = Piped::start("", TALKER, file.into(), command);
    wait_until("both lines are in the file", || {
        let text = fs::read_to_string(&path).unwrap_or_default();
        text.contains("\nto-stdout\n") && text.contains("\nto-stderr\n")
    });
}

const NAMED: &str = "[program:web]\ncommand = sh -c 'echo hello; echo oops >&2; exec sleep 1000'\nlog_buffer = 0\n";

#[test]
fn on_a_terminal_prefixes_have_colours() {
    let pty = nix::pty::openpty(None, None).expect("a terminal");
    let mut command = Piped::daemon();
    command.env("TERM", "xterm").env_remove("NO_COLOR");
    let daemon = Piped::start("default_output = console", NAMED, pty.slave.into(), command);
    let text = read_until(fs::File::from(pty.master), &["hello\r\n"]);
    let line = text.lines().find(|line| line.contains("hello")).expect("the line");
    assert!(line.starts_with("\x1b[3") && line.contains("mweb |\x1b[0m hello"), "{line:?}");
    drop(daemon);
}

#[test]
fn what_nobody_can_read_is_not_written() {
    let mut daemon = Daemon::unstarted(tempfile::tempdir().expect("a directory"));
    daemon.write_config("[program:p]\ncommand = sleep 1000", &[]);
    let mut command = Command::new("sh");
    let log = daemon.path("own.log");
    command.args(["-c", r#"exec "$0" -l "$LOG" "$@" > /dev/null"#, env!("CARGO_BIN_EXE_supervice")]).env("LOG", &log);
    daemon.launch(command);
    wait_until("it is up", || fs::read_to_string(&log).is_ok_and(|text| text.contains("p: STARTING")));
    let tasks = fs::read_dir(format!("/proc/{}/task", daemon.pid())).expect("its threads");
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    let names: Vec<String> = names.collect();
    assert!(
        names.iter().any(|name| name == "log\n") && !names.iter().any(|name| name.starts_with("console")),
        "{names:?}"
    );
    daemon.terminate();
}

#[test]
fn a_console_whose_reader_has_gone_is_told_in_the_log_file() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let loud = "[program:loud]\ncommand = sh -c 'while echo hello; do sleep 0.05; done'";
    let mut command = Piped::daemon();
    let log = tempfile::NamedTempFile::new().expect("a file");
    command.arg("-l").arg(log.path());
    let daemon = Piped::start("default_output = console", loud, writer.into(), command);
    read_until(reader, &["hello"]);
    let told = || fs::read_to_string(log.path()).unwrap_or_default();
    wait_until("it is told", || told().contains("standard output: Broken pipe; what is shown there is lost"));
    drop(daemon);
    assert_eq!(told().matches("Broken pipe").count(), 1, "each line would be one more");
}

#[test]
fn a_console_that_nobody_reads_holds_the_end_up_for_a_second_and_that_is_told() {
    let (_reader, writer) = std::io::pipe().expect("a pipe");
    let loud = "[program:loud]\ncommand = sh -c 'echo begun > DIR/begun; exec yes'";
    let mut command = Piped::daemon();
    let log = tempfile::NamedTempFile::new().expect("a file");
    command.arg("-l").arg(log.path());
    let daemon = Piped::start("default_output = console", loud, writer.into(), command);
    let told = |what: &str| fs::read_to_string(log.path()).unwrap_or_default().contains(what);
    wait_until("it is told", || told("nobody reads the daemon's standard output; lines"));
    let begin = std::time::Instant::now();
    drop(daemon);
    // Each of the two that wait for the console would take two seconds.
    assert!(begin.elapsed() < std::time::Duration::from_millis(3500), "{:?}", begin.elapsed());
    assert!(told("the last lines for it are lost") && told("supervice has ended"));
}

#[test]
fn the_console_gets_whole_lines_with_the_name_of_their_program() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let daemon = Piped::start("default_output = console", NAMED, writer.into(), Piped::daemon());
    read_until(reader, &["\nweb | hello\n"]);
    drop(daemon);
}

#[test]
fn the_prefix_is_what_the_configuration_says() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let settings = "default_output = console\nlog_prefix = <%(stream)s of %(program_name)s>";
    let _daemon = Piped::start(settings, NAMED, writer.into(), Piped::daemon());
    read_until(reader, &["\n<stdout of web> hello\n"]);
}

#[test]
fn json_lines_are_json_whatever_a_program_writes() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let program =
        "[program:odd]\ncommand = sh -c 'printf \"\\\\377\\\\000\\\"x\\\\\\\\\\n\"; echo end; exec sleep 1000'\n";
    let daemon = Piped::start("default_output = console\nlog_format = json", program, writer.into(), Piped::daemon());
    let text = read_until(reader, &["\"line\":\"end\"}\n"]);
    let mut programs = std::collections::BTreeSet::new();
    let complete = text.rfind('\n').map_or("", |end| &text[..end]);
    for line in complete.lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        programs.insert(value["program"].as_str().expect("a program").to_owned());
        if value["program"] == "odd" && value["line"] != "end" {
            assert_eq!(value["line"].as_str().expect("text").chars().next(), Some('\u{fffd}'), "{line}");
        }
    }
    assert_eq!(programs.into_iter().collect::<Vec<_>>(), ["odd", "supervice"], "the daemon's own lines are JSON too");
    assert!(daemon.dir.path().exists());
}

/// Row 3 of what goes wrong elsewhere: the farewell of a program that is stopped.
#[test]
fn output_after_sigterm_is_there() {
    let daemon = Daemon::start(
        "[program:polite]\nstdout_logfile = DIR/polite.log\n\
         command = sh -c 'trap \"echo farewell; exit 0\" TERM; echo up; while :; do sleep 0.05; done'\n",
    );
    wait_until("it is up", || daemon.read("polite.log").contains("up"));
    let path = daemon.path("polite.log");
    let keep = fs::File::open(&path).expect("the log");
    daemon.terminate();
    let mut text = String::new();
    (&keep).read_to_string(&mut text).expect("readable");
    assert_eq!(text, "up\nfarewell\n");
}

/// Three programs that log to a file, to a file that rotates, and to memory alone.
const TAILED: &str = "[program:ring]\ncommand = sh -c 'seq 1 100; exec sleep 1000'\n\
    [program:file]\ncommand = sh -c 'seq 1 100; echo bad >&2; exec sleep 1000'\nstdout_logfile = DIR/file.log\n\
    [program:split]\ncommand = sh -c 'seq 1000 1099; exec sleep 1000'\nstdout_logfile = DIR/split.log\n\
    stdout_logfile_maxbytes = 400\nstdout_logfile_backups = 2\n";

#[test]
fn tail_shows_the_newest_lines_of_files_rotated_files_and_memory() {
    let daemon = Daemon::start(TAILED);
    for name in ["ring", "file"] {
        wait_until("everything is written", || daemon.ctl(&["tail", "-n", "1", name]).1 == "100\n");
        assert_eq!(daemon.ctl(&["tail", "-n", "3", name]), (0, "98\n99\n100\n".to_owned(), String::new()));
        assert_eq!(daemon.ctl(&["tail", name]).1.lines().count(), 10);
        assert_eq!(daemon.ctl(&["tail", "-c", "6", name]).1, "9\n100\n");
    }
    wait_until("everything is written", || daemon.ctl(&["tail", "-n", "1", "split"]).1 == "1099\n");
    let wanted: String = (1000..1100).rev().take(90).rev().map(|number| format!("{number}\n")).collect();
    assert_eq!(daemon.ctl(&["tail", "-n", "90", "split"]).1, wanted, "the file before is read as well");
    wait_until("standard error is there", || daemon.ctl(&["tail", "file", "stderr"]).1 == "bad\n");
    let (code, text, _) = daemon.ctl(&["tail", "-n1", "ring", "file"]);
    assert_eq!((code, text.as_str()), (0, "==> ring <==\n100\n\n==> file <==\n100\n"));
    let (code, _, errors) = daemon.ctl(&["tail", "fil"]);
    assert_eq!((code, errors.as_str()), (1, "supervicectl: no process 'fil'; did you mean 'file'?\n"));
}

#[test]
fn clear_empties_the_file_and_the_memory() {
    let daemon = Daemon::start(TAILED);
    for name in ["ring", "file"] {
        wait_until("everything is written", || daemon.ctl(&["tail", "-n", "1", name]).1 == "100\n");
        // A writer that is late on a busy machine is one whose disk does not answer.
        let told = (0, format!("{name}: its logs are empty\n"), String::new());
        wait_until("its logs are empty", || daemon.ctl(&["clear", name]) == told);
        assert_eq!(daemon.ctl(&["tail", name]), (0, String::new(), String::new()));
    }
    assert_eq!(daemon.read("file.log"), "");
}

#[test]
fn reopen_writes_to_a_new_file_where_the_old_one_was_moved_away() {
    let daemon = Daemon::start(
        "[program:w]\ncommand = sh -c 'while :; do echo line; sleep 0.02; done'\nstdout_logfile = DIR/w.log\n",
    );
    wait_until("it writes", || !daemon.read("w.log").is_empty());
    fs::rename(daemon.path("w.log"), daemon.path("moved")).expect("renamed");
    assert_eq!(daemon.ctl(&["reopen"]), (0, "all log files are opened anew\n".to_owned(), String::new()));
    let lines = || daemon.read("w.log").lines().count();
    wait_until("it writes to the new file", || lines() > 2);
    let (length, before) = (daemon.read("moved").len(), lines());
    wait_until("it goes on", || lines() > before + 2);
    assert_eq!(daemon.read("moved").len(), length, "the old one is left alone");
}

/// Numbered lines, in runs of 20,000, with rotations in between.
const COUNTER: &str = "[program:n]\nstdout_logfile = DIR/n.log\nstdout_logfile_maxbytes = 100KB\nstdout_logfile_backups = 50\n\
    autostart = false\nautorestart = false\nstartsecs = 0\n\
    command = sh -c 'touch DIR/count; a=$(cat DIR/count); a=${a:-0}; echo $((a+20000)) > DIR/count; seq $((a+1)) $((a+20000))'\n";

#[test]
fn a_follower_gets_every_line_in_order_across_rotations_and_runs() {
    let daemon = Daemon::start(COUNTER);
    let controller = daemon.controller();
    let pieces = controller.follow("n", false, supervice::client::Amount::Lines(0)).expect("followed");
    let (tell, followed) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut text = Vec::new();
        for piece in pieces {
            let piece = piece.expect("a piece");
            assert_eq!(piece.lost, 0, "it keeps up");
            text.extend_from_slice(&piece.bytes);
            let is_end_of = |number: &u32| text.ends_with(format!("\n{number}\n").as_bytes());
            if let Some(number) = [20_000, 40_000, 60_000].into_iter().find(is_end_of) {
                tell.send(number).expect("it is waited for");
                if number == 60_000 {
                    break;
                }
            }
        }
        String::from_utf8(text).expect("digits")
    });
    for number in [20_000, 40_000, 60_000] {
        controller.start_process("n").expect("started");
        daemon.wait_state("n", "EXITED");
        // Whoever stands still for long is told what he has missed.
        assert_eq!(followed.recv_timeout(TEST_TIMEOUT), Ok(number));
    }
    let text = reader.join().expect("the reader");
    let wanted: String = (1..=60_000).map(|number| format!("{number}\n")).collect();
    assert!(text == wanted, "{} bytes instead of {}", text.len(), wanted.len());
    assert!(daemon.path("n.log.2").exists(), "it was rotated");
    let files = || (1..=50).rev().map(|number| format!("n.log.{number}")).chain(["n.log".to_owned()]);
    wait_until("all of it is in the files", || files().map(|name| daemon.read(&name)).collect::<String>() == wanted);
}

/// Row 5 of what goes wrong elsewhere: a client that stalls.
#[test]
fn failures_05_a_stalled_follower_slows_nobody_and_learns_what_it_missed() {
    let daemon = Daemon::start(
        "[program:big]\nstdout_logfile = DIR/big.log\nstdout_logfile_maxbytes = 0\nautostart = false\n\
         autorestart = false\nstartsecs = 0\ncommand = sh -c 'yes 0123456789 | head -c 20000000; echo; echo THE-END'\n",
    );
    let controller = daemon.controller();
    let mut stalled = controller.follow("big", false, supervice::client::Amount::Lines(0)).expect("followed");
    controller.start_process("big").expect("started");
    daemon.wait_state("big", "EXITED");
    wait_until("all is in the file", || fs::metadata(daemon.path("big.log")).is_ok_and(|file| file.len() > 20_000_000));
    assert_eq!(daemon.ctl(&["tail", "-n1", "big"]).1, "THE-END\n", "others are served");
    let (mut got, mut lost, mut text) = (0, 0, Vec::new());
    while !text.ends_with(b"THE-END\n") {
        let piece = stalled.next().expect("more").expect("a piece");
        got += piece.bytes.len() as u64;
        lost += piece.lost;
        text = piece.bytes;
    }
    assert!(lost > 0, "nothing was dropped");
    assert_eq!(got + lost, fs::metadata(daemon.path("big.log")).expect("the log").len());
    daemon.terminate();
}

#[test]
fn several_programs_are_followed_together_until_the_daemon_ends() {
    let daemon = Daemon::start(TAILED);
    for name in ["ring", "file"] {
        wait_until("everything is written", || daemon.ctl(&["tail", "-n", "1", name]).1 == "100\n");
    }
    let child = Command::new(env!("CARGO_BIN_EXE_supervicectl"))
        .arg("-s")
        .arg(daemon.path("ctl.sock"))
        .args(["tail", "-f", "-n", "1", "ring", "file"])
        .stdout(Stdio::piped())
        .spawn();
    let mut child = child.expect("supervicectl can be executed");
    let text = read_until(child.stdout.as_mut().expect("piped"), &["ring | 100\n", "file | 100\n"]);
    assert_eq!(text.lines().count(), 2, "{text}");
    daemon.terminate();
    assert_eq!(child.wait().expect("waitpid").code(), Some(0));
}

/// Row 3 of what goes wrong elsewhere: the last words of a program that crashes, here five hundred times while the
/// machine is busy.
#[test]
fn failures_03_the_last_line_of_a_crash_is_never_lost() {
    let daemon = Daemon::start(
        "[program:crash]\nnumprocs = 50\nautorestart = false\nstartsecs = 0\nautostart = false\nstartretries = 0\n\
         stdout_logfile = DIR/crash.log\ncommand = sh -c 'echo x; exit 1'\n\
         [program:load]\nnumprocs = 2\ncommand = sh -c 'while :; do :; done'\n",
    );
    let names: Vec<String> = (0..50).map(|number| format!("crash:{number:02}")).collect();
    let done = |status: &supervice::internals::frames::ProcessStatus| {
        status.name.starts_with("load") || (status.pid.is_none() && status.exit_code == Some(1))
    };
    for round in 1..=10 {
        std::thread::scope(|scope| {
            for name in &names {
                scope.spawn(|| {
                    // The answer is that it failed.
                    let _ = daemon.controller().start_process(name);
                });
            }
        });
        wait_until("all have ended", || daemon.all().iter().all(done));
        wait_until("every x of this round is there", || {
            let lines = daemon.read("crash.log").len() / 2;
            assert!(lines <= round * names.len(), "{lines} lines after {round} rounds");
            lines == round * names.len()
        });
    }
    assert_eq!(daemon.read("crash.log"), "x\n".repeat(500));
}

/// Row 5 of what goes wrong elsewhere: a disk that is full.
#[test]
fn failures_05_a_full_disk_is_said_once_and_stops_nobody() {
    let daemon = Daemon::start(
        "[program:full]\nstdout_logfile = /dev/full\n\
         command = sh -c 'while :; do echo x; echo y >> DIR/progress; sleep 0.01; done'\n\
         [program:other]\nstdout_logfile = DIR/other.log\ncommand = sh -c 'while :; do echo z; sleep 0.01; done'\n",
    );
    wait_until("both go on", || daemon.read("progress").len() > 300 && daemon.read("other.log").len() > 300);
    let description = daemon.status("full").description.unwrap_or_default();
    assert!(description.contains("output is lost: cannot write /dev/full: No space left on device"), "{description}");
    daemon.wait_log("cannot write /dev/full");
    assert_eq!(daemon.log().matches("cannot write /dev/full").count(), 1, "{}", daemon.log());
    assert_eq!(daemon.ctl(&["tail", "-n1", "full"]).1, "x\n", "the newest is still in memory");
}

/// `status` told of the file before for ever.
#[test]
fn trouble_with_a_log_is_over_when_an_update_names_another() {
    let section = |log: &str| {
        format!(
            "[program:p]\nstdout_logfile = {log}\nstartsecs = 0\ncommand = sh -c 'while :; do echo x; sleep 0.01; done'\n"
        )
    };
    let daemon = Daemon::start(&section("/dev/full"));
    let description = || daemon.status("p").description.unwrap_or_default();
    wait_until("it is told", || description().contains("output is lost"));
    let pid = daemon.status("p").pid;
    daemon.write_config(&section("DIR/p.log"), &[]);
    assert_eq!(daemon.ctl(&["update"]), (0, "Changed: p\n".to_owned(), String::new()));
    wait_until("it is over", || !description().contains("output is lost"));
    daemon.wait_log("p: stdout goes elsewhere from now on; ");
    wait_until("the new log is written", || !daemon.read("p.log").is_empty());
    assert_eq!(daemon.status("p").pid, pid, "it runs on");
    daemon.terminate();
}

/// Row 30: what is on disk never exceeds its bound, and a program without a log file writes nothing to the disk at all.
#[test]
fn failures_30_logs_stay_in_their_bounds_or_in_memory_alone() {
    let chatty = "command = sh -c 'i=0;while [ $i -lt 3000 ];do echo line number $i;i=$((i+1));done;exec sleep 1000'";
    let daemon = Daemon::start(&format!(
        "[program:file]\n{chatty}\nstartsecs = 0\nstdout_logfile = DIR/file.log\nstdout_logfile_maxbytes = 4KB\n\
         stdout_logfile_backups = 2\nautostart = false\n\
         [program:memory]\n{chatty}\nstartsecs = 0\nlog_buffer = 4KB\nautostart = false\n"
    ));
    let used = |name: &str| -> u64 {
        let entries = fs::read_dir(daemon.dir.path()).expect("the directory").filter_map(Result::ok);
        let of_it = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(name));
        of_it.filter_map(|entry| Some(entry.metadata().ok()?.len())).sum()
    };
    daemon.controller().start_process("file").expect("it starts");
    let bound = 3 * 4096;
    wait_until("the last line is written", || {
        let now = used("file.log");
        assert!(now <= bound, "{now} bytes on disk, {bound} are allowed");
        daemon.read("file.log").ends_with("line number 2999\n")
    });
    let written = || {
        let text = fs::read_to_string(format!("/proc/{}/io", daemon.pid())).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("write_bytes: ")).unwrap_or("0");
        line.parse::<u64>().expect("a number")
    };
    let files = || fs::read_dir(daemon.dir.path()).map(Iterator::count).unwrap_or(0);
    daemon.controller().start_process("memory").expect("it starts");
    let (bytes_before, files_before) = (written(), files());
    wait_until("all is read", || daemon.ctl(&["tail", "-n1", "memory"]).1 == "line number 2999\n");
    let kept = daemon.ctl(&["tail", "-c", "100000", "memory"]).1;
    assert!(kept.len() <= 4096 && kept.ends_with("line number 2998\nline number 2999\n"), "{} bytes", kept.len());
    assert_eq!(files(), files_before);
    // The daemon's own log, which is a file here, tells a line or two.
    assert!(written() - bytes_before <= 16 * 1024, "{} bytes were written", written() - bytes_before);
    daemon.terminate();
}

/// Where its output goes is no reason to restart a program.
#[test]
fn changed_log_files_and_prefixes_act_on_what_runs() {
    let section = |settings: &str| {
        format!("[program:w]\ncommand = sh -c 'while :; do echo line; sleep 0.02; done'\nstartsecs = 0\n{settings}\n")
    };
    let daemon = Daemon::start(&section("stdout_logfile = DIR/one.log"));
    let pid = daemon.wait_state("w", "RUNNING").pid;
    wait_until("it writes", || !daemon.read("one.log").is_empty());
    daemon.write_config(&section("stdout_logfile = DIR/two.log"), &[]);
    assert_eq!(daemon.ctl(&["update"]).0, 0);
    wait_until("it writes elsewhere", || daemon.read("two.log").lines().count() > 2);
    let before = daemon.read("one.log");
    assert!(before.ends_with("line\n") && daemon.read("two.log").starts_with("line\n"), "no line is cut");
    daemon.write_config(&section(""), &["default_output = console", "log_prefix = first>"]);
    assert_eq!(daemon.ctl(&["update"]).0, 0);
    wait_until("it writes to the console", || daemon.log().contains("\nfirst> line\n"));
    daemon.write_config(&section(""), &["default_output = console", "log_prefix = second>"]);
    assert_eq!(daemon.ctl(&["update"]).0, 0);
    wait_until("the prefix is another one", || daemon.log().contains("\nsecond> line\n"));
    assert_eq!((daemon.status("w").pid, daemon.read("one.log")), (pid, before), "it goes on");
    daemon.terminate();
}

/// In files and in memory, of what comes from an update on.
#[test]
fn escape_sequences_are_kept_out_of_logs_where_that_is_wanted() {
    let program = "[program:w]\nstartsecs = 0\nstdout_logfile = DIR/w.log\n\
         command = sh -c 'while :; do printf \"\\033[31mred\\033[0m\\n\"; sleep 0.02; done'\n";
    let daemon = Daemon::start(program);
    let pid = daemon.wait_state("w", "RUNNING").pid;
    wait_until("it writes", || daemon.read("w.log").starts_with("\x1b[31mred\x1b[0m\n"));
    daemon.write_config(program, &["strip_ansi = true"]);
    assert_eq!(daemon.ctl(&["update"]).0, 0);
    wait_until("nothing but text is written", || daemon.read("w.log").ends_with("\nred\nred\nred\n"));
    assert_eq!(daemon.ctl(&["tail", "-n2", "w"]).1, "red\nred\n");
    daemon.write_config(program, &[]);
    assert_eq!(daemon.ctl(&["update"]).0, 0);
    wait_until("it is written as it was", || daemon.read("w.log").contains("\nred\n\x1b[31mred\x1b[0m\n"));
    assert_eq!(daemon.status("w").pid, pid);
    daemon.terminate();
}

#[test]
fn standard_streams_lead_where_the_settings_say() {
    let daemon = Daemon::start(
        "[program:both]\ncommand = sh -c 'echo one;echo two >&2;echo three;exec sleep 1000'\nstartsecs = 0\n\
         redirect_stderr = true\nstdout_logfile = DIR/both.log\n\
         [program:split]\ncommand = sleep 1000\nstartsecs = 0\n\
         [program:half]\ncommand = sleep 1000\nstartsecs = 0\nlog_buffer = 0\nstdout_logfile = DIR/half.log\n\
         [program:mute]\ncommand = sleep 1000\nstartsecs = 0\nlog_buffer = 0\n\
         [program:mute-both]\ncommand = sleep 1000\nstartsecs = 0\nlog_buffer = 0\nredirect_stderr = true\n",
    );
    let streams = |name: &str| {
        let pid = executed(daemon.wait_state(name, "RUNNING").pid.expect("a pid"));
        [1, 2].map(|number| {
            let target = fs::read_link(format!("/proc/{pid}/fd/{number}")).expect("it is open");
            target.to_string_lossy().into_owned()
        })
    };
    let [stdout, stderr] = streams("both");
    assert!(stdout == stderr && stdout.starts_with("pipe:"), "{stdout} {stderr}");
    wait_until("all is written", || daemon.read("both.log") == "one\ntwo\nthree\n");
    let [stdout, stderr] = streams("split");
    assert!(stdout != stderr && stdout.starts_with("pipe:") && stderr.starts_with("pipe:"), "{stdout} {stderr}");
    let [stdout, stderr] = streams("half");
    assert!(stdout.starts_with("pipe:") && stderr == "/dev/null", "{stdout} {stderr}");
    for name in ["mute", "mute-both"] {
        assert_eq!(streams(name), ["/dev/null", "/dev/null"], "{name} costs no pipe");
    }
    daemon.terminate();
}

/// Whatever leads to standard output is standard output: a link, another name, the very file that it is (which would be
/// written at two places at once). The daemon's own log, too, has each line once.
#[test]
fn standard_output_is_recognised_by_what_it_is() {
    let names = [
        ("a", "DIR/links"),
        ("b", "/proc/thread-self/fd/1"),
        ("c", "DIR/daemon.out"),
        ("d", "/dev/stdout"),
        ("e", "/dev/fd/1"),
    ];
    let program = |(name, log): (&str, &str)| {
        format!(
            "[program:{name}]\ncommand = sh -c 'echo {name}-first; echo {name}-second; printf {name}-third; exec sleep 0.1'\n\
             startsecs = 0\nautorestart = false\nstdout_logfile = {log}\nstdout_logfile_maxbytes = 10\n"
        )
    };
    for daemons in ["DIR/links", "/dev/stdout", "DIR/daemon.out"] {
        let settings = [format!("logfile = {daemons}")];
        let dir = tempfile::tempdir().expect("a directory");
        std::os::unix::fs::symlink("/dev/stdout", dir.path().join("link")).expect("a link");
        std::os::unix::fs::symlink("link", dir.path().join("links")).expect("a link");
        let daemon = Daemon::start_in(dir, &names.map(program).concat(), &settings.each_ref().map(String::as_str));
        for (name, _) in names {
            daemon.wait_state(name, "EXITED");
            daemon.wait_log(&format!("{name}-third"));
        }
        let log = daemon.log();
        for line in names.iter().flat_map(|(name, _)| ["first", "second", "third"].map(|word| format!("{name}-{word}")))
        {
            assert_eq!(log.lines().filter(|found| *found == line).count(), 1, "{daemons}: {line}\n{log}");
        }
        assert_eq!(log.matches(" is up (pid ").count(), 1, "{daemons}: {log}");
        assert!(!daemon.path("daemon.out.1").exists() && daemon.path("link").is_symlink());
        daemon.terminate();
    }
}
