//! The demonstration does what the README says of it.

use std::fs;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{Daemon, wait_until};

/// The demonstration with a socket, a port and a file of its own, so that several run at the same time.
fn demonstration() -> Daemon {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/examples/demo.ini"));
    let text = text.expect("the demonstration");
    let port = crate::servers::free_port().to_string();
    let mut daemon = Daemon::unstarted(tempfile::tempdir().expect("a directory"));
    let changes = [
        ("@supervice-demo", daemon.path("ctl.sock")),
        ("/tmp/supervice-demo.queue", daemon.path("queue")),
        ("8799", port.into()),
    ];
    let own = changes.iter().fold(text, |text, (old, new)| {
        assert!(text.contains(old), "the demonstration has {old} no more");
        text.replace(old, &new.display().to_string())
    });
    fs::write(daemon.path("supervice.conf"), own).expect("the configuration");
    daemon.launch(Command::new(env!("CARGO_BIN_EXE_supervice")));
    daemon.wait_ready();
    daemon
}

#[test]
fn the_readmes_first_command_and_what_follows() {
    let daemon = demonstration();
    for name in ["web", "worker:00", "worker:01", "worker:02", "queue", "flaky"] {
        daemon.wait_state(name, "RUNNING");
    }
    for name in ["web", "queue"] {
        wait_until("it is healthy", || daemon.status(name).healthy == Some(true));
    }
    assert_eq!(daemon.status("on-demand").state, "STOPPED");
    assert_eq!(daemon.ctl(&["start", "on-demand"]).0, 0);
    assert_eq!(daemon.ctl(&["stopgroup", "backend"]).0, 0);
    assert!(["worker:00", "worker:01", "worker:02", "queue"].iter().all(|name| daemon.status(name).pid.is_none()));
    assert_eq!(daemon.ctl(&["startgroup", "backend"]).0, 0);
    let web = daemon.status("web").pid.expect("it runs");
    kill(Pid::from_raw(web), Signal::SIGKILL).expect("it can be killed");
    wait_until("it is back", || daemon.status("web").pid.is_some_and(|pid| pid != web));
    wait_until("the one that crashes now and then came back", || daemon.status("flaky").restarts >= Some(1));
    daemon.wait_log("job 1 done");
    daemon.terminate();
}
