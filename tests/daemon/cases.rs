//! What users of other supervisors have reported, one test for each case: whom a stop reaches, what it leaves, what is
//! said of it.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{Daemon, marked, wait_until, word_in};

/// A master that lets its worker finish; each writes into `log` what it gets.
const MASTER: &str = r#"
log() { echo "$1" >> DIR/log; }
if [ "$1" = worker ]; then
  trap 'log "worker: HUP"' HUP
  trap 'log "worker: TERM"' TERM
  log "worker: begun"; until [ -e DIR/finish ]; do sleep 0.02; done
  log "worker: done"; exit 0
fi
trap 'log "master: HUP"' HUP
trap asked=1 TERM
sh DIR/master.sh worker & worker=$!
until wait $worker || [ ! -e /proc/$worker ]; do :; done
log "master: end"
[ -n "$asked" ] || sleep 1000
"#;

fn with_script(name: &str, script: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    let script = script.replace("DIR", &dir.path().display().to_string());
    fs::write(dir.path().join(name), script).expect("a file");
    dir
}

#[test]
fn case_01_a_stop_and_a_signal_for_the_leader_alone_leave_the_workers_be() {
    let settings = "startsecs = 0\nstopasgroup = false\nkillasgroup = true\nstopwaitsecs = 60\nautorestart = false";
    let dir = with_script("master.sh", MASTER);
    let program = format!("[program:queue]\ncommand = sh DIR/master.sh\n{settings}");
    let daemon = Daemon::start_in(dir, &program.replace("DIR", "%(here)s"), &[]);
    let log = || daemon.read("log");
    wait_until("the worker has begun", || log().contains("worker: begun"));
    assert_eq!(daemon.ctl(&["signal", "HUP", "queue"]), (0, "Sent SIGHUP to queue\n".to_owned(), String::new()));
    wait_until("the master has got it", || log().contains("master: HUP"));
    let (code, ..) = daemon.ctl(&["stop", "--no-wait", "queue"]);
    assert_eq!(code, 0);
    daemon.wait_state("queue", "STOPPING");
    fs::write(daemon.path("finish"), "").expect("a file");
    daemon.wait_state("queue", "STOPPED");
    assert!(log().contains("worker: done") && log().ends_with("master: end\n"), "{}", log());
    assert!(!log().contains("worker: HUP") && !log().contains("worker: TERM"), "{}", log());
    daemon.terminate();
}

/// `--group` reaches all of it; so does SIGKILL with `killasgroup`.
#[test]
fn case_01_a_signal_for_the_group_reaches_the_workers() {
    let worker = r#"trap "echo got > DIR/got" HUP; echo > DIR/ready; while :; do sleep 0.02; done"#;
    let dir = with_script("worker.sh", worker);
    let command = "sh -c 'trap : HUP TERM; sh %(here)s/worker.sh & while :; do sleep 0.02; done'";
    let settings = "startsecs = 0\nstopasgroup = false\nstopwaitsecs = 1\nenvironment = MARK=case-01-TEST";
    let daemon = Daemon::start_in(dir, &format!("[program:p]\ncommand = {command}\n{settings}"), &[]);
    wait_until("the worker listens", || daemon.path("ready").exists());
    let (code, told, _) = daemon.ctl(&["signal", "--group", "HUP", "p"]);
    assert_eq!((code, told.as_str()), (0, "Sent SIGHUP to the process group of p\n"));
    wait_until("the worker has got it", || daemon.path("got").exists());
    assert_eq!(daemon.ctl(&["stop", "p"]).0, 0);
    assert_eq!(marked("case-01"), [0; 0], "SIGKILL goes to all of it");
    daemon.terminate();
}

#[test]
fn case_02_a_paused_program_says_so_and_ends_as_it_is_meant_to() {
    let script = r#"trap "echo > DIR/clean; exit 0" TERM; echo $$ > DIR/pid; while :; do sleep 0.02; done"#;
    for stopasgroup in [true, false] {
        let dir = with_script("p.sh", script);
        let settings = format!("startsecs = 0\nstopwaitsecs = 1000\nstopasgroup = {stopasgroup}");
        let daemon = Daemon::start_in(dir, &format!("[program:p]\ncommand = sh %(here)s/p.sh\n{settings}"), &[]);
        let pid: i32 = word_in(&daemon.path("pid")).parse().expect("a number");
        assert_eq!(daemon.status("p").paused, None);
        kill(Pid::from_raw(pid), Signal::SIGSTOP).expect("it lives");
        wait_until("the status says so", || daemon.status("p").paused == Some(19));
        let description = daemon.status("p").description.unwrap_or_default();
        assert!(description.ends_with(", paused (SIGSTOP)"), "{description}");
        let (_, why, _) = daemon.ctl(&["why", "p"]);
        assert!(why.contains("paused (SIGSTOP)"), "{why}");
        kill(Pid::from_raw(pid), Signal::SIGCONT).expect("it lives");
        wait_until("it goes on", || daemon.status("p").paused.is_none());
        kill(Pid::from_raw(pid), Signal::SIGSTOP).expect("it lives");
        wait_until("it is paused again", || daemon.status("p").paused.is_some());
        assert_eq!(daemon.ctl(&["stop", "p"]).0, 0);
        assert!(daemon.path("clean").exists(), "{}", daemon.log());
        daemon.terminate();
    }
}
