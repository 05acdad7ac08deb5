//! Tools that are made for supervisord, unchanged, first with the real one and then with ours: superlance's event listeners, the
//! modules of Ansible and of Salt.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::harness::{wait_until, write_executable};
use crate::interop::python;
use crate::supervisord_clients::{Site, plain};

/// Runs the same with the original and, at the same time, with ours.
fn compare(run: impl Fn(&Path, &Path) -> Vec<String> + Sync) {
    let Some(python) = python() else { return };
    let (theirs, ours) = std::thread::scope(|scope| {
        let theirs = scope.spawn(|| run(&python.with_file_name("supervisord"), &python));
        let ours = run(Path::new(env!("CARGO_BIN_EXE_supervice")), &python);
        (theirs.join(), ours)
    });
    let theirs = theirs.expect("no panic");
    assert!(!theirs.is_empty());
    assert_eq!(ours, theirs);
}

/// What `.ci/run` installs beside Python, for this test.
fn is_there(found: &Path) -> bool {
    if !found.exists() {
        assert!(std::env::var_os("SUPERVICE_TEST_REQUIRE").is_none(), "{} is missing", found.display());
        println!("SKIPPED: {} is missing, which .ci/run installs", found.display());
    }
    found.exists()
}

fn clients(python: &Path) -> Option<PathBuf> {
    let found = python.parent()?.parent()?.join("share/clients");
    is_there(&found).then_some(found)
}

/// A mail server that writes what it is sent to a file.
const MAIL_SERVER: &str = "
import socketserver, sys
class Mail(socketserver.StreamRequestHandler):
    def handle(self):
        say = lambda text: self.wfile.write(text + b'\\r\\n')
        say(b'220 here')
        while True:
            line = self.rfile.readline().strip()
            if not line: return
            if line.upper() == b'DATA':
                say(b'354 go on')
                text = b''
                while not text.endswith(b'\\r\\n.\\r\\n'): text += self.rfile.readline()
                open(sys.argv[1], 'ab').write(text)
            elif line.upper() == b'QUIT': return say(b'221 bye')
            say(b'250 ok')
server = socketserver.TCPServer(('127.0.0.1', 0), Mail)
open(sys.argv[2], 'w').write('%d' % server.server_address[1])
server.serve_forever()
";

fn superlance(port: &str, bin: &Path) -> String {
    let bin = bin.display();
    format!(
        "[program:web]\ncommand=sleep 1000\nstartsecs=0\n[program:fat]\ncommand=sleep 1000\nstartsecs=0\n\
         [program:crash]\ncommand=sh -c 'sleep 0.2; exit 3'\nautostart=false\nstartsecs=0\nautorestart=false\n\
         [program:fatal]\ncommand=sh -c 'exit 3'\nautostart=false\nstartsecs=60\nstartretries=0\n\
         [eventlistener:httpok]\ncommand={bin}/httpok -p web -t 1 -m to@x -s DIR/mail http://127.0.0.1:1/\nevents=TICK_5\n\
         [eventlistener:memmon]\ncommand={bin}/memmon -p fat=1 -m to@x -s DIR/mail\nevents=TICK_5\n\
         [eventlistener:crashmail]\ncommand={bin}/crashmail -p crash -m to@x -s DIR/mail\nevents=PROCESS_STATE_EXITED\n\
         [eventlistener:crashsms]\ncommand={bin}/crashsms --toEmail=sms@x --fromEmail=a@x --subject=sms --smtpHost=127.0.0.1:{port} \
         --tickEvent=TICK_5 -i 0.01\nevents=PROCESS_STATE,TICK_5\n\
         [eventlistener:fatalmailbatch]\ncommand={bin}/fatalmailbatch --toEmail=to@x --fromEmail=a@x --subject=batch \
         --smtpHost=127.0.0.1:{port} --tickEvent=TICK_5 -i 0.01\nevents=PROCESS_STATE,TICK_5\n"
    )
}

/// Each does what it is for: httpok and memmon restart a program, crashmail, crashsms and fatalmailbatch write of one.
#[test]
fn superlance_does_what_it_does_under_supervisord() {
    let Some(bin) = python().and_then(|python| Some(python.parent()?.to_owned())) else { return };
    if !is_there(&bin.join("httpok")) {
        return;
    }
    compare(|daemon, python| {
        let post = tempfile::tempdir().expect("a directory");
        let (mails, port) = (post.path().join("mails"), post.path().join("port"));
        let mut server = Command::new(python);
        let server = server.args(["-c", MAIL_SERVER]).arg(&mails).arg(&port).stderr(Stdio::null());
        let mut server = server.spawn().expect("it can be executed");
        wait_until("the mail server listens", || fs::read_to_string(&port).is_ok_and(|text| !text.is_empty()));
        let port = fs::read_to_string(&port).expect("a port");
        let site = Site::start(daemon, &superlance(&port, &bin));
        // What is sent by a command.
        let sent = site.dir.path().join("sent");
        let mail = site.dir.path().join("mail");
        write_executable(&mail, format!("#!/bin/sh\ncat >> {}\n", sent.display()));
        let pid = |name: &str| site.script(python, &format!("call('supervisor.getProcessInfo', '{name}')"));
        let raw_pid = |name: &str| {
            let output = Command::new(python.with_file_name("supervisorctl"));
            let mut output = output;
            let output = output.args(["-s", &format!("unix://{}", site.socket().display()), "pid", name]).output();
            String::from_utf8_lossy(&output.expect("executed").stdout).trim().to_owned()
        };
        let listeners = ["httpok", "memmon", "crashmail", "crashsms", "fatalmailbatch"];
        wait_until("all of them run", || {
            site.ctl(python, &[["status", "web", "fat"].as_slice(), &listeners].concat()).matches("RUNNING").count()
                == 7
        });
        let before = (raw_pid("web"), raw_pid("fat"));
        site.ctl(python, &["start", "crash"]);
        site.ctl(python, &["start", "fatal"]);
        let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
        let subjects = |text: &str| {
            let subjects = text.lines().filter(|line| line.starts_with("Subject:"));
            // Some tell when it was.
            let mut found: Vec<String> =
                subjects.map(|line| plain(line.split(" at ").next().unwrap_or(line))).collect();
            found.sort();
            found.dedup();
            found
        };
        wait_until("each has written", || {
            let (sent, mails) = (read(&sent), read(&mails));
            ["web", "fat", "crash"].iter().all(|name| sent.contains(name))
                && mails.contains("sms")
                && mails.contains("fatal")
        });
        let is_other = |name: &str, before: &str| {
            let now = raw_pid(name);
            !["", "0", before].contains(&&*now)
        };
        wait_until("both were restarted", || is_other("web", &before.0) && is_other("fat", &before.1));
        let mut told = subjects(&read(&sent));
        told.extend(subjects(&read(&mails)));
        let bodies = plain(&read(&mails));
        let mut lines: Vec<&str> =
            bodies.lines().filter(|line| line.contains("rocess ")).map(behind_the_date).collect();
        lines.sort_unstable();
        lines.dedup();
        told.extend(lines.into_iter().map(str::to_owned));
        told.push(
            site.ctl(python, &[["status"].as_slice(), &listeners].concat()).matches("RUNNING").count().to_string(),
        );
        assert!(pid("web").contains("RUNNING"));
        server.kill().expect("it lives");
        server.wait().expect("it ends");
        told
    });
}

/// `2026-11-29 12:00:00 -- Process …` without its time.
fn behind_the_date(line: &str) -> &str {
    line.split_once("rocess ").map_or(line, |(_, rest)| rest)
}

/// A playbook of the module: what it says of each task.
const PLAYBOOK: &str = "
- hosts: localhost
  gather_facts: false
  module_defaults:
    community.general.supervisorctl: {server_url: 'unix://SOCKET', supervisorctl_path: 'CTL'}
  tasks:
TASKS";

#[test]
fn ansible_says_what_it_says_of_supervisord() {
    let Some(clients) = python().as_deref().and_then(clients) else { return };
    compare(|daemon, python| {
        let site = Site::start(daemon, "");
        wait_until("the programs run", || site.ctl(python, &["status", "ok", "cat"]).matches("RUNNING").count() == 2);
        let tasks: String = [
            ("ok", "started", ""),
            ("off", "started", ""),
            ("off", "started", ""),
            ("ok", "restarted", ""),
            ("ok", "signalled", ", signal: CONT"),
            ("many:", "started", ""),
            ("many:", "stopped", ""),
            ("off", "stopped", ""),
            ("off", "stopped", ""),
            ("bad", "started", ""),
            ("nope", "started", ""),
            ("nope", "present", ""),
            ("off", "absent", ""),
            ("off", "present", ""),
            ("cat", "absent", ", stop_before_removing: true"),
            ("all", "stopped", ""),
        ]
        .iter()
        .map(|(name, state, more)| {
            format!(
                "    - {{community.general.supervisorctl: {{name: '{name}', state: {state}{more}}}, ignore_errors: true}}\n"
            )
        })
        .collect();
        let socket = site.socket().display().to_string();
        let ctl = python.with_file_name("supervisorctl").display().to_string();
        let book = PLAYBOOK.replace("SOCKET", &socket).replace("CTL", &ctl).replace("TASKS", &tasks);
        let path = site.dir.path().join("book.yml");
        fs::write(&path, book).expect("written");
        let output = Command::new(python.with_file_name("ansible-playbook"))
            .args(["-i", "localhost,", "-c", "local", "-e"])
            .arg(format!("ansible_python_interpreter={}", python.display()))
            .arg(&path)
            .env("LC_ALL", "C.UTF-8")
            .env("ANSIBLE_STDOUT_CALLBACK", "minimal")
            .env("ANSIBLE_COLLECTIONS_PATH", &clients)
            // One process for each task, not four.
            .env("ANSIBLE_PIPELINING", "1")
            .env("ANSIBLE_HOME", site.dir.path())
            .output()
            .expect("it can be executed");
        let text = String::from_utf8_lossy(&output.stdout).replace(&site.dir.path().display().to_string(), "DIR");
        assert!(text.matches("localhost | ").count() >= 16, "{text}{}", String::from_utf8_lossy(&output.stderr));
        assert!(text.matches("\"changed\": true").count() >= 9, "most of them do something: {text}");
        vec![plain(&text)]
    });
}

/// The module, with the few things that Salt's loader gives it.
const SALT: &str = "
import importlib.util, shutil, subprocess, sys, types
def module(name, **names):
    found = types.ModuleType(name)
    found.__dict__.update(names)
    sys.modules[name] = found
    return found
salt = module('salt'); salt.utils = module('salt.utils')
salt.utils.stringutils = module('salt.utils.stringutils', to_num=lambda text: int(text) if text.isdigit() else text)
module('salt.exceptions', CommandExecutionError=type('E', (Exception,), {}), CommandNotFoundError=type('N', (Exception,), {}))
spec = importlib.util.spec_from_file_location('supervisord', MODULE)
s = importlib.util.module_from_spec(spec)
def run_all(command, runas=None, python_shell=False):
    done = subprocess.run(command, capture_output=True, text=True)
    return {'retcode': done.returncode, 'stdout': done.stdout.strip(), 'stderr': done.stderr.strip()}
s.__salt__ = {'cmd.run_all': run_all, 'cmd.which_bin': lambda names: shutil.which(names[0])}
spec.loader.exec_module(s)
at = {'conf_file': CONF, 'bin_env': CTL}
# Members of a group are told of as they come.
def in_order(told):
    return '\\n'.join(sorted(told.splitlines())) if isinstance(told, str) else told
for name, args in [('status', []), ('status', ['off']), ('start', ['off']), ('start', ['off']), ('restart', ['ok']), ('stop', ['off']),
    ('start', ['many:*']), ('stop', ['many:']), ('start', ['bad']), ('start', ['nope']), ('reread', []), ('update', []),
    ('add', ['nope']), ('remove', ['off']), ('add', ['off']), ('status_raw', ['nope']), ('status_bool', ['ok']), ('custom', ['avail'])]:
    try: print(name, args, in_order(getattr(s, name)(*args, **at)))
    except Exception as error: print(name, args, type(error).__name__, error)
print(s.options('cat', conf_file=CONF))
";

#[test]
fn salt_says_what_it_says_of_supervisord() {
    let Some(clients) = python().as_deref().and_then(clients) else { return };
    compare(|daemon, python| {
        let site = Site::start(daemon, "[supervisorctl]\nserverurl=unix://DIR/sock\n");
        wait_until("the programs run", || site.ctl(python, &["status", "ok", "cat"]).matches("RUNNING").count() == 2);
        let quoted = |path: &Path| format!("{:?}", path.display().to_string());
        let script = SALT
            .replace("MODULE", &quoted(&clients.join("salt/supervisord.py")))
            .replace("CONF", &quoted(&site.dir.path().join("conf")))
            .replace("CTL", &quoted(&python.with_file_name("supervisorctl")));
        let told = site.script(python, &script);
        assert!(told.contains("start ['off'] off: started") && told.contains("status_bool ['ok'] True"), "{told}");
        vec![told]
    });
}
