//! The facts behind the answer to `why`.

use std::sync::Arc;

use super::{Engine, Entry};
use crate::api::{Act, ChainStep, HeldBack, LastRequest, NextStep, ObstacleChain, ProcId, Why};
use crate::config::needs_restart;
use crate::models::DependencyCondition;
use crate::process::{Initiator, Moment, ProcessState};
use crate::util::sorted::SortedSet;

/// How many programs of a chain are shown: the last one and those at the beginning.
const MAX_STEPS: usize = 8;

/// How many of those that have to end first are named.
const MAX_NAMED: usize = 3;

/// A process on the way to what keeps another one from starting.
struct Visit {
    id: ProcId,
    /// What has to hold of it.
    condition: DependencyCondition,
    /// Who needs it: a place in the list of those that were found before.
    found_from: Option<usize>,
}

impl Engine {
    /// How a process came to its state. The last lines of its output are added by the output thread.
    pub(super) fn explain(&self, id: ProcId) -> Option<Why> {
        let entry = self.registry.get(id)?;
        let machine = &entry.machine;
        let health = machine.healthy().zip(machine.health_message());
        Some(Why {
            program: Arc::clone(entry.config()),
            now: self.now,
            state: machine.state(),
            condition: self.condition_of(id, entry),
            hook: self.running_hook(id),
            hook_failure: entry.hook_failure.clone(),
            last_words: entry.last_words.as_deref().cloned(),
            output_trouble: entry.output_troubles.worst(),
            bystanders: self.adoption.bystanders(id),
            pid: machine.pid(),
            paused: None,
            pause_requested: machine.is_paused(),
            since: entry.since,
            history: entry.history.rows(entry.config()),
            last_request: machine.last_request().map(|(verb, by, at)| LastRequest {
                verb: *verb,
                by: by.clone(),
                at: *at,
            }),
            restarts: machine.restarts(),
            health: health.map(|(healthy, message)| (healthy, message.into())),
            config_changed: machine.run_config().is_some_and(|run| needs_restart(run, entry.config())),
            last_exit: machine.last_run().map(|run| run.exit),
            completed: machine.has_completed(),
            held: self.held_back(id),
            chain: self.obstacle_chain(id),
            notify_state: machine.notify_state().cloned().map(Box::new),
            next: next_step(entry).map(|(step, at)| match step {
                NextStep::Kill => (step, self.kill_at(at)),
                step => (step, at),
            }),
            next_run: self.next_run(id),
            last_output: Vec::new(),
        })
    }

    /// The way from a process that can't start yet to what is to blame for that: the nearest program that has failed or
    /// was stopped, else the nearest that is still on its way.
    fn obstacle_chain(&self, id: ProcId) -> ObstacleChain {
        let mut seen = SortedSet::default();
        seen.insert(id);
        let mut visits = vec![Visit { id, condition: DependencyCondition::default(), found_from: None }];
        let mut nearest = None;
        let mut place = 0;
        while let Some(at) = visits.get(place).map(|visit| visit.id) {
            let Some(entry) = self.registry.get(at) else { break };
            let mut is_blameless = false;
            for link in self.obstacles(at, &entry.machine) {
                is_blameless = true;
                let link = self.what_is_in_the_way(link);
                if seen.insert(link.on) {
                    visits.push(Visit { id: link.on, condition: link.condition, found_from: Some(place) });
                }
            }
            if !is_blameless && place > 0 {
                nearest = nearest.or(Some(place));
                if has_failed(entry.machine.state()) {
                    nearest = Some(place);
                    break;
                }
            }
            place += 1;
        }
        nearest.map_or_else(ObstacleChain::default, |end| self.chain_to(&visits, end))
    }

    /// The way to the visit at this place.
    fn chain_to(&self, visits: &[Visit], end: usize) -> ObstacleChain {
        let mut way = Vec::new();
        let mut next = Some(end);
        while let Some(visit) = next.and_then(|place| visits.get(place)).filter(|visit| visit.found_from.is_some()) {
            way.push(visit);
            next = visit.found_from;
        }
        let left_out = way.len().saturating_sub(MAX_STEPS);
        way.drain(1..1 + left_out);
        let steps = way.iter().rev().filter_map(|visit| self.chain_step(visit.id, visit.condition)).collect();
        ObstacleChain { steps, left_out }
    }

    fn chain_step(&self, id: ProcId, condition: DependencyCondition) -> Option<ChainStep> {
        let entry = self.registry.get(id)?;
        let request = entry.machine.last_request();
        Some(ChainStep {
            program: Arc::clone(entry.config()),
            condition,
            state: entry.machine.state(),
            told: self.condition_of(id, entry),
            last_words: entry.last_words.as_deref().cloned(),
            last_request: request.map(|(verb, by, at)| LastRequest { verb: *verb, by: by.clone(), at: *at }),
            disabled: entry.disabled,
        })
    }

    /// A command on this process that waits until others have gone; in the shutdown its stop.
    pub(super) fn held_back(&self, id: ProcId) -> Option<HeldBack> {
        let step = |id: ProcId| self.chain_step(id, DependencyCondition::default());
        let (act, by, named, all) = match self.held_command(id) {
            Some((act, by)) => {
                let behind: Vec<ProcId> = self.dependants_on_their_way(id).collect();
                let named: Vec<ChainStep> = behind.iter().copied().take(MAX_NAMED).filter_map(step).collect();
                (act, by.clone(), named, behind.len())
            }
            None => {
                let (behind, all) = self.stopped_before(id)?;
                (Act::Stop, Initiator::Shutdown, behind.into_iter().take(MAX_NAMED).filter_map(step).collect(), all)
            }
        };
        Some(HeldBack { act, by, more: all.saturating_sub(named.len()), behind: named })
    }
}

fn has_failed(state: ProcessState) -> bool {
    match state {
        ProcessState::Backoff | ProcessState::Exited | ProcessState::Fatal | ProcessState::Stopped => true,
        ProcessState::Starting | ProcessState::Running | ProcessState::Stopping | ProcessState::Unhealthy => false,
    }
}

/// What happens by itself, and when; `None` where nothing does.
fn next_step(entry: &Entry) -> Option<(NextStep, Moment)> {
    let machine = &entry.machine;
    let at = machine.poll_timeout()?;
    match machine.next_is_probe() {
        Some(true) => return Some((NextStep::ProbeAnswer, at)),
        Some(false) => return Some((NextStep::Probe, at)),
        None => {}
    }
    let step = match machine.state() {
        ProcessState::Stopping => match (machine.next_stop_signal(), machine.kill_at()) {
            (Some(signal), _) => NextStep::StopSignal(signal),
            (None, Some(_)) => NextStep::Kill,
            (None, None) => NextStep::KillAgain,
        },
        ProcessState::Starting if machine.is_detached() => NextStep::PidFile,
        ProcessState::Starting if machine.gives_up() => NextStep::GiveUp,
        ProcessState::Starting if machine.is_checking() => NextStep::CheckAnswer,
        ProcessState::Starting if machine.ready() == Some(false) => NextStep::Check,
        ProcessState::Starting => NextStep::Running,
        ProcessState::Running | ProcessState::Unhealthy if machine.is_watched() => NextStep::Watchdog,
        ProcessState::Running | ProcessState::Unhealthy if machine.is_checking() => NextStep::CheckAnswer,
        ProcessState::Running | ProcessState::Unhealthy => NextStep::Check,
        ProcessState::Backoff | ProcessState::Exited | ProcessState::Fatal if machine.has_run() => {
            NextStep::KillRemains
        }
        ProcessState::Backoff => match machine.retry() {
            Some((number, of, _)) => NextStep::Retry { number, of },
            None => NextStep::Attempt,
        },
        ProcessState::Fatal => NextStep::Attempt,
        ProcessState::Exited | ProcessState::Stopped => NextStep::Restart,
    };
    Some((step, at))
}
