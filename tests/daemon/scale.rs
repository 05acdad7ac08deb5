//! Other numbers of instances than in the file, instances of templates that are in no file, and other files to compare with.

use std::fs;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::harness::{Daemon, wait_until};

const STATE: &[&str] = &["state_dir = DIR/state"];

fn web(numprocs: u32, more: &str) -> String {
    format!(
        "[program:web]\nnumprocs = {numprocs}\ncommand = sh -c 'echo number %(process_num)s; exec sleep 300'\n\
         startsecs = 0\n{more}\n[program:other]\ncommand = sleep 300\nstartsecs = 0\n"
    )
}

fn begun(sections: &str) -> Daemon {
    Daemon::start_in(tempfile::tempdir().expect("a directory"), sections, STATE)
}

fn tell(daemon: &Daemon, args: &[&str]) -> String {
    let (code, text, errors) = daemon.ctl(args);
    assert_eq!(code, 0, "{args:?}: {text}{errors}\n{}", daemon.log());
    text
}

fn refused(daemon: &Daemon, args: &[&str]) -> String {
    let (code, _, errors) = daemon.ctl(args);
    assert_eq!(code, 1, "{args:?}");
    errors
}

/// The instances that run.
fn running(daemon: &Daemon) -> Vec<String> {
    let all = daemon.all().into_iter().filter(|process| process.name.starts_with("web") && process.state == "RUNNING");
    all.map(|process| process.name.trim_start_matches("web:").to_owned()).collect()
}

fn again(mut daemon: Daemon, signal: Signal) -> Daemon {
    daemon.signal(signal);
    daemon.wait();
    daemon.launch(Command::new(env!("CARGO_BIN_EXE_supervice")));
    daemon.wait_ready();
    daemon
}

#[test]
fn more_come_and_the_highest_go_and_the_others_stay_as_they_are() {
    let daemon = begun(&web(2, ""));
    daemon.wait_state("web:01", "RUNNING");
    let first = daemon.status("web:00").pid;
    assert_eq!(tell(&daemon, &["scale", "web", "4"]), "Added: web:02, web:03\n");
    assert_eq!(running(&daemon), ["00", "01", "02", "03"]);
    wait_until("as the file would have it", || tell(&daemon, &["tail", "web:03"]).contains("number 03"));
    assert_eq!(tell(&daemon, &["scale", "web", "1"]), "Removed: web:01, web:02, web:03\n");
    assert_eq!((running(&daemon), daemon.status("web:00").pid), (vec!["00".to_owned()], first));
    assert_eq!(tell(&daemon, &["scale", "web", "1"]), "No changes\n");
    assert_eq!(tell(&daemon, &["scale", "web", "0"]), "Removed: web:00\n");
    assert_eq!(tell(&daemon, &["scale", "web", "2"]), "Added: web:00, web:01\n");
    for (args, why) in [
        (["scale", "other", "2"], "it has one instance by the file; write numprocs = 2 or more there"),
        (["scale", "web:00", "2"], "the file has no such program"),
        (["scale", "web", "10001"], "at most 10000 instances"),
    ] {
        assert!(refused(&daemon, &args).contains(why), "{args:?}");
    }
    assert_eq!(running(&daemon), ["00", "01"]);
    daemon.terminate();
}

#[test]
fn a_reload_keeps_it_until_the_file_says_another_number() {
    let daemon = begun(&web(2, ""));
    tell(&daemon, &["scale", "web", "3"]);
    for verb in ["reload", "update"] {
        assert_eq!(tell(&daemon, &[verb]), "No changes\n");
        assert_eq!(running(&daemon), ["00", "01", "02"]);
    }
    // Another setting is taken by all of them.
    daemon.write_config(&web(2, "environment = A=1"), STATE);
    assert!(refused(&daemon, &["scale", "web", "4"]).contains("run supervicectl update first"));
    assert!(tell(&daemon, &["update"]).contains("web:02"));
    assert_eq!(running(&daemon), ["00", "01", "02"]);
    daemon.write_config(&web(4, "environment = A=1"), STATE);
    tell(&daemon, &["update"]);
    assert_eq!(running(&daemon), ["00", "01", "02", "03"], "now the file counts");
    daemon.write_config(&web(2, "environment = A=1"), STATE);
    tell(&daemon, &["update"]);
    assert_eq!(running(&daemon), ["00", "01"], "and it counts for good");
    daemon.terminate();
}

/// To those that stay another number is no change.
#[test]
fn another_number_in_the_file_names_those_that_come_and_those_that_go() {
    let daemon = begun(&web(2, ""));
    let first = daemon.wait_state("web:00", "RUNNING").pid;
    for verb in ["update", "reload"] {
        daemon.write_config(&web(4, ""), STATE);
        assert_eq!(tell(&daemon, &["reread"]), "web:02: added\nweb:03: added\n");
        assert_eq!(tell(&daemon, &[verb]), "Added: web:02, web:03\n");
        assert_eq!(tell(&daemon, &["reread"]), "No changes\n");
        daemon.write_config(&web(2, ""), STATE);
        assert_eq!(tell(&daemon, &[verb]), "Removed: web:02, web:03\n");
    }
    // The number is in force: what the file says is what is scaled.
    daemon.write_config(&web(3, ""), STATE);
    tell(&daemon, &["update"]);
    assert_eq!(tell(&daemon, &["scale", "web", "2"]), "Removed: web:02\n");
    // And where there is more to it, that is told.
    daemon.write_config(&web(4, "environment = A=1"), STATE);
    assert_eq!(tell(&daemon, &["reload"]), "Added: web:02, web:03\nChanged (restart to apply): web:00, web:01\n");
    daemon.write_config(&web(4, "environment = A=1\nautorestart = false"), STATE);
    assert_eq!(tell(&daemon, &["reload"]), "Changed: web:02, web:03\nChanged (restart to apply): web:00, web:01\n");
    assert_eq!(daemon.status("web:00").pid, first);
    assert_eq!(tell(&daemon, &["update"]), "Restarted: web:00, web:01\n");
    daemon.terminate();
}

#[test]
fn what_is_saved_outlives_the_daemon_however_it_ends() {
    let mut daemon = begun(&web(2, ""));
    tell(&daemon, &["scale", "--save", "web", "4"]);
    wait_until("it is written", || daemon.read("state/scales") == "supervice state 1 scales\n4 2 web\nend 1\n");
    for signal in [Signal::SIGKILL, Signal::SIGTERM] {
        daemon = again(daemon, signal);
        wait_until("all are up", || running(&daemon) == ["00", "01", "02", "03"]);
    }
    // What is not saved lasts until the end.
    tell(&daemon, &["scale", "web", "3"]);
    daemon = again(daemon, Signal::SIGKILL);
    wait_until("as it was saved", || running(&daemon) == ["00", "01", "02", "03"]);
    tell(&daemon, &["scale", "--save", "web", "2"]);
    wait_until("nothing is to be kept", || daemon.read("state/scales") == "supervice state 1 scales\nend 0\n");
    daemon = again(daemon, Signal::SIGKILL);
    wait_until("as in the file", || running(&daemon) == ["00", "01"]);
    // The number in the file has changed while the daemon was off.
    tell(&daemon, &["scale", "--save", "web", "5"]);
    daemon.write_config(&web(3, ""), STATE);
    daemon = again(daemon, Signal::SIGTERM);
    wait_until("as in the file", || running(&daemon) == ["00", "01", "02"]);
    wait_until("it is forgotten", || daemon.read("state/scales") == "supervice state 1 scales\nend 0\n");
    daemon.write_config(&web(2, ""), STATE);
    tell(&daemon, &["update"]);
    assert_eq!(running(&daemon), ["00", "01"], "and it counts for good");
    daemon.terminate();
    let daemon = Daemon::start(&web(2, ""));
    assert!(refused(&daemon, &["scale", "--save", "web", "3"]).contains("nothing is kept without state_dir"));
    daemon.terminate();
}

#[test]
fn an_update_that_waits_to_be_confirmed_goes_back_to_what_was_scaled() {
    let daemon = begun(&web(2, ""));
    tell(&daemon, &["scale", "--save", "web", "3"]);
    daemon.write_config(&web(4, ""), STATE);
    tell(&daemon, &["update", "--confirm", "15"]);
    assert_eq!(running(&daemon), ["00", "01", "02", "03"]);
    assert!(refused(&daemon, &["scale", "web", "5"]).contains("confirm"), "nothing comes in between");
    wait_until("it is taken back", || running(&daemon) == ["00", "01", "02"]);
    wait_until("on the disk, too", || daemon.read("state/scales") == "supervice state 1 scales\n3 2 web\nend 1\n");
    // A daemon that dies while an update waits has the file as it is.
    tell(&daemon, &["update", "--confirm", "300"]);
    let daemon = again(daemon, Signal::SIGKILL);
    wait_until("as in the file", || running(&daemon) == ["00", "01", "02", "03"]);
    daemon.terminate();
}

#[test]
fn those_that_need_it_need_what_is_added_as_well() {
    let sections = web(2, "") + "[program:front]\ncommand = sleep 300\nstartsecs = 0\nrequires = web\n";
    let daemon = begun(&sections);
    daemon.wait_state("front", "RUNNING");
    tell(&daemon, &["scale", "web", "3"]);
    let graph = tell(&daemon, &["graph", "front"]);
    assert!(graph.contains("web:02"), "{graph}");
    tell(&daemon, &["stop", "web:02"]);
    daemon.wait_state("front", "STOPPED");
    tell(&daemon, &["start", "front"]);
    daemon.wait_state("web:02", "RUNNING");
    // Without any, what needs it could never start.
    let told = refused(&daemon, &["scale", "web", "0"]);
    let why = "[program:front] requires = web: not there while web is scaled to 0 (numprocs = 2); supervicectl scale web 1 (or more)";
    assert!(told.contains(why), "{told}");
    assert_eq!(tell(&daemon, &["scale", "web", "2"]), "Removed: web:02\n");
    daemon.terminate();
}

#[test]
fn an_instance_that_another_program_needs_is_not_scaled_away_and_who_needs_it_is_named() {
    let sections = web(3, "") + "[program:front]\ncommand = sleep 300\nstartsecs = 0\nrequires = web:01\n";
    let daemon = begun(&sections);
    let why = "[program:front] requires = web:01: not there while web is scaled to 1 (numprocs = 3); supervicectl scale web 2 (or more)";
    let told = refused(&daemon, &["scale", "web", "1"]);
    assert!(told.contains(why), "{told}");
    assert_eq!(running(&daemon), ["00", "01", "02"]);
    assert_eq!(tell(&daemon, &["scale", "web", "2"]), "Removed: web:02\n");
    // Who only comes after it, or wishes for it, can do without.
    daemon.write_config(&sections.replace("requires =", "wants ="), STATE);
    tell(&daemon, &["update"]);
    assert_eq!(tell(&daemon, &["scale", "web", "1"]), "Removed: web:01\n");
    assert_eq!(tell(&daemon, &["scale", "web", "0"]), "Removed: web:00\n");
    assert_eq!(tell(&daemon, &["update"]), "No changes\n");
    daemon.terminate();
}

#[test]
fn whoever_names_what_is_scaled_to_0_is_told_so() {
    let mut daemon = begun(&web(2, ""));
    tell(&daemon, &["scale", "--save", "web", "0"]);
    let told = "web is scaled to 0; supervicectl scale web N has N of it";
    for turn in 0..2 {
        for words in [
            &["start", "web"][..],
            &["stop", "web:00"],
            &["why", "web"],
            &["cat", "web"],
            &["status", "web"],
            &["status", "--json", "other", "web:*"],
            &["status", "web:01", "other"],
            &["start", "group:web"],
            &["startgroup", "web"],
            &["tail", "web:*"],
        ] {
            let (code, text, errors) = daemon.ctl(words);
            assert!(code != 0 && (text + &errors).contains(told), "{turn}: {words:?}: {errors}");
        }
        assert!(!refused(&daemon, &["start", "wob"]).contains("scaled"));
        assert!(!refused(&daemon, &["status", "wob:*"]).contains("scaled"));
        daemon = again(daemon, Signal::SIGTERM);
    }
    tell(&daemon, &["scale", "web", "1"]);
    assert!(!refused(&daemon, &["start", "web:01"]).contains("scaled to 0"));
    tell(&daemon, &["start", "web:00"]);
    daemon.terminate();
}

#[test]
fn a_saved_number_that_the_file_does_not_hold_with_costs_no_other() {
    let worker = "[program:worker]\nnumprocs = 3\ncommand = sleep 300\nstartsecs = 0\n";
    let front = "[program:front]\ncommand = sleep 300\nstartsecs = 0\n";
    let sections = format!("{}{worker}{front}", web(3, ""));
    let mut daemon = begun(&(sections.clone() + "after = web\n"));
    tell(&daemon, &["scale", "--save", "web", "0"]);
    tell(&daemon, &["scale", "--save", "worker", "1"]);
    let workers = |daemon: &Daemon| daemon.all().iter().filter(|process| process.name.starts_with("worker")).count();
    daemon = again(daemon, Signal::SIGTERM);
    assert_eq!((running(&daemon).len(), workers(&daemon)), (0, 1), "{}", daemon.log());
    daemon.write_config(&(sections.clone() + "requires = web\n"), STATE);
    daemon = again(daemon, Signal::SIGTERM);
    daemon.wait_log("begins with as many instances of web as in the file");
    wait_until("all of the file", || running(&daemon) == ["00", "01", "02"]);
    assert_eq!(workers(&daemon), 1, "{}", daemon.log());
    // It is not in force, and does not come back.
    const KEPT: &str = "supervice state 1 scales\n1 3 worker\nend 1\n";
    wait_until("it is forgotten", || daemon.read("state/scales") == KEPT);
    for verb in ["reread", "reload", "update"] {
        assert_eq!(tell(&daemon, &[verb]), "No changes\n");
    }
    daemon.write_config(&sections, STATE);
    assert!(tell(&daemon, &["update"]).contains("front"));
    assert_eq!((running(&daemon).len(), workers(&daemon)), (3, 1));
    assert_eq!(tell(&daemon, &["scale", "--save", "web", "1"]), "Removed: web:01, web:02\n");
    daemon.terminate();
}

/// In supervisord's dialect a dependency on a program names each of its processes.
#[test]
fn in_the_dialect_of_supervisord_who_needs_what_is_scaled_has_not_changed() {
    let mut daemon = Daemon::unstarted(tempfile::tempdir().expect("a directory"));
    let config = "[supervisord]\nlogfile = none\npidfile = DIR/daemon.pid\nstate_dir = DIR/state\n\
         [unix_http_server]\nfile = DIR/ctl.sock\n\
         [program:w]\nnumprocs = 3\nprocess_name = w_%(process_num)d\ncommand = sleep 300\nstartsecs = 0\n\
         [program:front]\ncommand = sleep 300\nstartsecs = 0\nrequires = w\n\
         [program:back]\ncommand = sleep 300\nstartsecs = 0\nafter = w:started, front\n";
    fs::write(daemon.path("supervice.conf"), config.replace("DIR", &daemon.dir.path().display().to_string()))
        .expect("written");
    daemon.launch(Command::new(env!("CARGO_BIN_EXE_supervice")));
    daemon.wait_ready();
    daemon.wait_state("front", "RUNNING");
    let pid = daemon.status("front").pid;
    for (number, told) in
        [("5", "Added: w:w_3, w:w_4\n"), ("2", "Removed: w:w_2, w:w_3, w:w_4\n"), ("4", "Added: w:w_2, w:w_3\n")]
    {
        assert_eq!(tell(&daemon, &["scale", "--save", "w", number]), told);
        assert_eq!(tell(&daemon, &["reread"]), "No changes\n");
        assert_eq!(tell(&daemon, &["update"]), "No changes\n");
    }
    assert_eq!(daemon.status("front").pid, pid);
    assert!(tell(&daemon, &["graph", "front"]).contains("w:w_3"), "it needs those that were added");
    daemon = again(daemon, Signal::SIGTERM);
    assert_eq!(tell(&daemon, &["reread"]), "No changes\n");
    assert!(tell(&daemon, &["graph", "front"]).contains("w:w_3"));
    daemon.terminate();
}

#[test]
fn two_at_once_are_done_one_after_the_other() {
    let begun = begun(&web(2, ""));
    let daemon = &begun;
    std::thread::scope(|scope| {
        for number in ["5", "3", "7", "4"] {
            // What one starts, the next may stop before it is up: whoever waits for it is told so.
            let told = |args: &[&str]| {
                let (code, text, errors) = daemon.ctl(args);
                assert!(code == 0 || errors.contains("meanwhile"), "{args:?}: {text}{errors}");
            };
            scope.spawn(move || told(&["scale", "web", number]));
            scope.spawn(move || told(&["update"]));
        }
    });
    let count = running(daemon).len();
    assert!([3, 4, 5, 7].contains(&count), "{count}");
    assert_eq!(tell(daemon, &["update"]), "No changes\n");
    begun.terminate();
}

const TEMPLATE: &str = "[template:worker]\ncommand = sh -c 'echo I am %(instance)s; exec sleep 300'\nstartsecs = 0\n\
    [program:worker@eu]\n";

#[test]
fn a_start_makes_an_instance_that_is_in_no_file() {
    let daemon = begun(TEMPLATE);
    daemon.wait_state("worker@eu", "RUNNING");
    assert_eq!(tell(&daemon, &["start", "worker@us"]), "Started worker@us\n");
    assert_eq!(tell(&daemon, &["start", "worker@eu", "worker@asia", "worker@us"]).lines().count(), 3);
    wait_until("it knows its name", || tell(&daemon, &["tail", "worker@asia"]).contains("I am asia"));
    let pid = daemon.status("worker@us").pid;
    // A reload treats it as a program; one that is down goes with it.
    tell(&daemon, &["stop", "worker@asia"]);
    assert_eq!(daemon.status("worker@asia").state, "STOPPED");
    assert_eq!(tell(&daemon, &["update"]), "Removed: worker@asia\n");
    assert_eq!(daemon.status("worker@us").pid, pid);
    daemon.write_config(&TEMPLATE.replace("I am", "It is"), STATE);
    assert!(tell(&daemon, &["update"]).contains("worker@us"));
    assert_ne!(daemon.status("worker@us").pid, pid);
    // In the file from now on, and then no template is there.
    daemon.write_config(&(TEMPLATE.replace("I am", "It is") + "[program:worker@us]\n"), STATE);
    assert_eq!(tell(&daemon, &["update"]), "No changes\n");
    for name in ["nobody@us", "worker@", "worker@a/b", "worker@a:b", "worker@a]\nx"] {
        assert!(refused(&daemon, &["start", name]).contains("no process"), "{name}");
    }
    let names: Vec<String> = daemon.all().into_iter().map(|process| process.name).collect();
    assert_eq!(names, ["worker@eu", "worker@us"]);
    daemon.terminate();
}

#[test]
fn an_instance_that_was_enabled_is_there_with_every_daemon_until_it_is_disabled() {
    const NONE: &str = "supervice state 1 instances\nend 0\n";
    const US: &str = "supervice state 1 instances\nworker@us\nend 1\n";
    let mut daemon = begun(TEMPLATE);
    // What was only started goes with the daemon.
    tell(&daemon, &["start", "worker@asia"]);
    assert_eq!(tell(&daemon, &["enable", "worker@us"]), "Enabled worker@us\n");
    assert_eq!((daemon.status("worker@us").state.as_str(), daemon.read("state/instances").as_str()), ("STOPPED", US));
    assert_eq!(tell(&daemon, &["update"]), "No changes\n", "down, and there to stay");
    for signal in [Signal::SIGKILL, Signal::SIGTERM] {
        daemon = again(daemon, signal);
        daemon.wait_state("worker@us", "RUNNING");
        let names: Vec<String> = daemon.all().into_iter().map(|process| process.name).collect();
        assert_eq!(names, ["worker@eu", "worker@us"]);
    }
    assert!(refused(&daemon, &["enable", "nobody@us"]).contains("no process"));
    // One that runs is enabled, too, and the update that unmakes it is taken back.
    tell(&daemon, &["start", "worker@asia"]);
    assert_eq!(tell(&daemon, &["enable", "worker@asia"]), "Enabled worker@asia\n");
    daemon.write_config("[program:worker@eu]\ncommand = sleep 300\nstartsecs = 0\n", STATE);
    assert!(tell(&daemon, &["update", "--confirm", "1"]).contains("worker@asia"));
    wait_until("it is back", || daemon.all().iter().any(|row| row.name == "worker@asia" && row.state == "RUNNING"));
    daemon.write_config(TEMPLATE, STATE);
    wait_until("both are kept again", || daemon.read("state/instances").lines().count() == 4);
    assert_eq!(tell(&daemon, &["disable", "--now", "worker@asia"]), "Disabled worker@asia\nStopped worker@asia\n");
    assert_eq!(daemon.read("state/instances"), US);
    tell(&daemon, &["update"]);
    daemon = again(daemon, Signal::SIGKILL);
    daemon.wait_state("worker@us", "RUNNING");
    assert_eq!(daemon.all().len(), 2);
    // With its template it goes for good; where that is missing at the start it is told.
    daemon.signal(Signal::SIGTERM);
    daemon.wait();
    daemon.write_config("[program:worker@eu]\ncommand = sleep 300\nstartsecs = 0\n", STATE);
    daemon.launch(Command::new(env!("CARGO_BIN_EXE_supervice")));
    daemon.wait_ready();
    daemon.wait_log("worker@us: it was enabled, but no template of the file makes it");
    tell(&daemon, &["update"]);
    wait_until("it is forgotten", || daemon.read("state/instances") == NONE);
    daemon.terminate();
}

#[test]
fn an_instance_that_was_made_goes_with_its_template() {
    let daemon = begun(&(TEMPLATE.to_owned() + "[program:other]\ncommand = sleep 300\nstartsecs = 0\n"));
    tell(&daemon, &["start", "worker@us"]);
    daemon.write_config("[program:other]\ncommand = sleep 300\nstartsecs = 0\n", STATE);
    assert_eq!(tell(&daemon, &["update"]), "Removed: worker@eu, worker@us\n");
    assert!(refused(&daemon, &["start", "worker@us"]).contains("no process"));
    daemon.terminate();
}

#[test]
fn another_file_is_compared_with_what_runs_and_nothing_is_done() {
    let daemon = begun(&web(2, ""));
    daemon.wait_state("web:01", "RUNNING");
    let text = format!("[supervice]\nsocket = none\n{}", web(3, "environment = A=1"));
    fs::write(daemon.path("other.conf"), text).expect("written");
    let other = daemon.path("other.conf").display().to_string();
    let told = tell(&daemon, &["reread", "-c", &other]);
    assert!(told.contains("web:02: added") && told.contains("web:00: environment.A"), "{told}");
    assert_eq!(tell(&daemon, &["reread"]), "No changes\n");
    assert_eq!(tell(&daemon, &["update"]), "No changes\n");
    fs::write(daemon.path("other.conf"), "[program:x]\nnothing\n").expect("written");
    assert!(refused(&daemon, &["reread", "-c", &other]).contains("other.conf"));
    assert!(refused(&daemon, &["reread", "-c", "/nowhere.conf"]).contains("/nowhere.conf"));
    daemon.terminate();
}
