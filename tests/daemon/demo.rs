//! The demonstration does what the README says of it, and the other examples what stands in them.

use std::fs;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{Daemon, wait_until};

/// An example with a socket and other things of its own, so that several run at the same time.
fn example(name: &str, changes: &[(&str, &str)]) -> Daemon {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/examples").join(name));
    let mut daemon = Daemon::unstarted(tempfile::tempdir().expect("a directory"));
    let dir = daemon.dir.path().display().to_string();
    let own = changes.iter().fold(text.expect("the example"), |text, (old, new)| {
        assert!(text.contains(old), "{name} has {old} no more");
        text.replace(old, &new.replace("DIR", &dir))
    });
    fs::write(daemon.path("supervice.conf"), own).expect("the configuration");
    daemon.launch(Command::new(env!("CARGO_BIN_EXE_supervice")));
    daemon.wait_ready();
    daemon
}

fn demonstration() -> Daemon {
    let port = crate::servers::free_port().to_string();
    let changes =
        [("@supervice-demo", "DIR/ctl.sock"), ("/tmp/supervice-demo.queue", "DIR/queue"), ("8799", port.as_str())];
    example("demo.ini", &changes)
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

#[test]
fn the_example_of_a_board_keeps_its_logs_in_memory_and_what_is_disabled_on_its_disk() {
    let mut daemon = example("board.ini", &[("@supervice-board", "DIR/ctl.sock"), ("= board.state", "= DIR/state")]);
    daemon.wait_state("sensor", "RUNNING");
    wait_until("its newest lines are in memory", || daemon.ctl(&["tail", "sensor"]).1.contains("21.5 degrees"));
    let nightly = daemon.status("nightly");
    assert!((nightly.state.as_str(), nightly.next_run.is_some()) == ("STOPPED", true), "{nightly:?}");
    assert_eq!(daemon.ctl(&["disable", "nightly"]), (0, "Disabled nightly\n".to_owned(), String::new()));
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait().code(), Some(0), "{}", daemon.log());
    daemon.launch(Command::new(env!("CARGO_BIN_EXE_supervice")));
    daemon.wait_ready();
    assert_eq!(daemon.status("nightly").disabled, Some(true));
    daemon.wait_state("sensor", "RUNNING");
    daemon.terminate();
}

#[test]
fn the_example_of_a_server_of_jobs_tells_their_times_and_runs_them() {
    let daemon = example("batch.ini", &[("@supervice-batch", "DIR/ctl.sock"), ("= batch.state", "= DIR/state")]);
    daemon.wait_state("cleanup", "EXITED");
    for name in ["backup", "report", "poll", "import", "inventory"] {
        // One of them may run at this moment.
        wait_until("its next time is told", || daemon.ctl(&["status", name]).1.contains("; next "));
    }
    assert!(daemon.status("backup").next_run.is_some_and(|at| at % 3600 == 0));
    assert_eq!(daemon.status("cleanup").next_run, None, "never again");
    assert_eq!(daemon.ctl(&["start", "import"]).0, 0);
    wait_until("its output is there", || daemon.ctl(&["tail", "import"]).1.contains("imported"));
    daemon.wait_state("import", "EXITED");
    daemon.terminate();
}
