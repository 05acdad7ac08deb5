//! Reload: the configuration is read by a thread of its own (a slow disk or name server delays
//! nobody), compared with what is in force, and applied as a whole or not at all.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::world::{Answer, ProcId, ReplyTo, World};
use super::Engine;
use super::asker::Asker;
use super::history::WallClock;
use super::jobs::JobKind;
use super::update::Manner;
use crate::config::{self, ConfigError, Loaded, ReloadPlan};
use crate::models::{ProgramConfig, SupervisorConfig};
use crate::process;
use crate::rpc::protocol::{Report, Terms};
use crate::rpc::server::ConnId;

/// What the file is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To tell what it would change.
    Reread,
    /// To apply it; what has changed takes its settings at its next start.
    Reload,
    /// To apply it and restart what has changed; with `confirm` only if somebody confirms it in this time.
    Update { confirm: Option<Duration> },
}

impl Purpose {
    /// What is said when the file is not to be used.
    fn failed(self, reason: &dyn std::fmt::Display) -> Answer {
        Answer::failed(match self {
            Purpose::Reread => format!("The configuration can not be used: {reason}"),
            Purpose::Reload => format!("Reload failed, nothing was changed: {reason}"),
            Purpose::Update { .. } => format!("Update failed, nothing was changed: {reason}"),
        })
    }
}

/// Somebody who has asked for the file to be read.
#[derive(Clone)]
pub(super) struct Wish {
    pub reply: ReplyTo,
    pub purpose: Purpose,
    pub by: Asker,
}

impl Wish {
    fn is_nobodys(&self) -> bool {
        matches!(self.reply, ReplyTo::Nobody)
    }
}

/// Who waits for the file that is being read, and who came too late for it.
#[derive(Default)]
pub(super) struct Reload {
    /// Set while the file is being read: whoever asked before that began.
    reading: Option<Vec<Wish>>,
    /// Asked since: the file may have changed, so it is read once more for these.
    next: Vec<Wish>,
}

impl Reload {
    /// How many wait.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.reading.as_ref().map_or(0, Vec::len) + self.next.len()
    }

    /// A client has gone: what it has asked for is done all the same.
    pub(super) fn forget(&mut self, conn: ConnId) {
        for wishes in self.reading.iter_mut().chain([&mut self.next]) {
            let its = |wish: &Wish| matches!(wish.reply, ReplyTo::Connection(to) if to == conn);
            let gone: Vec<Wish> = wishes.iter().filter(|wish| its(wish)).cloned().collect();
            wishes.retain(|wish| !its(wish));
            for wish in gone.into_iter().filter(|wish| wish.purpose != Purpose::Reread) {
                add(wishes, Wish { reply: ReplyTo::Nobody, ..wish });
            }
        }
    }
}

/// Wishes of nobody come faster than a file on a dead disk can be read: of each kind the last one is kept.
fn add(wishes: &mut Vec<Wish>, wish: Wish) {
    let same = |other: &Wish| {
        other.is_nobodys() && std::mem::discriminant(&other.purpose) == std::mem::discriminant(&wish.purpose)
    };
    if wish.is_nobodys() {
        wishes.retain(|other| !same(other));
    }
    wishes.push(wish);
}

impl Engine {
    /// At the end nobody waits for a file that may hang on a dead disk.
    pub(super) fn abandon_reload(&mut self, world: &mut dyn World) {
        let reading = self.reload.reading.as_mut().map(std::mem::take).unwrap_or_default();
        let next = std::mem::take(&mut self.reload.next);
        for wish in reading.iter().chain(&next) {
            world.reply(&wish.reply, wish.purpose.failed(&"the daemon is shutting down"));
        }
    }

    /// Has the file read for this purpose.
    pub(super) fn request_reload(&mut self, purpose: Purpose, reply: ReplyTo, by: Asker, world: &mut dyn World) {
        if self.refuse_when_ending(&reply, world) {
            return;
        }
        let wish = Wish { reply, purpose, by };
        if self.reload.reading.is_some() {
            add(&mut self.reload.next, wish);
        } else {
            self.reload.reading = Some(vec![wish]);
            world.load_config();
        }
    }

    /// The file was read.
    pub(super) fn config_loaded(&mut self, now: Instant, result: Result<Loaded, ConfigError>, world: &mut dyn World) {
        let wishes = self.reload.reading.take().unwrap_or_default();
        if !self.reload.next.is_empty() {
            self.reload.reading = Some(std::mem::take(&mut self.reload.next));
            world.load_config();
        }
        if self.is_ending() {
            return;
        }
        let (questions, wishes): (Vec<Wish>, Vec<Wish>) =
            wishes.into_iter().partition(|wish| wish.purpose == Purpose::Reread);
        match result {
            Err(error) => {
                if !wishes.is_empty() {
                    log::error!("reload failed, nothing was changed: {error}");
                }
                for wish in questions.iter().chain(&wishes) {
                    world.reply(&wish.reply, wish.purpose.failed(&error));
                }
            }
            Ok(loaded) => {
                if !questions.is_empty() {
                    let answer = Answer::report(Report::Reread(self.reread(&loaded)));
                    questions.iter().for_each(|wish| world.reply(&wish.reply, answer.clone()));
                }
                if !wishes.is_empty() {
                    loaded.warnings.iter().for_each(|warning| log::warn!("{warning}"));
                    self.apply(now, loaded.config, &wishes, world);
                }
            }
        }
    }

    fn apply(&mut self, now: Instant, new: SupervisorConfig, wishes: &[Wish], world: &mut dyn World) {
        if let Some(trial) = &self.trial {
            let left = trial.until.saturating_duration_since(now).as_secs();
            let reason =
                format!("the update before waits to be confirmed (supervicectl confirm), or is taken back in {left} s");
            log::warn!("reload failed, nothing was changed: {reason}");
            return wishes.iter().for_each(|wish| world.reply(&wish.reply, wish.purpose.failed(&reason)));
        }
        // Restarting as well is what both want where one asks for a reload and one for an update.
        let update = wishes.iter().find(|wish| matches!(wish.purpose, Purpose::Update { .. }));
        let confirm = wishes.iter().find_map(|wish| match wish.purpose {
            Purpose::Update { confirm } => confirm,
            Purpose::Reload | Purpose::Reread => None,
        });
        let by = update.or(wishes.first()).map_or(Asker::Daemon("by a reload"), |wish| wish.by.clone());
        let before = confirm.map(|_| self.snapshot());
        let how = if update.is_some() { Manner::Update } else { Manner::Reload };
        let change = self.bring_about(now, new, &how, &by, world);
        if let (Some(before), Some(confirm)) = (before, confirm)
            && !change.is_nothing()
        {
            self.begin_trial(now, before, confirm, &change);
        }
        let until = self.trial.as_ref().map(|trial| WallClock::new(now, &*world).stamp(trial.until));
        for wish in wishes {
            let (kind, goals) = match wish.purpose {
                Purpose::Update { .. } => (JobKind::Update(Box::new(change.told(until))), change.goals()),
                Purpose::Reload | Purpose::Reread => (JobKind::Reload(change.plan.clone()), change.removals()),
            };
            self.wait_for(now, wish.reply.clone(), Terms::default(), kind, &goals, world);
        }
        self.stop_removed(now, &change, &by, world);
    }

    pub(super) fn change(&mut self, now: Instant, id: ProcId, program: ProgramConfig, world: &mut dyn World) {
        let config = Arc::new(program);
        world.configure(id, &config);
        self.tell(now, id, process::Event::ConfigChanged(config), world);
    }

    /// Adds a program; one that has just been removed and is still stopping comes back.
    pub(super) fn bring_in(&mut self, now: Instant, program: ProgramConfig, world: &mut dyn World) -> ProcId {
        let Some(id) = self.roster.id_of(&program.name) else { return self.add(Arc::new(program), world) };
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.leaving = false;
        }
        self.change(now, id, program, world);
        id
    }

    pub(super) fn apply_settings(&mut self, plan: &ReloadPlan, new: &SupervisorConfig, world: &mut dyn World) {
        for config::ChangedSetting { key, .. } in plan.daemon_settings_changed.iter().filter(|setting| !setting.live) {
            log::warn!("[supervice] {key} has changed; it takes effect when the daemon is started anew");
        }
        if self.settings.loglevel != new.loglevel {
            world.set_log_level(&new.loglevel);
        }
        // Not `log_format`: the daemon's own lines stand between those of the programs.
        if self.settings.default_output != new.default_output || self.settings.log_prefix != new.log_prefix {
            self.settings.default_output = new.default_output;
            self.settings.log_prefix.clone_from(&new.log_prefix);
            world.set_output(&self.settings);
        }
        self.settings.loglevel.clone_from(&new.loglevel);
        self.settings.shutdown_timeout = new.shutdown_timeout;
        self.settings.exit_when_idle = new.exit_when_idle;
    }

    /// The configuration in force, put together again from the daemon's settings and the processes.
    pub(super) fn effective(&self) -> SupervisorConfig {
        let mut config = self.settings.clone();
        let present = self.entries.values().filter(|entry| !entry.leaving);
        config.programs = present.map(|entry| ProgramConfig::clone(entry.config())).collect();
        config
    }
}

pub(super) fn describe(plan: &ReloadPlan) -> String {
    let parts: Vec<String> = [("added", &plan.added), ("removed", &plan.removed), ("changed", &plan.changed)]
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(what, names)| format!("{what} {}", names.join(", ")))
        .collect();
    if parts.is_empty() { "reload: no changes".to_owned() } else { format!("reload: {}", parts.join("; ")) }
}
