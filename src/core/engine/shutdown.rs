//! The orderly end: everything is told to stop, at the same time or, where programs depend on others, as soon as those
//! have gone that need it. The time is given out by stages, and a stage that is over has the next one begin, whatever
//! is left of it; what has not gone when the time is up is killed; what even SIGKILL doesn't end is named and left
//! behind. Then the orphans: what has run away from its program's group (daemons that detach themselves) and was
//! inherited by us.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Engine;
use super::ledger::ReplyToken;
use super::shutdown_stages::ShutdownStage;
use super::timers::TimerKey;
use crate::api::{Announcement, ProcId, Reply, ShutdownProgress};
use crate::core::effect::Effect;
use crate::process::{self, Desired, Initiator, Moment};
use crate::util::sorted::{SortedMap, SortedSet};

/// How many processes of a stage are named as what a stop waits for.
const MAX_NAMED: usize = 8;

/// What death by SIGKILL may take before the daemon goes without it.
const AFTER_KILL: Duration = Duration::from_secs(2);

/// A stage gets SIGKILL so often before the next one begins.
const KILLS_OF_STAGE: u32 = 2;

/// What death by the second SIGKILL may take before the next stage begins: it is for the clean-up that followed the
/// first one.
const AFTER_LAST_KILL: Duration = Duration::from_millis(500);

/// What orphans may take to end after the stop signal: nobody has configured them.
const ORPHANS_STOP: Duration = Duration::from_secs(2);

/// How often orphans are looked at, beside every SIGCHLD.
const ORPHANS_PROBE: Duration = Duration::from_millis(20);

const SIGTERM: u8 = 15;
const SIGKILL: u8 = 9;

/// How far the shutdown has got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Shutdown {
    /// Not begun.
    No,
    /// Asked for while what an earlier daemon has left behind is still being looked for: it is to end as well.
    /// `forced`: asked for twice.
    Looking { forced: bool },
    /// A stage is told to stop. `to_stop`: those of it that are still to be told, the next one last; `left`: its
    /// processes of which something is left; `kills`: so often they got SIGKILL because the later stages (the last one
    /// first) need the time that there is until `kill_at`, when all is killed.
    Stopping { kill_at: Moment, to_stop: Vec<ProcId>, left: SortedSet<ProcId>, later: Vec<ShutdownStage>, kills: u32 },
    /// Everything was killed.
    Killing { left: SortedSet<ProcId> },
    /// The programs have gone, orphans were signalled; `until` is when we kill them, or go without them.
    Orphans { killed: bool, until: Moment },
    /// Everything has gone.
    Done,
    /// Not everything has gone, but we do.
    GivenUp,
}

impl Engine {
    pub(crate) fn is_ending(&self) -> bool {
        self.shutdown != Shutdown::No
    }

    /// Handles a request to shut down. A client that repeats it gets the same answer and nothing is killed, because the
    /// programs are about to end. The embedding program may force the end by a second call.
    pub(super) fn shut_down(&mut self, token: ReplyToken, by: &Initiator) {
        // Before it begins: afterwards nobody is there who could write the answer.
        self.reply(token, Reply::ShuttingDown);
        if by.is_client() && self.is_ending() {
            self.end_for_good();
        } else {
            self.terminate();
        }
    }

    /// Calls off the restart that was to follow this shutdown; `false`: none was.
    fn end_for_good(&mut self) -> bool {
        let was_to_begin_anew = self.call_off_restart();
        if was_to_begin_anew {
            self.announce(None, Announcement::Shutdown(ShutdownProgress::ForGood));
        }
        was_to_begin_anew
    }

    /// In the shutdown: those that have to go before this one is told to stop, where it was not told yet; the first of
    /// them, and how many there are.
    pub(super) fn stopped_before(&self, id: ProcId) -> Option<(Vec<ProcId>, usize)> {
        let Shutdown::Stopping { left, .. } = &self.shutdown else { return None };
        let machine = &self.registry.get(id)?.machine;
        let is_told = left.contains(&id) || machine.desired() == Desired::Down || !machine.is_engaged();
        if is_told {
            return None;
        }
        let is_there = |id: &ProcId| self.registry.get(*id).is_some_and(|entry| entry.machine.is_engaged());
        let dependants: Vec<ProcId> = self.dependants_beyond(id).into_iter().filter(is_there).collect();
        if !dependants.is_empty() {
            let count = dependants.len();
            return Some((dependants, count));
        }
        // Where nobody needs it, the whole stage goes before. There may be thousands, and each row of a status asks.
        Some((left.iter().copied().take(MAX_NAMED).collect(), left.len()))
    }

    /// When a process gets SIGKILL: the shutdown may kill it earlier than its own stop would.
    pub(super) fn kill_at(&self, by_itself: Moment) -> Moment {
        match &self.shutdown {
            Shutdown::Stopping { kill_at, .. } => {
                let stage = self.timers.get(TimerKey::ShutdownStage).unwrap_or(*kill_at);
                by_itself.min(*kill_at).min(stage)
            }
            Shutdown::No
            | Shutdown::Looking { .. }
            | Shutdown::Killing { .. }
            | Shutdown::Orphans { .. }
            | Shutdown::Done
            | Shutdown::GivenUp => by_itself,
        }
    }

    /// The first time: an orderly shutdown; the second time: SIGKILL now.
    pub(super) fn terminate(&mut self) {
        if self.is_ending() && self.end_for_good() {
            return;
        }
        match self.shutdown {
            Shutdown::No if self.adoption.is_looking() => self.shutdown = Shutdown::Looking { forced: false },
            Shutdown::No => self.begin_shutdown(),
            Shutdown::Looking { .. } => self.shutdown = Shutdown::Looking { forced: true },
            Shutdown::Stopping { .. } => {
                self.announce(None, Announcement::Shutdown(ShutdownProgress::Forced));
                self.kill_all();
            }
            Shutdown::Orphans { killed: false, .. } => self.kill_orphans(),
            Shutdown::Killing { .. } | Shutdown::Orphans { killed: true, .. } | Shutdown::Done | Shutdown::GivenUp => {}
        }
    }

    /// It is known what an earlier daemon has left behind: a shutdown that was asked for meanwhile begins.
    pub(super) fn begin_awaited_shutdown(&mut self) {
        let Shutdown::Looking { forced } = self.shutdown else { return };
        self.begin_shutdown();
        if forced {
            self.terminate();
        }
    }

    fn begin_shutdown(&mut self) {
        let seconds = u64::from(self.settings.shutdown_timeout);
        self.announce(None, Announcement::Shutdown(ShutdownProgress::Begun { seconds }));
        let kill_at = self.now + Duration::from_secs(seconds);
        let stages = self.shutdown_stages();
        self.stop_order = self.stop_order();
        let (to_stop, left, later) = (Vec::new(), SortedSet::default(), Vec::new());
        self.shutdown = Shutdown::Stopping { kill_at, to_stop, left, later, kills: 0 };
        self.timers.set(TimerKey::ExitPolicy, None);
        self.end_schedules();
        self.held = SortedMap::default();
        for id in self.registry.ids() {
            if !self.registry.get(id).is_some_and(|entry| entry.machine.is_engaged()) {
                self.handle_event(id, process::Event::StopRequested { by: Initiator::Shutdown });
            }
        }
        self.abandon_reload();
        #[cfg(feature = "attach")]
        self.abandon_runs();
        self.abandon_waits();
        self.abandon_commit();
        self.begin_stage(kill_at, stages);
    }

    /// Tells the first of these stages of which something is there to stop.
    fn begin_stage(&mut self, kill_at: Moment, mut stages: Vec<ShutdownStage>) {
        let (mut to_stop, mut left) = (Vec::new(), SortedSet::default());
        while left.is_empty()
            && let Some(ShutdownStage { ids, .. }) = stages.pop()
        {
            let has_run = |id: &ProcId| self.registry.get(*id).is_some_and(|entry| entry.machine.is_engaged());
            left.extend(ids.iter().copied().filter(has_run));
            to_stop.extend(ids.into_iter().filter(|id| !self.stop_order.is_stop_requested(*id)));
        }
        to_stop.reverse();
        let until = self.stage_limit(kill_at, &stages);
        self.shutdown = Shutdown::Stopping { kill_at, to_stop, left, later: stages, kills: 0 };
        self.await_stage(Some(until));
    }

    /// Tells the next one of the stage; `false`: all were told. One by one, whenever what was wanted before has been
    /// done, so that the first has its signal before the thousandth was looked at.
    pub(super) fn stop_next(&mut self) -> bool {
        let Shutdown::Stopping { to_stop, .. } = &mut self.shutdown else { return false };
        let Some(id) = to_stop.pop() else { return false };
        self.handle_event(id, process::Event::StopRequested { by: Initiator::Shutdown });
        self.end_turn();
        true
    }

    /// The time of a stage is up, and others are to follow: it is killed, then its clean-up, and not waited for much
    /// longer.
    fn kill_stage(&mut self, kill_at: Moment, left: SortedSet<ProcId>, later: Vec<ShutdownStage>, kills: u32) {
        let (names, time_left) = (self.names(&left), kill_at.saturating_duration_since(self.now));
        self.announce(None, Announcement::Shutdown(ShutdownProgress::KillingStage { names, left: time_left }));
        let ids: Vec<ProcId> = left.iter().copied().collect();
        self.shutdown = Shutdown::Stopping { kill_at, to_stop: Vec::new(), left, later, kills };
        let pause = if kills < KILLS_OF_STAGE { AFTER_KILL } else { AFTER_LAST_KILL };
        let until = (self.now + pause).min(kill_at);
        self.timers.set(TimerKey::ShutdownStage, Some(until));
        for id in ids {
            self.handle_event(id, process::Event::KillRequested { by: Initiator::Shutdown });
        }
    }

    /// Waits for the end of all, or for this moment.
    fn await_stage(&mut self, until: Option<Moment>) {
        let is_over = match &self.shutdown {
            Shutdown::Stopping { left, .. } | Shutdown::Killing { left } => left.is_empty(),
            Shutdown::No | Shutdown::Looking { .. } | Shutdown::Orphans { .. } | Shutdown::Done | Shutdown::GivenUp => {
                false
            }
        };
        self.timers.set(TimerKey::ShutdownStage, if is_over { Some(self.now) } else { until });
    }

    /// Nothing may be left of this process by now.
    pub(super) fn note_run_over(&mut self, id: ProcId) {
        let machine = self.registry.get(id).map(|entry| &entry.machine);
        if machine.is_some_and(|machine| machine.is_engaged()) {
            return;
        }
        // One of a later stage has ended by itself, and is not to come back.
        if machine.is_some_and(|machine| machine.is_up_or_starting()) {
            return self.handle_event(id, process::Event::StopRequested { by: Initiator::Shutdown });
        }
        self.stop_order.note_ended(&self.graph, id);
        let (Shutdown::Stopping { left, .. } | Shutdown::Killing { left }) = &mut self.shutdown else { return };
        if left.remove(&id) && left.is_empty() {
            self.timers.set(TimerKey::ShutdownStage, Some(self.now));
        }
    }

    /// Those that nobody needs any more are told, though others of the stage before may still be there.
    pub(super) fn stop_free(&mut self) {
        while let Some(id) = self.stop_order.next_free() {
            if let Shutdown::Stopping { .. } = self.shutdown {
                self.handle_event(id, process::Event::StopRequested { by: Initiator::Shutdown });
            }
        }
    }

    /// A stage is over: everything that it waited for has gone, or its time is up.
    pub(super) fn shutdown_stage(&mut self) {
        if let Shutdown::Stopping { left, kill_at, later, kills, .. } = &mut self.shutdown
            && !later.is_empty()
            && self.now < *kill_at
        {
            let (kill_at, later, kills) = (*kill_at, std::mem::take(later), *kills);
            if left.is_empty() || kills == KILLS_OF_STAGE {
                return self.begin_stage(kill_at, later);
            }
            let left = std::mem::take(left);
            return self.kill_stage(kill_at, left, later, kills + 1);
        }
        match &self.shutdown {
            // What was killed in an earlier stage and has not gone is not forgotten.
            Shutdown::Stopping { left, kill_at, later, .. }
                if left.is_empty() && later.is_empty() && self.with_run().is_empty() =>
            {
                // shutdown_timeout is for the orphans too: a container's runtime does not wait longer.
                let at_most = ORPHANS_STOP.min(kill_at.saturating_duration_since(self.now));
                self.shutdown = Shutdown::Orphans { killed: false, until: self.now + at_most };
                self.effects.push_back(Effect::SignalOrphans { signal: Some(SIGTERM) });
            }
            Shutdown::Stopping { .. } => {
                let names = self.names(&self.with_run());
                self.announce(None, Announcement::Shutdown(ShutdownProgress::Killing(names)));
                self.kill_all();
            }
            Shutdown::Killing { left } if left.is_empty() => self.kill_orphans(),
            Shutdown::Killing { left } => {
                let names = self.names(left);
                self.announce(None, Announcement::Shutdown(ShutdownProgress::LeftBehind(names)));
                self.end_shutdown(Shutdown::GivenUp);
            }
            Shutdown::Orphans { killed: false, .. } => self.kill_orphans(),
            Shutdown::Orphans { killed: true, .. } => {
                self.announce(None, Announcement::Shutdown(ShutdownProgress::OrphansLeft));
                self.end_shutdown(Shutdown::GivenUp);
            }
            Shutdown::No | Shutdown::Looking { .. } | Shutdown::Done | Shutdown::GivenUp => {}
        }
    }

    fn kill_orphans(&mut self) {
        self.kill_tasks();
        self.shutdown = Shutdown::Orphans { killed: true, until: self.now + AFTER_KILL };
        self.effects.push_back(Effect::SignalOrphans { signal: Some(SIGKILL) });
    }

    /// Counts the orphans; what has become one by the death of those that were killed is killed in its turn.
    pub(super) fn probe_orphans(&mut self) {
        let signal = match self.shutdown {
            Shutdown::Orphans { killed: true, .. } => Some(SIGKILL),
            Shutdown::Orphans { killed: false, .. }
            | Shutdown::No
            | Shutdown::Looking { .. }
            | Shutdown::Stopping { .. }
            | Shutdown::Killing { .. }
            | Shutdown::Done
            | Shutdown::GivenUp => None,
        };
        self.effects.push_back(Effect::SignalOrphans { signal });
    }

    /// The number of orphans is known; they were just signalled, or only counted.
    pub(super) fn orphans_counted(&mut self, count: usize, signalled: bool) {
        let Shutdown::Orphans { killed, until } = self.shutdown else { return };
        if count == 0 && !self.tasks.any_live() {
            return self.end_shutdown(Shutdown::Done);
        }
        if signalled && !killed && count > 0 {
            self.announce(None, Announcement::Shutdown(ShutdownProgress::OrphansTold(count)));
        }
        self.timers.set(TimerKey::OrphanProbe, self.now.checked_add(ORPHANS_PROBE));
        self.timers.set(TimerKey::ShutdownStage, Some(until));
    }

    fn end_shutdown(&mut self, how: Shutdown) {
        self.shutdown = how;
        self.kill_tasks();
        self.abandon_hooks();
        self.timers.set(TimerKey::ShutdownStage, None);
        self.timers.set(TimerKey::OrphanProbe, None);
        self.end_waits();
    }

    /// `Some(clean)` when the shutdown is over; `clean` if no process is left.
    pub(crate) fn finished(&self) -> Option<bool> {
        match self.shutdown {
            Shutdown::No
            | Shutdown::Looking { .. }
            | Shutdown::Stopping { .. }
            | Shutdown::Killing { .. }
            | Shutdown::Orphans { .. } => None,
            Shutdown::Done => Some(true),
            Shutdown::GivenUp => Some(false),
        }
    }

    fn kill_all(&mut self) {
        self.shutdown = Shutdown::Killing { left: SortedSet::default() };
        self.handle_event_for_all(|by| process::Event::KillRequested { by });
        self.shutdown = Shutdown::Killing { left: self.with_run() };
        self.await_stage(Some(self.now + AFTER_KILL));
    }

    fn handle_event_for_all(&mut self, event: impl Fn(Initiator) -> process::Event) {
        for id in self.registry.ids() {
            self.handle_event(id, event(Initiator::Shutdown));
        }
    }

    /// The processes of which something is left.
    fn with_run(&self) -> SortedSet<ProcId> {
        self.registry.iter().filter(|(_, entry)| entry.machine.is_engaged()).map(|(id, _)| id).collect()
    }

    fn names(&self, ids: &SortedSet<ProcId>) -> Vec<String> {
        let entries = ids.iter().filter_map(|id| self.registry.get(*id));
        entries.map(|entry| entry.name().to_owned()).collect()
    }
}
