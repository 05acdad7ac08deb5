//! The measures: one run of one peer, and what is taken from it.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use crate::clock::{milliseconds, monotonic_ns};
use crate::error::{Context, Result};
use crate::peers::Peer;
use crate::procfs;
use crate::running::Running;
use crate::site::Site;

/// What can be measured, under the names that `--only` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Exec of the daemon to the first instruction of the last child.
    Start,
    /// `kill -9` of a child to the first instruction of its replacement.
    Respawn,
    /// The peer's own command for the status of all programs, from start to end.
    Status,
    /// The signal to the daemon until it and all children have gone.
    Stop,
    /// Memory of all the supervisor's processes.
    Memory,
    /// Context switches and CPU time at rest.
    Idle,
    /// Capture of output into files that rotate: speed, and the supervisor's CPU time. Only on request: it takes long.
    Log,
    /// Start and stop of programs that need each other, beside those that can do that. Only on request: it takes long.
    Graph,
    /// supervisord's interface, metrics, and what clients of HTTP cost. Only on request: it takes long.
    Http,
    /// A start through the control socket, with and without many health checks (ours only).
    Spawn,
    /// What one event costs among ever more programs (ours only). Only on request: it takes long.
    Growth,
}

impl Kind {
    /// All, in the order of the report (and of this enum).
    pub const ALL: [Kind; 11] = [
        Kind::Start,
        Kind::Respawn,
        Kind::Status,
        Kind::Stop,
        Kind::Memory,
        Kind::Idle,
        Kind::Log,
        Kind::Graph,
        Kind::Http,
        Kind::Spawn,
        Kind::Growth,
    ];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Start => "start",
            Kind::Respawn => "respawn",
            Kind::Status => "status",
            Kind::Stop => "stop",
            Kind::Memory => "memory",
            Kind::Idle => "idle",
            Kind::Log => "log",
            Kind::Graph => "graph",
            Kind::Http => "http",
            Kind::Spawn => "spawn",
            Kind::Growth => "growth",
        }
    }
}

/// What a figure is of; the key under which samples of several rounds are gathered.
#[derive(Debug, Clone)]
pub struct Measure {
    /// Where it stands in the report.
    pub kind: Kind,
    /// For people: what, with how many programs.
    pub title: String,
    /// `ms`, `KiB` or nothing for counts.
    pub unit: &'static str,
    /// What this project wants to reach, in that unit.
    pub goal: Option<f64>,
}

impl Measure {
    /// A measure without a goal.
    pub fn new(kind: Kind, title: impl Into<String>, unit: &'static str) -> Self {
        Self { kind, title: title.into(), unit, goal: None }
    }

    /// The title with the unit.
    pub fn heading(&self) -> String {
        if self.unit.is_empty() { self.title.clone() } else { format!("{} [{}]", self.title, self.unit) }
    }

    fn goal(mut self, n: usize, goals: &[(usize, f64)]) -> Self {
        self.goal = goals.iter().find(|(at, _)| *at == n).map(|(_, goal)| *goal);
        self
    }
}

/// A figure and what it is of.
pub type Sample = (Measure, f64);

/// One run: how many programs, what to measure.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The number of programs.
    pub n: usize,
    /// What is measured in this run.
    pub kinds: Vec<Kind>,
    /// How old the youngest child is when the rest begins: timers of the start have run out by then.
    pub calm: Duration,
    /// How long the supervisor's rest is watched.
    pub idle: Duration,
    /// The time after which no further kill or status is begun, once there are three.
    pub budget: Duration,
}

const MIN_REPEATS: usize = 3;
const MAX_REPEATS: usize = 15;
/// After this every peer holds its children for well started (`startsecs` and the like are one second).
const SETTLE: Duration = Duration::from_millis(1500);
/// After this the daemon of ours has given back what its start has needed.
const REST: Duration = Duration::from_millis(5000);

/// Runs `peer` once and adds what `plan` asks for to `samples`, which keep what was measured before an error.
pub fn run(peer: &dyn Peer, plan: &Plan, site: Site, samples: &mut Vec<Sample>) -> Result<()> {
    let n = plan.n;
    let wants = |kind| plan.kinds.contains(&kind);
    let command = peer.daemon(&site)?;
    let mut running = Running::launch_unread(site, command)?;
    let started = running.started(n)?;
    if wants(Kind::Start) {
        samples.push((Measure::new(Kind::Start, format!("start of {n}"), "ms").goal(n, &[(1000, 700.0)]), started));
    }
    running.let_age(SETTLE);
    if wants(Kind::Memory) {
        running.let_age(REST);
        samples.extend(memory(&running, n)?);
    }
    if wants(Kind::Idle) {
        running.let_age(plan.calm);
        samples.extend(idle(&running, n, plan.idle)?);
    }
    let status = if wants(Kind::Status) { status(peer, &running, plan) } else { Ok(Vec::new()) };
    if wants(Kind::Respawn) {
        let measure =
            Measure::new(Kind::Respawn, format!("respawn among {n}"), "ms").goal(n, &[(20, 2.0), (1000, 2.0)]);
        let victims = running.victims();
        let mut victims = victims.iter();
        let times = repeat(plan.budget, || victims.next().map(|&victim| running.respawn(victim)))?;
        samples.extend(times.into_iter().map(|time| (measure.clone(), time)));
    }
    let stopped = running.stop(peer.stop_signal())?;
    if wants(Kind::Stop) {
        samples.push((Measure::new(Kind::Stop, format!("stop of {n}"), "ms").goal(n, &[(1000, 100.0)]), stopped));
    }
    // Only now: a command that fails says nothing against the daemon, which has been measured to its end.
    samples.extend(status?);
    Ok(())
}

fn memory(running: &Running, n: usize) -> Result<Vec<Sample>> {
    let memory = procfs::memory(&running.processes())?;
    let sample = |what: &str, value: u64, goals: &[(usize, f64)]| {
        (Measure::new(Kind::Memory, format!("{what} with {n}"), "KiB").goal(n, goals), value as f64)
    };
    Ok(vec![
        sample("PSS", memory.pss, &[(20, 1024.0), (1000, 4096.0)]),
        sample("private dirty", memory.private_dirty, &[(20, 300.0)]),
        sample("RSS", memory.rss, &[]),
    ])
}

fn idle(running: &Running, n: usize, watch: Duration) -> Result<Vec<Sample>> {
    let processes = running.processes();
    let before = procfs::usage(&processes)?;
    thread::sleep(watch);
    let after = procfs::usage(&processes)?;
    let during = format!("at rest with {n}, in {} s", watch.as_secs());
    let goals = &[(n, 0.0)];
    Ok(vec![
        (
            Measure::new(Kind::Idle, format!("context switches {during}"), "").goal(n, goals),
            after.switches.saturating_sub(before.switches) as f64,
        ),
        (
            Measure::new(Kind::Idle, format!("CPU time {during}"), "ms").goal(n, goals),
            milliseconds(before.cpu_ns, after.cpu_ns),
        ),
    ])
}

fn status(peer: &dyn Peer, running: &Running, plan: &Plan) -> Result<Vec<Sample>> {
    let n = plan.n;
    let commands = peer.status(&running.site);
    if commands.is_empty() {
        return Ok(Vec::new());
    }
    // The first time is a look whether it says what it should; it also warms the caches.
    let mut lines = 0;
    for mut command in peer.status(&running.site) {
        let said = command.stdin(Stdio::null()).output().context("cannot run the status command")?;
        lines += said.stdout.iter().filter(|&&byte| byte == b'\n').count();
    }
    if lines < n {
        return Err(format!("status printed {lines} lines for {n} programs"));
    }
    let measure = Measure::new(Kind::Status, format!("status of {n}"), "ms").goal(n, &[(1000, 5.0)]);
    let times = repeat(plan.budget, || {
        let mut commands = peer.status(&running.site);
        let began_ns = monotonic_ns();
        for command in &mut commands {
            let ended = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
            if let Err(error) = ended {
                return Some(Err(format!("cannot run the status command: {error}")));
            }
        }
        Some(Ok(milliseconds(began_ns, monotonic_ns())))
    })?;
    let mut samples: Vec<Sample> = times.into_iter().map(|time| (measure.clone(), time)).collect();
    if let Some(socket) = peer.control_socket(&running.site) {
        samples.extend(socket_status(&socket, n, plan.budget)?);
    }
    Ok(samples)
}

/// What the daemon itself takes, without a program that asks and draws: a connection for each request, because the
/// Python package's answers only one on each.
fn socket_status(socket: &Path, n: usize, budget: Duration) -> Result<Vec<Sample>> {
    const REQUEST: &[u8] = br#"{"command":"status"}"#;
    let mut answer = Vec::new();
    let mut ask = || -> std::io::Result<f64> {
        let began_ns = monotonic_ns();
        let mut stream = UnixStream::connect(socket)?;
        stream.write_all(&[&(REQUEST.len() as u32).to_be_bytes()[..], REQUEST].concat())?;
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        answer.resize(u32::from_be_bytes(length) as usize, 0);
        stream.read_exact(&mut answer)?;
        Ok(milliseconds(began_ns, monotonic_ns()))
    };
    ask().context("no status on the control socket")?;
    let measure = Measure::new(Kind::Status, format!("status of {n} on the socket"), "ms").goal(n, &[(1000, 3.0)]);
    let times = repeat(budget, || Some(ask().context("no status on the control socket")))?;
    Ok(times.into_iter().map(|time| (measure.clone(), time)).collect())
}

/// Calls `once` up to [`MAX_REPEATS`] times, fewer (but at least [`MIN_REPEATS`]) when `budget` is used up,
/// with a pause after each in which the daemon comes to rest. `None` ends it early.
pub fn repeat(budget: Duration, mut once: impl FnMut() -> Option<Result<f64>>) -> Result<Vec<f64>> {
    let began = Instant::now();
    let mut times = Vec::new();
    while times.len() < MAX_REPEATS && (times.len() < MIN_REPEATS || began.elapsed() < budget) {
        match once() {
            Some(time) => times.push(time?),
            None => break,
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(times)
}
