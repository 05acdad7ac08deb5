//! Rules of access on every face: who may do what, what is shown to whom, what the log tells, and what the pages of others
//! are refused.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Output};

use crate::harness::Daemon;
use crate::http::{ask, body, free_port, local, read_until, remote};

/// Programs `web` (in the group `front`) and `db`, and who may do what with them.
fn sections(port: u16) -> String {
    format!(
        "[program:web]\ncommand = sh -c 'echo hello from web; exec cat'\nstartsecs = 0\nstdin = pipe\n\
         [group:front]\nprograms = web\n\
         [program:db]\ncommand = sleep 1000\nstartsecs = 0\n\
         [http]\nlisten = 127.0.0.1:{port}\nusers_file = DIR/users\n\
         [access:operators]\nwho = http:bob\nallow = all\n\
         [access:web]\nwho = http:alice, user:1234\nallow = read, restart\nprograms = w*\n\
         [access:front]\nwho = http:carol, group:5678\nallow = logs, stdin, read\nprograms = group:front\n"
    )
}

struct Fixture {
    daemon: Daemon,
    port: u16,
}

impl Fixture {
    fn new() -> Fixture {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).expect("a mode");
        let users = ["alice", "bob", "carol", "dave"].map(|name| format!("{name}:pw\n")).concat();
        std::fs::write(dir.path().join("users"), users).expect("written");
        let port = free_port();
        let daemon = Daemon::start_in(dir, &sections(port), &["socket_mode = 0666"]);
        daemon.wait_state("web", "RUNNING");
        daemon.wait_state("db", "RUNNING");
        Fixture { daemon, port }
    }

    /// What this user of HTTP is answered.
    fn send(&self, user: &str, method: &str, path: &str, kind: &str, content: &str) -> (u16, String) {
        let request = self.request(user, method, path, kind, content);
        ask(remote(self.port), &request)
    }

    fn request(&self, user: &str, method: &str, path: &str, kind: &str, content: &str) -> String {
        let credentials = match user {
            "alice" => "YWxpY2U6cHc=",
            "bob" => "Ym9iOnB3",
            "carol" => "Y2Fyb2w6cHc=",
            _ => "ZGF2ZTpwdw==",
        };
        format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {credentials}\r\nConnection: close\r\n\
             Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n{content}",
            content.len()
        )
    }

    fn json(&self, user: &str, content: &str) -> (u16, String) {
        self.send(user, "POST", "/api/v1/command", "application/json", content)
    }

    fn get(&self, user: &str, path: &str) -> (u16, String) {
        self.send(user, "GET", path, "text/plain", "")
    }

    fn rpc(&self, user: &str, method: &str, params: &[&str]) -> (u16, String) {
        let params: String = params.iter().map(|param| format!("<param><value>{param}</value></param>")).collect();
        let call = format!(
            "<?xml version='1.0'?><methodCall><methodName>supervisor.{method}</methodName><params>{params}</params></methodCall>"
        );
        self.send(user, "POST", "/RPC2", "text/xml", &call)
    }

    /// `supervicectl` of another user of this machine, by frames; `None`: it can't be executed by him.
    fn ctl_as(&self, uid: u32, gid: u32, args: &[&str]) -> Option<(i32, String, String)> {
        let ctl = |arguments: &[&str]| -> std::io::Result<Output> {
            let mut command = Command::new(env!("CARGO_BIN_EXE_supervicectl"));
            command.arg("-s").arg(self.daemon.path("ctl.sock")).args(arguments).current_dir("/");
            command.uid(uid).gid(gid).output()
        };
        let Ok(output) = ctl(args) else {
            assert!(std::env::var_os("SUPERVICE_TEST_REQUIRE").is_none(), "root is needed, and a binary for all");
            return None;
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Some((output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr)))
    }
}

/// What is asked for, and who may: alice, bob, carol, dave.
type Row<'r> = (&'r str, [bool; 4]);

const USERS: [&str; 4] = ["alice", "bob", "carol", "dave"];

#[test]
fn json_each_request_of_each_user_is_done_or_refused_as_the_rules_say() {
    let board = Fixture::new();
    let table: [Row; 15] = [
        (r#"{"command":"ping"}"#, [true, true, true, true]),
        (r#"{"command":"access"}"#, [true, true, true, true]),
        (r#"{"command":"status"}"#, [true, true, true, false]),
        (r#"{"command":"status","name":"web"}"#, [true, true, true, false]),
        (r#"{"command":"status","name":"db"}"#, [false, true, false, false]),
        (r#"{"command":"why","name":"db"}"#, [false, true, false, false]),
        (r#"{"command":"graph","names":["web","db"]}"#, [false, true, false, false]),
        (r#"{"command":"signal","name":"web","signal":"CONT"}"#, [false, true, false, false]),
        (r#"{"command":"stdin","name":"web","text":"x\n"}"#, [false, true, true, false]),
        (r#"{"command":"tail","name":"web"}"#, [false, true, true, false]),
        (r#"{"command":"clear","name":"web"}"#, [false, true, false, false]),
        (r#"{"command":"restart","name":"web"}"#, [true, true, false, false]),
        (r#"{"command":"stop","name":"db"}"#, [false, true, false, false]),
        (r#"{"command":"start","name":"db"}"#, [false, true, false, false]),
        (r#"{"command":"loglevel","level":"DEBUG"}"#, [false, true, false, false]),
    ];
    for (request, allowed) in table {
        for (user, allowed) in USERS.into_iter().zip(allowed) {
            let (status, answer) = board.json(user, request);
            assert_eq!(status, if allowed { 200 } else { 403 }, "{user}: {request}: {answer}");
            assert_eq!(answer.contains(r#""code":"FORBIDDEN""#), !allowed, "{user}: {request}: {answer}");
        }
    }
    // Only bob may, and there is no signal, log or level of which the log does not tell who has asked.
    for line in [
        "restart web: asked by alice at 127.0.0.1:",
        "stop db: refused, no rule of access allows it; asked by dave at 127.0.0.1:",
        "loglevel DEBUG: refused, no rule of access allows it; asked by carol at 127.0.0.1:",
        "see db: refused, no rule of access allows it; asked by alice at 127.0.0.1:",
    ] {
        board.daemon.wait_log(line);
    }
    // What may be there is not told by what is refused.
    let (there, nowhere) = (board.get("alice", "/api/v1/programs/db").1, board.get("alice", "/api/v1/programs/dx").1);
    assert_eq!(body(&there).replace("db", "dx"), body(&nowhere));
    assert_eq!(board.get("alice", "/api/v1/programs/wx").0, 404);
    assert_eq!(board.json("alice", r#"{"command":"stopgroup","name":"front"}"#).0, 403);
    assert_eq!(board.json("alice", r#"{"command":"stopgroup","name":"none"}"#).0, 403);
    // Of several each is answered for itself.
    let (status, answer) = board.json("alice", r#"{"command":"restart","names":["web","db"]}"#);
    assert!(status == 200 && answer.contains("Restarted web") && answer.contains("you to restart db"), "{answer}");
    board.daemon.terminate();
}

/// The verbs that are younger than the rules. What becomes of an allowed one is tested where it is at home.
#[test]
fn json_what_was_added_later_is_under_the_same_rules() {
    let board = Fixture::new();
    let nobody_else = [false, true, false, false];
    let readers = [true, true, true, false];
    for (request, allowed) in [
        (r#"{"command":"pause","name":"web"}"#, nobody_else),
        (r#"{"command":"resume","name":"web"}"#, nobody_else),
        (r#"{"command":"disable","name":"web"}"#, nobody_else),
        (r#"{"command":"enable","name":"web"}"#, nobody_else),
        (r#"{"command":"reloadprocess","name":"web"}"#, nobody_else),
        (r#"{"command":"scale","name":"web","instances":2}"#, nobody_else),
        (r#"{"command":"cat","name":"web"}"#, readers),
        (r#"{"command":"cat","name":"db"}"#, nobody_else),
        (r#"{"command":"cat","name":"web","secrets":true}"#, nobody_else),
        (r#"{"command":"flags"}"#, readers),
        (r#"{"command":"setflag","name":"x"}"#, nobody_else),
        (r#"{"command":"clearflag","name":"x"}"#, nobody_else),
        (r#"{"command":"reread"}"#, nobody_else),
        // The daemon reads it with its own rights: for root and its own user alone.
        (r#"{"command":"reread","file":"/etc/passwd"}"#, [false, false, false, false]),
        (r#"{"command":"reread","secrets":true}"#, nobody_else),
        (r#"{"command":"run","argv":["true"]}"#, nobody_else),
        (r#"{"command":"kill","name":"web"}"#, nobody_else),
        (r#"{"command":"history","name":"db"}"#, nobody_else),
        (r#"{"command":"blame","names":["db"]}"#, nobody_else),
        (r#"{"command":"pid","name":"db"}"#, nobody_else),
        (r#"{"command":"events","types":["STATE"],"history":1}"#, readers),
        (r#"{"command":"wait","name":"db","for":"running"}"#, nobody_else),
        (r#"{"command":"sendevent","type":"a","data":"b"}"#, nobody_else),
        (r#"{"command":"reopen"}"#, nobody_else),
        (r#"{"command":"confirm"}"#, nobody_else),
        (r#"{"command":"update"}"#, nobody_else),
        (r#"{"command":"shutdown"}"#, [false, false, false, false]),
    ] {
        for (user, allowed) in USERS.into_iter().zip(allowed) {
            // He may, and this test goes on.
            if user == "bob" && request.contains("shutdown") {
                continue;
            }
            let mut stream = remote(board.port);
            let asked = board.request(user, "POST", "/api/v1/command", "application/json", request);
            stream.write_all(asked.as_bytes()).expect("it reads");
            let begin = read_until(&mut stream, "\r\n\r\n");
            assert_eq!(begin.starts_with("HTTP/1.1 403"), !allowed, "{user}: {request}: {begin}");
        }
    }
    // To be attached is for the socket, whoever asks.
    for request in [r#"{"command":"attach","name":"web"}"#, r#"{"command":"run","argv":["true"],"attach":true}"#] {
        assert_eq!(board.json("bob", request).0, 400, "{request}");
    }
    for (path, allowed) in [
        ("programs/web/settings", readers),
        ("programs/db/settings", nobody_else),
        ("programs/db/config", nobody_else),
        ("programs/web/graph", readers),
        ("flags", readers),
        ("usage", readers),
    ] {
        for (user, allowed) in USERS.into_iter().zip(allowed) {
            let (status, answer) = board.get(user, &format!("/api/v1/{path}"));
            assert_eq!(status == 403, !allowed, "{user}: {path}: {answer}");
        }
    }
    for verb in ["pause", "resume", "reload", "kill", "signal?signal=CONT"] {
        for (user, allowed) in USERS.into_iter().zip(nobody_else) {
            let path = format!("/api/v1/programs/web/{verb}");
            let (status, answer) = board.send(user, "POST", &path, "application/json", "");
            assert_eq!(status == 403, !allowed, "{user}: {path}: {answer}");
        }
    }
    for line in [
        "run true: refused, no rule of access allows it; asked by alice at 127.0.0.1:",
        "pause web: refused, no rule of access allows it; asked by carol at 127.0.0.1:",
        "disable web: refused, no rule of access allows it; asked by dave at 127.0.0.1:",
    ] {
        board.daemon.wait_log(line);
    }
    board.daemon.terminate();
}

#[test]
fn names_that_may_not_be_read_are_shown_nowhere() {
    let board = Fixture::new();
    for path in ["status", "history", "graph", "access"] {
        for (user, sees) in [("alice", false), ("bob", true)] {
            let (status, answer) = board.get(user, &format!("/api/v1/{path}"));
            assert!(status == 200 && answer.contains("\"web\""), "{user} {path}: {answer}");
            assert_eq!(answer.contains("\"db\""), sees, "{user} {path}: {answer}");
        }
    }
    for (user, sees) in [("alice", false), ("bob", true)] {
        let (_, metrics) = board.get(user, "/metrics");
        assert!(metrics.contains("name=\"web\"") && metrics.contains("name=\"db\"") == sees, "{user}: {metrics}");
        let (_, blame) = board.json(user, r#"{"command":"blame"}"#);
        assert!(blame.contains("\"web\"") && blame.contains("\"db\"") == sees, "{user}: {blame}");
        let (_, all) = board.rpc(user, "getAllProcessInfo", &[]);
        assert!(all.contains(">web<") && all.contains(">db<") == sees, "{user}: {all}");
        let (_, all) = board.rpc(user, "getAllConfigInfo", &[]);
        assert!(all.contains(">web<") && all.contains(">db<") == sees, "{user}: {all}");
    }
    assert_eq!(board.get("dave", "/api/v1/status").0, 403);
    assert_eq!(board.get("dave", "/metrics").0, 403);
    // Whether all is ready is told to everybody, but not the name of what is not.
    board.daemon.controller().stop_process("db").expect("it is stopped");
    let (status, answer) = board.get("alice", "/readyz");
    assert!(status == 503 && body(&answer) == "1 that you may not see\n", "{answer}");
    let (status, answer) = ask(local(&board.daemon), "GET /readyz HTTP/1.0\r\n\r\n");
    assert!(status == 503 && body(&answer).starts_with("db is STOPPED"), "{answer}");
    board.daemon.terminate();
}

#[test]
fn xml_rpc_is_refused_by_http_alone_and_by_a_fault_among_several() {
    let board = Fixture::new();
    for (method, params, allowed) in [
        ("getProcessInfo", &["front:web"][..], [true, true, true, false]),
        ("getProcessInfo", &["db"], [false, true, false, false]),
        ("readProcessStdoutLog", &["front:web", "<int>0</int>", "<int>10</int>"], [false, true, true, false]),
        ("sendProcessStdin", &["front:web", "x"], [false, true, true, false]),
        ("signalProcess", &["front:web", "CONT"], [false, true, false, false]),
        ("stopProcess", &["db"], [false, true, false, false]),
        ("startProcess", &["db"], [false, true, false, false]),
        ("reloadConfig", &[], [false, true, false, false]),
        ("readLog", &["<int>0</int>", "<int>10</int>"], [false, true, false, false]),
        ("getState", &[], [true, true, true, true]),
    ] {
        for (user, allowed) in USERS.into_iter().zip(allowed) {
            let (status, answer) = board.rpc(user, method, params);
            // The daemon of this test has no log file of its own.
            let is_done = status == 200 && (method == "readLog" || !answer.contains("<fault>"));
            assert_eq!((is_done, status == 403), (allowed, !allowed), "{user}: {method} {params:?}: {answer}");
        }
    }
    let inner = "<struct><member><name>methodName</name><value>supervisor.stopProcess</value></member><member>\
        <name>params</name><value><array><data><value>db</value></data></array></value></member></struct>";
    let call = format!(
        "<methodCall><methodName>system.multicall</methodName><params><param><value><array><data><value>{inner}</value>\
         </data></array></value></param></params></methodCall>"
    );
    let (status, answer) = board.send("alice", "POST", "/RPC2", "text/xml", &call);
    assert!(status == 200 && answer.contains("<int>30</int>") && answer.contains("FAILED: "), "{answer}");
    assert_eq!(board.daemon.status("db").state, "RUNNING");
    board.daemon.terminate();
}

#[test]
fn streams_show_what_may_be_read_and_end_when_the_rules_change() {
    let board = Fixture::new();
    for (user, allowed) in USERS.into_iter().zip([true, true, true, false]) {
        let mut stream = remote(board.port);
        stream.write_all(board.request(user, "GET", "/api/v1/events", "text/plain", "").as_bytes()).expect("it reads");
        let begin = read_until(&mut stream, "\r\n\r\n");
        assert_eq!(begin.starts_with("HTTP/1.1 200"), allowed, "{user}: {begin}");
    }
    for (path, allowed) in [
        ("/logtail/front:web", [false, true, true, false]),
        ("/logtail/db/stdout", [false, true, false, false]),
        ("/api/v1/programs/web/log?follow=true", [false, true, true, false]),
    ] {
        for (user, allowed) in USERS.into_iter().zip(allowed) {
            let mut stream = remote(board.port);
            stream.write_all(board.request(user, "GET", path, "text/plain", "").as_bytes()).expect("it reads");
            let begin = read_until(&mut stream, "\r\n\r\n");
            assert_eq!(begin.starts_with("HTTP/1.1 200"), allowed, "{user} {path}: {begin}");
            assert_eq!(begin.starts_with("HTTP/1.1 403"), !allowed, "{user} {path}: {begin}");
        }
    }
    let follow = |user| {
        let mut stream = remote(board.port);
        stream.write_all(board.request(user, "GET", "/api/v1/events", "text/plain", "").as_bytes()).expect("it reads");
        read_until(&mut stream, ": supervice\n\n");
        stream
    };
    let (mut alice, mut bob) = (follow("alice"), follow("bob"));
    let controller = board.daemon.controller();
    controller.restart_process("db", true).expect("it is restarted");
    controller.restart_process("web", true).expect("it is restarted");
    let told = read_until(&mut alice, "\"processname\":\"web\"");
    assert!(!told.contains("\"db\""), "{told}");
    read_until(&mut bob, "\"processname\":\"db\"");
    // Alice loses what she had; what she follows ends with it.
    let users = sections(board.port).replace("who = http:alice, user:1234", "who = user:1234");
    board.daemon.write_config(&users, &["socket_mode = 0666"]);
    let (code, told, _) = board.daemon.ctl(&["update"]);
    assert!(code == 0 && told.contains("access"), "{told}");
    let mut rest = String::new();
    alice.read_to_string(&mut rest).expect("the end");
    assert_eq!(board.get("alice", "/api/v1/status").0, 403);
    assert_eq!(board.get("bob", "/api/v1/status").0, 200);
    board.daemon.terminate();
}

#[test]
fn frames_users_and_groups_of_this_machine_have_their_rules_and_the_daemon_s_own_user_may_do_all() {
    let board = Fixture::new();
    if board.ctl_as(1234, 1234, &["version"]).is_none() {
        return;
    }
    let ctl = |uid, gid, args: &[&str]| board.ctl_as(uid, gid, args).expect("it can be executed");
    for (args, [by_user, by_group, nobody]) in [
        (&["status", "web"][..], [true, true, false]),
        (&["status", "db"], [false, false, false]),
        (&["restart", "web"], [true, false, false]),
        (&["tail", "web"], [false, true, false]),
        (&["stop", "web"], [false, false, false]),
        (&["update"], [false, false, false]),
        (&["pause", "web"], [false, false, false]),
        (&["resume", "web"], [false, false, false]),
        (&["disable", "web"], [false, false, false]),
        (&["enable", "web"], [false, false, false]),
        (&["cat", "web"], [true, true, false]),
        (&["cat", "db"], [false, false, false]),
        (&["flag", "list"], [true, true, false]),
        (&["flag", "set", "x"], [false, false, false]),
        (&["scale", "web", "2"], [false, false, false]),
        (&["reread"], [false, false, false]),
        (&["reread", "-c", "/etc/passwd"], [false, false, false]),
        (&["run", "--wait", "--", "true"], [false, false, false]),
        (&["attach", "db"], [false, false, false]),
        (&["shutdown"], [false, false, false]),
    ] {
        for (uid, gid, allowed) in [(1234, 1, by_user), (4321, 5678, by_group), (4321, 1, nobody)] {
            let (code, stdout, stderr) = ctl(uid, gid, args);
            assert_eq!(code == 0, allowed, "uid {uid}, gid {gid}: {args:?}: {stdout}{stderr}");
        }
    }
    let (_, told, _) = ctl(1234, 1, &["status"]);
    assert!(told.contains("web") && !told.contains("db"), "{told}");
    let (_, words, _) = ctl(1234, 1, &["complete", "restart", ""]);
    assert!(words.contains("web") && !words.contains("db"), "{words}");
    let (_, told, _) = ctl(1234, 1, &["access"]);
    assert!(told.starts_with("You are uid 1234, pid "), "{told}");
    assert!(told.contains("\nweb           read restart\n(the daemon)  nothing\n"), "{told}");
    let (_, told, _) = ctl(4321, 5678, &["access", "--json"]);
    assert!(told.contains(r#"{"name":"web","rights":["read","stdin","logs"]}"#), "{told}");
    let (_, told, _) = board.daemon.ctl(&["access"]);
    assert!(told.ends_with("Root and the daemon's own user may do all.\n"), "{told}");
    board.daemon.wait_log("shutdown: refused, no rule of access allows it; asked by uid 1234, pid ");
    board.daemon.wait_log("restart web: refused, no rule of access allows it; asked by uid 4321, pid ");
    board.daemon.controller().restart_process("db", true).expect("no rule limits this user");
    board.daemon.terminate();
}

#[test]
fn rules_that_can_t_be_meant_are_errors_and_such_about_nothing_are_warned_of() {
    let dir = tempfile::tempdir().expect("a directory");
    let check = |rule: &str| {
        let text = format!("[program:web]\ncommand = true\n[access:x]\n{rule}\n");
        std::fs::write(dir.path().join("c.ini"), text).expect("written");
        let output = Command::new(env!("CARGO_BIN_EXE_supervice"))
            .args(["--check", "-c", "c.ini"])
            .current_dir(dir.path())
            .output()
            .expect("it runs");
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    };
    for (rule, works, words) in [
        ("who = user:root\nallow = read\nprograms = web", true, ""),
        ("who = user:root\nallow = read\nprograms = wbe", true, "wbe is about no program that there is"),
        ("who = user:root\nallow = read\nprograms = group:x", true, "group:x is about no program"),
        ("who = user:nobody-at-all\nallow = read", false, "there is no user nobody-at-all"),
        ("who = group:nobody-at-all\nallow = read", false, "there is no group nobody-at-all"),
        ("who = root\nallow = read", false, "neither user:, group: nor http:"),
        ("who = user:\nallow = read", false, "names nobody"),
        ("who = user:root\nallow = raed", false, "did you mean read?"),
        ("who = user:root\nallow = read\nprograms =", false, "names no program"),
        ("who = user:root", false, "missing"),
        ("allow = read", false, "missing"),
    ] {
        let (done, told) = check(rule);
        assert!(done == works && told.contains(words), "{rule}: {told}");
    }
}

/// What a page of somebody else can have a browser send.
#[test]
fn pages_of_others_change_nothing_and_see_nothing() {
    let daemon = Daemon::start(&format!(
        "[program:<img src=x onerror=alert(1)>]\ncommand = sleep 1000\nstartsecs = 0\n[http]\nlisten = 127.0.0.1:{}\n",
        free_port()
    ));
    let name = "<img src=x onerror=alert(1)>";
    daemon.wait_state(name, "RUNNING");
    let port =
        daemon.read("supervice.conf").lines().find_map(|line| line.strip_prefix("listen = 127.0.0.1:")?.parse().ok());
    let port = port.expect("a port");
    let stop = format!(r#"{{"command":"stop","name":"{name}"}}"#);
    let call =
        "<methodCall><methodName>supervisor.stopAllProcesses</methodName><params></params></methodCall>".to_owned();
    let post = |path: &str, fields: &str, content: &str| {
        let request = format!(
            "POST {path} HTTP/1.1\r\nConnection: close\r\n{fields}\r\nContent-Length: {}\r\n\r\n{content}",
            content.len()
        );
        ask(remote(port), &request)
    };
    let evil = "Host: localhost\r\nOrigin: http://evil.example\r\nContent-Type: ";
    for (path, fields, content, status) in [
        // Another origin, by JSON (after a preflight that is not answered) and by XML.
        ("/api/v1/command", format!("{evil}application/json"), &stop, 403),
        ("/RPC2", format!("{evil}text/xml"), &call, 403),
        ("/RPC2", "Host: localhost\r\nSec-Fetch-Site: cross-site\r\nContent-Type: text/xml".to_owned(), &call, 403),
        ("/RPC2", "Host: localhost\r\nOrigin: null\r\nContent-Type: text/plain".to_owned(), &call, 403),
        // A form, in each way that a form can be sent.
        (
            "/api/v1/command",
            "Host: localhost\r\nContent-Type: application/x-www-form-urlencoded".to_owned(),
            &stop,
            415,
        ),
        ("/api/v1/command", "Host: localhost\r\nContent-Type: multipart/form-data".to_owned(), &stop, 415),
        ("/api/v1/command", "Host: localhost\r\nContent-Type: text/plain".to_owned(), &stop, 415),
        ("/api/v1/command", "Host: localhost\r\nSec-Fetch-Site: same-origin".to_owned(), &stop, 415),
        // A name of the attacker's that leads here, whose pages have this very origin.
        (
            "/api/v1/command",
            "Host: evil.example\r\nOrigin: http://evil.example\r\nContent-Type: application/json".to_owned(),
            &stop,
            403,
        ),
        (
            "/RPC2",
            "Host: evil.example:80\r\nOrigin: http://evil.example:80\r\nContent-Type: text/xml".to_owned(),
            &call,
            403,
        ),
    ] {
        let (told, answer) = post(path, &fields, content);
        assert_eq!(told, status, "{fields}: {answer}");
        assert!(!answer.contains("Access-Control-Allow"), "{answer}");
    }
    let preflight = "OPTIONS /api/v1/command HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n\
        Access-Control-Request-Method: POST\r\nConnection: close\r\n\r\n";
    let (status, answer) = ask(remote(port), preflight);
    assert!(status != 200 && !answer.contains("Access-Control-Allow"), "{answer}");
    let (status, _) =
        ask(remote(port), "GET /api/v1/status HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
    assert_eq!(status, 403, "its names are not told to a name that is not ours");
    assert_eq!(daemon.status(name).state, "RUNNING");
    daemon.wait_log("127.0.0.1:");
    daemon.wait_log("a page of http://evil.example may change nothing here");
    // What it is called is data: never a page.
    for path in ["/api/v1/status", "/metrics", "/api/v1/programs/%3Cimg%20src=x%20onerror=alert(2)%3E", "/%3Cimg%3E"] {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\nConnection: close\r\n\r\n");
        let (_, answer) = ask(remote(port), &request);
        let head = answer.split("\r\n\r\n").next().expect("a head").to_ascii_lowercase();
        assert!(!head.contains("text/html") && head.contains("x-content-type-options: nosniff"), "{path}: {answer}");
    }
    daemon.terminate();
}

/// supervisord's client in a file of its dialect with rules: what is allowed is as ever; what is not is told as 403, and in the log.
#[cfg(feature = "xmlrpc")]
#[test]
fn supervisorctl_does_what_the_rules_allow_and_says_what_they_do_not() {
    let Some(python) = crate::interop::python() else { return };
    let Fixture { daemon, port } = Fixture::new();
    let ctl = |user: &str, args: &[&str]| -> (Option<i32>, String) {
        let Output { status, stdout, stderr } = Command::new(python.with_file_name("supervisorctl"))
            .args(["-s", &format!("http://127.0.0.1:{port}"), "-u", user, "-p", "pw"])
            .args(args)
            .stdin(std::process::Stdio::null())
            .output()
            .expect("it can be executed");
        (status.code(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
    };
    // alice may read and restart web: db is nobody that she knows.
    let (code, text) = ctl("alice", &["status"]);
    assert!(code == Some(0) && text.contains("web") && !text.contains("db"), "{text}");
    assert_eq!(ctl("alice", &["status", "db"]), (Some(4), "db: ERROR (no such process)\n".to_owned()));
    for refused in [&["stop", "front:web"][..], &["tail", "front:web"], &["signal", "HUP", "front:web"], &["shutdown"]]
    {
        let (code, text) = ctl("alice", refused);
        assert!(code == Some(1) && text.contains("403 Forbidden"), "{refused:?}: {code:?} {text}");
    }
    assert_eq!(daemon.status("web").state, "RUNNING");
    daemon.wait_log("refused");
    // carol may see what it writes, bob may do everything.
    crate::harness::wait_until("it has written", || {
        ctl("carol", &["tail", "front:web"]) == (Some(0), "hello from web\n\n".to_owned())
    });
    assert_eq!(ctl("bob", &["stop", "db"]), (Some(0), "db: stopped\n".to_owned()));
    // dave is known, and no rule is about him.
    let (code, text) = ctl("dave", &["stop", "front:web"]);
    assert!(code == Some(1) && text.contains("403 Forbidden"), "{text}");
    daemon.terminate();
}
