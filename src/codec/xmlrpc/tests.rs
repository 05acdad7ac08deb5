//! Calls and answers, next to the documents that supervisord's clients and other languages' libraries send.

use super::fault::FaultCode;
use super::parse::Malformed;
use super::value::{MethodCall, Value};
use super::*;
use crate::api::{Command, NameHint, Query, Refusal, Reply, Request, WallClock, Watch};
use crate::models::{LogPlace, LogStart};
use crate::process::{Moment, StdinRefusal};

fn call(method: &str, params: &[Value]) -> MethodCall {
    MethodCall { method: method.to_owned(), params: params.to_vec() }
}

fn text(text: &str) -> Value {
    Value::text(text.to_owned())
}

fn clock() -> LocalClock {
    let clock = WallClock { now: Moment::from_nanos(1), wall: std::time::Duration::from_secs(1_700_000_000) };
    LocalClock { clock, local: |seconds| seconds.to_string() }
}

#[test]
fn calls_are_read_in_every_spelling_of_other_libraries() {
    let value = |inner: &str| {
        let body = format!(
            "<?xml version='1.0'?>\n<methodCall>\n<methodName>m</methodName><params><param>{inner}</param></params></methodCall>"
        );
        parse(body.as_bytes()).map(|call| call.params)
    };
    for (inner, wanted) in [
        ("<value><int>-5</int></value>", Value::Int(-5)),
        ("<value><i4> 5 </i4></value>", Value::Int(5)),
        ("<value>plain</value>", text("plain")),
        ("<value/>", text("")),
        ("<value><string/></value>", text("")),
        ("<value> <string>a &lt;&amp;&#x41;&#66; b</string>\n</value>", text("a <&AB b")),
        ("<value><![CDATA[a<b&c]]></value>", text("a<b&c")),
        ("<value><boolean>1</boolean></value>", Value::Boolean(true)),
        ("<value><boolean>0</boolean></value>", Value::Boolean(false)),
        ("<value><double>1.5</double></value>", Value::Double(1.5)),
        ("<value><base64>aGVs\nbG8=</base64></value>", Value::Bytes(b"hello".to_vec())),
        ("<value><nil/></value>", Value::Nil),
        ("<value><array><data></data></array></value>", Value::Array(vec![])),
        (
            "<value><struct><member><name>a</name><value><i8>1</i8></value></member></struct></value>",
            Value::Struct(vec![("a".into(), text("1"))]),
        ),
    ] {
        assert_eq!(value(inner), Ok(vec![wanted]), "{inner}");
    }
    for body in [
        "<methodCall><methodName>m</methodName></methodCall>",
        "<methodCall><methodName>m</methodName><params/></methodCall>",
        "<methodCall><methodName>m</methodName><params> </params></methodCall>\n<!-- end -->",
    ] {
        assert_eq!(parse(body.as_bytes()), Ok(call("m", &[])), "{body}");
    }
}

#[test]
fn what_is_no_call_is_refused() {
    for (body, wanted) in [
        (&b"\xff"[..], Malformed::NotUtf8),
        (b"", Malformed::NotACall),
        (b"hello", Malformed::NotXml),
        (b"<methodCall><methodName>m", Malformed::NotXml),
        (b"<methodCall></methodCall>", Malformed::NotACall),
        (b"<!DOCTYPE x [<!ENTITY a 'b'>]><methodCall><methodName>&a;</methodName></methodCall>", Malformed::NotXml),
        (b"<methodCall><methodName>&nbsp;</methodName></methodCall>", Malformed::NotXml),
        (b"<methodCall><methodName>m&#0;</methodName></methodCall>", Malformed::NotXml),
        (b"<methodCall><methodName>m</methodName></methodCall><x/>", Malformed::NotXml),
        (b"<methodCall><methodName>m</methodName><params><param><value><int>x</int></value></param></params></methodCall>", Malformed::NotACall),
        (b"<methodCall><methodName>m</methodName><params><param><value><int>1</i4></value></param></params></methodCall>", Malformed::NotACall),
    ] {
        let found = parse(body);
        assert!(found == Err(wanted) || found == Err(Malformed::NotACall), "{found:?} {}", String::from_utf8_lossy(body));
    }
    let deep = |levels: usize| {
        let (open, close) = ("<value><array><data>".repeat(levels), "</data></array></value>".repeat(levels));
        format!("<methodCall><methodName>m</methodName><params><param>{open}{close}</param></params></methodCall>")
    };
    assert!(parse(deep(32).as_bytes()).is_ok());
    assert_eq!(parse(deep(40).as_bytes()), Err(Malformed::TooMuch));
    assert_eq!(parse(deep(60_000).as_bytes()), Err(Malformed::TooMuch), "and no stack overflows");
}

#[test]
fn answers_hold_whatever_a_log_holds() {
    let body = |value| String::from_utf8(response(&Ok(value))).expect("UTF-8");
    assert_eq!(
        body(Value::Boolean(true)),
        "<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n<value><boolean>1</boolean></value>\n</param>\n</params>\n</methodResponse>\n"
    );
    let odd: String = (0..=255_u8).map(char::from).collect();
    let told = body(text(&format!("{odd}\u{fffe}")));
    assert!(told.chars().all(super::write::is_allowed), "{told:?}");
    assert!(
        told.contains("\t\n") && told.contains("&#13;") && told.contains("&lt;=&gt;") && told.contains("&amp;"),
        "{told:?}"
    );
    assert!(body(Value::Int(i64::MAX)).contains("<int>2147483647</int>"));
    let fault = String::from_utf8(response(&Err(FaultCode::BadName.about("<web>")))).expect("UTF-8");
    assert!(fault.contains("<name>faultCode</name>\n<value><int>10</int></value>"), "{fault}");
    assert!(fault.contains("<string>BAD_NAME: &lt;web&gt;</string>"), "{fault}");
}

/// The fault of a call that nothing has to be asked for.
fn fault(method: &str, params: &[Value]) -> String {
    match Exchange::begin(call(method, params)).1 {
        Step::Done(Err(fault)) => fault.text(),
        other => panic!("{method}: {other:?}"),
    }
}

#[test]
fn row_130_and_131_every_method_tells_wrong_parameters_and_nothing_else_is_one() {
    for method in
        ["", "supervisor", "supervisor.", "supervisor._update", "supervisor.getState.__class__", "a.b.c", "system.x"]
    {
        assert_eq!(fault(method, &[]), "UNKNOWN_METHOD", "{method}");
    }
    assert_eq!(fault("supervisor.startProcess", &[]), "INCORRECT_PARAMETERS");
    assert_eq!(
        fault("supervisor.startProcess", &[text("a"), Value::Boolean(true), Value::Nil]),
        "INCORRECT_PARAMETERS"
    );
    assert_eq!(fault("supervisor.startProcess", &[Value::Int(5)]), "INCORRECT_PARAMETERS");
    assert_eq!(fault("supervisor.getProcessInfo", &[text("g:*")]), "BAD_NAME: g:*");
    assert_eq!(fault("supervisor.readLog", &[Value::Int(-5), Value::Int(5)]), "BAD_ARGUMENTS");
    assert_eq!(fault("supervisor.sendProcessStdin", &[text("a"), Value::Int(5)]), "INCORRECT_PARAMETERS: 5");
    assert_eq!(fault("system.methodHelp", &[text("x")]), "SIGNATURE_UNSUPPORTED");
    // Each method with each odd parameter: a fault, or something to be asked, but no panic.
    let odd = [
        Value::Int(-1),
        text(":"),
        Value::Nil,
        Value::Array(vec![]),
        Value::Struct(vec![]),
        Value::Double(f64::NAN),
        Value::Bytes(vec![0]),
    ];
    let Step::Done(Ok(Value::Array(names))) = Exchange::begin(call("system.listMethods", &[])).1 else {
        panic!("names")
    };
    assert!(names.len() > 41);
    for name in &names {
        let Value::String(name) = name else { panic!("{name:?}") };
        for value in &odd {
            for count in 0..4 {
                let _ = Exchange::begin(call(name, &vec![value.clone(); count]));
            }
        }
    }
}

#[test]
fn a_fault_comes_from_the_type_of_a_refusal() {
    let no_such = Refusal::NoSuchProcess { name: "x".to_owned(), hint: NameHint::None };
    let full = Refusal::Stdin { name: "x".to_owned(), why: StdinRefusal::Full { waiting: 1 } };
    for (refusal, wanted) in [
        (no_such, FaultCode::BadName),
        (Refusal::Forbidden { right: crate::models::Right::Stop, on: Some("x".to_owned()) }, FaultCode::Forbidden),
        (Refusal::ShuttingDown, FaultCode::ShutdownState),
        (Refusal::GroupThere { name: "g".to_owned() }, FaultCode::AlreadyAdded),
        (Refusal::GroupRunning { name: "g".to_owned() }, FaultCode::StillRunning),
        (Refusal::NoLog { path: None }, FaultCode::NoFile),
        (Refusal::Stdin { name: "x".to_owned(), why: StdinRefusal::Closed }, FaultCode::NoFile),
        (full, FaultCode::Failed),
        (Refusal::Internal, FaultCode::Failed),
    ] {
        assert_eq!(super::fault::Fault::of(&refusal, "x").code, wanted, "{refusal}");
    }
}

/// One call of a multicall.
fn inner(method: &str, params: Vec<Value>) -> Value {
    Value::Struct(vec![("methodName".into(), text(method)), ("params".into(), Value::Array(params))])
}

/// What is asked for of the daemon's log.
fn log_range(offset: i64, length: i64) -> (LogStart, Option<usize>) {
    match Exchange::begin(call("supervisor.readLog", &[Value::Int(offset), Value::Int(length)])).1 {
        Step::Ask(Request::Watch(Watch::ReadLog { from, length, .. })) => (from, length),
        other => panic!("{other:?}"),
    }
}

#[test]
fn so_much_of_a_log_is_read_at_once() {
    const MOST: usize = 16 * 1024 * 1024;
    assert_eq!(log_range(0, 0), (LogStart::At(0), Some(MOST)));
    assert_eq!(log_range(5, 7), (LogStart::At(5), Some(7)));
    assert_eq!(log_range(MOST as i64, i64::MAX), (LogStart::At(MOST as u64), Some(MOST)));
    assert_eq!(log_range(-1_600, 0), (LogStart::BeforeEnd(1_600), Some(MOST)));
    assert_eq!(
        log_range(i64::MIN, 0),
        (LogStart::BeforeEnd(MOST as u64), Some(MOST)),
        "of the end, not what is before it"
    );
}

#[test]
fn a_multicall_is_not_gone_on_with_when_its_results_have_taken_all_their_room() {
    let read = || inner("supervisor.readLog", vec![Value::Int(0), Value::Int(0)]);
    let calls: Vec<Value> = (0..100).map(|_| read()).chain([inner("supervisor.shutdown", vec![])]).collect();
    let (mut exchange, mut step) = Exchange::begin(call("system.multicall", &[Value::Array(calls)]));
    let mut asked = 0;
    let results = loop {
        match step {
            Step::Ask(Request::Watch(Watch::ReadLog { .. })) => asked += 1,
            Step::Done(Ok(Value::Array(results))) => break results,
            other => panic!("{other:?}"),
        }
        let bytes = vec![b'x'; 1024 * 1024];
        step =
            exchange.answered(Ok(Reply::LogRead { bytes, begin: 0, size: 1 << 40, file: LogPlace::Memory }), clock());
    };
    assert_eq!((asked, results.len()), (16, 101));
    let fault = results.last().and_then(|result| result.member("faultString"));
    let told = "FAILED: not done: the results of the calls before take 16 MiB; send this call in another request";
    assert_eq!(fault, Some(&text(told)), "nor is the daemon shut down");
}

#[test]
fn a_multicall_asks_one_after_the_other_and_goes_on_behind_faults() {
    let calls = Value::Array(vec![
        inner("no.such", vec![]),
        inner("supervisor.getPID", vec![]),
        inner("system.multicall", vec![]),
        inner("supervisor.shutdown", vec![]),
        Value::Struct(vec![]),
        inner("system.methodHelp", vec![text("system.listMethods")]),
    ]);
    let (mut exchange, step) = Exchange::begin(call("system.multicall", &[calls]));
    assert_eq!(step, Step::Ask(Request::Query(Query::Daemon)));
    let facts = crate::api::DaemonFacts { pid: 7, identifier: String::new(), ending: false };
    let step = exchange.answered(Ok(Reply::Daemon(Box::new(facts.clone()))), clock());
    assert_eq!(step, Step::Ask(Request::Query(Query::Daemon)), "whether it ends already");
    let step = exchange.answered(Ok(Reply::Daemon(Box::new(facts))), clock());
    assert_eq!(step, Step::Ask(Request::Command(Command::Shutdown)));
    let Step::Done(Ok(Value::Array(results))) = exchange.answered(Ok(Reply::ShuttingDown), clock()) else {
        panic!("results");
    };
    let code = |value: &Value| value.member("faultCode").cloned();
    assert_eq!(results.len(), 6);
    assert_eq!((code(&results[0]), &results[1]), (Some(Value::Int(1)), &Value::Int(7)));
    assert_eq!((code(&results[2]), &results[3]), (Some(Value::Int(2)), &Value::Boolean(true)));
    assert_eq!(code(&results[4]), Some(Value::Int(2)));
    assert_eq!(results[5], text("The names of all methods, sorted."));
}

#[test]
fn a_second_shutdown_is_no_order_to_kill() {
    let (mut exchange, step) = Exchange::begin(call("supervisor.shutdown", &[]));
    assert_eq!(step, Step::Ask(Request::Query(Query::Daemon)));
    let facts = crate::api::DaemonFacts { pid: 7, identifier: String::new(), ending: true };
    let Step::Done(Err(fault)) = exchange.answered(Ok(Reply::Daemon(Box::new(facts))), clock()) else {
        panic!("a fault")
    };
    assert_eq!(fault.to_value().member("faultCode"), Some(&Value::Int(6)));
}
