use std::time::Duration;

use serde_json::{Map, Value};

use super::request::{MOST_PARAMETERS, Shallow};
use super::*;

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
        body(&reload(&names(&["a"]), &[], &names(&["b", "ü"]))),
        r#"{"status":"ok","added":["a"],"removed":[],"changed":["b","ü"]}"#
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
    assert_eq!(
        body(&status(&[full, process("b")], 0)),
        "{\"status\":\"ok\",\"processes\":[{\"name\":\"web\",\"state\":\"STOPPED\",\"pid\":12,\"uptime\":0,\
         \"healthy\":true,\"group\":\"g\",\"description\":\"pid 12, uptime 0:00\",\"exit_code\":3,\"restarts\":2,\
         \"since\":1700000000,\"autostart\":true,\"kill_at\":1700000010},\
         {\"name\":\"b\",\"state\":\"STOPPED\",\"pid\":null}]}"
    );
}

#[test]
fn reports_are_these_bytes_on_the_wire() {
    let text = str::to_owned;
    let item = HistoryItem {
        time: 1_700_000_000.25,
        name: text("web"),
        from_state: text("STARTING"),
        to_state: text("RUNNING"),
        pid: Some(12),
        cause: text("up for 1 s"),
    };
    let in_json = r#"{"time":1700000000.25,"name":"web","from_state":"STARTING","to_state":"RUNNING","pid":12,"cause":"up for 1 s"}"#;
    let change = KeyChange { key: text("command"), old: text("a").into(), new: Value::Null };
    let reread = Reread {
        added: vec![text("a")],
        changed: [(text("web"), vec![change])].into(),
        warnings: vec![text("odd")],
        ..Reread::default()
    };
    let updated = Updated { restarted: vec![text("web")], confirm_until: Some(1_700_000_060.0), ..Updated::default() };
    let why = Why {
        name: text("web"),
        state: text("BACKOFF"),
        lines: vec![text("It is so.")],
        history: vec![item.clone()],
        stderr: vec![text("no")],
        next: Some(NextStep { what: text("retry 1 of 3"), at: 1_700_000_001.5 }),
    };
    for (report, wanted) in [
        (
            Report::Reread(reread),
            text(
                r#"{"status":"ok","added":["a"],"removed":[],"changed":{"web":[{"key":"command","old":"a","new":null}]},"warnings":["odd"]}"#,
            ),
        ),
        (
            Report::Updated(updated),
            text(
                r#"{"status":"ok","added":[],"removed":[],"changed":[],"restarted":["web"],"confirm_until":1700000060.0}"#,
            ),
        ),
        (Report::History(vec![item]), format!(r#"{{"status":"ok","history":[{in_json}]}}"#)),
        (Report::History(Vec::new()), text(r#"{"status":"ok","history":[]}"#)),
        (
            Report::Why(why),
            format!(
                r#"{{"status":"ok","name":"web","state":"BACKOFF","lines":["It is so."],"history":[{in_json}],"stderr":["no"],"next":{{"what":"retry 1 of 3","at":1700000001.5}}}}"#
            ),
        ),
        (Report::Pid(7), text(r#"{"status":"ok","pid":7}"#)),
        (Report::Version(7), format!(r#"{{"status":"ok","version":"{}","pid":7}}"#, env!("CARGO_PKG_VERSION"))),
        (Report::LogLevel(text("INFO")), text(r#"{"status":"ok","level":"INFO"}"#)),
    ] {
        assert_eq!(body(&report_frame(&report)), wanted);
    }
}

#[test]
fn an_event_is_these_bytes_and_comes_back() {
    let event = EventItem {
        event_type: "HEALTHCHECK_FAILED".to_owned(),
        time: 1_700_000_000.125,
        processname: "web".to_owned(),
        groupname: "g".to_owned(),
        pid: Some(3),
        message: Some("refused".to_owned()),
        ..EventItem::default()
    };
    let text = serde_json::to_string(&event).expect("JSON");
    assert_eq!(
        text,
        r#"{"type":"HEALTHCHECK_FAILED","time":1700000000.125,"processname":"web","groupname":"g","pid":3,"message":"refused"}"#
    );
    let frame: EventFrame =
        serde_json::from_str(&format!(r#"{{"status":"ok","event":{text},"lost":2,"more":true}}"#)).expect("JSON");
    assert_eq!(frame, EventFrame { event: Some(event), lost: 2, more: true });
}

#[test]
fn a_history_larger_than_a_frame_keeps_the_newest() {
    let item = |time: u32| HistoryItem { time: f64::from(time), cause: "x".repeat(1000), ..HistoryItem::default() };
    let frame = report_frame(&Report::History((0..3000).map(item).collect()));
    assert!(frame.len() <= HEADER + MAX_FRAME);
    let answer: Value = serde_json::from_str(body(&frame)).expect("JSON");
    assert_eq!(
        answer["history"].as_array().and_then(|items| items.last()).map(|item| item["time"].clone()),
        Some(2999.0.into())
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
    let terms = Terms::default();
    for (text, wanted) in [
        (r#"{"command":"status"}"#, Request::Status { name: None, offset: None }),
        (r#"{"command":"status","name":null,"offset":7}"#, Request::Status { name: None, offset: Some(7) }),
        (r#"{"command":"start","name":"web","new":[1,{"a":2}]}"#, Request::Start { name: name(), terms }),
        (r#"{"name":"no","command":"stop","name":"web"}"#, Request::Stop { name: name(), terms }),
        (r#"{"command":"restart","name":"web"}"#, Request::Restart { name: name(), force: false, terms }),
        (r#"{"command":"restart","name":"web","force":true}"#, Request::Restart { name: name(), force: true, terms }),
        (r#" {"command":"startgroup","name":"web"} "#, Request::StartGroup { name: name(), terms }),
        (r#"{"command":"stopgroup","name":"w\u0065b"}"#, Request::StopGroup { name: name(), terms }),
        (r#"{"command":"reload"}"#, Request::Reload),
        (
            r#"{"command":"start","name":"web","wait":false,"timeout":2.5}"#,
            Request::Start { name: name(), terms: Terms { wait: false, timeout: Some(Duration::from_millis(2500)) } },
        ),
        (r#"{"command":"kill","name":"web"}"#, Request::Kill { name: name(), terms }),
        (
            r#"{"command":"signal","name":"web","signal":"HUP"}"#,
            Request::Signal { name: name(), signal: "HUP".to_owned() },
        ),
        (
            r#"{"command":"wait","name":"web","for":"healthy","timeout":3}"#,
            Request::Wait { name: name(), until: WaitFor::Healthy, timeout: Some(Duration::from_secs(3)) },
        ),
        (
            r#"{"command":"wait","name":"web","for":"exited"}"#,
            Request::Wait { name: name(), until: WaitFor::Exited, timeout: None },
        ),
        (r#"{"command":"reread"}"#, Request::Reread),
        (r#"{"command":"update"}"#, Request::Update { confirm: None }),
        (r#"{"command":"update","confirm":60}"#, Request::Update { confirm: Some(Duration::from_secs(60)) }),
        (r#"{"command":"confirm"}"#, Request::Confirm),
        (r#"{"command":"events"}"#, Request::Events { selection: EventSelection::default(), history: 0 }),
        (
            r#"{"command":"events","types":["FATAL",7,["x"],"running"],"history":5}"#,
            Request::Events { selection: EventSelection(vec!["FATAL".to_owned(), "running".to_owned()]), history: 5 },
        ),
        (r#"{"command":"history"}"#, Request::History { name: None }),
        (r#"{"command":"history","name":"web"}"#, Request::History { name: Some(name()) }),
        (r#"{"command":"why","name":"web"}"#, Request::Why { name: name() }),
        (r#"{"command":"shutdown"}"#, Request::Shutdown),
        (r#"{"command":"pid"}"#, Request::Pid { name: None }),
        (r#"{"command":"pid","name":"web"}"#, Request::Pid { name: Some(name()) }),
        (r#"{"command":"ping"}"#, Request::Ping),
        (r#"{"command":"version"}"#, Request::Version),
        (r#"{"command":"loglevel"}"#, Request::LogLevel { level: None }),
        (r#"{"command":"loglevel","level":"debug"}"#, Request::LogLevel { level: Some("debug".to_owned()) }),
    ] {
        assert_eq!(Request::parse(text.as_bytes()), Ok(wanted), "{text}");
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
        (r#"{"command":"dance"}"#, ErrorCode::UnknownCommand, "Unknown command: dance"),
    ] {
        let error = Request::parse(text.as_bytes()).expect_err(text);
        assert_eq!((error.code, error.message.as_str()), (code, message), "{text}");
    }
    for broken in [&b"{"[..], b"[1,", b"{\"command\":\"status\"} x", b"{\"command\":\"\xff\"}", b"\0", &[b'['; 100_000]]
    {
        assert_eq!(Request::parse(broken).expect_err("no JSON").code, ErrorCode::InvalidJson);
    }
}

#[test]
fn a_request_keeps_little_of_a_megabyte_of_small_values() {
    let list = format!(r#"{{"command":"status","x":[{}0]}}"#, "0,".repeat(500_000));
    let Shallow(value) = serde_json::from_str(&list).expect("JSON");
    assert_eq!(value["x"], Value::Array(Vec::new()));
    let members: String = (0..100_000).map(|number| format!("\"{number}\":0,")).collect();
    let Shallow(value) = serde_json::from_str(&format!("{{{members}\"z\":0}}")).expect("JSON");
    assert_eq!(value.as_object().map(Map::len), Some(MOST_PARAMETERS));
}

proptest::proptest! {
    #[test]
    fn no_bytes_do_harm(bytes: Vec<u8>) {
        let _ = Request::parse(&bytes);
        let _ = head(&bytes);
    }
}

#[test]
fn a_cause_of_a_newer_daemon_is_none_and_its_sentence_is_read() {
    let item: HistoryItem =
        serde_json::from_str(r#"{"name":"web","cause":"eclipse","cause_data":{"kind":"eclipse"}}"#).expect("a record");
    assert_eq!((item.cause.as_str(), item.cause_data), ("eclipse", None));
    let event: EventItem =
        serde_json::from_str(r#"{"type":"X","cause":"executed","cause_data":{"kind":"executed"}}"#).expect("an event");
    assert_eq!(event.cause_data, Some(crate::process::Cause::Executed));
}
