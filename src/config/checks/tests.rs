//! What the system says, to root and to others.

use std::os::unix::fs::{PermissionsExt, chown};

use super::*;

fn message(result: Result<(), Fault>) -> String {
    result.err().map_or_else(String::new, |fault| fault.message)
}

#[test]
fn a_socket_s_path_has_a_longest_length_and_a_place() {
    let dir = tempfile::tempdir().expect("a directory");
    let base = format!("{}/", dir.path().display());
    let path = |length: usize| format!("{base}{}", "s".repeat(length - base.len()));
    let mut checks = Checks::default();
    assert_eq!(message(checks.socket(&path(MAX_SOCKET_PATH_BYTES))), "");
    assert_eq!(message(checks.socket(&path(MAX_SOCKET_PATH_BYTES + 1))), "108 bytes are too long for a socket's path");
    assert_eq!(message(checks.socket("@abstract")), "");
    fs::write(path(80), "").expect("written");
    assert_eq!(message(checks.socket(&path(80))), "there is something that is not a socket");
    let _listener = std::os::unix::net::UnixListener::bind(path(81)).expect("bound");
    assert_eq!(message(checks.socket(&path(81))), "");
    let inside = |name: &str| dir.path().join(name).to_str().expect("UTF-8").to_owned();
    assert_eq!(message(checks.socket(&inside("made/s"))), "", "the last part is made");
    assert!(message(checks.socket(&inside("missing/run/s"))).contains("missing/run does not exist"));
}

#[test]
fn a_log_is_a_file_or_a_device_but_no_directory() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut checks = Checks::default();
    let mut log = |path: &Path| message(checks.log_file(path.to_str().expect("text")));
    assert_eq!(log(&dir.path().join("new.log")), "");
    assert_eq!(log(dir.path()), "it is a directory");
    assert!(log(&dir.path().join("missing/x.log")).contains("does not exist"));
    for inherited in ["/dev/null", "/dev/stdout", "/dev/fd/9", "/proc/self/fd/9", "syslog"] {
        assert_eq!(log(Path::new(inherited)), "", "{inherited}");
    }
}

#[test]
fn a_pid_file_and_a_program_are_no_directories() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = |name: &str| format!("{}/{name}", dir.path().display());
    let mut checks = Checks::default();
    assert_eq!(message(checks.pid_file(&path(""))), "it is a directory");
    assert_eq!(message(checks.pid_file(&path("new.pid"))), "");
    fs::write(path("old.pid"), "1").expect("written");
    assert_eq!(message(checks.pid_file(&path("old.pid"))), "");
    assert_eq!(message(checks.program(&path(""))), format!("{} is a directory", path("")));
}

#[test]
fn owners_are_users_and_groups() {
    let mut checks = Checks::default();
    for known in ["root", "root:root", ":root", "0", "0:0"] {
        assert_eq!(message(checks.owner(known)), "", "{known}");
    }
    assert_eq!(message(checks.owner(":")), "names neither user nor group");
    assert_eq!(message(checks.owner("")), "names neither user nor group");
    assert_eq!(message(checks.owner("nobody-here")), "no such user: nobody-here");
    assert_eq!(message(checks.owner("root:nobody-here")), "no such group: nobody-here");
}

#[test]
fn a_program_whose_interpreter_is_not_there_is_told_when_the_file_is_loaded() {
    let dir = tempfile::tempdir().expect("a directory");
    let program = |name: &str, line: &str| {
        let path = dir.path().join(name);
        fs::write(&path, line).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a mode");
        message(Checks::default().program(path.to_str().expect("UTF-8")))
    };
    assert!(program("windows", "#!/bin/sh\r\n").contains("its first line ends with a carriage return"));
    assert!(program("gone", "#!/no/such/perl\n").contains("its interpreter /no/such/perl does not exist"));
    assert_eq!(program("fine", "#!/bin/sh\n"), "");
}

/// Root may do anything: this is for the others.
#[test]
fn who_is_not_root_is_told_what_it_may_not_do() {
    const NAME: &str = "config::checks::tests::who_is_not_root_is_told_what_it_may_not_do";
    const NOBODY: u32 = 65534;
    if !crate::sys::testing::is_root(NAME) {
        return;
    }
    crate::sys::testing::in_own_process(NAME, || {
        let dir = tempfile::tempdir().expect("a directory");
        let path = |name: &str| format!("{}/{name}", dir.path().display());
        let mode =
            |name: &str, mode| fs::set_permissions(path(name), fs::Permissions::from_mode(mode)).expect("a mode");
        for name in ["theirs", "ours", "closed"] {
            fs::create_dir(path(name)).expect("a directory");
        }
        for name in ["theirs/a.log", "ours/a.log", "ours/b.log", "ours/program"] {
            fs::write(path(name), "").expect("written");
        }
        for name in ["ours", "ours/b.log"] {
            chown(path(name), Some(NOBODY), None).expect("an owner");
        }
        mode("closed", 0o700);
        mode("theirs/a.log", 0o666);
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("a mode");
        nix::unistd::setuid(nix::unistd::Uid::from_raw(NOBODY)).expect("root may");

        let mut checks = Checks::default();
        let denied = |what: &str, message: &str| format!("{} {message}: Permission denied", path(what));
        assert_eq!(message(checks.log_file(&path("theirs/new.log"))), denied("theirs", "is not writable"));
        assert_eq!(message(checks.log_file(&path("theirs/a.log"))), denied("theirs", "is not writable"), "a rotation");
        assert_eq!(message(checks.log_file(&path("ours/a.log"))), denied("ours/a.log", "is not writable"));
        assert_eq!(message(checks.log_file(&path("ours/b.log"))), "");
        for inherited in ["/dev/null", "/dev/stdout", "/dev/fd/9", "/proc/self/fd/9", "syslog"] {
            assert_eq!(message(checks.log_file(inherited)), "", "{inherited}");
        }
        assert_eq!(message(checks.pid_file(&path("theirs/pid"))), denied("theirs", "is not writable"));
        assert_eq!(message(checks.pid_file(&path("ours/pid"))), "");
        assert_eq!(message(checks.socket(&path("theirs/s"))), denied("theirs", "is not writable"));
        assert_eq!(message(checks.directory(&path("closed"))), denied("closed", "may not be entered"));
        assert_eq!(message(checks.directory(&path("ours"))), "");
        assert_eq!(
            message(checks.program(&path("ours/program"))),
            format!("{} is not executable", path("ours/program"))
        );
        assert_eq!(message(checks.program("/bin/sh")), "");
        assert_eq!(message(checks.program(&path("closed/x"))), format!("{}: Permission denied", path("closed/x")));
    });
}
