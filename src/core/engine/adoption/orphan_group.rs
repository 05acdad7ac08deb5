//! What has to end, followed until nothing of it is left: also what it forks meanwhile.
//!
//! When the last known process of a group has ended, all processes are looked at once more, for all groups at
//! once. What that finds is told what the others were told. The group is gone when a look that began after
//! the end of its last member finds nothing.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::classify::classify;
use super::{Adoption, Note, Output, ProcId};
use crate::models::Reconcile;
use crate::process::{Moment, ProcessId, ScanFacts};
use crate::util::sorted::SortedSet;

/// Two looks at all processes are at least so far apart, …
const MIN_SCAN_PAUSE: Duration = Duration::from_millis(20);
/// … and so many times as long as the last one took, …
const SCAN_PAUSE_SHARE: u32 = 20;
/// … or so many times while they are not trusted, which is not for long.
const UNSURE_PAUSE_SHARE: u32 = 2;
/// A look is not trusted while something is being executed, which shows no tag for a moment. What stays so (its disk
/// hangs), and a machine on which something always is, are not waited for: looks that began later than this after the
/// first such one count. Well below the time that a killed program has in a shutdown.
const UNSURE_LIMIT: Duration = Duration::from_millis(500);
/// Whether members have ended is asked after this time, then after twice as long, …
const FIRST_PROBE_PAUSE: Duration = Duration::from_millis(2);
/// … and never less often than this.
const MAX_PROBE_PAUSE: Duration = Duration::from_millis(250);

/// What has to end of one program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OrphanGroup {
    program: String,
    /// Doubtful ones as well (`reconcile = kill`).
    all: bool,
    /// Held, and alive when they were last asked for.
    members: Vec<ProcessId>,
    /// Found by a later look, not held yet.
    incoming: Vec<ProcessId>,
    last_signal: Option<u8>,
    /// When the last member was seen to have ended.
    empty_since: Option<Moment>,
    next_probe: Moment,
    probe_pause: Duration,
}

impl OrphanGroup {
    pub(super) fn new(now: Moment, program: String, all: bool, members: Vec<ProcessId>) -> OrphanGroup {
        let (next_probe, probe_pause) = (now + FIRST_PROBE_PAUSE, FIRST_PROBE_PAUSE);
        let (incoming, last_signal, empty_since) = (Vec::new(), None, None);
        OrphanGroup { program, all, members, incoming, last_signal, empty_since, next_probe, probe_pause }
    }

    /// Of a program that came after the initial scan: they are not held yet, and may have ended.
    pub(super) fn late(now: Moment, program: String, all: bool, incoming: Vec<ProcessId>) -> OrphanGroup {
        OrphanGroup { incoming, ..OrphanGroup::new(now, program, all, Vec::new()) }
    }

    pub(super) fn incoming(&self) -> &[ProcessId] {
        &self.incoming
    }

    pub(super) fn into_processes(self) -> Vec<ProcessId> {
        [self.members, self.incoming].concat()
    }

    /// Only another look can tell whether something is left.
    fn is_empty(&self) -> bool {
        self.members.is_empty() && self.incoming.is_empty()
    }

    fn probe_soon(&mut self, now: Moment) {
        self.next_probe = now + FIRST_PROBE_PAUSE;
        self.probe_pause = FIRST_PROBE_PAUSE;
    }

    /// Takes in what a probe has told; those that have to be signalled like the others were.
    fn probed(&mut self, now: Moment, living: &SortedSet<ProcessId>, ended: &SortedSet<ProcessId>) -> Vec<ProcessId> {
        let is_new = |process: &ProcessId| living.contains(process);
        let fresh: Vec<ProcessId> = self.incoming.iter().copied().filter(is_new).collect();
        self.incoming.retain(|process| !living.contains(process) && !ended.contains(process));
        self.members.retain(|process| !ended.contains(process));
        self.members.extend(&fresh);
        if !fresh.is_empty() {
            self.probe_soon(now);
        }
        self.note_if_empty(now);
        fresh
    }

    fn note_if_empty(&mut self, now: Moment) {
        if self.is_empty() {
            self.empty_since.get_or_insert(now);
        }
    }
}

/// When all processes are looked at again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Rescans {
    in_flight: bool,
    next: Option<Moment>,
    /// When the last trusted look began.
    pub(super) trusted_from: Option<Moment>,
    /// When the first of those began that may, in a row, have missed something.
    unsure_from: Option<Moment>,
}

impl Rescans {
    pub(super) fn take_note(&mut self, from: Moment, took: Duration, is_unsure: bool) {
        self.in_flight = false;
        // One that was long ago says nothing of what is being executed now.
        let is_in_row = self.next.is_some_and(|next| from.saturating_duration_since(next) <= UNSURE_LIMIT);
        self.unsure_from = is_unsure.then(|| self.unsure_from.filter(|_| is_in_row).unwrap_or(from));
        let share = if is_unsure { UNSURE_PAUSE_SHARE } else { SCAN_PAUSE_SHARE };
        self.next = Some(from + MIN_SCAN_PAUSE.max(took.saturating_mul(share)));
        if self.unsure_from.is_none_or(|first| from.saturating_duration_since(first) > UNSURE_LIMIT) {
            self.trusted_from = Some(from);
        }
    }
}

impl Adoption {
    /// Signals what has to end of this program, and what of it is found later.
    pub(crate) fn signal(&mut self, now: Moment, id: ProcId, signal: u8) -> Vec<Output> {
        let Some(group) = self.groups.get_mut(&id) else { return Vec::new() };
        group.last_signal = Some(signal);
        group.probe_soon(now);
        if group.members.is_empty() {
            return Vec::new();
        }
        vec![Output::Signal { id, processes: group.members.clone(), signal }]
    }

    /// Those that we may not signal are left alone from then on.
    pub(super) fn refused(
        &mut self,
        now: Moment,
        id: ProcId,
        refused: Vec<(ProcessId, String)>,
        out: &mut Vec<Output>,
    ) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        for (process, reason) in refused {
            let Some(place) = group.members.iter().position(|member| *member == process) else { continue };
            group.members.remove(place);
            let (program, pid) = (group.program.clone(), process.pid);
            out.push(Output::Log(Note::CannotSignal { program, pid, reason }));
            self.noted.get_or_default(id).push(process);
        }
        group.note_if_empty(now);
        self.scan_if_due(now, out);
    }

    pub(super) fn members_probed(
        &mut self,
        now: Moment,
        living: &SortedSet<ProcessId>,
        ended: &SortedSet<ProcessId>,
        out: &mut Vec<Output>,
    ) {
        for (id, group) in self.groups.iter_mut() {
            let processes = group.probed(now, living, ended);
            if let Some(signal) = group.last_signal
                && !processes.is_empty()
            {
                out.push(Output::Signal { id: *id, processes, signal });
            }
        }
        self.scan_if_due(now, out);
    }

    pub(super) fn stop_timeout(&mut self, now: Moment, out: &mut Vec<Output>) {
        let mut processes = Vec::new();
        for group in self.groups.values_mut().filter(|group| !group.members.is_empty() && group.next_probe <= now) {
            processes.extend(&group.members);
            group.next_probe = now + group.probe_pause;
            group.probe_pause = (group.probe_pause * 2).min(MAX_PROBE_PAUSE);
        }
        if !processes.is_empty() {
            out.push(Output::Probe { processes });
        }
        self.scan_if_due(now, out);
    }

    fn scan_if_due(&mut self, now: Moment, out: &mut Vec<Output>) {
        let is_wanted = self.groups.values().any(OrphanGroup::is_empty);
        if !is_wanted || self.rescans.in_flight || self.rescans.next.is_some_and(|next| now < next) {
            return;
        }
        self.rescans.in_flight = true;
        // What has ended by now needs no look of its own.
        let processes: Vec<ProcessId> = self.groups.values().flat_map(|group| &group.members).copied().collect();
        if !processes.is_empty() {
            out.push(Output::Probe { processes });
        }
        out.push(Output::Scan);
    }

    pub(super) fn rescanned(
        &mut self,
        from: Moment,
        took: Duration,
        result: Result<ScanFacts, String>,
        out: &mut Vec<Output>,
    ) {
        self.rescans.take_note(from, took, result.as_ref().is_ok_and(|facts| !facts.in_exec.is_empty()));
        // Without /proc nobody can tell any more; what was known has ended.
        if let Ok(facts) = &result {
            self.add_fresh(facts, out);
        }
        let trusted_from = self.rescans.trusted_from;
        let is_gone = |group: &OrphanGroup| group.is_empty() && group.empty_since < trusted_from;
        self.groups.retain(|id, group| {
            if is_gone(group) {
                out.push(Output::Gone { id: *id });
            }
            !is_gone(group)
        });
    }

    fn add_fresh(&mut self, facts: &ScanFacts, out: &mut Vec<Output>) {
        let Some(identity) = &self.identity else { return };
        let mut found = classify(identity, facts, &self.dead, &self.main_sessions);
        let mut all = Vec::new();
        for (id, group) in self.groups.iter_mut() {
            let Some(found) = found.remove(&group.program) else { continue };
            let noted = self.noted.get(id).map(Vec::as_slice).unwrap_or_default();
            let (mut fresh, _) = found.split(if group.all { Reconcile::Kill } else { Reconcile::Auto });
            fresh.retain(|process| {
                ![&group.members, &group.incoming, noted].iter().any(|known| known.contains(process))
            });
            if !fresh.is_empty() {
                // Even if it ends before it is held: it may have forked after the look had passed.
                group.empty_since = None;
                all.extend(&fresh);
                group.incoming.extend(fresh);
            }
        }
        if !all.is_empty() {
            out.push(Output::Probe { processes: all });
        }
    }

    pub(super) fn stop_wake(&self) -> Option<Moment> {
        let probes = self.groups.values().filter(|group| !group.members.is_empty()).map(|group| group.next_probe);
        let is_wanted = !self.rescans.in_flight && self.groups.values().any(OrphanGroup::is_empty);
        // Without a time the look was asked for in the turn in which the group became empty.
        let scan = self.rescans.next.filter(|_| is_wanted);
        probes.chain(scan).min()
    }
}
