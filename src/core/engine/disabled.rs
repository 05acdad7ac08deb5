//! `disable` and `enable`: whether the daemon itself starts a program. One that is disabled is not started with the daemon, by
//! what depends on it, by its schedule or by an update; a client can start it all the same, and it is supervised as ever then.

use super::Engine;
use super::ledger::ReplyToken;
use crate::api::{ProcId, Reply};
use crate::core::effect::KeptFile;
use crate::process::{Cause, Initiator};

/// Where so many are disabled, those are forgotten that are in no file any more.
const MOST_DISABLED: usize = 10_000;

impl Engine {
    /// The daemon itself starts a program no more, or does so again.
    pub(super) fn set_enabled(&mut self, token: ReplyToken, name: &str, enabled: bool, by: Initiator) {
        let found = self.registry.find_or_refuse(name);
        let was_enabled = !self.kept.disabled.contains(name);
        let id = match found {
            Ok(id) => Some(id),
            // It has left the file, and may come back one day.
            Err(_) if enabled && !was_enabled => None,
            Err(refusal) => return self.refuse(token, refusal),
        };
        if !enabled && self.kept.disabled.len() >= MOST_DISABLED {
            let names = self.kept.disabled.iter().filter(|name| self.registry.find(name).is_some());
            self.kept.disabled = names.cloned().collect();
        }
        if was_enabled != enabled {
            match enabled {
                true => self.kept.disabled.remove(name),
                false => self.kept.disabled.insert(name.to_owned()),
            };
            self.keep(KeptFile::Disabled);
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
        self.reply_when_kept(token, KeptFile::Disabled, reply);
    }

    /// The daemon itself does not start this one.
    pub(super) fn is_disabled(&self, id: ProcId) -> bool {
        self.registry.get(id).is_some_and(|entry| entry.disabled)
    }
}
