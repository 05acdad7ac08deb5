//! What it costs to capture output: one program that writes as fast as it can, and many that write now and then.

use std::fs::{self, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, fcntl};

use crate::clock::monotonic_ns;
use crate::error::{Context, Result};
use crate::measure::{Kind, Measure, Sample};
use crate::peers::{BARE, Peer};
use crate::procfs;
use crate::running::{OUTPUT, Running};
use crate::site::Site;

/// Where every peer rotates: 50 MB in all their ways of writing it.
pub const MAXBYTES: u64 = 50 * 1024 * 1024;
/// So many rotated files are kept: nothing of what is written here goes.
pub const BACKUPS: u32 = 11;
/// The names of the log files begin so.
pub const PREFIX: &str = "captured";

/// How long the last byte may take to the file.
const TEST_TIMEOUT: Duration = Duration::from_secs(120);
/// Until timers of the start have run out.
const SETTLE: Duration = Duration::from_millis(1500);

/// What the programs write.
#[derive(Debug, Clone, Copy)]
pub enum Load {
    /// One program, so many bytes, that many in a write.
    Burst {
        /// Of all lines.
        bytes: u64,
        /// In one write.
        block: u64,
    },
    /// Each of the programs a line at a time.
    Chatty {
        /// How many programs.
        n: usize,
        /// From one line to the next.
        pause: Duration,
        /// How long they are watched.
        watch: Duration,
    },
}

impl Load {
    /// How many programs it takes.
    pub fn programs(self) -> usize {
        match self {
            Load::Burst { .. } => 1,
            Load::Chatty { n, .. } => n,
        }
    }

    /// What it is, for people.
    pub fn title(self) -> String {
        match self {
            Load::Burst { bytes, block } => format!("{} MiB, {block} bytes a write", bytes >> 20),
            Load::Chatty { n, pause, .. } => format!("{n} programs, {} lines/s each", 1.0 / pause.as_secs_f64()),
        }
    }

    fn words(self) -> String {
        match self {
            Load::Burst { bytes, block } => format!(" {bytes} {block} 0"),
            Load::Chatty { pause, .. } => format!(" {} 100 {}", u64::MAX, pause.as_nanos()),
        }
    }
}

/// Runs `peer` once under this load; nothing is measured of peers that capture nothing.
pub fn run(peer: &dyn Peer, mut site: Site, load: Load) -> Result<Vec<Sample>> {
    site.load = load.words();
    let go = site.path("fifo.go");
    nix::unistd::mkfifo(&go, nix::sys::stat::Mode::S_IRWXU).context("cannot make a FIFO")?;
    let Some(command) = peer.capture(&site) else { return Ok(Vec::new()) };
    let mut running = Running::launch(site, command?)?;
    running.started(load.programs())?;
    running.let_age(SETTLE);
    let processes = running.processes();
    let cpu_before = procfs::cpu_ms(&processes)?;
    let began_ns = monotonic_ns();
    // Held until the end: a program that comes late to the FIFO finds a writer, too.
    let writer = OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(&go);
    let writer = writer.context("no program waits to write")?;
    let direct = peer.name() == BARE;
    let title = load.title();
    let samples = match load {
        Load::Burst { bytes, .. } => {
            running.next_record()?;
            wait_for_bytes(&running.site, direct, bytes)?;
            let seconds = (monotonic_ns() - began_ns) as f64 / 1e9;
            let cpu = Measure::new(Kind::Log, format!("log: {title}: CPU time of the supervisor"), "ms");
            let used = procfs::cpu_ms(&processes)? - cpu_before;
            let speed = (speed_of(load), bytes as f64 / 1e6 / seconds);
            if direct { vec![speed] } else { vec![speed, (cpu, used)] }
        }
        Load::Chatty { watch, .. } => {
            thread::sleep(watch);
            let used = procfs::cpu_ms(&processes)? - cpu_before;
            // Not by the clock: where the supervisor keeps them waiting, the programs write less.
            let lines = captured(&running.site, direct)? as f64 / 100.0 / (monotonic_ns() - began_ns) as f64 * 1e9;
            let percent = used / 10.0 / watch.as_secs_f64();
            vec![
                (Measure::new(Kind::Log, format!("log: {title}: CPU of the supervisor"), "% of a core"), percent),
                (Measure::new(Kind::Log, format!("log: {title}: captured"), "lines/s"), lines),
            ]
        }
    };
    drop(writer);
    running.stop(peer.stop_signal())?;
    Ok(samples)
}

/// How fast a program can write into a pipe (of the greatest size) whose reader throws everything away: nobody who captures
/// can be faster. None where it is not about one program.
pub fn pipe_limit(mut site: Site, load: Load) -> Result<Vec<Sample>> {
    let Load::Burst { bytes, .. } = load else { return Ok(Vec::new()) };
    site.load = load.words();
    let go = site.path("fifo.go");
    nix::unistd::mkfifo(&go, nix::sys::stat::Mode::S_IRWXU).context("cannot make a FIFO")?;
    // Held open, so that the program finds its reader and its starting signal.
    let fifo = |path| OpenOptions::new().read(true).write(true).open(path).context("cannot open a FIFO");
    let _held = (fifo(site.fifo())?, fifo(go)?);
    let mut command = Command::new(&site.child);
    command.arg(site.fifo()).args(site.load.split_whitespace()).stdout(Stdio::piped());
    let mut child = command.spawn().context("cannot run the program")?;
    let mut pipe = child.stdout.take().ok_or("no pipe")?;
    let _ = fcntl(&pipe, FcntlArg::F_SETPIPE_SZ(1 << 20));
    let (began_ns, mut block, mut left) = (monotonic_ns(), vec![0; 64 * 1024], bytes);
    while left > 0 {
        let count = pipe.read(&mut block).context("cannot read the pipe")?;
        if count == 0 {
            break;
        }
        left = left.saturating_sub(count as u64);
    }
    let seconds = (monotonic_ns() - began_ns) as f64 / 1e9;
    let _ = child.kill();
    child.wait().context("cannot wait for the program")?;
    Ok(vec![(speed_of(load), (bytes - left) as f64 / 1e6 / seconds)])
}

fn speed_of(load: Load) -> Measure {
    Measure::new(Kind::Log, format!("log: {}: speed", load.title()), "MB/s")
}

/// Waits until the log files hold so many bytes together, and makes sure that it is not more.
fn wait_for_bytes(site: &Site, direct: bool, bytes: u64) -> Result<()> {
    let deadline = Instant::now() + TEST_TIMEOUT;
    loop {
        let found = captured(site, direct)?;
        if found == bytes {
            return Ok(());
        }
        if found > bytes || Instant::now() > deadline {
            return Err(format!("{found} bytes in its log files instead of {bytes}"));
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn captured(site: &Site, direct: bool) -> Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(site.path("")).context("cannot list the log files")? {
        let entry = entry.context("cannot list the log files")?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(PREFIX) || (direct && name == OUTPUT) {
            // One that is renamed right now is counted in the next round.
            sum += entry.metadata().map_or(0, |file| file.len());
        }
    }
    Ok(sum)
}
