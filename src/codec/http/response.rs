//! Answers as bytes.

use std::borrow::Cow;

use serde::Serialize;

use super::{Status, http_date};

/// How an answer goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery {
    /// As the request's: what a client of HTTP/1.0 does not understand is not sent to it.
    pub minor: u8,
    /// The connection stays for another request.
    pub keep_alive: bool,
    /// The request was HEAD: the body is told of, and not sent.
    pub head_only: bool,
    /// Seconds since 1970.
    pub now: u64,
}

/// An answer that is there whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// What it says first.
    pub status: Status,
    content_type: &'static str,
    fields: Vec<(&'static str, Cow<'static, str>)>,
    body: Vec<u8>,
}

/// The type of a JSON document.
const JSON: &str = "application/json";
/// The type of text.
const TEXT: &str = "text/plain; charset=utf-8";

impl Response {
    /// An answer of this type.
    pub fn new(status: Status, content_type: &'static str, body: Vec<u8>) -> Response {
        Response { status, content_type, fields: Vec::new(), body }
    }

    /// A JSON document.
    pub fn json(status: Status, body: Vec<u8>) -> Response {
        Response::new(status, JSON, body)
    }

    /// Text for people.
    pub fn text(status: Status, text: impl Into<Vec<u8>>) -> Response {
        Response::new(status, TEXT, text.into())
    }

    /// An error: JSON, or text for a browser.
    pub fn error(status: Status, message: &str, for_browser: bool) -> Response {
        #[derive(Serialize)]
        struct Failed<'a> {
            status: &'static str,
            code: &'static str,
            message: &'a str,
        }
        if for_browser {
            return Response::text(status, format!("{} {}: {message}\n", status.code(), status.reason()));
        }
        let failed = Failed { status: "error", code: status.error_code(), message };
        // Three strings always serialize.
        Response::json(status, serde_json::to_vec(&failed).unwrap_or_default())
    }

    /// With another header field.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Response {
        self.fields.push((name, value.into()));
        self
    }

    /// Its bytes.
    pub fn write(&self, delivery: Delivery) -> Vec<u8> {
        let mut bytes = head(self.status, self.content_type, &self.fields, delivery);
        // It would be that of the body which the client has.
        if self.status != Status::NotModified {
            field(&mut bytes, "Content-Length", &self.body.len().to_string());
        }
        bytes.extend_from_slice(b"\r\n");
        if !delivery.head_only {
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }
}

/// The head of an answer that comes piece by piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamHead {
    /// The type of all pieces together.
    pub content_type: &'static str,
    /// Further header fields.
    pub fields: Vec<(&'static str, Cow<'static, str>)>,
}

impl StreamHead {
    /// With another header field.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> StreamHead {
        self.fields.push((name, value.into()));
        self
    }

    /// Its bytes. The pieces follow as [`chunk`]s, but in HTTP/1.0, where they follow as they are, and the connection's
    /// end is theirs.
    pub fn write(&self, delivery: Delivery) -> Vec<u8> {
        let keep_alive = delivery.keep_alive && delivery.minor > 0;
        let mut bytes = head(Status::Ok, self.content_type, &self.fields, Delivery { keep_alive, ..delivery });
        if delivery.minor > 0 {
            field(&mut bytes, "Transfer-Encoding", "chunked");
        }
        bytes.extend_from_slice(b"\r\n");
        bytes
    }
}

/// What ends an answer in chunks.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// One piece of an answer; none for an empty piece, which would end it.
pub fn chunk(piece: &[u8]) -> Vec<u8> {
    if piece.is_empty() {
        return Vec::new();
    }
    let mut bytes = format!("{:x}\r\n", piece.len()).into_bytes();
    bytes.extend_from_slice(piece);
    bytes.extend_from_slice(b"\r\n");
    bytes
}

/// Everything that all answers have. What they hold may not be taken for a page, and is kept by nobody who is not told
/// otherwise.
fn head(
    status: Status,
    content_type: &str,
    fields: &[(&'static str, Cow<'static, str>)],
    Delivery { minor: _, keep_alive, head_only: _, now }: Delivery,
) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {} {}\r\n", status.code(), status.reason()).into_bytes();
    field(&mut bytes, "Date", &http_date(now));
    field(&mut bytes, "Content-Type", content_type);
    if !fields.iter().any(|(name, _)| *name == "Cache-Control") {
        field(&mut bytes, "Cache-Control", "no-store");
    }
    field(&mut bytes, "X-Content-Type-Options", "nosniff");
    field(&mut bytes, "Connection", if keep_alive { "keep-alive" } else { "close" });
    for (name, value) in fields {
        field(&mut bytes, name, value);
    }
    bytes
}

fn field(bytes: &mut Vec<u8>, name: &str, value: &str) {
    bytes.extend_from_slice(name.as_bytes());
    bytes.extend_from_slice(b": ");
    // A line break in a value would begin another field.
    bytes.extend(value.bytes().filter(|byte| *byte >= b' ' || *byte == b'\t'));
    bytes.extend_from_slice(b"\r\n");
}
