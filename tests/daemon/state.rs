//! What outlives the daemon (`state_dir`), with real programs, disks and deaths.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::harness::{Daemon, wait_until};

const PROGRAMS: &str = "[program:db]\ncommand = sleep 300\nstartsecs = 0\n\
    [program:web]\ncommand = sleep 300\nstartsecs = 0\nwants = db\n";
const STATE: &[&str] = &["state_dir = DIR/state"];

fn begun() -> Daemon {
    Daemon::start_in(tempfile::tempdir().expect("a directory"), PROGRAMS, STATE)
}

/// Ends it by this signal and begins another one in its place.
fn again(mut daemon: Daemon, signal: Signal) -> Daemon {
    daemon.signal(signal);
    daemon.wait();
    daemon.launch(Command::new(env!("CARGO_BIN_EXE_supervice")));
    daemon.wait_ready();
    daemon
}

fn tell(daemon: &Daemon, args: &[&str]) -> String {
    let (code, text, errors) = daemon.ctl(args);
    assert_eq!(code, 0, "{args:?}: {text}{errors}\n{}", daemon.log());
    text
}

#[test]
fn what_is_disabled_stays_so_over_an_end_and_over_a_death() {
    let mut daemon = begun();
    daemon.wait_state("db", "RUNNING");
    assert_eq!(tell(&daemon, &["disable", "--now", "db"]), "Disabled db\nStopped db\n");
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        daemon = again(daemon, signal);
        daemon.wait_state("web", "RUNNING");
        let db = daemon.status("db");
        assert_eq!((db.state.as_str(), db.disabled), ("STOPPED", Some(true)));
        assert!(tell(&daemon, &["status", "db"]).contains("disabled"));
        // It is not one of those that start with the daemon: a probe must not end the container for it.
        assert_eq!(tell(&daemon, &["health"]), "healthy: 1 process\n");
        assert_eq!(daemon.ctl(&["health", "db"]).0, 1);
    }
    // By hand it starts, and stays disabled.
    tell(&daemon, &["start", "db"]);
    assert_eq!(daemon.status("db").disabled, Some(true));
    assert_eq!(tell(&daemon, &["enable", "--now", "db"]).lines().next(), Some("Enabled db"));
    daemon = again(daemon, Signal::SIGTERM);
    daemon.wait_state("db", "RUNNING");
    assert_eq!(daemon.status("db").disabled, None);
    daemon.terminate();
}

/// The answer comes when it is on the disk: whoever dies right after it has lost nothing.
#[test]
fn what_was_answered_is_there_after_any_death() {
    let mut daemon = begun();
    for round in 0..10 {
        let (verb, wanted) = if round % 2 == 0 { ("disable", Some(true)) } else { ("enable", None) };
        tell(&daemon, &[verb, "db"]);
        daemon = again(daemon, Signal::SIGKILL);
        assert_eq!(daemon.status("db").disabled, wanted, "round {round}");
    }
    let text = daemon.read("state/disabled");
    assert_eq!(text, "supervice state 1 disabled\nend 0\n");
    assert_eq!(fs::metadata(daemon.path("state")).expect("there").mode() & 0o777, 0o700);
    daemon.terminate();
}

#[test]
fn a_file_that_is_torn_or_foreign_is_told_and_the_daemon_begins_without() {
    for content in ["", "supervice state 1 disabled\ndb\n", "[program:x]\n", "supervice state 9 disabled\ndb\nend 1\n"]
    {
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir(dir.path().join("state")).expect("a directory");
        fs::write(dir.path().join("state/disabled"), content).expect("a file");
        let daemon = Daemon::start_in(dir, PROGRAMS, STATE);
        daemon.wait_state("db", "RUNNING");
        daemon.wait_log("state/disabled: it is ");
        daemon.wait_log("; begins without what was disabled");
        tell(&daemon, &["disable", "db"]);
        assert_eq!(daemon.read("state/disabled"), "supervice state 1 disabled\ndb\nend 1\n");
        daemon.terminate();
    }
}

#[test]
fn a_directory_that_takes_nothing_is_told_and_holds_up_nobody() {
    // A file in its place: also for root nothing can be written there.
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("state"), "").expect("a file");
    let many = "[program:many]\nnumprocs = 2\ncommand = sleep 300\nstartsecs = 0\n";
    let daemon = Daemon::start_in(dir, &(PROGRAMS.to_owned() + many), STATE);
    daemon.wait_state("db", "RUNNING");
    let unsaved = |verb: &[&str]| {
        let (code, text, errors) = daemon.ctl(verb);
        assert_eq!(code, 1, "what is lost with the daemon is no success: {text}{errors}");
        text + &errors
    };
    let text = unsaved(&["disable", "db"]);
    let told = "supervicectl: Disabled db until the daemon ends: ";
    assert!(text.starts_with(told) && text.contains("state/disabled"), "{text}");
    assert_eq!(daemon.status("db").disabled, Some(true));
    let text = unsaved(&["disable", "--now", "--json", "db"]);
    assert!(text.contains(r#""status":"error""#) && text.contains("Stopped db"), "{text}");
    assert_eq!(daemon.status("db").state, "STOPPED", "it is done all the same");
    assert!(unsaved(&["scale", "--save", "many", "3"]).contains("supervicectl: not saved, it ends with the daemon: "));
    let text = unsaved(&["scale", "--save", "--json", "many", "2"]);
    assert!(text.contains(r#""status":"error""#) && text.contains(r#""removed":["many:02"]"#), "{text}");
    daemon.wait_log("what was disabled is lost when the daemon ends");
    // As soon as it can be, it is kept.
    fs::remove_file(daemon.path("state")).expect("removed");
    assert_eq!(tell(&daemon, &["disable", "web"]), "Disabled web\n");
    assert_eq!(daemon.read("state/disabled"), "supervice state 1 disabled\ndb\nweb\nend 2\n");
    daemon.terminate();
}

/// Nobody has to ask for anything else first.
#[test]
fn what_could_not_be_written_is_tried_again_until_it_can() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("state"), "").expect("a file");
    let daemon = Daemon::start_in(dir, PROGRAMS, STATE);
    assert_eq!(daemon.ctl(&["disable", "db"]).0, 1);
    fs::remove_file(daemon.path("state")).expect("removed");
    wait_until("it is written", || daemon.read("state/disabled") == "supervice state 1 disabled\ndb\nend 1\n");
    daemon.wait_log("state/disabled: written again");
    // Nor does an end that comes first lose it.
    fs::remove_dir_all(daemon.path("state")).expect("removed");
    fs::write(daemon.path("state"), "").expect("a file");
    assert_eq!(daemon.ctl(&["disable", "web"]).0, 1);
    fs::remove_file(daemon.path("state")).expect("removed");
    let daemon = again(daemon, Signal::SIGTERM);
    assert_eq!(["db", "web"].map(|name| daemon.status(name).disabled), [Some(true); 2]);
    daemon.terminate();
}

#[test]
fn a_time_that_was_missed_is_made_up_for_by_the_next_daemon() {
    let job =
        "[program:job]\ncommand = sh -c 'echo x >> DIR/job.starts'\nschedule = 0 3 1 1 *\nschedule_catchup = once\n";
    let daemon = Daemon::start_in(tempfile::tempdir().expect("a directory"), job, STATE);
    wait_until("it is kept", || daemon.path("state/times").exists());
    let written = fs::metadata(daemon.path("state/times")).expect("there").mtime_nsec();
    let mut daemon = again(daemon, Signal::SIGKILL);
    assert_eq!(daemon.read("job.starts"), "", "nothing was missed");
    assert_eq!(fs::metadata(daemon.path("state/times")).expect("there").mtime_nsec(), written, "nor written");
    // It was off for years.
    daemon.signal(Signal::SIGTERM);
    daemon.wait();
    fs::write(daemon.path("state/times"), "supervice state 1 times\n1710000000 job\nend 1\n").expect("written");
    daemon.launch(Command::new(env!("CARGO_BIN_EXE_supervice")));
    daemon.wait_ready();
    wait_until("it runs", || daemon.read("job.starts") == "x\n");
    daemon.wait_state("job", "EXITED");
    // A disk may take longer than a job.
    wait_until("that is kept", || !daemon.read("state/times").contains("1710000000 job"));
    daemon = again(daemon, Signal::SIGKILL);
    assert_eq!((daemon.read("job.starts").as_str(), daemon.status("job").state.as_str()), ("x\n", "STOPPED"));
    daemon.terminate();
}
