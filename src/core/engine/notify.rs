//! What programs tell of themselves on `$NOTIFY_SOCKET`: whose messages are taken.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Engine;
use crate::api::{Announcement, ProcId};
use crate::models::NotifyAccess;
use crate::process::{self, Generation, Moment, Notification};

/// How long messages of unknown senders are only counted after they were reported.
const REFUSAL_LOG_INTERVAL: Duration = Duration::from_secs(3600);

/// Messages of processes that are of no program with this socket.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct UnknownSenders {
    /// Since the last line about them.
    refused: u64,
    reported_at: Option<Moment>,
}

impl Engine {
    /// A process of a run tells of it.
    pub(super) fn notified(
        &mut self,
        id: ProcId,
        generation: Generation,
        (pid, is_main): (i32, bool),
        message: Box<Notification>,
    ) {
        let Some(entry) = self.registry.get(id) else { return };
        if entry.machine.generation() != generation {
            return;
        }
        let Some(access) = entry.machine.run_config().map(|config| config.notify_access) else { return };
        match access {
            NotifyAccess::Main if !is_main => self.handle_event(id, process::Event::NotifyRefused { generation, pid }),
            NotifyAccess::Main | NotifyAccess::Run => {
                let main = message.main_pid;
                self.handle_event(id, process::Event::Notified { generation, message });
                if let Some(Err(found)) = main {
                    self.main_refused(id, generation, found);
                }
            }
        }
    }

    /// A process of no program with this socket has sent a message. That is reported once, and again after a while with
    /// the number of messages.
    pub(super) fn notified_by_unknown_sender(&mut self, pid: i32, uid: u32, is_gone: bool) {
        let senders = &mut self.unknown_senders;
        senders.refused = senders.refused.saturating_add(1);
        let is_silent = |told: Moment| self.now.saturating_duration_since(told) < REFUSAL_LOG_INTERVAL;
        if senders.reported_at.is_some_and(is_silent) {
            return;
        }
        let count = std::mem::take(&mut senders.refused);
        senders.reported_at = Some(self.now);
        self.announce(None, Announcement::UnknownSenderNotified { pid, uid, is_gone, count });
    }
}
