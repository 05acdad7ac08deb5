//! The tables of README, made from the samples of one or several runs: so they can be taken piece by piece.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::{Context, Result};
use crate::peers::{BARE, DINIT, OURS};
use crate::report::figure;

/// Between these two lines README's tables stand.
const BEGIN: &str = "<!-- supervisors: written by tests/bench/run.sh -->\n";
const END: &str = "<!-- end -->\n";

/// What was measured on one kind of machine: at rest, or beside so many loops.
#[derive(Default)]
struct Group {
    busy: u64,
    facts: String,
    /// In the order in which they were first seen.
    peers: Vec<(String, String)>,
    rows: Vec<Row>,
}

struct Row {
    heading: String,
    cells: Vec<(String, Vec<f64>)>,
}

/// Puts the tables of these files in the place of those that are in `readme`.
pub fn write(readme: &Path, samples: &[PathBuf]) -> Result<()> {
    let text = fs::read_to_string(readme).context(format!("cannot read {}", readme.display()))?;
    let (before, rest) = text.split_once(BEGIN).ok_or_else(|| format!("{}: no line {BEGIN}", readme.display()))?;
    let (_, after) = rest.split_once(END).ok_or_else(|| format!("{}: no line {END}", readme.display()))?;
    let text = [before, BEGIN, &tables(samples)?, END, after].concat();
    fs::write(readme, text).context(format!("cannot write {}", readme.display()))
}

/// One table for each kind of machine.
pub fn tables(samples: &[PathBuf]) -> Result<String> {
    let mut groups: Vec<Group> = Vec::new();
    for file in samples {
        let text = fs::read_to_string(file).context(format!("cannot read {}", file.display()))?;
        let run: Value = serde_json::from_str(&text).context(format!("{}: no JSON", file.display()))?;
        let busy = run.get("busy").and_then(Value::as_u64).unwrap_or(0);
        let at = groups.iter().position(|group| group.busy == busy).unwrap_or_else(|| {
            let word = |key: &str| run.get(key).and_then(Value::as_str).unwrap_or("?").to_owned();
            let day = word("date").chars().take(10).collect::<String>();
            // The release as kernel.org counts, without what a distribution adds.
            let kernel = word("kernel");
            let kernel = kernel.split('-').next().unwrap_or_default();
            groups.push(Group {
                busy,
                facts: format!("{day}, Linux {kernel}, load before {}", word("load")),
                ..Group::default()
            });
            groups.len() - 1
        });
        if let Some(group) = groups.get_mut(at) {
            group.add(&run);
        }
    }
    groups.sort_by_key(|group| group.busy);
    Ok(groups.iter().map(Group::table).collect())
}

impl Group {
    fn add(&mut self, run: &Value) {
        let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        for peer in list(run, "peers") {
            let name = text(peer, "name");
            if self.peers.iter().all(|(known, _)| *known != name) {
                self.peers.push((name, text(peer, "about")));
            }
        }
        for measure in list(run, "measures") {
            let unit = text(measure, "unit");
            let heading = [text(measure, "title"), unit].into_iter().filter(|part| !part.is_empty());
            let row = self.row(heading.collect::<Vec<_>>().join(", "));
            for series in list(measure, "peers") {
                let samples = list(series, "samples").iter().filter_map(Value::as_f64);
                let name = text(series, "peer");
                match row.cells.iter_mut().find(|(peer, _)| *peer == name) {
                    Some((_, all)) => all.extend(samples),
                    None => row.cells.push((name, samples.collect())),
                }
            }
        }
    }

    fn row(&mut self, heading: String) -> &mut Row {
        let at = self.rows.iter().position(|row| row.heading == heading).unwrap_or(self.rows.len());
        if at == self.rows.len() {
            self.rows.push(Row { heading, cells: Vec::new() });
        }
        &mut self.rows[at]
    }

    fn table(&self) -> String {
        let machine = match self.busy {
            0 => "No loops beside it".to_owned(),
            busy => format!("Beside {busy} endless loops"),
        };
        let mut versions: Vec<String> = Vec::new();
        for (name, about) in &self.peers {
            // A path is that of one which tells no version.
            let is_version = name != OURS && name != BARE && !about.is_empty() && !about.starts_with('/');
            let version = match about.starts_with(|first: char| first.is_ascii_digit()) {
                true => format!("{name} {about}"),
                false => about.clone(),
            };
            if is_version && !versions.contains(&version) {
                versions.push(version);
            }
        }
        let mut text = format!("\n{machine} ({}; {}), at best / median:\n\n|", self.facts, versions.join("; "));
        let names = || self.peers.iter().map(|(name, _)| name);
        names().for_each(|name| {
            let _ = write!(text, " | {name}");
        });
        let _ = write!(text, " | {OURS} : {DINIT} |\n|---");
        names().for_each(|_| text.push_str("|---"));
        text.push_str("|---|\n");
        for row in &self.rows {
            let _ = write!(text, "| {}", row.heading);
            for name in names() {
                let _ = write!(text, " | {}", row.of(name).map_or(String::new(), |(best, median)| pair(best, median)));
            }
            let ratio = row.of(OURS).zip(row.of(DINIT)).filter(|(_, dinit)| dinit.0 > 0.0);
            let ratio = ratio
                .map_or(String::new(), |(ours, dinit)| format!("{:.2} / {:.2}", ours.0 / dinit.0, ours.1 / dinit.1));
            let _ = writeln!(text, " | {ratio} |");
        }
        text.push('\n');
        text
    }
}

impl Row {
    /// The least of a peer's samples and the one in the middle.
    fn of(&self, peer: &str) -> Option<(f64, f64)> {
        let (_, samples) = self.cells.iter().find(|(name, _)| name == peer)?;
        let mut sorted = samples.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let upper = *sorted.get(middle)?;
        let median =
            if sorted.len() % 2 == 1 { upper } else { f64::midpoint(*sorted.get(middle.wrapping_sub(1))?, upper) };
        Some((*sorted.first()?, median))
    }
}

fn pair(best: f64, median: f64) -> String {
    format!("{} / {}", figure(best), figure(median))
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
