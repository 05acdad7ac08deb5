//! What the oracle expects of reloads, updates, their way back, and of the end of the daemon.

use super::oracle::times::{time_of_clean_up, time_of_start, time_of_stop};
use super::oracle::{Kind, LoadResult, Oracle, Proc};
use std::sync::Arc;

use super::{Millis, SECOND};
use crate::models::ProgramConfig;

/// So long the file may take to be read.
pub(super) const LOAD_LIMIT: Millis = 30 * SECOND;

impl Oracle {
    /// The daemon starts.
    pub(super) fn boot(&mut self) {
        self.booted = true;
        for proc in self.procs.values_mut() {
            (proc.want, proc.asked) = (Some(proc.config.autostart), proc.config.autostart);
        }
    }

    pub(super) fn wants_reload(&mut self, update: bool) {
        if self.ending.is_none() {
            self.applied.insert(self.loads + 1);
            if update {
                self.updates.insert(self.loads + 1);
            }
        }
    }

    pub(super) fn load_begins(&mut self, now: Millis, load: u64) {
        self.rule(self.reading.is_none(), || "the file is read twice at the same time".to_owned());
        let before = self.loads;
        self.rule(load == before + 1, || format!("reading {load} follows {before}"));
        (self.loads, self.reading) = (load, Some(now));
        for ask in self.asks.values_mut().filter(|ask| ask.load == load && ask.kind.waits_for_file()) {
            ask.by = Some(now + LOAD_LIMIT);
        }
    }

    /// The time of a reading is over: whatever it brings is thrown away.
    pub(super) fn load_timed_out(&mut self, now: Millis) {
        let since = self.reading.take();
        self.counts.load_timeouts += 1;
        self.rule(since.is_some_and(|since| now >= since + LOAD_LIMIT), || "a reading ends before its time".to_owned());
        self.applied.remove(&self.loads);
        self.updates.remove(&self.loads);
    }

    /// The file was read; `None`: it is broken.
    pub(super) fn loaded(
        &mut self,
        now: Millis,
        load: u64,
        programs: Option<&[Arc<ProgramConfig>]>,
        shutdown_timeout: u32,
    ) {
        if load != self.loads || self.reading.is_none() {
            self.counts.late_loads += 1;
            return;
        }
        self.reading = None;
        self.begun.clear();
        let update = self.updates.remove(&load);
        let wanted = self.applied.remove(&load);
        let result = match (programs, &self.commit) {
            (None, _) => LoadResult::Broken,
            (Some(_), Some(_)) => LoadResult::Pending,
            (Some(_), None) => LoadResult::Good,
        };
        let applied = wanted && self.ending.is_none() && result == LoadResult::Good;
        let mut removed = Vec::new();
        if let Some(programs) = programs.filter(|_| applied) {
            self.counts.reloads += 1;
            self.before = Some((self.expected().cloned().collect(), self.shutdown_timeout));
            self.shutdown_timeout = Millis::from(shutdown_timeout) * SECOND;
            removed = self.apply(programs.iter().map(Arc::as_ref), update);
        }
        let update = update && applied;
        let by = now + if removed.is_empty() && !update { 0 } else { self.time_to_stop(&removed) };
        // An update waits for whatever it starts, too.
        let is_awaited = update && self.asks.values().any(|ask| ask.load == load);
        let everything: Vec<_> =
            self.procs.iter().filter(|_| is_awaited).map(|(id, proc)| (*id, proc.spawns)).collect();
        let before = self.time_to_stop(&everything) + self.time_to_start(&everything);
        let new = programs
            .into_iter()
            .flatten()
            .filter(|_| is_awaited)
            .map(|program| time_of_start(program) + 2 * (time_of_stop(program) + time_of_clean_up(program)))
            .max();
        let most = now + before + new.unwrap_or(0) + 10 * SECOND;
        for ask in self.asks.values_mut().filter(|ask| ask.load == load) {
            match ask.kind {
                Kind::Reload | Kind::Update => {
                    ask.by = Some(if update { most } else { by });
                    (ask.members, ask.at, ask.result) = (removed.clone(), now, Some(result));
                }
                Kind::Reread => (ask.by, ask.result) = (Some(now), Some(result)),
                _ => {}
            }
        }
    }

    /// These programs are in force from now on; the removed ones, each with its number of spawns.
    fn apply<'p>(
        &mut self,
        programs: impl Iterator<Item = &'p ProgramConfig> + Clone,
        update: bool,
    ) -> Vec<(u32, u64)> {
        let mut removed = Vec::new();
        for (id, proc) in &mut self.procs {
            let program = programs.clone().find(|program| program.name == proc.config.name);
            match program {
                None if !proc.leaving => {
                    (proc.leaving, proc.want) = (true, Some(false));
                    removed.push((*id, proc.spawns));
                }
                Some(program) if proc.leaving => {
                    proc.leaving = false;
                    if program.autostart {
                        (proc.want, proc.asked) = (Some(true), true);
                        (proc.retries, proc.rows, proc.shortages) = (0, [0; 2], 0);
                    }
                }
                Some(_) if update => proc.leave_to_update(),
                Some(_) | None => {}
            }
        }
        removed
    }

    /// The update is taken back.
    pub(super) fn roll_back(&mut self, now: Millis) {
        let Some(commit) = self.commit.take() else {
            return self.rule(false, || "an update is taken back that does not wait to be confirmed".to_owned());
        };
        self.counts.rolled_back += 1;
        self.shutdown_timeout = commit.before.1;
        self.apply(commit.before.0.iter().map(Arc::as_ref), true);
        // What comes back comes back as it was.
        self.procs.values_mut().filter(|proc| !proc.leaving).for_each(Proc::leave_to_update);
        // A failure of this turn is announced before the way back is.
        (self.rolled_back, self.undecided) = (Some(commit.failed || now >= commit.until), true);
    }

    /// Somebody confirms; whether there is something to confirm.
    pub(super) fn confirm(&mut self) -> bool {
        self.commit.take().is_some()
    }

    /// The turn is over.
    pub(super) fn turn_over(&mut self, now: Millis) {
        (self.before, self.undecided) = (None, false);
        self.begun.clear();
        let announced = self.rolled_back.take().is_none();
        self.rule(announced, || "an update was taken back, and nobody was told".to_owned());
        let lives_on = self.ending.is_none() && self.fatal_end.is_some_and(|at| now > at + SECOND);
        self.rule(!lives_on, || "a program has ended that ends the daemon, but it lives on".to_owned());
        let late = self.commit.as_ref().is_some_and(|commit| commit.until <= now || commit.must_end);
        self.rule(!late, || "an unconfirmed update was not taken back".to_owned());
    }

    pub(super) fn terminate(&mut self, now: Millis, orphans: bool) {
        // What tells of changes of state has the same time as orphans have.
        let orphans = if orphans || self.tells_states { 4 * SECOND } else { 0 };
        let kill = now + 2 * SECOND + orphans;
        let first = kill + self.shutdown_timeout;
        self.ending = Some(self.ending.map_or(first, |by| by.min(kill)));
        self.commit = None;
        self.procs.values_mut().for_each(|proc| proc.want = Some(false));
        for ask in self.asks.values_mut() {
            if ask.kind.waits_for_file() && ask.result.is_none() {
                ask.by = Some(now);
            }
        }
    }
}
