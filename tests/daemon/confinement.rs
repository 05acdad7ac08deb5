//! What a program may use and do, read back from /proc of the real child.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::unistd::geteuid;

use crate::harness::{Daemon, copy_executable, executed, stat, wait_for, word_in};

fn proc_of(pid: i32, file: &str) -> String {
    fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_else(|error| panic!("{file} of {pid}: {error}"))
}

/// The words of a line of a process's file in `/proc`, the first ones left out.
fn line(pid: i32, file: &str, begin: &str) -> String {
    let text = proc_of(pid, file);
    let line = text.lines().find_map(|line| line.strip_prefix(begin)).unwrap_or_else(|| panic!("no {begin}: {text}"));
    line.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

fn field(pid: i32, number: usize) -> String {
    let text = proc_of(pid, "stat");
    // As proc(5) numbers them: the third is the first behind the name.
    text.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(number - 3)).unwrap_or_default().to_owned()
}

/// Keys that take no rights.
const MODEST: &str = "rlimit_nofile = 100:200\nrlimit_core = 0\nrlimit_fsize = 1MB:infinity\nrlimit_cpu = 60:90\nnice = 5\n\
    ionice = idle\nscheduler = batch\noom_score_adj = 400\nno_new_privs = true\n";

fn check_modest(pid: i32) {
    executed(pid);
    assert_eq!(line(pid, "limits", "Max open files"), "100 200 files");
    assert_eq!(line(pid, "limits", "Max core file size"), "0 0 bytes");
    assert_eq!(line(pid, "limits", "Max file size"), "1048576 unlimited bytes");
    assert_eq!(line(pid, "limits", "Max cpu time"), "60 90 seconds");
    assert_eq!((field(pid, 19).as_str(), field(pid, 41).as_str()), ("5", "3"), "nice and SCHED_BATCH");
    assert_eq!(proc_of(pid, "oom_score_adj"), "400\n");
    assert_eq!(line(pid, "status", "NoNewPrivs:"), "1");
}

fn keeps_its_own(daemon: &Daemon) {
    assert_eq!(proc_of(daemon.pid(), "oom_score_adj"), proc_of(std::process::id() as i32, "oom_score_adj"));
    assert_eq!(line(daemon.pid(), "status", "NoNewPrivs:"), "0");
    assert_eq!(field(daemon.pid(), 41), "0");
}

#[test]
fn the_limits_of_a_program_are_its_own_in_both_dialects() {
    let program = format!("[program:web]\ncommand = sleep 300\nstartsecs = 0\n{MODEST}");
    let daemon = Daemon::start(&program);
    check_modest(daemon.wait_state("web", "RUNNING").pid.expect("a pid"));
    keeps_its_own(&daemon);
    daemon.terminate();

    let mut daemon = Daemon::unstarted(tempfile::tempdir().expect("a directory"));
    let dir = daemon.dir.path().display().to_string();
    let text = format!(
        "[supervisord]\nlogfile=none\npidfile={dir}/daemon.pid\n[unix_http_server]\nfile={dir}/ctl.sock\n{program}"
    );
    fs::write(daemon.path("supervice.conf"), text).expect("the configuration");
    daemon.launch(Command::new(env!("CARGO_BIN_EXE_supervice")));
    daemon.wait_ready();
    check_modest(daemon.wait_state("web", "RUNNING").pid.expect("a pid"));
    daemon.terminate();
}

/// Limits are the program's again, whether nobody has confirmed others in time or these can't be had at all.
#[test]
fn an_update_of_limits_is_taken_back_with_all_of_them() {
    let with = |limits: &str| format!("[program:web]\ncommand = sleep 300\nstartsecs = 0\n{limits}");
    let other = "rlimit_nofile = 50:60\nrlimit_core = 1MB:infinity\nrlimit_fsize = 2MB:infinity\nrlimit_cpu = 70:80\nnice = 7\n\
        scheduler = idle\noom_score_adj = 500\n";
    let daemon = Daemon::start(&with(MODEST));
    let begun = daemon.wait_state("web", "RUNNING").pid;
    check_modest(begun.expect("a pid"));
    let update = |limits: &str, confirm: &str| {
        daemon.write_config(&with(limits), &[]);
        daemon.ctl(&["update", "--confirm", confirm])
    };
    let renewed = |before: Option<i32>| {
        let web = || Some(daemon.status("web")).filter(|web| web.state == "RUNNING" && web.pid != before);
        wait_for("it runs again", web).pid
    };
    assert_eq!(update(other, "15").0, 0);
    let changed = renewed(begun);
    let pid = executed(changed.expect("a pid"));
    assert_eq!(line(pid, "limits", "Max open files"), "50 60 files");
    assert_eq!((field(pid, 19).as_str(), field(pid, 41).as_str()), ("7", "5"), "nice and SCHED_IDLE");
    assert_eq!((proc_of(pid, "oom_score_adj").as_str(), line(pid, "status", "NoNewPrivs:").as_str()), ("500\n", "0"));
    daemon.wait_log("the update is taken back: ");
    let back = renewed(changed);
    check_modest(back.expect("a pid"));
    // No machine has this processor.
    let (code, said, errors) = update("cpu_affinity = 1023\n", "300");
    assert!(code == 1 && errors.contains("cpu_affinity"), "{code} {said}{errors}");
    check_modest(renewed(back).expect("a pid"));
    keeps_its_own(&daemon);
    daemon.terminate();
}

#[test]
fn an_ordinary_user_bounds_its_programs_and_is_told_what_it_may_not() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut command = Command::new(env!("CARGO_BIN_EXE_supervice"));
    if geteuid().is_root() {
        chown(dir.path(), Some(1234), Some(1234)).expect("chown");
        command.uid(1234).gid(1234);
        if Command::new(env!("CARGO_BIN_EXE_supervice")).uid(1234).arg("--version").output().is_err() {
            return println!("SKIPPED: another user may not execute the program where it lies");
        }
    }
    let mut daemon = Daemon::unstarted(dir);
    let sections = format!(
        "[program:web]\ncommand = sleep 300\nstartsecs = 0\n{MODEST}\n\
         [program:eager]\ncommand = sleep 300\nnice = -5\n[program:grouped]\ncommand = sleep 300\ngroups = daemon\n\
         [program:bound]\ncommand = sleep 300\ncapabilities =\n"
    );
    daemon.write_config(&sections, &[]);
    daemon.launch(command);
    daemon.wait_ready();
    check_modest(daemon.wait_state("web", "RUNNING").pid.expect("a pid"));
    for (name, told) in [
        ("eager", "cannot set nice -5: Permission denied; only root"),
        ("grouped", "cannot set group or groups: Operation not permitted; only root with CAP_SETGID"),
        ("bound", "cannot set capabilities: Operation not permitted; only root with CAP_SETPCAP"),
    ] {
        if !geteuid().is_root() && name == "grouped" {
            continue;
        }
        daemon.wait_state(name, "FATAL");
        let (_, why, _) = daemon.ctl(&["why", name]);
        assert!(why.contains(told), "{why}");
    }
    daemon.terminate();
}

#[test]
fn groups_and_the_group_of_a_program_are_those_of_its_keys() {
    if !geteuid().is_root() {
        return println!("SKIPPED: needs root");
    }
    let daemon = Daemon::start(
        "[program:all]\ncommand = sleep 300\nstartsecs = 0\nuser = nobody\ngroup = 77\ngroups = 88, daemon\n\
         [program:none]\ncommand = sleep 300\nstartsecs = 0\ngroups =\n\
         [program:unknown]\ncommand = sleep 300\ngroup = no-such-group-here\n",
    );
    let pid = executed(daemon.wait_state("all", "RUNNING").pid.expect("a pid"));
    assert_eq!(line(pid, "status", "Gid:"), "77 77 77 77");
    assert_eq!(line(pid, "status", "Groups:"), "1 77 88", "daemon is 1");
    let pid = executed(daemon.wait_state("none", "RUNNING").pid.expect("a pid"));
    assert_eq!((line(pid, "status", "Uid:").as_str(), line(pid, "status", "Groups:").as_str()), ("0 0 0 0", "0"));
    daemon.wait_state("unknown", "FATAL");
    let (_, why, _) = daemon.ctl(&["why", "unknown"]);
    assert!(why.contains("no group \"no-such-group-here\" in /etc/group"), "{why}");
    daemon.terminate();
}

#[test]
fn a_daemon_with_a_score_gives_its_programs_what_it_was_started_with() {
    let daemon = Daemon::start_in(
        tempfile::tempdir().expect("a directory"),
        "[program:web]\ncommand = sleep 300\nstartsecs = 0\n[program:own]\ncommand = sleep 300\nstartsecs = 0\noom_score_adj = 900\n",
        &["oom_score_adj = 10"],
    );
    let before = proc_of(std::process::id() as i32, "oom_score_adj");
    if before.trim().parse::<i32>().is_ok_and(|before| before > 10) {
        return println!("SKIPPED: the score cannot be lowered here");
    }
    for (name, score) in [("web", before.as_str()), ("own", "900\n")] {
        let pid = executed(daemon.wait_state(name, "RUNNING").pid.expect("a pid"));
        assert_eq!(proc_of(pid, "oom_score_adj"), score, "{name}");
        assert_eq!(stat(pid).map(|(parent, ..)| parent), Some(daemon.pid()));
    }
    assert_eq!(proc_of(daemon.pid(), "oom_score_adj"), "10\n");
    daemon.terminate();
}

/// Binds port 80 and then tries what other capabilities would let it do, and what root's programs would.
const SERVER: &str = r#"
import ctypes, os, socket, subprocess, sys
libc = ctypes.CDLL(None, use_errno=True)
server = socket.socket()
server.bind(('127.0.0.1', 80))
server.listen()
done = ['bound']
def attempt(name, action):
    try:
        action()
        done.append(name)
    except OSError:
        pass
def mount():
    if libc.mount(b'none', b'/mnt', b'tmpfs', 0, None) != 0:
        raise OSError()
attempt('setuid', lambda: os.setuid(0))
attempt('setgroups', lambda: os.setgroups([0]))
attempt('chown', lambda: os.chown(sys.argv[1], 0, 0))
attempt('read', lambda: open('/etc/shadow'))
attempt('kill', lambda: os.kill(os.getppid(), 0))
attempt('nice', lambda: os.setpriority(os.PRIO_PROCESS, 0, -1))
attempt('raw', lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
attempt('mount', mount)
attempt('chroot', lambda: os.chroot('/'))
# What it executes gets no more, not even a program that is setuid root.
done.append(subprocess.run([sys.argv[1], 'CapPrm', '/proc/self/status'], capture_output=True, text=True).stdout.split()[1])
with open(sys.argv[2], 'w') as out:
    out.write(' '.join(done) + '\n')
server.accept()
"#;

#[test]
fn a_program_of_nobody_binds_port_80_and_can_do_nothing_else() {
    if !geteuid().is_root() {
        return println!("SKIPPED: needs root");
    }
    // A network of its own: port 80 of the machine may be taken.
    let unshare = |program: &str| {
        let mut command = Command::new("unshare");
        command.args(["--net", "--", program]);
        command
    };
    if !unshare("true").status().is_ok_and(|status| status.success()) {
        assert!(std::env::var_os("SUPERVICE_TEST_REQUIRE").is_none(), "unshare is needed");
        return println!("SKIPPED: no network of its own can be made");
    }
    let dir = tempfile::tempdir().expect("a directory");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).expect("chmod");
    let grep = dir.path().join("grep");
    copy_executable("/bin/grep", &grep);
    fs::set_permissions(&grep, fs::Permissions::from_mode(0o4755)).expect("setuid root");
    fs::write(dir.path().join("server.py"), SERVER).expect("the program");
    let mut daemon = Daemon::unstarted(dir);
    let web = |name: &str, keys: &str| {
        format!("[program:{name}]\ncommand = python3 DIR/server.py DIR/grep DIR/{name}.out\nuser = nobody\n{keys}\n")
    };
    let bound = "capabilities = net_bind_service\nautostart = false";
    daemon.write_config(&[web("web", bound), web("without", "startsecs = 60\nstartretries = 0")].concat(), &[]);
    // The loopback device of a new network is down.
    let script = "ip link set lo up 2>/dev/null || ifconfig lo up; exec \"$0\" \"$@\"";
    let mut command = unshare("sh");
    command.args(["-c", script, env!("CARGO_BIN_EXE_supervice")]);
    daemon.launch(command);
    daemon.wait_ready();
    // Without it the port is refused.
    daemon.wait_state("without", "FATAL");
    let (code, text, _) = daemon.ctl(&["start", "web"]);
    assert_eq!(code, 0, "{text}\n{}", daemon.log());
    assert_eq!(word_in(&daemon.path("web.out")), "bound 0000000000000400");
    let pid = wait_for("it has a pid", || daemon.status("web").pid);
    assert_eq!(line(pid, "status", "CapEff:"), "0000000000000400");
    assert_eq!(line(pid, "status", "CapBnd:"), "0000000000000400");
    daemon.terminate();
}

#[test]
fn each_resource_limit_is_read_back_from_the_real_child() {
    let mut limits = vec![
        ("rlimit_nofile = 100:200", "Max open files", "100 200 files"),
        ("rlimit_nproc = 900:1000", "Max processes", "900 1000 processes"),
        ("rlimit_core = 4096:8192", "Max core file size", "4096 8192 bytes"),
        ("rlimit_as = 512MB:1GB", "Max address space", "536870912 1073741824 bytes"),
        ("rlimit_data = 64MB:128MB", "Max data size", "67108864 134217728 bytes"),
        ("rlimit_stack = 1MB:2MB", "Max stack size", "1048576 2097152 bytes"),
        ("rlimit_fsize = 1MB:2MB", "Max file size", "1048576 2097152 bytes"),
        ("rlimit_memlock = 32KB:64KB", "Max locked memory", "32768 65536 bytes"),
        ("rlimit_cpu = 60:90", "Max cpu time", "60 90 seconds"),
        ("rlimit_sigpending = 50:60", "Max pending signals", "50 60 signals"),
        ("rlimit_msgqueue = 4KB:8KB", "Max msgqueue size", "4096 8192 bytes"),
    ];
    // These are 0 for all but root with CAP_SYS_RESOURCE, the 24th of the capabilities.
    let rights = u64::from_str_radix(&line(std::process::id() as i32, "status", "CapEff:"), 16).expect("a mask");
    limits.extend(match rights & (1 << 24) != 0 {
        true => [
            ("rlimit_rtprio = 5:7", "Max realtime priority", "5 7"),
            ("rlimit_nice = 10:20", "Max nice priority", "10 20"),
        ],
        false => {
            [("rlimit_rtprio = 0", "Max realtime priority", "0 0"), ("rlimit_nice = 0", "Max nice priority", "0 0")]
        }
    });
    let keys: Vec<&str> = limits.iter().map(|(key, ..)| *key).collect();
    let daemon = Daemon::start(&format!("[program:web]\ncommand = sleep 300\nstartsecs = 0\n{}\n", keys.join("\n")));
    let pid = executed(daemon.wait_state("web", "RUNNING").pid.expect("a pid"));
    for (key, begin, wanted) in limits {
        assert_eq!(line(pid, "limits", begin), wanted, "{key}");
    }
    daemon.terminate();
}
