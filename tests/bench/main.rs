//! `cargo bench --bench supervisors`: supervice next to the supervisors that are installed.
//!
//! Every round runs every peer once with each number of programs, in turn, so that a change in the machine's
//! mood meets all of them. The supervised program reports the time of its own first instruction
//! (`child.c`), on the same clock as this harness; so nothing is estimated from logs or by polling.

mod clock;
mod error;
mod faces;
mod frames;
mod graphs;
mod growth;
mod logging;
mod measure;
mod options;
mod peers;
mod procfs;
mod readme;
mod report;
mod running;
mod site;
mod spawncost;
mod svg;

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::thread;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use error::{Context, Result};
use graphs::Shape;
use logging::Load;
use measure::{Kind, Plan, Sample};
use options::Options;
use peers::Peer;
use report::{Results, Setting};
use site::Site;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    if arguments.first().is_some_and(|first| first == peers::BARE_LOOP_FLAG) {
        return exit_code(peers::run_bare_loop(arguments.into_iter().skip(1)));
    }
    if arguments.is_empty() {
        // `cargo test --all-targets` runs benchmarks so, to see that they run at all.
        println!("supervisors: nothing done; run `cargo bench --bench supervisors`, or see --help");
        return ExitCode::SUCCESS;
    }
    exit_code(options::parse(arguments.into_iter()).and_then(|options| benchmark(&options)))
}

fn exit_code(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("supervisors: {message}");
            ExitCode::FAILURE
        }
    }
}

fn benchmark(options: &Options) -> Result<()> {
    if options.help {
        print!("{}", options::HELP);
        return Ok(());
    }
    if let Some(file) = &options.readme {
        if file.as_os_str() == "-" {
            print!("{}", readme::tables(&options.from)?);
            return Ok(());
        }
        return readme::write(file, &options.from);
    }
    let peers = chosen_peers(options)?;
    let abouts: Vec<_> = peers.iter().map(|peer| (peer.name(), peer.about())).collect();
    if options.list {
        for (name, about) in abouts {
            println!("{name:<14} {about}");
        }
        return Ok(());
    }
    let root = tempfile::Builder::new().prefix("supervice-bench-").tempdir().context("cannot make a directory")?;
    // Compared with what /proc says of the children, which has no symbolic links in it.
    let directory = root.path().canonicalize().context("cannot resolve the temporary directory")?;
    prepare_process(&directory)?;
    let (child, linked) = site::compile_child(&directory)?;
    // The kernel counts the pages of a program that was just built, until they are on the disk, as private
    // dirty memory of those who run it.
    nix::unistd::sync();
    let rounds = options.rounds.unwrap_or(if options.quick { 1 } else { 5 });
    let setting = Setting {
        date: date(),
        kernel: read_trimmed("/proc/sys/kernel/osrelease"),
        cpus: thread::available_parallelism().map_or(1, usize::from),
        busy: options.busy,
        load: read_trimmed("/proc/loadavg").split(' ').take(3).collect::<Vec<_>>().join(" "),
        command: command_line(),
        child: linked,
        rounds,
        peers: abouts,
    };
    // Threads: a child that never ends would be waited for at each stop.
    for _ in 0..options.busy {
        thread::spawn(|| {
            loop {
                std::hint::black_box(());
            }
        });
    }
    let bench = Bench { root: &directory, child: &child, options };
    let results = bench.rounds(&peers, &setting);
    print!("{}", results.table(&setting));
    if let Some(path) = &options.json {
        let text = format!("{:#}\n", results.json(&setting));
        fs::write(path, text).context(format!("cannot write {}", path.display()))?;
    }
    if let Some(path) = &options.svg {
        fs::write(path, svg::draw(&results, &setting)).context(format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn chosen_peers(options: &Options) -> Result<Vec<Box<dyn Peer>>> {
    let installed = peers::installed();
    let names: Vec<_> = installed.iter().map(|peer| peer.name()).collect();
    if let Some(unknown) = options.peers.iter().find(|name| !names.contains(&name.as_str())) {
        return Err(format!("--peers {unknown}: not found here; there are {}", names.join(", ")));
    }
    let chosen = |name: &str| options.peers.is_empty() || options.peers.iter().any(|wanted| wanted == name);
    Ok(installed.into_iter().filter(|peer| chosen(peer.name())).collect())
}

/// Makes this process fit to run daemons: it inherits their orphans, allows them as many descriptors as
/// it may itself, and leaves nothing behind when it is interrupted.
fn prepare_process(directory: &Path) -> Result<()> {
    nix::sys::prctl::set_child_subreaper(true).context("cannot become a subreaper")?;
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).context("cannot read the limit of descriptors")?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).context("cannot raise the limit of descriptors")?;
    let (mut reader, writer) = UnixStream::pair().context("cannot make a socket pair")?;
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        let writer = writer.try_clone().context("cannot duplicate a descriptor")?;
        signal_hook::low_level::pipe::register(signal, writer).context("cannot watch for signals")?;
    }
    let directory = directory.to_path_buf();
    thread::spawn(move || {
        if reader.read_exact(&mut [0]).is_ok() {
            running::sweep();
            let _ = fs::remove_dir_all(directory);
            eprintln!("supervisors: interrupted; everything that ran has been ended");
            std::process::exit(130);
        }
    });
    Ok(())
}

/// What stays the same through all rounds.
struct Bench<'a> {
    root: &'a Path,
    child: &'a Path,
    options: &'a Options,
}

impl Bench<'_> {
    fn rounds(&self, peers: &[Box<dyn Peer>], setting: &Setting) -> Results {
        let plans = self.plans();
        let mut results = Results::default();
        for round in 0..setting.rounds {
            for plan in &plans {
                // Every peer is first now and then.
                for index in 0..peers.len() {
                    let Some(peer) = peers.get((index + round) % peers.len()) else { continue };
                    let what = format!("round {}: {} with {}", round + 1, peer.name(), plan.n);
                    if plan.n > peer.limit() {
                        let why = format!("{what}: it supervises {} at most", peer.limit());
                        note_failure(&mut results, why);
                        continue;
                    }
                    eprintln!("{what}");
                    let mut samples = Vec::new();
                    let done = self.site(plan.n).and_then(|site| measure::run(peer.as_ref(), plan, site, &mut samples));
                    results.add(peer.name(), samples);
                    if let Err(why) = done {
                        note_failure(&mut results, format!("{what}: {why}"));
                    }
                }
            }
            for load in self.loads() {
                self.logging(round, load, peers, &mut results);
            }
            for (n, shape) in self.graphs() {
                self.graph(round, n, shape, peers, &mut results);
            }
            if !self.graphs().is_empty() {
                self.check(round, peers, &mut results);
            }
            self.faces(round, peers, &mut results);
            if self.wants(Kind::Spawn) && peers.iter().any(|peer| peer.name() == peers::OURS) {
                self.spawn_cost(round, &mut results);
            }
            self.growth(round, peers, &mut results);
        }
        results.sort(&setting.peers);
        results
    }

    /// One load for every peer in turn.
    fn logging(&self, round: usize, load: Load, peers: &[Box<dyn Peer>], results: &mut Results) {
        for index in 0..peers.len() {
            let Some(peer) = peers.get((index + round) % peers.len()) else { continue };
            let what = format!("round {}: {} captures {}", round + 1, peer.name(), load.title());
            eprintln!("{what}");
            match self.site(load.programs()).and_then(|site| logging::run(peer.as_ref(), site, load)) {
                Ok(samples) => results.add(peer.name(), samples),
                Err(why) => note_failure(results, format!("{what}: {why}")),
            }
        }
        match self.site(load.programs()).and_then(|site| logging::pipe_limit(site, load)) {
            Ok(samples) => results.add("pipe's limit", samples),
            Err(why) => note_failure(results, format!("round {}: the pipe's limit: {why}", round + 1)),
        }
    }

    /// What is written in each round: blocks, as `cat` does it; what stdio writes into a pipe; single lines; many at a time, and by
    /// many programs now and then.
    fn loads(&self) -> Vec<Load> {
        if !self.wants(Kind::Log) || self.options.only.is_empty() {
            return Vec::new();
        }
        let bytes = if self.options.quick { 64 << 20 } else { 512 << 20 };
        let watch = Duration::from_secs(if self.options.quick { 2 } else { 5 });
        let bursts = [64 * 1024, 4 * 1024, 100].map(|block| Load::Burst { bytes, block });
        let loud = Load::Chatty { n: 100, pause: Duration::from_millis(1), watch };
        let many = Load::Chatty { n: 1000, pause: Duration::from_secs(1), watch: 3 * watch };
        bursts.into_iter().chain([loud, many]).collect()
    }

    /// One graph for every peer in turn.
    fn graph(&self, round: usize, n: usize, shape: Shape, peers: &[Box<dyn Peer>], results: &mut Results) {
        if round == 0 && !peers.iter().any(|peer| peer.name() == peers::DINIT) {
            note_failure(results, format!("{}: dinit is not here, or not among --peers", shape.title(n)));
        }
        for index in 0..peers.len() {
            let Some(peer) = peers.get((index + round) % peers.len()) else { continue };
            let what = format!("round {}: {} with {}", round + 1, peer.name(), shape.title(n));
            eprintln!("{what}");
            match self.site(n).and_then(|site| graphs::run(peer.as_ref(), site, shape)) {
                Ok(samples) => results.add(peer.name(), samples),
                Err(why) => note_failure(results, format!("{what}: {why}")),
            }
        }
    }

    /// A large graph is read and checked by each peer that can do that alone.
    fn check(&self, round: usize, peers: &[Box<dyn Peer>], results: &mut Results) {
        let n = if self.options.quick { graphs::CHECKED / 10 } else { graphs::CHECKED };
        for peer in peers {
            match self.site(n).and_then(|site| graphs::check(peer.as_ref(), site)) {
                Ok(samples) => results.add(peer.name(), samples),
                Err(why) => note_failure(results, format!("round {}: {}: {why}", round + 1, peer.name())),
            }
        }
    }

    /// The graphs of one round, each with its number of programs.
    fn graphs(&self) -> Vec<(usize, Shape)> {
        if !self.wants(Kind::Graph) || self.options.only.is_empty() {
            return Vec::new();
        }
        let sizes = match (self.options.sizes.is_empty(), self.options.quick) {
            (false, _) => self.options.sizes.clone(),
            (true, true) => vec![100],
            (true, false) => vec![1000],
        };
        sizes.into_iter().flat_map(|n| Shape::ALL.map(|shape| (n, shape))).collect()
    }

    /// What is measured of HTTP, where it is named.
    fn faces(&self, round: usize, peers: &[Box<dyn Peer>], results: &mut Results) {
        if !self.options.only.contains(&Kind::Http) {
            return;
        }
        let mut note = |peer: &'static str, what: &str, samples: Result<Vec<Sample>>| match samples {
            Ok(samples) => results.add(peer, samples),
            Err(why) => note_failure(results, format!("round {}: {peer}, {what}: {why}", round + 1)),
        };
        for index in 0..peers.len() {
            let Some(peer) = peers.get((index + round) % peers.len()) else { continue };
            eprintln!("round {}: calls of {}", round + 1, peer.name());
            note(peer.name(), "calls", self.site(faces::CALLED).and_then(|site| faces::calls(peer.as_ref(), site)));
        }
        if peers.iter().any(|peer| peer.name() == peers::OURS) {
            eprintln!("round {}: metrics, memory and a crowd", round + 1);
            note(peers::OURS, "metrics", self.site(faces::SCRAPED).and_then(faces::scrape));
            let pairs = (0..5).map(|_| Ok((self.site(20)?, self.site(20)?))).collect::<error::Result<Vec<_>>>();
            note(peers::OURS, "memory", pairs.and_then(faces::unused));
            note(peers::OURS, "a crowd", self.site(faces::CRASHING).and_then(faces::crowd));
        }
    }

    fn spawn_cost(&self, round: usize, results: &mut Results) {
        let n = self.options.sizes.first().copied().unwrap_or(if self.options.quick { 50 } else { 500 });
        for checked in [false, true] {
            let what = format!("round {}: spawn cost, {n} programs, health-checked: {checked}", round + 1);
            eprintln!("{what}");
            let samples = self.site(n).and_then(|site| spawncost::run(site, checked, self.budget()));
            match samples {
                Ok(samples) => results.add(peers::OURS, samples),
                Err(why) => note_failure(results, format!("{what}: {why}")),
            }
        }
    }

    /// What one event costs among ever more programs, where it is named.
    fn growth(&self, round: usize, peers: &[Box<dyn Peer>], results: &mut Results) {
        if !self.options.only.contains(&Kind::Growth) || !peers.iter().any(|peer| peer.name() == peers::OURS) {
            return;
        }
        let sizes = if self.options.sizes.is_empty() { &growth::SIZES[..] } else { &self.options.sizes };
        for &n in sizes {
            let what = format!("round {}: growth, {n} programs", round + 1);
            eprintln!("{what}");
            match self.site(n).and_then(|site| growth::run(site, self.budget())) {
                Ok(samples) => results.add(peers::OURS, samples),
                Err(why) => note_failure(results, format!("{what}: {why}")),
            }
        }
    }

    fn site(&self, n: usize) -> Result<Site> {
        Site::new(self.root, self.child, n)
    }

    fn wants(&self, kind: Kind) -> bool {
        self.options.only.is_empty() || self.options.only.contains(&kind)
    }

    fn budget(&self) -> Duration {
        Duration::from_secs(if self.options.quick { 1 } else { 4 })
    }

    /// The runs of one round: each number of programs with all that is measured at that number.
    fn plans(&self) -> Vec<Plan> {
        let all = [Kind::Start, Kind::Respawn, Kind::Status, Kind::Stop, Kind::Memory, Kind::Idle];
        let table: Vec<(usize, Vec<Kind>)> = if !self.options.sizes.is_empty() {
            self.options.sizes.iter().map(|&n| (n, all.to_vec())).collect()
        } else if self.options.quick {
            vec![
                (20, vec![Kind::Start, Kind::Respawn, Kind::Memory]),
                (100, vec![Kind::Start, Kind::Status, Kind::Stop, Kind::Idle]),
            ]
        } else {
            vec![
                (1, vec![Kind::Memory]),
                (20, vec![Kind::Start, Kind::Respawn, Kind::Stop, Kind::Memory]),
                (100, vec![Kind::Start, Kind::Idle]),
                (1000, vec![Kind::Start, Kind::Respawn, Kind::Status, Kind::Stop, Kind::Memory]),
            ]
        };
        let (calm, idle) = if self.options.quick { (2, 1) } else { (4, 10) };
        table
            .into_iter()
            .map(|(n, kinds)| Plan {
                n,
                kinds: kinds.into_iter().filter(|kind| self.wants(*kind)).collect(),
                calm: Duration::from_secs(calm),
                idle: Duration::from_secs(idle),
                budget: self.budget(),
            })
            .filter(|plan| !plan.kinds.is_empty())
            .collect()
    }
}

fn note_failure(results: &mut Results, why: String) {
    eprintln!("{why}");
    results.failures.push(why);
}

fn read_trimmed(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

fn date() -> String {
    let said = Command::new("date").arg("+%Y-%m-%d %H:%M:%S %z").output().map(|output| output.stdout);
    String::from_utf8_lossy(&said.unwrap_or_default()).trim().to_owned()
}

fn command_line() -> String {
    let words: Vec<_> = env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let words: Vec<_> = words.iter().map(String::as_str).filter(|word| *word != "--bench").collect();
    format!("cargo bench --bench supervisors -- {}", words.join(" "))
}
