//! Answers that the output thread gives: newest output, emptied logs, last words.

use super::super::effect::OutputJob;
use super::output_client::Client;
use super::{Effects, daemon_log};
use crate::api::{self, Keeping, Refusal, Reply, RequestId};
use crate::output::{self, InternalError, LogPart};
use crate::process::StdinRefusal;
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
                let client = Client::new(self.parts.server.clone(), conn);
                responder.stream();
                let amount = match amount {
                    api::Amount::Lines(lines) => output::Amount::Lines(lines),
                    api::Amount::Bytes(bytes) => output::Amount::Bytes(bytes),
                };
                self.parts.output.follow(id, stream, amount, follow, Box::new(client));
            }
            OutputJob::Read { id, stream, from, length } => {
                let deliver = move |result: Result<LogPart, InternalError>| {
                    responder.answer(match result {
                        Ok(LogPart { bytes, size, file }) => Ok(Reply::LogRead { bytes, size, file }),
                        Err(InternalError) => Err(Refusal::Internal),
                    });
                };
                self.parts.output.read(id, stream, from, length, output::Responder::new(deliver));
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
                let deliver = move |result: Result<Result<(), String>, InternalError>| {
                    responder.answer(match result {
                        Ok(Ok(())) => Ok(Reply::LogsCleared { name }),
                        Ok(Err(message)) => Err(Refusal::Output { name, message }),
                        Err(InternalError) => Err(Refusal::Internal),
                    });
                };
                self.parts.output.clear(id, output::Responder::new(deliver));
            }
            #[cfg(feature = "attach")]
            OutputJob::AfterOutput { answer } => {
                let deliver = move |result: Result<(), InternalError>| {
                    responder.answer(result.map_err(|InternalError| Refusal::Internal).and(*answer));
                };
                self.parts.output.barrier(output::Responder::new(deliver));
            }
            OutputJob::Stdin { id, name, bytes } => {
                let count = bytes.len();
                let deliver = move |result: Result<Result<(), StdinRefusal>, InternalError>| {
                    responder.answer(match result {
                        Ok(Ok(())) => Ok(Reply::StdinTaken { name, bytes: count }),
                        Ok(Err(why)) => Err(Refusal::Stdin { name, why }),
                        Err(InternalError) => Err(Refusal::Internal),
                    });
                };
                self.parts.output.write_stdin(id, bytes, output::Responder::new(deliver));
            }
            OutputJob::Keep { file, reply } => match &self.parts.state {
                Some(state) => state.answer_when_kept(file, responder, *reply),
                None => responder.answer(Ok(reply.kept(Keeping::NoDirectory))),
            },
            #[cfg(feature = "http")]
            OutputJob::Metrics(job) => self.tell_metrics(responder, *job),
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

/// The last whole lines of the end of a stream.
fn last_lines(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let cut = usize::from(bytes.len() == LAST_WORDS);
    let lines: Vec<&str> = text.lines().skip(cut).collect();
    let skip = lines.len().saturating_sub(LAST_LINES);
    lines.into_iter().skip(skip).map(str::to_owned).collect()
}
