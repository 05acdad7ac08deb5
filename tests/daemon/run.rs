//! Programs that are run by hand, beside those of the configuration.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{Daemon, wait_until, word_in};

const WEB: &str = "[program:web]\ncommand = sleep 1000\nstartsecs = 0\n";

fn client(daemon: &Daemon, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_supervicectl"));
    command.arg("-s").arg(daemon.path("ctl.sock")).args(args);
    command
}

#[test]
fn output_and_exit_code_pass_through() {
    let daemon = Daemon::start(WEB);
    let run = |command: &[&str]| daemon.ctl(&[&["run", "--wait", "--"], command].concat());
    assert_eq!(run(&["sh", "-c", "echo out; echo err >&2; exit 3"]), (3, "out\n".to_owned(), "err\n".to_owned()));
    assert_eq!(run(&["true"]), (0, String::new(), String::new()));
    assert_eq!(run(&["printf", "%s|", "a b", "$HOME", "%(x)s", ""]).1, "a b|$HOME|%(x)s||");
    let (code, _, said) = run(&["sh", "-c", "kill -9 $$"]);
    assert!(code == 137 && said.contains("killed by SIGKILL"), "{code} {said}");
    assert_eq!((run(&["/no/such/program"]).0, run(&["/etc/passwd"]).0), (127, 126));
    let wanted: String = (1..=300_000).map(|number| format!("{number}\n")).collect();
    // Where the client stands still for a second, the program goes on without it.
    let passes_all = |_| {
        let (code, all, said) = run(&["seq", "300000"]);
        assert!(code == 0 && (all == wanted || all.len() < wanted.len()), "{} bytes: {said}", all.len());
        all == wanted
    };
    assert!((0..5).any(passes_all));
    assert_eq!(daemon.all().len(), 1, "all of them are gone");
    daemon.terminate();
}

#[test]
fn it_is_supervised_as_any_other_and_its_end_is_kept_until_it_is_seen() {
    let daemon = Daemon::start(WEB);
    let command =
        ["run", "--name", "job", "--set", "stdout_logfile=DIR/job.log", "--", "sh", "-c", "echo $$; sleep 1000"];
    let log = daemon.path("job.log").display().to_string();
    let command = command.map(|word| word.replace("DIR/job.log", &log));
    let (code, said, _) = daemon.ctl(&command.each_ref().map(String::as_str));
    assert_eq!((code, said.as_str()), (0, "Started job\n"));
    assert_eq!(word_in(&daemon.path("job.log")), daemon.status("job").pid.expect("it runs").to_string());
    for (args, wanted) in [
        (["run", "--name", "job", "--", "true"], "job is not run: one of this name is there"),
        (["run", "--name", "web", "--", "true"], "web is not run: the configuration has this name"),
        (["run", "--set", "nice=much", "--", "true"], "nice = much: "),
    ] {
        let (code, _, said) = daemon.ctl(&args);
        assert!(code == 1 && said.contains(wanted), "{code} {said}");
    }
    // A reload compares what stands in the file.
    let (code, said, _) = daemon.ctl(&["update"]);
    assert!(code == 0 && !said.contains("job"), "{said}");
    daemon.write_config(&format!("{WEB}[program:job]\ncommand = sleep 1\n"), &[]);
    let (code, _, said) = daemon.ctl(&["update"]);
    assert!(code == 1 && said.contains("stop it first (supervicectl stop job)"), "{said}");
    daemon.write_config(WEB, &[]);
    kill(Pid::from_raw(daemon.status("job").pid.expect("it runs")), Signal::SIGKILL).expect("it runs");
    daemon.wait_log("job: RUNNING -> EXITED");
    assert!(daemon.ctl(&["why", "job"]).1.contains("SIGKILL"));
    daemon.ctl(&["wait", "--for", "stopped", "job"]);
    assert_eq!(daemon.all().len(), 1);
    let log = daemon.terminate();
    assert!(log.contains("run --name job -- sh -c"), "{log}");
}

#[test]
fn signals_of_the_client_are_the_program_s() {
    let daemon = Daemon::start("");
    let script = "trap 'echo asked; exit 9' INT; echo up; while :; do sleep 0.05; done";
    let mut client = client(&daemon, &["run", "--name", "x", "--wait", "--", "sh", "-c", script]);
    let child = client.stdout(Stdio::piped()).spawn().expect("supervicectl can be executed");
    wait_until("its trap is set", || daemon.ctl(&["tail", "x"]).1.contains("up"));
    kill(Pid::from_raw(i32::try_from(child.id()).expect("a pid")), Signal::SIGINT).expect("it runs");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stdout).as_ref()), (Some(9), "up\nasked\n"));
    daemon.terminate();
}

/// Who may restart a program by a socket that is open to all must not get a shell of root by it.
#[test]
fn who_is_neither_root_nor_the_daemon_s_user_runs_nothing() {
    if !nix::unistd::geteuid().is_root() {
        assert!(std::env::var_os("SUPERVICE_TEST_REQUIRE").is_none(), "root is needed");
        return println!("SKIPPED: who_is_neither_root_nor_the_daemon_s_user_runs_nothing needs root");
    }
    let dir = tempfile::tempdir().expect("a directory");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(dir.path(), open).expect("ours");
    let daemon = Daemon::start_in(dir, WEB, &["socket_mode = 0666"]);
    daemon.wait_state("web", "RUNNING");
    daemon.ctl(&["run", "--name", "x", "--set", "stdin=pipe", "--", "cat"]);
    let as_nobody = |args: &[&str]| {
        let output = client(&daemon, args).uid(65534).gid(65534).stdin(Stdio::null()).output().expect("executed");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(as_nobody(&["restart", "web"]).0, Some(0), "this is what the socket is open for");
    for args in [&["run", "--wait", "--", "id"][..], &["run", "--pty", "--", "sh"], &["attach", "x"], &["stdin", "x"]] {
        let (code, said) = as_nobody(args);
        let is_question = args == ["stdin", "x"];
        assert!(is_question || code == Some(1) && said.contains("no rule of access allows you"), "{args:?}: {said}");
    }
    let error = daemon.controller().write_stdin("x", b"root may\n");
    assert!(error.is_ok(), "{error:?}");
    let log = daemon.terminate();
    assert!(log.contains("run -- id"), "{log}");
}

#[test]
fn what_is_run_has_settings_to_look_at_and_leaves_nothing_behind_where_it_is_disabled() {
    let daemon = Daemon::start_in(tempfile::tempdir().expect("a directory"), WEB, &["state_dir = DIR/state"]);
    let tell = |args: &[&str]| {
        let (code, text, errors) = daemon.ctl(args);
        assert_eq!(code, 0, "{args:?}: {text}{errors}");
        text
    };
    tell(&[
        "run",
        "--name",
        "job",
        "--set",
        "stopwaitsecs=3",
        "--set",
        "environment=KEY=secret",
        "--",
        "sleep",
        "1000",
    ]);
    let shown = tell(&["cat", "job"]);
    for line in ["command = sleep 1000", "stopwaitsecs = 3", "autorestart = false", "environment.KEY = (hidden)"] {
        let found = shown.lines().find(|shown| shown.starts_with(line));
        assert!(found.is_some_and(|found| found.ends_with("# supervicectl run")), "{line}: {shown}");
    }
    assert!(!shown.contains("stdin") && tell(&["cat", "--secrets", "job"]).contains("secret"), "{shown}");
    assert!(tell(&["cat", "--defaults", "job"]).contains("nice"));
    assert_eq!(tell(&["disable", "job"]), "Disabled job until it is gone (it is in no file)\n");
    assert_eq!(daemon.status("job").disabled, Some(true));
    assert!(!daemon.path("state/disabled").exists());
    tell(&["stop", "job"]);
    tell(&["run", "--name", "job", "--", "sleep", "1000"]);
    assert_eq!(daemon.status("job").disabled, None, "another one of that name");
    daemon.terminate();
}

/// Ctrl-D would end it.
#[test]
fn the_end_of_the_input_detaches_when_what_came_before_it_is_typed() {
    let daemon = Daemon::start(
        "[program:reader]\ncommand = sh -c 'stty -echo; echo up > DIR/up; while read line; do echo \"$line\" >> DIR/read; done'\n\
         tty = true\nstartsecs = 0\n",
    );
    wait_until("it reads", || daemon.path("up").exists());
    let pid = daemon.status("reader").pid;
    let lines: String = (0..2000).map(|number| format!("line {number}\n")).collect();
    for input in ["", "first\n", "second\n", lines.as_str()] {
        let mut ctl = Command::new(env!("CARGO_BIN_EXE_supervicectl"));
        ctl.arg("-s").arg(daemon.path("ctl.sock")).args(["attach", "reader"]).stdin(Stdio::piped());
        let mut ctl = ctl.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it can be executed");
        ctl.stdin.take().expect("piped").write_all(input.as_bytes()).expect("it reads");
        let output = ctl.wait_with_output().expect("waitpid");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && told.contains("left reader, which goes on"), "{told}");
    }
    wait_until("all of it was read", || daemon.read("read") == format!("first\nsecond\n{lines}"));
    assert_eq!(daemon.status("reader").pid, pid);
    daemon.terminate();
}

#[test]
fn a_run_that_is_waited_for_goes_on_when_the_time_is_over() {
    let daemon = Daemon::start("");
    let (code, out, errors) =
        daemon.ctl(&["--timeout", "1", "run", "--wait", "--name", "job", "--", "sh", "-c", "echo up; exec sleep 1000"]);
    let told = "supervicectl: job has not ended within 1.0 s, and goes on (supervicectl tail -f job)\n";
    assert_eq!((code, out.as_str(), errors.as_str()), (4, "up\n", told));
    assert_eq!(daemon.status("job").state, "RUNNING");
    assert_eq!(daemon.ctl(&["--timeout", "60", "run", "--wait", "--", "sh", "-c", "exit 3"]).0, 3);
    daemon.terminate();
}

#[test]
fn reread_tells_that_a_name_in_the_file_is_taken_by_what_somebody_runs() {
    let daemon = Daemon::start("");
    assert_eq!(daemon.ctl(&["run", "--name", "web", "--", "sleep", "1000"]).0, 0);
    daemon.write_config(WEB, &[]);
    let (code, text, _) = daemon.ctl(&["reread"]);
    let told =
        "warning: an update would fail: 'web' was started by supervicectl run; stop it first (supervicectl stop web)\n";
    assert!(code == 0 && text.contains(told) && text.contains("web: added"), "{text}");
    assert_eq!(daemon.ctl(&["update"]).0, 1);
    assert_eq!(daemon.ctl(&["stop", "web"]).0, 0);
    let (_, text, _) = daemon.ctl(&["reread"]);
    assert_eq!(text, "web: added\n");
    assert_eq!(daemon.ctl(&["update"]).0, 0);
    daemon.terminate();
}
