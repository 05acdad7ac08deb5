//! What the daemon counts of itself, for those who scrape it.

use std::time::Duration;

use super::super::effect::MetricsJob;
use super::Effects;
use super::replies::Responder;
use crate::api::{Announcement, DaemonFigures, Metrics, Refusal, ReloadChange, Reply};
use crate::output::{self, InternalError};

impl Effects {
    /// A turn of the loop has taken so long.
    pub(in crate::core) fn note_turn(&mut self, took: Duration) {
        self.figures.longest_turn = self.figures.longest_turn.max(took);
    }

    /// Something has happened: it is counted, if it is one of the things that are.
    pub(super) fn count(&mut self, announcement: &Announcement) {
        match announcement {
            Announcement::Reload(ReloadChange::Applied(_)) => {
                self.figures.reloads += 1;
                self.figures.last_reload_failed = false;
            }
            Announcement::Reload(ReloadChange::Failed(_)) => {
                self.figures.failed_reloads += 1;
                self.figures.last_reload_failed = true;
            }
            Announcement::Denied { .. } => self.figures.denied += 1,
            Announcement::Reload(
                ReloadChange::Warning(_)
                | ReloadChange::NeedsDaemonRestart { .. }
                | ReloadChange::CommitPending { .. }
                | ReloadChange::RolledBack(_)
                | ReloadChange::Removed { .. },
            )
            | Announcement::Transition { .. }
            | Announcement::Noted { .. }
            | Announcement::Spawned { .. }
            | Announcement::Health { .. }
            | Announcement::Output { .. }
            | Announcement::ExecFailedLate { .. }
            | Announcement::Shortage { .. }
            | Announcement::UnknownSenderNotified { .. }
            | Announcement::TaskSignalled { .. }
            | Announcement::HookFailed { .. }
            | Announcement::NoticeLost { .. }
            | Announcement::Asked { .. }
            | Announcement::Orphans(_)
            | Announcement::Begun
            | Announcement::RemoteEvent { .. }
            | Announcement::LogsReopened
            | Announcement::ClockSet { .. }
            | Announcement::Failed(_)
            | Announcement::Shutdown(_) => {}
        }
    }

    /// Answers with all that is counted. The output thread adds what programs have written.
    pub(super) fn answer_metrics(&mut self, responder: Responder, job: MetricsJob) {
        let MetricsJob { rows, killed, began, now } = job;
        let daemon = DaemonFigures { connections: self.parts.server.connections(), ..self.figures };
        let (ids, rows): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
        let deliver = move |written: Result<Vec<[u64; 2]>, InternalError>| {
            responder.answer(match written {
                Ok(written) => Ok(Reply::Metrics(Box::new(Metrics { rows, written, killed, daemon, began, now }))),
                Err(InternalError) => Err(Refusal::Internal),
            });
        };
        self.parts.output.written(ids, output::Responder::new(deliver));
    }
}
