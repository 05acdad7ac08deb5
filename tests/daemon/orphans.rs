//! kill -9 of the daemon, and what the next one does with what is left: no program twice, no stranger harmed.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{Daemon, alive, marked, pids, stat, wait_for, wait_until};

fn program(command: &str, more: &str) -> String {
    format!(
        "[program:web]\ncommand = sh -c '{command}'\nstartsecs = 0\nstopwaitsecs = 1\nenvironment = MARK=NAME-TEST\n{more}\n"
    )
}

/// A daemon with this program, and the pid of a process of it that outlives a kill -9 of the daemon, `count` in all.
fn started(name: &str, command: &str, more: &str, count: usize) -> Daemon {
    let daemon = Daemon::start(&program(command, more).replace("NAME", name));
    daemon.wait_state("web", "RUNNING");
    wait_until("all processes of the program are there", || marked(name).len() == count);
    daemon
}

fn kill_and_start_again(daemon: &mut Daemon) {
    daemon.signal(Signal::SIGKILL);
    daemon.wait();
    daemon.launch(Command::new(env!("CARGO_BIN_EXE_supervice")));
    daemon.wait_ready();
}

fn kill_all(pids: &[i32]) {
    for pid in pids {
        let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
    }
}

#[test]
fn failures_21_no_duplicate_beside_an_orphan() {
    for (name, more, count) in [("orphan-group", "", 2), ("orphan-leader", "pdeathsig = false", 2)] {
        let mut daemon = started(name, "sleep 1000 & exec sleep 1000", more, count);
        let before = marked(name);
        kill_and_start_again(&mut daemon);
        daemon.wait_state("web", "RUNNING");
        assert!(before.iter().all(|pid| !alive(*pid)), "{name}: {before:?} must go before the start\n{}", daemon.log());
        wait_until("the program is there once", || marked(name).len() == count);
        daemon.wait_log("behind: told to end before it is started");
        daemon.terminate();
        assert!(marked(name).is_empty());
    }
}

/// What ignores TERM, forks, or hides its environment goes as well, by SIGKILL in the end; meanwhile the daemon says
/// what it does.
#[test]
fn stubborn_orphans_are_killed_after_stopwaitsecs() {
    let name = "orphan-deaf";
    let command = "trap \"\" TERM;env -i sleep 1001 & while :;do sleep 0.5;done";
    let mut daemon = started(name, command, "pdeathsig = false\nstopwaitsecs = 8", 2);
    let before: Vec<i32> = marked(name);
    let sessions: Vec<i32> = before.iter().filter_map(|pid| stat(*pid)).map(|(_, group, _)| group).collect();
    kill_and_start_again(&mut daemon);
    let status = daemon.wait_state("web", "STOPPING");
    let description = status.description.unwrap_or_default();
    assert!(description.contains("SIGKILL in "), "{description}");
    daemon.wait_state("web", "RUNNING");
    let in_group = |pid: &i32| stat(*pid).is_some_and(|(_, group, state)| sessions.contains(&group) && state != 'Z');
    assert!(!pids().iter().any(in_group), "the one without environment is known by its session\n{}", daemon.log());
    daemon.terminate();
}

#[test]
fn an_operator_can_stop_and_a_shutdown_ends_what_is_waited_for() {
    let name = "orphan-stop";
    let mut daemon = started(name, "trap \"\" TERM;sleep 1000;:", "pdeathsig = false\nstopwaitsecs = 1000", 2);
    kill_and_start_again(&mut daemon);
    daemon.wait_state("web", "STOPPING");
    daemon.controller().restart_process("web", true).expect("SIGKILL, then a start");
    assert_eq!(daemon.status("web").state, "RUNNING");
    wait_until("the new one ignores SIGTERM", || marked(name).len() == 2);
    kill_and_start_again(&mut daemon);
    daemon.signal(Signal::SIGTERM);
    wait_until("it is shutting down", || daemon.log().contains("shutting down"));
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait().code(), Some(0), "{}", daemon.log());
    assert!(marked(name).is_empty());
}

#[test]
fn what_has_left_the_session_is_told_of_and_killed_only_by_wish() {
    let name = "orphan-away";
    let mut daemon = started(name, "setsid sleep 1000 & exec sleep 1000", "", 2);
    let leader = daemon.status("web").pid.expect("a pid");
    // Whoever is just being executed shows no environment.
    let away = wait_for("the other one is executed", || {
        let others: Vec<i32> = marked(name).into_iter().filter(|pid| *pid != leader).collect();
        (others.len() == 1).then_some(others)
    });
    wait_until("it leads a session", || stat(away[0]).is_some_and(|(_, group, _)| group == away[0]));
    kill_and_start_again(&mut daemon);
    let status = daemon.wait_state("web", "RUNNING");
    let description = status.description.unwrap_or_default();
    assert!(description.contains(&format!("an earlier daemon left pid {} running", away[0])), "{description}");
    assert!(alive(away[0]));

    daemon.write_config(&program("exec sleep 1000", "reconcile = kill").replace("NAME", name), &[]);
    kill_and_start_again(&mut daemon);
    daemon.wait_state("web", "RUNNING");
    assert!(!alive(away[0]), "{}", daemon.log());
    wait_until("its own second one has gone, too", || marked(name).len() == 1);
    daemon.terminate();
}

/// What puts itself into the background leaves the session, too: its pid file tells that it is the program itself.
#[test]
fn the_main_process_of_a_forking_program_is_no_less_an_orphan_for_its_own_session() {
    let name = "orphan-forking";
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(
        dir.path().join("p.sh"),
        "cd $(dirname $0)\nrm -f p.pid\nsetsid sh -c 'echo $$ > p.new; mv p.new p.pid; sleep 1001 & exec sleep 1000' &\n\
         until test -e p.pid; do sleep 0.01; done\n",
    )
    .expect("a script");
    let sections = program("exec sh DIR/p.sh", "type = forking\npidfile = DIR/p.pid").replace("NAME", name);
    let mut daemon = Daemon::start_in(dir, &sections, &[]);
    for _ in 0..2 {
        daemon.wait_state("web", "RUNNING");
        wait_until("all of it is there", || marked(name).len() == 2);
        let before = marked(name);
        kill_and_start_again(&mut daemon);
        let main = daemon.wait_state("web", "RUNNING").pid.expect("a pid");
        assert!(!before.contains(&main), "a new one: {main}");
        assert!(before.iter().all(|pid| !alive(*pid)), "{before:?} must go before the start\n{}", daemon.log());
        assert_eq!(daemon.read("p.pid").trim().parse(), Ok(main));
    }
    daemon.terminate();
    assert!(marked(name).is_empty());
}

/// What the next daemon does not have at first is no less an orphan when it has it again.
#[test]
fn no_duplicate_beside_an_orphan_of_a_program_that_comes_later() {
    let name = "orphan-later";
    let keys = format!("command = sleep 1000\nstartsecs = 0\npdeathsig = false\nenvironment = MARK={name}-TEST\n");
    let base = format!("[program:web]\nnumprocs = 2\n{keys}[template:t]\n{keys}");
    let whole = format!("{base}[program:gone]\n{keys}");
    let mut daemon = Daemon::start(&whole);
    let done = |daemon: &Daemon, args: &[&str]| {
        let (code, text, errors) = daemon.ctl(args);
        assert_eq!(code, 0, "{args:?}: {text}{errors}\n{}", daemon.log());
    };
    daemon.wait_state("gone", "RUNNING");
    done(&daemon, &["scale", "web", "3"]);
    done(&daemon, &["start", "t@x"]);
    let later = ["web:02", "t@x", "gone"];
    let before = later.map(|name| daemon.status(name).pid.expect("a pid"));
    wait_until("all of them are executed", || marked(name).len() == 5);
    daemon.write_config(&base, &[]);
    kill_and_start_again(&mut daemon);
    daemon.wait_state("web:01", "RUNNING");
    assert!(before.iter().all(|pid| alive(*pid)), "nobody has them: {}", daemon.log());
    done(&daemon, &["scale", "web", "3"]);
    done(&daemon, &["start", "t@x"]);
    daemon.write_config(&whole, &[]);
    done(&daemon, &["update"]);
    for name in later {
        daemon.wait_state(name, "RUNNING");
        daemon.wait_log(&format!("of {name}, which is not configured now: left alone until it is"));
        daemon.wait_log(&format!("{name}: an earlier daemon left pid"));
    }
    assert!(!before.iter().any(|pid| alive(*pid)), "{before:?} must go before the start\n{}", daemon.log());
    wait_until("each is there once", || marked(name).len() == 5);
    daemon.terminate();
    assert!(marked(name).is_empty());
}

#[test]
fn reconcile_warn_and_off_touch_nothing() {
    let name = "orphan-warn";
    let mut daemon = started(name, "exec sleep 1000", "pdeathsig = false\nreconcile = warn", 1);
    let before = marked(name);
    kill_and_start_again(&mut daemon);
    let status = daemon.wait_state("web", "RUNNING");
    assert!(status.description.unwrap_or_default().contains("left pid"), "{}", daemon.log());
    assert!(alive(before[0]));
    kill_all(&before);
    let told = || daemon.status("web").description.unwrap_or_default().contains("left pid");
    wait_until("the status says so no longer", || !told());
    daemon.terminate();

    let name = "orphan-off";
    let mut daemon = started(name, "exec sleep 1000", "pdeathsig = false\nreconcile = off", 1);
    let before = marked(name);
    let environ = fs::read(format!("/proc/{}/environ", before[0])).expect("it lives");
    assert!(!String::from_utf8_lossy(&environ).contains("SUPERVICE_ID="), "no mark");
    kill_and_start_again(&mut daemon);
    let status = daemon.wait_state("web", "RUNNING");
    assert!(!status.description.unwrap_or_default().contains("left pid"));
    assert!(alive(before[0]));
    kill_all(&before);
    daemon.terminate();
}

struct Unrelated(Child);

impl Unrelated {
    fn pid(&self) -> i32 {
        i32::try_from(self.0.id()).expect("a pid")
    }
}

impl Drop for Unrelated {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Row 29: the same command line, a copy of the whole environment in another session, and the same program of another
/// daemon.
#[test]
fn failures_29_strangers_are_left_alone() {
    let name = "orphan-strangers";
    let other = Daemon::start(&program("exec sleep 1000", "").replace("NAME", "orphan-other"));
    let theirs = other.wait_state("web", "RUNNING").pid.expect("a pid");
    let mut daemon = started(name, "sleep 1000 & exec sleep 1000", "", 2);
    let environ = fs::read(format!("/proc/{}/environ", marked(name)[0])).expect("it lives");
    let copy = environ.split(|byte| *byte == 0).filter_map(|entry| {
        let entry = std::str::from_utf8(entry).ok()?;
        entry.split_once('=').filter(|(key, _)| *key != "MARK")
    });
    let sleeper = |command: &mut Command| {
        Unrelated(command.arg("1000").stdin(Stdio::null()).process_group(0).spawn().expect("sleep can be executed"))
    };
    let twin = sleeper(&mut Command::new("sleep"));
    let heir = sleeper(Command::new("sleep").env_clear().envs(copy));
    kill_and_start_again(&mut daemon);
    daemon.wait_state("web", "RUNNING");
    assert!(alive(twin.pid()) && alive(heir.pid()) && alive(theirs), "{}", daemon.log());
    assert_eq!(other.status("web").pid, Some(theirs));
    daemon.terminate();
    other.terminate();
}

/// What ends early does not hide what ends late: each is waited for by itself.
#[test]
fn each_program_waits_for_its_own() {
    let name = "orphan-pace";
    let one = |program: &str, command: &str| {
        format!(
            "[program:{program}]\ncommand = sh -c '{command}'\nstartsecs = 0\nstopwaitsecs = 1000\npdeathsig = false\n\
             environment = MARK={name}-{program}-TEST\n"
        )
    };
    let marked = |program: &str| marked(&format!("{name}-{program}"));
    // Counting, because a sleep would be told to end as well; and without a word into a pipe that nobody reads any more.
    let late = "exec 2>/dev/null;trap \"i=0;while [ \\$i -lt 300000 ];do i=\\$((i+1));done;exit\" TERM;while :;do sleep 1000 & wait;done";
    let mut daemon = Daemon::start(&(one("early", "exec sleep 1000") + &one("late", late)));
    // A signal that comes to what the shell has forked before it is `sleep` is lost there.
    let sleeps = |program: &str| {
        let comm = |pid: &i32| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        marked(program).iter().filter(|pid| comm(pid) == "sleep\n").count() == 1
    };
    let both_run = || marked("late").len() == 2 && ["early", "late"].into_iter().all(sleeps);
    wait_until("both run", both_run);
    let before = [marked("early"), marked("late")].concat();
    kill_and_start_again(&mut daemon);
    for program in ["early", "late"] {
        daemon.wait_state(program, "RUNNING");
    }
    assert!(!before.iter().any(|pid| alive(*pid)), "{}", daemon.log());
    wait_until("each is there once", || marked("early").len() == 1 && both_run());
    daemon.terminate();
}

/// A daemon whose socket somebody has removed lives on with its programs, whoever listens there now.
#[test]
fn what_a_living_daemon_has_is_no_orphan() {
    if !Command::new("unshare").args(["-m", "true"]).status().is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: a second daemon of the same socket needs a mount namespace of its own");
        return;
    }
    let first = started("orphan-living", "exec sleep 1000", "", 1);
    let theirs = first.status("web").pid.expect("a pid");
    // It must not see that: it would make the socket anew.
    first.signal(Signal::SIGSTOP);
    fs::remove_file(first.path("ctl.sock")).expect("it listens there");
    let mut second = Daemon::unstarted(tempfile::tempdir().expect("a directory"));
    std::os::unix::fs::symlink(first.path("ctl.sock"), second.path("ctl.sock")).expect("a link");
    let settings = format!(
        "[supervice]\nsocket = {}\npidfile = {}\nlogfile = none\nloglevel = DEBUG\n{}",
        first.path("ctl.sock").display(),
        second.path("daemon.pid").display(),
        program("exec sleep 1000", "")
    );
    fs::write(second.path("supervice.conf"), settings).expect("the configuration");
    // Elsewhere it would be refused.
    let mut elsewhere = Command::new("unshare");
    elsewhere.args(["-m", env!("CARGO_BIN_EXE_supervice")]);
    second.launch(elsewhere);
    second.wait_ready();
    let ours = second.wait_state("web", "RUNNING").pid.expect("a pid");
    assert_ne!(ours, theirs);
    assert!(alive(theirs), "{}", second.log());
    second.terminate();
    assert!(alive(theirs));
    first.signal(Signal::SIGCONT);
    wait_until("it makes its socket anew", || first.controller().status().is_ok());
    first.terminate();
}

/// A program of the old daemon starts the new one: that comes from it, and does not end it.
#[test]
fn a_daemon_that_an_orphan_has_started_leaves_its_ancestors_alone() {
    let name = "orphan-parent";
    let command = format!(
        "if mkdir DIR/first;then until [ -e DIR/go ];do sleep 0.05;done;\
         setsid {} -n -c DIR/supervice.conf >DIR/second.out 2>&1;fi;exec sleep 1000",
        env!("CARGO_BIN_EXE_supervice")
    );
    let mut daemon = Daemon::start(&program(&command, "pdeathsig = false").replace("NAME", name));
    wait_until("the program runs", || daemon.path("first").exists());
    let parent = daemon.wait_state("web", "RUNNING").pid.expect("a pid");
    daemon.signal(Signal::SIGKILL);
    daemon.wait();
    fs::write(daemon.path("go"), "").expect("a file");
    wait_until("the new daemon answers", || daemon.controller().status().is_ok());
    assert_ne!(daemon.wait_state("web", "RUNNING").pid, Some(parent), "{}", daemon.read("second.out"));
    assert!(alive(parent), "{}", daemon.read("second.out"));
    assert_eq!(daemon.ctl(&["shutdown"]).0, 0);
    kill_all(&[parent]);
    wait_until("nothing is left", || marked(name).is_empty());
}

/// At random moments, with commands under way.
#[test]
fn kill_9_at_random_moments_never_makes_two() {
    let name = "orphan-random";
    let sections: String = (0..6)
        .map(|n| {
            let command = if n % 2 == 0 { "sleep 1000 & exec sleep 1000" } else { "sleep 0.03" };
            let pdeathsig = n % 3 == 0;
            format!(
                "[program:p{n}]\ncommand = sh -c '{command}'\nstartsecs = 0\nstopwaitsecs = 1\nstartretries = 100000\n\
                 pdeathsig = {pdeathsig}\nenvironment = MARK={name}-TEST,LEADER=p{n}\n"
            )
        })
        .collect();
    let mut daemon = Daemon::start(&sections);
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..8 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        std::thread::scope(|scope| {
            let controller = daemon.controller();
            scope.spawn(move || {
                // Whatever comes of them: the daemon dies meanwhile.
                for n in 0..6 {
                    let _ = controller.restart_process(&format!("p{n}"), n % 2 == 0);
                }
            });
            std::thread::sleep(Duration::from_millis(random >> 58));
            daemon.signal(Signal::SIGKILL);
        });
        daemon.wait();
        daemon.launch(Command::new(env!("CARGO_BIN_EXE_supervice")));
        daemon.wait_ready();
        for n in [0, 2, 4] {
            let program = format!("p{n}");
            let leader = daemon.wait_state(&program, "RUNNING").pid.expect("a pid");
            let wanted = format!("LEADER={program}").into_bytes();
            let of_it = |pid: &i32| {
                let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
                environ.split(|byte| *byte == 0).any(|entry| entry == wanted)
            };
            let groups: Vec<i32> =
                marked(name).into_iter().filter(of_it).filter_map(stat).map(|(_, group, _)| group).collect();
            assert!(groups.iter().all(|group| *group == leader), "{program} ({leader}): {groups:?}\n{}", daemon.log());
        }
    }
    daemon.terminate();
    wait_until("nothing is left", || marked(name).is_empty());
}

/// PID 1 of a namespace leaves nothing behind: nobody looks, and everything works.
#[test]
fn in_a_pid_namespace_of_its_own_there_is_nothing_to_find() {
    let probe = Command::new("unshare").args(["--pid", "--fork", "--kill-child", "--mount-proc", "true"]).output();
    if !probe.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: a daemon as PID 1 needs unshare and the right to use it");
        return;
    }
    let name = "orphan-namespace";
    let mut daemon = Daemon::unstarted(tempfile::tempdir().expect("a directory"));
    daemon.write_config(&program("sleep 1000 & exec sleep 1000", "").replace("NAME", name), &[]);
    let launch = |daemon: &mut Daemon| {
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--kill-child", "--mount-proc", env!("CARGO_BIN_EXE_supervice")]);
        daemon.launch(command);
        daemon.wait_ready();
    };
    launch(&mut daemon);
    assert!(daemon.wait_state("web", "RUNNING").pid.is_some_and(|pid| pid < 100), "numbers of the namespace");
    wait_until("both are there", || marked(name).len() == 2);
    daemon.signal(Signal::SIGKILL);
    daemon.wait();
    wait_until("the kernel has ended the namespace", || marked(name).is_empty());
    launch(&mut daemon);
    daemon.wait_state("web", "RUNNING");
    wait_until("both are there again", || marked(name).len() == 2);
    daemon.signal(Signal::SIGKILL);
    daemon.wait();
    wait_until("nothing is left", || marked(name).is_empty());
}
