//! Frames by HTTP: a request is the body of `POST /api/v1/command`, its answer that of the response, and each line of a
//! response in chunks is a frame.

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use crate::codec::frames::{self, ErrorCode, HEADER};
use crate::util::base64;

/// Bytes of a response's head, or of the line that begins a chunk, at most.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// How far a response has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Head,
    /// A body of so many bytes, and whether it is one of ours.
    Body(usize, Option<u16>),
    Chunks,
    End,
}

/// A connection over the network.
#[derive(Debug)]
pub(super) struct WebWire {
    pub(super) stream: TcpStream,
    authority: String,
    /// The value of `Authorization`.
    authorization: Option<String>,
    /// What was read and is not understood yet.
    raw: Vec<u8>,
    /// The line that is not whole.
    line: Vec<u8>,
    part: Part,
}

/// What proves to a daemon who we are: a name and a password, or with an empty name a token.
pub(super) type Credentials = (String, String);

impl WebWire {
    /// Connects to `http://host:port`.
    pub(super) fn connect(url: &str, credentials: Option<&Credentials>, deadline: Instant) -> io::Result<WebWire> {
        let authority = url.strip_prefix("http://").unwrap_or(url).trim_end_matches('/').to_owned();
        let invalid = |text: &str| io::Error::new(io::ErrorKind::InvalidInput, text);
        if authority.contains(['/', '@', '?', ' ']) || authority.is_empty() {
            return Err(invalid("write http://HOST:PORT; the name and password stand in the environment"));
        }
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let place = if has_port { authority.clone() } else { format!("{authority}:80") };
        let mut failure = invalid("the name leads nowhere");
        for address in place.to_socket_addrs()? {
            let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            match TcpStream::connect_timeout(&address, left) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    let authorization = credentials.map(|(user, password)| match user.as_str() {
                        "" => format!("Bearer {password}"),
                        user => format!("Basic {}", base64::encode(format!("{user}:{password}").as_bytes())),
                    });
                    let (raw, line) = (Vec::new(), Vec::new());
                    return Ok(WebWire { stream, authority, authorization, raw, line, part: Part::Head });
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// The request that takes a frame to the daemon.
    pub(super) fn request(&self, frame: &[u8]) -> Vec<u8> {
        let body = frame.get(HEADER..).unwrap_or_default();
        let authorization = match &self.authorization {
            // A line break would begin another field.
            Some(value) => format!("Authorization: {}\r\n", value.replace(['\r', '\n'], "")),
            None => String::new(),
        };
        let head = format!(
            "POST /api/v1/command HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n{authorization}\
             Content-Length: {}\r\n\r\n",
            self.authority,
            body.len()
        );
        [head.as_bytes(), body].concat()
    }

    /// Takes in what was read, and adds the frames that are whole by then.
    pub(super) fn unwrap(&mut self, bytes: &[u8], frames: &mut Vec<u8>) -> io::Result<()> {
        self.raw.extend_from_slice(bytes);
        while self.step(frames)? {}
        Ok(())
    }

    /// Whether something was understood.
    fn step(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        let odd = |text: &str| io::Error::new(io::ErrorKind::InvalidData, text.to_owned());
        match self.part {
            Part::Head => {
                let Some(end) = find(&self.raw, b"\r\n\r\n") else {
                    return if self.raw.len() > MAX_HEAD_BYTES { Err(odd("no answer of HTTP")) } else { Ok(false) };
                };
                let head = String::from_utf8_lossy(self.raw.get(..end).unwrap_or_default()).into_owned();
                self.raw.drain(..end + 4);
                self.part = part_behind(&head).ok_or_else(|| odd("no answer of HTTP"))?;
                Ok(true)
            }
            Part::Body(length, _) if self.raw.len() < length => {
                if length > frames::MAX_FRAME {
                    Err(odd("an answer that is too long"))
                } else {
                    Ok(false)
                }
            }
            Part::Body(length, foreign) => {
                let body: Vec<u8> = self.raw.drain(..length).collect();
                out.extend(match foreign {
                    None => frames::frame(&body),
                    Some(status) => {
                        let message = format!("HTTP status {status}, and no answer of a supervice");
                        frames::error(ErrorCode::Failed, &message)
                    }
                });
                self.part = Part::End;
                Ok(true)
            }
            Part::Chunks => {
                let Some(end) = find(&self.raw, b"\r\n") else { return Ok(false) };
                let digits = std::str::from_utf8(self.raw.get(..end).unwrap_or_default()).unwrap_or_default();
                let size = usize::from_str_radix(digits, 16).ok().filter(|size| *size <= 2 * frames::MAX_FRAME);
                let size = size.ok_or_else(|| odd("a chunk without its size"))?;
                if size == 0 {
                    self.part = Part::End;
                    return Ok(true);
                }
                let begin = end + 2;
                if self.raw.len() < begin + size + 2 {
                    return Ok(false);
                }
                for byte in self.raw.get(begin..begin + size).unwrap_or_default() {
                    match byte {
                        b'\n' => out.extend(frames::frame(&std::mem::take(&mut self.line))),
                        byte => self.line.push(*byte),
                    }
                }
                self.raw.drain(..begin + size + 2);
                Ok(true)
            }
            Part::End => Ok(false),
        }
    }
}

fn find(text: &[u8], words: &[u8]) -> Option<usize> {
    text.windows(words.len()).position(|part| part == words)
}

/// What follows this head.
fn part_behind(head: &str) -> Option<Part> {
    let mut lines = head.split("\r\n");
    let status: u16 = lines.next()?.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    let mut fields = lines.filter_map(|line| line.split_once(':'));
    let (mut length, mut is_json, mut is_chunked) = (None, false, false);
    for (name, value) in &mut fields {
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().ok(),
            "content-type" => {
                is_json = value.starts_with("application/json") || value.starts_with("application/x-ndjson")
            }
            "transfer-encoding" => is_chunked = value.eq_ignore_ascii_case("chunked"),
            _ => {}
        }
    }
    match is_chunked && is_json {
        true => Some(Part::Chunks),
        false => Some(Part::Body(length.unwrap_or(0), (!is_json).then_some(status))),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn wire() -> WebWire {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/", listener.local_addr().expect("an address"));
        let credentials = ("u".to_owned(), "p\r\nX: y".to_owned());
        WebWire::connect(&url, Some(&credentials), Instant::now() + Duration::from_secs(30)).expect("it listens")
    }

    #[test]
    fn a_frame_becomes_a_request_and_an_answer_a_frame_however_it_is_cut() {
        let text = String::from_utf8(wire().request(&frames::frame(b"{}"))).expect("text");
        assert!(text.starts_with("POST /api/v1/command HTTP/1.1\r\nHost: 127.0.0.1:"), "{text}");
        assert!(
            text.contains("\r\nAuthorization: Basic ") && text.ends_with("\r\nContent-Length: 2\r\n\r\n{}"),
            "{text}"
        );
        let chunked = "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n\
            5\r\n{\"a\":\r\n4\r\n1}\n{\r\n2\r\n}\n\r\n0\r\n\r\n";
        let whole = "HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\nContent-Type: application/json\r\n\r\n{}";
        for (answer, frames) in
            [(chunked, [frames::frame(b"{\"a\":1}"), frames::frame(b"{}")].concat()), (whole, frames::frame(b"{}"))]
        {
            let (mut wire, mut read) = (wire(), Vec::new());
            answer.bytes().for_each(|byte| wire.unwrap(&[byte], &mut read).expect("an answer"));
            assert_eq!(read, frames);
        }
    }

    #[test]
    fn what_is_no_answer_of_ours_is_an_error() {
        let mut read = Vec::new();
        let page = "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 3\r\n\r\n<p>";
        wire().unwrap(page.as_bytes(), &mut read).expect("an answer");
        assert!(String::from_utf8_lossy(&read).contains("HTTP status 502"));
        assert!(wire().unwrap(b"SSH-2.0-OpenSSH\r\n\r\n", &mut read).is_err());
        for url in ["http://", "http://a/b", "http://u:p@h:1"] {
            assert!(WebWire::connect(url, None, Instant::now()).is_err(), "{url}");
        }
    }
}
