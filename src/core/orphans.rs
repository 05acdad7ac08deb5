//! The effects of [adoption](super::engine::adoption): looking at processes, holding and signalling them.
//!
//! The engine does not perform effects of adoption yet: until then they are performed here, at once, and the first
//! look is waited for.

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::Path;
use std::sync::Arc;

use super::engine::adoption::{Adoption, Identity, Input, Output, Program, Traces, VARIABLE};
use super::world::ProcId;
use crate::models::{ProgramConfig, SupervisorConfig};
use crate::process::{Moment, ProcessId};
use crate::sys::orphan_scan::{self, ProcessRef};
use crate::sys::{proc, time};

/// Which daemon this is; `None` for one without socket and pid file: nothing would tell it from others.
pub(super) fn identify(config: &SupervisorConfig) -> Option<Identity> {
    let place = config.socket_path.as_deref().or(config.pidfile.as_deref())?;
    let place = match std::path::absolute(Path::new(place)) {
        Ok(absolute) if !place.starts_with('@') => absolute.to_str()?.into(),
        Ok(_) | Err(_) => place.into(),
    };
    let pid = i32::try_from(std::process::id()).ok()?;
    Some(Identity { place, process: proc::stat(pid)?.id() })
}

/// The processes that adoption is interested in, held.
#[derive(Default)]
struct Held(HashMap<ProcessId, ProcessRef>);

impl Held {
    /// Performs one effect; its answer. `None` too for what is no effect.
    fn perform(&mut self, output: &Output) -> Option<Input> {
        match output {
            Output::Scan => {
                let from = time::now();
                let result = orphan_scan::scan(VARIABLE).map_err(|error| error.to_string());
                Some(Input::Scanned { from, took: time::now().saturating_duration_since(from), result })
            }
            Output::Examine { pids } => Some(Input::Examined { facts: orphan_scan::examine(VARIABLE, pids) }),
            Output::Probe { processes } => Some(self.probe(processes)),
            Output::Signal { id, processes, signal } => self.signal(*id, processes, *signal),
            Output::Release { processes } => {
                processes.iter().for_each(|process| drop(self.0.remove(process)));
                None
            }
            Output::OrphansFound { .. } | Output::Gone { .. } | Output::Settled | Output::Log(_) => None,
        }
    }

    fn probe(&mut self, processes: &[ProcessId]) -> Input {
        for process in processes {
            if !self.0.contains_key(process) {
                self.0.extend(ProcessRef::hold(*process).map(|held| (*process, held)));
            }
        }
        let (living, ended) = self.partition(processes);
        ended.iter().for_each(|process| drop(self.0.remove(process)));
        Input::Probed { living, ended }
    }

    /// Those that live, and those that have ended, as everything has that is not held.
    fn partition(&self, processes: &[ProcessId]) -> (Vec<ProcessId>, Vec<ProcessId>) {
        let lives = |process: &ProcessId| self.0.get(process).is_some_and(|held| !held.has_ended());
        processes.iter().copied().partition(lives)
    }

    fn signal(&self, id: ProcId, processes: &[ProcessId], signal: u8) -> Option<Input> {
        let refusal = |process: &ProcessId| {
            let error = self.0.get(process)?.signal(signal).err()?;
            Some((*process, error.to_string()))
        };
        let refused: Vec<_> = processes.iter().filter_map(refusal).collect();
        (!refused.is_empty()).then_some(Input::Signalled { id, refused })
    }
}

/// See the [module](self).
pub(super) struct Orphans {
    adoption: Adoption,
    held: Held,
    found: Vec<(ProcId, i32)>,
    /// Programs of which something is hunted, or has just gone.
    hunted: HashSet<ProcId>,
    gone: HashSet<ProcId>,
}

impl Orphans {
    pub(super) fn new(identity: Option<Identity>) -> Orphans {
        Orphans {
            adoption: Adoption::new(identity),
            held: Held::default(),
            found: Vec::new(),
            hunted: HashSet::new(),
            gone: HashSet::new(),
        }
    }

    pub(super) fn identity(&self) -> Option<&Identity> {
        self.adoption.identity()
    }

    /// Looks for what earlier daemons have left of these programs. Returns those of which something has to go
    /// first, each with a pid.
    pub(super) fn find(&mut self, programs: &[(ProcId, Arc<ProgramConfig>)]) -> Vec<(ProcId, i32)> {
        let program = |(id, config): &(ProcId, Arc<ProgramConfig>)| Program {
            id: *id,
            name: config.name.clone(),
            reconcile: config.reconcile,
        };
        let outputs = self.adoption.begin(programs.iter().map(program).collect(), Traces::UNKNOWN);
        self.perform(outputs);
        while !self.adoption.is_settled()
            && let Some(next) = self.adoption.poll_timeout()
        {
            std::thread::sleep(next.saturating_duration_since(time::now()));
            let outputs = self.adoption.handle_timeout(time::now());
            self.perform(outputs);
        }
        std::mem::take(&mut self.found)
    }

    fn perform(&mut self, outputs: Vec<Output>) {
        let mut queue = VecDeque::from(outputs);
        while let Some(output) = queue.pop_front() {
            match &output {
                Output::OrphansFound { id, pid } => {
                    self.hunted.insert(*id);
                    self.found.push((*id, *pid));
                }
                Output::Gone { id } => drop(self.gone.insert(*id)),
                Output::Log(note) if note.is_error() => log::error!("{note}"),
                Output::Log(note) => log::warn!("{note}"),
                Output::Scan
                | Output::Examine { .. }
                | Output::Probe { .. }
                | Output::Signal { .. }
                | Output::Release { .. }
                | Output::Settled => {}
            }
            if let Some(input) = self.held.perform(&output) {
                queue.extend(self.adoption.handle(time::now(), input));
            }
        }
    }

    /// Signals what has to go. Those that we may not signal are left alone from then on.
    pub(super) fn signal(&mut self, id: ProcId, signal: u8) {
        let outputs = self.adoption.signal(time::now(), id, signal);
        self.perform(outputs);
    }

    /// Whether everything that had to go is gone.
    pub(super) fn are_gone(&mut self, id: ProcId, now: Moment) -> bool {
        let outputs = self.adoption.handle_timeout(now);
        self.perform(outputs);
        !self.hunted.contains(&id) || self.gone.contains(&id)
    }

    /// Nothing is hunted for this process any more; `true` if something was.
    pub(super) fn end_hunt(&mut self, id: ProcId) -> bool {
        self.gone.remove(&id);
        self.hunted.remove(&id)
    }

    /// The process will never be heard of again.
    pub(super) fn forget(&mut self, id: ProcId) {
        let outputs = self.adoption.forget(id);
        self.perform(outputs);
    }

    /// A sentence about what is left alone, as long as it is there.
    pub(super) fn note(&self, id: ProcId) -> Option<String> {
        let Some(Output::Probe { processes }) = self.adoption.probe_noted(id) else { return None };
        let (living, ended) = self.held.partition(&processes);
        // The caller may change nothing: what has ended is dropped from a copy.
        let mut adoption = self.adoption.clone();
        adoption.handle(time::now(), Input::Probed { living, ended });
        adoption.bystanders(id).map(|bystanders| bystanders.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_absolute_and_a_daemon_without_one_has_no_identity() {
        let identity = |socket: &str| {
            let config = SupervisorConfig { socket_path: Some(socket.to_owned()), ..SupervisorConfig::default() };
            identify(&config).unwrap()
        };
        assert!(identity("ctl.sock").place.starts_with('/'));
        assert_eq!(&*identity("@abstract").place, "@abstract");
        let nowhere = SupervisorConfig { socket_path: None, pidfile: None, ..SupervisorConfig::default() };
        assert!(identify(&nowhere).is_none());
    }

    #[test]
    fn a_living_process_is_held_until_it_is_released() {
        let own = identify(&SupervisorConfig::default()).unwrap().process;
        let reused = ProcessId { start_time: own.start_time + 1, ..own };
        let mut held = Held::default();
        let answer = held.perform(&Output::Probe { processes: vec![own, reused] });
        assert_eq!(answer, Some(Input::Probed { living: vec![own], ended: vec![reused] }));
        assert!(held.0.contains_key(&own) && held.0.len() == 1);
        assert_eq!(held.perform(&Output::Signal { id: 1, processes: vec![own, reused], signal: 0 }), None);
        assert_eq!(held.perform(&Output::Release { processes: vec![own] }), None);
        assert!(held.0.is_empty());
    }
}
