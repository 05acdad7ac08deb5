//! A daemon that begins anew in its process: asked for by a client, done by whoever runs the supervisor.

use serde::{Deserialize, Serialize};

use super::Engine;
use super::ledger::ReplyToken;
use crate::api::{Refusal, Reply};

/// Whether it can begin anew, and is to.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Restart {
    is_possible: bool,
    is_wanted: bool,
}

impl Engine {
    /// Whether whoever runs the supervisor can begin anew.
    pub(crate) fn can_restart(&mut self, is_possible: bool) {
        self.restart.is_possible = is_possible;
    }

    /// Whether that is to follow the end.
    pub(crate) fn wants_restart(&self) -> bool {
        self.restart.is_wanted
    }

    /// It is to end for good: `true` if it was to begin anew, and no longer is.
    pub(super) fn call_off_restart(&mut self) -> bool {
        std::mem::take(&mut self.restart.is_wanted)
    }

    /// A client asks for it.
    pub(super) fn restart_daemon(&mut self, token: ReplyToken) {
        if self.is_ending() {
            return self.refuse(token, Refusal::ShuttingDown);
        }
        if !self.restart.is_possible {
            return self.refuse(token, Refusal::CannotRestart);
        }
        self.restart.is_wanted = true;
        // Before it begins: afterwards nobody is there who could write the answer.
        self.reply(token, Reply::Restarting);
        self.terminate();
    }
}
