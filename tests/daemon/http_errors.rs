//! Every status that a bad request is answered by, as JSON and as text for a browser, by a real daemon.

use std::io::{Read, Write};

use crate::harness::Daemon;
use crate::http::{body, free_port, remote};

/// The request, its status, and the code of the JSON.
const BAD: &[(&str, u16, &str)] = &[
    ("hello\r\nACCEPT\r\n\r\n", 400, "INVALID_REQUEST"),
    ("GET /livez HTTP/1.1\r\nACCEPT\r\n\r\n", 400, "INVALID_REQUEST"),
    ("GET /livez HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\nACCEPT\r\n\r\n", 400, "INVALID_REQUEST"),
    ("GET /%2e%2e/x HTTP/1.1\r\nHost: localhost\r\nACCEPT\r\n\r\n", 400, "INVALID_REQUEST"),
    (
        "POST /RPC2 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\nACCEPT\r\n\r\nx",
        400,
        "INVALID_REQUEST",
    ),
    (
        "POST /RPC2 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\nACCEPT\r\n\r\nx",
        400,
        "INVALID_REQUEST",
    ),
    ("GET /metrics HTTP/1.1\r\nHost: localhost\r\nACCEPT\r\n\r\n", 401, "UNAUTHORIZED"),
    ("GET /livez HTTP/1.1\r\nHost: evil.example\r\nACCEPT\r\n\r\n", 403, "FORBIDDEN"),
    ("GET /nowhere HTTP/1.1\r\nHost: localhost\r\nLOGIN\r\nACCEPT\r\n\r\n", 404, "NOT_FOUND"),
    ("DELETE /livez HTTP/1.1\r\nHost: localhost\r\nACCEPT\r\n\r\n", 405, "METHOD_NOT_ALLOWED"),
    (
        "POST /RPC2 HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nACCEPT\r\n\r\n0\r\n\r\n",
        411,
        "INVALID_REQUEST",
    ),
    ("POST /RPC2 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10485760\r\nACCEPT\r\n\r\n", 413, "TOO_LARGE"),
    ("GET /LONG HTTP/1.1\r\nHost: localhost\r\nACCEPT\r\n\r\n", 414, "TOO_LARGE"),
    (
        "POST /api/v1/command HTTP/1.1\r\nHost: localhost\r\nLOGIN\r\nContent-Length: 2\r\nACCEPT\r\n\r\n{}",
        415,
        "UNSUPPORTED_MEDIA_TYPE",
    ),
    ("GET /livez HTTP/1.1\r\nHost: localhost\r\nACCEPT\r\nMANY\r\n\r\n", 431, "TOO_LARGE"),
    ("GET /livez HTTP/1.1\r\nHost: localhost\r\nACCEPT\r\nX: LONGEST\r\n\r\n", 431, "TOO_LARGE"),
    ("BREW /livez HTTP/1.1\r\nHost: localhost\r\nACCEPT\r\n\r\n", 501, "NOT_IMPLEMENTED"),
    ("GET /livez HTTP/2.0\r\nHost: localhost\r\nACCEPT\r\n\r\n", 505, "NOT_IMPLEMENTED"),
];

#[test]
fn each_bad_request_has_its_status_as_json_and_as_text_for_a_browser() {
    let port = free_port();
    let daemon = Daemon::start(&format!("[http]\nlisten = 127.0.0.1:{port}\nusername = u\npassword = p\n"));
    for (request, status, code) in BAD {
        for (accept, is_browser) in [("Accept: */*", false), ("Accept: text/html,*/*", true)] {
            let text = request
                .replace("ACCEPT", accept)
                .replace("LOGIN", "Authorization: Basic dTpw")
                .replace("LONGEST", &"x".repeat(16 * 1024))
                .replace("LONG", &"x".repeat(8 * 1024))
                .replace("MANY", &vec!["a: b"; 101].join("\r\n"));
            let mut stream = remote(port);
            stream.write_all(text.as_bytes()).expect("it reads");
            // Some of these connections stay: what is wrong with them may be mended by the next request.
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).expect("an answer");
            let answer = String::from_utf8(answer).expect("text");
            let shown: String = request.chars().take(60).collect();
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{shown}: {answer}");
            let (head, content) = (answer.to_ascii_lowercase(), body(&answer));
            if is_browser {
                assert!(head.contains("content-type: text/plain; charset=utf-8\r\n"), "{shown}: {answer}");
                assert!(content.starts_with(&format!("{status} ")) && content.ends_with('\n'), "{shown}: {answer}");
            } else {
                let told: serde_json::Value =
                    serde_json::from_str(content).unwrap_or_else(|error| panic!("{error}: {answer}"));
                assert_eq!((told["status"].as_str(), told["code"].as_str()), (Some("error"), Some(*code)), "{shown}");
                assert!(told["message"].as_str().is_some_and(|text| text.len() > 10), "{shown}: {answer}");
            }
        }
    }
    daemon.terminate();
}
