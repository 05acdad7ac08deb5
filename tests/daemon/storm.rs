//! Badly behaved programs under random commands from many sides, checked from outside through /proc.
//!
//! Takes three seconds; `SUPERVICE_STORM_SECONDS=600 cargo test --test daemon storm` for longer. The seed is printed,
//! and taken from `SUPERVICE_STORM_SEED`.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{Daemon, alive, marked, open_fds, pids, stat, wait_until};

const PROGRAMS: &[(&str, &str)] = &[
    ("calm", "exec sleep 1000"),
    ("crash", "sleep 0.02; exit 3"),
    ("deaf", "trap : TERM; while :; do sleep 0.1; done"),
    ("tree", "sleep 1000 & sleep 1000 & (sleep 1000 & sleep 1000) & wait"),
    ("leaver", "sleep 1000 & sleep 0.05; exit 0"),
    ("runaway", "setsid sleep 3 & exec sleep 1000"),
    ("chatty", "while :; do echo line; echo error >&2; sleep 0.01; done"),
    ("mute", "exec sleep 1000 >&- 2>&-"),
    ("killer", "sleep 0.03; kill -SEGV $$"),
    ("stopper", "kill -STOP $$; exec sleep 1000"),
];

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
    for (name, script) in PROGRAMS.iter().take(if extra { 10 } else { 9 }) {
        text.push_str(&format!(
            "[program:{name}]\ncommand = sh -c '{}'\nstartsecs = 0\nstopwaitsecs = 1\nstartretries = 1000000\n\
             environment = MARK=storm-TEST,LEADER={name}\n",
            script.replace("; ", ";")
        ));
    }
    text.push_str("healthcheck_type = script\nhealthcheck_command = exit 1\nhealthcheck_interval = 1\nhealthcheck_start_period = 0\n");
    text
}

/// Processes by program: leaders of groups whose parent is the daemon.
fn leaders(daemon: i32) -> HashMap<String, usize> {
    let mut found: HashMap<String, usize> = HashMap::new();
    for pid in pids() {
        let Some((parent, group, state)) = stat(pid) else { continue };
        let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let name = environ.split(|byte| *byte == 0).find_map(|entry| entry.strip_prefix(b"LEADER="));
        let cmdline = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        // Health checks and what has run away lead groups, too; the programs are known by their command.
        let is_program = cmdline.starts_with(b"sh\0-c\0") || cmdline.starts_with(b"sleep\x001000\0");
        if parent == daemon
            && group == pid
            && state != 'Z'
            && is_program
            && let Some(name) = name
        {
            *found.entry(String::from_utf8_lossy(name).into_owned()).or_default() += 1;
        }
    }
    found
}

fn command_at_random(daemon: &Daemon, chance: &mut Chance) {
    let (name, _) = PROGRAMS[chance.below(PROGRAMS.len() as u64)];
    let controller = daemon.controller();
    let begin = Instant::now();
    match chance.below(12) {
        0..=2 => drop(controller.start_process(name)),
        3..=5 => drop(controller.stop_process(name)),
        6 | 7 => drop(controller.restart_process(name, chance.below(2) == 0)),
        8 => {
            daemon.write_config(&sections(chance.below(2) == 0), &[]);
            drop(controller.reload());
        }
        9 => {
            let mut stream = UnixStream::connect(daemon.path("ctl.sock")).expect("connect");
            let garbage: Vec<u8> = (0..chance.below(200)).map(|_| chance.below(256) as u8).collect();
            let _ = stream.write_all(&garbage);
        }
        10 => {
            if let Some(pid) = daemon.all().get(chance.below(9)).and_then(|process| process.pid) {
                let signal = [Signal::SIGKILL, Signal::SIGSTOP, Signal::SIGCONT, Signal::SIGUSR1][chance.below(4)];
                let _ = kill(Pid::from_raw(pid), signal);
            }
        }
        _ => {
            daemon.all();
            assert!(begin.elapsed() < Duration::from_secs(5), "status took {:?}", begin.elapsed());
        }
    }
}

#[test]
fn storm() {
    let seed = number("SUPERVICE_STORM_SEED", 0x5eed_1234_5678);
    println!("SUPERVICE_STORM_SEED={seed}");
    let daemon = Daemon::start(&sections(true));
    let quiet = open_fds(daemon.pid());
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for worker in 0..6 {
            let (daemon, over) = (&daemon, &over);
            scope.spawn(move || {
                let mut chance = Chance(seed.wrapping_add(worker * 7919).max(1));
                while !over.load(Ordering::Relaxed) {
                    command_at_random(daemon, &mut chance);
                }
            });
        }
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(number("SUPERVICE_STORM_SECONDS", 3)) {
            for (name, count) in leaders(daemon.pid()) {
                assert!(count <= 1, "{count} leaders of {name}\n{}", daemon.log());
            }
        }
        over.store(true, Ordering::Relaxed);
    });
    daemon.write_config(&sections(true), &[]);
    daemon.controller().reload().expect("the daemon is well");
    std::thread::scope(|scope| {
        for (name, _) in PROGRAMS {
            scope.spawn(|| daemon.controller().stop_process(name).expect("it stops"));
        }
    });
    // What has run away ends by itself after three seconds.
    wait_until("no process is left after acknowledged stops", || marked("storm").is_empty());
    wait_until("the descriptors are back", || open_fds(daemon.pid()) <= quiet);
    assert!(alive(daemon.pid()));
    daemon.terminate();
}
