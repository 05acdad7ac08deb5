//! `supervice --init -- PROGRAM` and its three guises, and the daemon as PID 1, for real: in namespaces, below a shell, on a terminal.

mod adversity;
mod container;
mod endings;
mod guises;
mod hardship;
mod harness;
mod machine;
mod orphans;
mod packaging;
mod signals;
mod signals_of_the_daemon;
mod terminal;

use harness::{as_pid_1, init, outcome};

const GUISES: [&str; 4] = ["supervice", "tini", "dumb-init", "catatonit"];

fn both(called: &str, args: &[&str]) -> Vec<(i32, String, String)> {
    [Some(init(called, args)), as_pid_1(called, args)].into_iter().flatten().map(outcome).collect()
}

#[test]
fn exit_codes_are_the_programs_own() {
    for called in GUISES {
        for code in [0, 1, 7, 42, 127, 128, 255] {
            for (got, ..) in both(called, &["--", "sh", "-c", &format!("exit {code}")]) {
                assert_eq!(got, code, "{called}");
            }
        }
    }
}

#[test]
fn a_death_by_signal_is_128_and_the_signal() {
    for called in GUISES {
        for signal in [1, 2, 6, 9, 11, 15, 40, 64].into_iter().filter(|signal| !harness::is_ignored_here(*signal)) {
            for (got, ..) in both(called, &["--", "sh", "-c", &format!("ulimit -c 0; kill -{signal} $$")]) {
                assert_eq!(got, 128 + signal, "{called}");
            }
        }
    }
}

#[test]
fn a_code_given_with_e_counts_as_0() {
    for called in ["supervice", "tini"] {
        for (code, expected) in [(7, 0), (8, 0), (9, 9), (0, 0)] {
            let script = format!("exit {code}");
            for (got, ..) in both(called, &["-e", "7", "-e8", "-e", "143", "--", "sh", "-c", &script]) {
                assert_eq!(got, expected, "{called} {code}");
            }
        }
        for (got, ..) in both(called, &["-e", "143", "--", "sh", "-c", "kill -15 $$"]) {
            assert_eq!(got, 0, "{called}: SIGTERM, forgiven as 143");
        }
    }
}

#[test]
fn what_cannot_be_executed_is_told_with_its_reason() {
    let dir = tempfile::tempdir().expect("a directory");
    let script = dir.path().join("orphaned-script");
    harness::write_executable(&script, "#!/nonexistent/interpreter\n");
    let script = script.to_str().expect("UTF-8");
    for (called, missing, forbidden) in
        [("supervice", 127, 126), ("tini", 127, 126), ("dumb-init", 2, 2), ("catatonit", 1, 1)]
    {
        for (code, _, errors) in both(called, &["--", "no-such-program"]) {
            assert_eq!(code, missing, "{called}");
            assert!(errors.contains("no-such-program: No such file"), "{errors}");
        }
        for (code, _, errors) in both(called, &["--", "/etc/passwd"]) {
            assert_eq!(code, forbidden, "{called}");
            assert!(errors.contains("/etc/passwd: Permission denied"), "{errors}");
        }
        for (code, _, errors) in both(called, &["--", script]) {
            assert_eq!(code, missing, "{called}");
            assert!(errors.contains("/nonexistent/interpreter does not exist"), "{errors}");
        }
    }
}

#[test]
fn wrong_usage_has_the_guises_own_code() {
    for (called, code) in [("supervice", 2), ("tini", 1), ("dumb-init", 1), ("catatonit", 1)] {
        for args in [&["--"][..], &["-Z", "--", "true"]] {
            let (got, out, errors) = outcome(init(called, args));
            assert_eq!((got, out.as_str()), (code, ""), "{called} {args:?}");
            assert!(errors.contains("Usage: "), "{errors}");
        }
    }
}

#[test]
fn help_and_versions_go_to_standard_output() {
    for (called, option, text) in [
        ("supervice", "-h", "Usage: supervice --init"),
        ("supervice", "--help", "Usage: supervice --init"),
        ("tini", "-h", "Usage: tini"),
        ("tini", "--version", "tini version 0.19"),
        ("tini", "-l", "License"),
        ("dumb-init", "--help", "Usage: dumb-init"),
        ("dumb-init", "-V", "dumb-init v1.2.5"),
        ("dumb-init", "--version", "dumb-init v1.2.5"),
        ("catatonit", "-V", "tini version"),
        ("catatonit", "-L", "License"),
        ("/usr/local/sbin/docker-init", "--version", "tini version"),
    ] {
        let (code, out, errors) = outcome(init(called, &[option]));
        assert!(code == 0 && errors.is_empty() && out.contains(text), "{called} {option}: {code} {out} {errors}");
    }
}

#[test]
fn without_a_program_init_stays_an_option_of_the_daemon() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("empty.conf");
    std::fs::write(&file, "[supervice]\nsocket = none\n").expect("a file");
    let (code, out, _) = outcome(init("supervice", &["--check", "-c", file.to_str().expect("UTF-8")]));
    assert_eq!(code, 0);
    assert!(out.contains("no errors, 0 programs"), "{out}");
}

#[test]
fn the_program_gets_its_arguments_environment_descriptors_and_directory_as_they_are() {
    for called in GUISES {
        let script = "echo \"$1|$2|$FOO|$(pwd)\"; echo through >&7";
        let mut command = std::process::Command::new("bash");
        let line = "cd /usr; exec 7>&1; FOO='b a r' exec -a \"$0\" \"$@\"";
        command.args(["-c", line, called, harness::SUPERVICE]);
        if called == "supervice" {
            command.arg("--init");
        }
        command.args(["--", "sh", "-c", script, "x", "-g", "--"]);
        let (code, out, _) = outcome(command);
        assert_eq!((code, out.as_str()), (0, "-g|--|b a r|/usr\nthrough\n"), "{called}");
    }
}

#[test]
fn a_script_without_a_first_line_runs_in_the_shell() {
    let dir = tempfile::tempdir().expect("a directory");
    let script = dir.path().join("plain");
    harness::write_executable(&script, "exit 5\n");
    assert_eq!(outcome(init("supervice", &["--", script.to_str().expect("UTF-8")])).0, 5);
}

#[test]
fn sockets_that_were_handed_over_reach_the_program() {
    let mut command = std::process::Command::new("bash");
    let program = "test \"$LISTEN_PID\" = $$ && echo \"$LISTEN_FDS\"";
    command.args(["-c", "export LISTEN_FDS=1 LISTEN_PID=$$; exec \"$@\"", "x"]);
    command.args([harness::SUPERVICE, "--init", "--", "sh", "-c", program]);
    let (code, out, _) = outcome(command);
    assert_eq!((code, out.as_str()), (0, "1\n"));
}
