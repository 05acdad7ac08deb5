//! Programs of which something outside tells that they are ready: a path, a connection, an answer, a line, a command.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::harness::{Daemon, TEST_TIMEOUT, alive, wait_until, word_in};

/// Descriptors of the daemon that are an inotify.
fn inotifies(daemon: &Daemon) -> usize {
    let entries = std::fs::read_dir(format!("/proc/{}/fd", daemon.pid())).expect("its descriptors");
    let links = entries.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    links.filter(|link| link.to_string_lossy().contains("inotify")).count()
}

/// Threads of the daemon with such a name.
fn threads(daemon: &Daemon, prefix: &str) -> usize {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", daemon.pid())).expect("its threads");
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.starts_with(prefix)).count()
}

fn why(daemon: &Daemon, name: &str) -> String {
    daemon.controller().why(name).expect("why").lines.join("\n")
}

fn wait_starting(daemon: &Daemon, name: &str, told: &str) {
    wait_until(&format!("{name} says {told}"), || {
        let status = daemon.status(name);
        assert_eq!((status.state.as_str(), status.ready), ("STARTING", Some(false)), "{status:?}");
        status.description.as_deref().is_some_and(|text| text.contains(told))
    });
}

/// As programs do that tidy up their directory before they write to it. It was waited for the path for ever.
#[test]
fn a_path_in_a_directory_that_is_made_anew_is_noticed() {
    let dir = tempfile::tempdir().expect("a directory");
    for name in ["removed", "renamed"] {
        std::fs::create_dir(dir.path().join(name)).expect("a directory");
    }
    let sections = ["removed", "renamed"].map(|name| {
        format!(
            "[program:{name}]\ncommand = sleep 1000\nready = path:DIR/{name}/ready\n\
             [program:when-{name}]\ncommand = sleep 1000\nstartsecs = 0\nstart_when = path:DIR/{name}/ready\n"
        )
    });
    let daemon = Daemon::start_in(dir, &sections.concat(), &[]);
    for name in ["removed", "renamed"] {
        wait_starting(&daemon, name, "waits for a path that is made or changed");
    }
    wait_until("all is looked at", || inotifies(&daemon) > 0 && threads(&daemon, "paths") == 0);
    std::fs::remove_dir(daemon.path("removed")).expect("it is empty");
    std::fs::rename(daemon.path("renamed"), daemon.path("elsewhere")).expect("it is renamed");
    for name in ["removed", "renamed"] {
        std::fs::create_dir(daemon.path(name)).expect("a directory");
        std::fs::write(daemon.path(name).join("ready"), "").expect("a file");
        daemon.wait_state(name, "RUNNING");
        daemon.wait_state(&format!("when-{name}"), "RUNNING");
    }
    daemon.terminate();
}

/// A file that an earlier run has left is none of this one.
#[test]
fn a_program_is_running_when_its_path_is_made_or_changed_since_the_start() {
    let dir = tempfile::tempdir().expect("a directory");
    for name in ["go-a", "go-b", "go-c"] {
        nix::unistd::mkfifo(&dir.path().join(name), nix::sys::stat::Mode::S_IRWXU).expect("a fifo");
    }
    // What is there before the start, and is written anew; what is made; what is made in a directory that is made.
    std::fs::write(dir.path().join("a.pid"), "77\n").expect("a file");
    let program = |name: &str, path: &str| {
        format!(
            "[program:{name}]\nready = path:DIR/{path}\n\
             command = sh -c 'echo up > DIR/up-{name}; read line < DIR/go-{name}; {} echo $$ > DIR/{path}; exec sleep 1000'\n",
            if path.contains('/') { "mkdir -p DIR/run/c; " } else { "" }
        )
    };
    let sections = [program("a", "a.pid"), program("b", "b.pid"), program("c", "run/c/pid")].concat();
    let daemon = Daemon::start_in(dir, &sections, &[]);
    for (name, path) in [("a", "a.pid"), ("b", "b.pid"), ("c", "run/c/pid")] {
        word_in(&daemon.path(&format!("up-{name}")));
        wait_starting(
            &daemon,
            name,
            &format!("waits for a path that is made or changed (path:{}", daemon.path(path).display()),
        );
    }
    // It may not have begun yet: one more than where there is nothing to look at.
    let other = Daemon::start("[program:p]\ncommand = sleep 1000\nstartsecs = 0\n");
    let none = inotifies(&other);
    other.terminate();
    wait_until("all is looked at, and by nobody", || inotifies(&daemon) == none + 1 && threads(&daemon, "paths") == 0);
    for name in ["c", "a", "b"] {
        std::fs::write(daemon.path(&format!("go-{name}")), "go\n").expect("it is read");
        assert_eq!(daemon.wait_state(name, "RUNNING").ready, Some(true));
    }
    wait_until("what nobody needs any more is closed", || inotifies(&daemon) == none);
    // Again, with the file of the run before.
    daemon.controller().stop_process("a").expect("stop");
    std::fs::remove_file(daemon.path("up-a")).expect("a file");
    let controller = daemon.controller();
    let start = std::thread::spawn(move || controller.start_process("a").map(drop));
    word_in(&daemon.path("up-a"));
    wait_starting(&daemon, "a", "waits for a path");
    std::fs::write(daemon.path("go-a"), "go\n").expect("it is read");
    start.join().expect("no panic").expect("it starts");
    daemon.terminate();
}

#[test]
fn what_is_not_ready_in_time_is_stopped_and_nothing_is_left_of_the_waiting() {
    let daemon = Daemon::start(
        "[program:path]\nready = path:DIR/never\nstart_timeout = 1\nstartretries = 0\nautostart = false\ncommand = sleep 1000\n\
         [program:unix]\nready = unix:DIR/never\nstart_timeout = 1\nstartretries = 0\nautostart = false\ncommand = sleep 1000\n\
         [program:log]\nready = log:never\nstart_timeout = 1\nstartretries = 0\nautostart = false\ncommand = sleep 1000\n\
         [program:command]\nready = command:echo not yet >&2; exit 3\nstart_timeout = 1\nstartretries = 0\nautostart = false\n\
         command = sleep 1000",
    );
    let at_rest = inotifies(&daemon);
    for (name, told) in [
        ("path", format!("a path that is made or changed (path:{})", daemon.path("never").display())),
        ("unix", format!("accepted (cannot connect to {}: No such file or directory)", daemon.path("never").display())),
        ("log", "a line of its output (log:never)".to_owned()),
        ("command", "a command that succeeds (exit code 3: not yet)".to_owned()),
    ] {
        // On a busy machine a second may be over before the first look has an answer.
        wait_until(&format!("{name} is told: {told}"), || {
            let error = daemon.controller().start_process(name).expect_err("it is not ready").to_string();
            assert!(error.contains("not ready within 1 s (start_timeout): it waited for "), "{error}");
            error.contains(&told)
        });
        assert_eq!(daemon.status(name).state, "FATAL");
    }
    wait_until("nothing is left open", || inotifies(&daemon) == at_rest && threads(&daemon, "health:") == 0);
    daemon.terminate();
}

#[test]
fn a_program_is_running_when_a_connection_to_its_socket_is_accepted() {
    let daemon = Daemon::start("[program:p]\nready = unix:DIR/socket\ncommand = sleep 1000");
    wait_starting(&daemon, "p", "No such file or directory");
    assert!(why(&daemon, "p").contains("whether it is ready"), "{}", why(&daemon, "p"));
    let _listener = UnixListener::bind(daemon.path("socket")).expect("a socket");
    assert_eq!(daemon.wait_state("p", "RUNNING").ready, Some(true));
    daemon.terminate();
}

/// Row 112: an answer that says no is told as such.
#[test]
fn a_program_is_running_when_its_server_answers_that_it_is_well() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    let is_well = Arc::new(AtomicBool::new(false));
    let server = {
        let is_well = Arc::clone(&is_well);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                let _ = stream.set_read_timeout(Some(TEST_TIMEOUT));
                let mut request = [0; 1024];
                let count = stream.read(&mut request).unwrap_or(0);
                if request[..count].starts_with(b"GET /end ") {
                    return;
                }
                let status: &[u8] = if is_well.load(Ordering::SeqCst) { b"204 Fine" } else { b"503 Not Yet" };
                let _ = stream.write_all(&[b"HTTP/1.1 ", status, b"\r\n\r\n"].concat());
            }
        })
    };
    let daemon = Daemon::start(&format!(
        "[program:http]\nready = http://{address}/health\ncommand = sleep 1000\n\
         [program:tcp]\nready = tcp:{address}\ncommand = sleep 1000"
    ));
    daemon.wait_state("tcp", "RUNNING");
    wait_starting(&daemon, "http", "status 503 (Not Yet) from http://127.0.0.1:");
    is_well.store(true, Ordering::SeqCst);
    daemon.wait_state("http", "RUNNING");
    daemon.terminate();
    let mut end = std::net::TcpStream::connect(address).expect("the server");
    end.write_all(b"GET /end HTTP/1.1\r\n\r\n").expect("a request");
    server.join().expect("no panic");
}

#[test]
fn a_program_is_running_when_a_line_of_its_output_matches() {
    let dir = tempfile::tempdir().expect("a directory");
    nix::unistd::mkfifo(&dir.path().join("go"), nix::sys::stat::Mode::S_IRWXU).expect("a fifo");
    // Nothing else keeps its output.
    let daemon = Daemon::start_in(
        dir,
        "[program:p]\nready = log:listening on [0-9.]+:\\d+$\nlog_buffer = 0\n\
         command = sh -c 'echo listening on nothing; echo up > DIR/up; read line < DIR/go; echo listening on 127.0.0.1:80 >&2; exec sleep 1000'",
        &[],
    );
    word_in(&daemon.path("up"));
    wait_starting(&daemon, "p", "waits for a line of its output (log:listening on [0-9.]+:\\d+$)");
    std::fs::write(daemon.path("go"), "go\n").expect("it is read");
    assert_eq!(daemon.wait_state("p", "RUNNING").ready, Some(true));
    daemon.terminate();
}

#[test]
fn a_program_is_running_when_a_command_succeeds_and_no_run_ends_before_its_command() {
    let daemon = Daemon::start(
        "[program:p]\nready = command:echo $$ > DIR/tried; test -e DIR/well\ncommand = sleep 1000\n\
         [program:hangs]\nready = command:echo $$ > DIR/hanging; sleep 1000\ncommand = sleep 1000\nstartretries = 0",
    );
    word_in(&daemon.path("tried"));
    wait_starting(&daemon, "p", "waits for a command that succeeds (exit code 1)");
    std::fs::write(daemon.path("well"), "").expect("a file");
    daemon.wait_state("p", "RUNNING");
    let hanging = word_in(&daemon.path("hanging"));
    daemon.controller().stop_process("hangs").expect("stop");
    let hanging: i32 = hanging.parse().expect("a pid");
    wait_until("it ends with the run", || !alive(hanging));
    daemon.terminate();
}

/// Row 40: who waits delays nobody else.
#[test]
fn a_server_that_takes_no_connection_delays_nobody_else() {
    use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, connect, listen, socket};
    use std::os::fd::AsRawFd;
    let dir = tempfile::tempdir().expect("a directory");
    let (flags, stream) = (SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, SockType::Stream);
    let unix = || socket(AddressFamily::Unix, stream, flags, None).expect("a socket");
    let address = UnixAddr::new(&dir.path().join("full")).expect("a path");
    let full = unix();
    bind(full.as_raw_fd(), &address).expect("bound");
    listen(&full, Backlog::new(0).expect("none")).expect("it listens");
    let mut held = Vec::new();
    loop {
        let client = unix();
        if connect(client.as_raw_fd(), &address).is_err() {
            break;
        }
        held.push(client);
    }
    let hanging: String =
        (0..20).map(|number| format!("[program:h{number}]\nready = unix:DIR/full\ncommand = sleep 1000\n")).collect();
    let daemon = Daemon::start_in(dir, &format!("{hanging}[program:other]\ncommand = sleep 1000\nstartsecs = 0"), &[]);
    wait_until("all of them wait", || threads(&daemon, "health:h") == 20);
    for _ in 0..20 {
        daemon.controller().restart_process("other", false).expect("restart");
    }
    assert_eq!(daemon.status("h7").state, "STARTING");
    daemon.controller().stop_process("h7").expect("a stop does not wait for the answer");
    daemon.terminate();
}

/// What a repeated try finds is told, and restarts nothing.
#[test]
fn readiness_is_told_while_it_runs() {
    let daemon = Daemon::start(
        "[program:web]\ncommand = sleep 1000\nready = command:echo out of order >&2; test -e DIR/well\nready_interval = 1\n\
         [program:front]\ncommand = sleep 1000\nstartsecs = 0\nrequires = web",
    );
    let well = daemon.path("well");
    std::fs::write(&well, "").expect("a file");
    let pid = daemon.wait_state("web", "RUNNING").pid;
    let front = daemon.wait_state("front", "RUNNING").pid;
    assert_eq!(daemon.status("web").ready, Some(true));
    assert_eq!(daemon.ctl(&["health", "--ready"]).0, 0);
    std::fs::remove_file(&well).expect("it is there");
    wait_until("it is not ready any more", || daemon.status("web").ready == Some(false));
    let status = daemon.status("web");
    assert_eq!((status.state.as_str(), status.pid), ("RUNNING", pid));
    let description = status.description.unwrap_or_default();
    assert!(description.contains("; not ready: exit code 1: out of order"), "{description}");
    let (code, _, error) = daemon.ctl(&["health", "--ready"]);
    assert!(code == 1 && error.contains("web is RUNNING") && error.contains("not ready"), "{error}");
    assert_eq!(daemon.ctl(&["health"]).0, 0, "it is healthy");
    assert!(why(&daemon, "web").contains("not ready any more: exit code 1: out of order"), "{}", why(&daemon, "web"));
    std::fs::write(&well, "").expect("a file");
    wait_until("it is ready again", || daemon.status("web").ready == Some(true));
    assert!(why(&daemon, "web").contains("ready again"), "{}", why(&daemon, "web"));
    assert_eq!((daemon.status("web").pid, daemon.status("front").pid), (pid, front));
    let (_, history, _) = daemon.ctl(&["history", "web"]);
    assert!(history.contains("not ready any more"), "{history}");
    daemon.wait_log("not ready any more: exit code 1");
    daemon.terminate();
}
