//! Programs that put themselves into the background, and those that name their main process: made up here, and as Debian
//! ships them.

use std::fs;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use supervice::internals::frames::ProcessStatus;

use crate::harness::{Daemon, alive, wait_for, wait_until, word_in};
use crate::notify::start;
use crate::servers::{free_port, installed};

/// A program that puts itself into the background.
const DAEMON: &str = "[program:p]\ntype = forking\npidfile = DIR/p.pid\nstartretries = 0\n";

/// Goes into the background as daemons do, and keeps nothing by which its parents are known.
const BACKGROUND: &str = "rm -f DIR/p.pid\nsetsid env -i sh -c 'echo $$ > DIR/p.pid; exec sleep 1000' &\n\
                          while ! test -s DIR/p.pid; do sleep 0.01; done\n";

fn command(script: &str) -> String {
    format!("{DAEMON}command = sh -c '{script}'\n")
}

/// The pid in a file.
fn pid_in(daemon: &Daemon, name: &str) -> i32 {
    wait_for(&format!("{name} holds a pid"), || daemon.read(name).trim().parse().ok())
}

fn strike(pid: i32) {
    kill(Pid::from_raw(pid), Signal::SIGKILL).expect("it lives");
}

/// Waits until it runs as the process that its pid file names, and as another one than before.
fn wait_main(daemon: &Daemon, name: &str, file: &str, before: Option<i32>) -> ProcessStatus {
    wait_for(&format!("{name} runs as its pid file says"), || {
        let status = daemon.status(name);
        let is_main = status.pid.is_some() && status.pid == daemon.read(file).trim().parse().ok();
        (status.state == "RUNNING" && status.pid != before && is_main).then_some(status)
    })
}

/// Row 83: the pid that is shown is the main process, after each crash, and its end is known.
#[test]
fn row_83_the_main_process_is_shown_watched_and_stopped() {
    let dir = tempfile::tempdir().expect("a directory");
    let script = BACKGROUND.replace("DIR", dir.path().to_str().expect("UTF-8"));
    fs::write(dir.path().join("p.sh"), script).expect("a script");
    let daemon = Daemon::start_in(
        dir,
        "[program:p]\ntype = forking\npidfile = DIR/p.pid\nstartsecs = 1\ncommand = sh DIR/p.sh",
        &[],
    );
    let mut status = wait_main(&daemon, "p", "p.pid", None);
    for _ in 0..3 {
        let pid = status.pid.expect("it runs");
        strike(pid);
        status = wait_main(&daemon, "p", "p.pid", Some(pid));
        assert_eq!(status.exit_signal, Some(9), "{status:?}");
    }
    let pid = status.pid.expect("it runs");
    daemon.controller().stop_process("p").expect("stop");
    assert!(!alive(pid));
    assert_eq!((daemon.status("p").state.as_str(), daemon.status("p").exit_signal), ("STOPPED", Some(15)));
    let history = daemon.controller().history(Some("p")).expect("history");
    assert!(history.iter().any(|row| row.cause.starts_with("its main process is another one now")), "{history:?}");
    daemon.terminate();
}

/// Makes a session of its own long after its pid file was read, as nginx does when its binary is replaced, and leaves a process
/// there that nothing else tells as its own.
const LATE_SESSION: &str = r#"
import os, sys, time
here = sys.argv[1]
def write(name, text):
    with open(f"{here}/{name}.new", "w") as out: out.write(text)
    os.rename(f"{here}/{name}.new", f"{here}/{name}")
if os.fork() != 0:
    while not os.path.exists(f"{here}/p.pid"): time.sleep(0.01)
    os._exit(0)
write("p.pid", str(os.getpid()))
while not os.path.exists(f"{here}/go"): time.sleep(0.01)
os.setsid()
worker = os.fork()
if worker == 0: os.execve("/bin/sleep", ["sleep", "1000"], {})
write("worker", str(worker))
time.sleep(1000)
"#;

#[test]
fn what_a_main_process_leaves_in_a_session_that_it_made_late_is_killed() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("p.py"), LATE_SESSION).expect("a script");
    let daemon = Daemon::start_in(
        dir,
        "[program:p]\ntype = forking\npidfile = DIR/p.pid\nstartsecs = 0\ncommand = python3 DIR/p.py DIR",
        &[],
    );
    for is_crash in [true, false] {
        let main = wait_main(&daemon, "p", "p.pid", None).pid.expect("it runs");
        fs::write(daemon.path("go"), "").expect("written");
        let worker = pid_in(&daemon, "worker");
        // The next run makes them again.
        for name in ["go", "worker", "p.pid"] {
            fs::remove_file(daemon.path(name)).expect("removed");
        }
        if is_crash {
            strike(main);
        } else {
            daemon.controller().stop_process("p").expect("stop");
        }
        wait_until("nothing of it is left", || !alive(main) && !alive(worker));
    }
    daemon.terminate();
}

/// Its main process and a worker are in a process group whose leader has ended, in the session of the process that was spawned.
const GROUP_WITHOUT_LEADER: &str = r#"
import os, sys, time
here = sys.argv[1]
def write(name, text):
    with open(f"{here}/{name}.new", "w") as out: out.write(text)
    os.rename(f"{here}/{name}.new", f"{here}/{name}")
first = os.getpid()
if os.fork() != 0:
    while not os.path.exists(f"{here}/p.pid"): time.sleep(0.01)
    os._exit(0)
os.setpgid(0, 0)
group = os.getpid()
if os.fork() != 0: os._exit(0)
while os.getppid() in (group, first): time.sleep(0.01)
worker = os.fork()
if worker == 0: os.execve("/bin/sleep", ["sleep", "1000"], {})
write("worker", str(worker))
write("p.pid", str(os.getpid()))
time.sleep(1000)
"#;

#[test]
fn a_main_process_in_a_group_whose_leader_has_ended_is_signalled_with_it() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("p.py"), GROUP_WITHOUT_LEADER).expect("a script");
    let daemon = Daemon::start_in(
        dir,
        "[program:p]\ntype = forking\npidfile = DIR/p.pid\nstartsecs = 0\nstopwaitsecs = 600\n\
         command = python3 DIR/p.py DIR",
        &[],
    );
    for is_crash in [true, false] {
        let main = wait_main(&daemon, "p", "p.pid", None).pid.expect("it runs");
        let worker = pid_in(&daemon, "worker");
        // The next run makes them again.
        for name in ["worker", "p.pid"] {
            fs::remove_file(daemon.path(name)).expect("removed");
        }
        if is_crash {
            strike(main);
        } else {
            daemon.controller().stop_process("p").expect("stop");
            assert_eq!(daemon.status("p").exit_signal, Some(15));
        }
        wait_until("nothing of it is left", || !alive(main) && !alive(worker));
    }
    daemon.terminate();
}

/// Rows 81 and 82: only what this start has written counts, only if it names a process of this run, and the reason is told.
#[test]
fn rows_81_and_82_a_pid_file_that_is_stale_or_names_a_stranger_is_told_as_the_reason() {
    let own = std::process::id();
    let cases = [
        // As a reused pid: a process that lives, and a file from before.
        (format!("echo {own} > DIR/p.pid"), "sleep 1000 &".to_owned(), "p.pid is from before this start"),
        ("true".to_owned(), "sleep 1000 &".to_owned(), "there is no "),
        ("true".to_owned(), format!("echo {own} > DIR/p.pid; sleep 1000 &"), "which is no process of this run"),
        ("true".to_owned(), "echo nonsense > DIR/p.pid; sleep 1000 &".to_owned(), "p.pid holds no pid"),
        (
            "true".to_owned(),
            "echo 4194304 > DIR/p.pid; sleep 1000 &".to_owned(),
            "names pid 4194304, which does not exist",
        ),
        ("true".to_owned(), "exit 3".to_owned(), "exit code 3"),
        ("true".to_owned(), "exit 0".to_owned(), "but nothing of it is left in the background"),
        ("true".to_owned(), "exec sleep 1000".to_owned(), "still in the foreground after 1 s"),
    ];
    for (before, script, told) in cases {
        let dir = tempfile::tempdir().expect("a directory");
        let here = dir.path().to_str().expect("UTF-8").to_owned();
        Command::new("sh").args(["-c", &before.replace("DIR", &here)]).status().expect("a shell");
        let program = |seconds: u32| format!("{}start_timeout = {seconds}\nautostart = false", command(&script));
        let daemon = Daemon::start_in(dir, &program(1), &[]);
        // On a busy machine the shell does not end within a second.
        let mut error = String::new();
        for seconds in [1, 10, 60] {
            daemon.write_config(&program(seconds), &[]);
            daemon.controller().reload().expect("reload");
            error = daemon.controller().start_process("p").expect_err("it fails").to_string();
            if error.contains(told) || !error.contains("still in the foreground") {
                break;
            }
        }
        assert!(error.contains(told), "{script}: {error}");
        assert_eq!(daemon.status("p").state, "FATAL");
        wait_until("nothing of it is left", || daemon.descendants().is_empty());
        daemon.terminate();
    }
}

#[test]
fn a_program_that_waits_for_its_pid_file_says_so_and_can_be_stopped() {
    let daemon = Daemon::start(&format!("{}start_timeout = 0", command("sleep 1000 & echo up > DIR/up")));
    word_in(&daemon.path("up"));
    let told = "in the background, waits for its pidfile (no pid file)";
    wait_until("it says what it waits for", || daemon.status("p").description.as_deref() == Some(told));
    assert_eq!(daemon.status("p").pid, None);
    daemon.controller().stop_process("p").expect("stop");
    assert_eq!(daemon.status("p").state, "STOPPED");
    wait_until("nothing of it is left", || daemon.descendants().is_empty());
    daemon.terminate();
}

#[test]
fn it_is_running_when_it_says_so_after_it_has_gone_into_the_background() {
    let script = r#"
if os.fork() == 0:
    os.setsid()
    open("DIR/p.pid", "w").write("%d\n" % os.getpid())
    until("DIR/go")
    say("READY=1")
    time.sleep(1000)
"#;
    let daemon = start(script, "type = forking\npidfile = DIR/p.pid\nready = notify");
    let pid = pid_in(&daemon, "p.pid");
    wait_until("it is its main process", || daemon.status("p").pid == Some(pid));
    assert_eq!((daemon.status("p").state.as_str(), daemon.status("p").ready), ("STARTING", Some(false)));
    fs::write(daemon.path("go"), "").expect("a file");
    daemon.wait_state("p", "RUNNING");
    daemon.terminate();
}

/// The new process is the old one's child until that ends: then it is ours.
#[test]
fn a_process_that_is_named_by_its_parent_takes_over_when_that_ends() {
    let script = r#"
child = os.fork()
if child == 0:
    time.sleep(1000)
open("DIR/child", "w").write("%d\n" % child)
say("MAINPID=%d\nREADY=1" % child)
until("DIR/go")
"#;
    let daemon = start(script, "ready = notify\nautorestart = false\nstopasgroup = false");
    let child = pid_in(&daemon, "child");
    let before = daemon.wait_state("p", "RUNNING").pid;
    assert_ne!(before, Some(child));
    let told = format!("MAINPID names pid {child}, which is not taken over before its parent");
    let history = daemon.controller().history(Some("p")).expect("history");
    assert!(history.iter().any(|row| row.cause.starts_with(&told)), "{history:?}");
    fs::write(daemon.path("go"), "").expect("a file");
    wait_until("the child is its main process", || daemon.status("p").pid == Some(child));
    assert_eq!(daemon.status("p").state, "RUNNING");
    strike(child);
    assert_eq!(daemon.wait_state("p", "EXITED").exit_signal, Some(9));
    daemon.terminate();
}

#[test]
fn a_process_that_takes_over_during_a_stop_is_stopped_as_well() {
    let script = r#"
child = os.fork()
if child == 0:
    os.setsid()
    open("DIR/child", "w").write("%d\n" % os.getpid())
    time.sleep(1000)
until("DIR/child")
say("MAINPID=%d\nREADY=1" % child)
time.sleep(1000)
"#;
    let daemon = start(script, "ready = notify\nautorestart = false\nstopwaitsecs = 600");
    daemon.wait_state("p", "RUNNING");
    let child = pid_in(&daemon, "child");
    let told = format!("MAINPID names pid {child}");
    wait_until("it is noted", || {
        let history = daemon.controller().history(Some("p")).expect("history");
        history.iter().any(|row| row.cause.starts_with(&told))
    });
    daemon.controller().stop_process("p").expect("stop");
    assert_eq!((daemon.status("p").exit_signal, alive(child)), (Some(15), false));
    daemon.terminate();
}

#[test]
fn a_process_that_names_itself_takes_over_at_once_and_the_other_one_may_end() {
    let script = r#"
if os.fork() == 0:
    if os.fork() == 0:
        while os.getppid() != int(open("DIR/daemon.pid").read()): time.sleep(0.01)
        say("MAINPID=%d\nREADY=1" % os.getpid())
        open("DIR/main", "w").write("%d\n" % os.getpid())
        time.sleep(1000)
    os._exit(0)
os.wait()
until("DIR/go")
sys.exit(7)
"#;
    let daemon = start(script, "ready = notify\nstopasgroup = false\nkillasgroup = false");
    let first = wait_for("it runs", || daemon.status("p").pid);
    let main = pid_in(&daemon, "main");
    wait_until("it is its main process", || daemon.status("p").pid == Some(main));
    daemon.wait_state("p", "RUNNING");
    fs::write(daemon.path("go"), "").expect("a file");
    wait_until("the other one has ended", || !alive(first));
    assert_eq!((daemon.status("p").state.as_str(), daemon.status("p").pid), ("RUNNING", Some(main)));
    daemon.controller().stop_process("p").expect("stop");
    assert_eq!((daemon.status("p").exit_signal, alive(main)), (Some(15), false));
    daemon.terminate();
}

#[test]
fn a_stranger_cannot_be_named() {
    let script = "say('READY=1\\nMAINPID=%d' % int(open('DIR/daemon.pid').read()))\ntime.sleep(1000)";
    let daemon = start(script, "ready = notify");
    let pid = daemon.wait_state("p", "RUNNING").pid;
    let told = format!("MAINPID names pid {}, which is no process of this run", daemon.pid());
    wait_until("it is refused", || {
        let history = daemon.controller().history(Some("p")).expect("history");
        history.iter().any(|row| row.cause == told)
    });
    assert_eq!(daemon.status("p").pid, pid);
    daemon.terminate();
}

/// What can be no process of its own is refused aloud as well, and once: some name it in every message.
#[test]
fn no_pid_and_the_first_process_are_refused_with_the_reason_and_once() {
    let script = "for word in ['1', '1', '0', 'x', 'x']: say('MAINPID=' + word)\nsay('READY=1')\ntime.sleep(1000)";
    let daemon = start(script, "ready = notify");
    daemon.wait_state("p", "RUNNING");
    let log = daemon.terminate();
    for told in [
        "MAINPID names pid 1, which is no process of this run",
        "MAINPID names pid 0, which does not exist",
        "MAINPID names no pid",
    ] {
        assert_eq!(log.matches(told).count(), 1, "{told}: {log}");
    }
}

/// A real daemon as it comes: it runs as its pid file says, comes back after a crash, and nothing of it is left after a stop.
fn real(name: &str, program: &str, files: &[(&str, String)], pid_file: &str, exit: Option<u8>) {
    let dir = tempfile::tempdir().expect("a directory");
    let here = dir.path().to_str().expect("UTF-8").to_owned();
    for (file, text) in files {
        fs::write(dir.path().join(file), text.replace("DIR", &here)).expect("a file");
    }
    let daemon = Daemon::start_in(dir, &format!("[program:{name}]\ntype = forking\nstopwaitsecs = 60\n{program}"), &[]);
    let status = wait_main(&daemon, name, pid_file, None);
    let pid = status.pid.expect("it runs");
    strike(pid);
    let status = wait_main(&daemon, name, pid_file, Some(pid));
    assert_eq!(status.exit_signal, Some(9), "{status:?}");
    daemon.controller().stop_process(name).unwrap_or_else(|error| panic!("{error}\n{}", daemon.log()));
    let stopped = daemon.status(name);
    assert_eq!(stopped.state, "STOPPED");
    assert_eq!(stopped.exit_code, exit, "{stopped:?}");
    wait_until("nothing of it is left", || daemon.descendants().is_empty());
    daemon.terminate();
}

#[test]
fn nginx_in_the_background() {
    let Some(nginx) = installed("nginx") else { return };
    let config = format!(
        "pid DIR/nginx.pid; error_log DIR/error.log; worker_processes 2; events {{}}\n\
         http {{ access_log off; client_body_temp_path DIR/t1; proxy_temp_path DIR/t2; fastcgi_temp_path DIR/t3;\n\
         uwsgi_temp_path DIR/t4; scgi_temp_path DIR/t5; server {{ listen 127.0.0.1:{}; }} }}\n",
        free_port()
    );
    let program = format!(
        "command = {} -c DIR/nginx.conf -e DIR/error.log\npidfile = DIR/nginx.pid\nstopsignal = QUIT",
        nginx.display()
    );
    real("nginx", &program, &[("nginx.conf", config)], "nginx.pid", Some(0));
}

#[test]
fn redis_in_the_background() {
    let Some(redis) = installed("redis-server") else { return };
    let program = format!(
        "command = {} --port {} --bind 127.0.0.1 --save '' --daemonize yes --pidfile DIR/redis.pid --dir DIR\n\
         pidfile = DIR/redis.pid",
        redis.display(),
        free_port()
    );
    real("redis", &program, &[], "redis.pid", Some(0));
}

#[test]
fn sshd_in_the_background() {
    let (Some(sshd), true) = (installed("sshd"), nix::unistd::geteuid().is_root()) else { return };
    let _ = fs::create_dir("/run/sshd");
    let key = tempfile::tempdir().expect("a directory");
    let path = key.path().join("key");
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&path).status();
    assert!(made.expect("ssh-keygen").success());
    let config = format!(
        "ListenAddress 127.0.0.1:{}\nHostKey {}\nPidFile DIR/sshd.pid\nUsePAM no\n",
        free_port(),
        path.display()
    );
    let program = format!("command = {} -f DIR/sshd_config\npidfile = DIR/sshd.pid", sshd.display());
    real("sshd", &program, &[("sshd_config", config)], "sshd.pid", Some(0));
}

/// Its pid file has one place, which it locks.
#[test]
fn cron_in_the_background() {
    let (Some(cron), true) = (installed("cron"), nix::unistd::geteuid().is_root()) else { return };
    let program = format!("command = {}\npidfile = /var/run/crond.pid\nautostart = true", cron.display());
    real("cron", &program, &[], "/var/run/crond.pid", None);
}

/// As at the daemon's start: a program that comes by a reload has a pid file that names what runs without us.
#[test]
fn what_the_pid_file_of_an_added_program_names_is_told_of_and_left_alone() {
    let mut daemon = Daemon::start("");
    daemon.signal(Signal::SIGKILL);
    daemon.wait();
    daemon.launch(Command::new(env!("CARGO_BIN_EXE_supervice")));
    daemon.wait_ready();
    let mut stranger = Command::new("sleep").arg("1000").spawn().expect("sleep");
    let pid = i32::try_from(stranger.id()).expect("a pid");
    std::fs::write(daemon.path("w.pid"), format!("{pid}\n")).expect("written");
    let program = "type = forking\npidfile = DIR/w.pid\ncommand = sh -c 'sleep 1000 & echo $! > DIR/w.pid'";
    daemon.write_config(&format!("[program:w]\n{program}"), &[]);
    assert_eq!(daemon.ctl(&["reload"]).0, 0, "{}", daemon.log());
    daemon.wait_log(&format!("w: pid {pid} in {} runs already", daemon.path("w.pid").display()));
    let told = format!("pid {pid} of its pid file was running before");
    let status = daemon.wait_state("w", "RUNNING");
    assert!(status.pid != Some(pid) && alive(pid), "{}", daemon.log());
    assert!(status.description.is_some_and(|text| text.contains(&told)), "{}", daemon.log());
    stranger.kill().and_then(|()| stranger.wait()).expect("it ends");
    wait_until("it is spoken of no more", || !daemon.ctl(&["why", "w"]).1.contains(&told));
    // The file goes over to a program of another name, whose own process is none of a stranger.
    daemon.write_config(&format!("[program:w2]\n{program}"), &[]);
    assert_eq!(daemon.ctl(&["update"]).0, 0, "{}", daemon.log());
    daemon.wait_state("w2", "RUNNING");
    assert_eq!(daemon.terminate().matches("runs already").count(), 1);
}

/// Redis overwrites its environment: after a kill -9 of the daemon nothing but its pid file tells of it.
#[test]
fn what_a_killed_daemon_has_left_of_redis_is_named_and_left_alone() {
    let Some(redis) = installed("redis-server") else { return };
    let program = format!(
        "[program:redis]\ntype = forking\npidfile = DIR/redis.pid\nstartretries = 0\nstart_timeout = 5\ncommand = {} --port {} --bind 127.0.0.1 --save '' \
         --daemonize yes --pidfile DIR/redis.pid --dir DIR --logfile DIR/redis.log",
        redis.display(),
        free_port()
    );
    let mut daemon = Daemon::start(&program);
    let pid = wait_main(&daemon, "redis", "redis.pid", None).pid.expect("it runs");
    daemon.signal(Signal::SIGKILL);
    daemon.wait();
    assert!(alive(pid), "nothing kills what has put itself into the background");
    daemon.launch(Command::new(env!("CARGO_BIN_EXE_supervice")));
    daemon.wait_ready();
    daemon.wait_log(&format!("redis: pid {pid} in {} runs already", daemon.path("redis.pid").display()));
    let told = format!("pid {pid} of its pid file was running before");
    let (_, why, _) = daemon.ctl(&["why", "redis"]);
    assert!(
        why.contains(&told) && daemon.status("redis").description.is_some_and(|text| text.contains(&told)),
        "{why}"
    );
    assert!(alive(pid), "{}", daemon.log());
    daemon.wait_state("redis", "FATAL");
    strike(pid);
    wait_until("it has ended", || !alive(pid));
    assert_eq!(daemon.ctl(&["start", "redis"]).0, 0, "{}", daemon.log());
    assert!(!daemon.ctl(&["why", "redis"]).1.contains(&told), "it is spoken of no more");
    daemon.terminate();
}

/// What a daemon in a PID namespace of its own writes, and what is no pid at all.
#[test]
fn a_pid_file_that_names_what_cannot_be_a_program_is_said_to_do_so_and_not_waited_for() {
    for (written, told) in [
        ("1", "names pid 1, which is the init of this machine or container and never a program"),
        ("0", "names 0, which cannot be the pid of a process"),
        ("-5", "names -5, which cannot be the pid of a process"),
        ("99999999999", "names 99999999999, which cannot be the pid of a process"),
    ] {
        let daemon = Daemon::start(&command(&format!("rm -f DIR/p.pid; sleep 1000 & echo {written} > DIR/p.pid")));
        daemon.wait_state("p", "FATAL");
        let history = daemon.controller().history(Some("p")).expect("history");
        assert!(history.iter().any(|row| row.cause.contains(told)), "{told}: {history:?}");
        daemon.terminate();
    }
}
