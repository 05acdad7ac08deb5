//! Ways to start an init: as it is, as PID 1 of its own pid namespace, on a terminal.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::Pid;

pub const SUPERVICE: &str = env!("CARGO_BIN_EXE_supervice");
/// What any single thing may take on a busy machine before a test gives up.
pub const TEST_TIMEOUT: Duration = Duration::from_secs(120);

/// A job in the background of a script, or under nohup, ignores some, and so do its children: a shell can't catch them.
pub fn is_ignored_here(signal: i32) -> bool {
    const SIGPIPE: i32 = 13;
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc is there");
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).expect("the mask is there");
    let mask = u64::from_str_radix(mask.trim(), 16).expect("a number");
    // Rust ignores SIGPIPE, but not in children.
    let ignored = signal != SIGPIPE && mask >> (signal - 1) & 1 == 1;
    if ignored {
        println!("SKIPPED: signal {signal} is ignored where these tests run");
    }
    ignored
}

pub fn wait_for<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + TEST_TIMEOUT;
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Writes a program. This process never has it open: what another test forks meanwhile would hold a copy of the descriptor until
/// it executes its program, and the kernel executes nothing that somebody can write to.
pub fn write_executable(path: &std::path::Path, text: &str) {
    let install = Command::new("install").args(["--mode=755", "/dev/stdin"]).arg(path).stdin(Stdio::piped()).spawn();
    let mut install = install.expect("install can be executed");
    install.stdin.take().expect("piped").write_all(text.as_bytes()).expect("it reads");
    assert!(install.wait().expect("waitpid").success(), "{} is written", path.display());
}

/// A command line of ours by what it is called as: `init NAME ARGS`.
pub fn init(called: &str, args: &[&str]) -> Command {
    let mut command = Command::new(SUPERVICE);
    command.arg0(called);
    if called == "supervice" {
        command.arg("--init");
    }
    command.args(args);
    for name in ["TINI_SUBREAPER", "TINI_VERBOSITY", "DUMB_INIT_SETSID", "DUMB_INIT_DEBUG", "CATATONIT_DEBUG"] {
        command.env_remove(name);
    }
    command
}

/// The options of `unshare` that give a pid namespace here; `None`: it is not permitted, and the test is skipped visibly.
pub fn unshare_options() -> Option<&'static [&'static str]> {
    static OPTIONS: OnceLock<Option<&'static [&'static str]>> = OnceLock::new();
    const WAYS: [&[&str]; 2] = [
        &["--pid", "--fork", "--kill-child", "--mount-proc"],
        &["--user", "--map-root-user", "--pid", "--fork", "--kill-child", "--mount-proc"],
    ];
    *OPTIONS.get_or_init(|| {
        let works = |way: &&[&str]| {
            let probe = Command::new("unshare").args(*way).arg("true").stderr(Stdio::null()).status();
            probe.is_ok_and(|status| status.success())
        };
        WAYS.into_iter().find(works)
    })
}

/// The same as PID 1 of its own pid namespace.
pub fn as_pid_1(called: &str, args: &[&str]) -> Option<Command> {
    let Some(options) = unshare_options() else {
        println!("SKIPPED: unshare --pid is not permitted here");
        return None;
    };
    let mut command = Command::new("unshare");
    // The shell gives the init the name that it shall be called by.
    command.args(options).args(["bash", "-c", "exec -a \"$0\" \"$@\"", called, SUPERVICE]);
    if called == "supervice" {
        command.arg("--init");
    }
    command.args(args);
    Some(command)
}

/// Exit code (128 + signal), standard output, standard error.
pub fn outcome(mut command: Command) -> (i32, String, String) {
    let output = command.stdin(Stdio::null()).output().expect("it can be executed");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (code(output.status), text(output.stdout), text(output.stderr))
}

pub fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// A running init; killed with what its program has printed as its group when dropped.
pub struct Running {
    pub child: Child,
    pub stdin: Option<ChildStdin>,
    lines: BufReader<ChildStdout>,
}

impl Running {
    pub fn start(mut command: Command) -> Running {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it can be executed");
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().expect("piped"));
        Running { child, stdin, lines: BufReader::new(stdout) }
    }

    /// Our own pid as the kernel of the test sees it: below `unshare`, its only child.
    pub fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    pub fn inner_pid(&self) -> i32 {
        let path = format!("/proc/{0}/task/{0}/children", self.pid());
        wait_for("the namespace has a process", || std::fs::read_to_string(&path).ok()?.trim().parse().ok())
    }

    pub fn send(&self, signal: i32) {
        raw_kill(self.pid(), signal);
    }

    /// The next line of the program; empty at the end.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("a pipe");
        line.trim_end().to_owned()
    }

    pub fn type_in(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().expect("not closed");
        stdin.write_all(text.as_bytes()).and_then(|()| stdin.flush()).expect("it reads");
    }

    /// Reads until this text has come; what was read.
    pub fn read_until(&mut self, wanted: &str) -> String {
        let mut seen = String::new();
        let mut byte = [0];
        while !seen.contains(wanted) {
            let count = self.lines.read(&mut byte).expect("a pipe");
            assert!(count == 1, "the end came before {wanted:?}: {seen:?}");
            seen.push(char::from(byte[0]));
        }
        seen
    }

    pub fn wait(&mut self) -> i32 {
        code(wait_for("it ends", || self.child.try_wait().expect("waitpid")))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Real-time signals are unknown to nix's `Signal`.
pub fn raw_kill(pid: i32, signal: i32) {
    // The only way without unsafe code in a test: `kill` of the shell.
    let status = Command::new("/bin/sh").args(["-c", &format!("kill -{signal} {pid}")]).status().expect("sh");
    assert!(status.success(), "kill -{signal} {pid}");
}

pub fn is_alive(pid: i32) -> bool {
    nix::sys::signal::kill(Pid::from_raw(pid), None::<Signal>).is_ok()
}

pub fn stat_field(pid: i32, index: usize) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    text.rsplit_once(')')?.1.split_whitespace().nth(index).map(str::to_owned)
}
