//! What a handler has to say: [`Step`].

use crate::api::{Answer, Request, WallClock};
use crate::codec::http::{Response, StreamHead};
use crate::control::feed::Item;

/// What a handler may know beside the request.
#[derive(Debug, Clone, Copy)]
pub(in crate::control) struct Context {
    /// The present time.
    pub clock: WallClock,
    /// The client is a browser: errors are text.
    pub is_browser: bool,
}

/// What is done next about a request.
pub(in crate::control) enum Step {
    /// It is answered.
    Respond(Response),
    /// The dispatcher is asked, and its answer leads to the next step.
    Ask(Request, Next),
    /// The dispatcher is asked for something that is answered bit by bit, and each bit is sent on.
    Stream(Request, Stream),
    /// Something that may take a while is done on a thread of its own, and leads to the next step.
    Work(Work),
}

/// What a thread of its own does, and what comes next then.
pub(in crate::control) type Work = Box<dyn FnOnce() -> Step + Send>;

/// What becomes of an answer of the dispatcher. The context is that of its time.
pub(in crate::control) type Next = Box<dyn FnOnce(Answer, Context) -> Step + Send>;

/// From a bit of an answer, and whether more follow, to what the client gets.
pub(in crate::control) type Encode = Box<dyn FnMut(&Item, bool) -> Vec<u8> + Send>;

/// An answer that comes bit by bit.
pub(in crate::control) struct Stream {
    /// What stands before the first bit.
    pub head: StreamHead,
    /// Each bit as the client gets it. Nothing at all is a bit that it does not get.
    pub encode: Encode,
    /// It ends only when the client goes: one that has closed its half has gone.
    pub is_endless: bool,
    /// What is sent from time to time where there is nothing to be sent.
    pub keep_alive: Option<&'static [u8]>,
    /// What becomes of it where the dispatcher has refused it.
    pub refused: Next,
}

impl Step {
    /// Asks, and goes on with the answer.
    pub(super) fn ask(request: Request, next: impl FnOnce(Answer, Context) -> Step + Send + 'static) -> Step {
        Step::Ask(request, Box::new(next))
    }
}
