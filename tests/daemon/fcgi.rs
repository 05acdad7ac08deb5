//! fcgi-programs: the socket that all processes of one share, beside the real supervisord, and a real FastCGI program behind nginx.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{Daemon, alive, executed, wait_for, wait_until, write_executable};
use crate::servers::{free_port, installed};
use crate::supervisord_clients::compare;

/// Tells what its standard input is, and answers each connection with its own name.
const SERVER: &str = "\
import os, socket, stat
# Programs in our own dialect have no such variable.
name = os.environ.get('SUPERVISOR_PROCESS_NAME', 'web')
s = socket.socket(fileno=0)
told = [s.family.name, s.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN), s.getsockname(), os.get_blocking(0)]
open(os.environ['TELL'] + '/' + name, 'w').write(repr(told))
while True:
    c, _ = s.accept()
    c.sendall(name.encode() + b' %d' % os.getpid())
    c.close()
";

/// Which file it is: the number of one that was removed is given to another one at once.
fn identity(path: &Path) -> (u64, i64, i64) {
    let found = path.symlink_metadata().expect("there");
    (found.ino(), found.mtime(), found.mtime_nsec())
}

fn answer(mut stream: impl Read) -> Option<String> {
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    (!text.is_empty()).then_some(text)
}

#[test]
fn processes_share_a_socket_as_under_supervisord() {
    let more = "[fcgi-program:file]\nsocket=unix://DIR/%(program_name)s.sock\nsocket_mode=0640\nsocket_owner=nobody\nsocket_backlog=20\n\
         command=python3 DIR/serve.py\nenvironment=TELL=DIR\nnumprocs=2\nprocess_name=f%(process_num)d\nautostart=false\nstartsecs=0\n\
         [fcgi-program:port]\nsocket=tcp://localhost:PORT\ncommand=python3 DIR/serve.py\nenvironment=TELL=DIR\nautostart=false\nstartsecs=0\n";
    if !nix::unistd::geteuid().is_root() {
        return println!("SKIPPED: only root can give a socket to somebody else");
    }
    compare(more, |site, python| {
        let (path, port) = (site.dir.path().join("file.sock"), site.port);
        fs::write(site.dir.path().join("serve.py"), SERVER).expect("written");
        let by_file = || UnixStream::connect(&path).ok().and_then(answer);
        let by_port = || TcpStream::connect(("127.0.0.1", port)).ok().and_then(answer);
        // The original binds it to try, and closes it again.
        let _ = fs::remove_file(&path);
        let mut told = vec![format!("{:?} {:?}", by_file(), by_port())];
        told.push(site.ctl(python, &["start", "file:*", "port"]));
        wait_until("both answer", || by_file().is_some() && by_port().is_some());
        let (found, first) = (path.symlink_metadata().expect("there"), identity(&path));
        told.push(format!(
            "{} {:o} {}",
            found.file_type().is_socket(),
            found.permissions().mode() & 0o7777,
            found.uid()
        ));
        for name in ["f0", "f1", "port"] {
            let tell = site.dir.path().join(name);
            let text = wait_for("it tells", || fs::read_to_string(&tell).ok().filter(|text| text.ends_with(']')));
            told.push(text.replace(&site.dir.path().display().to_string(), "DIR").replace(&port.to_string(), "PORT"));
        }
        // One process ends; the other one serves on with the same socket.
        told.push(site.ctl(python, &["stop", "file:f0"]));
        told.push(format!("{:?}", by_file().map(|text| text[..2].to_owned())));
        told.push(format!("{}", identity(&path) == first));
        told.push(site.script(python, "call('supervisor.sendProcessStdin', 'port', 'x')"));
        // All are stopped: nobody listens, and the file stays.
        told.push(site.ctl(python, &["stop", "file:*", "port"]));
        wait_until("nobody listens", || by_port().is_none());
        told.push(format!("{:?} {}", by_file(), path.exists()));
        // The next start replaces it.
        told.push(site.ctl(python, &["start", "file:f1"]));
        wait_until("it answers", || by_file().is_some());
        told.push(format!("{}", identity(&path) == first));
        told.push(site.ctl(python, &["avail"]));
        told
    });
}

fn nginx_site(here: &Path, web: u16) -> String {
    let here = here.display();
    format!(
        "pid {here}/nginx.pid; error_log stderr; daemon off; worker_processes 1; user root; events {{}}\n\
         http {{ access_log off; client_body_temp_path {here}/t1; proxy_temp_path {here}/t2; fastcgi_temp_path {here}/t3;\n\
         uwsgi_temp_path {here}/t4; scgi_temp_path {here}/t5;\n\
         server {{ listen 127.0.0.1:{web}; location / {{ fastcgi_pass unix:{here}/app.sock; fastcgi_param SCRIPT_FILENAME {here}/hello;\n\
         fastcgi_param REQUEST_METHOD $request_method; fastcgi_param QUERY_STRING $query_string; }} }} }}\n"
    )
}

fn get(web: u16) -> String {
    let request = |mut stream: TcpStream| {
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
        answer(stream)
    };
    TcpStream::connect(("127.0.0.1", web)).ok().and_then(request).unwrap_or_default()
}

/// fcgiwrap is a FastCGI program that takes its connections from standard input. No request is refused while its processes are
/// restarted, by hand or after a crash: they wait.
#[test]
fn row_109_a_fastcgi_program_behind_nginx_loses_no_request_over_restarts() {
    let (Some(nginx), Some(wrap)) = (installed("nginx"), installed("fcgiwrap")) else { return };
    if !nix::unistd::geteuid().is_root() {
        return println!("SKIPPED: nginx is told to run as root");
    }
    let (dir, web) = (tempfile::tempdir().expect("a directory"), free_port());
    fs::write(dir.path().join("nginx.conf"), nginx_site(dir.path(), web)).expect("written");
    let script = dir.path().join("hello");
    write_executable(&script, "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\nhello'\n");
    let sections = format!(
        "[fcgi-program:app]\nsocket = unix://DIR/app.sock\nsocket_mode = 0600\ncommand = {}\nnumprocs = 2\nstartsecs = 0\n\
         [program:nginx]\ncommand = {} -c DIR/nginx.conf -e stderr\nstopsignal = QUIT\nstartsecs = 0\nrequires = app\n\
         [group:site]\nprograms = app,nginx\n",
        wrap.display(),
        nginx.display()
    );
    let daemon = Daemon::start_in(dir, &sections, &[]);
    wait_until("it is served", || get(web).ends_with("hello"));
    let socket = || identity(&daemon.path("app.sock"));
    let before = socket();
    for round in 0..3 {
        let (code, out, errors) = daemon.ctl(&["restart", "--only", "app:00", "app:01"]);
        assert_eq!(code, 0, "{out}{errors}");
        assert!(get(web).ends_with("hello"), "round {round}");
        for name in ["app:00", "app:01"] {
            let pid = daemon.status(name).pid.expect("a pid");
            kill(Pid::from_raw(pid), Signal::SIGKILL).expect("killed");
            // One that is about to die may still be given a connection.
            wait_until("it is dead", || !alive(pid));
        }
        let served = get(web);
        assert!(served.ends_with("hello"), "round {round}: it waits until one of them is back: {served}");
        for name in ["app:00", "app:01"] {
            daemon.wait_state(name, "RUNNING");
        }
    }
    assert_eq!(socket(), before, "the same socket all the time");
    assert_eq!(daemon.ctl(&["stop", "--only", "app:00", "app:01"]).0, 0);
    assert!(get(web).starts_with("HTTP/1.1 502"), "nobody listens");
    assert_eq!(daemon.ctl(&["start", "app:00"]).0, 0);
    assert!(get(web).ends_with("hello"));
    assert_ne!(socket(), before, "a new one in the place of the old one's file");
    daemon.terminate();
}

/// What can't be bound is the trouble of its program alone, and is told with its reason.
#[test]
fn row_104_a_socket_that_cannot_be_opened_holds_up_its_program_alone() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("precious"), "data").expect("written");
    let sections = format!(
        "[fcgi-program:port]\nsocket = tcp://127.0.0.1:{port}\ncommand = sleep 1000\nstartretries = 100\n\
         [fcgi-program:file]\nsocket = unix://DIR/precious\ncommand = sleep 1000\nstartretries = 0\n\
         [fcgi-program:lost]\nsocket = unix://DIR/missing/x.sock\ncommand = sleep 1000\nstartretries = 0\n\
         [program:other]\ncommand = sleep 1000\nstartsecs = 0\n"
    );
    let daemon = Daemon::start_in(dir, &sections, &[]);
    daemon.wait_state("other", "RUNNING");
    let why = |name: &str| daemon.ctl(&["why", name]).1;
    wait_until("the port is told", || {
        why("port").contains(&format!("the socket tcp://127.0.0.1:{port}: Address already in use"))
    });
    daemon.wait_state("file", "FATAL");
    assert!(why("file").contains("something that is not a socket lies there"), "{}", why("file"));
    assert_eq!(daemon.read("precious"), "data");
    daemon.wait_state("lost", "FATAL");
    assert!(why("lost").contains("x.sock: No such file or directory"), "{}", why("lost"));
    drop(taken);
    daemon.wait_state("port", "RUNNING");
    daemon.terminate();
}

/// The inode of the socket that is the standard input of a process.
fn input_of(pid: i32) -> String {
    fs::read_link(format!("/proc/{pid}/fd/0")).expect("it lives").display().to_string()
}

fn pid_of(daemon: &Daemon, name: &str) -> i32 {
    executed(daemon.wait_state(name, "RUNNING").pid.expect("a pid"))
}

/// Row 103: only its owner has a socket, whichever of them starts first.
#[test]
fn row_103_no_other_program_has_the_socket() {
    let program = |name: &str| format!("[program:{name}]\ncommand = sleep 1000\nstartsecs = 0\n");
    let socket =
        "[fcgi-program:web]\nsocket = unix://DIR/web.sock\ncommand = sleep 1000\nnumprocs = 2\nstartsecs = 0\n";
    let daemon = Daemon::start(&format!("{}{socket}{}", program("before"), program("behind")));
    let input = input_of(pid_of(&daemon, "web:00"));
    assert!(input.starts_with("socket:["), "{input}");
    assert_eq!(input_of(pid_of(&daemon, "web:01")), input, "they share it");
    for _ in 0..2 {
        for name in ["before", "behind"] {
            let pid = pid_of(&daemon, name);
            let fds = fs::read_dir(format!("/proc/{pid}/fd")).expect("it lives").flatten();
            let links: Vec<_> = fds.filter_map(|fd| fs::read_link(fd.path()).ok()).collect();
            assert!(!links.is_empty() && !links.iter().any(|link| link.as_os_str() == input.as_str()), "{links:?}");
            daemon.controller().restart_process(name, false).expect("restarted");
        }
    }
    daemon.terminate();
}

/// Row 107: somebody has deleted the socket's file. Whoever is started next, over a restart as well, makes it anew.
#[test]
fn row_107_a_file_that_was_deleted_is_made_anew() {
    let program = "[fcgi-program:web]\nsocket = unix://DIR/web.sock\ncommand = python3 DIR/serve.py\n";
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("serve.py"), SERVER).expect("written");
    let daemon = Daemon::start_in(dir, &format!("{program}environment = TELL=DIR\nstartsecs = 0\n"), &[]);
    let path = daemon.path("web.sock");
    let serves = || UnixStream::connect(&path).ok().and_then(answer);
    let first = pid_of(&daemon, "web");
    wait_until("it answers", || serves() == Some(format!("web {first}")));
    fs::remove_file(&path).expect("removed");
    assert_eq!(serves(), None, "nobody finds it");
    daemon.controller().restart_process("web", false).expect("restarted");
    let second = pid_of(&daemon, "web");
    wait_until("it answers again", || serves() == Some(format!("web {second}")));
    // A file that is there stays, and so do the connections that wait at it.
    let before = identity(&path);
    daemon.controller().restart_process("web", false).expect("restarted");
    assert_eq!(identity(&path), before);
    let log = daemon.terminate();
    assert_eq!(log.matches("web.sock has gone: it is made anew").count(), 1, "{log}");
}

/// Row 108: a reload gives it another port: one restart, the new one is served, and nobody listens at the old one.
#[test]
fn row_108_another_port_is_served_after_one_restart() {
    let config = |port: u16| {
        format!(
            "[fcgi-program:web]\nsocket = tcp://127.0.0.1:{port}\ncommand = python3 DIR/serve.py\n\
             environment = TELL=DIR\nstartsecs = 0\n"
        )
    };
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("serve.py"), SERVER).expect("written");
    let (old, new) = (free_port(), free_port());
    let daemon = Daemon::start_in(dir, &config(old), &[]);
    let serves = |port: u16| TcpStream::connect(("127.0.0.1", port)).ok().and_then(answer);
    let first = pid_of(&daemon, "web");
    wait_until("it answers", || serves(old) == Some(format!("web {first}")));
    let starts = |daemon: &Daemon| {
        let history = daemon.controller().history(Some("web")).expect("history");
        history.iter().filter(|row| row.to_state == "STARTING").count()
    };
    let before = starts(&daemon);
    daemon.write_config(&config(new), &[]);
    let (code, out, errors) = daemon.ctl(&["update"]);
    assert_eq!(code, 0, "{out}{errors}");
    let second = pid_of(&daemon, "web");
    assert_ne!(second, first);
    wait_until("the new port answers", || serves(new) == Some(format!("web {second}")));
    assert_eq!(serves(old), None, "nobody listens at the old one");
    assert_eq!(starts(&daemon), before + 1);
    daemon.terminate();
}
