//! The frames of the control protocol, as a real daemon sends them: the recording in `tests/daemon/frames.txt`.
//!
//! The recording is its own script. `= NAME` writes the configuration of that name, `? PROCESS STATE` waits for a state and
//! `? PROCESS said TEXT` for output, `> BODY` sends a request on a connection of its own (`>3 BODY` reads three frames of
//! the answer, `>too-large` sends only the length of a frame that is too large). Below it stand the answers (`< `).
//! `UPDATE_GOLDEN=1 cargo test --test daemon frames` fills in what follows each request, to be read before it is committed.
//!
//! An answer may differ from its recording in three ways only: numbers that change from run to run are recorded as 0 (see
//! [`MASKED`]), sentences have `#` for such numbers, and *new* fields may follow behind the recorded ones of an object.

use std::fmt;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::harness::{Daemon, TEST_TIMEOUT, wait_until};

/// The settings under which the frames are recorded.
const BASE: &str = "[program:web]\ncommand = sleep 1000\nstartsecs = 0\n\
    [program:bad]\ncommand = sh -c 'echo no config >&2; exit 3'\nautostart = false\nstartsecs = 60\nstartretries = 0\n\
    [program:slow]\ncommand = sh -c 'trap \"\" TERM; echo ready; exec sleep 1000'\nautostart = false\nstartsecs = 0\n\
    stopwaitsecs = 600\n\
    [program:one]\ncommand = sleep 1000\nautostart = false\nstartsecs = 0\n\
    [program:two]\ncommand = sleep 1000\nautostart = false\nstartsecs = 0\n\
    [program:well]\ncommand = sleep 1000\nautostart = false\nstartsecs = 0\nhealthcheck_type = script\n\
    stdin = pipe\nreload_signal = CONT\n\
    healthcheck_command = true\nhealthcheck_interval = 1\n\
    [group:pair]\nprograms = one,two\n\
    [group:broken]\nprograms = bad\n";

/// No stop is cut off by the daemon's end, which would be a warning.
const SETTINGS: &[&str] = &["shutdown_timeout = 600"];

fn configuration(name: &str) -> String {
    match name {
        "base" => BASE.to_owned(),
        "changed" => {
            let text = BASE.replacen("sleep 1000", "sleep 1001", 1);
            format!("{text}[program:new]\ncommand = sleep 1000\nstartsecs = 0\n")
        }
        "wrong" => format!("{BASE}[program:x]\nautostart = perhaps\n"),
        _ => panic!("there is no configuration '{name}'"),
    }
}

/// Fields whose number is another in each run.
const MASKED: [&str; 12] = [
    "pid",
    "time",
    "since",
    "uptime",
    "at",
    "kill_at",
    "retry_at",
    "confirm_until",
    "began",
    "asked",
    "spawned",
    "ready",
];

/// JSON whose fields are in the order in which they came.
#[derive(Debug, Clone, PartialEq)]
enum Json {
    Object(Vec<(String, Json)>),
    Array(Vec<Json>),
    Text(String),
    /// A number, a truth value or null, as it is written.
    Other(String),
}

impl Json {
    /// Equal, except that objects of `self` may have further fields behind those of the recording.
    fn continues(&self, recorded: &Json) -> bool {
        match (self, recorded) {
            (Json::Object(new), Json::Object(old)) => {
                let same = |((key, value), (wanted, old)): (&(String, Json), &(String, Json))| {
                    key == wanted && value.continues(old)
                };
                new.len() >= old.len() && new.iter().zip(old).all(same)
            }
            (Json::Array(new), Json::Array(old)) => {
                new.len() == old.len() && new.iter().zip(old).all(|(new, old)| new.continues(old))
            }
            (Json::Text(new), Json::Text(old)) | (Json::Other(new), Json::Other(old)) => new == old,
            (Json::Object(_) | Json::Array(_) | Json::Text(_) | Json::Other(_), _) => false,
        }
    }

    fn mask(&mut self, field: &str, daemon: &Daemon) {
        match self {
            Json::Object(fields) => {
                // Whether a piece of output is already known to be the last one is a matter of time.
                let is_output = fields.iter().any(|(key, _)| key == "text");
                for (key, value) in fields {
                    match value {
                        Json::Other(more) if is_output && key == "more" => *more = "0".to_owned(),
                        value => value.mask(key, daemon),
                    }
                }
            }
            Json::Array(items) => items.iter_mut().for_each(|item| item.mask(field, daemon)),
            Json::Text(text) => *text = masked_text(text, daemon),
            Json::Other(number) if MASKED.contains(&field) && number != "null" => *number = "0".to_owned(),
            Json::Other(_) => {}
        }
    }
}

/// The sentence with `#` in place of process ids, user ids, times and durations, `DIR` for the daemon's directory and
/// `CLIENT` for this program's name.
fn masked_text(text: &str, daemon: &Daemon) -> String {
    let own = fs::read_to_string(format!("/proc/{}/comm", std::process::id())).expect("this process");
    let text = text.replace(&daemon.dir.path().display().to_string(), "DIR");
    let text = text.replace(&format!("({})", own.trim_end()), "(CLIENT)").replace(env!("CARGO_PKG_VERSION"), "VERSION");
    let mut masked = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        masked.push_str(&rest[..at]);
        let number = &rest[at..];
        let end = number.find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | ':')).unwrap_or(number.len());
        let end = number[..end].trim_end_matches(['.', ':']).len();
        let varies = ["pid ", "uid ", "uptime ", "at ", "in "].iter().any(|before| masked.ends_with(before))
            || number[end..].starts_with(" s");
        masked.push_str(if varies { "#" } else { &number[..end] });
        rest = &number[end..];
    }
    masked + rest
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |text: &str| serde_json::to_string(text).expect("text");
        match self {
            Json::Object(fields) => {
                let fields = fields.iter().map(|(key, value)| format!("{}:{value}", quoted(key)));
                write!(f, "{{{}}}", fields.collect::<Vec<_>>().join(","))
            }
            Json::Array(items) => {
                write!(f, "[{}]", items.iter().map(Json::to_string).collect::<Vec<_>>().join(","))
            }
            Json::Text(text) => f.write_str(&quoted(text)),
            Json::Other(text) => f.write_str(text),
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Json, D::Error> {
        struct Order;
        impl<'de> Visitor<'de> for Order {
            type Value = Json;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Json::Object(fields))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Json::Array(items))
            }
            fn visit_str<E>(self, text: &str) -> Result<Json, E> {
                Ok(Json::Text(text.to_owned()))
            }
            fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
                Ok(Json::Other(value.to_string()))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
                Ok(Json::Other(value.to_string()))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
                Ok(Json::Other(value.to_string()))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
                Ok(Json::Other(value.to_string()))
            }
            fn visit_unit<E>(self) -> Result<Json, E> {
                Ok(Json::Other("null".to_owned()))
            }
        }
        deserializer.deserialize_any(Order)
    }
}

/// Sends the bytes, and reads so many frames of the answer.
fn answers(daemon: &Daemon, request: &[u8], count: usize) -> Vec<Json> {
    let mut stream = UnixStream::connect(daemon.path("ctl.sock")).expect("the daemon listens");
    stream.set_read_timeout(Some(TEST_TIMEOUT)).expect("a time-out");
    stream.write_all(request).expect("it reads");
    let mut frame = || {
        let mut length = [0; 4];
        stream.read_exact(&mut length).expect("an answer");
        let mut body = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut body).expect("a whole frame");
        let mut json: Json = serde_json::from_slice(&body).expect("JSON");
        json.mask("", daemon);
        json
    };
    (0..count).map(|_| frame()).collect()
}

fn framed(body: &str) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("short").to_be_bytes();
    [&length[..], body.as_bytes()].concat()
}

fn ask(daemon: &Daemon, line: &str) -> Vec<Json> {
    if line == ">too-large" {
        return answers(daemon, &(1024 * 1024 + 1_u32).to_be_bytes(), 1);
    }
    let (count, body) = line.split_once(' ').unwrap_or((line, ""));
    let count = count.trim_start_matches('>');
    answers(daemon, &framed(body), if count.is_empty() { 1 } else { count.parse().expect("a number of frames") })
}

fn wait(daemon: &Daemon, what: &str) {
    let (process, what) = what.split_once(' ').expect("a process and what of it");
    match what.strip_prefix("said ") {
        Some(text) => wait_until(&format!("{process} says {text}"), || {
            let amount = supervice::client::Amount::Lines(10);
            let output = daemon.controller().tail(process, false, amount).expect("its output");
            String::from_utf8_lossy(&output).contains(text)
        }),
        None => drop(daemon.wait_state(process, what)),
    }
}

fn recording() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/daemon/frames.txt")
}

/// What was found, in the form of the recording, and where it differs.
fn replay(daemon: &Daemon, script: &str) -> (String, Vec<String>) {
    let (mut found, mut wrong) = (String::new(), Vec::new());
    let mut lines = script.lines().peekable();
    while let Some(line) = lines.next() {
        found.push_str(&format!("{line}\n"));
        if let Some(name) = line.strip_prefix("= ") {
            daemon.write_config(&configuration(name), SETTINGS);
        } else if let Some(what) = line.strip_prefix("? ") {
            wait(daemon, what);
        } else if line.starts_with('>') {
            let mut recorded = Vec::new();
            while let Some(answer) = lines.next_if(|line| line.starts_with("< ")) {
                recorded.push(serde_json::from_str::<Json>(&answer[2..]).expect("a recorded answer is JSON"));
            }
            let answers = ask(daemon, line);
            found.extend(answers.iter().map(|answer| format!("< {answer}\n")));
            let same =
                answers.len() == recorded.len() && answers.iter().zip(&recorded).all(|(new, old)| new.continues(old));
            if !same {
                let shown = |all: &[Json]| all.iter().map(Json::to_string).collect::<Vec<_>>().join("\n         ");
                wrong.push(format!("{line}\n  wanted {}\n  found  {}", shown(&recorded), shown(&answers)));
            }
        }
    }
    (found, wrong)
}

#[test]
fn frames_are_as_recorded_and_new_fields_follow_the_old_ones() {
    let script = fs::read_to_string(recording()).expect("the recording");
    let dir = tempfile::tempdir().expect("a directory");
    let daemon = Daemon::start_in(dir, &configuration("base"), SETTINGS);
    daemon.wait_state("web", "RUNNING");
    let (found, wrong) = replay(&daemon, &script);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        return fs::write(recording(), found).expect("written");
    }
    assert!(wrong.is_empty(), "{}\n(UPDATE_GOLDEN=1 writes what was found)", wrong.join("\n"));
}

/// A rule that a machine checks: each command of the manual is recorded with a success and, where it can fail, an error.
#[test]
fn every_command_of_the_manual_is_recorded() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manual = fs::read_to_string(root.join("packaging/man/supervice-protocol.7")).expect("the manual");
    let requests = manual.split(".Ss Requests").nth(1).and_then(|text| text.split(".Ss ").next()).expect("requests");
    let commands: Vec<&str> = requests.lines().filter_map(|line| line.strip_prefix(".It Cm ")).collect();
    assert!(commands.len() >= 25, "{commands:?}");
    let text = fs::read_to_string(recording()).expect("the recording");
    // The second line of each pair answers the first.
    let lines: Vec<&str> = text.lines().collect();
    let recorded = |command: &str, status: &str| {
        let request = format!("\"command\":\"{command}\"");
        let answer = format!("< {{\"status\":\"{status}\"");
        lines.windows(2).any(|pair| pair[0].contains(&request) && pair[1].starts_with(&answer))
    };
    for command in commands {
        // Tested beside the clients of supervisord: nothing could follow in the recording.
        if command == "restartdaemon" {
            continue;
        }
        // There is no log of the daemon's own here, `cat` names files that lie elsewhere in each run, and no program here has
        // several instances.
        let only_fails = ["poweroff", "reboot", "halt", "clearlog", "cat", "scale"].contains(&command);
        let never_fails =
            ["shutdown", "ping", "version", "reopen", "daemon", "configuration", "access", "flags"].contains(&command);
        assert!(only_fails || recorded(command, "ok"), "{command}: no success");
        assert!(never_fails || recorded(command, "error"), "{command}: no error");
    }
    let codes = manual.split(".Ss Errors").nth(1).and_then(|text| text.split(".Ss ").next()).expect("errors");
    for code in codes.lines().filter_map(|line| line.strip_prefix(".It ")) {
        // Only a fault of the daemon itself has the one, and nobody is refused anything here.
        assert!(
            ["INTERNAL_ERROR", "FORBIDDEN"].contains(&code) || text.contains(&format!("\"code\":\"{code}\"")),
            "{code}"
        );
    }
}

#[test]
fn a_recording_tolerates_new_fields_at_the_end_only() {
    let json = |text: &str| serde_json::from_str::<Json>(text).expect("JSON");
    let old = json(r#"{"a":1,"b":[{"c":2}]}"#);
    assert!(json(r#"{"a":1,"b":[{"c":2,"d":3}],"e":4}"#).continues(&old));
    for text in [
        r#"{"b":[{"c":2}],"a":1}"#,
        r#"{"x":0,"a":1,"b":[{"c":2}]}"#,
        r#"{"a":1}"#,
        r#"{"a":1,"b":[]}"#,
        r#"{"a":"1","b":[{"c":2}]}"#,
    ] {
        assert!(!json(text).continues(&old), "{text}");
    }
}
