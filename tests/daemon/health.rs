//! `supervicectl health`: what a probe of a container's runtime asks.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::harness::{Daemon, TEST_TIMEOUT, alive, marked, wait_for, wait_until, word_in};

const PROGRAMS: &str = "[program:web]\ncommand = sleep 1000\nstartsecs = 0\n\
    [program:slow]\ncommand = sleep 1000\nstartsecs = 1000\n\
    [program:asleep]\ncommand = sleep 1000\nautostart = false\n\
    [program:broken]\ncommand = /missing/program\nautostart = false\nstartretries = 0\n";

#[test]
fn health_tells_which_and_why_in_one_line() {
    let daemon = Daemon::start(PROGRAMS);
    daemon.wait_state("web", "RUNNING");
    for (args, wanted, said) in [
        (&["health"][..], 0, "healthy: 2 processes\n"),
        (&["health", "--ready"], 1, "supervicectl: slow is STARTING, pid "),
        (&["health", "--ready", "web"], 0, "healthy: 1 process\n"),
        (&["health", "web", "asleep"], 1, "supervicectl: asleep is STOPPED, not started\n"),
        (&["health", "wbe"], 1, "supervicectl: no process 'wbe'; did you mean 'web'?\n"),
    ] {
        let (code, out, errors) = daemon.ctl(args);
        assert_eq!(code, wanted, "{args:?} {out}{errors}");
        let text = out + &errors;
        assert!(text.starts_with(said) && text.lines().count() == 1, "{args:?} {text}");
    }
    daemon.ctl(&["start", "broken"]);
    daemon.wait_state("broken", "FATAL");
    let (code, _, errors) = daemon.ctl(&["health", "broken"]);
    assert!(
        code == 1
            && errors
                .contains("broken is FATAL, cannot execute /missing/program: the directory /missing does not exist"),
        "{errors}"
    );
    daemon.ctl(&["stop", "web"]);
    assert_eq!(daemon.ctl(&["health"]).2, "supervicectl: web is STOPPED, stopped by request\n");
    daemon.terminate();
}

#[test]
fn health_follows_the_health_check() {
    let daemon = Daemon::start(
        "[program:web]\ncommand = sleep 1000\nstartsecs = 0\nautorestart = false\nhealthcheck_type = script\n\
         healthcheck_command = test -e DIR/well\nhealthcheck_interval = 1\nhealthcheck_retries = 1\n\
         healthcheck_start_period = 0\n",
    );
    daemon.wait_state("web", "UNHEALTHY");
    let (code, _, errors) = daemon.ctl(&["health"]);
    assert!(code == 1 && errors.contains("web is UNHEALTHY"), "{errors}");
    std::fs::write(daemon.path("well"), "").expect("a file");
    daemon.wait_state("web", "RUNNING");
    assert_eq!(daemon.ctl(&["health", "--ready"]).0, 0);
    daemon.terminate();
}

#[test]
fn health_never_hangs() {
    let mut daemon = Daemon::start("[program:web]\ncommand = sleep 1000\nstartsecs = 0\n");
    daemon.wait_state("web", "RUNNING");
    daemon.signal(Signal::SIGSTOP);
    let begin = Instant::now();
    let (code, out, errors) = daemon.ctl(&["health"]);
    assert!(code == 1 && errors.contains("no answer"), "{out}{errors}");
    assert!(begin.elapsed() > Duration::from_millis(1900) && begin.elapsed() < TEST_TIMEOUT);
    let begin = Instant::now();
    assert_eq!(daemon.ctl(&["--timeout", "0.2", "health"]).0, 1);
    assert!(begin.elapsed() < TEST_TIMEOUT);
    daemon.signal(Signal::SIGCONT);
    wait_for("it is well again", || (daemon.ctl(&["health"]).0 == 0).then_some(()));
    daemon.signal(Signal::SIGTERM);
    daemon.wait();
    let (code, _, errors) = daemon.ctl(&["health"]);
    assert!(code == 1 && errors.contains("no daemon"), "{code} {errors}");
}

/// Checks by script, each a second after the other, that are answered by one.
fn checked(name: &str, script: &str, timeout: u32) -> String {
    format!(
        "[program:{name}]\ncommand = sleep 1000\nstartsecs = 0\nautorestart = false\nhealthcheck_type = script\n\
         healthcheck_command = {script}\nhealthcheck_interval = 1\nhealthcheck_retries = 1\n\
         healthcheck_start_period = 0\nhealthcheck_timeout = {timeout}\n"
    )
}

fn pid_in(daemon: &Daemon, file: &str) -> i32 {
    word_in(&daemon.path(file)).parse().expect("a pid")
}

/// Two checks under way at once are not taken for each other, and hold up nobody else's stop.
#[test]
fn each_script_answers_for_its_own_program() {
    let sections = checked("well", "sleep 0.3;exit 0", 1000)
        + &checked("ill", "sleep 0.3;exit 1", 1000)
        + &checked("slow", "echo $$ >DIR/slow;exec sleep 1000", 1000)
        + "[program:other]\ncommand = sleep 1000\nstartsecs = 0\n";
    let daemon = Daemon::start(&sections);
    daemon.wait_state("ill", "UNHEALTHY");
    wait_for("the good answer", || (daemon.status("well").healthy == Some(true)).then_some(()));
    assert_eq!(daemon.status("well").state, "RUNNING");
    let script = pid_in(&daemon, "slow");
    assert_eq!(daemon.ctl(&["--timeout", "100", "stop", "other"]).0, 0);
    assert!(alive(script), "another one's");
    assert_eq!(daemon.ctl(&["--timeout", "100", "stop", "slow"]).0, 0);
    // It is killed with its program, which does not wait until the kernel has taken it apart.
    wait_until("it ends with its program", || !alive(script));
    daemon.terminate();
}

#[test]
fn a_script_that_takes_too_long_is_ended() {
    let daemon = Daemon::start(&checked("web", "echo $$ >DIR/script;exec sleep 1000", 1));
    let script = pid_in(&daemon, "script");
    let status = daemon.wait_state("web", "UNHEALTHY");
    assert!(status.description.as_deref().unwrap_or_default().contains("within 1 s"), "{status:?}");
    wait_for("the script is gone", || (!alive(script)).then_some(()));
    daemon.terminate();
}

/// Row 115, by the hundreds: a hundred scripts at a time are too slow, with children of their own.
#[test]
fn row_115_hundreds_of_time_outs_leave_nothing_behind() {
    let script = "echo >>DIR/begun;sleep 1000 & sleep 1000";
    let daemon = Daemon::start(&format!(
        "{}healthcheck_action = none\nnumprocs = 100\nenvironment = MARK=row-115-TEST\n",
        checked("web", script, 1)
    ));
    let begun = || daemon.read("begun").lines().count();
    // Each has begun three times, so that two hundred have been ended.
    wait_until("hundreds have begun", || daemon.path("begun").exists() && begun() >= 300);
    // Those that were killed may not be gone yet; what stays would become more and more.
    wait_until("there is each program, and what its last script has started", || marked("row-115").len() <= 400);
    assert_eq!(daemon.ctl(&["stop", "all"]).0, 0);
    // A script is killed with its program, which does not wait until the kernel has taken it apart.
    wait_until("they have gone", || marked("row-115").is_empty());
    wait_until("no zombie is left either", || {
        let threads = std::fs::read_dir(format!("/proc/{}/task", daemon.pid())).expect("its threads");
        let children = |thread: std::fs::DirEntry| std::fs::read_to_string(thread.path().join("children"));
        threads.flatten().all(|thread| children(thread).unwrap_or_default().is_empty())
    });
    daemon.terminate();
}

/// The names of the daemon's threads.
fn threads(daemon: &Daemon) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", daemon.pid())).expect("its threads");
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.map(|name| name.trim().to_owned()).collect()
}

/// A socket whose queue is full: whoever connects waits.
fn full_socket(path: &std::path::Path) -> Vec<std::os::fd::OwnedFd> {
    use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, connect, listen, socket};
    use std::os::fd::AsRawFd;
    let (flags, stream) = (SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, SockType::Stream);
    let unix = || socket(AddressFamily::Unix, stream, flags, None).expect("a socket");
    let address = UnixAddr::new(path).expect("a path");
    let full = unix();
    bind(full.as_raw_fd(), &address).expect("bound");
    listen(&full, Backlog::new(0).expect("none")).expect("it listens");
    let mut held = vec![full];
    loop {
        let client = unix();
        if connect(client.as_raw_fd(), &address).is_err() {
            return held;
        }
        held.push(client);
    }
}

#[test]
fn a_check_has_a_thread_only_as_long_as_it_takes() {
    let dir = tempfile::tempdir().expect("a directory");
    let _full = full_socket(&dir.path().join("full"));
    let check = "startsecs = 0\nautorestart = false\nhealthcheck_start_period = 0\nhealthcheck_retries = 1";
    let daemon = Daemon::start_in(
        dir,
        &format!(
            "[program:quick]\ncommand = sleep 1000\nhealthcheck_type = tcp\nhealthcheck_port = 1\n{check}\n\
             [program:slow]\ncommand = sleep 1000\nhealthcheck_type = unix\nhealthcheck_path = DIR/full\n\
             healthcheck_timeout = 2\n{check}"
        ),
        &[],
    );
    let has_thread = |name: &str| threads(&daemon).iter().any(|thread| thread == name);
    wait_for("the check takes its time", || has_thread("health:slow").then_some(()));
    wait_for("the other one has its answer", || daemon.status("quick").healthy);
    wait_for("its thread has ended", || (!has_thread("health:quick")).then_some(()));
    assert_eq!(daemon.ctl(&["stop", "slow"]).0, 0, "the answer is not waited for");
    assert_eq!(daemon.ctl(&["start", "slow"]).0, 0, "nor by the next run");
    let status = daemon.wait_state("slow", "UNHEALTHY");
    assert!(status.description.as_deref().unwrap_or_default().contains("no answer within 2 s"), "{status:?}");
    wait_for("no thread is left", || (!has_thread("health:slow")).then_some(()));
    daemon.terminate();
}

/// A name server that takes what it is asked and says nothing: in a network of the daemon's own, where it is a program.
#[test]
fn a_name_server_that_does_not_answer_costs_a_check_its_time_and_nobody_else() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("resolv.conf"), "nameserver 127.0.0.1\n").expect("a file");
    let set_up = format!(
        "ip link set lo up && mount --bind {}/resolv.conf /etc/resolv.conf && exec \"$@\"",
        dir.path().display()
    );
    let alone = || {
        let mut command = std::process::Command::new("unshare");
        command.args(["--mount", "--net", "--", "sh", "-c", &set_up, "sh"]);
        command
    };
    if !alone().arg("true").output().is_ok_and(|output| output.status.success()) {
        println!(
            "SKIPPED: needs root, unshare(1), ip(8) and an /etc/resolv.conf to set up a network without a name server"
        );
        return;
    }
    let checked = |name: &str, command: &str, host: &str| {
        format!(
            "[program:{name}]\ncommand = {command}\nstartsecs = 0\nhealthcheck_type = tcp\nhealthcheck_host = {host}\n\
             healthcheck_port = 80\nhealthcheck_interval = 1\nhealthcheck_timeout = 1\nhealthcheck_retries = 100\n\
             healthcheck_start_period = 0\n"
        )
    };
    let serve = |kind: &str, port: u16, more: &str| {
        format!(
            "python3 -c \"import socket,time; s=socket.socket(socket.AF_INET,socket.{kind}); s.bind(('127.0.0.1',{port})); \
             {more}; time.sleep(1000)\""
        )
    };
    let sections = format!("[program:dns]\ncommand = {}\nstartsecs = 0\n", serve("SOCK_DGRAM", 53, "1"))
        + &checked("served", &serve("SOCK_STREAM", 80, "s.listen()"), "127.0.0.1")
        + &checked("web", "sleep 1000", "db.example.com");
    let mut daemon = Daemon::unstarted(dir);
    daemon.write_config(&sections, &[]);
    let mut command = alone();
    command.arg(env!("CARGO_BIN_EXE_supervice"));
    daemon.launch(command);
    daemon.wait_ready();
    daemon.wait_log("web: health check failed: cannot resolve db.example.com: no answer within 1 s");
    wait_for("the other is healthy", || (daemon.status("served").healthy == Some(true)).then_some(()));
    // The first look-up has not ended: the next run is checked all the same, and not charged with it.
    let told = || daemon.log().matches("no answer within 1 s").count();
    for _ in 0..2 {
        let before = told();
        assert_eq!(daemon.ctl(&["restart", "web"]).0, 0);
        wait_for("the new run is checked", || (told() > before).then_some(()));
    }
    let lookups = threads(&daemon).iter().filter(|name| *name == "lookup").count();
    assert!(lookups <= 1, "one thread asks for a name");
    assert!(!daemon.log().contains("has not ended yet"), "{}", daemon.log());
    assert_eq!(daemon.status("served").healthy, Some(true));
    daemon.terminate();
}

#[test]
fn the_last_line_of_a_script_is_told_whatever_it_does_with_its_output() {
    let sections = checked("flood", "head -c 1000000 /dev/zero | tr '\\0' x >&2;echo >&2;echo done >&2;exit 3", 100)
        + &checked("closed", "exec 2>&-;sleep 0.1;exit 4", 100)
        + &checked("held", "setsid sleep 1000 & echo held >&2;exit 5", 100)
        + &checked("silent", "exit 6", 100)
        + &checked("killed", "echo on its way >&2;kill -9 $$", 100)
        + &checked("late", "echo stuck >&2;exec sleep 1000", 1);
    let daemon = Daemon::start(&sections);
    for (name, wanted) in [
        ("flood", "exit code 3: done"),
        ("closed", "exit code 4"),
        ("held", "exit code 5: held"),
        ("silent", "exit code 6"),
        ("killed", "killed by SIGKILL: on its way"),
        ("late", "no answer within 1 s: stuck"),
    ] {
        // On a busy machine a shell does not come to its first word within the second of one check.
        wait_until(&format!("{name} is told: {wanted}"), || {
            let status = daemon.wait_state(name, "UNHEALTHY");
            status.description.is_some_and(|told| told.ends_with(wanted))
        });
    }
    daemon.terminate();
}

#[test]
fn scripts_need_no_thread_and_one_that_hangs_delays_no_restart() {
    let mut sections = checked("hangs", "echo $$ >DIR/script;exec sleep 1000", 1000);
    for number in 0..20 {
        sections.push_str(&checked(&format!("p{number}"), "true", 100).replace("autorestart = false\n", ""));
    }
    let daemon = Daemon::start(&sections);
    let script = pid_in(&daemon, "script");
    let healthy = || daemon.all().iter().filter(|process| process.healthy == Some(true)).count() == 20;
    wait_for("all others are healthy", || healthy().then_some(()));
    let names = threads(&daemon);
    assert!(!names.is_empty() && names.iter().all(|name| !name.starts_with("health")), "{names:?}");
    let before = daemon.status("p7").pid.expect("a pid");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(before), Signal::SIGKILL).expect("it lives");
    wait_for("it is started anew and healthy", || {
        let status = daemon.status("p7");
        (status.pid.is_some_and(|pid| pid != before) && status.healthy == Some(true)).then_some(())
    });
    assert!(alive(script), "it hangs all the while");
    daemon.terminate();
    assert!(!alive(script), "it ends with the daemon");
}

/// A check of this kind that fails from when it is up until the file is there, and what follows then.
fn reacts(action: &str) -> Daemon {
    let daemon = Daemon::start(&format!(
        "[program:web]\nstartsecs = 0\nhealthcheck_type = script\nhealthcheck_command = ! test -e DIR/up || test -e DIR/well\n\
         healthcheck_interval = 1\nhealthcheck_retries = 1\nhealthcheck_start_period = 0\nhealthcheck_action = {action}\n\
         command = sh -c 'trap \"echo got >> DIR/got\" HUP; echo up >> DIR/up; while :; do sleep 0.02; done'"
    ));
    daemon.wait_state("web", "UNHEALTHY");
    daemon
}

#[test]
fn what_is_unhealthy_gets_a_signal_and_goes_on() {
    let daemon = reacts("signal:HUP");
    word_in(&daemon.path("got"));
    daemon.wait_log("web: SIGHUP requested by its health checks");
    std::fs::write(daemon.path("well"), "").expect("a file");
    daemon.wait_state("web", "RUNNING");
    assert_eq!((daemon.read("up"), daemon.read("got")), ("up\n".to_owned(), "got\n".to_owned()));
    daemon.terminate();
}

#[test]
fn what_is_unhealthy_has_a_command_run_and_goes_on() {
    let daemon =
        reacts("command:echo $$ > DIR/paged; echo nobody is there, $SUPERVICE_NAME of $SUPERVICE_GROUP >&2; exit 3");
    word_in(&daemon.path("paged"));
    let told = "the command for its bad health (healthcheck_action): exit code 3: nobody is there, web of web";
    daemon.wait_log(&format!("web: {told}"));
    let why = daemon.controller().why("web").expect("why").lines.join("\n");
    assert!(why.contains(told), "{why}");
    assert_eq!(daemon.status("web").state, "UNHEALTHY");
    assert_eq!(daemon.read("up"), "up\n");
    daemon.terminate();
}

/// Row 112: refused and answered with a bad status are told apart. A check by HTTP behind a Unix socket, and one by a connection.
#[test]
fn health_is_asked_by_http_and_at_a_unix_socket() {
    let dir = tempfile::tempdir().expect("a directory");
    let listener = std::os::unix::net::UnixListener::bind(dir.path().join("http")).expect("a socket");
    let server = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut requests, mut silent) = (Vec::new(), 0);
        let mut answer = |status: &str, request: &mut String| {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut buffer = [0; 1024];
            let count = stream.read(&mut buffer).unwrap_or(0);
            request.push_str(&String::from_utf8_lossy(&buffer[..count]));
            silent += usize::from(count == 0);
            let _ = stream.write_all(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes());
            silent
        };
        for status in ["503 Busy", "200 OK"] {
            // The check of the socket alone connects and says nothing.
            let mut request = String::new();
            while request.is_empty() {
                answer(status, &mut request);
            }
            requests.push(request);
        }
        while answer("200 OK", &mut String::new()) == 0 {}
        requests
    });
    let check = "startsecs = 0\nautorestart = false\nhealthcheck_interval = 1\nhealthcheck_retries = 1\nhealthcheck_start_period = 0";
    let daemon = Daemon::start_in(
        dir,
        &format!(
            "[program:http]\ncommand = sleep 1000\nhealthcheck_type = http\nhealthcheck_url = http://unix:DIR/http:/up\n\
             healthcheck_header = X-Token: secret\n    X-Other: b\n{check}\n\
             [program:unix]\ncommand = sleep 1000\nhealthcheck_type = unix\nhealthcheck_path = DIR/http\n{check}"
        ),
        &[],
    );
    daemon.wait_log("http: health check failed: status 503 (Busy) from http://unix:");
    daemon.wait_log("http: health check passed: status 200 (OK) from http://unix:");
    daemon.wait_log("unix: health check passed: connected to ");
    let requests = server.join().expect("no panic");
    assert!(requests[0].starts_with("GET /up HTTP/1.1\r\n"), "{requests:?}");
    assert!(requests[0].ends_with("X-Token: secret\r\nX-Other: b\r\n\r\n"), "{requests:?}");
    daemon.wait_log("unix: health check failed: cannot connect to ");
    daemon.terminate();
}

/// The remedy is another one: the program may be well.
#[test]
fn a_check_that_cannot_be_run_is_told_from_one_that_fails() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(dir.path().join("gone")).expect("a directory");
    std::fs::write(dir.path().join("plain"), "#!/bin/sh\n").expect("a file");
    let check = |name: &str, keys: &str| {
        format!(
            "[program:{name}]\ncommand = sleep 1000\nstartsecs = 0\nautorestart = false\nhealthcheck_type = script\n\
             healthcheck_interval = 1\nhealthcheck_retries = 1\nhealthcheck_start_period = 0\n{keys}\n"
        )
    };
    let sections = check("missing", "healthcheck_command = /no/such/check")
        + &check("plain", "healthcheck_command = DIR/plain")
        + &check("directory", "directory = DIR/gone\nhealthcheck_command = test -e DIR/go")
        + &check("fails", "healthcheck_command = echo broken >&2; exit 1");
    let daemon = Daemon::start_in(dir, &sections, &[]);
    // It is there for the start of the program alone.
    daemon.wait_state("directory", "UNHEALTHY");
    std::fs::remove_dir(daemon.path("gone")).expect("it is empty");
    let told = |why: &str| format!("the check itself {why}");
    for (name, why) in [
        ("missing", "may not have run: exit code 127: "),
        ("plain", "may not have run: exit code 126: "),
        ("directory", "cannot be run: cannot enter directory "),
    ] {
        daemon.wait_log(&format!("{name}: health check failed: {}", told(why)));
        wait_until("why tells it", || daemon.ctl(&["why", name]).1.contains(&told(why)));
        wait_until("health tells it", || daemon.ctl(&["health", name]).2.contains("UNHEALTHY"));
    }
    assert!(daemon.ctl(&["health", "missing"]).2.contains(&told("may not have run: exit code 127")));
    assert!(daemon.status("plain").description.is_some_and(|text| text.contains(&told("may not have run:"))));
    daemon.wait_log("fails: health check failed: exit code 1: broken");
    daemon.terminate();
}
