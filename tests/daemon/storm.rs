//! Badly behaved programs under random commands from many sides, checked from outside through /proc.
//!
//! Takes three seconds; `SUPERVICE_STORM_SECONDS=600 cargo test --test daemon storm` for longer. The seed is printed,
//! and taken from `SUPERVICE_STORM_SEED`.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::harness::{Daemon, alive, marked, open_fds, pids, stat, wait_until};

const PROGRAMS: &[(&str, &str)] = &[
    ("calm", "exec sleep 1000"),
    ("crash", "sleep 0.02; exit 3"),
    ("deaf", "trap : TERM; while :; do sleep 0.1; done"),
    ("tree", "sleep 1000 & sleep 1000 & (sleep 1000 & sleep 1000) & wait"),
    ("leaver", "sleep 1000 & sleep 0.05; exit 0"),
    ("runaway", "setsid sleep 3 & exec sleep 1000"),
    ("chatty", "while :; do echo line; echo error >&2; sleep 0.01; done"),
    ("flood", "exec yes a line that never ends >&2"),
    ("mute", "exec sleep 1000 >&- 2>&-"),
    ("killer", "sleep 0.03; kill -SEGV $$"),
    ("forking", "while :; do sleep 0.3 & sleep 0.2; done"),
    ("doubly", "(setsid sleep 2 &); sleep 0.5; exit 1"),
    ("realtime", "sleep 0.05; kill -40 $$"),
    ("stopper", "kill -STOP $$; exec sleep 1000"),
];
/// Programs that one worker alone commands, so that it knows what must be true: `own0`, …
const WORKERS: u64 = 6;
/// How long `status` may take: a second, and as much again for each other thing that a loaded machine does.
const STATUS_LIMIT: Duration = Duration::from_secs(60);

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// A small generator, so that a run can be repeated.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound).expect("small")
    }
}

fn sections(extra: bool) -> String {
    let mut text = String::new();
    let section = |name: &str, script: &str| {
        format!(
            "[program:{name}]\ncommand = sh -c '{}'\nstartsecs = 0\nstopwaitsecs = 1\nstartretries = 1000000\n\
             environment = MARK=storm-TEST,LEADER={name}\n",
            script.replace("; ", ";")
        )
    };
    for worker in 0..WORKERS {
        text.push_str(&section(&format!("own{worker}"), "sleep 1000 & trap : TERM; while :; do sleep 0.05; done"));
    }
    for (name, script) in PROGRAMS.iter().take(PROGRAMS.len() - usize::from(!extra)) {
        text.push_str(&section(name, script));
    }
    text.push_str("healthcheck_type = script\nhealthcheck_command = exit 1\nhealthcheck_interval = 1\nhealthcheck_start_period = 0\n");
    text
}

fn leader_name(pid: i32) -> Option<String> {
    let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let name = environ.split(|byte| *byte == 0).find_map(|entry| entry.strip_prefix(b"LEADER="));
    name.map(|name| String::from_utf8_lossy(name).into_owned())
}

/// Processes by program: leaders of groups whose parent is the daemon.
fn leaders(daemon: i32) -> HashMap<String, usize> {
    let mut found: HashMap<String, usize> = HashMap::new();
    for pid in pids() {
        let Some((parent, group, state)) = stat(pid) else { continue };
        let cmdline = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        // Health checks and what has run away lead groups, too; the programs are known by their command.
        let commands: [&[u8]; 3] = [b"sh\0-c\0", b"sleep\x001000\0", b"yes\0"];
        let is_program = commands.iter().any(|command| cmdline.starts_with(command));
        if parent == daemon
            && group == pid
            && state != 'Z'
            && is_program
            && let Some(name) = leader_name(pid)
        {
            *found.entry(name).or_default() += 1;
        }
    }
    found
}

/// By the shell's `kill`, which knows the real-time signals too.
fn send(pid: i32, signal: usize) {
    let _ = Command::new("kill").arg(format!("-{signal}")).arg(pid.to_string()).stderr(Stdio::null()).status();
}

struct Storm {
    daemon: Daemon,
    over: AtomicBool,
    /// The daemon is kept from opening anything: errors are to be expected.
    starved: AtomicBool,
}

impl Storm {
    fn command_at_random(&self, worker: u64, chance: &mut Chance) {
        let daemon = &self.daemon;
        let (name, _) = PROGRAMS[chance.below(PROGRAMS.len() as u64)];
        let controller = daemon.controller();
        match chance.below(14) {
            0..=2 => drop(controller.start_process(name)),
            3 | 4 => drop(controller.stop_process(name)),
            5 => drop(controller.restart_process(name, chance.below(2) == 0)),
            6 => {
                daemon.write_config(&sections(chance.below(2) == 0), &[]);
                drop(controller.reload());
            }
            7 | 8 => {
                let Ok(mut stream) = UnixStream::connect(daemon.path("ctl.sock")) else { return };
                let garbage: Vec<u8> = (0..chance.below(200)).map(|_| chance.below(256) as u8).collect();
                let _ = stream.write_all(&garbage);
                if chance.below(2) == 0 {
                    let _ = stream.write_all(b"\0\0\0\x14{\"command\":\"status\"}");
                }
            }
            9 | 10 => {
                let Ok(all) = controller.status() else { return };
                if let Some(pid) = all.get(chance.below(20)).and_then(|process| process.pid) {
                    // STOP, CONT, and all that there are, real-time ones too.
                    let signal = [19, 18, 9, 1 + chance.below(64)][chance.below(4)];
                    send(pid, signal);
                }
            }
            _ => self.own(worker, chance),
        }
    }

    /// Nobody else commands this one: after the answer it is as the answer says.
    fn own(&self, worker: u64, chance: &mut Chance) {
        let name = format!("own{worker}");
        let controller = self.daemon.controller();
        let _ = controller.start_process(&name);
        let stopped = chance.below(2) == 0 || controller.stop_process(&name).is_ok();
        if stopped && controller.stop_process(&name).is_ok() {
            let left = |pid: &i32| leader_name(*pid).as_deref() == Some(&name) && alive(*pid);
            let left: Vec<i32> = marked("storm").into_iter().filter(left).collect();
            assert!(left.is_empty(), "{left:?} of {name} after an acknowledged stop\n{}", self.daemon.log());
        }
    }

    /// `status` answers in time, whatever goes on; never two leaders of one program.
    fn watch(&self) {
        let begin = Instant::now();
        let starved = self.starved.load(Ordering::Relaxed);
        let answer = self.daemon.controller().status();
        let took = begin.elapsed();
        assert!(took < STATUS_LIMIT, "status took {took:?}");
        assert!(answer.is_ok() || starved || self.starved.load(Ordering::Relaxed), "{answer:?}\n{}", self.daemon.log());
        for (name, count) in leaders(self.daemon.pid()) {
            assert!(count <= 1, "{count} leaders of {name}\n{}", self.daemon.log());
        }
    }

    /// For a moment the daemon gets no new descriptor.
    fn starve(&self, chance: &mut Chance) {
        let pid = self.daemon.pid();
        let limit = |soft: String| {
            let _ = Command::new("prlimit").args(["--pid", &pid.to_string(), &format!("--nofile={soft}:")]).status();
        };
        self.starved.store(true, Ordering::Relaxed);
        limit((open_fds(pid) + chance.below(4)).to_string());
        std::thread::sleep(Duration::from_millis(100 + 10 * chance.below(40) as u64));
        limit("1024".to_owned());
        // What was refused meanwhile has been answered by now.
        wait_until("the daemon has recovered", || self.daemon.controller().status().is_ok());
        self.starved.store(false, Ordering::Relaxed);
    }
}

fn status_kib(pid: i32, key: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    line.and_then(|line| line.trim_start_matches(':').split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

#[test]
fn storm() {
    let seed = number("SUPERVICE_STORM_SEED", 0x5eed_1234_5678);
    let seconds = number("SUPERVICE_STORM_SECONDS", 3);
    println!("SUPERVICE_STORM_SEED={seed}");
    let daemon = Daemon::start(&sections(true));
    let pid = daemon.pid();
    let (fds, threads, memory) = (open_fds(pid), status_kib(pid, "Threads"), status_kib(pid, "RssAnon"));
    let storm = Storm { daemon, over: AtomicBool::new(false), starved: AtomicBool::new(false) };
    std::thread::scope(|scope| {
        for worker in 0..WORKERS {
            let storm = &storm;
            scope.spawn(move || {
                let mut chance = Chance(seed.wrapping_add(worker * 7919).max(1));
                while !storm.over.load(Ordering::Relaxed) {
                    storm.command_at_random(worker, &mut chance);
                }
            });
        }
        let storm = &storm;
        scope.spawn(move || {
            let mut chance = Chance(seed.wrapping_mul(31).max(1));
            while !storm.over.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(500));
                storm.starve(&mut chance);
            }
        });
        let begin = Instant::now();
        let watch = std::panic::AssertUnwindSafe(|| {
            while begin.elapsed() < Duration::from_secs(seconds) {
                storm.watch();
            }
        });
        let watched = std::panic::catch_unwind(watch);
        storm.over.store(true, Ordering::Relaxed);
        if let Err(reason) = watched {
            std::panic::resume_unwind(reason);
        }
    });
    let daemon = storm.daemon;
    daemon.write_config(&sections(true), &[]);
    daemon.controller().reload().expect("the daemon is well");
    let names = daemon.all().into_iter().map(|process| process.name);
    std::thread::scope(|scope| {
        for name in names {
            let daemon = &daemon;
            scope.spawn(move || daemon.controller().stop_process(&name).expect("it stops"));
        }
    });
    // What has run away ends by itself after three seconds.
    wait_until("no process is left after acknowledged stops", || marked("storm").is_empty());
    wait_until("the descriptors are back", || open_fds(pid) <= fds);
    wait_until("the threads are back", || status_kib(pid, "Threads") <= threads + 1);
    let after = status_kib(pid, "RssAnon");
    println!("memory before and after: {memory} and {after} KiB");
    assert!(after < memory + 4096, "memory grew from {memory} to {after} KiB");
    assert!(alive(pid));
    daemon.terminate();
}
