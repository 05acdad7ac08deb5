//! What goes wrong at the XML-RPC of others, and must not go wrong here, by a client of another house: Python's own. The number in
//! a test's name is that of the row in the list of known failures (packaging/failures.md).

use std::fs;
use std::process::Command;

use crate::harness::{Daemon, wait_until, write_executable};
use crate::http::{ask, local};

/// What a script of Python writes that has the proxy `server`, and `fault(CALL)`: the number of the fault, or `None`.
fn script(daemon: &Daemon, script: &str) -> String {
    let head = format!(
        "import http.client, json, socket, xmlrpc.client\n\
         class Connection(http.client.HTTPConnection):\n    \
             def connect(self):\n        \
                 self.sock = socket.socket(socket.AF_UNIX)\n        \
                 self.sock.connect({:?})\n\
         class Transport(xmlrpc.client.Transport):\n    \
             def make_connection(self, host): return Connection('localhost')\n\
         server = xmlrpc.client.ServerProxy('http://localhost/RPC2', Transport()).supervisor\n\
         def fault(call):\n    \
             try: call()\n    \
             except xmlrpc.client.Fault as fault: return fault.faultCode\n",
        daemon.path("ctl.sock")
    );
    let output = Command::new("python3").arg("-c").arg(head + script).output().expect("python3");
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
}

/// All 256 bytes in a log, and in the last words of what has failed.
#[test]
fn row_125_whatever_a_log_holds_the_document_can_be_read() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("bytes"), (0..=255).collect::<Vec<u8>>()).expect("a file");
    let program = |name: &str, then: &str| {
        format!(
            "[program:{name}]\ncommand = sh -c 'cat DIR/bytes; echo; {then}'\nstartsecs = 0\nautorestart = false\nstartretries = 0\n"
        )
    };
    let daemon = Daemon::start_in(dir, &(program("p", "exec sleep 1000") + &program("bad", "exit 3")), &[]);
    daemon.wait_state("bad", "EXITED");
    let read = "print(json.dumps([server.readProcessStdoutLog('p', 0, 10000), server.tailProcessStdoutLog('p', 0, 10000)[0], \
                server.readProcessStdoutLog('p', 3, 40)]))";
    wait_until("it has written", || script(&daemon, read).contains("ABC"));
    let told: Vec<String> = serde_json::from_str(&script(&daemon, read)).expect("a list");
    assert!(told[0].contains(" !\"#$%&'()*+,-./0123456789:;<=>?@ABC") && told[0] == told[1], "{told:?}");
    let rows = script(&daemon, "print(json.dumps([server.getProcessInfo('bad'), server.getAllProcessInfo()]))");
    assert!(rows.contains("\"name\": \"bad\""), "{rows}");
    for path in ["/api/v1/status", "/metrics"] {
        assert_eq!(ask(local(&daemon), &crate::http::get(path)).0, 200);
    }
    daemon.terminate();
}

/// The protocol's integers have 32 bits: what is larger is told as the largest.
#[test]
fn row_126_a_log_of_three_gigabytes_is_told_and_read() {
    let dir = tempfile::tempdir().expect("a directory");
    // A hole: it takes no room on the disk.
    fs::File::create(dir.path().join("big.log")).and_then(|file| file.set_len(3 << 30)).expect("a file");
    let daemon = Daemon::start_in(
        dir,
        "[program:p]\ncommand = sh -c 'echo the last line; exec sleep 1000'\nstartsecs = 0\nstdout_logfile = DIR/big.log\n\
         stdout_logfile_maxbytes = 0\n",
        &[],
    );
    daemon.wait_state("p", "RUNNING");
    let size = || fs::metadata(daemon.path("big.log")).expect("it is there").len();
    wait_until("it has written", || size() > 3 << 30);
    let told = script(
        &daemon,
        "text, offset, overflow = server.tailProcessStdoutLog('p', 0, 14)\n\
         print(json.dumps([text, offset, server.readProcessStdoutLog('p', -14, 0), server.readProcessStdoutLog('p', 2**31 - 1, 1)]))",
    );
    let told: serde_json::Value = serde_json::from_str(&told).expect("a list");
    assert_eq!((&told[0], &told[2]), (&"the last line\n".into(), &"the last line\n".into()), "{told}");
    assert_eq!(told[1], i64::from(i32::MAX), "the largest that there is");
    daemon.terminate();
}

/// One who polls reads on from the offset that he was told, as with a log in a file.
#[test]
fn offsets_into_a_log_in_memory_count_all_of_it() {
    let daemon = Daemon::start(
        "[program:p]\ncommand = sh -c 'yes 123456789 | head -n 3000; while read line; do echo $line; done'\nstdin = pipe\nstartsecs = 0\n",
    );
    daemon.wait_state("p", "RUNNING");
    let told = script(
        &daemon,
        "import time\n\
         while server.tailProcessStdoutLog('p', 0, 10)[1] < 30000: time.sleep(0.02)\n\
         server.sendProcessStdin('p', 'new\\n')\n\
         while server.tailProcessStdoutLog('p', 30000, 10)[1] < 30004: time.sleep(0.02)\n\
         print(json.dumps([server.tailProcessStdoutLog('p', 30000, 4), server.readProcessStdoutLog('p', 30000, 0),\n\
                 server.readProcessStdoutLog('p', 30004, 0), server.readProcessStdoutLog('p', 0, 0)[-4:]]))",
    );
    let told: serde_json::Value = serde_json::from_str(&told).expect("a list");
    assert_eq!(told, serde_json::json!([["new\n", 30004, false], "new\n", "", "new\n"]));
    daemon.terminate();
}

/// A fault is given only where nothing was done, and none where it was.
#[test]
fn row_129_a_fault_means_that_nothing_was_done() {
    let daemon = Daemon::start(
        "[program:up]\ncommand = sleep 1000\nstartsecs = 0\n\
         [program:down]\ncommand = sleep 1000\nstartsecs = 0\nautostart = false\n\
         [group:both]\nprograms = up, down\n",
    );
    daemon.wait_state("up", "RUNNING");
    let facts =
        || daemon.all().into_iter().map(|process| (process.name, process.state, process.pid)).collect::<Vec<_>>();
    let before = facts();
    let mut asked = String::from(
        "def facts(): return [(one['name'], one['statename'], one['pid']) for one in server.getAllProcessInfo()]\nbefore = facts()\n",
    );
    let mut told = Vec::new();
    for (call, code) in [
        ("startProcess('both:up')", 60),
        ("stopProcess('both:down')", 70),
        ("signalProcess('both:down', 'TERM')", 70),
        ("signalProcess('both:up', 'NOSUCH')", 11),
        ("sendProcessStdin('both:down', 'x')", 70),
        ("startProcess('nobody')", 10),
        ("stopProcess('nobody')", 10),
        ("startProcessGroup('nobody')", 10),
        ("stopProcessGroup('nobody')", 10),
        ("addProcessGroup('both')", 90),
        ("addProcessGroup('nobody')", 10),
        ("removeProcessGroup('both')", 91),
        ("removeProcessGroup('nobody')", 10),
        ("clearProcessLogs('nobody')", 10),
    ] {
        asked += &format!("print('{}', fault(lambda: server.{call}), facts() == before)\n", call.replace('\'', "\""));
        told.push(format!("{} {code} True", call.replace('\'', "\"")));
    }
    assert_eq!(script(&daemon, &asked).lines().collect::<Vec<_>>(), told);
    assert_eq!(facts(), before);
    for (call, up, down) in [
        ("stopProcess('both:up')", "STOPPED", "STOPPED"),
        ("startProcess('both:down')", "STOPPED", "RUNNING"),
        ("startProcessGroup('both')", "RUNNING", "RUNNING"),
        ("stopAllProcesses()", "STOPPED", "STOPPED"),
        ("startAllProcesses()", "RUNNING", "RUNNING"),
        ("signalProcessGroup('both', 'CONT')", "RUNNING", "RUNNING"),
        ("clearAllProcessLogs()", "RUNNING", "RUNNING"),
        ("stopProcessGroup('both')", "STOPPED", "STOPPED"),
    ] {
        assert_eq!(script(&daemon, &format!("print(fault(lambda: server.{call}))")), "None", "{call}");
        let states = [daemon.status("up").state, daemon.status("down").state];
        assert_eq!(states, [up, down], "{call}");
    }
    daemon.terminate();
}

/// Each face issues the same command: a start brings what is needed, tells why it can't, and is logged.
#[test]
fn row_121_a_start_is_the_same_at_each_face() {
    let daemon = Daemon::start(
        "[program:db]\ncommand = sleep 1000\nstartsecs = 0\nautostart = false\n\
         [program:web]\ncommand = sleep 1000\nstartsecs = 0\nautostart = false\nrequires = db\n\
         [program:bad]\ncommand = sh -c 'exit 3'\nautostart = false\nstartsecs = 60\nstartretries = 0\n",
    );
    let frames = |name: &str| daemon.ctl(&["start", name]).0 == 0;
    let http = |name: &str| {
        let request =
            format!("POST /api/v1/programs/{name}/start HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        ask(local(&daemon), &request).0 == 200
    };
    let rpc = |name: &str| script(&daemon, &format!("print(fault(lambda: server.startProcess('{name}')))")) == "None";
    let faces: [&dyn Fn(&str) -> bool; 3] = [&frames, &http, &rpc];
    for (face, start) in faces.iter().enumerate() {
        assert!(start("web"), "{face}");
        assert_eq!([daemon.status("db").state, daemon.status("web").state], ["RUNNING", "RUNNING"], "{face}");
        assert!(!start("bad"), "{face}");
        assert_eq!(daemon.status("bad").state, "FATAL", "{face}");
        daemon.controller().stop_process("db").expect("both stop");
        assert_eq!(daemon.status("web").state, "STOPPED", "{face}");
    }
    let log = daemon.terminate();
    assert_eq!(log.matches("web: STOPPED -> STARTING").count(), 3, "{log}");
}

/// supervisord says "Exited too quickly" of these, and nothing of the reason.
#[test]
fn a_script_whose_interpreter_is_missing_is_not_said_to_be_missing_itself() {
    let dir = tempfile::tempdir().expect("a directory");
    write_executable(&dir.path().join("run"), "#!/no/such/interpreter\n");
    let daemon = Daemon::start_in(dir, "[program:p]\ncommand = DIR/run\nautostart = false\nstartretries = 0\n", &[]);
    let told =
        script(&daemon, "print(fault(lambda: server.startProcess('p')), server.getProcessInfo('p')['spawnerr'])");
    let reason = "its interpreter /no/such/interpreter does not exist; correct its first line or install it";
    assert_eq!(told, format!("50 cannot execute {}: {reason}", daemon.path("run").display()));
    daemon.terminate();
}

/// Some clients reckon it, others read it: both come to the same, in whatever part of a second a program was started.
#[test]
fn the_uptime_is_as_many_seconds_as_now_is_behind_start() {
    let daemon = Daemon::start("[program:p]\ncommand = sleep 1000\nstartsecs = 0\n");
    daemon.wait_state("p", "RUNNING");
    let told = script(
        &daemon,
        "seen, apart = set(), []\n\
         while len(seen) < 4:\n    \
             info = server.getProcessInfo('p')\n    \
             hours, minutes, seconds = map(int, info['description'].split('uptime ')[1].split(':'))\n    \
             uptime = hours * 3600 + minutes * 60 + seconds\n    \
             seen.add(info['now'])\n    \
             if uptime != info['now'] - info['start']: apart.append(info)\n\
         print(len(apart), apart[:1])",
    );
    assert_eq!(told, "0 []");
    daemon.terminate();
}
