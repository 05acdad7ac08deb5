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
pub const ALL: [Target; 8] = [
    ("frames", frames),
    ("requests", requests),
    ("configuration", configuration),
    ("environment", environment),
    ("words", words),
    ("signals", signals),
    ("ctl_arguments", ctl_arguments),
    ("operations", operations),
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

/// A list of operations on one process.
pub fn operations(data: &[u8]) {
    operations::run(data);
}
