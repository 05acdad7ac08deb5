//! What goes wrong between `supervicectl` and its daemon, and with which exit code it is told.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::fake::{Fake, outcome, send};

#[test]
fn error_answers_have_their_exit_code() {
    for (code, exit) in [("NOT_FOUND", 1), ("FAILED", 1), ("INTERNAL_ERROR", 1), ("UNKNOWN_COMMAND", 1), ("TIMEOUT", 4)]
    {
        let answer = format!(r#"{{"status":"error","code":"{code}","message":"so it is"}}"#);
        let fake = Fake::new(move |_, stream| send(stream, &answer));
        let wanted = match code {
            // What an older daemon says.
            "UNKNOWN_COMMAND" => "the daemon (of an unknown version) does not know 'stop'; this is supervicectl 0.1.0",
            _ => "so it is",
        };
        assert_eq!(fake.ctl(&["stop", "web"]), outcome(exit, "", &format!("supervicectl: {wanted}\n")), "{code}");
    }
    let fake = Fake::answering(r#"{"status":"error","message":"an old daemon's"}"#);
    assert_eq!(fake.ctl(&["status"]), outcome(1, "", "supervicectl: an old daemon's\n"));
    let fake = Fake::answering(r#"{"status":"error"}"#);
    assert_eq!(fake.ctl(&["status"]), outcome(1, "", "supervicectl: the daemon gave no reason\n"));
}

#[test]
fn wrong_usage_is_2() {
    for (args, error) in [
        (&["strat"][..], "unknown command 'strat'; did you mean 'start'?"),
        (&["stop"], "stop needs a name"),
        (&["reread", "x"], "reread takes no name"),
        (&["stop", "--force", "a"], "--force goes with restart, not with stop"),
        (&["tail", "--json", "a"], "--json does not go with tail"),
        (&["--timeout", "0", "status"], "--timeout 0: not a number of seconds above 0"),
        (&["--timeout", "inf", "status"], "--timeout inf: not a number of seconds above 0"),
        (&["--wat"], "invalid option '--wat'"),
    ] {
        let error = format!("supervicectl: {error}\nTry 'supervicectl --help'.\n");
        assert_eq!(Fake::nobody().ctl(args), outcome(2, "", &error), "{args:?}");
    }
    let help = Fake::nobody().ctl(&["help"]).out;
    let error = format!("supervicectl: which command?\n\n{help}");
    assert_eq!(Fake::nobody().ctl(&[]), outcome(2, "", &error), "off a terminal there is no prompt");
}

#[test]
fn no_daemon_is_3() {
    let hint = "is it running? another one with -s SOCKET, -c FILE or $SUPERVICE_SOCKET";
    let fake = Fake::nobody();
    let error = format!("supervicectl: no daemon at SOCKET: No such file or directory; {hint}\n");
    assert_eq!(fake.ctl(&["status"]), outcome(3, "", &error));
    drop(UnixListener::bind(fake.socket()).expect("a socket"));
    let error = format!("supervicectl: no daemon at SOCKET: Connection refused; {hint}\n");
    assert_eq!(fake.ctl(&["status"]), outcome(3, "", &error), "a socket that nobody listens to");
}

#[test]
fn nonsense_is_refused_with_its_reason() {
    let hint = "is that the socket of a supervice daemon?";
    let cases: [(&'static [u8], &str); 7] = [
        (b"", "the connection was closed before the answer came"),
        (b"\0\0", "the connection was closed before the answer came"),
        (b"\0\0\0\x10{\"status\":", "the connection was closed before the answer came"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "an answer of 1213486160 bytes is larger than the protocol allows"),
        (b"\0\0\0\x02[]", "the answer is no JSON object"),
        (b"\0\0\0\x02{}", "the answer has no status"),
        (b"\0\0\0\x0f{\"status\":\"ok\"}", "the answer is no status: missing field `processes`"),
    ];
    for (bytes, reason) in cases {
        let fake = Fake::new(move |_, stream| drop(stream.write_all(bytes)));
        let error = format!("supervicectl: SOCKET: {reason}; {hint}\n");
        assert_eq!(fake.ctl(&["status"]), outcome(1, "", &error));
    }
    let fake = Fake::new(|_, stream| drop(stream.write_all(b"\0\0\0\x01\xff")));
    let result = fake.ctl(&["status"]);
    assert!(result.code == Some(1) && result.err.contains("the answer is not JSON"), "{result:?}");
}

/// Neither silence nor single bytes nor page after page make it wait for longer than it was told.
#[test]
fn a_time_out_is_4_whatever_the_daemon_does_instead() {
    let silent = Fake::new(|_, _| std::thread::sleep(Duration::from_secs(600)));
    let trickle = Fake::new(|_, stream| {
        while stream.write_all(b"\0").is_ok() && stream.write_all(b"\0").is_ok() {
            std::thread::sleep(Duration::from_millis(50));
            if stream.write_all(b"\x01\0").is_err() {
                return;
            }
            while stream.write_all(b"{").is_ok() {
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    });
    let pages = Fake::new(|request, stream| {
        std::thread::sleep(Duration::from_millis(100));
        let request: serde_json::Value = serde_json::from_str(request).expect("JSON");
        let next = request["offset"].as_u64().unwrap_or(0) + 1;
        send(stream, &format!(r#"{{"status":"ok","processes":[],"next":{next}}}"#));
    });
    for (what, fake) in [("silent", silent), ("trickle", trickle), ("pages", pages)] {
        let begin = Instant::now();
        let result = fake.ctl(&["--timeout", "0.5", "status"]);
        assert!(begin.elapsed() < Duration::from_secs(120), "{what}");
        assert_eq!(result.code, Some(4), "{what}: {result:?}");
        assert!(result.err.starts_with("supervicectl: no answer from SOCKET within "), "{what}: {result:?}");
    }
}

/// As of a daemon that was stopped: the kernel's queue is full and nobody accepts.
#[test]
fn a_full_queue_is_a_time_out() {
    let fake = Fake::nobody();
    let socket = nix::sys::socket::socket(
        nix::sys::socket::AddressFamily::Unix,
        nix::sys::socket::SockType::Stream,
        nix::sys::socket::SockFlag::SOCK_CLOEXEC,
        None,
    )
    .expect("a socket");
    let address = nix::sys::socket::UnixAddr::new(&fake.socket()).expect("an address");
    nix::sys::socket::bind(std::os::fd::AsRawFd::as_raw_fd(&socket), &address).expect("bound");
    nix::sys::socket::listen(&socket, nix::sys::socket::Backlog::new(0).expect("a number")).expect("listening");
    let first = std::os::unix::net::UnixStream::connect(fake.socket()).expect("there is room for one");
    let result = fake.ctl(&["--timeout", "0.3", "status"]);
    assert_eq!(result.code, Some(4), "{result:?}");
    drop(first);
}

#[test]
fn a_time_out_of_any_length_is_taken() {
    let fake = Fake::answering(r#"{"status":"ok","processes":[]}"#);
    let table = "NAME  STATE  PID  UPTIME  HEALTH\n";
    assert_eq!(fake.ctl(&["--timeout", "1e19", "status"]), outcome(0, table, ""));
}

#[test]
fn a_daemon_that_refuses_before_it_reads_is_heard() {
    let fake = Fake::nobody();
    let listener = UnixListener::bind(fake.socket()).expect("a socket");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            send(&mut stream, r#"{"status":"error","code":"FAILED","message":"too many"}"#);
        }
    });
    for _ in 0..20 {
        assert_eq!(fake.ctl(&["status"]), outcome(1, "", "supervicectl: too many\n"));
    }
}

#[test]
fn a_name_that_no_frame_can_hold_is_refused_here() {
    let controller = supervice::client::Controller::new(Fake::nobody().socket().display().to_string());
    let error = controller.start_process(&"x".repeat(1 << 20)).expect_err("too large");
    let supervice::client::ClientError::Failed { code, .. } = &error else { panic!("{error}") };
    assert_eq!(code.as_deref(), Some("TOO_LARGE"));
}

/// The user `nobody` of a test that runs as root.
const NOBODY: u32 = 65534;

/// This program, to be run by another user who can reach it; `None` where we cannot become one.
fn as_nobody(fake: &Fake, program: &str) -> Option<Command> {
    let name = program.rsplit('/').next().expect("a name");
    let copy = fake.dir.path().join(name);
    // Not by this process: what another test forks meanwhile would hold a copy of the descriptor, and the kernel executes nothing
    // that somebody can write to.
    let copied = Command::new("cp").arg(program).arg(&copy).status().expect("cp");
    assert!(copied.success(), "a copy");
    std::fs::set_permissions(fake.dir.path(), PermissionsExt::from_mode(0o755)).expect("ours");
    let run = || {
        let mut command = Command::new("setpriv");
        command.args([&format!("--reuid={NOBODY}"), &format!("--regid={NOBODY}"), "--clear-groups"]).arg(&copy);
        command
    };
    let works =
        nix::unistd::geteuid().is_root() && run().arg("--version").output().is_ok_and(|output| output.status.success());
    if !works {
        println!("SKIPPED: needs root and setpriv to become another user");
    }
    works.then(run)
}

#[test]
fn a_socket_of_somebody_else_is_refused_with_the_reason() {
    let fake = Fake::answering(r#"{"status":"ok","processes":[]}"#);
    let Some(mut command) = as_nobody(&fake, env!("CARGO_BIN_EXE_supervicectl")) else { return };
    std::fs::set_permissions(fake.socket(), PermissionsExt::from_mode(0o600)).expect("ours");
    let error = "supervicectl: no permission to use SOCKET; become its owner, or see socket_mode and socket_owner\n";
    assert_eq!(fake.run(command.arg("-s").arg(fake.socket()).arg("status")), outcome(1, "", error));
}

/// Row 20: whoever may write to a directory may put a socket of any name there first.
#[test]
fn a_daemon_of_somebody_else_is_believed_only_where_nobody_else_could_have_put_it() {
    let fake = Fake::nobody();
    let dir = fake.dir.path();
    let table = outcome(0, "NAME  STATE  PID  UPTIME  HEALTH\n", "");
    let refused = |socket: &str, why: &str| {
        let error = format!("supervicectl: {socket} is served by user {NOBODY}, neither root nor you, and {why}; ");
        outcome(1, "", &format!("{error}use a socket in a private directory\n"))
    };
    std::fs::create_dir(dir.join("open")).expect("ours");
    std::fs::set_permissions(dir.join("open"), PermissionsExt::from_mode(0o1777)).expect("ours");
    std::fs::create_dir(dir.join("home")).expect("ours");
    let anybody = "others can write to its directory";
    let (open, home, link) = (dir.join("open/s"), dir.join("home/s"), dir.join("link"));
    std::os::unix::fs::symlink(&open, &link).expect("ours");
    let [open, home, link] = [open, home, link].map(|path| path.display().to_string());
    let back = dir.join("open/link").display().to_string();
    std::os::unix::fs::symlink(&home, &back).expect("ours");
    let name = format!("@supervice-test-{}", std::process::id());
    let abstract_refusal = refused(&name, "anybody can take a name in the abstract namespace");
    for (served, asked) in [
        (&open, vec![(&open, refused(&open, anybody)), (&link, refused(&link, anybody))]),
        (&home, vec![(&home, table), (&back, refused(&back, anybody))]),
        (&name, vec![(&name, abstract_refusal)]),
    ] {
        let Some(command) = as_nobody(&fake, env!("CARGO_BIN_EXE_supervice")) else { return };
        std::os::unix::fs::chown(dir.join("home"), Some(NOBODY), Some(NOBODY)).expect("ours");
        let _daemon = Daemon::start(&fake, command, &format!("socket = {served}\n"), served);
        for (socket, wanted) in asked {
            assert_eq!(ask(&fake, socket), wanted, "served at {served}, asked at {socket}");
        }
    }
}

/// A real daemon; killed, and with it its programs, when dropped.
struct Daemon(std::process::Child);

impl Daemon {
    /// Starts it by this command with these lines in its configuration, and waits until it listens at `socket`.
    fn start(fake: &Fake, mut command: Command, settings: &str, socket: &str) -> Daemon {
        let config = fake.dir.path().join("daemon.conf");
        std::fs::write(&config, format!("[supervice]\nlogfile = none\npidfile = none\n{settings}")).expect("ours");
        let child = command.arg("-n").arg("-c").arg(config).stdout(Stdio::null()).spawn().expect("it runs");
        let daemon = Daemon(child);
        let begin = Instant::now();
        while ask(fake, socket).code == Some(3) {
            assert!(begin.elapsed() < Duration::from_secs(120), "it does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
        daemon
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn ask(fake: &Fake, socket: &str) -> crate::fake::Outcome {
    fake.run(Command::new(env!("CARGO_BIN_EXE_supervicectl")).args(["-s", socket, "status"]))
}

/// Clients that say nothing must not keep the descriptors that a program's next start needs.
#[test]
fn silent_clients_leave_the_programs_their_descriptors_and_others_their_answer() {
    let fake = Fake::nobody();
    let socket = fake.socket().display().to_string();
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 128; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_supervice")]);
    let settings = format!("socket = {socket}\n[program:a]\ncommand = sleep 1000\nstartsecs = 0\n");
    let daemon = Daemon::start(&fake, command, &settings, &socket);
    let silent: Vec<_> = (0..300)
        .map(|_| {
            let mut stream = std::os::unix::net::UnixStream::connect(&socket).expect("it listens");
            // A few are turned out before they have said as much.
            let _ = stream.write_all(&[0, 0]);
            stream
        })
        .collect();
    let controller = supervice::client::Controller::new(&socket).with_timeout(Duration::from_secs(60));
    let process = || controller.status().expect("an answer in time")[0].clone();
    let first = process();
    let files = std::fs::read_dir(format!("/proc/{}/fd", daemon.0.id())).expect("it lives").count();
    assert!(files < 96, "{files} of 128 descriptors are taken");
    let pid = nix::unistd::Pid::from_raw(first.pid.expect("it runs"));
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).expect("it lives");
    let begin = Instant::now();
    while process().pid.is_none_or(|now| Some(now) == first.pid) {
        assert!(begin.elapsed() < Duration::from_secs(120), "it does not come back: {:?}", process());
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(silent);
}

/// The system's reasons are words: the number that the library appends is no help to anybody. Nor is a path that has just been named.
#[test]
fn no_message_gives_the_number_of_an_error_or_a_path_twice() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = |name: &str| dir.path().join(name).display().to_string();
    let write = |name: &str, text: &str| {
        std::fs::write(path(name), text).expect("written");
        path(name)
    };
    std::fs::create_dir(path("directory")).expect("made");
    let quiet = "[supervice]\nsocket = none\npidfile = none\nlogfile = none\n";
    let program = "[program:p]\ncommand = true\n";
    let env_file = write("env_file.ini", &format!("{quiet}{program}env_file = /missing/env\n"));
    let include = write("include.ini", &format!("[include]\nfiles = missing.ini\n{program}"));
    let directory = write("directory.ini", &format!("{quiet}{program}directory = /etc/passwd/x\n"));
    let logfile = write("logfile.ini", &format!("[supervice]\nlogfile = /proc/none/x.log\n{program}"));
    let pidfile = write("pidfile.ini", &format!("[supervice]\nsocket = none\npidfile = /proc/x.pid\n{program}"));
    let socket = write("socket.ini", &format!("[supervice]\nsocket = /proc/x.sock\npidfile = none\n{program}"));
    let owner = write("owner.ini", &format!("[supervice]\nsocket_owner = nobody-here\n{program}"));
    let (supervice, ctl) = (env!("CARGO_BIN_EXE_supervice"), env!("CARGO_BIN_EXE_supervicectl"));
    let directory_itself = path("directory");
    let situations: &[(&str, &[&str])] = &[
        (supervice, &["--check", "-c", "/missing/file.ini"]),
        (supervice, &["--check", "-c", &directory_itself]),
        (supervice, &["--check", "-c", &env_file]),
        (supervice, &["--check", "-c", &include]),
        (supervice, &["--check", "-c", &directory]),
        (supervice, &["-n", "-c", &logfile]),
        (supervice, &["-n", "-c", &pidfile]),
        (supervice, &["-n", "-c", &socket]),
        (supervice, &["-n", "-c", &owner]),
        (supervice, &["--init", "--", "/missing/program"]),
        (supervice, &["--init", "--", &directory_itself]),
        (ctl, &["-s", "/missing/socket", "status"]),
        (ctl, &["-s", &env_file, "status"]),
        (ctl, &["-c", "/missing/file.ini", "status"]),
        (ctl, &["-c", &directory_itself, "status"]),
    ];
    for (program, arguments) in situations {
        let output = std::process::Command::new(program).args(*arguments).output().expect("it runs");
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        assert!(!output.status.success() || text.contains("warning: "), "{arguments:?}: {text}");
        assert!(!text.contains("os error"), "{arguments:?}: {text}");
        let paths =
            |line: &str| line.split([':', ' ']).filter(|part| part.starts_with('/')).map(str::to_owned).collect();
        let doubled = |paths: Vec<String>| paths.windows(2).any(|pair| pair[0] == pair[1]);
        let twice = text.lines().find(|line| doubled(paths(line)));
        assert_eq!(twice, None, "{arguments:?}: {text}");
    }
}
