//! The web page, as a browser gets it and as people use it: in a real Chromium.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use crate::browser::{Browser, ENTER, ESCAPE};
use crate::harness::{Daemon, TEST_TIMEOUT};
use crate::http::{ask, free_port};

/// A daemon with a port, and where its page is.
pub fn serve(sections: &str) -> (Daemon, String) {
    let port = free_port();
    let daemon = Daemon::start(&format!("{sections}\n[http]\nlisten = 127.0.0.1:{port}\n"));
    (daemon, format!("http://127.0.0.1:{port}/"))
}

/// An expression: the row of a program.
pub fn row(name: &str) -> String {
    format!(
        "[...document.querySelectorAll('tr.row')].find((row) => row.querySelector('a.name')?.textContent === '{name}')"
    )
}

pub fn state(name: &str) -> String {
    format!("{}.querySelector('.state').textContent", row(name))
}

/// What the daemon was heard to answer.
pub const TOASTS: &str = "document.getElementById('toasts').innerText";

#[test]
fn what_is_pressed_is_done_answered_and_seen_and_what_happens_is_seen_too() {
    let Some(browser) = Browser::start(&[]) else { return };
    let (daemon, page) = serve(
        "[program:web]\ncommand = sleep 1000\nstartsecs = 0\nautostart = false\n\
         [program:bad]\ncommand = sh -c 'echo no such host >&2; exit 3'\nstartsecs = 60\nstartretries = 0\nautostart = false\n\
         [program:one]\ncommand = sleep 1000\nstartsecs = 0\n\
         [program:needy]\ncommand = sleep 1000\nrequires = web\nstartsecs = 0\n\
         [group:both]\nprograms = one, needy\n",
    );
    browser.open(&page);
    browser.wait(&format!("{} === 'RUNNING'", state("web")));
    assert_eq!(browser.text("document.getElementById('connection').textContent"), "live");
    // What the user does.
    browser.click("[aria-label='Restart web']");
    browser.wait(&format!("{TOASTS}.includes('Restarted web')"));
    browser.click("[aria-label='Start bad']");
    browser.wait(&format!("{TOASTS}.includes('exit code 3')"));
    browser.wait(&format!(
        "{} === 'FATAL' && {}.querySelector('.note').textContent.includes('exit code 3')",
        state("bad"),
        row("bad")
    ));
    assert_eq!(
        browser.value("document.querySelectorAll('.toast.error[role=alert]').length"),
        1,
        "an error stays and is said"
    );
    // What happens without him, and what is done by others.
    let (code, _, error) = daemon.ctl(&["stop", "one"]);
    assert_eq!(code, 0, "{error}");
    browser.wait(&format!("{} === 'STOPPED'", state("one")));
    let pid = daemon.status("web").pid.expect("it runs");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).expect("it lives");
    browser.wait(&format!("{}.querySelector('[data-label=Restarts]').textContent === '1'", row("web")));
    browser.wait(&format!("/MiB|KiB/.test({}.querySelector('[data-label=Memory]').textContent)", row("web")));
    // One program: why, history, log, needs.
    browser.click("a.name[href='#/program/bad']");
    browser.wait("document.querySelector('.lead').textContent.includes('bad has been FATAL')");
    browser.wait("document.querySelector('.words').textContent.includes('no such host')");
    browser.click("#tab-history");
    browser.wait("document.querySelectorAll('.history li').length >= 2 && document.querySelector('.band rect')");
    browser.open(&format!("{page}#/program/needy/needs"));
    browser.wait("document.querySelector('.needs a').textContent === 'web'");
    browser.click("#program [data-verb=restart]");
    browser.wait(&format!("{TOASTS}.includes('Restarted needy')"));
    browser.click("[aria-label='Close']");
    browser.open(&format!("{page}#/graph"));
    browser.wait(
        "document.querySelectorAll('.node').length === 2 && document.querySelectorAll('.picture .edge').length === 1",
    );
    assert_eq!(browser.text("document.querySelector('.node rect[data-state]').dataset.state"), "RUNNING");
    browser.open(&page);
    // A group at once, after a question.
    browser.click("[aria-label='Stop all 2 of both']");
    browser.click("#confirm-yes");
    browser.wait(&format!("{} === 'STOPPED' && {} === 'STOPPED'", state("one"), state("needy")));
    browser.wait(&format!("{TOASTS}.includes('Stop all of both: 2 programs done')"));
    browser.click("[aria-label='Start all 2 of both']");
    browser.wait(&format!("{} === 'RUNNING' && {} === 'RUNNING'", state("one"), state("needy")));
    // A filter, and a group that folds.
    browser.click(".fold");
    browser.wait(&format!("{}.hidden && document.querySelector('.fold').ariaExpanded === 'false'", row("one")));
    browser.click("#filter");
    browser.keys(&["n", "e", "e", "d"]);
    browser.wait(&format!("!{}.hidden && {}.hidden", row("needy"), row("web")));
    browser.keys(&[ESCAPE]);
    browser.wait(&format!("!{}.hidden", row("web")));
    // What reaches far is asked about first.
    browser.click("#daemon-menu summary");
    browser.click("[data-act=stop-all]");
    browser.wait("document.getElementById('confirm').open");
    browser.keys(&[ENTER]);
    browser.wait("!document.getElementById('confirm').open");
    assert_eq!(daemon.status("web").state, "RUNNING", "Cancel has the focus");
    browser.click("#daemon-menu summary");
    browser.click("[data-act=stop-all]");
    browser.click("#confirm-yes");
    browser.wait(&format!("{TOASTS}.includes('Stop all: ')"));
    browser.wait(&format!("{} === 'STOPPED' && {} === 'STOPPED'", state("web"), state("needy")));
    browser.assert_content();
    daemon.terminate();
}

#[test]
fn names_and_output_are_text_whatever_is_in_them() {
    let Some(browser) = Browser::start(&[]) else { return };
    let name = "<img src=x onerror=document.title=1>";
    let output = r#"printf "\\377\\376 <b>bold</b>\\033[31m red\\n<script>document.title=2</script>\\n"; echo half | tr -d "\\n""#;
    let (daemon, page) = serve(&format!(
        "[program:{name}]\ncommand = sh -c '{output}; exec sleep 1000'\nstartsecs = 0\n\
         [program:bad]\ncommand = sh -c 'echo \"<img src=x onerror=document.title=3>\" >&2; exit 1'\nstartsecs = 60\nstartretries = 0\n\
         requires = {name}\n"
    ));
    browser.open(&page);
    browser.wait(&format!("{} === 'RUNNING' && {} === 'FATAL'", state(name), state("bad")));
    browser.open(&format!("{page}#/program/bad"));
    browser.wait("document.querySelector('.words').textContent.includes('<img src=x')");
    browser.open(&format!("{page}#/graph"));
    browser.wait("document.querySelectorAll('.node').length === 2");
    browser.value(
        "document.querySelector('.node').dispatchEvent(new MouseEvent('click', {bubbles: true, cancelable: true}))",
    );
    browser.wait("document.getElementById('program-name')?.textContent.startsWith('<img')");
    browser.click("#tab-log");
    browser.wait("document.querySelectorAll('.line').length === 3");
    let lines = browser.value("[...document.querySelectorAll('.line')].map((line) => line.textContent)");
    let expected = ["\u{fffd}\u{fffd} <b>bold</b> red", "<script>document.title=2</script>", "half"];
    assert_eq!(lines, serde_json::json!(expected));
    browser.click("[aria-label='Search in the output']");
    browser.keys(&["B", "O", "L", "D"]);
    browser.wait("document.querySelector('mark.current')?.textContent === 'bold'");
    let title = browser.text("document.title");
    assert!(title.contains("supervice"), "{title}");
    assert_eq!(
        browser.value("document.querySelectorAll('img:not([src=\"page/icon.svg\"]), b b, .line script').length"),
        0
    );
    // The row's own button reaches it, and the daemon's answer names it as text.
    browser.open(&page);
    browser.click("tr.row .acts button:not([hidden])");
    browser.wait(&format!("{TOASTS}.includes('Restarted <img')"));
    browser.assert_content();
    daemon.terminate();
}

#[test]
fn output_is_followed_held_and_taken_up_again() {
    let Some(browser) = Browser::start(&[]) else { return };
    let (daemon, page) = serve(
        "[program:web]\ncommand = sh -c 'n=0; while read line; do n=$((n+1)); echo line $n $line; done'\nstdin = pipe\nstartsecs = 0\n",
    );
    let say = |word: &str| {
        use std::process::{Command, Stdio};
        let mut child = Command::new(env!("CARGO_BIN_EXE_supervicectl"))
            .arg("-s")
            .arg(daemon.path("ctl.sock"))
            .args(["stdin", "web"])
            .stdin(Stdio::piped())
            .spawn()
            .expect("it starts");
        writeln!(child.stdin.take().expect("piped"), "{word}").expect("it reads");
        assert!(child.wait().expect("it ends").success());
    };
    let count = "document.querySelectorAll('.line').length";
    browser.open(&format!("{page}#/program/web/log"));
    browser.wait("document.querySelector('.log .note').textContent.includes('Nothing was written')");
    say("first");
    browser.wait(&format!("{count} === 1"));
    browser.click(".log-tools button");
    say("second");
    browser.wait("document.querySelector('.log-tools button').textContent === 'Resume (1)'");
    assert_eq!(browser.value(count), 1);
    browser.click(".log-tools button");
    browser.wait(&format!("{count} === 2"));
    // Another run goes on in the same place.
    assert_eq!(daemon.ctl(&["restart", "web"]).0, 0);
    say("third");
    browser.wait(&format!("{count} === 3 && document.querySelector('.lines').innerText.includes('line 1 third')"));
    browser.click("[aria-label='Search in the output']");
    browser.keys(&["t", "h"]);
    browser.click(".log-tools [type=checkbox]");
    browser.wait("[...document.querySelectorAll('.line')].filter((line) => !line.hidden).length === 1");
    browser.assert_content();
    daemon.terminate();
}

#[test]
fn a_daemon_that_was_restarted_is_noticed_and_shown_anew() {
    let Some(browser) = Browser::start(&[]) else { return };
    let port = free_port();
    let sections = |more: &str| {
        format!("[program:web]\ncommand = sleep 1000\nstartsecs = 0\n{more}[http]\nlisten = 127.0.0.1:{port}\n")
    };
    let daemon = Daemon::start(&sections(""));
    browser.open(&format!("http://127.0.0.1:{port}/"));
    browser.wait(&format!("{} === 'RUNNING'", state("web")));
    browser.assert_content();
    daemon.terminate();
    browser.wait("document.getElementById('trouble').innerText.startsWith('No connection since')");
    assert_eq!(browser.text("document.getElementById('connection').textContent"), "no connection");
    let daemon = Daemon::start(&sections("[program:other]\ncommand = sleep 1000\nstartsecs = 0\n"));
    browser.wait(&format!("{} === 'RUNNING' && {} === 'RUNNING'", state("other"), state("web")));
    browser.wait(&format!("{TOASTS}.includes('The daemon was restarted')"));
    assert_eq!(browser.value("document.getElementById('trouble').hidden"), true);
    // It is live again.
    assert_eq!(daemon.ctl(&["stop", "web"]).0, 0);
    browser.wait(&format!("{} === 'STOPPED'", state("web")));
    let complaints = browser.complaints();
    let is_about_the_loss = |complaint: &String| complaint.contains("net::ERR_");
    assert!(complaints.iter().all(is_about_the_loss), "{complaints:#?}");
    daemon.terminate();
}

#[test]
fn a_page_that_nobody_sees_asks_for_nothing_and_one_that_is_seen_again_for_everything() {
    let Some(browser) = Browser::start(&[]) else { return };
    let (daemon, page) = serve("[program:web]\ncommand = sleep 1000\nstartsecs = 0\n");
    browser.open(&page);
    browser.wait(&format!("{} === 'RUNNING'", state("web")));
    browser.value("addEventListener('visibilitychange', () => { if (document.hidden) window.wasHidden = true; })");
    let covered = browser.cover();
    // Long enough for two looks at what programs use, if there were any.
    std::thread::sleep(std::time::Duration::from_secs(5));
    assert_eq!(daemon.ctl(&["stop", "web"]).0, 0);
    browser.uncover(&covered);
    browser.wait(&format!("{} === 'STOPPED'", state("web")));
    assert_eq!(browser.value("window.wasHidden"), true);
    let pauses =
        "performance.getEntriesByType('resource').map((one) => one.startTime).map((at, n, all) => at - all[n - 1])";
    let longest = browser.value(&format!("Math.max(...{pauses}.slice(1))")).as_f64().expect("a number");
    assert!(longest > 4000.0, "it has asked for something meanwhile: {longest} ms");
    browser.assert_content();
    daemon.terminate();
}

#[test]
fn a_thousand_programs_are_kept_up_with() {
    let Some(browser) = Browser::start(&[]) else { return };
    let (daemon, page) = serve(
        "[program:crowd]\ncommand = sleep 1000\nnumprocs = 999\nautostart = false\n\
         [program:busy]\ncommand = sh -c 'exit 0'\nstartsecs = 0\nautorestart = true\nautostart = false\n\
         [program:web]\ncommand = sleep 1000\nstartsecs = 0\nautostart = false\n",
    );
    browser.open(&page);
    browser.wait("document.querySelectorAll('tbody tr.row').length === 1001");
    let all = "performance.getEntriesByName('render').reduce((all, entry) => all + entry.duration, 0)";
    let whole = browser.value(all).as_f64().expect("a number");
    browser.value("performance.clearMeasures()");
    for _ in 0..10 {
        for verb in ["start", "stop"] {
            assert_eq!(daemon.ctl(&[verb, "web"]).0, 0);
            let wanted = if verb == "start" { "RUNNING" } else { "STOPPED" };
            browser.wait(&format!("{} === '{wanted}'", state("web")));
        }
    }
    // The median: one that the machine was busy in says nothing. On a slow machine it is little of what all rows have taken.
    let spent = browser.value(
        "(() => { const all = performance.getEntriesByName('render').map((entry) => entry.duration).sort((a, b) => a - b); \
         return [all.length, all[all.length >> 1]]; })()",
    );
    assert!(spent[0].as_u64().is_some_and(|count| count >= 20), "{spent}");
    let most = (whole / 20.0).max(16.0);
    assert!(
        spent[1].as_f64().is_some_and(|middle| middle < most),
        "milliseconds for an event: {spent}, for all {whole}"
    );
    browser.click("#filter");
    browser.keys(&["9", "9", "8"]);
    browser.wait("[...document.querySelectorAll('tbody tr.row')].filter((row) => !row.hidden).length === 1");
    browser.assert_content();
    daemon.terminate();
}

/// A thousand that change together are written in slices: the page takes what the user does in between.
#[test]
fn a_thousand_changes_at_once_do_not_hold_the_page_up() {
    let Some(browser) = Browser::start(&[]) else { return };
    // Each start fails at once, and costs no process that lives.
    let (daemon, page) = serve(
        "[program:crowd]\ncommand = /nonexistent/program\nnumprocs = 999\nautostart = false\nstartretries = 0\n\
         [program:web]\ncommand = sleep 1000\nstartsecs = 0\n",
    );
    browser.open(&page);
    browser.wait("document.querySelectorAll('tbody tr.row').length === 1000");
    let words = |word: &str| {
        format!("[...document.querySelectorAll('tbody .state')].filter((one) => one.textContent === '{word}').length")
    };
    browser.wait(&format!("{} === 999", words("STOPPED")));
    // A slice is a small part of all; on a fast machine all of it may be.
    let is_short = |(longest, all): &(f64, f64)| *longest < 50.0 || longest * 3.0 < *all;
    let mut rounds = Vec::new();
    // Another round where a busy machine has held up the browser.
    while rounds.len() < 10 && !rounds.last().is_some_and(is_short) {
        browser.value("performance.clearMeasures()");
        daemon.ctl(&["start", "crowd:*"]);
        // What is told behind all of that is there when all of that is.
        let (_, _, error) = daemon.ctl(&["restart", "web"]);
        assert_eq!(error, "");
        let pid = daemon.status("web").pid.expect("it runs");
        browser.wait(&format!("{}.textContent.includes('{pid}')", row("web")));
        browser.wait(&format!("{} === 999", words("FATAL")));
        let all = "performance.getEntriesByName('render').map((entry) => entry.duration)";
        let told = [format!("Math.max(...{all})"), format!("{all}.reduce((all, one) => all + one, 0)")];
        let [longest, all] = told.map(|told| browser.value(&told).as_f64().expect("a number"));
        rounds.push((longest, all));
    }
    println!("longest time for which the page was written, and all of it, ms: {rounds:?}");
    assert!(rounds.iter().any(is_short), "milliseconds: {rounds:?}");
    browser.assert_content();
    daemon.terminate();
}

/// Serves this page to everybody who asks on a port of its own.
fn foreign_page(html: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer);
            let length = html.len();
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n";
            let _ = write!(stream, "{head}Content-Length: {length}\r\n\r\n{html}");
        }
    });
    port
}

#[test]
fn a_page_of_somebody_else_gets_nothing_through() {
    let Some(browser) = Browser::start(&["--host-resolver-rules=MAP evil.example 127.0.0.1"]) else { return };
    let (daemon, page) = serve("[program:web]\ncommand = sleep 1000\nstartsecs = 0\n");
    let pid = daemon.status("web").pid;
    let foreign = foreign_page(
        "<!doctype html><title>foreign</title><form method=post target=frame></form><iframe name=frame></iframe>",
    );
    browser.open(&format!("http://localhost:{foreign}/"));
    let api = format!("{page}api/v1/command");
    let body = r#"JSON.stringify({command: "restart", name: "web"})"#;
    for options in [
        r#"method: "POST", headers: {"content-type": "application/json"}"#,
        r#"method: "POST", headers: {"content-type": "text/plain"}"#,
        r#"method: "POST", mode: "no-cors""#,
        r#"method: "POST", mode: "no-cors", credentials: "include""#,
    ] {
        let outcome =
            browser.promised(&format!("fetch('{api}', {{{options}, body: {body}}}).then((answer) => answer.type)"));
        assert!(
            outcome == "opaque" || outcome.as_str().is_some_and(|text| text.contains("TypeError")),
            "{options}: {outcome}"
        );
    }
    let outcome = browser.promised(&format!("fetch('{page}api/v1/status').then((answer) => answer.text())"));
    assert!(outcome.as_str().is_some_and(|text| text.contains("TypeError")), "nothing is read: {outcome}");
    // A form needs no script's rights; its body can be made to look like JSON.
    for target in ["api/v1/command", "api/v1/programs/web/restart", "api/v1/programs/web/stop", "RPC2"] {
        for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
            browser.value(&format!(
                "(() => {{ const form = document.forms[0]; form.action = '{page}{target}'; form.enctype = '{kind}'; \
                 const field = document.createElement('input'); field.name = '{{\"command\":\"restart\",\"name\":\"web\",\"x\":\"'; \
                 field.value = '\"}}'; form.replaceChildren(field); \
                 window.loaded = new Promise((done) => document.querySelector('iframe').addEventListener('load', () => done('loaded'), {{once: true}})); \
                 form.submit(); }})()"
            ));
            assert_eq!(browser.promised("window.loaded"), "loaded");
        }
    }
    // Our page in a frame of theirs shows nothing.
    browser.value(&format!("(() => {{ window.loaded = new Promise((done) => document.querySelector('iframe').addEventListener('load', () => done('loaded'), {{once: true}})); document.querySelector('iframe').src = '{page}'; }})()"));
    assert_eq!(browser.promised("window.loaded"), "loaded");
    let complaints = browser.complaints();
    assert!(complaints.iter().any(|complaint| complaint.contains("frame-ancestors")), "{complaints:#?}");
    // A name that was bent to lead here.
    browser.open(&page.replace("127.0.0.1", "evil.example"));
    assert!(browser.text("document.body.innerText").contains("this is not known as evil.example"));
    let outcome = browser.promised("fetch('/api/v1/status').then((answer) => answer.status)");
    assert_eq!(outcome, 403);
    let outcome = browser.promised(&format!(
        "fetch('/api/v1/command', {{method: 'POST', headers: {{'content-type': 'application/json'}}, body: {body}}}).then((answer) => answer.status)"
    ));
    assert_eq!(outcome, 403);
    let row = daemon.status("web");
    assert_eq!((row.pid, row.state.as_str()), (pid, "RUNNING"), "nothing has happened to it");
    let log = daemon.terminate();
    // But for the signal that has just ended it.
    assert!(!log.replace("shutdown: asked by SIGTERM", "").contains("asked by"), "{log}");
}

#[test]
fn what_somebody_may_not_do_is_not_offered_to_him() {
    let Some(browser) = Browser::start(&[]) else { return };
    let port = free_port();
    let daemon = Daemon::start(&format!(
        "[program:web]\ncommand = sleep 1000\nstartsecs = 0\n[program:worker]\ncommand = sleep 1000\nstartsecs = 0\n\
         [program:secret]\ncommand = sleep 1000\nstartsecs = 0\n\
         [http]\nlisten = 127.0.0.1:{port}\nusername = alice\npassword = word\n\
         [access:web]\nwho = http:alice\nallow = read, restart\nprograms = w*\n\
         [access:worker]\nwho = http:alice\nallow = stop, start, logs\nprograms = worker\n"
    ));
    // The name and the password stand in the address: what the page asks for must not.
    browser.open(&format!("http://alice:word@127.0.0.1:{port}/"));
    browser.wait(&format!("{} === 'RUNNING' && {} === 'RUNNING'", state("web"), state("worker")));
    assert_eq!(browser.value("document.querySelectorAll('tbody tr.row').length"), 2, "secret is not shown");
    let offered = |name: &str| {
        let buttons = format!("[...{}.querySelectorAll('button')].filter((one) => !one.hidden)", row(name));
        browser.value(&format!("{buttons}.map((one) => one.textContent).join()"))
    };
    assert_eq!((offered("web"), offered("worker")), ("Restart".into(), "Restart,Stop".into()));
    let all = browser.value(
        "[...document.querySelectorAll('#daemon-menu [data-act]')].filter((one) => !one.hidden).map((one) => one.dataset.act).join()",
    );
    assert_eq!(all, "start-all,restart-all,stop-all", "these are for what he may");
    browser.click("a.name[href='#/program/web']");
    browser.wait("document.querySelector('.lead')");
    let tabs = "[...document.querySelectorAll('[role=tab]')].map((tab) => tab.textContent).join()";
    assert_eq!(browser.text(tabs), "Why,History,Needs", "no logs");
    assert_eq!(browser.value("document.querySelector('#program .signal').hidden"), true);
    browser.click("#program [data-verb=restart]");
    browser.wait(&format!("{TOASTS}.includes('Restarted web')"));
    browser.assert_content();
    daemon.terminate();
}

#[test]
fn it_comes_compressed_once_and_lets_nothing_else_in() {
    let (daemon, page) = serve("");
    let get = |path: &str, fields: &str| {
        let port: u16 =
            page.trim_end_matches('/').rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        stream.set_read_timeout(Some(TEST_TIMEOUT)).expect("a time-out");
        ask(stream, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{fields}\r\n"))
    };
    let (status, plain) = get("/", "");
    assert!(status == 200 && plain.contains("<!doctype html>") && !plain.contains("Content-Encoding"), "{plain}");
    assert!(plain.contains("\r\nContent-Security-Policy: default-src 'none'; script-src 'self'; "), "{plain}");
    assert!(!plain.contains("unsafe") && plain.contains("\r\nX-Content-Type-Options: nosniff\r\n"), "{plain}");
    let tag = plain.lines().find_map(|line| line.strip_prefix("ETag: ")).expect("a tag").to_owned();
    let (status, same) = get("/", &format!("If-None-Match: {tag}\r\n"));
    assert!(status == 304 && same.ends_with("\r\n\r\n"), "{same}");
    assert_eq!(get("/", "If-None-Match: W/\"other\"\r\n").0, 200);
    let length = |answer: &str| -> usize {
        let length = answer.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        length.and_then(|length| length.parse().ok()).expect("a length")
    };
    let (_, small) = get("/page/page.css", "Accept-Encoding: gzip, br\r\n");
    assert!(small.contains("\r\nContent-Encoding: gzip\r\n"), "{small}");
    assert!(length(&small) < length(&get("/page/page.css", "").1) / 2, "{small}");
    assert_eq!(get("/page/nothing.js", "").0, 404);
    let used = get("/api/v1/usage", "").1;
    assert!(used.ends_with(r#"{"status":"ok","processes":[]}"#), "{used}");
    daemon.terminate();
}
