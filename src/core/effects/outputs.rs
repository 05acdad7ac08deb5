//! Answers that the output thread gives: newest output, emptied logs, last words.

use std::sync::Arc;

use super::super::effect::OutputJob;
use super::Effects;
use crate::api::{self, Refusal, Reply, RequestId};
use crate::control::output_feed::{Feed, Source};
use crate::control::server::{ConnId, ServerHandle};
use crate::output::{self, Follower, InternalError};
use crate::sys;

/// The end of a program's output that `why` shows: lines, and bytes to look for them.
const LAST_LINES: usize = 5;
const LAST_WORDS: usize = 4096;

impl Effects {
    /// Has the output thread answer. The request leaves our list: the debt goes with its [`Responder`](super::replies::Responder).
    pub(super) fn delegate(&mut self, request: RequestId, job: OutputJob) {
        let Some(responder) = self.replies.hand_over(request) else { return };
        match job {
            OutputJob::Tail { id, stream, amount, follow } => {
                let Some(conn) = responder.connection() else { return responder.answer(Err(Refusal::Internal)) };
                let client = Client { server: self.parts.server.clone(), conn, feed: Arc::default() };
                responder.stream();
                let amount = match amount {
                    api::Amount::Lines(lines) => output::Amount::Lines(lines),
                    api::Amount::Bytes(bytes) => output::Amount::Bytes(bytes),
                };
                self.parts.output.follow(id, stream, amount, follow, Box::new(client));
            }
            OutputJob::Clear { id, name } => {
                let deliver = move |result: Result<Result<(), String>, InternalError>| {
                    responder.answer(match result {
                        Ok(Ok(())) => Ok(Reply::LogsCleared { name }),
                        Ok(Err(message)) => Err(Refusal::Output { name, message }),
                        Err(InternalError) => Err(Refusal::Internal),
                    });
                };
                self.parts.output.clear(id, output::Responder::new(deliver));
            }
            OutputJob::Why { id, stream, mut why } => {
                why.paused = why.pid.and_then(sys::reap::stopped_now);
                let deliver = move |result: Result<Vec<u8>, InternalError>| {
                    responder.answer(match result {
                        Ok(bytes) => {
                            why.last_output = last_lines(&bytes);
                            Ok(Reply::Why(why))
                        }
                        Err(InternalError) => Err(Refusal::Internal),
                    });
                };
                self.parts.output.tail(id, stream, LAST_WORDS, output::Responder::new(deliver));
            }
        }
    }
}

/// A client that takes output.
struct Client {
    server: ServerHandle,
    conn: ConnId,
    feed: Arc<Feed>,
}

impl Follower for Client {
    fn push(&self, bytes: &[u8]) -> bool {
        let first = self.feed.push(bytes);
        if first {
            self.server.feed(self.conn, Arc::clone(&self.feed) as Arc<dyn Source>);
        }
        first || self.is_there()
    }

    fn is_there(&self) -> bool {
        // The connection, or the message on its way to it, holds the other one.
        Arc::strong_count(&self.feed) > 1
    }

    fn finish(&self) {
        if self.feed.finish() {
            self.server.feed(self.conn, Arc::clone(&self.feed) as Arc<dyn Source>);
        }
    }

    fn fail(&self, _: InternalError) {
        self.server.reply(self.conn, Box::new(Err(Refusal::Internal)));
    }
}

/// The last whole lines of the end of a stream.
fn last_lines(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let cut = usize::from(bytes.len() == LAST_WORDS);
    let lines: Vec<&str> = text.lines().skip(cut).collect();
    let skip = lines.len().saturating_sub(LAST_LINES);
    lines.into_iter().skip(skip).map(str::to_owned).collect()
}
