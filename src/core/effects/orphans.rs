//! The effects of [adoption](super::super::engine::adoption): looking at processes, holding and signalling them.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::super::engine::adoption::{Identity, Input, Output, VARIABLE};
use super::Effects;
use super::main_process::read_pid_file;
use crate::api::ProcId;
use crate::models::SupervisorConfig;
use crate::process::{NoMain, ProcessId, ScanFacts};
use crate::sys::orphan_scan::{self, ProcessRef};
use crate::sys::{proc, time};
use crate::util::errno;

/// Which daemon this is; `None` for one without socket and pid file: nothing would tell it from others.
pub(in crate::core) fn identify(config: &SupervisorConfig) -> Option<Identity> {
    let place = config.socket_path.as_deref().or(config.pidfile.as_deref())?;
    let place = match std::path::absolute(Path::new(place)) {
        Ok(absolute) if !place.starts_with('@') => absolute.to_str()?.into(),
        Ok(_) | Err(_) => place.into(),
    };
    let process = proc::stat(i32::try_from(std::process::id()).ok()?)?.id();
    // One that begins anew in the same process is another: no process with this number has begun at that time.
    let author = ProcessId { start_time: process.start_time + RUNS.fetch_add(1, Ordering::Relaxed), ..process };
    Some(Identity { place, process, author })
}

/// How often a daemon has begun in this process.
static RUNS: AtomicU64 = AtomicU64::new(0);

/// The processes that adoption is interested in, held.
#[derive(Default)]
pub(super) struct ProcessRefs(HashMap<ProcessId, ProcessRef>);

impl ProcessRefs {
    /// As [`perform`](Self::perform), with an answer also after a panic: what is owed one would wait for it for ever.
    pub(super) fn perform_guarded(&mut self, output: &Output) -> Option<Input> {
        catch_unwind(AssertUnwindSafe(|| self.perform(output))).unwrap_or_else(|_| {
            log::error!("a look at processes: an internal error of supervice (a panic), please report it");
            match output {
                Output::Scan => Some(Input::Scanned {
                    from: time::now(),
                    took: Duration::ZERO,
                    result: Err("an internal error of supervice".to_owned()),
                }),
                Output::Examine { .. } => Some(Input::Examined { facts: ScanFacts::default() }),
                Output::Probe { processes } => Some(Input::Probed { living: Vec::new(), ended: processes.clone() }),
                Output::ReadPidFiles { .. }
                | Output::Signal { .. }
                | Output::Release { .. }
                | Output::OrphansFound { .. }
                | Output::Gone { .. }
                | Output::Settled
                | Output::Log(_) => None,
            }
        })
    }

    /// Performs one effect; its answer. `None` too for what is no effect.
    fn perform(&mut self, output: &Output) -> Option<Input> {
        match output {
            Output::Scan => {
                let from = time::now();
                let result = orphan_scan::scan(VARIABLE).map_err(|error| errno::reason(&error));
                Some(Input::Scanned { from, took: time::now().saturating_duration_since(from), result })
            }
            Output::Examine { pids } => Some(Input::Examined { facts: orphan_scan::examine(VARIABLE, pids) }),
            Output::Probe { processes } => Some(self.probe(processes)),
            Output::Signal { id, processes, signal } => self.signal(*id, processes, *signal),
            Output::Release { processes } => {
                processes.iter().for_each(|process| drop(self.0.remove(process)));
                None
            }
            Output::ReadPidFiles { .. }
            | Output::OrphansFound { .. }
            | Output::Gone { .. }
            | Output::Settled
            | Output::Log(_) => None,
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
            Some((*process, errno::reason(&error)))
        };
        let refused: Vec<_> = processes.iter().filter_map(refusal).collect();
        (!refused.is_empty()).then_some(Input::Signalled { id, refused })
    }
}

impl Effects {
    /// Performs one effect of adoption; its answer.
    pub(super) fn adopt(&mut self, output: &Output) -> Option<Input> {
        match output {
            Output::ReadPidFiles { files } => Some(self.read_pid_files(files)),
            Output::Scan
            | Output::Examine { .. }
            | Output::Probe { .. }
            | Output::Signal { .. }
            | Output::Release { .. }
            | Output::OrphansFound { .. }
            | Output::Gone { .. }
            | Output::Settled
            | Output::Log(_) => self.orphans.perform_guarded(output),
        }
    }

    /// What can't be read names nobody.
    fn read_pid_files(&self, files: &[(String, String)]) -> Input {
        let look = |path: &String| {
            let file = path.clone();
            let read = move || {
                let pid = read_pid_file(file.as_ref(), None)?;
                Ok::<_, NoMain>((pid, is_written_since(file.as_ref(), pid)))
            };
            self.parts.users.look(path, read)?.ok()
        };
        let (mut named, mut written_since) = (Vec::new(), Vec::new());
        for (name, path) in files {
            let Some((pid, is_since)) = look(path) else { continue };
            named.push((name.clone(), pid));
            written_since.extend(is_since.then(|| name.clone()));
        }
        Input::PidFiles { named, written_since }
    }
}

/// How much older a file may seem than the process that has written it: both are told in ticks.
const TICKS_DIFFER: Duration = Duration::from_millis(20);

/// The file was written when this process was there: its number was not another's then.
fn is_written_since(path: &Path, pid: i32) -> bool {
    let unchanged = path.metadata().and_then(|file| file.modified()).ok().and_then(|at| at.elapsed().ok());
    unchanged.zip(proc::age(pid)).is_some_and(|(unchanged, age)| unchanged <= age + TICKS_DIFFER)
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

    /// A number that has gone to another process meanwhile tells nothing.
    #[test]
    fn a_pid_file_from_before_a_process_does_not_name_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(is_written_since(file.path(), own));
        let before = std::time::SystemTime::now() - proc::age(own).unwrap() - Duration::from_secs(1);
        file.as_file().set_modified(before).unwrap();
        assert!(!is_written_since(file.path(), own));
        assert!(!is_written_since(Path::new("/nonexistent"), own) && !is_written_since(file.path(), i32::MAX));
    }

    #[test]
    fn a_living_process_is_held_until_it_is_released() {
        let own = identify(&SupervisorConfig::default()).unwrap().process;
        let reused = ProcessId { start_time: own.start_time + 1, ..own };
        let mut held = ProcessRefs::default();
        let answer = held.perform(&Output::Probe { processes: vec![own, reused] });
        assert_eq!(answer, Some(Input::Probed { living: vec![own], ended: vec![reused] }));
        assert!(held.0.contains_key(&own) && held.0.len() == 1);
        assert_eq!(held.perform(&Output::Signal { id: 1, processes: vec![own, reused], signal: 0 }), None);
        assert_eq!(held.perform(&Output::Release { processes: vec![own] }), None);
        assert!(held.0.is_empty());
    }
}
