use super::*;

/// The head of this request; what is left behind it.
fn read(text: &[u8]) -> (Result<Option<Head>, Malformed>, Vec<u8>) {
    let mut input = text.to_vec();
    let head = HeadReader::default().take(&mut input);
    (head, input)
}

fn head(text: &str) -> Head {
    read(text.as_bytes()).0.expect("a request").expect("a whole one")
}

fn refused(text: &str) -> Status {
    read(text.as_bytes()).0.expect_err("no request").status
}

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

#[test]
fn a_handshake_of_tls_is_refused_at_its_first_byte() {
    for begin in [&b"\x16"[..], b"\x16\x03\x01\x02\x00\x01", b"\r\n\x16", b"\x80", b" GET"] {
        assert_eq!(read(begin).0.expect_err("no request").status, Status::BadRequest, "{begin:?}");
    }
    assert_eq!(read(b"\r\n").0, Ok(None));
}

#[test]
fn a_head_may_come_byte_by_byte_and_behind_another() {
    let whole = "\r\n\nPOST /a/b%20c?d=e+f&g HTTP/1.1\r\nHost: here:80\r\nContent-Length: 3\r\n\r\n";
    let (mut reader, mut input) = (HeadReader::default(), Vec::new());
    for byte in whole.bytes().take(whole.len() - 1) {
        input.push(byte);
        assert_eq!(reader.take(&mut input), Ok(None));
    }
    input.extend_from_slice(b"\nabc");
    input.extend_from_slice(GET.as_bytes());
    let first = reader.take(&mut input).expect("a request").expect("a whole one");
    assert_eq!((first.method, first.minor, first.length), (Method::Post, 1, 3));
    assert_eq!(first.target.segments, ["a", "b c"]);
    assert_eq!((first.target.parameter("d"), first.target.parameter("g")), (Some("e f"), Some("")));
    assert_eq!((first.target.parameter("h"), first.host()), (None, Some("here:80")));
    input.drain(..3);
    let second = reader.take(&mut input).expect("a request").expect("a whole one");
    assert_eq!((second.method, second.target.segments.len(), input.len()), (Method::Get, 0, 0));
}

#[test]
fn bare_line_feeds_end_lines_too() {
    assert_eq!(head("GET /x HTTP/1.0\nA: b\n\n").text("a"), Some("b"));
    assert_eq!(head("GET /x HTTP/1.0\n\r\n").minor, 0);
}

#[test]
fn what_is_no_request_is_refused_by_its_own_status() {
    use Status::*;
    let long = "x".repeat(MAX_TARGET);
    let fields = "a: b\r\n".repeat(MAX_HEADERS + 1);
    for (text, status) in [
        ("hello\r\n\r\n", BadRequest),
        ("GET\r\n\r\n", BadRequest),
        ("GET / HTTP/1.1\r\nno colon\r\n\r\n", BadRequest),
        ("GET / HTTP/1.1\r\nA : b\r\n\r\n", BadRequest),
        ("GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", BadRequest),
        ("GET / HTTP/1.1\r\nA: b\0\r\n\r\n", BadRequest),
        ("GET x HTTP/1.1\r\n\r\n", BadRequest),
        ("OPTIONS * HTTP/1.1\r\n\r\n", BadRequest),
        ("GET /../etc HTTP/1.1\r\n\r\n", BadRequest),
        ("GET /%2e%2e/etc HTTP/1.1\r\n\r\n", BadRequest),
        ("GET /%zz HTTP/1.1\r\n\r\n", BadRequest),
        ("GET /%1 HTTP/1.1\r\n\r\n", BadRequest),
        ("GET /%ff HTTP/1.1\r\n\r\n", BadRequest),
        ("GET /%00 HTTP/1.1\r\n\r\n", BadRequest),
        ("GET /?a=%0a HTTP/1.1\r\n\r\n", BadRequest),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", BadRequest),
        ("GET / HTTP/2.0\r\n\r\n", VersionNotSupported),
        ("BREW / HTTP/1.1\r\n\r\n", NotImplemented),
        (&format!("GET /{long} HTTP/1.1\r\n\r\n"), UriTooLong),
        (&format!("GET /{} HTTP/1.1", "x".repeat(MAX_HEAD)), UriTooLong),
        (&format!("GET / HTTP/1.1\r\n{fields}\r\n"), HeadTooLarge),
        (&format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "x".repeat(MAX_HEAD)), HeadTooLarge),
        (&format!("GET / HTTP/1.1\r\nA: {}", "x".repeat(MAX_HEAD)), HeadTooLarge),
        (&"\r\n".repeat(MAX_HEAD), UriTooLong),
    ] {
        let shown: String = text.chars().take(40).collect();
        assert_eq!(refused(text), status, "{shown}");
    }
}

#[test]
fn the_length_of_a_body_is_told_once_and_in_digits() {
    let post = |fields: &str| format!("POST / HTTP/1.1\r\n{fields}\r\n");
    assert_eq!(head(&post("")).length, 0);
    assert_eq!(head(&post("content-LENGTH: 0012\r\n")).length, 12);
    assert_eq!(head(&post("Content-Length: 1048576\r\n")).length, MAX_BODY);
    for (fields, status) in [
        ("Content-Length: 1048577\r\n", Status::ContentTooLarge),
        ("Content-Length: 99999999999999999999999\r\n", Status::ContentTooLarge),
        ("Content-Length: +1\r\n", Status::BadRequest),
        ("Content-Length: -1\r\n", Status::BadRequest),
        ("Content-Length: 1, 1\r\n", Status::BadRequest),
        ("Content-Length: 0x1\r\n", Status::BadRequest),
        ("Content-Length:\r\n", Status::BadRequest),
        ("Content-Length: 1\r\nContent-Length: 1\r\n", Status::BadRequest),
        ("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", Status::BadRequest),
        ("Transfer-Encoding: chunked\r\n", Status::LengthRequired),
        ("Transfer-Encoding: gzip, Chunked\r\n", Status::LengthRequired),
        ("Transfer-Encoding: gzip\r\n", Status::NotImplemented),
    ] {
        assert_eq!(refused(&post(fields)), status, "{fields}");
    }
}

#[test]
fn connections_stay_as_the_version_and_the_client_want_it() {
    let keeps = |minor: u8, field: &str| head(&format!("GET / HTTP/1.{minor}\r\n{field}\r\n")).keeps_alive();
    assert!(keeps(1, "") && keeps(1, "Connection: TE\r\n") && !keeps(1, "Connection: TE, Close\r\n"));
    assert!(!keeps(0, "") && keeps(0, "connection: Keep-Alive\r\n") && !keeps(0, "Connection: close\r\n"));
    assert!(head("POST / HTTP/1.1\r\nExpect: 100-Continue\r\n\r\n").expects_continue());
    assert!(!head("POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n").expects_continue());
}

#[test]
fn a_whole_url_names_the_host_itself() {
    let head = head("GET http://there:9?x=1 HTTP/1.1\r\nHost: here\r\n\r\n");
    assert_eq!((head.host(), head.target.path.as_str(), head.target.parameter("x")), (Some("there:9"), "/", Some("1")));
}

#[test]
fn one_range_is_understood_and_what_is_none_asks_for_all() {
    let range = |value: &str| head(&format!("GET / HTTP/1.1\r\nRange: {value}\r\n\r\n")).range();
    assert_eq!(range("bytes=0-9"), Some(ByteRange::From(0, Some(9))));
    assert_eq!(range("bytes=7-"), Some(ByteRange::From(7, None)));
    assert_eq!(range("bytes=-7"), Some(ByteRange::Last(7)));
    for none in ["bytes=9-0", "bytes=0-1,3-4", "lines=0-1", "bytes=-", "bytes=+1-2", "bytes=a-", "bytes", ""] {
        assert_eq!(range(none), None, "{none}");
    }
}

#[test]
fn credentials_are_read_in_any_case_and_split_at_the_first_colon() {
    let sent = |value: &str| head(&format!("GET / HTTP/1.1\r\nAuthorization: {value}\r\n\r\n")).credentials();
    let basic = |user: &str, password: &str| {
        Some(Some(Credentials::Basic { user: user.to_owned(), password: password.to_owned() }))
    };
    assert_eq!(sent("Basic dXNlcjpwYXNzOndvcmQ="), basic("user", "pass:word"));
    assert_eq!(sent("bASIC   Og=="), basic("", ""));
    assert_eq!(sent("Bearer abc"), Some(Some(Credentials::Bearer("abc".to_owned()))));
    for none in ["Basic", "Basic !!!!", "Basic dXNlcg==", "Basic /w==", "Digest x", "Bearer ", ""] {
        assert_eq!(sent(none), Some(None), "{none}");
    }
    assert_eq!(head(GET).credentials(), None);
    let shown = format!("{:?}", sent("Basic dXNlcjpwYXNz"));
    assert!(shown.contains("user") && !shown.contains("pass"), "{shown}");
}

#[test]
fn what_a_client_accepts_is_compared_without_parameters() {
    let head = head("GET / HTTP/1.1\r\nAccept: text/html, Text/Event-Stream;q=0.5\r\n\r\n");
    assert!(head.accepts("text/event-stream") && head.accepts("text/html") && !head.accepts("text/plain"));
}

fn delivery(minor: u8, keep_alive: bool, head_only: bool) -> Delivery {
    Delivery { minor, keep_alive, head_only, now: 784_111_777 }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[test]
fn an_answer_tells_its_length_and_head_leaves_the_body_out() {
    let response = Response::text(Status::Ok, "für\n").with("X-A", "b\r\nX-Evil: c");
    let whole = text(&response.write(delivery(1, true, false)));
    assert_eq!(
        whole,
        "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: keep-alive\r\nX-A: bX-Evil: c\r\n\
         Content-Length: 5\r\n\r\nfür\n"
    );
    let short = text(&response.write(delivery(1, true, true)));
    assert_eq!(whole.strip_prefix(&short), Some("für\n"));
    assert!(text(&response.write(delivery(0, false, false))).contains("\r\nConnection: close\r\n"));
}

#[test]
fn an_error_is_json_and_text_for_a_browser() {
    let json = text(&Response::error(Status::NotFound, "no \"x\"", false).write(delivery(1, true, false)));
    assert!(
        json.ends_with("\r\n\r\n{\"status\":\"error\",\"code\":\"NOT_FOUND\",\"message\":\"no \\\"x\\\"\"}"),
        "{json}"
    );
    let plain = text(&Response::error(Status::NotFound, "no <x>", true).write(delivery(1, true, false)));
    assert!(plain.contains("text/plain") && plain.ends_with("\r\n\r\n404 Not Found: no <x>\n"), "{plain}");
}

#[test]
fn a_stream_is_chunked_and_in_the_old_version_ends_with_the_connection() {
    let head = StreamHead { content_type: "text/plain", fields: vec![("X-A", "b".into())] };
    let new = text(&head.write(delivery(1, true, false)));
    assert!(
        new.contains("\r\nConnection: keep-alive\r\n") && new.contains("\r\nTransfer-Encoding: chunked\r\n"),
        "{new}"
    );
    let old = text(&head.write(delivery(0, true, false)));
    assert!(old.contains("\r\nConnection: close\r\n") && !old.contains("chunked"), "{old}");
    assert_eq!((text(&chunk(&[b'x'; 17])), chunk(b"").len()), (format!("11\r\n{}\r\n", "x".repeat(17)), 0));
}

#[test]
fn each_status_has_its_own_number_and_a_reason() {
    let head = text(&Response::text(Status::HeadTooLarge, "").write(delivery(1, false, false)));
    assert!(head.starts_with("HTTP/1.1 431 Request Header Fields Too Large\r\n"), "{head}");
}
