//! What only the kernel's init is asked for: `poweroff`, `reboot` and `halt`.

use super::super::world::{Answer, ReplyTo, World};
use super::Engine;
use crate::process::Moment;
use crate::sys::machine::Power;

/// Whether we are the kernel's init, and what is to become of the machine.
#[derive(Debug, Default)]
pub(super) struct Machine {
    is_ours: bool,
    wanted: Option<Power>,
}

impl Engine {
    /// Whether clients may turn the machine off.
    pub(crate) fn commands_machine(&mut self, is_ours: bool) {
        self.machine.is_ours = is_ours;
    }

    /// What is to become of the machine when everything has ended.
    pub(crate) fn power(&self) -> Option<Power> {
        self.machine.wanted
    }

    /// Ends everything in order, the second time at once. The last word counts.
    pub(super) fn turn_off(&mut self, now: Moment, power: Power, world: &mut dyn World) {
        if !self.machine.is_ours {
            return;
        }
        log::warn!("{}: everything is stopped", power.command());
        self.machine.wanted = Some(power);
        self.terminate(now, world);
    }

    /// A client asks for it.
    pub(super) fn request_power(&mut self, now: Moment, power: Power, reply: &ReplyTo, world: &mut dyn World) {
        if !self.machine.is_ours {
            let message = "this daemon is not the init of the machine (supervice --system-init); nothing was done";
            return world.reply(reply, Answer::failed(message));
        }
        // Before it begins: afterwards nobody is there who could write the answer.
        world.reply(reply, Answer::Done(format!("{}: everything is stopped", power.command())));
        self.turn_off(now, power, world);
    }
}
