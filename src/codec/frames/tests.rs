use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::request::{MAX_ITEMS, MAX_PARAMETERS, Shallow};
use super::*;
use crate::api::{
    self, Act, Announcement, Answer, Changes, Command, EventKinds, EventType, FlagRow, HistoryRow, LogLevel, LogSource,
    Query, Refusal, Reply, Request, Selector, WallClock, Watch,
};
use crate::models::{LogStart, Power, ProgramConfig, StreamKind};
use crate::process::machine::Upcoming;
use crate::process::{Cause, Condition, Exit, Failure, Moment, ProcessState, SignalTarget};

fn clock() -> WallClock {
    WallClock { now: Moment::from_nanos(3_600_000_000_000), wall: Duration::from_millis(1_700_000_000_250) }
}

/// The body of the frame of an answer that is no refusal.
fn reply(reply: Reply) -> String {
    body(&answer(&Ok(reply), clock())).to_owned()
}

fn row(at: Moment, cause: Cause) -> HistoryRow {
    let program = Arc::new(ProgramConfig::new("web", "true"));
    HistoryRow { program, at, from: ProcessState::Starting, to: ProcessState::Running, pid: Some(12), cause }
}

fn body(frame: &[u8]) -> &str {
    assert_eq!(head(frame), Head::Frame(frame.len() - HEADER));
    std::str::from_utf8(&frame[HEADER..]).expect("UTF-8")
}

fn process(name: &str) -> ProcessStatus {
    serde_json::from_str(&format!(r#"{{"name":"{name}","state":"STOPPED","pid":null}}"#)).expect("a status")
}

#[test]
fn answers_are_these_bytes_on_the_wire() {
    assert_eq!(ok("Started web"), b"\0\0\0\x27{\"status\":\"ok\",\"message\":\"Started web\"}");
    assert_eq!(
        body(&error(ErrorCode::NotFound, "no process 'x'\n\u{1}")),
        r#"{"status":"error","code":"NOT_FOUND","message":"no process 'x'\n\u0001"}"#
    );
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        body(&reload(
            &Changes { added: names(&["a"]), changed: names(&["b", "ü"]), ..Changes::default() },
            &names(&["ü"]),
            &DaemonChanges::default()
        )),
        r#"{"status":"ok","added":["a"],"removed":[],"changed":["b","ü"],"needs_restart":["ü"],"daemon":{"live":[],"restart":[]}}"#
    );
    let full = ProcessStatus {
        pid: Some(12),
        uptime: Some(0),
        healthy: Some(true),
        group: Some("g".to_owned()),
        description: Some("pid 12, uptime 0:00".to_owned()),
        exit_code: Some(3),
        exit_signal: None,
        restarts: Some(2),
        since: Some(1_700_000_000),
        autostart: Some(true),
        kill_at: Some(1_700_000_010),
        retry_at: None,
        ..process("web")
    };
    let waiting = ProcessStatus {
        waiting_for: vec![WaitingFor { kind: "process".to_owned(), retry: Some(2), ..WaitingFor::default() }],
        waiting_for_more: 1,
        ..process("c")
    };
    assert_eq!(
        body(&status(&[full, process("b"), waiting], 0)),
        "{\"status\":\"ok\",\"processes\":[{\"name\":\"web\",\"state\":\"STOPPED\",\"pid\":12,\"uptime\":0,\
         \"healthy\":true,\"group\":\"g\",\"description\":\"pid 12, uptime 0:00\",\"exit_code\":3,\"restarts\":2,\
         \"since\":1700000000,\"autostart\":true,\"kill_at\":1700000010},\
         {\"name\":\"b\",\"state\":\"STOPPED\",\"pid\":null},\
         {\"name\":\"c\",\"state\":\"STOPPED\",\"pid\":null,\
         \"waiting_for\":[{\"kind\":\"process\",\"retry\":2}],\"waiting_for_more\":1}]}"
    );
}

#[test]
fn reports_are_these_bytes_on_the_wire() {
    let text = str::to_owned;
    let now = clock().now;
    let item = row(now, Cause::Up { seconds: 1 });
    let in_json = r#"{"time":1700000000.25,"name":"web","from_state":"STARTING","to_state":"RUNNING","pid":12,"cause":"up for 1 s","cause_data":{"kind":"up","seconds":1}}"#;
    let change = api::KeyChange { key: text("command"), old: text("a").into(), new: Value::Null };
    let reread = api::Reread {
        added: vec![text("a")],
        changed: [(text("web"), vec![change])].into_iter().collect(),
        warnings: vec![text("odd")],
        ..api::Reread::default()
    };
    let confirm_until = Some(now + Duration::from_secs(60));
    let updated = api::Updated { restarted: vec![text("web")], confirm_until, ..api::Updated::default() };
    let retry_at = now + Duration::from_millis(1500);
    let condition = Condition::Backoff {
        failure: Arc::new(Failure::Exited { exit: Exit::Code(3), age_ms: 200 }),
        number: Some((1, 3)),
        retry: Upcoming { at: retry_at, after_group: None, after_hook: false },
        has_run: true,
        early: None,
    };
    let why = api::Why {
        completed: false,
        notify_state: None,
        bystanders: None,
        pid: None,
        paused: None,
        pause_requested: false,
        program: Arc::clone(&item.program),
        now,
        state: ProcessState::Backoff,
        condition,
        hook: None,
        hook_failure: None,
        last_words: None,
        output_trouble: None,
        since: None,
        history: vec![item.clone()],
        last_request: None,
        restarts: 0,
        health: None,
        config_changed: false,
        last_exit: None,
        held: None,
        chain: api::ObstacleChain::default(),
        next: Some((api::NextStep::Retry { number: 1, of: 3 }, retry_at)),
        next_run: None,
        last_output: vec![text("no")],
    };
    let lines = concat!(
        r#"["web is BACKOFF: exit code 3 after 0.2 s, retry 1 of 3 in 2 s.","#,
        r#""0.0 s ago: from STARTING to RUNNING (pid 12): up for 1 s.","Next: retry 1 of 3, in 1.5 s."]"#
    );
    for (told, wanted) in [
        (
            Reply::Reread(Box::new(reread)),
            text(
                r#"{"status":"ok","added":["a"],"removed":[],"changed":{"web":[{"key":"command","old":"a","new":null}]},"warnings":["odd"],"daemon":{"live":[],"restart":[]}}"#,
            ),
        ),
        (
            Reply::Updated(Box::new(updated)),
            text(
                r#"{"status":"ok","added":[],"removed":[],"changed":[],"restarted":["web"],"confirm_until":1700000060.25,"daemon":{"live":[],"restart":[]}}"#,
            ),
        ),
        (Reply::History(vec![item]), format!(r#"{{"status":"ok","history":[{in_json}]}}"#)),
        (Reply::History(Vec::new()), text(r#"{"status":"ok","history":[]}"#)),
        (
            Reply::Why(Box::new(why)),
            format!(
                r#"{{"status":"ok","name":"web","state":"BACKOFF","lines":{lines},"history":[{in_json}],"stderr":["no"],"next":{{"what":"retry 1 of 3","at":1700000001.75}}}}"#
            ),
        ),
        (Reply::Pid(7), text(r#"{"status":"ok","pid":7}"#)),
        (Reply::Version(7), format!(r#"{{"status":"ok","version":"{}","pid":7}}"#, env!("CARGO_PKG_VERSION"))),
        (
            Reply::Flags(vec![
                FlagRow { name: text("a"), is_set: true, programs: vec![text("p")], more: 2 },
                FlagRow { name: text("b"), ..FlagRow::default() },
            ]),
            text(
                r#"{"status":"ok","flags":[{"name":"a","set":true,"programs":["p"],"more":2},{"name":"b","set":false,"programs":[]}]}"#,
            ),
        ),
        (
            Reply::FlagSet { name: text("a"), is_set: true, has_changed: true, is_awaited: true },
            text(r#"{"status":"ok","message":"Set a"}"#),
        ),
        (
            Reply::FlagSet { name: text("a"), is_set: false, has_changed: false, is_awaited: false },
            text(r#"{"status":"ok","message":"Not set: a; no program waits for it (start_when)"}"#),
        ),
        (Reply::LogLevel(text("INFO")), text(r#"{"status":"ok","level":"INFO"}"#)),
        (
            Reply::Reloaded {
                changes: Changes { added: vec![text("a")], ..Changes::default() },
                daemon: api::DaemonChanges { live: vec![text("loglevel")], restart: vec![text("socket")] },
                outdated: vec![text("b")],
            },
            text(
                r#"{"status":"ok","added":["a"],"removed":[],"changed":[],"needs_restart":["b"],"daemon":{"live":["loglevel"],"restart":["socket"]}}"#,
            ),
        ),
        (Reply::Confirmed, text(r#"{"status":"ok","message":"The update is confirmed"}"#)),
        (
            Reply::NothingChanged,
            text(r#"{"status":"ok","message":"Nothing to confirm: the update has changed nothing"}"#),
        ),
    ] {
        assert_eq!(reply(told), wanted);
    }
}

#[test]
fn a_refusal_is_a_sentence_with_its_kind_and_cause_behind_it() {
    let refused: Answer = Err(Refusal::NoSuchGroup { name: "x".to_owned(), nearest: None });
    assert_eq!(
        body(&answer(&refused, clock())),
        r#"{"status":"error","code":"NOT_FOUND","message":"no group 'x'","refusal":"no_such_group"}"#
    );
    let cause = Cause::Exited { exit: Exit::Code(3), age_ms: 200 };
    let reached = Box::new(api::Reached {
        state: ProcessState::Stopped,
        condition: Condition::Stopped,
        last_words: None,
        cause: Some(cause.clone()),
        at: clock().now,
    });
    let refused: Answer = Err(Refusal::NotRunning { name: "web".to_owned(), reached });
    let frame: Value = serde_json::from_str(body(&answer(&refused, clock()))).expect("JSON");
    assert_eq!((&frame["code"], &frame["refusal"]), (&Value::from("FAILED"), &Value::from("not_running")));
    assert_eq!(serde_json::from_value::<Cause>(frame["cause"].clone()).expect("a cause"), cause);
}

#[test]
fn an_event_is_these_bytes_and_comes_back() {
    let program = Arc::new(ProgramConfig { group: Some("g".to_owned()), ..ProgramConfig::new("web", "true") });
    let at = clock().now - Duration::from_millis(125);
    let failed = Announcement::Health { program, at, pid: Some(3), healthy: false, message: "refused".into() };
    let told = event(&failed.event().expect("an event"), clock());
    let text = serde_json::to_string(&told).expect("JSON");
    assert_eq!(
        text,
        r#"{"type":"HEALTHCHECK_FAILED","time":1700000000.125,"processname":"web","groupname":"g","pid":3,"message":"refused"}"#
    );
    let wire = event_frame(&event_text(&told), 2);
    assert_eq!(body(&wire), format!(r#"{{"status":"ok","event":{text},"lost":2,"more":true}}"#));
    let frame: EventFrame = serde_json::from_str(body(&wire)).expect("JSON");
    assert_eq!(frame, EventFrame { event: Some(told.into()), lost: 2, more: true });
}

#[test]
fn a_history_larger_than_a_frame_keeps_the_newest() {
    let cause = Cause::HealthyAgain { message: "x".repeat(1000).into() };
    let rows = (0..3000).map(|second| row(clock().now + Duration::from_secs(second), cause.clone())).collect();
    let frame = answer(&Ok(Reply::History(rows)), clock());
    assert!(frame.len() <= HEADER + MAX_FRAME);
    let answer: Value = serde_json::from_str(body(&frame)).expect("JSON");
    assert_eq!(
        answer["history"].as_array().and_then(|items| items.last()).map(|item| item["time"].clone()),
        Some(1_700_002_999.25.into())
    );
}

#[test]
fn a_status_larger_than_a_frame_comes_in_pages_that_join() {
    let long = "x".repeat(1000);
    let all: Vec<_> = (0..3000)
        .map(|number| ProcessStatus { description: Some(long.clone()), ..process(&number.to_string()) })
        .collect();
    let (mut seen, mut offset) = (Vec::new(), 0);
    loop {
        let page = status(&all[offset..], offset);
        assert!(page.len() <= HEADER + MAX_FRAME);
        let page: Value = serde_json::from_str(body(&page)).expect("JSON");
        seen.extend(page["processes"].as_array().expect("a list").iter().map(|process| process["name"].clone()));
        match page["next"].as_u64() {
            Some(next) => offset = next as usize,
            None => break,
        }
    }
    assert_eq!(seen, all.iter().map(|process| Value::from(process.name.as_str())).collect::<Vec<_>>());
}

#[test]
fn a_message_of_any_length_fits_a_frame() {
    assert!(error(ErrorCode::Failed, &"\u{1}".repeat(MAX_FRAME)).len() < MAX_FRAME);
    assert!(body(&ok(&"x".repeat(MAX_FRAME))).contains("TOO_LARGE"));
}

#[test]
fn a_frame_is_whole_or_partial_or_too_large() {
    assert_eq!(head(&[]), Head::Partial);
    assert_eq!(head(&[0, 0, 0]), Head::Partial);
    assert_eq!(head(&[0, 0, 0, 0]), Head::Frame(0));
    assert_eq!(head(&[0, 0, 0, 2, b'{']), Head::Partial);
    assert_eq!(head(&[0, 0, 0, 2, b'{', b'}', 7]), Head::Frame(2));
    assert_eq!(head(&[0, 0x10, 0, 0]), Head::Partial);
    assert_eq!(head(&[0, 0x10, 0, 1]), Head::TooLarge(MAX_FRAME + 1));
    assert_eq!(head(b"HTTP"), Head::TooLarge(0x4854_5450));
}

#[test]
fn requests_are_read_and_what_is_none_is_named() {
    let name = || "web".to_owned();
    let query = Request::Query;
    let watch = Request::Watch;
    let command = Request::Command;
    let terms = Terms::default();
    let process = |act| command(Command::Act { act, on: Selector::Process(name()), terms });
    let group = |act| command(Command::Act { act, on: Selector::Group(name()), terms });
    let tail = |stream, amount, follow| watch(Watch::Tail { name: name(), stream, amount, follow });
    let mut fatal_or_running = EventKinds::NONE;
    fatal_or_running.add(|kind| kind == EventType::ProcessStateFatal || kind == EventType::ProcessStateRunning);
    for (text, wanted) in [
        (r#"{"command":"status"}"#, query(Query::Status { name: None, offset: 0 })),
        (r#"{"command":"status","name":null,"offset":7}"#, query(Query::Status { name: None, offset: 7 })),
        (r#"{"command":"start","name":"web","new":[1,{"a":2}]}"#, process(Act::Start)),
        (r#"{"name":"no","command":"stop","name":"web"}"#, process(Act::Stop)),
        (r#"{"command":"restart","name":"web"}"#, process(Act::Restart { force: false })),
        (r#"{"command":"restart","name":"web","force":true}"#, process(Act::Restart { force: true })),
        (r#" {"command":"startgroup","name":"web"} "#, group(Act::Start)),
        (r#"{"command":"stopgroup","name":"w\u0065b"}"#, group(Act::Stop)),
        (r#"{"command":"reload"}"#, command(Command::Reload { timeout: None })),
        (
            r#"{"command":"start","name":"web","wait":false,"timeout":2.5}"#,
            command(Command::Act {
                act: Act::Start,
                on: Selector::Process(name()),
                terms: Terms { wait: false, timeout: Some(Duration::from_millis(2500)), only: false },
            }),
        ),
        (r#"{"command":"kill","name":"web"}"#, process(Act::Kill)),
        (
            r#"{"command":"signal","name":"web","signal":"HUP"}"#,
            command(Command::Signal { name: name(), signal: 1, target: SignalTarget::Leader }),
        ),
        (
            r#"{"command":"signal","name":"web","signal":"HUP","group":true}"#,
            command(Command::Signal { name: name(), signal: 1, target: SignalTarget::Group }),
        ),
        (
            r#"{"command":"wait","name":"web","for":"healthy","timeout":3}"#,
            watch(Watch::Wait { name: name(), until: WaitFor::Healthy, timeout: Some(Duration::from_secs(3)) }),
        ),
        (
            r#"{"command":"wait","name":"web","for":"exited"}"#,
            watch(Watch::Wait { name: name(), until: WaitFor::Exited, timeout: None }),
        ),
        (
            r#"{"command":"cat","name":"web","secrets":true}"#,
            watch(Watch::Settings { name: "web".to_owned(), secrets: true }),
        ),
        (r#"{"command":"reread"}"#, watch(Watch::Reread { secrets: false, file: None })),
        (r#"{"command":"reread","secrets":true}"#, watch(Watch::Reread { secrets: true, file: None })),
        (r#"{"command":"reread","file":"/x"}"#, watch(Watch::Reread { secrets: false, file: Some("/x".to_owned()) })),
        (
            r#"{"command":"scale","name":"web","instances":5}"#,
            command(Command::Scale { program: name(), instances: 5, save: false, timeout: None }),
        ),
        (r#"{"command":"update"}"#, command(Command::Update { confirm: None, timeout: None })),
        (
            r#"{"command":"update","confirm":60}"#,
            command(Command::Update { confirm: Some(Duration::from_secs(60)), timeout: None }),
        ),
        (r#"{"command":"confirm"}"#, command(Command::Confirm)),
        (r#"{"command":"events"}"#, watch(Watch::Events { kinds: EventKinds::ALL, history: 0 })),
        (
            r#"{"command":"events","types":["FATAL","running"],"history":5}"#,
            watch(Watch::Events { kinds: fatal_or_running, history: 5 }),
        ),
        (r#"{"command":"history"}"#, query(Query::History { name: None })),
        (r#"{"command":"history","name":"web"}"#, query(Query::History { name: Some(name()) })),
        (r#"{"command":"why","name":"web"}"#, watch(Watch::Why { name: name() })),
        (r#"{"command":"shutdown"}"#, command(Command::Shutdown)),
        (r#"{"command":"pid"}"#, query(Query::Pid { name: None })),
        (r#"{"command":"pid","name":"web"}"#, query(Query::Pid { name: Some(name()) })),
        (r#"{"command":"ping"}"#, query(Query::Ping)),
        (r#"{"command":"version"}"#, query(Query::Version)),
        (r#"{"command":"flags"}"#, query(Query::Flags)),
        (r#"{"command":"setflag","name":"x-1"}"#, command(Command::SetFlag { name: "x-1".to_owned(), is_set: true })),
        (r#"{"command":"clearflag","name":"x"}"#, command(Command::SetFlag { name: "x".to_owned(), is_set: false })),
        (r#"{"command":"loglevel"}"#, query(Query::LogLevel)),
        (
            r#"{"command":"loglevel","level":" debug "}"#,
            command(Command::SetLogLevel { level: LogLevel::from_name("DEBUG").expect("a level") }),
        ),
        (r#"{"command":"tail","name":"web"}"#, tail(StreamKind::Stdout, Amount::Lines(DEFAULT_LINES), false)),
        (
            r#"{"command":"tail","name":"web","stream":"stderr","bytes":9,"follow":true}"#,
            tail(StreamKind::Stderr, Amount::Bytes(9), true),
        ),
        (r#"{"command":"pause","name":"web"}"#, command(Command::Pause { name: name() })),
        (r#"{"command":"resume","name":"web"}"#, command(Command::Resume { name: name() })),
        (r#"{"command":"enable","name":"web"}"#, command(Command::SetEnabled { name: name(), enabled: true })),
        (r#"{"command":"disable","name":"web"}"#, command(Command::SetEnabled { name: name(), enabled: false })),
        (r#"{"command":"clear","name":"web"}"#, command(Command::ClearLogs { name: name() })),
        (
            r#"{"command":"stdin","name":"web","text":"hi\n"}"#,
            command(Command::Stdin { name: name(), bytes: b"hi\n".as_slice().into() }),
        ),
        (
            r#"{"command":"stdin","name":"web","base64":"/wA="}"#,
            command(Command::Stdin { name: name(), bytes: b"\xff\0".as_slice().into() }),
        ),
        (r#"{"command":"reopen"}"#, command(Command::ReopenLogs)),
        (r#"{"command":"daemon"}"#, query(Query::Daemon)),
        (r#"{"command":"configuration"}"#, query(Query::Configuration)),
        (
            r#"{"command":"readlog","offset":7}"#,
            watch(Watch::ReadLog { source: LogSource::Daemon, from: LogStart::At(7), length: Some(128 * 1024) }),
        ),
        (
            r#"{"command":"readlog","name":"web","stream":"stderr","bytes":9}"#,
            watch(Watch::ReadLog {
                source: LogSource::Process { name: name(), stream: StreamKind::Stderr },
                from: LogStart::BeforeEnd(9),
                length: Some(9),
            }),
        ),
        (r#"{"command":"clearlog"}"#, command(Command::ClearDaemonLog)),
        (r#"{"command":"readconfig"}"#, command(Command::ReadConfiguration)),
        (r#"{"command":"addgroup","name":"web"}"#, command(Command::AddGroup { name: name() })),
        (r#"{"command":"removegroup","name":"web"}"#, command(Command::RemoveGroup { name: name() })),
        (
            r#"{"command":"sendevent","type":"web","data":"x"}"#,
            command(Command::RemoteEvent { kind: name(), data: "x".to_owned() }),
        ),
        (r#"{"command":"restartdaemon"}"#, command(Command::RestartDaemon)),
        (
            r#"{"command":"stop","names":["web","b"]}"#,
            command(Command::Act {
                act: Act::Stop,
                on: Selector::Processes(vec![name(), "b".to_owned()]),
                terms: Terms::default(),
            }),
        ),
        (r#"{"command":"poweroff"}"#, command(Command::Power(Power::Off))),
        (r#"{"command":"reboot"}"#, command(Command::Power(Power::Reboot))),
        (r#"{"command":"halt"}"#, command(Command::Power(Power::Halt))),
    ] {
        assert_eq!(parse(text.as_bytes()), Ok(wanted), "{text}");
    }
    for (text, code, message) in [
        ("", ErrorCode::EmptyRequest, "Empty request"),
        ("[1,2]", ErrorCode::InvalidRequest, "Request must be a JSON object"),
        ("7", ErrorCode::InvalidRequest, "Request must be a JSON object"),
        ("{}", ErrorCode::InvalidRequest, "\"command\" is missing"),
        (r#"{"command":["a"]}"#, ErrorCode::InvalidRequest, "\"command\" must be a string"),
        (r#"{"command":"start"}"#, ErrorCode::InvalidRequest, "start: \"name\" is missing"),
        (r#"{"command":"start","name":{}}"#, ErrorCode::InvalidRequest, "start: \"name\" must be a string"),
        (r#"{"command":"status","offset":-1}"#, ErrorCode::InvalidRequest, "status: \"offset\" must be a whole number"),
        (
            r#"{"command":"restart","name":"a","force":1}"#,
            ErrorCode::InvalidRequest,
            "restart: \"force\" must be true or false",
        ),
        (
            r#"{"command":"stop","name":"a","wait":0}"#,
            ErrorCode::InvalidRequest,
            "stop: \"wait\" must be true or false",
        ),
        (
            r#"{"command":"stop","name":"a","timeout":-1}"#,
            ErrorCode::InvalidRequest,
            "stop: \"timeout\" must be a number of seconds",
        ),
        (
            r#"{"command":"wait","name":"a","for":"rain"}"#,
            ErrorCode::InvalidRequest,
            "wait: \"for\" must be running, healthy, stopped or exited",
        ),
        (r#"{"command":"signal","name":"a"}"#, ErrorCode::InvalidRequest, "signal: \"signal\" is missing"),
        (r#"{"command":"why"}"#, ErrorCode::InvalidRequest, "why: \"name\" is missing"),
        (
            r#"{"command":"events","types":{"a":1}}"#,
            ErrorCode::InvalidRequest,
            "events: \"types\" must be an array of strings",
        ),
        (
            r#"{"command":"setflag","name":"a b"}"#,
            ErrorCode::InvalidRequest,
            "setflag: the name of a flag has at most 64 letters, digits, -, _ and .",
        ),
        (
            r#"{"command":"loglevel","level":"loud"}"#,
            ErrorCode::InvalidRequest,
            "loglevel: there is no level 'LOUD'; use DEBUG, INFO, WARNING, ERROR or CRITICAL",
        ),
        (
            r#"{"command":"signal","name":"a","signal":"NONE"}"#,
            ErrorCode::InvalidRequest,
            "signal: 'NONE' is no signal; use HUP, USR1, TERM and the like, or a number",
        ),
        (r#"{"command":"dance"}"#, ErrorCode::UnknownCommand, "Unknown command: dance"),
    ] {
        let error = parse(text.as_bytes()).expect_err(text);
        assert_eq!((error.code, error.message.as_str()), (code, message), "{text}");
    }
    for broken in [&b"{"[..], b"[1,", b"{\"command\":\"status\"} x", b"{\"command\":\"\xff\"}", b"\0", &[b'['; 100_000]]
    {
        assert_eq!(parse(broken).expect_err("no JSON").code, ErrorCode::InvalidJson);
    }
}

#[test]
fn an_array_with_anything_but_strings_is_refused_as_a_whole() {
    for (command, key, items) in [
        ("stop", "names", r#"["web",7]"#),
        ("stop", "names", "[null]"),
        ("events", "types", r#"[{},"FATAL"]"#),
        ("graph", "names", r#"[["web"]]"#),
        #[cfg(feature = "attach")]
        ("run", "argv", r#"["sleep",10]"#),
        #[cfg(feature = "attach")]
        ("run", "settings", "[true]"),
    ] {
        let text = format!(r#"{{"argv":["sleep"],"command":"{command}","{key}":{items}}}"#);
        let error = parse(text.as_bytes()).expect_err(&text);
        let message = format!("{command}: \"{key}\" must be an array of strings");
        assert_eq!((error.code, error.message), (ErrorCode::InvalidRequest, message), "{text}");
    }
}

#[test]
fn a_request_keeps_little_of_a_megabyte_of_small_values() {
    let list = format!(r#"{{"command":"status","x":[{}0]}}"#, "0,".repeat(500_000));
    let Shallow(value) = serde_json::from_str(&list).expect("JSON");
    assert_eq!(value["x"], Value::Array(vec![Value::Null]));
    let list = format!(r#"{{"command":"graph","names":[{}""]}}"#, "\"\",".repeat(300_000));
    let Shallow(value) = serde_json::from_str(&list).expect("JSON");
    assert_eq!(value["names"].as_array().map(Vec::len), Some(MAX_ITEMS + 1));
    let error = parse(list.as_bytes()).expect_err("too many");
    assert_eq!(error.message, "graph: \"names\" has more than 16384 strings");
    let members: String = (0..100_000).map(|number| format!("\"{number}\":0,")).collect();
    let Shallow(value) = serde_json::from_str(&format!("{{{members}\"z\":0}}")).expect("JSON");
    assert_eq!(value.as_object().map(Map::len), Some(MAX_PARAMETERS));
}

proptest::proptest! {
    #[test]
    fn no_bytes_do_harm(bytes: Vec<u8>) {
        let _ = parse(&bytes);
        let _ = head(&bytes);
    }
}

#[test]
fn a_cause_of_a_newer_daemon_is_none_and_its_sentence_is_read() {
    let item: HistoryItem =
        serde_json::from_str(r#"{"name":"web","cause":"eclipse","cause_data":{"kind":"eclipse"}}"#).expect("a record");
    assert_eq!((item.cause.as_str(), item.cause()), ("eclipse", None));
    let event: EventItem =
        serde_json::from_str(r#"{"type":"X","cause":"executed","cause_data":{"kind":"executed"}}"#).expect("an event");
    assert_eq!(event.cause(), Some(crate::process::Cause::Executed));
}

#[test]
fn a_graph_that_is_larger_than_a_frame_comes_in_pages() {
    let now = clock().now;
    let program = |name: String| Arc::new(ProgramConfig::new(name, "/bin/true"));
    let long = "x".repeat(1000);
    let edge = |number: usize| api::GraphEdge {
        on: program(format!("{long}{number}")),
        kind: crate::models::DependencyKind::Wants,
        condition: crate::models::DependencyCondition::Healthy,
        holds: false,
    };
    let row = |number: usize| api::GraphRow {
        program: program(format!("{number}")),
        state: ProcessState::Stopped,
        condition: Condition::NotStarted,
        last_words: None,
        needs: (0..300).map(edge).collect(),
    };
    let rows: Vec<api::GraphRow> = (0..5).map(row).collect();
    let page = |offset: usize| {
        let reply = Reply::Graph { rows: rows[offset..].to_vec(), offset, now };
        let frame = answer(&Ok(reply), clock());
        assert!(frame.len() <= HEADER + MAX_FRAME);
        serde_json::from_str::<Value>(body(&frame)).expect("JSON")
    };
    let (first, rest) = (page(0), page(3));
    assert_eq!((first["processes"].as_array().map(Vec::len), &first["next"]), (Some(3), &Value::from(3)));
    assert_eq!((rest["processes"].as_array().map(Vec::len), rest.get("next")), (Some(2), None));
    let need = &rest["processes"][0]["needs"][299];
    assert_eq!(need.to_string(), format!(r#"{{"condition":"healthy","holds":false,"kind":"wants","on":"{long}299"}}"#));
}
