//! What each command asks for and prints.

use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, poll};

use crate::fake::{Fake, Outcome, outcome, send};

const STATUS: &str = r#"{"status":"ok","processes":[
    {"name":"web","state":"RUNNING","pid":12,"uptime":3661,"healthy":true,"group":"g","description":"pid 12","restarts":0},
    {"name":"my job ü","state":"FATAL","pid":null,"healthy":false,"group":"g","description":"exit code 3: \u001b[31mout","exit_code":3,"restarts":4,"later":"new"}]}"#;

const PYTHON: &str = r#"{"status":"ok","processes":[
    {"name":"web","state":"RUNNING","pid":12,"uptime":61,"healthy":true},
    {"name":"job","state":"STOPPED","pid":null,"uptime":null,"healthy":null}]}"#;

#[test]
fn status_prints_a_table() {
    let table = "NAME      STATE    PID  UPTIME   HEALTH  DESCRIPTION\n\
                 web       RUNNING  12   1:01:01  OK      pid 12\n\
                 my job ü  FATAL    -    -        FAIL    exit code 3: out\n";
    let fake = Fake::answering(STATUS);
    assert_eq!(fake.ctl(&["status"]), outcome(0, table, ""));
    assert_eq!(fake.requests(), [r#"{"command":"status"}"#]);
}

#[test]
fn status_of_the_python_daemon_has_no_description() {
    let table = "NAME  STATE    PID  UPTIME  HEALTH\nweb   RUNNING  12   1:01    OK\njob   STOPPED  -    -       -\n";
    assert_eq!(Fake::answering(PYTHON).ctl(&["status"]), outcome(0, table, ""));
}

#[test]
fn status_as_json_is_the_answer_with_what_only_the_daemon_knows() {
    let json = |out: &str| serde_json::from_str::<serde_json::Value>(out).expect("JSON");
    let outcome = Fake::answering(STATUS).ctl(&["status", "--json"]);
    assert_eq!((outcome.code, outcome.err.as_str(), outcome.out.lines().count()), (Some(0), "", 1));
    assert_eq!(json(&outcome.out), json(STATUS));
}

#[test]
fn status_of_names() {
    let fake = Fake::answering(STATUS);
    let table = "NAME      STATE  PID  UPTIME  HEALTH  DESCRIPTION\n\
                 my job ü  FATAL  -    -       FAIL    exit code 3: out\n";
    assert_eq!(fake.ctl(&["status", "my job ü"]), outcome(0, table, ""));
    let error = "supervicectl: no process 'wbe'; did you mean 'web'?\n";
    assert_eq!(fake.ctl(&["status", "my job ü", "wbe"]), outcome(1, table, error));
}

/// A script that reads standard output alone took an unknown name for a daemon without programs.
#[test]
fn as_json_a_word_that_names_nothing_makes_the_answer_an_error() {
    let fake = Fake::answering(STATUS);
    let answer = |args: &[&str]| {
        let Outcome { code, out, err } = fake.ctl(args);
        assert_eq!((code, err.as_str(), out.lines().count()), (Some(1), "", 1), "{args:?}: {out}");
        serde_json::from_str::<serde_json::Value>(&out).expect("JSON")
    };
    let one = answer(&["status", "--json", "wbe"]);
    let told = "no process 'wbe'; did you mean 'web'?";
    assert_eq!(one, serde_json::json!({"status": "error", "code": "NOT_FOUND", "message": told, "processes": []}));
    let mixed = answer(&["status", "--json", "web", "x", "y"]);
    assert_eq!(mixed["message"], "no process 'x'; no process 'y'");
    assert_eq!(mixed["processes"][0]["name"], "web", "what there is is told as well");
    for verb in ["status", "graph", "blame", "why", "cat"] {
        let none = answer(&[verb, "--json", "group:none"]);
        assert_eq!((&none["status"], &none["message"]), (&"error".into(), &"no group 'none'".into()), "{verb}");
    }
}

#[test]
fn status_joins_pages() {
    let fake = Fake::new(|request, stream| {
        let page = match request {
            r#"{"command":"status"}"# => {
                r#"{"status":"ok","processes":[{"name":"a","state":"STOPPED","pid":null}],"next":1}"#
            }
            _ => r#"{"status":"ok","processes":[{"name":"b","state":"STOPPED","pid":null}]}"#,
        };
        send(stream, page);
    });
    let table = "NAME  STATE    PID  UPTIME  HEALTH\na     STOPPED  -    -       -\nb     STOPPED  -    -       -\n";
    assert_eq!(fake.ctl(&["status"]), outcome(0, table, ""));
    assert_eq!(fake.requests(), [r#"{"command":"status","offset":1}"#, r#"{"command":"status"}"#]);
}

/// Once as what needs another one, and not again in its own turn, whichever of them is named first.
#[test]
fn a_rolling_restart_restarts_none_twice() {
    let fake = Fake::new(|request, stream| {
        let request: serde_json::Value = serde_json::from_str(request).expect("JSON");
        let one = |name: &serde_json::Value| {
            let message = format!("Restarted {}", name.as_str().unwrap_or_default());
            serde_json::json!({"name": name, "status": "ok", "message": message})
        };
        let answer = match request["names"].as_array() {
            Some(_) if request["command"] == "graph" => {
                let needs =
                    |on: &str| serde_json::json!([{"on": on, "kind": "requires", "condition": "ready", "holds": true}]);
                let a = serde_json::json!({"name": "a", "state": "RUNNING", "description": "", "needs": []});
                let b = serde_json::json!({"name": "b", "state": "RUNNING", "description": "", "needs": needs("a")});
                serde_json::json!({"status": "ok", "processes": [b, a]})
            }
            Some(names) => {
                let also = if names[0] == "a" { vec!["b", "c"] } else { Vec::new() };
                serde_json::json!({"status": "ok", "results": names.iter().map(one).collect::<Vec<_>>(), "also": also})
            }
            None => one(&request["name"]),
        };
        send(stream, &answer.to_string());
    });
    let told = "Restarted a, and what needs it: b, c\nRestarted b with a\nRestarted d\n";
    assert_eq!(fake.ctl(&["restart", "--rolling", "b", "a", "d"]), outcome(0, told, ""));
    let asked = [
        r#"{"command":"graph","names":["b","a","d"]}"#,
        r#"{"command":"restart","force":false,"names":["a"]}"#,
        r#"{"command":"restart","force":false,"names":["d"]}"#,
        r#"{"command":"wait","for":"healthy","name":"a"}"#,
        r#"{"command":"wait","for":"healthy","name":"b"}"#,
        r#"{"command":"wait","for":"healthy","name":"d"}"#,
    ];
    assert_eq!(fake.requests(), asked);
}

/// What takes minutes as a whole tells of each meanwhile.
#[test]
fn a_result_is_printed_when_those_before_it_are_known_and_not_with_the_last() {
    for args in [&["wait", "--for", "running", "a", "b"][..], &["restart", "--rolling", "a", "b"]] {
        let (go, may_go) = std::sync::mpsc::channel();
        let may_go = std::sync::Mutex::new(may_go);
        let fake = Fake::new(move |request, stream| {
            let request: serde_json::Value = serde_json::from_str(request).expect("JSON");
            let name = if args[0] == "restart" { &request["names"][0] } else { &request["name"] };
            if name == "b" {
                let waited = may_go.lock().expect("no panic").recv_timeout(Duration::from_secs(120));
                waited.expect("the first result was read before the last one was given");
            }
            let result = serde_json::json!({"name": name, "status": "ok", "message": name});
            send(stream, &serde_json::json!({"status": "ok", "message": name, "results": [result]}).to_string());
        });
        let mut child = Command::new(env!("CARGO_BIN_EXE_supervicectl"))
            .arg("-s")
            .arg(fake.socket())
            .args(args)
            .stdout(Stdio::piped())
            .spawn()
            .expect("it can be executed");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
        assert_eq!(lines.next().as_deref(), Some("a"), "{args:?}");
        go.send(()).expect("it is waited for");
        assert_eq!(lines.collect::<Vec<String>>(), ["b"], "{args:?}");
        assert!(child.wait().expect("waitpid").success());
    }
}

/// What a terminal does that is held by Ctrl-S: it takes nothing until somebody lets it go on.
#[test]
fn an_output_that_takes_nothing_holds_up_no_command() {
    let (go, may_go) = std::sync::mpsc::channel::<()>();
    let may_go = std::sync::Mutex::new(may_go);
    let fake = Fake::new(move |request, stream| {
        let name = serde_json::from_str::<serde_json::Value>(request).expect("JSON")["name"].clone();
        // More than a pipe holds.
        let message = if name == "n0" { "x".repeat(300_000) } else { name.to_string() };
        if name != "n0" {
            // Until the other end has been dropped.
            let _ = may_go.lock().expect("no panic").recv();
        }
        send(stream, &serde_json::json!({"status": "ok", "message": message}).to_string());
    });
    // More than are under way at a time.
    let names: Vec<String> = (0..80).map(|number| format!("n{number}")).collect();
    let mut child = Command::new(env!("CARGO_BIN_EXE_supervicectl"))
        .arg("-s")
        .arg(fake.socket())
        .arg("clear")
        .args(&names)
        .stdout(Stdio::piped())
        .spawn()
        .expect("it can be executed");
    let stdout = child.stdout.take().expect("piped");
    let mut fds = [PollFd::new(stdout.as_fd(), PollFlags::POLLIN)];
    assert_eq!(poll(&mut fds, 60_000_u16), Ok(1), "the first result is being written");
    drop(go);
    let begin = Instant::now();
    while fake.requests().len() < names.len() {
        assert!(begin.elapsed() < Duration::from_secs(60), "{} of {}", fake.requests().len(), names.len());
        std::thread::sleep(Duration::from_millis(5));
    }
    let lines = BufReader::new(stdout).lines().map_while(Result::ok);
    let told: Vec<String> = lines.skip(1).collect();
    assert_eq!(told, (1..80).map(|number| format!("\"n{number}\"")).collect::<Vec<_>>(), "in their order");
    assert!(child.wait().expect("waitpid").success());
}

#[test]
fn commands_for_names_are_sent_for_each_and_answered_in_order() {
    for (args, requests) in [
        (&["start", "b b"][..], &[r#"{"command":"start","name":"b b"}"#][..]),
        (&["clear", "b b", "ä"], &[r#"{"command":"clear","name":"b b"}"#, r#"{"command":"clear","name":"ä"}"#]),
        (&["stop", "a"], &[r#"{"command":"stop","name":"a"}"#]),
        (&["restart", "a"], &[r#"{"command":"restart","force":false,"name":"a"}"#]),
        (&["restart", "--force", "a"], &[r#"{"command":"restart","force":true,"name":"a"}"#]),
        (&["startgroup", "g"], &[r#"{"command":"startgroup","name":"g"}"#]),
        (&["stopgroup", "--", "-g"], &[r#"{"command":"stopgroup","name":"-g"}"#]),
    ] {
        let fake = Fake::new(|request, stream| {
            let request: serde_json::Value = serde_json::from_str(request).expect("JSON");
            let answer = serde_json::json!({"status": "ok", "message": format!("{}\u{1b}!", request["name"])});
            send(stream, &answer.to_string());
        });
        let names = args.iter().skip(1).filter(|word| !matches!(**word, "--" | "--force"));
        let out: String = names.map(|name| format!("\"{name}\" !\n")).collect();
        assert_eq!(fake.ctl(args), outcome(0, &out, ""));
        assert_eq!(fake.requests(), requests);
    }
}

#[test]
fn one_failure_of_several_is_the_exit_code() {
    let fake = Fake::new(|request, stream| match request.contains("\"a\"") {
        true => send(stream, r#"{"status":"error","code":"NOT_FOUND","message":"no process 'a'"}"#),
        false => send(stream, r#"{"status":"ok","message":"Started b"}"#),
    });
    assert_eq!(fake.ctl(&["start", "a", "b"]), outcome(1, "Started b\n", "supervicectl: no process 'a'\n"));
}

#[test]
fn reload_tells_what_has_changed() {
    let fake = Fake::answering(r#"{"status":"ok","added":["a","b"],"removed":["c"],"changed":["d"]}"#);
    let text = "Added: a, b\nRemoved: c\nChanged (restart to apply): d\n";
    assert_eq!(fake.ctl(&["reload"]), outcome(0, text, ""));
    let json = "{\"added\":[\"a\",\"b\"],\"changed\":[\"d\"],\"daemon\":{\"live\":[],\"restart\":[]},\
                \"removed\":[\"c\"],\"status\":\"ok\"}\n";
    assert_eq!(fake.ctl(&["reload", "--json"]), outcome(0, json, ""));
    let fake = Fake::answering(r#"{"status":"ok","changed":["b","d"],"needs_restart":["d"]}"#);
    assert_eq!(fake.ctl(&["reload"]), outcome(0, "Changed: b\nChanged (restart to apply): d\n", ""));
    assert!(fake.ctl(&["reload", "--json"]).out.contains(r#""needs_restart":["d"]"#));
    let fake = Fake::answering(r#"{"status":"ok","added":[],"removed":[],"changed":[]}"#);
    assert_eq!(fake.ctl(&["reload"]), outcome(0, "No changes\n", ""));
    let fake = Fake::answering(r#"{"status":"error","code":"FAILED","message":"f:1: wrong\nf:2: wrong"}"#);
    assert_eq!(fake.ctl(&["reload"]), outcome(1, "", "supervicectl: f:1: wrong\nf:2: wrong\n"));
}

#[test]
fn reload_with_names_is_for_these_programs() {
    let fake = Fake::new(|request, stream| {
        assert!(request.contains("\"reloadprocess\""), "{request}");
        let name = if request.contains("\"web\"") { "web" } else { "db" };
        send(stream, &format!(r#"{{"status":"ok","message":"Reloaded {name}"}}"#));
    });
    assert_eq!(fake.ctl(&["reload", "web", "db"]), outcome(0, "Reloaded web\nReloaded db\n", ""));
}

/// Settings of the daemon are changes too, whether or not they take effect at once.
#[test]
fn changes_of_the_daemon_itself_are_no_no_changes() {
    let fake = Fake::answering(
        r#"{"status":"ok","added":[],"removed":[],"changed":[],"restarted":[],"daemon":{"live":["loglevel"],"restart":["socket","pidfile"]}}"#,
    );
    let text = "Changed in the daemon: loglevel\nNeeds a restart of the daemon: socket, pidfile\n";
    assert_eq!(fake.ctl(&["reload"]), outcome(0, text, ""));
    assert_eq!(fake.ctl(&["update"]), outcome(0, text, ""));
    let fake = Fake::answering(
        r#"{"status":"ok","added":[],"removed":[],"changed":{"[supervice]":[{"key":"loglevel","old":"INFO","new":"DEBUG"}]},"daemon":{"live":["loglevel"],"restart":["socket"]}}"#,
    );
    let text = "[supervice]: loglevel \"INFO\" → \"DEBUG\"\nNeeds a restart of the daemon: socket\n";
    assert_eq!(fake.ctl(&["reread"]), outcome(0, text, ""));
}

#[test]
fn version_and_help() {
    let fake = Fake::nobody();
    let version = concat!("supervicectl ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(fake.ctl(&["--version"]), outcome(0, version, ""));
    assert_eq!(fake.ctl(&["version"]), outcome(0, &format!("{version}no daemon at SOCKET\n"), ""));
    let help = fake.ctl(&["--help"]);
    assert!(help.code == Some(0) && help.out.starts_with("Usage: supervicectl") && help.err.is_empty());
    assert!(help.out.lines().all(|line| line.len() <= 80));
    assert_eq!(fake.ctl(&["help"]), help);
}

#[test]
fn the_socket_of_the_environment_is_used_unless_one_is_given() {
    let fake = Fake::answering(PYTHON);
    let mut command = Command::new(env!("CARGO_BIN_EXE_supervicectl"));
    let output = command.env("SUPERVICE_SOCKET", fake.socket()).args(["status", "job"]).output().expect("it runs");
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
}

/// Of a configuration only the socket is looked at, whatever else is wrong with it.
#[test]
fn the_socket_is_that_of_the_configuration() {
    let fake = Fake::answering(PYTHON);
    let file = fake.dir.path().join("x.conf");
    let shown = file.display().to_string();
    let ctl = |text: &str, args: &[&str]| {
        std::fs::write(&file, text).expect("ours");
        let mut command = Command::new(env!("CARGO_BIN_EXE_supervicectl"));
        let outcome = fake.run(command.arg("-c").arg(&file).args(args));
        (outcome.code, outcome.err.replace(&shown, "FILE"))
    };
    let socket = fake.socket().display().to_string();
    for text in [
        format!("[supervice]\nsocket = {socket}\n"),
        format!("[supervice]\nlogfile = /nonexistent/x\nsocket: {socket}\n[program:x]\n"),
        "[supervisord]\n[unix_http_server]\nfile = %(here)s/s\n".to_owned(),
        format!("[supervisord]\n[unix_http_server]\nfile = {socket} ; where\n"),
    ] {
        assert_eq!(ctl(&text, &["status", "job"]), (Some(0), String::new()), "{text}");
    }
    let none = "supervicectl: FILE says that the daemon has no socket; name one with -s\n";
    assert_eq!(ctl("[supervice]\nsocket = none\n", &["status"]), (Some(2), none.to_owned()));
    let (code, error) = ctl("[supervice\n", &["status"]);
    assert!(code == Some(2) && error.starts_with("supervicectl: FILE:1: `[supervice`"), "{error}");
    std::fs::remove_file(&file).expect("ours");
    let missing = "supervicectl: cannot read FILE: No such file or directory; name a socket with -s\n";
    let mut command = Command::new(env!("CARGO_BIN_EXE_supervicectl"));
    let outcome = fake.run(command.arg("-c").arg(&file).arg("status"));
    assert_eq!((outcome.code, outcome.err.replace(&shown, "FILE").as_str()), (Some(2), missing));
    let both = "supervicectl: -s and -c both say which daemon is meant; give one of them\n";
    assert_eq!(ctl("", &["-s", &socket, "status"]), (Some(2), both.to_owned()));
}

#[test]
fn a_reader_that_has_enough_is_no_error_and_a_full_disk_is_one() {
    let fake = Fake::answering(STATUS);
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_supervicectl"));
    let output = command.arg("-s").arg(fake.socket()).arg("status").stdout(writer).stderr(Stdio::piped()).output();
    let output = output.expect("it runs");
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
    let mut command = Command::new(env!("CARGO_BIN_EXE_supervicectl"));
    let Outcome { code, err, .. } = fake.run(command.arg("--help").stdout(full));
    // `output` of std replaces the file by a pipe where it was not set: set, it stays.
    assert_eq!(code, Some(1), "{err}");
    assert!(err.starts_with("supervicectl: cannot write to standard output: No space left on device"), "{err}");
}

/// Of what comes as it comes perhaps nothing comes any more: the end of the reader is noticed without it.
#[test]
fn a_follower_ends_with_its_reader_and_not_with_the_next_event() {
    const EVENT: &str = r#"{"status":"ok","more":true,"event":{"event_type":"RELOAD","processname":"web","time":1}}"#;
    for (args, count) in [
        (&["events"][..], 1),
        (&["events", "--json"], 1),
        (&["tail", "-f", "a"], 1),
        (&["tail", "-f", "a", "b"], 2),
        (&["status", "-w", "--plain"], 1),
        (&["fg", "a"], 1),
    ] {
        let fake = Fake::new(|request, stream| {
            let request: serde_json::Value = serde_json::from_str(request).expect("JSON");
            match request["command"].as_str() {
                Some("status") => return send(stream, STATUS),
                // The process goes on.
                Some("wait") => {}
                Some("pid") => return send(stream, r#"{"status":"ok","pid":12}"#),
                Some("events") => {
                    send(stream, r#"{"status":"ok","more":true}"#);
                    send(stream, EVENT);
                }
                Some("tail") if request["stream"] == "stdout" => {
                    send(stream, r#"{"status":"ok","text":"out\n","more":true}"#);
                }
                _ => send(stream, r#"{"status":"ok","text":"","more":true}"#),
            }
            // Open until the client has ended, and silent.
            let _ = std::io::Read::read(stream, &mut [0]);
        });
        let mut child = Command::new(env!("CARGO_BIN_EXE_supervicectl"))
            .arg("-s")
            .arg(fake.socket())
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it can be executed");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
        assert_eq!(lines.by_ref().take(count).count(), count, "{args:?}");
        drop(lines);
        let begin = Instant::now();
        let code = loop {
            if let Some(status) = child.try_wait().expect("waitpid") {
                break status.code();
            }
            if begin.elapsed() > Duration::from_secs(60) {
                child.kill().expect("it lives");
                panic!("{args:?}: it goes on without its reader");
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        assert_eq!(code, Some(0), "{args:?}");
    }
}
