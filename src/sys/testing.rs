//! Helpers of the tests: a test that changes its whole process runs in a process of its own.

use std::process::Command;

const MARK: &str = "SUPERVICE_TEST_OWN_PROCESS";

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

/// `true` for root; else says that the test is skipped.
pub(crate) fn is_root(test: &str) -> bool {
    // SAFETY: geteuid has no preconditions.
    let root = unsafe { libc::geteuid() } == 0;
    if !root {
        println!("SKIPPED: {test} needs root");
    }
    root
}
