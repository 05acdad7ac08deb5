//! The ledger of requests: who owes which answer.
//!
//! An answer is owed for each request. After each turn, also one that panicked, every open request is owned by a
//! waiter, by the loader of the configuration, by a stream of events, or was delegated to the output thread: the
//! dispatcher compares its own list with this one, and answers what nobody owns with an internal error.

use serde::{Deserialize, Serialize};

use super::Engine;
use crate::api::{Answer, Refusal, Reply, RequestId};
use crate::core::effect::{Effect, OutputJob};
use crate::process::Initiator;
use crate::util::sorted::SortedMap;

/// The right to answer one request. It is used up by the answer, or handed to whoever owns the request from then on.
/// Not to be copied: a request is answered once.
#[derive(Debug)]
#[must_use = "a request that nobody answers leaves a client waiting"]
pub(super) struct ReplyToken {
    request: RequestId,
    /// Who is told, where he may not be told everything.
    limited: Option<Initiator>,
}

#[cfg(feature = "attach")]
impl ReplyToken {
    /// Which request it answers.
    pub(super) fn request(&self) -> RequestId {
        self.request
    }
}

/// Names a waiter for as long as the daemon lives.
pub(super) type WaiterId = u64;

/// Who owes the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Owner {
    /// A waiter, until its processes are where they are to be.
    Waiter(WaiterId),
    /// Held until it is known what an earlier daemon has left behind.
    Early,
    /// The loader, until the configuration was read.
    Loader,
    /// The thread that reads the settings of a program that is to be run.
    #[cfg(feature = "attach")]
    Run,
    /// A hook, until it has ended.
    Hook,
    /// A stream of events, until the client goes or the daemon ends.
    Follower,
}

/// Which requests are open, and who owes their answers. Delegated ones are the output thread's.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Ledger {
    open: SortedMap<RequestId, Owed>,
}

/// An answer that is owed.
#[derive(Debug, Serialize, Deserialize)]
struct Owed {
    by: Owner,
    /// Who is told, where he may not be told everything.
    to: Option<Initiator>,
}

impl Ledger {
    pub(super) fn owner(&self, request: RequestId) -> Option<Owner> {
        self.open.get(&request).map(|owed| owed.by)
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// Takes the request off the list; the right to answer it.
    pub(super) fn take(&mut self, request: RequestId) -> Option<ReplyToken> {
        self.open.remove(&request).map(|owed| ReplyToken { request, limited: owed.to })
    }
}

impl Engine {
    /// A request of this one has come in: the one right to answer it.
    pub(super) fn token(&self, request: RequestId, by: &Initiator) -> ReplyToken {
        ReplyToken { request, limited: self.is_limited(by).then(|| by.clone()) }
    }

    /// Whether somebody in the engine owes the answer to this request and will come to it: an entry here whose waiter
    /// or loader a panic has cost is as good as none.
    pub(crate) fn owns(&self, request: RequestId) -> bool {
        match self.ledger.owner(request) {
            Some(Owner::Waiter(waiter)) => self.waiters.answers(waiter, request),
            Some(Owner::Early) => self.early.iter().any(|early| early.request == request),
            Some(Owner::Loader) => self.reload.answers(request),
            #[cfg(feature = "attach")]
            Some(Owner::Run) => self.transients.answers(request),
            Some(Owner::Hook) => self.tasks.answers(request),
            // The stream is its own owner: nothing else in the engine knows of it.
            Some(Owner::Follower) => true,
            None => false,
        }
    }

    /// Takes a request off the list that nobody would have come to.
    pub(crate) fn give_up(&mut self, request: RequestId) {
        let _ = self.ledger.take(request);
    }

    /// How many answers the engine owes.
    pub(crate) fn owed(&self) -> usize {
        self.ledger.len()
    }

    /// Answers a request.
    pub(super) fn answer(&mut self, token: ReplyToken, mut answer: Answer) {
        if let Some(reader) = &token.limited {
            self.visibility(reader).redact_answer(&mut answer);
        }
        self.effects.push_back(Effect::Reply { request: token.request, answer: Box::new(answer) });
    }

    /// Answers a request with what it came to.
    pub(super) fn reply(&mut self, token: ReplyToken, reply: Reply) {
        self.answer(token, Ok(reply));
    }

    /// Answers a request with why it came to nothing.
    pub(super) fn refuse(&mut self, token: ReplyToken, refusal: Refusal) {
        self.answer(token, Err(refusal));
    }

    /// Has the output thread answer the request.
    pub(super) fn delegate(&mut self, token: ReplyToken, job: OutputJob) {
        self.effects.push_back(Effect::Delegate { request: token.request, job: Box::new(job) });
    }

    /// Files who owes the answer from now on.
    pub(super) fn owe(&mut self, token: ReplyToken, owner: Owner) -> RequestId {
        let ReplyToken { request, limited } = token;
        self.ledger.open.insert(request, Owed { by: owner, to: limited });
        request
    }
}
