//! Who waits for an answer, and who follows events.

use std::sync::Arc;

use crossbeam_channel::Sender;

use crate::api::{Announcement, Answer, EventKinds, HistoryRow, PublicEvent, Reader, Refusal, RequestId};
use crate::control::announcements::Follower;
use crate::control::server::{ConnId, ServerHandle};
use crate::events::{Event, EventBus};
use crate::util::quick_hash::QuickMap;

/// Where an answer goes.
#[derive(Debug, Clone)]
pub(in crate::core) enum ReplyTo {
    /// A connection of a control socket.
    Connection(ConnId),
    /// A thread of this program (see [`crate::process::Process`]); its channel has room for the one answer.
    Thread(Sender<Answer>),
    /// Nobody waits.
    Nobody,
}

/// The one answer that the output thread owes. Dropped without one, it answers that there was an internal error.
pub(super) struct Responder {
    to: Option<ReplyTo>,
    server: ServerHandle,
}

impl Responder {
    pub(super) fn connection(&self) -> Option<ConnId> {
        match &self.to {
            Some(ReplyTo::Connection(conn)) => Some(*conn),
            Some(ReplyTo::Thread(_) | ReplyTo::Nobody) | None => None,
        }
    }

    /// Answers.
    pub(super) fn answer(mut self, answer: Answer) {
        if let Some(to) = self.to.take() {
            send(&self.server, &to, Box::new(answer));
        }
    }

    /// A stream of frames, which has an end of its own, is the answer.
    pub(super) fn stream(mut self) {
        self.to = None;
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        if let Some(to) = self.to.take() {
            send(&self.server, &to, Box::new(Err(Refusal::Internal)));
        }
    }
}

fn send(server: &ServerHandle, to: &ReplyTo, answer: Box<Answer>) {
    match to {
        ReplyTo::Connection(conn) => server.reply(*conn, answer),
        // Room for the one answer; a thread that has gone away does not want it.
        ReplyTo::Thread(reply) => drop(reply.try_send(*answer)),
        ReplyTo::Nobody => {}
    }
}

/// All requests without an answer. When it is dropped, those who follow are told that nothing follows.
pub(in crate::core) struct Replies {
    server: ServerHandle,
    open: QuickMap<RequestId, ReplyTo>,
    /// What those have asked by who are told of what happens.
    followers: Vec<RequestId>,
    next: u64,
}

impl Replies {
    pub(super) fn new(server: ServerHandle) -> Replies {
        Replies { server, open: QuickMap::default(), followers: Vec::new(), next: 0 }
    }

    /// Takes a request in.
    pub(in crate::core) fn register(&mut self, to: ReplyTo) -> RequestId {
        let id = RequestId(self.next);
        self.next += 1;
        self.open.insert(id, to);
        id
    }

    /// A client has gone: what it waited for.
    pub(in crate::core) fn forget(&mut self, gone: ConnId) -> Vec<RequestId> {
        let is_its = |to: &ReplyTo| matches!(to, ReplyTo::Connection(conn) if *conn == gone);
        let ids: Vec<RequestId> = self.open.iter().filter(|(_, to)| is_its(to)).map(|(id, _)| *id).collect();
        for id in &ids {
            self.open.remove(id);
        }
        ids
    }

    /// How many answers are owed.
    pub(in crate::core) fn owed(&self) -> usize {
        self.open.len()
    }

    /// Answers what nobody owns with an internal error; which requests these were.
    pub(in crate::core) fn answer_lost(&mut self, is_owned: impl Fn(RequestId) -> bool) -> Vec<RequestId> {
        let lost: Vec<RequestId> = self.open.keys().copied().filter(|id| !is_owned(*id)).collect();
        for id in &lost {
            log::error!("a request was lost: an internal error of supervice, please report it");
            self.answer(*id, Box::new(Err(Refusal::Internal)));
        }
        lost
    }

    pub(super) fn answer(&mut self, request: RequestId, answer: Box<Answer>) {
        if let Some(to) = self.open.remove(&request) {
            send(&self.server, &to, answer);
        }
    }

    /// The connection that waits for this answer.
    #[cfg(feature = "attach")]
    pub(super) fn connection(&self, request: RequestId) -> Option<ConnId> {
        match self.open.get(&request) {
            Some(ReplyTo::Connection(conn)) => Some(*conn),
            Some(ReplyTo::Thread(_) | ReplyTo::Nobody) | None => None,
        }
    }

    /// Somebody else answers from now on.
    pub(super) fn hand_over(&mut self, request: RequestId) -> Option<Responder> {
        let to = self.open.remove(&request)?;
        Some(Responder { to: Some(to), server: self.server.clone() })
    }

    pub(super) fn follow(
        &mut self,
        request: RequestId,
        kinds: EventKinds,
        past: Vec<HistoryRow>,
        reader: Option<Box<Reader>>,
    ) {
        let Some(ReplyTo::Connection(conn)) = self.open.get(&request) else { return };
        self.server.follow(Follower::new((request, *conn), kinds, past, reader));
        self.followers.push(request);
    }

    pub(super) fn unfollow(&mut self, request: RequestId) {
        let Some(place) = self.followers.iter().position(|other| *other == request) else { return };
        self.followers.remove(place);
        self.followers.shrink_to_fit();
        self.server.unfollow(request);
    }

    pub(super) fn notify_followers(&self, announcement: &Arc<Announcement>) {
        if !self.followers.is_empty() && announcement.event().is_some() {
            self.server.happened(announcement);
        }
    }
}

impl Replies {
    /// Nothing happens any more: those who follow are told so.
    pub(super) fn end(&mut self) {
        if !std::mem::take(&mut self.followers).is_empty() {
            self.server.end_news();
        }
    }
}

impl Drop for Replies {
    fn drop(&mut self) {
        self.end();
    }
}

/// Publishes what has happened on the bus, if anybody subscribes to it.
pub(super) fn publish(bus: &EventBus, announcement: &Announcement) {
    let Some(public) = announcement.event().filter(|public| bus.wants(public.event_type())) else { return };
    let event = Event::new(public.event_type());
    bus.publish(match public {
        PublicEvent::Transition { program, transition, at: _ } => event
            .with("processname", program.name.as_str())
            .with("groupname", program.group_name())
            .with("from_state", transition.from.as_str())
            .with("pid", transition.pid)
            .with("cause", transition.cause.to_string()),
        PublicEvent::Health { program, pid, message, .. } => event
            .with("processname", program.name.as_str())
            .with("groupname", program.group_name())
            .with("pid", pid)
            .with("message", &**message),
        PublicEvent::Readiness { program, pid, lost, .. } => {
            let event = event
                .with("processname", program.name.as_str())
                .with("groupname", program.group_name())
                .with("pid", pid);
            match lost {
                Some(message) => event.with("message", &**message),
                None => event,
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use crossbeam_channel::{Receiver, bounded};

    use super::*;
    use crate::api::Reply;
    use crate::control::server;

    /// Replies of a daemon without a control socket.
    fn replies() -> Replies {
        let (server, _io) = server::prepare(None, Default::default(), Arc::new(|_| ())).expect("descriptors");
        Replies::new(server)
    }

    fn asked(replies: &mut Replies) -> (RequestId, Receiver<Answer>) {
        let (sender, receiver) = bounded(1);
        (replies.register(ReplyTo::Thread(sender)), receiver)
    }

    #[test]
    fn what_nobody_owns_after_a_turn_is_answered_once_with_an_internal_error() {
        let mut replies = replies();
        let (lost, told) = asked(&mut replies);
        let (owned, waits) = asked(&mut replies);
        let nobody = replies.register(ReplyTo::Nobody);
        replies.answer_lost(|id| id == owned);
        assert_eq!(told.try_recv(), Ok(Err(Refusal::Internal)));
        assert_eq!((waits.try_recv().is_err(), replies.owed()), (true, 1), "the engine still owes this one");
        // What comes after all is nobody's.
        for id in [lost, nobody] {
            replies.answer(id, Box::new(Ok(Reply::Confirmed)));
        }
        assert!(told.try_recv().is_err());
        replies.answer(owned, Box::new(Ok(Reply::Confirmed)));
        assert_eq!((waits.try_recv(), replies.owed()), (Ok(Ok(Reply::Confirmed)), 0));
        replies.answer_lost(|_| false);
        assert!(told.try_recv().is_err() && waits.try_recv().is_err());
        replies.server.shutdown(std::time::Duration::from_secs(1));
    }

    #[test]
    fn a_responder_that_is_dropped_answers_all_the_same() {
        let mut replies = replies();
        let (id, told) = asked(&mut replies);
        let responder = replies.hand_over(id).expect("it is open");
        assert!(replies.hand_over(id).is_none() && replies.owed() == 0, "handed over once");
        drop(responder);
        assert_eq!(told.try_recv(), Ok(Err(Refusal::Internal)));
        replies.server.shutdown(std::time::Duration::from_secs(1));
    }
}
