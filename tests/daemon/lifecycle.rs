//! The life of a process, as `status` tells it and as /proc confirms it.

use nix::sys::signal::Signal;

use crate::harness::{Daemon, alive, executed, marked, pids, stat, wait_for, wait_until, word_in};

#[test]
fn start_stop_restart_tell_the_truth() {
    let daemon = Daemon::start("[program:web]\ncommand = sleep 1000\nstartsecs = 0\nautostart = false");
    assert_eq!(daemon.status("web").state, "STOPPED");
    assert_eq!(daemon.ctl(&["start", "web"]), (0, "Started web\n".into(), String::new()));
    let first = daemon.status("web");
    assert_eq!(first.state, "RUNNING");
    let pid = first.pid.expect("a pid");
    assert!(alive(pid));
    assert_eq!(stat(pid).map(|(parent, group, _)| (parent, group)), Some((daemon.pid(), pid)), "a group of its own");
    assert_eq!(daemon.ctl(&["start", "web"]), (0, "web is already running\n".into(), String::new()));
    assert_eq!(daemon.ctl(&["restart", "web"]), (0, "Restarted web\n".into(), String::new()));
    let second = daemon.status("web").pid.expect("a pid");
    assert_ne!(pid, second);
    assert!(!alive(pid));
    assert_eq!(daemon.ctl(&["restart", "--force", "web"]), (0, "Restarted web\n".into(), String::new()));
    let third = daemon.status("web");
    assert_eq!(third.exit_signal, Some(9), "--force is SIGKILL");
    assert_eq!(daemon.ctl(&["stop", "web"]), (0, "Stopped web\n".into(), String::new()));
    assert!(!alive(third.pid.expect("a pid")));
    assert_eq!(daemon.status("web").state, "STOPPED");
    assert_eq!(daemon.status("web").pid, None);
    assert_eq!(daemon.ctl(&["stop", "web"]), (0, "web is not running\n".into(), String::new()));
    daemon.terminate();
}

/// What is `RUNNING` at once has a line for that.
#[test]
fn the_log_has_when_a_program_was_executed_that_is_not_running_at_once() {
    let sections = "[program:slow]\ncommand = sh -c 'sleep 0.1; echo >&3; exec sleep 1000'\nready = fd:3\n\
                    [program:job]\ncommand = true\ntype = oneshot\n[program:quick]\ncommand = sleep 1000\nstartsecs = 0";
    let daemon = Daemon::start(sections);
    let pid = daemon.wait_state("slow", "RUNNING").pid.expect("a pid");
    daemon.wait_state("job", "EXITED");
    daemon.wait_state("quick", "RUNNING");
    let log = daemon.terminate();
    let place = |text: &str| log.find(text).unwrap_or_else(|| panic!("no '{text}' in {log}"));
    assert!(place(&format!("slow: spawned (pid {pid})")) < place("slow: STARTING -> RUNNING"), "{log}");
    assert!(place("job: spawned (pid ") < place("job: STARTING -> EXITED"), "{log}");
    assert!(!log.contains("quick: spawned"), "{log}");
}

/// Whoever reads it later wants to know of them, and on which day that was.
#[test]
fn what_is_warned_of_in_the_configuration_is_in_the_log_file_too_and_lines_in_a_file_have_the_date() {
    let dir = tempfile::tempdir().expect("a directory");
    let daemon = Daemon::start_in(
        dir,
        "[program:p]\ncommand = sleep 1000\nautostart = false\ncolour = red",
        &["logfile = DIR/own.log"],
    );
    daemon.wait_log("is up (pid ");
    wait_until("it is written", || {
        daemon.read("own.log").contains("is up (pid ") && daemon.read("own.log").contains("colour")
    });
    let (shown, own) = (&daemon.log(), &daemon.read("own.log"));
    let warning = "[program:p] colour: unknown key";
    let lines = |text: &str| text.lines().filter(|line| line.contains(warning)).map(str::to_owned).collect::<Vec<_>>();
    assert!(matches!(lines(own).as_slice(), [line] if line.contains(" WARN  ")), "{own}");
    assert!(matches!(lines(shown).as_slice(), [line] if line.starts_with("supervice: warning: ")), "once: {shown}");
    let date = own.get(..11).expect("a date");
    assert!(date.as_bytes()[4] == b'-' && date.ends_with(' '), "{own}");
    assert!(shown.lines().any(|line| line.starts_with(date) && line.contains("is up (pid ")), "{shown}");
    daemon.terminate();
}

#[test]
fn killed_with_9_it_comes_back() {
    let daemon = Daemon::start("[program:web]\ncommand = sleep 1000\nstartsecs = 0");
    let pid = daemon.wait_state("web", "RUNNING").pid.expect("a pid");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGKILL).expect("kill");
    let again = wait_for("web runs again", || {
        let status = daemon.status("web");
        (status.state == "RUNNING" && status.pid != Some(pid)).then_some(status)
    });
    assert_eq!(again.exit_signal, Some(9));
    assert_eq!(again.restarts, Some(1));
    daemon.terminate();
}

#[test]
fn a_group_starts_and_stops_together() {
    let daemon = Daemon::start(
        "[program:a]\ncommand = sleep 1000\nstartsecs = 0\nautostart = false\n\
         [program:b]\ncommand = sleep 1000\nnumprocs = 3\nstartsecs = 0\nautostart = false\n\
         [program:c]\ncommand = sleep 1000\nstartsecs = 0\nautostart = false\n\
         [group:both]\nprograms = a,b",
    );
    assert_eq!(daemon.ctl(&["startgroup", "both"]), (0, "Started group both\n".into(), String::new()));
    let running: Vec<String> =
        daemon.all().into_iter().filter(|process| process.state == "RUNNING").map(|process| process.name).collect();
    assert_eq!(running, ["a", "b:00", "b:01", "b:02"]);
    assert_eq!(daemon.ctl(&["stopgroup", "both"]), (0, "Stopped group both\n".into(), String::new()));
    assert!(daemon.all().iter().all(|process| process.state == "STOPPED"));
    let (code, _, error) = daemon.ctl(&["startgroup", "bth"]);
    assert_eq!(code, 1);
    assert!(error.contains("no group 'bth'; did you mean 'both'?"), "{error}");
    daemon.terminate();
}

#[test]
fn instances_know_their_number() {
    let daemon = Daemon::start(
        "[program:w]\ncommand = sh -c 'echo %(process_num)s-$N > DIR/%(process_num)s; exec sleep 1000'\n\
         numprocs = 2\nenvironment = N=\"n%(process_num)s\"",
    );
    assert_eq!(word_in(&daemon.path("00")), "00-n00");
    assert_eq!(word_in(&daemon.path("01")), "01-n01");
    let error = "supervicectl: 'w' is a group; name its members ('w:00' ...), or use startgroup or stopgroup\n";
    assert_eq!(daemon.ctl(&["restart", "w"]), (1, String::new(), error.to_owned()));
    daemon.terminate();
}

#[test]
fn a_failing_health_check_restarts_and_gives_up_in_the_end() {
    let daemon = Daemon::start(
        "[program:sick]\ncommand = sleep 1000\nstartsecs = 0\nstartretries = 1\n\
         healthcheck_type = script\nhealthcheck_command = echo no pulse >&2; exit 1\n\
         healthcheck_interval = 1\nhealthcheck_start_period = 0\nhealthcheck_retries = 1\nhealthcheck_timeout = 100\n\
         [program:well]\ncommand = sleep 1000\nstartsecs = 0\nhealthcheck_type = script\n\
         healthcheck_command = true\nhealthcheck_interval = 1\nhealthcheck_start_period = 0",
    );
    let fatal = daemon.wait_state("sick", "FATAL");
    let description = fatal.description.unwrap_or_default();
    assert!(description.contains("no pulse"), "{description}");
    assert_eq!(fatal.pid, None);
    wait_until("the other one is well", || daemon.status("well").healthy == Some(true));
    daemon.terminate();
}

#[test]
fn unhealthy_without_autorestart_stays_and_recovers() {
    let daemon = Daemon::start(
        "[program:web]\ncommand = sleep 1000\nstartsecs = 0\nautorestart = false\n\
         healthcheck_type = script\nhealthcheck_command = test -e DIR/fine\n\
         healthcheck_interval = 1\nhealthcheck_start_period = 0\nhealthcheck_retries = 2",
    );
    let sick = daemon.wait_state("web", "UNHEALTHY");
    assert_eq!(sick.healthy, Some(false));
    std::fs::write(daemon.path("fine"), "").expect("a file");
    let well = daemon.wait_state("web", "RUNNING");
    assert_eq!((well.healthy, well.pid), (Some(true), sick.pid), "the same process");
    daemon.terminate();
}

/// A program's children are its own: a stop takes the whole group, and so does a crash.
#[test]
fn nothing_of_a_run_outlives_it() {
    let daemon = Daemon::start(
        "[program:tree]\ncommand = sh -c 'sleep 1000 & sh -c \"trap : TERM; while :; do sleep 1; done\" & wait'\n\
         environment = MARK=nothing-outlives-TEST\nstartsecs = 0\nstopwaitsecs = 1\n\
         [program:crash]\ncommand = sh -c 'sleep 1000 & echo $! > DIR/orphan; exit 3'\n\
         environment = MARK=nothing-outlives-crash-TEST\nstartsecs = 0\nautorestart = false",
    );
    wait_until("the tree has grown", || marked("nothing-outlives").len() >= 4);
    assert_eq!(daemon.ctl(&["stop", "tree"]).0, 0);
    assert_eq!(marked("nothing-outlives"), [] as [i32; 0]);
    word_in(&daemon.path("orphan"));
    wait_until("the crash's orphan is gone", || marked("nothing-outlives-crash").is_empty());
    assert_eq!(daemon.status("crash").exit_code, Some(3));
    daemon.terminate();
}

#[test]
fn one_slow_stop_delays_nothing_else() {
    let daemon = Daemon::start(
        "[program:slow]\ncommand = sh -c 'trap : TERM; echo ready > DIR/ready; while :; do sleep 1000 & wait; done'\n\
         startsecs = 0\nstopwaitsecs = 600\n\
         [program:quick]\ncommand = sleep 1000\nstartsecs = 0\nautostart = false",
    );
    word_in(&daemon.path("ready"));
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| daemon.ctl(&["stop", "slow"]));
        daemon.wait_state("slow", "STOPPING");
        let begin = std::time::Instant::now();
        assert_eq!(daemon.ctl(&["start", "quick"]).0, 0);
        assert_eq!(daemon.ctl(&["stop", "quick"]).0, 0);
        assert!(begin.elapsed().as_secs() < 500, "waited for somebody else's stop");
        assert_eq!(daemon.status("slow").state, "STOPPING");
        // With what it waits for, or the stop would last as long as that.
        let pid = daemon.status("slow").pid.expect("it runs");
        nix::sys::signal::killpg(nix::unistd::Pid::from_raw(pid), Signal::SIGKILL).expect("they live");
        assert_eq!(slow.join().expect("no panic").0, 0);
    });
    assert_eq!(daemon.status("slow").exit_signal, Some(9));
    daemon.terminate();
}

/// A member of the group whose parent has left the group and never waits for it stays a zombie: no stop waits for that.
#[test]
fn a_zombie_that_nobody_reaps_holds_up_no_stop() {
    if !std::process::Command::new("perl").arg("-e1").status().is_ok_and(|status| status.success()) {
        assert!(std::env::var_os("SUPERVICE_TEST_REQUIRE").is_none(), "perl is missing");
        println!("SKIPPED: a process that leaves its group needs perl");
        return;
    }
    let daemon = Daemon::start(
        "[program:careless]\nstartsecs = 0\ncommand = perl -e 'if(!fork){if(!fork){exit}setpgrp(0,0);\
         open F,\">DIR/up\";print F \"$$\\n\";close F;sleep 1000}sleep 1000'\n",
    );
    word_in(&daemon.path("up"));
    let leader = daemon.wait_state("careless", "RUNNING").pid.expect("a pid");
    wait_until("there is a zombie in the group", || {
        pids().iter().any(|pid| stat(*pid).is_some_and(|(_, group, state)| group == leader && state == 'Z'))
    });
    assert_eq!(daemon.ctl(&["--timeout", "100", "stop", "careless"]).0, 0);
    assert_eq!(daemon.status("careless").state, "STOPPED");
    daemon.terminate();
}

#[test]
fn a_signal_without_a_meaning_is_ignored_and_reported_once() {
    let daemon = Daemon::start("[program:web]\ncommand = sleep 1000\nstartsecs = 0");
    let before = daemon.wait_state("web", "RUNNING");
    for signal in [Signal::SIGUSR1, Signal::SIGUSR1, Signal::SIGALRM] {
        daemon.signal(signal);
    }
    daemon.wait_log("SIGALRM has no meaning to the daemon");
    daemon.signal(Signal::SIGUSR1);
    // The reload ends after the turn in which all signals that had come by then were looked at.
    daemon.signal(Signal::SIGHUP);
    daemon.wait_log("reload: no changes");
    assert_eq!(daemon.status("web").pid, before.pid);
    let log = daemon.terminate();
    assert_eq!(log.matches("SIGUSR1 has no meaning to the daemon").count(), 1, "{log}");
}

#[test]
fn a_program_gets_its_umask_and_the_others_keep_the_daemons() {
    let daemon = Daemon::start(
        "[program:masked]\ncommand = sleep 1000\nstartsecs = 0\numask = 0137\n[program:plain]\ncommand = sleep 1000\nstartsecs = 0",
    );
    let umask = |pid: i32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("/proc");
        status.lines().find_map(|line| line.strip_prefix("Umask:")).expect("a mask").trim().to_owned()
    };
    let pid = |name: &str| executed(daemon.wait_state(name, "RUNNING").pid.expect("a pid"));
    assert_eq!(umask(pid("masked")), "0137");
    assert_eq!(umask(pid("plain")), umask(daemon.pid()));
    daemon.terminate();
}
