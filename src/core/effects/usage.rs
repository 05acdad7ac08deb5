//! What programs use: one short-lived thread reads about all processes, for all programs whose time has come.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::super::effect::{External, Input, UsageSample};
use super::Effects;
use crate::api::ProcId;
use crate::process::Generation;
use crate::sys::proc::{self, Usage};
use crate::util::on_drop::OnDrop;
use crate::util::thread;

/// Only touched pages count.
const STACK: usize = 256 * 1024;

/// A run, and processes that are certainly of it: whatever they have started is, too.
struct KnownProcesses {
    id: ProcId,
    generation: Generation,
    roots: Vec<i32>,
}

impl Effects {
    /// Begins a look at what these runs use, unless one is under way.
    pub(super) fn sample_usage(&mut self, wanted: &[(ProcId, Generation)]) {
        if self.is_sampling.swap(true, Ordering::AcqRel) {
            return;
        }
        let is_sampling = Arc::clone(&self.is_sampling);
        let under_way = OnDrop::new(move || is_sampling.store(false, Ordering::Release));
        let rooted = wanted.iter().filter_map(|(id, generation)| {
            let run = self.runs.get(id).filter(|run| run.generation == *generation)?;
            let mut roots: Vec<i32> = run.leaders().collect();
            roots.extend(self.inherited.of(run));
            Some(KnownProcesses { id: *id, generation: *generation, roots })
        });
        let rooted: Vec<KnownProcesses> = rooted.collect();
        let inputs = self.parts.inputs.clone();
        let look = move || {
            let samples = sample(&rooted, &proc::usages());
            drop(under_way);
            let _ = inputs.send(External::Input(Input::UsageSampled { samples }));
        };
        // Where no thread can be made the next look comes at its time.
        drop(thread::spawn("usage", STACK, look));
    }
}

/// Adds up what belongs to each run: its roots, what is in their sessions and groups, and what descends from them.
fn sample(runs: &[KnownProcesses], all: &[Usage]) -> Vec<UsageSample> {
    let mut owners: HashMap<i32, usize> = HashMap::new();
    for (number, run) in runs.iter().enumerate() {
        owners.extend(run.roots.iter().map(|root| (*root, number)));
    }
    let by_pid: HashMap<i32, &Usage> = all.iter().map(|usage| (usage.pid, usage)).collect();
    let mut samples: Vec<UsageSample> =
        runs.iter().map(|run| UsageSample { id: run.id, generation: run.generation, rss: 0, cpu_ms: 0 }).collect();
    for usage in all {
        let Some(sample) = owner(usage, &owners, &by_pid).and_then(|number| samples.get_mut(number)) else { continue };
        sample.rss = sample.rss.saturating_add(usage.rss);
        sample.cpu_ms = sample.cpu_ms.saturating_add(usage.cpu_ms);
    }
    samples
}

/// Which run a process is of.
fn owner(usage: &Usage, owners: &HashMap<i32, usize>, by_pid: &HashMap<i32, &Usage>) -> Option<usize> {
    let mut present = usage;
    // A table that was read while processes came and went may have a circle.
    for _ in 0..by_pid.len() {
        let known = [present.pid, present.pgrp, present.session].iter().find_map(|pid| owners.get(pid));
        if let Some(known) = known {
            return Some(*known);
        }
        present = by_pid.get(&present.ppid)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(pid: i32, ppid: i32, pgrp: i32, session: i32) -> Usage {
        Usage { pid, ppid, pgrp, session, rss: 1 << pid, cpu_ms: 1 }
    }

    #[test]
    fn all_that_a_run_has_started_is_added_up_and_nothing_else() {
        let rooted = |id, roots: &[i32]| KnownProcesses { id, generation: 1, roots: roots.to_vec() };
        let all = [
            usage(1, 0, 1, 1),
            usage(2, 1, 2, 2),
            usage(3, 2, 2, 2),
            // It has made a session of its own, and is still a child.
            usage(4, 3, 4, 4),
            // It was inherited.
            usage(5, 1, 5, 5),
            usage(6, 1, 6, 6),
            usage(7, 1, 7, 7),
        ];
        let samples = sample(&[rooted(0, &[2, 5]), rooted(1, &[6])], &all);
        let sums: Vec<(u64, u64)> = samples.iter().map(|sample| (sample.rss, sample.cpu_ms)).collect();
        assert_eq!(sums, [(0b11_1100, 4), (0b100_0000, 1)]);
    }
}
