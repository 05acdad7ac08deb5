//! Many programs as PID 1: a daemon in a pid namespace of its own, watched from outside.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use supervice::client::Controller;
use supervice::internals::frames::ProcessStatus;

use super::harness::{SUPERVICE, TEST_TIMEOUT, code, unshare_options, wait_for};

/// What every such daemon is told beside its programs. `DIR` is the test's own directory.
const SETTINGS: &str = "socket = DIR/ctl.sock\npidfile = none\nlogfile = none\n";

/// Before `wait_for` gives up: for who has more to tell than what was waited for.
pub const ALMOST: Duration = TEST_TIMEOUT.saturating_sub(Duration::from_secs(5));

/// A daemon that is PID 1; killed with all that is in its namespace when dropped.
pub struct Container {
    pub dir: tempfile::TempDir,
    child: Child,
}

impl Container {
    /// Runs these programs. `None`: namespaces are not permitted here, and the test is skipped visibly.
    pub fn start(settings: &str, programs: &str) -> Option<Container> {
        Container::arranged("", &format!("[supervice]\n{SETTINGS}{settings}\n{programs}"))
    }

    /// Runs this shell code before it becomes the daemon.
    pub fn arranged(arrangement: &str, config: &str) -> Option<Container> {
        Container::with(&[], arrangement, config, |_| {})
    }

    /// With further namespaces, and a say in the command.
    pub fn with(
        namespaces: &[&str],
        arrangement: &str,
        config: &str,
        prepare: impl FnOnce(&mut Command),
    ) -> Option<Container> {
        let options = unshare_options()?;
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().display().to_string();
        fs::write(dir.path().join("conf"), config.replace("DIR", &path)).expect("a file");
        let log = fs::File::create(dir.path().join("log")).expect("a file");
        let errors = log.try_clone().expect("a descriptor");
        let mut command = Command::new("unshare");
        let script = format!("{} exec \"$0\" -n -c {path}/conf", arrangement.replace("DIR", &path));
        command.args(options).args(namespaces).args(["bash", "-c", &script, SUPERVICE]);
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        prepare(&mut command);
        let child = command.spawn().expect("unshare can be executed");
        Some(Container { dir, child })
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.path(name)).unwrap_or_default()).into_owned()
    }

    pub fn log(&self) -> String {
        self.read("log")
    }

    /// The daemon's pid as the test sees it.
    pub fn pid(&self) -> i32 {
        let path = format!("/proc/{0}/task/{0}/children", self.child.id());
        wait_for("the namespace has a process", || fs::read_to_string(&path).ok()?.trim().parse().ok())
    }

    pub fn controller(&self) -> Controller {
        Controller::new(self.path("ctl.sock").to_str().expect("UTF-8"))
    }

    pub fn wait_state(&self, name: &str, state: &str) -> ProcessStatus {
        let seen = || {
            let all = self.controller().status().ok()?;
            all.into_iter().find(|process| process.name == name && process.state == state)
        };
        let what = format!("{name} is {state}");
        let begin = Instant::now();
        wait_for(&what, || {
            assert!(begin.elapsed() < ALMOST, "{what}: {:?}\n{}", self.controller().status(), self.log());
            seen()
        })
    }

    pub fn signal(&self, signal: i32) {
        super::harness::raw_kill(self.pid(), signal);
    }

    /// Runs supervicectl outside: exit code and what it says on both streams.
    pub fn ctl(&self, args: &[&str]) -> (i32, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_supervicectl"));
        let output = command.arg("-s").arg(self.path("ctl.sock")).args(args).output().expect("it can be executed");
        let text = [output.stdout, output.stderr].concat();
        (code(output.status), String::from_utf8_lossy(&text).into_owned())
    }

    /// The exit code, and the whole log.
    pub fn end(&mut self) -> (i32, String) {
        let status = wait_for("it ends", || self.child.try_wait().expect("waitpid"));
        (code(status), self.log())
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // The namespace dies with its init. --kill-child does not reach one that has changed its user.
        let path = format!("/proc/{0}/task/{0}/children", self.child.id());
        if let Some(init) = fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<i32>().ok()) {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(init), nix::sys::signal::Signal::SIGKILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program section.
pub fn program(name: &str, command: &str, more: &str) -> String {
    format!("[program:{name}]\ncommand = {command}\n{more}\n")
}

pub fn shell(name: &str, script: &str, more: &str) -> String {
    program(name, &format!("/bin/sh -c \"{script}\""), more)
}
