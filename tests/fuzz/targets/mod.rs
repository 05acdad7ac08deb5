//! What is fuzzed: plain functions that take any bytes and panic where something that must hold does not. `cargo fuzz`
//! drives them, and so does the ordinary test `fuzz`.

mod operations;

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use supervice::config::{LoadOptions, Secrets, load, parse_environment, read_env_file, split_command, to_json};
use supervice::internals::frames::{HEADER, Head, MAX_FRAME, error, frame, head, parse};
use supervice::process::{signal_name, signal_number};

/// A target and its name, which is also that of its corpus.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
#[allow(dead_code, reason = "a target of cargo fuzz uses one alone")]
pub const ALL: &[Target] = &[
    ("frames", frames),
    ("requests", requests),
    ("configuration", configuration),
    ("environment", environment),
    ("words", words),
    ("signals", signals),
    ("ctl_arguments", ctl_arguments),
    ("operations", operations),
    #[cfg(feature = "http")]
    ("http", http),
    #[cfg(feature = "xmlrpc")]
    ("xmlrpc", xmlrpc),
];

/// A stream of frames: what is whole is taken, and a frame comes back as it was.
pub fn frames(data: &[u8]) {
    let mut rest = data;
    loop {
        match head(rest) {
            Head::Partial => break,
            Head::TooLarge(length) => {
                assert!(length > MAX_FRAME);
                break;
            }
            Head::Frame(length) => {
                let body = &rest[HEADER..HEADER + length];
                assert_eq!(frame(body), &rest[..HEADER + length]);
                if let Err(refused) = parse(body) {
                    let answer = error(refused.code, &refused.message);
                    assert_eq!(head(&answer), Head::Frame(answer.len() - HEADER), "every refusal fits a frame");
                }
                rest = &rest[HEADER + length..];
            }
        }
    }
    if data.len() <= MAX_FRAME {
        assert_eq!(head(&frame(data)), Head::Frame(data.len()));
    }
}

/// The body of a request: refused by name or understood, twice in the same way, and the refusal is an answer in JSON.
pub fn requests(data: &[u8]) {
    let first = parse(data);
    assert_eq!(first, parse(data));
    if let Err(refused) = first {
        let answer = error(refused.code, &refused.message);
        let body: serde_json::Value = serde_json::from_slice(&answer[HEADER..]).expect("the refusal is JSON");
        assert_eq!(body["status"], "error");
        assert!(!refused.message.is_empty());
    }
}

/// A file of configuration: a configuration that can be printed as JSON, or errors that say where.
pub fn configuration(data: &[u8]) {
    // An include could name any file of the machine, a FIFO or a device among them.
    if data.windows(7).any(|word| word.eq_ignore_ascii_case(b"include")) || names_a_device(data) {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("fuzz.conf");
    std::fs::write(&path, data).expect("a file");
    for strict in [false, true] {
        match load(&path, &LoadOptions { strict, ..LoadOptions::default() }) {
            Ok(loaded) => {
                let json = to_json(&loaded.config, Secrets::Shown);
                assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "{json}");
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

/// An env file may be any file that is named: not one that never ends.
fn names_a_device(data: &[u8]) -> bool {
    [&b"/dev"[..], b"/proc", b"/sys", b"env_file"].iter().any(|name| data.windows(name.len()).any(|word| word == *name))
}

/// A list of `KEY=VALUE` in a value, and a file of lines.
pub fn environment(data: &[u8]) {
    if let Ok(pairs) = std::str::from_utf8(data).map(parse_environment) {
        for (name, value) in pairs.into_iter().flatten() {
            // A NUL in a value is refused with the whole file, or by the spawn.
            assert!(!name.is_empty() && !name.contains(['=', '\0']), "{name:?}={value:?}");
        }
    }
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), data).expect("it is written");
    for (name, value) in read_env_file(file.path()).into_iter().flatten() {
        assert!(!name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0'), "{name:?}={value:?}");
    }
}

/// A command: what it is split into comes back when each word is quoted.
pub fn words(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(words) = split_command(text) else { return };
    assert!(words.iter().map(String::len).sum::<usize>() <= text.len(), "no word is longer than what it came from");
    let quoted: Vec<String> = words.iter().map(|word| format!("'{}'", word.replace('\'', r#"'"'"'"#))).collect();
    assert_eq!(split_command(&quoted.join(" ")).as_ref(), Ok(&words));
}

/// The name of a signal: a number that has a name or is a real-time signal, and the name means that number.
pub fn signals(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some(number) = signal_number(text) else { return };
    assert!((1..=64).contains(&number), "{text:?} is {number}");
    if let Some(name) = signal_name(number) {
        assert_eq!(signal_number(name), Some(number), "{text:?}");
    }
}

/// A command line of `supervicectl`, its words ended by zeros.
pub fn ctl_arguments(data: &[u8]) {
    let words = data.split(|byte| *byte == 0).map(|word| OsString::from_vec(word.to_vec()));
    if let Err(message) = supervice::internals::check_arguments(words) {
        assert!(!message.is_empty());
    }
}

/// Requests of HTTP one behind the other: what comes byte by byte is read as what comes at once, and nothing of it is lost.
#[cfg(feature = "http")]
pub fn http(data: &[u8]) {
    use supervice::internals::http::{Delivery, Head, HeadReader, MAX_BODY, MAX_HEAD, Malformed, Method, Response};
    /// What was read, and what is left.
    fn read(pieces: &mut dyn Iterator<Item = &[u8]>) -> (Vec<Result<Head, Malformed>>, Vec<u8>) {
        let (mut reader, mut input, mut read) = (HeadReader::default(), Vec::new(), Vec::new());
        let mut body = None;
        for piece in pieces {
            input.extend_from_slice(piece);
            loop {
                if let Some(length) = body.filter(|length| *length <= input.len()) {
                    drop(input.drain(..length));
                    body = None;
                }
                if body.is_some() {
                    break;
                }
                match reader.take(&mut input) {
                    Ok(None) => break,
                    Ok(Some(head)) => {
                        assert!(head.length <= MAX_BODY && head.minor <= 1);
                        assert!(head.target.segments.iter().all(|part| !matches!(part.as_str(), "." | "..")));
                        body = Some(head.length);
                        read.push(Ok(head));
                    }
                    Err(malformed) => {
                        read.push(Err(malformed));
                        return (read, Vec::new());
                    }
                }
            }
            assert!(input.len() < MAX_HEAD || body.is_some(), "what is no request is kept");
        }
        (read, input)
    }
    let whole = read(&mut std::iter::once(data));
    assert_eq!(whole, read(&mut data.chunks(1)));
    for head in whole.0.into_iter().flatten() {
        let _ =
            (head.credentials(), head.host(), head.content_type(), head.accepts("text/html"), head.expects_continue());
        let head_only = head.method == Method::Head;
        let delivery =
            Delivery { minor: head.minor, keep_alive: head.keeps_alive(), head_only, now: data.len() as u64 };
        let answer = Response::text(supervice::internals::http::Status::Ok, data)
            .with("X-Path", head.target.path)
            .write(delivery);
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("an empty line") + 4;
        assert_eq!(&answer[end..], if head_only { &b""[..] } else { data });
    }
}

/// A list of operations on one process.
pub fn operations(data: &[u8]) {
    operations::run(data);
}

/// The body of a call: understood or refused, twice in the same way, and whatever is in it an answer can hold.
#[cfg(feature = "xmlrpc")]
pub fn xmlrpc(data: &[u8]) {
    use supervice::internals::xmlrpc::{Exchange, parse, response};
    let first = parse(data);
    assert_eq!(first, parse(data));
    let Ok(call) = first else { return };
    for value in &call.params {
        let answer = response(&Ok(value.clone()));
        let text = std::str::from_utf8(&answer).expect("UTF-8");
        assert!(
            text.ends_with("</methodResponse>\n") && !text.contains(['\0', '\u{8}', '\u{b}', '\u{1f}', '\u{ffff}'])
        );
        // What a client has sent is a call again where it is put back into one.
        let begin = text.find("<value>").expect("a value");
        let end = text.rfind("</value>").expect("its end") + "</value>".len();
        let again = format!(
            "<methodCall><methodName>m</methodName><params><param>{}</param></params></methodCall>",
            &text[begin..end]
        );
        assert!(parse(again.as_bytes()).is_ok(), "{again}");
    }
    let _ = Exchange::begin(call);
}
