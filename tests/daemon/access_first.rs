//! The rules of access come before anything else that can be told of a program: whoever may not do something to it learns
//! neither whether it could be done nor what stands in the way.

use crate::harness::Daemon;
use crate::http::{ask, body, free_port, remote};

/// A daemon with users, and its port.
struct Site {
    daemon: Daemon,
    port: u16,
}

/// Of each user with his password `pw`: what he may do with all programs, and the token of his name.
const USERS: &str = "reader:pw\nstarter:pw\nstranger:pw\n";

impl Site {
    fn new(programs: &str, rules: &str) -> Site {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("users"), USERS).expect("written");
        std::fs::write(dir.path().join("text"), "no program\n").expect("written");
        let port = free_port();
        let http = format!("[http]\nlisten = 127.0.0.1:{port}\nusers_file = DIR/users\n");
        Site { daemon: Daemon::start_in(dir, &(programs.to_owned() + &http + rules), &[]), port }
    }

    fn send(&self, user: &str, method: &str, path: &str, kind: &str, content: &str) -> (u16, String) {
        let credentials = match user {
            "reader" => "cmVhZGVyOnB3",
            "starter" => "c3RhcnRlcjpwdw==",
            _ => "c3RyYW5nZXI6cHc=",
        };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {credentials}\r\nConnection: close\r\n\
             Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            content.len()
        );
        ask(remote(self.port), &(head + content))
    }

    fn json(&self, user: &str, content: &str) -> (u16, String) {
        self.send(user, "POST", "/api/v1/command", "application/json", content)
    }

    #[cfg(feature = "xmlrpc")]
    fn rpc(&self, user: &str, method: &str, params: &[&str]) -> (u16, String) {
        let params: String = params.iter().map(|param| format!("<param><value>{param}</value></param>")).collect();
        let call =
            format!("<methodCall><methodName>supervisor.{method}</methodName><params>{params}</params></methodCall>");
        self.send(user, "POST", "/RPC2", "text/xml", &call)
    }
}

/// One that runs, one without a file, one whose file is no program, one that wants no log, and one in a group.
#[cfg(feature = "xmlrpc")]
const PROGRAMS: &str = "[program:upup]\ncommand = sleep 1000\nstartsecs = 0\n\
     [program:gone]\ncommand = DIR/gone\nautostart = false\n\
     [program:text]\ncommand = DIR/text\nautostart = false\n\
     [program:mute]\ncommand = sleep 1000\nautostart = false\nstdout_logfile = NONE\nredirect_stderr = true\n\
     [group:both]\nprograms = gone\n";

#[cfg(feature = "xmlrpc")]
#[test]
fn xml_rpc_tells_nothing_before_the_rules_were_asked() {
    let site = Site::new(
        PROGRAMS,
        "[access:reader]\nwho = http:reader\nallow = read\n[access:starter]\nwho = http:starter\nallow = start\n",
    );
    site.daemon.wait_state("upup", "RUNNING");
    let verbs: [(&str, &[&str]); 10] = [
        ("startProcess", &[]),
        ("stopProcess", &[]),
        ("signalProcess", &["HUP"]),
        ("signalProcess", &["NONE"]),
        ("signalProcess", &["0"]),
        ("readProcessStdoutLog", &["<int>0</int>", "<int>10</int>"]),
        ("readProcessStdoutLog", &["<int>-5</int>", "<int>10</int>"]),
        ("tailProcessStderrLog", &["<int>0</int>", "<int>10</int>"]),
        ("sendProcessStdin", &["x"]),
        ("clearProcessLogs", &[]),
    ];
    for (user, nobody) in [("reader", "none"), ("stranger", "none")] {
        for (method, rest) in verbs {
            let told = |name: &str| {
                let (status, answer) = site.rpc(user, method, &[&[name], rest].concat());
                assert_eq!(status, 403, "{user}: {method} {name}: {answer}");
                body(&answer).replace(name, "NAME")
            };
            let wanted = told(nobody);
            for name in ["upup", "both:gone", "text", "mute"] {
                assert_eq!(
                    told(name).replace("gone", "NAME"),
                    wanted.replace("none", "NAME"),
                    "{user}: {method} {name}"
                );
            }
        }
        for path in ["upup", "both:gone", "text", "mute", "mute/stderr"] {
            let (status, answer) = site.send(user, "GET", &format!("/logtail/{path}"), "", "");
            assert_eq!(status, 403, "{user}: {path}: {answer}");
        }
        for method in ["startAllProcesses", "stopAllProcesses", "clearAllProcessLogs"] {
            assert_eq!(site.rpc(user, method, &[]).0, 403, "{user}: {method}");
        }
    }
    // Who may start is told why he can't, may he read or not: as by the other faces.
    for (name, code) in [("both:gone", 20), ("text", 21), ("upup", 60), ("none", 10)] {
        let (status, answer) = site.rpc("starter", "startProcess", &[name]);
        assert!(status == 200 && answer.contains(&format!("<int>{code}</int>")), "{name}: {answer}");
    }
    assert_eq!(site.rpc("starter", "getProcessInfo", &["text"]).0, 403);
    assert_eq!(site.rpc("starter", "stopProcess", &["upup"]).0, 403);
    let (status, answer) = site.rpc("starter", "startAllProcesses", &[]);
    let told = ["NO_FILE", "NOT_EXECUTABLE", "SUCCESS", "OK"].map(|word| answer.contains(word));
    assert!(status == 200 && told == [true, true, false, true], "{answer}");
    let log = site.daemon.terminate();
    for line in [
        "start text: refused, no rule of access allows it; asked by reader at 127.0.0.1:",
        "start gone: refused, no rule of access allows it; asked by reader at 127.0.0.1:",
        "stop upup: refused, no rule of access allows it; asked by starter at 127.0.0.1:",
        "signal none: refused, no rule of access allows it; asked by stranger at 127.0.0.1:",
    ] {
        assert!(log.contains(line), "{line}: {log}");
    }
    assert!(!log.contains("start both:gone: refused") && !log.contains("asked by starter at 127.0.0.1:0"), "{log}");
}

/// Of several each is judged by itself: what may be started is inspected, what may not is refused, and both are told.
#[cfg(feature = "xmlrpc")]
#[test]
fn xml_rpc_of_several_tells_of_each_what_may_be_told() {
    let rules = "[access:some]\nwho = http:starter\nallow = start\nprograms = text, group:both\n\
                 [access:all]\nwho = http:starter\nallow = read\n";
    let site = Site::new(PROGRAMS, rules);
    site.daemon.wait_state("upup", "RUNNING");
    let (status, answer) = site.rpc("starter", "startAllProcesses", &[]);
    let told = |name: &str| {
        let begin = answer.find(&format!("<string>{name}</string>")).unwrap_or_else(|| panic!("{name}: {answer}"));
        let text = &answer[begin..];
        text.split("</struct>").next().expect("a part").to_owned()
    };
    assert_eq!(status, 200, "{answer}");
    assert!(told("gone").contains("NO_FILE") && told("text").contains("NOT_EXECUTABLE"), "{answer}");
    assert!(told("mute").contains("no rule of access allows you to start mute"), "{answer}");
    assert_eq!(site.daemon.status("mute").state, "STOPPED");
    let log = site.daemon.terminate();
    assert!(log.contains("start mute: refused") || log.contains("start mute"), "{log}");
}

/// What is wrong with the file is about all programs.
#[test]
fn errors_of_the_configuration_are_told_to_who_may_have_it_read() {
    let rules = "[access:web]\nwho = http:reader\nallow = read, start\nprograms = web*\n\
                 [access:all]\nwho = http:starter\nallow = all\n";
    let programs = "[program:web]\ncommand = sleep 1000\nstartsecs = 0\n\
                    [program:secret]\ncommand = sleep 1000\nautostart = false\n";
    let site = Site::new(programs, rules);
    site.daemon.wait_state("web", "RUNNING");
    let file = site.daemon.path("supervice.conf");
    let text = std::fs::read_to_string(&file).expect("it is there");
    std::fs::write(&file, text.replace("[program:secret]", "[program:secret]\nstartsecs = hidden-value"))
        .expect("written");
    let cat = r#"{"command":"cat","name":"web"}"#;
    let (status, answer) = site.json("reader", cat);
    assert!(status == 200 && body(&answer).contains("the configuration file can't be used"), "{answer}");
    assert!(!answer.contains("secret") && !answer.contains("hidden-value"), "{answer}");
    let (status, answer) = site.json("starter", cat);
    assert!(status == 200 && answer.contains("secret") && answer.contains("startsecs"), "{answer}");
    site.daemon.terminate();
}

#[test]
fn settings_name_nobody_who_may_not_be_read() {
    let rules = "[access:web]\nwho = http:reader\nallow = read\nprograms = web, open, open:*\n\
                 [access:all]\nwho = http:starter\nallow = all\n";
    let programs = "[program:web]\ncommand = sleep 1000\nautostart = false\nrequires = secretdb, open\n\
                    wants = group:secretgroup, secretmany\nafter = secretnone?\n\
                    [program:secretdb]\ncommand = sleep 1000\nautostart = false\n\
                    [program:secretmany]\ncommand = sleep 1000\nautostart = false\nnumprocs = 2\n\
                    [program:open]\ncommand = sleep 1000\nautostart = false\nnumprocs = 2\n\
                    [program:member]\ncommand = sleep 1000\nautostart = false\n[group:secretgroup]\nprograms = member\n";
    let site = Site::new(programs, rules);
    let cat = |user| site.json(user, r#"{"command":"cat","name":"web"}"#).1;
    let get = |user, path: &str| site.send(user, "GET", &format!("/api/v1/programs/web/{path}"), "", "").1;
    for answer in [cat("reader"), get("reader", "settings"), get("reader", "config"), get("reader", "graph")] {
        assert!(answer.contains("open") && !answer.contains("secret"), "{answer}");
    }
    for answer in [cat("starter"), get("starter", "settings"), get("starter", "config")] {
        assert!(answer.contains("secretdb") && answer.contains("secretgroup"), "{answer}");
    }
    site.daemon.terminate();
}

/// What it waits for is told by its name to those who may see that.
#[test]
fn what_a_start_waits_for_is_not_named_to_who_may_not_see_it() {
    let rules = "[access:web]\nwho = http:reader\nallow = read, start\nprograms = web, talk\n\
                 [access:all]\nwho = http:starter\nallow = all\n";
    let programs = "[program:web]\ncommand = sleep 1000\nautostart = false\nrequires = secret\n\
                    [program:secret]\ncommand = DIR/gone\nautostart = false\nstartretries = 0\n\
                    [program:talk]\ncommand = sh -c 'echo what only its log tells; exit 3'\nautostart = false\n\
                    redirect_stderr = true\nstartsecs = 60\nstartretries = 0\n";
    let site = Site::new(programs, rules);
    let start = r#"{"command":"start","name":"web"}"#;
    let (status, answer) = site.json("reader", start);
    assert!(status == 409 && !answer.contains("secret"), "{answer}");
    for path in ["status", "programs/web", "programs/web/why", "programs/web/history", "programs/web/graph", "graph"] {
        let (status, answer) = site.send("reader", "GET", &format!("/api/v1/{path}"), "", "");
        assert!(status == 200 && !answer.contains("secret"), "{path}: {answer}");
    }
    let (status, answer) = site.json("starter", start);
    assert!(status == 409 && answer.contains("secret"), "{answer}");
    // Nor what it has said, where its output may not be read.
    for command in ["start", "signal"] {
        let talk = format!(r#"{{"command":"{command}","name":"talk","signal":"HUP"}}"#);
        let talk = if command == "start" { talk.replace(r#","signal":"HUP""#, "") } else { talk };
        let (status, answer) = site.json("starter", &talk);
        assert!(status == 409 && answer.contains("what only its log tells"), "{answer}");
        if command == "start" {
            let (status, answer) = site.json("reader", &talk);
            assert!(status == 409 && !answer.contains("what only its log tells"), "{answer}");
        }
    }
    site.daemon.terminate();
}
