//! A real Chromium without a screen, driven by its own driver: as much of WebDriver as the tests of the page need.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{TEST_TIMEOUT, pids};

/// Keys as WebDriver names them.
pub const TAB: &str = "\u{E004}";
pub const ENTER: &str = "\u{E007}";
pub const ESCAPE: &str = "\u{E00C}";
pub const SPACE: &str = " ";
pub const DOWN: &str = "\u{E015}";
pub const RIGHT: &str = "\u{E014}";

/// Where a WebDriver answer names an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A part of the page as it is told.
#[derive(Debug)]
pub struct Accessible {
    pub role: String,
    pub name: String,
    pub description: String,
    pub properties: Vec<(String, Value)>,
}

impl Accessible {
    /// Whether it has this property, with this value.
    pub fn has(&self, name: &str, value: impl Into<Value>) -> bool {
        let value = value.into();
        self.properties.iter().any(|(known, other)| known == name && *other == value)
    }
}

pub struct Browser {
    driver: Child,
    port: u16,
    session: String,
    /// What the browser keeps; its processes are known by it.
    profile: tempfile::TempDir,
}

impl Browser {
    /// Starts one; `None` where it is not installed, which is said, and is a failure where that was asked for.
    pub fn start(arguments: &[&str]) -> Option<Browser> {
        // It takes a port of IPv4, then the same of IPv6, and ends where somebody else has that: then another one.
        let started = (0..20).find_map(|_| {
            let mut command = Command::new("chromedriver");
            let Ok(mut driver) = command.arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn() else {
                assert!(std::env::var_os("SUPERVICE_TEST_REQUIRE").is_none(), "chromedriver is not installed");
                eprintln!("skipped: chromedriver is not installed (Debian: chromium, chromium-driver)");
                return Some(None);
            };
            let mut lines = BufReader::new(driver.stdout.take().expect("piped")).lines();
            let port: Option<u16> = lines.by_ref().map_while(Result::ok).find_map(|line| {
                line.strip_prefix("ChromeDriver was started successfully on port ")?.trim_end_matches('.').parse().ok()
            });
            // What it says later is read by nobody, and must not stop it.
            std::thread::spawn(move || lines.for_each(drop));
            let Some(port) = port else {
                let _ = driver.kill();
                let _ = driver.wait();
                return None;
            };
            Some(Some((driver, port)))
        });
        let (driver, port) = started.expect("one of twenty tells its port")?;
        let profile = tempfile::tempdir().expect("a directory");
        let data = format!("--user-data-dir={}", profile.path().display());
        let mut browser = Browser { driver, port, session: String::new(), profile };
        let mut all = vec![
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--window-size=1440,900",
            &data,
        ];
        all.extend(arguments);
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": all},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        // The driver gives up a browser that has not begun in time.
        let mut answer = browser.request("POST", "/session", &wanted);
        for _ in 0..4 {
            answer = answer.or_else(|_| browser.request("POST", "/session", &wanted));
        }
        let answer = answer.unwrap_or_else(|error| panic!("no session: {error}"));
        browser.session = format!("/session/{}", answer["sessionId"].as_str().expect("a session"));
        Some(browser)
    }

    fn request(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).map_err(|error| error.to_string())?;
        stream.set_read_timeout(Some(TEST_TIMEOUT * 2)).expect("a time-out");
        let body = if method == "GET" { String::new() } else { body.to_string() };
        let (session, length) = (&self.session, body.len());
        write!(
            &stream,
            "{method} {session}{path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        )
        .map_err(|error| error.to_string())?;
        let (is_done, body) = answer(&stream).map_err(|error| error.to_string())?;
        let mut value: Value = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
        if is_done { Ok(value["value"].take()) } else { Err(value["value"].to_string()) }
    }

    fn command(&self, path: &str, body: &Value) -> Value {
        self.request("POST", path, body).unwrap_or_else(|error| panic!("{path} {body}: {error}"))
    }

    /// Opens another page in front of this one, which is told by what is returned.
    pub fn cover(&self) -> Value {
        let covered = self.request("GET", "/window", &Value::Null).expect("a window");
        let other = self.command("/window/new", &json!({"type": "tab"}));
        self.command("/window", &json!({"handle": other["handle"]}));
        covered
    }

    /// Brings a page to the front again.
    pub fn uncover(&self, covered: &Value) {
        self.command("/window", &json!({ "handle": covered }));
    }

    pub fn open(&self, url: &str) {
        self.command("/url", &json!({ "url": url }));
    }

    /// The value of an expression in the page.
    pub fn value(&self, expression: &str) -> Value {
        self.command("/execute/sync", &json!({"script": format!("return {expression};"), "args": []}))
    }

    /// The value of a promise.
    pub fn promised(&self, expression: &str) -> Value {
        let script = format!("const done = arguments[0]; ({expression}).then(done, (error) => done(String(error)));");
        self.command("/execute/async", &json!({"script": script, "args": []}))
    }

    pub fn text(&self, expression: &str) -> String {
        self.value(expression).as_str().unwrap_or_default().to_owned()
    }

    /// Waits until an expression is true; one that fails is not.
    pub fn wait(&self, expression: &str) {
        let script = format!("try {{ return Boolean({expression}); }} catch {{ return false; }}");
        let deadline = Instant::now() + TEST_TIMEOUT;
        while self.command("/execute/sync", &json!({"script": script, "args": []})) != true {
            let text = || self.text("document.body.innerText");
            assert!(Instant::now() < deadline, "waited in vain until {expression}; the page:\n{}", text());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Presses what a person would press who looks for it: what is covered or out of sight can't be.
    pub fn click(&self, selector: &str) {
        self.wait(&format!("document.querySelector({})?.offsetParent", json!(selector)));
        let found = self.command("/element", &json!({"using": "css selector", "value": selector}));
        let element = found[ELEMENT].as_str().expect("an element");
        self.command(&format!("/element/{element}/click"), &json!({}));
    }

    /// Types keys where the focus is.
    pub fn keys(&self, keys: &[&str]) {
        let of = |key: &str| [json!({"type": "keyDown", "value": key}), json!({"type": "keyUp", "value": key})];
        let actions: Vec<Value> = keys.iter().flat_map(|key| of(key)).collect();
        self.command("/actions", &json!({"actions": [{"type": "key", "id": "keyboard", "actions": actions}]}));
    }

    /// What the browser has complained about since the last look: errors, violations of a policy, what could not be loaded.
    pub fn complaints(&self) -> Vec<String> {
        let entries = self.command("/se/log", &json!({"type": "browser"}));
        let entries = entries.as_array().cloned().unwrap_or_default();
        let bad = entries.iter().filter(|entry| matches!(entry["level"].as_str(), Some("SEVERE" | "WARNING")));
        let messages = bad.filter_map(|entry| entry["message"].as_str());
        // That a command was refused is told here too; the page has to tell it to its user.
        let is_refusal =
            |message: &str| message.contains("/api/v1/") && message.contains("responded with a status of 4");
        messages.filter(|message| !is_refusal(message)).map(str::to_owned).collect()
    }

    /// Pretends that the user likes the page `dark` or `light`.
    pub fn prefer(&self, scheme: &str) {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        let call = json!({"cmd": "Emulation.setEmulatedMedia", "params": {"features": features}});
        self.command("/goog/cdp/execute", &call);
    }

    /// What is told to who does not see the page: the tree that a screen reader gets, without what it leaves out.
    pub fn accessible(&self) -> Vec<Accessible> {
        let call = json!({"cmd": "Accessibility.getFullAXTree", "params": {}});
        let tree = self.command("/goog/cdp/execute", &call);
        let nodes = tree["nodes"].as_array().cloned().unwrap_or_default();
        let told = nodes.into_iter().filter(|node| node["ignored"] != true);
        told.map(|node| {
            let text = |member: &str| node[member]["value"].as_str().unwrap_or_default().to_owned();
            let properties = node["properties"].as_array().cloned().unwrap_or_default();
            let property = |one: &Value| Some((one["name"].as_str()?.to_owned(), one["value"]["value"].clone()));
            Accessible {
                role: text("role"),
                name: text("name"),
                description: text("description"),
                properties: properties.iter().filter_map(property).collect(),
            }
        })
        .collect()
    }

    pub fn assert_content(&self) {
        let complaints = self.complaints();
        assert!(complaints.is_empty(), "{complaints:#?}");
    }
}

/// Reads an answer, whose length is told: the driver keeps its connections. Whether it is none of an error, and its body.
fn answer(stream: &TcpStream) -> io::Result<(bool, Vec<u8>)> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    let mut body = vec![0; length.unwrap_or_default()];
    reader.read_exact(&mut body)?;
    Ok((head.starts_with("HTTP/1.1 200 "), body))
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            let _ = self.request("DELETE", "", &json!({}));
        }
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.driver.id()).expect("a pid"));
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.driver.wait();
        // A driver that is busy beyond all patience leaves its browser behind.
        let profile = self.profile.path().to_string_lossy().into_owned();
        let is_of_it = |pid: &i32| {
            std::fs::read(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|line| String::from_utf8_lossy(&line).contains(&profile))
        };
        for pid in pids().into_iter().filter(is_of_it) {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
        }
    }
}
