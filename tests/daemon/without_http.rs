//! A daemon that was built without HTTP says so where it is asked for.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use crate::harness::Daemon;

#[test]
fn who_asks_for_http_is_told_that_it_is_not_there_and_frames_are_served() {
    let daemon = Daemon::start("[program:web]\ncommand = sleep 1000\nstartsecs = 0\n[http]\nlisten = 127.0.0.1:9001\n");
    let mut stream = UnixStream::connect(daemon.path("ctl.sock")).expect("it listens");
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 501 ") && answer.contains("built without HTTP"), "{answer}");
    daemon.wait_log("this supervice was built without HTTP");
    let (code, _, error) = daemon.ctl(&["token", "bot"]);
    assert!(code == 2 && error.contains("built without HTTP"), "{error}");
    let error = supervice::client::Controller::new("http://127.0.0.1:9001").status().expect_err("nothing speaks it");
    assert!(error.to_string().contains("built without HTTP"), "{error}");
    assert_eq!(daemon.status("web").state, "RUNNING");
    daemon.terminate();
}
