//! Every timer of the engine, by name: one ordered set, one source of wake-ups.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::ledger::WaiterId;
use crate::api::ProcId;
use crate::core::effect::TaskId;
use crate::process::Moment;

/// What a timer is for. Timers of one moment fire in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum TimerKey {
    /// The last words of a run that has ended are waited for no longer.
    OutputDrain(ProcId),
    /// Whether a group that outlives its leader has gone. Before `Process`: what has gone needs no SIGKILL.
    GroupProbe(ProcId),
    /// What the machine of a process waits for: `startsecs`, a retry, SIGKILL, a health check.
    Process(ProcId),
    /// A run has lived for as long as it may, or its turn may have come to be followed by another.
    Lifetime(ProcId),
    /// A run may have written nothing for too long.
    Silence(ProcId),
    /// What programs use is looked at.
    Usage,
    /// What a start waits for outside: the next try, or its time limit.
    StartWhen(ProcId),
    /// The next start by its schedule. Behind `Process`: a run that ends at that moment is none any more.
    Schedule(ProcId),
    /// What a script or hook waits for: its time limit, SIGKILL, its last output.
    Task(TaskId),
    /// The time limit of a request that waits.
    Waiter(WaiterId),
    /// The configuration file is read for too long.
    ConfigLoad(u64),
    /// An update that nobody has confirmed, or whose programs have failed, is taken back.
    Commit,
    /// Whether a program's end, or the end of all, ends the daemon.
    ExitPolicy,
    /// The next stage of the shutdown.
    ShutdownStage,
    /// Whether the orphans of programs have gone.
    OrphanProbe,
    /// Children that have not executed their program in time are looked at.
    PendingExec,
    /// The start is over.
    TrimMemory,
    /// What an earlier daemon has left behind.
    Adoption,
    /// The times that schedules have come to are written. Behind `Schedule`: those of all that came at that moment.
    KeepTimes,
}

/// Moments with names. A name has one moment at most. Trees, as with ten thousand processes each end sets and clears
/// timers anywhere among as many.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Timers {
    by_time: BTreeSet<(Moment, TimerKey)>,
    by_key: BTreeMap<TimerKey, Moment>,
}

impl Timers {
    /// Sets the timer, or with `None` clears it.
    pub(super) fn set(&mut self, key: TimerKey, at: Option<Moment>) {
        let old = match at {
            Some(at) => self.by_key.insert(key, at),
            None => self.by_key.remove(&key),
        };
        if old == at {
            return;
        }
        if let Some(old) = old {
            self.by_time.remove(&(old, key));
        }
        if let Some(at) = at {
            self.by_time.insert((at, key));
        }
    }

    /// When it fires; `None` where it is not set.
    pub(super) fn get(&self, key: TimerKey) -> Option<Moment> {
        self.by_key.get(&key).copied()
    }

    /// All that are set.
    #[cfg(test)]
    pub(super) fn keys(&self) -> impl Iterator<Item = TimerKey> {
        self.by_key.keys().copied()
    }

    /// The processes whose groups are probed.
    pub(super) fn group_probes(&self) -> impl Iterator<Item = ProcId> {
        self.by_key
            .range(TimerKey::GroupProbe(ProcId::MIN)..)
            .map_while(|(key, _)| if let TimerKey::GroupProbe(id) = key { Some(*id) } else { None })
    }

    /// Takes the first timer that is due at `now`.
    pub(super) fn take_due(&mut self, now: Moment) -> Option<TimerKey> {
        let key = self.by_time.first().filter(|(at, _)| *at <= now)?.1;
        self.set(key, None);
        Some(key)
    }

    /// When the first timer fires.
    pub(super) fn next(&self) -> Option<Moment> {
        self.by_time.first().map(|(at, _)| *at)
    }
}

impl Serialize for Timers {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.by_time.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Timers {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Timers, D::Error> {
        let by_time = BTreeSet::<(Moment, TimerKey)>::deserialize(deserializer)?;
        Ok(Timers { by_key: by_time.iter().map(|(at, key)| (*key, *at)).collect(), by_time })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_has_one_moment_and_fires_once() {
        let at = Moment::from_nanos;
        let mut timers = Timers::default();
        timers.set(TimerKey::Commit, Some(at(9)));
        timers.set(TimerKey::Process(1), Some(at(5)));
        timers.set(TimerKey::Commit, Some(at(7)));
        timers.set(TimerKey::GroupProbe(1), Some(at(5)));
        assert_eq!(timers.next(), Some(at(5)));
        assert_eq!(timers.take_due(at(4)), None);
        assert_eq!(timers.take_due(at(8)), Some(TimerKey::GroupProbe(1)), "before the machine's timer");
        assert_eq!(timers.take_due(at(8)), Some(TimerKey::Process(1)));
        let written = serde_json::to_string(&timers).unwrap();
        assert_eq!(serde_json::from_str::<Timers>(&written).unwrap(), timers);
        assert_eq!(timers.take_due(at(8)), Some(TimerKey::Commit));
        assert_eq!((timers.take_due(at(100)), timers.next(), timers.get(TimerKey::Commit)), (None, None, None));
    }
}
