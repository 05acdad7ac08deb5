//! How a new configuration is brought about.

use std::collections::HashMap;
use std::sync::Arc;

use super::goals::Goal;
use super::registry::in_order;
use super::waiters::ReloadSummary;
use super::{Engine, Entry};
use crate::api::{Act, Announcement, Changes, DaemonChanges, LogLevel, ProcId, ReloadChange, Updated};
use crate::config::{Configuration, ReloadPlan, diff_shared, differ_in_number_alone, needs_restart};
use crate::core::effect::Effect;
use crate::models::{ProgramConfig, ProgramType, SupervisorConfig};
use crate::process::{self, Desired, Initiator, Moment, ProcessState};
use crate::util::quick_hash::QuickState;
use crate::util::sort::sort;
use crate::util::sorted::SortedSet;

/// What is done to programs that were running before.
pub(super) enum ApplyMode {
    /// Those that have changed go on until their next start.
    Reload,
    /// Those that have changed are restarted.
    Update,
    /// As an update, but what was up before (and nothing else) is up afterwards.
    RollBack(SortedSet<String>),
    /// As a reload, and what is added is started, unless it is disabled.
    Scale,
    /// As a reload, and nothing is started.
    Add,
}

/// What was brought about.
#[derive(Default)]
pub(super) struct Change {
    plan: ReloadPlan,
    /// Still to be stopped; they leave when they have.
    removed: Vec<ProcId>,
    /// With those that need them.
    pub(super) restarted: Vec<ProcId>,
    restarted_names: Vec<String>,
    /// Added and started.
    pub(super) started: Vec<ProcId>,
    /// They have changed and run with settings of before, which only a restart, or their next run, replaces.
    outdated: Vec<String>,
}

impl Change {
    /// There is nothing to confirm, and nothing to go back from.
    pub(super) fn is_nothing(&self) -> bool {
        let ReloadPlan { added, removed, changed, daemon_settings_changed: settings } = &self.plan;
        let programs = [added, removed, changed, &self.restarted_names];
        programs.iter().all(|names| names.is_empty()) && !settings.iter().any(|setting| setting.live)
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

    fn changes(&self) -> Changes {
        let ReloadPlan { added, removed, changed, .. } = self.plan.clone();
        Changes { added, removed, changed }
    }

    /// As it is told to whoever asked for a reload.
    pub(super) fn summary(&self) -> ReloadSummary {
        let outdated = self.outdated.clone();
        ReloadSummary { changes: self.changes(), daemon: daemon_changes(&self.plan), outdated }
    }

    /// As it is told to whoever asked for an update.
    pub(super) fn updated(&self, confirm_until: Option<Moment>) -> Updated {
        let (changes, daemon) = (self.changes(), daemon_changes(&self.plan));
        let (restarted, from_next_run) = (self.restarted_names.clone(), self.outdated.clone());
        Updated { changes, restarted, from_next_run, confirm_until, daemon, saved: None }
    }
}

pub(super) fn daemon_changes(plan: &ReloadPlan) -> DaemonChanges {
    let keys = |live| {
        let settings = plan.daemon_settings_changed.iter().filter(move |setting| setting.live == live);
        settings.map(|setting| setting.key.to_owned()).collect()
    };
    DaemonChanges { live: keys(true), restart: keys(false) }
}

impl Engine {
    /// Applies a configuration. What is removed is still to be stopped: see [`stop_removed`](Self::stop_removed).
    pub(super) fn apply_config(&mut self, new: Configuration, mode: &ApplyMode, by: &Initiator) -> Change {
        let before = in_order(self.registry.configured()).into_iter().map(|(_, entry)| entry.config());
        let mut change = Change { plan: diff_shared(&self.settings, before, &new), ..Change::default() };
        let has_same_programs = change.plan.has_same_programs();
        let programs: HashMap<&str, &Arc<ProgramConfig>, QuickState> = match has_same_programs {
            true => HashMap::default(),
            false => new.programs.iter().map(|program| (program.name.as_str(), program)).collect(),
        };
        let program = |name: &str| programs.get(name).map(|program| Arc::clone(program));
        let untold = self.take_unannounced(&mut change.plan, mode, &program);
        self.announce(None, Announcement::Reload(ReloadChange::Applied(change.changes())));
        self.apply_settings(&change.plan, &new.settings);
        for name in &change.plan.removed {
            let Some(id) = self.registry.find(name) else { continue };
            if let Some(entry) = self.registry.get_mut(id) {
                entry.leaving = true;
            }
            self.unplan(id);
            change.removed.push(id);
        }
        for name in change.plan.changed.iter().chain(&untold) {
            if let (Some(id), Some(program)) = (self.registry.find(name), program(name)) {
                self.change(id, program);
            }
        }
        let mut added = Vec::new();
        // In the order of the configuration, which is that in which they are to start.
        for program in new.programs.iter().filter(|program| change.plan.added.binary_search(&program.name).is_ok()) {
            let start = match mode {
                ApplyMode::Reload | ApplyMode::Update => program.autostart,
                ApplyMode::RollBack(up) => up.contains(&program.name),
                ApplyMode::Scale => true,
                ApplyMode::Add => false,
            };
            let is_back = self.registry.id_of(&program.name).is_some();
            let id = self.add_or_return(Arc::clone(program));
            if !is_back {
                added.push(id);
            }
            let is_brought_back = matches!(mode, ApplyMode::RollBack(_));
            if start && (is_brought_back || !self.is_disabled(id)) {
                change.started.push(id);
            }
        }
        self.registry.take_places(&new.programs);
        if !has_same_programs {
            self.rebuild_graph();
        }
        for id in added {
            self.adopt_added(id);
        }
        self.renew_held();
        if matches!(mode, ApplyMode::Update | ApplyMode::RollBack(_)) {
            self.restart_changed(mode, by, &mut change);
            change.outdated = self.outdated(&change.plan.changed, is_left_to_its_schedule);
        } else {
            change.outdated = self.outdated(&change.plan.changed, |_| true);
        }
        self.start_in_order(&change.started, by);
        self.review_waiting();
        change
    }

    /// Takes out of the plan those whose settings differ in nothing that would be a change to anybody.
    fn take_unannounced(
        &self,
        plan: &mut ReloadPlan,
        mode: &ApplyMode,
        new: &dyn Fn(&str) -> Option<Arc<ProgramConfig>>,
    ) -> Vec<String> {
        let changed = std::mem::take(&mut plan.changed);
        let is_untold = |name: &String| match mode {
            // Who only names other instances of what is scaled has not changed.
            ApplyMode::Scale => true,
            ApplyMode::Reload | ApplyMode::Update | ApplyMode::RollBack(_) | ApplyMode::Add => {
                let before = self.registry.find(name).and_then(|id| self.registry.get(id)).map(Entry::config);
                before.zip(new(name)).is_some_and(|(before, after)| differ_in_number_alone(before, &after))
            }
        };
        let (untold, told) = changed.into_iter().partition(is_untold);
        plan.changed = told;
        untold
    }

    /// Those of these that run with other settings than they should, and go on.
    fn outdated(&self, changed: &[String], goes_on: impl Fn(&Entry) -> bool) -> Vec<String> {
        let is_outdated = |name: &&String| {
            let entry = self.registry.find(name).and_then(|id| self.registry.get(id)).filter(|entry| goes_on(entry));
            let run = |entry: &Entry| entry.machine.run_config().is_some_and(|run| needs_restart(run, entry.config()));
            entry.is_some_and(run)
        };
        changed.iter().filter(is_outdated).cloned().collect()
    }

    /// Restarts what runs with other settings than it should, and starts what waits or has given up with old ones.
    fn restart_changed(&mut self, mode: &ApplyMode, by: &Initiator, change: &mut Change) {
        let changed = &change.plan.changed;
        let stale = |entry: &Entry| match entry.machine.run_config() {
            // Mostly they are the same to the letter: that is told without a look at each key.
            Some(run) => !Arc::ptr_eq(run, entry.config()) && needs_restart(run, entry.config()),
            None => changed.binary_search_by(|name| name.as_str().cmp(entry.name())).is_ok(),
        };
        let wanted = |entry: &Entry| match mode {
            ApplyMode::RollBack(up) => up.contains(entry.name()),
            ApplyMode::Reload | ApplyMode::Update | ApplyMode::Scale | ApplyMode::Add => {
                is_wanted(entry) || (entry.machine.state() == ProcessState::Fatal && !entry.disabled)
            }
        };
        let chosen = self.registry.present_in_order().into_iter();
        // A run that has begun with settings that are taken back is not to go on with them.
        let takes_back = matches!(mode, ApplyMode::RollBack(_));
        let is_left = |entry: &Entry| !takes_back && is_left_to_its_schedule(entry);
        let chosen = chosen.filter(|(_, entry)| stale(entry) && wanted(entry) && !is_left(entry));
        let chosen: Vec<(ProcId, String, bool)> =
            chosen.map(|(id, entry)| (id, entry.name().to_owned(), entry.machine.is_engaged())).collect();
        let (running, down): (Vec<_>, Vec<_>) = chosen.iter().partition(|(_, _, has_run)| *has_run);
        let ids = |chosen: &[&(ProcId, String, bool)]| chosen.iter().map(|(id, ..)| *id).collect::<Vec<ProcId>>();
        let dependants = self.act_in_order(Act::Restart { force: false }, &ids(&running), by, false);
        self.start_in_order(&ids(&down), by);
        for (id, name, _) in chosen {
            change.restarted.push(id);
            change.restarted_names.push(name);
        }
        // One that has left the configuration is stopped with them, and does not come back.
        let stays = |id: &ProcId| self.registry.get(*id).is_some_and(|entry| !entry.leaving);
        let dependants: Vec<ProcId> = dependants.into_iter().filter(stays).collect();
        change.restarted_names.extend(self.names_of(&dependants));
        change.restarted.extend(dependants);
        sort(&mut change.restarted_names);
    }

    fn change(&mut self, id: ProcId, config: Arc<ProgramConfig>) {
        let before = self.registry.get(id).map(|entry| Arc::clone(entry.config()));
        self.effects.push_back(Effect::Configure { id, config: Arc::clone(&config) });
        let is_same = before.is_some_and(|before| before.schedule == config.schedule);
        self.handle_event(id, process::Event::ConfigChanged(config));
        if !is_same {
            self.plan(id);
        }
    }

    /// Adds a program, or takes one back that was removed and is still stopping.
    fn add_or_return(&mut self, program: Arc<ProgramConfig>) -> ProcId {
        let Some(id) = self.registry.id_of(&program.name) else {
            let id = self.add(program);
            self.plan(id);
            return id;
        };
        // While it was about to leave, it may have been enabled: that is asked of its name then.
        let disabled = self.stored.disabled.contains(&program.name);
        if let Some(entry) = self.registry.get_mut(id) {
            (entry.leaving, entry.disabled) = (false, disabled);
        }
        self.include_dependants(id);
        self.change(id, program);
        self.plan(id);
        id
    }

    fn apply_settings(&mut self, plan: &ReloadPlan, new: &SupervisorConfig) {
        for setting in plan.daemon_settings_changed.iter().filter(|setting| !setting.live) {
            let key = setting.key.to_owned();
            self.announce(None, Announcement::Reload(ReloadChange::NeedsDaemonRestart { key }));
        }
        // Where the file says the same as before, what somebody has set by hand stays.
        if self.settings.loglevel != new.loglevel
            && let Some(level) = LogLevel::from_name(&new.loglevel)
        {
            self.log_level = None;
            self.effects.push_back(Effect::SetLogLevel { level });
        }
        self.settings.loglevel.clone_from(&new.loglevel);
        let (maxbytes, backups) = (new.log_maxbytes, new.log_backups);
        if (self.settings.log_maxbytes, self.settings.log_backups) != (maxbytes, backups) {
            (self.settings.log_maxbytes, self.settings.log_backups) = (maxbytes, backups);
            self.effects.push_back(Effect::SetLogLimits { maxbytes, backups });
        }
        self.settings.shutdown_timeout = new.shutdown_timeout;
        self.settings.start_limit = new.start_limit;
        self.settings.exit_when_idle = new.exit_when_idle;
        // Also where they are the same: files of users may have changed, and what could not be opened may be free.
        if !(self.settings.http.is_empty() && new.http.is_empty()) {
            self.settings.http.clone_from(&new.http);
            self.effects.push_back(Effect::ChangeSockets { settings: self.share_settings() });
        }
        if self.settings.access != new.access {
            self.settings.access.clone_from(&new.access);
            // What somebody follows was begun by the rules before.
            self.effects.push_back(Effect::EndStreams);
        }
        // Not `log_format`: the daemon's own lines stand between those of the programs.
        let of_output = |settings: &SupervisorConfig| (settings.default_output, settings.strip_ansi);
        if of_output(&self.settings) != of_output(new) || self.settings.log_prefix != new.log_prefix {
            (self.settings.default_output, self.settings.strip_ansi) = of_output(new);
            self.settings.log_prefix.clone_from(&new.log_prefix);
            self.effects.push_back(Effect::SetOutput { settings: self.share_settings() });
        }
        if plan.daemon_settings_changed.iter().any(|setting| setting.live) {
            self.show_settings();
        }
    }

    /// Stops what has left the configuration. Whoever waits for that is to be filed before.
    pub(super) fn stop_removed(&mut self, change: &Change, by: &Initiator) {
        self.act_in_order(Act::Stop, &change.removed, by, true);
    }
}

/// Is it a job that the clock starts, before and after the change? Its run ends with the settings that it has begun with, and
/// what has failed waits for its time: the new settings are those of the next run.
fn is_left_to_its_schedule(entry: &Entry) -> bool {
    let is_job =
        |config: &ProgramConfig| config.program_type == ProgramType::Oneshot && !config.schedule.times.is_empty();
    let has_begun =
        entry.machine.is_engaged() || matches!(entry.machine.state(), ProcessState::Fatal | ProcessState::Backoff);
    has_begun && is_job(entry.config()) && entry.machine.run_config().is_none_or(|run| is_job(run))
}

/// Is it wanted up, and not through with its work?
pub(super) fn is_wanted(entry: &Entry) -> bool {
    entry.machine.desired() == Desired::Up && !entry.is_settled_down()
}
