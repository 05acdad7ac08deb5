//! Clients that follow what happens. Nothing is made for an event that nobody listens to; a listener that does not
//! keep up loses the oldest and is told how many.

use std::time::Instant;

use super::super::world::{Answer, ProcId, ReplyTo, World};
use super::Engine;
use super::history::WallClock;
use crate::events::EventType;
use crate::process::{ProcessState, Transition};
use crate::rpc::protocol::{ErrorCode, EventItem, EventSelection, HistoryItem};
use crate::rpc::server::ConnId;
use crate::util::did_you_mean::closest;

/// A set of event types, one bit each, in the order of [`EventType::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kinds(u16);

impl Kinds {
    fn has(self, kind: EventType) -> bool {
        EventType::ALL.iter().position(|known| *known == kind).is_some_and(|bit| self.0 & 1 << bit != 0)
    }

    /// All types with one of these names, whole or a part of it between underscores.
    fn select(selection: &EventSelection) -> Result<Kinds, String> {
        if selection.0.is_empty() {
            return Ok(Kinds(u16::MAX));
        }
        let mut bits = 0;
        for word in &selection.0 {
            let wanted = word.trim().to_ascii_uppercase();
            let fits = |kind: &EventType| {
                let name = kind.as_str();
                name == wanted || name.ends_with(&format!("_{wanted}")) || name.starts_with(&format!("{wanted}_"))
            };
            let found: u16 = EventType::ALL.iter().enumerate().map(|(bit, kind)| u16::from(fits(kind)) << bit).sum();
            if found == 0 {
                let hint = match closest(&wanted, EventType::ALL.iter().map(|kind| kind.as_str())) {
                    Some(name) => format!("did you mean {name}?"),
                    None => "use RUNNING, FATAL, HEALTHCHECK and the like".to_owned(),
                };
                return Err(format!("events: there is no event type '{word}'; {hint}"));
            }
            bits |= found;
        }
        Ok(Kinds(bits))
    }
}

/// Who listens. Bounded by the connections.
#[derive(Default)]
pub(super) struct Listeners(Vec<(ConnId, Kinds)>);

impl Listeners {
    fn wants(&self, kind: EventType) -> bool {
        self.0.iter().any(|(_, kinds)| kinds.has(kind))
    }
}

impl Engine {
    /// A client wants to know what happens from now on.
    pub(super) fn listen(
        &mut self,
        now: Instant,
        selection: &EventSelection,
        history: usize,
        reply: &ReplyTo,
        world: &mut dyn World,
    ) {
        let ReplyTo::Connection(conn) = *reply else { return };
        let kinds = match Kinds::select(selection) {
            Ok(kinds) => kinds,
            Err(message) => {
                return world.reply(reply, Answer::Failed { code: ErrorCode::InvalidRequest, message });
            }
        };
        let past = if history > 0 { self.past_events(now, kinds, world) } else { Vec::new() };
        let skip = past.len().saturating_sub(history);
        world.listen(conn, past.iter().skip(skip).map(text_of).collect());
        self.listeners.0.push((conn, kinds));
    }

    /// The transitions that are remembered, oldest first, as the events that they were.
    fn past_events(&self, now: Instant, kinds: Kinds, world: &dyn World) -> Vec<EventItem> {
        let past = self.whole_past(WallClock::new(now, world)).into_iter();
        let transitions = past.filter(|item| item.from_state != item.to_state);
        let events = transitions.filter_map(|item| self.as_event(item));
        events.filter(|(kind, _)| kinds.has(*kind)).map(|(_, event)| event).collect()
    }

    /// A client has gone.
    pub(super) fn forget_listener(&mut self, conn: ConnId, world: &mut dyn World) {
        let before = self.listeners.0.len();
        self.listeners.0.retain(|(listener, _)| *listener != conn);
        if self.listeners.0.len() < before {
            self.listeners.0.shrink_to_fit();
            world.forget_listener(conn);
        }
    }

    /// Tells the listeners of a transition.
    pub(super) fn tell_transition(&self, now: Instant, id: ProcId, transition: &Transition, world: &mut dyn World) {
        let kind = EventType::of_state(transition.to);
        if !self.listeners.wants(kind) {
            return;
        }
        let event = EventItem {
            from_state: Some(transition.from.as_str().to_owned()),
            to_state: Some(transition.to.as_str().to_owned()),
            pid: transition.pid,
            cause: Some(transition.cause.clone()),
            ..EventItem::default()
        };
        self.tell_listeners(now, id, kind, event, world);
    }

    /// Tells the listeners what a health check has found.
    pub(super) fn tell_health(&self, now: Instant, id: ProcId, kind: EventType, message: &str, world: &mut dyn World) {
        if !self.listeners.wants(kind) {
            return;
        }
        let pid = self.entries.get(&id).and_then(|entry| entry.machine.pid());
        let event = EventItem { pid, message: Some(message.to_owned()), ..EventItem::default() };
        self.tell_listeners(now, id, kind, event, world);
    }

    fn tell_listeners(&self, now: Instant, id: ProcId, kind: EventType, mut event: EventItem, world: &mut dyn World) {
        let Some(entry) = self.entries.get(&id) else { return };
        event.event_type = kind.as_str().to_owned();
        event.time = WallClock::new(now, &*world).stamp(now);
        event.processname = entry.name().to_owned();
        event.groupname = entry.config().group_name().to_owned();
        let text = text_of(&event);
        for (conn, _) in self.listeners.0.iter().filter(|(_, kinds)| kinds.has(kind)) {
            world.tell_listener(*conn, &text);
        }
    }

    /// A transition of the past as the event that it was.
    fn as_event(&self, item: HistoryItem) -> Option<(EventType, EventItem)> {
        let entry = self.find(&item.name).and_then(|id| self.entries.get(&id))?;
        let state = ProcessState::ALL.into_iter().find(|state| state.as_str() == item.to_state)?;
        let kind = EventType::of_state(state);
        let event = EventItem {
            event_type: kind.as_str().to_owned(),
            time: item.time,
            groupname: entry.config().group_name().to_owned(),
            processname: item.name,
            from_state: Some(item.from_state),
            to_state: Some(item.to_state),
            pid: item.pid,
            cause: Some(item.cause),
            message: None,
        };
        Some((kind, event))
    }
}

/// Strings and numbers always serialize.
fn text_of(event: &EventItem) -> String {
    serde_json::to_string(event).unwrap_or_default()
}
