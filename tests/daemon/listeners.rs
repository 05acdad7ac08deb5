//! Event listeners, next to those of supervisord.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{Daemon, wait_until, write_executable};
use crate::interop::python;

/// A listener without Python: writes each event into a file, its header and its payload on a line each.
const LISTENER: &str = r#"#!/bin/sh
while echo READY && read -r header; do
    length=${header##*len:}
    payload=$(dd bs=1 count="$length" 2>/dev/null)
    echo "$header" >> "$1"
    echo "$payload" >> "$1"
    test -e "$1.reject" && { rm "$1.reject"; printf 'RESULT 4\nFAIL'; continue; }
    test -e "$1.nonsense" && { rm "$1.nonsense"; printf 'how are you?'; continue; }
    test -e "$1.die" && { rm "$1.die"; exit 1; }
    printf 'RESULT 2\nOK'
done
"#;

fn directory() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    write_executable(&dir.path().join("listener"), LISTENER);
    dir
}

fn send(daemon: &Daemon, data: &str) {
    let parameters = [("type", "test".into()), ("data", data.into())];
    let answer = daemon.controller().send_command("sendevent", &parameters).expect("an answer");
    assert_eq!(answer["status"], "ok", "{answer:?}");
}

#[test]
fn a_listener_is_told_of_what_it_wants_and_of_nothing_else() {
    let daemon = Daemon::start_in(
        directory(),
        "[eventlistener:mail]\ncommand = DIR/listener DIR/mail\nevents = REMOTE_COMMUNICATION, PROCESS_STATE_EXITED\nstartsecs = 0\n\
         [eventlistener:clock]\ncommand = DIR/listener DIR/clock\nevents = TICK_5\nstartsecs = 0\n\
         [program:once]\ncommand = true\nstartsecs = 0\nautorestart = false\nautostart = false\n",
        &[],
    );
    send(&daemon, "a\nb");
    wait_until("the event is told", || daemon.read("mail").contains("type:test\na\nb\n"));
    let first = daemon.read("mail");
    // A tick of the clock may have been the first of all events.
    let header = first.lines().next().expect("a header").replace(" serial:1 ", " serial:0 ");
    assert_eq!(
        header,
        "ver:3.0 server:supervisor serial:0 pool:mail poolserial:0 eventname:REMOTE_COMMUNICATION len:13"
    );
    let _ = daemon.controller().start_process("once");
    wait_until("its end is told", || {
        daemon.read("mail").contains("processname:once groupname:once from_state:RUNNING expected:1 pid:")
    });
    wait_until("time is told", || daemon.read("clock").contains("when:"));
    let clock = daemon.read("clock");
    let when: u64 =
        clock.lines().find_map(|line| line.strip_prefix("when:")).expect("a time").parse().expect("a number");
    assert_eq!((when % 5, clock.contains("eventname:TICK_5 ")), (0, true), "{clock}");
    daemon.terminate();
}

#[test]
fn a_listener_that_rejects_dies_or_talks_nonsense_loses_no_event_and_delays_nobody() {
    let daemon = Daemon::start_in(
        directory(),
        "[eventlistener:mail]\ncommand = DIR/listener DIR/mail\nevents = REMOTE_COMMUNICATION\nstartsecs = 0\nbuffer_size = 2\n\
         [program:other]\ncommand = sleep 1000\n",
        &[],
    );
    let told = |wanted: &str| daemon.read("mail").lines().filter(|line| *line == wanted).count();
    fs::write(daemon.path("mail.reject"), "").expect("written");
    send(&daemon, "rejected");
    wait_until("it comes once more", || told("rejected") == 2);
    fs::write(daemon.path("mail.die"), "").expect("written");
    send(&daemon, "died");
    wait_until("the next run gets it", || told("died") == 2);
    fs::write(daemon.path("mail.nonsense"), "").expect("written");
    send(&daemon, "nonsense");
    wait_until("status tells it", || {
        let description = daemon.status("mail").description.unwrap_or_default();
        description.ends_with("; it gets no more events, because it has said 'how are you?READY'")
    });
    // Nobody takes these: the oldest are dropped, and the log tells which.
    for data in ["one", "two", "three"] {
        send(&daemon, data);
    }
    daemon.wait_log("pool mail event buffer overflowed, discarding event");
    daemon.controller().restart_process("other", false).expect("others go on");
    daemon.controller().restart_process("mail", false).expect("it restarts");
    wait_until("the newest are told", || told("two") == 1 && told("three") == 1);
    let description = daemon.status("mail").description.unwrap_or_default();
    assert!(!description.contains("no more events"), "{description}");
    daemon.terminate();
}

#[test]
fn a_program_that_changes_its_group_is_told_as_a_group_that_is_gone_and_one_that_is_new() {
    let sections = |group: &str| {
        format!(
            "[eventlistener:lis]\ncommand = DIR/listener DIR/events\nevents = PROCESS_GROUP\nstartsecs = 0\n\
             [program:a]\ncommand = sleep 1000\n[group:{group}]\nprograms = a\n"
        )
    };
    let daemon = Daemon::start_in(directory(), &sections("one"), &[]);
    let pid = daemon.wait_state("a", "RUNNING").pid;
    daemon.write_config(&sections("two"), &[]);
    let (code, _, stderr) = daemon.ctl(&["reload"]);
    assert_eq!(code, 0, "{stderr}");
    let told = |kind: &str, group: &str| {
        let (events, header) = (daemon.read("events"), format!("eventname:{kind} "));
        let mut lines = events.lines();
        std::iter::from_fn(|| lines.find(|line| line.contains(&header)).and_then(|_| lines.next()))
            .any(|payload| payload == format!("groupname:{group}"))
    };
    wait_until("the old group is told", || told("PROCESS_GROUP_REMOVED", "one"));
    wait_until("the new group is told", || told("PROCESS_GROUP_ADDED", "two"));
    assert_eq!(daemon.status("a").pid, pid, "it goes on");
    daemon.terminate();
}

/// What happens to a few programs, and who tells of it.
const SITE: &str = "[supervisord]\nnodaemon=true\nlogfile=DIR/log\npidfile=DIR/pid\nidentifier=ident\n\
    [unix_http_server]\nfile=DIR/sock\n\
    [rpcinterface:supervisor]\nsupervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n\
    [eventlistener:lis]\ncommand=DIR/listener DIR/events\nstartsecs=0\nbuffer_size=100\n\
    events=PROCESS_STATE,PROCESS_COMMUNICATION,PROCESS_LOG,SUPERVISOR_STATE_CHANGE_RUNNING,PROCESS_GROUP\n\
    [program:ok]\ncommand=sleep 1000\nstartsecs=0\n\
    [program:many]\ncommand=sleep 1000\nstartsecs=0\nnumprocs=2\nprocess_name=%(program_name)s_%(process_num)02d\n\
    [program:once]\ncommand=sh -c 'sleep 0.3; exit 0'\nstartsecs=0\nautorestart=false\n\
    [program:code]\ncommand=sh -c 'sleep 0.3; exit 4'\nstartsecs=0\nautorestart=false\n\
    [program:bad]\ncommand=sh -c 'exit 3'\nstartretries=1\n\
    [program:none]\ncommand=/no/such/thing\nstartretries=1\n\
    [program:talk]\ncommand=sh -c 'sleep 0.3; printf \"a<!--XSUPERVISOR:BEGIN-->com<!--XSUPERVISOR:END-->b\"; exec sleep 1000'\n\
    startsecs=0\nstdout_capture_maxbytes=1KB\n\
    [program:tell]\ncommand=sh -c 'sleep 0.3; printf \"log\\\\377\"; exec sleep 1000'\nstartsecs=0\nstdout_events_enabled=true\n";

/// What is told of each process and group, in order, without process ids.
fn told_by(daemon: &Path, dir: &Path) -> BTreeMap<String, Vec<String>> {
    fs::write(dir.join("main.conf"), SITE.replace("DIR", &dir.display().to_string())).expect("written");
    let mut child = Command::new(daemon)
        .arg("-n")
        .arg("-c")
        .arg(dir.join("main.conf"))
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it can be executed");
    let events = || fs::read_to_string(dir.join("events")).unwrap_or_default();
    wait_until("all has happened", || {
        let (events, has) = (events(), |name: &str, what: &str| {
            let wanted = format!("processname:{name} ");
            let events = events();
            let mut lines = events.lines();
            let found = std::iter::from_fn(|| lines.find(|line| line.contains(what)).map(|_| lines.next())).flatten();
            found.into_iter().any(|payload| payload.starts_with(&wanted))
        });
        has("bad", "_FATAL ")
            && has("none", "_FATAL ")
            && has("once", "_EXITED ")
            && has("code", "_EXITED ")
            && has("talk", "_COMMUNICATION_STDOUT ")
            && has("tell", "_LOG_STDOUT ")
            && events.contains("PROCESS_STATE_RUNNING")
    });
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
    let seen = events();
    kill(pid, Signal::SIGTERM).expect("it lives");
    child.wait().expect("it ends");
    fs::remove_file(dir.join("events")).expect("it is there");
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut lines = seen.lines();
    while let Some(header) = lines.next() {
        let Some(kind) = header.split(' ').find_map(|word| word.strip_prefix("eventname:")) else { continue };
        let payload = lines.next().unwrap_or_default();
        let word = |key: &str| payload.split(' ').find_map(|word| word.strip_prefix(key)).unwrap_or_default();
        let whose = format!("{}{}", word("processname:"), word("groupname:"));
        let rest: Vec<&str> = payload.split(' ').filter(|word| !word.starts_with("pid:")).collect();
        let more = if kind.contains("_STDOUT") { lines.next().unwrap_or_default() } else { "" };
        told.entry(whose).or_default().push(format!("{kind} {} {more}", rest.join(" ")));
    }
    told
}

#[test]
fn listeners_are_told_what_supervisord_tells_them() {
    let Some(python) = python() else { return };
    let dir = directory();
    let told = |daemon: &Path| told_by(daemon, dir.path());
    let (theirs, ours) = (python.with_file_name("supervisord"), Path::new(env!("CARGO_BIN_EXE_supervice")));
    // Until the last of the events that are waited for, a busy machine lets one of them see more of the others.
    let differs = |(theirs, ours): &(BTreeMap<_, _>, BTreeMap<_, _>)| theirs != ours;
    let mut both = (told(&theirs), told(ours));
    for _ in 0..9 {
        if differs(&both) {
            both = (told(&theirs), told(ours));
        }
    }
    let (theirs, ours) = both;
    assert!(theirs.len() >= 10, "{theirs:#?}");
    assert_eq!(ours, theirs);
}
