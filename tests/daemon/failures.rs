//! What goes wrong in other supervisors, and must not go wrong here. The number in a test's name is
//! that of the row in the list of known failures (packaging/failures.md).

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use supervice::process::Exit;

use crate::harness::{
    Daemon, TEST_TIMEOUT, alive, cpu_ticks, executed, marked, open_fds, pids, stat, wait_until, word_in,
    write_executable,
};

/// Row 2: a child that closes its output and lives on, and clients that leave in the middle.
#[test]
fn failures_02_closed_output_and_vanished_clients_cost_no_cpu() {
    let daemon = Daemon::start("[program:mute]\ncommand = sh -c 'exec sleep 1000 >&- 2>&-'\nstartsecs = 0");
    daemon.wait_state("mute", "RUNNING");
    for _ in 0..50 {
        let mut stream = UnixStream::connect(daemon.path("ctl.sock")).expect("connect");
        stream.write_all(&frame(br#"{"command":"status"}"#)).expect("write");
        drop(stream);
    }
    daemon.status("mute");
    let used = || {
        let (before, window) = (cpu_ticks(daemon.pid()), Instant::now());
        wait_until("two seconds are over", || window.elapsed() >= Duration::from_secs(2));
        cpu_ticks(daemon.pid()) - before
    };
    // What it was asked for before may take its time.
    assert!((0..10).any(|_| used() <= 5), "it uses the CPU in idle seconds");
    daemon.terminate();
}

/// Row 3: the last lines of a crashing child, and what it writes after SIGTERM.
#[test]
fn failures_03_no_last_word_is_lost() {
    let daemon = Daemon::start(
        "[program:burst]\ncommand = sh -c 'i=0; while [ $i -lt 200 ]; do echo \"%(process_num)s $i\"; i=$((i+1)); done; echo end; exit 1'\n\
         numprocs = 20\nstartsecs = 0\nautorestart = false\nstdout_logfile = DIR/burst.%(process_num)s\n\
         [program:last]\ncommand = sh -c 'trap \"echo goodbye; exit 0\" TERM; echo hello; while :; do sleep 1000 & wait; done'\n\
         startsecs = 0\nstdout_logfile = DIR/last.log",
    );
    wait_until("hello is written", || daemon.read("last.log") == "hello\n");
    for number in 0..20 {
        let mut wanted: String = (0..200).map(|line| format!("{number:02} {line}\n")).collect();
        wanted.push_str("end\n");
        wait_until("every line is there", || daemon.read(&format!("burst.{number:02}")) == wanted);
    }
    assert_eq!(daemon.ctl(&["stop", "last"]).0, 0);
    wait_until("the last word is there", || daemon.read("last.log") == "hello\ngoodbye\n");
    daemon.terminate();
}

/// Row 4: a grandchild that holds the pipe does not hide the exit.
#[test]
fn failures_04_an_exit_is_seen_though_a_grandchild_holds_the_pipe() {
    let daemon = Daemon::start(
        "[program:p]\ncommand = setsid sh -c 'exit 3'\nstartsecs = 0\nautorestart = false\n\
         [program:q]\ncommand = sh -c 'setsid sleep 300 & echo $! > DIR/grandchild; exit 3'\nstartsecs = 0\nautorestart = false",
    );
    let begin = Instant::now();
    let status = daemon.wait_state("q", "EXITED");
    assert!(begin.elapsed() < Duration::from_secs(200), "not after its grandchild");
    assert_eq!(status.exit_code, Some(3));
    let grandchild: i32 = word_in(&daemon.path("grandchild")).parse().expect("a pid");
    let _ = kill(Pid::from_raw(grandchild), Signal::SIGKILL);
    daemon.terminate();
}

/// Row 8: descriptors of the daemon stay constant, children hold only 0, 1 and 2.
#[test]
fn failures_08_no_descriptor_leaks() {
    let daemon = Daemon::start(
        "[program:p]\ncommand = sleep 1000\nstartsecs = 0\n\
         healthcheck_type = script\nhealthcheck_command = true\nhealthcheck_interval = 1\nhealthcheck_start_period = 0",
    );
    let controller = daemon.controller();
    let settled = |what: &str| {
        wait_until(what, || daemon.status("p").healthy == Some(true));
        open_fds(daemon.pid())
    };
    for _ in 0..5 {
        controller.restart_process("p", false).expect("restart");
    }
    let before = settled("healthy");
    for round in 0..100 {
        controller.restart_process("p", round % 2 == 0).expect("restart");
        controller.reload().expect("reload");
    }
    let child = daemon.status("p").pid.expect("a pid");
    // More than these for as long as the loader of a program that has just begun reads its libraries.
    wait_until("no descriptors but 0, 1 and 2", || {
        let entries = fs::read_dir(format!("/proc/{child}/fd")).expect("it lives");
        let names: BTreeSet<_> = entries.flatten().map(|entry| entry.file_name()).collect();
        names.iter().eq(["0", "1", "2"].iter())
    });
    settled("healthy again");
    wait_until("the descriptors are back", || open_fds(daemon.pid()) <= before);
    daemon.terminate();
}

/// Rows 9 and 10: commands that storm a crash-looping program hit no stranger, and after an
/// acknowledged stop no process is left.
#[test]
fn failures_09_10_storm_on_a_crash_loop() {
    let daemon = Daemon::start(
        "[program:loop]\ncommand = sh -c 'sleep 0.01; exit 1'\nstartsecs = 0\nstartretries = 100000\n\
         environment = MARK=storm-on-a-crash-loop-TEST",
    );
    let controller = daemon.controller();
    let stranger = std::process::Command::new("sleep").arg("1000").spawn().expect("sleep");
    let mut stranger = scopeguard(stranger);
    for round in 0..60 {
        let _ = controller.start_process("loop");
        if round % 3 == 0 {
            let _ = controller.restart_process("loop", round % 2 == 0);
        }
        controller.stop_process("loop").expect("stop");
        assert_eq!(marked("storm-on-a-crash-loop"), [] as [i32; 0], "after an acknowledged stop");
    }
    assert!(stranger.0.try_wait().expect("waitpid").is_none(), "a stranger was hit");
    daemon.terminate();
}

struct Guard(std::process::Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn scopeguard(child: std::process::Child) -> Guard {
    Guard(child)
}

/// Row 11: every kind of failing start ends in FATAL, at a bounded rate.
#[test]
fn failures_11_retries_are_bounded() {
    let daemon = Daemon::start(
        "[program:zero]\ncommand = sh -c 'echo x >> DIR/zero; exit 1'\nstartsecs = 0\nstartretries = 2\n\
         [program:one]\ncommand = sh -c 'echo x >> DIR/one; exit 1'\nstartsecs = 60\nstartretries = 2\n\
         [program:none]\ncommand = DIR/no/such/program\nstartretries = 1",
    );
    for name in ["zero", "one", "none"] {
        daemon.wait_state(name, "FATAL");
    }
    // On a machine that stalls for a second it may have lived long enough for three attempts more.
    let zero = daemon.read("zero").lines().count();
    assert!(zero >= 3, "{zero}");
    assert_eq!(daemon.read("one"), "x\nx\nx\n");
    daemon.terminate();
}

/// Row 13: many exits in the same instant, amid health scripts and orphans, each with its own code.
#[test]
fn failures_13_every_exit_code_is_exact() {
    let mut sections = String::new();
    for number in 0..200 {
        sections.push_str(&format!(
            "[program:p{number}]\ncommand = sh -c 'read word <>DIR/go; (sleep 0.2 &); exit {}'\n\
             startsecs = 0\nautorestart = false\n",
            number % 256
        ));
    }
    for number in 0..50 {
        sections.push_str(&format!(
            "[program:checked{number}]\ncommand = sleep 1000\nstartsecs = 0\nautorestart = false\n\
             healthcheck_type = script\nhealthcheck_command = (sleep 0.2 &);exit {number}\n\
             healthcheck_interval = 1\nhealthcheck_start_period = 0\nhealthcheck_retries = 1\nhealthcheck_timeout = 100\n",
        ));
    }
    let dir = tempfile::tempdir().expect("a directory");
    nix::unistd::mkfifo(&dir.path().join("go"), nix::sys::stat::Mode::S_IRWXU).expect("a fifo");
    let daemon = Daemon::start_in(dir, &sections, &[]);
    // Held open until the end: what is written stays there for those who come late.
    let mut go = fs::OpenOptions::new().read(true).write(true).open(daemon.path("go")).expect("a fifo");
    go.write_all("\n".repeat(200).as_bytes()).expect("one line for each");
    wait_until("all have ended", || daemon.all().iter().filter(|process| process.state == "EXITED").count() == 200);
    for process in daemon.all().iter().filter(|process| process.name.starts_with('p')) {
        let number: u8 = process.name.trim_start_matches('p').parse().expect("a number");
        assert_eq!(process.exit_code, Some(number), "{process:?}");
    }
    for number in 0..50 {
        let name = format!("checked{number}");
        wait_until("its check has ended", || daemon.status(&name).healthy.is_some());
        let status = daemon.status(&name);
        assert_eq!(status.healthy, Some(number == 0), "{status:?}");
        let told = status.description.unwrap_or_default();
        assert!(number == 0 || told.ends_with(&format!("exit code {number}")), "{name}: {told}");
    }
    daemon.terminate();
}

/// Row 14: prompt children end the daemon at once, whatever `stopwaitsecs` says; a stubborn one at its bound.
#[test]
fn failures_14_a_shutdown_takes_as_long_as_it_must() {
    let prompt = Daemon::start("[program:p]\ncommand = sleep 1000\nnumprocs = 5\nstartsecs = 0\nstopwaitsecs = 600");
    wait_until("all run", || prompt.all().iter().all(|process| process.state == "RUNNING"));
    let begin = Instant::now();
    prompt.terminate();
    assert!(begin.elapsed() < Duration::from_secs(300), "{:?}", begin.elapsed());

    let sections = "[program:s]\ncommand = sh -c 'trap : TERM; echo up > DIR/up; while :; do sleep 1000 & wait; done'\n\
                    startsecs = 0\nstopwaitsecs = 600";
    let dir = tempfile::tempdir().expect("a directory");
    let bounded = Daemon::start_in(dir, sections, &["shutdown_timeout = 1"]);
    word_in(&bounded.path("up"));
    bounded.terminate();

    let mut impatient = Daemon::start(sections);
    word_in(&impatient.path("up"));
    impatient.signal(Signal::SIGTERM);
    impatient.wait_state("s", "STOPPING");
    impatient.signal(Signal::SIGTERM);
    assert_eq!(impatient.wait().code(), Some(0));
}

/// What has run away from its program's group is inherited, and does not outlive the daemon either.
#[test]
fn a_program_that_detaches_itself_does_not_outlive_the_daemon() {
    let dir = tempfile::tempdir().expect("a directory");
    let daemon = Daemon::start_in(
        dir,
        "[program:runaway]\ncommand = sh -c 'setsid sh -c \"echo up > DIR/up; exec sleep 1000\" & until [ -e DIR/up ]; do sleep 0.01; done'\n\
         startsecs = 0\nautorestart = false\nenvironment = MARK=runaway-TEST\n\
         [program:stubborn]\n\
         command = sh -c 'setsid sh -c \"trap : TERM; echo up > DIR/up2; while :; do sleep 1; done\" & until [ -e DIR/up2 ]; do sleep 0.01; done'\n\
         startsecs = 0\nautorestart = false\nenvironment = MARK=runaway-TEST",
        &["shutdown_timeout = 3"],
    );
    for name in ["runaway", "stubborn"] {
        daemon.wait_state(name, "EXITED");
    }
    wait_until("they have left their groups, and show their environment", || marked("runaway").len() >= 2);
    daemon.terminate();
    assert_eq!(marked("runaway"), [] as [i32; 0]);
}

/// The threads are ended as fast as they can be, however much they still have to say.
#[test]
fn many_programs_end_without_a_pause() {
    let mut best = Duration::MAX;
    // The tests beside it may keep the machine busy: the best of a few counts.
    for _ in 0..3 {
        let mut daemon =
            Daemon::start("[program:p]\ncommand = sleep 1000\nnumprocs = 200\nstartsecs = 0\nstopwaitsecs = 60");
        wait_until("all run", || daemon.all().iter().all(|process| process.state == "RUNNING"));
        let children = daemon.descendants();
        let told = Instant::now();
        daemon.signal(Signal::SIGTERM);
        wait_until("the programs are gone", || !children.iter().any(|pid| alive(*pid)));
        let (stop, begin) = (told.elapsed(), Instant::now());
        assert_eq!(daemon.wait().code(), Some(0));
        best = best.min(begin.elapsed());
        // On a slow machine all of it is slow.
        if best < Duration::from_millis(1500).max(stop * 2) {
            return;
        }
    }
    panic!("{best:?} after the last program, at best");
}

/// Row 16: TERM while a program never becomes ready.
#[test]
fn failures_16_shutdown_during_start_up() {
    let daemon = Daemon::start("[program:p]\ncommand = sleep 1000\nstartsecs = 100000");
    daemon.wait_state("p", "STARTING");
    daemon.terminate();
}

/// Row 20: two instances, an abandoned socket and pid file, and files of somebody else.
#[test]
fn failures_20_no_stale_or_stolen_files() {
    let mut first = Daemon::start("[program:p]\ncommand = sleep 1000\nstartsecs = 0");
    let second = std::process::Command::new(env!("CARGO_BIN_EXE_supervice"))
        .args(["-n", "-c"])
        .arg(first.path("supervice.conf"))
        .current_dir(first.dir.path())
        .output()
        .expect("the daemon can be executed");
    assert_eq!(second.status.code(), Some(1));
    let text = String::from_utf8_lossy(&second.stderr);
    assert!(text.contains(&first.pid().to_string()), "it names the holder: {text}");
    let pid = first.wait_state("p", "RUNNING").pid.expect("a pid");

    first.signal(Signal::SIGKILL);
    first.wait();
    wait_until("the kernel has ended the program (pdeathsig)", || !alive(pid));
    assert!(first.path("ctl.sock").exists() && first.path("daemon.pid").exists(), "left behind by kill -9");
    first.launch(std::process::Command::new(env!("CARGO_BIN_EXE_supervice")));
    first.wait_ready();
    first.wait_state("p", "RUNNING");
    first.terminate();

    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("ctl.sock"), "precious").expect("a file");
    let mut foreign = DaemonThatFails::start(dir);
    assert_eq!(foreign.code(), Some(1));
    assert_eq!(fs::read_to_string(foreign.0.path("ctl.sock")).expect("still there"), "precious");
}

struct DaemonThatFails(Daemon);

impl DaemonThatFails {
    fn start(dir: tempfile::TempDir) -> Self {
        let mut daemon = Daemon::unstarted(dir);
        daemon.write_config("[program:p]\ncommand = sleep 1000", &[]);
        daemon.launch(std::process::Command::new(env!("CARGO_BIN_EXE_supervice")));
        DaemonThatFails(daemon)
    }

    fn code(&mut self) -> Option<i32> {
        self.0.wait().code()
    }
}

/// Row 19: the client of a daemon that was stopped gives up at its time-out.
#[test]
fn failures_19_a_wedged_daemon_does_not_hang_the_client() {
    let daemon = Daemon::start("[program:p]\ncommand = sleep 1000");
    daemon.signal(Signal::SIGSTOP);
    let begin = Instant::now();
    let (code, _, error) = daemon.ctl(&["--timeout", "1", "status"]);
    assert_eq!(code, 4, "{error}");
    assert!(begin.elapsed() < TEST_TIMEOUT);
    daemon.signal(Signal::SIGCONT);
    daemon.terminate();
}

/// Row 21: signals reach only what was started here, and a stopped process's number is not used again.
#[test]
fn failures_21_a_dead_leader_is_not_signalled() {
    let daemon = Daemon::start("[program:p]\ncommand = sh -c 'exit 0'\nstartsecs = 0\nautorestart = false");
    daemon.wait_state("p", "EXITED");
    let everybody: BTreeSet<i32> = pids().into_iter().filter(|pid| alive(*pid)).collect();
    assert_eq!(daemon.ctl(&["stop", "p"]).0, 0);
    assert!(everybody.contains(&daemon.pid()) && alive(daemon.pid()));
    daemon.terminate();
}

/// Row 22: bytes are bytes in the log, and the answer is JSON all the same.
#[test]
fn failures_22_bad_bytes_harm_nothing() {
    let daemon = Daemon::start(
        "[program:p]\ncommand = sh -c 'printf \"\\377\\303\\000x\\n\"; printf \"\\377bad\\303\\n\" >&2; exit 1'\n\
         startsecs = 0\nautorestart = false\nstdout_logfile = DIR/out",
    );
    daemon.wait_state("p", "EXITED");
    wait_until("the bytes are there", || fs::read(daemon.path("out")).unwrap_or_default() == b"\xff\xc3\x00x\n");
    let (code, json, _) = daemon.ctl(&["--json", "status"]);
    assert_eq!(code, 0);
    let value: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let description = value["processes"][0]["description"].as_str().expect("a text");
    wait_until("the last line of stderr is told", || {
        daemon.status("p").description.unwrap_or_default().contains("bad")
    });
    assert!(!description.contains('\0'));
    daemon.terminate();
}

/// Row 23: `%` is just a character.
#[test]
fn failures_23_percent_signs_are_literal() {
    let daemon = Daemon::start(
        "[program:p]\ncommand = sh -c 'date +%s > DIR/stamp.new; mv DIR/stamp.new DIR/stamp; echo \"$A\" > DIR/a; exec sleep 1000'\n\
         environment = A=\"100%2B%t_%p\"\nstartsecs = 0",
    );
    assert!(word_in(&daemon.path("stamp")).parse::<u64>().is_ok());
    assert_eq!(word_in(&daemon.path("a")), "100%2B%t_%p");
    daemon.terminate();
}

/// Row 24: why a start failed is told with its stage, its reason and the last line of stderr.
#[test]
fn failures_24_failed_starts_explain_themselves() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::create_dir(dir.path().join("gone")).expect("a directory");
    fs::write(dir.path().join("noexec"), "#!/bin/sh\n").expect("a file");
    write_executable(&dir.path().join("garbage"), [0x7f, 0, 1, 2]);
    let daemon = Daemon::start_in(
        dir,
        "[program:missing]\ncommand = DIR/missing\nautostart = false\n\
         [program:noexec]\ncommand = DIR/noexec\nautostart = false\n\
         [program:garbage]\ncommand = DIR/garbage\nautostart = false\n\
         [program:speaks]\ncommand = sh -c 'echo first >&2; echo \"port 80 is in use\" >&2; exit 3'\nautostart = false\nstartsecs = 60\n\
         [program:nowhere]\ncommand = sleep 1\ndirectory = DIR/gone\nautostart = false\n\
         [program:daemonises]\ncommand = sh -c 'setsid sleep 20 & exit 0'\nautostart = false\nstartsecs = 60",
        &[],
    )
    .with_directory_removed("gone");
    let dir = daemon.dir.path().display().to_string();
    let failure = |name: &str| {
        let (code, _, error) = daemon.ctl(&["start", name]);
        assert_eq!(code, 1, "{error}");
        error
    };
    assert!(failure("missing").contains(&format!("cannot execute {dir}/missing: No such file or directory")));
    for (name, reason) in [("noexec", "Permission denied"), ("garbage", "Exec format error")] {
        let text = failure(name);
        // On a machine that has not let the child run for a tenth of a second it is tried again.
        assert!(text.contains("FATAL") || text.contains("exit code 126"), "{text}");
        assert!(text.contains("cannot execute") && text.contains(reason), "{text}");
    }
    let text = failure("speaks");
    assert!(text.contains("exit code 3") && text.contains("port 80 is in use"), "{text}");
    let text = failure("nowhere");
    assert!(text.contains(&format!("cannot enter directory {dir}/gone: No such file or directory")), "{text}");
    let text = failure("daemonises");
    assert!(text.contains("exit code 0"), "{text}");
    daemon.terminate();
}

/// Row 25: a huge descriptor limit does not slow a spawn.
#[test]
fn failures_25_a_huge_descriptor_limit_is_no_burden() {
    let daemon = Daemon::start(
        "[program:p]\ncommand = sh -c 'ulimit -n > DIR/limit; exec sleep 1000'\nstartsecs = 0\nautostart = false",
    );
    let round = |_| {
        let begin = Instant::now();
        daemon.controller().start_process("p").expect("start");
        daemon.controller().stop_process("p").expect("stop");
        begin.elapsed()
    };
    let best = (0..20).map(round).min().expect("some");
    assert!(best < Duration::from_secs(1), "{best:?}");
    let own = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).expect("getrlimit").0;
    daemon.controller().start_process("p").expect("start");
    assert_eq!(word_in(&daemon.path("limit")), own.to_string(), "children get the limit that the daemon was given");
    daemon.terminate();
}

/// Row 26: a child blocks and ignores nothing that the daemon does.
#[test]
fn failures_26_children_have_clean_signals() {
    let daemon = Daemon::start("[program:p]\ncommand = sleep 1000\nstartsecs = 0");
    let pid = executed(daemon.wait_state("p", "RUNNING").pid.expect("a pid"));
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("/proc");
    for key in ["SigBlk", "SigIgn"] {
        let line = text.lines().find(|line| line.starts_with(key)).expect("a line");
        assert!(line.ends_with("0000000000000000"), "{line}");
    }
    daemon.terminate();
}

/// Row 27: the command line is quick and takes several names.
#[test]
fn failures_27_several_names_at_once() {
    let daemon = Daemon::start("[program:p]\ncommand = sleep 1000\nnumprocs = 10\nautostart = false\nstartsecs = 8");
    let names: Vec<String> = (0..10).map(|number| format!("p:{number:02}")).collect();
    let mut args = vec!["start"];
    args.extend(names.iter().map(String::as_str));
    let begin = Instant::now();
    let (code, text, _) = daemon.ctl(&args);
    assert_eq!(code, 0);
    assert_eq!(text.lines().count(), 10);
    assert!(begin.elapsed() < Duration::from_secs(78), "one after the other: {:?}", begin.elapsed());
    daemon.terminate();
}

/// A real-time signal's death is told as what it is.
#[test]
fn deaths_by_every_kind_of_signal_are_told() {
    let daemon = Daemon::start("[program:p]\ncommand = sleep 1000\nstartsecs = 0\nautorestart = false");
    for signal in [1, 2, 3, 6, 9, 11, 14, 15, 34, 40, 64] {
        let pid = daemon.status("p").pid.or_else(|| {
            daemon.controller().start_process("p").expect("start");
            daemon.status("p").pid
        });
        let killed = std::process::Command::new("kill")
            .args([format!("-{signal}"), pid.expect("a pid").to_string()])
            .status()
            .expect("kill");
        assert!(killed.success());
        let status = daemon.wait_state("p", "EXITED");
        assert_eq!(status.exit_signal, Some(signal), "{}", Exit::Signal(signal));
        daemon.controller().start_process("p").expect("start");
    }
    daemon.terminate();
}

/// Garbage on the socket harms nobody.
#[test]
fn garbage_is_answered_and_harms_nobody() {
    let daemon = Daemon::start("[program:p]\ncommand = sleep 1000\nstartsecs = 0");
    for (request, code) in [
        (frame(b"{not json"), "INVALID_JSON"),
        (frame(b"[1]"), "INVALID_REQUEST"),
        (frame(b""), "EMPTY_REQUEST"),
        (frame(br#"{"command":"explode"}"#), "UNKNOWN_COMMAND"),
        (frame(br#"{"command":"start"}"#), "INVALID_REQUEST"),
        (frame(br#"{"command":"start","name":"nobody"}"#), "NOT_FOUND"),
        (vec![0xff, 0xff, 0xff, 0xff, 1, 2, 3], "TOO_LARGE"),
    ] {
        let mut stream = UnixStream::connect(daemon.path("ctl.sock")).expect("connect");
        stream.set_read_timeout(Some(TEST_TIMEOUT)).expect("a time-out");
        stream.write_all(&request).expect("write");
        let mut length = [0; 4];
        stream.read_exact(&mut length).expect("an answer");
        let mut body = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut body).expect("the answer's body");
        let value: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!((value["status"].as_str(), value["code"].as_str()), (Some("error"), Some(code)), "{value}");
    }
    assert_eq!(daemon.status("p").state, "RUNNING");
    daemon.terminate();
}

/// At rest the daemon makes no system call.
#[test]
fn an_idle_daemon_sleeps() {
    let daemon = Daemon::start("[program:p]\ncommand = sleep 1000\nnumprocs = 20\nstartsecs = 0");
    wait_until("all run", || daemon.all().iter().all(|process| process.state == "RUNNING"));
    let switches = || -> u64 {
        let tasks = fs::read_dir(format!("/proc/{}/task", daemon.pid())).expect("/proc");
        let text = |task: std::io::Result<fs::DirEntry>| {
            fs::read_to_string(task.expect("task").path().join("status")).unwrap_or_default()
        };
        let count = |text: String| -> u64 {
            text.lines()
                .filter(|line| line.contains("ctxt_switches"))
                .filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
                .sum()
        };
        tasks.map(|task| count(text(task))).sum()
    };
    // The last connection's end is taken in before the quiet begins, and what the start alone has needed is given back.
    wait_until("it is quiet for some seconds", || {
        let (before, begin) = (switches(), Instant::now());
        wait_until("they are over", || begin.elapsed() >= Duration::from_millis(3500));
        switches() == before
    });
    assert!(stat(daemon.pid()).is_some_and(|(.., state)| state == 'S'));
    daemon.terminate();
}

fn frame(body: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(body.len()).expect("short").to_be_bytes().to_vec();
    bytes.extend_from_slice(body);
    bytes
}
