//! One announcement, many subscribers. What happens is announced once, typed, and queued; at the end of the turn it is
//! handed in order to the engine's own subscribers, and then, as one effect, to those outside. All see the n-th before
//! anybody sees the next one.

use std::sync::Arc;

use super::Engine;
use crate::api::{Announcement, ProcId};
use crate::core::effect::Effect;
use crate::process::Transition;

/// The engine's own subscribers. A new consumer of what happens is one line here.
const SUBSCRIBERS: [fn(&mut Engine, Option<ProcId>, &Announcement); 10] = [
    Engine::remember,
    Engine::record_start,
    Engine::settle_reached_goals,
    Engine::watch_exits,
    Engine::watch_commit,
    Engine::notify_state,
    Engine::act_on_fatal,
    Engine::watch_lifetime,
    Engine::watch_silence,
    Engine::count,
];

/// So many announcements are overtaken at most: they are looked through for each effect, and the log has the time at
/// which a line is made.
const MAX_OVERTAKEN: usize = 8;

impl Engine {
    /// Something has happened; to which process, where it happened to one.
    pub(super) fn announce(&mut self, id: Option<ProcId>, announcement: Announcement) {
        self.announcements.push_back((id, Arc::new(announcement)));
    }

    /// A process has changed its state.
    pub(super) fn announce_transition(&mut self, id: ProcId, transition: Transition) {
        let Some(entry) = self.registry.get_mut(id) else { return };
        entry.since = Some(self.now);
        let program = Arc::clone(entry.config());
        self.announce(Some(id), Announcement::Transition { program, at: self.now, transition });
        self.deliver_announcements();
    }

    /// Hands over what has been announced, the oldest first.
    pub(super) fn deliver_announcements(&mut self) {
        while let Some((id, announcement)) = self.announcements.pop_front() {
            for subscriber in SUBSCRIBERS {
                subscriber(self, id, &announcement);
            }
            self.effects.push_back(Effect::Announce(announcement));
        }
    }

    /// Has this done before those outside are told what has led to it: the next program of a stop is signalled before
    /// lines are made of the end of the last one.
    pub(super) fn do_before_telling(&mut self, effect: Effect) {
        let is_told = |effect: &&Effect| matches!(effect, Effect::Announce(_));
        let told = self.effects.iter().rev().take(MAX_OVERTAKEN).take_while(is_told).count();
        self.effects.insert(self.effects.len() - told, effect);
    }
}
