//! Timers: each one that fires is looked at, what it changes beyond its own business above all.

use serde_json::Value;

use super::super::super::Engine;
use super::super::super::timers::TimerKey;
use super::copy::bit;
use super::{ALL, Sim};

/// Of so many timers one is looked at closely, which takes as long as two hundred turns.
const OFTEN: u64 = 150_000;
/// The same of those that are rare.
const SELDOM: u64 = 5_000;

impl Sim {
    /// Fires what is due, as the dispatcher does, but one by one: the oracle learns which it was.
    pub(super) fn timers(&mut self) -> Result<(), String> {
        let now = self.system.instant();
        for _ in 0..8 {
            let mut fired = 0;
            while let Some(key) = self.engine.timers.take_due(now) {
                self.is_touched = true;
                self.touched |= touched_by(key);
                self.will_fire(key);
                self.fire(key)?;
                if key == TimerKey::ExitPolicy && self.engine.exit_decision().is_some() && self.engine.is_ending() {
                    self.expect_end();
                    self.system.oracle.undecided = true;
                }
                if let Some(copy) = &mut self.copy {
                    copy.run_timer(now);
                }
                self.perform_all()?;
                fired += 1;
                self.system.oracle.counts.inputs += 1;
                if fired > 1_000 {
                    return Err(format!("{key:?} stays due after it has fired"));
                }
            }
            if self.engine.finished().is_some() || self.engine.poll_timeout().is_none_or(|at| at > now) {
                return self.check();
            }
        }
        Err("a timer stays due: the dispatcher would never sleep again".to_owned())
    }

    /// What the oracle has to know of timers.
    fn will_fire(&mut self, key: TimerKey) {
        let now = self.system.now;
        match key {
            TimerKey::Commit => self.system.oracle.roll_back(now),
            TimerKey::ConfigLoad(_) => self.system.load_timed_out(),
            TimerKey::OutputDrain(_)
            | TimerKey::GroupProbe(_)
            | TimerKey::Process(_)
            | TimerKey::Task(_)
            | TimerKey::StartWhen(_)
            | TimerKey::Lifetime(_)
            | TimerKey::Silence(_)
            | TimerKey::Usage
            | TimerKey::Schedule(_)
            | TimerKey::Waiter(_)
            | TimerKey::ExitPolicy
            | TimerKey::ShutdownStage
            | TimerKey::OrphanProbe
            | TimerKey::PendingExec
            | TimerKey::TrimMemory
            | TimerKey::Adoption
            | TimerKey::KeepTimes => {}
        }
    }

    fn fire(&mut self, key: TimerKey) -> Result<(), String> {
        let now = self.system.instant();
        let closely = self.system.random.below(if is_rare(key) { SELDOM } else { OFTEN }) == 0;
        let before = if closely { Some(written(&self.engine)?) } else { None };
        self.engine.begin_turn(now);
        self.engine.fire(key);
        self.engine.end_turn();
        if let Some(again) = self.engine.timers.get(key).filter(|at| *at <= now) {
            return Err(format!("{key:?} has fired, and is due again at {again:?}"));
        }
        let Some(before) = before else { return Ok(()) };
        self.system.oracle.counts.looked_at += 1;
        let after = written(&self.engine)?;
        match meddling(key, &before, &after) {
            Some(what) if !self.engine.is_ending() => Err(format!("{key:?} has changed {what}")),
            Some(_) | None => Ok(()),
        }
    }
}

fn written(engine: &Engine) -> Result<Value, String> {
    serde_json::to_value(engine).map_err(|error| format!("cannot be written: {error}"))
}

/// The processes that a timer is about. What it changes of others is told by the effects.
fn touched_by(key: TimerKey) -> u64 {
    match key {
        TimerKey::OutputDrain(id)
        | TimerKey::GroupProbe(id)
        | TimerKey::Process(id)
        | TimerKey::StartWhen(id)
        | TimerKey::Lifetime(id)
        | TimerKey::Silence(id)
        | TimerKey::Schedule(id) => bit(id),
        TimerKey::Task(_)
        | TimerKey::Waiter(_)
        | TimerKey::Usage
        | TimerKey::OrphanProbe
        | TimerKey::PendingExec
        | TimerKey::KeepTimes => 0,
        TimerKey::ConfigLoad(_)
        | TimerKey::Commit
        | TimerKey::ExitPolicy
        | TimerKey::ShutdownStage
        | TimerKey::TrimMemory
        | TimerKey::Adoption => ALL,
    }
}

fn is_rare(key: TimerKey) -> bool {
    match key {
        TimerKey::OutputDrain(_) | TimerKey::GroupProbe(_) | TimerKey::Process(_) => false,
        TimerKey::Task(_)
        | TimerKey::StartWhen(_)
        | TimerKey::Lifetime(_)
        | TimerKey::Silence(_)
        | TimerKey::Usage
        | TimerKey::Schedule(_)
        | TimerKey::Waiter(_)
        | TimerKey::ConfigLoad(_)
        | TimerKey::Commit
        | TimerKey::ExitPolicy
        | TimerKey::ShutdownStage
        | TimerKey::OrphanProbe
        | TimerKey::PendingExec
        | TimerKey::TrimMemory
        | TimerKey::Adoption
        | TimerKey::KeepTimes => true,
    }
}

/// The parts of the engine that this timer may change, beside the clock and the timers.
fn business(key: TimerKey) -> &'static [&'static str] {
    match key {
        TimerKey::OutputDrain(_) => &["registry", "waiters", "ledger"],
        TimerKey::GroupProbe(_) => &["registry"],
        TimerKey::Process(_) | TimerKey::Lifetime(_) | TimerKey::Task(_) => &[
            "registry",
            "waiters",
            "ledger",
            "histories",
            "commit",
            "exit_policy",
            "tasks",
            "state_notices",
            "outside",
            "lifetimes",
            "silences",
            "schedules",
        ],
        TimerKey::StartWhen(_) | TimerKey::Schedule(_) => &[
            "held",
            "schedules",
            "registry",
            "waiters",
            "ledger",
            "histories",
            "commit",
            "exit_policy",
            "tasks",
            "state_notices",
            "outside",
            "lifetimes",
            "silences",
        ],
        TimerKey::Waiter(_) => &["registry", "waiters", "ledger"],
        TimerKey::ConfigLoad(_) => &["reload", "ledger"],
        TimerKey::Commit => &[
            "commit",
            "registry",
            "settings",
            "waiters",
            "ledger",
            "histories",
            "exit_policy",
            "tasks",
            "state_notices",
            "outside",
            "lifetimes",
            "silences",
            "schedules",
        ],
        TimerKey::ExitPolicy => &["exit_policy"],
        TimerKey::TrimMemory => &["settling"],
        TimerKey::Silence(_) => &["silences"],
        TimerKey::Usage => &["usages"],
        TimerKey::ShutdownStage => &["shutdown"],
        TimerKey::KeepTimes => &["kept"],
        TimerKey::OrphanProbe | TimerKey::PendingExec | TimerKey::Adoption => &[],
    }
}

/// What a timer has changed that is none of its business.
fn meddling(key: TimerKey, before: &Value, after: &Value) -> Option<String> {
    let own = match key {
        TimerKey::OutputDrain(id) | TimerKey::GroupProbe(id) | TimerKey::Process(id) => Some(id.to_string()),
        TimerKey::Commit
        | TimerKey::Task(_)
        | TimerKey::StartWhen(_)
        | TimerKey::Lifetime(_)
        | TimerKey::Schedule(_) => {
            return changed_parts(key, before, after);
        }
        TimerKey::Waiter(_)
        | TimerKey::ConfigLoad(_)
        | TimerKey::ExitPolicy
        | TimerKey::ShutdownStage
        | TimerKey::OrphanProbe
        | TimerKey::PendingExec
        | TimerKey::TrimMemory
        | TimerKey::Silence(_)
        | TimerKey::Usage
        | TimerKey::Adoption
        | TimerKey::KeepTimes => None,
    };
    let set = changed_parts(key, before, after).or_else(|| changed_timers(key, before, after));
    set.or_else(|| {
        let entries = |value: &Value| value.get("registry")?.get("entries")?.as_object().cloned();
        let (before, after) = (entries(before)?, entries(after)?);
        let others = before.iter().filter(|(id, _)| own.as_ref() != Some(*id));
        if let Some(own) = &own
            && let Some(field) = changed_fields(key, before.get(own)?, after.get(own).unwrap_or(&Value::Null))
        {
            return Some(format!("{field} of its own process"));
        }
        let mut changed = others.filter(|(id, entry)| after.get(*id).map(but_waiters) != Some(but_waiters(entry)));
        changed.next().map(|(id, _)| format!("process {id}"))
    })
}

fn changed_parts(key: TimerKey, before: &Value, after: &Value) -> Option<String> {
    let may = |part: &str| ["now", "timers"].contains(&part) || business(key).contains(&part);
    let mut parts = before.as_object()?.iter().filter(|(part, _)| !may(part));
    parts.find(|(part, value)| after.get(part.as_str()) != Some(*value)).map(|(part, _)| part.clone())
}

/// What a timer of a process has changed there that is none of its business.
fn changed_fields(key: TimerKey, before: &Value, after: &Value) -> Option<String> {
    let business: &[&str] = match key {
        TimerKey::OutputDrain(_) => &["draining", "waiters"],
        TimerKey::GroupProbe(_) => &["probes"],
        _ => return None,
    };
    let mut fields = before.as_object()?.iter().filter(|(field, _)| !business.contains(&field.as_str()));
    fields.find(|(field, value)| after.get(field.as_str()) != Some(*value)).map(|(field, _)| field.clone())
}

/// Whether a timer that only has effects has set others.
fn changed_timers(key: TimerKey, before: &Value, after: &Value) -> Option<String> {
    // Each turn puts off the end of the start.
    let starting = before.get("settling") == Some(&Value::Bool(true));
    let only_effects = !starting && (business(key).is_empty() || matches!(key, TimerKey::GroupProbe(_)));
    let set = |value: &Value| value.get("timers").cloned();
    (only_effects && set(before) != set(after)).then(|| "other timers".to_owned())
}

/// A request may wait for several processes.
fn but_waiters(entry: &Value) -> Value {
    let mut entry = entry.clone();
    if let Some(fields) = entry.as_object_mut() {
        fields.remove("waiters");
    }
    entry
}
