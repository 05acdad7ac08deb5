//! CPU and memory of programs with everything that they have started, as this process sees them in `/proc`.
//!
//! The daemon measures nothing. What it calls a pid is only believed to be that process here if its parent is the
//! daemon: of a daemon in another pid namespace nothing is shown, rather than somebody else's numbers.

use std::collections::HashMap;
use std::fs;

use crate::client::{Controller, ProcessStatus};
use crate::sys::proc::page_size;

/// Ticks of `/proc/PID/stat` in a second: a constant of the interface on every machine that Rust and we run on.
pub(super) const TICKS: f64 = 100.0;

/// What a program and all that belongs to it uses.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Usage {
    /// CPU time so far, in ticks.
    pub ticks: u64,
    /// Resident memory, in bytes; pages that several share are counted for each.
    pub rss: u64,
    /// Processes.
    pub count: u64,
    /// When the program was started, in ticks since boot.
    start: u64,
}

/// The usage of all processes at one moment.
#[derive(Debug, Default)]
pub(super) struct UsageSample {
    /// By the pid of the program.
    pub usage: HashMap<i32, Usage>,
    /// Ticks since boot.
    now: f64,
}

impl UsageSample {
    /// The share of one CPU since the program was started, in percent.
    pub fn average(&self, pid: i32) -> Option<f64> {
        let usage = self.usage.get(&pid)?;
        let lived = (self.now - usage.start as f64).max(1.0);
        Some(usage.ticks as f64 * 100.0 / lived)
    }

    /// The share of one CPU since an earlier sample.
    pub fn since(&self, before: &UsageSample, pid: i32) -> Option<f64> {
        let (usage, earlier) = (self.usage.get(&pid)?, before.usage.get(&pid)?);
        let passed = self.now - before.now;
        // Of processes that have ended meanwhile the time is lost.
        let used = usage.ticks.saturating_sub(earlier.ticks);
        (usage.start == earlier.start && passed >= 1.0).then(|| used as f64 * 100.0 / passed)
    }
}

struct ProcStat {
    parent: i32,
    group: i32,
    session: i32,
    ticks: u64,
    start: u64,
    pages: u64,
}

/// The process ids of those that have a process.
pub(super) fn pids(processes: &[ProcessStatus]) -> impl Iterator<Item = i32> + '_ {
    processes.iter().filter_map(|process| process.pid)
}

/// Measures what belongs to these processes of the daemon.
pub(super) fn sample(controller: &Controller, pids: impl Iterator<Item = i32>) -> UsageSample {
    let daemon = controller.peer_pid().ok().flatten();
    let (Some(daemon), Some(now)) = (daemon, uptime_in_ticks()) else { return UsageSample::default() };
    let all = processes();
    let is_ours = |pid: &i32| all.get(pid).is_some_and(|seen| seen.parent == daemon);
    let page = page_size();
    let mut usage: HashMap<i32, Usage> = pids
        .filter(is_ours)
        .map(|pid| (pid, Usage { start: all.get(&pid).map_or(0, |seen| seen.start), ..Usage::default() }))
        .collect();
    for (pid, seen) in &all {
        let Some(root) = root_of(*pid, &all, &usage) else { continue };
        if let Some(sum) = usage.get_mut(&root) {
            sum.ticks += seen.ticks;
            sum.rss += seen.pages * page;
            sum.count += 1;
        }
    }
    UsageSample { usage, now }
}

/// The program that a process belongs to: by its session, its group, or because the program or one of its
/// descendants has started it.
fn root_of(pid: i32, all: &HashMap<i32, ProcStat>, roots: &HashMap<i32, Usage>) -> Option<i32> {
    /// No process tree is as deep; pids that are reused while we read may form a ring.
    const MAX_DEPTH: usize = 1000;
    let mut at = pid;
    for _ in 0..MAX_DEPTH {
        let seen = all.get(&at)?;
        if let Some(root) = [at, seen.session, seen.group].into_iter().find(|pid| roots.contains_key(pid)) {
            return Some(root);
        }
        at = seen.parent;
    }
    None
}

fn uptime_in_ticks() -> Option<f64> {
    let text = fs::read_to_string("/proc/uptime").ok()?;
    Some(text.split_ascii_whitespace().next()?.parse::<f64>().ok()? * TICKS)
}

fn processes() -> HashMap<i32, ProcStat> {
    let Ok(entries) = fs::read_dir("/proc") else { return HashMap::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter_map(|pid| {
        let bytes = fs::read(format!("/proc/{pid}/stat")).ok()?;
        Some((pid, parse(&String::from_utf8_lossy(&bytes))?))
    })
    .collect()
}

/// The fields begin behind the last parenthesis of the name.
fn parse(line: &str) -> Option<ProcStat> {
    let fields: Vec<&str> = line.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<i64>().ok();
    let unsigned = |index: usize| u64::try_from(number(index)?).ok();
    let pid = |index: usize| i32::try_from(number(index)?).ok();
    Some(ProcStat {
        parent: pid(1)?,
        group: pid(2)?,
        session: pid(3)?,
        ticks: unsigned(11)? + unsigned(12)?,
        start: unsigned(19)?,
        pages: unsigned(21)?,
    })
}

/// `312K`, `4.5M`, `1.2G`.
pub(super) fn size(bytes: u64) -> String {
    let mut value = bytes as f64 / 1024.0;
    for unit in ["K", "M", "G"] {
        if value < 1000.0 {
            return if value < 10.0 && unit != "K" { format!("{value:.1}{unit}") } else { format!("{value:.0}{unit}") };
        }
        value /= 1024.0;
    }
    format!("{value:.1}T")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_take_four_columns() {
        for (bytes, wanted) in
            [(0, "0K"), (320_000, "312K"), (4_718_592, "4.5M"), (200 << 20, "200M"), (1_288_490_189, "1.2G")]
        {
            assert_eq!(size(bytes), wanted);
        }
    }

    #[test]
    fn a_family_is_found_by_session_group_and_parents() {
        let stat = |parent, group, session| ProcStat { parent, group, session, ticks: 1, start: 0, pages: 1 };
        let all = HashMap::from([
            (10, stat(1, 10, 10)),
            (11, stat(10, 11, 11)),
            (12, stat(1, 12, 10)),
            (13, stat(11, 13, 13)),
            (20, stat(1, 20, 20)),
            (30, stat(31, 30, 30)),
            (31, stat(30, 31, 31)),
        ]);
        let roots = HashMap::from([(10, Usage::default())]);
        let root = |pid| root_of(pid, &all, &roots);
        assert_eq!([10, 11, 12, 13].map(root), [Some(10); 4]);
        assert_eq!([20, 30, 99].map(root), [None; 3]);
    }

    #[test]
    fn a_line_of_stat_is_read_behind_any_name() {
        let line = "7 (a) 1 b) S 1 7 7 0 -1 4194304 1 2 3 4 50 6 7 8 20 0 1 0 98765 1000 42 1";
        let seen = parse(line).expect("a line");
        assert_eq!((seen.parent, seen.ticks, seen.start, seen.pages), (1, 56, 98765, 42));
        assert!(parse("7 (x) S 1").is_none());
    }
}
