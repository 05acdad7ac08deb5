//! What has to hold outside before a program is started (`start_when`): a path that exists, a connection that is
//! accepted, a network, a flag, a command that succeeds.
//!
//! It is looked at when the programs that it depends on are as they have to be, and the start comes when all of it
//! holds at the same time. What must never happen
//!
//! - A start that is held for something that nobody watches: a path and the network are told by whoever was asked to, a flag by
//!   who sets it (see [`flags`](super::flags)), all else has a timer.
//! - Something that is watched for a start that is not held any more: whatever else becomes of the process ends it
//!   ([`Engine::review_outside`]).
//! - A start that is held twice: once it was let through, only another start is held again.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Engine;
use super::flags::Flags;
use super::timers::TimerKey;
use crate::api::{ConditionId, ProcId};
use crate::core::effect::{CheckPurpose, Effect};
use crate::health::HealthCheckResult;
use crate::models::{ProgramConfig, StartCondition};
use crate::process::{self, Generation, Moment, Prerequisite, TaskEvent};
use crate::util::truncate::to_bytes;

/// The pause after the first try that fails; then twice as long, …
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// … up to this one.
const MAX_PAUSE: Duration = Duration::from_secs(10);
/// A try that has no answer by then has lost it: it takes 10 seconds at most.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);
/// Bytes of what a try has found that are kept.
const MAX_DETAIL_BYTES: usize = 200;

/// How it stands with the conditions of one process.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Outside {
    /// The start that they are for.
    generation: Generation,
    /// Tells the present watch from those before it in the same start, which were for other conditions: their late
    /// answers are none to this one.
    number: u8,
    /// `None`: they have held, and the start goes on.
    watch: Option<Watch>,
}

/// The conditions while they are watched.
#[derive(Debug, Serialize, Deserialize)]
struct Watch {
    states: Vec<State>,
    give_up_at: Option<Moment>,
    /// Within so many seconds.
    limit: u32,
}

/// One condition.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    condition: StartCondition,
    holds: bool,
    /// What the last try has found.
    detail: Option<Arc<str>>,
    /// When it is tried next; `None`: it is told, or a try is under way.
    try_at: Option<Moment>,
    /// The pause after the next try that fails.
    pause: Duration,
}

/// How it is known whether a condition holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    /// By trying it.
    Tries,
    /// By the io thread, which is asked to watch it.
    Watched,
    /// By a flag of the daemon.
    Flag,
}

fn source_of(condition: &StartCondition) -> Source {
    match condition {
        StartCondition::Path(_) | StartCondition::Network(_) => Source::Watched,
        StartCondition::Accepts(_) | StartCondition::Command(_) => Source::Tries,
        StartCondition::Flag(_) => Source::Flag,
    }
}

impl Watch {
    fn new(config: &ProgramConfig, flags: &Flags, now: Moment) -> Watch {
        let state = |condition: &StartCondition| State {
            condition: condition.clone(),
            holds: flags.hold(condition),
            detail: None,
            try_at: (source_of(condition) == Source::Tries).then_some(now),
            pause: FIRST_PAUSE,
        };
        let limit = config.start_when_timeout;
        let give_up_at = if limit > 0 { now.checked_add(Duration::from_secs(u64::from(limit))) } else { None };
        Watch { states: config.start_when.iter().map(state).collect(), give_up_at, limit }
    }

    fn timer(&self) -> Option<Moment> {
        self.states.iter().filter_map(|state| state.try_at).chain(self.give_up_at).min()
    }

    fn is_of(&self, config: &ProgramConfig) -> bool {
        self.limit == config.start_when_timeout
            && self.states.iter().map(|state| &state.condition).eq(&config.start_when)
    }

    fn all_hold(&self) -> bool {
        self.states.iter().all(|state| state.holds)
    }

    /// Those that do not hold, as people read them.
    fn open(&self) -> impl Iterator<Item = Prerequisite> {
        let told = |state: &State| Prerequisite::Outside {
            condition: state.condition.to_string().into(),
            detail: state.detail.as_deref().map(Into::into),
        };
        self.states.iter().filter(|state| !state.holds).map(told)
    }
}

impl Engine {
    /// Whether this start has to wait for something outside. Begins to watch that.
    pub(super) fn is_held_outside(&mut self, id: ProcId, generation: Generation) -> bool {
        let Some(entry) = self.registry.get(id) else { return false };
        let config = Arc::clone(entry.config());
        let known = self.outside.get(&id).filter(|outside| outside.generation == generation);
        let number = known.map_or(0, |outside| outside.number);
        let holds = match known {
            Some(Outside { watch: None, .. }) => true,
            Some(Outside { watch: Some(watch), .. }) if watch.is_of(&config) => watch.all_hold(),
            Some(_) | None => config.start_when.is_empty(),
        };
        if holds {
            self.end_watch(id);
            if !config.start_when.is_empty() {
                self.outside.insert(id, Outside { generation, number, watch: None });
            }
            return false;
        }
        if known.is_some_and(|outside| outside.watch.as_ref().is_some_and(|watch| watch.is_of(&config))) {
            return true;
        }
        let number = known.map_or(0, |outside| outside.number.wrapping_add(1));
        self.begin_watch(id, generation, number, &config);
        // Flags hold from the beginning: where there is nothing else, it is over with that.
        if config.start_when.iter().any(|condition| !self.flags.hold(condition)) {
            return true;
        }
        self.end_watch(id);
        self.outside.insert(id, Outside { generation, number, watch: None });
        false
    }

    fn begin_watch(&mut self, id: ProcId, generation: Generation, number: u8, config: &ProgramConfig) {
        self.end_watch(id);
        for (place, what) in (0..).zip(&config.start_when) {
            let condition = ConditionId { watch: number, place };
            self.effects.extend(match what {
                StartCondition::Path(path) => {
                    let path = path.as_str().into();
                    Some(Effect::AwaitPath { id, generation, condition, path })
                }
                StartCondition::Network(what) => {
                    Some(Effect::AwaitNetwork { id, generation, condition, what: what.clone() })
                }
                StartCondition::Accepts(_) | StartCondition::Command(_) | StartCondition::Flag(_) => None,
            });
        }
        let watch = Watch::new(config, &self.flags, self.now);
        self.timers.set(TimerKey::StartWhen(id), watch.timer());
        self.outside.insert(id, Outside { generation, number, watch: Some(watch) });
    }

    /// Watches no more what this process was held for.
    pub(super) fn end_watch(&mut self, id: ProcId) {
        let Some(Outside { generation, watch: Some(watch), .. }) = self.outside.remove(&id) else { return };
        self.timers.set(TimerKey::StartWhen(id), None);
        if watch.states.iter().any(|state| source_of(&state.condition) == Source::Watched) {
            self.effects.push_back(Effect::ForgetConditions { id, generation });
        }
        self.cancel_start_checks(id);
    }

    /// Something has happened to this process: if it is not held any more, nothing is watched for it.
    pub(super) fn review_outside(&mut self, id: ProcId) {
        let Some(Outside { generation, watch: Some(_), .. }) = self.outside.get(&id) else { return };
        let is_held = |machine: &process::Machine| machine.is_waiting() && machine.generation() == *generation;
        if !self.registry.get(id).is_some_and(|entry| is_held(&entry.machine)) {
            self.end_watch(id);
        }
    }

    /// A process has left the configuration.
    pub(super) fn forget_outside(&mut self, id: ProcId) {
        self.end_watch(id);
        self.outside.remove(&id);
    }

    /// What is watched is there, or has gone.
    pub(super) fn condition_seen(
        &mut self,
        id: ProcId,
        generation: Generation,
        condition: ConditionId,
        is_there: bool,
    ) {
        self.condition_checked(id, generation, condition, is_there, None);
    }

    /// A try has its answer.
    pub(super) fn start_condition_checked(
        &mut self,
        id: ProcId,
        generation: Generation,
        condition: ConditionId,
        result: &HealthCheckResult,
    ) {
        let detail = (!result.healthy).then(|| to_bytes(&result.message, MAX_DETAIL_BYTES).into());
        self.condition_checked(id, generation, condition, result.healthy, detail);
    }

    fn condition_checked(
        &mut self,
        id: ProcId,
        generation: Generation,
        condition: ConditionId,
        holds: bool,
        detail: Option<Arc<str>>,
    ) {
        let now = self.now;
        let is_it = |outside: &&mut Outside| outside.generation == generation && outside.number == condition.watch;
        let Some(outside) = self.outside.get_mut(&id).filter(is_it) else { return };
        let Some(watch) = &mut outside.watch else { return };
        let Some(state) = watch.states.get_mut(usize::from(condition.place)) else { return };
        state.holds = holds;
        state.detail = detail;
        state.try_at = None;
        if !holds && source_of(&state.condition) == Source::Tries {
            state.try_at = now.checked_add(state.pause);
            state.pause = (state.pause * 2).min(MAX_PAUSE);
        }
        let (timer, all_hold) = (watch.timer(), watch.all_hold());
        self.timers.set(TimerKey::StartWhen(id), timer);
        if all_hold && !self.is_ending() {
            self.handle_event(id, process::Event::Released { generation, on: None });
        }
    }

    /// A flag was set or cleared: those that wait for it go on, or wait.
    pub(super) fn review_flag(&mut self, flag: &str) {
        let mut told = Vec::new();
        for (id, outside) in self.outside.iter() {
            let Some(watch) = &outside.watch else { continue };
            let is_it = |state: &State| matches!(&state.condition, StartCondition::Flag(name) if name == flag);
            let places = (0..).zip(&watch.states).filter(|(_, state)| is_it(state));
            let named = places.map(|(place, _)| ConditionId { watch: outside.number, place });
            told.extend(named.map(|condition| (*id, outside.generation, condition)));
        }
        let holds = self.flags.is_set(flag);
        for (id, generation, condition) in told {
            self.condition_checked(id, generation, condition, holds, None);
        }
    }

    /// Something is to be tried, or the time is up.
    pub(super) fn start_when_timer(&mut self, id: ProcId) {
        let now = self.now;
        let Some(Outside { generation, number, watch: Some(watch) }) = self.outside.get_mut(&id) else { return };
        let (generation, number) = (*generation, *number);
        if watch.give_up_at.is_some_and(|at| at <= now) {
            let on: Vec<String> = watch.open().map(|awaited| awaited.text(now)).collect();
            let (seconds, on) = (watch.limit, on.join(", ").into());
            return self.handle_event(id, process::Event::StartWhenTimedOut { generation, seconds, on });
        }
        let mut due = Vec::new();
        for (place, state) in (0..).zip(&mut watch.states) {
            if state.try_at.is_some_and(|at| at <= now) {
                // An answer that got lost must not hold it for ever.
                state.try_at = now.checked_add(ANSWER_LIMIT);
                due.push(ConditionId { watch: number, place });
            }
        }
        let timer = watch.timer();
        self.timers.set(TimerKey::StartWhen(id), timer);
        for condition in due {
            self.begin_check(id, generation, CheckPurpose::StartCondition(condition));
        }
    }

    /// The commands that tell whether it may start are nobody's business any more.
    fn cancel_start_checks(&mut self, id: ProcId) {
        for task in self.tasks.start_checks_of(id) {
            self.handle_task_event(task, TaskEvent::CancelRequested { force: true });
        }
    }

    /// What a process that is held waits for outside.
    pub(super) fn awaited_outside(&self, id: ProcId) -> Vec<Prerequisite> {
        match self.outside.get(&id) {
            Some(Outside { watch: Some(watch), .. }) => watch.open().collect(),
            Some(Outside { watch: None, .. }) | None => Vec::new(),
        }
    }
}
