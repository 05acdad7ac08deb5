//! Figures as a table and as JSON.

use std::fmt::Write;

use crate::measure::{Measure, Sample};
use crate::peers::{BARE, OURS};

/// What the figures depend on besides the programs: printed above them.
pub struct Setting {
    /// Date and time, with the zone.
    pub date: String,
    /// The kernel's release.
    pub kernel: String,
    /// CPUs that the benchmark may use.
    pub cpus: usize,
    /// So many endless loops run meanwhile.
    pub busy: usize,
    /// /proc/loadavg when it began: figures from a busy machine are worth little.
    pub load: String,
    /// How the benchmark was called.
    pub command: String,
    /// How the supervised program is linked.
    pub child: &'static str,
    /// How often every run was repeated.
    pub rounds: usize,
    /// Each peer's name and what exactly is run.
    pub peers: Vec<(&'static str, String)>,
}

/// All samples of one peer for one measure.
pub struct Series {
    /// The peer's name.
    pub peer: &'static str,
    samples: Vec<f64>,
}

impl Series {
    /// The middle sample, or the mean of the two in the middle.
    pub fn median(&self) -> f64 {
        let middle = self.samples.len() / 2;
        let at = |index: usize| self.samples.get(index).copied().unwrap_or(f64::NAN);
        if self.samples.len() % 2 == 1 { at(middle) } else { f64::midpoint(at(middle.wrapping_sub(1)), at(middle)) }
    }

    fn min(&self) -> f64 {
        self.samples.first().copied().unwrap_or(f64::NAN)
    }

    fn max(&self) -> f64 {
        self.samples.last().copied().unwrap_or(f64::NAN)
    }
}

/// All peers' figures for one measure.
pub struct Block {
    /// What was measured.
    pub measure: Measure,
    /// In the order in which the peers are listed.
    pub series: Vec<Series>,
}

/// Everything that was measured, and what could not be.
#[derive(Default)]
pub struct Results {
    /// In the order in which the measures were first seen.
    pub blocks: Vec<Block>,
    /// Runs that failed: peer, what was run, why.
    pub failures: Vec<String>,
}

impl Results {
    /// Adds a peer's samples.
    pub fn add(&mut self, peer: &'static str, samples: Vec<Sample>) {
        for (measure, value) in samples {
            let at = self.blocks.iter().position(|block| block.measure.title == measure.title);
            let at = at.unwrap_or_else(|| {
                self.blocks.push(Block { measure, series: Vec::new() });
                self.blocks.len() - 1
            });
            let Some(block) = self.blocks.get_mut(at) else { continue };
            match block.series.iter_mut().find(|series| series.peer == peer) {
                Some(series) => series.samples.push(value),
                None => block.series.push(Series { peer, samples: vec![value] }),
            }
        }
    }

    /// Brings measures and peers into one order, whatever the order of the runs was.
    pub fn sort(&mut self, peers: &[(&'static str, String)]) {
        self.blocks.sort_by_key(|block| block.measure.kind);
        for block in &mut self.blocks {
            block.series.sort_by_key(|series| peers.iter().position(|(name, _)| *name == series.peer));
            for series in &mut block.series {
                series.samples.sort_by(f64::total_cmp);
            }
        }
    }

    /// The table for people.
    pub fn table(&self, setting: &Setting) -> String {
        let mut text = setting.head();
        let width = self.blocks.iter().map(|block| block.measure.heading().chars().count()).max().unwrap_or(0);
        for block in &self.blocks {
            block.print(&mut text, width);
        }
        if !self.failures.is_empty() {
            text.push_str("\nnot measured:\n");
            for failure in &self.failures {
                let _ = writeln!(text, "  {failure}");
            }
        }
        text
    }

    /// The same for programs, with every sample.
    pub fn json(&self, setting: &Setting) -> serde_json::Value {
        let series = |series: &Series| {
            serde_json::json!({
                "peer": series.peer, "median": series.median(), "min": series.min(), "max": series.max(),
                "samples": series.samples,
            })
        };
        let block = |block: &Block| {
            serde_json::json!({
                "title": block.measure.title, "unit": block.measure.unit, "goal": block.measure.goal,
                "peers": block.series.iter().map(series).collect::<Vec<_>>(),
            })
        };
        serde_json::json!({
            "date": setting.date, "kernel": setting.kernel, "cpus": setting.cpus, "busy": setting.busy, "load": setting.load,
            "command": setting.command, "child": setting.child, "rounds": setting.rounds,
            "peers": setting.peers.iter().map(|(name, about)| serde_json::json!({"name": name, "about": about}))
                .collect::<Vec<_>>(),
            "measures": self.blocks.iter().map(block).collect::<Vec<_>>(),
            "failures": self.failures,
        })
    }
}

impl Setting {
    fn head(&self) -> String {
        let mut text = format!(
            "supervisors, {}\nLinux {}, {} CPUs, {} busy loops, load {}; {} rounds; {} children\n{}\n\n",
            self.date, self.kernel, self.cpus, self.busy, self.load, self.rounds, self.child, self.command
        );
        for (name, about) in &self.peers {
            let _ = writeln!(text, "  {name:<14} {about}");
        }
        text
    }
}

impl Block {
    fn print(&self, text: &mut String, width: usize) {
        let median_of = |name| self.series.iter().find(|series| series.peer == name).map(Series::median);
        let (ours, bare) = (median_of(OURS), median_of(BARE));
        let _ = writeln!(
            text,
            "\n{:<width$} {:>9} {:>9} {:>9} {:>4} {:>12} {:>7}",
            self.measure.heading(),
            "median",
            "min",
            "max",
            "n",
            "× supervice",
            "× bare"
        );
        for series in &self.series {
            let goal = match self.measure.goal {
                Some(goal) if series.peer == OURS => {
                    let verdict = if series.median() <= goal { "met" } else { "MISSED" };
                    format!("  goal {}: {verdict}", figure(goal))
                }
                _ => String::new(),
            };
            let _ = writeln!(
                text,
                "  {:<name$} {:>9} {:>9} {:>9} {:>4} {:>12} {:>7}{goal}",
                series.peer,
                figure(series.median()),
                figure(series.min()),
                figure(series.max()),
                series.samples.len(),
                ratio(series.median(), ours),
                ratio(series.median(), bare),
                name = width.saturating_sub(2),
            );
        }
    }
}

/// Three significant digits, or all before the point.
pub fn figure(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size < 1.0 => format!("{value:.3}"),
        size if size < 10.0 => format!("{value:.2}"),
        size if size < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

fn ratio(value: f64, base: Option<f64>) -> String {
    match base {
        Some(base) if base > 0.0 => format!("{:.2}", value / base),
        _ => "-".to_owned(),
    }
}
