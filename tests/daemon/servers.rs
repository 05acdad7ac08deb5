//! Real servers under supervision: nginx and redis-server, where they are installed.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{Daemon, TEST_TIMEOUT, alive, wait_for, wait_until};

pub fn installed(name: &str) -> Option<PathBuf> {
    let found = ["/usr/sbin", "/usr/bin", "/usr/local/bin"]
        .iter()
        .map(|dir| PathBuf::from(dir).join(name))
        .find(|path| path.exists());
    if found.is_none() {
        assert!(std::env::var_os("SUPERVICE_TEST_REQUIRE").is_none(), "{name} is not installed");
        println!("SKIPPED: {name} is not installed");
    }
    found
}

/// A port that nobody else takes.
pub fn free_port() -> u16 {
    free_ports(1)
}

/// The first of so many ports in a row that nobody else takes: below those that the kernel gives to whoever asks for any, each once in
/// this process, and from a place of its own in each process.
pub fn free_ports(count: u16) -> u16 {
    const FIRST: u16 = 10_000;
    const PLACES: u32 = 20_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let begin = std::process::id().wrapping_mul(7_919);
    let candidate = || {
        let place = begin.wrapping_add(NEXT.fetch_add(count.into(), Ordering::Relaxed)) % PLACES;
        FIRST + u16::try_from(place).expect("below 20,000")
    };
    // Not by listening there: what another test forks meanwhile would hold a copy of that until it executes its program.
    let is_free = |first: &u16| (*first..first + count).all(|port| TcpStream::connect(("127.0.0.1", port)).is_err());
    std::iter::repeat_with(candidate).find(is_free).expect("an endless search")
}

pub fn ask(port: u16, request: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(TEST_TIMEOUT)).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = [0; 64];
    let count = stream.read(&mut answer).ok()?;
    Some(String::from_utf8_lossy(&answer[..count]).into_owned())
}

#[test]
fn nginx_and_redis_are_checked_restarted_reloaded_and_stopped() {
    let (Some(nginx), Some(redis)) = (installed("nginx"), installed("redis-server")) else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let (web, cache) = (free_port(), free_port());
    let here = dir.path().display().to_string();
    fs::write(
        dir.path().join("nginx.conf"),
        format!(
            "pid {here}/nginx.pid; error_log stderr; daemon off; worker_processes 2; events {{}}\n\
             http {{ access_log off; client_body_temp_path {here}/t1; proxy_temp_path {here}/t2; fastcgi_temp_path {here}/t3;\n\
             uwsgi_temp_path {here}/t4; scgi_temp_path {here}/t5;\n\
             server {{ listen 127.0.0.1:{web}; location / {{ return 200 'hello'; }} }} }}\n"
        ),
    )
    .expect("a file");
    let sections = format!(
        "[program:nginx]\ncommand = {} -c DIR/nginx.conf -e stderr\nstopsignal = QUIT\nstartsecs = 0\n\
         healthcheck_type = tcp\nhealthcheck_port = {web}\nhealthcheck_interval = 1\nhealthcheck_start_period = 0\n\
         stderr_logfile = DIR/nginx.err\n\
         [program:redis]\ncommand = {} --port {cache} --bind 127.0.0.1 --save '' --appendonly no\nstartsecs = 0\n\
         healthcheck_type = tcp\nhealthcheck_port = {cache}\nhealthcheck_interval = 1\nhealthcheck_start_period = 0\n\
         stdout_logfile = DIR/redis.log\n",
        nginx.display(),
        redis.display()
    );
    let daemon = Daemon::start_in(dir, &sections, &[]);
    let serves = || {
        ask(web, "GET / HTTP/1.0\r\n\r\n").is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
            && ask(cache, "PING\r\n").as_deref() == Some("+PONG\r\n")
    };
    wait_until("both serve", serves);
    for name in ["nginx", "redis"] {
        wait_until("it is healthy", || daemon.status(name).healthy == Some(true));
        let old = daemon.status(name).pid.expect("a pid");
        kill(Pid::from_raw(old), Signal::SIGKILL).expect("kill");
        wait_for("it is back", || {
            let status = daemon.status(name);
            (status.pid.is_some_and(|pid| pid != old) && status.state == "RUNNING" && status.healthy == Some(true))
                .then_some(())
        });
        assert!(!alive(old));
    }
    wait_until("both serve again", serves);
    let before = daemon.status("nginx").pid;
    daemon.write_config(&format!("{sections}[program:more]\ncommand = sleep 1000\nstartsecs = 0"), &[]);
    assert_eq!(daemon.ctl(&["reload"]), (0, "Added: more\n".into(), String::new()));
    assert_eq!(daemon.status("nginx").pid, before);
    assert!(serves());
    assert_eq!(daemon.ctl(&["stop", "nginx"]).0, 0);
    assert!(ask(web, "GET / HTTP/1.0\r\n\r\n").is_none(), "nobody listens any more");
    assert!(daemon.read("redis.log").contains("Ready to accept connections"));
    daemon.terminate();
}
