//! The examples of `packaging/proxy` with the real servers, where they are installed: TLS, the page below a path, commands,
//! events as they happen, and what a page of somebody else may not do.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::harness::{Daemon, wait_until};
use crate::servers::{free_port, installed};

const NAME: &str = "board.example";

/// A proxy in front of a daemon; dropped, it ends.
struct Proxy {
    child: Child,
    port: u16,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.child.id() as i32), nix::sys::signal::SIGTERM);
        let _ = self.child.wait();
    }
}

impl Proxy {
    /// The command that asks the proxy for this path by its public name.
    fn curl(&self, path: &str, arguments: &[&str]) -> Command {
        let Proxy { port, .. } = self;
        let mut curl = Command::new("curl");
        curl.args(["-sk", "--max-time", "100", "--noproxy", "*", "--resolve", &format!("{NAME}:{port}:127.0.0.1")]);
        curl.args(arguments).arg(format!("https://{NAME}:{port}{path}"));
        curl
    }

    /// The status of the answer, and its body.
    fn ask(&self, path: &str, arguments: &[&str]) -> (u16, String) {
        let output = self.curl(path, &[&["-w", "\n%{http_code}"], arguments].concat()).output().expect("curl runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let (body, status) = text.rsplit_once('\n').expect("a status");
        (status.parse().expect("a number"), body.to_owned())
    }
}

fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/proxy").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The text with another in place of one that has to be there.
fn replaced(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from} is not in the example");
    text.replace(from, to)
}

fn nginx(dir: &Path, program: &Path, daemon: u16) -> Proxy {
    let (here, port) = (dir.display(), free_port());
    let certificate = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=board.example"])
        .args(["-keyout", &format!("{here}/key"), "-out", &format!("{here}/pem")])
        .output()
        .expect("openssl runs");
    assert!(certificate.status.success(), "{}", String::from_utf8_lossy(&certificate.stderr));
    let mut site = example("nginx.conf");
    for (from, to) in [
        ("listen 443 ssl", format!("listen 127.0.0.1:{port} ssl")),
        ("/etc/ssl/certs/board.example.pem", format!("{here}/pem")),
        ("/etc/ssl/private/board.example.key", format!("{here}/key")),
        ("server 127.0.0.1:9001", format!("server 127.0.0.1:{daemon}")),
    ] {
        site = replaced(&site, from, &to);
    }
    fs::write(dir.join("site.conf"), site).expect("a file");
    let main = format!(
        "pid {here}/nginx.pid; error_log stderr; daemon off; worker_processes 1; events {{}}\n\
         http {{ access_log off; client_body_temp_path {here}/t1; proxy_temp_path {here}/t2; fastcgi_temp_path {here}/t3;\n\
         uwsgi_temp_path {here}/t4; scgi_temp_path {here}/t5; include {here}/site.conf; }}\n"
    );
    fs::write(dir.join("nginx.conf"), main).expect("a file");
    let mut command = Command::new(program);
    command.arg("-c").arg(dir.join("nginx.conf")).args(["-e", "stderr"]);
    Proxy { child: command.stderr(Stdio::null()).spawn().expect("nginx runs"), port }
}

fn caddy(dir: &Path, program: &Path, daemon: u16) -> Proxy {
    let port = free_port();
    // A certificate of its own in place of one from the net.
    let mut site = example("Caddyfile");
    site = replaced(&site, "\nboard.example {\n", &format!("\nboard.example:{port} {{\n\ttls internal\n"));
    site = replaced(&site, "reverse_proxy 127.0.0.1:9001", &format!("reverse_proxy 127.0.0.1:{daemon}"));
    let options = "{\n\tadmin off\n\tskip_install_trust\n\tauto_https disable_redirects\n}\n";
    fs::write(dir.join("Caddyfile"), format!("{options}{site}")).expect("a file");
    let mut command = Command::new(program);
    command.args(["run", "--adapter", "caddyfile", "--config"]).arg(dir.join("Caddyfile"));
    command.env("HOME", dir).env("XDG_DATA_HOME", dir.join("data")).env("XDG_CONFIG_HOME", dir.join("config"));
    Proxy { child: command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("caddy runs"), port }
}

/// Everything that a browser does, and what it must not be talked into.
fn works(proxy: impl FnOnce(&Path, u16) -> Proxy) {
    let port = free_port();
    let daemon = Daemon::start(&format!(
        "[program:web]\ncommand = sleep 1000\nstartsecs = 0\n\
         [http]\nlisten = 127.0.0.1:{port}\nhosts = {NAME}\nusername = alice\npassword = word\n"
    ));
    let dir = tempfile::tempdir().expect("a directory");
    let proxy = proxy(dir.path(), port);
    wait_until("the proxy answers", || proxy.ask("/supervice/livez", &[]).0 == 200);
    assert_eq!(proxy.ask("/supervice/api/v1/status", &[]).0, 401);
    let user = ["-u", "alice:word"];
    if cfg!(feature = "web-page") {
        let (status, page) = proxy.ask("/supervice/", &user);
        assert!(status == 200 && page.to_ascii_lowercase().starts_with("<!doctype html>"), "{status} {page:.100}");
    }
    // Events come one by one.
    let mut follow = proxy.curl("/supervice/api/v1/events", &["-N", "-u", "alice:word"]);
    let mut follow = follow.stdout(Stdio::piped()).spawn().expect("curl runs");
    let mut events = BufReader::new(follow.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
    assert_eq!(events.next().as_deref(), Some(": supervice"));
    let own = format!("Origin: https://{NAME}:{}", proxy.port);
    let json = ["-X", "POST", "-H", "Content-Type: application/json"];
    let restart = |origin: &str| {
        let arguments = [&user[..], &json, &["-H", origin]].concat();
        proxy.ask("/supervice/api/v1/programs/web/restart", &arguments)
    };
    let before = daemon.status("web").pid;
    assert_eq!(restart("Origin: https://evil.example").0, 403);
    assert_eq!(daemon.status("web").pid, before, "it was not touched");
    let (status, answer) = restart(&own);
    assert!(status == 200 && answer.contains(r#""status":"ok""#), "{status} {answer}");
    assert!(events.by_ref().any(|line| line == "event: PROCESS_STATE_RUNNING"), "it was told");
    // Who has gone takes up no connection.
    let connections = || {
        let mut curl = Command::new("curl");
        curl.args(["-s", "--noproxy", "*", "-u", "alice:word"]).arg(format!("http://127.0.0.1:{port}/metrics"));
        let text = String::from_utf8_lossy(&curl.output().expect("curl runs").stdout).into_owned();
        let value = text.lines().find_map(|line| line.strip_prefix("supervice_connections ")?.parse().ok());
        value.unwrap_or_else(|| -> u32 { panic!("{text}") })
    };
    let followed = connections();
    let _ = follow.kill();
    let _ = follow.wait();
    wait_until("the events end", || connections() < followed);
    if cfg!(feature = "xmlrpc") {
        let call = "<methodCall><methodName>supervisor.getState</methodName></methodCall>";
        let (status, answer) =
            proxy.ask("/supervice/RPC2", &[&user[..], &["-H", "Content-Type: text/xml", "-d", call]].concat());
        assert!(status == 200 && answer.contains("RUNNING"), "{status} {answer}");
    }
    daemon.terminate();
}

#[test]
fn nginx_in_front_adds_tls_and_takes_nothing_away() {
    let Some(program) = installed("nginx") else { return };
    works(|dir, daemon| nginx(dir, &program, daemon));
}

#[test]
fn caddy_in_front_adds_tls_and_takes_nothing_away() {
    let Some(program) = installed("caddy") else { return };
    works(|dir, daemon| caddy(dir, &program, daemon));
}
