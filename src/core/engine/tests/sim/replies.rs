//! The fake dispatcher's list of requests, and the output thread that answers some of them.

use super::SECOND;
use super::system::{Distortion, FakeSystem, Pending};
use crate::api::{Answer, Persistence, Reply, RequestId};
#[cfg(feature = "http")]
use crate::api::{DaemonFigures, Metrics, StatusRow};
#[cfg(feature = "http")]
use crate::core::effect::MetricsJob;
use crate::core::effect::OutputJob;

impl FakeSystem {
    /// Answered bit by bit, until its client goes.
    pub(super) fn is_streaming(&self, request: RequestId) -> bool {
        self.followers.contains(&request) || self.delegated.contains(&request)
    }

    /// The answer to a request; it is the only one.
    pub(super) fn reply(&mut self, request: RequestId, answer: &Answer) {
        if self.distortion == Some(Distortion::LostReplies) && self.random.chance(10) {
            return;
        }
        let is_open = self.open.remove(&request);
        self.oracle.rule(is_open, || format!("{request:?} is answered, but is not open: {answer:?}"));
        if let Ok(Reply::FlagSet { is_set, .. }) = answer {
            self.flag = *is_set;
        }
        self.answered(request, answer);
        if self.distortion == Some(Distortion::DoubleReplies) && self.random.chance(10) {
            self.answered(request, answer);
        }
    }

    fn answered(&mut self, request: RequestId, answer: &Answer) {
        let left = self
            .oracle
            .members_of(request)
            .into_iter()
            .filter(|id| self.alive(*id) + self.hooks_alive(*id) > 0)
            .collect::<Vec<_>>();
        let is_shown = |name: &str| self.shown.values().any(|(shown, _)| shown == name);
        self.oracle.answered(self.now, request, answer, &left, &is_shown);
    }

    /// The output thread answers, soon or late.
    pub(super) fn delegate(&mut self, request: RequestId, job: OutputJob) {
        if self.distortion == Some(Distortion::LostDelegations) && self.random.chance(10) {
            return;
        }
        let is_open = self.open.remove(&request) && self.delegated.insert(request);
        self.oracle.rule(is_open, || format!("{request:?} is delegated, but is not open"));
        self.oracle.delegated(request);
        let answer = match job {
            OutputJob::Tail { .. } => return,
            #[cfg(feature = "xmlrpc")]
            OutputJob::FollowDaemonLog { .. } => return,
            OutputJob::Clear { name, .. } => Reply::LogsCleared { name },
            OutputJob::Read { .. } | OutputJob::ReadDaemonLog { .. } => {
                Reply::LogRead { bytes: Vec::new(), begin: 0, size: 0, file: Default::default() }
            }
            #[cfg(feature = "attach")]
            OutputJob::AfterOutput { .. } => {
                return self.oracle.rule(false, || format!("{request:?} is attached to nothing"));
            }
            OutputJob::ClearDaemonLog => Reply::DaemonLogCleared,
            OutputJob::Stdin { name, bytes, .. } => Reply::StdinTaken { name, bytes: bytes.len() },
            #[cfg(feature = "http")]
            OutputJob::Metrics(job) => {
                let MetricsJob { rows, killed, began, now } = *job;
                let rows: Vec<StatusRow> = rows.into_iter().map(|(_, row)| row).collect();
                let (written, daemon) = (vec![[0, 0]; rows.len()], DaemonFigures::default());
                Reply::Metrics(Box::new(Metrics { rows, written, killed, daemon, began, now }))
            }
            OutputJob::Why { why, .. } => Reply::Why(why),
            OutputJob::Keep { reply, .. } => reply.kept(Persistence::Stored),
        };
        let pause = self.random.pick(&[0, 1, SECOND]);
        self.later(pause, Pending::Delegated { request, answer: Box::new(Ok(answer)) });
    }

    /// The output thread's answer, unless its client has gone.
    pub(super) fn delegated_answer(&mut self, request: RequestId, answer: &Answer) {
        if self.delegated.remove(&request) {
            self.answered(request, answer);
        }
    }

    pub(super) fn follow(&mut self, request: RequestId) {
        let is_open = self.open.contains(&request) && self.followers.insert(request);
        self.oracle.rule(is_open, || format!("{request:?} follows, but is not open, or does so already"));
    }

    /// A client goes; `true`: the engine has to be told.
    pub(super) fn forget_client(&mut self, request: RequestId) -> bool {
        self.oracle.gone(request);
        self.delegated.remove(&request);
        self.open.remove(&request)
    }
}
