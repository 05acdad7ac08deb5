//! Restart policies, with real programs.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::harness::{Daemon, wait_until, write_executable};
use crate::servers::{free_port, free_ports, installed};

/// A program that notes each of its starts.
fn noting(name: &str, script: &str, keys: &str) -> String {
    format!("[program:{name}]\ncommand = sh -c 'echo x >> DIR/{name}.starts; {script}'\n{keys}\n")
}

fn starts(daemon: &Daemon, name: &str) -> usize {
    daemon.read(&format!("{name}.starts")).lines().count()
}

#[test]
fn a_limit_of_restarts_gives_up_what_always_reaches_running() {
    let keys = "startsecs = 0\nautorestart = true\nrestart_limit = 2/60";
    let daemon = Daemon::start(&noting("loop", "exit 0", keys));
    daemon.wait_state("loop", "FATAL");
    let (_, why, _) = daemon.ctl(&["why", "loop"]);
    assert!(why.contains("gave up after 2 restarts within 60 s (restart_limit)"), "{why}");
    assert_eq!(starts(&daemon, "loop"), 3);
    // A person is never refused.
    let (code, text, _) = daemon.ctl(&["start", "loop"]);
    assert_eq!(code, 0, "{text}");
    daemon.wait_state("loop", "FATAL");
    assert_eq!(starts(&daemon, "loop"), 6);
    daemon.terminate();
}

#[test]
fn what_a_code_says_cannot_heal_is_started_once() {
    let keys = "startsecs = 0\nautorestart = true\nnorestart_exitcodes = 78, SIGUSR1";
    let daemon =
        Daemon::start(&[noting("wrong", "exit 78", keys), noting("told", "kill -USR1 $$; sleep 100", keys)].concat());
    for name in ["wrong", "told"] {
        daemon.wait_state(name, "EXITED");
        let status = daemon.status(name);
        assert_eq!((starts(&daemon, name), status.state.as_str()), (1, "EXITED"));
    }
    daemon.terminate();
}

#[test]
fn what_was_given_up_comes_back_when_the_outage_is_over() {
    let keys = "startsecs = 1\nstartretries = 0\nfatal_retry = 1";
    let daemon = Daemon::start(&noting("client", "test -e DIR/server || exit 1; exec sleep 300", keys));
    wait_until("it is told when it is tried again", || {
        daemon.ctl(&["status", "client"]).1.contains("another attempt in ")
    });
    wait_until("it was tried again", || starts(&daemon, "client") >= 3);
    fs::write(daemon.path("server"), "").expect("the server is back");
    daemon.wait_state("client", "RUNNING");
    daemon.terminate();
}

#[test]
fn a_stop_of_what_waits_after_fatal_calls_that_off_and_the_daemon_ends_at_once() {
    let keys = "startsecs = 1\nstartretries = 0\nfatal_retry = 3000";
    let programs = [noting("one", "exit 1", keys), noting("two", "exit 1", keys)].concat();
    let daemon = Daemon::start(&programs);
    daemon.wait_state("one", "FATAL");
    daemon.wait_state("two", "FATAL");
    let (code, text, _) = daemon.ctl(&["stop", "one"]);
    assert_eq!(code, 0, "{text}");
    let (_, status, _) = daemon.ctl(&["status", "one"]);
    assert!(!status.contains("another attempt"), "{status}");
    let begin = Instant::now();
    daemon.terminate();
    assert!(begin.elapsed().as_secs() < 300, "two waits for nothing");
}

#[test]
fn a_oneshot_that_runs_for_too_long_is_stopped_and_has_failed() {
    let daemon = Daemon::start("[program:job]\ntype = oneshot\ncommand = sleep 300\nmax_runtime = 1\n");
    daemon.wait_state("job", "FATAL");
    let (_, why, _) = daemon.ctl(&["why", "job"]);
    assert!(why.contains("not completed within 1 s (max_runtime)"), "{why}");
    daemon.terminate();
}

#[test]
fn delays_grow_as_they_are_configured() {
    let keys = "startsecs = 1\nrestart_delay = 1\nrestart_delay_growth = none\nstartretries = unlimited";
    let daemon = Daemon::start(&noting("quick", "exit 1", keys));
    wait_until("it was started five times", || starts(&daemon, "quick") >= 5);
    // It is in this state for a second each time.
    wait_until("it is told when it is tried again", || {
        let (_, status, _) = daemon.ctl(&["status", "quick"]);
        status.contains(", retry ") && status.contains(" in 1 s") && !status.contains(" of ")
    });
    daemon.terminate();
}

/// A server that answers each request, and ends in order when it is told to: it closes its socket, then answers who is there.
const SERVER: &str = "\
import http.server, os, signal, sys, threading
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'hello')
    def log_message(self, *args):
        pass
server = http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1]) + int(sys.argv[2])), Handler)
server.daemon_threads = False
signal.signal(signal.SIGTERM, lambda *args: threading.Thread(target=server.shutdown).start())
os.write(3, b'\\n')
server.serve_forever()
server.server_close()
";

#[test]
fn instances_behind_a_proxy_are_renewed_without_a_failed_request() {
    let (Some(nginx), Some(python)) = (installed("nginx"), installed("python3")) else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let (front, first) = (free_port(), free_ports(5));
    let here = dir.path().display().to_string();
    fs::write(dir.path().join("server.py"), SERVER).expect("a file");
    let upstreams: String = (first..first + 5).map(|port| format!("server 127.0.0.1:{port} max_fails=0;\n")).collect();
    fs::write(
        dir.path().join("nginx.conf"),
        format!(
            "pid {here}/nginx.pid; error_log stderr; daemon off; worker_processes 1; events {{}}\n\
             http {{ access_log off; client_body_temp_path {here}/t1; proxy_temp_path {here}/t2; fastcgi_temp_path {here}/t3;\n\
             uwsgi_temp_path {here}/t4; scgi_temp_path {here}/t5;\n\
             upstream app {{ {upstreams} }}\n\
             server {{ listen 127.0.0.1:{front}; location / {{ proxy_pass http://app; }} }} }}\n"
        ),
    )
    .expect("a file");
    let sections = format!(
        "[program:app]\ncommand = {} DIR/server.py {first} %(process_num)s\nnumprocs = 5\nready = fd:3\nstartsecs = 0\n\
         max_lifetime = 3\n[program:proxy]\ncommand = {} -c DIR/nginx.conf -e stderr\nstopsignal = QUIT\nwants = app\n",
        python.display(),
        nginx.display()
    );
    let daemon = Daemon::start_in(dir, &sections, &[]);
    daemon.wait_state("proxy", "RUNNING");
    let names: Vec<String> = (0..5).map(|number| format!("app:{number:02}")).collect();
    let before: Vec<_> = names.iter().map(|name| daemon.wait_state(name, "RUNNING").pid).collect();
    let (mut requests, mut failed) = (0, Vec::new());
    wait_until("each was renewed", || {
        for _ in 0..10 {
            requests += 1;
            match crate::servers::ask(front, "GET / HTTP/1.0\r\n\r\n") {
                Some(answer) if answer.starts_with("HTTP/1.1 200") => {}
                other => failed.push(other),
            }
        }
        let rows = daemon.all();
        let away = rows.iter().filter(|row| row.name.starts_with("app:") && row.state != "RUNNING").count();
        assert!(away <= 1, "{away} are away at the same time");
        let is_new = |(name, old): (&String, &Option<i32>)| {
            rows.iter().any(|row| row.name == *name && row.pid.is_some() && row.pid != *old && row.state == "RUNNING")
        };
        names.iter().zip(&before).all(is_new)
    });
    assert!(failed.is_empty(), "{} of {requests} have failed: {:?}", failed.len(), failed.first());
    let (_, why, _) = daemon.ctl(&["history", "app:00"]);
    assert!(why.contains("restart requested by max_lifetime = 3"), "{why}");
    daemon.terminate();
}

#[test]
fn what_is_given_up_has_its_command_run_and_the_daemon_goes_on() {
    let action = "startsecs = 60\nstartretries = 0\nautorestart = false\non_fatal = command:sh -c 'echo $SUPERVICE_NAME $SUPERVICE_STATE >> DIR/told'";
    let daemon = Daemon::start(&noting("main", "exit 3", action));
    wait_until("it is told", || daemon.read("told") == "main FATAL\n");
    daemon.terminate();
}

#[test]
fn what_is_given_up_ends_the_daemon() {
    let mut daemon = Daemon::unstarted(tempfile::tempdir().expect("a directory"));
    daemon.write_config(&noting("main", "exit 3", "startsecs = 60\nstartretries = 0\non_fatal = exit"), &[]);
    daemon.launch(Command::new(env!("CARGO_BIN_EXE_supervice")));
    assert_eq!(daemon.wait().code(), Some(3), "{}", daemon.log());
    assert!(daemon.log().contains("main (FATAL, on_fatal = exit): exit code 3"), "{}", daemon.log());
}

#[test]
fn what_is_given_up_asks_the_machine_to_begin_anew_and_a_machine_that_does_not_is_told() {
    let dir = tempfile::tempdir().expect("a directory");
    for (name, script) in [("reboot", "echo asked > \"$0.asked\"".to_owned()), ("poweroff", "exit 1".to_owned())] {
        write_executable(&dir.path().join(name), format!("#!/bin/sh\n{script}\n"));
    }
    let mut daemon = Daemon::unstarted(dir);
    let keys = |action: &str| format!("startsecs = 60\nstartretries = 0\non_fatal = {action}");
    let programs = [noting("one", "exit 1", &keys("reboot")), noting("two", "exit 1", &keys("poweroff"))].concat();
    daemon.write_config(&programs, &[]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_supervice"));
    // Never the real ones.
    command.env("PATH", format!("{}:/usr/bin:/bin", daemon.dir.path().display()));
    assert!(Path::new(&daemon.path("reboot")).exists() && daemon.path("poweroff").exists());
    daemon.launch(command);
    daemon.wait_ready();
    wait_until("the machine is asked", || daemon.path("reboot.asked").exists());
    daemon.wait_log("two: on_fatal failed: exit code 1");
    daemon.terminate();
}

#[test]
fn all_that_a_program_has_started_may_use_only_so_much_memory_and_time() {
    let Some(python) = installed("python3") else { return };
    // A child of it, in a session of its own, takes the memory.
    let grows = format!(
        "import os, time; os.setsid(); kept = bytearray({} << 20); kept[::4096] = b\"x\" * len(kept[::4096]); time.sleep(300)",
        120
    );
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("grows.py"), grows).expect("a file");
    let programs = format!(
        "[program:grows]\ncommand = sh -c 'echo x >> DIR/grows.starts; {0} DIR/grows.py & wait'\nstartsecs = 0\nmax_rss = 100MB\n\
         usage_interval = 1\n[program:spins]\ncommand = sh -c 'echo x >> DIR/spins.starts; while :; do :; done'\nstartsecs = 0\n\
         max_cpu = 1%/2s\nusage_interval = 1\n[program:modest]\ncommand = sleep 300\nstartsecs = 0\nmax_rss = 100MB\n\
         max_cpu = 50%/2s\nusage_interval = 1\n",
        python.display()
    );
    let daemon = Daemon::start_in(dir, &programs, &[]);
    let modest = daemon.wait_state("modest", "RUNNING").pid;
    for (name, reason) in [("grows", "max_rss: it uses 1"), ("spins", "max_cpu: ")] {
        wait_until(&format!("{name} is restarted"), || starts(&daemon, name) >= 2);
        let (_, history, _) = daemon.ctl(&["history", name]);
        assert!(history.contains(&format!("restart requested by {reason}")), "{history}");
    }
    assert_eq!(daemon.status("modest").pid, modest);
    daemon.terminate();
}
