//! The orderly end: everything is told to stop at the same time; what has not gone when the time is
//! up is killed; what even SIGKILL doesn't end is named and left behind.

use std::time::{Duration, Instant};

use super::super::world::{ProcId, World};
use super::Engine;
use crate::process;

/// What death by SIGKILL may take before the daemon goes without it.
const AFTER_KILL: Duration = Duration::from_secs(2);

/// How far the shutdown has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shutdown {
    /// Not begun.
    No,
    /// Everything was told to stop.
    Stopping { kill_at: Instant },
    /// Everything was killed.
    Killing { give_up_at: Instant },
    /// Not everything has gone, but we do.
    GivenUp,
}

impl Shutdown {
    pub(super) fn next_deadline(self) -> Option<Instant> {
        match self {
            Shutdown::No | Shutdown::GivenUp => None,
            Shutdown::Stopping { kill_at } => Some(kill_at),
            Shutdown::Killing { give_up_at } => Some(give_up_at),
        }
    }
}

impl Engine {
    pub(super) fn is_ending(&self) -> bool {
        self.shutdown != Shutdown::No
    }

    /// The first time: an orderly shutdown; the second time: SIGKILL now.
    pub(super) fn terminate(&mut self, now: Instant, world: &mut dyn World) {
        match self.shutdown {
            Shutdown::No => {
                let timeout = Duration::from_secs(u64::from(self.settings.shutdown_timeout));
                log::info!("shutting down, at most {} s", timeout.as_secs());
                let kill_at = now.checked_add(timeout).unwrap_or(now);
                self.shutdown = Shutdown::Stopping { kill_at };
                self.tell_all(now, &process::Event::StopRequested, world);
            }
            Shutdown::Stopping { .. } => {
                log::warn!("told to terminate again: killing what is left");
                self.kill_all(now, world);
            }
            Shutdown::Killing { .. } | Shutdown::GivenUp => {}
        }
    }

    pub(super) fn shutdown_timers(&mut self, now: Instant, world: &mut dyn World) {
        match self.shutdown {
            Shutdown::Stopping { kill_at } if kill_at <= now => {
                log::warn!("shutdown_timeout is over: killing {}", self.left().join(", "));
                self.kill_all(now, world);
            }
            Shutdown::Killing { give_up_at } if give_up_at <= now => {
                log::error!("not even SIGKILL has ended {}; leaving without", self.left().join(", "));
                self.shutdown = Shutdown::GivenUp;
            }
            Shutdown::No | Shutdown::Stopping { .. } | Shutdown::Killing { .. } | Shutdown::GivenUp => {}
        }
    }

    /// `Some(clean)` when the shutdown is over; `clean` if no process is left.
    pub(crate) fn finished(&self) -> Option<bool> {
        match self.shutdown {
            Shutdown::No => None,
            Shutdown::GivenUp => Some(false),
            Shutdown::Stopping { .. } | Shutdown::Killing { .. } => self.left().is_empty().then_some(true),
        }
    }

    fn kill_all(&mut self, now: Instant, world: &mut dyn World) {
        self.shutdown = Shutdown::Killing { give_up_at: now + AFTER_KILL };
        self.tell_all(now, &process::Event::KillRequested, world);
    }

    fn tell_all(&mut self, now: Instant, event: &process::Event, world: &mut dyn World) {
        let ids: Vec<ProcId> = self.entries.keys().copied().collect();
        for id in ids {
            self.tell(now, id, event.clone(), world);
        }
    }

    /// The names of the processes of which something is left.
    fn left(&self) -> Vec<String> {
        let left = self.entries.values().filter(|entry| entry.machine.has_run());
        left.map(|entry| entry.name().to_owned()).collect()
    }
}
