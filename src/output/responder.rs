//! An answer that is owed.

use std::fmt;

/// The request was dropped without an answer: a thread has panicked or ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InternalError;

impl fmt::Display for InternalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("internal error of supervice: the request was dropped without an answer; please report it")
    }
}

impl std::error::Error for InternalError {}

/// Takes what a request came to, once.
type Deliver<T> = Box<dyn FnOnce(Result<T, InternalError>) + Send>;

/// The duty to answer one request. Whoever holds it answers with [`respond`](Self::respond); if it is dropped before,
/// on whatever path, the asker is told [`InternalError`].
pub struct Responder<T>(Option<Deliver<T>>);

impl<T> Responder<T> {
    /// `deliver` is called exactly once, on the thread that answers or drops, so it must neither wait nor panic.
    pub fn new(deliver: impl FnOnce(Result<T, InternalError>) + Send + 'static) -> Responder<T> {
        Responder(Some(Box::new(deliver)))
    }

    /// Answers.
    pub fn respond(mut self, answer: T) {
        if let Some(deliver) = self.0.take() {
            deliver(Ok(answer));
        }
    }
}

impl<T> fmt::Debug for Responder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Responder")
    }
}

impl<T> Drop for Responder<T> {
    fn drop(&mut self) {
        if let Some(deliver) = self.0.take() {
            deliver(Err(InternalError));
        }
    }
}

#[cfg(test)]
mod tests {
    use crossbeam_channel::unbounded;

    use super::*;

    #[test]
    fn each_responder_answers_exactly_once_even_if_a_panic_drops_it() {
        let (sender, answers) = unbounded();
        let responder = || {
            let sender = sender.clone();
            Responder::new(move |answer: Result<u8, InternalError>| sender.send(answer).expect("a channel"))
        };
        responder().respond(7);
        assert_eq!(answers.try_iter().collect::<Vec<_>>(), [Ok(7)]);
        drop(responder());
        assert_eq!(answers.try_iter().collect::<Vec<_>>(), [Err(InternalError)]);
        let held = responder();
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _held = held;
            std::panic::resume_unwind(Box::new(()));
        }));
        assert!(panicked.is_err());
        assert_eq!(answers.try_iter().collect::<Vec<_>>(), [Err(InternalError)]);
    }
}
