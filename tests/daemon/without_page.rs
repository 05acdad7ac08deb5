//! A daemon that was built with HTTP and without the page.

use crate::harness::Daemon;
use crate::http::{ask, get, local};

#[test]
fn who_asks_for_the_page_is_told_that_it_is_not_there_and_the_rest_is_served() {
    let daemon = Daemon::start("[program:web]\ncommand = sleep 1000\nstartsecs = 0\n");
    let (status, answer) = ask(local(&daemon), &get("/"));
    assert!(status == 404 && answer.contains("built without the web page"), "{answer}");
    assert_eq!(ask(local(&daemon), &get("/page/main.js")).0, 404);
    let (status, answer) = ask(local(&daemon), &get("/api/v1/usage"));
    assert!(status == 200 && answer.contains(r#""name":"web","pid":"#), "{answer}");
    daemon.terminate();
}
