//! The signals that are sent to runs.

use crate::core::effect::Signal;
use crate::process::{SignalTarget, signal_text};
use crate::sys::proc::Stat;
use crate::sys::signal::{self, GroupLeader, GroupSignal};
use crate::util::errno;

pub(super) const SIGKILL: u8 = 9;

/// As the kernel numbers it on every architecture that we build for.
pub(super) const SIGCONT: u8 = 18;

/// Signals a leader, or its process group.
pub(super) fn send(name: &str, leader: GroupLeader<'_>, signal: u8, target: SignalTarget) {
    let (who, sent) = match target {
        SignalTarget::Leader => ("pid", signal::signal_leader(leader, signal)),
        SignalTarget::Group => ("process group", signal::signal_group(leader, signal)),
    };
    let pid = leader.pid;
    match sent {
        Ok(GroupSignal::Delivered | GroupSignal::Gone) => {}
        Ok(GroupSignal::Denied) => {
            log::error!(
                "{} to {who} {pid} of {name} was denied: it runs as a user whom this daemon may not signal",
                signal_text(signal)
            )
        }
        Err(error) => log::error!("{} to {who} {pid} of {name}: {}", signal_text(signal), errno::reason(&error)),
    }
}

/// Signals a process of a run that is in another group than the rest of it, and its group.
pub(super) fn signal_apart(name: &str, descendant: &Stat, signal: Signal, leader: i32) {
    let (pid, number) = (descendant.pid, signal.number);
    let told = signal_text(number);
    log::info!("{name}: pid {pid} has left the process group of pid {leader} but is part of its run: {told}");
    let numbers = [Some(number), signal.resume.then_some(SIGCONT)];
    for number in numbers.into_iter().flatten() {
        signal::signal_children_and_groups(std::slice::from_ref(descendant), number);
    }
}
