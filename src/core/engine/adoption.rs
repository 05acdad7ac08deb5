//! Adoption: what a daemon that died without stopping its programs (kill -9, out of memory) has left of them, and
//! what is done with it.
//!
//! The kernel kills the leaders (`pdeathsig`); their groups, and programs without `pdeathsig`, live on. The next
//! daemon recognises them by a tag in their environment. A tag costs no file, no write and no memory, ends with the
//! process, and every process carries its own; a file with pids could not tell whose a group without its leader is.
//! Whose a process is, is decided in [`classify`].
//!
//! Everything here is pure: facts and the time come in ([`Input`]), effects go out as data ([`Output`]). The initial
//! scan ([`initial_scan`]) decides per program what has to end and what is only told of; the groups of orphans
//! ([`orphan_group`]) follow the former until nothing of it is left. Nothing here waits: a pause is a timer.

mod classify;
mod env_tag;
mod initial_scan;
mod late;
mod orphan_group;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::api::{Bystanders, OrphanNote as Note, ProcId};
use crate::models::Reconcile;
use crate::process::{Moment, ProcessId, ScanFacts};
use crate::util::sorted::{SortedMap, SortedSet};
use classify::Found;
pub(crate) use env_tag::{Identity, VARIABLE};
use initial_scan::InitialScan;
use late::LateFiles;
use orphan_group::{OrphanGroup, Rescans};

/// What an effect has come to. Each effect that has an answer gets exactly one, in the order of the effects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Input {
    /// To [`Output::ReadPidFiles`].
    PidFiles {
        /// The programs whose pid files name a process, and its pid.
        named: Vec<(String, i32)>,
        /// Those of them whose file was written when that process was there.
        written_since: Vec<String>,
    },
    /// To [`Output::Scan`].
    Scanned {
        /// When the look began: what was forked after that may be missing.
        from: Moment,
        /// How long it took.
        took: Duration,
        /// The facts, or why `/proc` could not be read.
        result: Result<ScanFacts, String>,
    },
    /// To [`Output::Examine`].
    Examined {
        /// What is known of these processes now.
        facts: ScanFacts,
    },
    /// To [`Output::Probe`].
    Probed {
        /// Those that are held and live.
        living: Vec<ProcessId>,
        /// Those that have ended; they are no longer held.
        ended: Vec<ProcessId>,
    },
    /// To [`Output::Signal`], only if something was refused.
    Signalled {
        /// The program.
        id: ProcId,
        /// Those that we may not signal, each with the system's reason.
        refused: Vec<(ProcessId, String)>,
    },
}

/// What is to be done, and what the rest of the engine has to know, in this order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Output {
    /// Read which processes are named by the pid files of these programs.
    ReadPidFiles {
        /// Each program's name, and the path of its pid file.
        files: Vec<(String, String)>,
    },
    /// Look at every process of the machine.
    Scan,
    /// Look at these processes alone.
    Examine {
        /// Their pids.
        pids: Vec<i32>,
    },
    /// Take hold of these processes, unless they are held already, and tell which have ended.
    Probe {
        /// The processes.
        processes: Vec<ProcessId>,
    },
    /// Signal these processes, all of which are held, through what they are held by.
    Signal {
        /// The program that they are of.
        id: ProcId,
        /// The processes.
        processes: Vec<ProcessId>,
        /// The signal's number.
        signal: u8,
    },
    /// These processes are of no interest any more.
    Release {
        /// The processes.
        processes: Vec<ProcessId>,
    },
    /// Something of this program has to end before it may be started.
    OrphansFound {
        /// The program.
        id: ProcId,
        /// The pid of one of them.
        pid: i32,
    },
    /// Nothing that had to end is left of this program.
    Gone {
        /// The program.
        id: ProcId,
    },
    /// The initial scan is over: what was not named by [`Output::OrphansFound`] may be started.
    Settled,
    /// A line for the log.
    Log(Note),
}

/// A program as it is configured when the daemon begins, or when it is added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Program {
    /// Its id.
    pub id: ProcId,
    /// Its name, by which orphans are assigned to it.
    pub name: String,
    /// What is to be done with them.
    pub reconcile: Reconcile,
    /// The file that names its main process, where it puts itself into the background.
    pub pid_file: Option<String>,
}

/// See the [module](self).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Adoption {
    /// `None`: nothing would tell our tags from those of others.
    identity: Option<Identity>,
    /// Nothing can be left: the daemon before has ended in order.
    expects_none: bool,
    initial_scan: InitialScan,
    /// The processes that pid files named when the daemon began.
    named: SortedMap<String, i32>,
    /// The programs whose pid files were written when these were there.
    written_since: SortedSet<String>,
    /// The sessions of those among them that are orphans of their programs.
    main_sessions: SortedMap<String, i32>,
    /// The daemons whose processes are orphans.
    dead: SortedSet<ProcessId>,
    /// What has to end, by program.
    groups: SortedMap<ProcId, OrphanGroup>,
    /// What is left alone, but told of in the status.
    noted: SortedMap<ProcId, Vec<ProcessId>>,
    /// What the pid files of programs name, and nothing shows to be of an earlier daemon: likewise.
    untagged: SortedMap<ProcId, ProcessId>,
    /// What was found of programs that were not there, until they are.
    unclaimed: SortedMap<String, Found>,
    /// Programs that came after the initial scan, with what was found of them; not yet told of, as it may have ended.
    untold: SortedMap<ProcId, String>,
    /// Their pid files.
    late: LateFiles,
    rescans: Rescans,
}

impl Adoption {
    /// Before anything is known.
    pub(crate) fn new(identity: Option<Identity>) -> Adoption {
        Adoption {
            identity,
            expects_none: false,
            initial_scan: InitialScan::NotBegun,
            named: SortedMap::default(),
            written_since: SortedSet::default(),
            main_sessions: SortedMap::default(),
            dead: SortedSet::default(),
            groups: SortedMap::default(),
            noted: SortedMap::default(),
            untagged: SortedMap::default(),
            unclaimed: SortedMap::default(),
            untold: SortedMap::default(),
            late: LateFiles::default(),
            rescans: Rescans::default(),
        }
    }

    /// Nothing is to be looked for. To be called before it [begins](Self::begin).
    pub(crate) fn expect_none(&mut self) {
        self.expects_none = true;
    }

    /// Whether it is decided what has to end first.
    pub(crate) fn is_settled(&self) -> bool {
        self.initial_scan == InitialScan::Settled
    }

    /// An earlier daemon may have left something. What PID 1 leaves behind, the kernel kills.
    fn can_be_left(&self) -> bool {
        !self.expects_none && self.identity.as_ref().is_some_and(|identity| identity.process.pid != 1)
    }

    /// Whether the initial scan is under way.
    pub(crate) fn is_looking(&self) -> bool {
        !matches!(self.initial_scan, InitialScan::NotBegun | InitialScan::Settled)
    }

    /// Takes in what an effect has come to.
    pub(crate) fn handle(&mut self, now: Moment, input: Input) -> Vec<Output> {
        let mut out = Vec::new();
        match input {
            Input::PidFiles { named, written_since } => {
                let (named, written_since) = (named.into_iter().collect(), written_since.into_iter().collect());
                match self.is_settled() {
                    true => out.extend(self.late_read(&named, &written_since)),
                    false => (self.named, self.written_since) = (named, written_since),
                }
            }
            Input::Scanned { from, took, result } => match std::mem::take(&mut self.initial_scan) {
                InitialScan::Scanning(search) => self.first_scanned(now, from, search, result, &mut out),
                other @ (InitialScan::NotBegun
                | InitialScan::Examining(_)
                | InitialScan::Waiting { .. }
                | InitialScan::Holding { .. }
                | InitialScan::Settled) => {
                    self.initial_scan = other;
                    self.rescanned(from, took, result, &mut out);
                }
            },
            Input::Examined { facts } if self.is_settled() => out.extend(self.late_examined(&facts)),
            Input::Examined { facts } => self.examined(now, facts, &mut out),
            Input::Probed { living, ended } => {
                let living: SortedSet<ProcessId> = living.into_iter().collect();
                let ended: SortedSet<ProcessId> = ended.into_iter().collect();
                self.noted.retain(|_, noted| {
                    noted.retain(|process| !ended.contains(process));
                    !noted.is_empty()
                });
                self.untagged.retain(|_, process| !ended.contains(process));
                self.first_probed(now, &living, &mut out);
                self.report_late_orphans(&living, &mut out);
                out.extend(self.late_probed(&living, &ended));
                self.members_probed(now, &living, &ended, &mut out);
            }
            Input::Signalled { id, refused } => self.refused(now, id, refused, &mut out),
        }
        out
    }

    /// Does what is due.
    pub(crate) fn handle_timeout(&mut self, now: Moment) -> Vec<Output> {
        let mut out = Vec::new();
        self.initial_scan_timeout(now, &mut out);
        self.stop_timeout(now, &mut out);
        out
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called; `None`: not before something comes in.
    pub(crate) fn poll_timeout(&self) -> Option<Moment> {
        [self.initial_scan.next_wake(), self.stop_wake()].into_iter().flatten().min()
    }

    /// The process will never be heard of again.
    pub(crate) fn forget(&mut self, id: ProcId) -> Vec<Output> {
        self.untold.remove(&id);
        self.late.forget(id);
        let mut processes = self.noted.remove(&id).unwrap_or_default();
        processes.extend(self.untagged.remove(&id));
        processes.extend(self.groups.remove(&id).map(OrphanGroup::into_processes).unwrap_or_default());
        processes.extend(self.initial_scan.forget(id));
        if processes.is_empty() { Vec::new() } else { vec![Output::Release { processes }] }
    }

    /// A program was added: what is left of it is treated as it would have been when the daemon began.
    pub(crate) fn add(&mut self, now: Moment, program: Program) -> Vec<Output> {
        if !self.is_settled() {
            self.initial_scan.add(program);
            return Vec::new();
        }
        let mut out: Vec<Output> = self.read_late(&program).into_iter().collect();
        if let Some(found) = self.unclaimed.remove(&program.name) {
            out.extend(self.claim(now, program, found));
        }
        out
    }

    /// It is not known what of it still lives; but the program must not be started before that is.
    fn claim(&mut self, now: Moment, program: Program, found: Found) -> Vec<Output> {
        let Program { id, name, reconcile, pid_file: _ } = program;
        let (to_end, noted) = found.split(reconcile);
        let processes = [to_end.as_slice(), noted.as_slice()].concat();
        if processes.is_empty() {
            return Vec::new();
        }
        self.untold.insert(id, name.clone());
        if !noted.is_empty() {
            self.noted.insert(id, noted);
        }
        let mut out = Vec::new();
        if let Some(first) = to_end.first() {
            out.push(Output::OrphansFound { id, pid: first.pid });
            self.groups.insert(id, OrphanGroup::late(now, name, reconcile == Reconcile::Kill, to_end));
        }
        out.push(Output::Probe { processes });
        out
    }

    fn report_late_orphans(&mut self, living: &SortedSet<ProcessId>, out: &mut Vec<Output>) {
        let pids = |processes: &[ProcessId]| -> Vec<i32> {
            processes.iter().filter(|process| living.contains(process)).map(|process| process.pid).collect()
        };
        let noted = |id| self.noted.get(&id).map(|noted| pids(noted)).unwrap_or_default();
        let to_end = |id| self.groups.get(&id).map(|group| pids(group.incoming())).unwrap_or_default();
        for (id, name) in std::mem::take(&mut self.untold) {
            let (noted, to_end) = (noted(id), to_end(id));
            if !noted.is_empty() {
                out.push(Output::Log(Note::LeftAlone { program: name.clone(), pids: noted }));
            }
            if !to_end.is_empty() {
                out.push(Output::Log(Note::ToldToEnd { program: name, pids: to_end }));
            }
        }
    }

    /// Asks which of those that are left alone are still there: to be done before the status tells of them.
    pub(crate) fn probe_noted(&self, id: ProcId) -> Option<Output> {
        let noted = self.noted.get(&id).into_iter().flatten();
        let processes: Vec<ProcessId> = noted.chain(self.untagged.get(&id)).copied().collect();
        (!processes.is_empty()).then_some(Output::Probe { processes })
    }

    /// What is left alone beside this program, as of the last probe.
    pub(crate) fn bystanders(&self, id: ProcId) -> Option<Bystanders> {
        let noted = self.noted.get(&id).into_iter().flatten();
        let pids: Vec<i32> = noted.map(|process| process.pid).collect();
        let untagged = self.untagged.get(&id).map(|process| process.pid);
        (!pids.is_empty() || untagged.is_some()).then_some(Bystanders { pids, untagged })
    }
}
