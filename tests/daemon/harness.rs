//! A real daemon in a directory of its own, and the means to watch it from outside.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use supervice::client::Controller;
use supervice::internals::frames::ProcessStatus;

/// What any single thing may take on a busy machine before a test gives up.
pub const TEST_TIMEOUT: Duration = Duration::from_secs(120);

/// Waits until `probe` answers, and fails naming `what` if it never does.
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

/// Waits until `probe` holds.
pub fn wait_until(what: &str, mut probe: impl FnMut() -> bool) {
    wait_for(what, || probe().then_some(()));
}

/// A running daemon in the foreground; killed with all its children when dropped.
pub struct Daemon {
    pub dir: tempfile::TempDir,
    child: Option<Child>,
}

impl Daemon {
    /// Starts a daemon with these sections (beside `[supervice]`) and waits until it answers.
    pub fn start(sections: &str) -> Daemon {
        Daemon::start_in(tempfile::tempdir().expect("a directory"), sections, &[])
    }

    /// As `start`, in a given directory, with further settings for `[supervice]`. `DIR` stands for the directory.
    pub fn start_in(dir: tempfile::TempDir, sections: &str, settings: &[&str]) -> Daemon {
        let mut daemon = Daemon { dir, child: None };
        daemon.write_config(sections, settings);
        daemon.launch(Command::new(env!("CARGO_BIN_EXE_supervice")));
        daemon.wait_ready();
        daemon
    }

    /// A daemon that is not started yet.
    pub fn unstarted(dir: tempfile::TempDir) -> Daemon {
        Daemon { dir, child: None }
    }

    /// Removes a directory that the configuration had to name when it was loaded.
    pub fn with_directory_removed(self, name: &str) -> Daemon {
        fs::remove_dir(self.path(name)).expect("it exists and is empty");
        self
    }

    /// Starts the daemon by this command, to which `-n -c FILE` is added.
    pub fn launch(&mut self, mut command: Command) {
        let log = fs::File::create(self.path("daemon.out")).expect("a file");
        let errors = log.try_clone().expect("a descriptor");
        let child = command
            .args(["-n", "-c"])
            .arg(self.path("supervice.conf"))
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn();
        self.child = Some(child.expect("the daemon can be executed"));
    }

    pub fn wait_ready(&mut self) {
        wait_until("the daemon answers", || {
            if let Some(status) = self.child.as_mut().expect("launched").try_wait().expect("waitpid") {
                panic!("the daemon ended at once with {status}:\n{}", self.log());
            }
            self.controller().status().is_ok()
        });
    }

    pub fn write_config(&self, sections: &str, settings: &[&str]) {
        let dir = self.dir.path().display().to_string();
        let text = format!(
            "[supervice]\nsocket = DIR/ctl.sock\npidfile = DIR/daemon.pid\nlogfile = none\nloglevel = DEBUG\n{}\n{sections}\n",
            settings.join("\n")
        );
        // In one step: a reload that somebody else has asked for must not read the half of it.
        let new = self.path(&format!("supervice.conf.{:?}", std::thread::current().id()));
        fs::write(&new, text.replace("DIR", &dir).replace("-TEST", &format!("-{}", std::process::id())))
            .expect("the configuration");
        fs::rename(&new, self.path("supervice.conf")).expect("the configuration");
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn read(&self, name: &str) -> String {
        fs::read(self.path(name)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// What the daemon has written to its standard output and error.
    pub fn log(&self) -> String {
        self.read("daemon.out")
    }

    /// Waits until the daemon has said this. (The log is written beside the work: an answer may be earlier.)
    pub fn wait_log(&self, text: &str) {
        wait_until(&format!("it says '{text}'"), || self.log().contains(text));
    }

    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.as_ref().expect("launched").id()).expect("a pid")
    }

    pub fn controller(&self) -> Controller {
        Controller::new(self.path("ctl.sock").to_str().expect("UTF-8"))
    }

    /// Runs `supervicectl` on this daemon: exit code, standard output, standard error.
    pub fn ctl(&self, args: &[&str]) -> (i32, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_supervicectl"))
            .arg("-s")
            .arg(self.path("ctl.sock"))
            .args(args)
            .stdin(Stdio::null())
            .output()
            .expect("supervicectl can be executed");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
    }

    pub fn all(&self) -> Vec<ProcessStatus> {
        self.controller().status().unwrap_or_else(|error| panic!("status: {error}\n{}", self.log()))
    }

    pub fn status(&self, name: &str) -> ProcessStatus {
        let all = self.all();
        all.into_iter().find(|process| process.name == name).unwrap_or_else(|| panic!("no process {name}"))
    }

    pub fn wait_state(&self, name: &str, state: &str) -> ProcessStatus {
        let deadline = Instant::now() + TEST_TIMEOUT;
        loop {
            let status = self.status(name);
            if status.state == state {
                return status;
            }
            assert!(Instant::now() < deadline, "{name} never became {state}: {status:?}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).expect("the daemon lives");
    }

    /// Signals the main process of a program, as anybody could.
    pub fn signal_to(&self, name: &str, signal: Signal) {
        let pid = self.status(name).pid.expect("it runs");
        kill(Pid::from_raw(pid), signal).expect("it lives");
    }

    /// Waits for the daemon's end.
    pub fn wait(&mut self) -> ExitStatus {
        let child = self.child.as_mut().expect("launched");
        wait_for("the daemon ends", || child.try_wait().expect("waitpid"))
    }

    /// TERM, and everything that must be true afterwards.
    pub fn terminate(mut self) -> String {
        let left = self.descendants();
        self.signal(Signal::SIGTERM);
        let status = self.wait();
        assert_eq!(status.code(), Some(0), "{}", self.log());
        assert!(!self.path("ctl.sock").exists(), "the socket is left behind");
        assert!(!self.path("daemon.pid").exists(), "the pid file is left behind");
        let alive: Vec<i32> = left.into_iter().filter(|pid| alive(*pid)).collect();
        assert!(alive.is_empty(), "processes {alive:?} are left behind\n{}", self.log());
        self.log()
    }

    /// Every process below the daemon.
    pub fn descendants(&self) -> BTreeSet<i32> {
        descendants(self.pid())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let Some(child) = &mut self.child else { return };
        if let Ok(Some(_)) = child.try_wait() {
            return;
        }
        let below = descendants(i32::try_from(child.id()).unwrap_or(0));
        let _ = child.kill();
        let _ = child.wait();
        for pid in below {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

/// `(ppid, process group, state)` of a process, from /proc.
pub fn stat(pid: i32) -> Option<(i32, i32, char)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let rest = text.get(text.rfind(')')? + 2..)?;
    let mut fields = rest.split(' ');
    let state = fields.next()?.chars().next()?;
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?, state))
}

/// Waits until a process that the daemon has just made has executed its program: where a machine is busy the daemon does not
/// wait for that, and until then what /proc tells is the daemon's own. Returns it.
pub fn executed(pid: i32) -> i32 {
    let exe = |pid: i32| fs::read_link(format!("/proc/{pid}/exe")).ok();
    wait_until("it has executed its program", || {
        let parent = stat(pid).and_then(|(parent, ..)| exe(parent));
        exe(pid).is_none_or(|exe| Some(exe) != parent) && !is_in_exec(pid)
    });
    pid
}

/// Writes a program. This process never has it open: what another test forks meanwhile would hold a copy of the descriptor until
/// it executes its program, and the kernel executes nothing that somebody can write to.
pub fn write_executable(path: &Path, text: impl AsRef<[u8]>) {
    let mut install =
        Command::new("install").args(["--mode=755", "/dev/stdin"]).arg(path).stdin(Stdio::piped()).spawn();
    let install = install.as_mut().expect("install can be executed");
    install.stdin.take().expect("piped").write_all(text.as_ref()).expect("it reads");
    assert!(install.wait().expect("waitpid").success());
}

/// Copies a program, for the same reason by another process.
pub fn copy_executable(from: &str, to: &Path) {
    assert!(Command::new("cp").arg(from).arg(to).status().expect("cp can be executed").success());
}

/// Neither gone nor a zombie.
pub fn alive(pid: i32) -> bool {
    stat(pid).is_some_and(|(_, _, state)| state != 'Z')
}

/// Every process on the machine.
pub fn pids() -> Vec<i32> {
    let entries = fs::read_dir("/proc").expect("/proc is mounted");
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

fn descendants(root: i32) -> BTreeSet<i32> {
    let parents: Vec<(i32, i32)> = pids().into_iter().filter_map(|pid| Some((pid, stat(pid)?.0))).collect();
    let mut found = BTreeSet::new();
    let mut open = vec![root];
    while let Some(parent) = open.pop() {
        for (pid, _) in parents.iter().filter(|(_, ppid)| *ppid == parent) {
            if found.insert(*pid) {
                open.push(*pid);
            }
        }
    }
    found
}

/// Every living process whose environment holds `MARK=value-TEST` (`TEST` stands for this test program's pid, so
/// that another run of the tests is not mistaken for this one): also those that have left the daemon's tree.
pub fn marked(value: &str) -> Vec<i32> {
    let wanted = format!("MARK={value}-{}", std::process::id()).into_bytes();
    let has_mark = |pid: &i32| environ(*pid).split(|byte| *byte == 0).any(|entry| entry == wanted);
    pids().into_iter().filter(has_mark).filter(|pid| alive(*pid)).collect()
}

/// A process's environment. While a program is being executed there is none for a moment, which is waited for.
fn environ(pid: i32) -> Vec<u8> {
    let deadline = Instant::now() + TEST_TIMEOUT;
    loop {
        // What one may not read tells nothing of itself, not even whether it is in exec.
        let Ok(environ) = fs::read(format!("/proc/{pid}/environ")) else { return Vec::new() };
        if !environ.is_empty() || !is_in_exec(pid) || Instant::now() > deadline {
            return environ;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn is_in_exec(pid: i32) -> bool {
    const KERNEL_THREAD: u64 = 0x0020_0000;
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_ascii_whitespace().collect();
    // As proc(5) numbers them: the third is the first behind the name.
    let field = |number: usize| fields.get(number - 3).and_then(|field| field.parse::<u64>().ok());
    let ended = matches!(fields.first(), None | Some(&("Z" | "X")));
    !ended && field(50) == Some(0) && field(9).is_some_and(|flags| flags & KERNEL_THREAD == 0)
}

/// The first word of a file that a program writes, once it is there.
pub fn word_in(path: &Path) -> String {
    wait_for(&format!("{} is written", path.display()), || {
        let text = fs::read_to_string(path).ok()?;
        text.ends_with('\n').then(|| text.trim().to_owned())
    })
}

/// The CPU time that a process has used, in clock ticks (10 ms).
pub fn cpu_ticks(pid: i32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let rest = text.rfind(')').and_then(|end| text.get(end + 2..)).unwrap_or_default();
    let field = |n: usize| rest.split(' ').nth(n).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    field(11) + field(12)
}

/// How many descriptors a process holds.
pub fn open_fds(pid: i32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map(Iterator::count).unwrap_or(0)
}
