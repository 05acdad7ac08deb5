//! A pool of event listeners: its events, and who of it has which.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::messages::ProgramId;
use super::protocol::{Protocol, Said, State};
use crate::models::{ListenerEvent, ListenerEvents};

/// After an event was rejected it is not sent again for so long: a listener that rejects all would take all the time.
const AFTER_REJECTION: Duration = Duration::from_secs(1);

/// Something that happened, as listeners are told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event {
    /// Counts the events that any pool has taken.
    pub(super) serial: u64,
    pub(super) kind: ListenerEvent,
    pub(super) payload: Arc<str>,
}

/// An event in a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Queued {
    event: Event,
    /// Counts the events of this pool.
    number: u64,
}

/// One listener.
#[derive(Debug)]
struct Member {
    id: ProgramId,
    /// It has lived for as long as it has to.
    is_running: bool,
    protocol: Protocol,
    /// What it was sent and has not answered.
    event: Option<Queued>,
}

/// What is to be done for a pool.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::output) enum Act {
    /// Write this to the standard input of a listener.
    Send(ProgramId, Vec<u8>),
    /// This event of a pool was dropped: there is no room for it.
    Discarded(String, u64),
    /// A listener has rejected this event.
    Rejected(ProgramId, u64),
    /// A listener has said this, and gets no more events.
    Lost(ProgramId, String),
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) name: String,
    pub(super) events: ListenerEvents,
    buffer_size: usize,
    members: Vec<Member>,
    waiting: VecDeque<Queued>,
    next_number: u64,
    /// What was rejected is sent again from then on.
    pub(super) paused_until: Option<Instant>,
}

impl Pool {
    pub(super) fn new(name: String) -> Pool {
        Pool {
            name,
            events: ListenerEvents::NONE,
            buffer_size: 1,
            members: Vec::new(),
            waiting: VecDeque::new(),
            next_number: 0,
            paused_until: None,
        }
    }

    /// A listener of it is there, or has new settings.
    pub(super) fn configure(&mut self, id: ProgramId, events: ListenerEvents, buffer_size: u32) {
        self.events = events;
        self.buffer_size = usize::try_from(buffer_size).unwrap_or(usize::MAX).max(1);
        if !self.has(id) {
            self.members.push(Member { id, is_running: false, protocol: Protocol::default(), event: None });
        }
    }

    pub(super) fn has(&self, id: ProgramId) -> bool {
        self.members.iter().any(|member| member.id == id)
    }

    /// A listener of it is no longer there; `true`: nor is any other.
    pub(super) fn remove(&mut self, id: ProgramId) -> bool {
        self.end_run(id);
        self.members.retain(|member| member.id != id);
        self.members.is_empty()
    }

    /// A listener has lived for as long as it has to, or does no more.
    pub(super) fn set_running(&mut self, id: ProgramId, is_running: bool) {
        if let Some(member) = self.members.iter_mut().find(|member| member.id == id) {
            member.is_running = is_running;
        }
    }

    /// The run of a listener has ended: what it has not answered another one gets.
    pub(super) fn end_run(&mut self, id: ProgramId) {
        let Some(member) = self.members.iter_mut().find(|member| member.id == id) else { return };
        (member.is_running, member.protocol) = (false, Protocol::default());
        if let Some(event) = member.event.take() {
            self.waiting.push_front(event);
        }
    }

    /// Something happened that it is to be told of.
    pub(super) fn offer(&mut self, event: Event) -> Option<Act> {
        let discarded = self.make_room();
        let number = self.next_number;
        self.next_number += 1;
        self.waiting.push_back(Queued { event, number });
        discarded
    }

    fn make_room(&mut self) -> Option<Act> {
        let oldest = (self.waiting.len() >= self.buffer_size).then(|| self.waiting.pop_front()).flatten()?;
        Some(Act::Discarded(self.name.clone(), oldest.event.serial))
    }

    /// A listener has written this.
    pub(super) fn handle_output(&mut self, now: Instant, id: ProgramId, bytes: &[u8]) -> Vec<Act> {
        let mut acts = Vec::new();
        let Some(member) = self.members.iter_mut().find(|member| member.id == id) else { return acts };
        let mut back = None;
        for said in member.protocol.handle_output(bytes) {
            match said {
                Said::Ready => {}
                Said::Accepted => member.event = None,
                Said::Rejected => {
                    back = member.event.take();
                    self.paused_until = now.checked_add(AFTER_REJECTION);
                    acts.extend(back.as_ref().map(|queued| Act::Rejected(id, queued.event.serial)));
                }
                Said::Nonsense(said) => {
                    back = back.or(member.event.take());
                    acts.push(Act::Lost(id, said));
                }
            }
        }
        if let Some(event) = back {
            acts.extend(self.make_room());
            self.waiting.push_front(event);
        }
        acts
    }

    /// Sends the oldest events to whoever takes them.
    pub(super) fn dispatch(&mut self, now: Instant, identifier: &str) -> Vec<Act> {
        let mut acts = Vec::new();
        if self.paused_until.is_some_and(|until| until > now) {
            return acts;
        }
        self.paused_until = None;
        while !self.waiting.is_empty() {
            let takes = |member: &&mut Member| member.is_running && member.protocol.state() == State::Ready;
            let Some(member) = self.members.iter_mut().find(takes) else { break };
            let Some(queued) = self.waiting.pop_front() else { break };
            acts.push(Act::Send(member.id, envelope(&queued, &self.name, identifier)));
            member.protocol.sent();
            member.event = Some(queued);
        }
        if self.waiting.is_empty() {
            self.waiting = VecDeque::new();
        }
        acts
    }
}

/// The event as it is written. Its length is told in characters: so supervisord counts, and listeners read text.
fn envelope(queued: &Queued, pool: &str, identifier: &str) -> Vec<u8> {
    let Queued { event: Event { serial, kind, payload }, number } = queued;
    let (name, length) = (kind.as_str(), payload.chars().count());
    format!(
        "ver:3.0 server:{identifier} serial:{serial} pool:{pool} poolserial:{number} eventname:{name} len:{length}\n{payload}"
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(size: u32, members: &[ProgramId]) -> Pool {
        let mut events = ListenerEvents::NONE;
        events.add("EVENT");
        let mut pool = Pool::new("p".to_owned());
        for id in members {
            pool.configure(*id, events, size);
            pool.set_running(*id, true);
        }
        pool
    }

    fn event(serial: u64) -> Event {
        Event { serial, kind: ListenerEvent::Tick5, payload: "when:5".into() }
    }

    /// Who was sent which event.
    fn sent(acts: Vec<Act>) -> Vec<(ProgramId, u64)> {
        let serial = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes).into_owned();
            text.split(' ').find_map(|word| word.strip_prefix("serial:")?.parse().ok()).expect("a serial")
        };
        let send = |act| match act {
            Act::Send(id, bytes) => (id, serial(&bytes)),
            other => panic!("{other:?}"),
        };
        acts.into_iter().map(send).collect()
    }

    #[test]
    fn the_first_that_is_ready_gets_the_oldest_event() {
        let now = Instant::now();
        let mut pool = pool(10, &[1, 2]);
        (0..3).for_each(|serial| assert_eq!(pool.offer(event(serial)), None));
        assert!(pool.dispatch(now, "s").is_empty(), "nobody is ready");
        assert!(pool.handle_output(now, 2, b"READY\n").is_empty());
        assert_eq!(sent(pool.dispatch(now, "s")), [(2, 0)]);
        assert!(pool.handle_output(now, 1, b"READY\n").is_empty());
        assert_eq!(sent(pool.dispatch(now, "s")), [(1, 1)]);
        // Its result and its next READY in one.
        assert!(pool.handle_output(now, 2, b"RESULT 2\nOKREADY\n").is_empty());
        assert_eq!(sent(pool.dispatch(now, "s")), [(2, 2)]);
        // One that ends gives its event back.
        pool.end_run(1);
        pool.set_running(1, true);
        assert!(pool.handle_output(now, 1, b"READY\n").is_empty());
        assert_eq!(sent(pool.dispatch(now, "s")), [(1, 1)]);
    }

    #[test]
    fn a_full_pool_drops_the_oldest_and_says_so() {
        let mut pool = pool(2, &[1]);
        let dropped = |serial| Act::Discarded("p".to_owned(), serial);
        let discarded: Vec<Option<Act>> = (0..4).map(|serial| pool.offer(event(serial))).collect();
        assert_eq!(discarded, [None, None, Some(dropped(0)), Some(dropped(1))]);
    }

    #[test]
    fn what_is_rejected_comes_again_after_a_while_and_nonsense_ends_a_listener() {
        let now = Instant::now();
        let mut pool = pool(10, &[1]);
        pool.offer(event(7));
        pool.handle_output(now, 1, b"READY\n");
        pool.dispatch(now, "s");
        assert_eq!(pool.handle_output(now, 1, b"RESULT 4\nFAILREADY\n"), [Act::Rejected(1, 7)]);
        assert!(pool.dispatch(now, "s").is_empty(), "not at once");
        let later = now + AFTER_REJECTION;
        assert_eq!(sent(pool.dispatch(later, "s")), [(1, 7)]);
        assert_eq!(pool.handle_output(later, 1, b"oops\n"), [Act::Lost(1, "oops".to_owned())]);
        assert!(pool.handle_output(later, 1, b"READY\n").is_empty());
        assert!(pool.dispatch(later, "s").is_empty());
        pool.end_run(1);
        pool.set_running(1, true);
        pool.handle_output(later, 1, b"READY\n");
        assert_eq!(sent(pool.dispatch(later, "s")), [(1, 7)], "its next run gets what it has not answered");
    }

    #[test]
    fn the_length_is_told_in_characters() {
        let event = Event { serial: 3, kind: ListenerEvent::Remote, payload: "type:ü\nä".into() };
        let text = String::from_utf8(envelope(&Queued { event, number: 0 }, "p", "s")).expect("UTF-8");
        assert_eq!(
            text,
            "ver:3.0 server:s serial:3 pool:p poolserial:0 eventname:REMOTE_COMMUNICATION len:8\ntype:ü\nä"
        );
    }
}
