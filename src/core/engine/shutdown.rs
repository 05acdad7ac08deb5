//! The orderly end: everything is told to stop at the same time; what has not gone when the time is
//! up is killed; what even SIGKILL doesn't end is named and left behind. Then the orphans: what has run away from
//! its program's group (daemons that detach themselves) and was inherited by us.

use std::time::Duration;

use super::super::world::{ProcId, World};
use super::Engine;
use super::asker::Asker;
use crate::process;
use crate::process::Moment;

/// What death by SIGKILL may take before the daemon goes without it.
const AFTER_KILL: Duration = Duration::from_secs(2);

/// What orphans may take to end after the stop signal: nobody has configured them.
const ORPHANS_STOP: Duration = Duration::from_secs(2);

/// How often is looked whether the orphans have gone, beside every SIGCHLD.
const ORPHANS_LOOK: Duration = Duration::from_millis(20);

const SIGTERM: u8 = 15;
const SIGKILL: u8 = 9;

/// How far the shutdown has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shutdown {
    /// Not begun.
    No,
    /// Everything was told to stop.
    Stopping { kill_at: Moment },
    /// Everything was killed.
    Killing { give_up_at: Moment },
    /// The programs have gone, orphans are left; `killed`: `until` is when we go without them.
    Orphans { killed: bool, until: Moment, look_at: Moment },
    /// Everything has gone.
    Done,
    /// Not everything has gone, but we do.
    GivenUp,
}

impl Shutdown {
    pub(super) fn next_deadline(self) -> Option<Moment> {
        match self {
            Shutdown::No | Shutdown::Done | Shutdown::GivenUp => None,
            Shutdown::Stopping { kill_at } => Some(kill_at),
            Shutdown::Killing { give_up_at } => Some(give_up_at),
            Shutdown::Orphans { until, look_at, .. } => Some(until.min(look_at)),
        }
    }
}

impl Engine {
    pub(super) fn is_ending(&self) -> bool {
        self.shutdown != Shutdown::No
    }

    /// The first time: an orderly shutdown; the second time: SIGKILL now.
    pub(super) fn terminate(&mut self, now: Moment, world: &mut dyn World) {
        match self.shutdown {
            Shutdown::No => {
                let timeout = Duration::from_secs(u64::from(self.settings.shutdown_timeout));
                log::info!("shutting down, at most {} s", timeout.as_secs());
                let kill_at = now.checked_add(timeout).unwrap_or(now);
                self.shutdown = Shutdown::Stopping { kill_at };
                self.tell_all(now, &process::Event::StopRequested, world);
                self.abandon_reload(world);
                self.abandon_waits(world);
                self.trial = None;
            }
            Shutdown::Stopping { .. } => {
                log::warn!("told to terminate again: killing what is left");
                self.kill_all(now, world);
            }
            Shutdown::Orphans { killed: false, .. } => self.kill_orphans(now, world),
            Shutdown::Killing { .. } | Shutdown::Orphans { killed: true, .. } | Shutdown::Done | Shutdown::GivenUp => {}
        }
    }

    pub(super) fn shutdown_timers(&mut self, now: Moment, world: &mut dyn World) {
        self.shutdown_deadlines(now, world);
        match self.shutdown {
            Shutdown::Stopping { kill_at } if self.left().is_empty() => {
                let orphans = world.signal_orphans(Some(SIGTERM));
                if orphans > 0 {
                    log::info!("telling {orphans} orphans of the programs to end");
                }
                // shutdown_timeout is for them too: a container's runtime does not wait longer.
                let at_most = ORPHANS_STOP.min(kill_at.saturating_duration_since(now));
                self.shutdown = waiting_for(orphans, false, now, at_most);
            }
            Shutdown::Killing { .. } if self.left().is_empty() => self.kill_orphans(now, world),
            Shutdown::Orphans { killed, until, .. } => {
                let left = world.signal_orphans(None);
                self.shutdown = waiting_for(left, killed, now, until.saturating_duration_since(now));
            }
            Shutdown::No
            | Shutdown::Stopping { .. }
            | Shutdown::Killing { .. }
            | Shutdown::Done
            | Shutdown::GivenUp => {}
        }
    }

    fn kill_orphans(&mut self, now: Moment, world: &mut dyn World) {
        let left = world.signal_orphans(Some(SIGKILL));
        self.shutdown = waiting_for(left, true, now, AFTER_KILL);
    }

    fn shutdown_deadlines(&mut self, now: Moment, world: &mut dyn World) {
        match self.shutdown {
            Shutdown::Stopping { kill_at } if kill_at <= now => {
                log::warn!("shutdown_timeout is over: killing {}", self.left().join(", "));
                self.kill_all(now, world);
            }
            Shutdown::Killing { give_up_at } if give_up_at <= now => {
                log::error!("not even SIGKILL has ended {}; leaving without", self.left().join(", "));
                self.shutdown = Shutdown::GivenUp;
            }
            Shutdown::Orphans { killed: false, until, .. } if until <= now => self.kill_orphans(now, world),
            Shutdown::Orphans { killed: true, until, .. } if until <= now => {
                log::error!("not even SIGKILL has ended every orphan; leaving without");
                self.shutdown = Shutdown::GivenUp;
            }
            Shutdown::No
            | Shutdown::Stopping { .. }
            | Shutdown::Killing { .. }
            | Shutdown::Orphans { .. }
            | Shutdown::Done
            | Shutdown::GivenUp => {}
        }
    }

    /// `Some(clean)` when the shutdown is over; `clean` if no process is left.
    pub(crate) fn finished(&self) -> Option<bool> {
        match self.shutdown {
            Shutdown::No | Shutdown::Stopping { .. } | Shutdown::Killing { .. } | Shutdown::Orphans { .. } => None,
            Shutdown::Done => Some(true),
            Shutdown::GivenUp => Some(false),
        }
    }

    fn kill_all(&mut self, now: Moment, world: &mut dyn World) {
        self.shutdown = Shutdown::Killing { give_up_at: now + AFTER_KILL };
        self.tell_all(now, &process::Event::KillRequested, world);
    }

    fn tell_all(&mut self, now: Moment, event: &process::Event, world: &mut dyn World) {
        let ids: Vec<ProcId> = self.entries.keys().copied().collect();
        for id in ids {
            self.command(now, id, event.clone(), &Asker::Daemon("by the daemon's shutdown"), world);
        }
    }

    /// The names of the processes of which something is left.
    fn left(&self) -> Vec<String> {
        let left = self.entries.values().filter(|entry| entry.machine.has_run());
        left.map(|entry| entry.name().to_owned()).collect()
    }
}

fn waiting_for(orphans: usize, killed: bool, now: Moment, at_most: Duration) -> Shutdown {
    if orphans == 0 {
        return Shutdown::Done;
    }
    Shutdown::Orphans { killed, until: now + at_most, look_at: now + ORPHANS_LOOK }
}
