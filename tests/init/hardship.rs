//! Closed descriptors, missing file systems, small and huge limits: degrade, say so, go on.

use std::process::Command;

use super::harness::{Running, SUPERVICE, as_pid_1, init, outcome, unshare_options, wait_for};

/// A shell that arranges something before it becomes our init.
fn after(arrangement: &str, program: &[&str]) -> Command {
    let mut command = Command::new("bash");
    command.args(["-c", &format!("{arrangement} exec \"$@\""), "x", SUPERVICE, "--init", "--"]).args(program);
    command
}

#[test]
fn closed_standard_descriptors_do_no_harm() {
    for closed in ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"] {
        let mut command = Command::new("bash");
        command.args(["-c", &format!("\"$@\" {closed}"), "x", SUPERVICE, "--init", "--", "sh", "-c", "exit 6"]);
        assert_eq!(outcome(command).0, 6, "{closed}");
    }
}

#[test]
fn a_standard_error_without_a_reader_does_no_harm() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = init("supervice", &["-vv", "--", "sh", "-c", "exit 6"]);
    let mut child = command.stderr(writer).spawn().expect("it can be executed");
    assert_eq!(child.wait().expect("waitpid").code(), Some(6));
}

#[test]
fn without_a_reader_it_never_spins() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = init("supervice", &["-vvv", "--", "sh", "-c", "trap : WINCH; echo up; until read x; do :; done"]);
    command.stderr(writer);
    let mut running = Running::start(command);
    assert_eq!(running.line(), "up");
    let ticks = || {
        let field = |index| super::harness::stat_field(running.pid(), index).and_then(|text| text.parse::<u64>().ok());
        field(11).unwrap_or(0) + field(12).unwrap_or(0)
    };
    let before = ticks();
    // Each of these is told of, which fails.
    for _ in 0..10 {
        running.send(28);
    }
    let begin = std::time::Instant::now();
    wait_for("half a second has passed", || (begin.elapsed().as_millis() > 500).then_some(()));
    assert!(ticks() - before < 10, "{} ticks of 10 ms", ticks() - before);
    running.type_in("\n");
    running.wait();
}

#[test]
fn neither_proc_nor_dev_null_is_needed() {
    let script = "umount -l /proc && mount -t tmpfs none /dev && exec \"$0\" --init -- sh -c '(true &); exit 6'";
    let Some(mut command) = as_pid_1("supervice", &["--", "unshare", "--mount", "sh", "-c", script, SUPERVICE]) else {
        return;
    };
    command.stdin(std::process::Stdio::piped());
    let output = command.output().expect("unshare");
    let errors = String::from_utf8_lossy(&output.stderr);
    if errors.contains("umount") || errors.contains("mount:") {
        println!("SKIPPED: no file systems may be mounted here: {errors}");
        return;
    }
    assert_eq!(output.status.code(), Some(6), "{errors}");
}

#[test]
fn limits_on_files_are_passed_on_and_cost_nothing() {
    let (code, out, _) = outcome(after("ulimit -n 16;", &["sh", "-c", "ulimit -n"]));
    assert_eq!((code, out.as_str()), (0, "16\n"));
    // The hard limit may be lower here; then this is the highest there is.
    let (code, out, _) = outcome(after("ulimit -n 1048576 2>/dev/null;", &["sh", "-c", "ulimit -n"]));
    assert!(code == 0 && out.trim().parse::<u64>().is_ok(), "{out}");
}

#[test]
fn without_any_free_descriptor_the_program_runs() {
    let arrangement = "ulimit -n 10; for n in 3 4 5 6 7 8 9; do eval \"exec $n</dev/null\"; done;";
    // The dynamic loader needs one descriptor itself.
    let arrangement = format!("{arrangement} exec 9<&-;");
    assert_eq!(outcome(after(&arrangement, &["/bin/sh", "-c", "exit 6"])).0, 6);
}

#[test]
fn a_limit_on_processes_is_named() {
    // Root is exempt from it; in a user that runs nothing else, one process is all there may be.
    if !nix::unistd::geteuid().is_root() {
        println!("SKIPPED: needs root to become another user");
        return;
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=64321", "--regid=64321", "--clear-groups", "bash", "-c", "ulimit -u 1; exec \"$@\"", "x"]);
    command.args(["/proc/self/fd/9", "--init", "--", "true"]);
    // The binary may lie where another user can't look.
    let mut shell = Command::new("bash");
    shell.args(["-c", "exec 9<\"$0\"; exec \"$@\"", SUPERVICE, "setpriv"]).args(command.get_args());
    let (code, _, errors) = outcome(shell);
    assert_eq!(code, 1, "{errors}");
    assert!(errors.contains("cannot make a process") && errors.contains("limit on processes"), "{errors}");
}

#[test]
fn an_ignored_sigchld_loses_no_exit_code() {
    assert_eq!(outcome(after("trap '' CHLD;", &["sh", "-c", "exit 6"])).0, 6);
}

#[test]
fn any_user_without_an_entry_in_passwd_will_do() {
    let Some(_) = as_pid_1("supervice", &["--", "true"]) else { return };
    if !nix::unistd::geteuid().is_root() {
        println!("SKIPPED: needs root to become another user");
        return;
    }
    let mut shell = Command::new("bash");
    let user = ["setpriv", "--reuid=64321", "--regid=64321", "--clear-groups", "/proc/self/fd/9", "--init", "--"];
    shell.args(["-c", "exec 9<\"$0\"; exec \"$@\"", SUPERVICE]).args(user).args(["sh", "-c", "exit 6"]);
    assert_eq!(outcome(shell).0, 6);
}

#[test]
fn its_working_directory_is_the_root() {
    let mut running = Running::start(init("supervice", &["--", "sh", "-c", "echo ready; read x"]));
    assert_eq!(running.line(), "ready");
    let directory = format!("/proc/{}/cwd", running.pid());
    wait_for("it is there", || (std::fs::read_link(&directory).ok()?.to_str()? == "/").then_some(()));
    running.type_in("\n");
    assert_eq!(running.wait(), 0);
}

/// In a directory that nobody can write to, though root runs the tests: a read-only mount of a namespace of its own.
#[test]
fn default_files_that_cannot_be_written_keep_no_daemon_from_starting() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().display().to_string();
    let conf = |text: &str| {
        let text = format!("[supervice]\nsocket = none\nexit_when_idle = true\n{text}\n[program:a]\ncommand = true\n");
        std::fs::write(dir.path().join("conf"), format!("{text}type = oneshot\n")).expect("written");
    };
    let run = |options: &str| {
        let script = format!("mount -t tmpfs -o ro none /mnt && cd /mnt && exec \"$0\" {options} -c {path}/conf");
        let args = ["--user", "--map-root-user", "--mount", "bash", "-c", &script, SUPERVICE];
        let mut command = Command::new("unshare");
        command.args(args);
        outcome(command)
    };
    if unshare_options().is_none() {
        return;
    }
    conf("");
    let (code, out, errors) = run("-n");
    assert_eq!(code, 0, "{out}{errors}");
    let remedy = "Read-only file system; write pidfile = none, or another path";
    assert!(errors.contains("no pid file supervice.pid (the default): /mnt") && errors.contains(remedy), "{errors}");
    assert!(!errors.contains("no log"), "none was to be written: {errors}");
    let (code, _, errors) = run("--check");
    assert!(code == 0 && errors.contains("no pid file") && errors.contains("no log supervice.log"), "{errors}");
    let (code, _, errors) = run("");
    assert!(code == 0 && errors.contains("no log supervice.log (the default)"), "{errors}");
    conf("pidfile = supervice.pid");
    let (code, _, errors) = run("-n");
    assert!(code == 1 && errors.contains("pidfile"), "one that is asked for: {errors}");
}
