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
        autostart: Some(true),
        restarts: Some(2),
        ..process("web")
    };
    assert_eq!(
        body(&status(&[full, process("b")], 0)),
        "{\"status\":\"ok\",\"processes\":[{\"name\":\"web\",\"state\":\"STOPPED\",\"pid\":12,\"uptime\":0,\
         \"healthy\":true,\"group\":\"g\",\"description\":\"pid 12, uptime 0:00\",\"exit_code\":3,\"restarts\":2,\"autostart\":true},\
         {\"name\":\"b\",\"state\":\"STOPPED\",\"pid\":null}]}"
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
