//! The initial scan, before anything is started: which orphans there are, and which of them have to end.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::classify::{Found, classify, dead_daemons, main_sessions, undecided, untagged_mains};
use super::orphan_group::OrphanGroup;
use super::{Adoption, Note, Output, ProcId, Program};
use crate::models::Reconcile;
use crate::process::{Moment, ProcessId, ScanFacts};
use crate::util::sorted::SortedSet;

/// How long a daemon that is about to end, and what is being executed, is waited for. A killed daemon releases its
/// socket a few milliseconds before it has ended.
const UNDECIDED_LIMIT: Duration = Duration::from_millis(300);
/// The pause before the second examination; each further one is twice as long, …
const FIRST_EXAMINE_PAUSE: Duration = Duration::from_millis(2);
/// … up to this.
const MAX_EXAMINE_PAUSE: Duration = Duration::from_millis(20);

/// How far the initial scan has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum InitialScan {
    /// Nobody has asked for it.
    #[default]
    NotBegun,
    /// Every process is being looked at.
    Scanning(ScanRequest),
    /// The undecided ones are being looked at.
    Examining(Undecided),
    /// They are looked at again at `next`.
    Waiting { look: Undecided, next: Moment },
    /// It is decided whose everything is; the processes are being taken hold of.
    Holding {
        request: ScanRequest,
        pre_exec: Option<Note>,
        candidates: Vec<Candidate>,
        not_configured: Vec<(String, Found)>,
    },
    /// It is over.
    Settled,
}

/// What stays the same when everything is looked at once more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ScanRequest {
    programs: Vec<Program>,
    /// The pids that were looked at a second time.
    examined: SortedSet<i32>,
    /// When it is decided at the latest; counted from the initial scan.
    until: Option<Moment>,
}

/// A look that is not complete yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Undecided {
    request: ScanRequest,
    facts: ScanFacts,
    /// Those of the examination that comes next or is under way.
    pids: Vec<i32>,
    pause: Duration,
}

/// What was found of one program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Candidate {
    program: Program,
    to_end: Vec<ProcessId>,
    noted: Vec<ProcessId>,
    /// Its pid file names this one, which has no tag.
    untagged: Option<ProcessId>,
}

impl Candidate {
    fn processes(&self) -> impl Iterator<Item = ProcessId> {
        self.to_end.iter().chain(&self.noted).chain(&self.untagged).copied()
    }
}

impl InitialScan {
    pub(super) fn next_wake(&self) -> Option<Moment> {
        match self {
            InitialScan::Waiting { next, .. } => Some(*next),
            InitialScan::NotBegun
            | InitialScan::Scanning(_)
            | InitialScan::Examining(_)
            | InitialScan::Holding { .. }
            | InitialScan::Settled => None,
        }
    }

    /// One more program is looked for.
    pub(super) fn add(&mut self, program: Program) {
        match self {
            InitialScan::Scanning(request)
            | InitialScan::Examining(Undecided { request, .. })
            | InitialScan::Waiting { look: Undecided { request, .. }, .. }
            | InitialScan::Holding { request, .. } => request.programs.push(program),
            InitialScan::NotBegun | InitialScan::Settled => {}
        }
    }

    /// Drops a program; what is held of it by now.
    pub(super) fn forget(&mut self, id: ProcId) -> Vec<ProcessId> {
        match self {
            InitialScan::Scanning(request)
            | InitialScan::Examining(Undecided { request, .. })
            | InitialScan::Waiting { look: Undecided { request, .. }, .. } => {
                request.programs.retain(|program| program.id != id);
                Vec::new()
            }
            InitialScan::Holding { request, candidates, .. } => {
                request.programs.retain(|program| program.id != id);
                let of_it = candidates.iter().filter(|candidate| candidate.program.id == id);
                let held = of_it.flat_map(Candidate::processes).collect();
                candidates.retain(|candidate| candidate.program.id != id);
                held
            }
            InitialScan::NotBegun | InitialScan::Settled => Vec::new(),
        }
    }
}

impl Adoption {
    /// Looks for what earlier daemons have left of these programs, unless nothing can be there. Ends with
    /// [`Output::Settled`].
    pub(crate) fn begin(&mut self, programs: Vec<Program>) -> Vec<Output> {
        // Where there is none, all of them may come later.
        let is_wanted = programs.is_empty() || programs.iter().any(|program| program.reconcile != Reconcile::Off);
        if !(is_wanted && self.can_be_left()) {
            self.initial_scan = InitialScan::Settled;
            return vec![Output::Settled];
        }
        let file = |program: &Program| Some((program.name.clone(), program.pid_file.clone()?));
        let files: Vec<_> = programs.iter().filter_map(file).collect();
        self.initial_scan =
            InitialScan::Scanning(ScanRequest { programs, examined: SortedSet::default(), until: None });
        let files = Some(files).filter(|files| !files.is_empty()).map(|files| Output::ReadPidFiles { files });
        files.into_iter().chain([Output::Scan]).collect()
    }

    pub(super) fn first_scanned(
        &mut self,
        now: Moment,
        from: Moment,
        mut request: ScanRequest,
        result: Result<ScanFacts, String>,
        out: &mut Vec<Output>,
    ) {
        match result {
            Ok(facts) => {
                request.until.get_or_insert(from + UNDECIDED_LIMIT);
                self.examine_again(now, Undecided { request, facts, pids: Vec::new(), pause: Duration::ZERO }, out);
            }
            Err(reason) => {
                out.push(Output::Log(Note::CannotLook { reason }));
                self.settle(out);
            }
        }
    }

    /// Looks again at what is undecided, for as long as that may change anything.
    fn examine_again(&mut self, now: Moment, mut look: Undecided, out: &mut Vec<Output>) {
        let Some(identity) = &self.identity else { return };
        look.pids = undecided(identity, &look.facts, &look.request.examined);
        // The first examination is never left out: without it nobody is known to be dead.
        let is_first = look.request.examined.is_empty();
        let until = look.request.until.unwrap_or(now);
        if look.pids.is_empty() || (now >= until && !is_first) {
            return self.decide(look, out);
        }
        if is_first {
            return self.examine(look, out);
        }
        look.pause = (look.pause * 2).clamp(FIRST_EXAMINE_PAUSE, MAX_EXAMINE_PAUSE);
        let next = (now + look.pause).min(until);
        self.initial_scan = InitialScan::Waiting { look, next };
    }

    fn examine(&mut self, look: Undecided, out: &mut Vec<Output>) {
        out.push(Output::Examine { pids: look.pids.clone() });
        self.initial_scan = InitialScan::Examining(look);
    }

    pub(super) fn examined(&mut self, now: Moment, facts: ScanFacts, out: &mut Vec<Output>) {
        match std::mem::take(&mut self.initial_scan) {
            InitialScan::Examining(mut look) => {
                look.facts.update(&look.pids, facts);
                look.request.examined.extend(look.pids.iter().copied());
                self.examine_again(now, look, out);
            }
            other @ (InitialScan::NotBegun
            | InitialScan::Scanning(_)
            | InitialScan::Waiting { .. }
            | InitialScan::Holding { .. }
            | InitialScan::Settled) => self.initial_scan = other,
        }
    }

    pub(super) fn initial_scan_timeout(&mut self, now: Moment, out: &mut Vec<Output>) {
        match std::mem::take(&mut self.initial_scan) {
            InitialScan::Waiting { look, next } if next <= now => self.examine(look, out),
            other @ (InitialScan::NotBegun
            | InitialScan::Scanning(_)
            | InitialScan::Examining(_)
            | InitialScan::Waiting { .. }
            | InitialScan::Holding { .. }
            | InitialScan::Settled) => self.initial_scan = other,
        }
    }

    /// Decides what has to end and what is left alone, and takes hold of both.
    fn decide(&mut self, look: Undecided, out: &mut Vec<Output>) {
        let Some(identity) = &self.identity else { return };
        let Undecided { request, facts, .. } = look;
        self.dead.extend(dead_daemons(identity, &facts, &request.examined));
        self.main_sessions.extend(main_sessions(identity, &facts, &self.dead, &self.named));
        let mut found = classify(identity, &facts, &self.dead, &self.main_sessions);
        let mut untagged = untagged_mains(identity, &facts, &found, &self.named);
        untagged.retain(|name, _| self.written_since.contains(name));
        let pre_exec = Some(facts.pre_exec).filter(|pids| !pids.is_empty()).map(|pids| Note::PreExec { pids });
        let mut candidates = Vec::new();
        for program in &request.programs {
            let untagged = untagged.remove(&program.name).filter(|_| program.reconcile != Reconcile::Off);
            let found = found.remove(&program.name);
            if found.is_some() || untagged.is_some() {
                let (to_end, noted) = found.unwrap_or_default().split(program.reconcile);
                candidates.push(Candidate { program: program.clone(), to_end, noted, untagged });
            }
        }
        let not_configured = found.into_iter().collect();
        let processes: Vec<ProcessId> = candidates.iter().flat_map(Candidate::processes).collect();
        self.initial_scan = InitialScan::Holding { request, pre_exec, candidates, not_configured };
        out.push(Output::Probe { processes });
    }

    pub(super) fn first_probed(&mut self, now: Moment, living: &SortedSet<ProcessId>, out: &mut Vec<Output>) {
        match std::mem::take(&mut self.initial_scan) {
            InitialScan::Holding { request, pre_exec, candidates, not_configured } => {
                let has_ended = |process: &ProcessId| !living.contains(process);
                let is_stale = candidates.iter().any(|candidate| candidate.to_end.iter().any(has_ended));
                if is_stale && request.until.is_some_and(|until| now < until) {
                    // What has ended may have forked after the look had passed.
                    self.initial_scan = InitialScan::Scanning(request);
                    return out.extend([release(&candidates, living), Some(Output::Scan)].into_iter().flatten());
                }
                out.extend(pre_exec.map(Output::Log));
                for candidate in candidates {
                    self.take_over(now, candidate, living, out);
                }
                let note = |(program, found): &(String, Found)| {
                    let (program, pids) = (program.clone(), found.pids());
                    Output::Log(Note::NotConfigured { program, pids })
                };
                let is_new = |name: &String| request.programs.iter().find(|program| program.name == *name).cloned();
                for found in not_configured {
                    // It has come in the last moment.
                    if let Some(program) = is_new(&found.0) {
                        out.extend(self.claim(now, program, found.1));
                    } else {
                        out.push(note(&found));
                        self.unclaimed.extend([found]);
                    }
                }
                self.settle(out);
            }
            other @ (InitialScan::NotBegun
            | InitialScan::Scanning(_)
            | InitialScan::Examining(_)
            | InitialScan::Waiting { .. }
            | InitialScan::Settled) => self.initial_scan = other,
        }
    }

    /// What has ended before it was held is not spoken of.
    fn take_over(&mut self, now: Moment, found: Candidate, living: &SortedSet<ProcessId>, out: &mut Vec<Output>) {
        let Candidate { program, mut to_end, mut noted, untagged } = found;
        let Program { id, name, reconcile, pid_file } = program;
        if let Some((process, path)) = untagged.filter(|process| living.contains(process)).zip(pid_file) {
            let pid = process.pid;
            out.push(Output::Log(Note::Untagged { program: name.clone(), pid, path }));
            self.untagged.insert(id, process);
        }
        to_end.retain(|process| living.contains(process));
        noted.retain(|process| living.contains(process));
        if !noted.is_empty() {
            out.push(Output::Log(Note::LeftAlone { program: name.clone(), pids: pids(&noted) }));
            self.noted.insert(id, noted);
        }
        let Some(first) = to_end.first() else { return };
        let pid = first.pid;
        out.push(Output::Log(Note::ToldToEnd { program: name.clone(), pids: pids(&to_end) }));
        self.groups.insert(id, OrphanGroup::new(now, name, reconcile == Reconcile::Kill, to_end));
        out.push(Output::OrphansFound { id, pid });
    }

    fn settle(&mut self, out: &mut Vec<Output>) {
        self.initial_scan = InitialScan::Settled;
        out.push(Output::Settled);
    }
}

/// Lets go of those that were held before another look judges them anew.
fn release(candidates: &[Candidate], held: &SortedSet<ProcessId>) -> Option<Output> {
    let all = candidates.iter().flat_map(Candidate::processes);
    let processes: Vec<ProcessId> = all.filter(|process| held.contains(process)).collect();
    (!processes.is_empty()).then_some(Output::Release { processes })
}

fn pids(processes: &[ProcessId]) -> Vec<i32> {
    processes.iter().map(|process| process.pid).collect()
}
