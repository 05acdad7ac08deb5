//! What users of other supervisors have reported, one test for each case: whom a stop reaches, what it leaves, what is
//! said of it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{Daemon, alive, marked, stat, wait_for, wait_until, word_in, write_executable};

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
    let daemon = Daemon::start_in(dir, &program, &[]);
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

/// As an sshd: the login has a session of its own, and outlives the restart of the one that has accepted it.
#[test]
fn what_has_left_the_group_is_let_be_at_a_restart_a_stop_and_an_exit_where_the_scope_is_the_group() {
    let command = "sh -c 'trap \"exit 0\" TERM HUP; setsid sleep 1000 </dev/null & while :; do sleep 0.02; done'";
    for (scope, left) in [("group", [1, 2, 3, 3]), ("run", [1, 1, 1, 0])] {
        let settings = format!("autorestart = true\nstop_scope = {scope}\nenvironment = MARK=case-scope-{scope}-TEST");
        let daemon = Daemon::start(&format!("[program:sshd]\ncommand = {command}\n{settings}"));
        let logins = || -> Vec<i32> {
            let all = marked(&format!("case-scope-{scope}")).into_iter();
            all.filter(|pid| stat(*pid).is_some_and(|(_, group, _)| group == *pid) && executed_sleep(*pid)).collect()
        };
        wait_until("somebody has logged in", || logins().len() == left[0]);
        assert_eq!(daemon.ctl(&["restart", "sshd"]).0, 0);
        wait_until("another one has", || logins().len() == left[1]);
        daemon.wait_state("sshd", "RUNNING");
        let pid = daemon.status("sshd").pid.expect("a pid");
        assert_eq!(daemon.ctl(&["signal", "HUP", "sshd"]).0, 0);
        wait_until("it was started again", || daemon.status("sshd").pid.is_some_and(|now| now != pid));
        wait_until("a third one has", || logins().len() == left[2]);
        assert_eq!(daemon.ctl(&["stop", "sshd"]).0, 0);
        assert_eq!(logins().len(), left[3], "{}", daemon.log());
        daemon.terminate();
        assert_eq!(logins(), [0; 0], "the end of the daemon ends what it has inherited");
    }
}

#[test]
fn a_program_that_goes_into_the_background_is_told_what_becomes_of_it_and_what_it_needs() {
    let daemon =
        Daemon::start("[program:svc]\ncommand = sh -c 'sleep 1000 & sleep 0.2'\nstartsecs = 0\nautorestart = false\n");
    daemon.wait_log("behind, which is told to end");
    daemon.wait_state("svc", "EXITED");
    let (_, why, _) = daemon.ctl(&["why", "svc"]);
    assert!(why.contains("type = forking"), "{why}");
    daemon.terminate();
}

fn executed_sleep(pid: i32) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|command| command.starts_with(b"sleep"))
}

/// `--group` reaches all of it; so does SIGKILL with `killasgroup`.
#[test]
fn case_01_a_signal_for_the_group_reaches_the_workers() {
    let worker = r#"trap "echo got > DIR/got" HUP; echo > DIR/ready; while :; do sleep 0.02; done"#;
    let dir = with_script("worker.sh", worker);
    let command = "sh -c 'trap : HUP TERM; sh DIR/worker.sh & while :; do sleep 0.02; done'";
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
        let daemon = Daemon::start_in(dir, &format!("[program:p]\ncommand = sh DIR/p.sh\n{settings}"), &[]);
        let pid: i32 = word_in(&daemon.path("pid")).parse().expect("a number");
        assert_eq!(daemon.status("p").paused, None);
        kill(Pid::from_raw(pid), Signal::SIGSTOP).expect("it lives");
        wait_until("the status says so", || daemon.status("p").paused == Some(19));
        let description = daemon.status("p").description.unwrap_or_default();
        assert!(description.ends_with(", stopped by SIGSTOP"), "nobody has asked for a pause: {description}");
        let (_, why, _) = daemon.ctl(&["why", "p"]);
        assert!(why.contains(", stopped by SIGSTOP"), "{why}");
        kill(Pid::from_raw(pid), Signal::SIGCONT).expect("it lives");
        wait_until("it goes on", || daemon.status("p").paused.is_none());
        assert_eq!(daemon.ctl(&["pause", "p"]).1, "Paused p\n");
        wait_until("it is paused by request", || daemon.status("p").paused.is_some());
        let description = daemon.status("p").description.unwrap_or_default();
        assert!(description.ends_with(", paused (SIGSTOP)"), "{description}");
        assert_eq!(daemon.ctl(&["stop", "p"]).0, 0);
        assert!(daemon.path("clean").exists(), "{}", daemon.log());
        daemon.terminate();
    }
}

/// The process groups of everything with this mark.
fn groups(mark: &str) -> BTreeSet<i32> {
    marked(mark).into_iter().filter_map(stat).map(|(_, group, _)| group).collect()
}

/// A job that does not end by SIGTERM, in a session of its own, below a shell that only its end would wake.
#[test]
fn case_06_the_end_of_the_daemon_leaves_nothing_alive() {
    let job = r#"trap : TERM; (trap "" TERM; setsid sh -c "trap : TERM; while :; do sleep 1000; done"); echo after"#;
    let dir = with_script("job.sh", job);
    // Without a tag and the pipe of its output nobody knows whose they are, before the end of the daemon.
    let command = "sh -c 'setsid env -u SUPERVICE_ID sh DIR/job.sh >/dev/null 2>&1 & exec sleep 1000'";
    let settings = "startsecs = 0\nenvironment = MARK=case-06-TEST";
    let mut daemon = Daemon::start_in(dir, &format!("[program:cron]\ncommand = {command}\n{settings}"), &[]);
    wait_until("all of it is there", || groups("case-06").len() == 3);
    assert_eq!(daemon.ctl(&["stop", "cron"]).0, 0);
    assert_eq!(daemon.ctl(&["shutdown"]).0, 0);
    assert_eq!(daemon.wait().code(), Some(0), "{}", daemon.log());
    assert_eq!(marked("case-06"), [0; 0], "{}", daemon.log());
    assert!(!daemon.log().contains("SIGKILL was sent"), "{}", daemon.log());
}

#[test]
fn case_07_nothing_is_left_of_a_program_that_is_stopped() {
    let group = "python3 -c \"import os,time; os.fork() or os.setpgid(0,0); time.sleep(1000)\"";
    for (name, command, count) in [
        ("case-07-session", "sh -c 'setsid sleep 1000 & exec sleep 1000'", 2),
        ("case-07-group", group, 2),
        // The second leaves the session of the first, and is nobody's child before that has gone.
        ("case-07-chain", "sh -c 'setsid sh -c \"setsid sleep 1000 & exec sleep 1000\" & exec sleep 1000'", 3),
        // As PostgreSQL: without the tag, in a session of its own, but with the output of the run.
        ("case-07-untagged", "sh -c 'setsid env -u SUPERVICE_ID sleep 1000 & exec sleep 1000'", 2),
        ("case-07-deaf", "sh -c 'setsid sh -c \"trap : TERM; while :; do sleep 0.1; done\" & exec sleep 1000'", 2),
    ] {
        let settings = format!("startsecs = 0\nstopwaitsecs = 1\nenvironment = MARK={name}-TEST");
        let daemon = Daemon::start(&format!("[program:p]\ncommand = {command}\n{settings}"));
        wait_until("all of it is there", || groups(name).len() == count);
        let before = marked(name);
        assert_eq!(daemon.ctl(&["restart", "p"]).0, 0, "{}", daemon.log());
        assert!(before.iter().all(|pid| !alive(*pid)), "{name}: {before:?}\n{}", daemon.log());
        wait_until("all of it is there again", || groups(name).len() == count);
        let before = marked(name);
        assert_eq!(daemon.ctl(&["stop", "p"]), (0, "Stopped p\n".to_owned(), String::new()));
        assert!(before.iter().all(|pid| !alive(*pid)), "{name}: {before:?}\n{}", daemon.log());
        assert_eq!(marked(name), [0; 0], "{}", daemon.log());
        daemon.wait_log("has left the process group");
        let log = daemon.log();
        let line = log.lines().find(|line| line.contains("has left the process group")).expect("it was logged");
        assert!(line.contains(" p: pid ") && line.ends_with("but is part of its run: SIGTERM"), "{line}");
        daemon.terminate();
    }
}

/// Also when it ends by itself, before it is started again.
#[test]
fn case_07_what_a_crash_leaves_outside_the_group_is_gone_before_the_next_start() {
    let command = "sh -c 'setsid sleep 1000 & read line < DIR/fifo; exit 3'";
    let dir = tempfile::tempdir().expect("a directory");
    nix::unistd::mkfifo(&dir.path().join("fifo"), nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    let settings = "startsecs = 0\nenvironment = MARK=case-07-crash-TEST";
    let daemon = Daemon::start_in(dir, &format!("[program:p]\ncommand = {command}\n{settings}"), &[]);
    wait_until("both are there", || marked("case-07-crash").len() == 2);
    let before = marked("case-07-crash");
    fs::write(daemon.path("fifo"), "go\n").expect("it reads");
    let leader = before.iter().copied().find(|pid| daemon.status("p").pid == Some(*pid));
    wait_until("it is started again", || daemon.status("p").pid.is_some_and(|pid| Some(pid) != leader));
    assert!(before.iter().all(|pid| !alive(*pid)), "{before:?}\n{}", daemon.log());
    daemon.terminate();
}

const DAEMON: &str = "
import os, time
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
time.sleep(1000)
";

#[test]
fn case_08_a_program_that_puts_itself_into_the_background_is_told_so_and_never_there_twice() {
    let dir = with_script("daemon.py", DAEMON);
    let settings = "startsecs = 30\nstartretries = 2\nenvironment = MARK=case-08-TEST";
    let daemon = Daemon::start_in(dir, &format!("[program:d]\ncommand = python3 DIR/daemon.py\n{settings}"), &[]);
    let mut most = 0;
    let status = wait_for("it is given up", || {
        // Those that are about to be executed or to end are two for a moment; sleepers are still there at a second look.
        let orphans =
            marked("case-08").into_iter().filter(|pid| stat(*pid).is_some_and(|(ppid, ..)| ppid == daemon.pid()));
        let orphans: Vec<i32> = orphans.collect();
        let still_there = marked("case-08");
        most = most.max(orphans.iter().filter(|pid| still_there.contains(pid)).count());
        Some(daemon.status("d")).filter(|status| status.state == "FATAL")
    });
    assert!(most <= 1, "{most} copies at once\n{}", daemon.log());
    let description = status.description.unwrap_or_default();
    assert!(description.contains("it has put itself into the background as pid "), "{description}");
    wait_until("the last copy has been ended", || marked("case-08").is_empty());
    daemon.wait_log("it has put itself into the background as pid ");
    daemon.terminate();
}

/// Never more rights than the file grants: the daemon becomes the user, and starts nobody else's programs.
#[test]
fn case_11_the_user_of_supervisord_is_whom_the_programs_run_as() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("SKIPPED: only root can become another user");
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    chown(dir.path(), Some(65534), Some(65534)).expect("root may");
    let mut daemon = Daemon::unstarted(dir);
    let text = "[supervisord]\nuser=nobody\nlogfile=none\npidfile=none\n[unix_http_server]\nfile=DIR/ctl.sock\n\
                [program:w]\ncommand=sh -c 'id -u; exec sleep 1000'\nstartsecs=0\n\
                [program:r]\ncommand=sleep 1000\nuser=root\nautostart=false\n";
    let text = text.replace("DIR", &daemon.dir.path().display().to_string());
    fs::write(daemon.path("supervice.conf"), text).expect("a file");
    daemon.launch(std::process::Command::new(env!("CARGO_BIN_EXE_supervice")));
    daemon.wait_ready();
    wait_until("it tells who it is", || daemon.ctl(&["tail", "w"]).1 == "65534\n");
    assert_eq!(daemon.ctl(&["start", "r"]).0, 1);
    let description = daemon.wait_state("r", "FATAL").description.unwrap_or_default();
    assert!(description.contains("root"), "{description}");
    daemon.terminate();
}

/// The program's user owns the directory of its log and puts a link there, before the start and at a rotation.
#[test]
fn case_23_a_link_that_the_programs_user_has_planted_is_not_followed() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("SKIPPED: only root can start a program as another user");
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("ours");
    let target = dir.path().join("target");
    fs::write(&target, "secret\n").expect("a file");
    let logs = dir.path().join("logs");
    fs::create_dir(&logs).expect("a directory");
    let nobody = Some(65534);
    symlink(&target, logs.join("p.log")).expect("a link");
    lchown(logs.join("p.log"), nobody, nobody).expect("root may");
    chown(&logs, nobody, nobody).expect("root may");
    let program = |name: &str, more: &str| {
        format!(
            "[program:{name}]\ncommand = sh -c 'while :; do echo planted; sleep 0.02; done'\nuser = nobody\nstartsecs = 0\n\
             stdout_logfile = DIR/logs/{name}.log\n{more}\n"
        )
    };
    let sections = program("p", "") + &program("q", "") + &program("r", "stdout_logfile_maxbytes = 200");
    let daemon = Daemon::start_in(dir, &sections, &[]);
    let told = wait_for("the status tells of it", || {
        daemon.status("p").description.filter(|description| description.contains("output is lost"))
    });
    assert!(told.contains("p.log: it is a link of another user (uid 65534)"), "{told}");
    wait_until("logs in a directory of its user are rotated", || daemon.path("logs/r.log.2").exists());
    wait_until("so is this one written", || daemon.path("logs/q.log").exists());
    symlink(&target, daemon.path("logs/new")).expect("a link");
    lchown(daemon.path("logs/new"), nobody, nobody).expect("root may");
    fs::rename(daemon.path("logs/new"), daemon.path("logs/q.log")).expect("in its place");
    wait_until("that is noticed, too", || {
        daemon
            .status("q")
            .description
            .is_some_and(|description| description.contains("q.log: it is a link of another user"))
    });
    assert_eq!(daemon.read("target"), "secret\n");
    assert_eq!((daemon.status("p").state, daemon.status("q").state), ("RUNNING".to_owned(), "RUNNING".to_owned()));
    daemon.terminate();
}

/// Its environment is read by root: the program's user is not to see by a link what it may not read.
#[test]
fn case_23_an_env_file_that_the_programs_user_has_planted_is_not_read() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("SKIPPED: only root can start a program as another user");
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("ours");
    fs::write(dir.path().join("secret"), "TOKEN=s3cret\n").expect("a file");
    fs::set_permissions(dir.path().join("secret"), fs::Permissions::from_mode(0o600)).expect("ours");
    let app = dir.path().join("app");
    fs::create_dir(&app).expect("a directory");
    let nobody = Some(65534);
    symlink(dir.path().join("secret"), app.join("link")).expect("a link");
    lchown(app.join("link"), nobody, nobody).expect("root may");
    fs::hard_link(dir.path().join("secret"), app.join("hard")).expect("a second name");
    nix::unistd::mkfifo(&app.join("fifo"), nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    symlink("own", app.join("current")).expect("a link");
    lchown(app.join("current"), nobody, nobody).expect("root may");
    fs::write(app.join("own"), "TOKEN=own\n").expect("a file");
    chown(app.join("own"), nobody, nobody).expect("root may");
    chown(&app, nobody, nobody).expect("root may");
    let program = |name: &str| {
        format!(
            "[program:{name}]\ncommand = sh -c 'echo \"$TOKEN\"; exec sleep 1000'\nuser = nobody\nstartsecs = 0\n\
             startretries = 0\nenv_file = DIR/app/{name}\n"
        )
    };
    let daemon = Daemon::start_in(dir, &["link", "hard", "fifo", "current"].map(program).concat(), &[]);
    for (name, told) in [
        ("link", "it is a link of another user (uid 65534), who may have put it there"),
        ("hard", "it has a second name (a hard link)"),
        ("fifo", "it is a FIFO or pipe"),
    ] {
        let description = daemon.wait_state(name, "FATAL").description.unwrap_or_default();
        assert!(description.contains(told), "{description}");
    }
    daemon.wait_state("current", "RUNNING");
    wait_until("its own file is read", || daemon.ctl(&["tail", "current"]).1 == "own\n");
    assert!(!daemon.log().contains("s3cret"));
    daemon.terminate();
}

/// What one program lacks keeps neither the daemon nor a reload from anything, and is looked for at each start.
#[test]
fn case_04_what_one_program_lacks_is_that_programs_trouble_alone() {
    let program = |name: &str, more: &str| format!("[program:{name}]\ncommand = sleep 1000\nstartsecs = 0\n{more}\n");
    let lacking = [
        ("place", "directory = DIR/current"),
        ("variables", "env_file = DIR/none.env"),
        ("command", "command = DIR/tool"),
        ("person", "user = nobody-of-this-name"),
    ];
    let quick = "startretries = 100";
    let mut sections = program("good", "") + &program("log", "stdout_logfile = DIR/logs/x.log");
    for (name, key) in lacking {
        let section = program(name, &format!("{key}\n{quick}"));
        sections += &if name == "command" { section.replacen("command = sleep 1000\n", "", 1) } else { section };
    }
    let daemon = Daemon::start(&sections);
    daemon.wait_state("good", "RUNNING");
    daemon.wait_state("log", "RUNNING");
    for (name, _) in lacking {
        // What can't be mended by waiting is given up at once.
        wait_until("it is told", || ["BACKOFF", "FATAL"].contains(&daemon.status(name).state.as_str()));
    }
    // An update of something else, by the client and by the signal.
    daemon.write_config(&(sections.clone() + &program("new", "")), &[]);
    assert_eq!(daemon.ctl(&["update"]), (0, "Added: new\n".to_owned(), String::new()));
    daemon.wait_state("new", "RUNNING");
    daemon.write_config(&sections, &[]);
    daemon.signal(Signal::SIGHUP);
    daemon.wait_log("reload: removed new");
    // As soon as it is there, it is used.
    fs::create_dir(daemon.path("current")).expect("a directory");
    fs::write(daemon.path("none.env"), "A=1\n").expect("a file");
    write_executable(&daemon.path("tool.new"), "#!/bin/sh\nexec sleep 1000\n");
    fs::rename(daemon.path("tool.new"), daemon.path("tool")).expect("a file");
    assert_eq!(daemon.ctl(&["start", "command"]).0, 0, "{}", daemon.log());
    for name in ["place", "variables", "command"] {
        daemon.wait_state(name, "RUNNING");
    }
    // It goes while the program runs, and something else is to be updated.
    fs::remove_dir(daemon.path("current")).expect("it is empty");
    fs::remove_file(daemon.path("none.env")).expect("it is there");
    daemon.write_config(&(sections + &program("new", "")), &[]);
    assert_eq!(daemon.ctl(&["update"]), (0, "Added: new\n".to_owned(), String::new()));
    assert_eq!(daemon.status("place").state, "RUNNING");
    daemon.terminate();
}

/// As nginx and apache do in containers, whose logs are links to these.
#[test]
fn a_program_with_a_user_can_open_its_standard_output_by_name() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("SKIPPED: only root can become another user");
        return;
    }
    let script = "echo out > /dev/stdout; echo err > /dev/stderr; exec sleep 1000";
    let daemon = Daemon::start(&format!(
        "[program:w]\ncommand = sh -c '{script}'\nuser = nobody\nstartsecs = 0\ndirectory = /\n"
    ));
    let errors = || daemon.ctl(&["tail", "w", "stderr"]).1;
    wait_until("it has written", || errors().contains("err\n") || errors().contains("denied"));
    assert_eq!(daemon.ctl(&["tail", "w"]).1, "out\n");
    daemon.terminate();
}
