//! Both directions of a connection that is attached to a program: what the program writes, and what is typed.

use serde::{Deserialize, Serialize};

use super::{ErrorCode, RequestError, frame};
use crate::models::{StreamKind, WindowSize};
use crate::process::Exit;
use crate::util::base64;

/// Bytes of one frame of what is typed, at most.
pub const MAX_TYPED: usize = 64 * 1024;

/// One frame to the client. The last one, without `more`, is the answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Attached {
    status: String,
    /// In the first frame: the program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// In the first frame: it has a terminal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tty: Option<bool>,
    /// Where it was written; `None`: to the terminal, or to standard output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
    /// Bytes that were dropped just before these.
    #[serde(skip_serializing_if = "is_zero")]
    pub lost: u64,
    /// In the last frame: the exit code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<u8>,
    /// In the last frame: the signal that has killed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_signal: Option<u8>,
    /// In the last frame: how it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Further frames follow.
    pub more: bool,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Attached {
    fn ok(more: bool) -> Attached {
        Attached { status: "ok".to_owned(), more, ..Attached::default() }
    }

    /// The first frame.
    pub fn begun(name: &str, tty: bool) -> Attached {
        Attached { name: Some(name.to_owned()), tty: Some(tty), ..Attached::ok(true) }
    }

    /// What was written to a stream; so many bytes before it were dropped.
    pub fn written(stream: StreamKind, bytes: &[u8], lost: u64) -> Attached {
        let stream = match stream {
            StreamKind::Stdout => None,
            StreamKind::Stderr => Some(stream.as_str().to_owned()),
        };
        let (text, base64) = coded(bytes);
        Attached { stream, text, base64, lost, ..Attached::ok(true) }
    }

    /// The answer: how it has ended.
    pub fn ended(name: &str, exit: Exit, message: String) -> Attached {
        let (exit_code, exit_signal) = match exit {
            Exit::Code(code) => (Some(code), None),
            Exit::Signal(signal) => (None, Some(signal)),
        };
        let name = Some(name.to_owned());
        Attached { name, exit_code, exit_signal, message: Some(message), ..Attached::ok(false) }
    }

    /// What was written; `None` where it is not encoded as it should be.
    pub fn bytes(&mut self) -> Option<Vec<u8>> {
        decoded(self.text.take(), self.base64.take())
    }

    /// Its frame.
    pub(crate) fn frame(&self) -> Vec<u8> {
        // Strings and numbers always serialize.
        frame(&serde_json::to_vec(self).unwrap_or_default())
    }
}

/// One frame to the daemon, while it is attached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AttachedInput {
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    columns: Option<u16>,
}

impl AttachedInput {
    /// This was typed.
    pub fn keys(bytes: &[u8]) -> AttachedInput {
        let (text, base64) = coded(bytes);
        AttachedInput { text, base64, ..AttachedInput::default() }
    }

    /// The window has this size now.
    pub fn resized(size: WindowSize) -> AttachedInput {
        AttachedInput { rows: Some(size.rows), columns: Some(size.columns), ..AttachedInput::default() }
    }

    /// Reads the body of a frame.
    ///
    /// # Errors
    /// What the client is to be answered, and that is all.
    pub fn parse(body: &[u8]) -> Result<AttachedInput, RequestError> {
        serde_json::from_slice(body).map_err(|error| RequestError {
            code: ErrorCode::InvalidRequest,
            message: format!("while attached only \"text\", \"base64\", \"rows\" and \"columns\" are sent: {error}"),
        })
    }

    /// What was typed; nothing where it is not encoded as it should be.
    pub fn bytes(&mut self) -> Vec<u8> {
        decoded(self.text.take(), self.base64.take()).unwrap_or_default()
    }

    /// The size of the window, where that is told.
    pub fn size(&self) -> Option<WindowSize> {
        let (rows, columns) = self.rows.zip(self.columns)?;
        Some(WindowSize { rows, columns })
    }

    /// Its frame.
    pub(crate) fn frame(&self) -> Vec<u8> {
        frame(&serde_json::to_vec(self).unwrap_or_default())
    }
}

fn coded(bytes: &[u8]) -> (Option<String>, Option<String>) {
    let text = std::str::from_utf8(bytes).ok().map(str::to_owned);
    let coded = text.is_none().then(|| base64::encode(bytes));
    (text, coded)
}

fn decoded(text: Option<String>, coded: Option<String>) -> Option<Vec<u8>> {
    match (text, coded) {
        (Some(text), _) => Some(text.into_bytes()),
        (None, Some(coded)) => base64::decode(&coded),
        (None, None) => Some(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(frame: &[u8]) -> &str {
        std::str::from_utf8(&frame[super::super::HEADER..]).expect("UTF-8")
    }

    #[test]
    fn frames_say_no_more_than_they_have_to() {
        assert_eq!(body(&Attached::begun("a", true).frame()), r#"{"status":"ok","name":"a","tty":true,"more":true}"#);
        let written = Attached::written(StreamKind::Stderr, b"x\n", 3);
        let text = r#"{"status":"ok","stream":"stderr","text":"x\n","lost":3,"more":true}"#;
        assert_eq!(body(&written.frame()), text);
        let ended = Attached::ended("a", Exit::Signal(9), "killed".to_owned());
        let text = r#"{"status":"ok","name":"a","exit_signal":9,"message":"killed","more":false}"#;
        assert_eq!(body(&ended.frame()), text);
        let size = WindowSize { rows: 2, columns: 3 };
        assert_eq!(body(&AttachedInput::resized(size).frame()), r#"{"rows":2,"columns":3}"#);
    }

    #[test]
    fn what_is_typed_comes_as_it_was_typed() {
        for bytes in [&b""[..], b"ls\n", b"\xff\0\x1b[A", "für".as_bytes()] {
            let frame = AttachedInput::keys(bytes).frame();
            let mut back = AttachedInput::parse(body(&frame).as_bytes()).expect("it is one");
            assert_eq!((back.bytes().as_slice(), back.size()), (bytes, None));
        }
        assert_eq!(
            AttachedInput::parse(br#"{"rows":2,"columns":3}"#).expect("one").size(),
            Some(WindowSize { rows: 2, columns: 3 })
        );
        assert!(AttachedInput::parse(b"[1]").is_err() && AttachedInput::parse(br#"{"rows":-1}"#).is_err());
    }
}
