//! Job control, through a pseudo-terminal that `script` makes.

use std::process::Command;

use super::harness::{Running, SUPERVICE};

/// Runs this command line in a session with a terminal of its own.
fn on_terminal(line: &str) -> Option<Running> {
    if Command::new("script").arg("--version").output().is_err() {
        println!("SKIPPED: script(1) is not installed");
        return None;
    }
    // Nothing that is read here can hang for ever.
    let mut command = Command::new("timeout");
    command.args(["-k", "1", "600", "script"]);
    command.env("SHELL", "/bin/bash").env("I", format!("{SUPERVICE} --init --"));
    command.env("TERM", "dumb").args(["-qefc", line, "/dev/null"]);
    Some(Running::start(command))
}

#[test]
fn ctrl_c_ends_the_program_and_not_its_init() {
    for guise in ["$I", "exec -a tini $I", "exec -a dumb-init $I", "exec -a catatonit $I"] {
        let guise =
            if guise == "$I" { guise.to_owned() } else { guise.replace(" --init", "").replace("$I", SUPERVICE) };
        let Some(mut running) = on_terminal(&format!("{guise} sh -c 'echo re\"\"ady; exec sleep 300'")) else {
            return;
        };
        running.read_until("ready");
        running.type_in("\x03");
        assert_eq!(running.wait(), 130, "{guise}");
    }
}

#[test]
fn an_interactive_shell_has_the_terminal_and_job_control() {
    for guise in ["$I".to_owned(), format!("exec -a tini {SUPERVICE} --"), format!("exec -a dumb-init {SUPERVICE}")] {
        let Some(mut running) = on_terminal(&format!("{guise} bash --norc -i")) else { return };
        let start = running.read_until("bash-");
        assert!(!start.contains("no job control"), "{guise}: {start}");
        running.type_in("sh -c 'echo re\"\"ady; read x; echo got=$x; exit 4'\n");
        running.read_until("ready");
        running.type_in("\x1a");
        running.read_until("Stopped");
        running.read_until("bash-");
        running.type_in("fg\n");
        running.read_until("exit 4'\r\n");
        running.type_in("word\n");
        running.read_until("got=word");
        running.read_until("bash-");
        running.type_in("echo code=$?\n");
        running.read_until("code=4");
        running.read_until("bash-");
        running.type_in("sh -c 'echo on\"\"ce; exec sleep 300'\n");
        running.read_until("once");
        running.type_in("\x03");
        running.read_until("bash-");
        running.type_in("echo code=$?\n");
        running.read_until("code=130");
        running.read_until("bash-");
        running.type_in("exit 5\n");
        assert_eq!(running.wait(), 5, "{guise}");
    }
}

#[test]
fn ctrl_z_gives_the_prompt_back_and_fg_goes_on() {
    let Some(mut running) = on_terminal("bash --norc -i") else { return };
    running.read_until("bash-");
    running.type_in("$I sh -c 'echo re\"\"ady; read x; echo got=$x; exit 3'\n");
    running.read_until("ready");
    running.type_in("\x1a");
    running.read_until("Stopped");
    running.read_until("bash-");
    running.type_in("fg\n");
    running.read_until("exit 3'\r\n");
    running.type_in("word\n");
    running.read_until("got=word");
    running.read_until("bash-");
    running.type_in("echo code=$?\n");
    running.read_until("code=3");
    running.read_until("bash-");
    running.type_in("exit 0\n");
    assert_eq!(running.wait(), 0);
}

#[test]
fn in_the_background_it_takes_no_terminal_and_afterwards_it_is_given_back() {
    let line = "$I true & wait $!; $I true; sh -c 'read x; echo got=$x'; $I true; read y; echo then=$y";
    let Some(mut running) = on_terminal(line) else { return };
    running.type_in("one\ntwo\n");
    running.read_until("got=one");
    running.read_until("then=two");
    assert_eq!(running.wait(), 0);
}
