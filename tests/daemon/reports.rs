//! Reports from the trackers of other projects, beside those of `cases`: each test names its report.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, geteuid};

use crate::harness::{Daemon, alive, marked, wait_until, word_in};

/// Kills all others of its session, then itself.
const SESSION_KILLER: &str = r#"
echo > DIR/up; until [ -e DIR/now ]; do sleep 0.02; done
read -r line < /proc/$$/stat; set -- $line; mine=$6
for stat in /proc/[0-9]*/stat; do
  { read -r line < $stat; } 2> /dev/null || continue
  set -- $line
  if [ "$6" = "$mine" ] && [ "$1" != $$ ]; then kill -KILL "$1"; fi
done
kill -KILL $$
"#;

/// Supervisor/supervisor #1707: all programs were in the daemon's session, and one that signalled its session hit the others.
#[test]
fn reports_a_program_that_signals_its_session_hits_no_other() {
    let dir = tempfile::tempdir().expect("a directory");
    let script = SESSION_KILLER.replace("DIR", &dir.path().display().to_string());
    fs::write(dir.path().join("killer.sh"), script).expect("a file");
    let programs = "[program:other]\ncommand = sleep 1000\nstartsecs = 0\n\
                    [program:p]\ncommand = sh DIR/killer.sh\nstartsecs = 0\nautorestart = false\n";
    let daemon = Daemon::start_in(dir, programs, &[]);
    let other = daemon.wait_state("other", "RUNNING").pid;
    wait_until("it is up", || daemon.path("up").exists());
    fs::write(daemon.path("now"), "").expect("a file");
    daemon.wait_state("p", "EXITED");
    assert_eq!(daemon.status("other").pid, other);
    daemon.terminate();
}

/// A leader that obeys the stop signal and a worker of its process group that does not.
const STUBBORN_WORKER: &str = "command = sh -c \"trap '' TERM; sleep 1000 & trap - TERM; echo > DIR/up; exec sleep 1000\"\n\
    startsecs = 0\nstopwaitsecs = 1\nenvironment = MARK=stubborn-TEST\n";

/// F1bonacc1/process-compose #520: the shutdown was done when the leader had gone, and its worker lived on.
#[test]
fn reports_a_shutdown_waits_for_workers_that_ignore_the_stop_signal() {
    let daemon = Daemon::start(&format!("[program:p]\n{STUBBORN_WORKER}"));
    wait_until("both run", || daemon.path("up").exists() && marked("stubborn").len() == 2);
    daemon.terminate();
    assert_eq!(marked("stubborn"), [0; 0]);
}

/// bumptech/stud #74, under runit: the workers of the run before still held the port, and the next run could not start.
#[test]
fn reports_the_next_run_finds_the_port_free() {
    let program = "import os,signal,socket,time\n\
        s=socket.socket(); s.bind(('127.0.0.1', 0 if not os.path.exists('DIR/port') else int(open('DIR/port').read())))\n\
        s.listen(); open('DIR/port','w').write(str(s.getsockname()[1]))\n\
        if os.fork()==0: signal.signal(signal.SIGTERM,signal.SIG_IGN)\n\
        open('DIR/run-%d' % os.getpid(),'w').close(); time.sleep(1000)\n";
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("server.py"), program.replace("DIR", &dir.path().display().to_string())).expect("a file");
    let settings = "startsecs = 0\nstopwaitsecs = 1\nautorestart = false\nstartretries = 0\n";
    let daemon = Daemon::start_in(dir, &format!("[program:p]\ncommand = python3 DIR/server.py\n{settings}"), &[]);
    let listens = |pid: Option<i32>| pid.is_some_and(|pid| daemon.path(&format!("run-{pid}")).exists());
    wait_until("it listens", || listens(daemon.status("p").pid));
    assert_eq!(daemon.ctl(&["restart", "p"]).0, 0, "{}", daemon.log());
    wait_until("the next run listens on the same port", || listens(daemon.status("p").pid));
    daemon.terminate();
}

/// circus-tent/circus #1152: a log that was deleted was never written again, whatever was restarted.
#[test]
fn reports_a_deleted_log_is_made_anew_by_the_next_run() {
    let settings = "stdout_logfile = DIR/p.log\nstartsecs = 0\n";
    let daemon = Daemon::start(&format!("[program:p]\ncommand = sh -c 'echo $$; exec sleep 1000'\n{settings}"));
    let first = word_in(&daemon.path("p.log"));
    fs::remove_file(daemon.path("p.log")).expect("removed");
    assert_eq!(daemon.ctl(&["restart", "p"]).0, 0);
    let second = word_in(&daemon.path("p.log"));
    assert_ne!(first, second);
    assert_eq!(daemon.status("p").pid.map(|pid| pid.to_string()), Some(second));
    daemon.terminate();
}

/// Supervisor/supervisor #1713: an update of one group failed because another one named an unknown program.
#[test]
fn reports_a_group_with_an_unknown_member_keeps_no_other_from_an_update() {
    let dir = tempfile::tempdir().expect("a directory");
    let text = |more: &str| {
        let head = "[supervisord]\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile=DIR/daemon.pid\n[unix_http_server]\nfile=DIR/ctl.sock\n";
        format!("{head}[program:a]\ncommand=sleep 1000\nstartsecs=0\n{more}")
            .replace("DIR", &dir.path().display().to_string())
    };
    fs::write(dir.path().join("supervice.conf"), text("")).expect("a file");
    let more = "[program:b]\ncommand=sleep 1000\nstartsecs=0\n[group:good]\nprograms=b\n[group:bad]\nprograms=test\n";
    let more = text(more);
    let mut daemon = Daemon::unstarted(dir);
    daemon.launch(Command::new(env!("CARGO_BIN_EXE_supervice")));
    daemon.wait_ready();
    fs::write(daemon.path("supervice.conf"), more).expect("a file");
    assert_eq!(daemon.ctl(&["update"]).0, 0);
    daemon.wait_state("good:b", "RUNNING");
    daemon.terminate();
}

/// hermeticbuild/rules_itest #92: a check whose script had left a process behind, which held its output, never ended.
#[test]
fn reports_a_check_ends_though_what_it_has_started_holds_its_output() {
    let daemon = Daemon::start(
        "[program:p]\ncommand = sleep 1000\nstartsecs = 0\nhealthcheck_type = script\nhealthcheck_start_period = 0\n\
         healthcheck_interval = 1\nhealthcheck_timeout = 20\nhealthcheck_command = sleep 1000 & echo x >> DIR/checks\n\
         environment = MARK=check-TEST\n",
    );
    wait_until("several checks have passed", || daemon.read("checks").lines().count() >= 3);
    assert_eq!(daemon.status("p").healthy, Some(true));
    daemon.terminate();
    assert_eq!(marked("check"), [0; 0], "checks leave nothing behind");
}

/// hashicorp/consul #3597: what a check had started lived on when the check had timed out, one more each time.
#[test]
fn reports_a_check_that_times_out_leaves_nothing() {
    let daemon = Daemon::start(
        "[program:p]\ncommand = sleep 1000\nstartsecs = 0\nautorestart = false\nhealthcheck_type = script\n\
         healthcheck_start_period = 0\nhealthcheck_interval = 1\nhealthcheck_timeout = 1\nhealthcheck_retries = 1\n\
         healthcheck_command = sh -c \"sleep 1000; true\"; true\nenvironment = MARK=timeout-TEST\n",
    );
    daemon.wait_state("p", "UNHEALTHY");
    let program = daemon.status("p").pid.expect("it runs");
    daemon.signal(Signal::SIGTERM);
    let (mut daemon, others) = (daemon, move || marked("timeout").into_iter().filter(|pid| *pid != program).count());
    assert_eq!(daemon.wait().code(), Some(0));
    assert!(!alive(program));
    wait_until("what it had started has gone, too", || others() == 0);
}

/// OpenRC/openrc #201 (CVE-2018-21269), systemd/systemd #7986: links were refused at the end of a path only.
#[test]
fn reports_a_link_that_was_planted_within_the_path_of_a_log_is_not_followed() {
    if !geteuid().is_root() {
        println!("SKIPPED: only root can give a directory away");
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let nobody = User::from_name("nobody").expect("read").expect("a user");
    for name in ["", "logs", "target"] {
        let path = dir.path().join(name);
        fs::create_dir_all(&path).expect("a directory");
        fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("its mode");
    }
    symlink(dir.path().join("target"), dir.path().join("logs/sub")).expect("a link");
    for name in ["logs", "logs/sub"] {
        let path = dir.path().join(name);
        std::os::unix::fs::lchown(path, Some(nobody.uid.as_raw()), None).expect("its owner");
    }
    chown(dir.path().join("target"), Some(0), Some(0)).expect("its owner");
    let command = "sh -c 'echo planted; exec sleep 1000'";
    let program = format!(
        "[program:p]\ncommand = {command}\nuser = nobody\nstartsecs = 0\nstdout_logfile = DIR/logs/sub/p.log\n"
    );
    let daemon = Daemon::start_in(dir, &program, &[]);
    daemon.wait_state("p", "RUNNING");
    daemon.wait_log("logs/sub");
    assert_eq!(fs::read_dir(daemon.path("target")).expect("a directory").count(), 0, "{}", daemon.log());
    daemon.terminate();
}

/// Unitech/pm2 #5190, #5419: everybody who could ask the daemon was shown the programs' environments.
#[test]
fn reports_no_answer_of_the_daemon_shows_an_environment() {
    let secret = "s3cret-word";
    let daemon = Daemon::start(&format!(
        "[program:p]\ncommand = sh -c 'exec sleep 1000'\nstartsecs = 0\nenvironment = PASSWORD={secret}\n\
         [program:bad]\ncommand = /no/such/file\nstartsecs = 0\nstartretries = 0\nenvironment = PASSWORD={secret}\n"
    ));
    daemon.wait_state("p", "RUNNING");
    daemon.wait_state("bad", "FATAL");
    let changed = daemon.read("supervice.conf").replace(secret, "another-s3cret-word");
    fs::write(daemon.path("supervice.conf"), changed).expect("a file");
    let asked: &[&[&str]] =
        &[&["status", "-l"], &["--json", "status"], &["why", "p"], &["why", "bad"], &["history"], &["reread"]];
    for words in asked {
        let (_, out, errors) = daemon.ctl(words);
        assert!(!out.contains("s3cret") && !errors.contains("s3cret"), "{words:?}: {out}{errors}");
    }
    assert!(!daemon.log().contains("s3cret"), "{}", daemon.log());
    daemon.terminate();
}

/// Unitech/pm2 #5477: two that started at the same moment both became the daemon.
#[test]
fn reports_of_daemons_that_start_at_the_same_moment_one_is_left() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut daemon = Daemon::unstarted(dir);
    daemon.write_config("[program:p]\ncommand = sleep 1000\nstartsecs = 0\nenvironment = MARK=moment-TEST\n", &[]);
    daemon.launch(Command::new(env!("CARGO_BIN_EXE_supervice")));
    let mut others = Others(Vec::new());
    for _ in 0..4 {
        let mut command = Command::new(env!("CARGO_BIN_EXE_supervice"));
        command.args(["-n", "-c"]).arg(daemon.path("supervice.conf")).current_dir(daemon.dir.path());
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        others.0.push(quiet.spawn().expect("a daemon"));
    }
    wait_until("one serves", || daemon.controller().status().is_ok());
    daemon.wait_state("p", "RUNNING");
    // Which of the five it is does not matter.
    let mut all: Vec<i32> = others.0.iter().map(|child| i32::try_from(child.id()).expect("a pid")).collect();
    all.push(daemon.pid());
    let living = || all.iter().copied().filter(|pid| alive(*pid)).collect::<Vec<_>>();
    wait_until("four have ended", || living().len() == 1);
    assert_eq!(daemon.read("daemon.pid").trim().parse(), Ok(living()[0]));
    wait_until("its program has been executed", || marked("moment").len() == 1);
    kill(Pid::from_raw(living()[0]), Signal::SIGTERM).expect("it lives");
    wait_until("the last one has ended", || living().is_empty());
    assert_eq!(marked("moment"), [0; 0]);
}

/// Daemons that are killed when the test fails.
struct Others(Vec<Child>);

impl Drop for Others {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// paperless-ngx/paperless-ngx #3638, Supervisor/supervisor #435: HOME was still root's, and what was written there failed.
#[test]
fn reports_the_home_of_a_user_is_his_own() {
    if !geteuid().is_root() {
        println!("SKIPPED: only root can become another user");
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o777)).expect("its mode");
    let text = "[supervisord]\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile=DIR/daemon.pid\n[unix_http_server]\nfile=DIR/ctl.sock\n\
         [program:p]\ncommand=sh -c 'echo $HOME:$USER:$LOGNAME > DIR/new; mv DIR/new DIR/seen; exec sleep 1000'\nuser=nobody\n\
         [program:own]\ncommand=sh -c 'echo $HOME > DIR/newer; mv DIR/newer DIR/own; exec sleep 1000'\nuser=nobody\nenvironment=HOME=\"/srv\"\n";
    let text = text.replace("DIR", &dir.path().display().to_string());
    fs::write(dir.path().join("supervice.conf"), text).expect("a file");
    let mut daemon = Daemon::unstarted(dir);
    daemon.launch(Command::new(env!("CARGO_BIN_EXE_supervice")));
    daemon.wait_ready();
    let home = User::from_name("nobody").expect("read").expect("a user").dir;
    assert_eq!(word_in(&daemon.path("seen")), format!("{}:nobody:nobody", home.display()));
    assert_eq!(word_in(&daemon.path("own")), "/srv");
    daemon.terminate();
}

/// A shell or `cat` that is a program waits for its input, as under supervisord.
#[test]
fn reports_a_program_that_reads_waits_in_supervisords_dialect_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let text = "[supervisord]\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile=DIR/daemon.pid\n[unix_http_server]\nfile=DIR/ctl.sock\n\
         [program:p]\ncommand=cat\n";
    let text = text.replace("DIR", &dir.path().display().to_string());
    fs::write(dir.path().join("supervice.conf"), text).expect("a file");
    let mut daemon = Daemon::unstarted(dir);
    daemon.launch(Command::new(env!("CARGO_BIN_EXE_supervice")));
    daemon.wait_ready();
    daemon.wait_state("p", "RUNNING");
    daemon.terminate();
    let daemon = Daemon::start("[program:p]\ncommand = cat\nstartsecs = 0\nautorestart = false\n");
    daemon.wait_state("p", "EXITED");
    daemon.terminate();
}
