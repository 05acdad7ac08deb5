//! Programs that may use only so much memory (`max_rss`), or of the processors (`max_cpu`).
//!
//! What they use is looked at from time to time, all whose time has come within a second together. Where no program has
//! such a limit, nobody looks.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Engine;
use super::timers::TimerKey;
use crate::api::{Act, ProcId};
use crate::core::effect::{Effect, UsageSample};
use crate::models::CpuLimit;
use crate::process::{Desired, Generation, Initiator, Moment, ProcessState, RestartReason};
use crate::util::sorted::SortedMap;

/// Those whose time comes so much later are looked at as well: one look is about all processes of the system.
const SAMPLE_WINDOW: Duration = Duration::from_secs(1);

/// One run that is looked at.
#[derive(Debug, Serialize, Deserialize)]
struct Watched {
    generation: Generation,
    /// When it is looked at next.
    due: Moment,
    /// Its CPU time so far, in milliseconds, at the looks of the last time; the oldest first.
    cpu: Vec<(Moment, u64)>,
}

/// The runs that are looked at.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Usages(SortedMap<ProcId, Watched>);

impl Usages {
    /// Its run has ended.
    pub(super) fn forget(&mut self, id: ProcId) {
        self.0.remove(&id);
    }
}

impl Watched {
    /// The share of a processor, in percent, on an average of that time; `None`: not known yet.
    fn share(&mut self, now: Moment, cpu_ms: u64, limit: CpuLimit) -> Option<u64> {
        let window = Duration::from_secs(limit.seconds.into());
        self.cpu.push((now, cpu_ms));
        let age = |at: Moment| now.saturating_duration_since(at);
        // The newest one that is old enough is the first.
        let old = self.cpu.iter().take_while(|(at, _)| age(*at) >= window).count();
        self.cpu.drain(..old.saturating_sub(1));
        let (at, before) = self.cpu.first().copied().filter(|(at, _)| age(*at) >= window)?;
        let millis = u64::try_from(age(at).as_millis()).unwrap_or(u64::MAX).max(1);
        Some(cpu_ms.saturating_sub(before).saturating_mul(100) / millis)
    }
}

impl Engine {
    /// A run has begun: it is looked at, where it has a limit.
    pub(super) fn watch_usage(&mut self, id: ProcId, generation: Generation) {
        let Some(config) = self.registry.get(id).and_then(|entry| entry.machine.run_config()) else { return };
        let limits = &config.confinement;
        if limits.max_rss.is_none() && limits.max_cpu.is_none() {
            return;
        }
        let due = self.now + Duration::from_secs(limits.usage_interval.into());
        self.usages.0.insert(id, Watched { generation, due, cpu: Vec::new() });
        self.set_usage_timer();
    }

    fn set_usage_timer(&mut self) {
        let next = self.usages.0.iter().map(|(_, watched)| watched.due).min();
        self.timers.set(TimerKey::Usage, next);
    }

    /// The time of some has come.
    pub(super) fn sample_usage(&mut self) {
        let mut runs = Vec::new();
        for id in self.usages.0.keys().copied().collect::<Vec<ProcId>>() {
            let run = self.registry.get(id).and_then(|entry| entry.machine.run_config());
            let interval = run.map_or(1, |run| run.confinement.usage_interval);
            let Some(watched) = self.usages.0.get_mut(&id).filter(|watched| watched.due <= self.now + SAMPLE_WINDOW)
            else {
                continue;
            };
            watched.due = self.now + Duration::from_secs(interval.into());
            runs.push((id, watched.generation));
        }
        self.set_usage_timer();
        if !runs.is_empty() {
            self.effects.push_back(Effect::SampleUsage { runs });
        }
    }

    /// What they use is known.
    pub(super) fn usage_sampled(&mut self, samples: &[UsageSample]) {
        for sample in samples {
            if let Some(reason) = self.excess(sample) {
                let by = Initiator::Policy(Arc::new(reason));
                self.act_in_order(Act::Restart { force: false }, &[sample.id], &by, false);
            }
        }
    }

    /// What a run uses too much of.
    fn excess(&mut self, sample: &UsageSample) -> Option<RestartReason> {
        let entry = self.registry.get(sample.id).filter(|entry| entry.machine.generation() == sample.generation)?;
        let machine = &entry.machine;
        let limits = &machine.run_config()?.confinement;
        let (max_rss, max_cpu) = (limits.max_rss, limits.max_cpu);
        let is_up = machine.pid().is_some()
            && machine.desired() == Desired::Up
            && machine.state() != ProcessState::Stopping
            && !machine.is_paused();
        if !is_up || self.is_ending() || self.is_held(sample.id) {
            return None;
        }
        if let Some(limit) = max_rss.filter(|limit| sample.rss > *limit) {
            return Some(RestartReason::MaxRss { used: sample.rss, limit });
        }
        let limit = max_cpu?;
        let watched = self.usages.0.get_mut(&sample.id)?;
        let percent = watched.share(self.now, sample.cpu_ms, limit)?;
        let CpuLimit { percent: most, seconds } = limit;
        (percent > most.into()).then_some(RestartReason::MaxCpu { percent, limit: most, seconds })
    }
}
