//! Reload: what is unchanged is not touched, and what is broken changes nothing.

use crate::harness::{Daemon, marked, word_in};

const TWO: &str = "[program:a]\ncommand = sleep 1000\nstartsecs = 0\n[program:b]\ncommand = sleep 1000\nstartsecs = 0";

#[test]
fn reload_adds_removes_and_changes() {
    let daemon = Daemon::start(&format!("{TWO}\nenvironment = MARK=reload-b-TEST"));
    let a = daemon.wait_state("a", "RUNNING");
    daemon.wait_state("b", "RUNNING");
    daemon.write_config(
        "[program:a]\ncommand = sh -c 'echo new > DIR/edited; exec sleep 1000'\nstartsecs = 0\n\
         [program:c]\ncommand = sleep 1000\nstartsecs = 0",
        &[],
    );
    let (code, text, _) = daemon.ctl(&["reload"]);
    assert_eq!((code, text.as_str()), (0, "Added: c\nRemoved: b\nChanged (restart to apply): a\n"));
    assert_eq!(marked("reload-b"), [] as [i32; 0], "a removed program is gone when the answer comes");
    assert_eq!(daemon.status("a").pid, a.pid, "a changed one goes on until its next start");
    daemon.wait_state("c", "RUNNING");
    assert!(daemon.all().iter().all(|process| process.name != "b"));
    assert_eq!(daemon.ctl(&["restart", "a"]).0, 0);
    assert_eq!(word_in(&daemon.path("edited")), "new", "the edited command really runs");
    daemon.terminate();
}

#[test]
fn failures_17_identical_reloads_are_no_ops() {
    let daemon = Daemon::start(TWO);
    let before = (daemon.wait_state("a", "RUNNING").pid, daemon.wait_state("b", "RUNNING").pid);
    let fds = crate::harness::open_fds(daemon.pid());
    let controller = daemon.controller();
    for _ in 0..1000 {
        let plan = controller.reload().expect("reload");
        assert!(plan.added.is_empty() && plan.removed.is_empty() && plan.changed.is_empty(), "{plan:?}");
    }
    assert_eq!((daemon.status("a").pid, daemon.status("b").pid), before);
    crate::harness::wait_until("the descriptors are back", || crate::harness::open_fds(daemon.pid()) <= fds);
    daemon.terminate();
}

#[test]
fn a_broken_configuration_changes_nothing_and_tells_every_error() {
    let daemon = Daemon::start(TWO);
    let before = daemon.wait_state("a", "RUNNING").pid;
    daemon.write_config("[program:a]\ncommand = sleep 1\nstopsignal = NOSUCH\nstartsecs = many\n[program:new]", &[]);
    let (code, _, error) = daemon.ctl(&["reload"]);
    assert_eq!(code, 1);
    for wanted in ["nothing was changed", "stopsignal", "NOSUCH", "startsecs", "many", "program:new"] {
        assert!(error.contains(wanted), "{wanted} is missing in:\n{error}");
    }
    assert_eq!(daemon.status("a").pid, before);
    assert_eq!(daemon.all().len(), 2);
    daemon.write_config(TWO, &[]);
    assert_eq!(daemon.ctl(&["reload"]), (0, "No changes\n".into(), String::new()));
    daemon.terminate();
}

#[test]
fn a_program_removed_and_brought_back_while_it_stops_runs_again() {
    let stubborn = "[program:s]\ncommand = sh -c 'trap : TERM; echo up > DIR/up; while :; do sleep 1000 & wait; done'\n\
                    startsecs = 0\nstopwaitsecs = 8\n[program:x]\ncommand = sleep 1000";
    let daemon = Daemon::start(stubborn);
    word_in(&daemon.path("up"));
    let old = daemon.status("s").pid;
    std::thread::scope(|scope| {
        daemon.write_config("[program:x]\ncommand = sleep 1000", &[]);
        let removal = scope.spawn(|| daemon.controller().reload());
        crate::harness::wait_until("s is told to stop", || {
            daemon.all().iter().any(|process| process.name == "s" && process.state == "STOPPING")
        });
        daemon.write_config(stubborn, &[]);
        let plan = daemon.controller().reload().expect("reload");
        assert_eq!(plan.added, ["s"]);
        removal.join().expect("no panic").expect("reload");
    });
    let new = daemon.wait_state("s", "RUNNING");
    assert_ne!(new.pid, old);
    daemon.terminate();
}

#[test]
fn sighup_reloads() {
    let daemon = Daemon::start(TWO);
    daemon.wait_state("a", "RUNNING");
    daemon.write_config(&format!("{TWO}\n[program:c]\ncommand = sleep 1000\nstartsecs = 0"), &[]);
    daemon.signal(nix::sys::signal::Signal::SIGHUP);
    crate::harness::wait_until("c is there", || daemon.all().iter().any(|process| process.name == "c"));
    daemon.wait_state("c", "RUNNING");
    daemon.terminate();
}

/// What the command line has set is not undone by a reload, nor told as a change.
#[test]
fn the_command_line_has_the_last_word() {
    let mut daemon = Daemon::unstarted(tempfile::tempdir().expect("a directory"));
    daemon.write_config(TWO, &["loglevel = INFO"]);
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_supervice"));
    command.args(["-e", "DEBUG", "-l", "none"]);
    daemon.launch(command);
    daemon.wait_ready();
    assert_eq!(daemon.ctl(&["reload"]).0, 0);
    daemon.controller().restart_process("a", false).expect("restart");
    let log = daemon.terminate();
    assert!(!log.contains("has changed"), "{log}");
    let after = log.split("reload: no changes").nth(1).expect("the reload is logged");
    assert!(after.contains("DEBUG"), "{log}");
}

/// A daemon that was started with these arguments.
fn started_with(arguments: &[&str]) -> Daemon {
    let mut daemon = Daemon::unstarted(tempfile::tempdir().expect("a directory"));
    daemon.write_config(TWO, &[]);
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_supervice"));
    command.args(arguments);
    daemon.launch(command);
    daemon.wait_ready();
    daemon
}

#[test]
fn strict_holds_for_a_reload() {
    let daemon = started_with(&["--strict"]);
    daemon.write_config(&format!("{TWO}\nno_such_key = 1"), &[]);
    let (code, _, error) = daemon.ctl(&["reload"]);
    assert!(code == 1 && error.contains("no_such_key"), "{code} {error}");
    daemon.terminate();
}

#[test]
fn the_dialect_of_the_command_line_holds_for_a_reload() {
    let daemon = started_with(&["--dialect", "supervice"]);
    // By itself this section would choose the other dialect, in which `%%` is one sign.
    let seen = "[program:c]\ncommand = sh -c 'echo 5%% > DIR/seen; exec sleep 1000'\nstartsecs = 0\n[supervisord]";
    daemon.write_config(&format!("{TWO}\n{seen}"), &[]);
    let (code, _, error) = daemon.ctl(&["reload"]);
    assert_eq!(code, 0, "{error}");
    assert_eq!(word_in(&daemon.path("seen")), "5%%");
    daemon.terminate();
}

/// The log's own thread takes the new sizes; nobody waits for it.
#[test]
fn the_sizes_of_the_daemons_log_take_effect_at_a_reload() {
    let program = "[program:p]\ncommand = sleep 1000\nstartsecs = 0";
    let dir = tempfile::tempdir().expect("a directory");
    let settings = |more: [&'static str; 2]| [&["logfile = DIR/daemon.log"][..], &more].concat();
    let daemon = Daemon::start_in(dir, program, &settings(["log_maxbytes = 0", "log_backups = 3"]));
    let log = daemon.path("daemon.log");
    while log.metadata().expect("a log").len() < 3000 {
        assert_eq!(daemon.ctl(&["restart", "p"]).0, 0);
    }
    assert!(!daemon.path("daemon.log.1").exists());
    daemon.write_config(program, &settings(["log_maxbytes = 2000", "log_backups = 1"]));
    let (code, told, _) = daemon.ctl(&["update"]);
    assert!(code == 0 && told.contains("log_backups") && told.contains("log_maxbytes"), "{told}");
    crate::harness::wait_until("it is rotated", || {
        daemon.ctl(&["restart", "p"]);
        daemon.path("daemon.log.1").exists() && log.metadata().is_ok_and(|found| found.len() > 1000)
    });
    crate::harness::wait_until("it is rotated again", || {
        daemon.ctl(&["restart", "p"]);
        log.metadata().is_ok_and(|found| found.len() < 1000)
    });
    assert!(!daemon.path("daemon.log.2").exists(), "one is kept");
    daemon.terminate();
}

/// Whoever reads the log of a daemon that is gone wants to know who has ended it.
#[test]
fn the_log_names_the_signal_by_which_a_reload_or_the_end_was_asked_for() {
    let mut daemon = Daemon::start("[program:web]\ncommand = sleep 1000\nstartsecs = 0\n");
    daemon.signal(nix::sys::signal::Signal::SIGHUP);
    daemon.wait_log("reload: asked by SIGHUP");
    daemon.wait_log("reload: no changes");
    daemon.signal(nix::sys::signal::Signal::SIGINT);
    assert!(daemon.wait().success());
    let log = daemon.log();
    let (asked, begun) = (log.find("shutdown: asked by SIGINT"), log.find("shutting down, at most"));
    assert!(asked.is_some() && asked < begun, "{log}");
}
