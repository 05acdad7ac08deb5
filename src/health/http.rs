//! The check by HTTP: what is the status of the answer? A small client: HTTP/1.1, one request, no TLS, and no redirect
//! is followed. Nothing but the status line is read.

use std::time::Duration;

use super::connect::{Deadline, Stream, open, target};
use super::{HealthCheckResult, HealthChecker};
use crate::models::{Endpoint, HttpUrl, Statuses};

/// What may come until the status line of the answer has ended, in bytes: longer ones, and interim answers without end,
/// are none that a server gives.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// Passes when a request is answered with one of these statuses within the time-out.
#[derive(Debug, Clone)]
pub struct HttpHealthChecker {
    /// What is asked for.
    pub url: HttpUrl,
    /// The statuses that pass.
    pub statuses: Statuses,
    /// Lines that are sent along, each `Name: value`.
    pub headers: Vec<String>,
    /// How long the check may take.
    pub timeout: Duration,
}

impl HealthChecker for HttpHealthChecker {
    fn check(&self) -> HealthCheckResult {
        let deadline = Deadline::after(self.timeout);
        match self.ask(deadline) {
            Ok(status) => {
                let is_good = self.statuses.0.iter().any(|(first, last)| (*first..=*last).contains(&status.code));
                let message = format!("status {status} from {}", self.url);
                HealthCheckResult { healthy: is_good, message }
            }
            Err(reason) => HealthCheckResult::failed(reason),
        }
    }
}

impl HttpHealthChecker {
    fn ask(&self, deadline: Deadline) -> Result<Status, String> {
        let mut stream = open(&self.url.endpoint, deadline)?;
        let answer = stream.send(self.request().as_bytes(), deadline).and_then(|()| status(&mut stream, deadline));
        answer.map_err(|reason| format!("{}: {reason}", self.url))
    }

    fn request(&self) -> String {
        let HttpUrl { endpoint, target: path } = &self.url;
        let host = match endpoint {
            Endpoint::Tcp { port: 80, host } => host.clone(),
            Endpoint::Tcp { .. } => target(endpoint),
            Endpoint::Unix(_) => "localhost".to_owned(),
        };
        let has = |name: &str| {
            let is_it = |line: &&String| line.split(':').next().is_some_and(|own| own.eq_ignore_ascii_case(name));
            self.headers.iter().find(is_it).is_some()
        };
        let mut request = format!("GET {path} HTTP/1.1\r\n");
        let usual = [("Host", host.as_str()), ("User-Agent", "supervice"), ("Accept", "*/*"), ("Connection", "close")];
        for (name, value) in usual.into_iter().filter(|(name, _)| !has(name)) {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        for line in &self.headers {
            request.push_str(line);
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        request
    }
}

/// The status of an answer: its code, and what the server calls it.
#[derive(Debug, PartialEq, Eq)]
struct Status {
    code: u16,
    reason: String,
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.reason.is_empty() {
            true => write!(f, "{}", self.code),
            false => write!(f, "{} ({})", self.code, self.reason),
        }
    }
}

/// Reads as far as the status line of the answer; interim answers (1xx) come before it.
fn status(stream: &mut Stream, deadline: Deadline) -> Result<Status, String> {
    let (mut read, mut at) = (Vec::new(), 0);
    loop {
        if let Some(line) = line_at(&read, at) {
            let status = parse_status(line).ok_or("not an answer by HTTP/1")?;
            if status.code >= 200 {
                return Ok(status);
            }
            if let Some(end) = head_end(&read, at) {
                at = end;
                continue;
            }
        }
        if read.len() >= MAX_HEAD_BYTES {
            return Err("not an answer by HTTP/1".to_owned());
        }
        let mut buffer = [0; 1024];
        match stream.receive(&mut buffer, deadline)? {
            0 if read.is_empty() => return Err("closed without an answer".to_owned()),
            0 => return Err("not an answer by HTTP/1".to_owned()),
            count => read.extend_from_slice(buffer.get(..count).unwrap_or_default()),
        }
    }
}

/// The line that begins there, without its end; `None`: that has not come yet.
fn line_at(read: &[u8], at: usize) -> Option<&[u8]> {
    let rest = read.get(at..)?;
    let line = rest.split_at_checked(rest.iter().position(|byte| *byte == b'\n')?)?.0;
    Some(line.strip_suffix(b"\r").unwrap_or(line))
}

/// Where the head that begins there has ended.
fn head_end(read: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let rest = read.get(at..)?;
        let line = line_at(read, at)?;
        at += rest.iter().position(|byte| *byte == b'\n')? + 1;
        if line.is_empty() {
            return Some(at);
        }
    }
}

/// `HTTP/1.1 200 OK`
fn parse_status(line: &[u8]) -> Option<Status> {
    let line = String::from_utf8_lossy(line);
    let rest = line.strip_prefix("HTTP/1.")?.split_once(' ')?.1.trim_start();
    let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
    let is_code = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_digit());
    let code = code.parse().ok().filter(|code| is_code && (100..=999).contains(code))?;
    let reason: String = reason.trim().chars().filter(|letter| !letter.is_control()).take(80).collect();
    Some(Status { code, reason })
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;
    use std::time::Instant;

    use super::*;
    use crate::sys::testing::TEST_TIMEOUT;

    /// A server that reads one request, does this with the connection, and tells what it has read.
    fn serve(
        answer: impl FnOnce(&mut dyn Write) + Send + 'static,
    ) -> (HttpHealthChecker, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/health?a=b", listener.local_addr().unwrap());
        let checker = HttpHealthChecker {
            url: HttpUrl::parse(&url).unwrap(),
            statuses: Statuses::default(),
            headers: Vec::new(),
            timeout: TEST_TIMEOUT,
        };
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.extend(byte);
            }
            answer(&mut stream);
            String::from_utf8(request).unwrap()
        });
        (checker, server)
    }

    fn answered(answer: &'static str) -> (bool, String) {
        let (checker, server) = serve(move |stream| drop(stream.write_all(answer.as_bytes())));
        let result = checker.check();
        server.join().unwrap();
        (result.healthy, result.message.replace(&checker.url.to_string(), "URL"))
    }

    /// Rows 112 and 113: what was refused, timed out, answered and how is told apart, and no redirect is followed.
    #[test]
    fn the_status_decides_and_a_redirect_is_an_answer_like_any_other() {
        let cases = [
            ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true, "status 200 (OK) from URL"),
            ("HTTP/1.0 204\r\n\r\n", true, "status 204 from URL"),
            ("HTTP/1.1 200 OK\n\n", true, "status 200 (OK) from URL"),
            ("HTTP/1.1 302 Found\r\nLocation: http://203.0.113.1/\r\n\r\n", true, "status 302 (Found) from URL"),
            ("HTTP/1.1 503 Service Unavailable\r\n\r\n", false, "status 503 (Service Unavailable) from URL"),
            ("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 500 No\r\n\r\n", false, "status 500 (No) from URL"),
            ("", false, "URL: closed without an answer"),
            ("HTTP/1.1 20", false, "URL: not an answer by HTTP/1"),
            ("HTTP/1.1 2000 OK\r\n", false, "URL: not an answer by HTTP/1"),
            ("HTTP/2 200\r\n", false, "URL: not an answer by HTTP/1"),
            ("SSH-2.0-OpenSSH_9.2\r\n", false, "URL: not an answer by HTTP/1"),
            ("HTTP/1.1 200 a\u{1b}[31mb\r\n\r\n", true, "status 200 (a[31mb) from URL"),
        ];
        for (answer, healthy, message) in cases {
            assert_eq!(answered(answer), (healthy, message.to_owned()), "{answer:?}");
        }
    }

    #[test]
    fn the_request_is_what_a_server_expects_and_headers_may_be_set() {
        let (mut checker, server) = serve(|stream| drop(stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")));
        checker.headers = vec!["host: example.com".to_owned(), "X-Token: a:b".to_owned()];
        assert!(checker.check().healthy);
        let request = server.join().unwrap();
        let wanted = "GET /health?a=b HTTP/1.1\r\nUser-Agent: supervice\r\nAccept: */*\r\nConnection: close\r\n\
                      host: example.com\r\nX-Token: a:b\r\n\r\n";
        assert_eq!(request, wanted);
    }

    /// Row 114: the verdict is from the status line.
    #[test]
    fn an_endless_body_is_not_read() {
        let (checker, server) = serve(|stream| {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
            while stream.write_all(&[b'x'; 4096]).is_ok() {}
        });
        assert!(checker.check().healthy);
        server.join().unwrap();
    }

    #[test]
    fn an_endless_status_line_or_endless_interim_answers_are_no_answer() {
        for piece in ["HTTP/1.1 200 O", "HTTP/1.1 100 Continue\r\nX: y\r\n\r\n"] {
            let (checker, server) = serve(move |stream| while stream.write_all(piece.as_bytes()).is_ok() {});
            let message = checker.check().message;
            assert!(message.ends_with(": not an answer by HTTP/1"), "{message}");
            server.join().unwrap();
        }
    }

    #[test]
    fn who_says_nothing_or_one_byte_now_and_then_is_too_late() {
        let (tell, end) = std::sync::mpsc::channel::<()>();
        let (mut checker, server) = serve(move |stream| {
            for byte in b"HTTP/1.1 200 OK" {
                let _ = stream.write_all(&[*byte]);
                if end.recv_timeout(Duration::from_millis(100)) == Err(std::sync::mpsc::RecvTimeoutError::Disconnected)
                {
                    return;
                }
            }
            let _ = end.recv();
        });
        checker.timeout = Duration::from_secs(1);
        let begin = Instant::now();
        let message = checker.check().message;
        assert!(message.ends_with(": no answer within 1 s"), "{message}");
        assert!(begin.elapsed() < TEST_TIMEOUT);
        drop(tell);
        server.join().unwrap();
    }

    #[test]
    fn a_server_behind_a_unix_socket_is_asked_as_localhost() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("http");
        let listener = UnixListener::bind(&path).unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut buffer = [0; 1024];
            let count = stream.read(&mut buffer).unwrap();
            stream.write_all(b"HTTP/1.1 404 Not Found\r\n\r\n").unwrap();
            String::from_utf8_lossy(&buffer[..count]).into_owned()
        });
        let url = format!("http://unix:{}:/up", path.display());
        let checker = HttpHealthChecker {
            url: HttpUrl::parse(&url).unwrap(),
            statuses: Statuses(vec![(200, 299), (404, 404)]),
            headers: Vec::new(),
            timeout: TEST_TIMEOUT,
        };
        let result = checker.check();
        assert_eq!((result.healthy, result.message), (true, format!("status 404 (Not Found) from {url}")));
        assert!(server.join().unwrap().starts_with("GET /up HTTP/1.1\r\nHost: localhost\r\n"));
    }
}
