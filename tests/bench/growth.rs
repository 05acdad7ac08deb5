//! What one event costs among ever more programs: time, and CPU time of the daemon, which tells growth where the machine has
//! other work. What grows with the number of programs has its reason beside it in [`EVENTS`].

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::json;

use crate::clock::{milliseconds, monotonic_ns, process_cpu_ns};
use crate::error::{Context, Result};
use crate::frames::Connection;
use crate::measure::{Kind, Measure, Sample, repeat};
use crate::peers::Supervice;
use crate::running::Running;
use crate::site::Site;

/// The numbers of programs, where none are named.
pub const SIZES: [usize; 4] = [10, 100, 1000, 10_000];

/// Started and stopped again and again.
const PROBE: &str = "probe";
/// The same with a timer from its start until it is RUNNING.
const TIMED: &str = "timed";
/// Writes what it reads.
const ECHO: &str = "echo";

/// After a start, one's timers have run out, and the daemon has given back what it no longer needs.
const SETTLE: Duration = Duration::from_secs(3);
/// After this the daemon has nothing more to do for an event.
const CALM: Duration = Duration::from_millis(20);

/// What happens, from the request to its answer, or to the first instruction of what is started.
#[derive(Debug, Clone, Copy)]
enum Event {
    Start,
    Stop,
    /// Behind the start of the next one the kernel walks all children of the daemon: it may have merged signals.
    Respawn,
    Timer,
    Line,
    StatusOfOne,
    /// Has a row for each: grows on purpose.
    StatusOfAll,
    /// Reads all of the file and compares each program: grows on purpose.
    ReloadUnchanged,
    /// The same, and the graph of all is made anew.
    ReloadOneChange,
}

const EVENTS: [(Event, &str); 9] = [
    (Event::Start, "start of one"),
    (Event::Stop, "stop of one"),
    (Event::Respawn, "respawn"),
    (Event::Timer, "start with startsecs = 1"),
    (Event::Line, "line of output"),
    (Event::StatusOfOne, "status of one"),
    (Event::StatusOfAll, "status of all"),
    (Event::ReloadUnchanged, "update, file unchanged"),
    (Event::ReloadOneChange, "update, one program changed"),
];

/// Runs as many programs as `site` says, and has each event happen several times.
pub fn run(site: Site, budget: Duration) -> Result<Vec<Sample>> {
    let n = site.n;
    let ours = Supervice::ours();
    let command = ours.run(&site, &configuration(&ours, &site, 10))?;
    let mut running = Running::launch(site, command)?;
    running.started(n)?;
    running.let_age(SETTLE);
    let connection = Connection::open(&Supervice::socket(&running.site))?;
    // Before any other has started and ended.
    let mut victims = running.victims();
    let file = running.site.path("supervice.conf");
    let mut bench = Bench { file, running, connection, ours, changes: 0, victim: None };
    let mut samples = Vec::new();
    for (event, title) in EVENTS {
        let mut cpu_us = Vec::new();
        let times = repeat(budget, || {
            if matches!(event, Event::Respawn) {
                bench.victim = Some(victims.pop()?);
            }
            Some(bench.happen(event, &mut cpu_us))
        })?;
        let time = Measure::new(Kind::Growth, format!("{title} among {n}"), "ms");
        let cpu = Measure::new(Kind::Growth, format!("{title} among {n}: the daemon's CPU time"), "µs");
        samples.extend(times.into_iter().map(|value| (time.clone(), value)));
        samples.extend(cpu_us.into_iter().map(|value| (cpu.clone(), value)));
    }
    bench.running.stop(Signal::SIGTERM)?;
    Ok(samples)
}

/// Without capture: ten thousand programs need fewer descriptors than most machines allow.
fn configuration(ours: &Supervice, site: &Site, stopwaitsecs: u32) -> String {
    let mut text = ours.configuration(site, "log_buffer = 0\n");
    for (name, startsecs) in [(PROBE, 0), (TIMED, 1)] {
        let _ = write!(
            text,
            "[program:{name}]\ncommand = {}\nautostart = false\nautorestart = false\nstartsecs = {startsecs}\n\
             stopwaitsecs = {stopwaitsecs}\n",
            site.command_line()
        );
    }
    let _ = write!(text, "[program:{ECHO}]\ncommand = /bin/cat\nstdin = pipe\nstartsecs = 0\n");
    text
}

struct Bench {
    running: Running,
    connection: Connection,
    ours: Supervice,
    file: std::path::PathBuf,
    changes: u32,
    /// Who is killed next.
    victim: Option<i32>,
}

impl Bench {
    /// The time of one event in milliseconds; the daemon's CPU time goes to `cpu_us`.
    fn happen(&mut self, event: Event, cpu_us: &mut Vec<f64>) -> Result<f64> {
        self.prepare(event)?;
        std::thread::sleep(CALM);
        let before = process_cpu_ns(self.running.pid);
        let took = self.once(event)?;
        std::thread::sleep(CALM);
        cpu_us.push(process_cpu_ns(self.running.pid).saturating_sub(before) as f64 / 1000.0);
        self.tidy(event)?;
        Ok(took)
    }

    fn prepare(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Stop => {
                self.connection.ask(&json!({"command": "start", "name": PROBE}))?;
                self.running.next_record().map(|_| ())
            }
            Event::ReloadOneChange => {
                self.changes += 1;
                let text = configuration(&self.ours, &self.running.site, 10 + self.changes);
                write(&self.file, &text)
            }
            Event::Start
            | Event::Respawn
            | Event::Timer
            | Event::Line
            | Event::StatusOfOne
            | Event::StatusOfAll
            | Event::ReloadUnchanged => Ok(()),
        }
    }

    fn once(&mut self, event: Event) -> Result<f64> {
        let began_ns = monotonic_ns();
        let request = match event {
            Event::Respawn => {
                return self.running.respawn(self.victim.ok_or("no child to kill")?);
            }
            Event::Start => json!({"command": "start", "name": PROBE}),
            Event::Stop => json!({"command": "stop", "name": PROBE}),
            Event::Timer => json!({"command": "start", "name": TIMED}),
            Event::Line => {
                json!({"command": "stdin", "name": ECHO, "text": "a line of output, as programs write them\n"})
            }
            Event::StatusOfOne => json!({"command": "status", "name": PROBE}),
            Event::StatusOfAll => json!({"command": "status"}),
            Event::ReloadUnchanged | Event::ReloadOneChange => json!({"command": "update"}),
        };
        self.connection.ask(&request)?;
        Ok(milliseconds(began_ns, monotonic_ns()))
    }

    fn tidy(&mut self, event: Event) -> Result<()> {
        let name = match event {
            Event::Start => PROBE,
            Event::Timer => TIMED,
            Event::Stop
            | Event::Respawn
            | Event::Line
            | Event::StatusOfOne
            | Event::StatusOfAll
            | Event::ReloadUnchanged
            | Event::ReloadOneChange => return Ok(()),
        };
        self.running.next_record()?;
        self.connection.ask(&json!({"command": "stop", "name": name}))
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).context(format!("cannot write {}", path.display()))
}
