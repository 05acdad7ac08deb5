//! What /proc says about the descendants of this benchmark.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;

use crate::error::{Context, Result};

/// Memory of some processes together, in KiB.
#[derive(Debug, Default, Clone, Copy)]
pub struct Memory {
    /// Proportional set size: shared pages are divided among those who share them.
    pub pss: u64,
    /// Pages that only these processes have and have written to.
    pub private_dirty: u64,
    /// Resident pages, shared or not.
    pub rss: u64,
}

/// What some processes have used since they began.
#[derive(Debug, Default, Clone, Copy)]
pub struct Usage {
    /// Voluntary and involuntary context switches of all threads.
    pub switches: u64,
    /// Time on a CPU, in nanoseconds.
    pub cpu_ns: u64,
}

/// All descendants of `root`, without itself. A process that appears while this reads may be missed.
pub fn descendants(root: i32) -> Vec<i32> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    for pid in pids("/proc") {
        if let Some(parent) = parent(pid) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = Vec::new();
    let mut todo = vec![root];
    let mut seen = HashSet::from([root]);
    while let Some(pid) = todo.pop() {
        for &child in children.get(&pid).map_or(&[][..], Vec::as_slice) {
            if seen.insert(child) {
                found.push(child);
                todo.push(child);
            }
        }
    }
    found
}

/// The supervisor's own processes: the daemon and its helpers, not what it supervises (`child`).
pub fn supervisor_processes(daemon: i32, child: &Path) -> Vec<i32> {
    let mut all = vec![daemon];
    all.extend(
        descendants(daemon)
            .into_iter()
            .filter(|pid| fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe != child)),
    );
    all
}

/// The memory of these processes together.
pub fn memory(processes: &[i32]) -> Result<Memory> {
    let mut sum = Memory::default();
    for pid in processes {
        let path = format!("/proc/{pid}/smaps_rollup");
        let text = fs::read_to_string(&path).context(format!("cannot read {path}"))?;
        sum.pss += field(&text, "Pss:");
        sum.private_dirty += field(&text, "Private_Dirty:");
        sum.rss += field(&text, "Rss:");
    }
    Ok(sum)
}

/// What the threads of these processes have used so far.
pub fn usage(processes: &[i32]) -> Result<Usage> {
    let mut sum = Usage::default();
    for pid in processes {
        for thread in pids(&format!("/proc/{pid}/task")) {
            let path = format!("/proc/{pid}/task/{thread}");
            let status = fs::read_to_string(format!("{path}/status")).context(format!("cannot read {path}/status"))?;
            sum.switches += field(&status, "voluntary_ctxt_switches:") + field(&status, "nonvoluntary_ctxt_switches:");
            let stat = fs::read_to_string(format!("{path}/schedstat"))
                .context(format!("cannot read {path}/schedstat (a kernel without CONFIG_SCHED_INFO?)"))?;
            sum.cpu_ns += stat.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0);
        }
    }
    Ok(sum)
}

/// The CPU time of these processes so far in milliseconds, also of their threads that have ended; the kernel counts in tens.
pub fn cpu_ms(processes: &[i32]) -> Result<f64> {
    let mut ticks = 0;
    for pid in processes {
        let path = format!("/proc/{pid}/stat");
        let text = fs::read_to_string(&path).context(format!("cannot read {path}"))?;
        let fields = text.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
        ticks += fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum::<u64>();
    }
    Ok(ticks as f64 * 10.0)
}

/// The names in a directory that are numbers.
fn pids(directory: &str) -> Vec<i32> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

fn parent(pid: i32) -> Option<i32> {
    let line = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command's name is in parentheses and may hold anything, parentheses too.
    line.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// The first number of the line that begins with `name`, 0 if there is none.
fn field(text: &str, name: &str) -> u64 {
    text.lines()
        .find_map(|line| line.strip_prefix(name))
        .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}
