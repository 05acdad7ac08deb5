//! What only the kernel's init is asked for: `poweroff`, `reboot` and `halt`. The init of a container is asked by its
//! programs alone.

use serde::{Deserialize, Serialize};

use super::Engine;
use super::ledger::ReplyToken;
use crate::api::{Announcement, Refusal, Reply, ShutdownProgress};
use crate::models;

/// Whether we are the kernel's init, and what is to become of the machine.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Power {
    is_ours: bool,
    /// It is a container that we are the init of.
    is_container: bool,
    wanted: Option<models::Power>,
}

impl Engine {
    /// Whether clients may turn the machine off.
    pub(crate) fn commands_machine(&mut self, is_ours: bool) {
        self.power.is_ours = is_ours;
    }

    /// Whether a container ends with us, and may be started anew.
    pub(crate) fn ends_container(&mut self, is_container: bool) {
        self.power.is_container = is_container;
    }

    /// Whether a program may have us turn off what we are the init of.
    pub(super) fn power_is_ours(&self) -> bool {
        self.power.is_ours || self.power.is_container
    }

    /// What is to become of the machine when everything has ended.
    pub(crate) fn power(&self) -> Option<models::Power> {
        self.power.wanted
    }

    /// Ends everything in order, the second time at once. The last word counts.
    pub(super) fn turn_off(&mut self, power: models::Power) {
        if !self.power_is_ours() {
            return;
        }
        self.announce(None, Announcement::Shutdown(ShutdownProgress::Power(power)));
        self.power.wanted = Some(power);
        self.terminate();
    }

    /// A client asks for it.
    pub(super) fn request_power(&mut self, token: ReplyToken, power: models::Power) {
        if !self.power.is_ours {
            return self.refuse(token, Refusal::NotInit);
        }
        // Before it begins: afterwards nobody is there who could write the answer.
        self.reply(token, Reply::PowerBegun(power));
        self.turn_off(power);
    }
}
