//! The registry: all processes by id and by name.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::history::History;
use super::ledger::WaiterId;
use super::output_troubles::OutputTroubles;
use super::start_record::StartRecord;
#[cfg(feature = "attach")]
use super::transient::Transient;
#[cfg(feature = "xmlrpc")]
use crate::api::ToStop;
use crate::api::{Bystanders, Counts, NameHint, NextRun, ProcId, Reached, Refusal, RunningHook, StatusRow};
use crate::models::{ProgramConfig, ProgramType};
use crate::process::{Cause, Condition, HookFailure, LastWords, Machine, Moment, SpawnError};
use crate::util::did_you_mean::closest;
use crate::util::sort::sort_by;
use crate::util::sorted::SortedMap;

/// One process and what belongs to it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) machine: Machine,
    /// The pause after the next probe of a group that outlives its leader; `None` where there is none to probe.
    pub(super) probe_pause: Option<Duration>,
    /// How often the group was found not to be empty since the leader ended.
    pub(super) probes: u32,
    /// The end of the last run's output, for the description.
    pub(super) last_words: Option<Box<LastWords>>,
    /// What is wrong with its output.
    pub(super) output_troubles: OutputTroubles,
    /// The process that was spawned has ended, and the main process of the run is looked for.
    pub(super) detached: bool,
    /// An event listener that gets no more events: what it has said in place of an answer.
    pub(super) listener_said: Option<Arc<str>>,
    /// Why its last health check could not be made, where that was the daemon's trouble.
    pub(super) check_missed: Option<Box<SpawnError>>,
    /// The output of a run that has just ended is being read.
    pub(super) draining: bool,
    /// The requests that wait for this process.
    pub(super) waiters: Vec<WaiterId>,
    /// It is among those that wait for a start slot.
    pub(super) queued: bool,
    /// Its place in the configuration that it was last in.
    pub(super) place: u32,
    /// No longer in the configuration: goes as soon as it is down.
    pub(super) leaving: bool,
    /// Somebody runs it by hand: it is no part of the configuration.
    #[cfg(feature = "attach")]
    pub(super) transient: Option<Transient>,
    /// The daemon itself does not start it.
    pub(super) disabled: bool,
    /// When it came into its present state, and why.
    pub(super) since: Option<Moment>,
    pub(super) history: History,
    pub(super) counts: Counts,
    /// Starts without an operator that are counted already.
    pub(super) counted_restarts: u64,
    /// The hook of the present run that has failed last.
    pub(super) hook_failure: Option<Arc<HookFailure>>,
    pub(super) start_record: StartRecord,
}

impl Entry {
    pub(super) fn new(config: Arc<ProgramConfig>) -> Entry {
        Entry {
            machine: Machine::new(config),
            probe_pause: None,
            probes: 0,
            last_words: None,
            output_troubles: OutputTroubles::default(),
            detached: false,
            listener_said: None,
            check_missed: None,
            draining: false,
            waiters: Vec::new(),
            queued: false,
            place: 0,
            leaving: false,
            #[cfg(feature = "attach")]
            transient: None,
            disabled: false,
            since: None,
            history: History::default(),
            counts: Counts::default(),
            counted_restarts: 0,
            hook_failure: None,
            start_record: StartRecord::default(),
        }
    }

    /// It is in the configuration, and not about to leave it.
    pub(super) fn is_configured(&self) -> bool {
        !self.leaving && !self.is_transient()
    }

    /// Somebody runs it by hand: it is in no file.
    pub(super) fn is_transient(&self) -> bool {
        #[cfg(feature = "attach")]
        return self.transient.is_some();
        #[cfg(not(feature = "attach"))]
        false
    }

    pub(super) fn config(&self) -> &Arc<ProgramConfig> {
        self.machine.config()
    }

    pub(super) fn name(&self) -> &str {
        &self.config().name
    }

    /// `true` if it is to go from the configuration and nothing is left that would have to end before.
    pub(super) fn has_left(&self) -> bool {
        self.leaving && self.is_settled_down()
    }

    /// It is a oneshot that has no process. The order of stops looks through it at what it needs.
    pub(super) fn is_inactive_oneshot(&self) -> bool {
        self.config().program_type == ProgramType::Oneshot && !self.machine.is_engaged()
    }

    /// `true` if no process exists and none will come by itself.
    pub(super) fn is_settled_down(&self) -> bool {
        !self.machine.is_engaged() && self.machine.poll_timeout().is_none() && !self.machine.is_waiting()
    }

    /// What a stop finds to do.
    #[cfg(feature = "xmlrpc")]
    fn to_stop(&self) -> ToStop {
        let machine = &self.machine;
        if self.is_settled_down() && !machine.awaits_dependency() {
            ToStop::Nothing
        } else if machine.is_up() || (machine.is_engaged() && !machine.is_up_or_starting()) {
            ToStop::Run
        } else {
            ToStop::Start
        }
    }

    /// Why it is in its state.
    pub(super) fn cause(&self) -> Option<Cause> {
        self.history.last_transition().map(|past| past.cause.clone())
    }

    /// The state that it is in now, as an answer tells it.
    pub(super) fn reached(&self, now: Moment) -> Box<Reached> {
        Box::new(Reached {
            state: self.machine.state(),
            condition: self.machine.condition(),
            last_words: self.last_words.as_deref().cloned(),
            cause: self.cause(),
            at: now,
        })
    }

    pub(super) fn status(
        &self,
        condition: Condition,
        hook: Option<RunningHook>,
        bystanders: Option<Bystanders>,
        next_run: Option<NextRun>,
    ) -> StatusRow {
        let machine = &self.machine;
        StatusRow {
            program: Arc::clone(self.config()),
            state: machine.state(),
            condition,
            #[cfg(feature = "xmlrpc")]
            to_stop: self.to_stop(),
            hook,
            hook_failure: self.hook_failure.clone(),
            last_words: self.last_words.as_deref().cloned(),
            output_trouble: self.output_troubles.worst(),
            listener_said: self.listener_said.clone(),
            check_missed: self.check_missed.clone().filter(|_| self.machine.pid().is_some()),
            bystanders,
            pid: machine.pid(),
            paused: None,
            pause_requested: machine.is_paused(),
            disabled: self.disabled,
            started_at: machine.started_at(),
            healthy: machine.healthy(),
            last_exit: machine.last_run().map(|run| run.exit),
            #[cfg(feature = "xmlrpc")]
            abandoned: self.history.abandoned(),
            last_started: machine.started_at().or(machine.last_run().map(|run| run.started)),
            last_ended: machine.last_run().map(|run| run.ended),
            ready: machine.ready(),
            completed: machine.has_completed(),
            held: None,
            notify_state: machine.notify_state().cloned().map(Box::new),
            restarts: machine.restarts(),
            counts: self.counts,
            since: self.since,
            kill_at: machine.kill_at(),
            retry_at: machine.retry_at(),
            next_run,
        }
    }
}

/// All processes.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Registry {
    /// In the order in which they came.
    entries: SortedMap<ProcId, Box<Entry>>,
    /// Sorted by the names, which the entries have already.
    by_name: Vec<ProcId>,
    next: ProcId,
    /// Programs of which no instance is there because somebody wants none.
    scaled_away: Vec<String>,
}

impl Registry {
    /// Ids are given from 0 on, one after the other: until one has been removed they are places.
    pub(super) fn get(&self, id: ProcId) -> Option<&Entry> {
        self.entries.get_near(id as usize, &id).map(Box::as_ref)
    }

    pub(super) fn get_mut(&mut self, id: ProcId) -> Option<&mut Entry> {
        self.entries.get_mut_near(id as usize, &id).map(Box::as_mut)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (ProcId, &Entry)> {
        self.entries.iter().map(|(id, entry)| (*id, entry.as_ref()))
    }

    /// Those that are in the configuration.
    pub(super) fn configured(&self) -> impl Iterator<Item = (ProcId, &Entry)> {
        self.iter().filter(|(_, entry)| entry.is_configured())
    }

    /// Those that are there to stay: in the configuration, or run by hand.
    pub(super) fn present(&self) -> impl Iterator<Item = (ProcId, &Entry)> {
        self.iter().filter(|(_, entry)| !entry.leaving)
    }

    /// The same, in the order of the configuration: those that a reload has brought came later than others that stand
    /// behind them.
    pub(super) fn present_in_order(&self) -> Vec<(ProcId, &Entry)> {
        in_order(self.present())
    }

    pub(super) fn ids(&self) -> Vec<ProcId> {
        self.entries.keys().copied().collect()
    }

    pub(super) fn insert(&mut self, mut entry: Entry) -> ProcId {
        let id = self.next;
        entry.place = id;
        self.next += 1;
        match self.place_of(entry.name()) {
            Ok(place) => self.by_name[place] = id,
            Err(place) => self.by_name.insert(place, id),
        }
        self.entries.insert(id, Box::new(entry));
        id
    }

    /// Where the process with this name is in the order of the names, or where it would have to be.
    fn place_of(&self, name: &str) -> Result<usize, usize> {
        self.by_name.binary_search_by(|id| self.get(*id).map_or("", Entry::name).cmp(name))
    }

    pub(super) fn remove(&mut self, id: ProcId) -> Option<Box<Entry>> {
        if let Ok(place) = self.place_of(self.get(id)?.name())
            && self.by_name.get(place) == Some(&id)
        {
            self.by_name.remove(place);
        }
        self.entries.remove(&id)
    }

    /// From now on these are in this order in the configuration.
    pub(super) fn take_places(&mut self, programs: &[Arc<ProgramConfig>]) {
        // Mostly that is the order in which they came: then no name is looked up.
        let order: Vec<ProcId> = self.configured().map(|(id, _)| id).collect();
        let mut next = 0;
        for (place, program) in (0..).zip(programs) {
            let is_it = |id: &ProcId| self.get(*id).is_some_and(|entry| Arc::ptr_eq(entry.config(), program));
            let near = order.get(next).copied().filter(is_it);
            let Some(id) = near.or_else(|| self.id_of(&program.name)) else { continue };
            next = if near.is_some() { next + 1 } else { order.partition_point(|other| *other <= id) };
            if let Some(entry) = self.get_mut(id) {
                entry.place = place;
            }
        }
    }

    /// The process with this name, also one that is leaving.
    pub(super) fn id_of(&self, name: &str) -> Option<ProcId> {
        self.by_name.get(self.place_of(name).ok()?).copied()
    }

    /// The process with this name, unless it has left the configuration.
    pub(super) fn find(&self, name: &str) -> Option<ProcId> {
        let id = self.id_of(name)?;
        self.get(id).filter(|entry| !entry.leaving).map(|_| id)
    }

    /// As [`find`](Self::find), or what is wrong with the name.
    pub(super) fn find_or_refuse(&self, name: &str) -> Result<ProcId, Refusal> {
        self.find(name).ok_or_else(|| Refusal::NoSuchProcess { name: name.to_owned(), hint: self.hint(name) })
    }

    /// The members of a group, in the order of the configuration; empty where there is no such group.
    fn members(&self, group: &str) -> Vec<(ProcId, &Entry)> {
        in_order(self.present().filter(|(_, entry)| entry.config().group_name() == group))
    }

    /// As [`members`](Self::members), or what is wrong with the name.
    pub(super) fn members_or_refuse(&self, group: &str) -> Result<Vec<ProcId>, Refusal> {
        let ids: Vec<ProcId> = self.members(group).into_iter().map(|(id, _)| id).collect();
        if ids.is_empty() && self.is_scaled_away(group) {
            return Err(Refusal::NoSuchProcess {
                name: group.to_owned(),
                hint: NameHint::ScaledAway(group.to_owned()),
            });
        }
        if ids.is_empty() {
            let known = self.present().map(|(_, entry)| entry.config().group_name());
            let nearest = closest(group, known).map(str::to_owned);
            return Err(Refusal::NoSuchGroup { name: group.to_owned(), nearest });
        }
        Ok(ids)
    }

    /// Of these programs somebody wants no instance.
    pub(super) fn set_scaled_away(&mut self, programs: Vec<String>) {
        self.scaled_away = programs;
    }

    fn is_scaled_away(&self, program: &str) -> bool {
        self.scaled_away.iter().any(|away| away == program)
    }

    /// What may have been meant by a name that is none.
    fn hint(&self, name: &str) -> NameHint {
        if self.id_of(name).is_some() {
            return NameHint::Leaving;
        }
        let program = name.split_once(':').map_or(name, |(program, _)| program);
        if self.is_scaled_away(program) {
            return NameHint::ScaledAway(program.to_owned());
        }
        if let Some((_, first)) = self.members(name).first() {
            return NameHint::Group(first.name().to_owned());
        }
        let known = || self.present().map(|(_, entry)| entry.name());
        let instances = format!("{name}:");
        if let Some(first) = known().find(|known| known.starts_with(&instances)) {
            return NameHint::Instances(first.to_owned());
        }
        // Before what is spelled alike: it may be another program.
        let in_group = |known: &&str| known.split_once(':').is_some_and(|(_, process)| process == name);
        let nearest = known().find(in_group).or_else(|| closest(name, known()));
        nearest.map_or(NameHint::None, |nearest| NameHint::Nearest(nearest.to_owned()))
    }
}

/// These in the order of the configuration.
pub(super) fn in_order<'e>(entries: impl Iterator<Item = (ProcId, &'e Entry)>) -> Vec<(ProcId, &'e Entry)> {
    let mut entries: Vec<_> = entries.collect();
    // Mostly that is the order in which they came.
    if !entries.is_sorted_by_key(|(_, entry)| entry.place) {
        sort_by(&mut entries, |(_, one), (_, other)| one.place.cmp(&other.place));
    }
    entries
}
