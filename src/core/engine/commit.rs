//! The way back from an update that nobody has confirmed.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::additions::AdditionsBefore;
use super::apply::{ApplyMode, Change, is_wanted};
use super::ledger::ReplyToken;
use super::timers::TimerKey;
use super::waiters::WaitKind;
use super::{Engine, Entry};
use crate::api::{Act, Announcement, ProcId, Refusal, ReloadChange, Reply, RollbackReason, Terms};
use crate::config::Configuration;
#[cfg(feature = "attach")]
use crate::models::ProgramConfig;
use crate::process::{Initiator, Moment, ProcessState};
use crate::util::sort::sort_by;
use crate::util::sorted::SortedSet;

/// The configuration in force, and which programs were wanted up.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Snapshot {
    config: Configuration,
    up: SortedSet<String>,
    additions: AdditionsBefore,
}

/// An update that is taken back unless somebody confirms it.
#[derive(Debug, Serialize, Deserialize)]
struct PendingCommit {
    before: Snapshot,
    until: Moment,
    /// The programs whose failure takes it back at once.
    watched: Vec<ProcId>,
    failed: Option<RollbackReason>,
    /// What was not wanted up before and is by the update: what has failed with old settings, and what others need.
    raised: Vec<ProcId>,
    /// What somebody has stopped or disabled since.
    stopped: SortedSet<String>,
}

/// Whether an update waits to be confirmed.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Commit {
    pending: Option<Box<PendingCommit>>,
    /// Why the last one was taken back, for whoever comes too late to confirm it.
    taken_back: Option<Box<RollbackReason>>,
    /// The last one has changed nothing: a script that confirms it can't know that, and is told so.
    #[serde(default)]
    changed_nothing: bool,
    /// It is being taken back.
    rolling_back: bool,
}

impl Commit {
    /// More may come about than each process alone would bring: the update may be taken back, or is being so.
    pub(super) fn is_open(&self) -> bool {
        self.pending.is_some() || self.rolling_back
    }

    /// The programs that may come back.
    #[cfg(feature = "attach")]
    pub(super) fn names_before(&self) -> Option<&[Arc<ProgramConfig>]> {
        self.pending.as_ref().map(|pending| pending.before.config.programs.as_slice())
    }

    /// Somebody stops or disables this one.
    pub(super) fn note_stopped(&mut self, name: &str) {
        if let Some(pending) = &mut self.pending {
            pending.stopped.insert(name.to_owned());
        }
    }

    /// Somebody enables this one again.
    pub(super) fn note_enabled(&mut self, name: &str) {
        if let Some(pending) = &mut self.pending {
            pending.stopped.remove(name);
        }
    }

    /// Somebody starts this one: from now on it is up by request.
    fn note_started(&mut self, id: ProcId, name: &str) {
        if let Some(pending) = &mut self.pending {
            pending.stopped.remove(name);
            pending.raised.retain(|raised| *raised != id);
        }
    }

    /// A program of the update has failed: it is taken back in this moment.
    pub(super) fn has_failed(&self) -> bool {
        self.pending.as_ref().is_some_and(|pending| pending.failed.is_some())
    }

    /// When the update is taken back; `None` where none waits to be confirmed.
    pub(super) fn pending_until(&self) -> Option<Moment> {
        self.pending.as_ref().map(|pending| pending.until)
    }
}

impl Engine {
    /// What to go back to.
    pub(super) fn snapshot(&self) -> Snapshot {
        let up = self.registry.configured().filter(|(_, entry)| is_wanted(entry));
        let up = up.map(|(_, entry)| entry.name().to_owned()).collect();
        Snapshot { up, config: self.effective(), additions: self.additions_before() }
    }

    /// A configuration was applied, with `way_back` to be confirmed: what was before, and for how long.
    pub(super) fn applied(&mut self, way_back: Option<(Snapshot, Duration)>, change: &Change) {
        match way_back {
            Some((before, confirm)) if !change.is_nothing() => {
                self.commit.changed_nothing = false;
                self.begin_commit(before, confirm, change);
            }
            Some(_) => (self.commit.changed_nothing, self.commit.taken_back) = (true, None),
            None => self.commit.changed_nothing &= change.is_nothing(),
        }
    }

    /// From now on the update is taken back unless it is confirmed.
    fn begin_commit(&mut self, before: Snapshot, confirm: Duration, change: &Change) {
        let watched: Vec<ProcId> = change.started.iter().chain(&change.restarted).copied().collect();
        let until = self.now.checked_add(confirm).unwrap_or(self.now);
        let seconds = confirm.as_secs();
        self.announce(None, Announcement::Reload(ReloadChange::CommitPending { seconds }));
        let failed = watched.iter().find_map(|id| self.failed_at_once(*id));
        self.timers.set(TimerKey::Commit, Some(if failed.is_some() { self.now } else { until }));
        let is_raised = |entry: &Entry| is_wanted(entry) && !before.up.contains(entry.name());
        let raised = self.registry.configured().filter(|(_, entry)| is_raised(entry)).map(|(id, _)| id).collect();
        let stopped = SortedSet::default();
        self.commit.pending = Some(Box::new(PendingCommit { before, until, watched, failed, raised, stopped }));
    }

    /// A start that needs what can't get there has failed before anything is executed.
    fn failed_at_once(&self, id: ProcId) -> Option<RollbackReason> {
        let entry = self.registry.get(id).filter(|_| !self.is_held(id))?;
        match entry.machine.state() {
            state @ ProcessState::Fatal => {
                Some(RollbackReason::Failed { name: entry.name().to_owned(), state, cause: entry.cause()? })
            }
            ProcessState::Stopped
            | ProcessState::Starting
            | ProcessState::Running
            | ProcessState::Backoff
            | ProcessState::Stopping
            | ProcessState::Exited
            | ProcessState::Unhealthy => None,
        }
    }

    /// A subscriber: has a program failed that an unconfirmed update has started?
    pub(super) fn watch_commit(&mut self, id: Option<ProcId>, announcement: &Announcement) {
        let (Some(id), Announcement::Transition { program, transition, .. }) = (id, announcement) else { return };
        let Some(pending) = self.commit.pending.as_mut().filter(|pending| pending.watched.contains(&id)) else {
            return;
        };
        let failed = matches!(transition.to, ProcessState::Fatal | ProcessState::Unhealthy);
        if failed && pending.failed.is_none() {
            let (state, cause) = (transition.to, transition.cause.clone());
            pending.failed = Some(RollbackReason::Failed { name: program.name.clone(), state, cause });
            self.timers.set(TimerKey::Commit, Some(self.now));
        }
    }

    /// Somebody has asked for this of some processes, which the way back of an update then leaves alone. `dependants`:
    /// those that follow.
    pub(super) fn note_request(&mut self, act: Act, ids: &[ProcId], dependants: &[ProcId]) {
        if !self.commit.is_open() {
            return;
        }
        for id in ids.iter().chain(dependants) {
            let Some(entry) = self.registry.get(*id) else { continue };
            match act {
                Act::Stop | Act::Kill => self.commit.note_stopped(entry.name()),
                Act::Start | Act::Restart { .. } => self.commit.note_started(*id, entry.name()),
            }
        }
    }

    /// The time of an update is over, or it has failed: it is taken back.
    pub(super) fn roll_back(&mut self) {
        let Some(pending) = self.commit.pending.take() else { return };
        let reason = pending.failed.unwrap_or(RollbackReason::Unconfirmed);
        self.announce(None, Announcement::Reload(ReloadChange::RolledBack(Arc::new(reason.clone()))));
        // Before anything is brought back: what was up before says nothing of the update.
        self.refuse_updates(&reason);
        self.commit.taken_back = Some(Box::new(reason));
        let Snapshot { config, mut up, additions } = pending.before;
        // What somebody has stopped meanwhile, and is down, is not started for having been up.
        for name in pending.stopped.iter() {
            let entry = self.registry.find(name).and_then(|id| self.registry.get(id));
            if !entry.is_some_and(is_wanted) {
                up.remove(name);
            }
        }
        self.restore_additions(additions);
        self.commit.rolling_back = true;
        let change = self.apply_config(config, &ApplyMode::RollBack(up), &Initiator::Rollback);
        self.commit.rolling_back = false;
        // For the log, which is told what does not stop.
        self.wait_for(None, Terms::default(), WaitKind::Reload(Box::new(change.summary())), &change.removals());
        self.stop_removed(&change, &Initiator::Rollback);
        self.stop_raised(pending.raised);
    }

    /// Stops what the update has started although it was down before, unless something else needs it by now.
    fn stop_raised(&mut self, mut raised: Vec<ProcId>) {
        let is_up = |id: ProcId| self.registry.get(id).is_some_and(|entry| !entry.leaving && is_wanted(entry));
        raised.retain(|id| is_up(*id));
        // Those first that others of them need last.
        sort_by(&mut raised, |one, other| self.graph.depth(*other).cmp(&self.graph.depth(*one)));
        let mut stopped: SortedSet<ProcId> = SortedSet::default();
        for id in &raised {
            let others = self.graph.needed_by(*id).iter().filter(|link| link.kind.is_hard()).map(|link| link.from);
            if others.filter(|other| is_up(*other)).all(|other| stopped.contains(&other)) {
                stopped.insert(*id);
            }
        }
        let stopped: Vec<ProcId> = stopped.iter().copied().collect();
        self.act_in_order(Act::Stop, &stopped, &Initiator::Rollback, true);
    }

    /// The daemon ends: there is nothing to go back to any more.
    pub(super) fn abandon_commit(&mut self) {
        self.commit.pending = None;
        self.waiters.keep_updates();
        self.timers.set(TimerKey::Commit, None);
    }

    /// Somebody confirms the update.
    pub(super) fn confirm(&mut self, token: ReplyToken) {
        // He comes in the moment of its failure: whoever asked for the update is told of that, and so is he.
        if self.commit.has_failed() {
            self.roll_back();
        }
        self.timers.set(TimerKey::Commit, None);
        let changed_nothing = std::mem::take(&mut self.commit.changed_nothing);
        match (self.commit.pending.take(), self.commit.taken_back.take()) {
            (Some(_), _) => {
                self.waiters.keep_updates();
                self.reply(token, Reply::Confirmed);
            }
            (None, None) if changed_nothing => self.reply(token, Reply::NothingChanged),
            (None, taken_back) => self.refuse(token, Refusal::NothingToConfirm { taken_back }),
        }
    }
}
