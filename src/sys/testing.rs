//! Helpers of the tests: a test that changes its whole process runs in a process of its own.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// What must come is waited for as long as this before a test gives up: the machine may be busy, or stand still for
/// seconds.
pub(crate) const TEST_TIMEOUT: Duration = Duration::from_secs(60);

const MARK: &str = "SUPERVICE_TEST_OWN_PROCESS";

/// Whether something is closed, locked or listened to is known only in a process that nobody forks meanwhile: between
/// its fork and its exec a child of another test has a copy of every descriptor.
///
/// Runs `body` in a copy of the test program that runs nothing but the test `name` (the full path).
pub(crate) fn in_own_process(name: &str, body: impl FnOnce()) {
    if std::env::var(MARK).is_ok_and(|value| value == name) {
        return body();
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(MARK, name)
        .output()
        .unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    for line in text.lines().filter(|line| line.contains("SKIPPED")) {
        println!("{line}");
    }
    assert!(output.status.success(), "{name} failed in its own process: {}\n{text}", output.status);
    assert!(text.contains("1 passed"), "{name} was not found: wrong test name?\n{text}");
}

/// Writes a file that is to be executed. This process never has it open: a child that another test forks meanwhile
/// would hold a copy of the descriptor until it executes its program, and the kernel executes nothing that somebody can
/// write to.
pub(crate) fn write_executable(path: &Path, bytes: &[u8], mode: u32) {
    let mode = format!("--mode={mode:o}");
    let mut install =
        Command::new("install").arg(mode).arg("/dev/stdin").arg(path).stdin(Stdio::piped()).spawn().unwrap();
    install.stdin.take().unwrap().write_all(bytes).unwrap();
    assert!(install.wait().unwrap().success());
}

/// `true` for root; else says that the test is skipped, or fails where none must be.
pub(crate) fn is_root(test: &str) -> bool {
    // SAFETY: geteuid has no preconditions.
    let root = unsafe { libc::geteuid() } == 0;
    if !root {
        assert!(std::env::var_os("SUPERVICE_TEST_REQUIRE").is_none(), "{test} needs root");
        println!("SKIPPED: {test} needs root");
    }
    root
}
