//! Runs whose output is watched (`output_watch`).
//!
//! What must never happen
//!
//! - A wake-up for output that shows nothing: how long a run was silent is asked for when a rule could hold, and not before that
//!   could be so again.
//! - A rule that acts twice on one silence: it does again when there was output in between.
//! - A silence that is no fault of the program: it was paused, or this process did not run.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::timers::TimerKey;
use super::{Engine, Entry};
use crate::api::{Announcement, ProcId};
use crate::core::effect::{CheckPurpose, Effect, Signal};
use crate::models::{OutputAction, OutputRule, OutputSign, ProgramConfig, ProgramType};
use crate::process::{
    self, Desired, Generation, Initiator, Moment, OutputFault, ProcessState, RestartReason, SignalTarget, signal_number,
};
use crate::util::sorted::SortedMap;

/// How late a timer of ours may be before this process must not have run.
const MAX_TIMER_DELAY: Duration = Duration::from_secs(1);

/// A run whose silence counts.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Silence {
    generation: Generation,
    /// Output of before counts as if it were of now.
    since: Moment,
    /// Rules of so many seconds, and of fewer, have acted on this silence.
    acted: u32,
    /// When it is looked at.
    due: Option<Moment>,
}

/// The runs whose silence counts.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Silences(SortedMap<ProcId, Silence>);

/// The seconds of the rules that have not acted yet.
fn pending(config: &ProgramConfig, acted: u32) -> impl Iterator<Item = u32> {
    config.restart.output_watch.iter().filter_map(OutputRule::silence).filter(move |seconds| *seconds > acted)
}

fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(seconds.into())
}

/// The settings of a run on which a rule may act.
fn watched(entry: &Entry, generation: Generation) -> Option<&Arc<ProgramConfig>> {
    let machine = &entry.machine;
    let is_up = machine.generation() == generation
        && machine.pid().is_some()
        && machine.desired() == Desired::Up
        && machine.state() != ProcessState::Stopping
        && !machine.is_paused();
    machine.run_config().filter(|config| is_up && !config.restart.output_watch.is_empty())
}

impl Engine {
    /// A subscriber: silence counts from `RUNNING` on.
    pub(super) fn watch_silence(&mut self, id: Option<ProcId>, announcement: &Announcement) {
        let (Some(id), Announcement::Transition { transition, .. }) = (id, announcement) else { return };
        if (transition.from, transition.to) == (ProcessState::Starting, ProcessState::Running) {
            self.count_silence(id);
        }
    }

    /// A run has begun. What is to end by itself is never `RUNNING`: its silence counts at once.
    pub(super) fn watch_oneshot(&mut self, id: ProcId) {
        let run = self.registry.get(id).and_then(|entry| entry.machine.run_config());
        if run.is_some_and(|run| run.program_type == ProgramType::Oneshot && !run.restart.output_watch.is_empty()) {
            self.count_silence(id);
        }
    }

    /// The silence of its run counts from now on.
    pub(super) fn count_silence(&mut self, id: ProcId) {
        let Some(entry) = self.registry.get(id) else { return };
        let generation = entry.machine.generation();
        let Some(first) = watched(entry, generation).and_then(|config| pending(config, 0).min()) else { return };
        let due = self.now.checked_add(seconds(first));
        self.silences.0.insert(id, Silence { generation, since: self.now, acted: 0, due });
        self.timers.set(TimerKey::Silence(id), due);
    }

    /// Its run has ended, or is paused.
    pub(super) fn forget_silence(&mut self, id: ProcId) {
        if self.silences.0.remove(&id).is_some() {
            self.timers.set(TimerKey::Silence(id), None);
        }
    }

    /// A rule holds, if there was no output.
    pub(super) fn silence_timer(&mut self, id: ProcId) {
        let Some(Silence { generation, acted, due, .. }) = self.silences.0.get(&id).copied() else { return };
        let Some(config) = self.registry.get(id).and_then(|entry| watched(entry, generation)) else { return };
        if due.is_some_and(|due| self.now.saturating_duration_since(due) > MAX_TIMER_DELAY) {
            // The program may not have run either.
            return self.count_silence(id);
        }
        if let Some(first) = pending(config, acted).min() {
            self.effects.push_back(Effect::AskSilence { id, generation, long: seconds(first) });
        }
    }

    /// For so long a run has written nothing.
    pub(super) fn silent(&mut self, id: ProcId, generation: Generation, silence: Duration) {
        let Some(known) = self.silences.0.get_mut(&id).filter(|known| known.generation == generation) else { return };
        let Some(entry) = self.registry.get(id) else { return };
        let Some(config) = watched(entry, generation).cloned() else { return };
        let long = self.now.saturating_duration_since(known.since).min(silence);
        let before = known.acted;
        let acted = pending(&config, before).filter(|limit| seconds(*limit) <= long).max().unwrap_or(before);
        let left = pending(&config, acted).min().map(|next| seconds(next).saturating_sub(long));
        let due = left.and_then(|left| self.now.checked_add(left));
        (known.acted, known.due) = (acted, due);
        self.timers.set(TimerKey::Silence(id), due);
        for rule in &config.restart.output_watch {
            let holds = |limit: &u32| (before + 1..=acted).contains(limit);
            if let Some(limit) = rule.silence().filter(holds) {
                self.act_on_output(id, generation, &rule.action, OutputFault::Silence { seconds: limit });
            }
        }
    }

    /// A run of which too long a silence was told writes again: every rule may act again.
    pub(super) fn output_resumed(&mut self, id: ProcId, generation: Generation) {
        if self.silences.0.get(&id).is_some_and(|known| known.generation == generation) {
            self.count_silence(id);
        }
        self.handle_event(id, process::Event::OutputResumed { generation });
    }

    /// There was a line that a run is watched for.
    pub(super) fn watched_line(&mut self, id: ProcId, generation: Generation, pattern: &str, line: Box<str>) {
        let Some(config) = self.registry.get(id).and_then(|entry| watched(entry, generation)).cloned() else { return };
        let fault = OutputFault::Line { line };
        for rule in &config.restart.output_watch {
            if matches!(&rule.sign, OutputSign::Pattern(known) if known == pattern) {
                self.act_on_output(id, generation, &rule.action, fault.clone());
            }
        }
    }

    fn act_on_output(&mut self, id: ProcId, generation: Generation, action: &OutputAction, fault: OutputFault) {
        // A rule before may have ended it.
        let acts = self.registry.get(id).is_some_and(|entry| watched(entry, generation).is_some());
        if !acts || self.is_ending() || self.is_held(id) {
            return;
        }
        match action {
            OutputAction::Restart | OutputAction::Unhealthy => {
                let is_restart = *action == OutputAction::Restart;
                self.handle_event(id, process::Event::OutputWatched { generation, fault: Arc::new(fault), is_restart });
            }
            OutputAction::Signal(name) => {
                // The name was checked when it was read; a program may have set another.
                let Some(number) = signal_number(name) else { return };
                let target = SignalTarget::Leader;
                let by = Initiator::Policy(Arc::new(RestartReason::OutputWatch { fault }));
                self.send_signal(id, generation, Signal { number, target, resume: false });
                self.note(id, process::Cause::SignalRequested { signal: number, target, by });
            }
            OutputAction::Command(_) => self.begin_output_command(id, generation, action),
        }
    }

    fn begin_output_command(&mut self, id: ProcId, generation: Generation, action: &OutputAction) {
        let run = self.registry.get(id).and_then(|entry| entry.machine.run_config());
        let place = run.and_then(|run| run.restart.output_watch.iter().position(|rule| rule.action == *action));
        if let Some(rule) = place.and_then(|place| u8::try_from(place).ok()) {
            self.begin_check(id, generation, CheckPurpose::OutputAction { rule });
        }
    }
}
