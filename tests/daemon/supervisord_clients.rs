//! The clients of supervisord, unchanged, next to the real supervisord: what they print and return is the same.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::wait_until;
use crate::interop::python;

const SITE: &str = "[supervisord]\nnodaemon=true\nlogfile=DIR/log\npidfile=DIR/pid\nidentifier=ident\n\
    [unix_http_server]\nfile=DIR/sock\n\
    [rpcinterface:supervisor]\nsupervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n\
    [program:ok]\ncommand=sleep 1000\nstartsecs=0\nstdout_logfile=NONE\nstderr_logfile=NONE\n\
    [program:cat]\ncommand=cat\nstartsecs=0\nstdout_logfile=DIR/cat.log\nstderr_logfile=NONE\n\
    [program:off]\ncommand=sleep 1000\nautostart=false\nstartsecs=0\n\
    [program:bad]\ncommand=sh -c 'exit 3'\nautostart=false\nstartsecs=30\nstartretries=0\n\
    [program:many]\ncommand=sleep 1000\nnumprocs=2\nprocess_name=%(program_name)s_%(process_num)02d\nautostart=false\nstartsecs=0\n\
    stdout_logfile=NONE\nstderr_logfile=NONE\n";

/// A daemon, the original or ours, in a directory of its own.
pub struct Site {
    pub dir: tempfile::TempDir,
    /// For which `PORT` stands in its settings.
    pub port: u16,
    daemon: Child,
}

impl Site {
    pub fn start(daemon: &Path, more: &str) -> Site {
        let dir = tempfile::tempdir().expect("a directory");
        let port = crate::servers::free_port();
        let text = format!("{SITE}{more}").replace("DIR", &dir.path().display().to_string());
        let text = text.replace("PORT", &port.to_string());
        fs::write(dir.path().join("conf"), text).expect("written");
        let daemon = Command::new(daemon)
            .args(["-n", "-c"])
            .arg(dir.path().join("conf"))
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it can be executed");
        let site = Site { dir, port, daemon };
        wait_until("it listens", || std::os::unix::net::UnixStream::connect(site.socket()).is_ok());
        site
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("sock")
    }

    /// What `supervisorctl` prints, with its exit code; without what differs from run to run.
    pub fn ctl(&self, python: &Path, args: &[&str]) -> String {
        let output = Command::new(python.with_file_name("supervisorctl"))
            .arg("-s")
            .arg(format!("unix://{}", self.socket().display()))
            .args(args)
            .stdin(Stdio::null())
            .output()
            .expect("it can be executed");
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        let text = text.replace(&self.dir.path().display().to_string(), "DIR");
        // Several that are done at the same time are told in any order.
        let text = plain(&text);
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        format!("$ {}\n{}\n{:?}\n", args.join(" "), lines.join("\n"), output.status.code())
    }

    /// What a script of Python prints that has the proxy `server`.
    pub fn script(&self, python: &Path, script: &str) -> String {
        // What is done to several at the same time is answered in the order in which they are ready.
        let head = format!(
            "import xmlrpc.client as x\nfrom supervisor.xmlrpc import SupervisorTransport\n\
             def proxy(): return x.ServerProxy('http://127.0.0.1', SupervisorTransport(None, None, 'unix://{}'))\n\
             server = proxy()\n\
             def call(name, *params):\n    f = server\n    for part in name.split('.'): f = getattr(f, part)\n    \
             try:\n        r = f(*params)\n        \
             if isinstance(r, list) and all(isinstance(one, dict) and 'status' in one for one in r): \
             r.sort(key=lambda one: (one['group'], one['name']))\n        \
             r = repr(r)\n    except x.Fault as e: r = '%s %s' % (e.faultCode, e.faultString)\n    \
             print(name, params, r)\n",
            self.socket().display()
        );
        let output = Command::new(python).arg("-c").arg(head + script).output().expect("it can be executed");
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        plain(&text.replace(&self.dir.path().display().to_string(), "DIR"))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if matches!(self.daemon.try_wait(), Ok(None)) {
            let _ = kill(Pid::from_raw(i32::try_from(self.daemon.id()).unwrap_or(0)), Signal::SIGTERM);
        }
        let _ = self.daemon.wait();
    }
}

/// Numbers of processes and times become one letter each; those of states and faults have two digits at most.
pub fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut number = String::new();
    for letter in text.chars().chain(['\n']) {
        if letter.is_ascii_digit() {
            number.push(letter);
            continue;
        }
        plain.push_str(if number.len() > 2 { "N" } else { &number });
        number.clear();
        plain.push(letter);
    }
    // What was asked in another second, columns as wide as a pid, and where Python keeps an object.
    let word = |word: &str| {
        if word.starts_with("0x") {
            "ADDRESS".to_owned()
        } else if word.starts_with("0:0") {
            "AGE".to_owned() + word.get(7..).unwrap_or_default()
        } else {
            word.to_owned()
        }
    };
    plain.lines().map(|line| line.split_whitespace().map(word).collect::<Vec<_>>().join(" ") + "\n").collect()
}

/// Runs the same with the original and, at the same time, with ours.
pub fn compare(more: &str, run: impl Fn(&Site, &Path) -> Vec<String> + Sync) {
    let Some(python) = python() else { return };
    let with = |daemon: &Path| run(&Site::start(daemon, more), &python);
    let (theirs, ours) = std::thread::scope(|scope| {
        let theirs = scope.spawn(|| with(&python.with_file_name("supervisord")));
        let ours = with(Path::new(env!("CARGO_BIN_EXE_supervice")));
        (theirs.join(), ours)
    });
    let theirs = theirs.expect("no panic");
    assert!(!theirs.is_empty());
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(ours, theirs);
    }
    assert_eq!(ours.len(), theirs.len());
}

#[test]
fn supervisorctl_prints_and_returns_what_it_does_with_supervisord() {
    compare("", |site, python| {
        let all = [
            "version",
            "pid ok",
            "start off",
            "start off",
            "status off",
            "stop off",
            "stop off",
            "start bad",
            "start nope",
            "status nope",
            "start many:*",
            "stop many:*",
            "restart ok",
            "signal HUP nope",
            "signal NOPE ok",
            "signal HUP off",
            "tail cat",
            "clear cat",
            "clear ok off",
            "avail",
            "reread",
            "add nope",
            "remove nope",
            "remove ok",
            "update",
        ];
        let mut told: Vec<String> = Vec::new();
        wait_until("the programs run", || {
            let status = site.ctl(python, &["status", "ok", "cat"]);
            status.matches("RUNNING").count() == 2
        });
        for line in all {
            let args: Vec<&str> = line.split(' ').collect();
            told.push(site.ctl(python, &args));
        }
        // A program comes, another one changes, and a third one goes.
        let path = site.dir.path().join("conf");
        let text = fs::read_to_string(&path).expect("read");
        let text = text.replace("[program:off]\ncommand=sleep 1000\n", "[program:off]\ncommand=sleep 1001\n");
        let text =
            text.replace("[program:cat]\ncommand=cat\nstartsecs=0\n", "[program:new]\ncommand=cat\nstartsecs=0\n");
        fs::write(&path, text).expect("written");
        for line in ["reread", "update", "reread", "avail", "stop all", "start new ok", "shutdown"] {
            let args: Vec<&str> = line.split(' ').collect();
            told.push(site.ctl(python, &args));
        }
        told
    });
}

#[test]
fn xmlrpc_clients_get_the_values_and_faults_that_they_get_from_supervisord() {
    compare("", |site, python| {
        wait_until("the programs run", || site.ctl(python, &["status", "ok", "cat"]).matches("RUNNING").count() == 2);
        let script = "
call('supervisor.getAPIVersion'); call('supervisor.getSupervisorVersion'); call('supervisor.getIdentification')
call('supervisor.getState'); call('supervisor.nope'); call('nope'); call('supervisor._update', 'x')
call('supervisor.getProcessInfo', 'ok'); call('supervisor.getProcessInfo', 'ok:ok'); call('supervisor.getProcessInfo', 'many')
call('supervisor.getProcessInfo', 'many:many_00'); call('supervisor.getProcessInfo', 'many:*')
print([sorted(i) for i in server.supervisor.getAllProcessInfo()][0], [(i['group'], i['name']) for i in server.supervisor.getAllProcessInfo()])
print([sorted(i.items(), key=lambda p: p[0]) for i in server.supervisor.getAllConfigInfo() if i['name'] == 'cat'][0][:8])
call('supervisor.startProcess', 'ok'); call('supervisor.stopProcess', 'off'); call('supervisor.startProcess', 'off', False)
call('supervisor.startProcess'); call('supervisor.startProcess', 'bad'); call('supervisor.stopProcess', 'off')
call('supervisor.sendProcessStdin', 'cat', 'hello \\u00fc\\n'); call('supervisor.sendProcessStdin', 'off', 'x')
import time
while 'hello' not in server.supervisor.tailProcessStdoutLog('cat', 0, 100)[0]: time.sleep(0.05)
call('supervisor.readProcessStdoutLog', 'cat', 0, 0); call('supervisor.readProcessStdoutLog', 'cat', -3, 0)
call('supervisor.readProcessStdoutLog', 'cat', 2, 3); call('supervisor.readProcessStdoutLog', 'cat', -3, 5)
call('supervisor.tailProcessStdoutLog', 'cat', 0, 4); call('supervisor.tailProcessStdoutLog', 'cat', 100, 4)
call('supervisor.clearProcessLogs', 'cat'); call('supervisor.readProcessStdoutLog', 'cat', 0, 0)
call('supervisor.signalProcess', 'ok', 'NOPE'); call('supervisor.signalProcess', 'ok', 'CONT'); call('supervisor.signalProcess', 'off', 'CONT')
call('supervisor.signalProcessGroup', 'nope', 'CONT'); call('supervisor.signalAllProcesses', 'CONT')
call('supervisor.startProcessGroup', 'many'); call('supervisor.stopProcessGroup', 'many'); call('supervisor.stopProcess', 'many:*')
call('supervisor.addProcessGroup', 'ok'); call('supervisor.addProcessGroup', 'nope'); call('supervisor.removeProcessGroup', 'ok')
call('supervisor.getProcessInfo', x.Binary(b'nope')); call('supervisor.stopProcess', 'nope:*'); call('supervisor.signalProcess', 'nope:', 'CONT')
call('supervisor.removeProcessGroup', 'bad'); call('supervisor.getProcessInfo', 'bad')
print([(i['name'], i['inuse']) for i in server.supervisor.getAllConfigInfo()])
call('supervisor.addProcessGroup', 'bad'); call('supervisor.addProcessGroup', 'bad')
call('supervisor.reloadConfig'); call('supervisor.sendRemoteCommEvent', 'a', 'b'); call('system.methodSignature', 'supervisor.startProcess')
call('system.multicall', [{'methodName': 'supervisor.getAPIVersion'}, {'methodName': 'nope', 'params': []}, {}, {'methodName': 'system.multicall', 'params': [[]]}])
";
        vec![site.script(python, script)]
    });
}

/// What few clients send, and some do.
#[test]
fn rare_values_and_paths_are_answered_as_by_supervisord() {
    let more = "[program:torn]\ncommand=sh -c 'not closed\nautostart=false\nstartretries=0\n";
    compare(more, |site, python| {
        wait_until("the programs run", || site.ctl(python, &["status", "ok", "cat"]).matches("RUNNING").count() == 2);
        let script = "
call('supervisor.signalProcess', 'ok', 0); call('supervisor.signalProcess', 'ok', '0'); call('supervisor.signalProcess', 'off', 0)
call('supervisor.signalProcess', 'ok', -1); call('supervisor.signalProcessGroup', 'ok', 0); call('supervisor.signalAllProcesses', 0)
call('supervisor.sendRemoteCommEvent', 1, 2); call('supervisor.sendRemoteCommEvent', 'a', True)
call('system.methodHelp', 3); call('system.methodSignature', 'nope')
print(server.supervisor.getProcessInfo('torn')['statename'])
import http.client, socket
def ask(path, body, heads={}):
    c = http.client.HTTPConnection('localhost'); c.sock = socket.socket(socket.AF_UNIX); c.sock.connect('SOCKET')
    c.putrequest('POST' if body else 'GET', path)
    for head in heads.items(): c.putheader(*head)
    c.endheaders(); c.send(body)
    r = c.getresponse(); text = r.read(); c.close()
    print(path, heads, r.reason, ''.join(text.decode().split()) if r.status == 200 else '')
def post(method, param, path='/RPC2'):
    body = '<methodCall><methodName>supervisor.%s</methodName><params>%s</params></methodCall>' % (method, param)
    ask(path, body.encode(), {'Content-Length': str(len(body))})
post('getProcessInfo', '<param><value><i8>5</i8></value></param>')
post('signalProcess', '<param><value>ok</value></param><param><value><i8>0</i8></value></param>')
post('getAPIVersion', '', '/RPC2x'); post('getAPIVersion', '', '/RPC2/a/b'); post('getAPIVersion', '', '/%52PC2')
ask('/RPC2', b'<methodCall/>'); ask('/ok.html', b''); ask('/nope', b'')
";
        let script = script.replace("SOCKET", &site.socket().display().to_string());
        let told = site.script(python, &script);
        assert!(told.contains("Length Required"), "{told}");
        vec![told, site.ctl(python, &["signal", "0", "ok"]), site.ctl(python, &["start", "ok"])]
    });
}

#[test]
fn a_log_is_followed_and_a_password_is_asked_for_as_under_supervisord() {
    let more = "[inet_http_server]\nport=127.0.0.1:PORT\nusername=us\npassword=p:w\n";
    compare(more, |site, python| {
        let port = site.port;
        wait_until("the programs run", || site.ctl(python, &["status", "ok", "cat"]).matches("RUNNING").count() == 2);
        let over_tcp = |user: &str, password: &str, args: &[&str]| {
            let output = Command::new(python.with_file_name("supervisorctl"))
                .args(["-s", &format!("http://127.0.0.1:{port}"), "-u", user, "-p", password])
                .args(args)
                .stdin(Stdio::null())
                .output()
                .expect("it can be executed");
            format!("{}{:?}", plain(&String::from_utf8_lossy(&output.stdout)), output.status.code())
        };
        let told = vec![
            over_tcp("us", "p:w", &["status"]),
            over_tcp("us", "wrong", &["status"]),
            over_tcp("us", "p:w", &["start", "ok"]),
        ];
        let followed = site.dir.path().join("followed");
        let mut tail = Command::new(python.with_file_name("supervisorctl"))
            .args(["-s", &format!("http://127.0.0.1:{port}"), "-u", "us", "-p", "p:w", "tail", "-f", "cat"])
            .stdin(Stdio::null())
            .stdout(fs::File::create(&followed).expect("a file"))
            .spawn()
            .expect("it can be executed");
        let read = || fs::read_to_string(&followed).unwrap_or_default();
        // The line that it begins with is there when it follows; only then is something said that comes later.
        let say =
            |line: &str| site.script(python, &format!("print(server.supervisor.sendProcessStdin('cat', '{line}\\n'))"));
        assert_eq!(say("first").trim(), "True");
        wait_until("the first line is followed", || read().contains("first\n"));
        assert_eq!(say("second").trim(), "True");
        wait_until("the second line is followed", || read().contains("first\nsecond\n"));
        tail.kill().expect("it lives");
        tail.wait().expect("it ends");
        told
    });
}

/// The daemons' own words differ; that they come, and when, does not.
#[test]
fn the_daemon_s_own_log_is_followed_as_under_supervisord() {
    compare("", |site, python| {
        wait_until("the programs run", || site.ctl(python, &["status", "ok", "cat"]).matches("RUNNING").count() == 2);
        let followed = site.dir.path().join("followed");
        let mut tail = Command::new(python.with_file_name("supervisorctl"))
            .args(["-s", &format!("unix://{}", site.socket().display()), "maintail", "-f"])
            .stdin(Stdio::null())
            .stdout(fs::File::create(&followed).expect("a file"))
            .spawn()
            .expect("it can be executed");
        let log = || fs::read_to_string(site.dir.path().join("log")).unwrap_or_default();
        let read = || fs::read_to_string(&followed).unwrap_or_default();
        // What it prints ends where the log ends.
        let is_level = || log().lines().last().is_some_and(|last| read().contains(last));
        wait_until("the end of the log is there", is_level);
        for args in [["start", "off"], ["stop", "off"]] {
            let before = log().len();
            site.ctl(python, &args);
            wait_until("it is logged", || log().len() > before);
            wait_until("what is logged is followed", is_level);
        }
        tail.kill().expect("it lives");
        tail.wait().expect("it ends");
        // Each line once.
        let lines: Vec<String> = log().lines().map(str::to_owned).collect();
        let tail: Vec<String> =
            read().lines().filter(|line| lines.contains(&(*line).to_owned())).map(str::to_owned).collect();
        assert!(tail.len() >= 2 && lines.ends_with(&tail), "{tail:?}\n{lines:?}");
        let script = "
import http.client, socket
for path in ['/mainlogtail', '/logtail/cat', '/logtail/cat/stdout', '/logtail/nope', '/logtail/many:*', '/logtail/cat/x']:
    c = http.client.HTTPConnection('localhost'); c.sock = socket.socket(socket.AF_UNIX); c.sock.connect('SOCKET')
    c.request('GET', path); r = c.getresponse()
    print(path, {200: 'found', 404: 'not found'}.get(r.status), r.getheader('Transfer-Encoding'), r.status == 200 and r.getheader('Content-Type'))
";
        let script = script.replace("SOCKET", &site.socket().display().to_string());
        vec![site.script(python, &script)]
    });
}

/// A command that is not there is told before anything is done, and nothing comes of it; supervisord has a fault of its own
/// for each thing that can be seen.
#[test]
fn a_start_of_what_cannot_be_executed_is_a_fault_and_changes_nothing() {
    let more = "[program:none]\ncommand=/no/such/thing\nautostart=false\n\
        [program:nowhere]\ncommand=there-is-no-such-thing\nautostart=false\n\
        [program:flat]\ncommand=/etc/passwd/x\nautostart=false\n\
        [program:text]\ncommand=DIR/text\nautostart=false\n\
        [program:torn]\ncommand=sh -c 'not closed\nautostart=false\n\
        [program:directory]\ncommand=DIR\nautostart=false\n\
        [eventlistener:told]\ncommand=sh -c 'while echo READY && read -r head; do echo $head >> DIR/told; \
        dd bs=1 count=$${head##*len:} of=/dev/null 2>/dev/null; printf \"RESULT 2\\nOK\"; done'\n\
        events=PROCESS_STATE\nstartsecs=0\n";
    compare(&more.replace("$$", "$"), |site, python| {
        fs::write(site.dir.path().join("text"), "#!/bin/sh\n").expect("written");
        wait_until("the programs run", || site.ctl(python, &["status", "ok", "cat"]).matches("RUNNING").count() == 2);
        let told = || fs::read_to_string(site.dir.path().join("told")).unwrap_or_default();
        wait_until("events are told", || told().contains("PROCESS_STATE_RUNNING"));
        let script = "
for name in ['none', 'nowhere', 'flat', 'text', 'torn', 'directory']:
    call('supervisor.startProcess', name); call('supervisor.startProcess', name, False); call('supervisor.startProcessGroup', name)
    info = server.supervisor.getProcessInfo(name); print(name, info['statename'], info['exitstatus'], info['spawnerr'], info['start'])
call('system.multicall', [{'methodName': 'supervisor.startProcess', 'params': ['none']}, {'methodName': 'supervisor.getAPIVersion'}])
print(sorted((r['name'], r['status'], r['description']) for r in server.supervisor.startAllProcesses() if r['name'] not in ('bad', 'off')))
";
        let mut answers = vec![site.script(python, script)];
        for name in ["none", "text", "nowhere"] {
            answers.push(site.ctl(python, &["start", name]));
        }
        // All of it is told in order: what would have been told of these is there by now.
        site.ctl(python, &["start", "many:many_00"]);
        let before = told().matches("_STOPPED ").count();
        site.ctl(python, &["stop", "many:many_00"]);
        wait_until("the stop is told", || told().matches("_STOPPED ").count() > before);
        assert!(!told().contains("processname:none "), "{}", told());
        answers
    });
}

/// Whoever repeats himself is told so, and nothing is killed that is about to end.
#[test]
fn a_second_shutdown_is_a_fault_and_kills_nothing() {
    let more = "[program:slow]\ncommand=sh -c 'trap \"while ! test -e DIR/go; do sleep 0.05; done; echo > DIR/clean; exit\" TERM; \
        echo > DIR/up; while :; do sleep 0.05; done'\nstartsecs=0\nstopwaitsecs=1000\n";
    compare(more, |site, python| {
        wait_until("it runs", || site.dir.path().join("up").exists());
        let answers = ["shutdown", "shutdown", "reload"].map(|verb| site.ctl(python, &[verb]));
        fs::write(site.dir.path().join("go"), "").expect("written");
        wait_until("it has ended", || site.dir.path().join("clean").exists());
        answers.to_vec()
    });
}

/// What is stopped while it waits for a retry, and what is started while it ends.
#[test]
fn a_stop_in_backoff_and_a_start_in_stopping_are_as_under_supervisord() {
    let more = "[program:back]\ncommand=sh -c 'exit 3'\nautostart=false\nstartsecs=5\nstartretries=1000\n\
        [program:slow]\ncommand=sh -c 'trap \"while ! test -e DIR/go; do sleep 0.05; done; exit 5\" TERM; echo > DIR/up; \
        while :; do sleep 0.05; done'\nstartsecs=0\nstopwaitsecs=100\n";
    compare(more, |site, python| {
        wait_until("it runs", || site.dir.path().join("up").exists());
        let script = "
import time
def info(name): return server.supervisor.getProcessInfo(name)
for attempt in range(20):
    # On a busy machine the next attempt may have begun before the stop comes.
    call_start = server.supervisor.startProcess
    try: call_start('back')
    except x.Fault as e: fault = e
    server.supervisor.stopProcess('back')
    if info('back')['spawnerr']: break
print(fault, [info('back')[key] for key in ('statename', 'exitstatus', 'spawnerr', 'pid')])
call('supervisor.stopProcess', 'back')
server.supervisor.stopProcess('slow', False)
call('supervisor.startProcess', 'slow'); call('supervisor.startProcessGroup', 'slow'); call('supervisor.stopProcess', 'slow')
print(info('slow')['statename'], info('slow')['exitstatus'])
open('DIR/go', 'w').close()
while info('slow')['statename'] == 'STOPPING': time.sleep(0.05)
print([info('slow')[key] for key in ('statename', 'exitstatus', 'spawnerr')])
";
        let script = script.replace("DIR", &site.dir.path().display().to_string());
        vec![site.script(python, &script), site.ctl(python, &["stop", "slow"]), site.ctl(python, &["start", "slow"])]
    });
}

#[test]
fn logs_that_are_not_there_are_told_as_by_supervisord() {
    let more = "[program:logged]\ncommand=sh -c 'echo hello; exec sleep 1000'\nstartsecs=0\nstdout_logfile=DIR/logged.log\n\
        stderr_logfile=DIR/never.log\n\
        [program:both]\ncommand=sh -c 'echo hello >&2; exec sleep 1000'\nstartsecs=0\nredirect_stderr=true\n\
        stdout_logfile=DIR/both.log\n\
        [program:late]\ncommand=sleep 1000\nautostart=false\nstartsecs=0\nstdout_logfile=DIR/late.log\n\
        stderr_logfile=DIR/late.err\n\
        [program:old]\ncommand=sleep 1000\nautostart=false\nstartsecs=0\nstdout_logfile=DIR/old.log\nstderr_logfile=NONE\n";
    compare(more, |site, python| {
        wait_until("the programs run", || {
            site.ctl(python, &["status", "ok", "logged", "both"]).matches("RUNNING").count() == 3
        });
        let read = |name: &str| fs::read_to_string(site.dir.path().join(name)).unwrap_or_default();
        wait_until("it is written", || read("logged.log") == "hello\n" && read("both.log") == "hello\n");
        // What an earlier daemon has written, of a program that has not run under this one.
        fs::write(site.dir.path().join("old.log"), "what was\n").expect("written");
        let script = "
import email.utils, http.client, os, socket
def logs(name):
    for channel in ('Stdout', 'Stderr'):
        call('supervisor.readProcess%sLog' % channel, name, 0, 0); call('supervisor.tailProcess%sLog' % channel, name, 0, 10)
    for path in ('/logtail/' + name, '/logtail/%s/stderr' % name):
        c = http.client.HTTPConnection('localhost'); c.sock = socket.socket(socket.AF_UNIX); c.sock.connect('DIR/sock')
        c.request('GET', path); r = c.getresponse()
        print(path, r.status, r.status == 200 and r.getheader('Last-Modified')[-4:])
for name in ('ok', 'logged', 'both', 'late', 'old'): logs(name)
c = http.client.HTTPConnection('localhost'); c.sock = socket.socket(socket.AF_UNIX); c.sock.connect('DIR/sock')
c.request('GET', '/logtail/old'); date = email.utils.parsedate_to_datetime(c.getresponse().getheader('Last-Modified'))
print(date.timestamp() == int(os.stat('DIR/old.log').st_mtime))
os.remove('DIR/logged.log')
logs('logged')
call('supervisor.clearProcessLogs', 'logged'); print(os.path.exists('DIR/logged.log'))
logs('logged')
c = http.client.HTTPConnection('localhost'); c.sock = socket.socket(socket.AF_UNIX); c.sock.connect('DIR/sock')
c.request('GET', '/mainlogtail'); r = c.getresponse(); print(r.status, bool(r.getheader('Last-Modified')))
";
        let script = script.replace("DIR", &site.dir.path().display().to_string());
        let told = site.script(python, &script);
        assert!(told.matches(" GMT").count() >= 5, "{told}");
        let mut answers = vec![told];
        for args in [
            &["tail", "ok"][..],
            &["tail", "both", "stderr"],
            &["tail", "late"],
            &["tail", "old"],
            &["tail", "-f", "ok"],
        ] {
            answers.push(site.ctl(python, args));
        }
        answers
    });
}

/// A group that an update brings is as the file has it; another order of its programs is a change.
#[test]
fn a_group_comes_with_an_update_and_is_started_and_stopped_as_by_supervisord() {
    compare("[include]\nfiles=DIR/more/*.conf\n", |site, python| {
        let more = site.dir.path().join("more");
        fs::create_dir(&more).expect("a directory");
        let text = "[group:z]\nprograms=f,d,e\n\
            [program:f]\ncommand=sleep 1000\nstartsecs=0\npriority=30\n\
            [program:d]\ncommand=sleep 1000\nstartsecs=0\npriority=10\n\
            [program:e]\ncommand=sleep 1000\nstartsecs=0\npriority=30\n";
        let mut told = Vec::new();
        let mut update = |text: &str| {
            fs::write(more.join("z.conf"), text).expect("written");
            told.extend([site.ctl(python, &["update"]), site.ctl(python, &["update"])]);
            wait_until("they run", || site.ctl(python, &["status", "z:*"]).matches("RUNNING").count() == 3);
        };
        update(text);
        update(&text.replace("f,d,e", "e,d,f"));
        let script = "
import time
def told(ask): print([one['name'] for one in ask('z', False)])
told(server.supervisor.stopProcessGroup)
while any(server.supervisor.getProcessInfo('z:' + name)['statename'] != 'STOPPED' for name in 'def'): time.sleep(0.05)
told(server.supervisor.startProcessGroup)
print(server.supervisor.reloadConfig())
";
        told.push(site.script(python, script));
        assert!(told[0].contains("added process group") && told[2].contains("updated process group"), "{told:?}");
        told
    });
}

/// supervisord starts again at once what has ended; here it waits for its second, and has to go all the same.
#[test]
fn what_waits_for_its_next_start_is_stopped_and_leaves_with_an_update() {
    let Some(python) = python() else { return };
    let again = "[program:fast]\ncommand=true\nstartsecs=0\nautorestart=true\n";
    let retried = "[program:fatal]\ncommand=false\nstartsecs=5\nstartretries=0\nfatal_retry=1000\n";
    let site = Site::start(Path::new(env!("CARGO_BIN_EXE_supervice")), &format!("{again}{retried}"));
    let ctl = |args: &[&str]| site.ctl(&python, args);
    wait_until("one waits for its restart", || ctl(&["status", "fast"]).contains("EXITED"));
    wait_until("the other one for its retry", || ctl(&["status", "fatal"]).contains("FATAL"));
    let told = ctl(&["stop", "fast"]);
    assert!(told.ends_with("\nfast: stopped\nSome(0)\n"), "{told}");
    assert!(ctl(&["status", "fast"]).contains("STOPPED"));
    ctl(&["start", "fast"]);
    let path = site.dir.path().join("conf");
    let text = fs::read_to_string(&path).expect("read");
    fs::write(&path, text.replace(again, "").replace(retried, "")).expect("written");
    let gone = ["fast", "fatal"].map(|name| format!("{name}: removed process group\n{name}: stopped\n")).concat();
    let told = ctl(&["update"]);
    assert!(told.ends_with(&format!("\n{gone}Some(0)\n")), "{told}");
}

/// Everything that is told of the settings of programs of every kind, each in a group of its own or in one with its own priority.
#[test]
fn settings_of_every_kind_of_program_are_told_as_by_supervisord() {
    let more = "[group:first]\nprograms=a,b\npriority=3\n\
        [program:a]\ncommand=sleep 1000\nautostart=false\npriority=50\nuser=0\ndirectory=/tmp\nserverurl=auto\n\
        [program:b]\ncommand=sleep 1000\nautostart=false\nuser=nobody\nstopsignal=HUP\nkillasgroup=true\nstopasgroup=true\nexitcodes=0,7\n\
        stdout_logfile=DIR/b.log\nstdout_logfile_maxbytes=2MB\nstdout_logfile_backups=3\nstdout_events_enabled=true\n\
        stdout_capture_maxbytes=1KB\nredirect_stderr=true\nserverurl=http://127.0.0.1:7\n\
        [program:alone]\ncommand=sleep 1000\nautostart=false\npriority=4\nstopwaitsecs=2\nstartsecs=3\nstartretries=5\n\
        [fcgi-program:f]\ncommand=sleep 1000\nautostart=false\nsocket=unix://DIR/f.sock\npriority=6\nstdout_logfile=NONE\n\
        [eventlistener:l]\ncommand=sleep 1000\nautostart=false\nevents=TICK_60\nstdout_logfile=NONE\n\
        [eventlistener:m]\ncommand=sleep 1000\nautostart=false\nevents=TICK_60\npriority=8\nstderr_logfile=NONE\n";
    compare(more, |site, python| {
        let script = "
# Files of AUTO are in no directory here.
else_told = ('stdout_logfile', 'stderr_logfile')
for i in server.supervisor.getAllConfigInfo(): print([(k, v) for k, v in sorted(i.items()) if k not in else_told])
";
        let told = site.script(python, script);
        assert!(told.contains("('serverurl', 'none')") && told.contains("('serverurl', 'http://N"), "{told}");
        assert!(told.matches("'group_prio', -1").count() == 1 && told.contains("'process_prio', 50"), "{told}");
        vec![told]
    });
}
