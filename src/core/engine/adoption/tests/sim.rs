//! Adoption against a simulated table of processes: crashed and living daemons, numbers that are used again, forks and
//! ends at every moment, torn and overwritten environments, refusals. What is true of a process is kept apart from what
//! its environment shows, so that the checks do not repeat the code's own reasoning.

mod table;

use std::collections::{BTreeMap, VecDeque};

use super::*;
use table::{OWN_PLACE, Table};

const SIGTERM: u8 = 15;
const SIGKILL: u8 = 9;
const MILLI: Duration = Duration::from_millis(1);
/// How long the stop stage may take after everything has calmed down.
const HUNT_LIMIT: Duration = Duration::from_secs(20);

struct Sim {
    table: Table,
    adoption: Adoption,
    programs: Vec<Program>,
    /// Programs whose orphans are told to end, and since when.
    stopping: BTreeMap<ProcId, Moment>,
    killed: Vec<ProcId>,
    settled: usize,
    begin: Moment,
    seen: Seen,
}

/// What the simulation has come across, so that none of it is missing by mistake.
#[derive(Debug, Default)]
struct Seen {
    signalled: usize,
    refused: usize,
    gone: usize,
    fresh: usize,
    left_alone: usize,
    waited: usize,
    not_configured: usize,
}

impl Sim {
    fn new(seed: u64) -> Sim {
        let mut table = Table::new(seed);
        let reconcile = [Reconcile::Auto, Reconcile::Kill, Reconcile::Warn, Reconcile::Off];
        let mut programs = Vec::new();
        for (id, name) in (1..).zip(table::PROGRAMS) {
            // One in eight is no longer configured.
            if !table.random.one_in(8) {
                let kinds = if table.random.one_in(2) { 2 } else { 4 };
                let reconcile = reconcile[table.random.below(kinds)];
                programs.push(Program { id, name: name.to_owned(), reconcile, pid_file: None });
            }
        }
        table.populate();
        let adoption = Adoption::new(Some(Identity { place: OWN_PLACE.into(), process: table.own, author: table.own }));
        let (stopping, killed, seen) = (BTreeMap::new(), Vec::new(), Seen::default());
        let begin = table.now;
        Sim { table, adoption, programs, stopping, killed, settled: 0, begin, seen }
    }

    fn reconcile(&self, id: ProcId) -> Reconcile {
        self.programs.iter().find(|program| program.id == id).expect("a configured program").reconcile
    }

    /// Performs effects until none is left, with something happening in between.
    fn perform(&mut self, outputs: Vec<Output>) {
        let mut queue = VecDeque::from(outputs);
        while let Some(output) = queue.pop_front() {
            self.table.churn();
            if let Some(input) = self.perform_one(output) {
                self.table.churn();
                self.round_trip();
                queue.extend(self.adoption.handle(self.table.now, input));
            }
        }
    }

    fn perform_one(&mut self, output: Output) -> Option<Input> {
        match output {
            Output::ReadPidFiles { .. } => {
                return Some(Input::PidFiles { named: Vec::new(), written_since: Vec::new() });
            }
            Output::Scan => {
                let (from, took) = (self.table.now, MILLI * self.table.random.below(5) as u32);
                let result =
                    if self.table.random.one_in(50) { Err("broken".to_owned()) } else { Ok(self.table.scan()) };
                // Without /proc nobody can tell what is left: then nothing is promised.
                self.table.blind |= result.is_err();
                self.table.now += took;
                return Some(Input::Scanned { from, took, result });
            }
            Output::Examine { pids } => return Some(Input::Examined { facts: self.table.examine(&pids) }),
            Output::Probe { processes } => {
                let (living, ended) = processes.into_iter().partition(|process| self.table.hold(*process));
                self.table.now += Duration::from_micros(1);
                return Some(Input::Probed { living, ended });
            }
            Output::Signal { id, processes, signal } => return self.signal(id, &processes, signal),
            Output::Release { processes } => processes.iter().for_each(|process| self.table.release(*process)),
            Output::OrphansFound { id, .. } => {
                assert!(self.stopping.insert(id, self.table.now).is_none(), "found twice");
                let outputs = self.adoption.signal(self.table.now, id, SIGTERM);
                self.perform(outputs);
            }
            Output::Gone { id } => {
                assert!(self.stopping.remove(&id).is_some(), "gone without having been found");
                self.seen.gone += 1;
                self.check_gone(id);
            }
            Output::Settled => {
                self.settled += 1;
                self.check_settled();
            }
            Output::Log(note) => match note {
                Note::LeftAlone { .. } => self.seen.left_alone += 1,
                Note::NotConfigured { .. } => self.seen.not_configured += 1,
                Note::Untagged { .. } => panic!("no pid file names anybody here"),
                Note::CannotLook { .. } | Note::PreExec { .. } | Note::ToldToEnd { .. } | Note::CannotSignal { .. } => {
                }
            },
        }
        None
    }

    fn signal(&mut self, id: ProcId, processes: &[ProcessId], signal: u8) -> Option<Input> {
        let reconcile = self.reconcile(id);
        let name = self.programs.iter().find(|program| program.id == id).map(|program| program.name.clone());
        let mut refused = Vec::new();
        for process in processes {
            assert!(self.table.is_held(*process), "signalled by its number: {process:?}");
            let Some(truth) = self.table.get(*process) else { continue };
            assert!(self.table.is_orphan_of(truth, name.as_deref()), "no orphan of {name:?}: {truth:?}");
            match reconcile {
                Reconcile::Auto => assert!(truth.was_in_leaders_session(self.begin), "doubtful: {truth:?}"),
                Reconcile::Kill => {}
                Reconcile::Warn | Reconcile::Off => panic!("{reconcile:?}: {truth:?}"),
            }
            self.seen.signalled += 1;
            if truth.is_protected {
                self.seen.refused += 1;
                refused.push((*process, "refused".to_owned()));
            } else {
                self.seen.fresh += usize::from(truth.forked_at > self.stopping.get(&id).copied());
                self.table.deliver(*process, signal == SIGKILL);
            }
        }
        (!refused.is_empty()).then_some(Input::Signalled { id, refused })
    }

    /// Nothing that has to end by its setting was overlooked.
    fn check_settled(&self) {
        for Program { id, name, reconcile, .. } in &self.programs {
            let has_to_end = matches!(reconcile, Reconcile::Auto | Reconcile::Kill) && !self.stopping.contains_key(id);
            let left = self.table.plain_to_see(Some(name).filter(|_| has_to_end).map(String::as_str), self.begin);
            assert!(self.table.blind || left.is_empty(), "{name}: overlooked: {left:?}");
        }
    }

    /// Nothing certain lives that we may signal.
    fn check_gone(&self, id: ProcId) {
        let name = self.programs.iter().find(|program| program.id == id).map(|program| program.name.as_str());
        let left = self.table.certain_of(name, self.begin);
        assert!(self.table.blind || left.is_empty(), "{name:?}: still there: {left:?}");
    }

    /// The state survives being written down, at any moment.
    fn round_trip(&mut self) {
        if self.table.random.one_in(10) {
            let text = serde_json::to_string(&self.adoption).expect("it can be written");
            let read: Adoption = serde_json::from_str(&text).expect("it can be read");
            assert_eq!(read, self.adoption);
            self.adoption = read;
        }
    }

    fn run(&mut self) {
        let outputs = self.adoption.begin(self.programs.clone());
        self.perform(outputs);
        let begin = self.begin;
        let mut calm = None;
        while !(self.adoption.is_settled() && self.stopping.is_empty()) {
            if self.table.now > begin + MILLI * 3_000 && calm.is_none() {
                self.table.calm_down();
                calm = Some(self.table.now);
            }
            assert!(calm.is_none_or(|since| self.table.now < since + HUNT_LIMIT), "endless: {:?}", self.adoption);
            let next = self.adoption.poll_timeout().expect("a timer as long as something is awaited");
            self.seen.waited += usize::from(!self.adoption.is_settled());
            self.table.now = next.max(self.table.now + Duration::from_micros(1));
            self.table.churn();
            let outputs = self.adoption.handle_timeout(self.table.now);
            self.perform(outputs);
            self.kill_the_stubborn();
        }
        assert!(self.settled == 1 || self.programs.is_empty(), "settled {} times", self.settled);
        assert_eq!(self.adoption.poll_timeout(), None, "idle when everything is done");
        self.check_holds();
    }

    fn kill_the_stubborn(&mut self) {
        let late = |since: Moment| since + MILLI * 1_000 < self.table.now;
        let ids: Vec<ProcId> = self.stopping.iter().filter(|(_, since)| late(**since)).map(|(id, _)| *id).collect();
        for id in ids.into_iter().filter(|id| !self.killed.contains(id)).collect::<Vec<_>>() {
            self.killed.push(id);
            let outputs = self.adoption.signal(self.table.now, id, SIGKILL);
            self.perform(outputs);
        }
    }

    /// After everything is forgotten, no process is held that lives.
    fn check_holds(&mut self) {
        for id in self.programs.iter().map(|program| program.id).collect::<Vec<_>>() {
            let outputs = self.adoption.forget(id);
            self.perform(outputs);
        }
        assert_eq!(self.table.living_holds(), [], "held for nothing");
    }
}

#[test]
fn thousands_of_crashes() {
    let mut all = Seen::default();
    for seed in 0..1_000 {
        let result = std::panic::catch_unwind(|| {
            let mut sim = Sim::new(seed);
            sim.run();
            sim.seen
        });
        let seen = result.unwrap_or_else(|_| panic!("seed {seed}"));
        all.signalled += seen.signalled;
        all.refused += seen.refused;
        all.gone += seen.gone;
        all.fresh += seen.fresh;
        all.left_alone += seen.left_alone;
        all.waited += seen.waited;
        all.not_configured += seen.not_configured;
    }
    let Seen { signalled, refused, gone, fresh, left_alone, waited, not_configured } = all;
    for count in [signalled, refused, gone, fresh, left_alone, waited, not_configured] {
        assert!(count > 50, "hardly tried: {all:?}");
    }
}
