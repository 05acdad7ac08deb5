//! HTTP as a daemon speaks it: on its control socket, on a port, with passwords and tokens; and by curl.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::Command;

use crate::harness::{Daemon, TEST_TIMEOUT};
pub use crate::servers::free_port;

/// Sends a request and reads until the connection ends: the status, and the whole answer.
pub fn ask(mut stream: impl Read + Write, request: &str) -> (u16, String) {
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).unwrap_or_else(|| panic!("no answer: {answer:?}"));
    (status.parse().expect("a number"), answer)
}

pub fn local(daemon: &Daemon) -> UnixStream {
    let stream = UnixStream::connect(daemon.path("ctl.sock")).expect("it listens");
    stream.set_read_timeout(Some(TEST_TIMEOUT)).expect("a time-out");
    stream
}

pub fn remote(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    stream.set_read_timeout(Some(TEST_TIMEOUT)).expect("a time-out");
    stream
}

fn post(body: &str, fields: &str) -> String {
    let length = body.len();
    format!(
        "POST /api/v1/command HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
         {fields}Content-Length: {length}\r\n\r\n{body}"
    )
}

pub fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
}

#[test]
fn what_frames_can_do_is_done_by_http_and_the_log_tells_who_asked() {
    let daemon = Daemon::start("[program:web]\ncommand = sleep 1000\nautostart = false\nstartsecs = 0\n");
    let (status, answer) = ask(local(&daemon), &post(r#"{"command":"start","name":"web"}"#, ""));
    assert!(status == 200 && answer.ends_with(r#"{"status":"ok","message":"Started web"}"#), "{answer}");
    let (status, answer) = ask(local(&daemon), &post(r#"{"command":"status","name":"web"}"#, ""));
    assert!(status == 200 && answer.contains(r#""name":"web","state":"RUNNING","pid":"#), "{answer}");
    let (status, answer) = ask(local(&daemon), &post(r#"{"command":"stop","name":"wbe"}"#, ""));
    assert!(status == 404 && answer.contains("did you mean 'web'?"), "{answer}");
    assert_eq!(ask(local(&daemon), &get("/livez")).0, 200);
    daemon.wait_log(&format!("start web: asked by uid {}, pid", nix::unistd::getuid()));
    // Frames go on beside it.
    assert_eq!(daemon.status("web").state, "RUNNING");
    daemon.terminate();
}

#[test]
fn a_port_asks_for_a_password_or_a_token_and_the_log_names_who_came_with_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let made = Command::new(env!("CARGO_BIN_EXE_supervicectl")).args(["token", "bot"]).output().expect("it runs");
    let made = String::from_utf8(made.stdout).expect("text");
    let word = |key: &str| made.lines().find_map(|line| Some(line.strip_prefix(key)?.trim().to_owned()));
    let (token, line) = (word("token").expect("a token"), word("users_file").expect("a line"));
    assert!(line.starts_with("bot:{SHA256}") && !line.contains(&token), "{line}");
    std::fs::write(dir.path().join("users"), format!("# those who may\n{line}\n")).expect("written");
    let port = free_port();
    let daemon = Daemon::start_in(
        dir,
        &format!(
            "[program:web]\ncommand = sleep 1000\nstartsecs = 0\n\
             [http]\nlisten = 127.0.0.1:{port}\nusers_file = DIR/users\nusername = alice\npassword = word\n"
        ),
        &[],
    );
    let body = r#"{"command":"restart","name":"web"}"#;
    assert_eq!(ask(remote(port), &post(body, "")).0, 401);
    assert_eq!(ask(remote(port), &post(body, "Authorization: Bearer nonsense\r\n")).0, 401);
    daemon.wait_log("127.0.0.1:");
    daemon.wait_log("a wrong password or token for ''");
    assert_eq!(ask(remote(port), &post(body, &format!("Authorization: Bearer {token}\r\n"))).0, 200);
    daemon.wait_log("restart web: asked by bot at 127.0.0.1:");
    assert_eq!(ask(remote(port), &post(body, "Authorization: Basic YWxpY2U6d29yZA==\r\n")).0, 200);
    daemon.wait_log("restart web: asked by alice at 127.0.0.1:");
    let (_, history, _) = daemon.ctl(&["why", "web"]);
    assert!(history.contains("requested by alice at 127.0.0.1:"), "{history}");
    assert_eq!(ask(remote(port), &get("/livez")).0, 200, "a probe needs no password here");
    assert_eq!(ask(remote(port), &get("/livez").replace("localhost", "evil.example")).0, 403);
    let log = daemon.terminate();
    assert!(!log.contains(&token) && !log.contains("d29yZA"), "{log}");
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "it is closed with the daemon");
}

#[test]
fn a_configuration_of_supervisord_has_its_servers_and_a_password_closes_frames() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = |name: &str| dir.path().join(name).display().to_string();
    let (first, second) = (path("first.sock"), path("second.sock"));
    let port = free_port();
    let text = format!(
        "[supervisord]\nlogfile = {}\npidfile = {}\n[unix_http_server]\nfile = {first}\nusername = u\npassword = p\n\
         [unix_http_server:b]\nfile = {second}\nchmod = 0777\n[inet_http_server]\nport = 127.0.0.1:{port}\n\
         [program:web]\ncommand = sleep 1000\n",
        path("log"),
        path("pid"),
    );
    std::fs::write(dir.path().join("s.conf"), text).expect("written");
    let mut child = Command::new(env!("CARGO_BIN_EXE_supervice"))
        .args(["-n", "-c", &path("s.conf")])
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("it starts");
    crate::harness::wait_until("it listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    let connect = |path: &str| UnixStream::connect(path).expect("it listens");
    assert_eq!(ask(connect(&first), &post(r#"{"command":"ping"}"#, "")).0, 401);
    assert_eq!(ask(connect(&first), &post(r#"{"command":"ping"}"#, "Authorization: Basic dTpw\r\n")).0, 200);
    assert_eq!(ask(connect(&second), &post(r#"{"command":"ping"}"#, "")).0, 200);
    assert_eq!(ask(remote(port), &post(r#"{"command":"ping"}"#, "")).0, 200);
    assert!(supervice::client::Controller::new(&first).status().is_ok(), "frames are for the daemon's own user");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id() as i32), nix::sys::signal::Signal::SIGTERM)
        .expect("it lives");
    assert!(child.wait().expect("it ends").success());
    assert!(!dir.path().join("first.sock").exists() && !dir.path().join("second.sock").exists());
}

#[test]
fn curl_is_answered() {
    let daemon = Daemon::start("[program:web]\ncommand = sleep 1000\nstartsecs = 0\n");
    let curl = |args: &[&str]| {
        let output = Command::new("curl")
            .args(["--silent", "--show-error", "--max-time", "100", "--unix-socket"])
            .arg(daemon.path("ctl.sock"))
            .args(args)
            .output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let Ok(alive) = curl(&["http://localhost/livez"]) else {
        assert!(std::env::var_os("SUPERVICE_TEST_REQUIRE").is_none(), "curl is not installed");
        return;
    };
    assert_eq!(alive, "ok\n");
    let json = ["-H", "Content-Type: application/json", "-d", r#"{"command":"restart","name":"web"}"#];
    let answer = curl(&[&json[..], &["http://localhost/api/v1/command"]].concat()).expect("curl");
    assert_eq!(answer, r#"{"status":"ok","message":"Restarted web"}"#);
    let answer = curl(&["-d", "{}", "http://localhost/api/v1/command"]).expect("curl");
    assert!(answer.contains("send JSON, with Content-Type: application/json"), "{answer}");
    daemon.terminate();
}

/// The body of an answer that came whole.
pub fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").expect("a body").1
}

fn json(answer: &str) -> serde_json::Value {
    serde_json::from_str(body(answer)).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

fn post_to(path: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
}

#[test]
fn programs_are_resources() {
    let daemon = Daemon::start(
        "[program:web]\ncommand = sh -c 'echo hello; printf \"\\\\377\\\\n\"; exec sleep 1000'\nstartsecs = 0\nnumprocs = 2\n\
         environment = PASSWORD=secret\n\
         [program:bad]\ncommand = sh -c 'exit 3'\nstartsecs = 60\nstartretries = 0\nautostart = false\n",
    );
    let get = |path: &str| ask(local(&daemon), &get(path));
    let post = |path: &str| ask(local(&daemon), &post_to(path));
    let (status, answer) = get("/api/v1/status");
    assert!(status == 200 && json(&answer)["processes"].as_array().is_some_and(|all| all.len() == 3), "{answer}");
    let (status, answer) = get("/api/v1/programs/web%3A00");
    assert!(status == 200 && json(&answer)["processes"][0]["name"] == "web:00", "{answer}");
    assert_eq!(get("/api/v1/programs/wbe").0, 404);
    assert_eq!(get("/api/v1/status?nmae=web").0, 400);
    let (status, answer) = get("/api/v1/programs/web:00/config");
    assert!(status == 200 && json(&answer)["config"]["environment"]["PASSWORD"] == "(hidden)", "{answer}");
    assert!(json(&get("/api/v1/programs/web:00/why").1)["lines"].is_array());
    assert!(json(&get("/api/v1/programs/web:00/history").1)["history"].is_array());
    assert_eq!(get("/api/v1/programs/web:00/graph").0, 200);
    assert_eq!(get("/api/v1/graph").0, 200);
    assert_eq!(get("/api/v1/history").0, 200);
    assert_eq!(json(&get("/api/v1/version").1)["version"], env!("CARGO_PKG_VERSION"));
    let (status, answer) = post("/api/v1/programs/bad/start");
    assert!(
        status == 409 && json(&answer)["message"].as_str().is_some_and(|text| text.contains("exit code 3")),
        "{answer}"
    );
    assert_eq!(post("/api/v1/programs/web:00/restart?force=true&timeout=100").0, 200);
    assert_eq!(post("/api/v1/programs/web:00/stop?timeout=x").0, 400);
    assert_eq!(post("/api/v1/programs/web:00/signal?signal=CONT&group").0, 200);
    assert_eq!(post("/api/v1/programs/web:00/signal").0, 400);
    assert_eq!(post("/api/v1/programs/web:00/stop").0, 200);
    assert_eq!(daemon.status("web:00").state, "STOPPED");
    assert_eq!(post("/api/v1/programs/web:01/pause").0, 200);
    crate::harness::wait_until("it is told", || get("/api/v1/programs/web:01").1.contains(r#""paused":"#));
    assert_eq!(post("/api/v1/programs/web:01/resume").0, 200);
    assert_eq!(post("/api/v1/programs/web:00/pause").0, 409, "it has no process");
    assert_eq!(post("/api/v1/programs/web:01/reload").0, 409, "it has no reload_command and no reload_signal");
    assert!(get("/api/v1/programs/web:01/settings").1.contains(r#""command""#));
    assert!(get("/api/v1/flags").1.ends_with(r#""flags":[]}"#));
    // No GET changes anything: whoever follows links follows them all.
    assert_eq!(post("/api/v1/programs/web:01/disable").0, 200);
    assert_eq!(daemon.status("web:01").disabled, Some(true));
    assert_eq!(post("/api/v1/programs/web:01/enable").0, 200);
    assert_eq!(post("/api/v1/programs/web/scale").0, 400);
    assert_eq!(post("/api/v1/programs/web/scale?instances=2&save").0, 409, "nothing is kept without state_dir");
    assert_eq!(post("/api/v1/programs/web/scale?instances=2").0, 200);
    for verb in
        ["start", "stop", "restart", "kill", "signal", "pause", "resume", "disable", "enable", "scale", "reload"]
    {
        assert_eq!(get(&format!("/api/v1/programs/web:01/{verb}")).0, 405, "{verb}");
    }
    assert_eq!(post("/api/v1/programs/web:00/kill").0, 200);
    assert_eq!(post("/api/v1/programs/web:00/start?wait=false").0, 200);
    daemon.wait_state("web:00", "RUNNING");
    let log = |accept: &str| {
        let request = format!("GET /api/v1/programs/web:01/log?lines=5 HTTP/1.0\r\nAccept: {accept}\r\n\r\n");
        let mut stream = local(&daemon);
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer");
        answer
    };
    crate::harness::wait_until("it has written", || log("*/*").ends_with(b"hello\n\xff\n"));
    assert!(log("application/octet-stream").ends_with(b"\r\n\r\nhello\n\xff\n"));
    let events = String::from_utf8(log("text/event-stream")).expect("text");
    assert!(events.contains("event: output\ndata: {\"lossy\":true,\"text\":\"hello\\n\u{fffd}\\n\"}\n\n"), "{events}");
    let (_, answer) = get("/api/v1/openapi.json");
    let described = json(&answer);
    for (path, methods) in described["paths"].as_object().expect("paths") {
        for method in methods.as_object().expect("methods").keys() {
            let request = format!(
                "{} {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 1\r\n\r\nx",
                method.to_uppercase().replace("GET", "HEAD"),
                path.replace("{name}", "none")
            );
            let (status, _) = ask(local(&daemon), &request);
            assert!(
                ![405, 501].contains(&status) && (status != 404 || path.contains("{name}")),
                "{method} {path}: {status}"
            );
        }
    }
    daemon.terminate();
}

/// Reads until this was said.
pub fn read_until(stream: &mut impl Read, words: &str) -> String {
    let mut text = String::new();
    while !text.contains(words) {
        let mut buffer = [0; 4096];
        let count = stream.read(&mut buffer).expect("more");
        assert!(count > 0, "the end behind {text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    text
}

#[test]
fn events_come_as_they_happen_and_who_comes_back_is_told_what_he_has_missed() {
    let daemon = Daemon::start(
        "[program:web]\ncommand = sleep 1000\nstartsecs = 0\n[program:other]\ncommand = sleep 1000\nstartsecs = 0\n",
    );
    daemon.wait_state("web", "RUNNING");
    let mut follows = local(&daemon);
    let request =
        |fields: &str| format!("GET /api/v1/events?names=w*&types=RUNNING,STOPPED HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
    follows.write_all(request("").as_bytes()).expect("it reads");
    read_until(&mut follows, ": supervice\n\n");
    daemon.controller().restart_process("other", true).expect("it is restarted");
    daemon.controller().stop_process("web").expect("it is stopped");
    let text = read_until(&mut follows, "PROCESS_STATE_STOPPED\ndata: {");
    assert!(!text.contains("\"processname\":\"other\""), "{text}");
    let id = text.lines().find_map(|line| line.strip_prefix("id: ")).expect("an id").to_owned();
    drop(follows);
    daemon.controller().start_process("web").expect("it is started");
    let mut back = local(&daemon);
    back.write_all(request(&format!("Last-Event-ID: {id}\r\n")).as_bytes()).expect("it reads");
    let text = read_until(&mut back, "PROCESS_STATE_RUNNING\ndata: {");
    assert!(!text.contains("event: gap") && !text.contains("PROCESS_STATE_STOPPED"), "{text}");
    let mut lost = local(&daemon);
    lost.write_all(request("Last-Event-ID: 0-1\r\n").as_bytes()).expect("it reads");
    read_until(&mut lost, "event: gap\ndata: {\"lost\":null}");
    daemon.terminate();
}

#[test]
fn readyz_names_what_is_not_ready() {
    let daemon = Daemon::start(
        "[program:web]\ncommand = sleep 1000\nstartsecs = 0\n[program:no]\ncommand = sleep 1000\nautostart = false\n",
    );
    daemon.wait_state("web", "RUNNING");
    assert_eq!(ask(local(&daemon), &get("/readyz")).0, 200);
    daemon.controller().stop_process("web").expect("it is stopped");
    let (status, answer) = ask(local(&daemon), &get("/readyz"));
    assert!(
        status == 503 && body(&answer).starts_with("web is STOPPED, ") && body(&answer).lines().count() == 1,
        "{answer}"
    );
    daemon.terminate();
}

#[test]
fn metrics_are_counted_from_the_beginning_and_promtool_understands_them() {
    let daemon = Daemon::start(
        "[program:web]\ncommand = sh -c 'echo abc; echo x; exec sleep 1000'\nstartsecs = 0\n\
         [program:odd\"name]\ncommand = sh -c 'sleep 0.01; exit 3'\nstartsecs = 0\nautorestart = true\n",
    );
    let is_written = |text: &str| {
        let (_, answer) = ask(local(&daemon), &get("/metrics"));
        body(&answer).contains(text)
    };
    let lines = |count: u32| format!("log_bytes_total{{name=\"web\",group=\"web\",stream=\"stdout\"}} {count}\n");
    crate::harness::wait_until("it has written", || is_written(&lines(6)));
    daemon.controller().restart_process("web", true).expect("it is restarted");
    crate::harness::wait_until("it has written once more", || is_written(&lines(12)));
    assert_eq!(daemon.ctl(&["reload"]).0, 0);
    let config = daemon.read("supervice.conf");
    std::fs::write(daemon.path("supervice.conf"), format!("{config}\nnonsense\n")).expect("written");
    assert_ne!(daemon.ctl(&["reload"]).0, 0);
    crate::harness::wait_until("it was started again", || {
        let (_, answer) = ask(local(&daemon), &get("/metrics"));
        let line = |start: &str| body(&answer).lines().any(|line| line.starts_with(start) && !line.ends_with(" 0"));
        line("supervice_process_restarts_total{name=\"odd\\\"name\"")
            && line("supervice_process_exits_total{name=\"odd")
    });
    let (status, answer) = ask(local(&daemon), &get("/metrics"));
    assert!(status == 200 && answer.contains("Content-Type: text/plain; version=0.0.4"), "{answer}");
    let text = body(&answer);
    for line in [
        "supervice_process_up{name=\"web\",group=\"web\"} 1\n",
        "supervice_process_state{name=\"web\",group=\"web\",state=\"RUNNING\"} 1\n",
        "supervice_process_exits_total{name=\"web\",group=\"web\",kind=\"signal\"} 1\n",
        "supervice_process_restarts_total{name=\"web\",group=\"web\"} 0\n",
        "supervice_process_open_fds{name=\"web\"",
        "supervice_process_resident_memory_bytes{name=\"web\"",
        "supervice_process_cpu_seconds_total{name=\"web\"",
        "# TYPE supervice_process_restarts_total counter\n",
        "supervice_process_log_bytes_total{name=\"web\",group=\"web\",stream=\"stdout\"} 12\n",
        "supervice_process_log_bytes_total{name=\"web\",group=\"web\",stream=\"stderr\"} 0\n",
        "supervice_process_log_lost_bytes_total{name=\"web\",group=\"web\"} 0\n",
        "supervice_reloads_total{result=\"applied\"} 1\nsupervice_reloads_total{result=\"failed\"} 1\n",
        "supervice_config_good 0\n",
        "supervice_connections ",
        "supervice_refused_requests_total 0\n",
        "supervice_longest_turn_seconds ",
        "supervice_spawn_latency_seconds_bucket{le=\"0.0005\"} ",
        "supervice_spawn_latency_seconds_bucket{le=\"+Inf\"} ",
        "supervice_uptime_seconds ",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    let open = get("/metrics").replace("\r\n\r\n", "\r\nAccept: application/openmetrics-text;version=1.0.0\r\n\r\n");
    let (_, answer) = ask(local(&daemon), &open);
    assert!(answer.ends_with("# EOF\n") && answer.contains("# TYPE supervice_process_restarts counter\n"), "{answer}");
    let check = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn();
    match check {
        Ok(mut check) => {
            check.stdin.take().expect("piped").write_all(text.as_bytes()).expect("it reads");
            let output = check.wait_with_output().expect("it ends");
            assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        Err(_) => assert!(std::env::var_os("SUPERVICE_TEST_REQUIRE").is_none(), "promtool is not installed"),
    }
    daemon.terminate();
}

#[test]
fn the_dashboard_and_the_alerts_ask_for_what_there_is() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/monitoring");
    let read = |name: &str| std::fs::read_to_string(root.join(name)).expect("it is there");
    let board: serde_json::Value = serde_json::from_str(&read("dashboard.json")).expect("JSON");
    let panels = board["panels"].as_array().expect("panels");
    let asked = panels.iter().flat_map(|panel| panel["targets"].as_array().expect("targets"));
    let asked: Vec<&str> = asked.map(|target| target["expr"].as_str().expect("an expression")).collect();
    assert!(asked.len() >= panels.len() && panels.len() >= 12);
    let text = asked.join("\n") + &read("alerts.yaml");
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let words: std::collections::BTreeSet<&str> = words.filter(|word| word.starts_with("supervice_")).collect();
    let daemon = Daemon::start("[program:web]\ncommand = sleep 1000\nstartsecs = 0\n");
    daemon.wait_state("web", "RUNNING");
    let (_, answer) = ask(local(&daemon), &get("/metrics"));
    for word in words {
        let is_told = [format!("\n# TYPE {word} "), format!("\n{word}{{"), format!("\n{word} ")];
        assert!(is_told.iter().any(|line| answer.contains(line.as_str())), "{word}: {answer}");
    }
    daemon.terminate();
}

/// Clients that hold half a request, never read, send what is none, and follow everything: programs go on.
#[test]
fn clients_that_do_harm_hold_up_no_program_and_nobody_else() {
    let port = free_port();
    let daemon = Daemon::start(&format!(
        "[program:web]\ncommand = sleep 1000\nstartsecs = 0\n\
         [program:loud]\ncommand = sh -c 'yes words'\nstartsecs = 0\n[http]\nlisten = 127.0.0.1:{port}\n"
    ));
    daemon.wait_state("loud", "RUNNING");
    let mut held = Vec::new();
    for number in 0..140 {
        let mut stream = remote(port);
        let text = match number % 4 {
            0 => "GET /livez HTTP/1.1\r\nHost: loc".to_owned(),
            1 => "POST /api/v1/command HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n{".to_owned(),
            2 => get("/api/v1/programs/loud/log?follow=true").replace("Connection: close\r\n", ""),
            _ => get("/api/v1/status").replace("Connection: close\r\n", "").repeat(50),
        };
        // One of those that come last may be turned away.
        let _ = stream.write_all(text.as_bytes());
        held.push(stream);
    }
    for _ in 0..3 {
        daemon.controller().restart_process("web", true).expect("it is restarted");
    }
    assert_eq!(ask(local(&daemon), &get("/livez")).0, 200, "on the local socket there is always room");
    drop(held);
    crate::harness::wait_until("there is room again", || {
        let mut stream = remote(port);
        let mut answer = String::new();
        let _ = stream.write_all(get("/livez").as_bytes());
        stream.read_to_string(&mut answer).is_ok() && answer.starts_with("HTTP/1.1 200 ")
    });
    let log = daemon.terminate();
    assert!(!log.contains("a panic"), "{log}");
}

#[test]
fn supervicectl_does_by_http_what_it_does_by_the_socket() {
    let port = free_port();
    let daemon = Daemon::start(&format!(
        "[program:web]\ncommand = sh -c 'echo hello; exec sleep 1000'\nstartsecs = 0\n\
         [http]\nlisten = 127.0.0.1:{port}\nusername = alice\npassword = word\n"
    ));
    let url = format!("http://127.0.0.1:{port}");
    let ctl = |password: &str, args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_supervicectl"))
            .args(["-s", &url])
            .args(args)
            .envs([("SUPERVICE_USER", "alice"), ("SUPERVICE_PASSWORD", password)])
            .output()
            .expect("it runs");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (code, out, error) = ctl("word", &["restart", "web"]);
    assert_eq!((code, out.as_str()), (Some(0), "Restarted web\n"), "{error}");
    let (code, out, _) = ctl("word", &["status"]);
    assert!(code == Some(0) && out.contains("RUNNING"), "{out}");
    crate::harness::wait_until("its output is there", || ctl("word", &["tail", "web"]).1.ends_with("hello\n"));
    let (code, _, error) = ctl("word", &["stop", "wbe"]);
    assert!(code == Some(1) && error.contains("did you mean 'web'?"), "{error}");
    let (code, _, error) = ctl("wrong", &["status"]);
    assert!(code == Some(1) && error.contains("a name and a password, or a token, are needed"), "{error}");
    let controller = supervice::client::Controller::new(&url).with_credentials("alice", "word");
    let mut events = controller.events(&["STOPPED"], 0).expect("it follows");
    daemon.controller().stop_process("web").expect("it is stopped");
    assert_eq!(events.next().expect("an event").expect("no error").event.processname, "web");
    drop(daemon);
    let (code, _, error) = ctl("word", &["status"]);
    assert!(code == Some(3) && error.contains("no daemon at http://"), "{error}");
}

#[test]
fn an_update_opens_changes_and_closes_sockets_and_one_that_can_t_be_opened_leaves_the_others() {
    let [first, second, third] = [free_port(), free_port(), free_port()];
    let section = |name: &str, port: u16, more: &str| format!("[http:{name}]\nlisten = 127.0.0.1:{port}\n{more}\n");
    let program = "[program:web]\ncommand = sleep 1000\nstartsecs = 0\n";
    let daemon = Daemon::start(&format!("{program}{}", section("a", first, "")));
    let update = |sections: String| {
        daemon.write_config(&format!("{program}{sections}"), &[]);
        let (code, told, error) = daemon.ctl(&["update"]);
        assert_eq!(code, 0, "{told}{error}");
        told
    };
    let live = |port: u16| TcpStream::connect(("127.0.0.1", port)).is_ok();
    let becomes = |port: u16, is_open: bool| {
        crate::harness::wait_until(&format!("port {port} is {is_open}"), || live(port) == is_open);
    };
    let pid = daemon.status("web").pid;
    let mut kept = remote(first);
    kept.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("it reads");
    read_until(&mut kept, "\r\n\r\nok\n");
    // A second one, and a socket with a file; the first stays, with whoever has come in.
    let unix = format!("[http:c]\nlisten = unix:{}\n", daemon.path("http.sock").display());
    let told = update(section("a", first, "") + &section("b", second, "") + &unix);
    assert!(told.contains("http"), "{told}");
    becomes(second, true);
    let path = daemon.path("http.sock");
    crate::harness::wait_until("the file is there", || UnixStream::connect(&path).is_ok());
    kept.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("it reads");
    read_until(&mut kept, "\r\n\r\nok\n");
    // A password: who has come in without is sent away.
    update(section("a", first, "username = u\npassword = p\nprobes = closed") + &section("b", second, "") + &unix);
    // While the rules change, who has come in by the former ones is sent away.
    let asks_for_password = || {
        let (mut stream, mut answer) = (remote(first), Vec::new());
        let read = stream.write_all(get("/livez").as_bytes()).and_then(|()| stream.read_to_end(&mut answer));
        read.is_ok() && answer.starts_with(b"HTTP/1.1 401")
    };
    crate::harness::wait_until("a password is asked for", asks_for_password);
    assert!(kept.read(&mut [0; 8]).is_ok_and(|count| count == 0), "it was closed");
    assert_eq!(ask(remote(second), &get("/livez")).0, 200);
    // One that somebody else has: it is told, and the others stay; they are tried again.
    let other = std::net::TcpListener::bind(("127.0.0.1", third)).expect("a port");
    update(section("b", second, "") + &section("d", third, ""));
    daemon.wait_log(&format!("[http:d]: cannot listen on 127.0.0.1:{third} for HTTP: "));
    becomes(first, false);
    crate::harness::wait_until("the file is removed", || !path.exists());
    assert_eq!(ask(remote(second), &get("/livez")).0, 200);
    drop(other);
    // A child that another test has forked meanwhile may hold a copy of theirs for a moment.
    crate::harness::wait_until("it is ours", || {
        daemon.ctl(&["update"]);
        live(third) && ask(remote(third), &get("/livez")).0 == 200
    });
    // All of them go, and the control socket stays.
    update(String::new());
    becomes(second, false);
    becomes(third, false);
    assert_eq!(daemon.status("web").pid, pid, "no program has noticed");
    daemon.terminate();
}

#[test]
fn a_file_of_users_is_read_again_by_an_update_and_who_was_removed_is_out_at_once() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("users"), "bot:one\n").expect("written");
    let port = free_port();
    let daemon = Daemon::start_in(dir, &format!("[http]\nlisten = 127.0.0.1:{port}\nusers_file = DIR/users\n"), &[]);
    let request = |token: &str| {
        format!("GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n")
    };
    let mut stays = remote(port);
    stays.write_all(request("one").as_bytes()).expect("it reads");
    read_until(&mut stays, "\"status\":\"ok\"");
    std::fs::write(daemon.path("users"), "bot:two\n").expect("written");
    assert_eq!(daemon.ctl(&["update"]).0, 0);
    let mut rest = Vec::new();
    stays.read_to_end(&mut rest).expect("the end");
    let status =
        |token: &str| ask(remote(port), &request(token).replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")).0;
    assert_eq!((status("one"), status("two")), (401, 200));
    daemon.terminate();
}

#[test]
fn a_part_of_a_log_is_had_by_its_range() {
    let daemon = Daemon::start(
        "[program:web]\ncommand = sh -c 'printf 0123456789; exec sleep 1000'\nstartsecs = 0\nstdout_logfile = DIR/web.log\n",
    );
    crate::harness::wait_until("it has written", || daemon.read("web.log") == "0123456789");
    let part = |range: &str| {
        let request = get("/api/v1/programs/web/log").replace("\r\n\r\n", &format!("\r\nRange: {range}\r\n\r\n"));
        let (status, answer) = ask(local(&daemon), &request);
        let told = answer.lines().find_map(|line| line.strip_prefix("Content-Range: ")).unwrap_or_default().to_owned();
        (status, told, body(&answer).to_owned())
    };
    let wanted = |status, told: &str, content: &str| (status, told.to_owned(), content.to_owned());
    assert_eq!(part("bytes=2-4"), wanted(206, "bytes 2-4/10", "234"));
    assert_eq!(part("bytes=7-"), wanted(206, "bytes 7-9/10", "789"));
    assert_eq!(part("bytes=-3"), wanted(206, "bytes 7-9/10", "789"));
    assert_eq!(part("bytes=-300"), wanted(206, "bytes 0-9/10", "0123456789"));
    assert_eq!(part("bytes=8-999999999999"), wanted(206, "bytes 8-9/10", "89"));
    assert_eq!(part("lines=1-2").0, 200, "what is no range asks for all");
    let (status, told, _) = part("bytes=10-");
    assert_eq!((status, told.as_str()), (416, "bytes */10"));
    daemon.terminate();
}
