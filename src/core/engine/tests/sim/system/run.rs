//! What the fake kernel runs: tasks, and the group of a run.

use super::super::Millis;
use super::{SIGCONT, SIGKILL, SIGSTOP};
use crate::process::{Exit, Generation};

/// A task of the kernel.
#[derive(Debug)]
pub(in super::super) struct Task {
    pub(super) dies_at: Option<Millis>,
    pub(super) exit: Exit,
    /// From the stop signal to its end; `None`: it ignores the signal.
    pub(super) stops_in: Option<Millis>,
    /// From SIGKILL to its end; `None`: it hangs in the kernel until the world is calm.
    pub(super) hangs: Option<Millis>,
    pub(super) killed: bool,
}

impl Task {
    pub(super) fn alive(&self, now: Millis) -> bool {
        self.dies_at.is_none_or(|at| at > now)
    }

    pub(super) fn die(&mut self, at: Millis, exit: Exit) {
        if self.dies_at.is_none_or(|earlier| earlier > at) {
            (self.dies_at, self.exit) = (Some(at), exit);
        }
    }

    pub(super) fn signal(&mut self, signal: u8, now: Millis) {
        // What is paused, or goes on, may end as ever: somebody else may kill it.
        if matches!(signal, SIGCONT | SIGSTOP) {
            return;
        }
        let pause = if signal == SIGKILL { self.hangs } else { self.stops_in };
        self.killed |= signal == SIGKILL;
        if let Some(pause) = pause.filter(|_| self.alive(now)) {
            self.die(now + pause, Exit::Signal(signal));
        }
    }

    pub(super) fn calm_down(&mut self, now: Millis) {
        self.hangs = Some(0);
        if self.killed {
            self.die(now, Exit::Signal(SIGKILL));
        }
    }
}

/// From a spawn until the engine has been told that the group is empty.
#[derive(Debug)]
pub(in super::super) struct Run {
    pub(in super::super) generation: Generation,
    pub(in super::super) pid: i32,
    pub(in super::super) spawned: Millis,
    /// `None` once it was reaped.
    pub(in super::super) leader: Option<Task>,
    pub(super) members: Vec<Task>,
}

impl Run {
    pub(super) fn tasks(&mut self) -> impl Iterator<Item = &mut Task> {
        self.leader.iter_mut().chain(&mut self.members)
    }
}
