//! How a container of many programs ends, and with which code.

use super::container::{Container, program, shell};
use super::harness::{is_ignored_here, wait_for};

const WAITS: &str = "[program:waits]\ncommand = sleep 1000\n";

/// Says when it is: before that SIGTERM ends it.
const DEAF: &str = "trap '' TERM;>DIR/deaf;while :;do sleep 0.01;done";

#[test]
fn failures_15_the_exit_code_is_that_of_the_program_that_ends_it() {
    for (script, keys, wanted, reason) in [
        ("exit 0", "exit_on = exit", 0, "main (EXITED, exit_on = exit): exit code 0"),
        ("exit 3", "exit_on = exit", 3, "main (EXITED, exit_on = exit): exit code 3"),
        ("echo out of milk >&2; exit 3", "exit_on = failure", 3, "out of milk"),
        ("exit 255", "exit_on = failure\nexit_code = 7", 7, "exit code 255"),
        ("ulimit -c 0; kill -SEGV $$", "exit_on = failure", 139, "killed by SIGSEGV"),
        ("kill -40 $$", "exit_on = failure", 168, "killed by SIGRTMIN+6"),
        ("sleep 0.1; exit 4", "exit_on = exit\nstartsecs = 0", 4, "exit code 4"),
        ("exit 5", "exit_on = fatal\nstartretries = 0\nstartsecs = 60", 5, "FATAL"),
        ("exit 0", "exit_on = fatal\nstartretries = 0\nstartsecs = 60", 1, "FATAL"),
        ("exit 0", "exit_on = failure\nstartretries = 0\nstartsecs = 60", 1, "FATAL"),
    ] {
        // ` ;` would begin a comment.
        let script = script.replace("; ", ";");
        let Some(mut container) = Container::start("", &format!("{}{WAITS}", shell("main", &script, keys))) else {
            return;
        };
        let (code, log) = container.end();
        assert_eq!(code, wanted, "{script} {keys}\n{log}");
        let last = log.lines().last().unwrap_or_default();
        assert!(last.contains(&format!("ended with exit code {wanted}")) && last.contains(reason), "{script}: {last}");
    }
}

#[test]
fn failures_15_what_cannot_be_executed_is_told_as_a_shell_does() {
    for (command, wanted) in [("/missing/program", 127), ("/etc/passwd", 126)] {
        let keys = "exit_on = failure\nstartretries = 0";
        let Some(mut container) = Container::start("", &program("main", command, keys)) else { return };
        let (code, log) = container.end();
        assert_eq!(code, wanted, "{log}");
    }
}

#[test]
fn failures_15_a_failed_start_of_the_daemon_is_never_0() {
    let failing = "[supervice]\nsocket = /missing/directory/ctl.sock\npidfile = none\nlogfile = none\n";
    for (config, reason) in [
        (failing.to_owned(), "/missing/directory"),
        ("[program:x]\n".to_owned(), "command"),
        ("[supervice]\nshutdown_timeout = soon\n".to_owned(), "shutdown_timeout"),
        (format!("[supervice]\npidfile = none\nlogfile = none\nsocket = DIR/{}\n", "long".repeat(40)), "socket"),
    ] {
        let Some(mut container) = Container::arranged("", &config) else { return };
        let (code, log) = container.end();
        assert!(code == 1 && log.contains(reason), "{code} {log}");
    }
}

#[test]
fn a_clean_term_is_0_whatever_the_programs_exit_with() {
    let stubborn = "trap 'exit 9' TERM;echo up;while :;do sleep 0.01;done";
    for signal in [15, 2] {
        let programs = format!("{}{WAITS}", shell("main", stubborn, "exit_on = exit"));
        let Some(mut container) = Container::start("", &programs) else { return };
        container.wait_state("main", "RUNNING");
        container.signal(signal);
        let (code, log) = container.end();
        assert_eq!(code, 0, "{log}");
    }
}

#[test]
fn a_second_term_kills_at_once() {
    let deaf = shell("deaf", DEAF, "startsecs = 0\nstopwaitsecs = 1000");
    let Some(mut container) = Container::start("shutdown_timeout = 1000", &deaf) else { return };
    wait_for("it is deaf", || container.path("deaf").exists().then_some(()));
    container.signal(15);
    container.wait_state("deaf", "STOPPING");
    // What comes close behind the first one is the same order.
    let pid = nix::unistd::Pid::from_raw(container.pid());
    wait_for("a second one counts", || {
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        container.log().contains("killing what still runs").then_some(())
    });
    let (code, log) = container.end();
    assert_eq!(code, 0, "{log}");
}

#[test]
fn failures_14_the_time_limit_of_the_shutdown_holds() {
    let deaf = shell("deaf", DEAF, "startsecs = 0\nstopwaitsecs = 1000");
    let Some(mut container) = Container::start("shutdown_timeout = 1", &deaf) else { return };
    wait_for("it is deaf", || container.path("deaf").exists().then_some(()));
    container.signal(15);
    let (code, log) = container.end();
    assert!(code == 0 && log.contains("shutdown_timeout is over"), "{code} {log}");
}

#[test]
fn failures_16_term_while_a_program_never_gets_ready() {
    let never = program("never", "sleep 1000", "startsecs = 1000");
    let broken = program("broken", "/missing/program", "startretries = 1000");
    let Some(mut container) = Container::start("", &format!("{never}{broken}")) else { return };
    container.wait_state("never", "STARTING");
    container.wait_state("broken", "BACKOFF");
    container.signal(15);
    assert_eq!(container.end().0, 0);
}

#[test]
fn a_main_program_that_leaves_daemons_behind_ends_it_and_they_are_told_to_stop() {
    let daemon = "trap 'echo told >DIR/told;exit' TERM;echo >DIR/ready;while :;do sleep 0.01;done";
    let main =
        shell("main", "setsid sh DIR/daemon & while ! [ -e DIR/ready ];do sleep 0.01;done;exit 4", "exit_on = exit");
    let arrangement = format!("printf '%s\\n' '{}' >DIR/daemon;", daemon.replace('\'', "'\\''"));
    let config = format!("[supervice]\nsocket = none\npidfile = none\nlogfile = none\n{main}");
    let Some(mut container) = Container::arranged(&arrangement, &config) else { return };
    let (code, log) = container.end();
    assert_eq!((code, container.read("told").as_str()), (4, "told\n"), "{log}");
}

#[test]
fn a_stop_or_restart_by_hand_is_no_exit() {
    let Some(mut container) =
        Container::start("exit_when_idle = true", &program("main", "sleep 1000", "exit_on = exit"))
    else {
        return;
    };
    container.wait_state("main", "RUNNING");
    for command in [&["restart", "main"][..], &["restart", "--force", "main"], &["stop", "main"]] {
        let (code, said) = container.ctl(command);
        assert_eq!(code, 0, "{said}");
    }
    assert_eq!(container.wait_state("main", "STOPPED").name, "main");
    container.signal(15);
    assert_eq!(container.end().0, 0);
}

#[test]
fn idle_is_the_end_if_so_configured() {
    let job = |name: &str, script: &str| shell(name, script, "autorestart = false\nstartsecs = 0");
    for (second, wanted) in [("exit 0", 0), ("exit 6", 6)] {
        let programs = format!("{}{}", job("first", "exit 0"), job("second", second));
        let Some(mut container) = Container::start("exit_when_idle = true", &programs) else { return };
        let (code, log) = container.end();
        assert_eq!(code, wanted, "{log}");
        assert!(log.lines().last().unwrap_or_default().contains("all programs have ended"), "{log}");
    }
}

#[test]
fn the_reason_is_written_where_kubernetes_looks_if_that_exists() {
    // A file system of its own over /dev, with what a container has there.
    let dev = "mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3 2>/dev/null; ";
    let mounts = |more: &str| format!("{dev}{more} ln -s DIR/reason /dev/termination-log;");
    let main = shell("main", "exit 3", "exit_on = failure");
    let config = format!("[supervice]\nsocket = none\npidfile = none\nlogfile = none\n{main}");
    for (arrangement, config, wanted) in [
        (mounts(": >DIR/reason;"), config.clone(), "main (EXITED, exit_on = failure): exit code 3"),
        (mounts(""), config.clone(), ""),
        (mounts(": >DIR/reason;"), "[program:x]\n".to_owned(), "command"),
        (
            ": >DIR/reason;".to_owned(),
            config.replace("[supervice]", "[supervice]\ntermination_log = DIR/reason"),
            "main (",
        ),
    ] {
        let Some(mut container) = Container::with(&["--mount"], &arrangement, &config, |_| {}) else { return };
        let (code, log) = container.end();
        if log.contains("mount:") {
            return println!("SKIPPED: no file systems may be mounted here: {log}");
        }
        assert!(code != 0, "{log}");
        let reason = container.read("reason");
        assert_eq!(container.path("reason").exists(), !wanted.is_empty(), "it is never created");
        assert!(reason.contains(wanted), "{reason:?} {wanted:?}\n{log}");
    }
}

/// The container's own machine, in the kernel's words: PID 1 has been killed by SIGHUP or by SIGINT.
#[test]
fn a_container_is_begun_anew_or_turned_off_by_its_programs_when_all_has_been_stopped() {
    for (action, signal) in [("reboot", 1), ("poweroff", 2)] {
        if is_ignored_here(signal) {
            return;
        }
        // ` ;` would begin a comment.
        let tells = "trap 'echo ended > DIR/other;exit 0' TERM;echo up > DIR/up;while :;do sleep 0.1;done";
        let gives_up = "until test -e DIR/up;do sleep 0.1;done;exit 1";
        let keys = format!("startsecs = 30\nstartretries = 0\non_fatal = {action}");
        let programs = shell("other", tells, "startsecs = 0") + &shell("main", gives_up, &keys);
        let Some(mut container) = Container::start("", &programs) else { return };
        let (code, log) = container.end();
        // Who may not call reboot(2) there tells so.
        let refused = log.contains(&format!("the container can't be told to {action}: "));
        assert_eq!(code, if refused { 1 } else { 128 + signal }, "{log}");
        assert!(log.contains(&format!("{action}: everything is stopped")), "{log}");
        assert_eq!(container.read("other"), "ended\n", "{log}");
    }
}
