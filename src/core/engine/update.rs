//! How a new configuration is brought about, what it would change, and the way back from an update that nobody has
//! confirmed.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use super::super::world::{Answer, ProcId, ReplyTo, World};
use super::asker::Asker;
use super::jobs::{Goal, JobKind};
use super::{Engine, Entry};
use crate::config::{self, Loaded, ReloadPlan, needs_restart};
use crate::models::{ProgramConfig, SupervisorConfig};
use crate::process::{self, Desired, ProcessState, Transition};
use crate::rpc::protocol::{KeyChange, Reread, Terms, Updated};
use crate::util::sort;

/// The name under which changes of `[supervice]` are told.
const DAEMON_SECTION: &str = "[supervice]";

/// What is done to programs that were running before.
pub(super) enum Manner {
    /// Those that have changed go on until their next start.
    Reload,
    /// Those that have changed are restarted.
    Update,
    /// As an update, but what was up before (and nothing else) is up afterwards.
    Back(BTreeSet<String>),
}

/// What was brought about.
#[derive(Default)]
pub(super) struct Change {
    pub plan: ReloadPlan,
    /// Still to be stopped; they leave when they have.
    removed: Vec<ProcId>,
    restarted: Vec<ProcId>,
    restarted_names: Vec<String>,
    /// Added and started.
    started: Vec<ProcId>,
}

impl Change {
    /// There is nothing to confirm, and nothing to go back from.
    pub(super) fn is_nothing(&self) -> bool {
        self.plan.is_empty() && self.restarted.is_empty()
    }

    /// The removed ones have gone.
    pub(super) fn removals(&self) -> Vec<(ProcId, Goal)> {
        self.removed.iter().map(|id| (*id, Goal::Down)).collect()
    }

    /// The removed ones have gone, and those that were started or restarted are up.
    pub(super) fn goals(&self) -> Vec<(ProcId, Goal)> {
        let up = self.started.iter().chain(&self.restarted).map(|id| (*id, Goal::Up));
        self.removals().into_iter().chain(up).collect()
    }

    /// As it is told to a client.
    pub(super) fn told(&self, confirm_until: Option<f64>) -> Updated {
        let ReloadPlan { added, removed, changed, .. } = self.plan.clone();
        Updated { added, removed, changed, restarted: self.restarted_names.clone(), confirm_until }
    }
}

/// The configuration in force, and which programs were wanted up.
pub(super) struct Snapshot {
    config: SupervisorConfig,
    up: BTreeSet<String>,
}

/// An update that is taken back unless somebody confirms it.
pub(super) struct Trial {
    before: Snapshot,
    pub until: Instant,
    /// The programs whose failure takes it back at once.
    watched: Vec<ProcId>,
    failed: Option<String>,
}

impl Engine {
    /// What this file would change.
    pub(super) fn reread(&self, loaded: &Loaded) -> Reread {
        let (old, new) = (self.running(), &loaded.config);
        let plan = config::diff(&old, new);
        let mut reread = Reread {
            added: plan.added,
            removed: plan.removed,
            warnings: loaded.warnings.iter().map(ToString::to_string).collect(),
            ..Reread::default()
        };
        let program = |config: &SupervisorConfig, name: &str| {
            config.programs.iter().find(|program| program.name == *name).cloned()
        };
        let tell = |keys: Vec<config::KeyDiff>| {
            keys.into_iter().map(|config::KeyDiff { key, old, new }| KeyChange { key, old, new }).collect()
        };
        for name in plan.changed {
            if let (Some(old), Some(new)) = (program(&old, &name), program(new, &name)) {
                reread.changed.insert(name, tell(config::changed_keys(&old, &new)));
            }
        }
        if !plan.daemon_settings_changed.is_empty() {
            reread.changed.insert(DAEMON_SECTION.to_owned(), tell(config::changed_settings(&old, new)));
        }
        reread
    }

    /// The settings that the programs run with: those of their present runs, and of their next ones where they are down.
    fn running(&self) -> SupervisorConfig {
        let mut config = self.effective();
        for program in &mut config.programs {
            let entry = self.find(&program.name).and_then(|id| self.entries.get(&id));
            if let Some(run) = entry.and_then(|entry| entry.machine.run_config())
                && needs_restart(run, program)
            {
                *program = ProgramConfig::clone(run);
            }
        }
        config
    }

    /// What to go back to.
    pub(super) fn snapshot(&self) -> Snapshot {
        let up = self.entries.values().filter(|entry| !entry.leaving && is_wanted(entry));
        Snapshot { up: up.map(|entry| entry.name().to_owned()).collect(), config: self.effective() }
    }

    /// Applies a configuration. What is removed is still to be stopped: see [`stop_removed`](Self::stop_removed).
    pub(super) fn bring_about(
        &mut self,
        now: Instant,
        new: SupervisorConfig,
        how: &Manner,
        by: &Asker,
        world: &mut dyn World,
    ) -> Change {
        let plan = config::diff(&self.effective(), &new);
        log::info!("{}", super::reload::describe(&plan));
        self.apply_settings(&plan, &new, world);
        let mut programs: HashMap<String, ProgramConfig> =
            new.programs.into_iter().map(|program| (program.name.clone(), program)).collect();
        let mut change = Change::default();
        for name in &plan.removed {
            let Some(id) = self.find(name) else { continue };
            if let Some(entry) = self.entries.get_mut(&id) {
                entry.leaving = true;
            }
            change.removed.push(id);
        }
        for name in &plan.changed {
            if let (Some(id), Some(program)) = (self.find(name), programs.remove(name)) {
                self.change(now, id, program, world);
            }
        }
        if !matches!(how, Manner::Reload) {
            self.restart_changed(now, &plan, how, by, &mut change, world);
        }
        for name in &plan.added {
            let Some(program) = programs.remove(name) else { continue };
            let start = match how {
                Manner::Reload | Manner::Update => program.autostart,
                Manner::Back(up) => up.contains(name),
            };
            let id = self.bring_in(now, program, world);
            if start {
                self.command(now, id, process::Event::StartRequested, by, world);
                change.started.push(id);
            }
        }
        change.plan = plan;
        change
    }

    /// Restarts what runs with other settings than it should, and starts what waits or has given up with old ones.
    fn restart_changed(
        &mut self,
        now: Instant,
        plan: &ReloadPlan,
        how: &Manner,
        by: &Asker,
        change: &mut Change,
        world: &mut dyn World,
    ) {
        let stale = |entry: &Entry| match entry.machine.run_config() {
            Some(run) => needs_restart(run, entry.config()),
            None => plan.changed.binary_search_by(|name| name.as_str().cmp(entry.name())).is_ok(),
        };
        let wanted = |entry: &Entry| match how {
            Manner::Back(up) => up.contains(entry.name()),
            Manner::Reload | Manner::Update => is_wanted(entry) || entry.machine.state() == ProcessState::Fatal,
        };
        let chosen = |entry: &Entry| !entry.leaving && stale(entry) && wanted(entry);
        let chosen: Vec<(String, bool)> = self
            .entries
            .values()
            .filter(|entry| chosen(entry))
            .map(|entry| (entry.name().to_owned(), entry.machine.has_run()))
            .collect();
        for (name, has_run) in chosen {
            let Some(id) = self.find(&name) else { continue };
            let event = match has_run {
                true => process::Event::RestartRequested { force: false },
                false => process::Event::StartRequested,
            };
            self.command(now, id, event, by, world);
            change.restarted.push(id);
            change.restarted_names.push(name);
        }
        sort::sort(&mut change.restarted_names);
    }

    /// Stops what has left the configuration. Whoever waits for that is to be filed before.
    pub(super) fn stop_removed(&mut self, now: Instant, change: &Change, by: &Asker, world: &mut dyn World) {
        for id in &change.removed {
            self.command(now, *id, process::Event::StopRequested, by, world);
        }
    }

    /// From now on the update is taken back unless it is confirmed.
    pub(super) fn begin_trial(&mut self, now: Instant, before: Snapshot, confirm: Duration, change: &Change) {
        let watched = change.started.iter().chain(&change.restarted).copied().collect();
        let until = now.checked_add(confirm).unwrap_or(now);
        log::info!("the update is taken back unless it is confirmed within {} s", confirm.as_secs());
        let mut trial = Trial { before, until, watched, failed: None };
        // What could not even be spawned has failed before anybody watched.
        let fatal =
            |id: &&ProcId| self.entries.get(id).is_some_and(|entry| entry.machine.state() == ProcessState::Fatal);
        if let Some(entry) = trial.watched.iter().find(fatal).and_then(|id| self.entries.get(id)) {
            trial.failed = Some(format!("{} is {}", entry.name(), super::jobs::reached(now, entry)));
            trial.until = now;
        }
        self.trial = Some(Box::new(trial));
    }

    /// Has a program failed that an unconfirmed update has started?
    pub(super) fn weigh_trial(&mut self, id: ProcId, transition: &Transition) {
        let Some(trial) = self.trial.as_mut().filter(|trial| trial.watched.contains(&id)) else { return };
        let Some(entry) = self.entries.get(&id) else { return };
        if matches!(transition.to, ProcessState::Fatal | ProcessState::Unhealthy) && trial.failed.is_none() {
            trial.failed = Some(format!("{} is {}: {}", entry.name(), transition.to, transition.cause));
        }
    }

    /// Takes the update back if its time is over or it has failed.
    pub(super) fn review_trial(&mut self, now: Instant, world: &mut dyn World) {
        let Some(mut trial) = self.trial.take_if(|trial| trial.failed.is_some() || trial.until <= now) else { return };
        let reason = trial.failed.take().unwrap_or_else(|| "nobody has confirmed it in time".to_owned());
        log::warn!("the update is taken back: {reason}");
        self.taken_back = Some(reason.into_boxed_str());
        let Snapshot { config, up } = trial.before;
        let by = Asker::Daemon("by the way back from an update");
        let change = self.bring_about(now, config, &Manner::Back(up), &by, world);
        let kind = JobKind::Reload(change.plan.clone());
        // For the log, which is told what does not stop.
        self.wait_for(now, ReplyTo::Nobody, Terms::default(), kind, &change.removals(), world);
        self.stop_removed(now, &change, &by, world);
    }

    /// Somebody confirms the update.
    pub(super) fn confirm(&mut self, reply: &ReplyTo, world: &mut dyn World) {
        let answer = match (self.trial.take(), self.taken_back.take()) {
            (Some(_), _) => Answer::Done("The update is confirmed".to_owned()),
            (None, Some(reason)) => {
                Answer::failed(format!("Nothing to confirm: the update was taken back, because {reason}"))
            }
            (None, None) => Answer::failed("Nothing to confirm: no update waits for it"),
        };
        world.reply(reply, answer);
    }
}

/// Is it wanted up, and not through with its work?
fn is_wanted(entry: &Entry) -> bool {
    entry.machine.desired() == Desired::Up && !entry.is_settled_down()
}
