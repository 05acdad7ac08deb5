//! How long an answer may take before it is "not yet": what the settings of the processes allow.

use std::time::Duration;

use super::goals::Goal;
use super::{Engine, Entry};
use crate::api::ProcId;
use crate::models::{Hook, ProgramConfig, ProgramType, Readiness};
use crate::process::{HOOK_GRACE_SECS, hook_seconds, stop_seconds};
use crate::util::sort::sort_by;

/// What a settled state may take beyond the configured times: scheduling, and death by SIGKILL.
const SETTLE_MARGIN: Duration = Duration::from_secs(5);

impl Engine {
    /// The longest that it may take until all these goals are reached; `None`: nobody can tell.
    pub(super) fn longest_wait(&self, goals: &[(ProcId, Goal)]) -> Option<Duration> {
        let mut longest = Some(Duration::ZERO);
        let mut stops = Vec::new();
        for &(id, goal) in goals {
            let Some(entry) = self.registry.get(id) else { continue };
            // Who waits for others, or for a slot, may do so for ever.
            let waits = self.settings.start_limit > 0 || !self.graph.needs(id).is_empty();
            let wait = time_of(entry, goal).filter(|_| goal != Goal::Up || !waits);
            stops.extend(wait.filter(|_| goal == Goal::Down).map(|wait| (id, wait)));
            longest = longest.zip(wait).map(|(longest, wait)| longest.max(wait));
        }
        longest.map(|longest| longest.max(self.longest_stop(stops)))
    }

    /// The longest way along the graph: who needs another one ends before it, all else ends at the same time.
    fn longest_stop(&self, mut stops: Vec<(ProcId, Duration)>) -> Duration {
        if self.graph.is_empty() {
            return stops.into_iter().map(|(_, wait)| wait).max().unwrap_or_default();
        }
        sort_by(&mut stops, |(one, _), (other, _)| one.cmp(other));
        let mut order: Vec<u32> = (0..).take(stops.len()).collect();
        let depth = |place: u32| stops.get(place as usize).map_or(0, |(id, _)| self.graph.depth(*id));
        sort_by(&mut order, |one, other| depth(*other).cmp(&depth(*one)));
        // The time until each of them has ended; those first that nobody here needs.
        let mut ways = stops.clone();
        for place in order.into_iter().map(|place| place as usize) {
            let Some((id, wait)) = stops.get(place).copied() else { continue };
            let dependants = self.graph.needed_by(id).iter().filter_map(|link| {
                let place = ways.binary_search_by(|(other, _)| other.cmp(&link.from)).ok()?;
                ways.get(place).map(|(_, way)| *way)
            });
            let before = dependants.max().unwrap_or_default();
            if let Some((_, way)) = ways.get_mut(place) {
                *way = wait + before;
            }
        }
        ways.into_iter().map(|(_, way)| way).max().unwrap_or_default()
    }
}

/// The longest that reaching the goal may take before the answer is "not yet"; `None`: nobody can tell.
fn time_of(entry: &Entry, goal: Goal) -> Option<Duration> {
    let seconds = |count: u32| Duration::from_secs(u64::from(count));
    let run = entry.machine.run_config().unwrap_or(entry.machine.config());
    // What a leader leaves behind that alone was killed has a time of its own to end in.
    let rounds = if run.killasgroup { 1 } else { 2 };
    let stop = match entry.machine.is_engaged() {
        true => seconds(stop_seconds(run)) * rounds + seconds(hooks_of_stop(run)) + SETTLE_MARGIN,
        false => Duration::ZERO,
    };
    match goal {
        Goal::Down => Some(stop),
        Goal::Up => Some(stop + longest_start(entry.config())? + SETTLE_MARGIN),
        Goal::Reach(_) => None,
    }
}

/// The longest that a start may take until it has come about or failed; `None`: nobody can tell.
fn longest_start(config: &ProgramConfig) -> Option<Duration> {
    let by_time = config.program_type == ProgramType::Simple && config.ready == Readiness::Startsecs;
    let seconds = match config.start_timeout {
        _ if by_time => config.startsecs,
        0 => return None,
        limit => limit.max(config.startsecs).saturating_add(stop_seconds(config)).saturating_add(hooks_of_stop(config)),
    };
    let seconds = seconds.saturating_add(hook_seconds(config, Hook::PreStart));
    Some(Duration::from_secs(u64::from(seconds)))
}

/// The most seconds that the hooks of a stop may take beside `stopwaitsecs`, which covers the `stop_command`: one
/// command that is under way, and `post_stop`.
fn hooks_of_stop(config: &ProgramConfig) -> u32 {
    let cancelled = if config.hooks.pre_start.is_empty() { 0 } else { HOOK_GRACE_SECS };
    hook_seconds(config, Hook::PostStop).saturating_add(cancelled)
}
