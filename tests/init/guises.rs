//! What the documentation of tini, dumb-init and catatonit promises, each by a test.

use std::process::Command;

use super::harness::{Running, SUPERVICE, init, outcome, stat_field, wait_for, write_executable};

/// `pid group session` of the program, and the same of the init.
fn places(called: &str, args: &[&str]) -> ([String; 3], [String; 3]) {
    let args = [args, &["sh", "-c", "echo $$; read x"]].concat();
    let mut running = Running::start(init(called, &args));
    let pid: i32 = running.line().parse().expect("a pid");
    let place = |pid: i32| [pid.to_string(), stat_field(pid, 2).expect("/proc"), stat_field(pid, 3).expect("/proc")];
    let result = (place(pid), place(running.pid()));
    running.type_in("\n");
    assert_eq!(running.wait(), 0);
    result
}

#[test]
fn tini_puts_the_program_into_a_group_of_its_own() {
    for called in ["tini", "supervice", "catatonit"] {
        let (program, init) = places(called, &["--"]);
        assert_eq!((&program[1], &program[2]), (&program[0], &init[2]), "{called}");
    }
}

#[test]
fn dumb_init_puts_the_program_into_a_session_of_its_own() {
    let (program, _) = places("dumb-init", &[]);
    assert_eq!((&program[1], &program[2]), (&program[0], &program[0]));
}

#[test]
fn dumb_init_single_child_stays_in_the_group() {
    for option in ["-c", "--single-child"] {
        let (program, init) = places("dumb-init", &[option]);
        assert_eq!((&program[1], &program[2]), (&init[1], &init[2]));
    }
}

#[test]
fn dumb_init_setsid_0_signals_the_direct_child_alone() {
    let script = "trap 'echo parent; kill $!; exit 3' 15; sleep 300 & echo ready; wait";
    let mut command = init("dumb-init", &["sh", "-c", script]);
    command.env("DUMB_INIT_SETSID", "0");
    let mut running = Running::start(command);
    assert_eq!(running.line(), "ready");
    running.send(15);
    assert_eq!((running.line().as_str(), running.wait()), ("parent", 3));
}

#[test]
fn dumb_init_signals_the_whole_session_by_default() {
    let script = "trap '' 15; (trap 'echo child; exit' 15; echo ready; while :; do sleep 0.01; done) & \
                  while kill -0 $! 2>/dev/null; do wait; done; exit 6";
    let mut running = Running::start(init("dumb-init", &["sh", "-c", script]));
    assert_eq!(running.line(), "ready");
    running.send(15);
    assert_eq!((running.line().as_str(), running.wait()), ("child", 6));
}

#[test]
fn dumb_init_may_be_stacked_in_single_child_mode() {
    let (code, out, _) = outcome(init("dumb-init", &["-c", SUPERVICE, "--init", "--", "echo", "oh, hi"]));
    assert_eq!((code, out.as_str()), (0, "oh, hi\n"));
}

#[test]
fn dumb_init_works_as_the_interpreter_of_a_script() {
    let dir = tempfile::tempdir().expect("a directory");
    let (link, script) = (dir.path().join("dumb-init"), dir.path().join("script"));
    std::os::unix::fs::symlink(SUPERVICE, &link).expect("a link");
    write_executable(&script, &format!("#!{} /bin/sh\nexit 11\n", link.display()));
    assert_eq!(outcome(Command::new(script)).0, 11);
}

fn state(pid: i32) -> Option<String> {
    stat_field(pid, 0)
}

#[test]
fn dumb_init_suspends_the_program_and_itself_at_tstp_ttin_and_ttou_and_cont_resumes_both() {
    for signal in [20, 21, 22] {
        let mut running = Running::start(init("dumb-init", &["sh", "-c", "echo $$; read x"]));
        let program: i32 = running.line().parse().expect("a pid");
        running.send(signal);
        wait_for("both are stopped", || (state(program)? == "T" && state(running.pid())? == "T").then_some(()));
        running.send(18);
        wait_for("both go on", || (state(program)? != "T" && state(running.pid())? != "T").then_some(()));
        running.type_in("\n");
        assert_eq!(running.wait(), 0);
    }
}

#[test]
fn dumb_init_suspends_itself_even_if_the_stop_is_rewritten() {
    let mut running = Running::start(init(
        "dumb-init",
        &["-r", "20:10", "sh", "-c", "trap 'echo 10' 10; echo ready; wait; read x; read x"],
    ));
    assert_eq!(running.line(), "ready");
    running.send(20);
    assert_eq!(running.line(), "10");
    wait_for("the init is stopped", || (state(running.pid())? == "T").then_some(()));
    running.send(18);
    running.send(9);
}

#[test]
fn dumb_init_debug_is_verbose() {
    let mut by_variable = init("dumb-init", &["true"]);
    by_variable.env("DUMB_INIT_DEBUG", "1");
    for command in [by_variable, init("dumb-init", &["-v", "true"]), init("dumb-init", &["--verbose", "true"])] {
        let (code, _, errors) = outcome(command);
        assert!(code == 0 && errors.contains("started true with pid"), "{errors}");
    }
    assert_eq!(outcome(init("dumb-init", &["true"])), (0, String::new(), String::new()));
}

#[test]
fn tini_kill_process_group_by_variable() {
    let script = "trap 'echo parent; wait; exit 2' 15; (trap 'exit' 15; echo ready; while :; do sleep 0.01; done) & wait; wait; exit 3";
    let mut command = init("tini", &["--", "sh", "-c", script]);
    command.env("TINI_KILL_PROCESS_GROUP", "");
    let mut running = Running::start(command);
    assert_eq!(running.line(), "ready");
    running.send(15);
    assert_eq!((running.line().as_str(), running.wait()), ("parent", 2));
}

#[test]
fn tini_verbosity_counts_up() {
    let (_, _, errors) = outcome(init("tini", &["-s", "-v", "--", "true"]));
    assert!(errors.contains("started true") && !errors.contains("orphan"), "{errors}");
}

#[test]
fn tini_parent_death_signal_reaches_the_program() {
    for called in ["tini", "supervice"] {
        // The shell in between is the parent that dies.
        let mut parent = Command::new("bash");
        let script = "trap 'echo bye; exit' 10; echo $$; while :; do sleep 0.01; done";
        parent.args(["-c", "bash -c 'exec -a \"$0\" \"$@\"' \"$@\" & read x", "x", called, SUPERVICE]);
        if called == "supervice" {
            parent.arg("--init");
        }
        parent.args(["-p", "SIGUSR1", "--", "bash", "-c", script]);
        let mut running = Running::start(parent);
        let _program = running.line();
        running.send(9);
        assert_eq!(running.line(), "bye", "{called}");
    }
}

#[test]
fn catatonit_pauses_until_sigint_or_sigterm() {
    for signal in [2, 15] {
        let mut running = Running::start(init("catatonit", &["-P"]));
        wait_for("it waits", || {
            let directory = std::fs::read_link(format!("/proc/{}/cwd", running.pid())).ok()?;
            (directory.to_str() == Some("/") && state(running.pid())? == "S").then_some(())
        });
        running.send(10);
        running.send(signal);
        assert_eq!(running.wait(), 0);
    }
}
