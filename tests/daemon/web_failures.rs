//! What goes wrong at the web faces and metrics of others, and must not go wrong here. The number in a test's name is that of the row
//! in the list of known failures (packaging/failures.md).

use std::collections::BTreeMap;

use crate::harness::{Daemon, wait_until};
use crate::http::{ask, body, free_port, get, local, remote};

/// What lives, and what was done to it.
fn facts(daemon: &Daemon) -> Vec<(String, String, Option<i32>)> {
    daemon.all().into_iter().map(|process| (process.name, process.state, process.pid)).collect()
}

/// Every path with every verb, with parameters, and what is none: whoever follows links follows them all.
#[test]
fn row_117_no_get_changes_anything() {
    let daemon = Daemon::start(
        "[program:web]\ncommand = sleep 1000\nstartsecs = 0\n\
         [program:off]\ncommand = sleep 1000\nautostart = false\n",
    );
    daemon.wait_state("web", "RUNNING");
    let before = facts(&daemon);
    let verbs = "start stop restart kill signal reload clear update shutdown reopen stdin startgroup stopgroup \
                 loglevel flag halt poweroff reboot";
    for verb in verbs.split_whitespace() {
        for path in [
            format!("/api/v1/programs/web/{verb}"),
            format!("/api/v1/programs/off/{verb}?wait=false"),
            format!("/api/v1/{verb}"),
            format!("/api/v1/command?command={verb}&name=web"),
            format!("/{verb}"),
            format!("/index.html?action={verb}&processname=web"),
            format!("/?processname=off&action={verb}"),
        ] {
            let (status, answer) = ask(local(&daemon), &get(&path));
            assert!(!answer.contains("a panic") && status != 500, "{path}: {answer}");
            let head = get(&path).replacen("GET", "HEAD", 1);
            assert_ne!(ask(local(&daemon), &head).0, 500, "{path}");
        }
    }
    assert_eq!(facts(&daemon), before);
    let log = daemon.terminate();
    // But for the signal that has just ended it.
    assert!(!log.replace("shutdown: asked by SIGTERM", "").contains("asked by"), "{log}");
}

fn basic(credentials: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in credentials.as_bytes().chunks(3) {
        let bits = three.iter().fold(0, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place)) as usize & 63];
            text.push(if place <= three.len() { char::from(digit) } else { '=' });
        }
    }
    get("/api/v1/status").replacen("\r\n\r\n", &format!("\r\nAuthorization: Basic {text}\r\n\r\n"), 1)
}

#[test]
fn row_120_a_password_may_hold_anything_and_no_answer_tells_users_apart() {
    let port = free_port();
    let daemon = Daemon::start(&format!(
        "[program:web]\ncommand = sleep 1000\nstartsecs = 0\n\
         [http]\nlisten = 127.0.0.1:{port}\nusername = alice\npassword = a:b:ü%%x\n"
    ));
    let answer = |credentials: &str| ask(remote(port), &basic(credentials));
    assert_eq!(answer("alice:a:b:ü%%x").0, 200);
    // Only the date may differ.
    let said = |credentials: &str| {
        let (status, answer) = answer(credentials);
        let lines = answer.lines().filter(|line| !line.starts_with("Date: "));
        (status, lines.collect::<Vec<&str>>().join("\n"))
    };
    let wrong = said("alice:a:b:u%%x");
    assert_eq!(wrong.0, 401);
    let all = ["bob:a:b:ü%%x", "alice:", "alice:a", ":", "", "alice", "ü:ü", "alice:a:b:ü%%x:", "alice\0:a"];
    // Each answer takes a second: all of them at the same time.
    std::thread::scope(|scope| {
        for (credentials, answer) in all.map(|credentials| (credentials, scope.spawn(|| said(credentials)))) {
            assert_eq!(answer.join().expect("no panic"), wrong, "{credentials}");
        }
    });
    daemon.terminate();
}

/// Each piece of a text whose characters have one to four bytes.
#[test]
fn row_127_a_log_is_read_from_any_byte_on() {
    let daemon = Daemon::start("[program:p]\ncommand = sh -c 'printf \"aü€😀z\\n\"; exec sleep 1000'\nstartsecs = 0\n");
    let read = |offset: usize, length: usize| {
        let call = format!(
            "<?xml version='1.0'?><methodCall><methodName>supervisor.readProcessStdoutLog</methodName><params>\
             <param><value><string>p</string></value></param><param><value><int>{offset}</int></value></param>\
             <param><value><int>{length}</int></value></param></params></methodCall>"
        );
        let size = call.len();
        let request = format!(
            "POST /RPC2 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: text/xml\r\n\
             Content-Length: {size}\r\n\r\n{call}"
        );
        ask(local(&daemon), &request)
    };
    wait_until("it has written", || read(0, 100).1.contains("aü€😀z"));
    for offset in 0..12 {
        for length in 1..12 {
            let (status, answer) = read(offset, length);
            assert!(status == 200 && answer.contains("<string>"), "{offset} {length}: {answer}");
        }
    }
    daemon.terminate();
}

/// The series of these metrics, without their values, and what each program's states add up to.
fn series(daemon: &Daemon) -> (Vec<String>, BTreeMap<String, u32>) {
    let (_, answer) = ask(local(daemon), &get("/metrics"));
    let mut names = Vec::new();
    let mut states = BTreeMap::new();
    for line in body(&answer).lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').expect("a value");
        if let Some(labels) = name.strip_prefix("supervice_process_state{") {
            let program = labels.split(',').next().unwrap_or_default().to_owned();
            *states.entry(program).or_default() += value.parse::<u32>().expect("0 or 1");
        }
        names.push(name.to_owned());
    }
    (names, states)
}

#[test]
fn row_123_what_was_removed_is_gone_from_the_metrics_and_each_program_is_in_one_state() {
    let one = |name: &str| format!("[program:{name}]\ncommand = sleep 1000\nstartsecs = 0\n");
    let daemon = Daemon::start(&(one("stays") + &one("goes")));
    daemon.wait_state("goes", "RUNNING");
    let of = |name: &str| series(&daemon).0.iter().filter(|series| series.contains(name)).count();
    // What a run uses is told when it was looked at.
    wait_until("the same is told of both", || of("\"goes\"") > 5 && of("\"goes\"") == of("\"stays\""));
    for step in ["stop", "start", "restart"] {
        assert_eq!(daemon.ctl(&[step, "goes"]).0, 0);
        let (_, states) = series(&daemon);
        assert!(states.len() == 2 && states.values().all(|sum| *sum == 1), "{states:?}");
    }
    daemon.write_config(&one("stays"), &[]);
    daemon.controller().update(None).expect("it is taken");
    wait_until("it has gone", || of("\"goes\"") == 0);
    assert!(of("\"stays\"") > 5);
    daemon.terminate();
}

#[test]
fn row_124_restarts_make_no_series_and_counters_never_fall() {
    let daemon = Daemon::start("[program:web]\ncommand = sleep 1000\nstartsecs = 0\n");
    daemon.wait_state("web", "RUNNING");
    wait_until("its use was looked at", || series(&daemon).0.iter().any(|name| name.contains("open_fds{name=\"web")));
    let (before, _) = series(&daemon);
    let count = || {
        let (_, answer) = ask(local(&daemon), &get("/metrics"));
        let line = body(&answer)
            .lines()
            .find(|line| line.starts_with("supervice_process_exits_total{name=\"web\"") && line.contains("signal"));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).unwrap_or(0)
    };
    let mut last = count();
    for _ in 0..50 {
        daemon.controller().restart_process("web", true).expect("it is restarted");
        let now = count();
        assert!(now > last, "{now} after {last}");
        last = now;
    }
    let of_web = |names: &[String]| names.iter().filter(|name| name.contains("\"web\"")).cloned().collect::<Vec<_>>();
    // What a run uses is told when it was looked at.
    wait_until("the same series are there, and no other", || of_web(&series(&daemon).0) == of_web(&before));
    daemon.terminate();
}
