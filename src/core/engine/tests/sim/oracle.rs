//! The oracle: what was asked, what was done and what follows from it, derived independently of the engine.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Millis, SECOND};
use crate::api::{Announcement, ProcId, ReloadChange, Request, RequestId, ShutdownProgress};
use crate::models::{AutoRestart, ExitOn, ProgramConfig, ProgramType, Readiness};
use crate::process::{Cause, Exit, Failure, Initiator, ProcessState, SpawnError, SpawnStage, Transition};

/// What death by SIGKILL, and everything around it, may take.
pub(super) const MARGIN: Millis = 5 * SECOND;

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
    /// How many seconds the present `BACKOFF` lasts at least.
    pub(super) delay: u32,
    /// Its last spawn has failed for good.
    pub(super) hopeless: bool,
    pub(super) last_up: Option<Millis>,
    /// It is a oneshot that has done what it is for.
    pub(super) completed: bool,
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
}

/// An update that is taken back unless it is confirmed.
#[derive(Debug)]
pub(super) struct PendingCommit {
    /// The programs before it, and `shutdown_timeout`.
    pub(super) before: (Vec<ProgramConfig>, Millis),
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
    pub(super) before: Option<(Vec<ProgramConfig>, Millis)>,
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

/// How often the cases were met, so that a simulation that never meets one is found out.
#[derive(Debug, Default, Clone)]
pub(super) struct Counts {
    pub(super) turns: u64,
    pub(super) runs: u64,
    pub(super) refused: u64,
    pub(super) done: u64,
    pub(super) failed: u64,
    pub(super) timeouts: u64,
    pub(super) gone: u64,
    pub(super) reloads: u64,
    pub(super) fatal: u64,
    pub(super) unhealthy: u64,
    pub(super) quiet: u64,
    pub(super) clean_ends: u64,
    pub(super) given_up: u64,
    pub(super) confirmed: u64,
    pub(super) rolled_back: u64,
    pub(super) load_timeouts: u64,
    pub(super) late_loads: u64,
    pub(super) streams: u64,
    pub(super) delegated: u64,
    pub(super) copies: u64,
    pub(super) looked_at: u64,
    pub(super) own_ends: u64,
}

impl Counts {
    fn all(&mut self) -> [&mut u64; 22] {
        [
            &mut self.turns,
            &mut self.runs,
            &mut self.refused,
            &mut self.done,
            &mut self.failed,
            &mut self.timeouts,
            &mut self.gone,
            &mut self.reloads,
            &mut self.fatal,
            &mut self.unhealthy,
            &mut self.quiet,
            &mut self.clean_ends,
            &mut self.given_up,
            &mut self.confirmed,
            &mut self.rolled_back,
            &mut self.load_timeouts,
            &mut self.late_loads,
            &mut self.streams,
            &mut self.delegated,
            &mut self.copies,
            &mut self.looked_at,
            &mut self.own_ends,
        ]
    }

    pub(super) fn add(&mut self, other: &Counts) {
        let mut other = other.clone();
        self.all().into_iter().zip(other.all()).for_each(|(sum, more)| *sum += *more);
    }

    pub(super) fn rarest(&self) -> u64 {
        self.clone().all().into_iter().map(|count| *count).min().unwrap_or(0)
    }
}

impl Proc {
    /// An update decides whether it runs, and may begin a new count of retries.
    pub(super) fn leave_to_update(&mut self) {
        (self.want, self.asked, self.unsure) = (None, true, true);
        (self.retries, self.rows) = (0, [0; 2]);
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
    pub(super) fn expected(&self) -> Vec<ProgramConfig> {
        self.procs.values().filter(|proc| !proc.leaving).map(|proc| ProgramConfig::clone(&proc.config)).collect()
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
        if let Some(proc) = self.procs.get_mut(&id) {
            proc.config = Arc::clone(config);
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
            delay: 0,
            hopeless: false,
            last_up: None,
            completed: false,
            may_rest: false,
        };
        self.procs.insert(id, proc);
    }

    pub(super) fn forgotten(&mut self, id: ProcId) {
        let leaving = self.procs.remove(&id).is_some_and(|proc| proc.leaving);
        self.rule(leaving, || format!("{id} is forgotten, but stands in the configuration"));
    }

    fn attempt(&mut self, now: Millis, id: ProcId) {
        let (ending, trial) = (self.ending.is_some(), self.procs.get(&id));
        let Some(proc) = trial else { return self.rule(false, || format!("{id} is spawned, which nobody knows")) };
        let name = proc.config.name.clone();
        let pause = now - proc.last_attempt.unwrap_or(0);
        let paced = proc.asked || proc.last_attempt.is_none() || pause >= SECOND;
        let (backoff, row) = (now - proc.since, Millis::from(proc.delay) * SECOND);
        let waited = proc.asked || proc.delay == 0 || backoff >= row;
        let hopeless = proc.hopeless && !proc.asked;
        let unwanted = proc.want == Some(false);
        self.rule(!ending, || format!("{name} is spawned during a shutdown"));
        self.rule(!unwanted, || format!("{name} is spawned although it is to be down"));
        self.rule(paced, || format!("{name} is spawned {pause} ms after the attempt before; nobody has asked"));
        self.rule(waited, || format!("{name}: a retry comes after {backoff} ms, not {row}"));
        self.rule(!hopeless, || format!("{name} is spawned again after a failure that lasts"));
        if let Some(proc) = self.procs.get_mut(&id) {
            (proc.last_attempt, proc.asked, proc.hopeless) = (Some(now), false, false);
            (proc.since, proc.delay) = (now, 0);
        }
    }

    pub(super) fn spawned(&mut self, now: Millis, id: ProcId, config: &Arc<ProgramConfig>) {
        self.note(now, || format!("spawn {}", config.name));
        self.attempt(now, id);
        self.counts.runs += 1;
        let Some(proc) = self.procs.get_mut(&id) else { return };
        proc.spawns += 1;
        let newest = *proc.config == **config;
        proc.run_config = Some(Arc::clone(config));
        self.rule(newest, || format!("{}: spawned with settings of yesterday", config.name));
    }

    pub(super) fn spawn_refused(&mut self, now: Millis, id: ProcId, error: &SpawnError) {
        self.note(now, || format!("spawn of {id} refused: {error}"));
        self.attempt(now, id);
        self.counts.refused += 1;
        let at_the_program = matches!(error.stage, SpawnStage::Exec | SpawnStage::Directory);
        let lasts = at_the_program && [1, 7, 8, 13, 21, 36, 40].contains(&error.errno)
            || error.stage == SpawnStage::Credentials && error.errno != 11;
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
            }
            Announcement::Reload(
                ReloadChange::Warning(_)
                | ReloadChange::Applied(_)
                | ReloadChange::NeedsDaemonRestart { .. }
                | ReloadChange::Failed(_)
                | ReloadChange::Removed { .. },
            )
            | Announcement::Noted { .. }
            | Announcement::Output { .. }
            | Announcement::ExecFailedLate { .. }
            | Announcement::TaskSignalled { .. }
            | Announcement::Asked { .. }
            | Announcement::LogsReopened
            | Announcement::Orphans(_)
            | Announcement::Failed(_) => {}
            Announcement::Shutdown(ShutdownProgress::ExitDecided(_)) => self.decided_to_end(),
            Announcement::Shutdown(
                ShutdownProgress::Power(_)
                | ShutdownProgress::Begun { .. }
                | ShutdownProgress::Forced
                | ShutdownProgress::Killing(_)
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

    fn moved(&mut self, now: Millis, name: &str, transition: &Transition) {
        let Transition { from, to, cause, .. } = transition;
        let (from, to) = (*from, *to);
        self.note(now, || format!("{name}: {from} -> {to}: {cause}"));
        let Some(id) = self.id_of(name) else {
            return self.rule(false, || format!("a transition of {name}, which is none"));
        };
        let Some(proc) = self.procs.get_mut(&id) else { return };
        let before = proc.state;
        let up = |state| matches!(state, ProcessState::Running | ProcessState::Unhealthy);
        proc.completed = matches!(cause, Cause::Completed { .. });
        if up(before) || up(to) || proc.completed {
            proc.last_up = Some(now);
        }
        // Announced right before the spawn, which looks at the time before.
        if to != ProcessState::Starting || before != ProcessState::Backoff {
            (proc.since, proc.delay) = (now, 0);
        }
        proc.state = to;
        if ends_daemon(proc, to, cause) && self.ending.is_none() {
            self.fatal_end = self.fatal_end.or(Some(now));
        }
        let (limit, hopeless, unsure) = (proc.config.startretries, proc.hopeless, proc.unsure);
        match to {
            ProcessState::Running => proc.rows[0] = 0,
            ProcessState::Backoff => {
                proc.retries += 1;
                let row = &mut proc.rows[row_of(cause)];
                *row += 1;
                proc.delay = (*row).min(30);
            }
            ProcessState::Fatal => proc.want = Some(false),
            ProcessState::Exited => {
                proc.may_rest = proc.completed || proc.config.autorestart != AutoRestart::Always;
                proc.rows[0] *= u32::from(!proc.completed);
            }
            ProcessState::Stopped | ProcessState::Starting | ProcessState::Stopping | ProcessState::Unhealthy => {}
        }
        let failed = matches!(to, ProcessState::Fatal | ProcessState::Unhealthy);
        for commit in self.commit.iter_mut().filter(|_| failed) {
            commit.failed = true;
            commit.must_end |= commit.watched.contains(&id);
        }
        let by_reload = matches!(cause, Cause::Requested { by: Initiator::Reload { .. }, .. });
        if by_reload && to != ProcessState::Stopped {
            self.begun.insert(id);
        }
        self.rolled_back.iter_mut().for_each(|right| *right |= failed);
        let (retries, row) = (proc.retries, proc.rows[row_of(cause)]);
        self.counts.fatal += u64::from(to == ProcessState::Fatal);
        self.counts.unhealthy += u64::from(to == ProcessState::Unhealthy);
        self.rule(before == from, || format!("{name}: {from} -> {to} is announced, but it was {before}"));
        self.rule(to != ProcessState::Backoff || row <= limit, || format!("{name}: retry {row} of {limit}"));
        self.rule(to != ProcessState::Backoff || !hopeless, || format!("{name}: BACKOFF for what will never succeed"));
        let early = to == ProcessState::Fatal && !hopeless && !unsure && retries < limit;
        self.rule(!early, || format!("{name}: FATAL after {retries} retries of {limit}"));
    }

    pub(super) fn age(&self, now: Millis, id: ProcId) -> Millis {
        self.procs.get(&id).map_or(0, |proc| now - proc.since)
    }
}

/// Which row of retries it is that a `BACKOFF` belongs to.
fn row_of(cause: &Cause) -> usize {
    let for_health = |failure: &Failure| matches!(failure, Failure::Unhealthy { .. });
    usize::from(matches!(cause, Cause::BackedOff { failure, .. } if for_health(failure)))
}

/// Does this end of a program end the daemon?
fn ends_daemon(proc: &Proc, to: ProcessState, cause: &Cause) -> bool {
    let failed = || match cause {
        Cause::Completed { .. } => false,
        Cause::Exited { exit: Exit::Code(code), .. } => !proc.config.exitcodes.contains(code),
        _ => true,
    };
    let fits = match proc.config.exit_on {
        ExitOn::Never => false,
        ExitOn::Exit => matches!(to, ProcessState::Exited | ProcessState::Fatal),
        ExitOn::Fatal => to == ProcessState::Fatal,
        ExitOn::Failure => to == ProcessState::Fatal || to == ProcessState::Exited && failed(),
    };
    fits && !proc.leaving
}

/// From the first signal of a stop to SIGKILL.
pub(super) fn time_of_stop(config: &ProgramConfig) -> Millis {
    let steps = config.stopsignal.split(',').map(|step| step.split_once(':').and_then(|(_, own)| own.parse().ok()));
    steps.map(|own| SECOND * own.unwrap_or(Millis::from(config.stopwaitsecs))).sum()
}

/// Until a start has come about or failed.
pub(super) fn time_of_start(config: &ProgramConfig) -> Millis {
    let limit = Millis::from(config.start_timeout.max(config.startsecs)) * SECOND + time_of_stop(config);
    match (config.program_type, &config.ready) {
        (ProgramType::Simple, Readiness::Startsecs) => Millis::from(config.startsecs) * SECOND,
        (ProgramType::Simple, Readiness::Fd(_) | Readiness::FdVariable(_) | Readiness::Health)
        | (ProgramType::Oneshot, _) => limit,
    }
}
