//! A daemon that was built without terminals.

use std::fs;

use crate::harness::Daemon;

#[test]
fn who_wants_a_terminal_is_told_that_there_is_none() {
    let daemon = Daemon::start("[program:web]\ncommand = sleep 1000\nstartsecs = 0\n");
    for args in [&["run", "--", "true"][..], &["attach", "web"]] {
        let (code, _, said) = daemon.ctl(args);
        assert!(code == 1 && said.contains("built without terminals"), "{said}");
    }
    let answer = daemon.controller().send_command("run", &[("argv", "true".into())]).expect("an answer");
    assert_eq!(answer.get("code").and_then(|code| code.as_str()), Some("UNKNOWN_COMMAND"), "{answer:?}");
    fs::write(daemon.path("tty.conf"), "[program:x]\ncommand = sh\ntty = true\n").expect("written");
    let checked = std::process::Command::new(env!("CARGO_BIN_EXE_supervice"))
        .arg("--check")
        .arg("-c")
        .arg(daemon.path("tty.conf"))
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&checked.stderr).into_owned() + &String::from_utf8_lossy(&checked.stdout);
    assert!(!checked.status.success() && said.contains("built without terminals"), "{said}");
    daemon.terminate();
}
