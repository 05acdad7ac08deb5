//! The same file run by an original and by us: what its programs saw is the same, but for the list at the end of
//! supervice.conf(5). The originals are the Python package `supervice` 0.4.2 and `supervisor` 4.3.0; `SUPERVICE_TEST_PYTHON` is
//! a Python that has both.

mod facts;
mod stop_order;
mod supervice;
mod supervisord;

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, geteuid};

use crate::harness::{TEST_TIMEOUT, alive, wait_for, wait_until, write_executable};
use crate::interop::python;
use facts::Seen;

/// Writes what the program sees into `facts/PID` and says a word on both of its outputs.
const SHOW: &str = r#"#!/bin/sh
out=DIR/facts/new.$$
mkdir $out && cd /proc/$$ || exit 1
cat cmdline > $out/cmdline; cat environ > $out/environ; cat /proc/self/status > $out/status; cat limits > $out/limits
stdin=$(readlink fd/0) stdout=$(readlink fd/1) stderr=$(readlink fd/2)
echo "$stdin" > $out/stdin; echo "$stdout" > $out/stdout; echo "$stderr" > $out/stderr
cat stat > $out/stat; ls fd > $out/fds; readlink exe > $out/exe; cat oom_score_adj > $out/oom
cd "$OLDPWD"; pwd -P > $out/cwd
echo "out $*"; echo "err $*" >&2
mv $out DIR/facts/$$
exec sleep 1000
"#;

/// Which original, and how it is started.
#[derive(Clone, Copy, PartialEq)]
enum Original {
    Supervice,
    Supervisord,
}

/// A configuration and what is around it. `DIR` stands for its directory, in which `show` is the program that is watched.
struct Site {
    original: Original,
    text: &'static str,
    files: &'static [(&'static str, &'static str)],
    /// How many programs it starts.
    programs: usize,
    /// Only root can do this: the user whose the directory is.
    owner: Option<&'static str>,
    /// In the background, where the daemon's `directory` and `umask` count.
    detached: bool,
    /// What a shell does before it becomes the daemon.
    before: &'static str,
}

const SITE: Site = Site {
    original: Original::Supervisord,
    text: "",
    files: &[],
    programs: 1,
    owner: None,
    detached: false,
    before: "",
};

impl Site {
    /// Runs it under the original and under us.
    fn compare(&self) {
        let Some(python) = python() else { return };
        if self.owner.is_some() && !geteuid().is_root() {
            println!("SKIPPED: only root can become another user");
            return;
        }
        let original = match self.original {
            Original::Supervice => python.with_file_name("supervice"),
            Original::Supervisord => python.with_file_name("supervisord"),
        };
        let dir = tempfile::tempdir().expect("a directory");
        self.write(dir.path());
        let theirs = self.run(dir.path(), &original);
        let ours = self.run(dir.path(), Path::new(env!("CARGO_BIN_EXE_supervice")));
        assert_eq!(theirs.programs.len(), self.programs, "the original started others: {theirs:#?}");
        ours.assert_same(&theirs, self.original);
    }

    fn write(&self, dir: &Path) {
        let owner = self.owner.map(|name| User::from_name(name).expect("read").expect("a user"));
        for name in ["", "facts", "logs", "sub"] {
            fs::create_dir_all(dir.join(name)).expect("a directory");
        }
        // Without one we listen at the default path, where another test or a daemon of the machine may be.
        let needs_server = self.original == Original::Supervisord && !self.text.contains("[unix_http_server]");
        let server = if needs_server { "[unix_http_server]\nfile=DIR/http.sock\n" } else { "" };
        let text = format!("{}{server}", self.text);
        let main = [("show", SHOW), ("main.conf", text.as_str())];
        for (name, text) in main.iter().chain(self.files) {
            let path = dir.join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
            write_executable(&path, text.replace("DIR/", &format!("{}/", dir.display())));
        }
        for name in ["", "logs", "sub"] {
            let path = dir.join(name);
            fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("its mode");
            if let Some(owner) = &owner {
                chown(&path, Some(owner.uid.as_raw()), Some(owner.gid.as_raw())).expect("its owner");
            }
        }
        fs::set_permissions(dir.join("facts"), PermissionsExt::from_mode(0o1777)).expect("its mode");
    }

    /// What the programs see under this daemon; the directory is as before afterwards.
    fn run(&self, dir: &Path, daemon: &Path) -> Seen {
        let mut running = Running::start(self, dir, daemon);
        let facts = dir.join("facts");
        let reported = || {
            let names =
                fs::read_dir(&facts).expect("facts").filter_map(|entry| entry.ok()?.file_name().into_string().ok());
            names.filter(|name| !name.starts_with("new.")).count()
        };
        let deadline = Instant::now() + TEST_TIMEOUT;
        while reported() < self.programs {
            running.assert_alive();
            let seen = reported();
            assert!(Instant::now() < deadline, "{seen} programs of {}: {}", daemon.display(), running.out());
            std::thread::sleep(Duration::from_millis(5));
        }
        let controlled = if self.original == Original::Supervice { running.names() } else { Vec::new() };
        running.end();
        let seen = Seen::read(dir, controlled);
        for name in ["facts", "logs"] {
            for entry in fs::read_dir(dir.join(name)).expect("a directory").filter_map(Result::ok) {
                let path = entry.path();
                if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.expect("removed");
            }
        }
        seen
    }
}

/// A daemon at work; killed with its programs when dropped.
struct Running {
    dir: PathBuf,
    child: Child,
    detached: bool,
}

impl Running {
    fn start(site: &Site, dir: &Path, daemon: &Path) -> Running {
        let out = fs::File::create(dir.join("daemon.out")).expect("a file");
        let foreground = if site.detached { "" } else { "-n" };
        let script = format!("{}\nexec \"$0\" {foreground} -c main.conf", site.before);
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &script]).arg(daemon).current_dir(dir).env_clear();
        // Python sets LC_CTYPE where it finds none.
        command.env("LC_CTYPE", "C.UTF-8").env("HOME", "/root").env("PATH", "/usr/local/bin:/usr/bin:/bin");
        command.env("TEST_WORD", "from outside").env("EMPTY", "");
        command.stdin(Stdio::null()).stdout(out.try_clone().expect("a descriptor")).stderr(out);
        Running { dir: dir.to_owned(), child: command.spawn().expect("the daemon"), detached: site.detached }
    }

    fn out(&self) -> String {
        fs::read_to_string(self.dir.join("daemon.out")).unwrap_or_default()
            + &fs::read_to_string(self.dir.join("daemon.log")).unwrap_or_default()
    }

    fn assert_alive(&mut self) {
        let ended = self.child.try_wait().expect("waitpid");
        let is_right = ended.is_none_or(|status| self.detached && status.success());
        assert!(is_right, "the daemon ended: {ended:?}\n{}", self.out());
    }

    fn names(&self) -> Vec<String> {
        let socket = self.dir.join("ctl.sock");
        let controller = ::supervice::client::Controller::new(socket.to_str().expect("UTF-8"));
        let rows = wait_for("the daemon answers", || controller.status().ok());
        rows.into_iter().map(|row| row.name).collect()
    }

    fn pid(&self) -> Option<i32> {
        if self.detached {
            return fs::read_to_string(self.dir.join("daemon.pid")).ok()?.trim().parse().ok();
        }
        i32::try_from(self.child.id()).ok()
    }

    fn end(&mut self) {
        let pid = wait_for("the daemon's pid is known", || self.pid());
        kill(Pid::from_raw(pid), Signal::SIGTERM).expect("the daemon lives");
        wait_until("the daemon ends", || {
            let _ = self.child.try_wait();
            !alive(pid)
        });
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let reported = fs::read_dir(self.dir.join("facts")).into_iter().flatten();
        let programs = reported.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
        let ours: Vec<i32> = self.pid().into_iter().chain(programs).filter(|pid| is_of(&self.dir, *pid)).collect();
        for pid in ours {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a process is one of this test's: a pid may be another's by now.
fn is_of(dir: &Path, pid: i32) -> bool {
    let here = fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(dir));
    let named = fs::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|environ| String::from_utf8_lossy(&environ).contains("TEST_WORD=from outside"));
    here || named
}
