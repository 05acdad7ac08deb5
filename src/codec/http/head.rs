//! The head of a request: found, parsed once, and asked for what it says.

use std::ops::Range;

use super::credentials::Credentials;
use super::malformed::{Malformed, bad};
use super::target::Target;
use super::{MAX_BODY, MAX_HEAD, MAX_HEADERS, Status};

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Tell.
    Get,
    /// Tell what the answer's head would be.
    Head,
    /// Do.
    Post,
    /// Something that other servers do.
    Other,
}

/// What stands before the body of a request.
#[derive(Clone, PartialEq, Eq)]
pub struct Head {
    /// What is to be done.
    pub method: Method,
    /// With what.
    pub target: Target,
    /// 1 in HTTP/1.1, 0 in HTTP/1.0.
    pub minor: u8,
    /// Bytes of the body.
    pub length: usize,
    text: Box<[u8]>,
    /// Where the names and values of the fields are in the text.
    fields: Vec<(Range<usize>, Range<usize>)>,
}

/// Finds heads in what was read. It remembers how far it has looked: a head that comes byte by byte is looked at once.
#[derive(Debug, Default)]
pub struct HeadReader {
    scanned: usize,
}

impl HeadReader {
    /// Takes the head at the beginning of `input` out of it, if it is there whole; empty lines before it go with it.
    ///
    /// # Errors
    /// Why it is none.
    pub fn take(&mut self, input: &mut Vec<u8>) -> Result<Option<Head>, Malformed> {
        let begin = input.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        // Who begins with a handshake of TLS waits for an answer, and would wait for as long as a request may take to
        // arrive.
        if input.get(begin).is_some_and(|first| !first.is_ascii_graphic()) {
            return Err(bad("this is no HTTP request; TLS is for a proxy in front"));
        }
        let Some(end) = self.end(input, begin) else {
            if input.len() >= MAX_HEAD {
                return Err(match input.iter().skip(begin).any(|byte| *byte == b'\n') {
                    true => Malformed { status: Status::HeadTooLarge, message: "the head is larger than 16 KiB" },
                    false => Malformed { status: Status::UriTooLong, message: "the first line is longer than 16 KiB" },
                });
            }
            return Ok(None);
        };
        if end > MAX_HEAD {
            return Err(Malformed { status: Status::HeadTooLarge, message: "the head is larger than 16 KiB" });
        }
        self.scanned = 0;
        // What is none stays: nothing that follows it is understood either.
        let head = parse(input.get(begin..end).unwrap_or_default())?;
        input.drain(..end);
        Ok(Some(head))
    }

    /// Behind the empty line that ends the head which begins at `begin`.
    fn end(&mut self, input: &[u8], begin: usize) -> Option<usize> {
        let mut at = self.scanned.max(begin);
        while let Some(found) = input.get(at..)?.iter().position(|byte| *byte == b'\n') {
            let next = at + found + 1;
            match input.get(next..)? {
                [b'\n', ..] => return Some(next + 1),
                [b'\r', b'\n', ..] => return Some(next + 2),
                // The line feed is looked at once more when it is known what follows.
                [] | [b'\r'] => {
                    self.scanned = next - 1;
                    return None;
                }
                [..] => at = next,
            }
        }
        self.scanned = input.len();
        None
    }
}

fn parse(text: &[u8]) -> Result<Head, Malformed> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(text) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Err(bad("the head ends before its time")),
        Err(httparse::Error::TooManyHeaders) => {
            return Err(Malformed { status: Status::HeadTooLarge, message: "more than 100 header fields" });
        }
        Err(httparse::Error::Version) => {
            let message = "only HTTP/1.1 and HTTP/1.0 are spoken";
            return Err(Malformed { status: Status::VersionNotSupported, message });
        }
        Err(_) => return Err(bad("this is no HTTP request")),
    }
    let method = match request.method.unwrap_or_default() {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" | "DELETE" | "PATCH" | "OPTIONS" | "TRACE" | "CONNECT" => Method::Other,
        _ => return Err(Malformed { status: Status::NotImplemented, message: "there is no such method" }),
    };
    let target = Target::parse(request.path.unwrap_or_default())?;
    let minor = request.version.unwrap_or_default();
    // Offsets in place of slices: the head outlives what was read.
    let base = text.as_ptr() as usize;
    let place = |part: &[u8]| {
        let begin = (part.as_ptr() as usize).saturating_sub(base);
        begin..begin + part.len()
    };
    let fields = request.headers.iter().map(|field| (place(field.name.as_bytes()), place(field.value))).collect();
    let mut head = Head { method, target, minor, length: 0, text: text.into(), fields };
    head.length = head.body_length()?;
    if head.count("host") > 1 {
        return Err(bad("more than one Host"));
    }
    Ok(head)
}

impl Head {
    /// The values of all fields of this name, in lower case.
    fn all(&self, name: &'static str) -> impl Iterator<Item = &[u8]> {
        let part = |range: &Range<usize>| self.text.get(range.clone()).unwrap_or_default();
        let fields = self.fields.iter().filter(move |(field, _)| part(field).eq_ignore_ascii_case(name.as_bytes()));
        fields.map(move |(_, value)| part(value))
    }

    /// How many fields of this name there are.
    pub fn count(&self, name: &'static str) -> usize {
        self.all(name).count()
    }

    /// The value of the first field of this name.
    pub fn field(&self, name: &'static str) -> Option<&[u8]> {
        self.all(name).next()
    }

    /// The same, where it is text.
    pub fn text(&self, name: &'static str) -> Option<&str> {
        std::str::from_utf8(self.field(name)?).ok().map(str::trim)
    }

    /// One of the words in the lists of this name is `word`, in any case.
    fn has_token(&self, name: &'static str, word: &str) -> bool {
        let mut values = self.all(name).filter_map(|value| std::str::from_utf8(value).ok());
        values.any(|value| value.split(',').any(|token| token.trim().eq_ignore_ascii_case(word)))
    }

    /// How long the body is. What two servers could take for two different lengths is refused.
    fn body_length(&self) -> Result<usize, Malformed> {
        let coded = self.count("transfer-encoding") > 0;
        let mut lengths = self.all("content-length");
        let (first, second) = (lengths.next(), lengths.next());
        match (first, second, coded) {
            (None, _, false) => Ok(0),
            (None, _, true) if self.has_token("transfer-encoding", "chunked") => Err(Malformed {
                status: Status::LengthRequired,
                message: "a body without Content-Length is not taken, nor one in chunks",
            }),
            (None, _, true) => {
                Err(Malformed { status: Status::NotImplemented, message: "no Transfer-Encoding is taken" })
            }
            (Some(_), _, true) => Err(bad("both Content-Length and Transfer-Encoding")),
            (Some(_), Some(_), false) => Err(bad("more than one Content-Length")),
            (Some(digits), None, false) => {
                if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
                    return Err(bad("Content-Length is no number"));
                }
                let length = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
                length.filter(|length| *length <= MAX_BODY).ok_or(Malformed {
                    status: Status::ContentTooLarge,
                    message: "a body of more than 1 MiB is not taken",
                })
            }
        }
    }

    /// The client wants to send more requests on this connection.
    pub fn keeps_alive(&self) -> bool {
        match self.minor {
            0 => self.has_token("connection", "keep-alive") && !self.has_token("connection", "close"),
            _ => !self.has_token("connection", "close"),
        }
    }

    /// The client waits to be told that its body is wanted.
    pub fn expects_continue(&self) -> bool {
        self.minor > 0 && self.has_token("expect", "100-continue")
    }

    /// The host that the client means, and the port if it names one; `None`: it names none.
    pub fn host(&self) -> Option<&str> {
        self.target.authority.as_deref().or_else(|| self.text("host"))
    }

    /// Whether it has sent an `Authorization` field, and what that says; `Some(None)`: nothing that is understood.
    pub fn credentials(&self) -> Option<Option<Credentials>> {
        self.field("authorization").map(Credentials::parse)
    }

    /// One of the types that the client accepts begins so.
    pub fn accepts(&self, media_type: &str) -> bool {
        let mut values = self.all("accept").filter_map(|value| std::str::from_utf8(value).ok());
        values.any(|value| {
            let types = value.split(',').map(|kind| kind.split(';').next().unwrap_or_default().trim());
            types.into_iter().any(|kind| kind.eq_ignore_ascii_case(media_type))
        })
    }

    /// The client takes a body that is compressed by gzip.
    #[cfg(feature = "web-page")]
    pub fn accepts_gzip(&self) -> bool {
        self.has_token("accept-encoding", "gzip")
    }

    /// The type of its body, without parameters.
    pub fn content_type(&self) -> Option<&str> {
        Some(self.text("content-type")?.split(';').next().unwrap_or_default().trim())
    }
}

impl std::fmt::Debug for Head {
    /// Without the fields, which may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Head")
            .field("method", &self.method)
            .field("target", &self.target)
            .field("minor", &self.minor)
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}
