//! The oracle: what was asked, what was done and what follows from it, derived independently of the engine.

pub(super) mod times;
mod transitions;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::counts::Counts;
use super::{Millis, SECOND};
use crate::api::{Announcement, ProcId, ReloadChange, Request, RequestId, ShutdownProgress};
use crate::models::{AutoRestart, ExitOn, HealthCheckType, ProgramConfig};
use crate::process::{
    Cause, Exit, Failure, Initiator, OutputFault, ProcessState, RestartReason, SpawnError, SpawnStage, Transition,
};
use times::least_delay;

/// A process as the oracle knows it.
#[derive(Debug)]
pub(super) struct Proc {
    pub(super) config: Arc<ProgramConfig>,
    pub(super) run_config: Option<Arc<ProgramConfig>>,
    pub(super) state: ProcessState,
    pub(super) since: Millis,
    /// What it was last told; `None`: an update has decided that.
    pub(super) want: Option<bool>,
    pub(super) leaving: bool,
    /// Attempts that got to a process, or to a `pre_start`.
    pub(super) spawns: u64,
    pub(super) last_attempt: Option<Millis>,
    /// An operator has asked for it since the last attempt.
    pub(super) asked: bool,
    /// `BACKOFF`s since an operator has asked.
    pub(super) retries: u32,
    /// An update may have begun a new count, or not: there may have been more.
    pub(super) unsure: bool,
    /// Those in a row: for failed attempts since it was `RUNNING`, for bad health since a check passed.
    pub(super) rows: [u32; 2],
    /// How long the present `BACKOFF`, or `FATAL`, lasts at least.
    pub(super) delay: Millis,
    /// The restarts that nobody has asked for since an operator has.
    pub(super) restarts: Vec<Millis>,
    /// The present attempt is one for its age (`max_lifetime`): that counts, and no limit is in its way.
    pub(super) for_age: bool,
    /// The next restart was decided by the limit of another configuration.
    pub(super) other_limit: bool,
    /// An attempt was made after it was given up, by settings that a reload may have changed since.
    pub(super) after_fatal: bool,
    /// Attempts in a row that the daemon was short of something for.
    pub(super) shortages: u32,
    /// Its last spawn has failed for good.
    pub(super) hopeless: bool,
    pub(super) last_up: Option<Millis>,
    /// It is a oneshot that has done what it is for.
    pub(super) completed: bool,
    /// When it was spawned, and when it was `RUNNING` by that.
    pub(super) spawned: Millis,
    pub(super) up_since: Option<Millis>,
    /// Its stop ends a start that has not come about.
    pub(super) start_failed: bool,
    /// When it ended, its settings allowed that it stays so.
    pub(super) may_rest: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Start,
    Stop,
    Restart,
    Reload,
    Update,
    Reread,
    Wait,
    Confirm,
    /// Followed until the client goes.
    Stream,
    /// Answered at once, whatever it is.
    Question,
    /// Taken, but not waited for.
    Order,
    NotFound,
    Refused,
}

/// Somebody waits for an answer.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) kind: Kind,
    /// Each with the number of its spawns before.
    pub(super) members: Vec<(ProcId, u64)>,
    pub(super) at: Millis,
    /// When the answer is there at the latest.
    pub(super) by: Option<Millis>,
    pub(super) timeout: Option<Millis>,
    pub(super) load: u64,
    pub(super) result: Option<LoadResult>,
    pub(super) request: Request,
    /// The update that it has asked for was taken back.
    pub(super) taken_back: bool,
}

/// An update that is taken back unless it is confirmed.
#[derive(Debug)]
pub(super) struct PendingCommit {
    /// The programs before it, and `shutdown_timeout`.
    pub(super) before: (Vec<Arc<ProgramConfig>>, Millis),
    pub(super) until: Millis,
    /// A program has failed since.
    pub(super) failed: bool,
    /// What the update has started or restarted; one of it has failed.
    pub(super) watched: BTreeSet<ProcId>,
    pub(super) must_end: bool,
}

/// What became of a reading of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LoadResult {
    Good,
    Broken,
    /// It would have been good, but an update waits to be confirmed.
    Pending,
}

#[derive(Default)]
pub(super) struct Oracle {
    pub(super) broken: Option<String>,
    pub(super) procs: BTreeMap<ProcId, Proc>,
    pub(super) asks: BTreeMap<RequestId, Ask>,
    pub(super) booted: bool,
    pub(super) ending: Option<Millis>,
    pub(super) shutdown_timeout: Millis,
    pub(super) exit_when_idle: bool,
    /// A program tells of its changes of state, or did so before a reload: what does that may hang at the end.
    pub(super) tells_states: bool,
    /// When a program ended that ends the daemon with it.
    pub(super) fatal_end: Option<Millis>,
    /// The number of the last reading of the file.
    pub(super) loads: u64,
    /// Readings that are not only looked at; those that also restart.
    pub(super) applied: BTreeSet<u64>,
    pub(super) updates: BTreeSet<u64>,
    /// When the file that is being read began to be.
    pub(super) reading: Option<Millis>,
    /// The update that is taken back unless it is confirmed.
    pub(super) commit: Option<PendingCommit>,
    /// What was in force before an update was applied in this turn: the programs, and `shutdown_timeout`.
    pub(super) before: Option<(Vec<Arc<ProgramConfig>>, Millis)>,
    /// What a reload has started or restarted in this turn.
    pub(super) begun: BTreeSet<ProcId>,
    /// An update was taken back, and nobody was told yet; whether it was time for that.
    pub(super) rolled_back: Option<bool>,
    /// An update was taken back in this turn: what comes back is as up as it was.
    pub(super) undecided: bool,
    /// What was told and done, the newest last, for whoever looks for the cause.
    pub(super) trace: Option<Vec<String>>,
    pub(super) counts: Counts,
}

impl Proc {
    /// An update decides whether it runs, and may begin a new count of retries.
    pub(super) fn leave_to_update(&mut self) {
        (self.want, self.asked, self.unsure) = (None, true, true);
        (self.retries, self.rows, self.shortages) = (0, [0; 2], 0);
    }
}

impl Oracle {
    pub(super) fn rule(&mut self, holds: bool, rule: impl FnOnce() -> String) {
        if !holds && self.broken.is_none() {
            self.broken = Some(rule());
        }
    }

    pub(super) fn note(&mut self, now: Millis, what: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{now:>8} {}", what()));
        }
    }

    /// What is in the configuration in force.
    pub(super) fn expected(&self) -> impl Iterator<Item = &Arc<ProgramConfig>> {
        self.procs.values().filter(|proc| !proc.leaving).map(|proc| &proc.config)
    }

    pub(super) fn id_of(&self, name: &str) -> Option<ProcId> {
        self.procs.iter().find(|(_, proc)| proc.config.name == name).map(|(id, _)| *id)
    }

    pub(super) fn present(&self, name: &str) -> Option<ProcId> {
        self.id_of(name).filter(|id| !self.procs[id].leaving)
    }

    pub(super) fn group(&self, group: &str) -> Vec<ProcId> {
        let member = |proc: &&Proc| !proc.leaving && proc.config.group_name() == group;
        self.procs.iter().filter(|(_, proc)| member(proc)).map(|(id, _)| *id).collect()
    }

    // What the engine does.

    pub(super) fn configured(&mut self, id: ProcId, config: &Arc<ProgramConfig>) {
        self.tells_states |= !config.hooks.on_state.is_empty();
        if let Some(proc) = self.procs.get_mut(&id) {
            proc.config = Arc::clone(config);
            // A delay that counts from the end of a hook is that of the settings by then.
            let shortest = proc.rows.iter().map(|row| least_delay(config, (*row).max(1))).min();
            proc.delay = proc.delay.min(shortest.unwrap_or(0));
            // Those before were counted by another limit, and so was the one that may be on its way.
            proc.restarts.clear();
            proc.other_limit = true;
            return;
        }
        let start = self.booted && config.autostart;
        let proc = Proc {
            config: Arc::clone(config),
            run_config: None,
            state: ProcessState::Stopped,
            since: 0,
            want: (!self.undecided).then_some(start),
            leaving: false,
            spawns: 0,
            last_attempt: None,
            asked: start || self.undecided,
            retries: 0,
            unsure: self.undecided,
            rows: [0; 2],
            shortages: 0,
            delay: 0,
            restarts: Vec::new(),
            after_fatal: false,
            for_age: false,
            other_limit: false,
            hopeless: false,
            last_up: None,
            completed: false,
            spawned: 0,
            up_since: None,
            start_failed: false,
            may_rest: false,
        };
        self.procs.insert(id, proc);
    }

    pub(super) fn forgotten(&mut self, id: ProcId) {
        let leaving = self.procs.remove(&id).is_some_and(|proc| proc.leaving);
        self.rule(leaving, || format!("{id} is forgotten, but stands in the configuration"));
    }

    /// A `pre_start` is begun: as a spawn would be.
    pub(super) fn attempted(&mut self, now: Millis, id: ProcId, config: &Arc<ProgramConfig>) {
        self.attempt(now, id);
        if let Some(proc) = self.procs.get_mut(&id) {
            proc.run_config = Some(Arc::clone(config));
            proc.spawns += 1;
        }
    }

    fn attempt(&mut self, now: Millis, id: ProcId) {
        let (ending, trial) = (self.ending.is_some(), self.procs.get(&id));
        let Some(proc) = trial else { return self.rule(false, || format!("{id} is spawned, which nobody knows")) };
        let config = Arc::clone(&proc.config);
        let name = &config.name;
        let pause = now - proc.last_attempt.unwrap_or(0);
        let paced = proc.asked || proc.last_attempt.is_none() || pause >= SECOND;
        let (backoff, row) = (now - proc.since, proc.delay);
        let waited = proc.asked || proc.delay == 0 || backoff >= row;
        let hopeless = proc.hopeless && !proc.asked;
        let (unwanted, leaving) = (proc.want == Some(false), proc.leaving);
        self.rule(!ending, || format!("{name} is spawned during a shutdown"));
        self.rule(!leaving, || format!("{name} is spawned although it has left the configuration"));
        self.rule(!unwanted, || format!("{name} is spawned although it is to be down"));
        self.rule(paced, || format!("{name} is spawned {pause} ms after the attempt before; nobody has asked"));
        self.rule(waited, || format!("{name}: a retry comes after {backoff} ms, not {row}"));
        self.rule(!hopeless, || format!("{name} is spawned again after a failure that lasts"));
        self.restarted(now, id);
        if let Some(proc) = self.procs.get_mut(&id) {
            (proc.last_attempt, proc.asked, proc.hopeless) = (Some(now), false, false);
            (proc.since, proc.delay) = (now, 0);
        }
    }

    /// `is_prepared`: its `pre_start` has come before.
    pub(super) fn spawned(&mut self, now: Millis, id: ProcId, is_prepared: bool, config: &Arc<ProgramConfig>) {
        self.note(now, || format!("spawn {}", config.name));
        if !is_prepared {
            self.attempt(now, id);
        }
        self.counts.runs += 1;
        let Some(proc) = self.procs.get_mut(&id) else { return };
        proc.spawns += u64::from(!is_prepared);
        proc.shortages = 0;
        (proc.spawned, proc.up_since) = (now, None);
        let newest = Arc::ptr_eq(&proc.config, config) || *proc.config == **config;
        proc.run_config = Some(Arc::clone(config));
        self.rule(newest || is_prepared, || format!("{}: spawned with settings of yesterday", config.name));
    }

    pub(super) fn spawn_refused(&mut self, now: Millis, id: ProcId, is_prepared: bool, error: &SpawnError) {
        self.note(now, || format!("spawn of {id} refused: {error}"));
        if !is_prepared {
            self.attempt(now, id);
        }
        self.counts.refused += 1;
        let at_the_program =
            matches!(error.stage, SpawnStage::Exec | SpawnStage::Directory | SpawnStage::Stdin | SpawnStage::Chroot);
        let bounds = matches!(
            error.stage,
            SpawnStage::Limits
                | SpawnStage::OomScore
                | SpawnStage::Nice
                | SpawnStage::IoPriority
                | SpawnStage::Affinity
                | SpawnStage::Scheduler
                | SpawnStage::Capabilities
                | SpawnStage::NoNewPrivs
        );
        let lasts = at_the_program && [1, 7, 8, 13, 21, 36, 40].contains(&error.errno)
            || bounds && [1, 13, 22].contains(&error.errno)
            || matches!(error.stage, SpawnStage::Credentials | SpawnStage::Groups) && error.errno != 11;
        if let Some(proc) = self.procs.get_mut(&id) {
            proc.hopeless = lasts;
        }
    }

    /// Something is told to everybody.
    pub(super) fn announced(&mut self, now: Millis, announcement: &Announcement) {
        match announcement {
            Announcement::Transition { program, transition, at: _ } => self.moved(now, &program.name, transition),
            Announcement::Health { program, healthy, .. } => {
                if let Some(proc) =
                    self.id_of(&program.name).and_then(|id| self.procs.get_mut(&id)).filter(|_| *healthy)
                {
                    proc.rows[1] = 0;
                }
            }
            Announcement::Begun | Announcement::RemoteEvent { .. } => {}
            Announcement::Reload(ReloadChange::CommitPending { seconds }) => {
                let before = self.before.take();
                self.rule(before.is_some(), || "an update is to be confirmed that nobody has asked for".to_owned());
                let until = now + seconds * SECOND;
                self.commit = before.map(|before| {
                    let watched = std::mem::take(&mut self.begun);
                    PendingCommit { before, until, failed: false, watched, must_end: false }
                });
            }
            Announcement::Reload(ReloadChange::RolledBack(_)) => {
                let right = self.rolled_back.take();
                self.rule(right == Some(true), || "an update is taken back before its time".to_owned());
                self.asks.values_mut().for_each(|ask| ask.taken_back |= ask.result == Some(LoadResult::Good));
            }
            Announcement::Reload(
                ReloadChange::Warning(_)
                | ReloadChange::Applied(_)
                | ReloadChange::NeedsDaemonRestart { .. }
                | ReloadChange::Failed(_)
                | ReloadChange::Removed { .. },
            )
            | Announcement::Noted { .. }
            | Announcement::Spawned { .. }
            | Announcement::Output { .. }
            | Announcement::UnknownSenderNotified { .. }
            | Announcement::ExecFailedLate { .. }
            | Announcement::Shortage { .. }
            | Announcement::TaskSignalled { .. }
            | Announcement::HookFailed { .. }
            | Announcement::NoticeLost { .. }
            | Announcement::Asked { .. }
            | Announcement::Denied { .. }
            | Announcement::LogsReopened
            | Announcement::ClockSet { .. }
            | Announcement::Orphans(_)
            | Announcement::Failed(_) => {}
            Announcement::Shutdown(ShutdownProgress::ExitDecided(_)) => self.decided_to_end(),
            Announcement::Shutdown(
                ShutdownProgress::Power(_)
                | ShutdownProgress::Begun { .. }
                | ShutdownProgress::Forced
                | ShutdownProgress::ForGood
                | ShutdownProgress::Killing(_)
                | ShutdownProgress::KillingStage { .. }
                | ShutdownProgress::LeftBehind(_)
                | ShutdownProgress::OrphansTold(_)
                | ShutdownProgress::OrphansLeft,
            ) => {}
        }
    }

    /// The daemon ends because of its programs.
    fn decided_to_end(&mut self) {
        let over = |proc: &Proc| match proc.state {
            ProcessState::Exited | ProcessState::Fatal => true,
            ProcessState::Stopped => proc.last_attempt.is_none(),
            ProcessState::Starting
            | ProcessState::Running
            | ProcessState::Backoff
            | ProcessState::Stopping
            | ProcessState::Unhealthy => false,
        };
        let idle = self.exit_when_idle && self.procs.values().filter(|proc| !proc.leaving).all(over);
        self.counts.own_ends += 1;
        let right = idle || self.fatal_end.is_some();
        self.rule(right, || "the daemon ends by itself, but no program asks for that".to_owned());
    }

    /// A program tells its watchdog that it is alive: where nothing else tells of its health, this ends the row of its
    /// restarts.
    pub(super) fn alive(&mut self, id: ProcId) {
        let is_up = |proc: &&mut Proc| matches!(proc.state, ProcessState::Running | ProcessState::Unhealthy);
        if let Some(proc) = self.procs.get_mut(&id).filter(is_up)
            && let Some(config) = &proc.run_config
            && config.healthcheck.check_type == HealthCheckType::None
        {
            proc.rows[1] = 0;
        }
    }

    /// An attempt begins, which nobody may have asked for.
    fn restarted(&mut self, now: Millis, id: ProcId) {
        let Some(proc) = self.procs.get_mut(&id) else { return };
        if proc.asked || proc.last_attempt.is_none() {
            return proc.restarts.clear();
        }
        let Some(crate::models::RestartLimit { restarts, seconds }) = proc.config.restart.limit else { return };
        if std::mem::take(&mut proc.other_limit) || proc.shortages > 0 || proc.for_age {
            return;
        }
        proc.restarts.retain(|at| now - at < Millis::from(seconds) * SECOND);
        proc.restarts.push(now);
        // One more attempt after it was given up is no restart too many.
        let bounded = proc.restarts.len() as u32 <= restarts || proc.config.restart.fatal_retry > 0;
        let config = Arc::clone(&proc.config);
        self.rule(bounded, || {
            let name = &config.name;
            format!("{name} is restarted more than {restarts} times within {seconds} s")
        });
    }
}
