//! What each command sends, prints and returns, to the letter: the transcripts in `tests/cli/golden`.
//!
//! A transcript is its own script. `@ NAME` chooses the daemon that answers from there on, `$ supervicectl …` is run; below
//! it stand the requests (`> `), standard output (`  `), standard error (`! `) and the exit code where it is not 0. A new
//! case is a new `$` line; `UPDATE_GOLDEN=1 cargo test --test cli golden` fills in the rest, to be read before it is
//! committed.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::fake::{Fake, Outcome, send};

/// A daemon of these days, by whose answers everything can be tried.
fn modern(request: &str, stream: &mut UnixStream) {
    let request: Value = serde_json::from_str(request).expect("JSON");
    let text = |key: &str| request[key].as_str().unwrap_or_default();
    let command = text("command");
    if let (Some(names), "start" | "stop" | "restart" | "kill") = (request["names"].as_array(), command) {
        let ask = |name: &Value| {
            let mut one = request.clone();
            one["name"] = name.clone();
            let mut answer = modern_answers(&one).remove(0);
            answer["name"] = name.clone();
            answer
        };
        let results: Vec<Value> = names.iter().map(ask).collect();
        let also = if names.contains(&json!("web")) && command == "stop" { vec!["front"] } else { Vec::new() };
        return send(stream, &json!({"status": "ok", "results": results, "also": also}).to_string());
    }
    for answer in modern_answers(&request) {
        send(stream, &answer.to_string());
    }
}

fn modern_answers(request: &Value) -> Vec<Value> {
    let text = |key: &str| request[key].as_str().unwrap_or_default();
    let (command, name) = (text("command"), text("name"));
    let error = |code: &str, message: &str| vec![json!({"status": "error", "code": code, "message": message})];
    let done = |message: String| vec![json!({"status": "ok", "message": message})];
    let participle = match command {
        "start" | "startgroup" => "Started",
        "stop" | "stopgroup" => "Stopped",
        "restart" => "Restarted",
        _ => "Killed",
    };
    match (command, name) {
        ("status", _) => vec![processes()],
        (_, "wbe") => error("NOT_FOUND", "no process 'wbe'; did you mean 'web'?"),
        ("startgroup" | "stopgroup", "bakc") => error("NOT_FOUND", "no group 'bakc'; did you mean 'back'?"),
        ("start" | "stop" | "restart" | "kill" | "startgroup" | "stopgroup", _) if request["wait"] == json!(false) => {
            done(format!("{command} of {name} is under way"))
        }
        ("start" | "restart", "bad") => {
            error("FAILED", &format!("bad did not {command}: FATAL: exit code 3 after 0.0 s: \u{1b}[31mno config"))
        }
        ("stop" | "kill" | "wait", "slow") => error("TIMEOUT", "slow is not done: STOPPING, SIGKILL in 7 s"),
        ("startgroup" | "stopgroup", "front") => error("FAILED", "not all of group front: web: FATAL: exit code 1"),
        ("startgroup" | "stopgroup", _) => done(format!("{participle} group {name}")),
        ("start" | "stop" | "restart" | "kill", _) => done(format!("{participle} {name}")),
        ("wait", _) => done(format!("{name} is {}", text("for"))),
        ("signal", "bad") => error("FAILED", "bad has no process; it is FATAL: exit code 3"),
        ("signal", _) => done(format!("Sent SIG{} to {name}", text("signal"))),
        ("pause", _) => done(format!("Paused {name}")),
        ("resume", _) => done(format!("Resumed {name}")),
        ("disable", _) => done(format!("Disabled {name}")),
        ("enable", _) => done(format!("Enabled {name} until the daemon ends (no state_dir)")),
        ("clear", _) => done(format!("{name}: its logs are empty")),
        ("reopen", _) => done("all log files are opened anew".to_owned()),
        ("shutdown", _) => done("The daemon is shutting down".to_owned()),
        ("poweroff" | "reboot" | "halt", _) => error("FAILED", "this daemon is not the init of the machine"),
        ("confirm", _) => done("The update is confirmed".to_owned()),
        ("ping" | "pid", "") => vec![json!({"status": "ok", "pid": 7})],
        ("pid", "bad") => error("FAILED", "bad has no process; it is FATAL: exit code 3"),
        ("pid", _) => vec![json!({"status": "ok", "pid": 12})],
        ("version", _) => vec![json!({"status": "ok", "version": env!("CARGO_PKG_VERSION"), "pid": 7})],
        ("access", _) => vec![json!({"status": "ok", "who": "uid 1000, pid 99 (supervicectl)", "unlimited": null,
            "daemon": [], "programs": [{"name": "web", "rights": ["read", "restart"]}, {"name": "データ", "rights": ["read"]}]})],
        ("attach", "bad") => error("FAILED", "bad has no process; it is FATAL: exit code 3"),
        ("attach", _) => error("FAILED", "web has no terminal: set tty = true, and restart it"),
        ("run", "web") => error("FAILED", "web is not run: the configuration has this name"),
        ("run", _) if request["attach"] == json!(true) => vec![
            json!({"status": "ok", "name": "run-1", "tty": false, "more": true}),
            json!({"status": "ok", "text": "out\n", "more": true}),
            json!({"status": "ok", "stream": "stderr", "text": "err\n", "more": true}),
            json!({"status": "ok", "base64": "w7w=", "lost": 3, "more": true}),
            json!({"status": "ok", "name": "run-1", "exit_code": 3, "message": "run-1: exit code 3", "more": false}),
        ],
        ("run", _) => done("Started run-1".to_owned()),
        ("loglevel", _) => match request["level"].as_str() {
            Some("LOUD" | "loud") => error("INVALID_REQUEST", "loglevel: there is no level 'LOUD'; use DEBUG or INFO"),
            level => vec![json!({"status": "ok", "level": level.unwrap_or("INFO").to_uppercase()})],
        },
        ("setflag" | "clearflag", "a/b") => error(
            "INVALID_REQUEST",
            &format!("{command}: the name of a flag has at most 64 letters, digits, -, _ and ."),
        ),
        ("setflag", _) => done(format!("Set {name}")),
        ("clearflag", _) => done(format!("Not set: {name}; no program waits for it (start_when)")),
        ("flags", _) => vec![json!({"status": "ok", "flags": [
            {"name": "extra", "set": true, "programs": []},
            {"name": "provisioned", "set": false, "programs": ["web", "worker:00"], "more": 6},
        ]})],
        ("reload", _) => vec![json!({"status": "ok", "added": ["new"], "removed": ["old", "öld"], "changed": ["web"]})],
        ("reread", _) => vec![reread()],
        ("cat", _) => vec![settings(name)],
        ("update", _) => vec![updated(request["confirm"].as_f64())],
        ("scale", _) => vec![json!({
            "status": "ok", "added": ["web:02"], "removed": [], "changed": [], "restarted": [],
            "daemon": {"live": [], "restart": []},
        })],
        ("blame", _) if request["names"] == json!(["wbe"]) => {
            error("NOT_FOUND", "no process 'wbe'; did you mean 'web'?")
        }
        ("blame", _) => vec![blame()],
        ("graph", _) if request["names"] == json!(["wbe"]) => {
            error("NOT_FOUND", "no process 'wbe'; did you mean 'web'?")
        }
        ("graph", _) => vec![graph()],
        ("history", _) => vec![json!({"status": "ok", "history": history()})],
        ("why", _) => vec![why(name)],
        ("events", _) => events(),
        ("tail", _) => tail(name, text("stream"), request["follow"] == json!(true)),
        (other, _) => error("UNKNOWN_COMMAND", &format!("Unknown command: {other}")),
    }
}

/// As of years ago: only dates, which stay as they are, and no uptime that grows.
const THEN: u64 = 1_700_000_000;

fn processes() -> Value {
    json!({"status": "ok", "processes": [
        {"name": "web", "state": "RUNNING", "pid": 12, "uptime": 3661, "healthy": true, "group": "front",
         "description": "pid 12, uptime 1:01:01", "restarts": 0, "since": THEN, "autostart": true},
        {"name": "worker:00", "state": "RUNNING", "pid": 13, "uptime": 61, "group": "back",
         "description": "pid 13, uptime 1:01", "restarts": 2, "since": THEN + 3600, "autostart": true},
        {"name": "worker:01", "state": "STOPPING", "pid": 14, "uptime": 61, "healthy": false, "group": "back",
         "description": "stopping, SIGKILL in 7 s", "restarts": 2, "since": THEN + 3600, "kill_at": THEN + 3610},
        {"name": "my job ü", "state": "STOPPED", "pid": null, "group": "my job ü", "description": "not started",
         "restarts": 0, "autostart": false},
        {"name": "データ", "state": "FATAL", "pid": null, "group": "データ", "exit_code": 3, "restarts": 4, "since": THEN,
         "description": "exit code 3 after 0.0 s, gave up after 5 attempts: \u{1b}[31mno\tconfig", "autostart": true},
    ]})
}

fn settings(name: &str) -> Value {
    let from = |section: &str, line: u32| json!({"section": section, "file": "/etc/supervice.conf", "line": line});
    json!({"status": "ok", "name": name, "in_file": name == "web", "settings": [
        {"key": "command", "value": "/usr/bin/web --name ü", "source": from("program:web", 12), "in_file": "/usr/bin/web"},
        {"key": "exitcodes", "value": [0, 2], "source": from("template:w", 3)},
        {"key": "pre_start", "value": ["+install -d /run/web", "sh -c 'a, b'"], "source": from("program:web", 15)},
        {"key": "directory", "value": null},
        {"key": "stopasgroup", "value": true, "source": from("defaults", 1)},
        {"key": "startsecs", "value": 1},
        {"key": "environment.TOKEN", "value": "(hidden)", "source": from("program:web", 14)}]})
}

fn reread() -> Value {
    json!({"status": "ok", "added": ["new"], "removed": ["old"], "warnings": ["x.conf:3: unknown key 'comand'"],
        "changed": {"web": [{"key": "command", "old": "a", "new": "b \"c\""}, {"key": "environment.A", "old": null, "new": "1"}],
                    "[supervice]": [{"key": "loglevel", "old": "INFO", "new": "DEBUG"}]}})
}

fn updated(confirm: Option<f64>) -> Value {
    let mut answer =
        json!({"status": "ok", "added": ["new"], "removed": [], "changed": ["off", "web"], "restarted": ["web"]});
    if confirm.is_some() {
        answer["confirm_until"] = json!(THEN + 60);
    }
    answer
}

fn history() -> Value {
    let by = "start requested by uid 1000, pid 99 (supervicectl)";
    json!([
        {"time": 1_700_000_000.125, "name": "web", "from_state": "STOPPED", "to_state": "STARTING", "cause": by},
        {"time": 1_700_000_001.0, "name": "web", "from_state": "STARTING", "to_state": "RUNNING", "pid": 12, "cause": "up for 1 s"},
        {"time": 1_700_000_002.5, "name": "web", "from_state": "RUNNING", "to_state": "RUNNING", "pid": 12,
         "cause": "SIGHUP sent by uid 0\u{1b}[2J"},
    ])
}

fn blame() -> Value {
    let at = |seconds: f64| THEN as f64 + seconds;
    let on = |name: &str| json!({"kind": "process", "name": name});
    json!({"status": "ok", "began": at(0.0), "critical_path": ["web", "my job ü", "db"], "processes": [
        {"name": "web", "state": "RUNNING", "asked": at(0.001), "spawned": at(3.25), "ready": at(4.5), "attempts": 1, "waited_for": on("my job ü")},
        {"name": "db", "state": "RUNNING", "asked": at(0.001), "spawned": at(1.0), "ready": at(3.0), "attempts": 2},
        {"name": "my job ü", "state": "EXITED", "asked": at(0.001), "spawned": at(3.0), "ready": at(3.25), "attempts": 1, "waited_for": on("db")},
        {"name": "slow", "state": "STARTING", "asked": at(0.002), "spawned": at(0.002), "attempts": 1},
        {"name": "late", "state": "STARTING", "asked": at(0.002), "attempts": 0, "waiting": 12.5, "waited_for": {"kind": "start_slot"}},
    ]})
}

fn graph() -> Value {
    let need = |kind: &str, on: &str, condition: &str, holds: bool| json!({"on": on, "kind": kind, "condition": condition, "holds": holds});
    let row = |name: &str, state: &str, description: &str, needs: Vec<Value>| json!({"name": name, "state": state, "description": description, "needs": needs});
    json!({"status": "ok", "processes": [
        row("web", "STARTING", "waiting for api (STARTING)", vec![
            need("requires", "api", "ready", false), need("binds", "cache", "healthy", false), need("wants", "metrics", "ready", false)]),
        row("api", "STARTING", "waiting for db (BACKOFF, retry 1 of 3 in 1 s)", vec![
            need("requires", "db", "ready", false), need("requires", "cache", "ready", true), need("after", "net", "completed", true)]),
        row("db", "BACKOFF", "exit code 3 after 0.2 s, retry 1 of 3 in 1 s: \u{1b}[31mno disk", vec![need("requires", "net", "ready", true)]),
        row("cache", "RUNNING", "pid 12, uptime 0:03", vec![]),
        row("metrics", "STOPPED", "not started", vec![]),
        row("net", "EXITED", "completed after 0.1 s", vec![]),
        row("my \"job\" ü", "RUNNING", "pid 13, uptime 0:03", vec![]),
    ]})
}

fn why(name: &str) -> Value {
    json!({"status": "ok", "name": name, "state": "BACKOFF", "history": history(), "stderr": ["no config", "\u{1b}[31mbye"],
        "lines": [format!("{name} has been BACKOFF for 3 s: exit code 3."), "Next: retry 2 of 3, in 2 s."],
        "next": {"what": "retry 2 of 3", "at": 1_700_000_005.5}})
}

fn events() -> Vec<Value> {
    let event = |number: u64, more: bool, lost: u64| {
        let mut event = history()[1].clone();
        event["type"] = "PROCESS_STATE_RUNNING".into();
        event["processname"] = event["name"].take();
        event["groupname"] = "front".into();
        event["time"] = json!(THEN + number);
        json!({"status": "ok", "event": event, "lost": lost, "more": more})
    };
    let health = json!({"type": "HEALTHCHECK_FAILED", "time": THEN + 2, "processname": "my job ü", "groupname": "g", "pid": 5,
        "message": "refused"});
    vec![
        json!({"status": "ok", "more": true}),
        event(1, true, 0),
        json!({"status": "ok", "event": health, "lost": 0, "more": true}),
        event(3, false, 5),
    ]
}

fn tail(name: &str, stream: &str, follow: bool) -> Vec<Value> {
    let first = json!({"status": "ok", "text": format!("{stream} of {name}\nsecond\n"), "more": follow});
    let later = json!({"status": "ok", "text": "third\n", "lost": 9, "more": true});
    // As bytes that are no text come: `ü\n`.
    let last = json!({"status": "ok", "base64": "w7wK", "more": false});
    if follow { vec![first, later, last] } else { vec![first] }
}

/// The Python package's, as far as it matters.
fn old(request: &str, stream: &mut UnixStream) {
    let request: Value = serde_json::from_str(request).expect("JSON");
    let answer = match (request["command"].as_str().unwrap_or_default(), request["name"].as_str()) {
        ("status", _) => json!({"status": "ok", "processes": [
            {"name": "web", "state": "RUNNING", "pid": 12, "uptime": 61, "healthy": true},
            {"name": "job", "state": "STOPPED", "pid": null, "uptime": null, "healthy": null}]}),
        ("start" | "stop" | "restart", Some("web")) => json!({"status": "ok", "message": "done with web"}),
        ("start" | "stop" | "restart", _) => {
            json!({"status": "error", "code": "NOT_FOUND", "message": "Process not found"})
        }
        ("reload", _) => json!({"status": "ok", "added": [], "removed": [], "changed": []}),
        (other, _) => {
            json!({"status": "error", "code": "UNKNOWN_COMMAND", "message": format!("Unknown command: {other}")})
        }
    };
    send(stream, &answer.to_string());
}

fn daemon(name: &str) -> Fake {
    match name {
        "modern" => Fake::new(modern),
        "old" => Fake::new(old),
        "refusing" => Fake::answering(r#"{"status":"error","code":"FAILED","message":"f:1: wrong\nf:2: wrong"}"#),
        "empty" => Fake::answering(
            r#"{"status":"ok","processes":[],"history":[],"flags":[],"added":[],"removed":[],"changed":{},"restarted":[]}"#,
        ),
        "unchanged" => Fake::answering(r#"{"status":"ok","added":[],"removed":[],"changed":[],"restarted":[]}"#),
        "newer" => Fake::answering(r#"{"status":"ok","version":"99.1.0","pid":7,"more":false}"#),
        // Takes the request and is gone with its socket.
        "ending" => Fake::ending(),
        "nobody" => Fake::nobody(),
        _ => panic!("there is no daemon '{name}'"),
    }
}

fn transcript(script: &str) -> String {
    let mut fake = None;
    let mut said = String::new();
    for line in script.lines() {
        if line.starts_with('#') {
            said.push_str(&format!("{line}\n"));
        } else if let Some(name) = line.strip_prefix("@ ") {
            fake = Some(name);
            said.push_str(&format!("{}{line}\n", if said.is_empty() { "" } else { "\n" }));
        } else if let Some(command) = line.strip_prefix("$ supervicectl") {
            let args = supervice::config::split_command(&format!("x{command}")).expect("words").split_off(1);
            let fake = daemon(fake.expect("a daemon comes first"));
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            let line = line.trim_end();
            said.push_str(&format!("\n{line}\n{}", shown(&fake, &fake.ctl(&args))));
        }
    }
    said
}

fn shown(fake: &Fake, outcome: &Outcome) -> String {
    let mut text = String::new();
    let mut part = |mark: &str, of: &str| {
        // What commands terminals shall be seen, and the version changes too often.
        let of = of.replace(env!("CARGO_PKG_VERSION"), "VERSION");
        for line in of.lines() {
            let line = line.replace('\u{1b}', "<ESC>").replace('\t', "<TAB>");
            text.push_str(format!("{mark}{line}").trim_end());
            text.push('\n');
        }
    };
    part("> ", &fake.requests().join("\n"));
    part("  ", &outcome.out);
    part("! ", &outcome.err);
    match outcome.code {
        Some(0) => {}
        code => text.push_str(&format!("[exit {}]\n", code.unwrap_or(-1))),
    }
    text
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/golden")
}

/// What this build refuses.
fn is_left_out(path: &Path) -> bool {
    cfg!(not(feature = "attach")) && ["attach.txt", "run.txt"].iter().any(|name| path.ends_with(name))
}

#[test]
fn every_transcript_comes_out_as_it_is_written() {
    let mut wrong = Vec::new();
    for entry in fs::read_dir(directory()).expect("the transcripts") {
        let path = entry.expect("an entry").path();
        if is_left_out(&path) {
            continue;
        }
        let wanted = fs::read_to_string(&path).expect("UTF-8");
        // Completions give up after a second and `health` after two, and rightly do where the machine stood still for as long.
        let found = (0..5).map(|_| transcript(&wanted)).find(|found| *found == wanted);
        if found.is_some() {
            continue;
        }
        let found = transcript(&wanted);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&path, found).expect("written");
            continue;
        }
        let differs = wanted.lines().zip(found.lines()).enumerate().find(|(_, (wanted, found))| wanted != found);
        let name = path.file_name().unwrap_or_default().display();
        wrong.push(match differs {
            Some((line, (wanted, found))) => format!("{name}:{}: wanted {wanted:?}, found {found:?}", line + 1),
            None => format!("{name}: {} lines wanted, {} found", wanted.lines().count(), found.lines().count()),
        });
    }
    assert!(wrong.is_empty(), "{}\n(UPDATE_GOLDEN=1 writes what was found)", wrong.join("\n"));
}

/// A rule that a machine checks: each command is there as text, as JSON where it has that, and with an error.
#[test]
fn every_command_has_its_transcript() {
    let run = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_supervicectl")).args(args).output().expect("it runs");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let help = run(&["--help"]);
    let commands = help.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let commands: Vec<&str> = commands.filter(|word| word.starts_with(char::is_alphabetic)).collect();
    assert!(commands.len() >= 30, "{commands:?}");
    for command in commands {
        // Full screen: tests/daemon/terminal.rs.
        if command == "top" {
            continue;
        }
        let file = directory().join(format!("{command}.txt"));
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let lines = || text.lines().filter(|line| line.starts_with(&format!("$ supervicectl {command}")));
        assert!(lines().any(|line| !line.contains("--json")), "{command}: no text");
        if run(&["help", command]).contains("--json") {
            assert!(lines().any(|line| line.contains("--json")), "{command}: no JSON");
        }
        assert!(text.contains("\n[exit "), "{command}: no error");
    }
}
