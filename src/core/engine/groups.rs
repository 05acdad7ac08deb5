//! Groups that are taken into force and out of it one by one, as supervisord's clients do it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::apply::ApplyMode;
use super::ledger::ReplyToken;
use super::{Engine, Entry};
use crate::api::{Changes, ConfigRow, Refusal, ReloadFailure, Reply};
use crate::config::{Configuration, dependency_circle};
use crate::models::ProgramConfig;
use crate::process::{Initiator, ProcessState};

/// The groups in which two configurations differ, each list in the order of the configuration that has them.
pub(super) fn changes(old: &Configuration, new: &Configuration) -> Changes {
    let (before, after) = (Groups::of(old), Groups::of(new));
    let mut changes = Changes::default();
    for (name, members) in &after.groups {
        match before.members(name) {
            None => changes.added.push((*name).to_owned()),
            Some(former) if former != members => changes.changed.push((*name).to_owned()),
            Some(_) => {}
        }
    }
    let names = before.groups.iter().map(|(name, _)| *name);
    changes.removed = names.filter(|name| after.members(name).is_none()).map(str::to_owned).collect();
    changes
}

/// All groups in their order, each with its members.
#[derive(Default)]
struct Groups<'c> {
    groups: Vec<(&'c str, Vec<&'c Arc<ProgramConfig>>)>,
    numbers: HashMap<&'c str, usize>,
}

impl<'c> Groups<'c> {
    fn of(config: &'c Configuration) -> Groups<'c> {
        let mut all = Groups::default();
        for program in &config.programs {
            let name = program.group_name();
            let number = *all.numbers.entry(name).or_insert(all.groups.len());
            match all.groups.get_mut(number) {
                Some((_, members)) => members.push(program),
                None => all.groups.push((name, vec![program])),
            }
        }
        all
    }

    fn members(&self, name: &str) -> Option<&[&'c Arc<ProgramConfig>]> {
        self.groups.get(*self.numbers.get(name)?).map(|(_, members)| members.as_slice())
    }
}

/// What is in force is put together of several readings of the file, and can't be taken if it runs in circles.
pub(super) fn circle_in(new: &Configuration) -> Option<ReloadFailure> {
    let circle = dependency_circle(&new.programs)?;
    let path: Vec<&str> = circle.iter().chain(circle.first()).copied().collect();
    let text = format!(
        "with what is in force, each waits for the next: {}; take the others as they are in the file first, or all at once \
         (supervicectl update)",
        path.join(" -> ")
    );
    Some(ReloadFailure::Config(text.into()))
}

fn members<'c>(config: &'c Configuration, group: &'c str) -> impl Iterator<Item = &'c Arc<ProgramConfig>> {
    config.programs.iter().filter(move |program| program.group_name() == group)
}

impl Engine {
    /// The programs of the configuration that was read last.
    pub(super) fn configuration(&self, by: &Initiator) -> Vec<ConfigRow> {
        let present = self.registry.present().map(|(_, entry)| entry.config().group_name());
        let present: HashSet<&str> = present.collect();
        let programs = self.kept_configuration().programs.into_iter();
        let programs = programs.filter(|program| self.may_read_of(by, program));
        let row = |program: Arc<ProgramConfig>| {
            let in_use = present.contains(program.group_name());
            ConfigRow { program, in_use }
        };
        programs.map(row).collect()
    }

    /// Takes a group into force from the configuration that was read last.
    pub(super) fn add_group(&mut self, token: ReplyToken, name: &str, by: Initiator) {
        if let Some(refusal) = self.no_change_now() {
            return self.refuse(token, refusal);
        }
        let kept = self.kept_configuration();
        let is_known = members(&kept, name).next().is_some();
        match self.registry.members_or_refuse(name) {
            Err(refusal) if !is_known => return self.refuse(token, refusal),
            Ok(_) if is_known => return self.refuse(token, Refusal::GroupThere { name: name.to_owned() }),
            // It is in force, and no longer in what was read.
            Ok(_) => return self.refuse(token, Refusal::NoSuchGroup { name: name.to_owned(), nearest: None }),
            Err(_) => {}
        }
        let mut new = self.effective();
        // Where it stands in what was read: groups are stopped in the order of their places.
        let behind = kept.programs.iter().skip_while(|program| program.group_name() != name);
        let behind: HashSet<&str> = behind.map(|program| program.group_name()).collect();
        let place = new.programs.iter().position(|program| behind.contains(program.group_name()));
        let place = place.unwrap_or(new.programs.len());
        new.programs.splice(place..place, members(&kept, name).cloned());
        #[cfg(feature = "attach")]
        if let Some(why) = self.taken_by_transient(&new) {
            return self.refuse(token, Refusal::ReloadFailed(why));
        }
        if let Some(why) = circle_in(&new) {
            return self.refuse(token, Refusal::ReloadFailed(why));
        }
        self.apply_config(new, &ApplyMode::Reload, &by);
        self.reply(token, Reply::GroupAdded { name: name.to_owned() });
    }

    /// Takes a group out of force, if nothing of it runs or is to run.
    pub(super) fn remove_group(&mut self, token: ReplyToken, name: &str, by: Initiator) {
        if let Some(refusal) = self.no_change_now() {
            return self.refuse(token, refusal);
        }
        let ids = match self.registry.members_or_refuse(name) {
            Ok(ids) => ids,
            Err(refusal) => return self.refuse(token, refusal),
        };
        // What somebody runs by hand is not in the configuration, and goes by itself.
        if !ids.iter().any(|id| self.registry.get(*id).is_some_and(|entry| entry.is_configured())) {
            return self.refuse(token, Refusal::NoSuchGroup { name: name.to_owned(), nearest: None });
        }
        // FATAL is down also where it is tried again after a while (`fatal_retry`): to their clients it is a state of
        // what is stopped.
        let has_given_up = |entry: &Entry| entry.machine.state() == ProcessState::Fatal && !entry.machine.is_engaged();
        let is_down = |id| self.registry.get(id).is_some_and(|entry| entry.is_settled_down() || has_given_up(entry));
        if !ids.into_iter().all(is_down) {
            return self.refuse(token, Refusal::GroupRunning { name: name.to_owned() });
        }
        let mut new = self.effective();
        // It stays in what was read: somebody may add it again.
        self.keep_effective();
        new.programs.retain(|program| program.group_name() != name);
        let change = self.apply_config(new, &ApplyMode::Reload, &by);
        self.stop_removed(&change, &by);
        self.reply(token, Reply::GroupRemoved { name: name.to_owned() });
    }

    /// The daemon ends, or what it was before is kept to go back to.
    fn no_change_now(&self) -> Option<Refusal> {
        if self.is_ending() {
            return Some(Refusal::ShuttingDown);
        }
        let until = self.commit.pending_until()?;
        let seconds = until.saturating_duration_since(self.now).as_secs();
        Some(Refusal::ReloadFailed(ReloadFailure::PendingCommit { seconds }))
    }
}
