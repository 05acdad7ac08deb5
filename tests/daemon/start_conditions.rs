//! Starts that wait for something outside: a path, a socket, a flag, the network, a command.

use std::os::unix::net::UnixListener;
use std::process::Command;

use crate::harness::{Daemon, wait_until};

fn wait_told(daemon: &Daemon, name: &str, told: &str) {
    wait_until(&format!("{name} says {told}"), || {
        let status = daemon.status(name);
        let waits = (status.state.as_str(), status.pid) == ("STARTING", None);
        waits && status.description.as_deref().is_some_and(|text| text.contains(told))
    });
}

/// Row 32: `why` names what it waits for.
#[test]
fn a_program_starts_when_what_it_waits_for_is_there() {
    let daemon = Daemon::start(
        "[program:path]\ncommand = sleep 1000\nstartsecs = 0\nstart_when = path:DIR/run/device\n\
         [program:both]\ncommand = sleep 1000\nstartsecs = 0\nstart_when = unix:DIR/socket,\n    command:echo not yet >&2; test -e DIR/well, -o -e DIR/well\n",
    );
    let path = daemon.path("run/device");
    wait_told(&daemon, "path", &format!("waiting for path:{}", path.display()));
    wait_told(&daemon, "both", "No such file or directory");
    wait_told(&daemon, "both", "not yet");
    let why = daemon.controller().why("path").expect("why").lines.join("\n");
    assert!(why.contains("waiting for path:") && why.contains("starts as soon as that holds"), "{why}");
    let (_, json, _) = daemon.ctl(&["status", "--json", "path"]);
    assert!(json.contains(r#""kind":"condition""#) || json.contains(r#""kind": "condition""#), "{json}");
    std::fs::create_dir(daemon.path("run")).expect("a directory");
    std::fs::write(&path, "").expect("a file");
    daemon.wait_state("path", "RUNNING");
    let _listener = UnixListener::bind(daemon.path("socket")).expect("a socket");
    std::fs::write(daemon.path("well,"), "").expect("a file");
    daemon.wait_state("both", "RUNNING");
    // It has to be there at each start.
    std::fs::remove_file(&path).expect("it is there");
    let controller = daemon.controller();
    let restart = std::thread::spawn(move || controller.restart_process("path", false).map(drop));
    daemon.wait_state("path", "STARTING");
    wait_told(&daemon, "path", "waiting for path:");
    std::fs::write(&path, "").expect("a file");
    restart.join().expect("no panic").expect("it restarts");
    daemon.terminate();
}

/// Row 36: a stop while it waits is answered, and nothing is left of the waiting. Row 58: so is the end of the daemon.
#[test]
fn what_waits_can_be_stopped_and_gives_up_in_time() {
    let daemon = Daemon::start(
        "[program:stopped]\ncommand = sleep 1000\nstart_when = path:DIR/never, command:sleep 1000\n\
         [program:late]\ncommand = sleep 1000\nautostart = false\nstartretries = 0\nstart_when = path:DIR/never\n\
         start_when_timeout = 1\n\
         [program:waits]\ncommand = sleep 1000\nstart_when = path:DIR/never",
    );
    wait_told(&daemon, "stopped", "waiting for path:");
    daemon.controller().stop_process("stopped").expect("a stop");
    assert_eq!(daemon.status("stopped").state, "STOPPED");
    let error = daemon.controller().start_process("late").expect_err("it is too late").to_string();
    let told = format!("it waited in vain for path:{}, 1 s (start_when_timeout)", daemon.path("never").display());
    assert!(error.contains(&told), "{error}");
    wait_told(&daemon, "waits", "waiting for path:");
    daemon.terminate();
}

#[test]
fn flags_are_set_listed_and_cleared_and_the_log_tells_who_did() {
    let daemon = Daemon::start(
        "[program:one]\ncommand = sleep 1000\nstartsecs = 0\nstart_when = flag:provisioned\n\
         [program:both]\ncommand = sleep 1000\nstartsecs = 0\nstart_when = flag:provisioned, flag:other",
    );
    wait_told(&daemon, "one", "waiting for flag:provisioned");
    let (code, text, _) = daemon.ctl(&["flag", "list"]);
    assert_eq!(code, 0);
    assert_eq!(text, "NAME         STATE  PROGRAMS\nother        clear  both\nprovisioned  clear  one, both\n");
    let (code, text, _) = daemon.ctl(&["flag", "set", "provisioned"]);
    assert_eq!((code, text.as_str()), (0, "Set provisioned\n"));
    daemon.wait_state("one", "RUNNING");
    wait_told(&daemon, "both", "waiting for flag:other");
    let (code, text, _) = daemon.ctl(&["flag", "set", "provisoned"]);
    assert_eq!((code, text.as_str()), (0, "Set provisoned; no program waits for it (start_when)\n"));
    let (code, _, error) = daemon.ctl(&["flag", "set", "a b"]);
    assert!(code == 1 && error.contains("at most 64 letters"), "{error}");
    daemon.controller().set_flag("provisioned", false).expect("it is cleared");
    assert_eq!(daemon.status("one").state, "RUNNING", "a flag that is cleared stops nothing");
    wait_told(&daemon, "both", "waiting for flag:provisioned, flag:other");
    daemon.controller().set_flag("other", true).expect("it is set");
    daemon.controller().set_flag("provisioned", true).expect("it is set");
    daemon.wait_state("both", "RUNNING");
    let log = daemon.log();
    assert!(
        log.contains("flag set provisioned: asked by uid") && log.contains("flag clear provisioned: asked by"),
        "{log}"
    );
    let flags = daemon.controller().flags().expect("flags");
    let told: Vec<_> = flags.iter().map(|flag| (flag.name.as_str(), flag.set, flag.programs.len())).collect();
    assert_eq!(told, [("other", true, 1), ("provisioned", true, 2), ("provisoned", true, 0)]);
    daemon.terminate();
}

/// Runs this in the daemon's network namespace.
fn in_network_of(daemon: &Daemon, words: &[&str]) {
    let pid = daemon.pid().to_string();
    let mut command = Command::new("nsenter");
    command.args(["-t", &pid, "-U", "--preserve-credentials", "-n", "--"]).args(words);
    assert!(command.status().is_ok_and(|status| status.success()), "{words:?}");
}

/// An interface that is down, and comes up at once when it is told to: its other end waits for it. Every kernel that runs
/// containers knows this kind.
fn add_link(daemon: &Daemon, name: &str) {
    let peer = format!("{name}-peer");
    in_network_of(daemon, &["ip", "link", "add", name, "type", "veth", "peer", "name", &peer]);
    in_network_of(daemon, &["ip", "link", "set", &peer, "up"]);
}

/// A daemon in a network namespace of its own; `None` without the right or the means to make one.
fn isolated(sections: &str) -> Option<Daemon> {
    let unshare = || {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--net", "--"]);
        command
    };
    let probe = unshare().args(["ip", "link", "add", "probe", "type", "veth"]).output();
    if !probe.is_ok_and(|output| output.status.success()) {
        assert!(std::env::var_os("SUPERVICE_TEST_REQUIRE").is_none(), "unshare, ip and veth interfaces are needed");
        eprintln!("SKIPPED: network conditions need unshare, ip and the right to make a network namespace");
        return None;
    }
    let mut daemon = Daemon::unstarted(tempfile::tempdir().expect("a directory"));
    daemon.write_config(sections, &[]);
    let mut command = unshare();
    command.arg(env!("CARGO_BIN_EXE_supervice"));
    daemon.launch(command);
    daemon.wait_ready();
    Some(daemon)
}

/// Descriptors of netlink sockets that the daemon has.
fn netlink_sockets(daemon: &Daemon) -> usize {
    let pid = daemon.pid();
    let known = std::fs::read_to_string(format!("/proc/{pid}/net/netlink")).unwrap_or_default();
    let inodes: Vec<&str> = known.lines().skip(1).filter_map(|line| line.split_whitespace().last()).collect();
    let fds = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("its descriptors").flatten();
    let links = fds.filter_map(|fd| std::fs::read_link(fd.path()).ok());
    let is_netlink = |link: &std::path::PathBuf| {
        let text = link.display().to_string();
        text.strip_prefix("socket:[").is_some_and(|rest| inodes.contains(&rest.trim_end_matches(']')))
    };
    links.filter(is_netlink).count()
}

#[test]
fn a_program_starts_when_its_interface_is_up_and_there_is_a_default_route() {
    let Some(daemon) = isolated(
        "[program:link]\ncommand = sleep 1000\nstartsecs = 0\nstart_when = link:d0\n\
         [program:route]\ncommand = sleep 1000\nstartsecs = 0\nstart_when = route\n\
         [program:both]\ncommand = sleep 1000\nstartsecs = 0\nstart_when = link:d1, route",
    ) else {
        return;
    };
    wait_told(&daemon, "link", "waiting for link:d0");
    wait_told(&daemon, "route", "waiting for route");
    wait_until("one socket is there for all of them", || netlink_sockets(&daemon) == 1);
    add_link(&daemon, "d0");
    wait_told(&daemon, "link", "waiting for link:d0");
    in_network_of(&daemon, &["ip", "link", "set", "d0", "up"]);
    daemon.wait_state("link", "RUNNING");
    in_network_of(&daemon, &["ip", "address", "add", "192.0.2.1/24", "dev", "d0"]);
    wait_told(&daemon, "route", "waiting for route");
    in_network_of(&daemon, &["ip", "route", "add", "default", "via", "192.0.2.2"]);
    daemon.wait_state("route", "RUNNING");
    wait_told(&daemon, "both", "waiting for link:d1");
    // With the interface goes its route, of which the kernel says nothing.
    in_network_of(&daemon, &["ip", "link", "set", "d0", "down"]);
    wait_told(&daemon, "both", "waiting for link:d1, route");
    add_link(&daemon, "other");
    in_network_of(&daemon, &["ip", "link", "set", "other", "up"]);
    in_network_of(&daemon, &["ip", "-6", "route", "add", "default", "dev", "other"]);
    wait_until("both waits for its interface alone", || {
        daemon.status("both").description.is_some_and(|text| text.ends_with("waiting for link:d1"))
    });
    in_network_of(&daemon, &["ip", "link", "set", "other", "name", "d1"]);
    daemon.wait_state("both", "RUNNING");
    wait_until("nobody listens any more", || netlink_sockets(&daemon) == 0);
    // What is there already is found.
    daemon.controller().restart_process("both", false).expect("a restart");
    daemon.terminate();
}
