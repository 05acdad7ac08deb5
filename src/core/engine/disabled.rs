//! `disable` and `enable`: whether the daemon itself starts a program. One that is disabled is not started with the daemon, by
//! what depends on it, by its schedule or by an update; a client can start it all the same, and it is supervised as
//! ever then. An instance of a template that stands in no file is there with every daemon as long as it is enabled.

use super::ledger::ReplyToken;
use super::reload::{InstanceChange, Purpose};
use super::scale::MAX_ADDED;
use super::{Engine, Entry};
use crate::api::{Persistence, ProcId, Reply};
use crate::core::effect::StateFile;
use crate::process::{Cause, Initiator};

/// Where so many are disabled, those are forgotten that are in no file any more.
const MAX_DISABLED: usize = 10_000;

impl Engine {
    /// Somebody wants the daemon itself to start a program, or not to do so. An instance of a template is made for it.
    pub(super) fn enable_or_disable(&mut self, token: ReplyToken, name: &str, enabled: bool, by: Initiator) {
        if enabled && self.is_to_be_made(name) {
            let purpose = Purpose::Make { names: vec![name.to_owned()], wanted: InstanceChange::Enable };
            return self.load_configuration(Some(token), purpose, by);
        }
        self.set_enabled(token, name, enabled, by);
    }

    /// The daemon itself starts a program no more, or does so again.
    pub(super) fn set_enabled(&mut self, token: ReplyToken, name: &str, enabled: bool, by: Initiator) {
        let found = self.registry.find_or_refuse(name);
        let was_enabled = match &found {
            Ok(id) => !self.is_disabled(*id),
            Err(_) => !self.stored.disabled.contains(name),
        };
        let id = match found {
            Ok(id) => Some(id),
            // It has left the file, and may come back one day.
            Err(_) if enabled && !was_enabled => None,
            Err(refusal) => return self.refuse(token, refusal),
        };
        // One that is about to leave the file may come back one day.
        let is_transient = id.is_some_and(|id| self.registry.get(id).is_some_and(Entry::is_transient));
        if was_enabled != enabled && !is_transient {
            self.keep_disabled(name, !enabled);
        }
        match enabled {
            true => self.commit.note_enabled(name),
            false => self.commit.note_stopped(name),
        }
        if let Some(id) = id.filter(|_| was_enabled != enabled) {
            self.note(id, Cause::EnabledSet { enabled, by });
            if let Some(entry) = self.registry.get_mut(id) {
                entry.disabled = !enabled;
            }
            match enabled {
                true => self.plan(id),
                false => self.unplan(id),
            }
            self.review_waiters(id);
        }
        let reply = Reply::EnabledSet { name: name.to_owned(), enabled, kept: None };
        if is_transient {
            // Nothing of it outlives it, nor the daemon.
            return self.reply(token, reply.kept(Persistence::Transient));
        }
        let is_made = self.additions.instances.iter().any(|instance| instance == name);
        if is_made {
            self.keep_instances(&[name.to_owned()], enabled);
        }
        let file = if is_made && enabled { StateFile::Instances } else { StateFile::Disabled };
        self.reply_when_kept(token, file, reply);
    }

    fn keep_disabled(&mut self, name: &str, disabled: bool) {
        if disabled && self.stored.disabled.len() >= MAX_DISABLED {
            let names = self.stored.disabled.iter().filter(|name| self.registry.find(name).is_some());
            self.stored.disabled = names.cloned().collect();
        }
        match disabled {
            true => self.stored.disabled.insert(name.to_owned()),
            false => self.stored.disabled.remove(name),
        };
        self.keep(StateFile::Disabled);
    }

    /// Whether it may be an instance of a template that is not there yet.
    fn is_to_be_made(&self, name: &str) -> bool {
        name.contains('@') && self.registry.find(name).is_none() && self.additions.instances.len() < MAX_ADDED
    }

    /// The daemon itself does not start this one.
    pub(super) fn is_disabled(&self, id: ProcId) -> bool {
        self.registry.get(id).is_some_and(|entry| entry.disabled)
    }
}
