//! The Python package `supervice` speaks the same protocol: its client drives our daemon, and our
//! client drives its daemon. Runs where `SUPERVICE_TEST_PYTHON` names a python that has the package.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use supervice::client::{ClientError, Controller};

use crate::harness::{Daemon, alive, wait_until};

/// The python that has the package, and the directory of its commands.
pub fn python() -> Option<PathBuf> {
    let found = std::env::var_os("SUPERVICE_TEST_PYTHON").map(PathBuf::from).filter(|path| path.exists());
    if found.is_none() {
        assert!(std::env::var_os("SUPERVICE_TEST_REQUIRE").is_none(), "SUPERVICE_TEST_PYTHON names no python");
        println!("SKIPPED: SUPERVICE_TEST_PYTHON names no python with the package supervice");
    }
    found
}

const PROGRAMS: &str = "[program:web]\ncommand = sleep 1000\nstartsecs = 1\n\
                        [program:job]\ncommand = sleep 1000\nnumprocs = 2\nautostart = false\nstartsecs = 1\n\
                        [group:jobs]\nprograms = job\n";

#[test]
fn the_python_client_drives_our_daemon() {
    let Some(python) = python() else { return };
    let daemon = Daemon::start(PROGRAMS);
    daemon.wait_state("web", "RUNNING");
    let ctl = |args: &[&str]| -> (bool, String) {
        let output: Output = Command::new(python.with_file_name("supervicectl"))
            .arg("-s")
            .arg(daemon.path("ctl.sock"))
            .args(args)
            .output()
            .expect("the Python supervicectl");
        (output.status.success(), String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let (ok, table) = ctl(&["status"]);
    assert!(ok && table.contains("web") && table.contains("RUNNING") && table.contains("job:00"), "{table}");
    assert_eq!(ctl(&["stop", "web"]), (true, "Stopped web".into()));
    assert_eq!(ctl(&["start", "web"]), (true, "Started web".into()));
    assert_eq!(ctl(&["restart", "web"]), (true, "Restarted web".into()));
    assert_eq!(ctl(&["restart", "--force", "web"]), (true, "Restarted web".into()));
    assert_eq!(ctl(&["startgroup", "jobs"]), (true, "Started group jobs".into()));
    assert_eq!(ctl(&["stopgroup", "jobs"]), (true, "Stopped group jobs".into()));
    daemon.write_config(&format!("{PROGRAMS}[program:new]\ncommand = sleep 1000\n"), &[]);
    assert_eq!(ctl(&["reload"]), (true, "Added: new".into()));
    let (ok, message) = ctl(&["start", "nobody"]);
    assert!(!ok && message.contains("nobody"), "{message}");

    let script = format!(
        "import asyncio\nfrom supervice.client import Controller\nasync def main():\n c = Controller({:?})\n \
         assert await c.status()\n assert await c.stop_process('web')\n assert await c.start_process('web')\n \
         assert await c.restart_process('web', force=True)\n assert await c.start_group('jobs')\n \
         assert await c.stop_group('jobs')\n assert await c.reload()\n \
         r = await c.send_command('status')\n assert r['status'] == 'ok' and len(r['processes']) == 4, r\n\
         asyncio.run(main())\n",
        daemon.path("ctl.sock").to_str().expect("UTF-8")
    );
    let output = Command::new(&python).args(["-c", &script]).output().expect("python");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    daemon.terminate();
}

struct PythonDaemon {
    dir: tempfile::TempDir,
    child: Child,
}

impl PythonDaemon {
    fn config(&self, programs: &str) {
        let text =
            format!("[supervice]\nsocket = {0}/ctl.sock\npidfile = {0}/pid\n{programs}", self.dir.path().display());
        fs::write(self.dir.path().join("conf"), text).expect("a file");
    }
}

impl Drop for PythonDaemon {
    fn drop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap_or(0));
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.child.wait();
    }
}

#[test]
fn our_client_drives_the_python_daemon() {
    let Some(python) = python() else { return };
    let dir = tempfile::tempdir().expect("a directory");
    // Stopping takes the shell of a moment: the file is written before the daemon is started.
    let log = fs::File::create(dir.path().join("out")).expect("a file");
    let text = format!("[supervice]\nsocket = {0}/ctl.sock\npidfile = {0}/pid\n{PROGRAMS}", dir.path().display());
    fs::write(dir.path().join("conf"), text).expect("a file");
    let child = Command::new(python.with_file_name("supervice"))
        .args(["-n", "-c", "conf"])
        .current_dir(dir.path())
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a descriptor"))
        .stderr(log)
        .spawn()
        .expect("the Python daemon");
    let daemon = PythonDaemon { dir, child };
    let socket = daemon.dir.path().join("ctl.sock");
    let controller = Controller::new(socket.to_str().expect("UTF-8"));
    let state = |name: &str| {
        let all = controller.status().unwrap_or_default();
        all.into_iter().find(|process| process.name == name).map(|process| (process.state, process.pid))
    };
    wait_until("web runs", || state("web").is_some_and(|(state, _)| state == "RUNNING"));
    let ctl = |args: &[&str]| -> (i32, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_supervicectl")).arg("-s").arg(&socket).args(args).output();
        let output = output.expect("supervicectl");
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let (code, table) = ctl(&["status"]);
    assert!(code == 0 && table.contains("web") && table.contains("RUNNING"), "{table}");
    assert_eq!(ctl(&["stop", "web"]), (0, "Stopped web".into()));
    assert_eq!(ctl(&["start", "web"]), (0, "Started web".into()));
    assert_eq!(ctl(&["restart", "web"]), (0, "Restarted web".into()));
    assert_eq!(ctl(&["restart", "--force", "web"]), (0, "Restarted web".into()));
    assert_eq!(ctl(&["startgroup", "jobs"]), (0, "Started group jobs".into()));
    assert_eq!(ctl(&["stopgroup", "jobs"]), (0, "Stopped group jobs".into()));
    daemon.config(&format!("{PROGRAMS}[program:new]\ncommand = sleep 1000\n"));
    assert_eq!(ctl(&["reload"]), (0, "Added: new".into()));
    assert_eq!(ctl(&["start", "nobody"]).0, 1);

    controller.stop_process("web").expect("stop");
    controller.start_process("web").expect("start");
    controller.restart_process("web", true).expect("restart");
    controller.start_group("jobs").expect("startgroup");
    controller.stop_group("jobs").expect("stopgroup");
    controller.reload().expect("reload");
    assert!(matches!(controller.start_process("nobody"), Err(ClientError::Failed { .. })));
    assert!(state("web").and_then(|(_, pid)| pid).is_some_and(alive));
}
