//! The oracle: what was asked, what was done and what follows from it, derived independently of the engine.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::super::super::world::{Answer, ProcId};
use super::{Millis, SECOND};
use crate::codec::frames::ErrorCode;
use crate::control::server::ConnId;
use crate::events::{Event, EventType};
use crate::models::{AutoRestart, ProgramConfig};
use crate::process::{ProcessState, SpawnError, SpawnStage};

/// What death by SIGKILL, and everything around it, may take.
const MARGIN: Millis = 5 * SECOND;

/// A process as the oracle knows it.
#[derive(Debug)]
pub(super) struct Proc {
    pub(super) config: Arc<ProgramConfig>,
    run_config: Option<Arc<ProgramConfig>>,
    pub(super) state: ProcessState,
    since: Millis,
    /// What it was last told; `None`: an update has decided that.
    pub(super) want: Option<bool>,
    pub(super) leaving: bool,
    pub(super) spawns: u64,
    last_attempt: Option<Millis>,
    /// An operator has asked for it since the last attempt.
    asked: bool,
    /// `BACKOFF`s since an operator has asked.
    retries: u32,
    /// An update may have begun a new count, or not: there may have been more.
    unsure: bool,
    /// Those in a row: for failed attempts since it was `RUNNING`, for bad health since a check passed.
    rows: [u32; 2],
    /// How many seconds the present `BACKOFF` lasts at least.
    delay: u32,
    /// Its last spawn has failed for good.
    hopeless: bool,
    last_up: Option<Millis>,
    /// When it ended, its settings allowed that it stays so.
    pub(super) may_rest: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Start,
    Stop,
    Restart,
    Reload,
    Reread,
    Wait,
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
    by: Option<Millis>,
    timeout: Option<Millis>,
    load: u64,
}

#[derive(Default)]
pub(super) struct Oracle {
    pub(super) broken: Option<String>,
    pub(super) procs: BTreeMap<ProcId, Proc>,
    asks: BTreeMap<ConnId, Ask>,
    booted: bool,
    pub(super) ending: Option<Millis>,
    pub(super) shutdown_timeout: Millis,
    /// The number of the last reading of the file.
    loads: u64,
    /// Readings that are not only looked at; those that also restart.
    applied: BTreeSet<u64>,
    updates: BTreeSet<u64>,
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
}

impl Counts {
    fn all(&mut self) -> [&mut u64; 13] {
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

    fn present(&self, name: &str) -> Option<ProcId> {
        self.id_of(name).filter(|id| !self.procs[id].leaving)
    }

    fn group(&self, group: &str) -> Vec<ProcId> {
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
            want: Some(start),
            leaving: false,
            spawns: 0,
            last_attempt: None,
            asked: start,
            retries: 0,
            unsure: false,
            rows: [0; 2],
            delay: 0,
            hopeless: false,
            last_up: None,
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

    pub(super) fn event(&mut self, now: Millis, event: &Event) {
        let name = event.text("processname").unwrap_or_default().to_owned();
        let to = ProcessState::ALL.into_iter().find(|state| EventType::of_state(*state) == event.event_type);
        let Some(to) = to else {
            let passed = event.event_type == EventType::HealthcheckPassed;
            if let Some(proc) = self.id_of(&name).and_then(|id| self.procs.get_mut(&id)).filter(|_| passed) {
                proc.rows[1] = 0;
            }
            return;
        };
        let from = event.text("from_state").unwrap_or_default().to_owned();
        self.note(now, || format!("{name}: {from} -> {to}: {}", event.text("cause").unwrap_or_default()));
        let Some(id) = self.id_of(&name) else {
            return self.rule(false, || format!("an event of {name}, which is none"));
        };
        let Some(proc) = self.procs.get_mut(&id) else { return };
        let before = proc.state;
        let up = |state| matches!(state, ProcessState::Running | ProcessState::Unhealthy);
        if up(before) || up(to) {
            proc.last_up = Some(now);
        }
        // Announced right before the spawn, which looks at the time before.
        if to != ProcessState::Starting || before != ProcessState::Backoff {
            (proc.since, proc.delay) = (now, 0);
        }
        proc.state = to;
        let (limit, hopeless, unsure) = (proc.config.startretries, proc.hopeless, proc.unsure);
        match to {
            ProcessState::Running => proc.rows[0] = 0,
            ProcessState::Backoff => {
                proc.retries += 1;
                let row = &mut proc.rows[usize::from(before == ProcessState::Stopping)];
                *row += 1;
                proc.delay = (*row).min(30);
            }
            ProcessState::Fatal => proc.want = Some(false),
            ProcessState::Exited => proc.may_rest = proc.config.autorestart != AutoRestart::Always,
            ProcessState::Stopped | ProcessState::Starting | ProcessState::Stopping | ProcessState::Unhealthy => {}
        }
        let (retries, row) = (proc.retries, proc.rows[usize::from(before == ProcessState::Stopping)]);
        self.counts.fatal += u64::from(to == ProcessState::Fatal);
        self.counts.unhealthy += u64::from(to == ProcessState::Unhealthy);
        self.rule(before.as_str() == from, || format!("{name}: {from} -> {to} is announced, but it was {before}"));
        self.rule(to != ProcessState::Backoff || row <= limit, || format!("{name}: retry {row} of {limit}"));
        self.rule(to != ProcessState::Backoff || !hopeless, || format!("{name}: BACKOFF for what will never succeed"));
        let early = to == ProcessState::Fatal && !hopeless && !unsure && retries < limit;
        self.rule(!early, || format!("{name}: FATAL after {retries} retries of {limit}"));
    }

    // What is asked.

    /// The daemon starts.
    pub(super) fn boot(&mut self) {
        self.booted = true;
        for proc in self.procs.values_mut() {
            (proc.want, proc.asked) = (Some(proc.config.autostart), proc.config.autostart);
        }
    }

    pub(super) fn ask(&mut self, now: Millis, conn: ConnId, kind: Kind, ids: &[ProcId], timeout: Option<Millis>) {
        let starts = matches!(kind, Kind::Start | Kind::Restart);
        let kind = if self.ending.is_some() && (starts || kind == Kind::Reload) { Kind::Refused } else { kind };
        let members: Vec<_> = ids.iter().map(|id| (*id, self.procs[id].spawns)).collect();
        let (down, up) = (self.time_to_stop(&members), self.time_to_start(&members));
        let by = match kind {
            Kind::Stop => Some(now + down),
            Kind::Start | Kind::Restart => Some(now + down + up),
            Kind::Reload | Kind::Reread => None,
            Kind::Wait => timeout.map(|timeout| now + timeout),
            Kind::Question | Kind::Order | Kind::NotFound | Kind::Refused => Some(now),
        };
        let by = [by, timeout.map(|timeout| now + timeout)].into_iter().flatten().min();
        self.asks.insert(conn, Ask { kind, members, at: now, by, timeout, load: self.loads + 1 });
    }

    /// When the first of those who have bounded their patience is to hear something.
    pub(super) fn first_timeout(&self) -> Option<Millis> {
        let waits = |kind| matches!(kind, Kind::Start | Kind::Stop | Kind::Restart | Kind::Wait);
        let asks = self.asks.values().filter(|ask| waits(ask.kind));
        asks.filter_map(|ask| Some(ask.at + ask.timeout?)).min()
    }

    fn time_to_stop(&self, members: &[(ProcId, u64)]) -> Millis {
        let procs = members.iter().filter_map(|(id, _)| self.procs.get(id));
        let configs = procs.flat_map(|proc| [Some(&proc.config), proc.run_config.as_ref()]).flatten();
        MARGIN + configs.map(|config| Millis::from(config.stopwaitsecs) * SECOND).max().unwrap_or(0)
    }

    fn time_to_start(&self, members: &[(ProcId, u64)]) -> Millis {
        let procs = members.iter().filter_map(|(id, _)| self.procs.get(id));
        MARGIN + procs.map(|proc| Millis::from(proc.config.startsecs) * SECOND).max().unwrap_or(0)
    }

    /// An operator's will.
    pub(super) fn will(&mut self, kind: Kind, ids: &[ProcId]) {
        let up = matches!(kind, Kind::Start | Kind::Restart);
        if up && self.ending.is_some() {
            return;
        }
        for id in ids {
            let Some(proc) = self.procs.get_mut(id) else { continue };
            proc.want = Some(up);
            proc.asked |= up;
            if up {
                (proc.retries, proc.rows, proc.unsure) = (0, [0; 2], false);
            }
        }
    }

    /// The members that a command would mean.
    pub(super) fn meant(&self, name: &str, group: bool) -> Vec<ProcId> {
        if group { self.group(name) } else { self.present(name).into_iter().collect() }
    }

    pub(super) fn wants_reload(&mut self, update: bool) {
        if self.ending.is_none() {
            self.applied.insert(self.loads + 1);
            if update {
                self.updates.insert(self.loads + 1);
            }
        }
    }

    pub(super) fn load_begins(&mut self) {
        self.loads += 1;
    }

    /// The file was read; `None`: it is broken.
    pub(super) fn loaded(&mut self, now: Millis, programs: Option<&[ProgramConfig]>, shutdown_timeout: u32) {
        let load = self.loads;
        let update = self.updates.remove(&load);
        let applied = self.applied.remove(&load) && self.ending.is_none();
        let mut removed = Vec::new();
        if let Some(programs) = programs.filter(|_| applied) {
            self.counts.reloads += 1;
            self.shutdown_timeout = Millis::from(shutdown_timeout) * SECOND;
            for (id, proc) in &mut self.procs {
                let program = programs.iter().find(|program| program.name == proc.config.name);
                match program {
                    None if !proc.leaving => {
                        (proc.leaving, proc.want) = (true, Some(false));
                        removed.push((*id, proc.spawns));
                    }
                    Some(program) if proc.leaving => {
                        proc.leaving = false;
                        if program.autostart {
                            (proc.want, proc.asked) = (Some(true), true);
                            (proc.retries, proc.rows) = (0, [0; 2]);
                        }
                    }
                    Some(_) if update => {
                        (proc.want, proc.asked, proc.unsure) = (None, true, true);
                        (proc.retries, proc.rows) = (0, [0; 2]);
                    }
                    Some(_) | None => {}
                }
            }
        }
        let by = now + if removed.is_empty() && !update { 0 } else { self.time_to_stop(&removed) };
        // An update waits for whatever it starts, too.
        let everything: Vec<_> = self.procs.iter().map(|(id, proc)| (*id, proc.spawns)).collect();
        let most = now + self.time_to_stop(&everything) + self.time_to_start(&everything) + 10 * SECOND;
        for ask in self.asks.values_mut().filter(|ask| ask.load == load) {
            match ask.kind {
                Kind::Reload => {
                    ask.by = Some(if update { most } else { by });
                    (ask.members, ask.at) = (removed.clone(), now);
                }
                Kind::Reread => ask.by = Some(now),
                _ => {}
            }
        }
    }

    /// The client has gone.
    pub(super) fn gone(&mut self, conn: ConnId) {
        self.counts.gone += u64::from(self.asks.remove(&conn).is_some());
    }

    pub(super) fn terminate(&mut self, now: Millis, orphans: bool) {
        let orphans = if orphans { 4 * SECOND } else { 0 };
        let kill = now + 2 * SECOND + orphans;
        let first = kill + self.shutdown_timeout;
        self.ending = Some(self.ending.map_or(first, |by| by.min(kill)));
        self.procs.values_mut().for_each(|proc| proc.want = Some(false));
        for ask in self.asks.values_mut() {
            if matches!(ask.kind, Kind::Reload | Kind::Reread) && ask.by.is_none() {
                ask.by = Some(now);
            }
        }
    }

    // What is answered.

    pub(super) fn waiting(&self) -> Vec<ConnId> {
        self.asks.keys().copied().collect()
    }

    pub(super) fn members_of(&self, conn: ConnId) -> Vec<ProcId> {
        self.asks.get(&conn).map(|ask| ask.members.iter().map(|(id, _)| *id).collect()).unwrap_or_default()
    }

    pub(super) fn overdue(&self, now: Millis) -> Option<String> {
        let late = self.asks.iter().find(|(_, ask)| ask.by.is_some_and(|by| by <= now));
        late.map(|(conn, ask)| format!("no answer to {conn}: {ask:?}"))
    }

    /// An answer; `left`: those members of which something lives, `names`: the roster.
    pub(super) fn answered(&mut self, now: Millis, conn: ConnId, answer: &Answer, left: &[ProcId], names: &[String]) {
        self.note(now, || format!("answer to {conn}: {answer:?}"));
        let Some(ask) = self.asks.remove(&conn) else {
            return self.rule(false, || format!("{conn} gets an answer that nobody waits for: {answer:?}"));
        };
        let verdict = self.judge(now, &ask, answer, left, names);
        self.rule(verdict.is_ok(), || format!("{:?} to {ask:?}: {}", answer, verdict.unwrap_err()));
    }

    fn judge(
        &mut self,
        now: Millis,
        ask: &Ask,
        answer: &Answer,
        left: &[ProcId],
        names: &[String],
    ) -> Result<(), String> {
        let ensure = |holds: bool, rule: &str| if holds { Ok(()) } else { Err(rule.to_owned()) };
        let is_up = |proc: &Proc| matches!(proc.state, ProcessState::Running | ProcessState::Unhealthy);
        let mut members = ask.members.iter().filter_map(|(id, spawns)| Some((self.procs.get(id)?, *spawns)));
        let came_up = |proc: &Proc| is_up(proc) || proc.last_up.is_some_and(|up| up >= ask.at);
        let lives = ask
            .members
            .iter()
            .any(|(id, spawns)| left.contains(id) && self.procs.get(id).is_none_or(|proc| proc.spawns == *spawns));
        match (ask.kind, answer) {
            (Kind::NotFound, Answer::Failed { code: ErrorCode::NotFound, .. })
            | (Kind::Refused, Answer::Failed { .. })
            | (Kind::Question, _)
            | (Kind::Order, Answer::Done(_) | Answer::Failed { .. }) => return Ok(()),
            (_, Answer::Failed { code: ErrorCode::Timeout, .. }) => {
                self.counts.timeouts += 1;
                let patience = ask.timeout.unwrap_or(MARGIN).min(MARGIN);
                return ensure(now >= ask.at + patience, "a time-out before its time");
            }
            // Of a group one may have failed first, and come up since.
            (Kind::Start, Answer::Failed { .. }) => {
                ensure(ask.members.len() > 1 || !members.any(|(proc, _)| is_up(proc)), "it is up")?;
            }
            (Kind::Restart | Kind::Wait | Kind::Reload | Kind::Reread, Answer::Failed { .. }) => {}
            // The daemon leaves without what could not be killed, and says so; it may have gone in this very moment.
            (Kind::Stop, Answer::Failed { .. }) => ensure(self.ending.is_some(), "it failed")?,
            (Kind::Stop, Answer::Done(_)) => ensure(!lives, "something of it lives")?,
            (Kind::Start, Answer::Done(_)) => ensure(members.all(|(proc, _)| came_up(proc)), "it was not up")?,
            (Kind::Restart, Answer::Done(_)) => {
                ensure(members.all(|(proc, spawns)| came_up(proc) && proc.spawns > spawns), "it was not restarted")?;
            }
            (Kind::Reload, Answer::Reloaded(_) | Answer::Report(_)) => {
                ensure(!lives, "something of a removed program lives")?;
                let there = |proc: &Proc| proc.leaving && names.contains(&proc.config.name);
                ensure(!members.any(|(proc, _)| there(proc)), "a removed program is still there")?;
            }
            (Kind::Wait, Answer::Done(_)) | (Kind::Reread, Answer::Report(_)) => {}
            (_, _) => return Err("no such answer was to be expected".to_owned()),
        }
        match answer {
            Answer::Failed { .. } => self.counts.failed += 1,
            _ => self.counts.done += 1,
        }
        Ok(())
    }

    pub(super) fn is_waiting(&self, conn: ConnId) -> bool {
        self.asks.contains_key(&conn)
    }

    /// Waits for what may never come, as long as it takes.
    pub(super) fn is_patient(&self, conn: ConnId) -> bool {
        self.asks.get(&conn).is_some_and(|ask| ask.kind == Kind::Wait && ask.by.is_none())
    }

    pub(super) fn age(&self, now: Millis, id: ProcId) -> Millis {
        self.procs.get(&id).map_or(0, |proc| now - proc.since)
    }
}
