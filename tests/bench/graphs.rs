//! Programs that need each other: a chain, and a random graph. Each counts as ready once it is executed, on both sides, so that
//! what is timed is the order alone: every program waits for those that it needs, and is stopped when those that need it have gone.

use std::time::Instant;

use crate::error::{Context, Result};
use crate::measure::{Kind, Measure, Sample};
use crate::peers::Peer;
use crate::running::Running;
use crate::site::Site;

/// The graphs are the same in each round and for each peer.
const SEED: u64 = 15;

/// Who needs whom.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// Each needs the one before.
    Chain,
    /// Each needs five of those before, drawn at random; the first ones fewer.
    Random,
}

impl Shape {
    /// Both.
    pub const ALL: [Shape; 2] = [Shape::Chain, Shape::Random];

    /// What it is, for people.
    pub fn title(self, n: usize) -> String {
        match self {
            Shape::Chain => format!("a chain of {n}"),
            Shape::Random => format!("a graph of {n} with {} edges", self.needs(n).iter().map(Vec::len).sum::<usize>()),
        }
    }

    /// For each program the numbers of those that it needs.
    pub fn needs(self, n: usize) -> Vec<Vec<usize>> {
        let mut random = SEED;
        (0..n)
            .map(|program| match self {
                Shape::Chain => program.checked_sub(1).into_iter().collect(),
                Shape::Random => draw(&mut random, program),
            })
            .collect()
    }
}

/// Five different numbers below this one, or all.
fn draw(random: &mut u64, program: usize) -> Vec<usize> {
    let mut needs = Vec::new();
    while needs.len() < program.min(5) {
        // The generator of Knuth's MMIX; its upper half is good enough here.
        *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let number = (*random >> 33) as usize % program;
        if !needs.contains(&number) {
            needs.push(number);
        }
    }
    needs
}

/// So many programs are checked at once, with five times as many edges.
pub const CHECKED: usize = 10_000;

/// Has `peer` load and check a file with a random graph; nothing is measured of peers that do not check without starting.
pub fn check(peer: &dyn Peer, mut site: Site) -> Result<Vec<Sample>> {
    site.needs = Shape::Random.needs(site.n);
    let title = Shape::Random.title(site.n);
    let Some(command) = peer.check(&site) else { return Ok(Vec::new()) };
    let mut command = command?;
    let begin = Instant::now();
    let output = command.output().context("cannot run the check")?;
    let took = begin.elapsed().as_secs_f64() * 1000.0;
    if !output.status.success() {
        return Err(format!("the check fails: {}", String::from_utf8_lossy(&output.stderr)));
    }
    Ok(vec![(Measure::new(Kind::Graph, format!("check of {title}"), "ms"), took)])
}

/// Runs `peer` once with this graph; nothing is measured of peers that know no dependencies.
pub fn run(peer: &dyn Peer, mut site: Site, shape: Shape) -> Result<Vec<Sample>> {
    let n = site.n;
    site.needs = shape.needs(n);
    let Some(command) = peer.with_dependencies(&site) else { return Ok(Vec::new()) };
    let mut running = Running::launch_unread(site, command?)?;
    let started = running.started(n)?;
    let stopped = running.stop(peer.stop_signal())?;
    let sample = |what: &str, value| (Measure::new(Kind::Graph, format!("{what} of {}", shape.title(n)), "ms"), value);
    Ok(vec![sample("start", started), sample("stop", stopped)])
}
