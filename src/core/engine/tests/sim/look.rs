//! What must hold at any time, whatever has just happened.

use super::super::super::timers::TimerKey;
use super::copy::bit;
use super::{ALL, Millis, SECOND, Sim};
use crate::process::ProcessState;

/// Each so many turns everything is looked at, not only what may have changed.
const THOROUGH: u64 = 16;

impl Sim {
    /// The engine owes as many answers as there are open requests.
    pub(super) fn audit(&self) -> Result<(), String> {
        let (owed, open) = (self.engine.owed(), self.system.open.len());
        match owed == open {
            true => Ok(()),
            false => Err(format!("{owed} answers are owed, but {open} requests are open")),
        }
    }

    /// Every open request is owned by somebody in the engine. What is owned by nobody stays so: once in a turn is
    /// enough. And every task is filed under its process.
    pub(super) fn audit_owners(&self) -> Result<(), String> {
        if !self.engine.tasks.is_index_right() {
            return Err(format!("tasks are filed wrongly: {:?}", self.engine.tasks));
        }
        match self.system.open.iter().find(|request| !self.engine.owns(**request)) {
            Some(request) => Err(format!("{request:?} is open, but nobody owes its answer")),
            None => Ok(()),
        }
    }

    /// What must hold after every turn: of the processes that may have changed in it, and now and then of all.
    pub(super) fn look_around(&mut self) -> Result<(), String> {
        let is_thorough = self.system.oracle.counts.turns.is_multiple_of(THOROUGH);
        let touched = std::mem::take(&mut self.touched) | if is_thorough { ALL } else { 0 };
        let ensure = |holds: bool, rule: &dyn Fn() -> String| if holds { Ok(()) } else { Err(rule()) };
        let (engine, system, now) = (&self.engine, &self.system, self.system.now);
        if engine.finished().is_some() {
            return Ok(());
        }
        let (waiting, entries) = (system.oracle.waiting_count(), system.oracle.procs.len());
        if is_thorough {
            self.look_for_leaks()?;
        }
        let (known, seen) = (engine.registry.iter().count(), system.shown.len());
        ensure(known == entries && seen == entries, &|| format!("{known} entries, {seen} shown, not {entries}"))?;
        ensure(system.oracle.ending.is_none_or(|by| by >= now), &|| {
            format!("the shutdown takes too long: {:?}, tasks {:?}", engine.shutdown, engine.tasks)
        })?;
        // As many here as there, and both in the order of their numbers.
        let known = system.oracle.procs.iter().zip(&system.shown);
        for ((id, entry), ((proc_id, proc), (shown_id, (_, shown)))) in engine.registry.iter().zip(known) {
            if touched & bit(id) == 0 {
                continue;
            }
            let name = entry.name();
            ensure(*proc_id == id && *shown_id == id, &|| format!("{name} is unknown"))?;
            let state = entry.machine.state();
            ensure(state == proc.state, &|| format!("{name} is {state}, announced was {}", proc.state))?;
            let run = system.runs.get(&id);
            let pid = run.filter(|run| run.leader.is_some()).map(|run| run.pid);
            ensure(entry.machine.pid() == pid, &|| format!("{name}: pid {:?}, not {pid:?}", entry.machine.pid()))?;
            ensure(entry.machine.has_run() == run.is_some(), &|| format!("{name}: has it a run?"))?;
            let started = run.filter(|run| run.leader.is_some()).map(|run| run.spawned);
            let told = entry.machine.started_at().map(|at| system.instant().saturating_duration_since(at).as_millis());
            ensure(told == started.map(|at| u128::from(now - at)), &|| format!("{name}: up for {told:?} ms"))?;
            ensure(entry.waiters.len() <= waiting + 64, &|| format!("{name}: {} waiters", entry.waiters.len()))?;
            ensure(!entry.has_left(), &|| format!("{name} has left, but is there"))?;
            let (at, next) = (engine.timers.get(TimerKey::Process(id)), entry.machine.poll_timeout());
            ensure(at == next, &|| format!("{name} is to be woken at {next:?}, but is at {at:?}"))?;
            let shown = shown.as_ref();
            let untouched = shown.is_none() && proc.spawns == 0;
            let is_shown = || shown.is_some_and(|shown| *shown == entry.machine.view());
            ensure(untouched || is_shown(), &|| format!("{name} is {:?}, shown as {shown:?}", entry.machine.view()))?;
            let starting = Millis::from(proc.config.startsecs.max(4)) * SECOND + 4_000 * SECOND;
            let is_late = state == ProcessState::Starting && now - proc.since > starting;
            // What it waits for outside may never come.
            let waits = || system.has_hook(id) || !engine.awaited_outside(id).is_empty();
            ensure(!is_late || waits(), &|| format!("{name} hangs in STARTING"))?;
        }
        Ok(())
    }

    /// Nothing that is over stays: neither who waits nor a timer.
    fn look_for_leaks(&self) -> Result<(), String> {
        let ensure = |holds: bool, rule: &dyn Fn() -> String| if holds { Ok(()) } else { Err(rule()) };
        let (engine, system) = (&self.engine, &self.system);
        let (waiting, entries) = (system.oracle.waiting_count(), system.oracle.procs.len());
        // A waiter that nobody waits for is that of a reload by a signal, as long as something of a removed one lives.
        let leaving = system.oracle.procs.values().filter(|proc| proc.leaving).count();
        let waiters = engine.waiters.len();
        ensure(waiters <= waiting + 64 * usize::from(leaving > 0) + 64, &|| {
            format!("{waiters} waiters for {waiting} clients")
        })?;
        let (mut all, mut timers) = (0, 0);
        for key in engine.timers.keys() {
            all += 1;
            timers += usize::from(matches!(key, TimerKey::Waiter(_)));
        }
        ensure(timers <= waiters, &|| format!("{timers} timers for {waiters} waiters"))?;
        let timers = all - timers;
        ensure(timers <= 9 * entries + 6, &|| format!("{timers} timers for {entries}"))?;
        Ok(())
    }
}
