//! The simulated processes of a machine.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::process::{Moment, ProcessFacts, ProcessId, ScanFacts, TaggedProcess};

pub(super) const OWN_PLACE: &str = "/run/ctl.sock";
pub(super) const PROGRAMS: [&str; 3] = ["web", "db", "cron:00"];
/// So few numbers that they are used again all the time.
const MAX_PID: i32 = 60;

/// SplitMix64.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit).unwrap()).unwrap()
    }

    pub(super) fn one_in(&mut self, odds: usize) -> bool {
        self.below(odds) == 0
    }
}

/// What is shown of the environment.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shown {
    Tag(Vec<u8>),
    Nothing,
    PreExec,
    /// Executing until the moment, then the tag.
    InExec(Moment, Vec<u8>),
}

/// A process, as it really is.
#[derive(Debug, Clone)]
pub(super) struct Truth {
    pub(super) id: ProcessId,
    ppid: i32,
    session: i32,
    shown: Shown,
    same_namespaces: bool,
    /// The daemon and the program below which it is; `None` for strangers, and for us and what we come from.
    owner: Option<(ProcessId, &'static str)>,
    /// The session that was made for the program's leader.
    leader: i32,
    /// When it, or what it comes from, has left that session.
    left_at: Option<Moment>,
    pub(super) is_protected: bool,
    ignores_term: bool,
    is_stranger: bool,
    dies_at: Option<Moment>,
    pub(super) forked_at: Option<Moment>,
    /// When it has last begun to execute a program.
    executed_at: Option<Moment>,
}

impl Truth {
    pub(super) fn is_in_leaders_session(&self) -> bool {
        self.session == self.leader && self.same_namespaces
    }

    /// It was there at that time: nobody can see that it has left since. (Nor that a descendant has got the leader's
    /// own number later, and has made a session with it.)
    pub(super) fn was_in_leaders_session(&self, begin: Moment) -> bool {
        self.is_in_leaders_session() || (self.same_namespaces && self.left_at.is_none_or(|at| at >= begin))
    }
}

pub(super) struct Table {
    pub(super) random: Random,
    pub(super) now: Moment,
    pub(super) own: ProcessId,
    /// A look has failed.
    pub(super) blind: bool,
    processes: BTreeMap<i32, Truth>,
    held: BTreeSet<ProcessId>,
    ended: BTreeMap<ProcessId, Moment>,
    next_pid: i32,
    next_start: u64,
    is_calm: bool,
}

impl Table {
    pub(super) fn new(seed: u64) -> Table {
        let own = ProcessId { pid: 0, start_time: 0 };
        let now = Moment::from_nanos(1_000_000_000);
        let (processes, held, ended) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        let random = Random(seed);
        Table { random, now, own, blind: false, processes, held, ended, next_pid: 0, next_start: 1, is_calm: false }
    }

    /// A number that is free as a pid and as a session, as the kernel gives them out.
    fn free_pid(&mut self) -> i32 {
        loop {
            self.next_pid = self.next_pid % MAX_PID + 1;
            let pid = self.next_pid;
            if !self.processes.contains_key(&pid) && self.processes.values().all(|process| process.session != pid) {
                return pid;
            }
        }
    }

    fn add(&mut self, like: Option<&Truth>) -> &mut Truth {
        let pid = self.free_pid();
        self.next_start += 1;
        let id = ProcessId { pid, start_time: self.next_start };
        let forked_at = Some(self.now);
        let truth = match like {
            Some(parent) => Truth { id, ppid: parent.id.pid, forked_at, dies_at: None, ..parent.clone() },
            None => Truth {
                id,
                ppid: i32::from(pid != 1),
                session: pid,
                shown: Shown::Nothing,
                same_namespaces: true,
                owner: None,
                leader: 0,
                left_at: None,
                is_protected: false,
                ignores_term: false,
                is_stranger: true,
                dies_at: None,
                forked_at,
                executed_at: None,
            },
        };
        self.processes.entry(pid).or_insert(truth)
    }

    /// A daemon starts a program.
    fn run(&mut self, daemon: ProcessId, place: &str) -> i32 {
        let program = PROGRAMS[self.random.below(PROGRAMS.len())];
        let (protected, ignores) = (self.random.one_in(8), self.random.one_in(3));
        let (other_view, torn, hangs) = (self.random.one_in(10), self.random.one_in(10), self.random.one_in(20));
        let busy = self.now + Duration::from_millis(1 + self.random.next() % 100);
        let (executes, cut) = (self.random.one_in(8), self.random.below(20));
        let process = self.add(None);
        let pid = process.id.pid;
        let mut tag = format!("{pid:010}/{}.{}/{program}/{place}", daemon.pid, daemon.start_time).into_bytes();
        tag.truncate(if torn { cut } else { tag.len() });
        process.shown = match (hangs, executes) {
            (true, _) => Shown::PreExec,
            (false, true) => Shown::InExec(busy, tag),
            (false, false) => Shown::Tag(tag),
        };
        (process.ppid, process.leader, process.is_stranger) = (daemon.pid, pid, false);
        process.owner = (place == OWN_PLACE).then_some((daemon, program));
        (process.is_protected, process.ignores_term, process.same_namespaces) = (protected, ignores, !other_view);
        pid
    }

    fn fork(&mut self, pid: i32) -> Option<i32> {
        if self.processes.len() > 40 {
            return None;
        }
        let parent = self.processes.get(&pid)?.clone();
        if matches!(parent.shown, Shown::PreExec) {
            return None;
        }
        Some(self.add(Some(&parent)).id.pid)
    }

    fn end(&mut self, pid: i32) {
        self.ended.extend(self.processes.remove(&pid).map(|process| (process.id, self.now)));
        self.processes.values_mut().filter(|child| child.ppid == pid).for_each(|child| child.ppid = 1);
    }

    /// Earlier daemons, dead, dying and living, with their programs; and this one, which may be below one of those.
    pub(super) fn populate(&mut self) {
        self.next_pid = 0;
        self.add(None); // init
        self.next_pid = i32::try_from(self.random.below(40)).unwrap() + 1;
        let mut dead = Vec::new();
        for _ in 0..=self.random.below(3) {
            let daemon = self.add(None).id;
            // One in four is elsewhere; one in four lives, as one in a container with the same path would.
            let place = if self.random.one_in(4) { "/run/other.sock" } else { OWN_PLACE };
            for _ in 0..self.random.below(4) {
                let leader = self.run(daemon, place);
                for _ in 0..self.random.below(4) {
                    self.fork(leader);
                }
            }
            match self.random.below(4) {
                0 => {}
                1 => {
                    let soon = self.now + Duration::from_millis(self.random.next() % 400);
                    self.processes.get_mut(&daemon.pid).unwrap().dies_at = Some(soon);
                }
                _ => dead.push(daemon.pid),
            }
        }
        dead.iter().for_each(|pid| self.end(*pid));
        for _ in 0..20 {
            self.churn();
        }
        self.add_ourselves();
    }

    /// This daemon: of its own, or started by hand from something that an earlier one has left.
    fn add_ourselves(&mut self) {
        let parent = self.some_owned().filter(|_| self.random.one_in(3));
        let same_session = self.random.one_in(2);
        let pid = match parent.and_then(|pid| self.fork(pid)) {
            Some(pid) => pid,
            None => self.add(None).id.pid,
        };
        let ours = self.processes.get_mut(&pid).unwrap();
        if !same_session && ours.session != pid {
            ours.session = pid;
            ours.left_at.get_or_insert(self.now);
        }
        ours.shown = Shown::Nothing;
        self.own = ours.id;
        let mut next = pid;
        while let Some(process) = self.processes.get_mut(&next) {
            (process.owner, process.dies_at) = (None, None);
            next = process.ppid;
        }
        for _ in 0..2 {
            let own = self.own;
            let leader = self.run(own, OWN_PLACE);
            self.fork(leader);
        }
    }

    fn is_ancestor(&self, pid: i32) -> bool {
        let mut next = self.own.pid;
        while let Some(process) = self.processes.get(&next) {
            if next == pid {
                return true;
            }
            next = process.ppid;
        }
        false
    }

    fn some(&mut self, wanted: impl Fn(&Truth) -> bool) -> Option<i32> {
        let all: Vec<i32> = self.processes.values().filter(|process| wanted(process)).map(|one| one.id.pid).collect();
        if all.is_empty() { None } else { Some(all[self.random.below(all.len())]) }
    }

    fn some_owned(&mut self) -> Option<i32> {
        self.some(|process| process.owner.is_some() && process.shown != Shown::PreExec)
    }

    /// Time passes, and something may happen.
    pub(super) fn churn(&mut self) {
        self.now += Duration::from_micros(1 + self.random.next() % 50);
        self.pass_time();
        if self.is_calm {
            return;
        }
        match self.random.below(12) {
            0 | 1 => drop(self.some_owned().and_then(|pid| self.fork(pid))),
            2 => {
                if let Some(pid) = self.some_owned().filter(|pid| !self.is_ancestor(*pid)) {
                    // It forks and ends: what it leaves has another number.
                    if self.random.one_in(2) {
                        self.fork(pid);
                    }
                    self.end(pid);
                }
            }
            3 => {
                let leaves = self.some_owned().filter(|pid| !self.is_ancestor(*pid));
                if let Some(process) = leaves.and_then(|pid| self.processes.get_mut(&pid))
                    && process.session != process.id.pid
                {
                    process.session = process.id.pid;
                    process.left_at.get_or_insert(self.now);
                }
            }
            4 => {
                let overwrites = self.some_owned().and_then(|pid| self.processes.get_mut(&pid));
                overwrites.into_iter().for_each(|process| process.shown = Shown::Nothing);
            }
            5 | 6 if self.processes.len() < 40 => drop(self.add(None)),
            7 | 8 => {
                let stranger = self.some(|process| process.is_stranger && process.id.pid != 1);
                if let Some(pid) = stranger.filter(|pid| !self.is_ancestor(*pid)) {
                    self.end(pid);
                }
            }
            9 => {
                let until = self.now + Duration::from_millis(self.random.next() % 50);
                let execs = self.some_owned().and_then(|pid| self.processes.get_mut(&pid));
                if let Some(process) = execs
                    && let Shown::Tag(tag) = &process.shown
                {
                    process.shown = Shown::InExec(until, tag.clone());
                    process.executed_at = Some(self.now);
                }
            }
            _ => {}
        }
    }

    fn pass_time(&mut self) {
        let now = self.now;
        for process in self.processes.values_mut() {
            if let Shown::InExec(until, tag) = &process.shown
                && *until <= now
            {
                process.shown = Shown::Tag(tag.clone());
            }
        }
        let ends = self.processes.values().filter(|process| process.dies_at.is_some_and(|at| at <= now));
        ends.map(|process| process.id.pid).collect::<Vec<_>>().into_iter().for_each(|pid| self.end(pid));
    }

    /// From now on nothing happens by itself.
    pub(super) fn calm_down(&mut self) {
        self.is_calm = true;
    }

    fn show(&self, process: &Truth, facts: &mut ScanFacts) {
        facts.living.push(ProcessFacts { id: process.id, ppid: process.ppid, session: process.session });
        if process.id == self.own {
            return;
        }
        match &process.shown {
            Shown::Tag(tag) => {
                let (id, sees_same_namespaces) = (process.id, process.same_namespaces);
                facts.tagged.push(TaggedProcess { id, tag: tag.clone(), sees_same_namespaces });
            }
            Shown::Nothing => {}
            Shown::PreExec => facts.pre_exec.push(process.id.pid),
            Shown::InExec(..) => facts.in_exec.push(process.id.pid),
        }
    }

    /// One process after the other; things go on meanwhile.
    pub(super) fn scan(&mut self) -> ScanFacts {
        let mut facts = ScanFacts::default();
        for pid in 1..=MAX_PID {
            if self.random.one_in(20) {
                self.churn();
            }
            if let Some(process) = self.processes.get(&pid) {
                self.show(process, &mut facts);
            }
        }
        facts
    }

    pub(super) fn examine(&self, pids: &[i32]) -> ScanFacts {
        let mut facts = ScanFacts::default();
        pids.iter().filter_map(|pid| self.processes.get(pid)).for_each(|process| self.show(process, &mut facts));
        facts
    }

    pub(super) fn get(&self, process: ProcessId) -> Option<&Truth> {
        self.processes.get(&process.pid).filter(|there| there.id == process)
    }

    pub(super) fn hold(&mut self, process: ProcessId) -> bool {
        let lives = self.get(process).is_some();
        if lives {
            self.held.insert(process);
        } else {
            self.held.remove(&process);
        }
        lives
    }

    pub(super) fn release(&mut self, process: ProcessId) {
        self.held.remove(&process);
    }

    pub(super) fn is_held(&self, process: ProcessId) -> bool {
        self.held.contains(&process)
    }

    pub(super) fn living_holds(&self) -> Vec<ProcessId> {
        self.held.iter().copied().filter(|process| self.get(*process).is_some()).collect()
    }

    /// Below a daemon at our place that is dead, neither ours nor something that we come from.
    pub(super) fn is_orphan_of(&self, truth: &Truth, program: Option<&str>) -> bool {
        let own_session = self.get(self.own).map(|own| own.session);
        let is_dead = |daemon: ProcessId| daemon != self.own && self.get(daemon).is_none();
        truth.owner.is_some_and(|(daemon, of)| is_dead(daemon) && Some(of) == program)
            && !self.is_ancestor(truth.id.pid)
            && Some(truth.session) != own_session
    }

    /// Those that can be recognised without doubt and signalled, of daemons that were dead at that time.
    pub(super) fn certain_of(&self, program: Option<&str>, begin: Moment) -> Vec<&Truth> {
        let is_whole = |shown: &Shown| matches!(shown, Shown::Tag(tag) if tag.ends_with(OWN_PLACE.as_bytes()));
        let was_dead = |process: &Truth| {
            process.owner.is_some_and(|(daemon, _)| self.ended.get(&daemon).is_some_and(|at| *at < begin))
        };
        let orphans = self.processes.values().filter(|process| self.is_orphan_of(process, program));
        let certain = orphans.filter(|process| process.is_in_leaders_session() && is_whole(&process.shown));
        certain.filter(|process| !process.is_protected && was_dead(process)).collect()
    }

    /// Those among them that showed their tag all the time.
    pub(super) fn plain_to_see(&self, program: Option<&str>, begin: Moment) -> Vec<&Truth> {
        let before = |at: Option<Moment>| at.is_none_or(|at| at < begin);
        let mut all = self.certain_of(program, begin);
        all.retain(|process| before(process.forked_at) && before(process.executed_at) && before(process.left_at));
        all
    }

    pub(super) fn deliver(&mut self, process: ProcessId, is_kill: bool) {
        let later = self.now + Duration::from_micros(self.random.next() % 20_000);
        if let Some(there) = self.processes.get_mut(&process.pid).filter(|there| there.id == process)
            && (is_kill || !there.ignores_term)
        {
            there.dies_at = Some(there.dies_at.map_or(later, |at| at.min(later)));
        }
    }
}
