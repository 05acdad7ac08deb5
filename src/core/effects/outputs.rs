//! Answers that the output thread gives: newest output, emptied logs, last words.

use super::super::effect::OutputJob;
use super::output_client::Client;
use super::replies::Responder;
use super::{Effects, daemon_log};
use crate::api::{self, Persistence, Refusal, Reply, RequestId};
use crate::output::{self, InternalError, LogPart};
use crate::sys;

/// The end of a program's output that `why` shows: lines, and bytes to look for them.
const LAST_LINES: usize = 5;
const LAST_WORDS: usize = 4096;

impl Effects {
    /// Has the output thread answer. The request leaves our list: the debt goes with its
    /// [`Responder`](super::replies::Responder).
    pub(super) fn delegate(&mut self, request: RequestId, job: OutputJob) {
        let Some(responder) = self.replies.hand_over(request) else { return };
        match job {
            OutputJob::Tail { id, stream, amount, follow } => {
                let Some(conn) = responder.connection() else { return responder.answer(Err(Refusal::Internal)) };
                let client = Client::new(self.parts.server.clone(), conn);
                responder.stream();
                let amount = match amount {
                    api::Amount::Lines(lines) => output::Amount::Lines(lines),
                    api::Amount::Bytes(bytes) => output::Amount::Bytes(bytes),
                };
                self.parts.output.follow(id, stream, amount, follow, Box::new(client));
            }
            OutputJob::Read { id, stream, from, length } => {
                let reply = |LogPart { bytes, begin, size, file }| Ok(Reply::LogRead { bytes, begin, size, file });
                self.parts.output.read(id, stream, from, length, answering(responder, reply));
            }
            OutputJob::ReadDaemonLog { from, length } => {
                daemon_log::on_thread(responder, move |path| daemon_log::read(path, from, length));
            }
            #[cfg(feature = "xmlrpc")]
            OutputJob::FollowDaemonLog { bytes } => {
                let Some(conn) = responder.connection() else { return responder.answer(Err(Refusal::Internal)) };
                let client = Client::new(self.parts.server.clone(), conn);
                daemon_log::follow(responder, bytes, client);
            }
            OutputJob::ClearDaemonLog => daemon_log::on_thread(responder, daemon_log::clear),
            OutputJob::Clear { id, name } => {
                let reply = |cleared| match cleared {
                    Ok(()) => Ok(Reply::LogsCleared { name }),
                    Err(message) => Err(Refusal::Output { name, message }),
                };
                self.parts.output.clear(id, answering(responder, reply));
            }
            #[cfg(feature = "attach")]
            OutputJob::AfterOutput { answer } => {
                self.parts.output.barrier(answering(responder, |()| *answer));
            }
            OutputJob::Stdin { id, name, bytes } => {
                let count = bytes.len();
                let reply = move |taken| match taken {
                    Ok(()) => Ok(Reply::StdinTaken { name, bytes: count }),
                    Err(why) => Err(Refusal::Stdin { name, why }),
                };
                self.parts.output.write_stdin(id, bytes, answering(responder, reply));
            }
            OutputJob::Keep { file, reply } => match &self.parts.state {
                Some(state) => state.answer_when_kept(file, responder, *reply),
                None => responder.answer(Ok(reply.kept(Persistence::NoDirectory))),
            },
            #[cfg(feature = "http")]
            OutputJob::Metrics(job) => self.answer_metrics(responder, *job),
            OutputJob::Why { id, stream, mut why } => {
                why.paused = why.pid.and_then(sys::reap::stopped_now);
                let reply = move |bytes: Vec<u8>| {
                    why.last_output = last_lines(&bytes);
                    Ok(Reply::Why(why))
                };
                self.parts.output.tail(id, stream, LAST_WORDS, answering(responder, reply));
            }
        }
    }
}

/// Answers a request with the result of the output thread.
fn answering<T>(
    responder: Responder,
    reply: impl FnOnce(T) -> Result<Reply, Refusal> + Send + 'static,
) -> output::Responder<T> {
    let deliver = move |given: Result<T, InternalError>| {
        responder.answer(given.map_err(|InternalError| Refusal::Internal).and_then(reply));
    };
    output::Responder::new(deliver)
}

/// The last whole lines of the end of a stream.
fn last_lines(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let cut = usize::from(bytes.len() == LAST_WORDS);
    let lines: Vec<&str> = text.lines().skip(cut).collect();
    let skip = lines.len().saturating_sub(LAST_LINES);
    lines.into_iter().skip(skip).map(str::to_owned).collect()
}
